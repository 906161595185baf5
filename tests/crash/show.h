/* What a store shows, all of it. */
#ifndef TC_SHOW_H
#define TC_SHOW_H

#include "tests/support/world.h"

#include <anonset/backend.h>

#define TC_GROUP 1u

/* All that can be read of a store, as one number above TC_BAD and TC_ABSENT (crash.h). */
anonset_code tc_show(uint64_t *shown, const anonset_backend *backend, void *handle,
                     anonset_detail *detail);

/* Whether the group's finalized set is exactly that of `chain`, coin by coin. */
anonset_code tc_compare(bool *same, anonset_store *store, const tw_chain *chain,
                        anonset_detail *detail);

#endif
