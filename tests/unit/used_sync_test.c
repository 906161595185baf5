/* The sync of the list of used coin tags, fed by hand, on a store in memory. */
#include "backends/backends.h"
#include "core/store.h"
#include "tests/conformance/kit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MOST 20000u

static anonset_backend table;
static anonset_store *store;
static anonset_used ours[MOST], theirs[MOST];
static anonset_used_result result;
static unsigned results, progresses;

static void on_used(void *context, const anonset_used_result *told)
{
    (void)context;
    result = *told;
    results++;
}

static void on_progress(void *context, const anonset_progress *progress)
{
    (void)context;
    cr_assert_eq(progress->group, 0);
    cr_assert_eq(progress->size, progress->position);
    progresses++;
}

static void open_store(const char *name)
{
    anonset_store_options options;
    anonset_store_options_init(&options);
    table = as_backend_memory;
    options.backend = &table;
    cr_assert_eq(anonset_store_open(&store, name, &options, NULL), ANONSET_OK);
    kit_used_fill(ours, 1, MOST);
    memcpy(theirs, ours, sizeof theirs);
}

static anonset_sync *begin(anonset_on_reorg on_reorg, uint32_t most)
{
    anonset_sync_options options;
    anonset_sync *sync;
    anonset_sync_options_init(&options);
    options.used = ANONSET_USED_ONLY;
    options.ask_genesis = false;
    options.on_reorg = on_reorg;
    options.on_used = on_used;
    options.on_progress = on_progress;
    if (most)
        options.used_most = most;
    cr_assert_eq(anonset_sync_new(&sync, store, &options, NULL), ANONSET_OK);
    results = progresses = 0;
    return sync;
}

static anonset_request asked(anonset_sync *sync)
{
    anonset_request request;
    cr_assert_eq(anonset_sync_step(sync, &request), ANONSET_STEP_SEND);
    cr_assert_eq(request.kind, ANONSET_REQUEST_USED);
    return request;
}

/* Feeds the next part of an answer, and steps: *next is set if there is a request. */
static anonset_step feed(anonset_sync *sync, uint32_t id, uint32_t from, uint32_t n, bool more,
                         anonset_request *next)
{
    anonset_request ignored;
    anonset_answer answer = {.id = id,
                             .kind = ANONSET_ANSWER_USED,
                             .used = theirs + from,
                             .n = n,
                             .more = more,
                             .wire_bytes = n * 100};
    anonset_step step = anonset_sync_step(sync, &ignored);
    cr_assert_eq(step, ANONSET_STEP_WAIT);
    cr_assert_eq(anonset_sync_feed(sync, &answer, NULL), ANONSET_OK);
    return anonset_sync_step(sync, next ? next : &ignored);
}

/* Serves `count` of their tags to the end. */
static void serve(anonset_sync *sync, uint32_t count)
{
    anonset_request request = asked(sync);
    anonset_step step = ANONSET_STEP_SEND;
    while (step == ANONSET_STEP_SEND) {
        uint32_t id = request.id, from = request.start < count ? request.start : count;
        for (; count - from > ANONSET_USED_BATCH; from += ANONSET_USED_BATCH)
            cr_assert_neq(feed(sync, id, from, ANONSET_USED_BATCH, true, &request),
                          ANONSET_STEP_SEND);
        step = feed(sync, id, from, count - from, false, &request);
    }
    cr_assert_eq(step, ANONSET_STEP_DONE);
    cr_assert_eq(results, 1);
    anonset_sync_free(sync);
}

static void sync_to(uint32_t count, anonset_outcome outcome)
{
    serve(begin(ANONSET_REORG_FOLLOW, 0), count);
    cr_assert_eq(result.outcome, outcome, "%s: %s", anonset_outcome_name(result.outcome),
                 result.error.text);
}

static void stored_is(const anonset_used *used, uint32_t count)
{
    static anonset_used page[MOST];
    anonset_used_list *list;
    uint32_t n = 0;
    bool sound;
    cr_assert_eq(anonset_used_open(&list, store, NULL), ANONSET_OK);
    cr_assert_eq(anonset_used_list_state(list)->count, count);
    cr_assert_eq(anonset_used_read(list, page, &n, 0, MOST, NULL), ANONSET_OK);
    cr_assert(n == count && memcmp(page, used, count * sizeof *page) == 0);
    cr_assert_eq(anonset_used_verify(list, &sound, NULL), ANONSET_OK);
    cr_assert(sound);
    anonset_used_close(list);
}

/* Their tags from `keep` on become others. */
static void reorganize(uint32_t keep)
{
    static uint64_t id = 100;
    kit_used_fill(theirs + keep, ++id, MOST - keep);
}

Test(used_sync, grows_and_asks_for_64_again)
{
    open_store("grows");
    sync_to(0, ANONSET_UP_TO_DATE);
    sync_to(50, ANONSET_FINALIZED);
    sync_to(50, ANONSET_UP_TO_DATE);
    sync_to(20000, ANONSET_FINALIZED);
    cr_assert_eq(result.fetched, 19950);
    cr_assert_eq(result.resumed_from, 50);
    cr_assert_eq(progresses, 3);
    stored_is(ours, 20000);
    uint64_t bytes;
    cr_assert_eq(anonset_store_disk_bytes(store, &bytes, NULL), ANONSET_OK);
    cr_assert_geq(bytes, 20000 * sizeof *ours);
    anonset_sync *sync = begin(ANONSET_REORG_FOLLOW, 0);
    cr_assert_eq(asked(sync).start, 20000 - 64);
    anonset_sync_free(sync);
    anonset_store_close(store);
}

Test(used_sync, follows_reorganizations_up_to_4096_back)
{
    static const struct {
        uint32_t keep, count, requests;
    } rows[] = {{9999, 10000, 1}, {9937, 10010, 1}, {9946, 10010, 2},
                {9600, 10020, 2}, {9000, 10020, 3}, {5925, 10020, 3}};
    open_store("reorgs");
    sync_to(10000, ANONSET_FINALIZED);
    uint32_t before = 10000;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reorganize(rows[i].keep);
        sync_to(rows[i].count, ANONSET_FINALIZED);
        cr_expect_eq(result.replaced, before - rows[i].keep, "%zu", i);
        cr_expect_eq(result.requests, rows[i].requests, "%zu: %u", i, result.requests);
        stored_is(theirs, rows[i].count);
        before = rows[i].count;
    }
    memcpy(ours, theirs, sizeof ours);
    reorganize(before - 4096);
    sync_to(before + 1, ANONSET_REORG_DETECTED);
    stored_is(ours, before);
    cr_assert_eq(anonset_used_clear(store, NULL), ANONSET_OK);
    sync_to(before + 1, ANONSET_FINALIZED);
    stored_is(theirs, before + 1);
    anonset_store_close(store);
}

Test(used_sync, a_server_with_fewer_changes_nothing)
{
    open_store("fewer");
    sync_to(1000, ANONSET_FINALIZED);
    for (uint32_t count = 0; count < 1000; count += 37)
        sync_to(count, ANONSET_REMOTE_BEHIND);
    reorganize(980);
    sync_to(999, ANONSET_REMOTE_BEHIND);
    reorganize(500);
    sync_to(999, ANONSET_REMOTE_BEHIND);
    stored_is(ours, 1000);
    sync_to(1000, ANONSET_FINALIZED);
    stored_is(theirs, 1000);
    anonset_store_close(store);
}

Test(used_sync, keeps_what_it_is_told_to_keep)
{
    open_store("keep");
    sync_to(100, ANONSET_FINALIZED);
    reorganize(90);
    serve(begin(ANONSET_REORG_KEEP, 0), 120);
    cr_assert_eq(result.outcome, ANONSET_REORG_DETECTED);
    stored_is(ours, 100);
    anonset_store_close(store);
}

Test(used_sync, refuses_a_list_that_is_too_long)
{
    open_store("most");
    serve(begin(ANONSET_REORG_FOLLOW, 100), 100);
    cr_assert_eq(result.outcome, ANONSET_FINALIZED);
    serve(begin(ANONSET_REORG_FOLLOW, 100), 101);
    cr_assert_eq(result.outcome, ANONSET_NETWORK_ERROR);
    cr_assert_eq(result.error.code, ANONSET_BAD_ANSWER);
    serve(begin(ANONSET_REORG_FOLLOW, 1), 200); /* more in one batch than there may be */
    cr_assert_eq(result.outcome, ANONSET_NETWORK_ERROR);
    stored_is(ours, 100);
    anonset_store_close(store);
}

/* What is not looked at any more does not go on for ever. */
Test(used_sync, a_list_that_differs_and_never_ends)
{
    open_store("endless");
    sync_to(100, ANONSET_FINALIZED);
    reorganize(0);
    anonset_sync *sync = begin(ANONSET_REORG_FOLLOW, 3 * ANONSET_USED_BATCH);
    anonset_request request = asked(sync);
    unsigned fed = 0;
    anonset_step step = ANONSET_STEP_WAIT;
    while (step == ANONSET_STEP_WAIT && fed++ < 10)
        step = feed(sync, request.id, 0, ANONSET_USED_BATCH, true, NULL);
    cr_assert_eq(step, ANONSET_STEP_DONE);
    cr_assert_eq(fed, 5);
    cr_assert_eq(result.outcome, ANONSET_NETWORK_ERROR);
    stored_is(ours, 100);
    anonset_sync_free(sync);
    anonset_store_close(store);
}

Test(used_sync, a_lost_connection_keeps_what_was_committed)
{
    open_store("lost");
    anonset_sync *sync = begin(ANONSET_REORG_FOLLOW, 0);
    anonset_request request = asked(sync);
    cr_assert_eq(feed(sync, request.id, 0, ANONSET_USED_BATCH, true, NULL), ANONSET_STEP_WAIT);
    cr_assert_eq(anonset_sync_commits(sync), 1);
    anonset_sync_reconnect(sync, true);
    serve(sync, 20000);
    cr_assert_eq(result.outcome, ANONSET_FINALIZED);
    cr_assert_eq(result.fetched, 20000);
    cr_assert_eq(result.requests, 2);
    stored_is(ours, 20000);
    anonset_store_close(store);
}

Test(used_sync, ends_when_cancelled_or_given_up)
{
    open_store("ends");
    anonset_request request;
    anonset_sync *sync = begin(ANONSET_REORG_FOLLOW, 0);
    (void)asked(sync);
    anonset_sync_cancel(sync);
    cr_assert_eq(anonset_sync_step(sync, &request), ANONSET_STEP_DONE);
    cr_assert_eq(result.outcome, ANONSET_SYNC_CANCELLED);
    anonset_sync_free(sync);
    sync = begin(ANONSET_REORG_FOLLOW, 0);
    (void)asked(sync);
    anonset_sync_abort(sync, NULL);
    cr_assert_eq(anonset_sync_step(sync, &request), ANONSET_STEP_DONE);
    cr_assert_eq(result.outcome, ANONSET_NETWORK_ERROR);
    anonset_sync_free(sync);
    anonset_store_close(store);
}

/* What another process does between two steps. */
static void other_writes(uint32_t count)
{
    anonset_used_list *list;
    anonset_used_append a = {.used = ours, .n = count};
    cr_assert_eq(anonset_used_open(&list, store, NULL), ANONSET_OK);
    a.before = *anonset_used_list_state(list);
    anonset_used_close(list);
    ts_fill(a.digest_after, sizeof a.digest_after, count);
    cr_assert_eq(store->backend->used_append(store->handle, &a, NULL), ANONSET_OK);
}

Test(used_sync, another_process_that_is_faster)
{
    open_store("faster");
    anonset_sync *sync = begin(ANONSET_REORG_FOLLOW, 0);
    anonset_request request = asked(sync);
    unsigned times = 0;
    anonset_step step = ANONSET_STEP_SEND;
    while (step == ANONSET_STEP_SEND && times < 100) {
        other_writes(++times);
        step = feed(sync, request.id, request.start, 200 - request.start, false, &request);
    }
    cr_assert_eq(step, ANONSET_STEP_DONE);
    cr_assert_eq(result.outcome, ANONSET_STORE_BUSY);
    cr_assert_eq(result.state.count, times);
    anonset_sync_free(sync);
    /* And where the digest of what stays is computed anew. */
    cr_assert_eq(anonset_used_clear(store, NULL), ANONSET_OK);
    sync_to(100, ANONSET_FINALIZED);
    reorganize(95);
    sync = begin(ANONSET_REORG_FOLLOW, 0);
    request = asked(sync);
    other_writes(101);
    cr_assert_eq(feed(sync, request.id, 36, 80, false, &request), ANONSET_STEP_SEND);
    anonset_sync_free(sync);
    anonset_store_close(store);
}

Test(used_sync, a_second_list_is_not_asked_for_before_the_first_is_through)
{
    open_store("through");
    sync_to(100, ANONSET_FINALIZED);
    reorganize(0);
    anonset_sync *sync = begin(ANONSET_REORG_FOLLOW, 0);
    anonset_request first = asked(sync), second = {.id = 0};
    cr_assert_eq(feed(sync, first.id, 36, ANONSET_USED_BATCH, true, NULL), ANONSET_STEP_WAIT);
    cr_assert_eq(feed(sync, first.id, 0, 5, false, &second), ANONSET_STEP_SEND);
    cr_assert_eq(second.start, 0);
    anonset_sync_free(sync);
    anonset_store_close(store);
}

static void answered(anonset_answer_kind kind, anonset_code code)
{
    anonset_sync *sync = begin(ANONSET_REORG_FOLLOW, 0);
    anonset_request request = asked(sync);
    anonset_answer answer = {.id = request.id, .kind = kind, .text = "words"};
    cr_assert_eq(anonset_sync_step(sync, &request), ANONSET_STEP_WAIT);
    cr_assert_eq(anonset_sync_feed(sync, &answer, NULL), ANONSET_OK);
    cr_assert_eq(anonset_sync_step(sync, &request), ANONSET_STEP_DONE);
    cr_assert_eq(result.outcome, ANONSET_NETWORK_ERROR);
    cr_assert_eq(result.error.code, code, "%d: %d", (int)kind, (int)result.error.code);
    anonset_sync_free(sync);
}

Test(used_sync, other_answers)
{
    open_store("others");
    answered(ANONSET_ANSWER_TOO_LARGE, ANONSET_SERVER);
    answered(ANONSET_ANSWER_ERROR, ANONSET_SERVER);
    answered(ANONSET_ANSWER_COINS, ANONSET_BAD_ANSWER);
    answered(ANONSET_ANSWER_NO_GROUP, ANONSET_BAD_ANSWER);
    answered(ANONSET_ANSWER_META, ANONSET_BAD_ANSWER);
    anonset_sync *sync = begin(ANONSET_REORG_FOLLOW, 0);
    anonset_request request = asked(sync);
    anonset_answer part = {
        .id = request.id, .kind = ANONSET_ANSWER_USED, .used = ours, .n = 5, .more = true};
    cr_assert_eq(anonset_sync_step(sync, &request), ANONSET_STEP_WAIT);
    cr_assert_eq(anonset_sync_feed(sync, &part, NULL), ANONSET_INVALID);
    part.more = false;
    cr_assert_eq(anonset_sync_feed(sync, &part, NULL), ANONSET_OK);
    anonset_sync_free(sync);
    anonset_store_close(store);
}

static anonset_code refused(void *handle, const anonset_used_append *a, anonset_detail *detail)
{
    (void)handle;
    (void)a;
    (void)detail;
    return ANONSET_FULL;
}

Test(used_sync, a_store_that_fails_or_has_no_list)
{
    anonset_request request;
    open_store("fails");
    store->vtable.used_append = refused;
    sync_to(10, ANONSET_STORE_ERROR);
    cr_assert_eq(result.error.code, ANONSET_FULL);
    store->vtable.used_append = NULL;
    anonset_sync *sync = begin(ANONSET_REORG_FOLLOW, 0);
    cr_assert_eq(anonset_sync_step(sync, &request), ANONSET_STEP_DONE);
    cr_assert_eq(result.outcome, ANONSET_STORE_ERROR);
    cr_assert_eq(result.error.code, ANONSET_UNSUPPORTED);
    cr_assert_eq(anonset_used_clear(store, NULL), ANONSET_UNSUPPORTED);
    anonset_sync_free(sync);
    anonset_store_close(store);
}

static uint32_t found_at;

static anonset_code found_elsewhere(void *view, anonset_used *used, uint32_t *position,
                                    const uint8_t *tag, anonset_detail *detail)
{
    (void)view;
    (void)detail;
    memcpy(used->tag, tag, sizeof used->tag);
    *position = found_at;
    return found_at == UINT32_MAX ? ANONSET_NOT_FOUND : ANONSET_OK;
}

/* Tags told twice are found where they came first; none is found behind its place. */
Test(used_sync, verify_looks_each_tag_up)
{
    static const struct {
        uint32_t found_at;
        bool sound;
    } rows[] = {{0, true}, {7, false}, {UINT32_MAX, false}};
    open_store("looked up");
    sync_to(8, ANONSET_FINALIZED);
    store->vtable.used_find = found_elsewhere;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        anonset_used_list *list;
        bool sound;
        found_at = rows[i].found_at;
        cr_assert_eq(anonset_used_open(&list, store, NULL), ANONSET_OK);
        cr_assert_eq(anonset_used_verify(list, &sound, NULL), ANONSET_OK);
        cr_expect_eq(sound, rows[i].sound, "%zu", i);
        anonset_used_close(list);
    }
    anonset_store_close(store);
}

static anonset_code moved_on(void *handle, const anonset_used_append *a, anonset_detail *detail)
{
    (void)handle;
    (void)a;
    (void)detail;
    return ANONSET_STALE;
}

Test(used_sync, reading_and_clearing_by_the_rules)
{
    open_store("rules");
    anonset_used_list *list;
    anonset_used used;
    uint32_t n = 9;
    bool sound;
    sync_to(3, ANONSET_FINALIZED);
    cr_assert_eq(anonset_used_open(&list, store, NULL), ANONSET_OK);
    cr_assert_eq(anonset_used_read(list, &used, &n, 3, 1, NULL), ANONSET_OK);
    cr_assert_eq(n, 0);
    cr_assert_eq(anonset_used_read(list, &used, &n, 0, 0, NULL), ANONSET_INVALID);
    cr_assert_eq(anonset_used_read(list, NULL, &n, 0, 1, NULL), ANONSET_INVALID);
    cr_assert_eq(anonset_used_find(list, &used, &n, NULL, NULL), ANONSET_INVALID);
    cr_assert_eq(anonset_used_verify(list, NULL, NULL), ANONSET_INVALID);
    cr_assert_eq(anonset_used_open(NULL, store, NULL), ANONSET_INVALID);
    cr_assert_eq(anonset_used_clear(NULL, NULL), ANONSET_INVALID);
    anonset_used_close(list);
    anonset_used_close(NULL);
    other_writes(2); /* its digest is none of these tags */
    cr_assert_eq(anonset_used_open(&list, store, NULL), ANONSET_OK);
    cr_assert_eq(anonset_used_verify(list, &sound, NULL), ANONSET_OK);
    cr_assert_not(sound);
    anonset_used_close(list);
    store->vtable.used_append = moved_on;
    cr_assert_eq(anonset_used_clear(store, NULL), ANONSET_STALE);
    anonset_store_close(store);
}
