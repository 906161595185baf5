/*
 * SIGKILL at random instants of real syncs. ANONSET_SEED and ANONSET_KILLS change the run; the
 * defaults are what the claim in README says: 200 kills a backend of a sync of 20,000 coins.
 */
#include "config.h"
#include "tests/scenario/scene.h"
#include "tests/support/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sanitizers take five times as long; the claim is for the program as it is built. */
#ifdef ANONSET_SANITIZED
#define KILLS 40
#else
#define KILLS 200
#endif
#define COINS  20000
#define SECTOR 100

static unsigned long number(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static void start_sync(scene *s, ts_process *sync)
{
    char sector[16];
    (void)snprintf(sector, sizeof sector, "%d", SECTOR);
    ts_anonset_start(sync, s->backend, "sync", "--db", s->db, "--server", s->server.tcp, "--group",
                     "1", "--sector-size", sector, "--quiet", NULL);
}

/* Coins that are held, finalized or pending. */
static uint64_t held(scene *s)
{
    const char *base = scene_status(s, "pending.base");
    if (strcmp(base, "null") == 0)
        return strtoull(scene_status(s, "finalized.size"), NULL, 10);
    uint64_t from = strtoull(base, NULL, 10);
    return from + strtoull(scene_status(s, "pending.count"), NULL, 10);
}

/* The store is made by the first sync; before, there is nothing to look at. */
static bool exists(const scene *s)
{
    FILE *file = fopen(s->db, "rb");
    if (file)
        (void)fclose(file);
    return file != NULL;
}

/*
 * Kills at instants spread over what is left of the sync: a random number of sectors on, and a
 * random moment after that. At most one sector committing and one on the wire are fetched again a
 * kill.
 */
SCENARIO(kill, random_instants, "--coins", "20000")
{
    unsigned long kills = number("ANONSET_KILLS", KILLS);
    tw_rng rng = {.state = number("ANONSET_SEED", 1)};
    uint64_t before = 0;
    unsigned long finished = 0;
    cr_log_info("seed %lu, %lu kills", number("ANONSET_SEED", 1), kills);
    ts_tell(&s->server, "shape latency=1 rate=0 hold-small=0");
    for (unsigned long i = 0; i < kills; i++) {
        ts_process sync;
        uint64_t sent;
        uint64_t now;
        uint64_t at = ts_count(&s->server, "sectors");
        start_sync(s, &sync);
        /* Half of them after some sectors, half at any moment from the start on. */
        if (tw_chance(&rng, .5))
            ts_wait(&s->server, "sectors", at + tw_between(&rng, 1, 4));
        (void)ts_ended(&sync, tw_between(&rng, 0, 12));
        ts_kill(&sync);
        if (!exists(s))
            continue;
        scene_verify(s);
        now = held(s);
        cr_assert_geq(now, before, "kill %lu: a committed sector was lost", i);
        before = now;
        sent = ts_count(&s->server, "coins");
        /* Two sectors a kill, a coin for the overlap and each pin; a finished set is begun anew. */
        cr_assert_leq(sent, finished * COINS + now + (i + 1) * (2 * SECTOR + 4),
                      "kill %lu: %llu coins were sent for %llu", i, (unsigned long long)sent,
                      (unsigned long long)now);
        if (now == COINS && strcmp(scene_status(s, "pending"), "null") == 0) {
            const char *clear[] = {ts_anonset_path(s->backend), "clear", "--db", s->db, NULL};
            ts_process process;
            scene_is_whole(s);
            ts_start(&process, clear);
            ts_result_free(&s->last);
            ts_finish(&process, &s->last, 10000);
            cr_assert_eq(s->last.exit_code, 0);
            before = 0;
            finished++;
        }
    }
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
}

/* The chain grows twice during a sync that is killed and restarted in between: no coin is fetched
 * twice, but for two sectors a kill, an overlap and the pins. */
SCENARIO(kill, the_chain_grows_twice, "--coins", "5000")
{
    for (int i = 1; i <= 2; i++) {
        ts_process sync;
        ts_tell(&s->server, "hold %d", 15);
        start_sync(s, &sync);
        ts_wait(&s->server, "held", 1);
        ts_kill(&sync);
        ts_tell(&s->server, "grow 500");
        ts_tell(&s->server, "release");
    }
    scene_sync(s, "--sector-size", "100", NULL);
    scene_outcome(s, "finalized", 0);
    cr_assert_eq(scene_int(s, "discarded"), 0);
    cr_assert_eq(scene_int(s, "size"), 6000);
    cr_assert_leq(ts_count(&s->server, "coins"), 6000 + 2 * (2 * SECTOR) + 3 * 3,
                  "coins were fetched twice");
    scene_is_whole(s);
}
