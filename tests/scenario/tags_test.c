/* The list of used coin tags, by the program, over a real socket, on both backends. */
#include "tests/scenario/scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE(name) ts_source("tests/fixtures/" name "/getusedcoinstagstxhashes_0.json")

static void sync_at(scene *s, const char *url, const char *option, const char *value)
{
    ts_result_free(&s->last);
    ts_anonset(&s->last, s->backend, "sync", "--db", s->db, "--server", url, "--tags", "--json",
               "--retries", "2", option, value, NULL);
}

/* The last sync ended so; both protocols take turns. */
static void sync_is(scene *s, const char *outcome, int code)
{
    static unsigned turn;
    sync_at(s, turn++ % 2 ? s->server.http : s->server.tcp, NULL, NULL);
    cr_expect_eq(s->last.exit_code, code, "exit code %d: %s%s", s->last.exit_code, s->last.out,
                 s->last.err);
    cr_assert(ts_json_is(s->last.out, "outcome", outcome), "%s%s", s->last.out, s->last.err);
    cr_assert(ts_json_is(s->last.out, "list", "tags") && ts_json_is(s->last.out, "gate", "none"));
}

static void told(const scene *s, const char *field, int64_t number)
{
    cr_assert_eq(ts_json_int(s->last.out, field), number, "%s is not %lld: %s", field,
                 (long long)number, s->last.out);
}

/* `anonset tags --txid` shows the server's list, byte for byte, and verify finds it sound. */
static void list_is_the_servers(scene *s)
{
    const char *path = ts_in(&s->dir, "dump");
    size_t len;
    ts_tell(&s->server, "used dump %s", path);
    char *expected = ts_read_file(path, &len);
    ts_result shown;
    ts_anonset(&shown, s->backend, "tags", "--db", s->db, "--txid", NULL);
    cr_assert_eq(shown.exit_code, 0, "%s", shown.err);
    cr_assert_str_eq(shown.out, expected);
    ts_result_free(&shown);
    free(expected);
    scene_verify(s);
}

SCENARIO(tags, recorded_lists, RECORDED("f_40blocks"))
{
    ts_tell(&s->server, "used file %s", FIXTURE("a_nogroup"));
    sync_is(s, "up_to_date", 0);
    told(s, "count", 0);
    ts_tell(&s->server, "used file %s", FIXTURE("f_40blocks"));
    sync_is(s, "finalized", 0);
    told(s, "count", 12);
    list_is_the_servers(s);
    ts_tell(&s->server, "used file %s", FIXTURE("g_60blocks"));
    sync_is(s, "finalized", 0);
    told(s, "fetched", 13);
    told(s, "resumed_from", 12);
    ts_tell(&s->server, "used file %s", FIXTURE("r4_B"));
    sync_is(s, "finalized", 0);
    told(s, "count", 27);
    list_is_the_servers(s);
    ts_tell(&s->server, "used file %s", FIXTURE("r2_shrunk"));
    sync_is(s, "remote_behind", 5);
    told(s, "count", 27);
}

SCENARIO(tags, a_long_list_and_a_small_delta, "--coins", "10")
{
    ts_tell(&s->server, "used 30000");
    sync_is(s, "finalized", 0);
    told(s, "count", 30000);
    told(s, "fetched", 30000);
    list_is_the_servers(s);
    ts_tell(&s->server, "used 30005");
    ts_tell(&s->server, "reset");
    sync_is(s, "finalized", 0);
    told(s, "fetched", 5);
    told(s, "resumed_from", 30000);
    told(s, "requests", 2); /* the genesis, and the newest tags again with what is new */
    cr_assert_leq(ts_count(&s->server, "bytes-out"), 20000);
    list_is_the_servers(s);
    sync_is(s, "up_to_date", 0);
    told(s, "fetched", 0);
    /* Batches that end where the list does. */
    ts_tell(&s->server, "used 46389");
    sync_is(s, "finalized", 0);
    list_is_the_servers(s);
}

SCENARIO(tags, reorganizations, "--coins", "10")
{
    static const struct {
        unsigned keep, count;
    } rows[] = {{5000, 5001}, {4990, 5005}, {4700, 5010}, {1500, 5020}, {925, 5020}};
    unsigned before = 5001;
    ts_tell(&s->server, "used 5001");
    sync_is(s, "finalized", 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ts_tell(&s->server, "used %u %u", rows[i].count, rows[i].keep);
        sync_is(s, "finalized", 0);
        told(s, "replaced", before - rows[i].keep);
        told(s, "fetched", rows[i].count - rows[i].keep);
        list_is_the_servers(s);
        before = rows[i].count;
    }
}

SCENARIO(tags, a_reorganization_too_deep_to_be_one_is_kept_out, "--coins", "10")
{
    ts_tell(&s->server, "used 9000");
    sync_is(s, "finalized", 0);
    char *digest = strdup(ts_json(s->last.out, "digest"));
    ts_tell(&s->server, "used 30000 4000");
    sync_is(s, "reorg_detected", 5);
    cr_assert(ts_json_is(s->last.out, "digest", digest));
    free(digest);
    ts_result cleared;
    ts_anonset(&cleared, s->backend, "clear", "--db", s->db, "--tags", NULL);
    cr_assert_eq(cleared.exit_code, 0, "%s", cleared.err);
    ts_result_free(&cleared);
    sync_is(s, "finalized", 0);
    list_is_the_servers(s);
}

SCENARIO(tags, a_server_with_fewer_is_behind_whatever_it_has, "--coins", "10")
{
    ts_tell(&s->server, "used 1000");
    sync_is(s, "finalized", 0);
    ts_tell(&s->server, "used 999");
    sync_is(s, "remote_behind", 5);
    ts_tell(&s->server, "used 100");
    sync_is(s, "remote_behind", 5);
    ts_tell(&s->server, "used 999 995");
    sync_is(s, "remote_behind", 5);
    told(s, "count", 1000);
    ts_tell(&s->server, "used 1000");
    sync_is(s, "finalized", 0);
    told(s, "replaced", 5);
    list_is_the_servers(s);
}

SCENARIO(tags, on_reorg_keep_changes_nothing, "--coins", "10")
{
    ts_tell(&s->server, "used 100");
    sync_is(s, "finalized", 0);
    ts_tell(&s->server, "used 110 95");
    sync_at(s, s->server.tcp, "--on-reorg", "keep");
    cr_assert_eq(s->last.exit_code, 5, "%s", s->last.err);
    cr_assert(ts_json_is(s->last.out, "outcome", "reorg_detected"));
    told(s, "count", 100);
}

SCENARIO(tags, what_came_before_a_cut_is_kept, "--coins", "10")
{
    ts_tell(&s->server, "used 60000");
    for (int i = 0; i < 2; i++) {
        ts_tell(&s->server, "reset");
        ts_tell(&s->server, "fault cut on=used");
        sync_at(s, i ? s->server.http : s->server.tcp, NULL, NULL);
        cr_assert(ts_json_is(s->last.out, "outcome", "finalized"), "%s", s->last.err);
        told(s, "fetched", 60000);
        /* Half of the answer, and then not the whole again. */
        cr_assert_lt(ts_count(&s->server, "bytes-out"), 8500000);
        cr_assert_eq(ts_count(&s->server, "used"), 2);
        list_is_the_servers(s);
        ts_result_free(&s->last);
        ts_anonset(&s->last, s->backend, "clear", "--db", s->db, NULL);
    }
}

SCENARIO(tags, a_list_too_long_for_the_server, "--coins", "10")
{
    ts_tell(&s->server, "used 10000");
    ts_tell(&s->server, "max-send 350000");
    sync_at(s, s->server.tcp, NULL, NULL);
    cr_assert_eq(s->last.exit_code, 3);
    cr_assert(ts_json_is(s->last.out, "outcome", "network_error"));
    cr_assert(strstr(s->last.err, "longer than what this server sends"), "%s", s->last.err);
    sync_at(s, s->server.http, NULL, NULL);
    cr_assert(ts_json_is(s->last.out, "outcome", "finalized"), "%s", s->last.err);
}

/* Nothing of a bad answer but whole batches ahead of what is wrong is stored, and the list of
 * before is as it was. */
SCENARIO(tags, bad_answers, "--coins", "10")
{
    static const char *const kinds[] = {"base64",  "padding",  "fields", "broken",
                                        "garbage", "wrong-id", "deep",   "no-json",
                                        "error",   "drop",     "cut",    "huge"};
    ts_tell(&s->server, "used 500");
    sync_is(s, "finalized", 0);
    ts_tell(&s->server, "used 700");
    for (size_t i = 0; i < 2 * (sizeof kinds / sizeof *kinds); i++) {
        const char *kind = kinds[i / 2];
        ts_tell(&s->server, "faults clear");
        ts_tell(&s->server, "fault %s on=used times=0", kind);
        sync_at(s, i % 2 ? s->server.http : s->server.tcp, NULL, NULL);
        cr_expect_eq(s->last.exit_code, 3, "%s: %s%s", kind, s->last.out, s->last.err);
        cr_expect_eq(ts_json_int(s->last.out, "count"), 500, "%s: %s", kind, s->last.out);
    }
    ts_tell(&s->server, "faults clear");
    sync_is(s, "finalized", 0);
    list_is_the_servers(s);
}

SCENARIO(tags, with_groups_and_alone, "--coins", "300")
{
    ts_tell(&s->server, "used 20");
    ts_result_free(&s->last);
    ts_anonset(&s->last, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--all",
               "--tags", "--json", NULL);
    cr_assert_eq(s->last.exit_code, 0, "%s", s->last.err);
    cr_assert(ts_json_is(s->last.out, "group", "1"));
    const char *second = ts_line(s->last.out, 1);
    cr_assert(second && ts_json_is(second, "list", "tags") && ts_json_is(second, "count", "20"));
    list_is_the_servers(s);
    scene_is_whole(s);
    ts_result shown;
    ts_anonset(&shown, s->backend, "sync", "--db", s->db, "--server", s->server.http, "--group",
               "1", "--tags", NULL);
    cr_assert_eq(shown.exit_code, 0);
    cr_assert(strstr(shown.out, "used coin tags: already up to date, 20 tags"), "%s", shown.out);
    ts_result_free(&shown);
    ts_tell(&s->server, "used 30 15");
    ts_anonset(&shown, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--tags",
               NULL);
    cr_assert(strstr(shown.out, "newest 5 were replaced") && strstr(shown.out, "fetched 15"), "%s",
              shown.out);
    ts_result_free(&shown);
    ts_anonset(&shown, s->backend, "status", "--db", s->db, NULL);
    cr_assert(strstr(shown.out, "used coin tags: 30 (gate level none"), "%s", shown.out);
    ts_result_free(&shown);
    ts_anonset(&shown, s->backend, "status", "--db", s->db, "--tags", "--json", NULL);
    cr_assert(ts_json_is(shown.out, "count", "30") && ts_json_is(shown.out, "gate", "none"));
    ts_result_free(&shown);
    ts_anonset(&shown, s->backend, "clear", "--db", s->db, "--group", "1", NULL);
    ts_result_free(&shown);
    list_is_the_servers(s);
}

SCENARIO(tags, another_network, "--coins", "10")
{
    ts_tell(&s->server, "used 20");
    sync_is(s, "finalized", 0);
    ts_tell(&s->server, "genesis "
                        "00000000000000000000000000000000000000000000000000000000000000aa");
    ts_tell(&s->server, "used 25");
    sync_is(s, "wrong_network", 4);
    told(s, "count", 20);
}

static void runs(scene *s, int code, const char *out, const char *command, const char *a,
                 const char *b)
{
    ts_result shown;
    ts_anonset(&shown, s->backend, command, "--db", s->db, a, b, NULL);
    cr_expect_eq(shown.exit_code, code, "%s %s: %d %s", command, a ? a : "", shown.exit_code,
                 shown.err);
    cr_expect(strstr(shown.out, out) || strstr(shown.err, out), "%s: %s%s", command, shown.out,
              shown.err);
    ts_result_free(&shown);
}

SCENARIO(tags, looking_a_tag_up, RECORDED("f_40blocks"))
{
    static const char first[] = "iu6TSODWp2qLiWRy4xiXCMx/wDVdJNIqU5TKQu1ToHIAAA==";
    static const char later[] = "Q/y84y0hqfT5xnVIr/i3WY1c5ddw077F/rnUayW9SB0BAA==";
    ts_tell(&s->server, "used file %s", FIXTURE("a_nogroup"));
    sync_is(s, "up_to_date", 0);
    runs(s, 5, "no list of used coin tags is stored", "check", first, NULL);
    ts_tell(&s->server, "used file %s", FIXTURE("f_40blocks"));
    sync_is(s, "finalized", 0);
    runs(s, 0, "4c72d8b873853db3bc9bc84ccc77a9a1a6fad6d8a6ac51309ceb5422fd3d5143\n", "check", first,
         NULL);
    runs(s, 0, "\"used\":true,\"tx_hash\":\"Q1E9/SJU65wwUaym2Nb6pqGpd8xMyJu8sz2Fc7jYckw=\"",
         "check", first, "--json");
    runs(s, 5, "nothing proves this list", "check", later, NULL);
    runs(s, 5, "\"used\":false,\"tx_hash\":null,\"txid\":null,\"position\":null", "check", "--json",
         later);
    runs(s, 2, "is no tag", "check", "iu6TSODWp2qLiWRy4xiXCMx/wDVdJNIqU5TKQu1ToHI=", NULL);
    runs(s, 2, "is missing", "check", NULL, NULL);
    runs(s, 2, "one word too many", "check", first, later);
    runs(s, 2, "wants a position", "tags", "--from", "-1");
    runs(s, 2, "exclude", "status", "--tags", "--group=1");
    runs(s, 2, "exclude", "clear", "--tags", "--group=1");
    ts_result shown;
    ts_anonset(&shown, s->backend, "tags", "--db", s->db, "--from", "11", NULL);
    cr_assert_str_eq(shown.out, "aMa2A7pHtqSj4Me9foE6sxhbapB7Z8+RhWvGSkJEhCQBAA==\n");
    ts_result_free(&shown);
    ts_anonset(&shown, s->backend, "tags", "--db", s->db, "--from", "12", NULL);
    cr_assert_str_eq(shown.out, "");
    ts_result_free(&shown);
}

/* Killed after the first commits, by a second process that looks; the next sync goes on. */
SCENARIO(tags, a_killed_sync_goes_on, "--coins", "10")
{
    ts_process sync;
    int64_t held = 0;
    ts_tell(&s->server, "used 60000");
    ts_tell(&s->server, "shape rate=4000000");
    ts_anonset_start(&sync, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--tags",
                     "--quiet", NULL);
    ts_wait(&s->server, "bytes-out", 2000000);
    ts_kill(&sync);
    ts_tell(&s->server, "shape rate=0");
    ts_result shown;
    ts_anonset(&shown, s->backend, "status", "--db", s->db, "--tags", "--json", NULL);
    held = ts_json_int(shown.out, "count");
    ts_result_free(&shown);
    sync_is(s, "finalized", 0);
    told(s, "fetched", 60000 - held);
    list_is_the_servers(s);
}
