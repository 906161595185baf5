#include "bench/bench.h"
#include "tests/server/coin.h"

#include <stdlib.h>
#include <string.h>

/* As the test server's defaults, so that both tables are about the same coins. */
static const coin_rules rules = {.seed = 1, .spend_percent = 40};

static void step(coin_source *source)
{
    source->position++;
    if (++source->output < tx_coins(&rules, source->tx))
        return;
    source->tx++;
    source->output = 0;
}

void source_begin(coin_source *source, uint32_t position, uint32_t most)
{
    *source = (coin_source){.room = most};
    source->made.coins = malloc(most * sizeof *source->made.coins);
    source->bytes = malloc(most * sizeof(coin_fields));
    if (!source->made.coins || !source->bytes)
        fail("no memory for %u coins", most);
    while (source->position < position)
        step(source);
}

void source_end(coin_source *source)
{
    free(source->made.coins);
    free(source->bytes);
}

static uint8_t *put(uint8_t *at, const uint8_t **field, const uint8_t *bytes, size_t len)
{
    memcpy(at, bytes, len);
    *field = at;
    return at + len;
}

/* The fields lie one after the other, as an answer that was decoded in place has them. */
static uint8_t *make(coin_source *source, anonset_coin *coin, uint8_t *at)
{
    coin_fields fields;
    coin_fields_make(&rules, source->tx, source->output, &fields);
    coin->serialized_len = (uint32_t)fields.serialized_len;
    coin->context_len = (uint32_t)fields.context_len;
    source->payload += fields.serialized_len;
    at = put(at, &coin->serialized, fields.serialized, fields.serialized_len);
    at = put(at, &coin->tx_hash, fields.hash, sizeof fields.hash);
    return put(at, &coin->context, fields.context, fields.context_len);
}

const sector *source_next(coin_source *source, uint32_t n)
{
    uint8_t *at = source->bytes;
    if (n > source->room)
        fail("%u coins do not fit", n);
    source->made.start = source->position;
    source->made.n = n;
    for (uint32_t i = 0; i < n; i++, step(source))
        at = make(source, &source->made.coins[i], at);
    return &source->made;
}
