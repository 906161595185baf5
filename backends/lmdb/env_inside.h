/* Inside of an environment, for env.c, which opens and closes it, and txn.c, which works on it. */
#ifndef AS_LMDB_ENV_INSIDE_H
#define AS_LMDB_ENV_INSIDE_H

#include "backends/lmdb/env.h"
#include "backends/lock.h"

#include <pthread.h>
#include <sys/types.h>

/* The map is address space, not memory: on 64 bits there is enough to never have to grow it in
 * practice; on 32 bits a process has little, and LMDB works up to 1,792 MiB. */
#if SIZE_MAX > 0xFFFFFFFFu
#define MAP_FIRST ((size_t)16 << 30)
#define MAP_MOST  ((size_t)1 << 46)
#else
#define MAP_FIRST ((size_t)128 << 20)
#define MAP_MOST  ((size_t)1792 << 20)
#endif
#define MAP_LEAST ((size_t)1 << 20)

struct as_env {
    as_env *next;
    unsigned refs;
    char *path;
    dev_t device;
    ino_t inode;
    MDB_env *mdb;
    MDB_dbi table;
    size_t page;
    bool writable;
    as_lock *lock; /* NULL until a handle that may write joins */

    pthread_mutex_t mutex; /* guards what follows, and the map's place */
    pthread_cond_t idle;   /* txns became 0 */
    unsigned txns;         /* live transactions of this process: the map must stay where it is */
    bool checked;          /* LMDB may follow the pages: tree.h */
    bool unsure; /* an I/O error left a commit open: nothing works until all have closed */
};

/* Brings the disk and what is seen together, after a commit that met an I/O error; txn.c. */
anonset_code as_env_settle(as_env *env, unsigned busy_ms, anonset_detail *detail);

#endif
