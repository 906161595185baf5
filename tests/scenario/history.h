/*
 * A history: one store, two servers on chains of one world, and syncs that get killed at requests
 * and at writes, with the chain changing under them and wrong answers. Which chains and which lies
 * there are is the test's; what must hold whatever happened is here.
 *
 * What does not hold ends the program with a message that names the history.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include "core/store.h"
#include "tests/support/world.h"

struct trouble {
    double kill, mid, lie; /* probability at a tick */
    bool flip;             /* lies are of the kind that only a set hash shows */
    double quit;           /* cancelled or aborted; 0: no number is drawn for it */
};

struct history {
    /* Set by the test: */
    char name[64]; /* how to have it again */
    char path[160];
    const anonset_backend *backend;
    uint32_t budget; /* of the proof */
    bool prove;      /* with heights */
    anonset_used_mode used;
    anonset_on_reorg on_reorg;
    tw_world *world;
    tw_rng *rng;
    const tw_chain *server[2];
    /* The chain behind `old`; NULL: it stays. */
    const tw_chain *(*move)(struct history *h, const tw_chain *old);
    /* May change h->reply, also its id; true: it is a lie now. */
    bool (*lie)(struct history *h);
    /* Sees every answer just before it is fed; may be NULL. */
    void (*seen)(struct history *h, const anonset_answer *answer);

    anonset_store *store;
    bool lied; /* at any time in this history */

    /* Of the sync under way, or the last one. */
    struct trouble trouble;
    bool disturbed, killed;
    uint32_t which; /* server */
    uint32_t coins_sent;
    anonset_result result;
    anonset_state before, now;
    anonset_outcome used_ended; /* ANONSET_OUTCOME_COUNT: the list of used tags was not begun */
    anonset_used_state used_before, used_now;
    tw_reply reply;
};

#define HISTORY_HOLDS(h, condition, ...) ((condition) ? (void)0 : history_broken(h, __VA_ARGS__))
_Noreturn void history_broken(const struct history *h, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Opens the store, and removes its files and all that it holds. */
void history_open(struct history *h);
void history_remove(struct history *h);

/* One sync against server `which`; then h->before and h->now are what was stored. It must end, and
 * leave a finalized set, and the list of used tags, alone unless it tells that it changed it. The
 * list never gets shorter. */
void history_sync(struct history *h, uint32_t which, uint32_t sector, struct trouble trouble);

/* The stored coins and used tags agree with their digests. */
void history_is_sound(struct history *h);

/* How a sync that nothing disturbed ends on `chain`, with the coins of `held` finalized (NULL: none
 * are). */
anonset_outcome history_expected(const struct history *h, const tw_chain *held,
                                 const tw_chain *chain);

#endif
