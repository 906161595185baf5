#include "core/alloc.h"

#include "core/detail.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void *c_allocate(void *context, size_t bytes)
{
    (void)context;
    return malloc(bytes);
}

static void *c_reallocate(void *context, void *block, size_t bytes)
{
    (void)context;
    return realloc(block, bytes);
}

static void c_release(void *context, void *block)
{
    (void)context;
    free(block);
}

static anonset_allocator allocator = {
    .size = sizeof allocator,
    .allocate = c_allocate,
    .reallocate = c_reallocate,
    .release = c_release,
};

/* A block of one allocator must not be given back to another: from the first one on it stays. */
static atomic_bool in_use;

anonset_code anonset_set_allocator(const anonset_allocator *chosen, anonset_detail *detail)
{
    if (!chosen || chosen->size < sizeof *chosen || !chosen->allocate || !chosen->reallocate ||
        !chosen->release)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "anonset_set_allocator: set size and all three functions");
    if (atomic_exchange(&in_use, true))
        return as_fail(detail, ANONSET_INVALID, 0,
                       "anonset took memory already, or was told of an allocator before: set it "
                       "once, before every other call");
    allocator = *chosen;
    return ANONSET_OK;
}

/* Hooks are never asked for nothing: a NULL would then not mean that there is no memory. */
static size_t at_least_one(size_t bytes)
{
    return bytes + (bytes == 0);
}

void *as_alloc(size_t bytes)
{
    /* Looked at first: many threads write it only once. */
    if (!atomic_load_explicit(&in_use, memory_order_relaxed))
        atomic_store(&in_use, true);
    return allocator.allocate(allocator.context, at_least_one(bytes));
}

void *as_alloc_zeroed(size_t bytes)
{
    void *block = as_alloc(bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

void *as_realloc(void *block, size_t bytes)
{
    if (!block)
        return as_alloc(bytes);
    return allocator.reallocate(allocator.context, block, at_least_one(bytes));
}

void as_free(void *block)
{
    if (block)
        allocator.release(allocator.context, block);
}

char *as_strdup(const char *text)
{
    size_t len = strlen(text) + 1;
    char *copy = as_alloc(len);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}
