/* Filling the caller's anonset_detail. */
#ifndef AS_DETAIL_H
#define AS_DETAIL_H

#include <anonset/anonset.h>
#include <stddef.h>

/* Writes code, errno-like os_error and a formatted text to `detail` (NULL is allowed) and returns
 * `code`, so that a failing function can end with `return as_fail(…)`. */
anonset_code as_fail(anonset_detail *detail, anonset_code code, int os_error, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));

/* What an errno means for the caller: NO_MEMORY, FULL, PERMISSION, NOT_FOUND, else IO. */
anonset_code as_errno_code(int os_error);

/* The text of FULL, behind what could not be done. */
#define AS_FULL_TEXT                                                                               \
    "the disk (or quota) is full, or no file may grow further (ulimit -f): free some space and "   \
    "call again"

/* The text of FOREIGN where a store's format is another one; it takes that and ours, both unsigned.
 */
#define AS_FORMAT_TEXT                                                                             \
    "a store of format %u, this library knows %u; it was not touched: use the version of anonset " \
    "that wrote it, or sync to another path"

#ifdef __clang_analyzer__
/* Static analysis sees one file at a time: what as_fail returns is the code it was given, never OK.
 */
#define as_fail(detail, code, ...) ((void)(as_fail)(detail, code, __VA_ARGS__), (code))
#endif

/* Copies at most `len` bytes of text from elsewhere to `out` (cap bytes, NUL-ended), all but
 * printable ASCII replaced by '?': server text must not reach a terminal as it came. */
void as_clean_text(char *out, size_t cap, const char *text, size_t len);

#endif
