/* Inside of anonset_client, for its own files and tests. */
#ifndef AS_CLIENT_H
#define AS_CLIENT_H

#include "core/flight.h"
#include "remote/link.h"
#include "remote/pace.h"

#define AS_BACKOFF_BASE_MS 500u
#define AS_BACKOFF_CAP_MS  30000u

/* One run of a sync, over all calls that it takes. */
typedef struct as_run {
    anonset_client *client;
    anonset_sync *sync;        /* NULL: none is under way */
    anonset_request request;   /* handed out last */
    bool unqueued;             /* it is not with the link yet */
    anonset_answer answer;     /* fed last; the sync may still look at its coins */
    bool commit_may_follow;    /* coins were fed since the last wait */
    size_t unsent;             /* requests that are queued for the next flush */
    anonset_used_text *reader; /* of a list of used tags; NULL: none is under way */
    as_piece piece;            /* of its text, not taken yet */
    uint64_t not_before;       /* nothing is done until then, by as_now_ms */
    unsigned notifications;    /* in a row, without an answer between */
    unsigned failures;         /* in a row without a commit */
    uint64_t commits;          /* as counted at the last failure */

    /* what was outstanding when the last call ended: the answers that may come are to these */
    anonset_request left[AS_FLIGHT_MAX];
    size_t n_left;
} as_run;

struct anonset_client {
    as_target target;
    const as_driver *driver;
    as_link *link;
    unsigned retries;
    unsigned backoff_base_ms; /* a test may lower both */
    unsigned backoff_cap_ms;
    as_pace pace;
    uint64_t jitter;
    as_run run;
};

/* Fills `target` from the URL and the options; as anonset_client_new. On failure there is nothing
 * to free. */
anonset_code as_target_make(as_target *target, const char *url,
                            const anonset_client_options *options, anonset_detail *detail);

void as_target_free(as_target *target);

#endif
