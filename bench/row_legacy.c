/*
 * The cache of older wallets, version 2: text in base64, a transaction a sector, SQLite as it comes
 * (a rollback journal). The statements are those of its writer and its reader.
 */
#include "bench/bench.h"
#include "bench/sql.h"
#include "tests/server/text.h"

#include <stdlib.h>

static const char schema[] =
    "CREATE TABLE SparkSet(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT UNIQUE,"
    " blockHash TEXT NOT NULL, setHash TEXT NOT NULL, groupId INTEGER NOT NULL,"
    " size INTEGER NOT NULL, complete INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE(blockHash, setHash, groupId));"
    "CREATE TABLE SparkCoin(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT UNIQUE,"
    " serialized TEXT NOT NULL, txHash TEXT NOT NULL, context TEXT NOT NULL,"
    " groupId INTEGER NOT NULL, UNIQUE(serialized, txHash, context, groupId));"
    "CREATE TABLE SparkSetCoins(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT UNIQUE,"
    " setId INTEGER NOT NULL, coinId INTEGER NOT NULL, orderKey INTEGER NOT NULL DEFAULT 0,"
    " FOREIGN KEY(setId) REFERENCES SparkSet(id), FOREIGN KEY(coinId) REFERENCES SparkCoin(id));"
    "CREATE UNIQUE INDEX idx_sparksetcoins_set_coin ON SparkSetCoins(setId, coinId);"
    "INSERT INTO SparkSet(blockHash, setHash, groupId, size) VALUES('block', 'set', 1, 0)";

static const char read_sql[] =
    "SELECT sc.serialized, sc.txHash, sc.context FROM SparkSet ss"
    " JOIN SparkSetCoins ssc ON ssc.setId = ss.id JOIN SparkCoin sc ON sc.id = ssc.coinId"
    " WHERE ss.groupId = 1 AND ss.complete = 1 ORDER BY ss.id ASC, ssc.orderKey DESC, ssc.id ASC";

/* A coin's fields in `text`, one behind the other. */
typedef struct lens {
    size_t serialized, tx_hash, context;
} lens;

typedef struct legacy {
    sqlite3 *db;
    sqlite3_stmt *insert, *find, *link;
    text text;
    lens *lens;
} legacy;

static void legacy_create(const char *path)
{
    sqlite3 *db = sql_open(path);
    sql_run(db, schema);
    sqlite3_close(db);
}

static void *legacy_open(const char *path)
{
    legacy *l = calloc(1, sizeof *l);
    if (!l)
        fail("no memory");
    l->db = sql_open(path);
    l->insert = sql_prepare(l->db, "INSERT OR IGNORE INTO SparkCoin(serialized, txHash, context,"
                                   " groupId) VALUES(?, ?, ?, 1)");
    l->find = sql_prepare(l->db, "SELECT id FROM SparkCoin WHERE serialized = ? AND txHash = ?"
                                 " AND context = ? AND groupId = 1");
    l->link = sql_prepare(l->db, "INSERT OR IGNORE INTO SparkSetCoins(setId, coinId, orderKey)"
                                 " VALUES(1, ?, ?)");
    return l;
}

static size_t encode(text *out, const uint8_t *bytes, size_t len)
{
    size_t before = out->len;
    text_base64(out, bytes, len);
    return out->len - before;
}

/* A server sends base64, and that is what this layout keeps. */
static void legacy_prepare(void *handle, const sector *coins)
{
    legacy *l = handle;
    free(l->lens);
    l->lens = malloc(coins->n * sizeof *l->lens);
    if (!l->lens)
        fail("no memory");
    l->text.len = 0;
    for (uint32_t i = 0; i < coins->n; i++) {
        const anonset_coin *coin = &coins->coins[i];
        l->lens[i].serialized = encode(&l->text, coin->serialized, coin->serialized_len);
        l->lens[i].tx_hash = encode(&l->text, coin->tx_hash, ANONSET_HASH_BYTES);
        l->lens[i].context = encode(&l->text, coin->context, coin->context_len);
    }
}

static void bind(const legacy *l, sqlite3_stmt *statement, const char *at, const lens *len)
{
    const char *tx_hash = at + len->serialized, *context = tx_hash + len->tx_hash;
    sql_need(l->db, sqlite3_bind_text(statement, 1, at, (int)len->serialized, SQLITE_STATIC));
    sql_need(l->db, sqlite3_bind_text(statement, 2, tx_hash, (int)len->tx_hash, SQLITE_STATIC));
    sql_need(l->db, sqlite3_bind_text(statement, 3, context, (int)len->context, SQLITE_STATIC));
}

static sqlite3_int64 coin_id(legacy *l, const char *at, const lens *len)
{
    bind(l, l->insert, at, len);
    sql_finish(l->db, l->insert);
    if (sqlite3_changes(l->db) == 1)
        return sqlite3_last_insert_rowid(l->db);
    bind(l, l->find, at, len);
    sql_need(l->db, sqlite3_step(l->find));
    sqlite3_int64 id = sqlite3_column_int64(l->find, 0);
    sqlite3_reset(l->find);
    return id;
}

static void legacy_append(void *handle, const sector *coins, uint32_t target)
{
    legacy *l = handle;
    const char *at = l->text.data;
    sql_run(l->db, "BEGIN");
    for (uint32_t i = 0; i < coins->n; i++) {
        const lens *len = &l->lens[i];
        sql_need(l->db, sqlite3_bind_int64(l->link, 1, coin_id(l, at, len)));
        sql_need(l->db, sqlite3_bind_int64(l->link, 2, target - 1 - (coins->start + i)));
        sql_finish(l->db, l->link);
        at += len->serialized + len->tx_hash + len->context;
    }
    sql_run(l->db, "COMMIT");
}

static void legacy_finish(void *handle, uint32_t target)
{
    legacy *l = handle;
    (void)target;
    sql_run(l->db, "UPDATE SparkSet SET complete = 1, size = (SELECT count(*) FROM SparkSetCoins)");
}

/* The bytes of all columns are looked at as text: what a wallet has to decode still. */
static void legacy_read(void *handle, tally *seen)
{
    legacy *l = handle;
    sqlite3_stmt *all = sql_prepare(l->db, read_sql);
    int rc;
    while ((rc = sqlite3_step(all)) == SQLITE_ROW) {
        tally_coin(seen, sqlite3_column_text(all, 0), (size_t)sqlite3_column_bytes(all, 0));
        seen->sum += sqlite3_column_text(all, 1)[0] + sqlite3_column_text(all, 2)[0];
    }
    sql_need(l->db, rc);
    sqlite3_finalize(all);
}

static void legacy_close(void *handle)
{
    legacy *l = handle;
    sqlite3_finalize(l->insert);
    sqlite3_finalize(l->find);
    sqlite3_finalize(l->link);
    sql_need(l->db, sqlite3_close(l->db));
    text_free(&l->text);
    free(l->lens);
    free(l);
}

const row row_legacy = {
    .name = "legacy",
    .title = "legacy layout, SQLite",
    .create = legacy_create,
    .open = legacy_open,
    .prepare = legacy_prepare,
    .append = legacy_append,
    .finish = legacy_finish,
    .close = legacy_close,
    .read = legacy_read,
};
