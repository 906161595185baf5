#!/usr/bin/env bash
# prove.sh short|long [row…]
#
# Runs the harnesses of doc/reliability.md one after another, in the build's folder, and ends with a
# table of figures. Exit code 1 if a row does not hold. Each row's output is kept in prove-logs/.
#
# A harness exits with 0 only if its row holds, and the last line of its standard output is
#     figures: <what it counted>; bad <n>
set -uo pipefail

# A line for each harness: row | command of the short mode | command of the long mode
# A harness that is a script is named by "$source", the tree's folder.
rows()
{
    cat <<'END'
crash-states | tests/crash/crash --states 100000 | tests/crash/crash --states 5000000
rotten-disks | tests/rot/rot --images 20000 | tests/rot/rot --every-bit
allocations | tests/faults/alloc | tests/faults/alloc && "$source/tests/tools.sh" valgrind tests/faults/alloc
readers | tests/readers/readers | tests/readers/readers --times 100
full-disk | tests/faults/disk | tests/faults/disk
places | tests/faults/place | tests/faults/place
hostile | tests/scenario/hostile | tests/scenario/hostile
failed-sync | tests/crash/crash --failed-sync --states 10000 | tests/crash/crash --failed-sync --states 500000
io-faults | tests/crash/faults --seeds 3 | tests/crash/faults --pairs
fuzz | "$source/tests/fuzz/prove.sh" short | "$source/tests/fuzz/prove.sh" long
kills | tests/kill/kill --kills 1000 | tests/kill/kill --kills 50000
crowd | tests/crowd/crowd --programs 10000 | tests/crowd/crowd --programs 200000
tsan | "$source/tests/tools.sh" tsan | "$source/tests/tools.sh" tsan
valgrind | "$source/tests/tools.sh" valgrind | "$source/tests/tools.sh" valgrind
coverage | "$source/scripts/coverage.sh" | "$source/scripts/coverage.sh" --mcdc && "$source/scripts/coverage.sh"
library-calls | "$source/tests/calls.sh" | ANONSET_EVERY_CODE=1 "$source/tests/calls.sh"
END
}

logs=prove-logs
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export source

usage()
{
    printf 'usage: prove.sh short|long [row…]; rows:\n' >&2
    rows | sed 's/ |.*//; s/^/    /' >&2
    exit 2
}

# prove ROW COMMAND: runs it, and adds a line to the table.
prove()
{
    local row=$1 command=$2 log=$logs/$1.log from=$SECONDS verdict=ok status figures
    printf '\n== %s: %s\n' "$row" "$command"
    bash -c "$command" 2>&1 </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    figures=$(sed -n 's/^figures: \(.*; bad [0-9][0-9]*\)$/\1/p' "$log" | tail -n 1)
    if [[ $status -ne 0 || ${figures##*; bad } != 0 ]]; then
        verdict="FAILED (exit code $status)"
        failed=1
    fi
    table+=("$row" "${figures%; bad *}" "${figures##*; bad }" $((SECONDS - from)) "$verdict")
}

[[ ${1:-} == short || ${1:-} == long ]] || usage
mode=$1
shift
for row in "$@"; do
    rows | grep -q "^$row |" || usage
done

table=()
failed=0
mkdir -p "$logs"
# shellcheck disable=SC2034 # short and long: one of them, by its name
while IFS='|' read -r row short long <&3; do
    row=${row%% *}
    if [[ $# -eq 0 || " $* " == *" $row "* ]]; then
        command=${!mode# }
        prove "$row" "${command% }"
    fi
done 3< <(rows)

printf '\n%-16s %-72s %6s %8s\n' row counted bad seconds
printf '%-16s %-72s %6s %8s  %s\n' "${table[@]}"
exit "$failed"
