/*
 * The list of used coin tags, while every call into the library below a backend fails, and every
 * call of a backend and of the hash function, each on every way that leads to it: in fetching it,
 * following reorganizations, reading, looking up, verifying and clearing. Whatever failed was told
 * in words, the list is sound then, and the next sync brings it to what the server has.
 */
#include "config.h"

#include "backends/backends.h"
#include "core/store.h"
#include "tests/conformance/kit.h"
#include "tests/shims/calls.h"
#include "tests/shims/failing.h"
#include "tests/shims/wraps.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <lmdb.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST     1050u /* tags: more than LMDB keeps in one place */
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* What the server has, one after the other: it grows, loses its newest tags, and then more of them
 * than are asked for at first. */
typedef struct list {
    anonset_used used[MOST];
    uint32_t n;
} list;

#define LISTS 4u

static list lists[LISTS];
static const anonset_backend *backend;
static ts_dir dir;
static char path[400];
static unsigned runs;
static anonset_used_result told;

static void make_list(uint32_t i, uint32_t keep, uint32_t n)
{
    if (i > 0)
        memcpy(lists[i].used, lists[i - 1].used, keep * sizeof *lists[i].used);
    kit_used_fill(lists[i].used + keep, i + 1, n - keep);
    lists[i].n = n;
}

/* Of up to 150 tags, times `unit`. */
static void begin(const anonset_backend *chosen, uint32_t unit)
{
    backend = chosen;
    runs = 0;
    if (access("/dev/shm", W_OK) == 0) /* no power is lost here: syncs may cost nothing */
        cr_assert_eq(setenv("TMPDIR", "/dev/shm", 0), 0);
    ts_dir_make(&dir);
    make_list(0, 0, 90 * unit);
    make_list(1, 90 * unit, 140 * unit);
    make_list(2, 138 * unit, 141 * unit);
    make_list(3, 100 * unit, 150 * unit);
    calls_forget();
}

/* ---- What is done ------------------------------------------------------------------------ */

static void has_words(anonset_code code, const anonset_detail *detail, const char *doing)
{
    cr_assert(code == ANONSET_OK || code == ANONSET_NOT_FOUND || detail->text[0],
              "%s failed by %s, without a word (%s)", doing, calls_name(), anonset_strerror(code));
}

static anonset_store *open_store(unsigned flags)
{
    anonset_store_options options;
    anonset_store *store = NULL;
    anonset_detail why = {.code = ANONSET_OK};
    anonset_store_options_init(&options);
    options.backend = backend;
    options.flags = flags;
    options.busy_ms = 50;
    has_words(anonset_store_open(&store, path, &options, &why), &why, "opening");
    return store;
}

static void on_used(void *context, const anonset_used_result *result)
{
    (void)context;
    told = *result;
}

static void answer(anonset_sync *sync, const anonset_request *request, const list *served)
{
    static const uint8_t genesis[ANONSET_HASH_BYTES] = {1};
    uint32_t from = request->start < served->n ? request->start : served->n;
    anonset_answer a = {.id = request->id,
                        .kind = ANONSET_ANSWER_USED,
                        .used = served->used + from,
                        .n = served->n - from};
    if (request->kind == ANONSET_REQUEST_GENESIS) {
        a = (anonset_answer){.id = request->id, .kind = ANONSET_ANSWER_HASH};
        memcpy(a.meta.block_hash, genesis, sizeof genesis);
    }
    cr_assert_eq(anonset_sync_feed(sync, &a, NULL), ANONSET_OK);
}

/* False: it never began. What came of it is in `told`. */
static bool sync_with(anonset_store *store, const list *served)
{
    anonset_sync_options options;
    anonset_sync *sync = NULL;
    anonset_request asked;
    anonset_detail why = {.code = ANONSET_OK};
    anonset_step step = ANONSET_STEP_SEND;
    anonset_sync_options_init(&options);
    options.used = ANONSET_USED_ONLY;
    options.on_used = on_used;
    anonset_code code = anonset_sync_new(&sync, store, &options, &why);
    has_words(code, &why, "beginning a sync");
    while (code == ANONSET_OK && step != ANONSET_STEP_DONE) {
        const anonset_request *outstanding;
        step = anonset_sync_step(sync, &asked);
        if (step == ANONSET_STEP_WAIT && anonset_sync_outstanding(sync, &outstanding) > 0) {
            asked = outstanding[0];
            answer(sync, &asked, served);
        }
    }
    anonset_sync_free(sync);
    cr_assert(code != ANONSET_OK || told.outcome <= ANONSET_UP_TO_DATE || told.error.text[0],
              "%s by %s, without a word", anonset_outcome_name(told.outcome), calls_name());
    return code == ANONSET_OK;
}

static void look_up(anonset_used_list *opened)
{
    const list *newest = &lists[LISTS - 1];
    const anonset_used *known[] = {newest->used, newest->used + newest->n / 2,
                                   newest->used + newest->n - 1};
    anonset_used found;
    uint32_t at;
    for (size_t i = 0; i < COUNT(known); i++) {
        anonset_detail why = {.code = ANONSET_OK};
        anonset_code code = anonset_used_find(opened, &found, &at, known[i]->tag, &why);
        has_words(code, &why, "looking a tag up");
        cr_assert(code != ANONSET_OK || memcmp(&found, known[i], sizeof found) == 0);
    }
}

static void read_all(anonset_used_list *opened)
{
    static anonset_used page[400];
    anonset_code code;
    uint32_t at = 0, n = 0;
    do {
        anonset_detail why = {.code = ANONSET_OK};
        code = anonset_used_read(opened, page, &n, at, COUNT(page), &why);
        has_words(code, &why, "reading");
        at += n;
    } while (code == ANONSET_OK && n > 0);
}

static void look_at(anonset_store *store)
{
    anonset_used_list *opened = NULL;
    anonset_detail why = {.code = ANONSET_OK};
    bool sound;
    anonset_code code = anonset_used_open(&opened, store, &why);
    has_words(code, &why, "opening the list");
    if (code != ANONSET_OK)
        return;
    anonset_used_list *second = NULL; /* needs a connection of its own */
    code = anonset_used_open(&second, store, &why);
    has_words(code, &why, "opening the list again");
    anonset_used_close(second);
    read_all(opened);
    look_up(opened);
    has_words(anonset_used_verify(opened, &sound, &why), &why, "verifying");
    anonset_used_close(opened);
}

static void work(void)
{
    anonset_detail why = {.code = ANONSET_OK};
    anonset_store *store = open_store(ANONSET_STORE_CREATE);
    if (!store)
        return;
    for (uint32_t i = 0; i < LISTS; i++)
        (void)sync_with(store, &lists[i]);
    anonset_store_close(store);
    store = open_store(ANONSET_STORE_READ_ONLY);
    if (!store)
        return;
    look_at(store);
    anonset_store_close(store);
    store = open_store(ANONSET_STORE_CREATE);
    if (!store)
        return;
    has_words(anonset_used_clear(store, &why), &why, "clearing the list");
    (void)sync_with(store, &lists[0]);
    has_words(anonset_store_clear(store, 0, &why), &why, "clearing");
    (void)sync_with(store, &lists[1]);
    anonset_store_close(store);
}

static void create(void)
{
    anonset_store_close(open_store(ANONSET_STORE_CREATE));
}

static void (*doing)(void) = work;

/* ---- What must be so behind it ----------------------------------------------------------- */

/* The list is sound, and the begin of one of the server's. */
static void expect_known(anonset_used_list *opened)
{
    static anonset_used page[MOST];
    uint32_t count = anonset_used_list_state(opened)->count, n = 0;
    bool sound = false, known = false;
    cr_assert_eq(anonset_used_verify(opened, &sound, NULL), ANONSET_OK);
    cr_assert(sound && count <= MOST, "behind %s", calls_name());
    for (uint32_t at = 0; at < count; at += n)
        cr_assert_eq(anonset_used_read(opened, page + at, &n, at, MOST - at, NULL), ANONSET_OK);
    for (size_t i = 0; i < LISTS; i++)
        known = known ||
                (count <= lists[i].n && memcmp(page, lists[i].used, count * sizeof *page) == 0);
    cr_assert(known, "behind %s: a list that no server told", calls_name());
}

static void expect_sound(void)
{
    anonset_used_list *opened;
    anonset_store *store = open_store(ANONSET_STORE_CREATE);
    cr_assert(store, "behind %s", calls_name());
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(anonset_used_open(&opened, store, NULL), ANONSET_OK);
        expect_known(opened);
        anonset_used_close(opened);
        cr_assert(sync_with(store, &lists[LISTS - 1]));
        cr_assert_leq(told.outcome, ANONSET_UP_TO_DATE, "behind %s: %s", calls_name(),
                      told.error.text);
        cr_assert_eq(told.state.count, lists[LISTS - 1].n);
    }
    anonset_store_close(store);
}

/* ---- Runs -------------------------------------------------------------------------------- */

/* With what a call fails: of SQLite, of LMDB, of a backend. */
typedef struct fault {
    int sqlite, lmdb;
    anonset_code backend;
} fault;

/* Every way fails once, every other one with all that follows, in a run of its own. */
static void fail_ways(const anonset_backend *chosen, uint32_t unit, const fault *faults, size_t n)
{
    static const int os_errors[] = {EIO, ENOSPC, EACCES, EMFILE, ENOMEM};
    begin(chosen, unit);
    calls_sample();
    do {
        const fault *now = &faults[runs % n];
        (void)snprintf(path, sizeof path, "%s/store-%u", dir.path, runs);
        wraps_fail_with(now->sqlite, now->lmdb, os_errors[runs % COUNT(os_errors)]);
        failing_with(now->backend);
        calls_arm(runs++ % 2 == 1);
        doing();
        calls_disarm();
        expect_sound();
    } while (calls_struck());
    cr_log_info("%s: %u ways failed", chosen->name, calls_ways());
    cr_expect_gt(calls_ways_met(), 2);
    ts_dir_remove(&dir);
}

Test(calls_used, sqlite, .timeout = 600)
{
    static const fault faults[] = {{.sqlite = SQLITE_IOERR_READ}, {.sqlite = SQLITE_BUSY},
                                   {.sqlite = SQLITE_CORRUPT},    {.sqlite = SQLITE_NOMEM},
                                   {.sqlite = SQLITE_FULL},       {.sqlite = SQLITE_ERROR}};
    fail_ways(&as_backend_sqlite, 2, faults, COUNT(faults));
}

/* Where another program is in the way of a new store. */
Test(calls_used, creating_sqlite, .timeout = 600)
{
    static const fault busy = {.sqlite = SQLITE_BUSY};
    doing = create;
    fail_ways(&as_backend_sqlite, 1, &busy, 1);
}

Test(calls_used, lmdb, .timeout = 600)
{
    static const fault faults[] = {{.lmdb = EIO},          {.lmdb = ENOSPC},
                                   {.lmdb = ENOMEM},       {.lmdb = MDB_CORRUPTED},
                                   {.lmdb = MDB_MAP_FULL}, {.lmdb = MDB_BAD_TXN},
                                   {.lmdb = MDB_INVALID},  {.lmdb = EACCES}};
    fail_ways(&as_backend_lmdb, 7, faults, COUNT(faults));
}

Test(calls_used, backend, .timeout = 600)
{
    static const fault faults[] = {{.backend = ANONSET_IO},
                                   {.backend = ANONSET_STALE},
                                   {.backend = ANONSET_CORRUPT},
                                   {.backend = ANONSET_BUSY},
                                   {.backend = ANONSET_FULL}};
    const anonset_backend failing = failing_backend(&as_backend_memory);
    fail_ways(&failing, 2, faults, COUNT(faults));
}

/* The hash function and the C library's memory fail, and nothing below. */
Test(calls_used, crypto, .timeout = 600)
{
    static const fault none;
    fail_ways(&as_backend_memory, 2, &none, 1);
}
