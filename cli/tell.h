/* What the program says when something did not go well: what happened, what is kept, what to do. */
#ifndef CLI_TELL_H
#define CLI_TELL_H

#include "cli/args.h"

/* A sync of one group that did not end well; nothing for one that did. */
void tell_result(FILE *out, const anonset_result *result);

/* A sync of the list of used coin tags that did not end well; nothing for one that did. */
void tell_used_result(FILE *out, const anonset_used_result *result);

/* A call on the store that failed. `doing` completes "cannot …". */
void tell_store(FILE *out, const char *doing, const struct args *args,
                const anonset_detail *detail);

#endif
