/*
 * A client is made, connects, asks and is answered, and is ended, with the test server on the other
 * side: for coins, and for the list of used tags. The store is in memory: what is looked at here is
 * ours in remote/, and libcurl.
 */
#include "tests/faults/client.h"

#include "backends/backends.h"
#include "remote/client.h"
#include "tests/support/support.h"

#include <openssl/crypto.h>
#include <string.h>

#define GROUP     1u
#define USED_TAGS (ANONSET_USED_BATCH + 800u) /* two commits */

/* Coins, or the list of used tags. */
typedef struct how {
    const char *url;
    anonset_used_mode used;
} how;

typedef struct drive {
    const how *how;
    anonset_store *store;
    anonset_result result;
    anonset_detail detail;
} drive;

static void keep_result(void *context, const anonset_result *result)
{
    *(anonset_result *)context = *result;
}

static void keep_used(void *context, const anonset_used_result *used)
{
    anonset_result *result = context;
    result->outcome = used->outcome;
    result->error = used->error;
}

static anonset_code run_client(drive *d)
{
    anonset_client *client = NULL;
    anonset_sync *sync = NULL;
    anonset_client_options options;
    anonset_sync_options asked;
    anonset_client_options_init(&options);
    options.retries = 1;
    anonset_sync_options_init(&asked);
    asked.sector_size = 40;
    asked.used = d->how->used;
    asked.on_used = keep_used;
    asked.on_result = keep_result;
    asked.context = &d->result;
    d->result = (anonset_result){.outcome = ANONSET_OUTCOME_COUNT};
    d->detail = (anonset_detail){.code = ANONSET_OK};
    anonset_code code = anonset_client_new(&client, d->how->url, &options, &d->detail);
    if (code == ANONSET_OK)
        client->backoff_base_ms = client->backoff_cap_ms = 1;
    if (code == ANONSET_OK)
        code = anonset_sync_new(&sync, d->store, &asked, &d->detail);
    if (code == ANONSET_OK)
        code = anonset_client_run(client, sync, &d->detail);
    if (code == ANONSET_OK) {
        d->detail = d->result.error;
        code = d->detail.code;
    }
    anonset_sync_free(sync);
    anonset_client_free(client);
    return code;
}

/* libcurl does not tell everywhere that memory was what it lacked: the connection is then lost, and
 * the sync may be run again. */
static void check_code(const drive *d, tf_report *report)
{
    anonset_code code = report->code;
    bool lost = code == ANONSET_NETWORK && d->result.outcome == ANONSET_NETWORK_ERROR;
    if (code != ANONSET_OK && code != ANONSET_NO_MEMORY && !lost)
        tf_is_bad(report, "it answers code %d: %s", (int)code, d->detail.text);
    else if (code != ANONSET_OK && (d->detail.code != code || d->detail.text[0] == '\0'))
        tf_is_bad(report, "the detail does not tell of it");
    else if (code == ANONSET_OK && d->result.outcome != ANONSET_FINALIZED)
        tf_is_bad(report, "it ends as %s", anonset_outcome_name(d->result.outcome));
}

/* Whether the list of used tags is sound; sets what it shows. */
static bool is_list_sound(const drive *d, uint8_t *digest)
{
    anonset_used_list *list;
    bool sound = false;
    if (anonset_used_open(&list, d->store, NULL) != ANONSET_OK)
        return false;
    memcpy(digest, anonset_used_list_state(list)->digest, ANONSET_HASH_BYTES);
    if (anonset_used_verify(list, &sound, NULL) != ANONSET_OK)
        sound = false;
    anonset_used_close(list);
    return sound;
}

static bool is_sound(const drive *d, uint8_t *digest)
{
    anonset_verdict verdict;
    if (d->how->used == ANONSET_USED_ONLY)
        return is_list_sound(d, digest);
    if (anonset_store_verify(d->store, &verdict, GROUP, NULL) != ANONSET_OK)
        return false;
    memcpy(digest, verdict.digest, sizeof verdict.digest);
    return verdict.sound;
}

/* The set is sound, and the one of the run without faults. */
static void check_set(const drive *d, tf_report *report)
{
    uint64_t image;
    uint8_t digest[ANONSET_HASH_BYTES] = {0};
    if (!is_sound(d, digest))
        tf_is_bad(report, "the set is not sound in the end");
    memcpy(&image, digest, sizeof image);
    if (report->records)
        report->images[report->n_images++] = image;
    else if (image != report->images[0])
        tf_is_bad(report, "the set is another one in the end");
}

static void play(const tf_course *course, tf_report *report)
{
    drive d = {.how = course->context};
    anonset_store_options options;
    anonset_store_options_init(&options);
    options.backend = &as_backend_memory;
    if (anonset_store_open(&d.store, "/no/such/store", &options, NULL) != ANONSET_OK)
        ts_die("no store in memory");
    nomem_arm(&report->plan);
    report->code = run_client(&d);
    nomem_disarm();
    check_code(&d, report);
    if (run_client(&d) != ANONSET_OK || d.result.outcome > ANONSET_UP_TO_DATE)
        tf_is_bad(report, "the next sync ends as %s: %s", anonset_outcome_name(d.result.outcome),
                  d.detail.text);
    else
        check_set(&d, report);
    (void)anonset_store_clear(d.store, 0, NULL);
    anonset_store_close(d.store);
    OPENSSL_thread_stop(); /* libcrypto keeps the texts of its last errors, for the thread to read
                            */
}

/* libcurl looks up names on a thread, and the C library keeps a block with the stack of one that
 * ended, for the next; a connection that fails may come to a second thread. */
#define STACKS_KEPT 1

void tf_client(tf_figures *sum, const tf_options *options)
{
    ts_server server;
    ts_server_start(&server, "--coins", "120", NULL);
    ts_tell(&server, "used %u", USED_TAGS);
    const how tcp = {server.tcp, ANONSET_USED_NO}, http = {server.http, ANONSET_USED_NO},
              tcp_tags = {server.tcp, ANONSET_USED_ONLY},
              http_tags = {server.http, ANONSET_USED_ONLY};
    tf_course courses[] = {{"client: tcp", play, &tcp, true, STACKS_KEPT},
                           {"client: http", play, &http, true, STACKS_KEPT},
                           {"client: tcp tags", play, &tcp_tags, true, STACKS_KEPT},
                           {"client: http tags", play, &http_tags, true, STACKS_KEPT}};
    for (size_t i = 0; i < sizeof courses / sizeof *courses; i++)
        tf_run(sum, &courses[i], options);
    ts_server_stop(&server);
}
