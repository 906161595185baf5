#!/usr/bin/env bash
# Builds the Debian packages from what git tracks here: packages.sh DIR
# and, told a build folder with its test programs too, proves them as a new user would: packages.sh DIR NATIVE
#   lintian finds no error; apt installs the packages in a fresh root of this Debian, with gcc, pkg-config
#   and python3; there README's C program is built, and it and README's Python program sync a set from
#   a server of this machine and read it.
# Needs root for the fresh root, which is made anew below DIR. DEB_BUILD_OPTIONS as with dpkg-buildpackage.
set -euo pipefail

to=$(realpath -m "${1:?a folder}") native=${2:-}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fresh=$to/fresh
server_pid=

build()
{
    rm -rf "$to" && mkdir -p "$to/source"
    (cd "$root" && git ls-files -z | xargs -0 cp --parents -t "$to/source")
    (cd "$to/source" && dpkg-buildpackage -us -uc -b)
    lintian --allow-root --fail-on error "$to"/*.changes
}

# The one block of README in a language that `what` is in.
block()
{
    local language=$1 what=$2
    awk -v from="\`\`\`$language" '$0 == from {on = 1; next} $0 == "```" {on = 0} on' "$root/README.md" >"$fresh/root/$what"
    [ -s "$fresh/root/$what" ]
}

install_fresh()
{
    bash "$root/scripts/mirror.sh" deb >"$to/sources.list"
    mmdebstrap --mode=root --variant=minbase --dpkgopt=force-unsafe-io \
        --aptopt='APT::Install-Recommends "false"' \
        "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" "$fresh" "$to/sources.list"
    cp /etc/resolv.conf "$fresh/etc/"
    cp "$to"/{libanonset0,libanonset-dev,python3-anonset,anonset}_*.deb "$fresh/root/"
    chroot "$fresh" apt-get -qq update
    chroot "$fresh" sh -c 'DEBIAN_FRONTEND=noninteractive apt-get -qq -y install /root/*.deb gcc libc6-dev pkg-config'
}

start_server()
{
    local ready
    coproc server { exec "$native/tests/server/anonset-testserver" --lifeline --coins 3000; }
    server_pid=$!
    read -r -t 20 ready <&"${server[0]}"
    url=tcp://127.0.0.1:$(sed -E 's/.* electrumx=([0-9]+).*/\1/' <<<"$ready")
}

# expect_set COMMAND: in the fresh root it syncs and reads all of the server's coins.
expect_set()
{
    local said
    said=$(chroot "$fresh" sh -c "cd /root && rm -f spark.set* && $1 $url")
    echo "$said"
    grep -qi finalized <<<"$said" && grep -q '^3000 coins' <<<"$said"
}

build
[ -n "$native" ] || exit 0
native=$(cd "$native" && pwd)
install_fresh
block c example.c
block python example.py
start_server
# shellcheck disable=SC2016 # the shell there
chroot "$fresh" sh -c 'cd /root && cc example.c -o example $(pkg-config --cflags --libs anonset)'
expect_set ./example
expect_set 'python3 example.py'
chroot "$fresh" sh -c "anonset sync --quiet --db /root/by-program --server $url --group 1 && anonset verify --db /root/by-program"
kill "$server_pid"
rm -rf "$fresh"
echo "packages: ok"
