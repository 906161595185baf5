/* Inside of the list of used coin tags. */
#ifndef AS_USED_H
#define AS_USED_H

#include "core/digest.h"

#include <anonset/backend.h>

#define AS_USED_TRIES 16u /* of a write, against a sync that writes meanwhile */

struct anonset_used_list {
    const anonset_backend *backend;
    void *view;
    anonset_used_state state;
};

/* As anonset_used_open, of a store that is known by its vtable alone; it has the methods. */
anonset_code as_used_list_open(anonset_used_list **list, const anonset_backend *backend,
                               void *handle, anonset_detail *detail);

/* UNSUPPORTED: the store's backend keeps no list. */
anonset_code as_used_supported(const anonset_store *store, anonset_detail *detail);

/* Whether two states are of one list. */
bool as_used_same(const anonset_used_state *a, const anonset_used_state *b);

/* next = SHA-256(prev || tag || tx_hash), for n tags one after the other. `digest` is changed in
 * place. INTERNAL if the crypto library fails. */
anonset_code as_used_digest(as_digest *digest, uint8_t chained[ANONSET_HASH_BYTES],
                            const anonset_used *used, uint32_t n);

/* The digest of the first n tags that `list` shows; n is at most its count. */
anonset_code as_used_digest_at(as_digest *digest, uint8_t chained[ANONSET_HASH_BYTES],
                               anonset_used_list *list, uint32_t n, anonset_detail *detail);

/*
 * Sets *sound to how far the list is as it was stored: the newest state of it, of those that the
 * backend remembers, below which every tag can be read and leads to its digest. `finding`: and is
 * found by its tag. OK also where that is not all of it: then the detail says what is wrong behind.
 * CORRUPT, with `finding` alone: what finds tags is damaged, and no cut mends it.
 */
anonset_code as_used_sound(anonset_used_state *sound, anonset_used_list *list, bool finding,
                           anonset_detail *detail);

/* Copies the tags of `list` up to sound->count into the store `handle` of `to`, whose list is
 * empty, in batches. CORRUPT: they do not lead to sound->digest. */
anonset_code as_used_copy(const anonset_backend *to, void *handle, anonset_used_list *list,
                          const anonset_used_state *sound, anonset_detail *detail);

#endif
