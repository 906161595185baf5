/* The meta pages, read without LMDB. */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/file.h"
#include "backends/lmdb/meta.h"
#include "core/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAIR_TRIES   16
#define META_FLAG    0x08u
#define META_MAGIC   0xBEEFC0DEu
#define META_VERSION 1u
#define PAGE_LEAST   512u
#define PAGE_MOST    65536u
#define OTHER_WORD_AT                                                                              \
    (sizeof(size_t) == 8 ? 12u : 16u) /* the magic's place with the other word                     \
                                       */

static bool is_other_machines(const uint8_t *bytes)
{
    uint32_t here, there;
    memcpy(&here, bytes + offsetof(as_meta_page, magic), sizeof here);
    memcpy(&there, bytes + OTHER_WORD_AT, sizeof there);
    return here == 0xDEC0EFBEu || there == 0xDEC0EFBEu || there == META_MAGIC;
}

ssize_t as_meta_read(int fd, void *out, size_t len, off_t at)
{
    size_t done = 0;
    ssize_t got = 1;
    while (done < len && got != 0) {
        got = pread(fd, (uint8_t *)out + done, len - done, at + (off_t)done);
        if (got < 0 && errno != EINTR)
            return -1;
        done += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)done;
}

bool as_meta_is_one(const as_meta_page *meta)
{
    uint32_t page = meta->tables[0].pad;
    return (meta->flags & META_FLAG) != 0 && meta->magic == META_MAGIC &&
           meta->version == META_VERSION && page >= PAGE_LEAST && page <= PAGE_MOST &&
           (page & (page - 1)) == 0;
}

static anonset_code check_first(as_meta_page *meta, int fd, const char *path,
                                anonset_detail *detail)
{
    memset(meta, 0, sizeof *meta);
    ssize_t got = as_meta_read(fd, meta, sizeof *meta, 0);
    if (got < 0)
        return as_lmdb_fail(detail, errno, "read", path);
    if (is_other_machines((const uint8_t *)meta))
        return as_fail(detail, ANONSET_FOREIGN, 0,
                       "%s: made by LMDB on a machine with another word size or byte order: "
                       "convert or sync anew",
                       path);
    if ((size_t)got >= offsetof(as_meta_page, address) && meta->magic == META_MAGIC &&
        meta->version != META_VERSION)
        return as_fail(detail, ANONSET_FOREIGN, 0, "%s: made by another version of LMDB", path);
    if ((size_t)got < sizeof *meta && meta->magic == META_MAGIC)
        return as_fail(detail, ANONSET_CORRUPT, 0, "%s: the file was cut off", path);
    if (!as_meta_is_one(meta))
        return as_fail(detail, ANONSET_FOREIGN, 0,
                       "%s: not an LMDB file; it was not touched: choose another path", path);
    return ANONSET_OK;
}

/* Transactions write one and the other in turn: what is not of two that follow each other, each in
 * its place, has rotted. */
static bool are_a_pair(const as_meta_page *first, const as_meta_page *second)
{
    size_t low = first->txn < second->txn ? first->txn : second->txn;
    size_t high = first->txn < second->txn ? second->txn : first->txn;
    if (first->tables[0].pad != second->tables[0].pad || high - low > 1)
        return false;
    return high == 0 || (first->txn % 2 == 0 && second->txn % 2 == 1);
}

/* Commits may come between the two reads. Two that stay as they were have been so together. */
static anonset_code read_pair(as_meta_page *first, as_meta_page *second, int fd, const char *path,
                              anonset_detail *detail)
{
    size_t before[2] = {SIZE_MAX, SIZE_MAX};
    for (int i = 0; i < PAIR_TRIES; i++) {
        anonset_code code = check_first(first, fd, path, detail);
        if (code != ANONSET_OK)
            return code;
        memset(second, 0, sizeof *second);
        ssize_t got = as_meta_read(fd, second, sizeof *second, (off_t)first->tables[0].pad);
        if (got < 0)
            return as_lmdb_fail(detail, errno, "read", path);
        if ((size_t)got == sizeof *second && as_meta_is_one(second) && are_a_pair(first, second))
            return ANONSET_OK;
        if (first->txn == before[0] && second->txn == before[1])
            return as_fail(detail, ANONSET_CORRUPT, 0, "%s: a meta page is damaged or cut off",
                           path);
        before[0] = first->txn;
        before[1] = second->txn;
    }
    return as_lmdb_too_fast(detail, path);
}

static anonset_code check_pages(int fd, const char *path, anonset_detail *detail)
{
    as_meta_page first, second;
    anonset_code code = read_pair(&first, &second, fd, path, detail);
    if (code != ANONSET_OK)
        return code;
    /* After the pages: a writer makes the file longer before it says so. */
    struct stat now;
    if (fstat(fd, &now) != 0)
        return as_lmdb_fail(detail, errno, "read", path);
    size_t page = first.tables[0].pad;
    size_t last = first.last_page > second.last_page ? first.last_page : second.last_page;
    if ((uint64_t)now.st_size / page <= last)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "%s: the file was cut off: %llu bytes, but %llu pages of %zu are counted; "
                       "repair the store, then sync again",
                       path, (unsigned long long)now.st_size, (unsigned long long)last + 1, page);
    return ANONSET_OK;
}

anonset_code as_file_check(const char *path, anonset_detail *detail)
{
    struct stat found;
    if (stat(path, &found) != 0)
        return as_lmdb_fail(detail, errno, "open", path);
    if (!S_ISREG(found.st_mode))
        return as_fail(detail, ANONSET_FOREIGN, 0,
                       "%s is a folder, a device or the like: choose another path", path);
    if (found.st_size == 0)
        return as_fail(detail, ANONSET_NOT_FOUND, 0,
                       "%s: the file is empty: check the path, or open it to make a store", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return as_lmdb_fail(detail, errno, "open", path);
    anonset_code code = check_pages(fd, path, detail);
    close(fd);
    return code;
}
