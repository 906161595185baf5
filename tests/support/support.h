/*
 * What a scenario test needs: the test server, the programs, directories, fields of JSON.
 *
 * Nothing here returns an error: a helper that cannot do its work ends the test with a message
 * (abort, which Criterion reports as a crash of that test). Whatever is started dies with the
 * test's process, however that ends; directories are removed by ts_dir_remove and left for the
 * curious when a test fails.
 *
 *     TestSuite(sync);
 *     Test(sync, resumes_after_a_kill)
 *     {
 *         ts_dir dir;
 *         ts_server server;
 *         ts_result result;
 *         ts_dir_make(&dir);
 *         ts_server_start(&server, "--coins", "20000", NULL);
 *         ts_tell(&server, "hold 5");
 *         ts_process sync;
 *         ts_anonset_start(&sync, "lmdb", "sync", "--db", ts_in(&dir, "store"), "--server",
 * server.tcp,
 *                          "--group", "1", "--json", NULL);
 *         ts_wait(&server, "held", 1);
 *         ts_kill(&sync);
 *         ts_tell(&server, "release");
 *         ts_anonset(&result, "lmdb", "sync", …, NULL);
 *         cr_assert_eq(result.exit_code, 0);
 *         cr_assert(ts_json_is(result.out, "outcome", "finalized"));
 *         ts_result_free(&result);
 *         ts_server_stop(&server);
 *         ts_dir_remove(&dir);
 *     }
 *
 * The server's options, commands and counters are listed in tests/server/README.md.
 */
#ifndef TS_SUPPORT_H
#define TS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Names of the backends that make check builds, NULL-ended: "sqlite", "lmdb". */
extern const char *const ts_backends[];

/* Prints the message and ends the test. */
_Noreturn void ts_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A path below the source tree (for instance "tests/fixtures/g_60blocks"); a string that lives as
 * long as the process. */
const char *ts_source(const char *below);

/* ---- Directories and files ---------------------------------------------------------------- */

typedef struct ts_dir {
    char path[256];
} ts_dir;

/* Makes a new directory under $TMPDIR or /tmp. */
void ts_dir_make(ts_dir *dir);
/* Removes it and all below it. */
void ts_dir_remove(ts_dir *dir);
/* The path of `name` in it; a string that lives as long as the process. */
const char *ts_in(const ts_dir *dir, const char *name);

/* Reads a whole file, NUL added; the caller frees it. *len may be NULL. */
char *ts_read_file(const char *path, size_t *len);
void ts_write_file(const char *path, const void *bytes, size_t len);
bool ts_same_file(const char *a, const char *b);

/* ---- The test server ---------------------------------------------------------------------- */

typedef struct ts_server {
    pid_t pid;
    int control;       /* the control connection */
    int lifeline;      /* the server's standard input: it ends when this closes */
    char tcp[64];      /* "tcp://127.0.0.1:PORT", ElectrumX */
    char http[64];     /* "http://127.0.0.1:PORT", firod */
    char ssl[64];      /* "ssl://127.0.0.1:PORT"; "" unless --tls-cert or --tls-make is given */
    char https[64];    /* the same for firod */
    char socks[64];    /* "socks5h://127.0.0.1:PORT": a proxy that leads to this very server */
    char tls_pin[80];  /* "sha256//…" of the server's key; "" without TLS */
    char answer[4096]; /* what ts_tell returned last */
} ts_server;

/* Starts anonset-testserver with these options, NULL-ended, and waits until it listens. */
void ts_server_start(ts_server *server, ...) __attribute__((sentinel));
/* Ends it and reaps it. */
void ts_server_stop(ts_server *server);

/* Sends one control command and returns the answer behind "ok", without the line end. It lives
 * until the next call. An answer "error …" ends the test. */
const char *ts_tell(ts_server *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* One counter's value ("coins", "sectors", …). */
uint64_t ts_count(ts_server *server, const char *counter);
/* Blocks until a counter is at least `value`. Ends the test after 60 seconds. */
void ts_wait(ts_server *server, const char *counter, uint64_t value);

/* Seconds on a clock that only goes on. */
double ts_now(void);

/* ---- Programs ----------------------------------------------------------------------------- */

typedef struct ts_result {
    int exit_code; /* -1: ended by a signal */
    int signal;    /* 0: ended by itself */
    char *out;     /* all of standard output, NUL added; never NULL */
    char *err;
    size_t out_len;
    double seconds;
    long peak_kib; /* of memory, at its most */
} ts_result;

typedef struct ts_process {
    pid_t pid;
    int out; /* files in memory that take its output */
    int err;
    int alive; /* a pipe that ends with the process */
    double started;
} ts_process;

/* Turns the calling process into that program, or ends it with a message. */
_Noreturn void ts_exec(const char *const *argv);
/* Starts a program with arguments, NULL-ended (argv[0] is its path), standard input closed. It dies
 * with the test. */
void ts_start(ts_process *process, const char *const *argv);
/* Waits for its end. After `timeout_ms` it is killed and the test ended with its output. */
void ts_finish(ts_process *process, ts_result *result, unsigned timeout_ms);
/* Waits at most `ms` for its end; true if it has ended (then call ts_finish). */
bool ts_ended(ts_process *process, unsigned ms);
/* SIGKILL, and reaps it. Harmless if it has ended already. */
void ts_kill(ts_process *process);
/* Sends a signal. */
void ts_signal(ts_process *process, int number);
void ts_result_free(ts_result *result);

/* This process' descriptor `from` leads where `to` does, until ts_restore is given what this
 * returns. */
int ts_redirect(int from, int to);
void ts_restore(int from, int kept);

/* The anonset program of one backend ("sqlite" or "lmdb"). */
const char *ts_anonset_path(const char *backend);
/* Starts it, or runs it to its end (120 seconds at most), with arguments, NULL-ended. */
void ts_anonset_start(ts_process *process, const char *backend, ...) __attribute__((sentinel));
void ts_anonset(ts_result *result, const char *backend, ...) __attribute__((sentinel));

/* ---- JSON --------------------------------------------------------------------------------- */

/*
 * The value at `path` in the first JSON document of `json`: member names and array indices
 * separated by dots, as "outcome" or "0.finalized.size". A string comes without its quotes,
 * anything else as it stands; escapes stay. Returns NULL if there is no such value. The result
 * lives until the 16th call after.
 */
const char *ts_json(const char *json, const char *path);
/* It is there and reads so. */
bool ts_json_is(const char *json, const char *path, const char *value);
/* Its number; ends the test if it is none. */
int64_t ts_json_int(const char *json, const char *path);
/* The start of line `index` of text, or NULL. */
const char *ts_line(const char *text, size_t index);

#endif
