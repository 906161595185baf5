#!/usr/bin/env bash
# What anonset takes of the heap it takes by core/alloc.c, so that the caller's allocator sees all of
# it: no other object of the library knows the C library's allocator, by any name.
set -uo pipefail

calls='malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|memalign|valloc'
calls+='|(__)?strn?dup|v?asprintf|__v?asprintf_chk|getline|getdelim|__getdelim|open_memstream|scandir|getcwd'
parts='libcore.a liblock.a libmemory.a libremote.a libsqlite.a liblmdbstore.a'
status=0

# users ARCHIVE: "MEMBER: NAME" for each that it asks for.
users()
{
    "${NM:-nm}" -A -u "$1" | sed -nE "s/^[^:]*:([^:]*): +U ($calls)(@.*)?\$/\1: \2/p"
}

for part in $parts; do
    found=$(users ".libs/$part") || { echo "$part: nothing to look at"; exit 1; }
    if [ "$part" = libcore.a ]; then
        # The one that may, and proof that this test sees what it looks for.
        [ "$(grep -c '^libcore_la-alloc\.o: ' <<<"$found")" -eq 3 ] || { echo "core/alloc.c: $found"; status=1; }
        found=$(grep -v '^libcore_la-alloc\.o: ' <<<"$found")
    fi
    [ -z "$found" ] || { echo "$part goes past core/alloc.h:"; echo "$found"; status=1; }
done
exit $status
