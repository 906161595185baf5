/* What cases around the path of a store are written with (place.c, others.c). */
#ifndef TL_PLACE_H
#define TL_PLACE_H

#include "tests/support/support.h"

#include <anonset/backend.h>
#include <lmdb.h>
#include <sqlite3.h>

#define TL_PATH    400
#define TL_BAD     1
#define TL_SKIPPED 77

typedef struct tl_case {
    const anonset_backend *backend;
    ts_dir dir; /* of its own */
    const char *path;
    anonset_detail detail; /* of the last call that had one */
} tl_case;

/* Tells what does not hold, or what is missing here, and ends the case's process. */
_Noreturn void tl_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void tl_skip(const char *why);
#define TL_MUST(condition, ...) ((condition) ? (void)0 : tl_fail(__FILE__, __LINE__, __VA_ARGS__))

anonset_code tl_open(tl_case *c, anonset_store **store, unsigned flags);
/* The chain of the case gets longer, and the store follows; or it does not know yet. */
void tl_grow(tl_case *c, anonset_store *store);
void tl_grow_unseen(void);
/* The store follows the chain as it is. */
void tl_sync(tl_case *c, anonset_store *store);
/* The store has just the set of the chain, and verify holds. */
void tl_is_whole(tl_case *c, anonset_store *store);

/* What others do to a store while it is used. Ended by an entry without a name. */
typedef struct tl_other {
    const char *name;
    void (*play)(tl_case *c);
} tl_other;
extern const tl_other tl_others[];

#endif
