/*
 * The disk images that a power loss can leave of what tests/shims/disk.h logged.
 *
 * At a point of the log every operation before it was issued. One that a sync has settled is on the
 * disk; of the others, two models tell what may be there. A sync that failed settles nothing, and
 * what was written before it is settled by no later one: the system takes it for written.
 *
 *   ordered  a journal keeps metadata in order (names, cuts and sizes: a prefix of them is there),
 *            any sync commits it, and a longer file never shows bytes that were not written. What
 *            is overwritten in place may be there or not, each write by itself, torn at any sector.
 *   strict   no more than POSIX says: a sync of a file settles that file's bytes and size, one of
 *            the folder its names, and nothing else is settled. Of the rest each write, cut and
 *            name is there or not; a write may be torn at any sector; where a file grew, its new
 *            size may be there with zeros or anything in it; a file renamed may have both names.
 */
#ifndef TC_IMAGE_H
#define TC_IMAGE_H

#include "tests/shims/disk.h"
#include "tests/support/world.h"

typedef enum tc_model {
    TC_ORDERED,
    TC_STRICT,
    TC_MODELS
} tc_model;

extern const char *const tc_model_name[TC_MODELS];

/* What becomes of an operation that is not settled. */
typedef enum tc_fate {
    TC_KEPT,
    TC_LOST,
    TC_TORN,  /* a write: some of its sectors. A rename: both names */
    TC_ZEROS, /* lost, but the file has the size: filled with zeros … */
    TC_NOISE, /* … or with what was on the disk before */
} tc_fate;

typedef struct tc_image tc_image;

/* Prepares to build images of `log`, which must stay as it is. */
tc_image *tc_image_new(const disk_log *log);
void tc_image_free(tc_image *image);

/* Moves to the point behind `point` operations, under `model`. Going forward under one model is
 * cheap. Returns how many operations are not settled there. */
size_t tc_image_at(tc_image *image, tc_model model, size_t point);

/* Builds the image of these fates, one for each operation that is not settled, oldest first.
 * `seed` chooses sectors and noise. Returns a hash of all of it. */
uint64_t tc_image_build(tc_image *image, const uint8_t *fates, uint64_t seed);

/* Writes the image built last into an empty folder. */
void tc_image_write(const tc_image *image, const char *folder);
/* Whether the folder holds exactly the image built last, but for the files that no log has. */
bool tc_image_is(const tc_image *image, const char *folder);

#endif
