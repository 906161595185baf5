/*
 * Crash states: a subject is recorded while it writes a store, every image that a power loss could
 * have left (tests/crash/image.h) is opened by it, and must show exactly the state before or after
 * the write that was interrupted.
 *
 * Images are looked at in a child process, so that a signal is just another bad image.
 */
#ifndef TC_CRASH_H
#define TC_CRASH_H

#include "tests/crash/image.h"

/* What a store shows, as a number; two of them have a meaning of their own. */
#define TC_BAD    1u /* it cannot be read */
#define TC_ABSENT 2u /* there is none */

/* A write, as the log saw it. */
typedef struct tc_mark {
    size_t begun; /* operations in the log when it was called */
    size_t acked; /* … and when it returned OK: it is durable from here on. SIZE_MAX: it failed */
    uint64_t shown; /* by the store, after it; 0: it failed, and that is not known */
} tc_mark;

#define TC_WRITES 13
#define TC_MARKS  1024

/* One recorded run. */
typedef struct tc_tape {
    uint64_t seed;
    const char *folder; /* the store is `folder`/store */
    char path[300];
    disk_log log;
    uint64_t first; /* what shows before all writes */
    size_t from;    /* operations in the log before which nothing is looked at */
    tc_mark marks[TC_MARKS];
    size_t n_marks;
    unsigned long writes[TC_WRITES]; /* of each kind; the subject knows which */
    void *after;                     /* what go_on needs; ended by forget */
} tc_tape;

/* Told to the tape while it is recorded. `shown`: what will show after it, if that is known. */
void tc_write_begins(tc_tape *tape, uint64_t shown);
void tc_write_acked(tc_tape *tape, unsigned kind, uint64_t shown);
/* The store was told to be in this state, by more than a read: nothing behind it may be lost. */
void tc_settled(tc_tape *tape, uint64_t shown);

#define TC_WHY 400

typedef struct tc_subject {
    const char *name;
    const void *mode; /* of a subject that comes in many */
    const char *write_names[TC_WRITES];
    /* What is there before the log begins. May be NULL: nothing. */
    void (*prepare)(const void *mode, tc_tape *tape);
    /* Writes a store under tape->path. */
    void (*record)(const void *mode, tc_tape *tape);
    /* Opens the store and tells what it shows, TC_BAD with `why`. */
    uint64_t (*look)(const void *mode, const char *path, char why[TC_WHY]);
    /* May be NULL. Goes on with the store of the tape; false with `why`. */
    bool (*go_on)(const tc_tape *tape, const char *path, char why[TC_WHY]);
    void (*forget)(tc_tape *tape);
} tc_subject;

typedef struct tc_limits {
    uint64_t seed; /* of the first recorded run; the next has the next */
    unsigned long states;
    double seconds;
    bool quiet; /* says nothing of bad images: for those that must be bad */
} tc_limits;

typedef struct tc_figures {
    unsigned long states[TC_MODELS];  /* unique images, by the model that led there first */
    unsigned long corrupt[TC_MODELS]; /* … that cannot be read, or show what never was */
    unsigned long lost[TC_MODELS];    /* … that lack an acknowledged write */
    unsigned long signals;            /* among the corrupt */
    unsigned long checked;            /* images at points of the log, each against what may show */
    unsigned long finished;           /* images on which the next sync was run to its end … */
    unsigned long stopped;            /* … and on which it did not end as it must */
    unsigned long runs, ops;          /* recorded */
    unsigned long writes[TC_WRITES];
    double seconds;
} tc_figures;

/* Runs until there are `states` unique images or the time is over. */
void tc_run(tc_figures *figures, const tc_subject *subject, const tc_limits *limits);
/* Images that are bad in any way. */
unsigned long tc_bad(const tc_figures *figures);
void tc_print_head(void);
void tc_print(const tc_subject *subject, const tc_figures *figures);

/* ---- Subjects ---- */

typedef enum tc_kind {
    TC_SQLITE,
    TC_SQLITE_LEGACY, /* an older wallet's cache, upgraded */
    TC_LMDB,
    TC_SQLITE_SYNC_FAILS, /* once in each run */
    TC_LEGACY_SYNC_FAILS,
    TC_LMDB_SYNC_FAILS,
    TC_KINDS
} tc_kind;

tc_subject tc_store(tc_kind kind);

typedef enum tc_engine {
    TC_SQLITE_WAL_FULL,
    TC_SQLITE_DELETE_EXTRA,
    TC_LMDB_RENAMED,
    TC_SQLITE_DELETE_FULL, /* from here on the harness must find something bad */
    TC_SQLITE_WAL_NORMAL,
    TC_LMDB_NOSYNC,
    TC_LMDB_IN_PLACE,
    TC_ENGINES
} tc_engine;

/* The engine alone, one row a commit. */
tc_subject tc_bare(tc_engine engine);

#endif
