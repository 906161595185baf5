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
#define P       ((UINT64_C(1) << 61) - 1)
#define BLOCK   7u
#define AT_ONCE 4u /* blocks */

enum {
    KEY_R, /* and its powers: the second, third and fourth */
    KEY_MULTIPLIER = AT_ONCE
};

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 wide;

static wide plus_product(wide sum, uint64_t a, uint64_t b)
{
    return sum + (wide)a * b;
}

static uint64_t high(wide sum)
{
    return (uint64_t)(sum >> 64);
}

static uint64_t low(wide sum)
{
    return (uint64_t)sum;
}
#define NOTHING 0
#else
typedef struct wide {
    uint64_t high, low;
} wide;

static wide plus_product(wide sum, uint64_t a, uint64_t b)
{
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
    uint64_t cross = a0 * b1 + (uint32_t)middle;
    uint64_t product = a * b;
    sum.low += product;
    sum.high += a1 * b1 + (middle >> 32) + (cross >> 32) + (sum.low < product);
    return sum;
}

static uint64_t high(wide sum)
{
    return sum.high;
}

static uint64_t low(wide sum)
{
    return sum.low;
}
#define NOTHING ((wide){0, 0})
#endif

/* The sum mod p but for a multiple of p: below 2^61 + 8, for a sum below 2^124. */
static uint64_t reduce(wide sum)
{
    uint64_t folded = (low(sum) & P) + (high(sum) << 3 | low(sum) >> 61);
    return (folded & P) + (folded >> 61);
}

/* For a < 2^63 and b < 2^61. */
static uint64_t times(uint64_t a, uint64_t b)
{
    return reduce(plus_product(NOTHING, a, b));
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

/* Four blocks at a time, which are brought below p together. */
static uint64_t add_bytes(const as_tagger *tagger, uint64_t h, const uint8_t *bytes, uint32_t len)
{
    const uint64_t *power = tagger->key;
    for (; len >= AT_ONCE * BLOCK + 1; bytes += AT_ONCE * BLOCK, len -= AT_ONCE * BLOCK) {
        wide sum = plus_product(NOTHING, h + block_at(bytes), power[3]);
        sum = plus_product(sum, block_at(bytes + BLOCK), power[2]);
        sum = plus_product(sum, block_at(bytes + 2 * BLOCK), power[1]);
        sum = plus_product(sum, block_at(bytes + 3 * BLOCK), power[0]);
        h = reduce(sum);
    }
    for (; len > BLOCK; bytes += BLOCK, len -= BLOCK)
        h = times(h + block_at(bytes), power[0]);
    return len > 0 ? times(h + last_block(bytes, len), power[0]) : h;
}

void as_tagger_init(as_tagger *tagger, const uint8_t salt[ANONSET_SALT_BYTES])
{
    memset(tagger, 0, sizeof *tagger);
    uint64_t r = as_get64(salt) & P;
    tagger->key[KEY_R] = r == 0 || r == P ? 1 : r; /* 0 would give all coins one tag */
    for (uint32_t i = 1; i < AT_ONCE; i++) {
        uint64_t power = times(tagger->key[i - 1], tagger->key[KEY_R]);
        tagger->key[i] = power >= P ? power - P : power;
    }
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
