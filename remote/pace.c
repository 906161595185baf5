#include "remote/pace.h"

#define BYTES_PER_THOUSANDTH 5u /* 5,000 bytes a unit */
#define PAD_LEAST            1024u
#define LEARN_LEAST          16u /* fewer coins are mostly padding */

static uint64_t decayed(const as_pace *pace, uint64_t now_ms)
{
    uint64_t passed = now_ms > pace->at_ms ? now_ms - pace->at_ms : 0;
    return passed < pace->charge ? pace->charge - passed : 0;
}

static void add(as_pace *pace, uint64_t now_ms, uint64_t thousandths)
{
    pace->charge = decayed(pace, now_ms) + thousandths;
    pace->at_ms = now_ms;
}

void as_pace_bytes(as_pace *pace, uint64_t now_ms, uint64_t bytes)
{
    add(pace, now_ms, bytes / BYTES_PER_THOUSANDTH + 1);
}

void as_pace_error(as_pace *pace, uint64_t now_ms)
{
    add(pace, now_ms, AS_PACE_ERROR);
}

void as_pace_learn(as_pace *pace, uint32_t n, uint64_t bytes)
{
    if (n >= LEARN_LEAST)
        pace->bytes_per_coin = bytes / n + 1;
}

uint64_t as_pace_expect(const as_pace *pace, uint32_t n)
{
    uint64_t bytes = n * (pace->bytes_per_coin ? pace->bytes_per_coin : AS_PACE_COIN);
    uint64_t padded = PAD_LEAST;
    while (padded < bytes)
        padded *= 2;
    return padded;
}

uint64_t as_pace_wait(const as_pace *pace, uint64_t now_ms, uint64_t bytes)
{
    uint64_t charge = decayed(pace, now_ms);
    uint64_t more = bytes / BYTES_PER_THOUSANDTH;
    uint64_t room = more < AS_PACE_CEILING ? AS_PACE_CEILING - more : 0;
    return charge > room ? charge - room : 0;
}

unsigned as_backoff_ms(unsigned failures, unsigned base_ms, unsigned cap_ms, uint64_t random)
{
    uint64_t most = base_ms;
    for (unsigned i = 0; i < failures && most < cap_ms; i++)
        most *= 2;
    if (most > cap_ms)
        most = cap_ms;
    return (unsigned)(random % (most + 1));
}

uint64_t as_jitter(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
