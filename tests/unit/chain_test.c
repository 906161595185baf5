/* Cuts and the search through them, over chains of the model, of which the blocks are known. */
#include "core/chain.h"
#include "core/coin.h"
#include "tests/support/world.h"

#include <criterion/criterion.h>
#include <string.h>

#define PLENTY (1u << 22)

/* A set in memory; one coin may be another than the chain's. */
typedef struct fake {
    const tw_chain *chain;
    uint32_t run;     /* coins a read gives */
    uint32_t flipped; /* position of a coin with one bit changed; UINT32_MAX: none */
    uint32_t bit;
    uint32_t short_at; /* position of a coin that is too short */
    anonset_code fail;
    anonset_coin coins[TW_COINS_MAX];
    uint8_t bytes[TW_COINS_MAX][TW_COIN_BYTES];
} fake;

static fake set;
static as_digest *digest;
static atomic_bool cancelled;

static anonset_code fake_read(void *snapshot, anonset_run *run, uint32_t position,
                              anonset_detail *detail)
{
    fake *f = snapshot;
    uint32_t size = f->chain->meta.size;
    (void)detail;
    cr_assert_lt(position, size);
    *run = (anonset_run){.start = position / f->run * f->run, .coins = f->coins};
    run->n = size - run->start < f->run ? size - run->start : f->run;
    for (uint32_t i = 0; i < run->n; i++) {
        uint32_t at = run->start + i;
        tw_coin(&f->coins[i], f->bytes[i], f->chain->coin[at], &f->chain->coin_tx[at]);
        if (at == f->flipped)
            f->bytes[i][f->bit / 8] ^= (uint8_t)(1u << f->bit % 8);
        if (at == f->short_at)
            f->coins[i].serialized_len = 243;
    }
    return f->fail;
}

static const anonset_backend backend = {.name = "fake", .read = fake_read};

static as_chain_source source(void)
{
    return (as_chain_source){
        .backend = &backend, .snapshot = &set, .digest = digest, .cancelled = &cancelled};
}

static void begin(void)
{
    cr_assert_eq(as_digest_new(&digest, NULL), ANONSET_OK);
    atomic_store(&cancelled, false);
    memset(&set, 0, sizeof set);
}

static void end(void)
{
    as_digest_free(digest);
}

TestSuite(chain, .init = begin, .fini = end);

static void show(const tw_chain *chain)
{
    set.chain = chain;
    set.run = 7;
    set.flipped = set.short_at = UINT32_MAX;
}

/* The start at the end of block `b`; from scratch for UINT32_MAX. */
static as_chain_start start_at(uint32_t b, uint8_t (*set_hash)[32])
{
    as_chain_start start = {.first_free = b == UINT32_MAX, .has_hash = b > 0 && b != UINT32_MAX};
    if (start.has_hash)
        memcpy(start.hash, set_hash[b], sizeof start.hash);
    return start;
}

static as_chain_verdict search(const as_chain_start *start, uint32_t from, uint64_t *budget)
{
    as_chain_source from_fake = source();
    as_chain_verdict verdict;
    as_cuts cuts;
    cr_assert_eq(as_cuts_read(&cuts, &from_fake, from, set.chain->meta.size, NULL), ANONSET_OK);
    cr_assert_eq(
        as_chain_search(&verdict, &cuts, &from_fake, start, set.chain->meta.set_hash, budget, NULL),
        ANONSET_OK);
    as_cuts_free(&cuts);
    return verdict;
}

/* Grows a chain block by block, noting each set hash. */
static const tw_chain *grow(tw_world *world, uint32_t blocks, uint8_t (*set_hash)[32])
{
    const tw_chain *chain = NULL;
    for (uint32_t b = 0; b < blocks; b++) {
        chain = tw_grow(world, chain, 1);
        memcpy(set_hash[b], chain->meta.set_hash, ANONSET_HASH_BYTES);
    }
    return chain;
}

Test(chain, every_start_of_a_chain_leads_to_its_set_hash)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint8_t set_hash[TW_BLOCKS_MAX][32];
        tw_world world;
        tw_world_init(&world, seed);
        const tw_chain *chain = grow(&world, 2 + (uint32_t)(seed % 12), set_hash);
        show(chain);
        for (uint32_t b = 0; b < chain->n; b++) {
            uint64_t budget = PLENTY;
            as_chain_start start = start_at(b, set_hash);
            cr_assert_eq(search(&start, chain->size[b], &budget), AS_CHAIN_FOUND,
                         "seed %llu, block %u", (unsigned long long)seed, b);
        }
        uint64_t budget = PLENTY;
        as_chain_start scratch = start_at(UINT32_MAX, set_hash);
        cr_assert_eq(search(&scratch, 0, &budget), AS_CHAIN_FOUND);
        tw_world_free(&world);
    }
}

Test(chain, one_bit_above_the_first_block_leaves_no_way)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint8_t set_hash[TW_BLOCKS_MAX][32];
        tw_world world;
        tw_world_init(&world, seed);
        const tw_chain *chain = grow(&world, 2 + (uint32_t)(seed % 10), set_hash);
        show(chain);
        set.flipped = tw_between(&world.rng, chain->size[0], chain->meta.size - 1);
        set.bit = tw_between(&world.rng, 0, 8 * 244 - 1);
        uint64_t budget = PLENTY;
        as_chain_start scratch = start_at(UINT32_MAX, set_hash);
        cr_assert_eq(search(&scratch, 0, &budget), AS_CHAIN_NONE, "seed %llu",
                     (unsigned long long)seed);
        tw_world_free(&world);
    }
}

Test(chain, the_first_block_is_in_no_set_hash)
{
    uint8_t set_hash[TW_BLOCKS_MAX][32];
    tw_world world;
    tw_world_init(&world, 5);
    const tw_chain *chain = grow(&world, 6, set_hash);
    show(chain);
    set.flipped = 0;
    set.bit = 8 * 200; /* too low to change the order */
    uint64_t budget = PLENTY;
    as_chain_start scratch = start_at(UINT32_MAX, set_hash);
    cr_assert_eq(search(&scratch, 0, &budget), AS_CHAIN_FOUND);
    tw_world_free(&world);
}

Test(chain, a_wrong_start_is_exhausted)
{
    uint8_t set_hash[TW_BLOCKS_MAX][32];
    tw_world world;
    tw_world_init(&world, 9);
    const tw_chain *chain = grow(&world, 8, set_hash);
    show(chain);
    uint64_t budget = PLENTY;
    as_chain_start start = start_at(3, set_hash);
    start.hash[0] ^= 1;
    cr_assert_eq(search(&start, chain->size[3], &budget), AS_CHAIN_NONE);
    tw_world_free(&world);
}

Test(chain, nothing_new_leads_to_the_same_hash_only)
{
    uint8_t set_hash[TW_BLOCKS_MAX][32];
    tw_world world;
    tw_world_init(&world, 11);
    const tw_chain *chain = grow(&world, 4, set_hash);
    show(chain);
    uint64_t budget = 0;
    as_chain_start start = start_at(3, set_hash);
    cr_assert_eq(search(&start, chain->meta.size, &budget), AS_CHAIN_FOUND);
    start.hash[31] ^= 1;
    cr_assert_eq(search(&start, chain->meta.size, &budget), AS_CHAIN_NONE);
    tw_world_free(&world);
}

/* What a search needs is what it takes; with one call less it says so. */
Test(chain, the_budget_bounds_the_search)
{
    uint8_t set_hash[TW_BLOCKS_MAX][32];
    tw_world world;
    tw_world_init(&world, 21);
    const tw_chain *chain = grow(&world, 14, set_hash);
    show(chain);
    as_chain_start scratch = start_at(UINT32_MAX, set_hash);
    uint64_t budget = PLENTY;
    cr_assert_eq(search(&scratch, 0, &budget), AS_CHAIN_FOUND);
    uint64_t need = PLENTY - budget;
    cr_assert_gt(need, 10);
    budget = need;
    cr_assert_eq(search(&scratch, 0, &budget), AS_CHAIN_FOUND);
    cr_assert_eq(budget, 0);
    budget = need - 1;
    cr_assert_eq(search(&scratch, 0, &budget), AS_CHAIN_BUDGET);
    tw_world_free(&world);
}

/* With every open cut decided, as heights decide them, a way is free. */
Test(chain, what_has_one_way_costs_nothing)
{
    uint8_t set_hash[TW_BLOCKS_MAX][32];
    as_chain_source from_fake = source();
    as_chain_verdict verdict;
    as_cuts cuts;
    tw_world world;
    tw_world_init(&world, 33);
    const tw_chain *chain = grow(&world, 18, set_hash);
    show(chain);
    cr_assert_eq(as_cuts_read(&cuts, &from_fake, 0, chain->meta.size, NULL), ANONSET_OK);
    cr_assert_gt(cuts.open, 0);
    for (uint32_t i = 0, b = 0; i < cuts.n; i++) {
        while (chain->size[b] < cuts.cut[i].position)
            b++;
        bool boundary = chain->size[b] == cuts.cut[i].position;
        if (cuts.cut[i].kind == AS_CUT_OPEN)
            as_cuts_decide(&cuts, i, boundary);
        else
            cr_assert(boundary, "a step up inside a block");
    }
    as_cuts_drop_inside(&cuts);
    cr_assert_eq(cuts.open, 0);
    cr_assert_eq(cuts.n, chain->n - 1, "an end of a block is no cut");
    uint64_t budget = 0;
    as_chain_start scratch = start_at(UINT32_MAX, set_hash);
    cr_assert_eq(
        as_chain_search(&verdict, &cuts, &from_fake, &scratch, chain->meta.set_hash, &budget, NULL),
        ANONSET_OK);
    cr_assert_eq(verdict, AS_CHAIN_FOUND);
    as_cuts_free(&cuts);
    tw_world_free(&world);
}

Test(chain, a_coin_too_short_leaves_no_way)
{
    uint8_t set_hash[TW_BLOCKS_MAX][32];
    tw_world world;
    tw_world_init(&world, 40);
    show(grow(&world, 3, set_hash));
    set.short_at = 2;
    uint64_t budget = PLENTY;
    as_chain_start scratch = start_at(UINT32_MAX, set_hash);
    cr_assert_eq(search(&scratch, 0, &budget), AS_CHAIN_NONE);
    tw_world_free(&world);
}

Test(chain, failures_of_the_backend_and_a_cancel_come_through)
{
    uint8_t set_hash[TW_BLOCKS_MAX][32];
    as_chain_source from_fake = source();
    as_chain_verdict verdict;
    as_cuts cuts;
    tw_world world;
    tw_world_init(&world, 41);
    const tw_chain *chain = grow(&world, 3, set_hash);
    show(chain);
    uint64_t budget = PLENTY;
    as_chain_start scratch = start_at(UINT32_MAX, set_hash);
    set.fail = ANONSET_CORRUPT;
    cr_assert_eq(as_cuts_read(&cuts, &from_fake, 0, chain->meta.size, NULL), ANONSET_CORRUPT);
    as_cuts_free(&cuts);
    set.fail = ANONSET_OK;
    cr_assert_eq(as_cuts_read(&cuts, &from_fake, 0, chain->meta.size, NULL), ANONSET_OK);
    set.fail = ANONSET_IO;
    cr_assert_eq(
        as_chain_search(&verdict, &cuts, &from_fake, &scratch, chain->meta.set_hash, &budget, NULL),
        ANONSET_IO);
    set.fail = ANONSET_OK;
    atomic_store(&cancelled, true);
    cr_assert_eq(
        as_chain_search(&verdict, &cuts, &from_fake, &scratch, chain->meta.set_hash, &budget, NULL),
        ANONSET_CANCELLED);
    as_cuts_free(&cuts);
    cr_assert_eq(as_cuts_read(&cuts, &from_fake, 0, chain->meta.size, NULL), ANONSET_CANCELLED);
    as_cuts_free(&cuts);
    tw_world_free(&world);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

#define AT_ONCE 512u

/* A coin for each position, whose bytes are a number; each of its own transaction. */
typedef struct numbers {
    uint32_t (*number)(uint32_t position);
    anonset_coin coins[AT_ONCE];
    uint8_t bytes[AT_ONCE][AS_COIN_BYTES], tx[AT_ONCE][ANONSET_HASH_BYTES];
} numbers;

static anonset_code numbers_read(void *snapshot, anonset_run *run, uint32_t position,
                                 anonset_detail *detail)
{
    numbers *s = snapshot;
    (void)detail;
    *run = (anonset_run){.start = position, .n = AT_ONCE, .coins = s->coins};
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        uint32_t number = s->number(position + i), at = position + i;
        for (int k = 0; k < 4; k++) {
            s->bytes[i][k] = (uint8_t)(number >> (24 - 8 * k));
            s->tx[i][k] = (uint8_t)(at >> (24 - 8 * k));
        }
        s->coins[i] = (anonset_coin){
            .serialized = s->bytes[i], .serialized_len = AS_COIN_BYTES, .tx_hash = s->tx[i]};
    }
    return ANONSET_OK;
}

static uint32_t up(uint32_t position)
{
    return position;
}

static uint32_t down(uint32_t position)
{
    return UINT32_MAX - position;
}

static uint32_t in_pairs(uint32_t position)
{
    return position ^ 1u;
}

/* 511 pairs, and four coins that can be cut in two places at once. */
#define PAIRS 511u
static uint32_t in_pairs_and_four(uint32_t position)
{
    return position < 2 * PAIRS ? position ^ 1u : 4 * PAIRS + 3 - position;
}

/* *begun: hashes beyond those of the one certain way were paid for. */
static as_chain_verdict search_numbers(uint32_t (*number)(uint32_t), uint32_t n, bool *too_many,
                                       bool *begun)
{
    static numbers all;
    static const anonset_backend of_numbers = {.name = "numbers", .read = numbers_read};
    static const uint8_t no_hash[ANONSET_HASH_BYTES] = {1};
    as_chain_source from = {
        .backend = &of_numbers, .snapshot = &all, .digest = digest, .cancelled = &cancelled};
    as_chain_start start = {.first_free = true};
    as_chain_verdict verdict;
    uint64_t budget = PLENTY;
    as_cuts cuts;
    all.number = number;
    cr_assert_eq(as_cuts_read(&cuts, &from, 0, n, NULL), ANONSET_OK);
    *too_many = cuts.too_many;
    cr_assert_eq(as_chain_search(&verdict, &cuts, &from, &start, no_hash, &budget, NULL),
                 ANONSET_OK);
    *begun = budget != PLENTY;
    as_cuts_free(&cuts);
    return verdict;
}

/* What is beyond a limit is not decided: it refutes nothing. Nor is it begun where that is known.
 */
Test(chain, beyond_its_limits_nothing_is_decided)
{
    static const struct {
        uint32_t (*number)(uint32_t);
        uint32_t n;
        as_chain_verdict verdict;
        bool too_many, begun;
    } rows[] = {
        {up, AS_CHAIN_CUTS_MOST, AS_CHAIN_NONE, false, false},
        {up, AS_CHAIN_CUTS_MOST + 2, AS_CHAIN_BUDGET, true, false},
        {down, AS_CHAIN_RUN_MOST + 1, AS_CHAIN_BUDGET, true, false},
        {in_pairs, 1200, AS_CHAIN_BUDGET, false, false},
        {in_pairs_and_four, 2 * PAIRS + 4, AS_CHAIN_BUDGET, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool too_many, begun;
        cr_expect_eq(search_numbers(rows[i].number, rows[i].n, &too_many, &begun), rows[i].verdict,
                     "%zu", i);
        cr_expect_eq(too_many, rows[i].too_many, "%zu", i);
        cr_expect_eq(begun, rows[i].begun, "%zu", i);
    }
}
