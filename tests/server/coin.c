#include "tests/server/coin.h"

#include <string.h>

#define ELEMENT    34u
#define MINT_INPUT 41u

/* The finalizer of splitmix64. */
static uint64_t scramble(uint64_t v)
{
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
    v = (v ^ v >> 27) * 0x94d049bb133111ebu;
    return v ^ v >> 31;
}

uint64_t mix(uint64_t a, uint64_t b, uint64_t c)
{
    return scramble(scramble(scramble(a + 0x9e3779b97f4a7c15u) + b) + c);
}

/* Fills with what follows from `state`, eight bytes at a time. */
static void fill(uint8_t *out, size_t len, uint64_t state)
{
    while (len > 0) {
        uint64_t v = scramble(state += 0x9e3779b97f4a7c15u);
        size_t part = len < sizeof v ? len : sizeof v;
        memcpy(out, &v, part);
        out += part;
        len -= part;
    }
}

uint32_t tx_coins(const coin_rules *rules, uint64_t tx)
{
    static const uint8_t usual[] = {1, 2, 2, 2, 3, 3, 5, 8};
    return usual[mix(rules->seed, tx, 1) % sizeof usual];
}

bool tx_is_spend(const coin_rules *rules, uint64_t tx)
{
    return mix(rules->seed, tx, 2) % 100 < rules->spend_percent;
}

void tx_hash(const coin_rules *rules, uint64_t tx, uint8_t *out)
{
    fill(out, 32, mix(rules->seed, tx, 4));
}

uint64_t coin_key(const coin_rules *rules, uint64_t tx, uint32_t output)
{
    return mix(rules->seed, tx, 1000 + output);
}

static bool is_bare(const coin_rules *rules, uint64_t tx)
{
    return rules->bare_every && tx % rules->bare_every == rules->bare_every - 1;
}

static uint8_t *put_element(uint8_t *at, uint64_t state)
{
    fill(at, ELEMENT - 2, state);
    at[ELEMENT - 2] = (uint8_t)(state & 1);
    at[ELEMENT - 1] = 0;
    return at + ELEMENT;
}

static uint8_t *put_sized(uint8_t *at, uint8_t len, uint64_t state)
{
    *at++ = len;
    fill(at, len, state);
    return at + len;
}

void coin_bytes(const coin_rules *rules, uint64_t tx, uint32_t output, uint8_t *out)
{
    bool spend = tx_is_spend(rules, tx);
    uint64_t key = coin_key(rules, tx, output);
    uint8_t *at = out;
    *at++ = spend;
    put_element(at, key ^ 1);
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(key >> (56 - 8 * i));
    at = put_element(at + ELEMENT, key ^ 2);
    at = put_element(at, key ^ 3);
    at = put_sized(at, spend ? 90 : 82, key ^ 4);
    at = put_sized(at, 16, key ^ 5);
    at = put_sized(at, 32, key ^ 6);
    if (!spend) {
        fill(at, 5, key ^ 7);
        memset(at + 5, 0, 3); /* amounts are far below 2^40 */
    }
}

/* Few have more than one, as on the real chain, where coins take about 535 bytes of JSON. */
static uint8_t inputs_of(uint64_t chance)
{
    if (chance % 1024 == 0)
        return 35;
    return chance % 64 < 2 ? 2 + (uint8_t)(chance % 64) : 1;
}

/* Mint: outpoint, empty script and sequence of each input. Spend: a count, and its tags. */
static size_t put_context(const coin_rules *rules, uint64_t tx, uint8_t *out)
{
    uint8_t count = inputs_of(mix(rules->seed, tx, 3));
    if (tx_is_spend(rules, tx)) {
        *out = count;
        for (unsigned i = 0; i < count; i++)
            put_element(out + 1 + i * ELEMENT, mix(rules->seed, tx, 100 + i));
        return 1 + count * ELEMENT;
    }
    for (unsigned i = 0; i < count; i++) {
        uint8_t *input = out + i * MINT_INPUT;
        memset(input, 0, MINT_INPUT);
        fill(input, 32, mix(rules->seed, tx, 100 + i));
        input[32] = (uint8_t)i;
        memcpy(input + 37, "\xfe\xff\xff\xff", 4);
    }
    return count * MINT_INPUT;
}

void coin_fields_make(const coin_rules *rules, uint64_t tx, uint32_t output, coin_fields *out)
{
    uint8_t *at = out->serialized + COIN_BYTES;
    out->context_len = put_context(rules, tx, out->context);
    coin_bytes(rules, tx, output, out->serialized);
    tx_hash(rules, tx, out->hash);
    memcpy(at, out->hash, sizeof out->hash);
    at += sizeof out->hash;
    if (out->context_len < 253) {
        *at++ = (uint8_t)out->context_len;
    } else {
        *at++ = 253;
        *at++ = (uint8_t)out->context_len;
        *at++ = (uint8_t)(out->context_len >> 8);
    }
    memcpy(at, out->context, out->context_len);
    out->serialized_len = (size_t)(at - out->serialized) + out->context_len;
    if (is_bare(rules, tx))
        out->serialized_len = COIN_BYTES;
}

void coin_json(const coin_rules *rules, uint64_t tx, uint32_t output, text *out)
{
    coin_fields fields;
    coin_fields_make(rules, tx, output, &fields);
    text_put(out, "[\"");
    text_base64(out, fields.serialized, fields.serialized_len);
    text_put(out, "\",\"");
    text_base64(out, fields.hash, sizeof fields.hash);
    text_put(out, "\",\"");
    text_base64(out, fields.context, fields.context_len);
    text_put(out, "\"]");
}
