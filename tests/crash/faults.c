#include "tests/crash/faults.h"

#include "tests/crash/course.h"
#include "tests/crash/must.h"
#include "tests/support/support.h"
#include "tests/support/valgrind.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOLD     10 /* bad points that are told of */
#define SECONDS  60 /* a run that takes longer hangs */
#define UNHARMED 3  /* exit code: fewer calls failed than were to */
#define BAD      4

static const tc_act script[] = {TC_PART, TC_REOPEN,   TC_SYNC, TC_READ,    TC_REORG, TC_SYNC,
                                TC_READ, TC_REANCHOR, TC_SYNC, TC_DISCARD, TC_OTHER, TC_CLEAR_USED,
                                TC_SYNC, TC_CLEAR,    TC_PART, TC_SYNC,    TC_READ};

typedef struct runner {
    const tc_sweep *sweep;
    tc_points *points;
    ts_dir dir;
    tc_course *model;
    char *why; /* shared with the process that runs a course */
} runner;

/* ---- One run ------------------------------------------------------------------------------ */

static char *complaint;

static void complain(const tc_course *c, const char *why)
{
    (void)snprintf(complaint, TC_WHY, "after write %zu: %s", c->n, why);
    _exit(BAD);
}

static tc_course *course_new(const runner *r, const tc_course *model)
{
    tc_course *c = calloc(1, sizeof *c);
    tc_must(c != NULL, "there is memory");
    c->real = r->sweep->backend;
    c->is_legacy = r->sweep->is_legacy;
    c->seed = r->sweep->seed;
    c->may_fail = true;
    c->model = model;
    c->complain = complain;
    (void)snprintf(c->path, sizeof c->path, "%s/store", r->dir.path);
    tc_course_prepare(c);
    return c;
}

static void run(tc_course *c)
{
    tc_course_open(c);
    for (size_t i = 0; i < sizeof script / sizeof *script; i++)
        tc_course_act(c, script[i]);
    tc_course_close(c);
}

static bool is_left_over(const char *name)
{
    return strstr(name, "-new") || strstr(name, "-unsure") || strstr(name, "-journal");
}

static void check_files(const runner *r, const tc_course *c)
{
    DIR *dir = opendir(r->dir.path);
    struct dirent *one;
    tc_must(dir != NULL, "the folder can be read");
    while ((one = readdir(dir)) != NULL)
        if (is_left_over(one->d_name))
            complain(c, one->d_name);
    (void)closedir(dir);
}

static _Noreturn void run_with(const runner *r, const disk_fault *faults, size_t n)
{
    char why[TC_WHY] = "";
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    ts_alarm(SECONDS);
    tc_course *c = course_new(r, r->model);
    disk_watch(r->dir.path);
    disk_fail(faults, n);
    run(c);
    unsigned failed = disk_failed();
    disk_heal();
    if (c->n != r->model->n)
        complain(c, "the course ends with another number of writes");
    if (!tc_course_go_on(c, c->path, why))
        complain(c, why);
    check_files(r, c);
    tc_course_free(c);
    free(c);
    _exit(failed < n ? UNHARMED : 0);
}

/* ---- All runs ----------------------------------------------------------------------------- */

static void empty_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *one;
    tc_must(dir != NULL, "the folder can be read");
    while ((one = readdir(dir)) != NULL)
        if (one->d_name[0] != '.')
            tc_must(unlinkat(dirfd(dir), one->d_name, 0) == 0, "files can be removed");
    (void)closedir(dir);
}

static const char *error_name(int error)
{
    return error == DISK_SHORT ? "short" : strerrorname_np(error);
}

static void tell(const runner *r, const disk_fault *faults, size_t n)
{
    if (r->points->bad++ >= TOLD)
        return;
    (void)fprintf(stderr, "%s, seed %llu:", r->sweep->name, (unsigned long long)r->sweep->seed);
    for (size_t i = 0; i < n; i++)
        (void)fprintf(stderr, " %s %u %s%s,",
                      faults[i].call == DISK_ANY_CHANGE ? "change" : disk_call_name[faults[i].call],
                      faults[i].at, error_name(faults[i].error),
                      faults[i].for_good ? " for good" : "");
    (void)fprintf(stderr, " %s\n", r->why);
}

/* False: the course ran to its end before all of these calls had failed. */
static bool point(const runner *r, const disk_fault *faults, size_t n)
{
    int status;
    if (r->sweep->bad_most > 0 && r->points->bad >= r->sweep->bad_most)
        return false;
    r->why[0] = '\0';
    pid_t pid = fork();
    tc_must(pid >= 0, "there is a process to run a course");
    if (pid == 0)
        run_with(r, faults, n);
    tc_must(waitpid(pid, &status, 0) == pid, "the process can be waited for");
    empty_folder(r->dir.path);
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNHARMED)
        return false;
    r->points->points++;
    if (WIFSIGNALED(status))
        (void)snprintf(r->why, TC_WHY, "signal %d", WTERMSIG(status));
    else if (r->why[0] == '\0' && WEXITSTATUS(status) != 0)
        (void)snprintf(r->why, TC_WHY, "exit code %d", WEXITSTATUS(status));
    if (status != 0)
        tell(r, faults, n);
    return true;
}

/* What a call of each kind can come to, 0-ended. */
static const int errors_of[DISK_CALLS][5] = {
    [DISK_ON_OPEN] = {EIO},
    [DISK_ON_MAKE] = {EIO, ENOSPC, EDQUOT},
    [DISK_ON_LOOK] = {EIO},
    [DISK_ON_READ] = {EIO},
    [DISK_ON_LOCK] = {ENOLCK},
    [DISK_ON_MAP] = {ENOMEM},
    [DISK_ON_WRITE] = {EIO, ENOSPC, EDQUOT, DISK_SHORT},
    [DISK_ON_CUT] = {EIO, ENOSPC},
    [DISK_ON_ROOM] = {EIO, ENOSPC, EDQUOT},
    [DISK_ON_SYNC] = {EIO, ENOSPC, EDQUOT},
    [DISK_ON_SYNC_FOLDER] = {EIO},
    [DISK_ON_UNLINK] = {EIO},
    [DISK_ON_RENAME] = {EIO, ENOSPC},
};

/* A lock is no matter of the disk: where none can be had for good, SQLite waits as for another. */
static void sweep_singles(const runner *r)
{
    for (unsigned call = 0; call < DISK_CALLS; call++)
        for (const int *error = errors_of[call]; *error != 0; error++)
            for (int for_good = 0; for_good < (call == DISK_ON_LOCK ? 1 : 2); for_good++) {
                disk_fault fault = {.call = call, .error = *error, .for_good = for_good != 0};
                fault.at = 1 + (unsigned)(r->sweep->seed % r->sweep->stride);
                while (point(r, &fault, 1))
                    fault.at += (unsigned)r->sweep->stride;
            }
}

/* The second counts from the beginning, as the first; what the first changed is in it. */
static void sweep_pairs(const runner *r, int error)
{
    disk_fault faults[2] = {{.call = DISK_ANY_CHANGE, .at = 1, .error = error},
                            {.call = DISK_ANY_CHANGE, .error = error}};
    bool more = true;
    for (; more; faults[0].at++) {
        faults[1].at = faults[0].at + 1;
        more = false;
        while (point(r, faults, 2)) {
            more = true;
            faults[1].at += (unsigned)r->sweep->stride;
        }
    }
}

/* Where files are memory, if there is such a place. */
static void folder_make(ts_dir *dir)
{
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    ts_dir_make(dir);
}

void tc_sweep_run(tc_points *points, const tc_sweep *sweep)
{
    runner r = {.sweep = sweep, .points = points};
    r.why = mmap(NULL, TC_WHY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    tc_must(r.why != MAP_FAILED, "there is memory");
    complaint = r.why;
    folder_make(&r.dir);
    disk_skip_syncs(true);
    r.model = course_new(&r, NULL);
    disk_watch(r.dir.path);
    disk_fail(NULL, 0);
    run(r.model);
    for (unsigned call = 0; call < DISK_CALLS; call++)
        points->calls += disk_count(call);
    empty_folder(r.dir.path);
    if (sweep->pairs) {
        sweep_pairs(&r, EIO);
        sweep_pairs(&r, ENOSPC);
    } else {
        sweep_singles(&r);
    }
    tc_course_free(r.model);
    free(r.model);
    ts_dir_remove(&r.dir);
    (void)munmap(r.why, TC_WHY);
}
