/* What the library makes of a backend: readers, verify, and the search for repeated coins. */
#include "tests/conformance/kit.h"

#include "core/coin.h"
#include "core/tag.h"
#include "core/unique.h"

#include <string.h>

/* The subject's store through the public header; the subject's own handle stays open beside it. */
static anonset_store *store_of(const subject *s)
{
    anonset_store_options options;
    anonset_store *store;
    anonset_store_options_init(&options);
    options.flags = 0;
    options.backend = s->backend;
    GIVES(ANONSET_OK, anonset_store_open(&store, s->path, &options, NULL));
    return store;
}

static void next_coins_are(const subject *s, anonset_snapshot *snapshot, const ts_chain *chain,
                           uint32_t from, uint32_t to, anonset_order order)
{
    anonset_coin coin;
    for (uint32_t i = 0; i < to - from; i++) {
        GIVES(ANONSET_OK, anonset_snapshot_next(snapshot, &coin, NULL));
        uint32_t at = order == ANONSET_OLDEST_FIRST ? from + i : to - 1 - i;
        MUST(as_coin_equal(&coin, &chain->coins[at]));
    }
    GIVES(ANONSET_NOT_FOUND, anonset_snapshot_next(snapshot, &coin, NULL));
}

CASE(readers_get_either_order_and_any_range)
{
    ts_chain *old = kit_chain(s, 1, 700), *new = kit_fork(s, old, 333, 2, 900);
    anonset_store *store = store_of(s);
    anonset_snapshot *snapshot;
    GIVES(ANONSET_NOT_FOUND, anonset_snapshot_open(&snapshot, store, 1, NULL));
    kit_finalize(s, 1, old, 0, 700);
    kit_finalize(s, 1, new, 333, 900);
    GIVES(ANONSET_OK, anonset_snapshot_open(&snapshot, store, 1, NULL));
    next_coins_are(s, snapshot, new, 0, 900, ANONSET_NEWEST_FIRST);
    static const uint32_t ranges[][2] = {{0, 900}, {0, 0}, {332, 334}, {899, 900}, {100, 700}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        for (anonset_order order = ANONSET_NEWEST_FIRST; order <= ANONSET_OLDEST_FIRST; order++) {
            uint32_t from = ranges[i][0], to = ranges[i][1];
            GIVES(ANONSET_OK, anonset_snapshot_seek(snapshot, from, to, order, NULL));
            next_coins_are(s, snapshot, new, from, to, order);
        }
    }
    anonset_snapshot_close(snapshot);
    anonset_store_close(store);
}

static void block_is_at(const subject *s, anonset_snapshot *snapshot, const anonset_meta *meta)
{
    uint32_t size = UINT32_MAX;
    GIVES(ANONSET_OK, anonset_snapshot_find(snapshot, &size, meta->block_hash, NULL));
    MUST(size == meta->size);
}

CASE(blocks_are_found_by_checkpoints_and_aliases)
{
    ts_chain *old = kit_chain(s, 3, 100), *new = kit_fork(s, old, 60, 4, 130);
    anonset_meta at60 = ts_chain_meta(old, 60), at100 = ts_chain_meta(old, 100);
    anonset_meta at130 = ts_chain_meta(new, 130), again = at130;
    anonset_snapshot *snapshot;
    uint32_t size;
    again.block_hash[3] ^= 1;
    kit_finalize(s, 1, old, 0, 60);
    kit_finalize(s, 1, old, 60, 100);
    kit_finalize(s, 1, new, 60, 130);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &again, 130, 130, 0));
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &again, 0, ANONSET_GATE_COUNT));
    anonset_store *store = store_of(s);
    GIVES(ANONSET_OK, anonset_snapshot_open(&snapshot, store, 1, NULL));
    block_is_at(s, snapshot, &at60);
    block_is_at(s, snapshot, &again);
    block_is_at(s, snapshot, &at130);
    GIVES(ANONSET_NOT_FOUND, anonset_snapshot_find(snapshot, &size, at100.block_hash, NULL));
    anonset_snapshot_close(snapshot);
    anonset_store_close(store);
}

static anonset_verdict verdict_of(const subject *s, uint32_t group)
{
    anonset_store *store = store_of(s);
    anonset_verdict verdict;
    memset(&verdict, 0xa5, sizeof verdict);
    GIVES(ANONSET_OK, anonset_store_verify(store, &verdict, group, NULL));
    anonset_store_close(store);
    MUST(verdict.group == group);
    return verdict;
}

static void is_sound(const subject *s, const ts_chain *chain, uint32_t size)
{
    anonset_verdict verdict = verdict_of(s, 1);
    MUST(verdict.sound);
    MUST(memcmp(verdict.digest, chain->digests[size], sizeof verdict.digest) == 0);
}

CASE(verify_finds_sound_stores_sound)
{
    ts_chain *old = kit_chain(s, 5, 500), *new = kit_fork(s, old, 222, 6, 640);
    anonset_meta meta = ts_chain_meta(old, 300), next = ts_chain_meta(new, 640);
    GIVES(ANONSET_OK, kit_append(s, 1, old, &meta, 0, 0, 100));
    is_sound(s, old, 100); /* nothing is finalized: the digest of what is pending */
    GIVES(ANONSET_OK, kit_append(s, 1, old, &meta, 0, 100, 200));
    GIVES(ANONSET_OK, kit_complete(s, 1, old, &meta, 300, ANONSET_GATE_COUNT));
    is_sound(s, old, 300);
    kit_finalize(s, 1, old, 300, 500);
    is_sound(s, old, 500);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &next, 222, 222, 100));
    is_sound(s, old, 500);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &next, 222, 322, 318));
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &next, 418, ANONSET_GATE_COUNT));
    is_sound(s, new, 640);
    kit_reopen(s, 0);
    is_sound(s, new, 640);
    MUST(verdict_of(s, 1).coins == 640);
}

CASE(verify_finds_a_digest_that_does_not_fit)
{
    ts_chain *chain = kit_chain(s, 7, 90);
    anonset_meta meta = ts_chain_meta(chain, 90);
    kit_finalize(s, 1, chain, 0, 30);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 30, 30, 30));
    memcpy(&chain->digests[60], &chain->digests[59], sizeof chain->digests[60]);
    anonset_append a = kit_sector(1, chain, &meta, 30, 60, 30);
    memcpy(a.digest_before, kit_state(s, 1).pending_digest, sizeof a.digest_before);
    a.digest_after[0] ^= 1;
    memcpy(chain->digests[90], a.digest_after, sizeof a.digest_after);
    GIVES(ANONSET_OK, s->backend->append_sector(s->handle, &a, NULL));
    anonset_verdict verdict = verdict_of(s, 1);
    MUST(!verdict.sound);
    MUST(verdict.damaged_from >= 30 && verdict.damaged_to == 90);
}

static as_repeat repeat_of(const subject *s, uint32_t base, uint32_t size)
{
    void *snapshot;
    anonset_state state;
    as_repeat repeat;
    as_tagger tagger;
    as_tagger_init(&tagger, ts_salt);
    GIVES(ANONSET_OK,
          s->backend->snapshot_open(s->handle, &snapshot, &state, 1, ANONSET_VIEW_NEXT, NULL));
    GIVES(ANONSET_OK, as_unique_check(&repeat, s->backend, snapshot, &tagger, base, size, 0, NULL));
    s->backend->snapshot_close(snapshot);
    return repeat;
}

CASE(a_repeated_coin_is_found_across_the_base)
{
    ts_chain *first = kit_chain(s, 8, 400), *more = kit_fork(s, first, 250, 9, 600);
    anonset_coin coins[600];
    memcpy(coins, more->coins, sizeof coins);
    coins[555] = coins[77]; /* below the base of the replacement: seen in both views */
    ts_chain *chain = kit_chain_of(s, 10, coins, 600);
    anonset_meta meta = ts_chain_meta(chain, 600);
    kit_finalize(s, 1, first, 0, 400);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 250, 250, 300));
    MUST(!repeat_of(s, 250, 550).found);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 250, 550, 50));
    as_repeat repeat = repeat_of(s, 250, 600);
    MUST(repeat.found && repeat.first == 77 && repeat.second == 555);
}
