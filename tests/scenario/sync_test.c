/* The scenarios of a sync, by the program, over a real socket, on both backends. */
#include "tests/scenario/scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_50 "--sector-size", "50"
#define UNDER_WAY 2 /* answers sent that may not be committed: one arrives, one is asked for */

/* Starts a sync that stops after `sectors` sector answers, and kills it there. */
static void kill_after(scene *s, unsigned sectors)
{
    ts_process sync;
    ts_tell(&s->server, "hold %u", sectors);
    ts_anonset_start(&sync, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--group",
                     "1", SECTOR_50, "--quiet", NULL);
    ts_wait(&s->server, "held", 1);
    ts_kill(&sync);
    ts_tell(&s->server, "release");
}

SCENARIO(sync, first_sync_in_one_sector, "--coins", "40")
{
    scene_sync_is(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "fetched"), 40);
    cr_assert_eq(scene_int(s, "resumed_from"), 0);
    scene_is_whole(s);
    scene_sync_is(s, "up_to_date", 0);
    cr_assert_eq(scene_int(s, "fetched"), 0);
}

SCENARIO(sync, first_sync_in_many_sectors, "--coins", "2000", "--bare-every", "7")
{
    scene_sync(s, SECTOR_50, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "fetched"), 2000);
    scene_is_whole(s);
}

SCENARIO(sync, over_http, "--coins", "1000")
{
    scene_sync_at(s, s->server.http, SECTOR_50, NULL);
    scene_outcome(s, "finalized", 0);
    scene_is_whole(s);
    ts_tell(&s->server, "grow 70");
    scene_sync_at(s, s->server.http, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "fetched"), 70);
    scene_is_whole(s);
}

/* On a second connection, when the answer before it has nearly come in. */
SCENARIO(sync, over_http_the_next_sector_is_asked_for_ahead, "--coins", "3000")
{
    ts_tell(&s->server, "shape latency=20 rate=4000000");
    scene_sync_at(s, s->server.http, "--sector-size", "500", NULL);
    scene_outcome(s, "finalized", 0);
    scene_is_whole(s);
    cr_assert_eq(ts_count(&s->server, "connections"), 2);
}

SCENARIO(sync, growth_fetches_only_what_is_new, "--coins", "1000")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "grow 130");
    ts_tell(&s->server, "reset");
    scene_sync(s, SECTOR_50, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "fetched"), 130);
    cr_assert_eq(scene_int(s, "resumed_from"), 1000);
    /* One for the overlap, two for the pins asked before and behind. */
    cr_assert_leq(ts_count(&s->server, "coins"), 130 + 3);
    scene_is_whole(s);
}

SCENARIO(sync, a_small_delta_takes_two_flights, "--coins", "1000")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "grow 5");
    ts_tell(&s->server, "reset");
    scene_sync_is(s, "finalized", 0);
    /* genesis and meta; then old pin, made-up pin, sector, made-up pin and pin behind it */
    cr_assert_eq(scene_int(s, "requests"), 7);
    cr_assert_eq(ts_count(&s->server, "connections"), 1);
}

SCENARIO(sync, killed_and_resumed, "--coins", "1000")
{
    kill_after(s, 6);
    cr_assert_str_eq(scene_status(s, "finalized"), "null", "a part of a set was shown");
    scene_verify(s);
    ts_tell(&s->server, "reset");
    scene_sync(s, SECTOR_50, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_geq(scene_int(s, "resumed_from"), (6 - UNDER_WAY) * 50,
                  "committed sectors were lost");
    cr_assert_eq(scene_int(s, "discarded"), 0);
    cr_assert_leq(ts_count(&s->server, "coins"), 1000 - (6 - UNDER_WAY) * 50 + 2 + 1);
    scene_is_whole(s);
}

SCENARIO(sync, readers_see_the_old_set_while_a_newer_one_comes, "--coins", "500")
{
    char before[65];
    scene_sync_is(s, "finalized", 0);
    (void)snprintf(before, sizeof before, "%s", scene_digest(s));
    ts_tell(&s->server, "grow 500");
    kill_after(s, 3 + UNDER_WAY);
    cr_assert_str_eq(scene_digest(s), before);
    cr_assert_str_eq(scene_status(s, "finalized.size"), "500");
    cr_assert_str_eq(scene_status(s, "pending.base"), "500");
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}

SCENARIO(sync, the_chain_grows_between_two_attempts, "--coins", "1000")
{
    kill_after(s, 6);
    ts_tell(&s->server, "grow 200");
    ts_tell(&s->server, "reset");
    scene_sync(s, SECTOR_50, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_geq(scene_int(s, "resumed_from"), (6 - UNDER_WAY) * 50);
    cr_assert_eq(scene_int(s, "discarded"), 0, "coins of the older block were not kept");
    cr_assert_leq(ts_count(&s->server, "coins"), 1200 - (6 - UNDER_WAY) * 50 + 3);
    scene_is_whole(s);
}

SCENARIO(sync, the_pending_block_is_reorganized_away, "--coins", "1000")
{
    kill_after(s, 6);
    ts_tell(&s->server, "reorg 1");
    scene_sync(s, SECTOR_50, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_geq(scene_int(s, "discarded"), (6 - UNDER_WAY) * 50);
    cr_assert_eq(scene_int(s, "resumed_from"), 0);
    scene_is_whole(s);
}

SCENARIO(sync, the_target_is_reorganized_away_in_mid_sync, "--coins", "1000")
{
    ts_tell(&s->server, "at sectors 6 reorg 2");
    scene_sync(s, SECTOR_50, NULL);
    scene_outcome(s, "finalized", 0);
    scene_is_whole(s);
}

SCENARIO(sync, a_crash_between_the_last_sector_and_the_finalize, "--coins", "300")
{
    ts_process sync;
    /* The sectors are in, the closing question (a made-up pin) is held back. */
    ts_tell(&s->server, "hold 6");
    ts_anonset_start(&sync, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--group",
                     "1", SECTOR_50, "--quiet", NULL);
    ts_wait(&s->server, "held", 1);
    for (int i = 0; i < 200 && strcmp(scene_status(s, "pending.count"), "300") != 0; i++)
        (void)ts_ended(&sync, 25);
    ts_kill(&sync);
    ts_tell(&s->server, "release");
    cr_assert_str_eq(scene_status(s, "pending.count"), "300");
    cr_assert_str_eq(scene_status(s, "finalized"), "null");
    scene_sync_is(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "fetched"), 0);
    scene_is_whole(s);
}

SCENARIO(sync, same_coins_mined_again, "--coins", "600")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "remine 1");
    scene_sync_is(s, "reanchored", 0);
    cr_assert_eq(scene_int(s, "fetched"), 0);
    scene_is_whole(s);
    scene_sync_is(s, "up_to_date", 0);
}

SCENARIO(sync, a_smaller_chain_is_not_followed, "--coins", "600")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "undo 2");
    scene_sync_is(s, "remote_behind", 5);
    cr_assert_str_eq(scene_status(s, "finalized.size"), "600");
    ts_tell(&s->server, "keep 0");
    scene_sync_is(s, "no_such_group", 5);
    cr_assert_str_eq(scene_status(s, "finalized.size"), "600");
}

SCENARIO(sync, a_server_that_lags_catches_up, "--coins", "600")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "lag 2");
    scene_sync_is(s, "remote_behind", 5);
    ts_tell(&s->server, "lag 0");
    scene_sync_is(s, "up_to_date", 0);
}

static void reorg_is_kept(scene *s, const char *command)
{
    char before[65];
    scene_sync_is(s, "finalized", 0);
    (void)snprintf(before, sizeof before, "%s", scene_digest(s));
    ts_tell(&s->server, "%s", command);
    scene_sync(s, "--on-reorg", "keep", NULL);
    scene_outcome(s, "reorg_detected", 5);
    cr_assert_str_eq(scene_digest(s), before, "a reorg changed the finalized set");
    scene_verify(s);
}

SCENARIO(sync, a_reorg_of_one_block_is_kept, "--coins", "600")
{
    reorg_is_kept(s, "reorg 1");
}

SCENARIO(sync, a_deep_reorg_is_kept, "--coins", "1200")
{
    reorg_is_kept(s, "reorg 9");
}

SCENARIO(sync, a_reorg_to_the_same_size_is_kept, "--coins", "600")
{
    reorg_is_kept(s, "replace 2");
}

/* `most`: coins the server may send. */
static void reorg_is_followed(scene *s, const char *command, uint64_t most)
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "%s", command);
    ts_tell(&s->server, "reset");
    scene_sync_is(s, "finalized", 0);
    cr_assert_leq(ts_count(&s->server, "coins"), most);
    scene_is_whole(s);
    scene_sync_is(s, "up_to_date", 0);
}

SCENARIO(sync, a_reorg_of_one_block_is_followed, "--coins", "600")
{
    reorg_is_followed(s, "reorg 1", 800);
}

SCENARIO(sync, a_deep_reorg_is_followed, "--coins", "1200")
{
    reorg_is_followed(s, "reorg 9", 1700);
}

/* Coins that a sync with --prove has the server send, when it should have been those replaced. */
static void deep_reorg_costs_what_it_replaced(scene *s)
{
    ts_tell(&s->server, "reorg 20 3000");
    ts_tell(&s->server, "reset");
    scene_sync(s, "--prove", "--sector-size", "500", NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_leq(ts_count(&s->server, "coins"),
                  (uint64_t)(scene_int(s, "size") - scene_int(s, "resumed_from") + 2 * 500), "%s",
                  s->last.out);
    cr_assert_str_eq(scene_status(s, "finalized.gate"), "set-hash");
    scene_is_whole(s);
}

SCENARIO(sync, a_deep_reorg_of_a_large_set_that_the_set_hash_proves, "--coins", "30000")
{
    scene_sync(s, "--prove", NULL);
    cr_assert_str_eq(scene_status(s, "finalized.gate"), "set-hash");
    deep_reorg_costs_what_it_replaced(s);
}

SCENARIO(sync, a_deep_reorg_of_a_large_set_above_a_checkpoint, "--coins", "27000")
{
    scene_sync(s, "--prove", NULL);
    ts_tell(&s->server, "grow 3000 20");
    scene_sync(s, "--prove", NULL);
    cr_assert_str_eq(scene_status(s, "finalized.size"), "30000");
    deep_reorg_costs_what_it_replaced(s);
}

SCENARIO(sync, a_reorg_to_the_same_size_is_followed, "--coins", "600")
{
    reorg_is_followed(s, "replace 2", 620);
}

SCENARIO(sync, a_reorg_down_to_one_block_is_followed, "--per-block", "5-5", "--coins", "5")
{
    reorg_is_followed(s, "reorg 1 9", 40);
}

SCENARIO(sync, a_reorg_of_the_smallest_groups_is_followed, "--coins", "0")
{
    static const char *const steps[] = {"reorg 1 2", "reorg 1 2", "reorg 2 3", "replace 2"};
    ts_tell(&s->server, "block 1");
    scene_sync_is(s, "finalized", 0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        ts_tell(&s->server, "%s", steps[i]);
        scene_sync_is(s, "finalized", 0);
        scene_is_whole(s);
    }
}

/* The chain is reorganized once more, deeper, while the first reorganization is followed. */
SCENARIO(sync, a_reorg_while_one_is_followed, "--coins", "1200")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "reorg 8");
    ts_tell(&s->server, "at sectors 20 reorg 12");
    ts_tell(&s->server, "reset");
    scene_sync(s, SECTOR_50, NULL);
    scene_outcome(s, "finalized", 0);
    scene_is_whole(s);
    scene_sync_is(s, "up_to_date", 0);
}

/* The last checkpoint but one is on the new chain: nothing below it is looked at. */
SCENARIO(sync, an_accepted_checkpoint_spares_the_comparison, "--coins", "6000")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "grow 200 4");
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "reorg 2 120");
    ts_tell(&s->server, "reset");
    scene_sync_is(s, "finalized", 0);
    cr_assert_leq(ts_count(&s->server, "coins"), 350);
    scene_is_whole(s);
}

/* Five blocks of a real chain are thrown away, it shrinks, comes back longer. */
static void the_recorded_reorg_is_followed(scene *s)
{
    scene_sync_is(s, "finalized", 0);
    for (int shorter = 0; shorter < 2; shorter++) {
        ts_tell(&s->server, "next");
        scene_sync_is(s, "remote_behind", 5);
        cr_assert_str_eq(scene_status(s, "finalized.size"), "446");
    }
    ts_tell(&s->server, "next");
    scene_sync_is(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "fetched"), 482 - 424); /* 6 of the coins were mined again */
    scene_is_whole(s);
}

#define RECORDED_REORG(store)                                                                      \
    Test(sync, the_recorded_reorg_is_followed_##store, .timeout = 300)                             \
    {                                                                                              \
        scene s;                                                                                   \
        scene_begin(&s, #store, "--recorded", ts_source("tests/fixtures/r1_A"), "--recorded",      \
                    ts_source("tests/fixtures/r2_shrunk"), "--recorded",                           \
                    ts_source("tests/fixtures/r3_same_coins_remined"), "--recorded",               \
                    ts_source("tests/fixtures/r4_B"));                                             \
        the_recorded_reorg_is_followed(&s);                                                        \
        scene_end(&s);                                                                             \
    }

RECORDED_REORG(sqlite)
RECORDED_REORG(lmdb)

/* A sync killed while it follows goes on, and the set before stays readable until the end. */
SCENARIO(sync, following_a_reorg_survives_the_loss_of_the_server, "--coins", "3000")
{
    char before[65];
    scene_sync(s, "--sector-size", "200", NULL);
    scene_outcome(s, "finalized", 0);
    (void)snprintf(before, sizeof before, "%s", scene_digest(s));
    ts_tell(&s->server, "reorg 20");
    ts_tell(&s->server, "fault drop skip=14 times=0");
    scene_sync(s, "--sector-size", "200", "--retries", "0", NULL);
    scene_outcome(s, "network_error", 3);
    cr_assert_str_eq(scene_digest(s), before);
    cr_assert_str_neq(scene_status(s, "pending.count"), "null");
    scene_verify(s);
    ts_tell(&s->server, "faults clear");
    scene_sync(s, "--sector-size", "200", NULL);
    scene_outcome(s, "finalized", 0);
    scene_is_whole(s);
}

SCENARIO(sync, anomaly_another_size_for_the_same_block, "--coins", "600")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "fault size on=meta times=1 arg=700");
    scene_sync_is(s, "anomaly", 4);
    ts_tell(&s->server, "fault set-hash on=meta times=1");
    scene_sync_is(s, "anomaly", 4);
    scene_sync_is(s, "up_to_date", 0);
    scene_is_whole(s);
}

SCENARIO(sync, a_group_of_one_block_grows_to_two, "--coins", "0")
{
    ts_tell(&s->server, "block 30");
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
    scene_sync_is(s, "up_to_date", 0);
    ts_tell(&s->server, "block 20");
    scene_sync_is(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "fetched"), 20);
    scene_is_whole(s);
    ts_tell(&s->server, "block 10");
    scene_sync_is(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "fetched"), 10);
    scene_is_whole(s);
}

SCENARIO(sync, no_coin_yet, "--coins", "0")
{
    scene_sync_is(s, "no_such_group", 5);
    ts_tell(&s->server, "block 3");
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}

SCENARIO(sync, every_group, "--coins", "900", "--group-limit", "400", "--group-overlap", "100")
{
    scene_sync(s, "--all", SECTOR_50, NULL);
    cr_assert_eq(s->last.exit_code, 0, "%s%s", s->last.out, s->last.err);
    cr_assert(ts_json_is(ts_line(s->last.out, 0), "group", "1"));
    cr_assert(ts_json_is(ts_line(s->last.out, 0), "outcome", "finalized"));
    cr_assert(ts_json_is(ts_line(s->last.out, 1), "group", "2"));
    cr_assert(ts_json_is(ts_line(s->last.out, 1), "outcome", "finalized"));
    cr_assert(ts_json_is(ts_line(s->last.out, 2), "group", "3"));
    scene_is_whole(s);
    scene_sync(s, "--all", NULL);
    cr_assert_eq(s->last.exit_code, 0);
    cr_assert(ts_json_is(ts_line(s->last.out, 0), "outcome", "up_to_date"));
}

SCENARIO(sync, another_network_is_refused, "--coins", "100")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "genesis %064d", 7);
    ts_tell(&s->server, "grow 10");
    scene_sync_is(s, "wrong_network", 4);
    cr_assert_str_eq(scene_status(s, "finalized.size"), "100");
}

SCENARIO(sync, interrupted_by_the_user, "--coins", "2000")
{
    ts_process sync;
    ts_tell(&s->server, "hold 10");
    ts_anonset_start(&sync, s->backend, "sync", "--json", "--db", s->db, "--server", s->server.tcp,
                     "--group", "1", SECTOR_50, NULL);
    ts_wait(&s->server, "held", 1);
    ts_signal(&sync, SIGINT);
    ts_result_free(&s->last);
    ts_finish(&sync, &s->last, 10000);
    scene_outcome(s, "cancelled", 130);
    ts_tell(&s->server, "release");
    scene_sync(s, SECTOR_50, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_geq(scene_int(s, "resumed_from"), (10 - UNDER_WAY) * 50,
                  "committed sectors were lost");
    scene_is_whole(s);
}

SCENARIO(sync, two_processes_sync_one_store, "--coins", "3000")
{
    ts_process sync[2];
    ts_result result[2];
    ts_tell(&s->server, "shape latency=5 rate=0 hold-small=0");
    for (int i = 0; i < 2; i++)
        ts_anonset_start(&sync[i], s->backend, "sync", "--json", "--db", s->db, "--server",
                         s->server.tcp, "--group", "1", SECTOR_50, NULL);
    for (int i = 0; i < 2; i++) {
        ts_finish(&sync[i], &result[i], 120000);
        cr_assert(result[i].exit_code == 0 || result[i].exit_code == 7, "%s: %s%s", s->backend,
                  result[i].out, result[i].err);
    }
    cr_assert(result[0].exit_code == 0 || result[1].exit_code == 0, "neither finished");
    for (int i = 0; i < 2; i++)
        ts_result_free(&result[i]);
    scene_is_whole(s);
}

SCENARIO(sync, over_tls_with_a_pin_through_a_proxy, "--coins", "1")
{
    /* A certificate of its own: tests run side by side. */
    ts_server_stop(&s->server);
    ts_server_start(&s->server, "--coins", "500", "--tls-make", s->dir.path, NULL);
    scene_sync_at(s, s->server.ssl, "--proxy", s->server.socks, "--tls-pin", s->server.tls_pin,
                  NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_eq(ts_count(&s->server, "socks"), 1);
    scene_is_whole(s);
}

SCENARIO(sync, a_server_that_charges_never_cuts_us, "--coins", "3000")
{
    ts_tell(&s->server, "charge 1000 10000 1");
    scene_sync_is(s, "finalized", 0);
    cr_assert_eq(ts_count(&s->server, "cut"), 0);
    scene_is_whole(s);
}
