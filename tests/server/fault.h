/* Faults on demand. */
#ifndef SERVER_FAULT_H
#define SERVER_FAULT_H

#include "tests/server/text.h"

typedef enum fault_kind {
    /* the connection */
    FAULT_REFUSE, /* closed as soon as it is accepted */
    FAULT_DROP,   /* closed before the answer */
    FAULT_CUT,    /* closed after half of the answer */
    FAULT_HANG,   /* the request is never answered */
    FAULT_SLOW,   /* the answer comes at arg bytes a second */
    /* the answer as a whole */
    FAULT_HUGE,      /* the answer never ends */
    FAULT_DEEP,      /* arg lists inside each other instead of a result */
    FAULT_FLOOD,     /* arg notifications before the answer */
    FAULT_WRONG_ID,  /* the id of no request */
    FAULT_ERROR,     /* an error object of this code and text */
    FAULT_TOO_LARGE, /* ElectrumX: "response too large" */
    FAULT_GARBAGE,   /* something behind the answer, on the same line or in the same body */
    FAULT_BROKEN,    /* the last brackets are missing */
    FAULT_NO_JSON,   /* a line of text that is no JSON */
    /* a sector's coins; arg: which one, counted from 0; by default the middle one */
    FAULT_SHORT,   /* one coin fewer */
    FAULT_LONG,    /* one coin more */
    FAULT_DUP,     /* a coin twice, in the place of another */
    FAULT_SWAP,    /* two neighbours change places */
    FAULT_FLIP,    /* a wrong coin that looks right */
    FAULT_TAIL,    /* the tx hash contradicts the serialized coin */
    FAULT_BASE64,  /* a character that is not base64 */
    FAULT_PADDING, /* base64 that is not canonical */
    FAULT_FIELDS,  /* a coin of four strings */
    FAULT_NUMBER,  /* a coin whose tx hash is a number */
    /* one bit of the coin at position arg of the set, counted from 0, in every answer that has it
     */
    FAULT_BIT_SERIALIZED, /* of its serialized */
    FAULT_BIT_TX,         /* of its tx hash, which serialized then contradicts */
    FAULT_BIT_CONTEXT,    /* of its context, likewise */
    FAULT_BIT_TXID,       /* of its tx hash and of the one in serialized */
    /* meta */
    FAULT_SIZE,       /* arg as size, same block hash and set hash */
    FAULT_SET_HASH,   /* another set hash, same block hash and size */
    FAULT_BLOCK_HASH, /* another block hash, same set hash and size */
    /* a transaction */
    FAULT_HEIGHT, /* arg is added to its height */
    FAULT_KINDS
} fault_kind;

/* What a rule is about. */
typedef enum fault_on {
    ON_SECTOR,
    ON_META,
    ON_LATEST,
    ON_VERSION,
    ON_FEATURES,
    ON_HEIGHT,
    ON_USED,
    ON_CONNECT,
    ON_ANY, /* any request */
    ON_KINDS
} fault_on;

typedef struct fault {
    fault_kind kind;
    fault_on on;
    uint64_t skip;   /* let so many pass first */
    uint64_t times;  /* then happen so often */
    uint64_t chance; /* of 2^32 */
    uint64_t random;
    bool has_arg;
    int64_t arg;
    uint64_t bit; /* which one of the field, counted from 0; past its end from its start again */
    int code;
    char text[256];
} fault;

typedef struct faults {
    fault *rules;
    size_t count, cap;
} faults;

/* Adds a rule: KIND, then key=value for on, skip, times (0: for ever), p, seed, arg, bit, code;
 * text=… takes the rest of the line. NULL, or what is wrong. */
const char *fault_add(faults *all, char *line);
void fault_clear(faults *all);
/* The rule that strikes now, a copy of it in *out. */
bool fault_strikes(faults *all, fault_on on, fault *out);

#endif
