#include "tests/support/support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS  64u
#define TIMEOUT_MS 65000 /* the server itself gives up waiting after 60 seconds */

static const char program[] = TS_BUILD_DIR "/tests/server/anonset-testserver";

/* Reads up to a line end, which becomes a NUL. */
static void read_line(int fd, char *line, size_t cap)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    for (size_t len = 0; len < cap; len++) {
        if (poll(&ready, 1, TIMEOUT_MS) != 1)
            ts_die("the test server does not answer");
        if (read(fd, line + len, 1) != 1)
            ts_die("the test server has ended");
        if (line[len] == '\n') {
            line[len] = 0;
            return;
        }
    }
    ts_die("the test server says too much: %.*s", (int)cap, line);
}

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        ts_die("cannot connect to the test server: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* The value of NAME=VALUE in the first line, or "". */
static void find_value(const char *line, const char *name, char *out, size_t cap)
{
    char key[32];
    snprintf(key, sizeof key, " %s=", name);
    const char *at = strstr(line, key);
    out[0] = 0;
    if (!at)
        return;
    at += strlen(key);
    snprintf(out, cap, "%.*s", (int)strcspn(at, " "), at);
}

static void make_url(const char *line, const char *name, const char *scheme, char *out, size_t cap)
{
    char port[16];
    find_value(line, name, port, sizeof port);
    out[0] = 0;
    if (port[0])
        snprintf(out, cap, "%s://127.0.0.1:%s", scheme, port);
}

static void read_ready(ts_server *server, int out)
{
    char line[1024], port[16];
    read_line(out, line, sizeof line);
    if (strncmp(line, "ready ", 6) != 0)
        ts_die("the test server says: %s", line);
    make_url(line, "electrumx", "tcp", server->tcp, sizeof server->tcp);
    make_url(line, "firod", "http", server->http, sizeof server->http);
    make_url(line, "electrumx_tls", "ssl", server->ssl, sizeof server->ssl);
    make_url(line, "firod_tls", "https", server->https, sizeof server->https);
    make_url(line, "socks", "socks5h", server->socks, sizeof server->socks);
    find_value(line, "tls_pin", server->tls_pin, sizeof server->tls_pin);
    find_value(line, "control", port, sizeof port);
    server->control = connect_to((unsigned)atoi(port));
}

static void start_program(ts_server *server, const char *const *argv)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        ts_die("no pipe: %s", strerror(errno));
    server->pid = fork();
    if (server->pid < 0)
        ts_die("cannot fork: %s", strerror(errno));
    if (server->pid == 0) {
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0)
            _exit(127);
        ts_exec(argv);
    }
    close(in[0]);
    close(out[1]);
    server->lifeline = in[1];
    read_ready(server, out[0]);
    close(out[0]);
}

void ts_server_start(ts_server *server, ...)
{
    const char *argv[ARGUMENTS] = {program, "--lifeline"};
    size_t count = 2;
    va_list args;
    va_start(args, server);
    do {
        if (count == ARGUMENTS)
            ts_die("too many arguments");
        argv[count] = va_arg(args, const char *);
    } while (argv[count++]);
    va_end(args);
    *server = (ts_server){0};
    start_program(server, argv);
}

void ts_server_stop(ts_server *server)
{
    int status;
    close(server->lifeline);
    close(server->control);
    while (waitpid(server->pid, &status, 0) < 0) {
        if (errno != EINTR)
            ts_die("cannot wait for the test server: %s", strerror(errno));
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        ts_die("the test server ended with status %d", status);
    *server = (ts_server){0};
}

static const char *tell(ts_server *server, const char *command)
{
    size_t len = strlen(command);
    for (size_t sent = 0; sent < len;) {
        ssize_t part = send(server->control, command + sent, len - sent, MSG_NOSIGNAL);
        if (part < 0)
            ts_die("the test server has ended: %s", strerror(errno));
        sent += (size_t)part;
    }
    read_line(server->control, server->answer, sizeof server->answer);
    if (strncmp(server->answer, "ok", 2) != 0)
        ts_die("%.*s: %s", (int)(len - 1), command, server->answer);
    return server->answer + 2 + strspn(server->answer + 2, " ");
}

const char *ts_tell(ts_server *server, const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(command, sizeof command - 1, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof command - 1)
        ts_die("a command is too long");
    memcpy(command + len, "\n", 2);
    return tell(server, command);
}

uint64_t ts_count(ts_server *server, const char *counter)
{
    return strtoull(ts_tell(server, "count %s", counter), NULL, 10);
}

void ts_wait(ts_server *server, const char *counter, uint64_t value)
{
    ts_tell(server, "wait %s %llu", counter, (unsigned long long)value);
}
