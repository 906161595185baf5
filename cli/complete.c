#include "cli/complete.h"

#include <string.h>

/* ---- What the tables say of a value --------------------------------------------------------- */

static bool is_file(const struct option_row *row)
{
    return row->value && (strcmp(row->value, "PATH") == 0 || strcmp(row->value, "FILE") == 0);
}

/* Writes the words a value may be, with a space between two: of "follow|keep" both, of "N|auto"
 * auto, for capitals stand for something else. Returns how many there are; `out` NULL: only that.
 */
static size_t put_words(FILE *out, const struct option_row *row)
{
    size_t words = 0;

    for (const char *at = row->value; at && *at;) {
        size_t n = strcspn(at, "|");
        if (strspn(at, "abcdefghijklmnopqrstuvwxyz-") >= n) {
            if (out)
                fprintf(out, "%s%.*s", words ? " " : "", (int)n, at);
            words++;
        }
        at += n + (at[n] == '|');
    }
    return words;
}

/* The first sentence of an option's help, or a command's summary, with `escape` before each
 * character of `special`; between single quotes in a shell where ' is written as `quote`. */
static void put_sentence(FILE *out, const char *text, const char *special, const char *quote)
{
    for (; *text && !(*text == '.' && (!text[1] || strchr(" \n", text[1]))); text++) {
        if (*text == '\'') {
            fputs(quote, out);
            continue;
        }
        if (strchr(special, *text))
            fputc('\\', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
}

/* ---- bash ----------------------------------------------------------------------------------- */

/* "--db --server …" */
static void put_options(FILE *out, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->name; row++)
        fprintf(out, "%s--%s", row == rows ? "" : " ", row->name);
}

/* One pattern of bash's `case` for each option with a value, between `before` and `behind`. */
static void bash_values(FILE *out, const char *before, const char *behind,
                        const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->name; row++) {
        if (!row->value)
            continue;
        fprintf(out, "    %s--%s%s) ", before, row->name, behind);
        if (is_file(row)) {
            fputs("files=yes ;;\n", out);
        } else {
            fputs("words=\"", out);
            put_words(out, row);
            fputs("\" ;;\n", out);
        }
    }
}

/* Up to the `case` that sets `words`, or `files`, by the word before the one to be completed. */
static void bash_begin(FILE *out, const char *program, const char *function)
{
    fprintf(out,
            "# Completion of %s for bash. Made by cli/mkdocs from the tables that --help prints.\n"
            "%s()\n{\n",
            program, function);
    fputs("    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local words='' files=''\n"
          "    # Bash takes --option=value for three words.\n"
          "    if [ \"$cur\" = = ]; then\n        cur=''\n"
          "    elif [ \"$prev\" = = ]; then\n        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi\n",
          out);
}

static void bash_end(FILE *out, const char *program, const char *function)
{
    fputs("    if [ -n \"$files\" ]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
          "    else\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "    fi\n}\n",
          out);
    fprintf(out, "complete -F %s %s\n", function, program);
}

void complete_bash(FILE *out)
{
    bash_begin(out, "anonset", "_anonset");
    fputs("    [ \"$COMP_CWORD\" -gt 1 ] || prev=''\n"
          "    case ${COMP_WORDS[1]}:$prev in\n"
          "    *:) words=\"",
          out);
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "%s ", commands[i]->name);
    put_options(out, program_options);
    fputs("\" ;;\n", out);
    for (size_t i = 0; commands[i]; i++) {
        char before[32];
        (void)snprintf(before, sizeof before, "%s:", commands[i]->name);
        bash_values(out, before, "", commands[i]->options);
        fprintf(out, "    %s:*) words=\"", commands[i]->name);
        put_options(out, commands[i]->options);
        fputs("\" ;;\n", out);
    }
    fputs("    esac\n", out);
    bash_end(out, "anonset", "_anonset");
}

void complete_convert_bash(FILE *out)
{
    bash_begin(out, "anonset-convert", "_anonset_convert");
    fputs("    case $prev:$cur in\n", out);
    bash_values(out, "", ":*", cmd_convert.options);
    fputs("    *:-*) words=\"", out);
    put_options(out, cmd_convert.options);
    fputs("\" ;;\n    *) files=yes ;;\n    esac\n", out);
    bash_end(out, "anonset-convert", "_anonset_convert");
}

/* ---- zsh ------------------------------------------------------------------------------------ */

#define ZSH_QUOTE "'\\''"

/* 'NAME:summary' words for _describe. */
static void zsh_commands(FILE *out)
{
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, "        '%s:", commands[i]->name);
        put_sentence(out, commands[i]->summary, ":\\", ZSH_QUOTE);
        fputs("'\n", out);
    }
}

/* One specification for _arguments. */
static void zsh_option(FILE *out, const struct option_row *row)
{
    /* Only a checkpoint makes sense more than once. */
    fprintf(out, " \\\n            '%s--%s%s[", row->id == ARGS_CHECKPOINT ? "*" : "", row->name,
            row->value ? "=" : "");
    put_sentence(out, row->help, "[]\\", ZSH_QUOTE);
    fputc(']', out);
    if (row->value) {
        fputc(':', out);
        put_sentence(out, row->value, ":\\", ZSH_QUOTE);
        fputc(':', out);
    }
    if (is_file(row)) {
        fputs("_files", out);
    } else if (put_words(NULL, row)) {
        fputc('(', out);
        put_words(out, row);
        fputc(')', out);
    }
    fputc('\'', out);
}

static void zsh_options(FILE *out, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->name; row++)
        zsh_option(out, row);
}

void complete_zsh(FILE *out)
{
    fputs(
        "#compdef anonset\n"
        "# Completion of anonset for zsh. Made by cli/mkdocs from the tables that --help prints.\n"
        "_anonset()\n{\n"
        "    local curcontext=$curcontext state line\n"
        "    local -a names\n"
        "    names=(\n",
        out);
    zsh_commands(out);
    fputs("    )\n    _arguments -C", out);
    zsh_options(out, program_options);
    fputs(" \\\n            '1: :->command' '*:: :->rest'\n"
          "    case $state in\n"
          "    command) _describe command names ;;\n"
          "    rest)\n"
          "        case $words[1] in\n",
          out);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, "        %s)\n            _arguments", commands[i]->name);
        zsh_options(out, commands[i]->options);
        fputs("\n            ;;\n", out);
    }
    fputs("        esac\n        ;;\n    esac\n}\n_anonset \"$@\"\n", out);
}

void complete_convert_zsh(FILE *out)
{
    fputs("#compdef anonset-convert\n"
          "# Completion of anonset-convert for zsh. Made by cli/mkdocs from the tables that --help "
          "prints.\n"
          "_arguments",
          out);
    zsh_options(out, cmd_convert.options);
    fputs(" \\\n            '1:OLD:_files' '2:NEW:_files'\n", out);
}

/* ---- fish ----------------------------------------------------------------------------------- */

static void fish_description(FILE *out, const char *text)
{
    fputs(" -d '", out);
    put_sentence(out, text, "\\", "\\'");
    fputs("'\n", out);
}

/* `program`, and behind which of its commands: `command` is NULL for its own options. */
static void fish_place(FILE *out, const char *program, const char *command)
{
    fprintf(out, "complete -c %s", program);
    if (command)
        fprintf(out, " -n '__fish_seen_subcommand_from %s'", command);
    else if (strcmp(program, "anonset") == 0)
        fputs(" -n __fish_use_subcommand", out);
}

static void fish_options(FILE *out, const char *program, const char *command,
                         const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->name; row++) {
        fish_place(out, program, command);
        fprintf(out, " -l %s", row->name);
        if (is_file(row)) {
            fputs(" -r -F", out);
        } else if (row->value) {
            fputs(" -x -a '", out);
            put_words(out, row);
            fputc('\'', out);
        }
        fish_description(out, row->help);
    }
}

void complete_fish(FILE *out)
{
    fputs(
        "# Completion of anonset for fish. Made by cli/mkdocs from the tables that --help prints.\n"
        "complete -c anonset -f\n",
        out);
    fish_options(out, "anonset", NULL, program_options);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, "complete -c anonset -n __fish_use_subcommand -a %s", commands[i]->name);
        fish_description(out, commands[i]->summary);
        fish_options(out, "anonset", commands[i]->name, commands[i]->options);
    }
}

/* OLD and NEW are files, which fish completes by itself. */
void complete_convert_fish(FILE *out)
{
    fputs(
        "# Completion of anonset-convert for fish. Made by cli/mkdocs from the tables that --help "
        "prints.\n",
        out);
    fish_options(out, "anonset-convert", NULL, cmd_convert.options);
}
