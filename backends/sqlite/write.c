#include "backends/sqlite/rows.h"
#include "backends/sqlite/schema.h"
#include "core/detail.h"

#include <string.h>

/* ---- The record of a group ---------------------------------------------------------------- */

/* A slot for a group that has none. Slots of groups that were cleared are used again: nothing is
 * left in them. */
static anonset_code new_slot(sqlite3_int64 *slot, as_db *db, uint32_t group, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found;
    anonset_code code = as_db_first(db, &row, &found, AS_SQL_GROUP_NEW_SLOT, 0, NULL, detail);
    if (code != ANONSET_OK)
        return code;
    sqlite3_int64 free_slot = found ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    if (free_slot < 1 || free_slot > AS_SLOT_MOST)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "%s: no room for another group: clear and sync again", db->path);
    *slot = free_slot;
    return as_db_run(db, AS_SQL_GROUP_PUT, 2, (sqlite3_int64[]){group, free_slot}, detail);
}

static anonset_code put_record(as_db *db, const as_sqlite_group *group, const as_ledger *ledger,
                               anonset_detail *detail)
{
    uint8_t record[AS_LEDGER_BYTES];
    as_ledger_encode(record, ledger, group->group);
    return as_db_run_blob(db, AS_SQL_RECORD_PUT, 1, (sqlite3_int64[]){as_record_id(group->slot)},
                          record, sizeof record, "write the group's record", detail);
}

/*
 * Takes the record off the end, where it is put again behind new rows. Rows that come at a table's
 * end fill one leaf and go on in the next; of rows that come before another SQLite makes two leaves
 * half full.
 */
static anonset_code lift_record(as_db *db, const as_sqlite_group *group, anonset_detail *detail)
{
    return as_db_run(db, AS_SQL_PACK_DELETE, 1, (sqlite3_int64[]){as_record_id(group->slot)},
                     detail);
}

/* With its record. */
static anonset_code delete_group(as_db *db, const as_sqlite_group *group, anonset_detail *detail)
{
    anonset_code code = lift_record(db, group, detail);
    if (code == ANONSET_OK)
        code = as_db_run(db, AS_SQL_GROUP_DELETE, 1, (sqlite3_int64[]){group->group}, detail);
    return code;
}

/* ---- append_sector ------------------------------------------------------------------------ */

anonset_code as_sqlite_work_append(as_db *db, const void *in, anonset_detail *detail)
{
    const anonset_append *a = in;
    as_sqlite_group now;
    as_ledger next;
    anonset_code code = as_sqlite_group_load(&now, db, a->group, detail);
    if (code == ANONSET_OK)
        code = as_ledger_append(&next, &now.ledger, a, detail);
    if (code == ANONSET_OK && now.slot == 0)
        code = new_slot(&now.slot, db, a->group, detail);
    if (code == ANONSET_OK && a->n > 0)
        code = lift_record(db, &now, detail);
    if (code == ANONSET_OK)
        code = as_sqlite_rows_append(db, now.slot, next.epoch, a, detail);
    if (code == ANONSET_OK)
        code = put_record(db, &now, &next, detail);
    return code;
}

/* ---- mark_complete ------------------------------------------------------------------------ */

static as_checkpoint_at place_of(const as_sqlite_group *group, sqlite3_int64 id)
{
    return (as_checkpoint_at){group->group, (uint32_t)(id - as_checkpoint_first(group->slot))};
}

/* The newest checkpoint. *id is one below the first possible one if there is none. */
static anonset_code newest_checkpoint(sqlite3_int64 *id, anonset_checkpoint *checkpoint, as_db *db,
                                      const as_sqlite_group *group, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found;
    sqlite3_int64 first = as_checkpoint_first(group->slot);
    anonset_code code =
        as_db_first(db, &row, &found, AS_SQL_CHECKPOINT_READ, 2,
                    (sqlite3_int64[]){first, as_checkpoint_last(group->slot)}, detail);
    if (code != ANONSET_OK)
        return code;
    *id = first - 1;
    if (!found)
        return ANONSET_OK;
    *id = sqlite3_column_int64(row, 0);
    const void *record = sqlite3_column_blob(row, 1);
    code = as_checkpoint_decode(checkpoint, record,
                                record == NULL ? 0 : (size_t)sqlite3_column_bytes(row, 1),
                                place_of(group, *id), detail);
    sqlite3_reset(row);
    return code;
}

static anonset_code put_checkpoint(as_db *db, const as_sqlite_group *group, sqlite3_int64 id,
                                   const anonset_checkpoint *checkpoint, anonset_detail *detail)
{
    uint8_t record[AS_CHECKPOINT_BYTES];
    as_checkpoint_encode(record, checkpoint, place_of(group, id));
    return as_db_run_blob(db, AS_SQL_CHECKPOINT_PUT, 1, &id, record, sizeof record,
                          "write a checkpoint", detail);
}

/* Sizes rise with age, so those above base are the newest ones. */
static anonset_code drop_checkpoints(as_db *db, const as_sqlite_group *group, uint32_t base,
                                     anonset_detail *detail)
{
    for (;;) {
        anonset_checkpoint checkpoint = {.alias = false};
        sqlite3_int64 id;
        anonset_code code = newest_checkpoint(&id, &checkpoint, db, group, detail);
        if (code != ANONSET_OK || id < as_checkpoint_first(group->slot) ||
            checkpoint.meta.size <= base)
            return code;
        code = as_db_run(db, AS_SQL_CHECKPOINT_DELETE_RANGE, 2, (sqlite3_int64[]){id, id}, detail);
        if (code != ANONSET_OK)
            return code;
    }
}

static anonset_code drop_tail(as_db *db, const as_sqlite_group *group, const as_effect *effect,
                              anonset_detail *detail)
{
    anonset_code code = as_db_run(db, AS_SQL_PACK_DELETE_OTHERS, 3,
                                  (sqlite3_int64[]){as_pack_id(group->slot, effect->base, false),
                                                    as_pack_last(group->slot), effect->epoch},
                                  detail);
    return code == ANONSET_OK ? drop_checkpoints(db, group, effect->base, detail) : code;
}

static anonset_code keep_checkpoint(as_db *db, const as_sqlite_group *group,
                                    const as_effect *effect, anonset_detail *detail)
{
    anonset_checkpoint newest = {.alias = false};
    sqlite3_int64 id;
    anonset_code code = newest_checkpoint(&id, &newest, db, group, detail);
    bool some = code == ANONSET_OK && id >= as_checkpoint_first(group->slot);
    if (some && effect->alias_same_size && newest.meta.size == effect->checkpoint.meta.size) {
        newest.alias = true;
        code = put_checkpoint(db, group, id, &newest, detail);
    }
    if (code != ANONSET_OK)
        return code;
    return put_checkpoint(db, group, some && effect->replace_checkpoint ? id : id + 1,
                          &effect->checkpoint, detail);
}

anonset_code as_sqlite_work_complete(as_db *db, const void *in, anonset_detail *detail)
{
    const anonset_complete *c = in;
    as_sqlite_group now;
    as_ledger next;
    as_effect effect = {0};
    anonset_code code = as_sqlite_group_load(&now, db, c->group, detail);
    if (code == ANONSET_OK)
        code = as_ledger_complete(&next, &effect, &now.ledger, c, detail);
    if (code != ANONSET_OK || (!effect.add_checkpoint && !effect.replace_checkpoint))
        return code;
    if (effect.drop_tail)
        code = drop_tail(db, &now, &effect, detail);
    if (code == ANONSET_OK && effect.add_checkpoint)
        code = as_sqlite_rows_join(db, now.slot, effect.epoch, effect.base, detail);
    if (code == ANONSET_OK)
        code = keep_checkpoint(db, &now, &effect, detail);
    if (code == ANONSET_OK)
        code = put_record(db, &now, &next, detail);
    return code;
}

/* ---- drop and mend ------------------------------------------------------------------------ */

/* Of the pending set, or of the others. */
static anonset_code delete_rows(as_db *db, as_sql which, sqlite3_int64 slot, uint32_t from,
                                sqlite3_int64 last, sqlite3_int64 epoch, anonset_detail *detail)
{
    return as_db_run(db, which, 3, (sqlite3_int64[]){as_pack_id(slot, from, false), last, epoch},
                     detail);
}

/* Rows that no view has: their keys rotted, and they would be in the way of what comes there. */
static anonset_code drop_strays(as_db *db, sqlite3_int64 slot, const as_ledger *next,
                                sqlite3_int64 epoch, anonset_detail *detail)
{
    sqlite3_int64 last = as_pack_last(slot);
    anonset_code code =
        delete_rows(db, AS_SQL_PACK_DELETE_OTHERS, slot,
                    as_ledger_view_size(next, ANONSET_VIEW_FINALIZED), last, epoch, detail);
    if (code == ANONSET_OK)
        code = delete_rows(db, AS_SQL_PACK_DELETE_PENDING, slot,
                           as_ledger_view_size(next, ANONSET_VIEW_NEXT), last, epoch, detail);
    return code;
}

anonset_code as_sqlite_work_drop(as_db *db, const void *in, anonset_detail *detail)
{
    const anonset_damage *d = in;
    as_sqlite_group now;
    as_ledger next;
    uint32_t from, to;
    anonset_code code = as_sqlite_group_load(&now, db, d->group, detail);
    if (code == ANONSET_OK)
        code = as_ledger_drop(&next, &from, &to, &now.ledger, d, detail);
    if (code != ANONSET_OK)
        return code;
    sqlite3_int64 epoch = now.ledger.state.has_pending ? (sqlite3_int64)now.ledger.epoch : -1;
    code = delete_rows(db, d->pending ? AS_SQL_PACK_DELETE_PENDING : AS_SQL_PACK_DELETE_OTHERS,
                       now.slot, d->from, as_pack_id(now.slot, d->to - 1, true), epoch, detail);
    if (code == ANONSET_OK && from < to)
        code = as_db_run(db, AS_SQL_PACK_DELETE_RANGE, 2,
                         (sqlite3_int64[]){as_pack_id(now.slot, from, false),
                                           as_pack_id(now.slot, to - 1, true)},
                         detail);
    if (code == ANONSET_OK)
        code = drop_strays(db, now.slot, &next, epoch, detail);
    return code == ANONSET_OK ? put_record(db, &now, &next, detail) : code;
}

anonset_code as_sqlite_work_mend(as_db *db, const void *in, anonset_detail *detail)
{
    const anonset_append *a = in;
    as_sqlite_group now;
    as_ledger next;
    anonset_code code = as_sqlite_group_load(&now, db, a->group, detail);
    if (code == ANONSET_OK)
        code = as_ledger_mend(&next, &now.ledger, a, detail);
    if (code == ANONSET_OK)
        code = as_sqlite_rows_append(db, now.slot, AS_EPOCH_MENDED, a, detail);
    return code == ANONSET_OK ? put_record(db, &now, &next, detail) : code;
}

/* ---- discard, clear, genesis -------------------------------------------------------------- */

anonset_code as_sqlite_work_discard(as_db *db, const void *in, anonset_detail *detail)
{
    uint32_t group = *(const uint32_t *)in;
    as_sqlite_group now;
    as_ledger next;
    anonset_code code = as_sqlite_group_load(&now, db, group, detail);
    if (code != ANONSET_OK || !now.ledger.state.has_pending)
        return code;
    as_ledger_discard(&next, &now.ledger);
    code = as_db_run(db, AS_SQL_PACK_DELETE_PENDING, 3,
                     (sqlite3_int64[]){as_pack_id(now.slot, now.ledger.state.base, false),
                                       as_pack_last(now.slot), now.ledger.epoch},
                     detail);
    if (code == ANONSET_OK && next.state.has_finalized)
        return put_record(db, &now, &next, detail);
    return code == ANONSET_OK ? delete_group(db, &now, detail) : code;
}

static anonset_code put_info(as_db *db, const anonset_store_info *info, anonset_detail *detail)
{
    uint8_t record[AS_IDENTITY_BYTES];
    as_identity_encode(record, info);
    return as_db_run_blob(db, AS_SQL_INFO_PUT, 0, NULL, record, sizeof record, "record the network",
                          detail);
}

static anonset_code clear_all(as_db *db, anonset_detail *detail)
{
    static const as_sql all[] = {AS_SQL_PACK_DELETE_ALL, AS_SQL_CHECKPOINT_DELETE_ALL,
                                 AS_SQL_GROUP_DELETE_ALL};
    anonset_store_info info;
    anonset_code code = as_sqlite_read_info(db, &info, detail);
    for (size_t i = 0; code == ANONSET_OK && i < sizeof all / sizeof *all; i++)
        code = as_db_run(db, all[i], 0, NULL, detail);
    if (code == ANONSET_OK)
        code = as_sqlite_used_clear(db, detail);
    info.has_genesis = false;
    return code == ANONSET_OK ? put_info(db, &info, detail) : code;
}

static anonset_code clear_group(as_db *db, uint32_t group, anonset_detail *detail)
{
    as_sqlite_group now;
    anonset_code code = as_sqlite_group_load(&now, db, group, detail);
    if (code != ANONSET_OK || now.slot == 0)
        return code;
    code = as_db_run(db, AS_SQL_PACK_DELETE_RANGE, 2,
                     (sqlite3_int64[]){as_pack_id(now.slot, 0, false), as_pack_last(now.slot)},
                     detail);
    if (code == ANONSET_OK)
        code = as_db_run(
            db, AS_SQL_CHECKPOINT_DELETE_RANGE, 2,
            (sqlite3_int64[]){as_checkpoint_first(now.slot), as_checkpoint_last(now.slot)}, detail);
    if (code == ANONSET_OK)
        code = delete_group(db, &now, detail);
    return code;
}

anonset_code as_sqlite_work_clear(as_db *db, const void *in, anonset_detail *detail)
{
    uint32_t group = *(const uint32_t *)in;
    return group == 0 ? clear_all(db, detail) : clear_group(db, group, detail);
}

anonset_code as_sqlite_work_genesis(as_db *db, const void *in, anonset_detail *detail)
{
    anonset_store_info info;
    anonset_code code = as_sqlite_read_info(db, &info, detail);
    if (code != ANONSET_OK)
        return code;
    if (info.has_genesis)
        return memcmp(info.genesis, in, ANONSET_HASH_BYTES) == 0
                   ? ANONSET_OK
                   : as_fail(detail, ANONSET_WRONG_NETWORK, 0,
                             "%s belongs to a chain with another genesis block: use another store "
                             "for this network",
                             db->path);
    info.has_genesis = true;
    memcpy(info.genesis, in, ANONSET_HASH_BYTES);
    return put_info(db, &info, detail);
}
