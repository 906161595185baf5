#include "remote/json.h"

#include <string.h>

typedef struct cursor {
    char *at;
    char *end;
} cursor;

static as_span rest_of(const cursor *c)
{
    return (as_span){c->at, (size_t)(c->end - c->at)};
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t'))
        c->at++;
}

static bool take(cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

#define EVERY_BYTE    0x0101010101010101u
#define EVERY_TOP_BIT 0x8080808080808080u

/* Whether a backslash or a control character is among these: a byte from which 0x20, or once its
 * likeness to a backslash is taken off 1, cannot be taken without a borrow. Eight bytes at a step
 * and one test for all: nearly all of an answer is inside strings. */
static bool needs_a_look(const char *at, const char *end)
{
    uint64_t v, borrowed = 0;
    for (; end - at >= (ptrdiff_t)sizeof v; at += sizeof v) {
        memcpy(&v, at, sizeof v);
        borrowed |= ((v - EVERY_BYTE * 0x20) | ((v ^ EVERY_BYTE * '\\') - EVERY_BYTE)) & ~v;
    }
    for (; at < end; at++)
        if (*at == '\\' || (unsigned char)*at < 0x20)
            return true;
    return borrowed & EVERY_TOP_BIT;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* After a backslash. */
static bool skip_escape(cursor *c)
{
    if (c->at == c->end)
        return false;
    char kind = *c->at++;
    if (kind != 'u')
        return kind && strchr("\"\\/bfnrt", kind);
    if (c->end - c->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        if (hex_digit(*c->at++) < 0)
            return false;
    }
    return true;
}

static void skip_plain(cursor *c)
{
    while (c->at < c->end && *c->at != '"' && *c->at != '\\' && (unsigned char)*c->at >= 0x20)
        c->at++;
}

static bool skip_string(cursor *c)
{
    if (!take(c, '"'))
        return false;
    char *quote = memchr(c->at, '"', (size_t)(c->end - c->at));
    if (!quote)
        return false;
    if (!needs_a_look(c->at, quote)) {
        c->at = quote + 1;
        return true;
    }
    for (;;) {
        skip_plain(c);
        if (take(c, '"'))
            return true;
        if (!take(c, '\\') || !skip_escape(c))
            return false;
    }
}

static bool skip_digits(cursor *c)
{
    char *from = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return c->at > from;
}

static bool skip_number(cursor *c)
{
    (void)take(c, '-');
    if (!take(c, '0') && !skip_digits(c))
        return false;
    if (take(c, '.') && !skip_digits(c))
        return false;
    if (take(c, 'e') || take(c, 'E')) {
        if (!take(c, '+'))
            (void)take(c, '-');
        return skip_digits(c);
    }
    return true;
}

static bool skip_literal(cursor *c, const char *literal)
{
    size_t len = strlen(literal);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, literal, len) != 0)
        return false;
    c->at += len;
    return true;
}

static bool skip_scalar(cursor *c)
{
    if (c->at == c->end)
        return false;
    switch (*c->at) {
    case '"':
        return skip_string(c);
    case 't':
        return skip_literal(c, "true");
    case 'f':
        return skip_literal(c, "false");
    case 'n':
        return skip_literal(c, "null");
    default:
        return skip_number(c);
    }
}

/* A member's name and colon, up to its value; sets *name to the string, quotes included. */
static bool take_name(cursor *c, as_span *name)
{
    skip_space(c);
    name->at = c->at;
    if (!skip_string(c))
        return false;
    name->len = (size_t)(c->at - name->at);
    skip_space(c);
    if (!take(c, ':'))
        return false;
    skip_space(c);
    return true;
}

static bool skip_name(cursor *c)
{
    as_span name;
    return take_name(c, &name);
}

/* The arrays and objects around the cursor: the lowest bit of `objects` is for the innermost. */
typedef struct nesting {
    uint32_t objects;
    unsigned depth;
} nesting;

/* Enters the array or object that begins here. Sets *inside if there is a first value in it. */
static bool enter(cursor *c, nesting *around, bool *inside)
{
    bool object = *c->at++ == '{';
    skip_space(c);
    *inside = !take(c, object ? '}' : ']');
    if (!*inside)
        return true;
    if (around->depth == AS_JSON_DEPTH)
        return false;
    around->depth++;
    around->objects = around->objects << 1 | object;
    return !object || skip_name(c);
}

/* After a value: leaves what ends here, and goes to the next value if there is one. */
static bool leave(cursor *c, nesting *around)
{
    while (around->depth > 0) {
        bool object = around->objects & 1;
        skip_space(c);
        if (take(c, ','))
            return !object || skip_name(c);
        if (!take(c, object ? '}' : ']'))
            return false;
        around->depth--;
        around->objects >>= 1;
    }
    return true;
}

static bool skip_value(cursor *c)
{
    nesting around = {0, 0};
    do {
        bool inside = false;
        skip_space(c);
        bool opens = c->at < c->end && (*c->at == '{' || *c->at == '[');
        if (!(opens ? enter(c, &around, &inside) : skip_scalar(c)))
            return false;
        if (!inside && !leave(c, &around))
            return false;
    } while (around.depth > 0);
    return true;
}

static unsigned hex4(const char *digits)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)hex_digit(digits[i]);
    return value;
}

/* The next character inside a checked string, escapes resolved; what no known text of a server
 * needs (beyond ASCII, written as an escape) is '?'. */
static char next_char(cursor *c)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char ch = *c->at++;
    if (ch != '\\')
        return ch;
    ch = *c->at++;
    if (ch != 'u')
        return meant[strchr(plain, ch) - plain];
    unsigned unit = hex4(c->at);
    c->at += 4;
    return unit > 0 && unit < 0x7f ? (char)unit : '?';
}

/* Whether a checked string, quotes included, reads `name`. */
static bool string_is(as_span string, const char *name)
{
    cursor c = {string.at + 1, string.at + string.len - 1};
    while (c.at < c.end && *name) {
        if (next_char(&c) != *name++)
            return false;
    }
    return c.at == c.end && !*name;
}

/* One `"name": value`; keeps the value if it is a wanted one. */
static bool take_member(cursor *c, const char *const *names, as_span *values, size_t n)
{
    as_span name;
    if (!take_name(c, &name))
        return false;
    as_span value = {c->at, 0};
    if (!skip_value(c))
        return false;
    value.len = (size_t)(c->at - value.at);
    for (size_t i = 0; i < n; i++) {
        if (!string_is(name, names[i]))
            continue;
        if (values[i].at)
            return false;
        values[i] = value;
    }
    return true;
}

bool as_json_members(as_span text, const char *const *names, as_span *values, size_t n)
{
    cursor c = {text.at, text.at + text.len};
    for (size_t i = 0; i < n; i++)
        values[i] = (as_span){NULL, 0};
    skip_space(&c);
    if (!take(&c, '{'))
        return false;
    skip_space(&c);
    if (!take(&c, '}')) {
        do {
            if (!take_member(&c, names, values, n))
                return false;
            skip_space(&c);
        } while (take(&c, ','));
        if (!take(&c, '}'))
            return false;
    }
    skip_space(&c);
    return c.at == c.end;
}

bool as_json_find(as_span *rest, const char *name)
{
    cursor c = {rest->at, rest->at + rest->len};
    as_span member;
    skip_space(&c);
    while ((take(&c, '{') || take(&c, ',')) && take_name(&c, &member)) {
        if (string_is(member, name)) {
            *rest = rest_of(&c);
            return true;
        }
        (void)skip_value(&c); /* it was checked */
        skip_space(&c);
    }
    return false;
}

bool as_json_is(as_span value, const char *literal)
{
    return value.len == strlen(literal) && memcmp(value.at, literal, value.len) == 0;
}

bool as_json_string(as_span value, as_span *content)
{
    if (value.len < 2 || value.at[0] != '"')
        return false;
    cursor c = {value.at + 1, value.at + value.len - 1};
    char *to = memchr(c.at, '\\', (size_t)(c.end - c.at));
    if (to) {
        c.at = to;
        while (c.at < c.end)
            *to++ = next_char(&c);
    } else {
        to = c.end;
    }
    *content = (as_span){value.at + 1, (size_t)(to - value.at - 1)};
    return true;
}

bool as_json_is_integer(as_span value)
{
    cursor c = {value.at, value.at + value.len};
    (void)take(&c, '-');
    return skip_digits(&c) && c.at == c.end;
}

bool as_json_unsigned(as_span value, uint32_t most, uint32_t *number)
{
    uint64_t sum = 0;
    if (!as_json_is_integer(value) || value.at[0] == '-' || value.len > 10)
        return false;
    for (size_t i = 0; i < value.len; i++)
        sum = sum * 10 + (uint64_t)(value.at[i] - '0');
    if (sum > most)
        return false;
    *number = (uint32_t)sum;
    return true;
}

bool as_json_first(as_span *rest)
{
    cursor c = {rest->at + 1, rest->at + rest->len};
    skip_space(&c);
    bool empty = take(&c, ']');
    *rest = rest_of(&c);
    return !empty;
}

bool as_json_next(as_span *rest)
{
    cursor c = {rest->at, rest->at + rest->len};
    skip_space(&c);
    bool more = take(&c, ',');
    if (more)
        skip_space(&c);
    else
        (void)take(&c, ']');
    *rest = rest_of(&c);
    return more;
}
