/* A server that lies about coins or heights, to a sync that proves: no false set gets visible. */
#include "tests/scenario/scene.h"

#include <stdio.h>
#include <string.h>

/* ---- One bit ------------------------------------------------------------------------------ */

#define COIN_BITS  (8u * 244u)
#define FIRST_ENDS 3u /* the first block, which no set hash covers */

/* Syncs from a server that tells one coin otherwise, in every answer. */
static void sync_lied_to(scene *s, const char *prove, const char *kind, uint32_t position,
                         uint32_t bit)
{
    ts_tell(&s->server, "fault %s arg=%u bit=%u times=0", kind, position, bit);
    scene_sync(s, prove, NULL);
    cr_log_info("%s of coin %u, bit %u: %s", kind, position, bit, s->last.out);
    ts_tell(&s->server, "faults clear");
}

static void refuses_a_bit(scene *s, const char *prove, uint32_t position)
{
    sync_lied_to(s, prove, "bit-serialized", position, position * 761 % COIN_BITS);
    scene_outcome(s, "gate_refused", 4);
    cr_assert(strstr(s->last.out, "set hash"), "%s", s->last.out);
}

/* The default budget exhausts what few cuts are open. */
SCENARIO(proof_lies, one_bit_of_any_coin_above_the_first_block_is_refused, RECORDED("e_20blocks"))
{
    for (uint32_t at = FIRST_ENDS; at < 105; at++)
        refuses_a_bit(s, NULL, at);
    cr_assert_str_eq(scene_status(s, "finalized"), "null");
    cr_assert_str_eq(scene_status(s, "pending"), "null");
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}

/* Mints and spends, where only heights exhaust the search. */
SCENARIO(proof_lies, one_bit_of_a_larger_set_is_refused, RECORDED("g_60blocks"))
{
    for (uint32_t at = FIRST_ENDS; at < 418; at += 23)
        refuses_a_bit(s, "--prove", at);
    cr_assert_str_eq(scene_status(s, "finalized"), "null");
    scene_sync(s, "--prove", NULL);
    scene_level(s, "set-hash", "found");
    scene_is_whole(s);
}

SCENARIO(proof_lies, one_bit_of_a_new_coin_leaves_the_finalized_set, RECORDED("d_3blocks"),
         RECORDED("e_20blocks"))
{
    char before[65];
    scene_sync_is(s, "finalized", 0);
    (void)snprintf(before, sizeof before, "%s", scene_digest(s));
    ts_tell(&s->server, "next");
    for (uint32_t at = 9; at < 105; at += 5) {
        refuses_a_bit(s, NULL, at);
        cr_assert_str_eq(scene_digest(s), before);
        cr_assert_str_eq(scene_status(s, "finalized.size"), "9");
        cr_assert_str_eq(scene_status(s, "finalized.gate"), "set-hash");
    }
    scene_sync_is(s, "finalized", 0);
    scene_level(s, "set-hash", "found");
    scene_is_whole(s);
}

SCENARIO(proof_lies, one_bit_of_a_tx_hash_or_context_contradicts_the_coin, RECORDED("e_20blocks"))
{
    for (uint32_t at = 0; at < 105; at += 4) {
        const struct {
            const char *kind;
            uint32_t bit;
        } lies[] = {{"bit-tx", at * 7 % 256},
                    {"bit-context", at * 13},
                    {"bit-serialized", COIN_BITS + at * 5 % 256}, /* the tx hash repeated there */
                    {"bit-serialized", COIN_BITS + 8 * 33 + at}}; /* the context */
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
            sync_lied_to(s, NULL, lies[i].kind, at, lies[i].bit);
            scene_outcome(s, "bad_sector", 4);
            cr_assert(strstr(s->last.out, "contradicts"), "%s", s->last.out);
        }
    }
    cr_assert_str_eq(scene_status(s, "finalized"), "null");
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}

/* Tx hashes and the first block are in no set hash. The digest has them: who knows it, is safe. */
SCENARIO(proof_lies, what_no_set_hash_covers_is_refused_by_a_checkpoint, RECORDED("e_20blocks"))
{
    static const struct {
        const char *kind;
        uint32_t at;
    } lies[] = {{"bit-serialized", 1}, {"bit-txid", 0}, {"bit-txid", 50}, {"bit-txid", 104}};
    char trusted[96];
    scene_sync_is(s, "finalized", 0);
    (void)snprintf(trusted, sizeof trusted, "1:105:%s", scene_digest(s));
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        scene_clear(s);
        sync_lied_to(s, "--prove", lies[i].kind, lies[i].at, 255);
        scene_level(s, "set-hash", "found");
        cr_assert_neq(strcmp(scene_digest(s), trusted + 6), 0, "%s did not strike", lies[i].kind);
        scene_clear(s);
        ts_tell(&s->server, "fault %s arg=%u bit=255 times=0", lies[i].kind, lies[i].at);
        scene_sync(s, "--prove", "--checkpoint", trusted, NULL);
        scene_outcome(s, "gate_refused", 4);
        ts_tell(&s->server, "faults clear");
        cr_assert_str_eq(scene_status(s, "finalized"), "null");
    }
}

/* ---- Heights ------------------------------------------------------------------------------ */

/* The visible set is none, or the server's true one. */
static void expect_nothing_false(scene *s, const char *digest, const char *lie)
{
    bool visible = strcmp(scene_status(s, "finalized"), "null") != 0;
    if (visible)
        cr_assert_str_eq(scene_digest(s), digest, "%s: a false set", lie);
}

/*
 * A wrong height either decides a cut as it is, or not at all, or wrongly; then no way leads to the
 * set hash.
 */
SCENARIO(proof_lies, a_lying_height_is_refused_or_proven_after_all, "--coins", "1200")
{
    char digest[65];
    unsigned refused = 0, proven = 0;
    scene_sync_is(s, "finalized", 0);
    (void)snprintf(digest, sizeof digest, "%s", scene_digest(s));
    for (unsigned i = 0; i < 16; i++) {
        char lie[64];
        (void)snprintf(lie, sizeof lie, "height skip=%u arg=%d", 2 * i, i % 3 == 0 ? 1 : 500);
        scene_clear(s);
        ts_tell(&s->server, "fault %s", lie);
        scene_sync(s, "--prove", NULL);
        ts_tell(&s->server, "faults clear");
        refused += s->last.exit_code == 4;
        proven += ts_json_is(s->last.out, "gate", "set-hash");
        if (s->last.exit_code == 4)
            scene_outcome(s, "gate_refused", 4);
        else
            scene_outcome(s, "finalized", 0);
        expect_nothing_false(s, digest, lie);
    }
    cr_assert(refused > 0 && proven > 0, "%u refused, %u proven", refused, proven);
}

SCENARIO(proof_lies, a_lying_height_leaves_the_set_that_is_up_to_date, "--coins", "1200")
{
    char digest[65];
    scene_sync_is(s, "finalized", 0);
    (void)snprintf(digest, sizeof digest, "%s", scene_digest(s));
    ts_tell(&s->server, "fault height arg=500 skip=3");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "gate_refused", 4);
    ts_tell(&s->server, "faults clear");
    cr_assert_str_eq(scene_digest(s), digest);
    cr_assert_str_eq(scene_status(s, "finalized.gate"), "count");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "up_to_date", 0);
    scene_level(s, "set-hash", "found");
    scene_is_whole(s);
}

/* What the budget proves needs no height, and cannot be led astray by one. */
SCENARIO(proof_lies, no_height_is_looked_at_where_the_budget_suffices, "--coins", "100")
{
    ts_tell(&s->server, "fault height arg=500 times=0 p=0.5");
    scene_sync(s, "--prove", NULL);
    scene_outcome(s, "finalized", 0);
    scene_level(s, "set-hash", "found");
    cr_assert_eq(ts_count(&s->server, "heights"), 0);
    scene_is_whole(s);
}

/* False coins and false heights together: never at level set-hash, whatever the heights say. */
SCENARIO(proof_lies, false_coins_stay_unproven_whatever_the_heights, RECORDED("g_60blocks"))
{
    for (unsigned i = 0; i < 12; i++) {
        ts_tell(&s->server, "fault height arg=%u times=0 p=0.5 seed=%u", 1 + 7 * i, i);
        ts_tell(&s->server, "fault bit-serialized arg=%u bit=%u times=0", 20 + 30 * i, 99 * i);
        scene_sync(s, "--prove", NULL);
        ts_tell(&s->server, "faults clear");
        cr_assert(ts_json_is(s->last.out, "gate", "null") ||
                      ts_json_is(s->last.out, "gate", "count"),
                  "%u: %s", i, s->last.out);
        scene_clear(s);
    }
    scene_sync(s, "--prove", NULL);
    scene_level(s, "set-hash", "found");
    scene_is_whole(s);
}
