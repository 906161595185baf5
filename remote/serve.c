#include "remote/serve.h"

#include "core/base64.h"
#include "remote/json.h"

#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MOST     64u
#define PARAMS_MOST 4
#define PINS        8u
#define PIN_BUDGET  (1u << 20) /* above what a client spends on proofs: see find_pin */
#define PIN_TRIES   8u
#define WORD_MOST   64u        /* longest parameter that makes sense: a hash in base64 has 44 */
#define USED_PAGE   256u       /* tags read at once */
#define OUT_MOST    (1u << 20) /* a piece and its last coin, of any length that a sync accepts */

/* A block that is on the chain of a newer one: true for ever. */
typedef struct as_pin {
    uint32_t group, size;
    uint8_t block[ANONSET_HASH_BYTES];
    uint8_t newest[ANONSET_HASH_BYTES];
} as_pin;

/* The rest of an answer that is being written. Of a sector: indices [at, end) of the set at the
 * block of `pin`. Of the used coin tags: positions [at, end) of `list`, which is all of it. */
typedef struct as_rest {
    uint32_t at, end;
    bool of_list;
    as_pin pin;
    anonset_used_state list;
    bool some; /* a coin or tag was written before */
    bool under_way;
} as_rest;

struct as_session {
    anonset_store *store;
    anonset_gate least;
    char *out; /* written and not yet sent: [sent, len) */
    size_t len, sent, room;
    bool failed; /* no memory for it */
    bool open;
    bool last;
    char id[ID_MOST + 1]; /* of the request, as it stood there */
    as_rest rest;
    as_pin pins[PINS]; /* found lately: looking for them reads coins */
    unsigned next_pin;
    anonset_detail trouble;
    bool troubled;
};

/* What was asked. The words are taken apart in the line. */
typedef struct as_call {
    as_span method;
    char words[PARAMS_MOST][WORD_MOST];
    int n;        /* parameters; more than PARAMS_MOST are counted, not kept */
    bool strings; /* all of them are, and none is longer than makes sense */
} as_call;

/* ---- Writing ------------------------------------------------------------------------------ */

static bool make_room(as_session *s, size_t more)
{
    size_t wanted = s->len + more, room = s->room ? s->room : 1024;
    while (room < wanted)
        room *= 2;
    if (room != s->room) {
        char *out = room <= OUT_MOST ? realloc(s->out, room) : NULL;
        s->failed |= !out;
        if (!out)
            return false;
        s->out = out;
        s->room = room;
    }
    return true;
}

static void put(as_session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(as_session *s, const char *format, ...)
{
    char text[512] = ""; /* longer than all that is put at once */
    size_t n;
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    n = strlen(text);
    if (make_room(s, n)) {
        memcpy(s->out + s->len, text, n);
        s->len += n;
    }
}

static void put_base64(as_session *s, const uint8_t *bytes, size_t n)
{
    if (make_room(s, AS_BASE64_CHARS(n) + 1))
        s->len += as_base64_encode(s->out + s->len, bytes, n);
}

static void put_hash(as_session *s, const uint8_t *hash)
{
    put(s, "\"");
    put_base64(s, hash, ANONSET_HASH_BYTES);
    put(s, "\"");
}

static void put_coin(as_session *s, const anonset_coin *coin, bool first)
{
    put(s, first ? "[\"" : ",[\"");
    put_base64(s, coin->serialized, coin->serialized_len);
    put(s, "\",\"");
    put_base64(s, coin->tx_hash, ANONSET_HASH_BYTES);
    put(s, "\",\"");
    put_base64(s, coin->context, coin->context_len);
    put(s, "\"]");
}

static void begin_result(as_session *s)
{
    put(s, "{\"jsonrpc\":\"2.0\",\"result\":");
}

static void end_answer(as_session *s)
{
    put(s, ",\"id\":%s}\n", s->id);
}

static void put_error(as_session *s, int code, const char *message)
{
    put(s, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":%d,\"message\":\"%s\"}", code, message);
    end_answer(s);
}

/* As electrumx quotes its node. */
static void put_node_error(as_session *s, const char *message)
{
    char quoted[400];
    (void)snprintf(quoted, sizeof quoted,
                   "daemon error: DaemonError({'code': -1, 'message': '%s'})", message);
    put_error(s, 2, quoted);
}

static void put_no_group(as_session *s, const char *group)
{
    char message[200];
    (void)snprintf(message, sizeof message,
                   "Unable to get anonymity set by provided parameters: There is no anonymity set "
                   "with this id: %s",
                   group);
    put_node_error(s, message);
}

static void put_refused_block(as_session *s, const uint8_t *hash)
{
    char hex[2 * ANONSET_HASH_BYTES + 1], message[200];
    for (size_t i = 0; i < ANONSET_HASH_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", hash[ANONSET_HASH_BYTES - 1 - i]);
    (void)snprintf(message, sizeof message,
                   "Unable to get anonymity set by provided parameters: Incorrect blockHash "
                   "provided: %s",
                   hex);
    put_node_error(s, message);
}

/* Nothing of how this machine keeps its store is for clients. */
static void put_trouble(as_session *s, const anonset_detail *why)
{
    s->trouble = *why;
    s->troubled = true;
    put_error(s, -102, "server busy - the store cannot be read just now");
}

/* ---- The store ---------------------------------------------------------------------------- */

/* A set below the level asked for is NOT_FOUND, too. */
static anonset_code open_set(const as_session *s, anonset_snapshot **set, uint32_t group,
                             anonset_detail *detail)
{
    anonset_code code = ANONSET_NOT_FOUND;
    if (group > 0)
        code = anonset_snapshot_open_gated(set, s->store, group, s->least, detail);
    return code == ANONSET_UNPROVEN ? ANONSET_NOT_FOUND : code;
}

static void answer_meta(as_session *s, uint32_t group)
{
    anonset_meta meta = {.size = 0};
    anonset_snapshot *set = NULL;
    anonset_detail why = {0};
    anonset_code code = open_set(s, &set, group, &why);
    if (code == ANONSET_OK)
        meta = anonset_snapshot_state(set)->finalized;
    anonset_snapshot_close(set);
    if (code != ANONSET_OK && code != ANONSET_NOT_FOUND) {
        put_trouble(s, &why);
        return;
    }
    begin_result(s);
    put(s, "{\"blockHash\":");
    put_hash(s, meta.block_hash);
    put(s, ",\"setHash\":");
    if (meta.has_set_hash)
        put_hash(s, meta.set_hash);
    else
        put(s, "\"\"");
    put(s, ",\"size\":%u}", (unsigned)meta.size);
    end_answer(s);
}

static anonset_code newest_group(const as_session *s, uint32_t *newest, anonset_detail *why)
{
    anonset_code code = ANONSET_OK;
    uint32_t group = 0;
    *newest = 0;
    while ((code = anonset_store_next_group(s->store, &group, group, why)) == ANONSET_OK) {
        anonset_state state;
        code = anonset_store_state(s->store, &state, group, why);
        if (code != ANONSET_OK)
            return code;
        if (state.has_finalized && state.gate >= s->least)
            *newest = group;
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

static void answer_newest(as_session *s)
{
    anonset_detail why = {0};
    uint32_t newest;
    if (newest_group(s, &newest, &why) != ANONSET_OK) {
        put_trouble(s, &why);
        return;
    }
    begin_result(s);
    put(s, "%u", (unsigned)newest);
    end_answer(s);
}

static void answer_features(as_session *s)
{
    uint8_t genesis[ANONSET_HASH_BYTES];
    anonset_detail why = {0};
    anonset_code code = anonset_store_genesis(s->store, genesis, &why);
    if (code != ANONSET_OK && code != ANONSET_NOT_FOUND) {
        put_trouble(s, &why);
        return;
    }
    begin_result(s);
    put(s,
        "{\"hosts\":{},\"pruning\":null,\"server_version\":\"anonset %s\","
        "\"protocol_min\":\"1.4\",\"protocol_max\":\"1.4.2\"",
        anonset_version());
    if (code == ANONSET_OK) {
        put(s, ",\"genesis_hash\":\"");
        for (size_t i = 0; i < sizeof genesis; i++)
            put(s, "%02x", genesis[i]);
        put(s, "\"");
    }
    put(s, ",\"hash_function\":\"sha256\",\"services\":[]}");
    end_answer(s);
}

/* ---- Sectors ------------------------------------------------------------------------------ */

/* As many coins as a piece has room for; what remains is remembered. */
static anonset_code write_coins(as_session *s, anonset_snapshot *set, uint32_t size,
                                anonset_detail *detail)
{
    as_rest *rest = &s->rest;
    anonset_coin coin;
    /* The newest of them first: index i is position size - 1 - i. */
    anonset_code code =
        anonset_snapshot_seek(set, size - rest->end, size - rest->at, ANONSET_NEWEST_FIRST, detail);
    while (code == ANONSET_OK && rest->at < rest->end && s->len < AS_SERVE_PIECE && !s->failed) {
        code = anonset_snapshot_next(set, &coin, detail);
        if (code != ANONSET_OK)
            break;
        put_coin(s, &coin, !rest->some);
        rest->some = true;
        rest->at++;
    }
    return code;
}

static const as_pin *known_pin(const as_session *s, uint32_t group, const uint8_t *block,
                               const uint8_t *newest)
{
    for (size_t i = 0; i < PINS; i++) {
        const as_pin *pin = &s->pins[i];
        if (pin->group == group && memcmp(pin->block, block, sizeof pin->block) == 0 &&
            memcmp(pin->newest, newest, sizeof pin->newest) == 0)
            return pin;
    }
    return NULL;
}

/*
 * Sets *pin to a block on the chain of the newest one of `set`. NOT_FOUND: it is not. A client
 * proves its set from the blocks we accept, and gives a set up that it can refute: so the search
 * that finds a block off the chain must not give up before the client's does.
 */
static anonset_code find_pin(as_session *s, as_pin *pin, anonset_snapshot *set, uint32_t group,
                             const uint8_t *block, anonset_detail *detail)
{
    const uint8_t *newest = anonset_snapshot_state(set)->finalized.block_hash;
    const as_pin *known = known_pin(s, group, block, newest);
    anonset_meta ancestor, seen;
    anonset_code code;
    if (known) {
        *pin = *known;
        return ANONSET_OK;
    }
    code = anonset_store_ancestor(s->store, &ancestor, &seen, group, block, PIN_BUDGET, detail);
    if (code != ANONSET_OK)
        return code;
    *pin = (as_pin){.group = group, .size = ancestor.size};
    memcpy(pin->block, block, sizeof pin->block);
    memcpy(pin->newest, seen.block_hash, sizeof pin->newest);
    s->pins[s->next_pin++ % PINS] = *pin;
    /* A sync may have ended in between: then the block is on the chain of a newer state. */
    return memcmp(seen.block_hash, newest, ANONSET_HASH_BYTES) == 0 ? ANONSET_OK : ANONSET_STALE;
}

/* Opens the newest state of a group at whose chain the block is. STALE: there are too many syncs.
 */
static anonset_code open_at(as_session *s, anonset_snapshot **set, as_pin *pin, uint32_t group,
                            const uint8_t *block, bool *group_is_there, anonset_detail *detail)
{
    anonset_code code = ANONSET_STALE;
    *set = NULL;
    for (unsigned tries = 0; code == ANONSET_STALE && tries < PIN_TRIES; tries++) {
        anonset_snapshot_close(*set);
        *set = NULL;
        code = open_set(s, set, group, detail);
        *group_is_there = code == ANONSET_OK;
        if (code == ANONSET_OK)
            code = find_pin(s, pin, *set, group, block, detail);
    }
    if (code == ANONSET_OK)
        return code;
    anonset_snapshot_close(*set);
    *set = NULL;
    return code;
}

/* The next coins of a sector, from a snapshot of their own. */
static anonset_code write_sector(as_session *s, anonset_detail *detail)
{
    as_rest *rest = &s->rest;
    anonset_snapshot *set;
    as_pin now;
    bool there;
    anonset_code code = open_at(s, &set, &now, rest->pin.group, rest->pin.block, &there, detail);
    if (code == ANONSET_OK)
        code =
            now.size == rest->pin.size ? write_coins(s, set, now.size, detail) : ANONSET_NOT_FOUND;
    anonset_snapshot_close(set);
    return code;
}

/* Whether the sector can be answered. */
static bool find_block(as_session *s, as_pin *pin, const as_call *call, uint32_t group,
                       const uint8_t *block)
{
    anonset_snapshot *set;
    anonset_detail why = {0};
    bool known;
    anonset_code code = open_at(s, &set, pin, group, block, &known, &why);
    anonset_snapshot_close(set);
    if (code == ANONSET_OK)
        return true;
    if (code != ANONSET_NOT_FOUND)
        put_trouble(s, &why);
    else if (known)
        put_refused_block(s, block);
    else
        put_no_group(s, call->words[0]);
    return false;
}

static bool read_number(char *word, uint32_t *number)
{
    as_span span = {word, strlen(word)};
    return as_json_unsigned(span, UINT32_MAX, number);
}

static void answer_sector(as_session *s, as_call *call, uint32_t group)
{
    uint8_t block[WORD_MOST];
    as_pin pin;
    uint32_t from, to;
    size_t n = 0;
    if (!read_number(call->words[2], &from) || !read_number(call->words[3], &to)) {
        put_node_error(s, "An exception occurred while parsing parameters: stol");
    } else if (!as_base64_decode(block, &n, call->words[1], strlen(call->words[1])) ||
               n != ANONSET_HASH_BYTES) {
        put_node_error(s, "Provided blockHash data is not correct.");
    } else if (find_block(s, &pin, call, group, block)) {
        to = to < pin.size ? to : pin.size;
        from = from < to ? from : to;
        s->rest = (as_rest){.at = from, .end = to, .pin = pin, .under_way = true};
        begin_result(s);
        put(s, "{\"coins\":[");
    }
}

/* ---- Used coin tags ----------------------------------------------------------------------- */

static void put_used(as_session *s, const anonset_used *used, bool first)
{
    put(s, first ? "[\"" : ",[\"");
    put_base64(s, used->tag, ANONSET_TAG_BYTES);
    put(s, "\",\"");
    put_base64(s, used->tx_hash, ANONSET_HASH_BYTES);
    put(s, "\"]");
}

/* As many tags as a piece has room for. */
static anonset_code write_tags(as_session *s, anonset_used_list *list, anonset_detail *detail)
{
    as_rest *rest = &s->rest;
    anonset_used page[USED_PAGE];
    anonset_code code = ANONSET_OK;
    while (rest->at < rest->end && s->len < AS_SERVE_PIECE && !s->failed) {
        uint32_t n = 0, left = rest->end - rest->at;
        code = anonset_used_read(list, page, &n, rest->at, left < USED_PAGE ? left : USED_PAGE,
                                 detail);
        if (code != ANONSET_OK)
            break;
        for (uint32_t i = 0; i < n; i++) {
            put_used(s, &page[i], !rest->some);
            rest->some = true;
        }
        rest->at += n;
    }
    return code;
}

static bool same_list(const anonset_used_state *a, const anonset_used_state *b)
{
    return a->count == b->count && memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

/*
 * The next tags. No block is named by who asks, so nothing but the list's own state tells that the
 * tags belong together: where a sync has changed it meanwhile, the answer ends. A client keeps what
 * it stored of it, and asks again for what is behind that.
 */
static anonset_code write_list(as_session *s, anonset_detail *detail)
{
    anonset_used_list *list;
    anonset_code code = anonset_used_open(&list, s->store, detail);
    if (code != ANONSET_OK)
        return code;
    code = same_list(anonset_used_list_state(list), &s->rest.list) ? write_tags(s, list, detail)
                                                                   : ANONSET_NOT_FOUND;
    anonset_used_close(list);
    return code;
}

/*
 * A store whose list was never synced has none: an empty answer would say that no coin was ever
 * spent. Past the end of one that is there, an empty answer is what a node gives.
 */
static void answer_used(as_session *s, uint32_t from)
{
    anonset_used_state state;
    anonset_used_list *list;
    anonset_detail why = {0};
    if (anonset_used_open(&list, s->store, &why) != ANONSET_OK) {
        put_trouble(s, &why);
        return;
    }
    state = *anonset_used_list_state(list);
    anonset_used_close(list);
    if (state.count == 0) {
        put_node_error(s, "There is no list of used coin tags here");
        return;
    }
    s->rest = (as_rest){.at = from < state.count ? from : state.count,
                        .end = state.count,
                        .of_list = true,
                        .list = state,
                        .under_way = true};
    begin_result(s);
    put(s, "{\"tagsandtxids\":[");
}

/* ---- Answers in pieces -------------------------------------------------------------------- */

static anonset_code write_piece(as_session *s, anonset_detail *detail)
{
    as_rest *rest = &s->rest;
    anonset_code code = rest->of_list ? write_list(s, detail) : write_sector(s, detail);
    if (code == ANONSET_OK && rest->at == rest->end) {
        put(s, "]}");
        end_answer(s);
        rest->under_way = false;
    }
    return code;
}

/* ---- Requests ----------------------------------------------------------------------------- */

static bool read_params(as_call *call, as_span array)
{
    jsmntok_t tokens[PARAMS_MOST + 1] = {0};
    jsmn_parser parser;
    call->strings = true;
    if (!array.at)
        return true;
    if (array.at[0] != '[')
        return false;
    jsmn_init(&parser);
    int n = jsmn_parse(&parser, array.at, array.len, tokens, PARAMS_MOST + 1);
    call->n = PARAMS_MOST + 1;
    if (n < 0)
        return true;
    call->n = tokens[0].size;
    for (int i = 0; i < call->n; i++) {
        as_span quoted, word;
        if (tokens[i + 1].type != JSMN_STRING) {
            call->strings = false;
            break;
        }
        quoted = (as_span){array.at + tokens[i + 1].start - 1,
                           (size_t)(tokens[i + 1].end - tokens[i + 1].start) + 2};
        (void)as_json_string(quoted, &word); /* it was found to be one; and it holds no NUL */
        call->strings = word.len < WORD_MOST;
        if (!call->strings)
            break;
        memcpy(call->words[i], word.at, word.len);
    }
    return true;
}

/* An id is given back as it stands: a number, a string or null, and no longer than anybody needs.
 */
static bool keep_id(as_session *s, as_span id)
{
    if (id.len > ID_MOST || id.at[0] == '{' || id.at[0] == '[')
        return false;
    memcpy(s->id, id.at, id.len);
    s->id[id.len] = '\0';
    return true;
}

static const struct as_method {
    const char *name;
    int params;
} methods[] = {
    {"server.version", -1}, /* any */
    {"server.ping", 0},
    {"server.features", 0},
    {"spark.getsparklatestcoinid", 0},
    {"spark.getsparkanonymitysetmeta", 1},
    {"spark.getsparkanonymitysetsector", 4},
    {"spark.getusedcoinstagstxhashes", 1},
};

enum {
    VERSION,
    PING,
    FEATURES,
    NEWEST,
    META,
    SECTOR,
    USED,
    METHODS
};

/* Of what begins with a number: a group, or a position. */
static void answer_numbered(as_session *s, as_call *call, int method)
{
    uint32_t number = 0;
    if (!call->strings)
        put_node_error(s, "JSON value is not a string as expected");
    else if (!read_number(call->words[0], &number))
        put_node_error(s, "An exception occurred while parsing parameters: stol");
    else if (method == META)
        answer_meta(s, number);
    else if (method == SECTOR)
        answer_sector(s, call, number);
    else
        answer_used(s, number);
}

static void answer_call(as_session *s, as_call *call)
{
    int method = 0;
    while (method < METHODS && !as_json_is(call->method, methods[method].name))
        method++;
    if (method != VERSION && !s->open) {
        s->last = true;
        put_error(s, 1, "use server.version to identify client");
        return;
    }
    if (method < METHODS && methods[method].params >= 0 && methods[method].params != call->n) {
        put_error(s, -32602, "wrong number of arguments");
        return;
    }
    switch (method) {
    case VERSION:
        s->open = true;
        begin_result(s);
        put(s, "[\"anonset %s\",\"1.4\"]", anonset_version());
        end_answer(s);
        break;
    case PING:
        begin_result(s);
        put(s, "null");
        end_answer(s);
        break;
    case FEATURES:
        answer_features(s);
        break;
    case NEWEST:
        answer_newest(s);
        break;
    case META:
    case SECTOR:
    case USED:
        answer_numbered(s, call, method);
        break;
    default:
        put_error(s, -32601, "unknown method");
    }
}

void as_session_take(as_session *s, char *line, size_t len)
{
    static const char *const names[] = {"id", "method", "params"};
    as_call call = {.n = 0};
    as_span values[3];
    (void)strcpy(s->id, "null");
    if (!as_json_members((as_span){line, len}, names, values, 3)) {
        put_error(s, -32700, "invalid JSON, or no single request");
        return;
    }
    if (!values[0].at) /* a notification: nobody waits for an answer */
        return;
    if (!keep_id(s, values[0]) || !values[1].at || !as_json_string(values[1], &call.method) ||
        !read_params(&call, values[2]))
        put_error(s, -32600, "the id, the method or the parameters are not what they should be");
    else
        answer_call(s, &call);
}

void as_session_refuse_line(as_session *s)
{
    (void)strcpy(s->id, "null");
    s->last = true;
    put_error(s, -32600, "the request is too long");
}

/* ---- Life --------------------------------------------------------------------------------- */

as_session *as_session_new(anonset_store *store, anonset_gate least)
{
    as_session *s = calloc(1, sizeof *s);
    if (s) {
        s->store = store;
        s->least = least;
    }
    return s;
}

void as_session_free(as_session *s)
{
    if (!s)
        return;
    free(s->out);
    free(s);
}

anonset_code as_session_output(as_session *s, const char **text, size_t *len,
                               anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    if (s->sent == s->len) {
        s->sent = s->len = 0;
        if (s->rest.under_way)
            code = write_piece(s, detail);
    }
    if (s->failed) {
        *detail = (anonset_detail){.code = ANONSET_NO_MEMORY, .text = "no memory for an answer"};
        return ANONSET_NO_MEMORY;
    }
    if (code != ANONSET_OK)
        return code;
    *text = s->out + s->sent;
    *len = s->len - s->sent;
    return code;
}

void as_session_sent(as_session *s, size_t n)
{
    s->sent += n;
}

bool as_session_is_last(const as_session *s)
{
    return s->last;
}

bool as_session_is_open(const as_session *s)
{
    return s->open;
}

bool as_session_trouble(as_session *s, anonset_detail *detail)
{
    bool troubled = s->troubled;
    if (troubled)
        *detail = s->trouble;
    s->troubled = false;
    return troubled;
}
