/* Clients at a socket: many at once, in one thread, none of which can hurt the others. */
#ifndef CLI_LISTEN_H
#define CLI_LISTEN_H

#include <anonset/anonset.h>

struct listen_to {
    anonset_store *store;
    anonset_gate least; /* sets below it are not shown */
    int listener;       /* listens; not blocking */
    int stop;           /* ends when something can be read here */
    /* What an operator should know: the store cannot be read. */
    void (*trouble)(void *context, const anonset_detail *detail);
    void *context;
};

#define LISTEN_CLIENTS    64 /* at once; others wait to be accepted */
#define LISTEN_OF_ONE     16 /* of them from one address: it cannot take all places */
#define LISTEN_GREETING_S 10 /* from the connection to server.version */
#define LISTEN_REQUEST_S                                                                           \
    120 /* from an answer to the next whole request: a phone may prove a set                       \
         */
#define LISTEN_PIECE_S      60 /* to take a piece of an answer: slower than 1 KiB/s is cut */
#define LISTEN_LAST_WORDS_S 2  /* after an error that ends it: to read it */

/* Answers until told to stop. False: it cannot go on; errno says why. */
bool listen_run(const struct listen_to *to);

#endif
