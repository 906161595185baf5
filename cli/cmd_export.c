/* anonset export: the coins of a finalized set, for other programs. */
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/store.h"
#include "cli/tell.h"
#include "cli/text.h"

static void print_coin(const anonset_coin *coin)
{
    fputs("[\"", stdout);
    text_write_base64(stdout, coin->serialized, coin->serialized_len);
    fputs("\",\"", stdout);
    text_write_base64(stdout, coin->tx_hash, ANONSET_HASH_BYTES);
    fputs("\",\"", stdout);
    text_write_base64(stdout, coin->context, coin->context_len);
    fputs("\"]\n", stdout);
}

/* Returns OK also when stdout fails: its error is told at the end of the program. */
static anonset_code print_coins(anonset_snapshot *snapshot, anonset_detail *detail)
{
    anonset_coin coin;
    anonset_code code;

    while ((code = anonset_snapshot_next(snapshot, &coin, detail)) == ANONSET_OK) {
        print_coin(&coin);
        if (ferror(stdout))
            return ANONSET_OK;
    }
    return code == ANONSET_NOT_FOUND ? ANONSET_OK : code;
}

/* Sets *from to the position the export begins at. Returns an exit code. */
static int find_start(uint32_t *from, anonset_snapshot *snapshot, const struct args *args,
                      anonset_detail *detail)
{
    anonset_code code;

    *from = 0;
    if (!args->has_after)
        return EXITS_DONE;
    code = anonset_snapshot_find(snapshot, from, args->after, detail);
    if (code == ANONSET_OK)
        return EXITS_DONE;
    if (code == ANONSET_NOT_FOUND) {
        fprintf(stderr,
                "anonset: group %u: the block given with --after is not in this set's history\n"
                "  cause: it was never synced, or the chain was reorganized and it is gone\n"
                "  next: export the whole set, without --after, and scan it anew\n",
                args->group);
        return EXITS_KEPT;
    }
    tell_store(stderr, "look up the block in", args, detail);
    return exits_of_code(code);
}

static int export_group(anonset_store *store, const struct args *args)
{
    anonset_snapshot *snapshot = NULL;
    anonset_detail detail = {0};
    anonset_code code =
        anonset_snapshot_open_gated(&snapshot, store, args->group, args->gate, &detail);
    uint32_t from;
    int end;

    if (code == ANONSET_NOT_FOUND) {
        fprintf(stderr,
                "anonset: group %u has no whole set in %s\n"
                "  next: run `anonset sync` for it until it ends with 0\n",
                args->group, args->db);
        return EXITS_KEPT;
    }
    if (code == ANONSET_UNPROVEN) {
        fprintf(stderr,
                "anonset: group %u: the set in %s is below the level that --gate asks for\n"
                "  next: run `anonset sync` for it with --prove, then export again\n",
                args->group, args->db);
        return exits_of_code(code);
    }
    if (code != ANONSET_OK) {
        tell_store(stderr, "read the set from", args, &detail);
        return exits_of_code(code);
    }
    end = find_start(&from, snapshot, args, &detail);
    if (end != EXITS_DONE)
        goto out;
    code = anonset_snapshot_seek(snapshot, from, anonset_snapshot_state(snapshot)->finalized.size,
                                 args->order, &detail);
    if (code == ANONSET_OK)
        code = print_coins(snapshot, &detail);
    if (code != ANONSET_OK)
        tell_store(stderr, "read every coin (the output is incomplete) from", args, &detail);
    end = exits_of_code(code);
out:
    anonset_snapshot_close(snapshot);
    return end;
}

static int run_export(const struct args *args)
{
    static char buffer[1 << 16];
    anonset_detail detail = {0};
    anonset_store *store = NULL;
    anonset_code code;
    int end;

    if (!args->group)
        return args_wrong("export", "--group N is missing");
    code = store_open(&store, args, ANONSET_STORE_READ_ONLY | ANONSET_STORE_VERIFY_READS, &detail);
    if (code != ANONSET_OK)
        return exits_of_code(code);
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    end = export_group(store, args);
    anonset_store_close(store);
    return end;
}

static const struct option_row options[] = {
    ARGS_ROW_DB,
    {ARGS_GROUP, "group", "N", "The coin group. Required."},
    {ARGS_AFTER, "after", "BLOCKHASH_B64",
     "Only the coins newer than those of the set whose newest block was this\n"
     "one: a block_hash told earlier by sync or status. Exit code 5 if the\n"
     "store does not know it: export without --after and scan anew."},
    {ARGS_ORDER, "order", "newest|oldest",
     "newest: newest coin first, as the server numbers them (the default).\n"
     "oldest: oldest first; coins of later syncs then come at the end."},
    {ARGS_GATE, "gate", "count|set-hash",
     "Print nothing, and exit with 4, where the set is at a lower gate level:\n"
     "set-hash asks that its coins were proven to match the set hash."},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

const struct command cmd_export = {
    .name = "export",
    .summary = "print the coins of a whole set, one a line",
    .usage = "--db PATH --group N [--after BLOCKHASH_B64] [--order newest|oldest]\n"
             "           [--gate count|set-hash]",
    .options = options,
    .notes = "Every coin is hashed and compared with the stored digests before it is printed.\n"
             "Each line is a JSON array [\"serialized\",\"txHash\",\"context\"], base64, as the "
             "server sent\n"
             "them. All lines are of one finalized state, however many syncs end meanwhile.\n",
    .run = run_export,
};
