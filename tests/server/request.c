#include "tests/server/request.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 512

static char *token_text(const char *json, const jsmntok_t *t)
{
    size_t quote = t->type == JSMN_STRING ? 1 : 0;
    char *copy = strndup(json + t->start - quote, (size_t)(t->end - t->start) + 2 * quote);
    if (!copy)
        die("no memory for a request");
    return copy;
}

/* A value without its quotes. */
static char *bare_text(const char *json, const jsmntok_t *t)
{
    char *copy = strndup(json + t->start, (size_t)(t->end - t->start));
    if (!copy)
        die("no memory for a request");
    return copy;
}

/* The token behind `at` and all below it. */
static int skip(const jsmntok_t *t, int count, int at)
{
    int end = t[at++].end;
    while (at < count && t[at].start < end)
        at++;
    return at;
}

static bool is(const char *json, const jsmntok_t *t, const char *name)
{
    size_t len = (size_t)(t->end - t->start);
    return t->type == JSMN_STRING && len == strlen(name) && memcmp(json + t->start, name, len) == 0;
}

/* Where a named parameter stands in the list; the names are those of the sector call. */
static unsigned param_place(const char *json, const jsmntok_t *name, unsigned next)
{
    static const char *const names[] = {"coinGroupId", "latestBlock", "startIndex", "endIndex"};
    for (unsigned i = 0; i < 4; i++) {
        if (is(json, name, names[i]))
            return i;
    }
    return next;
}

static void read_params(request *r, const char *json, const jsmntok_t *t, int count, int at)
{
    bool named = t[at].type == JSMN_OBJECT;
    int left = t[at].size;
    for (at++; left > 0 && at < count && r->param_count < PARAMS; left--) {
        unsigned place = named ? param_place(json, &t[at], r->param_count) : r->param_count;
        at += named;
        free(r->params[place].value);
        r->params[place] =
            (param){.value = bare_text(json, &t[at]), .is_string = t[at].type == JSMN_STRING};
        r->param_count++;
        at = skip(t, count, at);
    }
    for (unsigned i = 0; i < r->param_count; i++) {
        if (!r->params[i].value)
            r->params[i] = (param){.value = strdup(""), .is_string = true};
    }
}

static bool read_object(request *r, const char *json, const jsmntok_t *t, int count, int at)
{
    if (t[at].type != JSMN_OBJECT)
        return false;
    int left = t[at].size;
    for (at++; left > 0 && at + 1 < count; left--) {
        const jsmntok_t *name = &t[at++];
        if (is(json, name, "id") && !r->id)
            r->id = token_text(json, &t[at]);
        else if (is(json, name, "method") && !r->method && t[at].type == JSMN_STRING)
            r->method = bare_text(json, &t[at]);
        else if (is(json, name, "params") && r->param_count == 0)
            read_params(r, json, t, count, at);
        at = skip(t, count, at);
    }
    if (!r->id)
        r->id = strdup("null");
    return r->method && r->id;
}

parsed request_read(request *r, const char *json, size_t len, unsigned index)
{
    jsmntok_t t[TOKENS];
    jsmn_parser parser;
    *r = (request){0};
    jsmn_init(&parser);
    int count = jsmn_parse(&parser, json, len, t, TOKENS);
    if (count < 1)
        return PARSED_NOTHING;
    int at = 0;
    bool list = t[0].type == JSMN_ARRAY;
    if (list) {
        if (index >= (unsigned)t[0].size)
            return PARSED_NOTHING;
        for (at = 1; index > 0; index--)
            at = skip(t, count, at);
    }
    if (!read_object(r, json, t, count, at)) {
        request_free(r);
        return PARSED_NOTHING;
    }
    return list ? PARSED_LIST : PARSED_ONE;
}

void request_free(request *r)
{
    free(r->id);
    free(r->method);
    for (unsigned i = 0; i < PARAMS; i++)
        free(r->params[i].value);
    *r = (request){0};
}
