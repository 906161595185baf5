#include "tests/unit/recorded.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t read_text(char **text, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", FIXTURES, name);
    FILE *stream = fopen(path, "rb");
    cr_assert(stream, "%s", path);
    cr_assert_eq(fseek(stream, 0, SEEK_END), 0);
    long size = ftell(stream);
    cr_assert_gt(size, 0);
    rewind(stream);
    *text = calloc(1, (size_t)size + 1);
    cr_assert(*text);
    cr_assert_eq(fread(*text, 1, (size_t)size, stream), (size_t)size);
    fclose(stream);
    return (size_t)size;
}

static void read_answer(ts_recorded *recorded, const char *name, const anonset_request *request)
{
    anonset_detail detail = {.code = ANONSET_OK};
    memset(recorded, 0, sizeof *recorded);
    size_t len = read_text(&recorded->text, name);
    /* The recorder's id was a string; ours are numbers. */
    char *id = strstr(recorded->text, "\"id\":\"cap\"");
    cr_assert(id);
    memcpy(id, "\"id\":7    ", 10);
    anonset_code code = anonset_answer_read(&recorded->answer, recorded->text, len, request, 1,
                                            ANONSET_FIROD, &detail);
    cr_assert_eq(code, ANONSET_OK, "%s: %s", name, detail.text);
}

void ts_recorded_read(ts_recorded *recorded, const char *name, uint32_t n)
{
    const anonset_request request = {
        .id = 7, .kind = ANONSET_REQUEST_SECTOR, .group = 1, .start = 0, .end = n};
    read_answer(recorded, name, &request);
    cr_assert_eq(recorded->answer.n, n);
}

void ts_recorded_meta(anonset_meta *meta, const char *name)
{
    const anonset_request request = {.id = 7, .kind = ANONSET_REQUEST_META, .group = 1};
    ts_recorded recorded;
    read_answer(&recorded, name, &request);
    *meta = recorded.answer.meta;
    ts_recorded_clear(&recorded);
}

uint32_t ts_recorded_ends(uint32_t *ends, uint32_t cap, const char *name)
{
    char *text, *lines;
    unsigned height, before = 0, coins;
    uint32_t n = 0, end = 0;
    read_text(&text, name);
    lines = text;
    for (char *line = strsep(&lines, "\n"); line && *line; line = strsep(&lines, "\n")) {
        cr_assert_eq(sscanf(line, "%9u %9u", &height, &coins), 2, "%s: %s", name, line);
        cr_assert(n < cap && height > before && coins > 0, "%s: %s", name, line);
        before = height;
        ends[n++] = end += coins;
    }
    free(text);
    return n;
}

void ts_recorded_clear(ts_recorded *recorded)
{
    anonset_answer_clear(&recorded->answer);
    free(recorded->text);
}
