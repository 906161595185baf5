/* One store, many users: handles, threads and processes. */
#include "tests/conformance/kit.h"

#include "backends/lock.h"
#include "core/coin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECTOR  10u
#define SECTORS 60u

CASE(two_handles_show_each_others_commits)
{
    ts_chain *chain = kit_chain(s, 1, 100);
    anonset_meta meta = ts_chain_meta(chain, 100);
    void *first = s->handle, *second;
    GIVES(ANONSET_OK, kit_open(s, &second, 0));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 0, 30));
    s->handle = second;
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 30);
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 0, 30));
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &meta, 0, 30, 70));
    s->handle = first;
    REFUSED(ANONSET_STALE, 1, kit_append(s, 1, chain, &meta, 0, 30, 70));
    GIVES(ANONSET_OK, kit_complete(s, 1, chain, &meta, 100, ANONSET_GATE_COUNT));
    s->handle = second;
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 100);
    s->handle = first;
    s->backend->close(second);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 100); /* closing one leaves the other */
}

CASE(a_snapshot_of_one_handle_outlives_writes_of_another)
{
    ts_chain *old = kit_chain(s, 2, 300), *new = kit_fork(s, old, 100, 3, 400);
    void *first = s->handle, *second, *snapshot;
    anonset_state state;
    kit_finalize(s, 1, old, 0, 300);
    GIVES(ANONSET_OK, kit_open(s, &second, 0));
    GIVES(ANONSET_OK,
          s->backend->snapshot_open(first, &snapshot, &state, 1, ANONSET_VIEW_FINALIZED, NULL));
    s->handle = second;
    kit_finalize(s, 1, new, 100, 400);
    kit_shows(s, snapshot, old, 300);
    GIVES(ANONSET_OK, s->backend->clear(second, 1, NULL));
    kit_shows(s, snapshot, old, 300);
    s->handle = first;
    s->backend->close(second);
    kit_shows(s, snapshot, old, 300);
    s->backend->snapshot_close(snapshot);
}

/* Appends sectors until the set is whole, like a sync that shares the store with another: STALE
 * means that the other one was first. Returns how many sectors went in, or -1. */
static int race(const subject *s, void *handle, const ts_chain *chain)
{
    anonset_meta meta = ts_chain_meta(chain, chain->n);
    int appended = 0;
    for (;;) {
        anonset_state state;
        if (s->backend->load_state(handle, &state, 1, NULL) != ANONSET_OK)
            return -1;
        if (state.count == chain->n)
            return appended;
        anonset_append a = kit_sector(1, chain, &meta, 0, state.count, SECTOR);
        anonset_code code = s->backend->append_sector(handle, &a, NULL);
        if (code == ANONSET_OK)
            appended++;
        else if (code != ANONSET_STALE)
            return -1;
    }
}

struct racer {
    const subject *subject;
    const ts_chain *chain;
    void *handle;
    int appended;
};

static void *race_thread(void *argument)
{
    struct racer *racer = argument;
    racer->appended = race(racer->subject, racer->handle, racer->chain);
    return NULL;
}

static void threads_race(const subject *s, void *one, void *other)
{
    ts_chain *chain = ts_chain_new(4, SECTOR * SECTORS);
    struct racer racers[] = {{s, chain, one, 0}, {s, chain, other, 0}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, race_thread, &racers[i]) == 0);
    for (size_t i = 0; i < 2; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    MUST(racers[0].appended >= 0 && racers[1].appended >= 0);
    MUST(racers[0].appended + racers[1].appended == (int)SECTORS);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, chain->n);
    ts_chain_free(chain);
}

CASE(two_threads_on_one_handle_let_each_sector_in_once)
{
    threads_race(s, s->handle, s->handle);
}

CASE(two_threads_on_two_handles_let_each_sector_in_once)
{
    void *other;
    GIVES(ANONSET_OK, kit_open(s, &other, 0));
    threads_race(s, s->handle, other);
    s->backend->close(other);
}

struct reader {
    const subject *subject;
    const ts_chain *chain;
    int wrong;
};

/* Opens snapshots until the set is whole; each must show what its own state says. */
static void *read_thread(void *argument)
{
    struct reader *reader = argument;
    const anonset_backend *b = reader->subject->backend;
    anonset_state state = {0};
    while (!reader->wrong && state.finalized.size < reader->chain->n) {
        void *snapshot;
        anonset_run run;
        if (b->snapshot_open(reader->subject->handle, &snapshot, &state, 1, ANONSET_VIEW_FINALIZED,
                             NULL) != ANONSET_OK) {
            reader->wrong = 1;
            break;
        }
        uint32_t at = 0;
        while (at < state.finalized.size && b->read(snapshot, &run, at, NULL) == ANONSET_OK)
            at = run.start + run.n;
        reader->wrong = at != state.finalized.size;
        b->snapshot_close(snapshot);
    }
    return NULL;
}

CASE(readers_in_other_threads_see_whole_sets)
{
    ts_chain *chain = kit_chain(s, 5, 400);
    struct reader readers[] = {{s, chain, 0}, {s, chain, 0}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, read_thread, &readers[i]) == 0);
    for (uint32_t size = 0; size < chain->n; size += 20)
        kit_finalize(s, 1, chain, size, size + 20);
    for (size_t i = 0; i < 2; i++) {
        MUST(pthread_join(threads[i], NULL) == 0);
        MUST(!readers[i].wrong);
    }
}

/* A thread that holds a snapshot and reads it again and again. */
struct holder {
    const subject *subject;
    const ts_chain *chain;
    pthread_barrier_t opened;
    atomic_bool replaced;
    unsigned passes; /* whole readings, the last one begun behind the replacement */
    bool wrong;
};

static bool shows_chain(const struct holder *holder, void *snapshot)
{
    const anonset_backend *b = holder->subject->backend;
    const ts_chain *chain = holder->chain;
    anonset_run run;
    for (uint32_t at = 0; at < chain->n; at++) {
        bool first = at == 0 || at == run.start + run.n;
        if (first && b->read(snapshot, &run, at, NULL) != ANONSET_OK)
            return false;
        if (!as_coin_equal(&run.coins[at - run.start], &chain->coins[at]))
            return false;
    }
    return true;
}

static void *hold_thread(void *argument)
{
    struct holder *holder = argument;
    const anonset_backend *b = holder->subject->backend;
    anonset_state state;
    void *snapshot;
    bool last = false;
    holder->wrong = b->snapshot_open(holder->subject->handle, &snapshot, &state, 1,
                                     ANONSET_VIEW_FINALIZED, NULL) != ANONSET_OK;
    (void)pthread_barrier_wait(&holder->opened);
    if (holder->wrong)
        return NULL;
    while (!holder->wrong && !last) {
        last = atomic_load(&holder->replaced);
        holder->wrong = !shows_chain(holder, snapshot);
        holder->passes++;
    }
    b->snapshot_close(snapshot);
    return NULL;
}

CASE(a_snapshot_in_another_thread_reads_the_old_set_while_it_is_replaced)
{
    ts_chain *old = kit_chain(s, 21, 400), *new = kit_fork(s, old, 150, 22, 500);
    anonset_meta meta = ts_chain_meta(new, 500);
    struct holder holder = {.subject = s, .chain = old};
    pthread_t thread;
    kit_finalize(s, 1, old, 0, 400);
    MUST(pthread_barrier_init(&holder.opened, NULL, 2) == 0);
    MUST(pthread_create(&thread, NULL, hold_thread, &holder) == 0);
    (void)pthread_barrier_wait(&holder.opened);
    for (uint32_t at = 150; at < 500; at += 10)
        GIVES(ANONSET_OK, kit_append(s, 1, new, &meta, 150, at, 10));
    GIVES(ANONSET_OK, kit_complete(s, 1, new, &meta, 350, ANONSET_GATE_COUNT));
    atomic_store(&holder.replaced, true);
    MUST(pthread_join(thread, NULL) == 0);
    MUST(pthread_barrier_destroy(&holder.opened) == 0);
    MUST(!holder.wrong);
    MUST(holder.passes > 0);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, new, 500);
}

/* In a child: opens the store anew, races, and writes the result to the pipe. No assertions here:
 * they belong to the parent. */
static void child(const subject *s, const ts_chain *chain, int out)
{
    void *handle;
    int appended = -1;
    if (kit_open(s, &handle, 0) == ANONSET_OK) {
        appended = race(s, handle, chain);
        s->backend->close(handle);
    }
    _exit(write(out, &appended, sizeof appended) == (ssize_t)sizeof appended ? 0 : 1);
}

CASE(two_processes_let_each_sector_in_once)
{
    ts_chain *chain = kit_chain(s, 6, SECTOR * SECTORS);
    pid_t children[2];
    int ends[2], sum = 0;
    kit_close(s); /* no handle is carried over a fork */
    if (access(s->path, F_OK) != 0) {
        kit_skip(s, "it keeps no file that processes could share");
        return;
    }
    MUST(pipe(ends) == 0);
    for (size_t i = 0; i < 2; i++) {
        children[i] = fork();
        MUST(children[i] >= 0);
        if (children[i] == 0)
            child(s, chain, ends[1]);
    }
    for (size_t i = 0; i < 2; i++) {
        int status, appended = -1;
        MUST(waitpid(children[i], &status, 0) == children[i]);
        MUST(status == 0);
        MUST(read(ends[0], &appended, sizeof appended) == (ssize_t)sizeof appended);
        MUST(appended >= 0);
        sum += appended;
    }
    MUST(sum == (int)SECTORS);
    close(ends[0]);
    close(ends[1]);
    kit_reopen(s, 0);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, chain->n);
}

/* Opens the lock that keeps writers apart: at the store's path, or beside LMDB's own lock file. */
static bool open_writer_lock(const subject *s, as_lock **lock)
{
    static const char *const names[] = {"-writer", ""};
    for (size_t i = 0; i < 2; i++) {
        char name[sizeof s->path + 16], file[sizeof name + 8];
        snprintf(name, sizeof name, "%s%s", s->path, names[i]);
        snprintf(file, sizeof file, "%s-lock", name);
        if (access(file, F_OK) == 0)
            return as_lock_open(lock, name, NULL) == ANONSET_OK;
    }
    return false;
}

CASE(a_locked_store_is_busy_and_readable)
{
    ts_chain *chain = kit_chain(s, 7, 50);
    anonset_meta meta = ts_chain_meta(chain, 50);
    anonset_backend_options options = {.busy_ms = 20};
    as_lock *lock;
    kit_finalize(s, 1, chain, 0, 30);
    if (!open_writer_lock(s, &lock)) {
        kit_skip(s, "it does not use the lock of backends/lock.h");
        return;
    }
    kit_close(s);
    GIVES(ANONSET_OK, s->backend->open(&s->handle, s->path, &options, NULL));
    GIVES(ANONSET_OK, as_lock_take(lock, 5000, NULL));
    REFUSED(ANONSET_BUSY, 1, kit_append(s, 1, chain, &meta, 30, 30, 20));
    REFUSED(ANONSET_BUSY, 1, s->backend->clear(s->handle, 1, NULL));
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 30);
    as_lock_release(lock);
    kit_finalize(s, 1, chain, 30, 50);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 50);
    as_lock_close(lock);
}
