/* What we know of a coin's bytes. Source: recorded answers of firod 0.14.17.2, tests/fixtures. */
#ifndef AS_COIN_H
#define AS_COIN_H

#include <anonset/anonset.h>
#include <stddef.h>

/* The coin itself, in front of the repeated tx hash and context. */
#define AS_COIN_BYTES 244u

typedef enum as_tail {
    AS_TAIL_NONE,   /* `serialized` has not the known layout: its bytes say nothing of the rest */
    AS_TAIL_AGREES, /* coin || tx hash || CompactSize(context) || context, as in the two fields */
    AS_TAIL_CONTRADICTS /* that layout, but another tx hash or context than the two fields */
} as_tail;

/*
 * Looks at the layout: type 0 (mint) or 1 (spend), three group elements of 34 bytes, CompactSize 82
 * or 90 and the ciphertext, 16 and the tag, 32 and the key commitment, a mint's value; then 32
 * bytes, and as many more as the context and its CompactSize take, or as a CompactSize there
 * counts. Never reads out of bounds.
 */
as_tail as_coin_tail(const anonset_coin *coin);

/* Reads a canonical CompactSize of at most 32 bits from the `len` bytes. Returns the bytes it
 * takes, 1, 3 or 5; 0, and *value is not to be used, if it is cut short, not canonical or of 64
 * bits. */
uint32_t as_compact_size(uint32_t *value, const uint8_t *bytes, size_t len);

/* All three fields are equal, byte for byte. */
bool as_coin_equal(const anonset_coin *a, const anonset_coin *b);

#endif
