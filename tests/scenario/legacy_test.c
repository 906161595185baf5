/* Caches of older wallets, by the programs: upgraded, synced on, converted. */
#include "config.h"
#include "core/base64.h"
#include "tests/scenario/scene.h"
#include "tests/support/coins.h"
#include "tests/support/legacy.h"
#include "tests/support/valgrind.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ANONSET_SANITIZED
#define KILLS 10
#else
#define KILLS (ts_valgrind() ? 6u : 60u)
#endif

TestSuite(legacy, .timeout = 300);

static void run(ts_result *result, const char *const *argv)
{
    ts_process process;
    ts_start(&process, argv);
    ts_finish(&process, result, 120000);
}

/* ---- A cache of the server's coins --------------------------------------------------------- */

static uint32_t decode(uint8_t *out, const char **line)
{
    size_t len = 0, chars = strcspn(*line, "\"");
    cr_assert(as_base64_decode(out, &len, *line, chars));
    *line += chars + 3; /* past "," */
    return (uint32_t)len;
}

static void add_coin(ts_legacy *l, sqlite3_int64 set, const char *line, uint32_t key)
{
    static uint8_t serialized[8192], tx_hash[64], context[8192];
    anonset_coin coin = {.serialized = serialized, .tx_hash = tx_hash, .context = context};
    line += 2;
    coin.serialized_len = decode(serialized, &line);
    cr_assert_eq(decode(tx_hash, &line), ANONSET_HASH_BYTES);
    coin.context_len = decode(context, &line);
    ts_legacy_coin(l, set, 1, &coin, key);
}

static anonset_meta finalized(const char *status)
{
    anonset_meta meta = {.size = (uint32_t)ts_json_int(status, "0.finalized.size")};
    const char *block = ts_json(status, "0.finalized.block_hash");
    const char *set = ts_json(status, "0.finalized.set_hash");
    uint8_t hash[ANONSET_HASH_BYTES + 1];
    size_t len;
    cr_assert(as_base64_decode(hash, &len, block, strlen(block)) && len == ANONSET_HASH_BYTES);
    memcpy(meta.block_hash, hash, ANONSET_HASH_BYTES);
    cr_assert(as_base64_decode(hash, &len, set, strlen(set)) && len == ANONSET_HASH_BYTES);
    memcpy(meta.set_hash, hash, ANONSET_HASH_BYTES);
    meta.has_set_hash = true;
    return meta;
}

/* Syncs a store of ours, and writes what it holds above `from` into the cache as an older wallet
 * would have done. Returns the size. */
static uint32_t add_sync(scene *s, ts_legacy *l, uint32_t from, uint32_t told_more)
{
    ts_result status, coins;
    const char *ours = s->db;
    s->db = ts_in(&s->dir, "ours.db");
    scene_sync_is(s, "finalized", 0);
    run(&status,
        (const char *[]){ts_anonset_path("sqlite"), "status", "--json", "--db", s->db, NULL});
    run(&coins, (const char *[]){ts_anonset_path("sqlite"), "export", "--db", s->db, "--group", "1",
                                 "--order", "oldest", NULL});
    anonset_meta meta = finalized(status.out);
    uint32_t size = meta.size;
    meta.size += told_more;
    sqlite3_int64 id = ts_legacy_set(l, 1, &meta);
    const char *line = ts_line(coins.out, from);
    ts_legacy_run(l, "BEGIN");
    for (uint32_t i = from; i < size; i++, line = strchr(line, '\n') + 1)
        add_coin(l, id, line, size - 1 - i);
    ts_legacy_run(l, "COMMIT");
    ts_result_free(&status);
    ts_result_free(&coins);
    s->db = ours;
    return size;
}

/* A cache of two finished syncs at s->db. Returns the coins in it. */
static uint32_t make_cache(scene *s, unsigned has, uint32_t told_more)
{
    ts_legacy l;
    ts_legacy_create(&l, s->db, has);
    uint32_t size = add_sync(s, &l, 0, 0);
    ts_tell(&s->server, "grow 40");
    size = add_sync(s, &l, size, told_more);
    ts_legacy_close(&l);
    return size;
}

static void goes_on(unsigned has)
{
    scene s;
    scene_begin(&s, "sqlite", "--coins", "900");
    uint32_t size = make_cache(&s, has, 0);
    cr_assert_eq(size, 940);
    scene_sync_is(&s, "up_to_date", 0);
    scene_is_whole(&s);
    ts_tell(&s.server, "grow 60");
    ts_tell(&s.server, "reset");
    scene_sync_is(&s, "finalized", 0);
    cr_assert_eq(scene_int(&s, "resumed_from"), 940);
    cr_assert_eq(scene_int(&s, "fetched"), 60);
    cr_assert_leq(ts_count(&s.server, "coins"), 60 + 4, "coins of the cache were fetched again");
    scene_is_whole(&s);
    scene_end(&s);
}

Test(legacy, a_v1_cache_is_synced_on)
{
    goes_on(TS_LEGACY_V1);
}

Test(legacy, a_v2_cache_is_synced_on)
{
    goes_on(TS_LEGACY_V2);
}

/* Reading commands upgrade, too; the sizes do not add up: all coins again, in one go. */
Test(legacy, a_cache_that_does_not_add_up_is_downloaded_anew)
{
    scene s;
    scene_begin(&s, "sqlite", "--coins", "300");
    (void)make_cache(&s, TS_LEGACY_V2, 5);
    cr_assert_str_eq(scene_status(&s, "finalized.gate"), "none");
    cr_assert_eq(atoi(scene_status(&s, "finalized.size")), 340);
    scene_is_whole(&s);
    scene_sync_is(&s, "finalized", 0);
    cr_assert_eq(scene_int(&s, "fetched"), 340);
    cr_assert_str_eq(scene_status(&s, "finalized.gate"), "set-hash");
    scene_is_whole(&s);
    scene_end(&s);
}

/* A chain that was reorganized since is followed from a state of the cache. */
Test(legacy, a_reorganization_is_followed_from_a_cache)
{
    scene s;
    scene_begin(&s, "sqlite", "--coins", "900");
    (void)make_cache(&s, TS_LEGACY_V1, 0);
    ts_tell(&s.server, "reorg 1");
    ts_tell(&s.server, "reset");
    scene_sync_is(&s, "finalized", 0);
    cr_assert_leq(ts_count(&s.server, "coins"), 200, "more than the tail was fetched");
    scene_is_whole(&s);
    scene_end(&s);
}

/* ---- Memory -------------------------------------------------------------------------------- */

#ifndef ANONSET_SANITIZED /* whose malloc leaves no room for another that counts */

#define HEAP_MOST ((size_t)5 << 20)

/* The most heap that an upgrade of so many coins took. */
static size_t heap_of_upgrade(uint32_t coins, unsigned has)
{
    ts_dir dir;
    ts_result result;
    ts_legacy l;
    size_t peak = 0;
    ts_dir_make(&dir);
    const char *db = ts_in(&dir, "store"), *file = ts_in(&dir, "heap");
    ts_chain *chain = ts_chain_new(1, coins);
    anonset_meta meta = ts_chain_meta(chain, coins);
    ts_legacy_create(&l, db, has);
    ts_legacy_run(&l, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;"
                      "PRAGMA cache_size = -50000");
    ts_legacy_delta(&l, ts_legacy_set(&l, 1, &meta), 1, chain->coins, coins, coins);
    ts_legacy_close(&l);
    ts_chain_free(chain);
    cr_assert_eq(setenv("ANONSET_HEAP_FILE", file, 1), 0);
    cr_assert_eq(setenv("LD_PRELOAD", HEAP_SHIM, 1), 0);
    run(&result, (const char *[]){ts_anonset_path("sqlite"), "status", "--json", "--db", db, NULL});
    unsetenv("LD_PRELOAD");
    cr_assert_eq(ts_json_int(result.out, "0.finalized.size"), coins);
    ts_result_free(&result);
    char *text = ts_read_file(file, NULL);
    cr_assert_eq(sscanf(text, "%zu", &peak), 1);
    free(text);
    ts_dir_remove(&dir);
    cr_log_info("%u coins: peak %zu KiB", coins, peak >> 10);
    return peak;
}

Test(legacy, memory_does_not_grow_with_a_cache)
{
    cr_assert_leq(heap_of_upgrade(32000, TS_LEGACY_V1), HEAP_MOST);
    cr_assert_leq(heap_of_upgrade(32000, TS_LEGACY_V2), HEAP_MOST);
    cr_assert_leq(heap_of_upgrade(100000, TS_LEGACY_V2), HEAP_MOST);
}

#endif

/* ---- anonset-convert ----------------------------------------------------------------------- */

static int convert(ts_result *result, const char *from, const char *to, const char *backend)
{
    run(result, (const char *[]){CONVERT, from, to, "--to", backend, "--json", NULL});
    return result->exit_code;
}

/* The export in both orders, and behind a block. */
static char *exports(const char *backend, const char *db, const char *block)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (int i = 0; i < 4; i++) {
        ts_result result;
        run(&result, (const char *[]){ts_anonset_path(backend), "export", "--db", db, "--group",
                                      "1", "--order", i % 2 ? "newest" : "oldest",
                                      i < 2 ? NULL : "--after", block, NULL});
        cr_assert_eq(result.exit_code, 0, "%s", result.err);
        fprintf(out, "%d\n%s", i, result.out);
        ts_result_free(&result);
    }
    fclose(out);
    return text;
}

static char *digest_of(const ts_result *result)
{
    return strdup(ts_json(result->out, "groups.0.digest"));
}

static unsigned entries(const ts_dir *dir, const char *ending)
{
    unsigned n = 0;
    DIR *folder = opendir(dir->path);
    for (struct dirent *e; (e = readdir(folder)) != NULL;)
        n += strstr(e->d_name, ending) != NULL;
    closedir(folder);
    return n;
}

Test(legacy, converted_there_and_back)
{
    scene s;
    ts_result result;
    char block[64];
    scene_begin(&s, "sqlite", "--coins", "900");
    (void)make_cache(&s, TS_LEGACY_V1, 0);
    const char *a = ts_in(&s.dir, "a"), *b = ts_in(&s.dir, "b"), *c = ts_in(&s.dir, "c");
    const char *copy = ts_in(&s.dir, "copy"), *d = ts_in(&s.dir, "d");
    size_t len;
    char *bytes = ts_read_file(s.db, &len);
    ts_write_file(copy, bytes, len);
    free(bytes);

    cr_assert_eq(convert(&result, s.db, a, "lmdb"), 0, "%s", result.err);
    cr_assert(ts_json_is(result.out, "from", "legacy") && ts_json_is(result.out, "to", "lmdb"));
    cr_assert(ts_json_is(result.out, "error", "null"));
    cr_assert(ts_json_is(result.out, "groups.0.gate", "count"));
    char *first = digest_of(&result);
    ts_result_free(&result);
    cr_assert(ts_same_file(s.db, copy), "the source was written to");
    cr_assert_eq(entries(&s.dir, "store-"), 0, "something was left beside the source");
    cr_assert_eq(convert(&result, a, b, "sqlite"), 0, "%s", result.err);
    char *second = digest_of(&result);
    ts_result_free(&result);
    cr_assert_eq(convert(&result, b, c, "lmdb"), 0, "%s", result.err);
    char *third = digest_of(&result);
    ts_result_free(&result);
    cr_assert_eq(convert(&result, s.db, d, "sqlite"), 0, "%s", result.err);
    cr_assert(ts_json_is(result.out, "groups.0.digest", first));
    ts_result_free(&result);
    cr_assert_str_eq(first, second);
    cr_assert_str_eq(first, third);
    free(first);
    free(second);
    free(third);
    cr_assert_eq(entries(&s.dir, "converting"), 0);

    ts_legacy l;
    ts_legacy_open(&l, copy, TS_LEGACY_V1);
    sqlite3_stmt *row;
    cr_assert_eq(
        sqlite3_prepare_v2(l.db, "SELECT blockHash FROM SparkSet WHERE id = 1", -1, &row, NULL),
        SQLITE_OK);
    cr_assert_eq(sqlite3_step(row), SQLITE_ROW);
    snprintf(block, sizeof block, "%s", (const char *)sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
    ts_legacy_close(&l);
    char *text[] = {exports("sqlite", s.db, block), exports("lmdb", a, block),
                    exports("sqlite", b, block), exports("lmdb", c, block),
                    exports("sqlite", d, block)};
    for (size_t i = 1; i < sizeof text / sizeof *text; i++)
        cr_assert(strcmp(text[0], text[i]) == 0, "export %zu", i);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        free(text[i]);
    s.db = d;
    ts_tell(&s.server, "grow 30");
    scene_sync_is(&s, "finalized", 0);
    cr_assert_eq(scene_int(&s, "fetched"), 30);
    scene_is_whole(&s);
    scene_end(&s);
}

/* What a sync was killed over goes on in the converted store. */
Test(legacy, what_is_pending_is_converted)
{
    scene s;
    ts_result result;
    ts_process sync;
    scene_begin(&s, "sqlite", "--coins", "900");
    ts_tell(&s.server, "hold 5");
    ts_anonset_start(&sync, "sqlite", "sync", "--db", s.db, "--server", s.server.tcp, "--group",
                     "1", "--sector-size", "50", "--quiet", NULL);
    ts_wait(&s.server, "held", 1);
    ts_kill(&sync);
    ts_tell(&s.server, "release");
    const char *to = ts_in(&s.dir, "converted");
    cr_assert_eq(convert(&result, s.db, to, "lmdb"), 0, "%s", result.err);
    int64_t pending = ts_json_int(result.out, "groups.0.pending");
    cr_assert_gt(pending, 0);
    ts_result_free(&result);
    run(&result, (const char *[]){CONVERT, s.db, ts_in(&s.dir, "told"), NULL});
    cr_assert_eq(result.exit_code, 0, "%s", result.err);
    cr_assert(strstr(result.out, "\n  pending: ") && !strstr(result.out, "digest"), "%s",
              result.out);
    ts_result_free(&result);
    s.db = to;
    s.backend = "lmdb";
    scene_sync_is(&s, "finalized", 0);
    cr_assert_eq(scene_int(&s, "resumed_from"), pending);
    scene_is_whole(&s);
    scene_end(&s);
}

Test(legacy, what_cannot_be_converted_is_told)
{
    ts_dir dir;
    ts_result result;
    ts_dir_make(&dir);
    const char *text = ts_in(&dir, "text"), *to = ts_in(&dir, "to");
    ts_write_file(text, "text", 4);
    const struct {
        const char *argv[6];
        int exit_code;
    } lines[] = {
        {{CONVERT, NULL}, 2},
        {{CONVERT, text, NULL}, 2},
        {{CONVERT, text, to, text, NULL}, 2},
        {{CONVERT, text, to, "--to", "memory", NULL}, 2},
        {{CONVERT, text, to, "--to", NULL}, 2},
        {{CONVERT, text, to, "--more", NULL}, 2},
        {{CONVERT, text, to, NULL}, 6},
        {{CONVERT, to, text, NULL}, 6},
        {{CONVERT, "--help", NULL}, 0},
        {{CONVERT, "--version", NULL}, 0},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        run(&result, lines[i].argv);
        cr_assert_eq(result.exit_code, lines[i].exit_code, "line %zu: %d %s", i, result.exit_code,
                     result.err);
        cr_assert((result.exit_code == 0) == (result.err[0] == '\0'));
        cr_assert_eq(entries(&dir, "to"), 0, "line %zu", i);
        ts_result_free(&result);
    }
    ts_legacy l;
    ts_legacy_create(&l, to, TS_LEGACY_V1);
    ts_legacy_close(&l);
    cr_assert_eq(convert(&result, to, text, "lmdb"), 2, "NEW is there already");
    ts_result_free(&result);
    cr_assert_eq(convert(&result, to, ts_in(&dir, "text/below"), "lmdb"), 6, "no folder");
    cr_assert(strstr(result.err, "Not a directory"), "%s", result.err);
    ts_result_free(&result);
    cr_assert_eq(entries(&dir, "text"), 1);
    cr_assert(setenv("FROM", to, 1) == 0 && setenv("TO", ts_in(&dir, "new"), 1) == 0);
    run(&result, (const char *[]){"/bin/sh", "-c", CONVERT " \"$FROM\" \"$TO\" >/dev/full", NULL});
    cr_assert_eq(result.exit_code, 1);
    cr_assert(strstr(result.err, "the output could not be written"), "%s", result.err);
    ts_result_free(&result);
    ts_dir_remove(&dir);
}

/* Nor is a cache upgraded, by a command that reads, that no wallet wrote. */
Test(legacy, a_cache_that_is_none_is_refused_and_left_alone)
{
    ts_dir dir;
    ts_result result;
    ts_legacy l;
    ts_dir_make(&dir);
    const char *cache = ts_in(&dir, "cache"), *copy = ts_in(&dir, "copy");
    ts_chain *chain = ts_chain_new(1, 20);
    anonset_meta meta = ts_chain_meta(chain, chain->n);
    size_t len;
    ts_legacy_create(&l, cache, TS_LEGACY_V1);
    ts_legacy_delta(&l, ts_legacy_set(&l, 1, &meta), 1, chain->coins, chain->n, 20);
    ts_legacy_run(&l, "UPDATE SparkCoin SET txHash = 'no base64!' WHERE id = 7");
    ts_legacy_close(&l);
    char *bytes = ts_read_file(cache, &len);
    ts_write_file(copy, bytes, len);
    free(bytes);
    run(&result, (const char *[]){ts_anonset_path("sqlite"), "status", "--db", cache, NULL});
    cr_assert_eq(result.exit_code, 6, "%d: %s", result.exit_code, result.err);
    cr_assert(strstr(result.err, "cannot open the store"), "%s", result.err);
    ts_result_free(&result);
    cr_assert(ts_same_file(cache, copy), "it was written to");
    ts_chain_free(chain);
    ts_dir_remove(&dir);
}

/* A kill leaves no store, or a whole one, and the next conversion gets through. */
static void kills(const char *backend)
{
    ts_dir dir;
    ts_result result;
    ts_dir_make(&dir);
    ts_chain *chain = ts_chain_new(1, 6000);
    const char *old = ts_in(&dir, "old"), *to = ts_in(&dir, "new");
    unsigned before = 0;
    ts_legacy l;
    ts_legacy_create(&l, old, TS_LEGACY_V1);
    anonset_meta meta = ts_chain_meta(chain, chain->n);
    ts_legacy_delta(&l, ts_legacy_set(&l, 1, &meta), 1, chain->coins, chain->n, 1500);
    ts_legacy_close(&l);
    cr_assert_eq(convert(&result, old, to, backend), 0, "%s", result.err);
    char *digest = digest_of(&result);
    double takes = 1000 * result.seconds;
    ts_result_free(&result);
    for (unsigned i = 0; i < KILLS; i++) {
        ts_process process;
        (void)remove(to);
        ts_start(&process, (const char *[]){CONVERT, old, to, "--to", backend, NULL});
        (void)ts_ended(&process, (unsigned)(takes * (double)(ts_mix(5, i) % 100) / 100));
        ts_kill(&process);
        FILE *made = fopen(to, "rb");
        if (made)
            fclose(made);
        else
            before++;
        cr_assert_eq(convert(&result, old, made ? ts_in(&dir, "other") : to, backend), 0, "%s",
                     result.err);
        ts_result_free(&result);
        (void)remove(ts_in(&dir, "other"));
        run(&result,
            (const char *[]){ts_anonset_path(backend), "verify", "--json", "--db", to, NULL});
        cr_assert(ts_json_is(result.out, "0.sound", "true") &&
                  ts_json_is(result.out, "0.digest", digest));
        ts_result_free(&result);
    }
    cr_log_info("%s: %u kills, of them %u before the end", backend, (unsigned)KILLS, before);
    cr_assert_gt(before, 0);
    cr_assert_leq(entries(&dir, "converting"), 1);
    free(digest);
    ts_chain_free(chain);
    ts_dir_remove(&dir);
}

Test(legacy, killed_conversions_to_sqlite)
{
    kills("sqlite");
}

Test(legacy, killed_conversions_to_lmdb)
{
    kills("lmdb");
}
