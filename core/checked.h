/* Reading runs whose coins were hashed against the stored digests just before. */
#ifndef AS_CHECKED_H
#define AS_CHECKED_H

#include "core/digest.h"

#include <anonset/backend.h>

typedef struct as_checked {
    const anonset_backend *backend;
    void *snapshot; /* a view FINALIZED */
    const anonset_state *state;
    as_digest *digest;
    uint32_t from, to;                /* these positions were hashed last, and are sound */
    uint8_t low[ANONSET_HASH_BYTES];  /* log digest at `from` */
    uint8_t high[ANONSET_HASH_BYTES]; /* at `to` */
} as_checked;

/* As as_run_read. CORRUPT: the coins between two positions whose digests are stored do not lead
 * from one to the other; the detail names them. */
anonset_code as_checked_read(as_checked *checked, anonset_run *run, uint32_t position,
                             anonset_detail *detail);

#endif
