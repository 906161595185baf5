/*
 * The list of used coin tags. The server sends it from a position on to its end, and nothing pins
 * it to a block. So the newest tags stored are asked for again, and what is new comes behind them:
 *
 *     stored     ………… a b c d            asked for again: c d
 *     answer              c d e f        agrees: append e f
 *                         c x y          the chain was reorganized: x y in place of d
 *                         x y z          differs from its first tag on: ask again, from further
 * back c              the server has fewer: it lags. Keep
 *
 * The answer comes in batches of up to ANONSET_USED_BATCH tags, each committed by itself. The first
 * one holds more than was asked for again, or is all there is. So what a reorganization takes away
 * goes in the one write that brings what comes for it, and the list never gets shorter.
 */
#include "core/alloc.h"
#include "core/detail.h"
#include "core/sync.h"
#include "core/used.h"

#include <string.h>

/* Tags asked for again: 6 KiB of text, which hides behind a round trip; then 8 times as many, and
 * once more. A reorganization that took away more than that was none. */
#define BACK_FIRST 64u
#define BACK_TIMES 8u
#define BACK_MOST  4096u

_Static_assert(BACK_MOST < ANONSET_USED_BATCH, "a first batch reaches the end of what is stored");

void as_used_drop(anonset_sync *sync)
{
    as_free(sync->used.stored);
    sync->used.stored = NULL;
    sync->used.ready = false;
}

void as_used_replan(anonset_sync *sync)
{
    as_flight_ignore(&sync->flight);
    as_used_drop(sync);
    sync->used.asked = false;
    sync->used.compared = false;
    sync->phase = AS_PHASE_USED;
    (void)as_sync_ask_genesis(sync);
}

void as_used_begin(anonset_sync *sync)
{
    sync->used = (as_used_sync){.begun = true, .back = BACK_FIRST};
    as_used_replan(sync);
}

void as_used_tell_result(anonset_sync *sync)
{
    const as_used_sync *u = &sync->used;
    const anonset_result *r = &sync->result;
    anonset_used_result result = {.outcome = r->outcome,
                                  .state = u->held,
                                  .fetched = u->fetched,
                                  .resumed_from = u->resumed_from,
                                  .replaced = u->replaced,
                                  .requests = r->requests,
                                  .bytes = r->bytes,
                                  .error = r->error};
    anonset_used_list *list;
    if (anonset_used_open(&list, sync->store, NULL) == ANONSET_OK) {
        result.state = *anonset_used_list_state(list);
        anonset_used_close(list);
    }
    if (sync->options.on_used)
        sync->options.on_used(sync->options.context, &result);
}

static void tell_progress(anonset_sync *sync, bool restarted)
{
    anonset_progress progress = {.position = sync->used.held.count,
                                 .size = sync->used.held.count,
                                 .bytes = sync->result.bytes,
                                 .restarted = restarted};
    if (sync->options.on_progress)
        sync->options.on_progress(sync->options.context, &progress);
}

/* ---- Asking ------------------------------------------------------------------------------- */

static anonset_code read_stored(as_used_sync *u, anonset_used_list *list, anonset_detail *detail)
{
    uint32_t n = 0, count = u->held.count - u->from;
    anonset_code code = ANONSET_OK;
    if (count == 0)
        return ANONSET_OK;
    u->stored = as_alloc(count * sizeof *u->stored);
    if (!u->stored)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for used tags");
    for (uint32_t at = 0; code == ANONSET_OK && at < count; at += n)
        code = anonset_used_read(list, u->stored + at, &n, u->from + at, count - at, detail);
    return code;
}

static anonset_code load(anonset_sync *sync)
{
    as_used_sync *u = &sync->used;
    anonset_used_list *list;
    anonset_detail *detail = &sync->result.error;
    anonset_code code = anonset_used_open(&list, sync->store, detail);
    if (code != ANONSET_OK)
        return code;
    as_used_drop(sync);
    u->held = *anonset_used_list_state(list);
    u->from = u->held.count > u->back ? u->held.count - u->back : 0;
    code = read_stored(u, list, detail);
    anonset_used_close(list);
    return code;
}

/* Alone on the wire: what belongs to a list that is read in pieces is told by nothing else. */
static bool ask(anonset_sync *sync)
{
    if (!as_sync_same_network(sync))
        return true;
    anonset_code code = load(sync);
    if (code != ANONSET_OK) {
        as_sync_end_store(sync, code);
        return true;
    }
    sync->used.asked = true;
    as_sync_ask_used(sync, sync->used.from);
    return true;
}

void as_used_take(anonset_sync *sync, const anonset_answer *answer)
{
    as_used_sync *u = &sync->used;
    u->batch = answer->used;
    u->n = answer->n;
    u->more = answer->more;
    u->ready = true;
}

void as_used_too_large(anonset_sync *sync)
{
    as_sync_end(sync, ANONSET_NETWORK_ERROR, ANONSET_SERVER,
                "the list of used tags is longer than what this server sends in one answer: ask "
                "another server, or a node itself (http://)");
}

/* ---- Storing ------------------------------------------------------------------------------ */

/* The digest at `keep`. STALE: the list is another now. */
static anonset_code digest_at(anonset_sync *sync, uint8_t *digest, uint32_t keep)
{
    const anonset_used_state *held = &sync->used.held;
    anonset_used_list *list;
    anonset_detail *detail = &sync->result.error;
    if (keep == held->count) {
        memcpy(digest, held->digest, ANONSET_HASH_BYTES);
        return ANONSET_OK;
    }
    anonset_code code = anonset_used_open(&list, sync->store, detail);
    if (code != ANONSET_OK)
        return code;
    const anonset_used_state *now = anonset_used_list_state(list);
    if (!as_used_same(now, held))
        code = ANONSET_STALE;
    else
        code = as_used_digest_at(sync->digest, digest, list, keep, detail);
    anonset_used_close(list);
    return code;
}

/* Another process wrote to the list: begins anew with what is there now. */
static void outrun(anonset_sync *sync)
{
    sync->result.error = (anonset_detail){.code = ANONSET_OK}; /* nothing failed, after all */
    if (++sync->stale > AS_STALE_MOST)
        as_sync_end(sync, ANONSET_STORE_BUSY, ANONSET_BUSY,
                    "another process syncs this store; run the sync again to look at its result");
    else
        as_used_replan(sync);
}

static anonset_code append(anonset_sync *sync, uint32_t keep, const anonset_used *used, uint32_t n)
{
    as_used_sync *u = &sync->used;
    anonset_detail *detail = &sync->result.error;
    anonset_used_append a = {.before = u->held, .keep = keep, .n = n, .used = used};
    anonset_code code = digest_at(sync, a.digest_after, keep);
    if (code == ANONSET_OK && as_used_digest(sync->digest, a.digest_after, used, n) != ANONSET_OK)
        code = as_fail(detail, ANONSET_INTERNAL, 0, "the crypto library failed");
    if (code == ANONSET_OK)
        code = sync->store->backend->used_append(sync->store->handle, &a, detail);
    if (code != ANONSET_OK)
        return code;
    if (u->fetched == 0)
        u->resumed_from = keep;
    u->replaced += u->held.count - keep;
    u->fetched += n;
    u->held.count = keep + n;
    memcpy(u->held.digest, a.digest_after, sizeof u->held.digest);
    return ANONSET_OK;
}

static void refuse_length(anonset_sync *sync)
{
    as_sync_end(sync, ANONSET_NETWORK_ERROR, ANONSET_BAD_ANSWER,
                "the server tells more than %u used tags: that is more than can be; ask another "
                "server, or allow more",
                (unsigned)sync->options.used_most);
}

void as_used_pass_over(anonset_sync *sync, uint32_t n)
{
    as_used_sync *u = &sync->used;
    u->passed += n;
    if (sync->phase == AS_PHASE_USED && u->passed > sync->options.used_most)
        refuse_length(sync);
}

/* False: the sync of the list is ended, or begins anew. */
static bool store(anonset_sync *sync, uint32_t keep, const anonset_used *used, uint32_t n)
{
    bool restarted = keep < sync->used.held.count;
    if (n > sync->options.used_most || keep > sync->options.used_most - n) {
        refuse_length(sync);
        return false;
    }
    anonset_code code = append(sync, keep, used, n);
    if (code == ANONSET_OK) {
        sync->commits++;
        tell_progress(sync, restarted);
        return true;
    }
    if (code == ANONSET_STALE)
        outrun(sync);
    else
        as_sync_end_store(sync, code);
    return false;
}

/* ---- Comparing ---------------------------------------------------------------------------- */

/* How many tags of the batch are the stored ones. */
static uint32_t count_same(const as_used_sync *u)
{
    uint32_t same = 0, stored = u->held.count - u->from;
    while (same < u->n && same < stored &&
           memcmp(&u->batch[same], &u->stored[same], sizeof *u->stored) == 0)
        same++;
    return same;
}

/* The answer is not what is stored from its first tag on. */
static void go_back(anonset_sync *sync)
{
    as_used_sync *u = &sync->used;
    if (u->back >= BACK_MOST) {
        as_sync_end(sync, ANONSET_REORG_DETECTED, ANONSET_OK,
                    "the server's list of used tags differs from the stored one further back than "
                    "a reorganization goes, which was kept: ask another server, or clear the list "
                    "and sync it again");
        return;
    }
    u->back *= BACK_TIMES;
    as_used_replan(sync);
}

static void keep_stored(anonset_sync *sync, uint32_t server_has)
{
    as_sync_end(sync, ANONSET_REMOTE_BEHIND, ANONSET_OK,
                "the server has %u used tags or fewer, and %u are stored, which were kept: sync "
                "again later, or ask another server",
                (unsigned)server_has, (unsigned)sync->used.held.count);
}

/* Looks at the begin of an answer. Sets *same to how many of its tags are stored already; false:
 * there is nothing to store. */
static bool compare(anonset_sync *sync, uint32_t *same)
{
    as_used_sync *u = &sync->used;
    uint32_t stored = u->held.count - u->from;
    *same = count_same(u);
    if (*same == 0 && u->n > 0 && u->from > 0)
        go_back(sync);
    else if (u->n < stored)
        keep_stored(sync, u->from + u->n);
    else if (u->n == stored && *same == stored)
        as_sync_end(sync, ANONSET_UP_TO_DATE, ANONSET_OK, "%s", "");
    else if (*same < stored && sync->options.on_reorg == ANONSET_REORG_KEEP)
        as_sync_end(sync, ANONSET_REORG_DETECTED, ANONSET_OK,
                    "used tags from position %u on differ on the server's chain: it was "
                    "reorganized, or the server lies. The stored list was kept",
                    (unsigned)(u->from + *same));
    else
        return true;
    return false;
}

static bool use_batch(anonset_sync *sync)
{
    as_used_sync *u = &sync->used;
    uint32_t same = 0, keep = u->held.count;
    u->ready = false;
    if (!u->compared) {
        if (!compare(sync, &same))
            return true;
        u->compared = true;
        keep = u->from + same;
    }
    if (u->n > same && !store(sync, keep, u->batch + same, u->n - same))
        return true;
    if (!u->more)
        as_sync_end(sync, ANONSET_FINALIZED, ANONSET_OK, "%s", "");
    return true;
}

bool as_used_advance(anonset_sync *sync)
{
    if (sync->used.ready)
        return use_batch(sync);
    if (sync->flight.n > 0)
        return false;
    return !sync->used.asked && ask(sync);
}
