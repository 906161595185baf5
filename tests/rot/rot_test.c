/*
 * A slice of what make prove runs: no bit that flips is silent, and none ends in a signal.
 *
 * ANONSET_SEED=n begins with another seed; a bad image is told with its own.
 */
#include "backends/backends.h"
#include "tests/rot/rot.h"
#include "tests/support/valgrind.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define RUNS_MOST 10 /* where a slow machine comes to few images, chance may leave out a kind */

static void slice(const anonset_backend *backend)
{
    const char *seed = getenv("ANONSET_SEED");
    tr_limits some = {.seed = seed ? strtoull(seed, NULL, 10) : 1,
                      .images = 900,
                      .seconds = ts_box(9),
                      .flip = TR_NO_FLIP};
    unsigned long repaired = 0, rebuilt = 0;
    for (int i = 0; i < RUNS_MOST && (repaired == 0 || rebuilt == 0); i++, some.seed += 2) {
        tr_figures f;
        cr_assert(tr_run(&f, backend, &some));
        tr_print(backend->name, &f);
        cr_assert_eq(f.silent + f.signals, 0);
        repaired += f.repaired;
        rebuilt += f.rebuilt;
    }
    cr_assert_gt(repaired, 0, "nothing was ever repaired");
    cr_assert_gt(rebuilt, 0, "nothing was ever made anew");
}

Test(rot, sqlite_is_never_silent)
{
    slice(&as_backend_sqlite);
}

Test(rot, lmdb_is_never_silent)
{
    slice(&as_backend_lmdb);
}
