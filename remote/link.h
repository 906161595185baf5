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

/* What became of a call on a link. All but OK and CANCELLED come with a detail. */
typedef enum as_fate {
    AS_FATE_OK,
    AS_FATE_RETRY,    /* transient: connect again */
    AS_FATE_TIMEOUT,  /* the same; it was too slow */
    AS_FATE_FATAL,    /* trying again will not mend it */
    AS_FATE_CANCELLED /* anonset_sync_is_cancelled */
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
    /* Takes a request; it may leave only with the next flush. */
    as_fate (*queue)(as_link *link, const anonset_request *request, anonset_detail *detail);
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
    const anonset_sync *sync; /* whose cancel ends a wait; set by client.c */
    CURLM *multi;             /* NULL: not open */
    CURL *easy;
    as_inbuf in;
    uint64_t
        piece_since; /* when the first piece of the message under way was waited for; 0: none */
    uint64_t piece_bytes; /* of it so far */
    char curl_text[CURL_ERROR_SIZE];
};

/* Makes link->multi and link->easy, with all that the target says set. */
as_fate as_link_prepare(as_link *link, anonset_detail *detail);

/* Ends them, and with them the connection. */
void as_link_shut(as_link *link);

/* Tells what a libcurl error means. `doing` as in "could not connect". */
as_fate as_link_failed(as_link *link, CURLcode code, const char *doing, anonset_detail *detail);

/* A message longer than its request allows, or no memory for it. */
as_fate as_link_refuse(as_link *link, anonset_code code, anonset_detail *detail);

as_fate as_link_timed_out(as_link *link, anonset_detail *detail);

/*
 * Until when to wait for the next byte of a message that is awaited since `since` and of which
 * `bytes` came, the last of them now: for timeout_ms, but no longer than AS_LINK_SLOWEST bytes a
 * second would have taken on top of that. A server that sends a byte a second would else hold a
 * sync for days.
 */
#define AS_LINK_SLOWEST 100u
uint64_t as_link_deadline(const as_link *link, uint64_t since, uint64_t bytes);

/* The same for a message in pieces, of which `bytes` came just now. What it took to store the
 * pieces before counts as waiting: at AS_LINK_SLOWEST it does not matter. */
uint64_t as_link_piece_deadline(as_link *link, size_t bytes);

/* The message in pieces ended. */
void as_link_piece_end(as_link *link);

/* Lets libcurl work, then, unless bytes came in, waits for more to do, AS_LINK_NAP_MS at most.
 * *done is the handle whose transfer has ended, with *result, or NULL. */
as_fate as_link_turn(as_link *link, CURL **done, CURLcode *result, anonset_detail *detail);

/* How long a wait lasts before the sync's cancel is looked at. */
#define AS_LINK_NAP_MS 50

/* A clock that never goes back. */
uint64_t as_now_ms(void);

/* The largest answer that any of these requests is worth, line end included. */
size_t as_link_ceiling(const anonset_request *outstanding, size_t n);

#endif
