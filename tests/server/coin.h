/* Synthetic coins: everything about one follows from the chain's seed, its transaction and output.
 */
#ifndef SERVER_COIN_H
#define SERVER_COIN_H

#include "tests/server/text.h"

#define COIN_BYTES    244u
#define CONTEXT_BYTES 1435u /* the most: 35 inputs of 41 bytes */

typedef struct coin_rules {
    uint64_t seed;
    uint32_t spend_percent;
    uint32_t bare_every;
} coin_rules;

/* A number that looks random and follows from three others. */
uint64_t mix(uint64_t a, uint64_t b, uint64_t c);

/* How many coins transaction `tx` has when nothing cuts it. */
uint32_t tx_coins(const coin_rules *rules, uint64_t tx);
/* The first bytes of a coin, enough to put coins in order. */
uint64_t coin_key(const coin_rules *rules, uint64_t tx, uint32_t output);
bool tx_is_spend(const coin_rules *rules, uint64_t tx);
/* The hash that its coins name; `out` takes 32 bytes. */
void tx_hash(const coin_rules *rules, uint64_t tx, uint8_t *out);

/* The coin's own 244 bytes: what set hashes are made of. */
void coin_bytes(const coin_rules *rules, uint64_t tx, uint32_t output, uint8_t *out);
/* What a node tells of a coin. */
typedef struct coin_fields {
    uint8_t serialized[COIN_BYTES + 32 + 3 + CONTEXT_BYTES];
    uint8_t hash[32]; /* of its transaction */
    uint8_t context[CONTEXT_BYTES];
    size_t serialized_len;
    size_t context_len;
} coin_fields;

void coin_fields_make(const coin_rules *rules, uint64_t tx, uint32_t output, coin_fields *out);
/* Adds ["serialized","txHash","context"]. */
void coin_json(const coin_rules *rules, uint64_t tx, uint32_t output, text *out);

#endif
