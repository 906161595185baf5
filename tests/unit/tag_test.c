/* Tags against a model in Python's big integers:
 *     r = (le(salt[:8]) & p) % p or 1; a = le(salt[8:]) | 1
 *     for m in seq: h = (h + m) * r % p;   tag = ((h * a) & (2**64 - 1)) >> 32                  */
#include "core/coin.h"
#include "core/tag.h"
#include "tests/support/coins.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void pattern(uint8_t *out, uint32_t n, uint32_t k)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = (uint8_t)(i * 7 + k);
}

/* Salts that are ordinary, all ones (both words at their end), zero, and r = p. */
static void salt_of(uint8_t salt[ANONSET_SALT_BYTES], uint32_t number)
{
    memset(salt, number == 2 ? 0 : 0xff, ANONSET_SALT_BYTES);
    if (number == 0)
        pattern(salt, ANONSET_SALT_BYTES, 9);
    if (number == 3)
        salt[7] = 0x1e;
}

static uint32_t tag_of(uint32_t salt_number, const anonset_coin *coin)
{
    uint8_t salt[ANONSET_SALT_BYTES];
    as_tagger tagger;
    salt_of(salt, salt_number);
    as_tagger_init(&tagger, salt);
    return as_tag(&tagger, coin);
}

Test(tag, is_the_polynomial)
{
    static const struct {
        uint32_t salt, serialized_len, context_len, want;
    } rows[] = {
        {0, 0, 0, 0x1c945b89u},       {0, 1, 0, 0x3f5e3becu},       {0, 7, 0, 0x023d3f22u},
        {0, 14, 13, 0xecfeebc5u},     {0, 15, 21, 0x73e22964u},     {0, 100, 300, 0xbfdb91d6u},
        {0, 300, 65536, 0x886450b5u}, {1, 0, 0, 0xfe244059u},       {1, 7, 0, 0xfdf81b3bu},
        {1, 14, 13, 0xfd6c457au},     {1, 15, 21, 0xfc7cbbf8u},     {1, 300, 65536, 0xe17b8cd2u},
        {2, 15, 21, 0x03834407u},     {2, 300, 65536, 0x1e84732du}, {3, 0, 0, 0xfa03491au},
        {3, 15, 21, 0xf428d60fu},     {3, 300, 65536, 0xf8aee87fu},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t s = rows[i].serialized_len, c = rows[i].context_len;
        /* Blocks of just that length, so that a sanitizer sees a byte too many being read. */
        uint8_t *serialized = malloc(s ? s : 1), *context = malloc(c ? c : 1), tx_hash[32];
        pattern(serialized, s, 2);
        pattern(tx_hash, sizeof tx_hash, 3);
        pattern(context, c, 4);
        anonset_coin coin = {serialized, context, tx_hash, s, c};
        cr_expect_eq(tag_of(rows[i].salt, &coin), rows[i].want, "row %zu", i);
        free(serialized);
        free(context);
    }
}

Test(tag, of_a_standard_coin_is_that_of_serialized)
{
    static const uint32_t want[] = {0x3d3074e7u, 0xe67e624cu, 0x19819db3u, 0xe1f913d7u};
    uint8_t *bytes = malloc(358);
    pattern(bytes, 358, 0);
    bytes[0] = 0;
    bytes[103] = 82;
    bytes[186] = 16;
    bytes[203] = 32;
    bytes[276] = 81;
    anonset_coin coin = {bytes, bytes + 277, bytes + 244, 358, 81};
    cr_assert_eq(as_coin_tail(&coin), AS_TAIL_AGREES);
    for (uint32_t i = 0; i < 4; i++)
        cr_expect_eq(tag_of(i, &coin), want[i], "salt %u", i);
    free(bytes);
}

Test(tag, does_not_depend_on_where_the_bytes_are)
{
    uint8_t bytes[TS_COIN_MAX], copy[3 * TS_COIN_MAX];
    anonset_coin coin, moved;
    ts_coin(&coin, bytes, 5, 8);
    for (uint32_t shift = 0; shift < 8; shift++) {
        moved = coin;
        moved.serialized = memcpy(copy + shift, coin.serialized, coin.serialized_len);
        moved.tx_hash = memcpy(copy + TS_COIN_MAX + shift, coin.tx_hash, ANONSET_HASH_BYTES);
        moved.context = memcpy(copy + 2 * TS_COIN_MAX + shift, coin.context, coin.context_len);
        cr_expect_eq(tag_of(0, &coin), tag_of(0, &moved), "shift %u", shift);
    }
}

/* Zeros more or less, at either end or moved from one field to the next, make other polynomials:
 * under one salt all tags differ, but for a chance of 1 in 2^31 a pair, and the salt is fixed. */
Test(tag, zeros_and_lengths_do_not_collide)
{
    enum {
        MOST = 40,
        COINS = MOST * MOST
    };
    static const uint8_t zeros[MOST];
    static uint32_t tags[COINS];
    uint32_t n = 0;
    for (uint32_t s = 0; s < MOST; s++)
        for (uint32_t c = 0; c < MOST; c++) {
            anonset_coin coin = {zeros, zeros, zeros, s, c};
            tags[n++] = tag_of(0, &coin);
        }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < i; j++)
            cr_expect_neq(tags[i], tags[j], "(%u, %u) and (%u, %u)", i / MOST, i % MOST, j / MOST,
                          j % MOST);
}

Test(tag, every_bit_counts)
{
    uint8_t bytes[TS_COIN_MAX], changed[TS_COIN_MAX];
    anonset_coin coin;
    ts_coin(&coin, bytes, 5, 8);
    uint32_t whole = tag_of(0, &coin), same = 0;
    coin.serialized = changed;
    coin.tx_hash = changed + AS_COIN_BYTES;
    coin.context = changed + coin.serialized_len - coin.context_len;
    for (uint32_t bit = 0; bit < coin.serialized_len * 8; bit++) {
        memcpy(changed, bytes, sizeof changed);
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        same += tag_of(0, &coin) == whole;
    }
    cr_expect_eq(same, 0u);
}

/* The unit of core/unique.c's table: tags fill the space evenly. */
Test(tag, spreads_evenly)
{
    enum {
        COINS = 20000,
        PARTS = 16
    };
    uint32_t high[PARTS] = {0}, low[PARTS] = {0};
    uint8_t bytes[TS_COIN_MAX];
    as_tagger tagger;
    as_tagger_init(&tagger, ts_salt);
    for (uint32_t i = 0; i < COINS; i++) {
        anonset_coin coin;
        ts_coin(&coin, bytes, 5, i);
        uint32_t tag = as_tag(&tagger, &coin);
        high[tag >> 28]++;
        low[tag % PARTS]++;
    }
    /* 1,250 expected, standard deviation 34: five of them. */
    for (uint32_t i = 0; i < PARTS; i++) {
        cr_expect(high[i] > 1080 && high[i] < 1420, "high %u: %u", i, high[i]);
        cr_expect(low[i] > 1080 && low[i] < 1420, "low %u: %u", i, low[i]);
    }
}

/* The polynomial's value is a number below the prime 2^61 - 1: one that comes out as the prime
 * itself counts as 0. With the key 1 it is the sum of all blocks of seven bytes and the lengths, so
 * that a coin can be made whose sum is the prime. */
Test(tag, the_prime_itself_is_zero)
{
    enum {
        LEN = 252,
        FULL = 31
    };
    static uint8_t bytes[LEN];
    static const uint8_t tx_hash[ANONSET_HASH_BYTES];
    const uint8_t salt[ANONSET_SALT_BYTES] = {1};
    const anonset_coin coin = {.serialized = bytes, .serialized_len = LEN, .tx_hash = tx_hash};
    const uint64_t full = (UINT64_C(1) << 56) - 1;
    uint64_t rest = (UINT64_C(1) << 61) - 1 - (UINT64_C(2) << 32 | LEN) - FULL * full;
    as_tagger tagger;
    as_tagger_init(&tagger, salt);
    memset(bytes, 0xff, (size_t)7 * FULL);
    for (size_t i = 0; i < 7; i++)
        bytes[7 * FULL + i] = (uint8_t)(rest >> (8 * i));
    cr_expect_eq(as_tag(&tagger, &coin), 0);
    /* 2^32 more is 2^32, and its upper half is the tag. */
    bytes[7 * FULL + 4]++;
    cr_expect_eq(as_tag(&tagger, &coin), 1);
}
