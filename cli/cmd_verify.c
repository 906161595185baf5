/* anonset verify: read every stored byte and recompute the digests. */
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/json.h"
#include "cli/store.h"
#include "cli/tell.h"
#include "cli/text.h"

struct report {
    const struct args *args;
    json json;
    unsigned groups, lists, damaged;
};

static void print_json(json *j, const anonset_verdict *verdict, const char *error)
{
    json_begin(j, NULL, '{');
    json_number(j, "group", verdict->group);
    json_bool(j, "sound", verdict->sound);
    json_number(j, "coins", verdict->coins);
    json_hex(j, "digest", verdict->digest);
    json_number(j, "proven", verdict->proven);
    json_number(j, "rederived", verdict->rederived);
    if (verdict->sound) {
        json_null(j, "damaged_from");
        json_null(j, "damaged_to");
    } else {
        json_number(j, "damaged_from", verdict->damaged_from);
        json_number(j, "damaged_to", verdict->damaged_to);
    }
    json_bool(j, "damaged_pending", verdict->damaged_pending);
    json_string(j, "error", error);
    json_end(j, '}');
}

static void print_verdict(const anonset_verdict *verdict)
{
    char coins[TEXT_COUNT], proven[TEXT_COUNT], digest[TEXT_HEX_HASH];

    text_hex_hash(digest, verdict->digest);
    printf("group %u: %s, %s coins read\n", verdict->group, verdict->sound ? "sound" : "DAMAGED",
           text_count(coins, verdict->coins));
    if (verdict->sound)
        printf("  digest %s\n", digest);
    if (verdict->sound && verdict->proven)
        printf("  the set hash was proven for %s coins when synced; recomputed now for %s\n",
               text_count(proven, verdict->proven), text_count(coins, verdict->rederived));
    if (verdict->sound && verdict->proven > verdict->rederived)
        puts("  (what heights of transactions proved cannot be recomputed: they are not stored)");
}

static void tell_damage(const struct args *args, const anonset_verdict *verdict,
                        const anonset_detail *detail)
{
    if (verdict->group)
        fprintf(stderr, "anonset: group %u of %s is damaged", verdict->group, args->db);
    else
        fprintf(stderr, "anonset: %s is damaged", args->db);
    if (verdict->damaged_to > verdict->damaged_from)
        fprintf(stderr, ", within positions %u to %u%s", verdict->damaged_from,
                verdict->damaged_to - 1,
                verdict->damaged_pending ? " of an unfinished download" : "");
    else
        fputs(verdict->group ? ", in its records" : ", around its groups", stderr);
    fprintf(stderr,
            "\n  cause: %s\n"
            "  next: anonset repair --db %s, then sync again; and check the disk\n",
            detail->text, args->db);
}

static anonset_code visit(void *context, anonset_store *store, uint32_t group,
                          anonset_detail *detail)
{
    struct report *report = context;
    anonset_verdict verdict;
    anonset_detail why = {0};
    anonset_code code = anonset_store_verify(store, &verdict, group, &why);

    if (code != ANONSET_OK) {
        *detail = why;
        return code;
    }
    if (report->args->json)
        print_json(&report->json, &verdict, verdict.sound ? NULL : why.text);
    else
        print_verdict(&verdict);
    report->groups++;
    if (verdict.sound)
        return ANONSET_OK;
    report->damaged++;
    tell_damage(report->args, &verdict, &why);
    return ANONSET_OK;
}

/* At what the engine keeps around the groups; nothing is said of it where it is sound. */
static anonset_code look_around(struct report *report, anonset_store *store, anonset_detail *detail)
{
    anonset_verdict verdict;
    anonset_code code = anonset_store_verify(store, &verdict, 0, detail);

    if (code != ANONSET_OK || verdict.sound)
        return code;
    if (report->args->json)
        print_json(&report->json, &verdict, detail->text);
    report->damaged++;
    tell_damage(report->args, &verdict, detail);
    return ANONSET_OK;
}

static void print_used(struct report *report, const anonset_used_state *state, bool sound,
                       const char *error)
{
    json *j = &report->json;
    char count[TEXT_COUNT];

    if (!report->args->json) {
        printf("used coin tags: %s, %s tags read\n", sound ? "sound" : "DAMAGED",
               text_count(count, state->count));
        return;
    }
    json_begin(j, NULL, '{');
    json_null(j, "group");
    json_bool(j, "sound", sound);
    json_number(j, "used_tags", state->count);
    json_hex(j, "digest", state->digest);
    json_string(j, "error", error);
    json_end(j, '}');
}

static void tell_used_damage(const struct args *args, const anonset_detail *detail)
{
    fprintf(stderr,
            "anonset: the used coin tags of %s are damaged\n"
            "  cause: %s\n"
            "  next: anonset repair --db %s, then sync --tags again; and check the disk\n",
            args->db, detail->text, args->db);
}

static anonset_code verify_used(struct report *report, anonset_used_list *list,
                                anonset_detail *detail)
{
    anonset_detail why = {0};
    bool sound;
    anonset_code code = anonset_used_verify(list, &sound, &why);

    if (code != ANONSET_OK) {
        *detail = why;
        return code;
    }
    print_used(report, anonset_used_list_state(list), sound, sound ? NULL : why.text);
    report->lists++;
    if (!sound) {
        report->damaged++;
        tell_used_damage(report->args, &why);
    }
    return ANONSET_OK;
}

/* The list of used coin tags, where there is one; its record may be damaged, too. */
static anonset_code look_at_used(struct report *report, anonset_store *store,
                                 anonset_detail *detail)
{
    anonset_used_list *list;
    anonset_code code = anonset_used_open(&list, store, detail);

    if (code == ANONSET_CORRUPT) {
        print_used(report, &(anonset_used_state){.count = 0}, false, detail->text);
        report->damaged++;
        tell_used_damage(report->args, detail);
        return ANONSET_OK;
    }
    if (code != ANONSET_OK)
        return code;
    if (anonset_used_list_state(list)->count)
        code = verify_used(report, list, detail);
    anonset_used_close(list);
    return code;
}

static int end_of(const struct report *report, anonset_code code, const anonset_detail *detail)
{
    const struct args *args = report->args;

    if (code == ANONSET_NOT_FOUND) {
        fprintf(stderr, "anonset: nothing of group %u is stored in %s\n", args->group, args->db);
        return EXITS_KEPT;
    }
    if (code != ANONSET_OK) {
        tell_store(stderr, "verify", args, detail);
        return exits_of_code(code);
    }
    return report->damaged ? EXITS_STORE : EXITS_DONE;
}

static int run_verify(const struct args *args)
{
    struct report report = {.args = args, .json = {.out = stdout}};
    anonset_detail detail = {0};
    anonset_store *store = NULL;
    anonset_code code = store_open(&store, args, ANONSET_STORE_READ_ONLY, &detail);

    if (code != ANONSET_OK)
        return exits_of_code(code);
    if (args->json)
        json_begin(&report.json, NULL, '[');
    code = look_around(&report, store, &detail);
    if (code == ANONSET_OK)
        code = store_groups(store, args, visit, &report, &detail);
    if (code == ANONSET_OK && !args->group)
        code = look_at_used(&report, store, &detail);
    anonset_store_close(store);
    if (args->json) {
        json_end(&report.json, ']');
        putchar('\n');
    } else if (!report.groups && !report.lists && !report.damaged && code == ANONSET_OK) {
        puts("nothing is stored yet");
    }
    return end_of(&report, code, &detail);
}

static const struct option_row options[] = {
    ARGS_ROW_DB,
    {ARGS_GROUP, "group", "N",
     "Only this group. Without it, every group of which something is stored, and the\n"
     "list of used coin tags."},
    {ARGS_JSON, "json", NULL,
     "Print a JSON array with an object a group: group, sound, coins, digest,\n"
     "proven (coins of which a sync proved the set hash), rederived (those of\n"
     "which it was recomputed now), damaged_from, damaged_to (positions; null\n"
     "if sound), damaged_pending (they are those of an unfinished download) and\n"
     "error. Group 0 is there if the file around the groups is damaged. Behind\n"
     "the groups, if there is a list of used coin tags: group (null), sound,\n"
     "used_tags (how many), digest, error."},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

const struct command cmd_verify = {
    .name = "verify",
    .summary = "read every stored coin and recompute the digests",
    .usage = "--db PATH [--group N] [--json]",
    .options = options,
    .notes = "Needs no server. Exit code 6 if anything is damaged. Works while a sync runs.\n",
    .run = run_verify,
};
