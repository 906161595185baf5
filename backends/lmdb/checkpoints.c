#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/checkpoints.h"

#include "backends/lmdb/file.h"
#include "core/detail.h"

#include <string.h>

/* The chunk that ends the list. */
typedef struct chunk {
    as_key key;
    uint32_t n;
    uint8_t bytes[AS_CHUNK_RECORDS * AS_CHECKPOINT_BYTES];
} chunk;

static uint8_t *record(chunk *c, uint32_t i)
{
    return c->bytes + (size_t)i * AS_CHECKPOINT_BYTES;
}

static as_checkpoint_at place_in(const as_key *key, uint32_t i)
{
    return (as_checkpoint_at){key->group, key->at * AS_CHUNK_RECORDS + i};
}

static anonset_code check_length(size_t len, uint32_t group, const char *path,
                                 anonset_detail *detail)
{
    if (len > 0 && len <= AS_CHUNK_RECORDS * AS_CHECKPOINT_BYTES && len % AS_CHECKPOINT_BYTES == 0)
        return ANONSET_OK;
    return as_fail(detail, ANONSET_CORRUPT, 0, "%s: group %u: %zu bytes cannot be checkpoints",
                   path, (unsigned)group, len);
}

static anonset_code load_last(chunk *c, as_write *write, uint32_t group, anonset_detail *detail)
{
    MDB_val val;
    c->key = (as_key){.kind = AS_KIND_CHECKPOINT, .group = group, .at = UINT32_MAX};
    c->n = 0;
    int rc = as_cursor_at_most(write->cursor, &c->key, &val);
    if (rc == MDB_NOTFOUND) {
        c->key.at = 0;
        return ANONSET_OK;
    }
    if (rc != 0)
        return as_write_fail(write, rc, "read", detail);
    anonset_code code = check_length(val.mv_size, group, as_env_path(write->env), detail);
    if (code != ANONSET_OK)
        return code;
    memcpy(c->bytes, val.mv_data, val.mv_size);
    c->n = (uint32_t)(val.mv_size / AS_CHECKPOINT_BYTES);
    return ANONSET_OK;
}

/* Takes the records of a size above `base` off the end. The cursor stands at the chunk. */
static anonset_code drop_above(chunk *c, as_write *write, uint32_t base, anonset_detail *detail)
{
    anonset_checkpoint last;
    anonset_code code = ANONSET_OK;
    while (code == ANONSET_OK && c->n > 0) {
        code = as_checkpoint_decode(&last, record(c, c->n - 1), AS_CHECKPOINT_BYTES,
                                    place_in(&c->key, c->n - 1), detail);
        if (code != ANONSET_OK || last.meta.size <= base)
            return code;
        if (--c->n > 0)
            continue;
        code = as_write_delete(write, detail);
        if (code == ANONSET_OK)
            code = load_last(c, write, c->key.group, detail);
    }
    return code;
}

static anonset_code store(const chunk *c, as_write *write, anonset_detail *detail)
{
    return as_write_put(write, c->key, c->bytes, (size_t)c->n * AS_CHECKPOINT_BYTES, detail);
}

/* Turns the last one into an alias if it is of this size. */
static anonset_code make_alias(chunk *c, uint32_t size, anonset_detail *detail)
{
    anonset_checkpoint last;
    uint8_t *at = record(c, c->n - 1);
    anonset_code code =
        as_checkpoint_decode(&last, at, AS_CHECKPOINT_BYTES, place_in(&c->key, c->n - 1), detail);
    if (code != ANONSET_OK || last.meta.size != size)
        return code;
    last.alias = true;
    as_checkpoint_encode(at, &last, place_in(&c->key, c->n - 1));
    return ANONSET_OK;
}

static anonset_code push(chunk *c, as_write *write, const anonset_checkpoint *checkpoint,
                         anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    if (c->n == AS_CHUNK_RECORDS) {
        code = store(c, write, detail); /* its last record may just have changed */
        c->key.at++;
        c->n = 0;
    }
    as_checkpoint_encode(record(c, c->n), checkpoint, place_in(&c->key, c->n));
    c->n++;
    return code;
}

anonset_code as_checkpoints_update(as_write *write, uint32_t group, const as_effect *effect,
                                   anonset_detail *detail)
{
    chunk c;
    if (!effect->add_checkpoint && !effect->replace_checkpoint)
        return ANONSET_OK;
    anonset_code code = load_last(&c, write, group, detail);
    if (code == ANONSET_OK && effect->drop_tail)
        code = drop_above(&c, write, effect->base, detail);
    if (code == ANONSET_OK && effect->alias_same_size && c.n > 0)
        code = make_alias(&c, effect->checkpoint.meta.size, detail);
    if (code != ANONSET_OK)
        return code;
    if (effect->replace_checkpoint && c.n > 0)
        as_checkpoint_encode(record(&c, c.n - 1), &effect->checkpoint, place_in(&c.key, c.n - 1));
    else
        code = push(&c, write, &effect->checkpoint, detail);
    return code == ANONSET_OK ? store(&c, write, detail) : code;
}

/* ---- Reading ------------------------------------------------------------------------------ */

anonset_code as_checkpoints_count(uint32_t *n, MDB_cursor *cursor, uint32_t group, const char *path,
                                  anonset_detail *detail)
{
    as_key key = {.kind = AS_KIND_CHECKPOINT, .group = group, .at = UINT32_MAX};
    MDB_val val;
    int rc = as_cursor_at_most(cursor, &key, &val);
    if (rc == MDB_NOTFOUND) {
        *n = 0;
        return ANONSET_OK;
    }
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "read", path);
    anonset_code code = check_length(val.mv_size, group, path, detail);
    if (code == ANONSET_OK)
        *n = key.at * AS_CHUNK_RECORDS + (uint32_t)(val.mv_size / AS_CHECKPOINT_BYTES);
    return code;
}

anonset_code as_checkpoints_read(anonset_checkpoint *checkpoint, MDB_txn *txn, uint32_t group,
                                 uint32_t at, const char *path, anonset_detail *detail)
{
    as_key key = {.kind = AS_KIND_CHECKPOINT, .group = group, .at = at / AS_CHUNK_RECORDS};
    size_t from = (size_t)(at % AS_CHUNK_RECORDS) * AS_CHECKPOINT_BYTES;
    MDB_val val;
    int rc = as_get(txn, key, &val);
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "read", path);
    if (val.mv_size < from + AS_CHECKPOINT_BYTES)
        return check_length(0, group, path, detail);
    return as_checkpoint_decode(checkpoint, (const uint8_t *)val.mv_data + from,
                                AS_CHECKPOINT_BYTES, place_in(&key, at % AS_CHUNK_RECORDS), detail);
}
