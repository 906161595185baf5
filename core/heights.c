/*
 * Which open cuts are boundaries, by the heights of the transactions at either side. Coins between
 * two cuts share a block, so one of their transactions speaks for all; it is asked for once. The
 * heights are hints: what is proven is the set hash that they lead to.
 */
#include "core/gate.h"
#include "core/sync.h"

/* ---- Asking ------------------------------------------------------------------------------- */

static bool is_open(const as_heights *heights, uint32_t cut)
{
    return heights->cuts.cut[cut].kind == AS_CUT_OPEN;
}

static void add_part(as_heights *heights, uint32_t part)
{
    if (heights->n == 0 || heights->seen[heights->n - 1].part != part)
        heights->seen[heights->n++] = (as_height){.part = part};
}

/* Parts are what lies between cuts: part 0 ends at cut 0, and cut k lies between parts k and k + 1.
 * The last part of the flight before may be needed once more. */
static void choose_parts(as_heights *heights)
{
    if (heights->n > 1)
        heights->seen[0] = heights->seen[heights->n - 1];
    heights->n = heights->n > 0 ? 1 : 0;
    heights->asked = heights->n;
    heights->first = heights->next;
    for (; heights->next < heights->cuts.n && heights->n + 2 <= AS_HEIGHTS_FLIGHT;
         heights->next++) {
        if (!is_open(heights, heights->next))
            continue;
        add_part(heights, heights->next);
        add_part(heights, heights->next + 1);
    }
}

static anonset_code ask_part(anonset_sync *sync, void *snapshot, uint32_t i)
{
    const as_heights *heights = &sync->heights;
    uint32_t part = heights->seen[i].part;
    uint32_t position = part == 0 ? heights->cuts.from : heights->cuts.cut[part - 1].position;
    anonset_run run;
    anonset_code code = as_sync_read(sync, &run, snapshot, position);
    if (code == ANONSET_OK)
        as_sync_ask_height(sync, run.coins[position - run.start].tx_hash, i);
    return code;
}

static anonset_code ask_parts(anonset_sync *sync)
{
    const anonset_backend *backend = sync->store->backend;
    void *snapshot;
    anonset_code code = as_gate_open(sync, &snapshot);
    if (code != ANONSET_OK)
        return code;
    choose_parts(&sync->heights);
    for (uint32_t i = sync->heights.asked; code == ANONSET_OK && i < sync->heights.n; i++)
        code = ask_part(sync, snapshot, i);
    backend->snapshot_close(snapshot);
    return code;
}

/* ---- Deciding ----------------------------------------------------------------------------- */

static uint32_t height_of(const as_heights *heights, uint32_t part)
{
    for (uint32_t i = 0; i < heights->n; i++)
        if (heights->seen[i].part == part)
            return heights->seen[i].height;
    return 0;
}

/* Heights that fall by position cannot be: such an answer decides nothing. */
static void decide(as_heights *heights)
{
    for (uint32_t k = heights->first; k < heights->next; k++) {
        uint32_t below = height_of(heights, k);
        uint32_t above = height_of(heights, k + 1);
        if (is_open(heights, k) && below > 0 && above >= below)
            as_cuts_decide(&heights->cuts, k, above > below);
    }
    heights->first = heights->next;
}

static bool is_more_open(const as_heights *heights)
{
    for (uint32_t k = heights->next; k < heights->cuts.n; k++)
        if (is_open(heights, k))
            return true;
    return false;
}

static const as_findings refuted = {
    .joined = true, .level = ANONSET_GATE_COUNT, .refuted = true, .by_heights = true};

static anonset_code conclude(anonset_sync *sync, as_findings *found)
{
    as_heights *heights = &sync->heights;
    as_chain_verdict verdict;
    void *snapshot;
    anonset_code code = as_gate_open(sync, &snapshot);
    if (code != ANONSET_OK)
        return code;
    as_cuts_drop_inside(&heights->cuts);
    code = as_gate_search(sync, &verdict, snapshot, &heights->cuts, &heights->start);
    sync->store->backend->snapshot_close(snapshot);
    *found = (as_findings){.joined = true, .level = ANONSET_GATE_COUNT};
    if (verdict == AS_CHAIN_NONE) {
        *found = refuted;
    } else if (verdict == AS_CHAIN_FOUND) {
        found->proof = ANONSET_PROOF_FOUND;
        found->level = ANONSET_GATE_SET_HASH;
    } else if (verdict == AS_CHAIN_BUDGET) {
        found->proof = heights->cuts.open > 0 ? ANONSET_PROOF_NO_HEIGHTS : ANONSET_PROOF_BUDGET;
    }
    return code;
}

/* ---- Step --------------------------------------------------------------------------------- */

anonset_code as_heights_begin(anonset_sync *sync, bool *begun)
{
    as_heights *heights = &sync->heights;
    void *snapshot;
    as_cuts_free(&heights->cuts);
    *heights = (as_heights){.told = true};
    anonset_code code = as_gate_open(sync, &snapshot);
    if (code != ANONSET_OK)
        return code;
    code = as_gate_read_cuts(sync, begun, snapshot, &heights->cuts, &heights->start);
    sync->store->backend->snapshot_close(snapshot);
    *begun &= code == ANONSET_OK && !heights->cuts.too_many && !heights->cuts.no_layout;
    if (*begun)
        sync->phase = AS_PHASE_HEIGHTS;
    return code;
}

void as_heights_take(anonset_sync *sync, const as_asked *asked, const anonset_answer *answer)
{
    as_heights *heights = &sync->heights;
    if (answer->kind == ANONSET_ANSWER_NUMBER)
        heights->seen[asked->lo].height = answer->number;
    else
        heights->told = false; /* it knows none, or not this one: asking on is of little use */
}

/* A height is told of the chain as it is, whichever block the coins were asked for with: where that
 * was replaced meanwhile, what they contradict is nobody's word. */
static void doubt(anonset_sync *sync)
{
    sync->heights.refute = true;
    sync->heights_pin = AS_REPLY_AWAITED;
    as_sync_ask_pin(sync, AS_ASK_HEIGHT_PIN, sync->target.block_hash, 0);
}

static void judge_doubt(anonset_sync *sync)
{
    if (sync->heights_pin == AS_REPLY_ACCEPTED)
        as_finish_conclude(sync, &refuted);
    else
        as_sync_moved(sync, "the chain changed while heights were asked for");
}

bool as_heights_advance(anonset_sync *sync)
{
    as_heights *heights = &sync->heights;
    as_findings found;
    anonset_code code = ANONSET_OK;
    if (as_flight_has(&sync->flight, AS_ASK_HEIGHT) ||
        as_flight_has(&sync->flight, AS_ASK_HEIGHT_PIN))
        return false;
    if (heights->refute) {
        judge_doubt(sync);
        return true;
    }
    decide(heights);
    if (heights->told && is_more_open(heights)) {
        code = ask_parts(sync);
    } else {
        code = conclude(sync, &found);
        as_cuts_free(&heights->cuts);
        if (code == ANONSET_OK && found.refuted)
            doubt(sync);
        else if (code == ANONSET_OK)
            as_finish_conclude(sync, &found);
    }
    if (code != ANONSET_OK)
        as_fetch_store_failed(sync, code);
    return true;
}
