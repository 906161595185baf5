/*
 * The harness notices what it is for, and a slice of what make prove runs.
 *
 * ANONSET_SEED=n begins with another seed; a bad image names its own.
 */
#include "tests/crash/crash.h"
#include "tests/support/valgrind.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>

static tc_limits limits(unsigned long states, double seconds)
{
    const char *seed = getenv("ANONSET_SEED");
    return (tc_limits){
        .seed = seed ? strtoull(seed, NULL, 10) : 1, .states = states, .seconds = ts_box(seconds)};
}

/* ---- The harness itself --------------------------------------------------------------------- */

ParameterizedTestParameters(crash, notices)
{
    static tc_engine engines[TC_ENGINES];
    for (tc_engine engine = 0; engine < TC_ENGINES; engine++)
        engines[engine] = engine;
    return cr_make_param_array(tc_engine, engines, TC_ENGINES);
}

/* What each mode must come to: by tests of others, and by what the engines' manuals say. */
ParameterizedTest(const tc_engine *engine, crash, notices)
{
    static const struct {
        bool corrupt, lost;
    } must[TC_ENGINES] = {
        [TC_SQLITE_DELETE_FULL] = {.lost = true},
        [TC_SQLITE_WAL_NORMAL] = {.lost = true},
        [TC_LMDB_NOSYNC] = {.corrupt = true, .lost = true},
        [TC_LMDB_IN_PLACE] = {.corrupt = true, .lost = true},
    };
    tc_subject subject = tc_bare(*engine);
    tc_limits few = limits(800, 20);
    tc_figures f;
    if (ts_valgrind()) /* which reports each of the signals that are looked for here */
        cr_skip_test("signals are what it is about");
    few.quiet = *engine >= TC_SQLITE_DELETE_FULL;
    tc_run(&f, &subject, &few);
    tc_print(&subject, &f);
    cr_assert_eq(f.corrupt[TC_ORDERED] + f.corrupt[TC_STRICT] > 0, must[*engine].corrupt, "%s",
                 subject.name);
    cr_assert_eq(f.lost[TC_ORDERED] + f.lost[TC_STRICT] > 0, must[*engine].lost, "%s",
                 subject.name);
}

/* ---- The stores --------------------------------------------------------------------------- */

static void slice(tc_kind kind, unsigned long states, double seconds)
{
    tc_subject subject = tc_store(kind);
    tc_limits some = limits(states, seconds);
    tc_figures f;
    tc_run(&f, &subject, &some);
    tc_print(&subject, &f);
    cr_assert_gt(f.finished, 0, "the next sync was never tried");
    cr_assert_eq(tc_bad(&f), 0);
}

Test(crash, sqlite_stands_every_image)
{
    slice(TC_SQLITE, 2500, 9);
}

Test(crash, lmdb_stands_every_image)
{
    slice(TC_LMDB, 2500, 9);
}

Test(crash, an_upgrade_stands_every_image)
{
    slice(TC_SQLITE_LEGACY, 1000, 5);
}

Test(crash, sqlite_stands_every_image_after_a_failed_sync)
{
    slice(TC_SQLITE_SYNC_FAILS, 1000, 5);
}

Test(crash, an_upgrade_stands_every_image_after_a_failed_sync)
{
    slice(TC_LEGACY_SYNC_FAILS, 500, 5);
}

Test(crash, lmdb_stands_every_image_after_a_failed_sync)
{
    slice(TC_LMDB_SYNC_FAILS, 1000, 5);
}
