/*
 * Rollover: a new group begins with the newest coins of the group before, at least 8,000, in the
 * same order. Where that group is held, they are copied and not downloaded. The seam is the size at
 * which the group's own coins begin.
 *
 * Copied is only what stands on the server's chain: it accepts the old group's newest block, and
 * both ends of what is copied equal its own coins.
 */
#include "core/seam.h"

#include "core/coin.h"
#include "core/sync.h"

/* ---- Finding it --------------------------------------------------------------------------- */

/* Opens the group before. NOT_FOUND: it holds nothing that could be built on. */
static anonset_code open_old(anonset_sync *sync, void **snapshot, anonset_state *state)
{
    anonset_code code =
        as_sync_open(sync, snapshot, state, sync->result.group - 1, ANONSET_VIEW_FINALIZED);
    if (code != ANONSET_OK)
        return code;
    if (state->has_finalized && state->gate > ANONSET_GATE_NONE && state->finalized.has_set_hash &&
        !state->has_hole)
        return ANONSET_OK;
    sync->store->backend->snapshot_close(*snapshot);
    return ANONSET_NOT_FOUND;
}

static void take_old(as_seam *seam, const anonset_state *state, uint32_t at)
{
    seam->size = state->finalized.size - at;
    seam->old_at = at;
    seam->old = state->finalized;
    seam->proven = state->gate == ANONSET_GATE_SET_HASH;
}

static anonset_code find_coin(anonset_sync *sync, void *snapshot, uint32_t size, uint32_t *at,
                              const anonset_coin *coin)
{
    *at = 0;
    while (*at < size) {
        anonset_run run;
        anonset_code code = as_sync_read(sync, &run, snapshot, *at);
        if (code != ANONSET_OK)
            return code;
        for (uint32_t i = *at - run.start; i < run.n && *at < size; i++, ++*at)
            if (as_coin_equal(&run.coins[i], coin))
                return ANONSET_OK;
    }
    return ANONSET_NOT_FOUND;
}

/* The group's oldest coin is one of the group before: from there on the two are the same. */
static anonset_code find_seam(anonset_sync *sync, as_seam *seam, const anonset_coin *oldest)
{
    anonset_state state;
    void *snapshot;
    uint32_t at;
    anonset_code code = open_old(sync, &snapshot, &state);
    if (code != ANONSET_OK)
        return code;
    code = find_coin(sync, snapshot, state.finalized.size, &at, oldest);
    sync->store->backend->snapshot_close(snapshot);
    if (code == ANONSET_OK)
        take_old(seam, &state, at);
    return code;
}

/* Sets *coins to the group before's coins for position `at` and the next ones, below the seam. */
static anonset_code read_old(anonset_sync *sync, const anonset_coin **coins, uint32_t *n, void *old,
                             const as_seam *seam, uint32_t at)
{
    uint32_t left = seam->size - at;
    anonset_run run;
    anonset_code code = as_sync_read(sync, &run, old, seam->old_at + at);
    if (code != ANONSET_OK)
        return code;
    uint32_t skip = seam->old_at + at - run.start;
    *coins = run.coins + skip;
    *n = run.n - skip < left ? run.n - skip : left;
    return ANONSET_OK;
}

/* The coins of `snapshot` below the seam are those of the group before. */
static anonset_code same_as_old(anonset_sync *sync, bool *same, void *snapshot, const as_seam *seam)
{
    anonset_state state;
    void *old;
    anonset_code code = open_old(sync, &old, &state);
    *same = false;
    if (code != ANONSET_OK)
        return code;
    *same = as_meta_equal(&state.finalized, &seam->old);
    for (uint32_t at = 0; *same && at < seam->size && code == ANONSET_OK;) {
        uint32_t equal = 0, n = 0;
        const anonset_coin *coins;
        code = read_old(sync, &coins, &n, old, seam, at);
        if (code == ANONSET_OK)
            code = as_prove_same_in(sync, &equal, snapshot, at, coins, n);
        *same = equal == n;
        at += n;
    }
    sync->store->backend->snapshot_close(old);
    return code;
}

anonset_code as_seam_of_stored(anonset_sync *sync, as_seam *seam, void *snapshot)
{
    anonset_run run;
    bool same = false;
    anonset_code code = as_sync_read(sync, &run, snapshot, 0);
    if (code == ANONSET_OK)
        code = find_seam(sync, seam, &run.coins[0]);
    if (code == ANONSET_OK && seam->size <= sync->held)
        code = same_as_old(sync, &same, snapshot, seam);
    if (code == ANONSET_OK && !same)
        code = ANONSET_NOT_FOUND;
    return code;
}

/* ---- Asking ------------------------------------------------------------------------------- */

/* Nothing of the group before can be used: the download begins as any other. */
static void give_up(anonset_sync *sync)
{
    as_flight_ignore(&sync->flight);
    as_fetch_drop(sync);
    sync->result.error = (anonset_detail){.code = ANONSET_OK};
    as_fetch_begin(sync);
}

/* The coins that an earlier run copied tell where the seam is, without a question. */
static anonset_code find_seam_of_pending(anonset_sync *sync)
{
    anonset_run run;
    anonset_state state;
    void *snapshot;
    anonset_code code =
        as_sync_open(sync, &snapshot, &state, sync->result.group, ANONSET_VIEW_NEXT);
    if (code != ANONSET_OK)
        return code;
    code = state.has_pending && state.base == 0 && state.count > 0
               ? as_sync_read(sync, &run, snapshot, 0)
               : ANONSET_STALE;
    if (code == ANONSET_OK)
        code = find_seam(sync, &sync->seam, &run.coins[0]);
    sync->store->backend->snapshot_close(snapshot);
    if (code == ANONSET_OK && sync->held >= sync->seam.size)
        code = ANONSET_NOT_FOUND; /* what is left to fetch is the group's own */
    return code;
}

static anonset_code look_at_old(anonset_sync *sync)
{
    anonset_state state;
    void *snapshot;
    anonset_code code;
    sync->seam = (as_seam){.size = 0};
    if (sync->result.group < 2 || sync->base > 0 || !sync->target.has_set_hash)
        return ANONSET_NOT_FOUND;
    if (sync->held > 0)
        return as_meta_equal(&sync->local.target, &sync->target) ? find_seam_of_pending(sync)
                                                                 : ANONSET_NOT_FOUND;
    code = open_old(sync, &snapshot, &state);
    if (code != ANONSET_OK)
        return code;
    sync->seam.old = state.finalized;
    sync->store->backend->snapshot_close(snapshot);
    return ANONSET_OK;
}

static void ask_coin(anonset_sync *sync, uint32_t position)
{
    as_sync_ask_range(sync, AS_ASK_PROBE, position, position + 1, false);
}

void as_seam_begin(anonset_sync *sync)
{
    anonset_code code = look_at_old(sync);
    if (code == ANONSET_NOT_FOUND) {
        give_up(sync);
    } else if (code != ANONSET_OK) {
        as_fetch_store_failed(sync, code);
    } else {
        sync->phase = AS_PHASE_SEAM;
        sync->old_pin = sync->control = AS_REPLY_AWAITED;
        as_sync_ask_before(sync, sync->seam.old.block_hash);
        ask_coin(sync, sync->seam.size > 0 ? sync->seam.size - 1 : 0);
    }
}

/* What is copied last is the old group's newest coin. */
static anonset_code check_newest(anonset_sync *sync, const anonset_coin *coin)
{
    as_seam *seam = &sync->seam;
    anonset_state state;
    uint32_t same = 0;
    void *snapshot;
    anonset_code code = open_old(sync, &snapshot, &state);
    if (code != ANONSET_OK)
        return code;
    code = as_meta_equal(&state.finalized, &seam->old)
               ? as_prove_same_in(sync, &same, snapshot, seam->old.size - 1, coin, 1)
               : ANONSET_NOT_FOUND;
    seam->checked = same == 1;
    sync->store->backend->snapshot_close(snapshot);
    return code;
}

/* The oldest coin tells where the seam is. */
static anonset_code take_coin(anonset_sync *sync)
{
    as_seam *seam = &sync->seam;
    const anonset_coin *coin = &sync->ready.coins[0];
    const anonset_meta asked_for = seam->old;
    if (seam->size > 0)
        return check_newest(sync, coin);
    anonset_code code = find_seam(sync, seam, coin);
    /* Another process may have changed the old group: then other questions should have been asked.
     */
    if (code == ANONSET_OK &&
        (!as_meta_equal(&asked_for, &seam->old) || seam->size > sync->target.size))
        code = ANONSET_NOT_FOUND;
    seam->checked = seam->size == 1;
    if (code == ANONSET_OK && !seam->checked)
        ask_coin(sync, seam->size - 1);
    return code;
}

static bool is_awaited(const anonset_sync *sync)
{
    return as_flight_has(&sync->flight, AS_ASK_PROBE) ||
           as_flight_has(&sync->flight, AS_ASK_SEAM_META) || sync->old_pin == AS_REPLY_AWAITED ||
           sync->control == AS_REPLY_AWAITED;
}

bool as_seam_advance(anonset_sync *sync)
{
    as_seam *seam = &sync->seam;
    if (sync->ready.set) {
        anonset_code code = take_coin(sync);
        as_fetch_drop(sync);
        if (code == ANONSET_NOT_FOUND)
            give_up(sync);
        else if (code != ANONSET_OK)
            as_fetch_store_failed(sync, code);
        return true;
    }
    if (is_awaited(sync))
        return false;
    if (!seam->checked || sync->old_pin != AS_REPLY_ACCEPTED || sync->control != AS_REPLY_REFUSED)
        give_up(sync);
    else
        sync->phase = AS_PHASE_COPY;
    return true;
}

/* ---- Copying ------------------------------------------------------------------------------ */

/* Into memory of our own: a store may not be written to its full while one of its snapshots is
 * open. */
static anonset_code park_old(anonset_sync *sync, void *snapshot)
{
    const anonset_coin *coins;
    uint32_t n;
    anonset_code code = read_old(sync, &coins, &n, snapshot, &sync->seam, sync->held);
    return code == ANONSET_OK ? as_fetch_park(sync, coins, n) : code;
}

static anonset_code read_more(anonset_sync *sync)
{
    anonset_state state;
    void *snapshot;
    anonset_code code = open_old(sync, &snapshot, &state);
    if (code == ANONSET_NOT_FOUND)
        return ANONSET_STALE;
    if (code != ANONSET_OK)
        return code;
    code =
        as_meta_equal(&state.finalized, &sync->seam.old) ? park_old(sync, snapshot) : ANONSET_STALE;
    sync->store->backend->snapshot_close(snapshot);
    return code;
}

bool as_copy_advance(anonset_sync *sync)
{
    uint32_t n;
    anonset_code code;
    if (sync->held == sync->seam.size) {
        /* From here on it is as if an earlier run had downloaded them for this target. */
        sync->resuming = true;
        as_fetch_begin(sync);
        return true;
    }
    code = read_more(sync);
    n = sync->ready.n;
    if (code != ANONSET_OK) {
        as_fetch_store_failed(sync, code);
    } else if (as_fetch_commit(sync, sync->ready.coins, n)) {
        as_fetch_drop(sync);
        sync->result.fetched -= n;
        sync->result.copied += n;
        as_sync_tell_progress(sync);
    }
    return true;
}
