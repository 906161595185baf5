#include "core/checked.h"

#include "core/detail.h"
#include "core/run.h"

#include <string.h>

/* Coins between two positions whose log digests are known. */
struct segment {
    uint32_t from, to;
    uint8_t low[ANONSET_HASH_BYTES], high[ANONSET_HASH_BYTES];
};

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, ANONSET_HASH_BYTES) == 0;
}

/* The nearest position at or below `position` whose digest is stored. */
static anonset_code find_low(struct segment *segment, const as_checked *c, uint32_t position,
                             anonset_detail *detail)
{
    anonset_run run;
    memset(segment, 0, sizeof *segment);
    if (c->from < c->to && position == c->to) {
        segment->from = c->to;
        memcpy(segment->low, c->high, sizeof segment->low);
        return ANONSET_OK;
    }
    anonset_code code = as_run_read(&run, c->backend, c->snapshot, position, detail);
    while (code == ANONSET_OK && run.start > 0) {
        uint32_t start = run.start;
        code = as_run_read(&run, c->backend, c->snapshot, start - 1, detail);
        if (code == ANONSET_OK && run.has_digest && run.start + run.n == start) {
            segment->from = start;
            memcpy(segment->low, run.digest, sizeof segment->low);
            break;
        }
    }
    return code;
}

static anonset_code damaged(const struct segment *segment, anonset_detail *detail)
{
    return as_fail(detail, ANONSET_CORRUPT, 0,
                   "the stored coins %u to %u differ from their digest: repair the store, then "
                   "sync again",
                   (unsigned)segment->from, (unsigned)segment->to - 1);
}

static anonset_code hash_run(struct segment *segment, const as_checked *c, const anonset_run *run,
                             anonset_detail *detail)
{
    anonset_code code = ANONSET_OK;
    uint32_t size = c->state->finalized.size;
    while (code == ANONSET_OK && segment->to < size && as_run_holds(run, segment->to)) {
        code = as_digest_coin(c->digest, segment->high, segment->high,
                              &run->coins[segment->to - run->start]);
        segment->to++;
    }
    return code == ANONSET_OK ? code : as_fail(detail, code, 0, "the crypto library failed");
}

/* Hashes from the low end to the next stored digest above `position`. */
static anonset_code hash(struct segment *segment, const as_checked *c, anonset_run *run,
                         uint32_t position, anonset_detail *detail)
{
    uint32_t size = c->state->finalized.size;
    bool known = false;
    segment->to = segment->from;
    memcpy(segment->high, segment->low, sizeof segment->high);
    while (!known) {
        anonset_code code = as_run_read(run, c->backend, c->snapshot, segment->to, detail);
        if (code == ANONSET_OK)
            code = hash_run(segment, c, run, detail);
        if (code != ANONSET_OK)
            return code;
        bool ends = run->has_digest && segment->to == run->start + run->n;
        if ((ends && !same(segment->high, run->digest)) ||
            (segment->to == size && !same(segment->high, c->state->digest)))
            return damaged(segment, detail);
        known = segment->to == size || (ends && segment->to > position);
    }
    /* Going down, what was read last says what must come out here. */
    if (c->from < c->to && segment->to == c->from && !same(segment->high, c->low))
        return damaged(segment, detail);
    return ANONSET_OK;
}

anonset_code as_checked_read(as_checked *c, anonset_run *run, uint32_t position,
                             anonset_detail *detail)
{
    struct segment segment;
    if (position >= c->from && position < c->to)
        return as_run_read(run, c->backend, c->snapshot, position, detail);
    anonset_code code = find_low(&segment, c, position, detail);
    if (code == ANONSET_OK)
        code = hash(&segment, c, run, position, detail);
    if (code != ANONSET_OK)
        return code;
    c->from = segment.from;
    c->to = segment.to;
    memcpy(c->low, segment.low, sizeof c->low);
    memcpy(c->high, segment.high, sizeof c->high);
    if (as_run_holds(run, position))
        return ANONSET_OK;
    return as_run_read(run, c->backend, c->snapshot, position, detail);
}
