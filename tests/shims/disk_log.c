#include "tests/shims/disk_inside.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONE (-1)

static disk_log *log_now;
static int file_of[DISK_NAMES]; /* by name; NONE: there is none */

static disk_op *note(disk_kind kind, int file)
{
    if (log_now->n == log_now->room) {
        log_now->room = log_now->room ? 2 * log_now->room : 1024;
        log_now->ops = realloc(log_now->ops, log_now->room * sizeof *log_now->ops);
        if (!log_now->ops)
            disk_give_up("no memory");
    }
    disk_op *op = &log_now->ops[log_now->n++];
    *op = (disk_op){.kind = kind, .file = file};
    return op;
}

static int name_id(const char *name)
{
    for (int i = 0; i < log_now->names; i++)
        if (strcmp(log_now->name[i], name) == 0)
            return i;
    if (log_now->names == DISK_NAMES || strlen(name) >= DISK_NAME_SIZE)
        disk_give_up("too many names, or one too long");
    (void)snprintf(log_now->name[log_now->names], DISK_NAME_SIZE, "%s", name);
    file_of[log_now->names] = NONE;
    return log_now->names++;
}

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name), tail = strlen(end);
    return len >= tail && strcmp(name + len - tail, end) == 0;
}

static bool is_noted(const char *name)
{
    return log_now && *name != '\0' && !ends_in(name, "-lock") && !ends_in(name, "-shm");
}

static const disk_opened *noted(int fd)
{
    const disk_opened *file = disk_known(fd);
    return log_now && file && file->file != DISK_UNNOTED ? file : NULL;
}

int disk_note_open(const char *name, int flags)
{
    if (!is_noted(name))
        return *name == '\0' ? DISK_THE_FOLDER : DISK_UNNOTED;
    int id = name_id(name);
    if (file_of[id] == NONE) {
        file_of[id] = log_now->files++;
        note(DISK_CREATE, file_of[id])->name = id;
    } else if (flags & O_TRUNC) {
        note(DISK_CUT, file_of[id]);
    }
    return file_of[id];
}

static uint8_t *copy(const void *bytes, size_t len)
{
    uint8_t *copied = malloc(len);
    if (!copied)
        disk_give_up("no memory");
    memcpy(copied, bytes, len);
    return copied;
}

void disk_note_write(int fd, const void *bytes, ssize_t len, uint64_t at, bool synced)
{
    const disk_opened *file = noted(fd);
    if (!file || len <= 0)
        return;
    disk_op *op = note(DISK_WRITE, file->file);
    op->durable = file->durable && synced;
    op->at = at;
    op->len = (size_t)len;
    op->bytes = copy(bytes, (size_t)len);
    if (!synced)
        note(DISK_SYNC_FAILED, file->file);
}

void disk_note_vector(int fd, const struct iovec *parts, int n, ssize_t len, uint64_t at)
{
    for (int i = 0; i < n && len > 0; i++) {
        ssize_t part = (ssize_t)parts[i].iov_len < len ? (ssize_t)parts[i].iov_len : len;
        disk_note_write(fd, parts[i].iov_base, part, at, true);
        at += (uint64_t)part;
        len -= part;
    }
}

void disk_note_cut(int fd, uint64_t size)
{
    const disk_opened *file = noted(fd);
    if (file)
        note(DISK_CUT, file->file)->at = size;
}

void disk_note_sync(int fd, bool worked)
{
    const disk_opened *file = noted(fd);
    if (!file)
        return;
    if (file->file != DISK_THE_FOLDER)
        note(worked ? DISK_SYNC : DISK_SYNC_FAILED, file->file);
    else if (worked) /* names that a sync did not settle stay for the next */
        note(DISK_SYNC_FOLDER, file->file);
}

void disk_note_unlink(const char *name)
{
    if (!is_noted(name))
        return;
    int id = name_id(name);
    note(DISK_UNLINK, file_of[id])->name = id;
    file_of[id] = NONE;
}

void disk_note_rename(const char *from, const char *to)
{
    if (!is_noted(from) || !is_noted(to))
        return;
    int old_id = name_id(from), id = name_id(to);
    disk_op *op = note(DISK_RENAME, file_of[old_id]);
    op->old_name = old_id;
    op->name = id;
    file_of[id] = file_of[old_id];
    file_of[old_id] = NONE;
}

/* ---- Beginning and ending ----------------------------------------------------------------- */

static uint8_t *read_whole(int fd, size_t len)
{
    uint8_t *bytes = malloc(len + 1);
    if (!bytes || read(fd, bytes, len) != (ssize_t)len)
        disk_give_up("a file of the folder cannot be read");
    return bytes;
}

/* A file that is there when the log begins. */
static void note_found(const char *folder, const char *name)
{
    char path[512];
    struct stat found;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &found) != 0)
        disk_give_up("a file of the folder cannot be opened");
    int file = disk_note_open(name, 0);
    if (found.st_size > 0) {
        disk_op *op = note(DISK_WRITE, file);
        op->len = (size_t)found.st_size;
        op->bytes = read_whole(fd, op->len);
        note(DISK_SYNC, file);
    }
    (void)close(fd);
}

void disk_record(disk_log *log, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *one;
    memset(log, 0, sizeof *log);
    if (!dir)
        disk_give_up("the folder cannot be read");
    log_now = log;
    while ((one = readdir(dir)) != NULL)
        if (one->d_name[0] != '.' && is_noted(one->d_name))
            note_found(folder, one->d_name);
    (void)closedir(dir);
    if (log->n > 0)
        note(DISK_SYNC_FOLDER, DISK_THE_FOLDER);
    log->found = log->n;
    disk_watch(folder);
}

void disk_stop(void)
{
    log_now = NULL;
}

void disk_log_free(disk_log *log)
{
    for (size_t i = 0; i < log->n; i++)
        free(log->ops[i].bytes);
    free(log->ops);
    memset(log, 0, sizeof *log);
}
