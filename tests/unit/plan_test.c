/* Every row of the decision table. */
#include "core/plan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum {
    NO_SET_HASH = 0
};

/* A meta in short: block and set hash by their first byte (set hash 0: none, as of one block). */
static anonset_meta meta(uint8_t block, uint8_t set, uint32_t size)
{
    anonset_meta m = {.size = size, .has_set_hash = set != NO_SET_HASH};
    m.block_hash[0] = block;
    m.set_hash[0] = set;
    return m;
}

struct row {
    const char *name;
    struct {
        uint8_t block, set;
        uint32_t size;
        anonset_gate gate;
    } finalized; /* block 0: none */
    struct {
        uint8_t block, set;
        uint32_t size, base, count;
    } pending; /* block 0: none */
    struct {
        uint8_t block, set;
        uint32_t size;
    } remote;
    as_plan plan;
};

#define COUNT ANONSET_GATE_COUNT
#define NONE  ANONSET_GATE_NONE
#define STOP(o, d)                                                                                 \
    {                                                                                              \
        .action = AS_STOP, .outcome = ANONSET_##o, .discard = d                                    \
    }
#define RESUME                                                                                     \
    {                                                                                              \
        .action = AS_RESUME                                                                        \
    }
#define START(b, d)                                                                                \
    {                                                                                              \
        .action = AS_START, .base = b, .discard = d                                                \
    }
#define MEND                                                                                       \
    {                                                                                              \
        .action = AS_MEND                                                                          \
    }
#define COMPARE(b, d)                                                                              \
    {                                                                                              \
        .action = AS_COMPARE, .base = b, .discard = d                                              \
    }

static const struct row rows[] = {
    {"no group, nothing stored", {0}, {0}, {0, 0, 0}, STOP(NO_SUCH_GROUP, false)},
    {"no group: garbage size is not looked at",
     {0},
     {0},
     {0, 0, 21845},
     STOP(NO_SUCH_GROUP, false)},
    {"no group, set stored", {1, 1, 10, COUNT}, {0}, {0, 0, 99}, STOP(NO_SUCH_GROUP, false)},
    {"no group, pending kept", {0}, {1, 1, 10, 0, 4}, {0, 0, 0}, STOP(NO_SUCH_GROUP, false)},
    {"a real block with no coins is no group", {0}, {0}, {1, 1, 0}, STOP(NO_SUCH_GROUP, false)},

    {"first sync", {0}, {0}, {1, 1, 10}, START(0, false)},
    {"first sync, one block", {0}, {0}, {1, 0, 3}, START(0, false)},
    {"first sync resumed", {0}, {1, 1, 10, 0, 4}, {1, 1, 10}, RESUME},
    {"first sync resumed, all coins there", {0}, {1, 1, 10, 0, 10}, {1, 1, 10}, RESUME},
    {"first sync, newer target", {0}, {1, 1, 10, 0, 4}, {2, 2, 12}, RESUME},
    {"first sync, older and smaller target, coins fit", {0}, {2, 2, 12, 0, 4}, {1, 1, 10}, RESUME},
    {"first sync, past the new size", {0}, {2, 2, 12, 0, 11}, {1, 1, 10}, START(0, true)},
    {"first sync, past its own target", {0}, {2, 2, 12, 0, 13}, {3, 3, 20}, START(0, true)},
    {"one block: pins prove nothing, not resumed",
     {0},
     {1, 0, 10, 0, 4},
     {1, 0, 10},
     START(0, true)},
    {"pending for one block, now more", {0}, {1, 0, 10, 0, 4}, {2, 2, 12}, START(0, true)},
    {"pending for more, now one block", {0}, {2, 2, 12, 0, 4}, {3, 0, 12}, START(0, true)},

    {"up to date", {1, 1, 10, COUNT}, {0}, {1, 1, 10}, STOP(UP_TO_DATE, false)},
    {"up to date, stray pending",
     {1, 1, 10, COUNT},
     {2, 2, 12, 10, 1},
     {1, 1, 10},
     STOP(UP_TO_DATE, true)},
    {"one block, up to date", {1, 0, 3, COUNT}, {0}, {1, 0, 3}, STOP(UP_TO_DATE, false)},

    {"same block, other size", {1, 1, 10, COUNT}, {0}, {1, 1, 11}, STOP(ANOMALY, false)},
    {"same block, other set hash", {1, 1, 10, COUNT}, {0}, {1, 2, 10}, STOP(ANOMALY, false)},
    {"same block, set hash gone", {1, 1, 10, COUNT}, {0}, {1, 0, 10}, STOP(ANOMALY, false)},
    {"same block, smaller", {1, 1, 10, COUNT}, {0}, {1, 1, 9}, STOP(ANOMALY, false)},
    {"same block as pending, other size", {0}, {1, 1, 10, 0, 4}, {1, 1, 11}, STOP(ANOMALY, true)},
    {"same block as pending, other set hash",
     {3, 3, 5, COUNT},
     {1, 1, 10, 5, 4},
     {1, 2, 10},
     STOP(ANOMALY, true)},

    {"smaller", {1, 1, 10, COUNT}, {0}, {2, 2, 9}, STOP(REMOTE_BEHIND, false)},
    {"smaller, pending kept",
     {1, 1, 10, COUNT},
     {3, 3, 12, 10, 1},
     {2, 2, 9},
     STOP(REMOTE_BEHIND, false)},
    {"smaller, one block", {1, 1, 10, COUNT}, {0}, {2, 0, 3}, STOP(REMOTE_BEHIND, false)},
    {"empty", {1, 1, 10, COUNT}, {0}, {2, 2, 0}, STOP(REMOTE_BEHIND, false)},

    {"same coins mined again", {1, 1, 10, COUNT}, {0}, {2, 1, 10}, COMPARE(10, false)},
    {"same coins mined again, one block", {1, 0, 3, COUNT}, {0}, {2, 0, 3}, COMPARE(3, false)},
    {"same coins mined again, stray pending",
     {1, 1, 10, COUNT},
     {3, 3, 12, 10, 1},
     {2, 1, 10},
     COMPARE(10, true)},
    {"a re-anchor cut short is resumed", {1, 1, 10, COUNT}, {2, 1, 10, 10, 0}, {2, 1, 10}, RESUME},
    {"same size, other set", {1, 1, 10, COUNT}, {0}, {2, 2, 10}, COMPARE(10, false)},
    {"same size, now one block", {1, 1, 10, COUNT}, {0}, {2, 0, 10}, COMPARE(10, false)},

    {"larger", {1, 1, 10, COUNT}, {0}, {2, 2, 12}, START(10, false)},
    {"larger, from one block", {1, 0, 10, COUNT}, {0}, {2, 2, 12}, COMPARE(10, false)},
    {"larger, to one block", {1, 1, 10, COUNT}, {0}, {2, 0, 12}, COMPARE(10, false)},
    {"larger, resumed", {1, 1, 10, COUNT}, {2, 2, 15, 10, 3}, {2, 2, 15}, RESUME},
    {"larger, older pending kept", {1, 1, 10, COUNT}, {2, 2, 15, 10, 3}, {3, 3, 20}, RESUME},
    {"larger, pending fits exactly", {1, 1, 10, COUNT}, {2, 2, 15, 10, 3}, {3, 3, 13}, RESUME},
    {"larger, pending past it", {1, 1, 10, COUNT}, {2, 2, 15, 10, 4}, {3, 3, 13}, START(10, true)},
    {"larger, pending over-linked",
     {1, 1, 10, COUNT},
     {2, 2, 15, 10, 6},
     {3, 3, 20},
     START(10, true)},
    {"pending begins past the finalized set",
     {1, 1, 10, COUNT},
     {2, 2, 15, 11, 1},
     {3, 3, 20},
     START(10, true)},
    {"pending replaces a tail", {1, 1, 10, COUNT}, {2, 2, 15, 7, 3}, {2, 2, 15}, RESUME},
    {"sizes at the end of their range",
     {1, 1, 4294967294, COUNT},
     {2, 2, 4294967295, 4294967294, 1},
     {2, 2, 4294967295},
     RESUME},

    {"legacy set that does not add up: whole", {1, 1, 10, NONE}, {0}, {1, 1, 10}, START(0, false)},
    {"legacy set, smaller remote", {1, 1, 10, NONE}, {0}, {2, 2, 8}, START(0, false)},
    {"legacy set, its replacement resumed", {1, 1, 10, NONE}, {1, 1, 10, 0, 4}, {1, 1, 10}, RESUME},
    {"legacy set, its replacement at a newer target",
     {1, 1, 10, NONE},
     {1, 1, 10, 0, 4},
     {2, 2, 12},
     RESUME},
    {"legacy set, stray pending on it",
     {1, 1, 10, NONE},
     {2, 2, 12, 10, 1},
     {2, 2, 12},
     START(0, true)},
    {"legacy set, remote empty", {1, 1, 10, NONE}, {0}, {2, 2, 0}, STOP(NO_SUCH_GROUP, false)},
};

/* The same with the coins [3, 7) of the finalized set missing. */
static const struct row rows_with_a_hole[] = {
    {"a hole", {1, 1, 10, COUNT}, {0}, {1, 1, 10}, MEND},
    {"larger remote", {1, 1, 10, COUNT}, {0}, {2, 2, 12}, MEND},
    {"remote smaller, but with its coins", {1, 1, 10, COUNT}, {0}, {2, 2, 7}, MEND},
    {"remote without its coins", {1, 1, 10, COUNT}, {0}, {2, 2, 6}, STOP(REMOTE_BEHIND, false)},
    {"one block", {1, 0, 10, COUNT}, {0}, {2, 0, 12}, MEND},
    {"no group", {1, 1, 10, COUNT}, {0}, {0, 0, 10}, STOP(NO_SUCH_GROUP, false)},
    {"coins pending above it", {1, 1, 10, COUNT}, {2, 2, 15, 10, 3}, {2, 2, 15}, MEND},
    {"another tail pending, inside it", {1, 1, 10, COUNT}, {2, 2, 15, 4, 3}, {2, 2, 15}, MEND},
    {"what replaces it pending", {1, 1, 10, COUNT}, {2, 2, 15, 3, 3}, {2, 2, 15}, RESUME},
    {"what would replace it does not fit", {1, 1, 10, COUNT}, {2, 2, 15, 2, 12}, {2, 2, 12}, MEND},
    {"a legacy set that does not add up", {1, 1, 10, NONE}, {0}, {1, 1, 10}, START(0, false)},
};

static anonset_state state_of(const struct row *row)
{
    anonset_state state = {.gate = row->finalized.gate};
    if (row->finalized.block) {
        state.has_finalized = true;
        state.finalized = meta(row->finalized.block, row->finalized.set, row->finalized.size);
    }
    if (row->pending.block) {
        state.has_pending = true;
        state.target = meta(row->pending.block, row->pending.set, row->pending.size);
        state.base = row->pending.base;
        state.count = row->pending.count;
    }
    return state;
}

static void check(const struct row *table, size_t n, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < n; i++) {
        const struct row *row = &table[i];
        anonset_state local = state_of(row);
        local.has_hole = to > 0;
        local.hole_from = from;
        local.hole_to = to;
        anonset_meta remote = meta(row->remote.block, row->remote.set, row->remote.size);
        as_plan plan = as_plan_next(&local, &remote);
        cr_expect_eq(plan.action, row->plan.action, "%s: action %d", row->name, plan.action);
        cr_expect_eq(plan.discard, row->plan.discard, "%s: discard %d", row->name, plan.discard);
        if (plan.action == AS_STOP)
            cr_expect_eq(plan.outcome, row->plan.outcome, "%s: outcome %d", row->name,
                         plan.outcome);
        else if (plan.action != AS_RESUME && plan.action != AS_MEND)
            cr_expect_eq(plan.base, row->plan.base, "%s: base %u", row->name, plan.base);
    }
}

Test(plan, table)
{
    check(rows, sizeof rows / sizeof *rows, 0, 0);
}

Test(plan, table_of_sets_with_a_hole)
{
    check(rows_with_a_hole, sizeof rows_with_a_hole / sizeof *rows_with_a_hole, 3, 7);
}

/* Whatever is stored and told, the plan never builds on more than there is. */
Test(plan, all_small_states)
{
    static const uint32_t sizes[] = {0, 1, 2, 3};
    unsigned long cases = 0;
    for (unsigned long code = 0; code < 1ul << 21; code++) {
        unsigned long c = code;
#define TAKE(bits) ((unsigned)(c & ((1u << (bits)) - 1)))
        anonset_state local = {0};
        anonset_meta remote;
        local.has_finalized = TAKE(1), c >>= 1;
        local.gate = local.has_finalized ? (anonset_gate)TAKE(1) : NONE, c >>= 1;
        local.finalized = meta((uint8_t)(1 + TAKE(1)), (uint8_t)(c >> 1 & 1), sizes[c >> 2 & 3]);
        c >>= 4;
        local.has_pending = TAKE(1), c >>= 1;
        local.target = meta((uint8_t)(1 + TAKE(2)), (uint8_t)(c >> 2 & 1), sizes[c >> 3 & 3]);
        c >>= 5;
        local.base = sizes[TAKE(2)], c >>= 2;
        local.count = sizes[TAKE(2)], c >>= 2;
        remote = meta((uint8_t)TAKE(2), (uint8_t)(c >> 2 & 1), sizes[c >> 3 & 3]);
        as_plan plan = as_plan_next(&local, &remote);
        uint32_t sound = local.has_finalized && local.gate > NONE ? local.finalized.size : 0;
        if (plan.action == AS_RESUME)
            cr_assert(local.has_pending && !plan.discard && local.base <= sound &&
                          local.base + local.count <= remote.size,
                      "case %lx", code);
        if (plan.action == AS_START || plan.action == AS_COMPARE)
            cr_assert(plan.base == sound && plan.base <= remote.size &&
                          plan.discard == local.has_pending,
                      "case %lx", code);
        if (plan.action == AS_COMPARE)
            cr_assert_gt(plan.base, 0, "case %lx", code);
        cases++;
    }
    cr_assert_eq(cases, 1ul << 21);
}
