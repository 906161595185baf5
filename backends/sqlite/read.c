#include "backends/sqlite/schema.h"
#include "backends/sqlite/store.h"
#include "core/alloc.h"
#include "core/detail.h"
#include "core/pack.h"

#include <errno.h>
#include <string.h>

#define TAGS_BYTES_MOST (4 + ANONSET_HASH_BYTES + 4 * (size_t)AS_PACK_COINS_MAX)

typedef struct snapshot {
    as_sqlite *store;
    as_db *db; /* in a read transaction */
    as_sqlite_group group;
    anonset_view view;
    anonset_coin *coins; /* of the run handed out; they point into the row that was read */
    uint32_t coins_room;
    uint8_t *tags;          /* front of a pack: all of it up to the tags' end */
    sqlite3_blob *blob;     /* NULL: none was opened yet */
    sqlite3_stmt *history;  /* NULL: at no checkpoint */
    uint32_t history_index; /* of the checkpoint it stands on, and … */
    sqlite3_int64 older;    /* … how many the group has below it */
} snapshot;

/* ---- What a store knows of itself --------------------------------------------------------- */

anonset_code as_sqlite_read_info(as_db *db, anonset_store_info *info, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found;
    anonset_code code = as_db_first(db, &row, &found, AS_SQL_INFO, 0, NULL, detail);
    if (code != ANONSET_OK)
        return code;
    const void *record = found ? sqlite3_column_blob(row, 0) : NULL;
    bool sound =
        record != NULL && as_identity_decode(info, record, (size_t)sqlite3_column_bytes(row, 0));
    sqlite3_reset(row);
    if (sound)
        return ANONSET_OK;
    return as_fail(
        detail, ANONSET_CORRUPT, 0,
        "%s: the row about the store itself is damaged: repair the store, then sync again",
        db->path);
}

/* ---- Snapshots ---------------------------------------------------------------------------- */

static anonset_code begin(snapshot *s, uint32_t group, anonset_detail *detail)
{
    anonset_code code = as_db_run(s->db, AS_SQL_BEGIN_READ, 0, NULL, detail);
    if (code == ANONSET_OK) /* the first read is what fixes the state */
        code = as_sqlite_group_load(&s->group, s->db, group, detail);
    return code;
}

anonset_code as_sqlite_snapshot_open(void *handle, void **out, anonset_state *state, uint32_t group,
                                     anonset_view view, anonset_detail *detail)
{
    as_sqlite *store = handle;
    snapshot *s = as_alloc_zeroed(sizeof *s);
    if (s == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", store->path);
    s->store = store;
    s->view = view;
    anonset_code code = as_sqlite_reader_take(store, &s->db, detail);
    if (code != ANONSET_OK) {
        as_free(s);
        return code;
    }
    code = begin(s, group, detail);
    if (code != ANONSET_OK) {
        as_sqlite_snapshot_close(s);
        return code;
    }
    *state = s->group.ledger.state;
    *out = s;
    return ANONSET_OK;
}

void as_sqlite_snapshot_close(void *closed)
{
    snapshot *s = closed;
    sqlite3_blob_close(s->blob);
    for (size_t i = 0; i < AS_SQL_COUNT; i++)
        sqlite3_reset(s->db->statements[i]);
    if (!sqlite3_get_autocommit(s->db->sqlite))
        (void)as_db_run(s->db, AS_SQL_COMMIT, 0, NULL, NULL); /* else the connection is dropped */
    as_sqlite_reader_give(s->store, s->db);
    as_free(s->coins);
    as_free(s->tags);
    as_free(s);
}

/* ---- Finding rows ------------------------------------------------------------------------- */

/* The rows of a view lie on two sides: the pending ones, and all others. A NEXT view changes sides
 * at `base`. */
typedef struct side {
    sqlite3_int64 epoch; /* -1: no pending set, every row is of the other side */
    bool pending;
    uint32_t from, to; /* positions of the view on this side */
} side;

static side side_of(const snapshot *s, uint32_t position)
{
    const as_ledger *ledger = &s->group.ledger;
    const anonset_state *state = &ledger->state;
    bool next = s->view == ANONSET_VIEW_NEXT && state->has_pending;
    side found = {.epoch = state->has_pending ? (sqlite3_int64)ledger->epoch : -1,
                  .to = as_ledger_view_size(ledger, s->view)};
    if (next && position >= state->base) {
        found.pending = true;
        found.from = state->base;
    } else if (next) {
        found.to = state->base;
    }
    return found;
}

static anonset_code missing(const snapshot *s, uint32_t position, anonset_detail *detail)
{
    return as_fail(detail, ANONSET_CORRUPT, 0,
                   "%s: the coin at position %u is missing: clear the group and sync again",
                   s->db->path, position);
}

/* Finds the row that shows `position`, by `which`: PACK_FIND or PACK_READ. */
static anonset_code find_row(sqlite3_stmt **row, snapshot *s, const side *in, uint32_t position,
                             as_sql which, anonset_detail *detail)
{
    sqlite3_int64 slot = s->group.slot;
    bool found;
    anonset_code code =
        as_db_prepare(s->db, row, which, 4,
                      (sqlite3_int64[]){as_pack_id(slot, in->from, false),
                                        as_pack_id(slot, position, true), in->epoch, in->pending},
                      detail);
    if (code == ANONSET_OK)
        code = as_db_step(s->db, *row, &found, detail);
    if (code == ANONSET_OK && !found)
        code = missing(s, position, detail);
    return code;
}

/* Where the row behind the one of [start, end) begins, if that is before `end`; else `end`. */
static anonset_code find_next(uint32_t *next, snapshot *s, const side *in, uint32_t start,
                              uint32_t end, anonset_detail *detail)
{
    sqlite3_int64 slot = s->group.slot;
    sqlite3_stmt *row;
    bool found;
    *next = end;
    if (end - start < 2)
        return ANONSET_OK;
    anonset_code code =
        as_db_prepare(s->db, &row, AS_SQL_PACK_NEXT, 4,
                      (sqlite3_int64[]){as_pack_id(slot, start + 1, false),
                                        as_pack_id(slot, end - 1, true), in->epoch, in->pending},
                      detail);
    if (code == ANONSET_OK)
        code = as_db_step(s->db, row, &found, detail);
    if (code != ANONSET_OK || !found)
        return code;
    *next = as_pack_start(sqlite3_column_int64(row, 0));
    sqlite3_reset(row);
    return ANONSET_OK;
}

/* Sets start and n of the run that a row of n coins shows, and whether the row was cut for it. */
static anonset_code frame(anonset_run *run, bool *cut, snapshot *s, const side *in,
                          sqlite3_stmt *row, uint32_t position, anonset_detail *detail)
{
    uint32_t start = as_pack_start(sqlite3_column_int64(row, 0)), next;
    sqlite3_int64 n = sqlite3_column_int64(row, 1);
    if (n < 1 || n > AS_PACK_COINS_MAX || start > position)
        return missing(s, position, detail);
    uint32_t end = (uint64_t)start + (uint64_t)n < in->to ? start + (uint32_t)n : in->to;
    anonset_code code = find_next(&next, s, in, start, end, detail);
    if (code != ANONSET_OK)
        return code;
    end = as_ledger_row_end(&s->group.ledger, s->view, start, (uint32_t)n, next);
    if (end <= position)
        return missing(s, position, detail);
    *run = (anonset_run){.start = start, .n = end - start};
    *cut = end - start < (uint32_t)n;
    return ANONSET_OK;
}

/* ---- Reading ------------------------------------------------------------------------------ */

static anonset_code make_room(snapshot *s, uint32_t n, anonset_detail *detail)
{
    if (n <= s->coins_room)
        return ANONSET_OK;
    anonset_coin *coins = as_realloc(s->coins, n * sizeof *coins);
    if (coins == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory for coins",
                       s->db->path);
    s->coins = coins;
    s->coins_room = n;
    return ANONSET_OK;
}

static anonset_code decode(snapshot *s, as_pack *pack, sqlite3_stmt *row, anonset_detail *detail)
{
    /* Of a text, which one bit makes of it, SQL's length() counts characters: writes go by that. */
    bool is_blob = sqlite3_column_type(row, 2) == SQLITE_BLOB;
    const void *body = sqlite3_column_blob(row, 2);
    size_t len = is_blob && body != NULL ? (size_t)sqlite3_column_bytes(row, 2) : 0;
    anonset_code code = as_pack_open(pack, body, len, detail);
    if (code == ANONSET_OK && pack->n != sqlite3_column_int64(row, 1))
        code = as_fail(detail, ANONSET_CORRUPT, 0, "%s: a row and its pack count other coins",
                       s->db->path);
    if (code == ANONSET_OK)
        code = make_room(s, pack->n, detail);
    return code == ANONSET_OK ? as_pack_coins(s->coins, pack, detail) : code;
}

anonset_code as_sqlite_read(void *opened, anonset_run *run, uint32_t position,
                            anonset_detail *detail)
{
    snapshot *s = opened;
    side in = side_of(s, position);
    sqlite3_stmt *row;
    anonset_run found;
    as_pack pack;
    bool cut;
    anonset_code code = find_row(&row, s, &in, position, AS_SQL_PACK_READ, detail);
    if (code != ANONSET_OK)
        return code;
    code = frame(&found, &cut, s, &in, row, position, detail);
    if (code == ANONSET_OK)
        code = decode(s, &pack, row, detail);
    if (code != ANONSET_OK) {
        sqlite3_reset(row);
        return code;
    }
    found.coins = s->coins;
    found.has_digest = !cut;
    if (!cut)
        memcpy(found.digest, pack.digest, ANONSET_HASH_BYTES);
    *run = found; /* the row stays as it is until the next read: the coins point into it */
    return ANONSET_OK;
}

/* Reads the pack's front alone: its tags are in the first page or two of a row of many. */
static anonset_code read_front(snapshot *s, sqlite3_int64 id, size_t len, anonset_detail *detail)
{
    if (s->tags == NULL)
        s->tags = as_alloc(TAGS_BYTES_MOST);
    if (s->tags == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory for tags",
                       s->db->path);
    int rc = s->blob == NULL
                 ? sqlite3_blob_open(s->db->sqlite, "main", "pack", "body", id, 0, &s->blob)
                 : sqlite3_blob_reopen(s->blob, id);
    bool whole = rc == SQLITE_OK && (size_t)sqlite3_blob_bytes(s->blob) >= len;
    if (whole)
        rc = sqlite3_blob_read(s->blob, s->tags, (int)len, 0);
    if (whole && rc == SQLITE_OK)
        return ANONSET_OK;
    (void)sqlite3_blob_close(s->blob); /* one that failed refuses all rows behind */
    s->blob = NULL;
    /* SQLite's plain error: no such row, though a search of the same tree has just found it. */
    return rc == SQLITE_OK || rc == SQLITE_ERROR
               ? as_fail(detail, ANONSET_CORRUPT, 0, "%s: a row lacks tags", s->db->path)
               : as_db_fail(s->db, rc, "read tags", detail);
}

anonset_code as_sqlite_read_tags(void *opened, anonset_run *run, uint32_t position,
                                 anonset_detail *detail)
{
    snapshot *s = opened;
    side in = side_of(s, position);
    sqlite3_stmt *row;
    anonset_run found;
    as_pack pack;
    bool cut;
    anonset_code code = find_row(&row, s, &in, position, AS_SQL_PACK_FIND, detail);
    if (code != ANONSET_OK)
        return code;
    sqlite3_int64 id = sqlite3_column_int64(row, 0);
    uint32_t n = (uint32_t)sqlite3_column_int64(row, 1);
    code = frame(&found, &cut, s, &in, row, position, detail);
    sqlite3_reset(row);
    size_t len = 4 + ANONSET_HASH_BYTES + 4 * (size_t)n;
    if (code == ANONSET_OK)
        code = read_front(s, id, len, detail);
    if (code == ANONSET_OK)
        code = as_pack_open(&pack, s->tags, len, detail);
    if (code == ANONSET_OK && pack.n != n)
        code = as_fail(detail, ANONSET_CORRUPT, 0, "%s: a row and its pack count other coins",
                       s->db->path);
    if (code != ANONSET_OK)
        return code;
    found.tags = pack.tags;
    *run = found;
    return ANONSET_OK;
}

/* ---- Checkpoints -------------------------------------------------------------------------- */

/* The next older one. Keys have no gap, down to the first: what is missing was lost. */
static anonset_code go_down(snapshot *s, bool newest, anonset_detail *detail)
{
    bool found;
    sqlite3_int64 before = s->older;
    anonset_code code = as_db_step(s->db, s->history, &found, detail);
    if (code != ANONSET_OK)
        return code;
    s->older =
        found ? sqlite3_column_int64(s->history, 0) - as_checkpoint_first(s->group.slot) : -1;
    if (!newest && s->older != before - 1)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "%s: group %u: a checkpoint was lost: repair the store, then sync again",
                       s->db->path, (unsigned)s->group.group);
    return found ? ANONSET_OK : as_fail(detail, ANONSET_NOT_FOUND, 0, "no more checkpoints");
}

/* Stands on the checkpoint `index`, going on from the one before where it can. */
static anonset_code go_to(snapshot *s, uint32_t index, anonset_detail *detail)
{
    sqlite3_int64 slot = s->group.slot;
    if (s->history != NULL && index == s->history_index)
        return ANONSET_OK;
    bool afresh = s->history == NULL || index < s->history_index;
    uint32_t steps = afresh ? index + 1 : index - s->history_index;
    anonset_code code = ANONSET_OK;
    if (afresh)
        code = as_db_prepare(s->db, &s->history, AS_SQL_CHECKPOINT_READ, 2,
                             (sqlite3_int64[]){as_checkpoint_first(slot), as_checkpoint_last(slot)},
                             detail);
    for (uint32_t i = 0; code == ANONSET_OK && i < steps; i++)
        code = go_down(s, afresh && i == 0, detail);
    if (code != ANONSET_OK)
        s->history = NULL;
    s->history_index = index;
    return code;
}

anonset_code as_sqlite_checkpoint(void *opened, anonset_checkpoint *checkpoint, uint32_t index,
                                  anonset_detail *detail)
{
    snapshot *s = opened;
    anonset_code code = go_to(s, index, detail);
    if (code != ANONSET_OK)
        return code;
    const void *record = sqlite3_column_blob(s->history, 1);
    return as_checkpoint_decode(checkpoint, record,
                                record == NULL ? 0 : (size_t)sqlite3_column_bytes(s->history, 1),
                                (as_checkpoint_at){s->group.group, (uint32_t)s->older}, detail);
}
