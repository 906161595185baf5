/*
 * What the conformance cases are written with. A case gets a subject: one backend of the table with
 * a fresh store open. CASE(name) runs it once for every backend in as_backends[]: a new backend is
 * tested by being in the table, and cannot opt out.
 */
#ifndef KIT_H
#define KIT_H

#include "core/store.h"
#include "tests/support/coins.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#define KIT_CHAINS 16
#define KIT_DIR    200

typedef struct subject {
    const anonset_backend *backend;
    void *handle; /* NULL: closed by the case */
    char dir[KIT_DIR];
    char path[KIT_DIR + 40];
    ts_chain *chains[KIT_CHAINS]; /* freed when the case ends */
    size_t n_chains;
} subject;

struct criterion_test_params kit_every_backend(void);
/* Makes a subject, runs `body` and tidies up; each (backend, case) tells how it begins and ends. */
void kit_run(size_t backend, const char *name, void (*body)(subject *s));

#define CASE(name)                                                                                 \
    static void name(subject *s);                                                                  \
    ParameterizedTestParameters(conformance, name)                                                 \
    {                                                                                              \
        return kit_every_backend();                                                                \
    }                                                                                              \
    ParameterizedTest(const size_t *backend, conformance, name)                                    \
    {                                                                                              \
        kit_run(*backend, #name, name);                                                            \
    }                                                                                              \
    static void name(subject *s)

/* Asserts, and names the backend if it does not hold. `s` is the case's subject. */
#define MUST(condition) cr_assert((condition), "%s: %s", s->backend->name, #condition)
/* Asserts a return code, and shows the one that came. */
#define GIVES(expected, call) kit_gives(s, __FILE__, __LINE__, #call, expected, call)
void kit_gives(const subject *s, const char *file, int line, const char *what,
               anonset_code expected, anonset_code got);

/* Tells that the rest of a case does not apply to this backend, and why. */
void kit_skip(const subject *s, const char *why);

/* Makes a directory for stores below $TMPDIR or /tmp; removes it with all that is in it. */
void kit_dir_make(char dir[KIT_DIR]);
void kit_dir_remove(const char *dir);

/* ---- Stores ------------------------------------------------------------------------------- */

/* Opens the subject's path with these flags. */
anonset_code kit_open(const subject *s, void **handle, unsigned flags);
/* Closes the subject's handle and opens it anew. */
void kit_reopen(subject *s, unsigned flags);
void kit_close(subject *s);

/* ---- Chains, freed when the case ends ------------------------------------------------------ */

ts_chain *kit_chain(subject *s, uint64_t id, uint32_t n);
ts_chain *kit_fork(subject *s, const ts_chain *from, uint32_t base, uint64_t id, uint32_t n);
ts_chain *kit_chain_of(subject *s, uint64_t id, const anonset_coin *coins, uint32_t n);

/* ---- Writes ------------------------------------------------------------------------------- */

/* An append of coins [start, start + n) of a chain, for the caller to bend before it is made. */
anonset_append kit_sector(uint32_t group, const ts_chain *chain, const anonset_meta *target,
                          uint32_t base, uint32_t start, uint32_t n);
/* Appends it. */
anonset_code kit_append(const subject *s, uint32_t group, const ts_chain *chain,
                        const anonset_meta *target, uint32_t base, uint32_t start, uint32_t n);
/* Completes the first target->size coins of a chain. */
anonset_code kit_complete(const subject *s, uint32_t group, const ts_chain *chain,
                          const anonset_meta *target, uint32_t count, anonset_gate gate);
/* Appends [base, size) in one sector for ts_chain_meta(chain, size) and completes it at COUNT. */
void kit_finalize(const subject *s, uint32_t group, const ts_chain *chain, uint32_t base,
                  uint32_t size);

/* ---- What is stored ----------------------------------------------------------------------- */

anonset_state kit_state(const subject *s, uint32_t group);
bool kit_state_equal(const anonset_state *a, const anonset_state *b);
bool kit_meta_equal(const anonset_meta *a, const anonset_meta *b);
/* The state after finalizing the first meta->size coins, nothing pending. */
anonset_state kit_finalized(const ts_chain *chain, const anonset_meta *meta, anonset_gate gate);
/* `state` with a pending set of coins [base, base + count). */
anonset_state kit_pending(anonset_state state, const ts_chain *chain, const anonset_meta *target,
                          uint32_t base, uint32_t count);
#define STATE_IS(group, expected)                                                                  \
    do {                                                                                           \
        anonset_state got_ = kit_state(s, group), expected_ = expected;                            \
        MUST(kit_state_equal(&got_, &expected_));                                                  \
    } while (0)

/* Reads a whole view of a fresh snapshot; it must be the first `size` coins of the chain: every run
 * inside the view, every byte, tag and given digest as it was appended. */
void kit_view_is(const subject *s, uint32_t group, anonset_view view, const ts_chain *chain,
                 uint32_t size);
/* The same through a snapshot that is open already. */
void kit_shows(const subject *s, void *snapshot, const ts_chain *chain, uint32_t size);

/* All checkpoints, newest first; returns how many (at most cap). */
size_t kit_checkpoints(const subject *s, uint32_t group, anonset_checkpoint *out, size_t cap);

/* A fingerprint of all that is stored of a group: state, checkpoints, the coins of both views, and
 * their tags if asked. */
uint64_t kit_image(const anonset_backend *backend, void *handle, uint32_t group, bool tags);

/* A fingerprint of what one snapshot shows: `state` as it told at its opening, coins, checkpoints.
 */
uint64_t kit_snapshot_image(const anonset_backend *backend, void *snapshot,
                            const anonset_state *state, anonset_view view, bool tags);

/* Makes a call that must answer `expected` and leave everything of the group as it was. */
#define REFUSED(expected, group, call)                                                             \
    do {                                                                                           \
        uint64_t image_ = kit_image(s->backend, s->handle, group, s->backend->read_tags != NULL);  \
        GIVES(expected, call);                                                                     \
        MUST(image_ == kit_image(s->backend, s->handle, group, s->backend->read_tags != NULL));    \
    } while (0)

#endif
