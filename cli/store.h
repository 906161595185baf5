/* Opening the store a command names, and going through its groups. */
#ifndef CLI_STORE_H
#define CLI_STORE_H

#include "cli/args.h"

/* Opens args->db with `flags` (ANONSET_STORE_*); the cache of an older wallet is upgraded first. On
 * failure says so on stderr; *detail is then set. */
anonset_code store_open(anonset_store **store, const struct args *args, unsigned flags,
                        anonset_detail *detail);

/*
 * Calls `visit` for args->group, or if that is 0 for each group of which something is stored, until
 * it returns something else than OK, which is then returned.
 */
typedef anonset_code store_visit(void *context, anonset_store *store, uint32_t group,
                                 anonset_detail *detail);
anonset_code store_groups(anonset_store *store, const struct args *args, store_visit *visit,
                          void *context, anonset_detail *detail);

#endif
