"""The programs in README.md, here and at the top, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .support import SOURCE, ServerCase

PACKAGE = SOURCE / "bindings/python"


def programs(readme: Path) -> list[str]:
    blocks: list[str] = re.findall(r"^```python\n(.*?)^```$", readme.read_text(), flags=re.S | re.M)
    return [block for block in blocks if "import anonset" in block]


class Readme(ServerCase):
    def run_program(self, text: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", text, *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(PACKAGE)},
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_the_one_of_the_project(self) -> None:
        (program,) = programs(SOURCE / "README.md")
        self.assertLessEqual(len(program.splitlines()), 10)
        printed = self.run_program(program, self.server.tcp)
        self.assertIn("FINALIZED", printed)
        self.assertIn(f"{self.coins} coins", printed)

    def test_those_of_the_package(self) -> None:
        first, pieces, own_connection = programs(PACKAGE / "README.md")
        self.assertIn(f"{self.coins} of {self.coins}", self.run_program(first, self.server.tcp))
        self.assertIn(f"{self.coins} coins", self.run_program(pieces, self.server.tcp))
        host, port = self.server.address
        self.assertIn("UP_TO_DATE", self.run_program(own_connection, host, str(port)))
