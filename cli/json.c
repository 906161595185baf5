#include "cli/json.h"

#include "cli/text.h"

#include <inttypes.h>

/* Length of the valid UTF-8 sequence at `s`, or 0. Stops at the NUL by itself. */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last; /* of the lead byte */
        unsigned char low, high;   /* of the byte behind it: no overlong form, no surrogate */
        size_t length;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };

    if (s[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        if (s[1] < forms[i].low || s[1] > forms[i].high)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++) {
            if ((s[k] & 0xC0) != 0x80)
                return 0;
        }
        return forms[i].length;
    }
    return 0;
}

static void write_ascii(FILE *out, unsigned char c)
{
    switch (c) {
    case '"':
        fputs("\\\"", out);
        return;
    case '\\':
        fputs("\\\\", out);
        return;
    case '\n':
        fputs("\\n", out);
        return;
    case '\t':
        fputs("\\t", out);
        return;
    default:
        if (c < 0x20 || c == 0x7F)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
}

static void write_string(FILE *out, const char *value)
{
    const unsigned char *s = (const unsigned char *)value;

    fputc('"', out);
    while (*s) {
        size_t n = utf8_length(s);
        if (n == 0)
            fputs("\\ufffd", out);
        else if (n == 1)
            write_ascii(out, *s);
        else
            fwrite(s, 1, n, out);
        s += n ? n : 1;
    }
    fputc('"', out);
}

static void before_value(json *j, const char *key)
{
    if (j->comma)
        fputc(',', j->out);
    if (key) {
        write_string(j->out, key);
        fputc(':', j->out);
    }
    j->comma = true;
}

void json_begin(json *j, const char *key, char bracket)
{
    before_value(j, key);
    fputc(bracket, j->out);
    j->comma = false;
}

void json_end(json *j, char bracket)
{
    fputc(bracket, j->out);
    j->comma = true;
}

void json_null(json *j, const char *key)
{
    before_value(j, key);
    fputs("null", j->out);
}

void json_bool(json *j, const char *key, bool value)
{
    before_value(j, key);
    fputs(value ? "true" : "false", j->out);
}

void json_number(json *j, const char *key, uint64_t value)
{
    before_value(j, key);
    fprintf(j->out, "%" PRIu64, value);
}

void json_seconds(json *j, const char *key, double value)
{
    before_value(j, key);
    fprintf(j->out, "%.3f", value);
}

void json_string(json *j, const char *key, const char *value)
{
    if (!value) {
        json_null(j, key);
        return;
    }
    before_value(j, key);
    write_string(j->out, value);
}

void json_base64(json *j, const char *key, const uint8_t *hash)
{
    char text[TEXT_BASE64_HASH];

    if (hash)
        text_base64_hash(text, hash);
    json_string(j, key, hash ? text : NULL);
}

void json_hex(json *j, const char *key, const uint8_t *hash)
{
    char text[TEXT_HEX_HASH];

    if (hash)
        text_hex_hash(text, hash);
    json_string(j, key, hash ? text : NULL);
}

void json_finalized(json *j, const anonset_state *state)
{
    const anonset_meta *meta = &state->finalized;

    if (!state->has_finalized) {
        json_null(j, "block_hash");
        json_null(j, "set_hash");
        json_null(j, "size");
        json_null(j, "digest");
        json_null(j, "gate");
        return;
    }
    json_base64(j, "block_hash", meta->block_hash);
    json_base64(j, "set_hash", meta->has_set_hash ? meta->set_hash : NULL);
    json_number(j, "size", meta->size);
    json_hex(j, "digest", state->digest);
    json_string(j, "gate", text_gate(state->gate));
}
