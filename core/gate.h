/* What the gate finds out about a downloaded set before it is finalized. */
#ifndef AS_GATE_H
#define AS_GATE_H

#include "core/sync.h"
#include "core/unique.h"

typedef struct as_findings {
    bool joined;         /* the pending coins stand on the finalized ones that are stored now */
    as_repeat repeat;    /* a coin that is there twice */
    bool refuted;        /* the coins cannot lead to the target's set hash */
    anonset_proof proof; /* what came of the search; NONE where refuted, or not tried */
    anonset_gate level;  /* that the set reaches, if nothing speaks against it */
} as_findings;

/* Looks at all pending coins of the group and those below them. CANCELLED, STALE (another process
 * changed the set), or what the store's reads return. */
anonset_code as_gate_look(anonset_sync *sync, as_findings *found);

#endif
