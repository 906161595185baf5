/* What a store shows, all of it. */
#ifndef TC_SHOW_H
#define TC_SHOW_H

#include <anonset/backend.h>

#define TC_GROUP 1u

/* All that can be read of a store, as one number above TC_BAD and TC_ABSENT (crash.h). */
anonset_code tc_show(uint64_t *shown, const anonset_backend *backend, void *handle,
                     anonset_detail *detail);

#endif
