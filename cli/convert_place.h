/*
 * anonset-convert: where the new store is written. A folder of its own, NEW-converting, holds it
 * with all that its engine keeps beside it; when it is whole it is renamed to NEW. A kill leaves
 * that folder, which the next conversion to NEW uses again, and no NEW.
 */
#ifndef CLI_CONVERT_PLACE_H
#define CLI_CONVERT_PLACE_H

#include "backends/lock.h"

typedef struct convert_place {
    char *final;  /* absolute */
    char *folder; /* final-converting */
    char *store;  /* in it: the new store's path meanwhile */
    as_lock *lock;
} convert_place;

/* Makes the folder, empty. INVALID: there is something at `path` already. BUSY: another conversion
 * to it runs. On failure there is nothing to end. */
anonset_code convert_place_make(convert_place *place, const char *path, anonset_detail *detail);

/* Gives the store, which must be closed, its name. INVALID: somebody made a file of it meanwhile.
 */
anonset_code convert_place_finish(convert_place *place, anonset_detail *detail);

/* Removes the folder. */
void convert_place_end(convert_place *place);

#endif
