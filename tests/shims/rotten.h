/*
 * Stores in memory whose coins and records rot, and one of which can take the place of another:
 * what verifying, repairing and rebuilding do is then played without a file. What rots is what
 * stood at a path when rotten_at was called; a store that is made beside it is sound.
 */
#ifndef ROTTEN_H
#define ROTTEN_H

#include <anonset/backend.h>

#define ROTTEN_MOST 4u

/* Coins are told by their positions. */
typedef struct rotten {
    uint32_t changed_n, changed[ROTTEN_MOST]; /* these coins are others */
    uint32_t lost_n, lost[ROTTEN_MOST];       /* these cannot be read */
    uint32_t tags_n, tags[ROTTEN_MOST];       /* the tags of these are others */
    bool checkpoints;                         /* none can be read */
    bool engine;                              /* the engine finds itself damaged */
} rotten;

/* The store at `path` is one that rots so, until it is replaced; what is dropped of it rots no
 * more. */
void rotten_at(const char *path, const rotten *how);
/* Nothing rots. */
void rotten_end(void);

extern const anonset_backend rotten_backend;

#endif
