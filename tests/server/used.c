#include "tests/server/used.h"

#include "tests/server/coin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAG  34u
#define HASH 32u

static void fill(uint8_t *out, size_t len, uint64_t a, uint64_t b)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(mix(a, b, i / 8) >> 8 * (i % 8));
}

/* The pair in the file without its brackets, as it was recorded. */
static void recorded_json(const used_list *list, uint32_t position, text *out)
{
    const char *at = strchr(list->file.data, '[') + 2;
    text_add(out, at + (size_t)position * (USED_TEXT + 1), USED_TEXT - 2);
}

void used_json(const used_list *list, uint32_t position, text *out)
{
    uint8_t tag[TAG], tx[HASH];
    uint64_t seed = 0;
    if (position < list->recorded) {
        recorded_json(list, position, out);
        return;
    }
    for (size_t i = 0; i < list->part_count && list->parts[i].from <= position; i++)
        seed = list->parts[i].seed;
    fill(tag, sizeof tag, seed, 2 * (uint64_t)position);
    fill(tx, sizeof tx, seed, 2 * (uint64_t)position + 1);
    text_put(out, "\"");
    text_base64(out, tag, sizeof tag);
    text_put(out, "\",\"");
    text_base64(out, tx, sizeof tx);
    text_put(out, "\"");
}

void used_fork(used_list *list, uint32_t keep)
{
    static uint64_t seeds;
    while (list->part_count > 0 && list->parts[list->part_count - 1].from >= keep)
        list->part_count--;
    if (list->recorded > keep)
        list->recorded = keep;
    GROW(list->parts, &list->part_cap, list->part_count + 1);
    list->parts[list->part_count++] = (used_part){.from = keep, .seed = ++seeds};
}

const char *used_load(used_list *list, const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return "cannot open the file";
    list->file.len = 0;
    size_t got;
    while ((got = fread(text_room(&list->file, 4096), 1, 4096, f)) > 0)
        list->file.len += got;
    fclose(f);
    text_add(&list->file, "", 1);
    list->recorded = 0;
    list->part_count = 0;
    const char *at = strstr(list->file.data, "\"tagsandtxids\":[");
    if (!at)
        return "it is no answer with used tags";
    for (at = strchr(at, '[') + 1; *at == '['; at += USED_TEXT + 1)
        list->recorded++;
    list->count = list->recorded;
    return NULL;
}

const char *used_dump(const used_list *list, const char *path)
{
    text line = {0};
    bool failed = false;
    FILE *f = fopen(path, "w");
    if (!f)
        return "cannot write the file";
    for (uint32_t i = 0; i < list->count; i++) {
        line.len = 0;
        text_put(&line, "[");
        used_json(list, i, &line);
        text_put(&line, "]\n");
        failed |= fwrite(line.data, 1, line.len, f) != line.len;
    }
    failed |= fclose(f) != 0;
    text_free(&line);
    return failed ? "cannot write the file" : NULL;
}

void used_free(used_list *list)
{
    free(list->parts);
    text_free(&list->file);
}
