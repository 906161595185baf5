#include "tests/scenario/scene.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MOST 40

void scene_begin_store(scene *s, const char *backend)
{
    memset(s, 0, sizeof *s);
    s->backend = backend;
    ts_dir_make(&s->dir);
    s->db = ts_in(&s->dir, "store");
}

void scene_end(scene *s)
{
    ts_result_free(&s->last);
    ts_server_stop(&s->server);
    ts_dir_remove(&s->dir);
}

static void run(scene *s, const char *const *argv)
{
    ts_process process;
    ts_result_free(&s->last);
    ts_start(&process, argv);
    ts_finish(&process, &s->last, 120000);
}

void scene_sync_at(scene *s, const char *url, ...)
{
    const char *argv[ARGS_MOST] = {
        ts_anonset_path(s->backend), "sync", "--json", "--db", s->db, "--server", url};
    size_t n = 7;
    bool has_group = false;
    va_list args;
    va_start(args, url);
    for (const char *arg; (arg = va_arg(args, const char *)) && n < ARGS_MOST - 3;) {
        has_group |= strcmp(arg, "--group") == 0 || strcmp(arg, "--all") == 0;
        argv[n++] = arg;
    }
    va_end(args);
    if (!has_group) {
        argv[n++] = "--group";
        argv[n++] = "1";
    }
    run(s, argv);
}

void scene_outcome(const scene *s, const char *outcome, int exit_code)
{
    bool good = exit_code == 0;
    cr_assert(ts_json_is(s->last.out, "outcome", outcome), "%s: not %s: %s%s", s->backend, outcome,
              s->last.out, s->last.err);
    cr_assert_eq(s->last.exit_code, exit_code, "%s: exit code %d: %s%s", s->backend,
                 s->last.exit_code, s->last.out, s->last.err);
    cr_assert_eq(ts_json_is(s->last.out, "error", "null"), good, "%s: %s", s->backend, s->last.out);
}

void scene_sync_is(scene *s, const char *outcome, int exit_code)
{
    scene_sync(s, NULL);
    scene_outcome(s, outcome, exit_code);
}

void scene_level(const scene *s, const char *gate, const char *proof)
{
    cr_assert(ts_json_is(s->last.out, "gate", gate) && ts_json_is(s->last.out, "proof", proof),
              "%s: not %s, %s: %s", s->backend, gate, proof, s->last.out);
}

int64_t scene_int(const scene *s, const char *field)
{
    return ts_json_int(s->last.out, field);
}

static void same_as_server(scene *s, const char *group, const char *order)
{
    const char *ours = ts_in(&s->dir, "ours");
    const char *theirs = ts_in(&s->dir, "theirs");
    const char *argv[] = {ts_anonset_path(s->backend),
                          "export",
                          "--db",
                          s->db,
                          "--group",
                          group,
                          "--order",
                          order,
                          NULL};
    ts_tell(&s->server, "dump %s %s%s", group, theirs,
            strcmp(order, "oldest") == 0 ? " oldest" : "");
    run(s, argv);
    cr_assert_eq(s->last.exit_code, 0, "%s: export: %s", s->backend, s->last.err);
    ts_write_file(ours, s->last.out, s->last.out_len);
    cr_assert(ts_same_file(ours, theirs), "%s: the export is not the server's list", s->backend);
}

void scene_clear(scene *s)
{
    const char *argv[] = {
        ts_anonset_path(s->backend), "clear", "--db", s->db, "--group", "1", NULL};
    run(s, argv);
    cr_assert_eq(s->last.exit_code, 0, "%s: clear: %s", s->backend, s->last.err);
}

void scene_verify(scene *s)
{
    const char *argv[] = {ts_anonset_path(s->backend), "verify", "--db", s->db, NULL};
    run(s, argv);
    cr_assert_eq(s->last.exit_code, 0, "%s: verify: %s%s", s->backend, s->last.out, s->last.err);
}

void scene_group_is_whole(scene *s, const char *group)
{
    scene_verify(s);
    same_as_server(s, group, "newest");
    same_as_server(s, group, "oldest");
}

void scene_is_whole(scene *s)
{
    scene_group_is_whole(s, "1");
}

const char *scene_status(scene *s, const char *field)
{
    const char *argv[] = {
        ts_anonset_path(s->backend), "status", "--db", s->db, "--group", "1", "--json", NULL};
    char path[64];
    const char *value;
    run(s, argv);
    (void)snprintf(path, sizeof path, "0.%s", field);
    value = s->last.exit_code == 0 ? ts_json(s->last.out, path) : NULL;
    return value ? value : "null";
}

const char *scene_digest(scene *s)
{
    return scene_status(s, "finalized.digest");
}

void scene_used_is_whole(scene *s)
{
    const char *path = ts_in(&s->dir, "dump");
    size_t len;
    ts_tell(&s->server, "used dump %s", path);
    char *expected = ts_read_file(path, &len);
    ts_result shown;
    ts_anonset(&shown, s->backend, "tags", "--db", s->db, "--txid", NULL);
    cr_assert_eq(shown.exit_code, 0, "%s", shown.err);
    cr_assert_str_eq(shown.out, expected);
    ts_result_free(&shown);
    free(expected);
    scene_verify(s);
}
