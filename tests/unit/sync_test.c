/*
 * The coordinator through its interface: every order of answers, and a reconnect, abort or cancel
 * behind every step; buffers that are overwritten as soon as they may be; servers that lie for
 * ever; a store that fails or changes. The node is tests/support/world.h, the store in memory.
 */
#include "backends/backends.h"
#include "core/store.h"
#include "core/sync.h"
#include "tests/support/world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define BLOCKS     10u
#define SECTOR     3u
#define STEPS_MOST 5000u
#define FEEDS_MOST 64u

typedef struct world_rig world_rig;
struct world_rig {
    tw_world world;
    const tw_chain *chain;
    anonset_store *store;
    anonset_sync *sync;
    anonset_sync_options options;
    anonset_request last; /* handed out */
    tw_reply *reply;
    void (*lie)(world_rig *rig, const anonset_request *request, anonset_answer *answer);
    uint32_t steps, coins_sent;
    uint32_t results, progresses;
    anonset_result result;
    anonset_progress progress;
    bool cancel_on_progress, cancel_on_result;
    /* which of the outstanding requests is answered, feed by feed */
    uint32_t choice[FEEDS_MOST], choices[FEEDS_MOST];
    uint32_t fed;
    uint32_t lies;
};

static world_rig r;
static tw_reply replies[2];
static uint32_t paths;

/* ---- Driving ------------------------------------------------------------------------------ */

static void on_result(void *context, const anonset_result *result)
{
    world_rig *rig = context;
    rig->results++;
    rig->result = *result;
    if (rig->cancel_on_result)
        anonset_sync_cancel(rig->sync);
}

static void on_progress(void *context, const anonset_progress *progress)
{
    world_rig *rig = context;
    if (!progress->restarted && rig->progresses > 0 && progress->group == rig->progress.group)
        cr_assert(progress->position >= rig->progress.position &&
                      progress->size >= rig->progress.size &&
                      progress->bytes >= rig->progress.bytes,
                  "progress went from %u of %u back to %u of %u", rig->progress.position,
                  rig->progress.size, progress->position, progress->size);
    rig->progress = *progress;
    rig->progresses++;
    if (rig->cancel_on_progress)
        anonset_sync_cancel(rig->sync);
}

static void open_store(const anonset_backend *backend)
{
    anonset_store_options options;
    char path[40];
    (void)snprintf(path, sizeof path, "sync-test-%u", paths++);
    anonset_store_options_init(&options);
    options.backend = backend;
    cr_assert_eq(anonset_store_open(&r.store, path, &options, NULL), ANONSET_OK);
}

static void begin_sync(void)
{
    r.options.on_result = on_result;
    r.options.on_progress = on_progress;
    r.options.context = &r;
    r.steps = r.coins_sent = r.fed = 0;
    r.results = r.progresses = 0;
    cr_assert_eq(anonset_sync_new(&r.sync, r.store, &r.options, NULL), ANONSET_OK);
}

/* A store of nothing, a chain, and a sync begun. */
static void set_up_with(const anonset_backend *backend)
{
    memset(&r, 0, sizeof r);
    r.reply = &replies[0];
    tw_world_init(&r.world, 1);
    r.chain = tw_grow(&r.world, NULL, BLOCKS);
    anonset_sync_options_init(&r.options);
    r.options.sector_size = SECTOR;
    open_store(backend);
    begin_sync();
}

static void set_up(void)
{
    set_up_with(&as_backend_memory);
}

static void end_sync(void)
{
    anonset_sync_free(r.sync);
    r.sync = NULL;
}

static void tear_down(void)
{
    end_sync();
    anonset_store_close(r.store);
    tw_world_free(&r.world);
}

static uint32_t choose(size_t n)
{
    uint32_t k = r.fed++;
    if (k >= FEEDS_MOST)
        return 0;
    r.choices[k] = (uint32_t)n;
    return r.choice[k];
}

static void feed_one(void)
{
    const anonset_request *requests;
    size_t n = anonset_sync_outstanding(r.sync, &requests);
    cr_assert_gt(n, 0, "step waits, but nothing is outstanding");
    anonset_request request = requests[choose(n)];
    /* What was fed before may be gone now. */
    memset(r.reply, 0xdd, sizeof *r.reply);
    tw_answer(r.reply, r.chain, &request);
    if (r.lie)
        r.lie(&r, &request, &r.reply->answer);
    if (r.reply->answer.kind == ANONSET_ANSWER_COINS)
        r.coins_sent += r.reply->answer.n;
    cr_assert_eq(anonset_sync_feed(r.sync, &r.reply->answer, NULL), ANONSET_OK);
}

/* One step, and the answer it waits for. */
static anonset_step turn(void)
{
    anonset_step step = anonset_sync_step(r.sync, &r.last);
    cr_assert_lt(r.steps++, STEPS_MOST, "the sync does not end");
    if (step == ANONSET_STEP_WAIT)
        feed_one();
    return step;
}

static void run(void)
{
    while (turn() != ANONSET_STEP_DONE)
        ;
}

static void expect_whole(void)
{
    anonset_verdict verdict;
    cr_assert_eq(r.results, 1);
    cr_assert_eq(r.result.outcome, ANONSET_FINALIZED, "%s: %s",
                 anonset_outcome_name(r.result.outcome), r.result.error.text);
    cr_assert_eq(r.result.error.code, ANONSET_OK);
    cr_assert_eq(r.result.error.os_error, 0);
    cr_assert_str_empty(r.result.error.text);
    cr_assert(as_meta_equal(&r.result.state.finalized, &r.chain->meta));
    cr_assert_arr_eq(r.result.state.digest, r.chain->digest, ANONSET_HASH_BYTES);
    cr_assert_eq(anonset_store_verify(r.store, &verdict, 1, NULL), ANONSET_OK);
    cr_assert(verdict.sound);
}

/* Whatever happened to the sync before, the next one finishes. */
static void expect_next_finishes(void)
{
    end_sync();
    begin_sync();
    run();
    if (r.result.outcome != ANONSET_UP_TO_DATE)
        expect_whole();
}

/* ---- Misuse ------------------------------------------------------------------------------- */

Test(sync, answers_misuse_without_harm)
{
    anonset_sync *none = NULL;
    anonset_request request;
    const anonset_request *requests;
    set_up();
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
    run();
    expect_whole();
    tear_down();
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
    set_up();
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
    tear_down();
}

Test(sync, refuses_to_do_what_it_does_not_know_on_a_reorg)
{
    anonset_sync *sync = NULL;
    anonset_sync_options options;
    set_up();
    anonset_sync_options_init(&options);
    options.on_reorg = (anonset_on_reorg)(ANONSET_REORG_KEEP + 1);
    cr_expect_eq(anonset_sync_new(&sync, r.store, &options, NULL), ANONSET_INVALID);
    tear_down();
}

Test(sync, takes_only_answers_it_waits_for)
{
    anonset_answer answer = {.id = 1, .kind = ANONSET_ANSWER_ERROR};
    anonset_detail detail;
    set_up();
    cr_expect_eq(anonset_sync_feed(r.sync, &answer, &detail), ANONSET_INVALID);
    while (anonset_sync_step(r.sync, &r.last) == ANONSET_STEP_SEND)
        ;
    answer.id = 99;
    cr_expect_eq(anonset_sync_feed(r.sync, &answer, &detail), ANONSET_INVALID);
    cr_expect_eq(detail.code, ANONSET_INVALID);
    feed_one();
    answer.id = r.reply->answer.id; /* taken already, and step was not called */
    cr_expect_eq(anonset_sync_feed(r.sync, &answer, &detail), ANONSET_INVALID);
    run();
    expect_whole();
    tear_down();
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
        set_up();
        end_sync();
        r.options.group = 0;
        begin_sync();
        r.lie = answer_of_another_kind;
        r.lies = kind;
        run();
        cr_expect_eq(r.results, 1);
        cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
        cr_expect_eq(r.result.error.code, ANONSET_BAD_ANSWER);
        tear_down();
    }
}

Test(sync, needs_no_genesis_hash)
{
    set_up();
    r.lie = answer_of_another_kind;
    r.lies = ANONSET_REQUEST_GENESIS;
    run();
    expect_whole();
    tear_down();
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
        set_up();
        r.lie = lies[i];
        run();
        cr_expect_eq(r.result.outcome, ANONSET_BAD_SECTOR);
        cr_expect_eq(r.result.fetched, 0);
        cr_expect_not(r.result.state.has_pending);
        r.lie = NULL;
        expect_next_finishes();
        tear_down();
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
    set_up();
    r.options.sector_size = 100;
    run();
    expect_whole();
    first = r.chain;
    second = tw_grow(&r.world, first, 2);
    do {
        /* growth: continuity, the sector and the closing questions in one flight */
        end_sync();
        r.chain = first;
        cr_assert_eq(anonset_store_clear(r.store, 0, NULL), ANONSET_OK);
        uint32_t kept[FEEDS_MOST];
        memcpy(kept, r.choice, sizeof kept);
        memset(r.choice, 0, sizeof r.choice);
        begin_sync();
        run();
        end_sync();
        memcpy(r.choice, kept, sizeof kept);
        r.chain = second;
        begin_sync();
        run();
        expect_whole();
        orders++;
    } while (next_order());
    cr_assert_gt(orders, 200, "only %u orders", orders);
    tear_down();
}

/* ---- Interruptions ------------------------------------------------------------------------ */

/* Steps k times; false: the sync was done before. */
static bool step_times(uint32_t k)
{
    for (uint32_t i = 0; i < k; i++)
        if (turn() == ANONSET_STEP_DONE)
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
        set_up();
        more = step_times(k);
        if (more) {
            anonset_sync_reconnect(r.sync, timed_out);
            run();
        }
        expect_whole();
        cr_assert_leq(r.coins_sent, r.chain->meta.size + SECTOR + 1 + 3, "step %u: %u coins", k,
                      r.coins_sent);
        cr_assert_eq(r.result.fetched, r.chain->meta.size);
        tear_down();
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
    set_up();
    while (anonset_sync_step(r.sync, &r.last) == ANONSET_STEP_SEND)
        ;
    anonset_answer answer = {.id = r.last.id, .kind = ANONSET_ANSWER_ERROR};
    anonset_sync_reconnect(r.sync, false);
    cr_expect_eq(anonset_sync_outstanding(r.sync, &requests), 0);
    while (anonset_sync_step(r.sync, &r.last) == ANONSET_STEP_SEND)
        ;
    cr_expect_eq(anonset_sync_feed(r.sync, &answer, NULL), ANONSET_INVALID);
    run();
    expect_whole();
    tear_down();
}

Test(sync, ends_when_aborted_behind_any_step)
{
    const anonset_detail why = {.code = ANONSET_NETWORK, .text = "gone"};
    bool more = true;
    for (uint32_t k = 0; more; k++) {
        set_up();
        more = step_times(k);
        anonset_sync_abort(r.sync, k % 2 ? &why : NULL);
        run();
        cr_assert_eq(r.results, 1);
        if (r.result.outcome != ANONSET_FINALIZED) {
            cr_assert_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
            cr_assert_eq(r.result.error.code, ANONSET_NETWORK);
            cr_assert_neq(r.result.error.text[0], '\0');
        }
        cr_assert_eq(anonset_sync_step(r.sync, &r.last), ANONSET_STEP_DONE);
        expect_next_finishes();
        tear_down();
    }
}

Test(sync, ends_when_cancelled_behind_any_step)
{
    bool more = true;
    for (uint32_t k = 0; more; k++) {
        set_up();
        more = step_times(k);
        uint64_t commits = anonset_sync_commits(r.sync);
        anonset_sync_cancel(r.sync);
        cr_assert(anonset_sync_is_cancelled(r.sync));
        uint32_t requests = r.result.requests;
        run();
        cr_assert_eq(r.results, 1);
        if (more && r.result.outcome != ANONSET_FINALIZED) {
            cr_assert_eq(r.result.outcome, ANONSET_SYNC_CANCELLED);
            cr_assert_eq(r.result.error.code, ANONSET_CANCELLED);
            cr_assert_eq(anonset_sync_commits(r.sync), commits);
            cr_assert_geq(r.result.requests, requests);
        }
        expect_next_finishes();
        tear_down();
    }
}

Test(sync, may_be_cancelled_from_a_callback)
{
    set_up();
    r.cancel_on_progress = true;
    run();
    cr_expect_eq(r.results, 1);
    cr_expect_eq(r.result.outcome, ANONSET_SYNC_CANCELLED);
    r.cancel_on_progress = false;
    expect_next_finishes();
    tear_down();
    set_up();
    r.cancel_on_result = true;
    run();
    expect_whole();
    tear_down();
}

/* ---- Groups ------------------------------------------------------------------------------- */

static void say_newest(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_NEWEST_GROUP)
        answer->number = rig->lies;
}

static void sync_all(uint32_t newest)
{
    set_up();
    end_sync();
    r.options.group = 0;
    r.lies = newest;
    r.lie = say_newest;
    begin_sync();
    run();
}

Test(sync, of_all_groups_gives_one_result_a_group)
{
    static const uint32_t newest[] = {0, 1, 3};
    for (size_t i = 0; i < sizeof newest / sizeof *newest; i++) {
        sync_all(newest[i]);
        cr_expect_eq(r.results, newest[i] ? newest[i] : 1);
        cr_expect_eq(r.result.group, newest[i] ? newest[i] : 1);
        cr_expect_eq(r.result.outcome, ANONSET_FINALIZED);
        tear_down();
    }
}

Test(sync, believes_no_absurd_number_of_groups)
{
    sync_all(UINT32_MAX);
    cr_expect_eq(r.results, 1);
    cr_expect_eq(r.result.group, 0);
    cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
    cr_expect_eq(r.result.error.code, ANONSET_BAD_ANSWER);
    tear_down();
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
    set_up();
    end_sync();
    cr_assert_eq(r.store->backend->set_genesis(r.store->handle, other, NULL), ANONSET_OK);
    r.options.group = 0;
    r.lie = refuse_first_meta;
    r.choice[1] = 1; /* the meta of group 1 before the genesis hash */
    begin_sync();
    run();
    cr_expect_eq(r.results, 2);
    cr_expect_eq(r.result.group, 2);
    cr_expect_eq(r.result.outcome, ANONSET_OTHER_NETWORK);
    cr_expect_eq(r.lies, 2, "the hash is asked for again");
    tear_down();
}

/* ---- Sizes -------------------------------------------------------------------------------- */

static void too_large_above(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_SECTOR && answer->n > rig->lies)
        answer->kind = ANONSET_ANSWER_TOO_LARGE;
}

Test(sync, asks_for_less_when_told_too_large)
{
    for (uint32_t most = 0; most <= 8; most++) {
        set_up();
        end_sync();
        r.options.sector_size = 0;
        begin_sync();
        r.lie = too_large_above;
        r.lies = most;
        run();
        if (most > 0) {
            expect_whole();
        } else {
            cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
            cr_expect_eq(r.result.error.code, ANONSET_SERVER);
        }
        tear_down();
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
    set_up();
    r.lie = tell_largest;
    run();
    cr_expect_eq(r.result.outcome, ANONSET_SYNC_CANCELLED, "%s", r.result.error.text);
    cr_expect_gt(r.result.fetched, 30);
    cr_expect_eq(r.result.state.target.size, UINT32_MAX);
    r.lie = NULL;
    end_sync();
    begin_sync();
    run();
    cr_expect_eq(r.result.outcome, ANONSET_ANOMALY); /* which drops those coins */
    expect_next_finishes();
    tear_down();
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
    set_up();
    r.lie = busy;
    run();
    cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
    cr_expect_eq(r.result.error.code, ANONSET_NETWORK);
    cr_expect(strstr(r.result.error.text, "excessive use"));
    tear_down();
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
    set_up();
    r.lie = refuse_old_blocks;
    while (turn() != ANONSET_STEP_DONE) {
        if (anonset_sync_commits(r.sync) == commits)
            continue;
        commits = anonset_sync_commits(r.sync);
        anonset_sync_reconnect(r.sync, false);
    }
    cr_expect_eq(r.results, 1);
    cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR);
    cr_expect_gt(r.result.discarded, 0);
    r.lie = NULL;
    expect_next_finishes();
    tear_down();
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
    set_up();
    r.chain = NULL;
    for (uint32_t blocks = 1; blocks < 18; blocks++) {
        r.chain = tw_grow(&r.world, r.chain, 1);
        end_sync();
        begin_sync();
        run();
        expect_whole();
    }
    r.chain = tw_grow(&r.world, r.chain, 1);
    r.lie = take_back;
    end_sync();
    begin_sync();
    run();
    cr_expect_eq(r.result.outcome, ANONSET_NETWORK_ERROR, "%s: %s",
                 anonset_outcome_name(r.result.outcome), r.result.error.text);
    cr_expect_gt(r.lies, AS_MOVES_MOST);
    r.lie = NULL;
    expect_next_finishes();
    tear_down();
}

static void refuse_target_mid_way(world_rig *rig, const anonset_request *request,
                                  anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_SECTOR && ++rig->lies % 6 == 5)
        answer->kind = ANONSET_ANSWER_BLOCK_REFUSED;
}

Test(sync, ends_where_its_target_is_refused_again_and_again)
{
    set_up();
    end_sync();
    r.options.sector_size = 1;
    begin_sync();
    r.lie = refuse_target_mid_way;
    run();
    cr_expect_eq(r.results, 1);
    r.lie = NULL;
    expect_next_finishes();
    tear_down();
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
    set_up();
    end_sync();
    r.options.sector_size = 1;
    shorter = r.chain;
    r.chain = tw_grow(&r.world, shorter, 2);
    begin_sync();
    while (r.progress.position < shorter->meta.size)
        cr_assert_neq(turn(), ANONSET_STEP_DONE);
    end_sync();
    r.lie = tell_first_chain;
    begin_sync();
    while (r.progresses < 2)
        cr_assert_neq(turn(), ANONSET_STEP_DONE);
    cr_expect_eq(r.progress.position, shorter->meta.size);
    cr_expect_eq(anonset_sync_commits(r.sync), 0);
    run();
    r.chain = shorter;
    expect_whole();
    tear_down();
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
    set_up_with(&faulty);
    run();
    cr_assert_eq(r.results, 1);
    cr_assert_eq(r.result.outcome, faults[i].outcome, "case %zu", i);
    cr_assert_eq(r.result.error.code, faults[i].told);
    cr_assert_neq(r.result.error.text[0], '\0');
    cr_assert_eq(r.result.state.count, at_complete ? r.chain->meta.size : calls * SECTOR);
    calls_before_fault = UINT32_MAX;
    expect_next_finishes();
    tear_down();
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
        set_up();
        run();
        expect_whole();
        end_sync();
        r.chain = tw_grow(&r.world, r.chain, 4);
        begin_sync();
        more = step_times(k);
        if (more) {
            cr_assert_eq(anonset_store_clear(r.store, 1, NULL), ANONSET_OK);
            run();
        }
        expect_whole();
        expect_next_finishes();
        tear_down();
    }
}

/* Another process finishes the sync between any two steps. */
Test(sync, accepts_that_another_process_was_faster)
{
    bool more = true;
    for (uint32_t k = 0; more; k++) {
        set_up();
        more = step_times(k);
        if (more) {
            world_rig ours = r;
            r.reply = &replies[1]; /* each process has a buffer of its own */
            anonset_sync_options_init(&r.options);
            begin_sync();
            run();
            expect_whole();
            end_sync();
            r.sync = ours.sync;
            r.reply = ours.reply;
            r.results = r.progresses = 0;
            r.options = ours.options;
            run();
            cr_assert_eq(r.results, 1);
            cr_assert(
                r.result.outcome == ANONSET_UP_TO_DATE || r.result.outcome == ANONSET_FINALIZED,
                "step %u: %s: %s", k, anonset_outcome_name(r.result.outcome), r.result.error.text);
            cr_assert_str_empty(r.result.error.text);
        }
        expect_next_finishes();
        tear_down();
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
    set_up();
    run();
    end_sync();
    const tw_chain *old = r.chain;
    r.chain = fork_of(old);
    begin_sync();
    run();
    expect_whole();
    cr_assert_eq(r.result.outcome, ANONSET_FINALIZED);
    cr_assert_gt(r.result.replaced, 0);
    uint32_t kept = old->meta.size - r.result.replaced;
    cr_assert(tw_same_coins(old, r.chain, kept));
    cr_assert_not(tw_same_coins(old, r.chain, kept + 1));
    cr_assert_eq(r.result.fetched, r.chain->meta.size - kept);
    expect_next_finishes();
    tear_down();
}

/* Another process follows another fork, between any two steps. */
Test(sync, does_not_mix_two_forks_followed_at_once)
{
    for (uint32_t seed = 0; seed < 20; seed++) {
        bool more = true;
        for (uint32_t k = 0; more; k++) {
            set_up();
            run();
            end_sync();
            r.world.rng.state += seed;
            const tw_chain *ours = fork_of(r.chain);
            const tw_chain *theirs = fork_of(r.chain);
            r.chain = ours;
            begin_sync();
            more = step_times(k);
            if (more) {
                world_rig first = r;
                r.reply = &replies[1];
                r.chain = theirs;
                anonset_sync_options_init(&r.options);
                begin_sync();
                run();
                expect_one_chain(k);
                end_sync();
                r.sync = first.sync;
                r.reply = first.reply;
                r.chain = ours;
                r.results = r.progresses = 0;
                r.options = first.options;
                run();
            }
            expect_one_chain(k);
            tear_down();
        }
    }
}
