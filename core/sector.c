#include "core/sector.h"

#define FIRST_COINS                                                                                \
    448u /* until the size of a coin is known: as seen, 240 KB, just below a power of two */
#define MOST_COINS 65536u /* the largest sector the interface allows */
#define MARGIN     16u    /* 1 part in 16 below the power of two: sectors differ as much in size */
#define ENVELOPE   512u   /* the answer's own bytes around the coins, generously */

void as_sector_init(as_sector *sector, uint32_t fixed, uint32_t limit_bytes)
{
    *sector = (as_sector){.fixed = fixed, .most = MOST_COINS, .limit_bytes = limit_bytes};
}

static uint32_t adapted(const as_sector *sector)
{
    if (sector->bytes_per_coin == 0)
        return FIRST_COINS;
    uint64_t room = sector->limit_bytes - sector->limit_bytes / MARGIN - ENVELOPE;
    uint64_t coins = room * 16 / sector->bytes_per_coin;
    return coins < 1 ? 1 : coins > MOST_COINS ? MOST_COINS : (uint32_t)coins;
}

uint32_t as_sector_size(as_sector *sector)
{
    uint32_t coins = sector->fixed ? sector->fixed : adapted(sector);
    if (coins > sector->most)
        coins = sector->most;
    sector->last = coins;
    return coins;
}

void as_sector_good(as_sector *sector, uint32_t n, uint64_t bytes)
{
    if (n == 0)
        return;
    uint64_t per_coin = (bytes * 16 + n - 1) / n;
    if (per_coin > UINT32_MAX)
        per_coin = UINT32_MAX;
    /* The most seen in the last answers: falls slowly, rises at once, since an answer just past a
     * power of two travels as twice its size. */
    uint32_t kept = sector->bytes_per_coin - sector->bytes_per_coin / 128;
    sector->bytes_per_coin = per_coin > kept ? (uint32_t)per_coin : kept;
    /* Grow back by a quarter after a failure, not at once to what failed. */
    uint64_t most = (uint64_t)sector->most + sector->most / 4 + 1;
    if (n >= sector->most)
        sector->most = most > MOST_COINS ? MOST_COINS : (uint32_t)most;
}

bool as_sector_bad(as_sector *sector, uint32_t asked)
{
    if (asked <= 1)
        return false;
    sector->most = asked / 2;
    return true;
}
