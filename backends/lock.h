/*
 * One writer at a time, across threads and processes, with a timeout, which neither engine gives as
 * we need it: LMDB's writer waits for ever, and SQLite 3.7.0 to 3.51.2 can corrupt a WAL when two
 * connections write and checkpoint at the same instant. A lock on PATH-lock beside the store, held
 * by the kernel for the open file: a killed process lets go of it.
 */
#ifndef AS_LOCK_H
#define AS_LOCK_H

#include <anonset/anonset.h>

typedef struct as_lock as_lock;

/* Opens (makes, mode 0644 less the umask) the lock file for the store at `path`. Nothing is locked.
 */
anonset_code as_lock_open(as_lock **lock, const char *path, anonset_detail *detail);
void as_lock_close(as_lock *lock);

/* Waits at most `ms` for the lock. One as_lock may be used by many threads: they exclude each other
 * too. BUSY: somebody else held it all that time. */
anonset_code as_lock_take(as_lock *lock, unsigned ms, anonset_detail *detail);
void as_lock_release(as_lock *lock);

#endif
