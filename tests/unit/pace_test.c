#include "remote/pace.h"

#include <criterion/criterion.h>
#include <stdbool.h>

#define HARD   (10000 * AS_PACE_UNIT) /* where ElectrumX cuts */
#define MIB    (UINT64_C(1) << 20)
#define FROM   UINT64_C(1000000) /* any time */
#define MINUTE UINT64_C(60000)

Test(pace, five_thousand_bytes_are_a_unit)
{
    as_pace pace = {0};
    as_pace_bytes(&pace, FROM, 5000000);
    cr_assert_geq(pace.charge, 1000 * AS_PACE_UNIT);
    cr_assert_leq(pace.charge, 1000 * AS_PACE_UNIT + 1);
}

Test(pace, a_unit_decays_a_second)
{
    as_pace pace = {0};
    as_pace_bytes(&pace, FROM, 5000000);
    as_pace_bytes(&pace, FROM + 400000, 0);
    cr_assert_geq(pace.charge, 600 * AS_PACE_UNIT);
    cr_assert_leq(pace.charge, 600 * AS_PACE_UNIT + 2);
    as_pace_bytes(&pace, FROM + 4000000, 0);
    cr_assert_leq(pace.charge, 1);
}

Test(pace, an_error_costs_a_hundred)
{
    as_pace pace = {0};
    as_pace_error(&pace, FROM);
    cr_assert_eq(pace.charge, 100 * AS_PACE_UNIT);
}

Test(pace, a_clock_that_stands_still_decays_nothing)
{
    as_pace pace = {0};
    as_pace_error(&pace, FROM);
    as_pace_error(&pace, FROM - 5);
    cr_assert_eq(pace.charge, 200 * AS_PACE_UNIT);
}

Test(pace, a_full_group_waits_nowhere)
{
    as_pace pace = {0};
    for (int i = 0; i < 23; i++) { /* 32,000 coins in answers of 1 MiB, all within one moment */
        cr_assert_eq(as_pace_wait(&pace, FROM, 2 * MIB), 0);
        as_pace_bytes(&pace, FROM, MIB);
    }
}

/* A model of the server: nothing that the pace lets through takes it to its hard limit. */
Test(pace, the_server_never_cuts)
{
    as_pace pace = {0};
    uint64_t now = FROM, cost = 0, at = FROM, waited = 0;
    for (int i = 0; i < 600; i++) {
        uint64_t bytes = i % 3 == 0 ? MIB : i % 3 == 1 ? 4 * MIB : 1024;
        uint64_t wait = as_pace_wait(&pace, now, bytes);
        waited += wait;
        now += wait + 7;
        cost = cost > now - at ? cost - (now - at) : 0;
        at = now;
        cost += bytes * AS_PACE_UNIT / 5000;
        cr_assert_lt(cost, HARD);
        as_pace_bytes(&pace, now, bytes);
    }
    cr_assert_gt(waited, 10 * MINUTE); /* it did go past the ceiling */
}

Test(pace, waits_no_longer_than_needed)
{
    as_pace pace = {0};
    while (pace.charge < AS_PACE_CEILING)
        as_pace_bytes(&pace, FROM, MIB);
    uint64_t wait = as_pace_wait(&pace, FROM, MIB);
    cr_assert_gt(wait, 0);
    cr_assert_eq(as_pace_wait(&pace, FROM + wait, MIB), 0);
    cr_assert_eq(as_pace_wait(&pace, FROM + wait - 1, MIB), 1);
}

Test(pace, an_answer_past_the_ceiling_comes_too)
{
    as_pace pace = {0};
    cr_assert_eq(as_pace_wait(&pace, FROM, UINT64_MAX), 0);
    as_pace_bytes(&pace, FROM, 5000000);
    uint64_t wait = as_pace_wait(&pace, FROM, UINT64_MAX);
    cr_assert_eq(wait, pace.charge);
    cr_assert_eq(as_pace_wait(&pace, FROM + wait, UINT64_MAX), 0);
}

Test(pace, answers_are_expected_padded)
{
    as_pace pace = {0};
    cr_assert_eq(as_pace_expect(&pace, 0), 1024);
    cr_assert_eq(as_pace_expect(&pace, 1500), MIB);
    as_pace_learn(&pace, 1500, 2 * MIB);
    cr_assert_eq(as_pace_expect(&pace, 1500), 4 * MIB); /* just above two */
    as_pace_learn(&pace, 1, 1024);                      /* all padding: nothing to learn */
    cr_assert_eq(as_pace_expect(&pace, 1500), 4 * MIB);
    cr_assert_geq(as_pace_expect(&pace, UINT32_MAX), UINT32_MAX);
}

Test(backoff, doubles_up_to_the_cap)
{
    static const unsigned most[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (unsigned failures = 0; failures < 8; failures++) {
        unsigned highest = 0;
        for (uint64_t random = 0; random < 40000; random++) {
            unsigned ms = as_backoff_ms(failures, 500, 30000, random);
            highest = ms > highest ? ms : highest;
        }
        cr_assert_eq(highest, most[failures]);
    }
    cr_assert_eq(as_backoff_ms(UINT32_MAX, 500, 30000, 30000), 30000);
    cr_assert_eq(as_backoff_ms(3, 0, 0, 12345), 0);
}

Test(backoff, jitter_is_full)
{
    uint64_t state = 1;
    bool low = false, high = false;
    for (int i = 0; i < 1000; i++) {
        unsigned ms = as_backoff_ms(4, 500, 30000, as_jitter(&state));
        low = low || ms < 800;
        high = high || ms > 7200;
    }
    cr_assert(low && high);
}
