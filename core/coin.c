#include "core/coin.h"

#include "core/bytes.h"

#include <string.h>

#define TX_HASH_AT   AS_COIN_BYTES
#define CONTEXT_AT   (AS_COIN_BYTES + ANONSET_HASH_BYTES) /* of its CompactSize */
#define CIPHER_AT    103u                                 /* of the ciphertext's CompactSize */
#define CIPHER_MINT  82u
#define CIPHER_SPEND 90u

/* The length bytes of the coin proper are where a mint or a spend has them. */
static bool is_coin(const uint8_t *b)
{
    uint32_t cipher = b[0] == 0 ? CIPHER_MINT : CIPHER_SPEND;
    uint32_t tag_at = CIPHER_AT + 1 + cipher;
    return b[0] <= 1 && b[CIPHER_AT] == cipher && b[tag_at] == 16 && b[tag_at + 17] == 32;
}

uint32_t as_compact_size(uint32_t *value, const uint8_t *bytes, size_t len)
{
    if (len >= 1 && bytes[0] < 253) {
        *value = bytes[0];
        return 1;
    }
    if (len >= 3 && bytes[0] == 253) {
        *value = (uint32_t)bytes[1] | (uint32_t)bytes[2] << 8;
        return *value >= 253 ? 3 : 0;
    }
    if (len >= 5 && bytes[0] == 254) {
        *value = as_get32(bytes + 1);
        return *value > UINT16_MAX ? 5 : 0;
    }
    return 0;
}

static bool bytes_equal(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    return len == 0 || memcmp(a, b, len) == 0;
}

/* Bytes of the canonical CompactSize of `value`. */
static uint32_t compact_bytes(uint32_t value)
{
    if (value < 253)
        return 1;
    return value <= UINT16_MAX ? 3 : 5;
}

/* Whether the tail's length is that of the two fields, or else what its own CompactSize says. */
static bool is_tail(const anonset_coin *coin)
{
    uint32_t left = coin->serialized_len - CONTEXT_AT, value;
    if (left == (uint64_t)compact_bytes(coin->context_len) + coin->context_len)
        return true;
    uint32_t head = as_compact_size(&value, coin->serialized + CONTEXT_AT, left);
    return head > 0 && value == left - head;
}

as_tail as_coin_tail(const anonset_coin *coin)
{
    const uint8_t *b = coin->serialized;
    uint32_t len = coin->serialized_len, context_len;
    if (len <= CONTEXT_AT || !is_coin(b) || !is_tail(coin))
        return AS_TAIL_NONE;
    uint32_t head = as_compact_size(&context_len, b + CONTEXT_AT, len - CONTEXT_AT);
    bool agrees = head > 0 && context_len == len - CONTEXT_AT - head &&
                  context_len == coin->context_len &&
                  memcmp(b + TX_HASH_AT, coin->tx_hash, ANONSET_HASH_BYTES) == 0 &&
                  bytes_equal(b + CONTEXT_AT + head, coin->context, context_len);
    return agrees ? AS_TAIL_AGREES : AS_TAIL_CONTRADICTS;
}

bool as_coin_equal(const anonset_coin *a, const anonset_coin *b)
{
    return a->serialized_len == b->serialized_len && a->context_len == b->context_len &&
           bytes_equal(a->serialized, b->serialized, a->serialized_len) &&
           memcmp(a->tx_hash, b->tx_hash, ANONSET_HASH_BYTES) == 0 &&
           bytes_equal(a->context, b->context, a->context_len);
}
