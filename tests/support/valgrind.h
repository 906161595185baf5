/* Tests under valgrind: tests/tools.sh says so. */
#ifndef TS_VALGRIND_H
#define TS_VALGRIND_H

#include <stdbool.h>
#include <stdlib.h>

static inline bool ts_valgrind(void)
{
    return getenv("ANONSET_VALGRIND") != NULL;
}

/* The time box of a harness, in which it must come to something. */
static inline double ts_box(double seconds)
{
    return ts_valgrind() ? 20 * seconds : seconds;
}

#endif
