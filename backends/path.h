/* One name for a store, however it is spelled: what lies beside it (a lock, a log) must be the same
 * for everybody. */
#ifndef AS_PATH_H
#define AS_PATH_H

#include <anonset/anonset.h>

/* Sets *full to the absolute path without links; the file itself need not exist, its folder must
 * (NOT_FOUND). The caller frees it. */
anonset_code as_path_resolve(char **full, const char *path, anonset_detail *detail);

/* Opens `path` with `flags` (O_RDWR, O_RDONLY | O_DIRECTORY, …) and syncs it. Returns 0 or an
 * errno.
 */
int as_path_sync(const char *path, int flags);

/* Syncs the folder of the absolute `path`, so that a name made or renamed there lasts. Returns 0 or
 * an errno. */
int as_path_sync_folder(const char *path);

#endif
