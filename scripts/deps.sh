#!/usr/bin/env bash
# Installs what the other scripts need: deps.sh build|check|prove|cross
#   build: to build both backends and their tests
#   check: that, and the tools for static checks
#   prove: to build, and clang with libFuzzer, valgrind and gcovr for `make prove`
#   cross: to build, and what scripts/cross.sh, musl.sh and packages.sh need: compilers, emulators, and
#          the tools for packages and for fresh roots
# On Debian and its like with apt-get, as root or through sudo; elsewhere it names what is missing.
set -euo pipefail

what=${1:-build}
case $what in
build | check | prove | cross) ;;
*)
    echo "usage: deps.sh build|check|prove|cross" >&2
    exit 2
    ;;
esac

packages=(gcc libc6-dev make autoconf automake libtool pkg-config xz-utils
    libssl-dev libcurl4-openssl-dev libjsmn-dev libsqlite3-dev liblmdb-dev libcriterion-dev
    python3)
if [ "$what" = check ]; then
    packages+=(g++ git binutils valgrind clang-tidy clang-format cppcheck shellcheck doxygen mypy python3-pycparser)
fi
if [ "$what" = prove ]; then
    packages+=(g++ git clang libclang-rt-14-dev valgrind gcovr)
fi
if [ "$what" = cross ]; then
    packages+=(gcc-arm-linux-gnueabihf gcc-s390x-linux-gnu qemu-user musl-tools tcl perl dpkg-dev
        debhelper dh-python fakeroot lintian mmdebstrap git)
fi

# What is missing, as the names of Debian packages: by looking for the thing itself, so that it works
# without a package manager too.
probe()
{
    command_of() { command -v "$1" >/dev/null 2>&1 || echo "$2"; }
    module() { pkg-config --exists "$1" 2>/dev/null || echo "$2"; }
    command_of gcc gcc
    command_of make make
    command_of autoreconf autoconf
    command_of automake automake
    command_of libtoolize libtool
    command_of pkg-config pkg-config
    command_of xz xz-utils
    command_of python3 python3
    module 'libcrypto >= 3.0' libssl-dev
    module 'libcurl >= 7.86' libcurl4-openssl-dev
    module 'sqlite3 >= 3.35' libsqlite3-dev
    module lmdb liblmdb-dev
    module criterion libcriterion-dev
    echo '#include <stdlib.h>' | gcc -fsyntax-only -x c - 2>/dev/null || echo libc6-dev
    printf '#include <stddef.h>\n#define JSMN_HEADER\n#include <jsmn.h>\n' |
        gcc -fsyntax-only -x c - 2>/dev/null || echo libjsmn-dev
    if [ "$what" = cross ]; then
        command_of arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf
        command_of s390x-linux-gnu-gcc gcc-s390x-linux-gnu
        command_of qemu-s390x qemu-user
        command_of musl-gcc musl-tools
        command_of tclsh tcl
        command_of dpkg-buildpackage dpkg-dev
        command_of dh debhelper
        command_of dh_python3 dh-python
        command_of fakeroot fakeroot
        command_of lintian lintian
        command_of mmdebstrap mmdebstrap
        command_of git git
    fi
    if [ "$what" = check ]; then
        command_of g++ g++
        command_of git git
        command_of nm binutils
        command_of clang-tidy clang-tidy
        command_of clang-format clang-format
        command_of cppcheck cppcheck
        command_of shellcheck shellcheck
        command_of valgrind valgrind
        command_of doxygen doxygen
        command_of mypy mypy
        /usr/bin/python3 -c 'import pycparser' 2>/dev/null || echo python3-pycparser
    fi
    if [ "$what" = prove ]; then
        command_of valgrind valgrind
        command_of gcovr gcovr
        command_of clang clang
        echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
            clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null || echo libclang-rt-14-dev
    fi
}

missing=$(probe)
if [ -z "$missing" ]; then
    exit 0
fi
missing=$(echo "$missing" | tr '\n' ' ')

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing, by the names of their Debian packages: $missing"
    echo "There is no apt-get here: install them your system's way, then run this again."
    exit 1
fi >&2

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "Missing Debian packages: $missing" >&2
        echo "Not root, and there is no sudo. As root: apt-get install $missing" >&2
        exit 1
    fi
    as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
    echo "Not root: sudo will be asked to run apt-get, to install: $missing"
else
    as_root=(env DEBIAN_FRONTEND=noninteractive)
    echo "Installing with apt-get: $missing"
fi
"${as_root[@]}" apt-get update -qq </dev/null
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null

missing=$(probe)
if [ -n "$missing" ]; then
    echo "Still missing after apt-get: ${missing//$'\n'/ }" >&2
    exit 1
fi
