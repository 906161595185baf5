/*
 * A sync on the memory backend against the model of the node, step by step. One at a time: `r`.
 */
#ifndef TS_RIG_H
#define TS_RIG_H

#include "core/store.h"
#include "core/sync.h"
#include "tests/support/world.h"

#define BLOCKS     10u /* of the chain that a test begins with */
#define SECTOR     3u
#define STEPS_MOST 5000u
#define FEEDS_MOST 64u

typedef struct world_rig world_rig;
struct world_rig {
    tw_world world;
    const tw_chain *chain;
    anonset_store *store;
    anonset_sync *sync;
    anonset_sync_options options;
    anonset_request last; /* handed out */
    tw_reply *reply;
    void (*lie)(world_rig *rig, const anonset_request *request, anonset_answer *answer);
    uint32_t steps, coins_sent;
    uint32_t results, progresses;
    anonset_result result;
    anonset_progress progress;
    bool cancel_on_progress, cancel_on_result;
    /* which of the outstanding requests is answered, feed by feed */
    uint32_t choice[FEEDS_MOST], choices[FEEDS_MOST];
    uint32_t fed;
    uint32_t lies;
};

extern world_rig r;
extern tw_reply rig_other_reply; /* for a second sync, of another process */

/* A store of nothing, a chain of BLOCKS, and a sync begun. */
void rig_set_up(void);
void rig_set_up_with(const anonset_backend *backend);
void rig_tear_down(void);
void rig_open_store(const anonset_backend *backend);

/* The next sync, with r.options. */
void rig_begin(void);
void rig_end(void);
/* An answer to one of the requests; a step, and the answer it waits for. */
void rig_feed_one(void);
anonset_step rig_turn(void);
void rig_run(void);

/* The sync finalized the server's set, whole. */
void rig_expect_whole(void);
/* Whatever happened to the sync before, the next one finishes. */
void rig_expect_next_finishes(void);

#endif
