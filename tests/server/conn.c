#include "tests/server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK     65536u
#define IN_MAX    (4u << 20)  /* read no further while so much waits to be looked at */
#define QUEUE_MAX (16u << 20) /* answer no further while so much waits to be sent */
#define FAR_AWAY  1e18
#define BURST     0.05 /* seconds of a limited rate that may go out at once */

double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

void conn_add(server *s, int fd, conn_kind kind, bool tls)
{
    fault f;
    int one = 1;
    conn *c = calloc(1, sizeof *c);
    if (!c)
        die("no memory for a connection");
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *c = (conn){.next = s->conns, .fd = fd, .kind = kind, .own.at = now()};
    s->conns = c;
    if (kind == CONN_CONTROL)
        return;
    s->count[COUNT_CONNECTIONS]++;
    s->count[COUNT_OPEN]++;
    s->again = true;
    if (fault_strikes(&s->faults, ON_CONNECT, &f)) {
        s->count[COUNT_FAULTS]++;
        conn_cut(s, c);
        return;
    }
    if (!tls)
        return;
    c->ssl = SSL_new(s->tls);
    if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1)
        die("no TLS session");
    SSL_set_accept_state(c->ssl);
}

item *conn_send(server *s, conn *c, text *data)
{
    item *i = calloc(1, sizeof *i);
    if (!i)
        die("no memory for an answer");
    i->data = *data;
    *data = (text){0};
    i->ready = c->kind == CONN_CONTROL ? 0 : now() + s->latency;
    if (c->last)
        c->last->next = i;
    else
        c->first = i;
    c->last = i;
    c->queued += i->data.len;
    return i;
}

void conn_cut(server *s, conn *c)
{
    if (!c->dead && c->kind != CONN_CONTROL)
        s->count[COUNT_CUT]++;
    c->dead = true;
    s->again = true;
}

/* ---- Bytes ---- */

/* As recv: bytes, 0 at the end, -1 with EAGAIN when there are none now. */
static ssize_t receive(conn *c, char *out, size_t cap)
{
    if (!c->ssl)
        return recv(c->fd, out, cap, 0);
    ERR_clear_error();
    int got = SSL_read(c->ssl, out, (int)cap);
    if (got > 0)
        return got;
    int error = SSL_get_error(c->ssl, got);
    c->ssl_wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return 0;
    errno = EAGAIN;
    return -1;
}

static ssize_t transmit(conn *c, const char *bytes, size_t len)
{
    if (!c->ssl)
        return send(c->fd, bytes, len, MSG_NOSIGNAL);
    ERR_clear_error();
    int sent = SSL_write(c->ssl, bytes, (int)(len < CHUNK ? len : CHUNK));
    if (sent > 0)
        return sent;
    int error = SSL_get_error(c->ssl, sent);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return -1;
}

static void conn_read(server *s, conn *c)
{
    while (!c->eof && !c->dead && c->in.len < IN_MAX) {
        ssize_t got = receive(c, text_room(&c->in, CHUNK), CHUNK);
        if (got > 0) {
            c->in.len += (size_t)got;
            if (c->kind != CONN_CONTROL)
                s->count[COUNT_BYTES_IN] += (uint64_t)got;
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            c->eof = true;
        } else {
            return;
        }
    }
}

static double limit_of(const server *s, const conn *c)
{
    if (c->kind == CONN_CONTROL)
        return 0;
    if (c->first && c->first->rate > 0)
        return c->first->rate;
    return s->rate;
}

static bool has_own_rate(const conn *c)
{
    return c->first && c->first->rate > 0;
}

static const allowance *allowance_of(const server *s, const conn *c)
{
    return has_own_rate(c) ? &c->own : &s->line;
}

/* How many connections have something to send over the line that they share. */
static size_t sharers(const server *s)
{
    size_t n = 0;
    for (const conn *c = s->conns; c; c = c->next)
        n += c->kind != CONN_CONTROL && c->first && !has_own_rate(c);
    return n > 0 ? n : 1;
}

/* The least that goes out at once on a limited line, as of a line that sends packets: where
 * connections share one, each would else take a part of what is left, down to single bytes. */
static double least_of(const server *s, const conn *c)
{
    double left = (double)(c->first->data.len - c->first->sent);
    double least = limit_of(s, c) * BURST / 2;
    least = least < left ? least : left;
    return least > 1 ? least : 1;
}

/* How many bytes may go out now. */
static size_t allowed(server *s, conn *c)
{
    allowance *a = has_own_rate(c) ? &c->own : &s->line;
    double rate = limit_of(s, c);
    double at = now();
    if (c->first && c->first->ready > at)
        return 0;
    if (rate <= 0)
        return SIZE_MAX;
    double most = rate * BURST + 1;
    a->bytes += (at - a->at) * rate;
    a->bytes = a->bytes < most ? a->bytes : most;
    a->at = at;
    return a->bytes > 0 ? (size_t)a->bytes : 0;
}

static void drop_item(conn *c)
{
    item *i = c->first;
    c->first = i->next;
    if (!c->first)
        c->last = NULL;
    c->queued -= i->data.len;
    c->dead |= i->close_after;
    text_free(&i->data);
    free(i);
}

static void advance(server *s, conn *c, size_t sent)
{
    item *i = c->first;
    i->sent += sent;
    if (limit_of(s, c) > 0)
        *(has_own_rate(c) ? &c->own.bytes : &s->line.bytes) -= (double)sent;
    if (c->kind != CONN_CONTROL)
        s->count[COUNT_BYTES_OUT] += sent;
    if (i->sent == i->data.len && i->repeat_at > 0)
        i->sent = i->repeat_at;
    else if (i->sent == i->data.len)
        drop_item(c);
}

static void conn_write(server *s, conn *c)
{
    /* An endless answer must not keep the loop here for ever, nor one connection take the line. */
    size_t left = QUEUE_MAX;
    if (limit_of(s, c) > 0 && !has_own_rate(c))
        left = allowed(s, c) / sharers(s) + 1;
    while (c->first && !c->dead && left > 0) {
        item *i = c->first;
        size_t part = allowed(s, c);
        if (part > i->data.len - i->sent)
            part = i->data.len - i->sent;
        if (part > left)
            part = left;
        if (part == 0 && i->data.len > 0)
            return;
        ssize_t sent = transmit(c, i->data.data + i->sent, part);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            c->dead |= errno != EAGAIN;
            return;
        }
        advance(s, c, (size_t)sent);
        left -= (size_t)sent;
    }
}

double conn_due(const server *s, const conn *c)
{
    double rate = limit_of(s, c);
    if (c->waiting)
        return c->wait_until;
    if (!c->first)
        return FAR_AWAY;
    if (c->first->ready > now())
        return c->first->ready;
    const allowance *a = allowance_of(s, c);
    double least = least_of(s, c);
    if (rate > 0 && a->bytes < least)
        return a->at + (least - a->bytes) / rate;
    return FAR_AWAY;
}

/* Sending has to wait for the clock, not for the socket. */
static bool is_shaped(const server *s, const conn *c)
{
    return c->first->ready > now() ||
           (limit_of(s, c) > 0 && allowance_of(s, c)->bytes < least_of(s, c));
}

short conn_events(const server *s, const conn *c)
{
    short events = 0;
    if (c->in.len < IN_MAX && !c->eof)
        events |= POLLIN;
    if (c->ssl_wants_write || (c->first && !is_shaped(s, c)))
        events |= POLLOUT;
    return events;
}

/* Takes requests while answers are not piling up. */
static void take_all(server *s, conn *c)
{
    bool more = true;
    while (more && !c->dead && !c->waiting && c->queued < QUEUE_MAX) {
        switch (c->kind) {
        case CONN_ELECTRUMX:
            more = electrumx_take(s, c);
            break;
        case CONN_FIROD:
            more = firod_take(s, c);
            break;
        case CONN_CONTROL:
            more = control_take(s, c);
            break;
        case CONN_SOCKS:
            more = socks_take(s, c);
            break;
        }
    }
}

void conn_serve(server *s, conn *c)
{
    if (c->dead)
        return;
    conn_read(s, c);
    if (c->waiting)
        control_wait(s, c);
    take_all(s, c);
    conn_write(s, c);
    /* No client of ours closes one side only: nobody is left to read the rest. */
    c->dead |= c->eof;
}

void conn_free(server *s, conn *c)
{
    if (c->kind != CONN_CONTROL)
        s->count[COUNT_OPEN]--;
    if (c->held)
        s->count[COUNT_HELD]--;
    while (c->first)
        drop_item(c);
    SSL_free(c->ssl);
    close(c->fd);
    text_free(&c->in);
    free(c);
}
