#!/usr/bin/env bash
# The benchmark works, and its table has the shape that doc/performance.md speaks of. No figure is
# looked at: this is no timed test.
set -uo pipefail

# The sanitizers' own malloc leaves no room for another that counts.
if grep -q 'define ANONSET_SANITIZED' config.h; then
    exit 77
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

if ! TMPDIR=$work bench/bench --quick 600 --svg "$work/chart.svg" >"$work/table"; then
    cat "$work/table"
    exit 1
fi

status=0
# need COUNT PATTERN: so many lines have it.
need()
{
    local found
    found=$(grep -cE "$2" "$work/table")
    if [ "$found" -ne "$1" ]; then
        printf 'smoke: %s lines in place of %s with: %s\n' "$found" "$1" "$2"
        status=1
    fi
}

need 8 '^(legacy layout|raw append|  with digest|  and through|bare|anonset,)[^|]*( \|[^|]+){6}$'
need 60 ' (SQLite|LMDB  ) \| .* \| [<>]= .* \| (held|not held|not run)$'
head -c 4 "$work/chart.svg" | grep -q '<svg' && tail -n 1 "$work/chart.svg" | grep -q '^</svg>$' || {
    echo "smoke: the chart is no SVG"
    status=1
}
[ "$status" -eq 0 ] || cat "$work/table"
exit "$status"
