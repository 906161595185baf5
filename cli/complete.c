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

/* One pattern of bash's `case COMMAND:WORD BEFORE` for each option with a value. */
static void bash_values(FILE *out, const struct command *command)
{
    for (const struct option_row *row = command->options; row->name; row++) {
        if (!row->value)
            continue;
        fprintf(out, "    %s:--%s) ", command->name, row->name);
        if (is_file(row)) {
            fputs("files=yes ;;\n", out);
        } else {
            fputs("words=\"", out);
            put_words(out, row);
            fputs("\" ;;\n", out);
        }
    }
}

void complete_bash(FILE *out)
{
    fputs(
        "# Completion of anonset for bash. Made by cli/mkdocs from the tables that --help prints.\n"
        "_anonset()\n{\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "    local words='' files=''\n"
        "    # Bash takes --option=value for three words.\n"
        "    if [ \"$cur\" = = ]; then\n        cur=''\n"
        "    elif [ \"$prev\" = = ]; then\n        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi\n"
        "    [ \"$COMP_CWORD\" -gt 1 ] || prev=''\n"
        "    case ${COMP_WORDS[1]}:$prev in\n"
        "    *:) words=\"",
        out);
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "%s ", commands[i]->name);
    put_options(out, program_options);
    fputs("\" ;;\n", out);
    for (size_t i = 0; commands[i]; i++) {
        bash_values(out, commands[i]);
        fprintf(out, "    %s:*) words=\"", commands[i]->name);
        put_options(out, commands[i]->options);
        fputs("\" ;;\n", out);
    }
    fputs("    esac\n"
          "    if [ -n \"$files\" ]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
          "    else\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "    fi\n}\n"
          "complete -F _anonset anonset\n",
          out);
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

/* ---- fish ----------------------------------------------------------------------------------- */

static void fish_description(FILE *out, const char *text)
{
    fputs(" -d '", out);
    put_sentence(out, text, "\\", "\\'");
    fputs("'\n", out);
}

/* `command` is NULL for the program's own. */
static void fish_options(FILE *out, const char *command, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->name; row++) {
        if (command)
            fprintf(out, "complete -c anonset -n '__fish_seen_subcommand_from %s'", command);
        else
            fputs("complete -c anonset -n __fish_use_subcommand", out);
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
    fish_options(out, NULL, program_options);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, "complete -c anonset -n __fish_use_subcommand -a %s", commands[i]->name);
        fish_description(out, commands[i]->summary);
        fish_options(out, commands[i]->name, commands[i]->options);
    }
}
