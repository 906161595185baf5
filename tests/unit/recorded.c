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

void ts_recorded_read(ts_recorded *recorded, const char *name, uint32_t n)
{
    const anonset_request request = {
        .id = 7, .kind = ANONSET_REQUEST_SECTOR, .group = 1, .start = 0, .end = n};
    anonset_detail detail = {.code = ANONSET_OK};
    memset(recorded, 0, sizeof *recorded);
    size_t len = read_text(&recorded->text, name);
    /* The recorder's id was a string; ours are numbers. */
    char *id = strstr(recorded->text, "\"id\":\"cap\"");
    cr_assert(id);
    memcpy(id, "\"id\":7    ", 10);
    anonset_code code = anonset_answer_read(&recorded->answer, recorded->text, len, &request, 1,
                                            ANONSET_FIROD, &detail);
    cr_assert_eq(code, ANONSET_OK, "%s", detail.text);
    cr_assert_eq(recorded->answer.n, n);
}

void ts_recorded_clear(ts_recorded *recorded)
{
    anonset_answer_clear(&recorded->answer);
    free(recorded->text);
}
