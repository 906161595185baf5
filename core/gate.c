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

static as_chain_source source_of(const struct proof *proof)
{
    anonset_sync *sync = proof->sync;
    return (as_chain_source){.backend = sync->store->backend,
                             .snapshot = proof->snapshot,
                             .digest = sync->digest,
                             .cancelled = &sync->cancelled};
}

static anonset_code try_start(struct proof *proof, as_chain_verdict *verdict,
                              const as_chain_start *start, uint32_t from)
{
    anonset_sync *sync = proof->sync;
    anonset_detail *detail = &sync->result.error;
    uint64_t reading = (sync->held - from) / READ_COINS_A_CALL;
    as_chain_source source = source_of(proof);
    as_cuts cuts;
    *verdict = AS_CHAIN_BUDGET;
    if (reading > proof->budget)
        return ANONSET_OK;
    proof->budget -= reading;
    anonset_code code = as_cuts_read(&cuts, &source, from, sync->held, detail);
    if (code == ANONSET_OK)
        code = as_chain_search(verdict, &cuts, &source, start, sync->target.set_hash,
                               &proof->budget, detail);
    as_cuts_free(&cuts);
    return code;
}

static anonset_code try_checkpoint(struct proof *proof, as_chain_verdict *verdict,
                                   const anonset_checkpoint *checkpoint)
{
    as_chain_start start = {.has_hash = true};
    memcpy(start.hash, checkpoint->meta.set_hash, sizeof start.hash);
    return try_start(proof, verdict, &start, checkpoint->meta.size);
}

/* The floor's checkpoint, where its block was accepted behind the last coin. NOT_FOUND: there is
 * none. */
static anonset_code accepted_floor(const struct proof *proof, anonset_checkpoint *checkpoint)
{
    anonset_sync *sync = proof->sync;
    const anonset_backend *backend = sync->store->backend;
    anonset_code code = ANONSET_NOT_FOUND;
    if (sync->floor.size == 0 || sync->close_pin != AS_REPLY_ACCEPTED)
        return ANONSET_NOT_FOUND;
    for (uint32_t i = 0;; i++) {
        code = backend->checkpoint(proof->snapshot, checkpoint, i, &sync->result.error);
        if (code != ANONSET_OK ||
            memcmp(checkpoint->meta.block_hash, sync->floor.block_hash, ANONSET_HASH_BYTES) == 0)
            return code;
    }
}

/* The block is on the target's chain, so the coins must lead from its set hash to the new one. */
static anonset_code prove_from_floor(struct proof *proof, as_findings *found,
                                     const anonset_checkpoint *floor)
{
    as_chain_verdict verdict;
    bool proven = floor->gate == ANONSET_GATE_SET_HASH;
    anonset_code code = try_checkpoint(proof, &verdict, floor);
    if (code != ANONSET_OK)
        return code;
    found->refuted = verdict == AS_CHAIN_NONE;
    if (verdict == AS_CHAIN_FOUND)
        found->proof = proven ? ANONSET_PROOF_FOUND : ANONSET_PROOF_CONSISTENT;
    else if (verdict == AS_CHAIN_BUDGET)
        found->proof = ANONSET_PROOF_BUDGET;
    return ANONSET_OK;
}

static void note(struct proof *proof, as_findings *found, as_chain_verdict verdict)
{
    proof->broke |= verdict == AS_CHAIN_BUDGET;
    if (verdict == AS_CHAIN_FOUND)
        found->proof = ANONSET_PROOF_FOUND;
}

/* Proven checkpoints whose block the server refuses: the same coins may be cut into other blocks
 * now, so that only a way found says something. */
static anonset_code prove_from_checkpoints(struct proof *proof, as_findings *found)
{
    anonset_sync *sync = proof->sync;
    const anonset_backend *backend = sync->store->backend;
    anonset_checkpoint checkpoint;
    anonset_code code = ANONSET_OK;
    uint32_t next = 0;
    for (uint32_t i = 0, tried = 0; tried < STARTS_MOST && found->proof == ANONSET_PROOF_NONE;
         i++) {
        as_chain_verdict verdict;
        code = backend->checkpoint(proof->snapshot, &checkpoint, i, &sync->result.error);
        if (code != ANONSET_OK)
            break;
        if (i < next || checkpoint.alias || checkpoint.gate != ANONSET_GATE_SET_HASH ||
            checkpoint.meta.size > sync->base)
            continue;
        code = try_checkpoint(proof, &verdict, &checkpoint);
        if (code != ANONSET_OK)
            break;
        note(proof, found, verdict);
        next = i + ++tried;
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

/* A later group's own coins begin behind those of the group before, and so does its chain, with the
 * last set hash of that group. That the one we hold is the last is only the server's word. */
static anonset_code prove_from_seam(struct proof *proof, as_findings *found)
{
    as_chain_start start = {.has_hash = true};
    as_chain_verdict verdict;
    as_seam seam;
    anonset_code code = as_seam_of_stored(proof->sync, &seam, proof->snapshot);
    found->proof = proof->broke ? ANONSET_PROOF_BUDGET : ANONSET_PROOF_NO_START;
    if (code == ANONSET_NOT_FOUND)
        return ANONSET_OK;
    if (code != ANONSET_OK)
        return code;
    memcpy(start.hash, seam.old.set_hash, sizeof start.hash);
    code = try_start(proof, &verdict, &start, seam.size);
    if (code != ANONSET_OK)
        return code;
    if (verdict == AS_CHAIN_FOUND)
        found->proof = seam.proven ? ANONSET_PROOF_FOUND : ANONSET_PROOF_CONSISTENT;
    else if (verdict == AS_CHAIN_BUDGET)
        found->proof = ANONSET_PROOF_BUDGET;
    found->refuted = verdict == AS_CHAIN_NONE && !proof->broke && proof->sync->seam.final &&
                     as_meta_equal(&seam.old, &proof->sync->seam.old);
    return ANONSET_OK;
}

/* Group 1 begins with a block that no set hash covers. */
static anonset_code prove_from_scratch(struct proof *proof, as_findings *found)
{
    const as_chain_start scratch = {.first_free = true};
    as_chain_verdict verdict;
    anonset_code code = try_start(proof, &verdict, &scratch, 0);
    if (code != ANONSET_OK)
        return code;
    note(proof, found, verdict);
    if (verdict != AS_CHAIN_FOUND && proof->broke)
        found->proof = ANONSET_PROOF_BUDGET;
    found->refuted = found->proof == ANONSET_PROOF_NONE;
    return ANONSET_OK;
}

static anonset_code prove(struct proof *proof, as_findings *found)
{
    anonset_checkpoint floor;
    anonset_code code = accepted_floor(proof, &floor);
    if (code == ANONSET_OK)
        return prove_from_floor(proof, found, &floor);
    if (code != ANONSET_NOT_FOUND)
        return code;
    code = prove_from_checkpoints(proof, found);
    if (code != ANONSET_OK || found->proof != ANONSET_PROOF_NONE)
        return code;
    return proof->sync->result.group == 1 ? prove_from_scratch(proof, found)
                                          : prove_from_seam(proof, found);
}

/* The same coins under the same set hash: what was proven of them still is. */
static bool is_reanchor(const anonset_sync *sync, const anonset_state *state)
{
    return sync->base == sync->target.size && as_plan_is_remined(state, &sync->target);
}

static anonset_code prove_set_hash(anonset_sync *sync, as_findings *found, void *snapshot)
{
    struct proof proof = {.sync = sync, .snapshot = snapshot, .budget = sync->options.proof_budget};
    anonset_code code = ANONSET_OK;
    if (sync->target.has_set_hash && proof.budget > 0)
        code = prove(&proof, found);
    if (found->proof == ANONSET_PROOF_FOUND)
        found->level = ANONSET_GATE_SET_HASH;
    return code;
}

/* ---- With heights ------------------------------------------------------------------------- */

/* Where the heights of all that follows lead to a proof: the accepted floor if it is proven, else
 * the first coin. NOT_FOUND: there is no such place. */
static anonset_code best_start(struct proof *proof, as_chain_start *start, uint32_t *from)
{
    anonset_checkpoint floor;
    as_seam seam;
    anonset_code code = accepted_floor(proof, &floor);
    *from = 0;
    *start = (as_chain_start){.has_hash = true};
    if (code == ANONSET_OK && floor.gate == ANONSET_GATE_SET_HASH) {
        *from = floor.meta.size;
        memcpy(start->hash, floor.meta.set_hash, sizeof start->hash);
        return ANONSET_OK;
    }
    if (code != ANONSET_OK && code != ANONSET_NOT_FOUND)
        return code;
    if (proof->sync->result.group == 1) {
        *start = (as_chain_start){.first_free = true};
        return ANONSET_OK;
    }
    code = as_seam_of_stored(proof->sync, &seam, proof->snapshot);
    if (code != ANONSET_OK)
        return code;
    *from = seam.size;
    memcpy(start->hash, seam.old.set_hash, sizeof start->hash);
    return seam.proven ? ANONSET_OK : ANONSET_NOT_FOUND;
}

anonset_code as_gate_read_cuts(anonset_sync *sync, bool *has_start, void *snapshot, as_cuts *cuts,
                               as_chain_start *start)
{
    struct proof proof = {.sync = sync, .snapshot = snapshot};
    as_chain_source source = source_of(&proof);
    uint32_t from;
    anonset_code code = best_start(&proof, start, &from);
    *has_start = code == ANONSET_OK;
    if (code == ANONSET_OK)
        code = as_cuts_read(cuts, &source, from, sync->held, &sync->result.error);
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

static anonset_code look(anonset_sync *sync, as_findings *found, void *snapshot,
                         const anonset_state *state)
{
    anonset_code code = check_joint(sync, &found->joined, snapshot, state);
    if (code == ANONSET_OK && found->joined)
        code = as_unique_check(&found->repeat, sync->store->backend, snapshot, &sync->tagger,
                               sync->base, sync->held, &sync->result.error);
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
