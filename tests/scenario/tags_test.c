/* The list of used coin tags, by the program, over a real socket, on both backends. */
#include "config.h"
#include "core/base64.h"
#include "tests/scenario/scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

SCENARIO(tags, recorded_lists, RECORDED("f_40blocks"))
{
    ts_tell(&s->server, "used file %s", FIXTURE("a_nogroup"));
    sync_is(s, "up_to_date", 0);
    told(s, "count", 0);
    ts_tell(&s->server, "used file %s", FIXTURE("f_40blocks"));
    sync_is(s, "finalized", 0);
    told(s, "count", 12);
    scene_used_is_whole(s);
    ts_tell(&s->server, "used file %s", FIXTURE("g_60blocks"));
    sync_is(s, "finalized", 0);
    told(s, "fetched", 13);
    told(s, "resumed_from", 12);
    ts_tell(&s->server, "used file %s", FIXTURE("r4_B"));
    sync_is(s, "finalized", 0);
    told(s, "count", 27);
    scene_used_is_whole(s);
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
    scene_used_is_whole(s);
    ts_tell(&s->server, "used 30005");
    ts_tell(&s->server, "reset");
    sync_is(s, "finalized", 0);
    told(s, "fetched", 5);
    told(s, "resumed_from", 30000);
    told(s, "requests", 2); /* the genesis, and the newest tags again with what is new */
    cr_assert_leq(ts_count(&s->server, "bytes-out"), 20000);
    scene_used_is_whole(s);
    sync_is(s, "up_to_date", 0);
    told(s, "fetched", 0);
    /* Batches that end where the list does. */
    ts_tell(&s->server, "used 46389");
    sync_is(s, "finalized", 0);
    scene_used_is_whole(s);
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
        scene_used_is_whole(s);
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
    scene_used_is_whole(s);
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
    scene_used_is_whole(s);
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
        scene_used_is_whole(s);
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
    scene_used_is_whole(s);
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
    scene_used_is_whole(s);
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
    scene_used_is_whole(s);
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
    scene_used_is_whole(s);
}

/* ---- Damage -------------------------------------------------------------------------------- */

/* Changes a bit of byte `at` in each copy of these n bytes in the store's file. */
static void flip_copies(const scene *s, const uint8_t *what, size_t n, size_t at)
{
    size_t len, flipped = 0;
    char *bytes = ts_read_file(s->db, &len);
    for (char *copy = bytes; (copy = memmem(copy, len - (size_t)(copy - bytes), what, n));) {
        copy[at] ^= 4;
        flipped++;
    }
    cr_assert_gt(flipped, 0);
    ts_write_file(s->db, bytes, len);
    free(bytes);
}

/* Of what `tags --txid` tells at a position: of the transaction, or of the tag. */
static void flip_a_bit(scene *s, const char *position, bool of_tag)
{
    ts_result shown;
    uint8_t pair[66];
    size_t tag_len, tx_len;
    ts_anonset(&shown, s->backend, "tags", "--db", s->db, "--txid", "--from", position, NULL);
    cr_assert(as_base64_decode(pair, &tag_len, shown.out + 2, 48) && tag_len == 34);
    cr_assert(as_base64_decode(pair + 34, &tx_len, shown.out + 53, 44) && tx_len == 32);
    ts_result_free(&shown);
    /* SQLite keeps a length of each column in front of the two, and nothing in between. */
    flip_copies(s, pair, sizeof pair, of_tag ? 3 : 40);
}

static void read_hex(uint8_t hash[32], const char *hex)
{
    for (size_t i = 0; i < 32; i++) {
        unsigned byte;
        cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        hash[i] = (uint8_t)byte;
    }
}

static void run(scene *s, int code, const char *command, const char *option)
{
    ts_result_free(&s->last);
    ts_anonset(&s->last, s->backend, command, "--db", s->db, option, NULL);
    cr_assert_eq(s->last.exit_code, code, "%s: %d %s%s", command, s->last.exit_code, s->last.out,
                 s->last.err);
}

static void said(const scene *s, const char *words)
{
    cr_expect(strstr(s->last.out, words) || strstr(s->last.err, words),
              "%s: \"%s\" is not in: %s%s", s->backend, words, s->last.out, s->last.err);
}

SCENARIO(tags, a_repair_keeps_what_is_sound, "--coins", "10")
{
    ts_tell(&s->server, "used 20000");
    sync_is(s, "finalized", 0);
    run(s, 0, "verify", "--json");
    cr_assert(ts_json_is(s->last.out, "0.used_tags", "20000"), "%s", s->last.out);
    run(s, 0, "repair", NULL);
    said(s, "used coin tags: sound, untouched\n");
    cr_expect(!strstr(s->last.out, "nothing is stored"), "%s", s->last.out);
    flip_a_bit(s, "12345", false);
    run(s, 6, "verify", "--json");
    cr_assert(ts_json_is(s->last.out, "0.sound", "false"), "%s", s->last.out);
    cr_assert(ts_json_is(s->last.out, "0.group", "null"), "%s", s->last.out);
    said(s, "positions 8192 to 16383 do not lead to their digest");
    run(s, 6, "verify", NULL);
    said(s, "used coin tags: DAMAGED");
    said(s, "anonset repair --db");
    run(s, 0, "repair", NULL);
    said(s, "used coin tags: 8,192 kept, the 11,808 behind them were dropped\n");
    said(s, "run `anonset sync --tags`");
    run(s, 0, "verify", NULL);
    sync_is(s, "finalized", 0);
    told(s, "resumed_from", 8192);
    told(s, "fetched", 20000 - 8192);
    scene_used_is_whole(s);
    /* The resumed sync's first batch held 64 tags that were there. */
    flip_a_bit(s, "19999", false);
    run(s, 0, "repair", "--json");
    cr_assert(ts_json_is(s->last.out, "used_tags.kept", "16320"), "%s", s->last.out);
    cr_assert(ts_json_is(s->last.out, "used_tags.dropped", "3680"), "%s", s->last.out);
    cr_assert(ts_json_is(s->last.out, "rebuilt", "null"), "%s", s->last.out);
    sync_is(s, "finalized", 0);
    scene_used_is_whole(s);
}

/* A tag is also in what finds it, which is mended along with it. */
SCENARIO(tags, a_tag_that_rots_costs_no_more, "--coins", "300")
{
    ts_tell(&s->server, "used 20000");
    sync_is(s, "finalized", 0);
    scene_sync_is(s, "finalized", 0);
    flip_a_bit(s, "8200", true);
    run(s, 6, "verify", NULL);
    run(s, 0, "repair", "--json");
    cr_assert(ts_json_is(s->last.out, "used_tags.kept", "8192"), "%s", s->last.out);
    cr_assert(ts_json_is(s->last.out, "rebuilt", "null"), "%s", s->last.out);
    scene_is_whole(s);
    sync_is(s, "finalized", 0);
    told(s, "fetched", 20000 - 8192);
    scene_used_is_whole(s);
    flip_a_bit(s, "8200", true);
    run(s, 0, "clear", "--tags");
    run(s, 0, "verify", NULL);
    sync_is(s, "finalized", 0);
    told(s, "fetched", 20000);
    scene_used_is_whole(s);
}

static void the_rest_is_fetched(scene *s)
{
    scene_sync(s, NULL);
    scene_is_whole(s);
    sync_is(s, "finalized", 0);
    told(s, "fetched", 20000 - 8192);
    scene_used_is_whole(s);
}

/* An older checkpoint rots as well, which no repair mends in place. */
SCENARIO(tags, what_is_sound_goes_into_a_store_that_is_made_anew, "--coins", "300")
{
    uint8_t block[33];
    size_t n;
    ts_tell(&s->server, "used 20000");
    scene_sync_is(s, "finalized", 0);
    cr_assert(as_base64_decode(block, &n, ts_json(s->last.out, "block_hash"), 44) && n == 32);
    ts_tell(&s->server, "grow 20");
    scene_sync_is(s, "finalized", 0);
    sync_is(s, "finalized", 0);
    flip_a_bit(s, "8200", true);
    flip_copies(s, block, n, 5);
    run(s, 0, "repair", NULL);
    said(s, "was made anew: 1 groups kept, 0 lost, 0 coins are missing\n"
            "used coin tags: 8,192 kept, 11,808 are missing\n"
            "run `anonset sync --tags`");
    the_rest_is_fetched(s);
}

/* A group's own record rots: it is lost, and nothing else. */
SCENARIO(tags, a_groups_record_takes_no_tags_along, "--coins", "300")
{
    uint8_t digest[32];
    ts_tell(&s->server, "used 20000");
    sync_is(s, "finalized", 0);
    scene_sync_is(s, "finalized", 0);
    read_hex(digest, ts_json(s->last.out, "digest"));
    flip_a_bit(s, "8200", true);
    flip_copies(s, digest, sizeof digest, 5);
    run(s, 0, "repair", NULL);
    said(s, "was made anew: 0 groups kept, 1 lost, 0 coins are missing\n"
            "used coin tags: 8,192 kept, 11,808 are missing\n");
    the_rest_is_fetched(s);
}

/* The count and digest of the list: without them nobody knows what the rows are. */
SCENARIO(tags, the_lists_record_rots, "--coins", "300")
{
    uint8_t digest[32];
    size_t len, flipped = 0;
    ts_tell(&s->server, "used 1000");
    scene_sync_is(s, "finalized", 0);
    sync_is(s, "finalized", 0);
    read_hex(digest, ts_json(s->last.out, "digest"));
    /* The record is the count, the digest and a checksum; the same digest is beside the last tag.
     */
    static const uint8_t count[4] = {0xe8, 3, 0, 0};
    char *bytes = ts_read_file(s->db, &len);
    for (char *at = bytes; (at = memmem(at, len - (size_t)(at - bytes), digest, sizeof digest));
         at++) {
        if (memcmp(at - sizeof count, count, sizeof count) != 0)
            continue;
        at[9] ^= 16;
        flipped++;
    }
    cr_assert_gt(flipped, 0);
    ts_write_file(s->db, bytes, len);
    free(bytes);
    run(s, 6, "verify", "--json");
    cr_assert(ts_json_is(s->last.out, "1.sound", "false"), "%s", s->last.out);
    said(s, "the record of the list of used tags is damaged");
    run(s, 6, "tags", NULL);
    char *copy = ts_read_file(s->db, &len);
    run(s, 0, "repair", NULL);
    said(s, "was made anew: 1 groups kept, 0 lost, 0 coins are missing\n"
            "used coin tags: the list could not be read, and is gone\n");
    ts_write_file(s->db, copy, len);
    free(copy);
    run(s, 0, "repair", "--json");
    cr_assert(ts_json_is(s->last.out, "rebuilt.used_tags_missing", "null"), "%s", s->last.out);
    scene_is_whole(s);
    sync_is(s, "finalized", 0);
    told(s, "fetched", 1000);
    scene_used_is_whole(s);
}

/* ---- Served, and converted ----------------------------------------------------------------- */

static void phone_is(scene *s, const char *url, const char *outcome, int code)
{
    const char *desktop = s->db;
    s->db = ts_in(&s->dir, "phone");
    sync_at(s, url, NULL, NULL);
    cr_assert(ts_json_is(s->last.out, "outcome", outcome), "%s%s", s->last.out, s->last.err);
    cr_assert_eq(s->last.exit_code, code, "%s", s->last.err);
    s->db = desktop;
}

/* Against the node's own list, and by its digest against the desktop's. */
static void phone_is_whole(scene *s)
{
    const char *desktop = s->db;
    char digest[80];
    run(s, 0, "status", "--tags");
    ts_result_free(&s->last);
    ts_anonset(&s->last, s->backend, "status", "--db", s->db, "--tags", "--json", NULL);
    (void)snprintf(digest, sizeof digest, "%s", ts_json(s->last.out, "digest"));
    s->db = ts_in(&s->dir, "phone");
    ts_result_free(&s->last);
    ts_anonset(&s->last, s->backend, "status", "--db", s->db, "--tags", "--json", NULL);
    cr_assert(ts_json_is(s->last.out, "digest", digest), "%s", s->last.out);
    scene_used_is_whole(s);
    s->db = desktop;
}

SCENARIO(tags, from_a_desktop_that_serves, "--coins", "10")
{
    ts_process desktop;
    ts_result ended;
    char url[64] = "";
    ts_tell(&s->server, "used 0");
    scene_sync_is(s, "finalized", 0);
    ts_anonset_start(&desktop, s->backend, "serve", "--db", s->db, "--listen", "127.0.0.1:0",
                     "--gate", "set-hash", NULL);
    for (ssize_t got = 0; !strchr(url, '\n');) {
        cr_assert(!ts_ended(&desktop, 5), "serve ended");
        got = pread(desktop.out, url, sizeof url - 1, 0);
        cr_assert_geq(got, 0);
    }
    url[strcspn(url, "\n")] = '\0';
    phone_is(s, url, "network_error", 3);
    said(s, "There is no list of used coin tags here");
    static const char *const lists[] = {"used 30000", "used 30100", "used 30120 30090",
                                        "used 46389 30000"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        ts_tell(&s->server, "%s", lists[i]);
        sync_is(s, "finalized", 0);
        phone_is(s, url, "finalized", 0);
        phone_is_whole(s);
        phone_is(s, url, "up_to_date", 0);
    }
    run(s, 0, "clear", "--tags");
    ts_tell(&s->server, "used 20 10");
    sync_is(s, "finalized", 0);
    phone_is(s, url, "remote_behind", 5);
    ts_signal(&desktop, SIGTERM);
    ts_finish(&desktop, &ended, 30000);
    cr_expect_eq(ended.exit_code, 0, "%s", ended.err);
    ts_result_free(&ended);
}

SCENARIO(tags, converted_with_all_else, "--coins", "300")
{
    const char *other = strcmp(s->backend, "lmdb") == 0 ? "sqlite" : "lmdb";
    const char *made = ts_in(&s->dir, "made"), *old = s->backend;
    ts_process convert;
    ts_tell(&s->server, "used 9000");
    scene_sync_is(s, "finalized", 0);
    sync_is(s, "finalized", 0);
    for (int json = 0; json < 2; json++) {
        const char *argv[] = {CONVERT, s->db, made, "--to", other, json ? "--json" : NULL, NULL};
        ts_result_free(&s->last);
        ts_start(&convert, argv);
        ts_finish(&convert, &s->last, 60000);
        cr_assert_eq(s->last.exit_code, 0, "%s", s->last.err);
        if (json)
            cr_assert(ts_json_is(s->last.out, "used_tags.count", "9000"), "%s", s->last.out);
        else
            said(s, "used coin tags: 9,000 (gate level none)\n  digest ");
        s->db = made;
        s->backend = other;
        scene_used_is_whole(s);
        scene_is_whole(s);
        sync_is(s, "up_to_date", 0);
        other = old;
        made = ts_in(&s->dir, "again");
    }
}
