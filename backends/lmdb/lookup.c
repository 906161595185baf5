/* Looking things up, in either kind of transaction. */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/env.h"
#include "backends/lmdb/file.h"

#include <string.h>

#define MAIN_TABLE 1u /* the number of LMDB's main table, in every environment */

int as_get(MDB_txn *txn, as_key key, MDB_val *val)
{
    uint8_t bytes[AS_KEY_BYTES];
    MDB_val name = as_key_encode(bytes, key);
    return mdb_get(txn, MAIN_TABLE, &name, val);
}

static int found(as_kind kind, uint32_t group, as_key *key, const MDB_val *name)
{
    as_key got;
    if (!as_key_decode(&got, name))
        return MDB_CORRUPTED;
    if (got.kind != kind || got.group != group)
        return MDB_NOTFOUND;
    *key = got;
    return 0;
}

int as_cursor_move(MDB_cursor *cursor, MDB_cursor_op op, as_kind kind, uint32_t group, as_key *key,
                   MDB_val *val)
{
    MDB_val name;
    int rc = mdb_cursor_get(cursor, &name, val, op);
    return rc == 0 ? found(kind, group, key, &name) : rc;
}

int as_cursor_at_least(MDB_cursor *cursor, as_key *key, MDB_val *val)
{
    uint8_t bytes[AS_KEY_BYTES];
    MDB_val name = as_key_encode(bytes, *key);
    int rc = mdb_cursor_get(cursor, &name, val, MDB_SET_RANGE);
    return rc == 0 ? found(key->kind, key->group, key, &name) : rc;
}

int as_cursor_at_most(MDB_cursor *cursor, as_key *key, MDB_val *val)
{
    as_key wanted = *key, got;
    uint8_t bytes[AS_KEY_BYTES];
    MDB_val name = as_key_encode(bytes, wanted);
    int rc = mdb_cursor_get(cursor, &name, val, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND)
        return as_cursor_move(cursor, MDB_LAST, wanted.kind, wanted.group, key, val);
    if (rc != 0)
        return rc;
    rc = found(wanted.kind, wanted.group, &got, &name);
    if (rc == 0 && got.at == wanted.at && got.sub == wanted.sub)
        return 0; /* *key is that already */
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    return as_cursor_move(cursor, MDB_PREV, wanted.kind, wanted.group, key, val);
}

anonset_code as_load_ledger(as_ledger *ledger, MDB_txn *txn, uint32_t group, const char *path,
                            anonset_detail *detail)
{
    MDB_val val;
    int rc = as_get(txn, (as_key){.kind = AS_KIND_LEDGER, .group = group}, &val);
    if (rc == MDB_NOTFOUND) {
        memset(ledger, 0, sizeof *ledger);
        return ANONSET_OK;
    }
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "read", path);
    return as_ledger_decode(ledger, val.mv_data, val.mv_size, group, detail);
}
