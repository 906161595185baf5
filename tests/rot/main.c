/*
 * rot [--images N] [--seconds S] [--seed N] [--every-bit] [--flip OFFSET BIT] [sqlite|lmdb]
 *
 * Rotten disks (tests/rot/rot.h), with a table of figures. Exit code 1 if any image was bad. make
 * prove and make prove-long run it.
 */
#include "backends/backends.h"
#include "tests/rot/rot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const anonset_backend *const backends[] = {&as_backend_sqlite, &as_backend_lmdb};

static int usage(void)
{
    (void)fprintf(stderr, "usage: rot [--images N] [--seconds S] [--seed N] [--every-bit] "
                          "[--flip OFFSET BIT] [sqlite|lmdb]\n");
    return 2;
}

static bool parse(tr_limits *limits, const char **only, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "sqlite") == 0 || strcmp(argv[i], "lmdb") == 0)
            *only = argv[i];
        else if (strcmp(argv[i], "--every-bit") == 0)
            limits->images = 0;
        else if (strcmp(argv[i], "--flip") == 0 && i + 2 < argc) {
            limits->one = true;
            limits->at = strtoul(argv[++i], NULL, 10);
            limits->bit = (uint32_t)strtoul(argv[++i], NULL, 10) % 8;
        } else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--images") == 0)
            limits->images = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            limits->seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            limits->seed = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    tr_limits limits = {.seed = (uint64_t)time(NULL), .images = 20000, .seconds = 1e9};
    const char *only = NULL;
    unsigned long images = 0, silent = 0, signals = 0, dropped = 0, fetched = 0;
    if (!parse(&limits, &only, argc, argv))
        return usage();
    (void)printf("rotten disks, seed %llu\n", (unsigned long long)limits.seed);
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        tr_figures f;
        if (only && strcmp(only, backends[i]->name) != 0)
            continue;
        if (!tr_run(&f, backends[i], &limits))
            return 99;
        tr_print(backends[i]->name, &f);
        images += f.images;
        silent += f.silent;
        signals += f.signals;
        dropped += f.dropped;
        fetched += f.fetched;
    }
    (void)printf("figures: %lu images, %lu silent, %lu signals, %lu coins damaged, %lu fetched; "
                 "bad %lu\n",
                 images, silent, signals, dropped, fetched, silent + signals);
    return silent + signals > 0;
}
