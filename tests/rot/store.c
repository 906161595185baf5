/* The store that rots, and all that is done with it. */
#include "core/store.h"
#include "core/coin.h"
#include "core/plan.h"
#include "tests/crash/must.h"
#include "tests/rot/rot.h"
#include "tests/support/play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define GROUPS      3u
#define STATES_MOST 256u
#define POINTS_MOST 32u
#define BUDGET      4096u

/* The list of used coin tags is that of the first group's chain, and synced behind it. */
#define WITH_USED 0u

/* Not neighbours: nothing is copied from one into the other. */
static const uint32_t groups[GROUPS] = {1, 3, 7};

/* All of a group at one commit, but for its coins, which follow from the metas. */
typedef struct shown {
    anonset_state state;
    uint32_t n;
    anonset_checkpoint points[POINTS_MOST];
} shown;

typedef struct history {
    tw_world world;
    const tw_chain *chain;    /* the server's */
    const tw_chain *chain_of; /* that all coins held are of */
    uint32_t n;
    shown states[STATES_MOST];
    uint32_t needed; /* coins that the next sync fetches of a store that is whole */
} history;

/* The list of used tags at one commit: all that the chain has. */
typedef struct used_shown {
    anonset_used_state state;
    const tw_chain *chain;
} used_shown;

struct tr_store {
    const anonset_backend *backend;
    anonset_store *open;
    anonset_store_info info;
    history groups[GROUPS];
    used_shown used[STATES_MOST];
    uint32_t n_used;
    tr_file files[TR_FILES];
    tw_reply reply;
};

/* ---- Looking ------------------------------------------------------------------------------ */

static bool same_hash(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, ANONSET_HASH_BYTES) == 0;
}

static bool same_state(const anonset_state *a, const anonset_state *b)
{
    return a->has_finalized == b->has_finalized && a->has_pending == b->has_pending &&
           as_meta_equal(&a->finalized, &b->finalized) && as_meta_equal(&a->target, &b->target) &&
           same_hash(a->digest, b->digest) && same_hash(a->pending_digest, b->pending_digest) &&
           a->gate == b->gate && a->base == b->base && a->count == b->count &&
           a->has_hole == b->has_hole;
}

static bool same_points(const shown *a, const shown *b)
{
    bool same = a->n == b->n;
    for (uint32_t i = 0; same && i < a->n; i++) {
        const anonset_checkpoint *x = &a->points[i], *y = &b->points[i];
        same = as_meta_equal(&x->meta, &y->meta) && same_hash(x->digest, y->digest) &&
               x->gate == y->gate && x->alias == y->alias;
    }
    return same;
}

static anonset_code look(shown *out, const anonset_backend *b, void *handle, uint32_t group)
{
    void *snapshot;
    *out = (shown){.n = 0};
    anonset_code code =
        b->snapshot_open(handle, &snapshot, &out->state, group, ANONSET_VIEW_FINALIZED, NULL);
    if (code != ANONSET_OK)
        return code;
    while (code == ANONSET_OK && out->state.has_finalized && out->n < POINTS_MOST) {
        code = b->checkpoint(snapshot, &out->points[out->n], out->n, NULL);
        out->n += code == ANONSET_OK;
    }
    b->snapshot_close(snapshot);
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

/* ---- Syncing ------------------------------------------------------------------------------ */

static void keep_result(void *context, const anonset_result *result)
{
    *(anonset_result *)context = *result;
}

/* Every commit is noted, for each may be the newest that is left of a log: by a backend that passes
 * all on. */
static anonset_backend noting;
static const anonset_backend *noted;
static history *noted_in; /* NULL: nothing is noted */
static tr_store *noted_of;

static anonset_code note(anonset_code code, void *handle, uint32_t group)
{
    history *h = noted_in;
    if (code != ANONSET_OK || !h)
        return code;
    tc_must(h->n < STATES_MOST, "there is room for states");
    tc_must(look(&h->states[h->n++], noted, handle, group) == ANONSET_OK, "it reads");
    return code;
}

static anonset_code note_append(void *handle, const anonset_append *append, anonset_detail *detail)
{
    return note(noted->append_sector(handle, append, detail), handle, append->group);
}

static anonset_code note_complete(void *handle, const anonset_complete *complete,
                                  anonset_detail *detail)
{
    return note(noted->mark_complete(handle, complete, detail), handle, complete->group);
}

static anonset_code note_discard(void *handle, uint32_t group, anonset_detail *detail)
{
    return note(noted->discard_incomplete(handle, group, detail), handle, group);
}

static anonset_code note_used(void *handle, const anonset_used_append *a, anonset_detail *detail)
{
    anonset_code code = noted->used_append(handle, a, detail);
    if (code != ANONSET_OK || !noted_in)
        return code;
    tc_must(noted_of->n_used < STATES_MOST, "there is room for lists");
    used_shown *now = &noted_of->used[noted_of->n_used++];
    *now = (used_shown){.state = {.count = a->keep + a->n}, .chain = noted_in->chain};
    memcpy(now->state.digest, a->digest_after, ANONSET_HASH_BYTES);
    return code;
}

static const anonset_backend *note_all(tr_store *s)
{
    noted = s->backend;
    noted_of = s;
    noting = *noted;
    noting.used_append = note_used;
    noting.append_sector = note_append;
    noting.mark_complete = note_complete;
    noting.discard_incomplete = note_discard;
    return &noting;
}

/* Syncs a group, up to `answers` answers. */
static void sync_group(tr_store *s, anonset_store *store, uint32_t g, uint32_t sector,
                       uint32_t answers, anonset_result *result, bool is_noted)
{
    history *h = &s->groups[g];
    anonset_sync_options options;
    anonset_sync *sync;
    anonset_request request;
    anonset_step step;
    anonset_sync_options_init(&options);
    options.group = groups[g];
    options.sector_size = sector;
    options.proof_budget = BUDGET;
    options.used = g == WITH_USED ? ANONSET_USED_TOO : ANONSET_USED_NO;
    options.on_result = keep_result;
    options.context = result;
    result->outcome = ANONSET_OUTCOME_COUNT;
    noted_in = is_noted ? h : NULL;
    tc_must(anonset_sync_new(&sync, store, &options, NULL) == ANONSET_OK, "a sync can be made");
    while ((step = anonset_sync_step(sync, &request)) != ANONSET_STEP_DONE) {
        if (step == ANONSET_STEP_SEND)
            continue;
        if (answers-- == 0)
            break;
        const anonset_request *requests;
        tc_must(anonset_sync_outstanding(sync, &requests) > 0, "a sync that waits has asked");
        tw_answer(&s->reply, h->chain, &requests[0]);
        tc_must(anonset_sync_feed(sync, &s->reply.answer, NULL) == ANONSET_OK, "it can be fed");
    }
    anonset_sync_free(sync);
    noted_in = NULL;
}

/* ---- Making it ---------------------------------------------------------------------------- */

static void grow(history *h, uint32_t blocks, uint32_t txs)
{
    h->chain = tw_grow_wide(&h->world, h->chain, blocks, txs);
}

static void sync_all(tr_store *s, uint32_t g, uint32_t sector)
{
    anonset_result result;
    sync_group(s, s->open, g, sector, UINT32_MAX, &result, true);
    tc_must(result.outcome <= ANONSET_UP_TO_DATE, result.error.text);
}

/* The same coins mined again, and then others in the place of the newest. */
static void reorganize(tr_store *s, uint32_t g, bool others)
{
    history *h = &s->groups[g];
    for (int i = 0; i < 60 && h->world.n < 180; i++) {
        const tw_chain *next = tw_mutate(&h->world, h->chain);
        bool same = tw_same_coins(next, h->chain, h->chain->meta.size);
        if (next->n < 3 || next->meta.size < h->chain->meta.size || next->meta.size > 300 ||
            next->n > 12 || as_meta_equal(&next->meta, &h->chain->meta) || same == others)
            continue;
        h->chain = next;
        return;
    }
}

/* One group with a history and half a download, one of one state, one that only began. */
static void fill(tr_store *s)
{
    anonset_result result;
    history *h = &s->groups[0];
    grow(h, 2, 4);
    sync_all(s, 0, 5);
    grow(h, 2, 30);
    sync_all(s, 0, 0);
    grow(h, 1, 3);
    sync_all(s, 0, 1);
    reorganize(s, 0, false);
    sync_all(s, 0, 16);
    reorganize(s, 0, true);
    sync_all(s, 0, 7);
    grow(h, 1, 40);
    sync_all(s, 0, 40);
    grow(&s->groups[1], 3, 15);
    sync_all(s, 1, 11);
    grow(&s->groups[2], 3, 20);
    sync_group(s, s->open, 2, 9, 6, &result, true);
    grow(h, 2, 20);
    sync_group(s, s->open, 0, 10, 7, &result, true);
}

static anonset_store *open_store(const anonset_backend *backend, const char *path, unsigned flags,
                                 anonset_code *code, anonset_detail *detail)
{
    anonset_store_options options;
    anonset_store *store = NULL;
    anonset_store_options_init(&options);
    options.backend = backend;
    options.flags = flags;
    options.busy_ms = 200;
    *code = anonset_store_open(&store, path, &options, detail);
    return store;
}

static void take_file(tr_file *file, const char *path, const char *ending)
{
    char name[1024];
    struct stat found;
    (void)snprintf(name, sizeof name, "%s%s", path, ending);
    *file = (tr_file){.ending = ending};
    FILE *in = fopen(name, "rb");
    if (!in)
        return;
    tc_must(fstat(fileno(in), &found) == 0, "a file has a size");
    file->len = (size_t)found.st_size;
    file->bytes = malloc(file->len + 1);
    tc_must(file->bytes && fread(file->bytes, 1, file->len, in) == file->len, "it can be read");
    (void)fclose(in);
}

tr_store *tr_store_new(const anonset_backend *backend, const char *folder, uint64_t seed, bool open)
{
    char path[1024];
    anonset_code code;
    tr_store *s = calloc(1, sizeof *s);
    tc_must(s, "there is memory");
    s->backend = backend;
    (void)snprintf(path, sizeof path, "%s/whole", folder);
    for (uint32_t g = 0; g < GROUPS; g++)
        tw_world_init(&s->groups[g].world, seed * GROUPS + g);
    s->open = open_store(note_all(s), path, ANONSET_STORE_CREATE, &code, NULL);
    tc_must(s->open, "a store can be made");
    fill(s);
    if (!open) {
        anonset_store_close(s->open);
        s->open = open_store(note_all(s), path, 0, &code, NULL);
        tc_must(s->open, "it opens");
    }
    s->info = (anonset_store_info){.has_genesis = false};
    tc_must(s->backend->info(s->open->handle, &s->info, NULL) == ANONSET_OK, "it knows itself");
    take_file(&s->files[0], path, "");
    take_file(&s->files[1], path, "-wal");
    tc_must(s->files[0].bytes, "it has a file");
    /* What the next sync fetches anyway: known before anything rots. */
    for (uint32_t g = 0; g < GROUPS; g++) {
        anonset_result result;
        sync_group(s, s->open, g, 8, UINT32_MAX, &result, false);
        tc_must(result.outcome <= ANONSET_UP_TO_DATE, result.error.text);
        s->groups[g].needed = result.fetched;
    }
    anonset_store_close(s->open);
    return s;
}

void tr_store_free(tr_store *s)
{
    for (uint32_t g = 0; g < GROUPS; g++)
        tw_world_free(&s->groups[g].world);
    for (uint32_t i = 0; i < TR_FILES; i++)
        free(s->files[i].bytes);
    free(s);
}

const tr_file *tr_store_files(const tr_store *s)
{
    return s->files;
}

/* ---- Using it ----------------------------------------------------------------------------- */

struct use {
    tr_store *s;
    const char *path;
    tr_fate *fate;
    bool earlier[GROUPS];
    bool sound[GROUPS];
    uint32_t dropped[GROUPS];
};

static void stage(struct use *u, const char *what)
{
    (void)snprintf(u->fate->stage, sizeof u->fate->stage, "%s", what);
}

static void bad(struct use *u, uint32_t group, const char *what)
{
    if (!u->fate->bad)
        (void)snprintf(u->fate->why, TR_WHY, "%s, group %u: %s", u->fate->stage, group, what);
    u->fate->bad = true;
}

static bool coin_is(const anonset_coin *coin, const tw_chain *chain, uint32_t position)
{
    uint8_t bytes[TW_COIN_BYTES];
    anonset_coin must;
    tw_coin(&must, bytes, chain->coin[position], &chain->coin_tx[position]);
    return as_coin_equal(coin, &must);
}

/* Reads the finalized set as wallets do. *same: each coin is that of the chain. */
static anonset_code read_set(anonset_store *store, uint32_t group, const history *h, bool *same,
                             anonset_order order)
{
    anonset_snapshot *snapshot;
    anonset_coin coin;
    *same = true;
    anonset_code code = anonset_snapshot_open(&snapshot, store, group, NULL);
    if (code != ANONSET_OK)
        return code;
    const anonset_state *state = anonset_snapshot_state(snapshot);
    uint32_t size = state->finalized.size;
    const tw_chain *chain = tw_find(&h->world, &state->finalized);
    *same = chain != NULL;
    code = anonset_snapshot_seek(snapshot, 0, size, order, NULL);
    for (uint32_t i = 0; i < size && code == ANONSET_OK; i++) {
        code = anonset_snapshot_next(snapshot, &coin, NULL);
        if (code == ANONSET_OK && *same)
            *same = coin_is(&coin, chain, order == ANONSET_OLDEST_FIRST ? i : size - 1 - i);
    }
    anonset_snapshot_close(snapshot);
    return code;
}

/* What both views hold must be the coins of their metas: what verify calls sound. */
static bool views_are(anonset_store *store, uint32_t group, const history *h,
                      const anonset_state *state)
{
    const anonset_backend *b = store->backend;
    bool pending = state->has_pending, same = true;
    const anonset_meta *meta = pending ? &state->target : &state->finalized;
    const tw_chain *chain = tw_find(&h->world, meta);
    uint32_t end = pending ? state->base + state->count : state->finalized.size;
    anonset_state now;
    void *snapshot;
    if (!chain || b->snapshot_open(store->handle, &snapshot, &now, group, ANONSET_VIEW_NEXT,
                                   NULL) != ANONSET_OK)
        return false;
    for (uint32_t at = pending ? state->base : 0; same && at < end;) {
        anonset_run run;
        same = b->read(snapshot, &run, at, NULL) == ANONSET_OK;
        for (uint32_t i = at; same && i < run.start + run.n && i < end; i++)
            same = coin_is(&run.coins[i - run.start], chain, i);
        at = same ? run.start + run.n : at;
    }
    b->snapshot_close(snapshot);
    return same;
}

/* The newest state, or one that was there before, or none. */
static const shown *find_state(const history *h, const shown *now)
{
    for (uint32_t i = h->n; i-- > 0;)
        if (same_state(&h->states[i].state, &now->state))
            return &h->states[i];
    return NULL;
}

static void check_state(struct use *u, anonset_store *store, uint32_t g)
{
    const history *h = &u->s->groups[g];
    shown now;
    stage(u, "state");
    anonset_code code = anonset_store_state(store, &now.state, groups[g], NULL);
    if (code != ANONSET_OK) {
        u->fate->found = true;
        return;
    }
    const shown *was = find_state(h, &now);
    if (!was && (now.state.has_finalized || now.state.has_pending || u->s->files[1].len == 0))
        bad(u, groups[g], "a state that it never had");
    u->earlier[g] = was != &h->states[h->n - 1] &&
                    (!was || !same_state(&was->state, &h->states[h->n - 1].state));
    u->fate->earlier |= u->earlier[g];
}

static void check_reads(struct use *u, anonset_store *plain, anonset_store *checked, uint32_t g)
{
    const history *h = &u->s->groups[g];
    bool same;
    for (int order = ANONSET_NEWEST_FIRST; order <= ANONSET_OLDEST_FIRST; order++) {
        stage(u, "plain read");
        if (read_set(plain, groups[g], h, &same, (anonset_order)order) == ANONSET_OK && !same)
            u->fate->wrong_plain = true;
        stage(u, "verified read");
        if (read_set(checked, groups[g], h, &same, (anonset_order)order) == ANONSET_OK && !same)
            bad(u, groups[g], "a verified read gave other coins");
    }
}

static void check_verify(struct use *u, anonset_store *store, uint32_t g)
{
    const history *h = &u->s->groups[g];
    anonset_verdict verdict;
    anonset_detail why = {0};
    shown now;
    stage(u, "verify");
    anonset_code code = anonset_store_verify(store, &verdict, groups[g], &why);
    u->sound[g] = code == ANONSET_OK && verdict.sound;
    if (code == ANONSET_NOT_FOUND && u->s->files[1].len > 0)
        return; /* an earlier state, checked above */
    if (code != ANONSET_OK && code != ANONSET_CORRUPT)
        bad(u, groups[g], why.text);
    u->fate->found |= !u->sound[g];
    if (!u->sound[g])
        return;
    if (look(&now, store->backend, store->handle, groups[g]) != ANONSET_OK) {
        bad(u, groups[g], "verify calls sound what cannot be read");
        return;
    }
    const shown *was = find_state(h, &now);
    if (!was || !views_are(store, groups[g], h, &now.state))
        bad(u, groups[g], "verify calls other coins sound");
    else if (!same_points(&now, was))
        bad(u, groups[g], "verify calls another history sound");
}

/* Verified, and all of it read and found where verify calls it sound. False: it is damaged. */
static bool is_used_sound(struct use *u, anonset_store *store, anonset_used_list *list)
{
    const tr_store *s = u->s;
    const anonset_used_state *is = anonset_used_list_state(list);
    anonset_detail why = {0};
    char text[200];
    bool sound = false;
    uint32_t i = s->n_used;
    anonset_code code = anonset_used_verify(list, &sound, &why);
    if (code != ANONSET_OK && code != ANONSET_CORRUPT)
        bad(u, 0, why.text);
    if (code != ANONSET_OK || !sound)
        return false;
    while (i > 0 && (s->used[i - 1].state.count != is->count ||
                     !same_hash(s->used[i - 1].state.digest, is->digest)))
        i--;
    if (i == 0 && (is->count > 0 || s->files[1].len == 0))
        bad(u, 0, "a list of used tags that it never had");
    else if (i > 0 && !tp_has_used(store, s->used[i - 1].chain, text, sizeof text))
        bad(u, 0, text);
    u->fate->earlier |= i < s->n_used;
    return true;
}

/* What is damaged of the list of used tags is cut off. True: the store must be made anew. */
static bool repair_used(struct use *u, anonset_store *store)
{
    anonset_used_list *list = NULL;
    anonset_used_repaired did;
    stage(u, "used tags");
    bool sound = anonset_used_open(&list, store, NULL) == ANONSET_OK;
    sound = sound && is_used_sound(u, store, list);
    anonset_used_close(list);
    if (sound)
        return false;
    u->fate->found = true;
    stage(u, "repair used tags");
    return anonset_used_repair(store, &did, NULL) != ANONSET_OK;
}

static void check_info(struct use *u, anonset_store *store)
{
    const anonset_store_info *was = &u->s->info, *is = &store->info;
    bool earlier = u->s->files[1].len > 0 && !is->has_genesis;
    if (memcmp(was->salt, is->salt, sizeof was->salt) != 0 ||
        (!earlier && (!is->has_genesis || !same_hash(was->genesis, is->genesis))))
        bad(u, 0, "another salt or network");
}

static void rebuild(struct use *u)
{
    anonset_store_options options;
    anonset_rebuilt rebuilt;
    anonset_detail why = {0};
    anonset_store_options_init(&options);
    options.backend = u->s->backend;
    options.busy_ms = 200;
    stage(u, "rebuild");
    if (anonset_store_rebuild(u->path, &options, &rebuilt, &why) != ANONSET_OK)
        bad(u, 0, why.text);
    u->fate->rebuilt = true;
}

/* True: the store must be made anew. */
static bool repair(struct use *u, anonset_store *store)
{
    anonset_repair did;
    stage(u, "check");
    if (anonset_store_repair(store, &did, 0, NULL) != ANONSET_OK)
        return true;
    for (uint32_t g = 0; g < GROUPS; g++) {
        anonset_detail why = {0};
        stage(u, "repair");
        anonset_code code = anonset_store_repair(store, &did, groups[g], &why);
        if (code == ANONSET_NOT_FOUND && u->s->files[1].len > 0)
            continue;
        if (code != ANONSET_OK && code != ANONSET_CORRUPT && code != ANONSET_NOT_FOUND)
            bad(u, groups[g], why.text);
        if (code != ANONSET_OK)
            return true;
        if (u->sound[g] && (did.dropped > 0 || did.pending_dropped > 0))
            bad(u, groups[g], "repair dropped sound coins");
        u->dropped[g] = did.dropped + did.pending_dropped;
        u->fate->repaired |= u->dropped[g] > 0;
        u->fate->dropped += u->dropped[g];
    }
    return false;
}

static void finish_group(struct use *u, anonset_store *store, uint32_t g)
{
    history *h = &u->s->groups[g];
    anonset_result result;
    anonset_verdict verdict;
    bool same = false;
    char text[200];
    stage(u, "sync");
    sync_group(u->s, store, g, 8, UINT32_MAX, &result, false);
    if (result.outcome > ANONSET_UP_TO_DATE) {
        (void)snprintf(text, sizeof text, "the next sync ends as %s: %.120s",
                       anonset_outcome_name(result.outcome), result.error.text);
        bad(u, groups[g], text);
        return;
    }
    stage(u, "read after sync");
    anonset_code code = read_set(store, groups[g], h, &same, ANONSET_OLDEST_FIRST);
    if (code != ANONSET_OK)
        bad(u, groups[g], anonset_strerror(code));
    else if (!same || !as_meta_equal(&result.state.finalized, &h->chain->meta))
        bad(u, groups[g], "the next sync ends with another set");
    if (g == WITH_USED && !tp_has_used(store, h->chain, text, sizeof text))
        bad(u, 0, text);
    if (u->fate->bad)
        return;
    stage(u, "verify after sync");
    if (anonset_store_verify(store, &verdict, groups[g], NULL) != ANONSET_OK || !verdict.sound)
        bad(u, groups[g], "the next sync ends with a damaged set");
    if (u->earlier[g] || u->fate->rebuilt)
        return;
    if (result.fetched > h->needed + u->dropped[g]) {
        (void)snprintf(text, sizeof text, "%u coins were fetched, %u of them needed anyway, for %u",
                       result.fetched, h->needed, u->dropped[g]);
        bad(u, groups[g], text);
    }
    u->fate->fetched += result.fetched > h->needed ? result.fetched - h->needed : 0;
}

/* Opens it, as it must open now. */
static anonset_store *reopen(struct use *u)
{
    anonset_detail why = {0};
    anonset_code code;
    anonset_store *store =
        open_store(u->s->backend, u->path, ANONSET_STORE_VERIFY_READS, &code, &why);
    if (!store)
        bad(u, 0, why.text);
    return store;
}

static bool look_at(struct use *u, anonset_store *plain, anonset_store *checked)
{
    check_info(u, plain);
    for (uint32_t g = 0; g < GROUPS; g++) {
        check_state(u, plain, g);
        check_reads(u, plain, checked, g);
        check_verify(u, plain, g);
    }
    return repair_used(u, plain) || repair(u, plain);
}

void tr_store_use(const tr_store *s, const char *path, tr_fate *fate)
{
    struct use u = {.s = (tr_store *)(uintptr_t)s, .path = path, .fate = fate};
    anonset_detail why = {0};
    anonset_code code;
    bool anew = true;
    stage(&u, "open");
    anonset_store *plain = open_store(s->backend, path, 0, &code, &why), *checked = NULL;
    /* A file of no byte is none. */
    if (code == ANONSET_FOREIGN || code == ANONSET_NOT_FOUND) {
        fate->unrecognised = true;
        return;
    }
    if (!plain && code != ANONSET_CORRUPT)
        bad(&u, 0, why.text);
    if (plain)
        checked = open_store(s->backend, path, ANONSET_STORE_READ_ONLY | ANONSET_STORE_VERIFY_READS,
                             &code, &why);
    if (plain && checked)
        anew = look_at(&u, plain, checked);
    fate->found |= anew;
    anonset_store_close(checked);
    anonset_store_close(plain);
    if (anew && !fate->bad)
        rebuild(&u);
    if (fate->bad)
        return;
    stage(&u, "open again");
    plain = reopen(&u);
    for (uint32_t g = 0; plain && g < GROUPS; g++)
        finish_group(&u, plain, g);
    anonset_store_close(plain);
}
