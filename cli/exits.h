/* Exit codes of the program, and which of them a result earns. Pure. */
#ifndef CLI_EXITS_H
#define CLI_EXITS_H

#include <anonset/anonset.h>
#include <stdio.h>

enum exits {
    EXITS_DONE = 0,
    EXITS_INTERNAL = 1,
    EXITS_USAGE = 2,
    EXITS_NETWORK = 3,
    EXITS_INTEGRITY = 4,
    EXITS_KEPT = 5,
    EXITS_STORE = 6,
    EXITS_BUSY = 7,
    EXITS_CANCELLED = 130,
};

/* Of a store call that failed with `code`; DONE for OK. */
int exits_of_code(anonset_code code);

/* Of the sync of one group; `code` is its error's. */
int exits_of_result(anonset_outcome outcome, anonset_code code);

/* Of two groups together: the first present of 130, 1, 6, 7, 4, 3, 5, 0. */
int exits_worse(int a, int b);

/* Row `i` of the table of exit codes: sets *code and returns what it means, NULL past the last. */
const char *exits_row(size_t i, int *code);

/* The table, for --help. */
void exits_print(FILE *out);

#endif
