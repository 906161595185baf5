#include "tests/support/support.h"
#include "tests/support/valgrind.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS      64u
#define RUN_TIMEOUT_MS 120000u

const char *const ts_backends[] = {"sqlite", "lmdb", NULL};

double ts_now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static int memory_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        ts_die("no file in memory: %s", strerror(errno));
    return fd;
}

void ts_exec(const char *const *argv)
{
    union {
        const char *const *given;
        char *const *wanted; /* execv changes nothing, though its type does not say so */
    } arguments = {.given = argv};
    execv(argv[0], arguments.wanted);
    dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* What runs between fork and exec. */
static _Noreturn void become(const char *const *argv, pid_t parent, int out, int err, int alive)
{
    int nothing = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || nothing < 0 || dup2(nothing, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(err, 2) < 0 || fcntl(alive, F_SETFD, 0) < 0)
        _exit(127);
    ts_exec(argv);
}

void ts_start(ts_process *process, const char *const *argv)
{
    int alive[2];
    pid_t parent = getpid();
    if (pipe2(alive, O_CLOEXEC) != 0)
        ts_die("no pipe: %s", strerror(errno));
    *process = (ts_process){.out = memory_file("out"),
                            .err = memory_file("err"),
                            .alive = alive[0],
                            .started = ts_now()};
    process->pid = fork();
    if (process->pid < 0)
        ts_die("cannot fork: %s", strerror(errno));
    if (process->pid == 0)
        become(argv, parent, process->out, process->err, alive[1]);
    close(alive[1]);
}

bool ts_ended(ts_process *process, unsigned ms)
{
    struct pollfd fd = {.fd = process->alive, .events = POLLIN};
    double until = ts_now() + ms / 1000.0;
    for (;;) {
        double left = until - ts_now();
        int ready = poll(&fd, 1, left > 0 ? (int)(left * 1000) + 1 : 0);
        if (ready >= 0 || errno != EINTR)
            return ready > 0;
    }
}

static char *read_all(int fd, size_t *len)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        ts_die("cannot read the output: %s", strerror(errno));
    char *bytes = malloc((size_t)info.st_size + 1);
    ssize_t got = bytes ? pread(fd, bytes, (size_t)info.st_size, 0) : -1;
    if (got != info.st_size)
        ts_die("cannot read the output: %s", strerror(errno));
    bytes[got] = 0;
    *len = (size_t)got;
    return bytes;
}

static int reap(ts_process *process, struct rusage *used)
{
    int status;
    while (wait4(process->pid, &status, 0, used) < 0) {
        if (errno != EINTR)
            ts_die("cannot wait for %d: %s", (int)process->pid, strerror(errno));
    }
    process->pid = 0;
    return status;
}

static void close_all(ts_process *process)
{
    close(process->out);
    close(process->err);
    close(process->alive);
}

void ts_finish(ts_process *process, ts_result *result, unsigned timeout_ms)
{
    size_t err_len;
    bool ended = ts_ended(process, (unsigned)ts_box(timeout_ms));
    if (!ended)
        kill(process->pid, SIGKILL);
    struct rusage used;
    int status = reap(process, &used);
    *result = (ts_result){.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                          .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                          .seconds = ts_now() - process->started,
                          .peak_kib = used.ru_maxrss};
    result->out = read_all(process->out, &result->out_len);
    result->err = read_all(process->err, &err_len);
    close_all(process);
    if (!ended)
        ts_die("a program did not end in %u ms; out: %s err: %s", timeout_ms, result->out,
               result->err);
}

void ts_kill(ts_process *process)
{
    if (process->pid == 0)
        return;
    kill(process->pid, SIGKILL);
    reap(process, NULL);
    close_all(process);
}

void ts_signal(ts_process *process, int number)
{
    if (kill(process->pid, number) != 0)
        ts_die("cannot signal %d: %s", (int)process->pid, strerror(errno));
}

int ts_redirect(int from, int to)
{
    int kept = dup(from);
    (void)fflush(NULL);
    if (kept < 0 || dup2(to, from) != from)
        ts_die("descriptor %d cannot be redirected: %s", from, strerror(errno));
    return kept;
}

void ts_restore(int from, int kept)
{
    (void)fflush(NULL);
    if (dup2(kept, from) != from)
        ts_die("descriptor %d cannot be restored: %s", from, strerror(errno));
    (void)close(kept);
}

void ts_result_free(ts_result *result)
{
    free(result->out);
    free(result->err);
    *result = (ts_result){0};
}

const char *ts_anonset_path(const char *backend)
{
    if (strcmp(backend, "sqlite") == 0)
        return TS_BUILD_DIR "/tests/anonset-sqlite";
    if (strcmp(backend, "lmdb") == 0)
        return TS_BUILD_DIR "/tests/anonset-lmdb";
    ts_die("no backend \"%s\"", backend);
}

static void start_with(ts_process *process, const char *backend, va_list args)
{
    const char *argv[ARGUMENTS] = {ts_anonset_path(backend)};
    size_t count = 1;
    do {
        if (count == ARGUMENTS)
            ts_die("too many arguments");
        argv[count] = va_arg(args, const char *);
    } while (argv[count++]);
    ts_start(process, argv);
}

void ts_anonset_start(ts_process *process, const char *backend, ...)
{
    va_list args;
    va_start(args, backend);
    start_with(process, backend, args);
    va_end(args);
}

void ts_anonset(ts_result *result, const char *backend, ...)
{
    va_list args;
    ts_process process;
    va_start(args, backend);
    start_with(&process, backend, args);
    va_end(args);
    ts_finish(&process, result, RUN_TIMEOUT_MS);
}
