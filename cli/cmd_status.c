/* anonset status: what is stored. */
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/json.h"
#include "cli/store.h"
#include "cli/tell.h"
#include "cli/text.h"

struct report {
    const struct args *args;
    json json;
    uint64_t disk_bytes;
    unsigned groups;
};

static void print_pending_json(json *j, const anonset_state *state)
{
    if (!state->has_pending) {
        json_null(j, "pending");
        return;
    }
    json_begin(j, "pending", '{');
    json_number(j, "base", state->base);
    json_number(j, "count", state->count);
    json_base64(j, "block_hash", state->target.block_hash);
    json_base64(j, "set_hash", state->target.has_set_hash ? state->target.set_hash : NULL);
    json_number(j, "size", state->target.size);
    json_end(j, '}');
}

static void print_missing_json(json *j, const anonset_state *state)
{
    if (!state->has_hole) {
        json_null(j, "missing");
        return;
    }
    json_begin(j, "missing", '{');
    json_number(j, "from", state->hole_from);
    json_number(j, "to", state->hole_to);
    json_number(j, "fetched", state->hole_filled);
    json_end(j, '}');
}

static void print_json(struct report *report, uint32_t group, const anonset_state *state)
{
    json *j = &report->json;

    json_begin(j, NULL, '{');
    json_number(j, "group", group);
    if (state->has_finalized) {
        json_begin(j, "finalized", '{');
        json_finalized(j, state);
        json_end(j, '}');
    } else {
        json_null(j, "finalized");
    }
    print_pending_json(j, state);
    print_missing_json(j, state);
    json_number(j, "disk_bytes", report->disk_bytes);
    json_end(j, '}');
}

static void print_row(const struct report *report, uint32_t group, const anonset_state *state)
{
    char count[TEXT_COUNT] = "-", all[TEXT_COUNT], block[TEXT_BASE64_HASH] = "-";

    if (!report->groups)
        printf("%5s  %11s  %-8s  %-44s  %s\n", "group", "whole coins", "gate", "newest block",
               "downloading");
    if (state->has_finalized) {
        text_count(count, state->finalized.size);
        text_base64_hash(block, state->finalized.block_hash);
    }
    printf("%5u  %11s  %-8s  %-44s  ", group, count,
           state->has_finalized ? text_gate(state->gate) : "-", block);
    if (state->has_hole)
        printf("%s are missing: sync it\n",
               text_count(count, state->hole_to - state->hole_from - state->hole_filled));
    else if (state->has_pending)
        printf("%s of %s\n", text_count(count, state->base + state->count),
               text_count(all, state->target.size));
    else
        puts("-");
}

static anonset_code visit(void *context, anonset_store *store, uint32_t group,
                          anonset_detail *detail)
{
    struct report *report = context;
    anonset_state state;
    anonset_code code = anonset_store_state(store, &state, group, detail);

    if (code != ANONSET_OK)
        return code;
    if (report->args->json)
        print_json(report, group, &state);
    else
        print_row(report, group, &state);
    report->groups++;
    return ANONSET_OK;
}

static void print_end(struct report *report, const anonset_store *store)
{
    char bytes[TEXT_COUNT];

    if (report->args->json) {
        json_end(&report->json, ']');
        putchar('\n');
        return;
    }
    if (!report->groups)
        puts("nothing is stored yet");
    printf("on disk: %s (%s)\n", text_bytes(bytes, report->disk_bytes),
           anonset_store_backend(store));
}

/* ---- The list of used coin tags ------------------------------------------------------------ */

static void print_used(const struct args *args, const anonset_used_state *state)
{
    json j = {.out = stdout};
    char count[TEXT_COUNT];

    if (!args->json) {
        printf("used coin tags: %s (gate level none: nothing commits to this list)\n",
               text_count(count, state->count));
        return;
    }
    json_begin(&j, NULL, '{');
    json_number(&j, "count", state->count);
    json_hex(&j, "digest", state->digest);
    json_string(&j, "gate", text_gate(ANONSET_GATE_NONE));
    json_end(&j, '}');
    putchar('\n');
}

static anonset_code show_used(anonset_store *store, const struct args *args, anonset_detail *detail)
{
    anonset_used_list *list;
    anonset_code code = anonset_used_open(&list, store, detail);

    if (code != ANONSET_OK)
        return code;
    /* Beside the groups it is told of only if it is there. */
    if (args->tags || anonset_used_list_state(list)->count)
        print_used(args, anonset_used_list_state(list));
    anonset_used_close(list);
    return ANONSET_OK;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static anonset_code show_groups(struct report *report, anonset_store *store, anonset_detail *detail)
{
    const struct args *args = report->args;
    anonset_code code = anonset_store_disk_bytes(store, &report->disk_bytes, detail);

    if (code != ANONSET_OK)
        return code;
    if (args->json)
        json_begin(&report->json, NULL, '[');
    code = store_groups(store, args, visit, report, detail);
    if (code == ANONSET_OK && !args->json && !args->group)
        code = show_used(store, args, detail);
    print_end(report, store);
    return code;
}

static int run_status(const struct args *args)
{
    struct report report = {.args = args, .json = {.out = stdout}};
    anonset_detail detail = {0};
    anonset_store *store = NULL;
    anonset_code code;

    if (args->tags && args->group)
        return args_wrong("status", "--group and --tags exclude each other");
    code = store_open(&store, args, ANONSET_STORE_READ_ONLY, &detail);
    if (code != ANONSET_OK)
        return exits_of_code(code);
    code = args->tags ? show_used(store, args, &detail) : show_groups(&report, store, &detail);
    if (code != ANONSET_OK)
        tell_store(stderr, "read the state of", args, &detail);
    anonset_store_close(store);
    return exits_of_code(code);
}

static const struct option_row options[] = {
    ARGS_ROW_DB,
    {ARGS_GROUP, "group", "N",
     "Only this group. Without it, every group of which something is stored."},
    {ARGS_TAGS, "tags", NULL,
     "The list of used coin tags instead; with --json as one object: count,\n"
     "digest and gate, which is always none."},
    {ARGS_JSON, "json", NULL,
     "Print a JSON array with an object a group: group, finalized (block_hash,\n"
     "set_hash, size, digest, gate; or null), pending (base, count, block_hash,\n"
     "set_hash, size; or null), missing (from, to, fetched: coins of the\n"
     "finalized set that a repair dropped; or null) and disk_bytes (of the\n"
     "whole store)."},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

const struct command cmd_status = {
    .name = "status",
    .summary = "show what is stored",
    .usage = "--db PATH [--group N | --tags] [--json]",
    .options = options,
    .notes = "\"whole coins\" is the finalized set, which readers see; \"downloading\" is the "
             "pending one,\n"
             "which nobody sees before it is whole and checked. A set with coins missing is not\n"
             "shown to readers until a sync has fetched them. Works while a sync runs.\n",
    .run = run_status,
};
