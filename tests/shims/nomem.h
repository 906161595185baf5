/*
 * Allocations that fail (tests/shims/malloc.h): the n-th one from a moment on, alone or with all
 * that follow, in the program that links it.
 */
#ifndef NOMEM_H
#define NOMEM_H

#include <stdbool.h>

typedef struct nomem_plan {
    unsigned long at; /* this one fails, counted from 1; 0: none */
    bool for_good;    /* and all after it */
    /* told: */
    unsigned long asked; /* allocations since it was armed */
    bool struck;
} nomem_plan;

/* Counts and fails by `plan` from now on, until it is disarmed. */
void nomem_arm(nomem_plan *plan);
void nomem_disarm(void);

/* Blocks that are allocated now. */
long nomem_live(void);

/* From now on remembers who allocated each block, and tells on `fd` where an allocation is refused.
 * For people: it is slow. */
void nomem_trace(int fd);
/* The blocks that came since and are still there. */
void nomem_tell_live(int fd);

#endif
