/*
 * A wallet's own connection drives a sync.
 *
 *     own_transport HOST PORT DB GROUP
 *
 * anonset decides what to ask and checks what comes back; this program only carries text between it
 * and an ElectrumX server, over a plain TCP socket. A wallet puts what it has already in place of
 * the socket: its TLS, its Tor circuit, its event loop. To bear lost connections it would call
 * anonset_sync_reconnect and go on; this one gives up, and the next run resumes where it stopped.
 *
 * Ends with 0 if the local set is now the server's, with 3 if not, with 2 if it was called wrongly.
 */
#include <anonset/anonset.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- A connection that speaks in lines ------------------------------------------------------ */

typedef struct connection {
    int socket;
    char *text;     /* what was received and not yet dropped */
    size_t len;     /* bytes of it */
    size_t room;    /* bytes allocated */
    size_t scanned; /* bytes of it known to hold no line end */
} connection;

static bool dial(connection *server, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *at;
    struct timeval patience = {.tv_sec = 60}; /* a server that says nothing counts as gone */
    *server = (connection){.socket = -1};
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return false;
    for (at = found; at && server->socket < 0; at = at->ai_next) {
        server->socket = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (server->socket >= 0 &&
            (setsockopt(server->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
             connect(server->socket, at->ai_addr, at->ai_addrlen) != 0)) {
            close(server->socket);
            server->socket = -1;
        }
    }
    freeaddrinfo(found);
    return server->socket >= 0;
}

static void hang_up(connection *server)
{
    if (server->socket >= 0)
        close(server->socket);
    free(server->text);
}

static bool send_text(connection *server, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(server->socket, text, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        text += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool receive_some(connection *server, size_t limit)
{
    if (server->len == server->room) {
        size_t room = server->room ? 2 * server->room : 65536;
        char *text = server->room < limit ? realloc(server->text, room) : NULL;
        if (!text)
            return false;
        server->text = text;
        server->room = room;
    }
    ssize_t got = recv(server->socket, server->text + server->len, server->room - server->len, 0);
    if (got > 0)
        server->len += (size_t)got;
    return got > 0;
}

/* Waits for a whole line, which then begins at server->text. Returns its length, or 0 if the
 * connection ended first or the line is longer than `limit`. */
static size_t receive_line(connection *server, size_t limit)
{
    server->scanned = 0;
    for (;;) {
        size_t unseen = server->len - server->scanned;
        char *end = unseen ? memchr(server->text + server->scanned, '\n', unseen) : NULL;
        if (end)
            return (size_t)(end - server->text) + 1;
        server->scanned = server->len;
        if (!receive_some(server, limit))
            return 0;
    }
}

/* Forgets the first line; what came behind it moves up. */
static void drop_line(connection *server, size_t len)
{
    server->len -= len;
    memmove(server->text, server->text + len, server->len);
}

/* ---- Carrying text between anonset and the server ------------------------------------------- */

/* An ElectrumX session opens with server.version. Its answer has id 0, which is none of anonset's,
 * so it is the first line that anonset does not call a notification. */
static bool greet(connection *server)
{
    static const char hello[] = "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"server.version\","
                                "\"params\":[\"own_transport\",\"1.4\"]}\n";
    anonset_answer answer;
    anonset_code code = ANONSET_OK;
    if (!send_text(server, hello, sizeof hello - 1))
        return false;
    while (code == ANONSET_OK) {
        size_t len = receive_line(server, 65536);
        if (len == 0)
            return false;
        code = anonset_answer_read(&answer, server->text, len, NULL, 0, ANONSET_ELECTRUMX, NULL);
        drop_line(server, len);
    }
    return true;
}

/* The longest line worth waiting for: that of the largest request outstanding. */
static size_t line_limit(const anonset_request *requests, size_t n)
{
    uint64_t most = 65536;
    for (size_t i = 0; i < n; i++) {
        if (anonset_answer_limit(&requests[i]) > most)
            most = anonset_answer_limit(&requests[i]);
    }
    return (size_t)most;
}

static bool send_request(connection *server, const anonset_request *request)
{
    char text[ANONSET_REQUEST_TEXT];
    return send_text(server, text, anonset_request_write(text, request, ANONSET_ELECTRUMX));
}

/* Receives one line and decodes it. The answer's coins point into the line, which stays where it is
 * until drop_line. Returns its length, or 0 with *why set. */
static size_t receive_answer(connection *server, anonset_sync *sync, anonset_answer *answer,
                             anonset_detail *why)
{
    const anonset_request *requests;
    size_t n = anonset_sync_outstanding(sync, &requests);
    size_t len = receive_line(server, line_limit(requests, n));
    if (len == 0) {
        *why = (anonset_detail){.code = ANONSET_NETWORK, .text = "the connection was lost"};
        return 0;
    }
    if (anonset_answer_read(answer, server->text, len, requests, n, ANONSET_ELECTRUMX, why) !=
        ANONSET_OK)
        return 0;
    return len;
}

/* The whole of it: send what anonset wants sent, feed it what comes back, until it is done. */
static void drive(connection *server, anonset_sync *sync)
{
    anonset_request request;
    anonset_answer answer = {.kind = ANONSET_ANSWER_NONE};
    anonset_detail why = {.code = ANONSET_NETWORK, .text = "the request could not be sent"};
    size_t line = 0; /* length of the line that `answer` was read from */
    bool well = true;
    for (;;) {
        anonset_step step = anonset_sync_step(sync, &request);
        if (step == ANONSET_STEP_DONE)
            break;
        if (step == ANONSET_STEP_SEND) {
            well = send_request(server, &request);
        } else {
            /* Only now, when anonset waits again, is it through with the answer it was fed. */
            anonset_answer_clear(&answer);
            drop_line(server, line);
            line = receive_answer(server, sync, &answer, &why);
            well = line > 0;
            if (well && answer.kind != ANONSET_ANSWER_NONE)
                well = anonset_sync_feed(sync, &answer, &why) == ANONSET_OK;
        }
        if (!well)
            anonset_sync_abort(sync, &why); /* the next step is DONE; what is committed stays */
    }
    anonset_answer_clear(&answer);
}

/* ---- The program ---------------------------------------------------------------------------- */

static void print_result(void *context, const anonset_result *result)
{
    bool *current = context;
    *current = result->outcome == ANONSET_FINALIZED || result->outcome == ANONSET_REANCHORED ||
               result->outcome == ANONSET_UP_TO_DATE;
    printf("group %u: %s, %u coins, %u fetched\n", result->group,
           anonset_outcome_name(result->outcome), result->state.finalized.size, result->fetched);
    if (result->error.text[0])
        fprintf(stderr, "%s\n", result->error.text);
}

/* Syncs one group of `store` from the server; false if the local set is not the server's now. */
static bool sync_group(anonset_store *store, connection *server, uint32_t group)
{
    anonset_sync_options options;
    anonset_sync *sync;
    anonset_detail detail;
    bool current = false;
    anonset_sync_options_init(&options);
    options.group = group;
    options.on_result = print_result;
    options.context = &current;
    if (anonset_sync_new(&sync, store, &options, &detail) != ANONSET_OK) {
        fprintf(stderr, "%s\n", detail.text);
        return false;
    }
    drive(server, sync);
    anonset_sync_free(sync);
    return current;
}

int main(int argc, char **argv)
{
    anonset_store *store;
    connection server;
    anonset_detail detail;
    bool current = false;
    if (argc != 5 || strtoul(argv[4], NULL, 10) == 0) {
        fprintf(stderr, "usage: own_transport HOST PORT DB GROUP\n");
        return 2;
    }
    if (anonset_store_open(&store, argv[3], NULL, &detail) != ANONSET_OK) {
        fprintf(stderr, "%s\n", detail.text);
        return 3;
    }
    if (dial(&server, argv[1], argv[2]) && greet(&server))
        current = sync_group(store, &server, (uint32_t)strtoul(argv[4], NULL, 10));
    else
        fprintf(stderr, "%s port %s: no ElectrumX server answers there\n", argv[1], argv[2]);
    hang_up(&server);
    anonset_store_close(store);
    return current ? 0 : 3;
}
