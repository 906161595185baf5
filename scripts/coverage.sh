#!/usr/bin/env bash
# coverage.sh [--mcdc] [--keep]
#
# How much of our own code (core, backends, remote, cli) the tests run: builds it with gcc's counters
# and without optimization, runs all of `make check`, and prints a table by folder and file with what
# was not run. Fails below 100 % of lines or 95 % of branches, after the exclusions in
# tests/coverage.txt, each with its reason. --keep counts what the last run left, and runs no test.
#
# --mcdc builds with clang 19 instead, and tells of modified condition/decision coverage.
#
# The build is in build-coverage/ (or $ANONSET_COVERAGE_DIR) and kept for the next run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${ANONSET_COVERAGE_DIR:-$root/build-coverage}
folders='core|backends|remote|cli'
lines_least=100
branches_least=95
mcdc='' keep=''
unset MAKEFLAGS MFLAGS MAKELEVEL # of a make that called this: the build here is another
export ANONSET_ONE_WAY_IN=1      # every call fails, not one in a few

for option in "$@"; do
    case $option in
    --mcdc) mcdc=1 ;;
    --keep) keep=1 ;;
    *)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
    esac
done

need()
{
    command -v "$1" >/dev/null && return
    echo "$1 is missing: install the Debian package $2" >&2
    exit 1
}

# build_and_check DIR OPTION…: configures and makes there, and runs the tests; a failing one is told.
build_and_check()
{
    local dir=$1
    shift
    mkdir -p "$dir"
    cd "$dir"
    [ -x "$root/configure" ] || (cd "$root" && autoreconf -fi) >autoreconf.log 2>&1
    [ -f Makefile ] || "$root/configure" --disable-werror "$@" >configure.log
    # What a run that was broken off left, and other versions of the sources.
    find . \( -name '*.gcda' -o -name '*.profraw' \) -delete
    rm -rf generated # made by a program that counts as well
    make -j2 >make.log 2>&1 || { tail -n 30 make.log >&2; return 1; }
    make -j2 check >check.log 2>&1 || { grep -aE "^(FAIL|ERROR)|\*\*\*" check.log >&2; return 1; }
    grep -aE '^# (TOTAL|PASS|SKIP)' check.log | tr -s '\n ' '  '
    echo
}

# What lets memory, disks and calls fail, so that the ways back out count as well.
harnesses()
{
    cat <<'END'
tests/crash/faults --seed 1 --stride 5 sqlite
tests/faults/alloc --seed 1 --every 20
tests/crash/faults --seed 1 --stride 4 lmdb
tests/rot/rot --seed 1 --images 500
tests/faults/disk --seed 1 --every 8
END
}

# In the build's folder; 77: a harness that the system does not let do all of it.
run_harnesses()
{
    # shellcheck disable=SC2016
    harnesses | xargs -P 2 -d '\n' -n 1 sh -c '
        $0 >"harness-$$.log" 2>&1
        case $? in 0 | 77) ;; *) tail -n 20 "harness-$$.log" >&2; echo "FAIL: $0" >&2; exit 1 ;; esac'
}

# Every line with its branches, as XML: all programs that were built of a source count together.
collect()
{
    gcovr -j2 --root "$root" --object-directory . --filter "$root/($folders)/" \
        --sonarqube coverage.xml . >gcovr.log 2>&1 || { cat gcovr.log >&2; return 1; }
}

# coverage.xml and the exclusions: a table, and what the figures lack.
judge()
{
    awk -v root="$root" -v lines_least=$lines_least -v branches_least=$branches_least '
    function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
    function percent(n, of) { return of ? sprintf("%.1f", int(1000 * n / of) / 10) : "-" }
    function value(tag, name,    part) {
        if (!match(tag, name "=\"[^\"]*\"")) return ""
        part = substr(tag, RSTART, RLENGTH)
        sub(/^[^"]*"/, "", part); sub(/"$/, "", part)
        return part
    }
    function row(name, l, lh, b, bh) {
        printf "%-30s %6d %6d %6s  %6d %6d %6s\n", name, l, lh, percent(lh, l), b, bh, percent(bh, b)
    }
    function read_source(path,    i, line) {
        delete source
        for (i = 1; (getline line < (root "/" path)) > 0; i++) source[i] = trim(line)
        close(root "/" path)
    }
    function take(path, tag,    n, b, bh, hit, key) {
        n = value(tag, "lineNumber") + 0
        hit = value(tag, "covered") == "true"
        b = value(tag, "branchesToCover") + 0
        bh = value(tag, "coveredBranches") + 0
        key = path SUBSEP source[n]
        if (key in reason) {
            if (!hit || bh < b) { used[key]++; excluded_lines += !hit; excluded_branches += b - bh }
            b = bh
            if (!hit) return
        }
        l[path]++; lh[path] += hit; br[path] += b; brh[path] += bh
        if (!hit) missed[path] = missed[path] " " n
        else if (bh < b) partly[path] = partly[path] " " n
    }
    FNR == NR {
        if ($0 ~ /^(#|$)/) next
        if (split($0, part, / \| /) != 3) { print "tests/coverage.txt: no reason: " $0; bad = 1; next }
        key = trim(part[1]) SUBSEP trim(part[2])
        reason[key] = trim(part[3])
        next
    }
    {
        gsub(/></, ">\n<")
        n = split($0, tags, "\n")
        for (i = 1; i <= n; i++) {
            if (tags[i] ~ /^<file /) {
                path = value(tags[i], "path")
                files[++file_count] = path
                read_source(path)
            } else if (tags[i] ~ /^<lineToCover/) {
                take(path, tags[i])
            }
        }
    }
    END {
        printf "%-30s %6s %6s %6s  %6s %6s %6s\n", "", "lines", "run", "%", "branch", "taken", "%"
        for (i = 1; i <= file_count; i++) {
            path = files[i]; folder = path
            sub(/\/[^\/]*$/, "", folder)
            if (!(folder in fl)) folders[++folder_count] = folder
            fl[folder] += l[path]; flh[folder] += lh[path]
            fb[folder] += br[path]; fbh[folder] += brh[path]
        }
        for (k = 1; k <= folder_count; k++) {
            folder = folders[k]
            row(folder "/", fl[folder], flh[folder], fb[folder], fbh[folder])
            tl += fl[folder]; tlh += flh[folder]; tb += fb[folder]; tbh += fbh[folder]
            for (i = 1; i <= file_count; i++) {
                path = files[i]; of = path
                sub(/\/[^\/]*$/, "", of)
                if (of == folder) row("  " path, l[path], lh[path], br[path], brh[path])
            }
        }
        row("all", tl, tlh, tb, tbh)
        for (i = 1; i <= file_count; i++)
            if (missed[files[i]]) print "not run: " files[i] ":" missed[files[i]]
        for (i = 1; i <= file_count; i++)
            if (partly[files[i]]) print "not every way: " files[i] ":" partly[files[i]]
        for (key in reason) {
            split(key, part, SUBSEP)
            if (key in used) printf "excluded: %s: %s: %s\n", part[1], part[2], reason[key]
            else printf "needs no exclusion: %s: %s\n", part[1], part[2]
        }
        if (!tl || tlh * 100 < lines_least * tl) bad++
        if (!tb || tbh * 100 < branches_least * tb) bad++
        printf "figures: lines %d of %d (%s %%), branches %d of %d (%s %%), excluded %d and %d; bad %d\n",
            tlh, tl, percent(tlh, tl), tbh, tb, percent(tbh, tb), excluded_lines, excluded_branches, bad
        exit bad != 0
    }' "$root/tests/coverage.txt" coverage.xml
}

mcdc_of_clang()
{
    need clang-19 clang-19
    need llvm-cov-19 llvm-19
    local profiles=$work/mcdc/profiles counters='-fprofile-instr-generate -fcoverage-mapping'
    mkdir -p "$profiles"
    export LLVM_PROFILE_FILE=$profiles/%8m.profraw
    [ -n "$keep" ] || build_and_check "$work/mcdc" CC=clang-19 \
        CFLAGS="-O0 -g $counters -fcoverage-mcdc" LDFLAGS="$counters"
    cd "$work/mcdc"
    llvm-profdata-19 merge -sparse "$profiles"/*.profraw -o mcdc.profdata
    local objects=()
    while read -r object; do
        [ "$(head -c 4 "$object" | tr -d '\0')" != $'\177ELF' ] || objects+=(-object "$object")
    done < <(find . -type f -executable)
    llvm-cov-19 report -instr-profile=mcdc.profdata "${objects[@]}" --show-mcdc-summary \
        --show-region-summary=false --ignore-filename-regex='/(tests|bench|examples)/' >report 2>cov.log
    cat report
    awk '/^TOTAL/ {printf "figures: MC/DC %s (%d of %d conditions); bad 0\n", $NF, $(NF-2) - $(NF-1), $(NF-2)}' report
}

if [ -n "$mcdc" ]; then
    mcdc_of_clang
    exit
fi
need gcovr gcovr
# Counters are atomic: some tests run our code on two threads. Children that leave by _exit count, too.
mkdir -p "$work/gcc"
gcc -fPIC -c "$root/tests/shims/counted_exit.c" -o "$work/gcc/counted_exit.o"
if [ -z "$keep" ]; then
    build_and_check "$work/gcc" CFLAGS='-O0 -g --coverage -fprofile-update=atomic' \
        LDFLAGS=-Wl,--wrap=_exit LIBS="$work/gcc/counted_exit.o"
    (cd "$work/gcc" && run_harnesses)
fi
cd "$work/gcc"
collect
judge
