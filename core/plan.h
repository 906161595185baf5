/*
 * The decision: from what is stored and what the server told, to what to do next. Pure: no I/O, no
 * clock, no heap, no globals. Every row of the table in doc/design.md is one row of its test.
 */
#ifndef AS_PLAN_H
#define AS_PLAN_H

#include <anonset/anonset.h>

typedef enum as_action {
    AS_STOP,    /* end with `outcome` */
    AS_MEND,    /* fetch the finalized coins that are missing, then plan again */
    AS_RESUME,  /* keep the pending coins, after the continuity check; re-pin in the next append */
    AS_START,   /* begin a pending set at `base`, after the continuity check where base > 0 */
    AS_COMPARE, /* compare the finalized set with the target's coins; only if all are equal, go on
                   at `base`: with newer coins, or (same size) with replacing the meta */
} as_action;

typedef struct as_plan {
    as_action action;
    anonset_outcome outcome; /* of AS_STOP */
    bool discard;            /* drop the pending set first */
    uint32_t base;           /* of AS_START, AS_COMPARE: where new coins begin */
} as_plan;

/* `remote` is the meta the server just told for the group that `local` is the state of. */
as_plan as_plan_next(const anonset_state *local, const anonset_meta *remote);

bool as_meta_equal(const anonset_meta *a, const anonset_meta *b);

/* The told set has the size and set hash of the finalized one: its coins were mined again. */
bool as_plan_is_remined(const anonset_state *local, const anonset_meta *remote);

#endif
