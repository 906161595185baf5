#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/file.h"

#include "backends/lmdb/keys.h"
#include "backends/lmdb/tree.h"
#include "backends/path.h"
#include "core/alloc.h"
#include "core/bytes.h"
#include "core/detail.h"
#include "core/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DISK_FULL_BYTES 65536u /* what is left where a longer write was cut short */

/* ---- Errors ------------------------------------------------------------------------------- */

static anonset_code fail_lmdb(anonset_detail *detail, int rc, const char *what, const char *path)
{
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_NOTFOUND:
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "%s: %s: %s: the file is damaged; clear or delete it and sync again", path,
                       what, mdb_strerror(rc));
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return as_fail(detail, ANONSET_FOREIGN, 0, "%s: %s: %s", path, what, mdb_strerror(rc));
    case MDB_READERS_FULL:
        return as_fail(detail, ANONSET_BUSY, 0,
                       "%s: all places for readers are taken: close snapshots, or look for "
                       "programs that keep them open",
                       path);
    case MDB_MAP_RESIZED:
        return as_fail(detail, ANONSET_BUSY, 0,
                       "%s: %s: other programs make the store longer all the time: try again", path,
                       what);
    case MDB_MAP_FULL:
        return as_fail(detail, ANONSET_FULL, 0, "%s: %s: the memory map is full", path, what);
    case MDB_PANIC:
        return as_fail(detail, ANONSET_UNKNOWN, 0,
                       "%s: an earlier write met an I/O error: close the store and open it again",
                       path);
    default:
        return as_fail(detail, ANONSET_INTERNAL, 0, "%s: %s: %s", path, what, mdb_strerror(rc));
    }
}

anonset_code(as_lmdb_fail)(anonset_detail *detail, int rc, const char *what, const char *path)
{
    if (rc < 0)
        return fail_lmdb(detail, rc, what, path);
    switch (as_errno_code(rc)) {
    case ANONSET_NO_MEMORY:
        return as_fail(detail, ANONSET_NO_MEMORY, rc, "%s: %s: out of memory", path, what);
    case ANONSET_FULL:
        return as_fail(detail, ANONSET_FULL, rc, "%s: %s: " AS_FULL_TEXT, path, what);
    case ANONSET_PERMISSION:
        return as_fail(detail, ANONSET_PERMISSION, rc,
                       "%s: %s: %s: give the user access to the store, its -lock file and its "
                       "folder, or copy the store",
                       path, what, strerror(rc));
    case ANONSET_NOT_FOUND:
        return as_fail(detail, ANONSET_NOT_FOUND, rc,
                       "%s: %s: %s: check the path, or open it to make a store", path, what,
                       strerror(rc));
    default:
        /* A short write is EIO to LMDB, whatever cut it. */
        if (as_file_disk_full(path))
            return as_fail(detail, ANONSET_FULL, rc, "%s: %s: " AS_FULL_TEXT, path, what);
        return as_fail(detail, ANONSET_IO, rc, "%s: %s: %s", path, what, strerror(rc));
    }
}

anonset_code as_lmdb_too_fast(anonset_detail *detail, const char *path)
{
    return as_fail(detail, ANONSET_BUSY, 0, "%s: commits come too fast for a look at it", path);
}

bool as_file_disk_full(const char *path)
{
    struct statvfs room;
    return statvfs(path, &room) == 0 && (uint64_t)room.f_bavail * room.f_frsize < DISK_FULL_BYTES;
}

/* ---- Names -------------------------------------------------------------------------------- */

anonset_code as_file_name(char **name, const char *path, const char *suffix, anonset_detail *detail)
{
    size_t len = strlen(path), more = strlen(suffix);
    char *made = as_alloc(len + more + 1);
    if (made == NULL)
        return as_lmdb_fail(detail, ENOMEM, "open", path);
    memcpy(made, path, len);
    memcpy(made + len, suffix, more + 1);
    *name = made;
    return ANONSET_OK;
}

/* ---- The info key ------------------------------------------------------------------------- */

#define INFO_NAME   "anonset\n"
#define INFO_FORMAT 5u
#define INFO_HEAD   12u

/* name, 8 bytes | format u32 | core/ledger.h's record */
void as_info_encode(uint8_t out[AS_INFO_BYTES], const anonset_store_info *info)
{
    memcpy(out, INFO_NAME, 8);
    as_put32(out + 8, INFO_FORMAT);
    as_identity_encode(out + INFO_HEAD, info);
}

anonset_code as_info_decode(anonset_store_info *info, const MDB_val *val, const char *path,
                            anonset_detail *detail)
{
    const uint8_t *bytes = val->mv_data;
    if (val->mv_size < INFO_HEAD || memcmp(bytes, INFO_NAME, 8) != 0)
        return as_fail(detail, ANONSET_FOREIGN, 0,
                       "%s: an LMDB file, but not an anonset store; it was not touched: choose "
                       "another path",
                       path);
    if (as_get32(bytes + 8) != INFO_FORMAT)
        return as_fail(detail, ANONSET_FOREIGN, 0, "%s is " AS_FORMAT_TEXT, path,
                       (unsigned)as_get32(bytes + 8), INFO_FORMAT);
    if (!as_identity_decode(info, bytes + INFO_HEAD, val->mv_size - INFO_HEAD))
        return as_fail(detail, ANONSET_CORRUPT, 0, "%s: the store's info record is damaged", path);
    return ANONSET_OK;
}

/* ---- Probing and creating ----------------------------------------------------------------- */

#define SMALL_MAP ((size_t)1 << 20) /* LMDB takes more where the file is longer */

/*
 * Who opens the file while nobody else has it open makes LMDB's reader table anew. Killed in the
 * midst of that, he leaves a table that says that nothing was ever committed, and a second process
 * that waited for him takes it as it is: then it would read, and write on, some older state. So
 * they wait here, before they are in LMDB: who is alone makes the table anew once more.
 */
static int wait_for_turn(int *fd, const char *path)
{
    int rc;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return errno;
    do
        rc = flock(*fd, LOCK_EX);
    while (rc != 0 && errno == EINTR);
    if (rc == 0)
        return 0;
    rc = errno;
    close(*fd);
    return rc;
}

static int open_in_turn(MDB_env *env, const char *path, unsigned flags)
{
    int fd;
    int rc = wait_for_turn(&fd, path);
    if (rc != 0)
        return rc;
    rc = mdb_env_open(env, path, flags, 0644);
    close(fd);
    return rc;
}

int as_file_map(MDB_env **env, const char *path, size_t map, unsigned readers, unsigned flags)
{
    MDB_env *made;
    int rc = mdb_env_create(&made);
    if (rc != 0)
        return rc;
    rc = mdb_env_set_maxreaders(made, readers);
    if (rc == 0)
        rc = mdb_env_set_mapsize(made, map);
    flags |= MDB_NOSUBDIR | MDB_NOTLS;
    if (rc == 0)
        rc = flags & MDB_NOLOCK ? mdb_env_open(made, path, flags, 0644)
                                : open_in_turn(made, path, flags);
    if (rc == 0)
        *env = made;
    else
        mdb_env_close(made);
    return rc;
}

#define GROWN_MOST 16 /* commits of others between two calls here */

int as_file_read(MDB_txn **txn, MDB_env *env)
{
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, txn);
    for (int i = 0; i < GROWN_MOST && rc == MDB_MAP_RESIZED; i++) {
        rc = mdb_env_set_mapsize(env, 0);
        if (rc == 0)
            rc = mdb_txn_begin(env, NULL, MDB_RDONLY, txn);
    }
    return rc;
}

/* Without LMDB, which would make a reader table beside a file that may be foreign, and follow what
 * may have rotted. */
anonset_code as_file_probe(const char *path, anonset_detail *detail)
{
    uint8_t bytes[AS_INFO_BYTES];
    anonset_store_info info;
    as_wanted wanted = {{.kind = AS_KIND_INFO}, bytes, sizeof bytes, 0};
    anonset_code code = as_file_check(path, detail);
    if (code != ANONSET_OK)
        return code;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return as_lmdb_fail(detail, errno, "look", path);
    code = as_tree_probe(&wanted, fd, path, detail);
    close(fd);
    MDB_val val = {.mv_size = wanted.len, .mv_data = bytes};
    return code == ANONSET_OK ? as_info_decode(&info, &val, path, detail) : code;
}

static int commit_empty(MDB_env *env, const uint8_t salt[ANONSET_SALT_BYTES])
{
    MDB_txn *txn;
    MDB_dbi table;
    uint8_t name[AS_KEY_BYTES], bytes[AS_INFO_BYTES];
    anonset_store_info info = {.has_genesis = false};
    MDB_val key = as_key_encode(name, (as_key){.kind = AS_KIND_INFO});
    MDB_val val = {sizeof bytes, bytes};
    memcpy(info.salt, salt, ANONSET_SALT_BYTES);
    as_info_encode(bytes, &info);
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &table);
    if (rc == 0)
        rc = mdb_put(txn, table, &key, &val, 0);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int make_file(const char *temp, const uint8_t salt[ANONSET_SALT_BYTES])
{
    MDB_env *env;
    int rc = as_file_map(&env, temp, SMALL_MAP, 1, MDB_NOLOCK);
    if (rc != 0)
        return rc;
    rc = commit_empty(env, salt);
    mdb_env_close(env);
    return rc == 0 ? as_path_sync(temp, O_RDWR) : rc;
}

anonset_code as_file_create(const char *path, const uint8_t salt[ANONSET_SALT_BYTES],
                            anonset_detail *detail)
{
    char *temp = NULL, *lock = NULL;
    anonset_code code = as_file_name(&temp, path, "-new", detail);
    if (code == ANONSET_OK)
        code = as_file_name(&lock, path, "-lock", detail);
    if (code != ANONSET_OK)
        goto out;
    int rc = make_file(temp, salt);
    /* A reader table left by a store that was deleted says nothing true of this one. */
    if (rc == 0 && unlink(lock) != 0 && errno != ENOENT)
        rc = errno;
    if (rc == 0 && rename(temp, path) != 0)
        rc = errno;
    if (rc == 0)
        rc = as_path_sync_folder(path);
    if (rc != 0) {
        code = as_lmdb_fail(detail, rc, "create", path);
        unlink(temp);
    }
out:
    as_free(temp);
    as_free(lock);
    return code;
}

void as_file_clean(const char *path)
{
    char *temp;
    if (as_file_name(&temp, path, "-new", NULL) != ANONSET_OK)
        return;
    /* Failing to remove it costs a little disk space; creating would tell. */
    (void)unlink(temp);
    as_free(temp);
}

/* ---- Replacing ---------------------------------------------------------------------------- */

static int put_in_place(const char *path, const char *by, const char *kept)
{
    static const char *const beside[] = {"-lock", "-unsure"};
    int rc = as_path_sync(by, O_RDWR);
    if (rc == 0)
        rc = as_path_keep(path, kept);
    for (size_t i = 0; rc == 0 && i < sizeof beside / sizeof *beside; i++)
        rc = as_path_remove(path, beside[i]); /* they say nothing true of the new one */
    if (rc == 0 && rename(by, path) != 0)
        rc = errno;
    if (rc == 0)
        rc = as_path_sync_folder(path);
    return rc;
}

anonset_code as_file_replace(const char *path, const char *by, const char *kept,
                             anonset_detail *detail)
{
    static const char *const beside[] = {"-lock", "-writer-lock", "-unsure"};
    anonset_code code = as_file_check(path, detail);
    if (code != ANONSET_OK && code != ANONSET_CORRUPT)
        return code;
    int rc = put_in_place(path, by, kept);
    if (rc != 0)
        return as_lmdb_fail(detail, rc, "replace", path);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
        (void)as_path_remove(by, beside[i]); /* empty, and used again if it stays */
    return ANONSET_OK;
}

/* ---- The files beside --------------------------------------------------------------------- */

#define READER_BYTES 64u  /* a slot in LMDB's reader table: one cache line */
#define HEAD_BYTES   512u /* more than the table's head, which differs between systems */

/* LMDB makes a table longer that is too short for the readers asked for, which leaves a hole to die
 * in. So one that exists is filled, and just as many readers asked for as it has slots. */
static int reserve(int fd, unsigned *readers)
{
    struct stat now;
    if (fstat(fd, &now) != 0)
        return errno;
    off_t len = now.st_size;
    if (len < (off_t)(HEAD_BYTES + READER_BYTES))
        len = (off_t)(HEAD_BYTES + AS_LMDB_READERS * READER_BYTES);
    *readers = (unsigned)((len - HEAD_BYTES) / READER_BYTES);
    return (uint64_t)now.st_blocks * 512 >= (uint64_t)len ? 0 : posix_fallocate(fd, 0, len);
}

anonset_code as_file_reserve_lock(unsigned *readers, const char *path, anonset_detail *detail)
{
    char *lock;
    anonset_code code = as_file_name(&lock, path, "-lock", detail);
    if (code != ANONSET_OK)
        return code;
    int rc = 0;
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    *readers = AS_LMDB_READERS;
    if (fd >= 0) {
        rc = reserve(fd, readers);
        close(fd);
    } else if (errno != EROFS) /* LMDB reads without a lock where nobody can write */
        rc = errno;
    as_free(lock);
    return rc == 0 ? ANONSET_OK : as_lmdb_fail(detail, rc, "lock file", path);
}

anonset_code as_file_disk_bytes(uint64_t *bytes, const char *path, anonset_detail *detail)
{
    static const char *const suffixes[] = {"", "-lock", "-writer-lock"};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char *name;
        struct stat now;
        anonset_code code = as_file_name(&name, path, suffixes[i], detail);
        if (code != ANONSET_OK)
            return code;
        int rc = stat(name, &now) == 0 ? 0 : errno;
        as_free(name);
        if (rc == 0)
            sum += (uint64_t)now.st_blocks * 512;
        else if (i == 0 || rc != ENOENT)
            return as_lmdb_fail(detail, rc, "disk_bytes", path);
    }
    *bytes = sum;
    return ANONSET_OK;
}
