/* Snapshots, runs, tags, coins byte for byte, and sizes far past a full group's. */
#include "tests/conformance/kit.h"

#include "core/bytes.h"
#include "core/coin.h"

#include <stdlib.h>
#include <string.h>

static void *snapshot_of(const subject *s, uint32_t group, anonset_view view)
{
    void *snapshot;
    anonset_state state;
    GIVES(ANONSET_OK, s->backend->snapshot_open(s->handle, &snapshot, &state, group, view, NULL));
    return snapshot;
}

/* Reads one position at a time, from the newest to the oldest and then here and there. */
static void every_position_is(const subject *s, anonset_view view, const ts_chain *chain,
                              uint32_t size)
{
    void *snapshot = snapshot_of(s, 1, view);
    for (uint32_t i = 0; i < 3 * size; i++) {
        uint32_t at = i < size ? size - 1 - i : (uint32_t)(ts_mix(3, i) % size);
        anonset_run run;
        GIVES(ANONSET_OK, s->backend->read(snapshot, &run, at, NULL));
        MUST(run.start <= at && at - run.start < run.n && run.n <= size - run.start);
        MUST(as_coin_equal(&run.coins[at - run.start], &chain->coins[at]));
        if (!s->backend->read_tags)
            continue;
        GIVES(ANONSET_OK, s->backend->read_tags(snapshot, &run, at, NULL));
        MUST(run.start <= at && at - run.start < run.n && run.n <= size - run.start);
        MUST(as_get32(run.tags + (size_t)(at - run.start) * 4) == chain->tags[at]);
    }
    s->backend->snapshot_close(snapshot);
}

CASE(both_views_at_every_position)
{
    ts_chain *old = kit_chain(s, 1, 300), *new = kit_fork(s, old, 130, 2, 340);
    anonset_meta meta = ts_chain_meta(old, 300), after = ts_chain_meta(new, 340);
    for (uint32_t at = 0; at < 300; at += 50)
        GIVES(ANONSET_OK, kit_append(s, 1, old, &meta, 0, at, 50));
    every_position_is(s, ANONSET_VIEW_NEXT, old, 300);
    GIVES(ANONSET_OK, kit_complete(s, 1, old, &meta, 300, ANONSET_GATE_COUNT));
    every_position_is(s, ANONSET_VIEW_FINALIZED, old, 300);
    every_position_is(s, ANONSET_VIEW_NEXT, old, 300);
    for (uint32_t at = 130; at < 340; at += 30) {
        GIVES(ANONSET_OK, kit_append(s, 1, new, &after, 130, at, 30));
        every_position_is(s, ANONSET_VIEW_FINALIZED, old, 300);
        every_position_is(s, ANONSET_VIEW_NEXT, new, at + 30);
    }
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &after, 210, ANONSET_GATE_COUNT));
    every_position_is(s, ANONSET_VIEW_FINALIZED, new, 340);
    every_position_is(s, ANONSET_VIEW_NEXT, new, 340);
}

CASE(a_group_of_which_nothing_is_stored)
{
    void *snapshot;
    anonset_state state, zero = {0};
    anonset_checkpoint checkpoint;
    memset(&state, 0xa5, sizeof state);
    GIVES(ANONSET_OK, s->backend->snapshot_open(s->handle, &snapshot, &state, 12345,
                                                ANONSET_VIEW_FINALIZED, NULL));
    MUST(kit_state_equal(&state, &zero));
    GIVES(ANONSET_NOT_FOUND, s->backend->checkpoint(snapshot, &checkpoint, 0, NULL));
    s->backend->snapshot_close(snapshot);
}

CASE(a_snapshot_does_not_see_an_append)
{
    ts_chain *chain = kit_chain(s, 3, 200);
    anonset_meta meta = ts_chain_meta(chain, 200);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 70));
    void *snapshot = snapshot_of(s, 1, ANONSET_VIEW_NEXT);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 70, 130));
    kit_shows(s, snapshot, chain, 70);
    s->backend->snapshot_close(snapshot);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 200);
}

CASE(a_snapshot_reads_the_old_set_whole_whatever_happens)
{
    ts_chain *old = kit_chain(s, 4, 400), *new = kit_fork(s, old, 150, 5, 500);
    anonset_meta meta = ts_chain_meta(new, 500);
    anonset_checkpoint checkpoint, first;
    kit_finalize(s, 1, old, 0, 200);
    void *at200 = snapshot_of(s, 1, ANONSET_VIEW_FINALIZED);
    GIVES(ANONSET_OK, s->backend->checkpoint(at200, &first, 0, NULL));
    kit_finalize(s, 1, old, 200, 400);
    void *at400 = snapshot_of(s, 1, ANONSET_VIEW_FINALIZED);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &meta, 150, 150, 350));
    void *next = snapshot_of(s, 1, ANONSET_VIEW_NEXT);
    GIVES(ANONSET_OK, s->backend->discard_incomplete(s->handle, 1, NULL));
    kit_shows(s, next, new, 500);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &meta, 150, 150, 350));
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &meta, 350, ANONSET_GATE_COUNT));
    void *at500 = snapshot_of(s, 1, ANONSET_VIEW_FINALIZED);
    kit_shows(s, at200, old, 200);
    kit_shows(s, at400, old, 400);
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 0, NULL));
    kit_finalize(s, 1, old, 0, 30);
    kit_shows(s, at200, old, 200);
    kit_shows(s, at400, old, 400);
    kit_shows(s, next, new, 500);
    kit_shows(s, at500, new, 500);
    GIVES(ANONSET_OK, s->backend->checkpoint(at200, &checkpoint, 0, NULL));
    MUST(kit_meta_equal(&checkpoint.meta, &first.meta));
    GIVES(ANONSET_NOT_FOUND, s->backend->checkpoint(at200, &checkpoint, 1, NULL));
    GIVES(ANONSET_OK, s->backend->checkpoint(at400, &checkpoint, 1, NULL));
    MUST(kit_meta_equal(&checkpoint.meta, &first.meta));
    s->backend->snapshot_close(at400);
    s->backend->snapshot_close(at200);
    s->backend->snapshot_close(at500);
    s->backend->snapshot_close(next);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, old, 30);
}

CASE(checkpoints_can_be_read_in_any_order)
{
    ts_chain *chain = kit_chain(s, 6, 40);
    anonset_checkpoint checkpoint;
    for (uint32_t size = 1; size <= 40; size++)
        kit_finalize(s, 1, chain, size - 1, size);
    void *snapshot = snapshot_of(s, 1, ANONSET_VIEW_FINALIZED);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t index = i < 45 ? i : (uint32_t)(ts_mix(7, i) % 45);
        if (index >= 40) {
            GIVES(ANONSET_NOT_FOUND, s->backend->checkpoint(snapshot, &checkpoint, index, NULL));
            continue;
        }
        GIVES(ANONSET_OK, s->backend->checkpoint(snapshot, &checkpoint, index, NULL));
        MUST(checkpoint.meta.size == 40 - index);
        MUST(memcmp(checkpoint.digest, chain->digests[40 - index], sizeof checkpoint.digest) == 0);
    }
    s->backend->snapshot_close(snapshot);
}

/* Copies coins, bends some, and stores them: every byte must come back. */
#define ODD 24

CASE(coins_come_back_byte_for_byte)
{
    ts_chain *plain = kit_chain(s, 8, ODD);
    anonset_coin odd[ODD];
    uint8_t *long_context = malloc(65536), *long_serialized = malloc(65536);
    uint8_t agreeing[400], cut[400], tail[400];
    static const uint8_t zeros[ANONSET_HASH_BYTES];
    MUST(long_context && long_serialized);
    ts_fill(long_context, 65536, 1);
    ts_fill(long_serialized, 65536, 2);
    memcpy(odd, plain->coins, sizeof odd);
    odd[1].serialized_len = 0;
    odd[2].context_len = 0;
    odd[3].serialized_len = odd[3].context_len = 0;
    odd[4].tx_hash = zeros; /* the tail says another tx hash */
    odd[5].context = plain->coins[6].context;
    odd[5].context_len = plain->coins[6].context_len; /* the tail says another context */
    odd[6].serialized_len -= 1;
    odd[7].serialized_len = 244; /* the coin alone */
    odd[8].serialized_len = 276;
    odd[9].serialized_len = 277;
    odd[10].context = long_context;
    odd[10].context_len = 65536;
    odd[11].serialized = long_serialized;
    odd[11].serialized_len = 65536;
    odd[12] = odd[10];
    odd[12].serialized = long_serialized;
    odd[12].serialized_len = 65535;
    odd[13].serialized_len = 1;
    odd[14].serialized = zeros;
    odd[14].serialized_len = 32;
    odd[15].context_len -= 1;
    odd[16].tx_hash = plain->coins[17].tx_hash;
    /* the right tail behind a coin of no known layout */
    ts_fill(agreeing, 244, 3);
    memcpy(agreeing + 244, zeros, 32);
    agreeing[276] = 3;
    memcpy(agreeing + 277, "abc", 3);
    odd[18] = (anonset_coin){.serialized = agreeing, .serialized_len = 280, .tx_hash = zeros};
    odd[18].context = (const uint8_t *)"abc";
    odd[18].context_len = 3;
    /* a context counted in more bytes than it needs */
    memcpy(cut, plain->coins[19].serialized, 276);
    memcpy(cut + 276, "\xfd\x03\x00xyz", 6);
    odd[19].serialized = cut;
    odd[19].serialized_len = 282;
    odd[19].context = (const uint8_t *)"xyz";
    odd[19].context_len = 3;
    /* a standard coin whose context is empty */
    memcpy(tail, plain->coins[20].serialized, 276);
    tail[276] = 0;
    odd[20].serialized = tail;
    odd[20].serialized_len = 277;
    odd[20].context_len = 0;
    odd[22] = odd[21]; /* the same coin twice: the backend takes no decision */
    ts_chain *chain = kit_chain_of(s, 9, odd, ODD);
    anonset_meta meta = ts_chain_meta(chain, ODD);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 5));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 5, ODD - 5));
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, ODD);
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, ODD, ANONSET_GATE_COUNT));
    kit_reopen(s, 0);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, ODD);
    free(long_context);
    free(long_serialized);
}

CASE(the_largest_standard_coin)
{
    uint8_t *bytes = malloc(276 + 5 + 65536);
    MUST(bytes);
    for (uint32_t len = 252; len <= 65536; len = len == 252 ? 253 : len == 253 ? 65535 : len + 1) {
        anonset_coin coin;
        uint8_t plain[TS_COIN_MAX];
        uint8_t *at = bytes + 276;
        ts_coin(&coin, plain, 10, len);
        memcpy(bytes, plain, 276);
        if (len < 253) {
            *at++ = (uint8_t)len;
        } else {
            *at++ = len < 65536 ? 0xfd : 0xfe;
            as_put32(at, len);
            at += len < 65536 ? 2 : 4;
        }
        ts_fill(at, len, len);
        coin.serialized = bytes;
        coin.tx_hash = bytes + 244;
        coin.context = at;
        coin.context_len = len;
        coin.serialized_len = (uint32_t)(at - bytes) + len;
        ts_chain *chain = kit_chain_of(s, 20 + len, &coin, 1);
        kit_finalize(s, len, chain, 0, 1);
        kit_view_is(s, len, ANONSET_VIEW_FINALIZED, chain, 1);
    }
    free(bytes);
}

/* Coins of 40 bytes: 70,001 of them are past 32,000 and past 65,536, in sectors of all sizes. */
#define MANY 70001u

CASE(positions_far_past_a_full_group)
{
    anonset_coin *coins = calloc(MANY, sizeof *coins);
    uint8_t *bytes = malloc(MANY * 40u);
    MUST(coins && bytes);
    for (uint32_t i = 0; i < MANY; i++) {
        uint8_t *at = bytes + (size_t)i * 40;
        ts_fill(at, 40, i);
        coins[i] = (anonset_coin){at, at + 36, at + 4, 4, i % 5};
    }
    ts_chain *chain = kit_chain_of(s, 11, coins, MANY);
    free(coins);
    free(bytes);
    anonset_meta vast = ts_chain_meta(chain, UINT32_MAX), meta = ts_chain_meta(chain, MANY);
    static const uint32_t sectors[] = {1, 4095, 4096, 4097, 20000, 33000, 4711, 1};
    uint32_t at = 0;
    for (size_t i = 0; i < sizeof sectors / sizeof *sectors; i++) {
        GIVES(ANONSET_OK, kit_append(s, 1, chain, &vast, 0, at, sectors[i]));
        at += sectors[i];
    }
    MUST(at == MANY);
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &vast, 0, MANY));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &vast, 0, MANY - 1, 1));
    anonset_complete c = {.group = 1, .target = vast, .expected_count = MANY};
    memcpy(c.digest, chain->digests[MANY], sizeof c.digest);
    REFUSED(ANONSET_STALE, 1, s->backend->mark_complete(s->handle, &c, NULL));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, MANY, 0));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, MANY, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, MANY);
    ts_chain *fork = kit_fork(s, chain, 65537, 12, MANY + 300);
    kit_finalize(s, 1, fork, 65537, MANY + 300);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, fork, MANY + 300);
}

CASE(many_small_sectors)
{
    ts_chain *chain = kit_chain(s, 13, 600), *fork = kit_fork(s, chain, 301, 14, 450);
    anonset_meta meta = ts_chain_meta(chain, 600), after = ts_chain_meta(fork, 450);
    for (uint32_t i = 0; i < 600; i += 3)
        GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, i, 3));
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 600);
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 600, ANONSET_GATE_COUNT));
    for (uint32_t i = 301; i < 450; i++)
        GIVES(ANONSET_OK, kit_append(s, 1, fork, &after, 301, i, 1));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 600);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, fork, 450);
    GIVES(ANONSET_OK, kit_complete(s, 1, fork, &after, 149, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, fork, 450);
}
