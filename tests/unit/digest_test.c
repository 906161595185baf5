/* The log digest against values computed with Python's hashlib:
 *     pat = lambda n, k: bytes((i * 7 + k) & 255 for i in range(n))
 *     sha256(prev + pack('<I', len(s)) + s + t + pack('<I', len(c)) + c)                        */
#include "core/digest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static as_digest *digest;

static void make(void)
{
    cr_assert_eq(as_digest_new(&digest, NULL), ANONSET_OK);
}

static void end(void)
{
    as_digest_free(digest);
}

TestSuite(digest, .init = make, .fini = end);

static uint8_t *pattern(uint32_t n, uint32_t k)
{
    uint8_t *bytes = malloc(n ? n : 1);
    cr_assert(bytes);
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 7 + k);
    return bytes;
}

static void expect_hex(const uint8_t *got, const char *want, const char *what)
{
    char hex[2 * ANONSET_HASH_BYTES + 1];
    for (int i = 0; i < ANONSET_HASH_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", got[i]);
    cr_expect_str_eq(hex, want, "%s: %s", what, hex);
}

/* Adds the coin pat(s, ks) | pat(32, kt) | pat(c, kc) to `log`. */
static void add(uint8_t *log, uint32_t s, uint32_t ks, uint32_t kt, uint32_t c, uint32_t kc)
{
    uint8_t *serialized = pattern(s, ks), *tx_hash = pattern(32, kt), *context = pattern(c, kc);
    anonset_coin coin = {.serialized = s ? serialized : NULL,
                         .serialized_len = s,
                         .tx_hash = tx_hash,
                         .context = c ? context : NULL,
                         .context_len = c};
    cr_expect_eq(as_digest_coin(digest, log, log, &coin), ANONSET_OK);
    free(serialized);
    free(tx_hash);
    free(context);
}

Test(digest, one_coin)
{
    static const struct {
        uint32_t serialized, context;
        const char *want;
    } rows[] = {
        {0, 0, "d5668492f1db89ccd69de7ce279205b45876b62eaeceda4029564e4e8dce4f3f"},
        {3, 2, "9bc2bd84c26c0604db2345fde4ecb208264ee832d1d0d9b513250f8cf6d4bf77"},
        {358, 81, "e10176b7baba1f6057e521c0f996332acaa49bd5b4bc96f2f1da3041375d44ed"},
        /* 1,024 bytes in all: the most that are hashed in one piece; 1,025: the least that are not
         */
        {900, 52, "29058a8e0b5b6c1277e6de5641a662c4ca62acbff4c328f69b988a3f4a7e0dca"},
        {901, 52, "6384707863ed16d8400f4edab10b109ae59b1eeee21a8c969049ac295c190d73"},
        {300, 65536, "295432d8692ccd2f1cbb58c5353e031e956c955f6ea3f8714e89f55d83aed4e8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char what[64];
        uint8_t log[ANONSET_HASH_BYTES] = {0};
        uint32_t s = rows[i].serialized, c = rows[i].context;
        snprintf(what, sizeof what, "%u and %u bytes", s, c);
        add(log, s, 1, 3, c, 2);
        expect_hex(log, rows[i].want, what);
    }
}

Test(digest, chain_of_coins)
{
    uint8_t log[ANONSET_HASH_BYTES] = {0};
    for (uint32_t i = 0; i < 3; i++)
        add(log, 10 + i, i, i, i, i);
    expect_hex(log, "55cdb6ea809ad34b66cb0b8acef69890e0e70dc86beb49770275e813481583d9", "three");
}

Test(digest, bytes)
{
    uint8_t out[ANONSET_HASH_BYTES], *thousand = pattern(1000, 5);
    cr_expect_eq(as_digest_bytes(digest, out, NULL, 0), ANONSET_OK);
    expect_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "none");
    cr_expect_eq(as_digest_bytes(digest, out, thousand, 1000), ANONSET_OK);
    expect_hex(out, "0b4ea67a5e872e31e556ff8c4d60f4d67bbe78f9dc42fd449e2320bae9ad9593", "1,000");
    free(thousand);
}

Test(digest, random_fills_every_byte_and_differs)
{
    uint8_t seen[64] = {0}, first[64];
    cr_assert_eq(as_random(first, sizeof first), ANONSET_OK);
    for (int round = 0; round < 16; round++) {
        uint8_t now[64] = {0};
        cr_assert_eq(as_random(now, sizeof now), ANONSET_OK);
        cr_expect_neq(memcmp(first, now, sizeof now), 0);
        for (size_t i = 0; i < sizeof now; i++)
            seen[i] |= now[i];
    }
    for (size_t i = 0; i < sizeof seen; i++)
        cr_expect_neq(seen[i], 0, "byte %zu", i);
}
