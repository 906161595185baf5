/*
 * Preloaded (LD_PRELOAD) into a job that is counted: every byte handed to the system to be written
 * to a file, every call that waits for the disk, and the heap. SQLite's -shm and LMDB's lock file
 * are shared memory, never written nor synced by a call, and not counted.
 */
#include "config.h"

#include "bench/count.h"
#include "tests/shims/malloc.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Jobs have one thread. */
static bench_counts counts;

EXPORT bench_counts *bench_counts_now(void);
bench_counts *bench_counts_now(void)
{
    return &counts;
}

/* ---- Heap --------------------------------------------------------------------------------- */

bool malloc_may(size_t size)
{
    (void)size;
    return true;
}

void malloc_came(void *block)
{
    counts.live += malloc_usable_size(block);
    if (counts.live > counts.peak)
        counts.peak = counts.live;
}

void malloc_goes(void *block)
{
    counts.live -= malloc_usable_size(block);
}

/* ---- Files -------------------------------------------------------------------------------- */

static ssize_t wrote(int fd, long got)
{
    int saved = errno;
    int flags = fcntl(fd, F_GETFL);
    if (got > 0)
        counts.written += (uint64_t)got;
    if (flags != -1 && (flags & O_DSYNC) != 0)
        counts.waits++;
    errno = saved;
    return got;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    return wrote(fd, syscall(SYS_write, fd, bytes, len));
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return wrote(fd, syscall(SYS_pwrite64, fd, bytes, len, at));
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    return wrote(fd, syscall(SYS_pwrite64, fd, bytes, len, at));
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
    return wrote(fd, syscall(SYS_writev, fd, parts, n));
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    return wrote(fd, syscall(SYS_pwritev, fd, parts, n, at, 0));
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t at)
{
    return wrote(fd, syscall(SYS_pwritev, fd, parts, n, at, 0));
}

EXPORT int fsync(int fd)
{
    counts.syncs++;
    return (int)syscall(SYS_fsync, fd);
}

EXPORT int fdatasync(int fd)
{
    counts.syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}
