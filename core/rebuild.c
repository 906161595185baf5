/* Making a store anew out of one that the engine, or we, cannot find our way in. */
#include "core/alloc.h"
#include "core/copy.h"
#include "core/detail.h"
#include "core/digest.h"
#include "core/store.h"
#include "core/used.h"
#include "core/verify.h"

#include <stdio.h>
#include <string.h>

#define NEW_SUFFIX     ".rebuilt"
#define DAMAGED_SUFFIX ".damaged"

struct rebuild {
    const char *path;
    anonset_store_options options;
    anonset_store *old; /* NULL: it cannot be opened at all */
    anonset_store *new;
    as_replay *replay;
    anonset_rebuilt *rebuilt;
    anonset_detail *detail;
    char *fresh; /* path of the new store */
};

/* ---- One group ---------------------------------------------------------------------------- */

/* What was left out is noted as a repair would: the made-up coins differ from their digest. */
static anonset_code note_missing(struct rebuild *r, uint32_t group)
{
    anonset_repair repair;
    anonset_code code = anonset_store_repair(r->new, &repair, group, r->detail);
    if (code == ANONSET_OK)
        r->rebuilt->dropped += repair.dropped;
    return code;
}

static anonset_code copy_sound(struct rebuild *r, uint32_t group, const as_stored *found)
{
    as_copy copy = {.from = r->old->backend, .handle = r->old->handle, .replay = r->replay};
    copy.gap = found->finalized ? &found->of_finalized : NULL;
    copy.newest_alone = found->records;
    copy.no_pending = found->pending && !found->has_before;
    if (found->pending && found->of_pending.from > found->state.base)
        copy.pending_to = found->of_pending.from;
    else
        copy.no_pending |= found->pending;
    anonset_code code = as_copy_group(&copy, group, r->detail);
    if (code == ANONSET_OK)
        code = note_missing(r, group);
    return code;
}

static bool is_of_the_old(anonset_code code)
{
    return code == ANONSET_CORRUPT || code == ANONSET_NOT_FOUND;
}

static anonset_code copy_group(struct rebuild *r, uint32_t group)
{
    anonset_verdict verdict;
    as_stored found;
    anonset_code code = as_verify(r->old, &verdict, &found, group, r->detail);
    if (code == ANONSET_OK && !found.state.has_finalized && !found.state.has_pending)
        code = ANONSET_CORRUPT;
    if (code == ANONSET_OK)
        code = copy_sound(r, group, &found);
    if (code == ANONSET_OK) {
        r->rebuilt->kept++;
        return ANONSET_OK;
    }
    if (!is_of_the_old(code))
        return code;
    r->rebuilt->lost++;
    return r->new->backend->clear(r->new->handle, group, r->detail);
}

static anonset_code copy_groups(struct rebuild *r)
{
    anonset_code code = ANONSET_OK;
    uint32_t group = 0, before = 0;
    while (code == ANONSET_OK) {
        anonset_code next = r->old->backend->next_group(r->old->handle, &group, before, r->detail);
        if (next != ANONSET_OK)
            return next == ANONSET_NOT_FOUND || next == ANONSET_CORRUPT ? ANONSET_OK : next;
        if (group <= before) /* what rotted may lead round in a circle */
            return ANONSET_OK;
        code = copy_group(r, group);
        before = group;
    }
    return code;
}

/* ---- The list of used coin tags ----------------------------------------------------------- */

static anonset_code copy_sound_used(struct rebuild *r, anonset_used_list *list)
{
    anonset_used_state sound;
    anonset_code code = as_used_sound(&sound, list, false, r->detail);
    if (code == ANONSET_OK)
        code = as_used_copy(r->new->backend, r->new->handle, list, &sound, r->detail);
    if (code != ANONSET_OK)
        return code;
    r->rebuilt->used_kept = sound.count;
    r->rebuilt->used_dropped = anonset_used_list_state(list)->count - sound.count;
    return ANONSET_OK;
}

static anonset_code copy_used(struct rebuild *r)
{
    anonset_used_list *list;
    if (!r->old->backend->used_append)
        return ANONSET_OK;
    anonset_code code = anonset_used_open(&list, r->old, r->detail);
    r->rebuilt->used_lost = code == ANONSET_CORRUPT;
    if (r->rebuilt->used_lost)
        return ANONSET_OK;
    if (code != ANONSET_OK)
        return code;
    code = copy_sound_used(r, list);
    anonset_used_close(list);
    return code;
}

/* ---- All of it ---------------------------------------------------------------------------- */

static anonset_code copy_genesis(struct rebuild *r)
{
    const anonset_store_info *info = &r->old->info;
    if (!info->has_genesis)
        return ANONSET_OK;
    return r->new->backend->set_genesis(r->new->handle, info->genesis, r->detail);
}

static anonset_code fill(struct rebuild *r)
{
    const anonset_backend *backend = r->new->backend;
    as_replay_sink sink = {.to = r->new->handle,
                           .append_sector = backend->append_sector,
                           .mark_complete = backend->mark_complete};
    memcpy(sink.salt, r->new->info.salt, sizeof sink.salt);
    anonset_code code = as_replay_new(&r->replay, &sink, r->detail);
    if (code == ANONSET_OK)
        code = copy_genesis(r);
    if (code == ANONSET_OK)
        code = copy_groups(r);
    if (code == ANONSET_OK)
        code = copy_used(r);
    as_replay_free(r->replay);
    return code;
}

/* Whatever can be read of the damaged one: perhaps nothing. */
static anonset_code open_old(struct rebuild *r)
{
    anonset_store_options options = r->options;
    options.flags = ANONSET_STORE_READ_ONLY;
    anonset_code code =
        as_store_open(&r->old, r->path, &options, ANONSET_BACKEND_SALVAGE, r->detail);
    return code == ANONSET_CORRUPT ? ANONSET_OK : code;
}

static anonset_code make_new(struct rebuild *r)
{
    anonset_store_options options = r->options;
    const anonset_backend *backend = options.backend ? options.backend : as_backend_default();
    if (!backend->replace)
        return as_fail(r->detail, ANONSET_UNSUPPORTED, 0, "backend %s cannot rebuild a store",
                       backend->name);
    options.flags = ANONSET_STORE_CREATE;
    anonset_code code = anonset_store_open(&r->new, r->fresh, &options, r->detail);
    if (code == ANONSET_OK) /* one that was killed may have left something */
        code = anonset_store_clear(r->new, 0, r->detail);
    if (code == ANONSET_OK && r->old)
        code = fill(r);
    anonset_store_close(r->new);
    return code;
}

static anonset_code rebuild(struct rebuild *r)
{
    const anonset_backend *backend = r->options.backend ? r->options.backend : as_backend_default();
    anonset_code code = open_old(r);
    if (code == ANONSET_OK)
        code = make_new(r);
    anonset_store_close(r->old);
    if (code != ANONSET_OK)
        return code;
    return backend->replace(r->path, r->fresh, r->rebuilt->damaged, r->options.busy_ms, r->detail);
}

anonset_code anonset_store_rebuild(const char *path, const anonset_store_options *options,
                                   anonset_rebuilt *rebuilt, anonset_detail *detail)
{
    anonset_rebuilt did = {.kept = 0};
    struct rebuild r = {.path = path, .rebuilt = &did, .detail = detail};
    if (!path || !rebuilt || strlen(path) + sizeof DAMAGED_SUFFIX > sizeof did.damaged)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "anonset_store_rebuild: NULL or too long a path");
    anonset_store_options_init(&r.options);
    if (options)
        r.options = *options;
    if (r.options.busy_ms == 0)
        r.options.busy_ms = 5000;
    size_t room = strlen(path) + sizeof NEW_SUFFIX;
    r.fresh = as_alloc(room);
    if (!r.fresh)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for a path");
    (void)snprintf(r.fresh, room, "%s" NEW_SUFFIX, path);
    (void)snprintf(did.damaged, sizeof did.damaged, "%s" DAMAGED_SUFFIX, path);
    anonset_code code = rebuild(&r);
    as_free(r.fresh);
    if (code == ANONSET_OK)
        *rebuilt = did;
    return code;
}
