/* One name for a store, however it is spelled: what lies beside it (a lock, a log, the mark of an
 * unsure commit) must be the same for everybody. */
#ifndef AS_PATH_H
#define AS_PATH_H

#include <anonset/anonset.h>

/* Sets *full to the absolute path without links; the file itself need not exist, its folder must
 * (NOT_FOUND). The caller ends it with as_free. */
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

/*
 * The mark of a commit whose outcome is open, PATH-unsure: what is seen of the store may not be on
 * the disk, and no sync may bring it there, since the system takes what it failed to write for
 * written. Whoever opens the store for writing settles that before all else. Kept by a file, for
 * the next process to see; it need not survive a power loss, after which the disk has told the
 * outcome.
 */
void as_path_set_unsure(const char *path);
bool as_path_is_unsure(const char *path);
void as_path_clear_unsure(const char *path);

#endif
