/*
 * Cuts JSON text that nobody vouches for into pieces. Strict (RFC 8259; bytes from 0x80 on are
 * taken as they come inside strings, and no further), linear in time, without recursion or heap.
 * What it has passed, a lenient tokenizer may read.
 */
#ifndef AS_JSON_H
#define AS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AS_JSON_DEPTH 32 /* nesting beyond this is refused */

/* A piece of the text; `at` is NULL for one that is not there. */
typedef struct as_span {
    char *at;
    size_t len;
} as_span;

/*
 * Checks that `text` is one JSON object, white space around it allowed, and sets values[i] to the
 * value of the member called names[i], or to an absent span. False: it is no object, or not JSON,
 * or one of these members comes twice. Other members are checked and passed over.
 */
bool as_json_members(as_span text, const char *const *names, as_span *values, size_t n);

/* Whether a checked value is this literal: "null", "true", "false". */
bool as_json_is(as_span value, const char *literal);

/* Takes the quotes and, in place, the escapes off a checked value that is a string: call it once
 * for each. What is not printable ASCII then reads '?' where it was written as an escape. False: it
 * is no string. */
bool as_json_string(as_span value, as_span *content);

/* Whether a checked value is an integer: no fraction, no exponent, any size or sign. */
bool as_json_is_integer(as_span value);

/* Reads a checked value that is an integer from 0 to `most`. False: it is not. */
bool as_json_unsigned(as_span value, uint32_t most, uint32_t *number);

/*
 * For a checked object, and what is behind a value of it: moves *rest to the value of the next
 * member called `name`. False: there is none, or it is no object. A value that is long need not be
 * passed over to be found: whoever reads it knows where it ends.
 */
bool as_json_find(as_span *rest, const char *name);

/* For a checked array: moves *rest to its first value. False: it is empty, and *rest behind it. */
bool as_json_first(as_span *rest);

/* Behind a value of a checked array: moves *rest to the next one. False: that was the last, and
 * *rest is behind the array. */
bool as_json_next(as_span *rest);

#endif
