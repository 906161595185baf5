/* The vtable: a handle is an environment, shared by all handles on one file, and its options. */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/backends.h"
#include "backends/lmdb/file.h"
#include "backends/lmdb/read.h"
#include "backends/lmdb/used.h"
#include "backends/lmdb/write.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>

typedef struct handle {
    as_env *env;
    unsigned busy_ms;
    bool read_only;
} handle;

static anonset_code lmdb_open(void **out, const char *path, const anonset_backend_options *options,
                              anonset_detail *detail)
{
    handle *h = as_alloc_zeroed(sizeof *h);
    if (h == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "out of memory opening %s", path);
    h->busy_ms = options->busy_ms;
    h->read_only = (options->flags & ANONSET_STORE_READ_ONLY) != 0;
    anonset_code code = as_env_open(&h->env, path, options, detail);
    if (code == ANONSET_OK)
        *out = h;
    else
        as_free(h);
    return code;
}

static void lmdb_close(void *closed)
{
    handle *h = closed;
    as_env_close(h->env);
    as_free(h);
}

static anonset_code begin(MDB_txn **txn, const handle *h, anonset_detail *detail)
{
    return as_read_begin(txn, h->env, h->busy_ms, detail);
}

static anonset_code run(const handle *h, as_work work, const void *in, anonset_detail *detail)
{
    if (h->read_only)
        return as_fail(detail, ANONSET_INVALID, 0, "%s: opened read-only", as_env_path(h->env));
    return as_env_write(h->env, work, in, h->busy_ms, detail);
}

/* ---- State -------------------------------------------------------------------------------- */

static anonset_code lmdb_info(void *opened, anonset_store_info *info, anonset_detail *detail)
{
    const handle *h = opened;
    uint8_t bytes[AS_INFO_BYTES];
    as_wanted wanted = {{.kind = AS_KIND_INFO}, bytes, sizeof bytes, 0};
    anonset_code code = as_env_get(&wanted, h->env, h->busy_ms, detail);
    MDB_val val = {.mv_size = wanted.len, .mv_data = bytes};
    return code == ANONSET_OK ? as_info_decode(info, &val, as_env_path(h->env), detail) : code;
}

static anonset_code find_group(uint32_t *group, const handle *h, MDB_txn *txn, uint32_t after,
                               anonset_detail *detail)
{
    MDB_cursor *cursor;
    MDB_val name, val;
    as_key key = {.kind = AS_KIND_LEDGER, .group = after + 1};
    uint8_t bytes[AS_KEY_BYTES];
    int rc = mdb_cursor_open(txn, as_env_table(h->env), &cursor);
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "read", as_env_path(h->env));
    name = as_key_encode(bytes, key);
    rc = mdb_cursor_get(cursor, &name, &val, MDB_SET_RANGE);
    bool found = rc == 0 && as_key_decode(&key, &name) && key.kind == AS_KIND_LEDGER;
    mdb_cursor_close(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return as_lmdb_fail(detail, rc, "read", as_env_path(h->env));
    if (!found)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "%s: no group above %u", as_env_path(h->env),
                       (unsigned)after);
    *group = key.group;
    return ANONSET_OK;
}

static anonset_code lmdb_next_group(void *opened, uint32_t *group, uint32_t after,
                                    anonset_detail *detail)
{
    const handle *h = opened;
    MDB_txn *txn;
    if (after == UINT32_MAX)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "%s: no group above %u", as_env_path(h->env),
                       (unsigned)after);
    anonset_code code = begin(&txn, h, detail);
    if (code != ANONSET_OK)
        return code;
    code = find_group(group, h, txn, after, detail);
    as_read_end(h->env, txn);
    return code;
}

/* A record that is not where it should be may be lost: then all is looked at. */
static anonset_code load_absent(as_ledger *ledger, const handle *h, uint32_t group,
                                anonset_detail *detail)
{
    MDB_txn *txn;
    anonset_code code = begin(&txn, h, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_load_ledger(ledger, txn, group, as_env_path(h->env), detail);
    as_read_end(h->env, txn);
    return code;
}

static anonset_code lmdb_load_state(void *opened, anonset_state *state, uint32_t group,
                                    anonset_detail *detail)
{
    const handle *h = opened;
    as_ledger ledger;
    uint8_t bytes[AS_LEDGER_BYTES];
    as_wanted wanted = {{.kind = AS_KIND_LEDGER, .group = group}, bytes, sizeof bytes, 0};
    anonset_code code = as_env_get(&wanted, h->env, h->busy_ms, detail);
    if (code == ANONSET_OK)
        code = wanted.len > 0 ? as_ledger_decode(&ledger, bytes, wanted.len, group, detail)
                              : load_absent(&ledger, h, group, detail);
    if (code == ANONSET_OK)
        *state = ledger.state;
    return code;
}

static anonset_code lmdb_disk_bytes(void *opened, uint64_t *bytes, anonset_detail *detail)
{
    const handle *h = opened;
    anonset_code code = as_env_usable(h->env, detail);
    return code == ANONSET_OK ? as_file_disk_bytes(bytes, as_env_path(h->env), detail) : code;
}

/* ---- Writes ------------------------------------------------------------------------------- */

static anonset_code lmdb_set_genesis(void *opened, const uint8_t *genesis, anonset_detail *detail)
{
    return run(opened, as_work_genesis, genesis, detail);
}

static anonset_code lmdb_append_sector(void *opened, const anonset_append *append,
                                       anonset_detail *detail)
{
    return run(opened, as_work_append, append, detail);
}

static anonset_code lmdb_mark_complete(void *opened, const anonset_complete *complete,
                                       anonset_detail *detail)
{
    return run(opened, as_work_complete, complete, detail);
}

static anonset_code lmdb_discard_incomplete(void *opened, uint32_t group, anonset_detail *detail)
{
    return run(opened, as_work_discard, &group, detail);
}

static anonset_code lmdb_clear(void *opened, uint32_t group, anonset_detail *detail)
{
    return run(opened, as_work_clear, &group, detail);
}

static anonset_code lmdb_drop(void *opened, const anonset_damage *damage, anonset_detail *detail)
{
    return run(opened, as_work_drop, damage, detail);
}

static anonset_code lmdb_mend(void *opened, const anonset_append *append, anonset_detail *detail)
{
    return run(opened, as_work_mend, append, detail);
}

static anonset_code lmdb_used_append(void *opened, const anonset_used_append *append,
                                     anonset_detail *detail)
{
    return run(opened, as_work_used, append, detail);
}

/* ---- Snapshots ---------------------------------------------------------------------------- */

static anonset_code lmdb_used_open(void *opened, void **view, anonset_used_state *state,
                                   anonset_detail *detail)
{
    const handle *h = opened;
    return as_used_open(view, state, h->env, h->busy_ms, detail);
}

static anonset_code lmdb_snapshot_open(void *opened, void **snapshot, anonset_state *state,
                                       uint32_t group, anonset_view which, anonset_detail *detail)
{
    const handle *h = opened;
    as_view *view;
    anonset_code code = as_view_open(&view, state, h->env, group, which, h->busy_ms, detail);
    if (code == ANONSET_OK)
        *snapshot = view;
    return code;
}

static anonset_code lmdb_check(void *opened, anonset_detail *detail)
{
    const handle *h = opened;
    return as_env_check(h->env, h->busy_ms, detail);
}

const anonset_backend as_backend_lmdb = {
    .size = sizeof(anonset_backend),
    .name = "lmdb",
    .open = lmdb_open,
    .close = lmdb_close,
    .info = lmdb_info,
    .set_genesis = lmdb_set_genesis,
    .next_group = lmdb_next_group,
    .load_state = lmdb_load_state,
    .append_sector = lmdb_append_sector,
    .mark_complete = lmdb_mark_complete,
    .discard_incomplete = lmdb_discard_incomplete,
    .clear = lmdb_clear,
    .disk_bytes = lmdb_disk_bytes,
    .snapshot_open = lmdb_snapshot_open,
    .snapshot_close = as_view_close,
    .read = as_view_read,
    .checkpoint = as_view_checkpoint,
    .read_tags = as_view_tags,
    .drop = lmdb_drop,
    .mend = lmdb_mend,
    .replace = as_env_replace,
    .check = lmdb_check,
    .used_append = lmdb_used_append,
    .used_open = lmdb_used_open,
    .used_close = as_used_close,
    .used_read = as_used_read,
    .used_find = as_used_find,
    .used_mark = as_used_mark,
    .used_check = as_used_check,
};
