/*
 * The gate: what can be said of the coins that are about to be finalized. Findings only; finish.c
 * decides what follows from them.
 */
#include "core/gate.h"

#include "core/chain.h"
#include "core/sync.h"
#include "core/trusted.h"

#include <string.h>

#define STARTS_MOST       24u /* checkpoints tried where none is known to be on the chain */
#define READ_COINS_A_CALL 8u  /* coins read for the price of a hash call */

/* ---- Set hash ----------------------------------------------------------------------------- */

struct proof {
    anonset_sync *sync;
    void *snapshot;
    uint64_t budget;
    bool broke; /* a start was given up for the budget */
};

/* Where a way to the target's set hash may begin. */
struct origin {
    as_chain_start start;
    uint32_t from; /* position of the first coin behind it */
    bool proven;
    bool certain; /* on the target's chain: where all ways fail, the coins are wrong */
};

static as_chain_source source_of(const struct proof *proof)
{
    anonset_sync *sync = proof->sync;
    return (as_chain_source){.backend = sync->store->backend,
                             .snapshot = proof->snapshot,
                             .digest = sync->digest,
                             .cancelled = &sync->cancelled};
}

static void set_origin(struct origin *origin, const anonset_meta *meta, uint32_t from, bool proven,
                       bool certain)
{
    *origin = (struct origin){
        .start = {.has_hash = true}, .from = from, .proven = proven, .certain = certain};
    memcpy(origin->start.hash, meta->set_hash, sizeof origin->start.hash);
}

static void at_checkpoint(struct origin *origin, const anonset_checkpoint *checkpoint, bool certain)
{
    set_origin(origin, &checkpoint->meta, checkpoint->meta.size,
               checkpoint->gate == ANONSET_GATE_SET_HASH, certain);
}

/* The floor's checkpoint, where its block was accepted behind the last coin: on the target's chain,
 * so the coins must lead from its set hash to the new one. NOT_FOUND: there is none. */
static anonset_code at_floor(const struct proof *proof, struct origin *origin)
{
    anonset_sync *sync = proof->sync;
    anonset_checkpoint checkpoint;
    anonset_code code = ANONSET_OK;
    if (sync->floor.size == 0 || sync->close_pin != AS_REPLY_ACCEPTED)
        return ANONSET_NOT_FOUND;
    for (uint32_t i = 0; code == ANONSET_OK; i++) {
        code =
            sync->store->backend->checkpoint(proof->snapshot, &checkpoint, i, &sync->result.error);
        if (code == ANONSET_OK &&
            memcmp(checkpoint.meta.block_hash, sync->floor.block_hash, ANONSET_HASH_BYTES) == 0) {
            at_checkpoint(origin, &checkpoint, true);
            break;
        }
    }
    return code;
}

/*
 * Group 1 begins with a block that no set hash covers. A later group's own coins begin behind those
 * of the group before, and so does its chain, with the last set hash of that group; that the one we
 * hold is the last is only the server's word. NOT_FOUND: the group before is not held.
 */
static anonset_code at_beginning(const struct proof *proof, struct origin *origin)
{
    const anonset_sync *sync = proof->sync;
    as_seam seam;
    if (sync->result.group == 1) {
        *origin = (struct origin){.start = {.first_free = true}, .proven = true, .certain = true};
        return ANONSET_OK;
    }
    anonset_code code = as_seam_of_stored(proof->sync, &seam, proof->snapshot);
    if (code == ANONSET_OK)
        set_origin(origin, &seam.old, seam.size, seam.proven,
                   sync->seam.final && as_meta_equal(&seam.old, &sync->seam.old));
    return code;
}

static anonset_code search(struct proof *proof, as_chain_verdict *verdict,
                           const struct origin *origin)
{
    anonset_sync *sync = proof->sync;
    anonset_detail *detail = &sync->result.error;
    uint64_t reading = (sync->held - origin->from) / READ_COINS_A_CALL;
    as_chain_source source = source_of(proof);
    as_cuts cuts;
    *verdict = AS_CHAIN_BUDGET;
    if (reading > proof->budget)
        return ANONSET_OK;
    proof->budget -= reading;
    anonset_code code = as_cuts_read(&cuts, &source, origin->from, sync->held, detail);
    if (code == ANONSET_OK)
        code = as_chain_search(verdict, &cuts, &source, &origin->start, sync->target.set_hash,
                               &proof->budget, detail);
    as_cuts_free(&cuts);
    return code;
}

static anonset_code try_origin(struct proof *proof, as_findings *found, const struct origin *origin)
{
    as_chain_verdict verdict;
    anonset_code code = search(proof, &verdict, origin);
    if (code != ANONSET_OK)
        return code;
    proof->broke |= verdict == AS_CHAIN_BUDGET;
    if (verdict == AS_CHAIN_FOUND)
        found->proof = origin->proven ? ANONSET_PROOF_FOUND : ANONSET_PROOF_CONSISTENT;
    found->refuted = verdict == AS_CHAIN_NONE && origin->certain && !proof->broke;
    return ANONSET_OK;
}

/* Proven checkpoints whose block the server refuses: the same coins may be cut into other blocks
 * now, so that only a way found says something. */
static anonset_code try_checkpoints(struct proof *proof, as_findings *found)
{
    anonset_sync *sync = proof->sync;
    const anonset_backend *backend = sync->store->backend;
    anonset_code code = ANONSET_OK;
    uint32_t next = 0;
    for (uint32_t i = 0, tried = 0;
         code == ANONSET_OK && tried < STARTS_MOST && found->proof == ANONSET_PROOF_NONE; i++) {
        anonset_checkpoint checkpoint;
        struct origin origin;
        code = backend->checkpoint(proof->snapshot, &checkpoint, i, &sync->result.error);
        if (code != ANONSET_OK || i < next || checkpoint.alias ||
            checkpoint.gate != ANONSET_GATE_SET_HASH || checkpoint.meta.size > sync->base)
            continue;
        at_checkpoint(&origin, &checkpoint, false);
        code = try_origin(proof, found, &origin);
        next = i + ++tried;
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

static anonset_code try_all(struct proof *proof, as_findings *found)
{
    struct origin origin;
    anonset_code code = at_floor(proof, &origin);
    if (code == ANONSET_OK)
        return try_origin(proof, found, &origin);
    if (code != ANONSET_NOT_FOUND)
        return code;
    code = try_checkpoints(proof, found);
    if (code != ANONSET_OK || found->proof != ANONSET_PROOF_NONE)
        return code;
    code = at_beginning(proof, &origin);
    if (code == ANONSET_OK)
        code = try_origin(proof, found, &origin);
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

/* The same coins under the same set hash: what was proven of them still is. */
static bool is_reanchor(const anonset_sync *sync, const anonset_state *state)
{
    return sync->base == sync->target.size && as_plan_is_remined(state, &sync->target);
}

static anonset_code prove_set_hash(anonset_sync *sync, as_findings *found, void *snapshot)
{
    struct proof proof = {.sync = sync, .snapshot = snapshot, .budget = sync->options.proof_budget};
    if (!sync->target.has_set_hash || proof.budget == 0)
        return ANONSET_OK;
    anonset_code code = try_all(&proof, found);
    if (found->proof == ANONSET_PROOF_NONE && !found->refuted)
        found->proof = proof.broke ? ANONSET_PROOF_BUDGET : ANONSET_PROOF_NO_START;
    if (found->proof == ANONSET_PROOF_FOUND)
        found->level = ANONSET_GATE_SET_HASH;
    return code;
}

/* ---- With heights ------------------------------------------------------------------------- */

/* Where the heights of all that follows lead to a proof. NOT_FOUND: there is no such place. */
static anonset_code proven_origin(const struct proof *proof, struct origin *origin)
{
    anonset_code code = at_floor(proof, origin);
    if (code == ANONSET_NOT_FOUND || (code == ANONSET_OK && !origin->proven))
        code = at_beginning(proof, origin);
    return code == ANONSET_OK && !origin->proven ? ANONSET_NOT_FOUND : code;
}

anonset_code as_gate_read_cuts(anonset_sync *sync, bool *has_start, void *snapshot, as_cuts *cuts,
                               as_chain_start *start)
{
    struct proof proof = {.sync = sync, .snapshot = snapshot};
    as_chain_source source = source_of(&proof);
    struct origin origin;
    anonset_code code = proven_origin(&proof, &origin);
    *has_start = code == ANONSET_OK;
    if (code == ANONSET_OK) {
        *start = origin.start;
        code = as_cuts_read(cuts, &source, origin.from, sync->held, &sync->result.error);
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

anonset_code as_gate_search(anonset_sync *sync, as_chain_verdict *verdict, void *snapshot,
                            const as_cuts *cuts, const as_chain_start *start)
{
    struct proof proof = {.sync = sync, .snapshot = snapshot};
    as_chain_source source = source_of(&proof);
    uint64_t budget = sync->options.proof_budget;
    return as_chain_search(verdict, cuts, &source, start, sync->target.set_hash, &budget,
                           &sync->result.error);
}

/* ---- Digest and repeats ------------------------------------------------------------------- */

/*
 * The digest of a replaced tail begins at one that only we computed, and another process may have
 * finalized other coins below it since: then the two do not belong together.
 */
static anonset_code check_joint(anonset_sync *sync, bool *joined, void *snapshot,
                                const anonset_state *state)
{
    uint8_t digest[ANONSET_HASH_BYTES];
    anonset_code code = ANONSET_OK;
    *joined = true;
    if (!state->has_finalized || state->base >= state->finalized.size)
        return ANONSET_OK;
    code = as_prove_digest_at(sync, digest, snapshot, sync->base, sync->held);
    if (code == ANONSET_OK)
        *joined = memcmp(digest, sync->digest_held, ANONSET_HASH_BYTES) == 0;
    return code;
}

/* What was planned with is still what is stored: another process may have changed it. */
static bool is_there(const anonset_sync *sync, const anonset_state *state)
{
    if (as_finish_is_again(sync))
        return !state->has_pending && state->has_finalized &&
               as_meta_equal(&state->finalized, &sync->target);
    return state->has_pending && state->base == sync->base &&
           state->count == sync->held - sync->base;
}

static anonset_code open_next(anonset_sync *sync, void **snapshot, anonset_state *state)
{
    anonset_code code = as_sync_open(sync, snapshot, state, sync->result.group, ANONSET_VIEW_NEXT);
    if (code != ANONSET_OK || is_there(sync, state))
        return code;
    sync->store->backend->snapshot_close(*snapshot);
    return ANONSET_STALE;
}

anonset_code as_gate_open(anonset_sync *sync, void **snapshot)
{
    anonset_state state;
    return open_next(sync, snapshot, &state);
}

/* No sector is held any more: what it took may be used. A coin takes half a KiB as text, and more
 * than that once it is read. */
static size_t room_of(anonset_sync *sync)
{
    return (size_t)as_sector_size(&sync->sector) * 1024;
}

static anonset_code look(anonset_sync *sync, as_findings *found, void *snapshot,
                         const anonset_state *state)
{
    anonset_code code = check_joint(sync, &found->joined, snapshot, state);
    if (code == ANONSET_OK && found->joined)
        code = as_unique_check(&found->repeat, sync->store->backend, snapshot, &sync->tagger,
                               sync->base, sync->held, room_of(sync), &sync->result.error);
    if (code == ANONSET_OK && found->joined)
        code = as_trusted_set(sync, &found->distrusted, snapshot);
    if (code != ANONSET_OK || !found->joined || found->repeat.found || found->distrusted > 0)
        return code;
    if (is_reanchor(sync, state)) {
        found->level = state->gate;
    } else if (sync->hash_covers) {
        found->proof = ANONSET_PROOF_FOUND;
        found->level = ANONSET_GATE_SET_HASH;
    } else {
        code = prove_set_hash(sync, found, snapshot);
    }
    return code;
}

anonset_code as_gate_look(anonset_sync *sync, as_findings *found)
{
    anonset_state state;
    void *snapshot;
    *found = (as_findings){.level = ANONSET_GATE_COUNT};
    anonset_code code = open_next(sync, &snapshot, &state);
    if (code != ANONSET_OK)
        return code;
    code = look(sync, found, snapshot, &state);
    sync->store->backend->snapshot_close(snapshot);
    return code;
}

anonset_code as_gate_look_again(anonset_sync *sync, as_findings *found)
{
    void *snapshot;
    *found = (as_findings){.joined = true, .level = ANONSET_GATE_COUNT};
    anonset_code code = as_gate_open(sync, &snapshot);
    if (code != ANONSET_OK)
        return code;
    code = as_trusted_set(sync, &found->distrusted, snapshot);
    if (code == ANONSET_OK && found->distrusted == 0 && sync->local.gate < ANONSET_GATE_SET_HASH)
        code = prove_set_hash(sync, found, snapshot);
    sync->store->backend->snapshot_close(snapshot);
    return code;
}
