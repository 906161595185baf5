"""The declarations against the C header: sizes, offsets, constants, functions and their parameters."""

from __future__ import annotations

import ctypes
import enum
import os
import re
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

from anonset import _c, _values

from .support import SOURCE

HEADER = SOURCE / "include/anonset/anonset.h"

# What the names of an enumeration begin with, where that is more than ANONSET_.
PREFIX = {
    "Gate": "GATE_",
    "Proof": "PROOF_",
    "OnReorg": "REORG_",
    "RequestKind": "REQUEST_",
    "AnswerKind": "ANSWER_",
    "Step": "STEP_",
    "UsedMode": "USED_",
}
# In the header, and no business of the binding.
LEFT_OUT = {"ANONSET_OUTCOME_COUNT"}
BACKENDS_ONLY = {"anonset_checkpoint"}
MACROS = {
    "ANONSET_HASH_BYTES": _c.HASH_BYTES,
    "ANONSET_DETAIL_TEXT": _c.DETAIL_TEXT,
    "ANONSET_REQUEST_TEXT": _c.REQUEST_TEXT,
    "ANONSET_STORE_CREATE": _c.STORE_CREATE,
    "ANONSET_STORE_READ_ONLY": _c.STORE_READ_ONLY,
    "ANONSET_STORE_VERIFY_READS": _c.STORE_VERIFY_READS,
    "ANONSET_TAG_BYTES": _c.TAG_BYTES,
    "ANONSET_USED_BATCH": _c.USED_BATCH,
    "ANONSET_USED_MOST_DEFAULT": _c.USED_MOST_DEFAULT,
}

PLAIN = {
    "size_t": ctypes.c_size_t,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "bool": ctypes.c_bool,
    "bool *": ctypes.POINTER(ctypes.c_bool),
    "char *": ctypes.c_char_p,
    "uint8_t *": ctypes.POINTER(ctypes.c_uint8),
    "uint32_t *": ctypes.POINTER(ctypes.c_uint32),
    "uint64_t *": ctypes.POINTER(ctypes.c_uint64),
    "bool *": ctypes.POINTER(ctypes.c_bool),
    "size_t *": ctypes.POINTER(ctypes.c_size_t),
}
HANDLES = {
    "anonset_store",
    "anonset_snapshot",
    "anonset_sync",
    "anonset_client",
    "anonset_used_list",
    "anonset_used_text",
}


def structs() -> list[type[ctypes.Structure]]:
    return [
        found
        for found in vars(_c).values()
        if isinstance(found, type)
        and issubclass(found, ctypes.Structure)
        and found is not ctypes.Structure
    ]


def enums() -> list[type[enum.IntEnum]]:
    return [
        found
        for found in vars(_values).values()
        if isinstance(found, type) and issubclass(found, enum.IntEnum) and len(found) > 0
    ]


def constants() -> dict[str, int]:
    named = {
        f"ANONSET_{PREFIX.get(kind.__name__, '')}{member.name}": int(member)
        for kind in enums()
        for member in kind
    }
    return named | MACROS


def text_of_header() -> str:
    return re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)


def run_c(lines: list[str]) -> dict[str, int]:
    """What a C program prints that prints these "label", value pairs."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "layout.c"
        source.write_text(
            "#include <anonset/anonset.h>\n#include <stdio.h>\nint main(void)\n{\n"
            + "".join(
                f'    printf("%s %lld\\n", "{label}", (long long)({value}));\n'
                for label, value in (line.split("\t") for line in lines)
            )
            + "    return 0;\n}\n"
        )
        program = Path(folder) / "layout"
        compiler = shlex.split(os.environ.get("CC", "cc"))
        subprocess.run(
            [*compiler, f"-I{SOURCE}/include", str(source), "-o", str(program)], check=True
        )
        printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {label: int(value) for label, value in map(str.split, printed.splitlines())}


class Layout(unittest.TestCase):
    def test_structs_are_laid_out_as_in_c(self) -> None:
        wanted: dict[str, int] = {}
        lines: list[str] = []
        for struct in structs():
            name = struct.__name__
            wanted[name] = ctypes.sizeof(struct)
            lines.append(f"{name}\tsizeof({name})")
            for field in struct._fields_:
                descriptor = getattr(struct, field[0])
                wanted[f"{name}.{field[0]}"] = descriptor.offset
                wanted[f"{name}.{field[0]}.size"] = descriptor.size
                lines.append(f"{name}.{field[0]}\toffsetof({name}, {field[0]})")
                lines.append(f"{name}.{field[0]}.size\tsizeof((({name} *)0)->{field[0]})")
        self.assertGreater(len(lines), 100)
        self.assertEqual(run_c(lines), wanted)

    def test_every_struct_and_field_of_the_header_is_there(self) -> None:
        named = {struct.__name__: [f[0] for f in struct._fields_] for struct in structs()}
        in_header: dict[str, list[str]] = {}
        for name, body in re.findall(
            r"^typedef struct (anonset_\w+) \{(.*?)^\}", text_of_header(), flags=re.S | re.M
        ):
            members = []
            for declaration in filter(None, map(str.strip, body.split(";"))):
                pointer = re.search(r"\(\*(\w+)\)", declaration)
                members += (
                    [pointer[1]]
                    if pointer
                    else [re.findall(r"\w+", re.sub(r"\[.*", "", d))[-1] for d in declaration.split(",")]
                )
            in_header[name] = members
        self.assertEqual({n: f for n, f in in_header.items() if n not in BACKENDS_ONLY}, named)

    def test_constants_have_the_values_of_c(self) -> None:
        named = constants()
        self.assertEqual(run_c([f"{name}\t{name}" for name in named]), named)

    def test_every_constant_of_an_enumeration_is_there(self) -> None:
        in_header: set[str] = set()
        for body in re.findall(r"typedef enum anonset_\w+ \{(.*?)\}", text_of_header(), flags=re.S):
            in_header.update(re.findall(r"\bANONSET_\w+", body))
        self.assertGreater(len(in_header), 50)
        self.assertEqual(in_header - LEFT_OUT, set(constants()) - set(MACROS))

    def test_functions_have_the_parameters_of_c(self) -> None:
        found = {}
        for result, name, parameters in re.findall(
            r"ANONSET_API ([\w \*]+?)(anonset_\w+)\(([^;]*?)\);", text_of_header()
        ):
            words = [p for p in (w.strip() for w in parameters.split(",")) if p != "void"]
            found[name] = (
                ctype(result),
                [ctype(re.sub(r"\w+$", "", re.sub(r"\s+", " ", word))) for word in words],
            )
        self.assertEqual(set(found), set((SOURCE / "tests/symbols.txt").read_text().split()))
        self.assertEqual(found, _c.PROTOTYPES)


def ctype(c: str) -> Any:
    """What stands for a C type in the binding."""
    c = " ".join(c.replace("const ", "").replace("*", " * ").split()).replace("* *", "**")
    if c == "void":
        return None
    if c in PLAIN:
        return PLAIN[c]
    name, _, stars = c.partition(" ")
    if name in HANDLES:
        return ctypes.c_void_p if stars == "*" else ctypes.POINTER(ctypes.c_void_p)
    if stars == "":
        return ctypes.c_int  # an enumeration
    struct = getattr(_c, name)
    return ctypes.POINTER(struct) if stars == "*" else ctypes.POINTER(ctypes.POINTER(struct))


if __name__ == "__main__":
    unittest.main()
