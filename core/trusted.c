/* Digests that the caller knows from elsewhere: no set is built on coins that lead to others. */
#include "core/trusted.h"

#include "core/alloc.h"
#include "core/gate.h"

#include <string.h>

anonset_code as_trusted_copy(anonset_trusted **copy, const anonset_sync_options *options,
                             anonset_detail *detail)
{
    size_t n = options->trusted_n;
    *copy = NULL;
    for (size_t i = 0; i < n; i++)
        if (!options->trusted || options->trusted[i].group == 0 || options->trusted[i].size == 0)
            return as_fail(detail, ANONSET_INVALID, 0,
                           "trusted checkpoint %zu: without a group or a size", i);
    if (n == 0)
        return ANONSET_OK;
    *copy = as_alloc_zeroed(n * sizeof **copy);
    if (!*copy)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for %zu checkpoints", n);
    memcpy(*copy, options->trusted, n * sizeof **copy);
    return ANONSET_OK;
}

static bool agrees(const anonset_trusted *trusted, const uint8_t *digest)
{
    return memcmp(trusted->digest, digest, ANONSET_HASH_BYTES) == 0;
}

uint32_t as_trusted_sector(const anonset_sync *sync, uint32_t n)
{
    for (size_t i = 0; i < sync->options.trusted_n; i++) {
        const anonset_trusted *trusted = &sync->trusted[i];
        if (trusted->group == sync->result.group && trusted->size > sync->held &&
            trusted->size - sync->held <= n &&
            !agrees(trusted, sync->digests[trusted->size - sync->held - 1]))
            return trusted->size;
    }
    return 0;
}

anonset_code as_trusted_set(anonset_sync *sync, uint32_t *wrong, void *snapshot)
{
    anonset_code code = ANONSET_OK;
    *wrong = 0;
    for (size_t i = 0; i < sync->options.trusted_n && code == ANONSET_OK && *wrong == 0; i++) {
        const anonset_trusted *trusted = &sync->trusted[i];
        uint8_t digest[ANONSET_HASH_BYTES];
        uint32_t below = trusted->size < sync->base ? trusted->size : sync->base;
        if (trusted->group != sync->result.group || trusted->size > sync->held)
            continue;
        code = as_prove_digest_at(sync, digest, snapshot, below, trusted->size);
        if (code == ANONSET_OK && !agrees(trusted, digest))
            *wrong = trusted->size;
    }
    return code;
}
