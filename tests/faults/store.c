/*
 * The courses: a store is made and opened, syncs end in every way that an honest server can make
 * them end, coins and used tags are read and verified, both are cleared, older caches upgraded. The
 * node is the model of tests/support/world.h, so there is no socket, and all is the same in every
 * run.
 */
#include "tests/faults/store.h"

#include "backends/backends.h"
#include "core/coin.h"
#include "core/plan.h"
#include "core/store.h"
#include "tests/conformance/kit.h"
#include "tests/support/legacy.h"
#include "tests/support/play.h"
#include "tests/support/support.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUP  1u
#define SECTOR 16u /* coins */
#define BUDGET 4096u

/* ---- What the node goes through ------------------------------------------------------------- */

typedef struct story {
    tw_world world;
    const tw_chain *first;  /* some blocks */
    const tw_chain *second; /* first, and more */
    const tw_chain *third;  /* second, and more */
    const tw_chain *fork;   /* second, and others than those of third, more of them */
    const tw_chain *again;  /* the coins of third, its newest blocks mined again */
    const tw_chain *last;   /* third, and more */
} story;

static story tale;

static const tw_chain *mined_again(tw_world *world, const tw_chain *from)
{
    for (int i = 0; i < 200; i++) {
        const tw_chain *next = tw_mutate(world, from);
        if (next->n > 1 && next->meta.size == from->meta.size &&
            !as_meta_equal(&next->meta, &from->meta) && tw_same_coins(next, from, from->meta.size))
            return next;
    }
    ts_die("no chain has the same coins again");
}

static void tell_story(uint64_t seed)
{
    tw_world *world = &tale.world;
    tw_world_init(world, seed);
    tale.first = tw_grow_wide(world, NULL, 3, 6);
    tale.second = tw_grow_wide(world, tale.first, 3, 6);
    tale.third = tw_grow_wide(world, tale.second, 3, 6);
    tale.fork = tw_grow_wide(world, tale.second, 4, 6);
    tale.last = tw_grow_wide(world, tale.third, 2, 6);
    tale.again = mined_again(world, tale.third);
}

/* ---- A stage ------------------------------------------------------------------------------- */

typedef struct course course;

typedef struct stage {
    const course *course;
    const anonset_backend *real;
    anonset_backend telling; /* real, and notes images */
    char template[300];      /* a folder of files as `prepare` left them */
    char folder[300];
    char path[320];
    const tf_fault *fault;
    anonset_store *store; /* NULL: not open */
    tf_report *report;
    anonset_detail detail;
    tw_reply reply;
} stage;

struct course {
    const char *name;
    void (*prepare)(stage *s);     /* leaves nothing open; NULL: no store is there */
    anonset_code (*run)(stage *s); /* while memory runs out */
    const tw_chain *const *goal;   /* what a sync of the course, or the next one, leads to */
    anonset_outcome outcome;       /* of a sync of the course */
    bool opens;                    /* run opens the store itself */
    bool prove;
    bool legacy; /* prepare leaves an older cache */
    bool tags;   /* it is about the list of used coin tags, which is synced behind the coins */
};

/* The one of this process. */
static stage *on;

static const char *text_of(const stage *s)
{
    return s->detail.text;
}

static anonset_code try_open(stage *s, unsigned flags)
{
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = &s->telling;
    options.flags = flags;
    options.busy_ms = 1000;
    return anonset_store_open(&s->store, s->path, &options, &s->detail);
}

/* Without a fault. */
static void open_store(stage *s, unsigned flags)
{
    anonset_code code = try_open(s, flags);
    if (code != ANONSET_OK)
        ts_die("%s: cannot be opened, code %d: %s", s->course->name, (int)code, text_of(s));
}

static void close_store(stage *s)
{
    anonset_store_close(s->store);
    s->store = NULL;
}

static uint64_t image(const anonset_backend *backend, void *handle)
{
    return ts_mix(kit_image(backend, handle, GROUP, false), kit_used_image(backend, handle));
}

static uint64_t image_of(const stage *s)
{
    return image(s->real, s->store->handle);
}

/* ---- States between writes ----------------------------------------------------------------- */

static void note_image(stage *s, uint64_t image)
{
    tf_report *r = s->report;
    if (!r->records)
        return;
    if (r->n_images == TF_IMAGES)
        ts_die("%s: more writes than there is room for", s->course->name);
    r->images[r->n_images++] = image;
}

static anonset_code wrote(anonset_code code, void *handle)
{
    if (code == ANONSET_OK && on->report->records)
        note_image(on, image(on->real, handle));
    return code;
}

static anonset_code telling_open(void **handle, const char *path,
                                 const anonset_backend_options *options, anonset_detail *detail)
{
    anonset_code code = on->real->open(handle, path, options, detail);
    return code == ANONSET_OK ? wrote(code, *handle) : code;
}

static anonset_code telling_genesis(void *handle, const uint8_t *genesis, anonset_detail *detail)
{
    return wrote(on->real->set_genesis(handle, genesis, detail), handle);
}

static anonset_code telling_append(void *handle, const anonset_append *append,
                                   anonset_detail *detail)
{
    return wrote(on->real->append_sector(handle, append, detail), handle);
}

static anonset_code telling_complete(void *handle, const anonset_complete *complete,
                                     anonset_detail *detail)
{
    return wrote(on->real->mark_complete(handle, complete, detail), handle);
}

static anonset_code telling_discard(void *handle, uint32_t group, anonset_detail *detail)
{
    return wrote(on->real->discard_incomplete(handle, group, detail), handle);
}

static anonset_code telling_clear(void *handle, uint32_t group, anonset_detail *detail)
{
    return wrote(on->real->clear(handle, group, detail), handle);
}

static anonset_code telling_used(void *handle, const anonset_used_append *append,
                                 anonset_detail *detail)
{
    return wrote(on->real->used_append(handle, append, detail), handle);
}

static void look_at_image(stage *s, anonset_code code)
{
    tf_report *r = s->report;
    uint64_t image = image_of(s);
    if (r->records)
        return;
    if (code == ANONSET_OK) {
        if (image != r->images[r->n_images - 1])
            tf_is_bad(r, "it says that all is done, and the store does not show it");
        return;
    }
    for (unsigned i = 0; i < r->n_images; i++)
        if (image == r->images[i])
            return;
    tf_is_bad(r, "the store shows what no write left");
}

/* ---- Syncs --------------------------------------------------------------------------------- */

static anonset_sync_options sync_options(bool prove, uint32_t budget)
{
    anonset_sync_options options;
    anonset_sync_options_init(&options);
    options.group = GROUP;
    options.sector_size = SECTOR;
    options.proof_budget = budget;
    options.prove = prove;
    return options;
}

static anonset_outcome sync_some(stage *s, const tw_chain *chain, uint32_t answers, uint32_t budget)
{
    anonset_result result;
    anonset_sync_options options = sync_options(false, budget);
    options.used = s->course->tags ? ANONSET_USED_TOO : ANONSET_USED_NO;
    if (tp_sync(&result, s->store, chain, &options, answers, &s->reply) != ANONSET_OK)
        ts_die("%s: a sync cannot be made", s->course->name);
    s->detail = result.error;
    return result.outcome;
}

static void sync_to(stage *s, const tw_chain *chain)
{
    if (sync_some(s, chain, TP_ALL, BUDGET) != ANONSET_FINALIZED)
        ts_die("%s: no sync to prepare with: %s", s->course->name, text_of(s));
}

static anonset_state state_of(stage *s)
{
    anonset_state state;
    if (anonset_store_state(s->store, &state, GROUP, &s->detail) != ANONSET_OK)
        ts_die("%s: no state: %s", s->course->name, text_of(s));
    return state;
}

/* Syncs with one answer more each time, until so many coins are pending. */
static void sync_part(stage *s, const tw_chain *chain, uint32_t held)
{
    for (uint32_t answers = 1; answers < 100; answers++) {
        (void)sync_some(s, chain, answers, BUDGET);
        anonset_state state = state_of(s);
        if (state.has_pending && state.base + state.count >= held)
            return;
    }
    ts_die("%s: %u coins are never pending", s->course->name, (unsigned)held);
}

static anonset_code run_sync(stage *s)
{
    anonset_result result;
    anonset_sync_options options = sync_options(s->course->prove, BUDGET);
    options.used = s->course->tags ? ANONSET_USED_ONLY : ANONSET_USED_NO;
    anonset_code code = tp_sync(&result, s->store, *s->course->goal, &options, TP_ALL, &s->reply);
    s->detail = result.error;
    if (code != ANONSET_OK)
        return code;
    if (result.error.code == ANONSET_OK && result.outcome != s->course->outcome)
        tf_is_bad(s->report, "it ends as %s: %s", anonset_outcome_name(result.outcome),
                  result.error.text);
    return result.error.code;
}

/* ---- Other courses ------------------------------------------------------------------------- */

static anonset_code run_create(stage *s)
{
    return try_open(s, ANONSET_STORE_CREATE);
}

static anonset_code run_open(stage *s)
{
    return try_open(s, 0);
}

static anonset_code run_open_read_only(stage *s)
{
    return try_open(s, ANONSET_STORE_READ_ONLY);
}

static anonset_code run_clear(stage *s)
{
    return anonset_store_clear(s->store, GROUP, &s->detail);
}

static anonset_code run_verify(stage *s)
{
    anonset_verdict verdict;
    anonset_code code = anonset_store_verify(s->store, &verdict, GROUP, &s->detail);
    if (code == ANONSET_OK && !verdict.sound)
        tf_is_bad(s->report, "a sound set is called damaged: %s", text_of(s));
    return code;
}

static anonset_code run_ask(stage *s)
{
    anonset_state state;
    uint32_t group;
    uint64_t bytes;
    anonset_code code = anonset_store_next_group(s->store, &group, 0, &s->detail);
    if (code == ANONSET_OK)
        code = anonset_store_state(s->store, &state, group, &s->detail);
    if (code == ANONSET_OK)
        code = anonset_store_disk_bytes(s->store, &bytes, &s->detail);
    if (code == ANONSET_OK && (group != GROUP || !state.has_finalized))
        tf_is_bad(s->report, "a set that is there is not told");
    return code;
}

static anonset_code read_coins(stage *s, anonset_snapshot *snapshot, uint32_t from)
{
    const tw_chain *chain = *s->course->goal;
    anonset_coin coin, must;
    uint8_t bytes[TW_COIN_BYTES];
    uint32_t at = chain->meta.size;
    anonset_code code = anonset_snapshot_seek(snapshot, from, at, ANONSET_NEWEST_FIRST, &s->detail);
    while (code == ANONSET_OK) {
        code = anonset_snapshot_next(snapshot, &coin, &s->detail);
        if (code != ANONSET_OK)
            break;
        tw_coin(&must, bytes, chain->coin[at - 1], &chain->coin_tx[at - 1]);
        at--;
        if (!as_coin_equal(&coin, &must))
            tf_is_bad(s->report, "the coin at position %u is another", (unsigned)at);
    }
    if (code == ANONSET_NOT_FOUND && at != from)
        tf_is_bad(s->report, "the coins end at position %u", (unsigned)at);
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

static anonset_code run_read(stage *s)
{
    anonset_snapshot *snapshot;
    uint32_t size = 0;
    anonset_code code = anonset_snapshot_open(&snapshot, s->store, GROUP, &s->detail);
    if (code != ANONSET_OK)
        return code;
    code = read_coins(s, snapshot, 0);
    if (code == ANONSET_OK)
        code = anonset_snapshot_find(snapshot, &size, tale.first->meta.block_hash, &s->detail);
    if (code == ANONSET_OK && size != tale.first->meta.size)
        tf_is_bad(s->report, "a block is found at another size");
    if (code == ANONSET_OK)
        code = read_coins(s, snapshot, size);
    anonset_snapshot_close(snapshot);
    return code;
}

static anonset_code run_clear_tags(stage *s)
{
    return anonset_used_clear(s->store, &s->detail);
}

static anonset_code read_tags(stage *s, anonset_used_list *list)
{
    const tw_chain *chain = *s->course->goal;
    uint32_t n = 0, at, size = anonset_used_list_state(list)->count;
    anonset_code code = ANONSET_OK;
    if (size != tw_used_count(chain))
        tf_is_bad(s->report, "the list has %u tags", (unsigned)size);
    for (uint32_t i = 0; code == ANONSET_OK && i < size; i++) {
        anonset_used read, found, must;
        tw_used(&must, chain, i);
        code = anonset_used_read(list, &read, &n, i, 1, &s->detail);
        if (code == ANONSET_OK)
            code = anonset_used_find(list, &found, &at, must.tag, &s->detail);
        if (code == ANONSET_OK && (at != i || memcmp(&read, &must, sizeof must) != 0))
            tf_is_bad(s->report, "the tag at position %u is another", (unsigned)i);
    }
    return code;
}

static anonset_code run_read_tags(stage *s)
{
    anonset_used_list *list;
    bool sound = true;
    anonset_code code = anonset_used_open(&list, s->store, &s->detail);
    if (code != ANONSET_OK)
        return code;
    code = read_tags(s, list);
    if (code == ANONSET_OK)
        code = anonset_used_verify(list, &sound, &s->detail);
    if (code == ANONSET_OK && !sound)
        tf_is_bad(s->report, "a sound list is called damaged: %s", text_of(s));
    anonset_used_close(list);
    return code;
}

/* ---- What was there before ----------------------------------------------------------------- */

static void with_store(stage *s, void (*fill)(stage *s))
{
    open_store(s, ANONSET_STORE_CREATE);
    fill(s);
    close_store(s);
}

static void fill_nothing(stage *s)
{
    (void)s;
}

static void fill_second(stage *s)
{
    sync_to(s, tale.first);
    sync_to(s, tale.second);
}

static void fill_third(stage *s)
{
    fill_second(s);
    sync_to(s, tale.third);
}

static void fill_unproven(stage *s)
{
    if (sync_some(s, tale.second, TP_ALL, 0) != ANONSET_FINALIZED)
        ts_die("no set that is not proven: %s", text_of(s));
}

static void fill_part(stage *s)
{
    fill_second(s);
    sync_part(s, tale.third, tale.second->meta.size + 1);
}

static void fill_all_pending(stage *s)
{
    fill_second(s);
    sync_part(s, tale.third, tale.third->meta.size);
}

static void prepare_empty(stage *s)
{
    with_store(s, fill_nothing);
}

static void prepare_second(stage *s)
{
    with_store(s, fill_second);
}

static void prepare_third(stage *s)
{
    with_store(s, fill_third);
}

static void prepare_unproven(stage *s)
{
    with_store(s, fill_unproven);
}

static void prepare_part(stage *s)
{
    with_store(s, fill_part);
}

static void prepare_all_pending(stage *s)
{
    with_store(s, fill_all_pending);
}

static void add_delta(ts_legacy *l, const tw_chain *chain, uint32_t from)
{
    static anonset_coin coins[TW_COINS_MAX];
    static uint8_t bytes[TW_COINS_MAX][TW_COIN_BYTES];
    uint32_t n = chain->meta.size - from;
    for (uint32_t i = 0; i < n; i++)
        tw_coin(&coins[i], bytes[i], chain->coin[from + i], &chain->coin_tx[from + i]);
    ts_legacy_delta(l, ts_legacy_set(l, GROUP, &chain->meta), GROUP, coins, n, SECTOR);
}

static void prepare_cache(const stage *s, unsigned has)
{
    ts_legacy l;
    ts_legacy_create(&l, s->path, has);
    add_delta(&l, tale.first, 0);
    add_delta(&l, tale.second, tale.first->meta.size);
    ts_legacy_close(&l);
}

static void prepare_v1(stage *s)
{
    prepare_cache(s, TS_LEGACY_V1);
}

static void prepare_v2(stage *s)
{
    prepare_cache(s, TS_LEGACY_V2);
}

#define SYNC(chain, ends) .run = run_sync, .goal = &tale.chain, .outcome = ANONSET_##ends

static const course courses[] = {
    {"create", NULL, run_create, .goal = &tale.second, .opens = true},
    {"open", prepare_part, run_open, .goal = &tale.third, .opens = true},
    {"open to read", prepare_part, run_open_read_only, .goal = &tale.third, .opens = true},
    {"sync: first", prepare_empty, SYNC(second, FINALIZED)},
    {"sync: more", prepare_second, SYNC(third, FINALIZED)},
    {"sync: resume", prepare_part, SYNC(third, FINALIZED)},
    {"sync: finalize", prepare_all_pending, SYNC(third, FINALIZED)},
    {"sync: newer target", prepare_part, SYNC(last, FINALIZED)},
    {"sync: discard", prepare_part, SYNC(fork, FINALIZED)},
    {"sync: reorg", prepare_third, SYNC(fork, FINALIZED)},
    {"sync: re-anchor", prepare_third, SYNC(again, REANCHORED)},
    {"sync: up to date", prepare_second, SYNC(second, UP_TO_DATE)},
    {"sync: behind", prepare_third, SYNC(second, REMOTE_BEHIND)},
    {"sync: heights", prepare_unproven, SYNC(second, UP_TO_DATE), .prove = true},
    {"ask", prepare_part, run_ask, .goal = &tale.third},
    {"read", prepare_second, run_read, .goal = &tale.second},
    {"verify", prepare_part, run_verify, .goal = &tale.third},
    {"clear", prepare_part, run_clear, .goal = &tale.third},
    {"tags: first", prepare_empty, SYNC(second, FINALIZED), .tags = true},
    {"tags: more", prepare_second, SYNC(third, FINALIZED), .tags = true},
    {"tags: reorg", prepare_third, SYNC(fork, FINALIZED), .tags = true},
    {"tags: up to date", prepare_second, SYNC(second, UP_TO_DATE), .tags = true},
    {"tags: read", prepare_second, run_read_tags, .goal = &tale.second, .tags = true},
    {"tags: clear", prepare_second, run_clear_tags, .goal = &tale.third, .tags = true},
    {"migrate v1", prepare_v1, run_open, .goal = &tale.third, .opens = true, .legacy = true},
    {"migrate v2", prepare_v2, run_open, .goal = &tale.third, .opens = true, .legacy = true},
};

/* ---- Playing one --------------------------------------------------------------------------- */

/* Shared memory and locks are made anew by whoever opens a store. */
static bool is_made_anew(const char *name)
{
    const char *end = strrchr(name, '-');
    return name[0] == '.' || (end && (strcmp(end, "-shm") == 0 || strcmp(end, "-lock") == 0));
}

/* Calls `visit` for every file of a folder. */
static void each_file(const char *folder, void (*visit)(const char *path, const char *name))
{
    char path[600];
    DIR *listing = opendir(folder);
    if (!listing)
        ts_die("cannot list %s", folder);
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        visit(path, entry->d_name);
    }
    (void)closedir(listing);
}

static void remove_file(const char *path, const char *name)
{
    (void)name;
    if (unlink(path) != 0)
        ts_die("cannot remove %s", path);
}

static void place_file(const char *path, const char *name)
{
    char to[600];
    size_t len;
    if (is_made_anew(name))
        return;
    (void)snprintf(to, sizeof to, "%s/%s", on->folder, name);
    char *bytes = ts_read_file(path, &len);
    ts_write_file(to, bytes, len);
    free(bytes);
}

static bool has_files(const stage *s)
{
    return strcmp(s->real->name, as_backend_memory.name) != 0;
}

/* Puts the store there as `prepare` left it. Files are copied, so that nothing but the course has
 * used the engine in this process. */
static void place_store(stage *s)
{
    if (has_files(s)) {
        each_file(s->folder, remove_file);
        each_file(s->template, place_file);
    } else if (s->course->prepare) {
        s->course->prepare(s);
    }
}

static void go_on(stage *s, const char *which)
{
    char why[TF_WHY];
    const tw_chain *goal = *s->course->goal;
    if (s->course->outcome == ANONSET_REMOTE_BEHIND)
        goal = tale.last;
    anonset_outcome outcome = sync_some(s, goal, TP_ALL, BUDGET);
    if (outcome > ANONSET_UP_TO_DATE)
        tf_is_bad(s->report, "the next sync, by the %s handle, ends as %s: %s", which,
                  anonset_outcome_name(outcome), text_of(s));
    else if (!tp_is_whole(s->store, GROUP, goal, why, sizeof why) ||
             (s->course->tags && !tp_has_used(s->store, goal, why, sizeof why)))
        tf_is_bad(s->report, "after the next sync, by the %s handle: %s", which, why);
}

static void is_sound(stage *s)
{
    anonset_verdict verdict;
    anonset_code code = anonset_store_verify(s->store, &verdict, GROUP, &s->detail);
    if (code != ANONSET_OK || !verdict.sound)
        tf_is_bad(s->report, "verify does not hold in the end: %s", text_of(s));
}

static void check_code(stage *s, anonset_code code)
{
    if (code == ANONSET_OK)
        return;
    if (code != s->fault->code && (code != ANONSET_UNKNOWN || !s->fault->of_files))
        tf_is_bad(s->report, "it answers code %d: %s", (int)code, text_of(s));
    else if (s->detail.code != code || s->detail.text[0] == '\0')
        tf_is_bad(s->report, "the detail does not tell of it: code %d, %s", (int)s->detail.code,
                  text_of(s));
    else if (s->fault->says && code == s->fault->code &&
             (!strstr(text_of(s), s->fault->says) || !strstr(text_of(s), s->path)))
        tf_is_bad(s->report, "the text does not tell it: %s", text_of(s));
}

/* A write that failed may have been done or not; the handle says so, and refuses everything. */
static void close_if_unknown(stage *s, anonset_code code)
{
    anonset_state state;
    if (code != ANONSET_UNKNOWN || !s->store)
        return;
    if (anonset_store_state(s->store, &state, GROUP, NULL) != ANONSET_UNKNOWN)
        tf_is_bad(s->report, "a handle that does not know what it wrote goes on");
    close_store(s);
}

/* The fault is over: the handle goes on, or one is opened; then another one. */
static void look(stage *s, anonset_code code)
{
    unsigned flags = s->course->prepare ? 0 : ANONSET_STORE_CREATE;
    bool read_only = s->course->run == run_open_read_only;
    close_if_unknown(s, code);
    if (!s->store)
        open_store(s, flags);
    look_at_image(s, code);
    if (read_only) {
        close_store(s);
        open_store(s, flags);
    }
    go_on(s, "same");
    close_store(s);
    open_store(s, flags);
    go_on(s, "new");
    is_sound(s);
    if (!has_files(s))
        (void)anonset_store_clear(s->store, 0, NULL); /* it would live on without the handle */
    close_store(s);
}

static void play_course(stage *s, tf_report *report)
{
    tf_report quiet = {.records = false};
    s->report = &quiet; /* what prepares is not noted */
    place_store(s);
    if (!s->course->opens)
        open_store(s, 0);
    s->report = report;
    if (!s->course->opens)
        note_image(s, report->records ? image_of(s) : 0);
    s->detail = (anonset_detail){.code = ANONSET_OK};
    s->fault->arm(&report->plan, s->folder);
    report->code = s->course->run(s);
    s->fault->disarm(s->folder);
    check_code(s, report->code);
    report->records = false;
}

static void play(const tf_course *played, tf_report *report)
{
    stage *s = calloc(1, sizeof *s);
    if (!s)
        ts_die("no memory");
    *s = *(const stage *)played->context;
    on = s;
    play_course(s, report);
    look(s, report->code);
    free(s);
}

/* ---- All of them --------------------------------------------------------------------------- */

/* In a process of its own: the one that forks has never used an engine. */
static void make_template(stage *s)
{
    int status = 0;
    each_file(s->template, remove_file);
    pid_t pid = has_files(s) && s->course->prepare ? fork() : -1;
    if (pid == 0) {
        stage *mine = calloc(1, sizeof *mine);
        tf_report report = {.records = false};
        if (!mine)
            _exit(1);
        *mine = *s;
        on = mine;
        mine->report = &report;
        (void)snprintf(mine->path, sizeof mine->path, "%s/store", s->template);
        s->course->prepare(mine);
        free(mine);
        _exit(0);
    }
    if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0))
        ts_die("%s cannot be prepared", s->course->name);
}

static void set_stage(stage *s, const anonset_backend *backend, const char *folder)
{
    s->real = backend;
    s->telling = *backend;
    s->telling.open = telling_open;
    s->telling.set_genesis = telling_genesis;
    s->telling.append_sector = telling_append;
    s->telling.mark_complete = telling_complete;
    s->telling.discard_incomplete = telling_discard;
    s->telling.clear = telling_clear;
    s->telling.used_append = telling_used;
    (void)snprintf(s->template, sizeof s->template, "%s/template", folder);
    (void)snprintf(s->folder, sizeof s->folder, "%s/stores", folder);
    (void)snprintf(s->path, sizeof s->path, "%s/%s", s->folder,
                   has_files(s) ? "store" : "no file"); /* one there would be foreign to memory */
    if ((mkdir(s->template, 0755) != 0 || mkdir(s->folder, 0755) != 0) && errno != EEXIST)
        ts_die("cannot make folders in %s", folder);
}

void tf_store(tf_figures *sum, const anonset_backend *backend, const char *folder,
              const tf_options *options)
{
    stage *s = calloc(1, sizeof *s);
    if (!s)
        ts_die("no memory");
    set_stage(s, backend, folder);
    s->fault = options->fault;
    tell_story(1);
    for (size_t i = 0; i < sizeof courses / sizeof *courses; i++) {
        tf_course played = {.play = play, .context = s};
        if (courses[i].legacy && backend != &as_backend_sqlite)
            continue;
        played.counts_blocks = options->fault == &tf_no_memory;
        s->course = &courses[i];
        (void)snprintf(played.name, sizeof played.name, "%s %s", backend->name, s->course->name);
        if (options->only && !strstr(played.name, options->only))
            continue;
        make_template(s);
        tf_run(sum, &played, options);
    }
    tw_world_free(&tale.world);
    free(s);
}
