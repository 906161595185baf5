/* The suite as a library: anonset-conformance.h. Each case runs in a child, since what it tests may
 * do anything. */
#include "config.h"

#include "tests/conformance/kit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef ANONSET_LEAKS_TOLD
#include <sanitizer/lsan_interface.h>
#endif

#define CASE_SECONDS 300u

#define ROW(name) {#name, kit_case_##name},

static const struct {
    const char *name;
    void (*body)(subject *s);
} cases[] = {KIT_CASES(ROW)};

size_t anonset_conformance_count(void)
{
    return sizeof cases / sizeof *cases;
}

const char *anonset_conformance_name(size_t number)
{
    return number < anonset_conformance_count() ? cases[number].name : NULL;
}

/* In the child: a failure does not come back from here. */
static _Noreturn void run_body(const anonset_conformance *suite, size_t number, const char *dir)
{
    static const struct rlimit no_core = {0};
    subject s = {.suite = suite, .backend = suite->backend};

    (void)setrlimit(RLIMIT_CORE, &no_core); /* a failure ends in abort: nobody wants its core */
    (void)alarm(CASE_SECONDS);
    memcpy(s.dir, dir, sizeof s.dir);
    kit_path(&s, "store");
    kit_reopen(&s, ANONSET_STORE_CREATE);
    cases[number].body(&s);
    kit_close(&s);
    for (size_t i = 0; i < s.n_chains; i++)
        ts_chain_free(s.chains[i]);
    fflush(kit_out);
#ifdef ANONSET_LEAKS_TOLD
    __lsan_do_leak_check(); /* _exit would pass it over */
#endif
    _exit(0);
}

static bool run_child(const anonset_conformance *suite, size_t number, const char *dir)
{
    int status = -1;
    pid_t pid;

    fflush(kit_out); /* else both processes would write it */
    pid = fork();
    if (pid == 0)
        run_body(suite, number, dir);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        fprintf(kit_out, "cannot run a process\n");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        fprintf(kit_out, "no end after %u seconds\n", CASE_SECONDS);
    else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT)
        fprintf(kit_out, "ended by signal %d\n", WTERMSIG(status));
    return status == 0;
}

bool anonset_conformance_case(const anonset_conformance *suite, size_t number)
{
    char dir[KIT_DIR];
    bool passed;

    if (!suite || suite->size < sizeof *suite || !suite->backend ||
        number >= anonset_conformance_count())
        return false;
    kit_out = suite->out ? suite->out : stderr;
    passed = kit_dir_make(dir);
    if (passed) {
        passed = run_child(suite, number, dir);
        passed = kit_dir_remove(dir) && passed;
    }
    fprintf(kit_out, "%s %s %s\n", passed ? "ok  " : "FAIL", suite->backend->name,
            cases[number].name);
    return passed;
}

size_t anonset_conformance_run(const anonset_conformance *suite)
{
    size_t failed = 0, count = anonset_conformance_count();

    for (size_t i = 0; i < count; i++)
        failed += !anonset_conformance_case(suite, i);
    if (suite && suite->out)
        fflush(suite->out);
    return failed;
}
