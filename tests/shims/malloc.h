/*
 * The C library's allocator with an ear in it. malloc.c, linked into a program or a preloaded
 * module, stands before the C library's functions for everybody in the process: engines, crypto,
 * the C library itself (strdup, fopen, getline, … call malloc by its name). Whoever links it says
 * what is heard.
 */
#ifndef MALLOC_H
#define MALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Asked before every allocation, also where realloc grows or moves a block: false lets it fail with
 * ENOMEM. Freeing is never asked for. */
bool malloc_may(size_t size);
/* Told of every block that came, and went; realloc tells of both, also where the block stays. */
void malloc_came(void *block);
void malloc_goes(void *block);

#endif
