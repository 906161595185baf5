/* The chain that the server tells of: synthetic or recorded, behind one set of functions. */
#ifndef SERVER_CHAIN_H
#define SERVER_CHAIN_H

#include "tests/server/text.h"

#define HASH 32u

typedef struct chain_meta {
    uint8_t block_hash[HASH];
    uint8_t set_hash[HASH];
    bool has_set_hash;
    uint32_t size;
} chain_meta;

typedef enum pin_result {
    PIN_OK,
    PIN_REFUSED,
    PIN_NO_GROUP
} pin_result;

typedef struct chain chain;

typedef struct chain_source {
    /* The newest group; 0: none. */
    uint32_t (*latest)(const chain *c);
    /* False: there is no such group. */
    bool (*meta)(const chain *c, uint32_t group, chain_meta *meta);
    /* How many coins the group had when `hash` was its newest block. */
    pin_result (*pin)(const chain *c, uint32_t group, const uint8_t *hash, uint32_t *size);
    /* Adds the coin at a position of the group (0: oldest) as a JSON list of three strings. False:
     * a recording does not hold it. */
    bool (*coin)(chain *c, uint32_t group, uint32_t position, text *out);
    /* The height of the block that holds a transaction, told by the hash its coins name; 0: it
     * waits in the mempool. False: nobody heard of it. */
    bool (*height)(const chain *c, const uint8_t *tx_hash, uint32_t *height);
    /* Carries a control command out. NULL: done; else what is wrong with it. */
    const char *(*command)(chain *c, size_t words, char **word);
    void (*free)(chain *c);
} chain_source;

/* Each implementation's struct begins with this. */
struct chain {
    const chain_source *source;
};

typedef struct synthetic_options {
    uint64_t seed;
    uint32_t coins;
    uint32_t per_block_min, per_block_max;
    uint32_t group_limit;   /* a block that would push a group past it starts the next; 0: never */
    uint32_t group_overlap; /* coins that the next group starts with, at least */
    uint32_t spend_percent; /* of transactions */
    uint32_t bare_every; /* every so-manieth transaction's coins lack the repeated tail; 0: none */
} synthetic_options;

chain *synthetic_new(const synthetic_options *options);

/* `states` are folder lists, "DIR" or "DIR,DIR" (the k-th is group k), each one moment of the
 * chain. */
chain *recorded_new(char *const *states, size_t count);

#endif
