/* Dropping what is damaged of a group, so that a sync can fetch just that again. */
#include "core/detail.h"
#include "core/store.h"
#include "core/verify.h"

#define TRIES 4 /* another process may write between verifying and dropping */

static anonset_code clear(anonset_store *store, anonset_repair *repair, const as_stored *found,
                          anonset_detail *detail)
{
    repair->cleared = true;
    repair->dropped = found->state.finalized.size;
    repair->pending_dropped = found->state.count;
    return store->backend->clear(store->handle, repair->found.group, detail);
}

/* A hole that is there already, with nothing else damaged, stays as far filled as it is. */
static bool is_known_hole(const as_stored *found)
{
    const anonset_state *state = &found->state;
    return state->has_hole && found->of_finalized.from == state->hole_from &&
           found->of_finalized.to == state->hole_to;
}

static anonset_code drop_finalized(anonset_store *store, anonset_repair *repair,
                                   const as_stored *found, anonset_detail *detail)
{
    repair->dropped = found->of_finalized.to - found->of_finalized.from;
    if (!is_known_hole(found))
        return store->backend->drop(store->handle, &found->of_finalized, detail);
    repair->dropped -= found->state.hole_filled;
    return ANONSET_OK;
}

/* Where nothing of the pending set can be kept it goes. */
static anonset_code drop_pending(anonset_store *store, anonset_repair *repair,
                                 const as_stored *found, anonset_detail *detail)
{
    const anonset_damage *damage = &found->of_pending;
    repair->pending_dropped = damage->to - damage->from;
    if (damage->from == damage->to || !found->has_before)
        return store->backend->discard_incomplete(store->handle, damage->group, detail);
    return store->backend->drop(store->handle, damage, detail);
}

static anonset_code mend(anonset_store *store, anonset_repair *repair, const as_stored *found,
                         anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    repair->dropped = repair->pending_dropped = 0;
    if (found->records)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "group %u: its records are damaged: the store must be made anew",
                       (unsigned)repair->found.group);
    if (!repair->found.sound && (found->false_proof || !store->backend->drop))
        return clear(store, repair, found, detail);
    if (found->finalized)
        code = drop_finalized(store, repair, found, detail);
    if (code == ANONSET_OK && found->pending)
        code = drop_pending(store, repair, found, detail);
    return code;
}

anonset_code anonset_store_repair(anonset_store *store, anonset_repair *repair, uint32_t group,
                                  anonset_detail *detail)
{
    anonset_repair did = {.dropped = 0};
    anonset_code code = ANONSET_STALE;
    if (!store || !repair)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_store_repair: NULL argument");
    if (group == 0) {
        code = as_verify_engine(store, &did.found, detail);
        if (code == ANONSET_OK && did.found.sound)
            *repair = did;
        return code == ANONSET_OK && !did.found.sound ? ANONSET_CORRUPT : code;
    }
    for (int i = 0; i < TRIES && code == ANONSET_STALE; i++) {
        as_stored found;
        code = as_verify(store, &did.found, &found, group, detail);
        if (code == ANONSET_OK)
            code = mend(store, &did, &found, detail);
    }
    if (code == ANONSET_STALE)
        return as_fail(detail, ANONSET_BUSY, 0,
                       "group %u changes too fast to be repaired: try again", (unsigned)group);
    if (code == ANONSET_OK)
        *repair = did;
    return code;
}
