/* The server's answers are those of the real node and the real server, byte for byte. */
#include "tests/server/wire.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- firod ---- */

/* Folders with the answers for a state, and the number of that state. */
static const struct folder {
    const char *name;
    int state;
} folders[] = {
    {"a_nogroup/", 0},
    {"b_1block/", 1},
    {"c_2blocks/", 2},
    {"d_3blocks/", 3},
    {"e_20blocks/", 4},
    {"f_40blocks/", 5},
    {"g_60blocks/", 6},
    {"h_edges/", 6},
    {"j_oldmeta/", 6},
    {"r1_A/", 7},
    {"r2_shrunk/", 8},
    {"r3_same_coins_remined/", 9},
    {"r4_B/", 10},
    {"s_shrink_to_1block/", 1},
    {"t_shrink_to_nothing/", 0},
    {"m_big6000/", 11},
};

static void start_recorded(ts_server *server)
{
#define STATE(name) "--recorded", ts_source("tests/fixtures/" name)
    ts_server_start(server, STATE("a_nogroup"), STATE("b_1block"), STATE("c_2blocks"),
                    STATE("d_3blocks"), STATE("e_20blocks"), STATE("f_40blocks"),
                    STATE("g_60blocks"), STATE("r1_A"), STATE("r2_shrunk"),
                    STATE("r3_same_coins_remined"), STATE("r4_B"), STATE("m_big6000"), "--do",
                    "garbage-size 0", NULL);
#undef STATE
}

static int state_of(const char *file)
{
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (strncmp(file, folders[i].name, strlen(folders[i].name)) == 0)
            return folders[i].state;
    }
    return -1;
}

/* Calls the server does not know, and pins on blocks that no kept state ends with. */
static bool is_beyond(const char *method, const char *file)
{
    return strstr(method, "tags") || strcmp(method, "getsparkmintmetadata") == 0 ||
           strcmp(method, "getsparkanonymityset") == 0 ||
           strstr(file, "hash_of_block_without_mints_below_last");
}

static const char *request_text(const char *entry)
{
    static char text[4096];
    snprintf(text, sizeof text,
             "{\"jsonrpc\":\"1.0\",\"id\":\"cap\",\"method\":\"%s\",\"params\":%s}",
             ts_json(entry, "request.method"), ts_json(entry, "request.params"));
    return text;
}

static void compare_entry(ts_server *server, int fd, const char *entry)
{
    char path[512], *head;
    size_t len, recorded_len;
    const char *file = ts_json(entry, "file");
    snprintf(path, sizeof path, "tests/fixtures/%s", file);
    ts_tell(server, "state %d", state_of(file));
    char *recorded = ts_read_file(ts_source(path), &recorded_len);
    char *answer = wire_post(fd, NULL, request_text(entry), &head, &len);
    cr_expect_eq(atoi(head + strlen("HTTP/1.1 ")), (int)ts_json_int(entry, "http_status"), "%s",
                 path);
    cr_expect(len == recorded_len && memcmp(answer, recorded, len) == 0, "%s: %.300s", path,
              answer);
    free(answer);
    free(head);
    free(recorded);
}

TestSuite(recorded, .timeout = 120);

Test(recorded, firod_answers)
{
    ts_server server;
    start_recorded(&server);
    int fd = wire_connect(server.http);
    char *index = ts_read_file(ts_source("tests/fixtures/index.json"), NULL);
    size_t compared = 0;
    for (size_t i = 1; ts_line(index, i) && *ts_line(index, i) == '{'; i++) {
        const char *entry = ts_line(index, i);
        const char *file = ts_json(entry, "file");
        if (state_of(file) < 0 || is_beyond(ts_json(entry, "request.method"), file))
            continue;
        compare_entry(&server, fd, entry);
        compared++;
    }
    cr_assert_gt(compared, 90, "only %zu answers were compared", compared);
    free(index);
    close(fd);
    ts_server_stop(&server);
}

/* ---- The large chain that electrumx and the raw HTTP answers were recorded from ---- */

static void copy_file(const char *from, const ts_dir *dir, const char *to)
{
    size_t len;
    char *bytes = ts_read_file(ts_source(from), &len);
    ts_write_file(ts_in(dir, to), bytes, len);
    free(bytes);
}

/* The parts of it that were kept make two folders, one for each of its groups. */
static void make_large_chain(ts_dir *one, ts_dir *two)
{
    ts_dir_make(one);
    ts_dir_make(two);
    copy_file("tests/fixtures/electrumx/01_meta_group1.response", one, "meta.json");
    copy_file("tests/fixtures/electrumx/05_sector_0_25.response", one, "sector_00000_00025.json");
    copy_file("tests/fixtures/electrumx/06_sector_25_50.response", one, "sector_00025_00050.json");
    copy_file("tests/fixtures/electrumx/07_sector_last.response", one, "sector_31990_32000.json");
    copy_file("tests/fixtures/electrumx/02_meta_group2.response", two, "meta.json");
}

static void start_large(ts_server *server, const ts_dir *one, const ts_dir *two)
{
    char both[1024];
    snprintf(both, sizeof both, "%s,%s", one->path, two->path);
    ts_server_start(server, "--recorded", one->path, "--recorded", both, "--do", "garbage-size 0",
                    NULL);
}

/* The answer with its head, all but the date, is as recorded. */
static void compare_http(const char *name, const char *head, const char *body)
{
    char path[256];
    snprintf(path, sizeof path, "tests/fixtures/raw_http/%s", name);
    char *recorded = ts_read_file(ts_source(path), NULL);
    const char *date = strstr(head, "Date: "), *recorded_date = strstr(recorded, "Date: ");
    cr_assert(date && recorded_date);
    cr_expect_eq(date - head, recorded_date - recorded, "%s", name);
    cr_expect_eq(strncmp(head, recorded, (size_t)(date - head)), 0, "%s", name);
    char *rest;
    cr_assert_geq(asprintf(&rest, "%s%s", strstr(date, "\r\n"), body), 0);
    cr_expect_str_eq(rest, strstr(recorded_date, "\r\n"), "%s", name);
    free(rest);
    free(recorded);
}

Test(recorded, http_heads)
{
    static const char meta1[] =
        "{\"id\":\"cap\",\"method\":\"getsparkanonymitysetmeta\",\"params\":[\"1\"]}";
    static const struct {
        const char *file, *body;
    } posts[] = {
        {"meta_ok.http", meta1},
        {"sector_error.http",
         "{\"id\":7,\"method\":\"getsparkanonymitysetsector\",\"params\":[\"99\","
         "\"LEt9RXMxR/6mE3pEGXLQi0F9FNxJQpm4j04Lf05mYw8=\",\"0\",\"5\"]}"},
        {"parse_error.http", "{nonsense"},
        {"batch.http", "[{\"id\":1,\"method\":\"getsparkanonymitysetmeta\",\"params\":[\"1\"]},"
                       "{\"id\":2,\"method\":\"getsparkanonymitysetmeta\",\"params\":[\"2\"]},"
                       "{\"id\":3,\"method\":\"getsparkanonymitysetsector\",\"params\":[\"99\","
                       "\"LEt9RXMxR/6mE3pEGXLQi0F9FNxJQpm4j04Lf05mYw8=\",\"0\",\"5\"]}]"},
    };
    ts_server server;
    ts_dir one, two;
    char *head, *body;
    size_t len;
    make_large_chain(&one, &two);
    start_large(&server, &one, &two);
    int fd = wire_connect(server.http);
    for (size_t i = 0; i < sizeof posts / sizeof *posts; i++) {
        body = wire_post(fd, NULL, posts[i].body, &head, &len);
        compare_http(posts[i].file, head, body);
        free(head);
        free(body);
    }
    body = wire_http(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", &head, &len);
    compare_http("get_method.http", head, body);
    free(head);
    free(body);
    ts_tell(&server, "auth user:secret");
    body = wire_post(fd, NULL, meta1, &head, &len);
    compare_http("no_auth.http", head, body);
    free(head);
    free(body);
    body = wire_post(fd, "dXNlcjp3cm9uZw==", meta1, &head, &len);
    compare_http("unauthorized.http", head, body);
    free(head);
    free(body);
    body = wire_post(fd, "dXNlcjpzZWNyZXQ=", meta1, &head, &len);
    compare_http("meta_ok.http", head, body);
    free(head);
    free(body);
    close(fd);
    ts_server_stop(&server);
    ts_dir_remove(&one);
    ts_dir_remove(&two);
}

/* Sends the recorded request and compares the answer; NULL as fd: on a connection of its own, up to
 * its end. */
static void compare_line(const char *name, const int *shared, const char *url)
{
    char path[256];
    size_t len, request_len, recorded_len;
    snprintf(path, sizeof path, "tests/fixtures/electrumx/%s.request", name);
    char *request = ts_read_file(ts_source(path), &request_len);
    snprintf(path, sizeof path, "tests/fixtures/electrumx/%s.response", name);
    char *recorded = ts_read_file(ts_source(path), &recorded_len);
    int fd = shared ? *shared : wire_connect(url);
    wire_send(fd, request, request_len);
    char *answer = shared ? wire_line(fd, &len) : wire_rest(fd, 1 << 20, &len);
    cr_assert(answer, "%s", name);
    cr_expect(len == recorded_len && memcmp(answer, recorded, len) == 0, "%s: %.300s", name,
              answer);
    if (!shared)
        close(fd);
    free(answer);
    free(recorded);
    free(request);
}

Test(recorded, electrumx_answers)
{
    static const char *const names[] = {
        "00_server.version",     "01_meta_group1",    "02_meta_group2",
        "03_meta_group99",       "04_meta_int",       "05_sector_0_25",
        "06_sector_25_50",       "07_sector_last",    "08_sector_unknown_hash",
        "09_sector_short_hash",  "10_sector_group99", "11_sector_ints",
        "12_sector_3params",     "13_unknown_method", "14_sector_start_eq_end",
        "15_latestcoinid",       "19_named_params",   "20_notjson",
        "24_sector_whole_32000", "25_after",
    };
    ts_server server;
    ts_dir one, two;
    make_large_chain(&one, &two);
    start_large(&server, &one, &two);
    ts_tell(&server, "next");
    int fd = wire_connect(server.tcp);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        compare_line(names[i], &fd, NULL);
    close(fd);
    compare_line("21_sector_without_version", NULL, server.tcp);
    ts_server_stop(&server);
    ts_dir_remove(&one);
    ts_dir_remove(&two);
}

/* The parts of a set, asked for by index range, are its list. */
Test(recorded, index_ranges)
{
    ts_server server;
    ts_dir dir;
    char line[1024], params[256], pin[64];
    ts_dir_make(&dir);
    ts_server_start(&server, "--recorded", ts_source("tests/fixtures/m_big6000"), NULL);
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "dump 1 %s", ts_in(&dir, "list"));
    cr_assert_eq(sscanf(ts_tell(&server, "meta 1"), "%63s", pin), 1);
    char *list = ts_read_file(ts_in(&dir, "list"), NULL);
    for (size_t index = 0; index < 6035; index += 431) {
        snprintf(params, sizeof params, "[\"1\",\"%s\",\"%zu\",\"%zu\"]", pin, index, index + 1);
        char *answer = wire_call(fd, "spark.getsparkanonymitysetsector", params);
        const char *coin = ts_line(list, index);
        cr_assert(coin);
        snprintf(line, sizeof line, "{\"coins\":[%.*s]}", (int)strcspn(coin, "\n"), coin);
        cr_expect_str_eq(ts_json(answer, "result"), line);
        free(answer);
    }
    free(list);
    close(fd);
    ts_server_stop(&server);
    ts_dir_remove(&dir);
}
