#include "core/chain.h"

#include "core/alloc.h"
#include "core/coin.h"
#include "core/detail.h"
#include "core/run.h"

#include <string.h>

#define WINDOW         512u /* coins in memory during a search: the deltas of a day and more */
#define GUESSES_MOST   512u /* blocks with a choice on one way; no budget exhausts that many */
#define COINS_A_CHARGE 8u

static anonset_code check_cancelled(const as_chain_source *source, anonset_detail *detail)
{
    if (!atomic_load(source->cancelled))
        return ANONSET_OK;
    return as_fail(detail, ANONSET_CANCELLED, 0, "cancelled; everything committed was kept");
}

/* ---- Cuts --------------------------------------------------------------------------------- */

/* Coins that never step up: what lies between two certain boundaries. */
struct run {
    uint32_t start, n;
    uint8_t last[AS_COIN_BYTES]; /* the coin before */
    uint8_t (*tx)[ANONSET_HASH_BYTES];
};

static bool add_cut(as_cuts *cuts, uint32_t position, as_cut_kind kind)
{
    if (cuts->n == AS_CHAIN_CUTS_MOST) {
        cuts->too_many = true;
        return true;
    }
    if (cuts->n == cuts->room) {
        uint32_t room = cuts->room ? 2 * cuts->room : 64;
        as_cut *more = as_realloc(cuts->cut, room * sizeof *more);
        if (!more)
            return false;
        cuts->cut = more;
        cuts->room = room;
    }
    cuts->cut[cuts->n++] = (as_cut){.position = position, .kind = kind};
    cuts->open += kind == AS_CUT_OPEN;
    return true;
}

static uint32_t last_of_tx(const struct run *run, uint32_t i)
{
    uint32_t last = run->n - 1;
    while (last > i && memcmp(run->tx[last], run->tx[i], ANONSET_HASH_BYTES) != 0)
        last--;
    return last;
}

/* The open cuts of a run: where no transaction has coins on both sides. */
static bool end_run(as_cuts *cuts, const struct run *run)
{
    uint32_t reach = 0;
    bool ok = true;
    for (uint32_t i = 0; i < run->n && ok && !cuts->too_many; i++) {
        if (i > reach)
            ok = add_cut(cuts, run->start + i, AS_CUT_OPEN);
        uint32_t last = last_of_tx(run, i);
        if (i == 0 || last > reach)
            reach = last;
    }
    return ok;
}

static bool add_coin(as_cuts *cuts, struct run *run, uint32_t position, const anonset_coin *coin)
{
    bool up = run->n > 0 && memcmp(coin->serialized, run->last, AS_COIN_BYTES) > 0;
    bool ok = true;
    if (up) {
        ok = end_run(cuts, run) && add_cut(cuts, position, AS_CUT_BOUNDARY);
        run->n = 0;
    }
    if (run->n == AS_CHAIN_RUN_MOST)
        cuts->too_many = true;
    if (!ok || cuts->too_many)
        return ok;
    if (run->n == 0)
        run->start = position;
    memcpy(run->last, coin->serialized, AS_COIN_BYTES);
    memcpy(run->tx[run->n++], coin->tx_hash, ANONSET_HASH_BYTES);
    return true;
}

static anonset_code read_cuts(as_cuts *cuts, struct run *run, const as_chain_source *source,
                              anonset_detail *detail)
{
    uint32_t at = cuts->from;
    bool ok = true;
    while (at < cuts->to && ok && !cuts->too_many && !cuts->no_layout) {
        anonset_run coins;
        anonset_code code = check_cancelled(source, detail);
        if (code == ANONSET_OK)
            code = as_run_read(&coins, source->backend, source->snapshot, at, detail);
        if (code != ANONSET_OK)
            return code;
        for (uint32_t i = at - coins.start; i < coins.n && at < cuts->to && ok; i++, at++) {
            cuts->no_layout |= coins.coins[i].serialized_len < AS_COIN_BYTES;
            if (cuts->no_layout)
                break;
            ok = add_coin(cuts, run, at, &coins.coins[i]);
        }
    }
    if (ok)
        ok = end_run(cuts, run);
    return ok ? ANONSET_OK : as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for block ends");
}

anonset_code as_cuts_read(as_cuts *cuts, const as_chain_source *source, uint32_t from, uint32_t to,
                          anonset_detail *detail)
{
    struct run run = {.n = 0};
    anonset_code code;
    *cuts = (as_cuts){.from = from, .to = to};
    run.tx = as_alloc(AS_CHAIN_RUN_MOST * sizeof *run.tx);
    if (!run.tx)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for a run of tx hashes");
    code = read_cuts(cuts, &run, source, detail);
    as_free(run.tx);
    return code;
}

void as_cuts_free(as_cuts *cuts)
{
    as_free(cuts->cut);
    *cuts = (as_cuts){.n = 0};
}

void as_cuts_decide(as_cuts *cuts, uint32_t i, bool boundary)
{
    cuts->cut[i].kind = boundary ? AS_CUT_BOUNDARY : AS_CUT_INSIDE;
    cuts->open--;
}

void as_cuts_drop_inside(as_cuts *cuts)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < cuts->n; i++)
        if (cuts->cut[i].kind != AS_CUT_INSIDE)
            cuts->cut[kept++] = cuts->cut[i];
    cuts->n = kept;
}

/* ---- Search ------------------------------------------------------------------------------- */

/* The set hash at a point of the way. */
struct state {
    bool has_hash, first_free;
    uint8_t hash[ANONSET_HASH_BYTES];
};

/* A block with more than one end to try. */
struct guess {
    uint32_t begin, end; /* points; `end` is the one tried last */
    struct state before;
};

struct search {
    const as_cuts *cuts;
    const as_chain_source *source;
    anonset_detail *detail;
    uint64_t *budget;
    bool broke; /* the budget did not suffice */
    uint32_t guesses;
    struct guess guess[GUESSES_MOST];
    uint32_t window_start, window_n;
    uint8_t window[WINDOW][AS_COIN_BYTES];
};

/* Points are the start, the cuts and the end. */
static uint32_t last_point(const as_cuts *cuts)
{
    return cuts->n + 1;
}

static uint32_t position_of(const as_cuts *cuts, uint32_t point)
{
    if (point == 0)
        return cuts->from;
    return point > cuts->n ? cuts->to : cuts->cut[point - 1].position;
}

static uint32_t certain_after(const as_cuts *cuts, uint32_t point)
{
    do
        point++;
    while (point <= cuts->n && cuts->cut[point - 1].kind == AS_CUT_OPEN);
    return point;
}

/* Loads coins around `position`, half of them below it: blocks are read downwards, and searched
 * upwards. */
static anonset_code load_window(struct search *s, uint32_t position)
{
    const as_cuts *cuts = s->cuts;
    uint32_t start = position - cuts->from > WINDOW / 2 ? position - WINDOW / 2 : cuts->from;
    uint32_t end = cuts->to - start > WINDOW ? start + WINDOW : cuts->to;
    anonset_code code = ANONSET_OK;
    s->window_start = start;
    s->window_n = 0;
    while (start < end && code == ANONSET_OK) {
        anonset_run run;
        code = as_run_read(&run, s->source->backend, s->source->snapshot, start, s->detail);
        for (uint32_t i = start - run.start; code == ANONSET_OK && i < run.n && start < end; i++) {
            memcpy(s->window[s->window_n++], run.coins[i].serialized, AS_COIN_BYTES);
            start++;
        }
    }
    return code;
}

static anonset_code hashed(const struct search *s, anonset_code code)
{
    return code == ANONSET_OK ? code : as_fail(s->detail, code, 0, "the crypto library failed");
}

static anonset_code add_coins(struct search *s, uint32_t begin, uint32_t end)
{
    anonset_code code = ANONSET_OK;
    while (end > begin && code == ANONSET_OK) {
        uint32_t at = --end;
        if (at < s->window_start || at - s->window_start >= s->window_n)
            code = load_window(s, at);
        if (code == ANONSET_OK)
            code = hashed(s, as_digest_add(s->source->digest, s->window[at - s->window_start],
                                           AS_COIN_BYTES));
    }
    return code;
}

/* Whether the block may be hashed: what has no other way is free. */
static bool pay(struct search *s, uint32_t coins)
{
    uint64_t cost = 1 + coins / COINS_A_CHARGE;
    if (s->guesses == 0)
        return true;
    s->broke = *s->budget < cost;
    *s->budget -= s->broke ? 0 : cost;
    return !s->broke;
}

static anonset_code hash_block(struct search *s, struct state *state, uint32_t begin, uint32_t end)
{
    anonset_code code = check_cancelled(s->source, s->detail);
    if (code != ANONSET_OK)
        return code;
    if (state->first_free) {
        state->first_free = false;
        return ANONSET_OK;
    }
    if (!pay(s, end - begin))
        return ANONSET_OK;
    code = hashed(s, as_digest_start(s->source->digest));
    if (code == ANONSET_OK && state->has_hash)
        code = hashed(s, as_digest_add(s->source->digest, state->hash, ANONSET_HASH_BYTES));
    if (code == ANONSET_OK)
        code = add_coins(s, begin, end);
    if (code == ANONSET_OK)
        code = hashed(s, as_digest_end_twice(s->source->digest, state->hash));
    state->has_hash = true;
    return code;
}

static anonset_code take_block(struct search *s, struct state *state, uint32_t *point, uint32_t end)
{
    uint32_t begin = *point;
    *point = end;
    return hash_block(s, state, position_of(s->cuts, begin), position_of(s->cuts, end));
}

/* The longest block first: most steps down are none. */
static anonset_code go_on(struct search *s, struct state *state, uint32_t *point)
{
    uint32_t end = certain_after(s->cuts, *point);
    if (end > *point + 1) {
        s->broke = s->guesses == GUESSES_MOST;
        if (s->broke)
            return ANONSET_OK;
        s->guess[s->guesses++] = (struct guess){.begin = *point, .end = end, .before = *state};
    }
    return take_block(s, state, point, end);
}

static anonset_code go_back(struct search *s, struct state *state, uint32_t *point)
{
    struct guess *guess = &s->guess[s->guesses - 1];
    uint32_t end = --guess->end;
    *state = guess->before;
    *point = guess->begin;
    anonset_code code = take_block(s, state, point, end);
    if (end == guess->begin + 1)
        s->guesses--;
    return code;
}

static bool is_there(const struct search *s, const struct state *state, uint32_t point,
                     const uint8_t *set_hash)
{
    return point == last_point(s->cuts) && state->has_hash &&
           memcmp(state->hash, set_hash, ANONSET_HASH_BYTES) == 0;
}

static anonset_code search(struct search *s, struct state state, as_chain_verdict *verdict,
                           const uint8_t *set_hash)
{
    uint32_t point = s->cuts->from == s->cuts->to ? last_point(s->cuts) : 0;
    anonset_code code = ANONSET_OK;
    while (code == ANONSET_OK && !s->broke && !is_there(s, &state, point, set_hash)) {
        if (point < last_point(s->cuts)) {
            code = go_on(s, &state, &point);
        } else if (s->guesses > 0) {
            code = go_back(s, &state, &point);
        } else {
            *verdict = AS_CHAIN_NONE;
            return ANONSET_OK;
        }
    }
    *verdict = s->broke ? AS_CHAIN_BUDGET : AS_CHAIN_FOUND;
    return code;
}

/* Blocks with a choice on the first way, which would not even get to its end. */
static bool has_too_many_guesses(const as_cuts *cuts)
{
    uint32_t guesses = 0;
    bool open = false;
    for (uint32_t i = 0; i < cuts->n; i++) {
        guesses += open && cuts->cut[i].kind != AS_CUT_OPEN;
        open = cuts->cut[i].kind == AS_CUT_OPEN;
    }
    return guesses + open > GUESSES_MOST;
}

anonset_code as_chain_search(as_chain_verdict *verdict, const as_cuts *cuts,
                             const as_chain_source *source, const as_chain_start *start,
                             const uint8_t *set_hash, uint64_t *budget, anonset_detail *detail)
{
    struct state state = {.has_hash = start->has_hash, .first_free = start->first_free};
    struct search *s;
    anonset_code code;
    *verdict = cuts->no_layout ? AS_CHAIN_NONE : AS_CHAIN_BUDGET;
    if (cuts->no_layout || cuts->too_many || has_too_many_guesses(cuts))
        return ANONSET_OK;
    s = as_alloc(sizeof *s);
    if (!s)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory to search block ends");
    s->cuts = cuts;
    s->source = source;
    s->detail = detail;
    s->budget = budget;
    s->broke = false;
    s->guesses = s->window_start = s->window_n = 0;
    memcpy(state.hash, start->hash, sizeof state.hash);
    code = search(s, state, verdict, set_hash);
    as_free(s);
    return code;
}
