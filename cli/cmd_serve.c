/* anonset serve: hands the stored sets on, to other wallets' syncs. */
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/listen.h"
#include "cli/store.h"
#include "cli/tell.h"
#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_LISTEN "127.0.0.1:50001"
#define HOST_MOST      256
#define BACKLOG        64

struct address {
    char host[HOST_MOST];
    char port[6];
};

/* HOST:PORT, an IPv6 address in brackets. An empty host is no way to say "all of them". */
static bool read_address(struct address *to, const char *text)
{
    const char *colon = strrchr(text, ':');
    uint32_t port;
    size_t len = colon ? (size_t)(colon - text) : 0;
    bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';

    if (brackets) {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof to->host || (!brackets && memchr(text, ':', len)))
        return false;
    memcpy(to->host, text, len);
    to->host[len] = '\0';
    if (!text_number(&port, colon + 1, 0, UINT16_MAX))
        return false;
    (void)snprintf(to->port, sizeof to->port, "%u", (unsigned)port);
    return true;
}

static int try_listen(const struct addrinfo *at)
{
    int on = 1, error;
    int fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* Returns a listening socket, or -1 with *why set. */
static int listen_at(const struct address *to, const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int fd = -1;
    int error = getaddrinfo(to->host, to->port, &hints, &found);

    if (error != 0) {
        *why = gai_strerror(error);
        return -1;
    }
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = try_listen(at);
    if (fd < 0)
        *why = strerror(errno);
    freeaddrinfo(found);
    return fd;
}

/* The first line of output: also tells the port where 0 was asked for. */
static void say_where(int listener)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    char host[HOST_MOST], port[8];

    /* Of an address that could not be got, there is no name. */
    (void)getsockname(listener, (struct sockaddr *)&at, &len);
    if (getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    printf(strchr(host, ':') ? "tcp://[%s]:%s\n" : "tcp://%s:%s\n", host, port);
    (void)fflush(stdout);
}

/* ---- Signals ------------------------------------------------------------------------------- */

static int stop_pipe[2];

static void on_stop(int signal)
{
    int error = errno;
    ssize_t written = write(stop_pipe[1], "", 1);

    (void)signal;
    (void)written; /* a full pipe says it already */
    errno = error;
}

static bool catch_stops(void)
{
    struct sigaction action = {.sa_handler = on_stop};

    if (pipe(stop_pipe) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        if (fcntl(stop_pipe[i], F_SETFL, O_NONBLOCK) != 0 ||
            fcntl(stop_pipe[i], F_SETFD, FD_CLOEXEC) != 0)
            return false;
    }
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL); /* fails only for a signal that cannot be caught */
    (void)sigaction(SIGTERM, &action, NULL);
    return true;
}

/* ---- The command --------------------------------------------------------------------------- */

struct told {
    const struct args *args;
    char last[ANONSET_DETAIL_TEXT];
};

/* Clients may ask often: the same trouble is said once. */
static void tell_trouble(void *context, const anonset_detail *detail)
{
    struct told *told = context;

    if (strcmp(told->last, detail->text) == 0)
        return;
    memcpy(told->last, detail->text, sizeof told->last);
    tell_store(stderr, "answer clients from", told->args, detail);
}

static int run_serve(const struct args *args)
{
    struct told told = {.args = args};
    struct listen_to to = {.least =
                               args->gate > ANONSET_GATE_COUNT ? args->gate : ANONSET_GATE_COUNT,
                           .trouble = tell_trouble,
                           .context = &told};
    const char *where = args->listen ? args->listen : DEFAULT_LISTEN, *why = NULL;
    struct address address;
    anonset_detail detail = {0};
    anonset_code code;
    int end = EXITS_DONE;

    if (!read_address(&address, where))
        return args_wrong("serve", "--listen wants HOST:PORT, not \"%s\"", where);
    code = store_open(&to.store, args, ANONSET_STORE_READ_ONLY, &detail);
    if (code != ANONSET_OK)
        return exits_of_code(code);
    to.listener = listen_at(&address, &why);
    if (to.listener < 0) {
        fprintf(stderr, "anonset serve: cannot listen at %s: %s\n", where, why);
        end = EXITS_NETWORK;
    } else if (!catch_stops()) {
        fprintf(stderr, "anonset serve: %s\n", strerror(errno));
        end = EXITS_INTERNAL;
    } else {
        to.stop = stop_pipe[0];
        say_where(to.listener);
        if (!listen_run(&to)) {
            fprintf(stderr, "anonset serve: %s\n", strerror(errno));
            end = EXITS_INTERNAL;
        }
    }
    if (to.listener >= 0)
        (void)close(to.listener);
    anonset_store_close(to.store);
    return end;
}

static const struct option_row options[] = {
    ARGS_ROW_DB,
    {ARGS_LISTEN, "listen", "HOST:PORT",
     "Where to listen; " DEFAULT_LISTEN " by default, which only this machine can\n"
     "reach. Port 0: any free one. With another address, or 0.0.0.0 for all of\n"
     "them, everybody who reaches it can read the sets: no TLS, no password."},
    {ARGS_GATE, "gate", "count|set-hash",
     "Show only sets at this gate level or above; count by default. The list of used\n"
     "coin tags has no level, and is told if there is one."},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

const struct command cmd_serve = {
    .name = "serve",
    .summary = "hand the stored sets on, to the syncs of other wallets",
    .usage = "--db PATH [--listen HOST:PORT] [--gate count|set-hash]",
    .options = options,
    .notes =
        "Answers as an ElectrumX server does, from what is finalized and from the list of used\n"
        "coin tags: `anonset sync --server tcp://HOST:PORT`. Prints that URL when it listens;\n"
        "ends on SIGINT or SIGTERM, with 0. Syncs of this store may run meanwhile; who asks for\n"
        "used coin tags while one changes their list is cut off, keeps what it has, and asks\n"
        "again. Who syncs from it checks what it gets as from any server. Transactions are not\n"
        "known here: --prove needs another server.\n",
    .run = run_serve,
};
