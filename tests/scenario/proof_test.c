/* What a user does about the gate: budgets, heights, checkpoints, and asking for a level. */
#include "tests/scenario/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs `export` at a level of the gate into s->last. */
static void export_at(scene *s, const char *gate)
{
    ts_result_free(&s->last);
    ts_anonset(&s->last, s->backend, "export", "--db", s->db, "--group", "1", "--gate", gate, NULL);
}

static void expect_export(scene *s, bool proven)
{
    export_at(s, "set-hash");
    cr_assert_eq(s->last.exit_code, proven ? 0 : 4, "%s", s->last.err);
    cr_assert_eq(s->last.out_len > 0, proven, "%s: coins of an unproven set", s->backend);
    cr_assert_eq(strstr(s->last.err, "below the level that --gate asks for") == NULL, proven, "%s",
                 s->last.err);
    cr_assert_eq(strstr(s->last.err, "--prove") == NULL, proven, "%s", s->last.err);
    export_at(s, "count");
    cr_assert_eq(s->last.exit_code, 0);
    cr_assert_gt(s->last.out_len, 0);
}

/* Syncs as a user reads it: the outcome and what was said on both streams. */
static void expect_told(scene *s, const char *option, const char *value, int exit_code,
                        const char *words)
{
    ts_result_free(&s->last);
    ts_anonset(&s->last, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--group",
               "1", option, value, NULL);
    cr_assert_eq(s->last.exit_code, exit_code, "%s%s", s->last.out, s->last.err);
    cr_assert(strstr(s->last.out, words) || strstr(s->last.err, words), "no \"%s\": %s%s", words,
              s->last.out, s->last.err);
    cr_assert_eq(s->last.err[0] == '\0', exit_code == 0, "%s", s->last.err);
}

/* ---- Budgets and heights ------------------------------------------------------------------ */

static void raise_by_heights(scene *s, const char *url)
{
    scene_sync_at(s, url, "--proof-budget", "100", NULL);
    scene_outcome(s, "finalized", 0);
    scene_level(s, "count", "budget");
    expect_export(s, false);
    scene_sync_at(s, url, NULL);
    scene_outcome(s, "up_to_date", 0);
    cr_assert(ts_json_is(s->last.out, "gate", "count"), "%s", s->last.out);
    cr_assert_eq(ts_count(&s->server, "heights"), 0);
    scene_sync_at(s, url, "--prove", NULL);
    scene_outcome(s, "up_to_date", 0);
    scene_level(s, "set-hash", "found");
    cr_assert_eq(scene_int(s, "fetched"), 0);
    cr_assert_gt(ts_count(&s->server, "heights"), 40); /* more than one flight */
    cr_assert_str_eq(scene_status(s, "finalized.gate"), "set-hash");
    expect_export(s, true);
    ts_tell(&s->server, "reset");
    scene_sync_at(s, url, "--prove", NULL);
    scene_outcome(s, "up_to_date", 0);
    cr_assert_eq(ts_count(&s->server, "heights"), 0, "asked for again");
    scene_is_whole(s);
}

SCENARIO(proof, heights_raise_what_the_budget_left, "--coins", "2000")
{
    raise_by_heights(s, s->server.tcp);
}

SCENARIO(proof, heights_raise_what_the_budget_left_over_http, "--coins", "2000")
{
    raise_by_heights(s, s->server.http);
}

/* The same transactions are mined in other blocks while their heights are asked for: these speak
 * for no block that was synced to, and nobody lied. */
static void recut_meanwhile(scene *s, const char *url)
{
    ts_tell(&s->server, "at heights 1 recut 20 5");
    scene_sync_at(s, url, "--prove", NULL);
    scene_outcome(s, "finalized", 0);
    scene_level(s, "set-hash", "found");
    scene_is_whole(s);
}

SCENARIO(proof, heights_of_another_chain_refute_nothing, "--coins", "2000")
{
    recut_meanwhile(s, s->server.tcp);
}

SCENARIO(proof, heights_of_another_chain_refute_nothing_over_http, "--coins", "2000")
{
    recut_meanwhile(s, s->server.http);
}

SCENARIO(proof, without_heights_the_set_stays_at_count, "--coins", "2000")
{
    ts_tell(&s->server, "heights off");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "finalized", 0);
    scene_level(s, "count", "no_heights");
    /* No server that refused one flight is asked for another. */
    cr_assert_leq(ts_count(&s->server, "heights"), 40);
    scene_is_whole(s);
    scene_sync_at(s, s->server.http, "--prove", NULL);
    scene_outcome(s, "up_to_date", 0);
    scene_level(s, "count", "no_heights");
    expect_export(s, false);
    ts_tell(&s->server, "heights on");
    scene_sync(s, "--prove", NULL);
    scene_level(s, "set-hash", "found");
}

/* Off or on, a group of one block proves nothing, and its next block proves it. */
SCENARIO(proof, a_group_of_one_block_has_nothing_to_prove, "--coins", "0")
{
    ts_tell(&s->server, "block 30");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "finalized", 0);
    scene_level(s, "count", "null");
    expect_export(s, false);
    ts_tell(&s->server, "block 20");
    scene_sync_is(s, "finalized", 0);
    scene_level(s, "set-hash", "found");
    expect_export(s, true);
}

SCENARIO(proof, behind_an_unproven_set_a_delta_is_consistent, "--coins", "300")
{
    scene_sync(s, "--proof-budget", "0", NULL);
    scene_outcome(s, "finalized", 0);
    scene_level(s, "count", "null");
    ts_tell(&s->server, "grow 30 2");
    scene_sync_is(s, "finalized", 0);
    scene_level(s, "count", "consistent");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "up_to_date", 0);
    scene_level(s, "set-hash", "found");
    ts_tell(&s->server, "grow 30 2");
    scene_sync_is(s, "finalized", 0);
    scene_level(s, "set-hash", "found");
    scene_is_whole(s);
}

SCENARIO(proof, a_later_group_alone_has_no_start, "--coins", "900", "--group-limit", "400",
         "--group-overlap", "100")
{
    scene_sync(s, "--group", "2", "--prove", NULL);
    scene_outcome(s, "finalized", 0);
    scene_level(s, "count", "no_start");
    cr_assert_eq(ts_count(&s->server, "heights"), 0);
}

/* Each group from the last set hash of the one before. */
SCENARIO(proof, later_groups_are_proven_from_the_group_before, "--coins", "900", "--group-limit",
         "400", "--group-overlap", "100")
{
    scene_sync(s, "--all", "--prove", "--proof-budget", "1", NULL);
    cr_assert_eq(s->last.exit_code, 0, "%s", s->last.err);
    for (size_t group = 0; group < 4; group++) {
        const char *line = ts_line(s->last.out, group);
        cr_assert(ts_json_is(line, "outcome", "finalized") && ts_json_is(line, "proof", "found") &&
                      ts_json_is(line, "gate", "set-hash"),
                  "%s", line);
    }
    scene_is_whole(s);
}

/* ---- Checkpoints -------------------------------------------------------------------------- */

/* What status --json of another wallet shows; false ones differ in one digit. */
static void checkpoint(scene *s, char *to, bool right)
{
    (void)snprintf(to, 96, "1:%s:%s", scene_status(s, "finalized.size"), scene_digest(s));
    char *digit = to + strlen(to) - 1;
    if (!right)
        *digit = *digit == '0' ? '1' : '0';
}

SCENARIO(proof, a_checkpoint_is_taken_or_refused, "--coins", "600")
{
    static const char elsewhere[] =
        "2:5:00000000000000000000000000000000000000000000000000000000000000ff";
    char old[96], right[96], wrong[96], false_old[96];
    const struct {
        const char *first, *second;
        int exit_code;
    } cases[] = {{right, right, 0},   {old, right, 0},      {elsewhere, old, 0},
                 {wrong, right, 4},   {right, wrong, 4},    {right, false_old, 4},
                 {old, false_old, 4}, {elsewhere, wrong, 4}};
    scene_sync_is(s, "finalized", 0);
    checkpoint(s, old, true);
    checkpoint(s, false_old, false);
    ts_tell(&s->server, "grow 300");
    scene_sync_is(s, "finalized", 0);
    checkpoint(s, right, true);
    checkpoint(s, wrong, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool taken = cases[i].exit_code == 0;
        scene_clear(s);
        scene_sync(s, "--checkpoint", cases[i].first, "--checkpoint", cases[i].second, NULL);
        scene_outcome(s, taken ? "finalized" : "gate_refused", cases[i].exit_code);
        cr_assert_eq(strcmp(scene_status(s, "finalized"), "null") != 0, taken);
        cr_assert_str_eq(scene_status(s, "pending"), "null");
        scene_sync_is(s, taken ? "up_to_date" : "finalized", 0);
        scene_sync(s, "--checkpoint", cases[i].first, "--checkpoint", cases[i].second, NULL);
        scene_outcome(s, taken ? "up_to_date" : "gate_refused", cases[i].exit_code);
        cr_assert_str_eq(scene_status(s, "finalized.size"), "900", "the set was not kept");
    }
    scene_is_whole(s);
}

/* A first sync that passes through a false checkpoint stops there, and downloads no more. */
SCENARIO(proof, a_false_checkpoint_ends_a_first_sync_early, "--coins", "600")
{
    char wrong[96];
    scene_sync_is(s, "finalized", 0);
    checkpoint(s, wrong, false);
    ts_tell(&s->server, "grow 3000");
    scene_clear(s);
    ts_tell(&s->server, "reset");
    scene_sync(s, "--checkpoint", wrong, "--sector-size", "50", NULL);
    scene_outcome(s, "gate_refused", 4);
    cr_assert_leq(ts_count(&s->server, "coins"), 600 + 3 * 50);
    cr_assert_str_eq(scene_status(s, "finalized"), "null");
}

/* The set that was there before stays, when the new coins contradict a checkpoint. */
SCENARIO(proof, a_false_checkpoint_above_keeps_the_set, "--coins", "600")
{
    char wrong[96], before[65];
    scene_sync_is(s, "finalized", 0);
    (void)snprintf(before, sizeof before, "%s", scene_digest(s));
    (void)snprintf(wrong, sizeof wrong, "1:601:%s", before);
    ts_tell(&s->server, "grow 300");
    scene_sync(s, "--prove", "--checkpoint", wrong, NULL);
    scene_outcome(s, "gate_refused", 4);
    cr_assert_str_eq(scene_digest(s), before);
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}

/* ---- What is said ------------------------------------------------------------------------- */

SCENARIO(proof, each_end_says_what_it_means_and_what_to_do, "--coins", "0")
{
    char wrong[96] = "1:5:00000000000000000000000000000000000000000000000000000000000000ff";
    ts_tell(&s->server, "block 20");
    expect_told(s, "--sector-size", "auto", 0, "not proven: a group of one block has none yet");
    ts_tell(&s->server, "block 20");
    expect_told(s, "--proof-budget", "0", 0, "not proven: this sync did not look for a proof");
    ts_tell(&s->server, "block 20");
    expect_told(s, "--sector-size", "auto", 0, "follows from the set before, which is not proven");
    expect_told(s, "--sector-size", "auto", 0, "(--prove does)");
    expect_told(s, "--prove", NULL, 0, "the set hash was proven");
    expect_told(s, "--checkpoint", wrong, 4, "the first 5 coins are not those of the checkpoint");
    cr_assert_null(strstr(s->last.err, "downloaded"), "nothing was: %s", s->last.err);
    cr_assert(strstr(s->last.err, "kept: the set of 60 coins"), "%s", s->last.err);
    ts_tell(&s->server, "grow 6000");
    expect_told(s, "--proof-budget", "50", 0, "in more ways than --proof-budget allows to try");
    ts_tell(&s->server, "heights off");
    expect_told(s, "--prove", NULL, 0, "did not tell the heights of transactions");
    ts_tell(&s->server, "heights on");
    ts_tell(&s->server, "fault height arg=500 skip=3");
    expect_told(s, "--prove", NULL, 4, "do not match the set hash that the server told");
    ts_tell(&s->server, "faults clear");
    expect_told(s, "--prove", NULL, 0, "the set hash was proven");
}
