/*
 * The backends as subjects: a coordinator syncs with the model of the node while the chain grows,
 * is reorganized and mined again, with syncs given up half way, pending sets discarded, handles
 * opened and closed, a second handle on the same store, and all of it cleared.
 */
#include "core/store.h"
#include "core/bytes.h"
#include "core/plan.h"
#include "tests/crash/crash.h"
#include "tests/crash/must.h"
#include "tests/support/play.h"

#include <anonset/backend.h>

#include <sqlite3.h>
#include <string.h>

#define GROUP   1u
#define BUSY_MS 1000u

/* Of the chains, so that one may still grow to its last. */
#define SIZE_MOST   250u
#define BLOCKS_MOST 15u

#define BUDGET 4096u /* of proofs: some sets reach level SET_HASH, some do not */

/* The kinds of writes on a tape, and what some of them were. */
enum {
    CREATED,
    APPENDED,
    RESUMED, /* appended to a pending set that an earlier sync left */
    FINALIZED,
    REPLACED, /* finalized over a tail that was reorganized */
    REANCHORED,
    DISCARDED,
    CLEARED,
    NAMED, /* the network */
};

/* ---- What a store shows --------------------------------------------------------------------- */

static uint64_t add(uint64_t sum, const void *bytes, size_t len)
{
    const uint8_t *in = bytes;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ in[i]) * 0x100000001b3u;
    return sum;
}

static uint64_t add_number(uint64_t sum, uint32_t number)
{
    uint8_t bytes[4];
    as_put32(bytes, number);
    return add(sum, bytes, sizeof bytes);
}

static uint64_t add_meta(uint64_t sum, const anonset_meta *meta)
{
    sum = add(sum, meta->block_hash, sizeof meta->block_hash);
    sum = add(sum, meta->set_hash, sizeof meta->set_hash);
    return add_number(sum, meta->size * 2 + meta->has_set_hash);
}

static uint64_t add_state(uint64_t sum, const anonset_state *state)
{
    sum = add_number(sum, state->has_finalized * 2u + state->has_pending);
    sum = add_number(add_meta(sum, &state->finalized), state->gate);
    sum = add(sum, state->digest, sizeof state->digest);
    sum = add_number(add_number(add_meta(sum, &state->target), state->base), state->count);
    return add(sum, state->pending_digest, sizeof state->pending_digest);
}

static uint64_t add_coin(uint64_t sum, const anonset_coin *coin)
{
    sum = add_number(add_number(sum, coin->serialized_len), coin->context_len);
    sum = add(sum, coin->serialized, coin->serialized_len);
    sum = add(sum, coin->context, coin->context_len);
    return add(sum, coin->tx_hash, ANONSET_HASH_BYTES);
}

static anonset_code add_coins(uint64_t *sum, const anonset_backend *b, void *snapshot,
                              uint32_t size, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    for (uint32_t at = 0; at < size && code == ANONSET_OK;) {
        anonset_run run;
        code = b->read(snapshot, &run, at, detail);
        for (uint32_t i = at; code == ANONSET_OK && i < run.start + run.n && i < size; i++)
            *sum = add_coin(*sum, &run.coins[i - run.start]);
        at = code == ANONSET_OK ? run.start + run.n : at;
    }
    return code;
}

static anonset_code add_checkpoints(uint64_t *sum, const anonset_backend *b, void *snapshot,
                                    anonset_detail *detail)
{
    anonset_checkpoint point;
    anonset_code code = ANONSET_OK;
    for (uint32_t i = 0; code == ANONSET_OK; i++) {
        code = b->checkpoint(snapshot, &point, i, detail);
        if (code != ANONSET_OK)
            break;
        *sum = add_number(add_meta(*sum, &point.meta), point.gate * 2u + point.alias);
        *sum = add(*sum, point.digest, sizeof point.digest);
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

static anonset_code add_view(uint64_t *sum, const anonset_backend *b, void *handle, uint32_t group,
                             anonset_view view, anonset_detail *detail)
{
    anonset_state state;
    void *snapshot;
    anonset_code code = b->snapshot_open(handle, &snapshot, &state, group, view, detail);
    if (code != ANONSET_OK)
        return code;
    bool pending = view == ANONSET_VIEW_NEXT && state.has_pending;
    uint32_t size = pending ? state.base + state.count : state.finalized.size;
    *sum = add_state(*sum, &state);
    code = add_coins(sum, b, snapshot, size, detail);
    if (code == ANONSET_OK)
        code = add_checkpoints(sum, b, snapshot, detail);
    b->snapshot_close(snapshot);
    return code;
}

static anonset_code add_groups(uint64_t *sum, const anonset_backend *b, void *handle,
                               anonset_detail *detail)
{
    uint32_t group = 0;
    anonset_code code = b->next_group(handle, &group, 0, detail);
    while (code == ANONSET_OK) {
        anonset_state state;
        *sum = add_number(*sum, group);
        code = b->load_state(handle, &state, group, detail);
        if (code != ANONSET_OK)
            return code;
        *sum = add_state(*sum, &state);
        code = add_view(sum, b, handle, group, ANONSET_VIEW_FINALIZED, detail);
        if (code == ANONSET_OK)
            code = add_view(sum, b, handle, group, ANONSET_VIEW_NEXT, detail);
        if (code == ANONSET_OK)
            code = b->next_group(handle, &group, group, detail);
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

/* All that can be read of a store, as one number. */
static anonset_code show(uint64_t *shown, const anonset_backend *b, void *handle,
                         anonset_detail *detail)
{
    anonset_store_info info;
    uint64_t sum = 0xcbf29ce484222325u;
    anonset_code code = b->info(handle, &info, detail);
    if (code != ANONSET_OK)
        return code;
    sum = add(sum, info.salt, sizeof info.salt);
    sum = add_number(sum, info.has_genesis);
    sum = add(sum, info.genesis, sizeof info.genesis);
    code = add_groups(&sum, b, handle, detail);
    *shown = sum | 4; /* neither BAD nor ABSENT */
    return code;
}

static uint64_t look(const void *mode, const char *path, char why[TC_WHY])
{
    const anonset_backend *b = mode;
    anonset_backend_options options = {.busy_ms = BUSY_MS};
    anonset_detail detail = {.code = ANONSET_OK};
    uint64_t shown;
    void *handle;
    anonset_code code = b->open(&handle, path, &options, &detail);
    if (code == ANONSET_NOT_FOUND)
        return TC_ABSENT;
    if (code == ANONSET_OK) {
        code = show(&shown, b, handle, &detail);
        b->close(handle);
    }
    (void)snprintf(why, TC_WHY, "%s", detail.text);
    return code == ANONSET_OK ? shown : TC_BAD;
}

/* ---- A backend that tells the tape ---------------------------------------------------------- */

typedef struct recording {
    const anonset_backend *real;
    anonset_backend telling;
    tc_tape *tape;
    tw_world world;
    const tw_chain *chain; /* never gets smaller */
    anonset_store *store;
    anonset_state before; /* of the sync under way */
    bool resumes;
    anonset_outcome outcome;
    tw_reply reply;
} recording;

static recording *current;

static anonset_code acked(anonset_code code, void *handle, unsigned kind)
{
    uint64_t shown = TC_BAD;
    if (code != ANONSET_OK)
        return code;
    size_t at = current->tape->log.n; /* before it is looked at */
    tc_must(show(&shown, current->real, handle, NULL) == ANONSET_OK, "the store can be read");
    tc_must(at == current->tape->log.n, "reading writes nothing");
    tc_write_acked(current->tape, kind, shown);
    return code;
}

static anonset_code telling_open(void **handle, const char *path,
                                 const anonset_backend_options *options, anonset_detail *detail)
{
    anonset_backend_options mine = *options;
    bool creates = current->tape->n_marks == 0;
    memset(mine.salt, (int)current->tape->seed, sizeof mine.salt);
    if (creates)
        tc_write_begins(current->tape);
    anonset_code code = current->real->open(handle, path, &mine, detail);
    return creates ? acked(code, *handle, CREATED) : code;
}

static anonset_code telling_genesis(void *handle, const uint8_t *genesis, anonset_detail *detail)
{
    tc_write_begins(current->tape);
    return acked(current->real->set_genesis(handle, genesis, detail), handle, NAMED);
}

static anonset_code telling_append(void *handle, const anonset_append *append,
                                   anonset_detail *detail)
{
    unsigned kind = current->resumes ? RESUMED : APPENDED;
    current->resumes = false;
    tc_write_begins(current->tape);
    return acked(current->real->append_sector(handle, append, detail), handle, kind);
}

static anonset_code telling_complete(void *handle, const anonset_complete *complete,
                                     anonset_detail *detail)
{
    anonset_state now;
    unsigned kind = FINALIZED;
    tc_must(current->real->load_state(handle, &now, GROUP, NULL) == ANONSET_OK,
            "the state can be read");
    if (now.has_finalized && now.has_pending && now.base < now.finalized.size)
        kind = REPLACED;
    else if (now.has_finalized && complete->target.size == now.finalized.size)
        kind = REANCHORED;
    tc_write_begins(current->tape);
    return acked(current->real->mark_complete(handle, complete, detail), handle, kind);
}

static anonset_code telling_discard(void *handle, uint32_t group, anonset_detail *detail)
{
    tc_write_begins(current->tape);
    return acked(current->real->discard_incomplete(handle, group, detail), handle, DISCARDED);
}

static anonset_code telling_clear(void *handle, uint32_t group, anonset_detail *detail)
{
    tc_write_begins(current->tape);
    return acked(current->real->clear(handle, group, detail), handle, CLEARED);
}

static anonset_store *open_store(recording *r)
{
    anonset_store_options options;
    anonset_store *store = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_store_options_init(&options);
    options.backend = &r->telling;
    tc_must(anonset_store_open(&store, r->tape->path, &options, &detail) == ANONSET_OK,
            detail.text);
    return store;
}

/* ---- Syncs -------------------------------------------------------------------------------- */

/* Syncs with `chain`, up to `answers` answers: then it is given up. */
static anonset_outcome sync_with(anonset_store *store, const tw_chain *chain, uint32_t sector,
                                 uint32_t answers, uint32_t budget, tw_reply *reply)
{
    anonset_result result;
    anonset_sync_options options;
    anonset_sync_options_init(&options);
    options.sector_size = sector;
    options.proof_budget = budget;
    tc_must(tp_sync(&result, store, chain, &options, answers, reply) == ANONSET_OK,
            "a sync can be made, and its answers be fed");
    return result.outcome;
}

static void sync_some(recording *r, anonset_store *store, uint32_t answers)
{
    uint32_t sector = tw_between(&r->world.rng, 1, 1u << tw_between(&r->world.rng, 1, 6));
    tc_must(anonset_store_state(store, &r->before, GROUP, NULL) == ANONSET_OK,
            "the state can be read");
    r->resumes = r->before.has_pending;
    r->outcome = sync_with(store, r->chain, sector, answers, BUDGET, &r->reply);
    tc_must(answers != TP_ALL || r->outcome <= ANONSET_UP_TO_DATE ||
                r->outcome == ANONSET_REMOTE_BEHIND,
            "a sync with an honest server ends well");
}

static void sync_all(recording *r)
{
    sync_some(r, r->store, TP_ALL);
}

/* ---- A history ---------------------------------------------------------------------------- */

static void grow(recording *r)
{
    tw_rng *rng = &r->world.rng;
    if (r->chain && (r->chain->meta.size > SIZE_MOST || r->chain->n > BLOCKS_MOST))
        return;
    r->chain = tw_grow_wide(&r->world, r->chain, tw_between(rng, 1, 2), tw_between(rng, 1, 12));
}

/* Mutates until it comes to what is wanted, or not at all. */
static void look_for(recording *r, bool (*wanted)(const tw_chain *was, const tw_chain *is))
{
    for (int i = 0; i < 20 && r->world.n < 200; i++) {
        const tw_chain *next = tw_mutate(&r->world, r->chain);
        if (next->n > 1 && next->n <= BLOCKS_MOST && next->meta.size <= SIZE_MOST &&
            wanted(r->chain, next)) {
            r->chain = next;
            return;
        }
    }
}

static bool is_reorg(const tw_chain *was, const tw_chain *is)
{
    return is->meta.size >= was->meta.size && !tw_same_coins(was, is, was->meta.size);
}

static bool is_reanchor(const tw_chain *was, const tw_chain *is)
{
    return is->meta.size == was->meta.size && !as_meta_equal(&was->meta, &is->meta) &&
           tw_same_coins(was, is, was->meta.size);
}

static void reopen(recording *r)
{
    anonset_store_close(r->store);
    r->store = open_store(r);
}

/* Another handle writes in between: what it finds in the log is not its own. */
static void sync_by_another(recording *r)
{
    anonset_store *other = open_store(r);
    grow(r);
    sync_some(r, other, tw_between(&r->world.rng, 2, 8));
    sync_all(r);
    grow(r);
    sync_some(r, other, TP_ALL);
    anonset_store_close(other);
}

static void discard(recording *r)
{
    grow(r);
    sync_some(r, r->store, tw_between(&r->world.rng, 3, 9));
    tc_must(r->store->backend->discard_incomplete(r->store->handle, GROUP, NULL) == ANONSET_OK,
            "a pending set can be discarded");
}

static void do_something(recording *r)
{
    tw_rng *rng = &r->world.rng;
    switch (tw_between(rng, 0, 9)) {
    case 0:
    case 1:
        grow(r);
        sync_some(r, r->store, tw_between(rng, 2, 12));
        break;
    case 2:
        reopen(r);
        break;
    case 3:
        sync_by_another(r);
        break;
    case 4:
        discard(r);
        break;
    case 5:
        look_for(r, is_reanchor);
        break;
    case 6:
        if (tw_chance(rng, .3))
            tc_must(anonset_store_clear(r->store, 0, NULL) == ANONSET_OK, "a store can be cleared");
        break;
    default:
        look_for(r, is_reorg);
        break;
    }
    if (tw_chance(rng, .7))
        sync_all(r);
}

static void record(const void *mode, tc_tape *tape)
{
    recording *r = calloc(1, sizeof *r);
    tc_must(r != NULL, "there is memory");
    current = r;
    *r = (recording){.real = mode, .tape = tape};
    r->telling = *r->real;
    r->telling.open = telling_open;
    r->telling.set_genesis = telling_genesis;
    r->telling.append_sector = telling_append;
    r->telling.mark_complete = telling_complete;
    r->telling.discard_incomplete = telling_discard;
    r->telling.clear = telling_clear;
    tw_world_init(&r->world, tape->seed);
    /* The same numbers again for the same seed. */
    (void)sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(tape->seed | 1), (sqlite3 *)NULL);
    r->store = open_store(r);
    grow(r);
    grow(r);
    for (uint32_t i = tw_between(&r->world.rng, 4, 10); i > 0; i--)
        do_something(r);
    anonset_store_close(r->store);
    /* For the next sync on each image: no chain of the tape had as many coins. */
    r->chain = tw_grow_wide(&r->world, r->chain, 1, 4);
    tape->after = r;
}

static void forget(tc_tape *tape)
{
    recording *r = tape->after;
    tw_world_free(&r->world);
    free(r);
}

/* ---- Going on with an image ----------------------------------------------------------------- */

static bool go_on(const tc_tape *tape, const char *path, char why[TC_WHY])
{
    recording *r = tape->after;
    anonset_store_options options;
    anonset_store *store;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_store_options_init(&options);
    options.backend = r->real;
    if (anonset_store_open(&store, path, &options, &detail) != ANONSET_OK) {
        (void)snprintf(why, TC_WHY, "%s", detail.text);
        return false;
    }
    anonset_outcome outcome = sync_with(store, r->chain, 8, TP_ALL, BUDGET / 64, &r->reply);
    bool whole = outcome == ANONSET_FINALIZED && tp_is_whole(store, GROUP, r->chain, why, TC_WHY);
    if (outcome != ANONSET_FINALIZED)
        (void)snprintf(why, TC_WHY, "it ends as %s", anonset_outcome_name(outcome));
    anonset_store_close(store);
    return whole;
}

tc_subject tc_store(const anonset_backend *backend)
{
    return (tc_subject){.name = backend->name,
                        .mode = backend,
                        .write_names = {[CREATED] = "created",
                                        [APPENDED] = "appended",
                                        [RESUMED] = "resumed",
                                        [FINALIZED] = "finalized",
                                        [REPLACED] = "tails replaced",
                                        [REANCHORED] = "re-anchored",
                                        [DISCARDED] = "discarded",
                                        [CLEARED] = "cleared",
                                        [NAMED] = "network set"},
                        .record = record,
                        .look = look,
                        .go_on = go_on,
                        .forget = forget};
}
