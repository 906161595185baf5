#include "core/base64.h"

#include <arpa/inet.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/*
 * A character's six bits at their place in a word that begins with the three bytes of four
 * characters. Complements: an AND of four words is that of their bytes, and the lowest bit, which
 * no six bits reach, is set if all four are base64, for what is none is 0.
 */
#define VALID   1u
#define V(n, s) ~((uint32_t)(n) << (s))
#define SIX_BITS(s)                                                                                \
    {                                                                                              \
        ['A'] = V(0, s), ['B'] = V(1, s), ['C'] = V(2, s), ['D'] = V(3, s), ['E'] = V(4, s),       \
        ['F'] = V(5, s), ['G'] = V(6, s), ['H'] = V(7, s), ['I'] = V(8, s), ['J'] = V(9, s),       \
        ['K'] = V(10, s), ['L'] = V(11, s), ['M'] = V(12, s), ['N'] = V(13, s), ['O'] = V(14, s),  \
        ['P'] = V(15, s), ['Q'] = V(16, s), ['R'] = V(17, s), ['S'] = V(18, s), ['T'] = V(19, s),  \
        ['U'] = V(20, s), ['V'] = V(21, s), ['W'] = V(22, s), ['X'] = V(23, s), ['Y'] = V(24, s),  \
        ['Z'] = V(25, s), ['a'] = V(26, s), ['b'] = V(27, s), ['c'] = V(28, s), ['d'] = V(29, s),  \
        ['e'] = V(30, s), ['f'] = V(31, s), ['g'] = V(32, s), ['h'] = V(33, s), ['i'] = V(34, s),  \
        ['j'] = V(35, s), ['k'] = V(36, s), ['l'] = V(37, s), ['m'] = V(38, s), ['n'] = V(39, s),  \
        ['o'] = V(40, s), ['p'] = V(41, s), ['q'] = V(42, s), ['r'] = V(43, s), ['s'] = V(44, s),  \
        ['t'] = V(45, s), ['u'] = V(46, s), ['v'] = V(47, s), ['w'] = V(48, s), ['x'] = V(49, s),  \
        ['y'] = V(50, s), ['z'] = V(51, s), ['0'] = V(52, s), ['1'] = V(53, s), ['2'] = V(54, s),  \
        ['3'] = V(55, s), ['4'] = V(56, s), ['5'] = V(57, s), ['6'] = V(58, s), ['7'] = V(59, s),  \
        ['8'] = V(60, s), ['9'] = V(61, s), ['+'] = V(62, s), ['/'] = V(63, s),                    \
    }
static const uint32_t words_of[4][256] = {SIX_BITS(26), SIX_BITS(20), SIX_BITS(14), SIX_BITS(8)};

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

static uint32_t word_of(const uint8_t *in)
{
    return words_of[0][in[0]] & words_of[1][in[1]] & words_of[2][in[2]] & words_of[3][in[3]];
}

/* The last four characters, which may be padded: 1 to 3 bytes, or 0 if they are not canonical. */
static size_t decode_last(uint8_t *out, const uint8_t *in)
{
    size_t n = in[3] != '=' ? 3 : in[2] != '=' ? 2 : 1;
    uint8_t four[4] = {in[0], in[1], n > 1 ? in[2] : 'A', n > 2 ? in[3] : 'A'};
    uint32_t word = word_of(four), bytes = htonl(~word);
    if (!(word & VALID) || ~word << (8 * n))
        return 0;
    memcpy(out, &bytes, n);
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
        uint32_t word = word_of(in + i), bytes = htonl(~word);
        valid &= word;
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
