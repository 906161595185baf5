/* Taking answers: what each says goes where the next step looks for it. */
#include "core/detail.h"
#include "core/sync.h"

#include <string.h>

/* A newest group beyond this is a lie: at 8,000 new coins a group it would be 800 million coins. */
#define GROUPS_MOST 100000u

static void take_newest(anonset_sync *sync, const anonset_answer *answer)
{
    if (answer->number > GROUPS_MOST)
        as_sync_end(sync, ANONSET_NETWORK_ERROR, ANONSET_BAD_ANSWER,
                    "the server says its newest group is %u, which cannot be; ask another server",
                    (unsigned)answer->number);
    else
        sync->last_group = answer->number == 0 ? 1 : answer->number;
}

/* A block was asked for one coin, and coins came. */
static void take_reply(anonset_sync *sync, as_reply *reply, const anonset_answer *answer)
{
    if (answer->n == 1)
        *reply = AS_REPLY_ACCEPTED;
    else
        as_sync_end(sync, ANONSET_BAD_SECTOR, ANONSET_BAD_ANSWER,
                    "asked for one coin, the server sent %u; nothing was stored of it. Sync again, "
                    "or ask another server",
                    (unsigned)answer->n);
}

static as_reply *reply_of(anonset_sync *sync, const as_asked *asked)
{
    switch (asked->role) {
    case AS_ASK_OLD_PIN:
        return &sync->old_pin;
    case AS_ASK_CONTROL:
        return &sync->control;
    case AS_ASK_CLOSE_CONTROL:
        return &sync->close_control;
    case AS_ASK_CLOSE_PIN:
        return &sync->close_pin;
    case AS_ASK_HEIGHT_PIN:
        return &sync->heights_pin;
    case AS_ASK_FLOOR:
        return &sync->candidates[asked->lo].reply;
    default:
        return NULL;
    }
}

static void take_refusal(anonset_sync *sync, const as_asked *asked, const anonset_answer *answer)
{
    as_reply *reply = reply_of(sync, asked);
    if (reply && answer->kind == ANONSET_ANSWER_BLOCK_REFUSED)
        *reply = AS_REPLY_REFUSED;
    else
        as_sync_moved(sync, "the server no longer knows the block it told as newest");
}

static void take_meta(anonset_sync *sync, const as_asked *asked, const anonset_answer *answer)
{
    if (asked->role == AS_ASK_SEAM_META) {
        sync->seam.final = as_meta_equal(&answer->meta, &sync->seam.old);
        return;
    }
    sync->told = answer->meta;
    sync->close_meta_told |= asked->role == AS_ASK_CLOSE_META;
}

static void take_coins(anonset_sync *sync, const as_asked *asked, anonset_answer *answer)
{
    as_reply *reply = reply_of(sync, asked);
    if (reply)
        take_reply(sync, reply, answer);
    else
        as_fetch_take(sync, asked, answer);
}

static void take_failure(anonset_sync *sync, const anonset_answer *answer)
{
    as_sync_end(sync, ANONSET_NETWORK_ERROR,
                answer->kind == ANONSET_ANSWER_BUSY ? ANONSET_NETWORK : ANONSET_SERVER,
                "the server answered: %.180s", answer->text);
}

static bool is_meta_role(as_role role)
{
    return role == AS_ASK_META || role == AS_ASK_SEAM_META || role == AS_ASK_CLOSE_META;
}

static bool is_coins_role(as_role role)
{
    return role >= AS_ASK_OLD_PIN && role != AS_ASK_HEIGHT && !is_meta_role(role);
}

/* Whether an answer of this kind can answer that question. */
static bool fits(as_role role, anonset_answer_kind kind)
{
    switch (kind) {
    case ANONSET_ANSWER_META:
        return is_meta_role(role);
    case ANONSET_ANSWER_NUMBER:
        return role == AS_ASK_NEWEST || role == AS_ASK_HEIGHT;
    case ANONSET_ANSWER_HASH:
        return role == AS_ASK_GENESIS;
    case ANONSET_ANSWER_USED:
        return role == AS_ASK_USED;
    case ANONSET_ANSWER_TOO_LARGE:
        return role == AS_ASK_USED || is_coins_role(role);
    case ANONSET_ANSWER_COINS:
    case ANONSET_ANSWER_BLOCK_REFUSED:
        return is_coins_role(role);
    case ANONSET_ANSWER_NO_GROUP:
        return role >= AS_ASK_META && role != AS_ASK_HEIGHT;
    default:
        return kind != ANONSET_ANSWER_NONE;
    }
}

static void take(anonset_sync *sync, const as_asked *asked, anonset_answer *answer)
{
    if (asked->role >= AS_ASK_CLOSE_META && as_flight_has(&sync->flight, AS_ASK_SECTOR))
        sync->closing_early = true;
    switch (answer->kind) {
    case ANONSET_ANSWER_META:
        take_meta(sync, asked, answer);
        break;
    case ANONSET_ANSWER_NUMBER:
        if (asked->role == AS_ASK_HEIGHT)
            as_heights_take(sync, asked, answer);
        else
            take_newest(sync, answer);
        break;
    case ANONSET_ANSWER_HASH:
        memcpy(sync->genesis, answer->meta.block_hash, sizeof sync->genesis);
        sync->genesis_told = true;
        break;
    case ANONSET_ANSWER_COINS:
        take_coins(sync, asked, answer);
        break;
    case ANONSET_ANSWER_BLOCK_REFUSED:
        take_refusal(sync, asked, answer);
        break;
    case ANONSET_ANSWER_NO_GROUP:
        /* The meta of a group that is not there has a zero block hash; both say the same. */
        if (asked->role == AS_ASK_META)
            sync->told = (anonset_meta){.size = 0};
        else
            take_refusal(sync, asked, answer);
        break;
    case ANONSET_ANSWER_USED:
        as_used_take(sync, answer);
        break;
    case ANONSET_ANSWER_TOO_LARGE:
        if (asked->role == AS_ASK_USED)
            as_used_too_large(sync);
        else
            as_fetch_too_large(sync, asked);
        break;
    case ANONSET_ANSWER_ERROR:
        if (asked->role == AS_ASK_HEIGHT)
            as_heights_take(sync, asked, answer);
        else
            take_failure(sync, answer);
        break;
    default:
        take_failure(sync, answer);
    }
}

anonset_code anonset_sync_feed(anonset_sync *sync, anonset_answer *answer, anonset_detail *detail)
{
    as_asked asked;
    if (!sync || !answer)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_sync_feed: NULL argument");
    if (!sync->waiting)
        return as_fail(detail, ANONSET_INVALID, 0, "an answer was fed before step said WAIT");
    bool more = answer->kind == ANONSET_ANSWER_USED && answer->more;
    if (more && answer->n != ANONSET_USED_BATCH)
        return as_fail(detail, ANONSET_INVALID, 0, "part of a list that is not %u used tags",
                       ANONSET_USED_BATCH);
    if (!(more ? as_flight_find(&sync->flight, &asked, answer->id)
               : as_flight_take(&sync->flight, &asked, answer->id)))
        return as_fail(detail, ANONSET_INVALID, 0, "no request %u is outstanding",
                       (unsigned)answer->id);
    sync->waiting = false;
    sync->result.bytes += answer->wire_bytes;
    if (asked.role == AS_ASK_NOTHING) {
        if (answer->kind == ANONSET_ANSWER_USED)
            as_used_pass_over(sync, answer->n);
        return ANONSET_OK;
    }
    sync->genesis_answered |= asked.role == AS_ASK_GENESIS;
    /* Many servers do not tell their genesis hash; then the network is just not checked. */
    if (asked.role == AS_ASK_GENESIS && answer->kind != ANONSET_ANSWER_HASH)
        return ANONSET_OK;
    if (fits(asked.role, answer->kind))
        take(sync, &asked, answer);
    else
        as_sync_end(sync, ANONSET_NETWORK_ERROR, ANONSET_BAD_ANSWER,
                    "the server answered something else than was asked; ask another server");
    return ANONSET_OK;
}
