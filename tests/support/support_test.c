/* The helpers that other tests trust. */
#include "tests/server/wire.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(support, .timeout = 60);

static void run_shell(ts_process *process, const char *script)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    ts_start(process, argv);
}

Test(support, output_and_exit_code)
{
    ts_process process;
    ts_result result;
    run_shell(&process, "echo out; echo err >&2; exit 5");
    ts_finish(&process, &result, 10000);
    cr_assert_eq(result.exit_code, 5);
    cr_assert_eq(result.signal, 0);
    cr_assert_str_eq(result.out, "out\n");
    cr_assert_str_eq(result.err, "err\n");
    ts_result_free(&result);
}

Test(support, signals_and_kills)
{
    ts_process process;
    ts_result result;
    run_shell(&process, "exec sleep 1000");
    cr_assert_not(ts_ended(&process, 10));
    ts_signal(&process, SIGTERM);
    cr_assert(ts_ended(&process, 10000));
    ts_finish(&process, &result, 10000);
    cr_assert_eq(result.exit_code, -1);
    cr_assert_eq(result.signal, SIGTERM);
    ts_result_free(&result);
    run_shell(&process, "exec sleep 1000");
    pid_t pid = process.pid;
    ts_kill(&process);
    ts_kill(&process);
    cr_assert_eq(kill(pid, 0), -1);
}

Test(support, a_program_that_hangs_ends_the_test, .signal = SIGABRT)
{
    ts_process process;
    ts_result result;
    run_shell(&process, "exec sleep 1000");
    ts_finish(&process, &result, 20);
}

Test(support, a_refused_command_ends_the_test, .signal = SIGABRT)
{
    ts_server server;
    ts_server_start(&server, NULL);
    ts_tell(&server, "dance");
}

/* A test that is killed leaves no server behind. */
Test(support, the_server_dies_with_the_test)
{
    ts_server server;
    int told[2];
    cr_assert_eq(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
        ts_server_start(&server, NULL);
        if (write(told[1], server.tcp, sizeof server.tcp) < 0)
            _exit(1);
        pause();
        _exit(0);
    }
    cr_assert_eq(read(told[0], server.tcp, sizeof server.tcp), (ssize_t)sizeof server.tcp);
    int fd = wire_connect(server.tcp);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert(wire_closed(fd));
    close(fd);
}

Test(support, files)
{
    ts_dir dir;
    ts_dir_make(&dir);
    ts_write_file(ts_in(&dir, "a"), "one\0two", 7);
    ts_write_file(ts_in(&dir, "b"), "one\0two", 7);
    ts_write_file(ts_in(&dir, "c"), "one\0twx", 7);
    cr_assert(ts_same_file(ts_in(&dir, "a"), ts_in(&dir, "b")));
    cr_assert_not(ts_same_file(ts_in(&dir, "a"), ts_in(&dir, "c")));
    ts_dir_remove(&dir);
    cr_assert_eq(access(dir.path, F_OK), -1);
}

Test(support, json_fields)
{
    static const char text[] =
        "[{\"a\": \"x\\\"y\", \"b\":{\"c\":[1, 22,{\"d\":null}],\"e\":-3}},7]\n{}";
    cr_assert_str_eq(ts_json(text, "0.a"), "x\\\"y");
    cr_assert_str_eq(ts_json(text, "0.b.c.1"), "22");
    cr_assert(ts_json_is(text, "0.b.c.2.d", "null"));
    cr_assert_eq(ts_json_int(text, "0.b.e"), -3);
    cr_assert_eq(ts_json_int(text, "1"), 7);
    cr_assert_null(ts_json(text, "0.x"));
    cr_assert_null(ts_json(text, "2"));
    cr_assert_null(ts_json("{\"a\":[1,2", "a"));
    cr_assert_str_eq(ts_line("a\nb\n", 1), "b\n");
    cr_assert_null(ts_line("a\nb\n", 2));
}
