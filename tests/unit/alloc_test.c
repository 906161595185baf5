/* The heap that the caller brings: what it is asked for, and that all of it comes back. */
#include "core/alloc.h"

#include "backends/backends.h"
#include "tests/support/support.h"
#include "tests/unit/rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- An allocator that counts --------------------------------------------------------------- */

static struct heap {
    long live;
    unsigned long asked;
    unsigned long fails_from; /* 0: never */
    bool misused;
} heap;

static bool may(const struct heap *h)
{
    return h->fails_from == 0 || h->asked < h->fails_from;
}

static void *allocate(void *context, size_t bytes)
{
    struct heap *h = context;
    h->asked++;
    h->misused = h->misused || bytes == 0;
    void *block = may(h) ? malloc(bytes) : NULL;
    if (block) {
        h->live++;
        memset(block, 0xa5, bytes);
    }
    return block;
}

static void *reallocate(void *context, void *block, size_t bytes)
{
    struct heap *h = context;
    h->asked++;
    h->misused = h->misused || bytes == 0 || !block;
    return may(h) ? realloc(block, bytes) : NULL;
}

static void release(void *context, void *block)
{
    struct heap *h = context;
    h->misused = h->misused || !block;
    h->live--;
    free(block);
}

static const anonset_allocator counting = {.size = sizeof counting,
                                           .allocate = allocate,
                                           .reallocate = reallocate,
                                           .release = release,
                                           .context = &heap};

static void count_from_here(void)
{
    anonset_detail detail = {0};
    cr_assert_eq(anonset_set_allocator(&counting, &detail), ANONSET_OK, "%s", detail.text);
}

static void expect_all_back(void)
{
    cr_expect_eq(heap.live, 0, "%ld blocks", heap.live);
    cr_expect_not(heap.misused);
}

/* ---- Setting it ----------------------------------------------------------------------------- */

static void expect_refused(const anonset_allocator *allocator)
{
    anonset_detail detail = {0};
    cr_expect_eq(anonset_set_allocator(allocator, &detail), ANONSET_INVALID);
    cr_expect(strstr(detail.text, "anonset"), "%s", detail.text);
}

Test(alloc, an_incomplete_allocator_is_refused_and_changes_nothing)
{
    anonset_allocator lacking[4] = {counting, counting, counting, counting};
    lacking[0].size--;
    lacking[1].allocate = NULL;
    lacking[2].reallocate = NULL;
    lacking[3].release = NULL;
    expect_refused(NULL);
    for (size_t i = 0; i < 4; i++)
        expect_refused(&lacking[i]);
    count_from_here();
}

Test(alloc, one_is_set_once)
{
    count_from_here();
    expect_refused(&counting);
}

Test(alloc, it_is_too_late_once_memory_was_taken)
{
    anonset_answer answer = {0};
    anonset_request meta = {.id = 1};
    anonset_sync *sync = NULL;
    /* What takes none leaves it open. */
    anonset_answer_clear(&answer);
    (void)anonset_answer_limit(&meta);
    cr_expect_eq(anonset_sync_new(&sync, NULL, NULL, NULL), ANONSET_INVALID);
    as_free(as_alloc(1));
    expect_refused(&counting);
    cr_expect_eq(heap.asked, 0);
}

/* ---- What it is asked for ------------------------------------------------------------------- */

Test(alloc, hooks_are_never_asked_for_nothing_nor_given_nothing)
{
    static const char zero[64];
    count_from_here();
    as_free(NULL);
    cr_expect_eq(heap.asked, 0);
    as_free(as_alloc(0));
    char *block = as_realloc(NULL, 2);
    cr_assert(block);
    memcpy(block, "x", 2);
    block = as_realloc(block, 10);
    cr_assert(block);
    cr_expect_str_eq(block, "x");
    block = as_realloc(block, 0);
    as_free(block);
    block = as_alloc_zeroed(sizeof zero);
    cr_assert(block);
    cr_expect_arr_eq(block, zero, sizeof zero);
    as_free(block);
    block = as_strdup("some words");
    cr_assert(block);
    cr_expect_str_eq(block, "some words");
    as_free(block);
    expect_all_back();
}

Test(alloc, no_memory_is_told_and_takes_nothing_away)
{
    count_from_here();
    char *kept = as_strdup("kept");
    heap.fails_from = 1;
    cr_expect_null(as_alloc(1));
    cr_expect_null(as_alloc_zeroed(1));
    cr_expect_null(as_strdup(""));
    cr_expect_null(as_realloc(NULL, 1));
    cr_expect_null(as_realloc(kept, 100));
    cr_expect_str_eq(kept, "kept");
    as_free(kept);
    expect_all_back();
}

/* ---- Whole courses -------------------------------------------------------------------------- */

static ts_dir dir;

static void enter(void)
{
    ts_dir_make(&dir);
    cr_assert_eq(chdir(dir.path), 0);
    count_from_here();
}

static void leave(void)
{
    cr_assert_eq(chdir("/"), 0);
    ts_dir_remove(&dir);
}

static void read_all(void)
{
    anonset_snapshot *snapshot;
    anonset_coin coin;
    uint32_t n = 0;
    cr_assert_eq(anonset_snapshot_open(&snapshot, r.store, 1, NULL), ANONSET_OK);
    while (anonset_snapshot_next(snapshot, &coin, NULL) == ANONSET_OK)
        n++;
    cr_expect_eq(n, anonset_snapshot_state(snapshot)->finalized.size);
    anonset_snapshot_close(snapshot);
}

/* A sync, a second one that follows the chain, all coins read, and all verified. */
static void course(const anonset_backend *backend)
{
    anonset_verdict verdict;
    enter();
    rig_set_up_with(backend);
    rig_run();
    rig_expect_whole();
    unsigned long first = heap.asked;
    r.chain = tw_mutate(&r.world, r.chain);
    rig_end();
    rig_begin();
    rig_run();
    read_all();
    cr_assert_eq(anonset_store_verify(r.store, &verdict, 1, NULL), ANONSET_OK);
    cr_expect(verdict.sound);
    cr_expect(first > 20 && heap.asked > first + 10, "%lu, %lu", first, heap.asked);
    rig_tear_down();
    expect_all_back();
    leave();
}

Test(alloc, every_block_comes_back_from_sqlite)
{
    course(&as_backend_sqlite);
}

Test(alloc, every_block_comes_back_from_lmdb)
{
    course(&as_backend_lmdb);
}

/* The n-th block and all behind it are refused, for every n that opening asks for. */
static void open_without_memory(const anonset_backend *backend)
{
    anonset_store_options options;
    anonset_code code = ANONSET_NO_MEMORY;
    anonset_store *store = NULL;
    unsigned refused = 0;
    enter();
    anonset_store_options_init(&options);
    options.backend = backend;
    while (code != ANONSET_OK) {
        anonset_detail detail = {0};
        heap.asked = 0;
        heap.fails_from = refused + 1;
        code = anonset_store_open(&store, "store", &options, &detail);
        if (code == ANONSET_OK)
            break;
        refused++;
        cr_assert_eq(code, ANONSET_NO_MEMORY, "%u: %s", refused, detail.text);
        cr_assert_eq(detail.code, ANONSET_NO_MEMORY);
        cr_assert_eq(heap.live, 0, "%u", refused);
    }
    cr_expect_gt(refused, 2);
    anonset_store_close(store);
    expect_all_back();
    leave();
}

Test(alloc, a_store_is_not_opened_without_memory_sqlite)
{
    open_without_memory(&as_backend_sqlite);
}

Test(alloc, a_store_is_not_opened_without_memory_lmdb)
{
    open_without_memory(&as_backend_lmdb);
}

/* A run in which each answer overtakes the one before it. */
static void run_overtaking(void)
{
    const anonset_request *outstanding;
    anonset_step step = ANONSET_STEP_SEND;
    while (step != ANONSET_STEP_DONE) {
        step = anonset_sync_step(r.sync, &r.last);
        if (step != ANONSET_STEP_WAIT)
            continue;
        if (r.fed < FEEDS_MOST)
            r.choice[r.fed] = anonset_sync_outstanding(r.sync, &outstanding) > 1;
        rig_feed_one();
    }
}

/* The n-th block and all behind it are refused, for every n. */
Test(alloc, a_sync_ends_wherever_memory_ends)
{
    bool refused = true;
    count_from_here();
    for (unsigned long n = 1; refused; n++) {
        rig_set_up();
        heap.asked = 0;
        heap.fails_from = n;
        run_overtaking();
        refused = heap.asked >= n;
        heap.fails_from = 0;
        cr_assert_eq(r.result.error.code, refused ? ANONSET_NO_MEMORY : ANONSET_OK, "%lu: %s", n,
                     r.result.error.text);
        memset(r.choice, 0, sizeof r.choice);
        rig_expect_next_finishes();
        rig_tear_down();
    }
    cr_expect_not(heap.misused);
}

Test(alloc, a_level_is_not_raised_without_memory)
{
    anonset_detail detail;
    count_from_here();
    rig_set_up();
    r.options.proof_budget = 0;
    rig_end();
    rig_begin();
    rig_run();
    anonset_complete raise = {.group = 1, .gate = ANONSET_GATE_SET_HASH};
    raise.target = r.result.state.finalized;
    memcpy(raise.digest, r.result.state.digest, sizeof raise.digest);
    heap.fails_from = heap.asked + 1;
    cr_expect_eq(as_backend_memory.mark_complete(r.store->handle, &raise, &detail),
                 ANONSET_NO_MEMORY);
    heap.fails_from = 0;
    cr_expect_eq(as_backend_memory.mark_complete(r.store->handle, &raise, &detail), ANONSET_OK);
    rig_tear_down();
}

Test(alloc, a_sync_ends_for_want_of_memory_and_the_next_goes_on)
{
    enter();
    rig_set_up_with(&as_backend_sqlite);
    for (int i = 0; i < 6; i++)
        (void)rig_turn();
    heap.fails_from = 1;
    rig_run();
    cr_expect_eq(r.result.error.code, ANONSET_NO_MEMORY, "%s", r.result.error.text);
    heap.fails_from = 0;
    rig_expect_next_finishes();
    rig_tear_down();
    expect_all_back();
    leave();
}
