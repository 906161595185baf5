#!/usr/bin/python3
"""Writes the Dart declarations of anonset.h: generate.py HEADER > lib/src/bindings.dart

Needs cpp and python3-pycparser. tests/dart_test.sh fails if what is checked in is not what comes out."""
import re
import subprocess
import sys
import textwrap

from pycparser import c_ast, c_parser

# What the header includes, in words of C that pycparser takes for granted.
PRELUDE = """typedef _Bool bool; typedef unsigned long size_t;
typedef unsigned char uint8_t; typedef unsigned short uint16_t;
typedef unsigned int uint32_t; typedef unsigned long uint64_t;
"""

# C name: type of dart:ffi, type in Dart.
SCALARS = {
    "bool": ("Bool", "bool"),
    "size_t": ("Size", "int"),
    "uint8_t": ("Uint8", "int"),
    "uint16_t": ("Uint16", "int"),
    "uint32_t": ("Uint32", "int"),
    "uint64_t": ("Uint64", "int"),
    "int": ("Int", "int"),
    "char": ("Char", "int"),
    "unsigned": ("UnsignedInt", "int"),
    "unsigned int": ("UnsignedInt", "int"),
    "void": ("Void", "void"),
}


class Header:
    def __init__(self, path):
        self.text = open(path, encoding="utf-8").read()
        plain = re.sub(r"^#include.*$", "", self.text, flags=re.M)
        pure = subprocess.run(["cpp", "-P", "-D__attribute__(x)=", "-"], input=PRELUDE + plain,
                              capture_output=True, text=True, check=True).stdout
        self.declarations = c_parser.CParser().parse(pure, path).ext
        self.enums = [d.name for d in self.declarations if isinstance(getattr(d, "type", None), c_ast.TypeDecl)
                      and isinstance(d.type.type, c_ast.Enum)]

    def constants(self):
        """Those that are one number, with what they were written as."""
        for name, value in re.findall(r"^#define (ANONSET_\w+)\s+(0x[0-9a-fA-F]+|\d+)u?(?=\s|$)", self.text, re.M):
            yield name, value


def scalar(header, name):
    if name in header.enums:
        return ("UnsignedInt", "int")
    return SCALARS.get(name)


def native(header, node):
    """The type of dart:ffi."""
    if isinstance(node, c_ast.PtrDecl):
        if isinstance(node.type, c_ast.FuncDecl):
            return f"Pointer<NativeFunction<{function(header, node.type, native)}>>"
        return f"Pointer<{native(header, node.type)}>"
    if isinstance(node, c_ast.ArrayDecl):  # of a parameter: a pointer
        return f"Pointer<{native(header, node.type)}>"
    if isinstance(node.type, c_ast.Struct):
        return node.type.name
    name = " ".join(node.type.names)
    known = scalar(header, name)
    return known[0] if known else name


def dart(header, node):
    """The type in Dart."""
    if isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.IdentifierType):
        known = scalar(header, " ".join(node.type.names))
        if known:
            return known[1]
    return native(header, node)


def function(header, node, typed):
    parameters = [p.type for p in node.args.params] if node.args else []
    if len(parameters) == 1 and typed(header, parameters[0]) in ("Void", "void"):
        parameters = []
    return f"{typed(header, node.type)} Function({', '.join(typed(header, p) for p in parameters)})"


def field(header, node):
    kind = node.type
    if isinstance(kind, c_ast.ArrayDecl):
        return f"@Array({kind.dim.value})\n  external Array<{native(header, kind.type)}> {node.name};"
    known = isinstance(kind, c_ast.TypeDecl) and isinstance(kind.type, c_ast.IdentifierType) and \
        scalar(header, " ".join(kind.type.names))
    if known:
        return f"@{known[0]}()\n  external {known[1]} {node.name};"
    return f"external {native(header, kind)} {node.name};"


def enum(node):
    value, lines = -1, []
    for member in node.type.type.values.enumerators:
        value = int(member.value.value, 0) if member.value else value + 1
        lines.append(f"  static const int {member.name} = {value};")
    return f"abstract final class {node.name} {{\n" + "\n".join(lines) + "\n}"


def struct(header, name, fields):
    body = "\n\n".join("  " + field(header, f) for f in fields)
    return f"final class {name} extends Struct {{\n{body}\n}}"


def types(header):
    seen = set()
    for node in header.declarations:
        inner = getattr(getattr(node, "type", None), "type", None)
        if isinstance(node, c_ast.Typedef) and isinstance(inner, c_ast.Enum):
            yield enum(node)
        elif isinstance(inner, c_ast.Struct) or isinstance(node.type, c_ast.Struct):
            found = inner if isinstance(inner, c_ast.Struct) else node.type
            if found.name in seen:
                continue
            seen.add(found.name)
            yield struct(header, found.name, found.decls) if found.decls else \
                f"final class {found.name} extends Opaque {{}}"


def calls(header):
    for node in header.declarations:
        if isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
            in_dart = function(header, node.type, dart)
            yield textwrap.fill(
                f"late final {in_dart} {node.name} = _library.lookupFunction<"
                f"{function(header, node.type, native)}, {in_dart}>('{node.name}');",
                width=100, initial_indent="  ", subsequent_indent="      ", break_long_words=False)


def main():
    header = Header(sys.argv[1])
    parts = ["// Made from anonset.h by generate.py, not by hand. The header says what everything means.\n"
             "// ignore_for_file: camel_case_types, constant_identifier_names, non_constant_identifier_names\n"
             "\nimport 'dart:ffi';"]
    parts.append("\n".join(f"const int {name} = {value};" for name, value in header.constants()))
    parts += types(header)
    parts.append("class Anonset {\n  Anonset(this._library);\n\n  final DynamicLibrary _library;\n\n" +
                 "\n\n".join(calls(header)) + "\n}")
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
