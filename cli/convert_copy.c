#include "cli/convert_copy.h"

#include "backends/backends.h"
#include "backends/sqlite/legacy.h"
#include "core/detail.h"
#include "core/replay.h"
#include "core/run.h"
#include "core/store.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_MS 5000u

/* ---- The source --------------------------------------------------------------------------- */

const anonset_backend *convert_backend(const char *name)
{
    size_t i = 0;

    while (as_backends[i] && strcmp(as_backends[i]->name, name) != 0)
        i++;
    return as_backends[i];
}

const char *convert_kind(const convert_source *source)
{
    return source->backend ? source->backend->name : "legacy";
}

/* Each backend is asked; one that upgrades older caches says UNSUPPORTED to reading one as it is.
 */
anonset_code convert_open(convert_source *source, anonset_detail *detail)
{
    const anonset_backend_options options = {.flags = ANONSET_STORE_READ_ONLY, .busy_ms = BUSY_MS};
    anonset_code code = ANONSET_FOREIGN;

    source->handle = NULL;
    for (size_t i = 0; as_backends[i] && code == ANONSET_FOREIGN; i++) {
        source->backend = as_backends[i];
        code = source->backend->open(&source->handle, source->path, &options, detail);
    }
    if (code == ANONSET_FOREIGN)
        return as_fail(detail, code, 0,
                       "%s is neither a store nor the cache of an older wallet; it was not touched",
                       source->path);
    if (code != ANONSET_UNSUPPORTED || source->backend != &as_backend_sqlite)
        return code;
    source->backend = NULL;
    return ANONSET_OK;
}

void convert_close(convert_source *source)
{
    if (source->handle)
        source->backend->close(source->handle);
    source->handle = NULL;
}

/* ---- One group ---------------------------------------------------------------------------- */

#define HISTORY_MOST 256u /* checkpoints held at a time */

struct copier {
    const anonset_backend *from;
    void *handle;
    as_replay *replay;
    anonset_detail *detail;
    uint32_t group;
    void *snapshot;
    anonset_state state;
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

/* Copies what the snapshot shows up to position `to`. */
static anonset_code copy_coins(struct copier *c, uint32_t to)
{
    anonset_run run = {.n = 0};
    anonset_code code = ANONSET_OK;
    uint32_t at;

    while (code == ANONSET_OK && (at = as_replay_position(c->replay)) < to) {
        if (!as_run_holds(&run, at))
            code = as_run_read(&run, c->from, c->snapshot, at, c->detail);
        if (code == ANONSET_OK && at == c->state.base)
            memcpy(c->at_base, as_replay_digest(c->replay), ANONSET_HASH_BYTES);
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
    code = copy_coins(c, checkpoint->meta.size);
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
        code = c->from->checkpoint(c->snapshot, &checkpoint, *count, &detail);
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
    anonset_code code = count_states(c, &left);

    for (; code == ANONSET_OK && left > 0; left = from) {
        from = left > HISTORY_MOST ? left - HISTORY_MOST : 0;
        for (uint32_t i = from; code == ANONSET_OK && i < left; i++)
            code = c->from->checkpoint(c->snapshot, &history[i - from], i, c->detail);
        for (uint32_t i = left; code == ANONSET_OK && i > from; i--)
            code = copy_state(c, &history[i - 1 - from]);
    }
    return code;
}

static anonset_code copy_finalized(struct copier *c)
{
    anonset_code code = c->from->snapshot_open(c->handle, &c->snapshot, &c->state, c->group,
                                               ANONSET_VIEW_FINALIZED, c->detail);

    if (code != ANONSET_OK)
        return code;
    as_replay_group(c->replay, c->group);
    memset(c->at_base, 0, sizeof c->at_base);
    if (c->state.has_finalized)
        code = copy_states(c);
    c->from->snapshot_close(c->snapshot);
    if (code != ANONSET_OK || !c->state.has_finalized)
        return code;
    if (as_replay_position(c->replay) != c->state.finalized.size ||
        memcmp(as_replay_digest(c->replay), c->state.digest, ANONSET_HASH_BYTES) != 0)
        return damaged(c);
    if (c->state.base == c->state.finalized.size)
        memcpy(c->at_base, c->state.digest, ANONSET_HASH_BYTES);
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
    as_replay_back(c->replay, now->base, c->at_base);
    code = copy_coins(c, now->base + now->count);
    if (code == ANONSET_OK &&
        memcmp(as_replay_digest(c->replay), now->pending_digest, ANONSET_HASH_BYTES) != 0)
        return damaged(c);
    return code == ANONSET_OK ? as_replay_pending(c->replay, &now->target, c->detail) : code;
}

static anonset_code copy_pending(struct copier *c)
{
    anonset_state now;
    anonset_code code = c->from->snapshot_open(c->handle, &c->snapshot, &now, c->group,
                                               ANONSET_VIEW_NEXT, c->detail);

    if (code != ANONSET_OK)
        return code;
    code = copy_pending_coins(c, &now);
    c->from->snapshot_close(c->snapshot);
    return code;
}

/* ---- All of it ---------------------------------------------------------------------------- */

static anonset_code copy_groups(struct copier *c)
{
    anonset_code code = ANONSET_OK;
    anonset_detail none = {.code = ANONSET_OK};

    for (c->group = 0; code == ANONSET_OK;) {
        code = c->from->next_group(c->handle, &c->group, c->group, &none);
        if (code == ANONSET_NOT_FOUND)
            return ANONSET_OK;
        if (code != ANONSET_OK)
            return as_fail(c->detail, code, none.os_error, "%s", none.text);
        code = copy_finalized(c);
        if (code == ANONSET_OK && c->state.has_pending)
            code = copy_pending(c);
    }
    return code;
}

static anonset_code copy_genesis(const convert_source *source, const anonset_backend *backend,
                                 void *to, anonset_detail *detail)
{
    anonset_store_info info;
    anonset_code code = source->backend->info(source->handle, &info, detail);

    if (code == ANONSET_OK && info.has_genesis)
        code = backend->set_genesis(to, info.genesis, detail);
    return code;
}

static anonset_code copy_store(const convert_source *source, const anonset_backend *backend,
                               void *to, as_replay *replay, anonset_detail *detail)
{
    struct copier copier = {.from = source->backend, .handle = source->handle, .replay = replay};
    anonset_code code = copy_genesis(source, backend, to, detail);

    copier.detail = detail;
    return code == ANONSET_OK ? copy_groups(&copier) : code;
}

anonset_code convert_copy(const convert_source *source, const anonset_backend *backend, void *to,
                          anonset_detail *detail)
{
    as_replay_sink sink = {
        .to = to, .append_sector = backend->append_sector, .mark_complete = backend->mark_complete};
    anonset_store_info info;
    as_replay *replay = NULL;
    anonset_code code = backend->info(to, &info, detail);

    if (code != ANONSET_OK)
        return code;
    memcpy(sink.salt, info.salt, sizeof sink.salt);
    code = as_replay_new(&replay, &sink, detail);
    if (code == ANONSET_OK)
        code = source->backend ? copy_store(source, backend, to, replay, detail)
                               : as_legacy_import(source->path, replay, BUSY_MS, detail);
    as_replay_free(replay);
    return code;
}
