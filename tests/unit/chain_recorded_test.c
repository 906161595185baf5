/* The search for block ends, over the coins of a real node, of which the blocks are known. */
#include "core/chain.h"
#include "tests/unit/recorded.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COINS_MOST  6035u
#define BLOCKS_MOST 127u
#define COIN_BYTES  244u
#define PLENTY      (1u << 24)

/* A recorded set, by position; one coin may be another than the node's. */
static struct {
    anonset_meta meta;
    anonset_coin coins[COINS_MOST];
    uint32_t ends[BLOCKS_MOST]; /* of the blocks */
    uint8_t set_hash[BLOCKS_MOST][ANONSET_HASH_BYTES];
    uint32_t blocks;
    ts_recorded parts[16];
    uint32_t n_parts;
} set;

static as_digest *digest;
static atomic_bool cancelled;

/* ---- Loading ------------------------------------------------------------------------------ */

static anonset_code read_all(void *snapshot, anonset_run *run, uint32_t position,
                             anonset_detail *detail)
{
    (void)snapshot;
    (void)detail;
    cr_assert_lt(position, set.meta.size);
    *run = (anonset_run){.start = 0, .n = set.meta.size, .coins = set.coins};
    return ANONSET_OK;
}

static const anonset_backend backend = {.name = "recorded", .read = read_all};

static as_chain_source source(void)
{
    return (as_chain_source){
        .backend = &backend, .snapshot = &set, .digest = digest, .cancelled = &cancelled};
}

static void load_part(const char *name, const char *file, uint32_t from, uint32_t to)
{
    char path[128];
    ts_recorded *part = &set.parts[set.n_parts++];
    (void)snprintf(path, sizeof path, "%s/%s", name, file);
    ts_recorded_read(part, path, to - from);
    for (uint32_t index = from; index < to; index++)
        set.coins[set.meta.size - 1 - index] = part->answer.coins[index - from];
}

/* The set hash at each block's end, as core/chain.h says that they follow from each other. */
static void chain_set_hashes(void)
{
    for (uint32_t b = 1; b < set.blocks; b++) {
        cr_assert_eq(as_digest_start(digest), ANONSET_OK);
        if (b > 1)
            cr_assert_eq(as_digest_add(digest, set.set_hash[b - 1], ANONSET_HASH_BYTES),
                         ANONSET_OK);
        for (uint32_t at = set.ends[b]; at-- > set.ends[b - 1];)
            cr_assert_eq(as_digest_add(digest, set.coins[at].serialized, COIN_BYTES), ANONSET_OK);
        cr_assert_eq(as_digest_end_twice(digest, set.set_hash[b]), ANONSET_OK);
    }
}

/* The largest set was recorded in sectors. */
static void load_coins(const char *name)
{
    char file[64];
    if (strcmp(name, "m_big6000") != 0) {
        load_part(name, "sector_whole.json", 0, set.meta.size);
        return;
    }
    for (uint32_t from = 0; from < set.meta.size; from += 500) {
        uint32_t to = set.meta.size - from < 500 ? set.meta.size : from + 500;
        (void)snprintf(file, sizeof file, "sector_%05u_%05u.json", from, to);
        load_part(name, file, from, to);
    }
}

static void unload(void)
{
    while (set.n_parts > 0)
        ts_recorded_clear(&set.parts[--set.n_parts]);
}

static void load(const char *name)
{
    char path[128];
    unload();
    (void)snprintf(path, sizeof path, "%s/meta.json", name);
    ts_recorded_meta(&set.meta, path);
    cr_assert_leq(set.meta.size, COINS_MOST);
    (void)snprintf(path, sizeof path, "%s/heights.txt", name);
    set.blocks = ts_recorded_ends(set.ends, BLOCKS_MOST, path);
    cr_assert_eq(set.ends[set.blocks - 1], set.meta.size);
    load_coins(name);
    chain_set_hashes();
}

static void begin(void)
{
    cr_assert_eq(as_digest_new(&digest, NULL), ANONSET_OK);
    atomic_store(&cancelled, false);
    memset(&set, 0, sizeof set);
}

static void end(void)
{
    unload();
    as_digest_free(digest);
}

TestSuite(chain_recorded, .init = begin, .fini = end, .timeout = 120);

/* ---- Searching ---------------------------------------------------------------------------- */

static const as_chain_start scratch = {.first_free = true};

/* At the end of block `b`, the hash of which is known. */
static as_chain_start start_behind(uint32_t b)
{
    as_chain_start start = {.has_hash = b > 0};
    memcpy(start.hash, set.set_hash[b], sizeof start.hash);
    return start;
}

static void read_cuts(as_cuts *cuts, uint32_t from, uint32_t to)
{
    as_chain_source recorded = source();
    cr_assert_eq(as_cuts_read(cuts, &recorded, from, to, NULL), ANONSET_OK);
}

static as_chain_verdict search(as_cuts *cuts, const as_chain_start *start, const uint8_t *set_hash,
                               uint64_t *budget)
{
    as_chain_source recorded = source();
    as_chain_verdict verdict;
    cr_assert_eq(as_chain_search(&verdict, cuts, &recorded, start, set_hash, budget, NULL),
                 ANONSET_OK);
    as_cuts_free(cuts);
    return verdict;
}

static bool is_end(uint32_t position)
{
    for (uint32_t b = 0; b < set.blocks; b++)
        if (set.ends[b] == position)
            return true;
    return false;
}

/* Decides every open cut by the blocks that were recorded, as the heights of transactions do. */
static void decide(as_cuts *cuts)
{
    for (uint32_t i = 0; i < cuts->n; i++)
        if (cuts->cut[i].kind == AS_CUT_OPEN)
            as_cuts_decide(cuts, i, is_end(cuts->cut[i].position));
    as_cuts_drop_inside(cuts);
    cr_assert_eq(cuts->open, 0);
}

/* With every cut decided there is one way only, and a way without a choice is free. */
static as_chain_verdict search_decided(const as_chain_start *start, uint32_t from, uint32_t to,
                                       const uint8_t *set_hash)
{
    uint64_t budget = 0;
    as_cuts cuts;
    read_cuts(&cuts, from, to);
    decide(&cuts);
    return search(&cuts, start, set_hash, &budget);
}

static const char *const sets[] = {"c_2blocks",  "d_3blocks", "e_20blocks", "f_40blocks",
                                   "g_60blocks", "r1_A",      "r2_shrunk",  "r3_same_coins_remined",
                                   "r4_B",       "m_big6000"};

Test(chain_recorded, heights_lead_to_the_set_hash_of_every_recorded_set)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        load(sets[i]);
        cr_assert_arr_eq(set.set_hash[set.blocks - 1], set.meta.set_hash, ANONSET_HASH_BYTES,
                         "%s: not how set hashes follow from each other", sets[i]);
        cr_assert_eq(search_decided(&scratch, 0, set.meta.size, set.meta.set_hash), AS_CHAIN_FOUND,
                     "%s", sets[i]);
    }
}

Test(chain_recorded, every_height_is_proven_from_scratch_and_from_every_height_below)
{
    load("g_60blocks");
    for (uint32_t b = 1; b < set.blocks; b++) {
        cr_assert_eq(search_decided(&scratch, 0, set.ends[b], set.set_hash[b]), AS_CHAIN_FOUND,
                     "block %u", b);
        for (uint32_t below = 0; below < b; below++) {
            as_chain_start start = start_behind(below);
            cr_assert_eq(search_decided(&start, set.ends[below], set.ends[b], set.set_hash[b]),
                         AS_CHAIN_FOUND, "block %u from %u", b, below);
        }
    }
}

/* ---- One bit ------------------------------------------------------------------------------ */

static uint32_t random_bit(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % (8 * COIN_BYTES);
}

static as_chain_verdict search_flipped(uint32_t position, uint32_t bit, uint64_t *budget)
{
    uint8_t bytes[2048];
    anonset_coin *coin = &set.coins[position];
    anonset_coin true_coin = *coin;
    as_chain_verdict verdict;
    as_cuts cuts;
    cr_assert_leq(coin->serialized_len, sizeof bytes);
    memcpy(bytes, coin->serialized, coin->serialized_len);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    coin->serialized = bytes;
    read_cuts(&cuts, 0, set.meta.size);
    if (*budget == 0)
        decide(&cuts);
    verdict = search(&cuts, &scratch, set.meta.set_hash, budget);
    *coin = true_coin;
    return verdict;
}

Test(chain_recorded, one_bit_of_any_coin_above_the_first_block_leaves_no_way)
{
    uint64_t random = 20240707;
    load("g_60blocks");
    for (uint32_t at = set.ends[0]; at < set.meta.size; at++) {
        for (uint32_t i = 0; i < 4; i++) {
            uint64_t budget = 0;
            uint32_t bit = random_bit(&random);
            cr_assert_eq(search_flipped(at, bit, &budget), AS_CHAIN_NONE, "position %u, bit %u", at,
                         bit);
        }
    }
    cr_assert_eq(search_decided(&scratch, 0, set.meta.size, set.meta.set_hash), AS_CHAIN_FOUND);
}

/* No bit of a coin is left out of the set hash. */
Test(chain_recorded, every_bit_of_a_coin_counts)
{
    load("e_20blocks");
    for (uint32_t bit = 0; bit < 8 * COIN_BYTES; bit++) {
        uint64_t budget = 0;
        cr_assert_eq(search_flipped(set.meta.size / 2, bit, &budget), AS_CHAIN_NONE, "bit %u", bit);
    }
}

/* Where it can be exhausted, the search alone, without heights, says the same. */
Test(chain_recorded, one_bit_leaves_no_way_to_the_search_alone)
{
    uint64_t random = 77;
    load("d_3blocks");
    for (uint32_t at = set.ends[0]; at < set.meta.size; at++) {
        uint64_t budget = PLENTY;
        cr_assert_eq(search_flipped(at, random_bit(&random), &budget), AS_CHAIN_NONE, "position %u",
                     at);
    }
}

Test(chain_recorded, the_first_block_is_in_no_set_hash)
{
    load("g_60blocks");
    for (uint32_t at = 0; at < set.ends[0]; at++) {
        uint64_t budget = 0;
        /* So low in the key commitment that the coins keep their order. */
        cr_assert_eq(search_flipped(at, 8 * 200, &budget), AS_CHAIN_FOUND, "position %u", at);
    }
}

/* ---- What the default budget proves ------------------------------------------------------- */

#define TOO_MUCH UINT32_MAX

static const struct delta {
    const char *to;
    uint32_t from; /* coins known and proven; 0: from scratch */
    uint32_t open; /* cuts that the coins leave open */
    uint32_t asks; /* heights that decide them: one for the coins between two cuts */
    uint32_t need; /* budget, or TOO_MUCH: more than the default */
} deltas[] = {
    {"c_2blocks", 0, 0, 0, 0},
    {"d_3blocks", 5, 0, 0, 0},
    {"e_20blocks", 9, 2, 4, 27},
    {"f_40blocks", 105, 9, 18, 2555},
    {"g_60blocks", 269, 9, 17, 105},
    {"r1_A", 418, 2, 4, 12},
    {"r4_B", 418, 2, 4, 24},
    {"d_3blocks", 0, 0, 0, 0},
    {"e_20blocks", 0, 2, 4, 27},
    {"f_40blocks", 0, 11, 22, 17729},
    {"g_60blocks", 0, 20, 39, TOO_MUCH},
    {"r1_A", 0, 22, 43, TOO_MUCH},
    {"r4_B", 0, 22, 43, TOO_MUCH},
    {"m_big6000", 0, 22, 43, TOO_MUCH},
};

/* What lies between cuts and borders on an open one. */
static uint32_t count_asks(const as_cuts *cuts)
{
    uint32_t asks = 0;
    for (uint32_t i = 0; i <= cuts->n; i++)
        asks += (i < cuts->n && cuts->cut[i].kind == AS_CUT_OPEN) ||
                (i > 0 && cuts->cut[i - 1].kind == AS_CUT_OPEN);
    return asks;
}

static as_chain_verdict search_delta(const struct delta *delta, uint64_t *budget)
{
    uint32_t below = 0;
    as_cuts cuts;
    while (delta->from > 0 && set.ends[below] < delta->from)
        below++;
    as_chain_start start = delta->from > 0 ? start_behind(below) : scratch;
    read_cuts(&cuts, delta->from, set.meta.size);
    cr_assert_eq(cuts.open, delta->open, "%s from %u: %u open", delta->to, delta->from, cuts.open);
    cr_assert_eq(count_asks(&cuts), delta->asks, "%s from %u: %u to ask for", delta->to,
                 delta->from, count_asks(&cuts));
    return search(&cuts, &start, set.meta.set_hash, budget);
}

/* What a delta needs: no call less will do. */
Test(chain_recorded, deltas_need_as_much_as_the_table_says)
{
    for (size_t i = 0; i < sizeof deltas / sizeof *deltas; i++) {
        const struct delta *delta = &deltas[i];
        uint64_t budget = ANONSET_PROOF_BUDGET_DEFAULT;
        bool suffices = delta->need != TOO_MUCH;
        load(delta->to);
        cr_assert_eq(search_delta(delta, &budget), suffices ? AS_CHAIN_FOUND : AS_CHAIN_BUDGET,
                     "%s from %u", delta->to, delta->from);
        if (!suffices)
            continue;
        cr_assert_eq(ANONSET_PROOF_BUDGET_DEFAULT - budget, delta->need, "%s from %u: needs %u",
                     delta->to, delta->from, (uint32_t)(ANONSET_PROOF_BUDGET_DEFAULT - budget));
        budget = delta->need;
        cr_assert_eq(search_delta(delta, &budget), AS_CHAIN_FOUND);
        if (delta->need > 0) {
            budget = delta->need - 1;
            cr_assert_eq(search_delta(delta, &budget), AS_CHAIN_BUDGET);
        }
    }
}

/* A wallet that syncs at least every so many blocks with coins needs no heights. */
static void prove_deltas(const char *name, uint32_t blocks)
{
    load(name);
    for (uint32_t b = 0; b + blocks < set.blocks; b++) {
        uint64_t budget = ANONSET_PROOF_BUDGET_DEFAULT;
        as_chain_start start = start_behind(b);
        as_cuts cuts;
        read_cuts(&cuts, set.ends[b], set.ends[b + blocks]);
        cr_assert_eq(search(&cuts, &start, set.set_hash[b + blocks], &budget), AS_CHAIN_FOUND,
                     "%s: %u blocks behind block %u", name, blocks, b);
    }
}

Test(chain_recorded, the_default_budget_proves_every_delta_of_up_to_twenty_blocks)
{
    static const uint32_t blocks[] = {1, 3, 8, 14, 20};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        prove_deltas("g_60blocks", blocks[i]);
        prove_deltas("m_big6000", blocks[i]);
    }
}
