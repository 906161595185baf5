/*
 * The backends as subjects: courses by chance (tests/crash/course.h), also of the upgrade of an
 * older wallet's cache, and with one sync in each that fails.
 */
#include "backends/backends.h"
#include "tests/crash/course.h"
#include "tests/crash/must.h"
#include "tests/support/support.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 1000u

typedef struct store_mode {
    const char *name;
    const anonset_backend *backend;
    bool is_legacy;
    bool sync_fails;
} store_mode;

static const store_mode modes[TC_KINDS] = {
    [TC_SQLITE] = {"sqlite", &as_backend_sqlite, false, false},
    [TC_SQLITE_LEGACY] = {"sqlite, older cache", &as_backend_sqlite, true, false},
    [TC_LMDB] = {"lmdb", &as_backend_lmdb, false, false},
    [TC_SQLITE_SYNC_FAILS] = {"sqlite, failed sync", &as_backend_sqlite, false, true},
    [TC_LEGACY_SYNC_FAILS] = {"sqlite, older, failed sync", &as_backend_sqlite, true, true},
    [TC_LMDB_SYNC_FAILS] = {"lmdb, failed sync", &as_backend_lmdb, false, true},
};

static uint64_t look(const void *which, const char *path, char why[TC_WHY])
{
    const store_mode *mode = which;
    const anonset_backend *b = mode->backend;
    anonset_backend_options options = {.busy_ms = BUSY_MS};
    anonset_detail detail = {.code = ANONSET_OK};
    uint64_t shown;
    void *handle;
    anonset_code code = b->open(&handle, path, &options, &detail);
    if (code == ANONSET_NOT_FOUND)
        return TC_ABSENT;
    if (code == ANONSET_OK) {
        code = tc_show(&shown, b, handle, &detail);
        b->close(handle);
    }
    (void)snprintf(why, TC_WHY, "%s", detail.text);
    return code == ANONSET_OK ? shown : TC_BAD;
}

/* ---- Recording ---------------------------------------------------------------------------- */

static void complain(const tc_course *c, const char *why)
{
    (void)fprintf(stderr, "%s, seed %llu: %s\n", c->real->name, (unsigned long long)c->seed, why);
    tc_must(false, "the store answers as it should while it is recorded");
}

static void run(tc_course *c)
{
    tc_course_open(c);
    for (uint32_t i = tw_between(&c->world.rng, 4, 10); i > 0; i--)
        tc_course_wander(c);
    tc_course_close(c);
}

static tc_course *course_new(const store_mode *mode, const char *folder, uint64_t seed)
{
    tc_course *c = calloc(1, sizeof *c);
    tc_must(c != NULL, "there is memory");
    c->real = mode->backend;
    c->is_legacy = mode->is_legacy;
    c->seed = seed;
    c->may_fail = mode->sync_fails;
    c->complain = complain;
    (void)snprintf(c->path, sizeof c->path, "%s/store", folder);
    tc_course_prepare(c);
    return c;
}

static void course_end(tc_course *c)
{
    tc_course_free(c);
    free(c);
}

/* The same course without faults, in a folder of its own. Returns how many syncs it made. */
static tc_course *model_of(const store_mode *mode, uint64_t seed, unsigned *syncs)
{
    ts_dir dir;
    ts_dir_make(&dir);
    tc_course *c = course_new(mode, dir.path, seed);
    disk_watch(dir.path);
    disk_fail(NULL, 0);
    run(c);
    *syncs = disk_count(DISK_ON_SYNC);
    ts_dir_remove(&dir);
    return c;
}

/* What an older cache shows once it was upgraded by whoever looks at it. */
static uint64_t upgraded(const store_mode *mode, const char *path)
{
    ts_dir dir;
    char why[TC_WHY] = "";
    size_t len;
    ts_dir_make(&dir);
    char *bytes = ts_read_file(path, &len);
    ts_write_file(ts_in(&dir, "store"), bytes, len);
    uint64_t shown = look(mode, ts_in(&dir, "store"), why);
    tc_must(shown != TC_BAD, why);
    free(bytes);
    ts_dir_remove(&dir);
    return shown;
}

typedef struct recording {
    tc_course *course, *model; /* model NULL: no call fails */
    disk_fault fault;
} recording;

static void prepare(const void *which, tc_tape *tape)
{
    const store_mode *mode = which;
    recording *r = calloc(1, sizeof *r);
    tw_rng rng = {.state = tape->seed};
    unsigned syncs;
    tc_must(r != NULL, "there is memory");
    if (mode->sync_fails) {
        r->model = model_of(mode, tape->seed, &syncs);
        r->fault =
            (disk_fault){.call = DISK_ON_SYNC, .at = tw_between(&rng, 1, syncs), .error = EIO};
    }
    r->course = course_new(mode, tape->folder, tape->seed);
    r->course->tape = tape;
    r->course->model = r->model;
    if (mode->is_legacy)
        tape->first = upgraded(mode, r->course->path);
    tape->after = r;
}

static void record(const void *which, tc_tape *tape)
{
    recording *r = tape->after;
    (void)which;
    disk_fail(&r->fault, r->model ? 1 : 0);
    run(r->course);
    disk_heal();
    for (size_t i = 0; r->model && i < tape->log.n; i++)
        if (tape->log.ops[i].kind == DISK_SYNC_FAILED)
            tape->from = i;
}

static bool go_on(const tc_tape *tape, const char *path, char why[TC_WHY])
{
    const recording *r = tape->after;
    return tc_course_go_on(r->course, path, why);
}

static void forget(tc_tape *tape)
{
    recording *r = tape->after;
    course_end(r->course);
    if (r->model)
        course_end(r->model);
    free(r);
}

tc_subject tc_store(tc_kind kind)
{
    tc_subject subject = {.name = modes[kind].name,
                          .mode = &modes[kind],
                          .prepare = prepare,
                          .record = record,
                          .look = look,
                          .go_on = go_on,
                          .forget = forget};
    memcpy(subject.write_names, tc_write_names, sizeof subject.write_names);
    return subject;
}
