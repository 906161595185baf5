/* The heights of transactions at open cuts, asked for a flight at a time. */
#ifndef AS_HEIGHTS_H
#define AS_HEIGHTS_H

#include "core/chain.h"

/* One flight: electrumx charges for each, and the flight holds 48 requests. */
#define AS_HEIGHTS_FLIGHT 40u

typedef struct as_height {
    uint32_t part;   /* coins between two cuts, counted from 0 */
    uint32_t height; /* of their block; 0: not known */
} as_height;

typedef struct as_heights {
    as_cuts cuts;
    as_chain_start start;
    bool told;            /* the server has answered every question so far */
    bool refute;          /* they do, if they were of the target's chain: that is asked */
    uint32_t first, next; /* cuts that the flight is about: [first, next) */
    uint32_t n, asked;    /* parts in `seen`; those before `asked` are of an earlier flight */
    as_height seen[AS_HEIGHTS_FLIGHT];
} as_heights;

#endif
