/* LMDB as it comes: a coin a value, default flags; no digest, no check. */
#include "bench/bench.h"

#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#define MAP_BYTES ((size_t)16 << 30)

typedef struct bare {
    MDB_env *env;
    MDB_dbi table;
} bare;

static void need(int rc)
{
    if (rc != 0)
        fail("LMDB: %s", mdb_strerror(rc));
}

static void *bare_open(const char *path)
{
    bare *b = malloc(sizeof *b);
    MDB_txn *txn;
    if (!b)
        fail("no memory");
    need(mdb_env_create(&b->env));
    need(mdb_env_set_mapsize(b->env, MAP_BYTES));
    need(mdb_env_open(b->env, path, MDB_NOSUBDIR, 0600));
    need(mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn));
    need(mdb_dbi_open(txn, NULL, 0, &b->table));
    mdb_txn_abort(txn);
    return b;
}

static void bare_close(void *handle)
{
    bare *b = handle;
    mdb_env_close(b->env);
    free(b);
}

static void bare_create(const char *path)
{
    bare_close(bare_open(path));
}

static void bare_append(void *handle, const sector *coins, uint32_t target)
{
    bare *b = handle;
    MDB_txn *txn;
    (void)target;
    need(mdb_txn_begin(b->env, NULL, 0, &txn));
    for (uint32_t i = 0; i < coins->n; i++) {
        uint32_t at = coins->start + i;
        uint8_t key[4] = {(uint8_t)(at >> 24), (uint8_t)(at >> 16), (uint8_t)(at >> 8),
                          (uint8_t)at};
        MDB_val name = {sizeof key, key};
        MDB_val coin = {coins->coins[i].serialized_len, NULL};
        need(mdb_put(txn, b->table, &name, &coin, MDB_APPEND | MDB_RESERVE));
        memcpy(coin.mv_data, coins->coins[i].serialized, coin.mv_size);
    }
    need(mdb_txn_commit(txn));
}

static void bare_read(void *handle, tally *seen)
{
    bare *b = handle;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, coin;
    int rc;
    need(mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn));
    need(mdb_cursor_open(txn, b->table, &cursor));
    while ((rc = mdb_cursor_get(cursor, &key, &coin, MDB_NEXT)) == 0)
        tally_coin(seen, coin.mv_data, coin.mv_size);
    if (rc != MDB_NOTFOUND)
        need(rc);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
}

const row row_bare_lmdb = {
    .name = "bare-lmdb",
    .title = "bare LMDB",
    .create = bare_create,
    .open = bare_open,
    .append = bare_append,
    .close = bare_close,
    .read = bare_read,
};
