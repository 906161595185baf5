/*
 * Every call into the libraries below the program fails while its commands run: each ends with an
 * exit code that is documented for it, and with a word on standard error unless it went well; the
 * store is sound behind it.
 */
#include "config.h"

#include "cli/command.h"
#include "cli/exits.h"
#include "core/store.h"
#include "tests/shims/calls.h"
#include "tests/shims/wraps.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

int convert_main(int argc, char **argv);

static ts_dir dir;
static ts_server server;
static const char *store;   /* of a finalized and a pending set */
static const char *scratch; /* a copy of it */
static int said;            /* a file in memory: what standard error was told */

static void must(const char *what, ts_result *result, int exit_code)
{
    cr_assert_eq(result->exit_code, exit_code, "%s: %s%s", what, result->out, result->err);
    ts_result_free(result);
}

static void begin(void)
{
    ts_result result;
    if (access("/dev/shm", W_OK) == 0)
        cr_assert_eq(setenv("TMPDIR", "/dev/shm", 0), 0);
    ts_dir_make(&dir);
    store = ts_in(&dir, "store");
    scratch = ts_in(&dir, "scratch");
    ts_server_start(&server, "--coins", "300", "--per-block", "20-30", NULL);
    ts_anonset(&result, "sqlite", "sync", "--db", store, "--server", server.tcp, "--group", "1",
               NULL);
    must("the first sync", &result, 0);
    ts_tell(&server, "used 300");
    ts_anonset(&result, "sqlite", "sync", "--db", store, "--server", server.tcp, "--tags", NULL);
    must("the sync of used tags", &result, 0);
    ts_tell(&server, "grow 100");
    ts_tell(&server, "fault drop skip=4 times=0");
    ts_anonset(&result, "sqlite", "sync", "--db", store, "--server", server.tcp, "--group", "1",
               "--sector-size", "30", "--retries", "0", NULL);
    must("the sync that is cut off", &result, 3);
    ts_tell(&server, "faults clear");
    said = memfd_create("said", MFD_CLOEXEC);
    cr_assert_geq(said, 0);
}

static void end(void)
{
    ts_server_stop(&server);
    ts_dir_remove(&dir);
}

TestSuite(calls_cli, .init = begin, .fini = end, .timeout = 600);

/* ---- Running a command in this process --------------------------------------------------------
 */

typedef int program(void *context);

/* Its exit code; what it says is in `said`. */
static int run_quietly(program *run, void *context, bool for_good)
{
    int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    cr_assert(nothing >= 0 && ftruncate(said, 0) == 0 && lseek(said, 0, SEEK_SET) == 0);
    int out = ts_redirect(STDOUT_FILENO, nothing), err = ts_redirect(STDERR_FILENO, said);
    calls_arm(for_good);
    int code = run(context);
    calls_disarm();
    ts_restore(STDERR_FILENO, err);
    ts_restore(STDOUT_FILENO, out);
    clearerr(stdout);
    close(nothing);
    return code;
}

static void expect_documented(const char *name, int code)
{
    const char *meaning;
    int known = -1;
    for (size_t i = 0; (meaning = exits_row(i, &known)) && known != code; i++)
        ;
    cr_assert_not_null(meaning, "%s by %s: exit code %d", name, calls_name(), code);
    cr_assert(code == 0 || lseek(said, 0, SEEK_END) > 0, "%s by %s: exit code %d, and no word",
              name, calls_name(), code);
}

static void copy_store(void)
{
    size_t len;
    char *bytes = ts_read_file(store, &len);
    (void)unlink(ts_in(&dir, "made"));
    (void)unlink(scratch);
    (void)unlink(ts_in(&dir, "scratch-wal"));
    (void)unlink(ts_in(&dir, "scratch-shm"));
    (void)unlink(ts_in(&dir, "scratch.damaged"));
    ts_write_file(scratch, bytes, len);
    free(bytes);
}

/* What cannot be read is damage to a repair, and missing behind it. */
static void fetch_again(const char *name)
{
    ts_result result;
    ts_anonset(&result, "sqlite", "sync", "--db", scratch, "--server", server.tcp, "--group", "1",
               NULL);
    cr_assert_eq(result.exit_code, 0, "behind %s by %s: %s", name, calls_name(), result.err);
    ts_result_free(&result);
}

static void expect_sound(const char *name)
{
    ts_result result;
    ts_anonset(&result, "sqlite", "verify", "--db", scratch, NULL);
    if (result.exit_code == EXITS_STORE && strcmp(name, "repair") == 0) {
        ts_result_free(&result);
        fetch_again(name);
        ts_anonset(&result, "sqlite", "verify", "--db", scratch, NULL);
    }
    cr_assert_eq(result.exit_code, 0, "behind %s by %s: %s%s", name, calls_name(), result.out,
                 result.err);
    ts_result_free(&result);
}

static void fail_ways(const char *name, program *run, void *context)
{
    static const int codes[] = {SQLITE_IOERR_READ, SQLITE_NOMEM, SQLITE_CORRUPT, SQLITE_BUSY};
    static const int os_errors[] = {EIO, ENOSPC, EACCES};
    unsigned runs = 0;
    calls_forget();
    calls_sample();
    do {
        copy_store();
        wraps_fail_with(codes[runs % COUNT(codes)], EIO, os_errors[runs % COUNT(os_errors)]);
        expect_documented(name, run_quietly(run, context, runs % 2 == 1));
        expect_sound(name);
        runs++;
    } while (calls_struck());
    cr_log_info("%s: %u ways failed", name, calls_ways());
    cr_expect_gt(calls_ways_met(), 20);
}

/* ---- The commands -----------------------------------------------------------------------------
 */

typedef struct line {
    const struct command *command;
    struct args args;
} line;

static int run_line(void *context)
{
    const line *l = context;
    return l->command->run(&l->args);
}

static void fail_command(const struct command *command, struct args args)
{
    line l = {.command = command, .args = args};
    l.args.db = scratch;
    fail_ways(command->name, run_line, &l);
}

Test(calls_cli, status)
{
    fail_command(&cmd_status, (struct args){.group = 0});
    fail_command(&cmd_status, (struct args){.group = 1, .json = true});
}

Test(calls_cli, verify)
{
    fail_command(&cmd_verify, (struct args){.group = 0});
    fail_command(&cmd_verify, (struct args){.group = 1, .json = true});
}

Test(calls_cli, export)
{
    fail_command(&cmd_export, (struct args){.group = 1, .has_after = true});
    fail_command(&cmd_export, (struct args){.group = 1, .order = ANONSET_OLDEST_FIRST});
}

Test(calls_cli, clear)
{
    fail_command(&cmd_clear, (struct args){.group = 1});
}

/* The list of used coin tags, of which the newest are others by now. */
Test(calls_cli, used_tags)
{
    static const char absent[] = "iu6TSODWp2qLiWRy4xiXCMx/wDVdJNIqU5TKQu1ToHIAAA==";
    struct args sync = {.tags = true, .has_retries = true, .json = true, .server = server.http};
    fail_command(&cmd_tags, (struct args){.txid = true});
    fail_command(&cmd_check, (struct args){.operand = absent});
    fail_command(&cmd_status, (struct args){.tags = true, .json = true});
    fail_command(&cmd_clear, (struct args){.tags = true});
    ts_tell(&server, "used 310 290");
    fail_command(&cmd_sync, sync);
}

Test(calls_cli, repair)
{
    fail_command(&cmd_repair, (struct args){.group = 0, .json = true});
}

/* A store that says of a set hash that it was proven, and it cannot be: nothing of it is kept. */
Test(calls_cli, repair_of_a_false_proof)
{
    const char *lied = ts_in(&dir, "lied");
    ts_result result;
    anonset_store *opened;
    anonset_state state;
    anonset_complete raise = {.group = 1, .gate = ANONSET_GATE_SET_HASH};
    ts_server few;
    ts_server_start(&few, "--coins", "60", "--per-block", "20-30", NULL);
    ts_tell(&few, "fault set-hash times=0");
    ts_anonset(&result, "sqlite", "sync", "--db", lied, "--server", few.tcp, "--group", "1",
               "--proof-budget", "0", NULL);
    must("the sync with a server that lies", &result, 0);
    ts_tell(&few, "faults clear");
    cr_assert_eq(anonset_store_open(&opened, lied, NULL, NULL), ANONSET_OK);
    cr_assert_eq(anonset_store_state(opened, &state, 1, NULL), ANONSET_OK);
    raise.target = state.finalized;
    memcpy(raise.digest, state.digest, sizeof raise.digest);
    cr_assert_eq(opened->backend->mark_complete(opened->handle, &raise, NULL), ANONSET_OK);
    anonset_store_close(opened);

    ts_anonset(&result, "sqlite", "repair", "--db", lied, NULL);
    cr_expect(strstr(result.out, "group 1: nothing of it could be kept\n"), "%s", result.out);
    must("the repair", &result, 0);
    ts_anonset(&result, "sqlite", "sync", "--db", lied, "--server", few.tcp, "--group", "1", NULL);
    must("the sync behind it", &result, 0);
    ts_server_stop(&few);
}

Test(calls_cli, sync)
{
    struct args args = {.group = 1, .follow = true, .has_retries = true, .json = true};
    args.server = server.tcp;
    args.proof_budget = ANONSET_PROOF_BUDGET_DEFAULT;
    fail_command(&cmd_sync, args);
}

static int run_convert(void *context)
{
    static char name[] = "anonset-convert", to[] = "--to", lmdb[] = "lmdb", json[] = "--json";
    char from[300], made[300];
    char *argv[] = {name, to, lmdb, from, made, json, NULL};
    (void)snprintf(from, sizeof from, "%s", scratch);
    (void)snprintf(made, sizeof made, "%s", (const char *)context);
    optind = 0;
    return convert_main(calls_ways() % 2 ? 5 : 6, argv);
}

Test(calls_cli, convert)
{
    char made[300];
    (void)snprintf(made, sizeof made, "%s", ts_in(&dir, "made"));
    fail_ways("convert", run_convert, made);
}
