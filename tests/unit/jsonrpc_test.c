/* Requests as text, and answers that no recorded server sends: odd ones, hostile ones. */
#include "tests/support/hostile.h"

#include <anonset/anonset.h>
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ID TS_HOSTILE_ID
/* 32 bytes: of ones (0x11), of zeros, and one byte too few and too many. */
#define ONES    "ERERERERERERERERERERERERERERERERERERERERERE="
#define ZEROS   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SHORT   "ERERERERERERERERERERERERERERERERERERERERERE"
#define BYTES31 "EREREREREREREREREREREREREREREREREREREREREQ=="
#define BYTES33 "ERERERERERERERERERERERERERERERERERERERERERER"
#define HEX64   "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"
#define TXID    "0f0e0d0c0b0a09080706050403020100fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0"
#define COIN    "[\"AQID\",\"" ONES "\",\"BAU=\"]"

static anonset_request request_for(anonset_request_kind kind)
{
    anonset_request request = {.id = ID, .kind = kind, .group = 1, .start = 10, .end = 12};
    for (uint8_t i = 0; i < ANONSET_HASH_BYTES; i++)
        request.tx_hash[i] = (uint8_t)(i + 0xf0);
    return request;
}

/* Decodes a copy in a heap block of exactly its length. The block is kept for the coins. */
static anonset_code decode_exact(anonset_answer *answer, char **copy, const char *text, size_t len,
                                 anonset_request_kind kind, anonset_dialect dialect,
                                 anonset_detail *detail)
{
    anonset_request request = request_for(kind);
    *copy = malloc(len ? len : 1);
    memcpy(*copy, text, len);
    return anonset_answer_read(answer, *copy, len, &request, 1, dialect, detail);
}

/* ---- Requests ------------------------------------------------------------------------------ */

Test(jsonrpc, requests_of_every_kind)
{
    static const struct {
        anonset_request_kind kind;
        const char *electrumx, *firod;
    } cases[] = {
        {ANONSET_REQUEST_META,
         "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"spark.getsparkanonymitysetmeta\","
         "\"params\":[\"1\"]}\n",
         "{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"getsparkanonymitysetmeta\","
         "\"params\":[\"1\"]}"},
        {ANONSET_REQUEST_SECTOR,
         "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"spark.getsparkanonymitysetsector\","
         "\"params\":[\"1\",\"" ZEROS "\",\"10\",\"12\"]}\n",
         "{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"getsparkanonymitysetsector\","
         "\"params\":[\"1\",\"" ZEROS "\",\"10\",\"12\"]}"},
        {ANONSET_REQUEST_NEWEST_GROUP,
         "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"spark.getsparklatestcoinid\",\"params\":[]}\n",
         "{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"getsparklatestcoinid\",\"params\":[]}"},
        {ANONSET_REQUEST_GENESIS,
         "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"server.features\",\"params\":[]}\n",
         "{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"getblockhash\",\"params\":[0]}"},
        {ANONSET_REQUEST_HEIGHT, /* the hash's bytes are turned round, as hashes are printed */
         "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"blockchain.transaction.get\","
         "\"params\":[\"" TXID "\",true]}\n",
         "{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"getrawtransaction\","
         "\"params\":[\"" TXID "\",1]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[ANONSET_REQUEST_TEXT];
        anonset_request request = request_for(cases[i].kind);
        cr_expect_eq(anonset_request_write(text, &request, ANONSET_ELECTRUMX),
                     strlen(cases[i].electrumx));
        cr_expect_str_eq(text, cases[i].electrumx);
        cr_expect_eq(anonset_request_write(text, &request, ANONSET_FIROD), strlen(cases[i].firod));
        cr_expect_str_eq(text, cases[i].firod);
    }
}

Test(jsonrpc, the_longest_request_fits)
{
    char *text = malloc(ANONSET_REQUEST_TEXT);
    anonset_request request = {.id = UINT32_MAX,
                               .kind = ANONSET_REQUEST_SECTOR,
                               .group = UINT32_MAX,
                               .start = UINT32_MAX,
                               .end = UINT32_MAX};
    memset(request.block_hash, 0xff, sizeof request.block_hash);
    size_t len = anonset_request_write(text, &request, ANONSET_ELECTRUMX);
    cr_expect_lt(len, ANONSET_REQUEST_TEXT);
    cr_expect_eq(len, strlen(text));
    cr_expect(strstr(text, "\"params\":[\"4294967295\","
                           "\"//////////////////////////////////////////8=\","
                           "\"4294967295\",\"4294967295\"]}\n"));
    free(text);
}

Test(jsonrpc, answers_have_a_limit)
{
    static const struct {
        uint32_t coins;
        uint64_t limit;
    } cases[] = {{0, 65536},       {1, 131072},         {8, 131072},
                 {9, 262144},      {1500, 16777216},    {2040, 16777216},
                 {2041, 33554432}, {65536, 1073741824}, {UINT32_MAX, (uint64_t)1 << 46}};
    anonset_request request = request_for(ANONSET_REQUEST_META);
    cr_expect_eq(anonset_answer_limit(&request), 65536);
    request = request_for(ANONSET_REQUEST_HEIGHT);
    cr_expect_eq(anonset_answer_limit(&request), 1048576);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        request = request_for(ANONSET_REQUEST_SECTOR);
        request.start = cases[i].coins > 1000000 ? 0 : 1000;
        request.end = request.start + cases[i].coins;
        cr_expect_eq(anonset_answer_limit(&request), cases[i].limit, "%u", cases[i].coins);
    }
    request.start = 5; /* a range the wrong way round asks for nothing */
    request.end = 4;
    cr_expect_eq(anonset_answer_limit(&request), 65536);
}

/* ---- Answers, case by case ----------------------------------------------------------------- */

struct answer_case {
    const char *text;
    anonset_request_kind asked;
    anonset_answer_kind kind;
    uint32_t n; /* coins, size, group or height */
};

#define META           ANONSET_REQUEST_META
#define SECTOR         ANONSET_REQUEST_SECTOR
#define NEWEST         ANONSET_REQUEST_NEWEST_GROUP
#define GENESIS        ANONSET_REQUEST_GENESIS
#define HEIGHT         ANONSET_REQUEST_HEIGHT
#define ANSWER(result) "{\"jsonrpc\":\"2.0\",\"result\":" result ",\"id\":7}\n"
#define FAILED(code, message)                                                                      \
    "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":" code ",\"message\":\"" message "\"},\"id\":7}\n"
#define DAEMON(code, message)                                                                      \
    FAILED("2", "daemon error: DaemonError({'code': " code ", 'message': '" message "'})")
#define META_OF(block, set, size)                                                                  \
    "{\"blockHash\":\"" block "\",\"setHash\":\"" set "\",\"size\":" size "}"

static const struct answer_case good[] = {
    /* the id anywhere, white space and unknown members everywhere */
    {"{\"id\":7,\"result\":3}", NEWEST, ANONSET_ANSWER_NUMBER, 3},
    {"{\"result\":3,\"id\":7,\"jsonrpc\":\"2.0\"}", NEWEST, ANONSET_ANSWER_NUMBER, 3},
    {"{\"result\":3,\"error\":null,\"id\":7}", NEWEST, ANONSET_ANSWER_NUMBER, 3},
    {"\t{ \"id\" :\r\n7 , \"result\" : 3 }\r\n", NEWEST, ANONSET_ANSWER_NUMBER, 3},
    {"{\"x\":[[{\"id\":9,\"y\":[\"]}\"]}]],\"id\":7,\"result\":3}", NEWEST, ANONSET_ANSWER_NUMBER,
     3},
    {"{\"\\u0069d\":7,\"re\\u0073ult\":3}", NEWEST, ANONSET_ANSWER_NUMBER, 3},
    {"{\"x\":1,\"x\":2,\"id\":7,\"result\":3}", NEWEST, ANONSET_ANSWER_NUMBER, 3},
    {ANSWER("0"), NEWEST, ANONSET_ANSWER_NUMBER, 0},
    {ANSWER("4294967295"), NEWEST, ANONSET_ANSWER_NUMBER, UINT32_MAX},
    /* meta */
    {ANSWER(META_OF(ONES, ONES, "0")), META, ANONSET_ANSWER_META, 0},
    {ANSWER(META_OF(ONES, "", "4294967295")), META, ANONSET_ANSWER_META, UINT32_MAX},
    {ANSWER("{\"size\":5,\"more\":[1],\"setHash\":\"\",\"blockHash\":\"" ONES "\"}"), META,
     ANONSET_ANSWER_META, 5},
    /* an unknown group: its size is whatever the server's memory held */
    {ANSWER(META_OF(ZEROS, "", "0")), META, ANONSET_ANSWER_META, 0},
    {ANSWER(META_OF(ZEROS, "", "-94712")), META, ANONSET_ANSWER_META, 0},
    {ANSWER(META_OF(ZEROS, "", "18446744073709551616")), META, ANONSET_ANSWER_META, 0},
    {ANSWER(META_OF(ZEROS, "", "99999999999999999999999999999999")), META, ANONSET_ANSWER_META, 0},
    /* coins */
    {ANSWER("{\"coins\":[]}"), SECTOR, ANONSET_ANSWER_COINS, 0},
    {ANSWER("{\"coins\":[ ]}"), SECTOR, ANONSET_ANSWER_COINS, 0},
    {ANSWER("{\"coins\":[" COIN "]}"), SECTOR, ANONSET_ANSWER_COINS, 1},
    {ANSWER("{\"a\":{},\"coins\":[" COIN " ,\n" COIN " ],\"b\":0}"), SECTOR, ANONSET_ANSWER_COINS,
     2},
    {ANSWER("{\"coins\":[" COIN "," COIN "," COIN "]}"), SECTOR, ANONSET_ANSWER_COINS, 3},
    {ANSWER("{\"coins\":[[ \"AQID\" , \"" ONES "\" , \"BAU=\" ]]}"), SECTOR, ANONSET_ANSWER_COINS,
     1},
    {ANSWER("{\"coins\":[[\"\\u0041QID\",\"" ONES "\",\"BA\\u0055=\"]]}"), SECTOR,
     ANONSET_ANSWER_COINS, 1},
    /* too many: one more than asked is kept as evidence, the rest is not looked into */
    {ANSWER("{\"coins\":[" COIN "," COIN "," COIN "," COIN "]}"), SECTOR, ANONSET_ANSWER_COINS, 3},
    {ANSWER("{\"coins\":[" COIN "," COIN "," COIN ",null]}"), SECTOR, ANONSET_ANSWER_COINS, 3},
    /* errors */
    {FAILED("-101", "excessive resource usage"), META, ANONSET_ANSWER_BUSY, 0},
    {FAILED("1", "excessive resource usage"), SECTOR, ANONSET_ANSWER_BUSY, 0},
    {FAILED("-102", "server busy - request timed out"), SECTOR, ANONSET_ANSWER_BUSY, 0},
    {FAILED("-28", "Loading block index..."), NEWEST, ANONSET_ANSWER_BUSY, 0},
    {DAEMON("-28", "Verifying blocks..."), SECTOR, ANONSET_ANSWER_BUSY, 0},
    {DAEMON("-280", "?"), SECTOR, ANONSET_ANSWER_ERROR, 0},
    {FAILED("-32600", "response too large (over 350,000 bytes"), SECTOR, ANONSET_ANSWER_TOO_LARGE,
     0},
    {FAILED("-32600", "response too large (over 350,000 bytes"), META, ANONSET_ANSWER_ERROR, 0},
    {FAILED("-32600", "no method"), SECTOR, ANONSET_ANSWER_ERROR, 0},
    {FAILED("1", "response too large"), SECTOR, ANONSET_ANSWER_ERROR, 0},
    {DAEMON("-1", "x: Incorrect blockHash provided: 00"), SECTOR, ANONSET_ANSWER_BLOCK_REFUSED, 0},
    {DAEMON("-1", "x: Incorrect blockHash provided: 00"), NEWEST, ANONSET_ANSWER_ERROR, 0},
    {FAILED("-1", "There is no anonymity set with this id: 9"), SECTOR, ANONSET_ANSWER_NO_GROUP, 0},
    {FAILED("-1", "There is no anonymity set with this id: 9"), META, ANONSET_ANSWER_NO_GROUP, 0},
    {FAILED("-1", "There is no anonymity set with this id: 9"), NEWEST, ANONSET_ANSWER_ERROR, 0},
    /* a server that does not tell its genesis hash */
    {ANSWER("{}"), GENESIS, ANONSET_ANSWER_ERROR, 0},
    {ANSWER("{\"hosts\":{},\"pruning\":null}"), GENESIS, ANONSET_ANSWER_ERROR, 0},
    {FAILED("-99999999999999999999999999", ""), META, ANONSET_ANSWER_ERROR, 0},
    {"{\"result\":null,\"error\":{\"message\":\"m\",\"data\":[],\"code\":0},\"id\":7}", META,
     ANONSET_ANSWER_ERROR, 0},
    /* heights; of a transaction all else is passed over, also what is called so further inside */
    {ANSWER("{\"height\":206}"), HEIGHT, ANONSET_ANSWER_NUMBER, 206},
    {ANSWER("{\"height\":2147483647,\"confirmations\":1}"), HEIGHT, ANONSET_ANSWER_NUMBER,
     INT32_MAX},
    {ANSWER("{\"vin\":[{\"height\":1}],\"vout\":[{\"value\":1.50000000,\"spentHeight\":3}],"
            "\"blockhash\":\"" HEX64 "\", \"height\" : 42 ,\"time\":1}"),
     HEIGHT, ANONSET_ANSWER_NUMBER, 42},
    {"{\"result\":{\"height\":42},\"error\":null,\"id\":7}\n", HEIGHT, ANONSET_ANSWER_NUMBER, 42},
    /* in the mempool, reorganized away, in the genesis block */
    {ANSWER("{\"txid\":\"" HEX64 "\"}"), HEIGHT, ANONSET_ANSWER_NUMBER, 0},
    {ANSWER("{}"), HEIGHT, ANONSET_ANSWER_NUMBER, 0},
    {ANSWER("{\"height\":-1,\"confirmations\":0}"), HEIGHT, ANONSET_ANSWER_NUMBER, 0},
    {ANSWER("{\"height\":0}"), HEIGHT, ANONSET_ANSWER_NUMBER, 0},
    /* unknown to the server, or to its node; a server without the method; one that is busy */
    {FAILED("-5", "No such mempool or blockchain transaction"), HEIGHT, ANONSET_ANSWER_ERROR, 0},
    {DAEMON("-5", "No such mempool transaction. Use -txindex"), HEIGHT, ANONSET_ANSWER_ERROR, 0},
    {FAILED("-32601", "unknown method"), HEIGHT, ANONSET_ANSWER_ERROR, 0},
    {FAILED("-32600", "response too large (over 8,100,000 bytes"), HEIGHT, ANONSET_ANSWER_ERROR, 0},
    {FAILED("-1", "There is no anonymity set with this id: 9"), HEIGHT, ANONSET_ANSWER_ERROR, 0},
    {DAEMON("-1", "Incorrect blockHash provided: 00"), HEIGHT, ANONSET_ANSWER_ERROR, 0},
    {FAILED("-101", "excessive resource usage"), HEIGHT, ANONSET_ANSWER_BUSY, 0},
    {DAEMON("-28", "Verifying blocks..."), HEIGHT, ANONSET_ANSWER_BUSY, 0},
    /* notifications */
    {"{\"jsonrpc\":\"2.0\",\"method\":\"blockchain.headers.subscribe\",\"params\":[{}]}\n", META,
     ANONSET_ANSWER_NONE, 0},
};

Test(jsonrpc, answers_in_every_form_that_is_in_order)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        anonset_answer answer;
        anonset_detail detail = {.text = ""};
        char *copy;
        size_t len = strlen(good[i].text);
        anonset_code code = decode_exact(&answer, &copy, good[i].text, len, good[i].asked,
                                         ANONSET_ELECTRUMX, &detail);
        cr_expect_eq(code, ANONSET_OK, "%s: %s", good[i].text, detail.text);
        if (code == ANONSET_OK) {
            cr_expect_eq(answer.kind, good[i].kind, "%s: %d", good[i].text, (int)answer.kind);
            cr_expect_eq(answer.n + answer.meta.size + answer.number, good[i].n, "%s",
                         good[i].text);
            cr_expect_eq(answer.id, answer.kind == ANONSET_ANSWER_NONE ? 0 : ID);
            cr_expect_eq(answer.wire_bytes, len);
            for (uint32_t k = 0; k < answer.n; k++) {
                const anonset_coin *coin = &answer.coins[k];
                cr_expect_eq(coin->serialized_len, 3);
                cr_expect_arr_eq(coin->serialized, "\1\2\3", 3);
                cr_expect_eq(coin->tx_hash[0] & coin->tx_hash[31], 0x11);
                cr_expect_eq(coin->context_len, 2);
                cr_expect_arr_eq(coin->context, "\4\5", 2);
            }
            anonset_answer_clear(&answer);
            cr_expect_null(answer.coins);
        }
        free(copy);
    }
}

static const struct {
    const char *text;
    anonset_request_kind asked;
} bad[] = {
    /* not one JSON object */
    {"", META},
    {" ", META},
    {"\n", META},
    {"7", META},
    {"null", META},
    {"[]", META},
    {"\"x\"", META},
    {"{", META},
    {"{\"id\":7,\"result\":3", NEWEST},
    {"{\"id\":7,\"result\":3}}", NEWEST},
    {"{\"id\":7,\"result\":3}{}", NEWEST},
    {"{\"id\":7,\"result\":3}\n{\"id\":7,\"result\":3}", NEWEST},
    {"{\"id\":7,\"result\":3} x", NEWEST},
    {"[{\"id\":7,\"result\":3}]", NEWEST},
    {"{\"id\":7,\"result\":3,}", NEWEST},
    {"{\"id\":7 \"result\":3}", NEWEST},
    {"{\"id\":7,\"result\":nxx}", NEWEST},
    {"{\"id\":7,\"result\":3,\"x\":[1 2]}", NEWEST},
    {"{\"id\":7,\"result\":3,\"x\":[,]}", NEWEST},
    {"{\"id\":7,\"result\":3,\"x\":\"\t\"}", NEWEST},
    {"{\"id\":7,\"result\":3,\"x\":\"\\\"\\", NEWEST}, /* ends behind a backslash */
    {"HTTP/1.1 200 OK", NEWEST},
    {"Work queue depth exceeded", NEWEST}, /* firod's word, not electrumx's */
    /* ids that were not asked */
    {"{\"result\":3}", NEWEST},
    {"{\"id\":8,\"result\":3}", NEWEST},
    {"{\"id\":0,\"result\":3}", NEWEST},
    {"{\"id\":-7,\"result\":3}", NEWEST},
    {"{\"id\":7.0,\"result\":3}", NEWEST},
    {"{\"id\":7e0,\"result\":3}", NEWEST},
    {"{\"id\":\"7\",\"result\":3}", NEWEST},
    {"{\"id\":null,\"result\":3}", NEWEST},
    {"{\"id\":true,\"result\":3}", NEWEST},
    {"{\"id\":[7],\"result\":3}", NEWEST},
    {"{\"id\":4294967303,\"result\":3}", NEWEST},           /* 2^32 + 7 */
    {"{\"id\":18446744073709551623,\"result\":3}", NEWEST}, /* 2^64 + 7 */
    {"{\"id\":7,\"id\":7,\"result\":3}", NEWEST},
    {"{\"id\":7,\"\\u0069d\":7,\"result\":3}", NEWEST},
    {"{\"id\":null,\"error\":{\"code\":1,\"message\":\"m\"}}", NEWEST},
    {"{\"error\":{\"code\":1,\"message\":\"m\"}}", NEWEST},
    {"{\"id\":null,\"error\":1}", NEWEST},
    {"{\"method\":\"m\",\"id\":7,\"params\":[]}", NEWEST},
    {"{\"method\":\"m\",\"id\":null,\"params\":[]}", NEWEST},
    /* neither, or both */
    {"{\"id\":7}", NEWEST},
    {"{\"id\":7,\"result\":null}", NEWEST},
    {"{\"id\":7,\"result\":null,\"error\":null}", NEWEST},
    {"{\"id\":7,\"result\":3,\"error\":{\"code\":1,\"message\":\"m\"}}", NEWEST},
    {"{\"id\":7,\"result\":3,\"result\":3}", NEWEST},
    {"{\"id\":7,\"error\":{\"code\":1,\"message\":\"m\"},\"error\":null}", NEWEST},
    /* errors of another shape */
    {"{\"id\":7,\"error\":\"no\"}", NEWEST},
    {"{\"id\":7,\"error\":{}}", NEWEST},
    {"{\"id\":7,\"error\":false}", NEWEST},
    {"{\"id\":7,\"error\":{\"code\":1}}", NEWEST},
    {"{\"id\":7,\"error\":{\"message\":\"m\"}}", NEWEST},
    {"{\"id\":7,\"error\":{\"code\":\"1\",\"message\":\"m\"}}", NEWEST},
    {"{\"id\":7,\"error\":{\"code\":1.5,\"message\":\"m\"}}", NEWEST},
    {"{\"id\":7,\"error\":{\"code\":1,\"message\":null}}", NEWEST},
    {"{\"id\":7,\"error\":{\"code\":1,\"code\":1,\"message\":\"m\"}}", NEWEST},
    /* numbers */
    {ANSWER("-1"), NEWEST},
    {ANSWER("-0"), NEWEST},
    {ANSWER("1.0"), NEWEST},
    {ANSWER("1e1"), NEWEST},
    {ANSWER("4294967296"), NEWEST},
    {ANSWER("18446744073709551617"), NEWEST},
    {ANSWER("\"1\""), NEWEST},
    {ANSWER("true"), NEWEST},
    {ANSWER("[]"), NEWEST},
    {ANSWER("{}"), NEWEST},
    /* meta */
    {ANSWER("{}"), META},
    {ANSWER("[]"), META},
    {ANSWER("1"), META},
    {ANSWER("\"\""), META},
    {ANSWER("{\"blockHash\":\"" ONES "\",\"setHash\":\"\"}"), META},
    {ANSWER("{\"blockHash\":\"" ONES "\",\"size\":1}"), META},
    {ANSWER("{\"setHash\":\"\",\"size\":1}"), META},
    {ANSWER("{\"blockHash\":1,\"setHash\":\"\",\"size\":1}"), META},
    {ANSWER("{\"blockHash\":\"" ONES "\",\"setHash\":null,\"size\":1}"), META},
    {ANSWER("{\"blockHash\":\"" ONES "\",\"blockHash\":\"" ONES "\",\"setHash\":\"\",\"size\":1}"),
     META},
    {ANSWER(META_OF("", "", "1")), META},
    {ANSWER(META_OF(SHORT, "", "1")), META},
    {ANSWER(META_OF(BYTES31, "", "1")), META},
    {ANSWER(META_OF(BYTES33, "", "1")), META},
    {ANSWER(META_OF(ONES " ", "", "1")), META},
    {ANSWER(META_OF(ONES, BYTES31, "1")), META},
    {ANSWER(META_OF(ONES, " ", "1")), META},
    {ANSWER(META_OF(ONES, ONES, "-1")), META},
    {ANSWER(META_OF(ONES, ONES, "4294967296")), META},
    {ANSWER(META_OF(ONES, ONES, "18446744073709551617")), META},
    {ANSWER(META_OF(ONES, ONES, "1.0")), META},
    {ANSWER(META_OF(ONES, ONES, "\"1\"")), META},
    {ANSWER(META_OF(ZEROS, "", "1.5")), META},
    {ANSWER(META_OF(ZEROS, "", "null")), META},
    {ANSWER(META_OF(ZEROS, "x", "1")), META},
    /* coins */
    {ANSWER("[]"), SECTOR},
    {ANSWER("[" COIN "]"), SECTOR},
    {ANSWER("{}"), SECTOR},
    {ANSWER("{\"coins\":null}"), SECTOR},
    {ANSWER("{\"coins\":{}}"), SECTOR},
    {ANSWER("{\"coins\":\"[]\"}"), SECTOR},
    {ANSWER("{\"coins\":1}"), SECTOR},
    {ANSWER("{\"coins\":[],\"coins\":[]}"), SECTOR},
    {ANSWER("{\"coins\":[1]}"), SECTOR},
    {ANSWER("{\"coins\":[null]}"), SECTOR},
    {ANSWER("{\"coins\":[1,2,3,4]}"), SECTOR},
    {ANSWER("{\"coins\":[\"AQID\",\"" ONES "\",\"BAU=\"]}"), SECTOR},
    {ANSWER("{\"coins\":[[]]}"), SECTOR},
    {ANSWER("{\"coins\":[[],[],[],[]]}"), SECTOR},
    {ANSWER("{\"coins\":[{}]}"), SECTOR},
    {ANSWER("{\"coins\":[{\"AQID\":\"" ONES "\",\"a\":\"b\"}]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"" ONES "\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"" ONES "\"]," COIN "]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"" ONES "\",\"BAU=\",\"\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"" ONES "\",[\"BAU=\"]]]}"), SECTOR},
    {ANSWER("{\"coins\":[[[\"AQID\",\"" ONES "\",\"BAU=\"]]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"" ONES "\",null]]}"), SECTOR},
    {ANSWER("{\"coins\":[[1,\"" ONES "\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"" BYTES31 "\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"" BYTES33 "\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQI\",\"" ONES "\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"" ONES "\",\"BAV=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQID\",\"" ONES "\",\"BAU\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQ D\",\"" ONES "\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQ-D\",\"" ONES "\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQ\\nD\",\"" ONES "\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"AQ\\\"D\",\"" ONES "\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[[\"\xc3\xa9\xff\xfe\",\"" ONES "\",\"BAU=\"]]}"), SECTOR},
    {ANSWER("{\"coins\":[" COIN "," COIN ",[]]}"), SECTOR},
    {ANSWER("{\"coins\":[" COIN ",]}"), SECTOR},
    {ANSWER("{\"coins\":[" COIN " " COIN "]}"), SECTOR},
    {ANSWER("{\"coins\":[" COIN "," COIN "," COIN ",nxx]}"), SECTOR},
    /* genesis */
    {ANSWER("\"" HEX64 "\""), GENESIS}, /* firod's form */
    {ANSWER("[]"), GENESIS},
    {ANSWER("{\"genesis_hash\":\"" HEX64 "\",\"genesis_hash\":\"" HEX64 "\"}"), GENESIS},
    {ANSWER("{\"genesis_hash\":null}"), GENESIS},
    {ANSWER("{\"genesis_hash\":\"\"}"), GENESIS},
    {ANSWER("{\"genesis_hash\":\"" HEX64 "0\"}"), GENESIS},
    {ANSWER(
         "{\"genesis_hash\":\"x123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}"),
     GENESIS},
    {ANSWER(
         "{\"genesis_hash\":\"0x23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}"),
     GENESIS},
    {ANSWER(
         "{\"genesis_hash\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\"}"),
     GENESIS},
    /* heights */
    {ANSWER("null"), HEIGHT},
    {ANSWER("206"), HEIGHT},
    {ANSWER("[{\"height\":206}]"), HEIGHT},
    {ANSWER("\"01000000\""), HEIGHT}, /* the form that is not verbose */
    {ANSWER("{\"height\":null}"), HEIGHT},
    {ANSWER("{\"height\":\"206\"}"), HEIGHT},
    {ANSWER("{\"height\":true}"), HEIGHT},
    {ANSWER("{\"height\":[206]}"), HEIGHT},
    {ANSWER("{\"height\":206.0}"), HEIGHT},
    {ANSWER("{\"height\":2e2}"), HEIGHT},
    {ANSWER("{\"height\":-0}"), HEIGHT},
    {ANSWER("{\"height\":-1.0}"), HEIGHT},
    {ANSWER("{\"height\":-2}"), HEIGHT},
    {ANSWER("{\"height\":2147483648}"), HEIGHT},
    {ANSWER("{\"height\":18446744073709551617}"), HEIGHT},
    {ANSWER("{\"height\":206,\"height\":206}"), HEIGHT},
    {ANSWER("{\"height\":206,\"hei\\u0067ht\":207}"), HEIGHT},
    {ANSWER("{\"height\":206"), HEIGHT},
};

Test(jsonrpc, what_breaks_the_protocol_is_refused)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        anonset_answer answer = {.n = 4711};
        anonset_detail detail = {.text = ""};
        char *copy;
        anonset_code code = decode_exact(&answer, &copy, bad[i].text, strlen(bad[i].text),
                                         bad[i].asked, ANONSET_ELECTRUMX, &detail);
        cr_expect_eq(code, ANONSET_BAD_ANSWER, "%s", bad[i].text);
        cr_expect_eq(detail.code, ANONSET_BAD_ANSWER);
        cr_expect_gt(strlen(detail.text), 10);
        cr_expect_eq(answer.n, 4711, "outputs are set on OK only");
        free(copy);
    }
}

/* Each cut of a good answer, and each byte of it replaced by a NUL, is refused. */
Test(jsonrpc, a_cut_or_a_nul_anywhere_is_refused)
{
    static const char whole[] = "{\"result\":{\"coins\":[" COIN "," COIN "]},\"id\":7    }";
    for (size_t i = 0; i < sizeof whole - 1; i++) {
        anonset_answer answer;
        char *copy, bent[sizeof whole];
        cr_expect_eq(decode_exact(&answer, &copy, whole, i, SECTOR, ANONSET_ELECTRUMX, NULL),
                     ANONSET_BAD_ANSWER, "cut to %zu", i);
        free(copy);
        memcpy(bent, whole, sizeof whole);
        bent[i] = '\0';
        cr_expect_eq(
            decode_exact(&answer, &copy, bent, sizeof whole - 1, SECTOR, ANONSET_ELECTRUMX, NULL),
            ANONSET_BAD_ANSWER, "NUL at %zu", i);
        free(copy);
    }
}

Test(jsonrpc, metas_field_by_field)
{
    anonset_answer answer;
    char *copy;
    const char *text = ANSWER(META_OF(ONES, ZEROS, "77"));
    cr_assert_eq(decode_exact(&answer, &copy, text, strlen(text), META, ANONSET_ELECTRUMX, NULL),
                 ANONSET_OK);
    cr_expect_eq(answer.meta.block_hash[0] & answer.meta.block_hash[31], 0x11);
    cr_expect(answer.meta.has_set_hash, "32 zero bytes are a set hash");
    cr_expect_eq(answer.meta.size, 77);
    free(copy);
    text = ANSWER(META_OF(ONES, "", "3"));
    cr_assert_eq(decode_exact(&answer, &copy, text, strlen(text), META, ANONSET_ELECTRUMX, NULL),
                 ANONSET_OK);
    cr_expect_not(answer.meta.has_set_hash);
    free(copy);
}

Test(jsonrpc, the_genesis_hash_is_the_same_from_both)
{
    static const char *const texts[] = {
        [ANONSET_ELECTRUMX] =
            ANSWER("{\"hosts\":{\"a.example\":{\"tcp_port\":50001}},\"genesis_hash\":\"" HEX64
                   "\",\"pruning\":null,\"services\":[]}"),
        [ANONSET_FIROD] = "{\"result\":\"" HEX64 "\",\"error\":null,\"id\":7}\n",
    };
    static const uint8_t bytes[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    for (int dialect = ANONSET_ELECTRUMX; dialect <= ANONSET_FIROD; dialect++) {
        anonset_answer answer;
        char *copy;
        cr_assert_eq(decode_exact(&answer, &copy, texts[dialect], strlen(texts[dialect]), GENESIS,
                                  (anonset_dialect)dialect, NULL),
                     ANONSET_OK);
        cr_expect_eq(answer.kind, ANONSET_ANSWER_HASH);
        for (size_t i = 0; i < 4; i++)
            cr_expect_arr_eq(answer.meta.block_hash + 8 * i, bytes, 8);
        free(copy);
    }
}

/* As long as the limit allows, the height at its end. */
Test(jsonrpc, a_transaction_of_a_mebibyte_tells_its_height)
{
    anonset_request request = request_for(HEIGHT);
    size_t len = (size_t)anonset_answer_limit(&request);
    const char *head = "{\"result\":{\"hex\":\"", *tail = "\",\"height\":206},\"id\":7}";
    char *text = malloc(len);
    anonset_answer answer;
    memset(text, '0', len);
    memcpy(text, head, strlen(head));
    memcpy(text + len - strlen(tail), tail, strlen(tail));
    cr_assert_eq(anonset_answer_read(&answer, text, len, &request, 1, ANONSET_ELECTRUMX, NULL),
                 ANONSET_OK);
    cr_expect_eq(answer.kind, ANONSET_ANSWER_NUMBER);
    cr_expect_eq(answer.number, 206);
    cr_expect_eq(answer.wire_bytes, len);
    free(text);
}

Test(jsonrpc, server_text_is_cut_and_cleaned)
{
    char text[2048], message[1024];
    anonset_answer answer;
    char *copy;
    memset(message, 'm', sizeof message);
    memcpy(message, "a\\\"b\\n\\u001b[31m\xc3\xa9\x7f", 19);
    message[sizeof message - 1] = '\0';
    int len = snprintf(text, sizeof text, FAILED("3", "%s"), message);
    cr_assert_eq(decode_exact(&answer, &copy, text, (size_t)len, META, ANONSET_ELECTRUMX, NULL),
                 ANONSET_OK);
    cr_expect_eq(answer.kind, ANONSET_ANSWER_ERROR);
    cr_expect_eq(strlen(answer.text), ANONSET_DETAIL_TEXT - 1);
    cr_expect_eq(strncmp(answer.text, "a\"b??[31m???mmm", 15), 0, "%s", answer.text);
    free(copy);
}

/* HTTP pairs answers with requests, so that an error without an id still finds its request. */
Test(jsonrpc, firods_own_ways)
{
    static const struct {
        const char *text;
        anonset_code code;
        anonset_answer_kind kind;
    } cases[] = {
        {"{\"result\":null,\"error\":{\"code\":-32700,\"message\":\"Parse error\"},\"id\":null}",
         ANONSET_OK, ANONSET_ANSWER_ERROR},
        {"{\"result\":null,\"error\":{\"code\":-28,\"message\":\"Rewinding blocks...\"},\"id\":7}",
         ANONSET_OK, ANONSET_ANSWER_BUSY},
        {"Work queue depth exceeded", ANONSET_OK, ANONSET_ANSWER_BUSY},
        {"Work queue depth exceeded\r\n", ANONSET_OK, ANONSET_ANSWER_BUSY},
        {"Work queue depth exceede", ANONSET_BAD_ANSWER, 0},
        {"{\"method\":\"x\"}", ANONSET_BAD_ANSWER, 0}, /* no notifications over HTTP */
        {"{\"result\":1,\"error\":null,\"id\":null}", ANONSET_BAD_ANSWER, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        anonset_answer answer;
        char *copy;
        anonset_code code = decode_exact(&answer, &copy, cases[i].text, strlen(cases[i].text),
                                         NEWEST, ANONSET_FIROD, NULL);
        cr_expect_eq(code, cases[i].code, "%s", cases[i].text);
        if (code == ANONSET_OK) {
            cr_expect_eq(answer.kind, cases[i].kind, "%s", cases[i].text);
            cr_expect_eq(answer.id, ID);
        }
        free(copy);
    }
}

Test(jsonrpc, the_id_selects_the_request)
{
    const anonset_request outstanding[] = {
        {.id = 5, .kind = META}, {.id = 6, .kind = SECTOR, .end = 1}, {.id = 7, .kind = NEWEST}};
    static const struct {
        const char *text;
        anonset_answer_kind kind;
    } cases[] = {{"{\"result\":" META_OF(ONES, "", "1") ",\"id\":5}", ANONSET_ANSWER_META},
                 {"{\"result\":{\"coins\":[" COIN "]},\"id\":6}", ANONSET_ANSWER_COINS},
                 {"{\"result\":9,\"id\":7}", ANONSET_ANSWER_NUMBER}};
    for (size_t i = 0; i < 3; i++) {
        char text[256];
        anonset_answer answer;
        size_t len = (size_t)snprintf(text, sizeof text, "%s", cases[i].text);
        cr_assert_eq(
            anonset_answer_read(&answer, text, len, outstanding, 3, ANONSET_ELECTRUMX, NULL),
            ANONSET_OK);
        cr_expect_eq(answer.kind, cases[i].kind);
        cr_expect_eq(answer.id, 5 + i);
        anonset_answer_clear(&answer);
    }
    char text[] = "{\"result\":9,\"id\":7}";
    anonset_answer answer;
    cr_expect_eq(
        anonset_answer_read(&answer, text, sizeof text - 1, NULL, 0, ANONSET_ELECTRUMX, NULL),
        ANONSET_BAD_ANSWER);
}

Test(jsonrpc, null_arguments_are_invalid)
{
    char text[] = "{}";
    anonset_answer answer;
    cr_expect_eq(anonset_answer_read(NULL, text, 2, NULL, 0, ANONSET_FIROD, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_answer_read(&answer, NULL, 2, NULL, 0, ANONSET_FIROD, NULL),
                 ANONSET_INVALID);
    cr_expect_eq(anonset_answer_read(&answer, text, 2, NULL, 1, ANONSET_FIROD, NULL),
                 ANONSET_INVALID);
    anonset_answer_clear(NULL);
}

/* ---- Hostile bulk -------------------------------------------------------------------------- */

/* A mebibyte of each pattern. Quadratic code takes minutes here. */
Test(jsonrpc, hostile_bulk_is_read_in_linear_time, .timeout = 100)
{
    size_t len = (size_t)1 << 20;
    char *text = malloc(len);
    for (size_t i = 0; i < ts_hostile_count; i++) {
        anonset_request request = request_for(SECTOR);
        anonset_answer answer;
        ts_hostile_fill(text, len, i);
        cr_expect_eq(anonset_answer_read(&answer, text, len, &request, 1, ANONSET_ELECTRUMX, NULL),
                     ANONSET_BAD_ANSWER);
    }
    free(text);
}

/* A list of far more coins than asked is good JSON: it is read, and cut to one more than asked. */
Test(jsonrpc, more_coins_than_asked_take_no_more_memory)
{
    size_t count = 10000, cap = count * sizeof COIN + 64, len = 0;
    char *text = malloc(cap);
    anonset_request request = request_for(SECTOR);
    anonset_answer answer;
    len += (size_t)snprintf(text, cap, "{\"result\":{\"coins\":[");
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, cap - len, "%s" COIN, i ? "," : "");
    len += (size_t)snprintf(text + len, cap - len, "]},\"id\":7}");
    cr_assert_eq(anonset_answer_read(&answer, text, len, &request, 1, ANONSET_ELECTRUMX, NULL),
                 ANONSET_OK);
    cr_expect_eq(answer.n, 3);
    anonset_answer_clear(&answer);
    free(text);
}

/* What no sync asks for. */
Test(jsonrpc, requests_of_no_known_kind)
{
    char text[ANONSET_REQUEST_TEXT], answered[] = "{\"result\":1,\"error\":null,\"id\":7}";
    anonset_request request = request_for(SECTOR);
    anonset_answer answer;
    anonset_detail detail;
    cr_expect_eq(anonset_request_write(NULL, &request, ANONSET_FIROD), 0);
    cr_expect_eq(anonset_request_write(text, NULL, ANONSET_FIROD), 0);
    request.kind = (anonset_request_kind)99;
    cr_expect_gt(anonset_request_write(text, &request, ANONSET_FIROD), 0);
    cr_expect(strstr(text, "\"method\":\"\""), "%s", text);
    cr_expect_eq(anonset_answer_read(&answer, answered, strlen(answered), &request, 1,
                                     ANONSET_ELECTRUMX, &detail),
                 ANONSET_INVALID);
    cr_expect(strstr(detail.text, "no known kind"), "%s", detail.text);
}

/* More than the tokenizer can count is refused by its length. Nothing of it takes memory. */
Test(jsonrpc, an_answer_longer_than_can_be_counted)
{
    size_t len = (size_t)INT_MAX + 1;
    char *text = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    anonset_request request = request_for(SECTOR);
    anonset_answer answer;
    anonset_detail detail;
    cr_assert_neq(text, MAP_FAILED);
    cr_expect_eq(anonset_answer_read(&answer, text, len, &request, 1, ANONSET_ELECTRUMX, &detail),
                 ANONSET_BAD_ANSWER);
    cr_expect(strstr(detail.text, "2 GiB"), "%s", detail.text);
    cr_assert_eq(munmap(text, len), 0);
}
