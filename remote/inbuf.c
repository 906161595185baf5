#include "remote/inbuf.h"

#include <stdlib.h>
#include <string.h>

/* Sizes go up in quarters of a power of two, and a little more: electrumx pads answers to a power
 * of two, and the first bytes of the next one may follow at once. */
#define FIRST 16384u
#define SLACK 4096u

void as_inbuf_free(as_inbuf *in)
{
    free(in->bytes);
    *in = (as_inbuf){0};
}

static anonset_code resize(as_inbuf *in, size_t cap)
{
    char *bytes = realloc(in->bytes, cap);
    if (!bytes)
        return ANONSET_NO_MEMORY;
    in->bytes = bytes;
    in->cap = cap;
    return ANONSET_OK;
}

static anonset_code grow(as_inbuf *in)
{
    size_t power = FIRST;
    while (2 * power + SLACK <= in->len)
        power *= 2;
    size_t cap = power + SLACK;
    while (cap <= in->len)
        cap += power / 4;
    return resize(in, cap);
}

anonset_code as_inbuf_room(as_inbuf *in, char **room, size_t *len, size_t ceiling)
{
    size_t held = in->len - in->taken;
    if (held >= ceiling)
        return ANONSET_BAD_ANSWER;
    if (in->len == in->cap) {
        anonset_code code = grow(in);
        if (code != ANONSET_OK)
            return code;
    }
    *room = in->bytes + in->len;
    *len = in->cap - in->len < ceiling - held ? in->cap - in->len : ceiling - held;
    return ANONSET_OK;
}

void as_inbuf_added(as_inbuf *in, size_t n)
{
    in->len += n;
}

anonset_code as_inbuf_append(as_inbuf *in, const char *bytes, size_t n, size_t ceiling)
{
    while (n > 0) {
        char *room;
        size_t len;
        anonset_code code = as_inbuf_room(in, &room, &len, ceiling);
        if (code != ANONSET_OK)
            return code;
        if (len > n)
            len = n;
        memcpy(room, bytes, len);
        as_inbuf_added(in, len);
        bytes += len;
        n -= len;
    }
    return ANONSET_OK;
}

bool as_inbuf_take_line(as_inbuf *in, char **line, size_t *len)
{
    if (in->scanned == in->len)
        return false;
    char *end = memchr(in->bytes + in->scanned, '\n', in->len - in->scanned);
    if (!end) {
        in->scanned = in->len;
        return false;
    }
    *end = '\0';
    *line = in->bytes;
    *len = (size_t)(end - in->bytes);
    in->taken = *len + 1;
    in->scanned = in->taken;
    return true;
}

/* One large answer must not hold its memory through thousands of small ones, and a row of equal
 * ones must not give it back each time. */
static void shrink(as_inbuf *in, size_t used)
{
    if (in->cap <= FIRST + SLACK || used >= in->cap / 4 || in->len > in->cap / 4)
        return;
    /* Keeping the larger block is no failure. */
    (void)resize(in, in->cap / 2);
}

void as_inbuf_drop(as_inbuf *in)
{
    size_t used = in->taken;
    if (used == 0)
        return;
    in->len -= used;
    memmove(in->bytes, in->bytes + used, in->len);
    in->scanned = 0;
    in->taken = 0;
    shrink(in, used);
}

void as_inbuf_clear(as_inbuf *in)
{
    in->taken = in->len;
    as_inbuf_drop(in);
}
