/*
 * kill [--kills N] [--seconds S] [--seed N] [sqlite|lmdb]
 *
 * SIGKILL at random instants (tests/kill/kill.h), with a table of figures. Exit code 1 if anything
 * was bad, or the time was over first.
 */
#include "backends/backends.h"
#include "tests/kill/kill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const anonset_backend *const backends[] = {&as_backend_sqlite, &as_backend_lmdb};

static int usage(void)
{
    (void)fprintf(stderr, "usage: kill [--kills N] [--seconds S] [--seed N] [sqlite|lmdb]\n");
    return 2;
}

static bool parse(tk_limits *limits, const char **only, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "sqlite") == 0 || strcmp(argv[i], "lmdb") == 0)
            *only = argv[i];
        else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--kills") == 0)
            limits->kills = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            limits->seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            limits->seed = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return limits->kills > 0;
}

int main(int argc, char **argv)
{
    tk_limits limits = {.seed = (uint64_t)time(NULL), .kills = 1000, .seconds = 1e9};
    const char *only = NULL;
    unsigned long kills[2] = {0, 0}, bad = 0;
    if (!parse(&limits, &only, argc, argv))
        return usage();
    (void)printf("kills, seed %llu\n", (unsigned long long)limits.seed);
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        tk_figures figures;
        if (only && strcmp(only, backends[i]->name) != 0)
            continue;
        tk_run(&figures, backends[i], &limits);
        tk_print(backends[i]->name, &figures);
        kills[i] = tk_sum(&figures);
        bad += figures.bad + (kills[i] < limits.kills);
    }
    (void)printf("figures: %lu kills sqlite, %lu lmdb; bad %lu\n", kills[0], kills[1], bad);
    return bad > 0;
}
