/*
 * The heap of the library: what anonset_set_allocator was given, else the C library's. All memory
 * that anonset itself takes comes from here; scripts/check.sh looks for calls that go past it.
 */
#ifndef AS_ALLOC_H
#define AS_ALLOC_H

#include <stddef.h>

/* `bytes` bytes for any kind of object, to be ended with as_free. NULL: no memory. */
void *as_alloc(size_t bytes);

/* The same, all zero. */
void *as_alloc_zeroed(size_t bytes);

/* A block that holds as many of the bytes of `block` (NULL: none) as fit. NULL: no memory, and
 * `block` is as it was. */
void *as_realloc(void *block, size_t bytes);

/* NULL is allowed. */
void as_free(void *block);

/* A copy of a NUL-ended text. NULL: no memory. */
char *as_strdup(const char *text);

#endif
