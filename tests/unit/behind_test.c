/* A server with fewer coins than we hold: what is said of it. */
#include "tests/unit/rig.h"

#include <criterion/criterion.h>
#include <string.h>

static void sync_again(void)
{
    rig_end();
    rig_begin();
    rig_run();
}

static void expect_behind(const char *why, anonset_code code)
{
    cr_assert_eq(r.result.outcome, ANONSET_REMOTE_BEHIND);
    cr_assert_eq(r.result.error.code, code);
    cr_assert(strstr(r.result.error.text, why), "%s", r.result.error.text);
    cr_assert(strstr(r.result.error.text, "The set was kept"), "cut off: %s", r.result.error.text);
}

/* Syncs to a chain of 4 blocks, and to the one that it grew to. */
static const tw_chain *hold(bool in_steps)
{
    rig_set_up();
    const tw_chain *root = tw_grow(&r.world, NULL, 4);
    r.chain = root;
    if (in_steps)
        sync_again();
    r.chain = tw_grow(&r.world, root, 3);
    sync_again();
    rig_expect_whole();
    return root;
}

Test(behind, a_block_that_was_ours_is_a_lag)
{
    r.chain = hold(true);
    sync_again();
    expect_behind("was ours before", ANONSET_OK);
    cr_assert_eq(r.coins_sent, 0, "it is known without a question");
    rig_tear_down();
}

Test(behind, a_block_below_ours_is_a_lag)
{
    r.chain = hold(false);
    sync_again();
    expect_behind("stands where ours does", ANONSET_OK);
    rig_tear_down();
}

Test(behind, another_coin_is_a_reorganization)
{
    const tw_chain *root = hold(false);
    do
        r.chain = tw_grow(&r.world, root, 1);
    while (tw_same_coins(r.chain, r.world.chains[r.world.n - 2], r.chain->meta.size));
    sync_again();
    expect_behind("reorganized", ANONSET_OK);
    rig_tear_down();
}

/* The meta of an older block, from a server that knows ours. */
static void tell_old_meta(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)request;
    if (answer->kind == ANONSET_ANSWER_META)
        answer->meta = rig->world.chains[1]->meta;
}

Test(behind, a_server_that_knows_our_block_contradicts_itself)
{
    (void)hold(false);
    r.lie = tell_old_meta;
    sync_again();
    expect_behind("knows our newest block", ANONSET_SERVER);
    rig_tear_down();
}

static void tell_empty_set(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)rig;
    (void)request;
    if (answer->kind == ANONSET_ANSWER_META)
        answer->meta.size = 0;
}

Test(behind, an_empty_set_cannot_be)
{
    (void)hold(false);
    r.lie = tell_empty_set;
    r.chain = tw_grow(&r.world, r.chain, 1);
    sync_again();
    expect_behind("cannot be", ANONSET_SERVER);
    rig_tear_down();
}

/* A group of one block answers any pin: an accepted one says nothing. */
Test(behind, a_group_of_one_block_does_not_know_ours)
{
    const tw_chain *root = hold(false);
    r.chain = tw_grow(&r.world, NULL, 1);
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_REMOTE_BEHIND);
    cr_assert_eq(r.result.error.code, ANONSET_OK, "%s", r.result.error.text);
    cr_assert_gt(root->meta.size, r.chain->meta.size);
    rig_tear_down();
}

Test(behind, any_step_may_be_cut_off)
{
    bool more = true;
    for (uint32_t k = 1; more; k++) {
        r.chain = hold(false);
        rig_end();
        rig_begin();
        for (uint32_t i = 0; i < k && more; i++)
            more = rig_turn() != ANONSET_STEP_DONE;
        anonset_sync_reconnect(r.sync, false);
        rig_run();
        expect_behind("stands where ours does", ANONSET_OK);
        rig_tear_down();
    }
}
