/*
 * Between any two calls on a sync the process may be suspended: another process writes to the same
 * store there at once, and the sync has no view of the store open.
 */
#include "backends/backends.h"
#include "tests/scenario/company.h"
#include "tests/support/support.h"
#include "tests/unit/rig.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define SYNCS 8u

static const anonset_backend *real;
static char path[300];

/* ---- The backend, with its views counted ---------------------------------------------------- */

static int views;

static anonset_code open_here(void **handle, const char *name,
                              const anonset_backend_options *options, anonset_detail *detail)
{
    (void)name;
    return real->open(handle, path, options, detail);
}

static anonset_code snapshot_open(void *handle, void **snapshot, anonset_state *state,
                                  uint32_t group, anonset_view view, anonset_detail *detail)
{
    anonset_code code = real->snapshot_open(handle, snapshot, state, group, view, detail);
    views += code == ANONSET_OK;
    return code;
}

static void snapshot_close(void *snapshot)
{
    views--;
    real->snapshot_close(snapshot);
}

/* ---- The test ------------------------------------------------------------------------------- */

static void between_calls(company *o)
{
    cr_assert_eq(views, 0, "a view of the store is open between two calls");
    company_write(o);
}

static void sync_with_company(company *o)
{
    anonset_step step;
    do {
        between_calls(o);
        step = anonset_sync_step(r.sync, &r.last);
        cr_assert_lt(r.steps++, STEPS_MOST, "the sync does not end");
        between_calls(o);
        if (step == ANONSET_STEP_WAIT)
            rig_feed_one();
    } while (step != ANONSET_STEP_DONE);
    cr_assert_eq(r.results, 1);
    cr_assert(r.result.outcome != ANONSET_STORE_BUSY && r.result.outcome != ANONSET_STORE_ERROR,
              "%s", r.result.error.text);
}

static void expect_both_written(const company *o)
{
    anonset_verdict verdict;
    company_expect_written(o, r.store);
    cr_assert_eq(anonset_store_verify(r.store, &verdict, 1, NULL), ANONSET_OK);
    cr_expect(verdict.sound && verdict.coins > 0);
}

/* A first sync, then growth and reorganizations of all kinds, with proofs by heights. */
static void run(const anonset_backend *backend)
{
    anonset_backend counted = *backend;
    uint32_t finalized = 0;
    ts_dir dir;
    company o;
    real = backend;
    ts_dir_make(&dir);
    snprintf(path, sizeof path, "%s/store", dir.path);
    company_start(&o, real, path);
    counted.open = open_here;
    counted.snapshot_open = snapshot_open;
    counted.snapshot_close = snapshot_close;
    rig_set_up_with(&counted);
    r.options.prove = true;
    for (uint32_t i = 0; i < SYNCS; i++) {
        sync_with_company(&o);
        finalized += r.result.outcome == ANONSET_FINALIZED;
        r.chain = tw_mutate(&r.world, r.chain);
        rig_end();
        rig_begin();
    }
    cr_expect_geq(finalized, 3, "%u", finalized);
    expect_both_written(&o);
    rig_tear_down();
    company_end(&o);
    ts_dir_remove(&dir);
}

Test(suspend, another_process_writes_between_any_two_calls_sqlite, .timeout = 120)
{
    run(&as_backend_sqlite);
}

Test(suspend, another_process_writes_between_any_two_calls_lmdb, .timeout = 120)
{
    run(&as_backend_lmdb);
}
