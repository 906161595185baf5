#include "backends/sqlite/vfs.h"

#include "core/alloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define GAP_MOST     24 /* between pages of the log: a frame's head. Sequential all the same */

typedef struct gathering {
    sqlite3_file base; /* first: SQLite sees this */
    sqlite3_file *real;
    uint8_t *bytes;         /* NULL: not needed yet, or there was no memory: calls pass through */
    sqlite3_int64 at;       /* where in the file bytes[0] belongs */
    int used;               /* bytes to be written; or */
    int ahead;              /* bytes that were read */
    int failed;             /* what a flush that could not be told of returned */
    int read_failed;        /* what the newest read that failed returned */
    sqlite3_int64 read_end; /* of the newest read */
    struct gathering *log;  /* of a database: its log, if open: it is under the database's locks */
    struct gathering *database; /* of a log */
} gathering;

#define REAL_AT                                                                                    \
    ((sizeof(gathering) + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t))

static sqlite3_vfs *real_vfs;

static gathering *of(sqlite3_file *file)
{
    return (gathering *)(void *)file;
}

/* A quota that is used up, or a limit on file sizes, is a full disk, which SQLite takes back in
 * good order. It must be told here: where it is told late (`failed`), errno is another one's by
 * then. */
static int write_real(const gathering *g, const void *in, int n, sqlite3_int64 at)
{
    int rc = g->real->pMethods->xWrite(g->real, in, n, at);
    return rc == SQLITE_IOERR_WRITE && (errno == EDQUOT || errno == EFBIG) ? SQLITE_FULL : rc;
}

/* Passes on what was gathered, and forgets what was read ahead. What could not be written is given
 * up: SQLite takes its write for failed, and rolls back. */
static int flush(gathering *g)
{
    int rc = g->failed;
    int used = g->used;
    g->failed = SQLITE_OK;
    g->used = 0;
    g->ahead = 0;
    if (rc == SQLITE_OK && used > 0)
        rc = write_real(g, g->bytes, used, g->at);
    return rc;
}

/* The same, and gives the memory back. */
static int settle(gathering *g)
{
    int rc = flush(g);
    as_free(g->bytes);
    g->bytes = NULL;
    return rc;
}

/* Of a database and its log: before anybody is let in, and after somebody was. */
static int settle_all(gathering *g)
{
    int rc = settle(g);
    int log = g->log != NULL ? settle(g->log) : SQLITE_OK;
    return rc != SQLITE_OK ? rc : log;
}

/* ---- Files -------------------------------------------------------------------------------- */

static int file_close(sqlite3_file *file)
{
    gathering *g = of(file);
    int rc = flush(g);
    if (g->database != NULL)
        g->database->log = NULL;
    int closed = g->real->pMethods->xClose(g->real);
    as_free(g->bytes);
    return rc != SQLITE_OK ? rc : closed;
}

static bool have_buffer(gathering *g)
{
    if (g->bytes == NULL)
        g->bytes = as_alloc(BUFFER_BYTES);
    return g->bytes != NULL;
}

/* SQLite takes a disk that cannot be read for a damaged file, and tells nobody of the disk. */
static int read_real(gathering *g, void *out, int n, sqlite3_int64 at)
{
    int rc = g->real->pMethods->xRead(g->real, out, n, at);
    if (rc == SQLITE_IOERR_CORRUPTFS)
        rc = SQLITE_IOERR_READ;
    if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
        g->read_failed = rc;
    return rc;
}

/* Fills the buffer from `at` on. *read: it did, with at least n bytes. */
static int read_ahead(gathering *g, bool *read, int n, sqlite3_int64 at)
{
    sqlite3_int64 size = 0;
    *read = false;
    int rc = flush(g);
    if (rc == SQLITE_OK)
        rc = g->real->pMethods->xFileSize(g->real, &size);
    if (rc != SQLITE_OK || size - at < n)
        return rc;
    int len = size - at < BUFFER_BYTES ? (int)(size - at) : BUFFER_BYTES;
    rc = read_real(g, g->bytes, len, at);
    if (rc != SQLITE_OK) /* where somebody cut the file, let the plain read tell */
        return rc == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : rc;
    g->at = at;
    g->ahead = len;
    *read = true;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *out, int n, sqlite3_int64 at)
{
    gathering *g = of(file);
    int rc = SQLITE_OK;
    bool follows = at >= g->read_end && at - g->read_end <= GAP_MOST;
    bool held = at >= g->at && at + n <= g->at + g->ahead;
    g->read_end = at + n;
    if (g->used > 0 && at < g->at + g->used && g->at < at + n)
        rc = flush(g);
    if (rc == SQLITE_OK && !held && follows && n <= BUFFER_BYTES / 2 && have_buffer(g))
        rc = read_ahead(g, &held, n, at);
    if (rc != SQLITE_OK)
        return rc;
    if (!held)
        return read_real(g, out, n, at);
    memcpy(out, g->bytes + (at - g->at), (size_t)n);
    return SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *in, int n, sqlite3_int64 at)
{
    gathering *g = of(file);
    int rc = SQLITE_OK;
    if (g->failed != SQLITE_OK || at != g->at + g->used || n > BUFFER_BYTES - g->used)
        rc = flush(g);
    if (rc != SQLITE_OK)
        return rc;
    g->ahead = 0;
    if (n > BUFFER_BYTES || !have_buffer(g))
        return write_real(g, in, n, at);
    if (g->used == 0)
        g->at = at;
    memcpy(g->bytes + g->used, in, (size_t)n);
    g->used += n;
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    gathering *g = of(file);
    int rc = flush(g);
    return rc != SQLITE_OK ? rc : g->real->pMethods->xTruncate(g->real, size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    gathering *g = of(file);
    int rc = flush(g);
    return rc != SQLITE_OK ? rc : g->real->pMethods->xSync(g->real, flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    gathering *g = of(file);
    int rc = flush(g);
    return rc != SQLITE_OK ? rc : g->real->pMethods->xFileSize(g->real, size);
}

static int file_lock(sqlite3_file *file, int level)
{
    gathering *g = of(file);
    int rc = settle_all(g);
    return rc != SQLITE_OK ? rc : g->real->pMethods->xLock(g->real, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    gathering *g = of(file);
    int rc = settle_all(g);
    int unlocked = g->real->pMethods->xUnlock(g->real, level);
    return rc != SQLITE_OK ? rc : unlocked;
}

static int file_check_reserved_lock(sqlite3_file *file, int *reserved)
{
    gathering *g = of(file);
    return g->real->pMethods->xCheckReservedLock(g->real, reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    gathering *g = of(file);
    return g->real->pMethods->xFileControl(g->real, operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    gathering *g = of(file);
    return g->real->pMethods->xSectorSize(g->real);
}

static int file_characteristics(sqlite3_file *file)
{
    gathering *g = of(file);
    return g->real->pMethods->xDeviceCharacteristics(g->real);
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **map)
{
    gathering *g = of(file);
    return g->real->pMethods->xShmMap(g->real, page, size, extend, map);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    gathering *g = of(file);
    g->failed = settle_all(g); /* SQLite does not look at what an unlock returns */
    return g->real->pMethods->xShmLock(g->real, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    gathering *g = of(file);
    g->failed = settle_all(g);
    g->real->pMethods->xShmBarrier(g->real);
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
    gathering *g = of(file);
    return g->real->pMethods->xShmUnmap(g->real, remove);
}

/* Version 2: with shared memory, without mapping the file itself, which we never do. */
static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int take_failed_read(gathering *g)
{
    int rc = g->read_failed;
    g->read_failed = SQLITE_OK;
    return rc;
}

int as_sqlite_vfs_failed_read(sqlite3_file *file)
{
    bool ours = file->pMethods == &file_methods; /* else SQLite had no layer for it to stand on */
    gathering *g = of(file);
    int log = ours && g->log != NULL ? take_failed_read(g->log) : SQLITE_OK;
    int rc = ours ? take_failed_read(g) : SQLITE_OK;
    return rc != SQLITE_OK ? rc : log;
}

/* ---- The layer ---------------------------------------------------------------------------- */

/*
 * Where a file cannot be opened for writing, or made, SQLite goes on to open it for reading,
 * whatever the reason was. That is right where writing is not allowed; elsewhere a passing error
 * would be told as a lack of permission, and one at making a file as its absence: the first errno
 * is gone.
 */
static int open_real(sqlite3_file *file, const char *name, int flags, int *out)
{
    int got = flags;
    int rc = real_vfs->xOpen(real_vfs, name, file, flags, &got);
    if (rc == SQLITE_OK && (flags & SQLITE_OPEN_READWRITE) != 0 &&
        (got & SQLITE_OPEN_READONLY) != 0 && name != NULL && access(name, W_OK) == 0) {
        (void)file->pMethods->xClose(file);
        file->pMethods = NULL;
        rc = SQLITE_CANTOPEN;
        errno = EIO;
    } else if (rc != SQLITE_OK && (flags & SQLITE_OPEN_CREATE) != 0 && errno == ENOENT) {
        errno = EIO;
    }
    if (out != NULL)
        *out = got;
    return rc;
}

static int layer_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    gathering *g = of(file);
    (void)vfs;
    memset(g, 0, sizeof *g);
    g->real = (sqlite3_file *)(void *)((uint8_t *)file + REAL_AT);
    int rc = open_real(g->real, name, flags, out);
    if (g->real->pMethods != NULL) /* then SQLite closes it, also after a failure */
        g->base.pMethods = &file_methods;
    if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        g->database = of(sqlite3_database_file_object(name));
        g->database->log = g;
    }
    return rc;
}

static int layer_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    return real_vfs->xDelete(real_vfs, name, sync_folder);
}

static int layer_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    (void)vfs;
    return real_vfs->xAccess(real_vfs, name, flags, out);
}

static int layer_full_pathname(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
    (void)vfs;
    return real_vfs->xFullPathname(real_vfs, name, n, out);
}

static int layer_randomness(sqlite3_vfs *vfs, int n, char *out)
{
    (void)vfs;
    return real_vfs->xRandomness(real_vfs, n, out);
}

static int layer_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return real_vfs->xSleep(real_vfs, microseconds);
}

static int layer_current_time(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    return real_vfs->xCurrentTime(real_vfs, out);
}

static int layer_last_error(sqlite3_vfs *vfs, int n, char *out)
{
    (void)vfs;
    return real_vfs->xGetLastError(real_vfs, n, out);
}

/* Without dlopen: a store loads no extensions. */
static sqlite3_vfs layer = {
    .iVersion = 1,
    .zName = "anonset",
    .xOpen = layer_open,
    .xDelete = layer_delete,
    .xAccess = layer_access,
    .xFullPathname = layer_full_pathname,
    .xRandomness = layer_randomness,
    .xSleep = layer_sleep,
    .xCurrentTime = layer_current_time,
    .xGetLastError = layer_last_error,
};

static void make_layer(void)
{
    sqlite3_vfs *found = sqlite3_vfs_find(NULL);
    if (found == NULL)
        return;
    layer.szOsFile = (int)REAL_AT + found->szOsFile;
    layer.mxPathname = found->mxPathname;
    real_vfs = sqlite3_vfs_register(&layer, 0) == SQLITE_OK ? found : NULL;
}

/* A program that unloads this library must not find our layer in SQLite's list. */
__attribute__((destructor)) static void forget_layer(void)
{
    if (real_vfs != NULL)
        (void)sqlite3_vfs_unregister(&layer);
}

const char *as_sqlite_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_layer);
    return real_vfs != NULL ? layer.zName : NULL;
}
