#!/usr/bin/env bash
# code_size.sh SOURCE-DIR BUILD-DIR [COMPILER …]: KiB of machine code (.text of a stripped library
# at -Os, what nothing calls left out): the core with SQLite, with LMDB, and each of the two with all of remote/ as well.
set -euo pipefail
cd "$1"
build=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# text BACKEND LIBRARY [SOURCE …]
text()
{
    local backend=$1 library=$2
    shift 2
    "${compiler[@]}" -std=gnu11 -Os -ffunction-sections -Wl,--gc-sections -fPIC -fvisibility=hidden -I"$build" -Iinclude -I. \
        -D_GNU_SOURCE -DANONSET_WITH_"${backend^^}" -shared -s -Wl,--version-script=anonset.map \
        -o "$work/code.so" core/*.c backends/*.c backends/"$backend"/*.c "$@" \
        -l"$library" -lcrypto -lcurl -lpthread
    size -A "$work/code.so" | awk '$1 == ".text" { printf "%.1f\n", $2 / 1024 }'
}

compiler=("${@:-cc}")
shopt -s extglob
text sqlite sqlite3
text lmdb lmdb
text sqlite sqlite3 remote/!(noclient).c
text lmdb lmdb remote/!(noclient).c
