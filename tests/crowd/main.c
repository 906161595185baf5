/*
 * crowd [--programs N] [--seed N] [sqlite|lmdb]
 *
 * Many programs on one store (tests/crowd/crowd.h), with a table of figures. Exit code 1 if
 * anything was bad. tests/prove.sh runs it.
 */
#include "tests/crowd/crowd.h"
#include "tests/support/options.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv)
{
    tm_limits limits = {.seed = (uint64_t)time(NULL), .programs = 10000};
    const char *only = NULL;
    unsigned long programs = 0, killed = 0, bad = 0;
    const ts_option named[] = {
        {"programs", .number = &limits.programs}, {"seed", .seed = &limits.seed}, {NULL}};
    if (!ts_options(named, &only, ts_backend_words, "[--programs N] [--seed N] [sqlite|lmdb]", argc,
                    argv))
        return 2;
    (void)printf("a crowd, seed %llu\n", (unsigned long long)limits.seed);
    for (size_t i = 0; ts_backends[i]; i++) {
        tm_figures figures;
        if (only && strcmp(only, ts_backends[i]) != 0)
            continue;
        tm_run(&figures, ts_backends[i], &limits);
        tm_print(ts_backends[i], &figures);
        programs += figures.programs;
        killed += figures.killed;
        bad += figures.bad;
    }
    (void)printf("figures: %lu programs, %lu of them killed; bad %lu\n", programs, killed, bad);
    return bad > 0;
}
