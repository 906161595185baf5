/*
 * What the parts of the benchmark share. One program: the driver, which runs every measurement as a
 * process of its own (a job), in turns, and makes the table of what the jobs say.
 *
 * Nothing here returns an error: what cannot be done ends the program with a message.
 */
#ifndef BENCH_H
#define BENCH_H

#include <anonset/anonset.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMALL_SET 32000u /* a full group */
#define SECTOR    1500u  /* coins of a commit, unless said */

/* ---- Coins: those of the made-up chain of tests/server, in the real layout ---------------- */

/* A run of coins by position, oldest first. */
typedef struct sector {
    uint32_t start, n;
    anonset_coin *coins;
} sector;

typedef struct coin_source {
    uint32_t position; /* of the next coin */
    uint64_t tx;
    uint32_t output;
    uint64_t payload; /* bytes of all `serialized` made so far */
    uint32_t room;
    sector made;
    uint8_t *bytes;
} coin_source;

/* Begins at a position; no sector will have more than `most` coins. */
void source_begin(coin_source *source, uint32_t position, uint32_t most);
void source_end(coin_source *source);
/* The next n coins; they live until the next call. */
const sector *source_next(coin_source *source, uint32_t n);

/* ---- Rows: ways to keep coins ------------------------------------------------------------- */

/* What a reader saw: every coin's bytes are touched, and counted. */
typedef struct tally {
    uint32_t coins;
    uint64_t payload; /* bytes of `serialized` */
    uint64_t sum;     /* keeps the compiler from leaving the reads out */
} tally;

typedef struct row {
    const char *name;  /* as the jobs know it */
    const char *title; /* as the table shows it */
    /* Makes an empty one; not timed. */
    void (*create)(const char *path);
    void *(*open)(const char *path);
    /* May be NULL: what the row needs the sector's coins turned into; not timed, for it is how they
     * come from a server. */
    void (*prepare)(void *handle, const sector *coins);
    /* One durable commit. */
    void (*append)(void *handle, const sector *coins, uint32_t target);
    /* Makes the set visible to readers; NULL: it is. */
    void (*finish)(void *handle, uint32_t target);
    void (*close)(void *handle);
    /* One whole snapshot. NULL: write only. */
    void (*read)(void *handle, tally *seen);
} row;

extern const row row_legacy, row_raw, row_checked, row_logged, row_bare_sqlite, row_bare_lmdb,
    row_sqlite, row_lmdb;
/* All of them in the table's order, NULL-ended. */
extern const row *const rows[];

void tally_coin(tally *seen, const uint8_t *bytes, size_t len);

/* ---- Of our own rows: what a sync does with a store --------------------------------------- */

typedef struct set set;

set *set_open(const char *backend, const char *path);
void set_close(set *s);
uint32_t set_size(const set *s); /* finalized */
void set_append(set *s, const sector *coins, uint32_t target);
/* The two parts of the end: what the gate looks at, and the step that shows the set. */
void set_check(set *s);
void set_complete(set *s);
/* Decides as a sync that is told of one coin more. */
void set_plan(const set *s);

/* ---- Jobs --------------------------------------------------------------------------------- */

/* The one that has a file of its own. */
int job_answers(char **argv);

/* Runs the job that the arguments behind "--job" name, and prints a JSON object. */
int job_main(int argc, char **argv);

/* ---- Measuring ---------------------------------------------------------------------------- */

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
double seconds_now(void);
double processor_now(void); /* seconds of this process */
/* Bytes of all files in a directory. */
uint64_t directory_bytes(const char *path);

/* Figures of several rounds. */
#define ROUNDS_MOST 32u
typedef struct figure {
    double at[ROUNDS_MOST];
    unsigned n;
} figure;

void figure_add(figure *f, double value);
double figure_median(const figure *f); /* 0 without any */
/* Half the way from the lowest to the highest, in parts of the median. */
double figure_spread(const figure *f);
/* Ratios a / b of the same rounds. */
figure figure_ratio(const figure *a, const figure *b);

#endif
