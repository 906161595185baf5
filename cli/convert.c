/*
 * anonset-convert: makes a new store out of an old one: of the other backend, or of the cache of an
 * older wallet. The one program that holds both backends.
 */
#include "config.h" /* before any system header: it sets the width of off_t */

#include "cli/command.h"
#include "cli/convert_copy.h"
#include "cli/convert_place.h"
#include "cli/exits.h"
#include "cli/json.h"
#include "cli/text.h"
#include "core/detail.h"
#include "core/digest.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_MS 5000u

struct request {
    const char *from, *to;
    const anonset_backend *backend;
    bool json;
};

/* ---- The command line --------------------------------------------------------------------- */

#define GO (-1) /* no exit code: go on */

static int wrong(const char *what, const char *word)
{
    fprintf(stderr, "anonset-convert: %s%s\nTry: anonset-convert --help\n", what, word);
    return EXITS_USAGE;
}

static int take(struct request *request, const char *name, const char *value)
{
    if (strcmp(name, "help") == 0) {
        args_help(stdout, &cmd_convert);
        return EXITS_DONE;
    }
    if (strcmp(name, "version") == 0) {
        printf("anonset-convert %s\n", anonset_version());
        return EXITS_DONE;
    }
    if (strcmp(name, "json") == 0) {
        request->json = true;
        return GO;
    }
    request->backend = convert_backend(value);
    return request->backend ? GO : wrong("--to wants sqlite or lmdb, not ", value);
}

static int parse(struct request *request, int argc, char **argv)
{
    struct option options[ARGS_OPTIONS_MAX + 1];
    int index = 0, found, code = GO;

    *request = (struct request){.backend = convert_backend(ANONSET_CHOSEN_BACKEND)};
    args_getopt(options, cmd_convert.options);
    opterr = 0;
    while (code == GO && (found = getopt_long(argc, argv, ":", options, &index)) != -1) {
        if (found == ':')
            return wrong(argv[optind - 1], " wants a value");
        if (found != 0)
            return wrong("there is no option ", argv[optind - 1]);
        code = take(request, options[index].name, optarg);
    }
    if (code != GO)
        return code;
    if (argc - optind != 2)
        return wrong(argc - optind < 2 ? "two paths are needed: OLD and NEW"
                                       : "one word too many: ",
                     argc - optind < 2 ? "" : argv[optind + 2]);
    request->from = argv[optind];
    request->to = argv[optind + 1];
    return GO;
}

/* ---- What came of it ---------------------------------------------------------------------- */

static void tell_json_group(json *j, uint32_t group, const anonset_state *state)
{
    json_begin(j, NULL, '{');
    json_number(j, "group", group);
    json_finalized(j, state);
    if (state->has_pending)
        json_number(j, "pending", state->count);
    else
        json_null(j, "pending");
    json_end(j, '}');
}

static void tell_used(const anonset_used_state *used)
{
    char count[TEXT_COUNT], digest[TEXT_HEX_HASH];

    text_hex_hash(digest, used->digest);
    printf("used coin tags: %s (gate level none)\n  digest %s\n", text_count(count, used->count),
           digest);
}

static void tell_json_used(json *j, const anonset_used_state *used)
{
    json_begin(j, "used_tags", '{');
    json_number(j, "count", used->count);
    json_hex(j, "digest", used->digest);
    json_string(j, "gate", text_gate(ANONSET_GATE_NONE));
    json_end(j, '}');
}

static void tell_group(FILE *out, uint32_t group, const anonset_state *state)
{
    char count[TEXT_COUNT], digest[TEXT_HEX_HASH];

    text_hex_hash(digest, state->digest);
    fprintf(out, "group %u: %s coins, gate %s\n", (unsigned)group,
            text_count(count, state->finalized.size), text_gate(state->gate));
    if (state->has_finalized)
        fprintf(out, "  digest %s\n", digest);
    if (state->has_pending)
        fprintf(out, "  pending: %s coins\n", text_count(count, state->count));
}

/* What the new store holds, to `out`. */
static anonset_code tell_groups(FILE *out, const struct request *request, void *store,
                                anonset_detail *detail)
{
    json j = {.out = out};
    anonset_state state;
    anonset_code code;
    uint32_t group = 0;

    while ((code = request->backend->next_group(store, &group, group, detail)) == ANONSET_OK) {
        code = request->backend->load_state(store, &state, group, detail);
        if (code != ANONSET_OK)
            return code;
        if (request->json)
            tell_json_group(&j, group, &state);
        else
            tell_group(out, group, &state);
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

/* What the new store holds. */
struct made {
    FILE *out;    /* to `groups` */
    char *groups; /* what tell_groups wrote */
    size_t len;
    anonset_used_state used;
};

/* `made`: NULL after a failure. */
static void tell_json(const struct request *request, const char *kind, const struct made *made,
                      const char *error)
{
    json j = {.out = stdout};

    json_begin(&j, NULL, '{');
    json_string(&j, "from", kind);
    json_string(&j, "to", request->backend->name);
    if (made) {
        json_begin(&j, "groups", '[');
        fputs(made->groups, stdout);
        json_end(&j, ']');
    } else {
        json_null(&j, "groups");
    }
    if (made && made->used.count)
        tell_json_used(&j, &made->used);
    else
        json_null(&j, "used_tags");
    json_string(&j, "error", error);
    json_end(&j, '}');
    putchar('\n');
}

/* Returns the exit code. */
static int tell(const struct request *request, const char *kind, const struct made *made,
                anonset_code code, const anonset_detail *detail)
{
    bool done = code == ANONSET_OK;

    if (!done)
        fprintf(stderr,
                "anonset-convert: cannot make %s of %s\n  cause: %s\n"
                "  kept: %s as it was\n  next: see doc/errors.md\n",
                request->to, request->from, detail->text, request->from);
    if (request->json)
        tell_json(request, kind, done ? made : NULL, done ? NULL : detail->text);
    else if (done)
        printf("%s (%s): made of %s (%s)\n%s", request->to, request->backend->name, request->from,
               kind, made->groups);
    if (done && !request->json && made->used.count)
        tell_used(&made->used);
    return code == ANONSET_INVALID ? EXITS_USAGE : exits_of_code(code);
}

/* ---- Doing it ----------------------------------------------------------------------------- */

static anonset_code load_used(struct made *made, const struct request *request, void *store,
                              anonset_detail *detail)
{
    void *view;
    anonset_code code = request->backend->used_open(store, &view, &made->used, detail);

    if (code == ANONSET_OK)
        request->backend->used_close(view);
    return code;
}

/* Makes the new store in its place, tells what it holds, and closes it. */
static anonset_code write_store(struct made *made, const struct request *request,
                                const convert_source *source, const convert_place *place,
                                anonset_detail *detail)
{
    anonset_backend_options options = {.flags = ANONSET_STORE_CREATE, .busy_ms = BUSY_MS};
    void *store;
    anonset_code code = as_random(options.salt, sizeof options.salt);

    if (code != ANONSET_OK)
        return as_fail(detail, code, 0, "the system has no random numbers");
    code = request->backend->open(&store, place->store, &options, detail);
    if (code != ANONSET_OK)
        return code;
    code = convert_copy(source, request->backend, store, detail);
    if (code == ANONSET_OK)
        code = tell_groups(made->out, request, store, detail);
    if (code == ANONSET_OK)
        code = load_used(made, request, store, detail);
    request->backend->close(store);
    return code;
}

static anonset_code convert(struct made *made, const struct request *request,
                            const convert_source *source, anonset_detail *detail)
{
    convert_place place;
    anonset_code code = convert_place_make(&place, request->to, detail);

    if (code != ANONSET_OK)
        return code;
    code = write_store(made, request, source, &place, detail);
    if (code == ANONSET_OK && fflush(made->out) != 0)
        code = as_fail(detail, ANONSET_NO_MEMORY, 0, "out of memory for what to tell");
    if (code == ANONSET_OK)
        code = convert_place_finish(&place, detail);
    convert_place_end(&place);
    return code;
}

static int run(const struct request *request)
{
    convert_source source = {.path = request->from};
    anonset_detail detail = {.code = ANONSET_OK};
    const char *kind = NULL;
    struct made made = {.out = NULL};
    anonset_code code = ANONSET_OK;

    made.out = open_memstream(&made.groups, &made.len);
    code = made.out ? convert_open(&source, &detail)
                    : as_fail(&detail, ANONSET_NO_MEMORY, 0, "out of memory");

    if (code == ANONSET_OK) {
        kind = convert_kind(&source);
        code = convert(&made, request, &source, &detail);
        convert_close(&source);
    }
    if (made.out)
        (void)fclose(made.out); /* all of it is there since it was flushed */
    int exit_code = tell(request, kind, &made, code, &detail);
    free(made.groups);
    return exit_code;
}

int main(int argc, char **argv)
{
    struct request request;
    int code = parse(&request, argc, argv);

    if (code == GO)
        code = run(&request);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("anonset-convert: the output could not be written\n", stderr);
        code = exits_worse(code, EXITS_INTERNAL);
    }
    return code;
}
