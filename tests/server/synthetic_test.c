/* The made-up chain obeys the node's rules; everything is recomputed here from what the server
 * says. */
#include "tests/server/wire.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH      32u
#define COIN      244u
#define FIELD_MAX 2048u

typedef struct coin {
    uint8_t serialized[FIELD_MAX], tx_hash[FIELD_MAX], context[FIELD_MAX];
    size_t serialized_len, tx_hash_len, context_len;
} coin;

typedef struct meta {
    char block[64]; /* base64, as pins want it */
    uint8_t set_hash[HASH];
    bool has_set_hash;
    uint32_t size;
} meta;

typedef struct set {
    coin *coins; /* index order */
    size_t count;
    char *text; /* the answer */
} set;

static size_t decode(uint8_t *out, const char *text, size_t len)
{
    cr_assert_leq(len / 4 * 3, FIELD_MAX);
    cr_assert_eq(len % 4, 0u);
    int got = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
    cr_assert_geq(got, 0);
    size_t padding = len > 0 ? (size_t)(text[len - 1] == '=') + (text[len - 2] == '=') : 0;
    return (size_t)got - padding;
}

static meta get_meta(ts_server *server, unsigned group)
{
    char set_hash[64];
    meta m = {.has_set_hash = true};
    const char *told = ts_tell(server, "meta %u", group);
    cr_assert_eq(sscanf(told, "%63s %63s %u", m.block, set_hash, &m.size), 3, "%s", told);
    m.has_set_hash = strcmp(set_hash, "-") != 0;
    uint8_t bytes[FIELD_MAX];
    if (m.has_set_hash) {
        cr_assert_eq(decode(bytes, set_hash, strlen(set_hash)), HASH);
        memcpy(m.set_hash, bytes, HASH);
    }
    return m;
}

static const char *next_string(const char *at, uint8_t *out, size_t *len)
{
    const char *start = strchr(at, '"') + 1;
    const char *end = strchr(start, '"');
    *len = decode(out, start, (size_t)(end - start));
    return end + 1;
}

static char *ask(int fd, unsigned group, const char *pin, size_t from, size_t to)
{
    char params[256];
    snprintf(params, sizeof params, "[\"%u\",\"%s\",\"%zu\",\"%zu\"]", group, pin, from, to);
    return wire_call(fd, "spark.getsparkanonymitysetsector", params);
}

static set get_set(int fd, unsigned group, const char *pin)
{
    set s = {.text = ask(fd, group, pin, 0, 100000)};
    const char *at = strstr(s.text, "\"coins\":[");
    cr_assert(at, "%.200s", s.text);
    at += strlen("\"coins\":[");
    size_t brackets = 0;
    for (const char *c = at; *c; c++)
        brackets += *c == '[';
    s.coins = calloc(brackets + 1, sizeof *s.coins);
    cr_assert(s.coins);
    for (; *at == '['; s.count++) {
        coin *c = &s.coins[s.count];
        at = next_string(at, c->serialized, &c->serialized_len);
        at = next_string(at, c->tx_hash, &c->tx_hash_len);
        at = next_string(at, c->context, &c->context_len);
        at += at[1] == ',' ? 2 : 1;
    }
    return s;
}

static void free_set(set *s)
{
    free(s->coins);
    free(s->text);
}

static bool refused(int fd, unsigned group, const char *pin)
{
    char *answer = ask(fd, group, pin, 0, 1);
    bool is_refused = strstr(answer, "Incorrect blockHash provided: ") != NULL;
    cr_assert(is_refused || strstr(answer, "\"coins\":["), "%.300s", answer);
    free(answer);
    return is_refused;
}

static bool same_answer(int fd, const char *pin, const char *earlier)
{
    char *again = ask(fd, 1, pin, 0, 100000);
    bool same = strcmp(again, earlier) == 0;
    free(again);
    return same;
}

/* SHA256d(previous || the coins of a block), the newest `n` coins of the set; previous may be NULL.
 */
static void block_set_hash(uint8_t *out, const uint8_t *previous, const set *s, size_t first,
                           size_t n)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    cr_assert(context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    if (previous)
        cr_assert_eq(EVP_DigestUpdate(context, previous, HASH), 1);
    for (size_t i = first; i < first + n; i++)
        cr_assert_eq(EVP_DigestUpdate(context, s->coins[i].serialized, COIN), 1);
    cr_assert_eq(EVP_DigestFinal_ex(context, out, NULL), 1);
    EVP_MD_CTX_free(context);
    cr_assert_eq(EVP_Digest(out, HASH, out, NULL, EVP_sha256(), NULL), 1);
}

TestSuite(synthetic, .timeout = 120);

static void check_layout(const coin *c)
{
    const uint8_t *s = c->serialized;
    bool spend = s[0] == 1;
    cr_assert_leq(s[0], 1);
    cr_assert_eq(s[103], spend ? 90 : 82);
    cr_assert_eq(s[104 + s[103]], 16);
    cr_assert_eq(s[104 + s[103] + 17], 32);
    cr_assert_eq(104 + s[103] + 17 + 33 + (spend ? 0 : 8), (int)COIN);
    cr_assert_eq(c->tx_hash_len, HASH);
    cr_assert_eq(memcmp(s + COIN, c->tx_hash, HASH), 0);
    size_t count_len = c->context_len < 253 ? 1 : 3;
    size_t count = count_len == 1 ? s[COIN + HASH] : s[COIN + HASH + 1] + 256u * s[COIN + HASH + 2];
    cr_assert_eq(count, c->context_len);
    cr_assert_eq(c->serialized_len, COIN + HASH + count_len + c->context_len);
    cr_assert_eq(memcmp(s + COIN + HASH + count_len, c->context, c->context_len), 0);
    cr_assert(spend ? c->context_len == 1 + 34u * c->context[0] : c->context_len % 41 == 0);
}

Test(synthetic, coins_have_the_real_layout)
{
    ts_server server;
    ts_server_start(&server, "--coins", "3000", NULL);
    int fd = wire_electrumx(server.tcp);
    meta m = get_meta(&server, 1);
    set s = get_set(fd, 1, m.block);
    size_t spends = 0, long_contexts = 0;
    cr_assert_eq(s.count, 3000u);
    for (size_t i = 0; i < s.count; i++) {
        check_layout(&s.coins[i]);
        spends += s.coins[i].serialized[0];
        long_contexts += s.coins[i].context_len > 252;
    }
    cr_assert(spends > 600 && spends < 1800 && long_contexts > 0, "%zu %zu", spends, long_contexts);
    free_set(&s);
    close(fd);
    ts_server_stop(&server);
}

Test(synthetic, set_hashes_chain_from_the_second_block)
{
    static const unsigned sizes[] = {4, 1, 7, 30, 2, 95};
    uint8_t chained[HASH];
    ts_server server;
    ts_server_start(&server, NULL);
    int fd = wire_electrumx(server.tcp);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        meta before = i > 0 ? get_meta(&server, 1) : (meta){0};
        ts_tell(&server, "block %u", sizes[i]);
        meta m = get_meta(&server, 1);
        set s = get_set(fd, 1, m.block);
        cr_assert_eq(s.count, m.size);
        cr_assert_eq(m.size, before.size + sizes[i]);
        for (size_t k = 1; k < sizes[i]; k++)
            cr_assert_lt(memcmp(s.coins[k - 1].serialized, s.coins[k].serialized, COIN), 0);
        cr_assert_eq(m.has_set_hash, i > 0);
        if (i > 0) {
            block_set_hash(chained, i > 1 ? chained : NULL, &s, 0, sizes[i]);
            cr_assert_arr_eq(m.set_hash, chained, HASH);
        }
        free_set(&s);
        ts_tell(&server, "block 0");
        cr_assert_str_eq(get_meta(&server, 1).block, m.block);
    }
    close(fd);
    ts_server_stop(&server);
}

Test(synthetic, pins_reach_from_the_second_block_to_the_newest)
{
    ts_server server;
    static const char made_up[] = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
    ts_server_start(&server, NULL);
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "block 5");
    meta first = get_meta(&server, 1);
    cr_assert_not(refused(fd, 1, made_up), "a group of one block accepts any hash");
    ts_tell(&server, "block 6");
    meta second = get_meta(&server, 1);
    char *at_second = ask(fd, 1, second.block, 0, 100000);
    cr_assert(refused(fd, 1, made_up));
    cr_assert(refused(fd, 1, first.block), "the first block's own hash is refused");
    ts_tell(&server, "block 7");
    cr_assert(same_answer(fd, second.block, at_second));
    meta third = get_meta(&server, 1);
    ts_tell(&server, "lag 1");
    cr_assert_str_eq(get_meta(&server, 1).block, second.block);
    cr_assert(refused(fd, 1, third.block));
    ts_tell(&server, "lag 0");
    cr_assert_not(refused(fd, 1, third.block));
    ts_tell(&server, "keep 1");
    cr_assert_str_eq(get_meta(&server, 1).block, first.block);
    cr_assert_not(refused(fd, 1, third.block));
    ts_tell(&server, "keep 0");
    char *none = ask(fd, 1, third.block, 0, 1);
    cr_assert(strstr(none, "There is no anonymity set with this id: 1"));
    free(none);
    free(at_second);
    close(fd);
    ts_server_stop(&server);
}

/* The first index, from the oldest coin on, where two sets differ. */
static size_t first_difference(const set *a, const set *b)
{
    size_t p = 0;
    while (p < a->count && p < b->count) {
        const coin *x = &a->coins[a->count - 1 - p], *y = &b->coins[b->count - 1 - p];
        if (x->serialized_len != y->serialized_len ||
            memcmp(x->serialized, y->serialized, x->serialized_len) != 0)
            break;
        p++;
    }
    return p;
}

/* A chain of ten blocks of ten coins, and what one command makes of it. */
static void change_ten(const char *command, bool orphans, size_t same_from_oldest,
                       size_t size_after)
{
    ts_server server;
    ts_server_start(&server, NULL);
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "grow 100 10");
    meta before = get_meta(&server, 1);
    set old = get_set(fd, 1, before.block);
    ts_tell(&server, "%s", command);
    meta after = get_meta(&server, 1);
    set new = get_set(fd, 1, after.block);
    cr_expect_eq(refused(fd, 1, before.block), orphans, "%s", command);
    cr_expect_eq(after.size, size_after, "%s", command);
    cr_expect_eq(new.count, size_after, "%s", command);
    cr_expect_eq(first_difference(&old, &new), same_from_oldest, "%s", command);
    cr_expect_neq(strcmp(before.block, after.block), 0, "%s", command);
    bool same_coins = same_from_oldest == old.count && new.count == old.count;
    if (strncmp(command, "recut", 5) != 0)
        cr_expect_eq(memcmp(before.set_hash, after.set_hash, HASH) == 0, same_coins, "%s", command);
    free_set(&old);
    free_set(&new);
    close(fd);
    ts_server_stop(&server);
}

Test(synthetic, changes_of_the_chain)
{
    change_ten("grow 50 3", false, 100, 150);
    change_ten("undo 2", true, 80, 80);
    change_ten("reorg 3", true, 70, 100);
    change_ten("reorg 3 55", true, 70, 125);
    change_ten("remine 4", true, 100, 100);
    change_ten("replace 4", true, 60, 100);
}

/* Coins above a difference are the same again; other cuts keep every coin. */
Test(synthetic, replaced_and_recut_blocks_keep_coins)
{
    ts_server server;
    ts_server_start(&server, NULL);
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "grow 100 10");
    set old = get_set(fd, 1, get_meta(&server, 1).block);
    ts_tell(&server, "replace 4");
    set replaced = get_set(fd, 1, get_meta(&server, 1).block);
    for (size_t i = 0; i < 40; i++) {
        bool same = memcmp(old.coins[i].serialized, replaced.coins[i].serialized, COIN) == 0;
        cr_assert_eq(same, i < 30, "index %zu", i);
    }
    ts_tell(&server, "recut 10 4");
    meta recut_meta = get_meta(&server, 1);
    set recut = get_set(fd, 1, recut_meta.block);
    cr_assert_eq(recut.count, 100u);
    for (size_t i = 0; i < 100; i++) {
        size_t found = 0;
        for (size_t k = 0; k < 100; k++)
            found +=
                memcmp(replaced.coins[i].serialized, recut.coins[k].serialized, FIELD_MAX) == 0 ||
                memcmp(replaced.coins[i].serialized, recut.coins[k].serialized, COIN) == 0;
        cr_assert_eq(found, 1u);
    }
    free_set(&old);
    free_set(&replaced);
    free_set(&recut);
    close(fd);
    ts_server_stop(&server);
}

Test(synthetic, a_full_group_rolls_over)
{
    uint8_t chained[HASH];
    ts_server server;
    ts_server_start(&server, "--group-limit", "100", "--group-overlap", "25", NULL);
    int fd = wire_electrumx(server.tcp);
    ts_tell(&server, "grow 100 10");
    meta one = get_meta(&server, 1);
    ts_tell(&server, "block 8");
    cr_assert_str_eq(get_meta(&server, 1).block, one.block, "the full group is frozen");
    meta two = get_meta(&server, 2);
    cr_assert_eq(two.size, 30u + 8u, "the newest blocks with at least 25 coins, and its own");
    set old = get_set(fd, 1, one.block);
    set new = get_set(fd, 2, two.block);
    for (size_t i = 0; i < 30; i++)
        cr_assert_eq(memcmp(old.coins[i].serialized, new.coins[8 + i].serialized, COIN), 0);
    block_set_hash(chained, one.set_hash, &new, 0, 8);
    cr_assert_arr_eq(two.set_hash, chained, HASH);
    cr_assert_not(refused(fd, 2, one.block), "the newest block of the old group is in the new one");
    cr_assert(refused(fd, 1, two.block));
    char *latest = wire_call(fd, "spark.getsparklatestcoinid", "[]");
    cr_assert(ts_json_is(latest, "result", "2"));
    free(latest);
    ts_tell(&server, "undo 1");
    latest = wire_call(fd, "spark.getsparklatestcoinid", "[]");
    cr_assert(ts_json_is(latest, "result", "1"));
    free(latest);
    free_set(&old);
    free_set(&new);
    close(fd);
    ts_server_stop(&server);
}

static void dump(const ts_dir *dir, const char *name, const char *seed, const char *order)
{
    ts_server server;
    ts_server_start(&server, "--seed", seed, "--coins", "2000", NULL);
    ts_tell(&server, "dump 1 %s %s", ts_in(dir, name), order);
    ts_server_stop(&server);
}

Test(synthetic, follows_from_its_seed)
{
    ts_dir dir;
    ts_dir_make(&dir);
    dump(&dir, "a", "7", "newest");
    dump(&dir, "b", "7", "newest");
    dump(&dir, "c", "8", "newest");
    dump(&dir, "d", "7", "oldest");
    cr_assert(ts_same_file(ts_in(&dir, "a"), ts_in(&dir, "b")));
    cr_assert_not(ts_same_file(ts_in(&dir, "a"), ts_in(&dir, "c")));
    char *newest = ts_read_file(ts_in(&dir, "a"), NULL);
    char *oldest = ts_read_file(ts_in(&dir, "d"), NULL);
    const char *first = ts_line(oldest, 0), *last = ts_line(newest, 1999);
    cr_assert_eq(strncmp(first, last, strcspn(first, "\n") + 1), 0);
    cr_assert_null(ts_line(newest, 2000));
    free(newest);
    free(oldest);
    ts_dir_remove(&dir);
}

Test(synthetic, bare_coins_lack_the_tail)
{
    ts_server server;
    ts_server_start(&server, "--coins", "300", "--bare-every", "3", NULL);
    int fd = wire_electrumx(server.tcp);
    set s = get_set(fd, 1, get_meta(&server, 1).block);
    size_t bare = 0;
    for (size_t i = 0; i < s.count; i++)
        bare += s.coins[i].serialized_len == COIN;
    cr_assert(bare > 40 && bare < 200, "%zu", bare);
    free_set(&s);
    close(fd);
    ts_server_stop(&server);
}
