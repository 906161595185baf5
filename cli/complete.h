/* The programs' tables as completions for shells. */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "cli/command.h"

void complete_bash(FILE *out);
void complete_zsh(FILE *out);
void complete_fish(FILE *out);

/* Of anonset-convert. */
void complete_convert_bash(FILE *out);
void complete_convert_zsh(FILE *out);
void complete_convert_fish(FILE *out);

#endif
