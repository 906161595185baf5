/* A slice of what make prove runs. ANONSET_SEED=n begins with another seed. */
#include "config.h"

#include "backends/backends.h"
#include "tests/readers/readers.h"
#include "tests/support/valgrind.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* The sanitizers take five times as long. */
#ifdef ANONSET_SANITIZED
#define SNAPSHOTS 400
#else
#define SNAPSHOTS 2000
#endif

static void slice(const anonset_backend *backend)
{
    const char *seed = getenv("ANONSET_SEED");
    tr_limits limits = {
        .seed = seed ? strtoull(seed, NULL, 10) : 1, .snapshots = SNAPSHOTS, .seconds = ts_box(10)};
    tr_figures figures;
    tr_run(&figures, backend, &limits);
    tr_print(backend->name, &figures);
    cr_assert_eq(tr_sum(&figures, TR_BAD), 0);
    /* What comes behind depends on who runs when. */
    for (tr_count count = TR_SNAPSHOTS; count < TR_OVERTAKEN; count++)
        cr_expect_gt(tr_sum(&figures, count), 0, "none is %s", tr_count_name[count]);
}

Test(readers, slice_sqlite, .timeout = 300)
{
    slice(&as_backend_sqlite);
}

Test(readers, slice_lmdb, .timeout = 300)
{
    slice(&as_backend_lmdb);
}
