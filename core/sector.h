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
    uint32_t fixed;        /* coins the caller wants, or 0: adapt */
    uint32_t most;         /* never more coins than this: lowered when an answer fails */
    uint32_t limit_bytes;  /* an adapted answer stays below this power of two */
    uint32_t last;         /* coins last asked for by as_sector_size */
    uint64_t coins, bytes; /* seen in answers; older ones count less */
    uint64_t spread;       /* sum of n x square of how far an answer's bytes a coin were off */
    uint32_t samples;      /* of them */
    bool padded;           /* the last answer was */
} as_sector;

void as_sector_init(as_sector *sector, uint32_t fixed, uint32_t limit_bytes);

/* Coins to ask for next, at least 1. */
uint32_t as_sector_size(as_sector *sector);

/* The same where `left` coins are left to ask for: all of them, or as many as waste less, since
 * padding would add too much to the whole rest. */
uint32_t as_sector_part(as_sector *sector, uint32_t left);

/* An answer of n coins took `bytes` of text without padding. */
void as_sector_good(as_sector *sector, uint32_t n, uint64_t bytes, bool padded);

/* The answer was too large or too slow: halves. False: it cannot get smaller than one coin. */
bool as_sector_bad(as_sector *sector, uint32_t asked);

#endif
