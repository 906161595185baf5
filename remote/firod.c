/*
 * firod's JSON-RPC over HTTP: one POST at a time on a kept connection. The next one is started by
 * flush, before the sector of the last one is committed; what comes in meanwhile stays with
 * libcurl, for the buffer still holds the coins being committed.
 */
#include "core/detail.h"
#include "remote/link.h"

#include <stdlib.h>
#include <string.h>

#define SEND_TURNS 20 /* turns that flush waits for a request to be written */

typedef struct firod {
    as_link link;
    struct curl_slist *headers;
    anonset_request current; /* the one that `active` is about */
    size_t body_len;         /* of its text */
    bool active;             /* a transfer is under way */
    bool frozen;             /* link.in holds a message in use: take nothing in */
    bool paused;             /* libcurl was told so */
    bool cookie_renewed;     /* read again since it last worked */
    anonset_code refused;    /* why the body was cut off */
} firod;

static as_link *make(as_target *target)
{
    firod *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->link.target = target;
    return &self->link;
}

static void shut(as_link *link)
{
    firod *self = (firod *)link;
    as_link_shut(link);
    curl_slist_free_all(self->headers);
    self->headers = NULL;
    self->active = false;
    self->frozen = false;
    self->paused = false;
}

static void end(as_link *link)
{
    shut(link);
    as_inbuf_free(&link->in);
    free(link);
}

static size_t take_body(char *bytes, size_t size, size_t n, void *context)
{
    firod *self = context;
    if (self->frozen) {
        self->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    self->refused =
        as_inbuf_append(&self->link.in, bytes, size * n, as_link_ceiling(&self->current, 1));
    return self->refused == ANONSET_OK ? size * n : 0;
}

#define SET(option, value)                                                                         \
    if ((code = curl_easy_setopt(easy, option, value)) != CURLE_OK)                                \
    return code

static CURLcode set_http(firod *self)
{
    CURL *easy = self->link.easy;
    const as_target *target = self->link.target;
    CURLcode code;
    self->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!self->headers)
        return CURLE_OUT_OF_MEMORY;
    SET(CURLOPT_HTTPHEADER, self->headers);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, self);
    if (target->user) {
        SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        SET(CURLOPT_USERNAME, target->user);
        SET(CURLOPT_PASSWORD, target->password);
    }
    return CURLE_OK;
}

static as_fate open_link(as_link *link, anonset_detail *detail)
{
    if (link->multi)
        return AS_FATE_OK;
    as_fate fate = as_link_prepare(link, detail);
    if (fate != AS_FATE_OK)
        return fate;
    CURLcode code = set_http((firod *)link);
    if (code == CURLE_OK)
        return AS_FATE_OK;
    fate = as_link_failed(link, code, "libcurl refused an option", detail);
    shut(link);
    return fate;
}

static as_fate queue(as_link *link, const anonset_request *request, anonset_detail *detail)
{
    (void)link; /* flush takes the oldest request outstanding */
    (void)request;
    (void)detail;
    return AS_FATE_OK;
}

static as_fate start(firod *self, const anonset_request *request, anonset_detail *detail)
{
    as_link *link = &self->link;
    char text[ANONSET_REQUEST_TEXT];
    self->current = *request;
    self->body_len = anonset_request_write(text, request, ANONSET_FIROD);
    self->refused = ANONSET_OK;
    link->curl_text[0] = '\0';
    if (curl_easy_setopt(link->easy, CURLOPT_POSTFIELDSIZE, (long)self->body_len) != CURLE_OK ||
        curl_easy_setopt(link->easy, CURLOPT_COPYPOSTFIELDS, text) != CURLE_OK ||
        curl_multi_add_handle(link->multi, link->easy) != CURLM_OK)
        return as_link_failed(link, CURLE_OUT_OF_MEMORY, "could not start a request", detail);
    self->active = true;
    return AS_FATE_OK;
}

/* Lets libcurl write the request. Not being done in time is no failure: receive goes on with it. */
static as_fate write_out(firod *self, anonset_detail *detail)
{
    as_link *link = &self->link;
    for (int turn = 0; turn < SEND_TURNS; turn++) {
        int running;
        curl_off_t sent = 0;
        CURLMcode code = curl_multi_perform(link->multi, &running);
        if (code == CURLM_OK)
            (void)curl_easy_getinfo(link->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
        if (code == CURLM_OK && (running == 0 || (size_t)sent >= self->body_len ||
                                 anonset_sync_is_cancelled(link->sync)))
            return AS_FATE_OK;
        if (code == CURLM_OK)
            code = curl_multi_poll(link->multi, NULL, 0, AS_LINK_NAP_MS / 10, NULL);
        if (code != CURLM_OK)
            return as_link_failed(link, CURLE_SEND_ERROR, "sending failed", detail);
    }
    return AS_FATE_OK;
}

static as_fate flush(as_link *link, const anonset_request *outstanding, size_t n,
                     anonset_detail *detail)
{
    firod *self = (firod *)link;
    if (self->active || n == 0)
        return AS_FATE_OK;
    as_fate fate = start(self, &outstanding[0], detail);
    return fate == AS_FATE_OK ? write_out(self, detail) : fate;
}

/* firod writes a new cookie whenever it starts: the first 401 may only mean that. */
static as_fate renew_cookie(firod *self, anonset_detail *detail)
{
    as_link *link = &self->link;
    self->cookie_renewed = true;
    if (as_target_read_cookie(link->target, detail) != ANONSET_OK)
        return AS_FATE_FATAL;
    if (curl_easy_setopt(link->easy, CURLOPT_USERNAME, link->target->user) != CURLE_OK ||
        curl_easy_setopt(link->easy, CURLOPT_PASSWORD, link->target->password) != CURLE_OK)
        return as_link_failed(link, CURLE_OUT_OF_MEMORY, "could not log in again", detail);
    as_inbuf_clear(&link->in);
    anonset_request again = self->current;
    return start(self, &again, detail);
}

static as_fate refuse_login(as_link *link, long status, anonset_detail *detail)
{
    const char *cure = link->target->cookie_file
                           ? "the cookie file is not this node's, or not its newest"
                       : link->target->user ? "check user and password"
                                            : "name its cookie file, or set ANONSET_RPC_USER and "
                                              "ANONSET_RPC_PASSWORD";
    as_fail(detail, ANONSET_SERVER, 0, "%s: firod refused the login (HTTP %ld): %s",
            link->target->where, status, status == 403 ? "allow this address by rpcallowip" : cure);
    return AS_FATE_FATAL;
}

/* firod tells errors of a call as 500 or 404 with JSON; everything else is about HTTP. */
static as_fate judge(firod *self, anonset_detail *detail)
{
    as_link *link = &self->link;
    long status = 0;
    (void)curl_easy_getinfo(link->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 401 && link->target->cookie_file && !self->cookie_renewed)
        return renew_cookie(self, detail);
    if (status == 401 || status == 403)
        return refuse_login(link, status, detail);
    self->cookie_renewed = false;
    if (status == 503) {
        as_fail(detail, ANONSET_NETWORK, 0,
                "%s: firod is busy (HTTP 503, its work queue is full); sync again later",
                link->target->where);
        return AS_FATE_RETRY;
    }
    bool json = link->in.len > 0 && link->in.bytes[0] == '{';
    if (status == 200 || status == 500 || (status == 404 && json))
        return AS_FATE_OK;
    as_fail(detail, ANONSET_SERVER, 0, "%s: HTTP %ld: this is no JSON-RPC port of firod",
            link->target->where, status);
    return AS_FATE_FATAL;
}

static as_fate finish(firod *self, CURLcode result, anonset_detail *detail)
{
    as_link *link = &self->link;
    self->active = false;
    (void)curl_multi_remove_handle(link->multi, link->easy);
    if (self->refused != ANONSET_OK)
        return as_link_refuse(link, self->refused, detail);
    if (result != CURLE_OK)
        return as_link_failed(link, result, "the request failed", detail);
    return judge(self, detail);
}

/* Takes in again what came while the buffer was in use. */
static as_fate thaw(firod *self, anonset_detail *detail)
{
    if (self->frozen)
        as_inbuf_clear(&self->link.in);
    self->frozen = false;
    if (!self->paused)
        return AS_FATE_OK;
    self->paused = false;
    CURLcode code = curl_easy_pause(self->link.easy, CURLPAUSE_CONT);
    /* A body refused here ends the transfer, and is told by its result. */
    if (code == CURLE_OK || code == CURLE_WRITE_ERROR)
        return AS_FATE_OK;
    return as_link_failed(&self->link, code, "receiving failed", detail);
}

static as_fate receive(as_link *link, char **text, size_t *len, const anonset_request *outstanding,
                       size_t n, anonset_detail *detail)
{
    firod *self = (firod *)link;
    uint64_t deadline = as_now_ms() + link->target->timeout_ms;
    as_fate fate = thaw(self, detail);
    if (fate == AS_FATE_OK)
        fate = flush(link, outstanding, n, detail);
    while (fate == AS_FATE_OK && self->active) {
        bool done;
        CURLcode result = CURLE_OK;
        size_t before = link->in.len;
        if (anonset_sync_is_cancelled(link->sync))
            return AS_FATE_CANCELLED;
        fate = as_link_turn(link, &done, &result, detail);
        if (fate == AS_FATE_OK && done)
            fate = finish(self, result, detail);
        else if (link->in.len != before)
            deadline = as_now_ms() + link->target->timeout_ms;
        else if (fate == AS_FATE_OK && as_now_ms() >= deadline)
            fate = as_link_timed_out(link, detail);
    }
    if (fate == AS_FATE_OK) {
        self->frozen = true;
        as_inbuf_take_all(&link->in, text, len);
    }
    return fate;
}

const as_driver as_firod = {
    .make = make,
    .free = end,
    .open = open_link,
    .close = shut,
    .queue = queue,
    .flush = flush,
    .receive = receive,
};
