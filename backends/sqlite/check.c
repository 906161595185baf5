/* What rots without SQLite noticing: it keeps no checksum of its pages. */
#include "backends/sqlite/schema.h"
#include "core/alloc.h"
#include "core/detail.h"
#include "core/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The slots of all groups: one each, for a record is of the group that has its slot. */
typedef struct slots {
    sqlite3_int64 *slot;
    size_t n, room;
} slots;

static anonset_code damaged(const as_db *db, const char *what, anonset_detail *detail)
{
    return as_fail(detail, ANONSET_CORRUPT, 0, "%s: %s: repair the store, then sync again",
                   db->path, what);
}

#define WRITE_VERSION_AT 18 /* in the file's head; source: sqlite.org/fileformat2.html */

/* With a version above the newest SQLite only reads, as if for want of permission. */
static anonset_code check_head(as_db *db, anonset_detail *detail)
{
    uint8_t head[AS_HEAD_BYTES];
    anonset_code code = as_schema_head(head, db, detail);
    if (code == ANONSET_OK && head[WRITE_VERSION_AT] > 2)
        code = damaged(db, "its head tells a version that cannot be", detail);
    return code;
}

/* Text that changed by a letter may still be a table, though another. */
static anonset_code check_tables(as_db *db, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found = true, ours = true;
    size_t n = 0;
    anonset_code code = as_db_prepare(db, &row, AS_SQL_SCHEMA, 0, NULL, detail);
    while (code == ANONSET_OK && found) {
        code = as_db_step(db, row, &found, detail);
        if (code != ANONSET_OK || !found)
            break;
        const unsigned char *text = sqlite3_column_text(row, 0);
        ours = ours && n < AS_SCHEMA_TABLES && text != NULL &&
               strcmp((const char *)text, as_schema_tables[n]) == 0;
        n++;
    }
    if (code == ANONSET_OK && !(ours && n == AS_SCHEMA_TABLES))
        code = damaged(db, "its tables are not ours any more", detail);
    return code;
}

static bool push(slots *s, sqlite3_int64 slot)
{
    if (s->n == s->room) {
        size_t room = s->room ? s->room * 2 : 16;
        sqlite3_int64 *grown = as_realloc(s->slot, room * sizeof *grown);
        if (!grown)
            return false;
        s->slot = grown;
        s->room = room;
    }
    s->slot[s->n++] = slot;
    return true;
}

static anonset_code check_record(slots *s, const as_db *db, sqlite3_stmt *row,
                                 anonset_detail *detail)
{
    sqlite3_int64 group = sqlite3_column_int64(row, 0), slot = sqlite3_column_int64(row, 1);
    const void *record = sqlite3_column_blob(row, 2);
    as_ledger ledger;
    if (group < 1 || group > UINT32_MAX || slot < 1 || slot > AS_SLOT_MOST || record == NULL)
        return damaged(db, "a group's row cannot be", detail);
    anonset_code code = as_ledger_decode(&ledger, record, (size_t)sqlite3_column_bytes(row, 2),
                                         (uint32_t)group, detail);
    if (code == ANONSET_OK && !push(s, slot))
        code = as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", db->path);
    return code;
}

static anonset_code check_records(slots *s, as_db *db, anonset_detail *detail)
{
    sqlite3_stmt *row;
    bool found = true;
    anonset_code code = as_db_prepare(db, &row, AS_SQL_GROUP_ALL, 0, NULL, detail);
    while (code == ANONSET_OK && found) {
        code = as_db_step(db, row, &found, detail);
        if (code == ANONSET_OK && found)
            code = check_record(s, db, row, detail);
    }
    if (code != ANONSET_OK && db->statements[AS_SQL_GROUP_ALL] != NULL)
        sqlite3_reset(db->statements[AS_SQL_GROUP_ALL]);
    return code;
}

static int by_number(const void *a, const void *b)
{
    const sqlite3_int64 *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Goes from one slot that has rows to the next; all of them are some group's. */
static anonset_code check_slots(slots *s, as_db *db, anonset_detail *detail)
{
    sqlite3_int64 from = INT64_MIN;
    if (s->n > 0)
        qsort(s->slot, s->n, sizeof *s->slot, by_number);
    for (size_t i = 0;;) {
        sqlite3_stmt *row;
        bool found = false;
        anonset_code code = as_db_first(db, &row, &found, AS_SQL_PACK_AFTER, 1, &from, detail);
        if (code != ANONSET_OK || !found)
            return code;
        sqlite3_int64 slot = sqlite3_column_int64(row, 0) >> 33;
        sqlite3_reset(row);
        while (i < s->n && s->slot[i] < slot)
            i++;
        if (i == s->n || s->slot[i] != slot)
            return damaged(db, "there are coins of a group without a record", detail);
        from = as_pack_id(slot + 1, 0, false);
    }
}

anonset_code as_schema_check(as_db *db, anonset_detail *detail)
{
    slots s = {.n = 0};
    anonset_code code = as_db_run(db, AS_SQL_BEGIN_READ, 0, NULL, detail);
    if (code != ANONSET_OK)
        return code;
    code = check_head(db, detail);
    if (code == ANONSET_OK)
        code = check_tables(db, detail);
    if (code == ANONSET_OK)
        code = check_records(&s, db, detail);
    if (code == ANONSET_OK)
        code = check_slots(&s, db, detail);
    as_free(s.slot);
    anonset_code ended = as_db_run(db, AS_SQL_COMMIT, 0, NULL, code == ANONSET_OK ? detail : NULL);
    return code == ANONSET_OK ? ended : code;
}
