#include "tests/shims/rotten.h"

#include "backends/backends.h"
#include "core/detail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REAL     as_backend_memory
#define RUN_MOST 4096u

typedef struct handle {
    void *real;
    bool rots;
} handle;

typedef struct snapshot {
    void *real;
    bool rots;
    anonset_coin coins[RUN_MOST];
    uint8_t tags[4 * RUN_MOST];
} snapshot;

static rotten now;
static char rots_at[400]; /* "": nothing does */
/* The memory backend keeps a store under the name it was made by: one that replaced another goes by
 * a name of ours. */
static unsigned replaced;
static char by_name[420];

void rotten_at(const char *path, const rotten *how)
{
    now = *how;
    replaced = 0;
    (void)snprintf(rots_at, sizeof rots_at, "%s", path);
}

void rotten_end(void)
{
    rots_at[0] = '\0';
}

/* Stores beside the one that rots are made to replace it. */
static const char *real_name(const char *path)
{
    size_t len = strlen(rots_at);
    if (len == 0 || strncmp(path, rots_at, len) != 0 || (path[len] == '\0' && replaced == 0))
        return path;
    (void)snprintf(by_name, sizeof by_name, "%s-%u", rots_at,
                   path[len] == '\0' ? replaced : replaced + 1);
    return by_name;
}

static anonset_code rotten_open(void **out, const char *path,
                                const anonset_backend_options *options, anonset_detail *detail)
{
    handle *h = calloc(1, sizeof *h);
    if (!h)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory");
    anonset_code code = REAL.open(&h->real, real_name(path), options, detail);
    h->rots = strcmp(path, rots_at) == 0 && replaced == 0;
    if (code == ANONSET_OK)
        *out = h;
    else
        free(h);
    return code;
}

static void rotten_close(void *of)
{
    REAL.close(((handle *)of)->real);
    free(of);
}

#define FORWARD(name, parameters, arguments)                                                       \
    static anonset_code rotten_##name parameters                                                   \
    {                                                                                              \
        void *real = ((handle *)of)->real;                                                         \
        return REAL.name arguments;                                                                \
    }

FORWARD(info, (void *of, anonset_store_info *info, anonset_detail *detail), (real, info, detail))
FORWARD(set_genesis, (void *of, const uint8_t *genesis, anonset_detail *detail),
        (real, genesis, detail))
FORWARD(next_group, (void *of, uint32_t *group, uint32_t after, anonset_detail *detail),
        (real, group, after, detail))
FORWARD(load_state, (void *of, anonset_state *state, uint32_t group, anonset_detail *detail),
        (real, state, group, detail))
FORWARD(append_sector, (void *of, const anonset_append *append, anonset_detail *detail),
        (real, append, detail))
FORWARD(mark_complete, (void *of, const anonset_complete *complete, anonset_detail *detail),
        (real, complete, detail))
FORWARD(discard_incomplete, (void *of, uint32_t group, anonset_detail *detail),
        (real, group, detail))
FORWARD(clear, (void *of, uint32_t group, anonset_detail *detail), (real, group, detail))
FORWARD(disk_bytes, (void *of, uint64_t *bytes, anonset_detail *detail), (real, bytes, detail))
FORWARD(mend, (void *of, const anonset_append *append, anonset_detail *detail),
        (real, append, detail))

static void forget(uint32_t *n, uint32_t *at, uint32_t from, uint32_t to)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *n; i++)
        if (at[i] < from || at[i] >= to)
            at[kept++] = at[i];
    *n = kept;
}

static anonset_code rotten_drop(void *of, const anonset_damage *damage, anonset_detail *detail)
{
    handle *h = of;
    anonset_code code = REAL.drop(h->real, damage, detail);
    if (code == ANONSET_OK && h->rots) {
        forget(&now.changed_n, now.changed, damage->from, damage->to);
        forget(&now.lost_n, now.lost, damage->from, damage->to);
        forget(&now.tags_n, now.tags, damage->from, damage->to);
    }
    return code;
}

static anonset_code rotten_replace(const char *path, const char *by, const char *kept,
                                   unsigned busy_ms, anonset_detail *detail)
{
    (void)path, (void)by, (void)kept, (void)busy_ms, (void)detail;
    replaced++;
    return ANONSET_OK;
}

static anonset_code rotten_check(void *of, anonset_detail *detail)
{
    if (((handle *)of)->rots && now.engine)
        return as_fail(detail, ANONSET_CORRUPT, 0, "the engine is damaged");
    return ANONSET_OK;
}

/* ---- Reading ------------------------------------------------------------------------------ */

static anonset_code rotten_snapshot_open(void *of, void **out, anonset_state *state, uint32_t group,
                                         anonset_view view, anonset_detail *detail)
{
    const handle *h = of;
    snapshot *s = malloc(sizeof *s);
    if (!s)
        return as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory");
    anonset_code code = REAL.snapshot_open(h->real, &s->real, state, group, view, detail);
    s->rots = h->rots;
    if (code == ANONSET_OK)
        *out = s;
    else
        free(s);
    return code;
}

static void rotten_snapshot_close(void *of)
{
    REAL.snapshot_close(((snapshot *)of)->real);
    free(of);
}

static anonset_code rotten_read(void *of, anonset_run *run, uint32_t position,
                                anonset_detail *detail)
{
    static const uint8_t other[ANONSET_HASH_BYTES] = {0xee};
    snapshot *s = of;
    anonset_code code = REAL.read(s->real, run, position, detail);
    if (code != ANONSET_OK || !s->rots)
        return code;
    for (uint32_t i = 0; i < now.lost_n; i++)
        if (now.lost[i] - run->start < run->n)
            return as_fail(detail, ANONSET_CORRUPT, 0, "coins are lost");
    memcpy(s->coins, run->coins, run->n * sizeof *s->coins);
    run->coins = s->coins;
    for (uint32_t i = 0; i < now.changed_n; i++)
        if (now.changed[i] - run->start < run->n)
            s->coins[now.changed[i] - run->start].tx_hash = other;
    return ANONSET_OK;
}

static anonset_code rotten_read_tags(void *of, anonset_run *run, uint32_t position,
                                     anonset_detail *detail)
{
    snapshot *s = of;
    anonset_code code = REAL.read_tags(s->real, run, position, detail);
    if (code != ANONSET_OK || !s->rots)
        return code;
    memcpy(s->tags, run->tags, (size_t)4 * run->n);
    run->tags = s->tags;
    for (uint32_t i = 0; i < now.tags_n; i++)
        if (now.tags[i] - run->start < run->n)
            s->tags[4 * (now.tags[i] - run->start)] ^= 1;
    return ANONSET_OK;
}

static anonset_code rotten_checkpoint(void *of, anonset_checkpoint *checkpoint, uint32_t index,
                                      anonset_detail *detail)
{
    const snapshot *s = of;
    if (s->rots && now.checkpoints)
        return as_fail(detail, ANONSET_CORRUPT, 0, "a checkpoint is damaged");
    return REAL.checkpoint(s->real, checkpoint, index, detail);
}

const anonset_backend rotten_backend = {
    .size = sizeof(anonset_backend),
    .name = "rotten",
    .open = rotten_open,
    .close = rotten_close,
    .info = rotten_info,
    .set_genesis = rotten_set_genesis,
    .next_group = rotten_next_group,
    .load_state = rotten_load_state,
    .append_sector = rotten_append_sector,
    .mark_complete = rotten_mark_complete,
    .discard_incomplete = rotten_discard_incomplete,
    .clear = rotten_clear,
    .disk_bytes = rotten_disk_bytes,
    .snapshot_open = rotten_snapshot_open,
    .snapshot_close = rotten_snapshot_close,
    .read = rotten_read,
    .checkpoint = rotten_checkpoint,
    .read_tags = rotten_read_tags,
    .drop = rotten_drop,
    .mend = rotten_mend,
    .replace = rotten_replace,
    .check = rotten_check,
};
