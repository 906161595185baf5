/* What anonset-convert says of itself, in --help and in its manual page. */
#include "config.h"

#include "cli/command.h"

static const struct option_row options[] = {
    {ARGS_TO, "to", "sqlite|lmdb",
     "The backend of NEW; \"" ANONSET_CHOSEN_BACKEND "\" without it."},
    {ARGS_JSON, "json", NULL,
     "Print a JSON object: from, to, groups (an array with an object a group: group,\n"
     "block_hash, set_hash, size, digest, gate, pending), used_tags (count, digest,\n"
     "gate of the list of used coin tags; null if there is none), error."},
    ARGS_ROW_HELP,
    {ARGS_VERSION, "version", NULL, "Show the version."},
    ARGS_ROW_END,
};

const struct command cmd_convert = {
    .name = "convert",
    .apart = true,
    .summary = "make a new store out of an old one",
    .usage = "OLD NEW [--to sqlite|lmdb] [--json]",
    .options = options,
    .notes =
        "OLD is a store of either backend, or the SQLite cache of an older wallet; which, is\n"
        "found out. It is opened read-only. NEW must not exist: it is written in the folder\n"
        "NEW-converting beside it and gets its name when it is whole.\n"
        "Coins, their order, digests, the history of block hashes, gate levels, what is pending\n"
        "and the list of used coin tags are as they were. An older cache has no such list, and\n"
        "nothing pending: it is not carried over.\n",
};
