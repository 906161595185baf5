/* anonset-convert: reading one store, writing another. */
#ifndef CLI_CONVERT_COPY_H
#define CLI_CONVERT_COPY_H

#include <anonset/backend.h>

/* The backend of this name; NULL: there is none. */
const anonset_backend *convert_backend(const char *name);

/* What is converted: a store of a backend, or the cache of an older wallet. */
typedef struct convert_source {
    const char *path;
    const anonset_backend *backend; /* NULL: an older cache */
    void *handle;
} convert_source;

/* Finds out what is at source->path and opens it read-only. FOREIGN: nothing that we know. */
anonset_code convert_open(convert_source *source, anonset_detail *detail);
void convert_close(convert_source *source);

/* The source's kind: a backend's name, or "legacy". */
const char *convert_kind(const convert_source *source);

/*
 * Copies all of the source into the empty store `to` of `backend`: the chain's genesis hash, every
 * group's states one after another with their gate levels and aliases, what is pending, and the
 * list of used coin tags. Memory does not grow with any of them. CORRUPT: the source's coins or
 * tags differ from their digests. BUSY: a sync wrote to the source meanwhile.
 */
anonset_code convert_copy(const convert_source *source, const anonset_backend *backend, void *to,
                          anonset_detail *detail);

#endif
