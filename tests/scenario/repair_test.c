/* A bit of the store flips: verify names where, repair drops that, and the next sync fetches it. */
#include "config.h"
#include "tests/scenario/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE   4096u
#define SECTOR 20u

/* In the midst of a page in the midst of the file: coins. */
static void flip_a_bit(const scene *s)
{
    size_t len;
    char *bytes = ts_read_file(s->db, &len);
    bytes[len / 2 / PAGE * PAGE + 1000] ^= 4;
    ts_write_file(s->db, bytes, len);
    free(bytes);
}

static void run(scene *s, const char *command, int exit_code)
{
    const char *group = strcmp(command, "export") == 0 ? "--group" : "--json";
    const char *number = strcmp(command, "export") == 0 ? "1" : NULL;
    const char *argv[] = {ts_anonset_path(s->backend), command, "--db", s->db, group, number, NULL};
    ts_process process;
    ts_result_free(&s->last);
    ts_start(&process, argv);
    ts_finish(&process, &s->last, 60000);
    cr_assert_eq(s->last.exit_code, exit_code, "%s: %s", command, s->last.err);
}

/* The same for people. */
static void say(scene *s, const char *command, int exit_code)
{
    ts_result_free(&s->last);
    ts_anonset(&s->last, s->backend, command, "--db", s->db, NULL);
    cr_assert_eq(s->last.exit_code, exit_code, "%s: %s", command, s->last.err);
}

static void said(const scene *s, const char *words)
{
    cr_expect(strstr(s->last.out, words), "%s: \"%s\" is not in: %s", s->backend, words,
              s->last.out);
}

/* Sends what is missing but for its end, and dies. */
static void kill_a_sync(scene *s)
{
    ts_process sync;
    char sector[16];
    (void)snprintf(sector, sizeof sector, "%u", SECTOR);
    ts_tell(&s->server, "hold 2");
    ts_anonset_start(&sync, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--group",
                     "1", "--sector-size", sector, "--quiet", NULL);
    ts_wait(&s->server, "held", 1);
    ts_kill(&sync);
    ts_tell(&s->server, "release");
}

SCENARIO(repair, a_sync_fetches_only_what_was_damaged, "--coins", "3000")
{
    char from[16], to[16];
    scene_sync_is(s, "finalized", 0);
    flip_a_bit(s);
    run(s, "verify", 6);
    cr_assert(ts_json_is(s->last.out, "0.sound", "false"), "%s", s->last.out);
    (void)snprintf(from, sizeof from, "%s", ts_json(s->last.out, "0.damaged_from"));
    (void)snprintf(to, sizeof to, "%s", ts_json(s->last.out, "0.damaged_to"));
    int64_t damaged = ts_json_int(s->last.out, "0.damaged_to") - atol(from);
    cr_assert(damaged > 0 && damaged < 500, "%s", s->last.out);
    cr_expect(strstr(s->last.err, "anonset repair"), "%s", s->last.err);

    run(s, "export", 6);
    cr_expect(strstr(s->last.err, "digest"), "%s", s->last.err);
    run(s, "repair", 0);
    cr_assert_eq(ts_json_int(s->last.out, "groups.0.missing"), damaged, "%s", s->last.out);
    cr_assert(ts_json_is(s->last.out, "rebuilt", "null"), "%s", s->last.out);
    cr_assert_str_eq(scene_status(s, "missing.from"), from);
    cr_assert_str_eq(scene_status(s, "missing.to"), to);
    run(s, "export", 6);
    cr_expect(strstr(s->last.err, "sync"), "%s", s->last.err);
    run(s, "repair", 0); /* nothing is left to do */
    cr_assert_eq(ts_json_int(s->last.out, "groups.0.missing"), damaged);

    uint64_t before = ts_count(&s->server, "coins");
    kill_a_sync(s);
    int64_t fetched = strtoll(scene_status(s, "missing.fetched"), NULL, 10);
    cr_expect(fetched > 0 && fetched < damaged);
    scene_sync_is(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "fetched"), damaged - fetched);
    uint64_t sent = ts_count(&s->server, "coins") - before;
    cr_assert_leq(sent, (uint64_t)damaged + 2 * SECTOR, "%llu coins were sent for %lld",
                  (unsigned long long)sent, (long long)damaged);
    cr_assert_str_eq(scene_status(s, "missing"), "null");
    scene_is_whole(s);
}

SCENARIO(repair, says_what_it_did, "--coins", "3000")
{
    scene_sync_is(s, "finalized", 0);
    say(s, "repair", 0);
    cr_expect_str_eq(s->last.out, "group 1: sound, untouched\n");
    run(s, "repair", 0);
    cr_expect(ts_json_is(s->last.out, "groups.0.damaged_from", "null"), "%s", s->last.out);
    flip_a_bit(s);
    say(s, "repair", 0);
    said(s, "group 1: ");
    said(s, " coins are missing now, positions ");
    said(s, "\nrun `anonset sync` for each group");
    say(s, "status", 0);
    said(s, " are missing: sync it\n");
    ts_tell(&s->server, "fault drop skip=3 times=0");
    scene_sync(s, "--retries", "0", "--sector-size", "50", NULL);
    scene_outcome(s, "network_error", 3);
    cr_expect(strstr(s->last.err, "kept: what a repair left of the set of 3,000 coins"), "%s",
              s->last.err);
    ts_tell(&s->server, "faults clear");
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}

/* Of a download that was cut off: what is sound of it goes on. */
SCENARIO(repair, of_what_is_not_finished, "--coins", "3000")
{
    ts_tell(&s->server, "fault drop skip=40 times=0");
    scene_sync(s, "--retries", "0", "--sector-size", "50", NULL);
    scene_outcome(s, "network_error", 3);
    ts_tell(&s->server, "faults clear");
    flip_a_bit(s);
    say(s, "repair", 0);
    said(s, " coins of an unfinished download were dropped\n");
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}

/* The head of the file rots: nothing can be mended in place, and it does not look like ours. */
SCENARIO(repair, a_file_beyond_that_is_made_anew, "--coins", "500")
{
    size_t len;
    scene_sync_is(s, "finalized", 0);
    char *bytes = ts_read_file(s->db, &len);
    bytes[strcmp(s->backend, "lmdb") == 0 ? PAGE + 60 : 100] ^= 64; /* a meta page; a root */
    ts_write_file(s->db, bytes, len);
    run(s, "verify", 6);
    ts_write_file(ts_in(&s->dir, "other"), bytes, len);
    run(s, "repair", 0);
    cr_assert(ts_json(s->last.out, "rebuilt.kept"), "%s", s->last.out);
    char *kept = ts_read_file(ts_json(s->last.out, "rebuilt.damaged_file"), &len);
    free(kept);
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
    free(bytes);
    s->db = ts_in(&s->dir, "other");
    say(s, "repair", 0);
    said(s, "other was made anew: ");
    said(s, "other.damaged: delete it when you need it no more\n");
}
