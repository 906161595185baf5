/*
 * kill [--kills N] [--seconds S] [--seed N] [sqlite|lmdb]
 *
 * SIGKILL at random instants (tests/kill/kill.h), with a table of figures. Exit code 1 if anything
 * was bad, or the time was over first.
 */
#include "backends/backends.h"
#include "tests/kill/kill.h"
#include "tests/support/options.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const anonset_backend *const backends[] = {&as_backend_sqlite, &as_backend_lmdb};

int main(int argc, char **argv)
{
    tk_limits limits = {.seed = (uint64_t)time(NULL), .kills = 1000, .seconds = 1e9};
    const char *only = NULL;
    unsigned long kills[2] = {0, 0}, bad = 0;
    const ts_option named[] = {{"kills", .number = &limits.kills},
                               {"seconds", .seconds = &limits.seconds},
                               {"seed", .seed = &limits.seed},
                               {NULL}};
    if (!ts_options(named, &only, ts_backend_words,
                    "[--kills N] [--seconds S] [--seed N] [sqlite|lmdb]", argc, argv))
        return 2;
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
