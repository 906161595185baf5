/* The firod driver against scripted HTTP. */
#include "remote/client.h"
#include "tests/scenario/fake_sync.h"
#include "tests/scenario/peer.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* base64 of "u:p" and of "u:new" */
#define LOGIN     "Basic dTpw"
#define LOGIN_NEW "Basic dTpuZXc="

static ts_peer server;
static anonset_sync sync_;
static char cookie_path[] = "/tmp/anonset-cookie-XXXXXX";

static void run(const char *url, const char *cookie, unsigned retries)
{
    anonset_client *client;
    anonset_client_options options;
    anonset_detail detail;
    anonset_client_options_init(&options);
    options.retries = retries;
    options.timeout_ms = 5000;
    options.cookie_file = cookie;
    cr_assert_eq(anonset_client_new(&client, url, &options, &detail), ANONSET_OK, "%s",
                 detail.text);
    client->backoff_base_ms = 1;
    client->backoff_cap_ms = 4;
    cr_assert_eq(anonset_client_run(client, &sync_, &detail), ANONSET_OK);
    anonset_client_free(client);
}

static void expect_whole(uint32_t sectors)
{
    cr_assert(!sync_.aborted, "%s", sync_.why.text);
    cr_assert_eq(sync_.commits, sectors);
    cr_assert_str_eq(sync_.serialized, "coin");
}

static void expect_abort(anonset_code code, const char *words)
{
    cr_assert(sync_.aborted);
    cr_assert_eq(sync_.why.code, code, "%d: %s", sync_.why.code, sync_.why.text);
    cr_assert(strstr(sync_.why.text, words), "%s", sync_.why.text);
}

static void write_cookie(const char *text)
{
    FILE *file = fopen(cookie_path, "w");
    cr_assert(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static void make_cookie(const char *text)
{
    int fd = mkstemp(cookie_path);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    write_cookie(text);
}

/* Answers everything; counts requests (0) and those that came with LOGIN (1). */
static void serve_well(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128], text[1024];
    (void)nth;
    while (peer_http_read(fd, body, sizeof body, login, sizeof login) == 0) {
        atomic_fetch_add(&self->counts[0], 1);
        atomic_fetch_add(&self->counts[1], strcmp(login, LOGIN) == 0);
        peer_answer_text(text, sizeof text, body);
        if (peer_http_write(fd, "200 OK", text) != 0)
            return;
    }
}

Test(firod, one_kept_connection, .timeout = 20)
{
    sync_.sectors = 4;
    peer_start(&server, "http", serve_well);
    run(server.url, NULL, 0);
    peer_stop(&server);
    expect_whole(4);
    cr_assert_eq(server.connections, 1);
    cr_assert_eq(server.counts[0], 5);
}

/* At a commit the next request has left without our help. */
static void check_on_wire(void *context)
{
    ts_peer *self = context;
    unsigned want = 1 + sync_.asked; /* the meta, and the sectors */
    for (int i = 0; i < 5000 && atomic_load(&self->counts[0]) < want; i++)
        (void)poll(NULL, 0, 1);
    cr_assert_eq(atomic_load(&self->counts[0]), want);
}

/* The answer to it that came meanwhile does not overwrite the coin under commit: expect_whole looks
 * at what the last commit saw, and the peer answers at once. */
Test(firod, the_next_request_is_written_before_a_commit, .timeout = 20)
{
    sync_.sectors = 5;
    sync_.on_commit = check_on_wire;
    sync_.context = &server;
    peer_start(&server, "http", serve_well);
    run(server.url, NULL, 0);
    peer_stop(&server);
    expect_whole(5);
    cr_assert_eq(sync_.sent_before_commit, 4);
}

Test(firod, login_from_the_url, .timeout = 20)
{
    char url[96];
    sync_.sectors = 1;
    peer_start(&server, "http", serve_well);
    (void)snprintf(url, sizeof url, "http://u:p@127.0.0.1:%u", server.port);
    run(url, NULL, 0);
    peer_stop(&server);
    expect_whole(1);
    cr_assert_eq(server.counts[1], 2);
}

Test(firod, login_from_the_environment, .timeout = 20)
{
    cr_assert_eq(setenv("ANONSET_RPC_USER", "u", 1), 0);
    cr_assert_eq(setenv("ANONSET_RPC_PASSWORD", "p", 1), 0);
    sync_.sectors = 1;
    peer_start(&server, "http", serve_well);
    run(server.url, NULL, 0);
    peer_stop(&server);
    expect_whole(1);
    cr_assert_eq(server.counts[1], 2);
}

Test(firod, login_from_the_cookie, .timeout = 20)
{
    make_cookie("u:p\n");
    sync_.sectors = 1;
    peer_start(&server, "http", serve_well);
    run(server.url, cookie_path, 0);
    peer_stop(&server);
    cr_assert_eq(unlink(cookie_path), 0);
    expect_whole(1);
    cr_assert_eq(server.counts[1], 2);
}

/* "Restarts" after the meta: from then on only the new cookie, written just before, will do. */
static void serve_restart(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128], text[1024];
    (void)nth;
    while (peer_http_read(fd, body, sizeof body, login, sizeof login) == 0) {
        bool renewed = atomic_load(&self->counts[0]) > 0;
        int gone;
        if (strcmp(login, renewed ? LOGIN_NEW : LOGIN) == 0) {
            peer_answer_text(text, sizeof text, body);
            gone = peer_http_write(fd, "200 OK", text);
            if (atomic_fetch_add(&self->counts[0], 1) == 0)
                write_cookie("u:new");
        } else {
            atomic_fetch_add(&self->counts[1], 1);
            gone = peer_http_write(fd, "401 Unauthorized", "");
        }
        if (gone)
            return;
    }
}

Test(firod, a_renewed_cookie_is_read_again, .timeout = 20)
{
    make_cookie("u:p");
    sync_.sectors = 3;
    peer_start(&server, "http", serve_restart);
    run(server.url, cookie_path, 0);
    peer_stop(&server);
    cr_assert_eq(unlink(cookie_path), 0);
    expect_whole(3);
    cr_assert_eq(server.counts[1], 1); /* one refusal, no more */
}

/* Refuses every request with the status in the peer's context. */
static void serve_status(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128];
    (void)nth;
    while (peer_http_read(fd, body, sizeof body, login, sizeof login) == 0) {
        atomic_fetch_add(&self->counts[0], 1);
        if (peer_http_write(fd, self->status, "") != 0)
            return;
    }
}

Test(firod, a_wrong_cookie_is_tried_twice_and_no_more, .timeout = 20)
{
    make_cookie("u:wrong");
    sync_.sectors = 1;
    server.status = "401 Unauthorized";
    peer_start(&server, "http", serve_status);
    run(server.url, cookie_path, 5);
    peer_stop(&server);
    cr_assert_eq(unlink(cookie_path), 0);
    expect_abort(ANONSET_SERVER, "cookie");
    cr_assert_eq(server.counts[0], 2);
    cr_assert_eq(sync_.reconnects, 0);
}

Test(firod, a_refused_login_is_permanent_and_names_no_secret, .timeout = 20)
{
    char url[96];
    sync_.sectors = 1;
    server.status = "401 Unauthorized";
    peer_start(&server, "http", serve_status);
    (void)snprintf(url, sizeof url, "http://someone:secret@127.0.0.1:%u/", server.port);
    run(url, NULL, 5);
    peer_stop(&server);
    expect_abort(ANONSET_SERVER, "check user and password");
    cr_assert(!strstr(sync_.why.text, "secret"));
    cr_assert(!strstr(sync_.why.text, "someone"));
    cr_assert_eq(server.counts[0], 1);
}

Test(firod, a_refused_address_is_permanent, .timeout = 20)
{
    sync_.sectors = 1;
    server.status = "403 Forbidden";
    peer_start(&server, "http", serve_status);
    run(server.url, NULL, 5);
    peer_stop(&server);
    expect_abort(ANONSET_SERVER, "rpcallowip");
    cr_assert_eq(server.counts[0], 1);
}

Test(firod, another_web_server_is_permanent, .timeout = 20)
{
    sync_.sectors = 1;
    server.status = "404 Not Found";
    peer_start(&server, "http", serve_status);
    run(server.url, NULL, 5);
    peer_stop(&server);
    expect_abort(ANONSET_SERVER, "HTTP 404");
    cr_assert_eq(server.counts[0], 1);
}

/* No redirect is followed: it could lead anywhere, with the login. */
static void serve_redirect(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128];
    (void)nth;
    while (peer_http_read(fd, body, sizeof body, login, sizeof login) == 0) {
        atomic_fetch_add(&self->counts[0], 1);
        (void)peer_print(fd,
                         "HTTP/1.1 307 Temporary Redirect\r\nLocation: %s/other\r\n"
                         "Content-Length: 0\r\n\r\n",
                         self->url);
    }
}

Test(firod, no_redirect_is_followed, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "http", serve_redirect);
    run(server.url, NULL, 0);
    peer_stop(&server);
    expect_abort(ANONSET_SERVER, "HTTP 307");
    cr_assert_eq(server.counts[0], 1);
}

/* The work queue is full twice, then not. */
static void serve_full(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128];
    if (nth > 1)
        serve_well(self, fd, nth);
    else if (peer_http_read(fd, body, sizeof body, login, sizeof login) == 0)
        (void)peer_http_write(fd, "503 Service Unavailable", "Work queue depth exceeded\r\n");
}

Test(firod, a_full_work_queue_is_tried_again, .timeout = 20)
{
    sync_.sectors = 2;
    peer_start(&server, "http", serve_full);
    run(server.url, NULL, 2);
    peer_stop(&server);
    expect_whole(2);
    cr_assert_eq(sync_.reconnects, 2);
}

static void serve_error(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128], text[256];
    (void)self;
    (void)nth;
    while (peer_http_read(fd, body, sizeof body, login, sizeof login) == 0) {
        (void)snprintf(
            text, sizeof text,
            "{\"result\":null,\"error\":{\"code\":-1,\"message\":\"no luck\"},\"id\":%u}",
            peer_id(body));
        (void)peer_http_write(fd, "500 Internal Server Error", text);
    }
}

Test(firod, the_body_of_a_500_is_an_answer, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "http", serve_error);
    run(server.url, NULL, 5);
    peer_stop(&server);
    cr_assert_str_eq(sync_.why.text, "no luck");
    cr_assert_eq(sync_.reconnects, 0);
}

/* Promises more than it sends, once. */
static void serve_cut(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128];
    if (nth > 0)
        serve_well(self, fd, nth);
    else if (peer_http_read(fd, body, sizeof body, login, sizeof login) == 0)
        (void)peer_print(fd, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"result\":");
}

Test(firod, a_cut_answer_is_tried_again, .timeout = 20)
{
    sync_.sectors = 2;
    peer_start(&server, "http", serve_cut);
    run(server.url, NULL, 1);
    peer_stop(&server);
    expect_whole(2);
    cr_assert_eq(sync_.reconnects, 1);
}

static void serve_endless(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128], block[65536];
    (void)self;
    (void)nth;
    memset(block, ' ', sizeof block);
    if (peer_http_read(fd, body, sizeof body, login, sizeof login) != 0)
        return;
    (void)peer_print(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    while (peer_write(fd, block, sizeof block) == 0)
        ;
}

Test(firod, an_endless_answer_is_cut_off, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "http", serve_endless);
    run(server.url, NULL, 0);
    peer_stop(&server);
    expect_abort(ANONSET_BAD_ANSWER, "cut off");
}

/* Closes the kept connection after each answer, as a node does that restarts. */
static void serve_once(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128], text[1024];
    (void)self;
    (void)nth;
    if (peer_http_read(fd, body, sizeof body, login, sizeof login) != 0)
        return;
    peer_answer_text(text, sizeof text, body);
    (void)peer_http_write(fd, "200 OK", text);
}

Test(firod, a_closed_idle_connection_is_made_anew, .timeout = 20)
{
    sync_.sectors = 3;
    peer_start(&server, "http", serve_once);
    run(server.url, NULL, 5);
    peer_stop(&server);
    expect_whole(3);
}

static void serve_hang(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128];
    (void)self;
    (void)nth;
    while (peer_http_read(fd, body, sizeof body, login, sizeof login) == 0)
        ;
}

Test(firod, silence_times_out, .timeout = 20)
{
    anonset_client *client;
    anonset_client_options options;
    anonset_detail detail;
    sync_.sectors = 1;
    peer_start(&server, "http", serve_hang);
    anonset_client_options_init(&options);
    options.timeout_ms = 200;
    options.retries = 1;
    cr_assert_eq(anonset_client_new(&client, server.url, &options, &detail), ANONSET_OK);
    client->backoff_base_ms = 1;
    cr_assert_eq(anonset_client_run(client, &sync_, &detail), ANONSET_OK);
    anonset_client_free(client);
    peer_stop(&server);
    expect_abort(ANONSET_NETWORK, "no byte");
    cr_assert_eq(sync_.timeouts, 1);
}

Test(firod, cancel_ends_a_wait_for_an_answer, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "http", serve_hang);
    uint64_t began = fake_cancel_soon(&sync_);
    run(server.url, NULL, 5);
    cr_assert(fake_ended_soon(began));
    peer_stop(&server);
    cr_assert(sync_.cancelled_seen);
    cr_assert(!sync_.aborted);
}

/* firod ended: its cookie is gone when the login is refused. */
static void serve_end(ts_peer *self, int fd, unsigned nth)
{
    char body[1024], login[128];
    (void)self;
    (void)nth;
    if (peer_http_read(fd, body, sizeof body, login, sizeof login) != 0)
        return;
    (void)unlink(cookie_path);
    (void)peer_http_write(fd, "401 Unauthorized", "");
}

Test(firod, a_cookie_that_vanished_is_told, .timeout = 20)
{
    sync_.sectors = 1;
    make_cookie("u:p");
    peer_start(&server, "http", serve_end);
    run(server.url, cookie_path, 5);
    peer_stop(&server);
    expect_abort(ANONSET_NOT_FOUND, "cookie");
}
