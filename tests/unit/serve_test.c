/* What remote/serve.c answers: to a sync that hangs on a store which itself follows a chain through
 * every kind of history, and to whatever else a client may send. */
#include "core/base64.h"
#include "core/detail.h"
#include "core/store.h"
#include "remote/json.h"
#include "remote/serve.h"
#include "tests/shims/calls.h"
#include "tests/shims/failing.h"
#include "tests/support/world.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORIES    400u
#define ROUNDS       10u
#define STEPS_MOST   5000u
#define SPOILT_LINES 20000u
#define ANSWER_MOST  (1u << 20)

extern const anonset_backend as_backend_memory;

typedef struct relay {
    tw_world world;
    const tw_chain *chain;
    anonset_store *desktop; /* follows the chain */
    anonset_store *phone;   /* follows the desktop */
    as_session *session;
    uint32_t moves; /* of the chain */
    anonset_result result;
} relay;

static uint64_t first_seed(void)
{
    const char *given = getenv("ANONSET_SEED");
    return given ? strtoull(given, NULL, 10) : 1;
}

static void keep_result(void *context, const anonset_result *result)
{
    *(anonset_result *)context = *result;
}

static const anonset_backend *backend = &as_backend_memory;

static anonset_store *open_store(const char *name, uint64_t seed)
{
    anonset_store_options options;
    anonset_store *store = NULL;
    char path[64];
    snprintf(path, sizeof path, "%s-%llu", name, (unsigned long long)seed);
    anonset_store_options_init(&options);
    options.backend = backend;
    cr_assert_eq(anonset_store_open(&store, path, &options, NULL), ANONSET_OK);
    return store;
}

static void open_session(relay *t)
{
    char hello[] = "{\"id\":0,\"method\":\"server.version\",\"params\":[\"test\",\"1.4\"]}";
    const char *text;
    size_t len;
    as_session_free(t->session);
    t->session = as_session_new(t->desktop, ANONSET_GATE_COUNT);
    cr_assert(t->session);
    as_session_take(t->session, hello, strlen(hello));
    cr_assert_eq(as_session_output(t->session, &text, &len, NULL), ANONSET_OK);
    as_session_sent(t->session, len);
    cr_assert(as_session_is_open(t->session));
}

static void set_up(relay *t, uint64_t seed)
{
    *t = (relay){.chain = NULL};
    tw_world_init(&t->world, seed);
    t->desktop = open_store("desktop", seed);
    t->phone = open_store("phone", seed);
    open_session(t);
}

static void tear_down(relay *t)
{
    as_session_free(t->session);
    anonset_store_close(t->desktop);
    anonset_store_close(t->phone);
    tw_world_free(&t->world);
}

static anonset_sync *begin(relay *t, anonset_store *store)
{
    anonset_sync_options options;
    anonset_sync *sync = NULL;
    anonset_sync_options_init(&options);
    options.sector_size = tw_between(&t->world.rng, 1, 9);
    options.ask_genesis = false;
    options.on_result = keep_result;
    options.context = &t->result;
    cr_assert_eq(anonset_sync_new(&sync, store, &options, NULL), ANONSET_OK);
    return sync;
}

/* What the chain's answers are changed by. */
static void (*lie)(anonset_answer *answer);

/* The desktop's own sync, with the chain itself; after `most` answers it is given up. */
static void sync_some(relay *t, unsigned most)
{
    static tw_reply reply;
    anonset_sync *sync = begin(t, t->desktop);
    const anonset_request *requests;
    anonset_request request;
    anonset_step step;
    while (most > 0 && (step = anonset_sync_step(sync, &request)) != ANONSET_STEP_DONE) {
        if (step != ANONSET_STEP_WAIT)
            continue;
        most--;
        cr_assert_gt(anonset_sync_outstanding(sync, &requests), 0);
        request = requests[0];
        tw_answer(&reply, t->chain, &request);
        if (lie)
            lie(&reply.answer);
        cr_assert_eq(anonset_sync_feed(sync, &reply.answer, NULL), ANONSET_OK);
    }
    anonset_sync_free(sync);
}

static void sync_desktop(relay *t)
{
    sync_some(t, UINT_MAX);
}

static void move_chain(relay *t)
{
    t->chain = tw_mutate(&t->world, t->chain);
    t->moves++;
    sync_desktop(t);
}

/* The whole answer of the session, by pieces; the chain may move between two. False: cut. */
static bool take_answer(relay *t, char *text, size_t *len, double move)
{
    anonset_detail why = {0};
    *len = 0;
    for (;;) {
        const char *piece;
        size_t n;
        anonset_code code = as_session_output(t->session, &piece, &n, &why);
        if (code != ANONSET_OK) {
            cr_assert_eq(code, ANONSET_NOT_FOUND, "%s", why.text);
            return false;
        }
        if (n == 0)
            return true;
        cr_assert_lt(*len + n, ANSWER_MOST);
        memcpy(text + *len, piece, n);
        *len += n;
        as_session_sent(t->session, n);
        if (tw_chance(&t->world.rng, move))
            move_chain(t);
    }
}

static void answer_phone(relay *t, anonset_sync *sync, anonset_answer *answer, double move)
{
    static char text[ANSWER_MOST];
    char line[ANONSET_REQUEST_TEXT];
    const anonset_request *requests;
    size_t n = anonset_sync_outstanding(sync, &requests), len;
    anonset_detail why = {0};
    cr_assert_gt(n, 0);
    size_t written = anonset_request_write(line, &requests[0], ANONSET_ELECTRUMX);
    as_session_take(t->session, line, written - 1);
    if (!take_answer(t, text, &len, move)) {
        open_session(t);
        anonset_sync_reconnect(sync, false);
        return;
    }
    cr_assert_eq(text[len - 1], '\n');
    anonset_answer_clear(answer);
    cr_assert_eq(anonset_answer_read(answer, text, len, requests, n, ANONSET_ELECTRUMX, &why),
                 ANONSET_OK, "%s", why.text);
    cr_assert_neq(answer->kind, ANONSET_ANSWER_ERROR, "%s", answer->text);
    cr_assert_eq(anonset_sync_feed(sync, answer, NULL), ANONSET_OK);
}

static void sync_phone(relay *t, double move)
{
    anonset_answer answer = {.kind = ANONSET_ANSWER_NONE};
    anonset_sync *sync = begin(t, t->phone);
    anonset_request request;
    anonset_step step;
    unsigned steps = 0;
    while ((step = anonset_sync_step(sync, &request)) != ANONSET_STEP_DONE) {
        cr_assert_lt(steps++, STEPS_MOST, "the sync does not end");
        if (step == ANONSET_STEP_WAIT)
            answer_phone(t, sync, &answer, move);
    }
    anonset_answer_clear(&answer);
    anonset_sync_free(sync);
}

static bool same_set(const anonset_state *a, const anonset_state *b)
{
    return a->has_finalized == b->has_finalized &&
           (!a->has_finalized ||
            (memcmp(a->digest, b->digest, sizeof a->digest) == 0 &&
             memcmp(a->finalized.block_hash, b->finalized.block_hash, ANONSET_HASH_BYTES) == 0 &&
             memcmp(a->finalized.set_hash, b->finalized.set_hash, ANONSET_HASH_BYTES) == 0 &&
             a->finalized.size == b->finalized.size));
}

static void play_history(uint64_t seed)
{
    relay t;
    set_up(&t, seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        anonset_state desktop, phone;
        move_chain(&t);
        sync_phone(&t, tw_chance(&t.world.rng, 0.5) ? 0.1 : 0); /* however it ends */
        sync_phone(&t, 0);
        cr_assert_eq(anonset_store_state(t.desktop, &desktop, 1, NULL), ANONSET_OK);
        cr_assert_eq(anonset_store_state(t.phone, &phone, 1, NULL), ANONSET_OK);
        cr_assert(same_set(&desktop, &phone), "ANONSET_SEED=%llu, round %u: %s: %s",
                  (unsigned long long)seed, round, anonset_outcome_name(t.result.outcome),
                  t.result.error.text);
    }
    tear_down(&t);
}

/* ANONSET_SEED begins elsewhere. */
Test(serve, a_phone_has_what_the_desktop_has_after_any_history, .timeout = 120)
{
    for (uint64_t i = 0; i < HISTORIES; i++)
        play_history(first_seed() + i);
}

/* ---- Lines nobody vouches for */

static const char *const good_lines[] = {
    "{\"id\":1,\"method\":\"server.version\",\"params\":[\"x\",\"1.4\"]}",
    "{\"id\":\"a\",\"method\":\"server.features\",\"params\":[]}",
    "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"spark.getsparklatestcoinid\",\"params\":[]}",
    "{\"id\":4,\"method\":\"spark.getsparkanonymitysetmeta\",\"params\":[\"1\"]}",
    "{\"id\":5,\"method\":\"spark.getsparkanonymitysetsector\",\"params\":[\"1\","
    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"0\",\"10\"]}",
    "{\"id\":null,\"method\":\"server.ping\"}",
    "{\"id\":7,\"method\":\"spark.getusedcoinstagstxhashes\",\"params\":[\"0\"]}",
};

/* Changes a few characters, or cuts, or doubles a part. */
static size_t spoil(tw_rng *rng, char *line, size_t len, size_t room)
{
    static const char odd[] = "\"\\[]{},:\0\x01\x80\xff-0129eE.ntu ";
    for (uint32_t n = tw_between(rng, 1, 4); n > 0; n--)
        line[tw_between(rng, 0, (uint32_t)len - 1)] = odd[tw_between(rng, 0, sizeof odd - 2)];
    if (tw_chance(rng, 0.2))
        return tw_between(rng, 1, (uint32_t)len);
    if (tw_chance(rng, 0.2)) {
        size_t from = tw_between(rng, 0, (uint32_t)len - 1), n = len - from;
        n = n < room - len ? n : room - len;
        memmove(line + len, line + from, n);
        return len + n;
    }
    return len;
}

/* Every answer is one line of strict JSON with an id. */
static void expect_json_lines(relay *t)
{
    static const char *const names[] = {"jsonrpc", "id", "result", "error"};
    static char text[ANSWER_MOST];
    as_span values[4];
    size_t len;
    cr_assert(take_answer(t, text, &len, 0));
    if (len == 0)
        return;
    cr_assert_eq(memchr(text, '\n', len), text + len - 1, "%s", text);
    cr_assert(as_json_members((as_span){text, len}, names, values, 4), "%.*s", (int)len, text);
    cr_assert(values[0].at && values[1].at && !values[2].at != !values[3].at, "%.*s", (int)len,
              text);
}

Test(serve, whatever_a_client_sends_is_answered_in_one_line_or_not_at_all, .timeout = 120)
{
    relay t;
    unsigned last = 0;
    set_up(&t, first_seed());
    t.chain = tw_grow(&t.world, NULL, 5);
    sync_desktop(&t);
    for (unsigned i = 0; i < SPOILT_LINES; i++) {
        char line[1024];
        const char *good = good_lines[i % (sizeof good_lines / sizeof *good_lines)];
        size_t len = strlen(good);
        memcpy(line, good, len);
        len = spoil(&t.world.rng, line, len, sizeof line);
        char *exact = malloc(len); /* so that the sanitizers see a byte too far */
        cr_assert(exact);
        memcpy(exact, line, len);
        as_session_take(t.session, exact, len);
        free(exact);
        expect_json_lines(&t);
        if (as_session_is_last(t.session)) {
            last++;
            open_session(&t);
        }
    }
    cr_assert_eq(last, 0); /* a known client's nonsense is answered, and it may go on */
    tear_down(&t);
}

static void expect_answer(relay *t, const char *request, const char *part)
{
    char line[512], *text = malloc(ANSWER_MOST);
    size_t len;
    cr_assert(text);
    snprintf(line, sizeof line, "%s", request);
    as_session_take(t->session, line, strlen(line));
    cr_assert(take_answer(t, text, &len, 0));
    text[len] = '\0';
    cr_assert(strstr(text, part), "%s\nis answered by\n%s", request, text);
    free(text);
}

#define ZEROES "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SECTOR(group, block, from, to)                                                             \
    "{\"id\":9,\"method\":\"spark.getsparkanonymitysetsector\",\"params\":[" group ",\"" block     \
    "\",\"" from "\",\"" to "\"]}"

Test(serve, errors_read_as_a_nodes_through_electrumx)
{
    relay t;
    set_up(&t, 1);
    expect_answer(&t, "{\"id\":2,\"method\":\"spark.getsparklatestcoinid\",\"params\":[]}",
                  "\"result\":0,\"id\":2}\n");
    t.chain = tw_grow(&t.world, NULL, 5);
    sync_desktop(&t);
    expect_answer(&t, "{\"id\":2,\"method\":\"spark.getsparklatestcoinid\",\"params\":[]}",
                  "\"result\":1,\"id\":2}\n");
    expect_answer(&t, SECTOR("\"1\"", ZEROES, "0", "5"),
                  "\"error\":{\"code\":2,\"message\":\"daemon error: DaemonError({'code': -1, "
                  "'message': 'Unable to get anonymity set by provided parameters: Incorrect "
                  "blockHash provided: 000000");
    expect_answer(&t, SECTOR("\"99\"", ZEROES, "0", "5"),
                  "There is no anonymity set with this id: 99'})\"},\"id\":9}\n");
    expect_answer(&t, SECTOR("\"1\"", "AAAA", "0", "5"), "Provided blockHash data is not correct.");
    expect_answer(&t, SECTOR("1", ZEROES, "0", "5"), "JSON value is not a string as expected");
    expect_answer(&t, SECTOR("\"x\"", ZEROES, "0", "5"), "stol");
    expect_answer(&t, SECTOR("\"1\"", ZEROES, "0", "-5"), "stol");
    expect_answer(&t, "{\"id\":2,\"method\":\"spark.getsparkanonymitysetmeta\",\"params\":[\"7\"]}",
                  "\"result\":{\"blockHash\":\"" ZEROES
                  "\",\"setHash\":\"\",\"size\":0},\"id\":2}\n");
    expect_answer(&t, "{\"id\":2,\"method\":\"spark.getsparkanonymitysetmeta\",\"params\":[]}",
                  "\"code\":-32602,");
    expect_answer(&t, "{\"id\":2,\"method\":\"blockchain.transaction.get\",\"params\":[]}",
                  "\"error\":{\"code\":-32601,\"message\":\"unknown method\"},\"id\":2}\n");
    expect_answer(&t, "[{\"id\":2,\"method\":\"server.ping\"}]", "\"code\":-32700,");
    cr_assert(!as_session_is_last(t.session));
    as_session_refuse_line(t.session);
    cr_assert(as_session_is_last(t.session));
    tear_down(&t);
}

Test(serve, a_session_opens_with_server_version)
{
    relay t;
    set_up(&t, 1);
    as_session_free(t.session);
    t.session = as_session_new(t.desktop, ANONSET_GATE_COUNT);
    expect_answer(&t, "{\"id\":2,\"method\":\"server.ping\"}",
                  "\"message\":\"use server.version to identify client\"");
    cr_assert(as_session_is_last(t.session));
    tear_down(&t);
}

Test(serve, sets_below_the_level_asked_for_are_not_there)
{
    relay t;
    anonset_state state;
    set_up(&t, 1);
    t.chain = tw_grow(&t.world, NULL, 1); /* a set of one block has no set hash to prove */
    sync_desktop(&t);
    cr_assert_eq(anonset_store_state(t.desktop, &state, 1, NULL), ANONSET_OK);
    as_session_free(t.session);
    cr_assert_eq(state.gate, ANONSET_GATE_COUNT);
    t.session = as_session_new(t.desktop, ANONSET_GATE_SET_HASH);
    expect_answer(&t, good_lines[0], "anonset ");
    expect_answer(&t, good_lines[2], "\"result\":0,");
    expect_answer(&t, good_lines[3], "\"blockHash\":\"" ZEROES "\"");
    expect_answer(&t, good_lines[4], "There is no anonymity set with this id: 1");
    tear_down(&t);
}

Test(serve, what_is_no_request_is_refused)
{
    static const char *const wrong[] = {
        "{\"id\":{\"a\":1},\"method\":\"server.ping\"}",
        "{\"id\":[1],\"method\":\"server.ping\"}",
        "{\"id\":11111111111111111111111111111111111111111111111111111111111111111,"
        "\"method\":\"server.ping\"}",
        "{\"id\":1}",
        "{\"id\":1,\"method\":7}",
        "{\"id\":1,\"method\":\"server.ping\",\"params\":{}}",
        "{\"id\":1,\"method\":\"server.ping\",\"params\":\"\"}",
    };
    relay t;
    set_up(&t, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_answer(&t, wrong[i], "\"code\":-32600,");
    expect_answer(&t, "{\"id\":1,\"method\":\"server.ping\",\"params\":[]}", "\"result\":null,");
    tear_down(&t);
}

#define META(word) "{\"id\":2,\"method\":\"spark.getsparkanonymitysetmeta\",\"params\":[" word "]}"

Test(serve, words_are_no_longer_than_makes_sense)
{
    relay t;
    set_up(&t, 1);
    t.chain = tw_grow(&t.world, NULL, 5);
    sync_desktop(&t);
    expect_answer(&t, META("\"\\u0031\""), "\"setHash\"");
    expect_answer(&t, META("\"0\""), "\"blockHash\":\"" ZEROES "\"");
    expect_answer(&t, META("\"1\\u0000\""), "stol");
    expect_answer(&t, META("\"1111111111111111111111111111111111111111111111111111111111111111\""),
                  "JSON value is not a string as expected");
    expect_answer(&t, META("{\"1\":\"1\"}"), "JSON value is not a string as expected");
    expect_answer(&t, META("\"1\",\"1\",\"1\",\"1\",\"1\""), "\"code\":-32602,");
    expect_answer(&t, META("\"1\",\"1\",\"1\",\"1\""), "\"code\":-32602,");
    tear_down(&t);
}

Test(serve, a_group_that_is_still_being_fetched_is_not_there)
{
    relay t;
    anonset_state state;
    set_up(&t, 1);
    t.chain = tw_grow(&t.world, NULL, 15);
    sync_some(&t, 3);
    cr_assert_eq(anonset_store_state(t.desktop, &state, 1, NULL), ANONSET_OK);
    cr_assert(state.has_pending && !state.has_finalized);
    expect_answer(&t, good_lines[2], "\"result\":0,");
    expect_answer(&t, good_lines[3], "\"blockHash\":\"" ZEROES "\"");
    tear_down(&t);
}

/* ---- A store that fails, or changes under an answer ----------------------------------------- */

/* The request for all of the set at its newest block. */
static const char *ask_for_all(const relay *t)
{
    static char line[300];
    char block[60];
    block[as_base64_encode(block, t->chain->meta.block_hash, ANONSET_HASH_BYTES)] = '\0';
    (void)snprintf(line, sizeof line,
                   "{\"id\":9,\"method\":\"spark.getsparkanonymitysetsector\",\"params\":[\"1\","
                   "\"%s\",\"0\",\"99999\"]}",
                   block);
    return line;
}

/* All of the answer, or as far as it gets, to `text` of ANSWER_MOST bytes. */
static anonset_code take_pieces(relay *t, char *text, size_t *len, anonset_detail *why)
{
    const char *piece;
    size_t n = 1;
    anonset_code code = ANONSET_OK;
    *len = 0;
    while (n > 0 && (code = as_session_output(t->session, &piece, &n, why)) == ANONSET_OK) {
        cr_assert_lt(*len + n, ANSWER_MOST);
        memcpy(text + *len, piece, n);
        *len += n;
        as_session_sent(t->session, n);
    }
    text[*len] = '\0';
    return code;
}

/* Each call that the request makes into the store fails once: the client is told that the store
 * cannot be read now, or its connection ends; the operator is told why; and nothing stays wrong. */
static void fail_calls(relay *t, const char *request, const char *part)
{
    static char text[ANSWER_MOST];
    char line[512];
    calls_forget();
    do {
        anonset_detail why = {.code = ANONSET_OK}, trouble = {.code = ANONSET_OK};
        size_t len;
        open_session(t);
        (void)snprintf(line, sizeof line, "%s", request);
        calls_arm(false);
        as_session_take(t->session, line, strlen(line));
        bool troubled = as_session_trouble(t->session, &trouble);
        anonset_code code = take_pieces(t, text, &len, &why);
        calls_disarm();
        cr_assert_eq(troubled || code != ANONSET_OK, calls_struck(), "%s: %s", calls_name(), line);
        if (troubled) {
            cr_assert(code == ANONSET_OK && strstr(trouble.text, calls_name()), "%s", trouble.text);
            cr_assert(strstr(text, "server busy") && text[len - 1] == '\n', "%s", text);
            cr_assert(!as_session_trouble(t->session, &trouble), "told twice");
        } else if (calls_struck()) {
            cr_assert(code == ANONSET_IO && strstr(why.text, calls_name()), "%s", why.text);
            continue;
        }
        expect_answer(t, request, part);
    } while (calls_struck());
    cr_expect_gt(calls_ways(), 0);
}

Test(serve, a_store_that_fails_is_no_answer)
{
    static anonset_backend failing;
    relay t;
    failing = failing_backend(&as_backend_memory);
    failing_with(ANONSET_IO);
    backend = &failing;
    set_up(&t, 1);
    t.chain = tw_grow(&t.world, NULL, 8);
    sync_desktop(&t);
    t.chain = tw_grow(&t.world, t.chain, 8);
    sync_desktop(&t);
    fail_calls(&t, good_lines[1], "\"hash_function\":\"sha256\"");
    fail_calls(&t, good_lines[2], "\"result\":1,");
    fail_calls(&t, good_lines[3], "\"setHash\":");
    fail_calls(&t, ask_for_all(&t), "]]},\"id\":9}\n");
    tear_down(&t);
}

static relay *moved; /* its chain grows whenever a snapshot is opened, as often as `moves_left` */
static unsigned moves_left;

static anonset_code open_and_move(void *handle, void **snapshot, anonset_state *state,
                                  uint32_t group, anonset_view view, anonset_detail *detail)
{
    if (moves_left > 0) {
        unsigned left = moves_left - 1;
        moves_left = 0;
        moved->chain = tw_grow(&moved->world, moved->chain, 1);
        sync_desktop(moved);
        moves_left = left;
    }
    return as_backend_memory.snapshot_open(handle, snapshot, state, group, view, detail);
}

Test(serve, syncs_that_end_while_a_block_is_looked_for)
{
    static anonset_backend moving;
    relay t;
    char line[512];
    anonset_detail why = {.code = ANONSET_OK};
    moving = as_backend_memory;
    moving.snapshot_open = open_and_move;
    backend = &moving;
    set_up(&t, 1);
    t.chain = tw_grow(&t.world, NULL, 2);
    sync_desktop(&t);
    moved = &t;
    (void)snprintf(line, sizeof line, "%s", ask_for_all(&t));
    moves_left = 3;
    expect_answer(&t, line, "]]},\"id\":9}\n");
    cr_expect_eq(moves_left, 0);
    cr_expect(!as_session_trouble(t.session, &why));
    tear_down(&t);

    set_up(&t, 2);
    t.chain = tw_grow(&t.world, NULL, 2);
    sync_desktop(&t);
    (void)snprintf(line, sizeof line, "%s", ask_for_all(&t));
    moves_left = 2 * 8; /* as often as it looks */
    expect_answer(&t, line, "server busy");
    cr_expect(as_session_trouble(t.session, &why));
    tear_down(&t);
}

/* The block that an answer began at comes back with other coins, as no chain has it: a store that
 * was removed, and a server that lied. */
Test(serve, an_answer_never_mixes_two_sets_of_one_block)
{
    relay t;
    const char *text;
    size_t len;
    char line[512];
    anonset_detail why = {.code = ANONSET_OK};
    set_up(&t, 1);
    t.chain = tw_grow_wide(&t.world, NULL, 6, 30);
    sync_desktop(&t);
    (void)snprintf(line, sizeof line, "%s", ask_for_all(&t));
    as_session_take(t.session, line, strlen(line));
    for (int piece = 0; piece < 2; piece++) { /* its head, and coins */
        cr_assert_eq(as_session_output(t.session, &text, &len, &why), ANONSET_OK);
        cr_assert_neq(text[len - 1], '\n', "the answer is too short for this test");
        as_session_sent(t.session, len);
    }

    anonset_meta told = t.chain->meta;
    cr_assert_eq(anonset_store_clear(t.desktop, 1, NULL), ANONSET_OK);
    t.chain = tw_grow(&t.world, NULL, 4);
    tw_chain *other = t.world.chains[t.world.n - 1];
    cr_assert_eq(t.chain, other);
    memcpy(other->meta.block_hash, told.block_hash, sizeof told.block_hash);
    memcpy(other->pin[other->n - 1], told.block_hash, sizeof told.block_hash);
    sync_desktop(&t);
    t.chain = tw_grow(&t.world, other, 1);
    sync_desktop(&t);
    cr_assert_eq(as_session_output(t.session, &text, &len, &why), ANONSET_NOT_FOUND);
    tear_down(&t);
}

static uint8_t *giant;

static void tell_a_giant_coin(anonset_answer *answer)
{
    if (answer->kind != ANONSET_ANSWER_COINS)
        return;
    answer->coins[0].serialized = giant;
    answer->coins[0].serialized_len = 1u << 20;
}

Test(serve, a_coin_that_no_sync_would_take_ends_the_session)
{
    relay t;
    static char text[ANSWER_MOST];
    size_t len;
    char line[512];
    anonset_detail why = {.code = ANONSET_OK};
    anonset_state state;
    giant = calloc(1, 1u << 20);
    cr_assert(giant);
    set_up(&t, 1);
    t.chain = tw_grow(&t.world, NULL, 1);
    lie = tell_a_giant_coin;
    sync_desktop(&t);
    lie = NULL;
    cr_assert_eq(anonset_store_state(t.desktop, &state, 1, NULL), ANONSET_OK);
    cr_assert(state.has_finalized, "%s", t.result.error.text);
    (void)snprintf(line, sizeof line, "%s", ask_for_all(&t));
    as_session_take(t.session, line, strlen(line));
    cr_expect_eq(take_pieces(&t, text, &len, &why), ANONSET_NO_MEMORY);
    cr_expect(strstr(why.text, "no memory"), "%s", why.text);
    tear_down(&t);
    free(giant);
}

/* ---- The list of used coin tags ------------------------------------------------------------- */

#define TAGS 2000u /* some pieces */

#define USED(from)                                                                                 \
    "{\"id\":9,\"method\":\"spark.getusedcoinstagstxhashes\",\"params\":[\"" from "\"]}"

static anonset_used tags[TAGS];

/* The desktop's list becomes the first `keep` of these and n more. */
static void write_list(const relay *t, uint32_t keep, uint32_t n, uint8_t digest)
{
    anonset_used_list *list;
    anonset_used_append a = {.keep = keep, .n = n, .used = tags + keep};
    cr_assert_eq(anonset_used_open(&list, t->desktop, NULL), ANONSET_OK);
    a.before = *anonset_used_list_state(list);
    anonset_used_close(list);
    a.digest_after[0] = digest;
    cr_assert_eq(t->desktop->backend->used_append(t->desktop->handle, &a, NULL), ANONSET_OK);
}

static void set_up_list(relay *t, uint32_t n)
{
    set_up(t, 1);
    for (size_t i = 0; i < sizeof tags; i++)
        ((uint8_t *)tags)[i] = (uint8_t)(i * 7 + i / 251);
    write_list(t, 0, n, 1);
}

/* What a node's answer from there on is, as the recorded ones are written. */
static char *expected_list(uint32_t from)
{
    char *text = malloc(ANSWER_MOST), *at = text;
    cr_assert(text);
    at += sprintf(at, "{\"jsonrpc\":\"2.0\",\"result\":{\"tagsandtxids\":[");
    for (uint32_t i = from; i < TAGS; i++) {
        at += sprintf(at, i == from ? "[\"" : ",[\"");
        at += as_base64_encode(at, tags[i].tag, sizeof tags[i].tag);
        at += sprintf(at, "\",\"");
        at += as_base64_encode(at, tags[i].tx_hash, sizeof tags[i].tx_hash);
        at += sprintf(at, "\"]");
    }
    (void)sprintf(at, "]},\"id\":9}\n");
    return text;
}

Test(serve, used_tags_from_anywhere_on)
{
    static const struct {
        const char *request;
        uint32_t from;
    } rows[] = {{USED("0"), 0},       {USED("1"), 1},       {USED("1744"), 1744},
                {USED("1999"), 1999}, {USED("2000"), 2000}, {USED("4294967295"), 2000}};
    static char text[ANSWER_MOST];
    relay t;
    set_up_list(&t, TAGS);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char line[512], *expected = expected_list(rows[i].from);
        anonset_detail why = {.code = ANONSET_OK};
        size_t len;
        snprintf(line, sizeof line, "%s", rows[i].request);
        as_session_take(t.session, line, strlen(line));
        cr_assert_eq(take_pieces(&t, text, &len, &why), ANONSET_OK, "%s", why.text);
        cr_expect(strcmp(text, expected) == 0, "%s", rows[i].request);
        free(expected);
    }
    expect_answer(&t, USED("-1"), "stol");
    expect_answer(&t, USED("x"), "stol");
    expect_answer(&t, USED("4294967296"), "stol");
    expect_answer(&t, "{\"id\":1,\"method\":\"spark.getusedcoinstagstxhashes\",\"params\":[0]}",
                  "not a string");
    expect_answer(&t, "{\"id\":1,\"method\":\"spark.getusedcoinstagstxhashes\",\"params\":[]}",
                  "wrong number of arguments");
    tear_down(&t);
}

Test(serve, a_list_is_written_piece_by_piece)
{
    relay t;
    char line[512];
    const char *text;
    size_t len = 1, pieces = 0;
    set_up_list(&t, TAGS);
    snprintf(line, sizeof line, USED("0"));
    as_session_take(t.session, line, strlen(line));
    for (; len > 0; pieces++) {
        cr_assert_eq(as_session_output(t.session, &text, &len, NULL), ANONSET_OK);
        cr_assert_leq(len, AS_SERVE_PIECE + 256 * 100);
        as_session_sent(t.session, len);
    }
    cr_expect_gt(pieces, 3);
    tear_down(&t);
}

/* An answer must not go on in another list than it began in. */
Test(serve, a_list_that_changes_ends_the_answer)
{
    static const struct {
        uint32_t keep, n;
    } rows[] = {{TAGS - 1, 1}, {TAGS - 500, 100}, {10, TAGS - 10}, {0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        relay t;
        char line[512];
        const char *text;
        size_t len;
        anonset_detail why = {.code = ANONSET_OK};
        set_up_list(&t, TAGS);
        snprintf(line, sizeof line, USED("0"));
        as_session_take(t.session, line, strlen(line));
        for (int piece = 0; piece < 2; piece++) { /* its head, and tags */
            cr_assert_eq(as_session_output(t.session, &text, &len, &why), ANONSET_OK);
            as_session_sent(t.session, len);
        }
        write_list(&t, rows[i].keep, rows[i].n, 2);
        cr_expect_eq(as_session_output(t.session, &text, &len, &why), ANONSET_NOT_FOUND, "row %zu",
                     i);
        tear_down(&t);
    }
}

Test(serve, a_list_that_was_never_synced_is_not_told_as_an_empty_one)
{
    relay t;
    set_up_list(&t, 0);
    expect_answer(&t, USED("0"), "There is no list of used coin tags here");
    tear_down(&t);
}

static anonset_code fail_used_open(void *handle, void **view, anonset_used_state *state,
                                   anonset_detail *detail)
{
    if (calls_fail("used_open"))
        return as_fail(detail, ANONSET_IO, 0, "made to fail: used_open");
    return as_backend_memory.used_open(handle, view, state, detail);
}

static anonset_code fail_used_read(void *view, anonset_used *used, uint32_t *n, uint32_t from,
                                   uint32_t room, anonset_detail *detail)
{
    if (calls_fail("used_read"))
        return as_fail(detail, ANONSET_IO, 0, "made to fail: used_read");
    return as_backend_memory.used_read(view, used, n, from, room, detail);
}

Test(serve, a_store_that_fails_is_no_list)
{
    static anonset_backend failing;
    relay t;
    failing = as_backend_memory;
    failing.used_open = fail_used_open;
    failing.used_read = fail_used_read;
    backend = &failing;
    set_up_list(&t, TAGS);
    fail_calls(&t, USED("100"), "\"]]},\"id\":9}\n");
    tear_down(&t);
}
