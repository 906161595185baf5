/*
 * anonset-conformance.h: proves a backend of your own against the rules of anonset/backend.h.
 *
 *     #include <anonset-conformance.h>
 *
 *     extern const anonset_backend my_backend;
 *
 *     int main(void)
 *     {
 *         anonset_conformance suite = {.size = sizeof suite, .backend = &my_backend};
 *         return anonset_conformance_run(&suite) == 0 ? 0 : 1;
 *     }
 *
 *     cc test.c my_backend.c -o test $(pkg-config --cflags --libs anonset-conformance)
 *
 * The library is a static one and holds all of anonset that it needs: link no libanonset beside it.
 * doc/new-backend.md walks through a backend.
 */
#ifndef ANONSET_CONFORMANCE_H
#define ANONSET_CONFORMANCE_H

#include <anonset/backend.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct anonset_conformance {
    size_t size; /* sizeof(anonset_conformance) */
    const anonset_backend *backend;
    FILE *out; /* a line a case, and what failed; NULL: stderr */

    /* Writes to `path` (cap bytes, NUL-ended) where the store `name` of a case is to be: another
     * for another folder or name. `folder` is new and empty, made for the case below $TMPDIR or
     * /tmp, and removed behind it. False: it does not fit. NULL: folder/name. */
    bool (*make_path)(void *context, char *path, size_t cap, const char *folder, const char *name);
    void *context;

    /* NULL-ended: backends whose stores yours must tell from its own. NULL: none. */
    const anonset_backend *const *others;
} anonset_conformance;

/*
 * Runs every case, each in a process of its own: a crash or an endless loop fails that case alone.
 * Returns how many failed; 0: the backend does what backend.h asks. Call it with one thread and no
 * store open.
 */
size_t anonset_conformance_run(const anonset_conformance *suite);

/* The same case by case, for a test framework: there are _count() of them, numbered from 0. */
size_t anonset_conformance_count(void);
const char *anonset_conformance_name(size_t number);
bool anonset_conformance_case(const anonset_conformance *suite, size_t number);

#ifdef __cplusplus
}
#endif

#endif
