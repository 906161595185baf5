/* A desktop's store, fed by a node, feeds a phone's: the program at both ends of a real socket. */
#include "config.h"
#include "tests/scenario/scene.h"
#include "tests/server/wire.h"
#include "tests/support/valgrind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PLACES_OF_ONE 16 /* connections from one address */
#ifdef ANONSET_SANITIZED
#define MEMORY_KB_MOST 600000u /* with the shadow, and what was freed */
#else
#define MEMORY_KB_MOST 40000u
#endif

typedef struct served {
    ts_process process;
    char url[64];
} served;

/* Waits for the first line of output: the URL. */
static void read_url(served *to)
{
    ssize_t got = 0;
    for (unsigned i = 0; i < 30000 && !memchr(to->url, '\n', sizeof to->url - 1); i += 5) {
        cr_assert(!ts_ended(&to->process, 5), "serve ended");
        got = pread(to->process.out, to->url, sizeof to->url - 1, 0);
    }
    cr_assert_gt(got, 1, "serve does not say where it listens");
    to->url[strcspn(to->url, "\n")] = '\0';
}

static void serve(scene *s, served *to, const char *db, const char *option, const char *value)
{
    memset(to, 0, sizeof *to);
    ts_anonset_start(&to->process, s->backend, "serve", "--db", db, "--listen", "127.0.0.1:0",
                     option, value, NULL);
    read_url(to);
}

static void end_serve(served *to, int signal)
{
    ts_result result;
    ts_signal(&to->process, signal);
    ts_finish(&to->process, &result, 30000);
    cr_expect_eq(result.exit_code, 0, "%d: %s", result.exit_code, result.err);
    cr_expect_str_empty(result.err);
    ts_result_free(&result);
}

/* The scene's store is the desktop's; its syncs with the node come from there. */
static void sync_phone(scene *s, const served *from, const char *outcome)
{
    const char *desktop = s->db;
    s->db = ts_in(&s->dir, "phone");
    scene_sync_at(s, from->url, "--sector-size", "50", NULL);
    scene_outcome(s, outcome, 0);
    scene_is_whole(s); /* against the node's list */
    s->db = desktop;
}

static void same_state(scene *s)
{
    static const char *const fields[] = {"finalized.digest", "finalized.set_hash",
                                         "finalized.block_hash", "finalized.size"};
    const char *desktop = s->db;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char wanted[100];
        (void)snprintf(wanted, sizeof wanted, "%s", scene_status(s, fields[i]));
        s->db = ts_in(&s->dir, "phone");
        cr_expect_str_eq(scene_status(s, fields[i]), wanted, "%s", fields[i]);
        s->db = desktop;
    }
}

SCENARIO(serve, first_sync_growth_reorganization_and_remined_blocks, "--coins", "900")
{
    static const char *const moves[] = {"grow 130", "reorg 3",   "grow 1",    "remine 2",
                                        "grow 40",  "recut 2 3", "replace 2", "grow 300"};
    served desktop;
    scene_sync_is(s, "finalized", 0);
    serve(s, &desktop, s->db, NULL, NULL);
    sync_phone(s, &desktop, "finalized");
    same_state(s);
    sync_phone(s, &desktop, "up_to_date");
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        ts_tell(&s->server, "%s", moves[i]);
        scene_sync(s, NULL);
        cr_assert_eq(s->last.exit_code, 0, "%s: %s", moves[i], s->last.out);
        sync_phone(s, &desktop,
                   ts_json_is(s->last.out, "outcome", "reanchored") ? "reanchored" : "finalized");
        same_state(s);
    }
    end_serve(&desktop, SIGTERM);
}

SCENARIO(serve, a_block_known_from_before_gives_what_is_newer, "--coins", "400")
{
    served desktop;
    char block[64];
    ts_process export;
    ts_result result;
    unsigned lines = 0;
    scene_sync_is(s, "finalized", 0);
    serve(s, &desktop, s->db, NULL, NULL);
    sync_phone(s, &desktop, "finalized");
    (void)snprintf(block, sizeof block, "%s", scene_status(s, "finalized.block_hash"));
    ts_tell(&s->server, "grow 33");
    scene_sync_is(s, "finalized", 0);
    sync_phone(s, &desktop, "finalized");
    ts_anonset_start(&export, s->backend, "export", "--db", ts_in(&s->dir, "phone"), "--group", "1",
                     "--after", block, NULL);
    ts_finish(&export, &result, 30000);
    while (ts_line(result.out, lines) && *ts_line(result.out, lines))
        lines++;
    cr_expect_eq(lines, 33);
    ts_result_free(&result);
    end_serve(&desktop, SIGINT);
}

SCENARIO(serve, every_group, "--coins", "1500", "--group-limit", "700", "--group-overlap", "100")
{
    served desktop;
    ts_result result;
    scene_sync(s, "--all", NULL);
    serve(s, &desktop, s->db, NULL, NULL);
    ts_anonset(&result, s->backend, "sync", "--db", ts_in(&s->dir, "phone"), "--server",
               desktop.url, "--all", "--quiet", NULL);
    cr_expect_eq(result.exit_code, 0, "%s", result.err);
    ts_result_free(&result);
    s->db = ts_in(&s->dir, "phone");
    scene_group_is_whole(s, "1");
    scene_group_is_whole(s, "2");
    end_serve(&desktop, SIGTERM);
}

SCENARIO(serve, an_empty_store_has_no_group_and_takes_part_later, "--coins", "50")
{
    served desktop;
    scene_sync(s, "--group", "7", NULL); /* makes the store */
    serve(s, &desktop, s->db, NULL, NULL);
    scene_sync_at(s, desktop.url, "--db", ts_in(&s->dir, "phone"), NULL);
    scene_outcome(s, "no_such_group", 5);
    scene_sync_is(s, "finalized", 0);
    sync_phone(s, &desktop, "finalized");
    end_serve(&desktop, SIGTERM);
}

SCENARIO(serve, another_chain_is_told_apart, "--coins", "50")
{
    served desktop;
    scene_sync_is(s, "finalized", 0);
    serve(s, &desktop, s->db, NULL, NULL);
    ts_tell(&s->server, "genesis %064d", 7);
    s->db = ts_in(&s->dir, "phone");
    scene_sync_is(s, "finalized", 0);
    scene_sync_at(s, desktop.url, NULL);
    scene_outcome(s, "wrong_network", 4);
    end_serve(&desktop, SIGTERM);
}

/* ---- The same words as a node's -------------------------------------------------------------- */

/* An answer without the blanks before its end. */
static char *call(int fd, const char *method, const char *params)
{
    char *line = wire_call(fd, method, params), *to = line;
    cr_assert(line);
    for (const char *at = line; *at; at++) {
        if (*at != ' ' || at[1] != ' ')
            *to++ = *at;
    }
    *to = '\0';
    return line;
}

static void expect_same_answer(int node, int desktop, const char *method, const char *params)
{
    char *wanted = call(node, method, params), *told = call(desktop, method, params);
    size_t end = strcspn(wanted, "\n");
    while (end > 1 && wanted[end - 2] == ' ') /* the last of the blanks */
        memmove(wanted + end - 2, wanted + end - 1, strlen(wanted + end - 1) + 1), end--;
    cr_expect_str_eq(told, wanted, "%s %s", method, params);
    free(wanted);
    free(told);
}

SCENARIO(serve, answers_are_those_of_the_node, "--coins", "600")
{
    served desktop;
    char old[64], params[200];
    scene_sync_is(s, "finalized", 0);
    (void)snprintf(old, sizeof old, "%s", scene_status(s, "finalized.block_hash"));
    ts_tell(&s->server, "grow 70");
    scene_sync_is(s, "finalized", 0);
    serve(s, &desktop, s->db, NULL, NULL);
    int node = wire_electrumx(s->server.tcp), ours = wire_electrumx(desktop.url);
    static const char *const ranges[] = {"\"0\",\"600\"",   "\"17\",\"80\"", "\"590\",\"700\"",
                                         "\"600\",\"900\"", "\"5\",\"5\"",   "\"9\",\"5\""};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        (void)snprintf(params, sizeof params, "[\"1\",\"%s\",%s]", old, ranges[i]);
        expect_same_answer(node, ours, "spark.getsparkanonymitysetsector", params);
    }
    expect_same_answer(node, ours, "spark.getsparkanonymitysetmeta", "[\"1\"]");
    expect_same_answer(node, ours, "spark.getsparklatestcoinid", "[]");
    expect_same_answer(node, ours, "spark.getsparkanonymitysetsector",
                       "[\"1\",\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"0\",\"5\"]");
    (void)snprintf(params, sizeof params, "[\"9\",\"%s\",\"0\",\"5\"]", old);
    expect_same_answer(node, ours, "spark.getsparkanonymitysetsector", params);
    expect_same_answer(node, ours, "spark.getsparkanonymitysetsector",
                       "[\"1\",\"AQAA\",\"0\",\"5\"]");
    expect_same_answer(node, ours, "spark.getsparkanonymitysetsector", "[1,\"AQAA\",\"0\",\"5\"]");
    ts_tell(&s->server, "reorg 8"); /* the old block goes, too */
    scene_sync(s, NULL);
    (void)snprintf(params, sizeof params, "[\"1\",\"%s\",\"0\",\"5\"]", old);
    expect_same_answer(node, ours, "spark.getsparkanonymitysetsector", params);
    close(node);
    close(ours);
    end_serve(&desktop, SIGTERM);
}

/* ---- Clients that do not behave ---------------------------------------------------------------
 */

/* Connects from 127.0.0.N, with a small receive buffer so that what is not read stays with the
 * server. */
static int connect_from(const char *url, unsigned n)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + n)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int small = 4096, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) != 0 ||
        bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        ts_die("cannot connect: %s", strerror(errno));
    return fd;
}

static void ask(int fd, const char *method, const char *params)
{
    char line[300];
    int n =
        snprintf(line, sizeof line, "{\"id\":1,\"method\":\"%s\",\"params\":%s}\n", method, params);
    wire_send(fd, line, (size_t)n);
}

/* Asks for everything and does not read it. */
static int ask_for_all(const char *url, unsigned from, const char *block)
{
    char params[200];
    int fd = connect_from(url, from);
    (void)snprintf(params, sizeof params, "[\"1\",\"%s\",\"0\",\"40000\"]", block);
    ask(fd, "server.version", "[\"x\",\"1.4\"]");
    free(wire_line(fd, NULL));
    ask(fd, "spark.getsparkanonymitysetsector", params);
    return fd;
}

static unsigned peak_kb(pid_t pid)
{
    char path[64], line[256];
    unsigned kb = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    cr_assert(file);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmHWM: %u", &kb) == 1)
            break;
    }
    fclose(file);
    return kb;
}

SCENARIO(serve, clients_that_do_not_read_hurt_nobody, "--coins", "20000")
{
    served desktop;
    int stuck[2 * PLACES_OF_ONE];
    scene_sync_is(s, "finalized", 0);
    serve(s, &desktop, s->db, NULL, NULL);
    const char *block = scene_status(s, "finalized.block_hash");
    for (unsigned i = 0; i < 2 * PLACES_OF_ONE; i++)
        stuck[i] = ask_for_all(desktop.url, 2 + i / PLACES_OF_ONE, block);
    int one_more = connect_from(desktop.url, 2);
    cr_expect(wire_closed(one_more), "one address has more places than its share");
    close(one_more);
    sync_phone(s, &desktop, "finalized");
    same_state(s);
    if (!ts_valgrind())
        cr_expect_lt(peak_kb(desktop.process.pid), MEMORY_KB_MOST);
    for (unsigned i = 0; i < 2 * PLACES_OF_ONE; i++)
        close(stuck[i]);
    int again = wire_connect(desktop.url);
    ask(again, "server.version", "[]");
    free(wire_line(again, NULL));
    close(again);
    end_serve(&desktop, SIGTERM);
}

/* An answer under way while the store moves on: whole if the chain only grew, cut off if its block
 * is gone; never mixed. */
SCENARIO(serve, an_answer_under_way_is_whole_or_cut, "--coins", "20000")
{
    served desktop;
    size_t len, cut_len;
    scene_sync_is(s, "finalized", 0);
    serve(s, &desktop, s->db, NULL, NULL);
    char block[64];
    (void)snprintf(block, sizeof block, "%s", scene_status(s, "finalized.block_hash"));
    int before = ask_for_all(desktop.url, 1, block);
    char *wanted = wire_line(before, &len);
    int growing = ask_for_all(desktop.url, 1, block), replaced;
    ts_tell(&s->server, "grow 90");
    scene_sync_is(s, "finalized", 0);
    replaced = ask_for_all(desktop.url, 1, block);
    char *told = wire_line(growing, NULL);
    cr_assert(wanted && told);
    cr_expect_str_eq(told, wanted);
    ts_tell(&s->server, "reorg 100");
    scene_sync_is(s, "finalized", 0);
    char *part = wire_rest(replaced, len + 1, &cut_len);
    cr_expect_lt(cut_len, len);
    cr_expect(part && memcmp(part, wanted, cut_len) == 0);
    free(wanted);
    free(told);
    free(part);
    close(before);
    close(growing);
    close(replaced);
    end_serve(&desktop, SIGTERM);
}

SCENARIO(serve, nonsense_is_answered_or_cut_off, "--coins", "50")
{
    static const char half[] = "{\"id\":1,\"method\":\"server.version\"}\n"
                               "{\"id\":2,\"method\":\"server.ping\"}\n{\"id\":3,";
    served desktop;
    size_t len;
    char *told, *huge = malloc(1u << 20);
    cr_assert(huge);
    scene_sync_is(s, "finalized", 0);
    serve(s, &desktop, s->db, NULL, NULL);
    int fd = wire_connect(desktop.url);
    memset(huge, 'x', 1u << 20);
    wire_send(fd, huge, 5000); /* longer than any request, and no end */
    told = wire_rest(fd, 10000, &len);
    cr_expect(told && strstr(told, "the request is too long"), "%s", told);
    free(told);
    close(fd);

    fd = wire_connect(desktop.url);
    wire_send(fd, "\0\1\2\xff\n{}\n[]\n\n", 12);
    for (int i = 0; i < 3; i++) { /* {} has no id: nobody waits for an answer */
        told = wire_line(fd, NULL);
        cr_expect(told && strstr(told, "invalid JSON"), "%s", told);
        free(told);
    }
    close(fd);

    fd = wire_connect(desktop.url);
    ask(fd, "spark.getsparklatestcoinid", "[]");
    told = wire_rest(fd, 10000, &len);
    cr_expect(told && strstr(told, "use server.version"), "%s", told);
    free(told);
    close(fd);

    fd = wire_connect(desktop.url); /* closes its side: what it asked is answered first */
    wire_send(fd, half, sizeof half - 1);
    cr_assert_eq(shutdown(fd, SHUT_WR), 0);
    told = wire_rest(fd, 10000, &len);
    cr_expect(told && strstr(told, "\"id\":1}\n") && strstr(told, "\"result\":null,\"id\":2}\n"),
              "%s", told);
    free(told);
    close(fd);
    free(huge);
    sync_phone(s, &desktop, "finalized");
    end_serve(&desktop, SIGTERM);
}

SCENARIO(serve, a_client_that_says_nothing_is_cut_off, "--coins", "10")
{
    served desktop;
    scene_sync_is(s, "finalized", 0);
    serve(s, &desktop, s->db, NULL, NULL);
    int fd = wire_connect(desktop.url);
    wire_send(fd, "{\"id\":1,", 8); /* half a greeting is none */
    cr_expect(wire_closed(fd));
    close(fd);
    end_serve(&desktop, SIGTERM);
}

#define NAME_64   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG_NAME NAME_64 NAME_64 NAME_64 NAME_64

SCENARIO(serve, what_cannot_work_is_said, "--coins", "10")
{
    static const char *const wrong[] = {
        "50001",       ":50001",          "127.0.0.1", "127.0.0.1:", "::1:1",
        "127.0.0.1:x", "127.0.0.1:65536", "[]:1",      "[::1:1",     LONG_NAME ":1"};
    served desktop;
    ts_result result;
    ts_anonset(&result, s->backend, "serve", "--db", s->db, NULL);
    cr_expect_eq(result.exit_code, 6, "no store: %d", result.exit_code);
    ts_result_free(&result);
    scene_sync_is(s, "finalized", 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ts_anonset(&result, s->backend, "serve", "--db", s->db, "--listen", wrong[i], NULL);
        cr_expect_eq(result.exit_code, 2, "%s: %d", wrong[i], result.exit_code);
        ts_result_free(&result);
    }
    serve(s, &desktop, s->db, NULL, NULL);
    ts_anonset(&result, s->backend, "serve", "--db", s->db, "--listen",
               strrchr(desktop.url, '/') + 1, NULL);
    cr_expect_eq(result.exit_code, 3);
    cr_expect(strstr(result.err, "cannot listen"), "%s", result.err);
    ts_result_free(&result);
    end_serve(&desktop, SIGTERM);
}
