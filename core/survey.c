#include "core/survey.h"

#include "core/alloc.h"
#include "core/bytes.h"
#include "core/detail.h"
#include "core/plan.h"
#include "core/run.h"

#include <string.h>

#define RUN_MOST 4096u /* backend.h: no run is longer */

struct walk {
    as_survey *survey;
    anonset_detail *detail;
    bool pending;
    uint32_t position, end;
    bool known; /* `now` is the log digest at `position` */
    uint8_t now[ANONSET_HASH_BYTES];
    uint32_t good; /* everything between the damage and here was confirmed */
    uint8_t at_good[ANONSET_HASH_BYTES];

    uint32_t checkpoints;    /* not come by yet: the index of the next one, plus one */
    anonset_checkpoint next; /* that one */
    bool contradicted;       /* since `good`, by a checkpoint: it or the coins are wrong */

    uint32_t tags[RUN_MOST];
};

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, ANONSET_HASH_BYTES) == 0;
}

static void confirm(struct walk *walk)
{
    walk->survey->bad_records |= walk->contradicted;
    walk->contradicted = false;
    walk->good = walk->position;
    memcpy(walk->at_good, walk->now, ANONSET_HASH_BYTES);
}

static void note_joint(const struct walk *walk)
{
    as_joint *joint = walk->survey->joint;
    if (walk->pending || !walk->known || walk->position != joint->base)
        return;
    joint->known = true;
    memcpy(joint->digest, walk->now, ANONSET_HASH_BYTES);
}

/* ---- Damage ------------------------------------------------------------------------------- */

/* What lies between the last position confirmed and this one is damaged. It ends where a digest is
 * known again: with `stored` here, else (NULL) further on. */
static void spoil(struct walk *walk, const uint8_t *stored)
{
    as_survey *survey = walk->survey;
    anonset_damage *damage = &survey->damage;
    if (!survey->damaged) {
        damage->from = walk->good;
        memcpy(damage->before, walk->at_good, ANONSET_HASH_BYTES);
    }
    survey->damaged = true;
    if (!walk->pending && survey->joint->base > walk->good && survey->joint->base <= walk->position)
        survey->joint->known = false;
    walk->contradicted = false;
    walk->known = stored != NULL;
    if (!stored)
        return;
    memcpy(walk->now, stored, ANONSET_HASH_BYTES);
    damage->to = walk->position;
    memcpy(damage->after, stored, ANONSET_HASH_BYTES);
    confirm(walk);
    note_joint(walk);
}

/* The chain has come to the set's end. */
static void close_chain(struct walk *walk, const uint8_t *digest)
{
    as_survey *survey = walk->survey;
    anonset_damage *damage = &survey->damage;
    memcpy(survey->reached, walk->now, ANONSET_HASH_BYTES);
    if (walk->known && same(walk->now, digest))
        confirm(walk);
    else
        spoil(walk, digest);
    if (!survey->damaged || damage->from < damage->to)
        return;
    /* All fits but the end: these are other coins, who knows from where on. */
    damage->from = walk->pending ? survey->joint->base : 0;
    memset(damage->before, 0, ANONSET_HASH_BYTES);
    if (walk->pending)
        memcpy(damage->before, survey->joint->digest, ANONSET_HASH_BYTES);
}

/* ---- Checkpoints -------------------------------------------------------------------------- */

/* They come newest first, and are needed oldest first. */
static anonset_code load_next(struct walk *walk)
{
    as_survey *survey = walk->survey;
    anonset_meta before = walk->next.meta;
    if (walk->checkpoints == 0)
        return ANONSET_OK;
    anonset_code code = survey->backend->checkpoint(survey->snapshot, &walk->next,
                                                    walk->checkpoints - 1, walk->detail);
    if (code == ANONSET_OK &&
        (walk->next.meta.size < before.size || walk->next.meta.size > walk->end))
        survey->bad_records = true;
    return code;
}

/* The newest is what is finalized. */
static anonset_code load_oldest(struct walk *walk)
{
    as_survey *survey = walk->survey;
    const anonset_state *state = survey->state;
    anonset_detail none = {.code = ANONSET_OK};
    anonset_code code = ANONSET_OK;
    while (code == ANONSET_OK) {
        code = survey->backend->checkpoint(survey->snapshot, &walk->next, walk->checkpoints, &none);
        if (code == ANONSET_OK && walk->checkpoints++ == 0)
            survey->bad_records = !as_meta_equal(&walk->next.meta, &state->finalized) ||
                                  walk->next.gate != state->gate ||
                                  !same(walk->next.digest, state->digest);
    }
    if (code != ANONSET_NOT_FOUND)
        return as_fail(walk->detail, code, none.os_error, "%s", none.text);
    survey->bad_records |= walk->checkpoints == 0;
    walk->next.meta.size = 0;
    return load_next(walk);
}

/* Comes by the checkpoints of this position; those of positions that were skipped say nothing. */
static anonset_code pass_checkpoints(struct walk *walk)
{
    anonset_code code = ANONSET_OK;
    while (walk->checkpoints > 0 && walk->next.meta.size <= walk->position && code == ANONSET_OK) {
        if (walk->known && walk->next.meta.size == walk->position &&
            !same(walk->next.digest, walk->now))
            walk->contradicted = true;
        walk->checkpoints--;
        code = load_next(walk);
    }
    return code;
}

/* ---- Coins -------------------------------------------------------------------------------- */

static anonset_code hash_coins(struct walk *walk, const anonset_run *run, uint32_t to)
{
    as_survey *survey = walk->survey;
    anonset_code code = ANONSET_OK;
    while (walk->position < to && code == ANONSET_OK) {
        const anonset_coin *coin = &run->coins[walk->position - run->start];
        walk->tags[walk->position - run->start] = as_tag(survey->tagger, coin);
        if (walk->known && as_digest_coin(survey->digest, walk->now, walk->now, coin) != ANONSET_OK)
            return as_fail(walk->detail, ANONSET_INTERNAL, 0, "the crypto library failed");
        walk->position++;
        survey->coins++;
        note_joint(walk);
        code = pass_checkpoints(walk);
    }
    return code;
}

/* Whether the tags stored for [from, to) are those of the coins, which are a run from `start` on:
 * a tag that rotted would hide a repeated coin. */
static anonset_code compare_tags(struct walk *walk, bool *fit, uint32_t start, uint32_t from,
                                 uint32_t to)
{
    const as_survey *survey = walk->survey;
    *fit = true;
    while (survey->backend->read_tags && *fit && from < to) {
        anonset_run run = {.n = 0};
        anonset_code code = survey->backend->read_tags(survey->snapshot, &run, from, walk->detail);
        if (code == ANONSET_CORRUPT)
            *fit = false;
        else if (code != ANONSET_OK)
            return code;
        else if (!run.tags || !as_run_holds(&run, from))
            return as_fail(walk->detail, ANONSET_INTERNAL, 0, "backend %s: no tag of position %u",
                           survey->backend->name, from);
        for (; *fit && from < to && from - run.start < run.n; from++)
            *fit = as_get32(run.tags + (size_t)4 * (from - run.start)) == walk->tags[from - start];
    }
    return ANONSET_OK;
}

static anonset_code survey_coins(struct walk *walk, const anonset_run *run)
{
    uint32_t start = run->start, from = walk->position;
    uint32_t to = run->n < walk->end - start ? start + run->n : walk->end;
    bool whole = run->has_digest && to == start + run->n, fit;
    uint8_t digest[ANONSET_HASH_BYTES];
    memcpy(digest, run->digest, sizeof digest);
    anonset_code code = hash_coins(walk, run, to);
    if (code == ANONSET_OK) /* takes the run's coins back */
        code = compare_tags(walk, &fit, start, from, to);
    if (code != ANONSET_OK)
        return code;
    if (whole && (!walk->known || !fit || !same(walk->now, digest)))
        spoil(walk, digest);
    else if (!fit)
        spoil(walk, NULL);
    else if (whole)
        confirm(walk);
    return ANONSET_OK;
}

static anonset_code skip(struct walk *walk, uint32_t to)
{
    walk->position = to < walk->end ? to : walk->end;
    spoil(walk, NULL);
    return pass_checkpoints(walk);
}

/* What an earlier repair dropped: the digests at both ends are in the record. */
static anonset_code pass_hole(struct walk *walk)
{
    const anonset_state *state = walk->survey->state;
    if (walk->known && same(walk->now, state->hole_before))
        confirm(walk);
    walk->position = state->hole_to;
    spoil(walk, state->hole_after);
    return pass_checkpoints(walk);
}

static anonset_code survey_run(struct walk *walk)
{
    const as_survey *survey = walk->survey;
    anonset_run run = {.n = 0};
    if (!walk->pending && survey->state->has_hole && walk->position >= survey->state->hole_from &&
        walk->position < survey->state->hole_to)
        return pass_hole(walk);
    anonset_code code =
        as_run_read(&run, survey->backend, survey->snapshot, walk->position, walk->detail);
    if (code == ANONSET_CORRUPT)
        return skip(walk,
                    as_run_holds(&run, walk->position) ? run.start + run.n : walk->position + 1);
    if (code == ANONSET_OK && run.n > RUN_MOST)
        code = as_fail(walk->detail, ANONSET_INTERNAL, 0, "backend %s: a run of %u coins",
                       survey->backend->name, run.n);
    return code == ANONSET_OK ? survey_coins(walk, &run) : code;
}

static void begin(struct walk *walk, as_survey *survey)
{
    const anonset_state *state = survey->state;
    walk->known = true;
    walk->end = state->finalized.size;
    if (walk->pending) {
        walk->known = survey->joint->known;
        walk->position = state->base;
        walk->end = state->base + state->count;
        memcpy(walk->now, survey->joint->digest, ANONSET_HASH_BYTES);
    }
    confirm(walk);
    note_joint(walk);
    survey->has_before = walk->known;
    survey->damage = (anonset_damage){.pending = walk->pending};
    memcpy(survey->damage.digest, walk->pending ? state->pending_digest : state->digest,
           ANONSET_HASH_BYTES);
}

/* A hole is part of the damage, and a pending set is cut back: it has no hole. */
static void finish(const struct walk *walk)
{
    as_survey *survey = walk->survey;
    anonset_damage *damage = &survey->damage;
    if (!survey->damaged || !walk->pending)
        return;
    survey->has_before |= damage->from > walk->survey->joint->base;
    damage->to = walk->end;
    memcpy(damage->after, damage->digest, ANONSET_HASH_BYTES);
}

anonset_code as_survey_run(as_survey *survey, bool pending, anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    struct walk *walk = as_alloc_zeroed(sizeof *walk);
    if (!walk)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for the tags of a run");
    *walk = (struct walk){.survey = survey, .detail = detail, .pending = pending};
    begin(walk, survey);
    if (!pending)
        code = load_oldest(walk);
    if (code == ANONSET_OK)
        code = pass_checkpoints(walk);
    while (code == ANONSET_OK && walk->position < walk->end)
        code = survey_run(walk);
    if (code == ANONSET_OK) {
        close_chain(walk, survey->damage.digest);
        finish(walk);
    }
    as_free(walk);
    return code;
}
