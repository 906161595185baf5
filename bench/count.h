/* What the counting shim knows; it is there only in jobs that are counted, never in timed ones. */
#ifndef BENCH_COUNT_H
#define BENCH_COUNT_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_counts {
    uint64_t written; /* bytes handed to write, pwrite, writev, pwritev */
    uint64_t syncs;   /* fsync, fdatasync */
    uint64_t waits;   /* writes to files opened with O_DSYNC, which end on the disk, too */
    size_t live;      /* heap */
    size_t peak;
} bench_counts;

/* Exported by the shim under this name, so that a job can look for it. */
#define BENCH_COUNTS_SYMBOL "bench_counts_now"
typedef bench_counts *bench_counts_function(void);

#endif
