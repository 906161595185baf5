/* JSON-RPC requests, read, and what the methods answer. */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include "tests/server/server.h"

#define PARAMS 8u

typedef struct param {
    char *value; /* NUL-ended, as it stands in the request; strings without quotes */
    bool is_string;
} param;

typedef struct request {
    char *id; /* raw JSON; "null" where there is none */
    char *method;
    param params[PARAMS];
    unsigned param_count;
} request;

typedef enum parsed {
    PARSED_ONE,
    PARSED_LIST,   /* a batch: see request_count */
    PARSED_NOTHING /* it is not JSON, or no request */
} parsed;

/* Reads the `index`-th request of the text (0 but for a batch). Free with request_free. */
parsed request_read(request *r, const char *json, size_t len, unsigned index);
void request_free(request *r);

typedef enum reply_kind {
    REPLY_RESULT,       /* body is JSON */
    REPLY_DAEMON_ERROR, /* an error of firod's: body is its message, escaped for JSON */
    REPLY_ERROR,        /* an error of the outer layer */
    REPLY_COUNT         /* wrong number of parameters; firod's help text is the message */
} reply_kind;

typedef struct reply {
    reply_kind kind;
    int code;
    text body;
    uint64_t coins;
    bool has_fault;
    fault fault;     /* what the protocol still has to do with it */
    unsigned wanted; /* REPLY_COUNT */
} reply;

/* Answers firod's methods (the name without "spark."). False: there is no such method. A result
 * past `limit` bytes may be left out: then the body is longer than that, and nothing more. */
bool answer_method(server *s, const request *r, const char *method, size_t limit, reply *out);
/* One of them: a transaction and its height, also by ElectrumX's name for it. */
void answer_transaction(server *s, const request *r, size_t limit, reply *out);
/* What kind of request it is to counters and faults; counts it, too. */
fault_on request_kind(server *s, const char *method);
/* A sector request has to wait for "release". */
bool request_is_held(server *s, conn *c, const request *r);

#endif
