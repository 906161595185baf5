#include "bench/paths.h"

#include "bench/bench.h"
#include "tests/support/support.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOB_MS_MOST 600000u

/* What is looked for, in which job. Inclusive: with all that the function calls. */
static const struct {
    const char *row;
    bool reads;
    const char *function;
    const char *what;
} paths[] = {
    {"legacy", false, "legacy_append", "legacy: statements of a commit"},
    {"bare-sqlite", false, "bare_append", "bare SQLite: a commit"},
    {"bare-lmdb", false, "bare_append", "bare LMDB: a commit"},
    {"sqlite", false, "set_append", "anonset, SQLite: a commit, with:"},
    {"sqlite", false, "as_digest_coin", "    log digest (no SHA instructions here)"},
    {"sqlite", false, "as_tag", "    tag"},
    {"sqlite", false, "as_pack_fit", "    cut into packs"},
    {"sqlite", false, "as_pack_write", "    packs written"},
    {"sqlite", false, "set_check", "anonset, SQLite: uniqueness"},
    {"lmdb", false, "set_append", "anonset, LMDB: a commit"},
    {"lmdb", false, "set_check", "anonset, LMDB: uniqueness"},
    {"legacy", true, "legacy_read", "legacy: read"},
    {"sqlite", true, "read_all", "anonset, SQLite: read, with:"},
    {"sqlite", true, "as_pack_coins", "    packs taken apart"},
    {"lmdb", true, "read_all", "anonset, LMDB: read"},
};

static void run(ts_result *result, const char *const *argv)
{
    ts_process process;
    ts_start(&process, argv);
    ts_finish(&process, result, JOB_MS_MOST);
    if (result->exit_code != 0)
        fail("%s ended with %d: %s", argv[0], result->exit_code, result->err);
}

/* Runs a job under callgrind and gives its profile as text. */
static char *profile(const char *const *job, const char *file)
{
    char out[600];
    ts_result result;
    (void)snprintf(out, sizeof out, "--callgrind-out-file=%s", file);
    run(&result, (const char *[]){"/usr/bin/valgrind", "--tool=callgrind", out, job[0], job[1],
                                  job[2], job[3], job[4], job[5], job[6], NULL});
    ts_result_free(&result);
    run(&result, (const char *[]){"/usr/bin/callgrind_annotate", "--inclusive=yes",
                                  "--threshold=100", file, NULL});
    char *text = strdup(result.out);
    ts_result_free(&result);
    if (!text)
        fail("no memory");
    return text;
}

/* The number a line begins with, "12,345 (1.2%)  file:function [object]". */
static double leading_number(const char *line)
{
    double n = 0;
    for (; isdigit((unsigned char)*line) || *line == ',' || *line == ' '; line++)
        if (isdigit((unsigned char)*line))
            n = n * 10 + (*line - '0');
    return n;
}

static double instructions(const char *text, const char *function)
{
    char name[80];
    size_t len = (size_t)snprintf(name, sizeof name, ":%s", function);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at += len) {
        const char *line = at;
        if (at[len] != ' ' && at[len] != '\n' && at[len] != '\'')
            continue;
        while (line > text && line[-1] != '\n')
            line--;
        return leading_number(line);
    }
    return 0;
}

static bool is_same_job(size_t a, size_t b)
{
    return paths[a].reads == paths[b].reads && strcmp(paths[a].row, paths[b].row) == 0;
}

static char *profile_of(size_t i, const char *program, uint32_t coins, const ts_dir *root)
{
    char n[16], store[300];
    char *text;
    (void)snprintf(n, sizeof n, "%u", coins);
    (void)snprintf(store, sizeof store, "%s", ts_in(root, paths[i].row));
    const char *write[] = {program, "--job", "write", paths[i].row, n, "1500", store};
    const char *read[] = {program, "--job", "read", paths[i].row, n, "1", store};
    text = profile(paths[i].reads ? read : write, ts_in(root, "profile"));
    return text;
}

static void make_directories(const ts_dir *root)
{
    for (size_t i = 0; rows[i]; i++) {
        ts_result result;
        run(&result, (const char *[]){"/bin/mkdir", ts_in(root, rows[i]->name), NULL});
        ts_result_free(&result);
    }
}

void paths_report(FILE *out, const char *program, uint32_t coins)
{
    ts_dir root;
    char *text = NULL;
    if (access("/usr/bin/valgrind", X_OK) != 0) {
        (void)fprintf(out, "\nInstructions: not counted, valgrind is not installed\n");
        return;
    }
    (void)fprintf(out, "\n%-52s | instructions a coin (callgrind, %u coins)\n", "hot path", coins);
    ts_dir_make(&root);
    make_directories(&root);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (!text || !is_same_job(i, i - 1)) {
            free(text);
            text = profile_of(i, program, coins, &root);
        }
        double n = instructions(text, paths[i].function);
        /* A snapshot is read twice by the job. */
        (void)fprintf(out, "%-52s | %10.0f\n", paths[i].what, n / coins / (paths[i].reads ? 2 : 1));
    }
    free(text);
    ts_dir_remove(&root);
}
