#include "config.h"

#include "tests/shims/malloc.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/* The sanitizers' own malloc leaves no room for another. */
#ifndef ANONSET_SANITIZED

#define EXPORT __attribute__((visibility("default")))

/* glibc's own, under the names that a program may still call when it replaces the usual ones. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);
void *memalign(size_t alignment, size_t size);

static void *refused(void)
{
    errno = ENOMEM;
    return NULL;
}

static void *heard(void *block)
{
    if (block)
        malloc_came(block);
    return block;
}

EXPORT void *malloc(size_t size)
{
    return malloc_may(size) ? heard(__libc_malloc(size)) : refused();
}

EXPORT void *calloc(size_t n, size_t size)
{
    return malloc_may(n * size) ? heard(__libc_calloc(n, size)) : refused();
}

EXPORT void *realloc(void *block, size_t size)
{
    if (size != 0 && !malloc_may(size))
        return refused();
    if (block)
        malloc_goes(block);
    void *moved = __libc_realloc(block, size);
    if (!moved && size != 0)
        return heard(block), NULL;
    return heard(moved);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return malloc_may(size) ? heard(__libc_memalign(alignment, size)) : refused();
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    void *got = memalign(alignment, size);
    if (!got)
        return ENOMEM;
    *block = got;
    return 0;
}

EXPORT void free(void *block)
{
    if (block)
        malloc_goes(block);
    __libc_free(block);
}

#endif
