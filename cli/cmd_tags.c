/* anonset tags: the list of used coin tags, for other programs. */
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/store.h"
#include "cli/tell.h"
#include "cli/text.h"

#define PAGE 256u /* tags read at once */

static void print_tag(const anonset_used *used, bool txid)
{
    if (txid)
        fputs("[\"", stdout);
    text_write_base64(stdout, used->tag, sizeof used->tag);
    if (txid) {
        fputs("\",\"", stdout);
        text_write_base64(stdout, used->tx_hash, sizeof used->tx_hash);
        fputs("\"]", stdout);
    }
    putchar('\n');
}

/* Returns OK also when stdout fails: its error is told at the end of the program. */
static anonset_code print_tags(anonset_used_list *list, const struct args *args,
                               anonset_detail *detail)
{
    anonset_used page[PAGE];
    uint32_t n = 0;
    anonset_code code = ANONSET_OK;

    for (uint32_t at = args->from; code == ANONSET_OK && !ferror(stdout); at += n) {
        code = anonset_used_read(list, page, &n, at, PAGE, detail);
        if (code != ANONSET_OK || n == 0)
            break;
        for (uint32_t i = 0; i < n; i++)
            print_tag(&page[i], args->txid);
    }
    return code;
}

static int run_tags(const struct args *args)
{
    static char buffer[1 << 16];
    anonset_detail detail = {0};
    anonset_used_list *list;
    anonset_store *store = NULL;
    anonset_code code = store_open(&store, args, ANONSET_STORE_READ_ONLY, &detail);

    if (code != ANONSET_OK)
        return exits_of_code(code);
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    code = anonset_used_open(&list, store, &detail);
    if (code == ANONSET_OK) {
        code = print_tags(list, args, &detail);
        anonset_used_close(list);
    }
    if (code != ANONSET_OK)
        tell_store(stderr, "read the used coin tags of", args, &detail);
    anonset_store_close(store);
    return exits_of_code(code);
}

static const struct option_row options[] = {
    ARGS_ROW_DB,
    {ARGS_TXID, "txid", NULL,
     "Each line is a JSON array [\"tag\",\"txid\"], base64, as the server sent it:\n"
     "the tag and the transaction that used it."},
    {ARGS_FROM, "from", "N", "Only those from position N on; the oldest tag has position 0."},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

const struct command cmd_tags = {
    .name = "tags",
    .summary = "print the tags of used coins, one a line",
    .usage = "--db PATH [--txid] [--from N]",
    .options = options,
    .notes =
        "Base64, oldest first, all lines of one state of the list. `anonset sync --tags` fetches\n"
        "it. Gate level none: nothing commits to this list. It is what one server said, and may\n"
        "lack tags or hold some that were not used.\n",
    .run = run_tags,
};
