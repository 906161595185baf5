/*
 * disk [--every N] [--seed N] [--at N] [NAME]
 *
 * The courses of tests/faults/store.c on a disk that is full, or where no file may grow past a
 * limit: with no page free, with one, and so on up to more than they need. The disk is a tmpfs in a
 * name space of its own; where the system lets nobody have one, that half is skipped, and told.
 */
#include "config.h"

#include "backends/backends.h"
#include "tests/faults/own_disk.h"
#include "tests/faults/store.h"
#include "tests/support/options.h"
#include "tests/support/support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

static void play(tf_figures *sum, const tf_fault *fault, const char *folder, tf_options options)
{
    static const anonset_backend *const backends[] = {&as_backend_sqlite, &as_backend_lmdb};
    options.fault = fault;
    (void)printf("%s\n", fault->name);
    tf_print_head();
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        tf_store(sum, backends[i], folder, &options);
}

int main(int argc, char **argv)
{
    tf_options options = {.every = 1, .seed = (uint64_t)time(NULL)};
    tf_figures sum = {0};
    ts_dir dir;
    const ts_option named[] = {{"every", .number = &options.every},
                               {"seed", .seed = &options.seed},
                               {"at", .number = &options.at},
                               {NULL}};
    if (!ts_options(named, &options.only, NULL, "[--every N] [--seed N] [--at N] [NAME]", argc,
                    argv))
        return 2;
    options.every = options.every ? options.every : 1;
    (void)printf("every %lu. point, seed %llu\n", options.every, (unsigned long long)options.seed);
    ts_dir_make(&dir);
    play(&sum, &tf_long_file, dir.path, options);
    ts_dir_remove(&dir);
    ts_dir_make(&dir);
    bool has_disk = tf_own_disk(dir.path, "1m");
    if (has_disk)
        play(&sum, &tf_full_disk, dir.path, options);
    else
        (void)printf("skipped: full disk: no disk of our own: %s\n", strerror(errno));
    if (!has_disk || umount(dir.path) == 0)
        ts_dir_remove(&dir);
    (void)printf("figures: %lu courses%s, %lu points: %lu done, %lu full, %lu unknown; bad %lu\n",
                 sum.courses, has_disk ? "" : " (full disk skipped)", sum.points, sum.done,
                 sum.refused, sum.other, sum.bad);
    if (sum.bad > 0)
        return 1;
    return has_disk ? 0 : 77;
}
