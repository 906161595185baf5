/* Answers that are all of one pattern, as a server sends that means harm: long, deep, or cut off.
 */
#ifndef TS_HOSTILE_H
#define TS_HOSTILE_H

#include <stddef.h>

/* The id that they answer. */
#define TS_HOSTILE_ID 7u

/* How many there are. */
extern const size_t ts_hostile_count;

/* Fills `text` with number `which`, NUL-free and not NUL-ended. */
void ts_hostile_fill(char *text, size_t len, size_t which);

#endif
