/* What the layout of a coin tells, on recorded coins and on each way to differ from them. */
#include "core/coin.h"
#include "tests/support/coins.h"
#include "tests/unit/recorded.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define TX_AT      AS_COIN_BYTES
#define CONTEXT_AT (AS_COIN_BYTES + ANONSET_HASH_BYTES)

Test(coin, tail_of_every_recorded_coin_agrees)
{
    ts_recorded recorded;
    ts_recorded_read(&recorded, "g_60blocks/sector_whole.json", 418);
    for (uint32_t i = 0; i < recorded.answer.n; i++)
        cr_expect_eq(as_coin_tail(&recorded.answer.coins[i]), AS_TAIL_AGREES, "coin %u", i);
    ts_recorded_clear(&recorded);
}

/* Chain 1 holds mints and spends; these are the first of each. */
static void make(anonset_coin *coin, uint8_t *bytes, uint8_t type)
{
    for (uint32_t i = 0; i < 100; i++) {
        ts_coin(coin, bytes, 1, i);
        if (coin->serialized[0] == type)
            return;
    }
    cr_assert_fail("no coin of type %u", type);
}

typedef struct row {
    const char *what;
    uint8_t type;
    uint32_t at; /* byte of `serialized` to change */
    as_tail want;
} row;

static const row rows[] = {
    {"a mint's type", 0, 0, AS_TAIL_NONE},
    {"a spend's type", 1, 0, AS_TAIL_NONE},
    {"a group element", 0, 50, AS_TAIL_AGREES},
    {"length of a mint's ciphertext", 0, 103, AS_TAIL_NONE},
    {"length of a spend's ciphertext", 1, 103, AS_TAIL_NONE},
    {"length of a mint's tag", 0, 186, AS_TAIL_NONE},
    {"length of a spend's tag", 1, 194, AS_TAIL_NONE},
    {"length of a mint's key commitment", 0, 203, AS_TAIL_NONE},
    {"length of a spend's key commitment", 1, 211, AS_TAIL_NONE},
    {"a mint's value", 0, 240, AS_TAIL_AGREES},
    {"first byte of the tx hash", 0, TX_AT, AS_TAIL_CONTRADICTS},
    {"last byte of the tx hash", 1, CONTEXT_AT - 1, AS_TAIL_CONTRADICTS},
    {"length of the context", 0, CONTEXT_AT, AS_TAIL_CONTRADICTS},
    {"first byte of the context", 1, CONTEXT_AT + 1, AS_TAIL_CONTRADICTS},
};

Test(coin, tail_tells_each_change)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t bytes[TS_COIN_MAX], changed[TS_COIN_MAX];
        anonset_coin coin;
        make(&coin, bytes, rows[i].type);
        cr_expect_eq(as_coin_tail(&coin), AS_TAIL_AGREES);
        memcpy(changed, bytes, coin.serialized_len);
        changed[rows[i].at] ^= 2;
        coin.serialized = changed;
        cr_expect_eq(as_coin_tail(&coin), rows[i].want, "%s", rows[i].what);
    }
}

Test(coin, tail_needs_every_byte)
{
    uint8_t bytes[TS_COIN_MAX];
    anonset_coin coin;
    make(&coin, bytes, 0);
    for (uint32_t len = 0; len < coin.serialized_len; len++) {
        /* A heap block of that length, so that a sanitizer sees a byte too many being read. */
        uint8_t *cut = malloc(len ? len : 1);
        memcpy(cut, bytes, len);
        anonset_coin shorter = coin;
        shorter.serialized = cut;
        shorter.serialized_len = len;
        cr_expect_eq(as_coin_tail(&shorter), AS_TAIL_NONE, "%u bytes", len);
        free(cut);
    }
}

/* The standard coin with a context of this length. */
static as_tail tail_with_context(uint32_t context_len, const uint8_t *size, uint32_t size_len)
{
    uint8_t made[TS_COIN_MAX];
    anonset_coin coin;
    make(&coin, made, 1);
    uint8_t *bytes = calloc(1, CONTEXT_AT + size_len + (size_t)context_len);
    memcpy(bytes, made, CONTEXT_AT);
    memcpy(bytes + CONTEXT_AT, size, size_len);
    coin = (anonset_coin){.serialized = bytes,
                          .serialized_len = CONTEXT_AT + size_len + context_len,
                          .tx_hash = made + TX_AT,
                          .context = bytes + CONTEXT_AT + size_len,
                          .context_len = context_len};
    as_tail tail = as_coin_tail(&coin);
    free(bytes);
    return tail;
}

Test(coin, context_of_every_size)
{
    static const struct {
        uint32_t context_len, size_len;
        uint8_t size[9];
        as_tail want;
    } sizes[] = {
        {0, 1, {0}, AS_TAIL_AGREES},
        {252, 1, {252}, AS_TAIL_AGREES},
        {253, 3, {253, 253, 0}, AS_TAIL_AGREES},
        {252, 3, {253, 252, 0}, AS_TAIL_NONE}, /* not canonical */
        {65535, 3, {253, 255, 255}, AS_TAIL_AGREES},
        {65536, 5, {254, 0, 0, 1, 0}, AS_TAIL_AGREES},
        {65535, 5, {254, 255, 255, 0, 0}, AS_TAIL_NONE},
        {9, 9, {255, 9, 0, 0, 0, 0, 0, 0, 0}, AS_TAIL_NONE},
        {10, 1, {9}, AS_TAIL_CONTRADICTS},
        {10, 1, {11}, AS_TAIL_CONTRADICTS},
        {10, 5, {254, 255, 255, 255, 255}, AS_TAIL_NONE},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        cr_expect_eq(tail_with_context(sizes[i].context_len, sizes[i].size, sizes[i].size_len),
                     sizes[i].want, "row %zu", i);
}

Test(coin, equal_means_all_three_fields)
{
    uint8_t bytes[TS_COIN_MAX], other[TS_COIN_MAX], empty[ANONSET_HASH_BYTES] = {0};
    anonset_coin a, b;
    make(&a, bytes, 0);
    memcpy(other, bytes, sizeof other);
    b = a;
    b.serialized = other;
    cr_expect(as_coin_equal(&a, &b));
    other[a.serialized_len - 1] ^= 1;
    cr_expect_not(as_coin_equal(&a, &b), "serialized");
    b = a;
    b.serialized_len--;
    cr_expect_not(as_coin_equal(&a, &b), "length of serialized");
    b = a;
    b.tx_hash = empty;
    cr_expect_not(as_coin_equal(&a, &b), "tx hash");
    b = a;
    b.context = other;
    cr_expect_not(as_coin_equal(&a, &b), "context");
    b = a;
    b.context_len--;
    cr_expect_not(as_coin_equal(&a, &b), "length of context");
    a = b = (anonset_coin){.tx_hash = empty};
    cr_expect(as_coin_equal(&a, &b), "no bytes at all");
}
