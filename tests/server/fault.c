#include "tests/server/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[FAULT_KINDS] = {
    [FAULT_REFUSE] = "refuse",
    [FAULT_DROP] = "drop",
    [FAULT_CUT] = "cut",
    [FAULT_HANG] = "hang",
    [FAULT_SLOW] = "slow",
    [FAULT_HUGE] = "huge",
    [FAULT_DEEP] = "deep",
    [FAULT_FLOOD] = "flood",
    [FAULT_WRONG_ID] = "wrong-id",
    [FAULT_ERROR] = "error",
    [FAULT_TOO_LARGE] = "too-large",
    [FAULT_GARBAGE] = "garbage",
    [FAULT_BROKEN] = "broken",
    [FAULT_NO_JSON] = "no-json",
    [FAULT_SHORT] = "short",
    [FAULT_LONG] = "long",
    [FAULT_DUP] = "dup",
    [FAULT_SWAP] = "swap",
    [FAULT_FLIP] = "flip",
    [FAULT_TAIL] = "tail",
    [FAULT_BASE64] = "base64",
    [FAULT_PADDING] = "padding",
    [FAULT_FIELDS] = "fields",
    [FAULT_NUMBER] = "number",
    [FAULT_BIT_SERIALIZED] = "bit-serialized",
    [FAULT_BIT_TX] = "bit-tx",
    [FAULT_BIT_CONTEXT] = "bit-context",
    [FAULT_BIT_TXID] = "bit-txid",
    [FAULT_SIZE] = "size",
    [FAULT_SET_HASH] = "set-hash",
    [FAULT_BLOCK_HASH] = "block-hash",
    [FAULT_HEIGHT] = "height",
};

static const char *const on_names[ON_KINDS] = {
    [ON_SECTOR] = "sector",   [ON_META] = "meta",         [ON_LATEST] = "latest",
    [ON_VERSION] = "version", [ON_FEATURES] = "features", [ON_CONNECT] = "connect",
    [ON_HEIGHT] = "height",   [ON_USED] = "used",         [ON_ANY] = "any",
};

static bool find_name(const char *const *names, size_t count, const char *name, size_t *index)
{
    for (*index = 0; *index < count; ++*index) {
        if (strcmp(names[*index], name) == 0)
            return true;
    }
    return false;
}

static fault default_fault(fault_kind kind)
{
    fault f = {.kind = kind, .times = 1, .chance = (uint64_t)1 << 32, .random = 1, .code = -1};
    if (kind == FAULT_REFUSE)
        f.on = ON_CONNECT;
    if (kind >= FAULT_SIZE)
        f.on = kind == FAULT_HEIGHT ? ON_HEIGHT : ON_META;
    snprintf(f.text, sizeof f.text, "the server has a bad day");
    return f;
}

static bool set_key(fault *f, const char *key, const char *value)
{
    size_t index;
    if (strcmp(key, "on") == 0) {
        bool known = find_name(on_names, ON_KINDS, value, &index);
        f->on = (fault_on)index;
        return known;
    }
    if (strcmp(key, "skip") == 0)
        f->skip = strtoull(value, NULL, 10);
    else if (strcmp(key, "times") == 0)
        f->times = strtoull(value, NULL, 10);
    else if (strcmp(key, "p") == 0)
        f->chance = (uint64_t)(strtod(value, NULL) * 4294967296.0);
    else if (strcmp(key, "seed") == 0)
        f->random = strtoull(value, NULL, 10) * 2 + 1;
    else if (strcmp(key, "code") == 0)
        f->code = atoi(value);
    else if (strcmp(key, "bit") == 0)
        f->bit = strtoull(value, NULL, 10);
    else if (strcmp(key, "arg") == 0)
        f->arg = strtoll(value, NULL, 10), f->has_arg = true;
    else
        return false;
    return true;
}

const char *fault_add(faults *all, char *line)
{
    size_t index;
    char *text_at = strstr(line, "text=");
    char *rest = line;
    if (text_at && text_at > line)
        text_at[-1] = 0;
    char *name = strsep(&rest, " ");
    if (!find_name(kind_names, FAULT_KINDS, name, &index))
        return "no such fault";
    fault f = default_fault((fault_kind)index);
    if (text_at) {
        size_t len = strnlen(text_at + 5, sizeof f.text - 1);
        memcpy(f.text, text_at + 5, len);
        f.text[len] = 0;
    }
    for (char *pair = strsep(&rest, " "); pair; pair = strsep(&rest, " ")) {
        char *value = pair;
        char *key = strsep(&value, "=");
        if (*pair && (!value || !set_key(&f, key, value)))
            return "a fault takes on=, skip=, times=, p=, seed=, arg=, bit=, code=, text=";
    }
    if (f.times == 0)
        f.times = UINT64_MAX;
    GROW(all->rules, &all->cap, all->count + 1);
    all->rules[all->count++] = f;
    return NULL;
}

void fault_clear(faults *all)
{
    free(all->rules);
    *all = (faults){0};
}

/* xorshift64* */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du >> 32;
}

bool fault_strikes(faults *all, fault_on on, fault *out)
{
    for (size_t i = 0; i < all->count; i++) {
        fault *f = &all->rules[i];
        if (f->times == 0 || (f->on != on && (f->on != ON_ANY || on == ON_CONNECT)))
            continue;
        if (next_random(&f->random) >= f->chance)
            continue;
        if (f->skip > 0) {
            f->skip--;
            continue;
        }
        f->times--;
        *out = *f;
        return true;
    }
    return false;
}
