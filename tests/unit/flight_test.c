/* The requests under way: order, ids, limits. */
#include "core/flight.h"

#include <criterion/criterion.h>

static as_flight flight;

static void add(as_role role)
{
    cr_assert(as_flight_add(&flight, &(anonset_request){.group = 7}, (as_asked){.role = role}));
}

static uint32_t pop(void)
{
    anonset_request request;
    cr_assert(as_flight_pop(&flight, &request));
    cr_assert_eq(request.group, 7);
    return request.id;
}

Test(flight, hands_out_in_order_with_ids_of_their_own)
{
    anonset_request request;
    add(AS_ASK_META);
    add(AS_ASK_SECTOR);
    cr_expect_eq(pop(), 1);
    add(AS_ASK_FLOOR);
    cr_expect_eq(pop(), 2);
    cr_expect_eq(pop(), 3);
    cr_expect_not(as_flight_pop(&flight, &request));
}

Test(flight, takes_each_answer_once_in_any_order)
{
    static const struct {
        uint32_t id;
        bool taken;
        as_role role;
    } answers[] = {
        {4, false, AS_ASK_NOTHING}, /* queued, not sent */
        {2, true, AS_ASK_SECTOR},   {2, false, AS_ASK_NOTHING}, {3, true, AS_ASK_FLOOR},
        {1, true, AS_ASK_META},     {0, false, AS_ASK_NOTHING},
    };
    add(AS_ASK_META);
    add(AS_ASK_SECTOR);
    add(AS_ASK_FLOOR);
    for (int i = 0; i < 3; i++)
        (void)pop();
    add(AS_ASK_COMPARE);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        as_asked asked = {.role = AS_ASK_NOTHING};
        cr_expect_eq(as_flight_take(&flight, &asked, answers[i].id), answers[i].taken);
        cr_expect_eq(asked.role, answers[i].role);
    }
    cr_expect(as_flight_has(&flight, AS_ASK_COMPARE));
    cr_expect_eq(pop(), 4);
}

Test(flight, ignores_what_is_sent_and_drops_what_is_queued)
{
    anonset_request request;
    as_asked asked;
    add(AS_ASK_META);
    add(AS_ASK_SECTOR);
    (void)pop();
    as_flight_ignore(&flight);
    cr_expect_not(as_flight_has(&flight, AS_ASK_META));
    cr_expect_not(as_flight_has(&flight, AS_ASK_SECTOR));
    cr_expect_not(as_flight_pop(&flight, &request));
    cr_expect(as_flight_take(&flight, &asked, 1));
    cr_expect_eq(asked.role, AS_ASK_NOTHING);
    add(AS_ASK_META);
    cr_expect_eq(pop(), 3, "no id comes twice");
}

static void add_sector(uint32_t lo)
{
    cr_assert(as_flight_add(&flight, &(anonset_request){.group = 7},
                            (as_asked){.role = AS_ASK_SECTOR, .lo = lo}));
}

Test(flight, counts_a_role_and_finds_its_lowest)
{
    cr_expect_eq(as_flight_lowest(&flight, AS_ASK_SECTOR), UINT32_MAX);
    add_sector(20);
    add(AS_ASK_META);
    add_sector(10);
    (void)pop();
    cr_expect_eq(as_flight_count(&flight, AS_ASK_SECTOR), 2);
    cr_expect_eq(as_flight_count(&flight, AS_ASK_FLOOR), 0);
    cr_expect_eq(as_flight_lowest(&flight, AS_ASK_SECTOR), 10);
}

/* One below on the wire, two from there on, one of them queued, and a question behind them. */
Test(flight, ignores_from_a_position_on)
{
    anonset_request request;
    as_asked asked;
    add_sector(0);
    add_sector(10);
    (void)pop();
    (void)pop();
    add_sector(20);
    add(AS_ASK_CLOSE_CONTROL);
    as_flight_ignore_from(&flight, AS_ASK_SECTOR, 10);
    cr_expect_not(as_flight_pop(&flight, &request));
    cr_expect_eq(flight.n, 2);
    cr_expect(as_flight_take(&flight, &asked, 2));
    cr_expect_eq(asked.role, AS_ASK_NOTHING);
    cr_expect(as_flight_take(&flight, &asked, 1));
    cr_expect_eq(asked.role, AS_ASK_SECTOR);
    cr_expect_eq(flight.n, 0);
}

Test(flight, drops_what_is_queued_above_and_keeps_what_is_below)
{
    add_sector(10);
    add_sector(0);
    as_flight_ignore_from(&flight, AS_ASK_SECTOR, 10);
    cr_expect_eq(pop(), 2);
    cr_expect_eq(as_flight_lowest(&flight, AS_ASK_SECTOR), 0);
}

Test(flight, voids_all)
{
    as_asked asked;
    add(AS_ASK_META);
    (void)pop();
    add(AS_ASK_SECTOR);
    as_flight_void(&flight);
    cr_expect_eq(flight.n, 0);
    cr_expect_not(as_flight_take(&flight, &asked, 1));
}

Test(flight, refuses_more_than_fit)
{
    as_asked asked;
    for (uint32_t i = 0; i < AS_FLIGHT_MAX; i++)
        add(AS_ASK_FLOOR);
    cr_expect_not(as_flight_add(&flight, &(anonset_request){.group = 7}, (as_asked){0}));
    cr_expect_eq(pop(), 1);
    cr_expect_not(as_flight_add(&flight, &(anonset_request){.group = 7}, (as_asked){0}));
    cr_expect(as_flight_take(&flight, &asked, 1));
    add(AS_ASK_META);
}
