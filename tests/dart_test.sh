#!/usr/bin/env bash
# Dart's declarations are those of the header; and where there is a Dart, its example syncs.
set -uo pipefail
build=$(cd "${top_builddir:-.}" && pwd)
source=$(cd "${srcdir:-.}" && pwd)
package=$source/bindings/dart

skip()
{
    echo "skipped: $*"
    exit 77
}

# Debian's python3 and no other: it has the parser.
/usr/bin/python3 -c 'import pycparser' 2>/dev/null || skip "there is no python3-pycparser"
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$package/generate.py" "$source/include/anonset/anonset.h" |
    diff -u "$package/lib/src/bindings.dart" - || exit 1
diff <(grep -o "'anonset_[a-z_]*'" "$package/lib/src/bindings.dart" | tr -d "'" | LC_ALL=C sort -u) \
    "$source/tests/symbols.txt" || exit 1
# The example can only name what there is.
status=0
for name in $(grep -oE '\banonset_[a-z_]+|\bANONSET_[A-Z_]+' "$package/example/sync.dart" "$package/lib/anonset.dart" -h |
    sort -u); do
    grep -qw "$name" "$package/lib/src/bindings.dart" ||
        [ "$name" = ANONSET_LIBRARY ] || { echo "$name is not declared"; status=1; }
done
[ "$status" -eq 0 ] && command -v dart >/dev/null || exit $status

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cp -R "$package" "$work/dart" && cd "$work/dart" || exit 1
dart pub get || skip "the package ffi cannot be had"
dart analyze --fatal-infos || exit 1
coproc SERVER { exec "$build/tests/server/anonset-testserver" --lifeline --coins 500; }
read -r -t 20 line <&"${SERVER[0]}" || exit 1
ANONSET_LIBRARY=$build/.libs/libanonset.so dart run example/sync.dart "$work/spark.set" 127.0.0.1 \
    "$(sed -E 's/.* electrumx=([0-9]+).*/\1/' <<<"$line")" | grep -x '500 coins'
