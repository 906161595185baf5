#include "core/tag.h"

#include "core/bytes.h"
#include "core/coin.h"

#include <string.h>

/*
 * A polynomial over the field of the prime p = 2^61 - 1, evaluated at the secret point r, brought
 * to 32 bits by a secret odd multiplier.
 *
 * A coin becomes a sequence of numbers below 2^56, its coefficients: a first one that is never 0
 * and tells which fields follow and how long they are, then the fields' bytes, each padded with
 * zeros to blocks of 7. So different coins are different polynomials: a leading 0 or zeros at the
 * end cannot be confused with other lengths, nor one field with another. Two polynomials of at most
 * L blocks agree at no more than L of the 2^61 points r.
 *
 * Bound: for any two different coins chosen without knowing the salt,
 *     P(same tag) <= (L + 2) / 2^61 + 2 / 2^32,
 * where the second term is that of multiply-shift hashing (Dietzfelbinger et al., 1997). L is 52
 * for a coin of 358 bytes; even for 64 KiB of context the first term is below 2^-45.
 */
#define P     ((UINT64_C(1) << 61) - 1)
#define BLOCK 7u

enum {
    KEY_R,
    KEY_R2,
    KEY_MULTIPLIER
};

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 product;

static void multiply(uint64_t *high, uint64_t *low, uint64_t a, uint64_t b)
{
    product ab = (product)a * b;
    *high = (uint64_t)(ab >> 64);
    *low = (uint64_t)ab;
}
#else
static void multiply(uint64_t *high, uint64_t *low, uint64_t a, uint64_t b)
{
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
    uint64_t cross = a0 * b1 + (uint32_t)middle;
    *high = a1 * b1 + (middle >> 32) + (cross >> 32);
    *low = a * b;
}
#endif

/* a x b mod p but for a multiple of p: below 2^61 + 4, for a < 2^63 and b < 2^61. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t high, low;
    multiply(&high, &low, a, b);
    uint64_t sum = (low & P) + (high << 3 | low >> 61);
    return (sum & P) + (sum >> 61);
}

static uint64_t last_block(const uint8_t *bytes, uint32_t len)
{
    uint64_t block = 0;
    for (uint32_t i = 0; i < len; i++)
        block |= (uint64_t)bytes[i] << (8 * i);
    return block;
}

static uint64_t block_at(const uint8_t *bytes)
{
    return as_get64(bytes) & ((UINT64_C(1) << 56) - 1);
}

/* Two blocks at a time, so that the two products can be made at once. */
static uint64_t add_bytes(const as_tagger *tagger, uint64_t h, const uint8_t *bytes, uint32_t len)
{
    const uint64_t r = tagger->key[KEY_R], r2 = tagger->key[KEY_R2];
    for (; len >= 2 * BLOCK + 1; bytes += 2 * BLOCK, len -= 2 * BLOCK)
        h = times(h + block_at(bytes), r2) + times(block_at(bytes + BLOCK), r);
    for (; len > 0; bytes += BLOCK, len -= BLOCK) {
        if (len <= BLOCK)
            return times(h + last_block(bytes, len), r);
        h = times(h + block_at(bytes), r);
    }
    return h;
}

void as_tagger_init(as_tagger *tagger, const uint8_t salt[ANONSET_SALT_BYTES])
{
    memset(tagger, 0, sizeof *tagger);
    uint64_t r = as_get64(salt) & P;
    tagger->key[KEY_R] = r == 0 || r == P ? 1 : r; /* 0 would give all coins one tag */
    uint64_t r2 = times(tagger->key[KEY_R], tagger->key[KEY_R]);
    tagger->key[KEY_R2] = r2 >= P ? r2 - P : r2;
    tagger->key[KEY_MULTIPLIER] = as_get64(salt + 8) | 1;
}

uint32_t as_tag(const as_tagger *tagger, const anonset_coin *coin)
{
    const uint64_t r = tagger->key[KEY_R];
    uint64_t h;
    if (as_coin_tail(coin) == AS_TAIL_AGREES) {
        h = times(UINT64_C(1) << 32 | coin->serialized_len, r);
        h = add_bytes(tagger, h, coin->serialized, coin->serialized_len);
    } else {
        h = times(UINT64_C(2) << 32 | coin->serialized_len, r);
        h = times(h + coin->context_len, r);
        h = add_bytes(tagger, h, coin->serialized, coin->serialized_len);
        h = add_bytes(tagger, h, coin->tx_hash, ANONSET_HASH_BYTES);
        h = add_bytes(tagger, h, coin->context, coin->context_len);
    }
    while (h >= P)
        h -= P;
    return (uint32_t)(h * tagger->key[KEY_MULTIPLIER] >> 32);
}
