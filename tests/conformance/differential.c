/*
 * The same random operations on every backend of the table at once, valid ones and refused ones.
 * After each step all must have answered the same and must hold the same: states, digests,
 * checkpoints and the coins of both views. memory shares no code with the others, so that a common
 * mistake of theirs shows too.
 *
 * ANONSET_SEED picks the first run's seed, ANONSET_RUNS how many runs of STEPS operations follow
 * from it, each with the next seed. A failure tells the seed that repeats it in one run.
 */
#include "core/store.h"
#include "tests/conformance/kit.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS        300
#define DEFAULT_RUNS 8
#define DEFAULT_SEED 20240101u
#define POOL         400u /* coins to append from */
#define SIZE_MAX_    500u /* no set grows larger */
#define SECTOR_MAX   60u
#define SIDES        8
#define HANDLES      2
#define HELD         4 /* snapshots held across operations */

static const uint32_t groups[] = {1, 2, UINT32_MAX};
#define GROUPS (sizeof groups / sizeof *groups)

enum kind {
    APPEND,
    COMPLETE,
    DISCARD,
    CLEAR,
    GENESIS,
    REOPEN,
    HOLD,    /* opens a snapshot */
    RELEASE, /* reads it again and closes it */
    KINDS
};

static const char *const kind_names[KINDS] = {"append",  "complete", "discard", "clear",
                                              "genesis", "reopen",   "hold",    "release"};

struct op {
    enum kind kind;
    uint32_t group;
    size_t handle; /* which of the handles makes it */
    size_t slot;   /* of HOLD and RELEASE */
    anonset_view view;
    anonset_append append;
    anonset_complete complete;
    uint8_t genesis[ANONSET_HASH_BYTES];
};

struct side {
    const anonset_backend *backend;
    char path[KIT_DIR + 40];
    void *handles[HANDLES];
    void *held[HELD];
};

struct hold {
    bool used;
    anonset_view view;
    anonset_state state;
    uint64_t image;
};

struct world {
    char dir[KIT_DIR];
    struct side sides[SIDES];
    size_t n;
    bool tags; /* all backends keep them */
    struct hold holds[HELD];
    ts_chain *pool;
    uint8_t digests[SECTOR_MAX + 1][ANONSET_HASH_BYTES]; /* of the sector that is made up now */
    anonset_meta upon;
    uint64_t seed, random;
    unsigned step;
    unsigned done[KINDS], refused[KINDS];
};

/* Anything below `below`. */
static uint32_t pick(struct world *w, uint32_t below)
{
    w->random = ts_mix(w->random, 0);
    return (uint32_t)((w->random >> 32) % below);
}

static bool chance(struct world *w, uint32_t percent)
{
    return pick(w, 100) < percent;
}

/* ---- Making up operations ----------------------------------------------------------------- */

/* One of few blocks, so that the same meta comes again. */
static anonset_meta make_meta(struct world *w, uint32_t size)
{
    anonset_meta meta = {.size = size, .has_set_hash = chance(w, 90)};
    ts_fill(meta.block_hash, sizeof meta.block_hash, pick(w, 4));
    if (meta.has_set_hash)
        ts_fill(meta.set_hash, sizeof meta.set_hash, 10 + pick(w, 2));
    return meta;
}

/* Where the pending set is to begin: mostly behind the finalized one. */
static uint32_t make_base(struct world *w, const anonset_state *state)
{
    if (state->finalized.size > SIZE_MAX_ - 150)
        return pick(w, 100);
    if (chance(w, 60))
        return state->finalized.size;
    return chance(w, 15) ? 0 : pick(w, state->finalized.size + 1);
}

static void known_digest(struct world *w, uint8_t *out, const anonset_state *state, uint32_t base)
{
    if (state->has_pending)
        memcpy(out, state->pending_digest, ANONSET_HASH_BYTES);
    else if (base == 0)
        memset(out, 0, ANONSET_HASH_BYTES);
    else if (base == state->finalized.size)
        memcpy(out, state->digest, ANONSET_HASH_BYTES);
    else
        ts_fill(out, ANONSET_HASH_BYTES, pick(w, 1000));
}

/* Coins from anywhere in the pool. Backends do not compute digests, so any will do. */
static void add_coins(struct world *w, anonset_append *a, uint32_t n)
{
    uint32_t from = pick(w, POOL - n);
    a->n = n;
    a->coins = w->pool->coins + from;
    a->tags = w->pool->tags + from;
    memcpy(w->digests[0], a->digest_before, ANONSET_HASH_BYTES);
    for (uint32_t i = 1; i <= n; i++)
        ts_fill(w->digests[i], ANONSET_HASH_BYTES, ts_mix(w->random, i));
    a->digests = (const uint8_t(*)[ANONSET_HASH_BYTES])(w->digests + 1);
    memcpy(a->digest_after, w->digests[n], ANONSET_HASH_BYTES);
}

/* One thing is not as it should be; it may happen to fit all the same. */
static void bend_append(struct world *w, anonset_append *a, const anonset_state *state)
{
    switch (pick(w, 7)) {
    case 0:
        a->start++;
        break;
    case 1:
        a->base++;
        a->start++;
        break;
    case 2:
        a->digest_before[pick(w, ANONSET_HASH_BYTES)] ^= 1;
        memcpy(a->digest_after, a->n ? a->digest_after : a->digest_before, ANONSET_HASH_BYTES);
        break;
    case 3:
        a->target = state->finalized;
        break;
    case 4:
        a->target.size = pick(w, a->target.size + 1);
        break;
    case 5:
        w->upon.size++;
        break;
    default: /* a replay, or a gap */
        a->base = pick(w, SIZE_MAX_);
        a->start = a->base + pick(w, 50);
        break;
    }
}

static void make_append(struct world *w, anonset_append *a, const anonset_state *state)
{
    *a = (anonset_append){0};
    w->upon = state->finalized;
    a->upon = chance(w, 50) ? &w->upon : NULL;
    a->base = state->has_pending ? state->base : make_base(w, state);
    a->start = a->base + state->count;
    if (state->has_pending && chance(w, 75)) {
        a->target = state->target;
    } else {
        uint32_t room = SIZE_MAX_ - a->start;
        a->target = make_meta(w, a->start + pick(w, room < 120 ? room + 1 : 120));
    }
    known_digest(w, a->digest_before, state, a->base);
    uint32_t room = a->target.size - a->start;
    uint32_t most = room < SECTOR_MAX ? room : SECTOR_MAX;
    add_coins(w, a, chance(w, 40) ? most : pick(w, most + 1));
    if (chance(w, 20))
        bend_append(w, a, state);
}

static void bend_complete(struct world *w, anonset_complete *c)
{
    switch (pick(w, 4)) {
    case 0:
        c->expected_count += pick(w, 2) ? 1 : UINT32_MAX;
        break;
    case 1:
        c->digest[pick(w, ANONSET_HASH_BYTES)] ^= 1;
        break;
    case 2:
        c->target.block_hash[0] ^= 1;
        break;
    default:
        c->target.size++;
        break;
    }
}

static void make_complete(struct world *w, anonset_complete *c, const anonset_state *state)
{
    bool pending = state->has_pending && chance(w, 85);
    *c = (anonset_complete){.target = pending ? state->target : state->finalized};
    c->expected_count = state->count;
    c->gate = (anonset_gate)pick(w, 3);
    memcpy(c->digest, pending ? state->pending_digest : state->digest, sizeof c->digest);
    if (chance(w, 15))
        bend_complete(w, c);
}

static enum kind pick_kind(struct world *w, const anonset_state *state)
{
    static const uint8_t percent[KINDS] = {56, 20, 4, 2, 2, 4, 6, 6};
    if (state->has_pending && state->base + state->count == state->target.size && chance(w, 60))
        return COMPLETE;
    uint32_t at = pick(w, 100);
    unsigned kind = 0;
    while (at >= percent[kind])
        at -= percent[kind++];
    return (enum kind)kind;
}

static void make_op(struct world *w, struct op *op)
{
    anonset_state state;
    const struct side *side = &w->sides[w->n - 1];
    op->group = groups[pick(w, GROUPS)];
    op->handle = pick(w, HANDLES);
    op->slot = pick(w, HELD);
    op->view = chance(w, 50) ? ANONSET_VIEW_FINALIZED : ANONSET_VIEW_NEXT;
    ts_fill(op->genesis, sizeof op->genesis, pick(w, 2));
    cr_assert_eq(side->backend->load_state(side->handles[0], &state, op->group, NULL), ANONSET_OK);
    op->kind = pick_kind(w, &state);
    make_append(w, &op->append, &state);
    make_complete(w, &op->complete, &state);
    op->append.group = op->complete.group = op->group;
    if (op->kind == CLEAR && chance(w, 20))
        op->group = 0;
}

/* ---- Making them -------------------------------------------------------------------------- */

static anonset_code open_handle(struct side *side, size_t handle, unsigned flags)
{
    anonset_backend_options options = {.flags = flags, .busy_ms = 5000};
    memcpy(options.salt, ts_salt, sizeof options.salt);
    return side->backend->open(&side->handles[handle], side->path, &options, NULL);
}

static void release(struct world *w, struct side *side, size_t slot)
{
    const struct hold *hold = &w->holds[slot];
    uint64_t image =
        kit_snapshot_image(side->backend, side->held[slot], &hold->state, hold->view, w->tags);
    side->backend->snapshot_close(side->held[slot]);
    cr_assert(image == hold->image, "seed %" PRIu64 " step %u: %s: a held snapshot changed",
              w->seed, w->step, side->backend->name);
}

static void release_all(struct world *w)
{
    for (size_t slot = 0; slot < HELD; slot++) {
        for (size_t i = 0; w->holds[slot].used && i < w->n; i++)
            release(w, &w->sides[i], slot);
        w->holds[slot].used = false;
    }
}

static anonset_code reopen(struct side *side)
{
    anonset_code code = ANONSET_OK;
    for (size_t i = 0; i < HANDLES; i++)
        side->backend->close(side->handles[i]);
    for (size_t i = 0; i < HANDLES && code == ANONSET_OK; i++)
        code = open_handle(side, i, 0);
    return code;
}

static anonset_code hold(struct world *w, struct side *side, const struct op *op)
{
    anonset_state state;
    struct hold *hold = &w->holds[op->slot];
    const anonset_backend *b = side->backend;
    anonset_code code = b->snapshot_open(side->handles[op->handle], &side->held[op->slot], &state,
                                         op->group, op->view, NULL);
    if (code != ANONSET_OK)
        return code;
    hold->state = state;
    hold->view = op->view;
    hold->image = kit_snapshot_image(b, side->held[op->slot], &state, op->view, w->tags);
    return ANONSET_OK;
}

static anonset_code apply(struct world *w, struct side *side, const struct op *op)
{
    const anonset_backend *b = side->backend;
    void *handle = side->handles[op->handle];
    switch (op->kind) {
    case APPEND:
        return b->append_sector(handle, &op->append, NULL);
    case COMPLETE:
        return b->mark_complete(handle, &op->complete, NULL);
    case DISCARD:
        return b->discard_incomplete(handle, op->group, NULL);
    case CLEAR:
        return b->clear(handle, op->group, NULL);
    case GENESIS:
        return b->set_genesis(handle, op->genesis, NULL);
    case REOPEN:
        return reopen(side);
    case HOLD:
        return hold(w, side, op);
    case RELEASE:
        release(w, side, op->slot);
        return ANONSET_OK;
    case KINDS:
        break;
    }
    return ANONSET_INTERNAL;
}

/* ---- Comparing ---------------------------------------------------------------------------- */

/* A fingerprint of the whole store through one of its handles. */
static uint64_t store_image(const struct world *w, const struct side *side)
{
    const anonset_backend *b = side->backend;
    void *handle = side->handles[w->step % HANDLES];
    anonset_store_info info;
    uint64_t sum = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < GROUPS; i++)
        sum = ts_mix(sum, kit_image(b, handle, groups[i], w->tags));
    while (b->next_group(handle, &group, group, NULL) == ANONSET_OK)
        sum = ts_mix(sum, group);
    cr_assert_eq(b->info(handle, &info, NULL), ANONSET_OK);
    for (size_t i = 0; i < ANONSET_HASH_BYTES; i++)
        sum = ts_mix(sum, info.has_genesis ? info.genesis[i] : 256);
    return sum;
}

/* Skips what makes no sense now; makes what must come first. */
static bool prepare(struct world *w, const struct op *op)
{
    if (op->kind == REOPEN)
        release_all(w);
    if (op->kind == HOLD)
        return !w->holds[op->slot].used;
    return op->kind != RELEASE || w->holds[op->slot].used;
}

static void step(struct world *w)
{
    struct op op;
    anonset_code first = ANONSET_OK;
    uint64_t image = 0, held = 0;
    make_op(w, &op);
    if (!prepare(w, &op))
        return;
    for (size_t i = 0; i < w->n; i++) {
        const char *name = w->sides[i].backend->name;
        anonset_code code = apply(w, &w->sides[i], &op);
        uint64_t now = store_image(w, &w->sides[i]);
        if (i == 0) {
            first = code;
            image = now;
            held = w->holds[op.slot].image;
        }
        cr_assert(code == first, "seed %" PRIu64 " step %u, %s: %s answers \"%s\", %s \"%s\"",
                  w->seed, w->step, kind_names[op.kind], name, anonset_strerror(code),
                  w->sides[0].backend->name, anonset_strerror(first));
        cr_assert(now == image && w->holds[op.slot].image == held,
                  "seed %" PRIu64 " step %u, %s: %s holds something else than %s", w->seed, w->step,
                  kind_names[op.kind], name, w->sides[0].backend->name);
    }
    if (op.kind == HOLD || op.kind == RELEASE)
        w->holds[op.slot].used = op.kind == HOLD;
    w->done[op.kind] += first == ANONSET_OK;
    w->refused[op.kind] += first != ANONSET_OK;
}

/* ---- Runs --------------------------------------------------------------------------------- */

static void open_sides(struct world *w)
{
    char dir[KIT_DIR];
    cr_assert(kit_dir_make(dir));
    memcpy(w->dir, dir, sizeof dir);
    w->tags = true;
    for (w->n = 0; as_backends[w->n]; w->n++) {
        cr_assert(w->n < SIDES);
        struct side *side = &w->sides[w->n];
        side->backend = as_backends[w->n];
        w->tags = w->tags && side->backend->read_tags;
        snprintf(side->path, sizeof side->path, "%s/%s", dir, side->backend->name);
        for (size_t i = 0; i < HANDLES; i++)
            cr_assert_eq(open_handle(side, i, ANONSET_STORE_CREATE), ANONSET_OK, "open %s",
                         side->path);
    }
}

static void close_sides(struct world *w)
{
    release_all(w);
    for (size_t i = 0; i < w->n; i++) {
        struct side *side = &w->sides[i];
        cr_assert_eq(side->backend->clear(side->handles[0], 0, NULL), ANONSET_OK);
        for (size_t k = 0; k < HANDLES; k++)
            side->backend->close(side->handles[k]);
    }
    cr_assert(kit_dir_remove(w->dir));
}

/* Coins of the standard layout and some that are not. */
static ts_chain *make_pool(void)
{
    ts_chain *plain = ts_chain_new(1, POOL);
    for (uint32_t i = 0; i < POOL; i += 7) {
        anonset_coin *coin = &plain->coins[i];
        if (i % 2 == 0)
            coin->serialized_len = (uint32_t)(ts_mix(5, i) % coin->serialized_len);
        else
            coin->context_len = (uint32_t)(ts_mix(6, i) % coin->context_len);
    }
    ts_chain *pool = ts_chain_of(1, plain->coins, POOL);
    ts_chain_free(plain);
    return pool;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

Test(differential, all_backends_do_the_same)
{
    struct world w = {0};
    uint64_t seed = from_environment("ANONSET_SEED", DEFAULT_SEED);
    uint64_t runs = from_environment("ANONSET_RUNS", DEFAULT_RUNS);
    w.pool = make_pool();
    fprintf(stderr, "differential: ANONSET_SEED=%" PRIu64 " ANONSET_RUNS=%" PRIu64 "\n", seed,
            runs);
    for (uint64_t run = 0; run < runs; run++) {
        w.seed = w.random = seed + run;
        open_sides(&w);
        for (w.step = 0; w.step < STEPS; w.step++)
            step(&w);
        close_sides(&w);
    }
    ts_chain_free(w.pool);
    unsigned all = 0;
    for (size_t kind = 0; kind < KINDS; kind++) {
        fprintf(stderr, "  %-8s %6u done %6u refused\n", kind_names[kind], w.done[kind],
                w.refused[kind]);
        all += w.done[kind] + w.refused[kind];
        cr_expect(w.done[kind] > 0, "no %s was ever made", kind_names[kind]);
    }
    fprintf(stderr, "  %u operations on %zu backends\n", all, w.n);
    cr_expect(w.refused[APPEND] > 0 && w.refused[COMPLETE] > 0 && w.refused[GENESIS] > 0);
}
