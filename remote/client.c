/*
 * The built-in transport: drives a sync over a link. A turn of the loop steps the sync; a request
 * is queued, and put on the wire at once where a commit may follow, so that the server works while
 * we commit; a wait receives one answer, decodes it in place and feeds it. What fails for a moment
 * is tried again, more and more patiently. A call may end in the midst of every wait, and the next
 * one goes on there.
 */
#include "remote/client.h"

#include "core/alloc.h"
#include "core/detail.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOTIFICATIONS_MAX 1000u /* in a row, without an answer between */

/* ---- Making and ending -------------------------------------------------------------------- */

static uint64_t jitter_seed(const anonset_client *client)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now); /* any value will do */
    return (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20 ^ (uint64_t)getpid() << 40 ^
           (uint64_t)(uintptr_t)client;
}

anonset_code anonset_client_new(anonset_client **client, const char *url,
                                const anonset_client_options *options, anonset_detail *detail)
{
    anonset_client_options defaults;
    anonset_code code;
    if (!client || !url)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_client_new: a NULL argument");
    anonset_client_options_init(&defaults);
    if (!options)
        options = &defaults;
    if (options->size < sizeof *options)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "call anonset_client_options_init before setting options");
    anonset_client *made = as_alloc_zeroed(sizeof *made);
    if (!made)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for a client");
    code = as_target_make(&made->target, url, options, detail);
    if (code != ANONSET_OK)
        goto out;
    made->driver = made->target.dialect == ANONSET_ELECTRUMX ? &as_electrumx : &as_firod;
    made->retries = options->retries;
    made->backoff_base_ms = AS_BACKOFF_BASE_MS;
    made->backoff_cap_ms = AS_BACKOFF_CAP_MS;
    made->jitter = jitter_seed(made);
    made->link = made->driver->make(&made->target);
    if (!made->link) {
        code = as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for a client");
        goto out;
    }
    *client = made;
    made = NULL;
out:
    anonset_client_free(made);
    return code;
}

void anonset_client_free(anonset_client *client)
{
    if (!client)
        return;
    anonset_used_text_free(client->run.reader);
    if (client->link)
        client->driver->free(client->link);
    as_target_free(&client->target);
    as_free(client);
}

/* ---- Waiting ------------------------------------------------------------------------------ */

/* Waits until it is time, or the sync is cancelled; false: this call may not wait as long. A signal
 * cuts a nap short, so its cancel is seen at once. */
static bool rest(const as_run *run)
{
    const as_link *link = run->client->link;
    for (uint64_t now = as_now_ms(); now < run->not_before && !anonset_sync_is_cancelled(run->sync);
         now = as_now_ms()) {
        if (as_link_is_spent(link))
            return false;
        uint64_t left = run->not_before - now;
        int nap = as_link_nap(link);
        (void)poll(NULL, 0, left < (uint64_t)nap ? (int)left : nap);
    }
    return true;
}

/* How long the requests outstanding, sent or not, have to wait for the server's charges. firod
 * charges nothing. */
static uint64_t pace_wait(const as_run *run)
{
    const as_pace *pace = &run->client->pace;
    const anonset_request *outstanding;
    uint64_t bytes = 0;
    if (run->client->target.dialect == ANONSET_FIROD)
        return 0;
    size_t n = anonset_sync_outstanding(run->sync, &outstanding);
    for (size_t i = 0; i < n; i++)
        bytes += as_pace_expect(pace, outstanding[i].kind == ANONSET_REQUEST_SECTOR
                                          ? outstanding[i].end - outstanding[i].start
                                          : 0);
    return as_pace_wait(pace, as_now_ms(), bytes);
}

/* ---- Sending and receiving ---------------------------------------------------------------- */

static as_fate flush(as_run *run, anonset_detail *detail)
{
    const anonset_request *outstanding;
    size_t n = anonset_sync_outstanding(run->sync, &outstanding);
    as_fate fate = run->client->driver->flush(run->client->link, outstanding, n, detail);
    if (fate == AS_FATE_OK)
        run->unsent = 0;
    return fate;
}

/*
 * Lets the server work while we commit what was fed. Failing now must not cost the commit: the
 * flush before the next wait fails in the same way, and is heard.
 */
static void flush_before_commit(as_run *run)
{
    anonset_detail unheard;
    if (pace_wait(run) == 0)
        (void)flush(run, &unheard);
}

/* Sends what is queued, if need be after a wait. With an answer still to come it is received first:
 * the server may not be left sitting on it for as long as its charges take to decay. */
static as_fate flush_before_wait(as_run *run, size_t outstanding, anonset_detail *detail)
{
    uint64_t ms = pace_wait(run);
    if (ms > 0 && outstanding != run->unsent)
        return AS_FATE_OK;
    run->not_before = as_now_ms() + ms;
    if (!rest(run))
        return AS_FATE_LATER;
    return anonset_sync_is_cancelled(run->sync) ? AS_FATE_CANCELLED : flush(run, detail);
}

static as_fate send_request(as_run *run, anonset_detail *detail)
{
    anonset_client *client = run->client;
    as_fate fate = client->driver->open(client->link, detail);
    if (fate != AS_FATE_OK)
        return fate;
    client->driver->queue(client->link, &run->request);
    run->unqueued = false;
    run->unsent++;
    if (run->commit_may_follow)
        flush_before_commit(run);
    return AS_FATE_OK;
}

static as_fate refuse_busy(as_run *run, anonset_detail *detail)
{
    as_fail(detail, ANONSET_NETWORK, 0, "%s: the server is busy: %.100s; sync again later",
            run->client->target.where, run->answer.text);
    return AS_FATE_RETRY;
}

static as_fate note_notification(as_run *run, anonset_detail *detail)
{
    if (++run->notifications <= NOTIFICATIONS_MAX)
        return AS_FATE_OK;
    as_fail(detail, ANONSET_BAD_ANSWER, 0,
            "%s: the server sends notifications without end and no answer; use another server",
            run->client->target.where);
    return AS_FATE_RETRY;
}

static bool is_error(anonset_answer_kind kind)
{
    return kind >= ANONSET_ANSWER_BLOCK_REFUSED;
}

static void charge(as_run *run)
{
    as_pace *pace = &run->client->pace;
    const anonset_answer *answer = &run->answer;
    as_pace_bytes(pace, as_now_ms(), answer->wire_bytes);
    if (is_error(answer->kind))
        as_pace_error(pace, as_now_ms());
    if (answer->kind == ANONSET_ANSWER_COINS)
        as_pace_learn(pace, answer->n, answer->wire_bytes);
}

static as_fate feed(as_run *run, anonset_detail *detail)
{
    anonset_answer *answer = &run->answer;
    charge(run);
    if (answer->kind == ANONSET_ANSWER_NONE)
        return note_notification(run, detail);
    if (answer->kind == ANONSET_ANSWER_BUSY)
        return refuse_busy(run, detail);
    run->notifications = 0;
    run->commit_may_follow = answer->kind == ANONSET_ANSWER_COINS;
    if (anonset_sync_feed(run->sync, answer, detail) != ANONSET_OK)
        return AS_FATE_FATAL; /* the decoder found an outstanding request for it */
    /* firod takes few requests at a time: the next of the flight may go now. */
    flush_before_commit(run);
    return AS_FATE_OK;
}

/* Puts the server's address before the decoder's words. */
static as_fate refuse_answer(const as_run *run, anonset_code code, const anonset_detail *why,
                             anonset_detail *detail)
{
    as_fail(detail, code, 0, "%s: %.180s", run->client->target.where, why->text);
    return code == ANONSET_BAD_ANSWER ? AS_FATE_RETRY : AS_FATE_FATAL;
}

/* One of the requests is for the list of used tags, of which the answer comes in pieces. */
static bool is_in_pieces(const anonset_request *outstanding, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (outstanding[i].kind == ANONSET_REQUEST_USED)
            return true;
    return false;
}

static void end_reading(as_run *run)
{
    anonset_used_text_free(run->reader);
    run->reader = NULL;
    run->piece = (as_piece){.len = 0};
}

/* Reads on in the piece at hand. *fed: there is an answer, or a part of one. */
static as_fate read_piece(as_run *run, bool *fed, const anonset_request *outstanding, size_t n,
                          anonset_detail *detail)
{
    anonset_detail why = {0};
    as_piece *piece = &run->piece;
    size_t taken = 0;
    anonset_code code = ANONSET_OK;
    if (!run->reader)
        code = anonset_used_text_new(&run->reader, &why);
    if (code == ANONSET_OK)
        code =
            anonset_used_text_read(run->reader, &run->answer, &taken, piece->at, piece->len,
                                   piece->last, outstanding, n, run->client->target.dialect, &why);
    if (code != ANONSET_OK)
        return refuse_answer(run, code, &why, detail);
    piece->at += taken;
    piece->len -= taken;
    *fed = run->answer.kind != ANONSET_ANSWER_NONE || (piece->last && piece->len == 0);
    if (*fed && !run->answer.more)
        piece->last = false;
    return AS_FATE_OK;
}

static as_fate receive_pieces(as_run *run, const anonset_request *outstanding, size_t n,
                              anonset_detail *detail)
{
    anonset_client *client = run->client;
    as_fate fate = AS_FATE_OK;
    bool fed = false, received = false;
    while (fate == AS_FATE_OK && !fed) {
        if (run->piece.len == 0 && !run->piece.last) {
            if (received && as_link_is_spent(client->link))
                return AS_FATE_LATER;
            fate = client->driver->receive_piece(client->link, &run->piece, outstanding, n, detail);
            received = true;
        }
        if (fate == AS_FATE_OK)
            fate = read_piece(run, &fed, outstanding, n, detail);
    }
    return fate == AS_FATE_OK ? feed(run, detail) : fate;
}

static as_fate receive_answer(as_run *run, anonset_detail *detail)
{
    anonset_client *client = run->client;
    const anonset_request *outstanding;
    anonset_detail why = {0};
    char *text;
    size_t len;
    anonset_answer_clear(&run->answer);
    run->commit_may_follow = false;
    size_t n = anonset_sync_outstanding(run->sync, &outstanding);
    if (n == 0) {
        as_fail(detail, ANONSET_INTERNAL, 0, "the sync waits for an answer it did not ask for");
        return AS_FATE_FATAL;
    }
    as_fate fate = flush_before_wait(run, n, detail);
    if (is_in_pieces(outstanding, n))
        return fate == AS_FATE_OK ? receive_pieces(run, outstanding, n, detail) : fate;
    end_reading(run);
    if (fate == AS_FATE_OK)
        fate = client->driver->receive(client->link, &text, &len, outstanding, n, detail);
    if (fate != AS_FATE_OK)
        return fate;
    anonset_code code =
        anonset_answer_read(&run->answer, text, len, outstanding, n, client->target.dialect, &why);
    return code == ANONSET_OK ? feed(run, detail) : refuse_answer(run, code, &why, detail);
}

/* ---- Failing and trying again ------------------------------------------------------------- */

static void give_up(as_run *run, const anonset_detail *why)
{
    anonset_sync_abort(run->sync, why);
}

static void try_again(as_run *run, bool timed_out, const anonset_detail *why)
{
    anonset_client *client = run->client;
    uint64_t commits = anonset_sync_commits(run->sync);
    if (commits != run->commits)
        run->failures = 0;
    run->commits = commits;
    if (run->failures >= client->retries) {
        give_up(run, why);
        return;
    }
    unsigned ms = as_backoff_ms(run->failures, client->backoff_base_ms, client->backoff_cap_ms,
                                as_jitter(&client->jitter));
    run->failures++;
    run->notifications = 0;
    run->unsent = 0;
    anonset_sync_reconnect(run->sync, timed_out);
    run->not_before = as_now_ms() + ms;
}

static void recover(as_run *run, as_fate fate, const anonset_detail *why)
{
    run->client->driver->close(run->client->link);
    run->unqueued = false;
    end_reading(run);
    if (fate == AS_FATE_FATAL)
        give_up(run, why);
    else if (fate != AS_FATE_CANCELLED) /* the next step tells the result of a cancel */
        try_again(run, fate == AS_FATE_TIMEOUT, why);
    anonset_answer_clear(&run->answer);
}

/* Carries out what a step said. */
static as_fate carry_out(as_run *run, anonset_step step, anonset_detail *why)
{
    if (step == ANONSET_STEP_WAIT)
        return receive_answer(run, why);
    run->unqueued = true;
    return send_request(run, why);
}

/* False: what the call may take is spent. It receives at least once, or nothing would ever get on.
 */
static bool drive(as_run *run)
{
    bool received = false;
    while (rest(run)) {
        anonset_detail why = {0};
        anonset_step step = ANONSET_STEP_SEND;
        if (!run->unqueued)
            step = anonset_sync_step(run->sync, &run->request);
        if (step == ANONSET_STEP_DONE)
            return true;
        if (step == ANONSET_STEP_WAIT && received && as_link_is_spent(run->client->link))
            return false;
        received = received || step == ANONSET_STEP_WAIT;
        as_fate fate = carry_out(run, step, &why);
        if (fate == AS_FATE_LATER)
            return false;
        if (fate != AS_FATE_OK)
            recover(run, fate, &why);
    }
    return false;
}

/* ---- Calls -------------------------------------------------------------------------------- */

static bool goes_on(const as_run *run, const anonset_sync *sync)
{
    const anonset_request *outstanding;
    size_t n = anonset_sync_outstanding(sync, &outstanding);
    return run->sync == sync && run->n_left == n &&
           memcmp(run->left, outstanding, n * sizeof *outstanding) == 0;
}

/* An answer that is under way must be to what this very sync asks: it may be another one at the
 * same place, or was driven by somebody else, or told of a lost connection, since the last call. */
static void begin(as_run *run, anonset_client *client, anonset_sync *sync)
{
    const anonset_request *outstanding;
    if (goes_on(run, sync))
        return;
    client->driver->close(client->link);
    end_reading(run);
    if (anonset_sync_outstanding(sync, &outstanding) > 0)
        anonset_sync_reconnect(sync, false);
    *run = (as_run){.client = client, .sync = sync, .commits = anonset_sync_commits(sync)};
}

/* The sync waits, so that it needs the answer fed last no more. */
static void leave(as_run *run)
{
    const anonset_request *outstanding;
    run->n_left = anonset_sync_outstanding(run->sync, &outstanding);
    memcpy(run->left, outstanding, run->n_left * sizeof *outstanding);
}

static bool run_for(anonset_client *client, anonset_sync *sync, uint64_t max_bytes, uint32_t max_ms)
{
    as_run *run = &client->run;
    begin(run, client, sync);
    as_link_enter(client->link, sync, max_bytes, max_ms);
    bool done = drive(run);
    anonset_answer_clear(&run->answer);
    if (done) {
        client->driver->close(client->link);
        end_reading(run);
        *run = (as_run){0};
    } else {
        leave(run);
    }
    as_link_leave(client->link);
    return done;
}

/* ---- SIGPIPE ------------------------------------------------------------------------------ */

/* A library must not leave a process to die of a closed connection, nor change what its signals do:
 * SIGPIPE is held back on this thread, and taken off if it came. */
typedef struct pipe_guard {
    sigset_t before;
    bool pending;
} pipe_guard;

static void hold_pipe(pipe_guard *guard)
{
    sigset_t pipe, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigemptyset(&pending);
    (void)sigpending(&pending); /* fails only for a bad pointer */
    guard->pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipe, &guard->before);
}

static void release_pipe(const pipe_guard *guard)
{
    static const struct timespec at_once = {0};
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (!guard->pending)
        (void)sigtimedwait(&pipe, NULL, &at_once); /* does not wait, so nothing interrupts it */
    (void)pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

anonset_code anonset_client_step(anonset_client *client, bool *done, anonset_sync *sync,
                                 uint64_t max_bytes, uint32_t max_ms, anonset_detail *detail)
{
    pipe_guard guard;
    if (!client || !done || !sync)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_client_step: a NULL argument");
    hold_pipe(&guard);
    *done = run_for(client, sync, max_bytes, max_ms);
    release_pipe(&guard);
    return ANONSET_OK;
}

anonset_code anonset_client_run(anonset_client *client, anonset_sync *sync, anonset_detail *detail)
{
    bool done;
    if (!client || !sync)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_client_run: a NULL argument");
    return anonset_client_step(client, &done, sync, 0, 0, detail); /* without a limit it ends */
}
