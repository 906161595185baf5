/* Inside of the backend: the handle, and the transactions on it. */
#ifndef AS_SQLITE_STORE_H
#define AS_SQLITE_STORE_H

#include "backends/lock.h"
#include "backends/sqlite/db.h"
#include "core/ledger.h"

#include <pthread.h>
#include <stdatomic.h>

#define AS_IDLE_MOST 2u /* connections kept for the next reader */

/* Readers have a connection each; the one writer, whoever holds the lock, uses `writer`. */
typedef struct as_sqlite {
    char *path; /* absolute, without links */
    anonset_backend_options options;
    as_lock *lock;       /* NULL: opened read-only */
    atomic_bool unknown; /* a commit failed half way: nothing is to be believed here any more */

    as_db *writer;       /* guarded by the lock; NULL: none yet */
    int next_checkpoint; /* frames in the log */

    pthread_mutex_t mutex; /* guards idle */
    as_db *idle[AS_IDLE_MOST];
    unsigned idle_count;
} as_sqlite;

/* A group's record and where its rows are. A group of which nothing is stored has slot 0. */
typedef struct as_sqlite_group {
    uint32_t group;
    sqlite3_int64 slot;
    as_ledger ledger;
} as_sqlite_group;

anonset_code as_sqlite_group_load(as_sqlite_group *out, as_db *db, uint32_t group,
                                  anonset_detail *detail);

/* Sets *group to the lowest id above `after`; 0: there is none. */
anonset_code as_sqlite_group_next(uint32_t *group, as_db *db, uint32_t after,
                                  anonset_detail *detail);

/* UNKNOWN if the handle is to refuse all use. */
anonset_code as_sqlite_usable(const as_sqlite *store, anonset_detail *detail);

/* A connection for reading, of the idle ones or a new one; it is given back when done. UNKNOWN as
 * above, and what opening can say. */
anonset_code as_sqlite_reader_take(as_sqlite *store, as_db **db, anonset_detail *detail);
void as_sqlite_reader_give(as_sqlite *store, as_db *db);

/* What a write does between BEGIN and COMMIT. On OK it is committed, else rolled back. */
typedef anonset_code (*as_sqlite_work)(as_db *db, const void *in, anonset_detail *detail);

anonset_code as_sqlite_write(as_sqlite *store, as_sqlite_work work, const void *in,
                             anonset_detail *detail);

/* Ends the writer: copies the log into the file and removes it, where nobody is in the way. */
void as_sqlite_writer_close(as_sqlite *store);

/* Copies the log into the file, where nobody is in the way. Failing changes nothing that is stored,
 * so it is only logged. */
void as_sqlite_settle(as_sqlite *store);

/* Brings the disk and what is seen together, after a commit that failed half way. */
anonset_code as_sqlite_make_sure(as_sqlite *store, anonset_detail *detail);

/* Makes the file small again if no group is left in it. Failing changes nothing that is stored, so
 * it is only logged. */
void as_sqlite_shrink(as_sqlite *store);

/* write.c: the works. `in` is an anonset_append, an anonset_complete, an anonset_damage, a group or
 * a genesis. */
anonset_code as_sqlite_work_append(as_db *db, const void *in, anonset_detail *detail);
anonset_code as_sqlite_work_complete(as_db *db, const void *in, anonset_detail *detail);
anonset_code as_sqlite_work_discard(as_db *db, const void *in, anonset_detail *detail);
anonset_code as_sqlite_work_clear(as_db *db, const void *in, anonset_detail *detail);
anonset_code as_sqlite_work_drop(as_db *db, const void *in, anonset_detail *detail);
anonset_code as_sqlite_work_mend(as_db *db, const void *in, anonset_detail *detail);
anonset_code as_sqlite_work_genesis(as_db *db, const void *in, anonset_detail *detail);

/* used.c: the list of used coin tags; `in` is an anonset_used_append. */
anonset_code as_sqlite_work_used(as_db *db, const void *in, anonset_detail *detail);
anonset_code as_sqlite_used_clear(as_db *db, anonset_detail *detail);
anonset_code as_sqlite_used_open(void *handle, void **view, anonset_used_state *state,
                                 anonset_detail *detail);
void as_sqlite_used_close(void *view);
anonset_code as_sqlite_used_read(void *view, anonset_used *used, uint32_t *n, uint32_t from,
                                 uint32_t room, anonset_detail *detail);
anonset_code as_sqlite_used_mark(void *view, anonset_used_state *mark, uint32_t above,
                                 anonset_detail *detail);
anonset_code as_sqlite_used_find(void *view, anonset_used *used, uint32_t *position,
                                 const uint8_t *tag, anonset_detail *detail);
anonset_code as_sqlite_used_check(void *view, uint32_t *sound, anonset_detail *detail);

/* read.c */
anonset_code as_sqlite_read_info(as_db *db, anonset_store_info *info, anonset_detail *detail);
anonset_code as_sqlite_snapshot_open(void *handle, void **snapshot, anonset_state *state,
                                     uint32_t group, anonset_view view, anonset_detail *detail);
void as_sqlite_snapshot_close(void *snapshot);
anonset_code as_sqlite_read(void *snapshot, anonset_run *run, uint32_t position,
                            anonset_detail *detail);
anonset_code as_sqlite_read_tags(void *snapshot, anonset_run *run, uint32_t position,
                                 anonset_detail *detail);
anonset_code as_sqlite_checkpoint(void *snapshot, anonset_checkpoint *checkpoint, uint32_t index,
                                  anonset_detail *detail);

#endif
