#include "tests/scenario/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ZEROS_B64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define ONES_B64  "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    abort();
}

struct ts_connection {
    ts_connection *before;
    pthread_t thread;
    ts_peer *peer;
    int fd;
    unsigned nth;
};

static void *serve_one(void *context)
{
    ts_connection *c = context;
    c->peer->serve(c->peer, c->fd, c->nth);
    (void)close(c->fd);
    return NULL;
}

static void serve_aside(ts_peer *peer, int fd, unsigned nth)
{
    ts_connection *c = malloc(sizeof *c);
    must(c != NULL, "memory");
    *c = (ts_connection){.before = peer->last, .peer = peer, .fd = fd, .nth = nth};
    peer->last = c;
    must(pthread_create(&c->thread, NULL, serve_one, c) == 0, "a thread");
}

static void *listen_on(void *context)
{
    ts_peer *peer = context;
    while (!atomic_load(&peer->stopping)) {
        int fd = accept(peer->listener, NULL, NULL);
        int at_once = 1;
        if (fd < 0)
            break;
        /* Answers in two pieces would wait for the other side's delayed acknowledgement. */
        must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once) == 0, "no delay");
        unsigned nth = atomic_fetch_add(&peer->connections, 1);
        if (peer->parallel) {
            serve_aside(peer, fd, nth);
            continue;
        }
        peer->serve(peer, fd, nth);
        (void)close(fd);
    }
    return NULL;
}

void peer_start(ts_peer *peer, const char *scheme, peer_serve *serve)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    peer->serve = serve;
    peer->last = NULL;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(peer->listener >= 0, "socket");
    must(bind(peer->listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(peer->listener, 8) == 0, "listen");
    must(getsockname(peer->listener, (struct sockaddr *)&address, &len) == 0, "getsockname");
    peer->port = ntohs(address.sin_port);
    (void)snprintf(peer->url, sizeof peer->url, "%s://127.0.0.1:%u", scheme, peer->port);
    must(pthread_create(&peer->thread, NULL, listen_on, peer) == 0, "a thread");
}

void peer_stop(ts_peer *peer)
{
    atomic_store(&peer->stopping, true);
    (void)shutdown(peer->listener, SHUT_RDWR); /* wakes accept */
    must(pthread_join(peer->thread, NULL) == 0, "the thread's end");
    while (peer->last != NULL) {
        ts_connection *c = peer->last;
        must(pthread_join(c->thread, NULL) == 0, "the end of a connection's thread");
        peer->last = c->before;
        free(c);
    }
    (void)close(peer->listener);
}

int peer_read(int fd, void *bytes, size_t len)
{
    char *at = bytes;
    while (len > 0) {
        ssize_t n = recv(fd, at, len, 0);
        if (n <= 0)
            return -1;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int peer_line(int fd, char *line, size_t cap)
{
    size_t len = 0;
    char c;
    while (peer_read(fd, &c, 1) == 0) {
        if (c == '\n') {
            line[len] = '\0';
            return 0;
        }
        if (len + 1 < cap)
            line[len++] = c;
    }
    return -1;
}

int peer_write(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int peer_print(int fd, const char *format, ...)
{
    char text[8192];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return n < 0 || (size_t)n >= sizeof text ? -1 : peer_write(fd, text, (size_t)n);
}

unsigned peer_id(const char *request)
{
    const char *id = strstr(request, "\"id\":");
    return id ? (unsigned)strtoul(id + 5, NULL, 10) : 0;
}

void peer_answer_text(char *text, size_t cap, const char *request)
{
    unsigned id = peer_id(request);
    if (strstr(request, "server.version"))
        (void)snprintf(text, cap, "{\"jsonrpc\":\"2.0\",\"result\":[\"Peer\",\"1.4\"],\"id\":%u}",
                       id);
    else if (strstr(request, "meta"))
        (void)snprintf(text, cap,
                       "{\"result\":{\"blockHash\":\"" ONES_B64 "\",\"setHash\":\"\",\"size\":9},"
                       "\"error\":null,\"id\":%u}",
                       id);
    else /* serialized: "coin" */
        (void)snprintf(text, cap,
                       "{\"result\":{\"coins\":[[\"Y29pbg==\",\"" ZEROS_B64
                       "\",\"\"]]},\"error\":null,\"id\":%u}",
                       id);
}

int peer_answer(int fd, const char *request)
{
    char text[1024];
    peer_answer_text(text, sizeof text, request);
    return peer_print(fd, "%s\n", text);
}

void peer_answer_all(int fd, unsigned most)
{
    char line[1024];
    unsigned sectors = 0;
    while (sectors < most && peer_line(fd, line, sizeof line) == 0) {
        sectors += strstr(line, "sector") != NULL;
        if (peer_answer(fd, line) != 0)
            return;
    }
}

int peer_http_read(int fd, char *body, size_t cap, char *login, size_t login_cap)
{
    char line[1024];
    size_t len = 0;
    login[0] = '\0';
    for (;;) {
        if (peer_line(fd, line, sizeof line) != 0)
            return -1;
        line[strcspn(line, "\r")] = '\0';
        if (line[0] == '\0')
            break;
        if (strncasecmp(line, "Content-Length: ", 16) == 0)
            len = strtoul(line + 16, NULL, 10);
        if (strncasecmp(line, "Authorization: ", 15) == 0)
            (void)snprintf(login, login_cap, "%.*s", (int)login_cap - 1, line + 15);
    }
    if (len >= cap || peer_read(fd, body, len) != 0)
        return -1;
    body[len] = '\0';
    return 0;
}

int peer_http_write(int fd, const char *status, const char *body)
{
    return peer_print(
        fd, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        status, strlen(body), body);
}
