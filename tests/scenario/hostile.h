/*
 * The table of hostile servers: what each does in place of one honest answer, and how the sync must
 * end. tests/scenario/hostile.c plays it.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "tests/scenario/peer.h"
#include "tests/support/world.h"

/* Protocols that a row is played over. */
#define OVER_ELECTRUMX 1u
#define OVER_FIROD     2u
#define OVER_BOTH      3u

/* Which request is struck. */
typedef enum hostile_on {
    ON_META,
    ON_SECTOR,  /* the download */
    ON_PIN,     /* one coin, of a block that we hold */
    ON_MADE_UP, /* one coin, of a block that nobody ever told: an honest server refuses it */
    ON_NEWEST,
    ON_GENESIS,
    ON_HEIGHT,
    ON_USED, /* the list of used coin tags */
    ON_VERSION,
    ON_ANY,
    ON_CONNECT, /* before a request is read */
} hostile_on;

typedef enum hostile_how {
    HOW_ANSWER,  /* the text as an answer: a line, or a body behind the right head */
    HOW_RAW,     /* the text alone, then the next request */
    HOW_CLOSE,   /* the text alone, then the connection ends */
    HOW_HANG,    /* the text alone, then nothing for ever */
    HOW_ENDLESS, /* the text, then what follows $~ again and again */
    HOW_DRIP,    /* the text, what follows $~ (or all of it) a byte in 200 ms */
} hostile_how;

typedef struct hostile_row {
    const char *name;
    unsigned over;
    hostile_on on;
    hostile_how how;
    /*
     * What is sent. The honest answer's parts: $I its id, $R the result whole, $B $S $N block hash,
     * set hash and size of a meta, $C a sector's coins, $F all but the first, $E the first in place
     * of each, $s $t $x the first coin's strings; $T the pairs of a list of used tags, $U all but
     * the first, $g $h the first one's strings. $W is the id and 2^32, $0 a NUL byte, $*N{TEXT}
     * is TEXT, N times.
     */
    const char *text;
    const char *outcome;
    int exit_code;
    const char *words;  /* in the error text; NULL: there is none, the sync got over it */
    const char *scheme; /* of TLS, that the program is given; NULL: tcp or http */
    const char *option; /* more for the program; NULL: --group=1. --tags: that alone */
    bool is_believed;   /* a list of used tags is what a server tells: the next one sets it right */
} hostile_row;

extern const hostile_row hostile_rows[];
extern const size_t hostile_n;

/* The server: honest but for what is set here. */
typedef struct hostile_stage {
    unsigned over;                            /* one of the protocols */
    const tw_chain *held, *chain, *elsewhere; /* finalized, the server's, and one of others */
    const hostile_row *row;                   /* NULL: honest */
    atomic_uint struck;                       /* how often */
    atomic_size_t cut_after;                  /* bytes of a connection that begins; 0: never */
} hostile_stage;

extern hostile_stage stage;

/* A peer_serve. */
void hostile_serve(ts_peer *peer, int fd, unsigned nth);

#endif
