#!/usr/bin/env bash
# The Python package's own tests, on the library and the test server of this build.
set -uo pipefail
build=$(cd "${top_builddir:-.}" && pwd)
source=$(cd "${srcdir:-.}" && pwd)

skip()
{
    echo "skipped: $*"
    exit 77
}

command -v python3 >/dev/null || skip "there is no python3"
python3 -c 'import sys, ctypes; sys.exit(sys.version_info < (3, 10))' || skip "python3 is older than 3.10"

export ANONSET_LIBRARY=$build/.libs/libanonset.so ANONSET_TESTSERVER=$build/tests/server/anonset-testserver
export PYTHONDONTWRITEBYTECODE=1
[ -e "$ANONSET_LIBRARY" ] || skip "the library was built --disable-shared"
python=(python3)
if grep -q __asan_init <<<"$(nm -D "$ANONSET_LIBRARY")"; then
    # Python itself has no sanitizer: its runtime must come first, and Python's own leaks are not ours.
    runtime=$("${CC:-gcc}" -print-file-name=libasan.so)
    python=(env "LD_PRELOAD=$runtime" "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" python3)
    "${python[@]}" -c 'import ctypes, os; ctypes.CDLL(os.environ["ANONSET_LIBRARY"])' ||
        skip "python3 cannot run with the sanitizers' runtime"
fi
cd "$source/bindings/python" || exit 1
status=0
if command -v mypy >/dev/null; then
    mypy --strict --no-incremental --cache-dir=/dev/null -p anonset || status=1
fi
"${python[@]}" -X faulthandler -W error::ResourceWarning -m unittest discover -v -s . -t . -p 'test_*.py' || status=1
exit $status
