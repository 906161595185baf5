#include "tests/crash/image.h"

#include "tests/crash/must.h"
#include "tests/support/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR    512u
#define NOT_YET   SIZE_MAX
#define NO_FILE   (-1)
#define FILE_MOST ((uint64_t)64 << 20)

const char *const tc_model_name[TC_MODELS] = {"ordered", "strict"};

typedef struct contents {
    uint8_t *bytes;
    size_t size, room;
    bool stuck;  /* ordered: a write that made it longer is missing, and so are all behind it */
    bool needed; /* has a name, or an operation that is not in the base names it */
} contents;

typedef struct disk {
    contents *files;
    int n;
    int named[DISK_NAMES]; /* the file of a name, or NO_FILE */
} disk;

struct tc_image {
    const disk_log *log;
    size_t *settled[TC_MODELS]; /* by operation: the sync that settled it */
    tc_model model;
    size_t point;
    size_t first;   /* all before it is settled, and in `base` */
    size_t journal; /* ordered: metadata before it is settled */
    size_t *open;   /* operations that are not settled */
    size_t n_open;
    disk base, now;
};

/* ---- Files -------------------------------------------------------------------------------- */

static void make_room(contents *file, size_t size)
{
    if (size <= file->room)
        return;
    tc_must(size <= FILE_MOST, "a file of the image has a sane size");
    file->room = size < 4096 ? 4096 : size + size / 2;
    file->bytes = realloc(file->bytes, file->room);
    tc_must(file->bytes != NULL, "there is memory");
}

static void set_size(contents *file, size_t size)
{
    make_room(file, size);
    if (size > file->size)
        memset(file->bytes + file->size, 0, size - file->size);
    file->size = size;
}

static void put(contents *file, uint64_t at, const uint8_t *bytes, size_t len)
{
    if (at + len > file->size)
        set_size(file, at + len);
    memcpy(file->bytes + at, bytes, len);
}

static void disk_init(disk *d, int files)
{
    d->n = files;
    d->files = calloc((size_t)files + 1, sizeof *d->files);
    tc_must(d->files != NULL, "there is memory");
    for (int i = 0; i < DISK_NAMES; i++)
        d->named[i] = NO_FILE;
}

static void disk_empty(disk *d)
{
    for (int i = 0; i < d->n; i++) {
        d->files[i].size = 0;
        d->files[i].stuck = false;
    }
    for (int i = 0; i < DISK_NAMES; i++)
        d->named[i] = NO_FILE;
}

static void disk_copy(disk *to, const disk *from)
{
    for (int i = 0; i < from->n; i++) {
        if (!from->files[i].needed)
            continue;
        make_room(&to->files[i], from->files[i].size);
        to->files[i].size = from->files[i].size;
        to->files[i].stuck = false;
        if (from->files[i].size > 0)
            memcpy(to->files[i].bytes, from->files[i].bytes, from->files[i].size);
    }
    memcpy(to->named, from->named, sizeof to->named);
}

static void disk_free(disk *d)
{
    for (int i = 0; i < d->n; i++)
        free(d->files[i].bytes);
    free(d->files);
}

/* ---- What a sync settles ------------------------------------------------------------------- */

static bool settles(tc_model model, const disk_op *sync, const disk_op *op)
{
    bool is_bytes = op->kind == DISK_WRITE || (model == TC_STRICT && op->kind == DISK_CUT);
    if (is_bytes)
        return sync->kind == DISK_SYNC && sync->file == op->file;
    if (model == TC_ORDERED)
        return sync->kind == DISK_SYNC || sync->kind == DISK_SYNC_FOLDER;
    return sync->kind == DISK_SYNC_FOLDER;
}

static size_t settled_by(const disk_log *log, tc_model model, size_t i)
{
    const disk_op *op = &log->ops[i];
    if (op->kind == DISK_SYNC || op->kind == DISK_SYNC_FOLDER || op->durable)
        return i;
    for (size_t j = i + 1; j < log->n; j++) {
        const disk_op *later = &log->ops[j];
        if (settles(model, later, op))
            return j;
        if (op->kind == DISK_WRITE && later->kind == DISK_SYNC_FAILED && later->file == op->file)
            return NOT_YET; /* no later sync writes it */
    }
    return NOT_YET;
}

tc_image *tc_image_new(const disk_log *log)
{
    tc_image *image = calloc(1, sizeof *image);
    tc_must(image != NULL, "there is memory");
    image->log = log;
    image->open = calloc(log->n + 1, sizeof *image->open);
    tc_must(image->open != NULL, "there is memory");
    for (tc_model model = 0; model < TC_MODELS; model++) {
        image->settled[model] = calloc(log->n + 1, sizeof *image->settled[model]);
        tc_must(image->settled[model] != NULL, "there is memory");
        for (size_t i = 0; i < log->n; i++)
            image->settled[model][i] = settled_by(log, model, i);
    }
    disk_init(&image->base, log->files);
    disk_init(&image->now, log->files);
    return image;
}

void tc_image_free(tc_image *image)
{
    disk_free(&image->base);
    disk_free(&image->now);
    for (tc_model model = 0; model < TC_MODELS; model++)
        free(image->settled[model]);
    free(image->open);
    free(image);
}

/* ---- Applying operations ------------------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    tw_rng rng = {.state = a ^ (b * 0xff51afd7ed558ccdu)};
    return tw_random(&rng);
}

static void rename_file(disk *d, const disk_op *op, bool keep_old)
{
    if (!keep_old && d->named[op->old_name] == op->file)
        d->named[op->old_name] = NO_FILE;
    d->named[op->name] = op->file;
}

static void apply(disk *d, const disk_op *op)
{
    contents *file = op->file >= 0 ? &d->files[op->file] : NULL;
    switch (op->kind) {
    case DISK_CREATE:
        d->named[op->name] = op->file;
        break;
    case DISK_WRITE:
        put(file, op->at, op->bytes, op->len);
        break;
    case DISK_CUT:
        set_size(file, op->at);
        break;
    case DISK_RENAME:
        rename_file(d, op, false);
        break;
    case DISK_UNLINK:
        if (d->named[op->name] == op->file)
            d->named[op->name] = NO_FILE;
        break;
    case DISK_SYNC:
    case DISK_SYNC_FAILED:
    case DISK_SYNC_FOLDER:
        break;
    }
}

/* The sectors of the file that a write touches, each by a throw of its own. */
static void tear(contents *file, const disk_op *op, uint64_t seed)
{
    uint64_t at = op->at, end = op->at + op->len;
    while (at < end) {
        uint64_t next = (at / SECTOR + 1) * SECTOR;
        if (next > end)
            next = end;
        if (mix(seed, at) & 1)
            put(file, at, op->bytes + (at - op->at), next - at);
        at = next;
    }
}

/* A write that makes a file longer and came to the disk in part: a whole number of sectors. */
static void stop_short(contents *file, const disk_op *op, uint64_t seed)
{
    uint64_t sectors = (op->len + SECTOR - 1) / SECTOR;
    uint64_t end = (op->at / SECTOR + mix(seed, op->at) % (sectors + 1)) * SECTOR;
    if (end > op->at)
        put(file, op->at, op->bytes, (end < op->at + op->len ? end - op->at : op->len));
    file->stuck = true;
}

static void grow_only(contents *file, const disk_op *op, bool noise, uint64_t seed)
{
    size_t had = file->size;
    if (op->at + op->len <= had)
        return;
    set_size(file, op->at + op->len);
    tw_rng rng = {.state = seed};
    for (size_t i = had; noise && i < file->size; i += sizeof(uint64_t)) {
        uint64_t word = tw_random(&rng);
        memcpy(file->bytes + i, &word, file->size - i < sizeof word ? file->size - i : sizeof word);
    }
}

static void apply_strict(disk *d, const disk_op *op, tc_fate fate, uint64_t seed)
{
    if (fate == TC_KEPT)
        apply(d, op);
    else if (op->kind == DISK_WRITE && fate == TC_TORN)
        tear(&d->files[op->file], op, seed);
    else if (op->kind == DISK_WRITE && fate != TC_LOST)
        grow_only(&d->files[op->file], op, fate == TC_NOISE, seed);
    else if (op->kind == DISK_RENAME && fate == TC_TORN)
        rename_file(d, op, true);
}

static void write_ordered(contents *file, const disk_op *op, bool committed, tc_fate fate,
                          uint64_t seed)
{
    if (op->at + op->len <= file->size) {
        if (fate == TC_KEPT)
            put(file, op->at, op->bytes, op->len);
        else if (fate == TC_TORN)
            tear(file, op, seed);
    } else if (file->stuck || !committed || fate >= TC_ZEROS || fate == TC_LOST) {
        file->stuck = true;
    } else if (fate == TC_TORN) {
        stop_short(file, op, seed);
    } else {
        put(file, op->at, op->bytes, op->len);
    }
}

/* Whether operation i is settled: metadata by any sync, in this model. */
static bool is_settled(const tc_image *image, size_t i)
{
    size_t by = image->settled[image->model][i];
    return by == i || by < image->point;
}

static void apply_ordered(tc_image *image, size_t i, size_t cut, tc_fate fate, uint64_t seed)
{
    const disk_op *op = &image->log->ops[i];
    if (op->kind == DISK_WRITE)
        write_ordered(&image->now.files[op->file], op, i < cut, fate, seed);
    else if (i < cut)
        apply(&image->now, op);
}

/* ---- Building ----------------------------------------------------------------------------- */

static void find_needed(tc_image *image)
{
    disk *base = &image->base;
    for (int i = 0; i < base->n; i++)
        base->files[i].needed = false;
    for (int i = 0; i < DISK_NAMES; i++)
        if (base->named[i] != NO_FILE)
            base->files[base->named[i]].needed = true;
    for (size_t i = image->first; i < image->point; i++)
        if (image->log->ops[i].file >= 0)
            base->files[image->log->ops[i].file].needed = true;
}

size_t tc_image_at(tc_image *image, tc_model model, size_t point)
{
    if (model != image->model || point < image->point) {
        disk_empty(&image->base);
        image->first = 0;
    }
    image->model = model;
    image->point = point;
    while (image->first < point && is_settled(image, image->first))
        apply(&image->base, &image->log->ops[image->first++]);
    image->n_open = 0;
    for (size_t i = image->first; i < point; i++)
        if (!is_settled(image, i))
            image->open[image->n_open++] = i;
    find_needed(image);
    image->journal = point;
    while (image->journal > 0 && image->log->ops[image->journal - 1].kind != DISK_SYNC &&
           image->log->ops[image->journal - 1].kind != DISK_SYNC_FOLDER)
        image->journal--;
    return image->n_open;
}

/* Where the journal of the ordered model ends: at the first piece of metadata that is lost. */
static size_t journal_end(const tc_image *image, const uint8_t *fates)
{
    for (size_t k = 0; k < image->n_open; k++)
        if (image->open[k] >= image->journal && fates[k] == TC_LOST)
            return image->open[k];
    return image->point;
}

#define LANES 4

static void hash_words(uint64_t *lane, const uint8_t *bytes)
{
    uint64_t words[LANES];
    memcpy(words, bytes, sizeof words);
    for (size_t i = 0; i < LANES; i++) {
        lane[i] = (lane[i] ^ words[i]) * 0x9fb21c651e98df25u;
        lane[i] ^= lane[i] >> 32;
    }
}

/* Four words at a time, which do not wait for each other. */
static uint64_t hash_bytes(uint64_t hash, const uint8_t *bytes, size_t len)
{
    const size_t step = LANES * sizeof(uint64_t);
    uint64_t lane[LANES] = {hash, ~hash, hash * 3, hash * 5};
    uint8_t rest[LANES * sizeof(uint64_t)] = {0};
    for (; len >= step; len -= step, bytes += step)
        hash_words(lane, bytes);
    memcpy(rest, bytes, len);
    hash_words(lane, rest);
    return mix(mix(lane[0], lane[1]), mix(lane[2], lane[3]));
}

static uint64_t hash_disk(const disk *d, int names)
{
    uint64_t hash = 0x243f6a8885a308d3u;
    for (int i = 0; i < names; i++) {
        const contents *file = d->named[i] == NO_FILE ? NULL : &d->files[d->named[i]];
        uint64_t head[2] = {(uint64_t)i, file ? file->size : UINT64_MAX};
        hash = hash_bytes(hash, (const uint8_t *)head, sizeof head);
        if (file && file->size > 0)
            hash = hash_bytes(hash, file->bytes, file->size);
    }
    return mix(hash, 1);
}

uint64_t tc_image_build(tc_image *image, const uint8_t *fates, uint64_t seed)
{
    size_t k = 0, end = journal_end(image, fates);
    disk_copy(&image->now, &image->base);
    for (size_t i = image->first; i < image->point; i++) {
        bool is_open = k < image->n_open && image->open[k] == i;
        tc_fate fate = is_open ? fates[k++] : TC_KEPT;
        uint64_t throw = mix(seed, i);
        if (!is_open)
            apply(&image->now, &image->log->ops[i]);
        else if (image->model == TC_STRICT)
            apply_strict(&image->now, &image->log->ops[i], fate, throw);
        else
            apply_ordered(image, i, end, fate, throw);
    }
    return hash_disk(&image->now, image->log->names);
}

/* ---- In a folder -------------------------------------------------------------------------- */

static void write_file(const char *path, const contents *file)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    tc_must(fd >= 0, "a file of the image can be made");
    if (file->size > 0)
        tc_must(write(fd, file->bytes, file->size) == (ssize_t)file->size,
                "a file of the image can be written");
    (void)close(fd);
}

void tc_image_write(const tc_image *image, const char *folder)
{
    for (int i = 0; i < image->log->names; i++) {
        char path[512];
        if (image->now.named[i] == NO_FILE)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, image->log->name[i]);
        write_file(path, &image->now.files[image->now.named[i]]);
    }
}

bool tc_image_is(const tc_image *image, const char *folder)
{
    bool same = true;
    for (int i = 0; i < image->log->names && same; i++) {
        char path[512];
        size_t len = 0;
        (void)snprintf(path, sizeof path, "%s/%s", folder, image->log->name[i]);
        if (image->now.named[i] == NO_FILE) {
            same = access(path, F_OK) != 0;
        } else {
            const contents *file = &image->now.files[image->now.named[i]];
            char *bytes = ts_read_file(path, &len);
            same = len == file->size && (len == 0 || memcmp(bytes, file->bytes, len) == 0);
            free(bytes);
        }
    }
    return same;
}
