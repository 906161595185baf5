/*
 * The reference model, and the template to copy for a backend of your own: the whole contract of
 * backend.h over plain arrays, with no engine in the way. It shares no code with the ledger that
 * the other backends stand on, so that tests can hold one against the other.
 *
 * Stores live in this process's memory, named by their path, until the process ends: closing a
 * handle and opening the path again shows what was committed. Nothing touches the disk, so nothing
 * is shared with other processes; a path at which a file exists is FOREIGN, so that nobody takes a
 * file's name for a store that lasts. Handles on one path share one store. A read-only handle sees
 * what the others write.
 *
 * A group is an immutable `version`. A write builds the next version beside the one in force and
 * swaps them as its last act, which makes it atomic; a snapshot keeps a reference to the version it
 * was opened on, which makes it consistent. Coins lie in pieces that versions share, so that a
 * write copies what points at pieces, never coins.
 */
#include "backends/backends.h"
#include "core/alloc.h"
#include "core/bytes.h"
#include "core/detail.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define PIECE_COINS 4096u /* backend.h: a run is at most this long */

/* Coins as they were appended; immutable. Tags and the coins' bytes follow in the same allocation.
 */
struct piece {
    unsigned refs;
    size_t bytes; /* of the allocation */
    uint32_t n;
    uint8_t digest[ANONSET_HASH_BYTES]; /* log digest after the last coin */
    uint8_t *tags;
    anonset_coin coins[];
};

/* The first n coins of a piece, at position `start` and on. */
struct slice {
    struct piece *piece;
    uint32_t start;
    uint32_t n;
};

/* All of one group. Slices: first the finalized ones, by position, then the pending ones.
 * Checkpoints: oldest first, an alias before the one it belongs to. */
struct version {
    unsigned refs;
    uint32_t group;
    anonset_state state;
    size_t finalized; /* how many of the slices are */
    size_t n_slices;
    size_t n_checkpoints;
    struct slice *slices;
    anonset_checkpoint *checkpoints;
};

/* The list of used coin tags; immutable. Marks: the states that appends told and whose tags are
 * still there, the list's own among them, ascending. */
struct used {
    unsigned refs;
    anonset_used_state state;
    uint32_t n_marks;
    anonset_used_state *marks;
    anonset_used tags[];
};

struct store {
    struct store *next;
    anonset_store_info info;
    struct used *used;       /* NULL: it is empty */
    struct version **groups; /* by group id, ascending; none is empty */
    size_t n_groups;
    char path[];
};

struct handle {
    struct store *store;
    bool read_only;
};

struct snapshot {
    struct version *version;
    anonset_view view;
};

/* One mutex for all stores and reference counts: held for moments, and never while reading coins.
 */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct store *stores;

static const struct version nothing; /* a group of which nothing is stored */
static const struct used no_tags;

static anonset_code no_memory(anonset_detail *detail)
{
    return as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for the store");
}

static anonset_code stale(anonset_detail *detail, const char *why)
{
    return as_fail(detail, ANONSET_STALE, 0, "the store moved on: %s", why);
}

static bool meta_equal(const anonset_meta *a, const anonset_meta *b)
{
    return a->size == b->size && a->has_set_hash == b->has_set_hash &&
           memcmp(a->block_hash, b->block_hash, sizeof a->block_hash) == 0 &&
           memcmp(a->set_hash, b->set_hash, sizeof a->set_hash) == 0;
}

static bool hash_equal(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, ANONSET_HASH_BYTES) == 0;
}

/* ---- Pieces and versions ------------------------------------------------------------------ */

static uint8_t *put(uint8_t *at, const uint8_t *bytes, uint32_t len)
{
    if (len > 0)
        memcpy(at, bytes, len);
    return at + len;
}

/* Copies coins [first, first + n) of an append. */
static struct piece *piece_new(const anonset_append *a, uint32_t first, uint32_t n)
{
    struct piece *piece;
    size_t head = sizeof *piece + n * sizeof(anonset_coin);
    size_t bytes = head + (size_t)n * 4;
    for (uint32_t i = first; i < first + n; i++)
        bytes += (size_t)a->coins[i].serialized_len + a->coins[i].context_len + ANONSET_HASH_BYTES;
    piece = as_alloc(bytes);
    if (!piece)
        return NULL;
    piece->refs = 0;
    piece->bytes = bytes;
    piece->n = n;
    memcpy(piece->digest, a->digests[first + n - 1], sizeof piece->digest);
    piece->tags = (uint8_t *)piece + head;
    uint8_t *at = piece->tags + (size_t)n * 4;
    for (uint32_t i = 0; i < n; i++) {
        const anonset_coin *coin = &a->coins[first + i];
        as_put32(piece->tags + (size_t)i * 4, a->tags[first + i]);
        piece->coins[i] = *coin;
        piece->coins[i].serialized = at;
        at = put(at, coin->serialized, coin->serialized_len);
        piece->coins[i].tx_hash = at;
        at = put(at, coin->tx_hash, ANONSET_HASH_BYTES);
        piece->coins[i].context = at;
        at = put(at, coin->context, coin->context_len);
    }
    return piece;
}

static void add_slice(struct version *version, struct slice slice)
{
    slice.piece->refs++;
    version->slices[version->n_slices++] = slice;
}

static void version_release(struct version *version)
{
    if (!version || --version->refs > 0)
        return;
    for (size_t i = 0; i < version->n_slices; i++)
        if (--version->slices[i].piece->refs == 0)
            as_free(version->slices[i].piece);
    as_free(version->slices);
    as_free(version->checkpoints);
    as_free(version);
}

/* A version with the state of `from`, no slice and no checkpoint yet, and room for those of `from`
 * and `more` slices and one checkpoint. */
static struct version *version_new(const struct version *from, uint32_t group, size_t more)
{
    struct version *version = as_alloc(sizeof *version);
    if (!version)
        return NULL;
    *version = (struct version){.refs = 1, .group = group, .state = from->state};
    version->slices = as_alloc((from->n_slices + more + 1) * sizeof *version->slices);
    version->checkpoints = as_alloc((from->n_checkpoints + 1) * sizeof *version->checkpoints);
    if (!version->slices || !version->checkpoints) {
        version_release(version);
        return NULL;
    }
    return version;
}

/* Takes over the finalized slices that begin in [begin, end), the last one cut there. */
static void keep_range(struct version *version, const struct version *from, uint32_t begin,
                       uint32_t end)
{
    for (size_t i = 0; i < from->finalized && from->slices[i].start < end; i++) {
        struct slice slice = from->slices[i];
        if (slice.start < begin)
            continue;
        if (slice.n > end - slice.start)
            slice.n = end - slice.start;
        add_slice(version, slice);
    }
}

/* Takes over the finalized slices below `end`, the last one cut there. */
static void keep_finalized(struct version *version, const struct version *from, uint32_t end)
{
    keep_range(version, from, 0, end);
    version->finalized = version->n_slices;
}

static void keep_pending(struct version *version, const struct version *from)
{
    for (size_t i = from->finalized; i < from->n_slices; i++)
        add_slice(version, from->slices[i]);
}

/* Takes over the checkpoints of sizes up to `size`. */
static void keep_checkpoints(struct version *version, const struct version *from, uint32_t size)
{
    for (size_t i = 0; i < from->n_checkpoints; i++)
        if (from->checkpoints[i].meta.size <= size)
            version->checkpoints[version->n_checkpoints++] = from->checkpoints[i];
}

static void drop_hole(anonset_state *state)
{
    state->has_hole = false;
    state->hole_from = state->hole_to = state->hole_filled = 0;
    memset(state->hole_before, 0, sizeof state->hole_before);
    memset(state->hole_digest, 0, sizeof state->hole_digest);
    memset(state->hole_after, 0, sizeof state->hole_after);
}

static void drop_pending(anonset_state *state)
{
    state->has_pending = false;
    state->target = (anonset_meta){0};
    state->base = 0;
    state->count = 0;
    memset(state->pending_digest, 0, sizeof state->pending_digest);
}

/* ---- Groups of a store -------------------------------------------------------------------- */

/* Index of the first group with an id of at least `group`. */
static size_t group_index(const struct store *store, uint32_t group)
{
    size_t i = 0;
    while (i < store->n_groups && store->groups[i]->group < group)
        i++;
    return i;
}

static bool has_group(const struct store *store, size_t i, uint32_t group)
{
    return i < store->n_groups && store->groups[i]->group == group;
}

static const struct version *current(const struct store *store, uint32_t group)
{
    size_t i = group_index(store, group);
    return has_group(store, i, group) ? store->groups[i] : &nothing;
}

static void remove_group(struct store *store, uint32_t group)
{
    size_t i = group_index(store, group);
    if (!has_group(store, i, group))
        return;
    version_release(store->groups[i]);
    store->n_groups--;
    memmove(&store->groups[i], &store->groups[i + 1],
            (store->n_groups - i) * sizeof *store->groups);
}

/* The commit where the group exists: puts `next` in force and takes over the reference to it. */
static void replace(struct store *store, struct version *next)
{
    size_t i = group_index(store, next->group);
    version_release(store->groups[i]);
    store->groups[i] = next;
}

/* The same of any group. False: no memory, nothing changed. */
static bool install(struct store *store, struct version *next)
{
    size_t i = group_index(store, next->group);
    if (has_group(store, i, next->group)) {
        replace(store, next);
        return true;
    }
    struct version **more = as_realloc(store->groups, (store->n_groups + 1) * sizeof *more);
    if (!more)
        return false;
    store->groups = more;
    memmove(&more[i + 1], &more[i], (store->n_groups - i) * sizeof *more);
    more[i] = next;
    store->n_groups++;
    return true;
}

/* ---- Open and close ----------------------------------------------------------------------- */

static struct store *find_store(const char *path)
{
    struct store *store = stores;
    while (store && strcmp(store->path, path) != 0)
        store = store->next;
    return store;
}

static struct store *make_store(const char *path, const uint8_t *salt)
{
    size_t len = strlen(path) + 1;
    struct store *store = as_alloc(sizeof *store + len);
    if (!store)
        return NULL;
    *store = (struct store){.next = stores};
    memcpy(store->info.salt, salt, sizeof store->info.salt);
    memcpy(store->path, path, len);
    stores = store;
    return store;
}

static anonset_code find_or_make(struct store **store, const char *path,
                                 const anonset_backend_options *options, anonset_detail *detail)
{
    bool may_make = (options->flags & ANONSET_STORE_CREATE) != 0 &&
                    (options->flags & ANONSET_STORE_READ_ONLY) == 0;
    *store = find_store(path);
    if (*store)
        return ANONSET_OK;
    if (access(path, F_OK) == 0)
        return as_fail(detail, ANONSET_FOREIGN, 0, "%s is a file, not a store in memory", path);
    if (!may_make)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "no store %s in this process", path);
    *store = make_store(path, options->salt);
    return *store ? ANONSET_OK : no_memory(detail);
}

static anonset_code memory_open(void **handle, const char *path,
                                const anonset_backend_options *options, anonset_detail *detail)
{
    struct handle *h = as_alloc(sizeof *h);
    if (!h)
        return no_memory(detail);
    h->read_only = (options->flags & ANONSET_STORE_READ_ONLY) != 0;
    pthread_mutex_lock(&mutex);
    anonset_code code = find_or_make(&h->store, path, options, detail);
    pthread_mutex_unlock(&mutex);
    if (code == ANONSET_OK)
        *handle = h;
    else
        as_free(h);
    return code;
}

static void memory_close(void *handle)
{
    as_free(handle);
}

/* Every write begins here; on any answer `end_write` follows. */
static anonset_code begin_write(const struct handle *h, anonset_detail *detail)
{
    pthread_mutex_lock(&mutex);
    if (h->read_only)
        return as_fail(detail, ANONSET_INVALID, 0, "the store was opened read-only");
    return ANONSET_OK;
}

static anonset_code end_write(anonset_code code)
{
    pthread_mutex_unlock(&mutex);
    return code;
}

/* ---- What a store knows of itself --------------------------------------------------------- */

static anonset_code memory_info(void *handle, anonset_store_info *info, anonset_detail *detail)
{
    const struct handle *h = handle;
    (void)detail;
    pthread_mutex_lock(&mutex);
    *info = h->store->info;
    pthread_mutex_unlock(&mutex);
    return ANONSET_OK;
}

static anonset_code record_genesis(anonset_store_info *info, const uint8_t *genesis,
                                   anonset_detail *detail)
{
    if (info->has_genesis && !hash_equal(info->genesis, genesis))
        return as_fail(detail, ANONSET_WRONG_NETWORK, 0,
                       "the store belongs to a chain with another genesis block");
    info->has_genesis = true;
    memcpy(info->genesis, genesis, sizeof info->genesis);
    return ANONSET_OK;
}

static anonset_code memory_set_genesis(void *handle, const uint8_t *genesis, anonset_detail *detail)
{
    const struct handle *h = handle;
    anonset_code code = begin_write(h, detail);
    if (code == ANONSET_OK)
        code = record_genesis(&h->store->info, genesis, detail);
    return end_write(code);
}

static anonset_code memory_next_group(void *handle, uint32_t *group, uint32_t after,
                                      anonset_detail *detail)
{
    const struct handle *h = handle;
    anonset_code code = ANONSET_OK;
    pthread_mutex_lock(&mutex);
    size_t i = group_index(h->store, after);
    if (has_group(h->store, i, after))
        i++;
    if (i < h->store->n_groups)
        *group = h->store->groups[i]->group;
    else
        code = as_fail(detail, ANONSET_NOT_FOUND, 0, "no group above %u", after);
    pthread_mutex_unlock(&mutex);
    return code;
}

static anonset_code memory_load_state(void *handle, anonset_state *state, uint32_t group,
                                      anonset_detail *detail)
{
    const struct handle *h = handle;
    (void)detail;
    pthread_mutex_lock(&mutex);
    *state = current(h->store, group)->state;
    pthread_mutex_unlock(&mutex);
    return ANONSET_OK;
}

static anonset_code memory_disk_bytes(void *handle, uint64_t *bytes, anonset_detail *detail)
{
    const struct handle *h = handle;
    uint64_t sum = 0;
    (void)detail;
    pthread_mutex_lock(&mutex);
    for (size_t g = 0; g < h->store->n_groups; g++)
        for (size_t i = 0; i < h->store->groups[g]->n_slices; i++)
            sum += h->store->groups[g]->slices[i].piece->bytes;
    if (h->store->used)
        sum += h->store->used->state.count * sizeof(anonset_used);
    pthread_mutex_unlock(&mutex);
    *bytes = sum; /* held in memory: there is no file */
    return ANONSET_OK;
}

/* ---- append_sector ------------------------------------------------------------------------ */

/* The log digest at a->start if it is known, else NULL. */
static const uint8_t *known_digest(const anonset_state *s, const anonset_append *a)
{
    static const uint8_t zeros[ANONSET_HASH_BYTES];
    if (s->has_pending)
        return s->pending_digest;
    if (a->base == 0)
        return zeros;
    return a->base == s->finalized.size ? s->digest : NULL;
}

static anonset_code check_append(const anonset_state *s, const anonset_append *a,
                                 anonset_detail *detail)
{
    const uint8_t *digest = known_digest(s, a);
    if (s->has_finalized && s->gate > ANONSET_GATE_NONE && meta_equal(&s->finalized, &a->target))
        return stale(detail, "this target is finalized already");
    if (s->has_pending ? a->base != s->base : a->base > s->finalized.size)
        return stale(detail, "the pending set begins elsewhere");
    if (!s->has_pending && a->upon && !meta_equal(&s->finalized, a->upon))
        return stale(detail, "another set is finalized");
    if (a->start != a->base + s->count) /* without a pending set count is 0 */
        return stale(detail, "the sector does not begin where the pending set ends");
    if (digest && !hash_equal(digest, a->digest_before))
        return stale(detail, "the coins before the sector are others");
    if (a->n > a->target.size || a->start > a->target.size - a->n)
        return stale(detail, "the sector goes past the target's size");
    return ANONSET_OK;
}

static bool add_coins(struct version *next, const anonset_append *a)
{
    for (uint32_t done = 0; done < a->n;) {
        uint32_t n = a->n - done < PIECE_COINS ? a->n - done : PIECE_COINS;
        struct piece *piece = piece_new(a, done, n);
        if (!piece)
            return false;
        add_slice(next, (struct slice){.piece = piece, .start = a->start + done, .n = n});
        done += n;
    }
    return true;
}

static anonset_code append(struct store *store, const anonset_append *a, anonset_detail *detail)
{
    const struct version *now = current(store, a->group);
    anonset_code code = check_append(&now->state, a, detail);
    if (code != ANONSET_OK)
        return code;
    struct version *next = version_new(now, a->group, a->n / PIECE_COINS + 1);
    if (!next)
        return no_memory(detail);
    keep_finalized(next, now, now->state.finalized.size);
    keep_pending(next, now);
    keep_checkpoints(next, now, UINT32_MAX);
    next->state.has_pending = true;
    next->state.target = a->target;
    next->state.base = a->base;
    next->state.count += a->n;
    memcpy(next->state.pending_digest, a->digest_after, sizeof a->digest_after);
    if (add_coins(next, a) && install(store, next))
        return ANONSET_OK;
    version_release(next);
    return no_memory(detail);
}

static anonset_code memory_append_sector(void *handle, const anonset_append *a,
                                         anonset_detail *detail)
{
    const struct handle *h = handle;
    anonset_code code = begin_write(h, detail);
    if (code == ANONSET_OK)
        code = append(h->store, a, detail);
    return end_write(code);
}

/* ---- mark_complete ------------------------------------------------------------------------ */

static anonset_code check_complete(const anonset_state *s, const anonset_complete *c,
                                   anonset_detail *detail)
{
    if (!s->has_pending || !meta_equal(&s->target, &c->target))
        return stale(detail, "no pending set for this target");
    if (s->count != c->expected_count)
        return stale(detail, "the pending set has another number of coins");
    if (s->target.size - s->base != s->count)
        return stale(detail, "the pending set is not whole");
    if (!hash_equal(s->pending_digest, c->digest))
        return stale(detail, "the pending set has another digest");
    if (s->has_hole && s->base > s->hole_from)
        return stale(detail, "the finalized set misses coins");
    return ANONSET_OK;
}

static void add_checkpoint(struct version *next)
{
    for (size_t i = 0; i < next->n_checkpoints; i++)
        if (next->checkpoints[i].meta.size == next->state.finalized.size)
            next->checkpoints[i].alias = true;
    anonset_checkpoint *newest = &next->checkpoints[next->n_checkpoints++];
    *newest = (anonset_checkpoint){.meta = next->state.finalized, .gate = next->state.gate};
    memcpy(newest->digest, next->state.digest, sizeof newest->digest);
}

static anonset_code finalize(struct store *store, const anonset_complete *c, anonset_detail *detail)
{
    const struct version *now = current(store, c->group);
    anonset_code code = check_complete(&now->state, c, detail);
    if (code != ANONSET_OK)
        return code;
    struct version *next = version_new(now, c->group, 0);
    if (!next)
        return no_memory(detail);
    keep_finalized(next, now, now->state.base);
    keep_pending(next, now);
    next->finalized = next->n_slices;
    next->state.has_finalized = true;
    next->state.finalized = c->target;
    next->state.gate = c->gate;
    memcpy(next->state.digest, c->digest, sizeof c->digest);
    drop_pending(&next->state);
    drop_hole(&next->state);
    keep_checkpoints(next, now, now->state.base);
    add_checkpoint(next);
    replace(store, next);
    return ANONSET_OK;
}

/* mark_complete for the target that is finalized already: only the gate level may rise. */
static anonset_code raise_gate(struct store *store, const anonset_complete *c,
                               anonset_detail *detail)
{
    const struct version *now = current(store, c->group);
    if (!hash_equal(now->state.digest, c->digest) || now->state.has_hole)
        return stale(detail, "the finalized set has another digest, or misses coins");
    if (c->gate <= now->state.gate)
        return ANONSET_OK;
    struct version *next = version_new(now, c->group, 0);
    if (!next)
        return no_memory(detail);
    keep_finalized(next, now, now->state.finalized.size);
    keep_pending(next, now);
    keep_checkpoints(next, now, UINT32_MAX);
    next->state.gate = c->gate;
    next->checkpoints[next->n_checkpoints - 1].gate = c->gate;
    replace(store, next);
    return ANONSET_OK;
}

static anonset_code memory_mark_complete(void *handle, const anonset_complete *c,
                                         anonset_detail *detail)
{
    const struct handle *h = handle;
    anonset_code code = begin_write(h, detail);
    if (code == ANONSET_OK) {
        const anonset_state *s = &current(h->store, c->group)->state;
        bool again = s->has_finalized && meta_equal(&s->finalized, &c->target) &&
                     !(s->has_pending && meta_equal(&s->target, &c->target));
        code = again ? raise_gate(h->store, c, detail) : finalize(h->store, c, detail);
    }
    return end_write(code);
}

/* ---- drop and mend ------------------------------------------------------------------------ */

static bool is_there(const anonset_state *s, const anonset_damage *d)
{
    if (d->from >= d->to)
        return false;
    if (d->pending)
        return s->has_pending && hash_equal(s->pending_digest, d->digest) && d->from >= s->base &&
               d->to == s->base + s->count;
    return s->has_finalized && hash_equal(s->digest, d->digest) && d->to <= s->finalized.size &&
           (!s->has_hole || (d->from <= s->hole_from && d->to >= s->hole_to));
}

static void make_hole(anonset_state *s, const anonset_damage *d)
{
    s->has_hole = true;
    s->hole_from = d->from;
    s->hole_to = d->to;
    s->hole_filled = 0;
    memcpy(s->hole_before, d->before, sizeof s->hole_before);
    memcpy(s->hole_digest, d->before, sizeof s->hole_digest);
    memcpy(s->hole_after, d->after, sizeof s->hole_after);
}

static anonset_code drop(struct store *store, const anonset_damage *d, anonset_detail *detail)
{
    const struct version *now = current(store, d->group);
    if (!is_there(&now->state, d))
        return stale(detail, "the set that is damaged is not there");
    struct version *next = version_new(now, d->group, 0);
    if (!next)
        return no_memory(detail);
    keep_range(next, now, 0, d->pending ? UINT32_MAX : d->from);
    if (!d->pending)
        keep_range(next, now, d->to, UINT32_MAX);
    next->finalized = next->n_slices;
    for (size_t i = now->finalized; i < now->n_slices; i++)
        if (!d->pending || now->slices[i].start < d->from)
            add_slice(next, now->slices[i]);
    keep_checkpoints(next, now, UINT32_MAX);
    if (d->pending) {
        next->state.count = d->from - next->state.base;
        memcpy(next->state.pending_digest, d->before, sizeof d->before);
    } else {
        make_hole(&next->state, d);
    }
    replace(store, next);
    return ANONSET_OK;
}

static anonset_code memory_drop(void *handle, const anonset_damage *damage, anonset_detail *detail)
{
    const struct handle *h = handle;
    anonset_code code = begin_write(h, detail);
    if (code == ANONSET_OK)
        code = drop(h->store, damage, detail);
    return end_write(code);
}

static bool is_mending(const anonset_state *s, const anonset_append *a)
{
    uint32_t at = s->hole_from + s->hole_filled;
    if (!s->has_hole || a->base != s->hole_from || a->start != at || a->n == 0 ||
        a->n > s->hole_to - at || !hash_equal(a->digest_before, s->hole_digest))
        return false;
    return at + a->n < s->hole_to || hash_equal(a->digest_after, s->hole_after);
}

static anonset_code mend(struct store *store, const anonset_append *a, anonset_detail *detail)
{
    const struct version *now = current(store, a->group);
    if (!is_mending(&now->state, a))
        return stale(detail, "there is no hole that these coins mend");
    struct version *next = version_new(now, a->group, a->n / PIECE_COINS + 1);
    if (!next)
        return no_memory(detail);
    keep_range(next, now, 0, a->start);
    bool added = add_coins(next, a);
    keep_range(next, now, now->state.hole_to, UINT32_MAX);
    next->finalized = next->n_slices;
    keep_pending(next, now);
    keep_checkpoints(next, now, UINT32_MAX);
    next->state.hole_filled += a->n;
    memcpy(next->state.hole_digest, a->digest_after, sizeof a->digest_after);
    if (a->start + a->n == now->state.hole_to)
        drop_hole(&next->state);
    if (added && install(store, next))
        return ANONSET_OK;
    version_release(next);
    return no_memory(detail);
}

static anonset_code memory_mend(void *handle, const anonset_append *append, anonset_detail *detail)
{
    const struct handle *h = handle;
    anonset_code code = begin_write(h, detail);
    if (code == ANONSET_OK)
        code = mend(h->store, append, detail);
    return end_write(code);
}

/* ---- discard and clear -------------------------------------------------------------------- */

static anonset_code discard(struct store *store, uint32_t group, anonset_detail *detail)
{
    const struct version *now = current(store, group);
    if (!now->state.has_pending)
        return ANONSET_OK;
    if (!now->state.has_finalized) {
        remove_group(store, group);
        return ANONSET_OK;
    }
    struct version *next = version_new(now, group, 0);
    if (!next)
        return no_memory(detail);
    keep_finalized(next, now, now->state.finalized.size);
    keep_checkpoints(next, now, UINT32_MAX);
    drop_pending(&next->state);
    replace(store, next);
    return ANONSET_OK;
}

static anonset_code memory_discard_incomplete(void *handle, uint32_t group, anonset_detail *detail)
{
    const struct handle *h = handle;
    anonset_code code = begin_write(h, detail);
    if (code == ANONSET_OK)
        code = discard(h->store, group, detail);
    return end_write(code);
}

static void used_release(struct used *used)
{
    if (!used || --used->refs > 0)
        return;
    as_free(used->marks);
    as_free(used);
}

static void clear_all(struct store *store)
{
    used_release(store->used);
    store->used = NULL;
    while (store->n_groups > 0)
        remove_group(store, store->groups[store->n_groups - 1]->group);
    as_free(store->groups);
    store->groups = NULL;
    store->info.has_genesis = false;
    memset(store->info.genesis, 0, sizeof store->info.genesis);
}

static anonset_code memory_clear(void *handle, uint32_t group, anonset_detail *detail)
{
    const struct handle *h = handle;
    anonset_code code = begin_write(h, detail);
    if (code == ANONSET_OK && group == 0)
        clear_all(h->store);
    else if (code == ANONSET_OK)
        remove_group(h->store, group);
    return end_write(code);
}

/* ---- Snapshots ---------------------------------------------------------------------------- */

static anonset_code memory_snapshot_open(void *handle, void **snapshot, anonset_state *state,
                                         uint32_t group, anonset_view view, anonset_detail *detail)
{
    const struct handle *h = handle;
    struct snapshot *s = as_alloc(sizeof *s);
    if (!s)
        return no_memory(detail);
    pthread_mutex_lock(&mutex);
    size_t i = group_index(h->store, group);
    bool found = has_group(h->store, i, group);
    *s = (struct snapshot){.version = found ? h->store->groups[i] : NULL, .view = view};
    *state = found ? s->version->state : nothing.state;
    if (found)
        s->version->refs++;
    pthread_mutex_unlock(&mutex);
    *snapshot = s;
    return ANONSET_OK;
}

static void memory_snapshot_close(void *snapshot)
{
    struct snapshot *s = snapshot;
    pthread_mutex_lock(&mutex);
    version_release(s->version);
    pthread_mutex_unlock(&mutex);
    as_free(s);
}

/* The part of a slice that shows `position` in the snapshot's view. */
static anonset_code find_slice(struct slice *out, const struct snapshot *s, uint32_t position,
                               anonset_detail *detail)
{
    const struct version *v = s->version ? s->version : &nothing;
    bool next = s->view == ANONSET_VIEW_NEXT && v->state.has_pending;
    bool pending = next && position >= v->state.base;
    size_t low = pending ? v->finalized : 0;
    size_t end = pending ? v->n_slices : v->finalized;
    size_t high = end;
    while (low < high) { /* the first slice that ends behind `position` */
        size_t middle = low + (high - low) / 2;
        if (v->slices[middle].start + v->slices[middle].n > position)
            high = middle;
        else
            low = middle + 1;
    }
    bool missing = v->state.has_hole && !pending;
    if (low == end && !missing)
        return as_fail(detail, ANONSET_INTERNAL, 0, "position %u is outside the view", position);
    if (low == end || position < v->slices[low].start)
        return as_fail(detail, ANONSET_CORRUPT, 0, "the coin at position %u is missing", position);
    *out = v->slices[low];
    if (next && !pending && out->n > v->state.base - out->start)
        out->n = v->state.base - out->start;
    return ANONSET_OK;
}

static void fill_run(anonset_run *run, const struct slice *slice)
{
    *run = (anonset_run){.start = slice->start, .n = slice->n};
    run->has_digest =
        slice->n == slice->piece->n; /* else it is cut, and no digest was kept there */
    if (run->has_digest)
        memcpy(run->digest, slice->piece->digest, sizeof run->digest);
}

static anonset_code memory_read(void *snapshot, anonset_run *run, uint32_t position,
                                anonset_detail *detail)
{
    struct slice slice;
    anonset_code code = find_slice(&slice, snapshot, position, detail);
    if (code != ANONSET_OK)
        return code;
    fill_run(run, &slice);
    run->coins = slice.piece->coins;
    return ANONSET_OK;
}

static anonset_code memory_read_tags(void *snapshot, anonset_run *run, uint32_t position,
                                     anonset_detail *detail)
{
    struct slice slice;
    anonset_code code = find_slice(&slice, snapshot, position, detail);
    if (code != ANONSET_OK)
        return code;
    fill_run(run, &slice);
    run->tags = slice.piece->tags;
    return ANONSET_OK;
}

static anonset_code memory_checkpoint(void *snapshot, anonset_checkpoint *checkpoint,
                                      uint32_t index, anonset_detail *detail)
{
    const struct snapshot *s = snapshot;
    const struct version *v = s->version ? s->version : &nothing;
    if (index >= v->n_checkpoints)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "no more checkpoints");
    *checkpoint = v->checkpoints[v->n_checkpoints - 1 - index];
    return ANONSET_OK;
}

/* ---- Used coin tags ----------------------------------------------------------------------- */

/* Room for a list of n tags with as many marks as `now` has, and one more; NULL: no memory. */
static struct used *used_new(uint32_t n, const struct used *now)
{
    struct used *made = as_alloc_zeroed(sizeof *made + n * sizeof *made->tags);
    if (!made)
        return NULL;
    made->refs = 1;
    made->marks = as_alloc((now->n_marks + (size_t)1) * sizeof *made->marks);
    if (made->marks)
        return made;
    as_free(made);
    return NULL;
}

/* An append of nothing tells anew what the digest at its end is. */
static void used_mark_all(struct used *next, const struct used *now, uint32_t keep)
{
    while (next->n_marks < now->n_marks && now->marks[next->n_marks].count <= keep &&
           now->marks[next->n_marks].count < next->state.count) {
        next->marks[next->n_marks] = now->marks[next->n_marks];
        next->n_marks++;
    }
    next->marks[next->n_marks++] = next->state;
}

static anonset_code used_append(struct store *store, const anonset_used_append *a,
                                anonset_detail *detail)
{
    const struct used *now = store->used ? store->used : &no_tags;
    if (a->before.count != now->state.count || !hash_equal(a->before.digest, now->state.digest))
        return stale(detail, "the list of used tags is another");
    struct used *next = used_new(a->keep + a->n, now);
    if (!next)
        return no_memory(detail);
    next->state.count = a->keep + a->n;
    memcpy(next->state.digest, a->digest_after, sizeof next->state.digest);
    if (a->keep > 0)
        memcpy(next->tags, now->tags, a->keep * sizeof *next->tags);
    if (a->n > 0)
        memcpy(next->tags + a->keep, a->used, a->n * sizeof *next->tags);
    used_mark_all(next, now, a->keep);
    used_release(store->used);
    store->used = next;
    return ANONSET_OK;
}

static anonset_code memory_used_append(void *handle, const anonset_used_append *a,
                                       anonset_detail *detail)
{
    const struct handle *h = handle;
    anonset_code code = begin_write(h, detail);
    if (code == ANONSET_OK)
        code = used_append(h->store, a, detail);
    return end_write(code);
}

/* The list in a box: an empty one is NULL, which is no view. */
struct used_view {
    struct used *used;
};

static anonset_code memory_used_open(void *handle, void **view, anonset_used_state *state,
                                     anonset_detail *detail)
{
    const struct handle *h = handle;
    struct used_view *v = as_alloc(sizeof *v);
    if (!v)
        return no_memory(detail);
    pthread_mutex_lock(&mutex);
    v->used = h->store->used;
    if (v->used)
        v->used->refs++;
    pthread_mutex_unlock(&mutex);
    *state = v->used ? v->used->state : no_tags.state;
    *view = v;
    return ANONSET_OK;
}

static void memory_used_close(void *view)
{
    struct used_view *v = view;
    pthread_mutex_lock(&mutex);
    used_release(v->used);
    pthread_mutex_unlock(&mutex);
    as_free(v);
}

static anonset_code memory_used_read(void *view, anonset_used *used, uint32_t *n, uint32_t from,
                                     uint32_t room, anonset_detail *detail)
{
    const struct used_view *v = view;
    (void)detail;
    memcpy(used, v->used->tags + from, room * sizeof *used);
    *n = room;
    return ANONSET_OK;
}

static anonset_code memory_used_find(void *view, anonset_used *used, uint32_t *position,
                                     const uint8_t *tag, anonset_detail *detail)
{
    const struct used_view *v = view;
    const struct used *list = v->used ? v->used : &no_tags;
    for (uint32_t i = 0; i < list->state.count; i++) {
        const uint8_t *here = list->tags[i].tag;
        /* The first byte alone tells nearly all apart, and a fuzzer is told of each memcmp(). */
        if (here[0] == tag[0] && memcmp(here, tag, ANONSET_TAG_BYTES) == 0) {
            *used = list->tags[i];
            *position = i;
            return ANONSET_OK;
        }
    }
    return as_fail(detail, ANONSET_NOT_FOUND, 0, "the tag is not in the list");
}

static anonset_code memory_used_mark(void *view, anonset_used_state *mark, uint32_t above,
                                     anonset_detail *detail)
{
    const struct used_view *v = view;
    const struct used *list = v->used ? v->used : &no_tags;
    uint32_t i = 0;
    (void)detail;
    while (i < list->n_marks && list->marks[i].count <= above)
        i++;
    *mark = i < list->n_marks ? list->marks[i] : no_tags.state;
    return ANONSET_OK;
}

const anonset_backend as_backend_memory = {
    .size = sizeof(anonset_backend),
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .info = memory_info,
    .set_genesis = memory_set_genesis,
    .next_group = memory_next_group,
    .load_state = memory_load_state,
    .append_sector = memory_append_sector,
    .mark_complete = memory_mark_complete,
    .discard_incomplete = memory_discard_incomplete,
    .clear = memory_clear,
    .disk_bytes = memory_disk_bytes,
    .snapshot_open = memory_snapshot_open,
    .snapshot_close = memory_snapshot_close,
    .read = memory_read,
    .checkpoint = memory_checkpoint,
    .read_tags = memory_read_tags,
    .drop = memory_drop,
    .mend = memory_mend,
    .used_append = memory_used_append,
    .used_open = memory_used_open,
    .used_close = memory_used_close,
    .used_read = memory_used_read,
    .used_find = memory_used_find,
    .used_mark = memory_used_mark,
};
