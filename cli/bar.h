/* The progress bar: one line on a terminal, drawn over itself. */
#ifndef CLI_BAR_H
#define CLI_BAR_H

#include <anonset/anonset.h>

/* What the line shows. */
typedef struct bar_view {
    uint32_t group;          /* 0: not known yet */
    uint32_t position, size; /* size 0: nothing is known yet */
    double rate;             /* coins a second; 0: not known yet */
} bar_view;

/* Writes the line for a terminal `width` columns wide, NUL-ended and always shorter than both
 * `width` and `cap`. Pure. What has no room is left out: first the time left, then the rate, then
 * the bar. */
void bar_line(char *out, size_t cap, unsigned width, const bar_view *view);

/* `rate` after `coins` more arrived in `seconds`: recent seconds count most. Pure. */
double bar_rate(double rate, uint32_t coins, double seconds);

typedef struct bar {
    bool on;    /* stderr is a terminal, and a bar is wanted */
    bool drawn; /* there is a line to clear */
    bar_view view;
    double seen; /* when the last progress came */
    double drew; /* when the line was last drawn */
} bar;

/* Draws a line at once, so that a slow server is seen to be waited for. */
void bar_start(bar *b, bool wanted, uint32_t group);

/* `now` in seconds, of a clock that does not jump. */
void bar_progress(bar *b, const anonset_progress *progress, double now);

/* Takes the line off the terminal; before anything else is printed there. */
void bar_clear(bar *b);

#endif
