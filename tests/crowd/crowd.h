/*
 * Many programs on one store: syncs from all places, repairs, exports, clearings, some killed
 * anywhere, while the server's chain grows and is reorganized. Nothing on the disk rots, so none
 * may ever say that it did; and behind all of it a sync must end with exactly the server's coins.
 */
#ifndef TM_CROWD_H
#define TM_CROWD_H

#include <stdint.h>

typedef struct tm_limits {
    uint64_t seed; /* of what is chosen; when things happen is the machine's affair */
    unsigned long programs;
} tm_limits;

typedef struct tm_figures {
    unsigned long programs, killed;
    unsigned long moves; /* of the chain */
    unsigned long bad;
    double seconds;
} tm_figures;

/* "sqlite" or "lmdb". Tells of what is bad on standard error. */
void tm_run(tm_figures *figures, const char *backend, const tm_limits *limits);
void tm_print(const char *backend, const tm_figures *figures);

#endif
