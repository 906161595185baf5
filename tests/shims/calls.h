/*
 * Calls that our code makes into the libraries below it, made to fail one after another. A test
 * program is linked with wraps.c and the linker's --wrap (wraps.ld): so only our own calls are met,
 * not those of the libraries among themselves.
 *
 * A call is known by its way: the functions that led to it. Each way fails once, so that there
 * are as many runs as there are ways:
 *
 *     calls_forget();
 *     do {
 *         calls_arm(false);
 *         work();
 *         calls_disarm();
 *         …                     what must be so whatever failed
 *     } while (calls_struck());
 *
 * One thread at a time.
 */
#ifndef CALLS_H
#define CALLS_H

#include <stdbool.h>
#include <stdint.h>

/* No way has failed yet. */
void calls_forget(void);
/*
 * Only one way in n fails, by the order in which they are met: the same in the next process. n is
 * ANONSET_ONE_WAY_IN if that is set, or of the slice for every check: 4, or 10 under the
 * sanitizers, with which a run takes ten times as long.
 */
void calls_sample(void);
/* The next call whose way has not failed yet fails; with `for_good` all calls behind it as well. */
void calls_arm(bool for_good);
void calls_disarm(void);

/* Whether a call failed since calls_arm, and which: "" if none did. */
bool calls_struck(void);
const char *calls_name(void);
/* Ways that have failed since calls_forget, and those that were met. */
unsigned calls_ways(void);
unsigned calls_ways_met(void);

/* For those who wrap: whether this call of `name` fails. */
bool calls_fail(const char *name);

#endif
