#include "core/replay.h"

#include "core/alloc.h"
#include "core/detail.h"
#include "core/digest.h"
#include "core/plan.h"
#include "core/tag.h"

#include <errno.h>
#include <string.h>

#define BATCH_COINS 1500u
#define BATCH_BYTES (600u * 1024)

struct as_replay {
    as_replay_sink sink;
    as_digest *digest;
    as_tagger tagger;
    uint32_t group;
    uint32_t base;                      /* where the coins since the last state begin */
    uint32_t start;                     /* position of the batch */
    anonset_meta state;                 /* the last one */
    uint8_t before[ANONSET_HASH_BYTES]; /* log digest at `start` */

    uint32_t n; /* the batch */
    size_t used, room;
    uint8_t *bytes; /* the coins point into them */
    anonset_coin coins[BATCH_COINS];
    uint32_t tags[BATCH_COINS];
    uint8_t digests[BATCH_COINS][ANONSET_HASH_BYTES];
};

anonset_code as_replay_new(as_replay **replay, const as_replay_sink *sink, anonset_detail *detail)
{
    as_replay *made = as_alloc_zeroed(sizeof *made);
    if (!made)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "out of memory for coins");
    made->sink = *sink;
    as_tagger_init(&made->tagger, sink->salt);
    anonset_code code = as_digest_new(&made->digest, detail);
    if (code == ANONSET_OK)
        *replay = made;
    else
        as_free(made);
    return code;
}

void as_replay_free(as_replay *replay)
{
    if (!replay)
        return;
    as_digest_free(replay->digest);
    as_free(replay->bytes);
    as_free(replay);
}

void as_replay_group(as_replay *replay, uint32_t group)
{
    static const uint8_t zero[ANONSET_HASH_BYTES];
    replay->group = group;
    replay->state = (anonset_meta){.size = UINT32_MAX}; /* no state is equal to it */
    as_replay_back(replay, 0, zero);
}

uint32_t as_replay_position(const as_replay *replay)
{
    return replay->start + replay->n;
}

const uint8_t *as_replay_digest(const as_replay *replay)
{
    return replay->n > 0 ? replay->digests[replay->n - 1] : replay->before;
}

/* Writes the batch, which may be empty. */
static anonset_code flush(as_replay *replay, const anonset_meta *target, anonset_detail *detail)
{
    anonset_append a = {.group = replay->group, .target = *target, .base = replay->base};
    a.start = replay->start;
    a.n = replay->n;
    a.coins = replay->coins;
    a.tags = replay->tags;
    a.digests = (const uint8_t(*)[ANONSET_HASH_BYTES])replay->digests;
    memcpy(a.digest_before, replay->before, ANONSET_HASH_BYTES);
    memcpy(a.digest_after, as_replay_digest(replay), ANONSET_HASH_BYTES);
    memcpy(replay->before, a.digest_after, ANONSET_HASH_BYTES);
    replay->start += replay->n;
    replay->n = 0;
    replay->used = 0;
    return replay->sink.append_sector(replay->sink.to, &a, detail);
}

/* What they are for is known behind the last coin: until then they are pending for a target that no
 * server tells. */
static anonset_code flush_some(as_replay *replay, anonset_detail *detail)
{
    return flush(replay, &(anonset_meta){.size = UINT32_MAX}, detail);
}

anonset_code as_replay_room(as_replay *replay, uint8_t **bytes, size_t len, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    if (replay->n == BATCH_COINS || (replay->n > 0 && len > replay->room - replay->used))
        code = flush_some(replay, detail);
    if (code != ANONSET_OK)
        return code;
    if (len > replay->room - replay->used || !replay->bytes) {
        size_t room = len > BATCH_BYTES ? len : BATCH_BYTES;
        uint8_t *grown = as_realloc(replay->bytes, room);
        if (!grown)
            return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "out of memory for coins");
        replay->bytes = grown;
        replay->room = room;
    }
    *bytes = replay->bytes + replay->used;
    return ANONSET_OK;
}

anonset_code as_replay_coin(as_replay *replay, const anonset_coin *coin, anonset_detail *detail)
{
    if (as_replay_position(replay) >= UINT32_MAX - 1)
        return as_fail(detail, ANONSET_INVALID, 0, "more coins than a store can hold");
    const uint8_t *before = as_replay_digest(replay);
    uint32_t at = replay->n;
    anonset_code code = as_digest_coin(replay->digest, replay->digests[at], before, coin);
    if (code != ANONSET_OK)
        return as_fail(detail, code, 0, "the crypto library failed");
    replay->coins[at] = *coin;
    replay->tags[at] = as_tag(&replay->tagger, coin);
    replay->used += (size_t)coin->serialized_len + ANONSET_HASH_BYTES + coin->context_len;
    replay->n++;
    return ANONSET_OK;
}

anonset_code as_replay_gap(as_replay *replay, uint32_t to, const uint8_t *digest,
                           anonset_detail *detail)
{
    static const uint8_t none[ANONSET_HASH_BYTES];
    anonset_code code = ANONSET_OK;
    while (as_replay_position(replay) < to && code == ANONSET_OK) {
        uint8_t *bytes;
        code = as_replay_room(replay, &bytes, 0, detail);
        if (code == ANONSET_OK)
            code = as_replay_coin(replay, &(anonset_coin){.tx_hash = none}, detail);
        if (code == ANONSET_OK)
            memcpy(replay->digests[replay->n - 1], digest, ANONSET_HASH_BYTES);
    }
    return code;
}

anonset_code as_replay_state(as_replay *replay, const anonset_meta *meta, anonset_gate gate,
                             anonset_detail *detail)
{
    anonset_complete c = {.group = replay->group, .target = *meta, .gate = gate};
    if (replay->base == meta->size && as_meta_equal(meta, &replay->state))
        return ANONSET_OK;
    anonset_code code = flush(replay, meta, detail);
    if (code != ANONSET_OK)
        return code;
    c.expected_count = meta->size - replay->base;
    memcpy(c.digest, replay->before, ANONSET_HASH_BYTES);
    replay->state = *meta;
    replay->base = meta->size;
    return replay->sink.mark_complete(replay->sink.to, &c, detail);
}

void as_replay_back(as_replay *replay, uint32_t base, const uint8_t *digest)
{
    replay->base = replay->start = base;
    replay->n = 0;
    replay->used = 0;
    memcpy(replay->before, digest, ANONSET_HASH_BYTES);
}

anonset_code as_replay_pending(as_replay *replay, const anonset_meta *target,
                               anonset_detail *detail)
{
    return flush(replay, target, detail);
}
