/* Transactions and their heights, as ElectrumX and firod tell them. */
#include "tests/server/wire.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ABSENT INT64_MIN
#define UNKNOWN                                                                                    \
    "No such mempool or blockchain transaction. Use gettransaction for wallet transactions."

static ts_server server;
static int electrumx, firod;

static void start_at(const char *option, const char *value)
{
    ts_server_start(&server, option, value, NULL);
    electrumx = wire_electrumx(server.tcp);
    firod = wire_connect(server.http);
}

static void start(void)
{
    start_at("--coins", "0");
}

static void stop(void)
{
    close(electrumx);
    close(firod);
    ts_server_stop(&server);
}

TestSuite(height, .timeout = 120);

/* Parameters that ask for the transaction of the set's coin at an index. */
static const char *params_of(size_t index)
{
    static char text[128];
    char pin[64], params[256];
    uint8_t hash[48];
    cr_assert_eq(sscanf(ts_tell(&server, "meta 1"), "%63s", pin), 1);
    snprintf(params, sizeof params, "[\"1\",\"%s\",\"%zu\",\"%zu\"]", pin, index, index + 1);
    char *answer = wire_call(electrumx, "spark.getsparkanonymitysetsector", params);
    const char *base64 = ts_json(answer, "result.coins.0.1");
    cr_assert(base64, "%.300s", answer);
    cr_assert_eq(EVP_DecodeBlock(hash, (const unsigned char *)base64, 44), 33);
    free(answer);
    size_t len = (size_t)snprintf(text, sizeof text, "[\"");
    for (size_t i = 32; i-- > 0;)
        len += (size_t)snprintf(text + len, sizeof text - len, "%02x", hash[i]);
    snprintf(text + len, sizeof text - len, "\",true]");
    return text;
}

static char *ask_electrumx(const char *params)
{
    return wire_call(electrumx, "blockchain.transaction.get", params);
}

static char *ask_firod(const char *params)
{
    char request[512], *head;
    size_t len;
    snprintf(request, sizeof request,
             "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"getrawtransaction\",\"params\":%s}",
             params);
    char *answer = wire_post(firod, NULL, request, &head, &len);
    free(head);
    return answer;
}

/* What an answer says of a height; frees it. */
static int64_t told(char *answer)
{
    cr_assert(ts_json(answer, "result.txid"), "%.300s", answer);
    int64_t height =
        ts_json(answer, "result.height") ? ts_json_int(answer, "result.height") : ABSENT;
    free(answer);
    return height;
}

/* Both say the same of the coin at an index. */
static int64_t height_of(size_t index)
{
    const char *params = params_of(index);
    int64_t height = told(ask_electrumx(params));
    cr_expect_eq(told(ask_firod(params)), height);
    return height;
}

static void expect_error(char *answer, const char *code, const char *message)
{
    cr_expect(ts_json_is(answer, "error.code", code), "%.300s", answer);
    cr_expect(ts_json_is(answer, "error.message", message), "%.300s", answer);
    free(answer);
}

Test(height, counts_every_block_of_the_made_up_chain, .init = start, .fini = stop)
{
    static const unsigned sizes[] = {3, 0, 0, 90, 1, 0, 20};
    size_t index = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        ts_tell(&server, "block %u", sizes[i]);
    for (size_t i = sizeof sizes / sizeof *sizes; i-- > 0;) {
        for (unsigned k = 0; k < sizes[i]; k++)
            cr_expect_eq(height_of(index++), 100 + (int64_t)i, "coin %zu", index - 1);
    }
    cr_assert_eq(ts_count(&server, "heights"), 2 * index);
    cr_assert_eq(ts_count(&server, "errors"), 0);
}

Test(height, follows_the_chain, .init = start, .fini = stop)
{
    char gone[128];
    ts_tell(&server, "grow 100 10");
    snprintf(gone, sizeof gone, "%s", params_of(0));
    cr_assert_eq(told(ask_firod(gone)), 109);
    ts_tell(&server, "lag 3");
    cr_expect_eq(told(ask_firod(gone)), ABSENT, "it waits in the mempool");
    cr_expect_eq(height_of(0), 106);
    ts_tell(&server, "lag 0");
    ts_tell(&server, "recut 10 1");
    cr_expect_eq(told(ask_electrumx(gone)), 100);
    ts_tell(&server, "reorg 1");
    cr_expect_eq(height_of(0), 101);
    expect_error(ask_electrumx(gone), "2",
                 "daemon error: DaemonError({'code': -5, 'message': '" UNKNOWN "'})");
    expect_error(ask_firod(gone), "-5", UNKNOWN);
}

/* What the node told of the heights of all coins of a recorded set. */
static void compare_recorded(const char *folder, const char *told_by, size_t count)
{
    char path[64];
    start_at("--recorded", ts_source(folder));
    char *recorded = ts_read_file(ts_source(told_by), NULL);
    const char *at = strstr(recorded, "[{\"");
    for (size_t i = 0; i < count; i++) {
        cr_assert(at);
        cr_expect_eq(height_of(i), strtoll(at + 3, NULL, 10), "coin %zu", i);
        at = strstr(at + 3, ",{\"");
    }
    snprintf(path, sizeof path, "result.%zu", count);
    cr_expect_null(ts_json(recorded, path));
    free(recorded);
    stop();
}

Test(height, is_what_the_recorded_node_said)
{
    compare_recorded("tests/fixtures/g_60blocks", "tests/fixtures/i_mintmeta/all.json", 418);
}

Test(height, is_unknown_where_it_was_not_recorded)
{
    ts_dir dir;
    ts_dir_make(&dir);
    static const char *const names[] = {"meta.json", "sector_whole.json"};
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        size_t len;
        snprintf(path, sizeof path, "tests/fixtures/d_3blocks/%s", names[i]);
        char *bytes = ts_read_file(ts_source(path), &len);
        ts_write_file(ts_in(&dir, names[i]), bytes, len);
        free(bytes);
    }
    start_at("--recorded", dir.path);
    expect_error(ask_firod(params_of(0)), "-5", UNKNOWN);
    stop();
    ts_dir_remove(&dir);
}

Test(height, is_not_told_by_a_server_that_cannot, .init = start, .fini = stop)
{
    ts_tell(&server, "block 5");
    const char *params = params_of(0);
    ts_tell(&server, "heights off");
    expect_error(ask_electrumx(params), "-32601",
                 "unknown method \\\"blockchain.transaction.get\\\"");
    expect_error(ask_firod(params), "-5",
                 "No such mempool transaction. Use -txindex to enable blockchain transaction "
                 "queries. Use gettransaction for wallet transactions.");
    cr_assert_eq(ts_count(&server, "heights"), 2);
    cr_assert_eq(ts_count(&server, "errors"), 2);
    ts_tell(&server, "heights on");
    cr_assert_eq(height_of(0), 100);
}

Test(height, is_wrong_when_told_to_be, .init = start, .fini = stop)
{
    ts_tell(&server, "block 5");
    const char *params = params_of(0);
    ts_tell(&server, "fault height skip=1 times=2");
    ts_tell(&server, "fault height skip=1 arg=-1");
    static const int64_t heights[] = {100, 101, 101, 99, 100};
    for (size_t i = 0; i < sizeof heights / sizeof *heights; i++)
        cr_expect_eq(told(i % 2 ? ask_firod(params) : ask_electrumx(params)), heights[i], "%zu", i);
    ts_tell(&server, "fault error on=height code=-101 text=excessive resource usage");
    expect_error(ask_electrumx(params), "-101", "excessive resource usage");
    cr_assert_eq(ts_count(&server, "faults"), 4);
}

Test(height, comes_with_as_long_a_transaction_as_wanted, .init = start, .fini = stop)
{
    ts_tell(&server, "block 5");
    ts_tell(&server, "tx-bytes 100000");
    char *answer = ask_electrumx(params_of(0));
    cr_assert_eq(strlen(answer), 262144, "padded, line end included");
    cr_assert_eq(told(answer), 100);
}

Test(height, refuses_what_names_no_transaction, .init = start, .fini = stop)
{
    static const char *const params[] = {
        "[]",
        "[\"00\"]",
        "[\"00\",true]",
        "[0,true]",
        "[\"000000000000000000000000000000000000000000000000000000000000000g\",true]",
        "[\"0000000000000000000000000000000000000000000000000000000000000000\",false]",
        "[\"0000000000000000000000000000000000000000000000000000000000000000\",\"true\"]",
        "[\"0000000000000000000000000000000000000000000000000000000000000000\",true]",
    };
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        char *answers[] = {ask_electrumx(params[i]), ask_firod(params[i])};
        for (size_t k = 0; k < 2; k++) {
            cr_expect(ts_json(answers[k], "error.code"), "%s: %.300s", params[i], answers[k]);
            free(answers[k]);
        }
    }
}
