#include "config.h" /* first: it asks for nftw */

#include "tests/conformance/kit.h"

#include "core/bytes.h"
#include "core/coin.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 5000

FILE *kit_out;

/* ---- Failing ------------------------------------------------------------------------------ */

void kit_fail(const char *file, int line, const char *format, ...)
{
    FILE *out = kit_out ? kit_out : stderr;
    va_list list;

    fprintf(out, "%s:%d: ", file, line);
    va_start(list, format);
    vfprintf(out, format, list);
    va_end(list);
    fputc('\n', out);
    fflush(out);
    abort();
}

void kit_skip(const subject *s, const char *why)
{
    fprintf(kit_out ? kit_out : stderr, "skip  %s: %s\n", s->backend->name, why);
}

void kit_gives(const subject *s, const char *file, int line, const char *what,
               anonset_code expected, anonset_code got)
{
    if (got != expected)
        kit_fail(file, line, "%s: %s gives \"%s\" in place of \"%s\"", s->backend->name, what,
                 anonset_strerror(got), anonset_strerror(expected));
}

/* ---- Places ------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

bool kit_dir_make(char dir[KIT_DIR])
{
    const char *below = getenv("TMPDIR");
    int len = snprintf(dir, KIT_DIR, "%s/anonset-conformance-XXXXXX", below ? below : "/tmp");
    bool made = len > 0 && len < KIT_DIR && mkdtemp(dir);
    if (!made)
        fprintf(kit_out ? kit_out : stderr, "cannot make a directory in %s\n",
                below ? below : "/tmp");
    return made;
}

bool kit_dir_remove(const char *dir)
{
    bool removed = nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0;
    if (!removed)
        fprintf(kit_out ? kit_out : stderr, "cannot remove %s\n", dir);
    return removed;
}

void kit_path(subject *s, const char *name)
{
    bool fits;
    if (s->suite->make_path) {
        fits = s->suite->make_path(s->suite->context, s->path, sizeof s->path, s->dir, name);
    } else {
        int len = snprintf(s->path, sizeof s->path, "%s/%s", s->dir, name);
        fits = len > 0 && (size_t)len < sizeof s->path;
    }
    ENSURE(fits, "no path for the store \"%s\"", name);
}

/* ---- Stores ------------------------------------------------------------------------------- */

anonset_code kit_open(const subject *s, void **handle, unsigned flags)
{
    anonset_backend_options options = {.flags = flags, .busy_ms = BUSY_MS};
    memcpy(options.salt, ts_salt, sizeof options.salt);
    return s->backend->open(handle, s->path, &options, NULL);
}

void kit_close(subject *s)
{
    if (s->handle)
        s->backend->close(s->handle);
    s->handle = NULL;
}

void kit_reopen(subject *s, unsigned flags)
{
    kit_close(s);
    GIVES(ANONSET_OK, kit_open(s, &s->handle, flags));
}

/* ---- Chains ------------------------------------------------------------------------------- */

static ts_chain *keep(subject *s, ts_chain *chain)
{
    ENSURE(s->n_chains < KIT_CHAINS, "too many chains in a case");
    s->chains[s->n_chains++] = chain;
    return chain;
}

ts_chain *kit_chain(subject *s, uint64_t id, uint32_t n)
{
    return keep(s, ts_chain_new(id, n));
}

ts_chain *kit_fork(subject *s, const ts_chain *from, uint32_t base, uint64_t id, uint32_t n)
{
    return keep(s, ts_chain_fork(from, base, id, n));
}

ts_chain *kit_chain_of(subject *s, uint64_t id, const anonset_coin *coins, uint32_t n)
{
    return keep(s, ts_chain_of(id, coins, n));
}

/* ---- Writes ------------------------------------------------------------------------------- */

anonset_append kit_sector(uint32_t group, const ts_chain *chain, const anonset_meta *target,
                          uint32_t base, uint32_t start, uint32_t n)
{
    anonset_append a = {.group = group, .target = *target, .base = base, .start = start, .n = n};
    a.coins = chain->coins + start;
    a.tags = chain->tags + start;
    a.digests = (const uint8_t(*)[ANONSET_HASH_BYTES])(chain->digests + start + 1);
    memcpy(a.digest_before, chain->digests[start], sizeof a.digest_before);
    memcpy(a.digest_after, chain->digests[start + n], sizeof a.digest_after);
    return a;
}

anonset_code kit_append(const subject *s, uint32_t group, const ts_chain *chain,
                        const anonset_meta *target, uint32_t base, uint32_t start, uint32_t n)
{
    anonset_append a = kit_sector(group, chain, target, base, start, n);
    return s->backend->append_sector(s->handle, &a, NULL);
}

anonset_code kit_complete(const subject *s, uint32_t group, const ts_chain *chain,
                          const anonset_meta *target, uint32_t count, anonset_gate gate)
{
    anonset_complete c = {.group = group, .target = *target, .expected_count = count, .gate = gate};
    memcpy(c.digest, chain->digests[target->size], sizeof c.digest);
    return s->backend->mark_complete(s->handle, &c, NULL);
}

void kit_finalize(const subject *s, uint32_t group, const ts_chain *chain, uint32_t base,
                  uint32_t size)
{
    anonset_meta meta = ts_chain_meta(chain, size);
    GIVES(ANONSET_OK, kit_append(s, group, chain, &meta, base, base, size - base));
    GIVES(ANONSET_OK, kit_complete(s, group, chain, &meta, size - base, ANONSET_GATE_COUNT));
}

/* ---- What is stored ----------------------------------------------------------------------- */

anonset_state kit_state(const subject *s, uint32_t group)
{
    anonset_state state;
    memset(&state, 0xa5, sizeof state); /* whatever is left unset shows */
    GIVES(ANONSET_OK, s->backend->load_state(s->handle, &state, group, NULL));
    return state;
}

static bool hash_equal(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, ANONSET_HASH_BYTES) == 0;
}

bool kit_meta_equal(const anonset_meta *a, const anonset_meta *b)
{
    return a->size == b->size && a->has_set_hash == b->has_set_hash &&
           hash_equal(a->block_hash, b->block_hash) && hash_equal(a->set_hash, b->set_hash);
}

bool kit_state_equal(const anonset_state *a, const anonset_state *b)
{
    return a->has_finalized == b->has_finalized && kit_meta_equal(&a->finalized, &b->finalized) &&
           hash_equal(a->digest, b->digest) && a->gate == b->gate &&
           a->has_pending == b->has_pending && kit_meta_equal(&a->target, &b->target) &&
           a->base == b->base && a->count == b->count &&
           hash_equal(a->pending_digest, b->pending_digest) && a->has_hole == b->has_hole &&
           a->hole_from == b->hole_from && a->hole_to == b->hole_to &&
           a->hole_filled == b->hole_filled && hash_equal(a->hole_before, b->hole_before) &&
           hash_equal(a->hole_digest, b->hole_digest) && hash_equal(a->hole_after, b->hole_after);
}

anonset_state kit_finalized(const ts_chain *chain, const anonset_meta *meta, anonset_gate gate)
{
    anonset_state state = {.has_finalized = true, .finalized = *meta, .gate = gate};
    memcpy(state.digest, chain->digests[meta->size], sizeof state.digest);
    return state;
}

anonset_state kit_pending(anonset_state state, const ts_chain *chain, const anonset_meta *target,
                          uint32_t base, uint32_t count)
{
    state.has_pending = true;
    state.target = *target;
    state.base = base;
    state.count = count;
    memcpy(state.pending_digest, chain->digests[base + count], sizeof state.pending_digest);
    return state;
}

/* A run lies in the view, holds `position`, and gives the right digest where it gives one. */
static void run_is_sound(const subject *s, const anonset_run *run, uint32_t position,
                         const ts_chain *chain, uint32_t size)
{
    MUST(run->n >= 1 && run->n <= 4096);
    MUST(run->start <= position && position - run->start < run->n);
    MUST(run->start <= size && run->n <= size - run->start);
    MUST(!run->has_digest || hash_equal(run->digest, chain->digests[run->start + run->n]));
}

void kit_shows(const subject *s, void *snapshot, const ts_chain *chain, uint32_t size)
{
    anonset_run run;
    for (uint32_t at = 0; at < size; at = run.start + run.n) {
        GIVES(ANONSET_OK, s->backend->read(snapshot, &run, at, NULL));
        run_is_sound(s, &run, at, chain, size);
        MUST(run.coins && !run.tags);
        for (uint32_t i = 0; i < run.n; i++)
            MUST(as_coin_equal(&run.coins[i], &chain->coins[run.start + i]));
    }
    for (uint32_t at = 0; s->backend->read_tags && at < size; at = run.start + run.n) {
        GIVES(ANONSET_OK, s->backend->read_tags(snapshot, &run, at, NULL));
        run_is_sound(s, &run, at, chain, size);
        MUST(run.tags && !run.coins);
        for (uint32_t i = 0; i < run.n; i++)
            MUST(as_get32(run.tags + (size_t)i * 4) == chain->tags[run.start + i]);
    }
}

void kit_view_is(const subject *s, uint32_t group, anonset_view view, const ts_chain *chain,
                 uint32_t size)
{
    void *snapshot;
    anonset_state now = kit_state(s, group);
    anonset_state state;
    GIVES(ANONSET_OK, s->backend->snapshot_open(s->handle, &snapshot, &state, group, view, NULL));
    MUST(kit_state_equal(&state, &now));
    if (view == ANONSET_VIEW_NEXT && state.has_pending)
        MUST(state.base + state.count == size);
    else
        MUST(state.finalized.size == size);
    kit_shows(s, snapshot, chain, size);
    s->backend->snapshot_close(snapshot);
}

size_t kit_checkpoints(const subject *s, uint32_t group, anonset_checkpoint *out, size_t cap)
{
    void *snapshot;
    anonset_state state;
    anonset_code code = ANONSET_OK;
    size_t n = 0;
    GIVES(ANONSET_OK, s->backend->snapshot_open(s->handle, &snapshot, &state, group,
                                                ANONSET_VIEW_FINALIZED, NULL));
    while (n < cap && code == ANONSET_OK) {
        memset(&out[n], 0xa5, sizeof *out);
        code = s->backend->checkpoint(snapshot, &out[n], (uint32_t)n, NULL);
        n += code == ANONSET_OK;
    }
    MUST(code == ANONSET_NOT_FOUND);
    s->backend->snapshot_close(snapshot);
    return n;
}

/* ---- Fingerprint of all ------------------------------------------------------------------- */

static void mix(uint64_t *sum, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint64_t h = ts_mix(*sum, len);
    for (; len >= 8; at += 8, len -= 8)
        h = ts_mix(h, as_get64(at));
    for (; len > 0; at++, len--)
        h = ts_mix(h, *at);
    *sum = h;
}

static void mix_number(uint64_t *sum, uint64_t number)
{
    *sum = ts_mix(*sum, number);
}

static void mix_meta(uint64_t *sum, const anonset_meta *meta)
{
    mix(sum, meta->block_hash, sizeof meta->block_hash);
    mix(sum, meta->set_hash, sizeof meta->set_hash);
    mix_number(sum, (uint64_t)meta->size << 1 | meta->has_set_hash);
}

static void mix_state(uint64_t *sum, const anonset_state *state)
{
    mix_number(sum, (uint64_t)state->has_finalized << 1 | state->has_pending);
    mix_meta(sum, &state->finalized);
    mix(sum, state->digest, sizeof state->digest);
    mix_number(sum, state->gate);
    mix_meta(sum, &state->target);
    mix_number(sum, (uint64_t)state->base << 32 | state->count);
    mix(sum, state->pending_digest, sizeof state->pending_digest);
    mix_number(sum, (uint64_t)state->hole_from << 32 | state->hole_to);
    mix_number(sum, (uint64_t)state->hole_filled << 1 | state->has_hole);
    mix(sum, state->hole_before, sizeof state->hole_before);
    mix(sum, state->hole_digest, sizeof state->hole_digest);
    mix(sum, state->hole_after, sizeof state->hole_after);
}

uint64_t kit_state_image(const anonset_state *state)
{
    uint64_t sum = 0;
    mix_state(&sum, state);
    return sum;
}

/* The next position from `at` on that is not missing. */
static uint32_t past_hole(const anonset_state *state, uint32_t at)
{
    bool missing =
        state->has_hole && at >= state->hole_from + state->hole_filled && at < state->hole_to;
    return missing ? state->hole_to : at;
}

static void mix_coins(uint64_t *sum, const anonset_backend *backend, void *snapshot,
                      const anonset_state *state, uint32_t size)
{
    anonset_run run;
    for (uint32_t at = past_hole(state, 0); at < size; at = past_hole(state, run.start + run.n)) {
        ENSURE(backend->read(snapshot, &run, at, NULL) == ANONSET_OK, "%s: read %u", backend->name,
               at);
        for (uint32_t i = at - run.start; i < run.n; i++) {
            mix(sum, run.coins[i].serialized, run.coins[i].serialized_len);
            mix(sum, run.coins[i].tx_hash, ANONSET_HASH_BYTES);
            mix(sum, run.coins[i].context, run.coins[i].context_len);
        }
    }
}

static void mix_tags(uint64_t *sum, const anonset_backend *backend, void *snapshot,
                     const anonset_state *state, uint32_t size)
{
    anonset_run run;
    for (uint32_t at = past_hole(state, 0); at < size; at = past_hole(state, run.start + run.n)) {
        ENSURE(backend->read_tags(snapshot, &run, at, NULL) == ANONSET_OK, "%s: tags %u",
               backend->name, at);
        for (uint32_t i = at - run.start; i < run.n; i++)
            mix_number(sum, as_get32(run.tags + (size_t)i * 4));
    }
}

static void mix_checkpoints(uint64_t *sum, const anonset_backend *backend, void *snapshot)
{
    anonset_checkpoint checkpoint;
    for (uint32_t i = 0;; i++) {
        anonset_code code = backend->checkpoint(snapshot, &checkpoint, i, NULL);
        if (code == ANONSET_NOT_FOUND)
            return;
        ENSURE(code == ANONSET_OK, "%s: checkpoint %u", backend->name, i);
        mix_meta(sum, &checkpoint.meta);
        mix(sum, checkpoint.digest, sizeof checkpoint.digest);
        mix_number(sum, (uint64_t)checkpoint.gate << 1 | checkpoint.alias);
    }
}

uint64_t kit_snapshot_image(const anonset_backend *backend, void *snapshot,
                            const anonset_state *state, anonset_view view, bool tags)
{
    uint64_t sum = 0;
    bool next = view == ANONSET_VIEW_NEXT && state->has_pending;
    uint32_t size = next ? state->base + state->count : state->finalized.size;
    mix_state(&sum, state);
    mix_coins(&sum, backend, snapshot, state, size);
    if (tags)
        mix_tags(&sum, backend, snapshot, state, size);
    mix_checkpoints(&sum, backend, snapshot);
    return sum;
}

static uint64_t view_image(const anonset_backend *backend, void *handle, uint32_t group,
                           anonset_view view, bool tags)
{
    void *snapshot;
    anonset_state state;
    ENSURE(backend->snapshot_open(handle, &snapshot, &state, group, view, NULL) == ANONSET_OK,
           "%s: snapshot", backend->name);
    uint64_t image = kit_snapshot_image(backend, snapshot, &state, view, tags);
    backend->snapshot_close(snapshot);
    return image;
}

uint64_t kit_image(const anonset_backend *backend, void *handle, uint32_t group, bool tags)
{
    uint64_t sum = 0;
    anonset_state state;
    ENSURE(backend->load_state(handle, &state, group, NULL) == ANONSET_OK, "%s: state",
           backend->name);
    mix_state(&sum, &state);
    mix_number(&sum, view_image(backend, handle, group, ANONSET_VIEW_FINALIZED, tags));
    mix_number(&sum, view_image(backend, handle, group, ANONSET_VIEW_NEXT, tags));
    return sum;
}

/* ---- Used coin tags ----------------------------------------------------------------------- */

void kit_used_fill(anonset_used *used, uint64_t id, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        ts_fill(used[i].tag, sizeof used[i].tag, ts_mix(id, 2 * (uint64_t)i));
        ts_fill(used[i].tx_hash, sizeof used[i].tx_hash, ts_mix(id, 2 * (uint64_t)i + 1));
    }
}

uint64_t kit_used_image(const anonset_backend *backend, void *handle)
{
    anonset_used_state state;
    anonset_used used, found;
    uint32_t n, at;
    void *view;
    if (!backend->used_open)
        return 0;
    ENSURE(backend->used_open(handle, &view, &state, NULL) == ANONSET_OK, "%s: no list",
           backend->name);
    uint64_t sum = state.count;
    mix(&sum, state.digest, sizeof state.digest);
    for (uint32_t i = 0; i < state.count; i++) {
        ENSURE(backend->used_read(view, &used, &n, i, 1, NULL) == ANONSET_OK && n == 1 &&
                   backend->used_find(view, &found, &at, used.tag, NULL) == ANONSET_OK,
               "%s: the used tag at %u cannot be read or found", backend->name, (unsigned)i);
        mix(&sum, &used, sizeof used);
        mix_number(&sum, at);
    }
    backend->used_close(view);
    return sum;
}
