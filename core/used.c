/* The reader of the list of used coin tags. */
#include "core/used.h"
#include "core/alloc.h"

#include "core/detail.h"
#include "core/store.h"

#include <string.h>

#define PAGE 256u /* tags read at once */

bool as_used_same(const anonset_used_state *a, const anonset_used_state *b)
{
    return a->count == b->count && memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

/* ---- Digest ------------------------------------------------------------------------------- */

anonset_code as_used_digest(as_digest *digest, uint8_t chained[ANONSET_HASH_BYTES],
                            const anonset_used *used, uint32_t n)
{
    uint8_t bytes[ANONSET_HASH_BYTES + ANONSET_TAG_BYTES + ANONSET_HASH_BYTES];
    anonset_code code = ANONSET_OK;
    for (uint32_t i = 0; code == ANONSET_OK && i < n; i++) {
        memcpy(bytes, chained, ANONSET_HASH_BYTES);
        memcpy(bytes + ANONSET_HASH_BYTES, used[i].tag, ANONSET_TAG_BYTES);
        memcpy(bytes + ANONSET_HASH_BYTES + ANONSET_TAG_BYTES, used[i].tx_hash, ANONSET_HASH_BYTES);
        code = as_digest_bytes(digest, chained, bytes, sizeof bytes);
    }
    return code;
}

anonset_code as_used_digest_at(as_digest *digest, uint8_t chained[ANONSET_HASH_BYTES],
                               anonset_used_list *list, uint32_t n, anonset_detail *detail)
{
    anonset_used page[PAGE];
    uint32_t at = 0, got = 0;
    anonset_code code = ANONSET_OK;
    memset(chained, 0, ANONSET_HASH_BYTES);
    for (; code == ANONSET_OK && at < n; at += got) {
        code = anonset_used_read(list, page, &got, at, n - at < PAGE ? n - at : PAGE, detail);
        if (code == ANONSET_OK && as_used_digest(digest, chained, page, got) != ANONSET_OK)
            code = as_fail(detail, ANONSET_INTERNAL, 0, "the crypto library failed");
    }
    return code;
}

/* ---- Reading ------------------------------------------------------------------------------ */

anonset_code as_used_supported(const anonset_store *store, anonset_detail *detail)
{
    return store->backend->used_append
               ? ANONSET_OK
               : as_fail(detail, ANONSET_UNSUPPORTED, 0, "%s keeps no list of used coin tags",
                         store->backend->name);
}

anonset_code as_used_list_open(anonset_used_list **list, const anonset_backend *backend,
                               void *handle, anonset_detail *detail)
{
    anonset_used_list *made = as_alloc_zeroed(sizeof *made);
    if (!made)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for a list of used tags");
    made->backend = backend;
    anonset_code code = backend->used_open(handle, &made->view, &made->state, detail);
    if (code == ANONSET_OK)
        *list = made;
    else
        as_free(made);
    return code;
}

anonset_code anonset_used_open(anonset_used_list **list, anonset_store *store,
                               anonset_detail *detail)
{
    if (!list || !store)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_used_open: NULL argument");
    anonset_code code = as_used_supported(store, detail);
    if (code != ANONSET_OK)
        return code;
    return as_used_list_open(list, store->backend, store->handle, detail);
}

void anonset_used_close(anonset_used_list *list)
{
    if (!list)
        return;
    list->backend->used_close(list->view);
    as_free(list);
}

const anonset_used_state *anonset_used_list_state(const anonset_used_list *list)
{
    return &list->state;
}

anonset_code anonset_used_read(anonset_used_list *list, anonset_used *used, uint32_t *n,
                               uint32_t from, uint32_t room, anonset_detail *detail)
{
    if (!list || !used || !n || room == 0)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_used_read: NULL argument or no room");
    if (from >= list->state.count) {
        *n = 0;
        return ANONSET_OK;
    }
    if (room > list->state.count - from)
        room = list->state.count - from;
    return list->backend->used_read(list->view, used, n, from, room, detail);
}

anonset_code anonset_used_find(anonset_used_list *list, anonset_used *used, uint32_t *position,
                               const uint8_t *tag, anonset_detail *detail)
{
    if (!list || !used || !position || !tag)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_used_find: NULL argument");
    return list->backend->used_find(list->view, used, position, tag, detail);
}

/* ---- Clearing ------------------------------------------------------------------------------ */

/* Empties the list as it is now. */
static anonset_code clear_once(anonset_store *store, anonset_detail *detail)
{
    anonset_used_append none = {.n = 0};
    void *view;
    anonset_code code = store->backend->used_open(store->handle, &view, &none.before, detail);
    if (code != ANONSET_OK)
        return code;
    store->backend->used_close(view);
    return store->backend->used_append(store->handle, &none, detail);
}

anonset_code anonset_used_clear(anonset_store *store, anonset_detail *detail)
{
    anonset_code code;
    if (!store)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_used_clear: NULL argument");
    code = as_used_supported(store, detail);
    for (unsigned i = 0; code == ANONSET_OK && i < AS_USED_TRIES; i++) {
        code = clear_once(store, detail);
        if (code != ANONSET_STALE)
            return code;
        code = i + 1 < AS_USED_TRIES ? ANONSET_OK : ANONSET_STALE;
    }
    return code;
}
