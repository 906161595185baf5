#include "backends/sqlite/used_index.h"

#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLACE_BITS 16u
#define RUN_MOST   (UINT32_C(1) << PLACE_BITS) /* tags: half a MiB while a run is made */
#define ALIKE      8u                          /* runs of about one size that become one */

/* ---- Entries ------------------------------------------------------------------------------ */

/* Sorts as its tag does, as far as 47 bits tell. */
static sqlite3_int64 entry_of(const uint8_t *tag, uint32_t place)
{
    uint64_t begin = 0;
    for (size_t i = 0; i < 6; i++)
        begin = begin << 8 | tag[i];
    return (sqlite3_int64)(begin >> 1 << PLACE_BITS | place);
}

static bool begin_alike(const uint8_t *a, const uint8_t *b)
{
    return entry_of(a, 0) == entry_of(b, 0);
}

/* A row: position, tag, transaction. False: it is damaged. */
static bool take_row(anonset_used *used, sqlite3_stmt *row)
{
    const void *tag = sqlite3_column_blob(row, 1), *tx = sqlite3_column_blob(row, 2);
    if (sqlite3_column_bytes(row, 1) != ANONSET_TAG_BYTES ||
        sqlite3_column_bytes(row, 2) != ANONSET_HASH_BYTES || tag == NULL || tx == NULL)
        return false;
    memcpy(used->tag, tag, ANONSET_TAG_BYTES);
    memcpy(used->tx_hash, tx, ANONSET_HASH_BYTES);
    return true;
}

anonset_code as_used_damaged(const as_db *db, uint32_t position, anonset_detail *detail)
{
    return as_fail(detail, ANONSET_CORRUPT, 0,
                   "%s: the used tag at position %u is damaged: repair the store, then sync again",
                   db->path, (unsigned)position);
}

anonset_code as_used_next_row(anonset_used *used, as_db *db, sqlite3_stmt *rows, uint32_t position,
                              anonset_detail *detail)
{
    bool found;
    anonset_code code = as_db_step(db, rows, &found, detail);
    if (code == ANONSET_OK &&
        (!found || sqlite3_column_int64(rows, 0) != position || !take_row(used, rows)))
        code = as_used_damaged(db, position, detail);
    return code;
}

/* ---- Runs --------------------------------------------------------------------------------- */

/* Finds the newest run that begins below `below`. False in *found: there is none. */
static anonset_code run_below(bool *found, uint32_t *run, as_db *db, sqlite3_int64 below,
                              anonset_detail *detail)
{
    sqlite3_stmt *row;
    anonset_code code = as_db_first(db, &row, found, AS_SQL_USED_RUN_BELOW, 1, &below, detail);
    if (code != ANONSET_OK)
        return code;
    sqlite3_int64 begin = *found ? sqlite3_column_int64(row, 0) : 0;
    *found = *found && sqlite3_column_type(row, 0) != SQLITE_NULL;
    sqlite3_reset(row);
    *run = (uint32_t)begin;
    return begin < 0 ? as_used_damaged(db, 0, detail) : ANONSET_OK;
}

static int by_number(const void *a, const void *b)
{
    const sqlite3_int64 *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The entries of the run of n tags from `run` on, in order. */
static anonset_code make_entries(sqlite3_int64 *entries, as_db *db, uint32_t run, uint32_t n,
                                 anonset_detail *detail)
{
    sqlite3_stmt *rows;
    anonset_used used;
    anonset_code code =
        as_db_prepare(db, &rows, AS_SQL_USED_READ, 2, (sqlite3_int64[]){run, n}, detail);
    for (uint32_t i = 0; code == ANONSET_OK && i < n; i++) {
        code = as_used_next_row(&used, db, rows, run + i, detail);
        if (code == ANONSET_OK)
            entries[i] = entry_of(used.tag, i);
    }
    sqlite3_reset(db->statements[AS_SQL_USED_READ]);
    if (code == ANONSET_OK)
        qsort(entries, n, sizeof *entries, by_number);
    return code;
}

/* Makes the run of n tags from `run` on. */
static anonset_code make_run(as_db *db, uint32_t run, uint32_t n, anonset_detail *detail)
{
    sqlite3_int64 *entries = as_alloc(n * sizeof *entries);
    if (entries == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", db->path);
    anonset_code code = make_entries(entries, db, run, n, detail);
    for (uint32_t i = 0; code == ANONSET_OK && i < n; i++)
        code = as_db_run(db, AS_SQL_USED_KEY_PUT, 2, (sqlite3_int64[]){run, entries[i]}, detail);
    as_free(entries);
    return code;
}

/* Sizes of one rank differ by less than a factor of ALIKE. */
static unsigned rank_of(uint32_t n)
{
    unsigned rank = 0;
    for (; n >= ALIKE; n /= ALIKE)
        rank++;
    return rank;
}

/* Moves *begin, where the run that ends at `end` is to begin, back over as many runs as are to be
 * one with it. */
static anonset_code join(uint32_t *begin, as_db *db, uint32_t end, anonset_detail *detail)
{
    for (;;) {
        uint32_t oldest = *begin, run = 0;
        unsigned runs = 1, rank = rank_of(end - *begin);
        while (runs < ALIKE) {
            bool found;
            anonset_code code = run_below(&found, &run, db, oldest, detail);
            if (code != ANONSET_OK)
                return code;
            if (!found || rank_of(oldest - run) > rank)
                break;
            oldest = run;
            runs++;
        }
        if (runs < ALIKE || end - oldest > RUN_MOST)
            return ANONSET_OK;
        *begin = oldest;
    }
}

anonset_code as_used_index_clear(as_db *db, anonset_detail *detail)
{
    return as_db_run(db, AS_SQL_USED_KEY_CLEAR, 0, NULL, detail);
}

static anonset_code cut(as_db *db, uint32_t begin, anonset_detail *detail)
{
    if (begin == 0)
        return as_used_index_clear(db, detail);
    return as_db_run(db, AS_SQL_USED_KEY_CUT, 1, (sqlite3_int64[]){begin}, detail);
}

anonset_code as_used_index_update(as_db *db, const anonset_used_append *a, anonset_detail *detail)
{
    uint32_t begin = a->keep, end = a->keep + a->n, n;
    bool found;
    anonset_code code = ANONSET_OK;
    if (a->n == 0) /* a repair: whatever rotted is made anew */
        begin = 0;
    else if (a->keep < a->before.count) /* what stays of the run that this lies in, too */
        code = run_below(&found, &begin, db, a->keep, detail);
    if (code == ANONSET_OK && begin > 0 && begin < end)
        code = join(&begin, db, end, detail);
    if (code == ANONSET_OK)
        code = cut(db, begin, detail);
    for (; code == ANONSET_OK && begin < end; begin += n) {
        n = end - begin < RUN_MOST ? end - begin : RUN_MOST;
        code = make_run(db, begin, n, detail);
    }
    return code;
}

/* ---- Looking ------------------------------------------------------------------------------ */

anonset_code as_used_index_find(as_db *db, anonset_used *used, uint32_t *position,
                                const uint8_t *tag, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found = true, here = false;
    anonset_code code =
        as_db_prepare(db, &row, AS_SQL_USED_FIND, 1, (sqlite3_int64[]){entry_of(tag, 0)}, detail);
    while (code == ANONSET_OK && found && !here) {
        code = as_db_step(db, row, &found, detail);
        if (code != ANONSET_OK || !found)
            break;
        *position = (uint32_t)sqlite3_column_int64(row, 0);
        if (!take_row(used, row) || !begin_alike(used->tag, tag))
            code = as_used_damaged(db, *position, detail);
        else
            here = memcmp(used->tag, tag, ANONSET_TAG_BYTES) == 0;
    }
    sqlite3_reset(db->statements[AS_SQL_USED_FIND]);
    if (code == ANONSET_OK && !here)
        code = as_fail(detail, ANONSET_NOT_FOUND, 0, "the tag is not in the list");
    return code;
}

/* ---- Checking ----------------------------------------------------------------------------- */

typedef struct scan {
    as_db *db;
    sqlite3_stmt *row; /* of all entries, in order */
    bool more;         /* it stands on one */
    sqlite3_int64 *found, *must;
} scan;

static anonset_code next_entry(scan *s, anonset_detail *detail)
{
    return as_db_step(s->db, s->row, &s->more, detail);
}

/* Another type rotted into sorts elsewhere, whatever number SQLite makes of it. */
static bool is_number(sqlite3_stmt *row, int column, sqlite3_int64 *number)
{
    *number = sqlite3_column_int64(row, column);
    return sqlite3_column_type(row, column) == SQLITE_INTEGER;
}

/* Takes the entries of the run that begins at `run`. *n is 0 if there is no such run, or one that
 * cannot be. */
static anonset_code take_run(uint32_t *n, scan *s, uint32_t run, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    sqlite3_int64 at, entry;
    *n = 0;
    while (code == ANONSET_OK && s->more && is_number(s->row, 0, &at) && at == run) {
        if (*n == RUN_MOST || !is_number(s->row, 1, &entry)) {
            *n = 0;
            return ANONSET_OK;
        }
        s->found[(*n)++] = entry;
        code = next_entry(s, detail);
    }
    return code;
}

/* Goes from run to run as long as each has the entries that its tags ask for, and no other. */
static anonset_code check_runs(scan *s, uint32_t *sound, uint32_t count, anonset_detail *detail)
{
    uint32_t n = 1;
    anonset_code code = as_db_prepare(s->db, &s->row, AS_SQL_USED_KEY_ALL, 0, NULL, detail);
    if (code == ANONSET_OK)
        code = next_entry(s, detail);
    while (code == ANONSET_OK && *sound < count) {
        code = take_run(&n, s, *sound, detail);
        if (code != ANONSET_OK || n == 0 || n > count - *sound)
            break;
        code = make_entries(s->must, s->db, *sound, n, detail);
        if (code != ANONSET_OK || memcmp(s->must, s->found, n * sizeof *s->must) != 0)
            break;
        *sound += n;
    }
    if (code == ANONSET_OK && *sound == count && s->more) /* an entry of no tag: it is in the way */
        *sound = 0;
    sqlite3_reset(s->db->statements[AS_SQL_USED_KEY_ALL]);
    return code == ANONSET_CORRUPT ? ANONSET_OK : code;
}

anonset_code as_used_index_check(as_db *db, uint32_t *sound, uint32_t count, anonset_detail *detail)
{
    scan s = {.db = db, .found = as_alloc(2 * (size_t)RUN_MOST * sizeof *s.found)};
    if (s.found == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", db->path);
    s.must = s.found + RUN_MOST;
    *sound = 0;
    anonset_code code = check_runs(&s, sound, count, detail);
    as_free(s.found);
    return code;
}
