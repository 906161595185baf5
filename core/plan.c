#include "core/plan.h"

#include <string.h>

static bool hash_equal(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, ANONSET_HASH_BYTES) == 0;
}

static bool set_hash_equal(const anonset_meta *a, const anonset_meta *b)
{
    return a->has_set_hash == b->has_set_hash &&
           (!a->has_set_hash || hash_equal(a->set_hash, b->set_hash));
}

bool as_meta_equal(const anonset_meta *a, const anonset_meta *b)
{
    return a->size == b->size && hash_equal(a->block_hash, b->block_hash) && set_hash_equal(a, b);
}

bool as_plan_is_remined(const anonset_state *local, const anonset_meta *remote)
{
    return local->has_finalized && local->finalized.size == remote->size && remote->has_set_hash &&
           set_hash_equal(&local->finalized, remote);
}

static bool is_zero_block(const anonset_meta *meta)
{
    static const uint8_t zero[ANONSET_HASH_BYTES];
    return hash_equal(meta->block_hash, zero);
}

/* A finalized set at level NONE (from a legacy cache) is readable, but nothing is built on it. */
static bool has_sound_set(const anonset_state *local)
{
    return local->has_finalized && local->gate > ANONSET_GATE_NONE;
}

static uint32_t sound_size(const anonset_state *local)
{
    return has_sound_set(local) ? local->finalized.size : 0;
}

/* Positions did not change while the chain only grew, so coins of an older target stay good, unless
 * there are more of them than either target has. In a group of one block an accepted pin proves
 * nothing, so pending coins for one cannot be checked and are not kept. */
static bool can_resume(const anonset_state *local, const anonset_meta *remote)
{
    uint64_t held = (uint64_t)local->base + local->count;
    return local->has_pending && remote->has_set_hash && local->target.has_set_hash &&
           local->base <= sound_size(local) && held <= remote->size && held <= local->target.size;
}

static as_plan stop(anonset_outcome outcome, bool discard)
{
    return (as_plan){.action = AS_STOP, .outcome = outcome, .discard = discard};
}

static as_plan resume_or_begin(const anonset_state *local, const anonset_meta *remote)
{
    uint32_t base = sound_size(local);
    if (can_resume(local, remote))
        return (as_plan){.action = AS_RESUME};
    /* Pins prove nothing for a group that is, or was when finalized, of one block. */
    bool unprovable = base > 0 && !(remote->has_set_hash && local->finalized.has_set_hash);
    return (as_plan){
        .action = unprovable ? AS_COMPARE : AS_START, .discard = local->has_pending, .base = base};
}

/* A pending set that begins at or below the hole replaces all that is there. */
static as_plan mend(const anonset_state *local, const anonset_meta *remote)
{
    if (can_resume(local, remote) && local->base <= local->hole_from)
        return (as_plan){.action = AS_RESUME};
    if (remote->size < local->hole_to)
        return stop(ANONSET_REMOTE_BEHIND, false);
    return (as_plan){.action = AS_MEND};
}

as_plan as_plan_next(const anonset_state *local, const anonset_meta *remote)
{
    bool sound = has_sound_set(local);
    bool same_target = local->has_pending && as_meta_equal(&local->target, remote);
    if (is_zero_block(remote) || (remote->size == 0 && sound_size(local) == 0))
        return stop(ANONSET_NO_SUCH_GROUP, false);
    if (sound && local->has_hole)
        return mend(local, remote);
    if (same_target && can_resume(local, remote))
        return (as_plan){.action = AS_RESUME};
    if (sound && as_meta_equal(&local->finalized, remote))
        return stop(ANONSET_UP_TO_DATE, local->has_pending);
    if ((sound && hash_equal(local->finalized.block_hash, remote->block_hash)) ||
        (local->has_pending && !same_target &&
         hash_equal(local->target.block_hash, remote->block_hash)))
        return stop(ANONSET_ANOMALY, local->has_pending);
    if (remote->size < sound_size(local))
        return stop(ANONSET_REMOTE_BEHIND, false);
    if (sound && remote->size == local->finalized.size)
        return (as_plan){
            .action = AS_COMPARE, .discard = local->has_pending, .base = local->finalized.size};
    return resume_or_begin(local, remote);
}
