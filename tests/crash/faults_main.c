/*
 * faults [--pairs] [--stride N] [--seed N] [--seeds N] [sqlite|lmdb]
 *
 * Every call on a store's files fails in turn (tests/crash/faults.h), with a table of figures.
 * --pairs: then every two calls that change the disk. --seeds: so many courses, from --seed on;
 * what one of them never comes to, another may. Exit code 1 if anything was bad. tests/prove.sh
 * runs it.
 */
#include "backends/backends.h"
#include "tests/crash/faults.h"
#include "tests/support/options.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void report(tc_points *all, const tc_sweep *sweep)
{
    tc_points points = {.bad = 0};
    double from = ts_now();
    tc_sweep_run(&points, sweep);
    (void)printf("%-24s %-8s %8lu %10lu %6lu %9.1f\n", sweep->name,
                 sweep->pairs ? "pairs" : "single", points.calls, points.points, points.bad,
                 ts_now() - from);
    (void)fflush(stdout);
    all->points += points.points;
    all->bad += points.bad;
}

/* All sweeps of one course. */
static void run_course(tc_points *all, const tc_sweep *asked, const char *only)
{
    static const tc_sweep sweeps[] = {
        {.name = "sqlite", .backend = &as_backend_sqlite},
        {.name = "sqlite, older cache", .backend = &as_backend_sqlite, .is_legacy = true},
        {.name = "lmdb", .backend = &as_backend_lmdb}};
    (void)printf("failing calls, seed %llu\n%-24s %-8s %8s %10s %6s %9s\n",
                 (unsigned long long)asked->seed, "store", "failing", "calls", "points", "bad",
                 "seconds");
    for (size_t i = 0; i < 2 * sizeof sweeps / sizeof *sweeps; i++) {
        tc_sweep sweep = sweeps[i / 2];
        if ((only && strncmp(only, sweep.name, strlen(only)) != 0) || (i % 2 && !asked->pairs))
            continue;
        sweep.pairs = i % 2;
        sweep.seed = asked->seed;
        sweep.stride = asked->stride;
        report(all, &sweep);
    }
}

int main(int argc, char **argv)
{
    tc_sweep asked = {.seed = (uint64_t)time(NULL), .stride = 1};
    unsigned long seeds = 1;
    const char *only = NULL;
    tc_points all = {.bad = 0};
    const ts_option named[] = {{"pairs", .on = &asked.pairs},
                               {"stride", .number = &asked.stride},
                               {"seed", .seed = &asked.seed},
                               {"seeds", .number = &seeds},
                               {NULL}};
    if (!ts_options(named, &only, ts_backend_words,
                    "[--pairs] [--stride N] [--seed N] [--seeds N] [sqlite|lmdb]", argc, argv))
        return 2;
    asked.stride = asked.stride ? asked.stride : 1;
    for (unsigned long i = 0; i < seeds; i++, asked.seed++)
        run_course(&all, &asked, only);
    (void)printf("figures: %lu points; bad %lu\n", all.points, all.bad);
    return all.bad > 0;
}
