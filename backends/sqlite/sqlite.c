/* The vtable: opening, closing, and what asks the store for one thing. */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/backends.h"
#include "backends/path.h"
#include "backends/sqlite/legacy.h"
#include "backends/sqlite/schema.h"
#include "backends/sqlite/store.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Open and close ----------------------------------------------------------------------- */

/* What is at the path, in terms of what is to be done about it. */
typedef enum presence {
    NOTHING,
    STORE,
    UNSETTLED, /* a store of which the log holds more than the file */
    CACHE,     /* of an older wallet */
} presence;

static anonset_code look(presence *is, const as_sqlite *s, anonset_detail *detail)
{
    as_schema_found file = AS_FOUND_MISSING;
    as_legacy_kind kind = AS_LEGACY_CACHE;
    anonset_code code =
        as_schema_look(&file, s->path, (s->options.flags & ANONSET_STORE_READ_ONLY) != 0, detail);
    if (code == ANONSET_OK && file == AS_FOUND_OTHER)
        code = as_legacy_look(&kind, s->path, s->options.busy_ms, detail);
    *is = file == AS_FOUND_OTHER ? (kind == AS_LEGACY_CACHE ? CACHE : UNSETTLED)
                                 : (file == AS_FOUND_OURS ? STORE : NOTHING);
    return code;
}

/* Makes a store of what is there, unless another process was first. */
static anonset_code make(as_sqlite *s, anonset_detail *detail)
{
    presence is;
    anonset_code code = as_lock_take(s->lock, s->options.busy_ms, detail);
    if (code != ANONSET_OK)
        return code;
    code = look(&is, s, detail);
    if (code == ANONSET_OK && is == NOTHING)
        code = as_schema_create(s->path, s->options.salt, detail);
    else if (code == ANONSET_OK && is == CACHE)
        code = as_legacy_upgrade(s->path, s->options.salt, s->options.busy_ms, detail);
    as_lock_release(s->lock);
    return code;
}

static anonset_code refuse(const as_sqlite *s, presence is, anonset_detail *detail)
{
    if (is == NOTHING)
        return as_fail(detail, ANONSET_NOT_FOUND, ENOENT,
                       "%s: there is no store: check the path, or open it to make one", s->path);
    return as_fail(detail, ANONSET_UNSUPPORTED, 0,
                   "%s is the cache of an older wallet, which cannot be read as it is: open it "
                   "once for writing, and it is upgraded",
                   s->path);
}

static anonset_code find_or_make(as_sqlite *s, anonset_detail *detail)
{
    unsigned flags = s->options.flags;
    bool read_only = (flags & ANONSET_STORE_READ_ONLY) != 0;
    presence is;
    anonset_code code = look(&is, s, detail);
    if (code != ANONSET_OK)
        return code;
    if ((is == NOTHING && (flags & ANONSET_STORE_CREATE) == 0) ||
        (read_only && (is == NOTHING || is == CACHE)))
        return refuse(s, is, detail);
    if (read_only)
        return ANONSET_OK;
    code = as_lock_open(&s->lock, s->path, detail);
    if (code == ANONSET_OK && (is == NOTHING || is == CACHE))
        code = make(s, detail);
    if (code == ANONSET_OK && as_path_is_unsure(s->path))
        code = as_sqlite_make_sure(s, detail);
    else if (code == ANONSET_OK && is == UNSETTLED)
        as_sqlite_settle(s);
    return code;
}

static void sqlite_close(void *handle)
{
    as_sqlite *s = handle;
    while (s->idle_count > 0)
        as_db_close(s->idle[--s->idle_count]);
    as_sqlite_writer_close(s);
    as_lock_close(s->lock);
    pthread_mutex_destroy(&s->mutex);
    as_free(s->path);
    as_free(s);
}

static anonset_code sqlite_info(void *handle, anonset_store_info *info, anonset_detail *detail)
{
    as_sqlite *s = handle;
    as_db *db;
    anonset_code code = as_sqlite_reader_take(s, &db, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_sqlite_read_info(db, info, detail);
    as_sqlite_reader_give(s, db);
    return code;
}

/* A file that cannot be read, or that leads readings astray, is refused here. */
static anonset_code look_inside(as_sqlite *s, anonset_detail *detail)
{
    anonset_store_info info;
    as_db *db;
    anonset_code code = as_sqlite_reader_take(s, &db, detail);
    if (code != ANONSET_OK)
        return code;
    if ((s->options.flags & ANONSET_BACKEND_SALVAGE) == 0)
        code = as_schema_check(db, detail);
    if (code == ANONSET_OK)
        code = as_sqlite_read_info(db, &info, detail);
    as_sqlite_reader_give(s, db);
    return code;
}

/* The vtable's check: all that SQLite can say of its pages. */
static anonset_code sqlite_check(void *handle, anonset_detail *detail)
{
    as_sqlite *s = handle;
    as_db *db;
    anonset_code code = as_sqlite_reader_take(s, &db, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_schema_check(db, detail);
    if (code == ANONSET_OK)
        code = as_db_check_pages(db, AS_SQL_CHECK, detail);
    as_sqlite_reader_give(s, db);
    return code;
}

static anonset_code sqlite_open(void **handle, const char *path,
                                const anonset_backend_options *options, anonset_detail *detail)
{
    as_sqlite *s = as_alloc_zeroed(sizeof *s);
    if (s == NULL || pthread_mutex_init(&s->mutex, NULL) != 0) {
        as_free(s);
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory", path);
    }
    s->options = *options;
    atomic_init(&s->unknown, false);
    anonset_code code = as_path_resolve(&s->path, path, detail);
    if (code == ANONSET_OK)
        code = find_or_make(s, detail);
    if (code == ANONSET_OK)
        code = look_inside(s, detail);
    if (code == ANONSET_OK) {
        *handle = s;
        return code;
    }
    atomic_store(&s->unknown, true); /* so that closing copies nothing about in the file */
    sqlite_close(s);
    return code;
}

/* ---- Asking ------------------------------------------------------------------------------- */

static anonset_code sqlite_next_group(void *handle, uint32_t *group, uint32_t after,
                                      anonset_detail *detail)
{
    as_sqlite *s = handle;
    as_db *db;
    uint32_t found = 0;
    anonset_code code = as_sqlite_reader_take(s, &db, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_sqlite_group_next(&found, db, after, detail);
    as_sqlite_reader_give(s, db);
    if (code == ANONSET_OK && found == 0)
        return as_fail(detail, ANONSET_NOT_FOUND, 0, "%s: no group above %u", s->path, after);
    if (code == ANONSET_OK)
        *group = found;
    return code;
}

static anonset_code sqlite_load_state(void *handle, anonset_state *state, uint32_t group,
                                      anonset_detail *detail)
{
    as_sqlite *s = handle;
    as_sqlite_group found;
    as_db *db;
    anonset_code code = as_sqlite_reader_take(s, &db, detail);
    if (code != ANONSET_OK)
        return code;
    code = as_sqlite_group_load(&found, db, group, detail);
    as_sqlite_reader_give(s, db);
    if (code == ANONSET_OK)
        *state = found.ledger.state;
    return code;
}

static anonset_code sqlite_disk_bytes(void *handle, uint64_t *bytes, anonset_detail *detail)
{
    const as_sqlite *s = handle;
    anonset_code code = as_sqlite_usable(s, detail);
    return code == ANONSET_OK ? as_schema_bytes(bytes, s->path, detail) : code;
}

/* ---- Writing ------------------------------------------------------------------------------ */

static anonset_code sqlite_set_genesis(void *handle, const uint8_t *genesis, anonset_detail *detail)
{
    return as_sqlite_write(handle, as_sqlite_work_genesis, genesis, detail);
}

static anonset_code sqlite_append_sector(void *handle, const anonset_append *append,
                                         anonset_detail *detail)
{
    return as_sqlite_write(handle, as_sqlite_work_append, append, detail);
}

static anonset_code sqlite_mark_complete(void *handle, const anonset_complete *complete,
                                         anonset_detail *detail)
{
    return as_sqlite_write(handle, as_sqlite_work_complete, complete, detail);
}

static anonset_code sqlite_discard_incomplete(void *handle, uint32_t group, anonset_detail *detail)
{
    return as_sqlite_write(handle, as_sqlite_work_discard, &group, detail);
}

static anonset_code sqlite_clear(void *handle, uint32_t group, anonset_detail *detail)
{
    anonset_code code = as_sqlite_write(handle, as_sqlite_work_clear, &group, detail);
    if (code == ANONSET_OK)
        as_sqlite_shrink(handle);
    return code;
}

static anonset_code sqlite_drop(void *handle, const anonset_damage *damage, anonset_detail *detail)
{
    return as_sqlite_write(handle, as_sqlite_work_drop, damage, detail);
}

static anonset_code sqlite_mend(void *handle, const anonset_append *append, anonset_detail *detail)
{
    return as_sqlite_write(handle, as_sqlite_work_mend, append, detail);
}

static anonset_code sqlite_used_append(void *handle, const anonset_used_append *append,
                                       anonset_detail *detail)
{
    return as_sqlite_write(handle, as_sqlite_work_used, append, detail);
}

/* All of the new store must be in the one file: a log would stay behind. */
static anonset_code replace_locked(const char *path, const char *by, const char *kept,
                                   anonset_detail *detail)
{
    as_schema_found file;
    uint64_t all = 0;
    struct stat alone;
    anonset_code code = as_schema_look(&file, path, true, detail);
    if (code == ANONSET_OK)
        code = as_schema_bytes(&all, by, detail);
    if (code != ANONSET_OK)
        return code;
    int error = stat(by, &alone) == 0 ? 0 : errno;
    if (error == 0 && (uint64_t)alone.st_size != all)
        return as_fail(detail, ANONSET_BUSY, 0, "%s: another program uses it", by);
    if (error == 0)
        error = as_schema_replace(path, by, kept);
    return error == 0 ? ANONSET_OK : as_schema_fail(detail, path, error);
}

static anonset_code sqlite_replace(const char *path, const char *by, const char *kept,
                                   unsigned busy_ms, anonset_detail *detail)
{
    as_lock *lock = NULL;
    char *full = NULL;
    anonset_code code = as_path_resolve(&full, path, detail);
    if (code == ANONSET_OK)
        code = as_lock_open(&lock, full, detail);
    if (code == ANONSET_OK)
        code = as_lock_take(lock, busy_ms, detail);
    if (code == ANONSET_OK) {
        code = replace_locked(full, by, kept, detail);
        as_lock_release(lock);
    }
    as_lock_close(lock);
    as_free(full);
    if (code == ANONSET_OK)
        (void)as_path_remove(by, "-lock"); /* empty, and used again if it stays */
    return code;
}

const anonset_backend as_backend_sqlite = {
    .size = sizeof(anonset_backend),
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .info = sqlite_info,
    .set_genesis = sqlite_set_genesis,
    .next_group = sqlite_next_group,
    .load_state = sqlite_load_state,
    .append_sector = sqlite_append_sector,
    .mark_complete = sqlite_mark_complete,
    .discard_incomplete = sqlite_discard_incomplete,
    .clear = sqlite_clear,
    .disk_bytes = sqlite_disk_bytes,
    .snapshot_open = as_sqlite_snapshot_open,
    .snapshot_close = as_sqlite_snapshot_close,
    .read = as_sqlite_read,
    .checkpoint = as_sqlite_checkpoint,
    .read_tags = as_sqlite_read_tags,
    .drop = sqlite_drop,
    .mend = sqlite_mend,
    .replace = sqlite_replace,
    .check = sqlite_check,
    .used_append = sqlite_used_append,
    .used_open = as_sqlite_used_open,
    .used_close = as_sqlite_used_close,
    .used_read = as_sqlite_used_read,
    .used_find = as_sqlite_used_find,
    .used_mark = as_sqlite_used_mark,
    .used_check = as_sqlite_used_check,
};
