/* The writes of the contract: what as_ledger decides, done in one transaction. */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/write.h"

#include "backends/lmdb/checkpoints.h"
#include "backends/lmdb/file.h"
#include "backends/lmdb/rows.h"
#include "core/detail.h"

#include <string.h>

static anonset_code load(as_ledger *now, as_write *write, uint32_t group, anonset_detail *detail)
{
    return as_load_ledger(now, write->txn, group, as_env_path(write->env), detail);
}

static anonset_code store(as_write *write, uint32_t group, const as_ledger *next,
                          anonset_detail *detail)
{
    uint8_t bytes[AS_LEDGER_BYTES];
    as_ledger_encode(bytes, next, group);
    return as_write_put(write, (as_key){.kind = AS_KIND_LEDGER, .group = group}, bytes,
                        sizeof bytes, detail);
}

/* Deletes the entries of a kind and group. */
static anonset_code delete_kind(as_write *write, as_kind kind, uint32_t group,
                                anonset_detail *detail)
{
    as_key key = {.kind = kind, .group = group};
    MDB_val val;
    int rc = as_cursor_at_least(write->cursor, &key, &val);
    while (rc == 0) {
        anonset_code code = as_write_delete(write, detail);
        if (code != ANONSET_OK)
            return code;
        rc = as_cursor_move(write->cursor, MDB_NEXT, kind, group, &key, &val);
    }
    return rc == MDB_NOTFOUND ? ANONSET_OK : as_write_fail(write, rc, "read", detail);
}

anonset_code as_work_append(as_write *write, const void *in, anonset_detail *detail)
{
    const anonset_append *append = in;
    as_ledger now, next;
    anonset_code code = load(&now, write, append->group, detail);
    if (code == ANONSET_OK)
        code = as_ledger_append(&next, &now, append, detail);
    if (code != ANONSET_OK)
        return code;
    bool has_rows = now.state.has_pending && now.state.count > 0;
    code = as_rows_append(write, append, next.epoch, has_rows, detail);
    return code == ANONSET_OK ? store(write, append->group, &next, detail) : code;
}

/* ---- Completing and discarding ------------------------------------------------------------ */

static anonset_code apply(as_write *write, uint32_t group, const as_effect *effect,
                          anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    if (effect->add_checkpoint) /* first of all: it reads rows where nothing may have changed yet */
        code = as_rows_join(write, group, effect, detail);
    if (code == ANONSET_OK && effect->drop_tail)
        code = as_rows_drop(write, group, effect->base, effect->epoch, true, detail);
    return code == ANONSET_OK ? as_checkpoints_update(write, group, effect, detail) : code;
}

anonset_code as_work_complete(as_write *write, const void *in, anonset_detail *detail)
{
    const anonset_complete *complete = in;
    as_ledger now, next;
    as_effect effect;
    anonset_code code = load(&now, write, complete->group, detail);
    if (code == ANONSET_OK)
        code = as_ledger_complete(&next, &effect, &now, complete, detail);
    if (code == ANONSET_OK)
        code = apply(write, complete->group, &effect, detail);
    return code == ANONSET_OK ? store(write, complete->group, &next, detail) : code;
}

anonset_code as_work_discard(as_write *write, const void *in, anonset_detail *detail)
{
    uint32_t group = *(const uint32_t *)in;
    as_ledger now, next;
    anonset_code code = load(&now, write, group, detail);
    if (code != ANONSET_OK || !now.state.has_pending)
        return code;
    as_ledger_discard(&next, &now);
    code = as_rows_drop(write, group, now.state.base, now.epoch, false, detail);
    if (code != ANONSET_OK)
        return code;
    if (!next.state.has_finalized) /* nothing is stored of the group any more */
        return delete_kind(write, AS_KIND_LEDGER, group, detail);
    return store(write, group, &next, detail);
}

/* ---- Damage ------------------------------------------------------------------------------- */

anonset_code as_work_drop(as_write *write, const void *in, anonset_detail *detail)
{
    const anonset_damage *d = in;
    as_ledger now, next;
    as_doomed doomed = {.damage = d, .next = &next};
    anonset_code code = load(&now, write, d->group, detail);
    if (code == ANONSET_OK)
        code = as_ledger_drop(&next, &doomed.alone_from, &doomed.alone_to, &now, d, detail);
    if (code != ANONSET_OK)
        return code;
    doomed.has_pending = now.state.has_pending;
    doomed.epoch = now.epoch;
    code = as_rows_drop_range(write, &doomed, detail);
    return code == ANONSET_OK ? store(write, d->group, &next, detail) : code;
}

anonset_code as_work_mend(as_write *write, const void *in, anonset_detail *detail)
{
    const anonset_append *append = in;
    as_ledger now, next;
    anonset_code code = load(&now, write, append->group, detail);
    if (code == ANONSET_OK)
        code = as_ledger_mend(&next, &now, append, detail);
    if (code == ANONSET_OK)
        code = as_rows_append(write, append, AS_EPOCH_MENDED, now.state.hole_filled > 0, detail);
    return code == ANONSET_OK ? store(write, append->group, &next, detail) : code;
}

/* ---- Info and clearing -------------------------------------------------------------------- */

static anonset_code load_info(anonset_store_info *info, as_write *write, anonset_detail *detail)
{
    MDB_val val;
    int rc = as_get(write->txn, (as_key){.kind = AS_KIND_INFO}, &val);
    if (rc != 0)
        return as_write_fail(write, rc, "info", detail);
    return as_info_decode(info, &val, as_env_path(write->env), detail);
}

static anonset_code store_info(as_write *write, const anonset_store_info *info,
                               anonset_detail *detail)
{
    uint8_t bytes[AS_INFO_BYTES];
    as_info_encode(bytes, info);
    return as_write_put(write, (as_key){.kind = AS_KIND_INFO}, bytes, sizeof bytes, detail);
}

anonset_code as_work_genesis(as_write *write, const void *in, anonset_detail *detail)
{
    anonset_store_info info;
    anonset_code code = load_info(&info, write, detail);
    if (code != ANONSET_OK)
        return code;
    if (info.has_genesis && memcmp(info.genesis, in, ANONSET_HASH_BYTES) == 0)
        return ANONSET_OK;
    if (info.has_genesis)
        return as_fail(detail, ANONSET_WRONG_NETWORK, 0,
                       "%s: the store holds a set of another chain: use another store, or clear it",
                       as_env_path(write->env));
    info.has_genesis = true;
    memcpy(info.genesis, in, ANONSET_HASH_BYTES);
    return store_info(write, &info, detail);
}

static anonset_code clear_all(as_write *write, anonset_detail *detail)
{
    anonset_store_info info;
    anonset_code code = load_info(&info, write, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_write_empty(write, detail);
    if (code != ANONSET_OK)
        return code;
    info.has_genesis = false;
    memset(info.genesis, 0, sizeof info.genesis);
    return store_info(write, &info, detail);
}

anonset_code as_work_clear(as_write *write, const void *in, anonset_detail *detail)
{
    static const as_kind kinds[] = {AS_KIND_PACK, AS_KIND_LEDGER, AS_KIND_CHECKPOINT};
    uint32_t group = *(const uint32_t *)in;
    anonset_code code = ANONSET_OK;
    if (group == 0)
        return clear_all(write, detail);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && code == ANONSET_OK; i++)
        code = delete_kind(write, kinds[i], group, detail);
    return code;
}
