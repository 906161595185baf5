/* anonset repair: drop what is damaged, so that the next sync fetches just that again. */
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/json.h"
#include "cli/store.h"
#include "cli/tell.h"
#include "cli/text.h"

struct report {
    const struct args *args;
    json json;
    unsigned groups;
    bool opened;
    bool found;                 /* something was damaged */
    anonset_used_repaired used; /* all zero: there is no list of used coin tags */
};

/* ---- Telling ------------------------------------------------------------------------------- */

static void print_json(json *j, const anonset_repair *did)
{
    const anonset_verdict *found = &did->found;
    bool coins = !found->sound && found->damaged_to > found->damaged_from;

    json_begin(j, NULL, '{');
    json_number(j, "group", found->group);
    json_bool(j, "sound", found->sound);
    if (coins) {
        json_number(j, "damaged_from", found->damaged_from);
        json_number(j, "damaged_to", found->damaged_to);
    } else {
        json_null(j, "damaged_from");
        json_null(j, "damaged_to");
    }
    json_number(j, "missing", did->dropped);
    json_number(j, "pending_dropped", did->pending_dropped);
    json_bool(j, "cleared", did->cleared);
    json_end(j, '}');
}

static void print_group(const anonset_repair *did)
{
    char count[TEXT_COUNT];
    const anonset_verdict *found = &did->found;

    if (found->sound) {
        printf("group %u: sound, untouched\n", found->group);
        return;
    }
    if (did->cleared)
        printf("group %u: nothing of it could be kept\n", found->group);
    else if (did->dropped)
        printf("group %u: %s coins are missing now, positions %u to %u\n", found->group,
               text_count(count, did->dropped), found->damaged_from, found->damaged_to - 1);
    if (did->pending_dropped && !did->cleared)
        printf("group %u: %s coins of an unfinished download were dropped\n", found->group,
               text_count(count, did->pending_dropped));
}

static void print_used(const anonset_used_repaired *used)
{
    char kept[TEXT_COUNT], dropped[TEXT_COUNT];

    if (used->dropped)
        printf("used coin tags: %s kept, the %s behind them were dropped\n",
               text_count(kept, used->kept), text_count(dropped, used->dropped));
    else if (used->kept)
        puts("used coin tags: sound, untouched");
}

static void json_used(json *j, const anonset_used_repaired *used)
{
    if (!used->kept && !used->dropped) {
        json_null(j, "used_tags");
        return;
    }
    json_begin(j, "used_tags", '{');
    json_number(j, "kept", used->kept);
    json_number(j, "dropped", used->dropped);
    json_end(j, '}');
}

static void tell_next(const struct report *report)
{
    if (report->args->json)
        return;
    if (report->found)
        puts("run `anonset sync` for each group: it fetches what is missing, and no more. And "
             "look at the disk: coins do not rot by themselves");
    if (report->used.dropped)
        puts("run `anonset sync --tags`: it fetches the used coin tags that are missing, and no "
             "others");
}

static void print_rebuilt_used(const anonset_rebuilt *rebuilt)
{
    char kept[TEXT_COUNT], missing[TEXT_COUNT];

    if (rebuilt->used_lost)
        puts("used coin tags: the list could not be read, and is gone");
    else if (rebuilt->used_kept || rebuilt->used_dropped)
        printf("used coin tags: %s kept, %s are missing\n", text_count(kept, rebuilt->used_kept),
               text_count(missing, rebuilt->used_dropped));
    if (rebuilt->used_lost || rebuilt->used_dropped)
        puts("run `anonset sync --tags`: it fetches the used coin tags that are missing, and no "
             "others");
}

static void print_rebuilt(struct report *report, const anonset_rebuilt *rebuilt)
{
    char count[TEXT_COUNT];
    json *j = &report->json;

    if (report->args->json) {
        json_begin(j, "rebuilt", '{');
        json_number(j, "kept", rebuilt->kept);
        json_number(j, "lost", rebuilt->lost);
        json_number(j, "missing", rebuilt->dropped);
        json_number(j, "used_tags_kept", rebuilt->used_kept);
        if (rebuilt->used_lost)
            json_null(j, "used_tags_missing");
        else
            json_number(j, "used_tags_missing", rebuilt->used_dropped);
        json_string(j, "damaged_file", rebuilt->damaged);
        json_end(j, '}');
        return;
    }
    printf("%s was made anew: %u groups kept, %u lost, %s coins are missing\n", report->args->db,
           rebuilt->kept, rebuilt->lost, text_count(count, rebuilt->dropped));
    print_rebuilt_used(rebuilt);
    printf("the damaged file is %s: delete it when you need it no more\n", rebuilt->damaged);
}

/* ---- Repairing ----------------------------------------------------------------------------- */

static anonset_code visit(void *context, anonset_store *store, uint32_t group,
                          anonset_detail *detail)
{
    struct report *report = context;
    anonset_repair did;
    anonset_code code = anonset_store_repair(store, &did, group, detail);

    if (code != ANONSET_OK)
        return code;
    if (report->args->json)
        print_json(&report->json, &did);
    else
        print_group(&did);
    report->groups++;
    report->found |= !did.found.sound;
    return ANONSET_OK;
}

static anonset_code repair_used(struct report *report, anonset_store *store, anonset_detail *detail)
{
    anonset_code code = anonset_used_repair(store, &report->used, detail);

    if (code == ANONSET_OK && !report->args->json)
        print_used(&report->used);
    return code;
}

/* CORRUPT: it must be made anew. */
static anonset_code repair(struct report *report, anonset_detail *detail)
{
    anonset_store_options options;
    anonset_store *store = NULL;
    anonset_repair did;
    anonset_code code;

    anonset_store_options_init(&options);
    options.flags = 0;
    code = anonset_store_open(&store, report->args->db, &options, detail);
    report->opened = code == ANONSET_OK;
    if (code == ANONSET_OK)
        code = anonset_store_repair(store, &did, 0, detail);
    if (code == ANONSET_OK)
        code = store_groups(store, report->args, visit, report, detail);
    if (code == ANONSET_OK && !report->args->group)
        code = repair_used(report, store, detail);
    anonset_store_close(store);
    return code;
}

static anonset_code rebuild(struct report *report, anonset_detail *detail)
{
    anonset_rebuilt rebuilt;
    anonset_code code = anonset_store_rebuild(report->args->db, NULL, &rebuilt, detail);

    if (code != ANONSET_OK)
        return code;
    report->found = true;
    print_rebuilt(report, &rebuilt);
    return ANONSET_OK;
}

static int end_of(const struct report *report, anonset_code code, const anonset_detail *detail)
{
    const struct args *args = report->args;

    if (code == ANONSET_NOT_FOUND && report->opened) {
        fprintf(stderr, "anonset: nothing of group %u is stored in %s\n", args->group, args->db);
        return EXITS_KEPT;
    }
    if (code != ANONSET_OK)
        tell_store(stderr, "repair", args, detail);
    else if (!report->groups && !report->found && !report->used.kept && !report->used.dropped &&
             !args->json)
        puts("nothing is stored yet");
    return exits_of_code(code);
}

static int run_repair(const struct args *args)
{
    struct report report = {.args = args, .json = {.out = stdout}};
    anonset_detail detail = {0};
    anonset_code code;
    bool anew;

    if (args->json) {
        json_begin(&report.json, NULL, '{');
        json_begin(&report.json, "groups", '[');
    }
    code = repair(&report, &detail);
    anew = code == ANONSET_CORRUPT;
    if (args->json) {
        json_end(&report.json, ']');
        json_used(&report.json, &report.used);
    }
    if (anew)
        code = rebuild(&report, &detail);
    if (args->json) {
        if (!anew || code != ANONSET_OK)
            json_null(&report.json, "rebuilt");
        json_end(&report.json, '}');
        putchar('\n');
    }
    if (code == ANONSET_OK)
        tell_next(&report);
    return end_of(&report, code, &detail);
}

static const struct option_row options[] = {
    ARGS_ROW_DB,
    {ARGS_GROUP, "group", "N",
     "Only this group. Without it, every group of which something is stored, and the\n"
     "list of used coin tags."},
    {ARGS_JSON, "json", NULL,
     "Print a JSON object: groups, an array with an object a group (group,\n"
     "sound, damaged_from, damaged_to, missing, pending_dropped, cleared),\n"
     "used_tags (kept, dropped; null if there are none), and rebuilt (kept, lost,\n"
     "missing, used_tags_kept, used_tags_missing, which is null if nobody knows how\n"
     "many, damaged_file; or null)."},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

const struct command cmd_repair = {
    .name = "repair",
    .summary = "drop what is damaged, for the next sync to fetch again",
    .usage = "--db PATH [--group N] [--json]",
    .options = options,
    .notes =
        "Needs no server. Reads every coin as verify does, and drops what differs from its\n"
        "digest; what is sound stays. A set with coins missing is not shown to readers until\n"
        "`anonset sync` has fetched them: it asks for no others, and takes none but the ones\n"
        "that were there. The list of used coin tags is cut where its damage begins: what is left\n"
        "was the list once, and `anonset sync --tags` fetches the rest. A file that is damaged "
        "beyond that is made anew out of what is sound;\n"
        "the damaged one is kept as PATH.damaged. No other program may use it meanwhile.\n",
    .run = run_repair,
};
