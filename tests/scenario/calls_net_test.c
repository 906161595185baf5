/*
 * Every call into libcurl fails, on every way that leads to it, while a sync runs over a socket: it
 * ends with a word of why or gets over it, and the next sync finishes. The same with every call of
 * a backend while groups follow each other and share coins.
 */
#include "backends/backends.h"
#include "remote/client.h"
#include "tests/shims/calls.h"
#include "tests/shims/failing.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static ts_server server;
static ts_dir dir;
static anonset_backend backend;
static anonset_client_options client_options;
static char path[400];
static unsigned runs;

static anonset_used_mode used;

typedef struct told {
    unsigned groups;      /* with a result */
    unsigned lists;       /* of used coin tags, with a result */
    bool whole;           /* all of them */
    anonset_result worst; /* the last that was not; of a list its outcome and error */
} told;

static void on_result(void *context, const anonset_result *result)
{
    told *t = context;
    t->groups++;
    if (result->outcome <= ANONSET_UP_TO_DATE)
        return;
    t->whole = false;
    t->worst = *result;
}

static void on_used(void *context, const anonset_used_result *result)
{
    told *t = context;
    t->lists++;
    if (result->outcome <= ANONSET_UP_TO_DATE)
        return;
    t->whole = false;
    t->worst = (anonset_result){.outcome = result->outcome, .error = result->error};
}

static anonset_code open_store(anonset_store **store, anonset_detail *detail)
{
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = &backend;
    return anonset_store_open(store, path, &options, detail);
}

/* Syncs all groups over `url`. */
static anonset_code sync_all(told *t, anonset_store *store, const char *url, anonset_detail *detail)
{
    anonset_sync_options options;
    anonset_client *client = NULL;
    anonset_sync *sync = NULL;
    *t = (told){.whole = true};
    anonset_sync_options_init(&options);
    options.group = 0;
    options.sector_size = 40;
    options.prove = true;
    options.used = used;
    options.on_result = on_result;
    options.on_used = on_used;
    options.context = t;
    anonset_code code = anonset_client_new(&client, url, &client_options, detail);
    if (code == ANONSET_OK) {
        client->backoff_base_ms = 1;
        client->backoff_cap_ms = 2;
        code = anonset_sync_new(&sync, store, &options, detail);
    }
    if (code == ANONSET_OK)
        code = anonset_client_run(client, sync, detail);
    anonset_sync_free(sync);
    anonset_client_free(client);
    return code;
}

static void expect_words(anonset_code code, const told *t, const anonset_detail *detail)
{
    cr_assert(code == ANONSET_OK || detail->text[0], "%s: no word", calls_name());
    cr_assert(code != ANONSET_OK || t->groups + t->lists > 0, "%s: no result", calls_name());
    cr_assert(t->whole || t->worst.error.text[0], "%s: %s, and no word", calls_name(),
              anonset_outcome_name(t->worst.outcome));
}

static void expect_next_finishes(anonset_store *store, const char *url)
{
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_verdict verdict;
    told t;
    anonset_code code = sync_all(&t, store, url, &detail);
    cr_assert(code == ANONSET_OK && t.whole, "behind %s: %s: %s", calls_name(), detail.text,
              t.worst.error.text);
    for (uint32_t group = 1; group <= t.groups; group++) {
        cr_assert_eq(anonset_store_verify(store, &verdict, group, &detail), ANONSET_OK);
        cr_assert(verdict.sound && verdict.coins > 0, "behind %s: %s", calls_name(), detail.text);
    }
}

static void fail_ways(const char *url, bool for_good)
{
    told t;
    calls_forget();
    do {
        anonset_store *store = NULL;
        anonset_detail detail = {.code = ANONSET_OK};
        (void)snprintf(path, sizeof path, "calls-%u", runs++);
        cr_assert_eq(open_store(&store, &detail), ANONSET_OK, "%s", detail.text);
        calls_arm(for_good);
        anonset_code code = sync_all(&t, store, url, &detail);
        calls_disarm();
        expect_words(code, &t, &detail);
        expect_next_finishes(store, url);
        anonset_store_close(store);
    } while (calls_struck());
    cr_log_info("%s, %u groups: %u ways failed%s", url, t.groups, calls_ways(),
                for_good ? " for good" : "");
    cr_expect_gt(calls_ways(), 10);
}

static void begin(void)
{
    backend = as_backend_memory;
    ts_dir_make(&dir);
    anonset_client_options_init(&client_options);
    client_options.retries = 1;
    client_options.timeout_ms = 10000;
}

static void end(void)
{
    ts_server_stop(&server);
    ts_dir_remove(&dir);
}

TestSuite(calls_net, .init = begin, .fini = end, .timeout = 600);

Test(calls_net, electrumx)
{
    ts_server_start(&server, "--coins", "100", NULL);
    fail_ways(server.tcp, false);
    fail_ways(server.tcp, true);
}

Test(calls_net, electrumx_over_tls_through_a_proxy)
{
    ts_server_start(&server, "--coins", "100", "--tls-make", dir.path, NULL);
    client_options.tls_pin = server.tls_pin;
    client_options.proxy = server.socks;
    fail_ways(server.ssl, false);
}

Test(calls_net, firod_with_a_cookie)
{
    const char *cookie = ts_in(&dir, "cookie");
    ts_server_start(&server, "--coins", "100", "--rpc-cookie", cookie, NULL);
    client_options.cookie_file = cookie;
    fail_ways(server.http, false);
    fail_ways(server.http, true);
}

Test(calls_net, used_tags)
{
    ts_server_start(&server, "--coins", "10", NULL);
    ts_tell(&server, "used 9000"); /* more than are handed out at once */
    used = ANONSET_USED_ONLY;
    fail_ways(server.tcp, false);
    fail_ways(server.http, true);
}

/* The backend, while coins of one group are copied into the next. */
Test(calls_net, backend_of_groups_that_share_coins)
{
    static const anonset_code codes[] = {ANONSET_IO, ANONSET_BUSY, ANONSET_STALE};
    ts_server_start(&server, "--coins", "300", "--group-limit", "160", "--group-overlap", "60",
                    "--do", "shape latency=0 rate=0 hold-small=0", NULL);
    backend = failing_backend(&as_backend_memory);
    for (size_t i = 0; i < COUNT(codes); i++) {
        failing_with(codes[i]);
        fail_ways(server.tcp, false);
    }
}
