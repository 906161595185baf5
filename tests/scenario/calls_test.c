/*
 * Every call into the library below a backend fails, once and for good, each on every way that
 * leads to it: in opening, syncing, following reorganizations, reading, verifying, clearing,
 * repairing.
 * Whatever failed, the store then opens, shows a whole set that some server told or none, and the
 * next sync finishes on it. The same with every call of a backend, and of the hash function.
 */
#include "config.h"

#include "backends/backends.h"
#include "cli/convert_copy.h"
#include "cli/convert_place.h"
#include "core/store.h"
#include "tests/shims/calls.h"
#include "tests/shims/failing.h"
#include "tests/shims/rotten.h"
#include "tests/shims/wraps.h"
#include "tests/support/legacy.h"
#include "tests/support/play.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <lmdb.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUP    1u
#define CHAINS   6u
#define SECTOR   16u
#define COUNT(a) (sizeof(a) / sizeof *(a))

#define SEED  7u /* one whose chains grow, lose their tail, and are mined again */
#define SEEDS 5u /* where runs are cheap as many histories follow, some that shrink or are kept */

static struct {
    const anonset_backend *backend;
    tw_world world;
    const tw_chain *chain[CHAINS];
    tw_reply reply;
    ts_dir dir;
    uint64_t seed;
    uint32_t group, sector;
    bool keep; /* sets are kept in a reorganization */
    bool no_genesis;
    bool corrupt;  /* calls fail as if what they read was damaged */
    unsigned runs; /* each has a store of its own */
    char path[400];
} now;

/* With what a call fails: of SQLite, of LMDB, of a backend. */
typedef struct fault {
    int sqlite, lmdb;
    anonset_code backend;
} fault;

/* ---- What is done --------------------------------------------------------------------------- */

/* What a store gets over it tells of here, in words. */
static void hear(void *context, anonset_code code, const char *text)
{
    (void)context;
    cr_assert(code != ANONSET_OK && text[0], "%s was got over without a word", calls_name());
}

static anonset_code open_store(anonset_store **store, unsigned flags, anonset_detail *detail)
{
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = now.backend;
    options.flags = flags;
    options.busy_ms = 50;
    options.log = hear;
    return anonset_store_open(store, now.path, &options, detail);
}

static anonset_trusted trust(const tw_chain *chain)
{
    anonset_trusted trusted = {.group = now.group, .size = chain->meta.size};
    memcpy(trusted.digest, chain->digest, sizeof trusted.digest);
    return trusted;
}

static anonset_outcome sync_with(anonset_store *store, const tw_chain *chain, uint32_t answers,
                                 anonset_code *code, anonset_detail *why)
{
    anonset_sync_options options;
    anonset_result result;
    anonset_sync_options_init(&options);
    options.group = now.group;
    options.sector_size = now.sector;
    options.ask_genesis = !now.no_genesis;
    options.prove = now.seed % 2 == 1;
    options.on_reorg = now.keep ? ANONSET_REORG_KEEP : ANONSET_REORG_FOLLOW;
    if (now.seed % 4 <= 1)
        options.proof_budget = 4;
    const anonset_trusted trusted = trust(chain);
    if (now.seed % 3 == 1) {
        options.trusted = &trusted;
        options.trusted_n = 1;
    }
    *code = tp_sync(&result, store, chain, &options, answers, &now.reply);
    *why = result.error;
    return result.outcome;
}

/* Reads all coins, newest first, from the block of `chain` on. */
static anonset_code read_since(anonset_store *store, const tw_chain *chain, anonset_detail *detail)
{
    anonset_snapshot *snapshot = NULL;
    anonset_coin coin;
    uint32_t from;
    anonset_code code = anonset_snapshot_open(&snapshot, store, GROUP, detail);
    if (code != ANONSET_OK)
        return code;
    code = anonset_snapshot_find(snapshot, &from, chain->meta.block_hash, detail);
    if (code == ANONSET_NOT_FOUND)
        from = 0;
    else if (code != ANONSET_OK)
        goto out;
    code = anonset_snapshot_seek(snapshot, from, anonset_snapshot_state(snapshot)->finalized.size,
                                 ANONSET_NEWEST_FIRST, detail);
    while (code == ANONSET_OK)
        code = anonset_snapshot_next(snapshot, &coin, detail);
out:
    anonset_snapshot_close(snapshot);
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

/* A call that fails has told why, in words. */
static void has_words(anonset_code code, const anonset_detail *detail, const char *doing)
{
    cr_assert(code == ANONSET_OK || detail->text[0], "%s failed by %s, without a word (%s)", doing,
              calls_name(), anonset_strerror(code));
}

/* Each block that a chain ended with. */
static void look_for_ancestors(anonset_store *store)
{
    for (uint32_t i = 0; i < CHAINS; i++) {
        anonset_detail why = {.code = ANONSET_OK};
        anonset_meta ancestor, newest;
        has_words(anonset_store_ancestor(store, &ancestor, &newest, GROUP,
                                         now.chain[i]->meta.block_hash, 4096, &why),
                  &why, "an ancestor");
    }
}

static void look_at(anonset_store *store)
{
    anonset_detail why = {.code = ANONSET_OK};
    anonset_verdict verdict;
    anonset_state state;
    uint64_t bytes;
    uint32_t group;
    anonset_code code = read_since(store, now.chain[0], &why);
    has_words(code, &why, "reading");
    code = anonset_store_verify(store, &verdict, GROUP, &why);
    if (code != ANONSET_NOT_FOUND)
        has_words(code, &why, "verifying");
    code = anonset_store_next_group(store, &group, 0, &why);
    if (code != ANONSET_NOT_FOUND)
        has_words(code, &why, "listing");
    has_words(anonset_store_state(store, &state, GROUP, &why), &why, "the state");
    has_words(anonset_store_disk_bytes(store, &bytes, &why), &why, "the size");
    look_for_ancestors(store);
}

static void sync_all_chains(anonset_store *store)
{
    now.keep = now.seed % 3 == 2;
    anonset_detail why;
    anonset_code code;
    for (uint32_t i = 0; i < CHAINS; i++) {
        anonset_outcome outcome;
        if (i == 1) { /* given up half way, and resumed */
            (void)sync_with(store, now.chain[i], 3, &code, &why);
        }
        outcome = sync_with(store, now.chain[i], TP_ALL, &code, &why);
        cr_assert(outcome == ANONSET_OUTCOME_COUNT || outcome <= ANONSET_UP_TO_DATE || why.text[0],
                  "%s by %s, without a word", anonset_outcome_name(outcome), calls_name());
    }
}

/* NULL: a call failed, and that was told. */
static anonset_store *try_store(unsigned flags, const char *doing)
{
    anonset_store *store = NULL;
    anonset_detail why = {.code = ANONSET_OK};
    anonset_code code = open_store(&store, flags, &why);
    has_words(code, &why, doing);
    return code == ANONSET_OK ? store : NULL;
}

static void work(void)
{
    anonset_detail why = {.code = ANONSET_OK};
    anonset_store *store = try_store(ANONSET_STORE_CREATE, "making the store");
    if (!store)
        return;
    sync_all_chains(store);
    look_at(store);
    anonset_store_close(store);
    store = try_store(ANONSET_STORE_READ_ONLY, "opening to read");
    if (store) {
        look_at(store);
        anonset_store_close(store);
    }
    store = try_store(ANONSET_STORE_CREATE, "opening again");
    if (!store)
        return;
    has_words(anonset_store_clear(store, now.runs % 2 ? GROUP : 0, &why), &why, "clearing");
    sync_all_chains(store);
    anonset_store_close(store);
}

/* ---- What must be so behind it -------------------------------------------------------------- */

static void expect_known_set(anonset_store *store)
{
    anonset_state state;
    anonset_detail detail = {.code = ANONSET_OK};
    char why[400] = "";
    const tw_chain *chain;
    cr_assert_eq(anonset_store_state(store, &state, GROUP, &detail), ANONSET_OK, "behind %s: %s",
                 calls_name(), detail.text);
    if (!state.has_finalized)
        return;
    chain = tw_find(&now.world, &state.finalized);
    cr_assert(chain, "behind %s: a set that no server told", calls_name());
    cr_assert(tp_is_whole(store, GROUP, chain, why, sizeof why), "behind %s: %s", calls_name(),
              why);
}

static void expect_sound(void)
{
    anonset_store *store = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_code code = open_store(&store, ANONSET_STORE_CREATE, &detail);
    const tw_chain *last = now.chain[CHAINS - 1];
    char why[400] = "";
    cr_assert_eq(code, ANONSET_OK, "behind %s: %s", calls_name(), detail.text);
    expect_known_set(store);
    now.keep = false;
    anonset_outcome outcome = sync_with(store, last, TP_ALL, &code, &detail);
    if (outcome == ANONSET_REMOTE_BEHIND) { /* the last chain is a shorter one */
        expect_known_set(store);
        anonset_store_close(store);
        return;
    }
    cr_assert(code == ANONSET_OK && outcome <= ANONSET_UP_TO_DATE, "behind %s: %s: %s",
              calls_name(), anonset_outcome_name(outcome), detail.text);
    cr_assert(tp_is_whole(store, GROUP, last, why, sizeof why), "behind %s: %s", calls_name(), why);
    anonset_store_close(store);
}

/* ---- Older caches, and converting ------------------------------------------------------------ */

/* Writes an older wallet's cache of the first chain. */
static void fill_cache(ts_legacy *cache)
{
    const tw_chain *chain = now.chain[0];
    static uint8_t bytes[TW_COINS_MAX][TW_COIN_BYTES];
    static anonset_coin coins[TW_COINS_MAX];
    for (uint32_t i = 0; i < chain->meta.size; i++)
        tw_coin(&coins[i], bytes[i], chain->coin[i], &chain->coin_tx[i]);
    ts_legacy_delta(cache, ts_legacy_set(cache, GROUP, &chain->meta), GROUP, coins,
                    chain->meta.size, SECTOR);
    ts_legacy_run(cache, "UPDATE SparkSet SET complete = 1");
}

static void write_cache(const char *path)
{
    ts_legacy cache;
    ts_legacy_create(&cache, path, TS_LEGACY_V2);
    fill_cache(&cache);
    ts_legacy_close(&cache);
}

static void copy_file(const char *to, const char *from)
{
    size_t len;
    char *bytes = ts_read_file(from, &len);
    ts_write_file(to, bytes, len);
    free(bytes);
}

static void prepare_cache(void)
{
    const char *model = ts_in(&now.dir, "model");
    if (access(model, F_OK) != 0)
        write_cache(model);
    copy_file(now.path, model);
}

/* One of a wallet that was killed: part of it is in the log. */
static void prepare_logged_cache(void)
{
    const char *model = ts_in(&now.dir, "logged"), *log = ts_in(&now.dir, "logged-wal");
    char own_log[sizeof now.path + 8];
    if (access(model, F_OK) != 0) {
        ts_legacy cache;
        const char *open = ts_in(&now.dir, "open");
        ts_legacy_create(&cache, open, TS_LEGACY_V2);
        ts_legacy_run(&cache, "PRAGMA journal_mode=WAL");
        ts_legacy_run(&cache, "PRAGMA wal_autocheckpoint=0");
        fill_cache(&cache);
        copy_file(model, open);
        copy_file(log, ts_in(&now.dir, "open-wal"));
        ts_legacy_close(&cache);
    }
    (void)snprintf(own_log, sizeof own_log, "%s-wal", now.path);
    copy_file(now.path, model);
    copy_file(own_log, log);
}

/* Opening it upgrades it. */
static void work_on_cache(void)
{
    anonset_store *store = NULL;
    anonset_detail why = {.code = ANONSET_OK};
    anonset_code code = open_store(&store, ANONSET_STORE_CREATE, &why);
    has_words(code, &why, "upgrading");
    if (code != ANONSET_OK)
        return;
    look_at(store);
    anonset_store_close(store);
}

/* Converts what is at `from` into now.path, by now.backend. */
static anonset_code convert(const char *from, anonset_detail *detail)
{
    const anonset_backend_options options = {.flags = ANONSET_STORE_CREATE, .busy_ms = 50};
    convert_source source = {.path = from};
    convert_place place;
    void *store;
    anonset_code code = convert_open(&source, detail);
    if (code != ANONSET_OK)
        return code;
    code = convert_place_make(&place, now.path, detail);
    if (code != ANONSET_OK)
        goto close_source;
    code = now.backend->open(&store, place.store, &options, detail);
    if (code == ANONSET_OK) {
        code = convert_copy(&source, now.backend, store, detail);
        now.backend->close(store);
    }
    if (code == ANONSET_OK)
        code = convert_place_finish(&place, detail);
    convert_place_end(&place);
close_source:
    convert_close(&source);
    return code;
}

/* The cache, and a store of the other backend with a pending set beside its finalized one. */
static const char *sources[2];

static void prepare_sources(void)
{
    const anonset_backend *to = now.backend;
    anonset_store *store;
    anonset_detail why;
    anonset_code code;
    char own[sizeof now.path];
    sources[0] = ts_in(&now.dir, "model");
    sources[1] = ts_in(&now.dir, "other");
    if (access(sources[0], F_OK) == 0)
        return;
    write_cache(sources[0]);
    memcpy(own, now.path, sizeof own);
    (void)snprintf(now.path, sizeof now.path, "%s", sources[1]);
    now.backend = to == &as_backend_lmdb ? &as_backend_sqlite : &as_backend_lmdb;
    cr_assert_eq(open_store(&store, ANONSET_STORE_CREATE, &why), ANONSET_OK);
    for (uint32_t i = 0; i < CHAINS - 1; i++)
        (void)sync_with(store, now.chain[i], TP_ALL, &code, &why);
    (void)sync_with(store, now.chain[CHAINS - 1], 5, &code, &why);
    anonset_store_close(store);
    memcpy(now.path, own, sizeof own);
    now.backend = to;
}

/* A conversion that failed left nothing under the new name, or the whole store if only the end of
 * it could not be made sure; the next one works. */
static void work_converting(void)
{
    anonset_detail why = {.code = ANONSET_OK};
    anonset_code code = convert(sources[now.runs % COUNT(sources)], &why);
    has_words(code, &why, "converting");
    if (code != ANONSET_OK)
        return;
    code = convert(sources[0], &why);
    cr_assert_neq(code, ANONSET_OK, "a store was written over");
    has_words(code, &why, "converting over a store");
}

static void expect_converted(void)
{
    anonset_detail why = {.code = ANONSET_OK};
    if (access(now.path, F_OK) != 0)
        cr_assert_eq(convert(sources[0], &why), ANONSET_OK, "behind %s: %s", calls_name(),
                     why.text);
}

/* ---- Runs ----------------------------------------------------------------------------------- */

static void begin(const anonset_backend *backend, uint64_t seed)
{
    now.backend = backend;
    now.runs = 0;
    if (access("/dev/shm", W_OK) == 0) /* no power is lost here: syncs may cost nothing */
        cr_assert_eq(setenv("TMPDIR", "/dev/shm", 0), 0);
    ts_dir_make(&now.dir);
    tw_world_init(&now.world, seed);
    now.seed = seed;
    now.group = GROUP;
    now.sector = SECTOR;
    now.chain[0] = tw_grow(&now.world, NULL, 6);
    for (uint32_t i = 1; i < CHAINS; i++)
        now.chain[i] = tw_mutate(&now.world, now.chain[i - 1]);
    calls_forget();
}

static void end(void)
{
    ts_dir_remove(&now.dir);
    tw_world_free(&now.world);
}

static void new_path(void)
{
    (void)snprintf(now.path, sizeof now.path, "%s/store-%u", now.dir.path, now.runs++);
}

static const int os_errors[] = {EIO, ENOSPC, EACCES, EMFILE, ENOMEM};

/* What is done while calls fail, before and behind it. */
typedef struct job {
    const anonset_backend *backend;
    void (*prepare)(void); /* or NULL */
    void (*work)(void);
    void (*restore)(void); /* or NULL */
    uint64_t more_seeds;   /* in the slice for every check */
} job;

typedef enum lasting {
    ONCE,
    FOR_GOOD,
    BY_TURNS, /* every other run */
} lasting;

/* Every way fails once, in a run of its own, with one code after another. */
static void fail_ways(const job *j, const fault *faults, size_t n, lasting how, uint64_t seed)
{
    begin(j->backend, seed);
    calls_sample();
    do {
        new_path();
        if (j->prepare)
            j->prepare();
        const fault *fault_now = &faults[now.runs % n];
        wraps_fail_with(fault_now->sqlite, fault_now->lmdb, os_errors[now.runs % COUNT(os_errors)]);
        failing_with(fault_now->backend);
        now.corrupt = fault_now->backend == ANONSET_CORRUPT;
        calls_arm(how == FOR_GOOD || (how == BY_TURNS && now.runs % 2 == 1));
        j->work();
        calls_disarm();
        if (j->restore)
            j->restore();
        expect_sound();
    } while (calls_struck());
    cr_log_info("%s: %u ways failed", j->backend->name, calls_ways());
    cr_expect_gt(calls_ways_met(), 100);
    end();
}

/* The slice for every check; with ANONSET_EVERY_CODE set every way fails with every code. */
static void fail_all(const job *j, const fault *faults, size_t n)
{
    if (!getenv("ANONSET_EVERY_CODE")) {
        for (uint64_t i = 0; i < j->more_seeds + 1; i++)
            fail_ways(j, faults, n, BY_TURNS, SEED + i);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        fail_ways(j, &faults[i], 1, ONCE, SEED + i);
        fail_ways(j, &faults[i], 1, FOR_GOOD, SEED + i);
    }
}

static const fault sqlite_faults[] = {{.sqlite = SQLITE_IOERR_READ}, {.sqlite = SQLITE_BUSY},
                                      {.sqlite = SQLITE_CORRUPT},    {.sqlite = SQLITE_NOMEM},
                                      {.sqlite = SQLITE_FULL},       {.sqlite = SQLITE_READONLY},
                                      {.sqlite = SQLITE_MISUSE},     {.sqlite = SQLITE_ERROR}};

static const fault lmdb_faults[] = {{.lmdb = EIO},
                                    {.lmdb = ENOSPC},
                                    {.lmdb = ENOMEM},
                                    {.lmdb = MDB_CORRUPTED},
                                    {.lmdb = MDB_MAP_FULL},
                                    {.lmdb = MDB_PANIC},
                                    {.lmdb = MDB_BAD_TXN},
                                    {.lmdb = EACCES},
                                    {.lmdb = MDB_TLS_FULL},
                                    {.lmdb = MDB_MAP_RESIZED},
                                    {.lmdb = MDB_READERS_FULL}};

Test(calls, sqlite, .timeout = 1200)
{
    const job this = {.backend = &as_backend_sqlite, .work = work};
    fail_all(&this, sqlite_faults, COUNT(sqlite_faults));
}

Test(calls, lmdb, .timeout = 1200)
{
    const job this = {.backend = &as_backend_lmdb, .work = work};
    fail_all(&this, lmdb_faults, COUNT(lmdb_faults));
}

Test(calls, older_cache, .timeout = 1200)
{
    const job this = {
        .backend = &as_backend_sqlite, .prepare = prepare_cache, .work = work_on_cache};
    fail_all(&this, sqlite_faults, COUNT(sqlite_faults));
}

Test(calls, older_cache_with_a_log, .timeout = 1200)
{
    const job this = {
        .backend = &as_backend_sqlite, .prepare = prepare_logged_cache, .work = work_on_cache};
    fail_all(&this, sqlite_faults, COUNT(sqlite_faults));
}

static void fail_converting(const anonset_backend *to)
{
    static const fault faults[] = {
        {.sqlite = SQLITE_IOERR_READ, .lmdb = EIO},
        {.sqlite = SQLITE_NOMEM, .lmdb = ENOMEM},
        {.sqlite = SQLITE_CORRUPT, .lmdb = MDB_CORRUPTED},
    };
    const job this = {.backend = to,
                      .prepare = prepare_sources,
                      .work = work_converting,
                      .restore = expect_converted};
    fail_all(&this, faults, COUNT(faults));
}

Test(calls, converting_to_sqlite, .timeout = 1200)
{
    fail_converting(&as_backend_sqlite);
}

Test(calls, converting_to_lmdb, .timeout = 1200)
{
    fail_converting(&as_backend_lmdb);
}

/* ---- Calls of a backend --------------------------------------------------------------------- */

static const fault backend_faults[] = {{.backend = ANONSET_IO},      {.backend = ANONSET_NO_MEMORY},
                                       {.backend = ANONSET_CORRUPT}, {.backend = ANONSET_BUSY},
                                       {.backend = ANONSET_STALE},   {.backend = ANONSET_FULL}};

Test(calls, backend, .timeout = 1200)
{
    const anonset_backend failing = failing_backend(&as_backend_memory);
    const job this = {.backend = &failing, .work = work, .more_seeds = SEEDS};
    fail_all(&this, backend_faults, COUNT(backend_faults));
}

/* Tags are then computed from the coins. */
Test(calls, backend_without_tags, .timeout = 1200)
{
    anonset_backend failing = failing_backend(&as_backend_memory);
    failing.read_tags = NULL;
    const job this = {.backend = &failing, .work = work};
    fail_all(&this, backend_faults, COUNT(backend_faults));
}

/* The hash function and the random numbers fail, and nothing below. */
Test(calls, crypto, .timeout = 1200)
{
    static const fault none;
    const job this = {.backend = &as_backend_memory, .work = work, .more_seeds = SEEDS};
    fail_all(&this, &none, 1);
}

/* ---- Groups that share coins ---------------------------------------------------------------- */

static const tw_chain *shared[2];

/* Before calls fail: the world itself hashes. */
static void prepare_groups(void)
{
    if (now.runs > 1)
        return;
    shared[0] = tw_grow_wide(&now.world, NULL, 5, 8);
    shared[1] = tw_grow_wide(&now.world, shared[0], 3, 8);
}

/* The next group begins with all coins of the one before, and has more. */
static anonset_outcome sync_next_group(anonset_store *store, uint32_t answers, anonset_detail *why)
{
    anonset_code code;
    anonset_outcome outcome;
    now.group = GROUP + 1;
    (void)sync_with(store, shared[0], TP_ALL, &code, why);
    now.group = GROUP + 2;
    outcome = sync_with(store, shared[1], answers, &code, why);
    now.group = GROUP;
    return outcome;
}

static void work_on_groups(void)
{
    anonset_store *store = try_store(ANONSET_STORE_CREATE, "making the store");
    anonset_detail why = {.code = ANONSET_OK};
    if (!store)
        return;
    for (uint32_t answers = 2; answers <= 8; answers += 3)
        (void)sync_next_group(store, answers, &why); /* given up, and resumed */
    anonset_outcome outcome = sync_next_group(store, TP_ALL, &why);
    cr_assert(outcome <= ANONSET_UP_TO_DATE || why.text[0], "%s by %s, without a word",
              anonset_outcome_name(outcome), calls_name());
    anonset_store_close(store);
}

/* However it went, the next sync ends with both groups whole. */
static void expect_both_groups(void)
{
    anonset_store *store = NULL;
    anonset_detail why = {.code = ANONSET_OK};
    cr_assert_eq(open_store(&store, ANONSET_STORE_CREATE, &why), ANONSET_OK);
    anonset_outcome outcome = sync_next_group(store, TP_ALL, &why);
    cr_assert(outcome <= ANONSET_UP_TO_DATE, "behind %s: %s: %s", calls_name(),
              anonset_outcome_name(outcome), why.text);
    anonset_store_close(store);
}

Test(calls, groups, .timeout = 1200)
{
    const anonset_backend failing = failing_backend(&as_backend_memory);
    const job this = {.backend = &failing,
                      .prepare = prepare_groups,
                      .work = work_on_groups,
                      .restore = expect_both_groups};
    fail_all(&this, backend_faults, COUNT(backend_faults));
}

/* ---- Damage --------------------------------------------------------------------------------- */

/* What the store holds: finalized the first two chains, pending a part of the third. */
enum {
    OLD,
    FINALIZED,
    PENDING,
    FORK,
    NEWER,
    STORY
};
static const tw_chain *story[STORY];

static void tell_story(void)
{
    tw_world *world = &now.world;
    story[OLD] = tw_grow_wide(world, NULL, 4, 4);
    story[FINALIZED] = tw_grow_wide(world, story[OLD], 3, 4);
    story[PENDING] = tw_grow_wide(world, story[FINALIZED], 4, 4);
    story[FORK] = tw_grow_wide(world, story[OLD], 9, 4);
    story[NEWER] = tw_grow_wide(world, story[PENDING], 1, 4);
}

#define FEW 4u /* coins of a sector, so that a set has many */

/* By positions: 3 and 9 are finalized in any case, `base` is where the pending coins begin. */
typedef struct damage {
    const char *what;
    rotten how;
    uint32_t pending_n, pending[2]; /* these pending coins, above the base, are changed */
    uint32_t next;                  /* of the story: what is synced then */
    bool rebuild;                   /* whatever repair says */
    bool no_genesis;                /* no server told its chain */
    bool fork; /* FORK is pending, and what lies right below where it parts is lost */
} damage;

static const damage *at_hand;

static const damage damages[] = {
    {.what = "a changed coin", .how = {.changed_n = 1, .changed = {9}}, .next = PENDING},
    {.what = "the first coin", .how = {.changed_n = 1, .changed = {0}}, .next = NEWER},
    {.what = "lost coins", .how = {.lost_n = 2, .lost = {3, 9}}, .next = FINALIZED},
    {.what = "a changed tag", .how = {.tags_n = 1, .tags = {9}}, .next = PENDING},
    {.what = "pending coins", .pending_n = 1, .pending = {5}, .next = PENDING},
    {.what = "the first pending coin", .pending_n = 1, .pending = {0}, .next = NEWER},
    {.what = "both",
     .how = {.changed_n = 1, .changed = {9}},
     .pending_n = 1,
     .pending = {5},
     .next = PENDING},
    {.what = "another history since", .how = {.changed_n = 1, .changed = {20}}, .next = FORK},
    {.what = "another history since, a part of it the same",
     .how = {.lost_n = 2, .lost = {8, 26}},
     .next = FORK},
    {.what = "checkpoints", .how = {.checkpoints = true}, .next = PENDING, .rebuild = true},
    {.what = "checkpoints of no known network",
     .how = {.checkpoints = true},
     .next = PENDING,
     .no_genesis = true},
    {.what = "what pending coins of a fork stand on", .next = FORK, .fork = true},
    {.what = "the engine",
     .how = {.engine = true, .changed_n = 1, .changed = {9}},
     .pending_n = 1,
     .pending = {5},
     .next = NEWER,
     .rebuild = true},
};

static void sync_pending(anonset_store *store, rotten *how)
{
    anonset_state state = {.has_pending = false};
    anonset_detail why;
    anonset_code code;
    const tw_chain *chain = story[at_hand->fork ? FORK : PENDING];
    for (uint32_t answers = 6; !state.has_pending || state.count == 0; answers++) {
        (void)sync_with(store, chain, answers, &code, &why);
        cr_assert_eq(anonset_store_state(store, &state, GROUP, &why), ANONSET_OK);
    }
    if (at_hand->fork)
        how->lost[how->lost_n++] = state.base - 1;
}

static void prepare_rotten(void)
{
    anonset_store *store = NULL;
    anonset_detail why;
    anonset_code code;
    if (now.runs == 1)
        tell_story();
    now.sector = FEW;
    now.no_genesis = at_hand->no_genesis;
    rotten_end();
    cr_assert_eq(open_store(&store, ANONSET_STORE_CREATE, &why), ANONSET_OK);
    (void)sync_with(store, story[OLD], TP_ALL, &code, &why);
    (void)sync_with(store, story[FINALIZED], TP_ALL, &code, &why);
    rotten how = at_hand->how;
    sync_pending(store, &how);
    anonset_store_close(store);
    for (uint32_t i = 0; i < at_hand->pending_n; i++)
        how.changed[how.changed_n++] = story[FINALIZED]->meta.size + at_hand->pending[i];
    rotten_at(now.path, &how);
}

static anonset_code rebuild_store(anonset_detail *why)
{
    anonset_store_options options;
    anonset_rebuilt rebuilt;
    anonset_store_options_init(&options);
    options.backend = now.backend;
    options.busy_ms = 0;
    return anonset_store_rebuild(now.path, &options, &rebuilt, why);
}

/* Repairs the store in place, or by making it anew. */
static anonset_code repair_store(anonset_store **store, anonset_detail *why)
{
    anonset_repair repair;
    anonset_code code = open_store(store, ANONSET_STORE_CREATE, why);
    if (code != ANONSET_OK)
        return code;
    code = anonset_store_repair(*store, &repair, 0, why);
    if (code == ANONSET_OK)
        code = anonset_store_repair(*store, &repair, GROUP, why);
    if (code != ANONSET_CORRUPT)
        return code;
    anonset_store_close(*store);
    *store = NULL;
    code = rebuild_store(why);
    return code == ANONSET_OK ? open_store(store, ANONSET_STORE_CREATE, why) : code;
}

static void work_on_damage(void)
{
    anonset_store *store = NULL;
    anonset_detail why = {.code = ANONSET_OK};
    anonset_code code = repair_store(&store, &why);
    has_words(code, &why, "repairing");
    if (code == ANONSET_OK) {
        (void)sync_with(store, story[at_hand->next], 2, &code, &why); /* given up, and resumed */
        (void)sync_with(store, story[at_hand->next], TP_ALL, &code, &why);
        look_at(store);
    }
    anonset_store_close(store);
    if (at_hand->rebuild)
        has_words(rebuild_store(&why), &why, "rebuilding");
}

static void expect_repaired(void)
{
    anonset_store *store = NULL;
    anonset_detail why = {.code = ANONSET_OK};
    char missing[400] = "";
    anonset_code code = repair_store(&store, &why);
    /* What seemed damaged while the store was made anew was left behind. */
    cr_assert(code == ANONSET_OK || (code == ANONSET_NOT_FOUND && now.corrupt), "%s, behind %s: %s",
              at_hand->what, calls_name(), why.text);
    anonset_outcome outcome = sync_with(store, story[at_hand->next], TP_ALL, &code, &why);
    cr_assert_leq(outcome, ANONSET_UP_TO_DATE, "%s, behind %s: %s: %s", at_hand->what, calls_name(),
                  anonset_outcome_name(outcome), why.text);
    cr_assert(tp_is_whole(store, GROUP, story[at_hand->next], missing, sizeof missing),
              "%s, behind %s: %s", at_hand->what, calls_name(), missing);
    anonset_store_close(store);
    now.sector = SECTOR;
}

Test(calls, damage, .timeout = 1200)
{
    const anonset_backend failing = failing_backend(&rotten_backend);
    const job this = {.backend = &failing,
                      .prepare = prepare_rotten,
                      .work = work_on_damage,
                      .restore = expect_repaired};
    for (size_t i = 0; i < COUNT(damages); i++) {
        at_hand = &damages[i];
        fail_all(&this, backend_faults, COUNT(backend_faults));
    }
}

/* ---- Damaged files ------------------------------------------------------------------------------
 */

static anonset_store *opened; /* before calls fail */

/* Changes every copy of a coin that the file holds. */
static void spoil_coin(char *bytes, size_t len, const tw_chain *chain, uint32_t position)
{
    static uint8_t room[TW_COIN_BYTES];
    anonset_coin coin;
    size_t found = 0;
    tw_coin(&coin, room, chain->coin[position], &chain->coin_tx[position]);
    for (size_t i = 0; i + 40 <= len; i++)
        if (memcmp(bytes + i, coin.serialized, 40) == 0) {
            bytes[i + 20] ^= 1;
            found++;
        }
    cr_assert_gt(found, 0, "the coin is in no place of the file");
}

/* A store with a finalized set in which coin 9 is another, and coins pending: a copy each run. */
static void prepare_file(void)
{
    size_t len;
    char own[sizeof now.path];
    const char *model = ts_in(&now.dir, "spoilt");
    anonset_detail why;
    anonset_code code;
    now.sector = FEW;
    if (now.runs == 1) {
        anonset_store *store;
        tell_story();
        memcpy(own, now.path, sizeof own);
        (void)snprintf(now.path, sizeof now.path, "%s", model);
        cr_assert_eq(open_store(&store, ANONSET_STORE_CREATE, &why), ANONSET_OK);
        (void)sync_with(store, story[OLD], TP_ALL, &code, &why);
        (void)sync_with(store, story[FINALIZED], TP_ALL, &code, &why);
        (void)sync_with(store, story[PENDING], 6, &code, &why);
        anonset_store_close(store);
        memcpy(now.path, own, sizeof own);
    }
    char *bytes = ts_read_file(model, &len);
    spoil_coin(bytes, len, story[OLD], 9);
    ts_write_file(now.path, bytes, len);
    free(bytes);
}

static void prepare_open_file(void)
{
    anonset_detail why;
    prepare_file();
    cr_assert_eq(open_store(&opened, ANONSET_STORE_CREATE, &why), ANONSET_OK);
}

static void work_on_open_file(void)
{
    anonset_repair repair;
    anonset_verdict verdict;
    anonset_detail why = {.code = ANONSET_OK};
    anonset_code code;
    has_words(anonset_store_verify(opened, &verdict, 0, &why), &why, "looking at the engine");
    has_words(anonset_store_repair(opened, &repair, GROUP, &why), &why, "repairing");
    (void)sync_with(opened, story[PENDING], 2, &code, &why);
    (void)sync_with(opened, story[PENDING], TP_ALL, &code, &why);
    anonset_store_close(opened);
}

static void work_rebuilding(void)
{
    anonset_detail why = {.code = ANONSET_OK};
    has_words(rebuild_store(&why), &why, "rebuilding");
}

static const damage in_a_file = {.what = "a file", .next = PENDING};

static void fail_on_files(const anonset_backend *backend)
{
    static const fault faults[] = {
        {.sqlite = SQLITE_IOERR_READ, .lmdb = EIO, .backend = ANONSET_CORRUPT},
        {.sqlite = SQLITE_IOERR_NOMEM, .lmdb = ENOMEM, .backend = ANONSET_CORRUPT},
        {.sqlite = SQLITE_CORRUPT, .lmdb = MDB_CORRUPTED, .backend = ANONSET_CORRUPT},
        {.sqlite = SQLITE_READONLY_DBMOVED, .lmdb = EACCES, .backend = ANONSET_CORRUPT},
        {.sqlite = SQLITE_ERROR, .lmdb = MDB_BAD_TXN, .backend = ANONSET_CORRUPT},
    };
    const job mending = {.backend = backend,
                         .prepare = prepare_open_file,
                         .work = work_on_open_file,
                         .restore = expect_repaired};
    const job rebuilding = {.backend = backend,
                            .prepare = prepare_file,
                            .work = work_rebuilding,
                            .restore = expect_repaired};
    at_hand = &in_a_file;
    fail_all(&mending, faults, COUNT(faults));
    fail_all(&rebuilding, faults, COUNT(faults));
}

Test(calls, damaged_sqlite, .timeout = 1200)
{
    fail_on_files(&as_backend_sqlite);
}

Test(calls, damaged_lmdb, .timeout = 1200)
{
    fail_on_files(&as_backend_lmdb);
}
