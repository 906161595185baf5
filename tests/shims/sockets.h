/*
 * The calls of the system that a program makes to serve clients (sockets.ld), for a test of it in
 * one process and on one thread: a clock that stands still, a script that plays the clients
 * whenever the program waits, and a call that fails, by its name. With wraps.c that may also be one
 * of those.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sockets_fault {
    const char *name;   /* of the call; NULL: none fails */
    unsigned skip;      /* so many of them go well before */
    int error;          /* its errno, or what getaddrinfo returns */
    bool lasting;       /* all behind it fail as well */
    const char *behind; /* counts from the first call of this name on; NULL: at once */
} sockets_fault;

/* From now on; calls of a script never fail. */
void sockets_fail(const sockets_fault *fault);
bool sockets_failed(void);

/* Called before each wait in poll, which then waits no longer: `turn` counts from 0, and
 * `accepting` says whether it waits for new clients. NULL: as it was. */
void sockets_play(void (*script)(unsigned turn, bool accepting));

/* Milliseconds that the monotonic clock is ahead of the moment at which it was stopped. */
void sockets_clock(int64_t ms);

/* Sends take no more than this at a time. */
void sockets_send_most(size_t n);

#endif
