#include "core/unique.h"

#include "core/alloc.h"
#include "core/bytes.h"
#include "core/detail.h"
#include "core/digest.h"
#include "core/run.h"

#include <stdlib.h>
#include <string.h>

#define RUN_MOST    4096u /* coins of a run, by backend.h */
#define BITS_LEAST  12u   /* of the number of slots */
#define BITS_SMALL  15u   /* 64 KiB, whatever the caller says */
#define BITS_MOST   19u   /* 1 MiB */
#define HITS_KEPT   4096u /* more are not gathered before they are looked at */
#define HITS_MOST   (HITS_KEPT + RUN_MOST)
#define TAG_KINDS   65536u /* kinds of tags told apart before hits are searched for one */
#define PAIRS_LEAST 1000u  /* compared in a set of any size before its tags are doubted */

struct hit {
    uint32_t tag;
    uint32_t position;
};

struct check {
    const anonset_backend *backend;
    void *snapshot;
    const as_tagger *tagger;
    as_digest *digest;
    anonset_detail *detail;
    as_repeat *repeat;
    uint32_t base, size;
    uint32_t slice, slices; /* of the tag space */
    uint16_t *table;        /* marks of this slice's tags, open addressing; 0: free */
    uint32_t bits;          /* of the number of its slots */
    uint32_t used, used_most;
    struct hit *hits; /* positions whose mark was in the table already */
    uint32_t hit_count;
    uint8_t hit_kinds[TAG_KINDS / 8]; /* a bit for each kind, set: there are hits of it */
    uint64_t pairs;                   /* coins compared so far */
    uint64_t pairs_most;
    uint8_t *computed;         /* tags of a run, where the backend stores none */
    uint16_t picked[RUN_MOST]; /* places in a run */
};

/* ---- Tags --------------------------------------------------------------------------------- */

/* A run of tags from `position` on, at most up to `end`. */
static anonset_code read_tags(struct check *c, anonset_run *run, uint32_t position, uint32_t end)
{
    bool stored = c->backend->read_tags != NULL;
    anonset_code code = stored ? c->backend->read_tags(c->snapshot, run, position, c->detail)
                               : as_run_read(run, c->backend, c->snapshot, position, c->detail);
    if (code != ANONSET_OK)
        return code;
    uint32_t skip = position - run->start;
    if (run->n > RUN_MOST || skip >= run->n)
        return as_fail(c->detail, ANONSET_CORRUPT, 0, "the backend's run misses position %u",
                       (unsigned)position);
    run->n -= skip;
    run->start = position;
    if (run->n > end - position)
        run->n = end - position;
    if (stored) {
        run->tags += (size_t)skip * 4;
        return ANONSET_OK;
    }
    for (uint32_t i = 0; i < run->n; i++)
        as_put32(c->computed + (size_t)i * 4, as_tag(c->tagger, &run->coins[skip + i]));
    run->tags = c->computed;
    return ANONSET_OK;
}

static uint32_t tag_at(const anonset_run *run, uint32_t i)
{
    return as_get32(run->tags + (size_t)i * 4);
}

/* ---- Hits confirmed ----------------------------------------------------------------------- */

static anonset_code hash_at(struct check *c, uint8_t *out, uint32_t position)
{
    static const uint8_t zero[ANONSET_HASH_BYTES];
    anonset_run run;
    anonset_code code = as_run_read(&run, c->backend, c->snapshot, position, c->detail);
    if (code == ANONSET_OK)
        code = as_digest_coin(c->digest, out, zero, &run.coins[position - run.start]);
    return code;
}

/* Compares two whole coins by a hash of all their bytes, so that none needs to be copied. */
static anonset_code compare(struct check *c, uint32_t p, uint32_t q)
{
    uint8_t a[ANONSET_HASH_BYTES];
    uint8_t b[ANONSET_HASH_BYTES];
    anonset_code code;
    if (++c->pairs > c->pairs_most)
        return as_fail(c->detail, ANONSET_CORRUPT, 0,
                       "the stored tags repeat far too often; clear the group and sync it again");
    code = hash_at(c, a, p);
    if (code == ANONSET_OK)
        code = hash_at(c, b, q);
    if (code == ANONSET_OK && memcmp(a, b, sizeof a) == 0)
        *c->repeat = (as_repeat){.found = true, .first = p < q ? p : q, .second = p < q ? q : p};
    return code;
}

static int by_tag(const void *a, const void *b)
{
    const struct hit *x = a;
    const struct hit *y = b;
    return (x->tag > y->tag) - (x->tag < y->tag);
}

static uint32_t kind_of(uint32_t tag)
{
    return tag % TAG_KINDS;
}

/* Tells of most tags that they are no hit's; a search for one waits for memory at each step. */
static bool may_be_hit(const struct check *c, uint32_t tag)
{
    return (c->hit_kinds[kind_of(tag) / 8] >> kind_of(tag) % 8 & 1) != 0;
}

static void mark_hits(struct check *c)
{
    memset(c->hit_kinds, 0, sizeof c->hit_kinds);
    for (uint32_t i = 0; i < c->hit_count; i++)
        c->hit_kinds[kind_of(c->hits[i].tag) / 8] |= (uint8_t)(1u << kind_of(c->hits[i].tag) % 8);
}

/* The first hit of this tag; hit_count: none. */
static uint32_t find_hit(const struct check *c, uint32_t tag)
{
    uint32_t low = 0;
    uint32_t high = c->hit_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->hits[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->hit_count && c->hits[low].tag == tag ? low : c->hit_count;
}

static anonset_code compare_with_hits(struct check *c, uint32_t tag, uint32_t position)
{
    anonset_code code = ANONSET_OK;
    for (uint32_t i = find_hit(c, tag);
         i < c->hit_count && c->hits[i].tag == tag && code == ANONSET_OK && !c->repeat->found; i++)
        if (c->hits[i].position != position)
            code = compare(c, c->hits[i].position, position);
    return code;
}

/* One pass over the new coins' tags finds the partners of all hits. */
static anonset_code resolve(struct check *c)
{
    uint32_t position = c->base;
    uint32_t tags[RUN_MOST];
    anonset_code code = ANONSET_OK;
    if (c->hit_count == 0)
        return ANONSET_OK;
    qsort(c->hits, c->hit_count, sizeof *c->hits, by_tag);
    mark_hits(c);
    while (code == ANONSET_OK && position < c->size && !c->repeat->found) {
        anonset_run run;
        code = read_tags(c, &run, position, c->size);
        if (code != ANONSET_OK)
            break;
        /* Comparing reads coins, which ends the life of the run. */
        for (uint32_t i = 0; i < run.n; i++)
            tags[i] = tag_at(&run, i);
        for (uint32_t i = 0; i < run.n && code == ANONSET_OK && !c->repeat->found; i++)
            if (may_be_hit(c, tags[i]))
                code = compare_with_hits(c, tags[i], position + i);
        position += run.n;
    }
    c->hit_count = 0;
    return code;
}

/* ---- Slices ------------------------------------------------------------------------------- */

/*
 * The slot that holds this tag's mark, or the free one where it belongs. A mark is half of a tag:
 * equal tags have equal ones and meet, so that no repeat is missed; others meet once in thousands
 * of times, and are told apart when hits are resolved. So a table of twice as many tags will do.
 */
static uint16_t *slot_of(const struct check *c, uint32_t tag, uint16_t *mark)
{
    uint32_t mixed = tag * 2654435761u; /* Knuth's multiplier: a slice holds neighbours */
    uint32_t i = mixed >> (32 - c->bits);
    *mark = (uint16_t)mixed ? (uint16_t)mixed : 1;
    while (c->table[i] != 0 && c->table[i] != *mark)
        i = (i + 1) & ((UINT32_C(1) << c->bits) - 1);
    return &c->table[i];
}

/* Which of the run's tags are of this slice: without a branch, for each slice looks at all tags.
 * All slices together cover all tags; that the last may meet the first again does no harm. */
static uint32_t pick(struct check *c, const anonset_run *run)
{
    const uint32_t width_less_1 = UINT32_MAX / c->slices;
    const uint32_t low = c->slice * (width_less_1 + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < run->n; i++) {
        c->picked[n] = (uint16_t)i;
        n += as_get32(run->tags + (size_t)i * 4) - low <= width_less_1;
    }
    return n;
}

static void look_at(struct check *c, const anonset_run *run, bool insert)
{
    uint32_t n = pick(c, run);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t tag = tag_at(run, c->picked[i]);
        uint16_t mark;
        uint16_t *slot = slot_of(c, tag, &mark);
        if (*slot == mark) {
            c->hits[c->hit_count++] = (struct hit){tag, run->start + c->picked[i]};
        } else if (insert && c->used < c->used_most) {
            *slot = mark;
            c->used++;
        }
    }
}

static anonset_code scan(struct check *c, uint32_t from, uint32_t to, bool insert)
{
    anonset_code code = ANONSET_OK;
    while (code == ANONSET_OK && from < to && !c->repeat->found) {
        anonset_run run;
        code = read_tags(c, &run, from, to);
        if (code != ANONSET_OK)
            break;
        look_at(c, &run, insert);
        from += run.n;
        if (c->hit_count > HITS_KEPT)
            code = resolve(c);
    }
    return code;
}

/* New coins first: the finalized ones were checked among themselves when they were finalized. */
static anonset_code check_slice(struct check *c)
{
    anonset_code code;
    memset(c->table, 0, sizeof *c->table << c->bits);
    c->used = 0;
    code = scan(c, c->base, c->size, true);
    if (code == ANONSET_OK && c->used == c->used_most)
        return as_fail(c->detail, ANONSET_CORRUPT, 0,
                       "the stored tags are not spread evenly; clear the group and sync it again");
    if (code == ANONSET_OK && !c->repeat->found)
        code = scan(c, 0, c->base, false);
    return code;
}

/* As many slots as `coins` want, or as there is room for, and as many slices as fill them to five
 * eighths. Good tags never fill one to three quarters. */
static void choose_table(struct check *c, uint32_t coins, size_t room)
{
    c->bits = BITS_LEAST;
    while (c->bits < BITS_MOST && (UINT64_C(5) << c->bits) < UINT64_C(8) * coins &&
           (c->bits < BITS_SMALL || sizeof *c->table << (c->bits + 1) <= room))
        c->bits++;
    uint32_t slots = UINT32_C(1) << c->bits;
    c->slices = coins / (slots / 8 * 5) + 1;
    c->used_most = slots / 4 * 3;
}

anonset_code as_unique_check(as_repeat *repeat, const anonset_backend *backend, void *snapshot,
                             const as_tagger *tagger, uint32_t base, uint32_t size, size_t room,
                             anonset_detail *detail)
{
    anonset_code code = ANONSET_NO_MEMORY;
    struct check *c = as_alloc_zeroed(sizeof *c);
    *repeat = (as_repeat){.found = false};
    if (base == size)
        code = ANONSET_OK;
    if (!c || base == size)
        goto out;
    *c = (struct check){.backend = backend,
                        .snapshot = snapshot,
                        .tagger = tagger,
                        .detail = detail,
                        .repeat = repeat,
                        .base = base,
                        .size = size};
    /* By chance at most new x all / 2^31 share a tag (core/tag.c), each compared twice: four times
     * that is no chance. */
    c->pairs_most = PAIRS_LEAST + ((uint64_t)(size - base) * size >> 28);
    choose_table(c, size - base, room);
    c->table = as_alloc(sizeof *c->table << c->bits);
    c->hits = as_alloc(HITS_MOST * sizeof *c->hits);
    if (!backend->read_tags)
        c->computed = as_alloc(RUN_MOST * 4);
    if (!c->table || !c->hits || (!backend->read_tags && !c->computed))
        goto out;
    code = as_digest_new(&c->digest, detail);
    for (; code == ANONSET_OK && c->slice < c->slices && !repeat->found; c->slice++)
        code = check_slice(c);
    if (code == ANONSET_OK && !repeat->found)
        code = resolve(c);
out:
    if (code == ANONSET_NO_MEMORY)
        (void)as_fail(detail, code, 0, "out of memory for the check that no coin repeats");
    if (c) {
        as_digest_free(c->digest);
        as_free(c->table);
        as_free(c->hits);
        as_free(c->computed);
    }
    as_free(c);
    return code;
}
