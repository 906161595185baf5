#include "core/copy.h"

#include "core/detail.h"
#include "core/run.h"

#include <string.h>

#define HISTORY_MOST 256u /* checkpoints held at a time */

struct copier {
    const as_copy *copy;
    as_replay *replay;
    anonset_detail *detail;
    uint32_t group;
    void *snapshot;
    anonset_state state;
    bool copying_pending;
    bool has_base;
    uint8_t at_base[ANONSET_HASH_BYTES]; /* log digest where the pending set begins */
};

static uint8_t *put(uint8_t *at, const uint8_t *bytes, uint32_t len)
{
    if (len)
        memcpy(at, bytes, len);
    return at + len;
}

static anonset_code copy_coin(struct copier *c, const anonset_coin *coin)
{
    anonset_coin copy = *coin;
    uint8_t *at;
    size_t len = (size_t)coin->serialized_len + ANONSET_HASH_BYTES + coin->context_len;
    anonset_code code = as_replay_room(c->replay, &at, len, c->detail);

    if (code != ANONSET_OK)
        return code;
    copy.serialized = at;
    copy.tx_hash = put(at, coin->serialized, coin->serialized_len);
    at = put(at + coin->serialized_len, coin->tx_hash, ANONSET_HASH_BYTES);
    copy.context = at;
    (void)put(at, coin->context, coin->context_len);
    return as_replay_coin(c->replay, &copy, c->detail);
}

/* Where a gap ends, or a state in it, its digest is known. */
static anonset_code copy_gap(struct copier *c, uint32_t to, const uint8_t *digest)
{
    const anonset_damage *gap = c->copy->gap;
    bool ends = gap->to <= to;
    return as_replay_gap(c->replay, ends ? gap->to : to, ends ? gap->after : digest, c->detail);
}

/* Copies what the snapshot shows up to position `to`, where the log digest is `digest`. */
static anonset_code copy_coins(struct copier *c, uint32_t to, const uint8_t *digest)
{
    const anonset_damage *gap = c->copy->gap;
    anonset_run run = {.n = 0};
    anonset_code code = ANONSET_OK;
    uint32_t at;

    while (code == ANONSET_OK && (at = as_replay_position(c->replay)) < to) {
        if (gap && !c->copying_pending && at >= gap->from && at < gap->to) {
            code = copy_gap(c, to, digest);
            continue;
        }
        if (!as_run_holds(&run, at))
            code = as_run_read(&run, c->copy->from, c->snapshot, at, c->detail);
        if (code == ANONSET_OK && at == c->state.base) {
            c->has_base = true;
            memcpy(c->at_base, as_replay_digest(c->replay), ANONSET_HASH_BYTES);
        }
        if (code == ANONSET_OK)
            code = copy_coin(c, &run.coins[at - run.start]);
    }
    return code;
}

static anonset_code damaged(const struct copier *c)
{
    return as_fail(c->detail, ANONSET_CORRUPT, 0,
                   "group %u: the stored coins below %u differ from their digest: verify says more",
                   (unsigned)c->group, (unsigned)as_replay_position(c->replay));
}

static anonset_code copy_state(struct copier *c, const anonset_checkpoint *checkpoint)
{
    anonset_code code;

    if (checkpoint->meta.size < as_replay_position(c->replay) ||
        checkpoint->meta.size > c->state.finalized.size)
        return damaged(c);
    code = copy_coins(c, checkpoint->meta.size, checkpoint->digest);
    if (code == ANONSET_OK &&
        memcmp(as_replay_digest(c->replay), checkpoint->digest, ANONSET_HASH_BYTES) != 0)
        return damaged(c);
    if (code != ANONSET_OK)
        return code;
    return as_replay_state(c->replay, &checkpoint->meta, checkpoint->gate, c->detail);
}

static anonset_code count_states(struct copier *c, uint32_t *count)
{
    anonset_checkpoint checkpoint;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_code code = ANONSET_OK;

    for (*count = 0; code == ANONSET_OK; *count += code == ANONSET_OK)
        code = c->copy->from->checkpoint(c->snapshot, &checkpoint, *count, &detail);
    if (code == ANONSET_NOT_FOUND)
        return ANONSET_OK;
    return as_fail(c->detail, code, detail.os_error, "%s", detail.text);
}

/* The backend tells states newest first and cheaply only in that order: they are read in portions,
 * the oldest portion first, and each is copied from its end. */
static anonset_code copy_states(struct copier *c)
{
    anonset_checkpoint history[HISTORY_MOST];
    uint32_t left, from;
    if (c->copy->newest_alone) {
        history[0] = (anonset_checkpoint){.meta = c->state.finalized, .gate = c->state.gate};
        memcpy(history[0].digest, c->state.digest, ANONSET_HASH_BYTES);
        return copy_state(c, &history[0]);
    }
    anonset_code code = count_states(c, &left);

    for (; code == ANONSET_OK && left > 0; left = from) {
        from = left > HISTORY_MOST ? left - HISTORY_MOST : 0;
        for (uint32_t i = from; code == ANONSET_OK && i < left; i++)
            code = c->copy->from->checkpoint(c->snapshot, &history[i - from], i, c->detail);
        for (uint32_t i = left; code == ANONSET_OK && i > from; i--)
            code = copy_state(c, &history[i - 1 - from]);
    }
    return code;
}

static anonset_code copy_finalized(struct copier *c)
{
    anonset_code code = c->copy->from->snapshot_open(c->copy->handle, &c->snapshot, &c->state,
                                                     c->group, ANONSET_VIEW_FINALIZED, c->detail);

    if (code != ANONSET_OK)
        return code;
    as_replay_group(c->replay, c->group);
    memset(c->at_base, 0, sizeof c->at_base);
    c->has_base = c->state.base == 0;
    if (c->state.has_finalized)
        code = copy_states(c);
    c->copy->from->snapshot_close(c->snapshot);
    if (code != ANONSET_OK || !c->state.has_finalized)
        return code;
    if (as_replay_position(c->replay) != c->state.finalized.size ||
        memcmp(as_replay_digest(c->replay), c->state.digest, ANONSET_HASH_BYTES) != 0)
        return damaged(c);
    if (c->state.base == c->state.finalized.size) {
        c->has_base = true;
        memcpy(c->at_base, c->state.digest, ANONSET_HASH_BYTES);
    }
    return ANONSET_OK;
}

static bool is_same(const anonset_state *a, const anonset_state *b)
{
    return a->has_pending == b->has_pending && a->has_finalized == b->has_finalized &&
           a->base == b->base && a->count == b->count &&
           memcmp(a->digest, b->digest, ANONSET_HASH_BYTES) == 0 &&
           memcmp(a->pending_digest, b->pending_digest, ANONSET_HASH_BYTES) == 0 &&
           memcmp(a->target.block_hash, b->target.block_hash, ANONSET_HASH_BYTES) == 0;
}

static anonset_code copy_pending_coins(struct copier *c, const anonset_state *now)
{
    anonset_code code;

    if (!is_same(&c->state, now))
        return as_fail(c->detail, ANONSET_BUSY, 0,
                       "group %u: a sync wrote to it meanwhile: end that and try again",
                       (unsigned)c->group);
    bool cut = c->copy->pending_to != 0;
    uint32_t to = cut ? c->copy->pending_to : now->base + now->count;
    as_replay_back(c->replay, now->base, c->at_base);
    c->copying_pending = true;
    code = copy_coins(c, to, now->pending_digest);
    if (code == ANONSET_OK && !cut &&
        memcmp(as_replay_digest(c->replay), now->pending_digest, ANONSET_HASH_BYTES) != 0)
        return damaged(c);
    return code == ANONSET_OK ? as_replay_pending(c->replay, &now->target, c->detail) : code;
}

static anonset_code copy_pending(struct copier *c)
{
    anonset_state now;
    anonset_code code = c->copy->from->snapshot_open(c->copy->handle, &c->snapshot, &now, c->group,
                                                     ANONSET_VIEW_NEXT, c->detail);

    if (code != ANONSET_OK)
        return code;
    code = copy_pending_coins(c, &now);
    c->copy->from->snapshot_close(c->snapshot);
    return code;
}

anonset_code as_copy_group(const as_copy *copy, uint32_t group, anonset_detail *detail)
{
    struct copier c = {.copy = copy, .replay = copy->replay, .detail = detail, .group = group};
    anonset_code code = copy_finalized(&c);
    if (code == ANONSET_OK && c.state.has_pending && c.has_base && !copy->no_pending)
        code = copy_pending(&c);
    return code;
}
