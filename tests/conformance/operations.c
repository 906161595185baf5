#include "tests/conformance/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t groups[] = {1, 2, UINT32_MAX};
#define GROUPS (sizeof groups / sizeof *groups)

const char *const ops_names[OPS_KINDS] = {"append", "complete", "discard", "clear", "genesis",
                                          "reopen", "hold",     "release", "used"};

struct op {
    enum ops_kind kind;
    uint32_t group;
    size_t handle; /* which of the handles makes it */
    size_t slot;   /* of HOLD and RELEASE */
    anonset_view view;
    anonset_append append;
    anonset_complete complete;
    anonset_used_append used;
    uint8_t genesis[ANONSET_HASH_BYTES];
};

/* Anything below `below`. */
static uint32_t pick(struct ops *o, uint32_t below)
{
    return tw_between(&o->rng, 0, below - 1);
}

static bool chance(struct ops *o, uint32_t percent)
{
    return pick(o, 100) < percent;
}

/* ---- Making up operations ----------------------------------------------------------------- */

/* One of few blocks, so that the same meta comes again. */
static anonset_meta make_meta(struct ops *o, uint32_t size)
{
    anonset_meta meta = {.size = size, .has_set_hash = chance(o, 90)};
    ts_fill(meta.block_hash, sizeof meta.block_hash, pick(o, 4));
    if (meta.has_set_hash)
        ts_fill(meta.set_hash, sizeof meta.set_hash, 10 + pick(o, 2));
    return meta;
}

/* Where the pending set is to begin: mostly behind the finalized one. */
static uint32_t make_base(struct ops *o, const anonset_state *state)
{
    if (state->finalized.size > o->size_most / 10 * 7)
        return pick(o, o->size_most / 5);
    if (chance(o, 60))
        return state->finalized.size;
    return chance(o, 15) ? 0 : pick(o, state->finalized.size + 1);
}

static void known_digest(struct ops *o, uint8_t *out, const anonset_state *state, uint32_t base)
{
    if (state->has_pending)
        memcpy(out, state->pending_digest, ANONSET_HASH_BYTES);
    else if (base == 0)
        memset(out, 0, ANONSET_HASH_BYTES);
    else if (base == state->finalized.size)
        memcpy(out, state->digest, ANONSET_HASH_BYTES);
    else
        ts_fill(out, ANONSET_HASH_BYTES, pick(o, 1000));
}

/* Coins from anywhere in the pool. Backends do not compute digests, so any will do. */
static void add_coins(struct ops *o, anonset_append *a, uint32_t n)
{
    uint32_t from = pick(o, OPS_POOL - n);
    a->n = n;
    a->coins = o->pool->coins + from;
    a->tags = o->pool->tags + from;
    memcpy(o->digests[0], a->digest_before, ANONSET_HASH_BYTES);
    for (uint32_t i = 1; i <= n; i++)
        ts_fill(o->digests[i], ANONSET_HASH_BYTES, ts_mix(from, i));
    a->digests = (const uint8_t(*)[ANONSET_HASH_BYTES])(o->digests + 1);
    memcpy(a->digest_after, o->digests[n], ANONSET_HASH_BYTES);
}

/* One thing is not as it should be; it may happen to fit all the same. */
static void bend_append(struct ops *o, anonset_append *a, const anonset_state *state)
{
    switch (pick(o, 9)) {
    case 0:
        a->start++;
        break;
    case 1:
        a->base++;
        a->start++;
        break;
    case 2:
        a->digest_before[pick(o, ANONSET_HASH_BYTES)] ^= 1;
        memcpy(a->digest_after, a->n ? a->digest_after : a->digest_before, ANONSET_HASH_BYTES);
        break;
    case 3:
        a->target = state->finalized;
        break;
    case 4:
        a->target.size = pick(o, a->target.size + 1);
        break;
    case 5:
        a->target.size = UINT32_MAX;
        break;
    case 6:
        a->base = UINT32_MAX - a->n - pick(o, 2);
        a->start = a->base;
        break;
    case 7:
        o->upon.size++;
        break;
    default: /* a replay, or a gap */
        a->base = pick(o, o->size_most);
        a->start = a->base + pick(o, 50);
        break;
    }
}

static void make_append(struct ops *o, anonset_append *a, const anonset_state *state)
{
    *a = (anonset_append){0};
    o->upon = state->finalized;
    a->upon = chance(o, 50) ? &o->upon : NULL;
    a->base = state->has_pending ? state->base : make_base(o, state);
    a->start = a->base + state->count;
    if (state->has_pending && chance(o, 75)) {
        a->target = state->target;
    } else {
        uint32_t room = a->start < o->size_most ? o->size_most - a->start : 0;
        uint32_t most = chance(o, 40) ? 12 : 120; /* a small delta, or more */
        a->target = make_meta(o, a->start + pick(o, room < most ? room + 1 : most));
    }
    known_digest(o, a->digest_before, state, a->base);
    uint32_t room = a->target.size > a->start ? a->target.size - a->start : 0;
    uint32_t most = room < o->sector_most ? room : o->sector_most;
    add_coins(o, a, chance(o, 40) ? most : pick(o, most + 1));
    if (chance(o, 20))
        bend_append(o, a, state);
}

static void bend_complete(struct ops *o, anonset_complete *c)
{
    switch (pick(o, 4)) {
    case 0:
        c->expected_count += pick(o, 2) ? 1 : UINT32_MAX;
        break;
    case 1:
        c->digest[pick(o, ANONSET_HASH_BYTES)] ^= 1;
        break;
    case 2:
        c->target.block_hash[0] ^= 1;
        break;
    default:
        c->target.size++;
        break;
    }
}

static void make_complete(struct ops *o, anonset_complete *c, const anonset_state *state)
{
    bool pending = state->has_pending && chance(o, 85);
    *c = (anonset_complete){.target = pending ? state->target : state->finalized};
    c->expected_count = state->count;
    c->gate = (anonset_gate)pick(o, 3);
    memcpy(c->digest, pending ? state->pending_digest : state->digest, sizeof c->digest);
    if (chance(o, 15))
        bend_complete(o, c);
}

/* Any part of the pool, behind any part of the list; sometimes upon another list. */
static void make_used(struct ops *o, anonset_used_append *a)
{
    const struct ops_side *side = &o->sides[o->n - 1];
    void *view;
    *a = (anonset_used_append){.n = 0};
    if (!o->lists)
        return;
    ENSURE(side->backend->used_open(side->handles[0], &view, &a->before, NULL) == ANONSET_OK,
           "%s: no list of used tags", o->name);
    side->backend->used_close(view);
    a->keep = chance(o, 60) ? a->before.count : pick(o, a->before.count + 1);
    a->n = pick(o, (chance(o, 80) ? 20 : OPS_USED_MAX - a->keep) + 1);
    if (a->n > OPS_USED_MAX - a->keep)
        a->n = OPS_USED_MAX - a->keep;
    a->used = o->used + pick(o, OPS_USED_MAX - a->n + 1);
    ts_fill(a->digest_after, sizeof a->digest_after, pick(o, 1000));
    if (chance(o, 15))
        a->before.count += chance(o, 50) ? 1 : (uint32_t)-1;
    else if (chance(o, 10))
        a->before.digest[0] ^= 1;
}

static enum ops_kind pick_kind(struct ops *o, const anonset_state *state)
{
    static const uint8_t percent[OPS_KINDS] = {50, 20, 4, 2, 2, 4, 6, 6, 6};
    if (state->has_pending && state->base + state->count == state->target.size && chance(o, 60))
        return OPS_COMPLETE;
    uint32_t at = pick(o, 100);
    unsigned kind = 0;
    while (at >= percent[kind])
        at -= percent[kind++];
    return (enum ops_kind)kind;
}

static void make_op(struct ops *o, struct op *op)
{
    anonset_state state;
    const struct ops_side *side = &o->sides[o->n - 1];
    op->group = groups[pick(o, GROUPS)];
    op->handle = pick(o, OPS_HANDLES);
    op->slot = pick(o, OPS_HELD);
    op->view = chance(o, 50) ? ANONSET_VIEW_FINALIZED : ANONSET_VIEW_NEXT;
    ts_fill(op->genesis, sizeof op->genesis, pick(o, 2));
    ENSURE(side->backend->load_state(side->handles[0], &state, op->group, NULL) == ANONSET_OK,
           "%s: a state cannot be loaded", o->name);
    op->kind = pick_kind(o, &state);
    make_append(o, &op->append, &state);
    make_complete(o, &op->complete, &state);
    make_used(o, &op->used);
    op->append.group = op->complete.group = op->group;
    if (op->kind == OPS_CLEAR && chance(o, 20))
        op->group = 0;
}

/* ---- Making them -------------------------------------------------------------------------- */

static anonset_code open_handle(struct ops_side *side, size_t handle, unsigned flags)
{
    anonset_backend_options options = {.flags = flags, .busy_ms = 5000};
    memcpy(options.salt, ts_salt, sizeof options.salt);
    return side->backend->open(&side->handles[handle], side->path, &options, NULL);
}

static void release(struct ops *o, struct ops_side *side, size_t slot)
{
    const struct ops_hold *hold = &o->holds[slot];
    uint64_t image =
        kit_snapshot_image(side->backend, side->held[slot], &hold->state, hold->view, o->tags);
    side->backend->snapshot_close(side->held[slot]);
    ENSURE(image == hold->image, "%s, step %u: %s: a held snapshot changed", o->name, o->step,
           side->backend->name);
}

static void release_all(struct ops *o)
{
    for (size_t slot = 0; slot < OPS_HELD; slot++) {
        for (size_t i = 0; o->holds[slot].used && i < o->n; i++)
            release(o, &o->sides[i], slot);
        o->holds[slot].used = false;
    }
}

static anonset_code reopen(struct ops_side *side)
{
    anonset_code code = ANONSET_OK;
    for (size_t i = 0; i < OPS_HANDLES; i++)
        side->backend->close(side->handles[i]);
    for (size_t i = 0; i < OPS_HANDLES && code == ANONSET_OK; i++)
        code = open_handle(side, i, 0);
    return code;
}

static anonset_code hold(struct ops *o, struct ops_side *side, const struct op *op)
{
    anonset_state state;
    struct ops_hold *hold = &o->holds[op->slot];
    const anonset_backend *b = side->backend;
    anonset_code code = b->snapshot_open(side->handles[op->handle], &side->held[op->slot], &state,
                                         op->group, op->view, NULL);
    if (code != ANONSET_OK)
        return code;
    hold->state = state;
    hold->view = op->view;
    hold->image = kit_snapshot_image(b, side->held[op->slot], &state, op->view, o->tags);
    return ANONSET_OK;
}

static anonset_code apply(struct ops *o, struct ops_side *side, const struct op *op)
{
    const anonset_backend *b = side->backend;
    void *handle = side->handles[op->handle];
    switch (op->kind) {
    case OPS_APPEND:
        return b->append_sector(handle, &op->append, NULL);
    case OPS_COMPLETE:
        return b->mark_complete(handle, &op->complete, NULL);
    case OPS_DISCARD:
        return b->discard_incomplete(handle, op->group, NULL);
    case OPS_CLEAR:
        return b->clear(handle, op->group, NULL);
    case OPS_GENESIS:
        return b->set_genesis(handle, op->genesis, NULL);
    case OPS_REOPEN:
        return reopen(side);
    case OPS_HOLD:
        return hold(o, side, op);
    case OPS_RELEASE:
        release(o, side, op->slot);
        return ANONSET_OK;
    case OPS_USED:
        return b->used_append(handle, &op->used, NULL);
    case OPS_KINDS:
        break;
    }
    return ANONSET_INTERNAL;
}

/* ---- Comparing ---------------------------------------------------------------------------- */

/* A fingerprint of the whole store through one of its handles. */
static uint64_t store_image(const struct ops *o, const struct ops_side *side)
{
    const anonset_backend *b = side->backend;
    void *handle = side->handles[o->step % OPS_HANDLES];
    anonset_store_info info;
    uint64_t sum = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < GROUPS; i++)
        sum = ts_mix(sum, kit_image(b, handle, groups[i], o->tags));
    while (b->next_group(handle, &group, group, NULL) == ANONSET_OK)
        sum = ts_mix(sum, group);
    ENSURE(b->info(handle, &info, NULL) == ANONSET_OK, "%s: no info", b->name);
    for (size_t i = 0; i < ANONSET_HASH_BYTES; i++)
        sum = ts_mix(sum, info.has_genesis ? info.genesis[i] : 256);
    return o->lists ? ts_mix(sum, kit_used_image(b, handle)) : sum;
}

/* Skips what makes no sense now; makes what must come first. */
static bool prepare(struct ops *o, const struct op *op)
{
    if (op->kind == OPS_REOPEN)
        release_all(o);
    if (op->kind == OPS_HOLD)
        return !o->holds[op->slot].used;
    if (op->kind == OPS_USED)
        return o->lists;
    return op->kind != OPS_RELEASE || o->holds[op->slot].used;
}

/* The state of one group alone. */
static uint64_t state_image(const struct ops *o, const struct ops_side *side, uint32_t group)
{
    anonset_state state;
    ENSURE(side->backend->load_state(side->handles[o->step % OPS_HANDLES], &state, group, NULL) ==
               ANONSET_OK,
           "%s: a state cannot be loaded", side->backend->name);
    return kit_state_image(&state);
}

static uint64_t look(const struct ops *o, const struct ops_side *side, const struct op *op)
{
    return o->look_once ? state_image(o, side, op->group ? op->group : 1) : store_image(o, side);
}

void ops_step(struct ops *o)
{
    struct op op;
    anonset_code first = ANONSET_OK;
    uint64_t image = 0, held = 0;
    make_op(o, &op);
    if (!prepare(o, &op))
        return;
    for (size_t i = 0; i < o->n; i++) {
        const char *name = o->sides[i].backend->name;
        anonset_code code = apply(o, &o->sides[i], &op);
        uint64_t now = look(o, &o->sides[i], &op);
        if (i == 0) {
            first = code;
            image = now;
            held = o->holds[op.slot].image;
        }
        ENSURE(code == first, "%s, step %u, %s: %s answers \"%s\", %s \"%s\"", o->name, o->step,
               ops_names[op.kind], name, anonset_strerror(code), o->sides[0].backend->name,
               anonset_strerror(first));
        ENSURE(now == image && o->holds[op.slot].image == held,
               "%s, step %u, %s: %s holds something else than %s", o->name, o->step,
               ops_names[op.kind], name, o->sides[0].backend->name);
    }
    if (op.kind == OPS_HOLD || op.kind == OPS_RELEASE)
        o->holds[op.slot].used = op.kind == OPS_HOLD;
    o->done[op.kind] += first == ANONSET_OK;
    o->refused[op.kind] += first != ANONSET_OK;
    o->step++;
}

/* ---- Runs --------------------------------------------------------------------------------- */

/* Coins of the standard layout and some that are not. */
static ts_chain *make_pool(void)
{
    ts_chain *plain = ts_chain_new(1, OPS_POOL);
    for (uint32_t i = 0; i < OPS_POOL; i += 7) {
        anonset_coin *coin = &plain->coins[i];
        if (i % 2 == 0)
            coin->serialized_len = (uint32_t)(ts_mix(5, i) % coin->serialized_len);
        else
            coin->context_len = (uint32_t)(ts_mix(6, i) % coin->context_len);
    }
    ts_chain *pool = ts_chain_of(1, plain->coins, OPS_POOL);
    ts_chain_free(plain);
    return pool;
}

void ops_open(struct ops *o, const anonset_backend *const *backends, size_t n)
{
    ENSURE(n <= OPS_SIDES, "%zu backends", n);
    o->pool = make_pool();
    o->tags = o->lists = true;
    o->n = n;
    kit_used_fill(o->used, 1, OPS_USED_MAX);
    for (size_t k = 0; k < n; k++) {
        struct ops_side *side = &o->sides[k];
        side->backend = backends[k];
        o->tags = o->tags && side->backend->read_tags;
        o->lists = o->lists && side->backend->used_append;
        (void)snprintf(side->path, sizeof side->path, "%s/%s", o->dir, side->backend->name);
        for (size_t i = 0; i < OPS_HANDLES; i++)
            ENSURE(open_handle(side, i, ANONSET_STORE_CREATE) == ANONSET_OK, "open %s", side->path);
    }
}

void ops_clear(struct ops *o)
{
    release_all(o);
    for (size_t i = 0; i < o->n; i++)
        ENSURE(store_image(o, &o->sides[i]) == store_image(o, &o->sides[0]),
               "%s: %s holds something else than %s", o->name, o->sides[i].backend->name,
               o->sides[0].backend->name);
    for (size_t i = 0; i < o->n; i++)
        ENSURE(o->sides[i].backend->clear(o->sides[i].handles[0], 0, NULL) == ANONSET_OK,
               "%s: clear", o->sides[i].backend->name);
}

void ops_close(struct ops *o)
{
    for (size_t i = 0; i < o->n; i++)
        for (size_t k = 0; k < OPS_HANDLES; k++)
            o->sides[i].backend->close(o->sides[i].handles[k]);
    ts_chain_free(o->pool);
    o->pool = NULL;
}
