/* anonset check: was a coin used? */
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/json.h"
#include "cli/store.h"
#include "cli/tell.h"
#include "cli/text.h"

static void print_json(const struct args *args, const anonset_used *used, uint32_t position,
                       const anonset_used_state *state)
{
    json j = {.out = stdout};
    char txid[TEXT_HEX_HASH];

    if (used)
        text_txid(txid, used->tx_hash);
    json_begin(&j, NULL, '{');
    json_string(&j, "tag", args->operand);
    json_bool(&j, "used", used != NULL);
    json_base64(&j, "tx_hash", used ? used->tx_hash : NULL);
    json_string(&j, "txid", used ? txid : NULL);
    if (used)
        json_number(&j, "position", position);
    else
        json_null(&j, "position");
    json_number(&j, "count", state->count);
    json_string(&j, "gate", text_gate(ANONSET_GATE_NONE));
    json_end(&j, '}');
    putchar('\n');
}

static void print_text(const anonset_used *used, const anonset_used_state *state)
{
    char txid[TEXT_HEX_HASH], count[TEXT_COUNT];

    if (used) {
        text_txid(txid, used->tx_hash);
        puts(txid);
    }
    if (state->count)
        fprintf(stderr,
                "anonset: %s in the list of %s used coin tags, as one server told it: nothing "
                "proves this list\n",
                used ? "it is" : "it is not", text_count(count, state->count));
    else
        fputs("anonset: no list of used coin tags is stored: run `anonset sync --tags` first\n",
              stderr);
}

static anonset_code check(anonset_store *store, const struct args *args, const uint8_t *tag,
                          anonset_detail *detail)
{
    anonset_used_list *list;
    anonset_used used;
    uint32_t position = 0;
    anonset_code code = anonset_used_open(&list, store, detail);

    if (code != ANONSET_OK)
        return code;
    code = anonset_used_find(list, &used, &position, tag, detail);
    if (code == ANONSET_OK || code == ANONSET_NOT_FOUND) {
        const anonset_used *found = code == ANONSET_OK ? &used : NULL;
        if (args->json)
            print_json(args, found, position, anonset_used_list_state(list));
        else
            print_text(found, anonset_used_list_state(list));
    }
    anonset_used_close(list);
    return code;
}

static int run_check(const struct args *args)
{
    anonset_detail detail = {0};
    anonset_store *store = NULL;
    uint8_t tag[ANONSET_TAG_BYTES];
    anonset_code code;

    if (!text_read_tag(tag, args->operand))
        return args_wrong("check",
                          "\"%s\" is no tag: 34 bytes in base64, as the server and "
                          "anonset tags write it",
                          args->operand);
    code = store_open(&store, args, ANONSET_STORE_READ_ONLY, &detail);
    if (code != ANONSET_OK)
        return exits_of_code(code);
    code = check(store, args, tag, &detail);
    anonset_store_close(store);
    if (code == ANONSET_NOT_FOUND)
        return EXITS_KEPT;
    if (code != ANONSET_OK)
        tell_store(stderr, "look up a tag in", args, &detail);
    return exits_of_code(code);
}

static const struct option_row options[] = {
    ARGS_ROW_DB,
    {ARGS_JSON, "json", NULL,
     "Print a JSON object: tag, used, tx_hash (base64, as the server sent it),\n"
     "txid (hexadecimal, as nodes print it), position, count (tags in the list)\n"
     "and gate, which is always none. What is not there is null."},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

const struct command cmd_check = {
    .name = "check",
    .summary = "look a coin's tag up in the list of used ones",
    .usage = "--db PATH TAG_B64 [--json]",
    .operand = "TAG_B64, a tag of 34 bytes in base64,",
    .options = options,
    .notes =
        "Prints the transaction that used the coin, and exits with 0; exits with 5 if the tag is\n"
        "not in the list, or no list is stored. `anonset sync --tags` fetches the list. Gate\n"
        "level none: nothing commits to it. It is what one server said.\n",
    .run = run_check,
};
