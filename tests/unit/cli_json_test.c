#include "cli/json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *text;
static size_t size;

static json start(void)
{
    json j = {.out = open_memstream(&text, &size)};

    cr_assert_not_null(j.out);
    return j;
}

static void expect(json *j, const char *expected)
{
    cr_assert_eq(fclose(j->out), 0);
    cr_expect_str_eq(text, expected);
    free(text);
}

Test(cli_json, commas_go_between)
{
    json j = start();

    json_begin(&j, NULL, '[');
    json_begin(&j, NULL, '{');
    json_number(&j, "a", 1);
    json_bool(&j, "b", true);
    json_begin(&j, "c", '{');
    json_null(&j, "d");
    json_end(&j, '}');
    json_seconds(&j, "e", 1.25);
    json_end(&j, '}');
    json_begin(&j, NULL, '{');
    json_end(&j, '}');
    json_end(&j, ']');
    expect(&j, "[{\"a\":1,\"b\":true,\"c\":{\"d\":null},\"e\":1.250},{}]");
}

Test(cli_json, numbers_are_whole_and_unsigned)
{
    json j = start();

    json_number(&j, NULL, UINT64_MAX);
    expect(&j, "18446744073709551615");
}

Test(cli_json, strings_are_escaped)
{
    static const char *const rows[][2] = {
        {"", "\"\""},
        {"plain /path", "\"plain /path\""},
        {"\"\\", "\"\\\"\\\\\""},
        {"\n\t\r\x01\x1f\x7f", "\"\\n\\t\\u000d\\u0001\\u001f\\u007f\""},
        {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {"\xff", "\"\\ufffd\""},
        {"\xc3", "\"\\ufffd\""},                       /* ends too early */
        {"\xe2\x82", "\"\\ufffd\\ufffd\""},            /* ends too early */
        {"\xc3\"", "\"\\ufffd\\\"\""},                 /* the quote must still be escaped */
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""},            /* overlong */
        {"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""}, /* overlong */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* a surrogate */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* past U+10FFFF */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json j = start();
        json_string(&j, NULL, rows[i][0]);
        expect(&j, rows[i][1]);
    }
}

Test(cli_json, what_is_absent_is_null)
{
    json j = start();
    anonset_state nothing = {0};

    json_begin(&j, NULL, '{');
    json_string(&j, "s", NULL);
    json_base64(&j, "b", NULL);
    json_hex(&j, "h", NULL);
    json_finalized(&j, &nothing);
    json_end(&j, '}');
    expect(&j, "{\"s\":null,\"b\":null,\"h\":null,\"block_hash\":null,\"set_hash\":null,"
               "\"size\":null,\"digest\":null,\"gate\":null}");
}

Test(cli_json, a_finalized_set)
{
    json j = start();
    anonset_state state = {.has_finalized = true, .gate = ANONSET_GATE_SET_HASH};

    memset(state.finalized.block_hash, 0xff, ANONSET_HASH_BYTES);
    memset(state.digest, 0xa5, ANONSET_HASH_BYTES);
    state.finalized.size = 3;
    json_begin(&j, NULL, '{');
    json_finalized(&j, &state);
    json_end(&j, '}');
    expect(&j, "{\"block_hash\":\"//////////////////////////////////////////8=\","
               "\"set_hash\":null,\"size\":3,"
               "\"digest\":\"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\","
               "\"gate\":\"set-hash\"}");
}
