/* The reader: one finalized state, in either order. */
#include "core/alloc.h"
#include "core/checked.h"
#include "core/detail.h"
#include "core/run.h"
#include "core/store.h"

#include <string.h>

struct anonset_snapshot {
    const anonset_backend *backend;
    void *handle;
    anonset_state state;
    anonset_order order;
    uint32_t from, to;  /* positions not handed out yet */
    anonset_run run;    /* n == 0: none read */
    as_checked checked; /* .digest NULL: coins are handed out as they are stored */
};

static anonset_code check_level(const anonset_state *state, uint32_t group, anonset_gate least,
                                anonset_detail *detail)
{
    if (!state->has_finalized)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "group %u has no finalized set: sync it first",
                       (unsigned)group);
    if (state->has_hole)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "group %u: coins %u to %u were damaged, and dropped by a repair: sync it",
                       (unsigned)group, (unsigned)state->hole_from, (unsigned)state->hole_to - 1);
    if (state->gate < least)
        return as_fail(detail, ANONSET_UNPROVEN, 0,
                       "group %u: the set is at gate level %u, and %u was asked for: sync with "
                       "`prove`, or a larger budget",
                       (unsigned)group, (unsigned)state->gate, (unsigned)least);
    return ANONSET_OK;
}

anonset_code anonset_snapshot_open(anonset_snapshot **snapshot, anonset_store *store,
                                   uint32_t group, anonset_detail *detail)
{
    return anonset_snapshot_open_gated(snapshot, store, group, ANONSET_GATE_NONE, detail);
}

anonset_code anonset_snapshot_open_gated(anonset_snapshot **snapshot, anonset_store *store,
                                         uint32_t group, anonset_gate least, anonset_detail *detail)
{
    anonset_code code;
    anonset_snapshot *made;
    if (!snapshot || !store || group == 0 || least > ANONSET_GATE_SET_HASH)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "anonset_snapshot_open: NULL, group 0 or no such level");
    made = as_alloc_zeroed(sizeof *made);
    if (!made)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for a snapshot");
    made->backend = store->backend;
    code = made->backend->snapshot_open(store->handle, &made->handle, &made->state, group,
                                        ANONSET_VIEW_FINALIZED, detail);
    if (code != ANONSET_OK) {
        as_free(made);
        return code;
    }
    code = check_level(&made->state, group, least, detail);
    made->checked =
        (as_checked){.backend = made->backend, .snapshot = made->handle, .state = &made->state};
    if (code == ANONSET_OK && store->verify_reads)
        code = as_digest_new(&made->checked.digest, detail);
    if (code != ANONSET_OK) {
        anonset_snapshot_close(made);
        return code;
    }
    made->state.has_pending = false;
    made->state.target = (anonset_meta){.size = 0};
    made->state.base = made->state.count = 0;
    memset(made->state.pending_digest, 0, sizeof made->state.pending_digest);
    made->to = made->state.finalized.size;
    *snapshot = made;
    return ANONSET_OK;
}

void anonset_snapshot_close(anonset_snapshot *snapshot)
{
    if (!snapshot)
        return;
    snapshot->backend->snapshot_close(snapshot->handle);
    as_digest_free(snapshot->checked.digest);
    as_free(snapshot);
}

const anonset_state *anonset_snapshot_state(const anonset_snapshot *snapshot)
{
    return &snapshot->state;
}

anonset_code anonset_snapshot_find(anonset_snapshot *snapshot, uint32_t *size,
                                   const uint8_t *block_hash, anonset_detail *detail)
{
    anonset_checkpoint checkpoint;
    anonset_code code;
    uint32_t index = 0;
    if (!snapshot || !size || !block_hash)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_snapshot_find: NULL argument");
    snapshot->run.n = 0; /* the backend may take the run's bytes back at its next call */
    do
        code = snapshot->backend->checkpoint(snapshot->handle, &checkpoint, index++, detail);
    while (code == ANONSET_OK &&
           memcmp(checkpoint.meta.block_hash, block_hash, ANONSET_HASH_BYTES) != 0);
    if (code == ANONSET_NOT_FOUND)
        return as_fail(detail, ANONSET_NOT_FOUND, 0,
                       "the block is not in the history of this set: read it whole");
    if (code == ANONSET_OK)
        *size = checkpoint.meta.size;
    return code;
}

anonset_code anonset_snapshot_seek(anonset_snapshot *snapshot, uint32_t from, uint32_t to,
                                   anonset_order order, anonset_detail *detail)
{
    if (!snapshot)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_snapshot_seek: NULL argument");
    if (from > to || to > snapshot->state.finalized.size)
        return as_fail(detail, ANONSET_INVALID, 0, "positions %u to %u of a set of %u coins",
                       (unsigned)from, (unsigned)to, (unsigned)snapshot->state.finalized.size);
    snapshot->from = from;
    snapshot->to = to;
    snapshot->order = order;
    return ANONSET_OK;
}

anonset_code anonset_snapshot_next(anonset_snapshot *snapshot, anonset_coin *coin,
                                   anonset_detail *detail)
{
    anonset_run *run;
    uint32_t position;
    if (!snapshot || !coin)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_snapshot_next: NULL argument");
    if (snapshot->from == snapshot->to)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "no more coins");
    position = snapshot->order == ANONSET_OLDEST_FIRST ? snapshot->from : snapshot->to - 1;
    run = &snapshot->run;
    if (!as_run_holds(run, position)) {
        anonset_code code =
            snapshot->checked.digest
                ? as_checked_read(&snapshot->checked, run, position, detail)
                : as_run_read(run, snapshot->backend, snapshot->handle, position, detail);
        if (code != ANONSET_OK) {
            run->n = 0;
            return code;
        }
    }
    *coin = run->coins[position - run->start];
    if (snapshot->order == ANONSET_OLDEST_FIRST)
        snapshot->from++;
    else
        snapshot->to--;
    return ANONSET_OK;
}
