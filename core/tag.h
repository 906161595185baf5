/*
 * Tags: 4-byte keyed fingerprints of coins, kept beside them, by which the gate finds repeats
 * without reading the coins again. Keyed by the store's salt, so that nobody can choose coins whose
 * tags collide; a hit is always confirmed on the whole coins.
 */
#ifndef AS_TAG_H
#define AS_TAG_H

#include <anonset/backend.h>

typedef struct as_tagger {
    uint64_t key[5];
} as_tagger;

void as_tagger_init(as_tagger *tagger, const uint8_t salt[ANONSET_SALT_BYTES]);

/* Equal coins have equal tags; others share one with a chance of about 1 in 2^31 at most,
 * whatever a server that does not know the salt sends: core/tag.c has the bound. */
uint32_t as_tag(const as_tagger *tagger, const anonset_coin *coin);

#endif
