#include "config.h" /* first: it asks for POLLRDHUP */

#include "tests/scenario/hostile.h"

#include "core/base64.h"
#include "tests/support/support.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TEXT_MOST ((size_t)4 << 20)
#define DRIP_MS   200

hostile_stage stage;

/* What goes out on this thread's connection now, and how much did. */
static _Thread_local struct {
    char *text;
    size_t len, sent;
    size_t cut_after; /* as it was when this connection began; 0: never */
} out;

/* ---- Honest words -----------------------------------------------------------------------------
 */

typedef struct asked {
    hostile_on what;
    anonset_request request;
} asked;

static void put(const void *bytes, size_t len)
{
    if (!out.text)
        out.text = malloc(TEXT_MOST);
    if (!out.text)
        ts_die("no memory");
    if (len > TEXT_MOST - out.len)
        ts_die("an answer of more than %zu bytes", TEXT_MOST);
    memcpy(out.text + out.len, bytes, len);
    out.len += len;
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

static void put_number(uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    put_text(text);
}

static void put_base64(const uint8_t *bytes, size_t len)
{
    char text[1024];
    put(text, as_base64_encode(text, bytes, len));
}

static void put_coins(const tw_reply *reply, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const anonset_coin *coin = &reply->coins[i];
        put_text(i > from ? ",[\"" : "[\"");
        put_base64(coin->serialized, coin->serialized_len);
        put_text("\",\"");
        put_base64(coin->tx_hash, ANONSET_HASH_BYTES);
        put_text("\",\"");
        put_base64(coin->context, coin->context_len);
        put_text("\"]");
    }
}

static void put_used(const tw_reply *reply, uint32_t from)
{
    for (uint32_t i = from; i < reply->answer.n; i++) {
        put_text(i > from ? ",[\"" : "[\"");
        put_base64(reply->used[i].tag, ANONSET_TAG_BYTES);
        put_text("\",\"");
        put_base64(reply->used[i].tx_hash, ANONSET_HASH_BYTES);
        put_text("\"]");
    }
}

static void put_meta(const anonset_meta *meta)
{
    put_text("{\"blockHash\":\"");
    put_base64(meta->block_hash, ANONSET_HASH_BYTES);
    put_text("\",\"setHash\":\"");
    if (meta->has_set_hash)
        put_base64(meta->set_hash, ANONSET_HASH_BYTES);
    put_text("\",\"size\":");
    put_number(meta->size);
    put_text("}");
}

static void put_result(const tw_reply *reply)
{
    switch (reply->answer.kind) {
    case ANONSET_ANSWER_META:
        put_meta(&reply->answer.meta);
        break;
    case ANONSET_ANSWER_COINS:
        put_text("{\"coins\":[");
        put_coins(reply, 0, reply->answer.n);
        put_text("]}");
        break;
    case ANONSET_ANSWER_USED:
        put_text("{\"tagsandtxids\":[");
        put_used(reply, 0);
        put_text("]}");
        break;
    case ANONSET_ANSWER_NUMBER: /* a height, or the newest group */
        put_text(reply->answer.number >= TW_FIRST_HEIGHT ? "{\"height\":" : "");
        put_number(reply->answer.number);
        put_text(reply->answer.number >= TW_FIRST_HEIGHT ? "}" : "");
        break;
    case ANONSET_ANSWER_HASH:
        put_text(stage.over == OVER_FIROD ? "\"" : "{\"genesis_hash\":\"");
        for (int i = 0; i < ANONSET_HASH_BYTES; i++)
            put_text("47");
        put_text(stage.over == OVER_FIROD ? "\"" : "\"}");
        break;
    default:
        put_text("null");
        break;
    }
}

static const char *refusal(anonset_answer_kind kind)
{
    return kind == ANONSET_ANSWER_BLOCK_REFUSED
               ? "{\"code\":-1,\"message\":\"Incorrect blockHash provided: ab\"}"
           : kind == ANONSET_ANSWER_ERROR ? "{\"code\":-5,\"message\":\"No such transaction\"}"
                                          : "null";
}

static void put_honest(const asked *question, const tw_reply *reply)
{
    const char *error = refusal(reply->answer.kind);
    put_text("{\"result\":");
    if (question->what == ON_VERSION)
        put_text("[\"Peer\",\"1.4\"]");
    else
        put_result(reply);
    /* JSON-RPC 2.0 has one of the two, 1.0 both. */
    if (stage.over == OVER_FIROD || strcmp(error, "null") != 0) {
        put_text(",\"error\":");
        put_text(error);
    }
    put_text(",\"id\":");
    put_number(question->request.id);
    put_text("}");
}

/* ---- A row's words ----------------------------------------------------------------------------
 */

/* As many coins of a chain that has nothing to do with ours, of another group perhaps. */
static void put_elsewhere(const asked *question, uint32_t n)
{
    static _Thread_local tw_reply other;
    anonset_request request = question->request;
    memcpy(request.block_hash, stage.elsewhere->meta.block_hash, ANONSET_HASH_BYTES);
    tw_answer(&other, stage.elsewhere, &request);
    put_coins(&other, 0, n < other.answer.n ? n : other.answer.n);
}

static void put_part(char part, const asked *question, const tw_reply *reply)
{
    const anonset_meta *meta = &reply->answer.meta;
    const anonset_coin *coin = &reply->coins[0];
    uint32_t n = reply->answer.kind == ANONSET_ANSWER_COINS ? reply->answer.n : 0;
    switch (part) {
    case 'I':
        put_number(question->request.id);
        break;
    case 'R':
        put_result(reply);
        break;
    case 'B':
        put_base64(meta->block_hash, ANONSET_HASH_BYTES);
        break;
    case 'S':
        put_base64(meta->set_hash, ANONSET_HASH_BYTES);
        break;
    case 'N':
        put_number(meta->size);
        break;
    case 'C':
        put_coins(reply, 0, n);
        break;
    case 'F':
        put_coins(reply, 1, n);
        break;
    case 'D':
        put_coins(reply, 0, n - 1);
        break;
    case 's':
        put_base64(coin->serialized, coin->serialized_len);
        break;
    case 't':
        put_base64(coin->tx_hash, ANONSET_HASH_BYTES);
        break;
    case 'x':
        put_base64(coin->context, coin->context_len);
        break;
    case 'T':
        put_used(reply, 0);
        break;
    case 'U':
        put_used(reply, 1);
        break;
    case 'g':
        put_base64(reply->used[0].tag, ANONSET_TAG_BYTES);
        break;
    case 'h':
        put_base64(reply->used[0].tx_hash, ANONSET_HASH_BYTES);
        break;
    case 'E':
        for (uint32_t i = 0; i < n; i++) {
            put_text(i > 0 ? "," : "");
            put_coins(reply, 0, 1);
        }
        break;
    case 'V':
        for (uint32_t i = n; i > 0; i--) {
            put_text(i < n ? "," : "");
            put_coins(reply, i - 1, i);
        }
        break;
    case 'O':
        put_elsewhere(question, n);
        break;
    case 'K':
        put("ABCDEFGHIJKLMNOPQRSTUVWXYZ" + stage.struck % 26, 1);
        break;
    case 'W':
        put_number((UINT64_C(1) << 32) + question->request.id);
        break;
    case '0':
        put("", 1);
        break;
    default:
        ts_die("a row says $%c", part);
    }
}

static void put_row(const char *text, const char *end, const asked *question,
                    const tw_reply *reply);

/* "N{TEXT}"; returns what follows it. */
static const char *put_times(const char *text, const asked *question, const tw_reply *reply)
{
    char *brace;
    unsigned long times = strtoul(text, &brace, 10);
    int depth = 0;
    const char *end = brace;
    do
        depth += *end == '{' ? 1 : *end == '}' ? -1 : 0;
    while (depth > 0 && *++end);
    if (*brace != '{' || *end != '}')
        ts_die("a row says $*%s", text);
    for (; times > 0; times--)
        put_row(brace + 1, end, question, reply);
    return end + 1;
}

static void put_row(const char *text, const char *end, const asked *question, const tw_reply *reply)
{
    while (text < end) {
        if (*text != '$') {
            put(text++, 1);
        } else if (text[1] == '*') {
            text = put_times(text + 2, question, reply);
        } else {
            put_part(text[1], question, reply);
            text += 2;
        }
    }
}

/* ---- Serving ----------------------------------------------------------------------------------
 */

static uint32_t next_number(const char **at)
{
    const char *digits = strpbrk(*at, "0123456789");
    char *end;
    if (!digits)
        return 0;
    uint32_t number = (uint32_t)strtoul(digits, &end, 10);
    *at = end;
    return number;
}

/* ["GROUP","HASH","START","END"] */
static void read_sector(anonset_request *request, const char *params)
{
    uint8_t hash[AS_BASE64_CHARS(ANONSET_HASH_BYTES)];
    size_t len;
    request->group = next_number(&params);
    const char *text = strstr(params, ",\"");
    if (!text || strlen(text) < 2 + sizeof hash ||
        !as_base64_decode(hash, &len, text + 2, sizeof hash) || len != ANONSET_HASH_BYTES)
        ts_die("the client asks for a sector of %s", params);
    memcpy(request->block_hash, hash, ANONSET_HASH_BYTES);
    text += 2 + sizeof hash;
    request->start = next_number(&text);
    request->end = next_number(&text);
}

static bool is_pin(const tw_chain *chain, const uint8_t *hash)
{
    for (uint32_t b = 0; b < chain->n; b++)
        if (memcmp(chain->pin[b], hash, ANONSET_HASH_BYTES) == 0)
            return true;
    return false;
}

static void read_request(asked *question, const char *text)
{
    static const struct {
        const char *name;
        hostile_on what;
        anonset_request_kind kind;
    } methods[] = {{"setmeta\"", ON_META, ANONSET_REQUEST_META},
                   {"setsector\"", ON_SECTOR, ANONSET_REQUEST_SECTOR},
                   {"latestcoinid\"", ON_NEWEST, ANONSET_REQUEST_NEWEST_GROUP},
                   {"server.features\"", ON_GENESIS, ANONSET_REQUEST_GENESIS},
                   {"getblockhash\"", ON_GENESIS, ANONSET_REQUEST_GENESIS},
                   {"transaction", ON_HEIGHT, ANONSET_REQUEST_HEIGHT},
                   {"tagstxhashes\"", ON_USED, ANONSET_REQUEST_USED}};
    const char *params = strstr(text, "\"params\":[");
    *question = (asked){.what = ON_VERSION};
    question->request.id = peer_id(text);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strstr(text, methods[i].name)) {
            question->what = methods[i].what;
            question->request.kind = methods[i].kind;
        }
    }
    if (question->what == ON_USED && params)
        question->request.start = next_number(&params);
    if (question->what != ON_SECTOR || !params)
        return;
    read_sector(&question->request, params);
    if (question->request.end - question->request.start == 1)
        question->what = is_pin(stage.held, question->request.block_hash)    ? ON_PIN
                         : is_pin(stage.chain, question->request.block_hash) ? ON_SECTOR
                                                                             : ON_MADE_UP;
}

/* Sends what is left of the connection. */
static int send_bytes(int fd, const char *bytes, size_t len)
{
    size_t left = out.cut_after > 0 ? out.cut_after - out.sent : len;
    int failed = peer_write(fd, bytes, len < left ? len : left);
    out.sent += len < left ? len : left;
    return failed || len > left ? -1 : 0;
}

static int send_framed(int fd)
{
    char head[128];
    int len = snprintf(head, sizeof head,
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       out.len);
    if (stage.over == OVER_ELECTRUMX)
        put_text("\n");
    else if (send_bytes(fd, head, (size_t)len) != 0)
        return -1;
    return send_bytes(fd, out.text, out.len);
}

/* Nothing more, until the other side goes. */
static int hang(int fd)
{
    char byte;
    while (recv(fd, &byte, 1, 0) > 0)
        ;
    return -1;
}

/* True: the other side went within `ms`. */
static bool is_gone(int fd, int ms)
{
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    return poll(&end, 1, ms) > 0;
}

static int drip(int fd, const asked *question, const tw_reply *reply)
{
    const char *text = stage.row->text, *slow = strstr(text, "$~");
    if (slow) {
        put_row(text, slow, question, reply);
        if (peer_write(fd, out.text, out.len) != 0)
            return -1;
        out.len = 0;
        text = slow + 2;
    }
    put_row(text, text + strlen(text), question, reply);
    for (size_t i = 0; i < out.len; i++)
        if (is_gone(fd, DRIP_MS) || peer_write(fd, out.text + i, 1) != 0)
            return -1;
    return 0;
}

static int send_endless(int fd, const asked *question, const tw_reply *reply)
{
    const char *text = stage.row->text, *again = strstr(text, "$~");
    put_row(text, again, question, reply);
    if (peer_write(fd, out.text, out.len) != 0)
        return -1;
    out.len = 0;
    put_row(again + 2, again + strlen(again), question, reply);
    while (peer_write(fd, out.text, out.len) == 0)
        ;
    return -1;
}

static int strike(int fd, const asked *question, const tw_reply *reply)
{
    const hostile_row *row = stage.row;
    stage.struck++;
    if (row->how == HOW_ENDLESS)
        return send_endless(fd, question, reply);
    if (row->how == HOW_DRIP)
        return drip(fd, question, reply);
    put_row(row->text, row->text + strlen(row->text), question, reply);
    if (row->how == HOW_ANSWER)
        return send_framed(fd);
    if (peer_write(fd, out.text, out.len) != 0 || row->how == HOW_CLOSE)
        return -1;
    return row->how == HOW_HANG ? hang(fd) : 0;
}

static bool strikes(hostile_on what)
{
    return stage.row && (stage.row->on == what || (stage.row->on == ON_ANY && what != ON_CONNECT));
}

static int answer(int fd, const char *text)
{
    static _Thread_local tw_reply reply;
    asked question;
    read_request(&question, text);
    tw_answer(&reply, stage.chain, &question.request);
    out.len = 0;
    if (strikes(question.what))
        return strike(fd, &question, &reply);
    put_honest(&question, &reply);
    return send_framed(fd);
}

static void serve(int fd)
{
    char text[4096], login[256];
    static const asked nothing;
    static const tw_reply silence;
    out.len = out.sent = 0;
    out.cut_after = atomic_load(&stage.cut_after);
    if (strikes(ON_CONNECT) && strike(fd, &nothing, &silence) != 0)
        return;
    while ((stage.over == OVER_ELECTRUMX
                ? peer_line(fd, text, sizeof text)
                : peer_http_read(fd, text, sizeof text, login, sizeof login)) == 0)
        if (answer(fd, text) != 0)
            return;
}

void hostile_serve(ts_peer *peer, int fd, unsigned nth)
{
    (void)peer;
    (void)nth;
    serve(fd);
    free(out.text);
    out.text = NULL;
}
