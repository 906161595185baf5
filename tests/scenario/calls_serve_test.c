/*
 * `anonset serve` in one process and on one thread with its clients, at a real socket: calls of the
 * system fail one at a time, and the clock moves as the test says. One client may pay for it, the
 * next one is served.
 */
#include "config.h"

#include "cli/command.h"
#include "cli/exits.h"
#include "cli/listen.h"
#include "tests/shims/sockets.h"
#include "tests/support/support.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a)   (sizeof(a) / sizeof *(a))
#define TURNS_MOST 5000u
#define ROOM       (1u << 20)

#define HELLO "{\"id\":1,\"method\":\"server.version\",\"params\":[\"x\",\"1.4\"]}\n"
#define PING  "{\"id\":2,\"method\":\"server.ping\"}\n"
#define META  "{\"id\":3,\"method\":\"spark.getsparkanonymitysetmeta\",\"params\":[\"1\"]}\n"

int anonset_main(int argc, char **argv);

static ts_dir dir;
static const char *store;
static char block[64];     /* of its set */
static int out = -1, said; /* files in memory that take what the command prints */
static char text[ROOM];    /* what one of them holds */

static const char *read_all(int file)
{
    ssize_t n = pread(file, text, sizeof text - 1, 0);
    cr_assert_geq(n, 0);
    text[n] = '\0';
    return text;
}

static void begin(void)
{
    ts_server server;
    ts_result result;
    ts_dir_make(&dir);
    store = ts_in(&dir, "store");
    ts_server_start(&server, "--coins", "600", NULL);
    ts_anonset(&result, "sqlite", "sync", "--db", store, "--server", server.tcp, "--group", "1",
               "--json", NULL);
    cr_assert_eq(result.exit_code, 0, "%s", result.err);
    (void)snprintf(block, sizeof block, "%s", ts_json(result.out, "block_hash"));
    ts_result_free(&result);
    ts_server_stop(&server);
    out = memfd_create("out", MFD_CLOEXEC);
    said = memfd_create("said", MFD_CLOEXEC);
    cr_assert(out >= 0 && said >= 0);
}

static void end(void)
{
    ts_dir_remove(&dir);
}

TestSuite(calls_serve, .init = begin, .fini = end, .timeout = 120);

/* ---- Running it ----------------------------------------------------------------------------- */

typedef void script(unsigned turn, bool accepting);

static bool struck; /* the call that was to fail was made */

/* Its exit code; what it says is in `out` and `said`. */
static int serve(const char *at, script *played, const sockets_fault *fault)
{
    const struct args args = {.db = store, .listen = at};
    cr_assert(ftruncate(out, 0) == 0 && lseek(out, 0, SEEK_SET) == 0);
    cr_assert(ftruncate(said, 0) == 0 && lseek(said, 0, SEEK_SET) == 0);
    int kept_out = ts_redirect(STDOUT_FILENO, out), kept_err = ts_redirect(STDERR_FILENO, said);
    sockets_clock(0);
    sockets_play(played);
    sockets_fail(fault);
    int code = cmd_serve.run(&args);
    struck = sockets_failed();
    sockets_fail(&(sockets_fault){.name = NULL});
    sockets_play(NULL);
    ts_restore(STDERR_FILENO, kept_err);
    ts_restore(STDOUT_FILENO, kept_out);
    return code;
}

static void stop(void)
{
    cr_assert_eq(raise(SIGTERM), 0);
}

/* Nobody comes. */
static void stop_at_once(unsigned turn, bool accepting)
{
    (void)turn;
    (void)accepting;
    stop();
}

/* ---- Clients -------------------------------------------------------------------------------- */

typedef struct peer {
    int fd; /* 0: not yet there */
    bool closed;
    size_t len;
    char told[4096]; /* what came, as far as it has room */
} peer;

static void come(peer *p, const char *words)
{
    unsigned port = 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *p = (peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    cr_assert_eq(sscanf(read_all(out), "tcp://127.0.0.1:%u", &port), 1, "%s", text);
    to.sin_port = htons((uint16_t)port);
    cr_assert_eq(connect(p->fd, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
    cr_assert_eq(send(p->fd, words, strlen(words), MSG_NOSIGNAL), (ssize_t)strlen(words));
}

/* Reads what is there. */
static void look(peer *p)
{
    char bytes[65536];
    ssize_t n;
    while (!p->closed && (n = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0) {
        size_t room = sizeof p->told - 1 - p->len, more = (size_t)n < room ? (size_t)n : room;
        p->closed = n == 0;
        memcpy(p->told + p->len, bytes, more);
        p->len += more;
    }
    p->closed |= !p->closed && errno != EAGAIN;
}

static void go(peer *p)
{
    if (p->fd > 0)
        close(p->fd);
    p->fd = 0;
}

/* ---- One call fails for a client ------------------------------------------------------------ */

static peer first, second;
static sockets_fault row_fault; /* from the moment at which the first client is there */
static unsigned paused;         /* turns without an ear for new clients */

static bool is_served(const peer *p)
{
    return strstr(p->told, "null,\"id\":2}\n") != NULL;
}

/* The first client comes, and when it is served or cut off the second. */
static void one_after_the_other(unsigned turn, bool accepting)
{
    cr_assert_lt(turn, TURNS_MOST);
    paused += !accepting;
    if (turn == 0) {
        come(&first, HELLO PING);
        sockets_fail(&row_fault);
        return;
    }
    look(&first);
    if (second.fd)
        look(&second);
    else if (is_served(&first) || first.closed)
        come(&second, HELLO PING);
    else if (turn % 10 == 0)
        sockets_clock((int64_t)turn * 100);
    if (is_served(&second) || second.closed)
        stop();
}

Test(calls_serve, one_client_pays_for_a_call_that_fails_or_none_does)
{
    static const struct {
        sockets_fault fault;
        bool served, pause;
    } rows[] = {
        {{.name = "accept", .error = EMFILE}, true, true},
        {{.name = "accept", .error = ENFILE}, true, true},
        {{.name = "accept", .error = ENOBUFS}, true, true},
        {{.name = "accept", .error = ENOMEM}, true, true},
        {{.name = "accept", .error = ECONNABORTED}, true, false},
        {{.name = "poll", .error = EINTR}, true, false},
        {{.name = "fcntl", .error = EIO}, false, false},
        {{.name = "fcntl", .skip = 1, .error = EIO}, false, false},
        {{.name = "setsockopt", .error = EINVAL}, false, false},
        {{.name = "calloc", .error = ENOMEM}, false, false},
        {{.name = "recv", .error = EAGAIN}, true, false},
        {{.name = "recv", .error = EINTR}, true, false},
        {{.name = "recv", .error = ECONNRESET}, false, false},
        {{.name = "send", .error = EAGAIN}, true, false},
        {{.name = "send", .error = EINTR}, true, false},
        {{.name = "send", .error = EPIPE}, false, false},
        {{.name = "realloc", .error = ENOMEM}, false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *name = rows[i].fault.name;
        first = second = (peer){.fd = 0};
        paused = 0;
        row_fault = rows[i].fault;
        cr_expect_eq(serve("127.0.0.1:0", one_after_the_other, &(sockets_fault){.name = NULL}), 0);
        cr_expect_eq(is_served(&first), rows[i].served, "row %zu, %s: %s", i, name, first.told);
        cr_expect_eq(paused > 0, rows[i].pause, "row %zu, %s: %u turns", i, name, paused);
        cr_expect(is_served(&second), "row %zu, %s: %s", i, name, second.told);
        bool told = strcmp(name, "realloc") == 0; /* the one that an operator should know of */
        cr_expect_eq(strstr(read_all(said), "cannot answer clients from") != NULL, told, "%s: %s",
                     name, text);
        go(&first);
        go(&second);
    }
}

Test(calls_serve, a_line_that_takes_little_at_a_time_gets_everything)
{
    first = second = (peer){.fd = 0};
    row_fault = (sockets_fault){.name = NULL};
    sockets_send_most(7);
    cr_expect_eq(serve("127.0.0.1:0", one_after_the_other, &row_fault), 0);
    cr_expect(is_served(&first) && is_served(&second), "%s", first.told);
    go(&first);
    go(&second);
}

/* ---- The store fails ------------------------------------------------------------------------ */

static unsigned times(const char *in, const char *word)
{
    unsigned n = 0;
    for (const char *at = in; (at = strstr(at, word)); at++)
        n++;
    return n;
}

static void ask_of_a_failing_store(unsigned turn, bool accepting)
{
    (void)accepting;
    cr_assert_lt(turn, TURNS_MOST);
    if (turn == 0) {
        come(&first, HELLO META META);
        sockets_fail(&(sockets_fault){.name = "sqlite3_step", .error = EIO, .lasting = true});
    }
    look(&first);
    if (times(first.told, "\n") == 3) {
        sockets_fail(&(sockets_fault){.name = NULL});
        come(&first, HELLO META);
    }
    if (strstr(first.told, "\"size\":600}") || first.closed)
        stop();
}

Test(calls_serve, a_store_that_fails_is_told_once_and_asked_again)
{
    cr_expect_eq(serve("127.0.0.1:0", ask_of_a_failing_store, &(sockets_fault){.name = NULL}), 0);
    cr_expect(strstr(first.told, "\"size\":600}"), "%s", first.told);
    cr_expect_eq(times(read_all(said), "cannot answer clients from"), 1, "%s", text);
    cr_expect(strstr(text, "next: "), "%s", text);
    go(&first);
}

static size_t before_failure;

/* The first piece of a sector is there, and then the store cannot be read. */
static void fail_between_pieces(unsigned turn, bool accepting)
{
    static const char method[] = "spark.getsparkanonymitysetsector";
    char words[400];
    (void)accepting;
    cr_assert_lt(turn, TURNS_MOST);
    if (turn == 0) {
        (void)snprintf(words, sizeof words,
                       HELLO
                       "{\"id\":3,\"method\":\"%s\",\"params\":[\"1\",\"%s\",\"0\",\"600\"]}\n",
                       method, block);
        come(&first, words);
    }
    look(&first);
    if (before_failure == 0 && strstr(first.told, "\"coins\":[[\"")) {
        before_failure = first.len;
        sockets_fail(&(sockets_fault){.name = "sqlite3_step", .error = EIO, .lasting = true});
    }
    if (first.closed)
        stop();
}

Test(calls_serve, an_answer_that_cannot_be_finished_is_cut_off_and_told)
{
    cr_expect_eq(serve("127.0.0.1:0", fail_between_pieces, &(sockets_fault){.name = NULL}), 0);
    cr_expect_gt(before_failure, 0);
    cr_expect_null(strstr(first.told, "\"id\":3"));
    cr_expect_eq(times(read_all(said), "cannot answer clients from"), 1, "%s", text);
    go(&first);
}

/* ---- Time passes ---------------------------------------------------------------------------- */

static const char *spoken;
static unsigned lines_told; /* answers to it */
static int64_t patience;

/* A client that speaks and then does nothing: cut off when its time is up, and not before. */
static void do_nothing(unsigned turn, bool accepting)
{
    static unsigned since;
    (void)accepting;
    cr_assert_lt(turn, TURNS_MOST);
    if (turn == 0) {
        come(&first, spoken);
        since = 0;
    }
    look(&first);
    if (since == 0 && turn > 3 && times(first.told, "\n") == lines_told) {
        since = turn;
        sockets_clock(patience * 1000 - 1);
    } else if (since > 0 && turn == since + 3) {
        cr_expect(!first.closed, "\"%s\" is cut off too soon", spoken);
        sockets_clock(patience * 1000);
    }
    if (first.closed) {
        cr_expect(since > 0 && turn > since + 3, "\"%s\" is cut off too soon", spoken);
        stop();
    }
}

Test(calls_serve, who_does_nothing_is_cut_off_when_the_time_is_up)
{
    static const struct {
        const char *words;
        unsigned lines;
        int64_t patience;
    } rows[] = {
        {"", 0, LISTEN_GREETING_S},
        {"{\"id\":1", 0, LISTEN_GREETING_S},
        {HELLO, 1, LISTEN_REQUEST_S},
        {HELLO PING "{", 2, LISTEN_REQUEST_S},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        spoken = rows[i].words;
        lines_told = rows[i].lines;
        patience = rows[i].patience;
        cr_expect_eq(serve("127.0.0.1:0", do_nothing, &(sockets_fault){.name = NULL}), 0);
        go(&first);
    }
}

/* Its error is there, and the server waits for it to go: what it still says is thrown away. */
static void linger(unsigned turn, bool accepting)
{
    static const char more[] = "more of it";
    (void)accepting;
    cr_assert_lt(turn, TURNS_MOST);
    if (turn == 0)
        come(&first, PING);
    look(&first);
    if (turn == 6)
        cr_assert_eq(send(first.fd, more, sizeof more, MSG_NOSIGNAL), (ssize_t)sizeof more);
    if (turn == 9) /* were it gone, this would be refused */
        cr_assert_eq(send(first.fd, more, sizeof more, MSG_NOSIGNAL), (ssize_t)sizeof more);
    if (turn == 12)
        sockets_clock(LISTEN_LAST_WORDS_S * 1000);
    if (turn == 14)
        stop();
}

Test(calls_serve, last_words_are_waited_for_no_longer_than_they_take)
{
    cr_expect_eq(serve("127.0.0.1:0", linger, &(sockets_fault){.name = NULL}), 0);
    cr_expect(first.closed && strstr(first.told, "use server.version"), "%s", first.told);
    go(&first);
}

/* Resets the connection instead of closing it. */
static void reset(unsigned turn, bool accepting)
{
    const struct linger at_once = {.l_onoff = 1};
    cr_assert_lt(turn, TURNS_MOST);
    if (turn == 0)
        come(&first, HELLO);
    if (turn == 3) {
        cr_assert_eq(setsockopt(first.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        go(&first);
        come(&second, HELLO PING);
    }
    if (turn > 3) {
        look(&second);
        if (is_served(&second))
            stop();
    }
    (void)accepting;
}

Test(calls_serve, a_connection_that_is_reset_is_forgotten)
{
    cr_expect_eq(serve("127.0.0.1:0", reset, &(sockets_fault){.name = NULL}), 0);
    cr_expect_str_empty(read_all(said));
    go(&second);
}

/* ---- Addresses ------------------------------------------------------------------------------ */

static peer many[LISTEN_OF_ONE + 1];

static void come_by_ipv6(unsigned turn, bool accepting)
{
    static unsigned port, come_so_far;
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    (void)accepting;
    cr_assert_lt(turn, TURNS_MOST);
    if (turn == 0) {
        come_so_far = 0;
        cr_assert_eq(sscanf(read_all(out), "tcp://[::1]:%u\n", &port), 1, "%s", text);
    }
    if (come_so_far < COUNT(many)) {
        peer *p = &many[come_so_far++];
        *p = (peer){.fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        to.sin6_port = htons((uint16_t)port);
        cr_assert_eq(connect(p->fd, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
        return;
    }
    look(&many[LISTEN_OF_ONE]);
    if (many[LISTEN_OF_ONE].closed)
        stop();
}

/* Where the machine has no IPv6 it says so. */
Test(calls_serve, an_address_of_ipv6_has_no_more_places_than_its_share)
{
    int code = serve("[::1]:0", come_by_ipv6, &(sockets_fault){.name = NULL});
    if (code == EXITS_NETWORK) {
        cr_expect(strstr(read_all(said), "cannot listen at [::1]:0: "), "%s", text);
        return;
    }
    cr_expect_eq(code, 0);
    for (size_t i = 0; i < LISTEN_OF_ONE; i++) {
        look(&many[i]);
        cr_expect(many[i].fd > 0);
        go(&many[i]);
    }
    go(&many[LISTEN_OF_ONE]);
}

/* ---- It cannot begin, or not go on ---------------------------------------------------------- */

Test(calls_serve, what_it_cannot_do_without_is_told)
{
    static const struct {
        sockets_fault fault;
        int exit_code;
        const char *words; /* NULL: nothing is said */
    } rows[] = {
        {{.name = "getaddrinfo", .error = EAI_AGAIN},
         EXITS_NETWORK,
         "cannot listen at 127.0.0.1:0"},
        {{.name = "socket", .error = EMFILE}, EXITS_NETWORK, "Too many open files"},
        {{.name = "setsockopt", .error = ENOMEM}, EXITS_NETWORK, "Cannot allocate memory"},
        {{.name = "fcntl", .error = EIO, .behind = "socket"}, EXITS_NETWORK, "Input/output error"},
        {{.name = "fcntl", .skip = 1, .error = EIO, .behind = "socket"},
         EXITS_NETWORK,
         "Input/output error"},
        {{.name = "bind", .error = EACCES}, EXITS_NETWORK, "Permission denied"},
        {{.name = "listen", .error = EADDRINUSE}, EXITS_NETWORK, "Address already in use"},
        {{.name = "pipe", .error = EMFILE}, EXITS_INTERNAL, "Too many open files"},
        {{.name = "fcntl", .error = EIO, .behind = "pipe"}, EXITS_INTERNAL, "Input/output error"},
        {{.name = "fcntl", .skip = 3, .error = EIO, .behind = "pipe"},
         EXITS_INTERNAL,
         "Input/output error"},
        {{.name = "calloc", .error = ENOMEM, .behind = "pipe"},
         EXITS_INTERNAL,
         "Cannot allocate memory"},
        {{.name = "poll", .error = ENOMEM}, EXITS_INTERNAL, "Cannot allocate memory"},
        {{.name = "getsockname", .error = ENOBUFS}, EXITS_DONE, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int code = serve("127.0.0.1:0", stop_at_once, &rows[i].fault);
        cr_expect(struck, "row %zu: %s was not called", i, rows[i].fault.name);
        cr_expect_eq(code, rows[i].exit_code, "row %zu: %s: %d", i, rows[i].fault.name, code);
        if (rows[i].words)
            cr_expect(strstr(read_all(said), rows[i].words), "row %zu: %s", i, text);
        else
            cr_expect_str_empty(read_all(said));
    }
}

/* ---- Interrupts of a sync ------------------------------------------------------------------- */

static unsigned interrupts;

static void interrupt(unsigned turn, bool accepting)
{
    (void)turn;
    (void)accepting;
    for (; interrupts > 0; interrupts--)
        cr_assert_eq(raise(SIGINT), 0);
}

/* A sync that is interrupted so often while it waits for an answer; returns its exit code, and what
 * it printed is in `out`. */
static int interrupted_sync(const ts_server *server, unsigned times_interrupted)
{
    struct args args = {
        .db = ts_in(&dir, "other"), .server = server->tcp, .group = 1, .json = true};
    int status = 0;
    cr_assert(ftruncate(out, 0) == 0 && lseek(out, 0, SEEK_SET) == 0);
    (void)fflush(NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)ts_redirect(STDOUT_FILENO, out);
        (void)ts_redirect(STDERR_FILENO, said);
        interrupts = times_interrupted;
        sockets_play(interrupt);
        exit(cmd_sync.run(&args));
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "%d", status);
    return WEXITSTATUS(status);
}

Test(calls_serve, the_second_interrupt_of_a_sync_does_not_wait_for_its_end)
{
    ts_server server;
    ts_server_start(&server, "--coins", "50", NULL);
    ts_tell(&server, "hold 1");
    cr_expect_eq(interrupted_sync(&server, 1), EXITS_CANCELLED);
    cr_expect(ts_json_is(read_all(out), "outcome", "cancelled"), "%s", text);
    cr_expect_eq(interrupted_sync(&server, 2), EXITS_CANCELLED);
    cr_expect_str_empty(read_all(out));
    ts_server_stop(&server);
}

/* A store must never be opened as the descriptor that output goes to. */
Test(calls_serve, without_the_standard_descriptors_nothing_is_done)
{
    static char name[] = "anonset", version[] = "--version";
    char *argv[] = {name, version, NULL};
    int status = 0;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)close(STDIN_FILENO);
        sockets_fail(&(sockets_fault){.name = "open", .error = ENOENT});
        exit(anonset_main(2, argv));
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == EXITS_INTERNAL, "%d", status);
}
