#!/usr/bin/env bash
# prove.sh short|long: the fuzz targets under libFuzzer, ASan and UBSan, to the counts of
# doc/reliability.md. Run in a build's folder; a build of their own is made in fuzz-build there.
# FUZZ_RUNS="ANSWER SYNC LEGACY STORE" are other counts, FUZZ_SEED=n another seed, FUZZ_JOBS=n how many
# targets run at once (1). An input that fails is left in fuzz-build.
set -uo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
case ${1:-} in
short) counts=${FUZZ_RUNS:-20000000 1000000 100000 1000000} ;;
long) counts=${FUZZ_RUNS:-1000000000 10000000 1000000 10000000} ;;
*)
    echo "usage: prove.sh short|long" >&2
    exit 2
    ;;
esac
seed=${FUZZ_SEED:-$(($(date +%s) % 1000000000 + 1))}
read -r answer sync legacy store <<<"$counts"
targets=(answer sync legacy store)

compiler=
for name in clang clang-14 clang-15 clang-16 clang-19; do
    if echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' |
        "$name" -x c -fsanitize=fuzzer,address,undefined -o /dev/null - 2>/dev/null; then
        compiler=$name
        break
    fi
done
if [ -z "$compiler" ]; then
    echo "There is no clang with libFuzzer: scripts/deps.sh prove" >&2
    exit 1
fi

build()
{
    mkdir -p fuzz-build && cd fuzz-build || return
    if [ ! -f Makefile ]; then
        "$source/configure" --disable-shared --enable-sanitizers --disable-werror CC="$compiler" \
            CFLAGS='-g -O2 -fsanitize=fuzzer-no-link' CPPFLAGS=-DANONSET_LIBFUZZER || return
    fi
    make -j2 FUZZ_LDFLAGS=-fsanitize=fuzzer "${targets[@]/#/tests/fuzz/}" || return
}

# Answers to begin with: recorded ones that are not long, with a number for the recorder's id.
seed_answers()
{
    local file to=fuzz-build/seeds/answer n=0
    mkdir -p "$to"
    for file in "$source"/tests/fuzz/transaction.json "$source"/tests/fixtures/electrumx/*.response \
        "$source"/tests/fixtures/{h_edges,a_nogroup,b_1block,d_3blocks,i_mintmeta}/*.json; do
        [ "$(wc -c <"$file")" -le 1100 ] || continue
        n=$((n + 1)) # not in the redirection, which is a process of its own
        sed 's/"cap"/7/' "$file" >"$to/$n" || return
    done
    [ "$n" -ge 20 ] || { echo "only $n recorded answers to begin with" >&2; return 1; }
}

# run TARGET RUNS LENGTH OPTIONS…: libFuzzer's words and what the runs came to in TARGET.log.
run()
{
    local target=$1 runs=$2 length=$3 from=$SECONDS
    shift 3
    mkdir -p "fuzz-build/corpus/$target" "fuzz-build/seeds/$target"
    (cd fuzz-build && exec "tests/fuzz/${target}_fuzz" -runs="$runs" -seed="$seed" -max_len="$length" \
        -entropic=0 -print_final_stats=1 -artifact_prefix="$target-" "$@" "corpus/$target" \
        "seeds/$target") >"fuzz-build/$target.log" 2>&1
    echo "$?" >"fuzz-build/$target.status"
    echo "$target: exit $(cat "fuzz-build/$target.status"), $((SECONDS - from)) s"
    grep -E '^(stat::number_of|stat::average|stat::peak|behind|[0-9]+ (in|up))' "fuzz-build/$target.log"
}

targets=("${targets[@]/%/_fuzz}")
if ! (build) >fuzz-build.log 2>&1; then
    tail -n 40 fuzz-build.log
    exit 1
fi
# A reader of 700 KB for each input: its shadow is cleared in place, not mapped anew.
export ASAN_OPTIONS=clear_shadow_mmap_threshold=4194304:quarantine_size_mb=16${ASAN_OPTIONS:+:$ASAN_OPTIONS}
rm -rf fuzz-build/corpus fuzz-build/seeds
seed_answers || exit
echo "seed $seed"
limit=${FUZZ_JOBS:-1}
# Stores keep memory from one input to the next, which libFuzzer takes for a leak: it would run each
# input twice. `make check` runs the same operations under LeakSanitizer.
for job in "answer $answer 1100" "sync $sync 300" "legacy $legacy 128" \
    "store $store 256 -detect_leaks=0"; do
    # shellcheck disable=SC2086 # words on purpose
    run $job &
    [ "$(jobs -rp | wc -l)" -lt "$limit" ] || wait -n
done
wait

bad=0 counted=
for target in answer sync legacy store; do
    [ "$(cat "fuzz-build/$target.status")" = 0 ] || { bad=$((bad + 1)); tail -n 40 "fuzz-build/$target.log"; }
    done_runs=$(sed -n 's/^stat::number_of_executed_units: //p' "fuzz-build/$target.log")
    [ "${done_runs:-0}" -ge "${!target}" ] || bad=$((bad + 1))
    counted+="${counted:+, }$target ${done_runs:-0}"
done
echo "figures: runs: $counted; bad $bad"
[ "$bad" -eq 0 ]
