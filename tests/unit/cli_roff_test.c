/* Manual pages: what a help text may hold that roff would take for its own. */
#include "cli/roff.h"

#include "cli/command.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row rows[] = {
    {ARGS_JSON, "json", NULL, ".begins with a dot\n  and 'quotes' `too`"},
    {ARGS_GROUP, "group", "N", "a\\b ^ ~ -x"},
    ARGS_ROW_END,
};

static const struct command page = {
    .name = "try",
    .summary = "tries",
    .usage = "[--json] [--group N]",
    .options = rows,
    .notes = "notes\n",
};

/* What the pages name: tables of the program's. */
const char program_summary[] = "a program";
const struct command *const commands[] = {&page, NULL};
const struct option_row program_options[] = {ARGS_ROW_END};
const struct command cmd_convert = {.name = "convert", .apart = true, .options = program_options};

Test(cli_roff, what_means_something_to_roff_is_escaped)
{
    static const char *const must[] = {
        "\\&.begins", "\\(aqquotes\\(aq", "\\(gatoo\\(ga", "a\\eb", "\\(ha", "\\(ti", "\\-x"};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    cr_assert_not_null(out);
    roff_command(out, &page);
    cr_assert_eq(fclose(out), 0);
    for (size_t i = 0; i < sizeof must / sizeof *must; i++)
        cr_expect(strstr(text, must[i]), "%s is not in:\n%s", must[i], text);
    cr_expect_not(strstr(text, "\n.begins"));
    free(text);
}
