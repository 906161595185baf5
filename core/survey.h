/*
 * Looking for damage: every stored coin hashed again, from the oldest on.
 *
 * Each run carries the log digest after its last coin. Where a run does not lead from the digest
 * before it to its own, the search goes on behind it, with the digest that is stored there: the
 * coins above count as sound only if their chain ends in the set's digest, and then so does that
 * digest, for nobody finds other bytes that lead there. All damage is told as one range.
 */
#ifndef AS_SURVEY_H
#define AS_SURVEY_H

#include "core/digest.h"
#include "core/tag.h"

#include <anonset/backend.h>

/* The log digest at the position where the pending set begins, once a survey came by. */
typedef struct as_joint {
    uint32_t base;
    bool known;
    uint8_t digest[ANONSET_HASH_BYTES];
} as_joint;

typedef struct as_survey {
    /* in */
    const anonset_backend *backend;
    void *snapshot;
    as_digest *digest;
    const as_tagger *tagger;
    const anonset_state *state;
    /* in and out: of the finalized set made, of the pending one used */
    as_joint *joint;
    /* out */
    uint32_t coins;                      /* read and hashed */
    uint8_t reached[ANONSET_HASH_BYTES]; /* digest after the last of them */
    bool damaged;
    anonset_damage damage; /* if damaged; of the pending set always to its end */
    bool has_before;       /* damage.before is known: not where the pending set begins in a hole */
    bool bad_records;      /* the checkpoints contradict the coins, the set or themselves */
} as_survey;

/* Surveys what the snapshot shows of the finalized set, or (pending; of a view NEXT) of the pending
 * one, which is there. CORRUPT: its records cannot be read. IO, NO_MEMORY, INTERNAL. */
anonset_code as_survey_run(as_survey *survey, bool pending, anonset_detail *detail);

#endif
