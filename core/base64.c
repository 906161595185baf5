#include "core/base64.h"

#include <arpa/inet.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* A character's six bits with VALID set; 0 for what is no base64. */
#define VALID        0x40u
#define V(n)         (VALID | (n))
#define VALID_IN_ALL (VALID << 18 | VALID << 12 | VALID << 6 | VALID)
static const uint8_t bits_of[256] = {
    ['A'] = V(0),  ['B'] = V(1),  ['C'] = V(2),  ['D'] = V(3),  ['E'] = V(4),  ['F'] = V(5),
    ['G'] = V(6),  ['H'] = V(7),  ['I'] = V(8),  ['J'] = V(9),  ['K'] = V(10), ['L'] = V(11),
    ['M'] = V(12), ['N'] = V(13), ['O'] = V(14), ['P'] = V(15), ['Q'] = V(16), ['R'] = V(17),
    ['S'] = V(18), ['T'] = V(19), ['U'] = V(20), ['V'] = V(21), ['W'] = V(22), ['X'] = V(23),
    ['Y'] = V(24), ['Z'] = V(25), ['a'] = V(26), ['b'] = V(27), ['c'] = V(28), ['d'] = V(29),
    ['e'] = V(30), ['f'] = V(31), ['g'] = V(32), ['h'] = V(33), ['i'] = V(34), ['j'] = V(35),
    ['k'] = V(36), ['l'] = V(37), ['m'] = V(38), ['n'] = V(39), ['o'] = V(40), ['p'] = V(41),
    ['q'] = V(42), ['r'] = V(43), ['s'] = V(44), ['t'] = V(45), ['u'] = V(46), ['v'] = V(47),
    ['w'] = V(48), ['x'] = V(49), ['y'] = V(50), ['z'] = V(51), ['0'] = V(52), ['1'] = V(53),
    ['2'] = V(54), ['3'] = V(55), ['4'] = V(56), ['5'] = V(57), ['6'] = V(58), ['7'] = V(59),
    ['8'] = V(60), ['9'] = V(61), ['+'] = V(62), ['/'] = V(63),
};

size_t as_base64_encode(char *text, const uint8_t *in, size_t len)
{
    char *to = text;
    size_t i = 0;
    for (; len - i >= 3; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = alphabet[v >> 6 & 63];
        *to++ = alphabet[v & 63];
    }
    if (i < len) {
        bool two = len - i == 2;
        uint32_t v = (uint32_t)in[i] << 16 | (two ? (uint32_t)in[i + 1] << 8 : 0);
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = two ? alphabet[v >> 6 & 63] : '=';
        *to++ = '=';
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* The last four characters, which may be padded: 1 to 3 bytes, or 0 if they are not canonical. */
static size_t decode_last(uint8_t *out, const uint8_t *in)
{
    uint32_t a = bits_of[in[0]], b = bits_of[in[1]], c = bits_of[in[2]], d = bits_of[in[3]];
    size_t n = in[3] != '=' ? 3 : in[2] != '=' ? 2 : 1;
    uint32_t valid = a & b & (n > 1 ? c : VALID) & (n > 2 ? d : VALID);
    uint32_t unused = n == 1 ? b & 15 : n == 2 ? c & 3 : 0;
    if (!(valid & VALID) || unused)
        return 0;
    out[0] = (uint8_t)(a << 2 | (b & 63) >> 4);
    if (n > 1)
        out[1] = (uint8_t)(b << 4 | (c & 63) >> 2);
    if (n > 2)
        out[2] = (uint8_t)(c << 6 | (d & 63));
    return n;
}

bool as_base64_decode(uint8_t *out, size_t *out_len, const char *text, size_t len)
{
    const uint8_t *in = (const uint8_t *)text;
    uint8_t *to = out;
    uint32_t valid = VALID;
    if (len % 4)
        return false;
    /* Written bytes never overtake the read ones, so `out` may be `text`; the fourth byte of a step
     * is written anew by the next, and there is one, since the last four characters are left. One
     * test behind the loop instead of one a step: a bad character only makes bytes that are thrown
     * away. */
    for (size_t i = 0; i + 4 < len; i += 4) {
        uint32_t a = bits_of[in[i]], b = bits_of[in[i + 1]];
        uint32_t c = bits_of[in[i + 2]], d = bits_of[in[i + 3]];
        valid &= a & b & c & d;
        uint32_t bytes = htonl(((a << 18) + (b << 12) + (c << 6) + d - VALID_IN_ALL) << 8);
        memcpy(to, &bytes, sizeof bytes);
        to += 3;
    }
    if (!(valid & VALID))
        return false;
    if (len) {
        size_t n = decode_last(to, in + len - 4);
        if (n == 0)
            return false;
        to += n;
    }
    *out_len = (size_t)(to - out);
    return true;
}
