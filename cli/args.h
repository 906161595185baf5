/* Command lines: every option of every command, taken strictly. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <anonset/anonset.h>
#include <getopt.h>
#include <stdio.h>

struct command;

enum args_id {
    ARGS_DB = 1,
    ARGS_SERVER,
    ARGS_GROUP,
    ARGS_ALL,
    ARGS_JSON,
    ARGS_SECTOR_SIZE,
    ARGS_PROXY,
    ARGS_TIMEOUT,
    ARGS_RETRIES,
    ARGS_ON_REORG,
    ARGS_PROOF_BUDGET,
    ARGS_PROVE,
    ARGS_CHECKPOINT,
    ARGS_GATE,
    ARGS_TLS_PIN,
    ARGS_TLS_INSECURE,
    ARGS_RPC_COOKIE,
    ARGS_QUIET,
    ARGS_AFTER,
    ARGS_ORDER,
    ARGS_LISTEN,
    ARGS_TAGS,
    ARGS_TXID,
    ARGS_FROM,
    ARGS_HELP,
    ARGS_VERSION, /* of a program, not of a command */
    ARGS_TO,
};

/* One option of one command. */
struct option_row {
    enum args_id id;
    const char *name;  /* without the dashes */
    const char *value; /* its value's name in the help; NULL: it takes none */
    const char *help;  /* lines for --help, separated by line ends */
};

#define ARGS_OPTIONS_MAX     20 /* of one command */
#define ARGS_CHECKPOINTS_MAX 64

#define ARGS_ROW_DB                                                                                \
    {                                                                                              \
        ARGS_DB, "db", "PATH", "The store's file. Required."                                       \
    }
#define ARGS_ROW_HELP                                                                              \
    {                                                                                              \
        ARGS_HELP, "help", NULL, "Show this text."                                                 \
    }
#define ARGS_ROW_END                                                                               \
    {                                                                                              \
        ARGS_HELP, NULL, NULL, NULL                                                                \
    }

/* What a command line said. Strings are borrowed from it. */
struct args {
    const char *db;
    const char *server;
    const char *proxy;
    const char *tls_pin;
    const char *rpc_cookie;
    const char *listen;  /* NULL: not given */
    const char *operand; /* the word without an option that the command takes */
    uint32_t from;
    uint32_t group; /* 0: not given */
    uint32_t sector_size;
    uint32_t timeout_s; /* 0: not given */
    uint32_t retries;
    uint32_t proof_budget;
    anonset_order order;
    anonset_gate gate; /* --gate; NONE: not given */
    anonset_trusted checkpoints[ARGS_CHECKPOINTS_MAX];
    uint32_t checkpoint_n;
    uint8_t after[ANONSET_HASH_BYTES];
    bool has_after;
    bool has_retries;
    bool all;
    bool json;
    bool quiet;
    bool tls_insecure;
    bool prove;
    bool follow; /* --on-reorg */
    bool tags;
    bool txid;
};

#define ARGS_GO (-1) /* no exit code: go on */

/* Reads the command line of `command`; argv[0] is not looked at. Returns ARGS_GO, or the exit code
 * to end with: help was shown, or what is wrong was said on stderr. */
int args_parse(struct args *args, const struct command *command, int argc, char **argv);

/* Says on stderr what is wrong with the command line; returns the exit code. */
int args_wrong(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

void args_help(FILE *out, const struct command *command);

/* The rows as getopt_long wants them; the index into both is the same. */
void args_getopt(struct option out[ARGS_OPTIONS_MAX + 1], const struct option_row *rows);

#endif
