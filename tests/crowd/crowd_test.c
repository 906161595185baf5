/* A slice of what make prove runs. ANONSET_SEED=n begins with another seed. */
#include "config.h"

#include "tests/crowd/crowd.h"
#include "tests/support/valgrind.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* The sanitizers take five times as long. */
#ifdef ANONSET_SANITIZED
#define PROGRAMS 60
#else
#define PROGRAMS 200
#endif
#define VALGRIND_PROGRAMS 12

static void slice(const char *backend)
{
    const char *seed = getenv("ANONSET_SEED");
    tm_limits limits = {.seed = seed ? strtoull(seed, NULL, 10) : 1,
                        .programs = ts_valgrind() ? VALGRIND_PROGRAMS : PROGRAMS};
    tm_figures figures;
    tm_run(&figures, backend, &limits);
    tm_print(backend, &figures);
    cr_assert_eq(figures.bad, 0);
    cr_expect_geq(figures.programs, limits.programs);
    cr_expect_gt(figures.killed, 0);
    cr_expect_gt(figures.moves, 0);
}

Test(crowd, slice_sqlite, .timeout = 300)
{
    slice("sqlite");
}

Test(crowd, slice_lmdb, .timeout = 300)
{
    slice("lmdb");
}
