/*
 * Checkpoints: a group's history as one list, oldest first, an alias before the one it belongs to.
 * They are kept in chunks that fill a page: one entry each would take a third more space, and a
 * wallet that syncs with every block has as many as blocks.
 */
#ifndef AS_LMDB_CHECKPOINTS_H
#define AS_LMDB_CHECKPOINTS_H

#include "backends/lmdb/env.h"

/* Records of a chunk: as many as fit into a page of 4,096 bytes behind LMDB's head. A larger page
 * wastes some; the number is part of the format. */
#define AS_CHUNK_RECORDS 37u

/* Does what `effect` says of checkpoints. */
anonset_code as_checkpoints_update(as_write *write, uint32_t group, const as_effect *effect,
                                   anonset_detail *detail);

/* Sets *n to how many the group has. */
anonset_code as_checkpoints_count(uint32_t *n, MDB_cursor *cursor, uint32_t group, const char *path,
                                  anonset_detail *detail);
/* Reads number `at` of the list. */
anonset_code as_checkpoints_read(anonset_checkpoint *checkpoint, MDB_txn *txn, uint32_t group,
                                 uint32_t at, const char *path, anonset_detail *detail);

#endif
