/*
 * The chain of set hashes: where the coins must be cut into blocks to give the set hash told.
 *
 * Source: firod 0.14.17.2, recomputed from tests/fixtures. A block's set hash is
 * SHA-256(SHA-256(set hash before || the first 244 bytes of its coins)), its coins in ascending
 * order of those bytes, which is newest position first. In group 1 the first block has none, and
 * the second is hashed without one before. No boundary is told, but by position
 *
 *     a step up to the next coin is certainly a boundary,
 *     coins of one transaction share a block, with all between them,
 *     the other steps are open: a search goes through them, or heights tell.
 */
#ifndef AS_CHAIN_H
#define AS_CHAIN_H

#include "core/digest.h"

#include <anonset/backend.h>
#include <stdatomic.h>

#define AS_CHAIN_CUTS_MOST 32768u /* of a set: a full group of blocks of one coin has less */
#define AS_CHAIN_RUN_MOST  4096u  /* coins between two certain boundaries */

/* Whose coins, and what to hash them with. Borrowed. */
typedef struct as_chain_source {
    const anonset_backend *backend;
    void *snapshot;
    as_digest *digest;
    const atomic_bool *cancelled;
} as_chain_source;

typedef enum as_cut_kind {
    AS_CUT_BOUNDARY, /* a block ends there, for certain */
    AS_CUT_OPEN,     /* one may */
    AS_CUT_INSIDE    /* none does, as was found out */
} as_cut_kind;

/* A step between two coins. */
typedef struct as_cut {
    uint32_t position; /* of the first coin behind it */
    as_cut_kind kind;
} as_cut;

/* The cuts inside positions [from, to), ascending. */
typedef struct as_cuts {
    uint32_t from, to;
    as_cut *cut;
    uint32_t n, room;
    uint32_t open;  /* how many are open */
    bool too_many;  /* past one of the limits above: they cannot be searched */
    bool no_layout; /* a coin is too short to be one: no set hash covers it */
} as_cuts;

/* Where a search begins: at cuts->from. */
typedef struct as_chain_start {
    bool has_hash;   /* `hash` is the set hash there */
    bool first_free; /* the first block is in no set hash */
    uint8_t hash[ANONSET_HASH_BYTES];
} as_chain_start;

typedef enum as_chain_verdict {
    AS_CHAIN_NONE,  /* no way of cutting the coins gives the set hash */
    AS_CHAIN_FOUND, /* one does */
    AS_CHAIN_BUDGET /* there were more ways than the budget allows to try */
} as_chain_verdict;

/* Reads the coins [from, to) and finds their cuts. The caller ends *cuts with as_cuts_free on
 * every code. NO_MEMORY, INTERNAL, CANCELLED, or what the backend's reads return. */
anonset_code as_cuts_read(as_cuts *cuts, const as_chain_source *source, uint32_t from, uint32_t to,
                          anonset_detail *detail);
void as_cuts_free(as_cuts *cuts);

/* Decides the open cut `i`; the list keeps its length until those inside of blocks are dropped. */
void as_cuts_decide(as_cuts *cuts, uint32_t i, bool boundary);
void as_cuts_drop_inside(as_cuts *cuts);

/*
 * Searches for the boundaries that lead from `start` to `set_hash`. *budget is what may be spent:
 * one for a block hashed, and one more for every 8 coins of it, from the first guess on; what has
 * one way only is free. What is spent is taken off. Codes as above.
 */
anonset_code as_chain_search(as_chain_verdict *verdict, const as_cuts *cuts,
                             const as_chain_source *source, const as_chain_start *start,
                             const uint8_t *set_hash, uint64_t *budget, anonset_detail *detail);

#endif
