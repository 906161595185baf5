/* firod: JSON-RPC 1.0 in HTTP POST, kept alive; errors are HTTP 500 with a JSON body. */
#include "tests/server/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define HEAD_MAX 65536u

typedef struct head {
    size_t len; /* with the empty line */
    size_t body;
    bool post;
    char authorization[512];
} head;

static void put_head(text *out, int status, const char *reason, const char *before_date,
                     uint64_t length, const char *after_length)
{
    char date[64];
    time_t at = time(NULL);
    struct tm parts;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &parts));
    text_format(out, "HTTP/1.1 %d %s\r\n%sDate: %s\r\nContent-Length: %llu\r\n%s\r\n", status,
                reason, before_date, date, (unsigned long long)length, after_length);
}

/* The value of a header, copied; "" if it is missing or too long. */
static void read_header(const char *text_head, const char *name, char *out, size_t cap)
{
    out[0] = 0;
    for (const char *line = strstr(text_head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        size_t len = strlen(name);
        if (strncasecmp(line + 2, name, len) != 0 || line[2 + len] != ':')
            continue;
        const char *value = line + 2 + len + 1;
        value += strspn(value, " ");
        size_t value_len = strcspn(value, "\r\n");
        if (value_len < cap) {
            memcpy(out, value, value_len);
            out[value_len] = 0;
        }
    }
}

/* False: the head is not all there yet. */
static bool read_head(const text *in, head *h)
{
    *h = (head){0};
    const char *end = in->len >= 4 ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL;
    if (!end)
        return false;
    h->len = (size_t)(end - in->data) + 4;
    char *copy = strndup(in->data, h->len);
    if (!copy)
        die("no memory for a request");
    char length[32];
    read_header(copy, "Content-Length", length, sizeof length);
    read_header(copy, "Authorization", h->authorization, sizeof h->authorization);
    h->body = strtoul(length, NULL, 10);
    h->post = strncmp(copy, "POST ", 5) == 0;
    free(copy);
    return true;
}

static bool authorized(const server *s, const head *h)
{
    char given[300];
    size_t len;
    if (!s->credentials[0])
        return true;
    if (strncmp(h->authorization, "Basic ", 6) != 0)
        return false;
    const char *code = h->authorization + 6;
    return base64_decode((uint8_t *)given, sizeof given, &len, code, strlen(code)) &&
           len == strlen(s->credentials) && memcmp(given, s->credentials, len) == 0;
}

static int status_of(const reply *rep)
{
    if (rep->kind == REPLY_RESULT)
        return 200;
    return rep->code == -32601 ? 404 : rep->code == -32600 ? 400 : 500;
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    default:
        return "Internal Server Error";
    }
}

static void put_answer(text *out, const request *r, const reply *rep)
{
    if (rep->kind == REPLY_RESULT) {
        text_put(out, "{\"result\":");
        text_add(out, rep->body.data, rep->body.len);
        text_put(out, ",\"error\":null");
    } else {
        text_format(out, "{\"result\":null,\"error\":{\"code\":%d,\"message\":\"", rep->code);
        text_add(out, rep->body.data, rep->body.len);
        text_put(out, "\"}");
    }
    text_format(out, ",\"id\":%s}", protocol_id(r, rep));
}

static void reply_to(server *s, const request *r, reply *rep)
{
    if (!protocol_reply(s, r, SIZE_MAX, rep)) {
        rep->kind = REPLY_ERROR;
        rep->code = -32601;
        text_put(&rep->body, "Method not found");
    }
}

static void send_body(server *s, conn *c, const reply *rep, int status, text *body)
{
    text answer = {0};
    protocol_spoil(rep, body);
    text_put(body, "\n");
    if (rep->has_fault && rep->fault.kind == FAULT_HUGE) {
        put_head(&answer, 200, "OK", "Content-Type: application/json\r\n", UINT64_C(1) << 50, "");
        text_put(&answer, "{\"result\":{\"coins\":[");
    } else {
        put_head(&answer, status, reason_of(status), "Content-Type: application/json\r\n",
                 body->len, "");
        text_add(&answer, body->data, body->len);
    }
    text_free(body);
    protocol_send(s, c, rep, &answer);
}

static void answer_one(server *s, conn *c, const request *r)
{
    reply rep = {0};
    text body = {0};
    reply_to(s, r, &rep);
    put_answer(&body, r, &rep);
    send_body(s, c, &rep, status_of(&rep), &body);
    text_free(&rep.body);
}

static void answer_batch(server *s, conn *c, const char *json, size_t len)
{
    request r;
    reply all = {0};
    text body = {0};
    text_put(&body, "[");
    for (unsigned i = 0; request_read(&r, json, len, i) == PARSED_LIST; i++) {
        reply rep = {0};
        reply_to(s, &r, &rep);
        if (i > 0)
            text_put(&body, ",");
        put_answer(&body, &r, &rep);
        all.coins += rep.coins;
        text_free(&rep.body);
        request_free(&r);
    }
    text_put(&body, "]");
    send_body(s, c, &all, 200, &body);
}

static void send_plain(server *s, conn *c, int status, const char *reason, const char *before_date,
                       const char *body)
{
    text answer = {0};
    put_head(&answer, status, reason, before_date, strlen(body),
             "Content-Type: text/html; charset=ISO-8859-1\r\n");
    text_put(&answer, body);
    s->count[COUNT_ERRORS]++;
    conn_send(s, c, &answer);
}

static void send_parse_error(server *s, conn *c)
{
    static const char message[] =
        "{\"result\":null,\"error\":{\"code\":-32700,\"message\":\"Parse error\"},\"id\":null}\n";
    text answer = {0};
    put_head(&answer, 500, reason_of(500), "Content-Type: application/json\r\n", strlen(message),
             "");
    text_put(&answer, message);
    s->count[COUNT_ERRORS]++;
    conn_send(s, c, &answer);
}

/* False: the request has to wait. */
static bool answer_post(server *s, conn *c, const char *json, size_t len)
{
    request r;
    bool answered = true;
    switch (request_read(&r, json, len, 0)) {
    case PARSED_ONE:
        answered = !request_is_held(s, c, &r);
        if (answered)
            answer_one(s, c, &r);
        break;
    case PARSED_LIST:
        answer_batch(s, c, json, len);
        break;
    case PARSED_NOTHING:
        send_parse_error(s, c);
        break;
    }
    request_free(&r);
    return answered;
}

bool firod_take(server *s, conn *c)
{
    head h;
    if (!read_head(&c->in, &h)) {
        if (c->in.len > HEAD_MAX)
            conn_cut(s, c);
        return false;
    }
    if (c->in.len - h.len < h.body)
        return false;
    if (!h.post)
        send_plain(s, c, 405, "Method Not Allowed", "",
                   "JSONRPC server handles only POST requests");
    else if (!authorized(s, &h))
        send_plain(s, c, 401, "Unauthorized", "WWW-Authenticate: Basic realm=\"jsonrpc\"\r\n", "");
    else if (!answer_post(s, c, c->in.data + h.len, h.body))
        return false;
    text_drop(&c->in, h.len + h.body);
    return true;
}
