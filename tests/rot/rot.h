/*
 * Rotten disks: one bit of a store flips, a sector turns to zeros, or the file is cut, and then all
 * is done with it that a wallet and the program do. In a child process, so that a signal is one
 * more bad image and not the end of the run.
 */
#ifndef TR_ROT_H
#define TR_ROT_H

#include "tests/support/world.h"

#include <anonset/backend.h>

#define TR_WHY   512
#define TR_FILES 2u /* a store's file and its log */

/* What a store's files held when it was whole. */
typedef struct tr_file {
    const char *ending; /* behind the store's path */
    uint8_t *bytes;     /* NULL: there is no such file */
    size_t len;
} tr_file;

typedef struct tr_store tr_store;

/* Makes a store of several groups in `folder`. `open`: the files are taken while a handle has it
 * open, so that its log (sqlite) holds what the file does not yet. */
tr_store *tr_store_new(const anonset_backend *backend, const char *folder, uint64_t seed,
                       bool open);
void tr_store_free(tr_store *store);
const tr_file *tr_store_files(const tr_store *store);

/* What became of one image. */
typedef struct tr_fate {
    bool bad;          /* what must not be, `why` says what */
    bool unrecognised; /* refused as something that is no store; not touched */
    bool earlier;      /* showed a state that it had before, whole */
    bool found;        /* verify, or opening it, told of damage */
    bool repaired;     /* in place */
    bool rebuilt;
    bool wrong_plain; /* an unverified read gave other coins */
    uint32_t dropped; /* coins, by a repair in place */
    uint32_t fetched; /* coins, because of it */
    char stage[32];   /* what is being done: where a signal came */
    char why[TR_WHY];
} tr_fate;

/* Does all that is done with a store to the one at `path`, and holds it against what it was. */
void tr_store_use(const tr_store *store, const char *path, tr_fate *fate);

/* ---- Runs --------------------------------------------------------------------------------- */

typedef struct tr_limits {
    uint64_t seed;
    unsigned long images; /* a backend; 0: every bit, once */
    double seconds;
    unsigned long flip; /* only this byte of the store's file, and … */
    unsigned long bit;  /* … this bit of it, 0 to 7 … */
    bool open;          /* … of the one that was open when its files were taken */
} tr_limits;

#define TR_NO_FLIP (~0ul)

typedef struct tr_figures {
    unsigned long images, flips, cuts, zeros;
    unsigned long silent,
        signals;            /* bad: wrong or gone without a word; ended by a signal or hung */
    unsigned long harmless; /* free space, or bytes that nothing is read from */
    unsigned long unrecognised, earlier, found, repaired, rebuilt, wrong_plain;
    unsigned long dropped, fetched;
    double seconds;
} tr_figures;

/* False: the harness itself cannot go on. */
bool tr_run(tr_figures *figures, const anonset_backend *backend, const tr_limits *limits);
void tr_print(const char *name, const tr_figures *figures);

#endif
