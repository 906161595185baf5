/* Courses over a store, for every backend (point.h). */
#ifndef TF_STORE_H
#define TF_STORE_H

#include "tests/faults/point.h"

#include <anonset/backend.h>

/* Plays all courses that the backend has. `folder` is where stores may lie. */
void tf_store(tf_figures *sum, const anonset_backend *backend, const char *folder,
              const tf_options *options);

#endif
