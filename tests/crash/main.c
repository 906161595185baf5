/*
 * crash [--failed-sync] [--states N] [--seconds S] [--seed N] [sqlite|lmdb]
 *
 * Crash states of the stores (tests/crash/crash.h), with a table of figures: N unique images a
 * backend, and a tenth of that of the upgrade of an older cache. --failed-sync: of runs in which
 * one sync fails. Exit code 1 if any image was bad. tests/prove.sh runs it.
 */
#include "tests/crash/crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEGACY_PART 10

typedef struct asked {
    tc_limits limits;
    const char *only;
    bool sync_fails;
} asked;

static int usage(void)
{
    (void)fprintf(stderr, "usage: crash [--failed-sync] [--states N] [--seconds S] [--seed N] "
                          "[sqlite|lmdb]\n");
    return 2;
}

static bool parse(asked *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "sqlite") == 0 || strcmp(argv[i], "lmdb") == 0)
            a->only = argv[i];
        else if (strcmp(argv[i], "--failed-sync") == 0)
            a->sync_fails = true;
        else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--states") == 0)
            a->limits.states = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            a->limits.seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            a->limits.seed = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return a->limits.states > 0;
}

int main(int argc, char **argv)
{
    static const tc_kind kinds[2][3] = {
        {TC_SQLITE, TC_SQLITE_LEGACY, TC_LMDB},
        {TC_SQLITE_SYNC_FAILS, TC_LEGACY_SYNC_FAILS, TC_LMDB_SYNC_FAILS}};
    asked a = {.limits = {.seed = (uint64_t)time(NULL), .states = 100000, .seconds = 1e9}};
    unsigned long states = 0, bad = 0;
    if (!parse(&a, argc, argv))
        return usage();
    (void)printf("crash states, first seed %llu\n", (unsigned long long)a.limits.seed);
    tc_print_head();
    for (size_t i = 0; i < 3; i++) {
        tc_subject subject = tc_store(kinds[a.sync_fails][i]);
        tc_limits limits = a.limits;
        tc_figures figures;
        if (a.only && strncmp(a.only, subject.name, strlen(a.only)) != 0)
            continue;
        if (i == 1)
            limits.states /= LEGACY_PART;
        tc_run(&figures, &subject, &limits);
        tc_print(&subject, &figures);
        states += figures.states[TC_ORDERED] + figures.states[TC_STRICT];
        bad += tc_bad(&figures);
    }
    (void)printf("figures: %lu unique states; bad %lu\n", states, bad);
    return bad > 0;
}
