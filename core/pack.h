/*
 * Packs: the stored form of a run of coins, shared by the backends that keep bytes (sqlite, lmdb).
 *
 *     u32 coins | digest after the last coin, 32 bytes | u32 tag a coin | record a coin
 *
 * Integers are little-endian. A record holds every byte once. Where the tail of `serialized` agrees
 * with the other two fields (as_coin_tail) it is `serialized` alone, which begins with 0 or 1 and
 * tells its own length: no byte is added, and tx hash and context are pointers into it. Otherwise
 * it is 0xff | u32 serialized_len | u32 context_len | serialized | tx hash | context. What went in
 * comes out byte for byte.
 */
#ifndef AS_PACK_H
#define AS_PACK_H

#include <anonset/backend.h>

#define AS_PACK_COINS_MAX 4096u

/* How many of the n coins (n >= 1), from the first on, make a pack of at most `limit` bytes: at
 * least one, whatever its size, and at most AS_PACK_COINS_MAX. *bytes becomes the exact size of the
 * pack. */
uint32_t as_pack_fit(size_t *bytes, const anonset_coin *coins, uint32_t n, size_t limit);

/* Writes a pack of exactly the size as_pack_fit told for these n coins. `digest` is the log digest
 * after the last one. */
void as_pack_write(uint8_t *out, const anonset_coin *coins, const uint32_t *tags,
                   const uint8_t *digest, uint32_t n);

typedef struct as_pack {
    uint32_t n;
    const uint8_t *digest;
    const uint8_t *tags; /* n x u32 */
    const uint8_t *records;
    size_t records_len;
} as_pack;

/* Reads the head of a pack. Pointers go into `bytes`. `len` may cut the pack behind its tags (then
 * only tags can be used). CORRUPT: not a pack. */
anonset_code as_pack_open(as_pack *pack, const uint8_t *bytes, size_t len, anonset_detail *detail);

/* Sets pack->n coins that point into the pack. Stored bytes may have rotted: every length is
 * checked. CORRUPT: they cannot be coins. */
anonset_code as_pack_coins(anonset_coin *coins, const as_pack *pack, anonset_detail *detail);

#endif
