/*
 * readers [--snapshots N] [--seconds S] [--seed N] [sqlite|lmdb]
 *
 * Readers and writers at once (tests/readers/readers.h), with a table of figures. Without
 * --snapshots 100,000 for lmdb and 10,000 for sqlite; --times N multiplies that. Exit code 1 if
 * anything was bad.
 */
#include "backends/backends.h"
#include "tests/readers/readers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const anonset_backend *backend;
    unsigned long snapshots;
} stores[] = {{&as_backend_sqlite, 10000}, {&as_backend_lmdb, 100000}};

typedef struct options {
    tr_limits limits;
    unsigned long times;
    const char *only;
} options;

static int usage(void)
{
    (void)fprintf(stderr, "usage: readers [--snapshots N] [--times N] [--seconds S] [--seed N] "
                          "[sqlite|lmdb]\n");
    return 2;
}

static bool parse(options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "sqlite") == 0 || strcmp(argv[i], "lmdb") == 0)
            o->only = argv[i];
        else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--snapshots") == 0)
            o->limits.snapshots = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--times") == 0)
            o->times = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            o->limits.seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            o->limits.seed = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    options o = {.limits = {.seed = (uint64_t)time(NULL), .seconds = 1e9}, .times = 1};
    unsigned long bad = 0, read[2] = {0, 0}, killed = 0;
    if (!parse(&o, argc, argv))
        return usage();
    (void)printf("readers, first seed %llu\n", (unsigned long long)o.limits.seed);
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
        tr_limits limits = o.limits;
        tr_figures figures;
        if (o.only && strcmp(o.only, stores[i].backend->name) != 0)
            continue;
        if (limits.snapshots == 0)
            limits.snapshots = stores[i].snapshots * o.times;
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
