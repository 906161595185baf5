/*
 * Where is this used coin tag? Tags are as good as random, so an index of all of them in one tree
 * has most of its pages changed by every batch: SQLite's own made a list of a million tags write
 * 126 times its bytes. So the index is made of runs: each has the tags of up to 65,536 positions in
 * a row, in their order, and is written once. What is appended is a run of its own; the newest
 * eight of about one size become one, so that a tag is written some three times and there are about
 * forty runs in a million.
 *
 * An entry is a row of two integers: the position where its run begins, and the begin of the tag
 * with the place in the run behind it. It leads to a row of the list, which alone says what is
 * there.
 */
#ifndef AS_SQLITE_USED_INDEX_H
#define AS_SQLITE_USED_INDEX_H

#include "backends/sqlite/db.h"

/* In the write transaction that changed the list as `a` says. CORRUPT: a tag, or an entry, cannot
 * be. */
anonset_code as_used_index_update(as_db *db, const anonset_used_append *a, anonset_detail *detail);

/* Removes all entries, without a look at them. */
anonset_code as_used_index_clear(as_db *db, anonset_detail *detail);

/* Finds the lowest position of a tag. NOT_FOUND. CORRUPT: an entry leads astray. */
anonset_code as_used_index_find(as_db *db, anonset_used *used, uint32_t *position,
                                const uint8_t *tag, anonset_detail *detail);

/* Holds all entries against the `count` tags of the list. *sound: where the first run begins that
 * is not as it must be. */
anonset_code as_used_index_check(as_db *db, uint32_t *sound, uint32_t count,
                                 anonset_detail *detail);

/* Steps to the row of the list at `position`: of AS_SQL_USED_READ, one after another. CORRUPT. */
anonset_code as_used_next_row(anonset_used *used, as_db *db, sqlite3_stmt *rows, uint32_t position,
                              anonset_detail *detail);
anonset_code as_used_damaged(const as_db *db, uint32_t position, anonset_detail *detail);

#endif
