#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/rows.h"

#include "core/alloc.h"
#include "core/bytes.h"
#include "core/detail.h"
#include "core/digest.h"
#include "core/pack.h"

#include <errno.h>
#include <string.h>

#define PAGE_HEAD  16u /* what LMDB keeps of the first page of a value */
#define ROW_PAGES  16u /* pages of a full row */
#define JOIN_PAGES 4u  /* pages to which joins fill a row: small, for each join writes it anew */
#define JOIN_ROWS  8u  /* pending rows that are joined at most */

/* Coins to be stored, in order, with what a row keeps of each. */
typedef struct batch {
    uint32_t start;
    uint32_t n;
    anonset_coin *coins;
    uint32_t *tags;
    uint8_t (*digests)[ANONSET_HASH_BYTES];
} batch;

static void batch_free(batch *b)
{
    as_free(b->coins);
    as_free(b->tags);
    as_free(b->digests);
}

static anonset_code batch_reserve(batch *b, size_t more, anonset_detail *detail)
{
    size_t room = b->n + more;
    anonset_coin *coins = as_realloc(b->coins, room * sizeof *coins);
    if (coins)
        b->coins = coins;
    uint32_t *tags = as_realloc(b->tags, room * sizeof *tags);
    if (tags)
        b->tags = tags;
    uint8_t(*digests)[ANONSET_HASH_BYTES] = as_realloc(b->digests, room * sizeof *digests);
    if (digests)
        b->digests = digests;
    if (!coins || !tags || !digests)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "out of memory for %zu coins", room);
    return ANONSET_OK;
}

/* Adds a stored row. Its coins point into the map, which stays as it is during the write. The
 * digests but for the last are left to be filled. */
static anonset_code batch_add_row(batch *b, const MDB_val *val, anonset_detail *detail)
{
    as_pack pack;
    anonset_code code = as_pack_open(&pack, val->mv_data, val->mv_size, detail);
    if (code == ANONSET_OK)
        code = batch_reserve(b, pack.n, detail);
    if (code == ANONSET_OK)
        code = as_pack_coins(b->coins + b->n, &pack, detail);
    if (code != ANONSET_OK)
        return code;
    for (uint32_t i = 0; i < pack.n; i++)
        b->tags[b->n + i] = as_get32(pack.tags + 4 * (size_t)i);
    /* A pack has at least one coin, so there is room. */
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker)
    memcpy(b->digests[b->n + pack.n - 1], pack.digest, ANONSET_HASH_BYTES);
    b->n += pack.n;
    return ANONSET_OK;
}

/* ---- Cutting ------------------------------------------------------------------------------ */

static size_t limit_of(const as_write *write, size_t pages)
{
    return pages * write->page - PAGE_HEAD;
}

/* Coins and bytes of the next row: full pages as long as there is one to fill, then the rest. */
static uint32_t cut_full(size_t *bytes, const as_write *write, const anonset_coin *coins,
                         uint32_t n)
{
    uint32_t fit = as_pack_fit(bytes, coins, n, limit_of(write, ROW_PAGES));
    size_t pages = (*bytes + PAGE_HEAD) / write->page;
    if (fit < n || pages == 0)
        return fit;
    return as_pack_fit(bytes, coins, n, limit_of(write, pages));
}

static uint32_t cut_joined(size_t *bytes, const as_write *write, const anonset_coin *coins,
                           uint32_t n)
{
    return as_pack_fit(bytes, coins, n, limit_of(write, JOIN_PAGES));
}

typedef uint32_t (*cutter)(size_t *bytes, const as_write *write, const anonset_coin *coins,
                           uint32_t n);

/* The first row keeps `first_epoch`, which may be that of a row it replaces. */
static anonset_code write_rows(as_write *write, cutter cut, uint32_t group, uint32_t start,
                               uint32_t n, const anonset_coin *coins, const uint32_t *tags,
                               const uint8_t (*digests)[ANONSET_HASH_BYTES], uint32_t first_epoch,
                               uint32_t epoch, anonset_detail *detail)
{
    for (uint32_t i = 0; i < n;) {
        size_t bytes;
        uint8_t *to;
        uint32_t fit = cut(&bytes, write, coins + i, n - i);
        as_key key = {AS_KIND_PACK, group, start + i, i == 0 ? first_epoch : epoch};
        anonset_code code = as_write_reserve(write, &to, key, bytes, detail);
        if (code != ANONSET_OK)
            return code;
        as_pack_write(to, coins + i, tags + i, digests[i + fit - 1], fit);
        i += fit;
    }
    return ANONSET_OK;
}

/* ---- Appending ---------------------------------------------------------------------------- */

/* The row before `start`, of the pending set, if it is a rest that wants to be taken up. */
static anonset_code take_rest(batch *b, as_write *write, const anonset_append *append,
                              uint32_t epoch, anonset_detail *detail)
{
    as_key key = {AS_KIND_PACK, append->group, append->start - 1, epoch};
    MDB_val val;
    int rc = as_cursor_at_most(write->cursor, &key, &val);
    while (rc == 0 && key.sub != epoch) /* finalized rows that a reorg is about to replace */
        rc = as_cursor_move(write->cursor, MDB_PREV, AS_KIND_PACK, append->group, &key, &val);
    if (rc != 0)
        return as_write_fail(write, rc, "read", detail);
    if (val.mv_size > limit_of(write, 1) - write->page / 8)
        return ANONSET_OK;
    b->start = key.at;
    anonset_code code = batch_add_row(b, &val, detail);
    if (code == ANONSET_OK && key.at + b->n != append->start)
        code =
            as_fail(detail, ANONSET_CORRUPT, 0,
                    "%s: group %u: the pending coins end at %u, not at %u", as_env_path(write->env),
                    (unsigned)append->group, (unsigned)(key.at + b->n), (unsigned)append->start);
    return code;
}

static anonset_code append_to_rest(batch *b, as_write *write, const anonset_append *append,
                                   uint32_t epoch, anonset_detail *detail)
{
    anonset_code code = batch_reserve(b, append->n, detail);
    if (code != ANONSET_OK)
        return code;
    memcpy(b->coins + b->n, append->coins, append->n * sizeof *b->coins);
    memcpy(b->tags + b->n, append->tags, append->n * sizeof *b->tags);
    memcpy(b->digests + b->n, append->digests, append->n * sizeof *b->digests);
    return write_rows(write, cut_full, append->group, b->start, b->n + append->n, b->coins, b->tags,
                      b->digests, epoch, epoch, detail);
}

anonset_code as_rows_append(as_write *write, const anonset_append *append, uint32_t epoch,
                            bool has_rows, anonset_detail *detail)
{
    batch rest = {0};
    if (append->n == 0)
        return ANONSET_OK;
    anonset_code code = has_rows ? take_rest(&rest, write, append, epoch, detail) : ANONSET_OK;
    if (code == ANONSET_OK && rest.n > 0)
        code = append_to_rest(&rest, write, append, epoch, detail);
    else if (code == ANONSET_OK)
        code = write_rows(write, cut_full, append->group, append->start, append->n, append->coins,
                          append->tags, append->digests, epoch, epoch, detail);
    batch_free(&rest);
    return code;
}

/* ---- Joining ------------------------------------------------------------------------------ */

/* Takes up the last finalized row if it ends just below base and has room for more. */
static anonset_code take_finalized(batch *b, uint32_t *epoch, as_write *write, uint32_t group,
                                   uint32_t base, anonset_detail *detail)
{
    as_key key = {AS_KIND_PACK, group, base - 1, UINT32_MAX};
    MDB_val val;
    int rc = as_cursor_at_most(write->cursor, &key, &val);
    if (rc != 0)
        return as_write_fail(write, rc, "read", detail);
    as_pack pack;
    anonset_code code = as_pack_open(&pack, val.mv_data, val.mv_size, detail);
    if (code != ANONSET_OK || key.at + pack.n != base ||
        val.mv_size > limit_of(write, JOIN_PAGES) - write->page / 8)
        return code;
    b->start = key.at;
    *epoch = key.sub;
    return batch_add_row(b, &val, detail);
}

/* Takes up the pending rows if they are few and small; else *all is false. */
static anonset_code take_pending(batch *b, bool *all, as_key *keys, uint32_t *n_keys,
                                 as_write *write, uint32_t group, uint32_t base, uint32_t epoch,
                                 anonset_detail *detail)
{
    as_key key = {AS_KIND_PACK, group, base, 0};
    MDB_val val;
    size_t bytes = 0;
    *all = false;
    *n_keys = 0;
    int rc = as_cursor_at_least(write->cursor, &key, &val);
    while (rc == 0) {
        bytes += val.mv_size;
        if (key.sub != epoch || *n_keys == JOIN_ROWS || bytes > limit_of(write, ROW_PAGES))
            return ANONSET_OK;
        keys[(*n_keys)++] = key;
        anonset_code code = batch_add_row(b, &val, detail);
        if (code != ANONSET_OK)
            return code;
        rc = as_cursor_move(write->cursor, MDB_NEXT, AS_KIND_PACK, group, &key, &val);
    }
    *all = rc == MDB_NOTFOUND && *n_keys > 0;
    return *all || rc == MDB_NOTFOUND ? ANONSET_OK : as_write_fail(write, rc, "read", detail);
}

/* Fills in the digests from the n-th on. *same tells whether they end at the stored one: if not,
 * the stored bytes have rotted, and must not get digests that hide it. */
static anonset_code fill_digests(batch *b, bool *same, uint32_t n, anonset_detail *detail)
{
    uint8_t last[ANONSET_HASH_BYTES];
    as_digest *digest;
    anonset_code code = as_digest_new(&digest, detail);
    if (code != ANONSET_OK)
        return code;
    memcpy(last, b->digests[b->n - 1], sizeof last);
    for (uint32_t i = n; i < b->n && code == ANONSET_OK; i++)
        code = as_digest_coin(digest, b->digests[i], b->digests[i - 1], &b->coins[i]);
    *same = memcmp(last, b->digests[b->n - 1], sizeof last) == 0;
    as_digest_free(digest);
    return code;
}

static anonset_code delete_rows(as_write *write, const as_key *keys, uint32_t n,
                                anonset_detail *detail)
{
    for (uint32_t i = 0; i < n; i++) {
        as_key key = keys[i];
        MDB_val val;
        int rc = as_cursor_at_least(write->cursor, &key, &val);
        if (rc != 0)
            return as_write_fail(write, rc, "read", detail);
        anonset_code code = as_write_delete(write, detail);
        if (code != ANONSET_OK)
            return code;
    }
    return ANONSET_OK;
}

anonset_code as_rows_join(as_write *write, uint32_t group, const as_effect *effect,
                          anonset_detail *detail)
{
    uint32_t base = effect->base, epoch = effect->epoch;
    batch b = {0};
    as_key keys[JOIN_ROWS];
    uint32_t n_keys = 0, old_epoch = 0;
    bool all = false, same = false;
    if (base == 0 || effect->drop_tail)
        return ANONSET_OK;
    anonset_code code = take_finalized(&b, &old_epoch, write, group, base, detail);
    uint32_t n_old = b.n;
    if (code == ANONSET_OK && n_old > 0)
        code = take_pending(&b, &all, keys, &n_keys, write, group, base, epoch, detail);
    if (code == ANONSET_OK && all)
        code = fill_digests(&b, &same, n_old, detail);
    if (code == ANONSET_OK && same)
        code = delete_rows(write, keys, n_keys, detail);
    if (code == ANONSET_OK && same)
        code = write_rows(write, cut_joined, group, b.start, b.n, b.coins, b.tags, b.digests,
                          old_epoch, epoch, detail);
    batch_free(&b);
    return code;
}

/* ---- Dropping ----------------------------------------------------------------------------- */

anonset_code as_rows_drop(as_write *write, uint32_t group, uint32_t from, uint32_t epoch, bool keep,
                          anonset_detail *detail)
{
    as_key key = {AS_KIND_PACK, group, from, 0};
    MDB_val val;
    int rc = as_cursor_at_least(write->cursor, &key, &val);
    while (rc == 0) {
        if ((key.sub == epoch) != keep) {
            anonset_code code = as_write_delete(write, detail);
            if (code != ANONSET_OK)
                return code;
        }
        rc = as_cursor_move(write->cursor, MDB_NEXT, AS_KIND_PACK, group, &key, &val);
    }
    return rc == MDB_NOTFOUND ? ANONSET_OK : as_write_fail(write, rc, "read", detail);
}

static bool is_in_view(const as_ledger *ledger, const as_key *key)
{
    return as_ledger_row_in_view(ledger, ANONSET_VIEW_FINALIZED, key->at, key->sub) ||
           as_ledger_row_in_view(ledger, ANONSET_VIEW_NEXT, key->at, key->sub);
}

/* Besides the damaged ones a row that no view has: its key rotted, and it would be in the way of
 * what comes there. */
static bool is_doomed(const as_doomed *doomed, const as_key *key)
{
    bool pending = doomed->has_pending && key->sub == doomed->epoch;
    bool damaged = key->at < doomed->damage->to && pending == doomed->damage->pending;
    bool alone = key->at >= doomed->alone_from && key->at < doomed->alone_to;
    return damaged || alone || !is_in_view(doomed->next, key);
}

anonset_code as_rows_drop_range(as_write *write, const as_doomed *doomed, anonset_detail *detail)
{
    uint32_t group = doomed->damage->group;
    as_key key = {AS_KIND_PACK, group, doomed->damage->from, 0};
    MDB_val val;
    int rc = as_cursor_at_least(write->cursor, &key, &val);
    while (rc == 0) {
        anonset_code code = is_doomed(doomed, &key) ? as_write_delete(write, detail) : ANONSET_OK;
        if (code != ANONSET_OK)
            return code;
        rc = as_cursor_move(write->cursor, MDB_NEXT, AS_KIND_PACK, group, &key, &val);
    }
    return rc == MDB_NOTFOUND ? ANONSET_OK : as_write_fail(write, rc, "read", detail);
}
