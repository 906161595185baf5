/*
 * ElectrumX over TCP or TLS: libcurl connects (proxy, TLS, pin), the lines are ours. Requests are
 * pipelined; server.version goes out ahead of the first ones, in the same flight.
 */
#include "core/alloc.h"
#include "core/detail.h"
#include "core/flight.h"
#include "remote/json.h"
#include "remote/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define HELLO_ID 0 /* requests of a sync begin at 1 */
/* What is not on the wire is outstanding: hello, and as much as a sync asks at once. */
#define OUT_MOST ((AS_FLIGHT_MAX + 1) * ANONSET_REQUEST_TEXT)

typedef struct electrumx {
    as_link link;
    bool connected;
    bool greeted;     /* the answer to server.version came */
    size_t out_len;   /* of `out` */
    size_t out_sent;  /* of them on the wire */
    uint64_t send_by; /* by as_link_now, where some are not; 0: not said yet */
    char out[OUT_MOST];
} electrumx;

static as_link *make(as_target *target)
{
    electrumx *self = as_alloc_zeroed(sizeof *self);
    if (!self)
        return NULL;
    self->link.target = target;
    return &self->link;
}

static void shut(as_link *link)
{
    electrumx *self = (electrumx *)link;
    as_link_shut(link);
    self->connected = false;
    self->greeted = false;
    self->out_len = 0;
    self->out_sent = 0;
    self->send_by = 0;
}

static void end(as_link *link)
{
    shut(link);
    as_inbuf_free(&link->in);
    as_free(link);
}

static void say_hello(electrumx *self)
{
    int n = snprintf(self->out, sizeof self->out,
                     "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"server.version\",\"params\":"
                     "[\"anonset/%s\",\"1.4\"]}\n",
                     HELLO_ID, anonset_version());
    self->out_len = n > 0 ? (size_t)n : 0;
}

static as_fate finish_connect(electrumx *self, anonset_detail *detail)
{
    as_link *link = &self->link;
    CURL *done = NULL;
    CURLcode result = CURLE_OK;
    while (!done) {
        if (anonset_sync_is_cancelled(link->sync))
            return AS_FATE_CANCELLED;
        as_fate fate = as_link_turn(link, &done, &result, detail);
        if (fate != AS_FATE_OK)
            return fate;
        if (!done && as_link_is_spent(link))
            return AS_FATE_LATER;
    }
    if (result != CURLE_OK)
        return as_link_failed(link, result, "could not connect", detail);
    self->connected = true;
    say_hello(self);
    return AS_FATE_OK;
}

static as_fate begin_connect(as_link *link, anonset_detail *detail)
{
    as_fate fate = as_link_prepare(link, detail);
    if (fate != AS_FATE_OK)
        return fate;
    /* The handle stays in `multi`: taking it out would close the connection. */
    if (curl_easy_setopt(link->easy, CURLOPT_CONNECT_ONLY, 1L) != CURLE_OK ||
        curl_easy_setopt(link->easy, CURLOPT_SSL_ENABLE_ALPN, 0L) != CURLE_OK ||
        curl_multi_add_handle(link->multi, link->easy) != CURLM_OK)
        fate = as_link_failed(link, CURLE_OUT_OF_MEMORY, "could not connect", detail);
    return fate;
}

static as_fate open_link(as_link *link, anonset_detail *detail)
{
    electrumx *self = (electrumx *)link;
    if (self->connected)
        return AS_FATE_OK;
    /* What was begun in another call is gone on with. */
    as_fate fate = link->multi ? AS_FATE_OK : begin_connect(link, detail);
    if (fate == AS_FATE_OK)
        fate = finish_connect(self, detail);
    if (fate != AS_FATE_OK && fate != AS_FATE_LATER)
        shut(link);
    return fate;
}

/* Waits until the socket is ready, or for a nap. */
static as_fate wait_ready(as_link *link, short events, uint64_t deadline, anonset_detail *detail)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    (void)curl_easy_getinfo(link->easy, CURLINFO_ACTIVESOCKET, &socket);
    if (socket == CURL_SOCKET_BAD)
        return as_link_failed(link, CURLE_RECV_ERROR, "the connection was lost", detail);
    if (anonset_sync_is_cancelled(link->sync))
        return AS_FATE_CANCELLED;
    if (as_link_now(link) >= deadline)
        return as_link_timed_out(link, detail);
    struct pollfd ready = {.fd = socket, .events = events};
    if (poll(&ready, 1, as_link_nap(link)) < 0 && errno != EINTR) {
        as_fail(detail, ANONSET_NETWORK, errno, "%s: waiting failed; sync again",
                link->target->where);
        return AS_FATE_RETRY;
    }
    return AS_FATE_OK;
}

static as_fate flush(as_link *link, const anonset_request *outstanding, size_t n,
                     anonset_detail *detail)
{
    electrumx *self = (electrumx *)link;
    (void)outstanding;
    (void)n;
    if (self->send_by == 0)
        self->send_by = as_link_now(link) + link->target->timeout_ms;
    while (self->out_sent < self->out_len) {
        size_t now = 0;
        as_fate fate = AS_FATE_OK;
        CURLcode code = curl_easy_send(link->easy, self->out + self->out_sent,
                                       self->out_len - self->out_sent, &now);
        if (code == CURLE_OK)
            self->out_sent += now; /* TLS may take a part */
        else if (code == CURLE_AGAIN && as_link_is_spent(link))
            fate = AS_FATE_LATER;
        else if (code == CURLE_AGAIN)
            fate = wait_ready(link, POLLOUT, self->send_by, detail);
        else
            fate = as_link_failed(link, code, "sending failed", detail);
        if (fate != AS_FATE_OK)
            return fate;
    }
    self->out_len = 0;
    self->out_sent = 0;
    self->send_by = 0;
    return AS_FATE_OK;
}

static void queue(as_link *link, const anonset_request *request)
{
    electrumx *self = (electrumx *)link;
    self->out_len -= self->out_sent;
    memmove(self->out, self->out + self->out_sent, self->out_len);
    self->out_sent = 0;
    self->out_len += anonset_request_write(self->out + self->out_len, request, ANONSET_ELECTRUMX);
}

/*
 * Whether a line answers server.version; if so *fate says how. Only looked at until that answer
 * came, and only short lines: a sector may overtake it.
 */
static bool is_hello(electrumx *self, char *line, size_t len, as_fate *fate, anonset_detail *detail)
{
    static const char *const names[] = {"id", "result", "error"};
    as_span values[3], message = {0};
    uint32_t id;
    static const char *const error_names[] = {"message"};
    char said[120] = "no reason given";
    if (self->greeted || len > 4096 || !as_json_members((as_span){line, len}, names, values, 3) ||
        !values[0].at || !as_json_unsigned(values[0], UINT32_MAX, &id) || id != HELLO_ID)
        return false;
    self->greeted = true;
    *fate = AS_FATE_OK;
    if (values[1].at && !as_json_is(values[1], "null"))
        return true;
    if (values[2].at && as_json_members(values[2], error_names, &message, 1) && message.at &&
        as_json_string(message, &message))
        as_clean_text(said, sizeof said, message.at, message.len);
    as_fail(detail, ANONSET_SERVER, 0,
            "%s: the server does not speak protocol 1.4 with us: %s; use another server",
            self->link.target->where, said);
    *fate = AS_FATE_FATAL;
    return true;
}

/* Receives what is there, without waiting: *got bytes. */
static as_fate pull(as_link *link, size_t ceiling, size_t *got, anonset_detail *detail)
{
    char *room;
    size_t len, n = 0;
    anonset_code refused = as_inbuf_room(&link->in, &room, &len, ceiling);
    *got = 0;
    if (refused != ANONSET_OK)
        return as_link_refuse(link, refused, detail);
    if (link->most > 0 && len > link->most - link->received)
        len = (size_t)(link->most - link->received);
    CURLcode code = curl_easy_recv(link->easy, room, len, &n);
    if (code == CURLE_AGAIN)
        return AS_FATE_OK;
    if (code != CURLE_OK)
        return as_link_failed(link, code, "receiving failed", detail);
    if (n == 0) {
        as_fail(detail, ANONSET_NETWORK, 0,
                "%s: the server closed the connection; what was committed is kept, sync again",
                link->target->where);
        return AS_FATE_RETRY;
    }
    as_inbuf_added(&link->in, n);
    link->received += n;
    *got = n;
    return AS_FATE_OK;
}

/* Receives what is there, or waits for a nap. Until CURLE_AGAIN before waiting: TLS holds bytes
 * that poll does not show. A cancel is seen where nothing is there. */
static as_fate take_in(as_link *link, size_t ceiling, anonset_detail *detail)
{
    size_t got;
    as_fate fate = pull(link, ceiling, &got, detail);
    if (fate != AS_FATE_OK)
        return fate;
    if (got == 0)
        return wait_ready(link, POLLIN, link->deadline, detail);
    as_link_came(link, got);
    return AS_FATE_OK;
}

static as_fate receive_line(electrumx *self, char **text, size_t *len, size_t ceiling,
                            anonset_detail *detail)
{
    as_link *link = &self->link;
    as_fate fate = AS_FATE_OK;
    bool pulled = false;
    while (fate == AS_FATE_OK) {
        if (as_inbuf_take_line(&link->in, text, len)) {
            if (!is_hello(self, *text, *len, &fate, detail))
                return AS_FATE_OK;
            as_inbuf_drop(&link->in);
            continue;
        }
        if (pulled && as_link_is_spent(link))
            return AS_FATE_LATER;
        fate = take_in(link, ceiling, detail);
        pulled = true;
    }
    return fate;
}

static as_fate receive(as_link *link, char **text, size_t *len, const anonset_request *outstanding,
                       size_t n, anonset_detail *detail)
{
    as_inbuf_drop(&link->in);
    as_link_await(link);
    as_fate fate =
        receive_line((electrumx *)link, text, len, as_link_ceiling(outstanding, n), detail);
    as_link_awaited(link, fate);
    return fate;
}

/* Takes what is there of a line. Until the answer to server.version came, lines are taken as a
 * whole. *fate, OK before, tells of that answer. */
static bool take_piece(electrumx *self, as_piece *piece, as_fate *fate, anonset_detail *detail)
{
    as_inbuf *in = &self->link.in;
    if (!self->greeted) {
        if (!as_inbuf_take_line(in, &piece->at, &piece->len))
            return false;
        piece->last = !is_hello(self, piece->at, piece->len, fate, detail);
        if (piece->last)
            return true;
        piece->len = 0;
        as_inbuf_drop(in);
        if (*fate != AS_FATE_OK)
            return false;
    }
    return as_inbuf_take_piece(in, &piece->at, &piece->len, &piece->last);
}

static as_fate await_piece(electrumx *self, as_piece *piece, size_t ceiling, anonset_detail *detail)
{
    as_link *link = &self->link;
    as_fate fate = AS_FATE_OK;
    bool pulled = false;
    while (!take_piece(self, piece, &fate, detail) && fate == AS_FATE_OK) {
        if (pulled && as_link_is_spent(link))
            return AS_FATE_LATER;
        fate = take_in(link, ceiling, detail);
        pulled = true;
    }
    return fate;
}

static as_fate receive_piece(as_link *link, as_piece *piece, const anonset_request *outstanding,
                             size_t n, anonset_detail *detail)
{
    as_inbuf_drop(&link->in);
    as_link_await(link);
    as_fate fate = await_piece((electrumx *)link, piece, as_link_ceiling(outstanding, n), detail);
    as_link_awaited_piece(link, fate, piece->last);
    return fate;
}

const as_driver as_electrumx = {
    .make = make,
    .free = end,
    .open = open_link,
    .close = shut,
    .queue = queue,
    .flush = flush,
    .receive = receive,
    .receive_piece = receive_piece,
};
