/*
 * A fuzz target: one file with LLVMFuzzerTestOneInput and a `fuzz_target`. Built with
 * ANONSET_LIBFUZZER it is libFuzzer's; otherwise driver.c is its main:
 *
 *     TARGET [-n RUNS] [-s SEED] [FILE…]
 *
 * runs each file, and RUNS mutations of it; without files RUNS inputs of random bytes. The seed is
 * told, and gives the same inputs again. An input that ends the program is left in TARGET.crash.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

typedef struct fuzz_target {
    const char *name;
    size_t most;               /* bytes of an input */
    const char *const *pieces; /* what files are made of, NULL-ended */
} fuzz_target;

extern const fuzz_target fuzz;

#endif
