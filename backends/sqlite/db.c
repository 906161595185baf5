#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/sqlite/db.h"

#include "backends/sqlite/vfs.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* A log that a long reader let grow is cut back to this when it starts over. */
#define LOG_KEPT "8388608"
/* With less than this free a failed write is a full disk, whatever the error says. */
#define DISK_FULL_BELOW 65536u

#define RENEW_BYTES 65536

/* ---- Failures ----------------------------------------------------------------------------- */

/* Of the folder, if the file is still to be made. */
static bool disk_is_full(const char *path)
{
    char folder[FILENAME_MAX];
    struct statvfs disk;
    const char *slash = strrchr(path, '/');
    int error = statvfs(path, &disk);
    if (error != 0 && slash != NULL && (size_t)(slash - path) < sizeof folder) {
        (void)snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path);
        error = statvfs(folder, &disk);
    }
    return error == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < DISK_FULL_BELOW;
}

static anonset_code fail_full(const as_db *db, int os_error, const char *doing,
                              anonset_detail *detail)
{
    return as_fail(detail, ANONSET_FULL, os_error, "%s: cannot %s: " AS_FULL_TEXT, db->path, doing);
}

static anonset_code fail_permission(const as_db *db, int os_error, const char *doing,
                                    anonset_detail *detail)
{
    return as_fail(detail, ANONSET_PERMISSION, os_error,
                   "%s: cannot %s: give the user access to it, its -wal and -shm files and its "
                   "folder; reading needs the folder too",
                   db->path, doing);
}

static anonset_code fail_io(const as_db *db, int rc, const char *doing, anonset_detail *detail)
{
    int os_error = sqlite3_system_errno(db->sqlite);
    if (rc == SQLITE_IOERR_NOMEM)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: cannot %s: out of memory", db->path,
                       doing);
    if (as_errno_code(os_error) == ANONSET_FULL || disk_is_full(db->path))
        return fail_full(db, os_error, doing, detail);
    if (as_errno_code(os_error) == ANONSET_PERMISSION)
        return fail_permission(db, os_error, doing, detail);
    return as_fail(detail, ANONSET_IO, os_error,
                   "%s: cannot %s: %s (SQLite %d): look at the disk, then open the store again",
                   db->path, doing, os_error ? strerror(os_error) : sqlite3_errstr(rc), rc);
}

anonset_code(as_db_fail)(as_db *db, int rc, const char *doing, anonset_detail *detail)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: cannot %s: out of memory", db->path,
                       doing);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return as_fail(detail, ANONSET_BUSY, 0,
                       "%s: cannot %s: another program holds the store: try again later", db->path,
                       doing);
    case SQLITE_FULL:
        return fail_full(db, sqlite3_system_errno(db->sqlite), doing, detail);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return fail_io(db, rc, doing, detail);
    case SQLITE_READONLY:
        if (rc == SQLITE_READONLY_DBMOVED)
            return as_fail(detail, ANONSET_IO, 0,
                           "%s: cannot %s: the file was moved or removed, or cannot be looked at: "
                           "close the store and open it again",
                           db->path, doing);
        /* fall through */
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return fail_permission(db, sqlite3_system_errno(db->sqlite), doing, detail);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_TOOBIG:
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "%s: cannot %s: the file is damaged (%s): clear or delete it and sync again",
                       db->path, doing, sqlite3_errstr(rc));
    default:
        return as_fail(detail, ANONSET_INTERNAL, 0, "%s: cannot %s: %s (SQLite %d)", db->path,
                       doing, sqlite3_errmsg(db->sqlite), rc);
    }
}

/* ---- Open and close ----------------------------------------------------------------------- */

static int count_frames(void *context, sqlite3 *sqlite, const char *name, int frames)
{
    as_db *db = context;
    (void)sqlite;
    (void)name;
    db->wal_frames = frames;
    return SQLITE_OK;
}

anonset_code as_db_open(as_db **out, const char *path, int flags, unsigned busy_ms,
                        anonset_detail *detail)
{
    as_db *db = as_alloc_zeroed(sizeof *db);
    if (db == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: cannot open: out of memory", path);
    db->path = path;
    int rc = sqlite3_open_v2(path, &db->sqlite, flags | SQLITE_OPEN_NOMUTEX, as_sqlite_vfs());
    if (db->sqlite != NULL)
        sqlite3_extended_result_codes(db->sqlite, 1);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(db->sqlite, busy_ms < INT32_MAX ? (int)busy_ms : INT32_MAX);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    if (rc != SQLITE_OK) {
        anonset_code code = as_db_fail(db, rc, "open the file", detail);
        as_db_close(db);
        return code;
    }
    sqlite3_limit(db->sqlite, SQLITE_LIMIT_LENGTH, AS_VALUE_MOST);
    /* In place of SQLite's own hook, which would checkpoint on every 1,000th frame. */
    sqlite3_wal_hook(db->sqlite, count_frames, db);
    *out = db;
    return ANONSET_OK;
}

void as_db_close(as_db *db)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < AS_SQL_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->sqlite);
    as_free(db);
}

/*
 * secure_delete: Debian's default would write zeros over everything discarded. cell_size_check:
 * damage is seen where it is read. The cache of 128 KiB is as fast as the default of 2 MB here.
 */
anonset_code as_db_configure(as_db *db, anonset_detail *detail)
{
    return as_db_exec(db,
                      "PRAGMA trusted_schema=0;"
                      "PRAGMA cell_size_check=1;"
                      "PRAGMA mmap_size=0;"
                      "PRAGMA cache_size=-128;"
                      "PRAGMA temp_store=MEMORY;"
                      "PRAGMA synchronous=FULL;"
                      "PRAGMA fullfsync=1;"
                      "PRAGMA checkpoint_fullfsync=1;"
                      "PRAGMA secure_delete=0;"
                      "PRAGMA journal_size_limit=" LOG_KEPT ";",
                      "set up the connection", detail);
}

/* ---- Statements --------------------------------------------------------------------------- */

anonset_code as_db_exec(as_db *db, const char *sql, const char *doing, anonset_detail *detail)
{
    int rc = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? ANONSET_OK : as_db_fail(db, rc, doing, detail);
}

anonset_code as_db_prepare(as_db *db, sqlite3_stmt **statement, as_sql which, int n,
                           const sqlite3_int64 *parameters, anonset_detail *detail)
{
    sqlite3_stmt **cached = &db->statements[which];
    int rc = SQLITE_OK;
    if (*cached == NULL)
        rc = sqlite3_prepare_v3(db->sqlite, as_sql_text[which], -1, SQLITE_PREPARE_PERSISTENT,
                                cached, NULL);
    else
        sqlite3_reset(*cached); /* tells again of a failure that was reported when it happened */
    for (int i = 0; rc == SQLITE_OK && i < n; i++)
        rc = sqlite3_bind_int64(*cached, i + 1, parameters[i]);
    /* Our text is the same every time: it is the tables that changed. */
    if ((rc & 0xff) == SQLITE_ERROR)
        rc = SQLITE_CORRUPT;
    if (rc != SQLITE_OK)
        return as_db_fail(db, rc, "read the store", detail);
    *statement = *cached;
    return ANONSET_OK;
}

anonset_code as_db_step(as_db *db, sqlite3_stmt *statement, bool *row, anonset_detail *detail)
{
    int rc = sqlite3_step(statement);
    *row = rc == SQLITE_ROW;
    if (*row)
        return ANONSET_OK;
    anonset_code code = ANONSET_OK;
    if (rc != SQLITE_DONE)
        code = as_db_fail(db, rc, sqlite3_stmt_readonly(statement) ? "read" : "write", detail);
    sqlite3_reset(statement);
    return code;
}

anonset_code as_db_first(as_db *db, sqlite3_stmt **statement, bool *row, as_sql which, int n,
                         const sqlite3_int64 *parameters, anonset_detail *detail)
{
    anonset_code code = as_db_prepare(db, statement, which, n, parameters, detail);
    return code == ANONSET_OK ? as_db_step(db, *statement, row, detail) : code;
}

anonset_code as_db_finish(as_db *db, sqlite3_stmt *statement, anonset_detail *detail)
{
    bool row; /* none of these gives any */
    return as_db_step(db, statement, &row, detail);
}

anonset_code as_db_run(as_db *db, as_sql which, int n, const sqlite3_int64 *parameters,
                       anonset_detail *detail)
{
    sqlite3_stmt *statement;
    anonset_code code = as_db_prepare(db, &statement, which, n, parameters, detail);
    return code == ANONSET_OK ? as_db_finish(db, statement, detail) : code;
}

anonset_code as_db_run_blob(as_db *db, as_sql which, int n, const sqlite3_int64 *parameters,
                            const void *blob, size_t len, const char *doing, anonset_detail *detail)
{
    sqlite3_stmt *statement;
    anonset_code code = as_db_prepare(db, &statement, which, n, parameters, detail);
    if (code != ANONSET_OK)
        return code;
    int rc = sqlite3_bind_blob(statement, n + 1, blob, (int)len, SQLITE_TRANSIENT);
    return rc == SQLITE_OK ? as_db_finish(db, statement, detail)
                           : as_db_fail(db, rc, doing, detail);
}

static int failed_read(const as_db *db)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file);
    return rc == SQLITE_OK && file != NULL ? as_sqlite_vfs_failed_read(file) : rc;
}

anonset_code as_db_check_pages(as_db *db, as_sql which, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found;
    (void)failed_read(db);
    anonset_code code = as_db_first(db, &row, &found, which, 0, NULL, detail);
    if (code != ANONSET_OK)
        return code;
    const unsigned char *text = found ? sqlite3_column_text(row, 0) : NULL;
    if (text == NULL || strcmp((const char *)text, "ok") != 0) {
        int rc = failed_read(db);
        code = rc != SQLITE_OK
                   ? as_db_fail(db, rc, "check the file", detail)
                   : as_fail(detail, ANONSET_CORRUPT, 0, "%s: the file is damaged: %.120s",
                             db->path, text ? (const char *)text : "it cannot be checked");
    }
    sqlite3_reset(row);
    return code;
}

anonset_code as_db_need_wal(as_db *db, anonset_detail *detail)
{
    sqlite3_stmt *row = NULL;
    bool found;
    anonset_code code = as_db_first(db, &row, &found, AS_SQL_JOURNAL_MODE, 0, NULL, detail);
    if (code != ANONSET_OK)
        return code;
    const unsigned char *mode = found ? sqlite3_column_text(row, 0) : NULL;
    bool is_wal = mode != NULL && strcmp((const char *)mode, "wal") == 0;
    if (found) /* the answer comes first: what it says is done in the statement's last step */
        code = as_db_step(db, row, &found, detail);
    if (code != ANONSET_OK || is_wal)
        return code;
    return as_fail(detail, ANONSET_UNSUPPORTED, 0,
                   "%s: its file system cannot share memory between programs (a network drive?): "
                   "put the store on a local disk",
                   db->path);
}

static int rewrite(sqlite3_file *log, uint8_t *bytes)
{
    sqlite3_int64 size = 0;
    int rc = log->pMethods->xFileSize(log, &size);
    for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += RENEW_BYTES) {
        int n = size - at < RENEW_BYTES ? (int)(size - at) : RENEW_BYTES;
        rc = log->pMethods->xRead(log, bytes, n, at);
        if (rc == SQLITE_OK)
            rc = log->pMethods->xWrite(log, bytes, n, at);
    }
    if (rc == SQLITE_OK && size > 0)
        rc = log->pMethods->xSync(log, SQLITE_SYNC_FULL);
    return rc;
}

anonset_code as_db_renew_log(as_db *db, anonset_detail *detail)
{
    sqlite3_file *log = NULL;
    uint8_t *bytes = as_alloc(RENEW_BYTES);
    int rc = bytes == NULL ? SQLITE_NOMEM
                           : sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER,
                                                  (void *)&log);
    if (rc == SQLITE_OK && log->pMethods != NULL)
        rc = rewrite(log, bytes);
    as_free(bytes);
    return rc == SQLITE_OK ? ANONSET_OK : as_db_fail(db, rc, "write the log again", detail);
}

anonset_code as_db_checkpoint(as_db *db, bool *whole, int mode, anonset_detail *detail)
{
    int logged = -1, copied = -1;
    int rc = sqlite3_wal_checkpoint_v2(db->sqlite, "main", mode, &logged, &copied);
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
        return as_db_fail(db, rc, "copy the log into the file", detail);
    /* OK alone says little: a passive one with a reader in the way copies nothing and is OK. */
    *whole = rc == SQLITE_OK && logged >= 0 && copied == logged;
    return ANONSET_OK;
}
