#include "remote/inbuf.h"

#include "core/alloc.h"

#include <string.h>

/* Sizes go up in eighths of a power of two, and a little more: electrumx pads answers to a power of
 * two, and the first bytes of the next one may follow at once. */
#define FIRST 16384u
#define SLACK 4096u

void as_inbuf_free(as_inbuf *in)
{
    as_free(in->bytes);
    *in = (as_inbuf){0};
}

static anonset_code resize(as_inbuf *in, size_t cap)
{
    char *bytes = as_realloc(in->bytes, cap);
    if (!bytes)
        return ANONSET_NO_MEMORY;
    in->bytes = bytes;
    in->cap = cap;
    return ANONSET_OK;
}

/* The smallest size with room behind `len` bytes. */
static size_t size_above(size_t len)
{
    size_t power = FIRST;
    while (2 * power + SLACK <= len)
        power *= 2;
    size_t cap = power + SLACK;
    while (cap <= len)
        cap += power / 8;
    return cap;
}

/* The small answers behind a row of large ones must not hold the memory of these: what follows them
 * needs memory of its own. */
static void shrink(as_inbuf *in)
{
    if (in->cap <= FIRST + SLACK || in->len > in->cap / 4)
        return;
    /* Keeping the larger block is no failure. */
    (void)resize(in, size_above(in->len));
}

anonset_code as_inbuf_room(as_inbuf *in, char **room, size_t *len, size_t ceiling)
{
    size_t held = in->len - in->taken;
    if (held >= ceiling)
        return ANONSET_BAD_ANSWER;
    if (in->len == in->cap) {
        anonset_code code = resize(in, size_above(in->len));
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
    *len = (size_t)(end - in->bytes);
    in->taken = *len + 1;
    in->scanned = in->taken;
    shrink(in);
    *line = in->bytes;
    return true;
}

void as_inbuf_take_all(as_inbuf *in, char **text, size_t *len)
{
    in->taken = in->len;
    shrink(in);
    *text = in->bytes;
    *len = in->len;
}

bool as_inbuf_take_piece(as_inbuf *in, char **piece, size_t *len, bool *last)
{
    if (in->len == 0)
        return false;
    char *end = memchr(in->bytes, '\n', in->len);
    *last = end != NULL;
    *len = end ? (size_t)(end - in->bytes) : in->len;
    in->taken = *len + *last;
    in->scanned = in->taken;
    *piece = in->bytes;
    return true;
}

void as_inbuf_drop(as_inbuf *in)
{
    if (in->taken == 0)
        return;
    in->len -= in->taken;
    memmove(in->bytes, in->bytes + in->taken, in->len);
    in->scanned = 0;
    in->taken = 0;
}

void as_inbuf_clear(as_inbuf *in)
{
    in->taken = in->len;
    as_inbuf_drop(in);
}
