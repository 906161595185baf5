/*
 * A hole that a repair left in the finalized set. Its coins are asked for at just their positions,
 * at whatever block the server told: the log digests at both ends are known, so that no pin and no
 * server need be trusted. Either the coins lead from one to the other, and are the ones that were
 * there, or the hole stays.
 *
 * Coins that do not are of another history: the chain was reorganized since, or the server lies.
 * Then the set is downloaded anew from where the hole begins, as after any reorganization.
 */
#include "core/sync.h"

#include <string.h>

void as_mend_begin(anonset_sync *sync)
{
    const anonset_state *local = &sync->local;
    sync->base = local->hole_from;
    sync->held = sync->next = local->hole_from + local->hole_filled;
    memcpy(sync->digest_held, local->hole_digest, ANONSET_HASH_BYTES);
    if (!sync->started)
        sync->result.resumed_from = sync->held;
    sync->started = true;
    sync->phase = AS_PHASE_MEND;
    as_sync_tell_progress(sync);
}

/* ---- Other coins -------------------------------------------------------------------------- */

static void download_anew(anonset_sync *sync)
{
    const anonset_state *local = &sync->local;
    if (local->has_pending && !as_sync_discard(sync))
        return;
    as_sync_begin_at(sync, local->hole_from, local->hole_from, local->hole_before);
    as_sync_tell_progress(sync);
    if (sync->base > 0)
        as_prove_begin(sync);
    else
        as_seam_begin(sync);
}

void as_mend_replace(anonset_sync *sync)
{
    const anonset_state *local = &sync->local;
    unsigned from = local->hole_from, to = local->hole_to - 1;
    if (memcmp(local->finalized.block_hash, sync->target.block_hash, ANONSET_HASH_BYTES) == 0)
        as_sync_end(sync, ANONSET_ANOMALY, ANONSET_SERVER,
                    "the coins %u to %u that a repair dropped are others now, at the same block. "
                    "Ask another server; if it says the same, clear the group and sync again",
                    from, to);
    else if (sync->options.on_reorg == ANONSET_REORG_KEEP)
        as_sync_end(sync, ANONSET_REORG_DETECTED, ANONSET_OK,
                    "the coins %u to %u that a repair dropped are others on the server's chain: it "
                    "was reorganized, or the server lies. What is left of the set was kept",
                    from, to);
    else if (sync->target.size < local->finalized.size)
        as_sync_end(sync, ANONSET_REMOTE_BEHIND, ANONSET_OK,
                    "the coins %u to %u that a repair dropped are others on the server's chain, "
                    "which is shorter than the set: sync again later, or ask another server",
                    from, to);
    else
        download_anew(sync);
}

/* What was filled may be false from its first coin on. */
static void begin_anew(anonset_sync *sync)
{
    anonset_store *store = sync->store;
    const anonset_state *local = &sync->local;
    anonset_code code = ANONSET_OK;
    anonset_damage damage = {
        .group = sync->result.group, .from = local->hole_from, .to = local->hole_to};
    memcpy(damage.digest, local->digest, ANONSET_HASH_BYTES);
    memcpy(damage.before, local->hole_before, ANONSET_HASH_BYTES);
    memcpy(damage.after, local->hole_after, ANONSET_HASH_BYTES);
    as_flight_ignore(&sync->flight);
    as_fetch_drop(sync);
    if (local->hole_filled > 0)
        code = store->backend->drop(store->handle, &damage, &sync->result.error);
    sync->unmendable = true;
    sync->restarted = true;
    if (code == ANONSET_OK)
        as_sync_decide(sync);
    else
        as_fetch_store_failed(sync, code);
}

/* ---- Filling ------------------------------------------------------------------------------ */

static void ask_next(anonset_sync *sync)
{
    uint32_t lo = sync->next;
    uint32_t n = as_sector_size(&sync->sector);
    sync->next = sync->local.hole_to - lo < n ? sync->local.hole_to : lo + n;
    as_sync_ask_range(sync, AS_ASK_MEND, lo, sync->next, false);
}

static void filled(anonset_sync *sync, const anonset_append *append)
{
    anonset_state *local = &sync->local;
    local->hole_filled += append->n;
    memcpy(local->hole_digest, append->digest_after, ANONSET_HASH_BYTES);
    memcpy(sync->digest_held, append->digest_after, ANONSET_HASH_BYTES);
    sync->held += append->n;
    sync->result.fetched += append->n;
    sync->commits++;
    sync->moved = sync->stale = 0;
    as_fetch_drop(sync);
    as_sync_tell_progress(sync);
    if (sync->held < local->hole_to)
        return;
    sync->mended = true;
    as_sync_decide(sync);
}

static void fill(anonset_sync *sync)
{
    anonset_store *store = sync->store;
    anonset_append append;
    anonset_code code = as_fetch_make(sync, &append, sync->ready.coins, sync->ready.n);
    bool closes = sync->held + sync->ready.n == sync->local.hole_to;
    if (code == ANONSET_OK && closes &&
        memcmp(append.digest_after, sync->local.hole_after, ANONSET_HASH_BYTES) != 0) {
        begin_anew(sync);
        return;
    }
    if (code == ANONSET_OK)
        code = store->backend->mend(store->handle, &append, &sync->result.error);
    if (code == ANONSET_OK)
        filled(sync, &append);
    else
        as_fetch_store_failed(sync, code);
}

bool as_mend_advance(anonset_sync *sync)
{
    if (sync->next < sync->local.hole_to && !as_flight_has(&sync->flight, AS_ASK_MEND)) {
        ask_next(sync);
        return true;
    }
    if (!sync->ready.set)
        return false;
    fill(sync);
    return true;
}
