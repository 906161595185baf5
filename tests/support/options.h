/*
 * What the harnesses take on their command line: numbers and switches by name, and one word.
 */
#ifndef TS_OPTIONS_H
#define TS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* One of the four places is set: there the value goes. */
typedef struct ts_option {
    const char *name; /* NULL ends the table */
    unsigned long *number;
    uint64_t *seed;
    double *seconds;
    bool *on; /* takes no value */
} ts_option;

/* "sqlite", "lmdb" */
extern const char *const ts_backend_words[];

/*
 * Reads them. *word: the argument that is no option, one of `words` (NULL-ended; NULL: any word);
 * untouched without one. False: something is wrong, and `usage` was printed behind the program's
 * name.
 */
bool ts_options(const ts_option *options, const char **word, const char *const *words,
                const char *usage, int argc, char **argv);

#endif
