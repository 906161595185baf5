#include "cli/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(cli_text, numbers_are_taken_strictly)
{
    static const struct {
        const char *text;
        bool ok;
        uint32_t value;
    } rows[] = {
        {"1", true, 1},
        {"42", true, 42},
        {"4294967295", true, UINT32_MAX},
        {"007", true, 7},
        {"", false, 0},
        {"0", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1x", false, 0},
        {"0x1", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"4294967296", false, 0},
        {"18446744073709551617", false, 0}, /* 2^64 + 1: must not wrap to 1 */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t value = 99;
        cr_expect_eq(text_number(&value, rows[i].text, 1, UINT32_MAX), rows[i].ok, "\"%s\"",
                     rows[i].text);
        cr_expect_eq(value, rows[i].ok ? rows[i].value : 99, "\"%s\"", rows[i].text);
    }
}

Test(cli_text, numbers_keep_to_their_range)
{
    uint32_t value;

    cr_expect(text_number(&value, "65536", 1, 65536));
    cr_expect_not(text_number(&value, "65537", 1, 65536));
    cr_expect(text_number(&value, "0", 0, 10));
    cr_expect_not(text_number(&value, "4", 5, 10));
}

static char *base64_of(const void *bytes, size_t len)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    cr_assert_not_null(out);
    text_write_base64(out, bytes, len);
    cr_assert_eq(fclose(out), 0);
    return text;
}

/* RFC 4648, section 10 */
Test(cli_text, base64_as_in_the_standard)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = base64_of(rows[i][0], strlen(rows[i][0]));
        cr_expect_str_eq(text, rows[i][1]);
        free(text);
    }
}

/* Longer than the encoder's chunk, at every length around its seams. */
Test(cli_text, base64_of_long_bytes_is_that_of_their_parts)
{
    static uint8_t bytes[3 * 1024 + 8];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + i / 251);
    for (size_t len = 3 * 512 - 4; len < 3 * 512 + 5; len++) {
        size_t cut = 3 * 100;
        char *whole = base64_of(bytes, len);
        char *first = base64_of(bytes, cut), *rest = base64_of(bytes + cut, len - cut);
        cr_expect_eq(strlen(whole), (len + 2) / 3 * 4);
        cr_expect_eq(strncmp(whole, first, strlen(first)), 0, "length %zu", len);
        cr_expect_str_eq(whole + strlen(first), rest, "length %zu", len);
        free(whole);
        free(first);
        free(rest);
    }
}

Test(cli_text, a_hash_goes_both_ways)
{
    /* tests/fixtures/m_big6000/meta.json */
    static const char text[] = "GvENal0520uya8PPLCoF8FixuIj3XCxMPkjNeL2OQSI=";
    uint8_t hash[ANONSET_HASH_BYTES];
    char base64[TEXT_BASE64_HASH], hex[TEXT_HEX_HASH];

    cr_assert(text_read_hash(hash, text));
    text_base64_hash(base64, hash);
    cr_expect_str_eq(base64, text);
    text_hex_hash(hex, hash);
    cr_expect_str_eq(hex, "1af10d6a5d39db4bb26bc3cf2c2a05f058b1b888f75c2c4c3e48cd78bd8e4122");
}

Test(cli_text, a_hash_is_read_strictly)
{
    static const char *const rows[] = {
        "",
        "GvENal0520uya8PPLCoF8FixuIj3XCxMPkjNeL2OQSI",   /* no padding */
        "GvENal0520uya8PPLCoF8FixuIj3XCxMPkjNeL2OQSJ=",  /* spare bits set: not canonical */
        "GvENal0520uya8PPLCoF8FixuIj3XCxMPkjNeL2OQSI= ", /* one too many */
        "GvENal0520uya8PPLCoF8FixuIj3XCxMPkjNeL2OQSIA",  /* 33 bytes */
        "GvENal0520uya8PPLCoF8FixuIj3XCxMPkjNeL2OQS==",  /* 31 bytes */
        "GvENal0520uya8PPLCoF8FixuIj3XCxMPkjNeL2-QSI=",  /* the other alphabet */
        "GvENal0520uya8PP CoF8FixuIj3XCxMPkjNeL2OQSI=",
        "=vENal0520uya8PPLCoF8FixuIj3XCxMPkjNeL2OQSI=",
    };
    uint8_t hash[ANONSET_HASH_BYTES] = {7}, before[ANONSET_HASH_BYTES] = {7};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_not(text_read_hash(hash, rows[i]), "\"%s\"", rows[i]);
    cr_expect_arr_eq(hash, before, sizeof hash);
}

Test(cli_text, figures_for_people)
{
    char out[TEXT_COUNT];

    cr_expect_str_eq(text_count(out, 0), "0");
    cr_expect_str_eq(text_count(out, 999), "999");
    cr_expect_str_eq(text_count(out, 1000), "1,000");
    cr_expect_str_eq(text_count(out, 1234567), "1,234,567");
    cr_expect_str_eq(text_count(out, UINT64_MAX), "18,446,744,073,709,551,615");
    cr_expect_str_eq(text_bytes(out, 0), "0 bytes");
    cr_expect_str_eq(text_bytes(out, 999), "999 bytes");
    cr_expect_str_eq(text_bytes(out, 1000), "1.0 kB");
    cr_expect_str_eq(text_bytes(out, 1234567), "1.2 MB");
    cr_expect_str_eq(text_bytes(out, 999960), "1.0 MB");
    cr_expect_str_eq(text_bytes(out, 2500000000u), "2.5 GB");
    cr_expect_str_eq(text_bytes(out, UINT64_MAX), "18446744.1 TB");
    cr_expect_str_eq(text_seconds(out, 0), "0:00");
    cr_expect_str_eq(text_seconds(out, 59), "0:59");
    cr_expect_str_eq(text_seconds(out, 3599), "59:59");
    cr_expect_str_eq(text_seconds(out, 3723), "1:02:03");
}

/* Of a library that is newer than the program. */
Test(cli_text, levels_and_proofs_that_are_not_known)
{
    cr_expect_str_eq(text_gate((anonset_gate)99), "unknown");
    cr_expect_null(text_proof((anonset_proof)99));
}
