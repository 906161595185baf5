/*
 * The coordinator through its interface: every order of answers, and a reconnect, abort or cancel
 * behind every step; buffers that are overwritten as soon as they may be; servers that lie for
 * ever; a store that fails or changes. The node is tests/support/world.h, the store in memory.
 */
#include "backends/backends.h"
#include "tests/unit/rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* ---- Misuse ------------------------------------------------------------------------------- */

Test(sync, answers_misuse_without_harm)
{
    anonset_sync *none = NULL;
    anonset_request request;
    const anonset_request *requests;
    rig_set_up();
    cr_expect_eq(anonset_sync_new(NULL, r.store, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_sync_new(&none, NULL, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_sync_step(NULL, &request), ANONSET_STEP_DONE);
    cr_expect_eq(anonset_sync_step(r.sync, NULL), ANONSET_STEP_DONE);
    cr_expect_eq(anonset_sync_outstanding(NULL, &requests), 0);
    cr_expect_eq(anonset_sync_feed(NULL, &r.reply->answer, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_sync_feed(r.sync, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_sync_commits(NULL), 0);
    cr_expect_not(anonset_sync_is_cancelled(NULL));
    anonset_sync_reconnect(NULL, true);
    anonset_sync_abort(NULL, NULL);
    anonset_sync_cancel(NULL);
    anonset_sync_free(NULL);
    rig_run();
    rig_expect_whole();
    rig_tear_down();
}

Test(sync, refuses_options_out_of_range)
{
    static const struct {
        size_t size;
        uint32_t sector_size, sector_bytes;
        anonset_code code;
    } cases[] = {
        {sizeof(anonset_sync_options), 0, 4096, ANONSET_OK},
        {sizeof(anonset_sync_options), 1, 1u << 31, ANONSET_OK},
        {sizeof(anonset_sync_options), 65536, 4096, ANONSET_OK},
        {sizeof(anonset_sync_options), 65537, 4096, ANONSET_INVALID},
        {sizeof(anonset_sync_options), UINT32_MAX, 4096, ANONSET_INVALID},
        {sizeof(anonset_sync_options), 0, 2048, ANONSET_INVALID},
        {sizeof(anonset_sync_options), 0, 4097, ANONSET_INVALID},
        {sizeof(anonset_sync_options), 0, 0, ANONSET_INVALID},
        {sizeof(size_t), 0, 4096, ANONSET_INVALID},
    };
    rig_set_up();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        anonset_sync *sync = NULL;
        anonset_sync_options options;
        anonset_sync_options_init(&options);
        options.size = cases[i].size;
        options.sector_size = cases[i].sector_size;
        options.sector_bytes = cases[i].sector_bytes;
        cr_expect_eq(anonset_sync_new(&sync, r.store, &options, NULL), cases[i].code, "case %zu",
                     i);
        cr_expect_eq(sync != NULL, cases[i].code == ANONSET_OK);
        anonset_sync_free(sync);
    }
    anonset_sync *none = NULL;
    r.options.used_most = 0;
    cr_expect_eq(anonset_sync_new(&none, r.store, &r.options, NULL), ANONSET_INVALID);
    r.options.used_most = 1;
    r.options.used = (anonset_used_mode)3;
    cr_expect_eq(anonset_sync_new(&none, r.store, &r.options, NULL), ANONSET_INVALID);
    rig_tear_down();
}

Test(sync, refuses_to_do_what_it_does_not_know_on_a_reorg)
{
    anonset_sync *sync = NULL;
    anonset_sync_options options;
    rig_set_up();
    anonset_sync_options_init(&options);
    options.on_reorg = (anonset_on_reorg)(ANONSET_REORG_KEEP + 1);
    cr_expect_eq(anonset_sync_new(&sync, r.store, &options, NULL), ANONSET_INVALID);
    rig_tear_down();
}

Test(sync, takes_only_answers_it_waits_for)
{
    anonset_answer answer = {.id = 1, .kind = ANONSET_ANSWER_ERROR};
    anonset_detail detail;
    rig_set_up();
    cr_expect_eq(anonset_sync_feed(r.sync, &answer, &detail), ANONSET_INVALID);
    while (anonset_sync_step(r.sync, &r.last) == ANONSET_STEP_SEND)
        ;
    answer.id = 99;
    cr_expect_eq(anonset_sync_feed(r.sync, &answer, &detail), ANONSET_INVALID);
    cr_expect_eq(detail.code, ANONSET_INVALID);
    rig_feed_one();
    answer.id = r.reply->answer.id; /* taken already, and step was not called */
    cr_expect_eq(anonset_sync_feed(r.sync, &answer, &detail), ANONSET_INVALID);
    rig_run();
    rig_expect_whole();
    rig_tear_down();
}

static void answer_of_another_kind(world_rig *rig, const anonset_request *request,
                                   anonset_answer *answer)
{
    static const anonset_answer_kind wrong[] = {
        [ANONSET_REQUEST_META] = ANONSET_ANSWER_COINS,
        [ANONSET_REQUEST_SECTOR] = ANONSET_ANSWER_META,
        [ANONSET_REQUEST_NEWEST_GROUP] = ANONSET_ANSWER_META,
        [ANONSET_REQUEST_GENESIS] = ANONSET_ANSWER_BUSY,
    };
    if (rig->lies == (uint32_t)request->kind)
        answer->kind = wrong[request->kind];
}

Test(sync, ends_on_an_answer_of_another_kind)
{
    for (uint32_t kind = ANONSET_REQUEST_META; kind <= ANONSET_REQUEST_NEWEST_GROUP; kind++) {
        rig_set_up();
        rig_end();
        r.options.group = 0;
        rig_begin();
        r.lie = answer_of_another_kind;
        r.lies = kind;
        rig_run();
        cr_expect_eq(r.results, 1);
        cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
        cr_expect_eq(r.result.error.code, ANONSET_BAD_ANSWER);
        rig_tear_down();
    }
}

Test(sync, needs_no_genesis_hash)
{
    rig_set_up();
    r.lie = answer_of_another_kind;
    r.lies = ANONSET_REQUEST_GENESIS;
    rig_run();
    rig_expect_whole();
    rig_tear_down();
}

static void one_too_many(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)rig;
    if (request->kind == ANONSET_REQUEST_SECTOR && answer->n > 0) {
        answer->coins[answer->n] = answer->coins[answer->n - 1];
        answer->n++;
    }
}

static void one_too_few(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)rig;
    if (request->kind == ANONSET_REQUEST_SECTOR && answer->n > 0)
        answer->n--;
}

Test(sync, stores_nothing_of_a_sector_of_another_length)
{
    static void (*const lies[])(world_rig *, const anonset_request *,
                                anonset_answer *) = {one_too_many, one_too_few};
    for (size_t i = 0; i < 2; i++) {
        rig_set_up();
        r.lie = lies[i];
        rig_run();
        cr_expect_eq(r.result.outcome, ANONSET_BAD_SECTOR);
        cr_expect_eq(r.result.fetched, 0);
        cr_expect_not(r.result.state.has_pending);
        r.lie = NULL;
        rig_expect_next_finishes();
        rig_tear_down();
    }
}

/* ---- Orders ------------------------------------------------------------------------------- */

/* The next order that was not tried; false: all were. */
static bool next_order(void)
{
    uint32_t k = r.fed < FEEDS_MOST ? r.fed : FEEDS_MOST;
    while (k-- > 0) {
        if (r.choice[k] + 1 < r.choices[k]) {
            r.choice[k]++;
            memset(&r.choice[k + 1], 0, (FEEDS_MOST - k - 1) * sizeof r.choice[0]);
            return true;
        }
    }
    return false;
}

Test(sync, any_order_of_answers_will_do)
{
    const tw_chain *first, *second;
    uint32_t orders = 0;
    rig_set_up();
    r.options.sector_size = 100;
    rig_run();
    rig_expect_whole();
    first = r.chain;
    second = tw_grow(&r.world, first, 2);
    do {
        /* growth: continuity, the sector and the closing questions in one flight */
        rig_end();
        r.chain = first;
        cr_assert_eq(anonset_store_clear(r.store, 0, NULL), ANONSET_OK);
        uint32_t kept[FEEDS_MOST];
        memcpy(kept, r.choice, sizeof kept);
        memset(r.choice, 0, sizeof r.choice);
        rig_begin();
        rig_run();
        rig_end();
        memcpy(r.choice, kept, sizeof kept);
        r.chain = second;
        rig_begin();
        rig_run();
        rig_expect_whole();
        orders++;
    } while (next_order());
    cr_assert_gt(orders, 200, "only %u orders", orders);
    rig_tear_down();
}

static size_t sectors_asked(void)
{
    const anonset_request *requests;
    size_t n = anonset_sync_outstanding(r.sync, &requests), sectors = 0;
    for (size_t i = 0; i < n; i++)
        sectors +=
            requests[i].kind == ANONSET_REQUEST_SECTOR &&
            memcmp(requests[i].block_hash, r.chain->meta.block_hash, ANONSET_HASH_BYTES) == 0;
    return sectors;
}

/* So that the line is never idle for a round trip; and no more, so that memory is bounded. */
Test(sync, asks_for_one_sector_more_while_one_arrives)
{
    anonset_step step;
    uint32_t waits[4] = {0};
    rig_set_up();
    while ((step = anonset_sync_step(r.sync, &r.last)) != ANONSET_STEP_DONE) {
        if (step != ANONSET_STEP_WAIT)
            continue;
        cr_assert_leq(sectors_asked(), 2);
        waits[sectors_asked()]++;
        rig_feed_one();
    }
    rig_expect_whole();
    cr_expect_eq(waits[1], 1, "only for the last one");
    cr_expect_eq(waits[2] + 1, (r.chain->meta.size + SECTOR - 1) / SECTOR);
    rig_tear_down();
}

/* A sector may overtake the one below it, and the closing questions both. What is kept of it is the
 * sync's own: the rig overwrites what it fed before. */
static void sync_in_every_order(uint32_t least)
{
    uint32_t orders = 0;
    do {
        rig_end();
        cr_assert_eq(anonset_store_clear(r.store, 0, NULL), ANONSET_OK);
        rig_begin();
        rig_run();
        rig_expect_whole();
        cr_assert_eq(r.result.fetched, r.chain->meta.size);
        cr_assert(r.lie || r.coins_sent <= r.chain->meta.size + 2);
        orders++;
    } while (next_order());
    cr_assert_geq(orders, least, "only %u orders", orders);
    memset(r.choice, 0, sizeof r.choice);
}

Test(sync, sectors_may_come_in_any_order, .timeout = 60)
{
    rig_set_up();
    sync_in_every_order(64);
    rig_tear_down();
}

static void too_large_above(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_SECTOR && answer->n > rig->lies)
        answer->kind = ANONSET_ANSWER_TOO_LARGE;
}

Test(sync, sectors_too_large_may_come_in_any_order, .timeout = 60)
{
    rig_set_up();
    r.chain = tw_grow(&r.world, NULL, 4);
    r.lie = too_large_above;
    r.lies = 2;
    sync_in_every_order(64);
    rig_tear_down();
}

/* ---- Interruptions ------------------------------------------------------------------------ */

/* Steps k times; false: the sync was done before. */
static bool step_times(uint32_t k)
{
    for (uint32_t i = 0; i < k; i++)
        if (rig_turn() == ANONSET_STEP_DONE)
            return false;
    return true;
}

/* Every coin once, and what a lost connection may cost: the sector that was fed and not committed,
 * the overlap, and a coin for each of the pins asked before and behind. */
static void reconnect_behind_every_step(bool timed_out)
{
    uint32_t k = 0;
    bool more = true;
    for (; more; k++) {
        rig_set_up();
        more = step_times(k);
        if (more) {
            anonset_sync_reconnect(r.sync, timed_out);
            rig_run();
        }
        rig_expect_whole();
        cr_assert_leq(r.coins_sent, r.chain->meta.size + SECTOR + 1 + 3, "step %u: %u coins", k,
                      r.coins_sent);
        cr_assert_eq(r.result.fetched, r.chain->meta.size);
        rig_tear_down();
    }
    cr_assert_gt(k, 10);
}

Test(sync, goes_on_when_reconnected_behind_any_step)
{
    reconnect_behind_every_step(false);
    reconnect_behind_every_step(true);
}

Test(sync, voids_what_was_asked_before_a_reconnect)
{
    const anonset_request *requests;
    rig_set_up();
    while (anonset_sync_step(r.sync, &r.last) == ANONSET_STEP_SEND)
        ;
    anonset_answer answer = {.id = r.last.id, .kind = ANONSET_ANSWER_ERROR};
    anonset_sync_reconnect(r.sync, false);
    cr_expect_eq(anonset_sync_outstanding(r.sync, &requests), 0);
    while (anonset_sync_step(r.sync, &r.last) == ANONSET_STEP_SEND)
        ;
    cr_expect_eq(anonset_sync_feed(r.sync, &answer, NULL), ANONSET_INVALID);
    rig_run();
    rig_expect_whole();
    rig_tear_down();
}

Test(sync, ends_when_aborted_behind_any_step)
{
    const anonset_detail why = {.code = ANONSET_NETWORK, .text = "gone"};
    bool more = true;
    for (uint32_t k = 0; more; k++) {
        rig_set_up();
        more = step_times(k);
        anonset_sync_abort(r.sync, k % 2 ? &why : NULL);
        rig_run();
        cr_assert_eq(r.results, 1);
        if (r.result.outcome != ANONSET_FINALIZED) {
            cr_assert_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
            cr_assert_eq(r.result.error.code, ANONSET_NETWORK);
            cr_assert_neq(r.result.error.text[0], '\0');
        }
        cr_assert_eq(anonset_sync_step(r.sync, &r.last), ANONSET_STEP_DONE);
        rig_expect_next_finishes();
        rig_tear_down();
    }
}

Test(sync, ends_when_cancelled_behind_any_step)
{
    bool more = true;
    for (uint32_t k = 0; more; k++) {
        rig_set_up();
        more = step_times(k);
        uint64_t commits = anonset_sync_commits(r.sync);
        anonset_sync_cancel(r.sync);
        cr_assert(anonset_sync_is_cancelled(r.sync));
        uint32_t requests = r.result.requests;
        rig_run();
        cr_assert_eq(r.results, 1);
        if (more && r.result.outcome != ANONSET_FINALIZED) {
            cr_assert_eq(r.result.outcome, ANONSET_SYNC_CANCELLED);
            cr_assert_eq(r.result.error.code, ANONSET_CANCELLED);
            cr_assert_eq(anonset_sync_commits(r.sync), commits);
            cr_assert_geq(r.result.requests, requests);
        }
        rig_expect_next_finishes();
        rig_tear_down();
    }
}

Test(sync, may_be_cancelled_from_a_callback)
{
    rig_set_up();
    r.cancel_on_progress = true;
    rig_run();
    cr_expect_eq(r.results, 1);
    cr_expect_eq(r.result.outcome, ANONSET_SYNC_CANCELLED);
    r.cancel_on_progress = false;
    rig_expect_next_finishes();
    rig_tear_down();
    rig_set_up();
    r.cancel_on_result = true;
    rig_run();
    rig_expect_whole();
    rig_tear_down();
}

/* ---- Groups ------------------------------------------------------------------------------- */

static void say_newest(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_NEWEST_GROUP)
        answer->number = rig->lies;
}

static void sync_all(uint32_t newest)
{
    rig_set_up();
    rig_end();
    r.options.group = 0;
    r.lies = newest;
    r.lie = say_newest;
    rig_begin();
    rig_run();
}

Test(sync, of_all_groups_gives_one_result_a_group)
{
    static const uint32_t newest[] = {0, 1, 3};
    for (size_t i = 0; i < sizeof newest / sizeof *newest; i++) {
        sync_all(newest[i]);
        cr_expect_eq(r.results, newest[i] ? newest[i] : 1);
        cr_expect_eq(r.result.group, newest[i] ? newest[i] : 1);
        cr_expect_eq(r.result.outcome, ANONSET_FINALIZED);
        rig_tear_down();
    }
}

Test(sync, believes_no_absurd_number_of_groups)
{
    sync_all(UINT32_MAX);
    cr_expect_eq(r.results, 1);
    cr_expect_eq(r.result.group, 0);
    cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
    cr_expect_eq(r.result.error.code, ANONSET_BAD_ANSWER);
    rig_tear_down();
}

/* Group 1 fails before the genesis hash is told. */
static void refuse_first_meta(world_rig *rig, const anonset_request *request,
                              anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_NEWEST_GROUP)
        answer->number = 2;
    if (request->kind == ANONSET_REQUEST_META && request->group == 1)
        answer->kind = ANONSET_ANSWER_ERROR;
    rig->lies += request->kind == ANONSET_REQUEST_GENESIS;
}

Test(sync, checks_the_network_for_later_groups_too)
{
    static const uint8_t other[ANONSET_HASH_BYTES] = {1};
    rig_set_up();
    rig_end();
    cr_assert_eq(r.store->backend->set_genesis(r.store->handle, other, NULL), ANONSET_OK);
    r.options.group = 0;
    r.lie = refuse_first_meta;
    r.choice[1] = 1; /* the meta of group 1 before the genesis hash */
    rig_begin();
    rig_run();
    cr_expect_eq(r.results, 2);
    cr_expect_eq(r.result.group, 2);
    cr_expect_eq(r.result.outcome, ANONSET_OTHER_NETWORK);
    cr_expect_eq(r.lies, 2, "the hash is asked for again");
    rig_tear_down();
}

/* ---- Sizes -------------------------------------------------------------------------------- */

Test(sync, asks_for_less_when_told_too_large)
{
    for (uint32_t most = 0; most <= 8; most++) {
        rig_set_up();
        rig_end();
        r.options.sector_size = 0;
        rig_begin();
        r.lie = too_large_above;
        r.lies = most;
        rig_run();
        if (most > 0) {
            rig_expect_whole();
        } else {
            cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
            cr_expect_eq(r.result.error.code, ANONSET_SERVER);
        }
        rig_tear_down();
    }
}

/* As many coins as were asked, for ever, of a set as large as can be told. */
static void tell_largest(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_META) {
        answer->meta.size = UINT32_MAX;
    } else if (request->kind == ANONSET_REQUEST_SECTOR) {
        cr_assert_lt(request->start, request->end);
        cr_assert_leq(request->end - request->start, SECTOR + 1);
        if (++rig->lies == 50)
            anonset_sync_cancel(rig->sync);
        if (answer->kind == ANONSET_ANSWER_COINS) {
            answer->n = request->end - request->start;
            for (uint32_t i = 0; i < answer->n; i++) {
                tw_tx tx = {.n = 1, .value = {UINT32_MAX - request->start - i}};
                tw_coin(&answer->coins[i], rig->reply->bytes[i], tx.value[0], &tx);
            }
            answer->coins = rig->reply->coins;
        }
    }
}

Test(sync, bears_the_largest_size)
{
    rig_set_up();
    r.lie = tell_largest;
    rig_run();
    cr_expect_eq(r.result.outcome, ANONSET_SYNC_CANCELLED, "%s", r.result.error.text);
    cr_expect_gt(r.result.fetched, 30);
    cr_expect_eq(r.result.state.target.size, UINT32_MAX);
    r.lie = NULL;
    rig_end();
    rig_begin();
    rig_run();
    cr_expect_eq(r.result.outcome, ANONSET_ANOMALY); /* which drops those coins */
    rig_expect_next_finishes();
    rig_tear_down();
}

static void busy(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)rig;
    if (request->kind == ANONSET_REQUEST_SECTOR) {
        answer->kind = ANONSET_ANSWER_BUSY;
        (void)snprintf(answer->text, sizeof answer->text, "excessive use");
    }
}

Test(sync, tells_a_busy_server_apart)
{
    rig_set_up();
    r.lie = busy;
    rig_run();
    cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
    cr_expect_eq(r.result.error.code, ANONSET_NETWORK);
    cr_expect(strstr(r.result.error.text, "excessive use"));
    rig_tear_down();
}

/* ---- Servers that lie for ever ------------------------------------------------------------ */

/* Another block at each meta, and the one before is never known any more. */
static void refuse_old_blocks(world_rig *rig, const anonset_request *request,
                              anonset_answer *answer)
{
    static uint8_t now[ANONSET_HASH_BYTES];
    if (request->kind == ANONSET_REQUEST_META) {
        now[0]++;
        memcpy(answer->meta.block_hash, now, sizeof now);
    } else if (request->kind == ANONSET_REQUEST_SECTOR &&
               memcmp(request->block_hash, now, sizeof now) == 0) {
        anonset_request known = *request;
        memcpy(known.block_hash, rig->chain->meta.block_hash, ANONSET_HASH_BYTES);
        tw_answer(rig->reply, rig->chain, &known);
    }
}

/* With each commit a driver's patience begins anew: the connection is lost behind each. */
Test(sync, does_not_go_on_for_ever_with_coins_stored_and_dropped)
{
    uint64_t commits = 0;
    rig_set_up();
    r.lie = refuse_old_blocks;
    while (rig_turn() != ANONSET_STEP_DONE) {
        if (anonset_sync_commits(r.sync) == commits)
            continue;
        commits = anonset_sync_commits(r.sync);
        anonset_sync_reconnect(r.sync, false);
    }
    cr_expect_eq(r.results, 1);
    cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
    cr_expect_gt(r.result.discarded, 0);
    r.lie = NULL;
    rig_expect_next_finishes();
    rig_tear_down();
}

/* Each checkpoint is on the chain when it is asked for, and not behind the last sector. */
static void take_back(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    if (request->kind != ANONSET_REQUEST_SECTOR || request->start != 0 || request->end != 1 ||
        memcmp(request->block_hash, rig->chain->meta.block_hash, ANONSET_HASH_BYTES) == 0)
        return;
    if (rig->sync->phase != AS_PHASE_FLOOR)
        answer->kind = ANONSET_ANSWER_BLOCK_REFUSED;
    else if (answer->kind == ANONSET_ANSWER_COINS)
        rig->lies++;
}

Test(sync, does_not_go_through_all_checkpoints_with_a_server_that_takes_them_back)
{
    rig_set_up();
    r.options.proof_budget = 0; /* a set hash would prove what checkpoints do not cover */
    r.chain = NULL;
    for (uint32_t blocks = 1; blocks < 18; blocks++) {
        r.chain = tw_grow(&r.world, r.chain, 1);
        rig_end();
        rig_begin();
        rig_run();
        rig_expect_whole();
    }
    r.chain = tw_grow(&r.world, r.chain, 1);
    r.lie = take_back;
    rig_end();
    rig_begin();
    rig_run();
    cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR, "%s: %s",
                 anonset_outcome_name(r.result.outcome), r.result.error.text);
    cr_expect_gt(r.lies, AS_MOVES_MOST);
    r.lie = NULL;
    rig_expect_next_finishes();
    rig_tear_down();
}

static void refuse_target_mid_way(world_rig *rig, const anonset_request *request,
                                  anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_SECTOR && ++rig->lies % 6 == 5)
        answer->kind = ANONSET_ANSWER_BLOCK_REFUSED;
}

Test(sync, ends_where_its_target_is_refused_again_and_again)
{
    rig_set_up();
    rig_end();
    r.options.sector_size = 1;
    rig_begin();
    r.lie = refuse_target_mid_way;
    rig_run();
    cr_expect_eq(r.results, 1);
    r.lie = NULL;
    rig_expect_next_finishes();
    rig_tear_down();
}

/* A server that is ahead of what it tells. */
static void tell_first_chain(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_META)
        answer->meta = rig->world.chains[0]->meta;
}

/* A target that is only noted is no progress: it can be told anew for ever. */
Test(sync, counts_no_commit_without_coins)
{
    const tw_chain *shorter;
    rig_set_up();
    rig_end();
    r.options.sector_size = 1;
    shorter = r.chain;
    r.chain = tw_grow(&r.world, shorter, 2);
    rig_begin();
    while (r.progress.position < shorter->meta.size)
        cr_assert_neq(rig_turn(), ANONSET_STEP_DONE);
    rig_end();
    r.lie = tell_first_chain;
    rig_begin();
    while (r.progresses < 2)
        cr_assert_neq(rig_turn(), ANONSET_STEP_DONE);
    cr_expect_eq(r.progress.position, shorter->meta.size);
    cr_expect_eq(anonset_sync_commits(r.sync), 0);
    rig_run();
    r.chain = shorter;
    rig_expect_whole();
    rig_tear_down();
}

/* ---- A store that fails, or changes ------------------------------------------------------- */

static anonset_backend faulty;
static anonset_code fault;
static uint32_t calls_before_fault;

static bool fails(void)
{
    if (calls_before_fault == 0)
        return true;
    calls_before_fault--;
    return false;
}

static anonset_code append(void *handle, const anonset_append *a, anonset_detail *detail)
{
    return fails() ? fault : as_backend_memory.append_sector(handle, a, detail);
}

static anonset_code complete(void *handle, const anonset_complete *c, anonset_detail *detail)
{
    return fails() ? fault : as_backend_memory.mark_complete(handle, c, detail);
}

static const struct {
    anonset_code code;
    anonset_outcome outcome;
    anonset_code told;
} faults[] = {
    {ANONSET_STALE, ANONSET_STORE_BUSY, ANONSET_BUSY},
    {ANONSET_BUSY, ANONSET_STORE_BUSY, ANONSET_BUSY},
    {ANONSET_IO, ANONSET_STORE_ERROR, ANONSET_IO},
    {ANONSET_FULL, ANONSET_STORE_ERROR, ANONSET_FULL},
    {ANONSET_UNKNOWN, ANONSET_STORE_ERROR, ANONSET_UNKNOWN},
    {ANONSET_NO_MEMORY, ANONSET_STORE_ERROR, ANONSET_NO_MEMORY},
};

static void fail_from(size_t i, uint32_t calls, bool at_complete)
{
    faulty = as_backend_memory;
    if (at_complete)
        faulty.mark_complete = complete;
    else
        faulty.append_sector = append;
    fault = faults[i].code;
    calls_before_fault = calls;
    rig_set_up_with(&faulty);
    rig_run();
    cr_assert_eq(r.results, 1);
    cr_assert_eq(r.result.outcome, faults[i].outcome, "case %zu", i);
    cr_assert_eq(r.result.error.code, faults[i].told);
    cr_assert_neq(r.result.error.text[0], '\0');
    cr_assert_eq(r.result.state.count, at_complete ? r.chain->meta.size : calls * SECTOR);
    calls_before_fault = UINT32_MAX;
    rig_expect_next_finishes();
    rig_tear_down();
}

Test(sync, tells_how_the_store_failed)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        for (uint32_t calls = 0; calls < 3; calls++)
            fail_from(i, calls, false);
        fail_from(i, 0, true);
    }
}

/* Another process clears the group between any two steps, once. */
Test(sync, plans_anew_when_the_group_is_cleared)
{
    bool more = true;
    for (uint32_t k = 0; more; k++) {
        rig_set_up();
        rig_run();
        rig_expect_whole();
        rig_end();
        r.chain = tw_grow(&r.world, r.chain, 4);
        rig_begin();
        more = step_times(k);
        if (more) {
            cr_assert_eq(anonset_store_clear(r.store, 1, NULL), ANONSET_OK);
            rig_run();
        }
        rig_expect_whole();
        rig_expect_next_finishes();
        rig_tear_down();
    }
}

/* Another process finishes the sync between any two steps. */
Test(sync, accepts_that_another_process_was_faster)
{
    bool more = true;
    for (uint32_t k = 0; more; k++) {
        rig_set_up();
        more = step_times(k);
        if (more) {
            world_rig ours = r;
            r.reply = &rig_other_reply; /* each process has a buffer of its own */
            anonset_sync_options_init(&r.options);
            rig_begin();
            rig_run();
            rig_expect_whole();
            rig_end();
            r.sync = ours.sync;
            r.reply = ours.reply;
            r.results = r.progresses = 0;
            r.options = ours.options;
            rig_run();
            cr_assert_eq(r.results, 1);
            cr_assert(
                r.result.outcome == ANONSET_UP_TO_DATE || r.result.outcome == ANONSET_FINALIZED,
                "step %u: %s: %s", k, anonset_outcome_name(r.result.outcome), r.result.error.text);
            cr_assert_str_empty(r.result.error.text);
        }
        rig_expect_next_finishes();
        rig_tear_down();
    }
}

/* ---- Reorganizations ---------------------------------------------------------------------- */

/* A chain that replaces coins of `from`, and has no fewer. */
static const tw_chain *fork_of(const tw_chain *from)
{
    for (;;) {
        const tw_chain *fork = tw_mutate(&r.world, from);
        if (fork->meta.size >= from->meta.size && !tw_same_coins(from, fork, from->meta.size) &&
            fork->meta.has_set_hash)
            return fork;
    }
}

/* What is finalized is one of the chains, coin for coin. */
static void expect_one_chain(uint32_t step)
{
    anonset_state state;
    anonset_verdict verdict;
    cr_assert_eq(anonset_store_state(r.store, &state, 1, NULL), ANONSET_OK);
    const tw_chain *chain = tw_find(&r.world, &state.finalized);
    cr_assert(chain);
    cr_assert_arr_eq(state.digest, chain->digest, ANONSET_HASH_BYTES, "step %u", step);
    cr_assert_eq(anonset_store_verify(r.store, &verdict, 1, NULL), ANONSET_OK);
    cr_assert(verdict.sound, "step %u: two chains are mixed", step);
}

Test(sync, follows_a_reorg_and_tells_what_was_replaced)
{
    rig_set_up();
    rig_run();
    rig_end();
    const tw_chain *old = r.chain;
    r.chain = fork_of(old);
    rig_begin();
    rig_run();
    rig_expect_whole();
    cr_assert_eq(r.result.outcome, ANONSET_FINALIZED);
    cr_assert_gt(r.result.replaced, 0);
    uint32_t kept = old->meta.size - r.result.replaced;
    cr_assert(tw_same_coins(old, r.chain, kept));
    cr_assert_not(tw_same_coins(old, r.chain, kept + 1));
    cr_assert_eq(r.result.fetched, r.chain->meta.size - kept);
    rig_expect_next_finishes();
    rig_tear_down();
}

/* On the way it asked for one checkpoint too many, and was told that there are no more. */
Test(sync, tells_no_text_of_a_failure_that_it_got_over)
{
    faulty = as_backend_memory;
    faulty.append_sector = append;
    fault = ANONSET_NO_MEMORY;
    calls_before_fault = UINT32_MAX;
    rig_set_up_with(&faulty);
    rig_run();
    rig_end();
    r.chain = fork_of(r.chain);
    calls_before_fault = 0;
    rig_begin();
    rig_run();
    cr_assert_eq(r.result.outcome, ANONSET_STORE_ERROR);
    cr_assert_eq(r.result.error.code, ANONSET_NO_MEMORY);
    cr_assert_str_eq(r.result.error.text, anonset_strerror(ANONSET_NO_MEMORY));
    calls_before_fault = UINT32_MAX;
    rig_expect_next_finishes();
    rig_tear_down();
}

/* Another process follows another fork, between any two steps. */
Test(sync, does_not_mix_two_forks_followed_at_once)
{
    for (uint32_t seed = 0; seed < 20; seed++) {
        bool more = true;
        for (uint32_t k = 0; more; k++) {
            rig_set_up();
            rig_run();
            rig_end();
            r.world.rng.state += seed;
            const tw_chain *ours = fork_of(r.chain);
            const tw_chain *theirs = fork_of(r.chain);
            r.chain = ours;
            rig_begin();
            more = step_times(k);
            if (more) {
                world_rig first = r;
                r.reply = &rig_other_reply;
                r.chain = theirs;
                anonset_sync_options_init(&r.options);
                rig_begin();
                rig_run();
                expect_one_chain(k);
                rig_end();
                r.sync = first.sync;
                r.reply = first.reply;
                r.chain = ours;
                r.results = r.progresses = 0;
                r.options = first.options;
                rig_run();
            }
            expect_one_chain(k);
            rig_tear_down();
        }
    }
}

/* Ours was told of one fork when another process followed a newer one. */
static void sync_behind_another(uint32_t step)
{
    world_rig ours = r;
    r.reply = &rig_other_reply;
    r.chain = fork_of(r.chain);
    rig_begin();
    rig_run();
    rig_expect_whole();
    rig_end();
    r.sync = ours.sync;
    r.reply = ours.reply;
    r.results = r.progresses = 0;
    rig_run();
    cr_assert(as_meta_equal(&r.result.state.finalized, &r.chain->meta), "step %u: %s", step,
              anonset_outcome_name(r.result.outcome));
}

/* Between any two steps: what the newer sync finalized stays. */
Test(sync, does_not_go_back_behind_another_process)
{
    for (uint32_t seed = 0; seed < 20; seed++) {
        bool more = true;
        for (uint32_t k = 0; more; k++) {
            rig_set_up();
            rig_run();
            rig_end();
            r.world.rng.state += seed;
            r.chain = fork_of(r.chain);
            r.options.sector_size = TW_COINS_MAX;
            rig_begin();
            more = step_times(k);
            if (more)
                sync_behind_another(k);
            expect_one_chain(k);
            rig_tear_down();
        }
    }
}

/* ---- Ends that come from elsewhere ------------------------------------------------------------
 */

Test(sync, takes_its_defaults_for_no_options)
{
    anonset_sync *sync;
    rig_set_up();
    cr_assert_eq(anonset_sync_new(&sync, r.store, NULL, NULL), ANONSET_OK);
    anonset_sync_options defaults;
    anonset_sync_options_init(&defaults);
    cr_expect_eq(memcmp(&sync->options, &defaults, sizeof defaults), 0);
    anonset_sync_free(sync);
    rig_tear_down();
}

static void drop_a_coin(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)rig;
    if (request->kind == ANONSET_REQUEST_SECTOR && answer->n > 0)
        answer->n--;
}

/* The answer that ended it was fed, and the connection is lost before the step that would tell. */
Test(sync, keeps_the_outcome_it_had_when_aborted)
{
    rig_set_up();
    r.lie = drop_a_coin;
    while (anonset_sync_step(r.sync, &r.last) != ANONSET_STEP_WAIT)
        ;
    while (r.sync->phase != AS_PHASE_END) {
        rig_feed_one();
        if (r.sync->phase != AS_PHASE_END)
            while (anonset_sync_step(r.sync, &r.last) != ANONSET_STEP_WAIT)
                ;
    }
    anonset_sync_abort(r.sync, &(anonset_detail){.code = ANONSET_NETWORK, .text = "it is gone"});
    rig_run();
    cr_expect_eq(r.results, 1);
    cr_expect_eq(r.result.outcome, ANONSET_BAD_SECTOR, "%s",
                 anonset_outcome_name(r.result.outcome));
    r.lie = NULL;
    rig_expect_next_finishes();
    rig_tear_down();
}

/* Cancels as another thread would while the set hash is searched: at a read of the gate. */
static anonset_code cancelling_read(void *snapshot, anonset_run *run, uint32_t position,
                                    anonset_detail *detail)
{
    if (r.sync && r.sync->phase == AS_PHASE_CLOSE)
        anonset_sync_cancel(r.sync);
    return as_backend_memory.read(snapshot, run, position, detail);
}

Test(sync, may_be_cancelled_while_it_searches)
{
    anonset_backend backend = as_backend_memory;
    backend.read = cancelling_read;
    rig_set_up_with(&backend);
    rig_end();
    r.options.proof_budget = 4096;
    rig_begin();
    rig_run();
    cr_expect_eq(r.result.outcome, ANONSET_SYNC_CANCELLED, "%s",
                 anonset_outcome_name(r.result.outcome));
    cr_expect_eq(r.result.error.code, ANONSET_CANCELLED);
    cr_expect(r.result.state.has_pending, "what was downloaded is kept");
    rig_tear_down();
}

/* ---- Too many questions -------------------------------------------------------------------- */

Test(sync, ends_where_no_more_can_be_asked)
{
    const anonset_request other = {.kind = ANONSET_REQUEST_META, .group = 9};
    anonset_step step = ANONSET_STEP_SEND;
    rig_set_up();
    while (step != ANONSET_STEP_DONE) {
        while (as_flight_add(&r.sync->flight, &other, (as_asked){.role = AS_ASK_NOTHING}))
            ;
        step = rig_turn();
    }
    cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
    cr_expect(strstr(r.result.error.text, "unanswered"), "%s", r.result.error.text);
    rig_end();
    rig_expect_next_finishes();
    rig_tear_down();
}
