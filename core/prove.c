/*
 * That the finalized coins below `base` are on the target's chain: the newest checkpoint whose
 * block the server accepts covers all below its size, and what lies above it is compared, coin by
 * coin. Decided from stored state and the server's answers alone, so that a kill forgets nothing.
 */
#include "core/coin.h"
#include "core/sync.h"

#include <string.h>

/* ---- Comparing ---------------------------------------------------------------------------- */

anonset_code as_prove_same_in(anonset_sync *sync, uint32_t *same, void *snapshot, uint32_t lo,
                              const anonset_coin *coins, uint32_t n)
{
    bool equal = true;
    *same = 0;
    while (*same < n && equal) {
        anonset_run run;
        anonset_code code = as_sync_read(sync, &run, snapshot, lo + *same);
        if (code != ANONSET_OK)
            return code;
        for (uint32_t i = lo + *same - run.start; i < run.n && *same < n && equal; i++) {
            equal = as_coin_equal(&run.coins[i], &coins[*same]);
            *same += equal;
        }
    }
    return ANONSET_OK;
}

anonset_code as_prove_same(anonset_sync *sync, uint32_t *same, anonset_view view, uint32_t lo,
                           const anonset_coin *coins, uint32_t n)
{
    anonset_state state;
    void *snapshot;
    uint64_t shown;
    anonset_code code = as_sync_open(sync, &snapshot, &state, sync->result.group, view);
    if (code != ANONSET_OK)
        return code;
    shown = view == ANONSET_VIEW_NEXT && state.has_pending ? (uint64_t)state.base + state.count
            : state.has_finalized                          ? state.finalized.size
                                                           : 0;
    /* Another process may have cleared or dropped what we planned with. */
    code = (uint64_t)lo + n > shown ? ANONSET_STALE
                                    : as_prove_same_in(sync, same, snapshot, lo, coins, n);
    sync->store->backend->snapshot_close(snapshot);
    return code;
}

/* ---- Digest ------------------------------------------------------------------------------- */

/* The newest checkpoint at or below `position`; size 0 if there is none. */
static anonset_code checkpoint_below(anonset_sync *sync, anonset_checkpoint *below, void *snapshot,
                                     uint32_t position)
{
    const anonset_backend *backend = sync->store->backend;
    anonset_code code;
    for (uint32_t i = 0;; i++) {
        code = backend->checkpoint(snapshot, below, i, &sync->result.error);
        if (code != ANONSET_OK || below->meta.size <= position)
            break;
    }
    if (code != ANONSET_NOT_FOUND)
        return code;
    *below = (anonset_checkpoint){.alias = false};
    return ANONSET_OK;
}

anonset_code as_prove_digest_at(anonset_sync *sync, uint8_t *digest, void *snapshot, uint32_t below,
                                uint32_t position)
{
    anonset_checkpoint checkpoint;
    anonset_code code = checkpoint_below(sync, &checkpoint, snapshot, below);
    uint32_t at = checkpoint.meta.size;
    memcpy(digest, checkpoint.digest, ANONSET_HASH_BYTES);
    while (code == ANONSET_OK && at < position) {
        anonset_run run;
        code = as_sync_read(sync, &run, snapshot, at);
        if (code != ANONSET_OK)
            break;
        for (uint32_t i = at - run.start; i < run.n && at < position && code == ANONSET_OK;
             i++, at++)
            code = as_digest_coin(sync->digest, digest, digest, &run.coins[i]);
    }
    return code;
}

/* ---- Floor -------------------------------------------------------------------------------- */

static bool is_candidate(const anonset_sync *sync, const anonset_checkpoint *checkpoint)
{
    /* The first block's own hash is refused though it is on the chain: it says nothing. And a state
     * of an older cache that did not add up has no size that its block would speak for. */
    return !checkpoint->alias && checkpoint->gate > ANONSET_GATE_NONE &&
           checkpoint->meta.has_set_hash && checkpoint->meta.size <= sync->base;
}

static void add_candidate(anonset_sync *sync, const anonset_checkpoint *checkpoint, uint32_t index)
{
    as_candidate *candidate = &sync->candidates[sync->candidate_count++];
    *candidate = (as_candidate){.size = checkpoint->meta.size, .index = index};
    memcpy(candidate->block_hash, checkpoint->meta.block_hash, ANONSET_HASH_BYTES);
}

/* Checkpoints to try: the first ones not known to be refused, then ever wider apart, since an
 * accepted one proves all below it, and one flight asks for all. */
static anonset_code find_candidates(anonset_sync *sync, void *snapshot)
{
    anonset_detail *detail = &sync->result.error;
    const anonset_backend *backend = sync->store->backend;
    anonset_checkpoint checkpoint;
    uint32_t next = sync->floor_from;
    uint32_t index = 0;
    anonset_code code;
    sync->candidate_count = 0;
    while ((code = backend->checkpoint(snapshot, &checkpoint, index, detail)) == ANONSET_OK) {
        if (index >= next && is_candidate(sync, &checkpoint)) {
            add_candidate(sync, &checkpoint, index);
            next = index + 1 + (index - sync->floor_from);
        }
        if (sync->candidate_count == AS_CANDIDATES)
            return ANONSET_OK;
        index++;
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

static anonset_code load_candidates(anonset_sync *sync)
{
    anonset_state state;
    void *snapshot;
    anonset_code code =
        as_sync_open(sync, &snapshot, &state, sync->result.group, ANONSET_VIEW_FINALIZED);
    if (code != ANONSET_OK)
        return code;
    code = find_candidates(sync, snapshot);
    sync->store->backend->snapshot_close(snapshot);
    return code;
}

void as_prove_begin(anonset_sync *sync)
{
    anonset_code code = ANONSET_OK;
    sync->candidate_count = 0;
    sync->phase = AS_PHASE_FLOOR;
    /* In a group of one block every hash is accepted: no checkpoint can be the floor. */
    if (sync->target.has_set_hash)
        code = load_candidates(sync);
    if (code != ANONSET_OK) {
        as_sync_end_store(sync, code);
        return;
    }
    sync->control = AS_REPLY_REFUSED;
    if (sync->candidate_count == 0)
        return;
    sync->control = AS_REPLY_AWAITED;
    as_sync_ask_control(sync, AS_ASK_CONTROL);
    for (uint32_t i = 0; i < sync->candidate_count; i++)
        as_sync_ask_pin(sync, AS_ASK_FLOOR, sync->candidates[i].block_hash, i);
}

bool as_prove_floor_advance(anonset_sync *sync)
{
    if (as_flight_has(&sync->flight, AS_ASK_FLOOR) || as_flight_has(&sync->flight, AS_ASK_CONTROL))
        return false;
    if (sync->control == AS_REPLY_ACCEPTED) {
        as_sync_moved(sync, "the group shrank to one block while it was synced");
        return true;
    }
    sync->floor = (as_candidate){.size = 0};
    for (uint32_t i = sync->candidate_count; i-- > 0;)
        if (sync->candidates[i].reply == AS_REPLY_ACCEPTED)
            sync->floor = sync->candidates[i];
    sync->floor_from = sync->floor.index;
    if (as_guess_is_worth_it(sync))
        as_guess_begin(sync);
    else
        as_prove_compare(sync, sync->floor.size);
    return true;
}

/* ---- Comparison --------------------------------------------------------------------------- */

static void compare(anonset_sync *sync, uint32_t from, uint32_t to)
{
    sync->compare_from = sync->compare_next = from;
    sync->compare_to = to;
    sync->phase = AS_PHASE_COMPARE;
}

void as_prove_compare(anonset_sync *sync, uint32_t from)
{
    sync->hash_covers = false;
    compare(sync, from, sync->covered);
}

/* The coins below the first step up, and below `base`: the first block is among them. */
static anonset_code oldest_run(anonset_sync *sync, uint32_t *n)
{
    uint8_t last[AS_COIN_BYTES];
    anonset_state state;
    bool up = false;
    void *snapshot;
    anonset_code code =
        as_sync_open(sync, &snapshot, &state, sync->result.group, ANONSET_VIEW_FINALIZED);
    if (code != ANONSET_OK)
        return code;
    *n = 0;
    if (!state.has_finalized || state.finalized.size < sync->base)
        code = ANONSET_STALE;
    while (*n < sync->base && !up && code == ANONSET_OK) {
        anonset_run run;
        code = as_sync_read(sync, &run, snapshot, *n);
        for (uint32_t i = *n - run.start; code == ANONSET_OK && i < run.n && !up; i++) {
            up = run.coins[i].serialized_len < AS_COIN_BYTES ||
                 (*n > 0 && memcmp(run.coins[i].serialized, last, AS_COIN_BYTES) > 0);
            if (up)
                break;
            memcpy(last, run.coins[i].serialized, AS_COIN_BYTES);
            ++*n;
        }
    }
    sync->store->backend->snapshot_close(snapshot);
    return code;
}

void as_prove_oldest_run(anonset_sync *sync)
{
    uint32_t n = 0;
    anonset_code code = oldest_run(sync, &n);
    if (code != ANONSET_OK) {
        as_fetch_store_failed(sync, code);
        return;
    }
    sync->hash_covers = true;
    compare(sync, 0, n < sync->covered ? n : sync->covered);
}

void as_prove_newest(anonset_sync *sync)
{
    uint32_t n = as_sector_size(&sync->sector);
    sync->same_hash = true;
    compare(sync, sync->covered > n ? sync->covered - n : 0, sync->covered);
}

static void ask_compare(anonset_sync *sync)
{
    uint32_t lo = sync->compare_next;
    uint32_t hi = lo + as_sector_part(&sync->sector, sync->compare_to - lo);
    sync->compare_next = hi;
    as_sync_ask_range(sync, AS_ASK_COMPARE, lo, hi, false);
}

static void compare_ready(anonset_sync *sync)
{
    as_asked asked = sync->ready.asked;
    uint32_t same;
    anonset_code code = as_prove_same(sync, &same, ANONSET_VIEW_FINALIZED, asked.lo,
                                      sync->ready.coins, sync->ready.n);
    if (code != ANONSET_OK) {
        as_fetch_drop(sync);
        as_fetch_store_failed(sync, code);
    } else if (same < sync->ready.n) {
        /* What was asked for above is asked for again as new coins. */
        as_flight_ignore(&sync->flight);
        if (as_sync_follow(sync, asked.lo + same))
            as_fetch_begin_ready(sync);
    } else {
        as_fetch_drop(sync);
    }
}

bool as_prove_compare_advance(anonset_sync *sync)
{
    if (sync->ready.set) {
        compare_ready(sync);
        return true;
    }
    if (as_flight_has(&sync->flight, AS_ASK_COMPARE))
        return false;
    if (sync->compare_next < sync->compare_to) {
        ask_compare(sync);
        return true;
    }
    sync->covered = sync->hash_covers ? 0 : sync->compare_from;
    if (sync->same_hash && sync->covered > 0)
        as_prove_oldest_run(sync);
    else
        as_fetch_begin_compared(sync);
    return true;
}
