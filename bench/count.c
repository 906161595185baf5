/*
 * Preloaded (LD_PRELOAD) into a job that is counted: every byte handed to the system to be written
 * to a file, every call that waits for the disk, and the heap. SQLite's -shm and LMDB's lock file
 * are shared memory, never written nor synced by a call, and not counted.
 */
#include "config.h"

#include "bench/count.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* glibc's own, under the names that a program may still call when it replaces the usual ones. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

/* Jobs have one thread. */
static bench_counts counts;

EXPORT bench_counts *bench_counts_now(void);
bench_counts *bench_counts_now(void)
{
    return &counts;
}

/* ---- Heap --------------------------------------------------------------------------------- */

static void *count(void *block)
{
    if (!block)
        return NULL;
    counts.live += malloc_usable_size(block);
    if (counts.live > counts.peak)
        counts.peak = counts.live;
    return block;
}

EXPORT void *malloc(size_t size)
{
    return count(__libc_malloc(size));
}

EXPORT void *calloc(size_t n, size_t size)
{
    return count(__libc_calloc(n, size));
}

EXPORT void *realloc(void *block, size_t size)
{
    size_t before = block ? malloc_usable_size(block) : 0;
    void *after = __libc_realloc(block, size);
    if (after || size == 0)
        counts.live -= before;
    return count(after);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return count(__libc_memalign(alignment, size));
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    void *got = memalign(alignment, size);
    if (!got)
        return ENOMEM;
    *block = got;
    return 0;
}

EXPORT void free(void *block)
{
    if (block)
        counts.live -= malloc_usable_size(block);
    __libc_free(block);
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
