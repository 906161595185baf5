/*
 * What was dropped of a finalized set is fetched again, and only that: from any server that has it,
 * with a kill between any two steps, and never other coins.
 */
#include "tests/unit/rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static anonset_state stored(void)
{
    anonset_state state;
    cr_assert_eq(anonset_store_state(r.store, &state, 1, NULL), ANONSET_OK);
    return state;
}

/* The log digest at a position where a run ends. */
static void digest_at(uint8_t *digest, void *snapshot, uint32_t position)
{
    anonset_run run;
    memset(digest, 0, ANONSET_HASH_BYTES);
    if (position == 0)
        return;
    cr_assert_eq(r.store->backend->read(snapshot, &run, position - 1, NULL), ANONSET_OK);
    cr_assert(run.has_digest && run.start + run.n == position);
    memcpy(digest, run.digest, ANONSET_HASH_BYTES);
}

/* Drops the finalized coins [from, to), which are whole sectors. */
static void drop(uint32_t from, uint32_t to)
{
    anonset_damage damage = {.group = 1, .from = from, .to = to};
    anonset_state state;
    void *snapshot;
    const anonset_backend *b = r.store->backend;
    cr_assert_eq(
        b->snapshot_open(r.store->handle, &snapshot, &state, 1, ANONSET_VIEW_FINALIZED, NULL),
        ANONSET_OK);
    digest_at(damage.before, snapshot, from);
    digest_at(damage.after, snapshot, to);
    b->snapshot_close(snapshot);
    memcpy(damage.digest, state.digest, sizeof damage.digest);
    cr_assert_eq(b->drop(r.store->handle, &damage, NULL), ANONSET_OK);
}

/* A finalized set, and the next sync begun on it with [from, to) missing. */
static void set_up(uint32_t from, uint32_t to)
{
    rig_set_up();
    rig_run();
    rig_expect_whole();
    rig_end();
    drop(from, to);
    rig_begin();
}

static void expect_end(anonset_outcome outcome)
{
    cr_assert_eq(r.results, 1);
    cr_assert_eq(r.result.outcome, outcome, "%s: %s", anonset_outcome_name(r.result.outcome),
                 r.result.error.text);
}

Test(mend, fetches_what_is_missing_and_no_more)
{
    static const uint32_t holes[][2] = {{0, 3}, {3, 6}, {3, 9}, {0, 9}};
    for (size_t i = 0; i < sizeof holes / sizeof *holes; i++) {
        anonset_snapshot *snapshot;
        anonset_detail why;
        set_up(holes[i][0], holes[i][1]);
        cr_assert_eq(anonset_snapshot_open(&snapshot, r.store, 1, &why), ANONSET_CORRUPT);
        cr_expect(strstr(why.text, "sync"), "%s", why.text);
        rig_run();
        rig_expect_whole();
        cr_expect_eq(r.coins_sent, holes[i][1] - holes[i][0]);
        cr_expect_eq(r.result.fetched, holes[i][1] - holes[i][0]);
        cr_expect_eq(r.result.resumed_from, holes[i][0]);
        cr_expect_not(r.result.state.has_hole);
        rig_tear_down();
    }
}

Test(mend, reaches_the_end_of_the_set)
{
    rig_set_up();
    rig_run();
    uint32_t size = r.chain->meta.size, from = (size - 1) / SECTOR * SECTOR;
    rig_end();
    drop(from, size);
    rig_begin();
    rig_run();
    rig_expect_whole();
    cr_expect_eq(r.coins_sent, size - from);
    rig_tear_down();
}

Test(mend, is_resumed_after_a_kill_at_any_step)
{
    bool ended = false;
    for (uint32_t kill = 0; !ended; kill++) {
        set_up(0, 9);
        for (uint32_t i = 0; i < kill && !ended; i++)
            ended = rig_turn() == ANONSET_STEP_DONE;
        uint32_t sent = r.coins_sent;
        rig_end();
        rig_begin();
        rig_run();
        if (r.result.outcome != ANONSET_UP_TO_DATE)
            rig_expect_whole();
        cr_assert_not(stored().has_hole);
        cr_expect_leq(sent + r.coins_sent, 9 + 2 * SECTOR, "kill %u", kill);
        rig_tear_down();
    }
}

Test(mend, goes_on_with_what_is_new)
{
    set_up(3, 6);
    r.chain = tw_grow(&r.world, r.chain, 2);
    rig_run();
    rig_expect_whole();
    rig_tear_down();
}

Test(mend, keeps_what_is_pending)
{
    rig_set_up();
    rig_run();
    uint32_t size = r.chain->meta.size;
    r.chain = tw_grow(&r.world, r.chain, 8);
    rig_end();
    rig_begin();
    while (!stored().has_pending || stored().count < SECTOR)
        cr_assert_neq(rig_turn(), ANONSET_STEP_DONE);
    uint32_t count = stored().count;
    rig_end();
    drop(3, 6);
    rig_begin();
    rig_run();
    rig_expect_whole();
    cr_expect_eq(r.result.fetched, 3 + r.chain->meta.size - size - count);
    cr_expect_eq(r.result.discarded, 0);
    rig_tear_down();
}

Test(mend, does_not_need_the_newest_server)
{
    set_up(3, 6);
    const tw_chain *newest = r.chain;
    r.chain = tw_mutate(&r.world, NULL);
    while (r.chain->meta.size < 6 || r.chain->meta.size >= newest->meta.size ||
           !tw_same_coins(r.chain, newest, 6)) {
        tw_chain *shorter = malloc(sizeof *shorter);
        cr_assert(shorter);
        *shorter = *newest;
        shorter->n--;
        while (shorter->n > 1 && shorter->size[shorter->n - 2] >= 6)
            shorter->n--;
        shorter->meta.size = shorter->size[shorter->n - 1];
        memcpy(shorter->meta.block_hash, shorter->pin[shorter->n - 1], ANONSET_HASH_BYTES);
        r.world.chains[r.world.n++] = shorter;
        r.chain = shorter;
    }
    rig_run();
    expect_end(ANONSET_REMOTE_BEHIND);
    cr_expect_not(stored().has_hole);
    r.chain = newest;
    rig_end();
    rig_begin();
    rig_run();
    expect_end(ANONSET_UP_TO_DATE);
    rig_tear_down();
}

/* ---- Other coins -------------------------------------------------------------------------- */

static void lie_in_the_hole(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    static uint8_t bytes[TW_COIN_BYTES];
    tw_tx tx = {.n = 1, .value = {9999}};
    if (request->kind != ANONSET_REQUEST_SECTOR || answer->n == 0 || rig->lies > 0)
        return;
    rig->lies++;
    tw_coin(&answer->coins[0], bytes, 9999, &tx);
}

Test(mend, takes_no_other_coins_at_the_same_block)
{
    set_up(0, 9);
    r.lie = lie_in_the_hole;
    rig_run();
    expect_end(ANONSET_ANOMALY);
    cr_assert(stored().has_hole);
    cr_expect_eq(stored().hole_filled, 0, "what was filled is not believed any more");
    r.lie = NULL;
    rig_end();
    rig_begin();
    rig_run();
    rig_expect_whole();
    cr_expect_eq(r.coins_sent, 9);
    rig_tear_down();
}

/* A chain of at least as many coins that parts from the present one below `position`. */
static const tw_chain *reorganized(uint32_t position)
{
    for (int i = 0; i < 200; i++) {
        const tw_chain *next = tw_mutate(&r.world, r.chain);
        if (next->n > 2 && next->meta.size >= r.chain->meta.size &&
            !tw_same_coins(next, r.chain, position))
            return next;
    }
    cr_assert_fail("no such chain came up");
    return NULL;
}

Test(mend, follows_a_chain_that_was_reorganized)
{
    for (uint32_t kill = 0; kill < 30; kill++) {
        set_up(3, 9);
        r.chain = reorganized(9);
        for (uint32_t i = 0; i < kill && rig_turn() != ANONSET_STEP_DONE; i++)
            ;
        rig_end();
        rig_begin();
        rig_run();
        if (r.result.outcome != ANONSET_UP_TO_DATE)
            rig_expect_whole();
        cr_assert_not(stored().has_hole);
        rig_tear_down();
    }
}

Test(mend, keeps_the_rest_where_that_is_asked)
{
    set_up(3, 9);
    const tw_chain *before = r.chain;
    r.chain = reorganized(9);
    rig_end();
    r.options.on_reorg = ANONSET_REORG_KEEP;
    rig_begin();
    rig_run();
    expect_end(ANONSET_REORG_DETECTED);
    cr_assert(stored().has_hole);
    r.chain = before;
    rig_end();
    rig_begin();
    rig_run();
    rig_expect_whole();
    rig_tear_down();
}

/* From the first coin on nothing is left to build upon. */
Test(mend, begins_at_the_first_coin_where_the_first_are_others)
{
    set_up(0, 6);
    r.chain = tw_grow(&r.world, NULL, BLOCKS + 6);
    rig_run();
    rig_expect_whole();
    cr_assert_not(stored().has_hole);
    rig_tear_down();
}

/* Neither does a chain tell anything that ends before what is missing does, nor one of other coins
 * that is shorter than the set. */
Test(mend, waits_for_a_server_that_has_as_many_coins)
{
    set_up(3, 9);
    const tw_chain *newest = r.chain;
    r.chain = tw_grow(&r.world, NULL, 2);
    cr_assert_lt(r.chain->meta.size, 9);
    rig_run();
    expect_end(ANONSET_REMOTE_BEHIND);
    cr_expect(strstr(r.result.error.text, "missing in the set"), "%s", r.result.error.text);
    rig_tear_down();

    set_up(3, 6);
    newest = r.chain;
    do
        r.chain = tw_grow(&r.world, NULL, 5);
    while (r.chain->meta.size < 6 || r.chain->meta.size >= newest->meta.size);
    rig_run();
    expect_end(ANONSET_REMOTE_BEHIND);
    cr_expect(strstr(r.result.error.text, "shorter than the set"), "%s", r.result.error.text);
    cr_assert(stored().has_hole);
    r.chain = newest;
    rig_end();
    rig_begin();
    rig_run();
    rig_expect_whole();
    rig_tear_down();
}
