/*
 * libcrypto's plain SHA-256, which it calls deprecated in favour of EVP. EVP allocates for every
 * hash, and before the first one sets up all of the library; where memory runs out in there it
 * takes the process with it (3.0), or has no SHA-256 for the rest of its life. These three calls
 * allocate nothing and need nothing to be set up.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "config.h"

#include "core/digest.h"

#include "core/alloc.h"
#include "core/bytes.h"
#include "core/detail.h"

#include <openssl/sha.h>
#include <string.h>
#ifdef HAVE_GETENTROPY
#include <sys/random.h> /* glibc, macOS */
#include <unistd.h>     /* musl */
#else
#include <limits.h>
#include <openssl/rand.h>
#endif

/* Nearly every coin fits: one call into the crypto library instead of five. */
#define ONE_UPDATE_BYTES 1024u

struct as_digest {
    SHA256_CTX sha256;
};

anonset_code as_digest_new(as_digest **digest, anonset_detail *detail)
{
    as_digest *made = as_alloc_zeroed(sizeof *made);
    if (!made)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for a digest");
    *digest = made;
    return ANONSET_OK;
}

void as_digest_free(as_digest *digest)
{
    as_free(digest);
}

static bool start(as_digest *digest)
{
    return SHA256_Init(&digest->sha256) == 1;
}

static bool add(as_digest *digest, const uint8_t *bytes, size_t len)
{
    return len == 0 || SHA256_Update(&digest->sha256, bytes, len) == 1;
}

static bool end(as_digest *digest, uint8_t *out)
{
    return SHA256_Final(out, &digest->sha256) == 1;
}

static uint8_t *append(uint8_t *at, const uint8_t *bytes, uint32_t len)
{
    if (len)
        memcpy(at, bytes, len);
    return at + len;
}

static bool add_small(as_digest *digest, const uint8_t *prev, const anonset_coin *coin)
{
    uint8_t buffer[ONE_UPDATE_BYTES], *at = append(buffer, prev, ANONSET_HASH_BYTES);
    as_put32(at, coin->serialized_len);
    at = append(at + 4, coin->serialized, coin->serialized_len);
    at = append(at, coin->tx_hash, ANONSET_HASH_BYTES);
    as_put32(at, coin->context_len);
    at = append(at + 4, coin->context, coin->context_len);
    return add(digest, buffer, (size_t)(at - buffer));
}

static bool add_large(as_digest *digest, const uint8_t *prev, const anonset_coin *coin)
{
    uint8_t serialized_len[4], context_len[4];
    as_put32(serialized_len, coin->serialized_len);
    as_put32(context_len, coin->context_len);
    return add(digest, prev, ANONSET_HASH_BYTES) && add(digest, serialized_len, 4) &&
           add(digest, coin->serialized, coin->serialized_len) &&
           add(digest, coin->tx_hash, ANONSET_HASH_BYTES) && add(digest, context_len, 4) &&
           add(digest, coin->context, coin->context_len);
}

anonset_code as_digest_coin(as_digest *digest, uint8_t *next, const uint8_t *prev,
                            const anonset_coin *coin)
{
    uint64_t len = 2 * ANONSET_HASH_BYTES + 8ull + coin->serialized_len + coin->context_len;
    bool ok = start(digest) && (len <= ONE_UPDATE_BYTES ? add_small(digest, prev, coin)
                                                        : add_large(digest, prev, coin));
    return ok && end(digest, next) ? ANONSET_OK : ANONSET_INTERNAL;
}

anonset_code as_digest_bytes(as_digest *digest, uint8_t *out, const uint8_t *bytes, size_t len)
{
    bool ok = start(digest) && add(digest, bytes, len) && end(digest, out);
    return ok ? ANONSET_OK : ANONSET_INTERNAL;
}

anonset_code as_digest_start(as_digest *digest)
{
    return start(digest) ? ANONSET_OK : ANONSET_INTERNAL;
}

anonset_code as_digest_add(as_digest *digest, const uint8_t *bytes, size_t len)
{
    return add(digest, bytes, len) ? ANONSET_OK : ANONSET_INTERNAL;
}

anonset_code as_digest_end_twice(as_digest *digest, uint8_t *out)
{
    bool ok = end(digest, out) && start(digest) && add(digest, out, ANONSET_HASH_BYTES) &&
              end(digest, out);
    return ok ? ANONSET_OK : ANONSET_INTERNAL;
}

/* libcrypto's generator is one of the things that it sets up. */
anonset_code as_random(uint8_t *out, size_t len)
{
#ifdef HAVE_GETENTROPY
    return getentropy(out, len) == 0 ? ANONSET_OK : ANONSET_INTERNAL;
#else
    return len <= INT_MAX && RAND_bytes(out, (int)len) == 1 ? ANONSET_OK : ANONSET_INTERNAL;
#endif
}
