/* Just enough JSON to look a field up in what our own programs print. */
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESULTS    16u
#define RESULT_MAX 4096u

static const char *skip_blank(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the closing quote; NULL if there is none. */
static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1])
            at++;
    }
    return *at ? at + 1 : NULL;
}

/* Behind the value; NULL if it does not end. */
static const char *skip_value(const char *at)
{
    int depth = 0;
    do {
        at = skip_blank(at);
        if (*at == '"') {
            at = skip_string(at);
            if (!at)
                return NULL;
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (*at == ',' || *at == ':') {
            at++;
        } else if (*at) {
            at += strcspn(at, ",:]} \t\r\n");
        } else {
            return NULL;
        }
    } while (depth > 0);
    return at;
}

/* The value of a member or an element; NULL if there is none. */
static const char *step(const char *at, const char *name, size_t len)
{
    bool object = *at == '{';
    size_t wanted = strtoul(name, NULL, 10);
    if (*at != '{' && *at != '[')
        return NULL;
    at = skip_blank(at + 1);
    for (size_t index = 0; *at && *at != '}' && *at != ']'; index++) {
        const char *key = at;
        if (object) {
            at = skip_string(at);
            at = at ? skip_blank(at) : NULL;
            if (!at || *at != ':')
                return NULL;
            at = skip_blank(at + 1);
        }
        if (object ? strncmp(key + 1, name, len) == 0 && key[1 + len] == '"' : index == wanted)
            return at;
        at = skip_value(at);
        if (!at)
            return NULL;
        at = skip_blank(at);
        if (*at == ',')
            at = skip_blank(at + 1);
    }
    return NULL;
}

const char *ts_json(const char *json, const char *path)
{
    static char results[RESULTS][RESULT_MAX];
    static unsigned next;
    const char *at = skip_blank(json);
    for (const char *name = path; at && *name;) {
        size_t len = strcspn(name, ".");
        at = step(at, name, len);
        name += len + (name[len] == '.');
    }
    const char *end = at ? skip_value(at) : NULL;
    if (!end)
        return NULL;
    size_t quotes = *at == '"';
    size_t len = (size_t)(end - at) - 2 * quotes;
    if (len >= RESULT_MAX)
        ts_die("the value at %s is too long", path);
    char *out = results[next++ % RESULTS];
    memcpy(out, at + quotes, len);
    out[len] = 0;
    return out;
}

bool ts_json_is(const char *json, const char *path, const char *value)
{
    const char *found = ts_json(json, path);
    return found && strcmp(found, value) == 0;
}

int64_t ts_json_int(const char *json, const char *path)
{
    const char *found = ts_json(json, path);
    char *end = NULL;
    long long value = found ? strtoll(found, &end, 10) : 0;
    if (!found || end == found || *end)
        ts_die("no number at %s in %s", path, json);
    return value;
}

const char *ts_line(const char *text, size_t index)
{
    for (; index > 0; index--) {
        text = strchr(text, '\n');
        if (!text)
            return NULL;
        text++;
    }
    return *text ? text : NULL;
}
