/* The gate's check that no coin (all three fields) repeats within the set to be finalized. */
#ifndef AS_UNIQUE_H
#define AS_UNIQUE_H

#include "core/tag.h"

typedef struct as_repeat {
    bool found;
    uint32_t first, second; /* positions of two equal coins, first < second */
} as_repeat;

/*
 * Looks for a coin at a position in [base, size) of `snapshot` (view NEXT) that equals another one
 * in [0, size); [0, base) was checked when it was finalized. Scans tags in slices through a table
 * of as many bytes as there are new coins to fill, at most `room` (below 64 KiB counts as that)
 * and 1 MiB, whatever the size of the set, and confirms hits on the coins. NO_MEMORY, or what the
 * backend's reads return.
 */
anonset_code as_unique_check(as_repeat *repeat, const anonset_backend *backend, void *snapshot,
                             const as_tagger *tagger, uint32_t base, uint32_t size, size_t room,
                             anonset_detail *detail);

#endif
