/*
 * The same operations on several backends at once, valid ones and refused ones, as numbers choose
 * them. After each step all must have answered the same and must hold the same: states, digests,
 * checkpoints and the coins of both views. memory shares no code with the others, so that a common
 * mistake of theirs shows too. What differs ends the program with a message.
 */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "core/store.h"
#include "tests/conformance/kit.h"
#include "tests/support/world.h"

#define OPS_POOL       400u /* coins to append from */
#define OPS_SECTOR_MAX 60u
#define OPS_USED_MAX   1100u /* of the list of used coin tags: it spans what lmdb keeps together */
#define OPS_SIDES      8
#define OPS_HANDLES    2
#define OPS_HELD       4 /* snapshots held across operations */

enum ops_kind {
    OPS_APPEND,
    OPS_COMPLETE,
    OPS_DISCARD,
    OPS_CLEAR,
    OPS_GENESIS,
    OPS_REOPEN,
    OPS_HOLD,    /* opens a snapshot */
    OPS_RELEASE, /* reads it again and closes it */
    OPS_USED,    /* replaces the end of the list of used coin tags */
    OPS_KINDS
};

extern const char *const ops_names[OPS_KINDS];

struct ops_side {
    const anonset_backend *backend;
    char path[KIT_DIR + 40];
    void *handles[OPS_HANDLES];
    void *held[OPS_HELD];
};

struct ops_hold {
    bool used;
    anonset_view view;
    anonset_state state;
    uint64_t image;
};

struct ops {
    /* Set by the test: */
    const char *name;     /* of the run, for messages */
    const char *dir;      /* where the stores are */
    uint32_t size_most;   /* no set grows larger */
    uint32_t sector_most; /* OPS_SECTOR_MAX at most */
    bool look_once;       /* at all of the stores at the end alone; at states after each step */
    tw_rng rng;

    struct ops_side sides[OPS_SIDES];
    size_t n;
    bool tags; /* all backends keep them */
    struct ops_hold holds[OPS_HELD];
    ts_chain *pool;
    uint8_t digests[OPS_SECTOR_MAX + 1][ANONSET_HASH_BYTES]; /* of the sector that is made up now */
    anonset_meta upon;
    bool lists;                      /* all backends have one of used coin tags */
    anonset_used used[OPS_USED_MAX]; /* to append from */
    unsigned step;
    unsigned done[OPS_KINDS], refused[OPS_KINDS];
};

/* Opens a store of each of the n backends. */
void ops_open(struct ops *o, const anonset_backend *const *backends, size_t n);
/* One operation. */
void ops_step(struct ops *o);
/* Closes all snapshots held, compares the stores whole, and empties them. */
void ops_clear(struct ops *o);
/* Closes the stores. */
void ops_close(struct ops *o);

#endif
