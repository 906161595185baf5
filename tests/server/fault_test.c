/* Each fault does what README.md says of it, on the wire; so do the commands about the right
 * moment. */
#include "tests/server/wire.h"

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char pin[64];
static ts_server server;

static void start(void)
{
    ts_server_start(&server, "--coins", "500", NULL);
    cr_assert_eq(sscanf(ts_tell(&server, "meta 1"), "%63s", pin), 1);
}

static void stop(void)
{
    ts_server_stop(&server);
}

static const char *params(size_t from, size_t to)
{
    static char text[256];
    snprintf(text, sizeof text, "[\"1\",\"%s\",\"%zu\",\"%zu\"]", pin, from, to);
    return text;
}

static char *sector(int fd, size_t from, size_t to)
{
    return wire_call(fd, "spark.getsparkanonymitysetsector", params(from, to));
}

static void ask(int fd, size_t from, size_t to)
{
    char request[512];
    int len = snprintf(request, sizeof request,
                       "{\"id\":1,\"method\":\"spark.getsparkanonymitysetsector\",\"params\":%s}\n",
                       params(from, to));
    wire_send(fd, request, (size_t)len);
}

/* The answer of a sector of ten coins under a fault; NULL if the connection ends. */
static char *faulty(const char *fault)
{
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "fault %s", fault);
    char *answer = sector(fd, 0, 10);
    close(fd);
    return answer;
}

static size_t count_coins(const char *answer)
{
    size_t count = 0;
    for (const char *at = strstr(answer, "[\""); at; at = strstr(at + 1, "[\""))
        count++;
    return count;
}

static double seconds_now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

TestSuite(faults, .init = start, .fini = stop, .timeout = 60);

Test(faults, of_the_connection)
{
    cr_assert_null(faulty("drop"));
    char *whole = faulty("drop times=1 skip=1");
    cr_assert_eq(count_coins(whole), 10u);
    ts_tell(&server, "faults clear");

    size_t len;
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "fault cut");
    ask(fd, 0, 10);
    char *half = wire_rest(fd, 1 << 20, &len);
    cr_assert_eq(len, strlen(whole) / 2);
    cr_assert_eq(memcmp(half, whole, len), 0);
    close(fd);
    free(half);
    free(whole);

    ts_tell(&server, "fault refuse");
    fd = wire_connect(server.tcp);
    cr_assert(wire_closed(fd));
    close(fd);

    fd = wire_electrumx(server.tcp);
    ts_tell(&server, "fault hang");
    ask(fd, 0, 10);
    ts_wait(&server, "sectors", 4);
    cr_assert(wire_silent(fd, 50));
    char *next = sector(fd, 0, 1);
    cr_assert_eq(count_coins(next), 1u, "the connection lives on");
    free(next);
    close(fd);
}

Test(faults, endless_and_slow)
{
    size_t len;
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "fault huge");
    ask(fd, 0, 10);
    char *much = wire_rest(fd, 30u << 20, &len);
    cr_assert_eq(len, 30u << 20);
    cr_assert_null(memchr(much, '\n', len));
    free(much);
    close(fd);

    fd = wire_electrumx(server.tcp);
    ts_tell(&server, "fault slow arg=20000");
    double before = seconds_now();
    char *answer = sector(fd, 0, 10);
    double took = seconds_now() - before;
    cr_assert(took > 0.25 && took < 10, "8,192 bytes at 20,000 a second took %f", took);
    free(answer);
    close(fd);
}

Test(faults, of_the_whole_answer)
{
    char *answer = faulty("deep arg=300");
    cr_assert(strstr(answer, "[[[[[[[[") && strstr(answer, "]]]]]]]]"));
    free(answer);
    answer = faulty("wrong-id");
    cr_assert(ts_json_is(answer, "id", "987654321"));
    free(answer);
    answer = faulty("error code=-32603 text=busy, come back");
    cr_assert(ts_json_is(answer, "error.code", "-32603"));
    cr_assert(ts_json_is(answer, "error.message", "busy, come back"));
    free(answer);
    answer = faulty("too-large");
    cr_assert(ts_json_is(answer, "error.message", "response too large (over 8,100,000 bytes"));
    free(answer);
    answer = faulty("garbage");
    cr_assert(strstr(answer, ",\"id\":1}{\"result\""));
    free(answer);
    answer = faulty("broken");
    cr_assert_null(ts_json(answer, ""));
    free(answer);
    answer = faulty("no-json");
    cr_assert_eq(*answer, '<');
    free(answer);
    answer = faulty("flood arg=3");
    cr_assert(strstr(answer, "\"method\":\"blockchain.headers.subscribe\""));
    free(answer);
    cr_assert_eq(ts_count(&server, "faults"), 8u);
}

/* The coins of the answer with a fault in the third, and which strings differ from the true ones.
 */
static void compare_coins(const char *fault, size_t coins, const char *different)
{
    char *truth = faulty("drop skip=1 on=latest");
    char *answer = faulty(fault);
    size_t compared = 0;
    cr_expect_eq(count_coins(answer), coins, "%s", fault);
    for (size_t i = 0; i < 10; i++) {
        char path[32], found[64] = "";
        snprintf(path, sizeof path, "result.coins.%zu", i);
        const char *a = ts_json(truth, path), *b = ts_json(answer, path);
        if (!a || !b || strcmp(a, b) != 0)
            snprintf(found, sizeof found, "%zu", i);
        if (found[0]) {
            cr_expect(strchr(different, found[0]), "%s: coin %zu", fault, i);
            compared++;
        }
    }
    cr_expect_eq(compared, strlen(different), "%s", fault);
    free(truth);
    free(answer);
    ts_tell(&server, "faults clear");
}

Test(faults, of_a_sectors_coins)
{
    compare_coins("short arg=2", 9, "23456789");
    compare_coins("long", 11, "");
    compare_coins("dup arg=2", 10, "2");
    compare_coins("swap arg=2", 10, "23");
    compare_coins("flip arg=2", 10, "2");
    compare_coins("tail arg=2", 10, "2");
    compare_coins("base64 arg=2", 10, "2");
    compare_coins("padding arg=2", 10, "2");
    compare_coins("fields arg=2", 10, "2");
    compare_coins("number arg=2", 10, "2");
    compare_coins("dup", 10, "5");
}

/* How many bits of a field two answers tell differently of one coin. */
static unsigned different_bits(const char *a, const char *b, size_t coin, unsigned field)
{
    uint8_t bytes[2][4096] = {{0}};
    const char *answers[] = {a, b};
    char path[32];
    unsigned bits = 0;
    snprintf(path, sizeof path, "result.coins.%zu.%u", coin, field);
    for (size_t i = 0; i < 2; i++) {
        const char *base64 = ts_json(answers[i], path);
        cr_assert(base64 && strlen(base64) < sizeof *bytes, "%s", path);
        cr_assert_gt(EVP_DecodeBlock(bytes[i], (const unsigned char *)base64, (int)strlen(base64)),
                     0);
    }
    for (size_t i = 0; i < sizeof *bytes; i++)
        bits += (unsigned)__builtin_popcount(bytes[0][i] ^ bytes[1][i]);
    return bits;
}

/* Of the set's oldest coins but 3, index 496 of 500; answers without it are true. */
Test(faults, of_one_bit)
{
    static const struct {
        const char *fault;
        unsigned serialized, tx, context;
    } cases[] = {
        {"bit-serialized arg=3 bit=1951", 1, 0, 0}, {"bit-serialized arg=3 bit=1952", 1, 0, 0},
        {"bit-tx arg=3 bit=255", 0, 1, 0},          {"bit-context arg=3 bit=7", 0, 0, 1},
        {"bit-context arg=3 bit=99999", 0, 0, 1},   {"bit-txid arg=3 bit=8", 1, 1, 0},
    };
    int fd = wire_electrumx(server.tcp);
    char *truth[] = {sector(fd, 490, 500), sector(fd, 496, 497), sector(fd, 480, 496)};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ts_tell(&server, "fault %s times=0", cases[i].fault);
        char *lies[] = {sector(fd, 490, 500), sector(fd, 496, 497), sector(fd, 480, 496)};
        for (size_t k = 0; k < 10; k++) {
            bool struck = k == 6;
            cr_expect_eq(different_bits(truth[0], lies[0], k, 0), struck * cases[i].serialized);
            cr_expect_eq(different_bits(truth[0], lies[0], k, 1), struck * cases[i].tx);
            cr_expect_eq(different_bits(truth[0], lies[0], k, 2), struck * cases[i].context);
        }
        cr_expect_eq(different_bits(truth[1], lies[1], 0, 0), cases[i].serialized);
        cr_expect_str_eq(strchr(truth[2], '['), strchr(lies[2], '['), "%s", cases[i].fault);
        for (size_t k = 0; k < 3; k++)
            free(lies[k]);
        ts_tell(&server, "faults clear");
    }
    for (size_t k = 0; k < 3; k++)
        free(truth[k]);
    close(fd);
}

Test(faults, of_meta)
{
    int fd = wire_electrumx(server.tcp);
    char *truth = wire_call(fd, "spark.getsparkanonymitysetmeta", "[\"1\"]");
    static const struct {
        const char *fault, *field;
    } lies[] = {{"size arg=77", "size"}, {"set-hash", "setHash"}, {"block-hash", "blockHash"}};
    static const char *const fields[] = {"size", "setHash", "blockHash"};
    for (size_t i = 0; i < 3; i++) {
        ts_tell(&server, "fault %s", lies[i].fault);
        char *lie = wire_call(fd, "spark.getsparkanonymitysetmeta", "[\"1\"]");
        for (size_t k = 0; k < 3; k++) {
            char path[32];
            snprintf(path, sizeof path, "result.%s", fields[k]);
            bool same = strcmp(ts_json(truth, path), ts_json(lie, path)) == 0;
            cr_expect_neq(same, i == k, "%s: %s", lies[i].fault, fields[k]);
        }
        free(lie);
    }
    free(truth);
    close(fd);
}

Test(faults, strike_when_told)
{
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "fault short skip=2 times=3");
    for (int i = 0; i < 8; i++) {
        char *answer = sector(fd, 0, 10);
        cr_expect_eq(count_coins(answer), i >= 2 && i < 5 ? 9u : 10u, "%d", i);
        free(answer);
    }
    ts_tell(&server, "fault short times=0 p=0.5 seed=3");
    size_t struck = 0;
    for (int i = 0; i < 100; i++) {
        char *answer = sector(fd, 0, 10);
        struck += count_coins(answer) == 9;
        free(answer);
    }
    cr_assert(struck > 25 && struck < 75, "%zu", struck);
    close(fd);
}

Test(faults, over_http)
{
    char body[512], *head;
    size_t len;
    snprintf(body, sizeof body,
             "{\"id\":1,\"method\":\"getsparkanonymitysetsector\",\"params\":%s}", params(0, 10));
    int fd = wire_connect(server.http);
    char *whole = wire_post(fd, NULL, body, &head, &len);
    size_t whole_len = len;
    free(head);
    ts_tell(&server, "fault cut");
    char *half = wire_post(fd, NULL, body, &head, &len);
    cr_assert_lt(len, whole_len, "the head promises more");
    close(fd);
    free(half);
    free(head);
    free(whole);
    fd = wire_connect(server.http);
    ts_tell(&server, "fault error code=-1 text=no");
    char *error = wire_post(fd, NULL, body, &head, &len);
    cr_assert_eq(strncmp(head, "HTTP/1.1 500 ", 13), 0);
    cr_assert(ts_json_is(error, "error.message", "no"));
    close(fd);
    free(error);
    free(head);
}

Test(faults, sectors_are_held_and_released)
{
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "hold 1");
    char *first = sector(fd, 0, 10);
    cr_assert_eq(count_coins(first), 10u);
    free(first);
    ask(fd, 10, 20);
    ts_wait(&server, "held", 1);
    cr_assert(wire_silent(fd, 20));
    cr_assert_eq(ts_count(&server, "sectors"), 1u);
    ts_tell(&server, "grow 100");
    ts_tell(&server, "release");
    char *second = wire_line(fd, NULL);
    cr_assert_eq(count_coins(second), 10u);
    cr_assert_eq(ts_count(&server, "held"), 0u);
    cr_assert_eq(ts_count(&server, "coins"), 20u);
    free(second);
    ts_tell(&server, "hold 0");
    ask(fd, 0, 1);
    ts_wait(&server, "held", 1);
    close(fd);
    ts_tell(&server, "wait held =0");
}

Test(faults, commands_come_at_a_count)
{
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "at meta 2 grow 50");
    ts_tell(&server, "at sectors 2 fault short");
    char *first = wire_call(fd, "spark.getsparkanonymitysetmeta", "[\"1\"]");
    char *second = wire_call(fd, "spark.getsparkanonymitysetmeta", "[\"1\"]");
    cr_assert_eq(ts_json_int(first, "result.size"), 500);
    cr_assert_eq(ts_json_int(second, "result.size"), 550);
    free(first);
    free(second);
    for (unsigned i = 0; i < 3; i++) {
        char *answer = sector(fd, 0, 10);
        cr_expect_eq(count_coins(answer), i == 1 ? 9u : 10u);
        free(answer);
    }
    close(fd);
}

Test(faults, sessions_cost_and_are_cut)
{
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "charge 1000 20 0"); /* 100,000 bytes in all */
    size_t answers = 0;
    for (char *answer = sector(fd, 0, 60); answer; answer = sector(fd, 0, 60)) {
        free(answer);
        answers++;
    }
    cr_assert(answers >= 1 && answers <= 3, "%zu answers of 64 KiB", answers);
    cr_assert_eq(ts_count(&server, "cut"), 1u);
    close(fd);
}

Test(faults, latency_and_rate)
{
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "shape latency=120");
    double before = seconds_now();
    free(sector(fd, 0, 1));
    cr_assert_geq(seconds_now() - before, 0.115);
    ts_tell(&server, "shape latency=0 rate=200000");
    before = seconds_now();
    free(sector(fd, 0, 100)); /* 64 KiB */
    double took = seconds_now() - before;
    cr_assert(took > 0.2 && took < 5, "%f", took);
    close(fd);
}

Test(faults, everything_is_cut_and_cookies_change)
{
    ts_dir dir;
    ts_server other;
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "cut");
    cr_assert(wire_closed(fd));
    close(fd);
    ts_dir_make(&dir);
    ts_server_start(&other, "--rpc-cookie", ts_in(&dir, "cookie"), NULL);
    char *first = ts_read_file(ts_in(&dir, "cookie"), NULL);
    ts_tell(&other, "cookie");
    char *second = ts_read_file(ts_in(&dir, "cookie"), NULL);
    cr_assert_eq(strncmp(first, "__cookie__:", 11), 0);
    cr_assert_str_neq(first, second);
    free(first);
    free(second);
    ts_server_stop(&other);
    ts_dir_remove(&dir);
}

/* ---- TLS and the proxy ---- */

/* Speaks TLS on a connection: the certificate is the one that --tls-make wrote. */
static void check_tls(int fd, const char *cert)
{
    char answer[2048] = "";
    static const char hello[] =
        "{\"id\":1,\"method\":\"server.version\",\"params\":[\"a\",\"1.4\"]}\n";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    cr_assert(context && SSL_CTX_load_verify_file(context, cert) == 1);
    SSL *ssl = SSL_new(context);
    cr_assert(ssl && SSL_set_fd(ssl, fd) == 1 && SSL_set1_host(ssl, "localhost") == 1);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    cr_assert_eq(SSL_connect(ssl), 1, "%s", ERR_error_string(ERR_get_error(), NULL));
    cr_assert_eq(SSL_write(ssl, hello, sizeof hello - 1), (int)sizeof hello - 1);
    cr_assert_gt(SSL_read(ssl, answer, sizeof answer - 1), 0);
    cr_assert(strstr(answer, "ElectrumX"));
    SSL_free(ssl);
    SSL_CTX_free(context);
}

/* SOCKS5 to localhost:PORT, by name. */
static int connect_through(const char *socks, const char *url)
{
    int fd = wire_connect(socks);
    unsigned port = (unsigned)atoi(strrchr(url, ':') + 1);
    char request[] = "\5\1\0\3\x9localhost\0\0", reply[16];
    request[14] = (char)(port >> 8);
    request[15] = (char)port;
    wire_send(fd, "\5\1\0", 3);
    cr_assert_eq(read(fd, reply, 2), 2);
    wire_send(fd, request, 16);
    cr_assert_eq(read(fd, reply, 10), 10);
    cr_assert_eq(reply[1], 0);
    return fd;
}

Test(faults, tls_and_proxy)
{
    ts_dir dir;
    ts_server other;
    ts_dir_make(&dir);
    ts_server_start(&other, "--tls-make", dir.path, NULL);
    cr_assert_eq(strncmp(other.tls_pin, "sha256//", 8), 0);
    int fd = wire_connect(other.ssl);
    check_tls(fd, ts_in(&dir, "cert.pem"));
    close(fd);
    fd = connect_through(other.socks, other.tcp);
    char *answer = wire_call(fd, "server.version", "[\"a\",\"1.4\"]");
    cr_assert(strstr(answer, "ElectrumX"));
    free(answer);
    close(fd);
    fd = connect_through(other.socks, other.ssl);
    check_tls(fd, ts_in(&dir, "cert.pem"));
    close(fd);
    cr_assert_eq(ts_count(&other, "socks-names"), 2u);
    ts_server_stop(&other);
    ts_dir_remove(&dir);
}
