#include "tests/support/coins.h"

#include "core/coin.h"
#include "core/digest.h"
#include "core/tag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const uint8_t ts_salt[ANONSET_SALT_BYTES] = {7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 0, 4, 5, 2};

static void *need(void *made)
{
    if (!made) {
        fputs("coins: no memory\n", stderr);
        abort();
    }
    return made;
}

/* splitmix64: public domain, Sebastiano Vigna. */
uint64_t ts_mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * 0x9e3779b97f4a7c15u + b + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void ts_fill(uint8_t *out, size_t len, uint64_t seed)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word = i % 8 == 0 ? ts_mix(seed, i / 8) : word >> 8;
        out[i] = (uint8_t)word;
    }
}

static uint8_t *fill(uint8_t *at, size_t len, uint64_t seed)
{
    ts_fill(at, len, seed);
    return at + len;
}

/* CompactSize of a length below 65,536. */
static uint8_t *compact_size(uint8_t *at, uint32_t len)
{
    if (len < 253) {
        *at++ = (uint8_t)len;
        return at;
    }
    *at++ = 253;
    *at++ = (uint8_t)len;
    *at++ = (uint8_t)(len >> 8);
    return at;
}

/* The coin alone: AS_COIN_BYTES of it. */
static uint8_t *put_coin(uint8_t *at, bool spend, uint64_t seed)
{
    uint32_t cipher = spend ? 90 : 82;
    *at++ = spend ? 1 : 0;
    at = fill(at, 102, ts_mix(seed, 1));
    at = compact_size(at, cipher);
    at = fill(at, cipher, ts_mix(seed, 2));
    at = compact_size(at, 16);
    at = fill(at, 16, ts_mix(seed, 3));
    at = compact_size(at, 32);
    at = fill(at, 32, ts_mix(seed, 4));
    return spend ? at : fill(at, 8, ts_mix(seed, 5));
}

void ts_coin(anonset_coin *coin, uint8_t *bytes, uint64_t id, uint32_t index)
{
    uint64_t seed = ts_mix(id, index);
    bool spend = seed % 3 != 0;
    uint32_t inputs = 1 + (uint32_t)(seed >> 8) % 3 + (seed % 50 == 0 ? 30 : 0);
    uint32_t context_len = spend ? 1 + 34 * inputs : 41 * inputs;
    uint8_t *at = put_coin(bytes, spend, seed);
    coin->tx_hash = at;
    at = fill(at, ANONSET_HASH_BYTES, ts_mix(seed, 6));
    at = compact_size(at, context_len);
    coin->context = at;
    if (spend)
        at[0] = (uint8_t)inputs;
    fill(at + spend, context_len - spend, ts_mix(seed, 7));
    coin->serialized = bytes;
    coin->serialized_len = (uint32_t)(at - bytes) + context_len;
    coin->context_len = context_len;
}

static size_t offset(const uint8_t *at, const uint8_t *from)
{
    return (size_t)(at - from);
}

/* Appends a copy of `coin`; shared says that its fields point into its own `serialized`. */
static void add_coin(ts_chain *chain, const anonset_coin *coin, bool shared)
{
    size_t apart = shared ? 0 : (size_t)ANONSET_HASH_BYTES + coin->context_len;
    uint8_t *bytes = need(malloc(coin->serialized_len + apart + 1));
    anonset_coin *copy = &chain->coins[chain->n];
    *copy = *coin;
    copy->serialized = bytes;
    if (coin->serialized_len > 0)
        memcpy(bytes, coin->serialized, coin->serialized_len);
    if (shared) {
        copy->tx_hash = bytes + offset(coin->tx_hash, coin->serialized);
        copy->context = bytes + offset(coin->context, coin->serialized);
    } else {
        uint8_t *at = bytes + coin->serialized_len;
        copy->tx_hash = memcpy(at, coin->tx_hash, ANONSET_HASH_BYTES);
        copy->context = at + ANONSET_HASH_BYTES;
        if (coin->context_len > 0)
            memcpy(at + ANONSET_HASH_BYTES, coin->context, coin->context_len);
    }
    chain->bytes[chain->n++] = bytes;
}

static ts_chain *empty_chain(uint64_t id, uint32_t n)
{
    ts_chain *chain = need(calloc(1, sizeof *chain));
    chain->id = id;
    chain->coins = need(calloc((size_t)n + 1, sizeof *chain->coins));
    chain->tags = need(calloc((size_t)n + 1, sizeof *chain->tags));
    chain->digests = need(calloc((size_t)n + 1, sizeof *chain->digests));
    chain->bytes = need(calloc((size_t)n + 1, sizeof *chain->bytes));
    return chain;
}

/* Tags and digests, once all coins are there. */
static void finish(ts_chain *chain)
{
    as_tagger tagger;
    as_digest *digest;
    as_tagger_init(&tagger, ts_salt);
    if (as_digest_new(&digest, NULL) != ANONSET_OK)
        need(NULL);
    for (uint32_t i = 0; i < chain->n; i++) {
        chain->tags[i] = as_tag(&tagger, &chain->coins[i]);
        if (as_digest_coin(digest, chain->digests[i + 1], chain->digests[i], &chain->coins[i]) !=
            ANONSET_OK)
            need(NULL);
    }
    as_digest_free(digest);
}

ts_chain *ts_chain_fork(const ts_chain *from, uint32_t base, uint64_t id, uint32_t n)
{
    ts_chain *chain = empty_chain(id, n);
    uint8_t bytes[TS_COIN_MAX];
    for (uint32_t i = 0; i < base; i++)
        add_coin(chain, &from->coins[i], false);
    for (uint32_t i = base; i < n; i++) {
        anonset_coin coin;
        ts_coin(&coin, bytes, id, i);
        add_coin(chain, &coin, true);
    }
    finish(chain);
    return chain;
}

ts_chain *ts_chain_new(uint64_t id, uint32_t n)
{
    return ts_chain_fork(NULL, 0, id, n);
}

ts_chain *ts_chain_of(uint64_t id, const anonset_coin *coins, uint32_t n)
{
    ts_chain *chain = empty_chain(id, n);
    for (uint32_t i = 0; i < n; i++)
        add_coin(chain, &coins[i], false);
    finish(chain);
    return chain;
}

void ts_chain_free(ts_chain *chain)
{
    for (uint32_t i = 0; i < chain->n; i++)
        free(chain->bytes[i]);
    free(chain->bytes);
    free(chain->digests);
    free(chain->tags);
    free(chain->coins);
    free(chain);
}

anonset_meta ts_chain_meta(const ts_chain *chain, uint32_t size)
{
    anonset_meta meta = {.size = size, .has_set_hash = true};
    ts_fill(meta.block_hash, sizeof meta.block_hash, ts_mix(chain->id, 1000000007u + size));
    ts_fill(meta.set_hash, sizeof meta.set_hash, ts_mix(chain->id, 2000000011u + size));
    return meta;
}
