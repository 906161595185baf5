/* Continuity check, download, commits. */
#include "core/alloc.h"
#include "core/coin.h"
#include "core/detail.h"
#include "core/sync.h"
#include "core/trusted.h"

#include <string.h>

/* ---- Asking ------------------------------------------------------------------------------- */

static void ask_next(anonset_sync *sync, bool overlap)
{
    uint32_t lo = sync->next;
    uint32_t left = sync->target.size - lo;
    sync->next = lo + as_sector_part(&sync->sector, left);
    as_sync_ask_range(sync, AS_ASK_SECTOR, lo, sync->next, overlap);
    if (sync->next == sync->target.size)
        as_finish_ask(sync);
}

/*
 * What we hold was downloaded for an older block. In one flight: is that block still on the chain,
 * is a made-up one refused (else pins prove nothing), and does the newest coin we hold stand where
 * it stood, right below the new ones.
 */
static void ask_continuity(anonset_sync *sync)
{
    const anonset_state *local = &sync->local;
    const anonset_meta *old = sync->resuming ? &local->target : &local->finalized;
    sync->phase = AS_PHASE_CONTINUITY;
    sync->old_pin = sync->control = AS_REPLY_AWAITED;
    sync->next = sync->held;
    if (sync->compared) {
        sync->old_pin = AS_REPLY_ACCEPTED;
        sync->control = AS_REPLY_REFUSED;
    } else {
        as_sync_ask_pin(sync, AS_ASK_OLD_PIN, old->block_hash, 0);
        as_sync_ask_control(sync, AS_ASK_CONTROL);
    }
    ask_next(sync, true);
}

void as_fetch_begin(anonset_sync *sync)
{
    sync->compared = false;
    if (sync->held > 0) {
        ask_continuity(sync);
        return;
    }
    sync->phase = AS_PHASE_DOWNLOAD;
    sync->next = 0;
}

/* The newest coin we hold is asked for once more: what was compared must still be on the chain of
 * the target, also where there is no new coin to ask for. */
void as_fetch_begin_compared(anonset_sync *sync)
{
    sync->compared = true;
    ask_continuity(sync);
}

void as_fetch_begin_ready(anonset_sync *sync)
{
    as_ready *ready = &sync->ready;
    uint32_t skip = sync->held - ready->asked.lo;
    ready->asked.lo += skip;
    ready->coins += skip;
    ready->n -= skip;
    sync->next = ready->asked.hi;
    sync->phase = AS_PHASE_DOWNLOAD;
    if (sync->next == sync->target.size)
        as_finish_ask(sync);
}

static void drop(as_ready *ready)
{
    as_free(ready->parked);
    *ready = (as_ready){.set = false};
}

void as_fetch_drop(anonset_sync *sync)
{
    drop(&sync->ready);
    drop(&sync->early);
}

void as_fetch_too_large(anonset_sync *sync, const as_asked *asked)
{
    uint32_t n = asked->hi - asked->lo;
    if ((asked->role != AS_ASK_SECTOR && asked->role != AS_ASK_COMPARE &&
         asked->role != AS_ASK_MEND) ||
        !as_sector_bad(&sync->sector, n)) {
        as_sync_end(sync, ANONSET_NETWORK_ERROR, ANONSET_SERVER,
                    "the server finds an answer of one coin too large; ask another server");
        return;
    }
    if (sync->phase == AS_PHASE_DOWNLOAD) {
        /* What lies below is on its way still, and may be small enough. */
        as_flight_ignore_from(&sync->flight, AS_ASK_SECTOR, asked->lo);
        drop(&sync->early);
        sync->next = asked->lo;
        return;
    }
    as_flight_ignore(&sync->flight);
    if (sync->phase == AS_PHASE_COMPARE)
        sync->compare_next = asked->lo;
    else
        ask_continuity(sync);
}

/* ---- Taking ------------------------------------------------------------------------------- */

static void reverse(anonset_coin *coins, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        anonset_coin swap = coins[i];
        coins[i] = coins[n - 1 - i];
        coins[n - 1 - i] = swap;
    }
}

static bool is_good(anonset_sync *sync, const as_asked *asked, const anonset_coin *coins,
                    uint32_t n)
{
    uint32_t wanted = asked->hi - asked->lo + (asked->overlap ? 1 : 0);
    if (n != wanted) {
        as_sync_end(sync, ANONSET_BAD_SECTOR, ANONSET_BAD_ANSWER,
                    "the server sent %s coins than asked (%u); nothing was stored of that answer. "
                    "Sync again, or ask another server",
                    n < wanted ? "fewer" : "more", (unsigned)wanted);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (as_coin_tail(&coins[i]) == AS_TAIL_CONTRADICTS) {
            as_sync_end(sync, ANONSET_BAD_SECTOR, ANONSET_BAD_ANSWER,
                        "a coin's tx hash or context contradicts its serialized bytes; nothing was "
                        "stored of that answer. Sync again, or ask another server");
            return false;
        }
    }
    return true;
}

static uint8_t *put(uint8_t *at, const uint8_t **field, size_t len)
{
    if (len > 0)
        memcpy(at, *field, len);
    *field = at;
    return at + len;
}

/* Gives `ready` a copy of coins that do not outlive the call. */
static bool park(as_ready *ready, const anonset_coin *from)
{
    size_t bytes = ready->n * sizeof *from;
    for (uint32_t i = 0; i < ready->n; i++)
        bytes += (size_t)from[i].serialized_len + from[i].context_len + ANONSET_HASH_BYTES;
    anonset_coin *coins = as_alloc(bytes);
    if (!coins)
        return false;
    memcpy(coins, from, ready->n * sizeof *coins);
    uint8_t *at = (uint8_t *)(coins + ready->n);
    for (uint32_t i = 0; i < ready->n; i++) {
        at = put(at, &coins[i].serialized, coins[i].serialized_len);
        at = put(at, &coins[i].tx_hash, ANONSET_HASH_BYTES);
        at = put(at, &coins[i].context, coins[i].context_len);
    }
    ready->coins = coins;
    ready->parked = coins;
    return true;
}

anonset_code as_fetch_park(anonset_sync *sync, const anonset_coin *coins, uint32_t n)
{
    sync->ready = (as_ready){.set = true, .n = n};
    if (park(&sync->ready, coins))
        return ANONSET_OK;
    sync->ready.set = false;
    return as_fail(&sync->result.error, ANONSET_NO_MEMORY, 0, "out of memory for a sector");
}

static bool is_checked(const anonset_sync *sync)
{
    return sync->old_pin != AS_REPLY_AWAITED && sync->control != AS_REPLY_AWAITED;
}

void as_fetch_take(anonset_sync *sync, const as_asked *asked, anonset_answer *answer)
{
    if (!is_good(sync, asked, answer->coins, answer->n))
        return;
    as_sector_good(&sync->sector, answer->n, answer->text_bytes,
                   answer->wire_bytes > answer->text_bytes);
    reverse(answer->coins, answer->n);
    bool early = sync->phase == AS_PHASE_DOWNLOAD &&
                 as_flight_lowest(&sync->flight, AS_ASK_SECTOR) < asked->lo;
    as_ready *ready = early ? &sync->early : &sync->ready;
    *ready = (as_ready){.set = true, .asked = *asked, .coins = answer->coins, .n = answer->n};
    /* The answers that decide about these coins, or the coins below them, are not in yet, and the
     * caller's buffer takes them. Rare: an answer overtakes another. */
    if ((early || (sync->phase == AS_PHASE_CONTINUITY && !is_checked(sync))) &&
        !park(ready, answer->coins))
        as_sync_end(sync, ANONSET_STORE_ERROR, ANONSET_NO_MEMORY, "out of memory for a sector");
}

/* ---- Continuity --------------------------------------------------------------------------- */

/* The pending coins are not on the target's chain, or cannot be shown to be: drop them and plan for
 * the same meta. The finalized ones are compared instead. */
static void part_ways(anonset_sync *sync)
{
    as_flight_ignore(&sync->flight);
    as_fetch_drop(sync);
    if (sync->compared) {
        as_sync_moved(sync, "coins that were just compared changed");
    } else if (!sync->resuming) {
        /* An accepted block with another coin below it is a contradiction: it covers nothing. */
        sync->floor_from = 1;
        as_prove_begin(sync);
    } else if (as_sync_discard(sync)) {
        as_sync_decide(sync);
    }
}

bool as_fetch_continuity_advance(anonset_sync *sync)
{
    uint32_t same = 0;
    if (!is_checked(sync))
        return false;
    if (sync->control == AS_REPLY_ACCEPTED) {
        if (!sync->resuming || as_sync_discard(sync))
            as_sync_moved(sync, "the group shrank to one block while it was synced");
        return true;
    }
    if (sync->old_pin == AS_REPLY_REFUSED) {
        part_ways(sync);
        return true;
    }
    if (!sync->ready.set)
        return false;
    anonset_code code =
        as_prove_same(sync, &same, ANONSET_VIEW_NEXT, sync->held - 1, sync->ready.coins, 1);
    if (code != ANONSET_OK)
        as_fetch_store_failed(sync, code);
    else if (same == 0)
        part_ways(sync);
    else
        sync->phase = AS_PHASE_DOWNLOAD;
    return true;
}

/* ---- Commit ------------------------------------------------------------------------------- */

static bool make_room(anonset_sync *sync, uint32_t n)
{
    if (n <= sync->room)
        return true;
    as_free(sync->tags);
    as_free(sync->digests);
    sync->room = 0;
    sync->tags = as_alloc(n * sizeof *sync->tags);
    sync->digests = as_alloc(n * sizeof *sync->digests);
    if (!sync->tags || !sync->digests)
        return false;
    sync->room = n;
    return true;
}

static anonset_code hash_coins(anonset_sync *sync, const anonset_coin *coins, uint32_t n)
{
    const uint8_t *before = sync->digest_held;
    for (uint32_t i = 0; i < n; i++) {
        anonset_code code = as_digest_coin(sync->digest, sync->digests[i], before, &coins[i]);
        if (code != ANONSET_OK)
            return code;
        before = sync->digests[i];
        sync->tags[i] = as_tag(&sync->tagger, &coins[i]);
    }
    return ANONSET_OK;
}

static void committed(anonset_sync *sync, const anonset_append *append)
{
    anonset_state *local = &sync->local;
    local->has_pending = true;
    local->target = append->target;
    local->base = append->base;
    local->count = append->start + append->n - append->base;
    memcpy(local->pending_digest, append->digest_after, ANONSET_HASH_BYTES);
    memcpy(sync->digest_held, append->digest_after, ANONSET_HASH_BYTES);
    sync->held += append->n;
    sync->result.fetched += append->n;
    if (append->n == 0)
        return; /* a target that is only noted can be told anew for ever */
    sync->commits++;
    sync->moved = sync->stale = 0;
}

/* Another process changed the set: what it did is as good as ours, go on from there. */
static void outrun(anonset_sync *sync)
{
    sync->result.error = (anonset_detail){.code = ANONSET_OK}; /* nothing failed, after all */
    if (++sync->stale > AS_STALE_MOST)
        as_sync_end(sync, ANONSET_STORE_BUSY, ANONSET_BUSY,
                    "another process syncs this group; nothing is lost, look again later");
    else
        as_sync_replan(sync);
}

void as_fetch_store_failed(anonset_sync *sync, anonset_code code)
{
    if (code == ANONSET_STALE)
        outrun(sync);
    else
        as_sync_end_store(sync, code);
}

/* Coins to store, or the newer target to note for those that are. */
static bool is_worth_a_commit(const anonset_sync *sync, uint32_t n)
{
    const anonset_state *local = &sync->local;
    return n > 0 || !local->has_pending || !as_meta_equal(&local->target, &sync->target);
}

anonset_code as_fetch_make(anonset_sync *sync, anonset_append *append, const anonset_coin *coins,
                           uint32_t n)
{
    *append = (anonset_append){.group = sync->result.group,
                               .target = sync->target,
                               .base = sync->base,
                               .start = sync->held,
                               .n = n,
                               .coins = coins};
    if (!make_room(sync, n))
        return as_fail(&sync->result.error, ANONSET_NO_MEMORY, 0, "out of memory for a sector");
    anonset_code code = hash_coins(sync, coins, n);
    append->tags = sync->tags;
    append->digests = (const uint8_t(*)[ANONSET_HASH_BYTES])sync->digests;
    memcpy(append->digest_before, sync->digest_held, ANONSET_HASH_BYTES);
    memcpy(append->digest_after, n > 0 ? sync->digests[n - 1] : sync->digest_held,
           ANONSET_HASH_BYTES);
    return code;
}

/* What contradicts a trusted checkpoint need not be downloaded to its end. */
static bool is_distrusted(anonset_sync *sync, uint32_t n)
{
    uint32_t size = as_trusted_sector(sync, n);
    if (size > 0)
        as_finish_refuse(sync, "the first %u coins are not those of the checkpoint given",
                         (unsigned)size);
    return size > 0;
}

bool as_fetch_commit(anonset_sync *sync, const anonset_coin *coins, uint32_t n)
{
    anonset_store *store = sync->store;
    anonset_append append;
    if (!is_worth_a_commit(sync, n))
        return true;
    anonset_code code = as_fetch_make(sync, &append, coins, n);
    if (code == ANONSET_OK && is_distrusted(sync, n))
        return false;
    append.upon = &sync->local.finalized;
    if (code == ANONSET_OK)
        code = store->backend->append_sector(store->handle, &append, &sync->result.error);
    if (code == ANONSET_OK)
        committed(sync, &append);
    else
        as_fetch_store_failed(sync, code);
    return code == ANONSET_OK;
}

static void commit_ready(anonset_sync *sync)
{
    uint32_t skip = sync->ready.asked.overlap ? 1 : 0;
    uint32_t n = sync->ready.n - skip;
    if (!as_fetch_commit(sync, sync->ready.coins + skip, n))
        return;
    drop(&sync->ready);
    sync->ready = sync->early;
    sync->early = (as_ready){.set = false};
    as_sync_tell_progress(sync);
}

/* While one sector arrives the next is asked for, so that the line is never idle for a round trip.
 * One that came early counts: it holds memory. */
static bool is_another_wanted(const anonset_sync *sync)
{
    size_t under_way = as_flight_count(&sync->flight, AS_ASK_SECTOR) + sync->early.set;
    return sync->next < sync->target.size && under_way < AS_SECTORS_ASKED;
}

bool as_fetch_download_advance(anonset_sync *sync)
{
    if (is_another_wanted(sync)) {
        ask_next(sync, false);
        return true;
    }
    if (sync->ready.set) {
        commit_ready(sync);
        return true;
    }
    if (sync->held < sync->target.size)
        return false;
    sync->phase = AS_PHASE_CLOSE;
    return true;
}
