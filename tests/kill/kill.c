#include "config.h"

#include "tests/kill/kill.h"

#include "backends/backends.h"
#include "core/plan.h"
#include "tests/support/coins.h"
#include "tests/support/legacy.h"
#include "tests/support/valgrind.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOLD_MOST    10u
#define CACHE_COINS  3000u
#define WORK_SECONDS 60u /* of one process, whatever the machine does beside */

const char *const tk_stage_name[TK_STAGES] = {"create", "first", "resume",  "growth",
                                              "reorg",  "clear", "upgrade", "convert"};

typedef struct killing {
    const anonset_backend *backend;
    tk_figures *figures;
    const tk_limits *limits;
    tw_rng rng;
    double started;
    ts_dir dir;
    ts_server server;
    tk_work work;
    tk_stage stage;
    double takes; /* seconds, uninterrupted */
    tk_set before, after;
    bool pending; /* as the store showed last, in this stage */
    uint32_t held;
    anonset_used_state used, used_after; /* as it showed last, and as the server has it */
    uint32_t tags;                       /* that the server is told to have */
    const char *cache;                   /* an older one, to be copied */
    tk_set cached;
} killing;

static void pause_us(uint32_t us)
{
    struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};
    (void)nanosleep(&pause, NULL);
}

static bool is_over(const killing *k)
{
    bool enough = tk_sum(k->figures) >= k->limits->kills && k->figures->between > 0;
    return enough || ts_now() - k->started >= k->limits->seconds;
}

static void bad(killing *k, const char *what)
{
    if (k->figures->bad++ < TOLD_MOST)
        (void)fprintf(stderr, "%s, %s, kill %lu, seed %llu: %s\n", k->backend->name,
                      tk_stage_name[k->stage], tk_sum(k->figures),
                      (unsigned long long)k->limits->seed, what);
}

/* ---- Processes ------------------------------------------------------------------------------ */

/* Nothing is open here that must not go through a fork. */
static pid_t start(const tk_work *work, void (*body)(const tk_work *))
{
    (void)fflush(NULL);
    work->board->over = false;
    work->board->why[0] = '\0';
    pid_t pid = fork();
    if (pid < 0)
        ts_die("no process: %s", strerror(errno));
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        ts_alarm(WORK_SECONDS);
        body(work);
        exit(0);
    }
    return pid;
}

/* Waits for its end, and counts it as bad if that is another one than it must be. True if SIGKILL
 * was the end. */
static bool reap(killing *k, pid_t pid, bool killed)
{
    int status;
    char text[100];
    if (waitpid(pid, &status, 0) != pid)
        ts_die("no process to wait for: %s", strerror(errno));
    if (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    if (status == 0)
        return false;
    (void)snprintf(text, sizeof text, "a process ends by %s %d",
                   WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    bad(k, text);
    return false;
}

/* Runs it to its end. */
static void run(killing *k, const tk_work *work, void (*body)(const tk_work *))
{
    double from = ts_now();
    (void)reap(k, start(work, body), false);
    if (work->board->why[0])
        bad(k, work->board->why);
    k->takes = ts_now() - from;
}

/* Half of the kills at any moment of what it takes, a quarter right behind a commit, a quarter
 * early: while the store is opened. */
static void wait_for_instant(killing *k)
{
    tk_board *board = k->work.board;
    uint32_t all = (uint32_t)(k->takes * 1e6);
    uint32_t commits = atomic_load(&board->commits);
    double until = ts_now() + k->takes;
    switch (tw_between(&k->rng, 0, 3)) {
    case 0:
        commits += tw_between(&k->rng, 1, 5);
        while (atomic_load(&board->commits) < commits && ts_now() < until)
            pause_us(20);
        pause_us(tw_between(&k->rng, 0, 500));
        break;
    case 1:
        pause_us(tw_between(&k->rng, 0, all / 4));
        break;
    default:
        pause_us(tw_between(&k->rng, 0, all));
        break;
    }
}

/* True if it was killed, and had not come to its end. */
static bool kill_it(killing *k, pid_t pid)
{
    wait_for_instant(k);
    (void)kill(pid, SIGKILL);
    if (!reap(k, pid, true) || k->work.board->over) {
        k->figures->ended++;
        if (k->work.board->why[0])
            bad(k, k->work.board->why);
        return false;
    }
    k->figures->kills[k->stage]++;
    return true;
}

/* ---- What must show ------------------------------------------------------------------------- */

static bool is_set(const tk_set *a, const tk_set *b)
{
    return a->is == b->is && as_meta_equal(&a->meta, &b->meta) &&
           memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

static void look(killing *k)
{
    tk_board *board = k->work.board;
    run(k, &k->work, tk_look);
    if (!is_set(&board->set, &k->before) && !is_set(&board->set, &k->after))
        bad(k, "the store shows another set than before or after");
}

static bool is_used(const anonset_used_state *a, const anonset_used_state *b)
{
    return a->count == b->count && memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

/* All that the sync is to lead to. */
static bool is_done(const killing *k)
{
    const tk_board *board = k->work.board;
    return is_set(&board->set, &k->after) && is_used(&board->used, &k->used_after);
}

/* Sound it is: then, what the syncs append to it leads to the right list only if it is right. */
static void check_used(killing *k)
{
    tk_board *board = k->work.board;
    if (board->used.count < k->used.count || board->used.count < atomic_load(&board->tags))
        bad(k, "acknowledged tags are lost");
    if (board->used.count > k->used_after.count)
        bad(k, "there are more tags than the server has");
    k->used = board->used;
}

/* … and, of a sync, that no acknowledged coin or tag is lost. */
static void look_at_sync(killing *k)
{
    tk_board *board = k->work.board;
    double takes = k->takes;
    look(k);
    k->takes = takes;
    k->figures->between += board->pending;
    bool shrank = k->pending && (!board->pending || board->held < k->held);
    if (!is_set(&board->set, &k->after) && (shrank || board->held < atomic_load(&board->position)))
        bad(k, "acknowledged coins are lost");
    check_used(k);
    k->pending = board->pending;
    k->held = board->held;
}

/* ---- Stages --------------------------------------------------------------------------------- */

/* The memory of a process is gone with it: it looks by itself. */
static void sync_and_look(const tk_work *work)
{
    anonset_store *store = NULL;
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = work->backend;
    if (anonset_store_open(&store, work->path, &options, NULL) != ANONSET_OK)
        return;
    tk_sync(work);
    tk_look(work);
    anonset_store_close(store);
}

/* What the sync must come to is told by one that nobody kills. */
static void begin_sync(killing *k)
{
    tk_work work = k->work;
    work.backend = &as_backend_memory;
    work.path = "reference";
    work.is_reference = true;
    k->before = k->after;
    run(k, &work, sync_and_look);
    k->after = work.board->set;
    k->used_after = work.board->used;
    k->pending = false;
    atomic_store(&work.board->tags, 0);
    atomic_store(&work.board->commits, 0);
    atomic_store(&work.board->position, 0);
}

/* Until one of them comes to its end before it is killed. */
static void kill_syncs(killing *k, tk_stage stage)
{
    begin_sync(k);
    k->takes *= 1.5; /* a store of files takes longer than memory */
    for (k->stage = stage; !is_over(k);) {
        uint32_t commits = atomic_load(&k->work.board->commits);
        k->work.sector = 1u << tw_between(&k->rng, 3, 8);
        bool killed = kill_it(k, start(&k->work, tk_sync));
        look_at_sync(k);
        if (!killed && is_done(k))
            return;
        if (!killed)
            bad(k, "a sync that came to its end did not finalize");
        if (atomic_load(&k->work.board->commits) == commits)
            k->takes *= 1.2; /* memory is faster by more: it must come to a commit some time */
        if (k->work.board->pending)
            k->stage = TK_RESUME;
    }
    /* There is no time for another kill: it ends as it must, all the same. */
    run(k, &k->work, tk_sync);
    look_at_sync(k);
    if (!is_done(k))
        bad(k, "the last sync did not finalize");
}

static void kill_clears(killing *k)
{
    k->before = k->after;
    k->after = (tk_set){.is = false};
    k->stage = TK_CLEAR;
    k->takes = .004;
    do {
        if (kill_it(k, start(&k->work, tk_clear)))
            k->takes *= 1.1; /* a tool or a busy machine may take longer: it must end some time */
        look(k);
    } while (k->work.board->set.is);
}

static void copy_file(const char *from, const char *to)
{
    size_t len;
    char *bytes = ts_read_file(from, &len);
    ts_write_file(to, bytes, len);
    free(bytes);
}

/* All files of the folder whose names begin so. */
static void remove_files(const killing *k, const char *name)
{
    DIR *dir = opendir(k->dir.path);
    struct dirent *one;
    if (!dir)
        ts_die("%s: %s", k->dir.path, strerror(errno));
    while ((one = readdir(dir)) != NULL)
        if (strncmp(one->d_name, name, strlen(name)) == 0)
            (void)unlinkat(dirfd(dir), one->d_name, 0);
    (void)closedir(dir);
}

/* The cache, or the store that it becomes: who looks opens it, and upgrades it if it was not. */
static void kill_upgrades(killing *k)
{
    k->before = k->after = k->cached;
    k->stage = TK_UPGRADE;
    for (int i = 0; i < 5 && !is_over(k); i++) {
        remove_files(k, "store");
        copy_file(k->cache, k->work.path);
        k->takes = .03;
        (void)kill_it(k, start(&k->work, tk_open));
        look(k);
    }
}

static void convert(const tk_work *work)
{
    if (!freopen("/dev/null", "w", stdout)) /* what it made is looked at */
        ts_die("no /dev/null");
    ts_exec((const char *[]){CONVERT, work->url, work->path, "--to", work->backend->name, NULL});
}

/* Nothing, or all of it. */
static void kill_conversions(killing *k)
{
    tk_work work = k->work;
    k->before = (tk_set){.is = false};
    k->after = k->cached;
    k->stage = TK_CONVERT;
    work.url = k->cache;
    for (int i = 0; i < 4 && !is_over(k); i++) {
        remove_files(k, "store");
        k->takes = .06;
        (void)kill_it(k, start(&work, convert));
        look(k);
    }
    remove_files(k, "store");
    run(k, &work, convert);
    look(k);
    if (!is_set(&k->work.board->set, &k->after))
        bad(k, "the last conversion is not whole");
}

/* ---- All of it ------------------------------------------------------------------------------ */

/* The server's list gets longer, behind `keep` of those that it has. */
static void add_tags(killing *k, uint32_t keep, uint32_t most)
{
    k->tags += tw_between(&k->rng, 1, most);
    ts_tell(&k->server, "used %u %u", (unsigned)k->tags, (unsigned)keep);
}

static void one_life(killing *k)
{
    bool anew = tw_chance(&k->rng, .5);
    remove_files(k, "store");
    if (!anew)
        run(k, &k->work, tk_open);
    ts_tell(&k->server, "keep 10");
    ts_tell(&k->server, "grow %u", (unsigned)tw_between(&k->rng, 1, 1500));
    k->tags = 0;
    add_tags(k, 0, 2 * ANONSET_USED_BATCH);
    k->after = (tk_set){.is = false};
    k->used = (anonset_used_state){.count = 0};
    kill_syncs(k, anew ? TK_CREATE : TK_FIRST);
    for (uint32_t i = tw_between(&k->rng, 1, 3); i > 0 && !is_over(k); i--) {
        ts_tell(&k->server, "grow %u", (unsigned)tw_between(&k->rng, 1, 600));
        add_tags(k, k->tags, 2000);
        kill_syncs(k, TK_GROWTH);
        ts_tell(&k->server, "reorg %u", (unsigned)tw_between(&k->rng, 1, 8));
        add_tags(k, k->tags - tw_between(&k->rng, 1, k->tags < 100 ? k->tags : 100), 2000);
        kill_syncs(k, TK_REORG);
    }
    if (!is_over(k))
        kill_clears(k);
}

static void make_cache(killing *k)
{
    ts_chain *chain = ts_chain_new(1, CACHE_COINS);
    ts_legacy l;
    k->cached = (tk_set){.is = true, .meta = ts_chain_meta(chain, chain->n)};
    memcpy(k->cached.digest, chain->digests[chain->n], ANONSET_HASH_BYTES);
    ts_legacy_create(&l, k->cache, TS_LEGACY_V1);
    ts_legacy_delta(&l, ts_legacy_set(&l, 1, &k->cached.meta), 1, chain->coins, chain->n, 1500);
    ts_legacy_close(&l);
    ts_chain_free(chain);
}

/* Where files are memory, if there is such a place: a kill loses nothing that was written. */
static void folder_make(ts_dir *dir)
{
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    ts_dir_make(dir);
}

void tk_run(tk_figures *figures, const anonset_backend *backend, const tk_limits *limits)
{
    killing k = {.backend = backend,
                 .figures = figures,
                 .limits = limits,
                 .rng = {.state = limits->seed},
                 .started = ts_now()};
    *figures = (tk_figures){.bad = 0};
    tk_board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        ts_die("no memory to share: %s", strerror(errno));
    folder_make(&k.dir);
    ts_server_start(&k.server, "--coins", "1500", NULL);
    ts_tell(&k.server, "shape latency=0 rate=0 hold-small=0");
    k.work = (tk_work){.backend = backend,
                       .path = ts_in(&k.dir, "store"),
                       .url = k.server.tcp,
                       .sector = 64,
                       .board = board};
    k.cache = ts_in(&k.dir, "cache");
    make_cache(&k);
    while (!is_over(&k)) {
        one_life(&k);
        kill_conversions(&k);
        if (strcmp(backend->name, "sqlite") == 0)
            kill_upgrades(&k);
    }
    ts_server_stop(&k.server);
    ts_dir_remove(&k.dir);
    (void)munmap(board, sizeof *board);
    figures->seconds = ts_now() - k.started;
}

/* ---- Figures -------------------------------------------------------------------------------- */

unsigned long tk_sum(const tk_figures *figures)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < TK_STAGES; i++)
        sum += figures->kills[i];
    return sum;
}

void tk_print(const char *name, const tk_figures *f)
{
    (void)printf("%-8s %lu kills in %.1f s:", name, tk_sum(f), f->seconds);
    for (size_t i = 0; i < TK_STAGES; i++)
        (void)printf(" %lu %s,", f->kills[i], tk_stage_name[i]);
    (void)printf(" %lu left pending coins; %lu were over before; bad %lu\n", f->between, f->ended,
                 f->bad);
    (void)fflush(stdout);
}
