/*
 * Random operations on every backend of the table at once (operations.h).
 *
 * ANONSET_SEED picks the first run's seed, ANONSET_RUNS how many runs of STEPS operations follow
 * from it, each with the next seed. A failure tells the seed that repeats it in one run.
 */
#include "tests/conformance/operations.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS        300
#define DEFAULT_RUNS 8
#define DEFAULT_SEED 20240101u

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void run(struct ops *o, uint64_t seed)
{
    char dir[KIT_DIR], name[40];
    size_t n = 0;
    while (as_backends[n])
        n++;
    cr_assert(kit_dir_make(dir));
    (void)snprintf(name, sizeof name, "seed %" PRIu64, seed);
    o->name = name;
    o->dir = dir;
    o->size_most = 500;
    o->sector_most = OPS_SECTOR_MAX;
    o->rng = (tw_rng){.state = seed};
    o->step = 0;
    ops_open(o, as_backends, n);
    for (int i = 0; i < STEPS; i++)
        ops_step(o);
    ops_clear(o);
    ops_close(o);
    cr_assert(kit_dir_remove(dir));
}

Test(differential, all_backends_do_the_same)
{
    static struct ops o;
    uint64_t seed = from_environment("ANONSET_SEED", DEFAULT_SEED);
    uint64_t runs = from_environment("ANONSET_RUNS", DEFAULT_RUNS);
    fprintf(stderr, "differential: ANONSET_SEED=%" PRIu64 " ANONSET_RUNS=%" PRIu64 "\n", seed,
            runs);
    for (uint64_t i = 0; i < runs; i++)
        run(&o, seed + i);
    unsigned all = 0;
    for (size_t kind = 0; kind < OPS_KINDS; kind++) {
        fprintf(stderr, "  %-8s %6u done %6u refused\n", ops_names[kind], o.done[kind],
                o.refused[kind]);
        all += o.done[kind] + o.refused[kind];
        cr_expect(o.done[kind] > 0, "no %s was ever made", ops_names[kind]);
    }
    fprintf(stderr, "  %u operations on %zu backends\n", all, o.n);
    cr_expect(o.refused[OPS_APPEND] > 0 && o.refused[OPS_COMPLETE] > 0 &&
              o.refused[OPS_GENESIS] > 0);
}
