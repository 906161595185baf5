#include "tests/support/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MOST 8

const char *const ts_backend_words[] = {"sqlite", "lmdb", NULL};

/* A whole number, or with `seconds` any; nothing behind it. */
static bool take(const ts_option *option, const char *text)
{
    char *end;
    errno = 0;
    if (option->on)
        *option->on = true;
    else if (strchr(text, '-'))
        return false;
    else if (option->number)
        *option->number = strtoul(text, &end, 10);
    else if (option->seed)
        *option->seed = strtoull(text, &end, 10);
    else
        *option->seconds = strtod(text, &end);
    return option->on || (errno == 0 && end != text && *end == '\0');
}

static bool take_word(const char **word, const char *const *words, const char *text)
{
    bool known = !words;
    for (; words && *words; words++)
        known = known || strcmp(*words, text) == 0;
    if (known)
        *word = text;
    return known;
}

static bool take_all(const ts_option *options, const struct option *names, const char **word,
                     const char *const *words, int argc, char **argv)
{
    for (int at; (at = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (at == '?' || !take(&options[at - 1], optarg))
            return false;
    for (; optind < argc; optind++)
        if (!take_word(word, words, argv[optind]))
            return false;
    return true;
}

bool ts_options(const ts_option *options, const char **word, const char *const *words,
                const char *usage, int argc, char **argv)
{
    struct option names[OPTIONS_MOST + 1] = {{0}};
    for (int i = 0; i < OPTIONS_MOST && options[i].name; i++)
        names[i] = (struct option){options[i].name, options[i].on ? no_argument : required_argument,
                                   NULL, i + 1};
    if (take_all(options, names, word, words, argc, argv))
        return true;
    (void)fprintf(stderr, "usage: %s %s\n", argv[0], usage);
    return false;
}
