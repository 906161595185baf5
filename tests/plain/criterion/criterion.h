/*
 * As much of Criterion as the tests of pure parts use, for machines that it cannot be had for: a
 * header and nothing to link. Each test is a process of its own. scripts/cross.sh puts this folder
 * before Criterion's.
 *
 *     PROGRAM [--verbose] [--filter 'SUITE/PATTERN']
 */
#ifndef PLAIN_CRITERION_H
#define PLAIN_CRITERION_H

#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAIN_WEAK __attribute__((weak))

struct plain_options {
    void (*init)(void);
    void (*fini)(void);
    double timeout; /* seconds; 0: none */
};

struct criterion_test_params {
    size_t size, length;
    void *params;
};

typedef struct plain_test plain_test;
struct plain_test {
    const char *suite;
    const char *name; /* NULL: a suite's options */
    void (*run)(void *param);
    struct criterion_test_params (*params)(void);
    struct plain_options options;
    plain_test *next;
};

extern plain_test *plain_first;
extern bool plain_failed; /* an expectation of the test under way */
void plain_add(plain_test *test);
void plain_check(bool fatal, const char *file, int line, const char *what, bool holds,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));
bool plain_passes(const plain_test *test, void *param);

PLAIN_WEAK plain_test *plain_first;
PLAIN_WEAK bool plain_failed;

PLAIN_WEAK void plain_add(plain_test *test)
{
    test->next = plain_first;
    plain_first = test;
}

PLAIN_WEAK void plain_check(bool fatal, const char *file, int line, const char *what, bool holds,
                            const char *format, ...)
{
    va_list list;
    if (holds)
        return;
    fprintf(stderr, "%s:%d: %s", file, line, what);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    plain_failed = true;
    if (fatal) {
        fflush(NULL);
        _exit(1);
    }
}

PLAIN_WEAK bool plain_passes(const plain_test *test, void *param)
{
    struct plain_options options = test->options;
    int status = 0;
    for (const plain_test *suite = plain_first; suite; suite = suite->next) {
        if (suite->name || strcmp(suite->suite, test->suite) != 0)
            continue;
        options.init = options.init ? options.init : suite->options.init;
        options.fini = options.fini ? options.fini : suite->options.fini;
        options.timeout = options.timeout > 0 ? options.timeout : suite->options.timeout;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm((unsigned)ceil(options.timeout));
        if (options.init)
            options.init();
        test->run(param);
        if (options.fini)
            options.fini();
        fflush(NULL);
        _exit(plain_failed ? 1 : 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

PLAIN_WEAK int main(int argc, char **argv)
{
    const char *filter = "*";
    bool verbose = false;
    unsigned tested = 0, passing = 0;
    for (int i = 1; i < argc; i++) {
        verbose |= strcmp(argv[i], "--verbose") == 0;
        if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc)
            filter = argv[++i];
    }
    for (const plain_test *test = plain_first; test; test = test->next) {
        char name[256];
        (void)snprintf(name, sizeof name, "%s/%s", test->suite, test->name ? test->name : "");
        if (!test->name || fnmatch(filter, name, 0) != 0)
            continue;
        struct criterion_test_params params = {0, 1, NULL};
        if (test->params)
            params = test->params();
        for (size_t i = 0; i < params.length; i++) {
            bool passes = plain_passes(test, (char *)params.params + i * params.size);
            tested++;
            passing += passes;
            if (verbose || !passes)
                printf("%s %s\n", passes ? "PASS" : "FAIL", name);
        }
    }
    printf("[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: 0\n", tested,
           passing, tested - passing);
    return passing == tested && tested > 0 ? 0 : 1;
}

/* ---- Declaring tests */

#define PLAIN_ADD(Suite, Name)                                                                     \
    __attribute__((constructor)) static void plain_add_##Suite##_##Name(void)                      \
    {                                                                                              \
        plain_add(&plain_##Suite##_##Name);                                                        \
    }

#define TestSuite(Suite, ...)                                                                      \
    static plain_test plain_##Suite##_options = {.suite = #Suite, .options = {__VA_ARGS__}};       \
    PLAIN_ADD(Suite, options)                                                                      \
    struct plain_test

#define Test(Suite, Name, ...)                                                                     \
    static void Suite##_##Name##_body(void);                                                       \
    static void Suite##_##Name##_run(void *plain_param)                                            \
    {                                                                                              \
        (void)plain_param;                                                                         \
        Suite##_##Name##_body();                                                                   \
    }                                                                                              \
    static plain_test plain_##Suite##_##Name = {                                                   \
        .suite = #Suite, .name = #Name, .run = Suite##_##Name##_run, .options = {__VA_ARGS__}};    \
    PLAIN_ADD(Suite, Name)                                                                         \
    static void Suite##_##Name##_body(void)

#define ParameterizedTestParameters(Suite, Name)                                                   \
    static struct criterion_test_params Suite##_##Name##_params(void)

#define ParameterizedTest(Param, Suite, Name, ...)                                                 \
    static void Suite##_##Name##_body(Param);                                                      \
    static void Suite##_##Name##_run(void *plain_param)                                            \
    {                                                                                              \
        Suite##_##Name##_body(plain_param);                                                        \
    }                                                                                              \
    static plain_test plain_##Suite##_##Name = {.suite = #Suite,                                   \
                                                .name = #Name,                                     \
                                                .run = Suite##_##Name##_run,                       \
                                                .params = Suite##_##Name##_params,                 \
                                                .options = {__VA_ARGS__}};                         \
    PLAIN_ADD(Suite, Name)                                                                         \
    static void Suite##_##Name##_body(Param)

#define cr_make_param_array(Type, Array, Length)                                                   \
    ((struct criterion_test_params){sizeof(Type), (Length), (void *)(Array)})

/* ---- Asking */

#define PLAIN(fatal, what, holds, ...)                                                             \
    plain_check(fatal, __FILE__, __LINE__, what, !!(holds), " " __VA_ARGS__)

#define cr_assert(a, ...)               PLAIN(true, #a, a, __VA_ARGS__)
#define cr_expect(a, ...)               PLAIN(false, #a, a, __VA_ARGS__)
#define cr_assert_not(a, ...)           PLAIN(true, "not " #a, !(a), __VA_ARGS__)
#define cr_expect_not(a, ...)           PLAIN(false, "not " #a, !(a), __VA_ARGS__)
#define cr_assert_eq(a, b, ...)         PLAIN(true, #a " == " #b, (a) == (b), __VA_ARGS__)
#define cr_expect_eq(a, b, ...)         PLAIN(false, #a " == " #b, (a) == (b), __VA_ARGS__)
#define cr_assert_neq(a, b, ...)        PLAIN(true, #a " != " #b, (a) != (b), __VA_ARGS__)
#define cr_expect_neq(a, b, ...)        PLAIN(false, #a " != " #b, (a) != (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...)         PLAIN(true, #a " < " #b, (a) < (b), __VA_ARGS__)
#define cr_expect_lt(a, b, ...)         PLAIN(false, #a " < " #b, (a) < (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...)        PLAIN(true, #a " <= " #b, (a) <= (b), __VA_ARGS__)
#define cr_expect_leq(a, b, ...)        PLAIN(false, #a " <= " #b, (a) <= (b), __VA_ARGS__)
#define cr_assert_gt(a, b, ...)         PLAIN(true, #a " > " #b, (a) > (b), __VA_ARGS__)
#define cr_expect_gt(a, b, ...)         PLAIN(false, #a " > " #b, (a) > (b), __VA_ARGS__)
#define cr_assert_geq(a, b, ...)        PLAIN(true, #a " >= " #b, (a) >= (b), __VA_ARGS__)
#define cr_expect_geq(a, b, ...)        PLAIN(false, #a " >= " #b, (a) >= (b), __VA_ARGS__)
#define cr_assert_null(a, ...)          PLAIN(true, #a " == NULL", (a) == NULL, __VA_ARGS__)
#define cr_expect_null(a, ...)          PLAIN(false, #a " == NULL", (a) == NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...)      PLAIN(true, #a " != NULL", (a) != NULL, __VA_ARGS__)
#define cr_expect_not_null(a, ...)      PLAIN(false, #a " != NULL", (a) != NULL, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)     PLAIN(true, #a " is " #b, strcmp(a, b) == 0, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)     PLAIN(false, #a " is " #b, strcmp(a, b) == 0, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)    PLAIN(true, #a " is not " #b, strcmp(a, b) != 0, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...)    PLAIN(false, #a " is not " #b, strcmp(a, b) != 0, __VA_ARGS__)
#define cr_assert_str_empty(a, ...)     PLAIN(true, #a " is empty", *(a) == '\0', __VA_ARGS__)
#define cr_expect_str_empty(a, ...)     PLAIN(false, #a " is empty", *(a) == '\0', __VA_ARGS__)
#define cr_expect_str_not_empty(a, ...) PLAIN(false, #a " is not empty", *(a) != '\0', __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...)  PLAIN(true, #a " is " #b, memcmp(a, b, n) == 0, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...)  PLAIN(false, #a " is " #b, memcmp(a, b, n) == 0, __VA_ARGS__)
#define cr_assert_arr_neq(a, b, n, ...)                                                            \
    PLAIN(true, #a " is not " #b, memcmp(a, b, n) != 0, __VA_ARGS__)
#define cr_expect_float_eq(a, b, by, ...)                                                          \
    PLAIN(false, #a " is about " #b, fabs((double)(a) - (double)(b)) <= (by), __VA_ARGS__)
#define cr_assert_fail(...) PLAIN(true, "reached", false, __VA_ARGS__)
#define cr_log_info(...)    (void)printf(__VA_ARGS__)

#endif
