/*
 * A coordinator played against the model of the node (world.h): whole syncs without a socket, and
 * whether a store holds exactly what the model does.
 */
#ifndef TS_PLAY_H
#define TS_PLAY_H

#include "tests/support/world.h"

#define TP_ALL UINT32_MAX /* answers without a limit */

/*
 * Syncs `store` with `chain` by `options`, whose callbacks are not called. Where the list of used
 * tags is synced too, and ends worse than the group, the result has its outcome and error. After
 * `answers` answers the sync is given up, as a kill would end it, with the outcome
 * ANONSET_OUTCOME_COUNT. Returns what anonset_sync_new and anonset_sync_feed do; all else is in the
 * result.
 */
anonset_code tp_sync(anonset_result *result, anonset_store *store, const tw_chain *chain,
                     const anonset_sync_options *options, uint32_t answers, tw_reply *reply);

/* The finalized set of the group is that of `chain`, coin by coin; else `why` (cap bytes) tells
 * what is not. */
bool tp_is_whole(anonset_store *store, uint32_t group, const tw_chain *chain, char *why,
                 size_t cap);

/* The list of used tags is that of `chain`, tag by tag, and each is found. */
bool tp_has_used(anonset_store *store, const tw_chain *chain, char *why, size_t cap);

#endif
