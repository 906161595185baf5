#include "backends/sqlite/vfs.h"

#include <pthread.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_BYTES 65536

typedef struct gathering {
    sqlite3_file base; /* first: SQLite sees this */
    sqlite3_file *real;
    uint8_t *bytes; /* NULL: none were gathered yet, or there was no memory: writes pass through */
    int used;
    sqlite3_int64 at; /* where in the file bytes[0] belongs */
    int failed;       /* what a flush that could not be told of returned */
} gathering;

#define REAL_AT                                                                                    \
    ((sizeof(gathering) + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t))

static sqlite3_vfs *real_vfs;

static gathering *of(sqlite3_file *file)
{
    return (gathering *)(void *)file;
}

/* Passes on what was gathered. What could not be written is given up: SQLite takes its write for
 * failed, and rolls back. */
static int flush(gathering *g)
{
    int rc = g->failed;
    int used = g->used;
    g->failed = SQLITE_OK;
    g->used = 0;
    if (rc == SQLITE_OK && used > 0)
        rc = g->real->pMethods->xWrite(g->real, g->bytes, used, g->at);
    return rc;
}

/* ---- Files -------------------------------------------------------------------------------- */

static int file_close(sqlite3_file *file)
{
    gathering *g = of(file);
    int rc = flush(g);
    int closed = g->real->pMethods->xClose(g->real);
    free(g->bytes);
    return rc != SQLITE_OK ? rc : closed;
}

static int file_read(sqlite3_file *file, void *out, int n, sqlite3_int64 at)
{
    gathering *g = of(file);
    if (g->used > 0 && at < g->at + g->used && g->at < at + n) {
        int rc = flush(g);
        if (rc != SQLITE_OK)
            return rc;
    }
    return g->real->pMethods->xRead(g->real, out, n, at);
}

static int file_write(sqlite3_file *file, const void *in, int n, sqlite3_int64 at)
{
    gathering *g = of(file);
    int rc = SQLITE_OK;
    if (g->failed != SQLITE_OK || at != g->at + g->used || n > GATHER_BYTES - g->used)
        rc = flush(g);
    if (rc != SQLITE_OK)
        return rc;
    if (g->bytes == NULL)
        g->bytes = malloc(GATHER_BYTES);
    if (g->bytes == NULL || n > GATHER_BYTES)
        return g->real->pMethods->xWrite(g->real, in, n, at);
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
    return g->real->pMethods->xLock(g->real, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    gathering *g = of(file);
    int rc = flush(g);
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
    int rc = flush(g);
    int locked = g->real->pMethods->xShmLock(g->real, offset, n, flags);
    if (rc != SQLITE_OK && (flags & SQLITE_SHM_UNLOCK) == 0)
        return rc;
    if (rc != SQLITE_OK)
        g->failed = rc; /* SQLite does not look at what an unlock returns */
    return locked;
}

static void file_shm_barrier(sqlite3_file *file)
{
    gathering *g = of(file);
    g->failed = flush(g);
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

/* ---- The layer ---------------------------------------------------------------------------- */

static int layer_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    gathering *g = of(file);
    (void)vfs;
    memset(g, 0, sizeof *g);
    g->real = (sqlite3_file *)(void *)((uint8_t *)file + REAL_AT);
    int rc = real_vfs->xOpen(real_vfs, name, g->real, flags, out);
    if (g->real->pMethods != NULL) /* then SQLite closes it, also after a failure */
        g->base.pMethods = &file_methods;
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
    real_vfs = found;
    if (sqlite3_vfs_register(&layer, 0) != SQLITE_OK)
        real_vfs = NULL;
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
