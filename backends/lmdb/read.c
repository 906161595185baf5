#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/read.h"

#include "backends/lmdb/checkpoints.h"
#include "backends/lmdb/file.h"
#include "core/alloc.h"
#include "core/detail.h"
#include "core/pack.h"

#include <errno.h>
#include <string.h>

struct as_view {
    as_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint32_t group;
    anonset_view which;
    as_ledger ledger;
    anonset_coin *coins; /* of the last run read */
    uint32_t room;
};

static anonset_code fail(const as_view *view, int rc, anonset_detail *detail)
{
    return as_lmdb_fail(detail, rc, "read", as_env_path(view->env));
}

static anonset_code open_cursor(as_view *view, anonset_detail *detail)
{
    int rc = mdb_cursor_open(view->txn, as_env_table(view->env), &view->cursor);
    return rc == 0 ? ANONSET_OK : fail(view, rc, detail);
}

anonset_code as_view_open(as_view **view, anonset_state *state, as_env *env, uint32_t group,
                          anonset_view which, unsigned busy_ms, anonset_detail *detail)
{
    as_view *made = as_alloc_zeroed(sizeof *made);
    if (made == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "out of memory for a snapshot");
    *made = (as_view){.env = env, .group = group, .which = which};
    anonset_code code = as_read_begin(&made->txn, env, busy_ms, detail);
    if (code == ANONSET_OK)
        code = as_load_ledger(&made->ledger, made->txn, group, as_env_path(env), detail);
    if (code == ANONSET_OK)
        code = open_cursor(made, detail);
    if (code != ANONSET_OK) {
        as_view_close(made);
        return code;
    }
    *state = made->ledger.state;
    *view = made;
    return ANONSET_OK;
}

void as_view_close(void *closed)
{
    as_view *view = closed;
    if (view->cursor)
        mdb_cursor_close(view->cursor);
    if (view->txn)
        as_read_end(view->env, view->txn);
    as_free(view->coins);
    as_free(view);
}

/* ---- Rows --------------------------------------------------------------------------------- */

/* A row, and the part of it that the view shows. */
typedef struct row {
    uint32_t start;
    uint32_t end;
    as_pack pack;
} row;

static int move_in_view(as_view *view, MDB_cursor_op op, as_key *key, MDB_val *val)
{
    int rc;
    do
        rc = as_cursor_move(view->cursor, op, AS_KIND_PACK, view->group, key, val);
    while (rc == 0 && !as_ledger_row_in_view(&view->ledger, view->which, key->at, key->sub));
    return rc;
}

/* Where the next row of the view behind the one at the cursor begins. Rows of the other view lie in
 * between, but none of this one at or past its size. */
static anonset_code next_start(as_view *view, uint32_t *start, anonset_detail *detail)
{
    uint32_t size = as_ledger_view_size(&view->ledger, view->which);
    as_key key;
    MDB_val val;
    int rc;
    *start = UINT32_MAX;
    do {
        rc = as_cursor_move(view->cursor, MDB_NEXT, AS_KIND_PACK, view->group, &key, &val);
        if (rc == 0 && as_ledger_row_in_view(&view->ledger, view->which, key.at, key.sub)) {
            *start = key.at;
            return ANONSET_OK;
        }
    } while (rc == 0 && key.at < size);
    return rc == 0 || rc == MDB_NOTFOUND ? ANONSET_OK : fail(view, rc, detail);
}

static anonset_code damaged(const as_view *view, uint32_t position, anonset_detail *detail)
{
    return as_fail(detail, ANONSET_CORRUPT, 0, "%s: group %u: no coin is stored at position %u",
                   as_env_path(view->env), (unsigned)view->group, (unsigned)position);
}

static anonset_code find_row(as_view *view, row *found, uint32_t position, anonset_detail *detail)
{
    as_key key = {AS_KIND_PACK, view->group, position, UINT32_MAX};
    MDB_val val;
    uint32_t next = UINT32_MAX;
    int rc = as_cursor_at_most(view->cursor, &key, &val);
    if (rc == 0 && !as_ledger_row_in_view(&view->ledger, view->which, key.at, key.sub))
        rc = move_in_view(view, MDB_PREV, &key, &val);
    if (rc == MDB_NOTFOUND)
        return damaged(view, position, detail);
    if (rc != 0)
        return fail(view, rc, detail);
    anonset_code code = as_pack_open(&found->pack, val.mv_data, val.mv_size, detail);
    if (code == ANONSET_OK) /* even a row that reaches the view's end may be cut by the next one */
        code = next_start(view, &next, detail);
    if (code != ANONSET_OK)
        return code;
    found->start = key.at;
    found->end = as_ledger_row_end(&view->ledger, view->which, key.at, found->pack.n, next);
    return position < found->end ? ANONSET_OK : damaged(view, position, detail);
}

static anonset_code make_room(as_view *view, uint32_t n, anonset_detail *detail)
{
    if (n <= view->room)
        return ANONSET_OK;
    anonset_coin *coins = as_realloc(view->coins, n * sizeof *coins);
    if (coins == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "out of memory for %u coins",
                       (unsigned)n);
    view->coins = coins;
    view->room = n;
    return ANONSET_OK;
}

anonset_code as_view_read(void *reading, anonset_run *run, uint32_t position,
                          anonset_detail *detail)
{
    as_view *view = reading;
    row found;
    anonset_code code = find_row(view, &found, position, detail);
    if (code == ANONSET_OK)
        code = make_room(view, found.pack.n, detail);
    if (code == ANONSET_OK)
        code = as_pack_coins(view->coins, &found.pack, detail);
    if (code != ANONSET_OK)
        return code;
    *run = (anonset_run){.start = found.start, .n = found.end - found.start, .coins = view->coins};
    run->has_digest = run->n == found.pack.n;
    if (run->has_digest)
        memcpy(run->digest, found.pack.digest, sizeof run->digest);
    return ANONSET_OK;
}

anonset_code as_view_tags(void *reading, anonset_run *run, uint32_t position,
                          anonset_detail *detail)
{
    row found;
    anonset_code code = find_row(reading, &found, position, detail);
    if (code == ANONSET_OK)
        *run = (anonset_run){
            .start = found.start, .n = found.end - found.start, .tags = found.pack.tags};
    return code;
}

/* ---- Checkpoints -------------------------------------------------------------------------- */

anonset_code as_view_checkpoint(void *reading, anonset_checkpoint *checkpoint, uint32_t index,
                                anonset_detail *detail)
{
    const as_view *view = reading;
    uint32_t n;
    const char *path = as_env_path(view->env);
    anonset_code code = as_checkpoints_count(&n, view->cursor, view->group, path, detail);
    if (code != ANONSET_OK)
        return code;
    if (index >= n)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "%s: group %u has %u checkpoints", path,
                       (unsigned)view->group, (unsigned)n);
    return as_checkpoints_read(checkpoint, view->txn, view->group, n - 1 - index, path, detail);
}
