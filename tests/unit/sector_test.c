/* How many coins are asked for. */
#include "core/sector.h"

#include <criterion/criterion.h>

#define MIB (1u << 20)

static as_sector sector;

Test(sector, first_sizes)
{
    static const struct {
        uint32_t fixed, limit, expected;
    } cases[] = {{1, MIB, 1},    {1500, MIB, 1500}, {65536, 4096, 65536},
                 {0, 4096, 416}, {0, MIB, 416},     {0, 1u << 31, 416}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        as_sector_init(&sector, cases[i].fixed, cases[i].limit);
        cr_expect_eq(as_sector_size(&sector), cases[i].expected, "case %zu", i);
    }
}

Test(sector, an_adapted_answer_stays_below_its_power_of_two)
{
    static const struct {
        uint32_t limit, coin;
    } cases[] = {{MIB, 535}, {MIB, 2000}, {4096, 535}, {1u << 16, 1435}, {1u << 31, 100000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        as_sector_init(&sector, 0, cases[i].limit);
        as_sector_good(&sector, 100, (uint64_t)cases[i].coin * 100, true);
        uint64_t bytes = (uint64_t)as_sector_size(&sector) * cases[i].coin;
        cr_expect_lt(bytes, cases[i].limit);
        cr_expect_gt(bytes, cases[i].limit - cases[i].limit / 8 - 1024 - cases[i].coin,
                     "case %zu: %llu bytes", i, (unsigned long long)bytes);
    }
}

/* Coins as a node was seen to tell them differ little: the margin goes down to what pays. */
Test(sector, fills_more_of_the_power_of_two_the_less_coins_differ)
{
    uint32_t before = 0, now = 0;
    as_sector_init(&sector, 0, MIB);
    for (uint32_t i = 0; i < 20; i++, before = now) {
        as_sector_good(&sector, 1900, UINT64_C(1900) * 535, true);
        now = as_sector_size(&sector);
        cr_expect_geq(now, before);
    }
    cr_expect_gt(now * 535, MIB - MIB / 30);
    for (uint32_t i = 0; i < 20; i++)
        as_sector_good(&sector, 1900, UINT64_C(1900) * (i % 2 ? 500 : 570), true);
    now = as_sector_size(&sector);
    cr_expect_lt(now * 570, MIB, "%u coins", now);
    cr_expect_lt(now, before - before / 20);
}

static uint64_t padded(uint64_t bytes)
{
    uint64_t power = 1024;
    while (power < bytes)
        power *= 2;
    return power;
}

/* The rest is cut where its padding is worth it, and each part but the last wastes little. */
Test(sector, cuts_the_rest_where_answers_are_padded)
{
    for (uint32_t rest = 1; rest < 1850; rest += 7) {
        uint64_t sent = 0, text = 0;
        uint32_t requests = 0;
        as_sector_init(&sector, 0, MIB);
        for (uint32_t i = 0; i < 20; i++)
            as_sector_good(&sector, 1900, UINT64_C(1900) * 535, true);
        for (uint32_t left = rest; left > 0; requests++) {
            uint32_t n = as_sector_part(&sector, left);
            cr_assert(n > 0 && n <= left);
            left -= n;
            text += n * UINT64_C(535);
            sent += padded(n * UINT64_C(535));
        }
        cr_expect_leq(sent, text + text / 6 + (1u << 15), "%u coins", rest);
        cr_expect_leq(requests, 6, "%u coins", rest);
        sector.padded = false;
        cr_expect_eq(as_sector_part(&sector, rest), rest);
    }
}

Test(sector, has_bounds_whatever_it_is_told)
{
    static const struct {
        uint32_t n;
        uint64_t bytes;
        uint32_t expected;
    } cases[] = {
        {0, 1000, 416},          /* nothing to learn */
        {1, UINT32_MAX, 1},      /* a coin larger than a sector */
        {1, UINT64_MAX / 16, 1}, /* past what is counted in */
        {65536, 1, 65536},       /* coins of no bytes */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        as_sector_init(&sector, 0, MIB);
        as_sector_good(&sector, cases[i].n, cases[i].bytes, false);
        cr_expect_eq(as_sector_size(&sector), cases[i].expected, "case %zu", i);
    }
}

Test(sector, halves_down_to_one_coin)
{
    static const uint32_t fixed[] = {0, 1000, 65536};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        as_sector_init(&sector, fixed[i], MIB);
        uint32_t n = as_sector_size(&sector);
        for (; n > 1; n = as_sector_size(&sector)) {
            cr_assert(as_sector_bad(&sector, n));
            cr_assert_eq(as_sector_size(&sector), n / 2);
        }
        cr_expect_not(as_sector_bad(&sector, 1));
        cr_expect_not(as_sector_bad(&sector, 0));
        cr_expect_eq(as_sector_size(&sector), 1);
    }
}

Test(sector, grows_back_by_quarters)
{
    as_sector_init(&sector, 1000, MIB);
    cr_assert(as_sector_bad(&sector, as_sector_size(&sector)));
    uint32_t before = as_sector_size(&sector);
    cr_expect_eq(before, 500);
    for (uint32_t answers = 0; before < 1000; answers++) {
        cr_assert_lt(answers, 4);
        as_sector_good(&sector, before, (uint64_t)before * 535, false);
        uint32_t now = as_sector_size(&sector);
        cr_expect(now > before && now <= before + before / 4 + 1);
        before = now;
    }
    as_sector_good(&sector, 1000, 535000, false);
    cr_expect_eq(as_sector_size(&sector), 1000, "never more than the caller wants");
}

Test(sector, a_short_answer_does_not_let_it_grow)
{
    as_sector_init(&sector, 1000, MIB);
    cr_assert(as_sector_bad(&sector, 1000));
    as_sector_good(&sector, 499, 499 * 535, false);
    cr_expect_eq(as_sector_size(&sector), 500);
}
