#include "core/pack.h"

#include "core/bytes.h"
#include "core/coin.h"
#include "core/detail.h"

#include <string.h>

#define DIGEST_AT  4u
#define TAGS_AT    (DIGEST_AT + ANONSET_HASH_BYTES)
#define TAG_BYTES  4u
#define APART      0xffu /* first byte of a record that holds its fields one after the other */
#define APART_HEAD 9u    /* APART | u32 serialized_len | u32 context_len */
#define AHEAD      2048u /* 1, 2 and 4 KiB are equally fast, 8 KiB is slower */
#define CACHE_LINE 64u
#define TAIL_AT    (AS_COIN_BYTES + ANONSET_HASH_BYTES)

static uint64_t record_bytes(const anonset_coin *coin)
{
    if (as_coin_tail(coin) == AS_TAIL_AGREES)
        return coin->serialized_len;
    return (uint64_t)APART_HEAD + coin->serialized_len + ANONSET_HASH_BYTES + coin->context_len;
}

uint32_t as_pack_fit(size_t *bytes, const anonset_coin *coins, uint32_t n, size_t limit)
{
    uint64_t total = TAGS_AT + TAG_BYTES + record_bytes(coins);
    uint32_t fit = 1, most = n < AS_PACK_COINS_MAX ? n : AS_PACK_COINS_MAX;
    for (; fit < most; fit++) {
        uint64_t more = TAG_BYTES + record_bytes(coins + fit);
        if (total + more > limit)
            break;
        total += more;
    }
    *bytes = (size_t)total;
    return fit;
}

static uint8_t *put(uint8_t *at, const uint8_t *bytes, uint32_t len)
{
    if (len)
        memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *put_record(uint8_t *at, const anonset_coin *coin)
{
    if (as_coin_tail(coin) == AS_TAIL_AGREES)
        return put(at, coin->serialized, coin->serialized_len);
    at[0] = APART;
    as_put32(at + 1, coin->serialized_len);
    as_put32(at + 5, coin->context_len);
    at = put(at + APART_HEAD, coin->serialized, coin->serialized_len);
    at = put(at, coin->tx_hash, ANONSET_HASH_BYTES);
    return put(at, coin->context, coin->context_len);
}

void as_pack_write(uint8_t *out, const anonset_coin *coins, const uint32_t *tags,
                   const uint8_t *digest, uint32_t n)
{
    as_put32(out, n);
    memcpy(out + DIGEST_AT, digest, ANONSET_HASH_BYTES);
    uint8_t *at = out + TAGS_AT;
    for (uint32_t i = 0; i < n; i++, at += TAG_BYTES)
        as_put32(at, tags[i]);
    for (uint32_t i = 0; i < n; i++)
        at = put_record(at, coins + i);
}

anonset_code as_pack_open(as_pack *pack, const uint8_t *bytes, size_t len, anonset_detail *detail)
{
    uint32_t n = len >= TAGS_AT ? as_get32(bytes) : 0;
    if (n == 0 || n > AS_PACK_COINS_MAX || len - TAGS_AT < n * TAG_BYTES)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "a stored pack of coins has a damaged head (%u coins in %zu bytes)", n, len);
    pack->n = n;
    pack->digest = bytes + DIGEST_AT;
    pack->tags = bytes + TAGS_AT;
    pack->records = pack->tags + n * TAG_BYTES;
    pack->records_len = len - TAGS_AT - n * TAG_BYTES;
    return ANONSET_OK;
}

/* Bytes the record at `at` takes, 0 if it is none. */
static uint64_t get_whole(anonset_coin *coin, const uint8_t *at, size_t left)
{
    uint32_t context_len, head;
    if (left <= TAIL_AT)
        return 0;
    head = as_compact_size(&context_len, at + TAIL_AT, left - TAIL_AT);
    uint64_t len = (uint64_t)TAIL_AT + head + context_len;
    if (head == 0 || len > left || len > UINT32_MAX)
        return 0;
    coin->serialized = at;
    coin->serialized_len = (uint32_t)len;
    coin->tx_hash = at + AS_COIN_BYTES;
    coin->context = at + TAIL_AT + head;
    coin->context_len = context_len;
    return len;
}

static uint64_t get_apart(anonset_coin *coin, const uint8_t *at, size_t left)
{
    if (left < APART_HEAD)
        return 0;
    coin->serialized_len = as_get32(at + 1);
    coin->context_len = as_get32(at + 5);
    uint64_t len =
        (uint64_t)APART_HEAD + coin->serialized_len + ANONSET_HASH_BYTES + coin->context_len;
    if (len > left)
        return 0;
    coin->serialized = at + APART_HEAD;
    coin->tx_hash = coin->serialized + coin->serialized_len;
    coin->context = coin->tx_hash + ANONSET_HASH_BYTES;
    return len;
}

static uint64_t get_record(anonset_coin *coin, const uint8_t *at, size_t left)
{
    if (left == 0)
        return 0;
    if (at[0] == APART)
        return get_apart(coin, at, left);
    return at[0] <= 1 ? get_whole(coin, at, left) : 0;
}

/* A record begins where the one before ends, so that over mapped memory the processor would wait
 * for each coin by itself: ask for the bytes of one further on in time. A hint, it can do no harm.
 */
static void fetch_ahead(const uint8_t *at, size_t left, uint64_t len)
{
#if defined(__GNUC__)
    for (uint64_t i = AHEAD; i < AHEAD + len && i < left; i += CACHE_LINE)
        __builtin_prefetch(at + i);
#endif
}

anonset_code as_pack_coins(anonset_coin *coins, const as_pack *pack, anonset_detail *detail)
{
    const uint8_t *at = pack->records;
    size_t left = pack->records_len;
    for (uint32_t i = 0; i < pack->n; i++) {
        uint64_t len = get_record(coins + i, at, left);
        if (len == 0)
            return as_fail(detail, ANONSET_CORRUPT, 0, "coin %u of %u in a stored pack is damaged",
                           i + 1, pack->n);
        fetch_ahead(at, left, len);
        at += len;
        left -= (size_t)len;
    }
    if (left)
        return as_fail(detail, ANONSET_CORRUPT, 0, "%zu bytes too many in a stored pack", left);
    return ANONSET_OK;
}
