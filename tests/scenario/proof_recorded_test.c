/* The set hashes of real chains are proven: growing, from nothing, and through a reorganization. */
#include "tests/scenario/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* So many heights were asked for: one on either side of each open cut, and none twice. */
static void expect_heights(scene *s, uint64_t heights)
{
    cr_assert_eq(ts_count(&s->server, "heights"), heights, "%s: %u, not %u", s->backend,
                 (unsigned)ts_count(&s->server, "heights"), (unsigned)heights);
    ts_tell(&s->server, "reset");
}

static void expect_verified(scene *s, uint32_t proven, uint32_t rederived)
{
    ts_result result;
    ts_anonset(&result, s->backend, "verify", "--json", "--db", s->db, NULL);
    cr_assert_eq(result.exit_code, 0, "%s", result.err);
    cr_assert_eq(ts_json_int(result.out, "0.proven"), proven, "%s", result.out);
    cr_assert_eq(ts_json_int(result.out, "0.rederived"), rederived, "%s", result.out);
    ts_result_free(&result);
}

/* ---- Growth ------------------------------------------------------------------------------- */

#define GROWTH                                                                                     \
    RECORDED("b_1block"), RECORDED("c_2blocks"), RECORDED("d_3blocks"), RECORDED("e_20blocks"),    \
        RECORDED("f_40blocks"), RECORDED("g_60blocks")
#define STEPS 6

/* Coins, and the heights that decide what those above the step before leave open: 2, 9 and 9 cuts
 * in the last three. */
static const struct step {
    uint32_t coins, heights;
} growth[STEPS] = {{3, 0}, {5, 0}, {9, 0}, {105, 4}, {269, 18}, {418, 17}};

static void expect_step(scene *s, const struct step *step, bool has_set_hash)
{
    scene_outcome(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "size"), step->coins);
    scene_level(s, has_set_hash ? "set-hash" : "count", has_set_hash ? "found" : "null");
}

/* Every step is proven by the default budget alone: no height is asked for, --prove or not. */
static void grow_on_the_budget(scene *s, const char *prove)
{
    for (size_t i = 0; i < STEPS; i++) {
        if (i > 0)
            ts_tell(&s->server, "next");
        scene_sync(s, prove, NULL);
        expect_step(s, &growth[i], i > 0);
        expect_heights(s, 0);
        expect_verified(s, i > 0 ? growth[i].coins : 0, i > 0 ? growth[i].coins : 0);
        scene_is_whole(s);
    }
}

SCENARIO(proof_recorded, the_default_budget_proves_every_step_of_the_growth, GROWTH)
{
    grow_on_the_budget(s, NULL);
}

SCENARIO(proof_recorded, a_step_that_the_budget_proves_asks_for_no_height, GROWTH)
{
    grow_on_the_budget(s, "--prove");
}

/* With next to no budget every open cut of a step is asked for, and none below the step. */
SCENARIO(proof_recorded, heights_prove_every_step_of_the_growth, GROWTH)
{
    for (size_t i = 0; i < STEPS; i++) {
        if (i > 0)
            ts_tell(&s->server, "next");
        scene_sync(s, "--prove", "--proof-budget", "1", NULL);
        expect_step(s, &growth[i], i > 0);
        expect_heights(s, growth[i].heights);
        scene_sync(s, "--prove", "--proof-budget", "1", NULL);
        scene_outcome(s, "up_to_date", 0);
        expect_heights(s, 0);
        scene_is_whole(s);
    }
}

/* ---- First syncs -------------------------------------------------------------------------- */

/* A server's state, and the heights that decide the cuts that the whole set leaves open: 2, 11, 20,
 * and 22 of the three largest. */
static const struct whole {
    uint32_t state, coins, heights;
    bool budget; /* the default one suffices */
} wholes[] = {
    {1, 5, 0, true},     {2, 9, 0, true},     {3, 105, 4, true},   {4, 269, 22, true},
    {5, 418, 39, false}, {6, 446, 43, false}, {7, 482, 43, false}, {8, 6035, 43, false},
};

static void first_sync(scene *s, const struct whole *whole, const char *url, const char *budget,
                       const char *prove)
{
    char name[64];
    static unsigned stores;
    (void)snprintf(name, sizeof name, "store-%u", stores++);
    s->db = ts_in(&s->dir, name);
    scene_sync_at(s, url, "--proof-budget", budget, prove, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "size"), whole->coins);
}

static void prove_first_sync(scene *s, const char *url, const struct whole *whole)
{
    char digest[65];
    ts_tell(&s->server, "state %u", whole->state);
    first_sync(s, whole, url, "65536", NULL);
    scene_level(s, whole->budget ? "set-hash" : "count", whole->budget ? "found" : "budget");
    expect_heights(s, 0);
    expect_verified(s, whole->budget ? whole->coins : 0, whole->budget ? whole->coins : 0);
    scene_is_whole(s);
    (void)snprintf(digest, sizeof digest, "%s", scene_digest(s));
    first_sync(s, whole, url, "1", "--prove");
    scene_level(s, "set-hash", "found");
    expect_heights(s, whole->heights);
    first_sync(s, whole, url, "65536", "--prove");
    scene_level(s, "set-hash", "found");
    expect_heights(s, whole->budget ? 0 : whole->heights);
    scene_sync_at(s, url, "--prove", NULL);
    scene_outcome(s, "up_to_date", 0);
    expect_heights(s, 0);
    cr_assert_str_eq(scene_digest(s), digest);
}

#define WHOLES GROWTH, RECORDED("r1_A"), RECORDED("r4_B"), RECORDED("m_big6000")

SCENARIO(proof_recorded, a_first_sync_of_any_set_is_proven_with_heights, WHOLES)
{
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++)
        prove_first_sync(s, s->server.tcp, &wholes[i]);
}

SCENARIO(proof_recorded, a_first_sync_of_any_set_is_proven_over_http, WHOLES)
{
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++)
        prove_first_sync(s, s->server.http, &wholes[i]);
}

/* What heights proved is not proven again from the stored bytes alone. */
SCENARIO(proof_recorded, verify_says_what_only_heights_prove, RECORDED("g_60blocks"))
{
    scene_sync(s, "--prove", NULL);
    scene_level(s, "set-hash", "found");
    expect_verified(s, 418, 0);
}

/* ---- Reorganizations ---------------------------------------------------------------------- */

static void expect_kept(scene *s, const char *size)
{
    ts_tell(&s->server, "next");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "remote_behind", 5);
    cr_assert_str_eq(scene_status(s, "finalized.size"), size);
    cr_assert_str_eq(scene_status(s, "finalized.gate"), "set-hash");
    expect_heights(s, 0);
}

/* From the first sync on, the chain is proven from scratch: 22 open cuts on either branch. */
SCENARIO(proof_recorded, the_reorg_is_followed_and_proven_with_heights, RECORDED("r1_A"),
         RECORDED("r2_shrunk"), RECORDED("r3_same_coins_remined"), RECORDED("r4_B"))
{
    scene_sync(s, "--prove", NULL);
    scene_level(s, "set-hash", "found");
    expect_heights(s, 43);
    expect_kept(s, "446");
    expect_kept(s, "446");
    ts_tell(&s->server, "next");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "finalized", 0);
    scene_level(s, "set-hash", "found");
    cr_assert_eq(scene_int(s, "fetched"), 482 - 424); /* 6 of the coins were mined again */
    expect_heights(s, 43);
    scene_is_whole(s);
}

/* With a checkpoint below the reorg, the budget suffices for either branch: 2 open cuts each. */
SCENARIO(proof_recorded, the_reorg_is_proven_from_the_checkpoint_below_it, GROWTH, RECORDED("r1_A"),
         RECORDED("r2_shrunk"), RECORDED("r3_same_coins_remined"), RECORDED("r4_B"))
{
    for (unsigned state = 1; state <= 6; state++) {
        ts_tell(&s->server, "state %u", state);
        scene_sync(s, "--prove", NULL);
        scene_outcome(s, "finalized", 0);
        scene_level(s, "set-hash", "found");
    }
    expect_kept(s, "446");
    expect_kept(s, "446");
    ts_tell(&s->server, "next");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "finalized", 0);
    scene_level(s, "set-hash", "found");
    cr_assert_leq(scene_int(s, "fetched"), 482 - 418);
    expect_heights(s, 0);
    expect_verified(s, 482, 482);
    scene_is_whole(s);
}

/* The 61st block of chain A has the coins of r3, but its hash was not recorded: this is one. */
#define BLOCK_OF_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static void copy_recorded(const scene *s, const char *file)
{
    char path[128];
    size_t len;
    (void)snprintf(path, sizeof path, "tests/fixtures/r3_same_coins_remined/%s", file);
    char *text = ts_read_file(ts_source(path), &len);
    char *hash = strstr(text, "\"blockHash\":\"");
    if (hash)
        memcpy(hash + strlen("\"blockHash\":\""), BLOCK_OF_A, strlen(BLOCK_OF_A));
    (void)snprintf(path, sizeof path, "A/%s", file);
    ts_write_file(ts_in(&s->dir, path), text, len);
    free(text);
}

static void reanchor(scene *s)
{
    ts_result after;
    char digest[65];
    scene_sync(s, "--prove", NULL);
    scene_level(s, "set-hash", "found");
    (void)snprintf(digest, sizeof digest, "%s", scene_digest(s));
    ts_tell(&s->server, "next");
    ts_tell(&s->server, "reset");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "reanchored", 0);
    cr_assert_eq(scene_int(s, "fetched"), 0);
    cr_assert(ts_json_is(s->last.out, "gate", "set-hash"), "%s", s->last.out);
    expect_heights(s, 0);
    cr_assert_str_eq(scene_digest(s), digest);
    cr_assert_str_neq(scene_status(s, "finalized.block_hash"), BLOCK_OF_A);
    scene_is_whole(s);
    /* The block that is gone still names these coins: nothing comes after it. */
    ts_anonset(&after, s->backend, "export", "--db", s->db, "--group", "1", "--gate", "set-hash",
               "--after", BLOCK_OF_A, NULL);
    cr_assert_eq(after.exit_code, 0, "%s", after.err);
    cr_assert_eq(after.out_len, 0);
    ts_result_free(&after);
    scene_sync_is(s, "up_to_date", 0);
}

#define REANCHOR(store)                                                                            \
    Test(proof_recorded, same_coins_in_another_block_are_reanchored_##store, .timeout = 300)       \
    {                                                                                              \
        scene s;                                                                                   \
        scene_begin_store(&s, #store);                                                             \
        cr_assert_eq(mkdir(ts_in(&s.dir, "A"), 0700), 0);                                          \
        copy_recorded(&s, "meta.json");                                                            \
        copy_recorded(&s, "heights.txt");                                                          \
        copy_recorded(&s, "sector_whole.json");                                                    \
        ts_server_start(&s.server, "--recorded", ts_in(&s.dir, "A"),                               \
                        RECORDED("r3_same_coins_remined"), RECORDED("r4_B"), NULL);                \
        reanchor(&s);                                                                              \
        scene_end(&s);                                                                             \
    }

REANCHOR(sqlite)
REANCHOR(lmdb)
