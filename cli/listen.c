#include "cli/listen.h"

#include "remote/serve.h"

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

#define ACCEPT_PAUSE_MS 1000 /* after there were no descriptors left */
#define STOP            LISTEN_CLIENTS
#define LISTENER        (LISTEN_CLIENTS + 1)

struct client {
    int fd; /* -1: a free place */
    as_session *session;
    struct sockaddr_storage from;
    int64_t since; /* the present wait began; a request, or a piece sent, begins a new one */
    bool sending;  /* waits for room to send; else for a request */
    bool ended;    /* said its last word: what it asked before is still answered */
    bool leaving;  /* had its last answer: what it still sends is thrown away */
    size_t len;
    char line[AS_SERVE_LINE]; /* what came and was not taken yet */
};

struct clients {
    const struct listen_to *to;
    int64_t now;
    int64_t accept_from;
    struct client place[LISTEN_CLIENTS];
    struct pollfd poll[LISTEN_CLIENTS + 2];
};

static int64_t now_ms(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- One client ---------------------------------------------------------------------------- */

static void drop(struct client *c)
{
    (void)close(c->fd);
    as_session_free(c->session);
    c->session = NULL;
    c->fd = -1;
}

static int64_t deadline(const struct client *c)
{
    int64_t seconds = LISTEN_REQUEST_S;

    if (c->leaving)
        seconds = LISTEN_LAST_WORDS_S;
    else if (c->sending)
        seconds = LISTEN_PIECE_S;
    else if (!as_session_is_open(c->session))
        seconds = LISTEN_GREETING_S;
    return c->since + seconds * 1000;
}

static bool is_passing(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* False: the connection is gone. */
static bool receive(struct client *c)
{
    ssize_t got;

    if (c->leaving)
        c->len = 0;
    got = recv(c->fd, c->line + c->len, sizeof c->line - c->len, 0);
    if (got < 0)
        return is_passing(errno);
    c->ended = got == 0;
    c->len += (size_t)got;
    return !(c->ended && c->leaving);
}

/* Takes the next request from what was received. False: there is none yet. */
static bool take_request(struct clients *all, struct client *c)
{
    char *end = memchr(c->line, '\n', c->len);
    anonset_detail detail;

    if (!end && c->len < sizeof c->line)
        return false;
    if (end) {
        size_t len = (size_t)(end - c->line);
        as_session_take(c->session, c->line, len);
        c->len -= len + 1;
        memmove(c->line, end + 1, c->len);
    } else {
        as_session_refuse_line(c->session);
        c->len = 0;
    }
    c->since = all->now;
    if (as_session_trouble(c->session, &detail))
        all->to->trouble(all->to->context, &detail);
    return true;
}

/* Closing at once while bytes are unread would take the error back from the client. */
static bool leave(struct clients *all, struct client *c)
{
    c->leaving = true;
    c->sending = false;
    c->since = all->now;
    (void)shutdown(c->fd, SHUT_WR); /* of what is gone, receiving tells */
    return !c->ended;
}

/* Sends what there is to send, one piece at most, so that every client has its turn; takes requests
 * while there is nothing. False: drop it. */
static bool answer(struct clients *all, struct client *c)
{
    for (;;) {
        const char *text = NULL;
        size_t len = 0;
        ssize_t sent;
        anonset_detail detail = {0};
        anonset_code code = as_session_output(c->session, &text, &len, &detail);
        if (code != ANONSET_OK) {
            if (code != ANONSET_NOT_FOUND)
                all->to->trouble(all->to->context, &detail);
            return false;
        }
        if (len == 0 && as_session_is_last(c->session))
            return leave(all, c);
        if (len == 0) {
            c->sending = false;
            if (!take_request(all, c))
                return !c->ended;
            continue;
        }
        c->sending = true;
        sent = send(c->fd, text, len, MSG_NOSIGNAL);
        if (sent < 0)
            return is_passing(errno);
        as_session_sent(c->session, (size_t)sent);
        if ((size_t)sent == len)
            c->since = all->now;
        return true;
    }
}

static void turn(struct clients *all, struct client *c, short events)
{
    bool well = (events & (POLLERR | POLLNVAL)) == 0;

    if (well && (events & (POLLIN | POLLHUP)) && !c->sending)
        well = receive(c);
    if (well && events && !c->leaving)
        well = answer(all, c);
    if (!well || deadline(c) <= all->now)
        drop(c);
}

/* ---- All of them --------------------------------------------------------------------------- */

/* Of one listener's clients: their family is the same. */
static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    struct sockaddr_in6 six[2];
    struct sockaddr_in four[2];

    if (a->ss_family == AF_INET6) {
        memcpy(&six[0], a, sizeof six[0]);
        memcpy(&six[1], b, sizeof six[1]);
        return memcmp(&six[0].sin6_addr, &six[1].sin6_addr, sizeof six[0].sin6_addr) == 0;
    }
    memcpy(&four[0], a, sizeof four[0]);
    memcpy(&four[1], b, sizeof four[1]);
    return memcmp(&four[0].sin_addr, &four[1].sin_addr, sizeof four[0].sin_addr) == 0;
}

/* A free place for a client from there; NULL: it has enough. */
static struct client *find_place(struct clients *all, const struct sockaddr_storage *from)
{
    struct client *found = NULL;
    unsigned same = 0;

    for (size_t i = 0; i < LISTEN_CLIENTS; i++) {
        struct client *c = &all->place[i];
        if (c->fd < 0)
            found = c;
        else if (same_address(&c->from, from))
            same++;
    }
    return same < LISTEN_OF_ONE ? found : NULL;
}

static bool prepare(int fd)
{
    int on = 1;

    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
           setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

static void take_client(struct clients *all)
{
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof from;
    struct client *c;
    int fd = accept(all->to->listener, (struct sockaddr *)&from, &len);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            all->accept_from = all->now + ACCEPT_PAUSE_MS;
        return;
    }
    c = find_place(all, &from);
    if (!c || !prepare(fd)) {
        (void)close(fd);
        return;
    }
    c->session = as_session_new(all->to->store, all->to->least);
    if (!c->session) {
        (void)close(fd);
        return;
    }
    c->fd = fd;
    c->from = from;
    c->since = all->now;
    c->sending = c->ended = c->leaving = false;
    c->len = 0;
}

/* Fills in what to wait for; returns for how long, in milliseconds. */
static int prepare_poll(struct clients *all)
{
    int64_t until = all->now + 3600000;
    bool room = false;

    for (size_t i = 0; i < LISTEN_CLIENTS; i++) {
        struct client *c = &all->place[i];
        all->poll[i] = (struct pollfd){.fd = c->fd, .events = c->sending ? POLLOUT : POLLIN};
        room |= c->fd < 0;
        if (c->fd >= 0 && deadline(c) < until)
            until = deadline(c);
    }
    if (room && all->accept_from > all->now && all->accept_from < until)
        until = all->accept_from;
    room &= all->accept_from <= all->now;
    all->poll[STOP] = (struct pollfd){.fd = all->to->stop, .events = POLLIN};
    all->poll[LISTENER] = (struct pollfd){.fd = room ? all->to->listener : -1, .events = POLLIN};
    return until > all->now ? (int)(until - all->now) : 0;
}

static bool serve(struct clients *all)
{
    for (;;) {
        int ready;
        all->now = now_ms();
        ready = poll(all->poll, LISTEN_CLIENTS + 2, prepare_poll(all));
        if (ready < 0 && errno != EINTR)
            return false;
        if (ready < 0)
            continue;
        if (all->poll[STOP].revents)
            return true;
        all->now = now_ms();
        for (size_t i = 0; i < LISTEN_CLIENTS; i++) {
            if (all->place[i].fd >= 0)
                turn(all, &all->place[i], all->poll[i].revents);
        }
        if (all->poll[LISTENER].revents)
            take_client(all);
    }
}

bool listen_run(const struct listen_to *to)
{
    struct clients *all = calloc(1, sizeof *all);
    bool well;
    int error;

    if (!all)
        return false;
    all->to = to;
    for (size_t i = 0; i < LISTEN_CLIENTS; i++)
        all->place[i].fd = -1;
    well = serve(all);
    error = errno;
    for (size_t i = 0; i < LISTEN_CLIENTS; i++) {
        if (all->place[i].fd >= 0)
            drop(&all->place[i]);
    }
    free(all);
    errno = error;
    return well;
}
