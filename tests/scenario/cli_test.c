/*
 * The program as people and scripts meet it: what it prints without --json, which exit code it ends
 * with, and what it says when an option, a store or its own output is wrong.
 */
#include "tests/scenario/scene.h"
#include "tests/support/valgrind.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Runs the program with words, NULL-ended, and the store; the result is in s->last. */
#define RUN(s, ...)                                                                                \
    do {                                                                                           \
        ts_result_free(&(s)->last);                                                                \
        ts_anonset(&(s)->last, (s)->backend, __VA_ARGS__, NULL);                                   \
    } while (0)
#define RUN_DB(s, command, ...) RUN(s, command, "--db", (s)->db, ##__VA_ARGS__)

static void ends(const scene *s, int exit_code)
{
    cr_assert_eq(s->last.exit_code, exit_code, "%s: exit code %d: %s%s", s->backend,
                 s->last.exit_code, s->last.out, s->last.err);
}

static void says(const scene *s, const char *words)
{
    cr_expect(strstr(s->last.out, words), "%s: \"%s\" is not in: %s", s->backend, words,
              s->last.out);
}

static void complains(const scene *s, const char *words)
{
    cr_expect(strstr(s->last.err, words), "%s: \"%s\" is not in: %s", s->backend, words,
              s->last.err);
}

SCENARIO(cli, the_program_itself, "--coins", "0")
{
    RUN(s, "--help");
    ends(s, 0);
    says(s, "Usage: anonset COMMAND");
    says(s, "  verify ");
    RUN(s, "-h");
    ends(s, 0);
    RUN(s, "--version");
    ends(s, 0);
    says(s, s->backend);
    RUN(s, "dance");
    ends(s, 2);
    complains(s, "there is no command \"dance\"");
    RUN(s, "status", "--help");
    ends(s, 0);
    says(s, "--json");
    const char *const alone[] = {ts_anonset_path(s->backend), NULL};
    ts_process process;
    ts_start(&process, alone);
    ts_result_free(&s->last);
    ts_finish(&process, &s->last, 10000);
    ends(s, 2);
    complains(s, "Usage: anonset COMMAND");
}

SCENARIO(cli, options_that_do_not_go_together, "--coins", "0")
{
    RUN_DB(s, "sync", "--group", "1");
    ends(s, 2);
    complains(s, "--server URL is missing");
    RUN_DB(s, "sync", "--server", "tcp://h:1", "--group", "1", "--all");
    ends(s, 2);
    complains(s, "exclude each other");
    RUN_DB(s, "sync", "--server", "tcp://h:1");
    ends(s, 2);
    complains(s, "say which group");
    RUN_DB(s, "sync", "--server", "ssl://h:1", "--group", "1", "--tls-insecure", "--tls-pin", "p");
    ends(s, 2);
    complains(s, "exclude each other");
    RUN_DB(s, "sync", "--server", "nonsense", "--group", "1");
    ends(s, 2);
    complains(s, "cannot be read");
    RUN_DB(s, "export");
    ends(s, 2);
    complains(s, "--group N is missing");
    cr_expect_neq(access(s->db, F_OK), 0, "a mistyped line left a store");
}

SCENARIO(cli, a_store_that_is_not_there, "--coins", "0")
{
    static const char *const commands[] = {"status", "verify", "export", "repair"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        RUN_DB(s, commands[i], "--group", "1");
        ends(s, 6);
        complains(s,
                  strcmp(commands[i], "repair") == 0 ? "cannot repair" : "cannot open the store");
        complains(s, "next: check the path");
    }
    /* A folder cannot be a store. */
    RUN(s, "clear", "--db", s->dir.path);
    cr_assert_neq(s->last.exit_code, 0);
    complains(s, "cannot open the store");
    RUN(s, "sync", "--json", "--db", s->dir.path, "--server", s->server.tcp, "--group", "1");
    cr_assert_neq(s->last.exit_code, 0);
    cr_expect(ts_json_is(s->last.out, "outcome", "store_error"), "%s", s->last.out);
    cr_expect_not(ts_json_is(s->last.out, "error", "null"), "%s", s->last.out);
}

SCENARIO(cli, an_empty_store, "--coins", "0")
{
    scene_sync_is(s, "no_such_group", 5);
    RUN_DB(s, "clear");
    ends(s, 0);
    RUN_DB(s, "status");
    ends(s, 0);
    says(s, "nothing is stored yet\n");
    says(s, "on disk: ");
    RUN_DB(s, "status", "--json");
    says(s, "[]");
    RUN_DB(s, "verify");
    ends(s, 0);
    says(s, "nothing is stored yet\n");
    RUN_DB(s, "verify", "--group", "1");
    ends(s, 5);
    complains(s, "nothing of group 1 is stored");
    RUN_DB(s, "export", "--group", "1");
    ends(s, 5);
    complains(s, "group 1 has no whole set");
    RUN_DB(s, "repair");
    ends(s, 0);
    says(s, "nothing is stored yet\n");
    RUN_DB(s, "repair", "--json");
    ends(s, 0);
    cr_expect_str_eq(s->last.out, "{\"groups\":[],\"used_tags\":null,\"rebuilt\":null}\n");
    RUN_DB(s, "repair", "--group", "1");
    ends(s, 5);
    complains(s, "nothing of group 1 is stored");
}

SCENARIO(cli, what_a_sync_tells, "--coins", "3000", "--per-block", "5-20")
{
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1", "--proof-budget", "1");
    ends(s, 0);
    says(s, "group 1: whole and checked, 3,000 coins (gate level count)\n");
    says(s, "the set hash was not proven: the coins may be cut into blocks in more ways");
    says(s, "fetched 3,000 coins from position 0 on");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1");
    ends(s, 0);
    says(s, "already up to date, 3,000 coins (gate level count)\n");
    says(s, "this sync did not look for a proof");
    ts_tell(&s->server, "grow 20 2");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1");
    says(s, "it follows from the set before, which is not proven itself");
    ts_tell(&s->server, "heights off");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1", "--prove", "--proof-budget", "2");
    ends(s, 0);
    says(s, "the server did not tell the heights");
    ts_tell(&s->server, "heights on");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1", "--prove");
    ends(s, 0);
    says(s, "the set hash was proven");
    ts_tell(&s->server, "remine 2");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1");
    says(s, "same coins, new newest block");
    ts_tell(&s->server, "reorg 3");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1");
    says(s, "the chain was reorganized: the newest ");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1", "--quiet");
    ends(s, 0);
    cr_expect_str_empty(s->last.out);
    ts_tell(&s->server, "lag 4");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1", "--quiet");
    ends(s, 5);
    complains(s, "the server has fewer coins than the store");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "9", "--retries", "0");
    ends(s, 5);
    complains(s, "the server has no such group");
}

SCENARIO(cli, a_group_of_one_block_and_the_next_group, "--coins", "0", "--group-limit", "160",
         "--group-overlap", "60")
{
    ts_tell(&s->server, "block 7");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1");
    ends(s, 0);
    says(s, "a group of one block has none yet");
    ts_tell(&s->server, "grow 300");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "2");
    ends(s, 0);
    says(s, "the group before is not held, or not proven");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--all");
    ends(s, 0);
    says(s, "coins from group ");
    RUN_DB(s, "verify");
    ends(s, 0);
    says(s, "group 2: sound, ");
    says(s, "  digest ");
    RUN_DB(s, "status");
    says(s, "group  whole coins");
    says(s, "    2  ");
}

SCENARIO(cli, what_is_pending_is_told, "--coins", "600")
{
    ts_tell(&s->server, "fault drop skip=4 times=0");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1", "--sector-size", "100",
           "--retries", "0");
    ends(s, 3);
    complains(s, "kept: no whole set is stored yet; of the next one, ");
    RUN_DB(s, "status", "--group", "1");
    ends(s, 0);
    says(s, " of 600\n");
    RUN_DB(s, "verify", "--group", "1");
    ends(s, 0);
    says(s, "group 1: sound, ");
}

/* A set of one block has no set hash, nor has one of it that is being fetched. */
SCENARIO(cli, what_is_pending_of_one_block_is_told, "--coins", "300", "--per-block", "300-300")
{
    ts_tell(&s->server, "fault drop skip=4 times=0");
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1", "--sector-size", "50", "--retries",
           "0");
    ends(s, 3);
    RUN_DB(s, "status", "--json");
    ends(s, 0);
    cr_expect(ts_json_is(s->last.out, "0.pending.size", "300"), "%s", s->last.out);
    cr_expect(ts_json_is(s->last.out, "0.pending.set_hash", "null"), "%s", s->last.out);
}

SCENARIO(cli, verify_tells_what_was_proven, "--coins", "400", "--per-block", "30-60")
{
    RUN_DB(s, "sync", "--server", s->server.tcp, "--group", "1", "--prove", "--proof-budget", "2");
    ends(s, 0);
    RUN_DB(s, "verify", "--group", "1");
    ends(s, 0);
    says(s, "the set hash was proven for 400 coins when synced; recomputed now for ");
    RUN_DB(s, "verify", "--json");
    ends(s, 0);
    cr_expect(ts_json_is(s->last.out, "0.proven", "400"), "%s", s->last.out);
}

SCENARIO(cli, export_since_a_block, "--coins", "200")
{
    char block[64];
    scene_sync_is(s, "finalized", 0);
    (void)snprintf(block, sizeof block, "%s", scene_status(s, "finalized.block_hash"));
    ts_tell(&s->server, "grow 30 2");
    scene_sync_is(s, "finalized", 0);
    RUN_DB(s, "export", "--group", "1", "--after", block);
    ends(s, 0);
    cr_expect_not_null(ts_line(s->last.out, 29));
    cr_expect(!ts_line(s->last.out, 30) || !*ts_line(s->last.out, 30), "more than what is newer");
    block[0] = block[0] == 'A' ? 'B' : 'A';
    RUN_DB(s, "export", "--group", "1", "--after", block);
    ends(s, 5);
    complains(s, "not in this set's history");
    RUN_DB(s, "export", "--group", "1", "--gate", "set-hash");
    if (s->last.exit_code != 0) {
        ends(s, 4);
        complains(s, "below the level that --gate asks for");
    }
    RUN_DB(s, "clear", "--group", "1");
    ends(s, 0);
    scene_sync(s, "--proof-budget", "0", NULL);
    RUN_DB(s, "export", "--group", "1", "--gate", "set-hash");
    ends(s, 4);
    complains(s, "below the level that --gate asks for");
    cr_expect_str_empty(s->last.out);
}

/* Bytes in the middle of the file are turned round. */
static void damage(const char *path)
{
    struct stat info;
    uint8_t bytes[16384];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert(fd >= 0 && fstat(fd, &info) == 0);
    off_t at = info.st_size / 2;
    cr_assert_eq(pread(fd, bytes, sizeof bytes, at), (ssize_t)sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)~bytes[i];
    cr_assert_eq(pwrite(fd, bytes, sizeof bytes, at), (ssize_t)sizeof bytes);
    close(fd);
}

SCENARIO(cli, a_damaged_store, "--coins", "2000")
{
    scene_sync_is(s, "finalized", 0);
    damage(s->db);
    RUN_DB(s, "verify", "--group", "1");
    ends(s, 6);
    complains(s, "cause: ");
    complains(s, "next: ");
    RUN_DB(s, "verify", "--json");
    ends(s, 6);
    RUN_DB(s, "export", "--group", "1");
    ends(s, 6);
    complains(s, "cause: ");
}

/* ---- Output that does not get through ---------------------------------------------------------
 */

/* Runs a line of the shell with "$ANONSET" and "$DB". */
static void shell(scene *s, const char *line)
{
    const char *const argv[] = {"/bin/sh", "-c", line, NULL};
    ts_process process;
    cr_assert_eq(setenv("ANONSET", ts_anonset_path(s->backend), 1), 0);
    cr_assert_eq(setenv("DB", s->db, 1), 0);
    ts_result_free(&s->last);
    ts_start(&process, argv);
    ts_finish(&process, &s->last, 60000);
}

SCENARIO(cli, output_that_cannot_be_written, "--coins", "400")
{
    scene_sync_is(s, "finalized", 0);
    shell(s, "\"$ANONSET\" export --db \"$DB\" --group 1 >/dev/full");
    ends(s, 1);
    complains(s, "the output could not be written");
    shell(s, "\"$ANONSET\" status --db \"$DB\" >/dev/full");
    ends(s, 1);
    complains(s, "the output could not be written");
    /* Valgrind opens its log in the place of a stream that is closed, and leaves it open there. */
    if (!ts_valgrind()) {
        shell(s, "\"$ANONSET\" status --db \"$DB\" >&-");
        ends(s, 1);
    }
    /* A reader that goes away ends it, and no signal does. */
    shell(s, "{ \"$ANONSET\" export --db \"$DB\" --group 1; echo $? >&2; } | head -n 1");
    complains(s, "1\n");
}

SCENARIO(cli, standard_streams_that_are_closed, "--coins", "50")
{
    scene_sync_is(s, "finalized", 0);
    shell(s, "\"$ANONSET\" status --db \"$DB\" <&- 2>&-");
    ends(s, 0);
    says(s, "on disk: ");
    shell(s, "\"$ANONSET\" clear --db \"$DB\" >&- 2>&- <&-");
    scene_verify(s);
}

/* ---- Interrupts -------------------------------------------------------------------------------
 */

/* The second SIGINT does not wait for the first one's orderly end: the server holds the answer, and
 * the sync stands in its store. */
SCENARIO(cli, interrupted_twice, "--coins", "2000")
{
    ts_process sync;
    ts_tell(&s->server, "hold 3");
    ts_anonset_start(&sync, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--group",
                     "1", "--sector-size", "50", NULL);
    ts_wait(&s->server, "held", 1);
    ts_signal(&sync, SIGSTOP);
    ts_signal(&sync, SIGINT);
    ts_signal(&sync, SIGCONT);
    ts_signal(&sync, SIGINT);
    ts_result_free(&s->last);
    ts_finish(&sync, &s->last, 10000);
    ends(s, 130);
    ts_tell(&s->server, "release");
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}
