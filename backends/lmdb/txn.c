/* Transactions on an environment: beginning and ending them, growing the map, committing. */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/env_inside.h"
#include "backends/lmdb/file.h"
#include "backends/lmdb/tree.h"
#include "backends/path.h"
#include "backends/wait.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHECK_TRIES 16 /* a state that is written over while it is looked at: the next one */
#define FREE_TABLE  0u /* where LMDB keeps the list of free pages, in every environment */

/* Gives the map another size, 0 for the one that another process chose. LMDB moves the map, so
 * every transaction of this process must have ended: they are waited for. Under env->mutex. */
static anonset_code remap(as_env *env, size_t map, unsigned busy_ms, anonset_detail *detail)
{
    struct timespec until = as_wait_until(busy_ms);
    int rc = 0;
    while (env->txns > 0 && rc == 0)
        rc = pthread_cond_timedwait(&env->idle, &env->mutex, &until);
    if (env->txns > 0)
        return as_fail(detail, ANONSET_BUSY, 0,
                       "%s: the store has to grow its memory map, which snapshots open in this "
                       "process prevent: close them and try again",
                       env->path);
    rc = mdb_env_set_mapsize(env->mdb, map);
    return rc == 0 ? ANONSET_OK : as_lmdb_fail(detail, rc, "grow the memory map", env->path);
}

static anonset_code begin(MDB_txn **txn, as_env *env, unsigned flags, unsigned busy_ms,
                          anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    pthread_mutex_lock(&env->mutex);
    int rc = env->unsure ? MDB_PANIC : mdb_txn_begin(env->mdb, NULL, flags, txn);
    if (rc == MDB_READERS_FULL && mdb_reader_check(env->mdb, NULL) == 0)
        rc = mdb_txn_begin(env->mdb, NULL, flags, txn);
    if (rc == MDB_MAP_RESIZED) {
        code = remap(env, 0, busy_ms, detail);
        if (code == ANONSET_OK)
            rc = mdb_txn_begin(env->mdb, NULL, flags, txn);
    }
    if (code == ANONSET_OK && rc == 0)
        env->txns++;
    else if (code == ANONSET_OK)
        code = as_lmdb_fail(detail, rc, "begin a transaction", env->path);
    pthread_mutex_unlock(&env->mutex);
    return code;
}

/* A transaction of this process has ended. */
static void ended(as_env *env)
{
    pthread_mutex_lock(&env->mutex);
    if (--env->txns == 0)
        pthread_cond_broadcast(&env->idle);
    pthread_mutex_unlock(&env->mutex);
}

void as_read_end(as_env *env, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    ended(env);
}

/* ---- Looking at pages before LMDB may follow them ----------------------------------------- */

/* Begins to read, and looks: for one value, or (NULL) at all. *txn stays open if all is well. */
static anonset_code begin_look(MDB_txn **txn, as_env *env, as_wanted *wanted, bool values,
                               unsigned busy_ms, anonset_detail *detail)
{
    anonset_code code = ANONSET_BUSY;
    for (int i = 0; i < CHECK_TRIES && code == ANONSET_BUSY; i++) {
        int fd;
        int rc = mdb_env_get_fd(env->mdb, &fd);
        if (rc != 0)
            return as_lmdb_fail(detail, rc, "look", env->path);
        code = begin(txn, env, MDB_RDONLY, busy_ms, detail);
        if (code != ANONSET_OK)
            return code;
        code = wanted ? as_tree_get(wanted, *txn, fd, env->path, detail)
                      : as_tree_check(*txn, fd, values, env->path, detail);
        if (code != ANONSET_OK) {
            as_read_end(env, *txn);
            *txn = NULL;
        }
    }
    return code;
}

anonset_code as_read_begin(MDB_txn **txn, as_env *env, unsigned busy_ms, anonset_detail *detail)
{
    pthread_mutex_lock(&env->mutex);
    bool checked = env->checked;
    pthread_mutex_unlock(&env->mutex);
    if (checked)
        return begin(txn, env, MDB_RDONLY, busy_ms, detail);
    anonset_code code = begin_look(txn, env, NULL, false, busy_ms, detail);
    pthread_mutex_lock(&env->mutex);
    env->checked |= code == ANONSET_OK;
    pthread_mutex_unlock(&env->mutex);
    return code;
}

anonset_code as_env_get(as_wanted *wanted, as_env *env, unsigned busy_ms, anonset_detail *detail)
{
    MDB_txn *txn;
    anonset_code code = begin_look(&txn, env, wanted, false, busy_ms, detail);
    if (code == ANONSET_OK)
        as_read_end(env, txn);
    return code;
}

anonset_code as_env_check(as_env *env, unsigned busy_ms, anonset_detail *detail)
{
    MDB_txn *txn;
    anonset_code code = begin_look(&txn, env, NULL, true, busy_ms, detail);
    if (code == ANONSET_OK)
        as_read_end(env, txn);
    return code;
}

static anonset_code grow(as_env *env, unsigned busy_ms, anonset_detail *detail)
{
    MDB_envinfo info;
    int rc = mdb_env_info(env->mdb, &info);
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "grow the memory map", env->path);
    if (info.me_mapsize >= MAP_MOST)
        return as_fail(detail, ANONSET_FULL, 0,
                       "%s: the store has reached %zu MiB, the most that this machine can map",
                       env->path, MAP_MOST >> 20);
    size_t map = info.me_mapsize > MAP_MOST / 2 ? MAP_MOST : info.me_mapsize * 2;
    pthread_mutex_lock(&env->mutex);
    anonset_code code = remap(env, map, busy_ms, detail);
    pthread_mutex_unlock(&env->mutex);
    return code;
}

/* ---- Writing ------------------------------------------------------------------------------ */

static anonset_code data_file(const as_env *env, int *fd, uint64_t *pages, anonset_detail *detail)
{
    struct stat now;
    int rc = mdb_env_get_fd(env->mdb, fd);
    if (rc == 0 && fstat(*fd, &now) != 0)
        rc = errno;
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "look at the file", env->path);
    *pages = (uint64_t)now.st_size / env->page;
    return ANONSET_OK;
}

/*
 * Pages that a transaction takes at the end of the file and gives up again are counted in the meta
 * page, but LMDB never writes them: the file would end before the last page counted, as if it had
 * been cut off. So it is made long enough before a commit that deletes: by all pages that the
 * deletes can have touched, those put, and what the list of free pages may need. It is a hole,
 * which takes no space; trim cuts off what was not needed.
 */
static anonset_code lengthen(const as_write *write, anonset_detail *detail)
{
    const as_env *env = write->env;
    MDB_envinfo info;
    MDB_stat main_table, free_table;
    uint64_t has;
    int fd;
    int rc = mdb_env_info(env->mdb, &info);
    if (rc == 0)
        rc = mdb_stat(write->txn, env->table, &main_table);
    if (rc == 0)
        rc = mdb_stat(write->txn, FREE_TABLE, &free_table);
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "make the file longer", env->path);
    anonset_code code = data_file(env, &fd, &has, detail);
    if (code != ANONSET_OK)
        return code;
    uint64_t tree = (uint64_t)write->deletes * (main_table.ms_depth + 1u);
    uint64_t frees = free_table.ms_branch_pages + free_table.ms_leaf_pages +
                     free_table.ms_overflow_pages + write->deletes / 16 + 8;
    uint64_t wants = info.me_last_pgno + 1 + tree + write->new_pages + frees;
    if (has < wants && ftruncate(fd, (off_t)(wants * env->page)) != 0)
        return as_lmdb_fail(detail, errno, "make the file longer", env->path);
    return ANONSET_OK;
}

/* Cuts off what lies behind the last page counted: what lengthen made, or a failed commit left. No
 * reader goes there, and writers wait for our lock. If it fails, the file is just longer. */
static void trim(const as_env *env)
{
    MDB_envinfo info;
    uint64_t has;
    int fd;
    if (mdb_env_info(env->mdb, &info) != 0 || data_file(env, &fd, &has, NULL) != ANONSET_OK)
        return;
    if (has > info.me_last_pgno + 1)
        (void)!ftruncate(fd, (off_t)((info.me_last_pgno + 1) * env->page));
}

/* Whether LMDB gave up on this environment: the meta page could not be written, and who knows which
 * one the disk has. */
static bool panicked(as_env *env)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);
    if (rc == 0)
        mdb_txn_abort(txn);
    return rc == MDB_PANIC;
}

static bool is_room_error(int rc, const char *path)
{
    return as_errno_code(rc) == ANONSET_FULL || (rc == EIO && as_file_disk_full(path));
}

static anonset_code commit_failed(as_env *env, int rc, anonset_detail *detail)
{
    /* Pages of a commit are written before the meta page that makes them count: where just their
     * room was missing, nothing has changed. */
    if (rc < 0 || rc == ENOMEM || (is_room_error(rc, env->path) && !panicked(env)))
        return as_lmdb_fail(detail, rc, "commit", env->path);
    pthread_mutex_lock(&env->mutex);
    env->unsure = true;
    pthread_mutex_unlock(&env->mutex);
    as_path_set_unsure(env->path);
    return as_fail(detail, ANONSET_UNKNOWN, rc,
                   "%s: I/O error at a commit (%s): it may or may not have happened; close the "
                   "store, open it again and look",
                   env->path, strerror(rc));
}

static anonset_code finish(as_write *write, anonset_code code, anonset_detail *detail)
{
    if (write->cursor)
        mdb_cursor_close(write->cursor);
    if (code == ANONSET_OK && write->changed && write->deletes > 0)
        code = lengthen(write, detail);
    if (code != ANONSET_OK || !write->changed) {
        mdb_txn_abort(write->txn);
        return code;
    }
    write->rc = mdb_txn_commit(write->txn);
    if (write->rc != 0)
        code = commit_failed(write->env, write->rc, detail);
    if (code != ANONSET_UNKNOWN && (write->rc != 0 || write->deletes > 0))
        trim(write->env);
    return code;
}

static anonset_code attempt(as_write *write, as_work work, const void *in, unsigned busy_ms,
                            anonset_detail *detail)
{
    as_env *env = write->env;
    *write = (as_write){.env = env, .page = env->page};
    anonset_code code = begin(&write->txn, env, 0, busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    int rc = mdb_cursor_open(write->txn, env->table, &write->cursor);
    code = rc == 0 ? work(write, in, detail) : as_write_fail(write, rc, "open a cursor", detail);
    code = finish(write, code, detail);
    ended(env);
    return code;
}

/* Under the writer lock. */
static anonset_code write_locked(as_env *env, as_work work, const void *in, unsigned busy_ms,
                                 anonset_detail *detail)
{
    MDB_txn *txn;
    as_write write = {.env = env};
    anonset_code code = as_read_begin(&txn, env, busy_ms, detail); /* the pages were looked at */
    if (code != ANONSET_OK)
        return code;
    as_read_end(env, txn);
    /* A reader that was killed would keep its pages from being used again, for ever. */
    (void)mdb_reader_check(env->mdb, NULL);
    code = attempt(&write, work, in, busy_ms, detail);
    while (code != ANONSET_OK && write.rc == MDB_MAP_FULL) {
        code = grow(env, busy_ms, detail);
        if (code != ANONSET_OK)
            break;
        code = attempt(&write, work, in, busy_ms, detail);
    }
    return code;
}

/* Writes the meta pages over themselves and syncs them. The disk may hold one that we do not see,
 * of a commit that failed: its pages are taken by the next, and must not count by then. */
static anonset_code renew_metas(const as_env *env, anonset_detail *detail)
{
    uint64_t pages;
    int fd;
    anonset_code code = data_file(env, &fd, &pages, detail);
    if (code != ANONSET_OK)
        return code;
    size_t len = 2 * env->page;
    uint8_t *bytes = as_alloc(len);
    errno = bytes == NULL ? ENOMEM : EIO;
    if (bytes == NULL || pread(fd, bytes, len, 0) != (ssize_t)len ||
        pwrite(fd, bytes, len, 0) != (ssize_t)len || fdatasync(fd) != 0)
        code = as_lmdb_fail(detail, errno, "write the meta pages again", env->path);
    as_free(bytes);
    return code;
}

static anonset_code rewrite_info(as_write *write, const void *in, anonset_detail *detail)
{
    (void)in;
    MDB_val val;
    uint8_t bytes[AS_INFO_BYTES];
    as_key key = {.kind = AS_KIND_INFO};
    int rc = as_get(write->txn, key, &val);
    if (rc != 0)
        return as_write_fail(write, rc, "info", detail);
    memcpy(bytes, val.mv_data, sizeof bytes); /* as_file_probe checked the length */
    return as_write_put(write, key, bytes, sizeof bytes, detail);
}

/* After an I/O error at a commit, also of another process, the disk may hold less than we see, or
 * more: a new durable commit, on all that came before, settles it. Under the writer lock. */
static anonset_code settle_locked(as_env *env, unsigned busy_ms, anonset_detail *detail)
{
    if (!as_path_is_unsure(env->path))
        return ANONSET_OK;
    anonset_code code = as_env_usable(env, detail);
    if (code == ANONSET_OK)
        code = renew_metas(env, detail);
    if (code == ANONSET_OK)
        code = write_locked(env, rewrite_info, NULL, busy_ms, detail);
    if (code == ANONSET_OK)
        as_path_clear_unsure(env->path);
    return code;
}

anonset_code as_env_settle(as_env *env, unsigned busy_ms, anonset_detail *detail)
{
    if (!as_path_is_unsure(env->path))
        return ANONSET_OK;
    anonset_code code = as_lock_take(env->lock, busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    code = settle_locked(env, busy_ms, detail);
    as_lock_release(env->lock);
    return code;
}

anonset_code as_env_write(as_env *env, as_work work, const void *in, unsigned busy_ms,
                          anonset_detail *detail)
{
    anonset_code code = as_lock_take(env->lock, busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    code = settle_locked(env, busy_ms, detail);
    if (code == ANONSET_OK)
        code = write_locked(env, work, in, busy_ms, detail);
    as_lock_release(env->lock);
    return code;
}

anonset_code(as_write_fail)(as_write *write, int rc, const char *what, anonset_detail *detail)
{
    write->rc = rc;
    return as_lmdb_fail(detail, rc, what, write->env->path);
}

anonset_code as_write_put(as_write *write, as_key key, const void *bytes, size_t len,
                          anonset_detail *detail)
{
    uint8_t *to;
    anonset_code code = as_write_reserve(write, &to, key, len, detail);
    if (code == ANONSET_OK)
        memcpy(to, bytes, len);
    return code;
}

anonset_code as_write_reserve(as_write *write, uint8_t **bytes, as_key key, size_t len,
                              anonset_detail *detail)
{
    uint8_t name_bytes[AS_KEY_BYTES];
    MDB_val name = as_key_encode(name_bytes, key);
    MDB_val val = {.mv_size = len, .mv_data = NULL};
    write->changed = true;
    write->new_pages += len / write->page + 2;
    MDB_val old;
    int rc = mdb_get(write->txn, write->env->table, &name, &old);
    if (rc == 0 && !as_tree_value_fits(&old, name.mv_size, write->page))
        rc = MDB_CORRUPTED;
    if (rc == 0 || rc == MDB_NOTFOUND)
        rc = mdb_cursor_put(write->cursor, &name, &val, MDB_RESERVE);
    if (rc != 0)
        return as_write_fail(write, rc, "write", detail);
    *bytes = val.mv_data;
    return ANONSET_OK;
}

anonset_code as_write_delete(as_write *write, anonset_detail *detail)
{
    write->changed = true;
    write->deletes++;
    MDB_val name, val;
    int rc = mdb_cursor_get(write->cursor, &name, &val, MDB_GET_CURRENT);
    if (rc == 0 && !as_tree_value_fits(&val, name.mv_size, write->page))
        rc = MDB_CORRUPTED;
    if (rc == 0)
        rc = mdb_cursor_del(write->cursor, 0);
    return rc == 0 ? ANONSET_OK : as_write_fail(write, rc, "delete", detail);
}

anonset_code as_write_empty(as_write *write, anonset_detail *detail)
{
    MDB_stat stat;
    MDB_val name, val;
    int rc = mdb_cursor_get(write->cursor, &name, &val, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(write->cursor, &name, &val, MDB_NEXT))
        if (!as_tree_value_fits(&val, name.mv_size, write->page))
            return as_write_fail(write, MDB_CORRUPTED, "delete", detail);
    if (rc == MDB_NOTFOUND)
        rc = mdb_stat(write->txn, write->env->table, &stat);
    if (rc == 0)
        rc = mdb_drop(write->txn, write->env->table, 0);
    if (rc != 0)
        return as_write_fail(write, rc, "delete", detail);
    write->changed = true;
    write->deletes += stat.ms_entries;
    return ANONSET_OK;
}
