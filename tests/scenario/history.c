#include "tests/scenario/history.h"

#include "tests/support/support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEPS_MOST 20000u

void history_broken(const struct history *h, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    ts_die("%s: %s", h->name, what);
}

/* ---- A backend that dies between any two writes ---------------------------------------------- */

static struct history *current;

static bool dies(void)
{
    struct history *h = current;
    if (!tw_chance(h->rng, h->trouble.kill))
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
    return dies() ? ANONSET_IO : after(current->backend->append_sector(handle, append, detail));
}

static anonset_code dying_complete(void *handle, const anonset_complete *complete,
                                   anonset_detail *detail)
{
    return dies() ? ANONSET_IO : after(current->backend->mark_complete(handle, complete, detail));
}

static anonset_code dying_discard(void *handle, uint32_t group, anonset_detail *detail)
{
    return dies() ? ANONSET_IO : after(current->backend->discard_incomplete(handle, group, detail));
}

static anonset_code dying_used(void *handle, const anonset_used_append *append,
                               anonset_detail *detail)
{
    return dies() ? ANONSET_IO : after(current->backend->used_append(handle, append, detail));
}

void history_open(struct history *h)
{
    anonset_backend dying = *h->backend;
    anonset_store_options options;
    anonset_detail detail = {.code = ANONSET_OK};
    dying.append_sector = dying_append;
    dying.mark_complete = dying_complete;
    dying.discard_incomplete = dying_discard;
    dying.used_append = dying_used;
    anonset_store_options_init(&options);
    options.backend = &dying;
    HISTORY_HOLDS(h, anonset_store_open(&h->store, h->path, &options, &detail) == ANONSET_OK, "%s",
                  detail.text);
}

void history_remove(struct history *h)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock", "-writer-lock"};
    HISTORY_HOLDS(h, anonset_store_clear(h->store, 0, NULL) == ANONSET_OK, "clear");
    anonset_store_close(h->store);
    h->store = NULL;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[192];
        (void)snprintf(name, sizeof name, "%s%s", h->path, suffixes[i]);
        (void)unlink(name); /* most are not there */
    }
}

/* ---- A server with moods --------------------------------------------------------------------- */

/* The chain may change, or the process die, before any answer. */
static bool tick(struct history *h)
{
    if (tw_chance(h->rng, h->trouble.mid)) {
        const tw_chain *next = h->move(h, h->server[h->which]);
        if (next)
            h->server[h->which] = next;
        h->disturbed = true;
    }
    if (tw_chance(h->rng, h->trouble.kill))
        h->killed = h->disturbed = true;
    return !h->killed;
}

static bool is_asked(const anonset_request *requests, size_t n, uint32_t id)
{
    size_t i = 0;
    while (i < n && requests[i].id != id)
        i++;
    return i < n;
}

static void answer_one(struct history *h, anonset_sync *sync)
{
    const anonset_request *requests;
    size_t n = anonset_sync_outstanding(sync, &requests);
    HISTORY_HOLDS(h, n > 0, "step waits, but nothing is outstanding");
    size_t i = tw_chance(h->rng, .7) ? 0 : tw_between(h->rng, 0, (uint32_t)n - 1);
    tw_answer(&h->reply, h->server[h->which], &requests[i]);
    if (h->reply.answer.kind == ANONSET_ANSWER_COINS)
        h->coins_sent += h->reply.answer.n;
    if (tw_chance(h->rng, h->trouble.lie) && h->lie(h))
        h->disturbed = h->lied = true;
    if (h->seen)
        h->seen(h, &h->reply.answer);
    bool asked = is_asked(requests, n, h->reply.answer.id);
    anonset_code code = anonset_sync_feed(sync, &h->reply.answer, NULL);
    HISTORY_HOLDS(h, code == (asked ? ANONSET_OK : ANONSET_INVALID), "feed answers %s",
                  anonset_strerror(code));
}

static void keep_result(void *context, const anonset_result *result)
{
    struct history *h = context;
    h->result = *result;
}

static void keep_used(void *context, const anonset_used_result *result)
{
    struct history *h = context;
    h->used_ended = result->outcome;
}

static anonset_sync *new_sync(struct history *h, uint32_t sector)
{
    anonset_sync_options options;
    anonset_sync *sync = NULL;
    anonset_sync_options_init(&options);
    options.sector_size = sector;
    options.proof_budget = h->budget;
    options.prove = h->prove;
    options.on_reorg = h->on_reorg;
    options.used = h->used;
    options.on_used = keep_used;
    options.on_result = keep_result;
    options.context = h;
    HISTORY_HOLDS(h, anonset_sync_new(&sync, h->store, &options, NULL) == ANONSET_OK, "no sync");
    return sync;
}

static bool quits(struct history *h, anonset_sync *sync)
{
    if (h->trouble.quit <= 0 || !tw_chance(h->rng, h->trouble.quit))
        return false;
    h->disturbed = true;
    if (tw_chance(h->rng, .5))
        anonset_sync_abort(sync, NULL);
    else
        anonset_sync_cancel(sync);
    return true;
}

static void run_sync(struct history *h, uint32_t sector)
{
    anonset_request request;
    anonset_step step;
    uint32_t steps = 0;
    anonset_sync *sync = new_sync(h, sector);
    h->coins_sent = 0;
    h->result.outcome = h->used_ended = ANONSET_OUTCOME_COUNT;
    while ((step = anonset_sync_step(sync, &request)) != ANONSET_STEP_DONE && !h->killed) {
        HISTORY_HOLDS(h, steps++ < STEPS_MOST, "no end");
        if (step == ANONSET_STEP_SEND || quits(h, sync))
            continue;
        if (tw_chance(h->rng, h->trouble.lie / 4)) {
            h->disturbed = true;
            anonset_sync_reconnect(sync, tw_chance(h->rng, .5));
        } else if (tick(h)) {
            answer_one(h, sync);
        }
    }
    anonset_sync_free(sync);
    if (h->killed) {
        anonset_store_close(h->store);
        history_open(h);
    }
}

/* ---- What must hold -------------------------------------------------------------------------- */

static void load(struct history *h, anonset_state *state)
{
    HISTORY_HOLDS(h, anonset_store_state(h->store, state, 1, NULL) == ANONSET_OK, "no state");
}

static void load_used(struct history *h, anonset_used_state *state)
{
    anonset_used_list *list = NULL;
    HISTORY_HOLDS(h, anonset_used_open(&list, h->store, NULL) == ANONSET_OK, "no list");
    *state = *anonset_used_list_state(list);
    anonset_used_close(list);
}

static void check_used(struct history *h)
{
    const anonset_used_state *before = &h->used_before, *now = &h->used_now;
    HISTORY_HOLDS(h, now->count >= before->count, "the list of used tags got shorter");
    HISTORY_HOLDS(h,
                  h->killed || h->used_ended == ANONSET_FINALIZED ||
                      (now->count == before->count &&
                       memcmp(now->digest, before->digest, ANONSET_HASH_BYTES) == 0),
                  "the list of used tags changed on %s", anonset_outcome_name(h->used_ended));
}

void history_sync(struct history *h, uint32_t which, uint32_t sector, struct trouble trouble)
{
    current = h;
    h->trouble = trouble;
    h->disturbed = h->killed = false;
    h->which = which;
    load(h, &h->before);
    load_used(h, &h->used_before);
    run_sync(h, sector);
    h->trouble = (struct trouble){0};
    load(h, &h->now);
    load_used(h, &h->used_now);
    check_used(h);
    HISTORY_HOLDS(h, h->killed || h->result.outcome < ANONSET_OUTCOME_COUNT, "no result");
    if (h->result.outcome == ANONSET_FINALIZED || h->result.outcome == ANONSET_REANCHORED ||
        h->killed)
        return;
    HISTORY_HOLDS(h,
                  h->now.has_finalized == h->before.has_finalized &&
                      memcmp(&h->now.finalized, &h->before.finalized, sizeof h->now.finalized) ==
                          0 &&
                      memcmp(h->now.digest, h->before.digest, ANONSET_HASH_BYTES) == 0,
                  "the finalized set changed on %s", anonset_outcome_name(h->result.outcome));
}

void history_is_sound(struct history *h)
{
    anonset_verdict verdict;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_code code = anonset_store_verify(h->store, &verdict, 1, &detail);
    HISTORY_HOLDS(h, code == ANONSET_NOT_FOUND || (code == ANONSET_OK && verdict.sound),
                  "stored coins contradict their digest: %s", detail.text);
    anonset_used_list *list = NULL;
    bool sound = false;
    HISTORY_HOLDS(h,
                  anonset_used_open(&list, h->store, &detail) == ANONSET_OK &&
                      anonset_used_verify(list, &sound, &detail) == ANONSET_OK && sound,
                  "stored tags contradict their digest: %s", detail.text);
    anonset_used_close(list);
}

anonset_outcome history_expected(const struct history *h, const tw_chain *held,
                                 const tw_chain *chain)
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
        return h->on_reorg == ANONSET_REORG_KEEP ? ANONSET_REORG_DETECTED : ANONSET_FINALIZED;
    return chain->meta.size == held->meta.size ? ANONSET_REANCHORED : ANONSET_FINALIZED;
}
