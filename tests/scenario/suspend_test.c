/*
 * Between any two calls on a sync the process may be suspended: another process writes to the same
 * store there at once, and the sync has no view of the store open.
 */
#include "backends/backends.h"
#include "tests/support/support.h"
#include "tests/unit/rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OTHER_GROUP 7u
#define SYNCS       8u

/* ---- The other process ---------------------------------------------------------------------- */

typedef struct other {
    pid_t pid;
    int ask, told;   /* pipes: a byte asks for a write, a byte tells its code */
    uint32_t writes; /* so far */
} other;

static const anonset_backend *real;
static char path[300];

/* Opens the store, commits a new target for a group of its own, and closes it. It does not wait for
 * a lock: 1 ms is the least there is. */
static anonset_code write_once(uint32_t number)
{
    const anonset_backend_options options = {.busy_ms = 1};
    anonset_append append = {.group = OTHER_GROUP, .target = {.size = number}};
    void *handle;
    anonset_code code = real->open(&handle, path, &options, NULL);
    if (code != ANONSET_OK)
        return code;
    append.target.block_hash[0] = 1;
    code = real->append_sector(handle, &append, NULL);
    real->close(handle);
    return code;
}

static _Noreturn void serve(int ask, int tell)
{
    uint8_t byte;
    for (uint32_t number = 1; read(ask, &byte, 1) == 1; number++) {
        byte = (uint8_t)write_once(number);
        if (write(tell, &byte, 1) != 1)
            break;
    }
    _exit(0);
}

/* Forked before this process opens a store: no handle is carried along. */
static void start_other(other *o)
{
    int ask[2], told[2];
    cr_assert(pipe(ask) == 0 && pipe(told) == 0);
    *o = (other){.pid = fork(), .ask = ask[1], .told = told[0]};
    cr_assert_geq(o->pid, 0);
    if (o->pid == 0) {
        close(ask[1]);
        close(told[0]);
        serve(ask[0], told[1]);
    }
    close(ask[0]);
    close(told[1]);
}

static void end_other(const other *o)
{
    close(o->ask);
    close(o->told);
    cr_assert_eq(waitpid(o->pid, NULL, 0), o->pid);
}

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

static void between_calls(other *o)
{
    uint8_t told = 0xff;
    cr_assert_eq(views, 0, "a view of the store is open between two calls");
    cr_assert(write(o->ask, "w", 1) == 1 && read(o->told, &told, 1) == 1);
    cr_assert_eq(told, ANONSET_OK, "the other process: %s", anonset_strerror(told));
    o->writes++;
}

static void sync_with_company(other *o)
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

static void expect_both_written(const other *o)
{
    anonset_state state;
    anonset_verdict verdict;
    cr_assert_eq(anonset_store_state(r.store, &state, OTHER_GROUP, NULL), ANONSET_OK);
    cr_expect(state.has_pending && state.target.size == o->writes);
    cr_assert_eq(anonset_store_verify(r.store, &verdict, 1, NULL), ANONSET_OK);
    cr_expect(verdict.sound && verdict.coins > 0);
}

/* A first sync, then growth and reorganizations of all kinds, with proofs by heights. */
static void run(const anonset_backend *backend)
{
    anonset_backend counted = *backend;
    uint32_t finalized = 0;
    ts_dir dir;
    other o;
    real = backend;
    ts_dir_make(&dir);
    snprintf(path, sizeof path, "%s/store", dir.path);
    start_other(&o);
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
    end_other(&o);
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
