/* The coins of a set recorded from a real node. What cannot be done fails the test. */
#ifndef TS_RECORDED_H
#define TS_RECORDED_H

#include <anonset/anonset.h>

typedef struct ts_recorded {
    anonset_answer answer; /* coins, n: newest first */
    char *text;            /* what the coins point into */
} ts_recorded;

/* The n coins of tests/fixtures/NAME, one answer of firod. End it with ts_recorded_clear. */
void ts_recorded_read(ts_recorded *recorded, const char *name, uint32_t n);
void ts_recorded_clear(ts_recorded *recorded);

/* What firod told of a set. */
void ts_recorded_meta(anonset_meta *meta, const char *name);
/* By heights.txt: at which positions the blocks of a set end, oldest first. Returns how many. */
uint32_t ts_recorded_ends(uint32_t *ends, uint32_t cap, const char *name);

#endif
