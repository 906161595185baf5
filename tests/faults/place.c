/*
 * place [NAME]
 *
 * What may be at the path of a store, and what others may do to one: each opening that is refused
 * has its code, names the file, says what to do and leaves all as it was, by the library and by the
 * program; and where it can be mended, the same opening then goes on. Every case runs in a process
 * of its own, for each backend.
 */
#include "config.h"

#include "tests/faults/place.h"

#include "backends/backends.h"
#include "tests/support/play.h"
#include "tests/support/valgrind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUP  1u
#define NOBODY 65534

static const anonset_backend *const backends[] = {&as_backend_sqlite, &as_backend_lmdb};

void tl_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    (void)printf("BAD %s:%d: ", file, line);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)printf("\n");
    (void)fflush(stdout);
    _exit(TL_BAD);
}

void tl_skip(const char *why)
{
    (void)printf("skipped: %s\n", why);
    (void)fflush(stdout);
    _exit(TL_SKIPPED);
}

/* ---- Stores -------------------------------------------------------------------------------- */

static tw_world world;
static const tw_chain *chain; /* of `fill`; then longer ones */
static tw_reply reply;

anonset_code tl_open(tl_case *c, anonset_store **store, unsigned flags)
{
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = c->backend;
    options.flags = flags;
    options.busy_ms = 200;
    c->detail = (anonset_detail){.code = ANONSET_OK};
    return anonset_store_open(store, c->path, &options, &c->detail);
}

void tl_sync(tl_case *c, anonset_store *store)
{
    anonset_sync_options options;
    anonset_result result;
    anonset_sync_options_init(&options);
    TL_MUST(tp_sync(&result, store, chain, &options, TP_ALL, &reply) == ANONSET_OK, "no sync");
    c->detail = result.error;
    TL_MUST(result.outcome == ANONSET_FINALIZED, "%s: %s", anonset_outcome_name(result.outcome),
            c->detail.text);
}

void tl_grow_unseen(void)
{
    if (!chain)
        tw_world_init(&world, 1);
    chain = tw_grow_wide(&world, chain, 1, 8);
}

void tl_grow(tl_case *c, anonset_store *store)
{
    tl_grow_unseen();
    tl_sync(c, store);
}

void tl_is_whole(tl_case *c, anonset_store *store)
{
    char why[ANONSET_DETAIL_TEXT];
    anonset_verdict verdict;
    TL_MUST(tp_is_whole(store, GROUP, chain, why, sizeof why), "%s", why);
    TL_MUST(anonset_store_verify(store, &verdict, GROUP, &c->detail) == ANONSET_OK && verdict.sound,
            "not sound: %s", c->detail.text);
}

static void fill(tl_case *c)
{
    anonset_store *store;
    TL_MUST(tl_open(c, &store, ANONSET_STORE_CREATE) == ANONSET_OK, "%s", c->detail.text);
    tl_grow(c, store);
    tl_grow(c, store);
    anonset_store_close(store);
}

/* ---- What may be at the path --------------------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
    ts_write_file(path, text, strlen(text));
}

static void make_nothing(tl_case *c)
{
    (void)c;
}

static void make_folder(tl_case *c)
{
    TL_MUST(mkdir(c->path, 0755) == 0, "mkdir");
}

static void make_pipe(tl_case *c)
{
    TL_MUST(mkfifo(c->path, 0644) == 0, "mkfifo");
}

static void make_device(tl_case *c)
{
    if (mknod(c->path, S_IFCHR | 0666, (dev_t)(1 << 8 | 3)) != 0)
        TL_MUST(symlink("/dev/null", c->path) == 0, "symlink");
}

static void make_text(tl_case *c)
{
    write_text(c->path, "Dear diary, today I began to write a file that is no store at all.\n");
}

static void make_empty(tl_case *c)
{
    write_text(c->path, "");
}

static void make_other_sqlite(tl_case *c)
{
    sqlite3 *db;
    TL_MUST(sqlite3_open(c->path, &db) == SQLITE_OK &&
                sqlite3_exec(db, "CREATE TABLE recipe(name, text); INSERT INTO recipe VALUES(1, 2)",
                             NULL, NULL, NULL) == SQLITE_OK &&
                sqlite3_close(db) == SQLITE_OK,
            "sqlite");
}

static void make_other_lmdb(tl_case *c)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    MDB_val key = {1, (char[]){1}}, val = {1, (char[]){2}};
    int rc = mdb_env_create(&env);
    TL_MUST(rc == 0 && mdb_env_open(env, c->path, MDB_NOSUBDIR | MDB_NOLOCK, 0644) == 0 &&
                mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &table) == 0 &&
                mdb_put(txn, table, &key, &val, 0) == 0 && mdb_txn_commit(txn) == 0,
            "lmdb");
    mdb_env_close(env);
}

static void make_others_store(tl_case *c)
{
    const anonset_backend *mine = c->backend;
    c->backend = mine == backends[0] ? backends[1] : backends[0];
    fill(c);
    c->backend = mine;
}

static void make_link_to_nothing(tl_case *c)
{
    TL_MUST(symlink("not mounted/store", c->path) == 0, "symlink");
}

static void make_loop(tl_case *c)
{
    TL_MUST(symlink("store", c->path) == 0, "symlink");
}

static void make_link(tl_case *c)
{
    char target[TL_PATH];
    const char *path = c->path;
    (void)snprintf(target, sizeof target, "%s", ts_in(&c->dir, "elsewhere"));
    c->path = target;
    fill(c);
    c->path = path;
    TL_MUST(symlink("elsewhere", c->path) == 0, "symlink");
}

static void lose_folder(tl_case *c)
{
    c->path = ts_in(&c->dir, "no such folder/store");
}

static void be_below_a_file(tl_case *c)
{
    write_text(ts_in(&c->dir, "file"), "text");
    c->path = ts_in(&c->dir, "file/store");
}

static void have_a_long_name(tl_case *c)
{
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    c->path = ts_in(&c->dir, name);
}

static void lock_file(tl_case *c)
{
    fill(c);
    TL_MUST(chmod(c->path, 0) == 0, "chmod");
}

static void make_file_read_only(tl_case *c)
{
    fill(c);
    TL_MUST(chmod(c->path, 0444) == 0, "chmod");
}

static void lock_folder(tl_case *c)
{
    fill(c);
    TL_MUST(chmod(c->dir.path, 0) == 0, "chmod");
}

static void make_folder_read_only(tl_case *c)
{
    TL_MUST(chmod(c->dir.path, 0555) == 0, "chmod");
}

/* What permissions were taken are given back. */
static void unlock(tl_case *c)
{
    TL_MUST(chmod(c->dir.path, 0755) == 0, "chmod");
    TL_MUST(chmod(c->path, 0644) == 0 || errno == ENOENT, "chmod");
}

#define ANY ANONSET_UNPROVEN /* not looked at */

static const struct place {
    const char *name;
    void (*make)(tl_case *c);
    anonset_code writing; /* opened with CREATE */
    anonset_code reading; /* opened READ_ONLY */
    const char *says;     /* of the opening to write */
    void (*mend)(tl_case *c);
    bool as_nobody; /* to root nothing is forbidden */
} places[] = {
    {"nothing", make_nothing, ANONSET_OK, ANONSET_NOT_FOUND, NULL, NULL, false},
    {"empty file", make_empty, ANONSET_OK, ANONSET_NOT_FOUND, NULL, NULL, false},
    {"link to a store", make_link, ANONSET_OK, ANONSET_OK, NULL, NULL, false},
    {"folder", make_folder, ANONSET_FOREIGN, ANONSET_FOREIGN, "choose another path", NULL, false},
    {"pipe", make_pipe, ANONSET_FOREIGN, ANONSET_FOREIGN, "choose another path", NULL, false},
    {"device", make_device, ANONSET_FOREIGN, ANONSET_FOREIGN, "choose another path", NULL, false},
    {"text", make_text, ANONSET_FOREIGN, ANONSET_FOREIGN, "choose another path", NULL, false},
    {"other sqlite file", make_other_sqlite, ANONSET_FOREIGN, ANONSET_FOREIGN,
     "choose another path", NULL, false},
    {"other lmdb file", make_other_lmdb, ANONSET_FOREIGN, ANONSET_FOREIGN, "choose another path",
     NULL, false},
    {"store of the other backend", make_others_store, ANONSET_FOREIGN, ANONSET_FOREIGN,
     "choose another path", NULL, false},
    {"link to nothing", make_link_to_nothing, ANONSET_NOT_FOUND, ANONSET_NOT_FOUND,
     "remove the link", NULL, false},
    {"link to itself", make_loop, ANONSET_IO, ANONSET_IO, "follow the path", NULL, false},
    {"no folder", lose_folder, ANONSET_NOT_FOUND, ANONSET_NOT_FOUND, "create it", NULL, false},
    {"below a file", be_below_a_file, ANONSET_NOT_FOUND, ANONSET_NOT_FOUND, "create it", NULL,
     false},
    /* Nothing else has room in the detail: the code and the errno must do. */
    {"long name", have_a_long_name, ANONSET_IO, ANONSET_IO, NULL, NULL, false},
    {"no permission for the file", lock_file, ANONSET_PERMISSION, ANONSET_PERMISSION,
     "give the user", unlock, true},
    {"file read-only", make_file_read_only, ANONSET_PERMISSION, ANY, "give the user", unlock, true},
    {"no permission for the folder", lock_folder, ANONSET_PERMISSION, ANONSET_PERMISSION,
     "give the user", unlock, true},
    {"folder read-only, no store", make_folder_read_only, ANONSET_PERMISSION, ANONSET_NOT_FOUND,
     "give the user", unlock, true},
};

/* ---- Playing them -------------------------------------------------------------------------- */

/* A number for all that lies in the case's folder: names, kinds, modes, bytes. */
static uint64_t all_there(tl_case *c)
{
    uint64_t sum = 0;
    DIR *listing = opendir(c->dir.path);
    if (!listing)
        return 0; /* no permission: nothing can have been made either */
    for (struct dirent *entry; (entry = readdir(listing));) {
        struct stat found;
        uint64_t one = 0xcbf29ce484222325u;
        if (fstatat(dirfd(listing), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        for (const char *n = entry->d_name; *n; n++)
            one = (one ^ (uint8_t)*n) * 0x100000001b3u;
        one = (one ^ found.st_mode) * 0x100000001b3u;
        int fd = S_ISREG(found.st_mode) ? openat(dirfd(listing), entry->d_name, O_RDONLY) : -1;
        for (uint8_t byte; fd >= 0 && read(fd, &byte, 1) == 1;)
            one = (one ^ byte) * 0x100000001b3u;
        if (fd >= 0)
            (void)close(fd);
        sum += one; /* in whatever order */
    }
    (void)closedir(listing);
    return sum;
}

static void opens_as(tl_case *c, unsigned flags, anonset_code must, const char *says)
{
    anonset_store *store = NULL;
    if (must == ANY)
        return;
    anonset_code code = tl_open(c, &store, flags);
    TL_MUST(code == must, "code %d, not %d: %s", (int)code, (int)must, c->detail.text);
    if (code == ANONSET_OK) {
        anonset_store_close(store);
        return;
    }
    TL_MUST(c->detail.code == code, "the detail has another code");
    TL_MUST(strstr(c->detail.text, strrchr(c->path, '/')) || strlen(c->path) > 200,
            "the file is not named: %s", c->detail.text);
    TL_MUST(!says || strstr(c->detail.text, says), "it does not say what to do: %s",
            c->detail.text);
}

/* The program opens the store before it connects: nobody needs to listen. */
static void program_tells(tl_case *c, const struct place *place)
{
    ts_result result;
    const char *program = ts_anonset_path(c->backend->name);
    if (access(program, X_OK) != 0)
        return; /* where a build lies in somebody's home, nobody may not go there */
    ts_anonset(&result, c->backend->name, "sync", "--db", c->path, "--server", "tcp://127.0.0.1:1",
               "--group", "1", "--retries", "0", NULL);
    int must = place->writing == ANONSET_OK ? 3 : 6;
    TL_MUST(result.exit_code == must, "the program ends with %d: %s", result.exit_code, result.err);
    TL_MUST(must == 3 || (strstr(result.err, "cause: ") && strstr(result.err, "next: ")),
            "the program says too little: %s", result.err);
    TL_MUST(!place->says || strstr(result.err, place->says), "the program says: %s", result.err);
    ts_result_free(&result);
}

static void become_nobody(tl_case *c)
{
    if (geteuid() != 0)
        return;
    TL_MUST(chown(c->dir.path, NOBODY, NOBODY) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0,
            "cannot become nobody: %s", strerror(errno));
}

static void play_place(tl_case *c, const struct place *place)
{
    if (place->as_nobody)
        become_nobody(c);
    place->make(c);
    bool refused = place->writing != ANONSET_OK;
    uint64_t before = all_there(c);
    bool is_missing = place->reading == ANONSET_NOT_FOUND && place->writing != ANONSET_NOT_FOUND;
    opens_as(c, ANONSET_STORE_READ_ONLY, place->reading,
             is_missing ? "check the path" : place->says);
    opens_as(c, ANONSET_STORE_CREATE, place->writing, place->says);
    program_tells(c, place);
    if (refused && !place->mend) /* where it is ours, a log may have been made or copied */
        TL_MUST(all_there(c) == before, "something was touched");
    if (!place->mend)
        return;
    place->mend(c);
    anonset_store *store;
    TL_MUST(tl_open(c, &store, ANONSET_STORE_CREATE) == ANONSET_OK, "%s", c->detail.text);
    if (chain)
        tl_is_whole(c, store);
    tl_grow(c, store);
    tl_is_whole(c, store);
    anonset_store_close(store);
}

/* ---- All of them --------------------------------------------------------------------------- */

typedef struct sums {
    unsigned cases, skipped, bad;
} sums;

static void clean(ts_dir *dir)
{
    (void)chmod(dir->path, 0755);
    ts_dir_remove(dir);
}

static void run(sums *all, const anonset_backend *backend, const char *name,
                const struct place *place, void (*play)(tl_case *c))
{
    tl_case c = {.backend = backend};
    int status = 0;
    ts_dir_make(&c.dir);
    c.path = ts_in(&c.dir, "store");
    (void)printf("%s: %s\n", backend->name, name);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        ts_alarm(120);
        if (place)
            play_place(&c, place);
        else
            play(&c);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        status = -1;
    if (WIFSIGNALED(status))
        (void)printf("BAD it ended by signal %d\n", WTERMSIG(status));
    bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == TL_SKIPPED;
    all->cases += !skipped;
    all->skipped += skipped;
    all->bad += !skipped && status != 0;
    clean(&c.dir);
}

static bool wanted(const char *name, const char *only)
{
    return !only || strstr(name, only);
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    sums all = {0};
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        for (size_t i = 0; i < sizeof places / sizeof *places; i++)
            if (wanted(places[i].name, only))
                run(&all, backends[b], places[i].name, &places[i], NULL);
        for (size_t i = 0; tl_others[i].name; i++)
            if (wanted(tl_others[i].name, only))
                run(&all, backends[b], tl_others[i].name, NULL, tl_others[i].play);
    }
    (void)printf("figures: %u cases, %u skipped; bad %u\n", all.cases, all.skipped, all.bad);
    return all.bad > 0;
}
