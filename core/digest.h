/* The log digest, and the other uses of the crypto library: nothing else includes its headers. */
#ifndef AS_DIGEST_H
#define AS_DIGEST_H

#include <anonset/anonset.h>

/* A SHA-256 under way. One thread at a time. */
typedef struct as_digest as_digest;

anonset_code as_digest_new(as_digest **digest, anonset_detail *detail);
void as_digest_free(as_digest *digest);

/*
 * next = SHA-256(prev || u32le(len) || serialized || tx_hash || u32le(len) || context). next may be
 * prev. INTERNAL if the crypto library fails.
 */
anonset_code as_digest_coin(as_digest *digest, uint8_t *next, const uint8_t *prev,
                            const anonset_coin *coin);

/* SHA-256 of `len` bytes. */
anonset_code as_digest_bytes(as_digest *digest, uint8_t *out, const uint8_t *bytes, size_t len);

/* SHA-256(SHA-256(what is added in between)), as the node chains set hashes. INTERNAL as above. */
anonset_code as_digest_start(as_digest *digest);
anonset_code as_digest_add(as_digest *digest, const uint8_t *bytes, size_t len);
anonset_code as_digest_end_twice(as_digest *digest, uint8_t *out);

/* At most 256 random bytes, from the system's generator. INTERNAL if it has none. */
anonset_code as_random(uint8_t *out, size_t len);

#endif
