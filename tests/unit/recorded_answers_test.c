/* Every answer recorded from a real node and server, decoded and written out again: the same bytes.
 */
#include "core/base64.h"

#include <anonset/anonset.h>
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIROD_ID 7u

typedef struct file_text {
    char *at;
    size_t len;
} file_text;

static file_text read_file(const char *name)
{
    char path[1024];
    file_text file = {NULL, 0};
    snprintf(path, sizeof path, "%s/%s", FIXTURES, name);
    FILE *stream = fopen(path, "rb");
    cr_assert(stream, "%s", path);
    cr_assert_eq(fseek(stream, 0, SEEK_END), 0);
    long size = ftell(stream);
    rewind(stream);
    file.len = (size_t)size;
    file.at = calloc(1, file.len + 1);
    cr_assert_eq(fread(file.at, 1, file.len, stream), file.len);
    fclose(stream);
    return file;
}

/* The recorder's id was the string "cap"; ours are numbers, so that one is put in its place. */
static file_text with_our_id(file_text file)
{
    static const char recorded[] = "\"id\":\"cap\"";
    char *at = strstr(file.at, recorded);
    cr_assert(at);
    int n = snprintf(at, sizeof recorded, "\"id\":%u", FIROD_ID);
    size_t cut = sizeof recorded - 1 - (size_t)n;
    memmove(at + n, at + sizeof recorded - 1,
            file.len - (size_t)(at - file.at) - sizeof recorded + 1);
    file.len -= cut;
    file.at[file.len] = '\0';
    return file;
}

/* Decodes a copy in a heap block of exactly its length; the copy holds the answer's bytes. */
static anonset_code decode(anonset_answer *answer, char **copy, file_text file,
                           const anonset_request *request, anonset_dialect dialect)
{
    anonset_detail detail = {.code = ANONSET_OK};
    *copy = malloc(file.len ? file.len : 1);
    memcpy(*copy, file.at, file.len);
    anonset_code code = anonset_answer_read(answer, *copy, file.len, request, 1, dialect, &detail);
    cr_expect_eq(detail.code, code);
    return code;
}

/* ---- Writing an answer as the servers do --------------------------------------------------- */

typedef struct writer {
    char *at;
    size_t len, cap;
} writer;

static void add(writer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(writer *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out->at + out->len, out->cap - out->len, format, args);
    va_end(args);
    cr_assert(n >= 0 && (size_t)n < out->cap - out->len);
    out->len += (size_t)n;
}

static void add_base64(writer *out, const uint8_t *bytes, size_t len)
{
    add(out, "\"");
    cr_assert_gt(out->cap - out->len, AS_BASE64_CHARS(len));
    out->len += as_base64_encode(out->at + out->len, bytes, len);
    add(out, "\"");
}

static void add_result(writer *out, const anonset_answer *answer)
{
    const anonset_meta *meta = &answer->meta;
    switch (answer->kind) {
    case ANONSET_ANSWER_META:
        add(out, "{\"blockHash\":");
        add_base64(out, meta->block_hash, sizeof meta->block_hash);
        add(out, ",\"setHash\":");
        add_base64(out, meta->set_hash, meta->has_set_hash ? sizeof meta->set_hash : 0);
        add(out, ",\"size\":%u}", meta->size);
        break;
    case ANONSET_ANSWER_COINS:
        add(out, "{\"coins\":[");
        for (uint32_t i = 0; i < answer->n; i++) {
            add(out, "%s[", i ? "," : "");
            add_base64(out, answer->coins[i].serialized, answer->coins[i].serialized_len);
            add(out, ",");
            add_base64(out, answer->coins[i].tx_hash, ANONSET_HASH_BYTES);
            add(out, ",");
            add_base64(out, answer->coins[i].context, answer->coins[i].context_len);
            add(out, "]");
        }
        add(out, "]}");
        break;
    case ANONSET_ANSWER_NUMBER:
        add(out, "%u", answer->number);
        break;
    default:
        cr_assert_fail("kind %d has no result", (int)answer->kind);
    }
}

static void expect_same_text(const anonset_answer *answer, file_text file, anonset_dialect dialect,
                             const char *name)
{
    writer out = {calloc(1, file.len + 64), 0, file.len + 64};
    bool electrumx = dialect == ANONSET_ELECTRUMX;
    add(&out, electrumx ? "{\"jsonrpc\":\"2.0\",\"result\":" : "{\"result\":");
    add_result(&out, answer);
    add(&out, electrumx ? ",\"id\":%u" : ",\"error\":null,\"id\":%u", answer->id);
    while (electrumx && out.len < file.len - 2)
        add(&out, " ");
    add(&out, "}\n");
    cr_expect_eq(out.len, file.len, "%s", name);
    cr_expect(out.len == file.len && memcmp(out.at, file.at, out.len) == 0, "%s", name);
    free(out.at);
}

/* ---- firod: everything index.json lists ---------------------------------------------------- */

/* One line of index.json. */
typedef struct index_entry {
    char file[128];
    char method[64];
    char params[512]; /* as JSON, without the brackets */
} index_entry;

static bool take_field(const char *line, const char *before, const char *after, char *out,
                       size_t cap)
{
    const char *at = strstr(line, before);
    if (!at)
        return false;
    at += strlen(before);
    const char *end = strstr(at, after);
    cr_assert(end);
    /* Only parameters that are none of ours get this long: those are cut. */
    snprintf(out, cap, "%.*s", (int)(end - at), at);
    return true;
}

static bool next_entry(char **lines, index_entry *entry)
{
    for (;;) {
        char *line = strsep(lines, "\n");
        if (!line)
            return false;
        if (!take_field(line, "\"file\": \"", "\"", entry->file, sizeof entry->file))
            continue;
        cr_assert(take_field(line, "\"method\": \"", "\"", entry->method, sizeof entry->method));
        if (!take_field(line, "\"params\": [", "]}", entry->params, sizeof entry->params) &&
            !take_field(line, "\"params\": [", "]", entry->params, sizeof entry->params))
            cr_assert_fail("%s", line);
        return true;
    }
}

/* Which of our requests this was, or -1. */
static int kind_of(const index_entry *entry)
{
    if (!strcmp(entry->method, "getsparkanonymitysetmeta"))
        return ANONSET_REQUEST_META;
    if (!strcmp(entry->method, "getsparkanonymitysetsector"))
        return ANONSET_REQUEST_SECTOR;
    if (!strcmp(entry->method, "getsparklatestcoinid"))
        return ANONSET_REQUEST_NEWEST_GROUP;
    return -1;
}

/* The request as recorded, if we could have made it: all strings, hash of 32 bytes, no odd number.
 */
static bool request_of(const index_entry *entry, anonset_request *request)
{
    char hash[65], compact[512];
    size_t n;
    *request = (anonset_request){.id = FIROD_ID, .group = 1, .end = 65536};
    if (kind_of(entry) < 0)
        return false;
    request->kind = (anonset_request_kind)kind_of(entry);
    if (request->kind == ANONSET_REQUEST_NEWEST_GROUP)
        return true;
    if (request->kind == ANONSET_REQUEST_META) {
        if (sscanf(entry->params, "\"%u\"", &request->group) != 1)
            return false;
        snprintf(compact, sizeof compact, "\"%u\"", request->group);
    } else {
        uint8_t bytes[48];
        anonset_request read = *request;
        if (sscanf(entry->params, "\"%u\", \"%64[^\"]\", \"%u\", \"%u\"", &read.group, hash,
                   &read.start, &read.end) != 4 ||
            !as_base64_decode(bytes, &n, hash, strlen(hash)) || n != ANONSET_HASH_BYTES)
            return false;
        memcpy(read.block_hash, bytes, ANONSET_HASH_BYTES);
        snprintf(compact, sizeof compact, "\"%u\", \"%s\", \"%u\", \"%u\"", read.group, hash,
                 read.start, read.end);
        if (strcmp(compact, entry->params) == 0)
            *request = read;
    }
    return strcmp(compact, entry->params) == 0;
}

static void expect_same_request(const anonset_request *request, const char *method,
                                const char *recorded_params, anonset_dialect dialect)
{
    char text[ANONSET_REQUEST_TEXT], wanted[1024], params[512], *to = params;
    for (const char *from = recorded_params; *from; from++) {
        if (*from != ' ')
            *to++ = *from;
    }
    *to = '\0';
    bool electrumx = dialect == ANONSET_ELECTRUMX;
    snprintf(wanted, sizeof wanted,
             "{\"jsonrpc\":\"%s\",\"id\":%u,\"method\":\"%s\",\"params\":[%s]}%s",
             electrumx ? "2.0" : "1.0", request->id, method, params, electrumx ? "\n" : "");
    cr_expect_eq(anonset_request_write(text, request, dialect), strlen(wanted));
    cr_expect_str_eq(text, wanted);
}

Test(recorded_answers, of_firod)
{
    file_text index = read_file("index.json");
    char *lines = index.at;
    index_entry entry;
    unsigned kinds[ANONSET_ANSWER_ERROR + 1] = {0}, same_requests = 0;
    while (next_entry(&lines, &entry)) {
        anonset_request request;
        anonset_answer answer;
        char *copy;
        if (request_of(&entry, &request)) {
            expect_same_request(&request, entry.method, entry.params, ANONSET_FIROD);
            same_requests++;
        }
        if (kind_of(&entry) < 0)
            continue;
        file_text file = with_our_id(read_file(entry.file));
        cr_assert_eq(decode(&answer, &copy, file, &request, ANONSET_FIROD), ANONSET_OK, "%s",
                     entry.file);
        cr_expect_eq(answer.id, FIROD_ID);
        cr_expect_eq(answer.wire_bytes, file.len);
        cr_expect_eq(answer.text_bytes, file.len);
        kinds[answer.kind]++;
        if (answer.kind <= ANONSET_ANSWER_HASH)
            expect_same_text(&answer, file, ANONSET_FIROD, entry.file);
        anonset_answer_clear(&answer);
        free(copy);
        free(file.at);
    }
    /* Counted with another JSON reader; h_edges alone holds every refusal. */
    cr_expect_eq(kinds[ANONSET_ANSWER_META], 21);
    cr_expect_eq(kinds[ANONSET_ANSWER_COINS], 49);
    cr_expect_eq(kinds[ANONSET_ANSWER_NUMBER], 8);
    cr_expect_eq(kinds[ANONSET_ANSWER_BLOCK_REFUSED], 10);
    cr_expect_eq(kinds[ANONSET_ANSWER_NO_GROUP], 7);
    cr_expect_eq(kinds[ANONSET_ANSWER_ERROR], 14);
    cr_expect_geq(same_requests, 75);
    free(index.at);
}

/* An answer to something else has another shape: it is never taken for ours. */
Test(recorded_answers, of_other_methods_fit_no_request_of_ours)
{
    static const struct {
        const char *file;
        anonset_request_kind kind;
    } cases[] = {
        {"a_nogroup/getusedcoinstags_0.json", ANONSET_REQUEST_META},
        {"g_60blocks/getusedcoinstags_0.json", ANONSET_REQUEST_SECTOR},
        {"g_60blocks/getusedcoinstagstxhashes_0.json", ANONSET_REQUEST_GENESIS},
        {"i_mintmeta/all.json", ANONSET_REQUEST_SECTOR},
        {"i_mintmeta/empty.json", ANONSET_REQUEST_NEWEST_GROUP},
        {"i_mintmeta/one.json", ANONSET_REQUEST_META},
        {"r2_shrunk/getsparkanonymityset_from_A_hex.json", ANONSET_REQUEST_META},
        {"g_60blocks/meta.json", ANONSET_REQUEST_SECTOR},
        {"g_60blocks/meta.json", ANONSET_REQUEST_NEWEST_GROUP},
        {"g_60blocks/meta.json", ANONSET_REQUEST_GENESIS},
        {"g_60blocks/sector_whole.json", ANONSET_REQUEST_META},
        {"b_1block/getsparklatestcoinid.json", ANONSET_REQUEST_HEIGHT},
        {"i_mintmeta/all.json", ANONSET_REQUEST_HEIGHT},
        {"b_1block/getsparklatestcoinid.json", ANONSET_REQUEST_SECTOR},
        {"b_1block/getsparklatestcoinid.json", ANONSET_REQUEST_GENESIS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        anonset_request request = {.id = FIROD_ID, .kind = cases[i].kind, .group = 1, .end = 500};
        anonset_answer answer;
        char *copy;
        file_text file = with_our_id(read_file(cases[i].file));
        cr_expect_eq(decode(&answer, &copy, file, &request, ANONSET_FIROD), ANONSET_BAD_ANSWER,
                     "%s", cases[i].file);
        free(copy);
        free(file.at);
    }
}

Test(recorded_answers, with_an_id_that_is_a_string_are_refused)
{
    anonset_request request = {.id = FIROD_ID, .kind = ANONSET_REQUEST_META, .group = 1};
    anonset_answer answer;
    char *copy;
    file_text file = read_file("g_60blocks/meta.json");
    cr_expect_eq(decode(&answer, &copy, file, &request, ANONSET_FIROD), ANONSET_BAD_ANSWER);
    free(copy);
    free(file.at);
}

/* ---- firod: bodies behind real HTTP headers ------------------------------------------------ */

Test(recorded_answers, of_firod_behind_http_headers)
{
    static const struct {
        const char *file;
        anonset_code code;
        anonset_answer_kind kind;
        const char *text;
    } cases[] = {
        {"sector_error", ANONSET_OK, ANONSET_ANSWER_NO_GROUP,
         "Unable to get anonymity set by provided parameters: There is no anonymity set with this "
         "id: 99"},
        {"parse_error", ANONSET_OK, ANONSET_ANSWER_ERROR, "Parse error"},
        {"meta_ok", ANONSET_BAD_ANSWER, 0, ""}, /* the recorder's id */
        {"batch", ANONSET_BAD_ANSWER, 0, ""},   /* we send none */
        {"no_auth", ANONSET_BAD_ANSWER, 0, ""}, /* no body */
        {"unauthorized", ANONSET_BAD_ANSWER, 0, ""},
        {"get_method", ANONSET_BAD_ANSWER, 0, ""}, /* plain text */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        anonset_request request = {.id = 7, .kind = ANONSET_REQUEST_SECTOR, .group = 99, .end = 5};
        anonset_answer answer;
        char *copy, name[64];
        snprintf(name, sizeof name, "raw_http/%s.http", cases[i].file);
        file_text file = read_file(name);
        char *body = strstr(file.at, "\r\n\r\n") + 4;
        file_text only = {body, file.len - (size_t)(body - file.at)};
        cr_assert_eq(decode(&answer, &copy, only, &request, ANONSET_FIROD), cases[i].code, "%s",
                     name);
        if (cases[i].code == ANONSET_OK) {
            cr_expect_eq(answer.kind, cases[i].kind, "%s", name);
            cr_expect_str_eq(answer.text, cases[i].text);
            anonset_answer_clear(&answer);
        }
        free(copy);
        free(file.at);
    }
}

/* ---- electrumx ------------------------------------------------------------------------------ */

static const struct recorded_line {
    const char *file;
    anonset_request_kind kind;
    anonset_code code;
    anonset_answer_kind answer;
    uint32_t n; /* coins, size or group */
} electrumx_lines[] = {
    {"01_meta_group1", ANONSET_REQUEST_META, ANONSET_OK, ANONSET_ANSWER_META, 32000},
    {"02_meta_group2", ANONSET_REQUEST_META, ANONSET_OK, ANONSET_ANSWER_META, 8282},
    {"03_meta_group99", ANONSET_REQUEST_META, ANONSET_OK, ANONSET_ANSWER_META, 0},
    {"04_meta_int", ANONSET_REQUEST_META, ANONSET_OK, ANONSET_ANSWER_ERROR, 0},
    {"05_sector_0_25", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_COINS, 25},
    {"06_sector_25_50", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_COINS, 25},
    {"07_sector_last", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_COINS, 10},
    {"08_sector_unknown_hash", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_BLOCK_REFUSED, 0},
    {"09_sector_short_hash", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_ERROR, 0},
    {"10_sector_group99", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_NO_GROUP, 0},
    {"11_sector_ints", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_ERROR, 0},
    {"12_sector_3params", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_ERROR, 0},
    {"13_unknown_method", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_ERROR, 0},
    {"14_sector_start_eq_end", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_COINS, 0},
    {"15_latestcoinid", ANONSET_REQUEST_NEWEST_GROUP, ANONSET_OK, ANONSET_ANSWER_NUMBER, 2},
    {"16_usedtags", ANONSET_REQUEST_SECTOR, ANONSET_BAD_ANSWER, 0, 0},
    {"17_mintmeta", ANONSET_REQUEST_META, ANONSET_BAD_ANSWER, 0, 0},
    {"18_mintmeta_list", ANONSET_REQUEST_META, ANONSET_OK, ANONSET_ANSWER_ERROR, 0},
    {"19_named_params", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_COINS, 2},
    {"20_notjson", ANONSET_REQUEST_SECTOR, ANONSET_BAD_ANSWER, 0, 0},
    {"24_sector_whole_32000", ANONSET_REQUEST_SECTOR, ANONSET_OK, ANONSET_ANSWER_TOO_LARGE, 0},
    {"25_after", ANONSET_REQUEST_META, ANONSET_OK, ANONSET_ANSWER_META, 32000},
    {"00_server.version", ANONSET_REQUEST_NEWEST_GROUP, ANONSET_BAD_ANSWER, 0, 0},
};

static void check_electrumx_line(const struct recorded_line *line)
{
    anonset_request request = {.kind = line->kind, .group = 1, .end = 25};
    anonset_answer answer;
    char *copy, name[64];
    request.id = (uint32_t)strtoul(line->file, NULL, 10);
    snprintf(name, sizeof name, "electrumx/%s.response", line->file);
    file_text file = read_file(name);
    anonset_code code = decode(&answer, &copy, file, &request, ANONSET_ELECTRUMX);
    cr_expect_eq(code, line->code, "%s: %d", name, (int)code);
    if (code == ANONSET_OK) {
        cr_expect_eq(answer.kind, line->answer, "%s: kind %d", name, (int)answer.kind);
        cr_expect_eq(answer.id, request.id);
        cr_expect_eq(answer.n + answer.meta.size + answer.number, line->n, "%s", name);
        cr_expect_eq(answer.wire_bytes, file.len);
        char *padding = strstr(file.at, "  ");
        cr_expect_eq(answer.text_bytes, (size_t)(padding - file.at) + 2, "%s", name);
        if (answer.kind <= ANONSET_ANSWER_HASH)
            expect_same_text(&answer, file, ANONSET_ELECTRUMX, name);
        anonset_answer_clear(&answer);
    }
    free(copy);
    free(file.at);
}

Test(recorded_answers, of_electrumx)
{
    for (size_t i = 0; i < sizeof electrumx_lines / sizeof *electrumx_lines; i++)
        check_electrumx_line(&electrumx_lines[i]);
}

Test(recorded_answers, requests_to_electrumx_are_written_as_recorded)
{
    static const struct {
        const char *params;
        anonset_request request;
    } cases[] = {
        {"\"1\"", {.id = 1, .kind = ANONSET_REQUEST_META, .group = 1}},
        {"\"99\"", {.id = 3, .kind = ANONSET_REQUEST_META, .group = 99}},
        {"", {.id = 15, .kind = ANONSET_REQUEST_NEWEST_GROUP}},
    };
    static const char *const files[] = {"01_meta_group1", "03_meta_group99", "15_latestcoinid"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64], method[64];
        snprintf(name, sizeof name, "electrumx/%s.request", files[i]);
        file_text file = read_file(name);
        cr_assert(take_field(file.at, "\"method\": \"", "\"", method, sizeof method));
        expect_same_request(&cases[i].request, method, cases[i].params, ANONSET_ELECTRUMX);
        free(file.at);
    }
    char method[64], params[512], hash[65];
    file_text file = read_file("electrumx/07_sector_last.request");
    anonset_request request = {.id = 7, .kind = ANONSET_REQUEST_SECTOR};
    uint8_t bytes[48];
    size_t n;
    cr_assert(take_field(file.at, "\"method\": \"", "\"", method, sizeof method));
    cr_assert(take_field(file.at, "\"params\": [", "]", params, sizeof params));
    cr_assert_eq(sscanf(params, "\"%u\", \"%64[^\"]\", \"%u\", \"%u\"", &request.group, hash,
                        &request.start, &request.end),
                 4);
    cr_assert(as_base64_decode(bytes, &n, hash, strlen(hash)));
    memcpy(request.block_hash, bytes, ANONSET_HASH_BYTES);
    expect_same_request(&request, method, params, ANONSET_ELECTRUMX);
    free(file.at);
}

/* Notifications, then the error about the request, on a connection without server.version. */
Test(recorded_answers, notifications_are_nothing_to_feed)
{
    static const anonset_answer_kind kinds[] = {ANONSET_ANSWER_NONE, ANONSET_ANSWER_NONE,
                                                ANONSET_ANSWER_ERROR};
    anonset_request request = {.id = 21, .kind = ANONSET_REQUEST_META, .group = 1};
    file_text file = read_file("electrumx/21_sector_without_version.response");
    char *lines = file.at;
    for (size_t i = 0; i < 3; i++) {
        char *line = strsep(&lines, "\n"), *copy;
        anonset_answer answer;
        cr_assert_eq(
            decode(&answer, &copy, (file_text){line, strlen(line)}, &request, ANONSET_ELECTRUMX),
            ANONSET_OK);
        cr_expect_eq(answer.kind, kinds[i]);
        cr_expect_eq(answer.wire_bytes, 1023);
        free(copy);
    }
    free(file.at);
}
