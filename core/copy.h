/* Copying a group from one store into another, state by state, as the syncs that finalized them
 * did: every digest on the way is computed from the coins and compared with the stored one. */
#ifndef AS_COPY_H
#define AS_COPY_H

#include "core/replay.h"

typedef struct as_copy {
    const anonset_backend *from;
    void *handle; /* of the store that is copied */
    as_replay *replay;

    /* Of a damaged group: */
    const anonset_damage *gap; /* NULL: none. These finalized coins are not read, but made up, so
                                  that they differ from their digest */
    bool newest_alone;         /* no state but the newest can be read */
    bool no_pending;           /* the pending set is left out, */
    uint32_t pending_to;       /* or (not 0) cut here */
} as_copy;

/* Copies `group`, of which the new store holds nothing. CORRUPT: the coins differ from their
 * digests. BUSY: a sync wrote to the group meanwhile. */
anonset_code as_copy_group(const as_copy *copy, uint32_t group, anonset_detail *detail);

#endif
