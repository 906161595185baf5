/*
 * alloc [--every N] [--seed N] [--at N [--for-good]] [NAME]
 *
 * Every allocation fails in turn (tests/faults/point.h), in the courses whose name holds NAME, or
 * in all, with a table of figures. Exit code 1 if any point was bad. --at plays one point, and
 * tells who was refused memory, and what stayed behind. make prove and make prove-long run it.
 */
#include "config.h"

#include "backends/backends.h"
#include "tests/faults/client.h"
#include "tests/faults/store.h"
#include "tests/support/options.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifndef ANONSET_SANITIZED
static void play_all(tf_figures *sum, const tf_options *options)
{
    static const anonset_backend *const backends[] = {&as_backend_sqlite, &as_backend_lmdb,
                                                      &as_backend_memory};
    ts_dir dir;
    ts_dir_make(&dir);
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        tf_store(sum, backends[i], dir.path, options);
    ts_dir_remove(&dir);
#ifdef TF_WITH_CLIENT
    tf_client(sum, options);
#endif
}
#endif

int main(int argc, char **argv)
{
#ifdef ANONSET_SANITIZED
    (void)argc, (void)argv;
    (void)printf("skipped: the sanitizers' own malloc leaves no room for another that fails\n");
    return 77;
#else
    tf_options options = {.fault = &tf_no_memory, .every = 1, .seed = (uint64_t)time(NULL)};
    tf_figures sum = {0};
    const ts_option named[] = {{"every", .number = &options.every},
                               {"seed", .seed = &options.seed},
                               {"at", .number = &options.at},
                               {"for-good", .on = &options.for_good},
                               {NULL}};
    if (!ts_options(named, &options.only, NULL,
                    "[--every N] [--seed N] [--at N [--for-good]] [NAME]", argc, argv))
        return 2;
    options.every = options.every ? options.every : 1;
    /* What is tested here is not what a power loss leaves: syncs need not reach a disk. */
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    (void)printf("every %lu. allocation fails, seed %llu\n", options.every,
                 (unsigned long long)options.seed);
    tf_print_head();
    play_all(&sum, &options);
    (void)printf(
        "figures: %lu courses of %lu allocations, %lu points: %lu done, %lu no memory; bad "
        "%lu\n",
        sum.courses, sum.allocations, sum.points, sum.done, sum.refused, sum.bad);
    return sum.bad > 0;
#endif
}
