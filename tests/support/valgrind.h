/* Tests under valgrind: tests/tools.sh says so. */
#ifndef TS_VALGRIND_H
#define TS_VALGRIND_H

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static inline bool ts_valgrind(void)
{
    return getenv("ANONSET_VALGRIND") != NULL;
}

/* A time in which a harness must come to something, or a program to its end. */
static inline double ts_box(double time)
{
    return ts_valgrind() ? 20 * time : time;
}

/* Ends a process that takes longer: it hangs. */
static inline void ts_alarm(unsigned seconds)
{
    (void)alarm((unsigned)ts_box(seconds));
}

#endif
