/*
 * Runs the tests of a Criterion program one after another, each in a process forked by this one,
 * where Criterion itself cannot: it wants memory at addresses that the thread sanitizer keeps for
 * itself, and speaks with its tests through threads that take valgrind long. Preloaded (LD_PRELOAD)
 * it takes the place of main, and of the functions that the macros of Criterion's headers call.
 *
 *     LD_PRELOAD=tests/shims/.libs/runner.so tests/unit/lock_test [--filter SUITE/NAME]
 *
 * SUITE/NAME may have wildcards. ANONSET_PATIENCE=n gives tests n times as long as they ask for.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <criterion/parameterized.h>
#include <criterion/redirect.h>

#include <elf.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPORT  __attribute__((visibility("default")))
#define SKIPPED 77

int main(int argc, char **argv);

static _Noreturn void die(const char *what)
{
    perror(what);
    _exit(99);
}

/* ---- In a test ---------------------------------------------------------------------------- */

static const struct criterion_suite *suite;
static const struct criterion_test *test;
static void *parameter;
static bool failed;

EXPORT struct criterion_options criterion_options;

EXPORT void criterion_internal_test_setup(void)
{
    if (suite && suite->data->init)
        suite->data->init();
    if (test->data->init)
        test->data->init();
}

EXPORT void criterion_internal_test_main(void (*body)(void))
{
    if (test->data->kind_ == CR_TEST_PARAMETERIZED)
        ((void (*)(void *))body)(parameter);
    else
        body();
}

EXPORT void criterion_internal_test_teardown(void)
{
    if (test->data->fini)
        test->data->fini();
    if (suite && suite->data->fini)
        suite->data->fini();
}

EXPORT void criterion_abort_test(void)
{
    exit(EXIT_FAILURE);
}

EXPORT void criterion_continue_test(void)
{
    failed = true;
}

EXPORT void criterion_skip_test(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(SKIPPED);
}

EXPORT void criterion_send_assert(struct criterion_assert_stats *stats)
{
    (void)fprintf(stderr, "%s:%u: %s\n", stats->file, stats->line, stats->message);
}

EXPORT void cri_asserts_passed_incr(void)
{
}

EXPORT void cr_log(enum criterion_severity severity, const char *format, ...)
{
    va_list args;
    (void)severity;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

EXPORT int cr_asprintf(char **out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vasprintf(out, format, args);
    va_end(args);
    return n;
}

EXPORT void cr_asprintf_free(char *text)
{
    free(text);
}

/* What is told when the test says nothing itself: the condition, where there is one. */
EXPORT char *cr_translate_assert_msg(int kind, ...)
{
    va_list args;
    va_start(args, kind);
    const char *condition = kind == CRITERION_ASSERT_MSG_FAIL ? NULL : va_arg(args, const char *);
    va_end(args);
    char *text = strdup(condition ? condition : "the test failed");
    return text ? text : (die("strdup"), NULL);
}

/* ---- Streams ------------------------------------------------------------------------------ */

static FILE *redirected[3];

static void redirect(int fd, FILE *stream)
{
    int file = memfd_create("stream", MFD_CLOEXEC);
    (void)fflush(stream);
    if (file < 0 || dup2(file, fd) != fd)
        die("memfd_create");
    redirected[fd] = fdopen(file, "r");
}

/* What was written; both sides share a position in the file. */
static FILE *written(int fd, FILE *stream)
{
    (void)fflush(stream);
    if (!redirected[fd] || lseek(fd, 0, SEEK_SET) != 0)
        die("no redirected stream");
    return redirected[fd];
}

EXPORT void cr_redirect_stdout(void)
{
    redirect(STDOUT_FILENO, stdout);
}

EXPORT void cr_redirect_stderr(void)
{
    redirect(STDERR_FILENO, stderr);
}

EXPORT FILE *cr_get_redirected_stdout(void)
{
    return written(STDOUT_FILENO, stdout);
}

EXPORT int cr_stderr_match_str(const char *must)
{
    char text[4096];
    FILE *in = written(STDERR_FILENO, stderr);
    size_t n = fread(text, 1, sizeof text - 1, in);
    text[n] = '\0';
    return strcmp(text, must) == 0;
}

/* ---- What the program holds --------------------------------------------------------------- */

typedef struct pointers {
    void **first;
    size_t n;
} pointers;

static int program_offset(struct dl_phdr_info *info, size_t size, void *offset)
{
    (void)size;
    *(uintptr_t *)offset = info->dlpi_addr;
    return 1; /* the program itself comes first */
}

/* A section of the program, where it was loaded. */
static pointers section(const char *name)
{
    pointers found = {NULL, 0};
    uintptr_t offset = 0;
    struct stat file;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file) != 0)
        die("/proc/self/exe");
    const uint8_t *elf = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (elf == MAP_FAILED)
        die("/proc/self/exe");
    const ElfW(Ehdr) *head = (const void *)elf;
    const ElfW(Shdr) *sections = (const void *)(elf + head->e_shoff);
    const char *names = (const char *)elf + sections[head->e_shstrndx].sh_offset;
    (void)dl_iterate_phdr(program_offset, &offset);
    for (size_t i = 0; i < head->e_shnum; i++)
        if (strcmp(names + sections[i].sh_name, name) == 0)
            found = (pointers){.first = (void **)(offset + sections[i].sh_addr),
                               .n = sections[i].sh_size / sizeof(void *)};
    (void)munmap((void *)(uintptr_t)elf, (size_t)file.st_size);
    (void)close(fd);
    return found;
}

static const struct criterion_suite *suite_of(const struct criterion_test *one)
{
    pointers suites = section("cr_sts");
    for (size_t i = 0; i < suites.n; i++) {
        const struct criterion_suite *known = suites.first[i];
        if (known && strcmp(known->name, one->category) == 0)
            return known;
    }
    return NULL;
}

/* ---- Running ------------------------------------------------------------------------------ */

static unsigned tested, passing, failing, crashing;
static unsigned long patience = 1;

static unsigned seconds_for_it(void)
{
    double seconds = test->data->timeout;
    if (seconds <= 0 && suite)
        seconds = suite->data->timeout;
    return (unsigned)(seconds * (double)patience + .5);
}

static _Noreturn void run_here(void)
{
    static const struct rlimit no_core = {0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)alarm(seconds_for_it());
    test->test();
    exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

static bool ended_as_it_must(int status)
{
    if (test->data->signal)
        return WIFSIGNALED(status) && WTERMSIG(status) == test->data->signal;
    return WIFEXITED(status) && WEXITSTATUS(status) == test->data->exit_code;
}

/* One test, or one of its parameters. */
static void run_one(void)
{
    int status;
    (void)fflush(NULL); /* else both processes would write it */
    pid_t pid = fork();
    if (pid == 0)
        run_here();
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("fork");
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        return;
    tested++;
    if (ended_as_it_must(status)) {
        passing++;
        return;
    }
    failing += WIFEXITED(status);
    crashing += WIFSIGNALED(status);
    (void)printf("FAIL %s/%s: %s %d\n", test->category, test->name,
                 WIFSIGNALED(status) ? "signal" : "exit code",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void run(void)
{
    struct criterion_test_params all = {.length = 1};
    suite = suite_of(test);
    if (test->data->disabled || (suite && suite->data->disabled))
        return;
    if (test->data->kind_ == CR_TEST_PARAMETERIZED)
        all = test->data->param_();
    for (size_t i = 0; i < all.length; i++) {
        parameter = (char *)all.params + i * all.size;
        run_one();
    }
    if (all.cleanup)
        all.cleanup(&all);
}

static bool is_wanted(int argc, char **argv)
{
    char name[256];
    (void)snprintf(name, sizeof name, "%s/%s", test->category, test->name);
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--filter") == 0)
            return fnmatch(argv[i + 1], name, 0) == 0;
    return true;
}

/* The last line is worded as Criterion's. */
EXPORT int main(int argc, char **argv)
{
    pointers tests = section("cr_tst");
    const char *times = getenv("ANONSET_PATIENCE");
    if (times)
        patience = strtoul(times, NULL, 10);
    (void)unsetenv("LD_PRELOAD"); /* for the program, not for those that it starts */
    for (size_t i = 0; i < tests.n; i++) {
        test = tests.first[i];
        if (test && is_wanted(argc, argv))
            run();
    }
    (void)printf("Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u\n", tested,
                 passing, failing, crashing);
    return tested == passing ? EXIT_SUCCESS : EXIT_FAILURE;
}
