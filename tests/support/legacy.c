#include "tests/support/legacy.h"

#include "core/base64.h"
#include "tests/support/support.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define HASH_CHARS (AS_BASE64_CHARS(ANONSET_HASH_BYTES) + 1)

static const char v1[] =
    "CREATE TABLE SparkSet(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT UNIQUE,"
    " blockHash TEXT NOT NULL, setHash TEXT NOT NULL, groupId INTEGER NOT NULL,"
    " size INTEGER NOT NULL, UNIQUE(blockHash, setHash, groupId));"
    "CREATE TABLE SparkCoin(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT UNIQUE,"
    " serialized TEXT NOT NULL, txHash TEXT NOT NULL, context TEXT NOT NULL,"
    " groupId INTEGER NOT NULL, UNIQUE(serialized, txHash, context, groupId));"
    "CREATE TABLE SparkSetCoins(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT UNIQUE,"
    " setId INTEGER NOT NULL, coinId INTEGER NOT NULL,"
    " FOREIGN KEY(setId) REFERENCES SparkSet(id), FOREIGN KEY(coinId) REFERENCES SparkCoin(id));";

static const char v2[] =
    "CREATE TABLE SparkSet(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT UNIQUE,"
    " blockHash TEXT NOT NULL, setHash TEXT NOT NULL, groupId INTEGER NOT NULL,"
    " size INTEGER NOT NULL, complete INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE(blockHash, setHash, groupId));"
    "CREATE TABLE SparkCoin(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT UNIQUE,"
    " serialized TEXT NOT NULL, txHash TEXT NOT NULL, context TEXT NOT NULL,"
    " groupId INTEGER NOT NULL, UNIQUE(serialized, txHash, context, groupId));"
    "CREATE TABLE SparkSetCoins(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT UNIQUE,"
    " setId INTEGER NOT NULL, coinId INTEGER NOT NULL, orderKey INTEGER NOT NULL DEFAULT 0,"
    " FOREIGN KEY(setId) REFERENCES SparkSet(id), FOREIGN KEY(coinId) REFERENCES SparkCoin(id));";

/* The steps by which a wallet upgrades its file. */
static const struct {
    unsigned has;
    const char *sql;
} steps[] = {
    {TS_LEGACY_COMPLETE, "ALTER TABLE SparkSet ADD COLUMN complete INTEGER NOT NULL DEFAULT 1"},
    {TS_LEGACY_ORDER, "ALTER TABLE SparkSetCoins ADD COLUMN orderKey INTEGER NOT NULL DEFAULT 0"},
    {TS_LEGACY_INDEX,
     "CREATE UNIQUE INDEX idx_sparksetcoins_set_coin ON SparkSetCoins(setId, coinId)"},
};

static void ok(sqlite3 *db, int rc, const char *what)
{
    if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
        ts_die("legacy: %s: %s", what, sqlite3_errmsg(db));
}

void ts_legacy_run(ts_legacy *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    if (!sql)
        ts_die("legacy: no memory");
    ok(l->db, sqlite3_exec(l->db, sql, NULL, NULL, NULL), sql);
    sqlite3_free(sql);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *made = NULL;
    ok(db, sqlite3_prepare_v2(db, sql, -1, &made, NULL), sql);
    return made;
}

static void open_file(ts_legacy *l, const char *path, unsigned has)
{
    *l = (ts_legacy){.has = has};
    ok(l->db, sqlite3_open(path, &l->db), path);
}

static void prepare_all(ts_legacy *l)
{
    l->insert_coin = prepare(l->db, "INSERT OR IGNORE INTO SparkCoin(serialized, txHash, context,"
                                    " groupId) VALUES(?, ?, ?, ?)");
    l->find_coin = prepare(l->db, "SELECT id FROM SparkCoin WHERE serialized = ? AND txHash = ?"
                                  " AND context = ? AND groupId = ?");
    l->insert_link = prepare(
        l->db, l->has & TS_LEGACY_ORDER
                   ? "INSERT OR IGNORE INTO SparkSetCoins(setId, coinId, orderKey) VALUES(?, ?, ?)"
                   : "INSERT INTO SparkSetCoins(setId, coinId) VALUES(?, ?)");
}

void ts_legacy_create(ts_legacy *l, const char *path, unsigned has)
{
    open_file(l, path, has);
    if (has & TS_LEGACY_UTF16)
        ts_legacy_run(l, "PRAGMA encoding = 'UTF-16'");
    ts_legacy_run(l, "BEGIN");
    ts_legacy_run(l, "%s", has & TS_LEGACY_FRESH ? v2 : v1);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (has & steps[i].has && (steps[i].has == TS_LEGACY_INDEX || !(has & TS_LEGACY_FRESH)))
            ts_legacy_run(l, "%s", steps[i].sql);
    ts_legacy_run(l, "COMMIT");
    prepare_all(l);
}

void ts_legacy_open(ts_legacy *l, const char *path, unsigned has)
{
    open_file(l, path, has);
    prepare_all(l);
}

void ts_legacy_close(ts_legacy *l)
{
    sqlite3_finalize(l->insert_coin);
    sqlite3_finalize(l->find_coin);
    sqlite3_finalize(l->insert_link);
    ok(l->db, sqlite3_close(l->db), "close");
}

sqlite3_int64 ts_legacy_set(ts_legacy *l, uint32_t group, const anonset_meta *meta)
{
    char block[HASH_CHARS], set[HASH_CHARS] = "";
    (void)as_base64_encode(block, meta->block_hash, ANONSET_HASH_BYTES);
    if (meta->has_set_hash)
        (void)as_base64_encode(set, meta->set_hash, ANONSET_HASH_BYTES);
    ts_legacy_run(
        l, "INSERT INTO SparkSet(blockHash, setHash, groupId, size) VALUES('%s', '%s', %u, %u)",
        block, set, group, meta->size);
    sqlite3_int64 id = sqlite3_last_insert_rowid(l->db);
    if (l->has & TS_LEGACY_COMPLETE)
        ts_legacy_run(l, "UPDATE SparkSet SET complete = 1 WHERE id = %lld", id);
    return id;
}

static void bind_text(sqlite3_stmt *s, int at, const uint8_t *bytes, uint32_t len)
{
    char *text = malloc(AS_BASE64_CHARS((size_t)len) + 1);
    if (!text)
        ts_die("legacy: no memory");
    size_t chars = as_base64_encode(text, bytes, len);
    ok(sqlite3_db_handle(s), sqlite3_bind_text(s, at, text, (int)chars, free), "bind");
}

static void bind_coin(sqlite3_stmt *s, uint32_t group, const anonset_coin *coin)
{
    sqlite3_reset(s);
    bind_text(s, 1, coin->serialized, coin->serialized_len);
    bind_text(s, 2, coin->tx_hash, ANONSET_HASH_BYTES);
    bind_text(s, 3, coin->context, coin->context_len);
    sqlite3_bind_int64(s, 4, group);
}

void ts_legacy_coin(ts_legacy *l, sqlite3_int64 set, uint32_t group, const anonset_coin *coin,
                    uint32_t order_key)
{
    bind_coin(l->insert_coin, group, coin);
    ok(l->db, sqlite3_step(l->insert_coin), "insert a coin");
    bind_coin(l->find_coin, group, coin);
    ok(l->db, sqlite3_step(l->find_coin), "find a coin");
    sqlite3_int64 id = sqlite3_column_int64(l->find_coin, 0);
    sqlite3_reset(l->find_coin);
    sqlite3_reset(l->insert_link);
    sqlite3_bind_int64(l->insert_link, 1, set);
    sqlite3_bind_int64(l->insert_link, 2, id);
    if (l->has & TS_LEGACY_ORDER)
        sqlite3_bind_int64(l->insert_link, 3, order_key);
    ok(l->db, sqlite3_step(l->insert_link), "insert a link");
}

void ts_legacy_delta(ts_legacy *l, sqlite3_int64 set, uint32_t group, const anonset_coin *coins,
                     uint32_t n, uint32_t sector)
{
    bool newest_first = (l->has & TS_LEGACY_FRESH) != 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i % sector == 0)
            ts_legacy_run(l, "BEGIN");
        if (newest_first)
            ts_legacy_coin(l, set, group, &coins[n - 1 - i], i);
        else
            ts_legacy_coin(l, set, group, &coins[i], 0);
        if (i % sector == sector - 1 || i == n - 1)
            ts_legacy_run(l, "COMMIT");
    }
}

/* ---- Reading ------------------------------------------------------------------------------ */

static bool has_column(sqlite3 *db, const char *table, const char *column)
{
    sqlite3_stmt *s = NULL;
    bool found = sqlite3_prepare_v2(db, "SELECT 1 FROM pragma_table_info(?) WHERE name = ?", -1, &s,
                                    NULL) == SQLITE_OK;
    sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, column, -1, SQLITE_STATIC);
    found = found && sqlite3_step(s) == SQLITE_ROW;
    sqlite3_finalize(s);
    return found;
}

static char *query(sqlite3 *db, anonset_order order, bool after)
{
    bool complete = has_column(db, "SparkSet", "complete");
    bool keyed = has_column(db, "SparkSetCoins", "orderKey");
    bool oldest = order == ANONSET_OLDEST_FIRST;
    return sqlite3_mprintf(
        "SELECT sc.serialized, sc.txHash, sc.context FROM SparkSet AS ss"
        " JOIN SparkSetCoins AS ssc ON ss.id = ssc.setId"
        " JOIN SparkCoin AS sc ON ssc.coinId = sc.id"
        " WHERE ss.groupId = ?1 %s %s"
        " AND ssc.id IN (SELECT min(id) FROM SparkSetCoins GROUP BY setId, coinId)"
        " ORDER BY ss.id %s %s, ssc.id %s",
        complete ? "AND ss.complete = 1" : "",
        after ? "AND ss.id > (SELECT id FROM SparkSet WHERE blockHash = ?2 AND groupId = ?1)" : "",
        oldest ? "ASC" : "DESC",
        keyed ? (oldest ? ", ssc.orderKey DESC" : ", ssc.orderKey ASC") : "",
        oldest ? "ASC" : "DESC");
}

static int print_rows(FILE *out, sqlite3_stmt *s)
{
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *text[3];
        for (int i = 0; i < 3; i++)
            text[i] = (const char *)sqlite3_column_text(s, i);
        fprintf(out, "[\"%s\",\"%s\",\"%s\"]\n", text[0] ? text[0] : "", text[1] ? text[1] : "",
                text[2] ? text[2] : "");
    }
    return rc;
}

bool ts_legacy_try_export(FILE *out, sqlite3 *db, uint32_t group, const uint8_t *after,
                          anonset_order order)
{
    char block[HASH_CHARS];
    char *sql = query(db, order, after != NULL);
    sqlite3_stmt *s = NULL;
    int rc = sql ? sqlite3_prepare_v2(db, sql, -1, &s, NULL) : SQLITE_NOMEM;
    sqlite3_free(sql);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(s, 1, group);
    if (rc == SQLITE_OK && after) {
        (void)as_base64_encode(block, after, ANONSET_HASH_BYTES);
        rc = sqlite3_bind_text(s, 2, block, -1, SQLITE_STATIC);
    }
    if (rc == SQLITE_OK)
        rc = print_rows(out, s);
    sqlite3_finalize(s);
    return rc == SQLITE_DONE;
}

void ts_legacy_export(FILE *out, const char *path, uint32_t group, const uint8_t *after,
                      anonset_order order)
{
    sqlite3 *db = NULL;
    ok(db, sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), path);
    if (!ts_legacy_try_export(out, db, group, after, order))
        ts_die("legacy: export: %s", sqlite3_errmsg(db));
    sqlite3_close(db);
}
