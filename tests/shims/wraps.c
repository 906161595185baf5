/*
 * Calls of libcrypto, SQLite, LMDB and the C library, each failing when calls.h says so, as if the
 * library had done nothing. Those that free or tell of an error never fail.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* as core/digest.c */

#include "config.h"

#include "tests/shims/wraps.h"

#include "tests/shims/calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int sqlite_code = SQLITE_IOERR, lmdb_code = MDB_CORRUPTED, os_error = EIO;
static bool sqlite_failed; /* our own failure is the newest that SQLite would tell of */

void wraps_fail_with(int for_sqlite, int for_lmdb, int for_system)
{
    sqlite_code = for_sqlite ? for_sqlite : SQLITE_IOERR;
    lmdb_code = for_lmdb ? for_lmdb : MDB_CORRUPTED;
    os_error = for_system ? for_system : EIO;
}

/* A function `name` of `parameters` that returns `failure` in place of a call that fails. */
#define WRAP(type, name, parameters, arguments, failure)                                           \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return calls_fail(#name) ? (failure) : __real_##name arguments;                            \
    }

/* ---- libcrypto ------------------------------------------------------------------------------ */

WRAP(int, SHA256_Init, (SHA256_CTX * context), (context), 0)
WRAP(int, SHA256_Update, (SHA256_CTX * context, const void *bytes, size_t len),
     (context, bytes, len), 0)
WRAP(int, SHA256_Final, (unsigned char *out, SHA256_CTX *context), (out, context), 0)
WRAP(int, getentropy, (void *out, size_t len), (out, len), -1)

/* ---- SQLite --------------------------------------------------------------------------------- */

static int sqlite_fails(void)
{
    sqlite_failed = true;
    return sqlite_code;
}

/* As WRAP, of a function that returns a code of SQLite. */
#define WRAP_SQLITE(name, parameters, arguments)                                                   \
    WRAP(int, name, parameters, arguments, sqlite_fails())

WRAP_SQLITE(sqlite3_open_v2, (const char *path, sqlite3 **db, int flags, const char *vfs),
            (path, db, flags, vfs))
WRAP_SQLITE(sqlite3_busy_timeout, (sqlite3 * db, int ms), (db, ms))
WRAP_SQLITE(sqlite3_exec,
            (sqlite3 * db, const char *sql, int (*row)(void *, int, char **, char **),
             void *context, char **error),
            (db, sql, row, context, error))
WRAP_SQLITE(sqlite3_prepare_v2,
            (sqlite3 * db, const char *sql, int len, sqlite3_stmt **statement, const char **tail),
            (db, sql, len, statement, tail))
WRAP_SQLITE(sqlite3_prepare_v3,
            (sqlite3 * db, const char *sql, int len, unsigned flags, sqlite3_stmt **statement,
             const char **tail),
            (db, sql, len, flags, statement, tail))
WRAP_SQLITE(sqlite3_bind_int64, (sqlite3_stmt * statement, int i, sqlite3_int64 value),
            (statement, i, value))
WRAP_SQLITE(sqlite3_bind_value, (sqlite3_stmt * statement, int i, const sqlite3_value *value),
            (statement, i, value))
WRAP_SQLITE(sqlite3_bind_null, (sqlite3_stmt * statement, int i), (statement, i))
/* SQLite frees what it was given to keep, also when it fails. */
static int bind_fails(const void *bytes, void (*end)(void *))
{
    if (end != SQLITE_STATIC && end != SQLITE_TRANSIENT)
        end((void *)(uintptr_t)bytes);
    return sqlite_fails();
}

#define WRAP_BIND(name, parameters, arguments)                                                     \
    WRAP(int, name, parameters, arguments, bind_fails(bytes, end))

WRAP_BIND(sqlite3_bind_blob,
          (sqlite3_stmt * statement, int i, const void *bytes, int len, void (*end)(void *)),
          (statement, i, bytes, len, end))
WRAP_BIND(sqlite3_bind_blob64,
          (sqlite3_stmt * statement, int i, const void *bytes, sqlite3_uint64 len,
           void (*end)(void *)),
          (statement, i, bytes, len, end))
WRAP_BIND(sqlite3_bind_text,
          (sqlite3_stmt * statement, int i, const char *bytes, int len, void (*end)(void *)),
          (statement, i, bytes, len, end))
WRAP_SQLITE(sqlite3_step, (sqlite3_stmt * statement), (statement))
WRAP_SQLITE(sqlite3_blob_open,
            (sqlite3 * db, const char *schema, const char *table, const char *column,
             sqlite3_int64 row, int flags, sqlite3_blob **blob),
            (db, schema, table, column, row, flags, blob))
WRAP_SQLITE(sqlite3_blob_reopen, (sqlite3_blob * blob, sqlite3_int64 row), (blob, row))
WRAP_SQLITE(sqlite3_blob_read, (sqlite3_blob * blob, void *out, int len, int at),
            (blob, out, len, at))
WRAP_SQLITE(sqlite3_backup_step, (sqlite3_backup * backup, int pages), (backup, pages))
WRAP_SQLITE(sqlite3_wal_checkpoint_v2,
            (sqlite3 * db, const char *schema, int mode, int *logged, int *copied),
            (db, schema, mode, logged, copied))
WRAP_SQLITE(sqlite3_file_control, (sqlite3 * db, const char *schema, int what, void *argument),
            (db, schema, what, argument))
WRAP_SQLITE(sqlite3_vfs_register, (sqlite3_vfs * vfs, int is_default), (vfs, is_default))
WRAP(sqlite3_vfs *, sqlite3_vfs_find, (const char *name), (name), NULL)
WRAP(const void *, sqlite3_column_blob, (sqlite3_stmt * statement, int i), (statement, i), NULL)
WRAP(const unsigned char *, sqlite3_column_text, (sqlite3_stmt * statement, int i), (statement, i),
     NULL)
WRAP(sqlite3_backup *, sqlite3_backup_init,
     (sqlite3 * to, const char *to_schema, sqlite3 *from, const char *from_schema),
     (to, to_schema, from, from_schema), (sqlite_failed = true, NULL))
WRAP(void *, sqlite3_malloc64, (sqlite3_uint64 len), (len), NULL)

char *__wrap_sqlite3_mprintf(const char *format, ...);
char *__wrap_sqlite3_mprintf(const char *format, ...)
{
    va_list arguments;
    if (calls_fail("sqlite3_mprintf"))
        return NULL;
    va_start(arguments, format);
    char *text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    return text;
}

int __real_sqlite3_db_config(sqlite3 *db, int what, ...);
int __wrap_sqlite3_db_config(sqlite3 *db, int what, int on, int *now);
/* Of the form that takes a switch, which is all that is used here. */
int __wrap_sqlite3_db_config(sqlite3 *db, int what, int on, int *now)
{
    return calls_fail("sqlite3_db_config") ? sqlite_fails()
                                           : __real_sqlite3_db_config(db, what, on, now);
}

int __real_sqlite3_extended_errcode(sqlite3 *db);
int __wrap_sqlite3_extended_errcode(sqlite3 *db);
int __wrap_sqlite3_extended_errcode(sqlite3 *db)
{
    bool ours = sqlite_failed;
    sqlite_failed = false;
    return ours ? sqlite_code : __real_sqlite3_extended_errcode(db);
}

/* ---- LMDB ----------------------------------------------------------------------------------- */

/* As WRAP, of a function that returns a code of LMDB. */
#define WRAP_LMDB(name, parameters, arguments) WRAP(int, name, parameters, arguments, lmdb_code)

WRAP_LMDB(mdb_env_create, (MDB_env * *env), (env))
WRAP_LMDB(mdb_env_open, (MDB_env * env, const char *path, unsigned flags, mdb_mode_t mode),
          (env, path, flags, mode))
WRAP_LMDB(mdb_env_set_mapsize, (MDB_env * env, size_t size), (env, size))
WRAP_LMDB(mdb_env_set_maxreaders, (MDB_env * env, unsigned most), (env, most))
WRAP_LMDB(mdb_env_info, (MDB_env * env, MDB_envinfo *info), (env, info))
WRAP_LMDB(mdb_env_get_fd, (MDB_env * env, mdb_filehandle_t *fd), (env, fd))
WRAP_LMDB(mdb_stat, (MDB_txn * txn, MDB_dbi table, MDB_stat *stat), (txn, table, stat))
WRAP_LMDB(mdb_txn_begin, (MDB_env * env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
          (env, parent, flags, txn))
WRAP_LMDB(mdb_dbi_open, (MDB_txn * txn, const char *name, unsigned flags, MDB_dbi *table),
          (txn, name, flags, table))
WRAP_LMDB(mdb_get, (MDB_txn * txn, MDB_dbi table, MDB_val *key, MDB_val *value),
          (txn, table, key, value))
WRAP_LMDB(mdb_put, (MDB_txn * txn, MDB_dbi table, MDB_val *key, MDB_val *value, unsigned flags),
          (txn, table, key, value, flags))
WRAP_LMDB(mdb_drop, (MDB_txn * txn, MDB_dbi table, int all), (txn, table, all))
WRAP_LMDB(mdb_cursor_open, (MDB_txn * txn, MDB_dbi table, MDB_cursor **cursor),
          (txn, table, cursor))
WRAP_LMDB(mdb_cursor_get, (MDB_cursor * cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op),
          (cursor, key, value, op))
WRAP_LMDB(mdb_cursor_put, (MDB_cursor * cursor, MDB_val *key, MDB_val *value, unsigned flags),
          (cursor, key, value, flags))
WRAP_LMDB(mdb_cursor_del, (MDB_cursor * cursor, unsigned flags), (cursor, flags))
WRAP_LMDB(mdb_reader_check, (MDB_env * env, int *dead), (env, dead))

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
/* It ends the transaction, whatever it returns. */
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (!calls_fail("mdb_txn_commit"))
        return __real_mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return lmdb_code;
}

/* ---- The C library -------------------------------------------------------------------------- */

#define WRAP_MEMORY(type, name, parameters, arguments)                                             \
    WRAP(type, name, parameters, arguments, (errno = ENOMEM, (type)NULL))
#define WRAP_SYSTEM(type, name, parameters, arguments)                                             \
    WRAP(type, name, parameters, arguments, (errno = os_error, (type)-1))

WRAP_MEMORY(void *, malloc, (size_t len), (len))
WRAP_MEMORY(void *, calloc, (size_t n, size_t len), (n, len))
WRAP_MEMORY(void *, realloc, (void *block, size_t len), (block, len))
WRAP_MEMORY(char *, strdup, (const char *text), (text))
WRAP_MEMORY(char *, strndup, (const char *text, size_t len), (text, len))
WRAP(char *, realpath, (const char *path, char *out), (path, out), (errno = os_error, NULL))
WRAP(int, pthread_mutex_init, (pthread_mutex_t * mutex, const pthread_mutexattr_t *how),
     (mutex, how), ENOMEM)
WRAP(int, pthread_cond_init, (pthread_cond_t * condition, const pthread_condattr_t *how),
     (condition, how), ENOMEM)
WRAP(int, pthread_condattr_init, (pthread_condattr_t * how), (how), ENOMEM)
WRAP(int, pthread_condattr_setclock, (pthread_condattr_t * how, clockid_t clock), (how, clock),
     EINVAL)
WRAP_SYSTEM(int, fstat, (int fd, struct stat *out), (fd, out))
WRAP_SYSTEM(int, stat, (const char *path, struct stat *out), (path, out))
WRAP_SYSTEM(int, access, (const char *path, int how), (path, how))
WRAP_SYSTEM(int, ftruncate, (int fd, off_t size), (fd, size))
WRAP_SYSTEM(ssize_t, pread, (int fd, void *out, size_t len, off_t at), (fd, out, len, at))
WRAP_SYSTEM(int, fsync, (int fd), (fd))
WRAP_SYSTEM(int, flock, (int fd, int what), (fd, what))
WRAP_SYSTEM(int, rename, (const char *from, const char *to), (from, to))
WRAP_SYSTEM(int, link, (const char *from, const char *to), (from, to))
WRAP_SYSTEM(int, unlink, (const char *path), (path))
WRAP_SYSTEM(int, unlinkat, (int folder, const char *name, int flags), (folder, name, flags))
WRAP_SYSTEM(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, posix_fallocate, (int fd, off_t at, off_t len), (fd, at, len), os_error)
WRAP(int, fflush, (FILE * file), (file), (errno = os_error, EOF))
WRAP(FILE *, open_memstream, (char **text, size_t *len), (text, len), (errno = ENOMEM, NULL))
WRAP(DIR *, opendir, (const char *path), (path), (errno = os_error, NULL))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list mode;
    if (calls_fail("open")) {
        errno = os_error;
        return -1;
    }
    va_start(mode, flags);
    int fd = __real_open(path, flags, flags & O_CREAT ? va_arg(mode, mode_t) : 0);
    va_end(mode);
    return fd;
}
