#include "remote/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"a", "b"};

/* Reads an object out of a heap block of exactly its length. The block must be freed. */
static char *read_members(const char *text, size_t len, as_span *values, bool *good)
{
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    *good = as_json_members((as_span){copy, len}, names, values, 2);
    return copy;
}

static bool is_json(const char *text, size_t len)
{
    as_span values[2];
    bool good;
    free(read_members(text, len, values, &good));
    return good;
}

Test(json, values_that_are_json)
{
    static const char *const values[] = {
        "0",
        "-0",
        "7",
        "-7",
        "10",
        "1.5",
        "-0.25",
        "1e5",
        "1E+5",
        "1.0e-5",
        "123456789012345678901",
        "true",
        "false",
        "null",
        "\"\"",
        "\"x\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u12aF\"",
        "\"\xff\xc3\x28\"",
        "\"\x7f\"",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "[[],[]]",
        "[1,2]",
        "[ 1 , 2 ]",
        "{\"x\":1}",
        "{\"x\":{\"x\":[{}]}}",
        "{ \"x\" : 1 , \"y\" : [ true ] }",
        "[[[[1]]]]",
        "{\"x\":1,\"x\":2}",
        "\"12345678\\\"1234567\\\\12345678\"",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[128];
        int len = snprintf(text, sizeof text, "{\"a\":%s}", values[i]);
        cr_expect(is_json(text, (size_t)len), "%s", text);
        len = snprintf(text, sizeof text, " \t\r\n{ \"b\" : [%s] , \"a\" : %s } \n", values[i],
                       values[i]);
        cr_expect(is_json(text, (size_t)len), "%s", text);
    }
}

/* Most of these are let through by a lenient tokenizer. */
Test(json, values_that_are_not)
{
    static const char *const values[] = {
        "",
        ",",
        "nxx",
        "nul",
        "nulll",
        "tru",
        "True",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1.e5",
        "0x10",
        "1 2",
        "1,",
        "1_0",
        "--1",
        "'x'",
        "x",
        "\"",
        "\"x",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u12\"",
        "\"\\u\"",
        "\"\x01\"",
        "\"\n\"",
        "\"\t\"",
        "\"\x1f\"",
        "\"1234567\n\"",
        "\"x\"\"y\"",
        "[",
        "]",
        "[1",
        "[1 2]",
        "[1,]",
        "[,]",
        "[,1]",
        "[1,,2]",
        "[\"x\" \"y\"]",
        "[1}",
        "{",
        "}",
        "{1:2}",
        "{\"x\"}",
        "{\"x\":}",
        "{\"x\",1}",
        "{\"x\":1,}",
        "{,}",
        "{\"x\" 1}",
        "{\"x\"::1}",
        "{\"x\":1 \"y\":2}",
        "{\"x\":1]",
        "{x:1}",
        "{[]:1}",
        "{null:1}",
        "[]]",
        "{}}",
        "[][]",
        "/**/1",
        "1//",
        "\xef\xbb\xbf"
        "1",
        "\xa0",
        "\"x\":1",
        "[\"x\":1]",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[128];
        int len = snprintf(text, sizeof text, "{\"a\":%s}", values[i]);
        cr_expect_not(is_json(text, (size_t)len), "%s", text);
        len = snprintf(text, sizeof text, "{\"b\":1,\"c\":[%s,1]}", values[i]);
        if (*values[i] != ']') /* "[],1]" closes early and is caught at its end */
            cr_expect_not(is_json(text, (size_t)len), "%s", text);
    }
}

Test(json, texts_that_are_no_object)
{
    static const char *const texts[] = {
        "",        " ",         "1",          "null",       "\"x\"",  "[]",
        "{",       "}",         "{}{}",       "{} {}",      "{}x",    "{},",
        "x{}",     "[{}]",      "{\"a\":1}}", "{\"a\":1",   "{\"a\"", "{\"a",
        "{\"a\":", "{\"a\":1,", "{,\"a\":1}", "{\"a\":1,}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect_not(is_json(texts[i], strlen(texts[i])), "%s", texts[i]);
}

/* Every cut of a text, and a NUL at every place, is no JSON; every read stays inside the cut. */
Test(json, a_cut_or_a_nul_anywhere_is_refused)
{
    static const char text[] = "{\"a\":[\"x\\u0041\\n\",-1.5e+3,{\"k\":null}],\"b\":{\"c\":true}}";
    char bent[sizeof text];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        cr_expect_not(is_json(text, i), "cut to %zu", i);
        memcpy(bent, text, sizeof text);
        bent[i] = '\0';
        cr_expect_not(is_json(bent, sizeof text - 1), "NUL at %zu", i);
    }
    cr_expect(is_json(text, sizeof text - 1));
    cr_expect_not(is_json(text, sizeof text), "NUL behind it");
}

Test(json, nesting_is_bounded)
{
    char text[256];
    for (unsigned depth = 1; depth <= 64; depth++) {
        size_t n = 0;
        n += (size_t)snprintf(text, sizeof text, "{\"a\":");
        for (unsigned i = 0; i < depth; i++)
            text[n++] = '[';
        text[n++] = '1';
        for (unsigned i = 0; i < depth; i++)
            text[n++] = ']';
        text[n++] = '}';
        cr_expect_eq(is_json(text, n), depth <= AS_JSON_DEPTH, "depth %u", depth);
    }
}

Test(json, members_are_found_wherever_they_stand)
{
    static const char *const texts[] = {
        "{\"a\":12,\"b\":\"x\"}",
        "{\"b\":\"x\",\"a\":12}",
        " { \"c\" : {\"a\":3} , \"a\" : 12 , \"ab\":4, \"\":5, \"b\" : \"x\" } ",
        "{\"\\u0061\":12,\"c\":1,\"c\":2,\"\\u0062\":\"x\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        as_span values[2];
        bool good;
        char *text = read_members(texts[i], strlen(texts[i]), values, &good);
        cr_assert(good, "%s", texts[i]);
        cr_expect(as_json_is(values[0], "12"), "%s", texts[i]);
        cr_expect(as_json_is(values[1], "\"x\""), "%s", texts[i]);
        free(text);
    }
    as_span values[2];
    bool good;
    free(read_members("{\"c\":1}", 7, values, &good));
    cr_expect(good && !values[0].at && !values[1].at);
}

Test(json, a_wanted_member_comes_once)
{
    cr_expect_not(is_json("{\"a\":1,\"a\":1}", 13));
    cr_expect_not(is_json("{\"a\":1,\"\\u0061\":1}", 18));
    cr_expect(is_json("{\"c\":1,\"c\":1}", 13));
}

Test(json, strings_lose_quotes_and_escapes)
{
    static const struct {
        const char *value, *content;
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"a\\/b\\\\c\\\"d\"", "a/b\\c\"d"},
        {"\"\\b\\f\\n\\r\\t\"", "\b\f\n\r\t"},
        {"\"\\u0041\\u002B\\u002f\"", "A+/"},
        {"\"\\u0000\\u00e9\\ud83d\\ude00\"", "????"},
        {"\"\\\\u0041\"", "\\u0041"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        as_span content;
        int len = snprintf(text, sizeof text, "%s", cases[i].value);
        cr_assert(as_json_string((as_span){text, (size_t)len}, &content));
        cr_expect_eq(content.len, strlen(cases[i].content), "%s", cases[i].value);
        cr_expect_arr_eq(content.at, cases[i].content, content.len, "%s", cases[i].value);
    }
    char number[] = "12";
    as_span content;
    cr_expect_not(as_json_string((as_span){number, 2}, &content));
}

Test(json, numbers_are_whole_and_in_range)
{
    static const struct {
        const char *text;
        uint32_t most;
        bool integer, good;
        uint32_t number;
    } cases[] = {
        {"0", 10, true, true, 0},
        {"10", 10, true, true, 10},
        {"11", 10, true, false, 0},
        {"-0", 10, true, false, 0},
        {"-1", 10, true, false, 0},
        {"4294967295", UINT32_MAX, true, true, UINT32_MAX},
        {"4294967296", UINT32_MAX, true, false, 0},
        {"9999999999", UINT32_MAX, true, false, 0},
        {"18446744073709551617", UINT32_MAX, true, false, 0},
        {"100000000000000000000000000000000", UINT32_MAX, true, false, 0},
        {"1.0", 10, false, false, 0},
        {"1e0", 10, false, false, 0},
        {"null", 10, false, false, 0},
        {"\"1\"", 10, false, false, 0},
        {"[1]", 10, false, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        uint32_t number = 0;
        as_span value = {text, (size_t)snprintf(text, sizeof text, "%s", cases[i].text)};
        cr_expect_eq(as_json_is_integer(value), cases[i].integer, "%s", text);
        cr_expect_eq(as_json_unsigned(value, cases[i].most, &number), cases[i].good, "%s", text);
        cr_expect_eq(number, cases[i].number, "%s", text);
    }
}

Test(json, arrays_are_walked)
{
    char text[] = "[ 1 ,2, 3 ] ,", empty[] = "[ ],";
    as_span rest = {empty, sizeof empty - 1};
    cr_expect_not(as_json_first(&rest));
    cr_expect_eq(rest.at, empty + 3);
    rest = (as_span){text, sizeof text - 1};
    cr_assert(as_json_first(&rest));
    for (char digit = '1'; digit <= '3'; digit++) {
        cr_assert_eq(*rest.at, digit);
        rest.at++;
        rest.len--;
        cr_assert_eq(as_json_next(&rest), digit < '3');
    }
    cr_expect_eq(rest.at, text + 11);
    cr_expect_eq(rest.len, 2);
}

Test(json, members_are_found_one_behind_another)
{
    static const struct {
        const char *text, *first, *second; /* what *rest begins with; NULL: none is found */
    } rows[] = {
        {"{\"a\":1,\"b\":2}", "1,", NULL},
        {"{\"b\":{\"a\":3},\"a\":1}", "1}", NULL},
        {" { \"b\" : [ \"a\" ] , \"a\" : 1 , \"b\" : 0 , \"a\" : 2 } ", "1 ,", "2 }"},
        {"{\"\\u0061\":1,\"a\":2}", "1,", "2}"},
        {"{\"b\":\"\\\"a\\\":\",\"aa\":1,\"\":2}", NULL, NULL},
        {"{}", NULL, NULL},
        {"[\"a\"]", NULL, NULL},
        {"\"a\"", NULL, NULL},
        {"7", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *expected[] = {rows[i].first, rows[i].second};
        char text[80];
        as_span rest = {text, (size_t)snprintf(text, sizeof text, "%s", rows[i].text)};
        for (size_t k = 0; k < 2 && (k == 0 || expected[0]); k++) {
            cr_assert_eq(as_json_find(&rest, "a"), expected[k] != NULL, "%s", text);
            if (!expected[k])
                break;
            cr_expect_eq(strncmp(rest.at, expected[k], strlen(expected[k])), 0, "%s", rest.at);
            cr_expect_eq(rest.len, strlen(rest.at));
            rest.at++; /* the value */
            rest.len--;
        }
    }
}
