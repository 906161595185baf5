/* Waiting for another thread, at most so long: by a clock that nobody sets, or a step of the wall
 * clock would cut a wait short or draw it out. */
#ifndef AS_WAIT_H
#define AS_WAIT_H

#include <pthread.h>
#include <time.h>

/* Makes a condition that waits by CLOCK_MONOTONIC. Returns 0 or an error number. */
int as_wait_init(pthread_cond_t *condition);
/* `ms` from now, for pthread_cond_timedwait() on such a condition. */
struct timespec as_wait_until(unsigned ms);

#endif
