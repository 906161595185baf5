#include "core/ledger.h"

#include "core/bytes.h"
#include "core/detail.h"
#include "core/used.h"

#include <string.h>

#define LAYOUT 2u

/* Flags of an encoded ledger and of an encoded checkpoint. */
#define HAS_FINALIZED     1u
#define HAS_PENDING       2u
#define FINALIZED_HAS_SET 4u
#define TARGET_HAS_SET    8u
#define HAS_HOLE          16u
#define META_HAS_SET      1u
#define IS_ALIAS          2u

/* Where the fields are. A meta is block hash | set hash | u32 size. */
enum {
    META_BYTES = 2 * ANONSET_HASH_BYTES + 4,

    LAYOUT_AT = 0,
    FLAGS_AT = 1,
    GATE_AT = 2,
    EPOCH_AT = 4,
    FINALIZED_AT = 8,
    DIGEST_AT = FINALIZED_AT + META_BYTES,
    TARGET_AT = DIGEST_AT + ANONSET_HASH_BYTES,
    BASE_AT = TARGET_AT + META_BYTES,
    COUNT_AT = BASE_AT + 4,
    PENDING_DIGEST_AT = COUNT_AT + 4,
    HOLE_AT = PENDING_DIGEST_AT + ANONSET_HASH_BYTES, /* from | to | filled */
    HOLE_BEFORE_AT = HOLE_AT + 12,
    HOLE_DIGEST_AT = HOLE_BEFORE_AT + ANONSET_HASH_BYTES,
    HOLE_AFTER_AT = HOLE_DIGEST_AT + ANONSET_HASH_BYTES,
    GROUP_AT = HOLE_AFTER_AT + ANONSET_HASH_BYTES,
    SUM_AT = AS_LEDGER_BYTES - 4,

    HAS_GENESIS_AT = ANONSET_SALT_BYTES,
    GENESIS_AT = HAS_GENESIS_AT + 4,
    IDENTITY_SUM_AT = GENESIS_AT + ANONSET_HASH_BYTES,

    CP_FLAGS_AT = 0,
    CP_GATE_AT = 1,
    CP_META_AT = 4,
    CP_DIGEST_AT = CP_META_AT + META_BYTES,
    CP_SUM_AT = AS_CHECKPOINT_BYTES - 4,
};

static const uint8_t zero_digest[ANONSET_HASH_BYTES];

/* FNV-1a: neither engine protects a record, and every changed byte changes this. Against chance,
 * not against malice: who can write the file can write the sum. */
static uint32_t checksum_on(uint32_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ bytes[i]) * 16777619u;
    return sum;
}

static uint32_t checksum(const uint8_t *bytes, size_t len)
{
    return checksum_on(2166136261u, bytes, len);
}

static void put_meta(uint8_t *out, const anonset_meta *meta)
{
    memcpy(out, meta->block_hash, ANONSET_HASH_BYTES);
    if (meta->has_set_hash)
        memcpy(out + ANONSET_HASH_BYTES, meta->set_hash, ANONSET_HASH_BYTES);
    as_put32(out + 2 * ANONSET_HASH_BYTES, meta->size);
}

static void get_meta(anonset_meta *meta, const uint8_t *in, bool has_set_hash)
{
    memcpy(meta->block_hash, in, ANONSET_HASH_BYTES);
    memcpy(meta->set_hash, in + ANONSET_HASH_BYTES, ANONSET_HASH_BYTES);
    meta->size = as_get32(in + 2 * ANONSET_HASH_BYTES);
    meta->has_set_hash = has_set_hash;
}

static void put_hole(uint8_t *out, const anonset_state *s)
{
    out[FLAGS_AT] |= HAS_HOLE;
    as_put32(out + HOLE_AT, s->hole_from);
    as_put32(out + HOLE_AT + 4, s->hole_to);
    as_put32(out + HOLE_AT + 8, s->hole_filled);
    memcpy(out + HOLE_BEFORE_AT, s->hole_before, ANONSET_HASH_BYTES);
    memcpy(out + HOLE_DIGEST_AT, s->hole_digest, ANONSET_HASH_BYTES);
    memcpy(out + HOLE_AFTER_AT, s->hole_after, ANONSET_HASH_BYTES);
}

static void get_hole(anonset_state *s, const uint8_t *in)
{
    s->has_hole = true;
    s->hole_from = as_get32(in + HOLE_AT);
    s->hole_to = as_get32(in + HOLE_AT + 4);
    s->hole_filled = as_get32(in + HOLE_AT + 8);
    memcpy(s->hole_before, in + HOLE_BEFORE_AT, ANONSET_HASH_BYTES);
    memcpy(s->hole_digest, in + HOLE_DIGEST_AT, ANONSET_HASH_BYTES);
    memcpy(s->hole_after, in + HOLE_AFTER_AT, ANONSET_HASH_BYTES);
}

void as_ledger_encode(uint8_t out[AS_LEDGER_BYTES], const as_ledger *ledger, uint32_t group)
{
    const anonset_state *s = &ledger->state;
    memset(out, 0, AS_LEDGER_BYTES);
    out[LAYOUT_AT] = LAYOUT;
    as_put32(out + EPOCH_AT, ledger->epoch);
    as_put32(out + GROUP_AT, group);
    if (s->has_finalized) {
        out[FLAGS_AT] |= HAS_FINALIZED | (s->finalized.has_set_hash ? FINALIZED_HAS_SET : 0);
        out[GATE_AT] = (uint8_t)s->gate;
        put_meta(out + FINALIZED_AT, &s->finalized);
        memcpy(out + DIGEST_AT, s->digest, ANONSET_HASH_BYTES);
    }
    if (s->has_pending) {
        out[FLAGS_AT] |= HAS_PENDING | (s->target.has_set_hash ? TARGET_HAS_SET : 0);
        put_meta(out + TARGET_AT, &s->target);
        as_put32(out + BASE_AT, s->base);
        as_put32(out + COUNT_AT, s->count);
        memcpy(out + PENDING_DIGEST_AT, s->pending_digest, ANONSET_HASH_BYTES);
    }
    if (s->has_hole)
        put_hole(out, s);
    as_put32(out + SUM_AT, checksum(out, SUM_AT));
}

static uint32_t finalized_size(const anonset_state *s)
{
    return s->has_finalized ? s->finalized.size : 0;
}

static bool is_possible(const as_ledger *ledger)
{
    const anonset_state *s = &ledger->state;
    if (s->gate > ANONSET_GATE_SET_HASH)
        return false;
    if (s->has_hole && (s->hole_from >= s->hole_to || s->hole_to > finalized_size(s) ||
                        s->hole_filled >= s->hole_to - s->hole_from))
        return false;
    return !s->has_pending || (ledger->epoch > 0 && s->base <= finalized_size(s) &&
                               (uint64_t)s->base + s->count <= s->target.size);
}

anonset_code as_ledger_decode(as_ledger *ledger, const uint8_t *bytes, size_t len, uint32_t group,
                              anonset_detail *detail)
{
    if (len != AS_LEDGER_BYTES || bytes[LAYOUT_AT] != LAYOUT)
        return as_fail(detail, ANONSET_CORRUPT, 0, "a group's record has %zu bytes, layout %u", len,
                       len ? bytes[LAYOUT_AT] : 0u);
    if (as_get32(bytes + SUM_AT) != checksum(bytes, SUM_AT))
        return as_fail(detail, ANONSET_CORRUPT, 0, "a group's record does not fit its checksum");
    if (as_get32(bytes + GROUP_AT) != group)
        return as_fail(detail, ANONSET_CORRUPT, 0, "the record of group %u stands as that of %u",
                       as_get32(bytes + GROUP_AT), group);
    as_ledger found;
    memset(&found, 0, sizeof found);
    anonset_state *s = &found.state;
    unsigned flags = bytes[FLAGS_AT];
    found.epoch = as_get32(bytes + EPOCH_AT);
    if (flags & HAS_FINALIZED) {
        s->has_finalized = true;
        s->gate = (anonset_gate)bytes[GATE_AT];
        get_meta(&s->finalized, bytes + FINALIZED_AT, flags & FINALIZED_HAS_SET);
        memcpy(s->digest, bytes + DIGEST_AT, ANONSET_HASH_BYTES);
    }
    if (flags & HAS_PENDING) {
        s->has_pending = true;
        get_meta(&s->target, bytes + TARGET_AT, flags & TARGET_HAS_SET);
        s->base = as_get32(bytes + BASE_AT);
        s->count = as_get32(bytes + COUNT_AT);
        memcpy(s->pending_digest, bytes + PENDING_DIGEST_AT, ANONSET_HASH_BYTES);
    }
    if (flags & HAS_HOLE)
        get_hole(s, bytes);
    if (!is_possible(&found))
        return as_fail(detail, ANONSET_CORRUPT, 0, "a group's record contradicts itself");
    *ledger = found;
    return ANONSET_OK;
}

/* salt | has genesis u32 | genesis | sum u32 */
void as_identity_encode(uint8_t out[AS_IDENTITY_BYTES], const anonset_store_info *info)
{
    memset(out, 0, AS_IDENTITY_BYTES);
    memcpy(out, info->salt, ANONSET_SALT_BYTES);
    as_put32(out + HAS_GENESIS_AT, info->has_genesis);
    if (info->has_genesis)
        memcpy(out + GENESIS_AT, info->genesis, ANONSET_HASH_BYTES);
    as_put32(out + IDENTITY_SUM_AT, checksum(out, IDENTITY_SUM_AT));
}

bool as_identity_decode(anonset_store_info *info, const uint8_t *bytes, size_t len)
{
    if (len != AS_IDENTITY_BYTES ||
        as_get32(bytes + IDENTITY_SUM_AT) != checksum(bytes, IDENTITY_SUM_AT))
        return false;
    memcpy(info->salt, bytes, ANONSET_SALT_BYTES);
    info->has_genesis = as_get32(bytes + HAS_GENESIS_AT) != 0;
    memcpy(info->genesis, bytes + GENESIS_AT, ANONSET_HASH_BYTES);
    return true;
}

enum {
    USED_DIGEST_AT = 4,
    USED_SUM_AT = USED_DIGEST_AT + ANONSET_HASH_BYTES
};

void as_used_encode(uint8_t out[AS_USED_BYTES], const anonset_used_state *state)
{
    as_put32(out, state->count);
    memcpy(out + USED_DIGEST_AT, state->digest, ANONSET_HASH_BYTES);
    as_put32(out + USED_SUM_AT, checksum(out, USED_SUM_AT));
}

anonset_code as_used_decode(anonset_used_state *state, const uint8_t *bytes, size_t len,
                            anonset_detail *detail)
{
    *state = (anonset_used_state){.count = 0};
    if (len == 0)
        return ANONSET_OK;
    if (len != AS_USED_BYTES || as_get32(bytes + USED_SUM_AT) != checksum(bytes, USED_SUM_AT))
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "the record of the list of used tags is damaged: repair the store, then "
                       "sync again");
    state->count = as_get32(bytes);
    memcpy(state->digest, bytes + USED_DIGEST_AT, ANONSET_HASH_BYTES);
    return ANONSET_OK;
}

anonset_code as_used_next(anonset_used_state *next, const anonset_used_state *now,
                          const anonset_used_append *a, anonset_detail *detail)
{
    if (!as_used_same(&a->before, now))
        return as_fail(detail, ANONSET_STALE, 0,
                       "the store moved on: the list of used tags is another");
    next->count = a->keep + a->n;
    memcpy(next->digest, a->digest_after, sizeof next->digest);
    return ANONSET_OK;
}

static uint32_t checkpoint_checksum(const uint8_t *bytes, as_checkpoint_at at)
{
    uint8_t place[8];
    as_put32(place, at.group);
    as_put32(place + 4, at.number);
    return checksum_on(checksum(place, sizeof place), bytes, CP_SUM_AT);
}

void as_checkpoint_encode(uint8_t out[AS_CHECKPOINT_BYTES], const anonset_checkpoint *checkpoint,
                          as_checkpoint_at at)
{
    memset(out, 0, AS_CHECKPOINT_BYTES);
    out[CP_FLAGS_AT] = (uint8_t)((checkpoint->meta.has_set_hash ? META_HAS_SET : 0) |
                                 (checkpoint->alias ? IS_ALIAS : 0));
    out[CP_GATE_AT] = (uint8_t)checkpoint->gate;
    put_meta(out + CP_META_AT, &checkpoint->meta);
    memcpy(out + CP_DIGEST_AT, checkpoint->digest, ANONSET_HASH_BYTES);
    as_put32(out + CP_SUM_AT, checkpoint_checksum(out, at));
}

anonset_code as_checkpoint_decode(anonset_checkpoint *checkpoint, const uint8_t *bytes, size_t len,
                                  as_checkpoint_at at, anonset_detail *detail)
{
    if (len != AS_CHECKPOINT_BYTES ||
        as_get32(bytes + CP_SUM_AT) != checkpoint_checksum(bytes, at) ||
        bytes[CP_GATE_AT] > ANONSET_GATE_SET_HASH)
        return as_fail(detail, ANONSET_CORRUPT, 0,
                       "checkpoint %u of group %u (%zu bytes) is damaged", (unsigned)at.number,
                       (unsigned)at.group, len);
    get_meta(&checkpoint->meta, bytes + CP_META_AT, bytes[CP_FLAGS_AT] & META_HAS_SET);
    memcpy(checkpoint->digest, bytes + CP_DIGEST_AT, ANONSET_HASH_BYTES);
    checkpoint->gate = (anonset_gate)bytes[CP_GATE_AT];
    checkpoint->alias = bytes[CP_FLAGS_AT] & IS_ALIAS;
    return ANONSET_OK;
}

static bool hash_equal(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, ANONSET_HASH_BYTES) == 0;
}

/* The log digest that the record knows for the position an append starts at, or NULL. */
static const uint8_t *known_digest(const anonset_state *s, uint32_t base)
{
    if (s->has_pending)
        return s->pending_digest;
    if (s->has_finalized && base == s->finalized.size)
        return s->digest;
    return base == 0 ? zero_digest : NULL;
}

/* Where the pending set begins does not fit, or it is not to be made at all. */
static anonset_code check_base(const anonset_state *s, const anonset_append *a,
                               anonset_detail *detail)
{
    if (s->has_finalized && s->gate > ANONSET_GATE_NONE && as_meta_equal(&a->target, &s->finalized))
        return as_fail(detail, ANONSET_STALE, 0,
                       "group %u: the set of %u coins to append to is finalized already", a->group,
                       a->target.size);
    if (s->has_pending && a->base != s->base)
        return as_fail(detail, ANONSET_STALE, 0,
                       "group %u: the pending set begins at %u, not at %u", a->group, s->base,
                       a->base);
    if (a->base > finalized_size(s))
        return as_fail(detail, ANONSET_STALE, 0,
                       "group %u: a pending set cannot begin at %u, past the %u finalized coins",
                       a->group, a->base, finalized_size(s));
    if (!s->has_pending && a->upon && !as_meta_equal(a->upon, &s->finalized))
        return as_fail(detail, ANONSET_STALE, 0,
                       "group %u: another set was finalized since it was looked at", a->group);
    return ANONSET_OK;
}

static anonset_code check_start(const anonset_state *s, const anonset_append *a,
                                anonset_detail *detail)
{
    uint32_t expected = a->base + (s->has_pending ? s->count : 0);
    const uint8_t *digest = known_digest(s, a->base);
    if (a->start != expected)
        return as_fail(detail, ANONSET_STALE, 0, "group %u: expected coins from %u on, got %u",
                       a->group, expected, a->start);
    if (digest && !hash_equal(digest, a->digest_before))
        return as_fail(detail, ANONSET_STALE, 0,
                       "group %u: the stored coins below %u have another digest", a->group,
                       a->start);
    if ((uint64_t)a->start + a->n > a->target.size)
        return as_fail(detail, ANONSET_STALE, 0,
                       "group %u: %u coins from %u on go past the target's %u", a->group, a->n,
                       a->start, a->target.size);
    return ANONSET_OK;
}

anonset_code as_ledger_append(as_ledger *next, const as_ledger *now, const anonset_append *append,
                              anonset_detail *detail)
{
    const anonset_state *s = &now->state;
    anonset_code code = check_base(s, append, detail);
    if (code == ANONSET_OK)
        code = check_start(s, append, detail);
    if (code != ANONSET_OK)
        return code;
    if (!s->has_pending && now->epoch == UINT32_MAX)
        return as_fail(detail, ANONSET_INTERNAL, 0,
                       "group %u began 2^32 downloads: clear it and sync again", append->group);
    as_ledger after = *now;
    after.epoch = now->epoch + (s->has_pending ? 0 : 1);
    after.state.has_pending = true;
    after.state.target = append->target;
    after.state.base = append->base;
    after.state.count = append->start + append->n - append->base;
    memcpy(after.state.pending_digest, append->digest_after, ANONSET_HASH_BYTES);
    *next = after;
    return ANONSET_OK;
}

void as_ledger_discard(as_ledger *next, const as_ledger *now)
{
    as_ledger after = *now;
    anonset_state *s = &after.state;
    s->has_pending = false;
    memset(&s->target, 0, sizeof s->target);
    s->base = 0;
    s->count = 0;
    memset(s->pending_digest, 0, ANONSET_HASH_BYTES);
    *next = after;
}

static void drop_hole(anonset_state *s)
{
    s->has_hole = false;
    s->hole_from = s->hole_to = s->hole_filled = 0;
    memset(s->hole_before, 0, ANONSET_HASH_BYTES);
    memset(s->hole_digest, 0, ANONSET_HASH_BYTES);
    memset(s->hole_after, 0, ANONSET_HASH_BYTES);
}

static anonset_code check_complete(const anonset_state *s, const anonset_complete *c,
                                   anonset_detail *detail)
{
    if (!s->has_pending)
        return as_fail(detail, ANONSET_STALE, 0, "group %u: there is no pending set to complete",
                       c->group);
    if (!as_meta_equal(&s->target, &c->target))
        return as_fail(detail, ANONSET_STALE, 0, "group %u: the pending set is for another target",
                       c->group);
    if (s->count != c->expected_count)
        return as_fail(detail, ANONSET_STALE, 0, "group %u: expected %u pending coins, got %u",
                       c->group, s->count, c->expected_count);
    if ((uint64_t)s->base + s->count != s->target.size)
        return as_fail(detail, ANONSET_STALE, 0, "group %u: %u of the target's %u coins are here",
                       c->group, s->base + s->count, s->target.size);
    if (!hash_equal(s->pending_digest, c->digest))
        return as_fail(detail, ANONSET_STALE, 0, "group %u: the pending coins have another digest",
                       c->group);
    if (s->has_hole && s->base > s->hole_from)
        return as_fail(detail, ANONSET_STALE, 0, "group %u: coins from %u on are missing", c->group,
                       s->hole_from);
    return ANONSET_OK;
}

static void fill_checkpoint(anonset_checkpoint *checkpoint, const anonset_state *s)
{
    checkpoint->meta = s->finalized;
    memcpy(checkpoint->digest, s->digest, ANONSET_HASH_BYTES);
    checkpoint->gate = s->gate;
    checkpoint->alias = false;
}

/* The target is what is finalized already: only the gate level can rise. */
static anonset_code complete_again(as_ledger *next, as_effect *effect, const as_ledger *now,
                                   const anonset_complete *c, anonset_detail *detail)
{
    if (!hash_equal(now->state.digest, c->digest) || now->state.has_hole)
        return as_fail(detail, ANONSET_STALE, 0,
                       "group %u: the finalized set has another digest, or misses coins", c->group);
    as_ledger after = *now;
    if (c->gate > now->state.gate) {
        after.state.gate = c->gate;
        effect->replace_checkpoint = true;
        fill_checkpoint(&effect->checkpoint, &after.state);
    }
    *next = after;
    return ANONSET_OK;
}

anonset_code as_ledger_complete(as_ledger *next, as_effect *effect, const as_ledger *now,
                                const anonset_complete *complete, anonset_detail *detail)
{
    const anonset_state *s = &now->state;
    bool again = s->has_finalized && as_meta_equal(&s->finalized, &complete->target) &&
                 !(s->has_pending && as_meta_equal(&s->target, &complete->target));
    anonset_code code = again ? ANONSET_OK : check_complete(s, complete, detail);
    if (code != ANONSET_OK)
        return code;
    memset(effect, 0, sizeof *effect);
    if (again)
        return complete_again(next, effect, now, complete, detail);

    as_ledger after;
    as_ledger_discard(&after, now);
    drop_hole(&after.state);
    after.state.has_finalized = true;
    after.state.finalized = complete->target;
    memcpy(after.state.digest, complete->digest, ANONSET_HASH_BYTES);
    after.state.gate = complete->gate;
    effect->drop_tail = s->base < finalized_size(s);
    effect->base = s->base;
    effect->epoch = now->epoch;
    effect->alias_same_size = s->has_finalized && s->base == complete->target.size;
    effect->add_checkpoint = true;
    fill_checkpoint(&effect->checkpoint, &after.state);
    *next = after;
    return ANONSET_OK;
}

/* ---- Damage ------------------------------------------------------------------------------- */

/* The range is in the set that the damage was found in, and leaves nothing of it unsaid. */
static bool fits(const anonset_state *s, const anonset_damage *d)
{
    if (d->from >= d->to)
        return false;
    if (d->pending)
        return s->has_pending && hash_equal(s->pending_digest, d->digest) && d->from >= s->base &&
               d->to == s->base + s->count;
    return s->has_finalized && hash_equal(s->digest, d->digest) && d->to <= s->finalized.size &&
           (!s->has_hole || (d->from <= s->hole_from && d->to >= s->hole_to));
}

static void find_alone(uint32_t *from, uint32_t *to, const anonset_state *s,
                       const anonset_damage *damage)
{
    *from = damage->from;
    *to = damage->to;
    if (damage->pending && *from < finalized_size(s))
        *from = finalized_size(s);
    if (!damage->pending && s->has_pending && *to > s->base)
        *to = s->base;
}

anonset_code as_ledger_drop(as_ledger *next, uint32_t *alone_from, uint32_t *alone_to,
                            const as_ledger *now, const anonset_damage *damage,
                            anonset_detail *detail)
{
    if (!fits(&now->state, damage))
        return as_fail(detail, ANONSET_STALE, 0,
                       "group %u: the set whose coins %u to %u are damaged is not there any more",
                       damage->group, damage->from, damage->to);
    find_alone(alone_from, alone_to, &now->state, damage);
    as_ledger after = *now;
    anonset_state *s = &after.state;
    if (damage->pending) {
        s->count = damage->from - s->base;
        memcpy(s->pending_digest, damage->before, ANONSET_HASH_BYTES);
    } else {
        s->has_hole = true;
        s->hole_from = damage->from;
        s->hole_to = damage->to;
        s->hole_filled = 0;
        memcpy(s->hole_before, damage->before, ANONSET_HASH_BYTES);
        memcpy(s->hole_digest, damage->before, ANONSET_HASH_BYTES);
        memcpy(s->hole_after, damage->after, ANONSET_HASH_BYTES);
    }
    *next = after;
    return ANONSET_OK;
}

anonset_code as_ledger_mend(as_ledger *next, const as_ledger *now, const anonset_append *append,
                            anonset_detail *detail)
{
    as_ledger after = *now;
    anonset_state *s = &after.state;
    uint32_t at = s->hole_from + s->hole_filled;
    bool follows = s->has_hole && append->base == s->hole_from && append->start == at &&
                   append->n > 0 && append->n <= s->hole_to - at &&
                   hash_equal(append->digest_before, s->hole_digest);
    bool closes = follows && append->n == s->hole_to - at;
    if (!follows || (closes && !hash_equal(append->digest_after, s->hole_after)))
        return as_fail(detail, ANONSET_STALE, 0, "group %u: %u coins from %u on mend nothing",
                       append->group, append->n, append->start);
    s->hole_filled += append->n;
    memcpy(s->hole_digest, append->digest_after, ANONSET_HASH_BYTES);
    if (closes)
        drop_hole(s);
    *next = after;
    return ANONSET_OK;
}

/* ---- Rows --------------------------------------------------------------------------------- */

static bool is_pending_row(const as_ledger *ledger, uint32_t row_epoch)
{
    return ledger->state.has_pending && row_epoch == ledger->epoch;
}

bool as_ledger_row_in_view(const as_ledger *ledger, anonset_view view, uint32_t row_start,
                           uint32_t row_epoch)
{
    const anonset_state *s = &ledger->state;
    if (is_pending_row(ledger, row_epoch))
        return view == ANONSET_VIEW_NEXT && row_start < s->base + s->count;
    if (view == ANONSET_VIEW_NEXT && s->has_pending)
        return row_start < s->base;
    return row_start < finalized_size(s);
}

uint32_t as_ledger_view_size(const as_ledger *ledger, anonset_view view)
{
    const anonset_state *s = &ledger->state;
    if (view == ANONSET_VIEW_NEXT && s->has_pending)
        return s->base + s->count;
    return finalized_size(s);
}

uint32_t as_ledger_row_end(const as_ledger *ledger, anonset_view view, uint32_t row_start,
                           uint32_t n, uint32_t next_start)
{
    const anonset_state *s = &ledger->state;
    uint32_t end = as_ledger_view_size(ledger, view);
    bool pending = view == ANONSET_VIEW_NEXT && s->has_pending && row_start >= s->base;
    if (s->has_hole && !pending && row_start < s->hole_from && s->hole_from < end)
        end = s->hole_from;
    if (next_start < end)
        end = next_start;
    return (uint64_t)row_start + n < end ? row_start + n : end;
}
