#include "cli/roff.h"

#include "cli/exits.h"

#include <string.h>

/* How roff wants a character that means something to it; NULL: as it is. */
static const char *escape(char c)
{
    switch (c) {
    case '\\':
        return "\\e";
    case '-':
        return "\\-";
    case '\'':
        return "\\(aq";
    case '`':
        return "\\(ga";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    default:
        return NULL;
    }
}

/* Running text. Line ends and what follows of spaces are one space, for roff breaks lines itself;
 * a '.' that begins a line would be a request. */
static void put_text(FILE *out, const char *text)
{
    if (*text == '.')
        fputs("\\&", out);
    for (; *text; text++) {
        const char *escaped = escape(*text);
        if (*text == '\n') {
            text += strspn(text, "\n ") - 1;
            fputc(text[1] ? ' ' : '\n', out);
        } else if (escaped) {
            fputs(escaped, out);
        } else {
            fputc(*text, out);
        }
    }
}

static void put_line(FILE *out, const char *text)
{
    put_text(out, text);
    fputc('\n', out);
}

/* Text in one font, 'B' bold or 'I' for what the user fills in. */
static void put_font(FILE *out, char font, const char *text)
{
    fprintf(out, "\\f%c", font);
    put_text(out, text);
    fputs("\\fR", out);
}

static void put_options(FILE *out, const struct option_row *rows)
{
    fputs(".SH OPTIONS\n", out);
    for (const struct option_row *row = rows; row->name; row++) {
        fputs(".TP\n\\fB\\-\\-", out);
        put_text(out, row->name);
        fputs("\\fR", out);
        if (row->value) {
            fputc(' ', out);
            put_font(out, 'I', row->value);
        }
        fputc('\n', out);
        put_line(out, row->help);
    }
}

static void put_exits(FILE *out)
{
    const char *meaning;
    int code;

    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; (meaning = exits_row(i, &code)); i++) {
        fprintf(out, ".TP\n.B %d\n", code);
        put_line(out, meaning);
    }
}

/* `name` is NULL for the program's own page. */
static void put_head(FILE *out, const char *name, const char *summary)
{
    const char *dash = name ? "\\-" : "";

    if (!name)
        name = "";
    fprintf(out, ".\\\" Made by cli/mkdocs from the tables that --help prints.\n");
    fprintf(out, ".TH anonset%s%s 1 \"\" \"anonset %s\"\n", dash, name, anonset_version());
    fprintf(out, ".SH NAME\nanonset%s%s \\- ", dash, name);
    put_line(out, summary);
    fputs(".SH SYNOPSIS\n", out);
}

/* All pages but `own`, which is NULL on the program's. */
static void put_see_also(FILE *out, const struct command *own)
{
    fputs(".SH SEE ALSO\n", out);
    if (own)
        fputs(".BR anonset (1),\n", out);
    for (size_t i = 0; commands[i]; i++) {
        if (commands[i] != own)
            fprintf(out, ".BR anonset\\-%s (1),\n", commands[i]->name);
    }
    if (own != &cmd_convert)
        fputs(".BR anonset\\-convert (1),\n", out);
    fputs(".BR anonset (3)\n", out);
}

void roff_program(FILE *out)
{
    put_head(out, NULL, "a local, always whole copy of Firo's Spark anonymity set");
    fputs(".B anonset\n.I COMMAND\n.RI [ OPTIONS ]\n.SH DESCRIPTION\n", out);
    put_line(out, program_summary);
    put_line(out, "Results go to standard output, with --json for other programs; the progress bar "
                  "and everything about failures go to standard error.");
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, ".TP\n.BR anonset\\-%s (1)\n", commands[i]->name);
        put_line(out, commands[i]->summary);
    }
    put_options(out, program_options);
    put_exits(out);
    put_see_also(out, NULL);
}

void roff_command(FILE *out, const struct command *command)
{
    put_head(out, command->name, command->summary);
    fprintf(out, ".B anonset%s%s\n", command->apart ? "\\-" : " ", command->name);
    put_line(out, command->usage);
    fputs(".SH DESCRIPTION\n", out);
    put_text(out, command->notes);
    put_options(out, command->options);
    put_exits(out);
    put_see_also(out, command);
}
