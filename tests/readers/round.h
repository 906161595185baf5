/* A round, as its processes share it. */
#ifndef TR_ROUND_H
#define TR_ROUND_H

#include "tests/readers/readers.h"
#include "tests/support/world.h"

#include <stdatomic.h>

#define TR_GROUP      1u
#define TR_STEPS_MOST 120u

/* In memory that all processes share. */
typedef struct tr_board {
    atomic_uint server; /* the step that the server has come to */
    atomic_uint acked;  /* the newest step that a writer was told is finalized */
    atomic_bool over;
    atomic_ulong n[TR_COUNTS];
} tr_board;

/* Made before the processes are, and the same in each. */
typedef struct tr_round {
    uint64_t seed;
    tr_cast cast;
    const anonset_backend *backend;
    char path[300];
    tw_world world;
    const tw_chain *steps[TR_STEPS_MOST]; /* what the server has; NULL: the store is cleared */
    uint32_t n_steps;
    tr_board *board;
} tr_round;

void tr_add(tr_round *round, tr_count count);
/* Counts what must not be, and tells it. */
void tr_bad(tr_round *round, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* NULL: the store cannot be opened, which is told. Writers of a competition do not wait long for
 * each other: then BUSY comes up. */
anonset_store *tr_open(tr_round *round, const anonset_backend *backend, unsigned flags);

/* The step up to `newest` that has this set; UINT32_MAX: none. */
uint32_t tr_step_of(const tr_round *round, const anonset_meta *meta, uint32_t newest);

/* ---- The story (tests/readers/story.c) ---- */

/* Plans the steps, from the seed: sets never get smaller, but where the store is cleared. */
void tr_plan(tr_round *round);

/* ---- Reading (tests/readers/reader.c) ---- */

/* Reads until the round is over. */
void tr_read(tr_round *round, anonset_store *store, uint64_t seed);
/* The same, on handles of its own, opened again and again. */
void tr_read_anew(tr_round *round, uint64_t seed);
/* One snapshot, which must show the last step. */
void tr_read_last(tr_round *round, anonset_store *store);

/* ---- Writing (tests/readers/writer.c) ---- */

/* Syncs until the last step is finalized. */
void tr_write(tr_round *round, anonset_store *store, uint64_t seed);
/* The backend of a round's writers: it counts. */
const anonset_backend *tr_counting(tr_round *round);

#endif
