/* anonset sync: bring the store up to date with a server. */
#include "cli/bar.h"
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/json.h"
#include "cli/tell.h"
#include "cli/text.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct run {
    const struct args *args;
    bar bar;
    double since; /* start of the group under way */
    unsigned results;
    int code;
};

static double now(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- Interrupting -------------------------------------------------------------------------- */

/* Written before the handler is installed, and again after it is gone. */
static anonset_sync *interruptible;
static volatile sig_atomic_t interrupted;

/* The first SIGINT asks for an orderly end, the second does not wait for it. Either way every
 * sector that was committed is kept. */
static void on_interrupt(int signal)
{
    (void)signal;
    if (interrupted)
        _exit(EXITS_CANCELLED);
    interrupted = 1;
    anonset_sync_cancel(interruptible);
}

static void catch_interrupts(anonset_sync *sync)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

    interruptible = sync;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL); /* fails only for a signal that cannot be caught */
}

static void release_interrupts(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    (void)sigaction(SIGINT, &action, NULL);
}

/* ---- Telling ------------------------------------------------------------------------------- */

/* The group of a sync that failed before any group was begun is not known with --all. */
static void print_json(const anonset_result *r, double seconds)
{
    json j = {.out = stdout};
    bool done = exits_of_result(r->outcome, r->error.code) == EXITS_DONE;

    json_begin(&j, NULL, '{');
    if (r->group)
        json_number(&j, "group", r->group);
    else
        json_null(&j, "group");
    json_string(&j, "outcome", anonset_outcome_name(r->outcome));
    json_finalized(&j, &r->state);
    json_string(&j, "proof", text_proof(r->proof));
    json_number(&j, "fetched", r->fetched);
    json_number(&j, "copied", r->copied);
    json_number(&j, "resumed_from", r->resumed_from);
    json_number(&j, "discarded", r->discarded);
    json_number(&j, "requests", r->requests);
    json_number(&j, "bytes", r->bytes);
    json_seconds(&j, "seconds", seconds);
    json_string(&j, "error", done ? NULL : r->error.text);
    json_end(&j, '}');
    putchar('\n');
}

/* NULL: it was proven, now or before. */
static const char *why_unproven(const anonset_result *r)
{
    switch (r->proof) {
    case ANONSET_PROOF_NONE:
        if (!r->state.finalized.has_set_hash)
            return "a group of one block has none yet";
        return r->state.gate == ANONSET_GATE_SET_HASH
                   ? NULL
                   : "this sync did not look for a proof (--prove does)";
    case ANONSET_PROOF_CONSISTENT:
        return "it follows from the set before, which is not proven itself (try --prove)";
    case ANONSET_PROOF_BUDGET:
        return "the coins may be cut into blocks in more ways than --proof-budget allows to try "
               "(sync more often, or try --prove)";
    case ANONSET_PROOF_NO_HEIGHTS:
        return "the server did not tell the heights of transactions, or told some that cannot "
               "be (try another server)";
    case ANONSET_PROOF_NO_START:
        return "the group before is not held, or not proven (sync it first, or use --all)";
    default:
        return NULL;
    }
}

static void print_summary(const anonset_result *r, double seconds)
{
    char size[TEXT_COUNT], replaced[TEXT_COUNT], fetched[TEXT_COUNT], from[TEXT_COUNT],
        bytes[TEXT_COUNT];
    const char *outcome = r->outcome == ANONSET_UP_TO_DATE   ? "already up to date"
                          : r->outcome == ANONSET_REANCHORED ? "same coins, new newest block"
                                                             : "whole and checked";
    const char *why = why_unproven(r);

    printf("group %u: %s, %s coins (gate level %s)\n", r->group, outcome,
           text_count(size, r->state.finalized.size), text_gate(r->state.gate));
    if (r->replaced)
        printf("  the chain was reorganized: the newest %s coins of the set before were replaced\n",
               text_count(replaced, r->replaced));
    if (r->proof == ANONSET_PROOF_FOUND)
        puts("  the set hash was proven: it follows from these coins");
    if (why)
        printf("  the set hash was not proven: %s\n", why);
    if (r->copied)
        printf("  copied %s coins from group %u, which is held\n", text_count(fetched, r->copied),
               r->group - 1);
    if (r->fetched)
        printf("  fetched %s coins from position %s on: %s in %u requests, %.1f s\n",
               text_count(fetched, r->fetched), text_count(from, r->resumed_from + r->copied),
               text_bytes(bytes, r->bytes), r->requests, seconds);
}

static void on_result(void *context, const anonset_result *result)
{
    struct run *run = context;
    double t = now();
    int code = exits_of_result(result->outcome, result->error.code);

    bar_clear(&run->bar);
    if (run->args->json)
        print_json(result, t - run->since);
    else if (code == EXITS_DONE && !run->args->quiet)
        print_summary(result, t - run->since);
    fflush(stdout);
    tell_result(stderr, result);
    run->since = t;
    run->results++;
    run->code = exits_worse(run->code, code);
}

/* ---- The list of used coin tags ------------------------------------------------------------ */

static void print_used_json(const anonset_used_result *r, double seconds)
{
    json j = {.out = stdout};
    bool done = exits_of_result(r->outcome, r->error.code) == EXITS_DONE;

    json_begin(&j, NULL, '{');
    json_null(&j, "group");
    json_string(&j, "list", "tags");
    json_string(&j, "outcome", anonset_outcome_name(r->outcome));
    json_number(&j, "count", r->state.count);
    json_hex(&j, "digest", r->state.digest);
    json_string(&j, "gate", text_gate(ANONSET_GATE_NONE));
    json_number(&j, "fetched", r->fetched);
    json_number(&j, "resumed_from", r->resumed_from);
    json_number(&j, "replaced", r->replaced);
    json_number(&j, "requests", r->requests);
    json_number(&j, "bytes", r->bytes);
    json_seconds(&j, "seconds", seconds);
    json_string(&j, "error", done || !r->error.text[0] ? NULL : r->error.text);
    json_end(&j, '}');
    putchar('\n');
}

static void print_used_summary(const anonset_used_result *r, double seconds)
{
    char count[TEXT_COUNT], bytes[TEXT_COUNT];

    printf("used coin tags: %s, %s tags (gate level none: nothing commits to this list)\n",
           r->outcome == ANONSET_UP_TO_DATE ? "already up to date" : "as long as the server's",
           text_count(count, r->state.count));
    if (r->replaced)
        printf("  the chain was reorganized: the newest %s were replaced\n",
               text_count(count, r->replaced));
    if (r->fetched)
        printf("  fetched %s: %s in %u requests, %.1f s\n", text_count(count, r->fetched),
               text_bytes(bytes, r->bytes), r->requests, seconds);
}

static void on_used(void *context, const anonset_used_result *result)
{
    struct run *run = context;
    double t = now();
    int code = exits_of_result(result->outcome, result->error.code);

    bar_clear(&run->bar);
    if (run->args->json)
        print_used_json(result, t - run->since);
    else if (code == EXITS_DONE && !run->args->quiet)
        print_used_summary(result, t - run->since);
    fflush(stdout);
    tell_used_result(stderr, result);
    run->results++;
    run->code = exits_worse(run->code, code);
}

static void on_progress(void *context, const anonset_progress *progress)
{
    struct run *run = context;

    bar_progress(&run->bar, progress, now());
}

/* A sync that could not begin has a result too, so that --json always tells one. */
static void fail(struct run *run, anonset_outcome outcome, const anonset_detail *detail)
{
    anonset_result result = {.group = run->args->group, .outcome = outcome, .error = *detail};

    on_result(run, &result);
}

/* ---- Running ------------------------------------------------------------------------------- */

static int check_args(const struct args *args)
{
    if (!args->server)
        return args_wrong("sync", "--server URL is missing");
    if (args->all && args->group)
        return args_wrong("sync", "--group and --all exclude each other");
    if (!args->all && !args->group && !args->tags)
        return args_wrong("sync", "say which group: --group N, or --all; or --tags");
    if (args->tls_pin && args->tls_insecure)
        return args_wrong("sync", "--tls-pin and --tls-insecure exclude each other");
    return EXITS_DONE;
}

static anonset_code make_client(anonset_client **client, const struct args *args,
                                anonset_detail *detail)
{
    anonset_client_options options;

    anonset_client_options_init(&options);
    options.proxy = args->proxy;
    options.tls_pin = args->tls_pin;
    options.tls_insecure = args->tls_insecure;
    options.cookie_file = args->rpc_cookie;
    if (args->timeout_s)
        options.timeout_ms = args->timeout_s * 1000;
    if (args->has_retries)
        options.retries = args->retries;
    return anonset_client_new(client, args->server, &options, detail);
}

static anonset_code drive(struct run *run, anonset_store *store, anonset_client *client,
                          anonset_detail *detail)
{
    anonset_sync_options options;
    anonset_sync *sync;
    anonset_code code;

    anonset_sync_options_init(&options);
    options.group = run->args->group;
    options.sector_size = run->args->sector_size;
    options.on_reorg = run->args->follow ? ANONSET_REORG_FOLLOW : ANONSET_REORG_KEEP;
    options.proof_budget = run->args->proof_budget;
    options.prove = run->args->prove;
    options.trusted = run->args->checkpoints;
    options.trusted_n = run->args->checkpoint_n;
    options.on_result = on_result;
    options.on_progress = on_progress;
    options.on_used = on_used;
    if (run->args->tags)
        options.used = run->args->all || run->args->group ? ANONSET_USED_TOO : ANONSET_USED_ONLY;
    options.context = run;
    code = anonset_sync_new(&sync, store, &options, detail);
    if (code != ANONSET_OK)
        return code;
    bar_start(&run->bar, !run->args->quiet, run->args->group);
    run->since = now();
    catch_interrupts(sync);
    code = anonset_client_run(client, sync, detail);
    release_interrupts();
    bar_clear(&run->bar);
    anonset_sync_free(sync);
    return code;
}

static anonset_outcome outcome_of_store(anonset_code code)
{
    return code == ANONSET_BUSY ? ANONSET_STORE_BUSY : ANONSET_STORE_ERROR;
}

static int run_sync(const struct args *args)
{
    struct run run = {.args = args, .since = now()};
    anonset_detail detail = {0};
    anonset_client *client = NULL;
    anonset_store *store = NULL;
    anonset_store_options options;
    anonset_code code;
    int usage = check_args(args);

    if (usage != EXITS_DONE)
        return usage;
    /* First what touches nothing: a mistyped URL must not leave an empty store behind. */
    code = make_client(&client, args, &detail);
    if (code == ANONSET_NO_MEMORY) {
        fail(&run, ANONSET_NETWORK_ERROR, &detail);
        goto out;
    }
    if (code != ANONSET_OK)
        return args_wrong("sync", "%s", detail.text);
    anonset_store_options_init(&options);
    code = anonset_store_open(&store, args->db, &options, &detail);
    if (code != ANONSET_OK) {
        fail(&run, outcome_of_store(code), &detail);
        goto out;
    }
    code = drive(&run, store, client, &detail);
    if (!run.results) {
        detail.code = code;
        fail(&run, ANONSET_NETWORK_ERROR, &detail);
    }
out:
    anonset_store_close(store);
    anonset_client_free(client);
    return run.code;
}

static const struct option_row options[] = {
    {ARGS_DB, "db", "PATH", "The store's file; made if there is none. Required."},
    {ARGS_SERVER, "server", "URL",
     "Where to download from. Required.\n"
     "tcp://HOST:PORT or ssl://HOST:PORT is an ElectrumX server,\n"
     "http://HOST:PORT or https://HOST:PORT is firod (run with -mobile)."},
    {ARGS_GROUP, "group", "N",
     "The coin group to sync, 1 or more. This, --all or --tags is required."},
    {ARGS_ALL, "all", NULL, "Every group, from 1 to the server's newest."},
    {ARGS_TAGS, "tags", NULL,
     "Also the list of used coin tags, behind the groups; alone, nothing else.\n"
     "Nothing commits to this list: it is what one server says. Read it with\n"
     "anonset tags and anonset check."},
    {ARGS_JSON, "json", NULL,
     "Print one JSON object a group, a line each, with the fields group,\n"
     "outcome, block_hash, set_hash, size, digest, gate, proof, fetched,\n"
     "copied, resumed_from, discarded, requests, bytes, seconds and error;\n"
     "with --tags one with group (null), list (\"tags\"), outcome, count, digest,\n"
     "gate, fetched, resumed_from, replaced, requests, bytes, seconds, error."},
    {ARGS_SECTOR_SIZE, "sector-size", "N|auto",
     "Coins a request, 1 to 65536. The default, auto, adapts to the server\n"
     "and the line."},
    {ARGS_PROXY, "proxy", "URL",
     "Go through this proxy, socks5h://127.0.0.1:9050 for Tor. Proxies named\n"
     "in the environment are not used."},
    {ARGS_TIMEOUT, "timeout", "S",
     "Give up on an answer after S seconds without a byte of it, or when it is\n"
     "S seconds behind 100 bytes a second, 1 to 86400. The default is 30."},
    {ARGS_RETRIES, "retries", "N",
     "Transient failures in a row, without progress, before giving up, 0 to\n"
     "1000000. The default is 5."},
    {ARGS_ON_REORG, "on-reorg", "follow|keep",
     "What to do when the chain was reorganized below the stored set. follow,\n"
     "the default, downloads the coins that were replaced, and shows the new\n"
     "set once it is whole; keep changes nothing, tells so and exits with 5."},
    {ARGS_PROOF_BUDGET, "proof-budget", "N",
     "Hashes to compute for proving that the coins match the set hash, 0 to\n"
     "4294967295. The default, 65536, takes well under a second and proves\n"
     "most additions of up to 12 to 14 small blocks; each block boundary that\n"
     "the coins leave open doubles the need."},
    {ARGS_PROVE, "prove", NULL,
     "Where that does not suffice, ask the server for the heights of\n"
     "transactions at open block boundaries: proves a set of any size, also\n"
     "one that is up to date but was not proven."},
    {ARGS_CHECKPOINT, "checkpoint", "GROUP:SIZE:DIGEST",
     "Refuse a set whose first SIZE coins have another digest than this one,\n"
     "64 hexadecimal digits as status --json of another wallet shows them.\n"
     "May be given up to 64 times."},
    {ARGS_TLS_PIN, "tls-pin", "PIN",
     "sha256//BASE64 of the public key that an ssl:// or https:// server must\n"
     "have; certificate authorities are then not asked. Right for servers\n"
     "with a certificate of their own making."},
    {ARGS_TLS_INSECURE, "tls-insecure", NULL,
     "Accept any certificate: whoever sits between you and the server can\n"
     "read and change what is sent."},
    {ARGS_RPC_COOKIE, "rpc-cookie", "FILE",
     "firod's .cookie file. Without it the user and password are taken from\n"
     "ANONSET_RPC_USER and ANONSET_RPC_PASSWORD in the environment."},
    {ARGS_QUIET, "quiet", NULL,
     "No progress bar and no summary. Failures are still told on stderr."},
    ARGS_ROW_HELP,
    ARGS_ROW_END,
};

const struct command cmd_sync = {
    .name = "sync",
    .summary = "download what is new, check it, make it visible",
    .usage = "--db PATH --server URL (--group N | --all | --tags) [OPTIONS]",
    .options = options,
    .notes = "A sync may be stopped at any moment, by SIGINT, SIGKILL or power loss: run the same\n"
             "command again and it goes on where it stopped. A second SIGINT does not wait.\n"
             "With --all the exit code is the first present of 130, 1, 6, 7, 4, 3, 5, 0.\n",
    .run = run_sync,
};
