/* append_sector: what it writes, and what it refuses. */
#include "tests/conformance/kit.h"

#include <string.h>

static anonset_code append_with(const subject *s, anonset_append a)
{
    return s->backend->append_sector(s->handle, &a, NULL);
}

CASE(an_append_makes_the_pending_set)
{
    ts_chain *chain = kit_chain(s, 1, 100);
    anonset_meta meta = ts_chain_meta(chain, 100);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 30));
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &meta, 0, 30));
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 30);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 0);
}

CASE(an_append_without_coins_makes_an_empty_pending_set)
{
    ts_chain *chain = kit_chain(s, 1, 10);
    anonset_meta meta = ts_chain_meta(chain, 10);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 0));
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &meta, 0, 0));
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 0);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 10));
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &meta, 0, 10));
}

CASE(appends_continue_the_pending_set)
{
    static const uint32_t sizes[] = {1, 2, 0, 3, 50, 1, 193, 250};
    ts_chain *chain = kit_chain(s, 2, 500);
    anonset_meta meta = ts_chain_meta(chain, 500);
    uint32_t at = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        GIVES(ANONSET_OK, kit_append(s, 7, chain, &meta, 0, at, sizes[i]));
        at += sizes[i];
        STATE_IS(7, kit_pending((anonset_state){0}, chain, &meta, 0, at));
        kit_view_is(s, 7, ANONSET_VIEW_NEXT, chain, at);
    }
    kit_reopen(s, 0);
    kit_view_is(s, 7, ANONSET_VIEW_NEXT, chain, at);
}

CASE(an_append_starts_where_the_finalized_set_ends)
{
    ts_chain *chain = kit_chain(s, 3, 120);
    anonset_meta first = ts_chain_meta(chain, 50), next = ts_chain_meta(chain, 120);
    kit_finalize(s, 1, chain, 0, 50);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &next, 50, 50, 20));
    anonset_state finalized = kit_finalized(chain, &first, ANONSET_GATE_COUNT);
    STATE_IS(1, kit_pending(finalized, chain, &next, 50, 20));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 50);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 70);
}

CASE(another_target_repins_the_pending_set)
{
    ts_chain *chain = kit_chain(s, 4, 300);
    anonset_meta a = ts_chain_meta(chain, 100), b = ts_chain_meta(chain, 200);
    anonset_meta c = ts_chain_meta(chain, 300);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &a, 0, 0, 60));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &b, 0, 60, 0)); /* only re-pins */
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &b, 0, 60));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &c, 0, 60, 90)); /* re-pins and appends */
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &c, 0, 150));
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 150);
    GIVES(ANONSET_OK,
          kit_append(s, 1, chain, &b, 0, 150, 0)); /* to a smaller one that still fits */
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &b, 0, 150));
}

CASE(any_field_of_the_meta_makes_another_target)
{
    ts_chain *chain = kit_chain(s, 5, 40);
    anonset_meta meta = ts_chain_meta(chain, 40);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 10));
    meta.block_hash[31] ^= 1;
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 10, 0));
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &meta, 0, 10));
    meta.set_hash[0] ^= 1;
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 10, 0));
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &meta, 0, 10));
    meta.has_set_hash = false;
    memset(meta.set_hash, 0, sizeof meta.set_hash);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 10, 0));
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &meta, 0, 10));
    meta.size = 39;
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 10, 0));
    STATE_IS(1, kit_pending((anonset_state){0}, chain, &meta, 0, 10));
}

CASE(a_replayed_sector_is_stale)
{
    ts_chain *chain = kit_chain(s, 6, 90);
    anonset_meta meta = ts_chain_meta(chain, 90);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 30));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 0, 30));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 30, 30));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 30, 30));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 0, 60));
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 60);
}

CASE(a_gap_or_an_overlap_is_stale)
{
    ts_chain *chain = kit_chain(s, 7, 90);
    anonset_meta meta = ts_chain_meta(chain, 90);
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 1, 5));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 30));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 31, 5));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 29, 5));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 29, 0));
    for (uint32_t start = 0; start < 60; start++) { /* whatever digest it claims to stand on */
        anonset_append a = kit_sector(1, chain, &meta, 0, start, 5);
        memcpy(a.digest_before, chain->digests[30], sizeof a.digest_before);
        if (start != 30)
            REFUSED(ANONSET_STALE, 1, append_with(s, a));
    }
}

CASE(another_base_is_stale)
{
    ts_chain *chain = kit_chain(s, 8, 90);
    anonset_meta meta = ts_chain_meta(chain, 90);
    kit_finalize(s, 1, chain, 0, 40);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 40, 40, 0));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 30, 30, 20));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 0, 20));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 40, 40, 10));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 50, 50, 10));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 30, 50, 10));
    for (uint32_t base = 0; base <= 50; base += 10) { /* even where all else fits */
        anonset_append a = kit_sector(1, chain, &meta, base, base + 10, 10);
        memcpy(a.digest_before, chain->digests[50], sizeof a.digest_before);
        if (base != 40)
            REFUSED(ANONSET_STALE, 1, append_with(s, a));
    }
}

CASE(a_base_past_the_finalized_size_is_stale)
{
    ts_chain *chain = kit_chain(s, 9, 90);
    anonset_meta meta = ts_chain_meta(chain, 90);
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 1, 1, 5));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 1, 1, 0));
    kit_finalize(s, 1, chain, 0, 40);
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 41, 41, 5));
}

CASE(a_base_chosen_by_another_finalized_set_is_stale)
{
    ts_chain *chain = kit_chain(s, 9, 90);
    anonset_meta none = {0}, old = ts_chain_meta(chain, 40), now = ts_chain_meta(chain, 60);
    anonset_meta next = ts_chain_meta(chain, 90);
    kit_finalize(s, 1, chain, 0, 40);
    kit_finalize(s, 1, chain, 40, 60);
    for (uint32_t base = 0; base <= 60; base += 20) {
        anonset_append a = kit_sector(1, chain, &next, base, base, 10);
        a.upon = &none;
        REFUSED(ANONSET_STALE, 1, append_with(s, a));
        a.upon = &old;
        REFUSED(ANONSET_STALE, 1, append_with(s, a));
        a.upon = &now;
        GIVES(ANONSET_OK, append_with(s, a));
        a = kit_sector(1, chain, &next, base, base + 10, 10);
        a.upon = &old; /* the pending set tells the same by itself */
        GIVES(ANONSET_OK, append_with(s, a));
        GIVES(ANONSET_OK, s->backend->discard_incomplete(s->handle, 1, NULL));
    }
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 1, NULL));
    anonset_append a = kit_sector(1, chain, &next, 0, 0, 10);
    a.upon = &now;
    REFUSED(ANONSET_STALE, 1, append_with(s, a));
    a.upon = &none;
    GIVES(ANONSET_OK, append_with(s, a));
}

CASE(a_wrong_digest_before_is_stale)
{
    ts_chain *chain = kit_chain(s, 10, 90);
    anonset_meta meta = ts_chain_meta(chain, 90);
    anonset_append a = kit_sector(1, chain, &meta, 0, 0, 10);
    a.digest_before[5] ^= 1; /* at position 0 it is all zero */
    REFUSED(ANONSET_STALE, 1, append_with(s, a));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 10));
    a = kit_sector(1, chain, &meta, 0, 10, 10);
    a.digest_before[31] ^= 0x80; /* of the pending set */
    REFUSED(ANONSET_STALE, 1, append_with(s, a));
    GIVES(ANONSET_OK, s->backend->discard_incomplete(s->handle, 1, NULL));
    kit_finalize(s, 1, chain, 0, 40);
    a = kit_sector(1, chain, &meta, 40, 40, 10);
    a.digest_before[0] ^= 1; /* of the finalized set */
    REFUSED(ANONSET_STALE, 1, append_with(s, a));
    a = kit_sector(1, chain, &meta, 0, 0, 10);
    a.digest_before[0] ^= 1; /* a replacement of everything */
    REFUSED(ANONSET_STALE, 1, append_with(s, a));
}

CASE(a_digest_that_is_not_known_is_not_checked)
{
    ts_chain *chain = kit_chain(s, 11, 90);
    anonset_meta meta = ts_chain_meta(chain, 90);
    kit_finalize(s, 1, chain, 0, 40);
    anonset_append a = kit_sector(1, chain, &meta, 25, 25, 0);
    memset(a.digest_before, 0x55, sizeof a.digest_before);
    memset(a.digest_after, 0x55, sizeof a.digest_after);
    GIVES(ANONSET_OK, append_with(s, a));
    anonset_state now = kit_state(s, 1);
    MUST(memcmp(now.pending_digest, a.digest_after, sizeof a.digest_after) == 0);
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 25, 25, 5)); /* now one is known */
}

CASE(going_past_the_targets_size_is_stale)
{
    ts_chain *chain = kit_chain(s, 12, 100);
    anonset_meta small = ts_chain_meta(chain, 50), none = ts_chain_meta(chain, 0);
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &small, 0, 0, 51));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &none, 0, 0, 1));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &small, 0, 0, 49));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &small, 0, 49, 2));
    anonset_meta smaller = ts_chain_meta(chain, 48);
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &smaller, 0, 49, 0)); /* a re-pin too */
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &small, 0, 49, 1));
}

CASE(a_target_that_is_finalized_is_stale)
{
    ts_chain *chain = kit_chain(s, 13, 100);
    anonset_meta meta = ts_chain_meta(chain, 60), next = ts_chain_meta(chain, 100);
    kit_finalize(s, 1, chain, 0, 60);
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 60, 60, 0));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 50, 50, 10));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 0, 60));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &next, 40, 40, 10));
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 40, 50, 10)); /* nor by a re-pin */
}

CASE(a_target_finalized_at_gate_none_is_downloaded_anew)
{
    ts_chain *legacy = kit_chain(s, 14, 60), *chain = kit_chain(s, 15, 60);
    anonset_meta meta = ts_chain_meta(legacy, 60);
    GIVES(ANONSET_OK, kit_append(s, 1, legacy, &meta, 0, 0, 60));
    GIVES(ANONSET_OK, kit_complete(s, 1, legacy, &meta, 60, ANONSET_GATE_NONE));
    STATE_IS(1, kit_finalized(legacy, &meta, ANONSET_GATE_NONE));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 30));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, legacy, 60);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 30, 30));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 60, ANONSET_GATE_COUNT));
    STATE_IS(1, kit_finalized(chain, &meta, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 60);
}

CASE(groups_do_not_touch_each_other)
{
    static const uint32_t groups[] = {UINT32_MAX, 1, 256, 65536, 2, UINT32_MAX - 1, 0x01000000};
    ts_chain *chains[7];
    for (size_t i = 0; i < 7; i++) {
        chains[i] = kit_chain(s, 100 + i, 40);
        anonset_meta meta = ts_chain_meta(chains[i], 40);
        kit_finalize(s, groups[i], chains[i], 0, 20);
        GIVES(ANONSET_OK, kit_append(s, groups[i], chains[i], &meta, 20, 20, 10 + (uint32_t)i));
    }
    for (size_t i = 0; i < 7; i++) {
        kit_view_is(s, groups[i], ANONSET_VIEW_FINALIZED, chains[i], 20);
        kit_view_is(s, groups[i], ANONSET_VIEW_NEXT, chains[i], 30 + (uint32_t)i);
    }
}
