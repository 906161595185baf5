/*
 * What the conformance cases are written with. A case gets a subject: the backend under test with a
 * fresh store open. CASE(name) { … } is one case; cases.h lists them all.
 */
#ifndef KIT_H
#define KIT_H

#include "tests/conformance/cases.h"
#include "tests/support/coins.h"

#include <anonset-conformance.h>

#define KIT_CHAINS 16
#define KIT_DIR    200
#define KIT_PATH   1024

typedef struct subject {
    const anonset_conformance *suite;
    const anonset_backend *backend; /* the suite's */
    void *handle;                   /* NULL: closed by the case */
    char dir[KIT_DIR];
    char path[KIT_PATH];
    ts_chain *chains[KIT_CHAINS]; /* freed when the case ends */
    size_t n_chains;
} subject;

#define KIT_DECLARE(name) void kit_case_##name(subject *s);
KIT_CASES(KIT_DECLARE)

#define CASE(name) void kit_case_##name(subject *s)

/* Where failures are told; stderr at first. */
extern FILE *kit_out;

/* Tells a failure and ends the process: a case has one of its own. */
_Noreturn void kit_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define ENSURE(condition, ...) ((condition) ? (void)0 : kit_fail(__FILE__, __LINE__, __VA_ARGS__))
/* Names the backend if the condition does not hold. `s` is the case's subject. */
#define MUST(condition) ENSURE(condition, "%s: %s", s->backend->name, #condition)
/* Asserts a return code, and shows the one that came. */
#define GIVES(expected, call) kit_gives(s, __FILE__, __LINE__, #call, expected, call)
void kit_gives(const subject *s, const char *file, int line, const char *what,
               anonset_code expected, anonset_code got);

/* Tells that the rest of a case does not apply to this backend, and why. */
void kit_skip(const subject *s, const char *why);

/* Makes a directory for stores below $TMPDIR or /tmp; removes it with all that is in it. */
bool kit_dir_make(char dir[KIT_DIR]);
bool kit_dir_remove(const char *dir);

/* Sets the subject's path to where the suite wants the store of this name. */
void kit_path(subject *s, const char *name);

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

/* Makes up n used coin tags; the same ones for the same id. */
void kit_used_fill(anonset_used *used, uint64_t id, uint32_t n);
/* A fingerprint of the list of used coin tags; 0 without one. */
uint64_t kit_used_image(const anonset_backend *backend, void *handle);

/* A fingerprint of a state alone. */
uint64_t kit_state_image(const anonset_state *state);

/* Makes a call that must answer `expected` and leave everything of the group as it was. */
#define REFUSED(expected, group, call)                                                             \
    do {                                                                                           \
        uint64_t image_ = kit_image(s->backend, s->handle, group, s->backend->read_tags != NULL);  \
        GIVES(expected, call);                                                                     \
        MUST(image_ == kit_image(s->backend, s->handle, group, s->backend->read_tags != NULL));    \
    } while (0)

#endif
