#include "tests/support/support.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ts_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("support: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

/* A string that lives as long as the process; the list keeps it from being a leak. */
typedef struct kept {
    struct kept *next;
    char text[];
} kept;

static kept *all_kept;

static const char *join(const char *a, const char *b)
{
    size_t len = strlen(a) + 1 + strlen(b) + 1;
    kept *k = malloc(sizeof *k + len);
    if (!k)
        ts_die("no memory");
    snprintf(k->text, len, "%s/%s", a, b);
    k->next = all_kept;
    all_kept = k;
    return k->text;
}

const char *ts_source(const char *below)
{
    return join(TS_SOURCE_DIR, below);
}

void ts_dir_make(ts_dir *dir)
{
    const char *parent = getenv("TMPDIR");
    int len = snprintf(dir->path, sizeof dir->path, "%s/anonset-test-XXXXXX",
                       parent && *parent ? parent : "/tmp");
    if (len < 0 || (size_t)len >= sizeof dir->path || !mkdtemp(dir->path))
        ts_die("cannot make a directory %s: %s", dir->path, strerror(errno));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void ts_dir_remove(ts_dir *dir)
{
    if (nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        ts_die("cannot remove %s: %s", dir->path, strerror(errno));
}

const char *ts_in(const ts_dir *dir, const char *name)
{
    return join(dir->path, name);
}

char *ts_read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        ts_die("cannot open %s: %s", path, strerror(errno));
    long size = ftell(f);
    rewind(f);
    char *bytes = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (!bytes || fread(bytes, 1, (size_t)size, f) != (size_t)size)
        ts_die("cannot read %s: %s", path, strerror(errno));
    fclose(f);
    bytes[size] = 0;
    if (len)
        *len = (size_t)size;
    return bytes;
}

void ts_write_file(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, len, f) != len || fclose(f) != 0)
        ts_die("cannot write %s: %s", path, strerror(errno));
}

bool ts_same_file(const char *a, const char *b)
{
    size_t a_len, b_len;
    char *a_bytes = ts_read_file(a, &a_len);
    char *b_bytes = ts_read_file(b, &b_len);
    bool same = a_len == b_len && memcmp(a_bytes, b_bytes, a_len) == 0;
    free(a_bytes);
    free(b_bytes);
    return same;
}
