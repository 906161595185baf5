/* A small disk of our own, for those that are to be full. */
#ifndef TF_OWN_DISK_H
#define TF_OWN_DISK_H

#include <stdbool.h>

/* Mounts a tmpfs of `size` ("200k") over `folder`, seen by this process and its children alone.
 * False, and errno: the system does not let us. */
bool tf_own_disk(const char *folder, const char *size);
/* Gives it another size. */
bool tf_more_disk(const char *folder, const char *size);

#endif
