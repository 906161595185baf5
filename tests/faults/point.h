/*
 * A course is what is done with a store while something fails, and what must hold then. The fault
 * strikes at one point of it after the other: a point is played in a process of its own. It is bad
 * if
 *
 *  - it ends by a signal, or not at all;
 *  - it answers another code than that of the fault, and did not do what was asked (what an engine
 *    gets over is done);
 *  - the detail does not tell what failed, and what to do;
 *  - the store shows anything but a state between two writes of the course without faults;
 *  - when the fault is over the same handle, or then a new one, cannot go on to the right set;
 *  - for memory: more blocks are allocated in the end than without a fault.
 */
#ifndef TF_POINT_H
#define TF_POINT_H

#include "tests/shims/nomem.h"

#include <anonset/anonset.h>
#include <stdint.h>

#define TF_WHY    400
#define TF_IMAGES 64 /* states of a store between the writes of a course */

/* What goes wrong. Points are counted from 1. */
typedef struct tf_fault {
    const char *name;
    anonset_code code; /* that tells of it */
    const char *says;  /* the detail has these words */
    /* Until disarmed, point plan->at of it strikes the stores in `folder`, and all behind it if
     * plan->for_good. plan->asked and plan->struck tell of it. */
    void (*arm)(nomem_plan *plan, const char *folder);
    void (*disarm)(const char *folder);
    unsigned long points; /* so many points; 0: up to the first that does not strike, of which there
                             are two kinds, for good and not */
    bool of_files;        /* it cannot strike what is in memory */
} tf_fault;

extern const tf_fault tf_no_memory; /* the n-th allocation fails */
extern const tf_fault tf_full_disk; /* n - 1 pages are free; `folder` is on a disk of its own */
extern const tf_fault tf_long_file; /* no file may have more than n pages (RLIMIT_FSIZE) */

/* What a point tells, in memory that its process shares. */
typedef struct tf_report {
    nomem_plan plan;
    bool ended; /* the course came to its end */
    anonset_code code;
    long live; /* blocks, in the end */
    bool bad;
    char why[TF_WHY];
    unsigned n_images;
    uint64_t images[TF_IMAGES]; /* taken where `records` is set, else looked for */
    bool records;
} tf_report;

typedef struct tf_course {
    char name[64];
    /* Plays the course by report->plan, looks what came of it, and tells by tf_is_bad. In a process
     * of its own. */
    void (*play)(const struct tf_course *course, tf_report *report);
    const void *context; /* of play */
    bool counts_blocks;  /* whether report->live means something */
    long may_stay;       /* so many blocks more than without a fault are no leak */
} tf_course;

/* Notes that the point is bad, and why; the first reason stays. */
void tf_is_bad(tf_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct tf_options {
    const tf_fault *fault;
    unsigned long every; /* 1: every point; else one in so many, from one by chance on */
    uint64_t seed;
    const char *only; /* courses whose name holds this; NULL: all */
    unsigned long at; /* this point alone, traced on stderr; 0: all */
    bool for_good;
} tf_options;

typedef struct tf_figures {
    unsigned long courses, allocations, points;
    unsigned long done;    /* the course was finished in spite of the fault */
    unsigned long refused; /* the code of the fault */
    unsigned long other;   /* another code that is right there, as UNKNOWN */
    unsigned long bad;
} tf_figures;

void tf_print_head(void);
/* Plays points of a course and adds to `sum`; bad ones are told on standard output. */
void tf_run(tf_figures *sum, const tf_course *course, const tf_options *options);

#endif
