/*
 * anonset_answer_read on anything at all: every input is decoded as an answer to each kind of
 * request in both dialects, in a heap block of exactly its length, and what comes out must hold
 * what the header promises. The same of anonset_used_text_read, by which the list of used coin tags
 * comes: by a protocol and in pieces that follow from the input's bytes, it must come to the same
 * as whole.
 */
#include "tests/fuzz/fuzz.h"

#include <anonset/anonset.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS   32u /* the recorded answers have ids from 0 to 26; firod's get 7 */
#define ASKED 25u

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static bool inside(const uint8_t *bytes, size_t len, const char *text, size_t text_len)
{
    const char *at = (const char *)bytes;
    return at >= text && len <= text_len && (size_t)(at - text) <= text_len - len;
}

static void check_coins(const anonset_answer *answer, const char *text, size_t len)
{
    require(answer->n <= ASKED + 1, "at most one coin more than asked");
    require(answer->n == 0 || answer->coins, "coins are there");
    for (uint32_t i = 0; i < answer->n; i++) {
        const anonset_coin *coin = &answer->coins[i];
        require(inside(coin->serialized, coin->serialized_len, text, len) &&
                    inside(coin->tx_hash, ANONSET_HASH_BYTES, text, len) &&
                    inside(coin->context, coin->context_len, text, len),
                "a coin's bytes lie in the text");
        require(coin->serialized + coin->serialized_len < coin->tx_hash &&
                    coin->tx_hash + ANONSET_HASH_BYTES < coin->context,
                "a coin's fields do not overlap");
    }
}

static void check_answer(const anonset_answer *answer, const anonset_request *request,
                         const char *text, size_t len)
{
    static const anonset_answer_kind fitting[] = {
        [ANONSET_REQUEST_META] = ANONSET_ANSWER_META,
        [ANONSET_REQUEST_SECTOR] = ANONSET_ANSWER_COINS,
        [ANONSET_REQUEST_NEWEST_GROUP] = ANONSET_ANSWER_NUMBER,
        [ANONSET_REQUEST_GENESIS] = ANONSET_ANSWER_HASH,
        [ANONSET_REQUEST_HEIGHT] = ANONSET_ANSWER_NUMBER,
    };
    bool sector = request->kind == ANONSET_REQUEST_SECTOR;
    bool of_group = sector || request->kind == ANONSET_REQUEST_META;
    require(answer->wire_bytes == len && answer->text_bytes <= len, "byte counts");
    require(memchr(answer->text, '\0', sizeof answer->text), "text has an end");
    for (const char *c = answer->text; *c; c++)
        require(*c >= 0x20 && *c < 0x7f, "text is printable ASCII");
    if (answer->kind == ANONSET_ANSWER_NONE)
        return;
    require(answer->id < IDS, "the id was asked");
    if (answer->kind <= ANONSET_ANSWER_HASH)
        require(answer->kind == fitting[request->kind], "a result fits its request");
    else if (answer->kind <= ANONSET_ANSWER_TOO_LARGE)
        require(answer->kind == ANONSET_ANSWER_NO_GROUP ? of_group : sector,
                "a refusal fits its request");
    else
        require(answer->kind <= ANONSET_ANSWER_ERROR, "the kind is known");
    require(request->kind != ANONSET_REQUEST_HEIGHT || answer->number <= INT32_MAX,
            "a height is one");
    check_coins(answer, text, len);
}

static void decode(const uint8_t *data, size_t size, anonset_request_kind kind,
                   anonset_dialect dialect)
{
    anonset_request outstanding[IDS] = {{0}};
    anonset_answer answer;
    anonset_detail detail = {.code = ANONSET_OK};
    for (uint32_t i = 0; i < IDS; i++)
        outstanding[i] = (anonset_request){.id = i, .kind = kind, .group = 1, .end = ASKED};
    char *text = malloc(size ? size : 1);
    require(text, "memory");
    if (size)
        memcpy(text, data, size);
    const anonset_request *first = dialect == ANONSET_FIROD ? &outstanding[7] : outstanding;
    size_t n = dialect == ANONSET_FIROD ? 1 : IDS;
    anonset_code code = anonset_answer_read(&answer, text, size, first, n, dialect, &detail);
    if (code == ANONSET_OK) {
        check_answer(&answer, first, text, size);
        anonset_answer_clear(&answer);
    } else {
        require(code == ANONSET_BAD_ANSWER && detail.code == code, "the code is documented");
        require(memchr(detail.text, '\0', sizeof detail.text) && *detail.text, "a detail is told");
    }
    free(text);
}

/* ---- In pieces ------------------------------------------------------------------------------ */

/* What an answer came to. */
typedef struct outcome {
    anonset_code code;
    anonset_answer_kind kind;
    uint32_t id, n;
    uint64_t tags, bytes; /* tags: a sum over all */
} outcome;

static uint64_t sum_bytes(uint64_t sum, const void *bytes, size_t len)
{
    const uint8_t *in = bytes;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ in[i]) * 0x100000001b3u;
    return sum;
}

/* One piece, in a heap block of its own. */
static void read_piece(outcome *o, anonset_used_text *reader, const uint8_t *data, size_t size,
                       bool last, const anonset_request *outstanding, size_t n,
                       anonset_dialect dialect)
{
    anonset_answer answer;
    anonset_detail detail = {.code = ANONSET_OK};
    size_t taken = 0;
    char *text = malloc(size ? size : 1);
    require(text, "memory");
    if (size)
        memcpy(text, data, size);
    o->code = anonset_used_text_read(reader, &answer, &taken, text, size, last, outstanding, n,
                                     dialect, &detail);
    free(text);
    if (o->code != ANONSET_OK) {
        require(o->code == ANONSET_BAD_ANSWER && detail.code == o->code && *detail.text,
                "the code is documented, and a detail told");
        return;
    }
    require(taken == size && !answer.more, "no input has a whole batch of tags");
    require(answer.n == 0 || (answer.kind == ANONSET_ANSWER_USED && answer.used),
            "tags come in an answer of them");
    o->kind = answer.kind;
    o->id = answer.id;
    o->n = answer.n;
    o->bytes = answer.text_bytes;
    o->tags = answer.n ? sum_bytes(1, answer.used, answer.n * sizeof *answer.used) : 0;
    require(last || answer.kind == ANONSET_ANSWER_NONE, "an answer is told at its end");
    anonset_answer_clear(&answer);
}

/* Pieces of up to `most` bytes. */
static outcome read_all(anonset_used_text *reader, const uint8_t *data, size_t size, size_t most,
                        anonset_dialect dialect)
{
    anonset_request outstanding[IDS];
    outcome o = {.code = ANONSET_OK};
    size_t at = 0, piece = 0;
    for (uint32_t i = 0; i < IDS; i++)
        outstanding[i] = (anonset_request){.id = i, .kind = ANONSET_REQUEST_USED};
    const anonset_request *first = dialect == ANONSET_FIROD ? &outstanding[7] : outstanding;
    do {
        piece = most > 1 && size - at > 1 ? 1 + data[at] * (most - 1) / 255 : most;
        piece = size - at < piece ? size - at : piece;
        read_piece(&o, reader, data + at, piece, at + piece == size, first,
                   dialect == ANONSET_FIROD ? 1 : IDS, dialect);
        at += piece;
    } while (o.code == ANONSET_OK && at < size);
    return o;
}

static void decode_pieces(const uint8_t *data, size_t size)
{
    anonset_used_text *reader = NULL;
    uint64_t sum = sum_bytes(1, data, size);
    anonset_dialect dialect = sum >> 32 & 1 ? ANONSET_FIROD : ANONSET_ELECTRUMX;
    require(anonset_used_text_new(&reader, NULL) == ANONSET_OK, "memory");
    outcome whole = read_all(reader, data, size, size + 1, dialect);
    if (whole.code != ANONSET_OK) { /* it is to be freed then */
        anonset_used_text_free(reader);
        require(anonset_used_text_new(&reader, NULL) == ANONSET_OK, "memory");
    }
    outcome parts = read_all(reader, data, size, 1 + sum % 300, dialect);
    require(whole.code == parts.code, "in pieces an answer is right or wrong as it is whole");
    require(whole.code != ANONSET_OK || memcmp(&whole, &parts, sizeof whole) == 0,
            "in pieces an answer is the same");
    anonset_used_text_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_pieces(data, size);
    for (int kind = ANONSET_REQUEST_META; kind <= ANONSET_REQUEST_HEIGHT; kind++) {
        decode(data, size, (anonset_request_kind)kind, ANONSET_ELECTRUMX);
        decode(data, size, (anonset_request_kind)kind, ANONSET_FIROD);
    }
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

/* What JSON, base64 and these answers are made of. */
static const char *const pieces[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u00",
    "\\\"",
    " ",
    "\n",
    "\t",
    "=",
    "==",
    "null",
    "true",
    "-1",
    "0",
    "7",
    "1e5",
    "1.5",
    "[]",
    "{}",
    "\"id\"",
    "\"id\":7",
    "\"result\"",
    "\"error\"",
    "\"coins\"",
    "\"size\"",
    "\"code\"",
    "\"method\"",
    "18446744073709551616",
    "4294967296",
    "[[[[[[[[",
    "\"\"",
    "AAAA",
    "/",
    "\xff",
    "\xc3\xa9",
    "\"height\"",
    "2147483648",
    "\"tagsandtxids\":[",
    "[\"iu6TSODWp2qLiWRy4xiXCMx/wDVdJNIqU5TKQu1ToHIAAA==\","
    "\"Q1E9/SJU65wwUaym2Nb6pqGpd8xMyJu8sz2Fc7jYckw=\"]",
    NULL,
};

const fuzz_target fuzz = {.name = "answer_fuzz", .most = 65536, .pieces = pieces};
