#include "tests/crash/show.h"

#include "core/bytes.h"

#define USED_PAGE 64u /* tags */

static uint64_t add(uint64_t sum, const void *bytes, size_t len)
{
    const uint8_t *in = bytes;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ in[i]) * 0x100000001b3u;
    return sum;
}

static uint64_t add_number(uint64_t sum, uint32_t number)
{
    uint8_t bytes[4];
    as_put32(bytes, number);
    return add(sum, bytes, sizeof bytes);
}

static uint64_t add_meta(uint64_t sum, const anonset_meta *meta)
{
    sum = add(sum, meta->block_hash, sizeof meta->block_hash);
    sum = add(sum, meta->set_hash, sizeof meta->set_hash);
    return add_number(sum, meta->size * 2 + meta->has_set_hash);
}

static uint64_t add_state(uint64_t sum, const anonset_state *state)
{
    sum = add_number(sum, state->has_finalized * 2u + state->has_pending);
    sum = add_number(add_meta(sum, &state->finalized), state->gate);
    sum = add(sum, state->digest, sizeof state->digest);
    sum = add_number(add_number(add_meta(sum, &state->target), state->base), state->count);
    return add(sum, state->pending_digest, sizeof state->pending_digest);
}

static uint64_t add_coin(uint64_t sum, const anonset_coin *coin)
{
    sum = add_number(add_number(sum, coin->serialized_len), coin->context_len);
    sum = add(sum, coin->serialized, coin->serialized_len);
    sum = add(sum, coin->context, coin->context_len);
    return add(sum, coin->tx_hash, ANONSET_HASH_BYTES);
}

static anonset_code add_coins(uint64_t *sum, const anonset_backend *b, void *snapshot,
                              uint32_t size, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    for (uint32_t at = 0; at < size && code == ANONSET_OK;) {
        anonset_run run;
        code = b->read(snapshot, &run, at, detail);
        for (uint32_t i = at; code == ANONSET_OK && i < run.start + run.n && i < size; i++)
            *sum = add_coin(*sum, &run.coins[i - run.start]);
        at = code == ANONSET_OK ? run.start + run.n : at;
    }
    return code;
}

static anonset_code add_checkpoints(uint64_t *sum, const anonset_backend *b, void *snapshot,
                                    anonset_detail *detail)
{
    anonset_checkpoint point;
    anonset_code code = ANONSET_OK;
    for (uint32_t i = 0; code == ANONSET_OK; i++) {
        code = b->checkpoint(snapshot, &point, i, detail);
        if (code != ANONSET_OK)
            break;
        *sum = add_number(add_meta(*sum, &point.meta), point.gate * 2u + point.alias);
        *sum = add(*sum, point.digest, sizeof point.digest);
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

static anonset_code add_view(uint64_t *sum, const anonset_backend *b, void *handle, uint32_t group,
                             anonset_view view, anonset_detail *detail)
{
    anonset_state state;
    void *snapshot;
    anonset_code code = b->snapshot_open(handle, &snapshot, &state, group, view, detail);
    if (code != ANONSET_OK)
        return code;
    bool pending = view == ANONSET_VIEW_NEXT && state.has_pending;
    uint32_t size = pending ? state.base + state.count : state.finalized.size;
    *sum = add_state(*sum, &state);
    code = add_coins(sum, b, snapshot, size, detail);
    if (code == ANONSET_OK)
        code = add_checkpoints(sum, b, snapshot, detail);
    b->snapshot_close(snapshot);
    return code;
}

static anonset_code add_groups(uint64_t *sum, const anonset_backend *b, void *handle,
                               anonset_detail *detail)
{
    uint32_t group = 0;
    anonset_code code = b->next_group(handle, &group, 0, detail);
    while (code == ANONSET_OK) {
        anonset_state state;
        *sum = add_number(*sum, group);
        code = b->load_state(handle, &state, group, detail);
        if (code != ANONSET_OK)
            return code;
        *sum = add_state(*sum, &state);
        code = add_view(sum, b, handle, group, ANONSET_VIEW_FINALIZED, detail);
        if (code == ANONSET_OK)
            code = add_view(sum, b, handle, group, ANONSET_VIEW_NEXT, detail);
        if (code == ANONSET_OK)
            code = b->next_group(handle, &group, group, detail);
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

/* The list of used coin tags: all of it, and one tag of each page looked up. */
static anonset_code add_used(uint64_t *sum, const anonset_backend *b, void *handle,
                             anonset_detail *detail)
{
    anonset_used page[USED_PAGE], found;
    anonset_used_state state;
    uint32_t n = 0, position;
    void *view;
    anonset_code code = b->used_open(handle, &view, &state, detail);
    if (code != ANONSET_OK)
        return code;
    *sum = add(add_number(*sum, state.count), state.digest, sizeof state.digest);
    for (uint32_t at = 0; code == ANONSET_OK && at < state.count; at += n) {
        uint32_t left = state.count - at;
        code = b->used_read(view, page, &n, at, left < USED_PAGE ? left : USED_PAGE, detail);
        if (code == ANONSET_OK)
            code = b->used_find(view, &found, &position, page[0].tag, detail);
        if (code == ANONSET_OK)
            *sum = add_number(add(*sum, page, n * sizeof *page), position);
    }
    b->used_close(view);
    return code;
}

anonset_code tc_show(uint64_t *shown, const anonset_backend *b, void *handle,
                     anonset_detail *detail)
{
    anonset_store_info info;
    uint64_t sum = 0xcbf29ce484222325u;
    anonset_code code = b->info(handle, &info, detail);
    if (code != ANONSET_OK)
        return code;
    sum = add(sum, info.salt, sizeof info.salt);
    sum = add_number(sum, info.has_genesis);
    sum = add(sum, info.genesis, sizeof info.genesis);
    code = add_groups(&sum, b, handle, detail);
    if (code == ANONSET_OK)
        code = add_used(&sum, b, handle, detail);
    *shown = sum | 4; /* neither BAD nor ABSENT */
    return code;
}
