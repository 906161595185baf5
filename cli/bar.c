#include "cli/bar.h"

#include "cli/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    BAR_LINE = 256,
    BAR_MIN = 12, /* brackets included; a shorter bar tells nothing */
    WIDTH_DEFAULT = 80,
};
#define REDRAW_SECONDS 0.1
#define RATE_SECONDS   5.0

static const char clear_line[] = "\r\x1b[K";

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The numbers right of the bar, with `parts` of them: 1 the coins, 2 the rate, 3 the time left. */
static size_t write_numbers(char *out, size_t cap, const bar_view *v, int parts)
{
    char have[TEXT_COUNT], all[TEXT_COUNT], rate[TEXT_COUNT], left[TEXT_COUNT];
    unsigned percent = (unsigned)((uint64_t)least(v->position, v->size) * 100 / v->size);
    size_t n = (size_t)snprintf(out, cap, "%3u%%  %s of %s coins", percent,
                                text_count(have, v->position), text_count(all, v->size));

    if (parts >= 2 && v->rate >= 0.5)
        n += (size_t)snprintf(out + n, cap - n, "  %s/s",
                              text_count(rate, (uint64_t)(v->rate + 0.5)));
    if (parts >= 3 && v->rate >= 0.5 && v->position < v->size) {
        uint64_t seconds = (uint64_t)((v->size - v->position) / v->rate + 0.5);
        n += (size_t)snprintf(out + n, cap - n, "  %s left", text_seconds(left, seconds));
    }
    return n;
}

static void write_bar(char *out, size_t room, const bar_view *v)
{
    size_t full = (size_t)((uint64_t)least(v->position, v->size) * (room - 2) / v->size);

    memset(out, ' ', room);
    memset(out + 1, '#', full);
    out[0] = '[';
    out[room - 1] = ']';
    out[room] = '\0';
}

void bar_line(char *out, size_t cap, unsigned width, const bar_view *v)
{
    char line[4 * BAR_LINE], numbers[BAR_LINE], blocks[BAR_LINE] = "";
    size_t most = width < cap ? width : cap; /* characters that fit, and a NUL or a free column */
    size_t head, n = 0, room = 0;

    if (most > BAR_LINE)
        most = BAR_LINE;
    if (!most)
        return;
    head = v->group ? (size_t)snprintf(line, sizeof line, "group %u  ", v->group) : 0;
    if (!v->size) {
        snprintf(line + head, sizeof line - head, "waiting for the server");
    } else if (!v->group) { /* nobody knows how long their list is */
        snprintf(line, sizeof line, "%s used coin tags", text_count(numbers, v->position));
    } else {
        for (int parts = 3; parts >= 1 && room <= BAR_MIN; parts--) {
            n = write_numbers(numbers, sizeof numbers, v, parts);
            room = head + n + 1 < most ? most - 1 - head - n : 0;
        }
        if (room > BAR_MIN)
            write_bar(blocks, room - 1, v);
        snprintf(line + head, sizeof line - head, "%s%s%s", blocks, *blocks ? " " : "", numbers);
    }
    line[most - 1] = '\0';
    memcpy(out, line, strlen(line) + 1);
}

double bar_rate(double rate, uint32_t coins, double seconds)
{
    double now;

    if (seconds <= 0)
        return rate;
    now = coins / seconds;
    if (rate <= 0)
        return now;
    return rate + (now - rate) * seconds / (seconds + RATE_SECONDS);
}

static unsigned terminal_width(void)
{
    struct winsize size = {0};

    (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size); /* some terminals do not know */
    return size.ws_col ? size.ws_col : WIDTH_DEFAULT;
}

static void draw(bar *b)
{
    char line[BAR_LINE];
    unsigned width = terminal_width();

    /* Room for the ^C that the terminal may echo behind it: were it to wrap, we could not clear it.
     */
    bar_line(line, sizeof line, width > 2 ? width - 2 : width, &b->view);
    fprintf(stderr, "%s%s", clear_line, line);
    fflush(stderr);
    b->drawn = true;
}

void bar_start(bar *b, bool wanted, uint32_t group)
{
    const char *terminal = getenv("TERM");

    memset(b, 0, sizeof *b);
    b->on = wanted && isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    b->view.group = group;
    if (b->on)
        draw(b);
}

void bar_progress(bar *b, const anonset_progress *progress, double now)
{
    bar_view *v = &b->view;

    if (!b->on)
        return;
    if (progress->group != v->group || progress->restarted || progress->position < v->position)
        v->rate = 0;
    else if (v->size)
        v->rate = bar_rate(v->rate, progress->position - v->position, now - b->seen);
    v->group = progress->group;
    v->position = progress->position;
    v->size = progress->size;
    b->seen = now;
    if (b->drawn && now - b->drew < REDRAW_SECONDS && (v->position < v->size || !v->group))
        return;
    draw(b);
    b->drew = now;
}

void bar_clear(bar *b)
{
    if (!b->drawn)
        return;
    fputs(clear_line, stderr);
    fflush(stderr);
    b->drawn = false;
}
