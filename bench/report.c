#include "bench/report.h"

#include <math.h>

must *report_must(report *r, const char *what, const char *unit, bool at_least, double sqlite,
                  double lmdb)
{
    if (r->must_count == MUSTS_MOST)
        fail("too many figures");
    must *m = &r->musts[r->must_count++];
    *m = (must){.what = what, .unit = unit, .at_least = at_least, .got = {NAN, NAN}};
    m->limit[0] = sqlite;
    m->limit[1] = lmdb;
    return m;
}

void must_got(must *m, int b, double value)
{
    m->got[b] = value;
}

void must_figure(must *m, int b, const figure *value)
{
    if (value->n == 0)
        return;
    m->got[b] = figure_median(value);
    m->spread[b] = figure_spread(value);
}

/* ---- Rows --------------------------------------------------------------------------------- */

static void put_rate(FILE *out, const figure *rate, const figure *legacy)
{
    figure times = figure_ratio(rate, legacy);
    if (rate->n == 0) {
        (void)fprintf(out, " | %10s %5s %6s", "-", "", "");
        return;
    }
    (void)fprintf(out, " | %10.0f ", figure_median(rate));
    if (rate->n > 1)
        (void)fprintf(out, "±%3.0f%%", 100 * figure_spread(rate));
    else
        (void)fprintf(out, "%5s", "");
    if (times.n > 0)
        (void)fprintf(out, " %5.1fx", figure_median(&times));
    else
        (void)fprintf(out, " %6s", "");
}

static void put_row(FILE *out, const row *r, const measured *m, const measured *legacy)
{
    (void)fprintf(out, "%-24s", r->title);
    if (m->write.n == 0) {
        (void)fprintf(out, " | not run at this size\n");
        return;
    }
    put_rate(out, &m->write, &legacy->write);
    put_rate(out, &m->first, &legacy->first);
    put_rate(out, &m->again, &legacy->again);
    (void)fprintf(out, " | %7.2f %4.0f+%-3.0f | %6.3f | %6.0f %6.0f\n", m->written / m->payload,
                  m->syncs, m->waits, m->file / m->payload, m->heap / 1024, m->read_heap / 1024);
}

void report_rows(FILE *out, const sized *s)
{
    double payload = 0;
    for (unsigned i = 0; i < ROWS && payload == 0; i++)
        payload = s->rows[i].payload;
    (void)fprintf(out, "\n%u coins, %.1f MB of `serialized`\n", s->coins, payload / 1e6);
    (void)fprintf(out, "%-24s | %-23s | %-23s | %-23s | %-16s | %-6s | %s\n", "",
                  "written, coins/s", "read, coins/s: first", "read again", "bytes   syncs+",
                  "file /", "heap, KiB");
    (void)fprintf(out, "%-24s | %-23s | %-23s | %-23s | %-16s | %-6s | %s\n", "",
                  "     (spread, x legacy)", "", "", "written  O_DSYNC", "payl.", " write   read");
    for (unsigned i = 0; i < ROWS; i++)
        put_row(out, rows[i], &s->rows[i], &s->rows[LEGACY]);
}

/* ---- Musts -------------------------------------------------------------------------------- */

static const char *verdict(const must *m, int b)
{
    if (isnan(m->got[b]))
        return "not run";
    bool held = m->at_least ? m->got[b] >= m->limit[b] : m->got[b] <= m->limit[b];
    return held ? "held" : "not held";
}

static void put_must(FILE *out, const must *m, int b)
{
    static const char *const names[] = {"SQLite", "LMDB"};
    char got[32] = "-", spread[16] = "";
    if (!isnan(m->got[b]))
        (void)snprintf(got, sizeof got, "%.4g", m->got[b]);
    if (m->spread[b] > 0)
        (void)snprintf(spread, sizeof spread, "±%.0f%%", 100 * m->spread[b]);
    (void)fprintf(out, "%-52s | %-6s | %8s %-6s | %s %-6.4g %-4s | %s\n", m->what, names[b], got,
                  spread, m->at_least ? ">=" : "<=", m->limit[b], m->unit, verdict(m, b));
}

void report_musts(FILE *out, const report *r)
{
    (void)fprintf(out, "\n%-52s | %-6s | %-15s | %-14s |\n", "what", "", "measured", "must");
    for (unsigned i = 0; i < r->must_count; i++)
        for (int b = 0; b < 2; b++)
            if (!isnan(r->musts[i].limit[b]))
                put_must(out, &r->musts[i], b);
}
