/*
 * rot [--images N] [--seconds S] [--seed N] [--every-bit] [--flip OFFSET --bit N [--open]]
 * [sqlite|lmdb]
 *
 * Rotten disks (tests/rot/rot.h), with a table of figures. Exit code 1 if any image was bad. make
 * prove and make prove-long run it.
 */
#include "backends/backends.h"
#include "tests/rot/rot.h"
#include "tests/support/options.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const anonset_backend *const backends[] = {&as_backend_sqlite, &as_backend_lmdb};

int main(int argc, char **argv)
{
    tr_limits limits = {
        .seed = (uint64_t)time(NULL), .images = 20000, .seconds = 1e9, .flip = TR_NO_FLIP};
    bool every_bit = false;
    const char *only = NULL;
    const ts_option named[] = {
        {"images", .number = &limits.images}, {"seconds", .seconds = &limits.seconds},
        {"seed", .seed = &limits.seed},       {"every-bit", .on = &every_bit},
        {"flip", .number = &limits.flip},     {"bit", .number = &limits.bit},
        {"open", .on = &limits.open},         {NULL}};
    unsigned long images = 0, silent = 0, signals = 0, dropped = 0, fetched = 0;
    if (!ts_options(
            named, &only, ts_backend_words,
            "[--images N] [--seconds S] [--seed N] [--every-bit] [--flip OFFSET --bit N [--open]] "
            "[sqlite|lmdb]",
            argc, argv))
        return 2;
    if (every_bit)
        limits.images = 0;
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
