/* What a round's server will have, one step after another. */
#include "core/plan.h"
#include "tests/readers/round.h"

#include <string.h>

/* Of a chain, so that one may still grow. */
#define SIZE_MOST   250u
#define BLOCKS_MOST 15u
#define TRIES       20

static void add(tr_round *round, const tw_chain *chain)
{
    if (round->n_steps < TR_STEPS_MOST)
        round->steps[round->n_steps++] = chain;
}

static bool is_full(const tw_chain *chain)
{
    return chain && (chain->meta.size > SIZE_MOST || chain->n > BLOCKS_MOST);
}

/* Each set is told from every other by its block hash. */
static bool is_new(const tr_round *round, const tw_chain *chain)
{
    return tr_step_of(round, &chain->meta, round->n_steps - 1) == UINT32_MAX;
}

/* A reorganization, the same coins mined again, or growth: whatever comes, but nothing smaller. */
static const tw_chain *changed(tr_round *round, const tw_chain *from)
{
    for (int i = 0; i < TRIES && round->world.n < 240; i++) {
        const tw_chain *next = tw_mutate(&round->world, from);
        if (next->n > 1 && next->meta.size >= from->meta.size && !is_full(next) &&
            is_new(round, next))
            return next;
    }
    return NULL;
}

static const tw_chain *grown(tr_round *round, const tw_chain *from)
{
    tw_rng *rng = &round->world.rng;
    return tw_grow_wide(&round->world, from, tw_between(rng, 1, 2), tw_between(rng, 1, 12));
}

/* One chain's life, from its first block until it is full. */
static const tw_chain *live(tr_round *round)
{
    const tw_chain *chain = grown(round, NULL);
    while (!is_full(chain) && round->world.n < 230 && round->n_steps < TR_STEPS_MOST) {
        const tw_chain *next = NULL;
        add(round, chain);
        if (tw_chance(&round->world.rng, .7))
            next = changed(round, chain);
        chain = next ? next : grown(round, chain);
    }
    return chain;
}

void tr_plan(tr_round *round)
{
    tw_world_init(&round->world, round->seed);
    round->n_steps = 0;
    add(round, NULL);
    (void)live(round);
    /* Who clears a store must know that nobody syncs it. */
    while (round->cast == TR_ONE_WRITER && round->world.n < 150 &&
           round->n_steps < TR_STEPS_MOST - 20) {
        add(round, NULL);
        (void)live(round);
    }
}

uint32_t tr_step_of(const tr_round *round, const anonset_meta *meta, uint32_t newest)
{
    for (uint32_t i = newest + 1; i-- > 0;)
        if (round->steps[i] && as_meta_equal(&round->steps[i]->meta, meta))
            return i;
    return UINT32_MAX;
}
