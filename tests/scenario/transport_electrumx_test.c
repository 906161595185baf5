/* The ElectrumX driver against a server that misbehaves in every way we thought of. */
#include "remote/client.h"
#include "tests/scenario/fake_sync.h"
#include "tests/scenario/peer.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define ALL UINT32_MAX

static ts_peer server;
static anonset_sync sync_;

static uint64_t charged; /* to us, before the run */

/* Runs the sync against the server to its end. */
static void run(const char *url, unsigned retries, unsigned timeout_ms, const char *proxy)
{
    anonset_client *client;
    anonset_client_options options;
    anonset_detail detail;
    anonset_client_options_init(&options);
    options.retries = retries;
    options.timeout_ms = timeout_ms;
    options.proxy = proxy;
    cr_assert_eq(anonset_client_new(&client, url, &options, &detail), ANONSET_OK, "%s",
                 detail.text);
    client->backoff_base_ms = 1;
    client->backoff_cap_ms = 4;
    client->pace.charge = charged;
    client->pace.at_ms = as_now_ms();
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
    cr_assert(strstr(sync_.why.text, server.url), "%s", sync_.why.text);
}

static void serve_well(ts_peer *self, int fd, unsigned nth)
{
    (void)self;
    (void)nth;
    peer_answer_all(fd, ALL);
}

Test(electrumx, says_hello_first_in_the_same_flight, .timeout = 20)
{
    sync_.sectors = 3;
    peer_start(&server, "tcp", serve_well);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_whole(3);
    cr_assert_eq(server.connections, 1);
}

/* Answers nothing until hello and meta have both come. */
static void serve_flight(ts_peer *self, int fd, unsigned nth)
{
    char hello[512], meta[512];
    (void)nth;
    if (peer_line(fd, hello, sizeof hello) != 0 || peer_line(fd, meta, sizeof meta) != 0)
        return;
    atomic_store(&self->counts[0], strstr(hello, "server.version") && strstr(hello, "\"1.4\"") &&
                                       strstr(meta, "getsparkanonymitysetmeta"));
    if (peer_answer(fd, meta) == 0 && peer_answer(fd, hello) == 0)
        peer_answer_all(fd, ALL);
}

Test(electrumx, pipelines_and_takes_answers_in_any_order, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_flight);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_whole(1);
    cr_assert_eq(server.counts[0], 1);
}

/* Counts sector requests as they come; answers each. */
static void serve_counting(ts_peer *self, int fd, unsigned nth)
{
    char line[512];
    (void)nth;
    while (peer_line(fd, line, sizeof line) == 0) {
        atomic_fetch_add(&self->counts[0], strstr(line, "sector") != NULL);
        if (peer_answer(fd, line) != 0)
            return;
    }
}

/* At a commit the server has, or gets without our help, the request for the next sector. */
static void check_on_wire(void *context)
{
    ts_peer *self = context;
    unsigned want = sync_.asked;
    for (int i = 0; i < 5000 && atomic_load(&self->counts[0]) < want; i++)
        (void)poll(NULL, 0, 1);
    cr_assert_eq(atomic_load(&self->counts[0]), want);
}

Test(electrumx, the_next_sector_is_on_the_wire_while_one_commits, .timeout = 20)
{
    sync_.sectors = 5;
    sync_.on_commit = check_on_wire;
    sync_.context = &server;
    peer_start(&server, "tcp", serve_counting);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_whole(5);
    cr_assert_eq(sync_.sent_before_commit, 4);
}

/* The first connection ends in the middle of a line; so does the second, without one. */
static void serve_cut(ts_peer *self, int fd, unsigned nth)
{
    char line[512], text[1024];
    (void)self;
    if (nth == 0) {
        peer_answer_all(fd, 2);
        if (peer_line(fd, line, sizeof line) != 0)
            return;
        peer_answer_text(text, sizeof text, line);
        (void)peer_write(fd, text, strlen(text) / 2);
    } else if (nth == 1) {
        (void)peer_line(fd, line, sizeof line);
    } else {
        peer_answer_all(fd, ALL);
    }
}

Test(electrumx, a_cut_connection_is_tried_again, .timeout = 20)
{
    sync_.sectors = 4;
    peer_start(&server, "tcp", serve_cut);
    run(server.url, 2, 5000, NULL);
    peer_stop(&server);
    expect_whole(4);
    cr_assert_eq(server.connections, 3);
    cr_assert_eq(sync_.reconnects, 2);
    cr_assert_eq(sync_.timeouts, 0);
}

static void serve_nothing(ts_peer *self, int fd, unsigned nth)
{
    (void)self;
    (void)fd;
    (void)nth;
}

Test(electrumx, retries_end_and_say_why, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_nothing);
    run(server.url, 3, 5000, NULL);
    peer_stop(&server);
    expect_abort(ANONSET_NETWORK, "");
    cr_assert_eq(server.connections, 4);
    cr_assert_eq(sync_.reconnects, 3);
}

/* Each connection gives one sector, then ends: with one retry only, it gets on all the same. */
static void serve_one_each(ts_peer *self, int fd, unsigned nth)
{
    (void)self;
    (void)nth;
    peer_answer_all(fd, 1);
}

Test(electrumx, a_commit_renews_the_patience, .timeout = 20)
{
    sync_.sectors = 6;
    peer_start(&server, "tcp", serve_one_each);
    run(server.url, 1, 5000, NULL);
    peer_stop(&server);
    expect_whole(6);
    cr_assert_eq(server.connections, 6);
}

Test(electrumx, nobody_listening, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_nothing);
    peer_stop(&server);
    run(server.url, 2, 5000, NULL);
    expect_abort(ANONSET_NETWORK, "could not connect");
    cr_assert_eq(sync_.reconnects, 2);
}

/* Takes requests, answers none on the first connection. */
static void serve_hang(ts_peer *self, int fd, unsigned nth)
{
    char line[512];
    (void)self;
    if (nth > 0)
        peer_answer_all(fd, ALL);
    else
        while (peer_line(fd, line, sizeof line) == 0)
            ;
}

Test(electrumx, silence_times_out_and_asks_for_less, .timeout = 20)
{
    sync_.sectors = 2;
    peer_start(&server, "tcp", serve_hang);
    run(server.url, 1, 200, NULL);
    peer_stop(&server);
    expect_whole(2);
    cr_assert_eq(sync_.timeouts, 1);
}

/* Every byte of an answer comes on its own: in sum longer than the timeout, and yet not late. */
static void serve_slowly(ts_peer *self, int fd, unsigned nth)
{
    char line[512], text[1024];
    (void)self;
    (void)nth;
    while (peer_line(fd, line, sizeof line) == 0) {
        peer_answer_text(text, sizeof text - 1, line);
        (void)strcat(text, "\n");
        for (size_t i = 0; text[i]; i++) {
            (void)poll(NULL, 0, 8);
            if (peer_write(fd, &text[i], 1) != 0)
                return;
        }
    }
}

Test(electrumx, slow_is_not_silent, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_slowly);
    run(server.url, 0, 400, NULL);
    peer_stop(&server);
    expect_whole(1);
}

static void serve_endless_line(ts_peer *self, int fd, unsigned nth)
{
    char block[65536];
    (void)nth;
    memset(block, 'x', sizeof block);
    while (peer_write(fd, block, sizeof block) == 0)
        atomic_fetch_add(&self->counts[0], 1);
}

Test(electrumx, an_endless_line_is_cut_off, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_endless_line);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_abort(ANONSET_BAD_ANSWER, "cut off");
}

static void serve_flood(ts_peer *self, int fd, unsigned nth)
{
    (void)self;
    (void)nth;
    while (peer_print(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[]}\n") == 0)
        ;
}

Test(electrumx, a_flood_of_notifications_ends, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_flood);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_abort(ANONSET_BAD_ANSWER, "notifications");
}

/* Every answer, that to server.version too, comes behind 450 notifications. */
static void serve_chatty(ts_peer *self, int fd, unsigned nth)
{
    char line[512];
    (void)self;
    (void)nth;
    while (peer_line(fd, line, sizeof line) == 0) {
        for (int i = 0; i < 450; i++)
            (void)peer_print(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[%d]}\n", i);
        if (peer_answer(fd, line) != 0)
            return;
    }
}

Test(electrumx, notifications_are_passed_over, .timeout = 20)
{
    sync_.sectors = 3;
    peer_start(&server, "tcp", serve_chatty);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_whole(3);
}

static void serve_busy(ts_peer *self, int fd, unsigned nth)
{
    char line[512];
    (void)self;
    if (nth > 1) {
        peer_answer_all(fd, ALL);
        return;
    }
    while (peer_line(fd, line, sizeof line) == 0)
        if (peer_print(fd,
                       "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-101,\"message\":\"excessive "
                       "resource usage\"},\"id\":%u}\n",
                       peer_id(line)) != 0)
            return;
}

static void serve_other_protocol(ts_peer *self, int fd, unsigned nth)
{
    char line[512];
    (void)self;
    (void)nth;
    if (peer_line(fd, line, sizeof line) == 0)
        (void)peer_print(fd, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":\"unsupported "
                             "protocol version: 1.4\"},\"id\":0}\n");
}

Test(electrumx, a_server_of_another_protocol_is_not_tried_again, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_other_protocol);
    run(server.url, 5, 5000, NULL);
    peer_stop(&server);
    expect_abort(ANONSET_SERVER, "unsupported protocol version");
    cr_assert_eq(server.connections, 1);
}

/* Refuses server.version in the words of the test. */
static void serve_refusal(ts_peer *self, int fd, unsigned nth)
{
    char line[512];
    (void)nth;
    if (peer_line(fd, line, sizeof line) == 0)
        (void)peer_print(fd, "%s\n", self->status);
}

Test(electrumx, a_server_may_refuse_us_in_any_words, .timeout = 20)
{
    static const struct {
        const char *answer, *words;
    } rows[] = {
        {"{\"id\":0,\"result\":null,\"error\":{\"message\":\"too old\"}}", "too old"},
        {"{\"id\":0,\"result\":null,\"error\":null}", "no reason given"},
        {"{\"id\":0}", "no reason given"},
        {"{\"id\":0,\"error\":5}", "no reason given"},
        {"{\"id\":0,\"error\":{\"code\":1}}", "no reason given"},
        {"{\"id\":0,\"error\":{\"message\":7}}", "no reason given"},
    };
    peer_start(&server, "tcp", serve_refusal);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sync_ = (anonset_sync){.sectors = 1};
        server.status = rows[i].answer;
        run(server.url, 5, 5000, NULL);
        expect_abort(ANONSET_SERVER, rows[i].words);
    }
    peer_stop(&server);
}

/* The same where the first question is one whose answer comes in pieces. */
Test(electrumx, a_server_may_refuse_us_where_pieces_are_awaited, .timeout = 20)
{
    sync_.used = true;
    peer_start(&server, "tcp", serve_other_protocol);
    run(server.url, 5, 5000, NULL);
    peer_stop(&server);
    expect_abort(ANONSET_SERVER, "unsupported protocol version");
    cr_assert_eq(server.connections, 1);
}

/* Answers the list, and server.version never. */
static void serve_list_first(ts_peer *self, int fd, unsigned nth)
{
    char hello[512], list[512];
    (void)self;
    (void)nth;
    if (peer_line(fd, hello, sizeof hello) != 0 || peer_line(fd, list, sizeof list) != 0)
        return;
    (void)peer_print(fd, "{\"result\":{\"tagsandtxids\":[]},\"id\":%u}\n", peer_id(list));
    (void)peer_line(fd, list, sizeof list); /* until it is closed */
}

Test(electrumx, a_list_may_come_before_the_answer_to_the_hello, .timeout = 20)
{
    sync_.used = true;
    peer_start(&server, "tcp", serve_list_first);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    cr_assert_not(sync_.aborted, "%s", sync_.why.text);
    cr_assert(sync_.meta_told);
}

/* Chatters ahead of its answer to server.version: a notification, a long one, and one that looks
 * like an answer to somebody else. */
static void serve_chatter(ts_peer *self, int fd, unsigned nth)
{
    static const char *const chatter[] = {"", "                                "};
    char line[512];
    (void)self;
    (void)nth;
    if (peer_line(fd, line, sizeof line) != 0)
        return;
    for (size_t i = 0; i < 2; i++) {
        if (peer_print(fd, "{\"method\":\"m\",\"params\":[") != 0)
            return;
        for (int n = 0; n < 200; n++)
            (void)peer_print(fd, "%s", chatter[i]);
        (void)peer_print(fd, "]}\n");
    }
    if (peer_answer(fd, line) == 0)
        peer_answer_all(fd, ALL);
}

Test(electrumx, chatter_ahead_of_the_hello_is_passed_over, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_chatter);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_whole(1);
}

static void serve_odd_id(ts_peer *self, int fd, unsigned nth)
{
    char line[512];
    (void)self;
    (void)nth;
    if (peer_line(fd, line, sizeof line) == 0)
        (void)peer_print(fd, "{\"id\":\"x\",\"result\":[\"Peer\",\"1.4\"]}\n");
}

Test(electrumx, an_id_that_is_no_number_is_a_bad_answer, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_odd_id);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_abort(ANONSET_BAD_ANSWER, "its id is none that was asked");
}

/* Hello is answered; everything after is busy. */
static void serve_busy_later(ts_peer *self, int fd, unsigned nth)
{
    char line[512];
    if (peer_line(fd, line, sizeof line) == 0 && peer_answer(fd, line) == 0)
        serve_busy(self, fd, nth);
}

Test(electrumx, a_busy_server_is_tried_again, .timeout = 20)
{
    sync_.sectors = 2;
    peer_start(&server, "tcp", serve_busy_later);
    run(server.url, 2, 5000, NULL);
    peer_stop(&server);
    expect_whole(2);
    cr_assert_eq(server.connections, 3);
}

static void serve_garbage(ts_peer *self, int fd, unsigned nth)
{
    char line[512];
    (void)self;
    (void)nth;
    if (peer_line(fd, line, sizeof line) == 0)
        (void)peer_print(fd, "220 mail.example ESMTP\n");
    while (peer_line(fd, line, sizeof line) == 0)
        ;
}

Test(electrumx, garbage_is_a_bad_answer, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_garbage);
    run(server.url, 1, 5000, NULL);
    peer_stop(&server);
    expect_abort(ANONSET_BAD_ANSWER, "");
    cr_assert_eq(server.connections, 2);
}

/* ---- Cancel ------------------------------------------------------------------------------- */

Test(electrumx, cancel_ends_a_wait_for_an_answer, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_hang);
    uint64_t began = fake_cancel_soon(&sync_);
    run(server.url, 5, 30000, NULL);
    cr_assert(fake_ended_soon(began));
    peer_stop(&server);
    cr_assert(sync_.cancelled_seen);
    cr_assert(!sync_.aborted);
}

Test(electrumx, cancel_ends_a_backoff, .timeout = 20)
{
    anonset_client *client;
    anonset_detail detail;
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_nothing);
    cr_assert_eq(anonset_client_new(&client, server.url, NULL, &detail), ANONSET_OK);
    client->backoff_base_ms = client->backoff_cap_ms = 1u << 30;
    uint64_t began = fake_cancel_soon(&sync_);
    cr_assert_eq(anonset_client_run(client, &sync_, &detail), ANONSET_OK);
    cr_assert(fake_ended_soon(began));
    anonset_client_free(client);
    peer_stop(&server);
    cr_assert(sync_.cancelled_seen);
}

/* ---- SOCKS5h ------------------------------------------------------------------------------ */

/* A proxy that takes user "u", password "p" and the name "hidden.onion", and is then the server. */
static void serve_socks(ts_peer *self, int fd, unsigned nth)
{
    uint8_t head[2], methods[255], request[5 + 12 + 2];
    static const uint8_t login[] = {1, 1, 'u', 1, 'p'};
    uint8_t said[sizeof login];
    static const uint8_t granted[] = {5, 0, 0, 1, 127, 0, 0, 1, 0, 1};
    (void)nth;
    if (peer_read(fd, head, 2) != 0 || peer_read(fd, methods, head[1]) != 0 ||
        peer_write(fd, (const uint8_t[]){5, 2}, 2) != 0 || peer_read(fd, said, sizeof said) != 0)
        return;
    bool good = memcmp(said, login, sizeof login) == 0;
    (void)peer_write(fd, (const uint8_t[]){1, good ? 0 : 1}, 2);
    if (!good || peer_read(fd, request, sizeof request) != 0)
        return;
    if (request[3] == 3 && request[4] == 12 && memcmp(request + 5, "hidden.onion", 12) == 0)
        atomic_fetch_add(&self->counts[0], 1);
    if (peer_write(fd, granted, sizeof granted) == 0)
        peer_answer_all(fd, ALL);
}

Test(electrumx, socks5h_leaves_the_name_to_the_proxy, .timeout = 20)
{
    char proxy[64];
    sync_.sectors = 2;
    peer_start(&server, "socks5h", serve_socks);
    (void)snprintf(proxy, sizeof proxy, "socks5h://u:p@127.0.0.1:%u", server.port);
    run("tcp://hidden.onion:50001", 0, 5000, proxy);
    peer_stop(&server);
    expect_whole(2);
    cr_assert_eq(server.counts[0], 1);
}

Test(electrumx, socks5h_refused_login, .timeout = 20)
{
    char proxy[64];
    sync_.sectors = 1;
    peer_start(&server, "socks5h", serve_socks);
    (void)snprintf(proxy, sizeof proxy, "socks5h://u:x@127.0.0.1:%u", server.port);
    run("tcp://hidden.onion:50001", 0, 5000, proxy);
    peer_stop(&server);
    cr_assert(sync_.aborted);
    cr_assert(strstr(sync_.why.text, "tcp://hidden.onion:50001"), "%s", sync_.why.text);
}

Test(electrumx, the_environment_names_no_proxy, .timeout = 20)
{
    cr_assert_eq(setenv("http_proxy", "http://127.0.0.1:9", 1), 0);
    cr_assert_eq(setenv("ALL_PROXY", "socks5h://127.0.0.1:9", 1), 0);
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_well);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_whole(1);
}

Test(electrumx, the_environment_leads_past_no_proxy, .timeout = 20)
{
    char proxy[64];
    cr_assert_eq(setenv("no_proxy", "*", 1), 0);
    sync_.sectors = 1;
    peer_start(&server, "socks5h", serve_socks);
    (void)snprintf(proxy, sizeof proxy, "socks5h://u:p@127.0.0.1:%u", server.port);
    run("tcp://hidden.onion:50001", 0, 5000, proxy);
    peer_stop(&server);
    expect_whole(1);
    cr_assert_eq(server.counts[0], 1);
}

/* A handshake that the server never answers. */
Test(electrumx, cancel_ends_a_connect, .timeout = 20)
{
    sync_.sectors = 1;
    peer_start(&server, "ssl", serve_hang);
    uint64_t began = fake_cancel_soon(&sync_);
    run(server.url, 5, 30000, NULL);
    cr_assert(fake_ended_soon(began));
    peer_stop(&server);
    cr_assert(sync_.cancelled_seen);
    cr_assert(!sync_.aborted);
}

Test(electrumx, a_sync_that_asks_nothing_is_given_up, .timeout = 20)
{
    sync_.silent = true;
    peer_start(&server, "tcp", serve_hang);
    run(server.url, 5, 30000, NULL);
    peer_stop(&server);
    cr_assert(sync_.aborted);
    cr_assert_eq(sync_.why.code, ANONSET_INTERNAL, "%s", sync_.why.text);
}

Test(electrumx, a_sync_that_takes_no_answer_is_given_up, .timeout = 20)
{
    sync_.sectors = 1;
    sync_.deaf = true;
    peer_start(&server, "tcp", serve_well);
    run(server.url, 5, 30000, NULL);
    peer_stop(&server);
    cr_assert(sync_.aborted);
    cr_assert_eq(sync_.why.code, ANONSET_INVALID, "%s", sync_.why.text);
    cr_assert_eq(server.connections, 1);
}

#define PADDING (1u << 20)

/* Pads the answers with sectors; notes whether a sector was asked for while another was not
 * answered, but for the first two. */
static void serve_padded(ts_peer *self, int fd, unsigned nth)
{
    static char padding[PADDING];
    char line[512], text[1024];
    unsigned sectors = 0;
    (void)nth;
    memset(padding, ' ', sizeof padding);
    while (peer_line(fd, line, sizeof line) == 0) {
        bool sector = strstr(line, "sector") != NULL;
        struct pollfd more = {.fd = fd, .events = POLLIN};
        sectors += sector;
        if (sectors > 2 && poll(&more, 1, 20) > 0)
            atomic_store(&self->counts[0], 1);
        peer_answer_text(text, sizeof text, line);
        if (peer_write(fd, text, strlen(text)) != 0 ||
            (sector && peer_write(fd, padding, sizeof padding) != 0) ||
            peer_write(fd, "\n", 1) != 0)
            return;
    }
}

/* With an answer under way, a request that the server's charges do not allow is held back until
 * that answer is there, however long the charges take to decay. */
Test(electrumx, a_request_past_the_charges_waits_for_the_answer_before_it, .timeout = 20)
{
    sync_.sectors = 6;
    sync_.ahead = 1;
    sync_.coins = 44000; /* one such sector is below the ceiling, two are above */
    peer_start(&server, "tcp", serve_padded);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_whole(6);
    cr_assert_eq(server.counts[0], 0, "asked for two sectors at once");
}

static void serve_and_cancel(ts_peer *self, int fd, unsigned nth)
{
    (void)self;
    (void)nth;
    (void)fd;
    anonset_sync_cancel(&sync_);
}

/* A wait for the charges to decay takes hours here. */
Test(electrumx, cancel_ends_a_wait_for_the_charges, .timeout = 20)
{
    sync_.sectors = 1;
    charged = 100 * AS_PACE_CEILING;
    peer_start(&server, "tcp", serve_and_cancel);
    run(server.url, 5, 30000, NULL);
    peer_stop(&server);
    cr_assert(sync_.cancelled_seen);
    cr_assert(!sync_.aborted);
}

/* A SIGPIPE that the caller held back already is the caller's. */
Test(electrumx, a_signal_from_before_is_left_alone, .timeout = 20)
{
    sigset_t mask;
    cr_assert(sigemptyset(&mask) == 0 && sigaddset(&mask, SIGPIPE) == 0);
    cr_assert_eq(pthread_sigmask(SIG_BLOCK, &mask, NULL), 0);
    cr_assert_eq(pthread_kill(pthread_self(), SIGPIPE), 0);
    sync_.sectors = 1;
    peer_start(&server, "tcp", serve_well);
    run(server.url, 0, 5000, NULL);
    peer_stop(&server);
    expect_whole(1);
    cr_assert(sigpending(&mask) == 0 && sigismember(&mask, SIGPIPE) == 1);
}
