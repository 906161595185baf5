/* What core/store.c refuses before a backend is asked, and what readers and verify make of backends
 * that break their promises. */
#include "backends/backends.h"
#include "core/copy.h"
#include "core/store.h"
#include "tests/support/coins.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>

#define GROUP 1u
#define SIZE  300u

static anonset_code open_with(anonset_store **store, const anonset_backend *backend,
                              anonset_detail *detail)
{
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = backend;
    return anonset_store_open(store, "store", &options, detail);
}

/* ---- Vtables ------------------------------------------------------------------------------ */

#define MUST(method)                                                                               \
    {                                                                                              \
#method, offsetof(anonset_backend, method)                                                 \
    }

static const struct {
    const char *name;
    size_t at;
} musts[] = {
    MUST(name),          MUST(open),
    MUST(close),         MUST(info),
    MUST(set_genesis),   MUST(next_group),
    MUST(load_state),    MUST(append_sector),
    MUST(mark_complete), MUST(discard_incomplete),
    MUST(clear),         MUST(disk_bytes),
    MUST(snapshot_open), MUST(snapshot_close),
    MUST(read),          MUST(checkpoint),
};

static void expect_refused(const anonset_backend *backend, const char *name)
{
    anonset_store *store = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    cr_expect_eq(open_with(&store, backend, &detail), ANONSET_INVALID, "%s", name);
    cr_expect_eq(detail.code, ANONSET_INVALID);
    cr_expect(strstr(detail.text, name), "%s: %s", name, detail.text);
    cr_expect_null(store);
}

/* A backend that has something to tell as it is opened. */
static anonset_code open_and_tell(void **handle, const char *path,
                                  const anonset_backend_options *options, anonset_detail *detail)
{
    options->log(options->log_context, ANONSET_IO, "words of an engine");
    return as_backend_memory.open(handle, path, options, detail);
}

static void hear(void *context, anonset_code code, const char *text)
{
    anonset_detail *heard = context;
    heard->code = code;
    (void)strncpy(heard->text, text, sizeof heard->text - 1);
}

Test(store, a_backend_is_heard_by_the_callers_log)
{
    anonset_backend telling = as_backend_memory;
    anonset_store_options options;
    anonset_detail heard = {.code = ANONSET_OK};
    anonset_store *store;
    telling.open = open_and_tell;
    anonset_store_options_init(&options);
    options.backend = &telling;
    options.log = hear;
    options.log_context = &heard;
    cr_assert_eq(anonset_store_open(&store, "store", &options, NULL), ANONSET_OK);
    cr_expect_eq(heard.code, ANONSET_IO);
    cr_expect_str_eq(heard.text, "words of an engine");
    anonset_store_close(store);
}

/* A vtable of a later version ends with methods that this one does not know. */
Test(store, a_longer_vtable_is_taken)
{
    struct {
        anonset_backend known;
        void (*later)(void);
    } longer = {.known = as_backend_memory};
    anonset_store *store = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    longer.known.size = sizeof longer;
    cr_assert_eq(open_with(&store, &longer.known, &detail), ANONSET_OK, "%s", detail.text);
    anonset_store_close(store);
}

Test(store, each_missing_method_is_named)
{
    for (size_t i = 0; i < sizeof musts / sizeof *musts; i++) {
        anonset_backend backend = as_backend_memory;
        void (*nothing)(void) = NULL;
        memcpy((char *)&backend + musts[i].at, &nothing, sizeof nothing);
        expect_refused(&backend, musts[i].name);
    }
}

/* What lies behind the size a vtable tells is not looked at. */
Test(store, a_vtable_that_ends_early_lacks_the_rest)
{
    for (size_t i = 0; i < sizeof musts / sizeof *musts; i++) {
        anonset_backend backend = as_backend_memory;
        backend.size = musts[i].at;
        expect_refused(&backend, i == 0 ? "size" : musts[i].name);
    }
}

Test(store, a_vtable_without_read_tags_is_complete)
{
    anonset_backend backend = as_backend_memory;
    anonset_store *store = NULL;
    backend.size = offsetof(anonset_backend, read_tags);
    cr_assert_eq(open_with(&store, &backend, NULL), ANONSET_OK);
    cr_expect(store->backend->read_tags == NULL, "not known by that size");
    cr_expect_str_eq(anonset_store_backend(store), "memory");
    anonset_store_close(store);
}

/* ---- Options and arguments ---------------------------------------------------------------- */

Test(store, bad_options_are_refused)
{
    static const struct {
        int size_more;
        unsigned flags;
        anonset_code want;
    } rows[] = {
        {0, ANONSET_STORE_CREATE, ANONSET_OK},
        {-1, ANONSET_STORE_CREATE, ANONSET_INVALID},
        {8, ANONSET_STORE_CREATE, ANONSET_INVALID},
        {0, ANONSET_STORE_CREATE | ANONSET_STORE_VERIFY_READS, ANONSET_OK},
        {0, 8, ANONSET_INVALID},
        {0, ANONSET_STORE_CREATE | 0x80000000u, ANONSET_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        anonset_store_options options;
        anonset_store *store = NULL;
        anonset_store_options_init(&options);
        options.backend = &as_backend_memory;
        options.size = sizeof options + (size_t)rows[i].size_more;
        options.flags = rows[i].flags;
        cr_expect_eq(anonset_store_open(&store, "store", &options, NULL), rows[i].want, "row %zu",
                     i);
        cr_expect_eq(store != NULL, rows[i].want == ANONSET_OK);
        anonset_store_close(store);
    }
}

Test(store, null_arguments_and_groups_that_cannot_be_are_refused)
{
    anonset_store *store;
    anonset_state state;
    anonset_snapshot *snapshot;
    anonset_repair repair;
    anonset_rebuilt rebuilt;
    anonset_verdict verdict;
    uint32_t group;
    uint64_t bytes;
    cr_assert_eq(open_with(&store, &as_backend_memory, NULL), ANONSET_OK);
    cr_expect_eq(anonset_store_open(NULL, "store", NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_open(&store, NULL, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_open(&store, "", NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_next_group(NULL, &group, 0, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_next_group(store, NULL, 0, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_state(NULL, &state, 1, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_state(store, NULL, 1, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_state(store, &state, 0, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_clear(NULL, 1, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_disk_bytes(store, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_disk_bytes(NULL, &bytes, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_snapshot_open(&snapshot, store, 0, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_snapshot_open(NULL, store, 1, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_verify(NULL, &verdict, 1, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_repair(NULL, &repair, 1, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_repair(store, NULL, 1, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_rebuild(NULL, NULL, &rebuilt, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_rebuild("x", NULL, NULL, NULL), ANONSET_INVALID);
    /* Group 0 is what is kept around the groups. */
    cr_expect_eq(anonset_store_verify(store, &verdict, 0, NULL), ANONSET_OK);
    cr_expect(verdict.sound);
    cr_expect_eq(anonset_store_verify(store, NULL, 1, NULL), ANONSET_INVALID);
    anonset_store_close(store);
    anonset_store_close(NULL);
}

Test(store, each_new_store_has_a_salt_of_its_own)
{
    anonset_store *a, *b;
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = &as_backend_memory;
    cr_assert_eq(anonset_store_open(&a, "a", &options, NULL), ANONSET_OK);
    cr_assert_eq(anonset_store_open(&b, "b", &options, NULL), ANONSET_OK);
    cr_expect_neq(memcmp(a->info.salt, b->info.salt, ANONSET_SALT_BYTES), 0);
    anonset_store_close(a);
    anonset_store_close(b);
}

/* ---- Readers and verify ------------------------------------------------------------------- */

/* The memory backend with faults: set by a test, which Criterion runs in a process of its own. */
static struct {
    bool wrong_run;
    uint32_t corrupt_at;
    bool corrupt_checkpoint, corrupt_open;
    bool huge_run, no_tags;        /* runs of more coins than any may have; without the tags */
    bool other_end, other_pending; /* the record tells digests that the coins do not lead to */
    bool restless;                 /* each look at what is pending shows one coin more */
    bool no_newest, tall;          /* the newest checkpoint is missing; the others are too large */
    bool stale_drop;
    const ts_chain *others; /* whose first run is shown in the place of the stored one */
    anonset_coin coins[4096];
    uint8_t bytes[TS_COIN_MAX];
    uint32_t flip_at;
} fault = {.corrupt_at = UINT32_MAX, .flip_at = UINT32_MAX};

/* Runs live until the next call: make that true by taking the coins away. */
static void take_back(void)
{
    memset(fault.coins, 0, sizeof fault.coins);
}

static anonset_code faulty_read(void *snapshot, anonset_run *run, uint32_t position,
                                anonset_detail *detail)
{
    take_back();
    anonset_code code = as_backend_memory.read(snapshot, run, position, detail);
    if (code != ANONSET_OK)
        return code;
    if (position <= fault.corrupt_at && fault.corrupt_at < run->start + run->n) {
        /* Shorten the run to the good part, or there is none. */
        if (position == fault.corrupt_at)
            return ANONSET_CORRUPT;
        run->n = fault.corrupt_at - run->start;
        run->has_digest = false;
    }
    memcpy(fault.coins, run->coins, run->n * sizeof *run->coins);
    run->coins = fault.coins;
    if (fault.flip_at >= run->start && fault.flip_at - run->start < run->n) {
        anonset_coin *coin = &fault.coins[fault.flip_at - run->start];
        memcpy(fault.bytes, coin->serialized, coin->serialized_len);
        fault.bytes[20] ^= 1;
        coin->serialized = fault.bytes;
    }
    if (fault.wrong_run)
        run->start = position + 1;
    if (fault.huge_run)
        run->n = 5000;
    if (fault.others && run->start == 0) {
        run->coins = fault.others->coins;
        memcpy(run->digest, fault.others->digests[run->n], ANONSET_HASH_BYTES);
    }
    return ANONSET_OK;
}

static anonset_code faulty_read_tags(void *snapshot, anonset_run *run, uint32_t position,
                                     anonset_detail *detail)
{
    anonset_code code = as_backend_memory.read_tags(snapshot, run, position, detail);
    if (code == ANONSET_OK && fault.no_tags)
        run->tags = NULL;
    return code;
}

static anonset_code faulty_drop(void *handle, const anonset_damage *damage, anonset_detail *detail)
{
    if (fault.stale_drop)
        return ANONSET_STALE;
    return as_backend_memory.drop(handle, damage, detail);
}

static anonset_code faulty_checkpoint(void *snapshot, anonset_checkpoint *checkpoint,
                                      uint32_t index, anonset_detail *detail)
{
    take_back();
    if (fault.corrupt_checkpoint)
        return ANONSET_CORRUPT;
    anonset_code code = as_backend_memory.checkpoint(snapshot, checkpoint,
                                                     index + (fault.no_newest ? 1 : 0), detail);
    if (code == ANONSET_OK && fault.tall && index > 0)
        checkpoint->meta.size = SIZE + 1;
    return code;
}

static anonset_code faulty_open(void *handle, void **snapshot, anonset_state *state, uint32_t group,
                                anonset_view view, anonset_detail *detail)
{
    if (fault.corrupt_open)
        return ANONSET_CORRUPT;
    anonset_code code =
        as_backend_memory.snapshot_open(handle, snapshot, state, group, view, detail);
    if (code != ANONSET_OK)
        return code;
    if (fault.restless && view == ANONSET_VIEW_NEXT)
        state->count++;
    if (fault.other_end)
        state->digest[0] ^= 1;
    if (fault.other_pending)
        state->pending_digest[0] ^= 1;
    return ANONSET_OK;
}

static void append(anonset_store *store, const ts_chain *chain, uint32_t target, uint32_t base,
                   uint32_t n)
{
    anonset_append a = {.group = GROUP,
                        .target = ts_chain_meta(chain, target),
                        .base = base,
                        .start = base,
                        .n = n,
                        .coins = chain->coins + base,
                        .tags = chain->tags + base,
                        .digests = chain->digests + base + 1};
    memcpy(a.digest_before, chain->digests[base], ANONSET_HASH_BYTES);
    memcpy(a.digest_after, chain->digests[base + n], ANONSET_HASH_BYTES);
    cr_assert_eq(store->backend->append_sector(store->handle, &a, NULL), ANONSET_OK);
}

static void complete(anonset_store *store, const ts_chain *chain, uint32_t base, uint32_t n)
{
    append(store, chain, base + n, base, n);
    anonset_complete c = {.group = GROUP,
                          .target = ts_chain_meta(chain, base + n),
                          .expected_count = n,
                          .gate = ANONSET_GATE_COUNT};
    memcpy(c.digest, chain->digests[base + n], ANONSET_HASH_BYTES);
    cr_assert_eq(store->backend->mark_complete(store->handle, &c, NULL), ANONSET_OK);
}

/* 100 + 200 coins finalized, and 50 pending from `base` on. */
static anonset_store *make_store(ts_chain **chain, uint32_t base)
{
    static anonset_backend backend;
    anonset_store *store;
    backend = as_backend_memory;
    backend.read = faulty_read;
    backend.read_tags = faulty_read_tags;
    backend.drop = faulty_drop;
    backend.checkpoint = faulty_checkpoint;
    backend.snapshot_open = faulty_open;
    cr_assert_eq(open_with(&store, &backend, NULL), ANONSET_OK);
    memcpy(store->info.salt, ts_salt, sizeof store->info.salt); /* of the chain's tags */
    /* Handles of one path share a store. */
    cr_assert_eq(anonset_store_clear(store, 0, NULL), ANONSET_OK);
    *chain = ts_chain_new(1, SIZE);
    complete(store, *chain, 0, 100);
    complete(store, *chain, 100, 200);
    ts_chain *fork = ts_chain_fork(*chain, base, 2, base + 50);
    append(store, fork, base + 50, base, 50);
    ts_chain_free(fork);
    return store;
}

static void expect_sound(uint32_t base)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, base);
    anonset_verdict verdict;
    anonset_detail detail = {.text = ""};
    cr_assert_eq(anonset_store_verify(store, &verdict, GROUP, &detail), ANONSET_OK);
    cr_expect(verdict.sound, "%s", detail.text);
    cr_expect_eq(verdict.coins, SIZE + 50);
    cr_expect_arr_eq(verdict.digest, chain->digests[SIZE], ANONSET_HASH_BYTES);
    cr_expect_eq(anonset_store_verify(store, &verdict, GROUP + 1, NULL), ANONSET_NOT_FOUND);
    anonset_store_close(store);
    ts_chain_free(chain);
}

Test(verify, reads_each_stored_coin_once)
{
    expect_sound(SIZE);
    expect_sound(150);
    expect_sound(0);
}

static void expect_damage(uint32_t from, uint32_t to, const char *what)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE);
    anonset_verdict verdict;
    anonset_detail detail = {.text = ""};
    cr_assert_eq(anonset_store_verify(store, &verdict, GROUP, &detail), ANONSET_OK, "%s", what);
    cr_expect_not(verdict.sound, "%s", what);
    cr_expect(verdict.damaged_from >= from && verdict.damaged_to <= to, "%s: [%u, %u)", what,
              verdict.damaged_from, verdict.damaged_to);
    cr_expect_neq(detail.text[0], '\0', "%s", what);
    anonset_store_close(store);
    ts_chain_free(chain);
}

Test(verify, a_changed_coin_is_damage_of_its_run)
{
    static const uint32_t at[][3] = {{0, 0, 100},     {99, 0, 100},    {100, 100, 300},
                                     {299, 100, 300}, {300, 300, 350}, {349, 300, 350}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        fault.flip_at = at[i][0];
        expect_damage(at[i][1], at[i][2], "a flipped bit");
    }
}

Test(verify, coins_that_cannot_be_read_are_damage)
{
    fault.corrupt_at = 170;
    expect_damage(100, 300, "CORRUPT from read");
}

Test(verify, records_that_cannot_be_read_are_damage)
{
    fault.corrupt_checkpoint = true;
    expect_damage(0, 0, "CORRUPT from checkpoint");
    fault.corrupt_open = true;
    expect_damage(0, 0, "CORRUPT from snapshot_open");
}

Test(verify, a_run_without_the_position_is_an_error)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE);
    anonset_verdict verdict;
    fault.wrong_run = true;
    cr_expect_eq(anonset_store_verify(store, &verdict, GROUP, NULL), ANONSET_INTERNAL);
    anonset_store_close(store);
    ts_chain_free(chain);
}

Test(snapshot, a_search_between_two_coins_harms_neither)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE);
    anonset_snapshot *snapshot;
    cr_assert_eq(anonset_snapshot_open(&snapshot, store, GROUP, NULL), ANONSET_OK);
    cr_expect_not(anonset_snapshot_state(snapshot)->has_pending);
    const anonset_meta old = ts_chain_meta(chain, 100);
    for (uint32_t i = SIZE; i-- > 0;) {
        anonset_coin coin;
        uint32_t size = 0;
        cr_assert_eq(anonset_snapshot_next(snapshot, &coin, NULL), ANONSET_OK);
        cr_assert_eq(coin.serialized_len, chain->coins[i].serialized_len, "position %u", i);
        cr_expect_arr_eq(coin.serialized, chain->coins[i].serialized, coin.serialized_len);
        cr_expect_eq(anonset_snapshot_find(snapshot, &size, old.block_hash, NULL), ANONSET_OK);
        cr_expect_eq(size, 100u);
    }
    anonset_coin coin;
    cr_expect_eq(anonset_snapshot_next(snapshot, &coin, NULL), ANONSET_NOT_FOUND);
    anonset_snapshot_close(snapshot);
    anonset_store_close(store);
    ts_chain_free(chain);
}

Test(store, readers_refuse_what_makes_no_sense)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE);
    anonset_snapshot *snapshot;
    anonset_coin coin;
    anonset_detail detail;
    uint8_t hash[ANONSET_HASH_BYTES] = {0};
    uint32_t size;
    cr_assert_eq(anonset_snapshot_open(&snapshot, store, GROUP, NULL), ANONSET_OK);
    cr_expect_eq(anonset_snapshot_find(NULL, &size, hash, &detail), ANONSET_INVALID);
    cr_expect_eq(anonset_snapshot_find(snapshot, NULL, hash, &detail), ANONSET_INVALID);
    cr_expect_eq(anonset_snapshot_find(snapshot, &size, NULL, &detail), ANONSET_INVALID);
    cr_expect_eq(anonset_snapshot_seek(NULL, 0, 0, ANONSET_OLDEST_FIRST, &detail), ANONSET_INVALID);
    cr_expect_eq(anonset_snapshot_seek(snapshot, 2, 1, ANONSET_OLDEST_FIRST, &detail),
                 ANONSET_INVALID);
    cr_expect_eq(anonset_snapshot_seek(snapshot, 0, SIZE + 1, ANONSET_OLDEST_FIRST, &detail),
                 ANONSET_INVALID);
    cr_expect(strstr(detail.text, "301"), "%s", detail.text);
    cr_expect_eq(anonset_snapshot_next(NULL, &coin, &detail), ANONSET_INVALID);
    cr_expect_eq(anonset_snapshot_next(snapshot, NULL, &detail), ANONSET_INVALID);
    /* The refused calls left it as it was: the whole set, newest first. */
    cr_assert_eq(anonset_snapshot_next(snapshot, &coin, &detail), ANONSET_OK);
    anonset_snapshot_close(snapshot);
    anonset_snapshot_close(NULL);
    anonset_store_close(store);
    ts_chain_free(chain);
}

/* ---- Stores that contradict themselves ---------------------------------------------------------
 */

static anonset_code verify_code(void)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE);
    anonset_verdict verdict;
    anonset_detail detail = {.text = ""};
    anonset_code code = anonset_store_verify(store, &verdict, GROUP, &detail);
    cr_expect(detail.text[0], "it fails with words");
    anonset_store_close(store);
    ts_chain_free(chain);
    return code;
}

Test(verify, a_backend_that_breaks_its_word_is_told)
{
    fault.huge_run = true;
    cr_expect_eq(verify_code(), ANONSET_INTERNAL);
    fault.huge_run = false;
    fault.no_tags = true;
    cr_expect_eq(verify_code(), ANONSET_INTERNAL);
    fault.no_tags = false;
    fault.restless = true;
    cr_expect_eq(verify_code(), ANONSET_BUSY);
}

Test(verify, coins_that_lead_to_another_end_are_damage_from_who_knows_where)
{
    fault.other_end = true;
    expect_damage(0, 300, "another digest");
    fault.other_end = false;
    fault.other_pending = true;
    expect_damage(300, 350, "another pending digest");
}

Test(verify, checkpoints_out_of_order_are_damage)
{
    fault.tall = true;
    expect_damage(0, 0, "a checkpoint larger than the set");
}

Test(repair, clears_where_nothing_can_be_dropped)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE);
    anonset_backend *vtable = &store->vtable;
    anonset_repair repair;
    anonset_state state;
    vtable->drop = NULL;
    vtable->mend = NULL;
    fault.flip_at = 150;
    cr_assert_eq(anonset_store_repair(store, &repair, GROUP, NULL), ANONSET_OK);
    cr_expect(repair.cleared);
    cr_expect_eq(repair.dropped, 300);
    cr_expect_eq(repair.pending_dropped, 50);
    cr_assert_eq(anonset_store_state(store, &state, GROUP, NULL), ANONSET_OK);
    cr_expect_not(state.has_finalized || state.has_pending);
    anonset_store_close(store);
    ts_chain_free(chain);
}

Test(repair, gives_up_where_others_write_all_the_time)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE);
    anonset_repair repair;
    anonset_detail detail;
    fault.flip_at = 150;
    fault.stale_drop = true;
    cr_expect_eq(anonset_store_repair(store, &repair, GROUP, &detail), ANONSET_BUSY);
    cr_expect(strstr(detail.text, "try again"), "%s", detail.text);
    cr_expect_eq(anonset_store_repair(NULL, &repair, GROUP, &detail), ANONSET_INVALID);
    cr_expect_eq(anonset_store_repair(store, NULL, GROUP, &detail), ANONSET_INVALID);
    anonset_store_close(store);
    ts_chain_free(chain);
}

/* ---- Copies ------------------------------------------------------------------------------------
 */

static anonset_code copy_code(void)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE), *to;
    anonset_store_options options;
    as_copy copy = {.from = store->backend, .handle = store->handle};
    anonset_store_options_init(&options);
    options.backend = &as_backend_memory;
    cr_assert_eq(anonset_store_open(&to, "copy", &options, NULL), ANONSET_OK);
    cr_assert_eq(anonset_store_clear(to, 0, NULL), ANONSET_OK);
    as_replay_sink sink = {.to = to->handle,
                           .append_sector = to->backend->append_sector,
                           .mark_complete = to->backend->mark_complete};
    memcpy(sink.salt, to->info.salt, sizeof sink.salt);
    cr_assert_eq(as_replay_new(&copy.replay, &sink, NULL), ANONSET_OK);
    anonset_code code = as_copy_group(&copy, GROUP, NULL);
    as_replay_free(copy.replay);
    anonset_store_close(to);
    anonset_store_close(store);
    ts_chain_free(chain);
    return code;
}

Test(copy, refuses_what_contradicts_itself)
{
    cr_expect_eq(copy_code(), ANONSET_OK);
    fault.tall = true;
    cr_expect_eq(copy_code(), ANONSET_CORRUPT, "a state larger than the set");
    fault.tall = false;
    fault.no_newest = true;
    cr_expect_eq(copy_code(), ANONSET_CORRUPT, "no state is the set");
    fault.no_newest = false;
    fault.other_end = true;
    cr_expect_eq(copy_code(), ANONSET_CORRUPT, "the set has another digest");
    fault.other_end = false;
    fault.other_pending = true;
    cr_expect_eq(copy_code(), ANONSET_CORRUPT, "the pending set has another digest");
    fault.other_pending = false;
    fault.restless = true;
    cr_expect_eq(copy_code(), ANONSET_BUSY, "a sync goes on");
}

Test(copy, ends_where_a_store_cannot_hold_more)
{
    static const uint8_t zero[ANONSET_HASH_BYTES];
    const as_replay_sink sink = {.to = NULL};
    as_replay *replay;
    cr_assert_eq(as_replay_new(&replay, &sink, NULL), ANONSET_OK);
    as_replay_group(replay, GROUP);
    as_replay_back(replay, UINT32_MAX - 1, zero);
    cr_expect_eq(as_replay_coin(replay, &(anonset_coin){.tx_hash = zero}, NULL), ANONSET_INVALID);
    as_replay_free(replay);
}

/* A sink that counts, and refuses from one call on. */
static struct {
    unsigned calls, refused_from;
} sink_calls;

static anonset_code count_call(void)
{
    return ++sink_calls.calls >= sink_calls.refused_from ? ANONSET_FULL : ANONSET_OK;
}

static anonset_code counting_append(void *handle, const anonset_append *append,
                                    anonset_detail *detail)
{
    (void)handle, (void)append, (void)detail;
    return count_call();
}

static anonset_code counting_complete(void *handle, const anonset_complete *complete,
                                      anonset_detail *detail)
{
    (void)handle, (void)complete, (void)detail;
    return count_call();
}

Test(copy, writes_a_state_once_and_stops_where_a_write_fails)
{
    static const uint8_t zero[ANONSET_HASH_BYTES];
    const as_replay_sink sink = {.append_sector = counting_append,
                                 .mark_complete = counting_complete};
    const anonset_coin coin = {.tx_hash = zero};
    anonset_meta meta = {.size = 1};
    anonset_code code = ANONSET_OK;
    as_replay *replay;
    uint8_t *room;
    cr_assert_eq(as_replay_new(&replay, &sink, NULL), ANONSET_OK);
    as_replay_group(replay, GROUP);
    sink_calls.refused_from = UINT32_MAX;
    cr_assert_eq(as_replay_room(replay, &room, 0, NULL), ANONSET_OK);
    cr_assert_eq(as_replay_coin(replay, &coin, NULL), ANONSET_OK);
    cr_expect_eq(as_replay_state(replay, &meta, ANONSET_GATE_COUNT, NULL), ANONSET_OK);
    cr_expect_eq(sink_calls.calls, 2);
    cr_expect_eq(as_replay_state(replay, &meta, ANONSET_GATE_COUNT, NULL), ANONSET_OK);
    cr_expect_eq(sink_calls.calls, 2, "the same state again");
    meta.block_hash[0] = 1;
    cr_expect_eq(as_replay_state(replay, &meta, ANONSET_GATE_COUNT, NULL), ANONSET_OK);
    cr_expect_eq(sink_calls.calls, 4, "the same coins at another block");
    sink_calls.refused_from = 6;
    while (code == ANONSET_OK && as_replay_position(replay) < 10000) {
        code = as_replay_room(replay, &room, 0, NULL);
        if (code == ANONSET_OK)
            code = as_replay_coin(replay, &coin, NULL);
    }
    cr_expect_eq(code, ANONSET_FULL);
    cr_expect_eq(sink_calls.calls, 6);
    as_replay_free(replay);
}

Test(rebuild, is_refused_where_it_cannot_be)
{
    anonset_store_options options;
    anonset_rebuilt rebuilt;
    anonset_detail detail;
    char endless[5000];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    anonset_store_options_init(&options);
    options.backend = &as_backend_memory;
    anonset_store *store;
    cr_assert_eq(anonset_store_open(&store, "store", &options, NULL), ANONSET_OK);
    anonset_store_close(store);
    cr_expect_eq(anonset_store_rebuild("store", &options, &rebuilt, &detail), ANONSET_UNSUPPORTED);
    cr_expect(strstr(detail.text, "memory"), "%s", detail.text);
    cr_expect_eq(anonset_store_rebuild(NULL, &options, &rebuilt, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_rebuild("store", &options, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_rebuild(endless, &options, &rebuilt, NULL), ANONSET_INVALID);
}

static anonset_code going_round(void *handle, uint32_t *group, uint32_t after,
                                anonset_detail *detail)
{
    (void)handle, (void)detail;
    *group = after == 0 ? 2 : 1;
    return ANONSET_OK;
}

static anonset_code in_nobodys_place(const char *path, const char *by, const char *kept,
                                     unsigned busy_ms, anonset_detail *detail)
{
    (void)path, (void)by, (void)kept, (void)busy_ms, (void)detail;
    return ANONSET_OK;
}

Test(rebuild, groups_that_lead_round_in_a_circle_end_it)
{
    anonset_backend table = as_backend_memory;
    anonset_store_options options;
    anonset_rebuilt rebuilt;
    anonset_store *store;
    table.next_group = going_round;
    table.replace = in_nobodys_place;
    anonset_store_options_init(&options);
    options.backend = &table;
    cr_assert_eq(anonset_store_open(&store, "store", &options, NULL), ANONSET_OK);
    cr_expect_eq(anonset_store_rebuild("store", &options, &rebuilt, NULL), ANONSET_OK);
    cr_expect(rebuilt.kept == 0 && rebuilt.lost == 1);
    anonset_store_close(store);
}

/* ---- Reads that are verified -------------------------------------------------------------------
 */

/* Going down, each stretch must lead to what was read above it, whatever is stored beside it now.
 */
Test(snapshot, a_store_that_changes_beneath_a_reader_is_damage)
{
    ts_chain *chain, *others = ts_chain_new(9, 100);
    anonset_store *store = make_store(&chain, SIZE);
    anonset_snapshot *snapshot;
    anonset_coin coin;
    anonset_code code = ANONSET_OK;
    uint32_t read = 0;
    store->verify_reads = true;
    cr_assert_eq(anonset_snapshot_open(&snapshot, store, GROUP, NULL), ANONSET_OK);
    cr_assert_eq(anonset_snapshot_seek(snapshot, 0, SIZE, ANONSET_NEWEST_FIRST, NULL), ANONSET_OK);
    for (; read < SIZE && code == ANONSET_OK; read++) {
        if (read == 200)
            fault.others = others;
        code = anonset_snapshot_next(snapshot, &coin, NULL);
    }
    cr_expect_eq(code, ANONSET_CORRUPT);
    cr_expect_eq(read, 201);
    anonset_snapshot_close(snapshot);
    anonset_store_close(store);
    ts_chain_free(others);
    ts_chain_free(chain);
}

/* ---- Other arguments ---------------------------------------------------------------------------
 */

static anonset_code failing_info(void *handle, anonset_store_info *info, anonset_detail *detail)
{
    (void)handle, (void)info, (void)detail;
    return ANONSET_IO;
}

Test(store, calls_without_what_they_need_are_refused)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE);
    anonset_meta meta, newest;
    uint8_t hash[ANONSET_HASH_BYTES] = {0};
    cr_expect_eq(anonset_store_ancestor(NULL, &meta, &newest, 1, hash, 9, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_ancestor(store, NULL, &newest, 1, hash, 9, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_ancestor(store, &meta, NULL, 1, hash, 9, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_ancestor(store, &meta, &newest, 0, hash, 9, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_ancestor(store, &meta, &newest, 1, NULL, 9, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_ancestor(store, &meta, &newest, 1, hash, 9, NULL),
                 ANONSET_NOT_FOUND);
    cr_expect_eq(anonset_store_ancestor(store, &meta, &newest, 77, hash, 9, NULL),
                 ANONSET_NOT_FOUND, "of a group that is not there");
    cr_expect_eq(anonset_store_genesis(NULL, hash, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_genesis(store, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_store_genesis(store, hash, NULL), ANONSET_NOT_FOUND);
    store->vtable.info = failing_info;
    cr_expect_eq(anonset_store_genesis(store, hash, NULL), ANONSET_IO);
    anonset_store_close(store);
    ts_chain_free(chain);
}

/* What drops must be able to mend. */
Test(store, drop_and_mend_come_together)
{
    anonset_backend backend = as_backend_memory;
    backend.mend = NULL;
    expect_refused(&backend, "mend");
    backend = as_backend_memory;
    backend.drop = NULL;
    expect_refused(&backend, "drop");
}

/* The memory backend tells of a read that the vtable's caller must not ask for. */
Test(store, a_position_outside_the_view_is_an_error)
{
    ts_chain *chain;
    anonset_store *store = make_store(&chain, SIZE);
    anonset_state state;
    anonset_run run;
    void *snapshot;
    cr_assert_eq(as_backend_memory.snapshot_open(store->handle, &snapshot, &state, GROUP,
                                                 ANONSET_VIEW_FINALIZED, NULL),
                 ANONSET_OK);
    cr_expect_eq(as_backend_memory.read(snapshot, &run, SIZE, NULL), ANONSET_INTERNAL);
    as_backend_memory.snapshot_close(snapshot);
    anonset_store_close(store);
    ts_chain_free(chain);
}
