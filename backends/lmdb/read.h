/* Snapshots: one read transaction each; coins point into the map. */
#ifndef AS_LMDB_READ_H
#define AS_LMDB_READ_H

#include "backends/lmdb/env.h"

typedef struct as_view as_view;

anonset_code as_view_open(as_view **view, anonset_state *state, as_env *env, uint32_t group,
                          anonset_view which, unsigned busy_ms, anonset_detail *detail);
void as_view_close(void *view);
anonset_code as_view_read(void *view, anonset_run *run, uint32_t position, anonset_detail *detail);
anonset_code as_view_tags(void *view, anonset_run *run, uint32_t position, anonset_detail *detail);
anonset_code as_view_checkpoint(void *view, anonset_checkpoint *checkpoint, uint32_t index,
                                anonset_detail *detail);

#endif
