#include "core/sync.h"

#include "core/alloc.h"
#include "core/detail.h"
#include "core/run.h"
#include "core/trusted.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECTOR_MOST        65536u
#define SECTOR_BYTES       (1u << 20)
#define SECTOR_BYTES_LEAST 4096u

/* ---- Options, life ------------------------------------------------------------------------ */

void anonset_sync_options_init(anonset_sync_options *options)
{
    *options = (anonset_sync_options){.size = sizeof *options,
                                      .group = 1,
                                      .sector_size = ANONSET_SECTOR_AUTO,
                                      .sector_bytes = SECTOR_BYTES,
                                      .proof_budget = ANONSET_PROOF_BUDGET_DEFAULT,
                                      .ask_genesis = true,
                                      .used_most = ANONSET_USED_MOST_DEFAULT};
}

static anonset_code check_options(const anonset_sync_options *options, anonset_detail *detail)
{
    uint32_t bytes = options->sector_bytes;
    if (options->size != sizeof *options)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "sync options: set by anonset_sync_options_init of another version");
    if (options->sector_size > SECTOR_MOST)
        return as_fail(detail, ANONSET_INVALID, 0, "sector size %u: at most %u coins",
                       (unsigned)options->sector_size, SECTOR_MOST);
    if (options->on_reorg > ANONSET_REORG_KEEP)
        return as_fail(detail, ANONSET_INVALID, 0, "on_reorg %u: follow or keep",
                       (unsigned)options->on_reorg);
    if (options->used > ANONSET_USED_ONLY || options->used_most == 0)
        return as_fail(detail, ANONSET_INVALID, 0, "used %u: no, too or only, of 1 tag or more",
                       (unsigned)options->used);
    if (bytes < SECTOR_BYTES_LEAST || (bytes & (bytes - 1)) != 0)
        return as_fail(detail, ANONSET_INVALID, 0, "sector bytes %u: a power of two from %u on",
                       (unsigned)bytes, SECTOR_BYTES_LEAST);
    return ANONSET_OK;
}

static void begin_group(anonset_sync *sync, uint32_t group)
{
    sync->result = (anonset_result){.group = group};
    sync->local = (anonset_state){.has_finalized = false};
    sync->started = false;
    sync->restarted = false;
    sync->shown = (anonset_progress){.group = group};
    sync->moved = sync->moves = sync->stale = sync->discards = 0;
    sync->unmendable = sync->mended = false;
}

anonset_code anonset_sync_new(anonset_sync **sync, anonset_store *store,
                              const anonset_sync_options *options, anonset_detail *detail)
{
    anonset_sync_options defaults;
    anonset_sync *made;
    anonset_code code;
    if (!sync || !store)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_sync_new: NULL argument");
    anonset_sync_options_init(&defaults);
    if (!options)
        options = &defaults;
    code = check_options(options, detail);
    if (code != ANONSET_OK)
        return code;
    made = as_alloc_zeroed(sizeof *made);
    if (!made)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for a sync");
    made->options = *options;
    code = as_trusted_copy(&made->trusted, options, detail);
    if (code == ANONSET_OK)
        code = as_digest_new(&made->digest, detail);
    if (code != ANONSET_OK)
        goto out;
    made->store = store;
    as_tagger_init(&made->tagger, store->info.salt);
    as_sector_init(&made->sector, made->options.sector_size, made->options.sector_bytes);
    atomic_init(&made->cancelled, false);
    begin_group(made, made->options.group);
    if (made->options.used == ANONSET_USED_ONLY) {
        begin_group(made, 0);
        as_used_begin(made);
    } else if (made->options.group == 0) {
        made->phase = AS_PHASE_NEWEST;
    } else {
        made->last_group = made->options.group;
        as_sync_replan(made);
    }
    *sync = made;
    made = NULL;
out:
    anonset_sync_free(made);
    return code;
}

void anonset_sync_free(anonset_sync *sync)
{
    if (!sync)
        return;
    as_fetch_drop(sync);
    as_used_drop(sync);
    as_digest_free(sync->digest);
    as_cuts_free(&sync->heights.cuts);
    as_free(sync->trusted);
    as_free(sync->tags);
    as_free(sync->digests);
    as_free(sync);
}

void anonset_sync_cancel(anonset_sync *sync)
{
    if (sync)
        atomic_store(&sync->cancelled, true);
}

bool anonset_sync_is_cancelled(const anonset_sync *sync)
{
    return sync && atomic_load(&sync->cancelled);
}

uint64_t anonset_sync_commits(const anonset_sync *sync)
{
    return sync ? sync->commits : 0;
}

size_t anonset_sync_outstanding(const anonset_sync *sync, const anonset_request **requests)
{
    if (!sync || !requests)
        return 0;
    *requests = sync->flight.requests;
    return sync->flight.sent;
}

/* ---- Ends --------------------------------------------------------------------------------- */

static void end(anonset_sync *sync, anonset_outcome outcome)
{
    as_flight_ignore(&sync->flight);
    as_fetch_drop(sync);
    as_used_drop(sync);
    /* A set that nobody could read is whole again. */
    if (outcome == ANONSET_UP_TO_DATE && sync->mended)
        outcome = ANONSET_FINALIZED;
    sync->result.outcome = outcome;
    sync->phase = AS_PHASE_END;
}

void as_sync_end(anonset_sync *sync, anonset_outcome outcome, anonset_code code, const char *format,
                 ...)
{
    anonset_detail *error = &sync->result.error;
    va_list args;
    va_start(args, format);
    *error = (anonset_detail){.code = code};
    /* A text that does not fit is cut: vsnprintf ends it either way. */
    (void)vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    end(sync, outcome);
}

void as_sync_end_store(anonset_sync *sync, anonset_code code)
{
    /* A text of another code is of a failure before, which was got over. */
    if (sync->result.error.code != code || sync->result.error.text[0] == '\0')
        (void)as_fail(&sync->result.error, code, 0, "%s", anonset_strerror(code));
    switch (code) {
    case ANONSET_BUSY:
        end(sync, ANONSET_STORE_BUSY);
        break;
    case ANONSET_WRONG_NETWORK:
        end(sync, ANONSET_OTHER_NETWORK);
        break;
    case ANONSET_CANCELLED:
        end(sync, ANONSET_SYNC_CANCELLED);
        break;
    default:
        end(sync, ANONSET_STORE_ERROR);
    }
}

/* After these, the other groups would fare no better. */
static bool ends_all(const anonset_sync *sync)
{
    anonset_outcome outcome = sync->result.outcome;
    return sync->aborted || outcome == ANONSET_SYNC_CANCELLED || outcome == ANONSET_STORE_ERROR ||
           outcome == ANONSET_OTHER_NETWORK || outcome == ANONSET_NO_SUCH_GROUP;
}

/* After the last group. */
static void begin_used_or_end(anonset_sync *sync)
{
    if (sync->options.used == ANONSET_USED_NO ||
        (ends_all(sync) && sync->result.outcome != ANONSET_NO_SUCH_GROUP)) {
        sync->phase = AS_PHASE_DONE;
        return;
    }
    begin_group(sync, 0);
    as_used_begin(sync);
}

static void tell_result(anonset_sync *sync)
{
    anonset_store *store = sync->store;
    anonset_result *result = &sync->result;
    anonset_state state;
    if (sync->used.begun) {
        as_used_tell_result(sync);
        sync->phase = AS_PHASE_DONE;
        return;
    }
    if (result->group != 0 &&
        store->backend->load_state(store->handle, &state, result->group, NULL) == ANONSET_OK)
        result->state = state;
    else
        result->state = sync->local;
    if (sync->options.on_result)
        sync->options.on_result(sync->options.context, result);
    if (ends_all(sync) || result->group >= sync->last_group) {
        begin_used_or_end(sync);
        return;
    }
    begin_group(sync, result->group + 1);
    as_sync_replan(sync);
}

void anonset_sync_abort(anonset_sync *sync, const anonset_detail *why)
{
    if (!sync || sync->phase == AS_PHASE_DONE)
        return;
    sync->aborted = true;
    if (sync->phase == AS_PHASE_END)
        return; /* its outcome was known before */
    if (why)
        sync->result.error = *why;
    else
        (void)as_fail(&sync->result.error, ANONSET_NETWORK, 0, "the connection was given up");
    end(sync, ANONSET_NETWORK_ERROR);
}

/* ---- Store -------------------------------------------------------------------------------- */

anonset_code as_sync_open(anonset_sync *sync, void **snapshot, anonset_state *state, uint32_t group,
                          anonset_view view)
{
    anonset_store *store = sync->store;
    return store->backend->snapshot_open(store->handle, snapshot, state, group, view,
                                         &sync->result.error);
}

anonset_code as_sync_read(anonset_sync *sync, anonset_run *run, void *snapshot, uint32_t position)
{
    return as_run_read(run, sync->store->backend, snapshot, position, &sync->result.error);
}

/* ---- Questions ---------------------------------------------------------------------------- */

static void ask(anonset_sync *sync, const anonset_request *request, as_asked asked)
{
    if (sync->phase < AS_PHASE_END && !as_flight_add(&sync->flight, request, asked))
        as_sync_end(sync, ANONSET_NETWORK_ERROR, ANONSET_NETWORK,
                    "the server leaves too many requests unanswered; run the sync again");
}

static void ask_meta(anonset_sync *sync, as_role role, uint32_t group)
{
    anonset_request request = {.kind = ANONSET_REQUEST_META, .group = group};
    ask(sync, &request, (as_asked){.role = role});
}

static void ask_sector(anonset_sync *sync, uint32_t group, const uint8_t *block_hash,
                       uint32_t start, uint32_t stop, as_asked asked)
{
    anonset_request request = {
        .kind = ANONSET_REQUEST_SECTOR, .group = group, .start = start, .end = stop};
    memcpy(request.block_hash, block_hash, sizeof request.block_hash);
    ask(sync, &request, asked);
}

/* No chain has a block of this hash, and no server can tell it from an old one of ours. */
static void ask_control(anonset_sync *sync, as_role role, uint32_t group)
{
    uint8_t bytes[ANONSET_SALT_BYTES + ANONSET_HASH_BYTES];
    uint8_t made_up[ANONSET_HASH_BYTES];
    memcpy(bytes, sync->store->info.salt, ANONSET_SALT_BYTES);
    memcpy(bytes + ANONSET_SALT_BYTES, sync->target.block_hash, ANONSET_HASH_BYTES);
    if (as_digest_bytes(sync->digest, made_up, bytes, sizeof bytes) != ANONSET_OK) {
        as_sync_end(sync, ANONSET_STORE_ERROR, ANONSET_INTERNAL, "the crypto library failed");
        return;
    }
    ask_sector(sync, group, made_up, 0, 1, (as_asked){.role = role});
}

void as_sync_ask_meta(anonset_sync *sync, as_role role)
{
    ask_meta(sync, role, sync->result.group);
}

void as_sync_ask_pin(anonset_sync *sync, as_role role, const uint8_t *block_hash, uint32_t which)
{
    ask_sector(sync, sync->result.group, block_hash, 0, 1, (as_asked){.role = role, .lo = which});
}

void as_sync_ask_control(anonset_sync *sync, as_role role)
{
    ask_control(sync, role, sync->result.group);
}

void as_sync_ask_before(anonset_sync *sync, const uint8_t *block_hash)
{
    uint32_t group = sync->result.group - 1;
    ask_meta(sync, AS_ASK_SEAM_META, group);
    ask_sector(sync, group, block_hash, 0, 1, (as_asked){.role = AS_ASK_OLD_PIN});
    ask_control(sync, AS_ASK_CONTROL, group);
}

void as_sync_ask_height(anonset_sync *sync, const uint8_t *tx_hash, uint32_t which)
{
    anonset_request request = {.kind = ANONSET_REQUEST_HEIGHT};
    memcpy(request.tx_hash, tx_hash, sizeof request.tx_hash);
    ask(sync, &request, (as_asked){.role = AS_ASK_HEIGHT, .lo = which});
}

bool as_sync_ask_genesis(anonset_sync *sync)
{
    anonset_request request = {.kind = ANONSET_REQUEST_GENESIS};
    if (!sync->options.ask_genesis || sync->genesis_answered)
        return false;
    ask(sync, &request, (as_asked){.role = AS_ASK_GENESIS});
    return true;
}

void as_sync_ask_used(anonset_sync *sync, uint32_t from)
{
    anonset_request request = {.kind = ANONSET_REQUEST_USED, .start = from};
    ask(sync, &request, (as_asked){.role = AS_ASK_USED, .lo = from});
}

/*
 * index = size - 1 - position, so [lo, hi) by position is [size - hi, size - lo) by index. The
 * request that reaches position 0 asks for one index past the end as well: a server that holds more
 * coins than it told shows itself there.
 */
void as_sync_ask_range(anonset_sync *sync, as_role role, uint32_t lo, uint32_t hi, bool overlap)
{
    uint32_t size = sync->target.size;
    uint32_t stop = size - lo + (overlap ? 1 : 0);
    if (lo == 0 && !overlap && stop < UINT32_MAX)
        stop++;
    ask_sector(sync, sync->result.group, sync->target.block_hash, size - hi, stop,
               (as_asked){.role = role, .lo = lo, .hi = hi, .overlap = overlap});
}

void as_sync_replan(anonset_sync *sync)
{
    as_flight_ignore(&sync->flight);
    as_fetch_drop(sync);
    sync->phase = AS_PHASE_META;
    (void)as_sync_ask_genesis(sync);
    as_sync_ask_meta(sync, AS_ASK_META);
}

void as_sync_moved(anonset_sync *sync, const char *why)
{
    if (++sync->moved > 1 || ++sync->moves > AS_MOVES_MOST)
        as_sync_end(sync, ANONSET_NETWORK_ERROR, ANONSET_NETWORK,
                    "%s, again and again; what is finalized was kept: sync again later", why);
    else
        as_sync_replan(sync);
}

void anonset_sync_reconnect(anonset_sync *sync, bool timed_out)
{
    if (!sync)
        return;
    bool newest = sync->phase == AS_PHASE_NEWEST;
    as_flight_void(&sync->flight);
    as_fetch_drop(sync);
    sync->waiting = false;
    sync->genesis_answered = sync->genesis_told;
    if (timed_out)
        (void)as_sector_bad(&sync->sector, sync->sector.last);
    if (newest || sync->phase == AS_PHASE_END || sync->phase == AS_PHASE_DONE)
        return;
    if (sync->used.begun)
        as_used_replan(sync);
    else
        as_sync_replan(sync);
}

/* ---- Plan --------------------------------------------------------------------------------- */

void as_sync_tell_progress(anonset_sync *sync)
{
    anonset_progress progress = {.group = sync->result.group,
                                 .position = sync->held,
                                 .size = sync->target.size,
                                 .bytes = sync->result.bytes,
                                 .restarted = sync->restarted};
    /* Another process may have dropped the pending set, and a new target may be smaller. */
    if (progress.position < sync->shown.position || progress.size < sync->shown.size)
        progress.restarted = true;
    sync->shown = progress;
    sync->restarted = false;
    if (sync->options.on_progress)
        sync->options.on_progress(sync->options.context, &progress);
}

bool as_sync_discard(anonset_sync *sync)
{
    anonset_store *store = sync->store;
    anonset_code code =
        store->backend->discard_incomplete(store->handle, sync->result.group, &sync->result.error);
    if (code != ANONSET_OK) {
        as_sync_end_store(sync, code);
        return false;
    }
    sync->result.discarded += sync->local.count;
    sync->discards++;
    sync->local.has_pending = false;
    sync->local.base = sync->local.count = 0;
    sync->restarted = true;
    sync->started = false;
    return true;
}

bool as_sync_same_network(anonset_sync *sync)
{
    anonset_store *store = sync->store;
    anonset_code code = ANONSET_OK;
    if (sync->genesis_told)
        code = store->backend->set_genesis(store->handle, sync->genesis, &sync->result.error);
    if (code != ANONSET_OK)
        as_sync_end_store(sync, code);
    return code == ANONSET_OK;
}

static void stop(anonset_sync *sync, anonset_outcome outcome)
{
    switch (outcome) {
    case ANONSET_NO_SUCH_GROUP:
        as_sync_end(sync, outcome, ANONSET_OK,
                    "the server has no group %u; what is stored was kept",
                    (unsigned)sync->result.group);
        break;
    case ANONSET_REMOTE_BEHIND:
        if (!sync->local.has_hole)
            as_behind_begin(sync);
        else
            as_sync_end(sync, outcome, ANONSET_OK,
                        "the server has %u coins, and those from %u to %u are missing in the set: "
                        "sync again later, or ask another server",
                        (unsigned)sync->told.size, (unsigned)sync->local.hole_from,
                        (unsigned)sync->local.hole_to - 1);
        break;
    case ANONSET_ANOMALY:
        as_sync_end(sync, outcome, ANONSET_SERVER,
                    "the server tells another size or set hash for a block it told before: one of "
                    "the two was false. The finalized set was kept; ask another server");
        break;
    default:
        sync->result.error = (anonset_detail){.code = ANONSET_OK};
        end(sync, outcome);
    }
}

void as_sync_begin_at(anonset_sync *sync, uint32_t base, uint32_t held, const uint8_t *digest)
{
    static const uint8_t zero[ANONSET_HASH_BYTES];
    sync->base = sync->covered = base;
    sync->held = sync->next = held;
    memcpy(sync->digest_held, held == 0 ? zero : digest, ANONSET_HASH_BYTES);
    sync->floor_from = 0;
    sync->floor = (as_candidate){.size = 0};
    sync->hash_tried = sync->hash_covers = sync->same_hash = false;
    sync->seam = (as_seam){.size = 0};
    if (base > 0 && base == sync->local.finalized.size && sync->local.finalized.has_set_hash) {
        sync->floor.size = sync->local.finalized.size;
        memcpy(sync->floor.block_hash, sync->local.finalized.block_hash, ANONSET_HASH_BYTES);
    }
    if (!sync->started)
        sync->result.resumed_from = held;
    sync->started = true;
}

/* Coins that are stored and dropped in turn are no progress, though each sector looks like some. */
static bool is_futile(anonset_sync *sync)
{
    if (sync->discards <= AS_DISCARDS_MOST)
        return false;
    as_sync_end(
        sync, ANONSET_NETWORK_ERROR, ANONSET_NETWORK,
        "what was downloaded had to be dropped again and again: the chain changes too fast, "
        "or two processes sync this group from servers that contradict each other. What is "
        "finalized was kept: sync again later");
    return true;
}

static anonset_code digest_at(anonset_sync *sync, uint8_t *digest, uint32_t position)
{
    anonset_state state;
    void *snapshot;
    anonset_code code =
        as_sync_open(sync, &snapshot, &state, sync->result.group, ANONSET_VIEW_FINALIZED);
    if (code != ANONSET_OK)
        return code;
    /* Another process may have replaced the set that was compared. */
    code = state.has_finalized && as_meta_equal(&state.finalized, &sync->local.finalized)
               ? as_prove_digest_at(sync, digest, snapshot, position, position)
               : ANONSET_STALE;
    sync->store->backend->snapshot_close(snapshot);
    return code;
}

static bool keep(anonset_sync *sync, uint32_t base)
{
    if (sync->options.on_reorg != ANONSET_REORG_KEEP)
        return false;
    as_sync_end(sync, ANONSET_REORG_DETECTED, ANONSET_OK,
                "coins of the finalized set, from position %u on, differ on the server's chain: it "
                "was reorganized, or the server lies. The finalized set was kept",
                (unsigned)base);
    return true;
}

bool as_sync_follow(anonset_sync *sync, uint32_t base)
{
    uint8_t digest[ANONSET_HASH_BYTES];
    as_candidate floor = sync->floor;
    uint32_t floor_from = sync->floor_from;
    if (keep(sync, base) || (sync->local.has_pending && !as_sync_discard(sync)) || is_futile(sync))
        return false;
    anonset_code code = digest_at(sync, digest, base);
    if (code != ANONSET_OK) {
        as_fetch_store_failed(sync, code);
        return false;
    }
    sync->resuming = false;
    sync->started = false;
    as_sync_begin_at(sync, base, base, digest);
    if (floor.size <= base) {
        sync->floor = floor;
        sync->floor_from = floor_from;
    }
    sync->covered = sync->compare_from;
    as_sync_tell_progress(sync);
    return true;
}

/* More may be asked of a set that is up to date: that it agrees with trusted checkpoints, and that
 * its set hash is proven. */
static bool is_to_be_looked_at(const anonset_sync *sync)
{
    return sync->options.trusted_n > 0 ||
           (sync->options.prove && sync->local.gate < ANONSET_GATE_SET_HASH &&
            sync->local.finalized.has_set_hash);
}

static void look_again(anonset_sync *sync)
{
    const anonset_state *local = &sync->local;
    as_sync_begin_at(sync, local->finalized.size, local->finalized.size, local->digest);
    sync->covered = 0;
    sync->floor = (as_candidate){.size = 0};
    as_finish_look_again(sync);
}

static void carry_out(anonset_sync *sync, const as_plan *plan)
{
    anonset_state *local = &sync->local;
    if (plan->discard && !as_sync_discard(sync))
        return;
    if (plan->action != AS_STOP && is_futile(sync))
        return;
    sync->resuming = plan->action == AS_RESUME;
    switch (plan->action) {
    case AS_STOP:
        if (plan->outcome == ANONSET_UP_TO_DATE && is_to_be_looked_at(sync))
            look_again(sync);
        else
            stop(sync, plan->outcome);
        return;
    case AS_MEND:
        if (sync->unmendable)
            as_mend_replace(sync);
        else
            as_mend_begin(sync);
        return;
    case AS_RESUME:
        as_sync_begin_at(sync, local->base, local->base + local->count, local->pending_digest);
        break;
    case AS_START:
    case AS_COMPARE:
        as_sync_begin_at(sync, plan->base, plan->base, local->digest);
        break;
    }
    as_sync_tell_progress(sync);
    if (plan->action == AS_COMPARE && as_plan_is_remined(local, &sync->target))
        as_prove_newest(sync);
    else if (plan->action == AS_COMPARE)
        as_prove_begin(sync);
    else
        as_seam_begin(sync);
}

void as_sync_decide(anonset_sync *sync)
{
    anonset_store *store = sync->store;
    as_plan plan;
    anonset_code code = store->backend->load_state(store->handle, &sync->local, sync->result.group,
                                                   &sync->result.error);
    if (code != ANONSET_OK) {
        as_sync_end_store(sync, code);
        return;
    }
    plan = as_plan_next(&sync->local, &sync->told);
    sync->target = sync->told;
    carry_out(sync, &plan);
}

static bool meta_advance(anonset_sync *sync)
{
    if (as_flight_has(&sync->flight, AS_ASK_META) || as_flight_has(&sync->flight, AS_ASK_GENESIS))
        return false;
    if (as_sync_same_network(sync))
        as_sync_decide(sync);
    return true;
}

static bool newest_advance(anonset_sync *sync)
{
    if (sync->last_group != 0) {
        begin_group(sync, 1);
        as_sync_replan(sync);
        return true;
    }
    if (as_flight_has(&sync->flight, AS_ASK_NEWEST))
        return false;
    anonset_request request = {.kind = ANONSET_REQUEST_NEWEST_GROUP};
    ask(sync, &request, (as_asked){.role = AS_ASK_NEWEST});
    return true;
}

/* ---- Step --------------------------------------------------------------------------------- */

static bool advance(anonset_sync *sync)
{
    switch (sync->phase) {
    case AS_PHASE_NEWEST:
        return newest_advance(sync);
    case AS_PHASE_META:
        return meta_advance(sync);
    case AS_PHASE_BEHIND:
        return as_behind_advance(sync);
    case AS_PHASE_MEND:
        return as_mend_advance(sync);
    case AS_PHASE_SEAM:
        return as_seam_advance(sync);
    case AS_PHASE_COPY:
        return as_copy_advance(sync);
    case AS_PHASE_CONTINUITY:
        return as_fetch_continuity_advance(sync);
    case AS_PHASE_FLOOR:
        return as_prove_floor_advance(sync);
    case AS_PHASE_GUESS:
        return as_guess_advance(sync);
    case AS_PHASE_COMPARE:
        return as_prove_compare_advance(sync);
    case AS_PHASE_DOWNLOAD:
        return as_fetch_download_advance(sync);
    case AS_PHASE_CLOSE:
        return as_finish_advance(sync);
    case AS_PHASE_HEIGHTS:
        return as_heights_advance(sync);
    case AS_PHASE_USED:
        return as_used_advance(sync);
    case AS_PHASE_END:
        tell_result(sync);
        return true;
    case AS_PHASE_DONE:
        break;
    }
    return false;
}

anonset_step anonset_sync_step(anonset_sync *sync, anonset_request *request)
{
    if (!sync || !request)
        return ANONSET_STEP_DONE;
    sync->waiting = false;
    for (;;) {
        if (atomic_load(&sync->cancelled) && sync->phase < AS_PHASE_END)
            as_sync_end(sync, ANONSET_SYNC_CANCELLED, ANONSET_CANCELLED,
                        "cancelled; everything committed was kept");
        if (as_flight_pop(&sync->flight, request)) {
            sync->result.requests++;
            return ANONSET_STEP_SEND;
        }
        if (!advance(sync))
            break;
    }
    sync->waiting = sync->phase != AS_PHASE_DONE;
    return sync->waiting ? ANONSET_STEP_WAIT : ANONSET_STEP_DONE;
}
