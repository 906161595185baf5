/*
 * The list of used coin tags: a row a tag, found by an index. The index is what a wallet asks, for
 * each coin of its own; it makes each batch of tags touch pages all over, which is why batches are
 * large (ANONSET_USED_BATCH).
 */
#include "backends/sqlite/schema.h"
#include "backends/sqlite/store.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct used_view {
    as_sqlite *store;
    as_db *db; /* in a read transaction */
} used_view;

/* Without a record the list is empty, unless that was lost. */
static anonset_code check_empty(as_db *db, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found;
    anonset_code code =
        as_db_prepare(db, &row, AS_SQL_USED_READ, 2, (sqlite3_int64[]){INT64_MIN, 1}, detail);
    if (code == ANONSET_OK)
        code = as_db_step(db, row, &found, detail);
    if (code != ANONSET_OK || !found)
        return code;
    sqlite3_reset(row);
    return as_fail(detail, ANONSET_CORRUPT, 0,
                   "%s: there are used tags without the record of their list: repair the store, "
                   "then sync again",
                   db->path);
}

static anonset_code load(anonset_used_state *state, as_db *db, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found;
    anonset_code code = as_db_prepare(db, &row, AS_SQL_USED_STATE, 0, NULL, detail);
    if (code == ANONSET_OK)
        code = as_db_step(db, row, &found, detail);
    if (code != ANONSET_OK)
        return code;
    const void *record = found ? sqlite3_column_blob(row, 0) : NULL;
    size_t len = record == NULL ? (size_t)found : (size_t)sqlite3_column_bytes(row, 0);
    code = as_used_decode(state, record, len, detail);
    sqlite3_reset(row);
    return code == ANONSET_OK && !found ? check_empty(db, detail) : code;
}

/* ---- Writing ------------------------------------------------------------------------------ */

static anonset_code store_state(as_db *db, const anonset_used_state *state, anonset_detail *detail)
{
    uint8_t record[AS_USED_BYTES];
    as_used_encode(record, state);
    return as_db_run_blob(db, AS_SQL_USED_STATE_PUT, 0, NULL, record, sizeof record,
                          "write the record of used tags", detail);
}

static anonset_code insert(as_db *db, uint32_t position, const anonset_used *used,
                           anonset_detail *detail)
{
    sqlite3_stmt *statement;
    anonset_code code =
        as_db_prepare(db, &statement, AS_SQL_USED_INSERT, 1, (sqlite3_int64[]){position}, detail);
    if (code != ANONSET_OK)
        return code;
    int rc = sqlite3_bind_blob(statement, 2, used->tag, sizeof used->tag, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob(statement, 3, used->tx_hash, sizeof used->tx_hash, SQLITE_STATIC);
    return rc == SQLITE_OK ? as_db_finish(db, statement, detail)
                           : as_db_fail(db, rc, "write a used tag", detail);
}

static int by_tag(const void *a, const void *b)
{
    const anonset_used *const *x = a, *const *y = b;
    return memcmp((*x)->tag, (*y)->tag, ANONSET_TAG_BYTES);
}

/* In the order of the index: so each of its pages is changed once, and the few pages of these rows
 * stay at hand. */
static anonset_code insert_all(as_db *db, const anonset_used_append *a, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    if (a->n == 0)
        return ANONSET_OK;
    const anonset_used **order = as_alloc(a->n * sizeof *order);
    if (order == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", db->path);
    for (uint32_t i = 0; i < a->n; i++)
        order[i] = &a->used[i];
    qsort(order, a->n, sizeof *order, by_tag);
    for (uint32_t i = 0; code == ANONSET_OK && i < a->n; i++)
        code = insert(db, a->keep + (uint32_t)(order[i] - a->used), order[i], detail);
    as_free(order);
    return code;
}

/* All of it without a look at the index, which may not fit any more what is in the table. */
static anonset_code cut(as_db *db, uint32_t keep, anonset_detail *detail)
{
    if (keep == 0)
        return as_db_run(db, AS_SQL_USED_DELETE_ALL, 0, NULL, detail);
    return as_db_run(db, AS_SQL_USED_DELETE_FROM, 1, (sqlite3_int64[]){keep}, detail);
}

/* In the row of its last tag, with which it goes. */
static anonset_code put_mark(as_db *db, const anonset_used_state *mark, anonset_detail *detail)
{
    return as_db_run_blob(db, AS_SQL_USED_MARK_PUT, 1,
                          (sqlite3_int64[]){(sqlite3_int64)mark->count - 1}, mark->digest,
                          sizeof mark->digest, "write a digest of used tags", detail);
}

anonset_code as_sqlite_work_used(as_db *db, const void *in, anonset_detail *detail)
{
    const anonset_used_append *a = in;
    anonset_used_state now, next = {.count = 0};
    anonset_code code = load(&now, db, detail);
    if (code == ANONSET_OK)
        code = as_used_next(&next, &now, a, detail);
    if (code == ANONSET_OK && a->keep < now.count)
        code = cut(db, a->keep, detail);
    if (code == ANONSET_OK)
        code = insert_all(db, a, detail);
    if (code == ANONSET_OK)
        code = put_mark(db, &next, detail);
    return code == ANONSET_OK ? store_state(db, &next, detail) : code;
}

anonset_code as_sqlite_used_clear(as_db *db, anonset_detail *detail)
{
    anonset_code code = cut(db, 0, detail);
    return code == ANONSET_OK ? as_db_run(db, AS_SQL_USED_STATE_DELETE, 0, NULL, detail) : code;
}

/* ---- Reading ------------------------------------------------------------------------------ */

anonset_code as_sqlite_used_open(void *handle, void **out, anonset_used_state *state,
                                 anonset_detail *detail)
{
    as_sqlite *store = handle;
    anonset_code code = as_sqlite_usable(store, detail);
    if (code != ANONSET_OK)
        return code;
    used_view *v = as_alloc_zeroed(sizeof *v);
    if (v == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", store->path);
    v->store = store;
    code = as_sqlite_reader_take(store, &v->db, detail);
    if (code != ANONSET_OK) {
        as_free(v);
        return code;
    }
    code = as_db_run(v->db, AS_SQL_BEGIN_READ, 0, NULL, detail);
    if (code == ANONSET_OK) /* the first read is what fixes the state */
        code = load(state, v->db, detail);
    if (code == ANONSET_OK)
        *out = v;
    else
        as_sqlite_used_close(v);
    return code;
}

void as_sqlite_used_close(void *closed)
{
    used_view *v = closed;
    if (!sqlite3_get_autocommit(v->db->sqlite))
        (void)as_db_run(v->db, AS_SQL_COMMIT, 0, NULL, NULL); /* else the connection is dropped */
    as_sqlite_reader_give(v->store, v->db);
    as_free(v);
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

static anonset_code damaged(const as_db *db, uint32_t position, anonset_detail *detail)
{
    return as_fail(detail, ANONSET_CORRUPT, 0,
                   "%s: the used tag at position %u is damaged: repair the store, then sync again",
                   db->path, (unsigned)position);
}

anonset_code as_sqlite_used_read(void *opened, anonset_used *used, uint32_t *n, uint32_t from,
                                 uint32_t room, anonset_detail *detail)
{
    const used_view *v = opened;
    sqlite3_stmt *row;
    bool found = true;
    uint32_t done = 0;
    anonset_code code =
        as_db_prepare(v->db, &row, AS_SQL_USED_READ, 2, (sqlite3_int64[]){from, room}, detail);
    while (code == ANONSET_OK && done < room) {
        code = as_db_step(v->db, row, &found, detail);
        if (code == ANONSET_OK &&
            (!found || sqlite3_column_int64(row, 0) != from + done || !take_row(&used[done], row)))
            code = damaged(v->db, from + done, detail);
        else
            done++;
    }
    if (code == ANONSET_OK)
        *n = done;
    sqlite3_reset(v->db->statements[AS_SQL_USED_READ]);
    return code;
}

anonset_code as_sqlite_used_find(void *opened, anonset_used *used, uint32_t *position,
                                 const uint8_t *tag, anonset_detail *detail)
{
    const used_view *v = opened;
    sqlite3_stmt *row;
    bool found = false;
    anonset_code code = as_db_prepare(v->db, &row, AS_SQL_USED_FIND, 0, NULL, detail);
    if (code != ANONSET_OK)
        return code;
    int rc = sqlite3_bind_blob(row, 1, tag, ANONSET_TAG_BYTES, SQLITE_TRANSIENT);
    code = rc == SQLITE_OK ? as_db_step(v->db, row, &found, detail)
                           : as_db_fail(v->db, rc, "look a tag up", detail);
    if (code != ANONSET_OK)
        return code;
    if (!found)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "the tag is not in the list");
    *position = (uint32_t)sqlite3_column_int64(row, 0);
    /* An index that rotted may lead to another row. */
    if (!take_row(used, row) || memcmp(used->tag, tag, ANONSET_TAG_BYTES) != 0)
        code = damaged(v->db, *position, detail);
    sqlite3_reset(row);
    return code;
}

anonset_code as_sqlite_used_mark(void *opened, anonset_used_state *mark, uint32_t above,
                                 anonset_detail *detail)
{
    const used_view *v = opened;
    sqlite3_stmt *row;
    bool found = false;
    anonset_code code =
        as_db_prepare(v->db, &row, AS_SQL_USED_MARK, 1, (sqlite3_int64[]){above}, detail);
    if (code == ANONSET_OK)
        code = as_db_step(v->db, row, &found, detail);
    if (code != ANONSET_OK)
        return code;
    *mark = (anonset_used_state){.count = 0};
    const void *digest = found ? sqlite3_column_blob(row, 1) : NULL;
    if (digest != NULL && sqlite3_column_bytes(row, 1) == ANONSET_HASH_BYTES) {
        mark->count = (uint32_t)sqlite3_column_int64(row, 0) + 1;
        memcpy(mark->digest, digest, sizeof mark->digest);
    } else if (found) {
        code = damaged(v->db, (uint32_t)sqlite3_column_int64(row, 0), detail);
    }
    sqlite3_reset(row);
    return code;
}
