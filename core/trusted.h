/* Checkpoints that the caller trusts. */
#ifndef AS_TRUSTED_H
#define AS_TRUSTED_H

#include "core/detail.h"
#include "core/sync.h"

/* Checks the checkpoints of `options` and copies them; the caller frees the copy. INVALID,
 * NO_MEMORY. */
anonset_code as_trusted_copy(anonset_trusted **copy, const anonset_sync_options *options,
                             anonset_detail *detail);

/* The size of a checkpoint that the n coins about to be stored, hashed already, contradict; 0:
 * none. */
uint32_t as_trusted_sector(const anonset_sync *sync, uint32_t n);

/* *wrong: the same of the coins that `snapshot` shows below `held`, hashed anew from the nearest
 * stored digest. What the store's reads return. */
anonset_code as_trusted_set(anonset_sync *sync, uint32_t *wrong, void *snapshot);

#endif
