/* What the processes do: those that are killed, and the one that looks afterwards. */
#include "tests/kill/kill.h"

#include <stdio.h>
#include <string.h>

#define GROUP 1u

static void complain(const tk_work *work, const char *what, const char *text)
{
    (void)snprintf(work->board->why, sizeof work->board->why, "%s: %s", what, text);
}

static anonset_code open_store(anonset_store **store, const tk_work *work, unsigned flags,
                               anonset_detail *detail)
{
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = work->backend;
    options.flags = flags;
    return anonset_store_open(store, work->path, &options, detail);
}

/* ---- Those that are killed ------------------------------------------------------------------ */

static void on_progress(void *context, const anonset_progress *progress)
{
    tk_board *board = context;
    atomic_store(progress->group == 0 ? &board->tags : &board->position, progress->position);
    (void)atomic_fetch_add(&board->commits, 1);
}

static void on_result(void *context, const anonset_result *result)
{
    tk_board *board = context;
    board->outcome = result->outcome;
    if (result->outcome > ANONSET_UP_TO_DATE)
        (void)snprintf(board->why, sizeof board->why, "a sync ends as %s: %s",
                       anonset_outcome_name(result->outcome), result->error.text);
}

static void on_used(void *context, const anonset_used_result *result)
{
    tk_board *board = context;
    if (result->outcome > ANONSET_UP_TO_DATE)
        (void)snprintf(board->why, sizeof board->why, "a sync of used tags ends as %s: %s",
                       anonset_outcome_name(result->outcome), result->error.text);
}

void tk_sync(const tk_work *work)
{
    anonset_store *store = NULL;
    anonset_client *client = NULL;
    anonset_sync *sync = NULL;
    anonset_sync_options options;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_sync_options_init(&options);
    options.sector_size = work->sector;
    options.on_progress = on_progress;
    options.used = ANONSET_USED_TOO;
    options.on_used = on_used;
    options.on_result = on_result;
    options.context = work->board;
    if (open_store(&store, work, ANONSET_STORE_CREATE, &detail) != ANONSET_OK ||
        anonset_client_new(&client, work->url, NULL, &detail) != ANONSET_OK ||
        anonset_sync_new(&sync, store, &options, &detail) != ANONSET_OK ||
        anonset_client_run(client, sync, &detail) != ANONSET_OK)
        complain(work, "no sync", detail.text);
    anonset_sync_free(sync);
    anonset_client_free(client);
    anonset_store_close(store);
    work->board->over = true;
}

void tk_clear(const tk_work *work)
{
    anonset_store *store = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    if (open_store(&store, work, 0, &detail) != ANONSET_OK ||
        anonset_store_clear(store, GROUP, &detail) != ANONSET_OK)
        complain(work, "not cleared", detail.text);
    anonset_store_close(store);
    work->board->over = true;
}

void tk_open(const tk_work *work)
{
    anonset_store *store = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    if (open_store(&store, work, ANONSET_STORE_CREATE, &detail) != ANONSET_OK)
        complain(work, "not opened", detail.text);
    anonset_store_close(store);
    work->board->over = true;
}

/* ---- The one that looks --------------------------------------------------------------------- */

static void tell_state(tk_board *board, const anonset_state *state)
{
    board->set = (tk_set){.is = state->has_finalized, .meta = state->finalized};
    memcpy(board->set.digest, state->digest, ANONSET_HASH_BYTES);
    board->pending = state->has_pending;
    board->held = state->has_pending ? state->base + state->count : state->finalized.size;
}

/* Both digests recomputed from the coins, at every checkpoint, and the chain of set hashes. */
static void verify(const tk_work *work, anonset_store *store, const anonset_state *state)
{
    anonset_verdict verdict = {.sound = false};
    anonset_detail detail = {.code = ANONSET_OK};
    if (anonset_store_verify(store, &verdict, GROUP, &detail) != ANONSET_OK || !verdict.sound)
        complain(work, "not sound", detail.text);
    else if (state->has_finalized && memcmp(verdict.digest, state->digest, ANONSET_HASH_BYTES) != 0)
        complain(work, "not sound", "the digest is another set's");
}

static void look_at_used(const tk_work *work, anonset_store *store)
{
    anonset_used_list *list = NULL;
    anonset_detail detail = {.code = ANONSET_OK};
    bool sound = work->is_reference;
    if (anonset_used_open(&list, store, &detail) != ANONSET_OK ||
        (!sound && anonset_used_verify(list, &sound, &detail) != ANONSET_OK) || !sound)
        complain(work, "the list of used tags is not sound", detail.text);
    else
        work->board->used = *anonset_used_list_state(list);
    anonset_used_close(list);
}

void tk_look(const tk_work *work)
{
    anonset_store *store = NULL;
    anonset_state state = {.has_finalized = false};
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_code code = open_store(&store, work, 0, &detail);
    work->board->is_there = code != ANONSET_NOT_FOUND;
    if (code == ANONSET_OK)
        code = anonset_store_state(store, &state, GROUP, &detail);
    if (code != ANONSET_OK && work->board->is_there)
        complain(work, "the store cannot be read", detail.text);
    tell_state(work->board, &state);
    if (code == ANONSET_OK && (state.has_finalized || state.has_pending))
        verify(work, store, &state);
    work->board->used = (anonset_used_state){.count = 0};
    if (code == ANONSET_OK)
        look_at_used(work, store);
    anonset_store_close(store);
    work->board->over = true;
}
