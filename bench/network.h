/* The second table: whole syncs by the program, over loopback, against the test server. */
#ifndef BENCH_NETWORK_H
#define BENCH_NETWORK_H

#include "bench/report.h"

typedef struct network_options {
    uint32_t coins;   /* of a full group */
    uint32_t slowest; /* coins over the slowest line, where a full group takes minutes */
    unsigned rounds;
    bool quick;    /* only to see that it works: no line that takes time */
    double legacy; /* seconds of processor time a coin that the legacy layout's write alone takes */
} network_options;

/* Prints the table of lines to `out`, and adds what is asked for to the report. */
void network_measure(FILE *out, report *r, const network_options *o);

#endif
