/* The contract of the three writes: every refusal and every effect is a row. */
#include "core/ledger.h"

#include <criterion/criterion.h>
#include <string.h>

/* Metas and digests are told apart by one number each. */
static anonset_meta meta_of(uint8_t block, uint32_t size)
{
    anonset_meta meta = {.size = size, .has_set_hash = true};
    memset(meta.block_hash, block, sizeof meta.block_hash);
    memset(meta.set_hash, block + 100, sizeof meta.set_hash);
    return meta;
}

static void set_digest(uint8_t *digest, uint8_t number)
{
    memset(digest, number, ANONSET_HASH_BYTES);
}

/* A set of `size` coins finalized for block 1 with digest 11; a pending one for block 2 and 200
 * coins with digest 12. base == NO: no pending set; size == NO: no finalized one. */
#define NO UINT32_MAX

static as_ledger ledger_of(uint32_t size, anonset_gate gate, uint32_t base, uint32_t count)
{
    as_ledger ledger;
    memset(&ledger, 0, sizeof ledger);
    ledger.epoch = 7;
    anonset_state *s = &ledger.state;
    if (size != NO) {
        s->has_finalized = true;
        s->finalized = meta_of(1, size);
        s->gate = gate;
        set_digest(s->digest, 11);
    }
    if (base != NO) {
        s->has_pending = true;
        s->target = meta_of(2, 200);
        s->base = base;
        s->count = count;
        set_digest(s->pending_digest, 12);
    }
    return ledger;
}

static void expect_same(const as_ledger *a, const as_ledger *b, const char *what)
{
    uint8_t x[AS_LEDGER_BYTES], y[AS_LEDGER_BYTES];
    as_ledger_encode(x, a, 1);
    as_ledger_encode(y, b, 1);
    cr_expect_arr_eq(x, y, sizeof x, "%s", what);
}

/* ---- append_sector ------------------------------------------------------------------------ */

typedef struct append_row {
    const char *what;
    uint32_t size; /* as ledger_of takes them */
    anonset_gate gate;
    uint32_t has_base, has_count;
    uint8_t block; /* of the target */
    uint32_t target_size, base, start, n;
    uint8_t before; /* digest_before */
    anonset_code want;
    const char *text; /* part of the refusal */
} append_row;

#define COUNT ANONSET_GATE_COUNT
#define NONE  ANONSET_GATE_NONE
#define OK    ANONSET_OK
#define STALE ANONSET_STALE

static const append_row append_rows[] = {
    {"first sector of a group", NO, NONE, NO, 0, 2, 200, 0, 0, 50, 0, OK, NULL},
    {"an empty first sector", NO, NONE, NO, 0, 2, 200, 0, 0, 0, 0, OK, NULL},
    {"the whole set at once", NO, NONE, NO, 0, 2, 200, 0, 0, 200, 0, OK, NULL},
    {"one coin too many", NO, NONE, NO, 0, 2, 200, 0, 0, 201, 0, STALE, "target's 200"},
    {"sizes that overflow", NO, NONE, NO, 0, 2, 200, 0, 0, UINT32_MAX, 0, STALE, "target's 200"},
    {"digest at 0 is not zero", NO, NONE, NO, 0, 2, 200, 0, 0, 50, 1, STALE, "another digest"},
    {"base without a finalized set", NO, NONE, NO, 0, 2, 200, 1, 1, 9, 0, STALE, "the 0 finalized"},
    {"first sector starts late", NO, NONE, NO, 0, 2, 200, 0, 1, 9, 0, STALE,
     "expected coins from 0"},
    {"growth of a finalized set", 100, COUNT, NO, 0, 2, 200, 100, 100, 50, 11, OK, NULL},
    {"growth on another digest", 100, COUNT, NO, 0, 2, 200, 100, 100, 50, 0, STALE,
     "another digest"},
    {"base past the finalized size", 100, COUNT, NO, 0, 2, 200, 101, 101, 9, 11, STALE,
     "past the 100 finalized"},
    {"a tail to replace; its digest is not known", 100, COUNT, NO, 0, 2, 200, 60, 60, 9, 99, OK,
     NULL},
    {"all to replace", 100, COUNT, NO, 0, 2, 200, 0, 0, 9, 0, OK, NULL},
    {"all to replace, digest not zero", 100, COUNT, NO, 0, 2, 200, 0, 0, 9, 11, STALE,
     "another digest"},
    {"a re-anchor", 100, COUNT, NO, 0, 2, 100, 100, 100, 0, 11, OK, NULL},
    {"the finalized target again", 100, COUNT, NO, 0, 1, 100, 100, 100, 0, 11, STALE, "already"},
    {"the finalized target, other size", 100, COUNT, NO, 0, 1, 101, 100, 100, 1, 11, OK, NULL},
    {"the finalized target at level none", 100, NONE, NO, 0, 1, 100, 0, 0, 50, 0, OK, NULL},
    {"the next sector", 100, COUNT, 100, 30, 2, 200, 100, 130, 50, 12, OK, NULL},
    {"the next, without a finalized set", NO, NONE, 0, 30, 2, 200, 0, 30, 50, 12, OK, NULL},
    {"the last sector", 100, COUNT, 100, 30, 2, 200, 100, 130, 70, 12, OK, NULL},
    {"past the target's size", 100, COUNT, 100, 30, 2, 200, 100, 130, 71, 12, STALE,
     "target's 200"},
    {"the same sector again", 100, COUNT, 100, 30, 2, 200, 100, 100, 30, 11, STALE,
     "expected coins from 130 on, got 100"},
    {"a gap", 100, COUNT, 100, 30, 2, 200, 100, 131, 9, 12, STALE,
     "expected coins from 130 on, got 131"},
    {"another base", 100, COUNT, 100, 30, 2, 200, 90, 120, 9, 12, STALE,
     "begins at 100, not at 90"},
    {"another digest", 100, COUNT, 100, 30, 2, 200, 100, 130, 9, 11, STALE, "another digest"},
    {"a re-pin with coins", 100, COUNT, 100, 30, 3, 300, 100, 130, 150, 12, OK, NULL},
    {"a re-pin alone", 100, COUNT, 100, 30, 3, 300, 100, 130, 0, 12, OK, NULL},
    {"a re-pin to fewer coins than pend", 100, COUNT, 100, 30, 3, 129, 100, 130, 0, 12, STALE,
     "target's 129"},
    {"a re-pin to just the coins that pend", 100, COUNT, 100, 30, 3, 130, 100, 130, 0, 12, OK,
     NULL},
    {"a re-pin to the finalized target", 100, COUNT, 0, 30, 1, 100, 0, 30, 9, 12, STALE, "already"},
};

static anonset_append append_of(const append_row *row)
{
    anonset_append a = {.group = 5,
                        .target = meta_of(row->block, row->target_size),
                        .base = row->base,
                        .start = row->start,
                        .n = row->n};
    set_digest(a.digest_before, row->before);
    set_digest(a.digest_after, 20);
    return a;
}

Test(ledger, append)
{
    for (size_t i = 0; i < sizeof append_rows / sizeof *append_rows; i++) {
        const append_row *row = &append_rows[i];
        const as_ledger now = ledger_of(row->size, row->gate, row->has_base, row->has_count);
        as_ledger next = ledger_of(NO, NONE, 3, 3), before = next, want = now;
        anonset_append a = append_of(row);
        anonset_detail detail = {.code = OK};
        cr_expect_eq(as_ledger_append(&next, &now, &a, &detail), row->want, "%s: %s", row->what,
                     detail.text);
        cr_expect_eq(detail.code, row->want, "%s", row->what);
        if (row->want != OK) {
            cr_expect(strstr(detail.text, row->text), "%s: %s", row->what, detail.text);
            expect_same(&next, &before, row->what);
            continue;
        }
        want.epoch = row->has_base == NO ? 8 : 7;
        want.state.has_pending = true;
        want.state.target = a.target;
        want.state.base = row->base;
        want.state.count = row->start + row->n - row->base;
        set_digest(want.state.pending_digest, 20);
        expect_same(&next, &want, row->what);
    }
}

Test(ledger, append_is_upon_the_finalized_set_that_was_looked_at)
{
    append_row row = {
        .block = 2, .target_size = 200, .base = 60, .start = 60, .n = 1, .before = 11};
    as_ledger now = ledger_of(100, COUNT, NO, 0), next;
    anonset_append a = append_of(&row);
    anonset_meta other = now.state.finalized;
    anonset_detail detail = {.code = OK};
    a.upon = &now.state.finalized;
    cr_expect_eq(as_ledger_append(&next, &now, &a, NULL), OK);
    other.block_hash[31] ^= 1;
    a.upon = &other;
    cr_expect_eq(as_ledger_append(&next, &now, &a, &detail), STALE);
    cr_expect(strstr(detail.text, "another set was finalized"), "%s", detail.text);
}

Test(ledger, append_stops_at_the_last_epoch)
{
    as_ledger now = ledger_of(100, COUNT, NO, 0), next;
    append_row row = {
        .block = 2, .target_size = 200, .base = 100, .start = 100, .n = 1, .before = 11};
    anonset_append a = append_of(&row);
    now.epoch = UINT32_MAX - 1;
    cr_expect_eq(as_ledger_append(&next, &now, &a, NULL), OK);
    cr_expect_eq(next.epoch, UINT32_MAX);
    now.epoch = UINT32_MAX;
    cr_expect_eq(as_ledger_append(&next, &now, &a, NULL), ANONSET_INTERNAL);
}

/* ---- mark_complete ------------------------------------------------------------------------ */

typedef struct complete_row {
    const char *what;
    uint32_t size;
    anonset_gate has_gate;
    uint32_t has_base, has_count;
    uint8_t block;
    uint32_t target_size, expected;
    uint8_t digest;
    anonset_gate gate;
    anonset_code want;
    const char *text;
    bool again, drop, alias; /* what it comes to */
} complete_row;

#define SET_HASH ANONSET_GATE_SET_HASH

static const complete_row complete_rows[] = {
    {"a first set", NO, NONE, 0, 200, 2, 200, 200, 12, COUNT, OK, NULL, 0, 0, 0},
    {"growth", 100, COUNT, 100, 100, 2, 200, 100, 12, SET_HASH, OK, NULL, 0, 0, 0},
    {"a tail replaced", 100, COUNT, 60, 140, 2, 200, 140, 12, COUNT, OK, NULL, 0, 1, 0},
    {"all replaced", 100, COUNT, 0, 200, 2, 200, 200, 12, COUNT, OK, NULL, 0, 1, 0},
    {"a legacy set replaced", 100, NONE, 0, 200, 2, 200, 200, 12, COUNT, OK, NULL, 0, 1, 0},
    {"a re-anchor", 200, COUNT, 200, 0, 2, 200, 0, 12, COUNT, OK, NULL, 0, 0, 1},
    {"a set that only lost its tail", 300, COUNT, 200, 0, 2, 200, 0, 12, COUNT, OK, NULL, 0, 1, 1},
    {"fewer coins pend than expected", 100, COUNT, 100, 100, 2, 200, 101, 12, COUNT, STALE,
     "expected 100 pending coins, got 101", 0, 0, 0},
    {"more coins pend than expected", 100, COUNT, 100, 100, 2, 200, 99, 12, COUNT, STALE,
     "expected 100 pending coins, got 99", 0, 0, 0},
    {"not all coins are here", 100, COUNT, 100, 99, 2, 200, 99, 12, COUNT, STALE,
     "199 of the target's 200", 0, 0, 0},
    {"another digest", 100, COUNT, 100, 100, 2, 200, 100, 13, COUNT, STALE, "another digest", 0, 0,
     0},
    {"another target", 100, COUNT, 100, 100, 3, 200, 100, 12, COUNT, STALE, "another target", 0, 0,
     0},
    {"nothing pends", 100, COUNT, NO, 0, 2, 200, 100, 12, COUNT, STALE, "no pending set", 0, 0, 0},
    {"nothing is stored", NO, NONE, NO, 0, 2, 200, 200, 12, COUNT, STALE, "no pending set", 0, 0,
     0},
    {"finalized already", 100, COUNT, NO, 0, 1, 100, 77, 11, COUNT, OK, NULL, 1, 0, 0},
    {"… and the level rises", 100, COUNT, NO, 0, 1, 100, 77, 11, SET_HASH, OK, NULL, 1, 0, 0},
    {"… or would fall", 100, SET_HASH, NO, 0, 1, 100, 77, 11, COUNT, OK, NULL, 1, 0, 0},
    {"… with another digest", 100, COUNT, NO, 0, 1, 100, 77, 12, SET_HASH, STALE, "another digest",
     0, 0, 0},
    {"… while others pend", 100, COUNT, 100, 30, 1, 100, 77, 11, SET_HASH, OK, NULL, 1, 0, 0},
};

static void expect_effect(const complete_row *row, const as_effect *e, const as_ledger *next)
{
    bool raised = row->again && row->gate > row->has_gate;
    cr_expect_eq(e->drop_tail, row->drop, "%s", row->what);
    cr_expect_eq(e->alias_same_size, row->alias, "%s", row->what);
    cr_expect_eq(e->add_checkpoint, !row->again, "%s", row->what);
    cr_expect_eq(e->replace_checkpoint, raised, "%s", row->what);
    if (!row->again) {
        cr_expect_eq(e->base, row->has_base, "%s", row->what);
        cr_expect_eq(e->epoch, 7u, "%s", row->what);
    }
    if (!row->again || raised) {
        cr_expect(as_meta_equal(&e->checkpoint.meta, &next->state.finalized), "%s", row->what);
        cr_expect_eq(e->checkpoint.gate, row->gate, "%s", row->what);
        cr_expect_eq(e->checkpoint.digest[31], row->digest, "%s", row->what);
        cr_expect_not(e->checkpoint.alias, "%s", row->what);
    }
}

Test(ledger, complete)
{
    for (size_t i = 0; i < sizeof complete_rows / sizeof *complete_rows; i++) {
        const complete_row *row = &complete_rows[i];
        const as_ledger now = ledger_of(row->size, row->has_gate, row->has_base, row->has_count);
        as_ledger next = ledger_of(NO, NONE, 3, 3), before = next, want = now;
        as_effect effect;
        anonset_detail detail = {.code = OK};
        anonset_complete c = {.group = 5,
                              .target = meta_of(row->block, row->target_size),
                              .expected_count = row->expected,
                              .gate = row->gate};
        set_digest(c.digest, row->digest);
        cr_expect_eq(as_ledger_complete(&next, &effect, &now, &c, &detail), row->want, "%s: %s",
                     row->what, detail.text);
        if (row->want != OK) {
            cr_expect(strstr(detail.text, row->text), "%s: %s", row->what, detail.text);
            expect_same(&next, &before, row->what);
            continue;
        }
        if (row->again) {
            want.state.gate = row->gate > row->has_gate ? row->gate : row->has_gate;
        } else {
            want = ledger_of(1, row->gate, NO, 0);
            want.state.finalized = c.target;
            set_digest(want.state.digest, row->digest);
        }
        expect_same(&next, &want, row->what);
        expect_effect(row, &effect, &next);
    }
}

Test(ledger, discard)
{
    const as_ledger with = ledger_of(100, COUNT, 60, 30), without = ledger_of(100, COUNT, NO, 0);
    as_ledger next;
    as_ledger_discard(&next, &with);
    expect_same(&next, &without, "a pending set goes");
    as_ledger_discard(&next, &without);
    expect_same(&next, &without, "nothing pends");
    next = with;
    as_ledger_discard(&next, &next);
    expect_same(&next, &without, "in place");
}

Test(ledger, metas_differ_in_each_field)
{
    const anonset_meta a = meta_of(1, 100);
    anonset_meta b = a, c = a;
    cr_expect(as_meta_equal(&a, &b));
    b.size++;
    cr_expect_not(as_meta_equal(&a, &b), "size");
    b = a;
    b.block_hash[31] ^= 1;
    cr_expect_not(as_meta_equal(&a, &b), "block hash");
    b = a;
    b.set_hash[0] ^= 1;
    cr_expect_not(as_meta_equal(&a, &b), "set hash");
    b = a;
    b.has_set_hash = false;
    cr_expect_not(as_meta_equal(&a, &b), "no set hash");
    c.has_set_hash = false;
    cr_expect(as_meta_equal(&b, &c), "neither has one");
}

/* ---- Records ------------------------------------------------------------------------------ */

static const as_ledger *ledgers(size_t *n)
{
    static as_ledger all[6];
    all[0] = ledger_of(NO, NONE, NO, 0);
    all[1] = ledger_of(100, SET_HASH, NO, 0);
    all[2] = ledger_of(NO, NONE, 0, 200);
    all[3] = ledger_of(100, NONE, 60, 30);
    all[4] = ledger_of(UINT32_MAX - 1, COUNT, 5, 0);
    all[4].state.target = meta_of(9, UINT32_MAX);
    all[4].state.count = UINT32_MAX - 5;
    all[5] = ledger_of(100, COUNT, 100, 0);
    all[5].state.finalized.has_set_hash = false;
    memset(all[5].state.finalized.set_hash, 0, ANONSET_HASH_BYTES);
    *n = 6;
    return all;
}

static void expect_state(const anonset_state *a, const anonset_state *b, size_t i)
{
    cr_expect_eq(a->has_finalized, b->has_finalized, "ledger %zu", i);
    cr_expect_eq(a->gate, b->gate, "ledger %zu", i);
    cr_expect(as_meta_equal(&a->finalized, &b->finalized), "ledger %zu", i);
    cr_expect_arr_eq(a->digest, b->digest, ANONSET_HASH_BYTES, "ledger %zu", i);
    cr_expect_eq(a->has_pending, b->has_pending, "ledger %zu", i);
    cr_expect(as_meta_equal(&a->target, &b->target), "ledger %zu", i);
    cr_expect_eq(a->base, b->base, "ledger %zu", i);
    cr_expect_eq(a->count, b->count, "ledger %zu", i);
    cr_expect_arr_eq(a->pending_digest, b->pending_digest, ANONSET_HASH_BYTES, "ledger %zu", i);
}

Test(ledger, record_comes_back_and_every_flipped_bit_is_found)
{
    size_t n;
    const as_ledger *all = ledgers(&n);
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[AS_LEDGER_BYTES];
        as_ledger back;
        as_ledger_encode(bytes, &all[i], 1);
        cr_assert_eq(as_ledger_decode(&back, bytes, sizeof bytes, 1, NULL), OK);
        cr_expect_eq(back.epoch, all[i].epoch);
        expect_state(&back.state, &all[i].state, i);
        for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_expect_eq(as_ledger_decode(&back, bytes, sizeof bytes, 1, NULL), ANONSET_CORRUPT,
                         "ledger %zu, bit %zu", i, bit);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

Test(ledger, record_of_another_length_is_corrupt)
{
    uint8_t bytes[AS_LEDGER_BYTES + 1] = {0};
    as_ledger now = ledger_of(100, COUNT, 60, 30), back;
    as_ledger_encode(bytes, &now, 1);
    cr_expect_eq(as_ledger_decode(&back, bytes, 0, 1, NULL), ANONSET_CORRUPT);
    cr_expect_eq(as_ledger_decode(&back, bytes, AS_LEDGER_BYTES - 1, 1, NULL), ANONSET_CORRUPT);
    cr_expect_eq(as_ledger_decode(&back, bytes, AS_LEDGER_BYTES + 1, 1, NULL), ANONSET_CORRUPT);
}

/* Well-formed bytes with a right checksum that no write of ours can have stored. */
Test(ledger, record_that_contradicts_itself_is_corrupt)
{
    as_ledger impossible[5], back;
    for (size_t i = 0; i < 5; i++)
        impossible[i] = ledger_of(100, COUNT, 60, 30);
    impossible[0].state.base = 101;
    impossible[1].state.count = 141;
    impossible[2].epoch = 0;
    impossible[3].state.gate = (anonset_gate)3;
    impossible[4].state.has_finalized = false;
    for (size_t i = 0; i < 5; i++) {
        uint8_t bytes[AS_LEDGER_BYTES];
        as_ledger_encode(bytes, &impossible[i], 1);
        cr_expect_eq(as_ledger_decode(&back, bytes, sizeof bytes, 1, NULL), ANONSET_CORRUPT, "%zu",
                     i);
    }
}

/* A key is kept beside the record, where the checksum sees it no other way. */
Test(ledger, checkpoint_is_refused_in_every_place_that_one_flipped_bit_leads_to)
{
    anonset_checkpoint checkpoint = {.meta = meta_of(3, 70), .gate = COUNT};
    as_checkpoint_at place = {.group = 1, .number = 6};
    uint8_t bytes[AS_CHECKPOINT_BYTES];
    set_digest(checkpoint.digest, 40);
    as_checkpoint_encode(bytes, &checkpoint, place);
    for (unsigned bit = 0; bit < 32; bit++) {
        anonset_checkpoint back;
        as_checkpoint_at other = place, group = place;
        other.number ^= 1u << bit;
        group.group ^= 1u << bit;
        cr_expect_eq(as_checkpoint_decode(&back, bytes, sizeof bytes, other, NULL), ANONSET_CORRUPT,
                     "number, bit %u", bit);
        cr_expect_eq(as_checkpoint_decode(&back, bytes, sizeof bytes, group, NULL), ANONSET_CORRUPT,
                     "group, bit %u", bit);
    }
}

Test(ledger, checkpoint_comes_back_and_every_flipped_bit_is_found)
{
    static const as_checkpoint_at place = {.group = 7, .number = 300};
    anonset_checkpoint all[3] = {{.meta = meta_of(3, 70), .gate = COUNT},
                                 {.meta = meta_of(4, UINT32_MAX), .gate = SET_HASH, .alias = true},
                                 {.meta = meta_of(5, 0), .gate = NONE}};
    all[2].meta.has_set_hash = false;
    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[AS_CHECKPOINT_BYTES];
        anonset_checkpoint back;
        set_digest(all[i].digest, (uint8_t)(40 + i));
        as_checkpoint_encode(bytes, &all[i], place);
        cr_assert_eq(as_checkpoint_decode(&back, bytes, sizeof bytes, place, NULL), OK);
        cr_expect(as_meta_equal(&back.meta, &all[i].meta));
        cr_expect_eq(back.gate, all[i].gate);
        cr_expect_eq(back.alias, all[i].alias);
        cr_expect_arr_eq(back.digest, all[i].digest, ANONSET_HASH_BYTES);
        cr_expect_eq(as_checkpoint_decode(&back, bytes, sizeof bytes - 1, place, NULL),
                     ANONSET_CORRUPT);
        for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_expect_eq(as_checkpoint_decode(&back, bytes, sizeof bytes, place, NULL),
                         ANONSET_CORRUPT, "checkpoint %zu, bit %zu", i, bit);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* ---- Rows --------------------------------------------------------------------------------- */

#define FINALIZED ANONSET_VIEW_FINALIZED
#define NEXT      ANONSET_VIEW_NEXT

Test(ledger, rows_of_a_view)
{
    /* 100 finalized; 30 pending from 60 on, of epoch 7. */
    static const struct {
        anonset_view view;
        uint32_t start, epoch;
        bool pends, want;
    } rows[] = {
        {FINALIZED, 0, 3, true, true},    {FINALIZED, 99, 3, true, true},
        {FINALIZED, 100, 3, true, false}, {FINALIZED, 60, 7, true, false},
        {NEXT, 59, 3, true, true},        {NEXT, 60, 3, true, false},
        {NEXT, 60, 7, true, true},        {NEXT, 89, 7, true, true},
        {NEXT, 90, 7, true, false},       {FINALIZED, 60, 7, false, true},
        {NEXT, 60, 7, false, true},       {NEXT, 99, 3, false, true},
        {NEXT, 100, 3, false, false},
    };
    const as_ledger with = ledger_of(100, COUNT, 60, 30), without = ledger_of(100, COUNT, NO, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(as_ledger_row_in_view(rows[i].pends ? &with : &without, rows[i].view,
                                           rows[i].start, rows[i].epoch),
                     rows[i].want, "row %zu", i);
    const as_ledger none = ledger_of(NO, NONE, NO, 0);
    cr_expect_not(as_ledger_row_in_view(&none, NEXT, 0, 7), "nothing is stored");
}

Test(ledger, sizes_of_views_and_ends_of_rows)
{
    const as_ledger with = ledger_of(100, COUNT, 60, 30), without = ledger_of(100, COUNT, NO, 0);
    const as_ledger none = ledger_of(NO, NONE, NO, 0), large = ledger_of(NO - 1, COUNT, NO, 0);
    cr_expect_eq(as_ledger_view_size(&with, FINALIZED), 100u);
    cr_expect_eq(as_ledger_view_size(&with, NEXT), 90u);
    cr_expect_eq(as_ledger_view_size(&without, NEXT), 100u);
    cr_expect_eq(as_ledger_view_size(&none, NEXT), 0u);
    cr_expect_eq(as_ledger_row_end(&with, FINALIZED, 10, 20, 30), 30u, "a whole row");
    cr_expect_eq(as_ledger_row_end(&with, FINALIZED, 10, 20, NO), 30u, "the last row");
    cr_expect_eq(as_ledger_row_end(&with, NEXT, 50, 20, 60), 60u, "cut where the pending set is");
    cr_expect_eq(as_ledger_row_end(&with, FINALIZED, 90, 20, NO), 100u, "cut at the set's end");
    cr_expect_eq(as_ledger_row_end(&with, NEXT, 80, 20, NO), 90u, "cut at the pending end");
    cr_expect_eq(as_ledger_row_end(&large, FINALIZED, NO - 5, 20, NO), NO - 1, "no overflow");
}

/* A row whose epoch rotted lies among those of the other set: where that has none, it goes too. */
Test(ledger, a_drop_leaves_no_row_where_only_the_damaged_set_has_rows)
{
    as_ledger now = {.epoch = 3}, next;
    anonset_state *s = &now.state;
    uint32_t from, to;
    s->has_finalized = s->has_pending = true;
    s->finalized.size = 100;
    s->target.size = 200;
    s->base = 80;
    s->count = 60;
    anonset_damage pending = {.group = 1, .pending = true, .from = 90, .to = 140};
    anonset_damage finalized = {.group = 1, .from = 60, .to = 90};
    cr_assert_eq(as_ledger_drop(&next, &from, &to, &now, &pending, NULL), OK);
    cr_expect(from == 100 && to == 140, "[%u, %u)", from, to);
    cr_expect_eq(next.state.count, 10);
    cr_assert_eq(as_ledger_drop(&next, &from, &to, &now, &finalized, NULL), OK);
    cr_expect(from == 60 && to == 80, "[%u, %u)", from, to);
    cr_expect(next.state.has_hole && next.state.hole_from == 60 && next.state.hole_to == 90);
}

/* ---- Holes, and records that cannot be ------------------------------------------------------- */

static as_ledger with_hole(uint32_t from, uint32_t to, uint32_t filled)
{
    as_ledger ledger = ledger_of(100, COUNT, NO, 0);
    ledger.state.has_hole = true;
    ledger.state.hole_from = from;
    ledger.state.hole_to = to;
    ledger.state.hole_filled = filled;
    return ledger;
}

static anonset_code round_trip(const as_ledger *ledger, uint32_t as_group)
{
    uint8_t bytes[AS_LEDGER_BYTES];
    as_ledger found;
    as_ledger_encode(bytes, ledger, 1);
    return as_ledger_decode(&found, bytes, sizeof bytes, as_group, NULL);
}

Test(ledger, a_hole_lies_in_the_set_and_is_not_full)
{
    static const struct {
        uint32_t from, to, filled;
        anonset_code want;
    } rows[] = {
        {0, 100, 0, OK},
        {10, 20, 9, OK},
        {20, 20, 0, ANONSET_CORRUPT},
        {30, 20, 0, ANONSET_CORRUPT},
        {90, 101, 0, ANONSET_CORRUPT},
        {10, 20, 10, ANONSET_CORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const as_ledger ledger = with_hole(rows[i].from, rows[i].to, rows[i].filled);
        cr_expect_eq(round_trip(&ledger, 1), rows[i].want, "row %zu", i);
    }
    as_ledger nothing = with_hole(0, 1, 0);
    nothing.state.has_finalized = false;
    cr_expect_eq(round_trip(&nothing, 1), ANONSET_CORRUPT, "a hole in no set");
}

Test(ledger, a_record_that_stands_as_another_groups_is_corrupt)
{
    const as_ledger ledger = ledger_of(100, COUNT, 60, 30);
    cr_expect_eq(round_trip(&ledger, 1), OK);
    cr_expect_eq(round_trip(&ledger, 2), ANONSET_CORRUPT);
}

Test(ledger, an_identity_comes_back_and_every_flipped_bit_is_found)
{
    anonset_store_info info = {.has_genesis = true}, found;
    uint8_t bytes[AS_IDENTITY_BYTES];
    memset(info.salt, 3, sizeof info.salt);
    memset(info.genesis, 4, sizeof info.genesis);
    as_identity_encode(bytes, &info);
    cr_assert(as_identity_decode(&found, bytes, sizeof bytes));
    cr_expect(found.has_genesis);
    cr_expect_arr_eq(found.salt, info.salt, sizeof info.salt);
    cr_expect_arr_eq(found.genesis, info.genesis, sizeof info.genesis);
    cr_expect_not(as_identity_decode(&found, bytes, sizeof bytes - 1));
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_expect_not(as_identity_decode(&found, bytes, sizeof bytes), "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* 100 finalized, with a hole at 40 to 60; 30 pending from 60 on. */
Test(ledger, only_damage_that_is_there_is_dropped)
{
    static const struct {
        const char *what;
        bool pending;
        uint32_t from, to;
        uint8_t digest;
        bool has_hole;
        anonset_code want;
    } rows[] = {
        {"nothing", false, 50, 50, 11, false, STALE},
        {"a part", false, 50, 60, 11, false, OK},
        {"another set", false, 50, 60, 12, false, STALE},
        {"past the end", false, 50, 101, 11, false, STALE},
        {"over the hole", false, 40, 60, 11, true, OK},
        {"around the hole", false, 30, 70, 11, true, OK},
        {"above where the hole begins", false, 41, 60, 11, true, STALE},
        {"below where the hole ends", false, 40, 59, 11, true, STALE},
        {"the pending end", true, 70, 90, 12, false, OK},
        {"the pending middle", true, 70, 80, 12, false, STALE},
        {"below the pending set", true, 59, 90, 12, false, STALE},
        {"another pending set", true, 70, 90, 11, false, STALE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        as_ledger now = ledger_of(100, COUNT, 60, 30), next;
        anonset_damage damage = {.group = 1, .pending = rows[i].pending};
        uint32_t from, to;
        now.state.has_hole = rows[i].has_hole;
        now.state.hole_from = 40;
        now.state.hole_to = 60;
        damage.from = rows[i].from;
        damage.to = rows[i].to;
        set_digest(damage.digest, rows[i].digest);
        cr_expect_eq(as_ledger_drop(&next, &from, &to, &now, &damage, NULL), rows[i].want, "%s",
                     rows[i].what);
    }
    as_ledger none = ledger_of(NO, NONE, NO, 0), next;
    uint32_t from, to;
    for (int pending = 0; pending < 2; pending++) {
        const anonset_damage damage = {.group = 1, .pending = pending, .from = 1, .to = 2};
        cr_expect_eq(as_ledger_drop(&next, &from, &to, &none, &damage, NULL), STALE);
    }
}

/* A row that begins below a hole ends there, whatever its own record says. */
Test(ledger, a_row_ends_where_a_hole_begins)
{
    const as_ledger ledger = with_hole(40, 60, 0);
    cr_expect_eq(as_ledger_row_end(&ledger, FINALIZED, 30, 20, NO), 40u);
    cr_expect_eq(as_ledger_row_end(&ledger, FINALIZED, 60, 20, NO), 80u);
    cr_expect_eq(as_ledger_row_end(&ledger, FINALIZED, 20, 20, NO), 40u);
    const as_ledger at_end = with_hole(90, 100, 0);
    cr_expect_eq(as_ledger_row_end(&at_end, FINALIZED, 95, 20, NO), 100u);
}
