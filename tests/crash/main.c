/*
 * crash [--failed-sync] [--states N] [--seconds S] [--seed N] [sqlite|lmdb]
 *
 * Crash states of the stores (tests/crash/crash.h), with a table of figures: N unique images a
 * backend, and a tenth of that of the upgrade of an older cache. --failed-sync: of runs in which
 * one sync fails, with N of the upgrade as well: each is short, and few leave anything to find.
 * Exit code 1 if any image was bad. tests/prove.sh runs it.
 */
#include "tests/crash/crash.h"
#include "tests/support/options.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LEGACY_PART 10

int main(int argc, char **argv)
{
    static const tc_kind kinds[2][3] = {
        {TC_SQLITE, TC_SQLITE_LEGACY, TC_LMDB},
        {TC_SQLITE_SYNC_FAILS, TC_LEGACY_SYNC_FAILS, TC_LMDB_SYNC_FAILS}};
    tc_limits asked = {.seed = (uint64_t)time(NULL), .states = 100000, .seconds = 1e9};
    bool sync_fails = false;
    const char *only = NULL;
    const ts_option named[] = {{"states", .number = &asked.states},
                               {"seconds", .seconds = &asked.seconds},
                               {"seed", .seed = &asked.seed},
                               {"failed-sync", .on = &sync_fails},
                               {NULL}};
    unsigned long states = 0, bad = 0;
    if (!ts_options(named, &only, ts_backend_words,
                    "[--failed-sync] [--states N] [--seconds S] [--seed N] [sqlite|lmdb]", argc,
                    argv))
        return 2;
    (void)printf("crash states, first seed %llu\n", (unsigned long long)asked.seed);
    tc_print_head();
    for (size_t i = 0; i < 3; i++) {
        tc_subject subject = tc_store(kinds[sync_fails][i]);
        tc_limits limits = asked;
        tc_figures figures;
        if (only && strncmp(only, subject.name, strlen(only)) != 0)
            continue;
        if (i == 1 && !sync_fails)
            limits.states /= LEGACY_PART;
        tc_run(&figures, &subject, &limits);
        tc_print(&subject, &figures);
        states += figures.states[TC_ORDERED] + figures.states[TC_STRICT];
        bad += tc_bad(&figures);
    }
    (void)printf("figures: %lu unique states; bad %lu\n", states, bad);
    return bad > 0;
}
