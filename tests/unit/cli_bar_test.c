#include "cli/bar.h"

#include <criterion/criterion.h>
#include <string.h>

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

/* A library that tells nonsense must not make the program crash. */
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
