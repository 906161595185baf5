/*
 * Rows: packs of coins as entries, in the sizes that waste least of LMDB's pages.
 *
 * LMDB gives a value of more than about half a page pages of its own, 16 bytes of which it keeps: a
 * row of exactly k pages less 16 bytes wastes none. So a sector is cut into rows of up to
 * ROW_PAGES pages, each as full as whole coins allow, and a rest of less than a page. The next
 * append of the same pending set takes the rest up again. A rest that is finalized stays until
 * mark_complete, which joins it with a small pending set.
 */
#ifndef AS_LMDB_ROWS_H
#define AS_LMDB_ROWS_H

#include "backends/lmdb/env.h"

/* Stores the coins of `append` as rows of `epoch`. has_rows: the pending set has some already. */
anonset_code as_rows_append(as_write *write, const anonset_append *append, uint32_t epoch,
                            bool has_rows, anonset_detail *detail);

/* Joins the last finalized row with the pending set that mark_complete finalizes, if both are small
 * and no tail is replaced. The result is right with or without. Before anything else is changed:
 * coins read from a page that this write has changed would move under our hands. */
anonset_code as_rows_join(as_write *write, uint32_t group, const as_effect *effect,
                          anonset_detail *detail);

/* Deletes the group's rows that start at `from` or above and whose epoch is (keep: is not) `epoch`.
 */
anonset_code as_rows_drop(as_write *write, uint32_t group, uint32_t from, uint32_t epoch, bool keep,
                          anonset_detail *detail);

/* Rows that a damage takes with it: see as_ledger_drop. */
typedef struct as_doomed {
    const anonset_damage *damage;
    uint32_t alone_from, alone_to;
    bool has_pending;
    uint32_t epoch; /* of the pending set */
    const as_ledger *next;
} as_doomed;

anonset_code as_rows_drop_range(as_write *write, const as_doomed *doomed, anonset_detail *detail);

#endif
