/* Opening snapshots, and holding them against what was finalized. */
#include "core/coin.h"
#include "core/digest.h"
#include "core/plan.h"
#include "tests/readers/round.h"

#include <string.h>

#define HELD_MOST       3u
#define CHECKS_A_HANDLE 40u

/* A snapshot that is kept open, and what it showed. */
typedef struct held {
    anonset_snapshot *snapshot;
    uint32_t step;
    uint32_t left; /* reads until it is closed */
} held;

typedef struct reader {
    tr_round *round;
    anonset_store *store;
    as_digest *digest;
    tw_rng rng;
    held held[HELD_MOST];
    uint32_t tags,
        tags_at; /* of the list of used tags, when it was read last, and the step before */
} reader;

/* ---- One snapshot ------------------------------------------------------------------------- */

/* The next coin is the one at `position` of the chain. */
static bool next_is(reader *r, anonset_snapshot *snapshot, const tw_chain *chain, uint32_t position,
                    uint8_t *digest)
{
    uint8_t bytes[TW_COIN_BYTES];
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_coin must, coin;
    tw_coin(&must, bytes, chain->coin[position], &chain->coin_tx[position]);
    if (anonset_snapshot_next(snapshot, &coin, &detail) != ANONSET_OK)
        tr_bad(r->round, "position %u cannot be read: %s", (unsigned)position, detail.text);
    else if (!as_coin_equal(&must, &coin))
        tr_bad(r->round, "another coin is at position %u", (unsigned)position);
    else if (digest && as_digest_coin(r->digest, digest, digest, &coin) != ANONSET_OK)
        tr_bad(r->round, "no digest");
    else
        return true;
    return false;
}

static bool is_at_end(reader *r, anonset_snapshot *snapshot)
{
    anonset_coin coin;
    if (anonset_snapshot_next(snapshot, &coin, NULL) == ANONSET_NOT_FOUND)
        return true;
    tr_bad(r->round, "coins come behind the last");
    return false;
}

/* The positions from `from` up, oldest first, or all, newest first as it is without a seek. */
static bool reads_up(reader *r, anonset_snapshot *snapshot, const tw_chain *chain, uint32_t from,
                     uint8_t *digest)
{
    uint32_t size = chain->meta.size;
    if (anonset_snapshot_seek(snapshot, from, size, ANONSET_OLDEST_FIRST, NULL) != ANONSET_OK) {
        tr_bad(r->round, "no seek to %u of %u", (unsigned)from, (unsigned)size);
        return false;
    }
    for (uint32_t i = from; i < size; i++)
        if (!next_is(r, snapshot, chain, i, digest))
            return false;
    return is_at_end(r, snapshot);
}

static bool reads_down(reader *r, anonset_snapshot *snapshot, const tw_chain *chain)
{
    uint32_t size = chain->meta.size;
    if (anonset_snapshot_seek(snapshot, 0, size, ANONSET_NEWEST_FIRST, NULL) != ANONSET_OK) {
        tr_bad(r->round, "no seek to all of %u", (unsigned)size);
        return false;
    }
    for (uint32_t i = size; i-- > 0;)
        if (!next_is(r, snapshot, chain, i, NULL))
            return false;
    return is_at_end(r, snapshot);
}

/* All of it: newest first, and by position, with the digest. */
static bool is_whole(reader *r, anonset_snapshot *snapshot, const tw_chain *chain)
{
    uint8_t digest[ANONSET_HASH_BYTES] = {0};
    const anonset_state *state = anonset_snapshot_state(snapshot);
    if (!state->has_finalized || !as_meta_equal(&state->finalized, &chain->meta) ||
        state->has_pending || state->gate < ANONSET_GATE_COUNT) {
        tr_bad(r->round, "the state is not the set's");
        return false;
    }
    if (!reads_down(r, snapshot, chain) || !reads_up(r, snapshot, chain, 0, digest))
        return false;
    if (memcmp(digest, state->digest, sizeof digest) == 0 &&
        memcmp(digest, chain->digest, sizeof digest) == 0)
        return true;
    tr_bad(r->round, "the digest is not that of the coins");
    return false;
}

/* What a wallet asks that knows an older block: the coins behind it. */
static bool finds(reader *r, anonset_snapshot *snapshot, uint32_t step, uint32_t older)
{
    const tw_chain *chain = r->round->steps[step], *known = r->round->steps[older];
    anonset_detail detail = {.code = ANONSET_OK};
    uint32_t size;
    if (!known)
        return true;
    anonset_code code = anonset_snapshot_find(snapshot, &size, known->meta.block_hash, &detail);
    if (code == ANONSET_NOT_FOUND && older != step)
        return true; /* it was never finalized, or is no more part of the chain */
    if (code != ANONSET_OK) {
        tr_bad(r->round, "no block is found: %s", detail.text);
        return false;
    }
    tr_add(r->round, TR_FOUND);
    if (size == known->meta.size && tw_same_coins(chain, known, size))
        return reads_up(r, snapshot, chain, size, NULL);
    tr_bad(r->round, "a block is found that has other coins");
    return false;
}

/* ---- Many --------------------------------------------------------------------------------- */

static bool can_be_nothing(const tr_round *round, uint32_t from, uint32_t to)
{
    bool can = false;
    for (uint32_t i = from; i <= to && !can; i++)
        can = round->steps[i] == NULL;
    return can;
}

/* Opens the newest set, UINT32_MAX if there is none. It must be one that was acknowledged last when
 * the opening began, or that came after. */
static uint32_t open_newest(reader *r, anonset_snapshot **snapshot)
{
    tr_round *round = r->round;
    anonset_detail detail = {.code = ANONSET_OK};
    uint32_t from = atomic_load(&round->board->acked);
    anonset_code code = anonset_snapshot_open(snapshot, r->store, TR_GROUP, &detail);
    uint32_t to = atomic_load(&round->board->server);
    if (code != ANONSET_OK) {
        if (code != ANONSET_NOT_FOUND || !can_be_nothing(round, from, to))
            tr_bad(round, "no snapshot: %s", detail.text);
        return UINT32_MAX;
    }
    uint32_t step = tr_step_of(round, &anonset_snapshot_state(*snapshot)->finalized, to);
    if (step != UINT32_MAX && step >= from)
        return step;
    if (step == UINT32_MAX)
        tr_bad(round, "a snapshot of a set that never was");
    else
        tr_bad(round, "a snapshot of step %u, after %u was acknowledged", (unsigned)step,
               (unsigned)from);
    anonset_snapshot_close(*snapshot);
    return UINT32_MAX;
}

/* Reads what is held once more, now and then, and closes what was held long enough. */
static void look_at_held(reader *r)
{
    for (size_t i = 0; i < HELD_MOST; i++) {
        held *h = &r->held[i];
        if (!h->snapshot || --h->left % 4 != 0)
            continue;
        if (is_whole(r, h->snapshot, r->round->steps[h->step]))
            tr_add(r->round, TR_HELD);
        if (h->left == 0) {
            anonset_snapshot_close(h->snapshot);
            h->snapshot = NULL;
        }
    }
}

static void close_held(reader *r)
{
    for (size_t i = 0; i < HELD_MOST; i++) {
        anonset_snapshot_close(r->held[i].snapshot);
        r->held[i].snapshot = NULL;
    }
}

static bool hold(reader *r, anonset_snapshot *snapshot, uint32_t step)
{
    held *h = &r->held[tw_between(&r->rng, 0, HELD_MOST - 1)];
    if (h->snapshot || !tw_chance(&r->rng, .2))
        return false;
    *h = (held){snapshot, step, 4 * tw_between(&r->rng, 1, 5)};
    return true;
}

/* ---- The list of used tags ---------------------------------------------------------------- */

/* Its last tag tells of all below it (world.h): a list is that of a step, whole. */
static bool is_list_of_a_step(const tr_round *round, const anonset_used *last, uint32_t count,
                              uint32_t newest)
{
    for (uint32_t i = newest + 1; i-- > 0;) {
        anonset_used must;
        if (tw_used_count(round->steps[i]) != count)
            continue;
        tw_used(&must, round->steps[i], count - 1);
        if (memcmp(&must, last, sizeof must) == 0)
            return true;
    }
    return false;
}

static void check_used(reader *r)
{
    tr_round *round = r->round;
    anonset_used_list *list = NULL;
    anonset_used last;
    anonset_detail detail = {.code = ANONSET_OK};
    uint32_t n;
    bool sound = true;
    uint32_t from = atomic_load(&round->board->server);
    anonset_code code = anonset_used_open(&list, r->store, &detail);
    uint32_t to = atomic_load(&round->board->server);
    uint32_t count = code == ANONSET_OK ? anonset_used_list_state(list)->count : 0;
    if (code == ANONSET_OK && count > 0)
        code = anonset_used_read(list, &last, &n, count - 1, 1, &detail);
    if (code == ANONSET_OK && tw_chance(&r->rng, .1))
        code = anonset_used_verify(list, &sound, &detail);
    anonset_used_close(list);
    if (code != ANONSET_OK || !sound)
        tr_bad(round, "no list of used tags: %s", detail.text);
    else if (count > 0 && !is_list_of_a_step(round, &last, count, to))
        tr_bad(round, "a list of %u used tags that never was", (unsigned)count);
    else if (count < r->tags && !can_be_nothing(round, r->tags_at, to))
        tr_bad(round, "a list of %u used tags, after %u", (unsigned)count, (unsigned)r->tags);
    r->tags = count;
    r->tags_at = from;
}

static void check_one(reader *r)
{
    anonset_snapshot *snapshot = NULL;
    uint32_t step = open_newest(r, &snapshot);
    if (step == UINT32_MAX)
        return;
    const tw_chain *chain = r->round->steps[step];
    if (is_whole(r, snapshot, chain) && finds(r, snapshot, step, step) &&
        finds(r, snapshot, step, tw_between(&r->rng, 0, step)))
        tr_add(r->round, TR_SNAPSHOTS);
    if (!hold(r, snapshot, step))
        anonset_snapshot_close(snapshot);
}

static bool begin(reader *r, tr_round *round, uint64_t seed)
{
    *r = (reader){.round = round, .rng = {seed}};
    if (as_digest_new(&r->digest, NULL) == ANONSET_OK)
        return true;
    tr_bad(round, "no digest");
    return false;
}

/* Until the round is over; at most so many snapshots. */
static void read_some(reader *r, uint32_t most)
{
    for (uint32_t i = 0; i < most && !atomic_load(&r->round->board->over); i++) {
        check_one(r);
        check_used(r);
        look_at_held(r);
    }
    close_held(r);
}

void tr_read(tr_round *round, anonset_store *store, uint64_t seed)
{
    reader r;
    if (!begin(&r, round, seed))
        return;
    r.store = store;
    read_some(&r, UINT32_MAX);
    as_digest_free(r.digest);
}

void tr_read_anew(tr_round *round, uint64_t seed)
{
    reader r;
    if (!begin(&r, round, seed))
        return;
    while (!atomic_load(&round->board->over)) {
        unsigned flags = tw_chance(&r.rng, .5) ? ANONSET_STORE_READ_ONLY : 0;
        r.store = tr_open(round, round->backend, flags);
        if (!r.store)
            break;
        read_some(&r, tw_between(&r.rng, 1, CHECKS_A_HANDLE));
        anonset_store_close(r.store);
    }
    as_digest_free(r.digest);
}

void tr_read_last(tr_round *round, anonset_store *store)
{
    anonset_snapshot *snapshot = NULL;
    reader r;
    if (!begin(&r, round, 0))
        return;
    r.store = store;
    uint32_t step = open_newest(&r, &snapshot);
    if (step != round->n_steps - 1)
        tr_bad(round, "the last set is not there");
    else if (is_whole(&r, snapshot, round->steps[step]))
        tr_add(round, TR_SNAPSHOTS);
    if (step != UINT32_MAX)
        anonset_snapshot_close(snapshot);
    as_digest_free(r.digest);
}
