/* The digest of the list of used coin tags. */
#ifndef AS_USED_H
#define AS_USED_H

#include "core/digest.h"

/* next = SHA-256(prev || tag || tx_hash), for n tags one after the other. `digest` is changed in
 * place. INTERNAL if the crypto library fails. */
anonset_code as_used_digest(as_digest *digest, uint8_t chained[ANONSET_HASH_BYTES],
                            const anonset_used *used, uint32_t n);

/* The digest of the first n tags that `list` shows; n is at most its count. */
anonset_code as_used_digest_at(as_digest *digest, uint8_t chained[ANONSET_HASH_BYTES],
                               anonset_used_list *list, uint32_t n, anonset_detail *detail);

#endif
