/* The writes of the contract, as works for as_env_write. */
#ifndef AS_LMDB_WRITE_H
#define AS_LMDB_WRITE_H

#include "backends/lmdb/env.h"

anonset_code as_work_append(as_write *write, const void *in,
                            anonset_detail *detail); /* anonset_append */
anonset_code as_work_complete(as_write *write, const void *in,
                              anonset_detail *detail); /* anonset_complete */
anonset_code as_work_discard(as_write *write, const void *in,
                             anonset_detail *detail); /* uint32_t group */
anonset_code as_work_drop(as_write *write, const void *in,
                          anonset_detail *detail); /* anonset_damage */
anonset_code as_work_mend(as_write *write, const void *in,
                          anonset_detail *detail); /* anonset_append */
anonset_code as_work_clear(as_write *write, const void *in,
                           anonset_detail *detail); /* uint32_t group */
anonset_code as_work_genesis(as_write *write, const void *in,
                             anonset_detail *detail); /* 32 bytes */

#endif
