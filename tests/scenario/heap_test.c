/*
 * The heap of a sync is small, and does not grow with the set. The program itself is measured, with
 * tests/shims/heap.c preloaded, over http: there nothing paces a large set.
 */
#include "config.h"

#include "tests/scenario/scene.h"
#include "tests/support/valgrind.h"

#include <criterion/logging.h>
#include <stdio.h>
#include <stdlib.h>

#define SMALL     "32000"
#define LARGE     (ts_valgrind() ? "64000" : "1000000")
#define MOST_MORE ((size_t)1 << 20)

/* What a sync may take on top of an open store and a connection. */
#define MOST_AUTO    ((size_t)2252 << 10)
#define MOST_SECTORS ((size_t)512 << 10) /* of 100 coins */

typedef struct heap {
    size_t peak;
    size_t connected; /* live when the first request went out */
} heap;

static heap heap_of_sync(const char *backend, const char *coins, const char *sector_size)
{
    heap found = {0};
    scene s;
    scene_begin(&s, backend, "--coins", coins);
    const char *file = ts_in(&s.dir, "heap");
    cr_assert_eq(setenv("ANONSET_HEAP_FILE", file, 1), 0);
    cr_assert_eq(setenv("LD_PRELOAD", HEAP_SHIM, 1), 0);
    scene_sync_at(&s, s.server.http, "--sector-size", sector_size, NULL);
    unsetenv("LD_PRELOAD");
    scene_outcome(&s, "finalized", 0);
    cr_assert_eq(scene_int(&s, "fetched"), atoi(coins));
    char *text = ts_read_file(file, NULL);
    cr_assert_eq(sscanf(text, "%zu %zu", &found.peak, &found.connected), 2, "%s", text);
    free(text);
    cr_log_info("%s: %s coins, sectors of %s: peak %zu KiB, %zu of them when connected; %.1f s",
                backend, coins, sector_size, found.peak >> 10, found.connected >> 10,
                s.last.seconds);
    scene_end(&s);
    cr_assert_gt(found.connected, 0);
    cr_assert_gt(found.peak, found.connected);
    return found;
}

#ifdef ANONSET_SANITIZED
static void skip(const char *backend)
{
    cr_skip("the sanitizers' own malloc leaves no room for another that counts (%s)", backend);
}
#endif

static void does_not_grow(const char *backend)
{
#ifdef ANONSET_SANITIZED
    skip(backend);
#endif
    heap small = heap_of_sync(backend, SMALL, "auto");
    heap large = heap_of_sync(backend, LARGE, "auto");
    cr_assert_leq(large.peak, small.peak + MOST_MORE, "%s: %zu bytes for %s coins, %zu for %s",
                  backend, large.peak, LARGE, small.peak, SMALL);
    cr_assert_leq(large.peak - large.connected, MOST_AUTO, "%s", backend);
}

static void small_sectors_take_less(const char *backend)
{
#ifdef ANONSET_SANITIZED
    skip(backend);
#endif
    heap found = heap_of_sync(backend, SMALL, "100");
    cr_assert_leq(found.peak - found.connected, MOST_SECTORS, "%s", backend);
}

Test(heap, does_not_grow_with_the_set_sqlite, .timeout = 300)
{
    does_not_grow("sqlite");
}

Test(heap, does_not_grow_with_the_set_lmdb, .timeout = 300)
{
    does_not_grow("lmdb");
}

Test(heap, small_sectors_take_less_sqlite, .timeout = 300)
{
    small_sectors_take_less("sqlite");
}

Test(heap, small_sectors_take_less_lmdb, .timeout = 300)
{
    small_sectors_take_less("lmdb");
}

/* The list of used coin tags: its answer is one, and of any length. */
static size_t heap_of_tags(const char *backend, unsigned tags)
{
    size_t peak = 0, connected = 0;
    scene s;
    scene_begin(&s, backend, "--coins", "1");
    const char *file = ts_in(&s.dir, "heap");
    ts_tell(&s.server, "used %u", tags);
    cr_assert_eq(setenv("ANONSET_HEAP_FILE", file, 1), 0);
    cr_assert_eq(setenv("LD_PRELOAD", HEAP_SHIM, 1), 0);
    ts_anonset(&s.last, s.backend, "sync", "--db", s.db, "--server", s.server.http, "--tags",
               "--json", NULL);
    unsetenv("LD_PRELOAD");
    cr_assert_eq(s.last.exit_code, 0, "%s", s.last.err);
    cr_assert_eq(scene_int(&s, "fetched"), tags);
    char *text = ts_read_file(file, NULL);
    cr_assert_eq(sscanf(text, "%zu %zu", &peak, &connected), 2, "%s", text);
    free(text);
    cr_log_info("%s: %u used tags: peak %zu KiB, %zu of them when connected; %.1f s", backend, tags,
                peak >> 10, connected >> 10, s.last.seconds);
    scene_end(&s);
    cr_assert_gt(peak, connected);
    return peak - connected;
}

static void does_not_grow_with_the_list(const char *backend)
{
#ifdef ANONSET_SANITIZED
    skip(backend);
#endif
    size_t small = heap_of_tags(backend, 20000),
           large = heap_of_tags(backend, ts_valgrind() ? 40000 : 300000);
    cr_assert_leq(large, MOST_AUTO, "%s: %zu bytes", backend, large);
    cr_assert_leq(large, small + MOST_MORE, "%s: %zu bytes, and %zu", backend, large, small);
}

Test(heap, does_not_grow_with_the_list_of_tags_sqlite, .timeout = 300)
{
    does_not_grow_with_the_list("sqlite");
}

Test(heap, does_not_grow_with_the_list_of_tags_lmdb, .timeout = 300)
{
    does_not_grow_with_the_list("lmdb");
}
