/*
 * Hostile servers, each a row of hostile_table.c, against the program: over a real socket, with a
 * finalized set in the store and more coins on the server's chain. Whatever the server does, the
 * program ends in time and in little memory with the outcome told in the row and an error text that
 * says why; the finalized set and the list of used tags are the same, byte for byte; and an honest
 * sync then finishes.
 *
 *     hostile [NAME…]        all cases, or those whose name contains one of these words
 *
 * A case runs in a process of its own, some at once, for most of them wait for a timeout.
 */
#include "config.h"

#include "tests/scenario/hostile.h"

#include "backends/backends.h"
#include "tests/scenario/history.h"
#include "tests/scenario/peer.h"
#include "tests/support/play.h"
#include "tests/support/support.h"
#include "tests/support/valgrind.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Valgrind takes memory and time of its own, which are not judged: fewer cases may run at once, and
 * silence is longer. */
#define AT_ONCE          12u
#define VALGRIND_AT_ONCE 4u
#define SECONDS_MOST     20.0 /* two tries of one second each, under sanitizers on a busy machine */
#define MORE_KIB         3072 /* than an honest sync takes: the largest answer worth it, and its coins */
#define TLS_KIB          2048 /* besides that, for certificates: the honest sync is without TLS */

/* Bytes from one cut to the next. */
static size_t cut_stride(void)
{
#ifdef ANONSET_SANITIZED
    return 7;
#else
    return ts_valgrind() ? 101 : 1;
#endif
}

/* ---- One case ---------------------------------------------------------------------------------
 */

static tw_world world;
static const tw_chain *held, *grown, *elsewhere;
static struct history history;

static void open_store(const char *backend, const ts_dir *dir)
{
    static tw_rng rng;
    history = (struct history){.name = "the store",
                               .backend = strcmp(backend, "lmdb") == 0 ? &as_backend_lmdb
                                                                       : &as_backend_sqlite,
                               .budget = ANONSET_PROOF_BUDGET_DEFAULT,
                               .used = ANONSET_USED_TOO,
                               .world = &world,
                               .rng = &rng,
                               .server = {held, held}};
    (void)snprintf(history.path, sizeof history.path, "%s", ts_in(dir, "store"));
    history_open(&history);
}

static void close_store(void)
{
    anonset_store_close(history.store);
    history.store = NULL;
}

/* `used` NULL: whatever list of used tags was believed. */
static void store_has(const tw_chain *chain, const tw_chain *used, const char *backend,
                      const ts_dir *dir)
{
    char why[200];
    open_store(backend, dir);
    history_is_sound(&history);
    if (anonset_store_state(history.store, &history.now, 1, NULL) != ANONSET_OK ||
        memcmp(&history.now.finalized, &chain->meta, sizeof chain->meta) != 0 ||
        memcmp(history.now.digest, chain->digest, ANONSET_HASH_BYTES) != 0)
        ts_die("the finalized set is not the one it must be: %u coins, not %u",
               (unsigned)history.now.finalized.size, (unsigned)chain->meta.size);
    if (used && !tp_has_used(history.store, used, why, sizeof why))
        ts_die("the list of used tags is not the one it must be: %s", why);
    close_store();
}

static bool is_tags(const char *option)
{
    return option && strcmp(option, "--tags") == 0;
}

static bool is_alone(const char *option)
{
    return is_tags(option) || (option && strcmp(option, "--all") == 0);
}

static void run_program(ts_result *result, const char *backend, const ts_dir *dir, const char *url,
                        const char *option)
{
    const char *argv[] = {ts_anonset_path(backend),
                          "sync",
                          "--json",
                          "--db",
                          ts_in(dir, "store"),
                          "--server",
                          url,
                          ts_valgrind() ? "--timeout=5" : "--timeout=1",
                          "--retries=1",
                          "--sector-size=4",
                          is_alone(option) ? option : "--group=1",
                          option ? option : "--json",
                          NULL};
    ts_process process;
    ts_start(&process, argv);
    ts_finish(&process, result, 120000);
}

/* A sync with an honest server, of the coins or the used tags that are there; the memory it takes
 * at most. */
static long sync_honestly(const char *backend, const ts_dir *dir, const char *option)
{
    bool tags = is_tags(option);
    ts_peer peer = {.parallel = true};
    ts_result result;
    stage.row = NULL;
    peer_start(&peer, stage.over == OVER_FIROD ? "http" : "tcp", hostile_serve);
    run_program(&result, backend, dir, peer.url, tags ? option : NULL);
    peer_stop(&peer);
    if (result.exit_code != 0)
        ts_die("an honest sync ends with %d: %s%s", result.exit_code, result.out, result.err);
    store_has(tags ? held : grown, tags ? grown : held, backend, dir);
    long peak = result.peak_kib;
    ts_result_free(&result);
    return peak;
}

static void prepare(const char *backend, const ts_dir *dir, unsigned over)
{
    struct trouble none = {0};
    open_store(backend, dir);
    history_sync(&history, 0, 4, none);
    close_store();
    store_has(held, held, backend, dir);
    stage.over = over;
    stage.held = held;
    stage.chain = grown;
    stage.elsewhere = elsewhere;
}

static long measure_honest(const char *backend)
{
    ts_dir dir;
    ts_dir_make(&dir);
    prepare(backend, &dir, OVER_FIROD);
    long peak = sync_honestly(backend, &dir, NULL);
    ts_dir_remove(&dir);
    return peak;
}

static void judge(const hostile_row *row, const ts_result *result)
{
    const char *error = ts_json(result->out, "error");
    if (stage.struck == 0)
        ts_die("the server had no occasion: %s%s", result->out, result->err);
    if (!ts_json_is(result->out, "outcome", row->outcome) || result->exit_code != row->exit_code)
        ts_die("exit code %d: %s%s", result->exit_code, result->out, result->err);
    bool told = error && strcmp(error, "null") != 0;
    if (told != (row->words != NULL) || (told && !strstr(error, row->words)))
        ts_die("the error does not say \"%s\": %s", row->words ? row->words : "nothing",
               error ? error : "none");
    if (!ts_valgrind() && result->seconds > SECONDS_MOST)
        ts_die("it took %.1f s", result->seconds);
}

static void check_memory(const hostile_row *row, const ts_result *result, long honest)
{
    long most = honest + MORE_KIB + (row->scheme ? TLS_KIB : 0);
#ifdef ANONSET_SANITIZED /* which keep what was freed */
    most = LONG_MAX;
#endif
    if (!ts_valgrind() && result->peak_kib > most)
        ts_die("it took %ld KiB, %ld more than an honest sync", result->peak_kib,
               result->peak_kib - honest);
    printf("%4.1f s %+6ld KiB  %s", result->seconds, result->peak_kib - honest, result->out);
}

static void play(const hostile_row *row, unsigned over, const char *backend, long honest)
{
    const char *scheme = over == OVER_ELECTRUMX ? "tcp" : "http";
    ts_dir dir;
    ts_peer peer = {.parallel = true};
    ts_result result;
    ts_dir_make(&dir);
    prepare(backend, &dir, over);
    stage.row = row;
    peer_start(&peer, row->scheme ? row->scheme : scheme, hostile_serve);
    run_program(&result, backend, &dir, peer.url, row->option);
    peer_stop(&peer);
    judge(row, &result);
    const tw_chain *after = row->exit_code == 0 ? grown : held;
    bool tags = is_tags(row->option);
    store_has(tags ? held : after, row->is_believed ? NULL : tags ? after : held, backend, &dir);
    (void)sync_honestly(backend, &dir, row->option);
    check_memory(row, &result, honest);
    ts_result_free(&result);
    ts_dir_remove(&dir);
}

/* ---- Cut at each byte --------------------------------------------------------------------------
 */

static void keep_outcome(void *context, const anonset_result *result)
{
    *(anonset_outcome *)context = result->outcome;
}

/* One sync by the library, which gives up at the first failure. */
static anonset_outcome sync_once(const char *url)
{
    anonset_outcome outcome = ANONSET_OUTCOME_COUNT;
    anonset_client_options how;
    anonset_sync_options what;
    anonset_client *client = NULL;
    anonset_sync *sync = NULL;
    anonset_client_options_init(&how);
    how.retries = 0;
    anonset_sync_options_init(&what);
    what.sector_size = 4;
    what.on_result = keep_outcome;
    what.context = &outcome;
    if (anonset_client_new(&client, url, &how, NULL) != ANONSET_OK ||
        anonset_sync_new(&sync, history.store, &what, NULL) != ANONSET_OK ||
        anonset_client_run(client, sync, NULL) != ANONSET_OK)
        ts_die("no sync");
    anonset_sync_free(sync);
    anonset_client_free(client);
    return outcome;
}

static void check_cut(anonset_outcome outcome, size_t bytes)
{
    const tw_chain *chain = outcome == ANONSET_FINALIZED ? grown : held;
    const anonset_store *store = history.store;
    anonset_state now;
    if (outcome != ANONSET_FINALIZED && outcome != ANONSET_NETWORK_ERROR)
        ts_die("cut behind %zu bytes: %s", bytes, anonset_outcome_name(outcome));
    if (anonset_store_state(history.store, &now, 1, NULL) != ANONSET_OK ||
        memcmp(&now.finalized, &chain->meta, sizeof chain->meta) != 0 ||
        memcmp(now.digest, chain->digest, ANONSET_HASH_BYTES) != 0)
        ts_die("cut behind %zu bytes, the finalized set is another one", bytes);
    /* The next sync is to see the same answers. */
    if (outcome == ANONSET_NETWORK_ERROR &&
        store->backend->discard_incomplete(store->handle, 1, NULL) != ANONSET_OK)
        ts_die("the pending set cannot be dropped");
}

/* The connection ends behind each byte that a sync is sent, or one in some, in turn. */
static void cut_everywhere(unsigned over, const char *backend)
{
    anonset_outcome outcome = ANONSET_OUTCOME_COUNT;
    ts_dir dir;
    ts_peer peer = {.parallel = true};
    size_t cuts = 0;
    ts_dir_make(&dir);
    prepare(backend, &dir, over);
    open_store(backend, &dir);
    peer_start(&peer, over == OVER_FIROD ? "http" : "tcp", hostile_serve);
    for (size_t at = 1; outcome != ANONSET_FINALIZED; at += cut_stride(), cuts++) {
        atomic_store(&stage.cut_after, at);
        outcome = sync_once(peer.url);
        check_cut(outcome, at);
    }
    peer_stop(&peer);
    history_is_sound(&history);
    close_store();
    ts_dir_remove(&dir);
    printf("%zu cuts\n", cuts - 1);
}

/* ---- All of them ------------------------------------------------------------------------------
 */

struct running {
    pid_t pid;
    const hostile_row *row;
    unsigned over;
    FILE *out;
};

static const char *const backends[] = {"sqlite", "lmdb"};
static long honest_kib[2];
static unsigned cases, bad;

/* Without a row: the cuts. */
static void start(struct running *slot, const hostile_row *row, unsigned over)
{
    unsigned backend = cases++ % 2;
    *slot = (struct running){.row = row, .over = over, .out = tmpfile()};
    if (!slot->out)
        ts_die("no file for a case's words");
    (void)fflush(NULL);
    slot->pid = fork();
    if (slot->pid != 0)
        return;
    if (dup2(fileno(slot->out), STDOUT_FILENO) < 0 || dup2(fileno(slot->out), STDERR_FILENO) < 0)
        _exit(1);
    if (row)
        play(row, over, backends[backend], honest_kib[backend]);
    else
        cut_everywhere(over, backends[backend]);
    exit(0);
}

static const char *name_of(const hostile_row *row)
{
    return row ? row->name : "cut behind each byte";
}

static void finish_one(struct running *slots)
{
    int status;
    pid_t pid = wait(&status);
    struct running *slot = slots;
    while (slot < slots + AT_ONCE && slot->pid != pid)
        slot++;
    if (pid < 0 || slot == slots + AT_ONCE)
        ts_die("a case is lost");
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bad += !good;
    printf("%s %-9s %-48s ", good ? "ok " : "BAD", slot->over == OVER_FIROD ? "firod" : "electrumx",
           name_of(slot->row));
    rewind(slot->out);
    for (int c; (c = getc(slot->out)) != EOF;)
        putchar(c);
    fclose(slot->out);
    slot->pid = 0;
}

static bool is_wanted(const hostile_row *row, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(name_of(row), argv[i]))
            return true;
    return argc <= 1;
}

/* Starts a case when there is room for one more. */
static void begin(struct running *slots, unsigned *busy, const hostile_row *row, unsigned over)
{
    unsigned at = 0;
    if (*busy == (ts_valgrind() ? VALGRIND_AT_ONCE : AT_ONCE))
        finish_one(slots);
    else
        ++*busy;
    while (slots[at].pid != 0)
        at++;
    start(&slots[at], row, over);
}

int main(int argc, char **argv)
{
    struct running slots[AT_ONCE] = {{0}};
    unsigned busy = 0;
    tw_world_init(&world, 7);
    held = tw_grow_wide(&world, NULL, 4, 2);
    grown = tw_grow_wide(&world, held, 4, 2);
    elsewhere = tw_grow_wide(&world, NULL, 10, 2);
    for (int i = 0; i < 2; i++)
        honest_kib[i] = measure_honest(backends[i]);
    for (unsigned over = OVER_ELECTRUMX; over <= OVER_FIROD; over++)
        if (is_wanted(NULL, argc, argv))
            begin(slots, &busy, NULL, over);
    for (size_t i = 0; i < hostile_n; i++)
        for (unsigned over = OVER_ELECTRUMX; over <= OVER_FIROD; over++)
            if ((hostile_rows[i].over & over) && is_wanted(&hostile_rows[i], argc, argv))
                begin(slots, &busy, &hostile_rows[i], over);
    for (; busy > 0; busy--)
        finish_one(slots);
    tw_world_free(&world);
    printf("figures: %u cases; bad %u\n", cases, bad);
    return bad > 0;
}
