#!/usr/bin/env bash
# tools.sh valgrind|tsan [PROGRAM…]
#
# Runs test programs, in the build's folder, under valgrind's memcheck, or a build of them with the
# thread sanitizer, made below the folder; without names all of them, of such a build for either.
# tests/shims/runner.c stands in for Criterion. Any report is bad, of the programs and of all that they
# start; the reports are kept in tools-logs/. The last line is that of a harness of prove.sh.
set -uo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tool=${1:-}
[[ $tool == valgrind || $tool == tsan ]] || {
    printf 'usage: tools.sh valgrind|tsan [PROGRAM…]\n' >&2
    exit 2
}
shift

# Programs that link the shared library before it is installed are libtool's shell scripts, which valgrind
# would look at too, and at all that they call.
link_statically()
{
    rm -f anonset examples/own_transport && make LDFLAGS=-static anonset examples/own_transport
}

# The thread sanitizer needs a build of its own; so does valgrind for tests that start programs.
if [[ $tool == tsan || $# -eq 0 ]]; then
    options=(--enable-static) last=link_statically
    [[ $tool == valgrind ]] || options=(--enable-sanitizers=thread CFLAGS='-g -O1') last=true
    mkdir -p "$tool-build" && cd "$tool-build" || exit 1
    [[ -f Makefile ]] || "$source/configure" "${options[@]}" >configure.log 2>&1 || exit 1
    if [[ $# -gt 0 ]]; then
        make -j2 tests/shims/runner.la "$@" >build.log 2>&1
    else
        { make -j2 && make -j2 check TESTS= && $last; } >build.log 2>&1
    fi || {
        tail -n 50 build.log
        exit 1
    }
fi
build=$PWD
logs=$build/tools-logs
rm -rf "$logs"
mkdir -p "$logs"
chmod 1777 "$logs" # some tests go on as another user, whose reports lie there as well

# The shim that stands before calls on files is called before the thread sanitizer is ready; what it is
# in has one thread.
all_programs()
{
    local left_out='\.sh$'
    [[ $tool == valgrind ]] || left_out+='|^tests/crash/'
    # shellcheck disable=SC2016 # make's variable
    printf 'print:\n\t@echo $(TESTS)\n' | make -s -f Makefile -f - print | tr ' ' '\n' | grep -vE "$left_out"
}

# A program that Criterion does not run has no line of Criterion's: it counts as one test. Where a program
# has a malloc of its own that refuses (tests/shims/malloc.c), memcheck watches the one behind it.
run()
{
    local program=$1 log=$logs/${1//\//-}
    if [[ $tool == valgrind ]]; then
        LD_PRELOAD=$build/tests/shims/.libs/runner.so ANONSET_PATIENCE=50 ANONSET_KILLS=10 ANONSET_ONE_WAY_IN=50 \
            ANONSET_VALGRIND=1 valgrind -q --vgdb=no --trace-children=yes --child-silent-after-fork=no --error-exitcode=9 \
            --soname-synonyms=somalloc=nouserintercepts \
            --leak-check=full --show-leak-kinds=definite,possible \
            --errors-for-leak-kinds=definite,possible --suppressions="$source/tests/valgrind.supp" \
            --log-file="$log.report.%p" "$program" >"$log.log" 2>&1 </dev/null
    else
        LD_PRELOAD=$build/tests/shims/.libs/runner.so ANONSET_PATIENCE=10 ANONSET_KILLS=10 ANONSET_ONE_WAY_IN=20 \
            TSAN_OPTIONS="halt_on_error=1:exitcode=66:log_path=$log.report:suppressions=$source/tests/tsan.supp" \
            "$program" >"$log.log" 2>&1 </dev/null
    fi
}

# One program, its verdict, and what tells why; its figures go into a file.
one()
{
    local program=$1 log=$logs/${1//\//-} at=$SECONDS verdict=ok counted
    run "$program"
    case $? in
    0) ;;
    77) verdict=skipped ;;
    *) verdict=FAILED ;;
    esac
    find "$logs" -name "${log##*/}.report*" -empty -delete
    [[ -z $(find "$logs" -name "${log##*/}.report*") ]] || verdict=REPORTED
    counted=$(sed -n 's/.*Synthesis: Tested: \([0-9]*\).*/\1/p' "$log.log" | tail -n 1)
    [[ $verdict != skipped ]] || counted=0
    case $verdict in
    FAILED | REPORTED)
        tail -n 15 "$log.log"
        find "$logs" -name "${log##*/}.report*" -exec head -n 40 {} +
        ;;
    esac
    echo "$verdict ${counted:-1}" >"$log.verdict"
    printf '%-44s %6s tests %5d s  %s\n' "$program" "${counted:-1}" $((SECONDS - at)) "$verdict"
}

# Valgrind runs one thread of a process at a time; what the thread sanitizer watches needs the cores.
lanes=1
[[ $tool == tsan ]] || lanes=$(nproc)
[[ $# -gt 0 ]] || mapfile -t named < <(all_programs)
[[ $# -gt 0 ]] && named=("$@")
running=0
for program in "${named[@]}"; do
    [[ $program != *.sh ]] || continue
    if [[ $running -lt $lanes ]]; then
        running=$((running + 1))
    else
        wait -n
    fi
    echo "LOST 0" >"$logs/${program//\//-}.verdict" # stays so if its shell is killed
    one "$program" &
done
wait

grep -l '^LOST' "$logs"/*.verdict | sed 's/\.verdict$/: lost without a verdict/'
read -r programs tests bad < <(cat "$logs"/*.verdict /dev/null | awk '
    $1 != "skipped" {programs++}
    $1 != "ok" && $1 != "skipped" {bad++}
    {tests += $2}
    END {print programs + 0, tests + 0, bad + 0}')
printf 'figures: %d programs, %d tests under %s; bad %d\n' "$programs" "$tests" "$tool" "$bad"
[[ $bad -eq 0 && $programs -gt 0 ]]
