/* A group that rolls over: what the new one shares with the one before is not downloaded again. */
#include "tests/scenario/scene.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SECTOR     200
#define SECTOR_200 "--sector-size", "200"
#define CHAIN      "--coins", "3900", "--group-limit", "4000", "--group-overlap", "1000"

/* Coins the server may send for a group of which it shared `copied`: the others and one sector, in
 * which the questions of one coin are. */
static void cost_is_bounded(scene *s, int64_t newer)
{
    cr_assert_leq(ts_count(&s->server, "coins"), (uint64_t)(newer + SECTOR), "%s%s", s->last.out,
                  s->last.err);
}

static int64_t field(const scene *s, size_t line, const char *name)
{
    const char *text = ts_line(s->last.out, line);
    cr_assert(text, "%s%s", s->last.out, s->last.err);
    return ts_json_int(text, name);
}

/* Group 1 is held, and group 2 has begun. */
static void roll_over(scene *s)
{
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "finalized", 0);
    ts_tell(&s->server, "grow 800");
    ts_tell(&s->server, "reset");
}

SCENARIO(rollover, fetches_what_is_new, CHAIN)
{
    roll_over(s);
    scene_sync(s, "--all", "--prove", SECTOR_200, NULL);
    cr_assert_eq(s->last.exit_code, 0, "%s", s->last.err);
    cr_assert_geq(field(s, 1, "copied"), 1000);
    cr_assert_eq(field(s, 1, "copied") + field(s, 1, "fetched"), field(s, 1, "size"));
    cost_is_bounded(s, 800);
    cr_assert(ts_json_is(ts_line(s->last.out, 1), "gate", "set-hash"), "%s", s->last.out);
    cr_assert(ts_json_is(ts_line(s->last.out, 1), "proof", "found"), "%s", s->last.out);
    scene_group_is_whole(s, "1");
    scene_group_is_whole(s, "2");
    ts_tell(&s->server, "grow 50");
    scene_sync(s, "--group", "2", NULL);
    scene_outcome(s, "finalized", 0);
    scene_group_is_whole(s, "2");
}

/* Group 1 was synced before its last blocks: these are among what group 2 is still missing. */
SCENARIO(rollover, goes_on_from_an_older_state_of_the_group_before, CHAIN)
{
    roll_over(s);
    scene_sync(s, "--group", "2", "--prove", SECTOR_200, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_gt(scene_int(s, "copied"), 0);
    cost_is_bounded(s, scene_int(s, "size") - scene_int(s, "copied"));
    cr_assert(ts_json_is(s->last.out, "proof", "found"), "%s", s->last.out);
    scene_group_is_whole(s, "2");
}

SCENARIO(rollover, an_unproven_group_before_proves_nothing, CHAIN)
{
    scene_sync(s, "--proof-budget", "0", NULL);
    ts_tell(&s->server, "grow 800");
    scene_sync(s, "--all", "--proof-budget", "4000000", NULL);
    cr_assert_eq(s->last.exit_code, 0, "%s", s->last.err);
    cr_assert(ts_json_is(ts_line(s->last.out, 1), "gate", "count"), "%s", s->last.out);
    scene_group_is_whole(s, "2");
    scene_sync(s, "--all", "--prove", NULL);
    cr_assert(ts_json_is(ts_line(s->last.out, 1), "outcome", "up_to_date"), "%s", s->last.out);
    cr_assert(ts_json_is(ts_line(s->last.out, 1), "gate", "set-hash"), "%s", s->last.out);
}

SCENARIO(rollover, a_group_before_that_was_reorganized_is_not_copied, CHAIN)
{
    scene_sync(s, NULL);
    ts_tell(&s->server, "reorg 3");
    ts_tell(&s->server, "grow 800");
    scene_sync(s, "--group", "2", NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "copied"), 0);
    scene_group_is_whole(s, "2");
}

SCENARIO(rollover, without_the_group_before_all_is_downloaded, CHAIN)
{
    ts_tell(&s->server, "grow 800");
    scene_sync(s, "--group", "2", NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "copied"), 0);
    cr_assert(ts_json_is(s->last.out, "proof", "no_start"), "%s", s->last.out);
    scene_group_is_whole(s, "2");
}

/* Killed while the `sector`th sector of group 2 is on its way. */
static void kill_in_group_2(scene *s, int sector)
{
    ts_process sync;
    ts_tell(&s->server, "reset");
    ts_tell(&s->server, "hold %d", sector);
    ts_anonset_start(&sync, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--group",
                     "2", SECTOR_200, "--quiet", NULL);
    ts_wait(&s->server, "held", 1);
    ts_kill(&sync);
    ts_tell(&s->server, "release");
    ts_tell(&s->server, "reset");
}

SCENARIO(rollover, goes_on_when_killed_behind_the_copy, CHAIN)
{
    roll_over(s);
    kill_in_group_2(s, 7);
    scene_sync(s, "--group", "2", SECTOR_200, NULL);
    scene_outcome(s, "finalized", 0);
    /* The overlap, but for the last blocks of group 1, which came after it was synced. */
    cr_assert_geq(scene_int(s, "resumed_from"), 900, "what was copied was lost: %s", s->last.out);
    cost_is_bounded(s, scene_int(s, "fetched"));
    scene_group_is_whole(s, "2");
}

/* A download that began before the group before was held goes on with copying. */
SCENARIO(rollover, copies_the_rest_of_a_download_that_had_begun, CHAIN)
{
    ts_tell(&s->server, "grow 800");
    kill_in_group_2(s, 4);
    scene_sync(s, "--group", "1", NULL);
    ts_tell(&s->server, "reset");
    scene_sync(s, "--group", "2", SECTOR_200, NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_gt(scene_int(s, "resumed_from"), 0);
    cr_assert_gt(scene_int(s, "copied"), 0, "%s", s->last.out);
    cr_assert_geq(scene_int(s, "resumed_from") + scene_int(s, "copied"), 1000);
    cost_is_bounded(s, scene_int(s, "fetched"));
    scene_group_is_whole(s, "2");
}
