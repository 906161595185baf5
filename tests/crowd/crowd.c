#include "config.h"

#include "tests/crowd/crowd.h"

#include "tests/support/coins.h"
#include "tests/support/legacy.h"
#include "tests/support/support.h"
#include "tests/support/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE    4u
#define FIRST      2000u /* coins of the chain at the beginning */
#define LARGE      8000u /* from here on most of it is taken back, or the store would only grow */
#define SIZE_MOST  20000u
#define TAGS_FIRST 3000u
#define ROUND      100u /* programs that the first store sees; later ones grow older */
#define CACHED     200u /* coins of an older wallet's cache, which none of the chain are */
#define TOLD_MOST  10u
#define KILL_MS    40u
#define RUN_MS     300000u /* of one program, whatever the machine does beside */

typedef enum action {
    SYNC,
    VERIFY,
    REPAIR,
    EXPORT,
    STATUS,
    TAGS,
    CLEAR,
    COMMANDS
} action;

/* How often, of 100; and what a program may end with: 3: the chain did not stand still, 5: the
 * server is behind, or there is nothing yet, 7: others were faster, or upgrade an older cache. */
static const struct {
    const char *name;
    unsigned often;
    unsigned ends;
} commands[COMMANDS] = {
    [SYNC] = {"sync", 55, 1u << 0 | 1u << 3 | 1u << 5 | 1u << 7},
    [VERIFY] = {"verify", 10, 1u << 0 | 1u << 7},
    [REPAIR] = {"repair", 8, 1u << 0 | 1u << 7},
    [EXPORT] = {"export", 12, 1u << 0 | 1u << 5 | 1u << 7},
    [STATUS] = {"status", 7, 1u << 0 | 1u << 7},
    [TAGS] = {"tags", 5, 1u << 0 | 1u << 5 | 1u << 7},
    [CLEAR] = {"clear", 3, 1u << 0 | 1u << 7},
};

typedef struct program {
    bool runs;
    action action;
    bool had_store; /* when it began: then it may not miss it */
    double kill_at; /* 0: it is let be */
    ts_process process;
} program;

typedef struct crowd {
    const char *backend;
    const tm_limits *limits;
    tm_figures *figures;
    tw_rng rng;
    ts_dir dir;
    const char *db;
    ts_server server;
    uint32_t size, most, tags;    /* of the chain now, ever; of its list */
    bool was_size[SIZE_MOST + 1]; /* the chain had so many coins once */
    unsigned long round_ends;     /* behind so many programs */
    unsigned rounds;
    program programs[AT_ONCE];
} crowd;

static void bad(crowd *c, const char *command, const char *what, const ts_result *said)
{
    if (c->figures->bad++ < TOLD_MOST)
        (void)fprintf(stderr, "%s, seed %llu, program %lu: %s: %s (exit code %d)\n%s%.2000s\n",
                      c->backend, (unsigned long long)c->limits->seed, c->figures->programs,
                      command, what, said->exit_code, said->err, said->out);
}

/* ---- The chain ------------------------------------------------------------------------------ */

static void note_size(crowd *c)
{
    const char *meta = ts_tell(&c->server, "meta 1");
    const char *size = strrchr(meta, ' ');
    c->size = size ? (uint32_t)strtoul(size, NULL, 10) : 0;
    if (c->size > SIZE_MOST)
        ts_die("the chain has %u coins", (unsigned)c->size);
    c->was_size[c->size] = true;
    c->most = c->size > c->most ? c->size : c->most;
}

static unsigned up_to(crowd *c, uint32_t most)
{
    return tw_between(&c->rng, 1, most);
}

static void move_chain(crowd *c)
{
    unsigned what = c->size > LARGE ? 9 : tw_between(&c->rng, 0, 9);
    if (what <= 3)
        ts_tell(&c->server, "grow %u", up_to(c, 200));
    else if (what == 4)
        ts_tell(&c->server, "block %u", up_to(c, 30));
    else if (what <= 6)
        ts_tell(&c->server, "reorg %u", up_to(c, 5));
    else if (what == 7)
        ts_tell(&c->server, "remine %u", up_to(c, 4));
    else if (what == 8)
        ts_tell(&c->server, "recut %u %u", up_to(c, 5), up_to(c, 6));
    else if (c->size > LARGE)
        ts_tell(&c->server, "keep 20");
    else
        ts_tell(&c->server, "used %u", c->tags += up_to(c, 400));
    c->figures->moves++;
    note_size(c);
}

/* ---- Programs ------------------------------------------------------------------------------- */

/* One of several lists of words, each NULL-ended. */
static void add_words(crowd *c, const char **argv, size_t *n, const char *const (*lists)[4],
                      uint32_t count)
{
    const char *const *words = lists[tw_between(&c->rng, 0, count - 1)];
    while (*words)
        argv[(*n)++] = *words++;
}

#define ADD_WORDS(c, argv, n, lists)                                                               \
    add_words(c, argv, n, lists, (uint32_t)(sizeof(lists) / sizeof *(lists)))

static void add_options(crowd *c, const char **argv, size_t *n, action what)
{
    static const char *const synced[][4] = {{"--group", "1"},
                                            {"--group", "1", "--tags"},
                                            {"--group", "1", "--prove"},
                                            {"--all"},
                                            {"--tags"}};
    static const char *const sizes[][4] = {
        {NULL}, {"--sector-size", "7"}, {"--sector-size", "100"}, {"--sector-size", "1500"}};
    static const char *const reorgs[][4] = {{NULL}, {"--on-reorg", "keep"}};
    static const char *const cleared[][4] = {{NULL}, {"--group", "1"}, {"--tags"}};
    if (what == SYNC) {
        argv[(*n)++] = "--server";
        argv[(*n)++] = c->server.http;
        ADD_WORDS(c, argv, n, synced);
        ADD_WORDS(c, argv, n, sizes);
        ADD_WORDS(c, argv, n, reorgs);
    } else if (what == EXPORT) {
        argv[(*n)++] = "--group";
        argv[(*n)++] = "1";
    } else if (what == CLEAR) {
        ADD_WORDS(c, argv, n, cleared);
    } else if (what != TAGS) {
        argv[(*n)++] = "--json";
    }
}

static action choose(crowd *c)
{
    unsigned at = tw_between(&c->rng, 0, 99), what = SYNC;
    while (what + 1 < COMMANDS && at >= commands[what].often)
        at -= commands[what++].often;
    return (action)what;
}

static void begin(crowd *c, program *p)
{
    const char *argv[16] = {ts_anonset_path(c->backend)};
    size_t n = 1;
    p->action = choose(c);
    argv[n++] = commands[p->action].name;
    argv[n++] = "--db";
    argv[n++] = c->db;
    add_options(c, argv, &n, p->action);
    p->had_store = access(c->db, F_OK) == 0;
    p->kill_at = tw_chance(&c->rng, .3) ? ts_now() + up_to(c, KILL_MS) / 1e3 : 0;
    p->runs = true;
    ts_start(&p->process, argv);
    c->figures->programs++;
}

/* ---- What they said ------------------------------------------------------------------------- */

static void judge_repair(crowd *c, const ts_result *said)
{
    char path[32];
    bool sound = ts_json_is(said->out, "rebuilt", "null");
    for (unsigned i = 0; sound; i++) {
        (void)snprintf(path, sizeof path, "groups.%u.sound", i);
        if (!ts_json(said->out, path))
            break;
        sound = ts_json_is(said->out, path, "true");
    }
    if (!sound || (ts_json(said->out, "used_tags.dropped") &&
                   !ts_json_is(said->out, "used_tags.dropped", "0")))
        bad(c, "repair", "it found something to repair", said);
}

static void judge_export(crowd *c, const ts_result *said)
{
    size_t lines = 0;
    for (size_t i = 0; i < said->out_len; i++)
        lines += said->out[i] == '\n';
    if (lines > SIZE_MOST || !c->was_size[lines])
        bad(c, "export", "the chain never had so many coins", said);
}

static void judge(crowd *c, const program *p, const ts_result *said)
{
    const char *name = commands[p->action].name;
    unsigned ends = commands[p->action].ends | (p->had_store ? 0 : 1u << 6);
    if (said->exit_code < 0 || said->exit_code > 31 || !(ends >> said->exit_code & 1u))
        bad(c, name, "it may not end so", said);
    else if (said->exit_code == 0 && p->action == REPAIR)
        judge_repair(c, said);
    else if (said->exit_code == 0 && p->action == EXPORT)
        judge_export(c, said);
}

static void finish(crowd *c, program *p, unsigned ms)
{
    ts_result said;
    ts_finish(&p->process, &said, ms);
    judge(c, p, &said);
    ts_result_free(&said);
    p->runs = false;
}

static void turn(crowd *c, program *p)
{
    if (!p->runs) {
        begin(c, p);
    } else if (ts_ended(&p->process, 2)) {
        finish(c, p, RUN_MS);
    } else if (p->kill_at > 0 && ts_now() > p->kill_at) {
        ts_kill(&p->process);
        c->figures->killed++;
        p->runs = false;
    }
}

static void let_all_end(crowd *c)
{
    for (size_t i = 0; i < AT_ONCE; i++)
        if (c->programs[i].runs)
            finish(c, &c->programs[i], RUN_MS);
}

/* ---- Stores --------------------------------------------------------------------------------- */

/* The cache of an older wallet, which whoever comes first upgrades. */
static void put_cache(crowd *c)
{
    ts_chain *chain = ts_chain_new(1, CACHED);
    anonset_meta meta = ts_chain_meta(chain, chain->n);
    ts_legacy l;
    ts_legacy_create(&l, c->db, TS_LEGACY_V1);
    ts_legacy_delta(&l, ts_legacy_set(&l, 1, &meta), 1, chain->coins, chain->n, 100);
    ts_legacy_close(&l);
    ts_chain_free(chain);
    c->was_size[CACHED] = true;
}

/* A store that is not there yet; or with SQLite, every second time, one to be upgraded. */
static void begin_round(crowd *c)
{
    char name[32];
    let_all_end(c);
    (void)snprintf(name, sizeof name, "store-%u", c->rounds);
    c->db = ts_in(&c->dir, name);
    bool cached = c->rounds++ % 2 == 1 && strcmp(c->backend, "sqlite") == 0;
    if (cached)
        put_cache(c);
    c->round_ends = c->figures->programs + ROUND * (cached ? 1 : c->rounds);
}

/* ---- In the end ----------------------------------------------------------------------------- */

static void expect_same(crowd *c, const ts_result *said, const char *command, const char *file)
{
    size_t len;
    char *should = ts_read_file(file, &len);
    if (said->exit_code != 0 || said->out_len != len || memcmp(said->out, should, len) != 0)
        bad(c, command, "in the end it is not what the server has", said);
    free(should);
}

static void look_at_the_end(crowd *c)
{
    const char *coins = ts_in(&c->dir, "coins"), *tags = ts_in(&c->dir, "tags");
    ts_result said;
    ts_tell(&c->server, "grow %u", (unsigned)(c->most - c->size + 10)); /* or it is behind */
    ts_tell(&c->server, "dump 1 %s", coins);
    ts_tell(&c->server, "used dump %s", tags);
    ts_anonset(&said, c->backend, "sync", "--db", c->db, "--server", c->server.http, "--group", "1",
               "--tags", NULL);
    if (said.exit_code != 0)
        bad(c, "sync", "the last one failed", &said);
    ts_result_free(&said);
    ts_anonset(&said, c->backend, "verify", "--db", c->db, NULL);
    if (said.exit_code != 0)
        bad(c, "verify", "the store is not sound in the end", &said);
    ts_result_free(&said);
    ts_anonset(&said, c->backend, "export", "--db", c->db, "--group", "1", NULL);
    expect_same(c, &said, "export", coins);
    ts_result_free(&said);
    ts_anonset(&said, c->backend, "tags", "--db", c->db, "--txid", NULL);
    expect_same(c, &said, "tags", tags);
    ts_result_free(&said);
}

void tm_run(tm_figures *figures, const char *backend, const tm_limits *limits)
{
    static crowd c;
    double from = ts_now();
    *figures = (tm_figures){.bad = 0};
    c = (crowd){.backend = backend,
                .limits = limits,
                .figures = figures,
                .rng = {.state = limits->seed},
                .tags = TAGS_FIRST};
    ts_dir_make(&c.dir);
    ts_server_start(&c.server, "--lifeline", "--per-block", "1-60", NULL);
    ts_tell(&c.server, "grow %u", FIRST);
    ts_tell(&c.server, "used %u", c.tags);
    note_size(&c);
    while (figures->programs < limits->programs && figures->bad < TOLD_MOST) {
        if (figures->programs >= c.round_ends)
            begin_round(&c);
        for (size_t i = 0; i < AT_ONCE; i++)
            turn(&c, &c.programs[i]);
        if (tw_chance(&c.rng, .05))
            move_chain(&c);
    }
    let_all_end(&c);
    look_at_the_end(&c);
    ts_server_stop(&c.server);
    ts_dir_remove(&c.dir);
    figures->seconds = ts_now() - from;
}

void tm_print(const char *backend, const tm_figures *f)
{
    (void)printf("%-8s %lu programs in %.1f s, %lu killed, %lu changes of the chain; bad %lu\n",
                 backend, f->programs, f->seconds, f->killed, f->moves, f->bad);
    (void)fflush(stdout);
}
