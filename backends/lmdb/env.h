/*
 * LMDB environments: one for each file in a process, shared by all handles on it, since LMDB breaks
 * when one process opens a file twice. And the transactions on them.
 */
#ifndef AS_LMDB_ENV_H
#define AS_LMDB_ENV_H

#include "backends/lmdb/keys.h"
#include "core/ledger.h"

typedef struct as_env as_env;

/* Opens or joins the environment of `path`, as the vtable's open says. */
anonset_code as_env_open(as_env **env, const char *path, const anonset_backend_options *options,
                         anonset_detail *detail);
void as_env_close(as_env *env);

/* The vtable's check. */
anonset_code as_env_check(as_env *env, unsigned busy_ms, anonset_detail *detail);

/* A value to be read without LMDB: tree.h. */
typedef struct as_wanted {
    as_key key;
    uint8_t *out; /* gets it, */
    size_t room;  /* of so many bytes, */
    size_t len;   /* these: 0 if it is not there */
} as_wanted;

/* Reads a value as as_tree_get does. */
anonset_code as_env_get(as_wanted *wanted, as_env *env, unsigned busy_ms, anonset_detail *detail);

/* The vtable's replace. */
anonset_code as_env_replace(const char *path, const char *by, const char *kept, unsigned busy_ms,
                            anonset_detail *detail);

/* UNKNOWN if a commit in this process met an I/O error, until all have closed the environment. */
anonset_code as_env_usable(as_env *env, anonset_detail *detail);

/* For tests: the first size of the map where it is not 0, so that growing it can be seen. */
extern size_t as_env_first_map;

const char *as_env_path(const as_env *env);
MDB_dbi as_env_table(const as_env *env);

/* A read transaction. Waits for no writer. The first one in the process checks the tables: CORRUPT.
 */
anonset_code as_read_begin(MDB_txn **txn, as_env *env, unsigned busy_ms, anonset_detail *detail);
void as_read_end(as_env *env, MDB_txn *txn);

/* A write transaction, as the functions that work in it see it. */
typedef struct as_write {
    as_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor;
    size_t page;      /* bytes in one of LMDB's pages */
    bool changed;     /* there is something to commit */
    size_t new_pages; /* at most so many pages were taken for what was put … */
    size_t deletes;   /* … and so many entries deleted */
    int rc;           /* what LMDB said last, if not 0 */
} as_write;

/* The work of one write. May run more than once (the map grew), so it must not change `in`. */
typedef anonset_code (*as_work)(as_write *write, const void *in, anonset_detail *detail);

/* Runs `work` in a write transaction under the writer lock and commits it durably; nothing changes
 * unless it returns OK, but for UNKNOWN. */
anonset_code as_env_write(as_env *env, as_work work, const void *in, unsigned busy_ms,
                          anonset_detail *detail);

/* Inside of a write. */
anonset_code as_write_fail(as_write *write, int rc, const char *what, anonset_detail *detail);
#ifdef __clang_analyzer__
/* As with as_fail: never OK. */
#define as_write_fail(write, rc, what, detail)                                                     \
    ((void)(as_write_fail)(write, rc, what, detail), ANONSET_IO)
#endif
anonset_code as_write_put(as_write *write, as_key key, const void *bytes, size_t len,
                          anonset_detail *detail);
/* Sets *bytes to where `len` bytes of a value are to be written, before anything else is put. */
anonset_code as_write_reserve(as_write *write, uint8_t **bytes, as_key key, size_t len,
                              anonset_detail *detail);
/* Deletes the entry at the cursor; a following MDB_NEXT gives the one behind it. */
anonset_code as_write_delete(as_write *write, anonset_detail *detail);

/* Deletes everything. */
anonset_code as_write_empty(as_write *write, anonset_detail *detail);

/* ---- Looking things up, in either kind of transaction; LMDB's codes ---- */

int as_get(MDB_txn *txn, as_key key, MDB_val *val);

/* Moves the cursor by `op` to *key and *val; MDB_NOTFOUND past the entries of this kind and group.
 */
int as_cursor_move(MDB_cursor *cursor, MDB_cursor_op op, as_kind kind, uint32_t group, as_key *key,
                   MDB_val *val);

/* The last entry of key->kind and key->group at or below *key, or the first at or above it. */
int as_cursor_at_most(MDB_cursor *cursor, as_key *key, MDB_val *val);
int as_cursor_at_least(MDB_cursor *cursor, as_key *key, MDB_val *val);

/* Reads the group's record: all-zero if there is none. */
anonset_code as_load_ledger(as_ledger *ledger, MDB_txn *txn, uint32_t group, const char *path,
                            anonset_detail *detail);

#endif
