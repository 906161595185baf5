#include "tests/support/world.h"

#include "core/bytes.h"
#include "core/coin.h"
#include "core/digest.h"
#include "core/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Numbers ------------------------------------------------------------------------------ */

uint64_t tw_random(tw_rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number below 256^n, of the fuzzer's bytes. */
static uint32_t chosen(tw_rng *rng, unsigned n)
{
    uint32_t number = 0;
    for (; n > 0 && rng->left > 0; n--, rng->left--)
        number = number << 8 | *rng->bytes++;
    return number;
}

uint32_t tw_between(tw_rng *rng, uint32_t low, uint32_t high)
{
    uint64_t range = (uint64_t)high - low + 1;
    if (rng->left > 0)
        return low + (uint32_t)(chosen(rng, range <= 256 ? 1 : range <= 65536 ? 2 : 4) % range);
    return low + (uint32_t)(tw_random(rng) % range);
}

bool tw_chance(tw_rng *rng, double probability)
{
    if (rng->left > 0) /* large bytes say yes: an input of zeros is one without trouble */
        return 256 - (double)chosen(rng, 1) <= probability * 256;
    return (double)(tw_random(rng) >> 11) < probability * 9007199254740992.0;
}

static void must(anonset_code code)
{
    if (code != ANONSET_OK) {
        (void)fprintf(stderr, "world: %s\n", anonset_strerror(code));
        abort();
    }
}

/* ---- Coins -------------------------------------------------------------------------------- */

/* The hash that every coin of a transaction names. */
static void put_tx_hash(uint8_t *out, const tw_tx *tx)
{
    memset(out, 0, ANONSET_HASH_BYTES);
    as_put32(out, tx->value[0]);
    as_put32(out + 4, tx->n);
}

void tw_coin(anonset_coin *coin, uint8_t *bytes, uint32_t value, const tw_tx *tx)
{
    uint8_t *tail = bytes + AS_COIN_BYTES;
    memset(bytes, 0, TW_COIN_BYTES);
    /* Big-endian behind the type, so that coins order as their values do. */
    for (int i = 0; i < 4; i++)
        bytes[1 + i] = (uint8_t)(value >> (24 - 8 * i));
    /* A real coin is made from its transaction's inputs, and so cannot be another one's as well. */
    as_put32(bytes + 40, tx->value[0]);
    as_put32(bytes + 44, tx->n);
    bytes[103] = 82;
    bytes[186] = 16;
    bytes[203] = 32;
    put_tx_hash(tail, tx);
    tail[32] = 5;
    as_put32(tail + 33, ~tx->value[0]);
    *coin = (anonset_coin){.serialized = bytes,
                           .serialized_len = AS_COIN_BYTES + 38,
                           .tx_hash = tail,
                           .context = tail + 33,
                           .context_len = 5};
}

/* ---- Used tags ---------------------------------------------------------------------------- */

void tw_used(anonset_used *used, const tw_chain *chain, uint32_t position)
{
    uint32_t coin = position / TW_TAGS;
    memset(used, 0, sizeof *used);
    as_put64(used->tag, chain->upto[coin]);
    as_put32(used->tag + 8, position % TW_TAGS);
    used->tag[ANONSET_TAG_BYTES - 1] = 7;
    put_tx_hash(used->tx_hash, &chain->coin_tx[coin]);
}

uint32_t tw_used_count(const tw_chain *chain)
{
    return chain && chain->n > 0 ? chain->meta.size * TW_TAGS : 0;
}

/* ---- Sealing: positions, hashes ------------------------------------------------------------ */

struct minted {
    uint32_t value;
    const tw_tx *tx;
};

static int newest_last(const void *a, const void *b)
{
    const struct minted *x = a;
    const struct minted *y = b;
    return (x->value < y->value) - (x->value > y->value);
}

/* By position a block's coins descend, since by index they ascend. */
static uint32_t coins_of(const tw_block *block, struct minted *out)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < block->n; t++)
        for (uint32_t i = 0; i < block->tx[t].n; i++)
            out[n++] = (struct minted){block->tx[t].value[i], &block->tx[t]};
    qsort(out, n, sizeof *out, newest_last);
    return n;
}

/* SHA256d(previous || the coins ascending) */
static void set_hash(as_digest *digest, uint8_t *out, const uint8_t *previous,
                     const struct minted *coins, uint32_t n)
{
    uint8_t *all = malloc(ANONSET_HASH_BYTES + (size_t)n * AS_COIN_BYTES);
    size_t len = 0;
    if (!all)
        abort();
    if (previous) {
        memcpy(all, previous, ANONSET_HASH_BYTES);
        len = ANONSET_HASH_BYTES;
    }
    for (uint32_t i = n; i-- > 0;) {
        anonset_coin coin;
        uint8_t bytes[TW_COIN_BYTES];
        tw_coin(&coin, bytes, coins[i].value, coins[i].tx);
        memcpy(all + len, bytes, AS_COIN_BYTES);
        len += AS_COIN_BYTES;
    }
    must(as_digest_bytes(digest, out, all, len));
    must(as_digest_bytes(digest, out, out, ANONSET_HASH_BYTES));
    free(all);
}

static void seal_block(as_digest *digest, tw_chain *chain, uint32_t b)
{
    struct minted coins[2 * TW_TXS_MAX];
    uint32_t n = coins_of(&chain->block[b], coins);
    uint8_t head[ANONSET_HASH_BYTES + 8] = {0};
    uint32_t size = b ? chain->size[b - 1] : 0;
    if (size + n > TW_COINS_MAX)
        abort();
    for (uint32_t i = 0; i < n; i++) {
        anonset_coin coin;
        uint8_t bytes[TW_COIN_BYTES];
        chain->coin[size + i] = coins[i].value;
        chain->coin_tx[size + i] = *coins[i].tx;
        tw_coin(&coin, bytes, coins[i].value, coins[i].tx);
        must(as_digest_coin(digest, chain->digest, chain->digest, &coin));
        chain->upto[size + i] = as_get64(chain->digest);
    }
    chain->size[b] = size + n;
    if (b)
        memcpy(head, chain->pin[b - 1], ANONSET_HASH_BYTES);
    as_put32(head + ANONSET_HASH_BYTES, chain->block[b].tag);
    must(as_digest_bytes(digest, chain->pin[b], head, sizeof head));
    /* The first block of group 1 is in no set hash, and is not chained into the second. */
    if (b > 0)
        set_hash(digest, chain->meta.set_hash, b > 1 ? chain->meta.set_hash : NULL, coins, n);
}

static const tw_chain *seal(tw_world *world, tw_chain *chain)
{
    as_digest *digest;
    must(as_digest_new(&digest, NULL));
    memset(&chain->meta, 0, sizeof chain->meta);
    memset(chain->digest, 0, sizeof chain->digest);
    for (uint32_t b = 0; b < chain->n; b++)
        seal_block(digest, chain, b);
    as_digest_free(digest);
    if (chain->n > 0) {
        memcpy(chain->meta.block_hash, chain->pin[chain->n - 1], ANONSET_HASH_BYTES);
        chain->meta.size = chain->size[chain->n - 1];
        chain->meta.has_set_hash = chain->n > 1;
    } else {
        chain->meta.size = 21845; /* a real node tells uninitialised memory here */
    }
    if (world->n == sizeof world->chains / sizeof *world->chains)
        abort();
    world->chains[world->n++] = chain;
    return chain;
}

static tw_chain *copy(const tw_chain *from)
{
    tw_chain *chain = calloc(1, sizeof *chain);
    if (!chain)
        abort();
    if (from)
        *chain = *from;
    return chain;
}

/* ---- Histories ---------------------------------------------------------------------------- */

void tw_world_init(tw_world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->rng.state = seed;
}

void tw_world_free(tw_world *world)
{
    for (uint32_t i = 0; i < world->n; i++)
        free(world->chains[i]);
    world->n = 0;
}

static bool is_used(const tw_chain *chain, uint32_t value)
{
    for (uint32_t b = 0; b < chain->n; b++)
        for (uint32_t t = 0; t < chain->block[b].n; t++)
            for (uint32_t i = 0; i < chain->block[b].tx[t].n; i++)
                if (chain->block[b].tx[t].value[i] == value)
                    return true;
    return false;
}

/* Values are small, so that orders, repeats across forks and equal neighbours come up often. */
static tw_tx fresh(tw_world *world, const tw_chain *chain, const tw_block *block)
{
    tw_chain *with = copy(chain);
    tw_tx tx = {.n = tw_between(&world->rng, 1, 3) == 3 ? 2 : 1};
    with->block[with->n++] = *block;
    for (uint32_t i = 0; i < tx.n; i++) {
        do
            tx.value[i] = tw_between(&world->rng, 1, 500);
        while (is_used(with, tx.value[i]) || (i == 1 && tx.value[0] == tx.value[1]));
    }
    free(with);
    return tx;
}

static bool add_block(tw_world *world, tw_chain *chain, const tw_block *block)
{
    if (chain->n + 1 >= TW_BLOCKS_MAX || block->n == 0)
        return false;
    chain->block[chain->n] = *block;
    chain->block[chain->n].tag = ++world->tag;
    chain->n++;
    return true;
}

static void grow(tw_world *world, tw_chain *chain, uint32_t blocks)
{
    for (uint32_t i = 0; i < blocks && chain->n < 12; i++) {
        tw_block block = {.n = 0};
        uint32_t txs = tw_between(&world->rng, 1, 3);
        while (block.n < txs) {
            tw_tx tx = fresh(world, chain, &block);
            block.tx[block.n++] = tx;
        }
        add_block(world, chain, &block);
    }
}

const tw_chain *tw_grow_wide(tw_world *world, const tw_chain *from, uint32_t blocks, uint32_t txs)
{
    tw_chain *chain = copy(from);
    for (uint32_t i = 0; i < blocks && chain->n + 1 < TW_BLOCKS_MAX; i++) {
        tw_block block = {.n = 0};
        while (block.n < txs) {
            tw_tx tx = fresh(world, chain, &block);
            block.tx[block.n++] = tx;
        }
        add_block(world, chain, &block);
    }
    return seal(world, chain);
}

const tw_chain *tw_grow(tw_world *world, const tw_chain *from, uint32_t blocks)
{
    return tw_grow_wide(world, from, blocks, 1);
}

/* Takes the transactions of the last `depth` blocks off the chain, oldest first. */
static uint32_t take_off(tw_chain *chain, uint32_t depth, tw_tx *txs)
{
    uint32_t n = 0;
    for (uint32_t b = chain->n - depth; b < chain->n; b++)
        for (uint32_t t = 0; t < chain->block[b].n; t++)
            txs[n++] = chain->block[b].tx[t];
    chain->n -= depth;
    return n;
}

/* Mines transactions again, cut into blocks of 1 to `most`. */
static void mine(tw_world *world, tw_chain *chain, const tw_tx *txs, uint32_t n, uint32_t most)
{
    for (uint32_t done = 0; done < n;) {
        tw_block block = {.n = 0};
        uint32_t want = tw_between(&world->rng, 1, most);
        while (block.n < want && block.n < TW_TXS_MAX && done < n)
            block.tx[block.n++] = txs[done++];
        if (!add_block(world, chain, &block))
            break;
    }
}

enum {
    TXS_MAX = TW_BLOCKS_MAX * TW_TXS_MAX
};

static void reorg(tw_world *world, tw_chain *chain, uint32_t depth)
{
    tw_tx txs[TXS_MAX];
    uint32_t n = take_off(chain, depth, txs);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (tw_chance(&world->rng, .6))
            txs[kept++] = txs[i];
    if (tw_chance(&world->rng, .5))
        grow(world, chain, 1);
    for (uint32_t i = 0; i < kept;) /* grow may have taken a value of theirs */
        if (is_used(chain, txs[i].value[0]) || (txs[i].n == 2 && is_used(chain, txs[i].value[1])))
            txs[i] = txs[--kept];
        else
            i++;
    mine(world, chain, txs, kept, 3);
    grow(world, chain, tw_between(&world->rng, 0, 2));
}

/* Values next to the old ones keep the order of coins, or nearly so. */
static bool shift(tw_world *world, const tw_chain *chain, tw_tx *tx)
{
    tw_tx moved = *tx;
    for (uint32_t i = 0; i < tx->n; i++) {
        moved.value[i] += tw_between(&world->rng, 1, 2);
        if (is_used(chain, moved.value[i]) || (i == 1 && moved.value[0] == moved.value[1]))
            return false;
    }
    *tx = moved;
    return true;
}

/* Another transaction of the same size. */
static void replace_tx(tw_world *world, const tw_chain *chain, tw_tx *old)
{
    tw_block none = {.n = 0};
    tw_tx tx;
    if (tw_chance(&world->rng, .3) && shift(world, chain, old))
        return;
    do
        tx = fresh(world, chain, &none);
    while (tx.n != old->n);
    *old = tx;
}

/* One transaction becomes another of the same size, all the rest is mined again as it was. */
static void replace_one(tw_world *world, tw_chain *chain, uint32_t depth)
{
    tw_block *block = &chain->block[chain->n - depth];
    replace_tx(world, chain, &block->tx[tw_between(&world->rng, 0, block->n - 1)]);
    for (uint32_t b = chain->n - depth; b < chain->n; b++)
        chain->block[b].tag = ++world->tag;
    if (tw_chance(&world->rng, .5))
        grow(world, chain, 1);
}

static void remine(tw_world *world, tw_chain *chain, uint32_t depth)
{
    for (uint32_t b = chain->n - depth; b < chain->n; b++)
        chain->block[b].tag = ++world->tag;
    if (tw_chance(&world->rng, .3))
        grow(world, chain, 1);
}

static void recut(tw_world *world, tw_chain *chain, uint32_t depth, uint32_t most)
{
    tw_tx txs[TXS_MAX];
    uint32_t n = take_off(chain, depth, txs);
    mine(world, chain, txs, n, most);
    if (tw_chance(&world->rng, .3))
        grow(world, chain, 1);
}

/* The last blocks become one, perhaps with a transaction replaced, and with some added. */
static void swell(tw_world *world, tw_chain *chain, uint32_t depth)
{
    tw_tx txs[TXS_MAX];
    tw_block *block = &chain->block[chain->n - depth];
    uint32_t at = tw_between(&world->rng, 0, 255);
    uint32_t more = tw_between(&world->rng, 0, 2);
    tw_chain *before = copy(chain);
    uint32_t n = take_off(chain, depth, txs);
    if (n > 0 && tw_chance(&world->rng, .7))
        replace_tx(world, before, &txs[at % n]);
    block->n = 0;
    while (block->n < n && block->n < TW_TXS_MAX) {
        block->tx[block->n] = txs[block->n];
        block->n++;
    }
    block->tag = ++world->tag;
    chain->n++;
    for (; more > 0 && block->n < TW_TXS_MAX; more--)
        block->tx[block->n++] = fresh(world, chain, block);
    free(before);
}

const tw_chain *tw_mutate(tw_world *world, const tw_chain *from)
{
    tw_rng *rng = &world->rng;
    uint32_t kind = from && from->n > 0 ? tw_between(rng, 0, 22) : 0;
    uint32_t depth = from && from->n > 0 ? tw_between(rng, 1, from->n) : 0;
    tw_chain *chain;
    if (kind == 22 && world->n > 0)
        return world->chains[tw_between(rng, world->n > 6 ? world->n - 6 : 0, world->n - 1)];
    chain = copy(from);
    if (depth > 2 && tw_chance(rng, .5))
        depth = 2;
    if (kind < 6)
        grow(world, chain, tw_between(rng, 1, 3));
    else if (kind < 9)
        reorg(world, chain, depth);
    else if (kind < 12)
        replace_one(world, chain, depth);
    else if (kind < 14)
        remine(world, chain, depth);
    else if (kind < 16)
        recut(world, chain, depth, 3);
    else if (kind < 18)
        recut(world, chain, tw_chance(rng, .4) ? chain->n : depth, TW_TXS_MAX);
    else if (kind < 20)
        swell(world, chain, tw_chance(rng, .4) ? chain->n : depth);
    else
        chain->n -= depth;
    return seal(world, chain);
}

const tw_chain *tw_find(const tw_world *world, const anonset_meta *meta)
{
    for (uint32_t i = 0; i < world->n; i++)
        if (as_meta_equal(&world->chains[i]->meta, meta))
            return world->chains[i];
    return NULL;
}

bool tw_in_first_block(const tw_chain *chain, const anonset_coin *coin)
{
    for (uint32_t t = 0; t < chain->block[0].n; t++) {
        for (uint32_t i = 0; i < chain->block[0].tx[t].n; i++) {
            uint8_t bytes[TW_COIN_BYTES];
            anonset_coin first;
            tw_coin(&first, bytes, chain->block[0].tx[t].value[i], &chain->block[0].tx[t]);
            if (as_coin_equal(&first, coin))
                return true;
        }
    }
    return false;
}

bool tw_same_coins(const tw_chain *a, const tw_chain *b, uint32_t size)
{
    if (size > a->meta.size || size > b->meta.size)
        return false;
    return memcmp(a->coin, b->coin, size * sizeof *a->coin) == 0 &&
           memcmp(a->coin_tx, b->coin_tx, size * sizeof *a->coin_tx) == 0;
}

/* ---- Answers ------------------------------------------------------------------------------ */

/* Size of the set at a pin; 0: refused. A group of one block takes any hash; in a longer one the
 * first block's own is refused. */
static uint32_t pinned_size(const tw_chain *chain, const uint8_t *pin)
{
    if (chain->n == 1)
        return chain->size[0];
    for (uint32_t b = 1; b < chain->n; b++)
        if (memcmp(chain->pin[b], pin, ANONSET_HASH_BYTES) == 0)
            return chain->size[b];
    return 0;
}

static void answer_sector(tw_reply *reply, const tw_chain *chain, const anonset_request *request)
{
    anonset_answer *answer = &reply->answer;
    uint32_t size = chain && chain->n > 0 ? pinned_size(chain, request->block_hash) : 0;
    answer->kind = ANONSET_ANSWER_COINS;
    if (size == 0) {
        answer->kind =
            chain && chain->n > 0 ? ANONSET_ANSWER_BLOCK_REFUSED : ANONSET_ANSWER_NO_GROUP;
        return;
    }
    answer->coins = reply->coins;
    for (uint32_t i = request->start; i < request->end && i < size; i++) {
        uint32_t position = size - 1 - i;
        tw_coin(&reply->coins[answer->n], reply->bytes[answer->n], chain->coin[position],
                &chain->coin_tx[position]);
        answer->n++;
    }
}

static bool block_has(const tw_block *block, const uint8_t *tx_hash)
{
    uint8_t hash[ANONSET_HASH_BYTES];
    for (uint32_t t = 0; t < block->n; t++) {
        put_tx_hash(hash, &block->tx[t]);
        if (memcmp(hash, tx_hash, sizeof hash) == 0)
            return true;
    }
    return false;
}

static void answer_height(anonset_answer *answer, const tw_chain *chain, const uint8_t *tx_hash)
{
    uint32_t b = 0;
    while (chain && b < chain->n && !block_has(&chain->block[b], tx_hash))
        b++;
    if (chain && b < chain->n) {
        answer->kind = ANONSET_ANSWER_NUMBER;
        answer->number = TW_FIRST_HEIGHT + b;
    } else {
        answer->kind = ANONSET_ANSWER_ERROR;
        (void)snprintf(answer->text, sizeof answer->text,
                       "No such mempool or blockchain transaction");
    }
}

static void answer_used(tw_reply *reply, const tw_chain *chain, uint32_t start)
{
    anonset_answer *answer = &reply->answer;
    answer->kind = ANONSET_ANSWER_USED;
    answer->used = reply->used;
    for (uint32_t i = start; i < tw_used_count(chain); i++)
        tw_used(&reply->used[answer->n++], chain, i);
}

void tw_answer(tw_reply *reply, const tw_chain *chain, const anonset_request *request)
{
    anonset_answer *answer = &reply->answer;
    *answer = (anonset_answer){.id = request->id, .wire_bytes = 1024, .text_bytes = 1000};
    switch (request->kind) {
    case ANONSET_REQUEST_META:
        answer->kind = ANONSET_ANSWER_META;
        answer->meta = chain ? chain->meta : (anonset_meta){.size = 21845};
        break;
    case ANONSET_REQUEST_SECTOR:
        answer_sector(reply, chain, request);
        break;
    case ANONSET_REQUEST_NEWEST_GROUP:
        answer->kind = ANONSET_ANSWER_NUMBER;
        answer->number = chain && chain->n > 0 ? 1 : 0;
        break;
    case ANONSET_REQUEST_GENESIS:
        answer->kind = ANONSET_ANSWER_HASH;
        memset(answer->meta.block_hash, 0x47, ANONSET_HASH_BYTES);
        break;
    case ANONSET_REQUEST_HEIGHT:
        answer_height(answer, chain, request->tx_hash);
        break;
    case ANONSET_REQUEST_USED:
        answer_used(reply, chain, request->start);
        break;
    }
}
