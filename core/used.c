/* The reader of the list of used coin tags. */
#include "core/used.h"
#include "core/alloc.h"

#include "core/detail.h"
#include "core/store.h"

#include <string.h>

#define PAGE        256u /* tags read at once */
#define CLEARS_MOST 16u  /* tries against a sync that writes meanwhile */

struct anonset_used_list {
    const anonset_backend *backend;
    void *view;
    anonset_used_state state;
};

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

static anonset_code check_supported(const anonset_store *store, anonset_detail *detail)
{
    return store->backend->used_append
               ? ANONSET_OK
               : as_fail(detail, ANONSET_UNSUPPORTED, 0, "%s keeps no list of used coin tags",
                         store->backend->name);
}

anonset_code anonset_used_open(anonset_used_list **list, anonset_store *store,
                               anonset_detail *detail)
{
    anonset_used_list *made;
    anonset_code code;
    if (!list || !store)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_used_open: NULL argument");
    code = check_supported(store, detail);
    if (code != ANONSET_OK)
        return code;
    made = as_alloc_zeroed(sizeof *made);
    if (!made)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for a list of used tags");
    made->backend = store->backend;
    code = made->backend->used_open(store->handle, &made->view, &made->state, detail);
    if (code == ANONSET_OK)
        *list = made;
    else
        as_free(made);
    return code;
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

/* ---- Verifying and clearing --------------------------------------------------------------- */

/* Whether each of these tags is found, at its place or (told twice) before it. */
static anonset_code find_all(anonset_used_list *list, const anonset_used *used, uint32_t from,
                             uint32_t n, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    for (uint32_t i = 0; code == ANONSET_OK && i < n; i++) {
        anonset_used found;
        uint32_t at = 0;
        code = list->backend->used_find(list->view, &found, &at, used[i].tag, detail);
        if (code == ANONSET_NOT_FOUND || (code == ANONSET_OK && at > from + i))
            code = as_fail(detail, ANONSET_CORRUPT, 0,
                           "the used tag at position %u is not found: clear the list, and sync it",
                           (unsigned)(from + i));
    }
    return code;
}

static anonset_code verify(anonset_used_list *list, as_digest *digest, anonset_detail *detail)
{
    anonset_used page[PAGE];
    uint8_t chained[ANONSET_HASH_BYTES];
    uint32_t n = 0;
    anonset_code code = as_used_digest_at(digest, chained, list, list->state.count, detail);
    if (code == ANONSET_OK && memcmp(chained, list->state.digest, sizeof chained) != 0)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "the used tags do not lead to their digest: clear the list, and sync it");
    for (uint32_t at = 0; code == ANONSET_OK && at < list->state.count; at += n) {
        code = anonset_used_read(list, page, &n, at, PAGE, detail);
        if (code == ANONSET_OK)
            code = find_all(list, page, at, n, detail);
    }
    return code;
}

anonset_code anonset_used_verify(anonset_used_list *list, bool *sound, anonset_detail *detail)
{
    as_digest *digest = NULL;
    anonset_code code;
    if (!list || !sound)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_used_verify: NULL argument");
    code = as_digest_new(&digest, detail);
    if (code == ANONSET_OK)
        code = verify(list, digest, detail);
    as_digest_free(digest);
    if (code == ANONSET_OK || code == ANONSET_CORRUPT) {
        *sound = code == ANONSET_OK;
        code = ANONSET_OK;
    }
    return code;
}

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
    code = check_supported(store, detail);
    for (unsigned i = 0; code == ANONSET_OK && i < CLEARS_MOST; i++) {
        code = clear_once(store, detail);
        if (code != ANONSET_STALE)
            return code;
        code = i + 1 < CLEARS_MOST ? ANONSET_OK : ANONSET_STALE;
    }
    return code;
}
