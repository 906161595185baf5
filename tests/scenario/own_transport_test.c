/* The example of a wallet's own connection, run as a newcomer would run it. */
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct own_scene {
    ts_dir dir;
    ts_server server;
    char db[300];
    char dump[300]; /* the server's list */
} own_scene;

static void set_up(own_scene *scene, const char *coins)
{
    ts_dir_make(&scene->dir);
    ts_server_start(&scene->server, "--coins", coins, NULL);
    snprintf(scene->db, sizeof scene->db, "%s/store", scene->dir.path);
    snprintf(scene->dump, sizeof scene->dump, "%s/dump", scene->dir.path);
}

static void tear_down(own_scene *scene)
{
    ts_server_stop(&scene->server);
    ts_dir_remove(&scene->dir);
}

static void start_example(own_scene *scene, ts_process *process, const char *group)
{
    const char *port = strrchr(scene->server.tcp, ':') + 1;
    const char *const argv[] = {
        BUILD_DIR "/examples/own_transport", "127.0.0.1", port, scene->db, group, NULL};
    ts_start(process, argv);
}

static void run_example(own_scene *scene, ts_result *result, const char *group)
{
    ts_process process;
    start_example(scene, &process, group);
    ts_finish(&process, result, 120000);
}

static void expect_run(own_scene *scene, const char *group, int exit_code, const char *out)
{
    ts_result result;
    run_example(scene, &result, group);
    cr_expect_eq(result.exit_code, exit_code, "%d: %s", result.exit_code, result.err);
    cr_expect_str_eq(result.out, out);
    ts_result_free(&result);
}

/* What the program of the same build exports is the server's list, byte for byte. */
static void expect_same_as_server(own_scene *scene)
{
    const char *const argv[] = {BUILD_DIR "/anonset",
                                "export",
                                "--db",
                                scene->db,
                                "--group",
                                "1",
                                "--order",
                                "newest",
                                NULL};
    ts_process process;
    ts_result result;
    size_t len;
    ts_start(&process, argv);
    ts_finish(&process, &result, 120000);
    cr_expect_eq(result.exit_code, 0, "%s", result.err);
    ts_tell(&scene->server, "dump 1 %s", scene->dump);
    char *wanted = ts_read_file(scene->dump, &len);
    cr_expect_eq(result.out_len, len);
    cr_expect(result.out_len == len && memcmp(result.out, wanted, len) == 0);
    free(wanted);
    ts_result_free(&result);
}

Test(own_transport, first_sync_nothing_new_and_growth)
{
    own_scene scene;
    set_up(&scene, "5000");
    expect_run(&scene, "1", 0, "group 1: finalized, 5000 coins, 5000 fetched\n");
    expect_run(&scene, "1", 0, "group 1: up_to_date, 5000 coins, 0 fetched\n");
    ts_tell(&scene.server, "grow 300");
    expect_run(&scene, "1", 0, "group 1: finalized, 5300 coins, 300 fetched\n");
    expect_same_as_server(&scene);
    tear_down(&scene);
}

Test(own_transport, killed_half_way_it_resumes)
{
    own_scene scene;
    ts_process process;
    ts_result result;
    set_up(&scene, "20000");
    ts_tell(&scene.server, "hold 6");
    start_example(&scene, &process, "1");
    ts_wait(&scene.server, "held", 1);
    ts_kill(&process);
    ts_tell(&scene.server, "release");
    run_example(&scene, &result, "1");
    unsigned fetched = 0;
    cr_expect_eq(result.exit_code, 0, "%s", result.err);
    cr_expect_eq(sscanf(result.out, "group 1: finalized, 20000 coins, %u fetched", &fetched), 1);
    cr_expect(fetched > 0 && fetched < 20000, "%u", fetched);
    ts_result_free(&result);
    expect_same_as_server(&scene);
    tear_down(&scene);
}

Test(own_transport, a_lost_connection_and_a_bad_answer_keep_what_is_committed)
{
    static const char *const faults[] = {"cut", "drop", "no-json", "broken", "base64", "wrong-id"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        own_scene scene;
        ts_result result;
        unsigned fetched = 0;
        set_up(&scene, "9000");
        ts_tell(&scene.server, "fault %s skip=4", faults[i]);
        run_example(&scene, &result, "1");
        cr_expect_eq(result.exit_code, 3, "%s: %s", faults[i], result.out);
        cr_expect(strstr(result.out, "network_error"), "%s: %s", faults[i], result.out);
        cr_expect_gt(strlen(result.err), 10);
        ts_result_free(&result);
        run_example(&scene, &result, "1");
        cr_expect_eq(result.exit_code, 0, "%s: %s", faults[i], result.err);
        cr_expect_eq(sscanf(result.out, "group 1: finalized, 9000 coins, %u fetched", &fetched), 1);
        cr_expect_lt(fetched, 9000, "%s", faults[i]);
        ts_result_free(&result);
        expect_same_as_server(&scene);
        tear_down(&scene);
    }
}

Test(own_transport, what_cannot_work_is_said)
{
    own_scene scene;
    ts_result result;
    set_up(&scene, "10");
    expect_run(&scene, "0", 2, "");
    expect_run(&scene, "9", 3, "group 9: no_such_group, 0 coins, 0 fetched\n");
    ts_tell(&scene.server, "fault refuse on=connect");
    run_example(&scene, &result, "1");
    cr_expect_eq(result.exit_code, 3);
    cr_expect(strstr(result.err, "no ElectrumX server answers there"), "%s", result.err);
    ts_result_free(&result);
    tear_down(&scene);
}
