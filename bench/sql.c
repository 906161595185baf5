#include "bench/sql.h"

#include "bench/bench.h"

void sql_need(sqlite3 *db, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
        fail("SQLite: %s", sqlite3_errmsg(db));
}

void sql_run(sqlite3 *db, const char *sql)
{
    sql_need(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

sqlite3_stmt *sql_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *made = NULL;
    sql_need(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL));
    return made;
}

void sql_finish(sqlite3 *db, sqlite3_stmt *statement)
{
    sql_need(db, sqlite3_step(statement));
    sql_need(db, sqlite3_reset(statement));
}

sqlite3 *sql_open(const char *path)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK)
        fail("%s cannot be opened", path);
    return db;
}
