#include "cli/args.h"

#include "cli/command.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>

#define DIGEST_TAIL "A0000000000000000000000000000000000000000000000000000000000000f"
#define DIGEST      "1a00000000000000000000000000000000000000000000000000000000000F0f"

static int nothing(const struct args *args)
{
    (void)args;
    return 0;
}

static const struct option_row rows[] = {
    ARGS_ROW_DB,
    {ARGS_GROUP, "group", "N", "g"},
    {ARGS_JSON, "json", NULL, "j"},
    {ARGS_SECTOR_SIZE, "sector-size", "N|auto", "s"},
    {ARGS_TIMEOUT, "timeout", "S", "t"},
    {ARGS_RETRIES, "retries", "N", "r"},
    {ARGS_ON_REORG, "on-reorg", "follow|keep", "o"},
    {ARGS_PROOF_BUDGET, "proof-budget", "N", "b"},
    {ARGS_PROVE, "prove", NULL, "v"},
    {ARGS_CHECKPOINT, "checkpoint", "GROUP:SIZE:DIGEST", "k"},
    {ARGS_GATE, "gate", "count|set-hash", "g"},
    {ARGS_AFTER, "after", "B64", "a"},
    {ARGS_SERVER, "server", "URL", "u"},
    {ARGS_TLS_PIN, "tls-pin", "PIN", "i"},
    {ARGS_RPC_COOKIE, "rpc-cookie", "FILE", "c"},
    {ARGS_ALL, "all", NULL, "l"},
    {ARGS_QUIET, "quiet", NULL, "q"},
    {ARGS_TLS_INSECURE, "tls-insecure", NULL, "n"},
    {ARGS_ORDER, "order", "newest|oldest", "o\nsecond line"},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

static const struct command command = {
    .name = "try",
    .summary = "s",
    .usage = "u",
    .options = rows,
    .notes = "n\n",
    .run = nothing,
};

static struct args args;

/* Parses "try --db x FIRST SECOND", where either may be NULL. */
static int parse(const char *first, const char *second)
{
    static char name[] = "try", db[] = "--db", path[] = "x", a[128], b[128];
    char *argv[] = {name, db, path, a, b, NULL};
    int argc = 3;

    if (first) {
        snprintf(a, sizeof a, "%s", first);
        argc++;
    }
    if (second) {
        snprintf(b, sizeof b, "%s", second);
        argc++;
    }
    argv[argc] = NULL;
    return args_parse(&args, &command, argc, argv);
}

Test(cli_args, defaults)
{
    cr_assert_eq(parse(NULL, NULL), ARGS_GO);
    cr_expect_str_eq(args.db, "x");
    cr_expect_eq(args.group, 0);
    cr_expect_eq(args.sector_size, ANONSET_SECTOR_AUTO);
    cr_expect_eq(args.order, ANONSET_NEWEST_FIRST);
    cr_expect(args.follow);
    cr_expect_not(args.has_after);
    cr_expect_not(args.has_retries);
}

Test(cli_args, values_are_taken)
{
    cr_expect_eq(parse("--group", "7"), ARGS_GO);
    cr_expect_eq(args.group, 7);
    cr_expect_eq(parse("--group=8", "--json"), ARGS_GO);
    cr_expect_eq(args.group, 8);
    cr_expect(args.json);
    cr_expect_eq(parse("--sector-size", "65536"), ARGS_GO);
    cr_expect_eq(args.sector_size, 65536);
    cr_expect_eq(parse("--retries", "0"), ARGS_GO);
    cr_expect(args.has_retries);
    cr_expect_eq(parse("--order", "oldest"), ARGS_GO);
    cr_expect_eq(args.order, ANONSET_OLDEST_FIRST);
    cr_expect_eq(parse("--on-reorg", "keep"), ARGS_GO);
    cr_expect_not(args.follow);
    cr_expect_eq(parse("--proof-budget", "0"), ARGS_GO);
    cr_expect_eq(args.proof_budget, 0);
    cr_expect_eq(parse("--prove", "--gate=set-hash"), ARGS_GO);
    cr_expect_eq(args.proof_budget, ANONSET_PROOF_BUDGET_DEFAULT);
    cr_expect(args.prove);
    cr_expect_eq(args.gate, ANONSET_GATE_SET_HASH);
    cr_expect_eq(parse("--checkpoint=1:7:" DIGEST, "--checkpoint=2:4000000000:" DIGEST), ARGS_GO);
    cr_expect_eq(args.checkpoint_n, 2);
    cr_expect_eq(args.checkpoints[1].group, 2);
    cr_expect_eq(args.checkpoints[1].size, 4000000000u);
    cr_expect_eq(args.checkpoints[1].digest[0], 0x1a);
    cr_expect_eq(args.checkpoints[1].digest[31], 0x0f);
    cr_expect_eq(parse("--after", "GvENal0520uya8PPLCoF8FixuIj3XCxMPkjNeL2OQSI="), ARGS_GO);
    cr_expect(args.has_after);
    cr_expect_eq(args.after[0], 0x1a);
}

Test(cli_args, words_and_switches_are_taken)
{
    cr_expect_eq(parse("--server=s", NULL), ARGS_GO);
    cr_expect_str_eq(args.server, "s");
    cr_expect_eq(parse("--tls-pin=i", "--rpc-cookie=c"), ARGS_GO);
    cr_expect_str_eq(args.tls_pin, "i");
    cr_expect_str_eq(args.rpc_cookie, "c");
    cr_expect_not(args.all || args.quiet || args.tls_insecure);
    cr_expect_eq(parse("--all", "--quiet"), ARGS_GO);
    cr_expect(args.all && args.quiet);
    cr_expect_eq(parse("--tls-insecure", "--gate=count"), ARGS_GO);
    cr_expect(args.tls_insecure);
    cr_expect_eq(args.gate, ANONSET_GATE_COUNT);
}

/* "try --db x" and `n` times the same checkpoint. */
static int parse_checkpoints(int n)
{
    static char name[] = "try", db[] = "--db", path[] = "x", one[] = "--checkpoint=1:7:" DIGEST;
    char *argv[ARGS_CHECKPOINTS_MAX + 5] = {name, db, path};

    for (int i = 0; i < n; i++)
        argv[3 + i] = one;
    return args_parse(&args, &command, 3 + n, argv);
}

Test(cli_args, checkpoints_up_to_a_limit, .init = cr_redirect_stderr)
{
    cr_expect_eq(parse_checkpoints(ARGS_CHECKPOINTS_MAX), ARGS_GO);
    cr_expect_eq(args.checkpoint_n, ARGS_CHECKPOINTS_MAX);
    cr_expect_eq(parse_checkpoints(ARGS_CHECKPOINTS_MAX + 1), 2);
}

/* A table of a command that has as many options as there may be. */
Test(cli_args, options_up_to_a_limit)
{
    struct option out[ARGS_OPTIONS_MAX + 1];
    struct option_row many[ARGS_OPTIONS_MAX + 1];

    for (size_t i = 0; i <= ARGS_OPTIONS_MAX; i++)
        many[i] = (struct option_row){ARGS_JSON, "json", NULL, "j"};
    args_getopt(out, many);
    cr_expect_str_eq(out[ARGS_OPTIONS_MAX - 1].name, "json");
    cr_expect_null(out[ARGS_OPTIONS_MAX].name);
}

Test(cli_args, wrong_lines_are_usage_errors_and_say_why, .init = cr_redirect_stderr)
{
    static const char *const lines[][2] = {
        {"--group", NULL},
        {"--group", "0"},
        {"--group", "1x"},
        {"--group", "-1"},
        {"--group", "99999999999"},
        {"--sector-size", "0"},
        {"--sector-size", "65537"},
        {"--sector-size", "Auto"},
        {"--timeout", "0"},
        {"--timeout", "1.5"},
        {"--retries", "-1"},
        {"--on-reorg", "maybe"},
        {"--proof-budget", "-1"},
        {"--checkpoint", "1:7"},
        {"--checkpoint", "0:7:" DIGEST},
        {"--checkpoint", "1:0:" DIGEST},
        {"--checkpoint", "1:7:" DIGEST "0"},
        {"--checkpoint", "1:7:g" DIGEST_TAIL},
        {"--checkpoint", "1:7:" DIGEST_TAIL "g"},
        {"--checkpoint", "123456789012345678901234567890123:7:" DIGEST},
        {"--gate", "none"},
        {"--proof-budget", "4294967296"},
        {"--after", "AAAA"},
        {"--order", "new"},
        {"--nonsense", NULL},
        {"--json=1", NULL},
        {"word", NULL},
        {"-x", NULL},
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect_eq(parse(lines[i][0], lines[i][1]), 2, "%s", lines[i][0]);
}

Test(cli_args, message_names_option_and_value, .init = cr_redirect_stderr)
{
    cr_expect_eq(parse("--group", "1x"), 2);
    fflush(stderr);
    cr_expect_stderr_eq_str("anonset try: --group wants a number, 1 or more, not \"1x\"\n"
                            "Try: anonset try --help\n");
}

Test(cli_args, without_a_command_the_program_itself_is_meant, .init = cr_redirect_stderr)
{
    cr_expect_eq(args_wrong(NULL, "no %s", "luck"), 2);
    fflush(stderr);
    cr_expect_stderr_eq_str("anonset: no luck\nTry: anonset --help\n");
}

Test(cli_args, the_store_must_be_named, .init = cr_redirect_stderr)
{
    char name[] = "try";
    char *argv[] = {name, NULL};

    cr_expect_eq(args_parse(&args, &command, 1, argv), 2);
    cr_expect_eq(parse("--db=", NULL), 2);
}

Test(cli_args, help_shows_every_option, .init = cr_redirect_stdout)
{
    FILE *out;
    char text[4096] = "";

    cr_expect_eq(parse("--help", NULL), 0);
    fflush(stdout);
    out = cr_get_redirected_stdout();
    cr_assert_gt(fread(text, 1, sizeof text - 1, out), 0);
    for (const struct option_row *row = rows; row->name; row++)
        cr_expect_not_null(strstr(text, row->name), "%s", row->name);
    cr_expect_not_null(strstr(text, "        second line\n"));
    cr_expect_not_null(strstr(text, "Exit codes:"));
}
