#include "tests/server/protocol.h"

#include <string.h>

#define DEEP_DEFAULT 100000u
#define SLOW_DEFAULT 1000.0

static size_t fault_arg(const reply *rep, size_t usual)
{
    return rep->fault.has_arg && rep->fault.arg > 0 ? (size_t)rep->fault.arg : usual;
}

static void answer_deep(reply *out)
{
    size_t depth = fault_arg(out, DEEP_DEFAULT);
    out->kind = REPLY_RESULT;
    text_fill(&out->body, '[', depth);
    text_fill(&out->body, ']', depth);
}

bool protocol_reply(server *s, const request *r, size_t limit, reply *out)
{
    const char *method = r->method;
    fault_on on = request_kind(s, method);
    out->has_fault = fault_strikes(&s->faults, on, &out->fault);
    s->count[COUNT_FAULTS] += out->has_fault;
    if (out->has_fault && out->fault.kind == FAULT_ERROR) {
        out->kind = REPLY_ERROR;
        out->code = out->fault.code;
        text_put(&out->body, out->fault.text);
        return true;
    }
    if (out->has_fault && out->fault.kind == FAULT_DEEP) {
        answer_deep(out);
        return true;
    }
    if (strncmp(method, "spark.", 6) == 0)
        method += 6;
    return answer_method(s, r, method, limit, out);
}

void protocol_spoil(const reply *rep, text *json)
{
    if (!rep->has_fault)
        return;
    if (rep->fault.kind == FAULT_BROKEN) {
        json->len -= json->len > 2 ? 2 : 0;
    } else if (rep->fault.kind == FAULT_GARBAGE) {
        text_put(json, "{\"result\":{\"coins\":[]}}");
    } else if (rep->fault.kind == FAULT_NO_JSON) {
        json->len = 0;
        text_put(json, "<html>Bad gateway</html>");
    }
}

const char *protocol_id(const request *r, const reply *rep)
{
    return rep->has_fault && rep->fault.kind == FAULT_WRONG_ID ? "987654321" : r->id;
}

void protocol_endless(text *out)
{
    for (unsigned i = 0; i < 128; i++) {
        text_put(out, "[\"");
        text_fill(out, 'A', 424);
        text_put(out, "\",\"");
        text_fill(out, 'A', 43);
        text_put(out, "=\",\"");
        text_fill(out, 'A', 56);
        text_put(out, "\"],");
    }
}

static void send_spoiled(server *s, conn *c, const reply *rep, text *answer)
{
    fault_kind kind = rep->fault.kind;
    if (kind == FAULT_DROP) {
        conn_cut(s, c);
        text_free(answer);
        return;
    }
    if (kind == FAULT_HANG) {
        text_free(answer);
        return;
    }
    if (kind == FAULT_CUT)
        answer->len /= 2;
    size_t repeat_at = answer->len;
    if (kind == FAULT_HUGE)
        protocol_endless(answer);
    item *sent = conn_send(s, c, answer);
    sent->close_after = kind == FAULT_CUT;
    if (kind == FAULT_CUT)
        s->count[COUNT_CUT]++;
    if (kind == FAULT_SLOW)
        sent->rate = (double)fault_arg(rep, (size_t)SLOW_DEFAULT);
    if (kind == FAULT_HUGE)
        sent->repeat_at = repeat_at;
}

void protocol_send(server *s, conn *c, const reply *rep, text *answer)
{
    bool lost = rep->has_fault && (rep->fault.kind == FAULT_DROP || rep->fault.kind == FAULT_HANG);
    if (!lost) {
        s->count[COUNT_COINS] += rep->coins;
        if (rep->coins > s->count[COUNT_LARGEST])
            s->count[COUNT_LARGEST] = rep->coins;
        s->count[COUNT_ERRORS] += rep->kind != REPLY_RESULT;
        s->again = true;
    }
    if (rep->has_fault)
        send_spoiled(s, c, rep, answer);
    else
        conn_send(s, c, answer);
}
