#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/env.h"

#include "backends/lmdb/file.h"
#include "backends/lock.h"
#include "core/detail.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The map is address space, not memory: on 64 bits there is enough to never have to grow it in
 * practice; on 32 bits a process has little, and LMDB works up to 1,792 MiB. */
#if SIZE_MAX > 0xFFFFFFFFu
#define MAP_FIRST ((size_t)16 << 30)
#define MAP_MOST  ((size_t)1 << 46)
#else
#define MAP_FIRST ((size_t)128 << 20)
#define MAP_MOST  ((size_t)1792 << 20)
#endif
/* LMDB numbers its own two tables alike in every environment. */
#define FREE_TABLE 0u
#define MAIN_TABLE 1u
#define MAP_LEAST  ((size_t)1 << 20)

size_t as_env_first_map;

struct as_env {
    as_env *next;
    unsigned refs;
    char *path;
    dev_t device;
    ino_t inode;
    MDB_env *mdb;
    MDB_dbi table;
    size_t page;
    bool writable;
    as_lock *lock; /* NULL until a handle that may write joins */

    pthread_mutex_t mutex; /* guards what follows, and the map's place */
    pthread_cond_t idle;   /* txns became 0 */
    unsigned txns;         /* live transactions of this process: the map must stay where it is */
    bool unsure; /* an I/O error left a commit open: nothing works until all have closed */
};

/* Environments open in this process. LMDB must not open a file twice. */
static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static as_env *registry;

const char *as_env_path(const as_env *env)
{
    return env->path;
}

MDB_dbi as_env_table(const as_env *env)
{
    return env->table;
}

/* ---- Opening ------------------------------------------------------------------------------ */

static void env_free(as_env *env)
{
    if (env->mdb)
        mdb_env_close(env->mdb);
    if (env->lock)
        as_lock_close(env->lock);
    pthread_cond_destroy(&env->idle);
    pthread_mutex_destroy(&env->mutex);
    free(env->path);
    free(env);
}

/* Waiting must not follow steps of the wall clock. */
static int idle_init(pthread_cond_t *idle)
{
    pthread_condattr_t attributes;
    int rc = pthread_condattr_init(&attributes);
    if (rc != 0)
        return rc;
    rc = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(idle, &attributes);
    pthread_condattr_destroy(&attributes);
    return rc;
}

static as_env *env_new(const char *path)
{
    as_env *env = calloc(1, sizeof *env);
    if (env == NULL)
        return NULL;
    env->path = strdup(path);
    if (env->path == NULL || pthread_mutex_init(&env->mutex, NULL) != 0)
        goto free_env;
    if (idle_init(&env->idle) != 0)
        goto destroy_mutex;
    env->refs = 1;
    return env;

destroy_mutex:
    pthread_mutex_destroy(&env->mutex);
free_env:
    free(env->path);
    free(env);
    return NULL;
}

/* Where address space is limited the system refuses a large map: take what it gives. */
static int open_mdb(as_env *env, unsigned readers, unsigned flags)
{
    size_t map = as_env_first_map ? as_env_first_map : MAP_FIRST;
    int rc;
    do
        rc = as_file_map(&env->mdb, env->path, map, readers, flags);
    while (rc == ENOMEM && (map /= 2) >= MAP_LEAST);
    return rc;
}

static anonset_code open_table(as_env *env, anonset_detail *detail)
{
    MDB_txn *txn;
    MDB_stat stat;
    MDB_val val = {0, NULL};
    anonset_store_info info;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "open", env->path);
    rc = mdb_dbi_open(txn, NULL, 0, &env->table);
    if (rc == 0)
        rc = mdb_stat(txn, env->table, &stat);
    if (rc == 0) {
        env->page = stat.ms_psize;
        rc = as_get(txn, (as_key){.kind = AS_KIND_INFO}, &val);
    }
    anonset_code code = rc == 0 || rc == MDB_NOTFOUND
                            ? as_info_decode(&info, &val, env->path, detail)
                            : as_lmdb_fail(detail, rc, "open", env->path);
    mdb_txn_abort(txn);
    return code;
}

/* Opens the file for the first time in this process. Under registry_mutex. */
static anonset_code env_make(as_env **out, const char *path, const struct stat *found,
                             bool read_only, anonset_detail *detail)
{
    unsigned readers;
    anonset_code code = as_file_check(path, detail);
    if (code == ANONSET_OK)
        code = as_file_reserve_lock(&readers, path, detail);
    if (code != ANONSET_OK)
        return code;
    as_env *env = env_new(path);
    if (env == NULL)
        return as_lmdb_fail(detail, ENOMEM, "open", path);
    env->device = found->st_dev;
    env->inode = found->st_ino;
    env->writable = true;
    int rc = open_mdb(env, readers, 0);
    if (read_only && (rc == EACCES || rc == EPERM || rc == EROFS)) {
        env->writable = false;
        rc = open_mdb(env, readers, MDB_RDONLY);
    }
    code = rc == 0 ? open_table(env, detail) : as_lmdb_fail(detail, rc, "open", path);
    if (code == ANONSET_OK)
        *out = env;
    else
        env_free(env);
    return code;
}

/* Another file under the name of one that is open here would share its lock file with it. */
static anonset_code find(as_env **out, const char *path, const struct stat *found,
                         anonset_detail *detail)
{
    *out = NULL;
    for (as_env *env = registry; env; env = env->next) {
        if (found && env->device == found->st_dev && env->inode == found->st_ino)
            *out = env;
        else if (strcmp(env->path, path) == 0)
            return as_fail(detail, ANONSET_IO, 0,
                           "%s: the file was removed or replaced while this process has it open: "
                           "close it first",
                           path);
    }
    return ANONSET_OK;
}

static anonset_code join(as_env *env, bool read_only, anonset_detail *detail)
{
    pthread_mutex_lock(&env->mutex);
    bool unsure = env->unsure;
    pthread_mutex_unlock(&env->mutex);
    if (unsure)
        return as_lmdb_fail(detail, MDB_PANIC, "open", env->path);
    if (!read_only && !env->writable)
        return as_fail(detail, ANONSET_PERMISSION, 0,
                       "%s: this process has it open read-only, as the system then demanded: close "
                       "it first",
                       env->path);
    env->refs++;
    return ANONSET_OK;
}

/* Joins the environment that this process has, or makes it. *lock is given away if it is used. */
static anonset_code enter(as_env **out, const char *path, bool read_only, as_lock **lock,
                          anonset_detail *detail)
{
    struct stat found;
    as_env *env = NULL;
    pthread_mutex_lock(&registry_mutex);
    anonset_code code = stat(path, &found) == 0 ? find(&env, path, &found, detail)
                                                : as_lmdb_fail(detail, errno, "open", path);
    if (code == ANONSET_OK && env)
        code = join(env, read_only, detail);
    else if (code == ANONSET_OK) {
        code = env_make(&env, path, &found, read_only, detail);
        if (code == ANONSET_OK) {
            env->next = registry;
            registry = env;
        }
    }
    if (code == ANONSET_OK) {
        if (env->lock == NULL) {
            env->lock = *lock;
            *lock = NULL;
        }
        *out = env;
    }
    pthread_mutex_unlock(&registry_mutex);
    return code;
}

/* Looks before anything is made beside a file that may be foreign. */
static anonset_code look(const char *path, anonset_detail *detail)
{
    struct stat found;
    as_env *env;
    pthread_mutex_lock(&registry_mutex);
    bool is_there = stat(path, &found) == 0;
    anonset_code code = find(&env, path, is_there ? &found : NULL, detail);
    if (code == ANONSET_OK && env == NULL)
        code = as_file_probe(path, detail);
    pthread_mutex_unlock(&registry_mutex);
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
    memcpy(bytes, val.mv_data, sizeof bytes); /* open_table checked the length */
    return as_write_put(write, key, bytes, sizeof bytes, detail);
}

/* After an I/O error at a commit the disk may hold less than we see: a new durable commit, on all
 * that came before, settles it. */
static anonset_code settle(as_env *env, unsigned busy_ms, anonset_detail *detail)
{
    if (!as_file_is_unsure(env->path))
        return ANONSET_OK;
    anonset_code code = as_env_write(env, rewrite_info, NULL, busy_ms, detail);
    if (code == ANONSET_OK)
        as_file_clear_unsure(env->path);
    return code;
}

static anonset_code open_to_write(as_env **env, const char *path,
                                  const anonset_backend_options *options, anonset_detail *detail)
{
    char *name = NULL;
    as_lock *lock = NULL;
    anonset_code code = as_file_name(&name, path, "-writer", detail);
    if (code == ANONSET_OK)
        code = as_lock_open(&lock, name, detail);
    free(name);
    if (code != ANONSET_OK)
        return code;
    as_lock *taken = lock;
    code = as_lock_take(taken, options->busy_ms, detail);
    if (code != ANONSET_OK) {
        as_lock_close(lock);
        return code;
    }
    as_file_clean(path);
    code = as_file_check(path, detail);
    if (code == ANONSET_NOT_FOUND && (options->flags & ANONSET_STORE_CREATE))
        code = as_file_create(path, options->salt, detail);
    if (code == ANONSET_OK)
        code = enter(env, path, false, &lock, detail);
    as_lock_release(taken);
    if (lock)
        as_lock_close(lock);
    return code;
}

anonset_code as_env_open(as_env **env, const char *path, const anonset_backend_options *options,
                         anonset_detail *detail)
{
    char *full;
    as_env *made = NULL;
    as_lock *none = NULL;
    bool read_only = (options->flags & ANONSET_STORE_READ_ONLY) != 0;
    anonset_code code = as_file_resolve(&full, path, detail);
    if (code != ANONSET_OK)
        return code;
    code = look(full, detail);
    if (code == ANONSET_OK && read_only)
        code = enter(&made, full, true, &none, detail);
    else if (code == ANONSET_OK ||
             (code == ANONSET_NOT_FOUND && !read_only && (options->flags & ANONSET_STORE_CREATE)))
        code = open_to_write(&made, full, options, detail);
    free(full);
    if (code == ANONSET_OK && !read_only) {
        code = settle(made, options->busy_ms, detail);
        if (code != ANONSET_OK)
            as_env_close(made);
    }
    if (code == ANONSET_OK)
        *env = made;
    return code;
}

void as_env_close(as_env *env)
{
    pthread_mutex_lock(&registry_mutex);
    if (--env->refs == 0) {
        as_env **link = &registry;
        while (*link != env)
            link = &(*link)->next;
        *link = env->next;
        env_free(env);
    }
    pthread_mutex_unlock(&registry_mutex);
}

/* ---- Transactions ------------------------------------------------------------------------- */

static struct timespec deadline_in(unsigned ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_nsec -= 1000000000L;
        at.tv_sec++;
    }
    return at;
}

/* Gives the map another size, 0 for the one that another process chose. LMDB moves the map, so
 * every transaction of this process must have ended: they are waited for. Under env->mutex. */
static anonset_code remap(as_env *env, size_t map, unsigned busy_ms, anonset_detail *detail)
{
    struct timespec until = deadline_in(busy_ms);
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

anonset_code as_read_begin(MDB_txn **txn, as_env *env, unsigned busy_ms, anonset_detail *detail)
{
    return begin(txn, env, MDB_RDONLY, busy_ms, detail);
}

void as_read_end(as_env *env, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    ended(env);
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
    return rc == ENOSPC || rc == EDQUOT || (rc == EIO && as_file_disk_full(path));
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
    as_file_set_unsure(env->path);
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

anonset_code as_env_write(as_env *env, as_work work, const void *in, unsigned busy_ms,
                          anonset_detail *detail)
{
    as_write write = {.env = env};
    anonset_code code = as_lock_take(env->lock, busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    /* A reader that was killed would keep its pages from being used again, for ever. */
    (void)mdb_reader_check(env->mdb, NULL);
    code = attempt(&write, work, in, busy_ms, detail);
    while (code != ANONSET_OK && write.rc == MDB_MAP_FULL) {
        code = grow(env, busy_ms, detail);
        if (code != ANONSET_OK)
            break;
        code = attempt(&write, work, in, busy_ms, detail);
    }
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
    int rc = mdb_cursor_put(write->cursor, &name, &val, MDB_RESERVE);
    if (rc != 0)
        return as_write_fail(write, rc, "write", detail);
    *bytes = val.mv_data;
    return ANONSET_OK;
}

anonset_code as_write_delete(as_write *write, anonset_detail *detail)
{
    write->changed = true;
    write->deletes++;
    int rc = mdb_cursor_del(write->cursor, 0);
    return rc == 0 ? ANONSET_OK : as_write_fail(write, rc, "delete", detail);
}

anonset_code as_write_empty(as_write *write, anonset_detail *detail)
{
    MDB_stat stat;
    int rc = mdb_stat(write->txn, write->env->table, &stat);
    if (rc == 0)
        rc = mdb_drop(write->txn, write->env->table, 0);
    if (rc != 0)
        return as_write_fail(write, rc, "delete", detail);
    write->changed = true;
    write->deletes += stat.ms_entries;
    return ANONSET_OK;
}

/* ---- Looking things up -------------------------------------------------------------------- */

int as_get(MDB_txn *txn, as_key key, MDB_val *val)
{
    uint8_t bytes[AS_KEY_BYTES];
    MDB_val name = as_key_encode(bytes, key);
    return mdb_get(txn, MAIN_TABLE, &name, val);
}

static int found(as_kind kind, uint32_t group, as_key *key, const MDB_val *name)
{
    as_key got;
    if (!as_key_decode(&got, name))
        return MDB_CORRUPTED;
    if (got.kind != kind || got.group != group)
        return MDB_NOTFOUND;
    *key = got;
    return 0;
}

int as_cursor_move(MDB_cursor *cursor, MDB_cursor_op op, as_kind kind, uint32_t group, as_key *key,
                   MDB_val *val)
{
    MDB_val name;
    int rc = mdb_cursor_get(cursor, &name, val, op);
    return rc == 0 ? found(kind, group, key, &name) : rc;
}

int as_cursor_at_least(MDB_cursor *cursor, as_key *key, MDB_val *val)
{
    uint8_t bytes[AS_KEY_BYTES];
    MDB_val name = as_key_encode(bytes, *key);
    int rc = mdb_cursor_get(cursor, &name, val, MDB_SET_RANGE);
    return rc == 0 ? found(key->kind, key->group, key, &name) : rc;
}

int as_cursor_at_most(MDB_cursor *cursor, as_key *key, MDB_val *val)
{
    as_key wanted = *key, got;
    uint8_t bytes[AS_KEY_BYTES];
    MDB_val name = as_key_encode(bytes, wanted);
    int rc = mdb_cursor_get(cursor, &name, val, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND)
        return as_cursor_move(cursor, MDB_LAST, wanted.kind, wanted.group, key, val);
    if (rc != 0)
        return rc;
    rc = found(wanted.kind, wanted.group, &got, &name);
    if (rc == 0 && got.at == wanted.at && got.sub == wanted.sub)
        return 0; /* *key is that already */
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    return as_cursor_move(cursor, MDB_PREV, wanted.kind, wanted.group, key, val);
}

anonset_code as_load_ledger(as_ledger *ledger, MDB_txn *txn, uint32_t group, const char *path,
                            anonset_detail *detail)
{
    MDB_val val;
    int rc = as_get(txn, (as_key){.kind = AS_KIND_LEDGER, .group = group}, &val);
    if (rc == MDB_NOTFOUND) {
        memset(ledger, 0, sizeof *ledger);
        return ANONSET_OK;
    }
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "read", path);
    return as_ledger_decode(ledger, val.mv_data, val.mv_size, detail);
}
