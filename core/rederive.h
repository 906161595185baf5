/* The chain of set hashes once more, from the stored bytes of a set that was proven. */
#ifndef AS_REDERIVE_H
#define AS_REDERIVE_H

#include "core/chain.h"

typedef struct as_links {
    uint32_t proven;    /* coins below the newest proven checkpoint; 0: there is none */
    uint32_t rederived; /* of those, coins whose blocks were found again within the budget */
    bool broken;        /* those in [from, to) lead to no proven set hash */
    uint32_t from, to;
} as_links;

/* Goes through the proven checkpoints of the source's snapshot. Where heights had to tell the
 * blocks apart, the search is given up, and its coins are not counted as rederived. Codes as
 * as_chain_search. */
anonset_code as_rederive(as_links *links, const as_chain_source *source, bool first_group,
                         anonset_detail *detail);

#endif
