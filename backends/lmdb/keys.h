/*
 * The key layout: everything lies in LMDB's main table. Integers in keys are big-endian, so that
 * the order of bytes is the order of numbers.
 *
 *     key                                       value
 *     info                                      what the store is: file.h
 *     pack       | group | start | epoch        a pack of coins: core/pack.h
 *     ledger     | group                        the group's record: core/ledger.h, fixed length
 *     checkpoint | group | chunk                up to 37 checkpoints: checkpoints.h
 *     used       | chunk                        used coin tags: used.h
 *     used state                                the record of their list: core/ledger.h
 *
 * The kind is one byte, the rest four each. The order of the kinds is chosen for what a commit has
 * to rewrite: the newest packs, the ledger records and the newest checkpoints lie side by side,
 * mostly in one page.
 */
#ifndef AS_LMDB_KEYS_H
#define AS_LMDB_KEYS_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum as_kind {
    AS_KIND_INFO = 0,
    AS_KIND_PACK = 1,
    AS_KIND_LEDGER = 2,
    AS_KIND_CHECKPOINT = 3,
    AS_KIND_USED = 4,
    AS_KIND_USED_STATE = 5
} as_kind;

typedef struct as_key {
    as_kind kind;
    uint32_t group; /* used: chunk */
    uint32_t at;    /* pack: start; checkpoint: chunk */
    uint32_t sub;   /* pack: epoch */
} as_key;

#define AS_KEY_BYTES 13u /* the longest */

static inline void as_key_put32(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

static inline uint32_t as_key_get32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | (uint32_t)in[3];
}

static inline size_t as_key_len(as_kind kind)
{
    static const uint8_t lens[] = {[AS_KIND_INFO] = 1,   [AS_KIND_PACK] = AS_KEY_BYTES,
                                   [AS_KIND_LEDGER] = 5, [AS_KIND_CHECKPOINT] = 9,
                                   [AS_KIND_USED] = 5,   [AS_KIND_USED_STATE] = 1};
    return lens[kind];
}

/* Encodes into `bytes`, to which the result points. */
static inline MDB_val as_key_encode(uint8_t bytes[AS_KEY_BYTES], as_key key)
{
    bytes[0] = (uint8_t)key.kind;
    as_key_put32(bytes + 1, key.group);
    as_key_put32(bytes + 5, key.at);
    as_key_put32(bytes + 9, key.sub);
    return (MDB_val){.mv_size = as_key_len(key.kind), .mv_data = bytes};
}

/* False: not a key of ours. */
static inline bool as_key_decode(as_key *key, const MDB_val *val)
{
    const uint8_t *bytes = val->mv_data;
    if (val->mv_size < 1 || bytes[0] > AS_KIND_USED_STATE ||
        val->mv_size != as_key_len((as_kind)bytes[0]))
        return false;
    *key = (as_key){.kind = (as_kind)bytes[0]};
    if (val->mv_size >= 5)
        key->group = as_key_get32(bytes + 1);
    if (val->mv_size >= 9)
        key->at = as_key_get32(bytes + 5);
    if (val->mv_size == AS_KEY_BYTES)
        key->sub = as_key_get32(bytes + 9);
    return true;
}

#endif
