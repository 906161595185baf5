/* The list of used coin tags. */
#include "tests/conformance/kit.h"

#include <stdlib.h>
#include <string.h>

#define LONG  3000u /* tags: more than an engine keeps in one place */
#define PAGES 3     /* sizes of reads */

/* A backend may leave the list out. */
static bool has_list(const subject *s)
{
    const anonset_backend *b = s->backend;
    bool whole = b->used_append && b->used_open && b->used_close && b->used_read && b->used_find;
    MUST(whole ||
         (!b->used_append && !b->used_open && !b->used_close && !b->used_read && !b->used_find));
    if (!whole)
        kit_skip(s, "it keeps no list of used coin tags");
    return whole;
}

static anonset_used *make(uint64_t id, uint32_t n)
{
    anonset_used *used = malloc((n ? n : 1) * sizeof *used);
    ENSURE(used, "no memory");
    kit_used_fill(used, id, n);
    return used;
}

static anonset_used_state state_of(const subject *s)
{
    anonset_used_state state;
    void *view;
    GIVES(ANONSET_OK, s->backend->used_open(s->handle, &view, &state, NULL));
    s->backend->used_close(view);
    return state;
}

/* Appends n tags behind the first `keep`; the digest is `id` written out. */
static anonset_code append(const subject *s, uint32_t keep, const anonset_used *used, uint32_t n,
                           uint64_t id)
{
    anonset_used_append a = {.before = state_of(s), .keep = keep, .n = n, .used = used};
    ts_fill(a.digest_after, sizeof a.digest_after, id);
    return s->backend->used_append(s->handle, &a, NULL);
}

static void find_is(const subject *s, void *view, const anonset_used *used, uint32_t position)
{
    anonset_used found;
    uint32_t at = UINT32_MAX;
    GIVES(ANONSET_OK, s->backend->used_find(view, &found, &at, used->tag, NULL));
    MUST(at == position && memcmp(&found, used, sizeof found) == 0);
}

static void absent(const subject *s, void *view, const anonset_used *used)
{
    anonset_used found;
    uint32_t at;
    GIVES(ANONSET_NOT_FOUND, s->backend->used_find(view, &found, &at, used->tag, NULL));
}

/* The view shows these n tags, read in pages of any size, and finds each. */
static void shows(const subject *s, void *view, const anonset_used *used, uint32_t n)
{
    static const uint32_t rooms[PAGES] = {1, 700, UINT32_MAX};
    anonset_used *page = make(0, n);
    for (size_t i = 0; i < PAGES; i++) {
        uint32_t got = 0;
        for (uint32_t at = 0; at < n; at += got) {
            uint32_t room = n - at < rooms[i] ? n - at : rooms[i];
            GIVES(ANONSET_OK, s->backend->used_read(view, page, &got, at, room, NULL));
            MUST(got > 0 && got <= room && memcmp(page, used + at, got * sizeof *page) == 0);
        }
    }
    for (uint32_t i = 0; i < n; i++)
        find_is(s, view, &used[i], i);
    if (s->backend->used_check) {
        uint32_t sound = n + 1;
        GIVES(ANONSET_OK, s->backend->used_check(view, &sound, NULL));
        MUST(sound == n);
    }
    free(page);
}

static void list_is(const subject *s, const anonset_used *used, uint32_t n, uint64_t id)
{
    anonset_used_state state;
    uint8_t digest[ANONSET_HASH_BYTES] = {0};
    void *view;
    if (id)
        ts_fill(digest, sizeof digest, id);
    GIVES(ANONSET_OK, s->backend->used_open(s->handle, &view, &state, NULL));
    MUST(state.count == n && memcmp(state.digest, digest, sizeof digest) == 0);
    shows(s, view, used, n);
    s->backend->used_close(view);
}

CASE(a_list_of_used_tags_is_empty_at_first)
{
    if (!has_list(s))
        return;
    anonset_used *used = make(1, 1);
    void *view;
    anonset_used_state state;
    list_is(s, used, 0, 0);
    GIVES(ANONSET_OK, s->backend->used_open(s->handle, &view, &state, NULL));
    absent(s, view, used);
    s->backend->used_close(view);
    free(used);
}

CASE(used_tags_are_kept_in_order_and_found)
{
    if (!has_list(s))
        return;
    anonset_used *used = make(1, LONG), *other = make(2, 1);
    uint32_t at = 0;
    /* Steps that end inside, at and far past whatever an engine keeps together. */
    static const uint32_t steps[] = {1, 5, 957, 963, 0, 1000, 74};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        GIVES(ANONSET_OK, append(s, at, used + at, steps[i], 10 + i));
        at += steps[i];
        list_is(s, used, at, 10 + i);
    }
    MUST(at == LONG);
    kit_reopen(s, 0);
    list_is(s, used, LONG, 16);
    anonset_used_state state;
    void *view;
    GIVES(ANONSET_OK, s->backend->used_open(s->handle, &view, &state, NULL));
    absent(s, view, other);
    s->backend->used_close(view);
    free(used);
    free(other);
}

CASE(the_end_of_the_list_is_replaced)
{
    if (!has_list(s))
        return;
    /* Kept, and new ones behind them: longer, shorter, of one length, nothing left. */
    static const struct {
        uint32_t keep, n;
    } rows[] = {{2990, 20}, {1926, 400}, {963, 963}, {500, 1}, {500, 2500}, {0, 7}, {7, 0}, {0, 0}};
    anonset_used *list = make(1, LONG + 20);
    GIVES(ANONSET_OK, append(s, 0, list, LONG, 1));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        anonset_used *more = make(20 + i, rows[i].n);
        GIVES(ANONSET_OK, append(s, rows[i].keep, more, rows[i].n, 20 + i));
        memcpy(list + rows[i].keep, more, rows[i].n * sizeof *list);
        list_is(s, list, rows[i].keep + rows[i].n, 20 + i);
        free(more);
    }
    free(list);
}

CASE(used_tags_that_do_not_fit_are_stale)
{
    if (!has_list(s))
        return;
    anonset_used *used = make(1, 20);
    anonset_used_append a = {.keep = 10, .n = 10, .used = used + 10};
    GIVES(ANONSET_OK, append(s, 0, used, 10, 1));
    a.before = state_of(s);
    a.before.count--;
    GIVES(ANONSET_STALE, s->backend->used_append(s->handle, &a, NULL));
    a.before.count++;
    a.before.digest[31] ^= 1;
    GIVES(ANONSET_STALE, s->backend->used_append(s->handle, &a, NULL));
    list_is(s, used, 10, 1);
    a.before.digest[31] ^= 1;
    GIVES(ANONSET_OK, s->backend->used_append(s->handle, &a, NULL));
    /* Replayed. */
    GIVES(ANONSET_STALE, s->backend->used_append(s->handle, &a, NULL));
    free(used);
}

CASE(a_tag_told_twice_is_found_where_it_came_first)
{
    if (!has_list(s))
        return;
    anonset_used *used = make(1, LONG);
    anonset_used_state state;
    void *view;
    memcpy(used[7].tag, used[3].tag, sizeof used[7].tag);
    memcpy(used[2000].tag, used[3].tag, sizeof used[7].tag);
    GIVES(ANONSET_OK, append(s, 0, used, LONG, 1));
    GIVES(ANONSET_OK, s->backend->used_open(s->handle, &view, &state, NULL));
    find_is(s, view, &used[3], 3);
    s->backend->used_close(view);
    GIVES(ANONSET_OK, append(s, 3, used + 4, 4, 2));
    GIVES(ANONSET_OK, s->backend->used_open(s->handle, &view, &state, NULL));
    find_is(s, view, &used[7], 6);
    s->backend->used_close(view);
    free(used);
}

CASE(an_open_list_shows_what_it_showed)
{
    if (!has_list(s))
        return;
    anonset_used *used = make(1, LONG), *other = make(2, LONG);
    anonset_used_state state;
    void *view;
    GIVES(ANONSET_OK, append(s, 0, used, 2000, 1));
    GIVES(ANONSET_OK, s->backend->used_open(s->handle, &view, &state, NULL));
    GIVES(ANONSET_OK, append(s, 900, other, LONG, 2));
    shows(s, view, used, 2000);
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 0, NULL));
    shows(s, view, used, 2000);
    MUST(state.count == 2000);
    s->backend->used_close(view);
    list_is(s, used, 0, 0);
    free(used);
    free(other);
}

CASE(groups_and_used_tags_do_not_touch_each_other)
{
    if (!has_list(s))
        return;
    ts_chain *chain = kit_chain(s, 1, 50);
    anonset_used *used = make(1, 1000);
    kit_finalize(s, 1, chain, 0, 50);
    GIVES(ANONSET_OK, append(s, 0, used, 1000, 1));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 50);
    GIVES(ANONSET_OK, append(s, 10, used + 10, 20, 2));
    kit_finalize(s, UINT32_MAX, chain, 0, 50);
    kit_view_is(s, UINT32_MAX, ANONSET_VIEW_FINALIZED, chain, 50);
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 1, NULL));
    list_is(s, used, 30, 2);
    GIVES(ANONSET_OK, s->backend->clear(s->handle, UINT32_MAX, NULL));
    list_is(s, used, 30, 2);
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 0, NULL));
    list_is(s, used, 0, 0);
    GIVES(ANONSET_OK, append(s, 0, used, 5, 3));
    list_is(s, used, 5, 3);
    free(used);
}

CASE(a_read_only_handle_reads_used_tags_and_never_writes_any)
{
    if (!has_list(s))
        return;
    anonset_used *used = make(1, 10);
    GIVES(ANONSET_OK, append(s, 0, used, 10, 1));
    kit_reopen(s, ANONSET_STORE_READ_ONLY);
    GIVES(ANONSET_INVALID, append(s, 10, used, 1, 2));
    list_is(s, used, 10, 1);
    free(used);
}

/* Where appends ended, with the id of the digest there; the last is the list's own. */
typedef struct mark {
    uint32_t count;
    uint64_t id;
} mark;

static void marks_are(const subject *s, const mark *marks, size_t n)
{
    anonset_used_state state, found;
    uint8_t digest[ANONSET_HASH_BYTES];
    uint32_t above = 0;
    void *view;
    GIVES(ANONSET_OK, s->backend->used_open(s->handle, &view, &state, NULL));
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n;
        GIVES(ANONSET_OK, s->backend->used_mark(view, &found, above, NULL));
        if (found.count == 0 && last)
            found = state;
        ts_fill(digest, sizeof digest, marks[i].id);
        MUST(found.count == marks[i].count && memcmp(found.digest, digest, sizeof digest) == 0);
        above = found.count;
    }
    GIVES(ANONSET_OK, s->backend->used_mark(view, &found, above, NULL));
    MUST(found.count == 0);
    s->backend->used_close(view);
}

CASE(digests_where_appends_of_used_tags_ended_are_remembered)
{
    if (!has_list(s) || !s->backend->used_mark)
        return;
    static const mark grown[] = {{5000, 1}, {9630, 2}};
    static const mark cut[] = {{5000, 3}, {14000, 4}};
    static const mark cut_between[] = {{963, 5}, {9963, 6}};
    static const mark within[] = {{963, 5}, {9963, 6}, {20000, 7}};
    anonset_used *used = make(1, 20000);
    marks_are(s, NULL, 0);
    GIVES(ANONSET_OK, append(s, 0, used, 5000, 1));
    GIVES(ANONSET_OK, append(s, 5000, used + 5000, 4630, 2));
    marks_are(s, grown, 2);
    GIVES(ANONSET_OK, append(s, 5000, used, 0, 3));
    GIVES(ANONSET_OK, append(s, 5000, used + 5000, 9000, 4));
    marks_are(s, cut, 2);
    GIVES(ANONSET_OK, append(s, 963, used, 0, 5));
    GIVES(ANONSET_OK, append(s, 963, used + 963, 9000, 6));
    marks_are(s, cut_between, 2);
    kit_reopen(s, 0);
    GIVES(ANONSET_OK, append(s, 9963, used + 9963, 10037, 7));
    marks_are(s, within, 3);
    /* What is replaced takes its digest along. */
    GIVES(ANONSET_OK, append(s, 9900, used + 9900, 500, 8));
    marks_are(s, (const mark[]){{963, 5}, {10400, 8}}, 2);
    GIVES(ANONSET_OK, append(s, 0, used, 0, 9));
    marks_are(s, NULL, 0);
    free(used);
}
