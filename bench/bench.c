/*
 * The driver: bench [--quick COINS] [--full] [--svg FILE] [--code KIB KIB KIB KIB]
 *
 * Rows are measured in turns, round by round (A B C A B C …), so that what else the machine does
 * strikes all of them; ratios are taken within a round. What is counted (bytes, syncs, heap) is
 * counted in a round of its own, with a shim preloaded that would spoil the times.
 */
#include "bench/bench.h"
#include "bench/network.h"
#include "bench/paths.h"
#include "bench/report.h"
#include "tests/support/support.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOB_MS_MOST  (60u * 60u * 1000u)
#define JOB_ARGS     8u
#define READS        5u /* in one job */
#define LEGACY_MOST  320000u
#define SMALL_SECTOR 100u
#define GROWN_BY     2000u
#define BACKENDS     2
#define PATHS_COINS  6000u

typedef struct options {
    bool full;
    uint32_t quick; /* coins of a quick run; 0: a real one */
    const char *svg;
    char **code; /* what bench/code_size.sh says, or NULL */
} options;

static char self[512];

/* ---- Jobs --------------------------------------------------------------------------------- */

/* Runs this program as a job; the result's JSON is to be freed with ts_result_free. */
static void run_job(ts_result *result, bool counted, ...)
{
    const char *argv[JOB_ARGS + 3] = {self, "--job"};
    ts_process process;
    va_list args;
    size_t n = 2;
    va_start(args, counted);
    do
        argv[n] = va_arg(args, const char *);
    while (argv[n++]);
    va_end(args);
    if (counted && setenv("LD_PRELOAD", BENCH_COUNT_SHIM, 1) != 0)
        fail("no memory");
    ts_start(&process, argv);
    unsetenv("LD_PRELOAD");
    ts_finish(&process, result, JOB_MS_MOST);
    if (result->exit_code != 0)
        fail("job %s %s ended with %d: %s", argv[2], argv[3], result->exit_code, result->err);
}

static double said(const ts_result *result, const char *field)
{
    const char *value = ts_json(result->out, field);
    if (!value)
        fail("a job does not tell its %s: %s", field, result->out);
    return strtod(value, NULL);
}

static const char *decimal(uint32_t n)
{
    static char text[4][16];
    static unsigned at;
    at = (at + 1) % 4;
    (void)snprintf(text[at], sizeof text[at], "%u", n);
    return text[at];
}

static void job_write(ts_result *result, bool counted, const char *name, uint32_t coins,
                      uint32_t sector_size, const ts_dir *dir)
{
    run_job(result, counted, "write", name, decimal(coins), decimal(sector_size), dir->path, NULL);
}

/* ---- Rows at one size --------------------------------------------------------------------- */

static void add_write(measured *m, const row *r, uint32_t coins, const ts_dir *dir)
{
    ts_result result;
    job_write(&result, false, r->name, coins, SECTOR, dir);
    figure_add(&m->write, coins / said(&result, "seconds"));
    figure_add(&m->processor, said(&result, "processor") / coins);
    ts_result_free(&result);
}

static void time_write(measured *m, const row *r, uint32_t coins)
{
    ts_dir dir;
    ts_dir_make(&dir);
    add_write(m, r, coins, &dir);
    ts_dir_remove(&dir);
}

static void time_row(measured *m, const row *r, uint32_t coins)
{
    ts_dir dir;
    ts_result result;
    ts_dir_make(&dir);
    add_write(m, r, coins, &dir);
    if (r->read) {
        run_job(&result, false, "read", r->name, decimal(coins), decimal(READS), dir.path, NULL);
        figure_add(&m->first, coins / said(&result, "first"));
        figure_add(&m->again, coins / said(&result, "again"));
        figure_add(&m->first_processor, coins / said(&result, "first_processor"));
        figure_add(&m->again_processor, coins / said(&result, "again_processor"));
        ts_result_free(&result);
    }
    ts_dir_remove(&dir);
}

static void count_row(measured *m, const row *r, uint32_t coins)
{
    ts_dir dir;
    ts_result result;
    ts_dir_make(&dir);
    job_write(&result, true, r->name, coins, SECTOR, &dir);
    m->payload = said(&result, "payload");
    m->written = said(&result, "written");
    m->syncs = said(&result, "syncs");
    m->waits = said(&result, "waits");
    m->file = said(&result, "file");
    m->heap = said(&result, "heap");
    ts_result_free(&result);
    if (r->read) {
        run_job(&result, true, "read", r->name, decimal(coins), "1", dir.path, NULL);
        m->read_heap = said(&result, "heap");
        ts_result_free(&result);
    }
    ts_dir_remove(&dir);
}

/* Legacy takes minutes where the others take seconds: once is enough past a full group. */
static bool is_measured(unsigned row_index, uint32_t coins, unsigned round)
{
    if (row_index != LEGACY || coins <= SMALL_SET)
        return true;
    return coins <= LEGACY_MOST && round == 0;
}

static void measure_size(sized *s, uint32_t coins, unsigned rounds)
{
    s->coins = coins;
    for (unsigned round = 0; round < rounds; round++) {
        (void)fprintf(stderr, "%u coins: round %u of %u\n", coins, round + 1, rounds);
        for (unsigned i = 0; i < ROWS; i++)
            if (is_measured(i, coins, round))
                time_row(&s->rows[i], rows[i], coins);
    }
    for (unsigned i = 0; i < ROWS; i++)
        if (is_measured(i, coins, 0))
            count_row(&s->rows[i], rows[i], coins);
}

/* ---- What the issue asks of rows ---------------------------------------------------------- */

/* The figure of a row that lies at this offset. */
static const figure *figure_at(const measured *m, size_t offset)
{
    return (const figure *)(const void *)((const char *)m + offset);
}

static void must_against(report *r, const char *what, const sized *s, size_t rate, double sqlite,
                         double lmdb)
{
    must *m = report_must(r, what, "x", true, sqlite, lmdb);
    const figure *legacy = figure_at(&s->rows[LEGACY], rate);
    for (int b = 0; b < BACKENDS; b++) {
        figure ratio = figure_ratio(figure_at(&s->rows[OUR_SQLITE + b], rate), legacy);
        must_figure(m, b, &ratio);
    }
}

/* On a machine that does other things as well the processor time of a read says more than its
 * duration: a read waits for nothing. */
static void musts_of_reads(report *r, const sized *s)
{
    must_against(r, "read a snapshot against legacy, first touch", s, offsetof(measured, first), 22,
                 12);
    must_against(r, "    by processor time", s, offsetof(measured, first_processor), 22, 12);
    must_against(r, "read a snapshot against legacy, warm", s, offsetof(measured, again), 22, 20);
    must_against(r, "    by processor time", s, offsetof(measured, again_processor), 22, 20);
}

/* What a store can come to that makes a digest and tags, and whether it is enough. */
static void musts_of_limits(report *r, const sized *s)
{
    const measured *checked = &s->rows[CHECKED], *raw = &s->rows[RAW];
    const measured *bare = &s->rows[BARE_LMDB];
    const figure *legacy = &s->rows[LEGACY].write;
    figure logged = figure_ratio(&s->rows[LOGGED].write, legacy);
    figure most = figure_ratio(&checked->write, legacy), kept = {0};
    must *m = report_must(r, "the most there can be: raw, digest, tags, log", "x", true, 24, 34);
    must_figure(m, 0, &logged);
    must_figure(m, 1, &most);
    for (unsigned i = 0; i < bare->write.n; i++) {
        double made = checked->processor.at[i] - raw->processor.at[i];
        figure_add(&kept, 1 / (1 + made * bare->write.at[i]));
    }
    m = report_must(r, "    the bare engine with them against itself", "x", true, NAN, 0.8);
    must_figure(m, 1, &kept);
}

static void musts_of_speed(report *r, const sized *s)
{
    const measured *raw = &s->rows[RAW], *legacy = &s->rows[LEGACY];
    figure ratio = figure_ratio(&raw->write, &legacy->write);
    must *m = report_must(r, "raw append against legacy (where >= 40 the next holds)", "x", true,
                          40, NAN);
    must_figure(m, 0, &ratio);
    musts_of_limits(r, s);
    m = report_must(r, "write against legacy", "x", true, 24, 34);
    must *bare = report_must(r, "write against the bare engine", "x", true, 1.3, 0.8);
    for (int b = 0; b < BACKENDS; b++) {
        const measured *ours = &s->rows[OUR_SQLITE + b];
        ratio = figure_ratio(&ours->write, &legacy->write);
        must_figure(m, b, &ratio);
        ratio = figure_ratio(&ours->write, &s->rows[BARE_SQLITE + b].write);
        must_figure(bare, b, &ratio);
    }
    m = report_must(r, "processor time of the write against legacy", "x", false, 0.1, 0.1);
    for (int b = 0; b < BACKENDS; b++) {
        ratio = figure_ratio(&s->rows[OUR_SQLITE + b].processor, &legacy->processor);
        must_figure(m, b, &ratio);
    }
    musts_of_reads(r, s);
}

static void musts_of_bytes(report *r, const sized *s)
{
    must *heap =
        report_must(r, "heap while reading (LMDB: no copy of coin bytes)", "KiB", false, 256, 16);
    must *written = report_must(r, "bytes written / payload", "", false, 2.12, 1.10);
    must *small = report_must(r, "the same, sectors of 100", "", false, 2.5, 1.7);
    must *file = report_must(r, "file size / payload", "", false, 1.05, 1.05);
    for (int b = 0; b < BACKENDS; b++) {
        const measured *ours = &s->rows[OUR_SQLITE + b];
        ts_dir dir;
        ts_result result;
        must_got(heap, b, ours->read_heap / 1024);
        must_got(written, b, ours->written / ours->payload);
        must_got(file, b, ours->file / ours->payload);
        ts_dir_make(&dir);
        job_write(&result, true, rows[OUR_SQLITE + b]->name, s->coins, SMALL_SECTOR, &dir);
        must_got(small, b, said(&result, "written") / said(&result, "payload"));
        ts_result_free(&result);
        ts_dir_remove(&dir);
    }
}

/* ---- Growth and small deltas -------------------------------------------------------------- */

static void make_store(ts_dir *dir, int b, uint32_t coins)
{
    ts_result result;
    ts_dir_make(dir);
    job_write(&result, false, rows[OUR_SQLITE + b]->name, coins, SECTOR, dir);
    ts_result_free(&result);
}

static double grown(int b, uint32_t from, uint32_t deltas)
{
    ts_dir dir;
    ts_result result;
    if (from > 0)
        make_store(&dir, b, from);
    else
        ts_dir_make(&dir);
    run_job(&result, false, "grow", rows[OUR_SQLITE + b]->name, decimal(deltas), dir.path, NULL);
    double ratio = said(&result, "file") / said(&result, "payload");
    ts_result_free(&result);
    ts_dir_remove(&dir);
    return ratio;
}

static double timed(const char *job, int b, const ts_dir *dir)
{
    ts_result result;
    run_job(&result, false, job, rows[OUR_SQLITE + b]->name, dir->path, NULL);
    double seconds = said(&result, "seconds");
    ts_result_free(&result);
    return seconds;
}

/* A job's time on a large store against that on a small one, in turns. */
static void must_not_grow(must *m, int b, const char *job, const ts_dir *small, const ts_dir *large,
                          unsigned rounds)
{
    figure ratio = {0};
    for (unsigned i = 0; i < rounds; i++) {
        double before = timed(job, b, small);
        figure_add(&ratio, timed(job, b, large) / before);
    }
    must_figure(m, b, &ratio);
}

/* LMDB's meta page goes out by a write that waits for the disk: no sync call, but as long. */
static void syncs_of_delta(must *syncs, must *with_waits, int b, const ts_dir *dir)
{
    ts_result result;
    run_job(&result, true, "delta", rows[OUR_SQLITE + b]->name, dir->path, NULL);
    must_got(syncs, b, said(&result, "syncs"));
    must_got(with_waits, b, said(&result, "syncs") + said(&result, "waits"));
    ts_result_free(&result);
}

/* Coins a second, and a second of processor time, of a large set against full groups. */
typedef struct growth {
    figure speed, processor;
} growth;

static void add_growth(growth *g, const row *r, uint32_t small, uint32_t large)
{
    measured few = {0}, many = {0};
    for (unsigned k = 0; k < READS; k++)
        time_write(&few, r, small);
    time_write(&many, r, large);
    figure_add(&g->speed, figure_median(&many.write) / figure_median(&few.write));
    figure_add(&g->processor, figure_median(&few.processor) / figure_median(&many.processor));
}

/* Raw append, too: what it loses on the way, the disk loses. */
static void musts_of_size(report *r, uint32_t small, uint32_t large, unsigned rounds)
{
    static const row *const grown_rows[] = {&row_raw, &row_sqlite, &row_lmdb};
    static char what[80];
    growth of[3] = {0};
    for (unsigned i = 0; i < rounds && large > small; i++)
        for (unsigned k = 0; k < 3; k++)
            add_growth(&of[k], grown_rows[k], small, large);
    (void)snprintf(what, sizeof what, "coins/s at %u against %u", large, small);
    must *speed = report_must(r, what, "x", true, 0.8, 0.8);
    must *processor = report_must(r, "    by processor time", "x", true, 0.8, 0.8);
    must *disk =
        report_must(r, "    against what raw append keeps of its speed", "x", true, 0.8, 0.8);
    for (int b = 0; b < BACKENDS; b++) {
        figure kept = figure_ratio(&of[1 + b].speed, &of[0].speed);
        must_figure(speed, b, &of[1 + b].speed);
        must_figure(processor, b, &of[1 + b].processor);
        must_figure(disk, b, &kept);
    }
}

static void musts_of_growth(report *r, const options *o, uint32_t group, uint32_t large,
                            unsigned rounds)
{
    uint32_t deltas = o->quick ? 10 : GROWN_BY;
    static char opening[80], adding[80];
    (void)snprintf(opening, sizeof opening, "open + state + decision at %u against %u", large,
                   group / 10);
    (void)snprintf(adding, sizeof adding, "delta of 5 but its tag scan, at %u against %u", large,
                   group);
    musts_of_size(r, group, large, o->full ? 3 : rounds);
    must *empty =
        report_must(r, "file / payload, 2,000 deltas of 5 coins alone", "", false, 1.12, 1.12);
    must *full =
        report_must(r, "file / payload, full group and 2,000 deltas of 5", "", false, 1.12, 1.12);
    must *open = report_must(r, opening, "x", false, 1.5, 1.5);
    must *syncs = report_must(r, "sync calls of a delta of 5 coins", "", false, 3, 3);
    must *waits = report_must(r, "the same, and writes that wait for the disk", "", false, 3, 3);
    must *delta = report_must(r, adding, "x", false, 1.5, 1.5);
    for (int b = 0; b < BACKENDS; b++) {
        ts_dir tiny, small, big;
        (void)fprintf(stderr, "%s: growth and small deltas\n", rows[OUR_SQLITE + b]->title);
        make_store(&tiny, b, group / 10);
        make_store(&small, b, group);
        make_store(&big, b, large);
        must_not_grow(open, b, "open", &tiny, &big, rounds);
        syncs_of_delta(syncs, waits, b, &small);
        if (large > group)
            must_not_grow(delta, b, "delta", &small, &big, rounds);
        must_got(empty, b, grown(b, 0, deltas));
        must_got(full, b, grown(b, group, deltas));
        ts_dir_remove(&tiny);
        ts_dir_remove(&small);
        ts_dir_remove(&big);
    }
}

/* ---- Answers and code --------------------------------------------------------------------- */

/* The same for both backends: they never see text. */
static void musts_of_answers(report *r, unsigned rounds)
{
    must *speed = report_must(r, "parser and base64", "GB/s", true, 1, 1);
    must *hostile = report_must(r, "the slowest of hostile answers of 1 MiB", "ms", false, 20, 20);
    for (unsigned round = 0; round < rounds; round++) {
        ts_result result;
        run_job(&result, false, "answers", NULL);
        for (int b = 0; b < BACKENDS; b++) {
            must_got(speed, b, said(&result, "gigabytes"));
            must_got(hostile, b, said(&result, "hostile"));
        }
        ts_result_free(&result);
    }
}

static void musts_of_code(report *r, const options *o)
{
    must *core = report_must(r, "code at -Os: core and backend", "KiB", false, 48, 48);
    must *all = report_must(r, "the same, with remote/", "KiB", false, 80, 80);
    for (int b = 0; o->code && b < BACKENDS; b++) {
        must_got(core, b, strtod(o->code[b], NULL));
        must_got(all, b, strtod(o->code[BACKENDS + b], NULL));
    }
}

/* ---- Main --------------------------------------------------------------------------------- */

static void measure_rows(report *r, const options *o, uint32_t group, unsigned rounds)
{
    measure_size(&r->sizes[0], group, rounds);
    r->size_count = 1;
    if (o->full) {
        measure_size(&r->sizes[1], 10 * group, 3);
        measure_size(&r->sizes[2], 100 * group, 1);
        r->size_count = 3;
    }
    musts_of_speed(r, &r->sizes[0]);
    musts_of_bytes(r, &r->sizes[0]);
    musts_of_growth(r, o, group, o->full ? 100 * group : o->quick ? group : 10 * group, rounds);
    for (unsigned i = 0; i < r->size_count; i++)
        report_rows(stdout, &r->sizes[i]);
}

static void measure_all(report *r, const options *o)
{
    uint32_t group = o->quick ? o->quick : SMALL_SET;
    unsigned rounds = o->quick ? 1 : 5;
    printf("anonset %s, make bench: commits of %u coins; medians of %u rounds in turns, ratios "
           "within a round\n",
           anonset_version(), SECTOR, rounds);
    measure_rows(r, o, group, rounds);
    (void)fflush(stdout);
    network_measure(
        stdout, r,
        &(network_options){.coins = group,
                           .slowest = o->full ? group : group / 10,
                           .rounds = rounds,
                           .quick = o->quick > 0,
                           .legacy = figure_median(&r->sizes[0].rows[LEGACY].processor)});
    musts_of_answers(r, rounds);
    musts_of_code(r, o);
    report_musts(stdout, r);
    (void)fflush(stdout);
    if (!o->quick)
        paths_report(stdout, self, PATHS_COINS);
    if (o->svg)
        chart_write(o->svg, &r->sizes[0]);
}

static options read_options(int argc, char **argv)
{
    options o = {0};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--full") == 0)
            o.full = true;
        else if (strcmp(argv[i], "--quick") == 0 && more)
            o.quick = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--svg") == 0 && more)
            o.svg = argv[++i];
        else if (strcmp(argv[i], "--code") == 0 && argc - i > 2 * BACKENDS) {
            o.code = argv + i + 1;
            i += 2 * BACKENDS;
        } else
            fail("usage: bench [--full] [--quick COINS] [--svg FILE] [--code KIB KIB KIB KIB]");
    }
    return o;
}

int main(int argc, char **argv)
{
    static report all;
    if (argc > 1 && strcmp(argv[1], "--job") == 0)
        return job_main(argc - 2, argv + 2);
    options o = read_options(argc, argv);
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        fail("/proc is needed");
    measure_all(&all, &o);
    return 0;
}
