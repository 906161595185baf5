/*
 * What a program does to the files of one folder, in order, for tests that ask what a power loss
 * would have left. Linked into a test program, the calls of disk.c stand before the C library's,
 * for the engines' shared libraries as well. One thread at a time; no file is to be written through
 * a map or a second descriptor made by dup: a writable shared map ends the program, since it could
 * not be seen.
 *
 * Files ending in "-lock" and "-shm" are left out: locks and shared memory, which the first to open
 * a store after a power loss makes anew.
 */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_NAMES     32
#define DISK_NAME_SIZE 64

typedef enum disk_kind {
    DISK_CREATE,      /* `file` gets `name` */
    DISK_WRITE,       /* `len` bytes at `at` */
    DISK_CUT,         /* the file is `at` bytes long now */
    DISK_SYNC,        /* of a file */
    DISK_RENAME,      /* `file` loses `old_name` and gets `name` */
    DISK_UNLINK,      /* `name` is gone */
    DISK_SYNC_FOLDER, /* of the folder */
} disk_kind;

typedef struct disk_op {
    disk_kind kind;
    bool durable; /* a write through O_DSYNC: on the disk when it returned */
    int file;     /* what was behind the name: another one after each creation */
    int name, old_name;
    uint64_t at;
    size_t len;
    uint8_t *bytes;
} disk_op;

typedef struct disk_log {
    disk_op *ops;
    size_t n, room;
    int files;
    int names;
    char name[DISK_NAMES][DISK_NAME_SIZE];
} disk_log;

/* Begins a log of `folder`, an empty directory by its real path. */
void disk_record(disk_log *log, const char *folder);
void disk_stop(void);
void disk_log_free(disk_log *log);

/* Syncs return at once from now on: for looking at images, which no power loss will hit. */
void disk_skip_syncs(bool skip);

#endif
