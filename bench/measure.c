#include "config.h" /* before any system header: it sets the width of off_t */

#include "bench/bench.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("bench: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static double clock_now(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double seconds_now(void)
{
    return clock_now(CLOCK_MONOTONIC);
}

double processor_now(void)
{
    return clock_now(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t directory_bytes(const char *path)
{
    DIR *directory = opendir(path);
    uint64_t bytes = 0;
    if (!directory)
        fail("%s cannot be read", path);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat found;
        if (fstatat(dirfd(directory), entry->d_name, &found, 0) == 0 && S_ISREG(found.st_mode))
            bytes += (uint64_t)found.st_size;
    }
    closedir(directory);
    return bytes;
}

/* ---- Figures ------------------------------------------------------------------------------ */

void figure_add(figure *f, double value)
{
    if (f->n == ROUNDS_MOST)
        fail("more than %u rounds", ROUNDS_MOST);
    f->at[f->n++] = value;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double figure_median(const figure *f)
{
    figure sorted = *f;
    if (f->n == 0)
        return 0;
    qsort(sorted.at, sorted.n, sizeof *sorted.at, by_value);
    return (sorted.at[(sorted.n - 1) / 2] + sorted.at[sorted.n / 2]) / 2;
}

double figure_spread(const figure *f)
{
    figure sorted = *f;
    if (f->n < 2)
        return 0;
    qsort(sorted.at, sorted.n, sizeof *sorted.at, by_value);
    return (sorted.at[sorted.n - 1] - sorted.at[0]) / 2 / figure_median(f);
}

figure figure_ratio(const figure *a, const figure *b)
{
    figure ratio = {.n = a->n < b->n ? a->n : b->n};
    for (unsigned i = 0; i < ratio.n; i++)
        ratio.at[i] = a->at[i] / b->at[i];
    return ratio;
}
