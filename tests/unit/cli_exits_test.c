#include "cli/exits.h"

#include <criterion/criterion.h>

Test(cli_exits, every_outcome)
{
    static const int expected[ANONSET_OUTCOME_COUNT] = {
        [ANONSET_FINALIZED] = 0,     [ANONSET_REANCHORED] = 0,       [ANONSET_UP_TO_DATE] = 0,
        [ANONSET_NO_SUCH_GROUP] = 5, [ANONSET_REMOTE_BEHIND] = 5,    [ANONSET_REORG_DETECTED] = 5,
        [ANONSET_ANOMALY] = 4,       [ANONSET_BAD_SECTOR] = 4,       [ANONSET_GATE_REFUSED] = 4,
        [ANONSET_NETWORK_ERROR] = 3, [ANONSET_STORE_BUSY] = 7,       [ANONSET_STORE_ERROR] = 6,
        [ANONSET_OTHER_NETWORK] = 4, [ANONSET_SYNC_CANCELLED] = 130,
    };

    for (int o = 0; o < ANONSET_OUTCOME_COUNT; o++)
        cr_expect_eq(exits_of_result((anonset_outcome)o, ANONSET_OK), expected[o], "outcome %d", o);
}

Test(cli_exits, a_failing_self_check_is_internal_whatever_it_stopped)
{
    cr_expect_eq(exits_of_result(ANONSET_STORE_ERROR, ANONSET_INTERNAL), 1);
    cr_expect_eq(exits_of_result(ANONSET_STORE_ERROR, ANONSET_NO_MEMORY), 1);
    cr_expect_eq(exits_of_result(ANONSET_NETWORK_ERROR, ANONSET_INTERNAL), 1);
    cr_expect_eq(exits_of_result(ANONSET_STORE_ERROR, ANONSET_FULL), 6);
    cr_expect_eq(exits_of_result(ANONSET_NETWORK_ERROR, ANONSET_SERVER), 3);
    cr_expect_eq(exits_of_result(ANONSET_OUTCOME_COUNT, ANONSET_OK), 1);
}

Test(cli_exits, every_store_code)
{
    static const struct {
        anonset_code code;
        int exit;
    } rows[] = {
        {ANONSET_OK, 0},          {ANONSET_INVALID, 1},       {ANONSET_NO_MEMORY, 1},
        {ANONSET_INTERNAL, 1},    {ANONSET_NETWORK, 3},       {ANONSET_SERVER, 3},
        {ANONSET_BAD_ANSWER, 3},  {ANONSET_WRONG_NETWORK, 4}, {ANONSET_NOT_FOUND, 6},
        {ANONSET_IO, 6},          {ANONSET_FULL, 6},          {ANONSET_PERMISSION, 6},
        {ANONSET_UNKNOWN, 6},     {ANONSET_CORRUPT, 6},       {ANONSET_FOREIGN, 6},
        {ANONSET_UNSUPPORTED, 6}, {ANONSET_UNPROVEN, 4},      {ANONSET_BUSY, 7},
        {ANONSET_STALE, 7},       {ANONSET_CANCELLED, 130},
    };

    cr_assert_eq(sizeof rows / sizeof *rows, ANONSET_UNPROVEN + 1, "a code has no row");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(exits_of_code(rows[i].code), rows[i].exit, "code %d", rows[i].code);
}

Test(cli_exits, of_several_groups_the_worst_in_the_documented_order)
{
    static const int order[] = {130, 1, 6, 7, 4, 3, 5, 0};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        for (size_t k = i; k < sizeof order / sizeof *order; k++) {
            cr_expect_eq(exits_worse(order[i], order[k]), order[i]);
            cr_expect_eq(exits_worse(order[k], order[i]), order[i]);
        }
    }
}

/* Of a library that is newer than the program. */
Test(cli_exits, what_is_not_known_is_internal)
{
    cr_expect_eq(exits_of_code((anonset_code)999), 1);
    cr_expect_eq(exits_of_result((anonset_outcome)999, ANONSET_OK), 1);
}
