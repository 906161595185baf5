/*
 * Whole syncs against a server whose every answer the input may change. The input chooses chains,
 * kills, lost connections and lies, one sync after the other; a server that tells the truth comes
 * last. What must hold:
 *
 *     each sync ends, and leaves the finalized set alone unless it tells that it changed it;
 *     the list of used tags never gets shorter, and is left alone unless that is told;
 *     the finalized set is whole: its meta was told and its coins were sent, no coin twice;
 *     at level SET_HASH its coins are those that the set hash told commits to;
 *     without a lie all ends as the two chains say it must (as in history_test);
 *     behind lies an honest server's set is reached, or what keeps it away is what design.md tells
 *     of, and then `clear` mends it.
 *
 * One input in 512, by its hash, is run on each of the stores of files.
 */
#include "backends/backends.h"
#include "config.h"
#include "core/bytes.h"
#include "core/coin.h"
#include "core/plan.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/place.h"
#include "tests/scenario/history.h"
#include "tests/support/coins.h"
#include "tests/support/play.h"

#include <stdio.h>
#include <string.h>

#define POOL       240u /* chains that servers can be on */
#define SHOWN_MOST 4096u
#define METAS_MOST 128u

static tw_world world;
static struct history history;

/* ---- What the answers showed ----------------------------------------------------------------- */

static struct {
    uint64_t coins[SHOWN_MOST]; /* by hash, open addressing; 0: free */
    anonset_meta metas[METAS_MOST];
    uint32_t n_coins, n_metas;
    bool genesis_lie;
} shown;

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (; len >= 8; at += 8, len -= 8)
        hash = ts_mix(hash, as_get64(at));
    for (; len > 0; at++, len--)
        hash = ts_mix(hash, *at);
    return hash;
}

static uint64_t hash_coin(const anonset_coin *coin)
{
    uint64_t hash = hash_bytes(1, coin->serialized, coin->serialized_len);
    hash = hash_bytes(hash, coin->tx_hash, ANONSET_HASH_BYTES);
    return hash_bytes(hash ^ coin->context_len, coin->context, coin->context_len) | 1;
}

static bool find_shown(uint64_t hash, uint32_t *at)
{
    for (*at = (uint32_t)hash % SHOWN_MOST; shown.coins[*at]; *at = (*at + 1) % SHOWN_MOST)
        if (shown.coins[*at] == hash)
            return true;
    return false;
}

static void note_answer(struct history *h, const anonset_answer *answer)
{
    uint32_t at;
    if (answer->kind == ANONSET_ANSWER_META && shown.n_metas < METAS_MOST)
        shown.metas[shown.n_metas++] = answer->meta;
    for (uint32_t i = 0; answer->kind == ANONSET_ANSWER_COINS && i < answer->n; i++) {
        uint64_t hash = hash_coin(&answer->coins[i]);
        if (find_shown(hash, &at))
            continue;
        HISTORY_HOLDS(h, ++shown.n_coins < SHOWN_MOST / 2, "more coins than the target notes");
        shown.coins[at] = hash;
    }
}

static bool was_told(const anonset_meta *meta)
{
    for (uint32_t i = 0; i < shown.n_metas; i++)
        if (as_meta_equal(&shown.metas[i], meta))
            return true;
    return shown.n_metas == METAS_MOST;
}

/* ---- Lies ------------------------------------------------------------------------------------ */

static const tw_chain *any_chain(tw_rng *rng)
{
    return world.chains[tw_between(rng, 0, POOL - 1)];
}

static uint32_t any_number(tw_rng *rng)
{
    static const uint32_t corners[] = {0,      1,          2,          21845,          32000,
                                       100001, 0x7fffffff, 0x80000000, UINT32_MAX - 1, UINT32_MAX};
    uint32_t at = tw_between(rng, 0, 31);
    return at < sizeof corners / sizeof *corners ? corners[at] : tw_between(rng, 0, 60);
}

static void bend_hash(tw_rng *rng, uint8_t *hash, const uint8_t *other)
{
    uint32_t how = tw_between(rng, 0, 3);
    if (how == 0)
        memset(hash, 0, ANONSET_HASH_BYTES);
    else if (how == 1)
        hash[tw_between(rng, 0, ANONSET_HASH_BYTES - 1)] ^= 1;
    else
        memcpy(hash, other, ANONSET_HASH_BYTES);
}

static void lie_of_meta(tw_rng *rng, anonset_meta *meta)
{
    const tw_chain *other = any_chain(rng);
    switch (tw_between(rng, 0, 5)) {
    case 0:
        *meta = other->meta;
        break;
    case 1:
        meta->size = any_number(rng);
        break;
    case 2:
        meta->size += tw_between(rng, 0, 2) - 1;
        break;
    case 3:
        bend_hash(rng, meta->block_hash, other->meta.block_hash);
        break;
    case 4:
        meta->has_set_hash = true;
        bend_hash(rng, meta->set_hash, other->meta.set_hash);
        break;
    default:
        meta->has_set_hash = !meta->has_set_hash;
        memset(meta->set_hash, 0, sizeof meta->set_hash);
        break;
    }
}

static void make_coin(struct history *h, uint32_t i)
{
    const tw_chain *chain = any_chain(h->rng);
    uint32_t size = chain->n > 0 ? chain->meta.size : 0;
    uint32_t at = size > 0 ? tw_between(h->rng, 0, size - 1) : 0;
    tw_tx none = {.n = 1, .value = {600}};
    tw_coin(&h->reply.coins[i], h->reply.bytes[i], size > 0 ? chain->coin[at] : 600,
            size > 0 ? &chain->coin_tx[at] : &none);
}

/* One coin of the answer gets other bytes. */
static void bend_coin(struct history *h, uint32_t i)
{
    tw_rng *rng = h->rng;
    anonset_coin *coin = &h->reply.coins[i];
    uint8_t *bytes = h->reply.bytes[i];
    switch (tw_between(rng, 0, 4)) {
    case 0:
        make_coin(h, i);
        break;
    case 1:
        bytes[tw_between(rng, 0, AS_COIN_BYTES + 37)] ^= (uint8_t)(1u << tw_between(rng, 0, 7));
        break;
    case 2: /* of the fields alone: `serialized` says otherwise, or says nothing of them */
        coin->tx_hash = bytes + tw_between(rng, 0, AS_COIN_BYTES);
        coin->context = bytes + tw_between(rng, 0, AS_COIN_BYTES);
        break;
    case 3:
        coin->serialized_len = tw_between(rng, 0, TW_COIN_BYTES);
        break;
    default:
        coin->context_len = tw_between(rng, 0, 20);
        break;
    }
}

static void swap_coins(anonset_coin *a, anonset_coin *b)
{
    anonset_coin coin = *a;
    *a = *b;
    *b = coin;
}

static void lie_of_coins(struct history *h)
{
    tw_rng *rng = h->rng;
    anonset_answer *answer = &h->reply.answer;
    anonset_coin *coins = answer->coins = h->reply.coins;
    uint32_t n = answer->n, at = n > 0 ? tw_between(rng, 0, n - 1) : 0;
    switch (tw_between(rng, 0, 8)) {
    case 0:
        answer->n = n > 0 ? tw_between(rng, 0, n - 1) : 0;
        break;
    case 1: /* too many */
        for (answer->n = n + tw_between(rng, 1, 4); n < answer->n && n < TW_COINS_MAX; n++)
            make_coin(h, n);
        answer->n = n;
        break;
    case 2: /* repeated */
        coins[at] = coins[n > 0 ? tw_between(rng, 0, n - 1) : 0];
        break;
    case 3: /* shifted */
        if (n > 1)
            memmove(coins, coins + 1, (n - 1) * sizeof *coins);
        if (n > 0)
            make_coin(h, n - 1);
        break;
    case 4:
        for (uint32_t i = 0; i < n / 2; i++)
            swap_coins(&coins[i], &coins[n - 1 - i]);
        break;
    case 5:
        if (at > 0)
            swap_coins(&coins[at], &coins[at - 1]);
        break;
    case 6: /* of another set, or another group */
        for (uint32_t i = 0; i < n; i++)
            make_coin(h, i);
        break;
    default:
        if (n > 0)
            bend_coin(h, at);
        break;
    }
}

static void lie_of_used(struct history *h)
{
    tw_rng *rng = h->rng;
    anonset_answer *answer = &h->reply.answer;
    anonset_used *used = h->reply.used;
    uint32_t n = answer->n, at = n > 0 ? tw_between(rng, 0, n - 1) : 0;
    const tw_chain *other = any_chain(rng);
    switch (tw_between(rng, 0, 4)) {
    case 0: /* too few */
        answer->n = at;
        break;
    case 1: /* too many */
        for (answer->n = n + tw_between(rng, 1, 70); n < answer->n; n++)
            used[n] = (anonset_used){.tag = {(uint8_t)n, (uint8_t)tw_between(rng, 0, 255)}};
        break;
    case 2:
        used[at].tag[tw_between(rng, 0, ANONSET_TAG_BYTES - 1)] ^= 1;
        break;
    case 3: /* repeated */
        used[at] = used[n > 0 ? tw_between(rng, 0, n - 1) : 0];
        break;
    default: /* of another chain */
        for (answer->n = 0; answer->n < tw_used_count(other); answer->n++)
            tw_used(&used[answer->n], other, answer->n);
        break;
    }
}

/* Any answer as it would be to another question, or a refusal. */
static void lie_of_kind(struct history *h)
{
    anonset_answer *answer = &h->reply.answer;
    if (answer->kind == ANONSET_ANSWER_USED) /* there are not as many coins */
        answer->n = 0;
    answer->kind =
        (anonset_answer_kind)tw_between(h->rng, ANONSET_ANSWER_NONE, ANONSET_ANSWER_ERROR);
    answer->coins = h->reply.coins;
    if (answer->kind == ANONSET_ANSWER_META)
        answer->meta = any_chain(h->rng)->meta;
    if (answer->kind == ANONSET_ANSWER_COINS && answer->n == 0)
        make_coin(h, answer->n++);
}

static bool tell_lie(struct history *h)
{
    tw_rng *rng = h->rng;
    anonset_answer *answer = &h->reply.answer;
    uint32_t how = tw_between(rng, 0, 9);
    /* A store with a wrong network takes nothing any more. */
    if (answer->kind == ANONSET_ANSWER_HASH && !tw_chance(rng, .1))
        return false;
    if (how == 9)
        answer->id += tw_between(rng, 1, 4);
    else if (how == 8)
        answer->wire_bytes = answer->text_bytes = (uint64_t)any_number(rng)
                                                  << tw_between(rng, 0, 32);
    else if (how >= 6)
        lie_of_kind(h);
    else if (answer->kind == ANONSET_ANSWER_META)
        lie_of_meta(rng, &answer->meta);
    else if (answer->kind == ANONSET_ANSWER_COINS || answer->kind == ANONSET_ANSWER_BLOCK_REFUSED) {
        answer->kind = ANONSET_ANSWER_COINS;
        lie_of_coins(h);
    } else if (answer->kind == ANONSET_ANSWER_USED)
        lie_of_used(h);
    else if (answer->kind == ANONSET_ANSWER_HASH)
        bend_hash(rng, answer->meta.block_hash, any_chain(rng)->meta.block_hash);
    else
        answer->number = any_number(rng);
    shown.genesis_lie |= answer->kind == ANONSET_ANSWER_HASH;
    return true;
}

/* A group that shrinks to one block within a sync and comes back is the one thing that honest
 * servers can do to a set below level SET_HASH (design.md, "What is not covered"). */
static const tw_chain *change_chain(struct history *h, const tw_chain *old)
{
    const tw_chain *next = any_chain(h->rng);
    return old && old->n > 1 && next->n == 1 ? NULL : next;
}

/* ---- What must hold -------------------------------------------------------------------------- */

static struct {
    unsigned long inputs, syncs, lied, ends[ANONSET_OUTCOME_COUNT], killed, finalized, proven,
        lists;
    unsigned long honest, led_right, cleared;
} count;

static const anonset_coin *read_coin(struct history *h, anonset_snapshot *snapshot)
{
    static anonset_coin coin;
    anonset_code code = anonset_snapshot_next(snapshot, &coin, NULL);
    HISTORY_HOLDS(h, code == ANONSET_OK || code == ANONSET_NOT_FOUND, "a coin cannot be read");
    return code == ANONSET_OK ? &coin : NULL;
}

/* A chain with this set hash: it commits to the coins above that chain's first block. */
static const tw_chain *committed_chain(const anonset_meta *meta)
{
    for (uint32_t i = 0; i < world.n; i++)
        if (meta->has_set_hash && world.chains[i]->meta.has_set_hash &&
            memcmp(world.chains[i]->meta.set_hash, meta->set_hash, ANONSET_HASH_BYTES) == 0)
            return world.chains[i];
    return NULL;
}

static bool is_committed(const tw_chain *chain, uint32_t below_newest, const anonset_coin *coin)
{
    uint8_t bytes[TW_COIN_BYTES];
    anonset_coin right;
    uint32_t at = chain->meta.size - 1 - below_newest;
    tw_coin(&right, bytes, chain->coin[at], &chain->coin_tx[at]);
    return coin->serialized_len >= AS_COIN_BYTES &&
           memcmp(coin->serialized, right.serialized, AS_COIN_BYTES) == 0;
}

/* Newest first: every coin was sent, none is there twice, and those that a proven set hash commits
 * to are the right ones. */
static void check_coins(struct history *h, anonset_snapshot *snapshot, const tw_chain *chain)
{
    static bool there[SHOWN_MOST];
    uint32_t n = 0, at, committed = chain ? chain->meta.size - chain->size[0] : 0;
    const anonset_coin *coin;
    memset(there, 0, sizeof there);
    for (; (coin = read_coin(h, snapshot)); n++) {
        HISTORY_HOLDS(h, find_shown(hash_coin(coin), &at), "coin %u was never sent", n);
        HISTORY_HOLDS(h, !there[at], "coin %u is there twice", n);
        there[at] = true;
        HISTORY_HOLDS(h, n >= committed || is_committed(chain, n, coin),
                      "coin %u is none that the set hash commits to", n);
    }
    HISTORY_HOLDS(h, n == h->now.finalized.size && n >= committed, "%u coins in a set of %u", n,
                  h->now.finalized.size);
}

static void check_set(struct history *h)
{
    anonset_snapshot *snapshot = NULL;
    const tw_chain *chain = NULL;
    if (!h->now.has_finalized)
        return;
    HISTORY_HOLDS(h, was_told(&h->now.finalized), "this meta was never told");
    HISTORY_HOLDS(h, h->now.gate >= ANONSET_GATE_COUNT, "a set without a level");
    if (h->now.gate == ANONSET_GATE_SET_HASH) {
        chain = committed_chain(&h->now.finalized);
        HISTORY_HOLDS(h, chain, "a set hash was proven that no chain has");
    }
    HISTORY_HOLDS(h, anonset_snapshot_open(&snapshot, h->store, 1, NULL) == ANONSET_OK,
                  "no snapshot");
    check_coins(h, snapshot, chain);
    anonset_snapshot_close(snapshot);
}

/* The set that the server has, coin for coin. */
static bool has_set_of(const struct history *h, const tw_chain *chain)
{
    return h->now.has_finalized && as_meta_equal(&h->now.finalized, &chain->meta) &&
           memcmp(h->now.digest, chain->digest, ANONSET_HASH_BYTES) == 0;
}

/* What the server has of used tags, but where the list lags, or is to be kept. */
static void check_used_truth(struct history *h)
{
    const tw_chain *chain = h->server[h->which];
    char why[200];
    bool lags = tw_used_count(chain) < h->used_before.count;
    switch (h->used_ended) {
    case ANONSET_FINALIZED:
    case ANONSET_UP_TO_DATE:
        HISTORY_HOLDS(h, tp_has_used(h->store, chain, why, sizeof why), "%s", why);
        break;
    case ANONSET_REMOTE_BEHIND:
        HISTORY_HOLDS(h, lags, "a list that is long enough is said to lag");
        break;
    default:
        HISTORY_HOLDS(h,
                      h->used_ended == ANONSET_REORG_DETECTED && h->on_reorg == ANONSET_REORG_KEEP,
                      "the list of used tags ended %s", anonset_outcome_name(h->used_ended));
        break;
    }
}

static void check_truth(struct history *h)
{
    if (h->now.has_finalized) {
        const tw_chain *held = tw_find(&world, &h->now.finalized);
        HISTORY_HOLDS(h, held && has_set_of(h, held), "a set that no server had");
    }
    if (h->disturbed)
        return;
    const tw_chain *held = h->before.has_finalized ? tw_find(&world, &h->before.finalized) : NULL;
    anonset_outcome must = history_expected(h, held, h->server[h->which]);
    HISTORY_HOLDS(h, h->result.outcome == must, "ended %s, not %s: %s",
                  anonset_outcome_name(h->result.outcome), anonset_outcome_name(must),
                  h->result.error.text);
    check_used_truth(h);
}

static void sync_and_check(struct history *h, uint32_t which, struct trouble trouble)
{
    history_sync(h, which, tw_between(h->rng, 1, 8), trouble);
    check_set(h);
    if (!h->lied)
        check_truth(h);
    count.syncs++;
    count.killed += h->killed;
    if (!h->killed)
        count.ends[h->result.outcome]++;
    bool changed = !h->killed && h->result.outcome == ANONSET_FINALIZED;
    count.finalized += changed;
    count.lists += h->used_ended == ANONSET_FINALIZED;
    count.proven += changed && h->now.gate == ANONSET_GATE_SET_HASH;
}

static bool is_block(const anonset_meta *meta, const tw_chain *chain)
{
    return memcmp(meta->block_hash, chain->meta.block_hash, ANONSET_HASH_BYTES) == 0;
}

/* What a lie finalized at level COUNT, and a lie of the network, may still do to an honest server.
 */
static void check_excuse(struct history *h, const tw_chain *chain)
{
    const anonset_meta *held = &h->before.finalized;
    bool had = h->before.has_finalized, excused = false;
    switch (h->result.outcome) {
    case ANONSET_FINALIZED:
    case ANONSET_REANCHORED:
    case ANONSET_GATE_REFUSED:
        excused = had || h->before.has_pending;
        break;
    case ANONSET_UP_TO_DATE:
        excused = had && as_meta_equal(held, &chain->meta);
        break;
    case ANONSET_REMOTE_BEHIND:
        excused = had && held->size > chain->meta.size;
        break;
    case ANONSET_ANOMALY:
        excused = is_block(held, chain) || is_block(&h->before.target, chain);
        break;
    case ANONSET_REORG_DETECTED:
        excused = had && h->on_reorg == ANONSET_REORG_KEEP;
        break;
    case ANONSET_OTHER_NETWORK:
        excused = shown.genesis_lie;
        break;
    default:
        break;
    }
    HISTORY_HOLDS(h, excused, "an honest server's sync ended %s: %s",
                  anonset_outcome_name(h->result.outcome), h->result.error.text);
}

static bool has_all_of(struct history *h, const tw_chain *chain)
{
    char why[200];
    return has_set_of(h, chain) && tp_has_used(h->store, chain, why, sizeof why);
}

/* A list that was lied about may be longer than the true one, or differ where nobody looks. */
static void check_used_excuse(struct history *h, const tw_chain *chain)
{
    char why[200];
    bool excused = shown.genesis_lie || tp_has_used(h->store, chain, why, sizeof why);
    switch (h->used_ended) {
    case ANONSET_FINALIZED:
    case ANONSET_UP_TO_DATE:
        excused = true;
        break;
    case ANONSET_REMOTE_BEHIND:
        excused |= h->used_before.count > tw_used_count(chain);
        break;
    default:
        excused |= h->used_ended == ANONSET_REORG_DETECTED && h->on_reorg == ANONSET_REORG_KEEP;
        break;
    }
    HISTORY_HOLDS(h, excused, "an honest server's list of used tags ended %s",
                  anonset_outcome_name(h->used_ended));
}

static void end_with_truth(struct history *h)
{
    const struct trouble none = {0};
    const tw_chain *chain = h->server[0];
    if (!chain || chain->n == 0)
        chain = h->server[0] = world.chains[0];
    count.honest += h->lied;
    for (int i = 0; i < 2; i++) {
        sync_and_check(h, 0, none);
        history_is_sound(h);
        if (!h->lied || has_all_of(h, chain)) {
            count.led_right += h->lied;
            return;
        }
        if (!has_set_of(h, chain))
            check_excuse(h, chain);
        check_used_excuse(h, chain);
    }
    count.cleared++;
    HISTORY_HOLDS(h, anonset_store_clear(h->store, 0, NULL) == ANONSET_OK, "clear");
    h->lied = false;
    sync_and_check(h, 0, none);
    HISTORY_HOLDS(h, h->result.outcome == ANONSET_FINALIZED && has_all_of(h, chain),
                  "cleared, an honest sync ended %s", anonset_outcome_name(h->result.outcome));
}

/* ---- One input ------------------------------------------------------------------------------- */

static void run(const anonset_backend *backend, const uint8_t *data, size_t size)
{
    static const uint32_t budgets[] = {0, 8, 512, 512};
    static const struct trouble moods[] = {
        {0},
        {.kill = .03, .mid = .02},
        {.lie = .03, .quit = .01},
        {.kill = .03, .mid = .03, .lie = .06},
        {.lie = .25},
        {.lie = 1},
    };
    struct history *h = &history;
    tw_rng rng = {.bytes = data, .left = size};
    memset(&shown, 0, sizeof shown);
    *h = (struct history){.name = "this input",
                          .backend = backend,
                          .world = &world,
                          .rng = &rng,
                          .used = ANONSET_USED_TOO,
                          .move = change_chain,
                          .lie = tell_lie,
                          .seen = note_answer};
    rng.state = tw_between(&rng, 0, 65535);
    h->budget = budgets[tw_between(&rng, 0, 3)];
    h->prove = tw_chance(&rng, .3);
    h->on_reorg = tw_chance(&rng, .1) ? ANONSET_REORG_KEEP : ANONSET_REORG_FOLLOW;
    place_path(h->path, sizeof h->path, backend->name);
    history_open(h);
    h->server[0] = h->server[1] = any_chain(&rng);
    for (uint32_t left = tw_between(&rng, 1, 3); left > 0; left--) {
        uint32_t which = tw_chance(&rng, .7) ? 0 : 1;
        if (tw_chance(&rng, .5))
            h->server[which] = any_chain(&rng);
        sync_and_check(h, which, moods[tw_between(&rng, 0, 5)]);
        count.lied += h->disturbed && h->lied;
    }
    end_with_truth(h);
    history_remove(h);
}

static void report(void)
{
    printf("%lu inputs, %lu syncs, %lu of them lied to, %lu killed; %lu finalized, %lu proven; %lu "
           "lists "
           "of tags\n",
           count.inputs, count.syncs, count.lied, count.killed, count.finalized, count.proven,
           count.lists);
    for (int i = 0; i < ANONSET_OUTCOME_COUNT; i++)
        printf("%s %lu%s", anonset_outcome_name((anonset_outcome)i), count.ends[i],
               i + 1 < ANONSET_OUTCOME_COUNT ? ", " : "\n");
    printf("behind lies: %lu, set right by an honest server %lu, by clear and one %lu\n",
           count.honest, count.led_right, count.cleared);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    tw_world_init(&world, 1);
    tw_grow(&world, NULL, 3);
    while (world.n < POOL) {
        uint32_t newest = world.n - 1, oldest = newest > 20 ? newest - 20 : 0;
        (void)tw_mutate(&world, world.chains[tw_between(&world.rng, oldest, newest)]);
    }
    return place_make("sync_fuzz", report) ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t which = (uint32_t)(hash_bytes(1, data, size) >> 32) % 512;
    count.inputs++;
    run(&as_backend_memory, data, size);
    if (which == 0)
        run(&as_backend_sqlite, data, size);
    else if (which == 1)
        run(&as_backend_lmdb, data, size);
    return 0;
}

const fuzz_target fuzz = {.name = "sync_fuzz", .most = 300};
