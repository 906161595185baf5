#include "backends/sqlite/store.h"

#include "backends/path.h"
#include "backends/sqlite/schema.h"
#include "core/detail.h"

/* The log is copied into the file when it passes this. Every copy costs three syncs: with 3 MiB a
 * download of 1,500 coins a sector took 1.6 syncs a sector, with 6 MiB 1.4. One that never copies
 * took 1.2, but for a log as large as the set. */
#define LOG_BYTES_MOST (6u << 20)
#define LOG_FRAMES     ((int)(LOG_BYTES_MOST / AS_PAGE_BYTES))

anonset_code as_sqlite_usable(const as_sqlite *store, anonset_detail *detail)
{
    if (!atomic_load(&store->unknown))
        return ANONSET_OK;
    return as_fail(detail, ANONSET_UNKNOWN, 0,
                   "%s: an earlier commit failed half way: close the store and open it again",
                   store->path);
}

static void tell(const as_sqlite *store, const anonset_detail *detail)
{
    if (store->options.log != NULL)
        store->options.log(store->options.log_context, detail->code, detail->text);
}

/* ---- Reading ------------------------------------------------------------------------------ */

static as_db *take_idle(as_sqlite *store)
{
    as_db *db = NULL;
    pthread_mutex_lock(&store->mutex);
    if (store->idle_count > 0)
        db = store->idle[--store->idle_count];
    pthread_mutex_unlock(&store->mutex);
    return db;
}

static anonset_code connect(const as_sqlite *store, as_db **db, anonset_detail *detail)
{
    bool read_only = (store->options.flags & ANONSET_STORE_READ_ONLY) != 0;
    as_db *made;
    anonset_code code =
        as_db_open(&made, store->path, read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE,
                   store->options.busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_db_configure(made, detail);
    if (code == ANONSET_OK)
        *db = made;
    else
        as_db_close(made);
    return code;
}

anonset_code as_sqlite_reader_take(as_sqlite *store, as_db **db, anonset_detail *detail)
{
    anonset_code code = as_sqlite_usable(store, detail);
    if (code != ANONSET_OK)
        return code;
    as_db *idle = take_idle(store);
    if (idle == NULL)
        return connect(store, db, detail);
    *db = idle;
    return ANONSET_OK;
}

void as_sqlite_reader_give(as_sqlite *store, as_db *db)
{
    bool usable = sqlite3_get_autocommit(db->sqlite) != 0;
    pthread_mutex_lock(&store->mutex);
    bool kept = usable && store->idle_count < AS_IDLE_MOST;
    if (kept)
        store->idle[store->idle_count++] = db;
    pthread_mutex_unlock(&store->mutex);
    if (!kept)
        as_db_close(db);
}

static anonset_code decode_group(as_sqlite_group *out, sqlite3_stmt *row, uint32_t group,
                                 anonset_detail *detail)
{
    out->slot = sqlite3_column_int64(row, 0);
    const void *record = sqlite3_column_blob(row, 1);
    size_t len = (size_t)sqlite3_column_bytes(row, 1);
    if (out->slot < 1 || out->slot > AS_SLOT_MOST || record == NULL)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "a group's row is damaged: clear and sync again");
    return as_ledger_decode(&out->ledger, record, len, group, detail);
}

anonset_code as_sqlite_group_load(as_sqlite_group *out, as_db *db, uint32_t group,
                                  anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found;
    *out = (as_sqlite_group){.group = group};
    anonset_code code =
        as_db_first(db, &row, &found, AS_SQL_GROUP_GET, 1, (sqlite3_int64[]){group}, detail);
    if (code != ANONSET_OK || !found)
        return code;
    code = decode_group(out, row, group, detail);
    sqlite3_reset(row);
    return code;
}

anonset_code as_sqlite_group_next(uint32_t *group, as_db *db, uint32_t after,
                                  anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found;
    anonset_code code =
        as_db_first(db, &row, &found, AS_SQL_GROUP_NEXT, 1, (sqlite3_int64[]){after}, detail);
    if (code != ANONSET_OK)
        return code;
    sqlite3_int64 id = found ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    if (found && (id < 1 || id > UINT32_MAX))
        return as_fail(detail, ANONSET_CORRUPT, 0, "%s: group %lld cannot be: clear and sync again",
                       db->path, (long long)id);
    *group = (uint32_t)id;
    return ANONSET_OK;
}

/* ---- Writing ------------------------------------------------------------------------------ */

static void drop_writer(as_sqlite *store)
{
    as_db_close(store->writer);
    store->writer = NULL;
}

static void checkpoint_if_due(as_sqlite *store, int frames)
{
    anonset_detail detail;
    bool whole = false;
    if (frames < store->next_checkpoint)
        return;
    if (as_db_checkpoint(store->writer, &whole, SQLITE_CHECKPOINT_PASSIVE, &detail) != ANONSET_OK)
        tell(store, &detail); /* the commit holds, in the log; the next commit tries again */
    /* With a long reader in the way trying at every commit would only cost syncs. */
    store->next_checkpoint = whole ? LOG_FRAMES : frames + LOG_FRAMES;
}

/*
 * The writer begins with what others left in the log written again and copied into the file. It may
 * come from a commit that failed half way: then the disk can hold less of it than we see, and what
 * is committed on top of it would go with it.
 */
static anonset_code open_writer(as_sqlite *store, anonset_detail *detail)
{
    bool whole;
    anonset_code code = connect(store, &store->writer, detail);
    if (code != ANONSET_OK)
        return code;
    store->next_checkpoint = LOG_FRAMES;
    code = as_db_need_wal(store->writer, detail);
    if (code == ANONSET_OK)
        code = as_db_renew_log(store->writer, detail);
    if (code == ANONSET_OK)
        code = as_db_checkpoint(store->writer, &whole, SQLITE_CHECKPOINT_PASSIVE, detail);
    if (code != ANONSET_OK)
        drop_writer(store);
    return code;
}

static anonset_code commit(as_sqlite *store, anonset_detail *detail)
{
    anonset_detail inner;
    sqlite3_stmt *statement;
    anonset_code code = as_db_prepare(store->writer, &statement, AS_SQL_COMMIT, 0, NULL, detail);
    if (code != ANONSET_OK)
        return code; /* nothing has begun */
    code = as_db_finish(store->writer, statement, &inner);
    /* A full disk or a lock refuses the commit before its last frame is written; of any other
     * failure nobody knows. */
    if (code == ANONSET_OK || code == ANONSET_BUSY ||
        sqlite3_extended_errcode(store->writer->sqlite) == SQLITE_FULL) {
        if (code != ANONSET_OK && detail != NULL)
            *detail = inner;
        return code;
    }
    atomic_store(&store->unknown, true);
    as_path_set_unsure(store->path);
    return as_fail(detail, ANONSET_UNKNOWN, inner.os_error,
                   "%.150s; the commit may have happened: close the store, open it again and look",
                   inner.text);
}

static void roll_back(as_sqlite *store)
{
    anonset_detail detail;
    if (sqlite3_get_autocommit(store->writer->sqlite))
        return; /* SQLite did so itself, as it does on some errors */
    if (as_db_run(store->writer, AS_SQL_ROLLBACK, 0, NULL, &detail) != ANONSET_OK) {
        tell(store, &detail);
        drop_writer(store);
    }
}

static anonset_code transact(as_sqlite *store, as_sqlite_work work, const void *in,
                             anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    if (store->writer == NULL)
        code = open_writer(store, detail);
    if (code == ANONSET_OK)
        code = as_db_run(store->writer, AS_SQL_BEGIN_WRITE, 0, NULL, detail);
    if (code != ANONSET_OK)
        return code;
    store->writer->wal_frames = 0;
    code = work(store->writer, in, detail);
    if (code == ANONSET_OK)
        code = commit(store, detail);
    if (code == ANONSET_OK)
        checkpoint_if_due(store, store->writer->wal_frames);
    else
        roll_back(store);
    return code;
}

anonset_code as_sqlite_write(as_sqlite *store, as_sqlite_work work, const void *in,
                             anonset_detail *detail)
{
    anonset_code code = as_sqlite_usable(store, detail);
    if (code == ANONSET_OK && store->lock == NULL)
        code = as_fail(detail, ANONSET_INVALID, 0, "%s: opened read-only", store->path);
    if (code == ANONSET_OK)
        code = as_lock_take(store->lock, store->options.busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_sqlite_usable(store, detail); /* another thread's commit may have failed meanwhile */
    if (code == ANONSET_OK)
        code = transact(store, work, in, detail);
    /* The next write needs few of these pages; a reader's cache needs the memory before that. */
    if (store->writer != NULL)
        (void)sqlite3_db_release_memory(store->writer->sqlite); /* always OK */
    as_lock_release(store->lock);
    return code;
}

/* ---- Ending ------------------------------------------------------------------------------- */

/* Copies the log without waiting for anybody; if all of it is in the file, the log may go with the
 * last connection. */
static void settle(as_sqlite *store)
{
    anonset_detail detail;
    bool whole = false;
    sqlite3_busy_timeout(store->writer->sqlite, 0);
    if (as_db_checkpoint(store->writer, &whole, SQLITE_CHECKPOINT_TRUNCATE, &detail) != ANONSET_OK)
        tell(store, &detail);
    if (whole)
        (void)sqlite3_db_config(store->writer->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0,
                                (int *)NULL);
}

void as_sqlite_writer_close(as_sqlite *store)
{
    bool may_write = store->lock != NULL && !atomic_load(&store->unknown);
    if (!may_write || as_lock_take(store->lock, 0, NULL) != ANONSET_OK) {
        drop_writer(store);
        return;
    }
    if (store->writer == NULL)
        (void)open_writer(store, NULL); /* readers alone leave a log behind, too */
    if (store->writer != NULL)
        settle(store);
    drop_writer(store);
    as_lock_release(store->lock);
}

void as_sqlite_settle(as_sqlite *store)
{
    anonset_detail detail;
    if (as_lock_take(store->lock, 0, NULL) != ANONSET_OK)
        return; /* whoever has it writes, and copies the log */
    if (open_writer(store, &detail) != ANONSET_OK)
        tell(store, &detail);
    as_lock_release(store->lock);
}

/* What was seen of it is in the log, and on the disk, as soon as the writer is open; what was not
 * seen, but may be on the disk, ends with one more commit. */
anonset_code as_sqlite_make_sure(as_sqlite *store, anonset_detail *detail)
{
    anonset_code code = as_lock_take(store->lock, store->options.busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    code = open_writer(store, detail);
    if (code == ANONSET_OK)
        code = as_db_run(store->writer, AS_SQL_TOUCH, 0, NULL, detail);
    if (code == ANONSET_OK)
        as_path_clear_unsure(store->path);
    as_lock_release(store->lock);
    return code;
}

static void vacuum(as_sqlite *store)
{
    anonset_detail detail;
    uint32_t group = 0;
    bool whole = false;
    anonset_code code = as_sqlite_group_next(&group, store->writer, 0, &detail);
    if (code == ANONSET_OK && group != 0)
        return;
    if (code == ANONSET_OK)
        code = as_db_run(store->writer, AS_SQL_VACUUM, 0, NULL, &detail);
    if (code == ANONSET_OK)
        code = as_db_checkpoint(store->writer, &whole, SQLITE_CHECKPOINT_PASSIVE, &detail);
    if (code == ANONSET_OK)
        return;
    tell(store, &detail);
    drop_writer(store);
}

void as_sqlite_shrink(as_sqlite *store)
{
    if (as_lock_take(store->lock, 0, NULL) != ANONSET_OK)
        return;
    if (store->writer != NULL)
        vacuum(store);
    as_lock_release(store->lock);
}
