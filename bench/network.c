#include "bench/network.h"

#include "tests/support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define RUN_MS_MOST 3600000u
#define ARGS        24u
#define CURL        "/usr/bin/curl"
#define WHO         3
#define DELTA_MS    400u /* latency by which the flights of a small delta are told */

enum {
    BY_CURL,
    BY_SQLITE,
    BY_LMDB
};

static const char *const names[WHO] = {"curl, storing nothing", "anonset, SQLite", "anonset, LMDB"};

typedef struct line {
    const char *name;
    unsigned latency_ms;
    double rate; /* bytes a second; 0: as fast as it goes */
} line;

typedef struct run {
    double seconds, processor, bytes;
} run;

static double processor_of_children(void)
{
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Runs a program to its end; what the server sent meanwhile is counted. */
static run run_program(ts_server *server, const char *const *argv)
{
    ts_process process;
    ts_result result;
    double processor = processor_of_children();
    double bytes = (double)ts_count(server, "bytes-out");
    ts_start(&process, argv);
    ts_finish(&process, &result, RUN_MS_MOST);
    if (result.exit_code != 0)
        fail("%s ended with %d: %s", argv[0], result.exit_code, result.err);
    run made = {.seconds = result.seconds,
                .processor = processor_of_children() - processor,
                .bytes = (double)ts_count(server, "bytes-out") - bytes};
    ts_result_free(&result);
    return made;
}

/* ---- Who downloads ------------------------------------------------------------------------ */

/* Requests of `most` coins each for the whole set, one after the other on one connection. */
static void write_requests(const char *path, ts_server *server, uint32_t coins, uint32_t most)
{
    char block[64];
    FILE *out = fopen(path, "w");
    (void)snprintf(block, sizeof block, "%.44s", ts_tell(server, "meta 1"));
    if (!out)
        fail("%s cannot be written", path);
    for (uint32_t at = 0; at < coins; at += most)
        (void)fprintf(
            out,
            "%surl = \"%s\"\noutput = \"/dev/null\"\ndata = \"{\\\"jsonrpc\\\":\\\"1.0\\\","
            "\\\"id\\\":1,\\\"method\\\":\\\"getsparkanonymitysetsector\\\",\\\"params\\\":"
            "[\\\"1\\\",\\\"%s\\\",\\\"%u\\\",\\\"%u\\\"]}\"\n",
            at > 0 ? "next\n" : "", server->http, block, at, coins - at < most ? coins : at + most);
    if (fclose(out) != 0)
        fail("%s cannot be written", path);
}

static run run_curl(ts_server *server, const ts_dir *dir, uint32_t coins, uint32_t most)
{
    const char *file = ts_in(dir, "requests");
    write_requests(file, server, coins, most);
    return run_program(server, (const char *[]){CURL, "--silent", "--fail", "-K", file, NULL});
}

static run run_sync(ts_server *server, const ts_dir *dir, int who, const char *url,
                    const char *size)
{
    const char *backend = who == BY_SQLITE ? "sqlite" : "lmdb";
    return run_program(server, (const char *[]){ts_anonset_path(backend), "sync", "--db",
                                                ts_in(dir, backend), "--server", url, "--group",
                                                "1", "--sector-size", size, "--quiet", NULL});
}

static run run_who(ts_server *server, int who, uint32_t coins, uint32_t most)
{
    ts_dir dir;
    ts_dir_make(&dir);
    run made = who == BY_CURL ? run_curl(server, &dir, coins, most)
                              : run_sync(server, &dir, who, server->http, "auto");
    ts_dir_remove(&dir);
    return made;
}

/* ---- Lines -------------------------------------------------------------------------------- */

typedef struct line_figures {
    figure seconds[WHO], processor[WHO];
    double bytes[WHO];
} line_figures;

static void measure_line(line_figures *f, const line *l, uint32_t coins, uint32_t most,
                         unsigned rounds)
{
    ts_server server;
    char n[16];
    (void)snprintf(n, sizeof n, "%u", coins);
    ts_server_start(&server, "--coins", n, NULL);
    ts_tell(&server, "shape latency=%u rate=%.0f", l->latency_ms, l->rate);
    for (unsigned round = 0; round < rounds; round++) {
        (void)fprintf(stderr, "%s: round %u of %u\n", l->name, round + 1, rounds);
        for (int who = 0; who < WHO; who++) {
            run made = run_who(&server, who, coins, most);
            figure_add(&f->seconds[who], made.seconds);
            figure_add(&f->processor[who], made.processor);
            f->bytes[who] = made.bytes;
        }
    }
    ts_server_stop(&server);
}

static void put_line(FILE *out, const line_figures *f, const line *l, uint32_t coins)
{
    for (int who = 0; who < WHO; who++) {
        double seconds = figure_median(&f->seconds[who]);
        (void)fprintf(out, "%-32s | %-22s | %6u | %8.3f ±%3.0f%% | %8.0f | %8.2f | ", l->name,
                      names[who], coins, seconds, 100 * figure_spread(&f->seconds[who]),
                      coins / seconds, f->bytes[who] / 1e6);
        if (l->rate > 0)
            (void)fprintf(out, "%5.1f%% | ", 100 * f->bytes[who] / seconds / l->rate);
        else
            (void)fprintf(out, "%6s | ", "");
        (void)fprintf(out, "%9.2f\n", figure_median(&f->processor[who]) / coins * 1e6);
    }
}

static figure against_curl(const line_figures *f, int who)
{
    return figure_ratio(&f->seconds[who], &f->seconds[BY_CURL]);
}

static void unshaped(FILE *out, report *r, const network_options *o)
{
    const line l = {.name = "loopback, as it is"};
    line_figures f = {0};
    measure_line(&f, &l, o->coins, SECTOR, o->rounds);
    put_line(out, &f, &l, o->coins);
    must *time = report_must(r, "sync over loopback against curl", "x", false, 1.5, 1.5);
    must *processor =
        report_must(r, "processor time of a sync against legacy's write", "x", false, 0.1, 0.1);
    for (int b = 0; b < 2; b++) {
        figure ratio = against_curl(&f, BY_SQLITE + b);
        must_figure(time, b, &ratio);
        must_got(processor, b, figure_median(&f.processor[BY_SQLITE + b]) / o->coins / o->legacy);
    }
}

/* The bare download is one answer with all coins: it pays the latency once. */
static void shaped(FILE *out, report *r, const network_options *o, const line *l, uint32_t coins,
                   const char *time_what, const char *line_what)
{
    line_figures f = {0};
    measure_line(&f, l, coins, coins, l->rate > 1e6 && o->rounds > 1 ? 2 : 1);
    put_line(out, &f, l, coins);
    must *time = report_must(r, time_what, "x", false, 1.05, 1.05);
    must *used = report_must(r, line_what, "", true, 0.95, 0.95);
    for (int b = 0; b < 2; b++) {
        figure ratio = against_curl(&f, BY_SQLITE + b);
        must_figure(time, b, &ratio);
        must_got(used, b,
                 f.bytes[BY_SQLITE + b] / figure_median(&f.seconds[BY_SQLITE + b]) / l->rate);
    }
}

/* ---- Single runs -------------------------------------------------------------------------- */

/* Bytes of an ElectrumX sync from a server that pads, against those from one that does not. */
static double padding_of(const char *seed, const char *coins, int who)
{
    double bytes[2];
    for (int on = 0; on < 2; on++) {
        ts_server server;
        ts_dir dir;
        ts_dir_make(&dir);
        ts_server_start(&server, "--coins", coins, "--seed", seed, NULL);
        ts_tell(&server, on ? "pad on" : "pad off");
        bytes[on] = run_sync(&server, &dir, who, server.tcp, "auto").bytes;
        ts_server_stop(&server);
        ts_dir_remove(&dir);
    }
    return bytes[1] / bytes[0];
}

/* An answer that passes a power of two costs 6%: which do, the chain decides, so the worst of some.
 */
static void padding(report *r, const network_options *o)
{
    static const char *const seeds[] = {"1", "2", "3", "4", "5", "6"};
    must *padded =
        report_must(r, "bytes of a padding server against the unpadded, worst of six chains", "x",
                    false, 1.06, 1.06);
    char n[16];
    (void)snprintf(n, sizeof n, "%u", o->coins);
    for (int b = 0; b < 2; b++) {
        double worst = 0;
        for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
            double ratio = padding_of(seeds[i], n, BY_SQLITE + b);
            worst = ratio > worst ? ratio : worst;
        }
        must_got(padded, b, worst);
    }
}

static double heap_of(int who, uint32_t coins, const char *size)
{
    ts_server server;
    ts_dir dir;
    char n[16];
    size_t peak, connected;
    (void)snprintf(n, sizeof n, "%u", coins);
    ts_dir_make(&dir);
    ts_server_start(&server, "--coins", n, NULL);
    const char *file = ts_in(&dir, "heap");
    if (setenv("ANONSET_HEAP_FILE", file, 1) != 0 || setenv("LD_PRELOAD", BENCH_HEAP_SHIM, 1) != 0)
        fail("no memory");
    (void)run_sync(&server, &dir, who, server.http, size);
    unsetenv("LD_PRELOAD");
    char *text = ts_read_file(file, NULL);
    if (sscanf(text, "%zu %zu", &peak, &connected) != 2)
        fail("the heap was not counted: %s", text);
    free(text);
    ts_server_stop(&server);
    ts_dir_remove(&dir);
    return (double)(peak - connected) / 1024;
}

static void heap(report *r, const network_options *o)
{
    must *whole = report_must(r, "peak heap of a sync", "KiB", false, 2252, 2252);
    must *small = report_must(r, "the same, sectors of 100", "KiB", false, 512, 512);
    for (int b = 0; b < 2; b++) {
        must_got(whole, b, heap_of(BY_SQLITE + b, o->coins, "auto"));
        must_got(small, b, heap_of(BY_SQLITE + b, o->coins, "100"));
    }
}

/* Each flight waits once for a latency that dwarfs all else. */
static void flights(report *r, const network_options *o)
{
    must *count = report_must(r, "flights of a delta of 5 coins, ElectrumX", "", false, 2, 2);
    char n[16];
    (void)snprintf(n, sizeof n, "%u", o->coins);
    for (int b = 0; b < 2; b++) {
        ts_server server;
        ts_dir dir;
        ts_dir_make(&dir);
        ts_server_start(&server, "--coins", n, NULL);
        (void)run_sync(&server, &dir, BY_SQLITE + b, server.http, "auto");
        ts_tell(&server, "grow 5");
        ts_tell(&server, "shape latency=%u", DELTA_MS);
        run made = run_sync(&server, &dir, BY_SQLITE + b, server.tcp, "auto");
        must_got(count, b, floor(made.seconds * 1000 / DELTA_MS));
        ts_server_stop(&server);
        ts_dir_remove(&dir);
    }
}

void network_measure(FILE *out, report *r, const network_options *o)
{
    const line fast = {"100 ms round trip, 10 Mbit/s", 100, 10e6 / 8};
    const line slow = {"100 ms round trip, 1 Mbit/s", 100, 1e6 / 8};
    if (access(CURL, X_OK) != 0) {
        (void)fprintf(out, "\nEnd to end: not measured, " CURL " is not there\n");
        return;
    }
    (void)fprintf(out, "\n%-32s | %-22s | %6s | %-14s | %-8s | %-8s | %-6s | %s\n",
                  "end to end, firod protocol", "", "coins", "seconds", "coins/s", "MB sent",
                  "line", "processor, us/coin");
    unshaped(out, r, o);
    heap(r, o);
    if (o->quick)
        return;
    shaped(out, r, o, &fast, o->coins, "sync at 10 Mbit/s against the bare download",
           "line used at 10 Mbit/s");
    shaped(out, r, o, &slow, o->slowest, "sync at 1 Mbit/s against the bare download",
           "line used at 1 Mbit/s");
    padding(r, o);
    flights(r, o);
}
