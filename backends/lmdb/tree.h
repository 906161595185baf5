/*
 * LMDB's pages, read without LMDB. It takes what its pages say for true: a length or a page number
 * that rotted leads it out of its map, and a free list that did makes it write over what is in use.
 * So the tables' own pages are looked at before it may follow them: one for about a hundred rows of
 * up to 64 KiB of coins, which lie in pages of their own.
 */
#ifndef AS_LMDB_TREE_H
#define AS_LMDB_TREE_H

#include "backends/lmdb/env.h"

/*
 * Checks the state that `txn`, a read transaction on the file `fd`, sees: that each page of the two
 * tables is in the file, of its kind and used once, all entries lie in their pages, in order, with
 * keys of ours, values lie in the file, what is free is not used, each group with coins or
 * checkpoints has a record; and that the tables are as large as the meta page says. `values`: also
 * the heads of the pages that values lie in. CORRUPT, and what reading can say.
 */
anonset_code as_tree_check(MDB_txn *txn, int fd, bool values, const char *path,
                           anonset_detail *detail);

/* Reads the value of the info key in the newest state, at most AS_INFO_BYTES of it: *len 0 where
 * the first entry is another. */
anonset_code as_tree_info(uint8_t *info, size_t *len, int fd, const char *path,
                          anonset_detail *detail);

/* Of the head of an overflow page in the map, right before a value of more than a page's share: it
 * counts the pages that LMDB takes back when the value goes. False: it is damaged. */
bool as_tree_value_fits(const MDB_val *val, size_t key_len, size_t page);

#endif
