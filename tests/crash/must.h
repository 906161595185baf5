/* What the harness itself needs to hold: if not, the run ends, and is no result. Not by a signal,
 * which would be taken for the store's. */
#ifndef TC_MUST_H
#define TC_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define TC_BROKEN 99

#define tc_must(condition, what)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "crash: %s:%d: it does not hold that %s (%s)\n", __FILE__,       \
                          __LINE__, what, #condition);                                             \
            _Exit(TC_BROKEN);                                                                      \
        }                                                                                          \
    } while (0)

#endif
