/*
 * SIGKILL at random instants: of syncs over a socket with the test server, of coins and behind them
 * of the list of used tags, of the clearing of a
 * store, of the upgrade of an older cache, of conversions. After each kill a second process opens
 * the store, which must show exactly the set before or the one after, with all that was
 * acknowledged.
 */
#ifndef TK_KILL_H
#define TK_KILL_H

#include "tests/support/support.h"
#include "tests/support/world.h"

#include <anonset/backend.h>
#include <stdatomic.h>

/* What is killed. */
typedef enum tk_stage {
    TK_CREATE,  /* the first sync, from where there is no store */
    TK_FIRST,   /* the first sync of a store that is there */
    TK_RESUME,  /* a sync that goes on where an earlier one was killed */
    TK_GROWTH,  /* a sync of new coins */
    TK_REORG,   /* … of coins that were replaced */
    TK_CLEAR,   /* the clearing of a group */
    TK_UPGRADE, /* the opening of an older cache; sqlite alone */
    TK_CONVERT, /* anonset-convert, from an older cache to this backend */
    TK_STAGES
} tk_stage;

extern const char *const tk_stage_name[TK_STAGES];

typedef struct tk_figures {
    unsigned long kills[TK_STAGES];
    unsigned long between; /* kills that left something half done: pending coins */
    unsigned long ended;   /* runs that were over before their kill: not counted above */
    unsigned long bad;
    double seconds;
} tk_figures;

typedef struct tk_limits {
    uint64_t seed;
    unsigned long kills;
    double seconds;
} tk_limits;

/* Kills until there are so many of them, and one left pending coins, or the time is over. */
void tk_run(tk_figures *figures, const anonset_backend *backend, const tk_limits *limits);
unsigned long tk_sum(const tk_figures *figures);
void tk_print(const char *name, const tk_figures *figures);

/* ---- Processes (tests/kill/work.c) ---- */

/* A set as it can show: none, or this one. */
typedef struct tk_set {
    bool is;
    anonset_meta meta;
    uint8_t digest[ANONSET_HASH_BYTES];
} tk_set;

/* In memory shared by all processes. */
typedef struct tk_board {
    atomic_uint commits;  /* told by on_progress, since the stage began */
    atomic_uint position; /* coins held, by the last of these */
    atomic_uint tags;     /* used tags held, by the last of these */
    bool over;            /* the work came to its end */
    anonset_outcome outcome;
    bool is_there;           /* what was looked at: is there a store, … */
    tk_set set;              /* … its finalized set, */
    bool pending;            /* … a pending set */
    uint32_t held;           /* … and how many coins it holds with it */
    anonset_used_state used; /* … and its list of used tags */
    char why[400];           /* what is wrong; empty: nothing */
} tk_board;

typedef struct tk_work {
    const anonset_backend *backend;
    const char *path;
    const char *url;
    uint32_t sector;
    bool is_reference; /* what the others are held against; memory takes long to look tags up */
    tk_board *board;
} tk_work;

/* For processes of their own. */
void tk_sync(const tk_work *work);
void tk_clear(const tk_work *work);
/* Makes a store, or upgrades a cache. */
void tk_open(const tk_work *work);
/* Reads all that is there; must be sound. */
void tk_look(const tk_work *work);

#endif
