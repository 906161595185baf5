/* The list of used coin tags: recorded, and then made up. */
#ifndef SERVER_USED_H
#define SERVER_USED_H

#include "tests/server/text.h"

#define USED_TEXT 99u /* a pair as JSON */

/* From this position on tags follow from `seed`. */
typedef struct used_part {
    uint32_t from;
    uint64_t seed;
} used_part;

typedef struct used_list {
    uint32_t count;
    used_part *parts; /* by position; none: from 0 on, by seed 0 */
    size_t part_count, part_cap;
    text file; /* a recorded answer: pairs come from it where it has them */
    uint32_t recorded;
} used_list;

/* Adds "tag","txid" of the tag at a position. */
void used_json(const used_list *list, uint32_t position, text *out);
/* Other tags come from position `keep` on: a reorganization. */
void used_fork(used_list *list, uint32_t keep);
/* The list of a recorded answer, in place of all. NULL, or what is wrong. */
const char *used_load(used_list *list, const char *path);
/* Writes it as "anonset tags --txid" prints it. */
const char *used_dump(const used_list *list, const char *path);
void used_free(used_list *list);

#endif
