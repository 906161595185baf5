/* What is particular to the lmdb backend; the contract itself is tested by tests/conformance. */
#include "config.h"

#include "backends/backends.h"
#include "backends/lmdb/env.h"
#include "backends/lmdb/keys.h"
#include "backends/lmdb/meta.h"
#include "backends/lock.h"
#include "core/ledger.h"
#include "tests/support/coins.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Faults: LMDB's calls come here first -------------------------------------------------- */

static int fail_sync, fail_write, fail_allocate; /* the errno that such a call is to give, or 0 */
static unsigned syncs, reads;

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
    return fail_write ? refuse(fail_write) : syscall(SYS_pwrite64, fd, bytes, len, at);
}

ANONSET_API ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite64(fd, bytes, len, at);
}

ANONSET_API ssize_t writev(int fd, const struct iovec *parts, int n)
{
    return fail_write ? refuse(fail_write) : syscall(SYS_writev, fd, parts, n);
}

ANONSET_API int posix_fallocate(int fd, off_t at, off_t len)
{
    if (fail_allocate)
        return fail_allocate;
    return ftruncate(fd, at + len) == 0 ? 0 : errno;
}

ANONSET_API int posix_fallocate64(int fd, off64_t at, off64_t len)
{
    return posix_fallocate(fd, at, len);
}

/* ---- A store to work on -------------------------------------------------------------------- */

#define COINS  3000u
#define SECTOR 250u

static const anonset_backend *const lmdb = &as_backend_lmdb;
static char dir[64], path[96];
static ts_chain *chain;
static anonset_detail detail;

#define GIVES(expected, call)                                                                      \
    do {                                                                                           \
        anonset_code got_ = (call);                                                                \
        cr_assert_eq(got_, expected, "%s gave \"%s\": %s", #call, anonset_strerror(got_),          \
                     detail.text);                                                                 \
    } while (0)

static char *beside(const char *suffix)
{
    static char name[4][128];
    static unsigned at;
    char *out = name[at++ % 4];
    snprintf(out, sizeof name[0], "%s%s", path, suffix);
    return out;
}

static void set_up(void)
{
    snprintf(dir, sizeof dir, "/tmp/anonset-lmdb-XXXXXX");
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/store", dir);
    chain = ts_chain_new(1, COINS);
}

static unsigned each_file(void (*visit)(const char *name))
{
    unsigned n = 0;
    DIR *listing = opendir(dir);
    cr_assert(listing);
    for (struct dirent *entry; (entry = readdir(listing));) {
        char name[400];
        if (entry->d_name[0] == '.')
            continue;
        n++;
        snprintf(name, sizeof name, "%s/%s", dir, entry->d_name);
        if (visit)
            visit(name);
    }
    closedir(listing);
    return n;
}

static void remove_file(const char *name)
{
    cr_assert(unlink(name) == 0);
}

static void tear_down(void)
{
    each_file(remove_file);
    cr_assert(rmdir(dir) == 0);
    ts_chain_free(chain);
}

TestSuite(lmdb, .init = set_up, .fini = tear_down, .timeout = 120);

static anonset_code try_open(void **handle, const char *at, unsigned flags, unsigned busy_ms)
{
    anonset_backend_options options = {.flags = flags, .busy_ms = busy_ms};
    memcpy(options.salt, ts_salt, sizeof options.salt);
    return lmdb->open(handle, at, &options, &detail);
}

static void *open_store(void)
{
    void *handle;
    GIVES(ANONSET_OK, try_open(&handle, path, ANONSET_STORE_CREATE, 5000));
    return handle;
}

static anonset_code try_append(void *handle, uint32_t base, uint32_t start, uint32_t n,
                               uint32_t target)
{
    anonset_append append = {
        .group = 1,
        .target = ts_chain_meta(chain, target),
        .base = base,
        .start = start,
        .n = n,
        .coins = chain->coins + start,
        .tags = chain->tags + start,
        .digests = (const uint8_t(*)[ANONSET_HASH_BYTES])(chain->digests + start + 1)};
    memcpy(append.digest_before, chain->digests[start], ANONSET_HASH_BYTES);
    memcpy(append.digest_after, chain->digests[start + n], ANONSET_HASH_BYTES);
    return lmdb->append_sector(handle, &append, &detail);
}

static anonset_code try_complete(void *handle, uint32_t base, uint32_t target)
{
    anonset_complete complete = {.group = 1,
                                 .target = ts_chain_meta(chain, target),
                                 .expected_count = target - base,
                                 .gate = ANONSET_GATE_COUNT};
    memcpy(complete.digest, chain->digests[target], ANONSET_HASH_BYTES);
    return lmdb->mark_complete(handle, &complete, &detail);
}

static anonset_state state_of(void *handle)
{
    anonset_state state;
    GIVES(ANONSET_OK, lmdb->load_state(handle, &state, 1, &detail));
    return state;
}

/* Appends sectors up to `target` coins and finalizes. */
static void grow_to(void *handle, uint32_t target, uint32_t sector)
{
    uint32_t base = state_of(handle).finalized.size;
    for (uint32_t at = base; at < target; at += sector) {
        uint32_t n = target - at < sector ? target - at : sector;
        GIVES(ANONSET_OK, try_append(handle, base, at, n, target));
    }
    GIVES(ANONSET_OK, try_complete(handle, base, target));
}

static void check_run(const anonset_run *run)
{
    for (uint32_t i = 0; i < run->n; i++) {
        const anonset_coin *got = &run->coins[i], *want = &chain->coins[run->start + i];
        cr_assert_eq(got->serialized_len, want->serialized_len);
        cr_assert_arr_eq(got->serialized, want->serialized, want->serialized_len);
        cr_assert_eq(got->context_len, want->context_len);
        cr_assert_arr_eq(got->context, want->context, want->context_len);
        cr_assert_arr_eq(got->tx_hash, want->tx_hash, ANONSET_HASH_BYTES);
    }
    if (run->has_digest)
        cr_assert_arr_eq(run->digest, chain->digests[run->start + run->n], ANONSET_HASH_BYTES);
}

/* Every coin of the view is the chain's. Returns how many runs they came in. */
static unsigned check_coins(void *handle, anonset_view view)
{
    void *snapshot;
    anonset_state state;
    unsigned runs = 0;
    GIVES(ANONSET_OK, lmdb->snapshot_open(handle, &snapshot, &state, 1, view, &detail));
    uint32_t size = view == ANONSET_VIEW_NEXT && state.has_pending ? state.base + state.count
                                                                   : state.finalized.size;
    for (uint32_t at = 0; at < size; runs++) {
        anonset_run run;
        GIVES(ANONSET_OK, lmdb->read(snapshot, &run, at, &detail));
        cr_assert_eq(run.start, at);
        check_run(&run);
        at += run.n;
    }
    lmdb->snapshot_close(snapshot);
    return runs;
}

static uint64_t payload(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += chain->coins[i].serialized_len;
    return sum;
}

static uint64_t size_of(const char *name)
{
    struct stat found;
    cr_assert(stat(name, &found) == 0);
    return (uint64_t)found.st_size;
}

static void write_file(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(name, "wb");
    cr_assert(file && fwrite(bytes, 1, len, file) == len && fclose(file) == 0);
}

static char *read_file(const char *name, size_t *len)
{
    *len = (size_t)size_of(name);
    char *bytes = malloc(*len + 1);
    FILE *file = fopen(name, "rb");
    cr_assert(bytes && file && fread(bytes, 1, *len, file) == *len);
    fclose(file);
    return bytes;
}

/* ---- Files --------------------------------------------------------------------------------- */

static void refuses_untouched(anonset_code code)
{
    size_t before_len, after_len;
    void *handle;
    char *before = read_file(path, &before_len);
    unsigned files = each_file(NULL);
    GIVES(code, try_open(&handle, path, ANONSET_STORE_CREATE, 100));
    GIVES(code, try_open(&handle, path, ANONSET_STORE_READ_ONLY, 100));
    char *after = read_file(path, &after_len);
    cr_assert_eq(before_len, after_len);
    cr_assert_arr_eq(before, after, before_len);
    cr_assert_eq(each_file(NULL), files, "a file was left beside");
    free(before);
    free(after);
}

Test(lmdb, a_text_is_foreign_and_stays_as_it_is)
{
    char text[10000];
    memset(text, 'x', sizeof text);
    write_file(path, text, sizeof text);
    refuses_untouched(ANONSET_FOREIGN);
    write_file(path, "hi", 2);
    refuses_untouched(ANONSET_FOREIGN);
}

static void make_other_lmdb(const char *name, const char *word)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    MDB_val key = {1, (char[]){0}}, val = {strlen(word), strdup(word)};
    cr_assert(mdb_env_create(&env) == 0);
    cr_assert(mdb_env_open(env, name, MDB_NOSUBDIR | MDB_NOLOCK, 0644) == 0);
    cr_assert(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    cr_assert(mdb_dbi_open(txn, NULL, 0, &table) == 0);
    cr_assert(mdb_put(txn, table, &key, &val, 0) == 0);
    cr_assert(mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
    free(val.mv_data);
}

Test(lmdb, somebody_elses_lmdb_file_is_foreign_and_stays_as_it_is)
{
    make_other_lmdb(path, "a telephone book, of a length like ours");
    refuses_untouched(ANONSET_FOREIGN);
}

Test(lmdb, a_store_of_another_byte_order_is_foreign)
{
    uint8_t page[8192] = {0};
    uint32_t magic = 0xDEC0EFBEu; /* 0xBEEFC0DE there */
    memcpy(page + 2 * sizeof(size_t), &magic, sizeof magic);
    write_file(path, page, sizeof page);
    refuses_untouched(ANONSET_FOREIGN);
    cr_assert(strstr(detail.text, "byte order"));
}

Test(lmdb, a_file_cut_anywhere_is_corrupt_and_kills_nobody)
{
    void *handle = open_store();
    grow_to(handle, 1000, SECTOR);
    lmdb->close(handle);
    uint64_t whole = size_of(path);
    for (int64_t len = (int64_t)whole - 1; len > 100; len -= len > 20000 ? 9973 : 1021) {
        cr_assert(truncate(path, len) == 0);
        GIVES(ANONSET_CORRUPT, try_open(&handle, path, ANONSET_STORE_CREATE, 100));
        GIVES(ANONSET_CORRUPT, try_open(&handle, path, ANONSET_STORE_READ_ONLY, 100));
    }
}

Test(lmdb, a_left_over_temporary_file_is_removed)
{
    write_file(beside("-new"), "half a store", 12);
    void *handle = open_store();
    cr_assert(access(beside("-new"), F_OK) != 0);
    grow_to(handle, 10, 10);
    lmdb->close(handle);
    make_other_lmdb(beside("-new"), "half a store");
    handle = open_store();
    cr_assert(access(beside("-new"), F_OK) != 0);
    cr_assert_eq(state_of(handle).finalized.size, 10);
    lmdb->close(handle);
}

Test(lmdb, a_creation_that_fails_leaves_no_store)
{
    void *handle;
    fail_sync = ENOSPC;
    GIVES(ANONSET_FULL, try_open(&handle, path, ANONSET_STORE_CREATE, 100));
    cr_assert(access(path, F_OK) != 0 && access(beside("-new"), F_OK) != 0);
    fail_sync = 0;
    lmdb->close(open_store());
}

Test(lmdb, a_full_disk_without_lock_file_kills_nobody)
{
    void *handle = open_store();
    lmdb->close(handle);
    cr_assert(unlink(beside("-lock")) == 0);
    fail_allocate = ENOSPC;
    GIVES(ANONSET_FULL, try_open(&handle, path, 0, 100));
    fail_allocate = 0;
}

/* ---- One environment ----------------------------------------------------------------------- */

Test(lmdb, handles_share_one_environment_also_through_a_link)
{
    char link_name[128];
    void *first = open_store(), *second, *third;
    snprintf(link_name, sizeof link_name, "%s/link", dir);
    cr_assert(symlink("store", link_name) == 0);
    GIVES(ANONSET_OK, try_open(&second, link_name, ANONSET_STORE_CREATE, 5000));
    GIVES(ANONSET_OK, try_open(&third, path, ANONSET_STORE_READ_ONLY, 5000));
    cr_assert(access(beside("-lock"), F_OK) == 0);
    cr_assert_eq(each_file(NULL), 4, "the link has lock files of its own");
    GIVES(ANONSET_OK, try_append(first, 0, 0, 100, 300));
    GIVES(ANONSET_OK, try_append(second, 0, 100, 100, 300));
    lmdb->close(first);
    GIVES(ANONSET_OK, try_append(second, 0, 200, 100, 300));
    GIVES(ANONSET_OK, try_complete(second, 0, 300));
    cr_assert_eq(state_of(third).finalized.size, 300);
    lmdb->close(second);
    check_coins(third, ANONSET_VIEW_FINALIZED);
    lmdb->close(third);
}

Test(lmdb, a_file_replaced_while_it_is_open_is_refused)
{
    void *first = open_store(), *second;
    cr_assert(rename(path, beside("-away")) == 0);
    GIVES(ANONSET_IO, try_open(&second, path, ANONSET_STORE_CREATE, 100));
    lmdb->close(first);
    lmdb->close(open_store());
}

/* Without permission bits the owner is refused as everybody is, unless it is root. */
Test(lmdb, read_only_needs_a_lock_file_that_can_be_written)
{
    void *handle = open_store();
    grow_to(handle, 100, 100);
    lmdb->close(handle);
    cr_assert(chmod(path, 0444) == 0 && chmod(beside("-lock"), 0444) == 0);
    cr_assert(chmod(dir, 0555) == 0);
    bool root = geteuid() == 0;
    cr_assert(!root || seteuid(65534) == 0);
    GIVES(ANONSET_PERMISSION, try_open(&handle, path, ANONSET_STORE_READ_ONLY, 100));
    GIVES(ANONSET_PERMISSION, try_open(&handle, path, 0, 100));
    cr_assert(!root || seteuid(0) == 0);
    cr_assert(chmod(beside("-lock"), 0666) == 0);
    cr_assert(!root || seteuid(65534) == 0);
    GIVES(ANONSET_OK, try_open(&handle, path, ANONSET_STORE_READ_ONLY, 100));
    check_coins(handle, ANONSET_VIEW_FINALIZED);
    cr_assert(!root || seteuid(0) == 0); /* it may be written by now, but not by what is open */
    cr_assert(chmod(path, 0644) == 0 && chmod(dir, 0755) == 0);
    void *second;
    GIVES(ANONSET_PERMISSION, try_open(&second, path, 0, 100));
    cr_expect(strstr(detail.text, "close"), "%s", detail.text);
    lmdb->close(handle);
}

/* ---- The map ------------------------------------------------------------------------------- */

Test(lmdb, the_map_grows_when_it_is_full)
{
    as_env_first_map = 64 << 10;
    void *handle = open_store();
    grow_to(handle, COINS, 1000);
    cr_assert_gt(size_of(path), 10 * as_env_first_map);
    check_coins(handle, ANONSET_VIEW_FINALIZED);
    lmdb->close(handle);
}

static bool map_is_largest;

int mdb_env_info(MDB_env *env, MDB_envinfo *info)
{
    int (*real)(MDB_env *, MDB_envinfo *);
    *(void **)&real = dlsym(RTLD_NEXT, "mdb_env_info");
    cr_assert(real);
    int rc = real(env, info);
    if (map_is_largest)
        info->me_mapsize = SIZE_MAX;
    return rc;
}

Test(lmdb, the_map_does_not_grow_without_end)
{
    as_env_first_map = 64 << 10;
    void *handle = open_store();
    map_is_largest = true;
    GIVES(ANONSET_FULL, try_append(handle, 0, 0, 1000, 1000));
    cr_expect(strstr(detail.text, "can map"), "%s", detail.text);
    map_is_largest = false;
    grow_to(handle, 1000, 1000);
    lmdb->close(handle);
}

Test(lmdb, the_map_waits_for_snapshots_before_it_grows)
{
    void *handle, *snapshot;
    anonset_state state;
    as_env_first_map = 64 << 10;
    GIVES(ANONSET_OK, try_open(&handle, path, ANONSET_STORE_CREATE, 50));
    GIVES(ANONSET_OK,
          lmdb->snapshot_open(handle, &snapshot, &state, 1, ANONSET_VIEW_NEXT, &detail));
    GIVES(ANONSET_BUSY, try_append(handle, 0, 0, 1000, 1000));
    cr_assert(!state_of(handle).has_pending);
    lmdb->snapshot_close(snapshot);
    GIVES(ANONSET_OK, try_append(handle, 0, 0, 1000, 1000));
    check_coins(handle, ANONSET_VIEW_NEXT);
    lmdb->close(handle);
}

/* ---- Other processes ----------------------------------------------------------------------- */

typedef struct other {
    pid_t pid;
    int says; /* the child writes a byte here to tell something … */
    int told; /* … and reads one here to wait */
} other;

static void tell(int fd)
{
    cr_assert(write(fd, "x", 1) == 1);
}

static void hear(int fd)
{
    char byte;
    cr_assert(read(fd, &byte, 1) == 1);
}

/* Runs `work` in a child, to be started while no store is open here. */
static other start(void (*work)(int says, int told))
{
    int up[2], down[2];
    cr_assert(pipe(up) == 0 && pipe(down) == 0);
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid == 0) {
        close(up[0]);
        close(down[1]);
        work(up[1], down[0]);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    return (other){pid, up[0], down[1]};
}

static void end(other *child, int number)
{
    int status;
    if (number)
        cr_assert(kill(child->pid, number) == 0);
    cr_assert(waitpid(child->pid, &status, 0) == child->pid);
    cr_assert(number ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(child->says);
    close(child->told);
}

static other grower;
static unsigned begins_until_growth;

/* LMDB's, and before one call of it the file grows. */
int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
    int (*real)(MDB_env *, MDB_txn *, unsigned, MDB_txn **);
    *(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_begin");
    cr_assert(real);
    if (begins_until_growth > 0 && --begins_until_growth == 0) {
        tell(grower.told);
        hear(grower.says);
    }
    return real(env, parent, flags, txn);
}

static void grow_when_told(int says, int told)
{
    hear(told);
    as_env_first_map = 1 << 20;
    void *handle = open_store();
    grow_to(handle, COINS, 1000);
    lmdb->close(handle);
    tell(says);
}

Test(lmdb, a_map_grown_by_another_process_is_followed)
{
    other child = start(grow_when_told);
    as_env_first_map = 64 << 10;
    void *handle = open_store();
    tell(child.told);
    hear(child.says);
    cr_assert_eq(state_of(handle).finalized.size, COINS);
    check_coins(handle, ANONSET_VIEW_FINALIZED);
    GIVES(ANONSET_STALE, try_append(handle, COINS, COINS, 0, COINS));
    end(&child, 0);
    lmdb->close(handle);
}

/* It grows between LMDB's opening of the file and the first transaction in it: what lies behind the
 * map that was chosen cannot be read. */
Test(lmdb, a_file_that_grows_while_it_is_opened_is_opened)
{
    void *handle = open_store();
    lmdb->close(handle);
    other child = start(grow_when_told);
    as_env_first_map = 64 << 10;
    grower = child;
    begins_until_growth = 1;
    GIVES(ANONSET_OK, try_open(&handle, path, ANONSET_STORE_READ_ONLY, 5000));
    cr_assert_eq(begins_until_growth, 0, "no transaction was begun");
    cr_assert_eq(state_of(handle).finalized.size, COINS);
    check_coins(handle, ANONSET_VIEW_FINALIZED);
    end(&child, 0);
    lmdb->close(handle);
}

/* On the way into LMDB: it takes a lock of the reader table, makes the table, reads the file's
 * head, and writes into the table what that says. A process stops in between, or tells that it
 * waits. */
static int stops_at_head, tells_of_waiting; /* a descriptor, or 0 */
static bool makes_table;

static void about_to_wait(void)
{
    if (tells_of_waiting)
        tell(tells_of_waiting);
    tells_of_waiting = 0;
}

ANONSET_API int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    if (command == F_SETLKW)
        about_to_wait();
    makes_table |= command == F_SETLK && ((struct flock *)argument)->l_type == F_WRLCK;
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

ANONSET_API ssize_t pread(int fd, void *bytes, size_t len, off_t at)
{
    reads++;
    if (stops_at_head && makes_table) {
        tell(stops_at_head);
        for (;;)
            (void)pause();
    }
    return syscall(SYS_pread64, fd, bytes, len, at);
}

int flock(int fd, int operation)
{
    if (operation == LOCK_EX)
        about_to_wait();
    return (int)syscall(SYS_flock, fd, operation);
}

static void stop_while_opening(int says, int told)
{
    void *handle;
    (void)told;
    stops_at_head = says;
    (void)try_open(&handle, path, ANONSET_STORE_READ_ONLY, 5000);
}

static void open_when_told(int says, int told)
{
    void *handle;
    hear(told);
    tells_of_waiting = says;
    GIVES(ANONSET_OK, try_open(&handle, path, ANONSET_STORE_READ_ONLY, 5000));
    cr_assert_eq(state_of(handle).finalized.size, COINS);
    check_coins(handle, ANONSET_VIEW_FINALIZED);
    lmdb->close(handle);
}

/* One process waits for another that opens the store, and that is killed while it does. `more`
 * commits: the newest one may be in either meta page. */
static void opener_is_killed(unsigned more)
{
    void *handle = open_store();
    grow_to(handle, COINS, 1000);
    while (more-- > 0)
        GIVES(ANONSET_OK, try_append(handle, COINS, COINS, 0, COINS + 1 + more));
    lmdb->close(handle);
    other second = start(open_when_told);
    other first = start(stop_while_opening);
    hear(first.says);
    tell(second.told);
    hear(second.says);
    end(&first, SIGKILL);
    end(&second, 0);
    handle = open_store();
    check_coins(handle, ANONSET_VIEW_FINALIZED);
    lmdb->close(handle);
}

Test(lmdb, a_killed_opener_leaves_the_newest_state_in_the_first_meta_page)
{
    opener_is_killed(0);
}

Test(lmdb, a_killed_opener_leaves_the_newest_state_in_the_second_meta_page)
{
    opener_is_killed(1);
}

static void hold_snapshot(int says, int told);

/* Who has it open keeps LMDB from making its lock file anew. */
Test(lmdb, a_lock_file_that_is_none_while_others_use_it)
{
    static const uint32_t no_magic = 7;
    void *handle;
    lmdb->close(open_store());
    other child = start(hold_snapshot);
    tell(child.told);
    hear(child.says);
    int fd = open(beside("-lock"), O_WRONLY | O_CLOEXEC);
    cr_assert(fd >= 0);
    cr_assert_eq(syscall(SYS_pwrite64, fd, &no_magic, sizeof no_magic, (off64_t)0), 4);
    close(fd);
    GIVES(ANONSET_IO, try_open(&handle, path, 0, 100));
    cr_expect(strstr(detail.text, "-lock"), "%s", detail.text);
    end(&child, SIGKILL);
    lmdb->close(open_store());
}

static void hold_lock(int says, int told)
{
    as_lock *lock;
    GIVES(ANONSET_OK, as_lock_open(&lock, beside("-writer"), &detail));
    hear(told);
    GIVES(ANONSET_OK, as_lock_take(lock, 5000, &detail));
    tell(says);
    hear(told);
}

Test(lmdb, a_stuck_writer_makes_writers_busy_and_no_reader)
{
    void *handle, *second;
    other child = start(hold_lock);
    GIVES(ANONSET_OK, try_open(&handle, path, ANONSET_STORE_CREATE, 50));
    grow_to(handle, 100, 100);
    tell(child.told);
    hear(child.says);
    GIVES(ANONSET_BUSY, try_append(handle, 100, 100, 50, 150));
    GIVES(ANONSET_BUSY, try_open(&second, path, ANONSET_STORE_CREATE, 50));
    GIVES(ANONSET_OK, try_open(&second, path, ANONSET_STORE_READ_ONLY, 50));
    check_coins(second, ANONSET_VIEW_FINALIZED);
    lmdb->close(second);
    end(&child, SIGKILL);
    GIVES(ANONSET_OK, try_append(handle, 100, 100, 50, 150));
    lmdb->close(handle);
}

static void hold_snapshot(int says, int told)
{
    void *handle, *snapshot;
    anonset_state state;
    hear(told);
    handle = open_store();
    GIVES(ANONSET_OK,
          lmdb->snapshot_open(handle, &snapshot, &state, 1, ANONSET_VIEW_NEXT, &detail));
    tell(says);
    hear(told);
}

Test(lmdb, a_killed_reader_keeps_no_pages)
{
    other child = start(hold_snapshot);
    void *handle = open_store();
    grow_to(handle, 100, 100);
    tell(child.told);
    hear(child.says);
    end(&child, SIGKILL);
    for (unsigned i = 0; i < 20; i++) {
        GIVES(ANONSET_OK, try_append(handle, 100, 100, 400, 500));
        GIVES(ANONSET_OK, lmdb->discard_incomplete(handle, 1, &detail));
    }
    cr_assert_lt(size_of(path), 4 * payload(500));
    lmdb->close(handle);
}

/* ---- Crashes ------------------------------------------------------------------------------- */

static void append_for_ever(int says, int told)
{
    (void)told;
    void *handle = open_store();
    for (;;) {
        anonset_state s = state_of(handle);
        uint32_t at = s.base + s.count, left = COINS - at;
        if (left == 0)
            GIVES(ANONSET_OK, lmdb->discard_incomplete(handle, 1, &detail));
        else
            GIVES(ANONSET_OK, try_append(handle, 0, at, left < 60 ? left : 60, COINS));
        tell(says);
    }
}

/* Kills come while the next commit is on its way; when exactly is the system's choice. */
Test(lmdb, a_kill_leaves_the_state_before_or_after)
{
    for (unsigned round = 0; round < 25; round++) {
        other child = start(append_for_ever);
        for (unsigned i = 0; i <= round; i++)
            hear(child.says);
        end(&child, SIGKILL);
        void *handle = open_store();
        anonset_state s = state_of(handle);
        cr_assert_eq(s.count % 60, 0);
        cr_assert_arr_eq(s.pending_digest, chain->digests[s.count],
                         s.has_pending ? ANONSET_HASH_BYTES : 0);
        check_coins(handle, ANONSET_VIEW_NEXT);
        lmdb->close(handle);
    }
}

Test(lmdb, an_io_error_at_a_commit_is_unknown_until_reopened)
{
    void *handle = open_store(), *second;
    anonset_state state;
    uint64_t bytes;
    grow_to(handle, 100, 100);
    fail_sync = EIO;
    GIVES(ANONSET_UNKNOWN, try_append(handle, 100, 100, 50, 150));
    fail_sync = 0;
    GIVES(ANONSET_UNKNOWN, lmdb->disk_bytes(handle, &bytes, &detail));
    GIVES(ANONSET_UNKNOWN, try_append(handle, 100, 100, 50, 150));
    GIVES(ANONSET_UNKNOWN, lmdb->load_state(handle, &state, 1, &detail));
    GIVES(ANONSET_UNKNOWN, try_open(&second, path, 0, 100));
    lmdb->close(handle);

    unsigned before = syncs;
    handle = open_store();
    cr_assert_gt(syncs, before, "reopened without a new durable commit");
    cr_assert(!state_of(handle).has_pending);
    GIVES(ANONSET_OK, try_append(handle, 100, 100, 50, 150));
    check_coins(handle, ANONSET_VIEW_NEXT);
    lmdb->close(handle);
    before = syncs;
    lmdb->close(open_store());
    cr_assert_eq(syncs, before);
}

Test(lmdb, a_full_disk_changes_nothing)
{
    void *handle = open_store();
    grow_to(handle, 100, 100);
    uint64_t before = size_of(path);
    fail_write = ENOSPC;
    GIVES(ANONSET_FULL, try_append(handle, 100, 100, 500, 600));
    fail_write = 0;
    cr_assert_eq(size_of(path), before);
    cr_assert(!state_of(handle).has_pending);
    grow_to(handle, 600, 500);
    check_coins(handle, ANONSET_VIEW_FINALIZED);
    lmdb->close(handle);
}

/* ---- Rows ---------------------------------------------------------------------------------- */

#define FEW 1500u /* coins, where each commit adds a handful */

Test(lmdb, small_sectors_fill_pages)
{
    void *handle = open_store();
    for (uint32_t at = 0; at < FEW; at += 3)
        GIVES(ANONSET_OK, try_append(handle, 0, at, 3, FEW));
    cr_assert_lt(check_coins(handle, ANONSET_VIEW_NEXT), FEW / 6);
    GIVES(ANONSET_OK, try_complete(handle, 0, FEW));
    cr_assert_lt(size_of(path), payload(FEW) * 13 / 10);
    lmdb->close(handle);
}

Test(lmdb, small_deltas_are_joined)
{
    void *handle = open_store();
    for (uint32_t size = 5; size <= FEW; size += 5)
        grow_to(handle, size, 5);
    cr_assert_lt(check_coins(handle, ANONSET_VIEW_FINALIZED), FEW / 20);
    cr_assert_lt(size_of(path), payload(FEW) * 13 / 10);
    lmdb->close(handle);
}

/* Joining would hide rot behind a fresh digest. */
Test(lmdb, rotten_rows_are_not_joined)
{
    void *handle = open_store();
    grow_to(handle, 10, 10);
    lmdb->close(handle);
    size_t len;
    char *bytes = read_file(path, &len);
    char *coin = memmem(bytes, len, chain->coins[4].serialized, chain->coins[4].serialized_len);
    cr_assert(coin);
    coin[60] ^= 1;
    write_file(path, bytes, len);
    free(bytes);
    handle = open_store();
    grow_to(handle, 20, 10);
    cr_assert_eq(state_of(handle).finalized.size, 20);
    void *snapshot;
    anonset_state state;
    anonset_run run;
    GIVES(ANONSET_OK,
          lmdb->snapshot_open(handle, &snapshot, &state, 1, ANONSET_VIEW_FINALIZED, &detail));
    GIVES(ANONSET_OK, lmdb->read(snapshot, &run, 0, &detail));
    cr_assert(run.has_digest);
    cr_assert_arr_eq(run.digest, chain->digests[run.n], ANONSET_HASH_BYTES);
    lmdb->snapshot_close(snapshot);
    lmdb->close(handle);
}

/* ---- Reading without LMDB ------------------------------------------------------------------ */

/* What opening and loading the state read of the file; *more: what a first snapshot does. */
static unsigned reads_to_open(unsigned *more)
{
    void *snapshot;
    anonset_state state;
    reads = 0;
    void *handle = open_store();
    (void)state_of(handle);
    unsigned opened = reads;
    GIVES(ANONSET_OK,
          lmdb->snapshot_open(handle, &snapshot, &state, 1, ANONSET_VIEW_FINALIZED, &detail));
    *more = reads - opened;
    lmdb->snapshot_close(snapshot);
    lmdb->close(handle);
    return opened;
}

Test(lmdb, opening_reads_no_more_the_more_is_stored)
{
    unsigned small, large;
    void *handle = open_store();
    grow_to(handle, 12, 12);
    lmdb->close(handle);
    unsigned few = reads_to_open(&small);
    handle = open_store();
    grow_to(handle, COINS, 12);
    lmdb->close(handle);
    unsigned many = reads_to_open(&large);
    cr_assert_gt(large, small);                                     /* one page became several: */
    cr_assert_leq(many, few + 3, "%u reads, %u before", many, few); /* a level, on three ways */
}

#define PAGE      4096u
#define LEAF_FLAG 0x02u

static size_t root_of(const char *bytes)
{
    as_meta_page metas[2];
    memcpy(&metas[0], bytes, sizeof metas[0]);
    memcpy(&metas[1], bytes + PAGE, sizeof metas[1]);
    return metas[metas[1].txn > metas[0].txn].tables[1].root;
}

static void set_root(char *bytes, size_t root)
{
    as_meta_page metas[2];
    memcpy(&metas[0], bytes, sizeof metas[0]);
    memcpy(&metas[1], bytes + PAGE, sizeof metas[1]);
    unsigned newest = metas[1].txn > metas[0].txn;
    metas[newest].tables[1].root = root;
    memcpy(bytes + (size_t)newest * PAGE, &metas[newest], sizeof metas[newest]);
}

static anonset_code try_state(void)
{
    void *handle;
    anonset_state state;
    anonset_code code = try_open(&handle, path, 0, 100);
    if (code != ANONSET_OK)
        return code;
    code = lmdb->load_state(handle, &state, 1, &detail);
    lmdb->close(handle);
    return code;
}

/* As sound as any, with records that were true once. */
Test(lmdb, a_page_of_an_older_state_is_not_taken_for_a_new_one)
{
    void *handle = open_store();
    grow_to(handle, 10, 10);
    grow_to(handle, 20, 10);
    lmdb->close(handle);
    size_t len, number, tried = 0;
    char *bytes = read_file(path, &len);
    size_t root = root_of(bytes);
    for (size_t page = 2; page < len / PAGE; page++) {
        uint16_t flags;
        memcpy(&number, bytes + page * PAGE, sizeof number);
        memcpy(&flags, bytes + page * PAGE + sizeof number + 2, sizeof flags);
        if (number != page || flags != LEAF_FLAG || page == root ||
            !memmem(bytes + page * PAGE, PAGE, "anonset\n", 8))
            continue;
        set_root(bytes, page);
        write_file(path, bytes, len);
        GIVES(ANONSET_CORRUPT, try_state());
        tried++;
    }
    cr_assert_gt(tried, 1);
    free(bytes);
}

Test(lmdb, a_lost_record_is_not_taken_for_none)
{
    static const char key[] = {2, 0, 0, 0, 1}, of_another[] = {2, 0, 0, 0, 9};
    void *handle = open_store();
    grow_to(handle, 10, 10);
    lmdb->close(handle);
    GIVES(ANONSET_OK, try_state());
    size_t len;
    char *bytes = read_file(path, &len);
    char *at = memmem(bytes + root_of(bytes) * PAGE, PAGE, key, sizeof key);
    cr_assert(at);
    memcpy(at, of_another, sizeof of_another);
    write_file(path, bytes, len);
    free(bytes);
    GIVES(ANONSET_CORRUPT, try_state());
}

/* ---- Entries that cannot be, in pages that are sound -------------------------------------------
 */

typedef struct entry {
    uint8_t key[13];
    size_t key_len;
} entry;

static entry entry_of(uint8_t kind, uint32_t group, uint32_t at, uint32_t sub)
{
    static const size_t lens[] = {1, 13, 5, 9};
    const uint32_t numbers[] = {group, at, sub};
    entry e = {.key_len = kind < 4 ? lens[kind] : 1};
    e.key[0] = kind;
    for (size_t i = 0; i < 12; i++)
        e.key[1 + i] = (uint8_t)(numbers[i / 4] >> (24 - 8 * (i % 4)));
    return e;
}

/* What another program would do to the table: NULL deletes. */
static unsigned put_flags = MDB_NOLOCK; /* 0: beside those who have the store open */

static void put_entry(entry e, const void *bytes, size_t len)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    MDB_val key = {e.key_len, e.key}, val = {len, (void *)(uintptr_t)bytes};
    cr_assert(mdb_env_create(&env) == 0);
    cr_assert(mdb_env_open(env, path, MDB_NOSUBDIR | put_flags, 0644) == 0);
    cr_assert(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    cr_assert(mdb_dbi_open(txn, NULL, 0, &table) == 0);
    cr_assert_eq(bytes ? mdb_put(txn, table, &key, &val, 0) : mdb_del(txn, table, &key, NULL), 0);
    cr_assert(mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

static void make_store(void)
{
    void *handle = open_store();
    grow_to(handle, 40, 10);
    lmdb->close(handle);
}

Test(lmdb, an_info_record_that_is_not_ours_is_told)
{
    void *handle;
    size_t len;
    make_store();
    char *bytes = read_file(path, &len);
    put_entry(entry_of(0, 0, 0, 0), "another program's", 17);
    GIVES(ANONSET_FOREIGN, try_open(&handle, path, 0, 100));
    char *info = memmem(bytes, len, ts_salt, ANONSET_SALT_BYTES);
    cr_assert(info);
    uint8_t mine[12 + AS_IDENTITY_BYTES];
    memcpy(mine, info - 12, sizeof mine);
    mine[20] ^= 1; /* in the salt */
    put_entry(entry_of(0, 0, 0, 0), mine, sizeof mine);
    GIVES(ANONSET_CORRUPT, try_open(&handle, path, 0, 100));
    mine[20] ^= 1;
    memset(mine + 8, 0xff, 4);
    put_entry(entry_of(0, 0, 0, 0), mine, sizeof mine);
    GIVES(ANONSET_FOREIGN, try_open(&handle, path, 0, 100));
    cr_expect(strstr(detail.text, "format"), "%s", detail.text);
    free(bytes);
}

Test(lmdb, checkpoints_of_no_length_that_can_be_are_corrupt)
{
    void *handle, *snapshot;
    anonset_state state;
    anonset_checkpoint checkpoint;
    make_store();
    put_entry(entry_of(3, 1, 0, 0), "short", 5);
    GIVES(ANONSET_OK, try_open(&handle, path, ANONSET_STORE_CREATE, 100));
    anonset_code code =
        lmdb->snapshot_open(handle, &snapshot, &state, 1, ANONSET_VIEW_FINALIZED, &detail);
    if (code == ANONSET_OK) {
        code = lmdb->checkpoint(snapshot, &checkpoint, 0, &detail);
        lmdb->snapshot_close(snapshot);
    }
    cr_expect_eq(code, ANONSET_CORRUPT);
    GIVES(ANONSET_OK, try_append(handle, 40, 40, 10, 50));
    GIVES(ANONSET_CORRUPT, try_complete(handle, 40, 50));
    lmdb->close(handle);
}

Test(lmdb, keys_that_are_not_ours_and_coins_without_a_record_are_corrupt)
{
    void *handle;
    make_store();
    put_entry(entry_of(2, 1, 0, 0), NULL, 0);
    anonset_code code = try_open(&handle, path, ANONSET_STORE_CREATE, 100);
    if (code == ANONSET_OK) {
        code = lmdb->check(handle, &detail);
        lmdb->close(handle);
    }
    cr_expect_eq(code, ANONSET_CORRUPT, "no record");
    cr_assert(unlink(path) == 0);
    make_store();
    put_entry(entry_of(9, 0, 0, 0), "what", 4);
    code = try_open(&handle, path, ANONSET_STORE_CREATE, 100);
    if (code == ANONSET_OK) {
        code = lmdb->check(handle, &detail);
        lmdb->close(handle);
    }
    cr_expect_eq(code, ANONSET_CORRUPT, "another key");
}

Test(lmdb, files_of_another_version_and_of_no_length_are_told)
{
    void *handle;
    size_t len;
    make_store();
    char *bytes = read_file(path, &len);
    uint32_t version = 77;
    memcpy(bytes + 2 * sizeof(size_t) + 4, &version, sizeof version);
    write_file(path, bytes, len);
    GIVES(ANONSET_FOREIGN, try_open(&handle, path, 0, 100));
    cr_expect(strstr(detail.text, "version"), "%s", detail.text);
    write_file(path, bytes, 20);
    GIVES(ANONSET_CORRUPT, try_open(&handle, path, 0, 100));
    version = 1;
    memcpy(bytes + 2 * sizeof(size_t) + 4, &version, sizeof version);
    write_file(path, bytes, 60);
    GIVES(ANONSET_CORRUPT, try_open(&handle, path, 0, 100));
    free(bytes);
}

Test(lmdb, a_store_that_is_open_here_is_not_replaced)
{
    char by[128];
    void *handle = open_store();
    (void)snprintf(by, sizeof by, "%s", beside("-by"));
    GIVES(ANONSET_BUSY, lmdb->replace(path, by, beside("-kept"), 100, &detail));
    lmdb->close(handle);
}

Test(lmdb, a_chunk_of_checkpoints_that_is_too_short_is_corrupt)
{
    void *handle, *snapshot;
    anonset_state state;
    anonset_checkpoint checkpoint;
    handle = open_store();
    grow_to(handle, 500, 10); /* one finalized set */
    for (uint32_t size = 510; size <= 1000; size += 10)
        grow_to(handle, size, 10);
    lmdb->close(handle);
    uint8_t one[AS_CHECKPOINT_BYTES] = {0};
    put_entry(entry_of(3, 1, 0, 0), one, sizeof one);
    GIVES(ANONSET_OK, try_open(&handle, path, 0, 100));
    GIVES(ANONSET_OK,
          lmdb->snapshot_open(handle, &snapshot, &state, 1, ANONSET_VIEW_FINALIZED, &detail));
    GIVES(ANONSET_OK, lmdb->checkpoint(snapshot, &checkpoint, 0, &detail));
    GIVES(ANONSET_CORRUPT, lmdb->checkpoint(snapshot, &checkpoint, 30, &detail));
    lmdb->snapshot_close(snapshot);
    lmdb->close(handle);
}

/* Small rows are taken up by the next append, which must begin where they end. */
Test(lmdb, pending_coins_that_end_elsewhere_are_corrupt)
{
    void *handle = open_store();
    GIVES(ANONSET_OK, try_append(handle, 0, 0, SECTOR, COINS));
    GIVES(ANONSET_OK, try_append(handle, 0, SECTOR, 3, COINS));
    void *snapshot;
    anonset_state state;
    anonset_run run = {.start = 0};
    uint32_t last = 0;
    GIVES(ANONSET_OK,
          lmdb->snapshot_open(handle, &snapshot, &state, 1, ANONSET_VIEW_NEXT, &detail));
    for (uint32_t at = 0; at < state.count; at = run.start + run.n) {
        GIVES(ANONSET_OK, lmdb->read(snapshot, &run, at, &detail));
        last = run.start;
    }
    cr_assert_gt(last, 0);
    /* The last row, moved down by one. */
    size_t len = 0, packed = 0;
    lmdb->snapshot_close(snapshot);
    lmdb->close(handle);
    char *bytes = read_file(path, &len);
    entry e = entry_of(1, 1, last, 0);
    char *at = memmem(bytes, len, e.key, 9);
    while (at && packed == 0) {
        at[8]--;
        packed++;
        at = memmem(at + 9, len - (size_t)(at + 9 - bytes), e.key, 9);
        if (at)
            packed = 0;
    }
    write_file(path, bytes, len);
    free(bytes);
    GIVES(ANONSET_OK, try_open(&handle, path, 0, 100));
    GIVES(ANONSET_CORRUPT, try_append(handle, 0, SECTOR + 3, 3, COINS));
    lmdb->close(handle);
}

#define OVERFLOW_FLAG 0x04u

/* Each value with pages of its own counts other pages than it has. */
static void spoil_values(void)
{
    size_t len, number, spoilt = 0;
    char *bytes = read_file(path, &len);
    for (size_t page = 2; page < len / PAGE; page++) {
        uint16_t flags;
        memcpy(&number, bytes + page * PAGE, sizeof number);
        memcpy(&flags, bytes + page * PAGE + sizeof number + 2, sizeof flags);
        if (number != page || flags != OVERFLOW_FLAG)
            continue;
        bytes[page * PAGE + sizeof number + 4] ^= 0x40;
        bytes[page * PAGE + sizeof number + 7] ^= 0x40;
        spoilt++;
    }
    cr_assert_gt(spoilt, 0);
    write_file(path, bytes, len);
    free(bytes);
}

/* LMDB would take back pages that others use. */
Test(lmdb, values_of_other_pages_than_they_have_are_not_written_over)
{
    void *handle = open_store();
    grow_to(handle, 1000, SECTOR);
    GIVES(ANONSET_OK, try_append(handle, 1000, 1000, SECTOR, 2000));
    lmdb->close(handle);
    spoil_values();
    GIVES(ANONSET_OK, try_open(&handle, path, 0, 100));
    GIVES(ANONSET_CORRUPT, lmdb->clear(handle, 0, &detail));
    GIVES(ANONSET_CORRUPT, lmdb->clear(handle, 1, &detail));
    GIVES(ANONSET_CORRUPT, lmdb->discard_incomplete(handle, 1, &detail));
    cr_assert_eq(state_of(handle).count, SECTOR);
    lmdb->close(handle);
}

/* A chunk of many checkpoints is written anew when the level of the last one is raised. */
Test(lmdb, checkpoints_of_other_pages_than_they_have_are_not_written_over)
{
    void *handle = open_store();
    for (uint32_t size = 10; size <= 300; size += 10)
        grow_to(handle, size, 10);
    lmdb->close(handle);
    spoil_values();
    GIVES(ANONSET_OK, try_open(&handle, path, 0, 100));
    anonset_complete raise = {
        .group = 1, .target = ts_chain_meta(chain, 300), .gate = ANONSET_GATE_SET_HASH};
    memcpy(raise.digest, chain->digests[300], ANONSET_HASH_BYTES);
    GIVES(ANONSET_CORRUPT, lmdb->mark_complete(handle, &raise, &detail));
    lmdb->close(handle);
}

Test(lmdb, a_used_chunk_of_other_pages_than_it_has_is_not_written_over)
{
    static anonset_used used[900];
    anonset_used_append a = {.n = 900, .used = used};
    void *handle = open_store(), *view;
    GIVES(ANONSET_OK, lmdb->used_append(handle, &a, &detail));
    GIVES(ANONSET_OK, lmdb->used_open(handle, &view, &a.before, &detail));
    lmdb->used_close(view);
    lmdb->close(handle);
    spoil_values();
    GIVES(ANONSET_OK, try_open(&handle, path, 0, 100));
    a.keep = 890;
    a.n = 10;
    GIVES(ANONSET_CORRUPT, lmdb->used_append(handle, &a, &detail));
    lmdb->close(handle);
}

static void take_record_when_told(int says, int told)
{
    hear(told);
    put_flags = 0;
    put_entry(entry_of(0, 0, 0, 0), NULL, 0);
    tell(says);
}

/* Another process met an I/O error, and something took the record that is written anew then. */
Test(lmdb, a_store_without_its_record_is_not_made_sure)
{
    make_store();
    other child = start(take_record_when_told);
    void *handle = open_store();
    write_file(beside("-unsure"), "", 0);
    tell(child.told);
    hear(child.says);
    end(&child, 0);
    GIVES(ANONSET_CORRUPT, try_append(handle, 40, 40, 10, 50));
    lmdb->close(handle);
}

/* ---- Damage --------------------------------------------------------------------------------- */

/* What a repair does with the coins [from, to) of the set that is `size` long. */
static void drop(void *handle, bool pending, uint32_t from, uint32_t to, uint32_t size)
{
    anonset_damage d = {.group = 1, .pending = pending, .from = from, .to = to};
    memcpy(d.digest, chain->digests[size], ANONSET_HASH_BYTES);
    memcpy(d.before, chain->digests[from], ANONSET_HASH_BYTES);
    memcpy(d.after, chain->digests[to], ANONSET_HASH_BYTES);
    GIVES(ANONSET_OK, lmdb->drop(handle, &d, &detail));
}

/* The row at one position of group 1 is at another now. */
static void move_row(uint32_t from, uint32_t to)
{
    as_key key = {.kind = AS_KIND_PACK, .group = 1, .at = from};
    uint8_t bytes[AS_KEY_BYTES];
    MDB_val name = as_key_encode(bytes, key), val;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    MDB_cursor *cursor;
    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0644), 0);
    cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_dbi_open(txn, NULL, 0, &table), 0);
    cr_assert_eq(mdb_cursor_open(txn, table, &cursor), 0);
    cr_assert_eq(mdb_cursor_get(cursor, &name, &val, MDB_SET_RANGE), 0);
    cr_assert(as_key_decode(&key, &name) && key.at == from);
    char *row = malloc(val.mv_size);
    cr_assert(row);
    memcpy(row, val.mv_data, val.mv_size);
    val.mv_data = row;
    cr_assert_eq(mdb_cursor_del(cursor, 0), 0);
    mdb_cursor_close(cursor);
    key.at = to;
    name = as_key_encode(bytes, key);
    cr_assert_eq(mdb_put(txn, table, &name, &val, 0), 0);
    cr_assert_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    free(row);
}

/* The position in its key rotted: such a row is in no view until the set has grown. */
Test(lmdb, a_row_that_lost_its_place_goes_with_a_repair)
{
    void *handle = open_store();
    grow_to(handle, 300, 300);
    GIVES(ANONSET_OK, try_append(handle, 300, 300, 20, 600));
    lmdb->close(handle);
    move_row(300, 400);
    handle = open_store();
    drop(handle, true, 300, 320, 320);
    for (uint32_t at = 300; at < 600; at += 20)
        GIVES(ANONSET_OK, try_append(handle, 300, at, 20, 600));
    GIVES(ANONSET_OK, try_complete(handle, 300, 600));
    (void)check_coins(handle, ANONSET_VIEW_FINALIZED);
    lmdb->close(handle);
}
