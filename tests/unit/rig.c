#include "tests/unit/rig.h"

#include "backends/backends.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

world_rig r;
tw_reply rig_other_reply;
static tw_reply reply;
static uint32_t paths;

/* ---- Driving ------------------------------------------------------------------------------ */

static void on_result(void *context, const anonset_result *result)
{
    world_rig *rig = context;
    rig->results++;
    rig->result = *result;
    if (rig->cancel_on_result)
        anonset_sync_cancel(rig->sync);
}

static void on_progress(void *context, const anonset_progress *progress)
{
    world_rig *rig = context;
    if (!progress->restarted && rig->progresses > 0 && progress->group == rig->progress.group)
        cr_assert(progress->position >= rig->progress.position &&
                      progress->size >= rig->progress.size &&
                      progress->bytes >= rig->progress.bytes,
                  "progress went from %u of %u back to %u of %u", rig->progress.position,
                  rig->progress.size, progress->position, progress->size);
    rig->progress = *progress;
    rig->progresses++;
    if (rig->cancel_on_progress)
        anonset_sync_cancel(rig->sync);
}

void rig_open_store(const anonset_backend *backend)
{
    anonset_store_options options;
    char path[40];
    (void)snprintf(path, sizeof path, "sync-test-%u", paths++);
    anonset_store_options_init(&options);
    options.backend = backend;
    cr_assert_eq(anonset_store_open(&r.store, path, &options, NULL), ANONSET_OK);
}

void rig_begin(void)
{
    r.options.on_result = on_result;
    r.options.on_progress = on_progress;
    r.options.context = &r;
    r.steps = r.coins_sent = r.fed = 0;
    r.results = r.progresses = 0;
    cr_assert_eq(anonset_sync_new(&r.sync, r.store, &r.options, NULL), ANONSET_OK);
}

/* A store of nothing, a chain, and a sync begun. */
void rig_set_up_with(const anonset_backend *backend)
{
    memset(&r, 0, sizeof r);
    r.reply = &reply;
    tw_world_init(&r.world, 1);
    r.chain = tw_grow(&r.world, NULL, BLOCKS);
    anonset_sync_options_init(&r.options);
    r.options.sector_size = SECTOR;
    rig_open_store(backend);
    rig_begin();
}

void rig_set_up(void)
{
    rig_set_up_with(&as_backend_memory);
}

void rig_end(void)
{
    anonset_sync_free(r.sync);
    r.sync = NULL;
}

void rig_tear_down(void)
{
    rig_end();
    anonset_store_close(r.store);
    tw_world_free(&r.world);
}

static uint32_t choose(size_t n)
{
    uint32_t k = r.fed++;
    if (k >= FEEDS_MOST)
        return 0;
    r.choices[k] = (uint32_t)n;
    return r.choice[k];
}

void rig_feed_one(void)
{
    const anonset_request *requests;
    size_t n = anonset_sync_outstanding(r.sync, &requests);
    cr_assert_gt(n, 0, "step waits, but nothing is outstanding");
    anonset_request request = requests[choose(n)];
    /* What was fed before may be gone now. */
    memset(r.reply, 0xdd, sizeof *r.reply);
    tw_answer(r.reply, r.chain, &request);
    if (r.lie)
        r.lie(&r, &request, &r.reply->answer);
    if (r.reply->answer.kind == ANONSET_ANSWER_COINS)
        r.coins_sent += r.reply->answer.n;
    cr_assert_eq(anonset_sync_feed(r.sync, &r.reply->answer, NULL), ANONSET_OK);
}

/* One step, and the answer it waits for. */
anonset_step rig_turn(void)
{
    anonset_step step = anonset_sync_step(r.sync, &r.last);
    cr_assert_lt(r.steps++, STEPS_MOST, "the sync does not end");
    if (step == ANONSET_STEP_WAIT)
        rig_feed_one();
    return step;
}

void rig_run(void)
{
    while (rig_turn() != ANONSET_STEP_DONE)
        ;
}

void rig_expect_whole(void)
{
    anonset_verdict verdict;
    cr_assert_eq(r.results, 1);
    cr_assert_eq(r.result.outcome, ANONSET_FINALIZED, "%s: %s",
                 anonset_outcome_name(r.result.outcome), r.result.error.text);
    cr_assert_eq(r.result.error.code, ANONSET_OK);
    cr_assert_eq(r.result.error.os_error, 0);
    cr_assert_str_empty(r.result.error.text);
    cr_assert(as_meta_equal(&r.result.state.finalized, &r.chain->meta));
    cr_assert_arr_eq(r.result.state.digest, r.chain->digest, ANONSET_HASH_BYTES);
    cr_assert_eq(anonset_store_verify(r.store, &verdict, 1, NULL), ANONSET_OK);
    cr_assert(verdict.sound);
}

/* Whatever happened to the sync before, the next one finishes. */
void rig_expect_next_finishes(void)
{
    rig_end();
    rig_begin();
    rig_run();
    if (r.result.outcome != ANONSET_UP_TO_DATE)
        rig_expect_whole();
}
