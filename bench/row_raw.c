/*
 * The physical limit: the bytes alone, appended to a file, one fdatasync a commit. And what no
 * store that keeps a log digest and tags can be faster than: the same, with these made of each
 * coin; and where all goes through a log first, as with SQLite, with that as well.
 */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "bench/bench.h"
#include "core/digest.h"
#include "core/tag.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE    65536u
#define LOG_MOST (6u << 20) /* as backends/sqlite/store.c */

typedef struct raw {
    int fd;   /* of what is appended to */
    int file; /* -1, or that is a log, and copied into this */
    off_t at; /* the end of the first */
    off_t copied;
    char log[512];
    as_digest *digest; /* NULL: the bytes alone */
    as_tagger tagger;
    uint32_t tags; /* their sum: what nobody asks for would not be made */
    uint8_t last[ANONSET_HASH_BYTES];
    size_t len;
    uint8_t bytes[PIECE];
} raw;

static int must_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fail("%s cannot be opened", path);
    return fd;
}

static void *raw_open(const char *path)
{
    raw *r = calloc(1, sizeof *r);
    if (!r)
        fail("no memory");
    r->fd = must_open(path);
    r->file = -1;
    return r;
}

static void *checked_open(const char *path)
{
    static const uint8_t salt[ANONSET_SALT_BYTES];
    raw *r = raw_open(path);
    if (as_digest_new(&r->digest, NULL) != ANONSET_OK)
        fail("no digest");
    as_tagger_init(&r->tagger, salt);
    return r;
}

static void *logged_open(const char *path)
{
    raw *r = checked_open(path);
    (void)snprintf(r->log, sizeof r->log, "%s-log", path);
    r->file = r->fd;
    r->fd = must_open(r->log);
    return r;
}

static void raw_close(void *handle)
{
    raw *r = handle;
    close(r->fd);
    as_digest_free(r->digest);
    free(r);
}

static void raw_create(const char *path)
{
    raw_close(raw_open(path));
}

static void must_write(int fd, const uint8_t *bytes, size_t len, off_t at)
{
    if (pwrite(fd, bytes, len, at) != (ssize_t)len)
        fail("a write failed");
}

static void must_sync(int fd)
{
    if (fdatasync(fd) != 0)
        fail("a sync failed");
}

static void flush(raw *r)
{
    must_write(r->fd, r->bytes, r->len, r->at);
    r->at += (off_t)r->len;
    r->len = 0;
}

static void copy_log(raw *r)
{
    for (off_t from = 0; from < r->at;) {
        size_t len = r->at - from < PIECE ? (size_t)(r->at - from) : PIECE;
        if (pread(r->fd, r->bytes, len, from) != (ssize_t)len)
            fail("a read failed");
        must_write(r->file, r->bytes, len, r->copied);
        r->copied += (off_t)len;
        from += (off_t)len;
    }
    must_sync(r->file);
    r->at = 0;
}

static void logged_close(void *handle)
{
    raw *r = handle;
    copy_log(r);
    close(r->file);
    (void)unlink(r->log);
    raw_close(r);
}

static void check(raw *r, const anonset_coin *coin)
{
    if (as_digest_coin(r->digest, r->last, r->last, coin) != ANONSET_OK)
        fail("the crypto library failed");
    r->tags += as_tag(&r->tagger, coin);
}

static void raw_append(void *handle, const sector *coins, uint32_t target)
{
    raw *r = handle;
    (void)target;
    for (uint32_t i = 0; i < coins->n; i++) {
        const anonset_coin *coin = &coins->coins[i];
        if (r->digest)
            check(r, coin);
        if (r->len + coin->serialized_len > sizeof r->bytes)
            flush(r);
        memcpy(r->bytes + r->len, coin->serialized, coin->serialized_len);
        r->len += coin->serialized_len;
    }
    flush(r);
    must_sync(r->fd);
}

/* Before a log is written anew, its head must be on the disk: else the old one would be taken up.
 */
static void logged_append(void *handle, const sector *coins, uint32_t target)
{
    static const uint8_t head[32];
    raw *r = handle;
    if (r->at >= (off_t)LOG_MOST)
        copy_log(r);
    if (r->at == 0) {
        must_write(r->fd, head, sizeof head, 0);
        must_sync(r->fd);
        r->at = (off_t)sizeof head;
    }
    raw_append(r, coins, target);
}

const row row_raw = {
    .name = "raw",
    .title = "raw append + fdatasync",
    .create = raw_create,
    .open = raw_open,
    .append = raw_append,
    .close = raw_close,
};

const row row_checked = {
    .name = "checked",
    .title = "  with digest and tags",
    .create = raw_create,
    .open = checked_open,
    .append = raw_append,
    .close = raw_close,
};

const row row_logged = {
    .name = "logged",
    .title = "  and through a log",
    .create = raw_create,
    .open = logged_open,
    .append = logged_append,
    .close = logged_close,
};
