/* Both drivers ask the test server for heights: the whole way from a coin's transaction to the
 * number, and long answers. */
#include "tests/scenario/fake_sync.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <string.h>

/* The newest coin is in the fourth block of the chain, which begins at 100. */
#define NEWEST 103

static ts_server server;

static void setup(void)
{
    static const char *const blocks[] = {"block 3", "block 0", "block 20", "block 1"};
    ts_server_start(&server, "--coins", "0", NULL);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        ts_tell(&server, "%s", blocks[i]);
}

static void teardown(void)
{
    ts_server_stop(&server);
}

TestSuite(transport_height, .init = setup, .fini = teardown, .timeout = 60);

/* A sync of one coin and its height, three times over, from the ElectrumX or the firod. */
static anonset_sync run(const char *url)
{
    anonset_sync sync = {.sectors = 1, .heights = 3};
    anonset_client *client;
    anonset_client_options options;
    anonset_detail detail;
    anonset_client_options_init(&options);
    options.retries = 0;
    cr_assert_eq(anonset_client_new(&client, url, &options, &detail), ANONSET_OK, "%s",
                 detail.text);
    cr_assert_eq(anonset_client_run(client, &sync, &detail), ANONSET_OK);
    anonset_client_free(client);
    return sync;
}

static void expect_heights(const char *url)
{
    anonset_sync sync = run(url);
    cr_assert(!sync.aborted, "%s: %s", url, sync.why.text);
    cr_expect_eq(sync.heights_told, 3);
    cr_expect_eq(sync.height, NEWEST);
}

static void expect_abort(const char *url, anonset_code code, const char *words)
{
    anonset_sync sync = run(url);
    cr_assert(sync.aborted, "%s", url);
    cr_expect_eq(sync.why.code, code, "%s: %s", url, sync.why.text);
    cr_expect(strstr(sync.why.text, words), "%s: %s", url, sync.why.text);
}

Test(transport_height, is_told_by_both)
{
    expect_heights(server.tcp);
    cr_assert_eq(ts_count(&server, "connections"), 1);
    expect_heights(server.http);
    cr_assert_eq(ts_count(&server, "heights"), 6);
    cr_assert_leq(ts_count(&server, "connections"), 3); /* firod is asked ahead on a second one */
}

/* A transaction of 250 KB takes half a mebibyte. */
Test(transport_height, comes_with_a_long_transaction)
{
    ts_tell(&server, "tx-bytes 250000");
    expect_heights(server.tcp);
    expect_heights(server.http);
}

Test(transport_height, is_not_waited_for_past_the_limit)
{
    ts_tell(&server, "tx-bytes 600000");
    expect_abort(server.tcp, ANONSET_BAD_ANSWER, "longer than");
    expect_abort(server.http, ANONSET_BAD_ANSWER, "longer than");
}

Test(transport_height, is_an_error_where_the_server_cannot_tell)
{
    ts_tell(&server, "heights off");
    expect_abort(server.tcp, ANONSET_SERVER, "unknown method");
    expect_abort(server.http, ANONSET_SERVER, "-txindex");
}
