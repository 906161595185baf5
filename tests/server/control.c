/* The control connection: one command a line, one answer a line, "ok …" or "error …". */
#include "tests/server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS   8u
#define WAIT_MS 60000.0

const char *const counter_names[COUNTERS] = {
    [COUNT_CONNECTIONS] = "connections",
    [COUNT_OPEN] = "open",
    [COUNT_REQUESTS] = "requests",
    [COUNT_VERSION] = "version",
    [COUNT_FEATURES] = "features",
    [COUNT_META] = "meta",
    [COUNT_LATEST] = "latest",
    [COUNT_SECTORS] = "sectors",
    [COUNT_USED] = "used",
    [COUNT_HEIGHTS] = "heights",
    [COUNT_COINS] = "coins",
    [COUNT_LARGEST] = "largest",
    [COUNT_ERRORS] = "errors",
    [COUNT_BYTES_IN] = "bytes-in",
    [COUNT_BYTES_OUT] = "bytes-out",
    [COUNT_CUT] = "cut",
    [COUNT_FAULTS] = "faults",
    [COUNT_HELD] = "held",
    [COUNT_SOCKS] = "socks",
    [COUNT_SOCKS_NAMES] = "socks-names",
};

static bool find_counter(const char *name, counter *found)
{
    for (int i = 0; i < COUNTERS; i++) {
        if (strcmp(counter_names[i], name) == 0) {
            *found = (counter)i;
            return true;
        }
    }
    return false;
}

static bool read_uint(const char *word, uint64_t *value)
{
    char *end;
    *value = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && !*end;
}

/* ---- Commands ---- */

static const char *run_count(server *s, size_t words, char **word, text *out)
{
    counter wanted;
    if (words == 1) {
        for (int i = 0; i < COUNTERS; i++)
            text_format(out, " %s=%llu", counter_names[i], (unsigned long long)s->count[i]);
        return NULL;
    }
    if (!find_counter(word[1], &wanted))
        return "no such counter";
    text_format(out, " %llu", (unsigned long long)s->count[wanted]);
    return NULL;
}

static const char *run_reset(server *s, size_t words, char **word, text *out)
{
    (void)words;
    (void)word;
    (void)out;
    for (int i = 0; i < COUNTERS; i++) {
        if (i != COUNT_OPEN && i != COUNT_HELD)
            s->count[i] = 0;
    }
    return NULL;
}

static const char *run_hold(server *s, size_t words, char **word, text *out)
{
    (void)out;
    if (words < 2 || !read_uint(word[1], &s->hold_after))
        return "hold N";
    return NULL;
}

static const char *run_release(server *s, size_t words, char **word, text *out)
{
    (void)words;
    (void)word;
    (void)out;
    s->hold_after = UINT64_MAX;
    return NULL;
}

static const char *run_faults(server *s, size_t words, char **word, text *out)
{
    (void)out;
    if (words != 2 || strcmp(word[1], "clear") != 0)
        return "faults clear";
    fault_clear(&s->faults);
    return NULL;
}

static const char *run_shape(server *s, size_t words, char **word, text *out)
{
    (void)out;
    for (size_t i = 1; i < words; i++) {
        if (strncmp(word[i], "latency=", 8) == 0)
            s->latency = strtod(word[i] + 8, NULL) / 1000;
        else if (strncmp(word[i], "rate=", 5) == 0)
            s->rate = strtod(word[i] + 5, NULL);
        else if (strncmp(word[i], "hold-small=", 11) == 0)
            s->hold_small = strtod(word[i] + 11, NULL) / 1000;
        else
            return "shape [latency=MS] [rate=BYTES_A_SECOND] [hold-small=MS]";
    }
    return NULL;
}

static const char *run_charge(server *s, size_t words, char **word, text *out)
{
    (void)out;
    if (words == 2 && strcmp(word[1], "off") == 0) {
        s->cost_hard = 0;
        return NULL;
    }
    if (words != 4)
        return "charge SOFT HARD DECAY_A_SECOND, or charge off";
    s->cost_soft = strtod(word[1], NULL);
    s->cost_hard = strtod(word[2], NULL);
    s->cost_decay = strtod(word[3], NULL);
    return NULL;
}

static const char *run_pad(server *s, size_t words, char **word, text *out)
{
    (void)out;
    if (words != 2)
        return "pad on|off";
    s->pad = strcmp(word[1], "off") != 0;
    return NULL;
}

static const char *run_max_send(server *s, size_t words, char **word, text *out)
{
    (void)out;
    return words == 2 && read_uint(word[1], &s->max_send) ? NULL : "max-send BYTES";
}

static const char *run_garbage(server *s, size_t words, char **word, text *out)
{
    (void)out;
    return words == 2 && read_uint(word[1], &s->garbage_size) ? NULL : "garbage-size N";
}

static const char *run_heights(server *s, size_t words, char **word, text *out)
{
    (void)out;
    if (words != 2)
        return "heights on|off";
    s->heights = strcmp(word[1], "off") != 0;
    return NULL;
}

static const char *run_tx_bytes(server *s, size_t words, char **word, text *out)
{
    (void)out;
    return words == 2 && read_uint(word[1], &s->tx_bytes) ? NULL : "tx-bytes N";
}

static const char *run_genesis(server *s, size_t words, char **word, text *out)
{
    (void)out;
    if (words != 2 || strlen(word[1]) != 64)
        return "genesis HEX";
    memcpy(s->genesis, word[1], sizeof s->genesis);
    return NULL;
}

static const char *run_auth(server *s, size_t words, char **word, text *out)
{
    (void)out;
    if (words != 2 || strlen(word[1]) >= sizeof s->credentials)
        return "auth USER:PASSWORD, or auth off";
    snprintf(s->credentials, sizeof s->credentials, "%s",
             strcmp(word[1], "off") == 0 ? "" : word[1]);
    return NULL;
}

/* A new cookie, as when the node starts anew. */
static const char *run_cookie(server *s, size_t words, char **word, text *out)
{
    static uint64_t secret = 0x5eed;
    (void)words;
    (void)word;
    (void)out;
    if (!s->cookie_file[0])
        return "the server was started without --rpc-cookie";
    secret = secret * 6364136223846793005u + 1442695040888963407u;
    snprintf(s->credentials, sizeof s->credentials, "__cookie__:%016llx",
             (unsigned long long)secret);
    FILE *f = fopen(s->cookie_file, "w");
    if (!f || fputs(s->credentials, f) < 0 || fclose(f) != 0)
        return "cannot write the cookie file";
    return NULL;
}

static const char *run_cut(server *s, size_t words, char **word, text *out)
{
    (void)words;
    (void)word;
    (void)out;
    for (conn *c = s->conns; c; c = c->next) {
        if (c->kind != CONN_CONTROL)
            conn_cut(s, c);
    }
    return NULL;
}

static const char *run_meta(server *s, size_t words, char **word, text *out)
{
    uint64_t group;
    chain_meta meta;
    if (words != 2 || !read_uint(word[1], &group))
        return "meta GROUP";
    if (!s->chain->source->meta(s->chain, (uint32_t)group, &meta))
        return "there is no such group";
    text_put(out, " ");
    text_base64(out, meta.block_hash, HASH);
    text_put(out, " ");
    if (meta.has_set_hash)
        text_base64(out, meta.set_hash, HASH);
    else
        text_put(out, "-");
    text_format(out, " %u", meta.size);
    return NULL;
}

/* Writes the whole set as "anonset export" shows it. */
static const char *run_dump(server *s, size_t words, char **word, text *out)
{
    uint64_t group;
    chain_meta meta;
    text line = {0};
    const char *error = NULL;
    (void)out;
    if (words < 3 || !read_uint(word[1], &group))
        return "dump GROUP FILE [oldest]";
    if (!s->chain->source->meta(s->chain, (uint32_t)group, &meta))
        return "there is no such group";
    bool oldest = words == 4 && strcmp(word[3], "oldest") == 0;
    FILE *f = fopen(word[2], "w");
    if (!f)
        return "cannot write the file";
    for (uint32_t i = 0; i < meta.size && !error; i++) {
        line.len = 0;
        if (!s->chain->source->coin(s->chain, (uint32_t)group, oldest ? i : meta.size - 1 - i,
                                    &line))
            error = "this part of the set was not recorded";
        text_put(&line, "\n");
        if (fwrite(line.data, 1, line.len, f) != line.len)
            error = "cannot write the file";
    }
    if (fclose(f) != 0)
        error = "cannot write the file";
    text_free(&line);
    return error;
}

/* used COUNT, used COUNT KEEP, used file PATH, used dump PATH */
static const char *run_used(server *s, size_t words, char **word, text *out)
{
    uint64_t count, keep = 0;
    (void)out;
    if (words == 3 && strcmp(word[1], "file") == 0)
        return used_load(&s->used, word[2]);
    if (words == 3 && strcmp(word[1], "dump") == 0)
        return used_dump(&s->used, word[2]);
    if (words < 2 || words > 3 || !read_uint(word[1], &count) || count > UINT32_MAX ||
        (words == 3 && !read_uint(word[2], &keep)))
        return "used COUNT [KEEP], used file PATH, used dump PATH";
    if (words == 3)
        used_fork(&s->used, (uint32_t)keep);
    s->used.count = (uint32_t)count;
    return NULL;
}

static const char *run_quit(server *s, size_t words, char **word, text *out)
{
    (void)words;
    (void)word;
    (void)out;
    s->quit = true;
    return NULL;
}

static const struct command {
    const char *name;
    const char *(*run)(server *s, size_t words, char **word, text *out);
} commands[] = {
    {"count", run_count},
    {"reset", run_reset},
    {"hold", run_hold},
    {"release", run_release},
    {"faults", run_faults},
    {"shape", run_shape},
    {"charge", run_charge},
    {"pad", run_pad},
    {"max-send", run_max_send},
    {"genesis", run_genesis},
    {"garbage-size", run_garbage},
    {"heights", run_heights},
    {"tx-bytes", run_tx_bytes},
    {"auth", run_auth},
    {"cookie", run_cookie},
    {"cut", run_cut},
    {"meta", run_meta},
    {"dump", run_dump},
    {"used", run_used},
    {"quit", run_quit},
};

/* at COUNTER VALUE COMMAND… */
static const char *add_trigger(server *s, char *rest)
{
    trigger t;
    const char *name = strsep(&rest, " ");
    const char *value = rest ? strsep(&rest, " ") : NULL;
    if (!rest || !find_counter(name, &t.when) || !read_uint(value, &t.value) ||
        strlen(rest) >= sizeof t.command)
        return "at COUNTER VALUE COMMAND";
    snprintf(t.command, sizeof t.command, "%s", rest);
    GROW(s->triggers, &s->trigger_cap, s->trigger_count + 1);
    s->triggers[s->trigger_count++] = t;
    return NULL;
}

const char *control_run(server *s, char *line, text *out)
{
    char *word[WORDS];
    size_t words = 0;
    s->again = true;
    if (strncmp(line, "fault ", 6) == 0)
        return fault_add(&s->faults, line + 6);
    if (strncmp(line, "at ", 3) == 0)
        return add_trigger(s, line + 3);
    for (char *rest = line; rest && words < WORDS; words++)
        word[words] = strsep(&rest, " ");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, word[0]) == 0)
            return commands[i].run(s, words, word, out);
    }
    return s->chain->source->command(s->chain, words, word);
}

void control_triggers(server *s)
{
    for (size_t i = 0; i < s->trigger_count;) {
        trigger t = s->triggers[i];
        if (s->count[t.when] < t.value) {
            i++;
            continue;
        }
        s->triggers[i] = s->triggers[--s->trigger_count];
        text ignored = {0};
        const char *error = control_run(s, t.command, &ignored);
        text_free(&ignored);
        if (error)
            die("at %s %llu: %s", counter_names[t.when], (unsigned long long)t.value, error);
    }
}

/* ---- The connection ---- */

static void send_result(server *s, conn *c, const char *error, const text *result)
{
    text out = {0};
    if (error)
        text_format(&out, "error %s", error);
    else
        text_put(&out, "ok");
    if (!error && result)
        text_add(&out, result->data, result->len);
    text_put(&out, "\n");
    conn_send(s, c, &out);
}

void control_wait(server *s, conn *c)
{
    uint64_t value = s->count[c->wait_counter];
    bool met = c->wait_exact ? value == c->wait_value : value >= c->wait_value;
    if (!met && now() < c->wait_until)
        return;
    c->waiting = false;
    text result = {0};
    text_format(&result, " %llu", (unsigned long long)value);
    send_result(s, c, met ? NULL : "timeout", &result);
    text_free(&result);
}

/* wait COUNTER [=]VALUE [MS] */
static void start_wait(server *s, conn *c, char *rest)
{
    const char *name = strsep(&rest, " ");
    const char *value = rest ? strsep(&rest, " ") : "";
    c->wait_exact = *value == '=';
    if (!find_counter(name, &c->wait_counter) ||
        !read_uint(value + c->wait_exact, &c->wait_value)) {
        send_result(s, c, "wait COUNTER VALUE [MS]", NULL);
        return;
    }
    c->wait_until = now() + (rest ? strtod(rest, NULL) : WAIT_MS) / 1000;
    c->waiting = true;
    control_wait(s, c);
}

bool control_take(server *s, conn *c)
{
    const char *end = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
    if (!end)
        return false;
    size_t len = (size_t)(end - c->in.data);
    char *line = strndup(c->in.data, len);
    if (!line)
        die("no memory for a command");
    text_drop(&c->in, len + 1);
    if (strncmp(line, "wait ", 5) == 0) {
        start_wait(s, c, line + 5);
    } else {
        text result = {0};
        const char *error = control_run(s, line, &result);
        send_result(s, c, error, &result);
        text_free(&result);
    }
    free(line);
    return true;
}
