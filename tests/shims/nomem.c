#include "config.h"

#include "tests/shims/nomem.h"

#include "tests/shims/malloc.h"

#include <execinfo.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A program may have threads; the n-th allocation is then a matter of who comes first. */
static _Atomic(nomem_plan *) armed;
static atomic_ulong asked;
static atomic_long live;

void nomem_arm(nomem_plan *plan)
{
    atomic_store(&asked, 0);
    atomic_store(&armed, plan);
}

void nomem_disarm(void)
{
    atomic_store(&armed, NULL);
}

long nomem_live(void)
{
    return atomic_load(&live);
}

/* ---- Who allocated it ---------------------------------------------------------------------- */

#define STACK_FRAMES 24
#define STACK_OURS   3 /* the frames of this file and of malloc.c */
#define STACKS       65536u

typedef struct stack {
    void *block;
    int n;
    void *frame[STACK_FRAMES];
} stack;

static stack *stacks; /* STACKS, open addressing; NULL: not asked for */
static int trace_to = -1;
static _Thread_local bool tracing;

static stack *place_of(const void *block)
{
    size_t at = ((uintptr_t)block >> 4) * 2654435761u % STACKS;
    while (stacks[at].block && stacks[at].block != block)
        at = (at + 1) % STACKS;
    return &stacks[at];
}

/* Places are never emptied, so that those behind them stay to be found. */
static void remember(void *block)
{
    if (!stacks || tracing)
        return;
    tracing = true;
    stack *s = place_of(block);
    s->block = block;
    s->n = backtrace(s->frame, STACK_FRAMES);
    tracing = false;
}

static void forget(const void *block)
{
    if (stacks && !tracing)
        place_of(block)->n = 0;
}

static void tell(int fd, const char *what, void *const *frame, int n)
{
    (void)!write(fd, what, strlen(what));
    if (n > STACK_OURS)
        backtrace_symbols_fd(frame + STACK_OURS, n - STACK_OURS, fd);
}

static void tell_refused(void)
{
    void *frame[STACK_FRAMES];
    if (trace_to < 0 || tracing)
        return;
    tracing = true;
    tell(trace_to, "refused to\n", frame, backtrace(frame, STACK_FRAMES));
    tracing = false;
}

void nomem_trace(int fd)
{
    void *frame[1];
    (void)backtrace(frame, 1); /* the first call loads what it needs */
    void *room = mmap(NULL, STACKS * sizeof *stacks, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return;
    trace_to = fd;
    stacks = room;
}

void nomem_tell_live(int fd)
{
    for (size_t i = 0; stacks && i < STACKS; i++)
        if (stacks[i].n > 0)
            tell(fd, "still there, by\n", stacks[i].frame, stacks[i].n);
}

/* ---- What malloc.c asks and tells ---------------------------------------------------------- */

bool malloc_may(size_t size)
{
    nomem_plan *plan = atomic_load(&armed);
    (void)size;
    if (!plan)
        return true;
    unsigned long number = atomic_fetch_add(&asked, 1) + 1;
    plan->asked = number;
    bool fails = plan->at != 0 && (number == plan->at || (plan->for_good && number > plan->at));
    if (fails && !plan->struck)
        tell_refused();
    plan->struck = plan->struck || fails;
    return !fails;
}

void malloc_came(void *block)
{
    atomic_fetch_add(&live, 1);
    remember(block);
}

void malloc_goes(void *block)
{
    atomic_fetch_sub(&live, 1);
    forget(block);
}
