/* Hashing every stored coin again: neither engine protects the bytes it keeps. */
#include "core/detail.h"
#include "core/digest.h"
#include "core/store.h"

#include <string.h>

struct walk {
    const anonset_backend *backend;
    void *snapshot;
    as_digest *digest;
    anonset_verdict *verdict;
    anonset_detail *detail;
    uint8_t now[ANONSET_HASH_BYTES]; /* log digest below `position` */
    uint32_t position;
    uint32_t good; /* everything below was confirmed by a stored digest */
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
    }
    return ANONSET_OK;
}

/* Hashes up to position `end`; what the store says of digests on the way must hold. */
static anonset_code hash_to(struct walk *walk, uint32_t end)
{
    while (walk->position < end && walk->verdict->sound) {
        anonset_run run;
        anonset_code code = walk->backend->read(walk->snapshot, &run, walk->position, walk->detail);
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
    memcpy(walk->verdict->digest, walk->now, ANONSET_HASH_BYTES);
    return code;
}

static anonset_code with_snapshot(struct walk *walk, anonset_store *store, anonset_view view,
                                  anonset_code (*body)(struct walk *, const anonset_state *))
{
    anonset_state state;
    anonset_code code = walk->backend->snapshot_open(store->handle, &walk->snapshot, &state,
                                                     walk->verdict->group, view, walk->detail);
    if (code != ANONSET_OK)
        return code;
    code = body(walk, &state);
    walk->backend->snapshot_close(walk->snapshot);
    return code;
}

static anonset_code finalized_body(struct walk *walk, const anonset_state *state)
{
    if (!state->has_finalized && !state->has_pending)
        return as_fail(walk->detail, ANONSET_NOT_FOUND, 0, "nothing is stored of group %u",
                       (unsigned)walk->verdict->group);
    return state->has_finalized ? walk_finalized(walk, state) : ANONSET_OK;
}

/* The pending coins follow the finalized ones below `base`, whose digest the walk must reach again
 * where they do not begin at the end. */
static anonset_code pending_body(struct walk *walk, const anonset_state *state)
{
    anonset_code code;
    if (!state->has_pending)
        return ANONSET_OK;
    if (walk->position != state->base) {
        memset(walk->now, 0, sizeof walk->now);
        walk->position = walk->good = 0;
    }
    code = hash_to(walk, state->base + state->count);
    if (code == ANONSET_OK && walk->verdict->sound)
        (void)confirm(walk, state->pending_digest, "pending coins differ from their digest");
    return code;
}

anonset_code anonset_store_verify(anonset_store *store, anonset_verdict *verdict, uint32_t group,
                                  anonset_detail *detail)
{
    anonset_verdict found = {.group = group, .sound = true};
    struct walk walk = {.verdict = &found, .detail = detail};
    anonset_code code;
    if (!store || !verdict || group == 0)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_store_verify: NULL or group 0");
    walk.backend = store->backend;
    code = as_digest_new(&walk.digest, detail);
    if (code != ANONSET_OK)
        return code;
    code = with_snapshot(&walk, store, ANONSET_VIEW_FINALIZED, finalized_body);
    if (code == ANONSET_OK && found.sound)
        code = with_snapshot(&walk, store, ANONSET_VIEW_NEXT, pending_body);
    as_digest_free(walk.digest);
    if (code == ANONSET_OK)
        *verdict = found;
    return code;
}
