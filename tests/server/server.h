/* What the parts of the test server share: its state, its connections, its counters. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "tests/server/chain.h"
#include "tests/server/fault.h"
#include "tests/server/text.h"
#include "tests/server/used.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

typedef enum counter {
    COUNT_CONNECTIONS, /* accepted, the control ones aside */
    COUNT_OPEN,        /* of them, open now */
    COUNT_REQUESTS,
    COUNT_VERSION,
    COUNT_FEATURES, /* server.features and getblockhash */
    COUNT_META,
    COUNT_LATEST,
    COUNT_SECTORS,
    COUNT_USED,
    COUNT_HEIGHTS,     /* blockchain.transaction.get and getrawtransaction */
    COUNT_COINS,       /* put on the wire in sector answers */
    COUNT_LARGEST,     /* most coins in one answer */
    COUNT_ERRORS,      /* answers that were errors */
    COUNT_BYTES_IN,    /* below TLS */
    COUNT_BYTES_OUT,   /* put on the wire */
    COUNT_CUT,         /* connections the server cut, for a fault or for what they cost */
    COUNT_FAULTS,      /* faults that happened */
    COUNT_HELD,        /* sector requests that wait for "release" now */
    COUNT_SOCKS,       /* connections that came through the proxy */
    COUNT_SOCKS_NAMES, /* of them, those that left resolving a name to it */
    COUNTERS
} counter;

extern const char *const counter_names[COUNTERS];

typedef enum conn_kind {
    CONN_ELECTRUMX,
    CONN_FIROD,
    CONN_CONTROL,
    CONN_SOCKS
} conn_kind;

/* Bytes to be sent, one answer each. */
typedef struct item {
    struct item *next;
    text data;
    size_t sent;
    double ready;     /* not before this time */
    double rate;      /* bytes a second; 0: as fast as it goes */
    size_t repeat_at; /* endless: what follows this offset is sent again and again; 0: no */
    bool close_after;
} item;

/* Bytes that a limited rate lets through now, as of `at`. */
typedef struct allowance {
    double bytes;
    double at;
} allowance;

typedef struct conn {
    struct conn *next;
    int fd;
    conn_kind kind;
    SSL *ssl; /* NULL: plain */
    bool ssl_wants_write;
    text in;
    item *first, *last;
    size_t queued; /* bytes in the items */
    bool eof, dead;
    bool held;
    bool versioned; /* server.version was called */
    bool greeted;   /* SOCKS: methods were agreed on */
    allowance own;  /* of an answer with a rate of its own */
    bool waiting;   /* control: a "wait" is not answered yet */
    counter wait_counter;
    uint64_t wait_value;
    bool wait_exact; /* just this value, not one at least as large */
    double wait_until;
} conn;

typedef enum port_id {
    PORT_ELECTRUMX,
    PORT_FIROD,
    PORT_CONTROL,
    PORT_SOCKS,
    PORT_ELECTRUMX_TLS,
    PORT_FIROD_TLS,
    PORTS
} port_id;

/* A command to carry out when a counter gets to a value. */
typedef struct trigger {
    counter when;
    uint64_t value;
    char command[256];
} trigger;

typedef struct server {
    chain *chain;
    uint64_t count[COUNTERS];
    faults faults;
    conn *conns;
    int listeners[PORTS]; /* -1: none */
    uint16_t ports[PORTS];
    SSL_CTX *tls;
    trigger *triggers;
    size_t trigger_count, trigger_cap;
    uint64_t hold_after; /* answer so many more sectors, then hold; UINT64_MAX: no hold */
    bool again;          /* something changed: look at every connection once more */
    bool quit;

    /* How it behaves; set by options and by control commands. */
    bool pad;
    uint64_t max_send;
    used_list used;
    uint64_t garbage_size; /* what an unknown group's size reads */
    bool heights;          /* transactions are told, with their heights */
    uint64_t tx_bytes;     /* how long each is */
    char genesis[65];
    char credentials[256]; /* "user:password"; "": anyone may call firod */
    char cookie_file[1024];
    double latency;    /* seconds before each answer goes out */
    double rate;       /* bytes a second for all connections together; 0: no limit */
    allowance line;    /* of that rate */
    double hold_small; /* seconds that ElectrumX answers under 1,024 bytes are held back; 0: none */
    double cost_soft, cost_hard, cost_decay; /* cost_hard 0: sessions are not charged */
    double cost, cost_at;
} server;

double now(void);

/* ---- Connections (conn.c) ---- */

void conn_add(server *s, int fd, conn_kind kind, bool tls);
/* Reads, answers and sends what can be now. */
void conn_serve(server *s, conn *c);
/* Queues an answer, taking over its bytes. */
item *conn_send(server *s, conn *c, text *data);
/* Closes at once. */
void conn_cut(server *s, conn *c);
/* When the connection wants to be looked at again; a time far away if only poll knows. */
double conn_due(const server *s, const conn *c);
short conn_events(const server *s, const conn *c);
void conn_free(server *s, conn *c);

/* Each takes one request off conn->in. True: done, there may be more. False: more bytes are needed,
 * or the request has to wait. */
bool electrumx_take(server *s, conn *c);
bool firod_take(server *s, conn *c);
bool socks_take(server *s, conn *c);
bool control_take(server *s, conn *c);

/* ---- Commands (control.c) ---- */

/* Carries a command out and adds what there is to tell; NULL, or what is wrong. Words are separated
 * in place. */
const char *control_run(server *s, char *line, text *out);
/* Carries out what waits for counters that have got there. */
void control_triggers(server *s);
/* Answers a "wait" whose time has come. */
void control_wait(server *s, conn *c);

/* ---- TLS (tls.c) ---- */

/* Makes a key and a self-signed certificate for 127.0.0.1 and localhost: DIR/cert.pem, DIR/key.pem.
 */
void tls_make(const char *dir);
SSL_CTX *tls_load(const char *cert, const char *key);
/* The public key's hash as curl takes it, "sha256//…". */
void tls_pin(SSL_CTX *tls, text *out);

#endif
