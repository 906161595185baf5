#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/used.h"

#include "backends/lmdb/file.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_BYTES (ANONSET_TAG_BYTES + ANONSET_HASH_BYTES)
#define ORDER_BYTES 2u
#define MARK_BYTES  (2u + ANONSET_HASH_BYTES)

static size_t bytes_of(uint32_t n)
{
    return (size_t)n * (ENTRY_BYTES + ORDER_BYTES) + MARK_BYTES;
}

static uint32_t chunks_of(uint32_t count)
{
    return count / AS_USED_CHUNK + (count % AS_USED_CHUNK != 0);
}

/* Tags in chunk `c` of a list of `count`. */
static uint32_t length_of(uint32_t c, uint32_t count)
{
    uint32_t left = count - c * AS_USED_CHUNK;
    return left < AS_USED_CHUNK ? left : AS_USED_CHUNK;
}

static anonset_code load_state(anonset_used_state *state, MDB_txn *txn, const char *path,
                               anonset_detail *detail)
{
    MDB_val val = {.mv_size = 0};
    int rc = as_get(txn, (as_key){.kind = AS_KIND_USED_STATE}, &val);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return as_lmdb_fail(detail, rc, "read", path);
    return as_used_decode(state, val.mv_data, val.mv_size, detail);
}

/* Finds chunk `c` of a list of `count` tags. */
static anonset_code load_chunk(const uint8_t **bytes, MDB_txn *txn, uint32_t c, uint32_t count,
                               const char *path, anonset_detail *detail)
{
    MDB_val val = {.mv_size = 0};
    int rc = as_get(txn, (as_key){.kind = AS_KIND_USED, .group = c}, &val);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return as_lmdb_fail(detail, rc, "read", path);
    if (val.mv_size != bytes_of(length_of(c, count)))
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "%s: the used tags from position %u on are damaged: repair the store, then "
                       "sync again",
                       path, (unsigned)(c * AS_USED_CHUNK));
    *bytes = val.mv_data;
    return ANONSET_OK;
}

/* ---- Writing ------------------------------------------------------------------------------ */

/* Equal tags in the order of their positions. */
static int by_tag(const void *a, const void *b)
{
    const uint8_t *const *x = a, *const *y = b;
    int difference = memcmp(*x, *y, ANONSET_TAG_BYTES);
    return difference != 0 ? difference : (*x > *y) - (*x < *y);
}

/* Appends to a chunk's n entries their order. */
static void put_order(uint8_t *chunk, uint32_t n)
{
    const uint8_t *order[AS_USED_CHUNK] = {NULL};
    uint8_t *out = chunk + (size_t)n * ENTRY_BYTES;
    for (uint32_t i = 0; i < n; i++)
        order[i] = chunk + (size_t)i * ENTRY_BYTES;
    qsort(order, n, sizeof *order, by_tag);
    for (uint32_t i = 0; i < n; i++) {
        size_t place = (size_t)(order[i] - chunk) / ENTRY_BYTES;
        *out++ = (uint8_t)place;
        *out++ = (uint8_t)(place >> 8);
    }
}

static void put_entry(uint8_t *out, const anonset_used *used)
{
    memcpy(out, used->tag, ANONSET_TAG_BYTES);
    memcpy(out + ANONSET_TAG_BYTES, used->tx_hash, ANONSET_HASH_BYTES);
}

static anonset_code delete_chunk(as_write *write, uint32_t c, anonset_detail *detail)
{
    as_key key = {.kind = AS_KIND_USED, .group = c};
    MDB_val val;
    int rc = as_cursor_at_least(write->cursor, &key, &val);
    if (rc == MDB_NOTFOUND) /* it rotted away */
        return ANONSET_OK;
    return rc == 0 ? as_write_delete(write, detail) : as_write_fail(write, rc, "read", detail);
}

/* Reads the mark of a chunk of n entries: of how many of them the digest is; 0: it has none. */
static uint32_t get_mark(const uint8_t **digest, const uint8_t *chunk, uint32_t n)
{
    const uint8_t *mark = chunk + bytes_of(n) - MARK_BYTES;
    *digest = mark + 2;
    return mark[0] | (uint32_t)mark[1] << 8;
}

static void put_mark(uint8_t *chunk, uint32_t n, uint32_t entries, const uint8_t *digest)
{
    uint8_t *mark = chunk + bytes_of(n) - MARK_BYTES;
    mark[0] = (uint8_t)entries;
    mark[1] = (uint8_t)(entries >> 8);
    memcpy(mark + 2, digest, ANONSET_HASH_BYTES);
}

/* Writes chunk `c` of the list that is to be: what stays of it, and what comes. The mark that it
 * had goes if the new state's is in this chunk, too. */
static anonset_code write_chunk(as_write *write, uint8_t *chunk, uint32_t c,
                                const anonset_used_append *a, anonset_detail *detail)
{
    static const uint8_t none[ANONSET_HASH_BYTES];
    const uint8_t *digest = none;
    uint32_t start = c * AS_USED_CHUNK, n = length_of(c, a->keep + a->n), i = 0, mark = 0;
    if (a->keep > start) {
        const uint8_t *old;
        anonset_code code =
            load_chunk(&old, write->txn, c, a->before.count, as_env_path(write->env), detail);
        if (code != ANONSET_OK)
            return code;
        i = a->keep - start;
        memcpy(chunk, old, (size_t)i * ENTRY_BYTES);
        mark = get_mark(&digest, old, length_of(c, a->before.count));
        mark = mark <= i ? mark : 0;
    }
    for (; i < n; i++)
        put_entry(chunk + (size_t)i * ENTRY_BYTES, &a->used[start + i - a->keep]);
    put_order(chunk, n);
    if (start + n == a->keep + a->n) {
        mark = n;
        digest = a->digest_after;
    }
    put_mark(chunk, n, mark, digest);
    if (c < chunks_of(a->before.count)) {
        anonset_code code = delete_chunk(write, c, detail);
        if (code != ANONSET_OK)
            return code;
    }
    return as_write_put(write, (as_key){.kind = AS_KIND_USED, .group = c}, chunk, bytes_of(n),
                        detail);
}

static anonset_code write_chunks(as_write *write, const anonset_used_append *a,
                                 anonset_detail *detail)
{
    uint32_t c = a->keep / AS_USED_CHUNK, end = chunks_of(a->keep + a->n);
    uint8_t *chunk = as_alloc(bytes_of(AS_USED_CHUNK));
    anonset_code code = ANONSET_OK;
    if (chunk == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "out of memory for used tags");
    c -= c == end && c > 0; /* a cut between two chunks: its mark is the first one's */
    for (; code == ANONSET_OK && c < end; c++)
        code = write_chunk(write, chunk, c, a, detail);
    for (end = chunks_of(a->before.count); code == ANONSET_OK && c < end; c++)
        code = delete_chunk(write, c, detail);
    as_free(chunk);
    return code;
}

anonset_code as_work_used(as_write *write, const void *in, anonset_detail *detail)
{
    const anonset_used_append *a = in;
    anonset_used_state now, next;
    uint8_t record[AS_USED_BYTES];
    anonset_code code = load_state(&now, write->txn, as_env_path(write->env), detail);
    if (code == ANONSET_OK)
        code = as_used_next(&next, &now, a, detail);
    if (code == ANONSET_OK && (a->n > 0 || a->keep < now.count))
        code = write_chunks(write, a, detail);
    if (code != ANONSET_OK)
        return code;
    as_used_encode(record, &next);
    return as_write_put(write, (as_key){.kind = AS_KIND_USED_STATE}, record, sizeof record, detail);
}

/* ---- Reading ------------------------------------------------------------------------------ */

typedef struct used_view {
    as_env *env;
    MDB_txn *txn;
    uint32_t count;
} used_view;

anonset_code as_used_open(void **view, anonset_used_state *state, as_env *env, unsigned busy_ms,
                          anonset_detail *detail)
{
    used_view *made = as_alloc_zeroed(sizeof *made);
    if (made == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "out of memory for a view of used tags");
    made->env = env;
    anonset_code code = as_read_begin(&made->txn, env, busy_ms, detail);
    if (code == ANONSET_OK)
        code = load_state(state, made->txn, as_env_path(env), detail);
    if (code != ANONSET_OK) {
        as_used_close(made);
        return code;
    }
    made->count = state->count;
    *view = made;
    return ANONSET_OK;
}

void as_used_close(void *closed)
{
    used_view *view = closed;
    if (view->txn)
        as_read_end(view->env, view->txn);
    as_free(view);
}

static void get_entry(anonset_used *used, const uint8_t *chunk, uint32_t i)
{
    const uint8_t *entry = chunk + (size_t)i * ENTRY_BYTES;
    memcpy(used->tag, entry, ANONSET_TAG_BYTES);
    memcpy(used->tx_hash, entry + ANONSET_TAG_BYTES, ANONSET_HASH_BYTES);
}

anonset_code as_used_read(void *reading, anonset_used *used, uint32_t *n, uint32_t from,
                          uint32_t room, anonset_detail *detail)
{
    const used_view *view = reading;
    uint32_t c = from / AS_USED_CHUNK, first = from % AS_USED_CHUNK;
    const uint8_t *chunk;
    anonset_code code =
        load_chunk(&chunk, view->txn, c, view->count, as_env_path(view->env), detail);
    if (code != ANONSET_OK)
        return code;
    *n = length_of(c, view->count) - first;
    if (*n > room)
        *n = room;
    for (uint32_t i = 0; i < *n; i++)
        get_entry(&used[i], chunk, first + i);
    return ANONSET_OK;
}

/* The entry that is the i-th of a chunk of n by tag. n: its place is damaged. */
static uint32_t at_rank(const uint8_t *chunk, uint32_t n, uint32_t i)
{
    const uint8_t *place = chunk + (size_t)n * ENTRY_BYTES + (size_t)i * ORDER_BYTES;
    uint32_t entry = place[0] | (uint32_t)place[1] << 8;
    return entry < n ? entry : n;
}

/* Sets *entry to the first entry of a chunk of n with this tag, or to one with another. False: the
 * order is damaged. */
static bool halve(uint32_t *entry, const uint8_t *chunk, uint32_t n, const uint8_t *tag)
{
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, at = at_rank(chunk, n, middle);
        if (at == n)
            return false;
        if (memcmp(chunk + (size_t)at * ENTRY_BYTES, tag, ANONSET_TAG_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *entry = at_rank(chunk, n, low < n ? low : n - 1); /* it was looked at */
    return true;
}

anonset_code as_used_find(void *reading, anonset_used *used, uint32_t *position, const uint8_t *tag,
                          anonset_detail *detail)
{
    const used_view *view = reading;
    for (uint32_t c = 0; c < chunks_of(view->count); c++) {
        const uint8_t *chunk;
        uint32_t entry, n = length_of(c, view->count);
        anonset_code code =
            load_chunk(&chunk, view->txn, c, view->count, as_env_path(view->env), detail);
        if (code != ANONSET_OK)
            return code;
        if (!halve(&entry, chunk, n, tag))
            return as_fail(detail, ANONSET_CORRUPT, 0,
                           "%s: the order of used tags is damaged: repair the store, then sync "
                           "again",
                           as_env_path(view->env));
        if (memcmp(chunk + (size_t)entry * ENTRY_BYTES, tag, ANONSET_TAG_BYTES) != 0)
            continue;
        get_entry(used, chunk, entry);
        *position = c * AS_USED_CHUNK + entry;
        return ANONSET_OK;
    }
    return as_fail(detail, ANONSET_NOT_FOUND, 0, "the tag is not in the list");
}

/* Whether the order of a chunk of n has each entry: n of them, each behind the one before. */
static bool is_in_order(const uint8_t *chunk, uint32_t n)
{
    const uint8_t *before = NULL;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t entry = at_rank(chunk, n, i);
        const uint8_t *tag = chunk + (size_t)entry * ENTRY_BYTES;
        if (entry == n || (before != NULL && by_tag(&before, &tag) >= 0))
            return false;
        before = tag;
    }
    return true;
}

anonset_code as_used_check(void *reading, uint32_t *sound, anonset_detail *detail)
{
    const used_view *view = reading;
    *sound = view->count;
    for (uint32_t c = 0; c < chunks_of(view->count); c++) {
        const uint8_t *chunk = NULL;
        anonset_code code =
            load_chunk(&chunk, view->txn, c, view->count, as_env_path(view->env), detail);
        if (code != ANONSET_OK && code != ANONSET_CORRUPT)
            return code;
        if (chunk == NULL || !is_in_order(chunk, length_of(c, view->count))) {
            *sound = c * AS_USED_CHUNK;
            return ANONSET_OK;
        }
    }
    return ANONSET_OK;
}

anonset_code as_used_mark(void *reading, anonset_used_state *mark, uint32_t above,
                          anonset_detail *detail)
{
    const used_view *view = reading;
    *mark = (anonset_used_state){.count = 0};
    for (uint32_t c = above / AS_USED_CHUNK; c < chunks_of(view->count); c++) {
        const uint8_t *chunk, *digest;
        anonset_code code =
            load_chunk(&chunk, view->txn, c, view->count, as_env_path(view->env), detail);
        if (code != ANONSET_OK)
            return code;
        uint32_t n = get_mark(&digest, chunk, length_of(c, view->count));
        if (n > 0 && c * AS_USED_CHUNK + n > above) {
            mark->count = c * AS_USED_CHUNK + n;
            memcpy(mark->digest, digest, sizeof mark->digest);
            return ANONSET_OK;
        }
    }
    return ANONSET_OK;
}
