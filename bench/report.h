/* What the driver measured, and what it says of it: the table and the chart. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/bench.h"

#include <stdio.h>

#define ROWS 8u
enum {
    LEGACY,
    RAW,
    CHECKED,
    LOGGED,
    BARE_SQLITE,
    BARE_LMDB,
    OUR_SQLITE,
    OUR_LMDB
};

/* One row at one size. Rates are coins a second, a figure a round. */
typedef struct measured {
    figure write, first, again;
    figure processor; /* seconds a coin, writing */
    figure first_processor, again_processor;
    double written, syncs, waits, file, payload, heap, read_heap;
} measured;

typedef struct sized {
    uint32_t coins;
    measured rows[ROWS];
} sized;

/* A figure that the issue names, of both backends; NAN: not measured in this run. */
typedef struct must {
    const char *what;
    const char *unit;
    bool at_least; /* else at most */
    double got[2], limit[2];
    double spread[2];
} must;

#define MUSTS_MOST 64u
typedef struct report {
    sized sizes[3];
    unsigned size_count;
    must musts[MUSTS_MOST];
    unsigned must_count;
} report;

must *report_must(report *r, const char *what, const char *unit, bool at_least, double sqlite,
                  double lmdb);
/* `b` is 0 (SQLite) or 1 (LMDB). */
void must_got(must *m, int b, double value);
void must_figure(must *m, int b, const figure *value);

void report_rows(FILE *out, const sized *s);
void report_musts(FILE *out, const report *r);

/* Writes the SVG chart of one size; readable on light and dark pages. */
void chart_write(const char *path, const sized *s);

#endif
