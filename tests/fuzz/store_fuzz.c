/*
 * Operations on a store of files and on the memory model, as the input chooses them: appends,
 * completions, snapshots held, second handles, reopening, with arguments that fit the store and
 * such that do not (tests/conformance/operations.h). Codes, states and in the end all that is
 * stored must be the same.
 *
 * An input's hash chooses SQLite or LMDB. The stores are emptied between inputs and made anew now
 * and then, for making one takes longer than using it.
 */
#include "backends/backends.h"
#include "tests/conformance/operations.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/place.h"

#include <stdio.h>

#define STEPS_MOST 24u
#define ANEW       5000u /* inputs */

static struct ops pairs[2];
static char folder[KIT_DIR];
static unsigned long inputs[2], steps;

static void open_pair(struct ops *o)
{
    static const anonset_backend *const backends[2][2] = {{&as_backend_memory, &as_backend_sqlite},
                                                          {&as_backend_memory, &as_backend_lmdb}};
    o->name = "this input";
    o->dir = folder;
    o->size_most = 60;
    o->sector_most = 20;
    o->look_once = true;
    ops_open(o, backends[o - pairs], 2);
}

static void report(void)
{
    printf("%lu inputs on sqlite, %lu on lmdb, %lu operations\n", inputs[0], inputs[1], steps);
    for (int kind = 0; kind < OPS_KINDS; kind++)
        printf("%s %u done %u refused%s", ops_names[kind],
               pairs[0].done[kind] + pairs[1].done[kind],
               pairs[0].refused[kind] + pairs[1].refused[kind], kind + 1 < OPS_KINDS ? ", " : "\n");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (!place_make("store_fuzz", report))
        return 1;
    place_path(folder, sizeof folder, ".");
    for (int i = 0; i < 2; i++)
        open_pair(&pairs[i]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t hash = size;
    for (size_t i = 0; i < size; i++)
        hash = ts_mix(hash, data[i]);
    int which = (int)(hash & 1);
    struct ops *o = &pairs[which];
    if (++inputs[which] % ANEW == 0) {
        ops_close(o);
        open_pair(o);
    }
    o->rng = (tw_rng){.bytes = data, .left = size};
    o->rng.state = tw_between(&o->rng, 0, 255);
    o->step = 0;
    for (unsigned i = 0; i < STEPS_MOST && o->rng.left > 0; i++, steps++)
        ops_step(o);
    ops_clear(o);
    return 0;
}

const fuzz_target fuzz = {.name = "store_fuzz", .most = 256};
