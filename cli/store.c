#include "cli/store.h"

#include "cli/tell.h"

/* An older wallet's cache is upgraded by opening it for writing. */
static anonset_code upgrade(const struct args *args, anonset_store_options *options,
                            anonset_detail *detail)
{
    anonset_store *store = NULL;
    unsigned flags = options->flags;
    anonset_code code;

    options->flags = 0;
    code = anonset_store_open(&store, args->db, options, detail);
    anonset_store_close(store);
    options->flags = flags;
    return code;
}

anonset_code store_open(anonset_store **store, const struct args *args, unsigned flags,
                        anonset_detail *detail)
{
    anonset_store_options options;
    anonset_code code;

    anonset_store_options_init(&options);
    options.flags = flags;
    code = anonset_store_open(store, args->db, &options, detail);
    if (code == ANONSET_UNSUPPORTED) { /* only where it is read */
        code = upgrade(args, &options, detail);
        if (code == ANONSET_OK)
            code = anonset_store_open(store, args->db, &options, detail);
    }
    if (code != ANONSET_OK)
        tell_store(stderr, "open the store", args, detail);
    return code;
}

anonset_code store_groups(anonset_store *store, const struct args *args, store_visit *visit,
                          void *context, anonset_detail *detail)
{
    anonset_code code;
    uint32_t group = 0;

    if (args->group)
        return visit(context, store, args->group, detail);
    while ((code = anonset_store_next_group(store, &group, group, detail)) == ANONSET_OK) {
        code = visit(context, store, group, detail);
        if (code != ANONSET_OK && code != ANONSET_NOT_FOUND) /* another program cleared it */
            return code;
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}
