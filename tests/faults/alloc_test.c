/*
 * alloc_test [--every N] [--seed N]
 *
 * That the harness of point.h notices what it is for, by courses that do each thing wrong; and a
 * slice of the points of the good ones.
 */
#include "config.h"

#include "backends/backends.h"
#include "tests/faults/store.h"
#include "tests/support/options.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef ANONSET_SANITIZED
#define EVERY        151u
#define SQLITES_MORE 25u /* allocations, to those of the other backends */

/* ---- Courses that do something wrong ------------------------------------------------------- */

/* Three allocations, one after another, each freed. */
static anonset_code work(void)
{
    anonset_code code = ANONSET_OK;
    for (int i = 0; i < 3 && code == ANONSET_OK; i++) {
        char *volatile block = malloc(100);
        code = block ? ANONSET_OK : ANONSET_NO_MEMORY;
        free(block);
    }
    return code;
}

static void answer(tf_report *report)
{
    nomem_arm(&report->plan);
    report->code = work();
    nomem_disarm();
}

static void do_right(const tf_course *course, tf_report *report)
{
    (void)course;
    answer(report);
}

static void end_by_signal(const tf_course *course, tf_report *report)
{
    (void)course;
    answer(report);
    if (report->code != ANONSET_OK)
        abort();
}

static void end_half_way(const tf_course *course, tf_report *report)
{
    (void)course;
    answer(report);
    if (report->code != ANONSET_OK)
        _exit(0);
}

static void leave_a_block(const tf_course *course, tf_report *report)
{
    (void)course;
    answer(report);
    if (report->code != ANONSET_OK)
        report->images[0] = (uintptr_t)malloc(1);
}

static void say_so(const tf_course *course, tf_report *report)
{
    (void)course;
    answer(report);
    if (report->code != ANONSET_OK)
        tf_is_bad(report, "as is to be noticed");
}

/* How many of the three points, once and for good, were bad. */
static unsigned long bad_of(const char *name,
                            void (*play)(const tf_course *course, tf_report *report))
{
    tf_figures sum = {0};
    tf_options options = {.fault = &tf_no_memory, .every = 1};
    tf_course course = {.play = play, .counts_blocks = true};
    (void)snprintf(course.name, sizeof course.name, "to be bad: %s", name);
    tf_run(&sum, &course, &options);
    return sum.points == 6 ? sum.bad : 99;
}

/* ---- A backend that does something wrong --------------------------------------------------- */

static anonset_backend wrong;

/* Says that the set is finalized, which it is not. */
static anonset_code complete_never(void *handle, const anonset_complete *complete,
                                   anonset_detail *detail)
{
    anonset_code code = as_backend_memory.mark_complete(handle, complete, detail);
    return code == ANONSET_NO_MEMORY ? ANONSET_OK : code;
}

/* Changes something else, and says that there was no memory. */
static anonset_code complete_harmfully(void *handle, const anonset_complete *complete,
                                       anonset_detail *detail)
{
    void *volatile block = malloc(1);
    if (!block)
        (void)as_backend_memory.clear(handle, complete->group, NULL);
    free(block);
    return block ? as_backend_memory.mark_complete(handle, complete, detail) : ANONSET_NO_MEMORY;
}

static unsigned long bad_of_wrong(const char *folder,
                                  anonset_code (*complete)(void *, const anonset_complete *,
                                                           anonset_detail *))
{
    tf_figures sum = {0};
    tf_options options = {.fault = &tf_no_memory, .every = 1, .only = "sync: finalize"};
    wrong = as_backend_memory;
    wrong.mark_complete = complete;
    tf_store(&sum, &wrong, folder, &options);
    return sum.bad;
}

static int notices(const char *folder)
{
    bool good = bad_of("nothing", do_right) == 0 && bad_of("a signal", end_by_signal) == 6 &&
                bad_of("an early end", end_half_way) == 6 &&
                bad_of("a block that stays", leave_a_block) == 6 && bad_of("said", say_so) == 6 &&
                bad_of_wrong(folder, complete_never) > 0 &&
                bad_of_wrong(folder, complete_harmfully) > 0;
    (void)printf(good ? "the harness notices all that\n" : "FAILED: it does not notice all that\n");
    return good ? 0 : 1;
}

/* ---- A slice ------------------------------------------------------------------------------- */

static int play_slice(const char *folder, const tf_options *options)
{
    static const anonset_backend *const backends[] = {&as_backend_sqlite, &as_backend_lmdb,
                                                      &as_backend_memory};
    tf_figures sum = {0};
    (void)printf("every %lu. allocation fails, --seed %llu\n", options->every,
                 (unsigned long long)options->seed);
    tf_print_head();
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        tf_options mine = *options;
        if (backends[i] != &as_backend_sqlite)
            mine.every = mine.every / SQLITES_MORE + 1;
        tf_store(&sum, backends[i], folder, &mine);
    }
    return sum.bad == 0 && sum.points > 0 ? 0 : 1;
}
#endif

int main(int argc, char **argv)
{
#ifdef ANONSET_SANITIZED
    (void)argc, (void)argv;
    (void)printf("skipped: the sanitizers' own malloc leaves no room for another that fails\n");
    return 77;
#else
    tf_options options = {.fault = &tf_no_memory, .every = EVERY, .seed = (uint64_t)time(NULL)};
    ts_dir dir;
    const ts_option named[] = {
        {"every", .number = &options.every}, {"seed", .seed = &options.seed}, {NULL}};
    if (!ts_options(named, &options.only, NULL, "[--every N] [--seed N] [NAME]", argc, argv))
        return 2;
    options.every = options.every ? options.every : 1;
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    ts_dir_make(&dir);
    int failed = notices(dir.path) + play_slice(dir.path, &options);
    ts_dir_remove(&dir);
    return failed > 0;
#endif
}
