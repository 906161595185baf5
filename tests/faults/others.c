/* What others do to a store while it is used: other processes, a disk that fills, limits. */
#include "config.h"

#include "backends/backends.h"
#include "backends/lmdb/env.h"
#include "backends/lock.h"
#include "tests/faults/own_disk.h"
#include "tests/faults/place.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUP 1u

/* ---- Another process ----------------------------------------------------------------------- */

typedef struct other {
    pid_t pid;
    int says, told; /* a byte here tells that it is done, a byte there lets it go on */
} other;

static void hear(int fd)
{
    char byte;
    TL_MUST(read(fd, &byte, 1) == 1, "the other process is gone");
}

static void tell(int fd)
{
    TL_MUST(write(fd, "x", 1) == 1, "the other process is gone");
}

/* To be called while no store is open here; `work` begins when told. */
static other start(tl_case *c, void (*work)(tl_case *c, int says, int told))
{
    int up[2], down[2];
    TL_MUST(pipe(up) == 0 && pipe(down) == 0, "pipe");
    pid_t pid = fork();
    TL_MUST(pid >= 0, "fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        hear(down[0]);
        work(c, up[1], down[0]);
        _exit(0);
    }
    (void)close(up[1]);
    (void)close(down[0]);
    return (other){pid, up[0], down[1]};
}

static void end(const other *o, int number)
{
    int status;
    if (number)
        TL_MUST(kill(o->pid, number) == 0, "kill");
    TL_MUST(waitpid(o->pid, &status, 0) == o->pid, "wait");
    TL_MUST(number ? WIFSIGNALED(status) : status == 0, "the other process failed");
    (void)close(o->says);
    (void)close(o->told);
}

static anonset_store *open_store(tl_case *c)
{
    anonset_store *store;
    TL_MUST(tl_open(c, &store, ANONSET_STORE_CREATE) == ANONSET_OK, "%s", c->detail.text);
    return store;
}

static uint64_t bytes_of(tl_case *c, anonset_store *store)
{
    uint64_t bytes;
    TL_MUST(anonset_store_disk_bytes(store, &bytes, &c->detail) == ANONSET_OK, "%s",
            c->detail.text);
    return bytes;
}

/* ---- A reader that is killed --------------------------------------------------------------- */

#define ROUNDS 60

static void hold_snapshot(tl_case *c, int says, int told)
{
    anonset_snapshot *snapshot;
    anonset_coin coin;
    anonset_store *store = open_store(c);
    TL_MUST(anonset_snapshot_open(&snapshot, store, GROUP, &c->detail) == ANONSET_OK, "%s",
            c->detail.text);
    TL_MUST(anonset_snapshot_next(snapshot, &coin, &c->detail) == ANONSET_OK, "%s", c->detail.text);
    tell(says);
    hear(told);
}

/* Stores a set and removes it, over and over; what that leaves free is used again. */
static void write_for_nothing(tl_case *c, anonset_store *store)
{
    for (int i = 0; i < ROUNDS; i++) {
        TL_MUST(anonset_store_clear(store, GROUP, &c->detail) == ANONSET_OK, "%s", c->detail.text);
        tl_sync(c, store);
    }
}

static void a_killed_reader(tl_case *c)
{
    other reader = start(c, hold_snapshot);
    anonset_store *store = open_store(c);
    tl_grow(c, store);
    tell(reader.told);
    hear(reader.says);
    write_for_nothing(c, store);
    end(&reader, SIGKILL);
    write_for_nothing(c, store);
    uint64_t settled = bytes_of(c, store);
    write_for_nothing(c, store);
    write_for_nothing(c, store);
    TL_MUST(bytes_of(c, store) <= settled, "it still grows: %llu bytes, then %llu",
            (unsigned long long)settled, (unsigned long long)bytes_of(c, store));
    tl_is_whole(c, store);
    anonset_store_close(store);
}

/* ---- A store that another process makes larger --------------------------------------------- */

#define SMALL_MAP ((size_t)64 << 10)
#define GROWTHS   15

static void grow_store(tl_case *c, int says, int told)
{
    anonset_store *store = open_store(c);
    (void)told;
    tl_grow_unseen(); /* as the one that started us did since */
    for (int i = 0; i < GROWTHS; i++)
        tl_grow(c, store);
    anonset_store_close(store);
    tell(says);
}

static uint32_t coins_in(tl_case *c, anonset_snapshot *snapshot)
{
    anonset_coin coin;
    uint32_t n = 0;
    anonset_code code;
    while ((code = anonset_snapshot_next(snapshot, &coin, &c->detail)) == ANONSET_OK)
        n++;
    TL_MUST(code == ANONSET_NOT_FOUND, "code %d: %s", (int)code, c->detail.text);
    return n;
}

/* Past the end of LMDB's map, while a snapshot here forbids to map it anew. */
static void grown_by_another(tl_case *c)
{
    anonset_snapshot *held, *fresh;
    as_env_first_map = SMALL_MAP;
    other writer = start(c, grow_store);
    anonset_store *store = open_store(c);
    tl_grow(c, store);
    TL_MUST(anonset_snapshot_open(&held, store, GROUP, &c->detail) == ANONSET_OK, "%s",
            c->detail.text);
    uint32_t size = anonset_snapshot_state(held)->finalized.size;
    tell(writer.told);
    hear(writer.says);
    end(&writer, 0);
    TL_MUST(coins_in(c, held) == size, "the snapshot shows something else");
    anonset_code code = anonset_snapshot_open(&fresh, store, GROUP, &c->detail);
    TL_MUST(code == ANONSET_OK || code == ANONSET_BUSY, "code %d: %s", (int)code, c->detail.text);
    TL_MUST(code == ANONSET_OK || strstr(c->detail.text, "snapshot"), "%s", c->detail.text);
    if (code == ANONSET_OK)
        anonset_snapshot_close(fresh);
    anonset_snapshot_close(held);
    for (int i = 0; i < GROWTHS; i++) /* the same numbers by chance: the same chain */
        tl_grow_unseen();
    TL_MUST(bytes_of(c, store) > SMALL_MAP, "the store is too small to fill the map");
    tl_is_whole(c, store);
    tl_grow(c, store);
    tl_is_whole(c, store);
    anonset_store_close(store);
}

static void a_full_map(tl_case *c)
{
    as_env_first_map = SMALL_MAP;
    anonset_store *store = open_store(c);
    for (int i = 0; i < 16; i++)
        tl_grow(c, store);
    tl_is_whole(c, store);
    TL_MUST(bytes_of(c, store) > SMALL_MAP, "the store is too small to fill the map");
    anonset_store_close(store);
}

/* ---- The program --------------------------------------------------------------------------- */

static void hold_lock(tl_case *c, int says, int told)
{
    as_lock *lock;
    char name[TL_PATH];
    (void)snprintf(name, sizeof name, "%s%s", c->path,
                   c->backend == &as_backend_lmdb ? "-writer" : "");
    TL_MUST(as_lock_open(&lock, name, &c->detail) == ANONSET_OK &&
                as_lock_take(lock, 1000, &c->detail) == ANONSET_OK,
            "%s", c->detail.text);
    tell(says);
    hear(told);
}

static void program_says(tl_case *c, const ts_server *server, int exit_code, const char *says)
{
    ts_result result;
    ts_anonset(&result, c->backend->name, "sync", "--db", c->path, "--server", server->http,
               "--group", "1", NULL);
    TL_MUST(result.exit_code == exit_code, "the program ends with %d: %s%s", result.exit_code,
            result.out, result.err);
    TL_MUST(!says || strstr(result.err, says), "the program says: %s", result.err);
    ts_result_free(&result);
}

static void program_verifies(tl_case *c)
{
    ts_result result;
    ts_anonset(&result, c->backend->name, "verify", "--db", c->path, NULL);
    TL_MUST(result.exit_code == 0, "%s%s", result.out, result.err);
    ts_result_free(&result);
}

static void program_and_a_busy_store(tl_case *c)
{
    ts_server server;
    other writer = start(c, hold_lock);
    ts_server_start(&server, "--coins", "500", NULL);
    program_says(c, &server, 0, NULL);
    ts_tell(&server, "grow 100");
    tell(writer.told);
    hear(writer.says);
    program_says(c, &server, 7, "next: wait for the other process");
    end(&writer, SIGKILL);
    program_says(c, &server, 0, NULL);
    program_verifies(c);
    ts_server_stop(&server);
}

static void program_and_a_full_disk(tl_case *c)
{
    ts_server server;
    if (!tf_own_disk(c->dir.path, "600k"))
        tl_skip("no disk of our own can be mounted");
    ts_server_start(&server, "--coins", "300", NULL);
    program_says(c, &server, 0, NULL);
    ts_tell(&server, "grow 5000");
    program_says(c, &server, 6, "free some space");
    program_verifies(c);
    TL_MUST(tf_more_disk(c->dir.path, "8m"), "the disk does not get larger");
    program_says(c, &server, 0, NULL);
    program_verifies(c);
    ts_server_stop(&server);
}

static void program_and_a_limit(tl_case *c)
{
    ts_server server;
    ts_process process;
    ts_result result;
    char command[3 * TL_PATH];
    ts_server_start(&server, "--coins", "3000", NULL);
    (void)snprintf(command, sizeof command,
                   "ulimit -f 200; exec '%s' sync --db '%s' --server '%s' --group 1",
                   ts_anonset_path(c->backend->name), c->path, server.http);
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    ts_start(&process, argv);
    ts_finish(&process, &result, 60000);
    TL_MUST(result.exit_code == 6 && strstr(result.err, "cause: "), "exit %d, signal %d: %s",
            result.exit_code, result.signal, result.err);
    ts_result_free(&result);
    program_says(c, &server, 0, NULL);
    program_verifies(c);
    ts_server_stop(&server);
}

const tl_other tl_others[] = {{"reader killed with a snapshot", a_killed_reader},
                              {"grown by another process", grown_by_another},
                              {"map full", a_full_map},
                              {"program: busy", program_and_a_busy_store},
                              {"program: full disk", program_and_a_full_disk},
                              {"program: limit of file sizes", program_and_a_limit},
                              {NULL, NULL}};
