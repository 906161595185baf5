/*
 * The physical limit: the bytes alone, appended to a file, one fdatasync a commit. And what no
 * store that keeps a log digest and tags can be faster than: the same, with these made of each
 * coin.
 */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "bench/bench.h"
#include "core/digest.h"
#include "core/tag.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 65536u

typedef struct raw {
    int fd;
    as_digest *digest; /* NULL: the bytes alone */
    as_tagger tagger;
    uint32_t tags; /* their sum: what nobody asks for would not be made */
    uint8_t last[ANONSET_HASH_BYTES];
    size_t len;
    uint8_t bytes[PIECE];
} raw;

static void *raw_open(const char *path)
{
    raw *r = calloc(1, sizeof *r);
    if (!r)
        fail("no memory");
    r->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
    if (r->fd < 0)
        fail("%s cannot be opened", path);
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

static void flush(raw *r)
{
    if (write(r->fd, r->bytes, r->len) != (ssize_t)r->len)
        fail("a write failed");
    r->len = 0;
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
    if (fdatasync(r->fd) != 0)
        fail("a sync failed");
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
