#include "tests/server/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS 30000

int wire_connect(const char *url)
{
    const char *port = strrchr(url, ':');
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)(port ? atoi(port + 1) : 0)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        ts_die("cannot connect to %s: %s", url, strerror(errno));
    return fd;
}

void wire_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent < 0)
            ts_die("cannot send: %s", strerror(errno));
        bytes += sent;
        len -= (size_t)sent;
    }
}

bool wire_silent(int fd, int ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, ms) == 0;
}

typedef struct bytes {
    char *data;
    size_t len, cap;
} bytes;

/* Reads at most `want` more bytes; false at the end of the connection. */
static bool receive(int fd, bytes *b, size_t want)
{
    if (!b->data || b->len + want + 1 > b->cap) {
        b->cap = 2 * b->cap + want + 1;
        b->data = realloc(b->data, b->cap);
        if (!b->data)
            ts_die("no memory");
    }
    if (wire_silent(fd, TIMEOUT_MS))
        ts_die("the server does not answer");
    ssize_t got = recv(fd, b->data + b->len, want, 0);
    if (got > 0)
        b->len += (size_t)got;
    b->data[b->len] = 0;
    return got > 0;
}

/* Takes bytes in lookahead until `mark` has come, and not a byte more. */
static bool receive_until(int fd, bytes *b, const char *mark)
{
    size_t mark_len = strlen(mark);
    while (b->len < mark_len || memcmp(b->data + b->len - mark_len, mark, mark_len) != 0) {
        char ahead[65536];
        if (wire_silent(fd, TIMEOUT_MS))
            ts_die("the server does not answer");
        ssize_t seen = recv(fd, ahead, sizeof ahead, MSG_PEEK);
        if (seen <= 0)
            return false;
        char *last = memchr(ahead, mark[mark_len - 1], (size_t)seen);
        if (!receive(fd, b, last ? (size_t)(last - ahead) + 1 : (size_t)seen))
            return false;
    }
    return true;
}

char *wire_line(int fd, size_t *len)
{
    bytes b = {0};
    if (!receive_until(fd, &b, "\n")) {
        free(b.data);
        return NULL;
    }
    if (len)
        *len = b.len;
    return b.data;
}

char *wire_rest(int fd, size_t cap, size_t *len)
{
    bytes b = {0};
    while (b.len < cap && receive(fd, &b, cap - b.len)) {
    }
    *len = b.len;
    return b.data;
}

bool wire_closed(int fd)
{
    char c;
    if (wire_silent(fd, TIMEOUT_MS))
        return false;
    return recv(fd, &c, 1, 0) <= 0;
}

char *wire_call(int fd, const char *method, const char *params)
{
    char request[1024];
    int len = snprintf(request, sizeof request, "{\"id\":1,\"method\":\"%s\",\"params\":%s}\n",
                       method, params);
    wire_send(fd, request, (size_t)len);
    return wire_line(fd, NULL);
}

int wire_electrumx(const char *url)
{
    int fd = wire_connect(url);
    free(wire_call(fd, "server.version", "[\"test\",\"1.4\"]"));
    return fd;
}

char *wire_http(int fd, const char *request, char **head, size_t *len)
{
    bytes h = {0}, body = {0};
    wire_send(fd, request, strlen(request));
    if (!receive_until(fd, &h, "\r\n\r\n"))
        ts_die("no HTTP answer");
    const char *length = strstr(h.data, "Content-Length: ");
    size_t wanted = length ? strtoul(length + 16, NULL, 10) : 0;
    bool open = true;
    while (open && body.len < wanted)
        open = receive(fd, &body, wanted - body.len);
    *head = h.data;
    *len = body.len;
    return body.data ? body.data : strdup("");
}

char *wire_post(int fd, const char *credentials, const char *body, char **head, size_t *len)
{
    char *request;
    int made =
        asprintf(&request, "POST / HTTP/1.1\r\nHost: x\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
                 credentials ? "Authorization: Basic " : "", credentials ? credentials : "",
                 credentials ? "\r\n" : "", strlen(body), body);
    if (made < 0)
        ts_die("no memory");
    char *answer = wire_http(fd, request, head, len);
    free(request);
    return answer;
}
