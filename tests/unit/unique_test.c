/* The search for repeated coins, over a set that a fake backend keeps in memory and tells lies of.
 */
#include "core/unique.h"

#include "core/bytes.h"
#include "tests/support/coins.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Small coins, made anew at each read: coin `position` is number ids[position]. */
typedef struct fake {
    uint32_t *ids;
    uint32_t *tags;                 /* as "stored" */
    uint32_t n, run;                /* coins a run holds */
    uint32_t fail_at;               /* reading this position fails */
    uint32_t fail_reads, fail_tags; /* and the read, or tag read, of this number; 0: none */
    bool misses;                    /* runs do not hold the position asked for */
    uint32_t reads, tag_reads;
    size_t room; /* for the check */
    uint8_t bytes[4096][4];
    uint8_t tag_bytes[4096 * 4 + 1];
    anonset_coin coins[4096];
} fake;

static const uint8_t hash[ANONSET_HASH_BYTES] = {9, 8, 7};

static void make_coin(anonset_coin *coin, uint8_t *bytes, uint32_t id)
{
    as_put32(bytes, id);
    *coin = (anonset_coin){.serialized = bytes, .serialized_len = 4, .tx_hash = hash};
}

static anonset_code begin_run(fake *f, anonset_run *run, uint32_t position, bool fails,
                              anonset_detail *detail)
{
    cr_assert_lt(position, f->n);
    if (position == f->fail_at || fails) {
        if (detail)
            detail->code = ANONSET_IO;
        return ANONSET_IO;
    }
    memset(run, 0, sizeof *run);
    run->start = position / f->run * f->run;
    run->n = f->n - run->start < f->run ? f->n - run->start : f->run;
    if (f->misses)
        run->n = position - run->start;
    return ANONSET_OK;
}

static anonset_code fake_read(void *snapshot, anonset_run *run, uint32_t position,
                              anonset_detail *detail)
{
    fake *f = snapshot;
    anonset_code code = begin_run(f, run, position, ++f->reads == f->fail_reads, detail);
    for (uint32_t i = 0; code == ANONSET_OK && i < run->n; i++)
        make_coin(&f->coins[i], f->bytes[i], f->ids[run->start + i]);
    run->coins = f->coins;
    return code;
}

static anonset_code fake_read_tags(void *snapshot, anonset_run *run, uint32_t position,
                                   anonset_detail *detail)
{
    fake *f = snapshot;
    anonset_code code = begin_run(f, run, position, ++f->tag_reads == f->fail_tags, detail);
    for (uint32_t i = 0; code == ANONSET_OK && i < run->n; i++)
        as_put32(f->tag_bytes + 1 + 4 * (size_t)i, f->tags[run->start + i]);
    run->tags = f->tag_bytes + 1; /* not aligned, as backend.h allows */
    return code;
}

/* n coins that all differ, runs of 100. */
static fake *fake_new(uint32_t n)
{
    fake *f = calloc(1, sizeof *f);
    as_tagger tagger;
    as_tagger_init(&tagger, ts_salt);
    f->n = n;
    f->run = 100;
    f->fail_at = UINT32_MAX;
    f->ids = malloc((n + 1) * sizeof *f->ids);
    f->tags = malloc((n + 1) * sizeof *f->tags);
    cr_assert(f->ids && f->tags);
    for (uint32_t i = 0; i < n; i++) {
        anonset_coin coin;
        f->ids[i] = i;
        make_coin(&coin, f->bytes[0], i);
        f->tags[i] = as_tag(&tagger, &coin);
    }
    return f;
}

static void fake_free(fake *f)
{
    free(f->ids);
    free(f->tags);
    free(f);
}

/* Makes coin `to` the same as coin `from`. */
static void repeat_coin(fake *f, uint32_t from, uint32_t to)
{
    f->ids[to] = f->ids[from];
    f->tags[to] = f->tags[from];
}

static anonset_code check(as_repeat *repeat, fake *f, uint32_t base, bool stored_tags)
{
    const anonset_backend backend = {.size = sizeof backend,
                                     .name = "fake",
                                     .read = fake_read,
                                     .read_tags = stored_tags ? fake_read_tags : NULL};
    as_tagger tagger;
    anonset_detail detail = {.code = ANONSET_OK};
    as_tagger_init(&tagger, ts_salt);
    anonset_code code = as_unique_check(repeat, &backend, f, &tagger, base, f->n, f->room, &detail);
    cr_expect_eq(detail.code, code);
    return code;
}

static void expect_none(fake *f, uint32_t base, const char *what)
{
    for (int stored = 0; stored < 2; stored++) {
        as_repeat repeat;
        cr_expect_eq(check(&repeat, f, base, stored), ANONSET_OK, "%s", what);
        cr_expect_not(repeat.found, "%s", what);
    }
}

static void expect_pair(fake *f, uint32_t base, uint32_t first, uint32_t second)
{
    for (int stored = 0; stored < 2; stored++) {
        as_repeat repeat;
        cr_expect_eq(check(&repeat, f, base, stored), ANONSET_OK);
        cr_expect(repeat.found, "%u and %u from %u on", first, second, base);
        cr_expect_eq(repeat.first, first);
        cr_expect_eq(repeat.second, second);
    }
}

Test(unique, nothing_repeats)
{
    static const uint32_t sizes[] = {0, 1, 2, 99, 100, 101, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fake *f = fake_new(sizes[i]);
        expect_none(f, 0, "from the start");
        expect_none(f, sizes[i] / 2, "from the middle");
        expect_none(f, sizes[i], "nothing new");
        fake_free(f);
    }
}

Test(unique, each_pair_is_found)
{
    static const struct {
        uint32_t base, first, second;
    } rows[] = {
        {0, 0, 1},          {0, 0, 4999},       {0, 4998, 4999},    {0, 99, 100},
        {0, 100, 101},      {2000, 0, 2000},    {2000, 1999, 2000}, {2000, 1999, 4999},
        {2000, 2000, 4999}, {2000, 2000, 2001}, {4999, 0, 4999},    {4999, 4998, 4999},
        {2050, 2049, 2051},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fake *f = fake_new(5000);
        repeat_coin(f, rows[i].first, rows[i].second);
        expect_pair(f, rows[i].base, rows[i].first, rows[i].second);
        fake_free(f);
    }
}

Test(unique, pairs_below_base_are_not_looked_for)
{
    fake *f = fake_new(5000);
    repeat_coin(f, 10, 1000);
    expect_none(f, 2000, "checked when they were finalized");
    fake_free(f);
}

/* Six slices of the tag space. */
Test(unique, a_pair_in_any_slice_is_found)
{
    fake *f = fake_new(120000);
    f->run = 4096;
    for (uint32_t first = 0; first < 12; first++) {
        uint32_t id = f->ids[100000], tag = f->tags[100000];
        repeat_coin(f, first, 100000);
        expect_pair(f, first % 2 ? 60000 : 0, first, 100000);
        f->ids[100000] = id;
        f->tags[100000] = tag;
    }
    expect_none(f, 0, "all differ again");
    fake_free(f);
}

/* The more room, the fewer scans of all tags. */
Test(unique, room_saves_scans)
{
    static const struct {
        size_t room;
        uint32_t scans;
    } rows[] = {{0, 20}, {128u << 10, 10}, {256u << 10, 5}, {(512u << 10) - 1, 5}, {SIZE_MAX, 2}};
    fake *f = fake_new(400000);
    f->run = 4000;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        as_repeat repeat;
        f->room = rows[i].room;
        f->tag_reads = 0;
        cr_expect_eq(check(&repeat, f, 0, true), ANONSET_OK);
        cr_expect_not(repeat.found);
        uint32_t scans = f->tag_reads / (f->n / f->run);
        /* and one more for tags, or marks of them, that are equal by chance */
        cr_expect(scans == rows[i].scans || scans == rows[i].scans + 1, "room %zu: %u scans",
                  rows[i].room, scans);
    }
    fake_free(f);
}

Test(unique, each_pair_is_found_in_a_large_table)
{
    fake *f = fake_new(400000);
    f->run = 4096;
    f->room = SIZE_MAX;
    for (uint32_t first = 0; first < 12; first++) {
        uint32_t id = f->ids[399990], tag = f->tags[399990];
        repeat_coin(f, first * 30000, 399990);
        expect_pair(f, first % 2 ? 390000 : 0, first * 30000, 399990);
        f->ids[399990] = id;
        f->tags[399990] = tag;
    }
    fake_free(f);
}

/* Tags 0 and 1, where the table's own mark for a free slot is, and tags that others share. */
Test(unique, coins_that_only_share_a_tag_are_no_repeat)
{
    static const uint32_t tags[] = {0, 1, 2, UINT32_MAX, 0x80000000u};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        fake *f = fake_new(1000);
        as_repeat repeat;
        f->tags[5] = f->tags[500] = f->tags[999] = tags[i];
        cr_expect_eq(check(&repeat, f, 0, true), ANONSET_OK);
        cr_expect_not(repeat.found, "tag %u", tags[i]);
        cr_expect_gt(f->reads, 0u, "the coins themselves were compared");
        repeat_coin(f, 500, 999);
        cr_expect_eq(check(&repeat, f, 400, true), ANONSET_OK);
        cr_expect(repeat.found && repeat.first == 500 && repeat.second == 999, "tag %u", tags[i]);
        fake_free(f);
    }
}

Test(unique, the_zero_tag_is_found_like_any_other)
{
    fake *f = fake_new(1000);
    as_repeat repeat;
    f->tags[3] = 0;
    repeat_coin(f, 3, 700);
    cr_expect_eq(check(&repeat, f, 0, true), ANONSET_OK);
    cr_expect(repeat.found && repeat.first == 3 && repeat.second == 700);
    fake_free(f);
}

/* A server that sends one coin over and over. */
Test(unique, all_coins_equal)
{
    fake *f = fake_new(70000);
    as_repeat repeat;
    f->run = 4096;
    for (uint32_t i = 1; i < f->n; i++)
        repeat_coin(f, 0, i);
    cr_expect_eq(check(&repeat, f, 0, true), ANONSET_OK);
    cr_expect(repeat.found && repeat.first < repeat.second && repeat.second < f->n);
    cr_expect_eq(check(&repeat, f, 35000, true), ANONSET_OK);
    cr_expect(repeat.found && repeat.first < repeat.second && repeat.second >= 35000);
    fake_free(f);
}

/* Tags that no keyed hash gave: ends, as damage, and does not compare every coin with every other.
 */
Test(unique, stored_tags_that_are_all_equal_are_damage)
{
    fake *f = fake_new(70000);
    as_repeat repeat;
    for (uint32_t i = 0; i < f->n; i++)
        f->tags[i] = 42;
    cr_expect_eq(check(&repeat, f, 0, true), ANONSET_CORRUPT);
    cr_expect_not(repeat.found);
    fake_free(f);
}

/* All in one slice: more than its table can hold. */
Test(unique, stored_tags_that_crowd_in_one_slice_are_damage)
{
    fake *f = fake_new(120000);
    as_repeat repeat;
    f->run = 4096;
    for (uint32_t i = 0; i < f->n; i++)
        f->tags[i] = i + 5;
    cr_expect_eq(check(&repeat, f, 0, true), ANONSET_CORRUPT);
    cr_expect_not(repeat.found);
    fake_free(f);
}

Test(unique, a_failing_read_is_told)
{
    for (int stored = 0; stored < 2; stored++)
        for (uint32_t at = 0; at < 1000; at += 300) {
            fake *f = fake_new(1000);
            as_repeat repeat;
            f->fail_at = at;
            cr_expect_eq(check(&repeat, f, 500, stored), ANONSET_IO, "at %u", at);
            fake_free(f);
        }
}

Test(unique, stored_tags_spare_reading_coins)
{
    fake *f = fake_new(5000);
    as_repeat repeat;
    cr_expect_eq(check(&repeat, f, 0, true), ANONSET_OK);
    cr_expect_eq(f->reads, 0u);
    cr_expect_gt(f->tag_reads, 0u);
    fake_free(f);
}

/* Each read of coins and of tags in turn, also those that look at a pair. */
Test(unique, any_failing_read_is_told)
{
    static const struct {
        bool tags;
        uint32_t least; /* so many are made */
    } kinds[] = {{true, 11}, {false, 2}};
    for (size_t kind = 0; kind < 2; kind++) {
        anonset_code code = ANONSET_IO;
        for (uint32_t at = 1; code != ANONSET_OK; at++) {
            fake *f = fake_new(1000);
            as_repeat repeat;
            repeat_coin(f, 10, 990);
            *(kinds[kind].tags ? &f->fail_tags : &f->fail_reads) = at;
            code = check(&repeat, f, 0, true);
            cr_expect(code == ANONSET_IO || (at > kinds[kind].least && repeat.found), "%s %u",
                      kinds[kind].tags ? "tag read" : "read", at);
            fake_free(f);
        }
    }
}

Test(unique, a_run_without_the_position_is_told)
{
    for (int stored = 0; stored < 2; stored++) {
        fake *f = fake_new(300);
        as_repeat repeat;
        f->misses = true;
        cr_expect_eq(check(&repeat, f, 0, stored), stored ? ANONSET_CORRUPT : ANONSET_INTERNAL);
        fake_free(f);
    }
}
