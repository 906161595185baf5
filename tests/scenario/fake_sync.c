#include "tests/scenario/fake_sync.h"

#include "core/detail.h"
#include "remote/link.h"
#include "tests/support/valgrind.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define CANCEL_MS 200

static anonset_step hand_out(anonset_sync *sync, anonset_request *request,
                             anonset_request_kind kind)
{
    uint32_t coins = sync->coins ? sync->coins : 1;
    *request = (anonset_request){.id = ++sync->last_id, .kind = kind, .group = 1};
    if (kind == ANONSET_REQUEST_SECTOR) {
        request->start = sync->asked * coins;
        request->end = request->start + coins;
        memcpy(request->block_hash, sync->block_hash, sizeof request->block_hash);
        sync->asked++;
    }
    if (kind == ANONSET_REQUEST_HEIGHT) {
        memcpy(request->tx_hash, sync->tx_hash, sizeof request->tx_hash);
        sync->heights_asked++;
    }
    sync->outstanding[sync->n++] = *request;
    return ANONSET_STEP_SEND;
}

static void commit(anonset_sync *sync)
{
    size_t len = sync->coin.serialized_len;
    if (sync->asked > sync->commits + 1)
        sync->sent_before_commit++;
    if (sync->on_commit)
        sync->on_commit(sync->context);
    if (len >= sizeof sync->serialized)
        len = sizeof sync->serialized - 1;
    memcpy(sync->serialized, sync->coin.serialized, len);
    sync->serialized[len] = '\0';
    memcpy(sync->tx_hash, sync->coin.tx_hash, sizeof sync->tx_hash);
    sync->commits++;
    sync->fed = false;
}

anonset_step anonset_sync_step(anonset_sync *sync, anonset_request *request)
{
    if (sync->silent)
        return sync->aborted ? ANONSET_STEP_DONE : ANONSET_STEP_WAIT;
    if (anonset_sync_is_cancelled(sync)) {
        sync->cancelled_seen = true;
        return ANONSET_STEP_DONE;
    }
    if (sync->aborted)
        return ANONSET_STEP_DONE;
    if (!sync->meta_asked) {
        sync->meta_asked = true;
        return hand_out(sync, request, sync->used ? ANONSET_REQUEST_USED : ANONSET_REQUEST_META);
    }
    /* One sector committing and one on the wire. */
    if (sync->meta_told && sync->asked < sync->sectors &&
        sync->asked <= sync->commits + (sync->fed ? 1 : 0) + sync->ahead)
        return hand_out(sync, request, ANONSET_REQUEST_SECTOR);
    if (sync->fed)
        commit(sync);
    bool all = sync->commits == sync->sectors && sync->meta_told;
    if (all && sync->heights_asked < sync->heights)
        return hand_out(sync, request, ANONSET_REQUEST_HEIGHT);
    return all && sync->heights_told == sync->heights ? ANONSET_STEP_DONE : ANONSET_STEP_WAIT;
}

anonset_code anonset_sync_feed(anonset_sync *sync, anonset_answer *answer, anonset_detail *detail)
{
    size_t i = 0;
    while (i < sync->n && sync->outstanding[i].id != answer->id)
        i++;
    if (i == sync->n || sync->deaf)
        return as_fail(detail, ANONSET_INVALID, 0, "not outstanding");
    sync->n--;
    memmove(&sync->outstanding[i], &sync->outstanding[i + 1],
            (sync->n - i) * sizeof sync->outstanding[0]);
    if (answer->kind == ANONSET_ANSWER_META) {
        sync->metas++;
        sync->meta_told = true;
        memcpy(sync->block_hash, answer->meta.block_hash, sizeof sync->block_hash);
    } else if (answer->kind == ANONSET_ANSWER_USED) {
        sync->meta_told = true;
    } else if (answer->kind == ANONSET_ANSWER_COINS && answer->n > 0) {
        sync->coin = answer->coins[0];
        sync->fed = true;
    } else if (answer->kind == ANONSET_ANSWER_NUMBER) {
        sync->height = answer->number;
        sync->heights_told++;
    } else {
        sync->aborted = true;
        sync->why.code = ANONSET_SERVER;
        memcpy(sync->why.text, answer->text, sizeof sync->why.text);
    }
    return ANONSET_OK;
}

size_t anonset_sync_outstanding(const anonset_sync *sync, const anonset_request **requests)
{
    *requests = sync->outstanding;
    return sync->n;
}

void anonset_sync_reconnect(anonset_sync *sync, bool timed_out)
{
    sync->reconnects++;
    sync->timeouts += timed_out;
    sync->n = 0;
    sync->meta_asked = sync->meta_told = sync->fed = false;
    sync->asked = (uint32_t)sync->commits;
    sync->heights_asked = sync->heights_told;
}

void anonset_sync_abort(anonset_sync *sync, const anonset_detail *why)
{
    sync->aborted = true;
    sync->why = *why;
}

void anonset_sync_cancel(anonset_sync *sync)
{
    atomic_store(&sync->cancelled, true);
}

bool anonset_sync_is_cancelled(const anonset_sync *sync)
{
    return atomic_load(&sync->cancelled);
}

uint64_t anonset_sync_commits(const anonset_sync *sync)
{
    return sync->commits;
}

static anonset_sync *to_cancel;

static void on_alarm(int number)
{
    (void)number;
    anonset_sync_cancel(to_cancel);
}

uint64_t fake_cancel_soon(anonset_sync *sync)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {.it_value.tv_usec = CANCEL_MS * 1000};
    to_cancel = sync;
    if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &timer, NULL) != 0)
        abort();
    return as_now_ms();
}

bool fake_ended_soon(uint64_t began_ms)
{
    return (double)(as_now_ms() - began_ms) < ts_box(CANCEL_MS + 100 + 200);
}
