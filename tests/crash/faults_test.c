/*
 * A slice of what make prove runs of failing calls, and that a store that lies is noticed.
 *
 * ANONSET_SEED=n runs another course, and other points of it.
 */
#include "backends/backends.h"
#include "tests/crash/faults.h"
#include "tests/support/valgrind.h"

#include <anonset/backend.h>
#include <criterion/criterion.h>
#include <stdlib.h>

static uint64_t seed(void)
{
    const char *text = getenv("ANONSET_SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

static void slice(const anonset_backend *backend, bool is_legacy, unsigned stride)
{
    tc_sweep sweep = {.name = backend->name,
                      .backend = backend,
                      .is_legacy = is_legacy,
                      .seed = seed(),
                      .stride = ts_valgrind() ? 4 * stride : stride};
    tc_points points = {.bad = 0};
    tc_sweep_run(&points, &sweep);
    cr_log_info("%lu points of %lu calls", points.points, points.calls);
    cr_assert_gt(points.points, 10);
    cr_assert_eq(points.bad, 0);
}

Test(faults, sqlite_stands_failing_calls)
{
    slice(&as_backend_sqlite, false, 83);
}

Test(faults, an_upgrade_stands_failing_calls)
{
    slice(&as_backend_sqlite, true, 83);
}

Test(faults, lmdb_stands_failing_calls)
{
    slice(&as_backend_lmdb, false, 37);
}

static anonset_code claim(void *handle, const anonset_append *append, anonset_detail *detail)
{
    anonset_code code = as_backend_lmdb.append_sector(handle, append, detail);
    return code == ANONSET_UNKNOWN || code == ANONSET_FULL || code == ANONSET_IO ? ANONSET_OK
                                                                                 : code;
}

Test(faults, a_store_that_claims_success_is_noticed)
{
    anonset_backend lying = as_backend_lmdb;
    tc_sweep sweep = {.name = "lying", .backend = &lying, .seed = 1, .stride = 9, .bad_most = 1};
    tc_points points = {.bad = 0};
    lying.append_sector = claim;
    tc_sweep_run(&points, &sweep);
    cr_assert_gt(points.bad, 0);
}
