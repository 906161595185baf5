#!/usr/bin/env bash
# Builds for another machine and tests there: cross.sh armhf|s390x|musl NATIVE
#   NATIVE: a build folder of this machine, with its test programs (make check TESTS=)
# armhf and s390x are built with Debian's cross compilers and libraries, and run under qemu-user; musl is
# this machine with one static program and no other file, on the libraries that scripts/musl.sh builds.
# In order: library, program and tests; unit tests and the conformance suite on every backend; a sync over
# loopback from a server of this machine; and stores made on one machine read and continued on the other.
# Nothing is installed. Builds are below $ANONSET_CHECK_DIR (build-check/) and kept for the next run;
# ANONSET_JOBS is how many jobs make runs (2).
set -euo pipefail

arch=${1:-} native=${2:-}
case $arch in
armhf) triplet=arm-linux-gnueabihf qemu=qemu-arm ;;
s390x) triplet=s390x-linux-gnu qemu=qemu-s390x ;;
musl) triplet=x86_64-linux-musl qemu= ;;
*) triplet= ;;
esac
if [ -z "$triplet" ] || [ ! -x "$native/tests/server/anonset-testserver" ]; then
    echo "usage: cross.sh armhf|s390x|musl NATIVE, a build folder with its test programs" >&2
    exit 2
fi
native=$(cd "$native" && pwd)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${ANONSET_CHECK_DIR:-$root/build-check}/cross-$arch
sysroot=$work/sysroot build=$work/build scratch=$work/scratch
run=()
[ -z "$qemu" ] || run=("$qemu" -L "$sysroot")
jobs=${ANONSET_JOBS:-2}
here=() there=("${run[@]}" "$build/tests/anonset-sqlite")
server_pid=

# apt as if this were the other machine, with lists and a cache of its own.
other_apt()
{
    apt-get -qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State="$work/apt" \
        -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt" \
        -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts=- \
        -o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)" "$@"
}

make_sysroot()
{
    local package
    [ ! -e "$sysroot/complete" ] || return 0
    mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$sysroot"
    : >"$work/apt/status"
    bash "$root/scripts/mirror.sh" deb >"$work/apt/sources.list"
    other_apt update
    other_apt -y --download-only install libc6-dev libssl-dev libcurl4-openssl-dev libjsmn-dev \
        libsqlite3-dev liblmdb-dev >/dev/null
    for package in "$work"/apt/archives/*.deb; do
        dpkg -x "$package" "$sysroot"
    done
    touch "$sysroot/complete"
}

# What does not take minutes under emulation, and uses no more of Criterion than tests/plain has. Some put
# functions of their own before a library's: not in a static program; nor, for those of one backend, where
# a long has 32 bits and pwrite two names.
unit_tests()
{
    local left_out='convert|legacy|gate|chain_recorded|noclient|serve|cli_[a-z]*'
    [ "$arch" = s390x ] || left_out+='|lmdb|lmdb_pages|sqlite'
    [ "$arch" != musl ] || left_out+='|client_options'
    (cd "$root" && ls tests/unit/*_test.c) | sed 's/\.c$//' | grep -vE "/($left_out)_test$"
}

configure_there()
{
    local options=(--host="$triplet" CRITERION_CFLAGS="-I$root/tests/plain" CRITERION_LIBS=-lm)
    if [ "$arch" = musl ]; then
        PKG_CONFIG_LIBDIR=$sysroot/lib/pkgconfig "$root/configure" "${options[@]}" CC=musl-gcc \
            PKG_CONFIG="pkg-config --static" --disable-shared --enable-static CFLAGS="${CFLAGS:--O2}" \
            CPPFLAGS="-I$root/tests/plain -isystem $sysroot/include"
    else
        PKG_CONFIG_LIBDIR=$sysroot/usr/lib/$triplet/pkgconfig:$sysroot/usr/share/pkgconfig \
            PKG_CONFIG_SYSROOT_DIR=$sysroot "$root/configure" "${options[@]}" \
            CC="$triplet-gcc --sysroot=$sysroot" CPPFLAGS="-I$root/tests/plain"
    fi
}

build_there()
{
    local programs static=()
    [ "$arch" != musl ] || static=(LDFLAGS=-all-static)
    mkdir -p "$build" && cd "$build"
    # A kept folder is configured anew here: below, configure would take the options of linking for its own.
    if [ -f Makefile ]; then
        make Makefile
    else
        configure_there
    fi
    programs="$(unit_tests | tr '\n' ' ') tests/conformance/conformance tests/anonset-sqlite tests/anonset-lmdb"
    make -j"$jobs" "${static[@]}" # first: the make that this calls would make the same files beside it
    # shellcheck disable=SC2086 # words on purpose
    make -j"$jobs" "${static[@]}" $programs
}

test_there()
{
    local test status=0
    for test in $(unit_tests); do
        echo "$arch $test"
        "${run[@]}" "$build/$test" || status=1
    done
    # That the suite fails a wrong backend is no question of the machine.
    echo "$arch conformance"
    "${run[@]}" "$build/tests/conformance/conformance" --filter '*/every_case_on_every_backend' || status=1
    return $status
}

expect()
{
    local wanted=$1 status=0
    shift
    "$@" || status=$?
    [ "$status" -eq "$wanted" ] || { echo "exit code $status, not $wanted: $*" >&2; return 1; }
}

tell()
{
    local answer
    echo "$1" >&"${control[1]}"
    read -r -t 20 answer <&"${control[0]}"
    [ "${answer%% *}" = ok ] || { echo "$1: $answer" >&2; return 1; }
}

start_server()
{
    local ready port
    coproc server {
        exec "$native/tests/server/anonset-testserver" --lifeline --coins 3000 --tls-make "$scratch/tls"
    }
    server_pid=$!
    read -r -t 20 ready <&"${server[0]}"
    url=tcp://127.0.0.1:$(sed -E 's/.* electrumx=([0-9]+).*/\1/' <<<"$ready")
    tls_url=ssl://localhost:$(sed -E 's/.* electrumx_tls=([0-9]+).*/\1/' <<<"$ready")
    tls_pin=${ready##* tls_pin=}
    port=$(sed -E 's/.* control=([0-9]+).*/\1/' <<<"$ready")
    exec {wire}<>"/dev/tcp/127.0.0.1/$port"
    control=("$wire" "$wire")
}

# same_set STORE: both machines read it as the server has it.
same_set()
{
    tell "dump 1 $scratch/wanted"
    "${here[@]}" export --db "$1" --group 1 | cmp - "$scratch/wanted"
    "${there[@]}" export --db "$1" --group 1 | cmp - "$scratch/wanted"
    "${here[@]}" verify --db "$1" >/dev/null
    "${there[@]}" verify --db "$1" >/dev/null
}

# Each machine begins a store, the other goes on with it.
move_stores()
{
    here=("$native/tests/anonset-sqlite")
    "${here[@]}" sync --quiet --db "$scratch/from-here" --server "$url" --group 1
    "${there[@]}" sync --quiet --db "$scratch/from-there" --server "$url" --group 1
    same_set "$scratch/from-here"
    same_set "$scratch/from-there"
    tell "grow 250"
    "${there[@]}" sync --quiet --db "$scratch/from-here" --server "$url" --group 1
    "${here[@]}" sync --quiet --db "$scratch/from-there" --server "$url" --group 1
    tell "reorg 3"
    "${here[@]}" sync --quiet --db "$scratch/from-here" --server "$url" --group 1
    "${there[@]}" sync --quiet --db "$scratch/from-there" --server "$url" --group 1
    same_set "$scratch/from-here"
    same_set "$scratch/from-there"
}

# LMDB's files belong to one kind of machine: each syncs, and refuses the other's unharmed.
keep_lmdb_apart()
{
    local other=("${run[@]}" "$build/tests/anonset-lmdb") ours=("$native/tests/anonset-lmdb") sum
    "${other[@]}" sync --quiet --db "$scratch/lmdb-there" --server "$url" --group 1
    "${other[@]}" verify --db "$scratch/lmdb-there" >/dev/null
    "${other[@]}" export --db "$scratch/lmdb-there" --group 1 | cmp - "$scratch/wanted"
    [ "$arch" != musl ] || return 0
    "${ours[@]}" sync --quiet --db "$scratch/lmdb-here" --server "$url" --group 1
    sum=$(sha256sum "$scratch"/lmdb-{there,here})
    expect 6 "${ours[@]}" status --db "$scratch/lmdb-there"
    expect 6 "${other[@]}" status --db "$scratch/lmdb-here"
    [ "$sum" = "$(sha256sum "$scratch"/lmdb-{there,here})" ]
}

# The program needs no other file; it looks names up itself, holds its own TLS, takes a server by its pin,
# and refuses one whose certificate the system does not know.
stand_alone()
{
    local program=$build/anonset
    if readelf -lW "$program" | grep -E 'INTERP|DYNAMIC'; then
        echo "$program is not static" >&2
        return 1
    fi
    "$program" sync --quiet --db "$scratch/by-tls" --server "$tls_url" --group 1 --tls-pin "$tls_pin"
    "$program" export --db "$scratch/by-tls" --group 1 | cmp - "$scratch/wanted"
    expect 3 "$program" sync --quiet --db "$scratch/untrusted" --server "$tls_url" --group 1 --retries 0
    "$build/anonset-convert" "$scratch/by-tls" "$scratch/converted" --to lmdb
    "${here[@]/%sqlite/lmdb}" export --db "$scratch/converted" --group 1 | cmp - "$scratch/wanted"
}

# Android loads libraries in pages of up to 16 KiB.
aligned_for_android()
{
    local align
    for align in $(readelf -lW "$build/.libs/libanonset.so" | awk '$1 == "LOAD" {print $NF}'); do
        [ $((align % 16384)) -eq 0 ] || { echo "a segment is aligned to $align" >&2; return 1; }
    done
}

if [ "$arch" = musl ]; then
    bash "$root/scripts/musl.sh" "$sysroot"
else
    make_sysroot
fi
build_there
[ "$arch" = musl ] || aligned_for_android
test_there
rm -rf "$scratch" && mkdir -p "$scratch/tls"
start_server
move_stores
keep_lmdb_apart
[ "$arch" != musl ] || stand_alone
kill "$server_pid"
echo "$arch: ok"
