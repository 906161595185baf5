/* Our own two: what a sync does with a store (core/fetch.c, core/gate.c, core/finish.c), without
 * the network. */
#include "bench/bench.h"
#include "core/digest.h"
#include "core/plan.h"
#include "core/store.h"
#include "core/tag.h"
#include "core/unique.h"

#include <stdlib.h>
#include <string.h>

#define GROUP 1u

struct set {
    anonset_store *store;
    anonset_state state;
    as_digest *digest;
    as_tagger tagger;
    uint32_t room;
    uint32_t *tags;
    uint8_t (*digests)[ANONSET_HASH_BYTES];
};

static void need(anonset_code code, const anonset_detail *detail)
{
    if (code != ANONSET_OK)
        fail("%s: %s", anonset_strerror(code), detail ? detail->text : "the crypto library failed");
}

static const anonset_backend *backend_named(const char *name)
{
    for (size_t i = 0; as_backends[i]; i++)
        if (strcmp(as_backends[i]->name, name) == 0)
            return as_backends[i];
    fail("no backend %s", name);
}

set *set_open(const char *backend, const char *path)
{
    anonset_detail detail;
    anonset_store_options options;
    set *s = calloc(1, sizeof *s);
    if (!s)
        fail("no memory");
    anonset_store_options_init(&options);
    options.backend = backend_named(backend);
    need(anonset_store_open(&s->store, path, &options, &detail), &detail);
    need(anonset_store_state(s->store, &s->state, GROUP, &detail), &detail);
    need(as_digest_new(&s->digest, &detail), &detail);
    as_tagger_init(&s->tagger, s->store->info.salt);
    return s;
}

void set_close(set *s)
{
    anonset_store_close(s->store);
    as_digest_free(s->digest);
    free(s->tags);
    free(s->digests);
    free(s);
}

uint32_t set_size(const set *s)
{
    return s->state.finalized.size;
}

/* Another size has another block. */
static anonset_meta meta_of(uint32_t size)
{
    anonset_meta meta = {.size = size, .has_set_hash = true};
    memcpy(meta.block_hash, &size, sizeof size);
    memcpy(meta.set_hash, &size, sizeof size);
    meta.block_hash[31] = meta.set_hash[31] = 1;
    return meta;
}

/* As hash_coins of core/fetch.c. */
static void hash_coins(set *s, const sector *coins, const uint8_t *before)
{
    if (coins->n > s->room) {
        free(s->tags);
        free(s->digests);
        s->room = coins->n;
        s->tags = malloc(s->room * sizeof *s->tags);
        s->digests = malloc(s->room * sizeof *s->digests);
        if (!s->tags || !s->digests)
            fail("no memory");
    }
    for (uint32_t i = 0; i < coins->n; i++) {
        need(as_digest_coin(s->digest, s->digests[i], before, &coins->coins[i]), NULL);
        before = s->digests[i];
        s->tags[i] = as_tag(&s->tagger, &coins->coins[i]);
    }
}

void set_append(set *s, const sector *coins, uint32_t target)
{
    anonset_detail detail;
    anonset_state *now = &s->state;
    anonset_append append = {.group = GROUP,
                             .target = meta_of(target),
                             .base = now->has_pending ? now->base : now->finalized.size,
                             .start = coins->start,
                             .n = coins->n,
                             .coins = coins->coins};
    memcpy(append.digest_before, now->has_pending ? now->pending_digest : now->digest,
           ANONSET_HASH_BYTES);
    hash_coins(s, coins, append.digest_before);
    append.tags = s->tags;
    append.digests = (const uint8_t(*)[ANONSET_HASH_BYTES])s->digests;
    memcpy(append.digest_after, s->digests[coins->n - 1], ANONSET_HASH_BYTES);
    need(s->store->backend->append_sector(s->store->handle, &append, &detail), &detail);
    now->has_pending = true;
    now->target = append.target;
    now->base = append.base;
    now->count = append.start + append.n - append.base;
    memcpy(now->pending_digest, append.digest_after, ANONSET_HASH_BYTES);
}

void set_check(set *s)
{
    anonset_detail detail;
    anonset_state seen;
    as_repeat repeat;
    void *snapshot;
    const anonset_backend *backend = s->store->backend;
    need(backend->snapshot_open(s->store->handle, &snapshot, &seen, GROUP, ANONSET_VIEW_NEXT,
                                &detail),
         &detail);
    need(as_unique_check(&repeat, backend, snapshot, &s->tagger, seen.base, seen.base + seen.count,
                         (size_t)SECTOR * 1024, &detail),
         &detail);
    backend->snapshot_close(snapshot);
    if (repeat.found)
        fail("the coins at %u and %u are the same", repeat.first, repeat.second);
}

void set_complete(set *s)
{
    anonset_detail detail;
    anonset_state *now = &s->state;
    anonset_complete complete = {.group = GROUP,
                                 .target = now->target,
                                 .expected_count = now->count,
                                 .gate = ANONSET_GATE_COUNT};
    memcpy(complete.digest, now->pending_digest, ANONSET_HASH_BYTES);
    need(s->store->backend->mark_complete(s->store->handle, &complete, &detail), &detail);
    now->has_finalized = true;
    now->finalized = complete.target;
    now->gate = complete.gate;
    memcpy(now->digest, complete.digest, ANONSET_HASH_BYTES);
    now->has_pending = false;
    now->base = now->count = 0;
}

void set_plan(const set *s)
{
    anonset_meta told = meta_of(s->state.finalized.size + 1);
    if (as_plan_next(&s->state, &told).action != AS_START)
        fail("the plan is not to go on where the set ends");
}

/* ---- As rows ------------------------------------------------------------------------------ */

static void *sqlite_open(const char *path)
{
    return set_open("sqlite", path);
}

static void *lmdb_open(const char *path)
{
    return set_open("lmdb", path);
}

static void close_set(void *handle)
{
    set_close(handle);
}

static void sqlite_create(const char *path)
{
    set_close(set_open("sqlite", path));
}

static void lmdb_create(const char *path)
{
    set_close(set_open("lmdb", path));
}

static void append(void *handle, const sector *coins, uint32_t target)
{
    set_append(handle, coins, target);
}

static void finish(void *handle, uint32_t target)
{
    (void)target;
    set_check(handle);
    set_complete(handle);
}

/* Through the public interface, coin by coin, as a wallet does. */
static void read_all(void *handle, tally *seen)
{
    set *s = handle;
    anonset_detail detail;
    anonset_snapshot *snapshot;
    anonset_coin coin;
    anonset_code code;
    need(anonset_snapshot_open(&snapshot, s->store, GROUP, &detail), &detail);
    while ((code = anonset_snapshot_next(snapshot, &coin, &detail)) == ANONSET_OK) {
        tally_coin(seen, coin.serialized, coin.serialized_len);
        seen->sum += (uint64_t)coin.tx_hash[0] + coin.context[0];
    }
    if (code != ANONSET_NOT_FOUND)
        need(code, &detail);
    anonset_snapshot_close(snapshot);
}

const row row_sqlite = {
    .name = "sqlite",
    .title = "anonset, SQLite",
    .create = sqlite_create,
    .open = sqlite_open,
    .append = append,
    .finish = finish,
    .close = close_set,
    .read = read_all,
};

const row row_lmdb = {
    .name = "lmdb",
    .title = "anonset, LMDB",
    .create = lmdb_create,
    .open = lmdb_open,
    .append = append,
    .finish = finish,
    .close = close_set,
    .read = read_all,
};
