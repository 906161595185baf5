#include "config.h"

#include "tests/shims/sockets.h"

#include "tests/shims/calls.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static sockets_fault fault;
static unsigned met; /* calls of its name */
static bool armed, failed;
static bool playing; /* what is called now is called by the script */
static void (*script)(unsigned turn, bool accepting);
static unsigned turns;
static int64_t clock_ms;
static size_t send_most = SIZE_MAX;

void sockets_fail(const sockets_fault *wanted)
{
    fault = *wanted;
    armed = !fault.behind;
    failed = false;
    met = 0;
}

bool sockets_failed(void)
{
    return failed;
}

void sockets_play(void (*wanted)(unsigned turn, bool accepting))
{
    script = wanted;
    turns = 0;
}

void sockets_clock(int64_t ms)
{
    clock_ms = ms;
}

void sockets_send_most(size_t n)
{
    send_most = n;
}

/* In the place of calls.c. */
bool calls_fail(const char *name)
{
    if (playing || !fault.name)
        return false;
    if (!armed) {
        armed = strcmp(name, fault.behind) == 0;
        return false;
    }
    if (strcmp(name, fault.name) != 0)
        return false;
    met++;
    if (met <= fault.skip || (failed && !fault.lasting))
        return false;
    failed = true;
    errno = fault.error;
    return true;
}

#define WRAP(type, name, parameters, arguments, failure)                                           \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return calls_fail(#name) ? (failure) : __real_##name arguments;                            \
    }

WRAP(int, accept, (int fd, struct sockaddr *from, socklen_t *len), (fd, from, len), -1)
WRAP(int, bind, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len), -1)
WRAP(int, getaddrinfo,
     (const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found),
     (host, port, hints, found), fault.error)
WRAP(int, getsockname, (int fd, struct sockaddr *at, socklen_t *len), (fd, at, len), -1)
WRAP(int, listen, (int fd, int backlog), (fd, backlog), -1)
WRAP(int, pipe, (int fds[2]), (fds), -1)
WRAP(ssize_t, recv, (int fd, void *bytes, size_t n, int flags), (fd, bytes, n, flags), -1)
WRAP(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len), -1)
WRAP(int, socket, (int family, int type, int protocol), (family, type, protocol), -1)

/* Ours are called with a number, a pointer or nothing: on the machines that this runs on, all of
 * them are passed alike. */
int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list rest;
    if (calls_fail("fcntl"))
        return -1;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return __real_fcntl(fd, command, argument);
}

ssize_t __real_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags)
{
    if (calls_fail("send"))
        return -1;
    return __real_send(fd, bytes, playing || n < send_most ? n : send_most, flags);
}

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!script || clock != CLOCK_MONOTONIC)
        return __real_clock_gettime(clock, now);
    *now = (struct timespec){.tv_sec = 1000 + (time_t)(clock_ms / 1000),
                             .tv_nsec = (long)(clock_ms % 1000) * 1000000};
    return 0;
}

/* The one who listens stands behind all others (cli/listen.c). */
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
    if (!script || playing)
        return __real_poll(fds, n, timeout);
    playing = true;
    script(turns++, fds[n - 1].fd >= 0);
    playing = false;
    return calls_fail("poll") ? -1 : __real_poll(fds, n, 0);
}
