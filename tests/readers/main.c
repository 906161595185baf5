/*
 * readers [--snapshots N] [--seconds S] [--seed N] [sqlite|lmdb]
 *
 * Readers and writers at once (tests/readers/readers.h), with a table of figures. Without
 * --snapshots 100,000 for lmdb and 10,000 for sqlite; --times N multiplies that. Exit code 1 if
 * anything was bad.
 */
#include "backends/backends.h"
#include "tests/readers/readers.h"
#include "tests/support/options.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    const anonset_backend *backend;
    unsigned long snapshots;
} stores[] = {{&as_backend_sqlite, 10000}, {&as_backend_lmdb, 100000}};

int main(int argc, char **argv)
{
    tr_limits asked = {.seed = (uint64_t)time(NULL), .seconds = 1e9};
    unsigned long times = 1;
    const char *only = NULL;
    const ts_option named[] = {{"snapshots", .number = &asked.snapshots},
                               {"times", .number = &times},
                               {"seconds", .seconds = &asked.seconds},
                               {"seed", .seed = &asked.seed},
                               {NULL}};
    unsigned long bad = 0, read[2] = {0, 0}, killed = 0;
    if (!ts_options(named, &only, ts_backend_words,
                    "[--snapshots N] [--times N] [--seconds S] [--seed N] [sqlite|lmdb]", argc,
                    argv))
        return 2;
    (void)printf("readers, first seed %llu\n", (unsigned long long)asked.seed);
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
        tr_limits limits = asked;
        tr_figures figures;
        if (only && strcmp(only, stores[i].backend->name) != 0)
            continue;
        if (limits.snapshots == 0)
            limits.snapshots = stores[i].snapshots * times;
        tr_run(&figures, stores[i].backend, &limits);
        tr_print(stores[i].backend->name, &figures);
        read[i] = tr_sum(&figures, TR_SNAPSHOTS);
        killed += tr_sum(&figures, TR_KILLED);
        bad += tr_sum(&figures, TR_BAD) + (read[i] < limits.snapshots);
    }
    (void)printf("figures: %lu snapshots sqlite, %lu lmdb, %lu processes killed; bad %lu\n",
                 read[0], read[1], killed, bad);
    return bad > 0;
}
