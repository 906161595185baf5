#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/sqlite/schema.h"

#include "backends/path.h"
#include "core/detail.h"
#include "core/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT(value)    TEXT_OF(value)
#define TEXT_OF(value) #value

static const char pragmas[] = "PRAGMA page_size=" TEXT(
    AS_PAGE_BYTES) ";"
                   "PRAGMA auto_vacuum=0;"
                   "PRAGMA synchronous=OFF;" /* the file is synced as a whole before it gets its
                                                name */
                   "PRAGMA journal_mode=WAL;";

static const char mark[] =
    "BEGIN IMMEDIATE;"
    "PRAGMA application_id=" TEXT(AS_APPLICATION_ID) ";"
                                                     "PRAGMA user_version=" TEXT(AS_FORMAT) ";";

const char *const as_schema_tables[AS_SCHEMA_TABLES] = {
    "CREATE TABLE info(id INTEGER PRIMARY KEY CHECK(id = 1), record BLOB NOT NULL)",
    "CREATE TABLE grp(id INTEGER PRIMARY KEY, slot INTEGER NOT NULL)",
    "CREATE TABLE pack(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " body BLOB NOT NULL)",
    "CREATE TABLE checkpoint(id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    "CREATE TABLE used_state(id INTEGER PRIMARY KEY CHECK(id = 1), record BLOB NOT NULL)",
    "CREATE TABLE used(pos INTEGER PRIMARY KEY, tag BLOB NOT NULL, tx BLOB NOT NULL,"
    " digest BLOB)", /* behind this tag, of the list up to it: where an append ended */
    "CREATE TABLE used_key(run INTEGER NOT NULL, entry INTEGER NOT NULL,"
    " PRIMARY KEY(run, entry)) WITHOUT ROWID",
};

/* Packs of a range of keys that are pending, or that are not: (epoch = ?3) = ?4. */
#define OF_SIDE " FROM pack WHERE id BETWEEN ?1 AND ?2 AND (epoch = ?3) = ?4 ORDER BY id "

/* A group that lost its record has none. The key is as_record_id. */
#define GROUP_RECORD " FROM grp LEFT JOIN pack ON pack.id = (slot + 1 << 33) - 1 "

const char *const as_sql_text[AS_SQL_COUNT] = {
    [AS_SQL_BEGIN_READ] = "BEGIN",
    [AS_SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [AS_SQL_COMMIT] = "COMMIT",
    [AS_SQL_ROLLBACK] = "ROLLBACK",
    [AS_SQL_INFO] = "SELECT record FROM info",
    [AS_SQL_INFO_PUT] = "UPDATE info SET record = ?1",
    [AS_SQL_GROUP_GET] = "SELECT slot, body" GROUP_RECORD "WHERE grp.id = ?1",
    [AS_SQL_GROUP_PUT] = "INSERT INTO grp(id, slot) VALUES(?1, ?2)",
    [AS_SQL_GROUP_DELETE] = "DELETE FROM grp WHERE id = ?1",
    [AS_SQL_GROUP_DELETE_ALL] = "DELETE FROM grp",
    [AS_SQL_GROUP_NEXT] = "SELECT id FROM grp WHERE id > ?1 ORDER BY id LIMIT 1",
    [AS_SQL_GROUP_NEW_SLOT] = "SELECT coalesce(max(slot), 0) + 1 FROM grp",
    [AS_SQL_RECORD_PUT] = "INSERT OR REPLACE INTO pack(id, n, epoch, body) VALUES(?1, 0, 0, ?2)",
    [AS_SQL_PACK_FIND] = "SELECT id, n, length(body)" OF_SIDE "DESC LIMIT 1",
    [AS_SQL_PACK_READ] = "SELECT id, n, body" OF_SIDE "DESC LIMIT 1",
    [AS_SQL_PACK_NEXT] = "SELECT id" OF_SIDE "LIMIT 1",
    [AS_SQL_PACK_BODY] = "SELECT body FROM pack WHERE id = ?1",
    [AS_SQL_PACK_INSERT] = "INSERT OR IGNORE INTO pack(id, n, epoch, body) VALUES(?1, ?2, ?3, ?4)",
    [AS_SQL_PACK_UPDATE] = "UPDATE pack SET n = ?2, body = ?3 WHERE id = ?1",
    [AS_SQL_PACK_DELETE] = "DELETE FROM pack WHERE id = ?1",
    [AS_SQL_PACK_DELETE_PENDING] = "DELETE FROM pack WHERE id BETWEEN ?1 AND ?2 AND epoch = ?3",
    [AS_SQL_PACK_DELETE_OTHERS] = "DELETE FROM pack WHERE id BETWEEN ?1 AND ?2 AND epoch <> ?3",
    [AS_SQL_PACK_DELETE_RANGE] = "DELETE FROM pack WHERE id BETWEEN ?1 AND ?2",
    [AS_SQL_PACK_DELETE_ALL] = "DELETE FROM pack",
    [AS_SQL_CHECKPOINT_READ] =
        "SELECT id, record FROM checkpoint WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC",
    [AS_SQL_CHECKPOINT_PUT] = "INSERT OR REPLACE INTO checkpoint(id, record) VALUES(?1, ?2)",
    [AS_SQL_CHECKPOINT_DELETE_RANGE] = "DELETE FROM checkpoint WHERE id BETWEEN ?1 AND ?2",
    [AS_SQL_CHECKPOINT_DELETE_ALL] = "DELETE FROM checkpoint",
    [AS_SQL_JOURNAL_MODE] = "PRAGMA journal_mode=WAL",
    [AS_SQL_VACUUM] = "VACUUM",
    /* A commit that changes nothing: an UPDATE to the same value would be none. */
    [AS_SQL_TOUCH] = "PRAGMA user_version=" TEXT(AS_FORMAT),
    [AS_SQL_SCHEMA] = "SELECT sql FROM sqlite_master ORDER BY rowid",
    [AS_SQL_GROUP_ALL] = "SELECT grp.id, slot, body" GROUP_RECORD "ORDER BY grp.id",
    [AS_SQL_PACK_AFTER] = "SELECT id FROM pack WHERE id >= ?1 ORDER BY id LIMIT 1",
    [AS_SQL_CHECK] = "PRAGMA quick_check(1)",
    [AS_SQL_USED_STATE] = "SELECT record FROM used_state",
    [AS_SQL_USED_STATE_PUT] = "INSERT OR REPLACE INTO used_state(id, record) VALUES(1, ?1)",
    [AS_SQL_USED_STATE_DELETE] = "DELETE FROM used_state",
    [AS_SQL_USED_INSERT] = "INSERT INTO used(pos, tag, tx) VALUES(?1, ?2, ?3)",
    /* All at once, whatever rotted in them: rows are not looked at. */
    [AS_SQL_USED_DELETE_ALL] = "DELETE FROM used",
    [AS_SQL_USED_DELETE_FROM] = "DELETE FROM used WHERE pos >= ?1",
    [AS_SQL_USED_CHECK] = "PRAGMA quick_check('used')",
    [AS_SQL_USED_KEY_CHECK] = "PRAGMA quick_check('used_key')",
    [AS_SQL_USED_COUNT] = "SELECT count(*) FROM used",
    [AS_SQL_USED_MARK_PUT] = "UPDATE used SET digest = ?2 WHERE pos = ?1",
    [AS_SQL_USED_MARK] = "SELECT pos, digest FROM used WHERE pos >= ?1 AND digest IS NOT NULL"
                         " ORDER BY pos LIMIT 1",
    [AS_SQL_USED_READ] = "SELECT pos, tag, tx FROM used WHERE pos >= ?1 ORDER BY pos LIMIT ?2",
    /* The oldest run first, and in it the lowest place. */
    [AS_SQL_USED_FIND] =
        "WITH RECURSIVE runs(at) AS (SELECT min(run) FROM used_key UNION ALL"
        " SELECT (SELECT min(run) FROM used_key WHERE run > at) FROM runs WHERE at IS NOT NULL)"
        " SELECT at + (entry & 65535), tag, tx FROM runs"
        " CROSS JOIN used_key ON run = at AND entry BETWEEN ?1 AND ?1 + 65535"
        " LEFT JOIN used ON pos = at + (entry & 65535)",
    [AS_SQL_USED_RUN_BELOW] = "SELECT max(run) FROM used_key WHERE run < ?1",
    [AS_SQL_USED_KEY_PUT] = "INSERT INTO used_key(run, entry) VALUES(?1, ?2)",
    [AS_SQL_USED_KEY_ALL] = "SELECT run, entry FROM used_key ORDER BY run, entry",
    [AS_SQL_USED_KEY_CUT] = "DELETE FROM used_key WHERE run >= ?1",
    [AS_SQL_USED_KEY_CLEAR] = "DELETE FROM used_key",
};

anonset_code(as_schema_fail)(anonset_detail *detail, const char *path, int error)
{
    anonset_code code = as_errno_code(error);
    return as_fail(detail, code, error, "%s: cannot use the file: %s", path,
                   code == ANONSET_FULL ? AS_FULL_TEXT : strerror(error));
}

/* ---- Looking ------------------------------------------------------------------------------ */

/* Offsets in the first 100 bytes; all numbers are big-endian. Source: sqlite.org/fileformat2.html
 */
enum {
    MAGIC_BYTES = 16,
    USER_VERSION_AT = 60,
    APPLICATION_ID_AT = 68,
};

static uint32_t big_endian(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static anonset_code judge_head(as_schema_found *file, const uint8_t *head, const char *path,
                               anonset_detail *detail)
{
    if (memcmp(head, "SQLite format 3", MAGIC_BYTES) != 0)
        return as_fail(detail, ANONSET_FOREIGN, 0,
                       "%s is not an SQLite file; it was not touched: choose another path", path);
    *file = AS_FOUND_OTHER;
    if (big_endian(head + APPLICATION_ID_AT) != AS_APPLICATION_ID)
        return ANONSET_OK;
    *file = AS_FOUND_OURS;
    if (big_endian(head + USER_VERSION_AT) != AS_FORMAT)
        return as_fail(detail, ANONSET_FOREIGN, 0, "%s is " AS_FORMAT_TEXT, path,
                       (unsigned)big_endian(head + USER_VERSION_AT), (unsigned)AS_FORMAT);
    return ANONSET_OK;
}

/*
 * Reads the head through SQLite's own file object: opening and closing the file ourselves would
 * let go of the locks that other connections of this process hold on it (POSIX), and asking SQLite
 * in SQL would roll back a foreign file's journal.
 */
anonset_code as_schema_head(uint8_t head[AS_HEAD_BYTES], as_db *db, anonset_detail *detail)
{
    sqlite3_file *inside = NULL;
    memset(head, 0, AS_HEAD_BYTES);
    int rc = sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_FILE_POINTER, &inside);
    if (rc == SQLITE_OK)
        rc = inside->pMethods->xRead(inside, head, AS_HEAD_BYTES, 0);
    if (rc == SQLITE_IOERR_SHORT_READ) /* the rest of `head` is zeros then */
        rc = SQLITE_OK;
    return rc == SQLITE_OK ? ANONSET_OK : as_db_fail(db, rc, "look at the file", detail);
}

static anonset_code judge_inside(as_schema_found *file, as_db *db, anonset_detail *detail)
{
    uint8_t head[AS_HEAD_BYTES];
    anonset_code code = as_schema_head(head, db, detail);
    return code == ANONSET_OK ? judge_head(file, head, db->path, detail) : code;
}

static anonset_code judge_access(const as_db *db, anonset_detail *detail)
{
    if (sqlite3_db_readonly(db->sqlite, "main") != 1)
        return ANONSET_OK;
    return as_fail(detail, ANONSET_PERMISSION, EACCES,
                   "%s: no permission to write: give the user write access, or open it read-only",
                   db->path);
}

anonset_code as_schema_look(as_schema_found *file, const char *path, bool read_only,
                            anonset_detail *detail)
{
    struct stat found;
    as_db *db;
    int error = stat(path, &found) == 0 ? 0 : errno;
    if (error != 0 && error != ENOENT)
        return as_schema_fail(detail, path, error);
    if (error == ENOENT) {
        *file = AS_FOUND_MISSING;
        return ANONSET_OK;
    }
    /* A pipe would be waited for, and a device replaced by a store. */
    if (!S_ISREG(found.st_mode))
        return as_fail(detail, ANONSET_FOREIGN, 0,
                       "%s is a folder, a device or the like: choose another path", path);
    anonset_code code =
        as_db_open(&db, path, read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE, 0, detail);
    if (code != ANONSET_OK)
        return code;
    /* Not SQLite's own size: it takes a file of one byte for an empty one. */
    *file = AS_FOUND_EMPTY;
    if (found.st_size != 0)
        code = judge_inside(file, db, detail);
    if (code == ANONSET_OK && !read_only && *file != AS_FOUND_OTHER)
        code = judge_access(db, detail);
    as_db_close(db);
    return code;
}

anonset_code as_schema_bytes(uint64_t *bytes, const char *path, anonset_detail *detail)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        struct stat found;
        char *name = sqlite3_mprintf("%s%s", path, endings[i]);
        if (name == NULL)
            return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", path);
        int error = stat(name, &found) == 0 ? 0 : errno;
        sqlite3_free(name);
        if (error == 0)
            sum += (uint64_t)found.st_size;
        else if (error != ENOENT)
            return as_fail(detail, ANONSET_IO, error, "%s: cannot tell its size: %s", path,
                           strerror(error));
    }
    *bytes = sum;
    return ANONSET_OK;
}

/* ---- Creating ----------------------------------------------------------------------------- */

int as_schema_remove(const char *path, bool itself)
{
    static const char *const endings[] = {"-wal", "-shm", "-journal", ""};
    size_t n = sizeof endings / sizeof *endings - (itself ? 0 : 1);
    for (size_t i = 0; i < n; i++) {
        char *name = sqlite3_mprintf("%s%s", path, endings[i]);
        if (name == NULL)
            return ENOMEM;
        int error = unlink(name) == 0 ? 0 : errno;
        sqlite3_free(name);
        if (error != 0 && error != ENOENT)
            return error;
    }
    return 0;
}

anonset_code as_schema_fill(as_db *db, const uint8_t salt[ANONSET_SALT_BYTES],
                            anonset_detail *detail)
{
    sqlite3_stmt *insert = NULL;
    uint8_t record[AS_IDENTITY_BYTES];
    anonset_store_info info = {.has_genesis = false};
    anonset_code code = as_db_exec(db, mark, "create the store", detail);
    for (size_t i = 0; i < AS_SCHEMA_TABLES && code == ANONSET_OK; i++)
        code = as_db_exec(db, as_schema_tables[i], "create the store", detail);
    if (code != ANONSET_OK)
        return code;
    memcpy(info.salt, salt, sizeof info.salt);
    as_identity_encode(record, &info);
    int rc = sqlite3_prepare_v2(db->sqlite, "INSERT INTO info(id, record) VALUES(1, ?1)", -1,
                                &insert, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob(insert, 1, record, sizeof record, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(insert);
    sqlite3_finalize(insert);
    return rc == SQLITE_DONE ? ANONSET_OK : as_db_fail(db, rc, "create the store", detail);
}

static anonset_code fill(as_db *db, const uint8_t *salt, anonset_detail *detail)
{
    bool whole = false;
    anonset_code code = as_db_exec(db, pragmas, "create the store", detail);
    if (code == ANONSET_OK)
        code = as_schema_fill(db, salt, detail);
    if (code == ANONSET_OK)
        code = as_db_exec(db, "COMMIT", "create the store", detail);
    if (code == ANONSET_OK)
        code = as_db_checkpoint(db, &whole, SQLITE_CHECKPOINT_TRUNCATE, detail);
    if (code == ANONSET_OK && !whole)
        code = as_fail(detail, ANONSET_BUSY, 0,
                       "%s: another program uses it: end that and call again", db->path);
    return code;
}

/* A whole store in one file: all of it was copied out of the log, which may go. */
static anonset_code make_file(const char *path, const uint8_t *salt, anonset_detail *detail)
{
    as_db *db;
    anonset_code code =
        as_db_open(&db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, 0, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_db_configure(db, detail);
    if (code == ANONSET_OK)
        code = fill(db, salt, detail);
    as_db_close(db);
    return code;
}

/*
 * Under another name first, then renamed: a crash leaves nothing, or what was there, or a whole
 * store. A log left behind by a store that was deleted would be read into the new one, and goes.
 */
anonset_code as_schema_create(const char *path, const uint8_t salt[ANONSET_SALT_BYTES],
                              anonset_detail *detail)
{
    anonset_code code;
    char *making = sqlite3_mprintf("%s-new", path);
    if (making == NULL)
        return as_schema_fail(detail, path, ENOMEM);
    int error = as_schema_remove(making, true);
    if (error == 0) {
        code = make_file(making, salt, detail);
        if (code != ANONSET_OK)
            goto out;
        error = as_schema_remove(making, false);
    }
    if (error == 0)
        error = as_path_sync(making, O_RDONLY);
    if (error == 0)
        error = as_schema_remove(path, false);
    if (error == 0 && rename(making, path) != 0)
        error = errno;
    if (error == 0)
        error = as_path_sync_folder(path);
    code = error == 0 ? ANONSET_OK : as_schema_fail(detail, path, error);
out:
    if (code != ANONSET_OK)
        (void)as_schema_remove(making, true); /* what stays is removed by the next creation */
    sqlite3_free(making);
    return code;
}

/* ---- Replacing ---------------------------------------------------------------------------- */

static int keep_log(const char *path, const char *kept)
{
    char *log = sqlite3_mprintf("%s-wal", path);
    char *name = sqlite3_mprintf("%s-wal", kept);
    int error = log && name ? as_path_keep(log, name) : ENOMEM;
    sqlite3_free(log);
    sqlite3_free(name);
    return error;
}

/* The old log goes before the new file comes: it would be read into it. */
int as_schema_replace(const char *path, const char *by, const char *kept)
{
    int error = as_path_sync(by, O_RDONLY);
    if (error == 0)
        error = as_path_keep(path, kept);
    if (error == 0)
        error = keep_log(path, kept);
    if (error == 0)
        error = as_schema_remove(path, false);
    if (error == 0)
        error = as_path_sync_folder(path);
    if (error == 0 && rename(by, path) != 0)
        error = errno;
    if (error == 0)
        error = as_path_sync_folder(path);
    if (error == 0)
        error = as_schema_remove(by, false);
    return error;
}
