/*
 * Every call on a store's files fails in turn: a course (tests/crash/course.h) is run again and
 * again, each time in a process of its own, with another call failing, once or for good, until it
 * runs to its end unharmed. What must hold of every answer is in course.c; at the end the disk
 * works again, and the next sync must end with exactly the coins of the chain.
 */
#ifndef TC_FAULTS_H
#define TC_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

struct anonset_backend;

typedef struct tc_sweep {
    const char *name;
    const struct anonset_backend *backend;
    bool is_legacy;
    bool pairs; /* of calls that change the disk, in place of single calls of every kind */
    uint64_t seed;
    unsigned long stride;   /* every so many-th point only; 1: all */
    unsigned long bad_most; /* ends behind so many bad points; 0: never */
} tc_sweep;

typedef struct tc_points {
    unsigned long points; /* runs in which a call failed */
    unsigned long calls;  /* of the course without faults */
    unsigned long bad;
} tc_points;

/* Adds to *points; tells of what is bad on standard error. */
void tc_sweep_run(tc_points *points, const tc_sweep *sweep);

#endif
