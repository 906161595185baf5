/*
 * A sync in calls that take little, against the test server and on stores of files: between two of
 * them anybody may write to the store, the process may be stopped, the server may come and go.
 */
#include "backends/backends.h"
#include "tests/scenario/company.h"
#include "tests/scenario/scene.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_MOST 1000000u

/* A sync that is driven in calls. */
typedef struct course {
    anonset_store *store;
    anonset_client *client;
    anonset_sync *sync;
    anonset_result result;
    anonset_used_result used;
    ts_server *server; /* of another thread */
    unsigned calls;
    bool done;
} course;

static const anonset_backend *backend_of(const scene *s)
{
    return strcmp(s->backend, "lmdb") == 0 ? &as_backend_lmdb : &as_backend_sqlite;
}

static void on_result(void *context, const anonset_result *result)
{
    ((course *)context)->result = *result;
}

static void begin_sync(course *c, const char *url)
{
    anonset_client_options client_options;
    anonset_sync_options options;
    anonset_client_options_init(&client_options);
    client_options.retries = 50;
    anonset_sync_options_init(&options);
    options.sector_size = 100;
    options.on_result = on_result;
    options.context = c;
    c->done = false;
    cr_assert_eq(anonset_client_new(&c->client, url, &client_options, NULL), ANONSET_OK);
    cr_assert_eq(anonset_sync_new(&c->sync, c->store, &options, NULL), ANONSET_OK);
}

static void end_sync(course *c)
{
    anonset_sync_free(c->sync);
    anonset_client_free(c->client);
}

static void begin(course *c, const scene *s, const char *url)
{
    anonset_store_options options;
    *c = (course){.store = NULL};
    anonset_store_options_init(&options);
    options.backend = backend_of(s);
    cr_assert_eq(anonset_store_open(&c->store, s->db, &options, NULL), ANONSET_OK);
    begin_sync(c, url);
}

static void end(course *c)
{
    end_sync(c);
    anonset_store_close(c->store);
}

static void call(course *c, uint64_t max_bytes, uint32_t max_ms)
{
    cr_assert_eq(anonset_client_step(c->client, &c->done, c->sync, max_bytes, max_ms, NULL),
                 ANONSET_OK);
    cr_assert_lt(c->calls++, CALLS_MOST, "it does not end");
}

static uint32_t pending(const course *c)
{
    anonset_state state;
    cr_assert_eq(anonset_store_state(c->store, &state, 1, NULL), ANONSET_OK);
    return state.has_pending ? state.count : 0;
}

static void run_until_pending(course *c, uint32_t coins)
{
    while (pending(c) < coins) {
        cr_assert_not(c->done, "%s", c->result.error.text);
        call(c, 10000, 0);
    }
}

static void run_to_end(course *c)
{
    while (!c->done)
        call(c, 10000, 0);
}

static void expect_finalized(const course *c)
{
    cr_assert_eq(c->result.outcome, ANONSET_FINALIZED, "%s: %s",
                 anonset_outcome_name(c->result.outcome), c->result.error.text);
}

/* ---- A slow line ---------------------------------------------------------------------------- */

static void a_millisecond_a_call(scene *s, const char *url)
{
    course c;
    ts_tell(&s->server, "shape rate=600000 latency=3");
    begin(&c, s, url);
    while (!c.done)
        call(&c, 0, 1);
    expect_finalized(&c);
    cr_expect_gt(c.calls, 20, "%u", c.calls);
    end(&c);
    scene_is_whole(s);
    cr_expect_leq(ts_count(&s->server, "coins"), 800 + 20); /* none was asked for twice */
}

SCENARIO(step, a_millisecond_a_call_over_a_slow_line, "--coins", "800")
{
    a_millisecond_a_call(s, s->server.tcp);
}

SCENARIO(step, a_millisecond_a_call_over_a_slow_line_of_firod, "--coins", "800")
{
    a_millisecond_a_call(s, s->server.http);
}

static void over_tls(scene *s)
{
    anonset_client_options options;
    course c;
    begin(&c, s, s->server.tcp);
    anonset_client_free(c.client);
    anonset_client_options_init(&options);
    options.tls_pin = s->server.tls_pin;
    cr_assert_eq(anonset_client_new(&c.client, s->server.ssl, &options, NULL), ANONSET_OK);
    while (!c.done)
        call(&c, 0, 1);
    expect_finalized(&c);
    end(&c);
    scene_is_whole(s);
}

Test(step, a_millisecond_a_call_over_tls, .timeout = 300)
{
    scene s;
    scene_begin_store(&s, "sqlite");
    ts_server_start(&s.server, "--coins", "800", "--tls-make", s.dir.path, NULL);
    over_tls(&s);
    scene_end(&s);
}

/* ---- The list of used coin tags, an answer in pieces ----------------------------------------- */

static void on_used(void *context, const anonset_used_result *result)
{
    ((course *)context)->used = *result;
}

static void begin_used(course *c, const scene *s, const char *url)
{
    anonset_sync_options options;
    begin(c, s, url);
    anonset_sync_free(c->sync);
    anonset_sync_options_init(&options);
    options.used = ANONSET_USED_ONLY;
    options.on_used = on_used;
    options.context = c;
    cr_assert_eq(anonset_sync_new(&c->sync, c->store, &options, NULL), ANONSET_OK);
}

/* The whole list came, by the two questions that it takes. */
static void end_used(course *c, scene *s, uint32_t count)
{
    cr_assert_eq(c->used.outcome, ANONSET_FINALIZED, "%s: %s",
                 anonset_outcome_name(c->used.outcome), c->used.error.text);
    cr_expect_eq(c->used.state.count, count);
    end(c);
    cr_expect_eq(ts_count(&s->server, "used"), 1);
    scene_used_is_whole(s);
}

static void used_by_the_millisecond(scene *s, const char *url)
{
    course c;
    ts_tell(&s->server, "used 20000");
    ts_tell(&s->server, "shape rate=6000000 latency=3");
    begin_used(&c, s, url);
    while (!c.done)
        call(&c, 0, 1);
    cr_expect_gt(c.calls, 20, "%u", c.calls);
    end_used(&c, s, 20000);
}

SCENARIO(step, used_tags_by_the_millisecond, "--coins", "10")
{
    used_by_the_millisecond(s, s->server.tcp);
}

SCENARIO(step, used_tags_by_the_millisecond_of_firod, "--coins", "10")
{
    used_by_the_millisecond(s, s->server.http);
}

/* 8200: a batch is full, and handed on, while the rest of the last piece waits for the next call.
 */
static void used_by_few_bytes(scene *s, const char *url, uint64_t max_bytes, uint32_t count)
{
    course c;
    ts_tell(&s->server, "used %u", (unsigned)count);
    begin_used(&c, s, url);
    while (!c.done)
        call(&c, max_bytes, 0);
    cr_expect_gt(c.calls, 8, "%u", c.calls);
    end_used(&c, s, count);
}

SCENARIO(step, used_tags_by_few_bytes, "--coins", "10")
{
    used_by_few_bytes(s, s->server.tcp, 100, 8200);
}

SCENARIO(step, used_tags_by_few_bytes_of_firod, "--coins", "10")
{
    used_by_few_bytes(s, s->server.http, 100, 8200);
}

/* What was read of an answer ends with its connection, in the midst of a tag: the list goes on
 * behind what was stored. */
static void used_over_a_cut(scene *s, const char *url)
{
    course c;
    ts_tell(&s->server, "used 20000");
    ts_tell(&s->server, "fault cut on=used");
    begin_used(&c, s, url);
    run_to_end(&c);
    cr_assert_eq(c.used.outcome, ANONSET_FINALIZED, "%s", c.used.error.text);
    end(&c);
    cr_expect_eq(ts_count(&s->server, "used"), 2);
    scene_used_is_whole(s);
}

SCENARIO(step, used_tags_over_a_cut, "--coins", "10")
{
    used_over_a_cut(s, s->server.tcp);
}

SCENARIO(step, used_tags_over_a_cut_of_firod, "--coins", "10")
{
    used_over_a_cut(s, s->server.http);
}

/* What was read of one sync's answer is nothing to the next. */
static void used_by_two_syncs(scene *s, const char *url)
{
    course c;
    ts_tell(&s->server, "used 20000");
    begin_used(&c, s, url);
    while (ts_count(&s->server, "used") == 0 || c.calls < 40)
        call(&c, 10000, 0);
    cr_assert_not(c.done);
    anonset_client *client = c.client;
    anonset_sync *sync = c.sync;
    anonset_store *store = c.store;
    begin_used(&c, s, url);
    anonset_client_free(c.client);
    c.client = client;
    while (!c.done)
        call(&c, 10000, 0);
    cr_assert_eq(c.used.outcome, ANONSET_FINALIZED, "%s", c.used.error.text);
    end(&c);
    anonset_sync_free(sync);
    anonset_store_close(store);
    scene_used_is_whole(s);
}

SCENARIO(step, used_tags_by_two_syncs_of_a_client, "--coins", "10")
{
    used_by_two_syncs(s, s->server.tcp);
}

SCENARIO(step, used_tags_by_two_syncs_of_a_client_of_firod, "--coins", "10")
{
    used_by_two_syncs(s, s->server.http);
}

/* ---- Others meanwhile ----------------------------------------------------------------------- */

static void another_process_writes(scene *s, const char *url)
{
    company other;
    course c;
    company_start(&other, backend_of(s), s->db);
    begin(&c, s, url);
    do {
        company_write(&other);
        call(&c, 30000, 0);
    } while (!c.done);
    company_write(&other);
    expect_finalized(&c);
    cr_expect_gt(other.writes, 10);
    company_expect_written(&other, c.store);
    end(&c);
    company_end(&other);
    scene_is_whole(s);
}

SCENARIO(step, another_process_writes_between_any_two_calls, "--coins", "800")
{
    another_process_writes(s, s->server.tcp);
}

SCENARIO(step, another_process_writes_between_any_two_calls_to_firod, "--coins", "800")
{
    another_process_writes(s, s->server.http);
}

/* Stops itself between two calls. Ends with 0 if the sync ended well. */
static _Noreturn void sync_and_stop(const scene *s)
{
    course c;
    begin(&c, s, s->server.tcp);
    run_until_pending(&c, 200);
    (void)raise(SIGSTOP);
    run_to_end(&c);
    bool good = c.result.outcome <= ANONSET_UP_TO_DATE;
    end(&c);
    _exit(good ? 0 : 1);
}

SCENARIO(step, a_stopped_process_keeps_nobody_from_syncing, "--coins", "1500")
{
    int status;
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        sync_and_stop(s);
    cr_assert_eq(waitpid(pid, &status, WUNTRACED), pid);
    cr_assert(WIFSTOPPED(status), "%x", status);
    scene_sync_is(s, "finalized", 0);
    cr_expect_geq(scene_int(s, "resumed_from"), 200);
    cr_assert_eq(kill(pid, SIGCONT), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    scene_is_whole(s);
}

SCENARIO(step, a_killed_process_loses_nothing_that_was_committed, "--coins", "800")
{
    course c;
    begin(&c, s, s->server.tcp);
    run_until_pending(&c, 300);
    end(&c); /* as good as a kill: nothing is written at the end */
    begin(&c, s, s->server.tcp);
    run_to_end(&c);
    expect_finalized(&c);
    cr_expect_geq(c.result.resumed_from, 300);
    end(&c);
    scene_is_whole(s);
}

/* ---- The server comes and goes -------------------------------------------------------------- */

static void restart(scene *s, const char *name, const char *url)
{
    char port[32];
    (void)snprintf(port, sizeof port, "%s=%s", name, strrchr(url, ':') + 1);
    ts_server_stop(&s->server);
    ts_server_start(&s->server, "--coins", "1500", "--port", port, NULL);
}

static void the_server_restarts(scene *s, const char *name, const char *url)
{
    course c;
    begin(&c, s, url);
    run_until_pending(&c, 300);
    restart(s, name, url);
    run_to_end(&c);
    expect_finalized(&c);
    cr_expect_leq(ts_count(&s->server, "coins"), 1500 - 300 + 20);
    end(&c);
    scene_is_whole(s);
}

SCENARIO(step, the_server_restarts_between_two_calls, "--coins", "1500")
{
    char url[64];
    (void)strcpy(url, s->server.tcp);
    the_server_restarts(s, "electrumx", url);
}

SCENARIO(step, firod_restarts_between_two_calls, "--coins", "1500")
{
    char url[64];
    (void)strcpy(url, s->server.http);
    the_server_restarts(s, "firod", url);
}

SCENARIO(step, connections_are_cut_between_any_two_calls, "--coins", "800")
{
    course c;
    uint32_t before = 0;
    begin(&c, s, s->server.tcp);
    while (!c.done) {
        call(&c, 30000, 0);
        uint32_t now = c.done ? 0 : pending(&c);
        if (now > before)
            ts_tell(&s->server, "cut");
        before = now;
    }
    expect_finalized(&c);
    cr_expect_gt(ts_count(&s->server, "connections"), 3);
    end(&c);
    scene_is_whole(s);
}

SCENARIO(step, the_user_gives_up_between_two_calls, "--coins", "800")
{
    course c;
    begin(&c, s, s->server.tcp);
    run_until_pending(&c, 100);
    anonset_sync_cancel(c.sync);
    call(&c, 1, 1);
    cr_assert(c.done);
    cr_expect_eq(c.result.outcome, ANONSET_SYNC_CANCELLED);
    cr_expect_geq(c.result.state.count, 100);
    end(&c);
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}

static void *give_up_when_held(void *context)
{
    course *c = context;
    ts_server *server = c->server;
    ts_wait(server, "held", 1);
    anonset_sync_cancel(c->sync);
    return NULL;
}

SCENARIO(step, another_thread_gives_up_during_a_call, "--coins", "800")
{
    pthread_t thread;
    course c;
    ts_tell(&s->server, "hold 3");
    begin(&c, s, s->server.tcp);
    c.server = &s->server;
    cr_assert_eq(pthread_create(&thread, NULL, give_up_when_held, &c), 0);
    call(&c, 0, 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect(c.done);
    cr_expect_eq(c.result.outcome, ANONSET_SYNC_CANCELLED);
    end(&c);
    ts_tell(&s->server, "release");
    scene_sync_is(s, "finalized", 0);
}

/* ---- The caller's heap ---------------------------------------------------------------------- */

static long blocks;
static unsigned long asked;

static void *allocate(void *context, size_t bytes)
{
    (void)context;
    asked++;
    blocks++;
    return malloc(bytes);
}

static void *reallocate(void *context, void *block, size_t bytes)
{
    (void)context;
    asked++;
    return realloc(block, bytes);
}

static void release(void *context, void *block)
{
    (void)context;
    blocks--;
    free(block);
}

static void every_block_comes_back(scene *s, const char *url)
{
    const anonset_allocator counting = {.size = sizeof counting,
                                        .allocate = allocate,
                                        .reallocate = reallocate,
                                        .release = release};
    course c;
    cr_assert_eq(anonset_set_allocator(&counting, NULL), ANONSET_OK);
    begin(&c, s, url);
    run_to_end(&c);
    expect_finalized(&c);
    end(&c);
    cr_expect_gt(asked, 30);
    cr_expect_eq(blocks, 0, "%ld", blocks);
}

SCENARIO(step, every_block_comes_back_from_a_client, "--coins", "800")
{
    every_block_comes_back(s, s->server.tcp);
}

SCENARIO(step, every_block_comes_back_from_a_client_of_firod, "--coins", "800")
{
    every_block_comes_back(s, s->server.http);
}
