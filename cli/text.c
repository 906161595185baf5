#include "cli/text.h"

#include <inttypes.h>
#include <string.h>

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool text_number(uint32_t *out, const char *text, uint32_t min, uint32_t max)
{
    uint64_t value = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > max)
            return false;
    }
    if (value < min)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* Three bytes, or the last one or two, as four characters. */
static void encode_group(char *out, const uint8_t *in, size_t len)
{
    uint32_t v = (uint32_t)in[0] << 16;

    if (len > 1)
        v |= (uint32_t)in[1] << 8;
    if (len > 2)
        v |= in[2];
    out[0] = digits64[v >> 18];
    out[1] = digits64[v >> 12 & 63];
    out[2] = len > 1 ? digits64[v >> 6 & 63] : '=';
    out[3] = len > 2 ? digits64[v & 63] : '=';
}

/* Of one byte or more. */
static size_t encode(char *out, const uint8_t *in, size_t len)
{
    size_t n = 0;

    for (; len > 3; in += 3, len -= 3, n += 4)
        encode_group(out + n, in, 3);
    encode_group(out + n, in, len);
    return n + 4;
}

/* Of a character, not the end of a text; and so below. */
static bool decode_digit(uint32_t *value, char c)
{
    const char *at = strchr(digits64, c);

    if (!at)
        return false;
    *value = *value << 6 | (uint32_t)(at - digits64);
    return true;
}

/* Canonical base64 of exactly `len` bytes, at most ANONSET_TAG_BYTES, which are no whole groups.
 * Two spellings of one value would be two names of it: only the canonical one is taken. */
static bool read_base64(uint8_t *out, size_t len, const char *text)
{
    uint8_t bytes[TEXT_BASE64_TAG];
    char again[TEXT_BASE64_TAG];
    size_t chars = (len + 2) / 3 * 4, digits = (4 * len + 2) / 3;

    if (strlen(text) != chars)
        return false;
    for (size_t i = 0; i < chars / 4; i++) {
        uint32_t v = 0;
        for (size_t k = 4 * i; k < 4 * i + 4; k++) {
            if (!decode_digit(&v, k < digits ? text[k] : 'A'))
                return false;
        }
        bytes[3 * i] = (uint8_t)(v >> 16);
        bytes[3 * i + 1] = (uint8_t)(v >> 8);
        bytes[3 * i + 2] = (uint8_t)v;
    }
    again[encode(again, bytes, len)] = '\0';
    if (strcmp(again, text) != 0)
        return false;
    memcpy(out, bytes, len);
    return true;
}

bool text_read_hash(uint8_t out[ANONSET_HASH_BYTES], const char *text)
{
    return read_base64(out, ANONSET_HASH_BYTES, text);
}

bool text_read_tag(uint8_t out[ANONSET_TAG_BYTES], const char *text)
{
    return read_base64(out, ANONSET_TAG_BYTES, text);
}

/* The number in front of a colon, and *text behind it. */
static bool read_number(uint32_t *out, const char **text)
{
    char number[TEXT_COUNT];
    size_t n = strcspn(*text, ":");

    if ((*text)[n] != ':' || n >= sizeof number)
        return false;
    memcpy(number, *text, n);
    number[n] = '\0';
    *text += n + 1;
    return text_number(out, number, 1, UINT32_MAX);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = strchr(digits, c);

    if (!at)
        return -1;
    return at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

bool text_read_checkpoint(anonset_trusted *out, const char *text)
{
    anonset_trusted read;

    if (!read_number(&read.group, &text) || !read_number(&read.size, &text) ||
        strlen(text) != TEXT_HEX_HASH - 1)
        return false;
    for (size_t i = 0; i < ANONSET_HASH_BYTES; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        read.digest[i] = (uint8_t)(high << 4 | low);
    }
    *out = read;
    return true;
}

void text_base64_hash(char out[TEXT_BASE64_HASH], const uint8_t *hash)
{
    out[encode(out, hash, ANONSET_HASH_BYTES)] = '\0';
}

void text_txid(char out[TEXT_HEX_HASH], const uint8_t *tx_hash)
{
    uint8_t reversed[ANONSET_HASH_BYTES];

    for (size_t i = 0; i < ANONSET_HASH_BYTES; i++)
        reversed[i] = tx_hash[ANONSET_HASH_BYTES - 1 - i];
    text_hex_hash(out, reversed);
}

void text_hex_hash(char out[TEXT_HEX_HASH], const uint8_t *hash)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < ANONSET_HASH_BYTES; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[2 * ANONSET_HASH_BYTES] = '\0';
}

void text_write_base64(FILE *out, const uint8_t *bytes, size_t len)
{
    enum {
        CHUNK = 3 * 512
    };
    char text[CHUNK / 3 * 4];

    while (len) {
        size_t n = len < CHUNK ? len : CHUNK;
        size_t written = encode(text, bytes, n);
        fwrite(text, 1, written, out);
        bytes += n;
        len -= n;
    }
}

const char *text_count(char out[TEXT_COUNT], uint64_t n)
{
    char plain[TEXT_COUNT];
    int len = snprintf(plain, sizeof plain, "%" PRIu64, n);
    char *to = out;

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = plain[i];
    }
    *to = '\0';
    return out;
}

const char *text_bytes(char out[TEXT_COUNT], uint64_t n)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    size_t unit = 0;
    double value = (double)n / 1000;

    if (n < 1000) {
        snprintf(out, TEXT_COUNT, "%" PRIu64 " bytes", n);
        return out;
    }
    /* 999.95 and up would print as 1000.0 */
    for (; value >= 999.95 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1000;
    snprintf(out, TEXT_COUNT, "%.1f %s", value, units[unit]);
    return out;
}

const char *text_seconds(char out[TEXT_COUNT], uint64_t seconds)
{
    unsigned s = (unsigned)(seconds % 60), m = (unsigned)(seconds / 60 % 60);

    if (seconds < 3600)
        snprintf(out, TEXT_COUNT, "%u:%02u", m, s);
    else
        snprintf(out, TEXT_COUNT, "%" PRIu64 ":%02u:%02u", seconds / 3600, m, s);
    return out;
}

const char *text_gate(anonset_gate gate)
{
    switch (gate) {
    case ANONSET_GATE_NONE:
        return "none";
    case ANONSET_GATE_COUNT:
        return "count";
    case ANONSET_GATE_SET_HASH:
        return "set-hash";
    }
    return "unknown";
}

const char *text_proof(anonset_proof proof)
{
    switch (proof) {
    case ANONSET_PROOF_NONE:
        break;
    case ANONSET_PROOF_FOUND:
        return "found";
    case ANONSET_PROOF_CONSISTENT:
        return "consistent";
    case ANONSET_PROOF_BUDGET:
        return "budget";
    case ANONSET_PROOF_NO_HEIGHTS:
        return "no_heights";
    case ANONSET_PROOF_NO_START:
        return "no_start";
    }
    return NULL;
}
