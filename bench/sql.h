/* The two rows that are SQL: how they are seen to go through the same SQLite as our own. */
#ifndef BENCH_SQL_H
#define BENCH_SQL_H

#include <sqlite3.h>

/* Ends the program unless rc is OK, ROW or DONE. */
void sql_need(sqlite3 *db, int rc);
void sql_run(sqlite3 *db, const char *sql);
sqlite3_stmt *sql_prepare(sqlite3 *db, const char *sql);
/* Steps a statement without results to its end, and resets it. */
void sql_finish(sqlite3 *db, sqlite3_stmt *statement);
sqlite3 *sql_open(const char *path);

#endif
