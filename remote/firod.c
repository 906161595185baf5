/*
 * firod's JSON-RPC over HTTP, by two lanes: transfers on kept connections of their own, for libcurl
 * sends no request ahead of an answer. When the answer on one has nearly come in, the next question
 * is asked on the other. Answers are handed on in the order of the requests: the other lane's is
 * left with libcurl, which stops reading, and so is all that comes while a sector is committed, for
 * the buffer still holds its coins.
 */
#include "core/alloc.h"
#include "core/detail.h"
#include "remote/link.h"

#include <string.h>

#define LANES      2
#define SEND_TURNS 20 /* turns that flush waits for a request to be written */

#define PIECE_MOST 32768 /* of an answer in pieces: more is left with libcurl meanwhile */

#define LEARN_LEAST  65536
#define MICROSECONDS 1000000

struct firod;

typedef struct lane {
    struct firod *owner;
    CURL *easy;              /* NULL: not made yet */
    anonset_request current; /* what the transfer is about */
    size_t body_len;         /* of its text */
    bool active;             /* a transfer is under way, or has ended and is to be looked at */
    bool done;               /* it has ended, with `result` */
    bool paused;             /* libcurl was told so */
    bool begun;              /* of its answer something came */
    unsigned login;          /* the owner's when the request was made */
    CURLcode result;
    anonset_code refused; /* why the body was cut off */
} lane;

typedef struct firod {
    as_link link; /* its handle is that of the lane whose answer is awaited */
    struct curl_slist *headers;
    lane lanes[LANES];
    uint32_t front;      /* the request whose answer may be taken in */
    uint32_t answered;   /* the one whose last piece was handed on; 0: none */
    bool frozen;         /* link.in holds a message in use: take nothing in */
    bool cookie_renewed; /* read again since it last worked */
    unsigned login;      /* counts the times it was read again */
    double rate;         /* bytes a second of the line, as seen last; 0: unknown */
} firod;

static as_link *make(as_target *target)
{
    firod *self = as_alloc_zeroed(sizeof *self);
    if (!self)
        return NULL;
    self->link.target = target;
    return &self->link;
}

static void shut(as_link *link)
{
    firod *self = (firod *)link;
    for (int i = 0; i < LANES; i++) {
        lane *l = &self->lanes[i];
        if (l->easy && l->easy != link->easy) {
            (void)curl_multi_remove_handle(link->multi, l->easy);
            curl_easy_cleanup(l->easy);
        }
        *l = (lane){.owner = self};
    }
    as_link_shut(link);
    curl_slist_free_all(self->headers);
    self->headers = NULL;
    self->frozen = false;
    self->answered = 0;
}

static void end(as_link *link)
{
    shut(link);
    as_inbuf_free(&link->in);
    as_free(link);
}

/* Whether what came of an answer may be handed on before its end: an error is taken as a whole. */
static bool is_good(const lane *l)
{
    long status = 0;
    (void)curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
    return status == 200;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *context)
{
    lane *l = context;
    firod *self = l->owner;
    l->begun = true;
    bool enough = l->current.kind == ANONSET_REQUEST_USED && is_good(l) &&
                  self->link.in.len + size * n > PIECE_MOST;
    if (self->frozen || enough || l->current.id != self->front || as_link_is_full(&self->link)) {
        l->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    l->refused = as_inbuf_append(&self->link.in, bytes, size * n, as_link_ceiling(&l->current, 1));
    self->link.received += size * n;
    as_link_came(&self->link, size * n);
    return l->refused == ANONSET_OK ? size * n : 0;
}

#define SET(option, value)                                                                         \
    if ((code = curl_easy_setopt(easy, option, value)) != CURLE_OK)                                \
    return code

static CURLcode set_login(CURL *easy, const as_target *target)
{
    CURLcode code;
    if (!target->user)
        return CURLE_OK;
    SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    SET(CURLOPT_USERNAME, target->user);
    SET(CURLOPT_PASSWORD, target->password);
    return CURLE_OK;
}

static CURLcode set_http(firod *self)
{
    CURL *easy = self->link.easy;
    CURLcode code;
    self->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!self->headers)
        return CURLE_OUT_OF_MEMORY;
    SET(CURLOPT_HTTPHEADER, self->headers);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    return CURLE_OK;
}

static as_fate open_link(as_link *link, anonset_detail *detail)
{
    firod *self = (firod *)link;
    if (link->multi)
        return AS_FATE_OK;
    as_fate fate = as_link_prepare(link, detail);
    if (fate != AS_FATE_OK)
        return fate;
    for (int i = 0; i < LANES; i++)
        self->lanes[i].owner = self;
    self->lanes[0].easy = link->easy;
    CURLcode code = set_http(self);
    if (code == CURLE_OK)
        return AS_FATE_OK;
    fate = as_link_failed(link, code, "libcurl refused an option", detail);
    shut(link);
    return fate;
}

static void queue(as_link *link, const anonset_request *request)
{
    (void)link; /* flush takes the oldest requests outstanding */
    (void)request;
}

static CURLcode set_request(lane *l, const char *text)
{
    CURL *easy = l->easy;
    CURLcode code;
    SET(CURLOPT_WRITEDATA, l);
    SET(CURLOPT_POSTFIELDSIZE, (long)l->body_len);
    SET(CURLOPT_COPYPOSTFIELDS, text);
    return set_login(easy, l->owner->link.target);
}

static as_fate start(lane *l, const anonset_request *request, anonset_detail *detail)
{
    firod *self = l->owner;
    as_link *link = &self->link;
    char text[ANONSET_REQUEST_TEXT];
    if (!l->easy)
        l->easy = curl_easy_duphandle(link->easy);
    *l = (lane){.owner = self, .easy = l->easy, .current = *request, .login = self->login};
    l->body_len = anonset_request_write(text, request, ANONSET_FIROD);
    link->curl_text[0] = '\0';
    if (!l->easy || set_request(l, text) != CURLE_OK ||
        curl_multi_add_handle(link->multi, l->easy) != CURLM_OK)
        return as_link_failed(link, CURLE_OUT_OF_MEMORY, "could not start a request", detail);
    l->active = true;
    return AS_FATE_OK;
}

/* Lets libcurl write the request. Not being done in time is no failure: receive goes on with it. */
static as_fate write_out(lane *l, anonset_detail *detail)
{
    as_link *link = &l->owner->link;
    for (int turn = 0; turn < SEND_TURNS; turn++) {
        int running;
        curl_off_t sent = 0;
        CURLMcode code = curl_multi_perform(link->multi, &running);
        if (code == CURLM_OK)
            (void)curl_easy_getinfo(l->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
        if (code == CURLM_OK && (running == 0 || (size_t)sent >= l->body_len ||
                                 anonset_sync_is_cancelled(link->sync) || as_link_is_spent(link)))
            return AS_FATE_OK;
        if (code == CURLM_OK)
            code = curl_multi_poll(link->multi, NULL, 0, AS_LINK_NAP_MS / 10, NULL);
        if (code != CURLM_OK)
            return as_link_failed(link, CURLE_SEND_ERROR, "sending failed", detail);
    }
    return AS_FATE_OK;
}

/* The lane of a request, or an idle one. Only the two oldest requests are ever asked, and answered
 * ones leave their lane: there is always one. */
static lane *lane_for(firod *self, uint32_t id)
{
    for (int i = 0; i < LANES; i++)
        if (self->lanes[i].active && self->lanes[i].current.id == id)
            return &self->lanes[i];
    return &self->lanes[self->lanes[0].active ? 1 : 0];
}

/* An answer in pieces may be looked at for a while behind its end: its request is still there. */
static as_fate ask(firod *self, const anonset_request *request, anonset_detail *detail)
{
    lane *l = lane_for(self, request->id);
    if (l->active || request->id == self->answered)
        return AS_FATE_OK;
    as_fate fate = start(l, request, detail);
    return fate == AS_FATE_OK ? write_out(l, detail) : fate;
}

static curl_off_t told(const lane *l, CURLINFO what)
{
    curl_off_t value = 0;
    (void)curl_easy_getinfo(l->easy, what, &value); /* fails only for what is no number */
    return value;
}

/*
 * Whether the answer comes to its end within the time that the next one takes to begin, twice over.
 * Sooner, the two would share the line and end together, with a round trip to the third; and what
 * nobody reads meanwhile would fill the little that the system keeps for a connection.
 */
static bool is_near_end(const lane *l)
{
    curl_off_t left =
        told(l, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T) - told(l, CURLINFO_SIZE_DOWNLOAD_T);
    double begin = (double)told(l, CURLINFO_STARTTRANSFER_TIME_T) / MICROSECONDS;
    return l->done || l->owner->rate == 0 || (double)left <= 2 * begin * l->owner->rate;
}

/* Of a long answer, for a short one comes at once on any line. */
static void learn_rate(const lane *l)
{
    curl_off_t took = told(l, CURLINFO_TOTAL_TIME_T) - told(l, CURLINFO_STARTTRANSFER_TIME_T);
    curl_off_t bytes = told(l, CURLINFO_SIZE_DOWNLOAD_T);
    if (bytes >= LEARN_LEAST && took > 0)
        l->owner->rate = (double)bytes * MICROSECONDS / (double)took;
}

/* What a question says of the chain must be said behind the answer before it, as its place in the
 * order tells: so that has to have begun. Nothing else depends on the genesis block. */
static bool may_ask_ahead(const lane *front)
{
    return front->current.kind == ANONSET_REQUEST_GENESIS || (front->begun && is_near_end(front));
}

static as_fate flush(as_link *link, const anonset_request *outstanding, size_t n,
                     anonset_detail *detail)
{
    firod *self = (firod *)link;
    if (n == 0)
        return AS_FATE_OK;
    self->front = outstanding[0].id;
    as_fate fate = ask(self, &outstanding[0], detail);
    if (fate == AS_FATE_OK && n > 1 && may_ask_ahead(lane_for(self, self->front)))
        fate = ask(self, &outstanding[1], detail);
    return fate;
}

/* firod writes a new cookie whenever it starts: the first 401 may only mean that, and so does one
 * for what was asked before the cookie was read again. */
static as_fate renew_cookie(lane *l, anonset_detail *detail)
{
    firod *self = l->owner;
    as_link *link = &self->link;
    anonset_request again = l->current;
    if (l->login == self->login) {
        self->cookie_renewed = true;
        self->login++;
        if (as_target_read_cookie(link->target, detail) != ANONSET_OK)
            return AS_FATE_FATAL;
    }
    as_inbuf_clear(&link->in);
    return start(l, &again, detail);
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
static as_fate judge(lane *l, anonset_detail *detail)
{
    firod *self = l->owner;
    as_link *link = &self->link;
    long status = 0;
    (void)curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 401 && link->target->cookie_file &&
        (!self->cookie_renewed || l->login != self->login))
        return renew_cookie(l, detail);
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

static as_fate finish(lane *l, anonset_detail *detail)
{
    as_link *link = &l->owner->link;
    l->active = false;
    learn_rate(l);
    (void)curl_multi_remove_handle(link->multi, l->easy);
    if (l->refused != ANONSET_OK)
        return as_link_refuse(link, l->refused, detail);
    if (l->result == CURLE_OUT_OF_MEMORY) {
        /* What libcurl before 8.6 says to a long line of a head as well. If there really is no
         * memory left, the next connection tells. */
        as_fail(
            detail, ANONSET_NETWORK, 0,
            "%s: no memory for an answer, or its head is longer than libcurl takes; sync again, "
            "or use another server",
            link->target->where);
        return AS_FATE_RETRY;
    }
    if (l->result != CURLE_OK)
        return as_link_failed(link, l->result, "the request failed", detail);
    return judge(l, detail);
}

/* Takes in again what came while the buffer was in use, or before its turn. */
static as_fate thaw(lane *l, anonset_detail *detail)
{
    if (!l->paused)
        return AS_FATE_OK;
    l->paused = false;
    CURLcode code = curl_easy_pause(l->easy, CURLPAUSE_CONT);
    /* A body refused here ends the transfer, and is told by its result. */
    if (code == CURLE_OK || code == CURLE_WRITE_ERROR)
        return AS_FATE_OK;
    return as_link_failed(&l->owner->link, code, "receiving failed", detail);
}

/* Lets both lanes work. */
static as_fate turn(firod *self, anonset_detail *detail)
{
    CURL *done;
    CURLcode result = CURLE_OK;
    as_fate fate = as_link_turn(&self->link, &done, &result, detail);
    for (int i = 0; done && i < LANES; i++) {
        if (self->lanes[i].easy == done) {
            self->lanes[i].done = true;
            self->lanes[i].result = result;
        }
    }
    return fate;
}

/* A turn of waiting for an answer. Its end clears `active`. */
static as_fate work(lane *l, const anonset_request *outstanding, size_t n, anonset_detail *detail)
{
    as_fate fate = AS_FATE_OK;
    if (!l->done)
        fate = turn(l->owner, detail);
    if (fate == AS_FATE_OK)
        fate = flush(&l->owner->link, outstanding, n, detail);
    if (fate == AS_FATE_OK && l->done)
        fate = finish(l, detail);
    return fate;
}

/* Whether there is what is waited for: an answer, or a piece of one. */
static bool is_there(const lane *l, bool in_pieces)
{
    return !l->active || (in_pieces && l->owner->link.in.len > 0 && is_good(l));
}

static as_fate await(lane *l, bool in_pieces, const anonset_request *outstanding, size_t n,
                     anonset_detail *detail)
{
    as_link *link = &l->owner->link;
    as_fate fate = thaw(l, detail);
    while (fate == AS_FATE_OK && !is_there(l, in_pieces)) {
        if (anonset_sync_is_cancelled(link->sync))
            return AS_FATE_CANCELLED;
        fate = work(l, outstanding, n, detail);
        if (fate != AS_FATE_OK || is_there(l, in_pieces))
            break;
        /* First, or calls that are all spent in waiting would never hear of it. */
        if (as_link_now(link) >= link->deadline)
            fate = as_link_timed_out(link, detail);
        else if (as_link_is_spent(link))
            fate = AS_FATE_LATER;
    }
    return fate;
}

static as_fate take(as_link *link, as_piece *piece, bool in_pieces,
                    const anonset_request *outstanding, size_t n, anonset_detail *detail)
{
    firod *self = (firod *)link;
    if (self->frozen)
        as_inbuf_clear(&link->in);
    self->frozen = false;
    lane *l = lane_for(self, self->front);
    link->easy = l->easy;
    as_link_await(link);
    as_fate fate = await(l, in_pieces, outstanding, n, detail);
    as_link_awaited_piece(link, fate, !l->active);
    if (fate == AS_FATE_OK) {
        self->frozen = true;
        as_inbuf_take_all(&link->in, &piece->at, &piece->len);
        piece->last = !l->active;
    }
    return fate;
}

static as_fate receive(as_link *link, char **text, size_t *len, const anonset_request *outstanding,
                       size_t n, anonset_detail *detail)
{
    as_piece whole;
    as_fate fate = take(link, &whole, false, outstanding, n, detail);
    if (fate == AS_FATE_OK) {
        *text = whole.at;
        *len = whole.len;
    }
    return fate;
}

static as_fate receive_piece(as_link *link, as_piece *piece, const anonset_request *outstanding,
                             size_t n, anonset_detail *detail)
{
    firod *self = (firod *)link;
    as_fate fate = take(link, piece, true, outstanding, n, detail);
    if (fate == AS_FATE_OK && piece->last)
        self->answered = self->front;
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
    .receive_piece = receive_piece,
};
