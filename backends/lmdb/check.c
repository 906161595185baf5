/* The meta pages, read without LMDB. */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/file.h"
#include "core/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The head of a meta page as LMDB 0.9 lays it out on every machine: its own structures, written as
 * they lie in memory. Source: mdb.c, MDB_page, MDB_db and MDB_meta. */
typedef struct meta_table {
    uint32_t pad; /* of the first table: the page size */
    uint16_t flags;
    uint16_t depth;
    size_t pages[3];
    size_t entries;
    size_t root;
} meta_table;

typedef struct meta_page {
    size_t number;
    uint16_t pad;
    uint16_t flags;
    uint16_t bounds[2];
    uint32_t magic;
    uint32_t version;
    void *address;
    size_t map;
    meta_table tables[2];
    size_t last_page;
    size_t txn;
} meta_page;

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
    memcpy(&here, bytes + offsetof(meta_page, magic), sizeof here);
    memcpy(&there, bytes + OTHER_WORD_AT, sizeof there);
    return here == 0xDEC0EFBEu || there == 0xDEC0EFBEu || there == META_MAGIC;
}

static ssize_t read_at(int fd, void *out, size_t len, off_t at)
{
    ssize_t got;
    do
        got = pread(fd, out, len, at);
    while (got < 0 && errno == EINTR);
    return got;
}

static bool is_meta(const meta_page *meta)
{
    uint32_t page = meta->tables[0].pad;
    return (meta->flags & META_FLAG) != 0 && meta->magic == META_MAGIC &&
           meta->version == META_VERSION && page >= PAGE_LEAST && page <= PAGE_MOST &&
           (page & (page - 1)) == 0;
}

static anonset_code check_first(meta_page *meta, int fd, const char *path, anonset_detail *detail)
{
    memset(meta, 0, sizeof *meta);
    ssize_t got = read_at(fd, meta, sizeof *meta, 0);
    if (got < 0)
        return as_lmdb_fail(detail, errno, "read", path);
    if (got > 0 && is_other_machines((const uint8_t *)meta))
        return as_fail(detail, ANONSET_FOREIGN, 0,
                       "%s: made by LMDB on a machine with another word size or byte order: "
                       "convert or sync anew",
                       path);
    if ((size_t)got >= offsetof(meta_page, address) && meta->magic == META_MAGIC &&
        meta->version != META_VERSION)
        return as_fail(detail, ANONSET_FOREIGN, 0, "%s: made by another version of LMDB", path);
    if ((size_t)got < sizeof *meta && meta->magic == META_MAGIC)
        return as_fail(detail, ANONSET_CORRUPT, 0, "%s: the file was cut off", path);
    if (!is_meta(meta))
        return as_fail(detail, ANONSET_FOREIGN, 0, "%s: not an LMDB file; it was not touched",
                       path);
    return ANONSET_OK;
}

static anonset_code check_pages(int fd, const char *path, anonset_detail *detail)
{
    meta_page first, second;
    anonset_code code = check_first(&first, fd, path, detail);
    if (code != ANONSET_OK)
        return code;
    size_t page = first.tables[0].pad;
    ssize_t got = read_at(fd, &second, sizeof second, (off_t)page);
    if (got < 0)
        return as_lmdb_fail(detail, errno, "read", path);
    if ((size_t)got < sizeof second || !is_meta(&second))
        return as_fail(detail, ANONSET_CORRUPT, 0, "%s: a meta page is damaged or cut off", path);
    /* After the pages: a writer makes the file longer before it says so. */
    struct stat now;
    if (fstat(fd, &now) != 0)
        return as_lmdb_fail(detail, errno, "read", path);
    size_t last = first.last_page > second.last_page ? first.last_page : second.last_page;
    if ((uint64_t)now.st_size / page <= last)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "%s: the file was cut off: %llu bytes, but %llu pages of %zu are counted; "
                       "delete it and sync again",
                       path, (unsigned long long)now.st_size, (unsigned long long)last + 1, page);
    return ANONSET_OK;
}

anonset_code as_file_check(const char *path, anonset_detail *detail)
{
    struct stat found;
    if (stat(path, &found) != 0)
        return as_lmdb_fail(detail, errno, "open", path);
    if (!S_ISREG(found.st_mode))
        return as_fail(detail, ANONSET_FOREIGN, 0, "%s: not a plain file", path);
    if (found.st_size == 0)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "%s: the file is empty", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return as_lmdb_fail(detail, errno, "open", path);
    anonset_code code = check_pages(fd, path, detail);
    close(fd);
    return code;
}
