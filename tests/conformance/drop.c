/* drop and mend: what a repair and the sync behind it write. */
#include "core/coin.h"
#include "tests/conformance/kit.h"

#include <string.h>

#define SIZE 900u

/* A backend may leave the two out. */
static bool has_both(const subject *s)
{
    MUST(!s->backend->drop == !s->backend->mend);
    if (!s->backend->drop)
        kit_skip(s, "it cannot drop damaged coins");
    return s->backend->drop != NULL;
}

/* The damage is the run of a view that holds `position`. */
static anonset_damage damage_at(const subject *s, const ts_chain *chain, anonset_view view,
                                uint32_t position)
{
    anonset_damage d = {.group = 1, .pending = view == ANONSET_VIEW_NEXT};
    anonset_state state;
    anonset_run run;
    void *snapshot;
    GIVES(ANONSET_OK, s->backend->snapshot_open(s->handle, &snapshot, &state, 1, view, NULL));
    GIVES(ANONSET_OK, s->backend->read(snapshot, &run, position, NULL));
    d.from = run.start;
    d.to = run.start + run.n;
    s->backend->snapshot_close(snapshot);
    memcpy(d.digest, d.pending ? state.pending_digest : state.digest, sizeof d.digest);
    memcpy(d.before, chain->digests[d.from], sizeof d.before);
    memcpy(d.after, chain->digests[d.to], sizeof d.after);
    return d;
}

static anonset_code drop(const subject *s, const anonset_damage *d)
{
    return s->backend->drop(s->handle, d, NULL);
}

static anonset_code mend(const subject *s, const ts_chain *chain, const anonset_damage *d,
                         uint32_t start, uint32_t n)
{
    anonset_meta none = {.size = 0};
    anonset_append a = kit_sector(1, chain, &none, d->from, start, n);
    return s->backend->mend(s->handle, &a, NULL);
}

static anonset_state with_hole(anonset_state state, const ts_chain *chain, const anonset_damage *d,
                               uint32_t filled)
{
    state.has_hole = true;
    state.hole_from = d->from;
    state.hole_to = d->to;
    state.hole_filled = filled;
    memcpy(state.hole_before, chain->digests[d->from], sizeof state.hole_before);
    memcpy(state.hole_digest, chain->digests[d->from + filled], sizeof state.hole_digest);
    memcpy(state.hole_after, chain->digests[d->to], sizeof state.hole_after);
    return state;
}

/* Every position of the finalized view: what is missing is CORRUPT, the rest as appended. */
static void shows_all_but(const subject *s, const ts_chain *chain, uint32_t size, uint32_t from,
                          uint32_t to)
{
    anonset_state state;
    anonset_run run;
    void *snapshot;
    GIVES(ANONSET_OK,
          s->backend->snapshot_open(s->handle, &snapshot, &state, 1, ANONSET_VIEW_FINALIZED, NULL));
    for (uint32_t at = 0; at < size; at++) {
        if (at >= from && at < to) {
            GIVES(ANONSET_CORRUPT, s->backend->read(snapshot, &run, at, NULL));
            if (s->backend->read_tags)
                GIVES(ANONSET_CORRUPT, s->backend->read_tags(snapshot, &run, at, NULL));
            continue;
        }
        GIVES(ANONSET_OK, s->backend->read(snapshot, &run, at, NULL));
        MUST(run.start <= at && at - run.start < run.n);
        MUST(run.start >= to || run.start + run.n <= from);
        MUST(as_coin_equal(&run.coins[at - run.start], &chain->coins[at]));
        MUST(!run.has_digest ||
             memcmp(run.digest, chain->digests[run.start + run.n], ANONSET_HASH_BYTES) == 0);
    }
    s->backend->snapshot_close(snapshot);
}

/* Two finalized states, the second with a replaced tail, so that rows are cut. */
static ts_chain *make_set(subject *s, anonset_state *state)
{
    ts_chain *old = kit_chain(s, 1, SIZE), *chain = kit_fork(s, old, 401, 2, SIZE);
    anonset_meta meta = ts_chain_meta(chain, SIZE);
    kit_finalize(s, 1, old, 0, 300);
    kit_finalize(s, 1, old, 300, 700);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 401, 401, SIZE - 401));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, SIZE - 401, ANONSET_GATE_COUNT));
    *state = kit_finalized(chain, &meta, ANONSET_GATE_COUNT);
    return chain;
}

CASE(dropping_damaged_coins_leaves_a_hole_that_is_mended)
{
    static const uint32_t places[] = {0, 250, 400, 401, 650, SIZE - 1};
    anonset_state state;
    anonset_checkpoint got[4];
    if (!has_both(s))
        return;
    ts_chain *chain = make_set(s, &state);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        anonset_damage d = damage_at(s, chain, ANONSET_VIEW_FINALIZED, places[i]);
        uint32_t half = (d.to - d.from) / 2;
        GIVES(ANONSET_OK, drop(s, &d));
        STATE_IS(1, with_hole(state, chain, &d, 0));
        shows_all_but(s, chain, SIZE, d.from, d.to);
        kit_reopen(s, 0);
        if (half > 0)
            GIVES(ANONSET_OK, mend(s, chain, &d, d.from, half));
        STATE_IS(1, with_hole(state, chain, &d, half));
        shows_all_but(s, chain, SIZE, d.from + half, d.to);
        for (uint32_t at = d.from + half; at < d.to; at += 100)
            GIVES(ANONSET_OK, mend(s, chain, &d, at, d.to - at < 100 ? d.to - at : 100));
        STATE_IS(1, state);
        kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, SIZE);
        MUST(kit_checkpoints(s, 1, got, 4) == 2);
    }
    kit_reopen(s, 0);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, SIZE);
}

CASE(only_the_coins_that_were_there_close_a_hole)
{
    anonset_state state;
    anonset_meta none = {.size = 0};
    if (!has_both(s))
        return;
    ts_chain *chain = make_set(s, &state), *other = kit_fork(s, chain, 250, 3, SIZE);
    anonset_damage d = damage_at(s, chain, ANONSET_VIEW_FINALIZED, 250), bent = d;
    REFUSED(ANONSET_STALE, 1, mend(s, chain, &d, d.from, 1)); /* there is no hole */
    bent.digest[0] ^= 1;
    REFUSED(ANONSET_STALE, 1, drop(s, &bent)); /* of another set */
    bent = d;
    bent.to = bent.from;
    REFUSED(ANONSET_STALE, 1, drop(s, &bent));
    bent = d;
    bent.pending = true;
    REFUSED(ANONSET_STALE, 1, drop(s, &bent)); /* nothing is pending */
    bent = d;
    bent.group = 2;
    REFUSED(ANONSET_STALE, 2, drop(s, &bent));
    GIVES(ANONSET_OK, drop(s, &d));
    uint32_t n = d.to - d.from;
    REFUSED(ANONSET_STALE, 1, mend(s, other, &d, d.from, n)); /* they lead elsewhere */
    REFUSED(ANONSET_STALE, 1, mend(s, chain, &d, d.from, n + 1));
    REFUSED(ANONSET_STALE, 1, mend(s, chain, &d, d.from + 1, n - 1));
    REFUSED(ANONSET_STALE, 1, mend(s, chain, &d, d.from, 0));
    anonset_append a = kit_sector(1, chain, &none, d.from + 1, d.from, n);
    REFUSED(ANONSET_STALE, 1, s->backend->mend(s->handle, &a, NULL));
    a = kit_sector(1, chain, &none, d.from, d.from, n);
    a.digest_before[5] ^= 1;
    REFUSED(ANONSET_STALE, 1, s->backend->mend(s->handle, &a, NULL));
    GIVES(ANONSET_OK, mend(s, chain, &d, d.from, n));
    STATE_IS(1, state);
}

CASE(a_hole_is_widened_and_begun_anew)
{
    anonset_state state;
    if (!has_both(s))
        return;
    ts_chain *chain = make_set(s, &state);
    anonset_damage d = damage_at(s, chain, ANONSET_VIEW_FINALIZED, 250);
    ts_chain *other = kit_fork(s, chain, d.from, 3, SIZE);
    anonset_damage high = damage_at(s, chain, ANONSET_VIEW_FINALIZED, 650), wide = d;
    wide.to = high.to;
    memcpy(wide.after, high.after, sizeof wide.after);
    GIVES(ANONSET_OK, drop(s, &d));
    REFUSED(ANONSET_STALE, 1, drop(s, &high)); /* it leaves the hole out */
    if (d.to - d.from > 1)
        GIVES(ANONSET_OK, mend(s, other, &d, d.from, 1)); /* false, which is seen at the end */
    GIVES(ANONSET_OK, drop(s, &d));
    STATE_IS(1, with_hole(state, chain, &d, 0));
    GIVES(ANONSET_OK, drop(s, &wide));
    STATE_IS(1, with_hole(state, chain, &wide, 0));
    shows_all_but(s, chain, SIZE, wide.from, wide.to);
    GIVES(ANONSET_OK, mend(s, chain, &wide, wide.from, wide.to - wide.from));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, SIZE);
}

CASE(a_replacement_takes_a_hole_away)
{
    anonset_state state;
    if (!has_both(s))
        return;
    ts_chain *chain = make_set(s, &state), *new = kit_fork(s, chain, 100, 4, SIZE + 50);
    ts_chain *more = kit_fork(s, chain, SIZE, 5, SIZE + 50);
    anonset_meta next = ts_chain_meta(new, SIZE + 50), grown = ts_chain_meta(more, SIZE + 50);
    anonset_damage d = damage_at(s, chain, ANONSET_VIEW_FINALIZED, 250);
    GIVES(ANONSET_OK, drop(s, &d));
    GIVES(ANONSET_OK, kit_append(s, 1, more, &grown, SIZE, SIZE, 50));
    REFUSED(ANONSET_STALE, 1, kit_complete(s, 1, more, &grown, 50, ANONSET_GATE_COUNT));
    REFUSED(ANONSET_STALE, 1,
            kit_complete(s, 1, chain, &state.finalized, 0, ANONSET_GATE_SET_HASH));
    GIVES(ANONSET_OK, s->backend->discard_incomplete(s->handle, 1, NULL));
    STATE_IS(1, with_hole(state, chain, &d, 0));
    uint32_t base = d.from < 100 ? d.from : 100;
    GIVES(ANONSET_OK, kit_append(s, 1, new, &next, base, base, SIZE + 50 - base));
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &next, SIZE + 50 - base, ANONSET_GATE_COUNT));
    STATE_IS(1, kit_finalized(new, &next, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, SIZE + 50);
}

CASE(a_damaged_pending_set_is_cut_back)
{
    anonset_state state;
    if (!has_both(s))
        return;
    ts_chain *chain = make_set(s, &state), *new = kit_fork(s, chain, 350, 5, SIZE + 300);
    anonset_meta next = ts_chain_meta(new, SIZE + 300);
    for (uint32_t at = 350; at < SIZE + 200; at += 85)
        GIVES(ANONSET_OK, kit_append(s, 1, new, &next, 350, at, 85));
    uint32_t count = kit_state(s, 1).count;
    anonset_damage d = damage_at(s, new, ANONSET_VIEW_NEXT, 800);
    REFUSED(ANONSET_STALE, 1, drop(s, &d)); /* not to the end */
    d.to = 350 + count;
    GIVES(ANONSET_OK, drop(s, &d));
    STATE_IS(1, kit_pending(state, new, &next, 350, d.from - 350));
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, new, d.from);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, SIZE);
    kit_reopen(s, 0);
    GIVES(ANONSET_OK, kit_append(s, 1, new, &next, 350, d.from, SIZE + 300 - d.from));
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &next, SIZE - 50, ANONSET_GATE_COUNT));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, SIZE + 300);
}
