/* What failed is told with its cause, what is kept, and what to do. */
#include "cli/tell.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *told;
static size_t told_len;

static void forget(void)
{
    free(told);
    told = NULL;
}

TestSuite(cli_tell, .fini = forget);

static const char *tell(const anonset_result *result)
{
    forget();
    FILE *out = open_memstream(&told, &told_len);
    cr_assert_not_null(out);
    tell_result(out, result);
    cr_assert_eq(fclose(out), 0);
    return told;
}

static void has(const char *words)
{
    cr_expect(strstr(told, words), "\"%s\" is not in \"%s\"", words, told);
}

static void has_not(const char *words)
{
    cr_expect_not(strstr(told, words), "\"%s\" is in \"%s\"", words, told);
}

Test(cli_tell, nothing_of_what_went_well)
{
    for (int outcome = ANONSET_FINALIZED; outcome <= ANONSET_UP_TO_DATE; outcome++)
        cr_expect_str_empty(
            tell(&(anonset_result){.group = 1, .outcome = (anonset_outcome)outcome}));
}

Test(cli_tell, every_outcome)
{
    static const struct {
        anonset_outcome outcome;
        anonset_code code;
        const char *happened, *next;
    } rows[] = {
        {ANONSET_NO_SUCH_GROUP, ANONSET_OK, "no such group", "check --group"},
        {ANONSET_REMOTE_BEHIND, ANONSET_OK, "fewer coins", "try again later"},
        {ANONSET_REORG_DETECTED, ANONSET_OK, "was reorganized", "--on-reorg follow"},
        {ANONSET_ANOMALY, ANONSET_OK, "gave another set", "another server"},
        {ANONSET_BAD_SECTOR, ANONSET_BAD_ANSWER, "contradicts itself", "run the same command"},
        {ANONSET_GATE_REFUSED, ANONSET_BAD_ANSWER, "integrity check", "do not trust"},
        {ANONSET_NETWORK_ERROR, ANONSET_NETWORK, "could not be reached", "goes on where"},
        {ANONSET_SYNC_CANCELLED, ANONSET_CANCELLED, "interrupted", "goes on where"},
        {ANONSET_STORE_BUSY, ANONSET_BUSY, "another process", "wait for the other"},
        {ANONSET_STORE_ERROR, ANONSET_FULL, "the store failed", "free space"},
        {ANONSET_OTHER_NETWORK, ANONSET_WRONG_NETWORK, "another chain", "another --db"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        anonset_result result = {.group = 7, .outcome = rows[i].outcome};
        result.error = (anonset_detail){.code = rows[i].code, .text = "the cause"};
        tell(&result);
        has("anonset: group 7: ");
        has(rows[i].happened);
        has(rows[i].next);
    }
}

Test(cli_tell, what_is_kept)
{
    anonset_result result = {.group = 1, .outcome = ANONSET_NETWORK_ERROR};
    tell(&result);
    has("kept: no whole set is stored yet\n");
    result.state.has_finalized = true;
    result.state.finalized.size = 1234;
    tell(&result);
    has("kept: the set of 1,234 coins, as it was\n");
    result.state.has_hole = true;
    tell(&result);
    has("kept: what a repair left of the set of 1,234 coins\n");
    result.state.has_hole = false;
    result.state.has_pending = true;
    result.state.base = 1000;
    result.state.count = 500;
    result.state.target.size = 2000;
    tell(&result);
    has("; of the next one, 1,500 of 2,000 coins\n");
    result.outcome = ANONSET_STORE_ERROR;
    tell(&result);
    has_not("kept"); /* it could not be read */
    result.group = 0;
    result.outcome = ANONSET_NETWORK_ERROR;
    tell(&result);
    has_not("kept");
    has_not("group");
}

/* A cause is told where it says more than the headline. */
Test(cli_tell, causes)
{
    anonset_result result = {.group = 1, .outcome = ANONSET_REMOTE_BEHIND};
    result.error = (anonset_detail){.code = ANONSET_OK, .text = "it lags"};
    tell(&result);
    has("cause: it lags");
    result.outcome = ANONSET_NO_SUCH_GROUP;
    tell(&result);
    has_not("cause");
    result.error.code = ANONSET_CANCELLED;
    tell(&result);
    has_not("cause");
    result.error.code = ANONSET_NETWORK;
    tell(&result);
    has("cause: it lags");
    result.error.text[0] = '\0';
    tell(&result);
    has_not("cause");
}

Test(cli_tell, every_code_of_a_store)
{
    static const struct {
        anonset_code code;
        const char *next;
    } rows[] = {
        {ANONSET_NOT_FOUND, "check the path"},
        {ANONSET_FULL, "free space"},
        {ANONSET_PERMISSION, "let this user"},
        {ANONSET_UNKNOWN, "disk errors"},
        {ANONSET_IO, "disk errors"},
        {ANONSET_CORRUPT, "anonset repair"},
        {ANONSET_FOREIGN, "anonset-convert"},
        {ANONSET_BUSY, "wait for"},
        {ANONSET_STALE, "wait for"},
        {ANONSET_NO_MEMORY, "free memory"},
        {ANONSET_INVALID, "report it"},
        {ANONSET_INTERNAL, "report it"},
        {ANONSET_UNSUPPORTED, "doc/errors.md"},
    };
    const struct args args = {.db = "the.set"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        anonset_detail detail = {.code = rows[i].code};
        forget();
        FILE *out = open_memstream(&told, &told_len);
        cr_assert_not_null(out);
        tell_store(out, "open", &args, &detail);
        cr_assert_eq(fclose(out), 0);
        has("anonset: cannot open the.set\n");
        has(anonset_strerror(rows[i].code)); /* in place of a text */
        has(rows[i].next);
    }
}
