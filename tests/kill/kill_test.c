/* A slice of what make prove runs. ANONSET_SEED=n begins with another seed. */
#include "config.h"

#include "backends/backends.h"
#include "tests/kill/kill.h"
#include "tests/support/valgrind.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* The sanitizers take five times as long. */
#ifdef ANONSET_SANITIZED
#define KILLS 20
#else
#define KILLS 100
#endif
#define VALGRIND_KILLS 10

static void slice(const anonset_backend *backend)
{
    const char *seed = getenv("ANONSET_SEED");
    tk_limits limits = {.seed = seed ? strtoull(seed, NULL, 10) : 1,
                        .kills = ts_valgrind() ? VALGRIND_KILLS : KILLS,
                        .seconds = ts_box(100)};
    tk_figures figures;
    tk_run(&figures, backend, &limits);
    tk_print(backend->name, &figures);
    cr_assert_eq(figures.bad, 0);
    cr_expect_geq(tk_sum(&figures), limits.kills);
    cr_expect_gt(figures.between, 0, "no kill left pending coins");
}

Test(kill, slice_sqlite, .timeout = 300)
{
    slice(&as_backend_sqlite);
}

Test(kill, slice_lmdb, .timeout = 300)
{
    slice(&as_backend_lmdb);
}
