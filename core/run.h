/* Reading runs from a backend that may be a user's own, and wrong. */
#ifndef AS_RUN_H
#define AS_RUN_H

#include <anonset/backend.h>

/* Whether `position` is one of the run's. */
static inline bool as_run_holds(const anonset_run *run, uint32_t position)
{
    return position >= run->start && position - run->start < run->n;
}

/* backend->read, and a look whether the run holds the position: INTERNAL if it does not. */
anonset_code as_run_read(anonset_run *run, const anonset_backend *backend, void *snapshot,
                         uint32_t position, anonset_detail *detail);

#endif
