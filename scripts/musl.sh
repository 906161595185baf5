#!/usr/bin/env bash
# Builds the static libraries of a program that needs no other file, with musl: musl.sh PREFIX
# From the sources of Debian's own packages: OpenSSL, libcurl, SQLite and LMDB, with as much of each as
# anonset uses. Then, below a build folder:
#     PKG_CONFIG_LIBDIR=PREFIX/lib/pkgconfig PKG_CONFIG='pkg-config --static' …/configure CC=musl-gcc \
#         --host=x86_64-linux-musl --disable-shared --enable-static CPPFLAGS='-isystem PREFIX/include'
#     make LDFLAGS=-all-static
# scripts/cross.sh musl does that, and tests what comes of it. PREFIX is kept as it is until it is removed,
# this script changes, or another musl comes; CFLAGS are those of the libraries (-O2), and ANONSET_JOBS is
# how many jobs make runs (2).
set -euo pipefail

prefix=$(realpath -m "${1:?a folder}")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
src=$prefix.src
jobs=${ANONSET_JOBS:-2}
cflags=${CFLAGS:--O2}
made_by="$(sha256sum <"${BASH_SOURCE[0]}") $(dpkg-query -W -f '${Version}' musl-dev) $cflags"

source_apt()
{
    apt-get -qq -o Dir::State="$src/apt" -o Dir::State::status="$src/apt/status" -o Dir::Cache="$src/apt" \
        -o Dir::Etc::SourceList="$src/apt/sources.list" -o Dir::Etc::SourceParts=- \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

fetch()
{
    local package
    mkdir -p "$src/apt/lists/partial" "$src/apt/archives/partial"
    : >"$src/apt/status"
    bash "$root/scripts/mirror.sh" deb-src >"$src/apt/sources.list"
    source_apt update
    cd "$src"
    source_apt --download-only source openssl curl sqlite3 lmdb
    for package in openssl curl sqlite3 lmdb; do
        dpkg-source -x "$package"_*.dsc "$package"
    done
}

make_openssl()
{
    local left_out=(aria async bf blake2 camellia cast cmp cms comp ct des dsa dso dtls ec2m engine gost idea
        ktls legacy md4 mdc2 nextprotoneg ocsp psk rc2 rc4 rmd160 scrypt secure-memory seed shared siphash
        sm2 sm3 sm4 srp srtp tests ts ui-console whirlpool)
    cd "$src/openssl"
    CC=musl-gcc ./Configure linux-x86_64 --prefix="$prefix" --libdir=lib --openssldir=/etc/ssl \
        "${left_out[@]/#/no-}" "$cflags"
    make -j"$jobs" build_generated
    make -j"$jobs" libcrypto.a libssl.a
    make install_dev
}

make_curl()
{
    local left_out=(alt-svc dict doh file ftp gopher hsts imap ldap ldaps manual mqtt ntlm pop3 rtsp smb smtp
        telnet tftp tls-srp)
    local without=(brotli libidn2 libpsl librtmp libssh2 nghttp2 zlib zstd)
    cd "$src/curl"
    PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig ./configure --host=x86_64-linux-musl CC=musl-gcc CFLAGS="$cflags" \
        --prefix="$prefix" --disable-shared --disable-dependency-tracking --with-openssl="$prefix" \
        --with-ca-bundle=/etc/ssl/certs/ca-certificates.crt "${left_out[@]/#/--disable-}" \
        "${without[@]/#/--without-}"
    make -j"$jobs" -C lib install
    make -C include install
    make install-pkgconfigDATA
}

make_sqlite()
{
    mkdir -p "$src/sqlite3/made" && cd "$src/sqlite3/made"
    make -f ../main.mk TOP=.. BCC=gcc TCC=gcc TCLSH_CMD=tclsh NAWK=awk sqlite3.c
    musl-gcc "$cflags" -DSQLITE_THREADSAFE=1 -DSQLITE_OMIT_LOAD_EXTENSION -DHAVE_USLEEP=1 -DHAVE_FDATASYNC=1 \
        -c sqlite3.c
    ar rcs "$prefix/lib/libsqlite3.a" sqlite3.o
    cp sqlite3.h "$prefix/include/"
    describe sqlite3 "$(cat ../VERSION)" "-lsqlite3 -pthread"
}

make_lmdb()
{
    cd "$src/lmdb/libraries/liblmdb"
    musl-gcc "$cflags" -pthread -c mdb.c midl.c
    ar rcs "$prefix/lib/liblmdb.a" mdb.o midl.o
    cp lmdb.h "$prefix/include/"
    describe lmdb 0.9 "-llmdb -pthread"
}

# What pkg-config says of those that come without it.
describe()
{
    printf 'Name: %s\nDescription: built by musl.sh\nVersion: %s\nLibs: -L%s/lib %s\nCflags: -I%s/include\n' \
        "$1" "$2" "$prefix" "$3" "$prefix" >"$prefix/lib/pkgconfig/$1.pc"
}

[ "$(cat "$prefix/made-by" 2>/dev/null)" != "$made_by" ] || exit 0
rm -rf "$prefix" "$src"
mkdir -p "$prefix/include" "$prefix/lib/pkgconfig"
fetch
make_openssl
make_curl
make_sqlite
make_lmdb
cp /usr/include/jsmn.h "$prefix/include/"
rm -rf "$src"
echo "$made_by" >"$prefix/made-by"
