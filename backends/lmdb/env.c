#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/env_inside.h"

#include "backends/lmdb/file.h"
#include "backends/path.h"
#include "backends/wait.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

size_t as_env_first_map;

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
    as_free(env->path);
    as_free(env);
}

static as_env *env_new(const char *path)
{
    as_env *env = as_alloc_zeroed(sizeof *env);
    if (env == NULL)
        return NULL;
    env->path = as_strdup(path);
    if (env->path == NULL || pthread_mutex_init(&env->mutex, NULL) != 0)
        goto free_env;
    if (as_wait_init(&env->idle) != 0)
        goto destroy_mutex;
    env->refs = 1;
    return env;

destroy_mutex:
    pthread_mutex_destroy(&env->mutex);
free_env:
    as_free(env->path);
    as_free(env);
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

/* Follows no page: of the main table LMDB has all that it needs in the meta page. */
static anonset_code open_table(as_env *env, anonset_detail *detail)
{
    MDB_txn *txn;
    MDB_stat stat;
    int rc = as_file_read(&txn, env->mdb);
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "open", env->path);
    rc = mdb_dbi_open(txn, NULL, 0, &env->table);
    if (rc == 0)
        rc = mdb_stat(txn, env->table, &stat);
    if (rc == 0)
        env->page = stat.ms_psize;
    mdb_txn_abort(txn);
    return rc == 0 ? ANONSET_OK : as_lmdb_fail(detail, rc, "open", env->path);
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
    if (read_only && as_errno_code(rc) == ANONSET_PERMISSION) {
        env->writable = false;
        rc = open_mdb(env, readers, MDB_RDONLY);
    }
    if (rc == 0)
        code = open_table(env, detail);
    else if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH) /* as_file_check saw to the store */
        code = as_fail(detail, ANONSET_IO, 0,
                       "%s: its -lock file cannot be used: close all programs that have the store "
                       "open",
                       path);
    else
        code = as_lmdb_fail(detail, rc, "open", path);
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

anonset_code as_env_usable(as_env *env, anonset_detail *detail)
{
    pthread_mutex_lock(&env->mutex);
    bool unsure = env->unsure;
    pthread_mutex_unlock(&env->mutex);
    return unsure ? as_lmdb_fail(detail, MDB_PANIC, "use", env->path) : ANONSET_OK;
}

static anonset_code join(as_env *env, bool read_only, anonset_detail *detail)
{
    anonset_code code = as_env_usable(env, detail);
    if (code != ANONSET_OK)
        return code;
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

static anonset_code open_lock(as_lock **lock, const char *path, anonset_detail *detail)
{
    char *name = NULL;
    anonset_code code = as_file_name(&name, path, "-writer", detail);
    if (code == ANONSET_OK)
        code = as_lock_open(lock, name, detail);
    as_free(name);
    return code;
}

static anonset_code open_to_write(as_env **env, const char *path,
                                  const anonset_backend_options *options, anonset_detail *detail)
{
    as_lock *lock = NULL;
    anonset_code code = open_lock(&lock, path, detail);
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
    anonset_code code = as_path_resolve(&full, path, detail);
    if (code != ANONSET_OK)
        return code;
    code = look(full, detail);
    if (code == ANONSET_OK && read_only)
        code = enter(&made, full, true, &none, detail);
    else if (code == ANONSET_OK ||
             (code == ANONSET_NOT_FOUND && !read_only && (options->flags & ANONSET_STORE_CREATE)))
        code = open_to_write(&made, full, options, detail);
    as_free(full);
    if (code == ANONSET_OK && !read_only) {
        code = as_env_settle(made, options->busy_ms, detail);
        if (code != ANONSET_OK)
            as_env_close(made);
    }
    if (code == ANONSET_OK)
        *env = made;
    return code;
}

/* While nobody in this process has the store open, or can open it. */
static anonset_code replace_closed(const char *path, const char *by, const char *kept,
                                   anonset_detail *detail)
{
    struct stat found;
    as_env *env;
    pthread_mutex_lock(&registry_mutex);
    bool is_there = stat(path, &found) == 0;
    anonset_code code = find(&env, path, is_there ? &found : NULL, detail);
    if (code == ANONSET_OK && env)
        code = as_fail(detail, ANONSET_BUSY, 0, "%s: this process has it open: close it", path);
    if (code == ANONSET_OK)
        code = as_file_replace(path, by, kept, detail);
    pthread_mutex_unlock(&registry_mutex);
    return code;
}

anonset_code as_env_replace(const char *path, const char *by, const char *kept, unsigned busy_ms,
                            anonset_detail *detail)
{
    char *full = NULL;
    as_lock *lock = NULL;
    anonset_code code = as_path_resolve(&full, path, detail);
    if (code == ANONSET_OK)
        code = open_lock(&lock, full, detail);
    if (code == ANONSET_OK)
        code = as_lock_take(lock, busy_ms, detail);
    if (code == ANONSET_OK) {
        code = replace_closed(full, by, kept, detail);
        as_lock_release(lock);
    }
    as_lock_close(lock);
    as_free(full);
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
