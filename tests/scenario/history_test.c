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
#include "core/store.h"
#include "tests/support/world.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIRE_MAX 64u

struct trouble {
    double kill, mid, lie; /* probability at a tick */
    bool flip;             /* lies are of the kind that only a set hash shows */
};

struct history {
    uint64_t seed;
    tw_world world;
    const tw_chain *server[2];
    const anonset_backend *real;
    uint32_t budget; /* of the proof */
    bool prove;      /* with heights */
    uint64_t trace;  /* of what every sync came to: the same on every backend */
    char path[128];
    anonset_store *store;
    /* of the sync under way */
    struct trouble trouble;
    bool disturbed, killed, lied; /* lied: at any time in this history */
    uint32_t which;
    uint32_t coins_sent;
    anonset_result result;
    tw_reply reply;
};

/* ---- A backend that dies between any two writes ---------------------------------------------- */

static struct history *current;

static bool dies(void)
{
    struct history *h = current;
    if (!tw_chance(&h->world.rng, h->trouble.kill))
        return false;
    h->killed = h->disturbed = true;
    return true;
}

static anonset_code after(anonset_code code)
{
    return code == ANONSET_OK && dies() ? ANONSET_IO : code;
}

static anonset_code dying_append(void *handle, const anonset_append *append, anonset_detail *detail)
{
    return dies() ? ANONSET_IO : after(current->real->append_sector(handle, append, detail));
}

static anonset_code dying_complete(void *handle, const anonset_complete *complete,
                                   anonset_detail *detail)
{
    return dies() ? ANONSET_IO : after(current->real->mark_complete(handle, complete, detail));
}

static anonset_code dying_discard(void *handle, uint32_t group, anonset_detail *detail)
{
    return dies() ? ANONSET_IO : after(current->real->discard_incomplete(handle, group, detail));
}

static void open_store(struct history *h)
{
    static anonset_backend dying;
    anonset_store_options options;
    anonset_detail detail = {.code = ANONSET_OK};
    dying = *h->real;
    dying.append_sector = dying_append;
    dying.mark_complete = dying_complete;
    dying.discard_incomplete = dying_discard;
    anonset_store_options_init(&options);
    options.backend = &dying;
    cr_assert_eq(anonset_store_open(&h->store, h->path, &options, &detail), ANONSET_OK, "%s",
                 detail.text);
}

/* ---- A server with moods --------------------------------------------------------------------- */

/* A bit of a coin, or two coins in each other's place. The first block is in no set hash, and a
 * set of one block has none. */
static void tell_smooth_lie(struct history *h, anonset_answer *answer)
{
    const tw_chain *chain = h->server[h->which];
    tw_rng *rng = &h->world.rng;
    if (!chain || chain->n < 2 || answer->kind != ANONSET_ANSWER_COINS || answer->n == 0)
        return;
    uint32_t i = tw_between(rng, 0, answer->n - 1);
    bool swap = i > 0 && tw_chance(rng, .3);
    if (tw_in_first_block(chain, &answer->coins[i]))
        return;
    h->disturbed = h->lied = true;
    if (swap) {
        anonset_coin coin = answer->coins[i];
        answer->coins[i] = answer->coins[i - 1];
        answer->coins[i - 1] = coin;
    } else {
        h->reply.bytes[i][tw_chance(rng, .5) ? 4 : 243] ^= 1;
    }
}

static void tell_lie(struct history *h, anonset_answer *answer)
{
    tw_rng *rng = &h->world.rng;
    if (answer->kind == ANONSET_ANSWER_NUMBER) {
        h->disturbed = h->lied = true;
        answer->number = tw_between(rng, 0, 2 * TW_FIRST_HEIGHT);
        return;
    }
    if (h->trouble.flip && tw_chance(rng, .5)) {
        tell_smooth_lie(h, answer);
        return;
    }
    h->disturbed = h->lied = true;
    if (tw_chance(rng, .2)) {
        answer->kind = tw_chance(rng, .5) ? ANONSET_ANSWER_ERROR : ANONSET_ANSWER_TOO_LARGE;
        return;
    }
    if (answer->kind != ANONSET_ANSWER_COINS || answer->n == 0)
        return;
    if (tw_chance(rng, .33)) {
        answer->n--;
    } else if (tw_chance(rng, .5)) {
        answer->coins[answer->n] = answer->coins[answer->n - 1];
        answer->n++;
    } else if (answer->n > 1) {
        answer->coins[0] = answer->coins[1];
    }
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

/* The chain may change, or the process die, before any answer. */
static bool tick(struct history *h)
{
    tw_world *world = &h->world;
    if (tw_chance(&world->rng, h->trouble.mid)) {
        const tw_chain *old = h->server[h->which];
        const tw_chain *new = tw_mutate(world, old);
        if (!is_known_residue(h, old, new))
            h->server[h->which] = new;
        h->disturbed = true;
    }
    if (tw_chance(&world->rng, h->trouble.kill))
        h->killed = h->disturbed = true;
    return !h->killed;
}

static void answer_one(struct history *h, anonset_sync *sync)
{
    const anonset_request *requests;
    size_t n = anonset_sync_outstanding(sync, &requests);
    size_t i = tw_chance(&h->world.rng, .7) ? 0 : tw_between(&h->world.rng, 0, (uint32_t)n - 1);
    cr_assert_gt(n, 0, "step waits, but nothing is outstanding");
    tw_answer(&h->reply, h->server[h->which], &requests[i]);
    if (h->reply.answer.kind == ANONSET_ANSWER_COINS)
        h->coins_sent += h->reply.answer.n;
    if (tw_chance(&h->world.rng, h->trouble.lie))
        tell_lie(h, &h->reply.answer);
    cr_assert_eq(anonset_sync_feed(sync, &h->reply.answer, NULL), ANONSET_OK);
}

static void keep_result(void *context, const anonset_result *result)
{
    struct history *h = context;
    h->result = *result;
}

static void run_sync(struct history *h, uint32_t sector)
{
    anonset_sync_options options;
    anonset_sync *sync;
    anonset_request request;
    anonset_step step;
    uint32_t steps = 0;
    current = h;
    anonset_sync_options_init(&options);
    options.sector_size = sector;
    options.proof_budget = h->budget;
    options.prove = h->prove;
    options.on_result = keep_result;
    options.context = h;
    cr_assert_eq(anonset_sync_new(&sync, h->store, &options, NULL), ANONSET_OK);
    h->coins_sent = 0;
    h->result.outcome = ANONSET_OUTCOME_COUNT;
    while ((step = anonset_sync_step(sync, &request)) != ANONSET_STEP_DONE && !h->killed) {
        cr_assert_lt(steps++, 20000, "seed %llu: no end", (unsigned long long)h->seed);
        if (step == ANONSET_STEP_SEND)
            continue;
        if (tw_chance(&h->world.rng, h->trouble.lie / 4)) {
            h->disturbed = true;
            anonset_sync_reconnect(sync, tw_chance(&h->world.rng, .5));
        } else if (tick(h)) {
            answer_one(h, sync);
            memset(h->reply.bytes[TW_COINS_MAX], 0xdd, TW_COIN_BYTES);
        }
    }
    anonset_sync_free(sync);
    if (h->killed) {
        anonset_store_close(h->store);
        open_store(h);
    }
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

static anonset_outcome expected(const tw_chain *held, const tw_chain *chain)
{
    if (!chain || chain->n == 0)
        return ANONSET_NO_SUCH_GROUP;
    if (!held)
        return ANONSET_FINALIZED;
    if (memcmp(held->meta.block_hash, chain->meta.block_hash, ANONSET_HASH_BYTES) == 0)
        return ANONSET_UP_TO_DATE;
    if (chain->meta.size < held->meta.size)
        return ANONSET_REMOTE_BEHIND;
    if (!tw_same_coins(held, chain, held->meta.size))
        return ANONSET_FINALIZED;
    return chain->meta.size == held->meta.size ? ANONSET_REANCHORED : ANONSET_FINALIZED;
}

static void check_level(struct history *h, const anonset_state *before, const anonset_state *now)
{
    unsigned long long seed = h->seed;
    bool proven = now->gate == ANONSET_GATE_SET_HASH;
    cr_assert(!proven || (h->budget > 0 && now->finalized.has_set_hash), "seed %llu", seed);
    if (h->killed || h->result.outcome != ANONSET_FINALIZED)
        return;
    cr_assert_eq(proven, h->result.proof == ANONSET_PROOF_FOUND, "seed %llu", seed);
    cr_assert(proven || h->result.proof != ANONSET_PROOF_NONE || h->budget == 0 ||
                  !now->finalized.has_set_hash,
              "seed %llu: a set hash was not looked at", seed);
    /* From scratch there is no doubtful start. */
    if (!before->has_finalized)
        cr_assert_neq(h->result.proof, ANONSET_PROOF_CONSISTENT, "seed %llu", seed);
    finalized_sets++;
    proven_sets += proven;
}

static void check(struct history *h, const anonset_state *before)
{
    unsigned long long seed = h->seed;
    anonset_state now;
    anonset_verdict verdict;
    const tw_chain *held;
    cr_assert_eq(anonset_store_state(h->store, &now, 1, NULL), ANONSET_OK);
    if (h->result.outcome != ANONSET_FINALIZED && h->result.outcome != ANONSET_REANCHORED &&
        !h->killed)
        cr_assert(now.has_finalized == before->has_finalized &&
                      memcmp(&now.finalized, &before->finalized, sizeof now.finalized) == 0,
                  "seed %llu: the finalized set changed on %s", seed,
                  anonset_outcome_name(h->result.outcome));
    if (!now.has_finalized)
        return;
    held = tw_find(&h->world, &now.finalized);
    cr_assert(held, "seed %llu: no server ever told this meta", seed);
    cr_assert_arr_eq(now.digest, held->digest, ANONSET_HASH_BYTES,
                     "seed %llu: coins of two sets are mixed", seed);
    cr_assert_eq(anonset_store_verify(h->store, &verdict, 1, NULL), ANONSET_OK);
    cr_assert(verdict.sound, "seed %llu: stored coins contradict their digest", seed);
    check_level(h, before, &now);
}

static void check_quiet(struct history *h, const anonset_state *before)
{
    const tw_chain *chain = h->server[h->which];
    const tw_chain *held = before->has_finalized ? tw_find(&h->world, &before->finalized) : NULL;
    anonset_outcome must = expected(held, chain);
    /* A repeated coin of an earlier lie may be among the pending ones; now they are dropped. */
    if (h->lied && before->has_pending && h->result.outcome == ANONSET_GATE_REFUSED)
        return;
    cr_assert_eq(h->result.outcome, must, "seed %llu: ended %s, not %s: %s",
                 (unsigned long long)h->seed, anonset_outcome_name(h->result.outcome),
                 anonset_outcome_name(must), h->result.error.text);
    if (must == ANONSET_FINALIZED && !before->has_pending && held &&
        has_pin(chain, held->meta.block_hash))
        /* One for the overlap, one for each time a pin is asked: before, behind, and behind again
         * where the answer overtook the last sector. */
        cr_assert_leq(h->coins_sent, chain->meta.size - held->meta.size + 1 + 3,
                      "seed %llu: %u coins were sent for growth by %u", (unsigned long long)h->seed,
                      h->coins_sent, chain->meta.size - held->meta.size);
}

static void mix(struct history *h, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++)
        h->trace = (h->trace ^ at[i]) * 1099511628211u; /* FNV-1a */
}

static void note(struct history *h)
{
    anonset_state now;
    cr_assert_eq(anonset_store_state(h->store, &now, 1, NULL), ANONSET_OK);
    uint32_t seen[] = {h->killed ? ANONSET_OUTCOME_COUNT : h->result.outcome,
                       h->result.proof,
                       h->result.fetched,
                       now.finalized.size,
                       now.gate,
                       now.base,
                       now.count};
    mix(h, seen, sizeof seen);
    mix(h, now.digest, sizeof now.digest);
    mix(h, now.pending_digest, sizeof now.pending_digest);
}

static void sync_and_check(struct history *h, struct trouble trouble)
{
    anonset_state before;
    h->trouble = trouble;
    h->disturbed = h->killed = false;
    h->which = tw_chance(&h->world.rng, .7) ? 0 : 1;
    cr_assert_eq(anonset_store_state(h->store, &before, 1, NULL), ANONSET_OK);
    run_sync(h, tw_between(&h->world.rng, 1, 6));
    h->trouble = (struct trouble){0};
    note(h);
    check(h, &before);
    if (!h->disturbed)
        check_quiet(h, &before);
}

static void begin(struct history *h, const anonset_backend *backend, uint64_t seed, uint32_t budget,
                  bool prove)
{
    memset(h, 0, sizeof *h);
    h->seed = seed;
    h->real = backend;
    h->budget = budget;
    h->prove = prove;
    (void)snprintf(h->path, sizeof h->path, "%s/anonset-history-%ld-%llu",
                   getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid(),
                   (unsigned long long)seed);
    current = h;
    open_store(h);
    tw_world_init(&h->world, seed);
    if (!tw_chance(&h->world.rng, .05))
        h->server[0] = h->server[1] = tw_mutate(&h->world, NULL);
}

static void finish(struct history *h)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock", "-lck", "-writer"};
    anonset_store_close(h->store);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[160];
        (void)snprintf(name, sizeof name, "%s%s", h->path, suffixes[i]);
        (void)unlink(name); /* most are not there */
    }
    tw_world_free(&h->world);
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
    ops = tw_between(&h->world.rng, 2, 10);
    for (uint32_t i = 0; i < ops; i++) {
        uint32_t which = tw_chance(&h->world.rng, .7) ? 0 : 1;
        if (tw_chance(&h->world.rng, .5))
            h->server[which] = tw_chance(&h->world.rng, .8) ? tw_mutate(&h->world, h->server[which])
                                                            : h->server[1 - which];
        else
            sync_and_check(h, *mood);
    }
    /* Whatever happened, an undisturbed sync ends as it must, and the next one after growth too. */
    for (uint32_t i = 0; i < 3; i++) {
        sync_and_check(h, (struct trouble){0});
        h->server[0] = h->server[1] = tw_grow(&h->world, h->server[0], 1);
    }
    finish(h);
    return h->trace;
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
