#include "config.h" /* before any system header: for posix_openpt */

#include "cli/bar.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CAP 256

static void expect(unsigned width, const bar_view *view, const char *expected)
{
    char line[CAP];

    bar_line(line, sizeof line, width, view);
    cr_expect_str_eq(line, expected);
}

Test(cli_bar, before_anything_is_known)
{
    expect(80, &(bar_view){0}, "waiting for the server");
    expect(80, &(bar_view){.group = 3}, "group 3  waiting for the server");
}

Test(cli_bar, counts_used_tags_of_which_nobody_knows_how_many_there_are)
{
    expect(80, &(bar_view){.position = 30000, .size = 30000}, "30,000 used coin tags");
}

Test(cli_bar, fills_the_terminal_but_for_one_column)
{
    bar_view view = {.group = 1, .position = 3000, .size = 6000, .rate = 1500};
    char line[CAP];

    bar_line(line, sizeof line, 80, &view);
    cr_expect_eq(strlen(line), 79);
    cr_expect_str_eq(line, "group 1  [##########           ]"
                           "  50%  3,000 of 6,000 coins  1,500/s  0:02 left");
}

Test(cli_bar, is_full_at_the_end_and_has_no_time_left)
{
    expect(80, &(bar_view){.group = 1, .position = 6000, .size = 6000, .rate = 1500},
           "group 1  [################################] 100%  6,000 of 6,000 coins  1,500/s");
}

Test(cli_bar, says_no_rate_it_does_not_know)
{
    expect(60, &(bar_view){.group = 1, .position = 500, .size = 1000},
           "group 1  [###########            ]  50%  500 of 1,000 coins");
}

Test(cli_bar, leaves_out_what_has_no_room)
{
    bar_view view = {.group = 1, .position = 3000, .size = 6000, .rate = 1500};

    expect(66, &view, "group 1  [#########         ]  50%  3,000 of 6,000 coins  1,500/s");
    expect(56, &view, "group 1  [########         ]  50%  3,000 of 6,000 coins");
    expect(40, &view, "group 1   50%  3,000 of 6,000 coins");
    expect(20, &view, "group 1   50%  3,00");
}

Test(cli_bar, is_shorter_than_any_terminal_and_buffer)
{
    bar_view view = {UINT32_MAX, UINT32_MAX - 1, UINT32_MAX, 4e9};

    for (unsigned width = 1; width < 2000; width++) {
        char line[CAP + 1];
        memset(line, '~', sizeof line);
        bar_line(line, CAP, width, &view);
        cr_assert_lt(strlen(line), width);
        cr_assert_lt(strlen(line), CAP);
        cr_assert_eq(line[CAP], '~', "width %u wrote past its buffer", width);
    }
}

Test(cli_bar, is_never_longer_than_a_line)
{
    bar_view view = {.group = 1, .position = 1, .size = 2};
    char line[4 * CAP];

    bar_line(line, sizeof line, sizeof line, &view);
    cr_expect_eq(strlen(line), CAP - 1);
}

/* A library that tells nonsense must not make the program crash. */
Test(cli_bar, has_no_room_for_anything)
{
    char line[CAP] = "~";

    bar_line(line, sizeof line, 0, &(bar_view){.group = 1});
    cr_expect_str_eq(line, "~");
}

Test(cli_bar, survives_a_position_past_the_size)
{
    expect(60, &(bar_view){.group = 1, .position = UINT32_MAX, .size = 1},
           "group 1  [#################] 100%  4,294,967,295 of 1 coins");
}

Test(cli_bar, rate_follows_what_was_seen_last)
{
    double rate = bar_rate(0, 1000, 1);

    cr_expect_float_eq(rate, 1000, 1e-9);
    cr_expect_float_eq(bar_rate(rate, 500, 0), 1000, 1e-9, "no time passed");
    for (int i = 0; i < 60; i++) {
        double next = bar_rate(rate, 100, 1);
        cr_expect_lt(next, rate);
        rate = next;
    }
    cr_expect_float_eq(rate, 100, 1);
}

/* ---- On a terminal -------------------------------------------------------------------------- */

static int terminal; /* the other side of what is stderr now */

static void on_a_terminal(unsigned short columns)
{
    const struct winsize size = {.ws_row = 24, .ws_col = columns};
    int inner;

    terminal = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    inner = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    cr_assert(inner >= 0 && ioctl(inner, TIOCSWINSZ, &size) == 0);
    cr_assert_eq(dup2(inner, STDERR_FILENO), STDERR_FILENO);
    cr_assert_eq(setenv("TERM", "xterm", 1), 0);
    cr_assert_eq(fcntl(terminal, F_SETFL, O_NONBLOCK), 0);
}

/* What was drawn since the last call; "" if nothing was. */
static const char *drawn(void)
{
    static char text[4 * CAP];
    ssize_t n = read(terminal, text, sizeof text - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

#define CLEAR "\r\x1b[K"

Test(cli_bar, is_drawn_over_itself_on_a_terminal)
{
    anonset_progress progress = {.group = 1, .position = 100, .size = 1000};
    bar b;

    on_a_terminal(60);
    bar_start(&b, true, 1);
    cr_expect_str_eq(drawn(), CLEAR "group 1  waiting for the server");
    bar_progress(&b, &progress, 10);
    cr_expect_str_eq(drawn(), CLEAR "group 1  [##                   ]  10%  100 of 1,000 coins");
    progress.position = 150;
    bar_progress(&b, &progress, 10.05);
    cr_expect_str_eq(drawn(), "", "drawn again too soon");
    progress.position = 200;
    bar_progress(&b, &progress, 11);
    cr_expect_not_null(strstr(drawn(), "/s"), "the rate is known now");
    progress.position = 1000;
    bar_progress(&b, &progress, 11.01);
    cr_expect_not_null(strstr(drawn(), "100%"), "the end is drawn at once");
    bar_clear(&b);
    cr_expect_str_eq(drawn(), CLEAR);
    bar_clear(&b);
    cr_expect_str_eq(drawn(), "");
}

Test(cli_bar, takes_a_terminal_that_tells_no_width_for_one_of_80_columns)
{
    anonset_progress progress = {.group = 1, .position = 500, .size = 1000};
    bar b;

    on_a_terminal(0);
    bar_start(&b, true, 1);
    (void)drawn();
    bar_progress(&b, &progress, 10);
    cr_expect_eq(strlen(drawn()), strlen(CLEAR) + 80 - 3); /* two for ^C, one stays free */
    bar_clear(&b);
    (void)drawn();
    bar_progress(&b, &progress, 10.01);
    cr_expect_neq(strlen(drawn()), 0, "drawn at once where something else was printed");
}

Test(cli_bar, forgets_the_rate_when_it_begins_anew)
{
    static const anonset_progress anew[] = {
        {.group = 2, .position = 300, .size = 1000},
        {.group = 1, .position = 300, .size = 1000, .restarted = true},
        {.group = 1, .position = 100, .size = 1000},
    };

    on_a_terminal(100);
    for (size_t i = 0; i < sizeof anew / sizeof *anew; i++) {
        anonset_progress progress = {.group = 1, .position = 100, .size = 1000};
        bar b;
        bar_start(&b, true, 1);
        bar_progress(&b, &progress, 1);
        progress.position = 200;
        bar_progress(&b, &progress, 2);
        cr_expect_gt(b.view.rate, 0);
        bar_progress(&b, &anew[i], 3);
        cr_expect_float_eq(b.view.rate, 0, 1e-9, "%zu", i);
    }
}

Test(cli_bar, takes_a_width_for_granted_that_the_terminal_does_not_tell)
{
    bar b;

    on_a_terminal(0);
    bar_start(&b, true, 1);
    cr_expect_str_eq(drawn(), CLEAR "group 1  waiting for the server");
    on_a_terminal(2);
    bar_start(&b, true, 1);
    cr_expect_str_eq(drawn(), CLEAR "g");
}

Test(cli_bar, is_not_drawn_where_it_is_not_wanted)
{
    const anonset_progress progress = {.group = 1, .position = 1, .size = 2};
    bar b;

    on_a_terminal(60);
    bar_start(&b, false, 1);
    cr_expect_not(b.on);
    cr_assert_eq(setenv("TERM", "dumb", 1), 0);
    bar_start(&b, true, 1);
    cr_expect_not(b.on);
    cr_assert_eq(unsetenv("TERM"), 0);
    bar_start(&b, true, 1);
    cr_expect_not(b.on);
    bar_progress(&b, &progress, 1);
    bar_clear(&b);
    cr_expect_str_eq(drawn(), "");
}
