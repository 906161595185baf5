/*
 * A server with fewer coins than we hold. It may lag, its chain may have been reorganized and be
 * shorter so far, or it may lie: what one server can say of that is asked for in one flight. The
 * finalized set is kept in any case.
 */
#include "core/sync.h"

static void end(anonset_sync *sync, anonset_code code, const char *why)
{
    as_sync_end(sync, ANONSET_REMOTE_BEHIND, code,
                "the server has %u coins, the finalized set %u; %s. The set was kept",
                (unsigned)sync->told.size, (unsigned)sync->local.finalized.size, why);
}

/* Whether the block told was the newest of an earlier finalized state of ours. */
static anonset_code was_ours(anonset_sync *sync, bool *ours)
{
    const anonset_backend *backend = sync->store->backend;
    anonset_checkpoint checkpoint;
    anonset_state state;
    void *snapshot;
    anonset_code code =
        as_sync_open(sync, &snapshot, &state, sync->result.group, ANONSET_VIEW_FINALIZED);
    if (code != ANONSET_OK)
        return code;
    *ours = false;
    for (uint32_t i = 0; code == ANONSET_OK && !*ours; i++) {
        code = backend->checkpoint(snapshot, &checkpoint, i, &sync->result.error);
        *ours = code == ANONSET_OK && as_meta_equal(&checkpoint.meta, &sync->told);
    }
    backend->snapshot_close(snapshot);
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

static void ask(anonset_sync *sync)
{
    sync->phase = AS_PHASE_BEHIND;
    sync->old_pin = sync->control = AS_REPLY_AWAITED;
    sync->newest_same = false;
    as_sync_ask_pin(sync, AS_ASK_OLD_PIN, sync->local.finalized.block_hash, 0);
    as_sync_ask_control(sync, AS_ASK_CONTROL);
    as_sync_ask_range(sync, AS_ASK_PROBE, sync->told.size - 1, sync->told.size, false);
}

void as_behind_begin(anonset_sync *sync)
{
    bool ours = false;
    anonset_code code = was_ours(sync, &ours);
    sync->result.error = (anonset_detail){.code = ANONSET_OK};
    if (code != ANONSET_OK)
        as_sync_end_store(sync, code);
    else if (sync->told.size == 0)
        end(sync, ANONSET_SERVER, "an empty set with a newest block cannot be");
    else if (ours)
        end(sync, ANONSET_OK,
            "its newest block was ours before, so it lags behind, or newer "
            "blocks were taken off the chain. Sync again later");
    else
        ask(sync);
}

static void conclude(anonset_sync *sync)
{
    bool pins_prove = sync->told.has_set_hash && sync->control == AS_REPLY_REFUSED;
    if (pins_prove && sync->old_pin == AS_REPLY_ACCEPTED)
        end(sync, ANONSET_SERVER,
            "yet it knows our newest block, which has more. One of its "
            "answers is false, or its set grew just now: sync again, or ask "
            "another server");
    else if (sync->newest_same)
        end(sync, ANONSET_OK,
            "its newest coin stands where ours does, so it lags behind, or "
            "newer blocks were taken off the chain. Sync again later");
    else
        end(sync, ANONSET_OK,
            "and its newest coin is another than ours there. The chain was "
            "reorganized and is shorter so far, or the server lies: sync again "
            "later, or ask another server");
}

bool as_behind_advance(anonset_sync *sync)
{
    if (sync->ready.set) {
        uint32_t same = 0;
        anonset_code code = as_prove_same(sync, &same, ANONSET_VIEW_FINALIZED, sync->ready.asked.lo,
                                          sync->ready.coins, 1);
        as_fetch_drop(sync);
        sync->newest_same = same == 1;
        if (code != ANONSET_OK)
            as_fetch_store_failed(sync, code);
        return true;
    }
    if (as_flight_has(&sync->flight, AS_ASK_PROBE) || sync->old_pin == AS_REPLY_AWAITED ||
        sync->control == AS_REPLY_AWAITED)
        return false;
    conclude(sync);
    return true;
}
