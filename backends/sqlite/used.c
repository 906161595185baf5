/* The list of used coin tags: a row a tag, and an index of its own (used_index.h). */
#include "backends/sqlite/schema.h"
#include "backends/sqlite/store.h"
#include "backends/sqlite/used_index.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
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
        as_db_first(db, &row, &found, AS_SQL_USED_READ, 2, (sqlite3_int64[]){INT64_MIN, 1}, detail);
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
    anonset_code code = as_db_first(db, &row, &found, AS_SQL_USED_STATE, 0, NULL, detail);
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

static anonset_code insert_all(as_db *db, const anonset_used_append *a, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    for (uint32_t i = 0; code == ANONSET_OK && i < a->n; i++)
        code = insert(db, a->keep + i, &a->used[i], detail);
    return code;
}

/* All of it without a look at the rows, whatever rotted in them. */
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

/* Behind a repair: a row whose position rotted may not be where a cut looks for it, and be in the
 * way of what comes. */
static anonset_code count_rows(as_db *db, uint32_t count, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found;
    anonset_code code = as_db_first(db, &row, &found, AS_SQL_USED_COUNT, 0, NULL, detail);
    if (code != ANONSET_OK)
        return code;
    bool same = found && sqlite3_column_int64(row, 0) == count;
    sqlite3_reset(row);
    return same
               ? ANONSET_OK
               : as_fail(detail, ANONSET_CORRUPT, 0,
                         "%s: used tags are out of their places: repair the store, then sync again",
                         db->path);
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
    if (code == ANONSET_OK && (a->n > 0 || a->keep < now.count))
        code = as_used_index_update(db, a, detail);
    if (code == ANONSET_OK && a->n == 0)
        code = count_rows(db, a->keep, detail);
    if (code == ANONSET_OK)
        code = put_mark(db, &next, detail);
    return code == ANONSET_OK ? store_state(db, &next, detail) : code;
}

anonset_code as_sqlite_used_clear(as_db *db, anonset_detail *detail)
{
    anonset_code code = cut(db, 0, detail);
    if (code == ANONSET_OK)
        code = as_used_index_clear(db, detail);
    return code == ANONSET_OK ? as_db_run(db, AS_SQL_USED_STATE_DELETE, 0, NULL, detail) : code;
}

/* ---- Reading ------------------------------------------------------------------------------ */

anonset_code as_sqlite_used_open(void *handle, void **out, anonset_used_state *state,
                                 anonset_detail *detail)
{
    as_sqlite *store = handle;
    used_view *v = as_alloc_zeroed(sizeof *v);
    if (v == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", store->path);
    v->store = store;
    anonset_code code = as_sqlite_reader_take(store, &v->db, detail);
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

anonset_code as_sqlite_used_read(void *opened, anonset_used *used, uint32_t *n, uint32_t from,
                                 uint32_t room, anonset_detail *detail)
{
    const used_view *v = opened;
    sqlite3_stmt *row;
    uint32_t done = 0;
    anonset_code code =
        as_db_prepare(v->db, &row, AS_SQL_USED_READ, 2, (sqlite3_int64[]){from, room}, detail);
    for (; code == ANONSET_OK && done < room; done++)
        code = as_used_next_row(&used[done], v->db, row, from + done, detail);
    if (code == ANONSET_OK)
        *n = done;
    sqlite3_reset(v->db->statements[AS_SQL_USED_READ]);
    return code;
}

anonset_code as_sqlite_used_find(void *opened, anonset_used *used, uint32_t *position,
                                 const uint8_t *tag, anonset_detail *detail)
{
    const used_view *v = opened;
    return as_used_index_find(v->db, used, position, tag, detail);
}

anonset_code as_sqlite_used_check(void *opened, uint32_t *sound, anonset_detail *detail)
{
    const used_view *v = opened;
    anonset_used_state state;
    anonset_code code = load(&state, v->db, detail);
    /* Pages in disorder may be read from one end to the other, and lead a search astray. */
    if (code == ANONSET_OK)
        code = as_db_check_pages(v->db, AS_SQL_USED_CHECK, detail);
    if (code == ANONSET_OK)
        code = as_db_check_pages(v->db, AS_SQL_USED_KEY_CHECK, detail);
    return code == ANONSET_OK ? as_used_index_check(v->db, sound, state.count, detail) : code;
}

anonset_code as_sqlite_used_mark(void *opened, anonset_used_state *mark, uint32_t above,
                                 anonset_detail *detail)
{
    const used_view *v = opened;
    sqlite3_stmt *row;
    bool found = false;
    anonset_code code =
        as_db_first(v->db, &row, &found, AS_SQL_USED_MARK, 1, (sqlite3_int64[]){above}, detail);
    if (code != ANONSET_OK)
        return code;
    *mark = (anonset_used_state){.count = 0};
    const void *digest = found ? sqlite3_column_blob(row, 1) : NULL;
    if (digest != NULL && sqlite3_column_bytes(row, 1) == ANONSET_HASH_BYTES) {
        mark->count = (uint32_t)sqlite3_column_int64(row, 0) + 1;
        memcpy(mark->digest, digest, sizeof mark->digest);
    } else if (found) {
        code = as_used_damaged(v->db, (uint32_t)sqlite3_column_int64(row, 0), detail);
    }
    sqlite3_reset(row);
    return code;
}
