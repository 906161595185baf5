/* Between the calls (disk.c), the log (disk_log.c) and the faults (disk_fault.c). */
#ifndef DISK_INSIDE_H
#define DISK_INSIDE_H

#include "tests/shims/disk.h"

#include <sys/types.h>
#include <sys/uio.h>

#define DISK_THE_FOLDER (-2)
#define DISK_UNNOTED    (-3) /* a lock or shared memory */

/* What a descriptor is open on. */
typedef struct disk_opened {
    bool known; /* in the folder that is watched, or that itself */
    bool durable;
    int file;
} disk_opened;

disk_opened *disk_known(int fd);
/* The last part of a path in the folder, "" for the folder itself; NULL: it is elsewhere. */
const char *disk_inside(const char *path);
_Noreturn void disk_give_up(const char *what);

/* Whether a call of this kind is to fail now; errno is set then, or *cut_short, if not NULL. */
bool disk_fails(disk_call call, bool *cut_short);

/* disk_log.c: nothing, unless there is a log. */
int disk_note_open(const char *name, int flags);
void disk_note_write(int fd, const void *bytes, ssize_t len, uint64_t at, bool synced);
void disk_note_vector(int fd, const struct iovec *parts, int n, ssize_t len, uint64_t at);
void disk_note_cut(int fd, uint64_t size);
void disk_note_sync(int fd, bool worked);
void disk_note_unlink(const char *name);
void disk_note_rename(const char *from, const char *to);

#endif
