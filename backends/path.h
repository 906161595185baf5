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

/* Gives the file at `path` a second name, over one that has it. A file system without such names
 * is no failure: then it just is not kept. Returns 0 or an errno. */
int as_path_keep(const char *path, const char *kept);

/* Removes PATH and an ending, where it is there. Returns 0 or an errno. */
int as_path_remove(const char *path, const char *ending);

#endif
