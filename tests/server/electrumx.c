/* ElectrumX: one JSON-RPC 2.0 message a line, padded with blanks to a power of two. */
#include "tests/server/protocol.h"

#include <stdlib.h>
#include <string.h>

#define PACKET 1024u /* no message is shorter when padded */

/* 8100000 becomes "8,100,000". */
static void put_grouped(text *out, uint64_t value)
{
    if (value >= 1000) {
        put_grouped(out, value / 1000);
        text_format(out, ",%03llu", (unsigned long long)(value % 1000));
    } else {
        text_format(out, "%llu", (unsigned long long)value);
    }
}

/* Blanks before the last bracket, until the line is a power of two long. */
static void pad(const server *s, text *line)
{
    size_t wanted = PACKET;
    while (wanted < line->len + 1)
        wanted *= 2;
    if (s->pad && line->len > 0) {
        char last = line->data[--line->len];
        text_fill(line, ' ', wanted - line->len - 2);
        text_add(line, &last, 1);
    }
    text_add(line, "\n", 1);
}

static void put_notification(const server *s, text *out, const char *method)
{
    text line = {0};
    text_format(&line, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"}", method);
    pad(s, &line);
    text_add(out, line.data, line.len);
    text_free(&line);
}

/* As Python shows the daemon's error inside the message of another. */
static void put_message(text *out, const request *r, const reply *rep)
{
    if (rep->kind == REPLY_DAEMON_ERROR) {
        text_format(out, "daemon error: DaemonError({'code': %d, 'message': '", rep->code);
        text_add(out, rep->body.data, rep->body.len);
        text_put(out, "'})");
    } else if (rep->kind == REPLY_COUNT) {
        text_format(out, "%u arguments passed to method \\\"%s\\\" but it requires %u",
                    r->param_count, r->method, rep->wanted);
    } else {
        text_add(out, rep->body.data, rep->body.len);
    }
}

static int outer_code(const reply *rep)
{
    return rep->kind == REPLY_DAEMON_ERROR ? 2 : rep->kind == REPLY_COUNT ? -32602 : rep->code;
}

static void put_answer(text *line, const request *r, const reply *rep)
{
    text_put(line, "{\"jsonrpc\":\"2.0\",");
    if (rep->kind == REPLY_RESULT) {
        text_put(line, "\"result\":");
        text_add(line, rep->body.data, rep->body.len);
    } else {
        text_format(line, "\"error\":{\"code\":%d,\"message\":\"", outer_code(rep));
        put_message(line, r, rep);
        text_put(line, "\"}");
    }
    text_format(line, ",\"id\":%s}", protocol_id(r, rep));
}

static bool too_large(const server *s, const reply *rep, const text *line)
{
    return line->len > s->max_send || (rep->has_fault && rep->fault.kind == FAULT_TOO_LARGE);
}

static void set_error(reply *rep, int code, const char *message)
{
    rep->kind = REPLY_ERROR;
    rep->code = code;
    rep->coins = 0;
    rep->body.len = 0;
    text_put(&rep->body, message);
}

/* Charges the session for what it got: past the soft limit it has to wait, past the hard one it
 * ends. */
static bool charge(server *s, conn *c, size_t bytes, item *sent)
{
    if (s->cost_hard <= 0)
        return true;
    double at = now();
    s->cost -= (at - s->cost_at) * s->cost_decay;
    s->cost = (s->cost > 0 ? s->cost : 0) + (double)bytes / 5000.0;
    s->cost_at = at;
    if (s->cost > s->cost_hard) {
        conn_cut(s, c);
        return false;
    }
    if (sent && s->cost > s->cost_soft)
        sent->ready += 2.5 * (s->cost - s->cost_soft) / (s->cost_hard - s->cost_soft);
    return true;
}

static void send_line(server *s, conn *c, const request *r, reply *rep)
{
    text line = {0};
    put_answer(&line, r, rep);
    if (too_large(s, rep, &line)) {
        text message = {0};
        text_put(&message, "response too large (over ");
        put_grouped(&message, s->max_send);
        text_add(&message, " bytes", sizeof " bytes");
        set_error(rep, -32600, message.data);
        text_free(&message);
        line.len = 0;
        put_answer(&line, r, rep);
    }
    protocol_spoil(rep, &line);
    bool small = line.len < PACKET;
    if (rep->has_fault && rep->fault.kind == FAULT_HUGE) {
        line.len = 0;
        text_put(&line, "{\"jsonrpc\":\"2.0\",\"result\":{\"coins\":[");
    } else {
        pad(s, &line);
    }
    if (rep->has_fault && rep->fault.kind == FAULT_FLOOD) {
        text flood = {0};
        for (int64_t i = 0; i < (rep->fault.has_arg ? rep->fault.arg : 1000); i++)
            put_notification(s, &flood, "blockchain.headers.subscribe");
        text_add(&flood, line.data, line.len);
        text_free(&line);
        line = flood;
    }
    size_t bytes = line.len;
    protocol_send(s, c, rep, &line);
    if (c->dead)
        return;
    if (small && c->last)
        c->last->ready += s->hold_small;
    charge(s, c, bytes, c->last);
}

static void answer_own(server *s, const request *r, reply *rep)
{
    rep->kind = REPLY_RESULT;
    if (strcmp(r->method, "server.version") == 0)
        text_put(&rep->body, "[\"ElectrumX 1.19.0\",\"1.4\"]");
    else if (strcmp(r->method, "server.features") == 0)
        text_format(&rep->body,
                    "{\"hosts\":{},\"pruning\":null,\"server_version\":\"ElectrumX 1.19.0\","
                    "\"protocol_min\":\"1.4\",\"protocol_max\":\"1.4.2\",\"genesis_hash\":\"%s\","
                    "\"hash_function\":\"sha256\",\"services\":[]}",
                    s->genesis);
    else if (strcmp(r->method, "server.ping") == 0)
        text_put(&rep->body, "null");
}

static bool is_own(const char *method)
{
    return strcmp(method, "server.version") == 0 || strcmp(method, "server.features") == 0 ||
           strcmp(method, "server.ping") == 0 || strcmp(method, "blockchain.transaction.get") == 0;
}

static void answer_request(server *s, conn *c, const request *r)
{
    reply rep = {0};
    bool known = protocol_reply(s, r, s->max_send, &rep);
    bool own = is_own(r->method);
    if (!known && own) {
        answer_own(s, r, &rep);
    } else if (!known || (!own && strncmp(r->method, "spark.", 6) != 0)) {
        text message = {0};
        text_format(&message, "unknown method \\\"%s\\\"%c", r->method, 0);
        set_error(&rep, -32601, message.data);
        text_free(&message);
    }
    c->versioned |= strcmp(r->method, "server.version") == 0;
    send_line(s, c, r, &rep);
    text_free(&rep.body);
}

/* The first request has to be server.version. */
static void send_unversioned(server *s, conn *c, const request *r)
{
    text out = {0};
    text line = {0};
    put_notification(s, &out, "blockchain.relayfee");
    put_notification(s, &out, "blockchain.estimatefee");
    text_format(&line,
                "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":\"use server.version to "
                "identify client\"},\"id\":%s}",
                r->id);
    pad(s, &line);
    text_add(&out, line.data, line.len);
    text_free(&line);
    s->count[COUNT_ERRORS]++;
    conn_send(s, c, &out)->close_after = true;
}

static void send_not_json(server *s, conn *c)
{
    text line = {0};
    text_put(&line, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"invalid JSON\"},"
                    "\"id\":null}");
    pad(s, &line);
    s->count[COUNT_ERRORS]++;
    conn_send(s, c, &line);
}

bool electrumx_take(server *s, conn *c)
{
    const char *end = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
    if (!end)
        return false;
    size_t len = (size_t)(end - c->in.data);
    request r;
    if (request_read(&r, c->in.data, len, 0) != PARSED_ONE) {
        send_not_json(s, c);
    } else if (!c->versioned && strcmp(r.method, "server.version") != 0) {
        send_unversioned(s, c, &r);
    } else if (request_is_held(s, c, &r)) {
        request_free(&r);
        return false;
    } else {
        answer_request(s, c, &r);
    }
    request_free(&r);
    text_drop(&c->in, len + 1);
    return true;
}
