/* The calls of the C library on files: each may fail, and is noted, if it concerns the folder that
 * is watched. */
#undef _FILE_OFFSET_BITS /* both widths of every call are defined here */

#include "tests/shims/disk_inside.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define EXPORT  __attribute__((visibility("default")))
#define FD_MOST 1024

static char folder_now[256]; /* "": none is watched */
static disk_opened fds[FD_MOST];
static bool skip_syncs;

/* The C library's own `name`, or the next one in line. */
#define REAL(name)                                                                                 \
    static __typeof__(&(name)) real;                                                               \
    if (!real)                                                                                     \
    *(void **)(void *)&real = next_in_line(#name)

static void *next_in_line(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

_Noreturn void disk_give_up(const char *what)
{
    (void)fprintf(stderr, "disk: %s\n", what);
    _Exit(99); /* no signal, which could be taken for one that the store met */
}

void disk_watch(const char *folder)
{
    memset(fds, 0, sizeof fds);
    (void)snprintf(folder_now, sizeof folder_now, "%s", folder);
}

void disk_skip_syncs(bool skip)
{
    skip_syncs = skip;
}

const char *disk_inside(const char *path)
{
    size_t len = strlen(folder_now);
    if (len == 0 || strncmp(path, folder_now, len) != 0)
        return NULL;
    if (path[len] == '\0' || path[len] == '/')
        return path + len + (path[len] == '/');
    return NULL;
}

disk_opened *disk_known(int fd)
{
    return fd >= 0 && fd < FD_MOST && fds[fd].known ? &fds[fd] : NULL;
}

static bool path_fails(disk_call call, const char *path)
{
    return disk_inside(path) && disk_fails(call, NULL);
}

static bool fd_fails(disk_call call, int fd)
{
    return disk_known(fd) && disk_fails(call, NULL);
}

/* ---- Opening and closing ------------------------------------------------------------------ */

typedef int (*open_call)(const char *, int, ...);

static int open_watched(open_call real, const char *path, int flags, mode_t mode)
{
    const char *name = disk_inside(path);
    if (name && disk_fails(flags & O_CREAT ? DISK_ON_MAKE : DISK_ON_OPEN, NULL))
        return -1;
    int fd = real(path, flags, mode);
    if (fd >= FD_MOST)
        disk_give_up("too many open files");
    if (fd >= 0)
        fds[fd] = (disk_opened){.known = name != NULL,
                                .file = name ? disk_note_open(name, flags) : 0,
                                .durable = (flags & O_DSYNC) != 0};
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

EXPORT int open(const char *path, int flags, ...)
{
    REAL(open);
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_watched(real, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    REAL(open64);
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_watched(real, path, flags, mode);
}

EXPORT int close(int fd)
{
    REAL(close);
    disk_opened *file = disk_known(fd);
    if (file)
        file->known = false;
    return real(fd);
}

/* Whether the map must fail. */
static bool map_fails(int protection, int flags, int fd)
{
    const disk_opened *file = disk_known(fd);
    if (file && file->file != DISK_UNNOTED && (protection & PROT_WRITE) &&
        (flags & MAP_TYPE) == MAP_SHARED)
        disk_give_up("a file is written through a map, which no log can show");
    return fd_fails(DISK_ON_MAP, fd);
}

EXPORT void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap);
    return map_fails(protection, flags, fd) ? MAP_FAILED
                                            : real(at, len, protection, flags, fd, offset);
}

EXPORT void *mmap64(void *at, size_t len, int protection, int flags, int fd, off64_t offset)
{
    REAL(mmap64);
    return map_fails(protection, flags, fd) ? MAP_FAILED
                                            : real(at, len, protection, flags, fd, offset);
}

/* ---- Locking ------------------------------------------------------------------------------ */

/* To let go of a lock needs nothing that could be missing. */
static bool is_lock(int command, const void *argument)
{
    const struct flock *lock = argument;
    return (command == F_SETLK || command == F_SETLKW) && lock->l_type != F_UNLCK;
}

#define FCNTL(name)                                                                                \
    EXPORT int name(int fd, int command, ...)                                                      \
    {                                                                                              \
        REAL(name);                                                                                \
        va_list args;                                                                              \
        va_start(args, command);                                                                   \
        void *argument = va_arg(args, void *);                                                     \
        va_end(args);                                                                              \
        return is_lock(command, argument) && fd_fails(DISK_ON_LOCK, fd)                            \
                   ? -1                                                                            \
                   : real(fd, command, argument);                                                  \
    }

FCNTL(fcntl)
FCNTL(fcntl64)

EXPORT int flock(int fd, int operation)
{
    REAL(flock);
    return operation != LOCK_UN && fd_fails(DISK_ON_LOCK, fd) ? -1 : real(fd, operation);
}

/* ---- Looking and reading ------------------------------------------------------------------ */

#define LOOK_AT_PATH(name, type)                                                                   \
    EXPORT int name(const char *path, type *out)                                                   \
    {                                                                                              \
        REAL(name);                                                                                \
        return path_fails(DISK_ON_LOOK, path) ? -1 : real(path, out);                              \
    }
#define LOOK_AT_FD(name, type)                                                                     \
    EXPORT int name(int fd, type *out)                                                             \
    {                                                                                              \
        REAL(name);                                                                                \
        return fd_fails(DISK_ON_LOOK, fd) ? -1 : real(fd, out);                                    \
    }

LOOK_AT_PATH(stat, struct stat)
LOOK_AT_PATH(stat64, struct stat64)
LOOK_AT_PATH(lstat, struct stat)
LOOK_AT_PATH(lstat64, struct stat64)
LOOK_AT_FD(fstat, struct stat)
LOOK_AT_FD(fstat64, struct stat64)

/* What programs built with an older C library call for fstat. */
int __fxstat(int version, int fd, struct stat *out);
EXPORT int __fxstat(int version, int fd, struct stat *out)
{
    REAL(__fxstat);
    return fd_fails(DISK_ON_LOOK, fd) ? -1 : real(version, fd, out);
}

/* A disk that refused for want of room has none. */
EXPORT int statvfs(const char *path, struct statvfs *out)
{
    REAL(statvfs);
    int rc = real(path, out);
    if (rc == 0 && disk_inside(path) && disk_error() == ENOSPC)
        out->f_bavail = 0;
    return rc;
}

EXPORT int access(const char *path, int mode)
{
    REAL(access);
    return path_fails(DISK_ON_LOOK, path) ? -1 : real(path, mode);
}

EXPORT ssize_t read(int fd, void *out, size_t len)
{
    REAL(read);
    return fd_fails(DISK_ON_READ, fd) ? -1 : real(fd, out, len);
}

EXPORT ssize_t pread(int fd, void *out, size_t len, off_t at)
{
    REAL(pread);
    return fd_fails(DISK_ON_READ, fd) ? -1 : real(fd, out, len, at);
}

EXPORT ssize_t pread64(int fd, void *out, size_t len, off64_t at)
{
    REAL(pread64);
    return fd_fails(DISK_ON_READ, fd) ? -1 : real(fd, out, len, at);
}

/* ---- Writing ------------------------------------------------------------------------------ */

/* Whether the write must fail before it does anything. *len: how much of it may be done. */
static bool write_fails(int fd, size_t *len)
{
    bool cut_short = false;
    bool fails = disk_known(fd) && disk_fails(DISK_ON_WRITE, &cut_short);
    if (cut_short && *len > 1)
        *len /= 2;
    return fails;
}

/* Notes what a write did. One that must be on the disk when it returns fails as a sync does: the
 * bytes are there for all to read, and may never reach the disk. */
static ssize_t written(int fd, const void *bytes, ssize_t did, uint64_t at)
{
    const disk_opened *file = disk_known(fd);
    bool synced = !(file && file->durable && did > 0 && disk_fails(DISK_ON_SYNC, NULL));
    int error = errno;
    disk_note_write(fd, bytes, did, at, synced);
    errno = error;
    return synced ? did : -1;
}

static uint64_t place(int fd)
{
    return disk_known(fd) ? (uint64_t)lseek64(fd, 0, SEEK_CUR) : 0;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    REAL(write);
    uint64_t at = place(fd);
    return write_fails(fd, &len) ? -1 : written(fd, bytes, real(fd, bytes, len), at);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    REAL(pwrite);
    return write_fails(fd, &len) ? -1 : written(fd, bytes, real(fd, bytes, len, at), (uint64_t)at);
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    REAL(pwrite64);
    return write_fails(fd, &len) ? -1 : written(fd, bytes, real(fd, bytes, len, at), (uint64_t)at);
}

/* Of a vector cut short the first part is written. */
static int parts_done(int n, size_t len)
{
    return len > 1 ? n : 1;
}

static ssize_t vector_written(int fd, const struct iovec *parts, int n, ssize_t did, uint64_t at)
{
    disk_note_vector(fd, parts, n, did, at);
    return did;
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev);
    uint64_t at = place(fd);
    size_t len = 2;
    if (write_fails(fd, &len))
        return -1;
    n = parts_done(n, len);
    return vector_written(fd, parts, n, real(fd, parts, n), at);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    REAL(pwritev);
    size_t len = 2;
    if (write_fails(fd, &len))
        return -1;
    n = parts_done(n, len);
    return vector_written(fd, parts, n, real(fd, parts, n, at), (uint64_t)at);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t at)
{
    REAL(pwritev64);
    size_t len = 2;
    if (write_fails(fd, &len))
        return -1;
    n = parts_done(n, len);
    return vector_written(fd, parts, n, real(fd, parts, n, at), (uint64_t)at);
}

static int cut(int fd, int rc, uint64_t size)
{
    if (rc == 0)
        disk_note_cut(fd, size);
    return rc;
}

EXPORT int ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    return fd_fails(DISK_ON_CUT, fd) ? -1 : cut(fd, real(fd, size), (uint64_t)size);
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    REAL(ftruncate64);
    return fd_fails(DISK_ON_CUT, fd) ? -1 : cut(fd, real(fd, size), (uint64_t)size);
}

/* Only locks get room in advance, so that no log needs to know. */
static int room_fails(int fd)
{
    const disk_opened *file = disk_known(fd);
    if (file && file->file != DISK_UNNOTED)
        disk_give_up("a file is given room in advance, which no log shows");
    return fd_fails(DISK_ON_ROOM, fd) ? errno : 0;
}

EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
    REAL(posix_fallocate);
    int error = room_fails(fd);
    return error != 0 ? error : real(fd, at, len);
}

EXPORT int posix_fallocate64(int fd, off64_t at, off64_t len)
{
    REAL(posix_fallocate64);
    int error = room_fails(fd);
    return error != 0 ? error : real(fd, at, len);
}

/* ---- Syncing ------------------------------------------------------------------------------ */

static int sync_watched(int fd, int (*real)(int))
{
    const disk_opened *file = disk_known(fd);
    bool is_folder = file && file->file == DISK_THE_FOLDER;
    if (fd_fails(is_folder ? DISK_ON_SYNC_FOLDER : DISK_ON_SYNC, fd)) {
        int error = errno;
        disk_note_sync(fd, false);
        errno = error;
        return -1;
    }
    int rc = skip_syncs ? 0 : real(fd);
    if (rc == 0)
        disk_note_sync(fd, true);
    return rc;
}

EXPORT int fsync(int fd)
{
    REAL(fsync);
    return sync_watched(fd, real);
}

EXPORT int fdatasync(int fd)
{
    REAL(fdatasync);
    return sync_watched(fd, real);
}

/* ---- Names -------------------------------------------------------------------------------- */

EXPORT int unlink(const char *path)
{
    REAL(unlink);
    const char *name = disk_inside(path);
    if (name && disk_fails(DISK_ON_UNLINK, NULL))
        return -1;
    int rc = real(path);
    if (rc == 0 && name)
        disk_note_unlink(name);
    return rc;
}

EXPORT int rename(const char *from, const char *to)
{
    REAL(rename);
    const char *old_name = disk_inside(from), *name = disk_inside(to);
    if (name && disk_fails(DISK_ON_RENAME, NULL))
        return -1;
    int rc = real(from, to);
    if (rc == 0 && name && old_name)
        disk_note_rename(old_name, name);
    return rc;
}
