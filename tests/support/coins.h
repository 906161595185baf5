/*
 * Coins for tests: deterministic, in the standard layout (core/coin.h), mints and spends mixed. A
 * chain is a set by position with its tags and log digests ready, so that a test can append any
 * part of it and knows what must come back.
 *
 * As in support.h, nothing returns an error: what cannot be done ends the test.
 */
#ifndef TS_COINS_H
#define TS_COINS_H

#include <anonset/backend.h>

#define TS_COIN_MAX 2048u /* no coin of ts_coin takes more bytes */

/* The salt that the tags of chains are keyed with; open stores with it. */
extern const uint8_t ts_salt[ANONSET_SALT_BYTES];

/* Spreads (a, b) over 64 bits, the same ones on every machine. */
uint64_t ts_mix(uint64_t a, uint64_t b);

/* Fills `out` with len bytes that follow from the seed. */
void ts_fill(uint8_t *out, size_t len, uint64_t seed);

/* Makes coin number `index` of chain `id` in `bytes` (TS_COIN_MAX), which `coin` then points into.
 */
void ts_coin(anonset_coin *coin, uint8_t *bytes, uint64_t id, uint32_t index);

typedef struct ts_chain {
    uint64_t id;
    uint32_t n;
    anonset_coin *coins;                    /* by position */
    uint32_t *tags;                         /* one a coin */
    uint8_t (*digests)[ANONSET_HASH_BYTES]; /* n + 1: the log digest at each position */
    uint8_t **bytes;                        /* what the coins point into, one block a coin */
} ts_chain;

/* n coins of chain `id`. The caller ends it with ts_chain_free. */
ts_chain *ts_chain_new(uint64_t id, uint32_t n);

/* n coins: those of `from` below `base`, of chain `id` from there on. A copy: `from` may go. */
ts_chain *ts_chain_fork(const ts_chain *from, uint32_t base, uint64_t id, uint32_t n);

/* n copies of coins given by the caller, whatever their layout. */
ts_chain *ts_chain_of(uint64_t id, const anonset_coin *coins, uint32_t n);

void ts_chain_free(ts_chain *chain);

/* A meta for the first `size` coins: another chain or size has another block and set hash. */
anonset_meta ts_chain_meta(const ts_chain *chain, uint32_t size);

#endif
