/* What firod's methods answer, and the lies about it that faults ask for. */
#include "tests/server/coin.h"
#include "tests/server/request.h"
#include "tests/server/used.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define COIN_TEXT_MIN 300u /* no coin is shorter as JSON */

static const char meta_help[] =
    "getsparkanonymitysetmeta\\n\\nReturns the anonymity set and latest block "
    "hash.\\n\\nArguments:\\n{\\n"
    "      \\\"coinGroupId\\\"  (int)\\n}\\n\\nResult:\\n{\\n  \\\"blockHash\\\"   (string) Latest "
    "block "
    "hash for anonymity set\\n  \\\"setHash\\\"   (string) Anonymity set hash\\n  \\\"size\\\" "
    "(int) set "
    "size\\n}\\n> firo-cli getsparkanonymitysetmeta \\\"1\\\" \\n> curl --user myusername "
    "--data-binary "
    "'{\\\"jsonrpc\\\": \\\"1.0\\\", \\\"id\\\":\\\"curltest\\\", \\\"method\\\": "
    "\\\"getsparkanonymitysetmeta\\\", \\\"params\\\": [\\\"1\\\" ] }' -H 'content-type: "
    "text/plain;' "
    "http://127.0.0.1:8332/\\n";
static const char sector_help[] =
    "getsparkanonymitysetsector\\n\\nReturns the anonymity sector based on provided "
    "data.\\n\\nArguments:\\n{\\n      \\\"coinGroupId\\\"  (int)\\n      \\\"latestBlock\\\"    "
    "(string) "
    "it should be encoded in base64 format\\n      \\\"startIndex\\\"  (int)\\n      "
    "\\\"endIndex\\\"    "
    "(int)\\n}\\n\\nResult:\\n{\\n  \\\"mints\\\" (Pair<string, string>) Serialized Spark coin "
    "paired "
    "with txhash\\n}\\n> firo-cli getsparkanonymitysetsector \\\"1\\\" "
    "\\\"Gy3sLu3zrVdJwaK6ZzM/1zdJy7hji9xT6l4FSrWgFUM=\\\" \\\"0\\\" \\\"1000\\\" \\n> curl --user "
    "myusername --data-binary '{\\\"jsonrpc\\\": \\\"1.0\\\", \\\"id\\\":\\\"curltest\\\", "
    "\\\"method\\\": \\\"getsparkanonymitysetsector\\\", \\\"params\\\": [\\\"1\\\" "
    "\\\"Gy3sLu3zrVdJwaK6ZzM/1zdJy7hji9xT6l4FSrWgFUM=\\\" \\\"0\\\" \\\"1000\\\" ] }' -H "
    "'content-type: "
    "text/plain;' http://127.0.0.1:8332/\\n";

static void fail(reply *out, const char *message)
{
    out->kind = REPLY_DAEMON_ERROR;
    out->code = -1;
    out->body.len = 0;
    text_put(&out->body, message);
}

/* As std::stol: leading blanks and a sign, then digits; what follows them is ignored. */
static bool stol_like(const char *word, long *value)
{
    char *end;
    errno = 0;
    *value = strtol(word, &end, 10);
    return end != word && errno == 0;
}

static bool all_strings(const request *r)
{
    for (unsigned i = 0; i < r->param_count; i++) {
        if (!r->params[i].is_string)
            return false;
    }
    return true;
}

static void put_hash(text *out, const uint8_t *hash)
{
    text_put(out, "\"");
    text_base64(out, hash, HASH);
    text_put(out, "\"");
}

/* ---- Meta ---- */

static void lie_about_meta(const fault *f, chain_meta *meta)
{
    if (f->kind == FAULT_SIZE)
        meta->size = f->has_arg ? (uint32_t)f->arg : meta->size + 1;
    else if (f->kind == FAULT_SET_HASH)
        meta->set_hash[0] ^= 1, meta->has_set_hash = true;
    else if (f->kind == FAULT_BLOCK_HASH)
        meta->block_hash[0] ^= 1;
}

static void answer_meta(server *s, const request *r, size_t limit, reply *out)
{
    (void)limit;
    long group;
    chain_meta meta = {0};
    if (!all_strings(r)) {
        fail(out, "JSON value is not a string as expected");
        return;
    }
    if (!stol_like(r->params[0].value, &group)) {
        fail(out, "An exception occurred while parsing parameters: stol");
        return;
    }
    bool known = group > 0 && group <= UINT32_MAX &&
                 s->chain->source->meta(s->chain, (uint32_t)group, &meta);
    if (out->has_fault)
        lie_about_meta(&out->fault, &meta);
    text_put(&out->body, "{\"blockHash\":");
    put_hash(&out->body, meta.block_hash);
    text_put(&out->body, ",\"setHash\":");
    if (meta.has_set_hash)
        put_hash(&out->body, meta.set_hash);
    else
        text_put(&out->body, "\"\"");
    text_format(&out->body, ",\"size\":%llu}",
                known ? (unsigned long long)meta.size : (unsigned long long)s->garbage_size);
}

/* ---- Sectors ---- */

/* The start and end of the `index`-th string of a coin's text, quotes left out. */
static void find_string(const text *t, size_t coin, unsigned index, size_t *start, size_t *end)
{
    size_t at = coin;
    for (unsigned quotes = 0; quotes < 2 * index + 1; at++)
        quotes += t->data[at] == '"';
    *start = at;
    while (t->data[at] != '"')
        at++;
    *end = at;
}

/* Another base64 character: the next one, so that the lowest bit of a multiple of four gets set. */
static char other_base64(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/A";
    return strchr(alphabet, c)[1];
}

/* Spoils the coin whose text starts at `coin` and ends with the body. */
static void spoil_coin(fault_kind kind, text *body, size_t coin)
{
    size_t start, end;
    find_string(body, coin, kind == FAULT_FLIP || kind == FAULT_BASE64 ? 0 : 1, &start, &end);
    if (kind == FAULT_FLIP) {
        size_t middle = start + 200; /* inside the ciphertext */
        body->data[middle] = other_base64(body->data[middle]);
    } else if (kind == FAULT_BASE64) {
        body->data[start + 100] = '!';
    } else if (kind == FAULT_TAIL) {
        body->data[start] = other_base64(body->data[start]);
    } else if (kind == FAULT_PADDING) {
        body->data[end - 2] = other_base64(body->data[end - 2]);
    } else if (kind == FAULT_FIELDS) {
        body->len--;
        text_put(body, ",\"\"]");
    } else if (kind == FAULT_NUMBER) {
        memset(body->data + start - 1, ' ', end - start + 2);
        body->data[start] = '7';
    }
}

/* Flips a bit of the `index`-th string of the coin, whose text ends with the body. */
static void flip_bit(text *body, size_t coin, unsigned index, uint64_t bit)
{
    uint8_t bytes[8192];
    size_t start, end, len;
    find_string(body, coin, index, &start, &end);
    if (!base64_decode(bytes, sizeof bytes, &len, body->data + start, end - start))
        die("a coin's string is no base64");
    if (len == 0)
        return;
    bit %= 8 * len;
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    text tail = {0};
    text_add(&tail, body->data + end, body->len - end);
    body->len = start;
    text_base64(body, bytes, len);
    text_add(body, tail.data, tail.len);
    text_free(&tail);
}

static void flip_coin_bit(const fault *f, text *body, size_t coin)
{
    if (f->kind == FAULT_BIT_SERIALIZED)
        flip_bit(body, coin, 0, f->bit);
    if (f->kind == FAULT_BIT_TX || f->kind == FAULT_BIT_TXID)
        flip_bit(body, coin, 1, f->bit);
    if (f->kind == FAULT_BIT_CONTEXT)
        flip_bit(body, coin, 2, f->bit);
    if (f->kind == FAULT_BIT_TXID)
        flip_bit(body, coin, 0, 8 * COIN_BYTES + f->bit % (8 * HASH));
}

typedef struct range {
    uint32_t group, size, from, to; /* indices [from, to) of a set of `size` coins */
} range;

/* Which coin stands at an index of the answer. */
static uint32_t coin_for(const fault *f, const range *r, uint32_t index, uint32_t victim)
{
    uint32_t neighbour = victim + 1 < r->to ? victim + 1 : victim > r->from ? victim - 1 : victim;
    if (f && f->kind == FAULT_DUP && index == victim)
        return neighbour;
    if (f && f->kind == FAULT_SWAP && index == victim)
        return neighbour;
    if (f && f->kind == FAULT_SWAP && index == neighbour)
        return victim;
    return index;
}

static bool add_coin(server *s, const range *r, uint32_t index, text *body)
{
    if (body->data[body->len - 1] == ']')
        text_put(body, ",");
    return s->chain->source->coin(s->chain, r->group, r->size - 1 - index, body);
}

static bool add_coins(server *s, const range *r, const fault *f, reply *out)
{
    text *body = &out->body;
    uint32_t count = r->to - r->from;
    uint32_t victim = r->from;
    if (f && count > 0)
        victim += f->has_arg && f->arg >= 0 && f->arg < count ? (uint32_t)f->arg : count / 2;
    for (uint32_t index = r->from; index < r->to; index++) {
        if (f && f->kind == FAULT_SHORT && index == victim)
            continue;
        size_t start = body->len + (index > r->from);
        if (!add_coin(s, r, coin_for(f, r, index, victim), body))
            return false;
        if (f && f->kind >= FAULT_FLIP && f->kind <= FAULT_NUMBER && index == victim)
            spoil_coin(f->kind, body, start);
        if (f && f->kind >= FAULT_BIT_SERIALIZED && f->kind <= FAULT_BIT_TXID &&
            r->size - 1 - index == f->arg)
            flip_coin_bit(f, body, start);
        out->coins++;
    }
    if (f && f->kind == FAULT_LONG && count > 0) {
        out->coins++;
        return add_coin(s, r, r->to < r->size ? r->to : r->from, body);
    }
    return true;
}

static bool read_sector_request(const request *r, long *group, uint8_t *hash, long *from, long *to,
                                reply *out)
{
    size_t len;
    if (!all_strings(r)) {
        fail(out, "JSON value is not a string as expected");
        return false;
    }
    if (!stol_like(r->params[0].value, group) || !stol_like(r->params[2].value, from) ||
        !stol_like(r->params[3].value, to)) {
        fail(out, "An exception occurred while parsing parameters: stol");
        return false;
    }
    if (!base64_decode(hash, HASH, &len, r->params[1].value, strlen(r->params[1].value)) ||
        len != HASH) {
        fail(out, "Provided blockHash data is not correct.");
        return false;
    }
    return true;
}

static void fail_pin(pin_result result, long group, const uint8_t *hash, reply *out)
{
    static const char prefix[] = "Unable to get anonymity set by provided parameters: ";
    if (result == PIN_NO_GROUP) {
        fail(out, prefix);
        text_format(&out->body, "There is no anonymity set with this id: %ld", group);
        return;
    }
    uint8_t reversed[HASH];
    char hex[2 * HASH + 1];
    for (unsigned i = 0; i < HASH; i++)
        reversed[i] = hash[HASH - 1 - i];
    hex_encode(hex, reversed, HASH);
    fail(out, prefix);
    text_format(&out->body, "Incorrect blockHash provided: %s", hex);
}

static uint32_t clamp(long value, uint32_t size)
{
    return value <= 0 ? 0 : value > (long)size ? size : (uint32_t)value;
}

static void answer_sector(server *s, const request *r, size_t limit, reply *out)
{
    long group, from, to;
    uint8_t hash[HASH];
    range wanted = {0};
    if (!read_sector_request(r, &group, hash, &from, &to, out))
        return;
    pin_result pinned = PIN_NO_GROUP;
    if (group > 0 && group <= UINT32_MAX)
        pinned = s->chain->source->pin(s->chain, (uint32_t)group, hash, &wanted.size);
    if (pinned != PIN_OK) {
        fail_pin(pinned, group, hash, out);
        return;
    }
    wanted.group = (uint32_t)group;
    wanted.from = clamp(from, wanted.size);
    wanted.to = clamp(to, wanted.size);
    if (wanted.to < wanted.from)
        wanted.to = wanted.from;
    if ((wanted.to - wanted.from) > limit / COIN_TEXT_MIN) {
        text_fill(&out->body, ' ', limit + 1);
        return;
    }
    text_room(&out->body, (size_t)(wanted.to - wanted.from) * 640);
    text_put(&out->body, "{\"coins\":[");
    if (!add_coins(s, &wanted, out->has_fault ? &out->fault : NULL, out))
        fail(out, "this part of the set was not recorded");
    else
        text_put(&out->body, "]}");
}

/* ---- The rest ---- */

static void answer_latest(server *s, const request *r, size_t limit, reply *out)
{
    (void)r;
    (void)limit;
    text_format(&out->body, "%u", s->chain->source->latest(s->chain));
}

/* The pair that ends the body, but for its bracket. */
static void spoil_used(fault_kind kind, text *body)
{
    size_t hash = body->len - 2; /* its last character */
    if (kind == FAULT_BASE64)
        body->data[hash - 9] = '!';
    else if (kind == FAULT_PADDING)
        body->data[hash - 1] = other_base64(body->data[hash - 1]);
    else if (kind == FAULT_FIELDS)
        text_put(body, ",\"\"");
    else if (kind == FAULT_FLIP)
        body->data[hash - 9] = other_base64(body->data[hash - 9]);
}

/* All from a position on: the node takes no end. */
static void answer_used(server *s, const request *r, size_t limit, reply *out)
{
    long start;
    if (!all_strings(r)) {
        fail(out, "JSON value is not a string as expected");
        return;
    }
    if (!stol_like(r->params[0].value, &start)) {
        fail(out, "An exception occurred while parsing parameters: stol");
        return;
    }
    uint32_t from = clamp(start, s->used.count);
    if (s->used.count - from > limit / USED_TEXT) {
        text_fill(&out->body, ' ', limit + 1);
        return;
    }
    text_put(&out->body, "{\"tagsandtxids\":[");
    for (uint32_t i = from; i < s->used.count; i++) {
        text_put(&out->body, i > from ? ",[" : "[");
        used_json(&s->used, i, &out->body);
        if (out->has_fault && i == from + (s->used.count - from) / 2)
            spoil_used(out->fault.kind, &out->body);
        text_put(&out->body, "]");
        out->coins++;
    }
    text_put(&out->body, "]}");
}

static void answer_block_hash(server *s, const request *r, size_t limit, reply *out)
{
    (void)limit;
    if (r->params[0].is_string)
        fail(out, "JSON value is not an integer as expected");
    else if (strcmp(r->params[0].value, "0") != 0)
        fail(out, "Block height out of range"), out->code = -8;
    else
        text_format(&out->body, "\"%s\"", s->genesis);
}

static const struct method {
    const char *name;
    unsigned params;
    const char *help;
    void (*answer)(server *s, const request *r, size_t limit, reply *out);
} methods[] = {
    {"getsparkanonymitysetmeta", 1, meta_help, answer_meta},
    {"getsparkanonymitysetsector", 4, sector_help, answer_sector},
    {"getsparklatestcoinid", 0, "getsparklatestcoinid\\n", answer_latest},
    {"getusedcoinstagstxhashes", 1, "getusedcoinstagstxhashes\\n", answer_used},
    {"getblockhash", 1, "getblockhash height\\n", answer_block_hash},
    {"getrawtransaction", 2, "getrawtransaction \\\"txid\\\" ( verbose )\\n", answer_transaction},
    {"blockchain.transaction.get", 2, "", answer_transaction},
};

bool answer_method(server *s, const request *r, const char *method, size_t limit, reply *out)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct method *m = &methods[i];
        if (strcmp(m->name, method) != 0)
            continue;
        if (r->param_count != m->params) {
            fail(out, m->help);
            out->kind = REPLY_COUNT;
            out->wanted = m->params;
        } else {
            out->kind = REPLY_RESULT;
            m->answer(s, r, limit, out);
        }
        return true;
    }
    return false;
}

static const struct kind {
    const char *method;
    counter counter;
    fault_on on;
} kinds[] = {
    {"getsparkanonymitysetsector", COUNT_SECTORS, ON_SECTOR},
    {"getsparkanonymitysetmeta", COUNT_META, ON_META},
    {"getsparklatestcoinid", COUNT_LATEST, ON_LATEST},
    {"getusedcoinstagstxhashes", COUNT_USED, ON_USED},
    {"getblockhash", COUNT_FEATURES, ON_FEATURES},
    {"getrawtransaction", COUNT_HEIGHTS, ON_HEIGHT},
    {"blockchain.transaction.get", COUNT_HEIGHTS, ON_HEIGHT},
    {"server.features", COUNT_FEATURES, ON_FEATURES},
    {"server.version", COUNT_VERSION, ON_VERSION},
};

fault_on request_kind(server *s, const char *method)
{
    fault_on on = ON_ANY;
    s->count[COUNT_REQUESTS]++;
    s->again = true;
    if (strncmp(method, "spark.", 6) == 0)
        method += 6;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].method, method) == 0) {
            s->count[kinds[i].counter]++;
            on = kinds[i].on;
        }
    }
    control_triggers(s);
    return on;
}

bool request_is_held(server *s, conn *c, const request *r)
{
    bool sector = strstr(r->method, "getsparkanonymitysetsector") != NULL;
    if (sector && s->hold_after == 0 && !c->held) {
        c->held = true;
        s->count[COUNT_HELD]++;
        s->again = true;
    } else if (s->hold_after > 0 && c->held) {
        c->held = false;
        s->count[COUNT_HELD]--;
    }
    if (sector && s->hold_after > 0 && s->hold_after != UINT64_MAX)
        s->hold_after--;
    return c->held;
}
