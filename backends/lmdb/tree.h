/*
 * LMDB's pages, read without LMDB. It takes what its pages say for true: a length or a page number
 * that rotted leads it out of its map, and a free list that did makes it write over what is in use.
 * So the tables' own pages are looked at before it may follow any of them, once in a process: one
 * for about a hundred rows of up to 64 KiB of coins, which lie in pages of their own. What must not
 * take longer the more there is, opening a store and its records, is read without LMDB.
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

/*
 * Reads a value in that state, by the pages on the way to it alone. None of them may be in the list
 * of free pages, which is checked: a page of an older state looks as sound as a new one.
 * wanted->len 0: it is not there, or the way to it has rotted, which as_tree_check tells. CORRUPT,
 * and what reading can say.
 */
anonset_code as_tree_get(as_wanted *wanted, MDB_txn *txn, int fd, const char *path,
                         anonset_detail *detail);

/* The same in the newest state of a file that may be foreign, and without a look at what is free.
 * BUSY: others commit all the time. */
anonset_code as_tree_probe(as_wanted *wanted, int fd, const char *path, anonset_detail *detail);

/* Of the head of an overflow page in the map, right before a value of more than a page's share: it
 * counts the pages that LMDB takes back when the value goes. False: it is damaged. */
bool as_tree_value_fits(const MDB_val *val, size_t key_len, size_t page);

#endif
