/*
 * A course of a store's life: a coordinator syncs with the model of the node while the chain grows,
 * is reorganized and mined again, with syncs given up half way, pending sets discarded, handles
 * opened and closed, a second handle on the same store, and all of it cleared.
 *
 * Calls may be made to fail under it (tests/shims/disk.h). Then it does what a program should:
 * after UNKNOWN it opens the store again, after all else it calls again; and it holds every answer
 * against what the same course came to without faults.
 */
#ifndef TC_COURSE_H
#define TC_COURSE_H

#include "tests/crash/crash.h"
#include "tests/crash/show.h"

typedef enum tc_act {
    TC_PART, /* the chain grows; a sync is given up half way */
    TC_SYNC,
    TC_REOPEN,
    TC_OTHER, /* another handle writes in between */
    TC_DISCARD,
    TC_REANCHOR, /* the chain only; a sync is to follow */
    TC_REORG,
    TC_CLEAR,
    TC_CLEAR_USED, /* the list of used coin tags alone */
    TC_READ,
    TC_ACTS
} tc_act;

extern const char *const tc_write_names[TC_WRITES];

typedef struct tc_course {
    /* Set by the caller. */
    const anonset_backend *real;
    char path[300];
    uint64_t seed;
    bool may_fail;                 /* calls fail, or it is the model of a course in which they do */
    bool is_legacy;                /* an older wallet's cache is there, and upgraded */
    tc_tape *tape;                 /* told of all writes; NULL: none */
    const struct tc_course *model; /* the same without faults; NULL: there are none */
    void (*complain)(const struct tc_course *c, const char *why);

    /* What came of it. */
    uint64_t shown[TC_MARKS]; /* after each write that changed it; [0] before all */
    size_t n;                 /* writes that changed it */
    size_t parts[TC_MARKS];   /* where each sync that was given up stood then */
    size_t n_parts;
    const tw_chain *chain; /* never gets smaller */

    /* Inside. */
    anonset_backend telling;
    tw_world world;
    anonset_store *stores[2]; /* the second only for a while */
    bool resumes;
    bool unknown;        /* a write ended so, and the store was not opened again yet */
    anonset_code failed; /* the newest failure of the act under way */
    unsigned tries;      /* of the same act */
    anonset_outcome outcome;
    tw_reply reply;
} tc_course;

/* Makes the world, and a legacy cache if there is to be one; opens nothing. */
void tc_course_prepare(tc_course *c);
void tc_course_open(tc_course *c);
void tc_course_act(tc_course *c, tc_act act);
/* One act by chance. */
void tc_course_wander(tc_course *c);
/* Closes the store, and lets the chain grow for tc_course_go_on: none before had as many coins. */
void tc_course_close(tc_course *c);
void tc_course_free(tc_course *c);

/* The next sync, on a copy of the store: true if it ends with exactly the coins of the chain. */
bool tc_course_go_on(tc_course *c, const char *path, char why[TC_WHY]);

#endif
