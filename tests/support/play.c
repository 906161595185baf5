#include "tests/support/play.h"

#include "core/coin.h"
#include "core/plan.h"

#include <stdio.h>
#include <string.h>

static void keep_result(void *context, const anonset_result *result)
{
    *(anonset_result *)context = *result;
}

/* A server that lags does so with both. */
static void keep_used(void *context, const anonset_used_result *used)
{
    anonset_result *result = context;
    bool alone = result->outcome == ANONSET_OUTCOME_COUNT;
    if (!alone && (result->outcome > ANONSET_UP_TO_DATE || used->outcome <= ANONSET_UP_TO_DATE))
        return;
    result->outcome = used->outcome;
    result->error = used->error;
}

static anonset_code answer_first(anonset_sync *sync, tw_reply *reply, const tw_chain *chain)
{
    const anonset_request *requests;
    if (anonset_sync_outstanding(sync, &requests) == 0)
        return ANONSET_INTERNAL; /* it waits for nothing */
    tw_answer(reply, chain, &requests[0]);
    return anonset_sync_feed(sync, &reply->answer, NULL);
}

anonset_code tp_sync(anonset_result *result, anonset_store *store, const tw_chain *chain,
                     const anonset_sync_options *options, uint32_t answers, tw_reply *reply)
{
    anonset_sync_options mine = *options;
    anonset_sync *sync;
    anonset_request request;
    anonset_step step;
    *result = (anonset_result){.outcome = ANONSET_OUTCOME_COUNT};
    mine.on_result = keep_result;
    mine.on_used = keep_used;
    mine.on_progress = NULL;
    mine.context = result;
    anonset_code code = anonset_sync_new(&sync, store, &mine, &result->error);
    if (code != ANONSET_OK)
        return code;
    while (code == ANONSET_OK && (step = anonset_sync_step(sync, &request)) != ANONSET_STEP_DONE) {
        if (step == ANONSET_STEP_SEND)
            continue;
        if (answers-- == 0)
            break;
        code = answer_first(sync, reply, chain);
    }
    anonset_sync_free(sync);
    return code;
}

/* Exactly the coins of `chain`, oldest first. */
static anonset_code compare(bool *same, anonset_snapshot *snapshot, const tw_chain *chain,
                            anonset_detail *detail)
{
    uint32_t size = chain->meta.size;
    anonset_code code = anonset_snapshot_seek(snapshot, 0, size, ANONSET_OLDEST_FIRST, detail);
    *same = true;
    for (uint32_t i = 0; i < size && code == ANONSET_OK && *same; i++) {
        uint8_t bytes[TW_COIN_BYTES];
        anonset_coin must, coin;
        tw_coin(&must, bytes, chain->coin[i], &chain->coin_tx[i]);
        code = anonset_snapshot_next(snapshot, &coin, detail);
        *same = code == ANONSET_OK && as_coin_equal(&must, &coin);
    }
    return code;
}

bool tp_is_whole(anonset_store *store, uint32_t group, const tw_chain *chain, char *why, size_t cap)
{
    anonset_snapshot *snapshot = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    bool same = false;
    anonset_code code = anonset_snapshot_open(&snapshot, store, group, &detail);
    if (code == ANONSET_OK) {
        const anonset_state *state = anonset_snapshot_state(snapshot);
        same = as_meta_equal(&state->finalized, &chain->meta) &&
               memcmp(state->digest, chain->digest, sizeof state->digest) == 0;
    }
    if (same)
        code = compare(&same, snapshot, chain, &detail);
    anonset_snapshot_close(snapshot);
    if (!same)
        (void)snprintf(why, cap, "%s", code == ANONSET_OK ? "it holds another set" : detail.text);
    return same;
}

static anonset_code compare_used(bool *same, anonset_used_list *list, const tw_chain *chain,
                                 anonset_detail *detail)
{
    uint32_t n = 0, at, size = tw_used_count(chain);
    anonset_code code = ANONSET_OK;
    *same = anonset_used_list_state(list)->count == size;
    for (uint32_t i = 0; i < size && code == ANONSET_OK && *same; i++) {
        anonset_used must, read, found;
        tw_used(&must, chain, i);
        code = anonset_used_read(list, &read, &n, i, 1, detail);
        if (code == ANONSET_OK)
            code = anonset_used_find(list, &found, &at, must.tag, detail);
        *same = code == ANONSET_OK && at == i && memcmp(&must, &read, sizeof must) == 0 &&
                memcmp(&must, &found, sizeof must) == 0;
    }
    if (code == ANONSET_OK && *same)
        code = anonset_used_verify(list, same, detail);
    return code;
}

bool tp_has_used(anonset_store *store, const tw_chain *chain, char *why, size_t cap)
{
    anonset_used_list *list = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    bool same = false;
    anonset_code code = anonset_used_open(&list, store, &detail);
    if (code == ANONSET_OK)
        code = compare_used(&same, list, chain, &detail);
    anonset_used_close(list);
    if (!same)
        (void)snprintf(why, cap, "%s",
                       code == ANONSET_OK ? "its list of used tags is another" : detail.text);
    return same;
}
