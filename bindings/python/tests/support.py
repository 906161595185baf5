"""The test server, and a folder for stores. ANONSET_TESTSERVER names the server's program."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]


class Server:
    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [os.environ["ANONSET_TESTSERVER"], "--lifeline", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready = dict(word.split("=", 1) for word in self._process.stdout.readline().split()[1:])
        self.address = ("127.0.0.1", int(ready["electrumx"]))
        self.tcp = f"tcp://127.0.0.1:{ready['electrumx']}"
        self.http = f"http://127.0.0.1:{ready['firod']}"
        self._control = socket.create_connection(("127.0.0.1", int(ready["control"])))
        self._answers = self._control.makefile("r")

    def tell(self, command: str) -> str:
        self._control.sendall(command.encode() + b"\n")
        state, _, answer = self._answers.readline().strip().partition(" ")
        assert state == "ok", f"{command}: {state} {answer}"
        return answer

    def count(self, counter: str) -> int:
        return int(self.tell(f"count {counter}").split("=")[-1])

    def coins(self, folder: Path, order: str = "newest") -> list[list[str]]:
        dump = folder / "dump"
        self.tell(f"dump 1 {dump}" + (" oldest" if order == "oldest" else ""))
        return [json.loads(line) for line in dump.read_text().splitlines()]

    def close(self) -> None:
        self._answers.close()
        self._control.close()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()


class ServerCase(unittest.TestCase):
    """A test with a server of `coins` coins and a folder."""

    coins = 3000

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "spark.set"
        self.server = Server("--coins", str(self.coins))
        self.addCleanup(self.server.close)
