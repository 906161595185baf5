/* Base64 (RFC 4648, section 4) as servers and older caches write it. Pure; depends
 * on nothing else. */
#ifndef AS_BASE64_H
#define AS_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that `len` bytes take, without the NUL. */
#define AS_BASE64_CHARS(len) (((len) + 2) / 3 * 4)

/* Writes `len` bytes of `in` to `text` (AS_BASE64_CHARS(len) + 1 chars), NUL-ended. Returns the
 * length without the NUL. */
size_t as_base64_encode(char *text, const uint8_t *in, size_t len);

/*
 * Decodes `len` characters of `text` to `out` (len / 4 * 3 bytes), which may be the same memory.
 * Canonical only: padded, unused bits zero, no white space, so that what comes out encodes to what
 * came in. False: it is not; `out` is undefined then, and *out_len unchanged.
 */
bool as_base64_decode(uint8_t *out, size_t *out_len, const char *text, size_t len);

#endif
