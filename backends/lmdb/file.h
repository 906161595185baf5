/*
 * The files of a store, seen from outside of LMDB: what must be right before LMDB may map one.
 *
 *     PATH                the data, LMDB's format (MDB_NOSUBDIR)
 *     PATH-lock           LMDB's own lock and reader table; the name is LMDB's choice
 *     PATH-writer-lock    our writer lock (backends/lock.h on "PATH-writer")
 *     PATH-new            a store being created; left over by a crash, removed by the next writer
 *     PATH-unsure         a commit met an I/O error: the next writer commits anew before all else
 */
#ifndef AS_LMDB_FILE_H
#define AS_LMDB_FILE_H

#include "core/ledger.h"

#include <lmdb.h>

#define AS_LMDB_READERS 500u /* open snapshots and reads at one time, of all processes */

/* The value of the info key. */
#define AS_INFO_BYTES (12u + AS_IDENTITY_BYTES)
void as_info_encode(uint8_t out[AS_INFO_BYTES], const anonset_store_info *info);
/* FOREIGN: not ours, or of a format this library does not know. */
anonset_code as_info_decode(anonset_store_info *info, const MDB_val *val, const char *path,
                            anonset_detail *detail);

/* Sets *name to path with `suffix` behind it; the caller frees it. */
anonset_code as_file_name(char **name, const char *path, const char *suffix,
                          anonset_detail *detail);

/*
 * Looks at the file's two meta pages without LMDB: it must be an LMDB file of this machine's kind
 * and hold every page that the newest transaction counts, else LMDB would be killed by a signal
 * when it touches one that is missing. NOT_FOUND: there is none, or it is empty. FOREIGN, CORRUPT,
 * PERMISSION, IO; BUSY as below. Writes nothing.
 */
anonset_code as_file_check(const char *path, anonset_detail *detail);

/* as_file_check, and that the info key is ours; makes no file beside it. */
anonset_code as_file_probe(const char *path, anonset_detail *detail);

/* Makes an empty store at `path`, where there is none: a temporary file, committed, synced,
 * renamed, its folder synced. Under the writer lock. */
anonset_code as_file_create(const char *path, const uint8_t salt[ANONSET_SALT_BYTES],
                            anonset_detail *detail);

/* Removes what a crashed creation left. Under the writer lock. */
void as_file_clean(const char *path);

/* Puts the store at `by` in the place of the one at `path`, which is kept as `kept`. Under the
 * writer lock of `path`; FOREIGN if what is there is no LMDB file. */
anonset_code as_file_replace(const char *path, const char *by, const char *kept,
                             anonset_detail *detail);

/* Gives LMDB's lock file its blocks before LMDB maps it: on a full disk the first touch would be a
 * signal. Sets *readers to what LMDB is to be told. FULL, and what else opening can say. Not while
 * this process has the store open: closing the file would drop LMDB's locks. */
anonset_code as_file_reserve_lock(unsigned *readers, const char *path, anonset_detail *detail);

/* Opens an LMDB environment as all of ours are. */
int as_file_map(MDB_env **env, const char *path, size_t map, unsigned readers, unsigned flags);

/* Begins to read in an environment that was just opened, and that nobody uses yet: since then
 * another process may have made the file longer than the map. */
int as_file_read(MDB_txn **txn, MDB_env *env);

/* Sums up the blocks that the store's files take (st_blocks). */
anonset_code as_file_disk_bytes(uint64_t *bytes, const char *path, anonset_detail *detail);

/* Whether the file system of `path` has no room left for us. */
bool as_file_disk_full(const char *path);

/* BUSY: what was read without LMDB was written over by one commit after the other. */
anonset_code as_lmdb_too_fast(anonset_detail *detail, const char *path);

/* Turns LMDB's or the system's code into ours; `what` was attempted on `path`. Never OK. */
anonset_code as_lmdb_fail(anonset_detail *detail, int rc, const char *what, const char *path);
#ifdef __clang_analyzer__
/* As with as_fail: never OK. */
#define as_lmdb_fail(detail, rc, what, path)                                                       \
    ((void)(as_lmdb_fail)(detail, rc, what, path), ANONSET_IO)
#endif

#endif
