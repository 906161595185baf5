#!/usr/bin/env bash
# Every call into the libraries below us fails, on every way that leads to it: the test programs
# tests/scenario/calls_*, run in the build's folder, and what they come to. With ANONSET_EVERY_CODE
# set every way fails with every code, once and for good.
set -uo pipefail

export ANONSET_ONE_WAY_IN=${ANONSET_ONE_WAY_IN:-1}

ways=0 bad=0
for program in tests/scenario/calls_{,used_,net_,cli_}test; do
    # A build without libcurl has only the first two.
    [ -x "$program" ] || continue
    said=$("$program" --verbose 2>&1) || bad=$((bad + 1))
    grep -aE 'ways failed|FAIL|Synthesis' <<<"$said"
    ways=$((ways + $(grep -aoE '[0-9]+ ways failed' <<<"$said" | awk '{n += $1} END {print n + 0}')))
done
[ "$ways" -gt 0 ] || bad=$((bad + 1))
echo "figures: $ways ways to a call failed; bad $bad"
[ "$bad" -eq 0 ]
