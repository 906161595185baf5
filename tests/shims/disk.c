/* The calls of the C library that change files, each noted if it concerns the folder recorded. */
#undef _FILE_OFFSET_BITS /* both widths of every call are defined here */

#include "tests/shims/disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT     __attribute__((visibility("default")))
#define FD_MOST    1024
#define NONE       (-1)
#define THE_FOLDER (-2)

typedef struct opened {
    bool known;
    bool durable;
    int file; /* or THE_FOLDER */
} opened;

static disk_log *log_now;
static char folder_now[256];
static opened fds[FD_MOST];
static int file_of[DISK_NAMES]; /* by name; NONE: there is none */
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

/* ---- The log ------------------------------------------------------------------------------ */

static _Noreturn void give_up(const char *what)
{
    (void)fprintf(stderr, "disk: %s\n", what);
    _Exit(99); /* no signal, which could be taken for one that the store met */
}

static disk_op *note(disk_kind kind, int file)
{
    if (log_now->n == log_now->room) {
        log_now->room = log_now->room ? 2 * log_now->room : 1024;
        log_now->ops = realloc(log_now->ops, log_now->room * sizeof *log_now->ops);
        if (!log_now->ops)
            give_up("no memory");
    }
    disk_op *op = &log_now->ops[log_now->n++];
    *op = (disk_op){.kind = kind, .file = file};
    return op;
}

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name), tail = strlen(end);
    return len >= tail && strcmp(name + len - tail, end) == 0;
}

/* The last part of a path in the folder that is recorded, or NULL. */
static const char *inside(const char *path)
{
    size_t len = strlen(folder_now);
    if (!log_now || strncmp(path, folder_now, len) != 0 || path[len] != '/')
        return NULL;
    return ends_in(path, "-lock") || ends_in(path, "-shm") ? NULL : path + len + 1;
}

static int name_id(const char *name)
{
    for (int i = 0; i < log_now->names; i++)
        if (strcmp(log_now->name[i], name) == 0)
            return i;
    if (log_now->names == DISK_NAMES || strlen(name) >= DISK_NAME_SIZE)
        give_up("too many names, or one too long");
    (void)snprintf(log_now->name[log_now->names], DISK_NAME_SIZE, "%s", name);
    file_of[log_now->names] = NONE;
    return log_now->names++;
}

static opened *known(int fd)
{
    return log_now && fd >= 0 && fd < FD_MOST && fds[fd].known ? &fds[fd] : NULL;
}

void disk_record(disk_log *log, const char *folder)
{
    memset(log, 0, sizeof *log);
    memset(fds, 0, sizeof fds);
    (void)snprintf(folder_now, sizeof folder_now, "%s", folder);
    log_now = log;
}

void disk_stop(void)
{
    log_now = NULL;
}

void disk_log_free(disk_log *log)
{
    for (size_t i = 0; i < log->n; i++)
        free(log->ops[i].bytes);
    free(log->ops);
    memset(log, 0, sizeof *log);
}

void disk_skip_syncs(bool skip)
{
    skip_syncs = skip;
}

/* ---- Opening and closing ------------------------------------------------------------------ */

static void note_open(int fd, const char *path, int flags)
{
    const char *name = inside(path);
    if (fd >= FD_MOST)
        give_up("too many open files");
    fds[fd] = (opened){.known = false};
    if (log_now && strcmp(path, folder_now) == 0)
        fds[fd] = (opened){.known = true, .file = THE_FOLDER};
    if (!name)
        return;
    int id = name_id(name);
    if (file_of[id] == NONE) {
        file_of[id] = log_now->files++;
        note(DISK_CREATE, file_of[id])->name = id;
    } else if (flags & O_TRUNC) {
        note(DISK_CUT, file_of[id]);
    }
    fds[fd] = (opened){.known = true, .file = file_of[id], .durable = (flags & O_DSYNC) != 0};
}

typedef int (*open_call)(const char *, int, ...);

static int open_noted(open_call real, const char *path, int flags, mode_t mode)
{
    int fd = real(path, flags, mode);
    if (fd >= 0 && log_now)
        note_open(fd, path, flags);
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
    return open_noted(real, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    REAL(open64);
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_noted(real, path, flags, mode);
}

EXPORT int close(int fd)
{
    REAL(close);
    opened *file = known(fd);
    if (file)
        file->known = false;
    return real(fd);
}

static void refuse_map(int protection, int flags, int fd)
{
    if ((protection & PROT_WRITE) && (flags & MAP_TYPE) == MAP_SHARED && known(fd))
        give_up("a file is written through a map, which no log can show");
}

EXPORT void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap);
    refuse_map(protection, flags, fd);
    return real(at, len, protection, flags, fd, offset);
}

EXPORT void *mmap64(void *at, size_t len, int protection, int flags, int fd, off64_t offset)
{
    REAL(mmap64);
    refuse_map(protection, flags, fd);
    return real(at, len, protection, flags, fd, offset);
}

/* ---- Writing ------------------------------------------------------------------------------ */

static void note_write(int fd, const void *bytes, ssize_t len, uint64_t at)
{
    const opened *file = known(fd);
    if (!file || len <= 0)
        return;
    disk_op *op = note(DISK_WRITE, file->file);
    op->durable = file->durable;
    op->at = at;
    op->len = (size_t)len;
    op->bytes = malloc((size_t)len);
    if (!op->bytes)
        give_up("no memory");
    memcpy(op->bytes, bytes, (size_t)len);
}

static void note_vector(int fd, const struct iovec *parts, int n, ssize_t len, uint64_t at)
{
    for (int i = 0; i < n && len > 0; i++) {
        ssize_t part = (ssize_t)parts[i].iov_len < len ? (ssize_t)parts[i].iov_len : len;
        note_write(fd, parts[i].iov_base, part, at);
        at += (uint64_t)part;
        len -= part;
    }
}

static uint64_t place(int fd)
{
    return known(fd) ? (uint64_t)lseek64(fd, 0, SEEK_CUR) : 0;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    REAL(write);
    uint64_t at = place(fd);
    ssize_t did = real(fd, bytes, len);
    note_write(fd, bytes, did, at);
    return did;
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev);
    uint64_t at = place(fd);
    ssize_t did = real(fd, parts, n);
    note_vector(fd, parts, n, did, at);
    return did;
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    REAL(pwrite);
    ssize_t did = real(fd, bytes, len, at);
    note_write(fd, bytes, did, (uint64_t)at);
    return did;
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    REAL(pwrite64);
    ssize_t did = real(fd, bytes, len, at);
    note_write(fd, bytes, did, (uint64_t)at);
    return did;
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    REAL(pwritev);
    ssize_t did = real(fd, parts, n, at);
    note_vector(fd, parts, n, did, (uint64_t)at);
    return did;
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t at)
{
    REAL(pwritev64);
    ssize_t did = real(fd, parts, n, at);
    note_vector(fd, parts, n, did, (uint64_t)at);
    return did;
}

static int cut_noted(int fd, int rc, uint64_t size)
{
    const opened *file = known(fd);
    if (file && rc == 0)
        note(DISK_CUT, file->file)->at = size;
    return rc;
}

EXPORT int ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    return cut_noted(fd, real(fd, size), (uint64_t)size);
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    REAL(ftruncate64);
    return cut_noted(fd, real(fd, size), (uint64_t)size);
}

/* ---- Syncing ------------------------------------------------------------------------------ */

static int sync_noted(int fd, int (*real)(int))
{
    const opened *file = known(fd);
    int rc = skip_syncs ? 0 : real(fd);
    if (file && rc == 0)
        note(file->file == THE_FOLDER ? DISK_SYNC_FOLDER : DISK_SYNC, file->file);
    return rc;
}

EXPORT int fsync(int fd)
{
    REAL(fsync);
    return sync_noted(fd, real);
}

EXPORT int fdatasync(int fd)
{
    REAL(fdatasync);
    return sync_noted(fd, real);
}

/* ---- Names -------------------------------------------------------------------------------- */

EXPORT int unlink(const char *path)
{
    REAL(unlink);
    const char *name = inside(path);
    int rc = real(path);
    if (rc == 0 && name) {
        int id = name_id(name);
        note(DISK_UNLINK, file_of[id])->name = id;
        file_of[id] = NONE;
    }
    return rc;
}

EXPORT int rename(const char *from, const char *to)
{
    REAL(rename);
    const char *old_name = inside(from), *name = inside(to);
    int rc = real(from, to);
    if (rc == 0 && name && old_name) {
        int old_id = name_id(old_name), id = name_id(name);
        disk_op *op = note(DISK_RENAME, file_of[old_id]);
        op->old_name = old_id;
        op->name = id;
        file_of[id] = file_of[old_id];
        file_of[old_id] = NONE;
    }
    return rc;
}
