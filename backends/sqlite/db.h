/*
 * One connection to a store's file, set up as we need it, with its statements prepared once. A
 * connection belongs to one thread at a time.
 */
#ifndef AS_SQLITE_DB_H
#define AS_SQLITE_DB_H

#include <anonset/backend.h>
#include <sqlite3.h>

/* The statements; their text is in schema.c. */
typedef enum as_sql {
    AS_SQL_BEGIN_READ,
    AS_SQL_BEGIN_WRITE,
    AS_SQL_COMMIT,
    AS_SQL_ROLLBACK,
    AS_SQL_INFO,
    AS_SQL_INFO_PUT,
    AS_SQL_GROUP_GET,
    AS_SQL_GROUP_PUT,
    AS_SQL_GROUP_DELETE,
    AS_SQL_GROUP_DELETE_ALL,
    AS_SQL_GROUP_NEXT,
    AS_SQL_GROUP_NEW_SLOT,
    AS_SQL_RECORD_PUT,
    AS_SQL_PACK_FIND,
    AS_SQL_PACK_READ,
    AS_SQL_PACK_NEXT,
    AS_SQL_PACK_BODY,
    AS_SQL_PACK_INSERT,
    AS_SQL_PACK_UPDATE,
    AS_SQL_PACK_DELETE,
    AS_SQL_PACK_DELETE_PENDING,
    AS_SQL_PACK_DELETE_OTHERS,
    AS_SQL_PACK_DELETE_RANGE,
    AS_SQL_PACK_DELETE_ALL,
    AS_SQL_CHECKPOINT_READ,
    AS_SQL_CHECKPOINT_PUT,
    AS_SQL_CHECKPOINT_DELETE_RANGE,
    AS_SQL_CHECKPOINT_DELETE_ALL,
    AS_SQL_JOURNAL_MODE,
    AS_SQL_VACUUM,
    AS_SQL_TOUCH,
    AS_SQL_SCHEMA,
    AS_SQL_GROUP_ALL,
    AS_SQL_PACK_AFTER,
    AS_SQL_CHECK,
    AS_SQL_USED_STATE,
    AS_SQL_USED_STATE_PUT,
    AS_SQL_USED_STATE_DELETE,
    AS_SQL_USED_INSERT,
    AS_SQL_USED_DELETE_ALL,
    AS_SQL_USED_DELETE_FROM,
    AS_SQL_USED_COUNT,
    AS_SQL_USED_CHECK,
    AS_SQL_USED_KEY_CHECK,
    AS_SQL_USED_MARK_PUT,
    AS_SQL_USED_MARK,
    AS_SQL_USED_READ,
    AS_SQL_USED_FIND,
    AS_SQL_USED_RUN_BELOW,
    AS_SQL_USED_KEY_PUT,
    AS_SQL_USED_KEY_ALL,
    AS_SQL_USED_KEY_CUT,
    AS_SQL_USED_KEY_CLEAR,
    AS_SQL_COUNT
} as_sql;

extern const char *const as_sql_text[AS_SQL_COUNT];

typedef struct as_db {
    sqlite3 *sqlite;
    const char *path; /* borrowed from the handle, which outlives it */
    sqlite3_stmt *statements[AS_SQL_COUNT];
    int wal_frames; /* in the log after this connection's newest commit */
} as_db;

/* No stored value is larger: SQLite refuses to load one, so that a rotten length allocates no more
 * than this. */
#define AS_VALUE_MOST (16 * 1024 * 1024)

/* Opens the file, which exists, and changes nothing in it. `flags` as sqlite3_open_v2. */
anonset_code as_db_open(as_db **db, const char *path, int flags, unsigned busy_ms,
                        anonset_detail *detail);
void as_db_close(as_db *db);

/* Sets what a connection needs before it reads or writes: durability, memory, no checkpoint of
 * SQLite's own. */
anonset_code as_db_configure(as_db *db, anonset_detail *detail);

/* Runs a check of SQLite's own, which answers "ok", or CORRUPT tells what it found first. */
anonset_code as_db_check_pages(as_db *db, as_sql which, anonset_detail *detail);

/* Switches the file to a write-ahead log if somebody switched it off; the caller holds the writer
 * lock. UNSUPPORTED: the file system cannot have one. */
anonset_code as_db_need_wal(as_db *db, anonset_detail *detail);

/* Runs text without results. */
anonset_code as_db_exec(as_db *db, const char *sql, const char *doing, anonset_detail *detail);

/* Makes a statement ready: prepared, reset, its first n parameters set. */
anonset_code as_db_prepare(as_db *db, sqlite3_stmt **statement, as_sql which, int n,
                           const sqlite3_int64 *parameters, anonset_detail *detail);
/* *row: there is one; its columns live until the statement is prepared or reset. Without one, or on
 * failure, the statement is reset. */
anonset_code as_db_step(as_db *db, sqlite3_stmt *statement, bool *row, anonset_detail *detail);
/* The two in one: the first row of a query. */
anonset_code as_db_first(as_db *db, sqlite3_stmt **statement, bool *row, as_sql which, int n,
                         const sqlite3_int64 *parameters, anonset_detail *detail);
/* Prepares and runs a statement without results. */
anonset_code as_db_run(as_db *db, as_sql which, int n, const sqlite3_int64 *parameters,
                       anonset_detail *detail);
/* The same with a blob, which is copied, as the last parameter. `doing`: for the detail, if it
 * cannot be bound. */
anonset_code as_db_run_blob(as_db *db, as_sql which, int n, const sqlite3_int64 *parameters,
                            const void *blob, size_t len, const char *doing,
                            anonset_detail *detail);
/* Runs a prepared statement without results. */
anonset_code as_db_finish(as_db *db, sqlite3_stmt *statement, anonset_detail *detail);

/* What SQLite's result code is in our words, and what to do about it. */
anonset_code as_db_fail(as_db *db, int rc, const char *doing, anonset_detail *detail);
#ifdef __clang_analyzer__
/* As with as_fail: never OK. */
#define as_db_fail(db, rc, doing, detail) ((void)(as_db_fail)(db, rc, doing, detail), ANONSET_IO)
#endif

/*
 * Writes the log over itself and syncs it. After a sync that failed the system takes the log's
 * bytes for written, though they may never have reached the disk, and no later sync would bring
 * them there: copied into the file as they are seen, they would leave a disk that holds both more
 * and less than the log on it. The caller holds the writer lock.
 */
anonset_code as_db_renew_log(as_db *db, anonset_detail *detail);

/*
 * Copies the log into the file as far as readers allow, without waiting for them. The caller holds
 * the writer lock. *whole: all of it was copied. mode: SQLITE_CHECKPOINT_PASSIVE or _TRUNCATE.
 */
anonset_code as_db_checkpoint(as_db *db, bool *whole, int mode, anonset_detail *detail);

#endif
