/* What anonset_store_verify finds, for those who mend it. */
#ifndef AS_VERIFY_H
#define AS_VERIFY_H

#include <anonset/backend.h>

typedef struct as_stored {
    anonset_state state;
    bool records;            /* damaged, so that nothing can be mended in place */
    bool false_proof;        /* the coins are those of the digest, but never led to the set hash */
    bool finalized, pending; /* coins of it are damaged: */
    anonset_damage of_finalized, of_pending;
    bool has_before; /* of_pending.before is known */
} as_stored;

/* As anonset_store_verify, and tells *found. */
anonset_code as_verify(anonset_store *store, anonset_verdict *verdict, as_stored *found,
                       uint32_t group, anonset_detail *detail);

/* What is kept around the groups. */
anonset_code as_verify_engine(anonset_store *store, anonset_verdict *verdict,
                              anonset_detail *detail);

#endif
