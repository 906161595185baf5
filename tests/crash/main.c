/*
 * crash [--states N] [--seconds S] [--seed N] [sqlite|lmdb]
 *
 * Crash states of the stores (tests/crash/crash.h), with a table of figures. Exit code 1 if any
 * image was bad. make prove and make prove-long run it.
 */
#include "backends/backends.h"
#include "tests/crash/crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const anonset_backend *const backends[] = {&as_backend_sqlite, &as_backend_lmdb};

static int usage(void)
{
    (void)fprintf(stderr, "usage: crash [--states N] [--seconds S] [--seed N] [sqlite|lmdb]\n");
    return 2;
}

static bool parse(tc_limits *limits, const char **only, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "sqlite") == 0 || strcmp(argv[i], "lmdb") == 0)
            *only = argv[i];
        else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--states") == 0)
            limits->states = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            limits->seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            limits->seed = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return limits->states > 0;
}

int main(int argc, char **argv)
{
    tc_limits limits = {.seed = (uint64_t)time(NULL), .states = 100000, .seconds = 1e9};
    const char *only = NULL;
    unsigned long states = 0, bad = 0;
    if (!parse(&limits, &only, argc, argv))
        return usage();
    (void)printf("crash states, first seed %llu\n", (unsigned long long)limits.seed);
    tc_print_head();
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        tc_subject subject = tc_store(backends[i]);
        tc_figures figures;
        if (only && strcmp(only, subject.name) != 0)
            continue;
        tc_run(&figures, &subject, &limits);
        tc_print(&subject, &figures);
        states += figures.states[TC_ORDERED] + figures.states[TC_STRICT];
        bad += tc_bad(&figures);
    }
    (void)printf("figures: %lu unique states; bad %lu\n", states, bad);
    return bad > 0;
}
