/* One measurement, in a process of its own. */
#include "bench/bench.h"
#include "bench/count.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DELTA_COINS 5u
#define REPEATS     21u /* of what takes microseconds */

const row *const rows[] = {&row_legacy,    &row_raw,    &row_checked, &row_logged, &row_bare_sqlite,
                           &row_bare_lmdb, &row_sqlite, &row_lmdb,    NULL};

#define LINE_BYTES 64u

/* One byte of each cache line: reading is getting the bytes into the processor. */
void tally_coin(tally *seen, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i += LINE_BYTES)
        seen->sum += bytes[i];
    seen->payload += len;
    seen->coins++;
}

/* NULL: this job is timed, not counted. */
static bench_counts_function *counter(void)
{
    /* POSIX's own way around that C does not turn object pointers into functions. */
    bench_counts_function *now;
    void *symbol = dlsym(RTLD_DEFAULT, BENCH_COUNTS_SYMBOL);
    memcpy(&now, &symbol, sizeof now);
    return now;
}

/* What the shim counted between two moments; zeros without it. */
static bench_counts *counts(void)
{
    static bench_counts none;
    bench_counts_function *now = counter();
    return now ? now() : &none;
}

static bench_counts counts_begin(void)
{
    bench_counts *now = counts();
    now->peak = now->live;
    return *now;
}

static bench_counts counts_since(const bench_counts *before)
{
    const bench_counts *now = counts();
    return (bench_counts){.written = now->written - before->written,
                          .syncs = now->syncs - before->syncs,
                          .waits = now->waits - before->waits,
                          .peak = now->peak - before->live};
}

static void say_counts(const bench_counts *c)
{
    printf("\"written\": %llu, \"syncs\": %llu, \"waits\": %llu, \"heap\": %zu",
           (unsigned long long)c->written, (unsigned long long)c->syncs,
           (unsigned long long)c->waits, c->peak);
}

static const row *row_named(const char *name)
{
    for (size_t i = 0; rows[i]; i++)
        if (strcmp(rows[i]->name, name) == 0)
            return rows[i];
    fail("no row %s", name);
}

static uint32_t number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*end || n == 0 || n > UINT32_MAX / 2)
        fail("%s is not a number of coins", text);
    return (uint32_t)n;
}

/* "DIR/store" of a directory that holds nothing else. */
static const char *store_in(const char *directory)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/store", directory);
    return path;
}

/* A stopwatch that is stopped while coins are made. */
typedef struct watch {
    double seconds, processor;
    double since, processor_since;
} watch;

static void watch_go(watch *w)
{
    w->since = seconds_now();
    w->processor_since = processor_now();
}

static void watch_stop(watch *w)
{
    w->processor += processor_now() - w->processor_since;
    w->seconds += seconds_now() - w->since;
}

/* ---- Write -------------------------------------------------------------------------------- */

static void append_next(watch *w, const row *r, void *handle, const sector *coins, uint32_t target)
{
    if (r->prepare)
        r->prepare(handle, coins);
    watch_go(w);
    r->append(handle, coins, target);
    watch_stop(w);
}

/* From opening an empty store to closing a whole one; the heap is what comes on top of the open
 * store. */
static int job_write(char **argv)
{
    const row *r = row_named(argv[0]);
    uint32_t total = number(argv[1]), most = number(argv[2]);
    const char *path = store_in(argv[3]);
    coin_source source;
    source_begin(&source, 0, most);
    r->create(path);
    watch w = {0};
    bench_counts before = counts_begin();
    watch_go(&w);
    void *handle = r->open(path);
    watch_stop(&w);
    bench_counts opened = counts_begin();
    while (source.position < total) {
        uint32_t left = total - source.position;
        append_next(&w, r, handle, source_next(&source, left < most ? left : most), total);
    }
    watch_go(&w);
    if (r->finish)
        r->finish(handle, total);
    r->close(handle);
    watch_stop(&w);
    bench_counts counted = counts_since(&before);
    counted.peak = counts_since(&opened).peak;
    printf("{\"seconds\": %.9f, \"processor\": %.9f, \"payload\": %llu, \"file\": %llu, ",
           w.seconds, w.processor, (unsigned long long)source.payload,
           (unsigned long long)directory_bytes(argv[3]));
    say_counts(&counted);
    printf("}\n");
    source_end(&source);
    return 0;
}

/* ---- Read --------------------------------------------------------------------------------- */

static watch read_once(const row *r, void *handle, uint32_t total, uint64_t *payload)
{
    tally seen = {0};
    watch w = {0};
    watch_go(&w);
    r->read(handle, &seen);
    watch_stop(&w);
    if (seen.coins != total || seen.sum == 0)
        fail("%s: %u coins came back of %u", r->name, seen.coins, total);
    *payload = seen.payload;
    return w;
}

static void add_watch(figure *seconds, figure *processor, watch w)
{
    figure_add(seconds, w.seconds);
    figure_add(processor, w.processor);
}

/* The first snapshot of an opened store, and a second one. */
static int job_read(char **argv)
{
    const row *r = row_named(argv[0]);
    uint32_t total = number(argv[1]), times = number(argv[2]);
    uint64_t payload = 0;
    figure first = {0}, again = {0}, first_processor = {0}, again_processor = {0};
    bench_counts before = counts_begin();
    for (uint32_t i = 0; i < times; i++) {
        void *handle = r->open(store_in(argv[3]));
        if (i == 0)
            before = counts_begin();
        add_watch(&first, &first_processor, read_once(r, handle, total, &payload));
        add_watch(&again, &again_processor, read_once(r, handle, total, &payload));
        r->close(handle);
    }
    bench_counts counted = counts_since(&before);
    printf("{\"first\": %.9f, \"again\": %.9f, ", figure_median(&first), figure_median(&again));
    printf("\"first_processor\": %.9f, \"again_processor\": %.9f, \"payload\": %llu, ",
           figure_median(&first_processor), figure_median(&again_processor),
           (unsigned long long)payload);
    say_counts(&counted);
    printf("}\n");
    return 0;
}

/* ---- Small deltas ------------------------------------------------------------------------- */

static void add_delta(set *s, coin_source *source)
{
    const sector *coins = source_next(source, DELTA_COINS);
    set_append(s, coins, coins->start + coins->n);
    set_check(s);
    set_complete(s);
}

/* Grows a store that exists by many deltas; the store is closed at the end. */
static int job_grow(char **argv)
{
    coin_source source;
    set *s = set_open(argv[0], store_in(argv[2]));
    source_begin(&source, set_size(s), DELTA_COINS);
    for (uint32_t i = 0, deltas = number(argv[1]); i < deltas; i++)
        add_delta(s, &source);
    set_close(s);
    coin_source all;
    source_begin(&all, 0, 1);
    while (all.position < source.position)
        source_next(&all, 1);
    printf("{\"payload\": %llu, \"file\": %llu}\n", (unsigned long long)all.payload,
           (unsigned long long)directory_bytes(argv[2]));
    source_end(&source);
    source_end(&all);
    return 0;
}

/* A disk that has just been waited for answers several times as fast as one that has rested, as it
 * has where a delta comes alone; and behind a long scan of tags it has, whatever is to be measured.
 */
static void let_disk_rest(void)
{
    if (!counter())
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

/* The time of one delta without its tag scan, and its calls that wait for the disk. */
static int job_delta(char **argv)
{
    figure seconds = {0}, scans = {0}, syncs = {0}, waits = {0};
    coin_source source;
    set *s = set_open(argv[0], store_in(argv[1]));
    source_begin(&source, set_size(s), DELTA_COINS);
    add_delta(s, &source); /* the first one of a handle opens the engine's own */
    for (uint32_t i = 0; i < REPEATS; i++) {
        const sector *coins = source_next(&source, DELTA_COINS);
        bench_counts before = counts_begin();
        let_disk_rest();
        double started = seconds_now();
        set_append(s, coins, coins->start + coins->n);
        double appended = seconds_now();
        set_check(s);
        double checked = seconds_now();
        let_disk_rest();
        double completing = seconds_now();
        set_complete(s);
        figure_add(&seconds, appended - started + seconds_now() - completing);
        figure_add(&scans, checked - appended);
        bench_counts counted = counts_since(&before);
        figure_add(&syncs, (double)counted.syncs);
        figure_add(&waits, (double)counted.waits);
    }
    set_close(s);
    printf("{\"seconds\": %.9f, \"scan\": %.9f, \"syncs\": %.1f, \"waits\": %.1f}\n",
           figure_median(&seconds), figure_median(&scans), figure_median(&syncs),
           figure_median(&waits));
    source_end(&source);
    return 0;
}

/* Open, load the state, decide what to do next. */
static int job_open(char **argv)
{
    figure seconds = {0};
    for (uint32_t i = 0; i < REPEATS; i++) {
        double started = seconds_now();
        set *s = set_open(argv[0], store_in(argv[1]));
        set_plan(s);
        figure_add(&seconds, seconds_now() - started);
        set_close(s);
    }
    printf("{\"seconds\": %.9f}\n", figure_median(&seconds));
    return 0;
}

/* ---- Main --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int arguments;
    int (*run)(char **argv);
} jobs[] = {
    {"write", 4, job_write}, /* ROW COINS SECTOR DIR */
    {"read", 4, job_read},   /* ROW COINS TIMES DIR */
    {"grow", 3, job_grow},   /* BACKEND DELTAS DIR */
    {"delta", 2, job_delta}, /* BACKEND DIR */
    {"open", 2, job_open},   /* BACKEND DIR */
    {"answers", 0, job_answers},
};

int job_main(int argc, char **argv)
{
    for (size_t i = 0; argc > 0 && i < sizeof jobs / sizeof *jobs; i++)
        if (strcmp(argv[0], jobs[i].name) == 0 && argc - 1 == jobs[i].arguments)
            return jobs[i].run(argv + 1);
    fail("no such job");
}
