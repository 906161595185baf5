/* What anonset-convert copies, between every two backends: all that a store can hold. */
#include "backends/backends.h"
#include "cli/convert_copy.h"
#include "core/store.h"
#include "core/used.h"
#include "tests/support/coins.h"
#include "tests/support/legacy.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static ts_dir dir;
static anonset_detail detail;

static void make_dir(void)
{
    ts_dir_make(&dir);
}

static void remove_dir(void)
{
    ts_dir_remove(&dir);
}

TestSuite(convert, .init = make_dir, .fini = remove_dir, .timeout = 120);

static void ok(anonset_code code)
{
    cr_assert_eq(code, ANONSET_OK, "code %d: %s", code, detail.text);
}

static void *make(const anonset_backend *b, const char *name, uint8_t salt)
{
    anonset_backend_options options = {.flags = ANONSET_STORE_CREATE, .busy_ms = 5000};
    void *handle;
    memset(options.salt, salt, sizeof options.salt);
    ok(b->open(&handle, ts_in(&dir, name), &options, &detail));
    return handle;
}

/* ---- A store with everything in it --------------------------------------------------------- */

static void append(const anonset_backend *b, void *handle, uint32_t group, const ts_chain *chain,
                   const anonset_meta *target, uint32_t base, uint32_t n)
{
    anonset_append a = {.group = group, .target = *target, .base = base, .start = base, .n = n};
    a.coins = chain->coins + base;
    a.tags = chain->tags + base;
    a.digests = (const uint8_t(*)[ANONSET_HASH_BYTES])(chain->digests + base + 1);
    memcpy(a.digest_before, chain->digests[base], ANONSET_HASH_BYTES);
    memcpy(a.digest_after, chain->digests[base + n], ANONSET_HASH_BYTES);
    ok(b->append_sector(handle, &a, &detail));
}

static void finalize(const anonset_backend *b, void *handle, uint32_t group, const ts_chain *chain,
                     const anonset_meta *target, uint32_t base, anonset_gate gate)
{
    anonset_complete c = {.group = group, .target = *target, .gate = gate};
    append(b, handle, group, chain, target, base, target->size - base);
    c.expected_count = target->size - base;
    memcpy(c.digest, chain->digests[target->size], ANONSET_HASH_BYTES);
    ok(b->mark_complete(handle, &c, &detail));
}

static anonset_meta meta_of(const ts_chain *chain, uint32_t size, bool again)
{
    anonset_meta meta = ts_chain_meta(chain, size);
    if (again)
        meta.block_hash[0] ^= 1;
    return meta;
}

#define TAGS 9000u /* more than a batch */

static anonset_used tags[TAGS];

static void fill_used(const anonset_backend *b, void *handle)
{
    anonset_used_append a = {.n = TAGS, .used = tags};
    as_digest *digest;
    for (uint32_t i = 0; i < TAGS; i++) {
        ts_fill(tags[i].tag, sizeof tags[i].tag, 2 * (uint64_t)i);
        ts_fill(tags[i].tx_hash, sizeof tags[i].tx_hash, 2 * (uint64_t)i + 1);
    }
    ok(as_digest_new(&digest, &detail));
    ok(as_used_digest(digest, a.digest_after, tags, TAGS));
    as_digest_free(digest);
    ok(b->used_append(handle, &a, &detail));
}

static void fill(const anonset_backend *b, void *handle)
{
    ts_chain *chain = ts_chain_new(1, 4000), *fork = ts_chain_fork(chain, 2500, 2, 4100);
    anonset_meta meta;
    uint8_t genesis[ANONSET_HASH_BYTES] = {7};
    ok(b->set_genesis(handle, genesis, &detail));
    /* Group 1: growth, blocks mined again, a reorganization, a level raised, half a newer set that
     * begins below the end. */
    for (uint32_t size = 0, base = 0; size <= 2500; base = size, size += 500) {
        meta = meta_of(chain, size, false);
        finalize(b, handle, 1, chain, &meta, base, size % 1000 ? ANONSET_GATE_COUNT : 0);
    }
    meta = meta_of(chain, 2500, true);
    finalize(b, handle, 1, chain, &meta, 2500, ANONSET_GATE_SET_HASH);
    meta = meta_of(chain, 3000, false);
    finalize(b, handle, 1, chain, &meta, 2500, ANONSET_GATE_COUNT);
    meta = meta_of(fork, 3100, false);
    finalize(b, handle, 1, fork, &meta, 2500, ANONSET_GATE_SET_HASH);
    meta = meta_of(fork, 3100, true);
    finalize(b, handle, 1, fork, &meta, 3100, ANONSET_GATE_COUNT);
    meta = meta_of(fork, 4000, false);
    append(b, handle, 1, fork, &meta, 2700, 700);
    /* Group 3: one block; group 4: many states; group 9: only pending; 10: begun at the end. */
    meta = meta_of(chain, 5, false);
    meta.has_set_hash = false;
    memset(meta.set_hash, 0, sizeof meta.set_hash);
    finalize(b, handle, 3, chain, &meta, 0, ANONSET_GATE_COUNT);
    for (uint32_t size = 1; size <= 600; size++) {
        meta = meta_of(chain, size, false);
        finalize(b, handle, 4, chain, &meta, size - 1, ANONSET_GATE_COUNT);
    }
    meta = meta_of(chain, 4000, false);
    append(b, handle, 9, chain, &meta, 0, 1700);
    meta = meta_of(chain, 100, false);
    finalize(b, handle, 10, chain, &meta, 0, ANONSET_GATE_NONE);
    meta = meta_of(chain, 150, false);
    append(b, handle, 10, chain, &meta, 100, 0);
    fill_used(b, handle);
    ts_chain_free(chain);
    ts_chain_free(fork);
}

/* ---- The same ------------------------------------------------------------------------------ */

/* A snapshot on each side. */
typedef struct pair {
    const anonset_backend *b[2];
    void *handle[2];
    void *snapshot[2];
    anonset_state state[2];
} pair;

static void open_pair(pair *p, uint32_t group, anonset_view view)
{
    for (int i = 0; i < 2; i++)
        ok(p->b[i]->snapshot_open(p->handle[i], &p->snapshot[i], &p->state[i], group, view,
                                  &detail));
}

static void close_pair(pair *p)
{
    for (int i = 0; i < 2; i++)
        p->b[i]->snapshot_close(p->snapshot[i]);
}

static bool same_meta(const anonset_meta *a, const anonset_meta *b)
{
    return a->size == b->size && a->has_set_hash == b->has_set_hash &&
           memcmp(a->block_hash, b->block_hash, ANONSET_HASH_BYTES) == 0 &&
           memcmp(a->set_hash, b->set_hash, ANONSET_HASH_BYTES) == 0;
}

static bool same_state(const anonset_state *a, const anonset_state *b)
{
    return a->has_finalized == b->has_finalized && a->has_pending == b->has_pending &&
           same_meta(&a->finalized, &b->finalized) && same_meta(&a->target, &b->target) &&
           a->gate == b->gate && a->base == b->base && a->count == b->count &&
           memcmp(a->digest, b->digest, ANONSET_HASH_BYTES) == 0 &&
           memcmp(a->pending_digest, b->pending_digest, ANONSET_HASH_BYTES) == 0;
}

static bool same_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static void same_coins(pair *p, uint32_t size)
{
    anonset_run run[2] = {{.n = 0}, {.n = 0}};
    for (uint32_t at = 0; at < size; at++) {
        const anonset_coin *coin[2];
        for (int i = 0; i < 2; i++) {
            if (at - run[i].start >= run[i].n)
                ok(p->b[i]->read(p->snapshot[i], &run[i], at, &detail));
            coin[i] = &run[i].coins[at - run[i].start];
        }
        cr_assert(same_bytes(coin[0]->serialized, coin[0]->serialized_len, coin[1]->serialized,
                             coin[1]->serialized_len) &&
                      same_bytes(coin[0]->context, coin[0]->context_len, coin[1]->context,
                                 coin[1]->context_len) &&
                      memcmp(coin[0]->tx_hash, coin[1]->tx_hash, ANONSET_HASH_BYTES) == 0,
                  "coin %u", at);
    }
}

static void same_history(pair *p, uint32_t group)
{
    for (uint32_t i = 0;; i++) {
        anonset_checkpoint c[2];
        anonset_code code[2];
        for (int side = 0; side < 2; side++)
            code[side] = p->b[side]->checkpoint(p->snapshot[side], &c[side], i, &detail);
        cr_assert_eq(code[0], code[1], "group %u, checkpoint %u", group, i);
        if (code[0] != ANONSET_OK)
            return;
        cr_assert(same_meta(&c[0].meta, &c[1].meta) && c[0].gate == c[1].gate &&
                      c[0].alias == c[1].alias &&
                      memcmp(c[0].digest, c[1].digest, ANONSET_HASH_BYTES) == 0,
                  "group %u, checkpoint %u", group, i);
    }
}

static void same_group(pair *p, uint32_t group)
{
    open_pair(p, group, ANONSET_VIEW_FINALIZED);
    cr_assert(same_state(&p->state[0], &p->state[1]), "group %u", group);
    same_history(p, group);
    same_coins(p, p->state[0].finalized.size);
    close_pair(p);
    open_pair(p, group, ANONSET_VIEW_NEXT);
    same_coins(p, p->state[0].has_pending ? p->state[0].base + p->state[0].count
                                          : p->state[0].finalized.size);
    close_pair(p);
}

static void same_used(pair *p)
{
    anonset_used page[2][64];
    anonset_used_state state[2];
    uint32_t n[2] = {0, 0};
    void *view[2];
    for (int i = 0; i < 2; i++)
        ok(p->b[i]->used_open(p->handle[i], &view[i], &state[i], &detail));
    cr_assert_eq(state[1].count, TAGS);
    cr_assert_eq(memcmp(state[0].digest, state[1].digest, sizeof state[0].digest), 0);
    for (uint32_t at = 0; at < TAGS; at++) {
        for (int i = 0; i < 2; i++)
            ok(p->b[i]->used_read(view[i], page[i], &n[i], at, 1, &detail));
        cr_assert(n[0] == 1 && n[1] == 1 && memcmp(page[0], page[1], sizeof page[0][0]) == 0,
                  "position %u", (unsigned)at);
    }
    for (int i = 0; i < 2; i++)
        p->b[i]->used_close(view[i]);
}

static unsigned same_stores(pair *p)
{
    anonset_store_info info[2];
    unsigned groups = 0;
    for (int i = 0; i < 2; i++)
        ok(p->b[i]->info(p->handle[i], &info[i], &detail));
    cr_assert(info[0].has_genesis && info[1].has_genesis);
    cr_assert(memcmp(info[0].genesis, info[1].genesis, ANONSET_HASH_BYTES) == 0);
    uint32_t group = 0;
    for (;; groups++) {
        uint32_t next[2] = {0, 0};
        anonset_code code[2];
        for (int i = 0; i < 2; i++)
            code[i] = p->b[i]->next_group(p->handle[i], &next[i], group, &detail);
        cr_assert(code[0] == code[1] && next[0] == next[1], "after group %u", group);
        if (code[0] != ANONSET_OK)
            break;
        group = next[0];
        same_group(p, group);
    }
    same_used(p);
    return groups;
}

Test(convert, everything_between_every_two_backends)
{
    for (size_t from = 0; as_backends[from]; from++) {
        for (size_t to = 0; as_backends[to]; to++) {
            pair p = {.b = {as_backends[from], as_backends[to]}};
            char name[32];
            convert_source source = {.backend = p.b[0]};
            snprintf(name, sizeof name, "from-%zu-%zu", from, to);
            p.handle[0] = source.handle = make(p.b[0], name, 1);
            fill(p.b[0], source.handle);
            snprintf(name, sizeof name, "to-%zu-%zu", from, to);
            p.handle[1] = make(p.b[1], name, 2);
            ok(convert_copy(&source, p.b[1], p.handle[1], &detail));
            cr_assert_eq(same_stores(&p), 5);
            p.b[0]->close(p.handle[0]);
            p.b[1]->close(p.handle[1]);
        }
    }
}

/* Bytes that rotted are not made good by a new digest. */
Test(convert, damage_is_not_copied)
{
    const anonset_backend *b = &as_backend_sqlite;
    ts_chain *chain = ts_chain_new(1, 300);
    anonset_meta meta = ts_chain_meta(chain, 300);
    convert_source source = {.backend = b, .handle = make(b, "damaged", 1)};
    void *to = make(b, "to", 2);
    sqlite3 *db;
    finalize(b, source.handle, 1, chain, &meta, 0, ANONSET_GATE_COUNT);
    cr_assert_eq(sqlite3_open(ts_in(&dir, "damaged"), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db,
                              "UPDATE pack SET body = CAST(substr(body, 1, 2999) || x'7f' ||"
                              " substr(body, 3001) AS BLOB) WHERE id = (SELECT min(id) FROM pack)",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    sqlite3_close(db);
    cr_assert_eq(convert_copy(&source, b, to, &detail), ANONSET_CORRUPT);
    b->close(source.handle);
    b->close(to);
    ts_chain_free(chain);
}

Test(convert, damaged_used_tags_are_not_copied)
{
    const anonset_backend *b = &as_backend_sqlite;
    convert_source source = {.backend = b, .handle = make(b, "damaged", 1)};
    void *to = make(b, "to", 2);
    sqlite3 *db;
    fill_used(b, source.handle);
    cr_assert_eq(sqlite3_open(ts_in(&dir, "damaged"), &db), SQLITE_OK);
    cr_assert_eq(
        sqlite3_exec(db, "UPDATE used SET tx = zeroblob(32) WHERE pos = 77", NULL, NULL, NULL),
        SQLITE_OK);
    cr_expect_eq(convert_copy(&source, b, to, &detail), ANONSET_CORRUPT);
    cr_expect(strstr(detail.text, "used tags"), "%s", detail.text);
    cr_assert_eq(sqlite3_exec(db, "UPDATE used_state SET record = x'00'", NULL, NULL, NULL),
                 SQLITE_OK);
    sqlite3_close(db);
    cr_expect_eq(convert_copy(&source, b, to, &detail), ANONSET_CORRUPT);
    cr_expect(strstr(detail.text, "record"), "%s", detail.text);
    b->close(source.handle);
    b->close(to);
}

/* ---- What OLD can be ----------------------------------------------------------------------- */

static anonset_code kind_of(const char *name, const char **kind)
{
    convert_source source = {.path = ts_in(&dir, name)};
    anonset_code code = convert_open(&source, &detail);
    *kind = code == ANONSET_OK ? convert_kind(&source) : "";
    convert_close(&source);
    return code;
}

Test(convert, the_source_is_told)
{
    const char *kind;
    ts_legacy l;
    as_backend_sqlite.close(make(&as_backend_sqlite, "a", 1));
    as_backend_lmdb.close(make(&as_backend_lmdb, "b", 1));
    ts_legacy_create(&l, ts_in(&dir, "c"), TS_LEGACY_V1);
    ts_legacy_close(&l);
    ts_write_file(ts_in(&dir, "d"), "text", 4);
    ok(kind_of("a", &kind));
    cr_assert_str_eq(kind, "sqlite");
    ok(kind_of("b", &kind));
    cr_assert_str_eq(kind, "lmdb");
    ok(kind_of("c", &kind));
    cr_assert_str_eq(kind, "legacy");
    cr_assert_eq(kind_of("d", &kind), ANONSET_FOREIGN);
    cr_assert_eq(kind_of("e", &kind), ANONSET_NOT_FOUND);
}

/* A wallet that closed its cache leaves it without the log that its head wants; and what was a
 * cache when it was looked at can be something else by now. */
Test(convert, a_cache_is_read_without_its_log_and_nothing_else_is)
{
    convert_source source = {.path = ts_in(&dir, "c")};
    void *to = make(&as_backend_memory, "to", 2);
    ts_legacy l;
    ts_legacy_create(&l, source.path, TS_LEGACY_V2);
    ts_legacy_run(&l, "PRAGMA journal_mode = WAL");
    ts_legacy_close(&l);
    ok(convert_copy(&source, &as_backend_memory, to, &detail));
    ts_legacy_open(&l, source.path, TS_LEGACY_V2);
    ts_legacy_run(&l, "CREATE TABLE notes(text)");
    ts_legacy_close(&l);
    cr_assert_eq(convert_copy(&source, &as_backend_memory, to, &detail), ANONSET_FOREIGN);
    source.path = ts_in(&dir, "ours");
    as_backend_sqlite.close(make(&as_backend_sqlite, "ours", 1));
    cr_assert_eq(convert_copy(&source, &as_backend_memory, to, &detail), ANONSET_FOREIGN);
    as_backend_memory.close(to);
}

/* What a killed wallet half wrote would have to be undone in the source, which is only read. */
Test(convert, a_half_written_cache_is_not_read_as_whole)
{
    const char *path = ts_in(&dir, "half");
    convert_source source = {.path = path};
    ts_chain *chain = ts_chain_new(1, 900);
    pid_t child = fork();
    if (child == 0) {
        ts_legacy l;
        ts_legacy_create(&l, path, TS_LEGACY_V1);
        anonset_meta meta = ts_chain_meta(chain, 900);
        sqlite3_int64 set = ts_legacy_set(&l, 1, &meta);
        ts_legacy_run(&l, "PRAGMA cache_size = 1; BEGIN");
        for (uint32_t i = 0; i < 900; i++)
            ts_legacy_coin(&l, set, 1, &chain->coins[i], 0);
        raise(SIGKILL);
    }
    cr_assert_eq(waitpid(child, NULL, 0), child);
    void *to = make(&as_backend_lmdb, "to", 1);
    size_t before_len, after_len;
    char *before = ts_read_file(path, &before_len);
    ok(convert_open(&source, &detail));
    cr_assert_str_eq(convert_kind(&source), "legacy");
    cr_assert_eq(convert_copy(&source, &as_backend_lmdb, to, &detail), ANONSET_UNSUPPORTED, "%s",
                 detail.text);
    char *after = ts_read_file(path, &after_len);
    cr_assert(before_len == after_len && memcmp(before, after, before_len) == 0);
    free(before);
    free(after);
    as_backend_lmdb.close(to);
    ts_chain_free(chain);
}
