/* What the gate lets pass, at which level, and what follows from a refusal. */
#include "backends/backends.h"
#include "tests/unit/rig.h"

#include <criterion/criterion.h>
#include <string.h>

static void sync_again(void)
{
    rig_end();
    rig_begin();
    rig_run();
}

static void grow(uint32_t blocks)
{
    r.chain = tw_grow(&r.world, r.chain, blocks);
}

static void expect_level(anonset_gate gate, anonset_proof proof)
{
    rig_expect_whole();
    cr_assert_eq(r.result.state.gate, gate, "level %d", (int)r.result.state.gate);
    cr_assert_eq(r.result.proof, proof, "proof %d", (int)r.result.proof);
}

/* A bit of the key of the coin at r.lies, wherever it is sent in a sector. */
static void flip_a_coin(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    if (answer->kind != ANONSET_ANSWER_COINS)
        return;
    for (uint32_t i = 0; i < answer->n; i++)
        if (rig->chain->meta.size - 1 - (request->start + i) == rig->lies)
            rig->reply->bytes[i][40] ^= 1;
}

TestSuite(gate, .init = rig_set_up, .fini = rig_tear_down);

/* ---- Levels ------------------------------------------------------------------------------- */

Test(gate, proves_from_scratch_and_from_the_set_before)
{
    rig_run();
    expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
    grow(3);
    sync_again();
    expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
}

Test(gate, looks_at_no_set_hash_without_a_budget)
{
    r.options.proof_budget = 0;
    sync_again();
    expect_level(ANONSET_GATE_COUNT, ANONSET_PROOF_NONE);
}

Test(gate, stays_at_count_behind_an_unproven_set)
{
    r.options.proof_budget = 0;
    sync_again();
    r.options.proof_budget = ANONSET_PROOF_BUDGET_DEFAULT;
    grow(2);
    sync_again();
    expect_level(ANONSET_GATE_COUNT, ANONSET_PROOF_CONSISTENT);
}

Test(gate, says_where_the_budget_ends)
{
    r.options.proof_budget = 8;
    sync_again();
    expect_level(ANONSET_GATE_COUNT, ANONSET_PROOF_BUDGET);
}

Test(gate, proves_nothing_of_a_set_of_one_block)
{
    r.chain = tw_grow(&r.world, NULL, 1);
    sync_again();
    expect_level(ANONSET_GATE_COUNT, ANONSET_PROOF_NONE);
    grow(1);
    sync_again();
    expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
}

/* The chain of the newest blocks, mined again with the same coins. */
static const tw_chain *remined(void)
{
    for (;;) {
        const tw_chain *next = tw_mutate(&r.world, r.chain);
        if (next != r.chain && next->meta.size == r.chain->meta.size &&
            memcmp(next->meta.set_hash, r.chain->meta.set_hash, ANONSET_HASH_BYTES) == 0 &&
            tw_same_coins(next, r.chain, next->meta.size))
            return next;
    }
}

Test(gate, keeps_the_level_where_the_same_coins_were_mined_again)
{
    rig_run();
    r.chain = remined();
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_REANCHORED);
    cr_assert_eq(r.result.state.gate, ANONSET_GATE_SET_HASH);
    r.options.proof_budget = 0;
    r.chain = remined();
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_REANCHORED);
    cr_assert_eq(r.result.state.gate, ANONSET_GATE_SET_HASH);
    grow(1);
    sync_again();
    expect_level(ANONSET_GATE_COUNT, ANONSET_PROOF_NONE);
    r.options.proof_budget = ANONSET_PROOF_BUDGET_DEFAULT;
    r.chain = remined();
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_REANCHORED);
    cr_assert_eq(r.result.state.gate, ANONSET_GATE_COUNT);
}

/* ---- Refusals ----------------------------------------------------------------------------- */

Test(gate, refuses_a_flipped_bit_at_any_position_above_the_first_block)
{
    for (uint32_t at = r.chain->size[0]; at < r.chain->meta.size; at++) {
        r.lie = flip_a_coin;
        r.lies = at;
        sync_again();
        cr_assert_eq(r.result.outcome, ANONSET_GATE_REFUSED, "position %u", at);
        cr_assert(strstr(r.result.error.text, "set hash"), "%s", r.result.error.text);
        cr_assert_not(r.result.state.has_finalized);
        cr_assert_not(r.result.state.has_pending);
    }
    r.lie = NULL;
    rig_expect_next_finishes();
}

Test(gate, refuses_a_flipped_bit_behind_a_set_that_is_not_proven_itself)
{
    r.options.proof_budget = 0;
    sync_again();
    r.options.proof_budget = ANONSET_PROOF_BUDGET_DEFAULT;
    uint32_t old = r.chain->meta.size;
    grow(2);
    r.lie = flip_a_coin;
    r.lies = old + 1;
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_GATE_REFUSED);
    cr_assert_eq(r.result.state.finalized.size, old);
    cr_assert_not(r.result.state.has_pending);
    r.lie = NULL;
    rig_expect_next_finishes();
}

/* Where a checkpoint's set hash was a lie, no honest coin follows from it: a refusal, and not a set
 * that nothing speaks for. */
static void lie_about_the_set_hash(world_rig *rig, const anonset_request *request,
                                   anonset_answer *answer)
{
    (void)rig;
    (void)request;
    if (answer->kind == ANONSET_ANSWER_META)
        answer->meta.set_hash[7] ^= 1;
}

Test(gate, refuses_what_does_not_follow_from_the_set_before)
{
    r.options.proof_budget = 0;
    r.lie = lie_about_the_set_hash;
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_FINALIZED);
    r.lie = NULL;
    r.options.proof_budget = ANONSET_PROOF_BUDGET_DEFAULT;
    uint32_t old = r.chain->meta.size;
    grow(1);
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_GATE_REFUSED);
    cr_assert_geq(r.coins_sent, old, "the finalized coins were not compared");
    cr_assert_eq(r.result.state.finalized.size, old);
    cr_assert_not(r.result.state.has_pending);
}

/* In place of coin 1, the one that the chain will bring next. */
static const tw_chain *grown;

static void bring_forward(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    uint32_t size = rig->chain->meta.size;
    for (uint32_t i = 0; answer->kind == ANONSET_ANSWER_COINS && i < answer->n; i++)
        if (size - 1 - (request->start + i) == 1)
            tw_coin(&answer->coins[i], rig->reply->bytes[i], grown->coin[size],
                    &grown->coin_tx[size]);
}

/* A false coin, finalized at level COUNT, that the newest coins repeat: neither of the two can be
 * told from the other, but a comparison can, and replaces the set from there on. */
Test(gate, repairs_a_false_coin_that_was_finalized)
{
    uint32_t old = r.chain->meta.size;
    grown = tw_grow(&r.world, r.chain, 2);
    r.options.proof_budget = 0;
    r.lie = bring_forward;
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_FINALIZED);
    cr_assert_arr_neq(r.result.state.digest, r.chain->digest, ANONSET_HASH_BYTES);
    r.lie = NULL;
    r.chain = grown;
    sync_again();
    rig_expect_whole();
    cr_assert_eq(r.result.replaced, old - 1);
}

/* ---- Heights ------------------------------------------------------------------------------ */

static uint8_t asked[TW_COINS_MAX][ANONSET_HASH_BYTES];
static uint32_t asked_n;

/* Each transaction is asked for once. */
static void note_heights(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)rig;
    (void)answer;
    if (request->kind != ANONSET_REQUEST_HEIGHT)
        return;
    for (uint32_t i = 0; i < asked_n; i++)
        cr_assert_arr_neq(asked[i], request->tx_hash, ANONSET_HASH_BYTES, "asked for twice");
    memcpy(asked[asked_n++], request->tx_hash, ANONSET_HASH_BYTES);
}

static void begin_with_heights(uint32_t blocks)
{
    r.chain = tw_grow(&r.world, r.chain, blocks);
    r.options.prove = true;
    r.options.proof_budget = 8;
    r.lie = note_heights;
    asked_n = 0;
}

Test(gate, proves_with_heights_what_the_budget_does_not)
{
    begin_with_heights(8);
    sync_again();
    expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
    cr_assert_gt(asked_n, 0);
    asked_n = 0;
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_UP_TO_DATE);
    cr_assert_eq(asked_n, 0, "a proven set is not proven again");
}

/* What has one way only needs no budget, and no height. */
Test(gate, proves_for_nothing_what_has_one_way)
{
    begin_with_heights(0);
    r.options.proof_budget = 0;
    r.chain = tw_grow(&r.world, NULL, 2);
    while (r.chain->size[0] != 1 || r.chain->coin[1] < r.chain->coin[0])
        r.chain = tw_grow(&r.world, NULL, 2);
    sync_again();
    expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
    cr_assert_eq(asked_n, 0);
}

Test(gate, proves_a_set_that_is_up_to_date)
{
    begin_with_heights(8);
    r.options.prove = false;
    sync_again();
    expect_level(ANONSET_GATE_COUNT, ANONSET_PROOF_BUDGET);
    r.options.prove = true;
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_UP_TO_DATE);
    cr_assert_eq(r.result.state.gate, ANONSET_GATE_SET_HASH);
    cr_assert_eq(r.result.proof, ANONSET_PROOF_FOUND);
    cr_assert_gt(asked_n, 0);
}

static void know_no_heights(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)rig;
    if (request->kind == ANONSET_REQUEST_HEIGHT)
        answer->kind = ANONSET_ANSWER_ERROR;
}

Test(gate, finalizes_without_heights_where_the_server_tells_none)
{
    begin_with_heights(8);
    r.lie = know_no_heights;
    sync_again();
    expect_level(ANONSET_GATE_COUNT, ANONSET_PROOF_NO_HEIGHTS);
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_UP_TO_DATE);
    cr_assert_eq(r.result.proof, ANONSET_PROOF_NO_HEIGHTS);
    cr_assert_eq(r.result.state.gate, ANONSET_GATE_COUNT);
}

static void tell_one_height(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)rig;
    if (request->kind == ANONSET_REQUEST_HEIGHT)
        answer->number = 100;
}

static void tell_falling_heights(world_rig *rig, const anonset_request *request,
                                 anonset_answer *answer)
{
    if (request->kind == ANONSET_REQUEST_HEIGHT)
        answer->number = 1000 - rig->fed;
}

Test(gate, refuses_where_heights_lead_to_another_set_hash)
{
    begin_with_heights(8);
    r.lie = tell_one_height;
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_GATE_REFUSED);
    cr_assert_not(r.result.state.has_pending);
    r.options.prove = false;
    r.lie = NULL;
    sync_again();
    rig_expect_whole();
    r.options.prove = true;
    r.lie = tell_one_height;
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_GATE_REFUSED);
    cr_assert(as_meta_equal(&r.result.state.finalized, &r.chain->meta), "it was kept");
}

Test(gate, decides_nothing_by_heights_that_fall)
{
    begin_with_heights(8);
    r.lie = tell_falling_heights;
    sync_again();
    expect_level(ANONSET_GATE_COUNT, ANONSET_PROOF_NO_HEIGHTS);
}

/* More open boundaries than one flight asks for. */
Test(gate, asks_for_heights_in_flights)
{
    begin_with_heights(0);
    r.chain = tw_grow_wide(&r.world, r.chain, 8, 20);
    sync_again();
    expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
    cr_assert_gt(asked_n, AS_HEIGHTS_FLIGHT);
}

Test(gate, asks_for_heights_again_when_reconnected)
{
    bool more = true;
    for (uint32_t k = 1; more; k++) {
        rig_tear_down();
        rig_set_up();
        begin_with_heights(6);
        r.lie = NULL;
        rig_end();
        rig_begin();
        for (uint32_t i = 0; i < k && more; i++)
            more = rig_turn() != ANONSET_STEP_DONE;
        anonset_sync_reconnect(r.sync, false);
        rig_run();
        expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
    }
}

static void clear_meanwhile(world_rig *rig, const anonset_request *request, anonset_answer *answer)
{
    (void)answer;
    if (request->kind == ANONSET_REQUEST_HEIGHT && rig->lies++ == 0)
        cr_assert_eq(anonset_store_clear(rig->store, 1, NULL), ANONSET_OK);
}

Test(gate, plans_anew_when_the_set_is_cleared_while_heights_are_asked_for)
{
    begin_with_heights(8);
    r.lie = clear_meanwhile;
    sync_again();
    cr_assert_gt(r.lies, 0);
    expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
}

/* ---- What need not be compared ------------------------------------------------------------- */

#define WIDE_SECTOR 20u

/* A set proven with heights, and then the same chain with its newest blocks replaced. */
static void reorganize(uint32_t blocks, uint32_t depth)
{
    begin_with_heights(0);
    r.options.sector_size = WIDE_SECTOR;
    const tw_chain *root = tw_grow_wide(&r.world, NULL, blocks - depth, 20);
    r.chain = tw_grow_wide(&r.world, root, depth, 20);
    sync_again();
    expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
    r.chain = tw_grow_wide(&r.world, root, depth + 1, 20);
    asked_n = 0;
    r.lies = root->meta.size;
}

/* Coins that have to be fetched, and the oldest run. */
static uint32_t needed(void)
{
    uint32_t run = 1;
    while (r.chain->coin[run] < r.chain->coin[run - 1])
        run++;
    return r.chain->meta.size - r.lies + run;
}

Test(gate, fetches_what_was_replaced_where_the_set_hash_proves_the_rest)
{
    for (uint32_t depth = 1; depth <= 6; depth++) {
        reorganize(12, depth);
        sync_again();
        expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
        cr_assert_leq(r.coins_sent, needed() + 3 * WIDE_SECTOR, "depth %u: %u coins, %u needed",
                      depth, r.coins_sent, needed());
        cr_assert_lt(r.coins_sent, r.chain->meta.size);
        cr_assert_eq(anonset_store_clear(r.store, 1, NULL), ANONSET_OK);
    }
}

/* Each coin once, where heights are not told after all. */
Test(gate, compares_the_rest_where_the_set_hash_does_not_prove_it)
{
    reorganize(12, 3);
    r.lie = know_no_heights;
    sync_again();
    expect_level(ANONSET_GATE_COUNT, ANONSET_PROOF_NO_HEIGHTS);
    cr_assert_leq(r.coins_sent, r.chain->meta.size + 3 * WIDE_SECTOR);
    cr_assert_geq(r.coins_sent, r.chain->meta.size);
}

/* A coin of the first block, which no set hash covers, differs as well. */
Test(gate, compares_the_oldest_run_where_the_set_hash_covers_the_rest)
{
    const tw_chain *honest;
    reorganize(12, 2);
    honest = r.chain;
    cr_assert_eq(anonset_store_clear(r.store, 1, NULL), ANONSET_OK);
    r.lie = flip_a_coin;
    r.chain = r.world.chains[r.world.n - 2];
    r.lies = 0;
    sync_again();
    cr_assert_eq(r.result.state.gate, ANONSET_GATE_SET_HASH, "%s", r.result.error.text);
    cr_assert_arr_neq(r.result.state.digest, r.chain->digest, ANONSET_HASH_BYTES);
    r.lie = NULL;
    r.chain = honest;
    sync_again();
    rig_expect_whole();
    cr_assert_eq(r.result.replaced, r.world.chains[r.world.n - 2]->meta.size);
}

/* Same size, same set hash: only the ends are compared, though no old block is on the chain. */
Test(gate, compares_the_ends_where_the_same_coins_were_mined_again)
{
    r.chain = tw_grow_wide(&r.world, NULL, 8, 20);
    r.options.sector_size = WIDE_SECTOR;
    sync_again();
    rig_expect_whole();
    r.lies = r.chain->meta.size;
    r.chain = remined();
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_REANCHORED);
    cr_assert_leq(r.coins_sent, needed() + WIDE_SECTOR + 2);
}

Test(gate, survives_a_reconnect_at_any_step_of_a_guess)
{
    bool more = true;
    for (uint32_t k = 1; more; k += 3) {
        rig_tear_down();
        rig_set_up();
        reorganize(10, 2);
        r.lie = NULL;
        rig_end();
        rig_begin();
        for (uint32_t i = 0; i < k && more; i++)
            more = rig_turn() != ANONSET_STEP_DONE;
        anonset_sync_reconnect(r.sync, false);
        rig_run();
        expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
    }
}

/* ---- Trusted checkpoints ------------------------------------------------------------------ */

static anonset_trusted trusted[2];

/* A checkpoint of the chain's first `size` coins; `false_bit` makes it another set's. */
static void trust(uint32_t size, bool false_bit)
{
    as_digest *digest;
    cr_assert_eq(as_digest_new(&digest, NULL), ANONSET_OK);
    trusted[0] = (anonset_trusted){.group = 2, .size = 1}; /* another group's says nothing */
    trusted[1] = (anonset_trusted){.group = 1, .size = size};
    for (uint32_t i = 0; i < size; i++) {
        anonset_coin coin;
        uint8_t bytes[TW_COIN_BYTES];
        tw_coin(&coin, bytes, r.chain->coin[i], &r.chain->coin_tx[i]);
        cr_assert_eq(as_digest_coin(digest, trusted[1].digest, trusted[1].digest, &coin),
                     ANONSET_OK);
    }
    as_digest_free(digest);
    trusted[1].digest[5] ^= false_bit;
    r.options.trusted = trusted;
    r.options.trusted_n = 2;
}

Test(gate, takes_what_agrees_with_a_trusted_checkpoint)
{
    for (uint32_t size = 1; size <= r.chain->meta.size; size++) {
        trust(size, false);
        sync_again();
        rig_expect_whole();
        sync_again();
        cr_assert_eq(r.result.outcome, ANONSET_UP_TO_DATE);
        cr_assert_eq(anonset_store_clear(r.store, 1, NULL), ANONSET_OK);
    }
    trust(r.chain->meta.size, false);
    trusted[1].size = r.chain->meta.size + 5; /* not reached yet */
    trusted[1].digest[0] ^= 1;
    sync_again();
    rig_expect_whole();
}

Test(gate, refuses_a_first_sync_that_contradicts_a_trusted_checkpoint)
{
    for (uint32_t size = 1; size <= r.chain->meta.size; size++) {
        trust(size, true);
        sync_again();
        cr_assert_eq(r.result.outcome, ANONSET_GATE_REFUSED);
        cr_assert(strstr(r.result.error.text, "checkpoint"), "%s", r.result.error.text);
        cr_assert_not(r.result.state.has_finalized || r.result.state.has_pending);
        cr_assert_leq(r.result.fetched, size, "it was downloaded on to its end");
    }
}

Test(gate, refuses_a_set_that_is_up_to_date_but_contradicts_one)
{
    rig_run();
    rig_expect_whole();
    trust(7, true);
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_GATE_REFUSED);
    cr_assert(r.result.state.has_finalized, "it is kept");
    grow(1);
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_GATE_REFUSED);
    cr_assert_not(r.result.state.has_pending);
}

/* The coins of a download that an earlier run began, without the checkpoint, are looked at too. */
Test(gate, refuses_pending_coins_that_contradict_one)
{
    rig_end();
    rig_begin();
    anonset_state state = {.count = 0};
    while (state.count < 6 && rig_turn() != ANONSET_STEP_DONE)
        cr_assert_eq(anonset_store_state(r.store, &state, 1, NULL), ANONSET_OK);
    trust(4, true);
    sync_again();
    cr_assert_eq(r.result.outcome, ANONSET_GATE_REFUSED);
    cr_assert_not(r.result.state.has_pending);
}

Test(gate, repairs_a_finalized_coin_that_a_trusted_checkpoint_shows_to_be_false)
{
    grown = tw_grow(&r.world, r.chain, 2);
    trust(5, false);
    size_t n = r.options.trusted_n;
    r.options.trusted_n = 0;
    r.options.proof_budget = 0;
    r.lie = bring_forward;
    sync_again();
    cr_assert_arr_neq(r.result.state.digest, r.chain->digest, ANONSET_HASH_BYTES);
    r.lie = NULL;
    r.options.trusted_n = n;
    r.chain = tw_grow(&r.world, r.chain, 1);
    sync_again();
    rig_expect_whole();
    cr_assert_gt(r.result.replaced, 0);
}

Test(gate, refuses_checkpoints_without_a_group_or_a_size)
{
    anonset_sync *none = NULL;
    trust(3, false);
    trusted[0].group = 0;
    cr_assert_eq(anonset_sync_new(&none, r.store, &r.options, NULL), ANONSET_INVALID);
    trusted[0] = (anonset_trusted){.group = 1};
    cr_assert_eq(anonset_sync_new(&none, r.store, &r.options, NULL), ANONSET_INVALID);
    r.options.trusted = NULL;
    cr_assert_eq(anonset_sync_new(&none, r.store, &r.options, NULL), ANONSET_INVALID);
}

/* ---- A store that changes, or has a long history ------------------------------------------- */

#define NEVER UINT32_MAX

static anonset_backend other;
static uint32_t openings_left = NEVER;

/* Another process clears the group right before one of the openings. */
static anonset_code open_cleared(void *handle, void **snapshot, anonset_state *state,
                                 uint32_t group, anonset_view view, anonset_detail *detail)
{
    if (openings_left != NEVER && openings_left-- == 0) {
        openings_left = NEVER;
        cr_assert_eq(as_backend_memory.clear(handle, group, NULL), ANONSET_OK);
    }
    return as_backend_memory.snapshot_open(handle, snapshot, state, group, view, detail);
}

Test(gate, plans_anew_when_the_set_is_cleared_before_any_opening)
{
    bool cleared = true;
    other = as_backend_memory;
    other.snapshot_open = open_cleared;
    for (uint32_t k = 0; cleared; k++) {
        rig_tear_down();
        rig_set_up_with(&other);
        reorganize(12, 2);
        r.lie = NULL;
        openings_left = k;
        sync_again();
        cleared = openings_left == NEVER;
        openings_left = NEVER;
        rig_expect_whole();
        rig_expect_next_finishes();
    }
}

/* The oldest checkpoint's digest is another one once, when all coins were fetched: as if another
 * process had replaced what is below the base. */
static bool differs;

static anonset_code checkpoint_of_another(void *snapshot, anonset_checkpoint *checkpoint,
                                          uint32_t index, anonset_detail *detail)
{
    anonset_code code = as_backend_memory.checkpoint(snapshot, checkpoint, index, detail);
    if (code == ANONSET_OK && differs && r.sync->phase == AS_PHASE_CLOSE) {
        checkpoint->digest[0] ^= 1;
        r.lies++;
    }
    return code;
}

static anonset_code discard(void *handle, uint32_t group, anonset_detail *detail)
{
    differs = false;
    return as_backend_memory.discard_incomplete(handle, group, detail);
}

Test(gate, drops_pending_coins_that_do_not_stand_on_the_finalized_ones)
{
    other = as_backend_memory;
    other.checkpoint = checkpoint_of_another;
    other.discard_incomplete = discard;
    rig_tear_down();
    rig_set_up_with(&other);
    sync_again();
    const tw_chain *root = r.chain;
    grow(2);
    sync_again();
    r.chain = tw_grow(&r.world, root, 3);
    differs = true;
    sync_again();
    cr_assert_not(differs);
    cr_assert_gt(r.lies, 0);
    cr_assert_gt(r.result.discarded, 0);
    rig_expect_whole();
}

/* What lies above a checkpoint that is still on the chain is compared, where no set hash proves it.
 */
Test(gate, compares_from_an_accepted_checkpoint_on_where_the_set_hash_proves_nothing)
{
    begin_with_heights(0);
    r.options.sector_size = WIDE_SECTOR;
    r.chain = tw_grow_wide(&r.world, NULL, 3, 20);
    sync_again();
    const tw_chain *root = tw_grow_wide(&r.world, r.chain, 7, 20);
    r.chain = tw_grow_wide(&r.world, root, 2, 20);
    sync_again();
    r.chain = tw_grow_wide(&r.world, root, 3, 20);
    r.lie = know_no_heights;
    sync_again();
    rig_expect_whole();
    cr_assert_eq(r.result.state.gate, ANONSET_GATE_COUNT);
}

static bool is_long;

/* As if the oldest checkpoint was there eight million times. */
static anonset_code checkpoint_of_many(void *snapshot, anonset_checkpoint *checkpoint,
                                       uint32_t index, anonset_detail *detail)
{
    static anonset_checkpoint oldest;
    anonset_code code = as_backend_memory.checkpoint(snapshot, checkpoint, index, detail);
    if (code == ANONSET_OK)
        oldest = *checkpoint;
    else if (is_long && code == ANONSET_NOT_FOUND && index <= 1u << 23) {
        *checkpoint = oldest;
        code = ANONSET_OK;
    }
    return code;
}

Test(gate, tries_a_few_checkpoints_of_a_history_without_end, .timeout = 60)
{
    other = as_backend_memory;
    other.checkpoint = checkpoint_of_many;
    rig_tear_down();
    rig_set_up_with(&other);
    sync_again();
    grow(2);
    sync_again();
    const tw_chain *root = r.chain;
    grow(2);
    sync_again();
    r.chain = tw_grow(&r.world, root, 3);
    is_long = true;
    sync_again();
    is_long = false;
    cr_assert_leq(r.result.requests, 2 * AS_CANDIDATES);
    rig_expect_whole();
}

/* ---- Verify ------------------------------------------------------------------------------- */

Test(gate, verify_recomputes_the_set_hashes_that_were_proven)
{
    anonset_verdict verdict;
    for (uint32_t i = 0; i < 4; i++) {
        sync_again();
        expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
        grow(2);
    }
    r.options.proof_budget = 0;
    uint32_t proven = r.result.state.finalized.size;
    sync_again();
    cr_assert_eq(anonset_store_verify(r.store, &verdict, 1, NULL), ANONSET_OK);
    cr_assert(verdict.sound);
    cr_assert_eq(verdict.proven, proven);
    cr_assert_eq(verdict.rederived, proven);
    cr_assert_eq(verdict.coins, r.chain->meta.size);
}

/* A store that says of a set hash that it was proven, and it cannot be. */
Test(gate, verify_finds_a_set_hash_that_the_coins_do_not_lead_to)
{
    anonset_verdict verdict;
    anonset_detail detail;
    anonset_complete raise = {.group = 1, .gate = ANONSET_GATE_SET_HASH};
    r.options.proof_budget = 0;
    r.lie = lie_about_the_set_hash;
    sync_again();
    raise.target = r.result.state.finalized;
    memcpy(raise.digest, r.result.state.digest, ANONSET_HASH_BYTES);
    cr_assert_eq(as_backend_memory.mark_complete(r.store->handle, &raise, NULL), ANONSET_OK);
    cr_assert_eq(anonset_store_verify(r.store, &verdict, 1, &detail), ANONSET_OK);
    cr_assert_not(verdict.sound);
    cr_assert_eq(verdict.damaged_to, r.chain->meta.size);
    cr_assert(strstr(detail.text, "set hash"), "%s", detail.text);
}

Test(gate, verify_counts_what_heights_told_as_not_recomputed)
{
    anonset_verdict verdict;
    begin_with_heights(0);
    r.chain = tw_grow_wide(&r.world, r.chain, 8, 20);
    sync_again();
    expect_level(ANONSET_GATE_SET_HASH, ANONSET_PROOF_FOUND);
    cr_assert_eq(anonset_store_verify(r.store, &verdict, 1, NULL), ANONSET_OK);
    cr_assert(verdict.sound);
    cr_assert_eq(verdict.proven, r.chain->meta.size);
    cr_assert_eq(verdict.rederived, 0);
}

/* ---- Readers ------------------------------------------------------------------------------ */

Test(gate, a_reader_may_ask_for_a_level)
{
    anonset_snapshot *snapshot = NULL;
    anonset_detail detail;
    r.options.proof_budget = 0;
    sync_again();
    cr_assert_eq(anonset_snapshot_open_gated(&snapshot, r.store, 1, ANONSET_GATE_SET_HASH, &detail),
                 ANONSET_UNPROVEN);
    cr_assert_eq(detail.code, ANONSET_UNPROVEN);
    cr_assert_eq(anonset_snapshot_open_gated(&snapshot, r.store, 1, ANONSET_GATE_COUNT, NULL),
                 ANONSET_OK);
    anonset_snapshot_close(snapshot);
    cr_assert_eq(anonset_snapshot_open_gated(&snapshot, r.store, 2, ANONSET_GATE_COUNT, NULL),
                 ANONSET_NOT_FOUND);
    cr_assert_eq(anonset_snapshot_open_gated(&snapshot, r.store, 1, (anonset_gate)3, NULL),
                 ANONSET_INVALID);
    r.options.prove = true;
    sync_again();
    cr_assert_eq(anonset_snapshot_open_gated(&snapshot, r.store, 1, ANONSET_GATE_SET_HASH, NULL),
                 ANONSET_OK);
    anonset_snapshot_close(snapshot);
}
