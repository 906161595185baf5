/* Behind the last sector: the closing questions, the gate, mark_complete. */
#include "core/detail.h"
#include "core/gate.h"
#include "core/sync.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Closing questions -------------------------------------------------------------------- */

/*
 * Asked in the flight of the last sector, and again if an answer overtakes it (servers work on
 * several requests at once): only what was said behind the last coin speaks for all of them. A
 * group of one block answers any pin with what it has now: only an unchanged meta shows that it was
 * the same block throughout. In a longer group a refused made-up hash shows that pins are looked
 * at, and an accepted checkpoint covers what lies below it.
 */
void as_finish_ask(anonset_sync *sync)
{
    sync->closing_early = false;
    sync->close_control = sync->close_pin = AS_REPLY_REFUSED;
    sync->close_meta_told = false;
    if (!sync->target.has_set_hash) {
        as_sync_ask_meta(sync, AS_ASK_CLOSE_META);
        return;
    }
    sync->close_control = AS_REPLY_AWAITED;
    as_sync_ask_control(sync, AS_ASK_CLOSE_CONTROL);
    if (sync->floor.size > 0) {
        sync->close_pin = AS_REPLY_AWAITED;
        as_sync_ask_pin(sync, AS_ASK_CLOSE_PIN, sync->floor.block_hash, 0);
    }
}

static bool is_awaited(const anonset_sync *sync)
{
    return as_flight_has(&sync->flight, AS_ASK_CLOSE_META) ||
           as_flight_has(&sync->flight, AS_ASK_CLOSE_CONTROL) ||
           as_flight_has(&sync->flight, AS_ASK_CLOSE_PIN);
}

static bool is_target_still_there(const anonset_sync *sync)
{
    if (!sync->target.has_set_hash)
        return sync->close_meta_told && as_meta_equal(&sync->told, &sync->target);
    return sync->close_control == AS_REPLY_REFUSED;
}

/* ---- Gate --------------------------------------------------------------------------------- */

static const char *const what_was_done =
    "The download was dropped, the finalized set kept. Ask another server";
static const char *const what_to_do =
    "Nothing was changed. Ask another server; if it says the same, clear the group and sync again";

bool as_finish_is_again(const anonset_sync *sync)
{
    const anonset_state *local = &sync->local;
    return !local->has_pending && local->has_finalized && local->gate > ANONSET_GATE_NONE &&
           as_meta_equal(&local->finalized, &sync->target);
}

void as_finish_refuse(anonset_sync *sync, const char *format, ...)
{
    char why[ANONSET_DETAIL_TEXT];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args); /* ours, and short enough */
    va_end(args);
    as_flight_ignore(&sync->flight);
    as_fetch_drop(sync);
    /* A finalized coin may be the false one: compare them all, once, before the download goes. */
    if (as_finish_is_again(sync))
        as_sync_end(sync, ANONSET_GATE_REFUSED, ANONSET_BAD_ANSWER, "%s. %s", why, what_to_do);
    else if (sync->covered > 0)
        as_prove_compare(sync, 0);
    else if (as_sync_discard(sync))
        as_sync_end(sync, ANONSET_GATE_REFUSED, ANONSET_BAD_ANSWER, "%s. %s", why, what_was_done);
}

/* False: the set does not pass, and what follows from that was begun. */
static bool judge(anonset_sync *sync, const as_findings *found)
{
    if (!found->joined) {
        if (as_sync_discard(sync))
            as_sync_replan(sync);
    } else if (found->repeat.found) {
        as_finish_refuse(sync,
                         "the coins at positions %u and %u are the same, which no chain can hold",
                         (unsigned)found->repeat.first, (unsigned)found->repeat.second);
    } else if (found->distrusted > 0) {
        as_finish_refuse(sync, "the first %u coins are not those of the checkpoint given",
                         (unsigned)found->distrusted);
    } else if (found->refuted) {
        as_finish_refuse(sync, "the coins do not match the set hash that the server told, %s",
                         found->by_heights ? "at the heights that it told"
                                           : "however they are cut into blocks");
    } else {
        return true;
    }
    return false;
}

static bool mark_complete(anonset_sync *sync, anonset_gate level)
{
    anonset_store *store = sync->store;
    anonset_complete complete = {.group = sync->result.group,
                                 .target = sync->target,
                                 .expected_count = sync->held - sync->base,
                                 .gate = level};
    memcpy(complete.digest, sync->digest_held, ANONSET_HASH_BYTES);
    anonset_code code =
        store->backend->mark_complete(store->handle, &complete, &sync->result.error);
    if (code != ANONSET_OK)
        as_fetch_store_failed(sync, code);
    return code == ANONSET_OK;
}

static uint32_t count_replaced(const anonset_sync *sync)
{
    const anonset_state *local = &sync->local;
    bool replaces = local->has_pending && local->has_finalized && local->gate > ANONSET_GATE_NONE &&
                    sync->base < local->finalized.size;
    return replaces ? local->finalized.size - sync->base : 0;
}

static anonset_outcome outcome_of(const anonset_sync *sync)
{
    if (as_finish_is_again(sync))
        return ANONSET_UP_TO_DATE;
    return sync->base > 0 && sync->base == sync->target.size ? ANONSET_REANCHORED
                                                             : ANONSET_FINALIZED;
}

/* The checkpoint that covered the rest is off the chain, or there was none to ask for. Without the
 * bound, a server that takes back every checkpoint it accepted could go through all we have. */
static void prove_anew(anonset_sync *sync)
{
    if (++sync->moves > AS_MOVES_MOST) {
        as_sync_end(sync, ANONSET_NETWORK_ERROR, ANONSET_NETWORK,
                    "the server took back again and again which blocks are on its chain; what is "
                    "finalized was kept: sync again later, or ask another server");
        return;
    }
    if (sync->floor.size > 0)
        sync->floor_from = sync->floor.index + 1;
    as_prove_begin(sync);
}

/* Compares what neither an accepted checkpoint nor the set hash covers. */
static void cover(anonset_sync *sync)
{
    if (sync->close_pin == AS_REPLY_ACCEPTED)
        as_prove_compare(sync, sync->floor.size);
    else
        prove_anew(sync);
}

static bool is_covered(const anonset_sync *sync)
{
    return sync->covered == 0 ||
           (sync->close_pin == AS_REPLY_ACCEPTED && sync->covered <= sync->floor.size);
}

static void finalize(anonset_sync *sync, const as_findings *found)
{
    uint32_t replaced = count_replaced(sync);
    anonset_outcome outcome = outcome_of(sync);
    if (!judge(sync, found) || !mark_complete(sync, found->level))
        return;
    sync->result.proof = found->proof;
    sync->result.replaced = replaced;
    sync->commits++;
    as_sync_end(sync, outcome, ANONSET_OK, "%s", "");
}

void as_finish_conclude(anonset_sync *sync, const as_findings *found)
{
    if (is_covered(sync) || !found->joined)
        finalize(sync, found);
    else if (found->proof == ANONSET_PROOF_FOUND)
        as_prove_oldest_run(sync);
    else
        cover(sync);
}

/* Heights help where the search is not to the end, and there is a start to search from. */
static bool needs_heights(const anonset_sync *sync, const as_findings *found)
{
    return sync->options.prove && sync->target.has_set_hash && found->joined && !found->refuted &&
           !found->repeat.found && found->distrusted == 0 && found->level < ANONSET_GATE_SET_HASH &&
           found->proof != ANONSET_PROOF_NO_START;
}

static void pass_gate(anonset_sync *sync, anonset_code (*look)(anonset_sync *, as_findings *))
{
    as_findings found;
    bool begun = false;
    anonset_code code = look(sync, &found);
    if (code == ANONSET_OK && needs_heights(sync, &found))
        code = as_heights_begin(sync, &begun);
    if (code != ANONSET_OK)
        as_fetch_store_failed(sync, code);
    else if (!begun)
        as_finish_conclude(sync, &found);
}

void as_finish_look_again(anonset_sync *sync)
{
    pass_gate(sync, as_gate_look_again);
}

/* ---- Step --------------------------------------------------------------------------------- */

static void leave_target(anonset_sync *sync)
{
    if (!sync->local.has_pending || as_sync_discard(sync))
        as_sync_moved(sync, "the chain changed while it was synced");
}

bool as_finish_advance(anonset_sync *sync)
{
    if (is_awaited(sync))
        return false;
    if (sync->closing_early) {
        as_finish_ask(sync);
        return true;
    }
    if (!is_target_still_there(sync)) {
        leave_target(sync);
    } else if (is_covered(sync) || !sync->hash_tried) {
        sync->hash_tried = true;
        if (as_fetch_commit(sync, NULL, 0))
            pass_gate(sync, as_gate_look);
    } else {
        cover(sync);
    }
    return true;
}
