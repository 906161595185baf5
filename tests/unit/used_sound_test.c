/* What is sound of the list of used coin tags, and its repair and rebuilding, on a store in memory
 * whose bytes rot on the way to the reader. */
#include "backends/backends.h"
#include "core/store.h"
#include "core/used.h"
#include "tests/conformance/kit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 20000u
#define SOUND UINT32_MAX /* no position */

static anonset_backend table;
static anonset_store *store;
static anonset_used tags[COUNT];

/* What goes wrong. */
static struct {
    uint32_t rotten;    /* the pair at this position reads as another */
    uint32_t lost;      /* the tag at this position is not found */
    uint32_t later;     /* it is found, but behind its place */
    bool newest_mark;   /* the list's own digest, remembered beside its last tag, is another */
    anonset_code marks; /* what asking for a remembered digest says */
    anonset_code reads; /* what reading says, from the second call on */
    anonset_code opens;
    anonset_code appends;
    unsigned read_calls;
} fault;

static anonset_code rotten_read(void *view, anonset_used *used, uint32_t *n, uint32_t from,
                                uint32_t room, anonset_detail *detail)
{
    if (fault.reads != ANONSET_OK && fault.read_calls++ > 0)
        return fault.reads;
    anonset_code code = as_backend_memory.used_read(view, used, n, from, room, detail);
    if (code == ANONSET_OK && fault.rotten >= from && fault.rotten - from < *n)
        used[fault.rotten - from].tx_hash[5] ^= 1;
    return code;
}

static anonset_code losing_find(void *view, anonset_used *used, uint32_t *position,
                                const uint8_t *tag, anonset_detail *detail)
{
    static uint32_t last; /* tags are looked for in their order; the model would look through all */
    (void)view, (void)detail;
    while (memcmp(tags[last].tag, tag, ANONSET_TAG_BYTES) != 0)
        last = (last + 1) % COUNT;
    *used = tags[last];
    *position = last + (last == fault.later);
    return last == fault.lost ? ANONSET_NOT_FOUND : ANONSET_OK;
}

static anonset_code failing_mark(void *view, anonset_used_state *mark, uint32_t above,
                                 anonset_detail *detail)
{
    if (fault.marks != ANONSET_OK && above > 0)
        return fault.marks;
    anonset_code code = as_backend_memory.used_mark(view, mark, above, detail);
    if (fault.newest_mark && mark->count == COUNT)
        mark->digest[7] ^= 1;
    return code;
}

static anonset_code failing_open(void *handle, void **view, anonset_used_state *state,
                                 anonset_detail *detail)
{
    if (fault.opens != ANONSET_OK)
        return fault.opens;
    return as_backend_memory.used_open(handle, view, state, detail);
}

static anonset_code failing_append(void *handle, const anonset_used_append *a,
                                   anonset_detail *detail)
{
    if (fault.appends != ANONSET_OK)
        return fault.appends;
    return as_backend_memory.used_append(handle, a, detail);
}

static void no_fault(void)
{
    memset(&fault, 0, sizeof fault);
    fault.rotten = fault.lost = fault.later = SOUND;
}

static anonset_used_state state_now(void)
{
    anonset_used_list *list;
    anonset_used_state state;
    cr_assert_eq(anonset_used_open(&list, store, NULL), ANONSET_OK);
    state = *anonset_used_list_state(list);
    anonset_used_close(list);
    return state;
}

/* As a sync does: in batches, behind what is there. */
static void append_to(uint32_t count)
{
    as_digest *digest;
    anonset_used_append a = {.before = state_now()};
    cr_assert_eq(as_digest_new(&digest, NULL), ANONSET_OK);
    while (a.before.count < count) {
        uint32_t left = count - a.before.count;
        a.keep = a.before.count;
        a.used = tags + a.keep;
        a.n = left < ANONSET_USED_BATCH ? left : ANONSET_USED_BATCH;
        memcpy(a.digest_after, a.before.digest, sizeof a.digest_after);
        cr_assert_eq(as_used_digest(digest, a.digest_after, a.used, a.n), ANONSET_OK);
        cr_assert_eq(store->backend->used_append(store->handle, &a, NULL), ANONSET_OK);
        a.before.count += a.n;
        memcpy(a.before.digest, a.digest_after, sizeof a.digest_after);
    }
    as_digest_free(digest);
}

static anonset_code replaced(const char *path, const char *by, const char *kept, unsigned busy_ms,
                             anonset_detail *detail)
{
    (void)path, (void)by, (void)kept, (void)busy_ms, (void)detail;
    return ANONSET_OK;
}

static anonset_store_options options_here(void)
{
    anonset_store_options options;
    anonset_store_options_init(&options);
    table = as_backend_memory;
    table.used_read = rotten_read;
    table.used_find = losing_find;
    table.used_mark = failing_mark;
    table.used_open = failing_open;
    table.used_append = failing_append;
    table.replace = replaced;
    options.backend = &table;
    return options;
}

static void open_store(const char *name)
{
    anonset_store_options options = options_here();
    no_fault();
    kit_used_fill(tags, 1, COUNT);
    cr_assert_eq(anonset_store_open(&store, name, &options, NULL), ANONSET_OK);
    append_to(COUNT);
}

static bool is_sound(anonset_detail *why)
{
    anonset_used_list *list;
    bool sound;
    cr_assert_eq(anonset_used_open(&list, store, NULL), ANONSET_OK);
    cr_assert_eq(anonset_used_verify(list, &sound, why), ANONSET_OK);
    anonset_used_close(list);
    return sound;
}

/* Damage anywhere is cut off at the batch's begin, and nothing before it. */
Test(used_sound, a_repair_cuts_back_to_the_last_sound_batch)
{
    static const struct {
        uint32_t rotten, lost, later, kept;
        const char *words;
    } rows[] = {
        {SOUND, SOUND, SOUND, 20000, ""},
        {0, SOUND, SOUND, 0, "positions 0 to 8191 do not lead"},
        {8191, SOUND, SOUND, 0, "positions 0 to 8191 do not lead"},
        {8192, SOUND, SOUND, 8192, "positions 8192 to 16383 do not lead"},
        {16384, SOUND, SOUND, 16384, "positions 16384 to 19999 do not lead"},
        {19999, SOUND, SOUND, 16384, "positions 16384 to 19999 do not lead"},
        {19999, 8200, SOUND, 8192, "position 8200 is not found"},
        {SOUND, SOUND, 16384, 16384, "position 16384 is not found"},
    };
    open_store("repair");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        anonset_used_repaired did;
        anonset_detail why = {.code = ANONSET_OK};
        fault.rotten = rows[i].rotten;
        fault.lost = rows[i].lost;
        fault.later = rows[i].later;
        cr_expect_eq(is_sound(&why), rows[i].kept == COUNT, "row %zu", i);
        cr_expect(strstr(why.text, rows[i].words), "row %zu: %s", i, why.text);
        cr_assert_eq(anonset_used_repair(store, &did, &why), ANONSET_OK);
        cr_expect_eq(did.kept, rows[i].kept, "row %zu: %u", i, did.kept);
        cr_expect_eq(did.dropped, COUNT - rows[i].kept, "row %zu: %u", i, did.dropped);
        cr_expect_eq(state_now().count, rows[i].kept);
        no_fault();
        cr_expect(is_sound(NULL), "row %zu", i);
        append_to(COUNT);
        cr_expect(is_sound(NULL), "row %zu", i);
    }
    anonset_store_close(store);
}

/* The next append would leave it in the list's midst, where it is what the tags must lead to. */
Test(used_sound, a_digest_that_rotted_beside_the_newest_tag)
{
    anonset_used_repaired did;
    anonset_detail why = {.code = ANONSET_OK};
    open_store("newest");
    fault.newest_mark = true;
    cr_expect_not(is_sound(&why));
    cr_expect(strstr(why.text, "beside the newest used tag"), "%s", why.text);
    cr_assert_eq(anonset_used_repair(store, &did, NULL), ANONSET_OK);
    cr_expect_eq(did.kept, 16384);
    no_fault();
    append_to(COUNT);
    cr_expect(is_sound(NULL));
    anonset_store_close(store);
}

Test(used_sound, without_remembered_digests_all_of_a_damaged_list_goes)
{
    anonset_used_repaired did;
    open_store("no marks");
    store->vtable.used_mark = NULL;
    cr_assert_eq(anonset_used_repair(store, &did, NULL), ANONSET_OK);
    cr_expect(did.kept == COUNT && did.dropped == 0);
    fault.rotten = 19999;
    cr_assert_eq(anonset_used_repair(store, &did, NULL), ANONSET_OK);
    cr_expect(did.kept == 0 && did.dropped == COUNT);
    anonset_store_close(store);
}

Test(used_sound, what_fails_is_told_and_changes_nothing)
{
    anonset_used_repaired did = {.kept = 7};
    anonset_used_list *list;
    bool sound = true;
    open_store("fails");
    cr_expect_eq(anonset_used_repair(NULL, &did, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_used_repair(store, NULL, NULL), ANONSET_INVALID);
    cr_assert_eq(anonset_used_open(&list, store, NULL), ANONSET_OK);
    cr_expect_eq(anonset_used_verify(NULL, &sound, NULL), ANONSET_INVALID);
    fault.reads = ANONSET_IO;
    cr_expect_eq(anonset_used_verify(list, &sound, NULL), ANONSET_IO);
    anonset_used_close(list);
    cr_expect_eq(anonset_used_repair(store, &did, NULL), ANONSET_IO);
    no_fault();
    fault.marks = ANONSET_IO;
    cr_expect_eq(anonset_used_repair(store, &did, NULL), ANONSET_IO);
    fault.opens = ANONSET_CORRUPT;
    cr_expect_eq(anonset_used_repair(store, &did, NULL), ANONSET_CORRUPT);
    no_fault();
    fault.rotten = 9000;
    fault.appends = ANONSET_STALE;
    cr_expect_eq(anonset_used_repair(store, &did, NULL), ANONSET_STALE);
    cr_expect_eq(did.kept, 7);
    no_fault();
    cr_expect_eq(state_now().count, COUNT);
    /* A remembered digest that rotted: what it is of cannot be told from what is damaged. */
    fault.marks = ANONSET_CORRUPT;
    cr_expect_eq(anonset_used_repair(store, &did, NULL), ANONSET_OK);
    cr_expect_eq(did.kept, 8192);
    store->vtable.used_append = NULL;
    cr_expect_eq(anonset_used_repair(store, &did, NULL), ANONSET_UNSUPPORTED);
    anonset_store_close(store);
}

/* The list in the store that a rebuilding made; the model puts it in nobody's place. */
static anonset_used_state rebuilt_state(const anonset_store_options *options)
{
    anonset_store *held = store;
    anonset_used_state state;
    cr_assert_eq(anonset_store_open(&store, "whole.rebuilt", options, NULL), ANONSET_OK);
    state = state_now();
    cr_expect(is_sound(NULL));
    anonset_store_close(store);
    store = held;
    return state;
}

Test(used_sound, a_rebuilt_store_keeps_what_is_sound)
{
    static const struct {
        uint32_t rotten, kept;
    } rows[] = {{SOUND, 20000}, {19999, 16384}, {8192, 8192}, {3, 0}};
    open_store("whole");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        anonset_store_options options = options_here();
        anonset_rebuilt rebuilt;
        fault.rotten = rows[i].rotten;
        cr_assert_eq(anonset_store_rebuild("whole", &options, &rebuilt, NULL), ANONSET_OK);
        cr_expect_eq(rebuilt.used_kept, rows[i].kept, "row %zu: %u", i, rebuilt.used_kept);
        cr_expect_eq(rebuilt.used_dropped, COUNT - rows[i].kept, "row %zu", i);
        cr_expect_not(rebuilt.used_lost);
        no_fault();
        cr_expect_eq(rebuilt_state(&options).count, rows[i].kept);
    }
    anonset_store_close(store);
}

Test(used_sound, what_fails_while_a_store_is_made_anew)
{
    anonset_store_options options;
    anonset_rebuilt rebuilt = {.used_kept = 7};
    open_store("whole");
    options = options_here();
    fault.opens = ANONSET_IO;
    cr_expect_eq(anonset_store_rebuild("whole", &options, &rebuilt, NULL), ANONSET_IO);
    no_fault();
    fault.appends = ANONSET_FULL;
    cr_expect_eq(anonset_store_rebuild("whole", &options, &rebuilt, NULL), ANONSET_FULL);
    no_fault();
    fault.marks = ANONSET_IO;
    cr_expect_eq(anonset_store_rebuild("whole", &options, &rebuilt, NULL), ANONSET_IO);
    cr_expect_eq(rebuilt.used_kept, 7);
    no_fault();
    fault.opens = ANONSET_CORRUPT; /* the list's record */
    cr_assert_eq(anonset_store_rebuild("whole", &options, &rebuilt, NULL), ANONSET_OK);
    cr_expect(rebuilt.used_lost && rebuilt.used_kept == 0);
    no_fault();
    cr_expect_eq(rebuilt_state(&options).count, 0);
    table.used_append = NULL;
    table.used_open = NULL;
    table.used_close = NULL;
    table.used_read = NULL;
    table.used_find = NULL;
    cr_assert_eq(anonset_store_rebuild("whole", &options, &rebuilt, NULL), ANONSET_OK);
    cr_expect(!rebuilt.used_lost && rebuilt.used_kept == 0 && rebuilt.used_dropped == 0);
    anonset_store_close(store);
}

/* Bytes that rotted are not made good by a new digest. */
Test(used_sound, a_copy_differs_in_nothing)
{
    anonset_store_options options;
    anonset_store *to;
    anonset_used_list *list;
    anonset_used_state state;
    open_store("from");
    state = state_now();
    options = options_here();
    cr_assert_eq(anonset_used_open(&list, store, NULL), ANONSET_OK);
    cr_assert_eq(anonset_store_open(&to, "to", &options, NULL), ANONSET_OK);
    fault.rotten = 100;
    cr_expect_eq(as_used_copy(to->backend, to->handle, list, &state, NULL), ANONSET_CORRUPT);
    no_fault();
    cr_assert_eq(anonset_used_clear(to, NULL), ANONSET_OK);
    fault.reads = ANONSET_IO;
    fault.read_calls = 1;
    cr_expect_eq(as_used_copy(to->backend, to->handle, list, &state, NULL), ANONSET_IO);
    no_fault();
    cr_assert_eq(as_used_copy(to->backend, to->handle, list, &state, NULL), ANONSET_OK);
    anonset_used_close(list);
    anonset_store_close(store);
    store = to;
    anonset_used_state copied = state_now();
    cr_expect_eq(copied.count, COUNT);
    cr_expect_eq(memcmp(copied.digest, state.digest, sizeof state.digest), 0);
    anonset_store_close(to);
}
