/* The chart: three groups of bars, written by hand as SVG. */
#include "bench/report.h"

#define WIDTH      760
#define LABEL      170 /* where bars begin */
#define BAR_MOST   480
#define BAR_HEIGHT 16
#define STEP       22
#define PANEL      (STEP * (int)ROWS + 44)

/* Text and bars change with the page; both are readable without the change as well. */
static const char style[] =
    "<style>text{font:13px system-ui,sans-serif;fill:#24292f}"
    ".head{font-weight:600}.note{font-size:11px;fill:#6e7781}"
    ".ours{fill:#1f883d}.other{fill:#8c959f}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#8d96a0}"
    ".ours{fill:#3fb950}.other{fill:#6e7681}}</style>\n";

typedef struct panel {
    const char *title;
    const char *note;
    double value[ROWS];
    int decimals;
} panel;

static double largest(const panel *p)
{
    double most = 0;
    for (unsigned i = 0; i < ROWS; i++)
        most = p->value[i] > most ? p->value[i] : most;
    return most;
}

static void put_bar(FILE *out, const panel *p, unsigned i, int y, double most)
{
    double width = most > 0 ? p->value[i] / most * BAR_MOST : 0;
    const char *kind = i >= OUR_SQLITE ? "ours" : "other";
    (void)fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", LABEL - 8, y + 13,
                  rows[i]->title);
    if (p->value[i] <= 0) {
        (void)fprintf(out, "<text class=\"note\" x=\"%d\" y=\"%d\">not measured</text>\n", LABEL,
                      y + 13);
        return;
    }
    (void)fprintf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", kind,
                  LABEL, y, width < 1 ? 1 : width, BAR_HEIGHT);
    (void)fprintf(out, "<text x=\"%.1f\" y=\"%d\">%.*f</text>\n", LABEL + width + 6, y + 13,
                  p->decimals, p->value[i]);
}

static void put_panel(FILE *out, const panel *p, int y)
{
    double most = largest(p);
    (void)fprintf(out,
                  "<text class=\"head\" x=\"8\" y=\"%d\">%s <tspan class=\"note\">%s</tspan>"
                  "</text>\n",
                  y + 14, p->title, p->note);
    for (unsigned i = 0; i < ROWS; i++)
        put_bar(out, p, i, y + 24 + (int)i * STEP, most);
}

void chart_write(const char *path, const sized *s)
{
    panel write = {.title = "Coins stored a second", .note = "thousands; more is better"};
    panel read = {.title = "Coins read a second",
                  .note = "thousands, first look at the file; more is better"};
    panel bytes = {.title = "Bytes written for a byte of coins",
                   .note = "flash wears by this; less is better",
                   .decimals = 2};
    FILE *out = fopen(path, "w");
    if (!out)
        fail("%s cannot be written", path);
    for (unsigned i = 0; i < ROWS; i++) {
        const measured *m = &s->rows[i];
        write.value[i] = figure_median(&m->write) / 1e3;
        read.value[i] = figure_median(&m->first) / 1e3;
        bytes.value[i] = m->payload > 0 ? m->written / m->payload : 0;
    }
    (void)fprintf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                  "viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Benchmark\">\n%s",
                  WIDTH, 3 * PANEL + 24, WIDTH, 3 * PANEL + 24, style);
    put_panel(out, &write, 4);
    put_panel(out, &read, PANEL + 4);
    put_panel(out, &bytes, 2 * PANEL + 4);
    (void)fprintf(out,
                  "<text class=\"note\" x=\"8\" y=\"%d\">%u coins in commits of %u; ours with "
                  "digest, uniqueness check and every commit durable. make bench</text>\n</svg>\n",
                  3 * PANEL + 14, s->coins, SECTOR);
    if (fclose(out) != 0)
        fail("%s cannot be written", path);
}
