/* What a failure of libcurl means for a sync: tried again or not, and what people are told to do.
 */
#include "core/detail.h"
#include "remote/link.h"

#include <criterion/criterion.h>
#include <string.h>

static char where[] = "ssl://h:1";
static as_target target = {.where = where, .timeout_ms = 1500};
static as_link link_ = {.target = &target};

static void has(const anonset_detail *detail, const char *words)
{
    cr_expect(strstr(detail->text, words), "\"%s\" is not in: %s", words, detail->text);
}

Test(link, every_failure_that_comes_again_names_its_cure)
{
    static const struct {
        CURLcode code;
        const char *cure;
    } rows[] = {
        {CURLE_PEER_FAILED_VERIFICATION, "pin its public key"},
        {CURLE_SSL_PINNEDPUBKEYNOTMATCH, "before you change the pin"},
        {CURLE_SSL_CACERT_BADFILE, "ca-certificates"},
        {CURLE_UNSUPPORTED_PROTOCOL, "does not speak HTTP"},
        {CURLE_WEIRD_SERVER_REPLY, "does not speak HTTP"},
        {CURLE_SSL_CIPHER, "this libcurl cannot"},
        {CURLE_NOT_BUILT_IN, "this libcurl cannot"},
        {CURLE_UNKNOWN_OPTION, "this libcurl cannot"},
        {CURLE_URL_MALFORMAT, "this libcurl cannot"},
        {CURLE_COULDNT_RESOLVE_PROXY, "check the proxy"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        anonset_detail detail = {.code = ANONSET_OK};
        cr_expect_eq(as_link_failed(&link_, rows[i].code, "trying", &detail), AS_FATE_FATAL, "%d",
                     (int)rows[i].code);
        cr_expect_eq(detail.code, ANONSET_SERVER);
        has(&detail, "ssl://h:1: trying: ");
        has(&detail, rows[i].cure);
    }
}

Test(link, other_failures_are_tried_again)
{
    anonset_detail detail = {.code = ANONSET_OK};
    cr_expect_eq(as_link_failed(&link_, CURLE_COULDNT_CONNECT, "trying", &detail), AS_FATE_RETRY);
    cr_expect_eq(detail.code, ANONSET_NETWORK);
    has(&detail, "check the address");
    cr_expect_eq(as_link_failed(&link_, CURLE_OUT_OF_MEMORY, "trying", &detail), AS_FATE_FATAL);
    cr_expect_eq(detail.code, ANONSET_NO_MEMORY);
}

/* libcurl's own words come first, made harmless. */
Test(link, words_of_libcurl)
{
    anonset_detail detail = {.code = ANONSET_OK};
    (void)strcpy(link_.curl_text, "told\x1b by the peer");
    cr_expect_eq(as_link_failed(&link_, CURLE_RECV_ERROR, "trying", &detail), AS_FATE_RETRY);
    has(&detail, "told? by the peer");
    link_.curl_text[0] = '\0';
}

Test(link, answers_that_cannot_be_held)
{
    anonset_detail detail = {.code = ANONSET_OK};
    cr_expect_eq(as_link_refuse(&link_, ANONSET_NO_MEMORY, &detail), AS_FATE_FATAL);
    cr_expect_eq(detail.code, ANONSET_NO_MEMORY);
    cr_expect_eq(as_link_refuse(&link_, ANONSET_BAD_ANSWER, &detail), AS_FATE_RETRY);
    cr_expect_eq(detail.code, ANONSET_BAD_ANSWER);
    has(&detail, "longer than any answer");
    cr_expect_eq(as_link_timed_out(&link_, &detail), AS_FATE_TIMEOUT);
    has(&detail, "1500 ms");
}

/* ---- Calls that end ------------------------------------------------------------------------- */

Test(link, its_clock_stands_still_between_calls)
{
    as_link l = {.target = &target};
    as_link_enter(&l, NULL, 0, 0);
    cr_expect_eq(l.away, 0);
    as_link_leave(&l);
    l.left_at -= 60000; /* a minute ago */
    as_link_enter(&l, NULL, 0, 0);
    cr_expect_leq(as_link_now(&l), as_now_ms() - 60000);
    uint64_t away = l.away;
    as_link_leave(&l);
    l.left_at -= 1000;
    as_link_enter(&l, NULL, 0, 0);
    cr_expect_geq(l.away, away + 1000);
}

Test(link, what_a_call_may_take)
{
    as_link l = {.target = &target};
    as_link_enter(&l, NULL, 0, 0);
    l.received = UINT64_MAX;
    cr_expect(!as_link_is_full(&l) && !as_link_is_spent(&l));
    cr_expect_eq(as_link_nap(&l), AS_LINK_NAP_MS);
    as_link_enter(&l, NULL, 10, 0);
    l.received = 9;
    cr_expect(!as_link_is_full(&l) && !as_link_is_spent(&l));
    l.received = 10;
    cr_expect(as_link_is_full(&l) && as_link_is_spent(&l));
    as_link_enter(&l, NULL, 10, UINT32_MAX);
    cr_expect_eq(l.received, 0);
    cr_expect_not(as_link_is_spent(&l));
    cr_expect_eq(as_link_nap(&l), AS_LINK_NAP_MS);
    l.until = as_now_ms();
    cr_expect(!as_link_is_full(&l) && as_link_is_spent(&l));
    cr_expect_eq(as_link_nap(&l), 0);
}

Test(link, a_wait_that_goes_on_is_the_same_wait)
{
    as_link l = {.target = &target};
    as_link_await(&l);
    l.since = l.deadline = 7;
    as_link_awaited(&l, AS_FATE_LATER);
    as_link_await(&l);
    cr_expect_eq(l.deadline, 7);
    as_link_came(&l, 3);
    cr_expect_eq(l.bytes, 3);
    cr_expect_neq(l.deadline, 7);
    as_link_awaited(&l, AS_FATE_OK);
    as_link_await(&l);
    cr_expect_eq(l.bytes, 0);
    cr_expect_gt(l.since, 7);
}
