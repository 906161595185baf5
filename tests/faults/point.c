#include "tests/faults/point.h"
#include "tests/support/valgrind.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_MOST 60u /* of a point: longer is taken for never */
#define TOLD_MOST    5u  /* bad points of a course that are told one by one */

void tf_is_bad(tf_report *report, const char *format, ...)
{
    va_list args;
    if (report->bad)
        return;
    va_start(args, format);
    report->bad = true;
    (void)vsnprintf(report->why, sizeof report->why, format, args);
    va_end(args);
}

/* ---- One point ----------------------------------------------------------------------------- */

static void wait_for(pid_t pid, tf_report *report)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        tf_is_bad(report, "its process is lost");
    else if (WIFSIGNALED(status))
        tf_is_bad(report, "it ended by signal %d, %s", WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0 || !report->ended)
        tf_is_bad(report, "it ended half way, with exit code %d", WEXITSTATUS(status));
}

/* Leaves everything in *report as the process told it. */
static void play(const tf_course *course, tf_report *report, bool traced)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        tf_is_bad(report, "no process can be made");
        return;
    }
    if (pid == 0) {
        ts_alarm(SECONDS_MOST);
        if (traced)
            nomem_trace(STDERR_FILENO);
        course->play(course, report);
        report->live = nomem_live();
        if (traced)
            nomem_tell_live(STDERR_FILENO);
        report->ended = true;
        _exit(0);
    }
    wait_for(pid, report);
}

/* ---- All points of a course ---------------------------------------------------------------- */

typedef struct run {
    const tf_course *course;
    const tf_options *options;
    tf_report *shared;
    tf_report dry; /* without a fault */
    tf_figures figures;
} run;

static void play_at(run *r, unsigned long at, bool for_good, bool records)
{
    tf_report *report = r->shared;
    *report = (tf_report){.plan = {.at = at, .for_good = for_good}, .records = records};
    report->n_images = r->dry.n_images;
    memcpy(report->images, r->dry.images, sizeof report->images);
    play(r->course, report, r->options->at != 0 && at != 0);
}

static void tell_bad(run *r)
{
    const tf_report *report = r->shared;
    if (++r->figures.bad > TOLD_MOST)
        return;
    (void)printf("BAD %s, %s, point %lu%s (code %d): %s\n", r->course->name,
                 r->options->fault->name, report->plan.at, report->plan.for_good ? " for good" : "",
                 (int)report->code, report->why);
    (void)fflush(stdout);
}

static void count(run *r)
{
    tf_report *report = r->shared;
    if (r->course->counts_blocks && report->live > r->dry.live + r->course->may_stay)
        tf_is_bad(report, "%ld blocks stay behind", report->live - r->dry.live);
    r->figures.points++;
    if (report->bad)
        tell_bad(r);
    else if (report->code == ANONSET_OK)
        r->figures.done++;
    else if (report->code == r->options->fault->code)
        r->figures.refused++;
    else
        r->figures.other++;
}

/* Both fault-free runs: the states between the writes, and how many allocations there are. */
static bool measure(run *r)
{
    play_at(r, 0, false, true);
    r->dry = *r->shared;
    if (!r->dry.bad)
        play_at(r, 0, false, false);
    r->dry = *r->shared;
    if (!r->dry.bad && r->dry.code == ANONSET_OK)
        return true;
    tf_is_bad(r->shared, "it fails without a fault");
    tell_bad(r);
    return false;
}

static unsigned long first_point(const run *r)
{
    uint64_t mixed = r->options->seed;
    for (const char *c = r->course->name; *c; c++)
        mixed = (mixed ^ (uint64_t)(unsigned char)*c) * 0x100000001b3u;
    return 1 + (unsigned long)((mixed >> 20) % r->options->every);
}

/* A course may ask for more where it was refused once: it is over at the first point that is not
 * reached. */
static void play_all(run *r, bool for_good)
{
    unsigned long points = r->options->fault->points;
    for (unsigned long at = first_point(r); points == 0 || at <= points; at += r->options->every) {
        play_at(r, at, for_good, false);
        if (points == 0 && !r->shared->plan.struck && !r->shared->bad)
            return;
        count(r);
        if (points == 0 && !r->shared->plan.struck)
            return;
    }
}

static void add(tf_figures *sum, const run *r)
{
    sum->courses++;
    sum->allocations += r->dry.plan.asked;
    sum->points += r->figures.points;
    sum->done += r->figures.done;
    sum->refused += r->figures.refused;
    sum->other += r->figures.other;
    sum->bad += r->figures.bad;
}

void tf_print_head(void)
{
    (void)printf("%-28s %7s %7s %7s %8s %6s %4s\n", "course", "asked", "points", "done", "refused",
                 "other", "bad");
}

static void print_line(const run *r)
{
    (void)printf("%-28s %7lu %7lu %7lu %8lu %6lu %4lu\n", r->course->name, r->dry.plan.asked,
                 r->figures.points, r->figures.done, r->figures.refused, r->figures.other,
                 r->figures.bad);
    (void)fflush(stdout);
}

void tf_run(tf_figures *sum, const tf_course *course, const tf_options *options)
{
    run r = {.course = course, .options = options};
    if (options->only && !strstr(course->name, options->only))
        return;
    r.shared =
        mmap(NULL, sizeof *r.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r.shared == MAP_FAILED) {
        (void)fprintf(stderr, "no memory to share\n");
        exit(99);
    }
    if (measure(&r)) {
        if (options->at != 0) {
            play_at(&r, options->at, options->for_good, false);
            count(&r);
        } else {
            play_all(&r, false);
            if (options->fault->points == 0)
                play_all(&r, true);
        }
    }
    print_line(&r);
    add(sum, &r);
    (void)munmap(r.shared, sizeof *r.shared);
}
