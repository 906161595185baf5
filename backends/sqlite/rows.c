#include "backends/sqlite/rows.h"

#include "backends/sqlite/schema.h"
#include "core/alloc.h"
#include "core/bytes.h"
#include "core/detail.h"
#include "core/pack.h"

#include <errno.h>
#include <string.h>

/* How SQLite lays a row out. Source: sqlite.org/fileformat2.html, "Cell payload overflow pages". */
#define OVERFLOW_BYTES (AS_PAGE_BYTES - 4)                    /* of a row in an overflow page */
#define FRONT_LEAST    ((AS_PAGE_BYTES - 12) * 32 / 255 - 23) /* of it in a leaf, if it overflows */
#define FRONT_MOST     (AS_PAGE_BYTES - 35) /* of a row in a leaf, if it does not */
#define ROW_HEAD       16                   /* at most: what a row holds besides the pack */

#define FRONT_SPARE 400  /* a front of up to FRONT_LEAST and this is small; a coin is about 350 */
#define ROW_PAGES   16   /* of a full row: a read's worth, and what a reader holds in memory */
#define TAIL_MOST   2800 /* of a tail, which the next commit writes anew */

/* Short rows are joined when they fill a row of JOINED_LEAST well, and without that from
 * JOINED_MOST on, or when it is so many rows: twice JOINED_MOST is what a finalize may write anew.
 */
#define JOINED_LEAST (3 * OVERFLOW_BYTES)
#define JOINED_MOST  (8 * OVERFLOW_BYTES)
#define JOINED_ROWS  64u

/* The most bytes of a pack that fills this many overflow pages and has a small front. */
static size_t filling(size_t pages)
{
    return pages * OVERFLOW_BYTES + FRONT_LEAST + FRONT_SPARE - ROW_HEAD;
}

/* What is over full overflow pages is a small front; or so much that SQLite puts it into one more
 * of them, of which a row of many can spare the rest. */
static bool is_well_filled(size_t bytes)
{
    size_t row = bytes + ROW_HEAD, over = (row - FRONT_LEAST) % OVERFLOW_BYTES;
    return (row > FRONT_MOST && over <= FRONT_SPARE) ||
           (row >= JOINED_LEAST && over > FRONT_MOST - FRONT_LEAST);
}

/* A pack that is stored: where it is and how large. */
typedef struct stored {
    bool found;
    sqlite3_int64 id;
    uint32_t start;
    uint32_t n;
    size_t bytes;
} stored;

/* The last pack with a key in [low, high] that is of `epoch`, or (pending false) of any other. */
static anonset_code find(stored *out, as_db *db, sqlite3_int64 low, sqlite3_int64 high,
                         uint32_t epoch, bool pending, anonset_detail *detail)
{
    sqlite3_stmt *row;
    *out = (stored){0};
    anonset_code code = as_db_first(db, &row, &out->found, AS_SQL_PACK_FIND, 4,
                                    (sqlite3_int64[]){low, high, epoch, pending}, detail);
    if (code != ANONSET_OK || !out->found)
        return code;
    out->id = sqlite3_column_int64(row, 0);
    out->start = as_pack_start(out->id);
    out->n = (uint32_t)sqlite3_column_int64(row, 1);
    out->bytes = (size_t)sqlite3_column_int64(row, 2);
    sqlite3_reset(row);
    return ANONSET_OK;
}

/* Coins on their way into packs: those of packs taken in, then new ones. */
typedef struct batch {
    anonset_coin *coins;
    uint32_t *tags;
    uint32_t n;
    uint8_t *bytes; /* of the packs taken in: the coins point into them */
} batch;

static void batch_free(batch *b)
{
    as_free(b->coins);
    as_free(b->tags);
    as_free(b->bytes);
}

static anonset_code no_memory(const as_db *db, anonset_detail *detail)
{
    return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory for coins", db->path);
}

/* Room for `coins` coins, and `bytes` bytes of packs; batch_free also where there is none. */
static anonset_code batch_make(batch *b, const as_db *db, size_t coins, size_t bytes,
                               anonset_detail *detail)
{
    *b = (batch){0};
    b->coins = as_alloc(coins * sizeof *b->coins);
    b->tags = as_alloc(coins * sizeof *b->tags);
    b->bytes = as_alloc(bytes);
    return b->coins != NULL && b->tags != NULL && b->bytes != NULL ? ANONSET_OK
                                                                   : no_memory(db, detail);
}

/* Reads a stored pack to `at` and adds its coins; sets `digest` to the one after the last. */
static anonset_code batch_take(batch *b, uint8_t *at, as_db *db, const stored *from,
                               uint8_t *digest, anonset_detail *detail)
{
    sqlite3_stmt *row;
    as_pack pack;
    bool found;
    anonset_code code = as_db_first(db, &row, &found, AS_SQL_PACK_BODY, 1, &from->id, detail);
    if (code != ANONSET_OK)
        return code;
    const void *body = found ? sqlite3_column_blob(row, 0) : NULL;
    if (body != NULL && (size_t)sqlite3_column_bytes(row, 0) == from->bytes)
        memcpy(at, body, from->bytes);
    else
        code = as_fail(detail, ANONSET_CORRUPT, 0,
                       "%s: the row of coins at %u is damaged: repair the store, then sync again",
                       db->path, from->start);
    sqlite3_reset(row);
    if (code == ANONSET_OK)
        code = as_pack_open(&pack, at, from->bytes, detail);
    if (code == ANONSET_OK && pack.n != from->n)
        code = as_fail(detail, ANONSET_CORRUPT, 0, "%s: a row at %u holds %u coins, not %u",
                       db->path, from->start, pack.n, from->n);
    if (code == ANONSET_OK)
        code = as_pack_coins(b->coins + b->n, &pack, detail);
    if (code != ANONSET_OK)
        return code;
    for (uint32_t i = 0; i < pack.n; i++)
        b->tags[b->n + i] = as_get32(pack.tags + (size_t)4 * i);
    memcpy(digest, pack.digest, ANONSET_HASH_BYTES);
    b->n += pack.n;
    return ANONSET_OK;
}

/* ---- Storing ------------------------------------------------------------------------------ */

/* A pack to store: its coins, and its size as as_pack_fit told. */
typedef struct piece {
    const anonset_coin *coins;
    const uint32_t *tags;
    const uint8_t *digest;
    uint32_t n;
    size_t bytes;
} piece;

static anonset_code too_large(const as_db *db, anonset_detail *detail)
{
    return as_fail(detail, ANONSET_INVALID, 0, "%s: a coin of more than %d bytes cannot be stored",
                   db->path, AS_VALUE_MOST);
}

static anonset_code bind_piece(as_db *db, sqlite3_stmt *statement, int parameter, const piece *p,
                               anonset_detail *detail)
{
    if (p->bytes + ROW_HEAD > AS_VALUE_MOST)
        return too_large(db, detail);
    uint8_t *pack = as_alloc(p->bytes);
    if (pack == NULL)
        return no_memory(db, detail);
    as_pack_write(pack, p->coins, p->tags, p->digest, p->n);
    int rc = sqlite3_bind_blob64(statement, parameter, pack, p->bytes, as_free);
    return rc == SQLITE_OK ? ANONSET_OK : as_db_fail(db, rc, "write coins", detail);
}

/* Runs a statement that holds a pack, and lets go of the memory. */
static anonset_code run_with_piece(as_db *db, sqlite3_stmt *statement, int parameter,
                                   const piece *p, anonset_detail *detail)
{
    anonset_code code = bind_piece(db, statement, parameter, p, detail);
    if (code == ANONSET_OK)
        code = as_db_finish(db, statement, detail);
    (void)sqlite3_bind_null(statement, parameter); /* cannot fail: the parameter exists */
    return code;
}

static anonset_code insert(as_db *db, sqlite3_int64 slot, uint32_t epoch, uint32_t start,
                           const piece *p, anonset_detail *detail)
{
    for (int twin = 0; twin <= 1; twin++) {
        sqlite3_stmt *statement;
        anonset_code code = as_db_prepare(
            db, &statement, AS_SQL_PACK_INSERT, 3,
            (sqlite3_int64[]){as_pack_id(slot, start, twin != 0), p->n, epoch}, detail);
        if (code == ANONSET_OK)
            code = run_with_piece(db, statement, 4, p, detail);
        if (code != ANONSET_OK || sqlite3_changes(db->sqlite) == 1)
            return code;
    }
    return as_fail(detail, ANONSET_CORRUPT, 0,
                   "%s: coins at %u are there twice already: clear and sync again", db->path,
                   start);
}

static anonset_code update(as_db *db, sqlite3_int64 id, const piece *p, anonset_detail *detail)
{
    sqlite3_stmt *statement;
    anonset_code code =
        as_db_prepare(db, &statement, AS_SQL_PACK_UPDATE, 2, (sqlite3_int64[]){id, p->n}, detail);
    return code == ANONSET_OK ? run_with_piece(db, statement, 3, p, detail) : code;
}

/* Cuts the next pack off n coins: a full row; or as much of them as is well filled, the rest being
 * the next tail; or, of less than that, all. */
static uint32_t cut(size_t *bytes, const anonset_coin *coins, uint32_t n)
{
    uint32_t fit = as_pack_fit(bytes, coins, n, filling(ROW_PAGES));
    if (fit < n || *bytes <= TAIL_MOST || *bytes < filling(1))
        return fit;
    return as_pack_fit(bytes, coins, n, filling((*bytes - filling(0)) / OVERFLOW_BYTES));
}

/* ---- Appending ---------------------------------------------------------------------------- */

/* The tail that the pending set ends with, if it does. */
static anonset_code find_tail(stored *tail, as_db *db, sqlite3_int64 slot, uint32_t epoch,
                              const anonset_append *a, anonset_detail *detail)
{
    *tail = (stored){0};
    if (a->start == a->base)
        return ANONSET_OK;
    anonset_code code = find(tail, db, as_pack_id(slot, a->base, false),
                             as_pack_id(slot, a->start - 1, true), epoch, true, detail);
    if (code != ANONSET_OK)
        return code;
    if (!tail->found || (uint64_t)tail->start + tail->n != a->start)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "%s: no coins are stored right below %u: clear and sync again", db->path,
                       a->start);
    tail->found = tail->bytes <= TAIL_MOST && tail->n < AS_PACK_COINS_MAX;
    return ANONSET_OK;
}

/* Writes the tail anew with coins of the append behind it; *used: how many of them. */
static anonset_code grow_tail(uint32_t *used, as_db *db, const stored *tail,
                              const anonset_append *a, anonset_detail *detail)
{
    batch b;
    uint8_t digest[ANONSET_HASH_BYTES];
    uint32_t most = AS_PACK_COINS_MAX - tail->n;
    uint32_t n = a->n < most ? a->n : most;
    anonset_code code = batch_make(&b, db, (size_t)tail->n + n, tail->bytes, detail);
    if (code == ANONSET_OK)
        code = batch_take(&b, b.bytes, db, tail, digest, detail);
    if (code != ANONSET_OK)
        goto out;
    memcpy(b.coins + b.n, a->coins, n * sizeof *a->coins);
    memcpy(b.tags + b.n, a->tags, n * sizeof *a->tags);
    piece p = {.coins = b.coins, .tags = b.tags};
    p.n = cut(&p.bytes, b.coins, b.n + n);
    *used = p.n > tail->n ? p.n - tail->n : 0;
    if (*used == 0)
        goto out; /* the next coin is too large to go with it */
    p.digest = a->digests[*used - 1];
    code = update(db, tail->id, &p, detail);
out:
    batch_free(&b);
    return code;
}

anonset_code as_sqlite_rows_append(as_db *db, sqlite3_int64 slot, uint32_t epoch,
                                   const anonset_append *a, anonset_detail *detail)
{
    stored tail;
    uint32_t done = 0;
    if (a->n == 0)
        return ANONSET_OK;
    anonset_code code = find_tail(&tail, db, slot, epoch, a, detail);
    if (code == ANONSET_OK && tail.found)
        code = grow_tail(&done, db, &tail, a, detail);
    while (code == ANONSET_OK && done < a->n) {
        piece p = {.coins = a->coins + done, .tags = a->tags + done};
        p.n = cut(&p.bytes, p.coins, a->n - done);
        p.digest = a->digests[done + p.n - 1];
        code = insert(db, slot, epoch, a->start + done, &p, detail);
        done += p.n;
    }
    return code;
}

/* ---- Joining ------------------------------------------------------------------------------ */

/* Short rows that a set ends with, the newest first. */
typedef struct joint {
    stored rows[JOINED_ROWS];
    uint32_t n;
    uint32_t coins;
    size_t bytes;
} joint;

/* Whether the row goes with those so far, which begin at `end`. */
static bool may_join(const joint *j, const stored *row, uint32_t end)
{
    return row->found && (uint64_t)row->start + row->n == end && j->n < JOINED_ROWS &&
           row->bytes < JOINED_MOST && j->bytes < JOINED_MOST && !is_well_filled(row->bytes) &&
           j->coins + row->n <= AS_PACK_COINS_MAX;
}

/* From the pending row that begins at `base` back. */
static anonset_code gather(joint *j, as_db *db, sqlite3_int64 slot, uint32_t epoch, uint32_t base,
                           anonset_detail *detail)
{
    stored row;
    anonset_code code = find(&row, db, as_pack_id(slot, base, false), as_pack_id(slot, base, true),
                             epoch, true, detail);
    uint32_t end = base + row.n;
    while (code == ANONSET_OK && may_join(j, &row, end)) {
        j->rows[j->n++] = row;
        j->bytes += row.bytes;
        j->coins += row.n;
        end = row.start;
        row.found = false;
        if (end > 0)
            code = find(&row, db, as_pack_id(slot, 0, false), as_pack_id(slot, end - 1, true),
                        epoch, false, detail);
    }
    return code;
}

/* All rows go before the one comes: so SQLite goes on in the leaf before theirs. */
static anonset_code replace(as_db *db, sqlite3_int64 slot, uint32_t epoch, const joint *j,
                            const piece *by, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    for (uint32_t i = 0; code == ANONSET_OK && i < j->n; i++)
        code = as_db_run(db, AS_SQL_PACK_DELETE, 1, &j->rows[i].id, detail);
    return code == ANONSET_OK ? insert(db, slot, epoch, j->rows[j->n - 1].start, by, detail) : code;
}

static anonset_code join(as_db *db, sqlite3_int64 slot, uint32_t epoch, const joint *j,
                         anonset_detail *detail)
{
    batch b;
    uint8_t digest[ANONSET_HASH_BYTES];
    size_t taken = 0;
    anonset_code code = batch_make(&b, db, j->coins, j->bytes, detail);
    for (uint32_t i = j->n; code == ANONSET_OK && i-- > 0; taken += j->rows[i].bytes)
        code = batch_take(&b, b.bytes + taken, db, &j->rows[i], digest, detail);
    if (code == ANONSET_OK) {
        piece p = {.coins = b.coins, .tags = b.tags, .digest = digest, .n = b.n};
        (void)as_pack_fit(&p.bytes, b.coins, b.n, SIZE_MAX);
        code = replace(db, slot, epoch, j, &p, detail);
    }
    batch_free(&b);
    return code;
}

anonset_code as_sqlite_rows_join(as_db *db, sqlite3_int64 slot, uint32_t epoch, uint32_t base,
                                 anonset_detail *detail)
{
    joint j = {.n = 0};
    anonset_code code = gather(&j, db, slot, epoch, base, detail);
    bool pays = j.bytes >= JOINED_LEAST && is_well_filled(j.bytes);
    if (code != ANONSET_OK || j.n < 2 || !(pays || j.bytes >= JOINED_MOST || j.n == JOINED_ROWS))
        return code;
    return join(db, slot, epoch, &j, detail);
}
