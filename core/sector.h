/*
 * How many coins to ask for at once. Pure. electrumx pads every answer to a power of two, so an
 * answer just below one wastes least; a server may refuse answers over its own limit; a slow line
 * wants small ones.
 */
#ifndef AS_SECTOR_H
#define AS_SECTOR_H

#include <stdbool.h>
#include <stdint.h>

typedef struct as_sector {
    uint32_t fixed;          /* coins the caller wants, or 0: adapt */
    uint32_t most;           /* never more coins than this: lowered when an answer fails */
    uint32_t limit_bytes;    /* an adapted answer stays below this power of two */
    uint32_t bytes_per_coin; /* x 16, the most seen in an answer; 0: none seen */
    uint32_t last;           /* coins last asked for by as_sector_size */
} as_sector;

void as_sector_init(as_sector *sector, uint32_t fixed, uint32_t limit_bytes);

/* Coins to ask for next, at least 1. */
uint32_t as_sector_size(as_sector *sector);

/* An answer of n coins took `bytes` of text without padding. */
void as_sector_good(as_sector *sector, uint32_t n, uint64_t bytes);

/* The answer was too large or too slow: halves. False: it cannot get smaller than one coin. */
bool as_sector_bad(as_sector *sector, uint32_t asked);

#endif
