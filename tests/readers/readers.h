/*
 * Readers and writers at once: processes sync one store with the model of the node while its chain
 * grows, is reorganized and mined again, and others (threads on the same handle, threads on their
 * own, processes) open snapshots all the time. All know the sets there will be, from the seed, so
 * that each snapshot can be held against them, coin by coin, and the list of used tags as well.
 */
#ifndef TR_READERS_H
#define TR_READERS_H

#include <anonset/backend.h>

#include <stdbool.h>
#include <stdint.h>

/* Who shares the store in a round. */
typedef enum tr_cast {
    TR_ONE_WRITER,  /* with four threads that read beside it, and two processes that do */
    TR_TWO_WRITERS, /* processes, each with a thread that reads, and a process that reads */
    TR_FOUR_WRITERS,
    TR_KILLED_WRITERS, /* four, and a process that reads; SIGKILL at random */
    TR_CASTS
} tr_cast;

extern const char *const tr_cast_name[TR_CASTS];

/* What is counted. */
typedef enum tr_count {
    TR_SNAPSHOTS,  /* opened and read whole, both ways */
    TR_HELD,       /* read whole once more, after other commits */
    TR_FOUND,      /* earlier block hashes found in a snapshot, and what is behind them read */
    TR_SYNCS,      /* to their end */
    TR_FINALIZED,  /* … and it was this one that finalized the set */
    TR_REPLACED,   /* … over a tail that was reorganized */
    TR_REANCHORED, /* the same coins, mined again */
    TR_CLEARED,    /* stores */
    TR_GIVEN_UP,   /* syncs ended half way */
    TR_OVERTAKEN,  /* syncs that the server's chain, or another writer, was ahead of: kept */
    TR_STALE,      /* writes that another writer was ahead of */
    TR_BUSY,       /* writes that waited in vain for another writer */
    TR_KILLED,     /* processes */
    TR_BAD,        /* what must not be; told on standard error */
    TR_COUNTS
} tr_count;

extern const char *const tr_count_name[TR_COUNTS];

typedef struct tr_limits {
    uint64_t seed; /* of the first round; the next has the next */
    unsigned long snapshots;
    double seconds;
} tr_limits;

typedef struct tr_figures {
    unsigned long n[TR_CASTS][TR_COUNTS];
    unsigned long rounds;
    double seconds;
} tr_figures;

/* Runs rounds, so that each cast has its share, until so many snapshots were read or the time is
 * over, but at
 * least one of each. */
void tr_run(tr_figures *figures, const anonset_backend *backend, const tr_limits *limits);
unsigned long tr_sum(const tr_figures *figures, tr_count count);
void tr_print(const char *name, const tr_figures *figures);

#endif
