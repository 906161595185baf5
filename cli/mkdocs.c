/*
 * Writes manual pages and shell completions from the same tables that --help prints. Runs while
 * anonset is built, and is not installed.
 *
 *     mkdocs            names all files it can write, one a line
 *     mkdocs FILE       writes that file to standard output
 */
#include "cli/complete.h"
#include "cli/roff.h"

#include <string.h>

static const struct {
    const char *file;
    void (*write)(FILE *out);
} writers[] = {
    {"anonset.1", roff_program},
    {"anonset.bash", complete_bash},
    {"_anonset", complete_zsh},
    {"anonset.fish", complete_fish},
    {"anonset-convert.bash", complete_convert_bash},
    {"_anonset-convert", complete_convert_zsh},
    {"anonset-convert.fish", complete_convert_fish},
};

enum {
    WRITERS = sizeof writers / sizeof *writers
};

/* A page each for the commands, and behind them anonset-convert's. */
static size_t pages(void)
{
    size_t n = 0;

    while (commands[n])
        n++;
    return n + 1;
}

static const struct command *page_of(size_t i)
{
    return commands[i] ? commands[i] : &cmd_convert;
}

static void list(void)
{
    for (size_t i = 0; i < WRITERS; i++)
        puts(writers[i].file);
    for (size_t i = 0; i < pages(); i++)
        printf("anonset-%s.1\n", page_of(i)->name);
}

static bool write_file(const char *file)
{
    char page[64];

    for (size_t i = 0; i < WRITERS; i++) {
        if (strcmp(file, writers[i].file) == 0) {
            writers[i].write(stdout);
            return true;
        }
    }
    for (size_t i = 0; i < pages(); i++) {
        (void)snprintf(page, sizeof page, "anonset-%s.1", page_of(i)->name);
        if (strcmp(file, page) == 0) {
            roff_command(stdout, page_of(i));
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        list();
    } else if (argc != 2 || !write_file(argv[1])) {
        fprintf(stderr, "usage: mkdocs [FILE], one of those that mkdocs alone names\n");
        return 2;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
