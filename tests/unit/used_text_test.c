/* The list of used coin tags as text: in pieces of any size, right and wrong. */
#include <anonset/anonset.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIR                                                                                       \
    "[\"iu6TSODWp2qLiWRy4xiXCMx/wDVdJNIqU5TKQu1ToHIAAA==\","                                       \
    "\"Q1E9/SJU65wwUaym2Nb6pqGpd8xMyJu8sz2Fc7jYckw=\"]"
#define TAG_34 "iu6TSODWp2qLiWRy4xiXCMx/wDVdJNIqU5TKQu1ToHIAAA=="
#define TX_32  "Q1E9/SJU65wwUaym2Nb6pqGpd8xMyJu8sz2Fc7jYckw="

static const anonset_request outstanding[] = {
    {.id = 6, .kind = ANONSET_REQUEST_GENESIS},
    {.id = 7, .kind = ANONSET_REQUEST_USED, .start = 100},
};

typedef struct read_all {
    anonset_code code;
    anonset_answer last;
    unsigned parts; /* fed before the last */
    unsigned tags;
    anonset_detail detail;
} read_all;

/* Reads `text` in pieces of `step` bytes. */
static read_all read_in(const char *text, size_t step, anonset_dialect dialect)
{
    read_all r = {.code = ANONSET_OK};
    anonset_used_text *reader;
    size_t len = strlen(text), at = 0;
    bool last = false;
    cr_assert_eq(anonset_used_text_new(&reader, NULL), ANONSET_OK);
    while (r.code == ANONSET_OK && !last) {
        size_t piece = len - at < step ? len - at : step, done = 0, taken;
        do {
            last = at + piece == len;
            r.code = anonset_used_text_read(reader, &r.last, &taken, text + at + done, piece - done,
                                            last, outstanding, 2, dialect, &r.detail);
            done += taken;
            r.parts += r.code == ANONSET_OK && r.last.more;
            r.tags += r.code == ANONSET_OK ? r.last.n : 0;
        } while (r.code == ANONSET_OK && (done < piece || (last && r.last.more)));
        at += piece;
    }
    if (r.code == ANONSET_OK && r.last.n > 0)
        cr_assert_eq(r.last.used[0].tag[0], 0x8a);
    anonset_used_text_free(reader);
    return r;
}

static const struct {
    const char *name, *text;
    unsigned tags;
} right[] = {
    {"firod", "{\"result\":{\"tagsandtxids\":[" PAIR "," PAIR "]},\"error\":null,\"id\":7}\n", 2},
    {"electrumx, padded",
     "{\"jsonrpc\":\"2.0\",\"result\":{\"tagsandtxids\":[" PAIR "]},\"id\":7        \t\n   }", 1},
    {"none", "{\"result\":{\"tagsandtxids\":[]},\"error\":null,\"id\":7}", 0},
    {"blanks everywhere",
     " { \"id\" : 7 , \"result\" : { \"tagsandtxids\" : [ [ \"" TAG_34 "\" , \"" TX_32
     "\" ] , " PAIR " ] } } ",
     2},
    {"slashes as escapes",
     "{\"result\":{\"tagsandtxids\":[[\"iu6TSODWp2qLiWRy4xiXCMx\\/wDVdJNIqU5TKQu1ToHIAAA==\",\""
     "Q1E9\\/SJU65wwUaym2Nb6pqGpd8xMyJu8sz2Fc7jYckw=\"]]},\"id\":7}",
     1},
    {"other members and look-alikes",
     "{\"a\":\"\\\"tagsandtxids\\\":[\",\"tagsandtxids\":1,\"b\":[\"tagsandtxids\"],"
     "\"result\":{\"x\":\"\\\\\",\"tagsandtxids\":[" PAIR "]},\"id\":7}",
     1},
};

Test(used_text, right_answers_in_pieces_of_every_size)
{
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        for (size_t step = 1; step <= strlen(right[i].text); step++) {
            read_all r = read_in(right[i].text, step, ANONSET_ELECTRUMX);
            cr_assert_eq(r.code, ANONSET_OK, "%s, %zu: %s", right[i].name, step, r.detail.text);
            cr_assert_eq(r.last.kind, ANONSET_ANSWER_USED);
            cr_assert_eq(r.last.id, 7);
            cr_assert_eq(r.tags, right[i].tags, "%s: %u", right[i].name, r.tags);
            cr_assert_eq(r.last.wire_bytes, strlen(right[i].text));
        }
    }
}

static const struct {
    const char *name, *text, *says;
} wrong[] = {
    {"nothing", "", "empty"},
    {"no list", "{\"result\":{},\"id\":7}", "no list of used tags"},
    {"null", "{\"result\":{\"tagsandtxids\":null},\"id\":7}", "no list of used tags"},
    {"a list elsewhere", "{\"tagsandtxids\":[" PAIR "],\"result\":{},\"id\":7}",
     "no list of used tags"},
    {"two lists", "{\"result\":{\"tagsandtxids\":[" PAIR "],\"tagsandtxids\":[" PAIR "]},\"id\":7}",
     "two lists"},
    {"a list behind another member of its name",
     "{\"result\":{\"tagsandtxids\":[],\"tagsandtxids\":{}},\"id\":7}", "no list of used tags"},
    {"a name that is written otherwise",
     "{\"result\":{\"\\u0074agsandtxids\":[" PAIR "]},\"id\":7}", "not to be read as a whole"},
    {"another id", "{\"result\":{\"tagsandtxids\":[" PAIR "]},\"id\":8}", "not outstanding"},
    {"the other question's id", "{\"result\":{\"tagsandtxids\":[" PAIR "]},\"id\":6}",
     "answers something else"},
    {"an error with a list",
     "{\"x\":{\"tagsandtxids\":[" PAIR "]},\"error\":{\"code\":1,\"message\":\"m\"},\"id\":7}",
     "answers something else"},
    {"cut", "{\"result\":{\"tagsandtxids\":[" PAIR, "ends within its list"},
    {"cut in a string", "{\"result\":{\"tagsandtxids\":[[\"iu6T", "ends within its list"},
    {"behind it", "{\"result\":{\"tagsandtxids\":[" PAIR "]},\"id\":7}{}", "no JSON object"},
    {"a tag alone", "{\"result\":{\"tagsandtxids\":[\"" TAG_34 "\"]},\"id\":7}",
     "not a list of two strings"},
    {"one string", "{\"result\":{\"tagsandtxids\":[[\"" TAG_34 "\"]]},\"id\":7}",
     "not a list of two strings"},
    {"three strings",
     "{\"result\":{\"tagsandtxids\":[[\"" TAG_34 "\",\"" TX_32 "\",\"\"]]},\"id\":7}",
     "not a list of two strings"},
    {"a number", "{\"result\":{\"tagsandtxids\":[[1,2]]},\"id\":7}", "not a list of two strings"},
    {"a comma at the end", "{\"result\":{\"tagsandtxids\":[" PAIR ",]},\"id\":7}",
     "not a list of two strings"},
    {"no comma", "{\"result\":{\"tagsandtxids\":[" PAIR PAIR "]},\"id\":7}",
     "not a list of two strings"},
    {"lists in lists", "{\"result\":{\"tagsandtxids\":[[[[[", "not a list of two strings"},
    {"a short tag", "{\"result\":{\"tagsandtxids\":[[\"" TX_32 "\",\"" TX_32 "\"]]},\"id\":7}",
     "a used tag is not 34 bytes"},
    {"a long txid", "{\"result\":{\"tagsandtxids\":[[\"" TAG_34 "\",\"" TAG_34 "\"]]},\"id\":7}",
     "not 32 bytes"},
    {"longer than a tag",
     "{\"result\":{\"tagsandtxids\":[[\"" TAG_34 "AAAA\",\"" TX_32 "\"]]},\"id\":7}",
     "none of base64"},
    {"another escape", "{\"result\":{\"tagsandtxids\":[[\"\\u0041", "none of base64"},
    {"an escaped quote", "{\"result\":{\"tagsandtxids\":[[\"\\\"", "none of base64"},
    {"no base64",
     "{\"result\":{\"tagsandtxids\":[[\"!u6TSODWp2qLiWRy4xiXCMx/wDVdJNIqU5TKQu1ToHIAAA==\",",
     "34 bytes of base64"},
    {"not canonical",
     "{\"result\":{\"tagsandtxids\":[[\"" TAG_34
     "\",\"Q1E9/SJU65wwUaym2Nb6pqGpd8xMyJu8sz2Fc7jYckx=\"]]},\"id\":7}",
     "32 bytes of base64"},
    {"two numbers", "{\"result\":{\"tagsandtxids\":[]},\"id\":0   7}", "no JSON object"},
};

Test(used_text, wrong_answers_are_refused)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        for (size_t step = 1; step < 80; step += 13) {
            read_all r = read_in(wrong[i].text, step, ANONSET_ELECTRUMX);
            cr_expect_eq(r.code, ANONSET_BAD_ANSWER, "%s", wrong[i].name);
            cr_expect(strstr(r.detail.text, wrong[i].says), "%s: %s", wrong[i].name, r.detail.text);
        }
    }
}

Test(used_text, what_is_no_list_comes_as_any_answer)
{
    static const struct {
        const char *text;
        anonset_answer_kind kind;
    } rows[] = {
        {"{\"error\":{\"code\":-32600,\"message\":\"response too large (over 1)\"},\"id\":7}",
         ANONSET_ANSWER_TOO_LARGE},
        {"{\"error\":{\"code\":-32601,\"message\":\"unknown method\"},\"id\":7}",
         ANONSET_ANSWER_ERROR},
        {"{\"error\":{\"code\":-101,\"message\":\"busy\"},\"id\":7}", ANONSET_ANSWER_BUSY},
        {"{\"method\":\"blockchain.headers.subscribe\",\"params\":[]}", ANONSET_ANSWER_NONE},
        {"{\"result\":{\"genesis_hash\":"
         "\"4381deb85b1b2c9843c222944b616d997516dcbd6a964e1eaf0def0830695233\"},\"id\":6}",
         ANONSET_ANSWER_HASH},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        read_all r = read_in(rows[i].text, 5, ANONSET_ELECTRUMX);
        cr_expect_eq(r.code, ANONSET_OK, "%s", r.detail.text);
        cr_expect_eq(r.last.kind, rows[i].kind, "%zu: %d", i, (int)r.last.kind);
    }
}

static char *long_answer(unsigned n)
{
    char *text = malloc((size_t)n * sizeof PAIR + 200), *at = text;
    cr_assert(text);
    at += sprintf(at, "{\"result\":{\"tagsandtxids\":[");
    for (unsigned i = 0; i < n; i++)
        at += sprintf(at, "%s%s", i ? "," : "", PAIR);
    sprintf(at, "]},\"error\":null,\"id\":7}");
    return text;
}

Test(used_text, long_lists_come_in_batches)
{
    static const unsigned rows[][2] = {{8191, 0}, {8192, 1}, {8193, 1}, {20000, 2}, {24576, 3}};
    static const size_t steps[] = {1000, 99, 10000000};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = long_answer(rows[i][0]);
        for (size_t k = 0; k < 3; k++) {
            read_all r = read_in(text, steps[k], ANONSET_FIROD);
            cr_assert_eq(r.code, ANONSET_OK, "%s", r.detail.text);
            cr_expect_eq(r.tags, rows[i][0]);
            cr_expect_eq(r.parts, rows[i][1], "%u: %u", rows[i][0], r.parts);
            cr_expect_not(r.last.more);
        }
        free(text);
    }
}

Test(used_text, what_is_around_a_list_has_an_end)
{
    static char text[80000];
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "{\"x\":\"", 6);
    read_all r = read_in(text, 4096, ANONSET_FIROD);
    cr_assert_eq(r.code, ANONSET_BAD_ANSWER);
    cr_assert(strstr(r.detail.text, "longer than any answer"));
}

/* `n` blanks behind the `at`-th byte of an answer with 2000 tags. */
static read_all read_padded(size_t at, size_t n)
{
    char *text = long_answer(2000), *padded = malloc(strlen(text) + n + 1);
    cr_assert(padded);
    memcpy(padded, text, at);
    memset(padded + at, ' ', n);
    memcpy(padded + at + n, text + at, strlen(text + at) + 1);
    read_all r = read_in(padded, 4096, ANONSET_ELECTRUMX);
    free(text);
    free(padded);
    return r;
}

Test(used_text, padding_doubles_an_answer_at_most)
{
    char *text = long_answer(2000);
    size_t len = strlen(text);
    free(text);
    cr_expect_eq(read_padded(len - 1, len).tags, 2000);
    cr_expect_eq(read_padded(len, len).tags, 2000);
    static const size_t places[] = {0, 1, 27, 28, 126}; /* around and in the list, in a pair */
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        read_all r = read_padded(places[i], 66000);
        cr_expect_eq(r.code, ANONSET_BAD_ANSWER, "%zu", i);
        cr_expect(strstr(r.detail.text, "longer than any answer"), "%s", r.detail.text);
    }
}

Test(used_text, one_reader_reads_answer_after_answer)
{
    anonset_used_text *reader;
    anonset_answer answer;
    size_t taken;
    const char *texts[] = {"{\"method\":\"m\",\"params\":[]}", right[0].text, right[2].text};
    cr_assert_eq(anonset_used_text_new(&reader, NULL), ANONSET_OK);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(anonset_used_text_read(reader, &answer, &taken, texts[i], strlen(texts[i]),
                                            true, outstanding, 2, ANONSET_ELECTRUMX, NULL),
                     ANONSET_OK);
        cr_assert_eq(taken, strlen(texts[i]));
        cr_assert_eq(answer.n, i == 1 ? 2 : 0);
    }
    anonset_used_text_free(reader);
}

Test(used_text, a_busy_node_s_words_leave_nothing_to_the_next_answer)
{
    static const char *const ends[] = {"", " \"", " \"\\", " \"tagsandtxids\"",
                                       " \"tagsandtxids\":"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        anonset_used_text *reader;
        anonset_answer answer;
        size_t taken;
        char busy[80];
        snprintf(busy, sizeof busy, "Work queue depth exceeded%s", ends[i]);
        cr_assert_eq(anonset_used_text_new(&reader, NULL), ANONSET_OK);
        cr_assert_eq(anonset_used_text_read(reader, &answer, &taken, busy, strlen(busy), true,
                                            outstanding + 1, 1, ANONSET_FIROD, NULL),
                     ANONSET_OK);
        cr_assert_eq(answer.kind, ANONSET_ANSWER_BUSY);
        cr_assert_eq(anonset_used_text_read(reader, &answer, &taken, right[0].text,
                                            strlen(right[0].text), true, outstanding + 1, 1,
                                            ANONSET_FIROD, NULL),
                     ANONSET_OK, "%s", ends[i]);
        cr_expect_eq(answer.kind, ANONSET_ANSWER_USED);
        cr_expect_eq(answer.n, 2);
        anonset_used_text_free(reader);
    }
}

Test(used_text, misuse)
{
    anonset_used_text *reader;
    anonset_answer answer;
    size_t taken;
    cr_assert_eq(anonset_used_text_new(NULL, NULL), ANONSET_INVALID);
    cr_assert_eq(anonset_used_text_new(&reader, NULL), ANONSET_OK);
#define READ(r, a, t, text, out, n)                                                                \
    anonset_used_text_read(r, a, t, text, 1, true, out, n, ANONSET_FIROD, NULL)
    cr_expect_eq(READ(NULL, &answer, &taken, "{", outstanding, 2), ANONSET_INVALID);
    cr_expect_eq(READ(reader, NULL, &taken, "{", outstanding, 2), ANONSET_INVALID);
    cr_expect_eq(READ(reader, &answer, NULL, "{", outstanding, 2), ANONSET_INVALID);
    cr_expect_eq(READ(reader, &answer, &taken, NULL, outstanding, 2), ANONSET_INVALID);
    cr_expect_eq(READ(reader, &answer, &taken, "{", NULL, 2), ANONSET_INVALID);
    cr_expect_eq(READ(reader, &answer, &taken, "{", outstanding, 1), ANONSET_INVALID);
    anonset_used_text_free(reader);
    anonset_used_text_free(NULL);
}
