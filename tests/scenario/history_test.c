/*
 * Random histories: chains that grow, are reorganized to any depth, mined again, cut into other
 * blocks, shrunk; syncs against one of two such servers, killed at requests and at writes, with the
 * chain changing under them and wrong answers. After every sync the finalized set is exactly one
 * that a server once had, whole, with its own meta; and a sync that nothing disturbed ends exactly
 * as the two chains say it must.
 *
 * ANONSET_SEED=n runs from another seed, ANONSET_HISTORIES=n another number of histories, of which
 * one in 25 runs on every backend; a failure names the seed of its history.
 */
#include "backends/backends.h"
#include "config.h"
#include "tests/scenario/history.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of what every sync of a history came to: the same on every backend. */
static uint64_t traced;

/* ---- Lies ------------------------------------------------------------------------------------ */

/* A bit of a coin, or two coins in each other's place. The first block is in no set hash, and a
 * set of one block has none. */
static bool tell_smooth_lie(struct history *h)
{
    anonset_answer *answer = &h->reply.answer;
    const tw_chain *chain = h->server[h->which];
    if (!chain || chain->n < 2 || answer->kind != ANONSET_ANSWER_COINS || answer->n == 0)
        return false;
    uint32_t i = tw_between(h->rng, 0, answer->n - 1);
    bool swap = i > 0 && tw_chance(h->rng, .3);
    if (tw_in_first_block(chain, &answer->coins[i]))
        return false;
    if (swap) {
        anonset_coin coin = answer->coins[i];
        answer->coins[i] = answer->coins[i - 1];
        answer->coins[i - 1] = coin;
    } else {
        h->reply.bytes[i][tw_chance(h->rng, .5) ? 4 : 243] ^= 1;
    }
    return true;
}

static bool tell_lie(struct history *h)
{
    tw_rng *rng = h->rng;
    anonset_answer *answer = &h->reply.answer;
    if (answer->kind == ANONSET_ANSWER_NUMBER) {
        answer->number = tw_between(rng, 0, 2 * TW_FIRST_HEIGHT);
        return true;
    }
    if (h->trouble.flip && tw_chance(rng, .5))
        return tell_smooth_lie(h);
    if (tw_chance(rng, .2)) {
        answer->kind = tw_chance(rng, .5) ? ANONSET_ANSWER_ERROR : ANONSET_ANSWER_TOO_LARGE;
        return true;
    }
    if (answer->kind != ANONSET_ANSWER_COINS || answer->n == 0)
        return true;
    if (tw_chance(rng, .33)) {
        answer->n--;
    } else if (tw_chance(rng, .5)) {
        answer->coins[answer->n] = answer->coins[answer->n - 1];
        answer->n++;
    } else if (answer->n > 1) {
        answer->coins[0] = answer->coins[1];
    }
    return true;
}

/*
 * A group of one block answers any pin. If a longer group shrinks to one block within a sync, a
 * sector of that block's coins may be stored, the sync killed before the next made-up hash shows
 * it, and the chain come back before the resume: two reorgs of a whole group within one sync. Only
 * a set hash can tell.
 */
static bool is_known_residue(const struct history *h, const tw_chain *old, const tw_chain *new)
{
    return h->budget == 0 && old && old->n > 1 && new->n == 1;
}

static const tw_chain *change_chain(struct history *h, const tw_chain *old)
{
    const tw_chain *next = tw_mutate(h->world, old);
    return is_known_residue(h, old, next) ? NULL : next;
}

/* How often the searches came to something: a test whose sets are all beyond them shows nothing. */
static unsigned long finalized_sets, proven_sets;

/* ---- What must hold -------------------------------------------------------------------------- */

static bool has_pin(const tw_chain *chain, const uint8_t *block_hash)
{
    for (uint32_t b = 1; b < chain->n; b++)
        if (memcmp(chain->pin[b], block_hash, ANONSET_HASH_BYTES) == 0)
            return true;
    return false;
}

static void check_level(struct history *h)
{
    bool proven = h->now.gate == ANONSET_GATE_SET_HASH;
    HISTORY_HOLDS(h, !proven || (h->budget > 0 && h->now.finalized.has_set_hash), "false proof");
    if (h->killed || h->result.outcome != ANONSET_FINALIZED)
        return;
    HISTORY_HOLDS(h, proven == (h->result.proof == ANONSET_PROOF_FOUND), "level and proof differ");
    HISTORY_HOLDS(h,
                  proven || h->result.proof != ANONSET_PROOF_NONE || h->budget == 0 ||
                      !h->now.finalized.has_set_hash,
                  "a set hash was not looked at");
    HISTORY_HOLDS(h, h->before.has_finalized || h->result.proof != ANONSET_PROOF_CONSISTENT,
                  "there is no doubtful start from scratch");
    finalized_sets++;
    proven_sets += proven;
}

static void check(struct history *h)
{
    if (!h->now.has_finalized)
        return;
    const tw_chain *held = tw_find(h->world, &h->now.finalized);
    HISTORY_HOLDS(h, held, "no server ever told this meta");
    HISTORY_HOLDS(h, memcmp(h->now.digest, held->digest, ANONSET_HASH_BYTES) == 0,
                  "coins of two sets are mixed");
    history_is_sound(h);
    check_level(h);
}

static void check_quiet(struct history *h)
{
    const tw_chain *chain = h->server[h->which];
    const tw_chain *held = h->before.has_finalized ? tw_find(h->world, &h->before.finalized) : NULL;
    anonset_outcome must = history_expected(h, held, chain);
    /* A repeated coin of an earlier lie may be among the pending ones; now they are dropped. */
    if (h->lied && h->before.has_pending && h->result.outcome == ANONSET_GATE_REFUSED)
        return;
    HISTORY_HOLDS(h, h->result.outcome == must, "ended %s, not %s: %s",
                  anonset_outcome_name(h->result.outcome), anonset_outcome_name(must),
                  h->result.error.text);
    if (must == ANONSET_FINALIZED && !h->before.has_pending && held &&
        has_pin(chain, held->meta.block_hash))
        /* One for the overlap, one for each time a pin is asked: before, behind, and behind again
         * where the answer overtook the last sector. */
        HISTORY_HOLDS(h, h->coins_sent <= chain->meta.size - held->meta.size + 1 + 3,
                      "%u coins were sent for growth by %u", h->coins_sent,
                      chain->meta.size - held->meta.size);
}

static void mix(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++)
        traced = (traced ^ at[i]) * 1099511628211u; /* FNV-1a */
}

static void note(const struct history *h)
{
    const anonset_state *now = &h->now;
    uint32_t seen[] = {h->killed ? ANONSET_OUTCOME_COUNT : h->result.outcome,
                       h->result.proof,
                       h->result.fetched,
                       now->finalized.size,
                       now->gate,
                       now->base,
                       now->count};
    mix(seen, sizeof seen);
    mix(now->digest, sizeof now->digest);
    mix(now->pending_digest, sizeof now->pending_digest);
}

static void sync_and_check(struct history *h, struct trouble trouble)
{
    uint32_t which = tw_chance(h->rng, .7) ? 0 : 1;
    history_sync(h, which, tw_between(h->rng, 1, 6), trouble);
    note(h);
    check(h);
    if (!h->disturbed)
        check_quiet(h);
}

static void begin(struct history *h, const anonset_backend *backend, uint64_t seed, uint32_t budget,
                  bool prove)
{
    static tw_world world;
    *h = (struct history){.backend = backend,
                          .budget = budget,
                          .prove = prove,
                          .world = &world,
                          .rng = &world.rng,
                          .move = change_chain,
                          .lie = tell_lie};
    traced = 0;
    (void)snprintf(h->name, sizeof h->name, "seed %llu", (unsigned long long)seed);
    (void)snprintf(h->path, sizeof h->path, "%s/anonset-history-%ld-%llu",
                   getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid(),
                   (unsigned long long)seed);
    history_open(h);
    tw_world_init(&world, seed);
    if (!tw_chance(h->rng, .05))
        h->server[0] = h->server[1] = tw_mutate(&world, NULL);
}

/* Returns the trace. */
static uint64_t run_history(const anonset_backend *backend, uint64_t seed, uint32_t budget,
                            bool prove)
{
    static struct history history;
    static const struct trouble moods[] = {{0},
                                           {.kill = .03},
                                           {.kill = .02, .mid = .03},
                                           {.kill = .02, .mid = .02, .lie = .03},
                                           {.kill = .02, .lie = .03, .flip = true}};
    struct history *h = &history;
    /* Where the search may be given up, a smooth lie may pass, at level COUNT. */
    const struct trouble *mood = &moods[seed % (budget == ANONSET_PROOF_BUDGET_DEFAULT ? 5 : 4)];
    uint32_t ops;
    begin(h, backend, seed, budget, prove);
    ops = tw_between(h->rng, 2, 10);
    for (uint32_t i = 0; i < ops; i++) {
        uint32_t which = tw_chance(h->rng, .7) ? 0 : 1;
        if (tw_chance(h->rng, .5))
            h->server[which] = tw_chance(h->rng, .8) ? tw_mutate(h->world, h->server[which])
                                                     : h->server[1 - which];
        else
            sync_and_check(h, *mood);
    }
    /* Whatever happened, an undisturbed sync ends as it must, and the next one after growth too. */
    for (uint32_t i = 0; i < 3; i++) {
        sync_and_check(h, (struct trouble){0});
        h->server[0] = h->server[1] = tw_grow(h->world, h->server[0], 1);
    }
    history_remove(h);
    tw_world_free(h->world);
    return traced;
}

static unsigned long number(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

/* Every history on the memory backend, and one in so many on the others as well, which must come to
 * the same. */
static void run_histories(uint32_t budget, bool prove, unsigned long n, unsigned long one_in)
{
    static const anonset_backend *const others[] = {&as_backend_sqlite, &as_backend_lmdb};
    unsigned long first = number("ANONSET_SEED", 1);
    n = number("ANONSET_HISTORIES", n);
    finalized_sets = proven_sets = 0;
    for (unsigned long seed = first; seed < first + n; seed++) {
        uint64_t trace = run_history(&as_backend_memory, seed, budget, prove);
        for (size_t i = 0; i < 2 && seed % one_in == 0; i++)
            cr_assert_eq(run_history(others[i], seed, budget, prove), trace,
                         "seed %lu: %s comes to another end than memory", seed, others[i]->name);
    }
    (void)fprintf(stderr, "%lu histories, budget %u%s: %lu sets finalized, %lu proven\n", n,
                  (unsigned)budget, prove ? " and heights" : "", finalized_sets, proven_sets);
}

/* The sanitizers take five times as long. */
#ifdef ANONSET_SANITIZED
#define SHARE 5
#else
#define SHARE 1
#endif

Test(history, without_set_hashes)
{
    run_histories(0, false, 5000 / SHARE, 25);
    cr_assert_eq(proven_sets, 0);
}

Test(history, with_set_hashes)
{
    run_histories(ANONSET_PROOF_BUDGET_DEFAULT, false, 5000 / SHARE, 25);
    cr_assert_gt(proven_sets, finalized_sets / 2, "most sets were beyond the search");
}

/* Little budget, so that heights decide, and what is proven need not be compared. */
Test(history, with_heights)
{
    run_histories(8, true, 5000 / SHARE, 25);
    cr_assert_gt(proven_sets, finalized_sets * 3 / 4, "heights were of no use");
}
