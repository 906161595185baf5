/*
 * What a program does to the files of one folder: noted in order, for tests that ask what a power
 * loss would have left, and made to fail, for tests that ask what comes of that. Linked into a test
 * program, the calls of disk.c stand before the C library's, for the engines' shared libraries as
 * well. One thread at a time; no file is to be written through a map or a second descriptor made by
 * dup: a writable shared map of a file that is noted ends the program, since it could not be seen.
 *
 * Files ending in "-lock" and "-shm" are not noted: locks and shared memory, which the first to
 * open a store after a power loss makes anew. Calls on them can fail as others.
 */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks at `folder`, a directory by its real path, from now on; before files in it are opened. */
void disk_watch(const char *folder);

/* ---- The log ------------------------------------------------------------------------------ */

#define DISK_NAMES     32
#define DISK_NAME_SIZE 64

typedef enum disk_kind {
    DISK_CREATE,      /* `file` gets `name` */
    DISK_WRITE,       /* `len` bytes at `at` */
    DISK_CUT,         /* the file is `at` bytes long now */
    DISK_SYNC,        /* of a file */
    DISK_SYNC_FAILED, /* of a file: what was written before it is no longer taken for unwritten */
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
    size_t found; /* operations at the front that stand for the files that were there */
    int files;
    int names;
    char name[DISK_NAMES][DISK_NAME_SIZE];
} disk_log;

/* Begins a log of `folder`, and watches it. What is in it is taken to be on the disk. */
void disk_record(disk_log *log, const char *folder);
void disk_stop(void);
void disk_log_free(disk_log *log);

/* Syncs return at once from now on: for looking at images, which no power loss will hit. */
void disk_skip_syncs(bool skip);

/* ---- Faults ------------------------------------------------------------------------------- */

typedef enum disk_call {
    DISK_ON_OPEN,
    DISK_ON_MAKE, /* open that may make the file */
    DISK_ON_LOOK, /* stat, access and their like */
    DISK_ON_READ,
    DISK_ON_LOCK,
    DISK_ON_MAP,
    DISK_ON_WRITE,
    DISK_ON_CUT,
    DISK_ON_ROOM, /* fallocate */
    DISK_ON_SYNC, /* of a file, also by a write through O_DSYNC */
    DISK_ON_SYNC_FOLDER,
    DISK_ON_UNLINK,
    DISK_ON_RENAME,
    DISK_CALLS
} disk_call;

extern const char *const disk_call_name[DISK_CALLS];

#define DISK_ANY_CHANGE                                                                            \
    DISK_CALLS          /* of a fault: counts calls of every kind that changes the disk */
#define DISK_SHORT (-1) /* in place of an errno: half of the bytes are written */

typedef struct disk_fault {
    unsigned call; /* a disk_call or DISK_ANY_CHANGE */
    unsigned at;   /* the how-manieth of them fails, from 1 */
    bool for_good; /* and all behind it that a disk in such a state refuses */
    int error;
} disk_fault;

/* These calls on the folder that is watched fail, counted from now on. `faults` is borrowed. */
void disk_fail(const disk_fault *faults, size_t n);
/* No call fails any more. */
void disk_heal(void);
/* Calls in between neither count nor fail: those of whoever looks at the outcome. Pauses nest. */
void disk_pause(bool pause);
/* Calls since disk_fail, and how many of all failed. */
unsigned disk_count(unsigned call);
unsigned disk_failed(void);
/* What the newest that failed said; 0: none did, or the disk was healed. */
int disk_error(void);

#endif
