/* SQLite as it comes: a coin a row, write-ahead log, synchronous=FULL; no digest, no check. */
#include "bench/bench.h"
#include "bench/sql.h"

#include <stdlib.h>

typedef struct bare {
    sqlite3 *db;
    sqlite3_stmt *insert;
} bare;

static void bare_create(const char *path)
{
    sqlite3 *db = sql_open(path);
    sql_run(db, "PRAGMA journal_mode=WAL;"
                "CREATE TABLE coin(id INTEGER PRIMARY KEY, serialized BLOB NOT NULL)");
    sqlite3_close(db);
}

static void *bare_open(const char *path)
{
    bare *b = malloc(sizeof *b);
    if (!b)
        fail("no memory");
    b->db = sql_open(path);
    sql_run(b->db, "PRAGMA synchronous=FULL");
    b->insert = sql_prepare(b->db, "INSERT INTO coin VALUES(?, ?)");
    return b;
}

static void bare_append(void *handle, const sector *coins, uint32_t target)
{
    bare *b = handle;
    (void)target;
    sql_run(b->db, "BEGIN");
    for (uint32_t i = 0; i < coins->n; i++) {
        const anonset_coin *coin = &coins->coins[i];
        sql_need(b->db, sqlite3_bind_int64(b->insert, 1, coins->start + i));
        sql_need(b->db, sqlite3_bind_blob(b->insert, 2, coin->serialized, (int)coin->serialized_len,
                                          SQLITE_STATIC));
        sql_finish(b->db, b->insert);
    }
    sql_run(b->db, "COMMIT");
}

static void bare_read(void *handle, tally *seen)
{
    bare *b = handle;
    sqlite3_stmt *all = sql_prepare(b->db, "SELECT serialized FROM coin ORDER BY id");
    int rc;
    while ((rc = sqlite3_step(all)) == SQLITE_ROW)
        tally_coin(seen, sqlite3_column_blob(all, 0), (size_t)sqlite3_column_bytes(all, 0));
    sql_need(b->db, rc);
    sqlite3_finalize(all);
}

/* The last connection's close copies the log into the file. */
static void bare_close(void *handle)
{
    bare *b = handle;
    sqlite3_finalize(b->insert);
    sql_need(b->db, sqlite3_close(b->db));
    free(b);
}

const row row_bare_sqlite = {
    .name = "bare-sqlite",
    .title = "bare SQLite",
    .create = bare_create,
    .open = bare_open,
    .append = bare_append,
    .close = bare_close,
    .read = bare_read,
};
