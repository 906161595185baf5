/* Syncs with the model of the node, perhaps in competition. */
#include "tests/readers/round.h"

#include <stdlib.h>

#define TRIES_MOST                                                                                 \
    20000u          /* syncs without the last step being finalized: the round does not end         \
                     */
#define BUDGET 256u /* of proofs: some sets reach level SET_HASH, some do not */

typedef struct writer {
    tr_round *round;
    anonset_store *store;
    tw_rng rng;
    uint32_t last;   /* the last step */
    uint32_t server; /* the step that the server had when the sync began */
    tw_reply reply;
} writer;

/* ---- A backend that counts ------------------------------------------------------------------ */

static tr_round *counted;

static anonset_code count(anonset_code code)
{
    if (code == ANONSET_STALE)
        tr_add(counted, TR_STALE);
    if (code == ANONSET_BUSY)
        tr_add(counted, TR_BUSY);
    return code;
}

static anonset_code append(void *handle, const anonset_append *a, anonset_detail *detail)
{
    return count(counted->backend->append_sector(handle, a, detail));
}

static anonset_code complete(void *handle, const anonset_complete *c, anonset_detail *detail)
{
    return count(counted->backend->mark_complete(handle, c, detail));
}

static anonset_code discard(void *handle, uint32_t group, anonset_detail *detail)
{
    return count(counted->backend->discard_incomplete(handle, group, detail));
}

const anonset_backend *tr_counting(tr_round *round)
{
    static anonset_backend backend;
    counted = round;
    backend = *round->backend;
    backend.append_sector = append;
    backend.mark_complete = complete;
    backend.discard_incomplete = discard;
    return &backend;
}

/* ---- The server ----------------------------------------------------------------------------- */

/* Goes one step on, if the server still is at `from`. */
static void go_on_from(writer *w, uint32_t from)
{
    unsigned at = from;
    if (from < w->last)
        (void)atomic_compare_exchange_strong(&w->round->board->server, &at, from + 1);
}

/* In the midst of a sync: not where the store is to be cleared. */
static void go_on_perhaps(writer *w)
{
    tr_round *round = w->round;
    uint32_t at = atomic_load(&round->board->server);
    if (at < w->last && round->steps[at] && round->steps[at + 1] && tw_chance(&w->rng, .02))
        go_on_from(w, at);
}

static void acknowledge(writer *w, uint32_t step)
{
    unsigned known = atomic_load(&w->round->board->acked);
    while (known < step && !atomic_compare_exchange_weak(&w->round->board->acked, &known, step))
        ;
}

/* ---- A sync --------------------------------------------------------------------------------- */

static void count_result(writer *w, const anonset_result *result)
{
    tr_add(w->round, TR_SYNCS);
    if (result->outcome == ANONSET_FINALIZED)
        tr_add(w->round, TR_FINALIZED);
    if (result->outcome == ANONSET_FINALIZED && result->replaced > 0)
        tr_add(w->round, TR_REPLACED);
    if (result->outcome == ANONSET_REANCHORED)
        tr_add(w->round, TR_REANCHORED);
}

/* A server whose chain changes again and again ends a sync, and so does another writer that is
 * ahead of what this one was told, or in the midst of a commit: the next sync goes on. */
static bool may_end_so(const writer *w, anonset_outcome outcome)
{
    bool shared = w->round->cast != TR_ONE_WRITER;
    if (outcome == ANONSET_NETWORK_ERROR)
        return atomic_load(&w->round->board->server) >= w->server + 2;
    return shared && (outcome == ANONSET_STORE_BUSY || outcome == ANONSET_REMOTE_BEHIND);
}

static void on_result(void *context, const anonset_result *result)
{
    writer *w = context;
    count_result(w, result);
    if (result->outcome <= ANONSET_UP_TO_DATE) {
        uint32_t server = atomic_load(&w->round->board->server);
        uint32_t step = tr_step_of(w->round, &result->state.finalized, server);
        if (step == UINT32_MAX)
            tr_bad(w->round, "a set is finalized that never was");
        else
            acknowledge(w, step);
    } else if (may_end_so(w, result->outcome)) {
        tr_add(w->round, TR_OVERTAKEN);
    } else {
        tr_bad(w->round, "a sync ends as %s: %s", anonset_outcome_name(result->outcome),
               result->error.text);
    }
}

static void on_used(void *context, const anonset_used_result *result)
{
    writer *w = context;
    if (result->outcome > ANONSET_UP_TO_DATE && !may_end_so(w, result->outcome))
        tr_bad(w->round, "a sync of used tags ends as %s: %s",
               anonset_outcome_name(result->outcome), result->error.text);
}

/* One of the answers that are outstanding, by what the server has at this moment. */
static bool answer_one(writer *w, anonset_sync *sync)
{
    const anonset_request *requests;
    size_t n = anonset_sync_outstanding(sync, &requests);
    if (n == 0)
        return false;
    const anonset_request request = requests[tw_between(&w->rng, 0, (uint32_t)n - 1)];
    go_on_perhaps(w);
    tw_answer(&w->reply, w->round->steps[atomic_load(&w->round->board->server)], &request);
    return anonset_sync_feed(sync, &w->reply.answer, NULL) == ANONSET_OK;
}

/* To its end, or given up behind some answers. */
static void sync_once(writer *w)
{
    bool alone = w->round->cast == TR_ONE_WRITER;
    uint32_t answers = tw_chance(&w->rng, .2) ? tw_between(&w->rng, 1, 8) : UINT32_MAX;
    anonset_sync_options options;
    anonset_sync *sync;
    anonset_request request;
    anonset_step step;
    w->server = atomic_load(&w->round->board->server);
    anonset_sync_options_init(&options);
    options.sector_size = tw_between(&w->rng, 1, 1u << tw_between(&w->rng, 1, alone ? 7 : 4));
    options.proof_budget = BUDGET;
    options.used = ANONSET_USED_TOO;
    options.on_used = on_used;
    options.on_result = on_result;
    options.context = w;
    if (anonset_sync_new(&sync, w->store, &options, NULL) != ANONSET_OK) {
        tr_bad(w->round, "no sync can be made");
        return;
    }
    while ((step = anonset_sync_step(sync, &request)) != ANONSET_STEP_DONE) {
        if (step == ANONSET_STEP_SEND)
            continue;
        if (answers-- == 0) {
            tr_add(w->round, TR_GIVEN_UP);
            break;
        }
        if (!answer_one(w, sync)) {
            tr_bad(w->round, "a sync that waits takes no answer");
            break;
        }
    }
    anonset_sync_free(sync);
}

/* One writer alone has no reason to be refused. */
static void clear(writer *w, uint32_t step)
{
    anonset_detail detail = {.code = ANONSET_OK};
    if (anonset_store_clear(w->store, 0, &detail) != ANONSET_OK)
        tr_bad(w->round, "the store cannot be cleared: %s", detail.text);
    tr_add(w->round, TR_CLEARED);
    acknowledge(w, step);
}

/* ---- A round -------------------------------------------------------------------------------- */

static void write_one(writer *w)
{
    tr_board *board = w->round->board;
    uint32_t server = atomic_load(&board->server);
    if (atomic_load(&board->acked) == server)
        go_on_from(w, server);
    server = atomic_load(&board->server);
    if (w->round->steps[server])
        sync_once(w);
    else if (w->round->cast == TR_ONE_WRITER)
        clear(w, server);
}

void tr_write(tr_round *round, anonset_store *store, uint64_t seed)
{
    writer *w = calloc(1, sizeof *w);
    if (!w) {
        tr_bad(round, "no memory");
        return;
    }
    *w = (writer){
        .round = round, .store = store, .rng = {.state = seed}, .last = round->n_steps - 1};
    uint32_t tries = 0;
    while (atomic_load(&round->board->acked) < w->last &&
           atomic_load(&round->board->n[TR_BAD]) == 0) {
        write_one(w);
        if (tries++ == TRIES_MOST)
            tr_bad(round, "writers do not come to an end");
    }
    free(w);
}
