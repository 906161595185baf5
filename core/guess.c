/*
 * Where the histories part, by a handful of coins: a guess that saves a comparison of all that lies
 * below, if the set hash then proves the result. Coins above a difference can be mined again
 * unchanged, so that without such a proof everything below is compared after all.
 */
#include "core/sync.h"

/* Without heights the set hash of a long set is not proven, and the guess would be in vain; and so
 * it would be once the set hash was tried. */
bool as_guess_is_worth_it(anonset_sync *sync)
{
    uint32_t sector = as_sector_size(&sync->sector);
    return sync->options.prove && !sync->hash_tried && sync->target.has_set_hash &&
           sync->covered > sync->floor.size && sync->covered - sync->floor.size > 2 * sector;
}

/* Coins evenly spaced between the highest known to be the same and the lowest known to differ. */
static void ask(anonset_sync *sync)
{
    as_guess *guess = &sync->guess;
    uint32_t gap = guess->high - guess->low;
    guess->asked = 0;
    guess->lowest = guess->high;
    for (uint32_t i = 1; i <= AS_GUESS_FLIGHT; i++) {
        uint32_t at = guess->low + (uint32_t)((uint64_t)gap * i / (AS_GUESS_FLIGHT + 1));
        if (at == guess->low || at == guess->high)
            continue;
        as_sync_ask_range(sync, AS_ASK_PROBE, at, at + 1, false);
        guess->asked++;
    }
}

void as_guess_begin(anonset_sync *sync)
{
    sync->guess = (as_guess){.low = sync->floor.size, .high = sync->covered};
    sync->phase = AS_PHASE_GUESS;
}

static void probe_ready(anonset_sync *sync)
{
    uint32_t at = sync->ready.asked.lo;
    uint32_t same;
    anonset_code code =
        as_prove_same(sync, &same, ANONSET_VIEW_FINALIZED, at, sync->ready.coins, 1);
    as_fetch_drop(sync);
    if (code != ANONSET_OK)
        as_fetch_store_failed(sync, code);
    else if (same == 0 && at < sync->guess.lowest)
        sync->guess.lowest = at;
}

/* The same coins lie below the lowest that differs, down to the one asked for before it. */
static void narrow(as_guess *guess)
{
    uint32_t gap = guess->high - guess->low;
    uint32_t step = gap / (AS_GUESS_FLIGHT + 1) + 1;
    uint32_t low = guess->lowest - guess->low > step ? guess->lowest - step : guess->low;
    guess->low = low;
    guess->high = guess->lowest;
}

bool as_guess_advance(anonset_sync *sync)
{
    as_guess *guess = &sync->guess;
    if (sync->ready.set) {
        probe_ready(sync);
        return true;
    }
    if (as_flight_has(&sync->flight, AS_ASK_PROBE))
        return false;
    if (guess->asked > 0)
        narrow(guess);
    guess->asked = 0;
    if (guess->high - guess->low > as_sector_size(&sync->sector))
        ask(sync);
    else
        as_prove_compare(sync, guess->low);
    return true;
}
