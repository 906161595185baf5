/*
 * A server on a thread of the test, scripted by a function that is called for each connection. For
 * what the test server cannot do: to look at every byte, and to misbehave in its own way.
 */
#ifndef PEER_H
#define PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ts_peer ts_peer;
typedef struct ts_connection ts_connection;

/* Serves connection number `nth` (from 0) on `fd`, which is closed behind it. */
typedef void peer_serve(ts_peer *peer, int fd, unsigned nth);

struct ts_peer {
    peer_serve *serve;
    bool parallel; /* set before the start: each connection is served on a thread of its own */
    char url[64];  /* "SCHEME://127.0.0.1:PORT" */
    uint16_t port;
    int listener;
    pthread_t thread;
    ts_connection *last; /* served on a thread of its own; of the thread that accepts */
    atomic_uint connections;
    atomic_bool stopping;
    atomic_uint counts[4]; /* for the script */
    const char *status;    /* for the script */
};

void peer_start(ts_peer *peer, const char *scheme, peer_serve *serve);
/* Ends the threads: reads and writes of the script under way fail, or the other side has gone. */
void peer_stop(ts_peer *peer);

/* Reads a line, line end taken off; -1 at the end of the connection. */
int peer_line(int fd, char *line, size_t cap);
/* Reads exactly `len` bytes; -1 at the end of the connection. */
int peer_read(int fd, void *bytes, size_t len);
/* Writes it all; -1: the other side is gone. */
int peer_write(int fd, const void *bytes, size_t len);
int peer_print(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The id of a request. */
unsigned peer_id(const char *request);
/* Answers one request of fake_sync.h as ElectrumX does. -1: the other side is gone. */
int peer_answer(int fd, const char *request);
/* Answers requests until the connection ends, or `most` sectors were answered. */
void peer_answer_all(int fd, unsigned most);
/* The text of an answer to `request`, without a line end. */
void peer_answer_text(char *text, size_t cap, const char *request);

/* Reads one HTTP request; its body and its Authorization header (without the name; "" if there is
 * none) are kept. -1: the other side is gone. */
int peer_http_read(int fd, char *body, size_t cap, char *login, size_t login_cap);
int peer_http_write(int fd, const char *status, const char *body);

#endif
