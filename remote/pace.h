/*
 * When to send and how long to wait: pure arithmetic over clock readings and random numbers given
 * by the caller.
 *
 * What ElectrumX does (aiorpcX session costs, with the server's defaults): every byte sent or
 * received costs 1/5,000 unit, an answer that is an error 100 units more; a session's cost decays
 * by 1 unit a second. From 1,000 units on each request sleeps up to 2.5 s, in proportion to where
 * the cost stands between 1,000 and 10,000, and fewer of the ten run at once; at 10,000 the session
 * is cut. The cost of closed sessions stays with the address they came from, so connecting again
 * gains nothing.
 *
 * What we do: run at full speed, let the server slow us past 1,000 as it likes, and never let our
 * own reckoning pass 8,000, answers still under way included. The 2,000 left are for what the
 * server knows and we do not: other programs at this address, and what an earlier run cost. A full
 * group of 32,000 coins is about 4,700 units and never waits here; what goes past 40 MB in one go
 * does, at 5,000 bytes a second. One reckoning lives as long as the client, over all its
 * connections.
 *
 * The charge is kept in thousandths of a unit: 5 bytes cost one, and one decays a millisecond.
 */
#ifndef AS_PACE_H
#define AS_PACE_H

#include <stdint.h>

#define AS_PACE_UNIT    UINT64_C(1000)        /* thousandths in a unit */
#define AS_PACE_CEILING (8000 * AS_PACE_UNIT) /* never charged more than this */
#define AS_PACE_ERROR   (100 * AS_PACE_UNIT)  /* what an error costs besides its bytes */
#define AS_PACE_COIN    600u                  /* bytes of a coin's text before one was seen */

typedef struct as_pace {
    uint64_t charge; /* at at_ms, in thousandths */
    uint64_t at_ms;
    uint64_t bytes_per_coin; /* of the last large answer, padding included; 0: none seen */
} as_pace;

/* `bytes` went over the connection by now_ms. The clock never goes back. */
void as_pace_bytes(as_pace *pace, uint64_t now_ms, uint64_t bytes);

/* An answer was an error. */
void as_pace_error(as_pace *pace, uint64_t now_ms);

/* An answer of n coins took so many bytes on the wire. */
void as_pace_learn(as_pace *pace, uint32_t n, uint64_t bytes);

/* Bytes that an answer of n coins will likely take: electrumx pads to a power of two. */
uint64_t as_pace_expect(const as_pace *pace, uint32_t n);

/* Milliseconds to wait until `bytes` more may come. Ends for any number: an answer that alone costs
 * more than the ceiling waits until nothing is charged. */
uint64_t as_pace_wait(const as_pace *pace, uint64_t now_ms, uint64_t bytes);

/* Exponential backoff with full jitter: a number from 0 to min(cap, base x 2^failures) by `random`,
 * where `failures` counts from 0. */
unsigned as_backoff_ms(unsigned failures, unsigned base_ms, unsigned cap_ms, uint64_t random);

/* The next of a sequence of numbers good enough for jitter (splitmix64). */
uint64_t as_jitter(uint64_t *state);

#endif
