/*
 * Inside of anonset_sync. The state machine is cut by what a step is about:
 *
 *     sync.c    the interface, the groups, the meta, and carrying out the plan
 *     feed.c    taking answers
 *     seam.c    a new group's oldest coins, copied from the group before
 *     mend.c    a hole that a repair left in the finalized set
 *     fetch.c   continuity check, download, commits
 *     prove.c   that the finalized coins below `base` are on the target's chain
 *     guess.c   where the histories part, if a set hash can prove the guess
 *     behind.c  a server with fewer coins than we hold: why?
 *     finish.c  behind the last sector: the closing questions, the gate, mark_complete
 *     gate.c    what can be said of the coins before they are finalized
 *     heights.c the heights of transactions, where the gate cannot tell the blocks apart
 *     used_sync.c  the list of used coin tags, behind the groups
 *
 *     NEWEST -> META -> plan -> CONTINUITY -> DOWNLOAD -> CLOSE -> gate -> HEIGHTS -> result
 *                         |          |  no        ^         |  refused, or not covered
 *                         +-> FLOOR -> GUESS -> COMPARE <---+
 *
 * Every function named *_advance does one thing and returns true, or returns false where an answer
 * is needed first.
 */
#ifndef AS_SYNC_H
#define AS_SYNC_H

#include "core/digest.h"
#include "core/flight.h"
#include "core/heights.h"
#include "core/plan.h"
#include "core/seam.h"
#include "core/sector.h"
#include "core/store.h"
#include "core/tag.h"

#include <stdatomic.h>

typedef enum as_phase {
    AS_PHASE_NEWEST,
    AS_PHASE_META,
    AS_PHASE_BEHIND,
    AS_PHASE_MEND,
    AS_PHASE_SEAM,
    AS_PHASE_COPY,
    AS_PHASE_CONTINUITY,
    AS_PHASE_FLOOR,
    AS_PHASE_GUESS,
    AS_PHASE_COMPARE,
    AS_PHASE_DOWNLOAD,
    AS_PHASE_CLOSE,
    AS_PHASE_HEIGHTS,
    AS_PHASE_USED,
    AS_PHASE_END, /* the group's outcome is known: tell it */
    AS_PHASE_DONE
} as_phase;

/* What a server said of a block it was asked for one coin of. */
typedef enum as_reply {
    AS_REPLY_AWAITED,
    AS_REPLY_ACCEPTED,
    AS_REPLY_REFUSED
} as_reply;

#define AS_MOVES_MOST    8u  /* a chain that leaves the target this often is a lie */
#define AS_DISCARDS_MOST 8u  /* so is one that makes us drop what we hold this often */
#define AS_STALE_MOST    16u /* another process may be faster this often before we leave it to it */

#define AS_SECTORS_ASKED 2u /* at once: one arrives, the next is asked for */

#define AS_CANDIDATES                                                                              \
    24u /* checkpoints tried as floor: 0, 1, 2, 4, … back, so 2^22 are spanned                   \
         */

typedef struct as_candidate {
    uint8_t block_hash[ANONSET_HASH_BYTES];
    uint32_t size;
    uint32_t index; /* of the checkpoint, newest first */
    as_reply reply;
} as_candidate;

/* How many coins are asked for at once where a difference is guessed. */
#define AS_GUESS_FLIGHT 16u

typedef struct as_guess {
    uint32_t low, high; /* the first difference is guessed to be at a position in between */
    uint32_t lowest;    /* that differs, of those asked for in this flight */
    uint32_t asked;
} as_guess;

/* Coins that were fed and not used yet, by position, oldest first. */
typedef struct as_ready {
    bool set;
    as_asked asked;
    anonset_coin *coins;
    uint32_t n;
    void *parked; /* copy of coins and bytes, where they must outlive the caller's buffer */
} as_ready;

/* The list of used coin tags. What is asked for again begins below the end of what is stored. */
typedef struct as_used_sync {
    bool begun;    /* it is what is under way; sync->result then holds what all results share */
    bool asked;    /* for the tags from position `from` on */
    bool compared; /* with what is stored: what comes now is new */
    uint32_t back; /* tags to be asked for again */
    uint32_t from;
    anonset_used_state held;   /* what is stored, followed through our own writes */
    anonset_used *stored;      /* its tags from position `from` on; NULL: none */
    const anonset_used *batch; /* fed and not used yet; n of them */
    uint32_t n;
    bool ready, more;
    uint64_t passed;                          /* tags of answers that were not looked at */
    uint32_t fetched, resumed_from, replaced; /* as in anonset_used_result */
} as_used_sync;

struct anonset_sync {
    anonset_store *store;
    anonset_sync_options options;
    anonset_trusted *trusted; /* options.trusted_n, ours */
    as_digest *digest;
    as_tagger tagger;
    as_sector sector;
    as_flight flight;
    atomic_bool cancelled;
    bool waiting; /* step said WAIT: an answer may be fed */
    as_phase phase;
    uint32_t last_group;
    bool aborted;
    uint64_t commits;

    bool genesis_answered; /* it need not be told: then the network is not checked */
    bool genesis_told;
    uint8_t genesis[ANONSET_HASH_BYTES];

    /* of the group under way */
    anonset_result result;
    anonset_meta told;      /* by the server, last */
    anonset_meta target;    /* what is being synced to */
    anonset_state local;    /* of the store, followed through our own writes */
    bool unmendable;        /* the server's coins do not fit into the hole */
    bool mended;            /* a hole was closed in this run */
    bool resuming;          /* pending coins of an earlier run are under the continuity check */
    bool restarted;         /* to be told with the next progress */
    bool started;           /* result.resumed_from is set */
    anonset_progress shown; /* what was told last */
    unsigned moved;         /* times the chain left our target without new coins in between */
    unsigned moves;         /* and in all */
    unsigned stale;         /* times another process was faster, without new coins of ours */
    unsigned discards;      /* of pending coins, in all */

    uint32_t base, held, next; /* stored below held; asked for below next */
    uint8_t digest_held[ANONSET_HASH_BYTES];
    as_ready ready;
    as_ready early; /* the sector above one that is still under way, which it overtook */
    as_reply old_pin, control;
    bool newest_same; /* of a server that is behind: its newest coin is ours at that position */
    bool compared;    /* what is held was compared: its block need not be accepted */

    /* what is proven of the finalized coins below base: [covered, base) was compared with the
     * target, and nothing below covered differs if the checkpoint `floor` is on its chain. A
     * comparison goes up from compare_from to compare_to, so that it ends at the lowest
     * difference, and what differs can be stored as it comes. */
    uint32_t covered;
    uint32_t compare_from;
    as_candidate floor;
    uint32_t floor_from; /* checkpoints newer than this index are known to be refused */
    uint32_t compare_next, compare_to;
    as_guess guess;
    bool hash_tried;  /* whether the set hash proves what was not compared */
    bool hash_covers; /* it does: only the oldest run, in part below any set hash, is compared */
    bool same_hash;   /* the target has the finalized set's own: it covers all but the ends */
    as_candidate candidates[AS_CANDIDATES];
    uint32_t candidate_count;

    bool closing_early; /* a closing answer overtook the last sector, so it is not behind it */
    as_reply close_control, close_pin;
    bool close_meta_told;

    as_heights heights;
    as_reply heights_pin;
    as_seam seam;
    as_used_sync used;

    uint32_t room; /* entries of the two arrays below */
    uint32_t *tags;
    uint8_t (*digests)[ANONSET_HASH_BYTES];
};

/* sync.c */

/* Ends the group under way with `outcome`; the text tells why and what to do. */
void as_sync_end(anonset_sync *sync, anonset_outcome outcome, anonset_code code, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));
/* Ends it for a failure of the store, which is in result.error. */
void as_sync_end_store(anonset_sync *sync, anonset_code code);
/* Forgets what is under way, asks for the meta and plans anew. */
void as_sync_replan(anonset_sync *sync);
/* The chain left the target: replans once, then gives up until new coins were stored. */
void as_sync_moved(anonset_sync *sync, const char *why);
/* Plans with the meta told last. */
void as_sync_decide(anonset_sync *sync);
/* The finalized coins from position `base` on differ from the target's: follows the target from
 * there, or ends the group where the caller wants to keep the set. False: the group is ended. */
bool as_sync_follow(anonset_sync *sync, uint32_t base);
/* Drops the pending set. False: the store failed, and the group is ended. */
bool as_sync_discard(anonset_sync *sync);
/* Sets out from coins stored below `held`, of which those below `base` are finalized. */
void as_sync_begin_at(anonset_sync *sync, uint32_t base, uint32_t held, const uint8_t *digest);
/* Opens a view of a group; the caller closes the snapshot. What the store's snapshot_open returns.
 */
anonset_code as_sync_open(anonset_sync *sync, void **snapshot, anonset_state *state, uint32_t group,
                          anonset_view view);
/* Reads the run around `position`. As as_run_read. */
anonset_code as_sync_read(anonset_sync *sync, anonset_run *run, void *snapshot, uint32_t position);
/* Queues the question whether `block_hash` is on the chain, by asking for one coin. */
void as_sync_ask_pin(anonset_sync *sync, as_role role, const uint8_t *block_hash, uint32_t which);
void as_sync_ask_control(anonset_sync *sync, as_role role);
/* Queues questions on the group before: its meta, whether `block_hash` is on its chain, and whether
 * a made-up one is. */
void as_sync_ask_before(anonset_sync *sync, const uint8_t *block_hash);
/* Queues the question for the height of a transaction. */
void as_sync_ask_height(anonset_sync *sync, const uint8_t *tx_hash, uint32_t which);
void as_sync_ask_meta(anonset_sync *sync, as_role role);
/* Queues the question for the genesis hash, unless it need not be asked. False: it was answered. */
bool as_sync_ask_genesis(anonset_sync *sync);
/* Queues the question for the used tags from a position on. */
void as_sync_ask_used(anonset_sync *sync, uint32_t from);
/* Whether the server follows the store's chain, as far as it told. False: the group is ended. */
bool as_sync_same_network(anonset_sync *sync);
/* Queues a request for the positions [lo, hi) of the target; with overlap also for lo - 1. */
void as_sync_ask_range(anonset_sync *sync, as_role role, uint32_t lo, uint32_t hi, bool overlap);
void as_sync_tell_progress(anonset_sync *sync);

/* seam.c */
/* Begins the download, with what the group before can give. */
void as_seam_begin(anonset_sync *sync);
bool as_seam_advance(anonset_sync *sync);
bool as_copy_advance(anonset_sync *sync);
/* Finds the seam by what `snapshot` shows of the group, all coins below it compared. NOT_FOUND:
 * the group before is not held, or shares nothing with it. */
anonset_code as_seam_of_stored(anonset_sync *sync, as_seam *seam, void *snapshot);

/* mend.c */
/* Fetches what is missing of the finalized set. */
void as_mend_begin(anonset_sync *sync);
bool as_mend_advance(anonset_sync *sync);
/* The server has other coins there: downloads the set anew from there on, or ends the group. */
void as_mend_replace(anonset_sync *sync);

/* fetch.c */
/* Drops the coins that are ready, and those that came early. */
void as_fetch_drop(anonset_sync *sync);
/* Makes an append of n coins behind those held. NO_MEMORY, INTERNAL. */
anonset_code as_fetch_make(anonset_sync *sync, anonset_append *append, const anonset_coin *coins,
                           uint32_t n);
/* Makes a copy of coins ready. NO_MEMORY. */
anonset_code as_fetch_park(anonset_sync *sync, const anonset_coin *coins, uint32_t n);
/* Begins the download at `held`, with the continuity check where something is held. */
void as_fetch_begin(anonset_sync *sync);
/* The same behind a comparison that covered what is held. */
void as_fetch_begin_compared(anonset_sync *sync);
bool as_fetch_continuity_advance(anonset_sync *sync);
bool as_fetch_download_advance(anonset_sync *sync);
/* Goes on with the coins that are ready, from position `held` on: they were fetched to be compared,
 * and are the first that differ. */
void as_fetch_begin_ready(anonset_sync *sync);
/* Takes coins that answer `asked`; they are checked here, and used by the next step. */
void as_fetch_take(anonset_sync *sync, const as_asked *asked, anonset_answer *answer);
/* The answer to `asked` was too large for the server: asks for less. */
void as_fetch_too_large(anonset_sync *sync, const as_asked *asked);
/* Appends n coins, or with n = 0 notes the target where it is not the stored one; false: the group
 * is ended or planned anew. */
bool as_fetch_commit(anonset_sync *sync, const anonset_coin *coins, uint32_t n);
/* A call of the store was refused or failed: STALE means that another process changed the set, and
 * plans anew. */
void as_fetch_store_failed(anonset_sync *sync, anonset_code code);

/* prove.c */
void as_prove_begin(anonset_sync *sync);
/* Compares from position `from` up to `covered`. */
void as_prove_compare(anonset_sync *sync, uint32_t from);
/* Compares the newest sector and then the oldest run, for a target of the same size and set hash.
 */
void as_prove_newest(anonset_sync *sync);
/* Compares the oldest run, the rest being proven by the set hash. */
void as_prove_oldest_run(anonset_sync *sync);
bool as_prove_floor_advance(anonset_sync *sync);
bool as_prove_compare_advance(anonset_sync *sync);
/* How many of the n coins that `snapshot` shows from position lo on equal `coins` before the first
 * that does not. */
anonset_code as_prove_same_in(anonset_sync *sync, uint32_t *same, void *snapshot, uint32_t lo,
                              const anonset_coin *coins, uint32_t n);
/* How many of the n stored coins of `view` from position lo on equal `coins` before the first that
 * does not. STALE: they are not there any more. */
anonset_code as_prove_same(anonset_sync *sync, uint32_t *same, anonset_view view, uint32_t lo,
                           const anonset_coin *coins, uint32_t n);

/* Sets the log digest at `position` of `snapshot`, rehashed from the newest checkpoint at or below
 * `below`. */
anonset_code as_prove_digest_at(anonset_sync *sync, uint8_t *digest, void *snapshot, uint32_t below,
                                uint32_t position);

/* guess.c */
bool as_guess_is_worth_it(anonset_sync *sync);
void as_guess_begin(anonset_sync *sync);
bool as_guess_advance(anonset_sync *sync);

/* behind.c */
void as_behind_begin(anonset_sync *sync);
bool as_behind_advance(anonset_sync *sync);

/* finish.c */
struct as_findings;
void as_finish_ask(anonset_sync *sync);
bool as_finish_advance(anonset_sync *sync);
/* The finalized set is the target, and is only looked at. */
bool as_finish_is_again(const anonset_sync *sync);
/* Puts the finalized set, which is the target, to the gate once more. */
void as_finish_look_again(anonset_sync *sync);
/* The coins held, or about to be, are false by what `format` says: compares the finalized ones with
 * the server's, once, or else drops the pending ones and ends the group. */
void as_finish_refuse(anonset_sync *sync, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends the group by what was found out, or begins what follows from a refusal. */
void as_finish_conclude(anonset_sync *sync, const struct as_findings *found);

/* heights.c */
/* *begun: there is something to ask for. Codes as as_gate_look. */
anonset_code as_heights_begin(anonset_sync *sync, bool *begun);
bool as_heights_advance(anonset_sync *sync);
void as_heights_take(anonset_sync *sync, const as_asked *asked, const anonset_answer *answer);

/* used_sync.c */
/* Begins with the list. */
void as_used_begin(anonset_sync *sync);
/* Forgets what is under way, and begins again from what is stored. */
void as_used_replan(anonset_sync *sync);
bool as_used_advance(anonset_sync *sync);
void as_used_take(anonset_sync *sync, const anonset_answer *answer);
/* More of an answer that is not looked at any more came. */
void as_used_pass_over(anonset_sync *sync, uint32_t n);
void as_used_too_large(anonset_sync *sync);
/* Frees what the list took. */
void as_used_drop(anonset_sync *sync);
void as_used_tell_result(anonset_sync *sync);

#endif
