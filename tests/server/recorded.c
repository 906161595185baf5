/*
 * A chain that was recorded: each state is a folder with meta.json and the answers for some or all
 * of its sectors. The states are moments of one chain; a command chooses which one is shown.
 *
 * An earlier state's block is accepted as a pin where its coins are the oldest coins of the state
 * shown.
 *
 * A folder may tell by heights.txt in which blocks its coins are: a line for each, oldest first, of
 * its height and how many coins it has.
 */
#include "tests/server/chain.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct slice {
    const char *at;
    size_t len;
} slice;

typedef struct recorded_group {
    chain_meta meta;
    slice *coins;      /* by index, newest first; at is NULL where no sector was recorded */
    uint32_t *heights; /* by position; 0: not told */
    char **files;      /* what the slices point into */
    size_t file_count, file_cap;
} recorded_group;

typedef struct state {
    recorded_group *groups;
    size_t count, cap;
} state;

typedef struct recorded {
    chain base;
    state *states;
    size_t count;
    size_t shown;
} recorded;

/* ---- Loading ---- */

static char *read_text(const char *path)
{
    text t = {0};
    FILE *f = fopen(path, "rb");
    if (!f)
        die("cannot open %s", path);
    for (;;) {
        size_t got = fread(text_room(&t, 65536), 1, 65536, f);
        t.len += got;
        if (got < 65536)
            break;
    }
    if (ferror(f))
        die("cannot read %s", path);
    fclose(f);
    text_add(&t, "", 1);
    return t.data;
}

/* The text between `before` and `end`; ends the program if it is not there. */
static slice field(const char *json, const char *before, char end, const char *path)
{
    const char *at = strstr(json, before);
    const char *stop = at ? strchr(at + strlen(before), end) : NULL;
    if (!stop)
        die("%s: no %s", path, before);
    at += strlen(before);
    return (slice){.at = at, .len = (size_t)(stop - at)};
}

static void load_meta(recorded_group *g, const char *folder)
{
    char path[4096];
    size_t len;
    snprintf(path, sizeof path, "%s/meta.json", folder);
    char *json = read_text(path);
    slice block = field(json, "\"blockHash\":\"", '"', path);
    slice set = field(json, "\"setHash\":\"", '"', path);
    slice size = field(json, "\"size\":", '}', path);
    if (!base64_decode(g->meta.block_hash, HASH, &len, block.at, block.len) || len != HASH)
        die("%s: bad block hash", path);
    g->meta.has_set_hash = set.len > 0;
    if (set.len > 0 &&
        (!base64_decode(g->meta.set_hash, HASH, &len, set.at, set.len) || len != HASH))
        die("%s: bad set hash", path);
    g->meta.size = (uint32_t)strtoul(size.at, NULL, 10);
    free(json);
}

static void load_sector(recorded_group *g, const char *path, size_t index)
{
    char *json = read_text(path);
    const char *at = strstr(json, "\"coins\":[");
    if (!at)
        die("%s: no coins", path);
    GROW(g->files, &g->file_cap, g->file_count + 1);
    g->files[g->file_count++] = json;
    for (at += strlen("\"coins\":["); *at == '['; index++) {
        const char *end = strchr(at, ']');
        if (!end || index >= g->meta.size)
            die("%s: more coins than %u, or none whole", path, g->meta.size);
        g->coins[index] = (slice){.at = at, .len = (size_t)(end + 1 - at)};
        at = end[1] == ',' ? end + 2 : end + 1;
    }
}

static void load_heights(recorded_group *g, const char *folder)
{
    char path[4096];
    unsigned height, count;
    uint32_t at = 0;
    snprintf(path, sizeof path, "%s/heights.txt", folder);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    for (; fscanf(f, "%10u %10u", &height, &count) == 2; at += count) {
        if (count > g->meta.size - at)
            die("%s: more coins than %u", path, g->meta.size);
        for (uint32_t i = 0; i < count; i++)
            g->heights[at + i] = height;
    }
    if (at != g->meta.size)
        die("%s: %u coins are not %u", path, at, g->meta.size);
    fclose(f);
}

static bool zero_hash(const uint8_t *hash)
{
    static const uint8_t zero[HASH];
    return memcmp(hash, zero, HASH) == 0;
}

static void load_group(recorded_group *g, const char *folder)
{
    char path[4096];
    load_meta(g, folder);
    if (zero_hash(g->meta.block_hash))
        g->meta.size = 0;
    g->coins = calloc((size_t)g->meta.size + 1, sizeof *g->coins);
    g->heights = calloc((size_t)g->meta.size + 1, sizeof *g->heights);
    DIR *dir = opendir(folder);
    if (!dir || !g->coins || !g->heights)
        die("cannot read the folder %s", folder);
    load_heights(g, folder);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        unsigned from, to;
        if (strcmp(entry->d_name, "sector_whole.json") == 0)
            from = 0;
        else if (sscanf(entry->d_name, "sector_%5u_%5u.json", &from, &to) != 2)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        load_sector(g, path, from);
    }
    closedir(dir);
}

static void load_state(state *s, const char *folders)
{
    char *copy = strdup(folders);
    if (!copy)
        die("no memory");
    char *rest = copy;
    for (char *folder = strsep(&rest, ","); folder; folder = strsep(&rest, ",")) {
        GROW(s->groups, &s->cap, s->count + 1);
        s->groups[s->count] = (recorded_group){0};
        load_group(&s->groups[s->count++], folder);
    }
    free(copy);
}

/* ---- What the server asks ---- */

static const recorded_group *find_group(const recorded *r, size_t shown, uint32_t id)
{
    const state *s = &r->states[shown];
    if (id == 0 || id > s->count || zero_hash(s->groups[id - 1].meta.block_hash))
        return NULL;
    return &s->groups[id - 1];
}

static uint32_t recorded_latest(const chain *c)
{
    const recorded *r = (const recorded *)c;
    uint32_t id = (uint32_t)r->states[r->shown].count;
    while (id > 0 && !find_group(r, r->shown, id))
        id--;
    return id;
}

static bool recorded_meta(const chain *c, uint32_t id, chain_meta *meta)
{
    const recorded *r = (const recorded *)c;
    const recorded_group *g = find_group(r, r->shown, id);
    if (g)
        *meta = g->meta;
    return g;
}

/* All coins of `old` are known and are the oldest of `now`. With no coin more it is no older block,
 * but another one in its place. */
static bool is_older(const recorded_group *old, const recorded_group *now)
{
    if (old->meta.size >= now->meta.size)
        return false;
    const slice *tail = now->coins + (now->meta.size - old->meta.size);
    for (uint32_t i = 0; i < old->meta.size; i++) {
        const slice *a = &old->coins[i], *b = &tail[i];
        if (!a->at || !b->at || a->len != b->len || memcmp(a->at, b->at, a->len) != 0)
            return false;
    }
    return true;
}

static pin_result recorded_pin(const chain *c, uint32_t id, const uint8_t *hash, uint32_t *size)
{
    const recorded *r = (const recorded *)c;
    const recorded_group *now = find_group(r, r->shown, id);
    if (!now)
        return PIN_NO_GROUP;
    *size = now->meta.size;
    if (!now->meta.has_set_hash || memcmp(now->meta.block_hash, hash, HASH) == 0)
        return PIN_OK;
    for (size_t i = 0; i < r->count; i++) {
        const recorded_group *old = find_group(r, i, id);
        if (old && old->meta.has_set_hash && memcmp(old->meta.block_hash, hash, HASH) == 0 &&
            is_older(old, now)) {
            *size = old->meta.size;
            return PIN_OK;
        }
    }
    return PIN_REFUSED;
}

static bool recorded_coin(chain *c, uint32_t id, uint32_t position, text *out)
{
    const recorded *r = (const recorded *)c;
    const recorded_group *g = find_group(r, r->shown, id);
    const slice *coin = &g->coins[g->meta.size - 1 - position];
    if (!coin->at)
        return false;
    text_add(out, coin->at, coin->len);
    return true;
}

static bool group_height(const recorded_group *g, const text *hash, uint32_t *height)
{
    for (uint32_t i = 0; i < g->meta.size; i++) {
        const slice *coin = &g->coins[i];
        if (coin->at && memmem(coin->at, coin->len, hash->data, hash->len)) {
            *height = g->heights[g->meta.size - 1 - i];
            return *height > 0;
        }
    }
    return false;
}

static bool recorded_height(const chain *c, const uint8_t *tx_hash, uint32_t *height)
{
    const recorded *r = (const recorded *)c;
    const state *s = &r->states[r->shown];
    text hash = {0};
    size_t at = 0;
    text_put(&hash, "\"");
    text_base64(&hash, tx_hash, HASH);
    text_put(&hash, "\"");
    while (at < s->count && !group_height(&s->groups[at], &hash, height))
        at++;
    text_free(&hash);
    return at < s->count;
}

static const char *recorded_command(chain *c, size_t words, char **word)
{
    recorded *r = (recorded *)c;
    size_t wanted = r->shown + 1;
    if (words == 2 && strcmp(word[0], "state") == 0)
        wanted = (size_t)strtoul(word[1], NULL, 10);
    else if (words != 1 || strcmp(word[0], "next") != 0)
        return "a recorded chain knows only \"next\" and \"state N\"";
    if (wanted >= r->count)
        return "there is no such state";
    r->shown = wanted;
    return NULL;
}

static void recorded_free(chain *c)
{
    recorded *r = (recorded *)c;
    for (size_t i = 0; i < r->count; i++) {
        for (size_t k = 0; k < r->states[i].count; k++) {
            recorded_group *g = &r->states[i].groups[k];
            for (size_t f = 0; f < g->file_count; f++)
                free(g->files[f]);
            free(g->files);
            free(g->coins);
            free(g->heights);
        }
        free(r->states[i].groups);
    }
    free(r->states);
    free(r);
}

static const chain_source source = {
    .latest = recorded_latest,
    .meta = recorded_meta,
    .pin = recorded_pin,
    .coin = recorded_coin,
    .height = recorded_height,
    .command = recorded_command,
    .free = recorded_free,
};

chain *recorded_new(char *const *states, size_t count)
{
    recorded *r = calloc(1, sizeof *r);
    if (r)
        r->states = calloc(count, sizeof *r->states);
    if (!r || !r->states)
        die("no memory for the chain");
    r->base.source = &source;
    r->count = count;
    for (size_t i = 0; i < count; i++)
        load_state(&r->states[i], states[i]);
    return &r->base;
}
