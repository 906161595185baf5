/*
 * Requests to text, answers from text. Pure, and careful: an answer comes from a server that may
 * lie. It is read in two passes. The first (json.c) checks that the whole text is strict JSON,
 * finds the id, and with it the request that is answered. The second reads what that request asked
 * for. A coin that is not written as servers write it is read by jsmn, with a fixed number of
 * tokens, so that memory does not depend on what the server sent. jsmn lets much pass that is not
 * JSON, which the first pass makes harmless.
 */
#include "core/alloc.h"
#include "core/base64.h"
#include "core/detail.h"
#include "remote/json.h"

#include <anonset/anonset.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#define HASH_TEXT       AS_BASE64_CHARS(ANONSET_HASH_BYTES)
#define COIN_STRINGS    3
#define COIN_TEXT_LEAST (HASH_TEXT + 11) /* ["","…",""], and a comma or the end */
#define HEX_DIGITS      ((size_t)2 * ANONSET_HASH_BYTES)
#define KIB             1024u

static anonset_code bad(anonset_detail *detail, const char *what)
{
    return as_fail(detail, ANONSET_BAD_ANSWER, 0,
                   "the server's answer breaks the protocol: %s; use another server if it stays so",
                   what);
}

/* ---- Requests ----------------------------------------------------------------------------- */

static const char *method_of(const anonset_request *request, anonset_dialect dialect)
{
    bool electrumx = dialect == ANONSET_ELECTRUMX;
    switch (request->kind) {
    case ANONSET_REQUEST_META:
        return electrumx ? "spark.getsparkanonymitysetmeta" : "getsparkanonymitysetmeta";
    case ANONSET_REQUEST_SECTOR:
        return electrumx ? "spark.getsparkanonymitysetsector" : "getsparkanonymitysetsector";
    case ANONSET_REQUEST_NEWEST_GROUP:
        return electrumx ? "spark.getsparklatestcoinid" : "getsparklatestcoinid";
    case ANONSET_REQUEST_GENESIS:
        return electrumx ? "server.features" : "getblockhash";
    case ANONSET_REQUEST_HEIGHT:
        return electrumx ? "blockchain.transaction.get" : "getrawtransaction";
    case ANONSET_REQUEST_USED:
        return electrumx ? "spark.getusedcoinstagstxhashes" : "getusedcoinstagstxhashes";
    }
    return "";
}

/* Nodes print a hash from its last byte to its first. */
static void write_txid(char *out, const uint8_t *tx_hash)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = ANONSET_HASH_BYTES; i-- > 0;) {
        *out++ = digits[tx_hash[i] >> 4];
        *out++ = digits[tx_hash[i] & 15];
    }
    *out = '\0';
}

/* The spark methods take strings only, firod's getblockhash a number only. */
static void write_params(char *out, size_t cap, const anonset_request *request,
                         anonset_dialect dialect)
{
    char hash[HASH_TEXT + 1], txid[HEX_DIGITS + 1];
    int n = 0;
    out[0] = '\0';
    switch (request->kind) {
    case ANONSET_REQUEST_META:
        n = snprintf(out, cap, "\"%u\"", request->group);
        break;
    case ANONSET_REQUEST_SECTOR:
        as_base64_encode(hash, request->block_hash, sizeof request->block_hash);
        n = snprintf(out, cap, "\"%u\",\"%s\",\"%u\",\"%u\"", request->group, hash, request->start,
                     request->end);
        break;
    case ANONSET_REQUEST_NEWEST_GROUP:
        break;
    case ANONSET_REQUEST_GENESIS:
        if (dialect == ANONSET_FIROD)
            n = snprintf(out, cap, "0");
        break;
    case ANONSET_REQUEST_HEIGHT:
        write_txid(txid, request->tx_hash);
        /* Older nodes read a number there and nothing else, electrumx a boolean. */
        n = snprintf(out, cap, "\"%s\",%s", txid, dialect == ANONSET_FIROD ? "1" : "true");
        break;
    case ANONSET_REQUEST_USED:
        n = snprintf(out, cap, "\"%u\"", request->start);
        break;
    }
    (void)n; /* three numbers of ten digits and a hash always fit */
}

size_t anonset_request_write(char *text, const anonset_request *request, anonset_dialect dialect)
{
    char params[ANONSET_REQUEST_TEXT / 2];
    bool electrumx = dialect == ANONSET_ELECTRUMX;
    if (!text || !request)
        return 0;
    write_params(params, sizeof params, request, dialect);
    int n = snprintf(text, ANONSET_REQUEST_TEXT,
                     "{\"jsonrpc\":\"%s\",\"id\":%u,\"method\":\"%s\",\"params\":[%s]}%s",
                     electrumx ? "2.0" : "1.0", request->id, method_of(request, dialect), params,
                     electrumx ? "\n" : "");
    return n < 0 ? 0 : (size_t)n;
}

static uint32_t coins_asked(const anonset_request *request)
{
    bool sector = request->kind == ANONSET_REQUEST_SECTOR && request->end > request->start;
    return sector ? request->end - request->start : 0;
}

uint64_t anonset_answer_limit(const anonset_request *request)
{
    uint64_t limit = 64 * KIB;
    uint64_t worth = 64 * KIB + (request ? (uint64_t)coins_asked(request) * 8 * KIB : 0);
    if (request && request->kind == ANONSET_REQUEST_HEIGHT)
        worth = 1024 * KIB;
    while (limit < worth)
        limit *= 2;
    return limit;
}

/* ---- Errors ------------------------------------------------------------------------------- */

/* What an error object says; `text` was cleaned and cut, and all texts known stand at its start. */
static anonset_answer_kind error_kind(const anonset_request *request, const char *code,
                                      const char *text)
{
    /* electrumx quotes the node: "daemon error: DaemonError({'code': -28, 'message': '…'})". */
    if (!strcmp(code, "-101") || !strcmp(code, "-102") || !strcmp(code, "-28") ||
        strstr(text, "'code': -28,") || strstr(text, "excessive resource usage") ||
        strstr(text, "server busy"))
        return ANONSET_ANSWER_BUSY;
    bool of_group =
        request->kind == ANONSET_REQUEST_SECTOR || request->kind == ANONSET_REQUEST_META;
    if (of_group && strstr(text, "There is no anonymity set with this id"))
        return ANONSET_ANSWER_NO_GROUP;
    bool may_be_large =
        request->kind == ANONSET_REQUEST_SECTOR || request->kind == ANONSET_REQUEST_USED;
    if (may_be_large && !strcmp(code, "-32600") && strstr(text, "response too large"))
        return ANONSET_ANSWER_TOO_LARGE;
    if (request->kind != ANONSET_REQUEST_SECTOR)
        return ANONSET_ANSWER_ERROR;
    if (strstr(text, "Incorrect blockHash provided"))
        return ANONSET_ANSWER_BLOCK_REFUSED;
    return ANONSET_ANSWER_ERROR;
}

/* The code as text, short enough to compare and to print; the message, cleaned. */
static bool read_error_object(as_span error, char *code, size_t code_cap, char *text)
{
    static const char *const names[] = {"code", "message"};
    as_span values[2], message;
    if (!as_json_members(error, names, values, 2) || !values[0].at || !values[1].at ||
        !as_json_is_integer(values[0]) || !as_json_string(values[1], &message))
        return false;
    as_clean_text(code, code_cap, values[0].at, values[0].len);
    as_clean_text(text, ANONSET_DETAIL_TEXT, message.at, message.len);
    return true;
}

static anonset_code read_error(anonset_answer *answer, as_span error,
                               const anonset_request *request, anonset_detail *detail)
{
    char code[24];
    if (!read_error_object(error, code, sizeof code, answer->text))
        return bad(detail, "its error has no code or no message");
    answer->kind = error_kind(request, code, answer->text);
    return ANONSET_OK;
}

/* ---- Results ------------------------------------------------------------------------------ */

/* A hash in base64; an empty string gives *present = false. */
static bool read_hash(as_span value, uint8_t *hash, bool *present)
{
    as_span text;
    size_t len;
    if (!as_json_string(value, &text))
        return false;
    *present = text.len > 0;
    if (text.len == 0)
        return true;
    if (text.len != HASH_TEXT || !as_base64_decode((uint8_t *)text.at, &len, text.at, text.len) ||
        len != ANONSET_HASH_BYTES)
        return false;
    memcpy(hash, text.at, ANONSET_HASH_BYTES);
    return true;
}

static anonset_code read_meta(anonset_answer *answer, as_span result, anonset_detail *detail)
{
    static const char *const names[] = {"blockHash", "setHash", "size"};
    static const uint8_t zero[ANONSET_HASH_BYTES];
    anonset_meta *meta = &answer->meta;
    as_span values[3];
    bool has_block;
    if (!as_json_members(result, names, values, 3))
        return bad(detail, "the meta is no object, or says a thing twice");
    if (!values[0].at || !read_hash(values[0], meta->block_hash, &has_block) || !has_block)
        return bad(detail, "the meta's blockHash is not 32 bytes of base64");
    if (!values[1].at || !read_hash(values[1], meta->set_hash, &meta->has_set_hash))
        return bad(detail, "the meta's setHash is neither empty nor 32 bytes of base64");
    if (!values[2].at || !as_json_is_integer(values[2]))
        return bad(detail, "the meta's size is no integer");
    /* Of an unknown group the server sends no size but what its memory happened to hold. */
    if (memcmp(meta->block_hash, zero, sizeof zero) != 0 &&
        !as_json_unsigned(values[2], UINT32_MAX, &meta->size))
        return bad(detail, "the meta's size is out of range");
    answer->kind = ANONSET_ANSWER_META;
    return ANONSET_OK;
}

static anonset_code read_newest_group(anonset_answer *answer, as_span result,
                                      anonset_detail *detail)
{
    if (!as_json_unsigned(result, UINT32_MAX, &answer->number))
        return bad(detail, "the newest group is no number from 0 to 4,294,967,295");
    answer->kind = ANONSET_ANSWER_NUMBER;
    return ANONSET_OK;
}

/* Of a transaction in full: all but its height is passed over. One that is in the mempool has none,
 * one that was reorganized away may have -1. */
static anonset_code read_height(anonset_answer *answer, as_span result, anonset_detail *detail)
{
    static const char *const names[] = {"height"};
    as_span height;
    if (!as_json_members(result, names, &height, 1))
        return bad(detail, "the transaction is no object, or has two heights");
    if (height.at && !as_json_is(height, "-1") &&
        !as_json_unsigned(height, INT32_MAX, &answer->number))
        return bad(detail, "the height of the transaction is no number from 0 to 2,147,483,647");
    answer->kind = ANONSET_ANSWER_NUMBER;
    return ANONSET_OK;
}

/* Of a character that is no NUL: as_json_string leaves none. */
static int hex_value(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *at = strchr(digits, c);
    return at ? (int)((at - digits) % 16) : -1;
}

/* Both dialects print a block hash in hexadecimal. Its bytes are kept in the order of the digits,
 * which is the reverse of that in a meta. */
static anonset_code read_genesis(anonset_answer *answer, as_span result, anonset_dialect dialect,
                                 anonset_detail *detail)
{
    static const char *const names[] = {"genesis_hash"};
    as_span value = result, text;
    if (dialect == ANONSET_ELECTRUMX && !as_json_members(result, names, &value, 1))
        return bad(detail, "server.features is no object, or tells two genesis hashes");
    if (!value.at) { /* a server may keep it to itself: that is no breach of the protocol */
        static const char text_absent[] = "server.features tells no genesis_hash";
        answer->kind = ANONSET_ANSWER_ERROR;
        as_clean_text(answer->text, sizeof answer->text, text_absent, sizeof text_absent - 1);
        return ANONSET_OK;
    }
    if (!as_json_string(value, &text) || text.len != HEX_DIGITS)
        return bad(detail, "the genesis hash is not 64 hexadecimal digits");
    for (size_t i = 0; i < ANONSET_HASH_BYTES; i++) {
        int high = hex_value(text.at[2 * i]), low = hex_value(text.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return bad(detail, "the genesis hash is not 64 hexadecimal digits");
        answer->meta.block_hash[i] = (uint8_t)(high << 4 | low);
    }
    answer->kind = ANONSET_ANSWER_HASH;
    return ANONSET_OK;
}

/* Base64 of one string of a coin, decoded where it stands. */
static bool read_bytes(as_span quoted, const uint8_t **bytes, uint32_t *len)
{
    as_span content;
    size_t n;
    if (!as_json_string(quoted, &content) ||
        !as_base64_decode((uint8_t *)content.at, &n, content.at, content.len))
        return false;
    *bytes = (const uint8_t *)content.at;
    *len = (uint32_t)n;
    return true;
}

/*
 * Finds the strings of the coin that begins at text.at, where it is written as servers write it:
 * ["…","…","…"], with or without a blank behind a comma, and no quote in a string. Returns its
 * length, or 0: written in another way.
 */
static size_t cut_plain(as_span text, as_span *strings)
{
    char *at = text.at, *end = text.at + text.len;
    for (int i = 0; i < COIN_STRINGS; i++) {
        if (at == end || *at++ != (i == 0 ? '[' : ','))
            return 0;
        if (i > 0 && at < end && *at == ' ')
            at++;
        if (at == end || *at != '"')
            return 0;
        char *quote = memchr(at + 1, '"', (size_t)(end - at - 1));
        if (!quote || quote[-1] == '\\')
            return 0;
        strings[i] = (as_span){at, (size_t)(quote + 1 - at)};
        at = quote + 1;
    }
    return at < end && *at == ']' ? (size_t)(at + 1 - text.at) : 0;
}

/*
 * The same, however it is written, by jsmn. It is given the whole rest and stops where the next
 * coin needs a fifth token (or the list ends), so its return value says nothing: the tokens do.
 */
static size_t cut(as_span text, as_span *strings)
{
    jsmntok_t tokens[COIN_STRINGS + 1];
    jsmn_parser parser;
    jsmn_init(&parser);
    (void)jsmn_parse(&parser, text.at, text.len, tokens, COIN_STRINGS + 1);
    if (parser.toknext != COIN_STRINGS + 1 || tokens[0].type != JSMN_ARRAY ||
        tokens[0].size != COIN_STRINGS || tokens[0].end < 0)
        return 0;
    for (int i = 0; i < COIN_STRINGS; i++) {
        const jsmntok_t *token = &tokens[i + 1];
        if (token->type != JSMN_STRING)
            return 0;
        strings[i] = (as_span){text.at + token->start - 1, (size_t)(token->end - token->start) + 2};
    }
    return (size_t)tokens[0].end;
}

/* Reads the coin that begins at text->at and moves to behind it. */
static bool read_coin(as_span *text, anonset_coin *coin)
{
    as_span strings[COIN_STRINGS];
    uint32_t hash_len;
    size_t len = cut_plain(*text, strings);
    if (len == 0)
        len = cut(*text, strings);
    if (len == 0 || !read_bytes(strings[0], &coin->serialized, &coin->serialized_len) ||
        !read_bytes(strings[1], &coin->tx_hash, &hash_len) ||
        !read_bytes(strings[2], &coin->context, &coin->context_len))
        return false;
    text->at += len;
    text->len -= len;
    return hash_len == ANONSET_HASH_BYTES;
}

/* Reads the coins of the checked array that begins at rest->at and moves to behind it; of more than
 * `most` to behind one of them. */
static anonset_code read_coin_list(anonset_answer *answer, as_span *rest, uint32_t most,
                                   anonset_detail *detail)
{
    size_t fit = rest->len / COIN_TEXT_LEAST + 1; /* no list has more whole coins than that */
    if (!as_json_first(rest))
        return ANONSET_OK;
    if (fit > most)
        fit = most;
    answer->coins = as_alloc_zeroed(fit * sizeof *answer->coins);
    if (!answer->coins)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for %zu coins", fit);
    do {
        if (answer->n == fit)
            break;
        if (!read_coin(rest, &answer->coins[answer->n]))
            return bad(detail, "a coin is not three strings of base64 with a tx hash of 32 bytes");
        answer->n++;
    } while (as_json_next(rest));
    return ANONSET_OK;
}

static anonset_code read_sector(anonset_answer *answer, as_span result,
                                const anonset_request *request, anonset_detail *detail)
{
    as_span rest = result;
    uint32_t asked = coins_asked(request);
    if (!as_json_find(&rest, "coins") || rest.at[0] != '[')
        return bad(detail, "the sector has no list of coins");
    answer->kind = ANONSET_ANSWER_COINS;
    /* One more than asked is enough to show that there were too many. */
    anonset_code code =
        read_coin_list(answer, &rest, asked < UINT32_MAX ? asked + 1 : asked, detail);
    if (code == ANONSET_OK && answer->n <= asked && as_json_find(&rest, "coins"))
        return bad(detail, "the sector has two lists of coins");
    return code;
}

/* What is around the list, which usedtext.c took out. */
static anonset_code read_used(anonset_answer *answer, as_span result, anonset_detail *detail)
{
    static const char *const names[] = {"tagsandtxids"};
    as_span list;
    if (!as_json_members(result, names, &list, 1) || !list.at || list.at[0] != '[')
        return bad(detail, "it has no list of used tags");
    if (as_json_first(&list))
        return bad(detail, "a list of used tags is not to be read as a whole");
    answer->kind = ANONSET_ANSWER_USED;
    return ANONSET_OK;
}

static anonset_code read_result(anonset_answer *answer, as_span result,
                                const anonset_request *request, anonset_dialect dialect,
                                anonset_detail *detail)
{
    switch (request->kind) {
    case ANONSET_REQUEST_META:
        return read_meta(answer, result, detail);
    case ANONSET_REQUEST_SECTOR:
        return read_sector(answer, result, request, detail);
    case ANONSET_REQUEST_NEWEST_GROUP:
        return read_newest_group(answer, result, detail);
    case ANONSET_REQUEST_GENESIS:
        return read_genesis(answer, result, dialect, detail);
    case ANONSET_REQUEST_HEIGHT:
        return read_height(answer, result, detail);
    case ANONSET_REQUEST_USED:
        return read_used(answer, result, detail);
    }
    return as_fail(detail, ANONSET_INVALID, 0, "request %u is of no known kind", request->id);
}

/* ---- Answers ------------------------------------------------------------------------------ */

/* An answer's members; an error or a result that is null counts as absent. */
typedef struct as_envelope {
    as_span id, result, error, method;
} as_envelope;

static bool read_envelope(as_envelope *envelope, as_span text)
{
    static const char *const names[] = {"id", "result", "error", "method"};
    as_span values[4];
    if (!as_json_members(text, names, values, 4))
        return false;
    for (int i = 1; i < 3; i++) {
        if (values[i].at && as_json_is(values[i], "null"))
            values[i].at = NULL;
    }
    envelope->id = values[0];
    envelope->result = values[1];
    envelope->error = values[2];
    envelope->method = values[3];
    return true;
}

/* Length without the spaces that electrumx puts before the last brace. */
static uint64_t length_unpadded(const char *text, size_t len)
{
    size_t end = len;
    while (end > 0 && text[end - 1] != '}')
        end--;
    size_t pad = 0;
    while (pad + 1 < end && text[end - 2 - pad] == ' ')
        pad++;
    return len - pad;
}

static const anonset_request *find_request(const anonset_request *outstanding, size_t n,
                                           uint32_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (outstanding[i].id == id)
            return &outstanding[i];
    }
    return NULL;
}

/* An error whose id is null is about a request that the server could not read. */
static anonset_code refuse_stray_error(as_span error, anonset_detail *detail)
{
    char code[24], text[ANONSET_DETAIL_TEXT];
    if (!read_error_object(error, code, sizeof code, text))
        return bad(detail, "an error that answers no request");
    return as_fail(detail, ANONSET_BAD_ANSWER, 0,
                   "the server sent an error that answers no request: %.160s (code %s)", text,
                   code);
}

/* The request that an answer belongs to, or NULL with a code and the detail set. */
static const anonset_request *match(const as_envelope *envelope, const anonset_request *outstanding,
                                    size_t n, anonset_dialect dialect, anonset_code *code,
                                    anonset_detail *detail)
{
    const anonset_request *request = NULL;
    bool no_id = !envelope->id.at || as_json_is(envelope->id, "null");
    uint32_t id;
    /* HTTP itself pairs an answer with its request. */
    if (no_id && envelope->error.at && dialect == ANONSET_FIROD && n == 1)
        return &outstanding[0];
    if (no_id && envelope->error.at)
        *code = refuse_stray_error(envelope->error, detail);
    else if (!envelope->id.at)
        *code = bad(detail, "it has no id");
    else if (!as_json_unsigned(envelope->id, UINT32_MAX, &id))
        *code = bad(detail, "its id is none that was asked");
    else if (!(request = find_request(outstanding, n, id)))
        *code = as_fail(detail, ANONSET_BAD_ANSWER, 0,
                        "the server answered request %u, which is not outstanding", id);
    return request;
}

static bool is_work_queue_full(const char *text, size_t len)
{
    static const char words[] = "Work queue depth exceeded";
    return len >= sizeof words - 1 && memcmp(text, words, sizeof words - 1) == 0;
}

static anonset_code read_answer(anonset_answer *answer, as_span text,
                                const anonset_request *outstanding, size_t n,
                                anonset_dialect dialect, anonset_detail *detail)
{
    as_envelope envelope;
    anonset_code code = ANONSET_OK;
    /* The one thing firod says without JSON when it is busy. */
    if (dialect == ANONSET_FIROD && n == 1 && is_work_queue_full(text.at, text.len)) {
        answer->id = outstanding[0].id;
        answer->kind = ANONSET_ANSWER_BUSY;
        as_clean_text(answer->text, sizeof answer->text, text.at, text.len);
        return ANONSET_OK;
    }
    if (text.len > INT_MAX) /* jsmn counts in int */
        return bad(detail, "it is longer than 2 GiB");
    if (!read_envelope(&envelope, text))
        return bad(detail, "it is no JSON object, or says a thing twice, or is nested too deep");
    if (dialect == ANONSET_ELECTRUMX && envelope.method.at && !envelope.id.at) {
        answer->kind = ANONSET_ANSWER_NONE;
        return ANONSET_OK;
    }
    const anonset_request *request = match(&envelope, outstanding, n, dialect, &code, detail);
    if (!request)
        return code;
    answer->id = request->id;
    if (!envelope.error.at == !envelope.result.at)
        return bad(detail, "it has neither a result nor an error, or both");
    if (envelope.error.at)
        return read_error(answer, envelope.error, request, detail);
    return read_result(answer, envelope.result, request, dialect, detail);
}

anonset_code anonset_answer_read(anonset_answer *answer, char *text, size_t len,
                                 const anonset_request *outstanding, size_t n,
                                 anonset_dialect dialect, anonset_detail *detail)
{
    anonset_answer read = {0};
    if (!answer || (!text && len) || (!outstanding && n))
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_answer_read: a NULL argument");
    if (len == 0)
        return bad(detail, "it is empty");
    read.wire_bytes = len;
    read.text_bytes = length_unpadded(text, len);
    anonset_code code = read_answer(&read, (as_span){text, len}, outstanding, n, dialect, detail);
    if (code == ANONSET_OK)
        *answer = read;
    else
        anonset_answer_clear(&read);
    return code;
}

void anonset_answer_clear(anonset_answer *answer)
{
    if (!answer)
        return;
    as_free(answer->coins);
    *answer = (anonset_answer){0};
}
