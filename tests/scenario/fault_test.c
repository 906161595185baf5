/*
 * Every fault a server can have, on both protocols and both backends: the sync ends with the
 * documented outcome and exit code and says what to do, the finalized set is untouched, and the
 * next sync finishes.
 */
#include "tests/scenario/scene.h"

#include <stdio.h>
#include <string.h>

struct fault {
    const char *rule;    /* behind "fault " */
    const char *outcome; /* "finalized": it was got over within the sync */
    int exit_code;
};

#define FINALIZED     "finalized", 0
#define NETWORK_ERROR "network_error", 3
#define BAD_SECTOR    "bad_sector", 4
#define GATE_REFUSED  "gate_refused", 4
#define ANOMALY       "anomaly", 4

/* Rules strike the sector behind the first two (skip=4: old pin, made-up pin, two sectors). */
static const struct fault everywhere[] = {
    {"drop skip=4", FINALIZED},
    {"drop skip=4 times=0", NETWORK_ERROR},
    {"cut skip=4", FINALIZED},
    {"cut skip=4 times=0", NETWORK_ERROR},
    {"hang skip=4", FINALIZED},
    {"hang skip=4 times=0", NETWORK_ERROR},
    {"slow skip=4 arg=40000", FINALIZED},
    {"refuse on=connect times=0", NETWORK_ERROR},
    {"huge skip=4 times=0", NETWORK_ERROR},
    {"deep skip=4 times=0", NETWORK_ERROR},
    {"wrong-id skip=4 times=0", NETWORK_ERROR},
    {"error skip=4 times=0 text=no such luck", NETWORK_ERROR},
    {"garbage skip=4 times=0", NETWORK_ERROR},
    {"broken skip=4 times=0", NETWORK_ERROR},
    {"no-json skip=4 times=0", NETWORK_ERROR},
    {"base64 skip=4 times=0", NETWORK_ERROR},
    {"padding skip=4 times=0", NETWORK_ERROR},
    {"fields skip=4 times=0", NETWORK_ERROR},
    {"number skip=4 times=0", NETWORK_ERROR},
    {"short skip=4", BAD_SECTOR},
    {"long skip=4", BAD_SECTOR},
    {"tail skip=4", BAD_SECTOR},
    {"dup skip=4", GATE_REFUSED},
    {"drop on=meta times=0", NETWORK_ERROR},
    {"cut on=meta", FINALIZED},
    {"no-json on=meta times=0", NETWORK_ERROR},
    {"error on=meta times=0 text=not now", NETWORK_ERROR},
    {"hang on=meta times=0", NETWORK_ERROR},
};

static const struct fault electrumx_only[] = {
    {"too-large skip=4", FINALIZED},
    {"too-large times=0", NETWORK_ERROR},
    {"flood skip=4 arg=50", FINALIZED},
    {"drop on=version times=0", NETWORK_ERROR},
};

static void strike(scene *s, const char *url, const struct fault *fault)
{
    char before[65];
    (void)snprintf(before, sizeof before, "%s", scene_digest(s));
    ts_tell(&s->server, "grow 400");
    ts_tell(&s->server, "fault %s", fault->rule);
    scene_sync_at(s, url, "--sector-size", "60", "--timeout", "1", "--retries", "1", NULL);
    cr_log_info("%s: %s%s", fault->rule, s->last.out, s->last.err);
    cr_assert(ts_json_is(s->last.out, "outcome", fault->outcome) &&
                  s->last.exit_code == fault->exit_code,
              "%s, %s: exit %d: %s%s", s->backend, fault->rule, s->last.exit_code, s->last.out,
              s->last.err);
    cr_assert_eq(ts_json_is(s->last.out, "error", "null"), fault->exit_code == 0,
                 "%s, %s: no word of what failed: %s", s->backend, fault->rule, s->last.out);
    cr_assert_gt(ts_count(&s->server, "faults"), 0, "%s did not strike", fault->rule);
    scene_verify(s);
    if (fault->exit_code != 0)
        cr_assert_str_eq(scene_digest(s), before, "%s, %s: the finalized set changed", s->backend,
                         fault->rule);
    ts_tell(&s->server, "faults clear");
    ts_tell(&s->server, "reset");
    if (fault->exit_code != 0) {
        scene_sync_at(s, url, NULL);
        scene_outcome(s, "finalized", 0);
    }
    scene_is_whole(s);
}

static void strike_all(scene *s, const char *url, const struct fault *faults, size_t n)
{
    scene_sync_at(s, url, NULL);
    scene_outcome(s, "finalized", 0);
    ts_tell(&s->server, "reset");
    for (size_t i = 0; i < n; i++)
        strike(s, url, &faults[i]);
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

SCENARIO(fault, over_electrumx, "--coins", "300")
{
    strike_all(s, s->server.tcp, everywhere, COUNT(everywhere));
}

SCENARIO(fault, over_electrumx_alone, "--coins", "300")
{
    strike_all(s, s->server.tcp, electrumx_only, COUNT(electrumx_only));
}

SCENARIO(fault, over_firod, "--coins", "300")
{
    strike_all(s, s->server.http, everywhere, COUNT(everywhere));
}

SCENARIO(fault, nobody_listens, "--coins", "10")
{
    char url[64];
    (void)snprintf(url, sizeof url, "%s", s->server.tcp);
    ts_server_stop(&s->server);
    scene_sync_at(s, url, "--retries", "1", NULL);
    scene_outcome(s, "network_error", 3);
    ts_server_start(&s->server, "--coins", "10", NULL);
}

SCENARIO(fault, lies_about_the_meta, "--coins", "300")
{
    static const struct fault lies[] = {
        {"size on=meta arg=4000000000 times=0", "bad_sector", 4},
        {"set-hash on=meta times=1", GATE_REFUSED},
        {"block-hash on=meta times=0", NETWORK_ERROR},
    };
    strike_all(s, s->server.tcp, lies, COUNT(lies));
}

SCENARIO(fault, the_same_block_told_with_two_sizes, "--coins", "300")
{
    scene_sync_is(s, "finalized", 0);
    ts_tell(&s->server, "fault size on=meta times=1 arg=900");
    scene_sync_is(s, "anomaly", 4);
    scene_sync_is(s, "up_to_date", 0);
    scene_is_whole(s);
}
