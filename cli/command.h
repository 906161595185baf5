/* The commands: one file each, one line each in commands.c's table. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/args.h"

struct command {
    const char *name;
    bool apart;                          /* a program of its own, anonset-NAME; run is NULL then */
    const char *summary;                 /* one line */
    const char *usage;                   /* what follows "anonset NAME " */
    const char *operand;                 /* a word that it takes besides options; NULL: none */
    const struct option_row *options;    /* ends with a row without a name */
    const char *notes;                   /* printed below the options; ends with a line end */
    int (*run)(const struct args *args); /* returns an exit code */
};

/* What the program is, its commands (the last is NULL) and the options that go without one. */
extern const char program_summary[];
extern const struct command *const commands[];
extern const struct option_row program_options[];

extern const struct command cmd_sync, cmd_status, cmd_export, cmd_verify, cmd_repair, cmd_clear,
    cmd_serve, cmd_tags, cmd_check;

/* Not a command: the program anonset-convert, for its help and manual page. */
extern const struct command cmd_convert;

#endif
