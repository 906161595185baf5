/*
 * The contract of the three atomic writes as pure functions over one group's record: what a write
 * refuses, and what the record is after it. sqlite and lmdb load the record, ask here, do what the
 * effect says and store the new record, in one transaction of theirs. (memory follows the contract
 * with plain arrays of its own, so that the two can be compared.)
 *
 * Rows. Packs are rows with a start position and an epoch. Each pending set gets an epoch above all
 * before it in its group; rows of the pending set's epoch are pending, all others finalized, so
 * that finalizing rewrites no coin: the record just stops naming a pending epoch. Replacing a tail
 * leaves finalized rows that begin below `base` and end above it; a reader cuts a row where the
 * next row of its view begins, and where a hole does (as_ledger_row_end).
 */
#ifndef AS_LEDGER_H
#define AS_LEDGER_H

#include "core/plan.h"

#include <anonset/backend.h>

typedef struct as_ledger {
    anonset_state state;
    uint32_t epoch; /* of the pending set; without one, the newest ever used in this group */
} as_ledger;

#define AS_LEDGER_BYTES     336u /* encoded; fixed, so that a record is updated in place */
#define AS_CHECKPOINT_BYTES 108u /* encoded */

void as_ledger_encode(uint8_t out[AS_LEDGER_BYTES], const as_ledger *ledger, uint32_t group);
/* CORRUPT: the bytes contradict themselves, or are of another group. */
anonset_code as_ledger_decode(as_ledger *ledger, const uint8_t *bytes, size_t len, uint32_t group,
                              anonset_detail *detail);

#define AS_IDENTITY_BYTES 56u /* what a store knows of itself, encoded */
void as_identity_encode(uint8_t out[AS_IDENTITY_BYTES], const anonset_store_info *info);
/* False: the bytes do not fit their checksum. */
bool as_identity_decode(anonset_store_info *info, const uint8_t *bytes, size_t len);

/* The record of the list of used coin tags: without one the list is empty. */
#define AS_USED_BYTES 40u
void as_used_encode(uint8_t out[AS_USED_BYTES], const anonset_used_state *state);
/* CORRUPT. len 0: there is no record. */
anonset_code as_used_decode(anonset_used_state *state, const uint8_t *bytes, size_t len,
                            anonset_detail *detail);

/* The list's state behind an append. STALE: it is not the one that was appended to. */
anonset_code as_used_next(anonset_used_state *next, const anonset_used_state *now,
                          const anonset_used_append *a, anonset_detail *detail);

/* Which one of all checkpoints: the checksum covers it, so that one that stands in another's place
 * is found. Those of a group are numbered without a gap, so that a lost one is. */
typedef struct as_checkpoint_at {
    uint32_t group;
    uint32_t number; /* how many older ones the group has */
} as_checkpoint_at;

void as_checkpoint_encode(uint8_t out[AS_CHECKPOINT_BYTES], const anonset_checkpoint *checkpoint,
                          as_checkpoint_at at);
/* CORRUPT: the bytes do not fit their checksum, or are of another place. */
anonset_code as_checkpoint_decode(anonset_checkpoint *checkpoint, const uint8_t *bytes, size_t len,
                                  as_checkpoint_at at, anonset_detail *detail);

/* append_sector: *next is the record after it; the caller stores the coins as rows of next->epoch.
 * STALE as backend.h says. */
anonset_code as_ledger_append(as_ledger *next, const as_ledger *now, const anonset_append *append,
                              anonset_detail *detail);

/* What mark_complete asks of the store, besides storing the new record. */
typedef struct as_effect {
    bool drop_tail;          /* delete rows with start >= base that are not of epoch `epoch`, and
                                checkpoints of a size above base */
    uint32_t base;           /* where the pending set began */
    uint32_t epoch;          /* of the pending set that becomes finalized */
    bool alias_same_size;    /* turn the checkpoint of the new set's size, if there is one, into
                                an alias (re-anchor) */
    bool add_checkpoint;     /* store `checkpoint` as the newest */
    bool replace_checkpoint; /* store `checkpoint` in place of the newest (gate level raised) */
    anonset_checkpoint checkpoint;
} as_effect;

anonset_code as_ledger_complete(as_ledger *next, as_effect *effect, const as_ledger *now,
                                const anonset_complete *complete, anonset_detail *detail);

/* discard_incomplete: the caller deletes the rows of now->epoch if now->state.has_pending. */
void as_ledger_discard(as_ledger *next, const as_ledger *now);

/* drop: the caller deletes the rows that begin in [from, to), those of now->epoch if
 * damage->pending, else all others; and of them that begin in [*alone_from, *alone_to) all: no row
 * of the other set has a place there, so that one that has rotted into it must not stay. */
anonset_code as_ledger_drop(as_ledger *next, uint32_t *alone_from, uint32_t *alone_to,
                            const as_ledger *now, const anonset_damage *damage,
                            anonset_detail *detail);

/* mend: the caller stores the coins as rows of AS_EPOCH_MENDED, which no pending set has. */
#define AS_EPOCH_MENDED 0u
anonset_code as_ledger_mend(as_ledger *next, const as_ledger *now, const anonset_append *append,
                            anonset_detail *detail);

/* Whether a row belongs to `view`: position of its first coin and its epoch decide. */
bool as_ledger_row_in_view(const as_ledger *ledger, anonset_view view, uint32_t row_start,
                           uint32_t row_epoch);

/* One past the last position that a view shows. */
uint32_t as_ledger_view_size(const as_ledger *ledger, anonset_view view);

/* One past the last position that a row [row_start, row_start + n) shows in `view`; next_start is
 * where the next row of the view begins (UINT32_MAX: there is none). If the result is below
 * row_start + n the row was cut: the digest stored with it is not that of the run's end. */
uint32_t as_ledger_row_end(const as_ledger *ledger, anonset_view view, uint32_t row_start,
                           uint32_t n, uint32_t next_start);

#endif
