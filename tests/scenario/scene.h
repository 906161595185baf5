/*
 * One server, one store, one backend: what most scenarios are played on. A scenario is written once
 * and is a test of each backend:
 *
 *     SCENARIO(sync, first_sync, "--coins", "500")
 *     {
 *         sync_is(scene, "finalized", 0);
 *     }
 */
#ifndef SCENE_H
#define SCENE_H

#include "tests/support/support.h"

#include <criterion/criterion.h>

typedef struct scene {
    const char *backend;
    ts_dir dir;
    ts_server server;
    const char *db;
    ts_result last; /* of the program's last run */
} scene;

/* A state of a recorded chain, as server options. */
#define RECORDED(name) "--recorded", ts_source("tests/fixtures/" name)

/* Starts a server with these options (NULL-ended); the store is not made yet. */
#define scene_begin(s, name, ...)                                                                  \
    do {                                                                                           \
        scene_begin_store(s, name);                                                                \
        ts_server_start(&(s)->server, __VA_ARGS__, NULL);                                          \
    } while (0)
void scene_begin_store(scene *s, const char *backend);
void scene_end(scene *s);

/* Runs `anonset sync --json --group 1` over the protocol of `url`, with more arguments, NULL-ended;
 * the result is in s->last. */
void scene_sync_at(scene *s, const char *url, ...) __attribute__((sentinel));
#define scene_sync(s, ...) scene_sync_at(s, (s)->server.tcp, __VA_ARGS__)

/* The last sync told this outcome and exit code, and an error text exactly where it failed. */
void scene_outcome(const scene *s, const char *outcome, int exit_code);
/* Syncs, and ends so. */
void scene_sync_is(scene *s, const char *outcome, int exit_code);

/* The last sync told this level of the gate, and what came of the proof ("null": not tried). */
void scene_level(const scene *s, const char *gate, const char *proof);

/* A number of the last sync's JSON. */
int64_t scene_int(const scene *s, const char *field);

/* The export equals the server's list, in both orders, and verify holds. */
void scene_group_is_whole(scene *s, const char *group);
/* Of group 1. */
void scene_is_whole(scene *s);

/* The store shows the server's list of used tags, byte for byte, and verify finds it sound. */
void scene_used_is_whole(scene *s);
/* Removes group 1 from the store. */
void scene_clear(scene *s);
/* verify holds (exit code 0). */
void scene_verify(scene *s);
/* SHA-like identity of what readers see: the digest of the finalized set, "" without one. Lives as
 * ts_json's results do. */
const char *scene_digest(scene *s);
/* A field of group 1's status, as "finalized.size"; "null" where there is none. */
const char *scene_status(scene *s, const char *field);

#define SCENARIO_OF(suite, name, store, ...)                                                       \
    Test(suite, name##_##store, .timeout = 300)                                                    \
    {                                                                                              \
        scene s;                                                                                   \
        scene_begin(&s, #store, __VA_ARGS__);                                                      \
        name(&s);                                                                                  \
        scene_end(&s);                                                                             \
    }

#define SCENARIO(suite, name, ...)                                                                 \
    static void name(scene *s);                                                                    \
    SCENARIO_OF(suite, name, sqlite, __VA_ARGS__)                                                  \
    SCENARIO_OF(suite, name, lmdb, __VA_ARGS__)                                                    \
    static void name(scene *s)

#endif
