/* How far the list of used coin tags is sound, and what to do with what is. */
#include "core/alloc.h"
#include "core/detail.h"
#include "core/store.h"
#include "core/used.h"

#include <string.h>

#define PAGE 256u /* tags read at once */

/* ---- Looking ------------------------------------------------------------------------------ */

struct look {
    anonset_used_list *list;
    as_digest *digest;
    bool finding;   /* each tag is looked up */
    uint32_t found; /* tags that can be sound: to the others a look-up is not led */
    anonset_detail *detail;
};

/* Whether each of these tags is found, at its place or (told twice) before it. */
static anonset_code find_all(const struct look *look, const anonset_used *used, uint32_t from,
                             uint32_t n)
{
    const anonset_used_list *list = look->list;
    anonset_code code = ANONSET_OK;
    for (uint32_t i = 0; code == ANONSET_OK && i < n; i++) {
        anonset_used found;
        uint32_t at = 0;
        code = list->backend->used_find(list->view, &found, &at, used[i].tag, look->detail);
        if (code == ANONSET_NOT_FOUND || (code == ANONSET_OK && at > from + i))
            code = as_fail(look->detail, ANONSET_CORRUPT, 0,
                           "the used tag at position %u is not found: repair the store, then sync "
                           "again",
                           (unsigned)(from + i));
    }
    return code;
}

/* The next state above `at` that the backend remembers; the last is the list's own. */
static anonset_code next_mark(anonset_used_state *mark, const struct look *look, uint32_t at)
{
    const anonset_used_list *list = look->list;
    anonset_code code = ANONSET_OK;
    *mark = list->state;
    if (list->backend->used_mark)
        code = list->backend->used_mark(list->view, mark, at, look->detail);
    /* The list's own: it would stay in the list's midst, where the next append ends. */
    if (code == ANONSET_OK && mark->count == list->state.count && mark->count > at &&
        memcmp(mark->digest, list->state.digest, sizeof mark->digest) != 0)
        code = as_fail(look->detail, ANONSET_CORRUPT, 0,
                       "the digest beside the newest used tag is damaged: repair the store, then "
                       "sync again");
    if (mark->count <= at || mark->count >= list->state.count)
        *mark = list->state;
    return code;
}

/* Whether the tags behind *sound lead to *mark, which then is what is sound. */
static anonset_code go_on(anonset_used_state *sound, const anonset_used_state *mark,
                          const struct look *look)
{
    anonset_used page[PAGE];
    anonset_used_state reached = *sound;
    uint32_t n = 0;
    anonset_code code = ANONSET_OK;
    for (; code == ANONSET_OK && reached.count < mark->count; reached.count += n) {
        uint32_t left = mark->count - reached.count;
        code = anonset_used_read(look->list, page, &n, reached.count, left < PAGE ? left : PAGE,
                                 look->detail);
        if (code == ANONSET_OK &&
            as_used_digest(look->digest, reached.digest, page, n) != ANONSET_OK)
            code = as_fail(look->detail, ANONSET_INTERNAL, 0, "the crypto library failed");
        if (code == ANONSET_OK && look->finding)
            code = find_all(look, page, reached.count, n);
    }
    if (code == ANONSET_OK && mark->count > look->found)
        return as_fail(look->detail, ANONSET_CORRUPT, 0,
                       "used tags from position %u on are not found: repair the store, then sync "
                       "again",
                       (unsigned)look->found);
    if (code == ANONSET_OK && memcmp(reached.digest, mark->digest, sizeof mark->digest) != 0)
        return as_fail(look->detail, ANONSET_CORRUPT, 0,
                       "the used tags at positions %u to %u do not lead to their digest: repair "
                       "the store, then sync again",
                       (unsigned)sound->count, (unsigned)(mark->count - 1));
    if (code == ANONSET_OK)
        *sound = *mark;
    return code;
}

anonset_code as_used_sound(anonset_used_state *sound, anonset_used_list *list, bool finding,
                           anonset_detail *detail)
{
    const anonset_backend *backend = list->backend;
    struct look look = {.list = list,
                        .finding = finding && !backend->used_check,
                        .found = list->state.count,
                        .detail = detail};
    anonset_code code = as_digest_new(&look.digest, detail);
    *sound = (anonset_used_state){.count = 0};
    if (code == ANONSET_OK && finding && backend->used_check)
        code = backend->used_check(list->view, &look.found, detail);
    if (code != ANONSET_OK)
        goto out;
    while (code == ANONSET_OK && sound->count < list->state.count) {
        anonset_used_state mark;
        code = next_mark(&mark, &look, sound->count);
        if (code == ANONSET_OK)
            code = go_on(sound, &mark, &look);
    }
    if (code == ANONSET_CORRUPT)
        code = ANONSET_OK;
out:
    as_digest_free(look.digest);
    return code;
}

anonset_code anonset_used_verify(anonset_used_list *list, bool *sound, anonset_detail *detail)
{
    anonset_used_state found;
    if (!list || !sound)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_used_verify: NULL argument");
    anonset_code code = as_used_sound(&found, list, true, detail);
    if (code == ANONSET_OK || code == ANONSET_CORRUPT)
        *sound = code == ANONSET_OK && found.count == list->state.count;
    return code == ANONSET_CORRUPT ? ANONSET_OK : code;
}

/* ---- Repairing ---------------------------------------------------------------------------- */

/* Cuts the list as it is now. */
static anonset_code repair_once(anonset_store *store, anonset_used_repaired *did,
                                anonset_detail *detail)
{
    anonset_used_append cut = {.n = 0};
    anonset_used_state sound;
    anonset_used_list *list;
    anonset_code code = anonset_used_open(&list, store, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_used_sound(&sound, list, true, detail);
    cut.before = list->state;
    anonset_used_close(list);
    if (code != ANONSET_OK)
        return code;
    did->kept = cut.keep = sound.count;
    did->dropped = cut.before.count - sound.count;
    memcpy(cut.digest_after, sound.digest, sizeof cut.digest_after);
    return did->dropped ? store->backend->used_append(store->handle, &cut, detail) : ANONSET_OK;
}

anonset_code anonset_used_repair(anonset_store *store, anonset_used_repaired *did,
                                 anonset_detail *detail)
{
    anonset_used_repaired done;
    anonset_code code = ANONSET_STALE;
    if (!store || !did)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_used_repair: NULL argument");
    for (unsigned i = 0; code == ANONSET_STALE && i < AS_USED_TRIES; i++)
        code = repair_once(store, &done, detail);
    if (code == ANONSET_OK)
        *did = done;
    return code;
}

/* ---- Copying ------------------------------------------------------------------------------ */

/* Reads n tags from `from` on. */
static anonset_code read_batch(anonset_used *batch, anonset_used_list *list, uint32_t from,
                               uint32_t n, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    uint32_t got = 0;
    for (uint32_t at = 0; code == ANONSET_OK && at < n; at += got)
        code = anonset_used_read(list, batch + at, &got, from + at, n - at, detail);
    return code;
}

struct copy {
    const anonset_backend *to;
    void *handle;
    anonset_used_list *list;
    as_digest *digest;
    anonset_used_state copied;
    anonset_used *batch;
    anonset_detail *detail;
};

static anonset_code copy_batch(struct copy *c, uint32_t n)
{
    anonset_used_append a = {
        .before = c->copied, .keep = c->copied.count, .n = n, .used = c->batch};
    anonset_code code = read_batch(c->batch, c->list, a.keep, n, c->detail);
    if (code == ANONSET_OK &&
        as_used_digest(c->digest, c->copied.digest, c->batch, n) != ANONSET_OK)
        code = as_fail(c->detail, ANONSET_INTERNAL, 0, "the crypto library failed");
    memcpy(a.digest_after, c->copied.digest, sizeof a.digest_after);
    if (code == ANONSET_OK)
        code = c->to->used_append(c->handle, &a, c->detail);
    c->copied.count += n;
    return code;
}

static anonset_code copy_all(struct copy *c, const anonset_used_state *sound)
{
    anonset_code code = ANONSET_OK;
    while (code == ANONSET_OK && c->copied.count < sound->count) {
        uint32_t left = sound->count - c->copied.count;
        code = copy_batch(c, left < ANONSET_USED_BATCH ? left : ANONSET_USED_BATCH);
    }
    if (code == ANONSET_OK && memcmp(c->copied.digest, sound->digest, sizeof sound->digest) != 0)
        code = as_fail(c->detail, ANONSET_CORRUPT, 0,
                       "the stored used tags differ from their digest: verify says more");
    return code;
}

anonset_code as_used_copy(const anonset_backend *to, void *handle, anonset_used_list *list,
                          const anonset_used_state *sound, anonset_detail *detail)
{
    struct copy c = {.to = to, .handle = handle, .list = list, .detail = detail};
    anonset_code code = as_digest_new(&c.digest, detail);
    if (code != ANONSET_OK)
        return code;
    c.batch = as_alloc(ANONSET_USED_BATCH * sizeof *c.batch);
    code = c.batch ? copy_all(&c, sound)
                   : as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for used tags");
    as_free(c.batch);
    as_digest_free(c.digest);
    return code;
}
