/* The vtables, one a folder. */
#ifndef AS_BACKENDS_H
#define AS_BACKENDS_H

#include <anonset/backend.h>

extern const anonset_backend as_backend_sqlite;
extern const anonset_backend as_backend_lmdb;
extern const anonset_backend as_backend_memory;

#endif
