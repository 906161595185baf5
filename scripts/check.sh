#!/usr/bin/env bash
# Runs every check there is: installs what is needed, builds, and tests
#   1. the default backend (sqlite): make check, which tests both backends; install; link against it
#   2. the lmdb backend: build, install, link against it, also statically
#   3. without libcurl: build, what needs no connection of `make check`, a program linked -static
#   4. everything again under ASan and UBSan
#   5. sources: headers, includes, exported symbols, format, clang-tidy, cppcheck, shellcheck, Doxygen
#   6. make distcheck
#   7. for other machines: scripts/cross.sh for s390x, armhf, and musl's static program
#   8. Debian packages, and README's programs with them in a fresh Debian: scripts/packages.sh
# 7, 8 and the checks of sources run beside the others, on the second core. The first run of 7 and 8 needs
# a network, and 8 root. Builds are below build-check/ (or $ANONSET_CHECK_DIR) and kept for the next run. A step that fails
# prints its log; the others still run. The last line is the sum of all tests.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${ANONSET_CHECK_DIR:-$root/build-check}
logs=$work/logs
started=$SECONDS
quick='CFLAGS=-g -O1' # of what is built once, to be tried

# step NAME COMMAND…: runs it with its output in a log; prints the log if it fails.
step()
{
    local name=$1 at=$SECONDS said
    shift
    if "$@" >"$logs/$name.log" 2>&1 </dev/null; then
        printf '==> %-18s ok, %d s\n' "$name" $((SECONDS - at))
        return 0
    fi
    touch "$logs/$name.failed"
    # At once, so that the lines of two steps do not mix.
    said=$(printf '==> %-18s FAILED after %d s. %s:\n' "$name" $((SECONDS - at)) "$logs/$name.log"
        tail -n 200 "$logs/$name.log")
    printf '%s\n' "$said"
    return 1
}

configure_in()
{
    local dir=$1 cache=$work/config.cache
    shift
    [[ $* != *CFLAGS=* ]] || cache+=.quick
    mkdir -p "$dir" && cd "$dir" || return
    # The same options as last time: make itself notices what changed since.
    if [ ! -f Makefile ] || [ "$(cat options 2>/dev/null)" != "$*" ]; then
        "$root/configure" --cache-file="$cache" "$@" && echo "$*" >options
    fi
}

build_in()
{
    local dir=$1
    shift
    configure_in "$dir" "$@" && make -j2
}

tests_of()
{
    cd "$1" && make -j2 check TESTS=
}

check_in()
{
    cd "$1" || return
    find . \( -name '*.log' -o -name '*.trs' \) -path '*/tests/*' -delete
    make -j2 check VERBOSE=1
}

# The C example in README.md.
example()
{
    # shellcheck disable=SC2016 # backticks of Markdown
    sed -n '/^```c$/,/^```$/p' "$root/README.md" | sed '/^```/d' | grep ''
}

# The library and program as installed: named right, linked to just one engine, and usable by the
# example in README.md through pkg-config.
install_in()
{
    local dir=$1 backend=$2 engine=$3 other=$4 to needed page
    to=$dir/installed
    cd "$dir" || return
    rm -rf "$to"
    make install DESTDIR="$to" || return
    to=$to/usr/local
    needed=$(objdump -p "$to/lib/libanonset.so" | grep NEEDED) || return
    echo "$needed"
    grep -q "$engine" <<<"$needed" || { echo "libanonset.so does not link $engine"; return 1; }
    ! grep -q "$other" <<<"$needed" || { echo "libanonset.so links $other too"; return 1; }
    LD_LIBRARY_PATH=$to/lib "$to/bin/anonset" --version | tee version || return
    grep -q "($backend)" version || { echo "the program names another backend"; return 1; }
    example >example.c || return
    PKG_CONFIG_PATH=$to/lib/pkgconfig pkg-config --define-variable=prefix="$to" --cflags --libs \
        anonset >flags || return
    # shellcheck disable=SC2046 # words on purpose
    gcc -std=c11 -Wall -Wextra -Werror example.c -o example $(cat flags) || return
    for page in "$root"/doc/*.3 "$dir"/generated/*.1; do
        page=$(basename "$page")
        [ -s "$to/share/man/man${page##*.}/$page" ] || { echo "$page is not installed"; return 1; }
    done
    # Android loads libraries in pages of up to 16 KiB.
    for page in $(readelf -lW "$to/lib/libanonset.so" | awk '$1 == "LOAD" {print $NF}'); do
        [ $((page % 16384)) -eq 0 ] || { echo "a segment is aligned to $page"; return 1; }
    done
    for page in anonset anonset-convert; do
        [ -s "$to/share/bash-completion/completions/$page" ] &&
            [ -s "$to/share/zsh/site-functions/_$page" ] &&
            [ -s "$to/share/fish/vendor_completions.d/$page.fish" ] ||
            { echo "no completion of $page is installed"; return 1; }
    done
}

# The same example with libanonset.a as it was installed, and the words of pkg-config --static. Those
# that libcurl.pc adds for a libcurl.a are left out: the libcurl here is a shared one.
static_in()
{
    local dir=$1 curl_only
    cd "$dir" || return
    mkdir -p static && cp installed/usr/local/lib/libanonset.a static/ || return
    curl_only=$(comm -23 <(pkg-config --static --libs libcurl | tr ' ' '\n' | sort -u) \
        <(pkg-config --static --libs libcrypto sqlite3 lmdb | tr ' ' '\n' | sort -u) | grep -vx -e -lcurl)
    PKG_CONFIG_PATH=installed/usr/local/lib/pkgconfig pkg-config --static \
        --define-variable=prefix="$dir/installed/usr/local" --define-variable=libdir="$dir/static" \
        --cflags --libs anonset >flags || return
    cat flags
    # shellcheck disable=SC2046 # words on purpose
    gcc -std=c11 -Wall -Wextra -Werror example.c -o example-static \
        $(tr ' ' '\n' <flags | grep -vxF -e "$curl_only") || return
    ! objdump -p example-static | grep NEEDED | grep anonset
}

# Without libcurl: what needs no connection passes its tests, the library needs no libcurl, and the
# README's example becomes a program that needs no library at all, and says what it lacks.
embed_in()
{
    local dir=$1 to=$1/installed/usr/local
    cd "$dir" || return
    # shellcheck disable=SC2016 # make's variables
    make -j2 check VERBOSE=1 check_PROGRAMS= check_LTLIBRARIES= TESTS='$(cli_tests) $(parser_tests)
        $(core_tests) $(sync_tests) tests/unit/plan_test tests/unit/noclient_test tests/unit/alloc_test
        tests/scenario/suspend_test' || return
    rm -rf "$dir/installed"
    make install DESTDIR="$dir/installed" || return
    ! objdump -p "$to/lib/libanonset.so" | grep NEEDED | grep curl || return
    example >example.c || return
    PKG_CONFIG_PATH=$to/lib/pkgconfig pkg-config --static --define-variable=prefix="$to" --cflags \
        --libs anonset >flags || return
    # shellcheck disable=SC2046 # words on purpose
    gcc -std=c11 -Wall -Wextra -Werror -static example.c -o example $(cat flags) || return
    rm -f spark.set*
    ./example 2>&1 | tee said
    grep -q 'no finalized set' said
}

# doc/new-backend.md's program with the installed suite, on the one backend that is no part of the
# library, as somebody else would bring theirs. It must fail one that breaks a rule.
conformance_in()
{
    local dir=$1 flags
    cd "$dir" || return
    # shellcheck disable=SC2016 # backticks of Markdown
    sed -n '/^#include <anonset-conf/,/^```$/p' "$root/doc/new-backend.md" | sed '/^```/d' >prove.c
    [ -s prove.c ] || return
    flags=$(PKG_CONFIG_PATH=installed/usr/local/lib/pkgconfig pkg-config \
        --define-variable=prefix="$dir/installed/usr/local" --cflags --libs anonset-conformance) || return
    cp "$root/backends/memory/memory.c" mine.c || return
    # shellcheck disable=SC2086 # words on purpose
    gcc -std=gnu11 -Wall -Wextra -Werror -Dmy_backend=as_backend_memory -I"$root" prove.c mine.c -o prove $flags &&
        ./prove || return
    sed 's/c->gate <= now->state.gate/true/' mine.c >broken.c
    # shellcheck disable=SC2086
    gcc -std=gnu11 -w -Dmy_backend=as_backend_memory -I"$root" prove.c broken.c -o prove-broken $flags || return
    ! ./prove-broken
}

# tool_in DIR valgrind|tsan PROGRAM…
tool_in()
{
    cd "$1" && shift && "$root/tests/tools.sh" "$@"
}

headers_alone()
{
    local header status=0
    cd "$root" || return
    for header in include/*.h include/anonset/*.h; do
        gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c "$header" || status=1
        g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c++ "$header" || status=1
    done
    for header in $(git ls-files 'core/*.h' 'remote/*.h' 'backends/*.h' 'cli/*.h'); do
        gcc -std=gnu11 -Wall -Wextra -Werror -Iinclude -I. -fsyntax-only -x c "$header" || status=1
    done
    return $status
}

# Data flows one way: core knows no engine, no network and no JSON; the program only the public API,
# but for anonset-convert, which holds both backends, and `serve`, whose answers remote/serve.c writes.
includes_kept_apart()
{
    cd "$root" || return
    ! grep -nE '#[[:space:]]*include[[:space:]]*[<"](sqlite3|lmdb|curl/|jsmn|openssl/|backends/|remote/)' \
        core/*.[ch] include/anonset/*.h | grep -v '^core/digest\.c:[0-9]*:#include <openssl/' &&
        ! grep -nE '#[[:space:]]*include[[:space:]]*[<"](sqlite3|lmdb|curl/|jsmn|openssl/|backends/|remote/|core/|anonset/backend)' \
            cli/*.[ch] | grep -vE '^cli/convert[a-z_]*\.[ch]:[0-9]+:#include "(backends|core)/|^cli/convert_copy\.h:[0-9]+:#include <anonset/backend\.h>$|^cli/listen\.c:[0-9]+:#include "remote/serve\.h"$'
}

# What the library exports is a promise: it changes only together with the list.
exported_symbols()
{
    local backend status=0
    for backend in sqlite lmdb; do
        # A symbol without the version would keep its other name, and differ.
        nm -D --defined-only "$work/$backend/.libs/libanonset.so" |
            awk '$2 != "A" {sub(/@@ANONSET_0$/, "", $3); print $3}' |
            LC_ALL=C sort >"$work/symbols.$backend"
        grep -q '@@ANONSET_0' <(nm -D "$work/$backend/.libs/libanonset.so") || status=1
        diff -u "$root/tests/symbols.txt" "$work/symbols.$backend" || status=1
    done
    return $status
}

format()
{
    cd "$root" && git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
}

tidy()
{
    # The test programs themselves are left to gcc's warnings and the sanitizers.
    cd "$root" && git ls-files 'core/*.c' 'remote/*.c' 'backends/*.c' 'cli/*.c' 'examples/*.c' \
        'tests/server/*.c' 'tests/support/*.c' |
        xargs -P2 -I{} clang-tidy --quiet {} -- -std=gnu11 -Iinclude -I. -isystem "$work/sqlite" \
            -D_GNU_SOURCE -DTS_SOURCE_DIR='"."' -DTS_BUILD_DIR='"."'
}

cpp_check()
{
    cd "$root" && git ls-files 'core/*.c' 'remote/*.c' 'backends/*.c' 'cli/*.c' |
        xargs cppcheck --std=c11 --enable=warning,performance,portability --inline-suppr --quiet \
            --suppress=missingIncludeSystem --error-exitcode=1 -Iinclude -I.
}

shell_check()
{
    cd "$root" && git ls-files '*.sh' .ci/run | xargs shellcheck --severity=warning
}

# The tarball has all of the tree but Debian's folder, and builds, installs and cleans up from a read-only
# source. Two test programs are built and run there; the others were, from the same files.
distcheck()
{
    local programs="tests/unit/cli_text_test tests/unit/plan_test"
    cd "$work/sqlite" && rm -f anonset-*.tar.* && make -j2 distcheck AM_DISTCHECK_DVI_TARGET= DISTCHECK_CONFIGURE_FLAGS=CFLAGS=-O0 \
        check_PROGRAMS="$programs" TESTS="$programs" || return
    tar -tf anonset-*.tar.xz | sed 's#^[^/]*/##' | sort >in-tarball || return
    git -C "$root" ls-files >in-git || return
    ! grep -vE '^(debian/|\.gitignore$)' in-git | sort | comm -13 in-tarball - | grep .
}

# Adds one build's tests to the sum: Criterion's own closing lines, and of a test that is no Criterion
# program its one verdict.
passed=0 failed=0 skipped=0
sum_in()
{
    local name=$1 dir=$2 trs log line tested passing
    [ -d "$dir" ] || return 0
    printf '\n%s\n' "$name"
    while read -r trs; do
        log=${trs%.trs}.log
        line=$(grep -a 'Synthesis:' "$log" | tail -n 1)
        if [ -n "$line" ]; then
            tested=$(sed -E 's/.*Tested: ([0-9]+).*/\1/' <<<"$line")
            passing=$(sed -E 's/.*Passing: ([0-9]+).*/\1/' <<<"$line")
            passed=$((passed + passing))
            failed=$((failed + tested - passing))
            # All of its tests are disabled in this build.
            [ "$tested" -gt 0 ] || skipped=$((skipped + 1))
        elif grep -q ':test-result: PASS' "$trs"; then
            line=PASS
            passed=$((passed + 1))
        elif grep -q ':test-result: SKIP' "$trs"; then
            line=SKIP
            skipped=$((skipped + 1))
        else
            line=FAIL
            failed=$((failed + 1))
        fi
        printf '%-44s %s\n' "$(realpath --relative-to="$dir" "${trs%.trs}")" "$line"
    done < <(find "$dir" -name '*.trs' -not -path '*/anonset-*/*' | sort)
}

# What needs the first build alone, and half of this machine.
beside()
{
    local arch cflags
    for arch in s390x armhf musl; do
        cflags=-O1
        [ "$arch" != musl ] || cflags=-O0 # most of it is compiling OpenSSL
        step "cross-$arch" env ANONSET_CHECK_DIR="$work" ANONSET_JOBS=1 CFLAGS="$cflags" \
            bash "$root/scripts/cross.sh" "$arch" "$work/sqlite"
    done
    # Its tests run in every other build. A fresh root has no folder of ours in memory.
    step packages env -u TMPDIR DEB_BUILD_OPTIONS='nocheck noautodbgsym parallel=1' \
        bash "$root/scripts/packages.sh" "$work/packages" "$work/sqlite"
    step headers headers_alone
    step includes includes_kept_apart
    step format format
    step clang-tidy tidy
    step cppcheck cpp_check
    step shellcheck shell_check
}

# Tests sync thousands of small files: where memory has room for them, nothing waits for a disk. What a
# disk may do is looked at by recorders and shims, not by the disk at hand.
in_memory()
{
    local free
    free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
    [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "${free:-0}" -ge $((4 << 20)) ] || return 0
    TMPDIR=$(mktemp -d /dev/shm/anonset-check-XXXXXX) || return
    chmod 755 "$TMPDIR" # some tests go on as another user
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
}

bash "$root/scripts/deps.sh" check || exit 1
bash "$root/scripts/deps.sh" cross || exit 1
rm -rf "$logs" "$work/config.cache" "$work/config.cache.quick"
mkdir -p "$logs"
in_memory
if [ -f "$root/config.status" ]; then
    echo "The source tree itself is configured; builds elsewhere need it clean: make distclean" >&2
    exit 1
fi
cd "$root" || exit 1
step autoreconf autoreconf -fi || exit 1
beside=
if step build-sqlite build_in "$work/sqlite" --with-backend=sqlite && step build-tests tests_of "$work/sqlite"; then
    beside &
    beside=$!
    step check-sqlite check_in "$work/sqlite"
    step install-sqlite install_in "$work/sqlite" sqlite libsqlite3 liblmdb
fi
if step build-lmdb build_in "$work/lmdb" --with-backend=lmdb --enable-static "$quick"; then
    step install-lmdb install_in "$work/lmdb" lmdb liblmdb libsqlite3
    step conformance-lmdb conformance_in "$work/lmdb"
    step static-lmdb static_in "$work/lmdb"
fi
if step build-embed build_in "$work/embed" --without-curl --enable-static "$quick"; then
    step embed embed_in "$work/embed"
fi
step build-sanitized build_in "$work/sanitized" --enable-sanitizers "$quick" &&
    step check-sanitized check_in "$work/sanitized"
# Threads under TSan, and quick tests of all parts under valgrind; make prove runs all tests so.
step tsan tool_in "$work/sqlite" tsan tests/unit/lock_test tests/unit/lmdb_test tests/unit/sqlite_test \
    tests/conformance/conformance tests/readers/readers_test
step valgrind tool_in "$work/sqlite" valgrind tests/unit/lock_test tests/unit/ledger_test \
    tests/unit/pack_test tests/unit/store_test tests/unit/json_test tests/unit/lmdb_test
step symbols exported_symbols
step doxygen make -C "$work/sqlite" doxygen
step distcheck distcheck
[ -z "$beside" ] || wait "$beside"

sum_in "make check" "$work/sqlite"
sum_in "make check without libcurl" "$work/embed"
sum_in "make check under ASan and UBSan" "$work/sanitized"
printf '\n%d s in all' $((SECONDS - started))
# A step that is no test, or broke before its tests could tell, counts as one failure.
failed_steps=$(cd "$logs" && for mark in *.failed; do [ ! -e "$mark" ] || echo "${mark%.failed}"; done)
if [ -n "$failed_steps" ]; then
    count=$(wc -l <<<"$failed_steps")
    printf '; failed steps: %s' "${failed_steps//$'\n'/ }"
    failed=$((failed > count ? failed : count))
fi
printf '\n%d passed, %d failed' "$passed" "$failed"
if [ "$skipped" -gt 0 ]; then
    printf ', %d skipped' "$skipped"
fi
printf '\n'
[ "$failed" -eq 0 ]
