/* The table of commands: main.c runs them, mkdocs.c describes them. */
#include "cli/command.h"

const char program_summary[] =
    "anonset keeps a local, always whole copy of Firo's Spark anonymity set.";

const struct command *const commands[] = {
    &cmd_sync,  &cmd_status, &cmd_export, &cmd_verify, &cmd_repair,
    &cmd_clear, &cmd_serve,  &cmd_tags,   &cmd_check,  NULL,
};

const struct option_row program_options[] = {
    {ARGS_HELP, "help", NULL, "Show this text; anonset COMMAND --help shows a command's options."},
    {ARGS_VERSION, "version", NULL, "Show the version and the backend built in."},
    ARGS_ROW_END,
};
