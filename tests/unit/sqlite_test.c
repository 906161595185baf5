/* What is particular to the sqlite backend; the contract itself is tested by tests/conformance. */
#include "config.h"

#include "backends/backends.h"
#include "backends/lock.h"
#include "backends/sqlite/schema.h"
#include "tests/support/coins.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1u << 20)

static const anonset_backend *const b = &as_backend_sqlite;
static anonset_detail detail;

/* ---- Faults: SQLite's calls come here first ------------------------------------------------ */

static int fail_sync, fail_write; /* the errno that such a call is to give, or 0 */
static unsigned fail_read_in;     /* EIO for the read after so many more; 0: none */
static bool fake_full;
static const char *fail_writes_to; /* EIO for this file alone; NULL: none */
static unsigned syncs;
static uint64_t written;

static long refuse(int error)
{
    errno = error;
    return -1;
}

ANONSET_API int fdatasync(int fd)
{
    syncs++;
    return fail_sync ? (int)refuse(fail_sync) : (int)syscall(SYS_fdatasync, fd);
}

ANONSET_API ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    char link_name[40], name[200];
    written += len;
    if (fail_writes_to) {
        (void)snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link_name, name, sizeof name - 1);
        name[n > 0 ? n : 0] = '\0';
        if (strcmp(name, fail_writes_to) == 0)
            return refuse(EIO);
    }
    return fail_write ? refuse(fail_write) : syscall(SYS_pwrite64, fd, bytes, len, at);
}

ANONSET_API ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite64(fd, bytes, len, at);
}

ANONSET_API ssize_t pread64(int fd, void *out, size_t len, off64_t at)
{
    bool now = fail_read_in > 0 && --fail_read_in == 0;
    return now ? refuse(EIO) : syscall(SYS_pread64, fd, out, len, at);
}

ANONSET_API ssize_t pread(int fd, void *out, size_t len, off_t at)
{
    return pread64(fd, out, len, at);
}

static const char *no_memory_for; /* statements that begin so cannot be prepared; NULL: none */

ANONSET_API int sqlite3_prepare_v3(sqlite3 *db, const char *sql, int len, unsigned flags,
                                   sqlite3_stmt **statement, const char **rest)
{
    static int (*real)(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **);
    if (no_memory_for && strncmp(sql, no_memory_for, strlen(no_memory_for)) == 0)
        return SQLITE_NOMEM;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sqlite3_prepare_v3");
    return real(db, sql, len, flags, statement, rest);
}

/* For the user that the process is now, and not the one that began it. */
ANONSET_API int access(const char *name, int mode)
{
    return faccessat(AT_FDCWD, name, mode, AT_EACCESS);
}

ANONSET_API int statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    *out = (struct statvfs){.f_frsize = 4096, .f_bavail = fake_full ? 3 : 1000000};
    return 0;
}

/* ---- Stores -------------------------------------------------------------------------------- */

static char dir[] = "/tmp/anonset-sqlite-XXXXXX";
static char path[64];

static void make_dir(void)
{
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/store", dir);
}

static void remove_dir(void)
{
    char command[80];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(sqlite, .init = make_dir, .fini = remove_dir, .timeout = 120);

static const char *beside(const char *ending)
{
    static char name[96];
    snprintf(name, sizeof name, "%s%s", path, ending);
    return name;
}

static uint64_t bytes_of(const char *ending)
{
    struct stat found;
    return stat(beside(ending), &found) == 0 ? (uint64_t)found.st_size : 0;
}

static bool is_there(const char *ending)
{
    return access(beside(ending), F_OK) == 0;
}

static anonset_code try_open(void **handle, unsigned flags)
{
    anonset_backend_options options = {.flags = flags, .busy_ms = 5000};
    memcpy(options.salt, ts_salt, sizeof options.salt);
    memset(&detail, 0, sizeof detail);
    return b->open(handle, path, &options, &detail);
}

static void ok(anonset_code code)
{
    cr_assert_eq(code, ANONSET_OK, "code %d: %s", code, detail.text);
}

static void *open_store(unsigned flags)
{
    void *handle = NULL;
    ok(try_open(&handle, flags));
    return handle;
}

static anonset_code append(void *handle, const ts_chain *chain, uint32_t size, uint32_t base,
                           uint32_t start, uint32_t n)
{
    anonset_append a = {.group = 1, .target = ts_chain_meta(chain, size), .base = base};
    a.start = start;
    a.n = n;
    a.coins = chain->coins + start;
    a.tags = chain->tags + start;
    a.digests = (const uint8_t(*)[ANONSET_HASH_BYTES])(chain->digests + start + 1);
    memcpy(a.digest_before, chain->digests[start], ANONSET_HASH_BYTES);
    memcpy(a.digest_after, chain->digests[start + n], ANONSET_HASH_BYTES);
    return b->append_sector(handle, &a, &detail);
}

static anonset_code complete(void *handle, const ts_chain *chain, uint32_t base, uint32_t size)
{
    anonset_complete c = {.group = 1, .target = ts_chain_meta(chain, size)};
    c.expected_count = size - base;
    c.gate = ANONSET_GATE_COUNT;
    memcpy(c.digest, chain->digests[size], ANONSET_HASH_BYTES);
    return b->mark_complete(handle, &c, &detail);
}

static void finalize(void *handle, const ts_chain *chain, uint32_t base, uint32_t size)
{
    ok(append(handle, chain, size, base, base, size - base));
    ok(complete(handle, chain, base, size));
}

static bool run_is(const anonset_run *run, const ts_chain *chain)
{
    for (uint32_t i = 0; i < run->n; i++) {
        const anonset_coin *is = &run->coins[i], *must = &chain->coins[run->start + i];
        if (is->serialized_len != must->serialized_len || is->context_len != must->context_len ||
            memcmp(is->serialized, must->serialized, is->serialized_len) != 0 ||
            memcmp(is->context, must->context, is->context_len) != 0 ||
            memcmp(is->tx_hash, must->tx_hash, ANONSET_HASH_BYTES) != 0)
            return false;
    }
    return !run->has_digest ||
           memcmp(run->digest, chain->digests[run->start + run->n], ANONSET_HASH_BYTES) == 0;
}

static void shows(void *snapshot, const ts_chain *chain, uint32_t size)
{
    anonset_run run;
    for (uint32_t at = 0; at < size; at = run.start + run.n) {
        ok(b->read(snapshot, &run, at, &detail));
        cr_assert(run.start <= at && at < run.start + run.n && run.start + run.n <= size);
        cr_assert(run_is(&run, chain), "at %u", at);
    }
}

static void *open_snapshot(void *handle, anonset_state *state, anonset_view view)
{
    void *snapshot;
    ok(b->snapshot_open(handle, &snapshot, state, 1, view, &detail));
    return snapshot;
}

static void view_is(void *handle, anonset_view view, const ts_chain *chain, uint32_t size)
{
    anonset_state state;
    void *snapshot = open_snapshot(handle, &state, view);
    cr_assert_eq(view == ANONSET_VIEW_NEXT && state.has_pending ? state.base + state.count
                                                                : state.finalized.size,
                 size);
    shows(snapshot, chain, size);
    b->snapshot_close(snapshot);
}

/* ---- A connection of our own, as another program has ---------------------------------------- */

static sqlite3 *other_program(void)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                 SQLITE_OK);
    return db;
}

static void sql(sqlite3 *db, const char *text)
{
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK, "%s: %s", text,
                 sqlite3_errmsg(db));
}

static void sql_once(const char *text)
{
    sqlite3 *db = other_program();
    sql(db, text);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

static int64_t ask(const char *text)
{
    sqlite3_stmt *statement;
    sqlite3 *db = other_program();
    cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    return answer;
}

/* ---- What a store tells of in passing --------------------------------------------------- */

static anonset_code heard; /* by the caller's log */
static char heard_text[ANONSET_DETAIL_TEXT];

static void hear(void *context, anonset_code code, const char *text)
{
    cr_assert_eq(context, path);
    heard = code;
    (void)strncpy(heard_text, text, sizeof heard_text - 1);
}

/* ---- Files that are not ours ---------------------------------------------------------------- */

static size_t load(const char *ending, uint8_t *out, size_t cap)
{
    FILE *file = fopen(beside(ending), "rb");
    cr_assert(file);
    size_t len = fread(out, 1, cap, file);
    fclose(file);
    return len;
}

static void save(const char *ending, const uint8_t *bytes, size_t len)
{
    FILE *file = fopen(beside(ending), "wb");
    cr_assert(file && fwrite(bytes, 1, len, file) == len && fclose(file) == 0);
}

#define CAP 400000
static uint8_t before[CAP], after[CAP], journal[CAP];

static void is_foreign_and_stays(void)
{
    void *handle;
    size_t len = load("", before, CAP);
    cr_assert_eq(try_open(&handle, ANONSET_STORE_CREATE), ANONSET_FOREIGN);
    cr_assert(strstr(detail.text, "not touched"), "%s", detail.text);
    cr_assert_eq(try_open(&handle, 0), ANONSET_FOREIGN);
    cr_assert_eq(try_open(&handle, ANONSET_STORE_READ_ONLY), ANONSET_FOREIGN);
    cr_assert_eq(load("", after, CAP), len);
    cr_assert_eq(memcmp(before, after, len), 0);
    cr_assert_not(is_there("-lock"));
    cr_assert_not(is_there("-shm"));
}

Test(sqlite, a_wallet_cache_is_foreign)
{
    sql_once("CREATE TABLE SparkSet(id INTEGER PRIMARY KEY, blockHash TEXT)");
    is_foreign_and_stays();
    sql_once("PRAGMA journal_mode=WAL; INSERT INTO SparkSet VALUES(1, 'x')");
    is_foreign_and_stays();
}

/* What makes the file ours is in the log alone: opened by one who may write, it is copied; but not
 * while another writes, and a failure of it is told. */
Test(sqlite, a_store_that_only_its_log_makes_ours)
{
    static const uint8_t nothing[4];
    anonset_backend_options options = {.busy_ms = 100, .log = hear, .log_context = path};
    void *handle;
    as_lock *lock;
    b->close(open_store(ANONSET_STORE_CREATE));
    sqlite3 *db = other_program();
    sql(db, "PRAGMA wal_autocheckpoint=0; BEGIN IMMEDIATE");
    char mark[60];
    (void)snprintf(mark, sizeof mark, "PRAGMA application_id=%d; COMMIT", (int)AS_APPLICATION_ID);
    sql(db, mark);
    size_t len = load("", before, CAP), log_len = load("-wal", journal, CAP);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    cr_assert_gt(log_len, 0);
    memcpy(before + 68, nothing, sizeof nothing);
    (void)unlink(beside("-shm"));
    save("", before, len);
    save("-wal", journal, log_len);
    ok(as_lock_open(&lock, path, &detail));
    ok(as_lock_take(lock, 100, &detail));
    ok(b->open(&handle, path, &options, &detail));
    as_lock_release(lock);
    b->close(handle);
    cr_expect_eq(heard, ANONSET_OK);
    (void)unlink(beside("-shm"));
    save("", before, len);
    save("-wal", journal, log_len);
    no_memory_for = "PRAGMA journal_mode";
    ok(b->open(&handle, path, &options, &detail));
    no_memory_for = NULL;
    b->close(handle);
    cr_expect_eq(heard, ANONSET_NO_MEMORY);
    as_lock_close(lock);
}

Test(sqlite, a_newer_format_is_foreign)
{
    b->close(open_store(ANONSET_STORE_CREATE));
    sql_once("PRAGMA user_version=99");
    cr_assert_eq(unlink(beside("-lock")), 0);
    is_foreign_and_stays();
}

/* SQL, even a question, would roll it back. */
Test(sqlite, a_hot_journal_of_another_program_is_not_rolled_back)
{
    sqlite3 *db = other_program();
    sql(db, "CREATE TABLE t(x); PRAGMA cache_size=2; PRAGMA cache_spill=1; BEGIN;");
    sql(db, "INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c "
            "WHERE i < 60) SELECT randomblob(3000) FROM c");
    size_t len = load("", before, CAP), journal_len = load("-journal", journal, CAP);
    cr_assert(len > 10000 && journal_len > 512);
    sql(db, "ROLLBACK");
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    save("", before, len);
    save("-journal", journal, journal_len);
    is_foreign_and_stays();
    cr_assert_eq(load("-journal", after, CAP), journal_len);
    cr_assert_eq(memcmp(journal, after, journal_len), 0);
}

/* ---- Creating ------------------------------------------------------------------------------- */

Test(sqlite, an_empty_file_becomes_a_store_if_asked)
{
    void *handle;
    save("", before, 0);
    cr_assert_eq(try_open(&handle, 0), ANONSET_NOT_FOUND);
    cr_assert_eq(try_open(&handle, ANONSET_STORE_READ_ONLY), ANONSET_NOT_FOUND);
    cr_assert_eq(bytes_of(""), 0);
    b->close(open_store(ANONSET_STORE_CREATE));
    b->close(open_store(0));
    cr_assert_eq(ask("PRAGMA page_size"), AS_PAGE_BYTES);
    cr_assert_not(is_there("-new"));
}

Test(sqlite, a_creation_that_was_killed_is_done_again)
{
    memset(before, 0x55, 5000);
    save("-new", before, 5000);
    save("-new-wal", before, 5000);
    b->close(open_store(ANONSET_STORE_CREATE));
    cr_assert_not(is_there("-new"));
    cr_assert_not(is_there("-new-wal"));
}

Test(sqlite, the_log_of_a_deleted_store_is_not_read_into_a_new_one)
{
    ts_chain *chain = ts_chain_new(1, 40);
    void *handle = open_store(ANONSET_STORE_CREATE);
    ok(append(handle, chain, 40, 0, 0, 20));
    size_t len = load("-wal", before, CAP);
    cr_assert_gt(len, 4096);
    b->close(handle);
    cr_assert_eq(unlink(path), 0);
    save("-wal", before, len);
    handle = open_store(ANONSET_STORE_CREATE);
    view_is(handle, ANONSET_VIEW_NEXT, chain, 0);
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, a_link_and_the_file_share_one_lock)
{
    b->close(open_store(ANONSET_STORE_CREATE));
    cr_assert_eq(unlink(beside("-lock")), 0);
    char real[sizeof path];
    strcpy(real, path);
    snprintf(path, sizeof path, "%s/link", dir);
    cr_assert_eq(symlink(real, path), 0);
    b->close(open_store(0));
    cr_assert_not(is_there("-lock"));
    strcpy(path, real);
    cr_assert(is_there("-lock"));
}

/* ---- The log -------------------------------------------------------------------------------- */

#define SECTOR 500u

static void append_all(void *handle, const ts_chain *chain, uint32_t sector)
{
    for (uint32_t at = 0; at < chain->n; at += sector) {
        uint32_t n = chain->n - at < sector ? chain->n - at : sector;
        ok(append(handle, chain, chain->n, 0, at, n));
    }
}

Test(sqlite, the_log_is_copied_when_it_has_grown)
{
    ts_chain *chain = ts_chain_new(1, 40 * SECTOR);
    void *handle = open_store(ANONSET_STORE_CREATE);
    append_all(handle, chain, SECTOR);
    cr_assert_lt(bytes_of("-wal"), 13 * MIB / 2);
    cr_assert_gt(bytes_of(""), MIB);
    uint64_t told;
    ok(b->disk_bytes(handle, &told, &detail));
    cr_assert_eq(told, bytes_of("") + bytes_of("-wal") + bytes_of("-shm"));
    b->close(handle);
    cr_assert_not(is_there("-wal"));
    cr_assert_not(is_there("-shm"));
    handle = open_store(0);
    view_is(handle, ANONSET_VIEW_NEXT, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

/* The commits hold, in SQLite's log, so that no call fails. */
Test(sqlite, a_log_that_cannot_be_copied_is_told)
{
    ts_chain *chain = ts_chain_new(1, SECTOR);
    anonset_backend_options options = {
        .flags = ANONSET_STORE_CREATE, .busy_ms = 1000, .log = hear, .log_context = path};
    void *handle;
    ok(b->open(&handle, path, &options, &detail));
    append_all(handle, chain, SECTOR);
    fail_write = EIO;
    b->close(handle);
    fail_write = 0;
    cr_expect_eq(heard, ANONSET_IO, "%d", heard);
    cr_expect(strstr(heard_text, path), "%s", heard_text);
    handle = open_store(0);
    view_is(handle, ANONSET_VIEW_NEXT, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

/* The same in the midst of writing: the log has grown, and cannot be copied. */
Test(sqlite, a_grown_log_that_cannot_be_copied_is_told)
{
    ts_chain *chain = ts_chain_new(1, 40 * SECTOR);
    anonset_backend_options options = {
        .flags = ANONSET_STORE_CREATE, .busy_ms = 1000, .log = hear, .log_context = path};
    void *handle;
    ok(b->open(&handle, path, &options, &detail));
    ok(append(handle, chain, chain->n, 0, 0, 1));
    fail_writes_to = path;
    uint32_t at = 1;
    for (; at + SECTOR < chain->n && heard == ANONSET_OK; at += SECTOR)
        ok(append(handle, chain, chain->n, 0, at, SECTOR));
    fail_writes_to = NULL;
    cr_expect_eq(heard, ANONSET_IO, "%d", heard);
    view_is(handle, ANONSET_VIEW_NEXT, chain, at);
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, a_long_reader_lets_the_log_grow_and_holds_nobody_up)
{
    ts_chain *chain = ts_chain_new(1, 100 * SECTOR);
    anonset_state state;
    void *handle = open_store(ANONSET_STORE_CREATE);
    finalize(handle, chain, 0, SECTOR);
    void *snapshot = open_snapshot(handle, &state, ANONSET_VIEW_FINALIZED);
    for (uint32_t size = 2; size <= 60; size++)
        finalize(handle, chain, (size - 1) * SECTOR, size * SECTOR);
    cr_assert_gt(bytes_of("-wal"), 9 * MIB);
    shows(snapshot, chain, SECTOR);
    b->snapshot_close(snapshot);
    for (uint32_t size = 61; size <= 100; size++)
        finalize(handle, chain, (size - 1) * SECTOR, size * SECTOR);
    cr_assert_leq(bytes_of("-wal"), 8 * MIB); /* copied, begun anew, and cut */
    view_is(handle, ANONSET_VIEW_FINALIZED, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, closing_leaves_the_log_to_a_reader)
{
    ts_chain *chain = ts_chain_new(1, 60);
    anonset_state state;
    void *one = open_store(ANONSET_STORE_CREATE), *two = open_store(0);
    finalize(one, chain, 0, 30);
    void *snapshot = open_snapshot(two, &state, ANONSET_VIEW_FINALIZED);
    finalize(one, chain, 30, 60);
    b->close(one);
    cr_assert(is_there("-wal"));
    shows(snapshot, chain, 30);
    b->snapshot_close(snapshot);
    view_is(two, ANONSET_VIEW_FINALIZED, chain, 60);
    b->close(two);
    cr_assert_not(is_there("-wal"));
    ts_chain_free(chain);
}

static void costs(uint32_t sector, uint32_t syncs_most, uint32_t percent_written)
{
    ts_chain *chain = ts_chain_new(1, 9000);
    uint64_t payload = 0;
    for (uint32_t i = 0; i < chain->n; i++)
        payload += chain->coins[i].serialized_len;
    void *handle = open_store(ANONSET_STORE_CREATE);
    syncs = 0;
    written = 0;
    append_all(handle, chain, sector);
    ok(complete(handle, chain, 0, chain->n));
    b->close(handle);
    cr_assert_leq(syncs, syncs_most, "%u", syncs);
    cr_assert_leq(written * 100, payload * percent_written, "%llu of %llu",
                  (unsigned long long)written, (unsigned long long)payload);
    uint64_t tables = 8 * AS_PAGE_BYTES; /* the first pages of tables, whatever is in them */
    cr_assert_leq(bytes_of("") * 100, payload * 105 + tables * 100, "%llu of %llu",
                  (unsigned long long)bytes_of(""), (unsigned long long)payload);
    ts_chain_free(chain);
}

Test(sqlite, a_sector_costs_what_was_promised)
{
    costs(1500, 14, 212);
}

Test(sqlite, a_small_sector_costs_what_was_promised)
{
    costs(100, 100, 250);
}

/* ---- Rows ----------------------------------------------------------------------------------- */

Test(sqlite, small_appends_share_rows)
{
    ts_chain *chain = ts_chain_new(1, 1000);
    void *handle = open_store(ANONSET_STORE_CREATE);
    append_all(handle, chain, 5);
    cr_assert_leq(ask("SELECT count(*) FROM pack WHERE n > 0"), 120);
    view_is(handle, ANONSET_VIEW_NEXT, chain, chain->n);
    ok(complete(handle, chain, 0, chain->n));
    view_is(handle, ANONSET_VIEW_FINALIZED, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

static void finalize_all(void *handle, const ts_chain *chain, uint32_t delta)
{
    for (uint32_t size = delta; size <= chain->n; size += delta)
        finalize(handle, chain, size - delta, size);
}

Test(sqlite, small_deltas_are_joined_as_they_are_finalized)
{
    ts_chain *chain = ts_chain_new(1, 1000);
    void *handle = open_store(ANONSET_STORE_CREATE);
    finalize_all(handle, chain, 5);
    cr_assert_leq(ask("SELECT count(*) FROM pack WHERE n > 0"), 60);
    cr_assert_leq(ask("SELECT max(length(body)) FROM pack"), 16 * AS_PAGE_BYTES);
    view_is(handle, ANONSET_VIEW_FINALIZED, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, small_deltas_are_not_joined_before_they_fill_a_row)
{
    ts_chain *chain = ts_chain_new(1, 20);
    void *handle = open_store(ANONSET_STORE_CREATE);
    finalize_all(handle, chain, 5);
    cr_assert_eq(ask("SELECT count(*) FROM pack WHERE n > 0"), 4);
    view_is(handle, ANONSET_VIEW_FINALIZED, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

/* However small, so that a finalize looks at no more than that. */
Test(sqlite, so_many_small_deltas_are_joined)
{
    ts_chain *chain = ts_chain_new(1, 150);
    void *handle = open_store(ANONSET_STORE_CREATE);
    for (uint32_t i = 0; i < chain->n; i++)
        chain->coins[i].serialized_len = 9;
    for (uint32_t size = 1; size <= chain->n; size++) {
        finalize(handle, chain, size - 1, size);
        cr_assert_leq(ask("SELECT count(*) FROM pack WHERE n > 0"), 65);
    }
    cr_assert_geq(ask("SELECT max(n) FROM pack"), 64);
    view_is(handle, ANONSET_VIEW_FINALIZED, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

/* No sum of such deltas fills pages before there is enough to be joined without. */
Test(sqlite, deltas_that_never_fill_a_row_are_joined)
{
    static const uint8_t bytes[1920];
    ts_chain *chain = ts_chain_new(1, 60);
    void *handle = open_store(ANONSET_STORE_CREATE);
    for (uint32_t i = 0; i < chain->n; i++) {
        chain->coins[i].serialized = bytes;
        chain->coins[i].serialized_len = sizeof bytes - chain->coins[i].context_len;
    }
    finalize_all(handle, chain, 1);
    cr_assert_eq(ask("SELECT max(n) FROM pack"), 17);
    cr_assert_eq(ask("SELECT count(*) FROM pack WHERE n > 0"), 3 + 60 - 3 * 17);
    view_is(handle, ANONSET_VIEW_FINALIZED, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, of_a_group_that_goes_nothing_stays)
{
    ts_chain *chain = ts_chain_new(1, 20);
    void *handle = open_store(ANONSET_STORE_CREATE);
    ok(append(handle, chain, 20, 0, 0, 5));
    ok(b->discard_incomplete(handle, 1, &detail));
    cr_expect_eq(ask("SELECT count(*) FROM pack") + ask("SELECT count(*) FROM grp"), 0);
    finalize(handle, chain, 0, 5);
    cr_expect_eq(ask("SELECT count(*) FROM pack"), 2, "its coins, and its record behind them");
    ok(append(handle, chain, 20, 5, 5, 5));
    ok(b->clear(handle, 1, &detail));
    cr_expect_eq(ask("SELECT count(*) FROM pack") + ask("SELECT count(*) FROM grp"), 0);
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, an_append_never_touches_finalized_rows)
{
    ts_chain *chain = ts_chain_new(1, 20);
    void *handle = open_store(ANONSET_STORE_CREATE);
    finalize(handle, chain, 0, 5);
    ok(append(handle, chain, 20, 5, 5, 5));
    ok(append(handle, chain, 20, 5, 10, 5));
    cr_assert_eq(ask("SELECT count(*) FROM pack WHERE n > 0"), 2);
    cr_assert_eq(ask("SELECT n FROM pack ORDER BY id LIMIT 1"), 5);
    ok(b->discard_incomplete(handle, 1, &detail));
    cr_assert_eq(ask("SELECT count(*) FROM pack WHERE n > 0"), 1);
    view_is(handle, ANONSET_VIEW_NEXT, chain, 5);
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, a_coin_too_large_for_a_row_is_refused)
{
    uint8_t *bytes = calloc(1, AS_VALUE_MOST);
    uint8_t hash[ANONSET_HASH_BYTES] = {7};
    anonset_coin coin = {.serialized = bytes, .context = bytes, .tx_hash = hash, .context_len = 1};
    coin.serialized_len = AS_VALUE_MOST;
    ts_chain *large = ts_chain_of(1, &coin, 1);
    coin.serialized_len = 1000000;
    ts_chain *fits = ts_chain_of(2, &coin, 1);
    void *handle = open_store(ANONSET_STORE_CREATE);
    cr_assert_eq(append(handle, large, 1, 0, 0, 1), ANONSET_INVALID);
    finalize(handle, fits, 0, 1);
    view_is(handle, ANONSET_VIEW_FINALIZED, fits, 1);
    b->close(handle);
    ts_chain_free(large);
    ts_chain_free(fits);
    free(bytes);
}

/* A small row takes up what follows, but not this. */
Test(sqlite, a_large_coin_behind_a_small_row_gets_one_of_its_own)
{
    uint8_t *bytes = calloc(1, 1000000);
    uint8_t hash[ANONSET_HASH_BYTES] = {7};
    anonset_coin coins[2] = {
        {.serialized = bytes, .context = bytes, .tx_hash = hash, .context_len = 1},
        {.serialized = bytes, .context = bytes, .tx_hash = hash, .context_len = 1}};
    coins[0].serialized_len = 300;
    coins[1].serialized_len = 1000000;
    ts_chain *chain = ts_chain_of(1, coins, 2);
    void *handle = open_store(ANONSET_STORE_CREATE);
    ok(append(handle, chain, 2, 0, 0, 1));
    ok(append(handle, chain, 2, 0, 1, 1));
    view_is(handle, ANONSET_VIEW_NEXT, chain, 2);
    b->close(handle);
    ts_chain_free(chain);
    free(bytes);
}

#define LARGE 1500u /* of about twice what the page cache holds */

/* What was rolled back may be in memory still; it must not be written over what others commit. */
Test(sqlite, a_write_that_was_rolled_back_spoils_no_other)
{
    uint8_t *bytes = calloc(1, AS_VALUE_MOST);
    ts_chain *chain = ts_chain_new(1, 4 * LARGE), *wrong = ts_chain_new(2, 4 * LARGE);
    anonset_coin *coins = chain->coins;
    void *one = open_store(ANONSET_STORE_CREATE), *two = open_store(0);
    ok(append(one, chain, chain->n, 0, 0, LARGE));
    for (uint32_t at = LARGE; at < chain->n; at += LARGE) {
        wrong->coins[at + LARGE - 1].serialized = bytes;
        wrong->coins[at + LARGE - 1].serialized_len = AS_VALUE_MOST;
        chain->coins = wrong->coins;
        cr_assert_eq(append(one, chain, chain->n, 0, at, LARGE), ANONSET_INVALID);
        chain->coins = coins;
        ok(append(two, chain, chain->n, 0, at, LARGE));
        view_is(one, ANONSET_VIEW_NEXT, chain, at + LARGE);
        cr_assert_eq(append(one, chain, chain->n, 0, at, LARGE), ANONSET_STALE);
    }
    b->close(one);
    view_is(two, ANONSET_VIEW_NEXT, chain, chain->n);
    b->close(two);
    ts_chain_free(chain);
    ts_chain_free(wrong);
    free(bytes);
}

/* A commit that never began is no UNKNOWN: the handle goes on. */
Test(sqlite, a_commit_that_there_is_no_memory_for_changes_nothing)
{
    ts_chain *chain = ts_chain_new(1, 2 * LARGE);
    void *handle = open_store(ANONSET_STORE_CREATE);
    no_memory_for = "COMMIT";
    cr_assert_eq(append(handle, chain, chain->n, 0, 0, LARGE), ANONSET_NO_MEMORY);
    view_is(handle, ANONSET_VIEW_NEXT, chain, 0);
    no_memory_for = NULL;
    ok(append(handle, chain, chain->n, 0, 0, LARGE));
    ok(append(handle, chain, chain->n, 0, LARGE, LARGE));
    view_is(handle, ANONSET_VIEW_NEXT, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, discarded_space_is_used_again)
{
    ts_chain *chain = ts_chain_new(1, 4 * SECTOR);
    void *handle = open_store(ANONSET_STORE_CREATE);
    for (int round = 0; round < 5; round++) {
        append_all(handle, chain, SECTOR);
        ok(b->discard_incomplete(handle, 1, &detail));
    }
    append_all(handle, chain, SECTOR);
    b->close(handle);
    cr_assert_lt(bytes_of(""), MIB);
    ts_chain_free(chain);
}

Test(sqlite, clearing_all_makes_the_file_small)
{
    ts_chain *chain = ts_chain_new(1, 10 * SECTOR);
    void *handle = open_store(ANONSET_STORE_CREATE);
    append_all(handle, chain, SECTOR);
    ok(b->clear(handle, 0, &detail));
    cr_assert_lt(bytes_of(""), 65536);
    append_all(handle, chain, SECTOR);
    ok(b->clear(handle, 1, &detail)); /* the last group */
    b->close(handle);
    cr_assert_lt(bytes_of(""), 65536);
    b->close(open_store(0)); /* still known as ours */
    ts_chain_free(chain);
}

/* ---- Faults --------------------------------------------------------------------------------- */

Test(sqlite, a_full_disk_changes_nothing)
{
    ts_chain *chain = ts_chain_new(1, 3 * SECTOR);
    void *handle = open_store(ANONSET_STORE_CREATE);
    ok(append(handle, chain, chain->n, 0, 0, SECTOR));
    fail_write = ENOSPC;
    cr_assert_eq(append(handle, chain, chain->n, 0, SECTOR, SECTOR), ANONSET_FULL);
    cr_assert(strstr(detail.text, "free some space"), "%s", detail.text);
    view_is(handle, ANONSET_VIEW_NEXT, chain, SECTOR);
    cr_assert_eq(append(handle, chain, chain->n, 0, SECTOR, 1), ANONSET_FULL);
    fail_write = 0;
    ok(append(handle, chain, chain->n, 0, SECTOR, SECTOR));
    ok(append(handle, chain, chain->n, 0, 2 * SECTOR, SECTOR));
    b->close(handle);
    handle = open_store(0);
    view_is(handle, ANONSET_VIEW_NEXT, chain, chain->n);
    b->close(handle);
    ts_chain_free(chain);
}

static void refuses_all(void *handle, const ts_chain *chain)
{
    anonset_store_info info;
    anonset_state state;
    uint32_t group;
    uint64_t bytes;
    void *snapshot;
    cr_assert_eq(b->info(handle, &info, &detail), ANONSET_UNKNOWN);
    cr_assert_eq(b->load_state(handle, &state, 1, &detail), ANONSET_UNKNOWN);
    cr_assert_eq(b->next_group(handle, &group, 0, &detail), ANONSET_UNKNOWN);
    cr_assert_eq(b->disk_bytes(handle, &bytes, &detail), ANONSET_UNKNOWN);
    cr_assert_eq(b->check(handle, &detail), ANONSET_UNKNOWN);
    cr_assert_eq(b->snapshot_open(handle, &snapshot, &state, 1, ANONSET_VIEW_NEXT, &detail),
                 ANONSET_UNKNOWN);
    cr_assert_eq(append(handle, chain, chain->n, 0, 0, 1), ANONSET_UNKNOWN);
    cr_assert_eq(complete(handle, chain, 0, chain->n), ANONSET_UNKNOWN);
    cr_assert_eq(b->discard_incomplete(handle, 1, &detail), ANONSET_UNKNOWN);
    cr_assert_eq(b->clear(handle, 0, &detail), ANONSET_UNKNOWN);
    cr_assert_eq(b->set_genesis(handle, chain->digests[1], &detail), ANONSET_UNKNOWN);
}

Test(sqlite, a_commit_that_cannot_be_synced_is_unknown_until_reopened)
{
    ts_chain *chain = ts_chain_new(1, 60);
    anonset_state state;
    void *handle = open_store(ANONSET_STORE_CREATE);
    ok(append(handle, chain, 60, 0, 0, 20));
    fail_sync = EIO;
    cr_assert_eq(append(handle, chain, 60, 0, 20, 20), ANONSET_UNKNOWN);
    cr_assert(strstr(detail.text, "open it again"), "%s", detail.text);
    refuses_all(handle, chain);
    fail_sync = 0;
    refuses_all(handle, chain);
    b->close(handle);
    handle = open_store(0);
    ok(b->load_state(handle, &state, 1, &detail));
    cr_assert(state.count == 20 || state.count == 40);
    ok(append(handle, chain, 60, 0, state.count, 60 - state.count));
    ok(complete(handle, chain, 0, 60));
    view_is(handle, ANONSET_VIEW_FINALIZED, chain, 60);
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, what_a_failed_commit_left_is_settled_before_the_store_is_opened_again)
{
    ts_chain *chain = ts_chain_new(1, 60);
    anonset_state state;
    void *handle = open_store(ANONSET_STORE_CREATE);
    fail_sync = EIO;
    cr_assert_eq(append(handle, chain, 60, 0, 0, 20), ANONSET_UNKNOWN);
    b->close(handle);
    cr_assert(is_there("-unsure"));
    cr_assert_eq(try_open(&handle, 0), ANONSET_IO); /* it may be seen, and yet not last */
    fail_sync = 0;
    handle = open_store(0);
    cr_assert_not(is_there("-unsure"));
    ok(b->load_state(handle, &state, 1, &detail));
    ok(append(handle, chain, 60, 0, state.count, 20));
    b->close(handle);
    ts_chain_free(chain);
}

/* Whoever lets go of the file last copies the log, and then takes it away. */
Test(sqlite, a_handle_that_only_read_writes_the_log_again_before_it_is_copied)
{
    ts_chain *chain = ts_chain_new(1, 60);
    void *writer = open_store(ANONSET_STORE_CREATE), *reader = open_store(0);
    ok(append(writer, chain, 60, 0, 0, 20));
    fail_sync = EIO;
    cr_assert_eq(append(writer, chain, 60, 0, 20, 20), ANONSET_UNKNOWN);
    fail_sync = 0;
    b->close(writer);
    view_is(reader, ANONSET_VIEW_NEXT, chain, 20);
    uint64_t log = bytes_of("-wal");
    written = 0;
    b->close(reader);
    cr_assert_not(is_there("-wal"));
    cr_assert_geq(written, log + AS_PAGE_BYTES, "the log has %llu bytes, %llu were written",
                  (unsigned long long)log, (unsigned long long)written);
    ts_chain_free(chain);
}

Test(sqlite, an_error_on_a_full_disk_says_so)
{
    ts_chain *chain = ts_chain_new(1, 20);
    void *handle = open_store(ANONSET_STORE_CREATE);
    fail_sync = EIO;
    fake_full = true;
    cr_assert_eq(append(handle, chain, 20, 0, 0, 20), ANONSET_UNKNOWN);
    cr_assert(strstr(detail.text, "full"), "%s", detail.text);
    fail_sync = 0;
    b->close(handle);
    ts_chain_free(chain);
}

Test(sqlite, a_full_disk_at_creation_leaves_nothing)
{
    void *handle;
    fail_write = ENOSPC;
    cr_assert_eq(try_open(&handle, ANONSET_STORE_CREATE), ANONSET_FULL);
    fail_write = 0;
    cr_assert_not(is_there(""));
    cr_assert_not(is_there("-new"));
    b->close(open_store(ANONSET_STORE_CREATE));
}

Test(sqlite, another_programs_transaction_is_waited_for_then_busy)
{
    ts_chain *chain = ts_chain_new(1, 20);
    anonset_backend_options options = {.flags = ANONSET_STORE_CREATE, .busy_ms = 50};
    void *handle;
    ok(b->open(&handle, path, &options, &detail));
    ok(append(handle, chain, 20, 0, 0, 10));
    sqlite3 *db = other_program();
    sql(db, "BEGIN IMMEDIATE");
    cr_assert_eq(append(handle, chain, 20, 0, 10, 10), ANONSET_BUSY);
    view_is(handle, ANONSET_VIEW_NEXT, chain, 10);
    sql(db, "COMMIT");
    ok(append(handle, chain, 20, 0, 10, 10));
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    b->close(handle);
    ts_chain_free(chain);
}

/* ---- Damage --------------------------------------------------------------------------------- */

static void is_corrupt(void *handle, uint32_t position)
{
    anonset_state state;
    anonset_run run;
    void *snapshot = open_snapshot(handle, &state, ANONSET_VIEW_FINALIZED);
    cr_assert_eq(b->read(snapshot, &run, position, &detail), ANONSET_CORRUPT);
    cr_assert(detail.text[0]);
    b->snapshot_close(snapshot);
}

Test(sqlite, damaged_rows_are_corrupt)
{
    static const char *const damages[] = {
        "DELETE FROM pack WHERE n > 0",
        "UPDATE pack SET n = 9 WHERE n > 0",
        "UPDATE pack SET n = -1 WHERE n > 0",
        "UPDATE pack SET n = 5000 WHERE n > 0",
        "UPDATE pack SET body = x'00' WHERE n > 0",
        "UPDATE pack SET body = '' WHERE n > 0",
        "UPDATE pack SET body = zeroblob(20000000) WHERE n > 0",
        "UPDATE pack SET body = CAST(body AS TEXT) WHERE n > 0",
        "UPDATE pack SET id = id + 2 WHERE n > 0",
    };
    ts_chain *chain = ts_chain_new(1, 10);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        void *handle = open_store(ANONSET_STORE_CREATE);
        finalize(handle, chain, 0, 10);
        sql_once(damages[i]);
        is_corrupt(handle, 0);
        ok(b->clear(handle, 1, &detail));
        b->close(handle);
    }
    ts_chain_free(chain);
}

/* The history is read from the newest on: `index` is the one that cannot be had. */
static void is_corrupt_history(void *handle, const char *damage, uint32_t index)
{
    anonset_state state;
    anonset_checkpoint checkpoint;
    sql_once(damage);
    void *snapshot = open_snapshot(handle, &state, ANONSET_VIEW_FINALIZED);
    for (uint32_t i = 0; i < index; i++)
        ok(b->checkpoint(snapshot, &checkpoint, i, &detail));
    cr_expect_eq(b->checkpoint(snapshot, &checkpoint, index, &detail), ANONSET_CORRUPT);
    b->snapshot_close(snapshot);
}

Test(sqlite, damaged_records_are_corrupt)
{
    ts_chain *chain = ts_chain_new(1, 20);
    anonset_state state;
    anonset_store_info info;
    void *handle = open_store(ANONSET_STORE_CREATE), *snapshot;
    anonset_checkpoint checkpoint;
    finalize(handle, chain, 0, 10);
    finalize(handle, chain, 10, 14);
    finalize(handle, chain, 14, 20);
    is_corrupt_history(handle, "UPDATE checkpoint SET id = id + 4 WHERE id % 8 = 0", 0);
    sql_once("UPDATE checkpoint SET id = id - 4 WHERE id % 8 = 4");
    is_corrupt_history(handle, "DELETE FROM checkpoint WHERE id % 8 = 1", 1);
    is_corrupt_history(handle, "DELETE FROM checkpoint WHERE id % 8 = 0", 1);
    sql_once("UPDATE checkpoint SET record = zeroblob(108)");
    snapshot = open_snapshot(handle, &state, ANONSET_VIEW_FINALIZED);
    cr_assert_eq(b->checkpoint(snapshot, &checkpoint, 0, &detail), ANONSET_CORRUPT);
    b->snapshot_close(snapshot);
    sql_once("UPDATE grp SET slot = 0");
    cr_assert_eq(b->load_state(handle, &state, 1, &detail), ANONSET_CORRUPT);
    sql_once("DELETE FROM info");
    cr_assert_eq(b->info(handle, &info, &detail), ANONSET_CORRUPT);
    b->close(handle);
    cr_assert_eq(try_open(&handle, 0), ANONSET_CORRUPT);
    ts_chain_free(chain);
}

Test(sqlite, a_log_that_was_switched_off_is_switched_on)
{
    ts_chain *chain = ts_chain_new(1, 10);
    b->close(open_store(ANONSET_STORE_CREATE));
    sql_once("PRAGMA journal_mode=DELETE");
    void *handle = open_store(0);
    finalize(handle, chain, 0, 10);
    cr_assert(is_there("-wal"));
    view_is(handle, ANONSET_VIEW_FINALIZED, chain, 10);
    b->close(handle);
    ts_chain_free(chain);
}

/* ---- Kills ---------------------------------------------------------------------------------- */

#define STEP 40u

/* Appends sectors and finalizes at the end, telling the count after each; until it is killed. */
static void write_until_killed(const ts_chain *chain, int out)
{
    void *handle;
    anonset_state state;
    if (try_open(&handle, ANONSET_STORE_CREATE) != ANONSET_OK ||
        b->load_state(handle, &state, 1, NULL) != ANONSET_OK)
        _exit(1);
    for (uint32_t at = state.count; at < chain->n; at += STEP)
        if (append(handle, chain, chain->n, 0, at, STEP) != ANONSET_OK ||
            write(out, &(uint32_t){at + STEP}, 4) != 4)
            _exit(1);
    if (complete(handle, chain, 0, chain->n) != ANONSET_OK)
        _exit(1);
    b->close(handle);
    _exit(0);
}

/* Lets a child write until it told `sectors` commits, kills it a little later, and returns how much
 * it told at all; *done: it came to its end. */
static uint32_t kill_after(const ts_chain *chain, uint32_t told, unsigned sectors, bool *done)
{
    int ends[2], status;
    uint32_t count;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        write_until_killed(chain, ends[1]);
    }
    close(ends[1]);
    for (unsigned i = 0; i < sectors && read(ends[0], &count, 4) == 4; i++)
        told = count;
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    while (read(ends[0], &count, 4) == 4)
        told = count;
    close(ends[0]);
    *done = WIFEXITED(status);
    cr_assert(!*done || WEXITSTATUS(status) == 0);
    return told;
}

Test(sqlite, a_killed_writer_loses_nothing_it_was_told_of)
{
    ts_chain *chain = ts_chain_new(1, 200 * STEP);
    uint32_t told = 0;
    bool done = false;
    for (unsigned round = 0; round < 40 && !done; round++) {
        anonset_state state;
        told = kill_after(chain, told, 1 + (unsigned)(ts_mix(round, 1) % 9), &done);
        if (!is_there("")) /* killed before the store got its name */
            continue;
        void *handle = open_store(0);
        ok(b->load_state(handle, &state, 1, &detail));
        uint32_t have = state.has_finalized ? state.finalized.size : state.count;
        cr_assert(have == told || have == told + STEP, "%u after %u", have, told);
        view_is(handle, ANONSET_VIEW_NEXT, chain, have);
        b->close(handle);
        done = done || state.has_finalized;
        told = have;
    }
    cr_assert_gt(told, 10 * STEP);
    ts_chain_free(chain);
}

/* ---- Damage that SQLite itself does not see ---------------------------------------------------
 */

static void append_to(void *handle, uint32_t group, const ts_chain *chain, uint32_t n)
{
    anonset_append a = {.group = group, .target = ts_chain_meta(chain, n), .n = n};
    a.coins = chain->coins;
    a.tags = chain->tags;
    a.digests = (const uint8_t(*)[ANONSET_HASH_BYTES])(chain->digests + 1);
    memcpy(a.digest_after, chain->digests[n], ANONSET_HASH_BYTES);
    ok(b->append_sector(handle, &a, &detail));
}

Test(sqlite, the_check_finds_tables_and_records_that_cannot_be)
{
    static const char *const damages[] = {
        "PRAGMA writable_schema=1; UPDATE sqlite_schema SET sql = replace(sql, 'record', 'recorx') "
        "WHERE name = 'checkpoint'",
        "CREATE TABLE zzz(x)",
        "DROP TABLE checkpoint",
        "UPDATE grp SET id = 0 WHERE id = 1",
        "UPDATE grp SET id = 5000000000 WHERE id = 1",
        "UPDATE grp SET slot = 0 WHERE id = 1",
        "UPDATE grp SET slot = 1 << 30 WHERE id = 1",
        "UPDATE grp SET slot = (SELECT min(slot) FROM grp)",
        "UPDATE grp SET slot = 21 WHERE id = 1",
        "DELETE FROM grp",
        "DELETE FROM grp WHERE slot = (SELECT min(slot) FROM grp)",
        "DELETE FROM grp WHERE slot = (SELECT max(slot) FROM grp)",
        "UPDATE pack SET body = x'' WHERE n = 0",
        "UPDATE pack SET body = (SELECT body FROM pack WHERE n = 0) WHERE n = 0",
        "UPDATE pack SET id = id - 1 WHERE n = 0",
        "DELETE FROM pack WHERE n = 0",
    };
    ts_chain *chain = ts_chain_new(1, 10);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        void *handle = open_store(ANONSET_STORE_CREATE);
        for (uint32_t group = 1; group <= 20; group++)
            append_to(handle, group, chain, 10);
        ok(b->check(handle, &detail));
        b->close(handle);
        sql_once(damages[i]);
        anonset_code code = try_open(&handle, ANONSET_STORE_CREATE);
        if (code == ANONSET_OK) {
            code = b->check(handle, &detail);
            b->close(handle);
        }
        cr_expect_eq(code, ANONSET_CORRUPT, "%s: code %d", damages[i], (int)code);
        cr_expect(detail.text[0], "%s", damages[i]);
        remove_dir();
        cr_assert_eq(mkdir(dir, 0700), 0);
    }
    ts_chain_free(chain);
}

/* SQLite's own checks tell both in one list. */
Test(sqlite, a_check_tells_a_disk_that_cannot_be_read_from_damage)
{
    ts_chain *chain = ts_chain_new(1, 500);
    void *handle = open_store(ANONSET_STORE_CREATE);
    append_to(handle, 1, chain, 500);
    b->close(handle);
    unsigned failed = 0;
    bool done = false;
    for (unsigned at = 1; !done; at++) {
        handle = open_store(0);
        fail_read_in = at;
        anonset_code code = b->check(handle, &detail);
        done = fail_read_in > 0;
        fail_read_in = 0;
        cr_assert_eq(code, done ? ANONSET_OK : ANONSET_IO, "read %u: code %d, %s", at, (int)code,
                     detail.text);
        failed += !done;
        b->close(handle);
    }
    cr_assert_gt(failed, 8);
    ts_chain_free(chain);
}

/* SQLite would read it and refuse to write, which is no question of permission. */
Test(sqlite, a_version_that_cannot_be_is_corrupt)
{
    b->close(open_store(ANONSET_STORE_CREATE));
    size_t len = load("", before, sizeof before);
    before[18] ^= 64;
    save("", before, len);
    void *handle;
    cr_expect_eq(try_open(&handle, 0), ANONSET_CORRUPT);
    cr_expect(strstr(detail.text, "repair"), "%s", detail.text);
}

Test(sqlite, groups_that_cannot_be_are_corrupt)
{
    ts_chain *chain = ts_chain_new(1, 10);
    uint32_t group;
    anonset_state state;
    void *handle = open_store(ANONSET_STORE_CREATE);
    append_to(handle, 1, chain, 10);
    sql_once("UPDATE pack SET body = x'' WHERE n = 0");
    cr_expect_eq(b->load_state(handle, &state, 1, &detail), ANONSET_CORRUPT);
    sql_once("UPDATE grp SET slot = 1 << 30 WHERE id = 1");
    cr_expect_eq(b->load_state(handle, &state, 1, &detail), ANONSET_CORRUPT);
    anonset_append a = {.group = 2, .target = ts_chain_meta(chain, 10)};
    cr_expect_eq(b->append_sector(handle, &a, &detail), ANONSET_CORRUPT, "no slot is left");
    sql_once("UPDATE grp SET slot = -5 WHERE id = 1");
    cr_expect_eq(b->append_sector(handle, &a, &detail), ANONSET_CORRUPT, "no slot can be that");
    sql_once("UPDATE grp SET id = 5000000000");
    cr_expect_eq(b->next_group(handle, &group, 0, &detail), ANONSET_CORRUPT);
    anonset_store_info info;
    sql_once("UPDATE info SET record = x''");
    cr_expect_eq(b->info(handle, &info, &detail), ANONSET_CORRUPT);
    b->close(handle);
    ts_chain_free(chain);
}

/* What a repair does with chain's coins [from, to) of the set that is `size` long. */
static void drop(void *handle, const ts_chain *chain, bool pending, uint32_t from, uint32_t to,
                 uint32_t size)
{
    anonset_damage d = {.group = 1, .pending = pending, .from = from, .to = to};
    memcpy(d.digest, chain->digests[size], ANONSET_HASH_BYTES);
    memcpy(d.before, chain->digests[from], ANONSET_HASH_BYTES);
    memcpy(d.after, chain->digests[to], ANONSET_HASH_BYTES);
    ok(b->drop(handle, &d, &detail));
}

static void move_newest_row(unsigned by)
{
    char text[100];
    (void)snprintf(
        text, sizeof text,
        "UPDATE pack SET id = id + 2 * %u WHERE id = (SELECT max(id) FROM pack WHERE n > 0)", by);
    sql_once(text);
}

/* The position in its key rotted: such a row is in no view until the set has grown. */
Test(sqlite, a_row_that_lost_its_place_goes_with_a_repair)
{
    ts_chain *chain = ts_chain_new(1, 60);
    void *handle = open_store(ANONSET_STORE_CREATE);
    finalize(handle, chain, 0, 5);
    finalize(handle, chain, 5, 20);
    move_newest_row(30);
    drop(handle, chain, false, 5, 20, 20);
    cr_assert_eq(ask("SELECT count(*) FROM pack WHERE n > 0"), 1);
    ok(b->clear(handle, 1, &detail));
    finalize(handle, chain, 0, 10);
    ok(append(handle, chain, 60, 10, 10, 5));
    move_newest_row(30);
    drop(handle, chain, true, 10, 15, 15);
    cr_assert_eq(ask("SELECT count(*) FROM pack WHERE n > 0"), 1);
    ok(append(handle, chain, 60, 10, 10, 50));
    ok(complete(handle, chain, 10, 60));
    view_is(handle, ANONSET_VIEW_FINALIZED, chain, 60);
    b->close(handle);
    ts_chain_free(chain);
}

static anonset_code tags_code(void *handle)
{
    anonset_state state;
    anonset_run run;
    void *snapshot = open_snapshot(handle, &state, ANONSET_VIEW_FINALIZED);
    anonset_code code = b->read_tags(snapshot, &run, 0, &detail);
    b->snapshot_close(snapshot);
    return code;
}

Test(sqlite, tags_of_damaged_rows_are_corrupt)
{
    static const char *const damages[] = {
        "UPDATE pack SET n = 9 WHERE n > 0", "UPDATE pack SET body = x'00' WHERE n > 0",
        "UPDATE pack SET n = 5000 WHERE n > 0", "UPDATE pack SET n = 11 WHERE n > 0"};
    ts_chain *chain = ts_chain_new(1, 10);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        void *handle = open_store(ANONSET_STORE_CREATE);
        finalize(handle, chain, 0, 10);
        ok(tags_code(handle));
        sql_once(damages[i]);
        cr_expect_eq(tags_code(handle), ANONSET_CORRUPT, "%s", damages[i]);
        ok(b->clear(handle, 1, &detail));
        b->close(handle);
    }
    ts_chain_free(chain);
}

/* Where a row of the pending set has to go there are two of somebody else. */
Test(sqlite, no_third_row_is_put_where_two_are)
{
    ts_chain *chain = ts_chain_new(1, 10);
    void *handle = open_store(ANONSET_STORE_CREATE);
    finalize(handle, chain, 0, 3);
    sql_once("INSERT INTO pack SELECT (slot << 33) + 2 * 3 + k, 1, 9, zeroblob(40000) FROM grp, "
             "(SELECT 0 AS k UNION SELECT 1) WHERE grp.id = 1");
    cr_expect_eq(append(handle, chain, 10, 3, 3, 5), ANONSET_CORRUPT);
    cr_expect(strstr(detail.text, "twice"), "%s", detail.text);
    b->close(handle);
    ts_chain_free(chain);
}

/* Without permission bits the owner is refused as everybody is, unless it is root. */
Test(sqlite, a_file_that_must_not_be_written_or_read_is_told)
{
    static const struct {
        mode_t mode;
        unsigned flags;
    } rows[] = {{0444, 0}, {0, 0}, {0, ANONSET_STORE_READ_ONLY}};
    bool root = geteuid() == 0;
    b->close(open_store(ANONSET_STORE_CREATE));
    cr_assert_eq(chmod(dir, 0777), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *handle;
        cr_assert_eq(chmod(path, rows[i].mode), 0);
        cr_assert(!root || seteuid(65534) == 0);
        cr_expect_eq(try_open(&handle, rows[i].flags), ANONSET_PERMISSION, "%zu: %s", i,
                     detail.text);
        cr_assert(!root || seteuid(0) == 0);
    }
}

/* Writes read what they go on from. */
Test(sqlite, nothing_is_appended_to_damaged_rows)
{
    static const char *const damages[] = {
        "DELETE FROM pack WHERE n > 0",
        "UPDATE pack SET n = 2 WHERE n = 3",
        "UPDATE pack SET body = (SELECT body FROM pack WHERE n = 4) WHERE n = 3",
        "INSERT INTO pack SELECT (slot << 33) + 2 * 3 + k, 1, 9, x'00' FROM grp, "
        "(SELECT 0 AS k UNION SELECT 1) WHERE grp.id = 1; UPDATE pack SET body = body || "
        "zeroblob(20000) WHERE n = 3",
    };
    ts_chain *chain = ts_chain_new(1, 10);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        void *handle = open_store(ANONSET_STORE_CREATE);
        ok(append(handle, chain, 10, 0, 0, 3));
        append_to(handle, 2, chain, 4);
        sql_once(damages[i]);
        cr_expect_eq(append(handle, chain, 10, 0, 3, 5), ANONSET_CORRUPT, "%s", damages[i]);
        cr_expect(detail.text[0], "%s", damages[i]);
        ok(b->clear(handle, 0, &detail));
        b->close(handle);
    }
    ts_chain_free(chain);
}

/* ---- Replacing ----------------------------------------------------------------------------------
 */

Test(sqlite, a_store_in_use_replaces_none)
{
    char by[96], kept[96];
    void *handle = open_store(ANONSET_STORE_CREATE);
    b->close(handle);
    snprintf(by, sizeof by, "%s/by", dir);
    snprintf(kept, sizeof kept, "%s/kept", dir);
    cr_expect_neq(b->replace(path, by, kept, 100, &detail), ANONSET_OK, "there is none");
    cr_assert_eq(rename(path, by), 0);
    handle = open_store(ANONSET_STORE_CREATE);
    b->close(handle);
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(by, &db), SQLITE_OK);
    sql(db, "PRAGMA user_version"); /* its log is there while it is open */
    sql(db, "UPDATE info SET record = record");
    cr_expect_eq(b->replace(path, by, kept, 100, &detail), ANONSET_BUSY);
    sqlite3_close(db);
    ok(b->replace(path, by, kept, 100, &detail));
    cr_expect_eq(access(by, F_OK), -1);
    cr_expect_eq(access(kept, F_OK), 0);
    handle = open_store(0);
    b->close(handle);
}

/* ---- The layer below SQLite
 * ----------------------------------------------------------------------- */

/* What it does not gather it passes on. */
Test(sqlite, the_layer_answers_as_the_system_does)
{
    void *handle = open_store(ANONSET_STORE_CREATE);
    sqlite3_vfs *layer = sqlite3_vfs_find("anonset"), *system = sqlite3_vfs_find(NULL);
    cr_assert(layer && system && layer != system);
    double here = 0, there = 0;
    cr_expect_eq(layer->xCurrentTime(layer, &here), SQLITE_OK);
    cr_expect_eq(system->xCurrentTime(system, &there), SQLITE_OK);
    cr_expect(there - here < 1 && here - there < 1, "days %f and %f", here, there);
    char random[2][16] = {"", ""};
    for (int i = 0; i < 2; i++)
        cr_expect_eq(layer->xRandomness(layer, sizeof random[i], random[i]), sizeof random[i]);
    cr_expect_neq(memcmp(random[0], random[1], sizeof random[0]), 0);
    sqlite3_file *files[2];
    sqlite3 *dbs[2];
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(sqlite3_open_v2(path, &dbs[i], SQLITE_OPEN_READWRITE, i ? "anonset" : NULL),
                     SQLITE_OK);
        sql(dbs[i], "SELECT * FROM info");
        cr_assert_eq(sqlite3_file_control(dbs[i], "main", SQLITE_FCNTL_FILE_POINTER, &files[i]),
                     SQLITE_OK);
    }
    cr_expect_eq(files[0]->pMethods->xSectorSize(files[0]),
                 files[1]->pMethods->xSectorSize(files[1]));
    for (int i = 0; i < 2; i++)
        sqlite3_close(dbs[i]);
    b->close(handle);
}

/* ---- Damage to the list of used tags -------------------------------------------------------- */

#define USED 20u

static anonset_used tags[USED];

static void *open_with_used(void)
{
    anonset_used_append a = {.n = USED, .used = tags, .digest_after = {1}};
    void *handle = open_store(ANONSET_STORE_CREATE);
    for (uint8_t i = 0; i < USED; i++)
        tags[i] = (anonset_used){.tag = {i, 9}, .tx_hash = {i, 8}};
    ok(b->used_append(handle, &a, &detail));
    return handle;
}

Test(sqlite, tags_without_the_record_of_their_list_are_corrupt)
{
    anonset_used_append a = {.n = 1, .used = tags};
    anonset_used_state state;
    void *handle = open_with_used(), *view;
    sql_once("DELETE FROM used_state");
    cr_expect_eq(b->used_open(handle, &view, &state, &detail), ANONSET_CORRUPT);
    cr_expect(strstr(detail.text, "repair"));
    cr_expect_eq(b->used_append(handle, &a, &detail), ANONSET_CORRUPT);
    ok(b->clear(handle, 0, &detail));
    ok(b->used_append(handle, &a, &detail));
    b->close(handle);
}

static anonset_code find(void *view, uint8_t tag)
{
    anonset_used found;
    uint32_t position;
    return b->used_find(view, &found, &position, tags[tag].tag, &detail);
}

Test(sqlite, an_index_of_used_tags_that_leads_astray_is_corrupt)
{
    anonset_used_state state;
    void *view, *handle = open_with_used();
    b->close(handle);
    sql_once("UPDATE used SET tag = (SELECT tag FROM used WHERE pos = 3) WHERE pos = 5;"
             "DELETE FROM used WHERE pos = 7");
    handle = open_store(0);
    ok(b->used_open(handle, &view, &state, &detail));
    ok(find(view, 3));
    cr_expect_eq(find(view, 5), ANONSET_CORRUPT, "the row has another tag");
    cr_expect_eq(find(view, 7), ANONSET_CORRUPT, "there is no such row");
    b->used_close(view);
    b->close(handle);
}

/* ---- The index of used tags ------------------------------------------------------------------ */

#define MANY 66000u /* more than a run holds */

static anonset_used many[MANY];

static void fill_used(uint32_t from, uint64_t id)
{
    for (uint32_t i = from; i < MANY; i++) {
        ts_fill(many[i].tag, sizeof many[i].tag, ts_mix(id, i));
        ts_fill(many[i].tx_hash, sizeof many[i].tx_hash, i);
    }
}

/* Appends up to `upto`, `step` at a time, behind the first `keep`. */
static void grow_used(void *handle, uint32_t keep, uint32_t upto, uint32_t step)
{
    for (uint32_t n; keep < upto; keep += n) {
        anonset_used_append a = {.keep = keep, .used = many + keep};
        void *view;
        n = upto - keep < step ? upto - keep : step;
        a.n = n;
        ok(b->used_open(handle, &view, &a.before, &detail));
        b->used_close(view);
        ok(b->used_append(handle, &a, &detail));
    }
}

/* Each tag has one entry, in so many runs. */
static void index_is(uint32_t count, int64_t runs_most)
{
    cr_expect_eq(ask("SELECT count(*) FROM used_key"), count);
    cr_expect_eq(ask("SELECT count(DISTINCT run + (entry & 65535)) FROM used_key"), count);
    cr_expect_leq(ask("SELECT count(DISTINCT run) FROM used_key"), runs_most);
}

static void finds_all(void *handle, uint32_t count)
{
    anonset_used_state state;
    uint32_t sound;
    void *view;
    ok(b->used_open(handle, &view, &state, &detail));
    cr_assert_eq(state.count, count);
    ok(b->used_check(view, &sound, &detail));
    cr_expect_eq(sound, count);
    for (uint32_t i = 0; i < count; i += 97) {
        anonset_used found;
        uint32_t position;
        ok(b->used_find(view, &found, &position, many[i].tag, &detail));
        cr_expect(position == i && memcmp(&found, &many[i], sizeof found) == 0);
    }
    b->used_close(view);
}

Test(sqlite, used_tags_are_indexed_in_few_runs)
{
    void *handle = open_store(ANONSET_STORE_CREATE);
    fill_used(0, 1);
    grow_used(handle, 0, 200, 1);
    index_is(200, 3 * 7);
    grow_used(handle, 200, MANY, 8192);
    index_is(MANY, 5 * 7);
    finds_all(handle, MANY);
    fill_used(30000, 2); /* in the midst of a run */
    grow_used(handle, 30000, 30005, 5);
    index_is(30005, 5 * 7);
    finds_all(handle, 30005);
    grow_used(handle, 0, MANY, MANY);
    index_is(MANY, 2);
    finds_all(handle, MANY);
    b->close(handle);
}

Test(sqlite, an_entry_of_a_tag_that_begins_alike_is_passed_over)
{
    anonset_used twins[2] = {{.tag = {1, 2, 3, 4, 5, 6, 7}}, {.tag = {1, 2, 3, 4, 5, 6, 8}}};
    anonset_used_append a = {.n = 2, .used = twins, .digest_after = {1}};
    anonset_used_state state;
    anonset_used found, absent = {.tag = {1, 2, 3, 4, 5, 6, 9}};
    uint32_t position;
    void *view, *handle = open_store(ANONSET_STORE_CREATE);
    ok(b->used_append(handle, &a, &detail));
    ok(b->used_open(handle, &view, &state, &detail));
    for (uint32_t i = 0; i < 2; i++) {
        ok(b->used_find(view, &found, &position, twins[i].tag, &detail));
        cr_expect_eq(position, i);
    }
    cr_expect_eq(b->used_find(view, &found, &position, absent.tag, &detail), ANONSET_NOT_FOUND);
    b->used_close(view);
    b->close(handle);
}
