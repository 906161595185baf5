/* Calls through the vtable: checks what a backend may take for granted. */
#include "core/store.h"

#include "core/alloc.h"
#include "core/detail.h"
#include "core/digest.h"

#include <stddef.h>
#include <string.h>

#define BUSY_MS 5000u

void anonset_store_options_init(anonset_store_options *options)
{
    *options = (anonset_store_options){
        .size = sizeof *options, .flags = ANONSET_STORE_CREATE, .busy_ms = BUSY_MS};
}

const char *anonset_default_backend(void)
{
    return as_backend_default()->name;
}

/* ---- Opening ------------------------------------------------------------------------------ */

/* The list of used tags takes all of its methods, or none. */
static const char *missing_used(const anonset_backend *b)
{
    bool whole = b->used_append && b->used_open && b->used_close && b->used_read && b->used_find;
    bool some = b->used_append || b->used_open || b->used_close || b->used_read || b->used_find;
    return some && !whole ? "some of used_append, used_open, used_close, used_read, used_find"
                          : NULL;
}

/* The first method that a backend must have and this one lacks; NULL: it is complete. */
static const char *missing_method(const anonset_backend *b)
{
    const struct {
        const char *name;
        bool present;
    } musts[] = {
        {"name", b->name != NULL},
        {"open", b->open != NULL},
        {"close", b->close != NULL},
        {"info", b->info != NULL},
        {"set_genesis", b->set_genesis != NULL},
        {"next_group", b->next_group != NULL},
        {"load_state", b->load_state != NULL},
        {"append_sector", b->append_sector != NULL},
        {"mark_complete", b->mark_complete != NULL},
        {"discard_incomplete", b->discard_incomplete != NULL},
        {"clear", b->clear != NULL},
        {"disk_bytes", b->disk_bytes != NULL},
        {"snapshot_open", b->snapshot_open != NULL},
        {"snapshot_close", b->snapshot_close != NULL},
        {"read", b->read != NULL},
        {"checkpoint", b->checkpoint != NULL},
    };
    for (size_t i = 0; i < sizeof musts / sizeof *musts; i++)
        if (!musts[i].present)
            return musts[i].name;
    if (!b->drop != !b->mend)
        return b->drop ? "mend" : "drop";
    return missing_used(b);
}

static anonset_code take_vtable(anonset_store *store, const anonset_backend *backend,
                                anonset_detail *detail)
{
    size_t size = backend->size;
    if (size > sizeof store->vtable)
        size = sizeof store->vtable;
    if (size <= sizeof backend->size)
        return as_fail(detail, ANONSET_INVALID, 0, "the backend's vtable does not tell its size");
    memcpy(&store->vtable, backend, size);
    store->backend = &store->vtable;
    const char *missing = missing_method(store->backend);
    if (missing)
        return as_fail(detail, ANONSET_INVALID, 0, "the backend's vtable lacks %s", missing);
    return ANONSET_OK;
}

static anonset_code backend_options(anonset_backend_options *out,
                                    const anonset_store_options *options, anonset_detail *detail)
{
    const unsigned exclusive = ANONSET_STORE_CREATE | ANONSET_STORE_READ_ONLY;
    const unsigned known = exclusive | ANONSET_STORE_VERIFY_READS;
    if (options->size != sizeof *options)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "store options: set by anonset_store_options_init of another version");
    if ((options->flags & ~known) != 0 || (options->flags & exclusive) == exclusive)
        return as_fail(detail, ANONSET_INVALID, 0, "store flags 0x%x make no sense",
                       options->flags);
    *out = (anonset_backend_options){.flags = options->flags & exclusive,
                                     .busy_ms = options->busy_ms ? options->busy_ms : BUSY_MS,
                                     .log = options->log,
                                     .log_context = options->log_context};
    if (as_random(out->salt, sizeof out->salt) != ANONSET_OK)
        return as_fail(detail, ANONSET_INTERNAL, 0, "the system has no random numbers");
    return ANONSET_OK;
}

anonset_code as_store_open(anonset_store **store, const char *path,
                           const anonset_store_options *options, unsigned more_flags,
                           anonset_detail *detail)
{
    anonset_store_options defaults;
    anonset_backend_options inner;
    anonset_store *made = NULL;
    anonset_code code;
    if (!store || !path || path[0] == '\0')
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_store_open: NULL or empty argument");
    anonset_store_options_init(&defaults);
    if (!options)
        options = &defaults;
    code = backend_options(&inner, options, detail);
    if (code != ANONSET_OK)
        return code;
    inner.flags |= more_flags;
    made = as_alloc_zeroed(sizeof *made);
    if (!made)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for a store");
    code = take_vtable(made, options->backend ? options->backend : as_backend_default(), detail);
    if (code != ANONSET_OK)
        goto out;
    code = made->backend->open(&made->handle, path, &inner, detail);
    if (code != ANONSET_OK)
        goto out;
    code = made->backend->info(made->handle, &made->info, detail);
    if (code != ANONSET_OK) {
        made->backend->close(made->handle);
        goto out;
    }
    made->verify_reads = (options->flags & ANONSET_STORE_VERIFY_READS) != 0;
    *store = made;
    made = NULL;
out:
    as_free(made);
    return code;
}

anonset_code anonset_store_open(anonset_store **store, const char *path,
                                const anonset_store_options *options, anonset_detail *detail)
{
    return as_store_open(store, path, options, 0, detail);
}

void anonset_store_close(anonset_store *store)
{
    if (!store)
        return;
    store->backend->close(store->handle);
    as_free(store);
}

const char *anonset_store_backend(const anonset_store *store)
{
    return store->backend->name;
}

/* ---- Calls -------------------------------------------------------------------------------- */

static anonset_code null_argument(anonset_detail *detail, const char *function)
{
    return as_fail(detail, ANONSET_INVALID, 0, "%s: NULL argument", function);
}

static anonset_code no_group(anonset_detail *detail, const char *function)
{
    return as_fail(detail, ANONSET_INVALID, 0, "%s: groups begin at 1", function);
}

anonset_code anonset_store_next_group(anonset_store *store, uint32_t *group, uint32_t after,
                                      anonset_detail *detail)
{
    if (!store || !group)
        return null_argument(detail, __func__);
    return store->backend->next_group(store->handle, group, after, detail);
}

anonset_code anonset_store_state(anonset_store *store, anonset_state *state, uint32_t group,
                                 anonset_detail *detail)
{
    if (!store || !state)
        return null_argument(detail, __func__);
    if (group == 0)
        return no_group(detail, __func__);
    return store->backend->load_state(store->handle, state, group, detail);
}

anonset_code anonset_store_genesis(anonset_store *store, uint8_t *genesis, anonset_detail *detail)
{
    anonset_store_info info; /* not as at open: a sync may have recorded it since */
    anonset_code code;
    if (!store || !genesis)
        return null_argument(detail, __func__);
    code = store->backend->info(store->handle, &info, detail);
    if (code != ANONSET_OK)
        return code;
    if (!info.has_genesis)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "no server has told the store its chain yet");
    memcpy(genesis, info.genesis, sizeof info.genesis);
    return ANONSET_OK;
}

anonset_code anonset_store_clear(anonset_store *store, uint32_t group, anonset_detail *detail)
{
    if (!store)
        return null_argument(detail, __func__);
    return store->backend->clear(store->handle, group, detail);
}

anonset_code anonset_store_disk_bytes(anonset_store *store, uint64_t *bytes, anonset_detail *detail)
{
    if (!store || !bytes)
        return null_argument(detail, __func__);
    return store->backend->disk_bytes(store->handle, bytes, detail);
}
