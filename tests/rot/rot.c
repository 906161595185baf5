/* Damage, children, figures. */
#include "tests/rot/rot.h"

#include "core/store.h"
#include "tests/crash/must.h"
#include "tests/support/support.h"
#include "tests/support/valgrind.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECTOR       512u
#define SPREAD       4099u /* a prime, and more than a file has sectors: each comes once */
#define SECONDS_MOST 60u   /* of one image: it hangs */
#define TOLD_MOST    10u

typedef enum kind {
    FLIP,
    CUT,
    ZERO
} kind;

typedef struct damage {
    kind kind;
    uint32_t file;
    size_t at;
    uint32_t bit;
} damage;

struct run {
    const anonset_backend *backend;
    const tr_limits *limits;
    tr_figures *figures;
    tr_store *store;
    tr_fate *fate; /* shared with the child */
    tw_rng rng;
    double until;
    bool is_open; /* the store's newest commits are in its log */
    char folder[64];
    char path[80];
};

/* ---- Images ------------------------------------------------------------------------------- */

static void remove_files(const char *folder)
{
    DIR *in = opendir(folder);
    const struct dirent *entry;
    tc_must(in, "the folder can be read");
    while ((entry = readdir(in)) != NULL)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(in), entry->d_name, 0);
    (void)closedir(in);
}

static void write_file(const struct run *r, const tr_file *file, const damage *d)
{
    static const uint8_t zeros[SECTOR];
    char name[120];
    size_t len = d && d->kind == CUT ? d->at : file->len;
    (void)snprintf(name, sizeof name, "%s%s", r->path, file->ending);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    tc_must(fd >= 0 && write(fd, file->bytes, len) == (ssize_t)len, "an image can be written");
    if (d && d->kind == FLIP) {
        uint8_t byte = (uint8_t)(file->bytes[d->at] ^ 1u << d->bit);
        tc_must(pwrite(fd, &byte, 1, (off_t)d->at) == 1, "a bit can be flipped");
    } else if (d && d->kind == ZERO) {
        size_t n = file->len - d->at < SECTOR ? file->len - d->at : SECTOR;
        tc_must(pwrite(fd, zeros, n, (off_t)d->at) == (ssize_t)n, "a sector can be cleared");
    }
    tc_must(close(fd) == 0, "a file can be closed");
}

static void make_image(const struct run *r, const damage *d)
{
    const tr_file *files = tr_store_files(r->store);
    remove_files(r->folder);
    for (uint32_t i = 0; i < TR_FILES; i++)
        if (files[i].bytes)
            write_file(r, &files[i], d->file == i ? d : NULL);
}

/* ---- Children ----------------------------------------------------------------------------- */

static void tell(const struct run *r, const damage *d, const char *how)
{
    static const char *const kinds[] = {[FLIP] = "flip", [CUT] = "cut", [ZERO] = "zero"};
    const tr_figures *f = r->figures;
    if (f->silent + f->signals <= TOLD_MOST)
        (void)printf("BAD %s seed %llu%s: %s file%s at %zu bit %u: %s (%s) %s\n", r->backend->name,
                     (unsigned long long)r->limits->seed, r->is_open ? " --open" : "",
                     kinds[d->kind], tr_store_files(r->store)[d->file].ending, d->at, d->bit, how,
                     r->fate->stage, r->fate->why);
}

static void count(const struct run *r, const damage *d)
{
    const tr_fate *fate = r->fate;
    tr_figures *f = r->figures;
    if (fate->bad) {
        f->silent++;
        tell(r, d, "bad");
    }
    f->unrecognised += fate->unrecognised;
    f->earlier += fate->earlier;
    f->found += fate->found;
    f->repaired += fate->repaired && !fate->rebuilt;
    f->rebuilt += fate->rebuilt;
    f->wrong_plain += fate->wrong_plain;
    f->harmless += !fate->bad && !fate->unrecognised && !fate->earlier && !fate->found;
    if (!fate->rebuilt) {
        f->dropped += fate->dropped;
        f->fetched += fate->fetched;
    }
}

static void try_damage(struct run *r, const damage *d)
{
    static const struct rlimit no_core = {0};
    int status = -1;
    tr_figures *f = r->figures;
    f->images++;
    f->flips += d->kind == FLIP;
    f->cuts += d->kind == CUT;
    f->zeros += d->kind == ZERO;
    memset(r->fate, 0, sizeof *r->fate);
    make_image(r, d);
    (void)fflush(stdout);
    pid_t pid = fork();
    tc_must(pid >= 0, "a process can be made");
    if (pid == 0) {
        (void)setrlimit(RLIMIT_CORE, &no_core);
        ts_alarm(SECONDS_MOST);
        tr_store_use(r->store, r->path, r->fate);
        _exit(0);
    }
    tc_must(waitpid(pid, &status, 0) == pid, "a process ends");
    tc_must(!(WIFEXITED(status) && WEXITSTATUS(status) == TC_BROKEN), "the harness holds");
    if (status == 0) {
        count(r, d);
        return;
    }
    f->signals++;
    tell(r, d, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it ended by itself");
}

/* ---- What to damage ----------------------------------------------------------------------- */

static bool is_over(const struct run *r)
{
    return (r->limits->images > 0 && r->figures->images >= r->limits->images) ||
           ts_now() > r->until;
}

/* The first and the last byte of each sector, and a cut and a cleared sector there. From all over
 * the file: a run that ends early must not have seen its head alone. */
static void at_boundaries(struct run *r)
{
    const tr_file *files = tr_store_files(r->store);
    for (uint32_t i = 0; i < TR_FILES; i++) {
        size_t n = (files[i].len + SECTOR - 1) / SECTOR;
        size_t first = tw_random(&r->rng) % (n + 1);
        for (size_t step = 0; step < n && !is_over(r); step++) {
            size_t at = (first + step * SPREAD) % n * SECTOR;
            size_t last = files[i].len - at < SECTOR ? files[i].len - 1 : at + SECTOR - 1;
            damage all[] = {{FLIP, i, at, tw_between(&r->rng, 0, 7)},
                            {FLIP, i, last, tw_between(&r->rng, 0, 7)},
                            {CUT, i, at, 0},
                            {ZERO, i, at, 0}};
            for (size_t k = 0; k < sizeof all / sizeof *all; k++)
                try_damage(r, &all[k]);
        }
    }
}

static void at_random(struct run *r)
{
    const tr_file *files = tr_store_files(r->store);
    damage d = {.kind = FLIP, .bit = tw_between(&r->rng, 0, 7)};
    size_t at = tw_random(&r->rng) % (files[0].len + files[1].len);
    d.file = at >= files[0].len;
    d.at = d.file ? at - files[0].len : at;
    if (tw_chance(&r->rng, .1))
        d.kind = CUT;
    else if (tw_chance(&r->rng, .05))
        d.kind = ZERO;
    if (d.kind == ZERO)
        d.at -= d.at % SECTOR;
    try_damage(r, &d);
}

static void every_bit(struct run *r)
{
    const tr_file *files = tr_store_files(r->store);
    for (uint32_t i = 0; i < TR_FILES; i++)
        for (size_t at = 0; at < files[i].len && !is_over(r); at++)
            for (uint32_t bit = 0; bit < 8; bit++)
                try_damage(r, &(damage){FLIP, i, at, bit});
}

/* ---- Runs --------------------------------------------------------------------------------- */

/* In memory where that can be: what is asked here is not whether disks keep their word. */
static void make_folder(struct run *r)
{
    const char *in = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(r->folder, sizeof r->folder, "%s/anonset-rot-XXXXXX", in);
    tc_must(mkdtemp(r->folder), "a folder can be made");
    (void)snprintf(r->path, sizeof r->path, "%s/store", r->folder);
}

static void run_one(struct run *r, bool open)
{
    uint64_t seed = r->limits->seed + open;
    r->is_open = open;
    r->rng.state = seed;
    r->store = tr_store_new(r->backend, r->folder, seed, open);
    if (r->limits->flip != TR_NO_FLIP) {
        if (open == r->limits->open)
            try_damage(r, &(damage){FLIP, 0, r->limits->flip, (uint32_t)r->limits->bit % 8});
    } else if (r->limits->images == 0) {
        every_bit(r);
    } else {
        at_boundaries(r);
        while (!is_over(r))
            at_random(r);
    }
    remove_files(r->folder);
    tr_store_free(r->store);
}

bool tr_run(tr_figures *figures, const anonset_backend *backend, const tr_limits *limits)
{
    tr_limits part = *limits;
    struct run r = {.backend = backend, .limits = &part, .figures = figures};
    double began = ts_now();
    *figures = (tr_figures){.images = 0};
    r.fate = mmap(NULL, sizeof *r.fate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r.fate == MAP_FAILED)
        return false;
    make_folder(&r);
    /* The closed store, and then the one with a log. */
    part.images = limits->images / 2;
    r.until = began + limits->seconds / 2;
    run_one(&r, false);
    part.images = limits->images;
    r.until = began + limits->seconds;
    run_one(&r, true);
    (void)rmdir(r.folder);
    (void)munmap(r.fate, sizeof *r.fate);
    figures->seconds = ts_now() - began;
    return true;
}

void tr_print(const char *name, const tr_figures *f)
{
    (void)printf(
        "%s: %lu images (%lu flips, %lu cuts, %lu zeroed sectors), %.0f seconds\n"
        "  silent %lu, signals %lu\n"
        "  harmless %lu, damage told %lu, an earlier state %lu, not taken for a store %lu\n"
        "  repaired in place %lu (%lu coins dropped, %lu fetched for them), made anew %lu\n"
        "  other coins by an unverified read %lu\n",
        name, f->images, f->flips, f->cuts, f->zeros, f->seconds, f->silent, f->signals,
        f->harmless, f->found, f->earlier, f->unrecognised, f->repaired, f->dropped, f->fetched,
        f->rebuilt, f->wrong_plain);
}
