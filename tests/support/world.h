/*
 * A small model of the node: chains of blocks of coins, with all of its rules on pins, positions
 * and set hashes, for tests that need many short histories and no socket. Chains are immutable once
 * made; tw_answer answers requests as a server on one of them would.
 */
#ifndef TW_WORLD_H
#define TW_WORLD_H

#include <anonset/anonset.h>

#define TW_BLOCKS_MAX 20u /* of a chain */
#define TW_COINS_MAX  400u
#define TW_TXS_MAX    64u /* of a block */

#define TW_FIRST_HEIGHT 100u /* of a chain's first block */

/* Numbers follow from the state alone; or, where a fuzzer chooses, tw_between and tw_chance take
 * its bytes as long as they last. */
typedef struct tw_rng {
    uint64_t state;
    const uint8_t *bytes;
    size_t left;
} tw_rng;

uint64_t tw_random(tw_rng *rng);
/* A number in [low, high]. */
uint32_t tw_between(tw_rng *rng, uint32_t low, uint32_t high);
bool tw_chance(tw_rng *rng, double probability);

/* A transaction mints one or two coins; a coin is told by its value. */
typedef struct tw_tx {
    uint32_t n;
    uint32_t value[2];
} tw_tx;

typedef struct tw_block {
    uint32_t tag; /* two blocks of equal content differ by it */
    uint32_t n;
    tw_tx tx[TW_TXS_MAX];
} tw_block;

typedef struct tw_chain {
    uint32_t n;
    tw_block block[TW_BLOCKS_MAX];
    /* Made by tw_seal: */
    anonset_meta meta;
    uint8_t digest[ANONSET_HASH_BYTES];             /* log digest of the set */
    uint8_t pin[TW_BLOCKS_MAX][ANONSET_HASH_BYTES]; /* block hashes */
    uint32_t size[TW_BLOCKS_MAX];                   /* of the set at each block */
    tw_tx coin_tx[TW_COINS_MAX];                    /* by position */
    uint32_t coin[TW_COINS_MAX];                    /* value, by position */
    uint64_t upto[TW_COINS_MAX]; /* begin of the log digest of the coins up to a position */
} tw_chain;

/* All chains that one history has seen. */
typedef struct tw_world {
    tw_rng rng;
    uint32_t tag;
    uint32_t n;
    tw_chain *chains[256];
} tw_world;

void tw_world_init(tw_world *world, uint64_t seed);
void tw_world_free(tw_world *world);

/* Makes the next chain out of `from` (NULL: none yet): growth, a reorg of some depth, the same
 * coins mined again or cut into other blocks, one coin replaced, blocks joined into one, a shrink,
 * or back to an earlier chain. */
const tw_chain *tw_mutate(tw_world *world, const tw_chain *from);
/* Adds `blocks` blocks of new coins, of one transaction each or of `txs`. */
const tw_chain *tw_grow(tw_world *world, const tw_chain *from, uint32_t blocks);
const tw_chain *tw_grow_wide(tw_world *world, const tw_chain *from, uint32_t blocks, uint32_t txs);

/* The chain that had this meta; NULL: none ever had. */
const tw_chain *tw_find(const tw_world *world, const anonset_meta *meta);
/* Whether `coin` is one of the chain's first block, which no set hash covers. */
bool tw_in_first_block(const tw_chain *chain, const anonset_coin *coin);
/* The first `size` coins of both are the same. */
bool tw_same_coins(const tw_chain *a, const tw_chain *b, uint32_t size);

/* One coin in the real layout. `bytes` takes TW_COIN_BYTES; the coin points into it. */
#define TW_COIN_BYTES 320u
void tw_coin(anonset_coin *coin, uint8_t *bytes, uint32_t value, const tw_tx *tx);

/* The list of used coin tags at a chain: TW_TAGS for each coin, by position. So it grows as the
 * coins do, and from the first that is replaced on all tags are others: a difference below tags
 * that agree is not looked for (design.md, "Used coin tags"). */
#define TW_TAGS 4u
void tw_used(anonset_used *used, const tw_chain *chain, uint32_t position);
uint32_t tw_used_count(const tw_chain *chain);

/* Room for one answer. */
typedef struct tw_reply {
    anonset_answer answer;
    anonset_used used[TW_COINS_MAX * TW_TAGS];
    anonset_coin coins[TW_COINS_MAX + 1];
    uint8_t bytes[TW_COINS_MAX + 1][TW_COIN_BYTES];
} tw_reply;

/* Answers `request` as a server on `chain` (NULL: no coin yet) does. */
void tw_answer(tw_reply *reply, const tw_chain *chain, const anonset_request *request);

#endif
