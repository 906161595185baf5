/* Hashing every stored coin again: neither engine protects the bytes it keeps. */
#include "core/detail.h"
#include "core/digest.h"
#include "core/ledger.h"
#include "core/rederive.h"
#include "core/run.h"
#include "core/store.h"

#include <string.h>

#define OPEN_TRIES 16 /* for two snapshots with no commit in between */

struct walk {
    const anonset_backend *backend;
    void *snapshot;
    as_digest *digest;
    anonset_verdict *verdict;
    anonset_detail *detail;
    uint8_t now[ANONSET_HASH_BYTES]; /* log digest below `position` */
    uint32_t position;
    uint32_t good;                       /* everything below was confirmed by a stored digest */
    uint32_t base;                       /* where the pending set begins */
    uint8_t at_base[ANONSET_HASH_BYTES]; /* log digest there, once the walk came by */
};

static void damage(struct walk *walk, uint32_t to, const char *what)
{
    anonset_verdict *verdict = walk->verdict;
    verdict->sound = false;
    verdict->damaged_from = walk->good;
    verdict->damaged_to = to;
    (void)as_fail(walk->detail, ANONSET_CORRUPT, 0,
                  "group %u: %s (positions %u to %u); clear the group and sync it again",
                  (unsigned)verdict->group, what, (unsigned)walk->good, (unsigned)to);
}

/* Compares with a digest stored for the position reached. False: they differ. */
static bool confirm(struct walk *walk, const uint8_t *stored, const char *what)
{
    if (memcmp(walk->now, stored, ANONSET_HASH_BYTES) != 0) {
        damage(walk, walk->position, what);
        return false;
    }
    walk->good = walk->position;
    return true;
}

static anonset_code hash_run(struct walk *walk, const anonset_run *run, uint32_t end)
{
    for (uint32_t i = walk->position - run->start; i < run->n && walk->position < end; i++) {
        anonset_code code = as_digest_coin(walk->digest, walk->now, walk->now, &run->coins[i]);
        if (code != ANONSET_OK)
            return as_fail(walk->detail, code, 0, "the crypto library failed");
        walk->position++;
        walk->verdict->coins++;
        if (walk->position == walk->base)
            memcpy(walk->at_base, walk->now, ANONSET_HASH_BYTES);
    }
    return ANONSET_OK;
}

/* Hashes up to position `end`; what the store says of digests on the way must hold. */
static anonset_code hash_to(struct walk *walk, uint32_t end)
{
    while (walk->position < end && walk->verdict->sound) {
        anonset_run run;
        anonset_code code =
            as_run_read(&run, walk->backend, walk->snapshot, walk->position, walk->detail);
        if (code == ANONSET_CORRUPT) {
            damage(walk, end, "stored coins cannot be read");
            return ANONSET_OK;
        }
        if (code == ANONSET_OK)
            code = hash_run(walk, &run, end);
        if (code != ANONSET_OK)
            return code;
        if (run.has_digest && walk->position == run.start + run.n)
            (void)confirm(walk, run.digest, "stored coins differ from their digest");
    }
    return ANONSET_OK;
}

/* The checkpoints come newest first, and the walk needs them oldest first: `index` counts down. */
static anonset_code checkpoint_count(struct walk *walk, uint32_t *count)
{
    anonset_checkpoint checkpoint;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_code code = ANONSET_OK;
    *count = 0;
    while (code == ANONSET_OK) {
        code = walk->backend->checkpoint(walk->snapshot, &checkpoint, *count, &detail);
        *count += code == ANONSET_OK;
    }
    if (code == ANONSET_NOT_FOUND)
        return ANONSET_OK;
    return as_fail(walk->detail, code, detail.os_error, "%s", detail.text);
}

static anonset_code walk_finalized(struct walk *walk, const anonset_state *state)
{
    uint32_t count;
    anonset_code code = checkpoint_count(walk, &count);
    while (code == ANONSET_OK && count-- > 0 && walk->verdict->sound) {
        anonset_checkpoint checkpoint;
        code = walk->backend->checkpoint(walk->snapshot, &checkpoint, count, walk->detail);
        if (code != ANONSET_OK)
            break;
        if (checkpoint.meta.size < walk->position || checkpoint.meta.size > state->finalized.size) {
            damage(walk, walk->good, "the checkpoints contradict the set's size");
            break;
        }
        code = hash_to(walk, checkpoint.meta.size);
        if (code == ANONSET_OK && walk->verdict->sound)
            (void)confirm(walk, checkpoint.digest, "stored coins differ from a checkpoint");
    }
    if (code == ANONSET_OK && walk->verdict->sound)
        code = hash_to(walk, state->finalized.size);
    if (code == ANONSET_OK && walk->verdict->sound)
        (void)confirm(walk, state->digest, "stored coins differ from the set's digest");
    return code;
}

/* The digests agree, so what is found broken here was never right. */
static anonset_code walk_set_hashes(struct walk *walk)
{
    static const atomic_bool never;
    as_chain_source source = {.backend = walk->backend,
                              .snapshot = walk->snapshot,
                              .digest = walk->digest,
                              .cancelled = &never};
    anonset_verdict *verdict = walk->verdict;
    as_links links;
    anonset_code code = as_rederive(&links, &source, verdict->group == 1, walk->detail);
    if (code != ANONSET_OK)
        return code;
    verdict->proven = links.proven;
    verdict->rederived = links.rederived;
    if (links.broken) {
        walk->good = links.from;
        damage(walk, links.to, "stored coins do not lead to the set hash that they are said to");
    }
    return ANONSET_OK;
}

/* The pending coins follow those below `base`. */
static anonset_code walk_pending(struct walk *walk, const anonset_state *state)
{
    memcpy(walk->now, walk->at_base, ANONSET_HASH_BYTES);
    walk->position = walk->good = state->base;
    anonset_code code = hash_to(walk, state->base + state->count);
    if (code == ANONSET_OK && walk->verdict->sound)
        (void)confirm(walk, state->pending_digest, "pending coins differ from their digest");
    return code;
}

/* ---- Both views of one state -------------------------------------------------------------- */

struct views {
    const anonset_backend *backend;
    void *finalized;
    void *next; /* NULL: nothing is pending */
    anonset_state state;
};

static void close_views(struct views *views)
{
    if (views->finalized)
        views->backend->snapshot_close(views->finalized);
    if (views->next)
        views->backend->snapshot_close(views->next);
    views->finalized = views->next = NULL;
}

static bool is_same(const anonset_state *a, const anonset_state *b)
{
    uint8_t x[AS_LEDGER_BYTES];
    uint8_t y[AS_LEDGER_BYTES];
    as_ledger_encode(x, &(as_ledger){.state = *a}, 0);
    as_ledger_encode(y, &(as_ledger){.state = *b}, 0);
    return memcmp(x, y, sizeof x) == 0;
}

/* Opens what there is of the two. *same: no commit came in between. */
static anonset_code try_views(struct views *views, bool *same, void *handle, uint32_t group,
                              anonset_detail *detail)
{
    const anonset_backend *b = views->backend;
    anonset_state next;
    void *snapshot = NULL;
    anonset_code code =
        b->snapshot_open(handle, &snapshot, &views->state, group, ANONSET_VIEW_FINALIZED, detail);
    if (code != ANONSET_OK)
        return code;
    views->finalized = snapshot;
    *same = !views->state.has_pending;
    if (*same)
        return ANONSET_OK;
    code = b->snapshot_open(handle, &snapshot, &next, group, ANONSET_VIEW_NEXT, detail);
    if (code != ANONSET_OK)
        return code;
    views->next = snapshot;
    *same = is_same(&views->state, &next);
    return ANONSET_OK;
}

static anonset_code open_views(struct views *views, void *handle, uint32_t group,
                               anonset_detail *detail)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        bool same = false;
        anonset_code code = try_views(views, &same, handle, group, detail);
        if (code == ANONSET_OK && same)
            return ANONSET_OK;
        close_views(views);
        if (code != ANONSET_OK)
            return code;
    }
    return as_fail(detail, ANONSET_BUSY, 0, "group %u changes too fast to be verified: try again",
                   group);
}

static anonset_code walk_views(struct walk *walk, const struct views *views)
{
    const anonset_state *state = &views->state;
    anonset_code code = ANONSET_OK;
    if (!state->has_finalized && !state->has_pending)
        return as_fail(walk->detail, ANONSET_NOT_FOUND, 0, "nothing is stored of group %u",
                       (unsigned)walk->verdict->group);
    walk->base = state->base;
    walk->snapshot = views->finalized;
    if (state->has_finalized)
        code = walk_finalized(walk, state);
    if (code == ANONSET_OK && state->has_finalized && walk->verdict->sound)
        code = walk_set_hashes(walk);
    memcpy(walk->verdict->digest, walk->now, ANONSET_HASH_BYTES);
    if (code != ANONSET_OK || !walk->verdict->sound || !state->has_pending)
        return code;
    walk->snapshot = views->next;
    code = walk_pending(walk, state);
    if (!state->has_finalized)
        memcpy(walk->verdict->digest, walk->now, ANONSET_HASH_BYTES);
    return code;
}

anonset_code anonset_store_verify(anonset_store *store, anonset_verdict *verdict, uint32_t group,
                                  anonset_detail *detail)
{
    anonset_verdict found = {.group = group, .sound = true};
    struct walk walk = {.verdict = &found, .detail = detail};
    if (!store || !verdict || group == 0)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_store_verify: NULL or group 0");
    struct views views = {.backend = store->backend};
    walk.backend = store->backend;
    anonset_code code = as_digest_new(&walk.digest, detail);
    if (code != ANONSET_OK)
        return code;
    code = open_views(&views, store->handle, group, detail);
    if (code == ANONSET_OK)
        code = walk_views(&walk, &views);
    if (code == ANONSET_CORRUPT) {
        damage(&walk, walk.good, "its records cannot be read");
        code = ANONSET_OK;
    }
    close_views(&views);
    as_digest_free(walk.digest);
    if (code == ANONSET_OK)
        *verdict = found;
    return code;
}
