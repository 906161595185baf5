/*
 * Which earlier blocks of a set a server may call its own. That the coins below a checkpoint are
 * still there does not say that its block is on the chain: the same coins can be mined again, cut
 * into other blocks. But then they lead to other set hashes, and whoever takes our word for the old
 * block finds that the coins behind it do not lead from there to the newest set hash, and refuses a
 * set that is right.
 */
#include "core/chain.h"
#include "core/detail.h"
#include "core/store.h"

#include <string.h>

struct walk {
    as_chain_source source;
    atomic_bool never;   /* nobody cancels this */
    uint32_t budget;     /* of each search */
    anonset_meta newer;  /* the oldest meta that was not contradicted so far */
    uint32_t index;      /* of the next checkpoint to look at */
    bool found, cleared; /* the block wanted; and the coins do not contradict it */
    anonset_meta wanted;
};

/* Whether the coins from `older` on contradict that its block is below the one of `newer`. */
static anonset_code contradicts(struct walk *w, bool *so, const anonset_meta *older,
                                anonset_detail *detail)
{
    as_chain_start start = {.has_hash = true};
    as_chain_verdict verdict = AS_CHAIN_NONE;
    uint64_t budget = w->budget;
    as_cuts cuts;
    anonset_code code;
    *so = true;
    /* A set of one block has no set hash; nodes refuse its block, too, once there are more. */
    if (!older->has_set_hash || !w->newer.has_set_hash)
        return ANONSET_OK;
    if (older->size == w->newer.size) {
        *so = memcmp(older->set_hash, w->newer.set_hash, ANONSET_HASH_BYTES) != 0;
        return ANONSET_OK;
    }
    memcpy(start.hash, older->set_hash, sizeof start.hash);
    code = as_cuts_read(&cuts, &w->source, older->size, w->newer.size, detail);
    if (code == ANONSET_OK)
        code = as_chain_search(&verdict, &cuts, &w->source, &start, w->newer.set_hash, &budget,
                               detail);
    *so = verdict == AS_CHAIN_NONE;
    as_cuts_free(&cuts);
    return code;
}

/* Goes through the checkpoints, newest first. What is contradicted is passed over, so that what
 * lies below it is held against the chain and not against it. */
static anonset_code next_checkpoint(struct walk *w, const uint8_t *block_hash,
                                    anonset_detail *detail)
{
    anonset_checkpoint at;
    bool contradicted = false;
    anonset_code code = w->source.backend->checkpoint(w->source.snapshot, &at, w->index, detail);
    if (code != ANONSET_OK)
        return code;
    w->found = memcmp(at.meta.block_hash, block_hash, ANONSET_HASH_BYTES) == 0;
    if (w->index > 0)
        code = contradicts(w, &contradicted, &at.meta, detail);
    w->index++;
    if (code != ANONSET_OK)
        return code;
    w->cleared = !contradicted;
    w->wanted = at.meta;
    if (w->cleared)
        w->newer = at.meta;
    return ANONSET_OK;
}

/* Before any coin is read: most blocks asked for that are not known never were. */
static anonset_code is_known(const struct walk *w, const uint8_t *block_hash,
                             anonset_detail *detail)
{
    anonset_checkpoint at;
    anonset_code code;
    for (uint32_t i = 0;; i++) {
        code = w->source.backend->checkpoint(w->source.snapshot, &at, i, detail);
        if (code != ANONSET_OK || memcmp(at.meta.block_hash, block_hash, ANONSET_HASH_BYTES) == 0)
            return code;
    }
}

static anonset_code find(struct walk *w, const uint8_t *block_hash, anonset_detail *detail)
{
    anonset_code code = is_known(w, block_hash, detail);
    while (code == ANONSET_OK && !w->found)
        code = next_checkpoint(w, block_hash, detail);
    if (code == ANONSET_OK && !w->cleared)
        code = ANONSET_NOT_FOUND;
    return code == ANONSET_NOT_FOUND
               ? as_fail(detail, code, 0, "this block is not in the history of the set")
               : code;
}

anonset_code anonset_store_ancestor(anonset_store *store, anonset_meta *ancestor,
                                    anonset_meta *newest, uint32_t group, const uint8_t *block_hash,
                                    uint32_t budget, anonset_detail *detail)
{
    anonset_state state;
    void *snapshot = NULL;
    as_digest *digest = NULL;
    anonset_code code;
    if (!store || !ancestor || !newest || group == 0 || !block_hash)
        return as_fail(detail, ANONSET_INVALID, 0, "%s: NULL or group 0", __func__);
    code = as_digest_new(&digest, detail);
    if (code == ANONSET_OK)
        code = store->backend->snapshot_open(store->handle, &snapshot, &state, group,
                                             ANONSET_VIEW_FINALIZED, detail);
    if (code == ANONSET_OK && !state.has_finalized)
        code = as_fail(detail, ANONSET_NOT_FOUND, 0, "group %u has no finalized set: sync it first",
                       (unsigned)group);
    if (code == ANONSET_OK) {
        struct walk w = {.source = {store->backend, snapshot, digest, NULL},
                         .newer = state.finalized,
                         .budget = budget};
        atomic_init(&w.never, false);
        w.source.cancelled = &w.never;
        code = find(&w, block_hash, detail);
        if (code == ANONSET_OK) {
            *ancestor = w.wanted;
            *newest = state.finalized;
        }
    }
    if (snapshot)
        store->backend->snapshot_close(snapshot);
    as_digest_free(digest);
    return code;
}
