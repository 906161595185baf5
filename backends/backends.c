/* The backends built in, the default one first. A new backend is one folder, one line here and one
 * block in configure.ac. */
#include "backends/backends.h"

#include "core/store.h"

const anonset_backend *const as_backends[] = {
#ifdef ANONSET_WITH_SQLITE
    &as_backend_sqlite,
#endif
#ifdef ANONSET_WITH_LMDB
    &as_backend_lmdb,
#endif
#ifdef ANONSET_WITH_MEMORY
    &as_backend_memory,
#endif
    NULL,
};

const anonset_backend *as_backend_default(void)
{
    return as_backends[0];
}
