/* Hashing every stored coin again: neither engine protects the bytes it keeps. */
#include "core/verify.h"

#include "core/detail.h"
#include "core/ledger.h"
#include "core/rederive.h"
#include "core/store.h"
#include "core/survey.h"

#include <string.h>

#define OPEN_TRIES 16 /* for two snapshots with no commit in between */

/* ---- Both views of one state -------------------------------------------------------------- */

struct views {
    const anonset_backend *backend;
    void *finalized;
    void *next; /* NULL: nothing is pending */
    anonset_state state;
};

static void close_views(struct views *views)
{
    if (views->finalized)
        views->backend->snapshot_close(views->finalized);
    if (views->next)
        views->backend->snapshot_close(views->next);
    views->finalized = views->next = NULL;
}

static bool is_same(const anonset_state *a, const anonset_state *b)
{
    uint8_t x[AS_LEDGER_BYTES];
    uint8_t y[AS_LEDGER_BYTES];
    as_ledger_encode(x, &(as_ledger){.state = *a}, 0);
    as_ledger_encode(y, &(as_ledger){.state = *b}, 0);
    return memcmp(x, y, sizeof x) == 0;
}

/* Opens what there is of the two. *same: no commit came in between. */
static anonset_code try_views(struct views *views, bool *same, void *handle, uint32_t group,
                              anonset_detail *detail)
{
    const anonset_backend *b = views->backend;
    anonset_state next;
    void *snapshot = NULL;
    anonset_code code =
        b->snapshot_open(handle, &snapshot, &views->state, group, ANONSET_VIEW_FINALIZED, detail);
    if (code != ANONSET_OK)
        return code;
    views->finalized = snapshot;
    *same = !views->state.has_pending;
    if (*same)
        return ANONSET_OK;
    code = b->snapshot_open(handle, &snapshot, &next, group, ANONSET_VIEW_NEXT, detail);
    if (code != ANONSET_OK)
        return code;
    views->next = snapshot;
    *same = is_same(&views->state, &next);
    return ANONSET_OK;
}

static anonset_code open_views(struct views *views, void *handle, uint32_t group,
                               anonset_detail *detail)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        bool same = false;
        anonset_code code = try_views(views, &same, handle, group, detail);
        if (code == ANONSET_OK && same)
            return ANONSET_OK;
        close_views(views);
        if (code != ANONSET_OK)
            return code;
    }
    return as_fail(detail, ANONSET_BUSY, 0, "group %u changes too fast to be verified: try again",
                   group);
}

/* ---- What is damaged ---------------------------------------------------------------------- */

struct look {
    anonset_store *store;
    struct views views;
    as_digest *digest;
    as_tagger tagger;
    as_joint joint;
    anonset_verdict *verdict;
    as_stored *found;
    anonset_detail *detail;
};

static void tell(struct look *look, uint32_t from, uint32_t to, const char *what)
{
    anonset_verdict *verdict = look->verdict;
    verdict->sound = false;
    verdict->damaged_from = from;
    verdict->damaged_to = to;
    if (from < to)
        (void)as_fail(look->detail, ANONSET_CORRUPT, 0, "group %u: %s (positions %u to %u)",
                      (unsigned)verdict->group, what, (unsigned)from, (unsigned)(to - 1));
    else
        (void)as_fail(look->detail, ANONSET_CORRUPT, 0, "group %u: %s", (unsigned)verdict->group,
                      what);
}

static void tell_records(struct look *look)
{
    look->found->records = true;
    if (look->verdict->sound)
        tell(look, 0, 0, "its records are damaged, or contradict its coins");
}

static as_survey survey_of(struct look *look, void *snapshot)
{
    return (as_survey){.backend = look->store->backend,
                       .snapshot = snapshot,
                       .digest = look->digest,
                       .tagger = &look->tagger,
                       .state = &look->views.state,
                       .joint = &look->joint};
}

static anonset_code look_at_finalized(struct look *look)
{
    const anonset_state *state = &look->views.state;
    as_survey survey = survey_of(look, look->views.finalized);
    anonset_code code = as_survey_run(&survey, false, look->detail);
    if (code != ANONSET_OK)
        return code;
    look->verdict->coins += survey.coins;
    memcpy(look->verdict->digest, survey.reached, ANONSET_HASH_BYTES);
    look->found->finalized = survey.damaged;
    look->found->of_finalized = survey.damage;
    if (survey.damaged && state->has_hole && survey.damage.from == state->hole_from &&
        survey.damage.to == state->hole_to)
        tell(look, survey.damage.from, survey.damage.to,
             "a repair dropped coins that no sync has fetched again yet");
    else if (survey.damaged)
        tell(look, survey.damage.from, survey.damage.to,
             "stored coins cannot be read, or differ from their digests or tags");
    if (survey.bad_records)
        tell_records(look);
    return ANONSET_OK;
}

/* The digests agree, so what is found broken here was never right. */
static anonset_code look_at_set_hashes(struct look *look)
{
    static const atomic_bool never;
    as_chain_source source = {.backend = look->store->backend,
                              .snapshot = look->views.finalized,
                              .digest = look->digest,
                              .cancelled = &never};
    as_links links;
    anonset_code code = as_rederive(&links, &source, look->verdict->group == 1, look->detail);
    if (code != ANONSET_OK)
        return code;
    look->verdict->proven = links.proven;
    look->verdict->rederived = links.rederived;
    look->found->false_proof = links.broken;
    if (links.broken)
        tell(look, links.from, links.to,
             "stored coins do not lead to the set hash that they are said to");
    return ANONSET_OK;
}

/* The pending coins follow those below their base. */
static anonset_code look_at_pending(struct look *look)
{
    as_survey survey = survey_of(look, look->views.next);
    anonset_code code = as_survey_run(&survey, true, look->detail);
    if (code != ANONSET_OK)
        return code;
    look->verdict->coins += survey.coins;
    if (!look->views.state.has_finalized)
        memcpy(look->verdict->digest, survey.reached, ANONSET_HASH_BYTES);
    look->found->pending = survey.damaged;
    look->found->of_pending = survey.damage;
    look->found->has_before = survey.has_before;
    if (survey.damaged && look->verdict->sound) {
        look->verdict->damaged_pending = true;
        tell(look, survey.damage.from, survey.damage.to,
             "pending coins cannot be read, or differ from their digests or tags");
    }
    return ANONSET_OK;
}

static anonset_code look_at_all(struct look *look)
{
    const anonset_state *state = &look->views.state;
    anonset_code code = ANONSET_OK;
    if (!state->has_finalized && !state->has_pending)
        return as_fail(look->detail, ANONSET_NOT_FOUND, 0, "nothing is stored of group %u",
                       (unsigned)look->verdict->group);
    look->joint = (as_joint){.base = state->base, .known = state->base == 0};
    if (state->has_finalized)
        code = look_at_finalized(look);
    if (code == ANONSET_OK && state->has_finalized && look->verdict->sound)
        code = look_at_set_hashes(look);
    if (code == ANONSET_OK && state->has_pending)
        code = look_at_pending(look);
    return code;
}

anonset_code as_verify(anonset_store *store, anonset_verdict *verdict, as_stored *found,
                       uint32_t group, anonset_detail *detail)
{
    struct look look = {.store = store, .verdict = verdict, .found = found, .detail = detail};
    *verdict = (anonset_verdict){.group = group, .sound = true};
    *found = (as_stored){.records = false};
    look.views.backend = store->backend;
    as_tagger_init(&look.tagger, store->info.salt);
    anonset_code code = as_digest_new(&look.digest, detail);
    if (code != ANONSET_OK)
        return code;
    code = open_views(&look.views, store->handle, group, detail);
    if (code == ANONSET_OK)
        code = look_at_all(&look);
    if (code == ANONSET_CORRUPT) {
        tell_records(&look);
        code = ANONSET_OK;
    }
    found->state = look.views.state;
    found->of_finalized.group = found->of_pending.group = group;
    close_views(&look.views);
    as_digest_free(look.digest);
    return code;
}

anonset_code as_verify_engine(anonset_store *store, anonset_verdict *verdict,
                              anonset_detail *detail)
{
    *verdict = (anonset_verdict){.sound = true};
    if (!store->backend->check)
        return ANONSET_OK;
    anonset_code code = store->backend->check(store->handle, detail);
    verdict->sound = code == ANONSET_OK;
    return code == ANONSET_CORRUPT ? ANONSET_OK : code;
}

anonset_code anonset_store_verify(anonset_store *store, anonset_verdict *verdict, uint32_t group,
                                  anonset_detail *detail)
{
    anonset_verdict told;
    as_stored found;
    if (!store || !verdict)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_store_verify: NULL argument");
    anonset_code code = group == 0 ? as_verify_engine(store, &told, detail)
                                   : as_verify(store, &told, &found, group, detail);
    if (code == ANONSET_OK)
        *verdict = told;
    return code;
}
