/* Courses of the built-in transport (point.h): a sync over a socket, by either protocol. */
#ifndef TF_CLIENT_H
#define TF_CLIENT_H

#include "tests/faults/point.h"

void tf_client(tf_figures *sum, const tf_options *options);

#endif
