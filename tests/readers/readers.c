/* Rounds: their processes and threads, and what came of them. */
#include "config.h"

#include "tests/readers/readers.h"
#include "tests/readers/round.h"
#include "tests/support/support.h"
#include "tests/support/valgrind.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOLD_MOST      10u
#define ROUND_SECONDS  300u
#define PROCESSES_MOST 6u
#define THREADS_MOST   4u

const char *const tr_cast_name[TR_CASTS] = {"one writer", "two writers", "four writers",
                                            "four, killed"};
const char *const tr_count_name[TR_COUNTS] = {
    "snapshots", "held",     "found",     "syncs", "finalized", "replaced", "re-anchored",
    "cleared",   "given up", "overtaken", "stale", "busy",      "killed",   "bad"};

/* ---- The board ------------------------------------------------------------------------------ */

void tr_add(tr_round *round, tr_count count)
{
    (void)atomic_fetch_add(&round->board->n[count], 1);
}

void tr_bad(tr_round *round, const char *format, ...)
{
    char text[400];
    va_list args;
    if (atomic_fetch_add(&round->board->n[TR_BAD], 1) >= TOLD_MOST)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "%s, %s, seed %llu, process %d: %s\n", round->backend->name,
                  tr_cast_name[round->cast], (unsigned long long)round->seed, (int)getpid(), text);
}

anonset_store *tr_open(tr_round *round, const anonset_backend *backend, unsigned flags)
{
    bool hurried = round->cast == TR_FOUR_WRITERS && backend != round->backend;
    anonset_store_options options;
    anonset_store *store = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_code code;
    anonset_store_options_init(&options);
    options.backend = backend;
    options.flags = flags;
    options.busy_ms = hurried ? 1 : 20000; /* two cores may be shared with anything */
    do
        code = anonset_store_open(&store, round->path, &options, &detail);
    while (hurried && code == ANONSET_BUSY);
    if (code != ANONSET_OK)
        tr_bad(round, "the store cannot be opened: %s", detail.text);
    return store;
}

/* ---- Processes ------------------------------------------------------------------------------ */

typedef struct thread {
    tr_round *round;
    anonset_store *store; /* NULL: handles of its own */
    uint64_t seed;
    pthread_t id;
    bool runs;
} thread;

static void *read_in_thread(void *argument)
{
    thread *t = argument;
    if (t->store)
        tr_read(t->round, t->store, t->seed);
    else
        tr_read_anew(t->round, t->seed);
    return NULL;
}

/* A process that writes, with threads that read; every second one on a handle of its own. */
static void write_in_process(tr_round *round, uint64_t seed)
{
    thread threads[THREADS_MOST] = {{.round = NULL}};
    size_t n = round->cast == TR_ONE_WRITER ? THREADS_MOST : 1;
    anonset_store *store = tr_open(round, tr_counting(round), 0);
    if (!store)
        return;
    for (size_t i = 0; i < n; i++) {
        threads[i] =
            (thread){.round = round, .store = i % 2 == 0 ? store : NULL, .seed = seed + 100 + i};
        threads[i].runs = pthread_create(&threads[i].id, NULL, read_in_thread, &threads[i]) == 0;
        if (!threads[i].runs)
            tr_bad(round, "no thread");
    }
    tr_write(round, store, seed);
    atomic_store(&round->board->over, true);
    for (size_t i = 0; i < n; i++)
        if (threads[i].runs)
            (void)pthread_join(threads[i].id, NULL);
    anonset_store_close(store);
}

typedef struct process {
    pid_t pid;
    bool writes;
} process;

static void start(tr_round *round, process *p, uint64_t seed)
{
    (void)fflush(NULL); /* else both processes would write it */
    p->pid = fork();
    if (p->pid < 0)
        ts_die("no process: %s", strerror(errno));
    if (p->pid > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    ts_alarm(ROUND_SECONDS);
    if (p->writes)
        write_in_process(round, seed);
    else
        tr_read_anew(round, seed);
    (void)fflush(NULL);
    exit(0);
}

static void reap(tr_round *round, const process *p, bool killed)
{
    int status;
    if (waitpid(p->pid, &status, 0) != p->pid)
        ts_die("no process to wait for: %s", strerror(errno));
    if (status != 0 && !(killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
        tr_bad(round, "a process ends by %s %d", WIFSIGNALED(status) ? "signal" : "exit code",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Kills any of them, at any moment, and starts it again. */
static void kill_some(tr_round *round, process *processes, size_t n)
{
    tw_rng rng = {.state = round->seed + 1};
    for (uint64_t i = 0; !atomic_load(&round->board->over); i++) {
        struct timespec pause = {.tv_nsec = (long)ts_box(tw_between(&rng, 200, 10000) * 1000.0)};
        process *p = &processes[tw_between(&rng, 0, (uint32_t)n - 1)];
        (void)nanosleep(&pause, NULL);
        (void)kill(p->pid, SIGKILL);
        reap(round, p, true);
        tr_add(round, TR_KILLED);
        start(round, p, round->seed * 1000 + 100 + i);
    }
}

/* ---- Rounds --------------------------------------------------------------------------------- */

static size_t cast_of(const tr_round *round, process *processes)
{
    static const struct {
        size_t writers, readers;
    } casts[TR_CASTS] = {{1, 2}, {2, 1}, {4, 1}, {4, 1}};
    size_t n = 0;
    while (n < casts[round->cast].writers)
        processes[n++].writes = true;
    for (size_t i = 0; i < casts[round->cast].readers; i++)
        processes[n++].writes = false;
    return n;
}

/* It ends with exactly the last set, whatever happened. */
static void check_end(tr_round *round)
{
    anonset_verdict verdict;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_store *store = tr_open(round, tr_counting(round), 0);
    if (!store)
        return;
    tr_read_last(round, store);
    if (anonset_store_verify(store, &verdict, TR_GROUP, &detail) != ANONSET_OK || !verdict.sound)
        tr_bad(round, "the store is not sound: %s", detail.text);
    anonset_store_close(store);
}

/* Handles do not go through a fork: the store is made, and closed, before. */
static void one_round(tr_round *round)
{
    process processes[PROCESSES_MOST];
    size_t n = cast_of(round, processes);
    anonset_store *store = tr_open(round, round->backend, ANONSET_STORE_CREATE);
    if (!store)
        return;
    anonset_store_close(store);
    for (size_t i = 0; i < n; i++)
        start(round, &processes[i], round->seed * 1000 + i);
    if (round->cast == TR_KILLED_WRITERS)
        kill_some(round, processes, n);
    for (size_t i = 0; i < n; i++)
        reap(round, &processes[i], false);
    check_end(round);
}

/* Where files are memory, if there is such a place: it is about concurrency, not about disks. */
static void folder_make(ts_dir *dir)
{
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    ts_dir_make(dir);
}

static void run_round(tr_figures *figures, tr_round *round)
{
    ts_dir dir;
    folder_make(&dir);
    (void)snprintf(round->path, sizeof round->path, "%s/store", dir.path);
    memset(round->board, 0, sizeof *round->board);
    tr_plan(round);
    one_round(round);
    for (size_t i = 0; i < TR_COUNTS; i++)
        figures->n[round->cast][i] += atomic_load(&round->board->n[i]);
    figures->rounds++;
    tw_world_free(&round->world);
    ts_dir_remove(&dir);
}

/* The one of which the fewest snapshots were read. */
static tr_cast next_cast(const tr_figures *figures)
{
    tr_cast least = 0;
    for (tr_cast cast = 1; cast < TR_CASTS; cast++)
        if (figures->n[cast][TR_SNAPSHOTS] < figures->n[least][TR_SNAPSHOTS])
            least = cast;
    return least;
}

void tr_run(tr_figures *figures, const anonset_backend *backend, const tr_limits *limits)
{
    static tr_round round;
    double from = ts_now();
    memset(figures, 0, sizeof *figures);
    tr_board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        ts_die("no memory to share: %s", strerror(errno));
    for (uint64_t i = 0; i < TR_CASTS || (tr_sum(figures, TR_SNAPSHOTS) < limits->snapshots &&
                                          ts_now() - from < limits->seconds);
         i++) {
        round = (tr_round){.seed = limits->seed + i,
                           .cast = i < TR_CASTS ? (tr_cast)i : next_cast(figures),
                           .backend = backend,
                           .board = board};
        run_round(figures, &round);
    }
    (void)munmap(board, sizeof *board);
    figures->seconds = ts_now() - from;
}

/* ---- Figures -------------------------------------------------------------------------------- */

unsigned long tr_sum(const tr_figures *figures, tr_count count)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < TR_CASTS; i++)
        sum += figures->n[i][count];
    return sum;
}

void tr_print(const char *name, const tr_figures *figures)
{
    (void)printf("%s, %lu rounds, %.1f s\n%-14s", name, figures->rounds, figures->seconds, "");
    for (size_t i = 0; i < TR_COUNTS; i++)
        (void)printf(" %11s", tr_count_name[i]);
    for (size_t cast = 0; cast < TR_CASTS; cast++) {
        (void)printf("\n  %-12s", tr_cast_name[cast]);
        for (size_t i = 0; i < TR_COUNTS; i++)
            (void)printf(" %11lu", figures->n[cast][i]);
    }
    (void)printf("\n");
    (void)fflush(stdout);
}
