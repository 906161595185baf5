/* anonset clear: remove what is stored. */
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/store.h"
#include "cli/tell.h"

static int run_clear(const struct args *args)
{
    anonset_detail detail = {0};
    anonset_store *store = NULL;
    anonset_code code;

    if (args->tags && args->group)
        return args_wrong("clear", "--group and --tags exclude each other");
    code = store_open(&store, args, 0, &detail);
    if (code != ANONSET_OK)
        return exits_of_code(code);
    code = args->tags ? anonset_used_clear(store, &detail)
                      : anonset_store_clear(store, args->group, &detail);
    if (code != ANONSET_OK)
        tell_store(stderr, "clear", args, &detail);
    anonset_store_close(store);
    return exits_of_code(code);
}

static const struct option_row options[] = {
    ARGS_ROW_DB,
    {ARGS_GROUP, "group", "N",
     "Only this group. Without it, every group and the list of used coin tags,\n"
     "and the store may then be used for another chain."},
    {ARGS_TAGS, "tags", NULL, "Only the list of used coin tags."},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

const struct command cmd_clear = {
    .name = "clear",
    .summary = "remove one group, or all, from the store",
    .usage = "--db PATH [--group N | --tags]",
    .options = options,
    .notes =
        "Removes finalized and pending coins in one step and frees their space. It does not ask\n"
        "back. Clearing what is not there is no error.\n",
    .run = run_clear,
};
