/*
 * A link: the one connection of a client to its server, by one of two drivers (electrumx.c,
 * firod.c). It moves requests out and whole messages in. What a failure means for the sync, when to
 * try again and when to send is client.c's.
 */
#ifndef AS_LINK_H
#define AS_LINK_H

#include "remote/inbuf.h"

#include <anonset/anonset.h>
#include <curl/curl.h>

/* Where to connect and how, checked and copied from the URL and the options. */
typedef struct as_target {
    anonset_dialect dialect;
    bool tls;
    char *where; /* "ssl://host:port", for messages: never credentials */
    char *url;   /* for libcurl: http or https, without credentials */
    char *user;  /* firod; NULL: none */
    char *password;
    char *cookie_file; /* NULL: none */
    char *proxy;       /* "": none */
    char *tls_pin;     /* NULL: none */
    char *ca_file;     /* NULL: the system's; set by tests alone */
    bool tls_insecure;
    unsigned timeout_ms;
} as_target;

/* Reads "user:password" from target->cookie_file. */
anonset_code as_target_read_cookie(as_target *target, anonset_detail *detail);

/* What became of a call on a link. All but OK, CANCELLED and LATER come with a detail. */
typedef enum as_fate {
    AS_FATE_OK,
    AS_FATE_RETRY,     /* transient: connect again */
    AS_FATE_TIMEOUT,   /* the same; it was too slow */
    AS_FATE_FATAL,     /* trying again will not mend it */
    AS_FATE_CANCELLED, /* anonset_sync_is_cancelled */
    AS_FATE_LATER      /* what the call may take is spent: call again, it goes on from there */
} as_fate;

typedef struct as_link as_link;

typedef struct as_piece {
    char *at;
    size_t len;
    bool last;
} as_piece;

typedef struct as_driver {
    as_link *(*make)(as_target *target); /* NULL: no memory */
    void (*free)(as_link *link);
    /* Connects, if it is not connected. */
    as_fate (*open)(as_link *link, anonset_detail *detail);
    void (*close)(as_link *link);
    /* Takes a request; it leaves with the next flush. */
    void (*queue)(as_link *link, const anonset_request *request);
    /* Puts what was queued on the wire; `outstanding` as by anonset_sync_outstanding. */
    as_fate (*flush)(as_link *link, const anonset_request *outstanding, size_t n,
                     anonset_detail *detail);
    /* Waits for a message. *text may be overwritten and lives until the next receive or close. */
    as_fate (*receive)(as_link *link, char **text, size_t *len, const anonset_request *outstanding,
                       size_t n, anonset_detail *detail);
    /* Waits for the next piece of a message of any length, *last: it ends it. The piece lives until
     * the next receive or close, and may be empty if it is the last. */
    as_fate (*receive_piece)(as_link *link, as_piece *piece, const anonset_request *outstanding,
                             size_t n, anonset_detail *detail);
} as_driver;

extern const as_driver as_electrumx;
extern const as_driver as_firod;

/* What both drivers have; the first member of theirs. */
struct as_link {
    as_target *target;
    CURLM *multi; /* NULL: not open */
    CURL *easy;
    as_inbuf in;
    char curl_text[CURL_ERROR_SIZE];

    /* the call of the client that is under way */
    const anonset_sync *sync; /* whose cancel ends a wait */
    uint64_t until;           /* its time is up, by as_now_ms; 0: it has no limit */
    uint64_t most;            /* bytes of answers that it may receive; 0: no limit */
    uint64_t received;        /* so far */

    uint64_t left_at; /* the call before ended, by as_now_ms; 0: there was none */
    uint64_t away;    /* milliseconds between calls, in all */

    /* the message that is awaited, over calls; by as_link_now */
    bool awaiting;
    bool midst; /* pieces of it were handed on, and more are to come */
    uint64_t since, deadline;
    uint64_t bytes; /* of it so far */
};

/* A call of the client on `sync` begins, and ends. It may receive so many bytes of answers and last
 * so many milliseconds; 0: no limit. */
void as_link_enter(as_link *link, const anonset_sync *sync, uint64_t max_bytes, uint32_t max_ms);
void as_link_leave(as_link *link);

/* No more bytes of answers may be received in this call. */
bool as_link_is_full(const as_link *link);

/* The same, or its time is up. Looked at only behind a first try: every call gets on by something,
 * however little it may take. */
bool as_link_is_spent(const as_link *link);

/* A clock that stands still between calls: what the caller does meanwhile is no server's delay. */
uint64_t as_link_now(const as_link *link);

/*
 * The next byte of a message is waited for for timeout_ms, but no longer than so many bytes a
 * second would have taken on top of that. A server that sends a byte a second would else hold a
 * sync for days.
 */
#define AS_LINK_SLOWEST 100u

/* Begins to wait for a message or its next piece, unless it is waited for already. Each piece has
 * timeout_ms, all of them have what AS_LINK_SLOWEST allows. What it takes to store the pieces
 * before counts as waiting: at that rate it does not matter. */
void as_link_await(as_link *link);

/* `n` bytes of it came. */
void as_link_came(as_link *link, size_t n);

/* The wait for it is over, unless `fate` is LATER. */
void as_link_awaited(as_link *link, as_fate fate);

/* The same of a piece; `last`: it ends its message. */
void as_link_awaited_piece(as_link *link, as_fate fate, bool last);

/* Makes link->multi and link->easy, with all that the target says set. */
as_fate as_link_prepare(as_link *link, anonset_detail *detail);

/* Ends them, and with them the connection. */
void as_link_shut(as_link *link);

/* Tells what a libcurl error means. `doing` as in "could not connect". */
as_fate as_link_failed(as_link *link, CURLcode code, const char *doing, anonset_detail *detail);

/* A message longer than its request allows, or no memory for it. */
as_fate as_link_refuse(as_link *link, anonset_code code, anonset_detail *detail);

as_fate as_link_timed_out(as_link *link, anonset_detail *detail);

/* Lets libcurl work, then, unless bytes came in, waits for more to do, for a nap at most. *done is
 * the handle whose transfer has ended, with *result, or NULL. */
as_fate as_link_turn(as_link *link, CURL **done, CURLcode *result, anonset_detail *detail);

/* How long a wait lasts before the sync's cancel is looked at: at most AS_LINK_NAP_MS, and not
 * longer than the call. */
#define AS_LINK_NAP_MS 50
int as_link_nap(const as_link *link);

/* A clock that never goes back. */
uint64_t as_now_ms(void);

/* The largest answer that any of these requests is worth, line end included. */
size_t as_link_ceiling(const anonset_request *outstanding, size_t n);

#endif
