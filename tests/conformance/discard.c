/* discard_incomplete, clear, next_group and disk_bytes. */
#include "tests/conformance/kit.h"

static anonset_code discard(const subject *s, uint32_t group)
{
    return s->backend->discard_incomplete(s->handle, group, NULL);
}

CASE(discarding_leaves_the_finalized_set)
{
    ts_chain *chain = kit_chain(s, 1, 100);
    anonset_meta meta = ts_chain_meta(chain, 50), next = ts_chain_meta(chain, 100);
    kit_finalize(s, 1, chain, 0, 50);
    uint64_t image = kit_image(s->backend, s->handle, 1, false);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &next, 50, 50, 30));
    GIVES(ANONSET_OK, discard(s, 1));
    STATE_IS(1, kit_finalized(chain, &meta, ANONSET_GATE_COUNT));
    MUST(kit_image(s->backend, s->handle, 1, false) == image);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &next, 50, 50, 50));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &next, 50, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 100);
}

CASE(discarding_twice_is_discarding_once)
{
    ts_chain *chain = kit_chain(s, 2, 60);
    anonset_meta next = ts_chain_meta(chain, 60);
    REFUSED(ANONSET_OK, 1, discard(s, 1)); /* nothing is stored: nothing to do */
    kit_finalize(s, 1, chain, 0, 30);
    REFUSED(ANONSET_OK, 1, discard(s, 1));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &next, 30, 30, 10));
    GIVES(ANONSET_OK, discard(s, 1));
    REFUSED(ANONSET_OK, 1, discard(s, 1));
    kit_reopen(s, 0);
    REFUSED(ANONSET_OK, 1, discard(s, 1));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 30);
}

CASE(discarding_the_only_set_leaves_nothing)
{
    ts_chain *chain = kit_chain(s, 3, 60), *other = kit_chain(s, 4, 60);
    anonset_meta meta = ts_chain_meta(chain, 60), again = ts_chain_meta(other, 60);
    uint32_t group;
    GIVES(ANONSET_OK, kit_append(s, 5, chain, &meta, 0, 0, 40));
    GIVES(ANONSET_OK, discard(s, 5));
    STATE_IS(5, (anonset_state){0});
    GIVES(ANONSET_NOT_FOUND, s->backend->next_group(s->handle, &group, 0, NULL));
    GIVES(ANONSET_OK, kit_append(s, 5, other, &again, 0, 0, 20));
    STATE_IS(5, kit_pending((anonset_state){0}, other, &again, 0, 20));
    kit_view_is(s, 5, ANONSET_VIEW_NEXT, other, 20);
}

CASE(a_discarded_replacement_leaves_the_old_tail)
{
    ts_chain *old = kit_chain(s, 5, 100);
    kit_finalize(s, 1, old, 0, 100);
    uint64_t image = kit_image(s->backend, s->handle, 1, false);
    for (uint32_t base = 0; base <= 100; base += 20) {
        ts_chain *new = kit_fork(s, old, base, 6, 140);
        anonset_meta meta = ts_chain_meta(new, 140);
        GIVES(ANONSET_OK, kit_append(s, 1, new, &meta, base, base, 140 - base));
        GIVES(ANONSET_OK, discard(s, 1));
        MUST(kit_image(s->backend, s->handle, 1, false) == image);
    }
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, old, 100);
}

CASE(the_same_coins_in_the_finalized_set_and_in_its_replacement)
{
    ts_chain *old = kit_chain(s, 7, 100), *new = kit_fork(s, old, 100, 8, 130);
    anonset_meta meta = ts_chain_meta(new, 130);
    kit_finalize(s, 1, old, 0, 100);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &meta, 60, 60, 70)); /* 60 to 99 are there already */
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, old, 100);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, new, 130);
    GIVES(ANONSET_OK, discard(s, 1));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, old, 100);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &meta, 60, 60, 70));
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &meta, 70, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, 130);
}

CASE(clearing_one_group)
{
    ts_chain *chain = kit_chain(s, 9, 80);
    anonset_meta next = ts_chain_meta(chain, 80);
    anonset_checkpoint checkpoint;
    for (uint32_t group = 1; group <= 3; group++) {
        kit_finalize(s, group, chain, 0, 50);
        GIVES(ANONSET_OK, kit_append(s, group, chain, &next, 50, 50, 10));
    }
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 2, NULL));
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 2, NULL));
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 77, NULL));
    STATE_IS(2, (anonset_state){0});
    MUST(kit_checkpoints(s, 2, &checkpoint, 1) == 0);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 60);
    kit_view_is(s, 3, ANONSET_VIEW_NEXT, chain, 60);
    kit_reopen(s, 0);
    STATE_IS(2, (anonset_state){0});
    kit_finalize(s, 2, chain, 0, 80); /* and from the start again */
    kit_view_is(s, 2, ANONSET_VIEW_FINALIZED, chain, 80);
}

CASE(clearing_everything)
{
    static const uint32_t groups[] = {1, 2, 900, UINT32_MAX};
    ts_chain *chain = kit_chain(s, 10, 80);
    anonset_meta next = ts_chain_meta(chain, 80);
    uint32_t group;
    for (size_t i = 0; i < 4; i++) {
        kit_finalize(s, groups[i], chain, 0, 50);
        GIVES(ANONSET_OK, kit_append(s, groups[i], chain, &next, 50, 50, 10));
    }
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 0, NULL));
    for (size_t i = 0; i < 4; i++)
        STATE_IS(groups[i], (anonset_state){0});
    GIVES(ANONSET_NOT_FOUND, s->backend->next_group(s->handle, &group, 0, NULL));
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 0, NULL));
    kit_reopen(s, 0);
    GIVES(ANONSET_NOT_FOUND, s->backend->next_group(s->handle, &group, 0, NULL));
    kit_finalize(s, 900, chain, 0, 80);
    kit_view_is(s, 900, ANONSET_VIEW_FINALIZED, chain, 80);
}

CASE(next_group_goes_through_all_by_number)
{
    static const uint32_t added[] = {70000, 3, UINT32_MAX, 1, 256, 255};
    static const uint32_t sorted[] = {1, 3, 255, 256, 70000, UINT32_MAX};
    ts_chain *chain = kit_chain(s, 11, 10);
    anonset_meta meta = ts_chain_meta(chain, 10);
    uint32_t group = 0;
    for (size_t i = 0; i < 6; i++) /* a pending set counts, even an empty one */
        GIVES(ANONSET_OK, kit_append(s, added[i], chain, &meta, 0, 0, (uint32_t)i));
    for (size_t i = 0; i < 6; i++) {
        GIVES(ANONSET_OK, s->backend->next_group(s->handle, &group, group, NULL));
        MUST(group == sorted[i]);
    }
    GIVES(ANONSET_NOT_FOUND, s->backend->next_group(s->handle, &group, group, NULL));
    GIVES(ANONSET_OK, s->backend->next_group(s->handle, &group, 100, NULL));
    MUST(group == 255);
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 255, NULL));
    GIVES(ANONSET_OK, s->backend->next_group(s->handle, &group, 100, NULL));
    MUST(group == 256);
}

CASE(discarded_space_is_used_again)
{
    ts_chain *chain = kit_chain(s, 12, 3000);
    anonset_meta meta = ts_chain_meta(chain, 3000);
    uint64_t early = 0, late = 0;
    for (int round = 0; round < 20; round++) { /* a log may grow in the first ones */
        GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 1500));
        GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 1500, 1500));
        GIVES(ANONSET_OK, s->backend->disk_bytes(s->handle, round < 8 ? &early : &late, NULL));
        GIVES(ANONSET_OK, discard(s, 1));
    }
    uint64_t payload = 0;
    for (uint32_t i = 0; i < chain->n; i++)
        payload += chain->coins[i].serialized_len;
    MUST(early >= payload);
    MUST(late <= early + 2 * payload); /* 12 rounds more would have added 12 times the payload */
}
