/*
 * Lists of used coin tags whose rows rotted, on the backends of files: damage is told by what meets
 * it, verify finds all of it, and a list that is cleared can be fetched again.
 */
#include "config.h"

#include "backends/backends.h"
#include "backends/lmdb/keys.h"
#include "backends/lmdb/used.h"
#include "core/store.h"
#include "core/used.h"
#include "tests/conformance/kit.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <lmdb.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define TAGS (AS_USED_CHUNK + 37u)

static ts_dir dir;
static const char *path;
static anonset_store *store;
static anonset_used used[TAGS];
static anonset_detail detail;

static void set_up(void)
{
    ts_dir_make(&dir);
    path = ts_in(&dir, "store");
    kit_used_fill(used, 1, TAGS);
}

static void tear_down(void)
{
    anonset_store_close(store);
    ts_dir_remove(&dir);
}

TestSuite(used_rot, .init = set_up, .fini = tear_down, .timeout = 120);

static void open_store(const anonset_backend *backend)
{
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = backend;
    anonset_store_close(store);
    cr_assert_eq(anonset_store_open(&store, path, &options, &detail), ANONSET_OK, "%s",
                 detail.text);
}

/* The list of `now` becomes its first `keep` tags, and those that follow in `used`, up to `n`. */
static anonset_code append(const anonset_used_state *now, uint32_t keep, uint32_t n)
{
    as_digest *digest;
    anonset_used_append a = {.before = *now, .keep = keep, .n = n - keep, .used = used + keep};
    cr_assert_eq(as_digest_new(&digest, NULL), ANONSET_OK);
    cr_assert_eq(as_used_digest(digest, a.digest_after, used, n), ANONSET_OK);
    as_digest_free(digest);
    return store->backend->used_append(store->handle, &a, &detail);
}

static anonset_code state(anonset_used_state *now)
{
    anonset_used_list *list;
    anonset_code code = anonset_used_open(&list, store, &detail);
    if (code == ANONSET_OK) {
        *now = *anonset_used_list_state(list);
        anonset_used_close(list);
    }
    return code;
}

static void make_list(const anonset_backend *backend)
{
    const anonset_used_state none = {.count = 0};
    open_store(backend);
    cr_assert_eq(anonset_store_clear(store, 0, &detail), ANONSET_OK, "%s", detail.text);
    cr_assert_eq(append(&none, 0, TAGS), ANONSET_OK, "%s", detail.text);
}

/* What is told of the list, call by call: OK where the damage is not met. */
typedef struct verdicts {
    anonset_code opened, read, found; /* found: the tag in the middle of the first thousand */
    anonset_code replaced;            /* all but the first 5 */
    bool sound;
} verdicts;

#define MIDDLE 500u

static void look(anonset_used_list *list, verdicts *v)
{
    static anonset_used page[TAGS];
    anonset_used one;
    uint32_t n = 0, at;
    for (at = 0; v->read == ANONSET_OK && at < TAGS; at += n)
        v->read = anonset_used_read(list, page, &n, at, TAGS - at, &detail);
    v->found = anonset_used_find(list, &one, &at, used[MIDDLE].tag, &detail);
    cr_assert_eq(anonset_used_verify(list, &v->sound, &detail), ANONSET_OK);
}

static verdicts look_at(const anonset_backend *backend)
{
    verdicts v = {.sound = false};
    anonset_used_list *list;
    anonset_used_state now = {.count = 0};
    open_store(backend);
    v.opened = anonset_used_open(&list, store, &detail);
    if (v.opened != ANONSET_OK)
        return v;
    look(list, &v);
    anonset_used_close(list);
    cr_assert_eq(state(&now), ANONSET_OK);
    v.replaced = append(&now, 5, TAGS - 7);
    return v;
}

static void expect(const char *what, const anonset_backend *backend, verdicts expected)
{
    verdicts got = look_at(backend);
    anonset_used_state now = {.count = 0};
    cr_expect_eq(got.opened, expected.opened, "%s: opened: %d", what, (int)got.opened);
    cr_expect_eq(got.read, expected.read, "%s: read: %d", what, (int)got.read);
    cr_expect_eq(got.found, expected.found, "%s: found: %d", what, (int)got.found);
    cr_expect_eq(got.replaced, expected.replaced, "%s: replaced: %d", what, (int)got.replaced);
    cr_expect_eq(got.sound, expected.sound, "%s: sound: %d", what, got.sound);
    /* Behind a clear all is well. */
    cr_assert_eq(anonset_store_clear(store, 0, &detail), ANONSET_OK, "%s: %s", what, detail.text);
    cr_assert_eq(append(&now, 0, TAGS), ANONSET_OK, "%s: %s", what, detail.text);
    cr_assert_eq(state(&now), ANONSET_OK);
    cr_assert_eq(now.count, TAGS);
}

/* ---- SQLite ------------------------------------------------------------------------------ */

static void run_sql(const char *text)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

Test(used_rot, rows_of_sqlite)
{
    static const struct {
        const char *sql;
        verdicts expected;
    } rows[] = {
        {"SELECT 1", {.sound = true}},
        {"UPDATE used_state SET record = x'00'", {.opened = ANONSET_CORRUPT}},
        {"UPDATE used_state SET record = x''", {.opened = ANONSET_CORRUPT}},
        {"UPDATE used_state SET record = zeroblob(40)", {.opened = ANONSET_CORRUPT}},
        {"DELETE FROM used WHERE pos = 700", {.read = ANONSET_CORRUPT}},
        {"DELETE FROM used WHERE pos >= 700", {.read = ANONSET_CORRUPT}},
        {"UPDATE used SET tag = x'00' WHERE pos = 500",
         {.read = ANONSET_CORRUPT, .found = ANONSET_CORRUPT}},
        {"UPDATE used SET tx = x'00' WHERE pos = 500",
         {.read = ANONSET_CORRUPT, .found = ANONSET_CORRUPT}},
        {"UPDATE used SET tag = zeroblob(34) WHERE pos = 500", {.found = ANONSET_CORRUPT}},
        {"UPDATE used SET tx = zeroblob(32) WHERE pos = 500", {.found = ANONSET_OK}},
        {"UPDATE used SET tag = x'00' WHERE pos = 3",
         {.read = ANONSET_CORRUPT, .replaced = ANONSET_CORRUPT}},
        /* The index: its entries have a place of 16 bits, and the run where that counts from. */
        {"DELETE FROM used_key WHERE entry & 65535 = 500", {.found = ANONSET_NOT_FOUND}},
        {"UPDATE used_key SET entry = entry + 1 WHERE entry & 65535 = 500",
         {.found = ANONSET_CORRUPT}},
        {"UPDATE used_key SET run = 70000", {.found = ANONSET_CORRUPT}},
        {"UPDATE used_key SET run = -1", {.found = ANONSET_CORRUPT, .replaced = ANONSET_CORRUPT}},
        {"UPDATE used_key SET run = x'' WHERE entry & 65535 = 500", {.found = ANONSET_OK}},
        {"UPDATE used_key SET entry = x'' WHERE entry & 65535 = 500", {.found = ANONSET_NOT_FOUND}},
        {"INSERT INTO used_key VALUES(1000, 5)", {.found = ANONSET_OK}},
        {"DELETE FROM used_key", {.found = ANONSET_NOT_FOUND}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        make_list(&as_backend_sqlite);
        run_sql(rows[i].sql);
        expect(rows[i].sql, &as_backend_sqlite, rows[i].expected);
    }
}

/* The index leads to a row of another tag. */
Test(used_rot, a_row_that_is_not_what_the_index_says)
{
    uint8_t row[sizeof used[MIDDLE].tag + sizeof used[MIDDLE].tx_hash], *at;
    size_t len, n = 0;
    make_list(&as_backend_sqlite);
    anonset_store_close(store);
    store = NULL;
    run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    memcpy(row, used[MIDDLE].tag, sizeof used[MIDDLE].tag);
    memcpy(row + sizeof used[MIDDLE].tag, used[MIDDLE].tx_hash, sizeof used[MIDDLE].tx_hash);
    char *bytes = ts_read_file(path, &len);
    /* All copies: pages are moved while the list grows, and what they leave is not wiped. */
    for (at = memmem(bytes, len, row, sizeof row); at; n++) {
        at[3] ^= 1;
        at = memmem(bytes, len, row, sizeof row);
    }
    cr_assert_gt(n, 0);
    ts_write_file(path, bytes, len);
    free(bytes);
    expect("another tag", &as_backend_sqlite, (verdicts){.found = ANONSET_CORRUPT});
}

/* ---- LMDB -------------------------------------------------------------------------------- */

typedef struct change {
    as_key key;
    size_t cut;        /* so many of its last bytes are gone; SIZE_MAX: the whole entry */
    size_t from, upto; /* these are 0xff */
} change;

static void make_change(const change *c)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    MDB_val val, name;
    uint8_t key[AS_KEY_BYTES];
    name = as_key_encode(key, c->key);
    anonset_store_close(store);
    store = NULL;
    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0644), 0);
    cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_dbi_open(txn, NULL, 0, &table), 0);
    cr_assert_eq(mdb_get(txn, table, &name, &val), 0);
    uint8_t *copy = malloc(val.mv_size);
    cr_assert(copy);
    memcpy(copy, val.mv_data, val.mv_size);
    memset(copy + c->from, 0xff, c->upto - c->from);
    val = (MDB_val){.mv_size = val.mv_size - c->cut, .mv_data = copy};
    cr_assert_eq(c->cut == SIZE_MAX ? mdb_del(txn, table, &name, NULL)
                                    : mdb_put(txn, table, &name, &val, 0),
                 0);
    cr_assert_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    free(copy);
}

Test(used_rot, entries_of_lmdb)
{
    const as_key record = {.kind = AS_KIND_USED_STATE}, first = {.kind = AS_KIND_USED},
                 second = {.kind = AS_KIND_USED, .group = 1};
    const size_t entry = ANONSET_TAG_BYTES + ANONSET_HASH_BYTES, order = AS_USED_CHUNK * entry;
    const struct {
        const char *what;
        change change;
        verdicts expected;
    } rows[] = {
        {"a short record", {.key = record, .cut = 1}, {.opened = ANONSET_CORRUPT}},
        {"another record", {.key = record, .upto = 1}, {.opened = ANONSET_CORRUPT}},
        {"no first chunk",
         {.key = first, .cut = SIZE_MAX},
         {.read = ANONSET_CORRUPT, .found = ANONSET_CORRUPT, .replaced = ANONSET_CORRUPT}},
        {"no second chunk", {.key = second, .cut = SIZE_MAX}, {.read = ANONSET_CORRUPT}},
        {"a short chunk",
         {.key = first, .cut = 2},
         {.read = ANONSET_CORRUPT, .found = ANONSET_CORRUPT, .replaced = ANONSET_CORRUPT}},
        {"an order of no entries",
         {.key = first, .from = order, .upto = order + 2 * AS_USED_CHUNK},
         {.found = ANONSET_CORRUPT}},
        {"another tag",
         {.key = first, .from = MIDDLE * entry, .upto = MIDDLE * entry + 1},
         {.found = ANONSET_NOT_FOUND}},
        {"another transaction",
         {.key = second, .from = ANONSET_TAG_BYTES, .upto = ANONSET_TAG_BYTES + 1},
         {.found = ANONSET_OK}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        make_list(&as_backend_lmdb);
        make_change(&rows[i].change);
        expect(rows[i].what, &as_backend_lmdb, rows[i].expected);
    }
}
