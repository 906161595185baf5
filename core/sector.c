#include "core/sector.h"

#define FIRST_COINS                                                                                \
    416u /* until the size of a coin is known: as seen, 225 KB, and larger ones below 256 KiB */
#define MOST_COINS   65536u /* the largest sector the interface allows */
#define ENVELOPE     512u   /* the answer's own bytes around the coins, generously */
#define LEARN_LEAST  16u    /* coins of an answer that tells of others */
#define COIN_MOST    (UINT64_C(1) << 20)
#define SAMPLES_KEPT 32u
#define SPREAD_FIRST                                                                               \
    (UINT64_C(700) * 700) /* of a coin, in bytes: coins of one transaction go together */
/* 1 part in 32: less is lost again by the few answers that pass the power of two all the same. */
#define MARGIN_LEAST 32u
#define MARGIN_MOST  8u
#define TAIL_BYTES   (UINT64_C(1) << 15) /* what wastes less than that is not worth a request */
#define TAIL_WASTE   8u                  /* 1 part in 8 */

void as_sector_init(as_sector *sector, uint32_t fixed, uint32_t limit_bytes)
{
    *sector = (as_sector){.fixed = fixed, .most = MOST_COINS, .limit_bytes = limit_bytes};
}

static uint64_t square_root(uint64_t x)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1)
        if ((root | bit) * (root | bit) <= x)
            root |= bit;
    return root;
}

/*
 * Bytes that each of n coins is reckoned at, x 16: the mean, and twice what the mean of so many
 * strays by. An answer just past a power of two travels as twice its size, so one that strays
 * further costs more than the margin does.
 */
static uint64_t bytes_each(const as_sector *sector, uint64_t n)
{
    uint64_t mean = sector->bytes * 16 / sector->coins + 1;
    uint64_t spread = (sector->spread + SPREAD_FIRST) / (sector->samples + 1);
    uint64_t margin = 2 * 16 * square_root(spread / (n > 0 ? n : 1));
    if (margin < mean / MARGIN_LEAST)
        margin = mean / MARGIN_LEAST;
    return mean + (margin < mean / MARGIN_MOST ? margin : mean / MARGIN_MOST);
}

/* Coins whose answer likely stays below `limit` bytes. */
static uint32_t coins_below(const as_sector *sector, uint64_t limit)
{
    uint64_t room = limit - ENVELOPE;
    uint64_t n = room * 16 / bytes_each(sector, UINT32_MAX);
    n = room * 16 / bytes_each(sector, n);
    return n < 1 ? 1 : n > MOST_COINS ? MOST_COINS : (uint32_t)n;
}

uint32_t as_sector_size(as_sector *sector)
{
    uint32_t coins = sector->fixed        ? sector->fixed
                     : sector->coins == 0 ? FIRST_COINS
                                          : coins_below(sector, sector->limit_bytes);
    if (coins > sector->most)
        coins = sector->most;
    sector->last = coins;
    return coins;
}

uint32_t as_sector_part(as_sector *sector, uint32_t left)
{
    uint32_t coins = as_sector_size(sector);
    if (coins < left)
        return coins;
    if (sector->fixed || !sector->padded)
        return left;
    uint64_t bytes = left * bytes_each(sector, left) / 16 + ENVELOPE;
    uint64_t padded = TAIL_BYTES;
    while (padded < bytes)
        padded *= 2;
    if (padded == TAIL_BYTES || padded - bytes <= padded / TAIL_WASTE)
        return left;
    coins = coins_below(sector, padded / 2);
    return coins < left ? coins : left;
}

static void learn(as_sector *sector, uint32_t n, uint64_t bytes)
{
    uint64_t each = bytes / n < COIN_MOST ? bytes / n + 1 : COIN_MOST;
    uint64_t mean = sector->coins > 0 ? sector->bytes / sector->coins : each;
    uint64_t off = each > mean ? each - mean : mean - each;
    if (sector->coins > 0) {
        sector->spread += n * off * off;
        sector->samples++;
    }
    sector->coins += n;
    sector->bytes += n * each;
    if (sector->samples < SAMPLES_KEPT)
        return;
    sector->spread /= 2;
    sector->samples /= 2;
    sector->coins /= 2;
    sector->bytes /= 2;
}

void as_sector_good(as_sector *sector, uint32_t n, uint64_t bytes, bool padded)
{
    if (n == 0)
        return;
    sector->padded = padded;
    if (n >= LEARN_LEAST || sector->coins == 0)
        learn(sector, n, bytes);
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
