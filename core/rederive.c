#include "core/rederive.h"

#include "core/chain.h"

#include <string.h>

#define BUDGET      (1u << 18) /* of all searches: about a second */
#define STARTS_MOST 3u         /* checkpoints tried below one */

struct rederive {
    const as_chain_source *source;
    anonset_detail *detail;
    uint64_t budget;
};

static bool is_proven(const anonset_checkpoint *checkpoint)
{
    return !checkpoint->alias && checkpoint->gate == ANONSET_GATE_SET_HASH &&
           checkpoint->meta.has_set_hash;
}

/* The next proven checkpoint from *index on, newest first. NOT_FOUND: there is none. */
static anonset_code next_proven(struct rederive *r, anonset_checkpoint *checkpoint, uint32_t *index)
{
    anonset_code code;
    do
        code =
            r->source->backend->checkpoint(r->source->snapshot, checkpoint, (*index)++, r->detail);
    while (code == ANONSET_OK && !is_proven(checkpoint));
    return code;
}

static anonset_code search(struct rederive *r, as_chain_verdict *verdict,
                           const anonset_checkpoint *from, const anonset_checkpoint *to)
{
    as_chain_start start = {.has_hash = from != NULL, .first_free = from == NULL};
    as_cuts cuts;
    if (from)
        memcpy(start.hash, from->meta.set_hash, sizeof start.hash);
    anonset_code code =
        as_cuts_read(&cuts, r->source, from ? from->meta.size : 0, to->meta.size, r->detail);
    if (code == ANONSET_OK)
        code = as_chain_search(verdict, &cuts, r->source, &start, to->meta.set_hash, &r->budget,
                               r->detail);
    as_cuts_free(&cuts);
    return code;
}

/*
 * From the proven checkpoints below, newest first: a reorganization may have cut the coins below
 * one of them into other blocks since, so that none alone decides; and from scratch.
 */
static anonset_code derive(struct rederive *r, as_chain_verdict *verdict, uint32_t *from,
                           const anonset_checkpoint *to, uint32_t index, bool first_group)
{
    anonset_checkpoint below;
    bool open = false;
    anonset_code code = ANONSET_OK;
    *from = 0;
    for (uint32_t tried = 0; tried < STARTS_MOST; tried++) {
        code = next_proven(r, &below, &index);
        if (code == ANONSET_OK)
            code = search(r, verdict, &below, to);
        if (code != ANONSET_OK)
            break;
        if (tried == 0)
            *from = below.meta.size;
        if (*verdict == AS_CHAIN_FOUND)
            return ANONSET_OK;
        open |= *verdict == AS_CHAIN_BUDGET;
    }
    if (code == ANONSET_NOT_FOUND)
        code = ANONSET_OK;
    *verdict = AS_CHAIN_BUDGET;
    if (code == ANONSET_OK && first_group && !open) /* else the whole is too much, as a part was */
        code = search(r, verdict, NULL, to);
    return code;
}

anonset_code as_rederive(as_links *links, const as_chain_source *source, bool first_group,
                         anonset_detail *detail)
{
    struct rederive r = {.source = source, .detail = detail, .budget = BUDGET};
    anonset_checkpoint to;
    uint32_t index = 0;
    anonset_code code = ANONSET_OK;
    *links = (as_links){.broken = false};
    while (code == ANONSET_OK && !links->broken) {
        as_chain_verdict verdict;
        uint32_t from;
        code = next_proven(&r, &to, &index);
        if (code == ANONSET_OK)
            code = derive(&r, &verdict, &from, &to, index, first_group);
        if (code != ANONSET_OK)
            break;
        if (links->proven == 0)
            links->proven = to.meta.size;
        links->rederived += verdict == AS_CHAIN_FOUND ? to.meta.size - from : 0;
        links->broken = verdict == AS_CHAIN_NONE;
        links->from = from;
        links->to = to.meta.size;
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}
