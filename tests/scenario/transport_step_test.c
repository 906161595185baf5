/* Runs in calls that may take little: how they end, and that the next one goes on there. */
#include "remote/client.h"
#include "tests/scenario/fake_sync.h"
#include "tests/scenario/peer.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define CALLS_MOST 2000000u
#define PAD        40000u
#define CHUNK      16384u /* what libcurl hands on at once */

static ts_peer server;
static anonset_sync sync_;
static anonset_client *client;

/* ---- A socket that takes nothing ------------------------------------------------------------ */

static unsigned unready; /* so many calls */

CURLcode __real_curl_easy_send(CURL *easy, const void *bytes, size_t len, size_t *sent);
CURLcode __wrap_curl_easy_send(CURL *easy, const void *bytes, size_t len, size_t *sent);
CURLcode __wrap_curl_easy_send(CURL *easy, const void *bytes, size_t len, size_t *sent)
{
    if (unready == 0)
        return __real_curl_easy_send(easy, bytes, len, sent);
    unready--;
    return CURLE_AGAIN;
}

/* ---- Servers -------------------------------------------------------------------------------- */

static bool is_http(const ts_peer *self)
{
    return strncmp(self->url, "http:", 5) == 0;
}

static int read_request(ts_peer *self, int fd, char *request, size_t cap)
{
    char login[16];
    return is_http(self) ? peer_http_read(fd, request, cap, login, sizeof login)
                         : peer_line(fd, request, cap);
}

/* An answer with blanks behind it, as electrumx pads all but the first. Returns its length. */
static size_t write_text(const ts_peer *self, char *text, const char *request)
{
    char body[PAD + 1];
    memset(body, ' ', PAD);
    peer_answer_text(body, 1024, request);
    if (strstr(request, "server.version"))
        return (size_t)sprintf(text, "%s\n", body);
    body[strlen(body)] = ' ';
    body[PAD] = '\0';
    int n = is_http(self)
                ? sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n%s", PAD, body)
                : sprintf(text, "%s\n", body);
    return (size_t)n;
}

/* Counts requests (0). */
static void serve_padded(ts_peer *self, int fd, unsigned nth)
{
    char text[PAD + 1024];
    char request[1024];
    (void)nth;
    while (read_request(self, fd, request, sizeof request) == 0) {
        atomic_fetch_add(&self->counts[0], 1);
        size_t len = write_text(self, text, request);
        if (peer_write(fd, text, len) != 0)
            return;
    }
}

/* A few bytes, a break, and so on. */
static void serve_in_bits(ts_peer *self, int fd, unsigned nth)
{
    char text[PAD + 1024];
    char request[1024];
    (void)nth;
    while (read_request(self, fd, request, sizeof request) == 0) {
        size_t len = write_text(self, text, request);
        for (size_t at = 0; at < len; at += 400) {
            if (peer_write(fd, text + at, len - at < 400 ? len - at : 400) != 0)
                return;
            (void)poll(NULL, 0, 1);
        }
    }
}

/* Takes requests, answers none on the first connection. */
static void serve_hang(ts_peer *self, int fd, unsigned nth)
{
    char request[1024];
    if (nth > 0) {
        serve_padded(self, fd, nth);
        return;
    }
    while (read_request(self, fd, request, sizeof request) == 0)
        atomic_fetch_add(&self->counts[0], 1);
}

/* The first connection ends behind a sector; that is told (2). */
static void serve_one(ts_peer *self, int fd, unsigned nth)
{
    if (nth > 0) {
        peer_answer_all(fd, UINT32_MAX);
        return;
    }
    peer_answer_all(fd, 1);
    atomic_fetch_add(&self->counts[2], 1);
}

static void serve_nothing(ts_peer *self, int fd, unsigned nth)
{
    (void)self;
    (void)fd;
    (void)nth;
}

/* ---- Running -------------------------------------------------------------------------------- */

static anonset_client *make(const char *url, unsigned timeout_ms)
{
    anonset_client *made;
    anonset_client_options options;
    anonset_detail detail;
    anonset_client_options_init(&options);
    options.timeout_ms = timeout_ms;
    options.retries = 1;
    cr_assert_eq(anonset_client_new(&made, url, &options, &detail), ANONSET_OK, "%s", detail.text);
    made->backoff_base_ms = 1;
    made->backoff_cap_ms = 4;
    return made;
}

static void begin(const char *scheme, peer_serve *serve, uint32_t sectors)
{
    sync_ = (anonset_sync){.sectors = sectors};
    server.parallel = true; /* firod's two lanes */
    peer_start(&server, scheme, serve);
    client = make(server.url, 10000);
}

static void end(void)
{
    anonset_client_free(client);
    peer_stop(&server);
}

static bool step(uint64_t max_bytes, uint32_t max_ms)
{
    bool done;
    cr_assert_eq(anonset_client_step(client, &done, &sync_, max_bytes, max_ms, NULL), ANONSET_OK);
    cr_assert_null(client->link->sync);
    cr_assert_null(client->run.answer.coins, "coins that nobody may look at any more");
    return done;
}

/* Returns how many calls it took; `most` is what one may receive. */
static unsigned steps_to_end(uint64_t max_bytes, uint32_t max_ms, uint64_t most)
{
    unsigned calls = 1;
    for (; !step(max_bytes, max_ms); calls++) {
        cr_assert_leq(client->link->received, most);
        cr_assert_lt(calls, CALLS_MOST, "it does not end");
    }
    return calls;
}

static void expect_whole(uint32_t sectors)
{
    cr_assert(!sync_.aborted, "%s", sync_.why.text);
    cr_assert_eq(sync_.commits, sectors);
    cr_assert_str_eq(sync_.serialized, "coin");
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

Test(step, electrumx_takes_no_byte_more_than_it_may, .timeout = 60)
{
    begin("tcp", serve_padded, 2);
    unsigned calls = steps_to_end(1000, 0, 1000);
    expect_whole(2);
    cr_expect_geq(calls, 3 * PAD / 1000, "%u", calls); /* meta and two sectors */
    cr_expect_eq(server.connections, 1);
    end();
}

Test(step, firod_takes_no_buffer_more_than_it_may, .timeout = 60)
{
    begin("http", serve_padded, 3);
    unsigned calls = steps_to_end(1, 0, CHUNK);
    expect_whole(3);
    cr_expect_geq(calls, 4 * PAD / CHUNK, "%u", calls);
    cr_expect_eq(sync_.reconnects, 0);
    end();
}

Test(step, one_byte_a_call_gets_on, .timeout = 60)
{
    begin("tcp", serve_padded, 1);
    cr_expect_geq(steps_to_end(1, 0, 1), 2 * PAD);
    expect_whole(1);
    end();
}

/* ---- Time ----------------------------------------------------------------------------------- */

static void a_slow_line_gets_on(const char *scheme)
{
    begin(scheme, serve_in_bits, 2);
    unsigned calls = steps_to_end(0, 1, UINT64_MAX);
    expect_whole(2);
    cr_expect_gt(calls, 10, "%u", calls);
    cr_expect_eq(sync_.reconnects, 0);
    end();
}

Test(step, a_millisecond_a_call_gets_on_over_a_slow_line, .timeout = 60)
{
    a_slow_line_gets_on("tcp");
}

Test(step, a_millisecond_a_call_gets_on_over_a_slow_line_of_firod, .timeout = 60)
{
    a_slow_line_gets_on("http");
}

Test(step, without_a_limit_it_is_one_call, .timeout = 60)
{
    begin("tcp", serve_padded, 3);
    cr_expect_eq(steps_to_end(0, 0, UINT64_MAX), 1);
    expect_whole(3);
    cr_expect(step(0, 0), "a sync that is done is done");
    end();
}

/* No call is as long as the timeout; all together are. */
static void silence_is_summed_up(const char *scheme)
{
    begin(scheme, serve_hang, 1);
    anonset_client_free(client);
    client = make(server.url, 300);
    (void)steps_to_end(0, 10, UINT64_MAX);
    expect_whole(1);
    cr_expect_eq(sync_.timeouts, 1);
    end();
}

Test(step, silence_is_summed_up_over_calls, .timeout = 60)
{
    silence_is_summed_up("tcp");
}

Test(step, silence_of_firod_is_summed_up_over_calls, .timeout = 60)
{
    silence_is_summed_up("http");
}

Test(step, time_between_calls_is_no_silence, .timeout = 60)
{
    begin("tcp", serve_hang, 1);
    while (atomic_load(&server.counts[0]) < 2) /* hello and meta */
        cr_assert(!step(0, 1));
    for (int i = 0; i < 5; i++) {
        client->link->left_at -= 60000; /* as if the call before had ended a minute ago */
        cr_assert(!step(0, 1));
    }
    cr_expect_eq(sync_.timeouts, 0);
    anonset_sync_cancel(&sync_);
    cr_expect(step(0, 1));
    end();
}

/* ---- Waits that go on in the next call ------------------------------------------------------ */

Test(step, a_connection_is_waited_for_over_calls, .timeout = 60)
{
    char url[64];
    begin("tcp", serve_hang, 1);
    anonset_client_free(client);
    (void)snprintf(url, sizeof url, "ssl://127.0.0.1:%u", server.port); /* it does not speak TLS */
    client = make(url, 10000);
    for (int i = 0; i < 20; i++)
        cr_assert(!step(0, 1));
    cr_expect(client->run.unqueued);
    cr_expect_eq(sync_.n, 1, "the request is handed out once");
    anonset_sync_cancel(&sync_);
    cr_expect(step(0, 1));
    cr_expect(sync_.cancelled_seen);
    end();
}

Test(step, patience_goes_on_over_calls, .timeout = 60)
{
    begin("tcp", serve_nothing, 1);
    client->retries = 1000;
    client->backoff_base_ms = client->backoff_cap_ms =
        1000000000; /* by chance less, but not a second */
    while (sync_.reconnects == 0)
        cr_assert(!step(0, 1));
    for (int i = 0; i < 5; i++)
        cr_assert(!step(0, 1));
    cr_expect_eq(server.connections, 1);
    anonset_sync_cancel(&sync_);
    cr_expect(step(0, 1));
    end();
}

Test(step, the_servers_charges_are_waited_for_over_calls, .timeout = 60)
{
    begin("tcp", serve_padded, 1);
    client->pace.charge = 2 * AS_PACE_CEILING;
    client->pace.at_ms = as_now_ms();
    for (int i = 0; i < 20; i++)
        cr_assert(!step(0, 1));
    cr_expect_eq(server.counts[0], 0);
    client->pace.charge = 0;
    client->run.not_before = 0;
    cr_expect(step(0, 0));
    expect_whole(1);
    end();
}

Test(step, a_socket_that_takes_nothing_is_waited_for_over_calls, .timeout = 60)
{
    begin("tcp", serve_padded, 1);
    unready = UINT32_MAX;
    for (int i = 0; i < 20; i++)
        cr_assert(!step(0, 1));
    cr_expect_eq(server.counts[0], 0);
    unready = 3;
    cr_expect(step(0, 0));
    expect_whole(1);
    cr_expect_eq(sync_.reconnects, 0);
    end();
}

Test(step, a_socket_that_takes_nothing_for_too_long_is_left, .timeout = 60)
{
    begin("tcp", serve_padded, 1);
    anonset_client_free(client);
    client = make(server.url, 500);
    unready = UINT32_MAX;
    (void)steps_to_end(0, 10, UINT64_MAX);
    cr_expect(sync_.aborted);
    cr_expect_eq(sync_.timeouts, 1);
    cr_expect(strstr(sync_.why.text, "no byte came"), "%s", sync_.why.text);
    end();
}

/* ---- What happens between two calls --------------------------------------------------------- */

Test(step, a_connection_that_is_gone_is_made_anew, .timeout = 60)
{
    begin("tcp", serve_one, 4);
    while (sync_.commits == 0)
        cr_assert(!step(1, 0)); /* a byte a call */
    while (atomic_load(&server.counts[2]) == 0)
        (void)poll(NULL, 0, 1);
    (void)steps_to_end(0, 1, UINT64_MAX);
    expect_whole(4);
    cr_expect_eq(server.connections, 2);
    cr_expect_eq(sync_.reconnects, 1);
    end();
}

/* Until an answer is under way: some of it came. */
static void stop_midway(void)
{
    while (sync_.commits == 0 || client->link->in.len == 0 || client->link->in.taken != 0)
        cr_assert(!step(1000, 0));
}

Test(step, another_sync_at_the_same_place_hears_no_answers_of_the_first, .timeout = 60)
{
    begin("tcp", serve_padded, 4);
    stop_midway();
    sync_ = (anonset_sync){.sectors = 2};
    (void)steps_to_end(1000, 0, 1000);
    expect_whole(2);
    cr_expect_eq(server.connections, 2);
    cr_expect_eq(sync_.reconnects, 0);
    end();
}

Test(step, two_syncs_in_turn_cost_connections_and_nothing_else, .timeout = 60)
{
    anonset_sync other = {.sectors = 2};
    bool done = false;
    begin("tcp", serve_padded, 4);
    stop_midway();
    while (!done)
        cr_assert_eq(anonset_client_step(client, &done, &other, 1000, 0, NULL), ANONSET_OK);
    cr_expect_eq(other.commits, 2);
    (void)steps_to_end(0, 1, UINT64_MAX);
    expect_whole(4);
    cr_expect_eq(sync_.reconnects, 1);
    cr_expect_eq(server.connections, 3);
    end();
}

Test(step, a_sync_that_was_told_to_connect_again_does, .timeout = 60)
{
    begin("http", serve_padded, 4);
    stop_midway();
    anonset_sync_reconnect(&sync_, false);
    (void)steps_to_end(1000, 0, 1000 + CHUNK);
    expect_whole(4);
    cr_expect_eq(sync_.reconnects, 1);
    end();
}

Test(step, a_new_client_goes_on_where_the_old_one_ended, .timeout = 60)
{
    begin("tcp", serve_padded, 4);
    stop_midway();
    anonset_client_free(client);
    client = make(server.url, 10000);
    cr_assert_eq(anonset_client_run(client, &sync_, NULL), ANONSET_OK);
    expect_whole(4);
    cr_expect_eq(sync_.reconnects, 1);
    end();
}

/* ---- Misuse --------------------------------------------------------------------------------- */

Test(step, misuse_is_invalid, .timeout = 60)
{
    anonset_detail detail = {0};
    bool done = true;
    begin("tcp", serve_nothing, 1);
    cr_expect_eq(anonset_client_step(NULL, &done, &sync_, 0, 0, &detail), ANONSET_INVALID);
    cr_expect_eq(anonset_client_step(client, NULL, &sync_, 0, 0, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_client_step(client, &done, NULL, 0, 0, NULL), ANONSET_INVALID);
    cr_expect(strstr(detail.text, "anonset_client_step"), "%s", detail.text);
    cr_expect_eq(anonset_client_run(client, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(server.connections, 0);
    end();
}
