/* Inside of legacy.c: telling the layout, and reading it. */
#ifndef AS_SQLITE_LEGACY_READ_H
#define AS_SQLITE_LEGACY_READ_H

#include "backends/sqlite/db.h"
#include "backends/sqlite/legacy.h"

/* What a file has beyond v1. (The unique index of v2 makes no difference to a reader: duplicate
 * links are left out, wherever they come from.) */
typedef struct as_legacy_layout {
    bool complete;  /* SparkSet.complete */
    bool order_key; /* SparkSetCoins.orderKey */
} as_legacy_layout;

/* *known: the file has these tables, with these columns and no others, and no other tables. */
anonset_code as_legacy_layout_find(as_legacy_layout *layout, bool *known, as_db *db,
                                   anonset_detail *detail);

/* Replays all finished sets, group by group, each oldest coin first. The file must not change
 * meanwhile. Memory does not grow with the sets: links that are not stored in the order to read
 * them in are sorted in memory if they are as few as a group can have, else in a file. */
anonset_code as_legacy_read(as_replay *replay, as_db *db, const as_legacy_layout *layout,
                            anonset_detail *detail);

/* A connection for as_legacy_read needs this, whatever else it is set to. */
#define AS_LEGACY_READ_PRAGMAS "PRAGMA temp_store=FILE;PRAGMA cache_size=-1400;"

#endif
