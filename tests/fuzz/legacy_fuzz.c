/*
 * Caches of older wallets, bent by the input: statements on one of several shapes with values of
 * the input's choice, and bytes of the file changed, cut off or added. Opening it as a store either
 * refuses and leaves the file as it was, byte for byte, with nothing but the lock beside it; or
 * makes a sound store of it, which shows the coins that the layout's own queries gave. Where SQLite
 * itself calls the file damaged, its queries may say anything, and are not asked.
 */
#include "backends/backends.h"
#include "core/base64.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/place.h"
#include "tests/support/coins.h"
#include "tests/support/legacy.h"
#include "tests/support/support.h"
#include "tests/support/world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS 3u /* looked at */

static const unsigned layouts[] = {
    TS_LEGACY_V1,
    TS_LEGACY_COMPLETE,
    TS_LEGACY_COMPLETE | TS_LEGACY_ORDER,
    TS_LEGACY_UPGRADED,
    TS_LEGACY_V2,
    TS_LEGACY_V1 | TS_LEGACY_UTF16,
    TS_LEGACY_V2 | TS_LEGACY_UTF16,
};
#define LAYOUTS (sizeof layouts / sizeof *layouts)

static struct shape {
    char *bytes;
    size_t len;
} shapes[LAYOUTS];

static char path[256], copy[256];
static unsigned long upgraded, refused[ANONSET_UNPROVEN + 1], damaged, unchanged;

static void require(bool holds, const char *what, const char *more)
{
    if (!holds)
        ts_die("this input: %s: %s", what, more);
}

/* ---- Shapes -----------------------------------------------------------------------------------
 */

static void add_set(ts_legacy *l, uint32_t group, const ts_chain *chain, uint32_t from, uint32_t to)
{
    anonset_meta meta = ts_chain_meta(chain, to + 1000 * group);
    meta.size = to;
    sqlite3_int64 id = ts_legacy_set(l, group, &meta);
    ts_legacy_delta(l, id, group, chain->coins + from, to - from, 2);
}

static void make_shape(struct shape *shape, unsigned has)
{
    ts_legacy l;
    ts_chain *first = ts_chain_new(1, 8), *second = ts_chain_new(2, 4);
    (void)unlink(path);
    ts_legacy_create(&l, path, has);
    add_set(&l, 1, first, 0, 3);
    add_set(&l, 2, second, 0, 2);
    add_set(&l, 1, first, 3, 5);
    add_set(&l, 2, second, 2, 4);
    add_set(&l, 1, first, 5, 8);
    if (has & TS_LEGACY_COMPLETE)
        ts_legacy_run(&l, "UPDATE SparkSet SET complete = 0 WHERE id = 5");
    ts_legacy_close(&l);
    shape->bytes = ts_read_file(path, &shape->len);
    ts_chain_free(first);
    ts_chain_free(second);
}

/* ---- Bending ----------------------------------------------------------------------------------
 */

static const char *any_value(tw_rng *rng)
{
    static const char *const values[] = {
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "8",
        "-1",
        "NULL",
        "4294967295",
        "4294967296",
        "9223372036854775807",
        "1.5",
        "'1'",
        "''",
        "'AAAA'",
        "'AA=='",
        "'AB=='",
        "x'414141'",
        "'x'",
        "replace(hex(zeroblob(16)),'0','A')",
        "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='",
        "id",
        "id + 1",
        "-id",
        "hex(zeroblob(3000))",
        "char(65,0,65)",
        "(SELECT serialized FROM SparkCoin LIMIT 1)",
        "(SELECT blockHash FROM SparkSet LIMIT 1)",
        "(SELECT max(id) FROM SparkCoin)",
        "(SELECT max(id) FROM SparkSet)",
        "random()",
    };
    return values[tw_between(rng, 0, sizeof values / sizeof *values - 1)];
}

static const char *any_column(tw_rng *rng, const char **table)
{
    static const char *const columns[][2] = {
        {"SparkSet", "id"},         {"SparkSet", "blockHash"},   {"SparkSet", "setHash"},
        {"SparkSet", "groupId"},    {"SparkSet", "size"},        {"SparkSet", "complete"},
        {"SparkCoin", "id"},        {"SparkCoin", "serialized"}, {"SparkCoin", "txHash"},
        {"SparkCoin", "context"},   {"SparkCoin", "groupId"},    {"SparkSetCoins", "id"},
        {"SparkSetCoins", "setId"}, {"SparkSetCoins", "coinId"}, {"SparkSetCoins", "orderKey"},
    };
    const char *const *row = columns[tw_between(rng, 0, sizeof columns / sizeof *columns - 1)];
    *table = row[0];
    return row[1];
}

static char *any_statement(tw_rng *rng)
{
    static const char *const whole[] = {
        "DROP INDEX IF EXISTS idx_sparksetcoins_set_coin",
        "CREATE INDEX more ON SparkCoin(context)",
        "CREATE TABLE more(id)",
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER more AFTER INSERT ON SparkSet BEGIN SELECT 1; END",
        "ALTER TABLE SparkSet ADD COLUMN complete INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE SparkSetCoins ADD COLUMN orderKey INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE SparkCoin ADD COLUMN more",
        "ALTER TABLE SparkCoin RENAME COLUMN context TO contexts",
        "DROP TABLE SparkSetCoins",
        "DELETE FROM SparkSet",
        "PRAGMA user_version = 3",
        "PRAGMA application_id = 77",
        "VACUUM",
        "INSERT INTO SparkSetCoins(setId, coinId) SELECT setId, coinId FROM SparkSetCoins",
        "UPDATE SparkSetCoins SET id = -id",
    };
    const char *table, *column = any_column(rng, &table);
    uint32_t row = tw_between(rng, 1, 12);
    switch (tw_between(rng, 0, 7)) {
    case 0:
        return sqlite3_mprintf("DELETE FROM %s WHERE id = %u", table, row);
    case 1:
        return sqlite3_mprintf("%s", whole[tw_between(rng, 0, sizeof whole / sizeof *whole - 1)]);
    case 2:
        return sqlite3_mprintf("INSERT INTO SparkSetCoins(setId, coinId) VALUES(%s, %s)",
                               any_value(rng), any_value(rng));
    case 3:
        return sqlite3_mprintf("UPDATE %s SET %s = %s", table, column, any_value(rng));
    default:
        return sqlite3_mprintf("UPDATE %s SET %s = %s WHERE id = %u", table, column, any_value(rng),
                               row);
    }
}

/* What a statement refuses is left out. */
static void bend_by_sql(tw_rng *rng)
{
    sqlite3 *db = NULL;
    uint32_t statements = tw_between(rng, 0, 4);
    require(sqlite3_open(path, &db) == SQLITE_OK, "cannot open", path);
    sqlite3_exec(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY", NULL, NULL, NULL);
    for (; statements > 0; statements--) {
        char *sql = any_statement(rng);
        sqlite3_exec(db, sql, NULL, NULL, NULL);
        sqlite3_free(sql);
    }
    sqlite3_close(db);
}

static char *bend_bytes(tw_rng *rng, size_t *len)
{
    char *bytes = ts_read_file(path, len);
    for (uint32_t left = tw_between(rng, 1, 6); left > 0 && *len > 0; left--) {
        /* Half of them in what tells the file's form: the head, and the heads of its pages. */
        size_t page = 4096 * tw_between(rng, 0, (uint32_t)(*len - 1) / 4096);
        size_t at = tw_chance(rng, .5) ? page + tw_between(rng, 0, 127)
                                       : tw_between(rng, 0, (uint32_t)*len - 1);
        if (at < *len)
            bytes[at] = (char)tw_between(rng, 0, 255);
        if (tw_chance(rng, .05))
            *len = tw_between(rng, 0, (uint32_t)*len);
    }
    return bytes;
}

/* ---- What must hold ---------------------------------------------------------------------------
 */

static void print_field(FILE *out, const uint8_t *bytes, uint32_t len, const char *end)
{
    char *text = malloc(AS_BASE64_CHARS((size_t)len) + 1);
    require(text, "no memory", "");
    (void)as_base64_encode(text, bytes, len);
    fprintf(out, "\"%s\"%s", text, end);
    free(text);
}

static void print_store(FILE *out, anonset_store *store, uint32_t group, anonset_order order)
{
    anonset_snapshot *snapshot = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_coin coin;
    anonset_code code = anonset_snapshot_open(&snapshot, store, group, &detail);
    if (code == ANONSET_NOT_FOUND)
        return;
    require(code == ANONSET_OK, "no snapshot", detail.text);
    uint32_t size = anonset_snapshot_state(snapshot)->finalized.size;
    require(anonset_snapshot_seek(snapshot, 0, size, order, &detail) == ANONSET_OK, "seek",
            detail.text);
    while ((code = anonset_snapshot_next(snapshot, &coin, &detail)) == ANONSET_OK) {
        fputc('[', out);
        print_field(out, coin.serialized, coin.serialized_len, ",");
        print_field(out, coin.tx_hash, ANONSET_HASH_BYTES, ",");
        print_field(out, coin.context, coin.context_len, "]\n");
    }
    require(code == ANONSET_NOT_FOUND, "a coin cannot be read", detail.text);
    anonset_snapshot_close(snapshot);
}

/* All groups in both orders, of the store or of the cache; NULL: the cache's queries failed. */
static char *all_coins(anonset_store *store, sqlite3 *db)
{
    char *text = NULL;
    size_t len;
    bool good = true;
    FILE *out = open_memstream(&text, &len);
    require(out, "no memory", "");
    for (uint32_t group = 1; group <= GROUPS; group++) {
        for (int order = 0; order < 2; order++) {
            fprintf(out, "%u\n", group);
            if (store)
                print_store(out, store, group, (anonset_order)order);
            else
                good = good && ts_legacy_try_export(out, db, group, NULL, (anonset_order)order);
        }
    }
    fclose(out);
    if (!good)
        free(text);
    return good ? text : NULL;
}

static bool is_whole(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    bool whole = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &s, NULL) == SQLITE_OK &&
                 sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0) &&
                 strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0;
    sqlite3_finalize(s);
    return whole;
}

/* What the layout's queries give, asked of a copy; NULL: nothing to be held against. */
static char *told_before(const char *bytes, size_t len)
{
    sqlite3 *db = NULL;
    char *text = NULL;
    ts_write_file(copy, bytes, len);
    if (sqlite3_open_v2(copy, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK && is_whole(db))
        text = all_coins(NULL, db);
    sqlite3_close(db);
    damaged += text == NULL;
    return text;
}

static bool is_beside(const char *ending)
{
    char name[300];
    (void)snprintf(name, sizeof name, "%s%s", path, ending);
    return access(name, F_OK) == 0;
}

static void check_refused(const char *bytes, size_t len)
{
    size_t now_len;
    char *now = ts_read_file(path, &now_len);
    require(now_len == len && memcmp(now, bytes, len) == 0, "refused", "and changed");
    require(!is_beside("-wal") && !is_beside("-shm") && !is_beside("-journal") &&
                !is_beside("-new"),
            "refused", "and a file was left beside it");
    free(now);
}

static void check_upgraded(anonset_store *store, const char *before)
{
    anonset_verdict verdict;
    anonset_detail detail = {.code = ANONSET_OK};
    for (uint32_t group = 1; group <= GROUPS; group++) {
        anonset_code code = anonset_store_verify(store, &verdict, group, &detail);
        require(code == ANONSET_NOT_FOUND || (code == ANONSET_OK && verdict.sound), "not sound",
                detail.text);
    }
    if (!before)
        return;
    char *after = all_coins(store, NULL);
    size_t at = 0;
    while (before[at] && before[at] == after[at])
        at++;
    if (before[at] != after[at])
        ts_die("this input: other coins than before, from byte %zu on: %.50s, not %.50s", at,
               after + at, before + at);
    free(after);
}

static void open_and_check(const char *bytes, size_t len, const char *before)
{
    anonset_store *store = NULL;
    anonset_store_options options;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_store_options_init(&options);
    options.backend = &as_backend_sqlite;
    options.flags = 0;
    options.busy_ms = 100;
    anonset_code code = anonset_store_open(&store, path, &options, &detail);
    if (code == ANONSET_OK) {
        upgraded++;
        check_upgraded(store, before);
        anonset_store_close(store);
        return;
    }
    /* A file that was cut to nothing is no store yet. SQLite takes one that a newer one wrote, by
     * its head, for one that cannot be written. */
    require(code == ANONSET_FOREIGN || code == ANONSET_CORRUPT || code == ANONSET_IO ||
                code == ANONSET_PERMISSION || (code == ANONSET_NOT_FOUND && len == 0),
            "code", detail.text);
    require(detail.code == code && detail.text[0], "no detail", anonset_strerror(code));
    refused[code]++;
    check_refused(bytes, len);
}

/* ---- One input --------------------------------------------------------------------------------
 */

static void forget(const char *name)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal", "-new", "-lock"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char file[300];
        (void)snprintf(file, sizeof file, "%s%s", name, endings[i]);
        (void)unlink(file); /* most are not there */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tw_rng rng = {.bytes = data, .left = size};
    size_t len;
    rng.state = tw_between(&rng, 0, 255);
    const struct shape *shape = &shapes[tw_between(&rng, 0, LAYOUTS - 1)];
    bool raw = tw_chance(&rng, .4);
    ts_write_file(path, shape->bytes, shape->len);
    if (!raw || tw_chance(&rng, .3))
        bend_by_sql(&rng);
    char *bytes = raw ? bend_bytes(&rng, &len) : ts_read_file(path, &len);
    if (raw)
        ts_write_file(path, bytes, len);
    unchanged += len == shape->len && memcmp(bytes, shape->bytes, len) == 0;
    char *before = told_before(bytes, len);
    open_and_check(bytes, len, before);
    free(before);
    free(bytes);
    forget(path);
    forget(copy);
    return 0;
}

static void report(void)
{
    printf("%lu upgraded; refused: %lu foreign, %lu corrupt, %lu I/O, %lu not writable; %lu "
           "damaged for SQLite too, "
           "%lu as they were\n",
           upgraded, refused[ANONSET_FOREIGN], refused[ANONSET_CORRUPT], refused[ANONSET_IO],
           refused[ANONSET_PERMISSION], damaged, unchanged);
    for (size_t i = 0; i < LAYOUTS; i++)
        free(shapes[i].bytes);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (!place_make("legacy_fuzz", report))
        return 1;
    place_path(path, sizeof path, "cache");
    place_path(copy, sizeof copy, "copy");
    for (size_t i = 0; i < LAYOUTS; i++)
        make_shape(&shapes[i], layouts[i]);
    return 0;
}

const fuzz_target fuzz = {.name = "legacy_fuzz", .most = 128};
