#include "cli/args.h"

#include "cli/command.h"
#include "cli/exits.h"
#include "cli/text.h"

#include <stdarg.h>
#include <string.h>

enum {
    SECTOR_MOST = 65536,
    TIMEOUT_MOST = 86400,
    RETRIES_MOST = 1000000,
};

int args_wrong(const char *command, const char *format, ...)
{
    va_list list;

    fprintf(stderr, "anonset%s%s: ", command ? " " : "", command ? command : "");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\nTry: anonset %s%s--help\n", command ? command : "", command ? " " : "");
    return EXITS_USAGE;
}

void args_help(FILE *out, const struct command *command)
{
    char between = command->apart ? '-' : ' ';

    fprintf(out, "anonset%c%s: %s\n\nUsage: anonset%c%s %s\n\nOptions:\n", between, command->name,
            command->summary, between, command->name, command->usage);
    for (const struct option_row *row = command->options; row->name; row++) {
        fprintf(out, "  --%s%s%s\n", row->name, row->value ? " " : "",
                row->value ? row->value : "");
        for (const char *line = row->help; *line;) {
            size_t n = strcspn(line, "\n");
            fprintf(out, "        %.*s\n", (int)n, line);
            line += n + (line[n] == '\n');
        }
    }
    fprintf(out, "\n%s\n", command->notes);
    exits_print(out);
}

static bool take_sector_size(struct args *args, const char *value)
{
    if (strcmp(value, "auto") == 0) {
        args->sector_size = ANONSET_SECTOR_AUTO;
        return true;
    }
    return text_number(&args->sector_size, value, 1, SECTOR_MOST);
}

/* One of two words; *first becomes whether it is the first of them. */
static bool take_word(bool *first, const char *value, const char *word, const char *other)
{
    *first = strcmp(value, word) == 0;
    return *first || strcmp(value, other) == 0;
}

/* GROUP:SIZE:DIGEST, the digest as status --json writes it. */
static const char *take_checkpoint(struct args *args, const char *value)
{
    anonset_trusted *to = &args->checkpoints[args->checkpoint_n];

    if (args->checkpoint_n == ARGS_CHECKPOINTS_MAX)
        return "no more than 64 checkpoints";
    if (!text_read_checkpoint(to, value))
        return "GROUP:SIZE:DIGEST, two numbers from 1 on and 64 hexadecimal digits";
    args->checkpoint_n++;
    return NULL;
}

/* Returns NULL, or what the value should have been. */
static const char *take_value(struct args *args, enum args_id id, const char *value)
{
    bool newest, count;

    switch (id) {
    case ARGS_GROUP:
        return text_number(&args->group, value, 1, UINT32_MAX) ? NULL : "a number, 1 or more";
    case ARGS_SECTOR_SIZE:
        return take_sector_size(args, value) ? NULL : "a number from 1 to 65536, or auto";
    case ARGS_TIMEOUT:
        return text_number(&args->timeout_s, value, 1, TIMEOUT_MOST)
                   ? NULL
                   : "a number of seconds from 1 to 86400";
    case ARGS_RETRIES:
        args->has_retries = true;
        return text_number(&args->retries, value, 0, RETRIES_MOST) ? NULL
                                                                   : "a number from 0 to 1000000";
    case ARGS_ON_REORG:
        return take_word(&args->follow, value, "follow", "keep") ? NULL : "follow or keep";
    case ARGS_PROOF_BUDGET:
        return text_number(&args->proof_budget, value, 0, UINT32_MAX)
                   ? NULL
                   : "a number from 0 to 4294967295";
    case ARGS_CHECKPOINT:
        return take_checkpoint(args, value);
    case ARGS_FROM:
        return text_number(&args->from, value, 0, UINT32_MAX) ? NULL : "a position, 0 or more";
    case ARGS_GATE:
        if (!take_word(&count, value, "count", "set-hash"))
            return "count or set-hash";
        args->gate = count ? ANONSET_GATE_COUNT : ANONSET_GATE_SET_HASH;
        return NULL;
    case ARGS_AFTER:
        args->has_after = true;
        return text_read_hash(args->after, value) ? NULL
                                                  : "a block hash: 32 bytes in base64, as the "
                                                    "server and status --json write it";
    case ARGS_ORDER:
        if (!take_word(&newest, value, "newest", "oldest"))
            return "newest or oldest";
        args->order = newest ? ANONSET_NEWEST_FIRST : ANONSET_OLDEST_FIRST;
        return NULL;
    default:
        return NULL;
    }
}

/* Options that need no check. */
static void take(struct args *args, enum args_id id, const char *value)
{
    switch (id) {
    case ARGS_DB:
        args->db = value;
        break;
    case ARGS_SERVER:
        args->server = value;
        break;
    case ARGS_PROXY:
        args->proxy = value;
        break;
    case ARGS_TLS_PIN:
        args->tls_pin = value;
        break;
    case ARGS_RPC_COOKIE:
        args->rpc_cookie = value;
        break;
    case ARGS_LISTEN:
        args->listen = value;
        break;
    case ARGS_ALL:
        args->all = true;
        break;
    case ARGS_JSON:
        args->json = true;
        break;
    case ARGS_QUIET:
        args->quiet = true;
        break;
    case ARGS_PROVE:
        args->prove = true;
        break;
    case ARGS_TLS_INSECURE:
        args->tls_insecure = true;
        break;
    case ARGS_TAGS:
        args->tags = true;
        break;
    case ARGS_TXID:
        args->txid = true;
        break;
    default:
        break;
    }
}

void args_getopt(struct option out[ARGS_OPTIONS_MAX + 1], const struct option_row *rows)
{
    size_t n = 0;

    memset(out, 0, (ARGS_OPTIONS_MAX + 1) * sizeof *out);
    for (; n < ARGS_OPTIONS_MAX && rows[n].name; n++) {
        out[n].name = rows[n].name;
        out[n].has_arg = rows[n].value ? required_argument : no_argument;
    }
}

int args_parse(struct args *args, const struct command *command, int argc, char **argv)
{
    struct option options[ARGS_OPTIONS_MAX + 1];
    int index = 0, found;

    memset(args, 0, sizeof *args);
    args->follow = true;
    args->proof_budget = ANONSET_PROOF_BUDGET_DEFAULT;
    args_getopt(options, command->options);
    optind = 0; /* start anew, GNU's and musl's way */
    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", options, &index)) != -1) {
        const struct option_row *row = &command->options[index];
        const char *wanted;
        if (found == ':')
            return args_wrong(command->name, "%s wants a value", argv[optind - 1]);
        if (found != 0)
            return args_wrong(command->name, "there is no option %s", argv[optind - 1]);
        if (row->id == ARGS_HELP) {
            args_help(stdout, command);
            return EXITS_DONE;
        }
        take(args, row->id, optarg);
        wanted = take_value(args, row->id, optarg);
        if (wanted)
            return args_wrong(command->name, "--%s wants %s, not \"%s\"", row->name, wanted,
                              optarg);
    }
    if (command->operand && optind < argc)
        args->operand = argv[optind++];
    if (optind < argc)
        return args_wrong(command->name, "\"%s\" is one word too many", argv[optind]);
    if (!args->db || !*args->db)
        return args_wrong(command->name, "--db PATH is missing: the store's file");
    if (command->operand && !args->operand)
        return args_wrong(command->name, "%s is missing", command->operand);
    return ARGS_GO;
}
