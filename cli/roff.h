/* The program's tables as manual pages. */
#ifndef CLI_ROFF_H
#define CLI_ROFF_H

#include "cli/command.h"

/* anonset(1) */
void roff_program(FILE *out);

/* anonset-NAME(1) */
void roff_command(FILE *out, const struct command *command);

#endif
