/* Packs: what went in comes out, nothing is stored twice, and rotted bytes break nothing. */
#include "core/bytes.h"
#include "core/coin.h"
#include "core/pack.h"
#include "tests/support/coins.h"
#include "tests/unit/recorded.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define HEAD 36u /* count and digest */

typedef struct packed {
    uint8_t *bytes; /* a heap block of exactly the pack's length */
    size_t len;
    uint32_t n;
} packed;

static packed pack_coins(const anonset_coin *coins, uint32_t n, size_t limit)
{
    packed p;
    uint8_t digest[ANONSET_HASH_BYTES];
    ts_fill(digest, sizeof digest, 77);
    p.n = as_pack_fit(&p.len, coins, n, limit);
    cr_assert(p.n >= 1 && p.n <= n);
    uint32_t *tags = malloc(p.n * sizeof *tags);
    p.bytes = malloc(p.len);
    cr_assert(tags && p.bytes);
    for (uint32_t i = 0; i < p.n; i++)
        tags[i] = (uint32_t)ts_mix(5, i);
    as_pack_write(p.bytes, coins, tags, digest, p.n);
    free(tags);
    return p;
}

static void expect_back(const packed *p, const anonset_coin *coins)
{
    as_pack pack;
    uint8_t digest[ANONSET_HASH_BYTES];
    anonset_coin *back = malloc(p->n * sizeof *back);
    ts_fill(digest, sizeof digest, 77);
    cr_assert_eq(as_pack_open(&pack, p->bytes, p->len, NULL), ANONSET_OK);
    cr_assert_eq(pack.n, p->n);
    cr_expect_arr_eq(pack.digest, digest, sizeof digest);
    cr_assert_eq(as_pack_coins(back, &pack, NULL), ANONSET_OK);
    for (uint32_t i = 0; i < p->n; i++) {
        cr_expect(as_coin_equal(&coins[i], &back[i]), "coin %u", i);
        cr_expect_eq(as_get32(pack.tags + 4 * (size_t)i), (uint32_t)ts_mix(5, i));
    }
    free(back);
}

static void round_trip(const anonset_coin *coins, uint32_t n, size_t want_len)
{
    packed p = pack_coins(coins, n, SIZE_MAX);
    cr_expect_eq(p.n, n);
    cr_expect_eq(p.len, want_len, "%zu bytes, not %zu", p.len, want_len);
    expect_back(&p, coins);
    free(p.bytes);
}

Test(pack, recorded_coins_come_back_and_no_byte_is_added)
{
    ts_recorded recorded;
    size_t want = HEAD;
    ts_recorded_read(&recorded, "g_60blocks/sector_whole.json", 418);
    for (uint32_t i = 0; i < recorded.answer.n; i++)
        want += 4 + recorded.answer.coins[i].serialized_len;
    round_trip(recorded.answer.coins, recorded.answer.n, want);
    ts_recorded_clear(&recorded);
}

/* Coins that do not repeat themselves: each field is stored, behind 9 bytes. */
Test(pack, coins_of_any_shape_come_back)
{
    uint8_t bytes[TS_COIN_MAX], hash[ANONSET_HASH_BYTES];
    uint8_t *large = calloc(1, 65536);
    anonset_coin standard;
    ts_coin(&standard, bytes, 3, 1);
    ts_fill(hash, sizeof hash, 9);
    ts_fill(large, 65536, 10);
    anonset_coin coins[8];
    for (uint32_t i = 0; i < 8; i++)
        coins[i] = standard;
    coins[0].tx_hash = hash;
    coins[1].context = large;
    coins[2].context_len--;
    coins[3].serialized_len--;
    coins[4] = (anonset_coin){.tx_hash = hash};
    coins[5] = (anonset_coin){.tx_hash = hash, .context = large, .context_len = 65536};
    coins[6] = (anonset_coin){.tx_hash = hash, .serialized = large, .serialized_len = 65536};
    coins[7] = (anonset_coin){hash, NULL, hash, 1, 0};
    size_t all = HEAD;
    for (uint32_t i = 0; i < 8; i++) {
        size_t want = 4 + 9 + coins[i].serialized_len + ANONSET_HASH_BYTES + coins[i].context_len;
        round_trip(&coins[i], 1, HEAD + want);
        all += want;
    }
    round_trip(coins, 8, all);
    free(large);
}

/* A standard coin whose context takes 1, 3 or 5 bytes to count. */
Test(pack, long_contexts_come_back)
{
    static const struct {
        uint32_t context_len, size_len;
        uint8_t size[5];
    } rows[] = {{0, 1, {0}}, {252, 1, {252}}, {253, 3, {253, 253, 0}}, {65536, 5, {254, 0, 0, 1}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t made[TS_COIN_MAX];
        anonset_coin coin;
        ts_coin(&coin, made, 3, 1);
        uint32_t head = AS_COIN_BYTES + ANONSET_HASH_BYTES, n = rows[i].context_len;
        uint8_t *bytes = calloc(1, head + rows[i].size_len + (size_t)n);
        memcpy(bytes, made, head);
        memcpy(bytes + head, rows[i].size, rows[i].size_len);
        coin = (anonset_coin){bytes, bytes + head + rows[i].size_len, bytes + AS_COIN_BYTES,
                              head + rows[i].size_len + n, n};
        cr_assert_eq(as_coin_tail(&coin), AS_TAIL_AGREES);
        round_trip(&coin, 1, HEAD + 4 + coin.serialized_len);
        free(bytes);
    }
}

Test(pack, fit_takes_what_the_limit_allows)
{
    ts_chain *chain = ts_chain_new(4, 50);
    size_t at[51] = {HEAD}, bytes;
    for (uint32_t i = 0; i < 50; i++)
        at[i + 1] = at[i] + 4 + chain->coins[i].serialized_len;
    cr_expect_eq(as_pack_fit(&bytes, chain->coins, 50, 0), 1u, "one, whatever its size");
    cr_expect_eq(bytes, at[1]);
    for (uint32_t n = 1; n <= 50; n++) {
        cr_expect_eq(as_pack_fit(&bytes, chain->coins, 50, at[n]), n);
        cr_expect_eq(bytes, at[n]);
        cr_expect_eq(as_pack_fit(&bytes, chain->coins, 50, at[n] - 1), n > 1 ? n - 1 : 1);
        cr_expect_eq(as_pack_fit(&bytes, chain->coins, n, SIZE_MAX), n);
    }
    ts_chain_free(chain);
}

Test(pack, holds_so_many_coins_and_no_more)
{
    uint8_t hash[ANONSET_HASH_BYTES] = {0};
    uint32_t n = AS_PACK_COINS_MAX + 1;
    anonset_coin *coins = malloc(n * sizeof *coins);
    for (uint32_t i = 0; i < n; i++)
        coins[i] = (anonset_coin){.tx_hash = hash};
    packed p = pack_coins(coins, n, SIZE_MAX);
    cr_expect_eq(p.n, AS_PACK_COINS_MAX);
    expect_back(&p, coins);
    as_put32(p.bytes, n);
    as_pack pack;
    cr_expect_eq(as_pack_open(&pack, p.bytes, p.len, NULL), ANONSET_CORRUPT);
    as_put32(p.bytes, 0);
    cr_expect_eq(as_pack_open(&pack, p.bytes, p.len, NULL), ANONSET_CORRUPT);
    free(p.bytes);
    free(coins);
}

/* Reads all that a pack hands out, so that a sanitizer sees a pointer that leaves it. */
static anonset_code read_all(const uint8_t *bytes, size_t len, uint32_t *sum)
{
    anonset_detail detail = {.code = ANONSET_OK};
    as_pack pack;
    anonset_coin coins[64];
    anonset_code code = as_pack_open(&pack, bytes, len, &detail);
    if (code == ANONSET_OK && pack.n > 64)
        code = ANONSET_CORRUPT; /* the callers below pack fewer */
    else if (code == ANONSET_OK)
        code = as_pack_coins(coins, &pack, &detail);
    cr_assert(code == ANONSET_OK || code == ANONSET_CORRUPT);
    for (uint32_t i = 0; code == ANONSET_OK && i < pack.n; i++) {
        *sum += as_get32(pack.tags + 4 * (size_t)i);
        for (uint32_t j = 0; j < coins[i].serialized_len; j++)
            *sum += coins[i].serialized[j];
        for (uint32_t j = 0; j < ANONSET_HASH_BYTES; j++)
            *sum += coins[i].tx_hash[j];
        for (uint32_t j = 0; j < coins[i].context_len; j++)
            *sum += coins[i].context[j];
    }
    return code;
}

/* Three standard coins and two that are stored apart. */
static packed mixed_pack(void)
{
    static const uint8_t hash[ANONSET_HASH_BYTES] = {1, 2, 3};
    ts_chain *chain = ts_chain_new(6, 5);
    chain->coins[1].tx_hash = hash;
    chain->coins[4] = (anonset_coin){hash, hash, hash, 5, 7};
    packed p = pack_coins(chain->coins, 5, SIZE_MAX);
    expect_back(&p, chain->coins);
    ts_chain_free(chain);
    return p;
}

Test(pack, every_changed_byte_is_survived)
{
    static const uint8_t changes[] = {0x01, 0x02, 0x80, 0xff, 0xfd};
    packed p = mixed_pack();
    uint32_t sum = 0, refused = 0;
    for (size_t i = 0; i < p.len; i++)
        for (size_t c = 0; c < sizeof changes; c++) {
            p.bytes[i] ^= changes[c];
            refused += read_all(p.bytes, p.len, &sum) == ANONSET_CORRUPT;
            p.bytes[i] ^= changes[c];
        }
    cr_expect_gt(refused, 0u);
    cr_expect_eq(read_all(p.bytes, p.len, &sum), ANONSET_OK);
    free(p.bytes);
}

Test(pack, every_byte_set_to_a_high_value_is_survived)
{
    packed p = mixed_pack();
    uint32_t sum = 0;
    for (size_t i = 0; i < p.len; i++) {
        uint8_t was = p.bytes[i];
        for (uint32_t value = 250; value < 256; value++) {
            p.bytes[i] = (uint8_t)value;
            (void)read_all(p.bytes, p.len, &sum);
        }
        p.bytes[i] = was;
    }
    cr_expect_eq(read_all(p.bytes, p.len, &sum), ANONSET_OK);
    free(p.bytes);
}

Test(pack, every_truncation_is_refused)
{
    packed p = mixed_pack();
    for (size_t len = 0; len < p.len; len++) {
        uint8_t *cut = malloc(len ? len : 1);
        uint32_t sum = 0;
        memcpy(cut, p.bytes, len);
        cr_expect_eq(read_all(cut, len, &sum), ANONSET_CORRUPT, "%zu bytes", len);
        free(cut);
    }
    free(p.bytes);
}

Test(pack, one_byte_too_many_is_refused)
{
    packed p = mixed_pack();
    uint8_t *longer = calloc(1, p.len + 1);
    uint32_t sum = 0;
    memcpy(longer, p.bytes, p.len);
    cr_expect_eq(read_all(longer, p.len + 1, &sum), ANONSET_CORRUPT);
    free(longer);
    free(p.bytes);
}

Test(pack, head_alone_gives_the_tags)
{
    packed p = mixed_pack();
    size_t head = HEAD + 4 * (size_t)p.n;
    uint8_t *cut = malloc(head);
    as_pack pack;
    memcpy(cut, p.bytes, head);
    cr_assert_eq(as_pack_open(&pack, cut, head, NULL), ANONSET_OK);
    cr_expect_eq(pack.n, p.n);
    for (uint32_t i = 0; i < p.n; i++)
        cr_expect_eq(as_get32(pack.tags + 4 * (size_t)i), (uint32_t)ts_mix(5, i));
    free(cut);
    free(p.bytes);
}
