/* A whole sync in one call, as a first program writes it, against the test server. */
#include "tests/support/support.h"
#include <anonset/anonset.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#define COINS 300u

static ts_dir dir;
static ts_server server;
static anonset_detail why;
static bool no_memory;

static void *allocate(void *context, size_t bytes)
{
    (void)context;
    return no_memory ? NULL : malloc(bytes);
}

static void *reallocate(void *context, void *memory, size_t bytes)
{
    (void)context;
    return no_memory ? NULL : realloc(memory, bytes);
}

static void release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static void setup(void)
{
    static const anonset_allocator ours = {
        .size = sizeof ours, .allocate = allocate, .reallocate = reallocate, .release = release};
    ts_dir_make(&dir);
    ts_server_start(&server, "--coins", "300", NULL);
    cr_assert_eq(anonset_set_allocator(&ours, &why), ANONSET_OK, "%s", why.text);
}

static void teardown(void)
{
    ts_server_stop(&server);
    ts_dir_remove(&dir);
}

TestSuite(once, .init = setup, .fini = teardown, .timeout = 60);

static unsigned count_coins(anonset_store *store)
{
    anonset_snapshot *snapshot;
    anonset_coin coin;
    unsigned coins = 0;
    cr_assert_eq(anonset_snapshot_open(&snapshot, store, 1, &why), ANONSET_OK, "%s", why.text);
    while (anonset_snapshot_next(snapshot, &coin, &why) == ANONSET_OK)
        coins++;
    anonset_snapshot_close(snapshot);
    return coins;
}

Test(once, every_outcome_is_a_result)
{
    anonset_store *store;
    anonset_client *client;
    anonset_result result = {.group = 7};
    cr_assert_eq(anonset_store_open(&store, ts_in(&dir, "store"), NULL, &why), ANONSET_OK);
    cr_assert_eq(anonset_client_new(&client, server.tcp, NULL, &why), ANONSET_OK);
    cr_assert_eq(anonset_client_sync(client, &result, store, 1, &why), ANONSET_OK);
    cr_expect(result.outcome == ANONSET_FINALIZED && result.group == 1, "%s", result.error.text);
    cr_expect_eq(result.fetched, COINS);
    cr_expect_eq(count_coins(store), COINS);
    cr_assert_eq(anonset_client_sync(client, &result, store, 1, &why), ANONSET_OK);
    cr_expect_eq(result.outcome, ANONSET_UP_TO_DATE);
    cr_assert_eq(anonset_client_sync(client, &result, store, 2, &why), ANONSET_OK);
    cr_expect_eq(result.outcome, ANONSET_NO_SUCH_GROUP);
    no_memory = true;
    cr_expect_eq(anonset_client_sync(client, &result, store, 1, &why), ANONSET_NO_MEMORY);
    no_memory = false;
    cr_expect_eq(result.outcome, ANONSET_NO_SUCH_GROUP, "set although nothing came of it");
    anonset_client_free(client);
    anonset_store_close(store);
}

Test(once, misuse_is_invalid)
{
    anonset_store *store;
    anonset_client *client;
    anonset_result result;
    cr_assert_eq(anonset_store_open(&store, ts_in(&dir, "store"), NULL, &why), ANONSET_OK);
    cr_assert_eq(anonset_client_new(&client, server.tcp, NULL, &why), ANONSET_OK);
    cr_expect_eq(anonset_client_sync(NULL, &result, store, 1, &why), ANONSET_INVALID);
    cr_expect_eq(anonset_client_sync(client, NULL, store, 1, &why), ANONSET_INVALID);
    cr_expect_eq(anonset_client_sync(client, &result, NULL, 1, &why), ANONSET_INVALID);
    cr_expect_eq(anonset_client_sync(client, &result, store, 0, &why), ANONSET_INVALID);
    anonset_client_free(client);
    anonset_store_close(store);
}
