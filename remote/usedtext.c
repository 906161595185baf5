/*
 * Answers in pieces: the list of used coin tags has no length that could be known before, so its
 * text is never there as a whole. The pairs are taken out of it as they come; what is left around
 * them is a small answer with an empty list, which jsonrpc.c reads as any other: strict JSON, the
 * id, an error. A byte is looked at once, and nothing is kept that grows.
 */
#include "core/alloc.h"
#include "core/base64.h"
#include "core/detail.h"

#include <anonset/anonset.h>
#include <stddef.h>
#include <string.h>

#define AROUND_MOST 65536u /* anonset_answer_limit */
#define TAG_TEXT    AS_BASE64_CHARS(ANONSET_TAG_BYTES)
#define HASH_TEXT   AS_BASE64_CHARS(ANONSET_HASH_BYTES)

static const char list_name[] = "\"tagsandtxids\"";
static const char too_long[] = "it is longer than any answer to what was asked can be";

/* Where the next byte is. */
typedef enum place {
    AROUND,
    LIST,      /* behind the list's bracket */
    NEXT,      /* behind a pair */
    PAIR,      /* behind a comma */
    TAG_QUOTE, /* behind a pair's bracket */
    TAG,
    COMMA,
    HASH_QUOTE,
    HASH,
    CLOSE
} place;

/* How much of `"tagsandtxids": [` is behind us. */
typedef enum name_seen {
    NO_NAME,
    NAME,
    COLON
} name_seen;

struct anonset_used_text {
    place at;
    bool escaped; /* the byte before was a backslash that counts */

    bool in_string;     /* AROUND */
    size_t string_from; /* where it begins in `around` */
    name_seen name;
    bool listed; /* the answer had its list */

    uint64_t bytes;          /* of the answer, since the last was handed out */
    uint64_t blanks, others; /* of them all */

    /* What these hold is what was read: they begin as memory that nobody touched. */
    size_t string_len, around_len;
    uint32_t n;            /* of `used` */
    char string[TAG_TEXT]; /* of the pair under way */
    char around[AROUND_MOST];
    anonset_used used[ANONSET_USED_BATCH];
};

static anonset_code bad(anonset_detail *detail, const char *what)
{
    return as_fail(detail, ANONSET_BAD_ANSWER, 0,
                   "the server's answer breaks the protocol: %s; use another server if it stays so",
                   what);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* ---- Around the list ---------------------------------------------------------------------- */

/* A string ended: is it the name of the list? */
static bool is_list_name(const anonset_used_text *r)
{
    return r->around_len - r->string_from == sizeof list_name - 1 &&
           memcmp(r->around + r->string_from, list_name, sizeof list_name - 1) == 0;
}

static void take_in_string(anonset_used_text *r, char c)
{
    if (r->escaped) {
        r->escaped = false;
    } else if (c == '\\') {
        r->escaped = true;
    } else if (c == '"') {
        r->in_string = false;
        r->name = is_list_name(r) ? NAME : NO_NAME;
    }
}

/* Returns what is wrong, or NULL. */
static const char *take_outside(anonset_used_text *r, char c)
{
    if (c == '[' && r->name == COLON) {
        if (r->listed)
            return "it has two lists";
        r->listed = true;
        r->at = LIST;
    }
    r->name = c == ':' && r->name == NAME ? COLON : NO_NAME;
    r->in_string = c == '"';
    if (r->in_string)
        r->string_from = r->around_len - 1;
    return NULL;
}

/* Of blanks one is kept: electrumx pads its answers with up to as many as they have bytes. */
static const char *take_around(anonset_used_text *r, char c)
{
    bool blank = !r->in_string && is_space(c);
    if (blank && r->around_len > 0 && is_space(r->around[r->around_len - 1]))
        return NULL;
    if (r->around_len == AROUND_MOST)
        return too_long;
    r->around[r->around_len++] = c;
    if (blank)
        return NULL;
    if (!r->in_string)
        return take_outside(r, c);
    take_in_string(r, c);
    return NULL;
}

/* ---- In the list -------------------------------------------------------------------------- */

static bool decode(uint8_t *out, size_t bytes, const anonset_used_text *r)
{
    uint8_t decoded[TAG_TEXT];
    size_t len;
    if (!as_base64_decode(decoded, &len, r->string, r->string_len) || len != bytes)
        return false;
    memcpy(out, decoded, bytes);
    return true;
}

static const char *end_string(anonset_used_text *r)
{
    anonset_used *used = &r->used[r->n];
    bool tag = r->at == TAG;
    r->at = tag ? COMMA : CLOSE;
    if (tag ? decode(used->tag, sizeof used->tag, r)
            : decode(used->tx_hash, sizeof used->tx_hash, r))
        return NULL;
    return tag ? "a used tag is not 34 bytes of base64"
               : "the transaction of a used tag is not 32 bytes of base64";
}

/* In a string of a pair. The one letter of base64 that some write as an escape is the slash. */
static const char *take_string(anonset_used_text *r, char c)
{
    if (c == '"' && !r->escaped)
        return end_string(r);
    if (c == '\\' && !r->escaped) {
        r->escaped = true;
        return NULL;
    }
    if ((r->escaped && c != '/') || r->string_len == sizeof r->string)
        return "a string of a used tag is none of base64";
    r->escaped = false;
    r->string[r->string_len++] = c;
    return NULL;
}

/* Between the strings: one byte is right at each place, and at two of them the list may end. */
static const char *take_mark(anonset_used_text *r, char c)
{
    static const struct {
        char expected;
        place then;
    } marks[] = {
        [LIST] = {'[', TAG_QUOTE}, [NEXT] = {',', PAIR},        [PAIR] = {'[', TAG_QUOTE},
        [TAG_QUOTE] = {'"', TAG},  [COMMA] = {',', HASH_QUOTE}, [HASH_QUOTE] = {'"', HASH},
        [CLOSE] = {']', NEXT},
    };
    if (is_space(c))
        return NULL;
    if (c == ']' && (r->at == LIST || r->at == NEXT)) {
        r->at = AROUND;
        return take_around(r, c);
    }
    if (c != marks[r->at].expected)
        return "a used tag is not a list of two strings";
    r->n += r->at == CLOSE;
    r->at = marks[r->at].then;
    r->string_len = 0;
    return NULL;
}

/* Padding doubles an answer at most: blanks without end would be an answer without one. */
static bool is_padded_beyond(anonset_used_text *r, char c)
{
    if (!is_space(c)) {
        r->others++;
        return false;
    }
    return ++r->blanks > r->others + AROUND_MOST;
}

static const char *take(anonset_used_text *r, char c)
{
    if (is_padded_beyond(r, c))
        return too_long;
    switch (r->at) {
    case AROUND:
        return take_around(r, c);
    case TAG:
    case HASH:
        return take_string(r, c);
    default:
        return take_mark(r, c);
    }
}

/* ---- Answers ------------------------------------------------------------------------------ */

anonset_code anonset_used_text_new(anonset_used_text **reader, anonset_detail *detail)
{
    if (!reader)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_used_text_new: a NULL argument");
    anonset_used_text *made = as_alloc(sizeof *made);
    if (!made)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for reading used tags");
    memset(made, 0, offsetof(anonset_used_text, string));
    *reader = made;
    return ANONSET_OK;
}

void anonset_used_text_free(anonset_used_text *reader)
{
    as_free(reader);
}

static const anonset_request *find_used(const anonset_request *outstanding, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (outstanding[i].kind == ANONSET_REQUEST_USED)
            return &outstanding[i];
    return NULL;
}

static void hand_out(anonset_used_text *r, anonset_answer *answer)
{
    answer->used = r->used;
    answer->n = r->n;
    answer->wire_bytes = answer->text_bytes = r->bytes;
    r->bytes = 0;
    r->n = 0; /* they stay where they are until the next call */
}

/* Not all that is taken for an answer is JSON: a busy firod's words may end within a string. */
static void forget_answer(anonset_used_text *r)
{
    r->escaped = r->in_string = r->listed = false;
    r->name = NO_NAME;
    r->around_len = 0;
    r->blanks = r->others = 0;
}

/* The answer is at its end: what kind of one was it? */
static anonset_code finish(anonset_used_text *r, anonset_answer *answer,
                           const anonset_request *outstanding, size_t n, anonset_dialect dialect,
                           anonset_detail *detail)
{
    if (r->at != AROUND)
        return bad(detail, "it ends within its list");
    anonset_code code =
        anonset_answer_read(answer, r->around, r->around_len, outstanding, n, dialect, detail);
    if (code != ANONSET_OK)
        return code;
    if (answer->kind != ANONSET_ANSWER_USED && r->listed)
        return bad(detail, "it has a list of used tags, and answers something else");
    forget_answer(r);
    hand_out(r, answer);
    return ANONSET_OK;
}

anonset_code anonset_used_text_read(anonset_used_text *reader, anonset_answer *answer,
                                    size_t *taken, const char *text, size_t len, bool last,
                                    const anonset_request *outstanding, size_t n,
                                    anonset_dialect dialect, anonset_detail *detail)
{
    const anonset_request *asked = outstanding ? find_used(outstanding, n) : NULL;
    size_t at = 0;
    if (!reader || !answer || !taken || (!text && len) || !asked)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "anonset_used_text_read: a NULL argument, or no list was asked for");
    *answer = (anonset_answer){.kind = ANONSET_ANSWER_NONE};
    while (at < len && reader->n < ANONSET_USED_BATCH) {
        const char *wrong = take(reader, text[at++]);
        if (wrong)
            return bad(detail, wrong);
    }
    *taken = at;
    reader->bytes += at;
    if (last && at == len)
        return finish(reader, answer, outstanding, n, dialect, detail);
    if (reader->n == ANONSET_USED_BATCH) {
        answer->id = asked->id;
        answer->kind = ANONSET_ANSWER_USED;
        answer->more = true;
        hand_out(reader, answer);
    }
    return ANONSET_OK;
}
