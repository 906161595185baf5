/* What the gate finds out about a downloaded set before it is finalized. */
#ifndef AS_GATE_H
#define AS_GATE_H

#include "core/chain.h"
#include "core/sync.h"
#include "core/unique.h"

typedef struct as_findings {
    bool joined;         /* the pending coins stand on the finalized ones that are stored now */
    as_repeat repeat;    /* a coin that is there twice */
    uint32_t distrusted; /* size of a trusted checkpoint with another digest; 0: none */
    bool refuted;        /* the coins cannot lead to the target's set hash */
    bool by_heights;     /* the heights told had a say in that */
    anonset_proof proof; /* what came of the search; NONE where refuted, or not tried */
    anonset_gate level;  /* that the set reaches, if nothing speaks against it */
} as_findings;

/* Looks at all pending coins of the group and those below them. CANCELLED, STALE (another process
 * changed the set), or what the store's reads return. */
anonset_code as_gate_look(anonset_sync *sync, as_findings *found);
/* Looks at the finalized set, which is the target. */
anonset_code as_gate_look_again(anonset_sync *sync, as_findings *found);

/* For heights.c, codes as above. Opens what is to be proven; the caller closes the snapshot. */
anonset_code as_gate_open(anonset_sync *sync, void **snapshot);
/* Reads the cuts from the best start on; *has_start: there is one. The caller frees the cuts. */
anonset_code as_gate_read_cuts(anonset_sync *sync, bool *has_start, void *snapshot, as_cuts *cuts,
                               as_chain_start *start);
anonset_code as_gate_search(anonset_sync *sync, as_chain_verdict *verdict, void *snapshot,
                            const as_cuts *cuts, const as_chain_start *start);

#endif
