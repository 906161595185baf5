/*
 * A group that begins with coins of the group before: what is copied must still be what was looked
 * at, and on any doubt everything is downloaded.
 */
#include "backends/backends.h"
#include "tests/unit/rig.h"

#include <criterion/criterion.h>
#include <string.h>

static const tw_chain *old_chain;

/* Group 1 finalized; a sync of group 2 begun with a server on `chain`. */
static void set_up_with(const anonset_backend *backend, const tw_chain *(*chain)(void))
{
    rig_set_up_with(backend);
    rig_run();
    rig_expect_whole();
    rig_end();
    old_chain = r.chain;
    r.chain = chain();
    r.options.group = 2;
    rig_begin();
}

static void set_up(const tw_chain *(*chain)(void))
{
    set_up_with(&as_backend_memory, chain);
}

/* With all coins of group 1 and more: the model answers for any group. */
static const tw_chain *sharing(void)
{
    return tw_grow(&r.world, r.chain, 4);
}

static const tw_chain *unrelated(void)
{
    return tw_grow(&r.world, NULL, BLOCKS + 4);
}

static void expect_group_2(uint32_t copied)
{
    cr_assert_eq(r.results, 1);
    cr_assert_eq(r.result.outcome, ANONSET_FINALIZED, "%s: %s",
                 anonset_outcome_name(r.result.outcome), r.result.error.text);
    cr_expect(as_meta_equal(&r.result.state.finalized, &r.chain->meta));
    cr_expect_arr_eq(r.result.state.digest, r.chain->digest, ANONSET_HASH_BYTES);
    cr_expect_eq(r.result.copied, copied);
    cr_expect_eq(r.result.fetched, r.chain->meta.size - copied);
}

Test(seam, shared_coins_are_copied)
{
    set_up(sharing);
    rig_run();
    expect_group_2(old_chain->meta.size);
    rig_tear_down();
}

Test(seam, other_coins_are_downloaded)
{
    set_up(unrelated);
    rig_run();
    expect_group_2(0);
    rig_tear_down();
}

/* Another process clears the old group at any step. */
Test(seam, an_old_group_that_goes_is_not_copied_any_more)
{
    bool ended = false;
    for (uint32_t step = 0; !ended; step++) {
        set_up(sharing);
        for (uint32_t i = 0; i < step && !ended; i++)
            ended = rig_turn() == ANONSET_STEP_DONE;
        cr_assert_eq(anonset_store_clear(r.store, 1, NULL), ANONSET_OK);
        rig_run();
        cr_expect_eq(r.result.outcome, ANONSET_FINALIZED, "step %u: %s: %s", step,
                     anonset_outcome_name(r.result.outcome), r.result.error.text);
        cr_expect_arr_eq(r.result.state.digest, r.chain->digest, ANONSET_HASH_BYTES);
        rig_tear_down();
    }
}

static void sync_old_group(const tw_chain *chain)
{
    anonset_sync_options options;
    anonset_sync *sync;
    anonset_step step;
    anonset_request request;
    anonset_sync_options_init(&options);
    options.group = 1;
    cr_assert_eq(anonset_sync_new(&sync, r.store, &options, NULL), ANONSET_OK);
    while ((step = anonset_sync_step(sync, &request)) != ANONSET_STEP_DONE) {
        const anonset_request *requests;
        if (step != ANONSET_STEP_WAIT)
            continue;
        cr_assert_gt(anonset_sync_outstanding(sync, &requests), 0);
        tw_answer(&rig_other_reply, chain, &requests[0]);
        cr_assert_eq(anonset_sync_feed(sync, &rig_other_reply.answer, NULL), ANONSET_OK);
    }
    anonset_sync_free(sync);
}

/* Another process finalizes more of the old group at any step. */
Test(seam, an_old_group_that_grows_is_looked_at_anew)
{
    bool ended = false;
    for (uint32_t step = 0; !ended; step++) {
        set_up(sharing);
        const tw_chain *grown = tw_grow(&r.world, old_chain, 2);
        for (uint32_t i = 0; i < step && !ended; i++)
            ended = rig_turn() == ANONSET_STEP_DONE;
        sync_old_group(grown);
        rig_run();
        cr_expect_eq(r.result.outcome, ANONSET_FINALIZED, "step %u: %s: %s", step,
                     anonset_outcome_name(r.result.outcome), r.result.error.text);
        cr_expect_arr_eq(r.result.state.digest, r.chain->digest, ANONSET_HASH_BYTES);
        rig_tear_down();
    }
}

/* A server that takes back the block of the old group, or accepts a made-up one. */
static void lie_of_pins(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    if (request->kind != ANONSET_REQUEST_SECTOR || request->group != 1)
        return;
    (void)rig;
    answer->kind = ANONSET_ANSWER_BLOCK_REFUSED;
    answer->n = 0;
}

Test(seam, nothing_is_copied_from_a_block_that_the_server_does_not_know)
{
    set_up(sharing);
    r.lie = lie_of_pins;
    rig_run();
    expect_group_2(0);
    rig_tear_down();
}

/* Another process clears the old group between two sectors that are copied of it. */
static anonset_code clearing_append(void *handle, const anonset_append *append,
                                    anonset_detail *detail)
{
    anonset_code code = as_backend_memory.append_sector(handle, append, detail);
    if (append->group == 2)
        (void)as_backend_memory.clear(handle, 1, NULL);
    return code;
}

Test(seam, what_was_copied_of_a_group_that_goes_is_kept_or_fetched)
{
    anonset_backend backend = as_backend_memory;
    backend.append_sector = clearing_append;
    set_up_with(&backend, sharing);
    cr_assert_gt(old_chain->meta.size, 2 * SECTOR);
    rig_run();
    cr_expect_eq(r.result.outcome, ANONSET_FINALIZED, "%s: %s",
                 anonset_outcome_name(r.result.outcome), r.result.error.text);
    cr_expect_arr_eq(r.result.state.digest, r.chain->digest, ANONSET_HASH_BYTES);
    cr_expect_lt(r.result.copied, old_chain->meta.size);
    rig_tear_down();
}
