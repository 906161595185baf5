/*
 * Where coins go: packs cut so that their rows fill pages.
 *
 * SQLite keeps the front of a large row in a leaf of the table and the rest in overflow pages,
 * which belong to that row alone. A row is well filled when its overflow pages are full and its
 * front is small, so that many fronts share a leaf. What does not fill a page yet is the tail: a
 * short last row that the next append takes in and writes anew, in the leaf that it writes anyway.
 */
#ifndef AS_SQLITE_ROWS_H
#define AS_SQLITE_ROWS_H

#include "backends/sqlite/store.h"

/* Stores a->coins as pending packs of `epoch`, taking in the tail that the pending set ends with.
 */
anonset_code as_sqlite_rows_append(as_db *db, sqlite3_int64 slot, uint32_t epoch,
                                   const anonset_append *a, anonset_detail *detail);

/* Joins the short packs that end at `base`, and the pending one that begins there, if a well filled
 * row comes of it, or they are enough without; `epoch` is the pending one's. Done as the pending
 * set is finalized. Till then a small delta stays the row that it came as, so that its coins are
 * not written anew by each next. */
anonset_code as_sqlite_rows_join(as_db *db, sqlite3_int64 slot, uint32_t epoch, uint32_t base,
                                 anonset_detail *detail);

#endif
