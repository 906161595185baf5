#include "core/base64.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Decodes from and into a heap block of exactly `len` bytes, so that ASan sees one byte too many.
 */
static bool decode_exact(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    bool good = as_base64_decode((uint8_t *)copy, out_len, copy, len);
    if (good)
        memcpy(out, copy, *out_len);
    free(copy);
    return good;
}

Test(base64, the_examples_of_the_rfc)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16];
        uint8_t bytes[16];
        size_t len = strlen(cases[i].bytes), out;
        cr_expect_eq(as_base64_encode(text, (const uint8_t *)cases[i].bytes, len),
                     AS_BASE64_CHARS(len));
        cr_expect_str_eq(text, cases[i].text);
        cr_assert(decode_exact(text, strlen(text), bytes, &out), "%s", text);
        cr_expect_eq(out, len);
        cr_expect_arr_eq(bytes, cases[i].bytes, len);
    }
}

Test(base64, every_length_and_byte_comes_back)
{
    uint8_t in[256], out[256];
    char text[AS_BASE64_CHARS(256) + 1];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 167 + 13);
    for (size_t len = 0; len <= sizeof in; len++) {
        size_t chars = as_base64_encode(text, in, len), n = 999;
        cr_assert_eq(chars, strlen(text));
        cr_assert(decode_exact(text, chars, out, &n));
        cr_assert_eq(n, len);
        cr_assert_arr_eq(in, out, len);
    }
}

Test(base64, only_the_alphabet_passes_at_every_place)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t place = 0; place < 8; place++) {
        for (int c = 0; c < 256; c++) {
            char text[] = "AAAAAAAA";
            uint8_t out[8];
            size_t n;
            bool last = c == '=' && place == 7; /* one padding character is in order there */
            text[place] = (char)c;
            bool good = last || (c && strchr(alphabet, c));
            cr_expect_eq(decode_exact(text, 8, out, &n), good, "byte %d at %zu", c, place);
        }
    }
}

Test(base64, what_is_not_canonical_is_refused)
{
    static const char *const cases[] = {
        "A",    "AA",   "AAA",  "AAAAA",  "AAAAAA",    "AAAAAAA",  "=",        "====",
        "A===", "AA=A", "=AAA", "A=AA",   "AA==AAAA",  "AAA=AAAA", "AB==",     "AP==",
        "AAB=", "AAD=", " AAA", "AAAA\n", "AAA\n",     "AAAA====", "AAAAA===", "AA-_",
        "Zg=",  "Zg",   "Zh==", "Zm9=",   "AAAA AAAA", "A A A A ",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[16];
        size_t n = 77;
        cr_expect_not(decode_exact(cases[i], strlen(cases[i]), out, &n), "\"%s\"", cases[i]);
        cr_expect_eq(n, 77);
    }
}

/* All four-character texts over a few telling characters: what decodes must encode to itself. */
Test(base64, what_decodes_encodes_to_itself)
{
    static const char chars[] = "ABQgwP/+9z=-\n";
    size_t k = strlen(chars), passed = 0;
    for (size_t i = 0; i < k * k * k * k; i++) {
        char text[4] = {chars[i % k], chars[i / k % k], chars[i / k / k % k],
                        chars[i / k / k / k % k]};
        uint8_t out[4];
        char again[8];
        size_t n;
        if (!decode_exact(text, 4, out, &n))
            continue;
        passed++;
        cr_assert_eq(as_base64_encode(again, out, n), 4);
        cr_assert_arr_eq(again, text, 4);
    }
    /* 10 letters: 10^4 whole, 10^2 times those whose last two bits are zero, and so on. */
    cr_expect_gt(passed, 10000);
}
