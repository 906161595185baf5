/*
 * The engines alone, one row a commit, in modes that keep every acknowledged commit and in modes
 * that do not: whether the harness tells the ones from the others.
 */
#include "tests/crash/crash.h"
#include "tests/crash/must.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#define ROWS      12u
#define ROW_BYTES 9000u

typedef struct bare_mode {
    const char *name;
    const char *pragmas; /* NULL: LMDB */
    unsigned flags;      /* of LMDB */
    bool in_place;       /* LMDB makes its file under its name */
} bare_mode;

static const bare_mode modes[TC_ENGINES] = {
    [TC_SQLITE_WAL_FULL] = {.name = "sqlite WAL FULL",
                            .pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                       "PRAGMA wal_autocheckpoint=20"},
    [TC_SQLITE_DELETE_EXTRA] = {.name = "sqlite DELETE EXTRA",
                                .pragmas = "PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA"},
    [TC_LMDB_RENAMED] = {.name = "lmdb renamed"},
    [TC_SQLITE_DELETE_FULL] = {.name = "sqlite DELETE FULL",
                               .pragmas = "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL"},
    [TC_SQLITE_WAL_NORMAL] = {.name = "sqlite WAL NORMAL",
                              .pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                                         "PRAGMA wal_autocheckpoint=20"},
    [TC_LMDB_NOSYNC] = {.name = "lmdb NOSYNC", .flags = MDB_NOSYNC},
    [TC_LMDB_IN_PLACE] = {.name = "lmdb in place", .in_place = true},
};

/* What a store of `n` whole rows shows; none is like no store, since that is how one begins. */
static uint64_t shows(uint32_t n)
{
    return n == 0 ? TC_ABSENT : 1000 + n;
}

static void fill_row(uint8_t *row, uint32_t number)
{
    tw_rng rng = {.state = number};
    for (size_t i = 0; i < ROW_BYTES; i++)
        row[i] = (uint8_t)tw_random(&rng);
}

static bool is_row(const void *bytes, size_t len, uint32_t number)
{
    uint8_t row[ROW_BYTES];
    fill_row(row, number);
    return len == sizeof row && memcmp(bytes, row, sizeof row) == 0;
}

static uint64_t bad(char why[TC_WHY], const char *text)
{
    (void)snprintf(why, TC_WHY, "%s", text);
    return TC_BAD;
}

/* ---- SQLite ------------------------------------------------------------------------------- */

static sqlite3 *sqlite_new(const bare_mode *mode, const char *path)
{
    sqlite3 *db;
    tc_must(sqlite3_open(path, &db) == SQLITE_OK, "a database can be opened");
    tc_must(sqlite3_exec(db, mode->pragmas, NULL, NULL, NULL) == SQLITE_OK &&
                sqlite3_exec(db, "CREATE TABLE row(number INTEGER PRIMARY KEY, bytes BLOB)", NULL,
                             NULL, NULL) == SQLITE_OK,
            "a table can be made");
    return db;
}

static void sqlite_record(const bare_mode *mode, tc_tape *tape)
{
    sqlite3 *db = sqlite_new(mode, tape->path);
    sqlite3_stmt *insert;
    tc_must(sqlite3_prepare_v2(db, "INSERT INTO row VALUES(?1, ?2)", -1, &insert, NULL) ==
                SQLITE_OK,
            "rows can be added");
    for (uint32_t i = 1; i <= ROWS; i++) {
        uint8_t row[ROW_BYTES];
        fill_row(row, i);
        tc_write_begins(tape, 0);
        tc_must(sqlite3_bind_int64(insert, 1, i) == SQLITE_OK &&
                    sqlite3_bind_blob(insert, 2, row, sizeof row, SQLITE_STATIC) == SQLITE_OK &&
                    sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK,
                "a row can be added");
        tc_write_acked(tape, 0, shows(i));
    }
    sqlite3_finalize(insert);
    (void)sqlite3_close(db);
}

static uint64_t sqlite_rows(sqlite3 *db, char why[TC_WHY])
{
    sqlite3_stmt *rows;
    uint32_t n = 0;
    bool whole = true;
    int rc = sqlite3_prepare_v2(db, "SELECT bytes FROM row ORDER BY number", -1, &rows, NULL);
    if (rc == SQLITE_ERROR) /* there is no table yet */
        return TC_ABSENT;
    if (rc != SQLITE_OK)
        return bad(why, sqlite3_errmsg(db));
    while ((rc = sqlite3_step(rows)) == SQLITE_ROW && whole)
        whole = is_row(sqlite3_column_blob(rows, 0), (size_t)sqlite3_column_bytes(rows, 0), ++n);
    sqlite3_finalize(rows);
    if (rc != SQLITE_DONE)
        return bad(why, whole ? sqlite3_errmsg(db) : "a row is damaged");
    return shows(n);
}

static uint64_t sqlite_look(const char *path, char why[TC_WHY])
{
    sqlite3 *db;
    uint64_t shown = TC_ABSENT;
    if (access(path, F_OK) != 0)
        return TC_ABSENT;
    if (sqlite3_open(path, &db) == SQLITE_OK)
        shown = sqlite_rows(db, why);
    else
        shown = bad(why, sqlite3_errmsg(db));
    (void)sqlite3_close(db);
    return shown;
}

/* ---- LMDB --------------------------------------------------------------------------------- */

static MDB_env *lmdb_open(const char *path, unsigned flags)
{
    MDB_env *env;
    tc_must(mdb_env_create(&env) == 0, "there is memory");
    if (mdb_env_set_mapsize(env, (size_t)1 << 20) == 0 &&
        mdb_env_open(env, path, MDB_NOSUBDIR | flags, 0644) == 0)
        return env;
    mdb_env_close(env);
    return NULL;
}

static int lmdb_add(MDB_env *env, uint32_t number)
{
    uint8_t row[ROW_BYTES];
    uint8_t big_endian = (uint8_t)number;
    MDB_val key = {1, &big_endian}, val = {sizeof row, row};
    MDB_txn *txn;
    MDB_dbi table;
    fill_row(row, number);
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc == 0)
        rc = mdb_dbi_open(txn, NULL, 0, &table);
    if (rc == 0 && number > 0)
        rc = mdb_put(txn, table, &key, &val, 0);
    return rc == 0 ? mdb_txn_commit(txn) : rc;
}

static void sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    tc_must(fd >= 0 && fsync(fd) == 0 && close(fd) == 0, "a path can be synced");
}

/* As the backend does. */
static void lmdb_make_renamed(const tc_tape *tape)
{
    char temp[340];
    (void)snprintf(temp, sizeof temp, "%s-new", tape->path);
    MDB_env *env = lmdb_open(temp, MDB_NOLOCK);
    tc_must(env != NULL && lmdb_add(env, 0) == 0, "an environment can be made");
    mdb_env_close(env);
    sync_path(temp, O_RDWR);
    tc_must(rename(temp, tape->path) == 0, "an environment can be renamed");
    sync_path(tape->folder, O_RDONLY | O_DIRECTORY);
}

static void lmdb_record(const bare_mode *mode, tc_tape *tape)
{
    if (!mode->in_place)
        lmdb_make_renamed(tape);
    MDB_env *env = lmdb_open(tape->path, mode->flags);
    tc_must(env != NULL, "an environment can be opened");
    for (uint32_t i = 1; i <= ROWS; i++) {
        tc_write_begins(tape, 0);
        tc_must(lmdb_add(env, i) == 0, "a row can be added");
        tc_write_acked(tape, 0, shows(i));
    }
    mdb_env_close(env);
}

static uint64_t lmdb_rows(MDB_txn *txn, char why[TC_WHY])
{
    MDB_dbi table;
    MDB_cursor *cursor;
    MDB_val key, val;
    uint32_t n = 0;
    bool whole = true;
    if (mdb_dbi_open(txn, NULL, 0, &table) != 0 || mdb_cursor_open(txn, table, &cursor) != 0)
        return bad(why, "the table cannot be opened");
    int rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);
    while (rc == 0 && whole) {
        whole = is_row(val.mv_data, val.mv_size, ++n);
        rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND && whole ? shows(n) : bad(why, "a row is damaged");
}

static uint64_t lmdb_look(const char *path, char why[TC_WHY])
{
    MDB_txn *txn;
    if (access(path, F_OK) != 0)
        return TC_ABSENT;
    MDB_env *env = lmdb_open(path, MDB_RDONLY | MDB_NOLOCK);
    if (env == NULL)
        return bad(why, "the environment cannot be opened");
    uint64_t shown = TC_BAD;
    if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0) {
        shown = lmdb_rows(txn, why);
        mdb_txn_abort(txn);
    }
    mdb_env_close(env);
    return shown;
}

/* ---- Both --------------------------------------------------------------------------------- */

static void record(const void *which, tc_tape *tape)
{
    const bare_mode *mode = which;
    if (mode->pragmas)
        sqlite_record(mode, tape);
    else
        lmdb_record(mode, tape);
}

static uint64_t look(const void *which, const char *path, char why[TC_WHY])
{
    const bare_mode *mode = which;
    return mode->pragmas ? sqlite_look(path, why) : lmdb_look(path, why);
}

tc_subject tc_bare(tc_engine engine)
{
    return (tc_subject){.name = modes[engine].name,
                        .mode = &modes[engine],
                        .write_names = {"rows"},
                        .record = record,
                        .look = look};
}
