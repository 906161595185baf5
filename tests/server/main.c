/*
 * anonset-testserver: a node and an ElectrumX server that tests can bend to their will. Options,
 * commands, counters and faults: tests/server/README.md.
 */
#include "tests/server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct options {
    synthetic_options synthetic;
    char **recorded;
    size_t recorded_count, recorded_cap;
    const char *tls_cert, *tls_key, *tls_make;
    bool lifeline;
} options;

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

/* ---- Options ---- */

enum option_id {
    OPT_SEED = 256,
    OPT_COINS,
    OPT_PER_BLOCK,
    OPT_GROUP_LIMIT,
    OPT_GROUP_OVERLAP,
    OPT_SPENDS,
    OPT_BARE_EVERY,
    OPT_RECORDED,
    OPT_PORT,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_TLS_MAKE,
    OPT_COOKIE,
    OPT_LIFELINE,
    OPT_COMMAND
};

static const struct option long_options[] = {
    {"seed", required_argument, NULL, OPT_SEED},
    {"coins", required_argument, NULL, OPT_COINS},
    {"per-block", required_argument, NULL, OPT_PER_BLOCK},
    {"group-limit", required_argument, NULL, OPT_GROUP_LIMIT},
    {"group-overlap", required_argument, NULL, OPT_GROUP_OVERLAP},
    {"spends", required_argument, NULL, OPT_SPENDS},
    {"bare-every", required_argument, NULL, OPT_BARE_EVERY},
    {"recorded", required_argument, NULL, OPT_RECORDED},
    {"port", required_argument, NULL, OPT_PORT},
    {"tls-cert", required_argument, NULL, OPT_TLS_CERT},
    {"tls-key", required_argument, NULL, OPT_TLS_KEY},
    {"tls-make", required_argument, NULL, OPT_TLS_MAKE},
    {"rpc-cookie", required_argument, NULL, OPT_COOKIE},
    {"lifeline", no_argument, NULL, OPT_LIFELINE},
    {"do", required_argument, NULL, OPT_COMMAND},
    {0},
};

static const char *const port_names[PORTS] = {
    [PORT_ELECTRUMX] = "electrumx",
    [PORT_FIROD] = "firod",
    [PORT_CONTROL] = "control",
    [PORT_SOCKS] = "socks",
    [PORT_ELECTRUMX_TLS] = "electrumx_tls",
    [PORT_FIROD_TLS] = "firod_tls",
};

static uint32_t number(const char *word)
{
    char *end;
    unsigned long value = strtoul(word, &end, 10);
    if (end == word || *end || value > UINT32_MAX)
        die("\"%s\" is not a number", word);
    return (uint32_t)value;
}

/* NAME=PORT */
static void set_port(server *s, const char *word)
{
    for (int i = 0; i < PORTS; i++) {
        size_t len = strlen(port_names[i]);
        if (strncmp(word, port_names[i], len) == 0 && word[len] == '=') {
            s->ports[i] = (uint16_t)number(word + len + 1);
            return;
        }
    }
    die("--port NAME=N, where NAME is one of those that the first line of output names");
}

static void set_per_block(synthetic_options *o, const char *word)
{
    if (sscanf(word, "%10u-%10u", &o->per_block_min, &o->per_block_max) != 2)
        die("--per-block MIN-MAX");
}

static void set_option(server *s, options *o, int id)
{
    switch (id) {
    case OPT_SEED:
        o->synthetic.seed = number(optarg);
        break;
    case OPT_COINS:
        o->synthetic.coins = number(optarg);
        break;
    case OPT_PER_BLOCK:
        set_per_block(&o->synthetic, optarg);
        break;
    case OPT_GROUP_LIMIT:
        o->synthetic.group_limit = number(optarg);
        break;
    case OPT_GROUP_OVERLAP:
        o->synthetic.group_overlap = number(optarg);
        break;
    case OPT_SPENDS:
        o->synthetic.spend_percent = number(optarg);
        break;
    case OPT_BARE_EVERY:
        o->synthetic.bare_every = number(optarg);
        break;
    case OPT_RECORDED:
        GROW(o->recorded, &o->recorded_cap, o->recorded_count + 1);
        o->recorded[o->recorded_count++] = optarg;
        break;
    case OPT_PORT:
        set_port(s, optarg);
        break;
    case OPT_TLS_CERT:
        o->tls_cert = optarg;
        break;
    case OPT_TLS_KEY:
        o->tls_key = optarg;
        break;
    case OPT_TLS_MAKE:
        o->tls_make = optarg;
        break;
    case OPT_COOKIE:
        snprintf(s->cookie_file, sizeof s->cookie_file, "%s", optarg);
        break;
    case OPT_LIFELINE:
        o->lifeline = true;
        break;
    case OPT_COMMAND:
        break;
    default:
        die("see tests/server/README.md for the options");
    }
}

/* ---- Listening ---- */

static int listen_on(uint16_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        die("cannot listen on 127.0.0.1:%u: %s", *port, strerror(errno));
    *port = ntohs(address.sin_port);
    return fd;
}

static void listen_all(server *s)
{
    for (int i = 0; i < PORTS; i++) {
        bool tls = i == PORT_ELECTRUMX_TLS || i == PORT_FIROD_TLS;
        s->listeners[i] = tls && !s->tls ? -1 : listen_on(&s->ports[i]);
    }
}

static void load_tls(server *s, const options *o)
{
    char cert[4096], key[4096];
    if (o->tls_make) {
        tls_make(o->tls_make);
        snprintf(cert, sizeof cert, "%s/cert.pem", o->tls_make);
        snprintf(key, sizeof key, "%s/key.pem", o->tls_make);
        s->tls = tls_load(cert, key);
    } else if (o->tls_cert && o->tls_key) {
        s->tls = tls_load(o->tls_cert, o->tls_key);
    }
}

/* The line that a test waits for. */
static void say_ready(const server *s)
{
    text line = {0};
    text_put(&line, "ready");
    for (int i = 0; i < PORTS; i++) {
        if (s->listeners[i] >= 0)
            text_format(&line, " %s=%u", port_names[i], s->ports[i]);
    }
    if (s->tls) {
        text_put(&line, " tls_pin=");
        tls_pin(s->tls, &line);
    }
    printf("%.*s\n", (int)line.len, line.data);
    fflush(stdout);
    text_free(&line);
}

/* ---- The loop ---- */

static void accept_all(server *s, port_id p)
{
    static const conn_kind kinds[PORTS] = {
        [PORT_ELECTRUMX] = CONN_ELECTRUMX,     [PORT_FIROD] = CONN_FIROD,
        [PORT_CONTROL] = CONN_CONTROL,         [PORT_SOCKS] = CONN_SOCKS,
        [PORT_ELECTRUMX_TLS] = CONN_ELECTRUMX, [PORT_FIROD_TLS] = CONN_FIROD,
    };
    for (;;) {
        int fd = accept4(s->listeners[p], NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        conn_add(s, fd, kinds[p], p == PORT_ELECTRUMX_TLS || p == PORT_FIROD_TLS);
    }
}

static void bury_dead(server *s)
{
    for (conn **at = &s->conns; *at;) {
        conn *c = *at;
        if (!c->dead) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        conn_free(s, c);
        s->again = true;
    }
}

static int poll_timeout(const server *s)
{
    double due = now() + 3600;
    if (s->again)
        return 0;
    for (const conn *c = s->conns; c; c = c->next) {
        double own = conn_due(s, c);
        due = own < due ? own : due;
    }
    double left = due - now();
    return left > 0 ? (int)(left * 1000) + 1 : 0;
}

/* Waits for something to happen, and accepts. Returns false when standard input has ended. */
static bool wait_for_events(server *s, bool lifeline, struct pollfd **fds, size_t *cap)
{
    size_t count = 0;
    for (const conn *c = s->conns; c; c = c->next)
        count++;
    GROW(*fds, cap, PORTS + 1 + count);
    for (int i = 0; i < PORTS; i++)
        (*fds)[i] = (struct pollfd){.fd = s->listeners[i], .events = POLLIN};
    (*fds)[PORTS] = (struct pollfd){.fd = lifeline ? STDIN_FILENO : -1, .events = POLLIN};
    size_t at = PORTS + 1;
    for (const conn *c = s->conns; c; c = c->next)
        (*fds)[at++] = (struct pollfd){.fd = c->fd, .events = conn_events(s, c)};
    if (poll(*fds, at, poll_timeout(s)) < 0 && errno != EINTR)
        die("poll: %s", strerror(errno));
    s->again = false;
    for (int i = 0; i < PORTS; i++) {
        if ((*fds)[i].revents)
            accept_all(s, (port_id)i);
    }
    char ignored[64];
    return !(*fds)[PORTS].revents || read(STDIN_FILENO, ignored, sizeof ignored) > 0;
}

static void run(server *s, bool lifeline)
{
    struct pollfd *fds = NULL;
    size_t cap = 0;
    while (!stopped && !s->quit && wait_for_events(s, lifeline, &fds, &cap)) {
        for (conn *c = s->conns; c; c = c->next)
            conn_serve(s, c);
        bury_dead(s);
    }
    free(fds);
}

static void free_all(server *s, options *o)
{
    for (conn *c = s->conns; c; c = c->next)
        c->dead = true;
    bury_dead(s);
    for (int i = 0; i < PORTS; i++) {
        if (s->listeners[i] >= 0)
            close(s->listeners[i]);
    }
    s->chain->source->free(s->chain);
    fault_clear(&s->faults);
    used_free(&s->used);
    free(s->triggers);
    free(o->recorded);
    SSL_CTX_free(s->tls);
}

static server default_server(void)
{
    return (server){
        .hold_after = UINT64_MAX,
        .pad = true,
        .max_send = 8100000,
        .garbage_size = 21845,
        .heights = true,
        .tx_bytes = 2000,
        .genesis = "4381deb85b1b2c9843c222944b616d997516dcbd6a964e1eaf0def0830695233",
        .cost_at = now(),
    };
}

/* Commands given as options, carried out in their order before the first connection. */
static void run_commands(server *s, int argc, char **argv)
{
    optind = 0; /* from the start */
    for (int id = getopt_long(argc, argv, "", long_options, NULL); id != -1;
         id = getopt_long(argc, argv, "", long_options, NULL)) {
        text ignored = {0};
        const char *error = id == OPT_COMMAND ? control_run(s, optarg, &ignored) : NULL;
        text_free(&ignored);
        if (error)
            die("--do: %s", error);
    }
}

int main(int argc, char **argv)
{
    static server s;
    options o = {.synthetic = {.seed = 1,
                               .per_block_min = 1,
                               .per_block_max = 95,
                               .group_limit = 0,
                               .group_overlap = 8000,
                               .spend_percent = 40}};
    s = default_server();
    for (int id = getopt_long(argc, argv, "", long_options, NULL); id != -1;
         id = getopt_long(argc, argv, "", long_options, NULL))
        set_option(&s, &o, id);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (o.lifeline)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    s.chain =
        o.recorded_count ? recorded_new(o.recorded, o.recorded_count) : synthetic_new(&o.synthetic);
    load_tls(&s, &o);
    if (s.cookie_file[0]) {
        char cookie[] = "cookie";
        const char *error = control_run(&s, cookie, &(text){0});
        if (error)
            die("%s", error);
    }
    run_commands(&s, argc, argv);
    listen_all(&s);
    say_ready(&s);
    run(&s, o.lifeline);
    free_all(&s, &o);
    return 0;
}
