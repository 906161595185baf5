/* Inside of anonset_store: the vtable and the handle behind it. */
#ifndef AS_STORE_H
#define AS_STORE_H

#include <anonset/backend.h>

struct anonset_store {
    const anonset_backend *backend; /* points to vtable */
    anonset_backend vtable;         /* copied by its size: methods it does not know are NULL */
    void *handle;
    anonset_store_info info; /* as at open */
    bool verify_reads;
};

/* As anonset_store_open, with more flags for the backend. */
anonset_code as_store_open(anonset_store **store, const char *path,
                           const anonset_store_options *options, unsigned more_flags,
                           anonset_detail *detail);

/* The backend built in; backends/backends.c. */
const anonset_backend *as_backend_default(void);

/* NULL-ended table of the backends built in; backends/backends.c. */
extern const anonset_backend *const as_backends[];

#endif
