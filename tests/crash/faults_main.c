/*
 * faults [--pairs] [--stride N] [--seed N] [sqlite|lmdb]
 *
 * Every call on a store's files fails in turn (tests/crash/faults.h), with a table of figures.
 * --pairs: then every two calls that change the disk. Exit code 1 if anything
 * was bad. tests/prove.sh runs it.
 */
#include "backends/backends.h"
#include "tests/crash/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int usage(void)
{
    (void)fprintf(stderr, "usage: faults [--pairs] [--stride N] [--seed N] [sqlite|lmdb]\n");
    return 2;
}

static bool parse(tc_sweep *sweep, const char **only, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "sqlite") == 0 || strcmp(argv[i], "lmdb") == 0)
            *only = argv[i];
        else if (strcmp(argv[i], "--pairs") == 0)
            sweep->pairs = true;
        else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--stride") == 0)
            sweep->stride = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            sweep->seed = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return sweep->stride > 0;
}

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(tc_points *all, const tc_sweep *sweep)
{
    tc_points points = {.bad = 0};
    double from = now_s();
    tc_sweep_run(&points, sweep);
    (void)printf("%-24s %-8s %8lu %10lu %6lu %9.1f\n", sweep->name,
                 sweep->pairs ? "pairs" : "single", points.calls, points.points, points.bad,
                 now_s() - from);
    (void)fflush(stdout);
    all->points += points.points;
    all->bad += points.bad;
}

int main(int argc, char **argv)
{
    static const tc_sweep sweeps[] = {
        {.name = "sqlite", .backend = &as_backend_sqlite},
        {.name = "sqlite, older cache", .backend = &as_backend_sqlite, .is_legacy = true},
        {.name = "lmdb", .backend = &as_backend_lmdb}};
    tc_sweep asked = {.seed = (uint64_t)time(NULL), .stride = 1};
    const char *only = NULL;
    tc_points all = {.bad = 0};
    if (!parse(&asked, &only, argc, argv))
        return usage();
    (void)printf("failing calls, seed %llu\n%-24s %-8s %8s %10s %6s %9s\n",
                 (unsigned long long)asked.seed, "store", "failing", "calls", "points", "bad",
                 "seconds");
    for (size_t i = 0; i < 2 * sizeof sweeps / sizeof *sweeps; i++) {
        tc_sweep sweep = sweeps[i / 2];
        if ((only && strncmp(only, sweep.name, strlen(only)) != 0) || (i % 2 && !asked.pairs))
            continue;
        sweep.pairs = i % 2;
        sweep.seed = asked.seed;
        sweep.stride = asked.stride;
        report(&all, &sweep);
    }
    (void)printf("figures: %lu points; bad %lu\n", all.points, all.bad);
    return all.bad > 0;
}
