/* The physical limit: the bytes alone, appended to a file, one fdatasync a commit. */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "bench/bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 65536u

typedef struct raw {
    int fd;
    size_t len;
    uint8_t bytes[PIECE];
} raw;

static void *raw_open(const char *path)
{
    raw *r = malloc(sizeof *r);
    if (!r)
        fail("no memory");
    r->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
    if (r->fd < 0)
        fail("%s cannot be opened", path);
    r->len = 0;
    return r;
}

static void raw_close(void *handle)
{
    raw *r = handle;
    close(r->fd);
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

static void raw_append(void *handle, const sector *coins, uint32_t target)
{
    raw *r = handle;
    (void)target;
    for (uint32_t i = 0; i < coins->n; i++) {
        const anonset_coin *coin = &coins->coins[i];
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
