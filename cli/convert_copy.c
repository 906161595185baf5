#include "cli/convert_copy.h"

#include "backends/backends.h"
#include "backends/sqlite/legacy.h"
#include "core/copy.h"
#include "core/detail.h"
#include "core/store.h"
#include "core/used.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_MS 5000u

/* ---- The source --------------------------------------------------------------------------- */

const anonset_backend *convert_backend(const char *name)
{
    size_t i = 0;

    while (as_backends[i] && strcmp(as_backends[i]->name, name) != 0)
        i++;
    return as_backends[i];
}

const char *convert_kind(const convert_source *source)
{
    return source->backend ? source->backend->name : "legacy";
}

/* Each backend is asked; the one that upgrades older caches says UNSUPPORTED to reading one as it
 * is. */
anonset_code convert_open(convert_source *source, anonset_detail *detail)
{
    const anonset_backend_options options = {.flags = ANONSET_STORE_READ_ONLY, .busy_ms = BUSY_MS};
    anonset_code code = ANONSET_FOREIGN;

    source->handle = NULL;
    for (size_t i = 0; as_backends[i] && code == ANONSET_FOREIGN; i++) {
        source->backend = as_backends[i];
        code = source->backend->open(&source->handle, source->path, &options, detail);
    }
    if (code == ANONSET_FOREIGN)
        return as_fail(detail, code, 0,
                       "%s is neither a store nor the cache of an older wallet; it was not touched",
                       source->path);
    if (code != ANONSET_UNSUPPORTED)
        return code;
    source->backend = NULL;
    return ANONSET_OK;
}

void convert_close(convert_source *source)
{
    if (source->handle)
        source->backend->close(source->handle);
    source->handle = NULL;
}

/* ---- All of it ---------------------------------------------------------------------------- */

static anonset_code copy_groups(const as_copy *copy, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    anonset_detail none = {.code = ANONSET_OK};
    uint32_t group = 0;

    while (code == ANONSET_OK) {
        code = copy->from->next_group(copy->handle, &group, group, &none);
        if (code == ANONSET_NOT_FOUND)
            return ANONSET_OK;
        if (code != ANONSET_OK)
            return as_fail(detail, code, none.os_error, "%s", none.text);
        code = as_copy_group(copy, group, detail);
    }
    return code;
}

static anonset_code copy_genesis(const convert_source *source, const anonset_backend *backend,
                                 void *to, anonset_detail *detail)
{
    anonset_store_info info;
    anonset_code code = source->backend->info(source->handle, &info, detail);

    if (code == ANONSET_OK && info.has_genesis)
        code = backend->set_genesis(to, info.genesis, detail);
    return code;
}

static anonset_code copy_used(const convert_source *source, const anonset_backend *backend,
                              void *to, anonset_detail *detail)
{
    anonset_used_list *list;
    anonset_code code = as_used_list_open(&list, source->backend, source->handle, detail);

    if (code != ANONSET_OK)
        return code;
    code = as_used_copy(backend, to, list, anonset_used_list_state(list), detail);
    anonset_used_close(list);
    return code;
}

static anonset_code copy_store(const convert_source *source, const anonset_backend *backend,
                               void *to, as_replay *replay, anonset_detail *detail)
{
    const as_copy copy = {.from = source->backend, .handle = source->handle, .replay = replay};
    anonset_code code = copy_genesis(source, backend, to, detail);

    if (code == ANONSET_OK)
        code = copy_groups(&copy, detail);
    return code == ANONSET_OK ? copy_used(source, backend, to, detail) : code;
}

anonset_code convert_copy(const convert_source *source, const anonset_backend *backend, void *to,
                          anonset_detail *detail)
{
    as_replay_sink sink = {
        .to = to, .append_sector = backend->append_sector, .mark_complete = backend->mark_complete};
    anonset_store_info info;
    as_replay *replay = NULL;
    anonset_code code = backend->info(to, &info, detail);

    if (code != ANONSET_OK)
        return code;
    memcpy(sink.salt, info.salt, sizeof sink.salt);
    code = as_replay_new(&replay, &sink, detail);
    if (code == ANONSET_OK)
        code = source->backend ? copy_store(source, backend, to, replay, detail)
                               : as_legacy_import(source->path, replay, BUSY_MS, detail);
    as_replay_free(replay);
    return code;
}
