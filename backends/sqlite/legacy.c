/*
 * An upgrade reads the cache into a store of its own, a file without a name, and then has SQLite
 * copy that over the cache's pages in one transaction (its backup interface). So what is refused
 * half way was never touched, nothing has to be sorted or moved inside the file, and the file is as
 * small as a new one when the log has been copied into it.
 *
 * The transaction goes through a write-ahead log, for the switch to which the cache changes by two
 * bytes: the file then reads as before until the log holds all of the transaction, and as a store
 * from then on. Until the log is copied the file itself still begins as the cache did:
 * as_legacy_look asks SQLite, not the file.
 */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/sqlite/legacy.h"

#include "backends/path.h"
#include "backends/sqlite/legacy_read.h"
#include "backends/sqlite/schema.h"
#include "backends/sqlite/store.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define SMALL_BYTES   (128u * 1024) /* an empty store, twice, and what lies beside it */
#define WAIT_FIRST_NS 500000u       /* 0.5 ms: a look takes about as long */
#define WAIT_MOST_NS  20000000u

/* ---- Looking ------------------------------------------------------------------------------ */

/* What is seen of a file from outside. */
typedef struct outside {
    off_t bytes, log_bytes;
    struct timespec changed;
    bool shared; /* somebody has, or had, a log with its index open */
} outside;

/* *bytes: -1 if there is no such file. One that cannot be looked at may be there. The path is one
 * that the system resolved: no longer than it takes. */
static anonset_code bytes_of(off_t *bytes, struct timespec *changed, const char *path,
                             const char *ending, anonset_detail *detail)
{
    char name[FILENAME_MAX + 16];
    struct stat found = {.st_size = -1};
    (void)snprintf(name, sizeof name, "%s%s", path, ending);
    if (stat(name, &found) != 0 && errno != ENOENT)
        return as_schema_fail(detail, name, errno);
    if (changed != NULL)
        *changed = found.st_mtim;
    *bytes = found.st_size;
    return ANONSET_OK;
}

static anonset_code look_outside(outside *seen, const char *path, anonset_detail *detail)
{
    off_t index = -1;
    *seen = (outside){.bytes = -1};
    anonset_code code = bytes_of(&seen->bytes, &seen->changed, path, "", detail);
    if (code == ANONSET_OK)
        code = bytes_of(&seen->log_bytes, NULL, path, "-wal", detail);
    if (code == ANONSET_OK)
        code = bytes_of(&index, NULL, path, "-shm", detail);
    seen->shared = index >= 0;
    return code;
}

static bool is_same(const outside *a, const outside *b)
{
    return a->bytes == b->bytes && (a->log_bytes > 0) == (b->log_bytes > 0) &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Opens the file as bytes that nobody changes: no lock, no log, no journal is looked at or made. */
static anonset_code open_immutable(as_db **db, const char *path, anonset_detail *detail)
{
    size_t len = strlen(path);
    char *uri = sqlite3_malloc64(sizeof "file:?immutable=1" + 3 * len);
    if (uri == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", path);
    char *at = uri + sprintf(uri, "file:");
    for (const char *c = path; *c != '\0'; c++) {
        if (strchr("%?#", *c) != NULL)
            at += sprintf(at, "%%%02x", (unsigned)*c);
        else
            *at++ = *c;
    }
    (void)sprintf(at, "?immutable=1");
    anonset_code code = as_db_open(db, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, 0, detail);
    if (code == ANONSET_OK)
        (*db)->path = path;
    sqlite3_free(uri);
    return code;
}

/* Opens a file whose log must be read. With nobody else there its index is kept in memory: none is
 * left behind. */
static anonset_code open_logged(as_db **db, const char *path, bool shared, anonset_detail *detail)
{
    anonset_code code = as_db_open(db, path, SQLITE_OPEN_READWRITE, 0, detail);
    if (code != ANONSET_OK || shared)
        return code;
    code = as_db_exec(*db, "PRAGMA locking_mode=EXCLUSIVE", "look at the file", detail);
    if (code != ANONSET_OK)
        as_db_close(*db);
    return code;
}

static anonset_code pragma(sqlite3_int64 *value, as_db *db, const char *sql, anonset_detail *detail)
{
    sqlite3_stmt *row = NULL;
    int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, &row, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(row);
    *value = rc == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_finalize(row);
    return rc == SQLITE_ROW ? ANONSET_OK : as_db_fail(db, rc, "look at the file", detail);
}

static anonset_code foreign(const char *path, anonset_detail *detail)
{
    return as_fail(detail, ANONSET_FOREIGN, 0,
                   "%s is an SQLite file, but neither an anonset store nor an older cache of a "
                   "known version; it was not touched: choose another path",
                   path);
}

/* What the tables are, as SQLite reads them. */
static anonset_code judge(as_legacy_kind *kind, as_legacy_layout *layout, as_db *db,
                          anonset_detail *detail)
{
    sqlite3_int64 application = 0, format = 0;
    bool known = false;
    anonset_code code = pragma(&application, db, "PRAGMA application_id", detail);
    if (code == ANONSET_OK)
        code = pragma(&format, db, "PRAGMA user_version", detail);
    *kind = application == AS_APPLICATION_ID ? AS_LEGACY_OURS : AS_LEGACY_CACHE;
    if (code == ANONSET_OK && *kind == AS_LEGACY_OURS)
        known = format == AS_FORMAT;
    else if (code == ANONSET_OK)
        code = as_legacy_layout_find(layout, &known, db, detail);
    if (code == ANONSET_CORRUPT || (code == ANONSET_OK && !known))
        return foreign(db->path, detail);
    return code;
}

/* What was read of a file while it changed, as by the end of another process's upgrade, says
 * nothing: BUSY. */
static anonset_code look_once(as_legacy_kind *kind, const char *path, anonset_detail *detail)
{
    as_legacy_layout layout;
    as_db *db;
    outside before, after;
    anonset_code code = look_outside(&before, path, detail);
    if (code != ANONSET_OK)
        return code;
    bool logged = before.log_bytes > 0;
    code =
        logged ? open_logged(&db, path, before.shared, detail) : open_immutable(&db, path, detail);
    if (code != ANONSET_OK)
        return code;
    code = judge(kind, &layout, db, detail);
    as_db_close(db);
    if (logged)
        return code;
    anonset_code looked = look_outside(&after, path, code == ANONSET_OK ? detail : NULL);
    if (code == ANONSET_OK)
        code = looked;
    if (looked != ANONSET_OK || is_same(&before, &after))
        return code;
    return as_fail(detail, ANONSET_BUSY, 0,
                   "%s: another program keeps writing to it: try again later", path);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* SQLite would wait with a lock of its own in hand; two who look would wait for each other. Here
 * all is let go in between, and for how long is different for each. */
anonset_code as_legacy_look(as_legacy_kind *kind, const char *path, unsigned busy_ms,
                            anonset_detail *detail)
{
    uint64_t deadline = now_ns() + busy_ms * UINT64_C(1000000);
    for (uint64_t wait = WAIT_FIRST_NS;; wait = wait * 2 < WAIT_MOST_NS ? wait * 2 : WAIT_MOST_NS) {
        anonset_code code = look_once(kind, path, detail);
        uint64_t now = now_ns();
        if (code != ANONSET_BUSY || now >= deadline)
            return code;
        nanosleep(&(struct timespec){0, (long)(wait + now % wait)}, NULL);
    }
}

/* ---- Upgrading ---------------------------------------------------------------------------- */

/* Opens the file for this connection alone: the lock that the first transaction takes stays. What a
 * killed program left is rolled back here. */
static anonset_code open_alone(as_db **db, const char *path, unsigned busy_ms,
                               anonset_detail *detail)
{
    anonset_code code = as_db_open(db, path, SQLITE_OPEN_READWRITE, busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_db_configure(*db, detail);
    if (code == ANONSET_OK)
        code = as_db_exec(*db,
                          AS_LEGACY_READ_PRAGMAS "PRAGMA locking_mode=EXCLUSIVE;"
                                                 "BEGIN EXCLUSIVE;ROLLBACK;",
                          "upgrade the older cache", detail);
    if (code != ANONSET_OK)
        as_db_close(*db);
    return code;
}

/*
 * The new store and the log with a copy of it stand beside the cache for a moment. Base64 text is a
 * third longer than its bytes, and the cache has all of it twice, for its index: a new store takes
 * at most three eighths.
 */
static anonset_code check_space(const char *path, anonset_detail *detail)
{
    struct statvfs disk;
    outside seen;
    anonset_code code = look_outside(&seen, path, detail);
    if (code != ANONSET_OK)
        return code;
    uint64_t bytes = (uint64_t)(seen.bytes > 0 ? seen.bytes : 0) +
                     (uint64_t)(seen.log_bytes > 0 ? seen.log_bytes : 0);
    uint64_t needed = bytes / 4 * 3 + SMALL_BYTES;
    if (statvfs(path, &disk) != 0 || (uint64_t)disk.f_bavail * disk.f_frsize >= needed)
        return ANONSET_OK;
    return as_fail(detail, ANONSET_FULL, ENOSPC,
                   "%s: upgrading this older cache needs %llu KiB of free disk space for a moment; "
                   "it was not touched: free some space and open it again",
                   path, (unsigned long long)(needed / 1024));
}

static anonset_code sink_append(void *to, const anonset_append *append, anonset_detail *detail)
{
    return as_sqlite_work_append(to, append, detail);
}

static anonset_code sink_complete(void *to, const anonset_complete *complete,
                                  anonset_detail *detail)
{
    return as_sqlite_work_complete(to, complete, detail);
}

static anonset_code read_into(as_db *made, as_db *cache, const as_legacy_layout *layout,
                              const uint8_t *salt, anonset_detail *detail)
{
    as_replay_sink sink = {
        .to = made, .append_sector = sink_append, .mark_complete = sink_complete};
    as_replay *replay = NULL;
    memcpy(sink.salt, salt, sizeof sink.salt);
    anonset_code code = as_replay_new(&replay, &sink, detail);
    if (code == ANONSET_OK)
        code = as_legacy_read(replay, cache, layout, detail);
    as_replay_free(replay);
    return code;
}

/* Makes a store of the cache in the empty file of `made`. Nothing of that survives a failure, so
 * that it needs neither a journal nor a sync. */
static anonset_code fill(as_db *made, as_db *cache, const as_legacy_layout *layout,
                         const uint8_t *salt, anonset_detail *detail)
{
    sqlite3_int64 page = 0;
    char size[48];
    anonset_code code = as_db_configure(made, detail);
    if (code == ANONSET_OK)
        code = pragma(&page, cache, "PRAGMA page_size", detail);
    (void)snprintf(size, sizeof size, "PRAGMA page_size=%lld", (long long)page);
    if (code == ANONSET_OK) /* a copy keeps the size of pages */
        code = as_db_exec(made, size, "upgrade the older cache", detail);
    if (code == ANONSET_OK)
        code = as_db_exec(made,
                          "PRAGMA auto_vacuum=0;PRAGMA journal_mode=OFF;PRAGMA synchronous=OFF;"
                          "PRAGMA locking_mode=EXCLUSIVE;",
                          "upgrade the older cache", detail);
    if (code == ANONSET_OK)
        code = as_schema_fill(made, salt, detail);
    if (code == ANONSET_OK)
        code = read_into(made, cache, layout, salt, detail);
    return code == ANONSET_OK ? as_db_run(made, AS_SQL_COMMIT, 0, NULL, detail) : code;
}

/* The transaction: all pages of the cache become those of the new store. */
static anonset_code copy_over(as_db *cache, as_db *made, anonset_detail *detail)
{
    anonset_code code = as_db_need_wal(cache, detail);
    if (code != ANONSET_OK)
        return code;
    sqlite3_backup *backup = sqlite3_backup_init(cache->sqlite, "main", made->sqlite, "main");
    if (backup == NULL)
        return as_db_fail(cache, sqlite3_extended_errcode(cache->sqlite), "upgrade the older cache",
                          detail);
    int stepped = sqlite3_backup_step(backup, -1);
    int rc = sqlite3_backup_finish(backup);
    if (rc == SQLITE_OK && stepped != SQLITE_DONE)
        rc = stepped;
    if (rc != SQLITE_OK) /* it may be seen all the same, by whoever reads the log anew */
        as_path_set_unsure(cache->path);
    return rc == SQLITE_OK ? ANONSET_OK : as_db_fail(cache, rc, "upgrade the older cache", detail);
}

/* Opens an empty file at `path` and takes its name away: it ends with the connection, or with the
 * process. What one that was killed in between left goes first. */
static anonset_code open_nameless(as_db **db, const char *path, anonset_detail *detail)
{
    int error = as_schema_remove(path, true);
    if (error != 0)
        return as_schema_fail(detail, path, error);
    anonset_code code = as_db_open(db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, 0, detail);
    if (code != ANONSET_OK)
        return code;
    error = as_schema_remove(path, true);
    if (error == 0)
        return ANONSET_OK;
    as_db_close(*db);
    return as_schema_fail(detail, path, error);
}

static anonset_code replace(as_db *cache, const as_legacy_layout *layout, const uint8_t *salt,
                            anonset_detail *detail)
{
    as_db *made;
    char *path = sqlite3_mprintf("%s-new", cache->path);
    if (path == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", cache->path);
    anonset_code code = open_nameless(&made, path, detail);
    if (code == ANONSET_OK) {
        code = fill(made, cache, layout, salt, detail);
        if (code == ANONSET_OK)
            code = copy_over(cache, made, detail);
        as_db_close(made);
    }
    sqlite3_free(path);
    return code;
}

/* Gives the space back: copies the log into the file, which is cut, and lets it go. Where that
 * fails the upgrade holds all the same, in the log, and the next writer copies it. */
static void settle(as_db *db)
{
    bool whole = false;
    (void)as_db_checkpoint(db, &whole, SQLITE_CHECKPOINT_TRUNCATE, NULL);
    if (whole)
        (void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, (int *)NULL);
}

static anonset_code upgrade(as_db *cache, const uint8_t *salt, anonset_detail *detail)
{
    as_legacy_kind kind;
    as_legacy_layout layout = {.complete = false};
    anonset_code code = judge(&kind, &layout, cache, detail);
    if (code != ANONSET_OK || kind == AS_LEGACY_OURS)
        return code;
    code = check_space(cache->path, detail);
    if (code == ANONSET_OK)
        code = replace(cache, &layout, salt, detail);
    if (code == ANONSET_OK)
        settle(cache);
    return code;
}

anonset_code as_legacy_upgrade(const char *path, const uint8_t salt[ANONSET_SALT_BYTES],
                               unsigned busy_ms, anonset_detail *detail)
{
    as_db *cache;
    anonset_code code = open_alone(&cache, path, busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    code = upgrade(cache, salt, detail);
    as_db_close(cache);
    return code;
}

/* ---- Importing ---------------------------------------------------------------------------- */

#define LOGGED_AT 19 /* in a file's head: 2 if it wants a log to be read */

/* A file that wants a log, but has none, is nobody's just now; SQLite would make one. */
static anonset_code open_source(as_db **db, const char *path, unsigned busy_ms,
                                anonset_detail *detail)
{
    outside seen;
    uint8_t head[AS_HEAD_BYTES];
    anonset_code code = look_outside(&seen, path, detail);
    if (code == ANONSET_OK)
        code = open_immutable(db, path, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_schema_head(head, *db, detail);
    if (code == ANONSET_OK && seen.log_bytes <= 0 && head[LOGGED_AT] == 2)
        return ANONSET_OK;
    as_db_close(*db);
    return code == ANONSET_OK ? as_db_open(db, path, SQLITE_OPEN_READONLY, busy_ms, detail) : code;
}

/* Where the journal says that a write was not finished, SQLite cannot read without undoing it. */
static anonset_code begin_reading(as_db *db, anonset_detail *detail)
{
    off_t journal = -1;
    anonset_code code = as_db_configure(db, detail);
    if (code == ANONSET_OK)
        code = as_db_exec(db, AS_LEGACY_READ_PRAGMAS "BEGIN", "read the older cache", detail);
    if (code == ANONSET_PERMISSION &&
        bytes_of(&journal, NULL, db->path, "-journal", NULL) == ANONSET_OK && journal > 0)
        return as_fail(detail, ANONSET_UNSUPPORTED, 0,
                       "%s: its program was ended in the middle of a write, and what it wrote "
                       "cannot be undone read-only: open it with that program once, or convert a "
                       "copy that was opened for writing",
                       db->path);
    return code;
}

static anonset_code import(as_db *db, as_replay *replay, anonset_detail *detail)
{
    as_legacy_kind kind;
    as_legacy_layout layout = {.complete = false};
    anonset_code code = begin_reading(db, detail);
    if (code == ANONSET_OK)
        code = judge(&kind, &layout, db, detail);
    if (code == ANONSET_OK && kind != AS_LEGACY_CACHE)
        return foreign(db->path, detail);
    return code == ANONSET_OK ? as_legacy_read(replay, db, &layout, detail) : code;
}

anonset_code as_legacy_import(const char *path, as_replay *replay, unsigned busy_ms,
                              anonset_detail *detail)
{
    char *full = NULL;
    as_db *db;
    anonset_code code = as_path_resolve(&full, path, detail);
    if (code != ANONSET_OK)
        return code;
    code = open_source(&db, full, busy_ms, detail);
    if (code == ANONSET_OK) {
        code = import(db, replay, detail);
        as_db_close(db);
    }
    as_free(full);
    return code;
}
