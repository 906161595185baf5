#include "tests/server/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("anonset-testserver: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *grow_array(void *array, size_t *cap, size_t need, size_t element)
{
    if (need <= *cap)
        return array;
    size_t wanted = *cap ? *cap : 16;
    while (wanted < need)
        wanted *= 2;
    array = realloc(array, wanted * element);
    if (!array)
        die("no memory for %zu bytes", wanted * element);
    *cap = wanted;
    return array;
}

char *text_room(text *t, size_t more)
{
    GROW(t->data, &t->cap, t->len + more);
    return t->data + t->len;
}

void text_add(text *t, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(text_room(t, len), bytes, len);
    t->len += len;
}

void text_put(text *t, const char *string)
{
    text_add(t, string, strlen(string));
}

void text_format(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        die("cannot format \"%s\"", format);
    char *out = text_room(t, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(out, (size_t)len + 1, format, args);
    va_end(args);
    t->len += (size_t)len;
}

void text_fill(text *t, char c, size_t count)
{
    memset(text_room(t, count + 1), c, count);
    t->len += count;
}

void text_base64(text *t, const uint8_t *bytes, size_t len)
{
    char *out = text_room(t, (len + 2) / 3 * 4);
    size_t at = 0;
    for (; len - at >= 3; at += 3, out += 4) {
        uint32_t v = (uint32_t)bytes[at] << 16 | (uint32_t)bytes[at + 1] << 8 | bytes[at + 2];
        out[0] = alphabet[v >> 18];
        out[1] = alphabet[v >> 12 & 63];
        out[2] = alphabet[v >> 6 & 63];
        out[3] = alphabet[v & 63];
    }
    if (at < len) {
        bool two = len - at == 2;
        uint32_t v = (uint32_t)bytes[at] << 16 | (two ? (uint32_t)bytes[at + 1] << 8 : 0);
        out[0] = alphabet[v >> 18];
        out[1] = alphabet[v >> 12 & 63];
        out[2] = two ? alphabet[v >> 6 & 63] : '=';
        out[3] = '=';
    }
    t->len += (len + 2) / 3 * 4;
}

void text_drop(text *t, size_t len)
{
    if (len < t->len)
        memmove(t->data, t->data + len, t->len - len);
    t->len -= len;
}

void text_free(text *t)
{
    free(t->data);
    *t = (text){0};
}

static int sextet(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool base64_decode(uint8_t *out, size_t cap, size_t *len, const char *in, size_t in_len)
{
    uint32_t bits = 0;
    unsigned have = 0;
    *len = 0;
    while (in_len > 0 && in[in_len - 1] == '=')
        in_len--;
    for (size_t i = 0; i < in_len; i++) {
        int value = sextet(in[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (*len == cap)
            return false;
        out[(*len)++] = (uint8_t)(bits >> have);
    }
    return true;
}

void hex_encode(char *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = 0;
}
