/* The requests of one sync that are queued, or on the wire, and what each is for. */
#ifndef AS_FLIGHT_H
#define AS_FLIGHT_H

#include <anonset/anonset.h>

typedef enum as_role {
    AS_ASK_NOTHING, /* the answer will not be looked at any more */
    AS_ASK_NEWEST,
    AS_ASK_GENESIS,
    AS_ASK_USED, /* the list of used tags, from position `lo` on */
    AS_ASK_META,
    AS_ASK_SEAM_META,     /* of the group before */
    AS_ASK_OLD_PIN,       /* is the block that we hold coins of still on the target's chain? */
    AS_ASK_CONTROL,       /* is a made-up block accepted? Then pins prove nothing just now */
    AS_ASK_SECTOR,        /* new coins, positions [lo, hi), and the one below with `overlap` */
    AS_ASK_FLOOR,         /* is the checkpoint `lo` of the candidates on the target's chain? */
    AS_ASK_COMPARE,       /* coins we hold, positions [lo, hi) */
    AS_ASK_MEND,          /* finalized coins that are missing, positions [lo, hi) */
    AS_ASK_PROBE,         /* one coin we hold, at position lo: does it differ? */
    AS_ASK_HEIGHT,        /* of a transaction of the part `lo` */
    AS_ASK_HEIGHT_PIN,    /* behind them: is the target's block still there? */
    AS_ASK_CLOSE_META,    /* behind the last sector: is the meta still the target? */
    AS_ASK_CLOSE_CONTROL, /* behind the last sector: CONTROL again */
    AS_ASK_CLOSE_PIN      /* behind the last sector: is the proven checkpoint still there? */
} as_role;

typedef struct as_asked {
    as_role role;
    uint32_t lo, hi;
    bool overlap;
} as_asked;

#define AS_FLIGHT_MAX 48u

typedef struct as_flight {
    /* The first `sent` are on the wire, the rest wait to be handed out, in order. */
    anonset_request requests[AS_FLIGHT_MAX];
    as_asked asked[AS_FLIGHT_MAX];
    size_t sent, n;
    uint32_t last_id;
} as_flight;

/* Queues a request (its id is set here). False: full, nothing was queued. */
bool as_flight_add(as_flight *flight, const anonset_request *request, as_asked asked);

/* Hands out the next queued request. False: there is none. */
bool as_flight_pop(as_flight *flight, anonset_request *request);

/* Takes the request with this id off the wire. False: none is outstanding. */
bool as_flight_take(as_flight *flight, as_asked *asked, uint32_t id);

/* As as_flight_take, but leaves it there: more of its answer is to come. */
bool as_flight_find(const as_flight *flight, as_asked *asked, uint32_t id);

/* Whether a request of this role is queued or on the wire. */
bool as_flight_has(const as_flight *flight, as_role role);

/* How many requests of this role are queued or on the wire. */
size_t as_flight_count(const as_flight *flight, as_role role);

/* The lowest `lo` of these; UINT32_MAX: there are none. */
uint32_t as_flight_lowest(const as_flight *flight, as_role role);

/* Drops what is queued; answers to what is on the wire will not be looked at. */
void as_flight_ignore(as_flight *flight);

/* The same, but for requests of this role below `lo`. */
void as_flight_ignore_from(as_flight *flight, as_role role, uint32_t lo);

/* The connection is gone: nothing is outstanding any more. */
void as_flight_void(as_flight *flight);

#endif
