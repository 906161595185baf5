/*
 * The list of used coin tags, in chunks of AS_USED_CHUNK tags, by position. A chunk is n tags with
 * their transactions, 66 bytes each, and then their order by tag: n numbers of two bytes. So a tag
 * is looked for by halving in each chunk, a thousand of them for a million tags. At its end is the
 * digest where the newest append ended of those that ended in this chunk, behind the number of its
 * tags that it is of; 0: none did.
 *
 * Not one entry a tag: those would lie in the tables' own pages, all of which are looked at when a
 * store is opened (tree.h), and each batch of tags would change most of them. Full chunks fill
 * their pages, and are never written again.
 */
#ifndef AS_LMDB_USED_H
#define AS_LMDB_USED_H

#include "backends/lmdb/env.h"

#define AS_USED_CHUNK 963u /* 68 bytes each and 34, in 16 pages of 4 KiB with LMDB's 16 bytes */

/* For as_env_write; `in` is an anonset_used_append. */
anonset_code as_work_used(as_write *write, const void *in, anonset_detail *detail);

/* As the vtable says. */
anonset_code as_used_open(void **view, anonset_used_state *state, as_env *env, unsigned busy_ms,
                          anonset_detail *detail);
void as_used_close(void *view);
anonset_code as_used_read(void *view, anonset_used *used, uint32_t *n, uint32_t from, uint32_t room,
                          anonset_detail *detail);
anonset_code as_used_find(void *view, anonset_used *used, uint32_t *position, const uint8_t *tag,
                          anonset_detail *detail);
anonset_code as_used_check(void *view, uint32_t *sound, anonset_detail *detail);
anonset_code as_used_mark(void *view, anonset_used_state *mark, uint32_t above,
                          anonset_detail *detail);

#endif
