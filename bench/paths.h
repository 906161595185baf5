/* Instructions a coin of the hot paths, counted by callgrind: they repeat where times do not. */
#ifndef BENCH_PATHS_H
#define BENCH_PATHS_H

#include <stdint.h>
#include <stdio.h>

/* Prints the table, or that valgrind is not there. `program` is this one. */
void paths_report(FILE *out, const char *program, uint32_t coins);

#endif
