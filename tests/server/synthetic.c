/*
 * A chain made up from a seed. A block names runs of transactions; coins are derived when asked
 * for, so that millions of them need little memory.
 *
 * The node's rules (seen on firod 0.14.17.2): inside a block coins ascend by their bytes; the
 * newest block is index 0. setHash(block) = SHA256d(previous set hash || coins of the block), where
 * the first block of all has none and is not chained into the second. A block that would push a
 * group past its limit starts the next group, which begins with the newest blocks of the group
 * before.
 */
#include "tests/server/chain.h"
#include "tests/server/coin.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_HEIGHT 100u /* of the oldest block */

/* Transactions first, first + 1, … with `coins` coins in all; the last one may be cut short. */
typedef struct run {
    uint64_t first;
    uint32_t coins;
} run;

typedef struct block {
    uint8_t hash[HASH];
    uint8_t set_hash[HASH];
    bool has_set_hash;
    uint32_t coins;
    uint32_t end; /* coins of the chain up to and with this block */
    run *runs;
    size_t run_count;
} block;

/* Blocks [first, end of own), of which [own, …) came after the group before was full. */
typedef struct group {
    size_t first, own;
} group;

typedef struct coin_at {
    uint64_t key;
    uint64_t tx;
    uint32_t output;
    bool spend;
} coin_at;

typedef struct synthetic {
    chain base;
    synthetic_options options;
    coin_rules rules;
    block *blocks;
    size_t block_count, block_cap;
    group *groups;
    size_t group_count, group_cap;
    size_t lag;       /* newest blocks not shown */
    uint64_t next_tx; /* never used again, so that a reorg brings other coins */
    uint64_t nonce;   /* makes the hash of each block ever made another one */
    EVP_MD *sha256;
    EVP_MD_CTX *hasher;
    /* The coins of one block in order, kept because neighbours are asked for one after another. */
    size_t sorted_block; /* SIZE_MAX: none */
    coin_at *sorted;
    size_t sorted_count, sorted_cap;
} synthetic;

static void hash_start(synthetic *s)
{
    if (EVP_DigestInit_ex2(s->hasher, s->sha256, NULL) != 1)
        die("SHA-256 does not start");
}

static void hash_add(synthetic *s, const void *bytes, size_t len)
{
    if (EVP_DigestUpdate(s->hasher, bytes, len) != 1)
        die("SHA-256 fails");
}

static void hash_twice(synthetic *s, uint8_t *out)
{
    if (EVP_DigestFinal_ex(s->hasher, out, NULL) != 1)
        die("SHA-256 fails");
    hash_start(s);
    hash_add(s, out, HASH);
    if (EVP_DigestFinal_ex(s->hasher, out, NULL) != 1)
        die("SHA-256 fails");
}

/* ---- Order inside a block ---- */

static int by_bytes(const void *left, const void *right)
{
    const coin_at *a = left, *b = right;
    if (a->spend != b->spend)
        return a->spend ? 1 : -1;
    return a->key < b->key ? -1 : a->key > b->key;
}

static void list_run(synthetic *s, const run *r)
{
    uint32_t left = r->coins;
    for (uint64_t tx = r->first; left > 0; tx++) {
        uint32_t coins = tx_coins(&s->rules, tx);
        for (uint32_t output = 0; output < coins && left > 0; output++, left--) {
            s->sorted[s->sorted_count++] = (coin_at){.key = coin_key(&s->rules, tx, output),
                                                     .tx = tx,
                                                     .output = output,
                                                     .spend = tx_is_spend(&s->rules, tx)};
        }
    }
}

static void sort_block(synthetic *s, size_t index)
{
    if (s->sorted_block == index)
        return;
    const block *b = &s->blocks[index];
    GROW(s->sorted, &s->sorted_cap, (size_t)b->coins + 1);
    s->sorted_count = 0;
    for (size_t i = 0; i < b->run_count; i++)
        list_run(s, &b->runs[i]);
    qsort(s->sorted, s->sorted_count, sizeof *s->sorted, by_bytes);
    s->sorted_block = index;
}

/* ---- Making blocks ---- */

static uint32_t chain_end(const synthetic *s, size_t blocks)
{
    return blocks ? s->blocks[blocks - 1].end : 0;
}

/* Sets the hashes of the newest block. */
static void seal_block(synthetic *s)
{
    size_t index = s->block_count - 1;
    block *b = &s->blocks[index];
    static const block none;
    const block *previous = index ? b - 1 : &none;
    uint64_t salt[2] = {s->rules.seed, s->nonce++};
    hash_start(s);
    hash_add(s, previous->hash, HASH);
    hash_add(s, salt, sizeof salt);
    hash_twice(s, b->hash);

    if (b->coins == 0) {
        b->has_set_hash = previous->has_set_hash;
        memcpy(b->set_hash, previous->set_hash, HASH);
    }
    if (b->coins == 0 || b->end == b->coins)
        return;
    sort_block(s, index);
    hash_start(s);
    if (previous->has_set_hash)
        hash_add(s, previous->set_hash, HASH);
    for (size_t i = 0; i < s->sorted_count; i++) {
        uint8_t bytes[COIN_BYTES];
        coin_bytes(&s->rules, s->sorted[i].tx, s->sorted[i].output, bytes);
        hash_add(s, bytes, sizeof bytes);
    }
    hash_twice(s, b->set_hash);
    b->has_set_hash = true;
}

/* The oldest of the newest blocks that hold the overlap, not before `first`. */
static size_t overlap_start(const synthetic *s, size_t first, size_t end)
{
    size_t at = end;
    while (at > first && chain_end(s, end) - chain_end(s, at) < s->options.group_overlap)
        at--;
    while (at < end && s->blocks[at].coins == 0)
        at++;
    return at;
}

static void choose_group(synthetic *s, size_t index)
{
    const block *b = &s->blocks[index];
    if (b->coins == 0)
        return;
    group *newest = s->group_count ? &s->groups[s->group_count - 1] : NULL;
    if (newest) {
        uint32_t size = b->end - chain_end(s, newest->first);
        if (s->options.group_limit == 0 || size <= s->options.group_limit)
            return;
    }
    size_t first = newest ? overlap_start(s, newest->first, index) : index;
    GROW(s->groups, &s->group_cap, s->group_count + 1);
    s->groups[s->group_count++] = (group){.first = first, .own = index};
}

/* Adds a block of these runs, which it takes over. */
static void add_runs(synthetic *s, run *runs, size_t run_count)
{
    uint32_t coins = 0;
    for (size_t i = 0; i < run_count; i++)
        coins += runs[i].coins;
    GROW(s->blocks, &s->block_cap, s->block_count + 1);
    s->blocks[s->block_count] = (block){.coins = coins,
                                        .end = chain_end(s, s->block_count) + coins,
                                        .runs = runs,
                                        .run_count = run_count};
    s->block_count++;
    choose_group(s, s->block_count - 1);
    seal_block(s);
}

static run *new_run(uint64_t first, uint32_t coins)
{
    run *r = malloc(sizeof *r);
    if (!r)
        die("no memory for a block");
    *r = (run){.first = first, .coins = coins};
    return r;
}

/* Adds a block of new transactions. */
static void add_block(synthetic *s, uint32_t coins)
{
    uint64_t first = s->next_tx;
    for (uint32_t have = 0; have < coins; s->next_tx++)
        have += tx_coins(&s->rules, s->next_tx);
    if (coins > UINT32_MAX - chain_end(s, s->block_count))
        die("more coins than 32 bits count");
    add_runs(s, coins ? new_run(first, coins) : NULL, coins ? 1 : 0);
}

/* Adds blocks of random sizes. */
static void grow(synthetic *s, uint32_t coins)
{
    uint32_t span = s->options.per_block_max - s->options.per_block_min + 1;
    while (coins > 0) {
        uint32_t part =
            s->options.per_block_min + (uint32_t)(mix(s->rules.seed, s->nonce, 5) % span);
        if (part > coins)
            part = coins;
        add_block(s, part);
        coins -= part;
    }
}

/* Adds exactly so many blocks, as equal as can be. */
static void grow_blocks(synthetic *s, uint32_t coins, uint32_t blocks)
{
    for (uint32_t i = 0; i < blocks; i++)
        add_block(s, coins / blocks + (i < coins % blocks));
}

/* ---- Undoing blocks ---- */

/* Takes the newest blocks off the chain; the caller frees them. */
static block *detach(synthetic *s, size_t depth)
{
    block *taken = calloc(depth + 1, sizeof *taken);
    if (!taken)
        die("no memory for %zu blocks", depth);
    s->block_count -= depth;
    memcpy(taken, s->blocks + s->block_count, depth * sizeof *taken);
    while (s->group_count && s->groups[s->group_count - 1].own >= s->block_count)
        s->group_count--;
    s->sorted_block = SIZE_MAX;
    return taken;
}

static uint32_t undo(synthetic *s, size_t depth)
{
    uint32_t before = chain_end(s, s->block_count);
    block *taken = detach(s, depth);
    for (size_t i = 0; i < depth; i++)
        free(taken[i].runs);
    free(taken);
    return before - chain_end(s, s->block_count);
}

/* Mines the newest blocks again: same coins, other block hashes; the oldest of them with other
 * coins if `fresh` (so that coins above a difference stay the same). */
static void remine(synthetic *s, size_t depth, bool fresh)
{
    block *taken = detach(s, depth);
    for (size_t i = 0; i < depth; i++) {
        if (i == 0 && fresh) {
            add_block(s, taken[i].coins);
            free(taken[i].runs);
        } else {
            add_runs(s, taken[i].runs, taken[i].run_count);
        }
    }
    free(taken);
}

typedef struct run_list {
    run *runs;
    size_t count, cap;
} run_list;

static void push_run(run_list *list, uint64_t first, uint32_t coins)
{
    if (coins == 0)
        return;
    GROW(list->runs, &list->cap, list->count + 1);
    list->runs[list->count++] = (run){.first = first, .coins = coins};
}

/* Moves whole transactions worth about `want` coins from the front of `from` to a list of its own.
 */
static run_list cut_runs(const synthetic *s, run_list *from, size_t *at, uint32_t want)
{
    run_list part = {0};
    while (want > 0 && *at < from->count) {
        run *r = &from->runs[*at];
        uint32_t taken = 0;
        uint64_t tx = r->first;
        while (taken < want && taken < r->coins) {
            taken += tx_coins(&s->rules, tx);
            tx++;
        }
        if (taken > r->coins)
            taken = r->coins;
        push_run(&part, r->first, taken);
        want -= taken < want ? taken : want;
        *r = (run){.first = tx, .coins = r->coins - taken};
        if (r->coins == 0)
            ++*at;
    }
    return part;
}

/* Mines the transactions of the newest blocks again in `blocks` blocks cut elsewhere. */
static void recut(synthetic *s, size_t depth, uint32_t blocks)
{
    run_list all = {0};
    uint32_t coins = 0;
    size_t at = 0;
    block *taken = detach(s, depth);
    for (size_t i = 0; i < depth; i++) {
        for (size_t k = 0; k < taken[i].run_count; k++)
            push_run(&all, taken[i].runs[k].first, taken[i].runs[k].coins);
        coins += taken[i].coins;
        free(taken[i].runs);
    }
    for (uint32_t i = 0; i < blocks; i++) {
        bool last = i + 1 == blocks;
        run_list part = cut_runs(s, &all, &at, last ? coins : coins / blocks + 1);
        add_runs(s, part.runs, part.count);
    }
    free(all.runs);
    free(taken);
}

/* ---- What the server asks ---- */

static size_t shown_blocks(const synthetic *s)
{
    return s->lag < s->block_count ? s->block_count - s->lag : 0;
}

/* The blocks of a group that are shown now, [*first, *end), ending with one that has coins. */
static bool group_blocks(const synthetic *s, uint32_t id, size_t *first, size_t *end)
{
    size_t shown = shown_blocks(s);
    if (id == 0 || id > s->group_count || s->groups[id - 1].own >= shown)
        return false;
    *first = s->groups[id - 1].first;
    *end = id < s->group_count && s->groups[id].own < shown ? s->groups[id].own : shown;
    while (s->blocks[*end - 1].coins == 0)
        --*end;
    return true;
}

static uint32_t synthetic_latest(const chain *c)
{
    const synthetic *s = (const synthetic *)c;
    size_t shown = shown_blocks(s);
    uint32_t id = (uint32_t)s->group_count;
    while (id > 0 && s->groups[id - 1].own >= shown)
        id--;
    return id;
}

static bool synthetic_meta(const chain *c, uint32_t id, chain_meta *meta)
{
    const synthetic *s = (const synthetic *)c;
    size_t first, end;
    if (!group_blocks(s, id, &first, &end))
        return false;
    const block *newest = &s->blocks[end - 1];
    *meta = (chain_meta){.has_set_hash = newest->has_set_hash,
                         .size = newest->end - chain_end(s, first)};
    memcpy(meta->block_hash, newest->hash, HASH);
    memcpy(meta->set_hash, newest->set_hash, HASH);
    return true;
}

/* Walks as the node does: from the newest block down, and reaching the first one is a refusal
 * unless the group has no other. */
static pin_result synthetic_pin(const chain *c, uint32_t id, const uint8_t *hash, uint32_t *size)
{
    const synthetic *s = (const synthetic *)c;
    size_t first, end;
    if (!group_blocks(s, id, &first, &end))
        return PIN_NO_GROUP;
    size_t at = end - 1;
    while (at > first && memcmp(s->blocks[at].hash, hash, HASH) != 0)
        at--;
    if (at == first && first != end - 1)
        return PIN_REFUSED;
    *size = s->blocks[at].end - chain_end(s, first);
    return PIN_OK;
}

/* The block that holds a coin of the chain, counted from the oldest. */
static size_t find_block(const synthetic *s, uint32_t coin)
{
    size_t low = 0, high = s->block_count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->blocks[middle].end > coin)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool synthetic_coin(chain *c, uint32_t id, uint32_t position, text *out)
{
    synthetic *s = (synthetic *)c;
    uint32_t coin = chain_end(s, s->groups[id - 1].first) + position;
    size_t index = s->sorted_block;
    if (index == SIZE_MAX || coin >= s->blocks[index].end || coin < chain_end(s, index))
        index = find_block(s, coin);
    sort_block(s, index);
    const coin_at *at = &s->sorted[s->blocks[index].end - 1 - coin];
    coin_json(&s->rules, at->tx, at->output, out);
    return true;
}

static bool run_has(const synthetic *s, const run *r, const uint8_t *hash)
{
    uint32_t coins = 0;
    for (uint64_t tx = r->first; coins < r->coins; tx++) {
        uint8_t own[HASH];
        tx_hash(&s->rules, tx, own);
        if (memcmp(own, hash, HASH) == 0)
            return true;
        coins += tx_coins(&s->rules, tx);
    }
    return false;
}

static bool block_has(const synthetic *s, const block *b, const uint8_t *hash)
{
    size_t at = 0;
    while (at < b->run_count && !run_has(s, &b->runs[at], hash))
        at++;
    return at < b->run_count;
}

/* What stands in a block that is not shown was heard of, but is not mined yet. */
static bool synthetic_height(const chain *c, const uint8_t *hash, uint32_t *height)
{
    const synthetic *s = (const synthetic *)c;
    size_t at = 0;
    while (at < s->block_count && !block_has(s, &s->blocks[at], hash))
        at++;
    *height = at < shown_blocks(s) ? FIRST_HEIGHT + (uint32_t)at : 0;
    return at < s->block_count;
}

/* ---- Control commands ---- */

static bool number(const char *word, uint32_t *value)
{
    char *end;
    unsigned long v = strtoul(word, &end, 10);
    *value = (uint32_t)v;
    return *word >= '0' && *word <= '9' && !*end && v <= UINT32_MAX;
}

static const char *depth_command(synthetic *s, const char *name, uint32_t depth, bool has_more,
                                 uint32_t more)
{
    if (strcmp(name, "keep") == 0) {
        if (depth > s->block_count)
            return "there are not that many blocks";
        undo(s, s->block_count - depth);
        return NULL;
    }
    if (strcmp(name, "lag") == 0) {
        s->lag = depth;
        return NULL;
    }
    if (depth > s->block_count)
        return "there are not that many blocks";
    if (strcmp(name, "undo") == 0) {
        undo(s, depth);
    } else if (strcmp(name, "reorg") == 0) {
        uint32_t gone = undo(s, depth);
        grow_blocks(s, has_more ? more : gone, (uint32_t)depth + 1);
    } else if (strcmp(name, "remine") == 0) {
        remine(s, depth, false);
    } else if (strcmp(name, "replace") == 0) {
        remine(s, depth, true);
    } else if (strcmp(name, "recut") == 0 && has_more && more > 0) {
        recut(s, depth, more);
    } else {
        return "no such command, or a number is missing";
    }
    return NULL;
}

static const char *synthetic_command(chain *c, size_t words, char **word)
{
    synthetic *s = (synthetic *)c;
    uint32_t first = 0, second = 0;
    if (words < 2 || words > 3 || !number(word[1], &first) ||
        (words == 3 && !number(word[2], &second)))
        return "a command of the chain, and one or two numbers, are needed";
    if (strcmp(word[0], "grow") == 0) {
        if (words == 3)
            grow_blocks(s, first, second);
        else
            grow(s, first);
        return NULL;
    }
    if (strcmp(word[0], "block") == 0) {
        add_block(s, first);
        return NULL;
    }
    return depth_command(s, word[0], first, words == 3, second);
}

static void synthetic_free(chain *c)
{
    synthetic *s = (synthetic *)c;
    for (size_t i = 0; i < s->block_count; i++)
        free(s->blocks[i].runs);
    free(s->blocks);
    free(s->groups);
    free(s->sorted);
    EVP_MD_CTX_free(s->hasher);
    EVP_MD_free(s->sha256);
    free(s);
}

static const chain_source source = {
    .latest = synthetic_latest,
    .meta = synthetic_meta,
    .pin = synthetic_pin,
    .coin = synthetic_coin,
    .height = synthetic_height,
    .command = synthetic_command,
    .free = synthetic_free,
};

chain *synthetic_new(const synthetic_options *options)
{
    if (options->per_block_min == 0 || options->per_block_min > options->per_block_max)
        die("--per-block wants MIN-MAX, from 1 on");
    synthetic *s = calloc(1, sizeof *s);
    if (!s)
        die("no memory for the chain");
    s->base.source = &source;
    s->options = *options;
    s->rules = (coin_rules){.seed = options->seed,
                            .spend_percent = options->spend_percent,
                            .bare_every = options->bare_every};
    s->sorted_block = SIZE_MAX;
    s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    s->hasher = EVP_MD_CTX_new();
    if (!s->sha256 || !s->hasher)
        die("OpenSSL has no SHA-256");
    grow(s, options->coins);
    return &s->base;
}
