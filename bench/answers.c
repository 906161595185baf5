/* How fast answers are read: one of coins as a server sends it, and hostile ones. */
#include "bench/bench.h"
#include "core/base64.h"
#include "tests/support/hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COINS  1750u /* just below 1 MiB */
#define BYTES  ((size_t)1 << 20)
#define ROUNDS 31u

static const anonset_request request = {
    .id = TS_HOSTILE_ID, .kind = ANONSET_REQUEST_SECTOR, .group = 1, .end = COINS};

static char *put_base64(char *at, const uint8_t *bytes, size_t len, const char *behind)
{
    at += as_base64_encode(at, bytes, len);
    return stpcpy(at, behind);
}

/* As electrumx writes it, a blank behind each comma. */
static size_t write_answer(char *text)
{
    coin_source source;
    source_begin(&source, 0, COINS);
    const sector *made = source_next(&source, COINS);
    char *at = stpcpy(text, "{\"jsonrpc\": \"2.0\", \"result\": {\"coins\": [");
    for (uint32_t i = 0; i < made->n; i++) {
        const anonset_coin *coin = &made->coins[i];
        at = stpcpy(at, i > 0 ? ", [\"" : "[\"");
        at = put_base64(at, coin->serialized, coin->serialized_len, "\", \"");
        at = put_base64(at, coin->tx_hash, ANONSET_HASH_BYTES, "\", \"");
        at = put_base64(at, coin->context, coin->context_len, "\"]");
    }
    at += sprintf(at, "]}, \"id\": %u}", TS_HOSTILE_ID);
    source_end(&source);
    return (size_t)(at - text);
}

/* Seconds of processor time for one reading of `text`, of which a copy is read. */
static double read_once(char *copy, const char *text, size_t len, anonset_code expected)
{
    anonset_answer answer = {0};
    memcpy(copy, text, len);
    double started = processor_now();
    anonset_code code =
        anonset_answer_read(&answer, copy, len, &request, 1, ANONSET_ELECTRUMX, NULL);
    double took = processor_now() - started;
    if (code != expected || (code == ANONSET_OK && answer.n != COINS))
        fail("an answer was read as %d", code);
    anonset_answer_clear(&answer);
    return took;
}

static double read_many(char *copy, const char *text, size_t len, anonset_code expected)
{
    figure seconds = {0};
    for (unsigned i = 0; i < ROUNDS; i++)
        figure_add(&seconds, read_once(copy, text, len, expected));
    return figure_median(&seconds);
}

int job_answers(char **argv)
{
    char *text = malloc(2 * BYTES), *copy = malloc(2 * BYTES);
    double slowest = 0;
    (void)argv;
    if (!text || !copy)
        fail("no memory");
    size_t len = write_answer(text);
    double seconds = read_many(copy, text, len, ANONSET_OK);
    for (size_t i = 0; i < ts_hostile_count; i++) {
        ts_hostile_fill(text, BYTES, i);
        double took = read_many(copy, text, BYTES, ANONSET_BAD_ANSWER);
        slowest = took > slowest ? took : slowest;
    }
    printf("{\"bytes\": %zu, \"gigabytes\": %.6f, \"hostile\": %.6f}\n", len,
           (double)len / seconds / 1e9, slowest * 1000);
    free(text);
    free(copy);
    return 0;
}
