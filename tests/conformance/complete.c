/* mark_complete: what it refuses, what it replaces, and the checkpoints it leaves. */
#include "tests/conformance/kit.h"

#include <string.h>

#define CHECKPOINTS 16

static anonset_code complete_with(const subject *s, anonset_complete c)
{
    return s->backend->mark_complete(s->handle, &c, NULL);
}

static bool checkpoint_is(const anonset_checkpoint *c, const ts_chain *chain,
                          const anonset_meta *meta, anonset_gate gate, bool alias)
{
    return kit_meta_equal(&c->meta, meta) && c->gate == gate && c->alias == alias &&
           memcmp(c->digest, chain->digests[meta->size], sizeof c->digest) == 0;
}

/* The checkpoints are those of these sizes of the chain, newest first, at COUNT, without aliases.
 */
static void sizes_are(const subject *s, const ts_chain *const *chains, const uint32_t *sizes,
                      size_t n)
{
    anonset_checkpoint got[CHECKPOINTS];
    MUST(kit_checkpoints(s, 1, got, CHECKPOINTS) == n);
    for (size_t i = 0; i < n; i++) {
        anonset_meta meta = ts_chain_meta(chains[i], sizes[i]);
        MUST(checkpoint_is(&got[i], chains[i], &meta, ANONSET_GATE_COUNT, false));
    }
}

CASE(completing_makes_the_pending_set_the_finalized_one)
{
    ts_chain *chain = kit_chain(s, 1, 100);
    anonset_meta meta = ts_chain_meta(chain, 100);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 60));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 60, 40));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 0);
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 100, ANONSET_GATE_COUNT));
    STATE_IS(1, kit_finalized(chain, &meta, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 100);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 100);
    kit_reopen(s, 0);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 100);
}

CASE(what_does_not_fit_is_refused_and_changes_nothing)
{
    ts_chain *chain = kit_chain(s, 2, 100);
    anonset_meta meta = ts_chain_meta(chain, 100), other = ts_chain_meta(chain, 90);
    anonset_complete c = {.group = 1, .target = meta, .gate = ANONSET_GATE_COUNT};
    kit_finalize(s, 1, chain, 0, 30);
    c.expected_count = 70;
    memcpy(c.digest, chain->digests[100], sizeof c.digest);
    REFUSED(ANONSET_STALE, 1, complete_with(s, c)); /* nothing pending */
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 30, 30, 60));
    REFUSED(ANONSET_STALE, 1, complete_with(s, c)); /* under-count: 60 of 70 are there */
    memcpy(c.digest, chain->digests[90], sizeof c.digest);
    c.expected_count = 60;
    REFUSED(ANONSET_STALE, 1, complete_with(s, c)); /* not up to the target's size */
    c.target = other;
    REFUSED(ANONSET_STALE, 1, complete_with(s, c)); /* another target */
    c.target = meta;
    memcpy(c.digest, chain->digests[100], sizeof c.digest);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 30, 90, 10));
    c.expected_count = 69;
    REFUSED(ANONSET_STALE, 1, complete_with(s, c)); /* over-count: 70 where 69 are expected */
    c.expected_count = 71;
    REFUSED(ANONSET_STALE, 1, complete_with(s, c));
    c.expected_count = 100;
    REFUSED(ANONSET_STALE, 1, complete_with(s, c));
    c.expected_count = 70;
    c.digest[17] ^= 1;
    REFUSED(ANONSET_STALE, 1, complete_with(s, c));
    c.digest[17] ^= 1;
    c.target.block_hash[0] ^= 1;
    REFUSED(ANONSET_STALE, 1, complete_with(s, c));
    c.target = meta;
    c.target.set_hash[0] ^= 1;
    REFUSED(ANONSET_STALE, 1, complete_with(s, c));
    c.target = meta;
    c.group = 2;
    REFUSED(ANONSET_STALE, 1, complete_with(s, c)); /* nothing is stored of that group */
    STATE_IS(2, (anonset_state){0});
    c.group = 1;
    GIVES(ANONSET_OK, complete_with(s, c));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 100);
}

CASE(the_same_target_again_raises_the_gate_and_never_lowers_it)
{
    ts_chain *chain = kit_chain(s, 3, 50);
    anonset_meta meta = ts_chain_meta(chain, 50);
    anonset_checkpoint got[CHECKPOINTS];
    kit_finalize(s, 1, chain, 0, 50);
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 12345, ANONSET_GATE_COUNT));
    STATE_IS(1, kit_finalized(chain, &meta, ANONSET_GATE_COUNT));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 0, ANONSET_GATE_SET_HASH));
    STATE_IS(1, kit_finalized(chain, &meta, ANONSET_GATE_SET_HASH));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 50, ANONSET_GATE_COUNT));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 50, ANONSET_GATE_NONE));
    STATE_IS(1, kit_finalized(chain, &meta, ANONSET_GATE_SET_HASH));
    MUST(kit_checkpoints(s, 1, got, CHECKPOINTS) == 1);
    MUST(checkpoint_is(&got[0], chain, &meta, ANONSET_GATE_SET_HASH, false));
    kit_reopen(s, 0);
    STATE_IS(1, kit_finalized(chain, &meta, ANONSET_GATE_SET_HASH));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 50);
}

CASE(the_same_target_again_with_another_digest_is_refused)
{
    ts_chain *chain = kit_chain(s, 4, 50);
    anonset_complete c = {.group = 1, .expected_count = 50, .gate = ANONSET_GATE_SET_HASH};
    c.target = ts_chain_meta(chain, 50);
    memcpy(c.digest, chain->digests[49], sizeof c.digest);
    kit_finalize(s, 1, chain, 0, 50);
    REFUSED(ANONSET_STALE, 1, complete_with(s, c));
}

CASE(raising_the_gate_keeps_a_pending_set_for_another_target)
{
    ts_chain *chain = kit_chain(s, 5, 100);
    anonset_meta meta = ts_chain_meta(chain, 50), next = ts_chain_meta(chain, 100);
    kit_finalize(s, 1, chain, 0, 50);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &next, 50, 50, 20));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 0, ANONSET_GATE_SET_HASH));
    anonset_state finalized = kit_finalized(chain, &meta, ANONSET_GATE_SET_HASH);
    STATE_IS(1, kit_pending(finalized, chain, &next, 50, 20));
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 70);
}

CASE(checkpoints_come_newest_first)
{
    static const uint32_t sizes[] = {100, 61, 60, 10};
    ts_chain *chain = kit_chain(s, 6, 100);
    const ts_chain *chains[] = {chain, chain, chain, chain};
    sizes_are(s, chains, sizes, 0);
    kit_finalize(s, 1, chain, 0, 10);
    kit_finalize(s, 1, chain, 10, 60);
    kit_finalize(s, 1, chain, 60, 61);
    kit_finalize(s, 1, chain, 61, 100);
    sizes_are(s, chains, sizes, 4);
    kit_reopen(s, 0);
    sizes_are(s, chains, sizes, 4);
}

CASE(replacing_the_tail)
{
    ts_chain *old = kit_chain(s, 7, 200), *new = kit_fork(s, old, 90, 8, 260);
    anonset_meta before = ts_chain_meta(old, 200), after = ts_chain_meta(new, 260);
    kit_finalize(s, 1, old, 0, 50);
    kit_finalize(s, 1, old, 50, 120);
    kit_finalize(s, 1, old, 120, 200);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &after, 90, 90, 70));
    anonset_state finalized = kit_finalized(old, &before, ANONSET_GATE_COUNT);
    STATE_IS(1, kit_pending(finalized, new, &after, 90, 70));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, old, 200);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, new, 160); /* shorter than the finalized set for now */
    GIVES(ANONSET_OK, kit_append(s, 1, new, &after, 90, 160, 100));
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &after, 170, ANONSET_GATE_COUNT));
    STATE_IS(1, kit_finalized(new, &after, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, 260);
    /* 120 and 200 lay above the base */
    sizes_are(s, (const ts_chain *const[]){new, old}, (const uint32_t[]){260, 50}, 2);
    kit_reopen(s, 0);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, 260);
}

CASE(a_replacement_may_be_shorter_than_what_it_replaces)
{
    ts_chain *old = kit_chain(s, 9, 200), *new = kit_fork(s, old, 70, 10, 300);
    anonset_meta after = ts_chain_meta(new, 110);
    kit_finalize(s, 1, old, 0, 200);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &after, 70, 70, 40));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, old, 200);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, new, 110);
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &after, 40, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, 110);
    kit_finalize(s, 1, new, 110, 300); /* nothing of the old tail shows up above */
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, 300);
    sizes_are(s, (const ts_chain *const[]){new, new}, (const uint32_t[]){300, 110}, 2);
}

CASE(a_checkpoint_at_the_base_stays)
{
    ts_chain *old = kit_chain(s, 11, 90), *new = kit_fork(s, old, 60, 12, 95);
    kit_finalize(s, 1, old, 0, 60);
    kit_finalize(s, 1, old, 60, 90);
    kit_finalize(s, 1, new, 60, 95);
    sizes_are(s, (const ts_chain *const[]){new, old}, (const uint32_t[]){95, 60}, 2);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, 95);
}

CASE(replacing_everything)
{
    ts_chain *old = kit_chain(s, 13, 80), *new = kit_chain(s, 14, 70);
    anonset_meta meta = ts_chain_meta(new, 70);
    anonset_checkpoint got[CHECKPOINTS];
    kit_finalize(s, 1, old, 0, 40);
    kit_finalize(s, 1, old, 40, 80);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &meta, 0, 0, 70));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, old, 80);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, new, 70);
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &meta, 70, ANONSET_GATE_SET_HASH));
    STATE_IS(1, kit_finalized(new, &meta, ANONSET_GATE_SET_HASH));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, 70);
    MUST(kit_checkpoints(s, 1, got, CHECKPOINTS) == 1);
    MUST(checkpoint_is(&got[0], new, &meta, ANONSET_GATE_SET_HASH, false));
}

CASE(many_replacements_in_a_row)
{
    ts_chain *now = kit_chain(s, 20, 150);
    uint32_t size = 150;
    kit_finalize(s, 1, now, 0, size);
    for (uint32_t i = 0; i < 12; i++) {
        uint32_t base = (uint32_t)(ts_mix(i, 1) % size);
        uint32_t next = base + 1 + (uint32_t)(ts_mix(i, 2) % 100);
        ts_chain *fork = kit_fork(s, now, base, 21 + i, next);
        anonset_meta meta = ts_chain_meta(fork, next);
        uint32_t half = (next - base) / 2;
        GIVES(ANONSET_OK, kit_append(s, 1, fork, &meta, base, base, half));
        GIVES(ANONSET_OK, kit_append(s, 1, fork, &meta, base, base + half, next - base - half));
        kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, now, size);
        kit_view_is(s, 1, ANONSET_VIEW_NEXT, fork, next);
        GIVES(ANONSET_OK, kit_complete(s, 1, fork, &meta, next - base, ANONSET_GATE_COUNT));
        kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, fork, next);
        now = fork;
        size = next;
    }
    kit_reopen(s, 0);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, now, size);
}

/* Backends may join what small deltas leave, and must not lose or move a coin of it: not where a
 * tail is replaced, nor where a delta is given up. */
CASE(many_small_deltas)
{
    const uint32_t most = 900, delta_most = 12;
    ts_chain *chain = kit_chain(s, 60, most + delta_most);
    uint32_t size = 0, replaced = 0;
    for (uint32_t step = 0; size < most; step++) {
        uint64_t chosen = ts_mix(60, step);
        uint32_t n = 1 + (uint32_t)(chosen % delta_most), base = size;
        if (chosen >> 8 & 1) {
            anonset_meta meta = ts_chain_meta(chain, size + n);
            GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, size, size, n));
            GIVES(ANONSET_OK, s->backend->discard_incomplete(s->handle, 1, NULL));
        }
        if (size > 100 * (replaced + 1)) { /* eight times */
            base -= (uint32_t)(chosen >> 16) % 50;
            chain = kit_fork(s, chain, base, 61 + replaced++, chain->n);
        }
        kit_finalize(s, 1, chain, base, base + n);
        size = base + n;
        kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, size);
    }
    MUST(replaced == 8);
    kit_reopen(s, 0);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, size);
}

CASE(a_reanchor_makes_the_old_block_an_alias)
{
    ts_chain *chain = kit_chain(s, 40, 100);
    anonset_meta below = ts_chain_meta(chain, 60), first = ts_chain_meta(chain, 100);
    anonset_meta second = first, third = first;
    anonset_checkpoint got[CHECKPOINTS];
    second.block_hash[0] ^= 1;
    third.block_hash[0] ^= 2;
    kit_finalize(s, 1, chain, 0, 60);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &first, 60, 60, 40));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &first, 40, ANONSET_GATE_SET_HASH));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &second, 100, 100, 0));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &second, 0, ANONSET_GATE_COUNT));
    STATE_IS(1, kit_finalized(chain, &second, ANONSET_GATE_COUNT));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &third, 100, 100, 0));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &third, 0, ANONSET_GATE_SET_HASH));
    STATE_IS(1, kit_finalized(chain, &third, ANONSET_GATE_SET_HASH));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 100);
    MUST(kit_checkpoints(s, 1, got, CHECKPOINTS) == 4);
    MUST(checkpoint_is(&got[0], chain, &third, ANONSET_GATE_SET_HASH, false));
    MUST(checkpoint_is(&got[1], chain, &second, ANONSET_GATE_COUNT, true));
    MUST(checkpoint_is(&got[2], chain, &first, ANONSET_GATE_SET_HASH, true)); /* as it was */
    MUST(checkpoint_is(&got[3], chain, &below, ANONSET_GATE_COUNT, false));
}

CASE(aliases_go_with_the_checkpoint_they_belong_to)
{
    ts_chain *old = kit_chain(s, 41, 100), *new = kit_fork(s, old, 80, 42, 120);
    anonset_meta other = ts_chain_meta(old, 100);
    other.block_hash[0] ^= 1;
    kit_finalize(s, 1, old, 0, 80);
    kit_finalize(s, 1, old, 80, 100);
    GIVES(ANONSET_OK, kit_append(s, 1, old, &other, 100, 100, 0));
    GIVES(ANONSET_OK, kit_complete(s, 1, old, &other, 0, ANONSET_GATE_COUNT));
    kit_finalize(s, 1, new, 80, 120);
    sizes_are(s, (const ts_chain *const[]){new, old}, (const uint32_t[]){120, 80}, 2);
}

CASE(raising_the_gate_after_a_reanchor_leaves_the_alias)
{
    ts_chain *chain = kit_chain(s, 43, 30);
    anonset_meta first = ts_chain_meta(chain, 30), second = first;
    anonset_checkpoint got[CHECKPOINTS];
    second.block_hash[9] ^= 1;
    kit_finalize(s, 1, chain, 0, 30);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &second, 30, 30, 0));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &second, 0, ANONSET_GATE_COUNT));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &second, 0, ANONSET_GATE_SET_HASH));
    MUST(kit_checkpoints(s, 1, got, CHECKPOINTS) == 2);
    MUST(checkpoint_is(&got[0], chain, &second, ANONSET_GATE_SET_HASH, false));
    MUST(checkpoint_is(&got[1], chain, &first, ANONSET_GATE_COUNT, true));
}

CASE(cutting_the_tail_back_to_a_checkpoint)
{
    ts_chain *chain = kit_chain(s, 44, 100);
    anonset_meta at60 = ts_chain_meta(chain, 60), back = at60;
    anonset_checkpoint got[CHECKPOINTS];
    back.block_hash[0] ^= 1;
    kit_finalize(s, 1, chain, 0, 60);
    kit_finalize(s, 1, chain, 60, 100);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &back, 60, 60, 0));
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 60);
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &back, 0, ANONSET_GATE_COUNT));
    STATE_IS(1, kit_finalized(chain, &back, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 60);
    MUST(kit_checkpoints(s, 1, got, CHECKPOINTS) == 2);
    MUST(checkpoint_is(&got[0], chain, &back, ANONSET_GATE_COUNT, false));
    MUST(checkpoint_is(&got[1], chain, &at60, ANONSET_GATE_COUNT, true));
}

CASE(cutting_the_tail_back_to_where_no_checkpoint_is)
{
    ts_chain *chain = kit_chain(s, 46, 100);
    const ts_chain *chains[] = {chain, chain};
    anonset_meta meta = ts_chain_meta(chain, 70);
    kit_finalize(s, 1, chain, 0, 60);
    kit_finalize(s, 1, chain, 60, 100);
    anonset_append a = kit_sector(1, chain, &meta, 70, 70, 0);
    GIVES(ANONSET_OK, s->backend->append_sector(s->handle, &a, NULL));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 0, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 70);
    sizes_are(s, chains, (const uint32_t[]){70, 60}, 2); /* 60 is no alias of 70 */
}

CASE(a_set_without_a_set_hash_is_kept_as_such)
{
    ts_chain *chain = kit_chain(s, 45, 5);
    anonset_meta meta = ts_chain_meta(chain, 5);
    meta.has_set_hash = false;
    memset(meta.set_hash, 0, sizeof meta.set_hash);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 5));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 5, ANONSET_GATE_COUNT));
    kit_reopen(s, 0);
    STATE_IS(1, kit_finalized(chain, &meta, ANONSET_GATE_COUNT));
}
