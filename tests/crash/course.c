#include "tests/crash/course.h"

#include "core/plan.h"
#include "core/store.h"
#include "tests/crash/must.h"
#include "tests/support/legacy.h"
#include "tests/support/play.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>

/* Of the chains, so that one may still grow to its last. */
#define SIZE_MOST   250u
#define BLOCKS_MOST 15u

#define BUDGET 4096u /* of proofs: some sets reach level SET_HASH, some do not */
#define TRIES  3u    /* of an act; then the disk is mended */

/* The kinds of writes on a tape, and what some of them were. */
enum {
    CREATED,
    UPGRADED,
    APPENDED,
    RESUMED, /* appended to a pending set that an earlier sync left */
    FINALIZED,
    REPLACED, /* finalized over a tail that was reorganized */
    REANCHORED,
    DISCARDED,
    CLEARED,
    NAMED, /* the network */
    USED_APPENDED,
    USED_REPLACED, /* the end of the list of used tags, reorganized */
    USED_CLEARED,
};

const char *const tc_write_names[TC_WRITES] = {
    [CREATED] = "created",
    [UPGRADED] = "upgraded",
    [APPENDED] = "appended",
    [RESUMED] = "resumed",
    [FINALIZED] = "finalized",
    [REPLACED] = "tails replaced",
    [REANCHORED] = "re-anchored",
    [DISCARDED] = "discarded",
    [CLEARED] = "cleared",
    [NAMED] = "network set",
    [USED_APPENDED] = "tags appended",
    [USED_REPLACED] = "tags replaced",
    [USED_CLEARED] = "tags cleared",
};

static tc_course *current;

/* ---- Complaints --------------------------------------------------------------------------- */

static void bad(const tc_course *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void bad(const tc_course *c, const char *format, ...)
{
    char why[TC_WHY];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    tc_must(c->complain != NULL, why);
    c->complain(c, why);
}

/* ---- Answers ------------------------------------------------------------------------------ */

static uint64_t look(tc_course *c, void *handle)
{
    uint64_t shown = TC_BAD;
    anonset_detail detail = {.code = ANONSET_OK};
    size_t at = c->tape ? c->tape->log.n : 0;
    disk_pause(true);
    anonset_code code = tc_show(&shown, c->real, handle, &detail);
    disk_pause(false);
    if (code != ANONSET_OK)
        bad(c, "the store cannot be read any more: code %d, %s", code, detail.text);
    tc_must(!c->tape || at == c->tape->log.n, "reading writes nothing");
    return shown;
}

/* After a commit that may have happened the handle tells nothing but that. */
static void check_unknown(tc_course *c, void *handle)
{
    const anonset_backend *b = c->real;
    static const uint8_t genesis[ANONSET_HASH_BYTES];
    anonset_store_info info;
    static const anonset_used_append no_tags;
    anonset_used_state tags;
    anonset_state state;
    uint32_t group;
    uint64_t bytes;
    void *snapshot;
    disk_pause(true);
    bool all = b->info(handle, &info, NULL) == ANONSET_UNKNOWN &&
               b->load_state(handle, &state, TC_GROUP, NULL) == ANONSET_UNKNOWN &&
               b->next_group(handle, &group, 0, NULL) == ANONSET_UNKNOWN &&
               b->disk_bytes(handle, &bytes, NULL) == ANONSET_UNKNOWN &&
               b->set_genesis(handle, genesis, NULL) == ANONSET_UNKNOWN &&
               b->discard_incomplete(handle, TC_GROUP, NULL) == ANONSET_UNKNOWN &&
               b->clear(handle, TC_GROUP, NULL) == ANONSET_UNKNOWN &&
               b->used_append(handle, &no_tags, NULL) == ANONSET_UNKNOWN &&
               b->used_open(handle, &snapshot, &tags, NULL) == ANONSET_UNKNOWN &&
               b->snapshot_open(handle, &snapshot, &state, TC_GROUP, ANONSET_VIEW_FINALIZED,
                                NULL) == ANONSET_UNKNOWN;
    disk_pause(false);
    if (!all)
        bad(c, "after UNKNOWN the handle answers something else");
}

/* Whether a failure is told as what it is. */
static bool tells(anonset_code code, const char *text)
{
    int error = disk_error();
    if (code == ANONSET_UNKNOWN)
        return true;
    if (error == ENOSPC)
        return code == ANONSET_FULL && strstr(text, "free some space");
    if (error == EDQUOT) /* SQLite does not tell why it cannot make a file, or sync one */
        return code == ANONSET_FULL || strstr(text, "(SQLite 14)") || strstr(text, "(SQLite 1034)");
    if (error == ENOLCK) /* to SQLite one more way of being locked out */
        return code == ANONSET_IO || code == ANONSET_BUSY;
    if (error == ENOMEM)
        return code == ANONSET_NO_MEMORY || code == ANONSET_IO;
    return code == ANONSET_IO || (error == DISK_SHORT && code == ANONSET_FULL);
}

/* Notes a failure, which must be there because of a call that failed, and say so rightly. */
static void note_failure(tc_course *c, const char *call, anonset_code code,
                         const anonset_detail *detail)
{
    if (disk_failed() == 0)
        bad(c, "%s: code %d without a fault: %s", call, code, detail->text);
    else if (!tells(code, detail->text))
        bad(c, "%s: code %d, errno %d is not what happened: %s", call, code, detail->os_error,
            detail->text);
    c->failed = code;
}

static anonset_code answer(const char *call, anonset_code code, const anonset_detail *mine,
                           anonset_detail *detail)
{
    if (code != ANONSET_OK && detail)
        *detail = *mine;
    if (code != ANONSET_OK && code != ANONSET_NOT_FOUND && code != ANONSET_UNKNOWN)
        note_failure(current, call, code, mine);
    else if (code == ANONSET_UNKNOWN)
        current->failed = code; /* a read says so only behind a write */
    return code;
}

/* What the store must show from now on, if that is known. */
static void moved(tc_course *c, uint64_t shown)
{
    if (shown == c->shown[c->n])
        return;
    tc_must(c->n + 1 < TC_MARKS, "a course makes no more writes than there is room for");
    c->shown[++c->n] = shown;
    if (c->model && (c->n > c->model->n || c->model->shown[c->n] != shown))
        bad(c, "after write %zu (%s) the store shows what it should not", c->n,
            anonset_strerror(c->failed));
}

static void write_begins(tc_course *c)
{
    if (c->tape)
        tc_write_begins(c->tape, c->model && c->n < c->model->n ? c->model->shown[c->n + 1] : 0);
}

static anonset_code write_ends(const char *call, unsigned kind, void *handle, anonset_code code,
                               const anonset_detail *mine, anonset_detail *detail)
{
    tc_course *c = current;
    if (code == ANONSET_OK) {
        moved(c, look(c, handle));
        if (c->tape)
            tc_write_acked(c->tape, kind, c->shown[c->n]);
        return code;
    }
    note_failure(c, call, code, mine);
    c->unknown = code == ANONSET_UNKNOWN;
    if (c->unknown)
        check_unknown(c, handle);
    else if (look(c, handle) != c->shown[c->n])
        bad(c, "%s: code %d, but the store changed", call, code);
    if (detail)
        *detail = *mine;
    return code;
}

/* ---- A backend that tells ----------------------------------------------------------------- */

/* The store is open, again or for the first time. */
static void opened(tc_course *c, void *handle)
{
    uint64_t shown = look(c, handle);
    if (shown != c->shown[c->n] && !c->unknown)
        bad(c, "opened again, the store shows another state than after write %zu", c->n);
    moved(c, shown);
    c->unknown = false;
}

static anonset_code telling_open(void **handle, const char *path,
                                 const anonset_backend_options *options, anonset_detail *detail)
{
    tc_course *c = current;
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_backend_options with_salt = *options;
    bool creates = c->n == 0;
    memset(with_salt.salt, (int)c->seed, sizeof with_salt.salt);
    if (creates)
        write_begins(c);
    anonset_code code = c->real->open(handle, path, &with_salt, &mine);
    if (code == ANONSET_OK && creates)
        return write_ends("open", c->is_legacy ? UPGRADED : CREATED, *handle, code, &mine, detail);
    if (code == ANONSET_OK)
        opened(c, *handle);
    else
        note_failure(c, "open", code, &mine);
    return answer("open", code, &mine, detail);
}

static anonset_code telling_genesis(void *handle, const uint8_t *genesis, anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    write_begins(current);
    anonset_code code = current->real->set_genesis(handle, genesis, &mine);
    return write_ends("set_genesis", NAMED, handle, code, &mine, detail);
}

static anonset_code telling_append(void *handle, const anonset_append *append,
                                   anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    unsigned kind = current->resumes ? RESUMED : APPENDED;
    write_begins(current);
    anonset_code code = current->real->append_sector(handle, append, &mine);
    if (code == ANONSET_OK)
        current->resumes = false;
    return write_ends("append_sector", kind, handle, code, &mine, detail);
}

static unsigned kind_of(tc_course *c, void *handle, const anonset_complete *complete)
{
    anonset_state now;
    disk_pause(true);
    tc_must(c->real->load_state(handle, &now, TC_GROUP, NULL) == ANONSET_OK,
            "the state can be read");
    disk_pause(false);
    if (now.has_finalized && now.has_pending && now.base < now.finalized.size)
        return REPLACED;
    if (now.has_finalized && complete->target.size == now.finalized.size)
        return REANCHORED;
    return FINALIZED;
}

static anonset_code telling_complete(void *handle, const anonset_complete *complete,
                                     anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    unsigned kind = kind_of(current, handle, complete);
    write_begins(current);
    anonset_code code = current->real->mark_complete(handle, complete, &mine);
    return write_ends("mark_complete", kind, handle, code, &mine, detail);
}

static anonset_code telling_discard(void *handle, uint32_t group, anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    write_begins(current);
    anonset_code code = current->real->discard_incomplete(handle, group, &mine);
    return write_ends("discard_incomplete", DISCARDED, handle, code, &mine, detail);
}

static anonset_code telling_clear(void *handle, uint32_t group, anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    write_begins(current);
    anonset_code code = current->real->clear(handle, group, &mine);
    return write_ends("clear", CLEARED, handle, code, &mine, detail);
}

static anonset_code telling_used_append(void *handle, const anonset_used_append *append,
                                        anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    unsigned kind = append->keep + append->n == 0         ? USED_CLEARED
                    : append->keep < append->before.count ? USED_REPLACED
                                                          : USED_APPENDED;
    write_begins(current);
    anonset_code code = current->real->used_append(handle, append, &mine);
    return write_ends("used_append", kind, handle, code, &mine, detail);
}

static anonset_code telling_used_open(void *handle, void **view, anonset_used_state *state,
                                      anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_code code = current->real->used_open(handle, view, state, &mine);
    return answer("used_open", code, &mine, detail);
}

static anonset_code telling_used_read(void *view, anonset_used *used, uint32_t *n, uint32_t from,
                                      uint32_t room, anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_code code = current->real->used_read(view, used, n, from, room, &mine);
    return answer("used_read", code, &mine, detail);
}

static anonset_code telling_used_find(void *view, anonset_used *used, uint32_t *position,
                                      const uint8_t *tag, anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_code code = current->real->used_find(view, used, position, tag, &mine);
    return answer("used_find", code, &mine, detail);
}

static anonset_code telling_state(void *handle, anonset_state *state, uint32_t group,
                                  anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_code code = current->real->load_state(handle, state, group, &mine);
    return answer("load_state", code, &mine, detail);
}

static anonset_code telling_snapshot(void *handle, void **snapshot, anonset_state *state,
                                     uint32_t group, anonset_view view, anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_code code = current->real->snapshot_open(handle, snapshot, state, group, view, &mine);
    return answer("snapshot_open", code, &mine, detail);
}

static anonset_code telling_read(void *snapshot, anonset_run *run, uint32_t position,
                                 anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_code code = current->real->read(snapshot, run, position, &mine);
    return answer("read", code, &mine, detail);
}

static anonset_code telling_tags(void *snapshot, anonset_run *run, uint32_t position,
                                 anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_code code = current->real->read_tags(snapshot, run, position, &mine);
    return answer("read_tags", code, &mine, detail);
}

static anonset_code telling_checkpoint(void *snapshot, anonset_checkpoint *checkpoint,
                                       uint32_t index, anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_code code = current->real->checkpoint(snapshot, checkpoint, index, &mine);
    return answer("checkpoint", code, &mine, detail);
}

static anonset_code telling_bytes(void *handle, uint64_t *bytes, anonset_detail *detail)
{
    anonset_detail mine = {.code = ANONSET_OK};
    anonset_code code = current->real->disk_bytes(handle, bytes, &mine);
    return answer("disk_bytes", code, &mine, detail);
}

static anonset_backend telling(const anonset_backend *real)
{
    anonset_backend b = *real;
    b.open = telling_open;
    b.set_genesis = telling_genesis;
    b.append_sector = telling_append;
    b.mark_complete = telling_complete;
    b.discard_incomplete = telling_discard;
    b.clear = telling_clear;
    b.load_state = telling_state;
    b.snapshot_open = telling_snapshot;
    b.read = telling_read;
    b.read_tags = telling_tags;
    b.checkpoint = telling_checkpoint;
    b.disk_bytes = telling_bytes;
    b.used_append = telling_used_append;
    b.used_open = telling_used_open;
    b.used_read = telling_used_read;
    b.used_find = telling_used_find;
    return b;
}

/* ---- Trying until it works ---------------------------------------------------------------- */

/* Something failed: the disk gets better in time. */
static void have_patience(tc_course *c)
{
    if (disk_failed() == 0)
        bad(c, "an act fails without a fault");
    if (++c->tries >= TRIES)
        disk_heal();
    if (c->tries > TRIES + 2)
        bad(c, "an act fails on a disk that works again");
    c->failed = ANONSET_OK;
}

static anonset_code open_one(tc_course *c, anonset_store **store, unsigned flags)
{
    anonset_store_options options;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_store_options_init(&options);
    options.backend = &c->telling;
    options.flags = flags;
    return anonset_store_open(store, c->path, &options, &detail);
}

static anonset_store *open_store(tc_course *c)
{
    anonset_store *store = NULL;
    while (open_one(c, &store, ANONSET_STORE_CREATE) != ANONSET_OK)
        have_patience(c);
    return store;
}

/* After UNKNOWN all handles are closed, and those that were open opened again. */
static void recover(tc_course *c)
{
    bool had[2] = {c->stores[0] != NULL, c->stores[1] != NULL};
    have_patience(c);
    for (size_t i = 0; i < 2 && c->unknown; i++) {
        anonset_store_close(c->stores[i]);
        c->stores[i] = NULL;
    }
    for (size_t i = 0; i < 2; i++)
        if (had[i] && !c->stores[i])
            c->stores[i] = open_store(c);
}

/* ---- Syncs -------------------------------------------------------------------------------- */

static void keep_outcome(void *context, const anonset_result *result)
{
    *(anonset_outcome *)context = result->outcome;
}

/* The list of used tags comes behind the group, and lags where that does. */
static void keep_worse_outcome(void *context, const anonset_used_result *result)
{
    anonset_outcome *outcome = context;
    if (*outcome <= ANONSET_UP_TO_DATE && result->outcome != ANONSET_REMOTE_BEHIND)
        *outcome = result->outcome;
}

static void answer_first(anonset_sync *sync, tw_reply *reply, const tw_chain *chain)
{
    const anonset_request *requests;
    size_t n = anonset_sync_outstanding(sync, &requests);
    tc_must(n > 0, "a sync that waits has asked");
    tw_answer(reply, chain, &requests[0]);
    tc_must(anonset_sync_feed(sync, &reply->answer, NULL) == ANONSET_OK, "answers can be fed");
}

/* Syncs with the chain; given up when the course has made `most` writes. */
static anonset_outcome sync_with(tc_course *c, anonset_store *store, uint32_t sector, size_t most)
{
    anonset_outcome outcome = ANONSET_OUTCOME_COUNT;
    anonset_sync_options options;
    anonset_sync *sync;
    anonset_request request;
    anonset_step step;
    anonset_sync_options_init(&options);
    options.sector_size = sector;
    options.proof_budget = c->may_fail ? 0 : BUDGET; /* a sync begun anew may prove less */
    options.used = ANONSET_USED_TOO;
    options.on_result = keep_outcome;
    options.on_used = keep_worse_outcome;
    options.context = &outcome;
    tc_must(anonset_sync_new(&sync, store, &options, NULL) == ANONSET_OK, "a sync can be made");
    while ((step = anonset_sync_step(sync, &request)) != ANONSET_STEP_DONE) {
        if (step == ANONSET_STEP_SEND)
            continue;
        if (c->n >= most)
            break;
        answer_first(sync, &c->reply, c->chain);
    }
    anonset_sync_free(sync);
    return outcome;
}

static bool is_success(anonset_outcome outcome)
{
    return outcome <= ANONSET_UP_TO_DATE;
}

static bool resumes(tc_course *c, size_t which)
{
    anonset_state before;
    disk_pause(true);
    tc_must(anonset_store_state(c->stores[which], &before, TC_GROUP, NULL) == ANONSET_OK,
            "the state can be read");
    disk_pause(false);
    return before.has_pending;
}

/* Syncs on one of the handles until it ends well, or has made `most` writes. */
static void sync_until(tc_course *c, size_t which, size_t most)
{
    uint32_t sector = tw_between(&c->world.rng, 1, 1u << tw_between(&c->world.rng, 1, 6));
    c->resumes = resumes(c, which);
    for (;;) {
        c->outcome = sync_with(c, c->stores[which], sector, most);
        if (is_success(c->outcome) || c->failed == ANONSET_OK)
            break;
        recover(c);
    }
    if (is_success(c->outcome) && c->tape)
        tc_settled(c->tape, c->shown[c->n]);
}

static void sync_all(tc_course *c, size_t which)
{
    sync_until(c, which, SIZE_MAX);
    tc_must(is_success(c->outcome) || c->outcome == ANONSET_REMOTE_BEHIND,
            "a sync with an honest server ends well");
}

/* Some more writes follow until it waits again: the model tells how many. */
static void sync_part(tc_course *c, size_t which, uint32_t writes)
{
    size_t part = c->n_parts++;
    tc_must(part < TC_MARKS, "a course gives up no more syncs than there is room for");
    sync_until(c, which, c->model ? c->model->parts[part] : c->n + writes);
    c->parts[part] = c->n;
}

/* ---- Acts --------------------------------------------------------------------------------- */

static void grow(tc_course *c)
{
    tw_rng *rng = &c->world.rng;
    if (c->chain && (c->chain->meta.size > SIZE_MOST || c->chain->n > BLOCKS_MOST))
        return;
    c->chain = tw_grow_wide(&c->world, c->chain, tw_between(rng, 1, 2), tw_between(rng, 1, 12));
}

/* Mutates until it comes to what is wanted, or not at all. */
static void look_for(tc_course *c, bool (*wanted)(const tw_chain *was, const tw_chain *is))
{
    for (int i = 0; i < 20 && c->world.n < 200; i++) {
        const tw_chain *next = tw_mutate(&c->world, c->chain);
        if (next->n > 1 && next->n <= BLOCKS_MOST && next->meta.size <= SIZE_MOST &&
            wanted(c->chain, next)) {
            c->chain = next;
            return;
        }
    }
}

static bool is_reorg(const tw_chain *was, const tw_chain *is)
{
    return is->meta.size >= was->meta.size && !tw_same_coins(was, is, was->meta.size);
}

static bool is_reanchor(const tw_chain *was, const tw_chain *is)
{
    return is->meta.size == was->meta.size && !as_meta_equal(&was->meta, &is->meta) &&
           tw_same_coins(was, is, was->meta.size);
}

static void reopen(tc_course *c)
{
    anonset_store_close(c->stores[0]);
    c->stores[0] = NULL;
    c->stores[0] = open_store(c);
}

/* What it finds in the log is not its own. */
static void sync_by_another(tc_course *c)
{
    c->stores[1] = open_store(c);
    grow(c);
    sync_part(c, 1, tw_between(&c->world.rng, 1, 6));
    sync_all(c, 0);
    grow(c);
    sync_all(c, 1);
    anonset_store_close(c->stores[1]);
    c->stores[1] = NULL;
}

static void discard(tc_course *c)
{
    grow(c);
    sync_part(c, 0, tw_between(&c->world.rng, 1, 6));
    size_t done = c->n + 1; /* of a failure that may have been none */
    while (c->n < done &&
           c->telling.discard_incomplete(c->stores[0]->handle, TC_GROUP, NULL) != ANONSET_OK)
        recover(c);
}

static void clear(tc_course *c)
{
    size_t done = c->n + 1;
    while (c->n < done && anonset_store_clear(c->stores[0], 0, NULL) != ANONSET_OK)
        recover(c);
}

static void clear_used(tc_course *c)
{
    size_t done = c->n + 1;
    while (c->n < done && anonset_used_clear(c->stores[0], NULL) != ANONSET_OK)
        recover(c);
}

static anonset_code read_used(tc_course *c, anonset_store *store)
{
    anonset_used_list *list;
    bool sound;
    anonset_code code = anonset_used_open(&list, store, NULL);
    if (code != ANONSET_OK)
        return code;
    code = anonset_used_verify(list, &sound, NULL);
    if (code == ANONSET_OK && !sound && c->failed == ANONSET_OK)
        bad(c, "the list of used tags is not sound");
    anonset_used_close(list);
    return code;
}

static anonset_code read_all(tc_course *c, anonset_store *store)
{
    anonset_state state;
    char why[TC_WHY];
    uint64_t bytes;
    anonset_code code = anonset_store_state(store, &state, TC_GROUP, NULL);
    c->failed = code;
    if (code == ANONSET_OK && state.has_finalized &&
        !tp_is_whole(store, TC_GROUP, tw_find(&c->world, &state.finalized), why, sizeof why) &&
        c->failed == ANONSET_OK)
        bad(c, "a snapshot shows other coins: %s", why);
    if (c->failed == ANONSET_OK)
        c->failed = read_used(c, store);
    if (c->failed == ANONSET_OK)
        c->failed = anonset_store_disk_bytes(store, &bytes, NULL);
    return c->failed;
}

/* By this handle, and by one that only reads. */
static void read_both(tc_course *c)
{
    anonset_code code;
    while (read_all(c, c->stores[0]) != ANONSET_OK)
        recover(c);
    do {
        anonset_store *reader = NULL;
        code = open_one(c, &reader, ANONSET_STORE_READ_ONLY);
        if (code == ANONSET_OK)
            code = read_all(c, reader);
        anonset_store_close(reader);
        if (code != ANONSET_OK)
            have_patience(c);
    } while (code != ANONSET_OK);
}

void tc_course_act(tc_course *c, tc_act act)
{
    c->tries = 0;
    c->failed = ANONSET_OK;
    switch (act) {
    case TC_PART:
        grow(c);
        sync_part(c, 0, tw_between(&c->world.rng, 1, 8));
        break;
    case TC_SYNC:
        sync_all(c, 0);
        break;
    case TC_REOPEN:
        reopen(c);
        break;
    case TC_OTHER:
        sync_by_another(c);
        break;
    case TC_DISCARD:
        discard(c);
        break;
    case TC_REANCHOR:
        look_for(c, is_reanchor);
        break;
    case TC_REORG:
        look_for(c, is_reorg);
        break;
    case TC_CLEAR:
        clear(c);
        break;
    case TC_CLEAR_USED:
        clear_used(c);
        break;
    case TC_READ:
    case TC_ACTS:
        read_both(c);
        break;
    }
}

void tc_course_wander(tc_course *c)
{
    static const tc_act acts[] = {TC_PART,    TC_PART,     TC_REOPEN,    TC_OTHER,
                                  TC_DISCARD, TC_REANCHOR, TC_CLEAR,     TC_REORG,
                                  TC_REORG,   TC_REORG,    TC_CLEAR_USED};
    tw_rng *rng = &c->world.rng;
    tc_act act = acts[tw_between(rng, 0, sizeof acts / sizeof *acts - 1)];
    if ((act != TC_CLEAR && act != TC_CLEAR_USED) || tw_chance(rng, .3))
        tc_course_act(c, act);
    if (tw_chance(rng, .7))
        tc_course_act(c, TC_SYNC);
}

/* ---- Beginning and ending ----------------------------------------------------------------- */

static void add_legacy_set(ts_legacy *l, const tw_chain *chain, uint32_t from)
{
    static uint8_t bytes[TW_COINS_MAX][TW_COIN_BYTES];
    static anonset_coin coins[TW_COINS_MAX];
    uint32_t n = chain->meta.size - from;
    for (uint32_t i = 0; i < n; i++)
        tw_coin(&coins[i], bytes[i], chain->coin[from + i], &chain->coin_tx[from + i]);
    ts_legacy_delta(l, ts_legacy_set(l, TC_GROUP, &chain->meta), TC_GROUP, coins, n, 7);
}

/* The cache of a wallet that synced the chain as it was first, and as it is now. */
static void make_legacy(const tc_course *c, const tw_chain *first)
{
    ts_legacy l;
    ts_legacy_create(&l, c->path, TS_LEGACY_UPGRADED);
    add_legacy_set(&l, first, 0);
    add_legacy_set(&l, c->chain, first->meta.size);
    ts_legacy_close(&l);
}

void tc_course_prepare(tc_course *c)
{
    c->telling = telling(c->real);
    tw_world_init(&c->world, c->seed);
    c->shown[0] = TC_ABSENT;
    grow(c);
    const tw_chain *first = c->chain;
    grow(c);
    if (c->is_legacy)
        make_legacy(c, first);
}

void tc_course_open(tc_course *c)
{
    current = c;
    c->tries = 0;
    /* The same numbers again for the same seed. */
    (void)sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(c->seed | 1), (sqlite3 *)NULL);
    c->stores[0] = open_store(c);
}

void tc_course_close(tc_course *c)
{
    anonset_store_close(c->stores[0]);
    c->stores[0] = NULL;
    c->chain = tw_grow_wide(&c->world, c->chain, 1, 4);
}

void tc_course_free(tc_course *c)
{
    tw_world_free(&c->world);
}

bool tc_course_go_on(tc_course *c, const char *path, char why[TC_WHY])
{
    anonset_store_options options;
    anonset_sync_options how;
    anonset_result result;
    anonset_store *store;
    anonset_detail detail = {.code = ANONSET_OK};
    anonset_store_options_init(&options);
    options.backend = c->real;
    if (anonset_store_open(&store, path, &options, &detail) != ANONSET_OK) {
        (void)snprintf(why, TC_WHY, "%s", detail.text);
        return false;
    }
    anonset_sync_options_init(&how);
    how.sector_size = 8;
    how.proof_budget = BUDGET / 64;
    how.used = ANONSET_USED_TOO;
    tc_must(tp_sync(&result, store, c->chain, &how, TP_ALL, &c->reply) == ANONSET_OK,
            "a sync can be made, and its answers be fed");
    bool whole = result.outcome == ANONSET_FINALIZED &&
                 tp_is_whole(store, TC_GROUP, c->chain, why, TC_WHY) &&
                 tp_has_used(store, c->chain, why, TC_WHY);
    if (result.outcome != ANONSET_FINALIZED)
        (void)snprintf(why, TC_WHY, "it ends as %s", anonset_outcome_name(result.outcome));
    anonset_store_close(store);
    return whole;
}
