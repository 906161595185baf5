#!/usr/bin/env bash
# Shows the main job on real data: builds anonset on both backends, serves a recorded set from this
# machine, syncs it, kills the sync half way on purpose, resumes, verifies and compares.
# Works from any directory, again and again, and leaves nothing running.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${ANONSET_DEMO_DIR:-$root/build-demo}
sector=500
server_pid='' sync_pid=''

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
explain() { printf '  %s\n' "$@"; }
show() { sed 's/^/    /'; }
fail()
{
    printf '\ndemo: %s\n' "$*" >&2
    exit 1
}

cleanup()
{
    [ -z "$sync_pid" ] || kill -KILL "$sync_pid" 2>/dev/null || true
    [ -z "$server_pid" ] || kill -TERM "$server_pid" 2>/dev/null || true
    wait 2>/dev/null || true
}
trap cleanup EXIT

# quietly NAME COMMAND…: output to a log, shown only if the command fails.
quietly()
{
    local log=$work/$1.log
    shift
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 60 "$log" >&2
        fail "this did not work: $* (all of it: $log)"
    fi
}

build()
{
    local backend=$1 dir=$work/$1
    mkdir -p "$dir"
    cd "$dir"
    [ -f Makefile ] || quietly "configure-$backend" "$root/configure" \
        "--cache-file=$work/config.cache" "--with-backend=$backend" "--prefix=$dir/installed"
    quietly "make-$backend" make -j2
    quietly "install-$backend" make install
}

start_server()
{
    local line
    coproc SERVER { exec "$work/sqlite/tests/server/anonset-testserver" --lifeline \
        --recorded "$root/tests/fixtures/m_big6000"; }
    # shellcheck disable=SC2153 # set by coproc
    server_pid=$SERVER_PID
    read -r -t 20 line <&"${SERVER[0]}" || fail "the server on this machine did not start"
    url=tcp://127.0.0.1:$(sed -E 's/.*electrumx=([0-9]+).*/\1/' <<<"$line")
    exec {control}<>"/dev/tcp/127.0.0.1/$(sed -E 's/.*control=([0-9]+).*/\1/' <<<"$line")"
}

# Sends a command to the server; what it answered behind "ok " is in $answer.
tell()
{
    printf '%s\n' "$*" >&"$control"
    read -r -t 60 answer <&"$control" || fail "the server does not answer"
    case $answer in
    ok*) answer=${answer#ok} answer=${answer# } ;;
    *) fail "the server says: $answer" ;;
    esac
}

demonstrate()
{
    local backend=$1 anonset=$work/$1/installed/bin/anonset db=$work/$1/demo.set code
    local list=$work/$1/export.jsonl

    say "anonset on $backend"
    rm -f "$db"*
    "$anonset" --version | show
    tell reset

    explain "Downloading the set, in ranges of $sector coins, oldest coin first."
    tell hold 7
    "$anonset" sync --db "$db" --server "$url" --group 1 --sector-size "$sector" &
    sync_pid=$!
    tell wait held 1
    kill -KILL "$sync_pid"
    code=0
    wait "$sync_pid" 2>/dev/null || code=$?
    sync_pid=''
    [ "$code" -eq 137 ] || fail "the sync ended by itself (exit code $code) before it could be killed"
    tell release
    tell count coins
    explain "Killed on purpose half way (SIGKILL, as the battery dying would): the server had sent" \
        "$answer coins. What is stored now:"
    "$anonset" status --db "$db" | show
    explain "No whole set yet, so a wallet sees nothing: half a set is worse than none."

    explain "" "The same command again:"
    "$anonset" sync --db "$db" --server "$url" --group 1 --sector-size "$sector" | show
    tell count coins
    explain "It went on where it stopped. The server sent $answer coins in all: the 6,035 of the set," \
        "and the few that were on their way when the kill came."

    explain "" "Reading every stored byte again and recomputing the digest:"
    "$anonset" verify --db "$db" | show
    explain "" "What is stored now:"
    "$anonset" status --db "$db" | show

    "$anonset" export --db "$db" --group 1 >"$list"
    tell dump 1 "$work/server.jsonl"
    cmp "$list" "$work/server.jsonl" || fail "the exported coins differ from the server's"
    explain "" "All $(wc -l <"$list") exported coins equal the server's list, byte for byte."
}

say "Preparing (a minute or two; logs are in $work)"
mkdir -p "$work"
rm -f "$work/config.cache"
bash "$root/scripts/deps.sh" build
cd "$root"
[ ! -f config.status ] || fail "the source tree itself is configured: run make distclean in it first"
quietly autoreconf autoreconf -fi
build sqlite
build lmdb
quietly make-server make -C "$work/sqlite" -j2 tests/server/anonset-testserver
explain "Built anonset twice, once for each kind of store: SQLite and LMDB."

start_server
explain "" "A test server on this machine plays the part of an ElectrumX server. It serves what a real" \
    "one answered: the Spark anonymity set of a Firo test chain, 6,035 coins."
demonstrate sqlite
demonstrate lmdb

say "Done."
explain "Both stores hold the whole set, though both downloads were killed half way." \
    "To try the program yourself:" \
    "    $work/sqlite/installed/bin/anonset --help"
