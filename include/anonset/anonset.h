/*
 * anonset: a local, always whole copy of Firo's Spark anonymity set.
 *
 * This header is for applications (wallets). A store of your own is written against backend.h.
 *
 * Argument order, everywhere: the handle, then outputs, then inputs, then options, and last the
 * caller-owned detail. Outputs are set only on ANONSET_OK unless a function says otherwise.
 *
 * Errors: every function that can fail returns an anonset_code. Each takes an optional
 * anonset_detail (NULL is allowed), owned by the caller, that tells what failed, where, and what to
 * do. The detail is written on failure only.
 *
 * Misuse that no return code could mend (a NULL handle or output) is answered with
 * ANONSET_INVALID in every build, and by a function of a sync that returns no code with nothing
 * done and 0, false or DONE; the library never aborts, never exits and never prints.
 *
 * Threads: an anonset_store may be used by any number of threads at once. Every other object
 * belongs to one thread at a time; the one exception is anonset_sync_cancel. Any number of
 * processes may use one store file. Do not carry a handle across fork().
 *
 * Words (group, meta, index, position, sector, finalized set, pending set, checkpoint, log digest)
 * are used as in README.md, section "Words".
 *
 * Facts about the protocol were seen on firod 0.14.17.2 and electrumx-firo 1.19; the recorded
 * answers are in tests/fixtures.
 */
#ifndef ANONSET_ANONSET_H
#define ANONSET_ANONSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ANONSET_API __attribute__((visibility("default")))
#else
#define ANONSET_API
#endif

#define ANONSET_HASH_BYTES  32 /* block hashes, set hashes, tx hashes and digests are this long */
#define ANONSET_DETAIL_TEXT 256

/* ---- Codes -------------------------------------------------------------------------------- */

/* What a function returns. anonset_strerror gives a sentence for each; doc/errors.md the cure. */
typedef enum anonset_code {
    ANONSET_OK = 0,
    ANONSET_INVALID,    /* an argument is out of its documented range: a bug in the caller */
    ANONSET_NO_MEMORY,  /* an allocation failed; nothing changed */
    ANONSET_NOT_FOUND,  /* no such file, group, finalized set or block hash */
    ANONSET_IO,         /* the store's file could not be read or written; nothing changed */
    ANONSET_FULL,       /* the disk (or quota) is full, or a limit on the size of files reached;
                           nothing changed: free space, call again */
    ANONSET_PERMISSION, /* the operating system denies access to the store's files */
    ANONSET_UNKNOWN,    /* I/O error at a commit: it may or may not have happened. The handle
                           refuses all use from here on: close, reopen, look */
    ANONSET_CORRUPT,    /* stored bytes contradict each other or their digest */
    ANONSET_FOREIGN,    /* the file is not an anonset store of this backend; it was not touched */
    ANONSET_BUSY,       /* another writer held the store longer than the busy timeout */
    ANONSET_STALE,      /* compare-and-append refused: the store moved on; nothing was written */
    ANONSET_WRONG_NETWORK, /* the store belongs to a chain with another genesis block */
    ANONSET_NETWORK,       /* connect, timeout, cut connection: worth trying again */
    ANONSET_SERVER,        /* the server answered with an error that trying again will not mend */
    ANONSET_BAD_ANSWER,    /* the server's answer breaks the protocol or a limit */
    ANONSET_CANCELLED,     /* anonset_sync_cancel was called; everything committed is kept */
    ANONSET_UNSUPPORTED,   /* this build or backend has no such thing */
    ANONSET_INTERNAL,      /* a self-check failed: a bug in anonset, please report it */
    ANONSET_UNPROVEN       /* the set is at a lower gate level than was asked for */
} anonset_code;

/* What failed, where, and what to do. Owned by the caller; plain data, nothing to free. */
typedef struct anonset_detail {
    anonset_code code;
    int os_error;                   /* errno, or 0 */
    char text[ANONSET_DETAIL_TEXT]; /* UTF-8, NUL-ended, without a line end; server text in it is
                                       reduced to printable ASCII */
} anonset_detail;

/* One sentence for `code`; a constant string, never NULL. Thread-safe. */
ANONSET_API const char *anonset_strerror(anonset_code code);

/* The library's version, "MAJOR.MINOR.PATCH"; a constant string. Thread-safe. */
ANONSET_API const char *anonset_version(void);

/* ---- Memory ------------------------------------------------------------------------------- */

/*
 * Where anonset takes memory from, in place of the C library. All three are called on the thread
 * that called anonset, on several at once where several do. They must not call anonset.
 */
typedef struct anonset_allocator {
    size_t size; /* sizeof(anonset_allocator) */
    /* Returns a block of at least `bytes` (1 or more) bytes, aligned for any object as malloc's
     * are; NULL: there is none, and what was called ends as NO_MEMORY. */
    void *(*allocate)(void *context, size_t bytes);
    /* Makes `block`, never NULL, `bytes` (1 or more) long, moving what it holds where need be, and
     * returns where it is now; NULL: there is no memory, and `block` stays as it was. */
    void *(*reallocate)(void *context, void *block, size_t bytes);
    /* Takes `block`, never NULL, back. */
    void (*release)(void *context, void *block);
    void *context; /* of all three; must live as long as the process uses anonset */
} anonset_allocator;

/*
 * Makes anonset take its memory from `allocator` (copied), for the whole process and for good. To
 * be called before every other function of this header, and before any other thread may call one:
 * not thread-safe. When every object is ended, every block was given back.
 *
 * Not covered is what the libraries below take for themselves. Each has a call of its own for that,
 * which is yours to make, for it is the process's too: sqlite3_config(SQLITE_CONFIG_MALLOC, …),
 * curl_global_init_mem, CRYPTO_set_mem_functions. LMDB has none, and neither has the C library
 * where it takes memory behind a call (a file's buffer, a name that is looked up).
 *
 * INVALID: anonset took memory already, or an allocator was set before, or one of the functions is
 * NULL; nothing changed: correct the caller.
 */
ANONSET_API anonset_code anonset_set_allocator(const anonset_allocator *allocator,
                                               anonset_detail *detail);

/* ---- Data --------------------------------------------------------------------------------- */

/*
 * One coin as the server sends it, base64 taken off. The pointers are borrowed: whoever hands out a
 * coin says how long they live. Source: result of spark.getsparkanonymitysetsector.
 */
typedef struct anonset_coin {
    const uint8_t *serialized;
    const uint8_t *context;
    const uint8_t *tx_hash; /* ANONSET_HASH_BYTES bytes */
    uint32_t serialized_len;
    uint32_t context_len;
} anonset_coin;

/*
 * What a server says of a group at one moment. Source: result of spark.getsparkanonymitysetmeta.
 * A group of one block has an empty set hash: has_set_hash is false and set_hash all zero.
 * An unknown group has an all-zero block_hash; its size is then meaningless and never looked at.
 */
typedef struct anonset_meta {
    uint8_t block_hash[ANONSET_HASH_BYTES]; /* in the order of bytes the server sends */
    uint8_t set_hash[ANONSET_HASH_BYTES];
    uint32_t size; /* coins */
    bool has_set_hash;
} anonset_meta;

/* How much was proven of a finalized set. Higher is stronger; levels compare with <. */
typedef enum anonset_gate {
    ANONSET_GATE_NONE = 0,     /* nothing: a legacy set whose parts do not add up */
    ANONSET_GATE_COUNT = 1,    /* count, order, uniqueness and digest chain */
    ANONSET_GATE_SET_HASH = 2, /* the chain of set hashes was recomputed from the coins */
} anonset_gate;

/* All that is stored of one group, but for coins and checkpoints. */
typedef struct anonset_state {
    bool has_finalized;
    anonset_meta finalized;             /* what readers see */
    uint8_t digest[ANONSET_HASH_BYTES]; /* log digest of the finalized set */
    anonset_gate gate;

    bool has_pending;
    anonset_meta target;                        /* what the pending set is downloaded for */
    uint32_t base;                              /* first position of the pending set */
    uint32_t count;                             /* coins it holds so far */
    uint8_t pending_digest[ANONSET_HASH_BYTES]; /* log digest at position base + count */

    /* A repair dropped damaged coins of the finalized set: the positions [hole_from, hole_to), of
     * which a sync fetched hole_filled again so far. Until all are, the set is not whole, and no
     * snapshot shows it. The digests tell the right coins from all others. */
    bool has_hole;
    uint32_t hole_from, hole_to;
    uint32_t hole_filled;
    uint8_t hole_before[ANONSET_HASH_BYTES]; /* log digest at hole_from */
    uint8_t hole_digest[ANONSET_HASH_BYTES]; /* at hole_from + hole_filled */
    uint8_t hole_after[ANONSET_HASH_BYTES];  /* at hole_to */
} anonset_state;

/* One finalized state in the history of a group. */
typedef struct anonset_checkpoint {
    anonset_meta meta;
    uint8_t digest[ANONSET_HASH_BYTES];
    anonset_gate gate;
    bool alias; /* an earlier block hash of the same coins, replaced by a re-anchor */
} anonset_checkpoint;

/* ---- Store -------------------------------------------------------------------------------- */

typedef struct anonset_store anonset_store;
struct anonset_backend;

#define ANONSET_STORE_CREATE    1u /* make the store if there is none */
#define ANONSET_STORE_READ_ONLY 2u /* never write; a store that is missing is NOT_FOUND */
/* Hash the coins that snapshots read against the stored digests, before they are handed out. Costs
 * a second reading and a SHA-256 a coin; without it coins are as sound as the disk. */
#define ANONSET_STORE_VERIFY_READS 4u

typedef struct anonset_store_options {
    size_t size;                           /* sizeof(anonset_store_options) */
    const struct anonset_backend *backend; /* NULL: the one built in */
    unsigned flags;                        /* ANONSET_STORE_* */
    unsigned busy_ms; /* wait this long for another writer before BUSY; 0: the default, 5,000 */
    /* What the library would like to tell a developer: trouble of an engine behind a call that
     * does not fail for it, as where sqlite's log could not be copied yet. May be NULL. Called on
     * the thread that caused it, which must not call this store from there; `text` lives only
     * during the call. */
    void (*log)(void *log_context, anonset_code code, const char *text);
    void *log_context;
} anonset_store_options;

/* Fills `options` with the defaults (flags: ANONSET_STORE_CREATE). Call before setting fields, so
 * that fields of a newer library get their defaults. */
ANONSET_API void anonset_store_options_init(anonset_store_options *options);

/*
 * Opens the store at `path` (UTF-8, NUL-ended; copied). `options` may be NULL for the defaults.
 * After a crash the store shows exactly the state before or after the interrupted write. The cost
 * hardly grows with the number of coins (lmdb looks at its tables' own pages before it follows
 * them, some 4 KiB for 7,000 coins), but for the SQLite cache of an older wallet: the sqlite
 * backend makes it a store as it opens it, in one step, with all other users kept out. On success
 * the caller owns *store and ends it with anonset_store_close; on failure there is nothing to
 * close.
 *
 * NOT_FOUND: there is no store and CREATE was not asked. FOREIGN: the file is something else and is
 * left untouched. CORRUPT: damaged; clear or delete it and sync again. UNSUPPORTED: an older cache,
 * which READ_ONLY cannot upgrade. BUSY, IO, FULL, PERMISSION, NO_MEMORY: see there. INVALID: bad
 * options, or an incomplete vtable in options->backend.
 */
ANONSET_API anonset_code anonset_store_open(anonset_store **store, const char *path,
                                            const anonset_store_options *options,
                                            anonset_detail *detail);

/* Ends a store; NULL is allowed. Every snapshot, sync and verdict on it must have ended before. */
ANONSET_API void anonset_store_close(anonset_store *store);

/* Name of the backend behind `store`, "sqlite", "lmdb", …; lives as long as the store. */
ANONSET_API const char *anonset_store_backend(const anonset_store *store);

/* Name of the backend built into this library; a constant string. */
ANONSET_API const char *anonset_default_backend(void);

/* Sets *group to the lowest group id above `after` (0: from the start) of which anything is stored.
 * NOT_FOUND: there is none. IO, CORRUPT, NO_MEMORY. */
ANONSET_API anonset_code anonset_store_next_group(anonset_store *store, uint32_t *group,
                                                  uint32_t after, anonset_detail *detail);

/* Reads what is stored of `group` (1 or more); all-zero, with OK, if nothing is. O(1).
 * IO, CORRUPT, NO_MEMORY. */
ANONSET_API anonset_code anonset_store_state(anonset_store *store, anonset_state *state,
                                             uint32_t group, anonset_detail *detail);

/* Copies the genesis hash of the chain that the store belongs to to `genesis` (ANONSET_HASH_BYTES
 * bytes, in the order of the hex digits that servers print). NOT_FOUND: no server has told it yet.
 * IO, CORRUPT. */
ANONSET_API anonset_code anonset_store_genesis(anonset_store *store, uint8_t *genesis,
                                               anonset_detail *detail);

/*
 * For those who serve a set on: sets *ancestor to the meta that `group` had when `block_hash`
 * (ANONSET_HASH_BYTES bytes) was its newest block, and *newest to the one it has now, both of one
 * state of the store. Unlike anonset_snapshot_find, NOT_FOUND also if the coins show that the block
 * is no more on the chain, though they stayed: the same coins were cut into other blocks since.
 * That is looked for with at most `budget` hash calls between any two checkpoints (see
 * proof_budget); what it does not settle counts as on the chain. Takes longer the older the block
 * is. NOT_FOUND, IO, CORRUPT, NO_MEMORY.
 */
ANONSET_API anonset_code anonset_store_ancestor(anonset_store *store, anonset_meta *ancestor,
                                                anonset_meta *newest, uint32_t group,
                                                const uint8_t *block_hash, uint32_t budget,
                                                anonset_detail *detail);

/* Removes all of `group` (0: of every group, the list of used tags and the remembered network) in
 * one atomic step, and frees its space. Open snapshots go on reading what they saw. BUSY, IO, FULL,
 * UNKNOWN. */
ANONSET_API anonset_code anonset_store_clear(anonset_store *store, uint32_t group,
                                             anonset_detail *detail);

/* Sets *bytes to what the store's files take on disk. IO. */
ANONSET_API anonset_code anonset_store_disk_bytes(anonset_store *store, uint64_t *bytes,
                                                  anonset_detail *detail);

/* What anonset_store_verify found. */
typedef struct anonset_verdict {
    uint32_t group;
    uint32_t coins;                     /* coins whose stored bytes were read and hashed */
    bool sound;                         /* everything agrees */
    uint32_t damaged_from, damaged_to;  /* if not sound: all damaged coins lie in these positions,
                                           [from, to), and what was dropped by a repair and not
                                           fetched again does; to == from: the records are damaged,
                                           not the coins */
    bool damaged_pending;               /* it is the pending set's coins that are */
    uint8_t digest[ANONSET_HASH_BYTES]; /* as recomputed from the finalized coins; without a
                                           finalized set from the pending ones */
    uint32_t proven;    /* coins below the newest state at gate level SET_HASH; 0: none is */
    uint32_t rederived; /* of those, coins whose chain of set hashes was recomputed now. The others
                           lie where heights told the blocks apart: their digest agrees */
} anonset_verdict;

/*
 * Reads every stored coin of `group`, finalized and pending, and recomputes its tag, the log digest
 * at each checkpoint and at the end, and the chain of set hashes where it was proven, all of one
 * state of the store (BUSY: commits come too fast for that).
 * Group 0: looks at what the engine keeps around the groups in place of their coins (its pages, the
 * lists of free ones), and tells that it cannot be trusted with damaged_to == damaged_from.
 * Memory does not grow with the set.
 * OK with verdict->sound set either way; the detail says what disagrees when it is not sound. Then
 * anonset_store_repair drops what is damaged, and a sync fetches it again.
 * NOT_FOUND: nothing is stored of the group. IO, NO_MEMORY.
 */
ANONSET_API anonset_code anonset_store_verify(anonset_store *store, anonset_verdict *verdict,
                                              uint32_t group, anonset_detail *detail);

/* What anonset_store_repair did to one group. */
typedef struct anonset_repair {
    anonset_verdict found; /* as verify found it before */
    uint32_t dropped;      /* finalized coins dropped now, or missing already: sync fetches them */
    uint32_t pending_dropped; /* coins of the pending set */
    bool cleared;             /* nothing of the group could be kept */
} anonset_repair;

/*
 * Verifies `group` and drops what is damaged of it, in one atomic step for each of its two sets.
 * What is sound is kept: of the finalized set all but the positions [found.damaged_from,
 * found.damaged_to), of the pending set what lies below its damage. The finalized set is not whole
 * then, and snapshots of it are refused, until the next sync has fetched the missing coins, which
 * prove themselves by the log digests around them; a sync fetches no others.
 *
 * Group 0: looks at what the engine keeps around the groups, and changes nothing. To be called
 * before the groups: what is dropped from a file that lost its way may take more with it.
 *
 * OK: the group is sound now, or waits for a sync; *repair says which. A sound group is not
 * touched. CORRUPT: its records are damaged, or what the engine keeps around them: call
 * anonset_store_rebuild. NOT_FOUND: nothing is stored of it. BUSY, IO, FULL, UNKNOWN, NO_MEMORY.
 * Other handles may go on using the store. Thread-safe, as every function of a store.
 */
ANONSET_API anonset_code anonset_store_repair(anonset_store *store, anonset_repair *repair,
                                              uint32_t group, anonset_detail *detail);

/* What anonset_store_rebuild came to. */
typedef struct anonset_rebuilt {
    uint32_t kept;         /* groups of which something was kept */
    uint32_t lost;         /* groups that are known to have been there and could not be read */
    uint32_t dropped;      /* finalized coins that are missing in groups kept: sync fetches them */
    char damaged[4096];    /* where the damaged file is now */
    uint32_t used_kept;    /* tags of the list of used coin tags that were kept */
    uint32_t used_dropped; /* those behind them, which are missing: sync fetches them */
    bool used_lost; /* its record could not be read: none were kept, and nobody knows how many */
} anonset_rebuilt;

/*
 * Makes a store anew out of one that cannot be repaired in place: its records are damaged, or the
 * engine cannot find its way in the file (open, repair or a sync said CORRUPT). All that is sound
 * is copied into a new file beside it: groups with what is missing noted, as anonset_store_repair
 * leaves them; a group of which the history cannot be read loses that, one without a record is
 * gone. Of the list of used tags what lies below its damage is copied, as anonset_used_repair
 * leaves it. The new file takes the place of the damaged one in one step; that is kept as
 * PATH.damaged, over an older one of that name, for you to look at or delete. Its log (sqlite), of
 * which all that is sound was taken over, goes with it.
 *
 * Nobody else may have the store open meanwhile. `options` as anonset_store_open takes them.
 * FOREIGN: the file does not look like a store of this backend at all; it was not touched.
 * NOT_FOUND: there is none. UNSUPPORTED: the backend cannot do it. BUSY, IO, FULL, PERMISSION,
 * NO_MEMORY.
 */
ANONSET_API anonset_code anonset_store_rebuild(const char *path,
                                               const anonset_store_options *options,
                                               anonset_rebuilt *rebuilt, anonset_detail *detail);

/* ---- Reading ------------------------------------------------------------------------------ */

/*
 * A snapshot is one finalized state of one group, meta and coins from one read transaction, however
 * many syncs finalize meanwhile. It may keep replaced bytes on disk alive: end it when done.
 */
typedef struct anonset_snapshot anonset_snapshot;

typedef enum anonset_order {
    ANONSET_NEWEST_FIRST = 0, /* the server's order: index 0 first */
    ANONSET_OLDEST_FIRST = 1, /* by position */
} anonset_order;

/*
 * Opens the newest finalized state of `group`. The caller owns *snapshot and ends it with
 * anonset_snapshot_close, before closing the store. Never waits for a sync.
 * NOT_FOUND: the group has no finalized set (a pending set does not count). CORRUPT: coins of it
 * are missing since a repair: sync the group. IO, NO_MEMORY.
 */
ANONSET_API anonset_code anonset_snapshot_open(anonset_snapshot **snapshot, anonset_store *store,
                                               uint32_t group, anonset_detail *detail);

/*
 * The same, and the set must be at level `least` or above: a wallet that spends only on sets whose
 * set hash is proven asks for ANONSET_GATE_SET_HASH. UNPROVEN: it is below; sync more often, with a
 * larger proof_budget, or with `prove`.
 */
ANONSET_API anonset_code anonset_snapshot_open_gated(anonset_snapshot **snapshot,
                                                     anonset_store *store, uint32_t group,
                                                     anonset_gate least, anonset_detail *detail);

/* Ends a snapshot; NULL is allowed. Coins it handed out are gone. */
ANONSET_API void anonset_snapshot_close(anonset_snapshot *snapshot);

/* The finalized state the snapshot shows (its pending fields are zero). Lives as long as the
 * snapshot. */
ANONSET_API const anonset_state *anonset_snapshot_state(const anonset_snapshot *snapshot);

/*
 * Sets *size to the size that the set had when `block_hash` (ANONSET_HASH_BYTES bytes) was its
 * newest block, by a checkpoint or an alias of one. The coins newer than that are the positions
 * [*size, state->finalized.size).
 * NOT_FOUND: the block is unknown or was reorganized away: rescan the whole set. IO, CORRUPT.
 */
ANONSET_API anonset_code anonset_snapshot_find(anonset_snapshot *snapshot, uint32_t *size,
                                               const uint8_t *block_hash, anonset_detail *detail);

/*
 * Chooses what anonset_snapshot_next hands out: the positions [from, to), in `order`. May be called
 * any number of times. Without it: the whole set, newest first.
 * INVALID: from > to, or to is past the set's size.
 */
ANONSET_API anonset_code anonset_snapshot_seek(anonset_snapshot *snapshot, uint32_t from,
                                               uint32_t to, anonset_order order,
                                               anonset_detail *detail);

/*
 * Sets *coin to the next coin. Its bytes live until the next call on this snapshot.
 * NOT_FOUND: the range is at its end. CORRUPT: the stored bytes cannot be read, or (VERIFY_READS)
 * differ from their digests; repair the store and sync. IO, NO_MEMORY.
 */
ANONSET_API anonset_code anonset_snapshot_next(anonset_snapshot *snapshot, anonset_coin *coin,
                                               anonset_detail *detail);

/* ---- Used coin tags ----------------------------------------------------------------------- */

/*
 * The list of the tags of all coins that were spent, each with the transaction that spent it: what
 * a wallet looks its own coins up in, to learn which are spent. There is one a chain. It only
 * grows, but for a reorganization, which takes the newest ones away.
 *
 * Nothing commits to this list: no hash of it is in any block. It is what one server said, at gate
 * level NONE, whatever the level of the sets in the same store. A server that lies can leave a tag
 * out, or tell one that was not used.
 */
#define ANONSET_TAG_BYTES 34

/* One used tag. Source: a pair of the result of spark.getusedcoinstagstxhashes. */
typedef struct anonset_used {
    uint8_t tag[ANONSET_TAG_BYTES];
    uint8_t tx_hash[ANONSET_HASH_BYTES]; /* bytes as the server sends them, as in anonset_coin */
} anonset_used;

/* What is stored of the list. */
typedef struct anonset_used_state {
    uint32_t count;                     /* 0: nothing, or never synced */
    uint8_t digest[ANONSET_HASH_BYTES]; /* d(0) = 32 zero bytes; d(p + 1) = SHA-256(d(p) || tag ||
                                           tx_hash): equal lists have equal digests */
} anonset_used_state;

/* One state of the list, however many syncs write to it meanwhile. It may keep replaced bytes on
 * disk alive: end it when done. */
typedef struct anonset_used_list anonset_used_list;

/*
 * Opens the list as it is stored now; one that was never synced has 0 tags. The caller owns *list
 * and ends it with anonset_used_close, before closing the store. Never waits for a sync.
 * UNSUPPORTED: the backend keeps no such list. IO, CORRUPT, NO_MEMORY.
 */
ANONSET_API anonset_code anonset_used_open(anonset_used_list **list, anonset_store *store,
                                           anonset_detail *detail);

/* Ends a list; NULL is allowed. */
ANONSET_API void anonset_used_close(anonset_used_list *list);

/* What the list shows. Lives as long as the list. */
ANONSET_API const anonset_used_state *anonset_used_list_state(const anonset_used_list *list);

/*
 * Copies up to `room` tags from position `from` on (0 is the oldest, in the server's order) to
 * `used`, and sets *n to how many: 0 at the end of the list only.
 * INVALID: room is 0. IO, CORRUPT, NO_MEMORY.
 */
ANONSET_API anonset_code anonset_used_read(anonset_used_list *list, anonset_used *used, uint32_t *n,
                                           uint32_t from, uint32_t room, anonset_detail *detail);

/*
 * Looks up `tag` (ANONSET_TAG_BYTES bytes): sets *used to it and its transaction, *position to its
 * place (the lowest, should a server have told it twice). Does not read the list.
 * NOT_FOUND: it is not in the list: as far as the server that was synced with told, and when it
 * was, that coin is unspent. IO, CORRUPT, NO_MEMORY.
 */
ANONSET_API anonset_code anonset_used_find(anonset_used_list *list, anonset_used *used,
                                           uint32_t *position, const uint8_t *tag,
                                           anonset_detail *detail);

/*
 * Reads the whole list and recomputes its digests: OK with *sound set either way, and the detail
 * telling what disagrees, and where, when it is not. Then anonset_used_repair, and sync. That each
 * tag is found by anonset_used_find is looked at as well. Memory does not grow with the list. IO,
 * NO_MEMORY.
 */
ANONSET_API anonset_code anonset_used_verify(anonset_used_list *list, bool *sound,
                                             anonset_detail *detail);

/* What anonset_used_repair did. */
typedef struct anonset_used_repaired {
    uint32_t kept;    /* tags that are sound, from position 0 on */
    uint32_t dropped; /* tags behind them, which are gone: 0 if all was sound */
} anonset_used_repaired;

/*
 * Verifies the list and cuts it, in one atomic step, where its damage begins: back to the end of
 * the last batch before it whose digest is right. What is left is sound, and was the list once; the
 * next sync goes on there. A sound list is not touched; with something dropped, the detail says
 * what was wrong. CORRUPT: the record of the list, or what the engine keeps to find a tag, is
 * damaged: call anonset_store_rebuild. UNSUPPORTED, BUSY, IO, FULL, UNKNOWN, NO_MEMORY; STALE: a
 * sync wrote to it at the same time, again and again. Thread-safe, as every function of a store.
 */
ANONSET_API anonset_code anonset_used_repair(anonset_store *store, anonset_used_repaired *did,
                                             anonset_detail *detail);

/* Removes the list, in one atomic step; what else is stored stays. Lists that are open go on
 * reading what they saw. UNSUPPORTED, BUSY, IO, FULL, CORRUPT, UNKNOWN; STALE: a sync wrote to it
 * at the same time, again and again. */
ANONSET_API anonset_code anonset_used_clear(anonset_store *store, anonset_detail *detail);

/* ---- Synchronizing ------------------------------------------------------------------------ */

/*
 * A sync is a state machine without I/O of its own but for the store: it hands out requests and is
 * fed answers, by whoever owns the connection. It opens no socket, starts no thread, reads no
 * clock.
 *
 *     for (;;) {
 *         switch (anonset_sync_step(sync, &request)) {
 *         case ANONSET_STEP_SEND: send(request); break;            put it on the wire, step again
 *         case ANONSET_STEP_WAIT: anonset_sync_feed(sync, receive()); break;
 *         case ANONSET_STEP_DONE: return;
 *         }
 *     }
 *
 * Between two calls it holds no lock and no transaction: the process may be suspended there.
 * From a callback only anonset_sync_cancel and anonset_sync_is_cancelled may be called on it.
 * anonset_client_run below is such a loop on libcurl; examples/own_transport.c is another,
 * and doc/embed.md tells what such a driver owes.
 */
typedef struct anonset_sync anonset_sync;

/* How the sync of one group ended. Names and rules: doc/design.md, the decision table. */
typedef enum anonset_outcome {
    ANONSET_FINALIZED = 0,  /* the set the server told is whole, checked and visible */
    ANONSET_REANCHORED,     /* same coins, mined again elsewhere: the block hash was replaced */
    ANONSET_UP_TO_DATE,     /* nothing to do */
    ANONSET_NO_SUCH_GROUP,  /* the server has no such group; what is stored was kept */
    ANONSET_REMOTE_BEHIND,  /* the server has fewer coins than the finalized set; kept */
    ANONSET_REORG_DETECTED, /* the server's history differs from the finalized set; kept */
    ANONSET_ANOMALY,        /* same block, other set: one of the two answers was a lie; kept */
    ANONSET_BAD_SECTOR,     /* wrong number of coins or a coin that contradicts itself; nothing
                               of that answer was stored */
    ANONSET_GATE_REFUSED,   /* the downloaded set failed the integrity gate and was dropped */
    ANONSET_NETWORK_ERROR,  /* the server could not be reached, or not made sense of; resumable */
    ANONSET_STORE_BUSY,     /* another process syncs this store; resumable */
    ANONSET_STORE_ERROR,    /* the store failed; error.code says how */
    ANONSET_OTHER_NETWORK,  /* the server follows another chain than the store */
    ANONSET_SYNC_CANCELLED, /* progress kept */
    ANONSET_OUTCOME_COUNT
} anonset_outcome;

/* The outcome as printed by the program: "finalized", "up_to_date", …; a constant string. */
ANONSET_API const char *anonset_outcome_name(anonset_outcome outcome);

/* What came of looking for blocks whose chain of set hashes leads to the one told. */
typedef enum anonset_proof {
    ANONSET_PROOF_NONE = 0,   /* not looked for: proof_budget is 0, a set of one block has no set
                                 hash, no coin is new, or the sync ended before */
    ANONSET_PROOF_FOUND,      /* the coins lead to it from a proven set, or from the first coin: the
                                 set is at level SET_HASH */
    ANONSET_PROOF_CONSISTENT, /* the new coins lead to it from the set before, which is at level
                                 COUNT itself: so is this one */
    ANONSET_PROOF_BUDGET,     /* there are more ways to cut the coins into blocks than proof_budget
                                 allows to try: level COUNT. Sync more often, or allow more */
    ANONSET_PROOF_NO_HEIGHTS, /* as BUDGET, and the server does not tell the heights of
                                 transactions: level COUNT. Ask another server */
    ANONSET_PROOF_NO_START,   /* a later group begins with coins of the one before, and where its
                                 own begin is not known: level COUNT */
} anonset_proof;

/* What a sync of one group came to. What on_result is given lives only during that call. */
typedef struct anonset_result {
    uint32_t group;
    anonset_outcome outcome;
    anonset_state state;   /* of the store, after */
    uint32_t fetched;      /* coins downloaded and newly stored in this run */
    uint32_t copied;       /* coins newly stored that were those of the group before */
    uint32_t resumed_from; /* position the download started at */
    uint32_t discarded;    /* pending coins dropped */
    uint32_t replaced;     /* FINALIZED by following a reorganization: coins of the set before that
                              are gone or stand elsewhere; else 0 */
    anonset_proof proof;   /* of the set hash, where it was finalized now */
    uint32_t requests;     /* requests handed out */
    uint64_t bytes;        /* of answers, as fed (padding included) */
    anonset_detail error;  /* what failed and what to do; for FINALIZED, REANCHORED and UP_TO_DATE
                              the code is OK and the text empty. The text explains every other
                              outcome, also where nothing failed and the code is OK */
} anonset_result;

/* What a sync of the list of used tags came to. Lives only during the on_used call. */
typedef struct anonset_used_result {
    anonset_outcome outcome;  /* FINALIZED: the list is as long as the server's. UP_TO_DATE.
                                 REMOTE_BEHIND: the server has fewer; kept. REORG_DETECTED: the
                                 server's differs, and by on_reorg, or because it does so too far
                                 back, the stored one was kept. And those of any sync */
    anonset_used_state state; /* of the store, after */
    uint32_t fetched;         /* tags newly stored in this run */
    uint32_t resumed_from;    /* position that new ones were first stored at */
    uint32_t replaced;        /* tags that were stored before and are gone: a reorganization */
    uint32_t requests;        /* requests handed out */
    uint64_t bytes;           /* of answers, as fed (padding included) */
    anonset_detail error;     /* as in anonset_result */
} anonset_used_result;

/* How far a sync is. Never goes back but for `restarted`. */
typedef struct anonset_progress {
    uint32_t group;    /* 0: the list of used tags */
    uint32_t position; /* coins held, the finalized prefix included */
    uint32_t size;     /* of the target; of the list nobody knows it before its end: as position */
    uint64_t bytes;    /* of answers so far in this run */
    bool restarted;    /* pending coins were dropped, or the target is a smaller one */
} anonset_progress;

#define ANONSET_SECTOR_AUTO          0u
#define ANONSET_PROOF_BUDGET_DEFAULT 65536u

/* What to do where the server's history differs from the finalized set. */
typedef enum anonset_on_reorg {
    ANONSET_REORG_FOLLOW = 0, /* download what was replaced, and show it once it passed the gate */
    ANONSET_REORG_KEEP,       /* change nothing; REORG_DETECTED */
} anonset_on_reorg;

/* A log digest that the caller knows to be right: shipped with the wallet, or told by another one
 * (status --json shows it). */
typedef struct anonset_trusted {
    uint32_t group; /* 1 or more */
    uint32_t size;  /* coins, oldest first, that the digest is of; 1 or more */
    uint8_t digest[ANONSET_HASH_BYTES];
} anonset_trusted;

/* Whether to sync the list of used coin tags. */
typedef enum anonset_used_mode {
    ANONSET_USED_NO = 0,
    ANONSET_USED_TOO,  /* behind the groups, unless one ended in a way that ends the sync */
    ANONSET_USED_ONLY, /* no group is looked at, whatever `group` says */
} anonset_used_mode;

#define ANONSET_USED_MOST_DEFAULT 8388608u

typedef struct anonset_sync_options {
    size_t size;               /* sizeof(anonset_sync_options) */
    uint32_t group;            /* 1 or more; 0: every group, 1 to the server's newest */
    uint32_t sector_size;      /* coins a request, 1 to 65,536; ANONSET_SECTOR_AUTO: adapted to stay
                                  below sector_bytes. A server that says "too large" halves either */
    uint32_t sector_bytes;     /* bytes an answer of an adapted sector aims below: a power of two,
                                  default 1 MiB, since electrumx pads answers to a power of two */
    bool ask_genesis;          /* ask for the genesis hash in the first flight; default true */
    anonset_on_reorg on_reorg; /* default FOLLOW */
    uint32_t proof_budget;     /* hash calls to spend on proving the set hash; each open block
                                  boundary doubles the need. 0: none, sets stay at level COUNT.
                                  Default 65,536: most deltas of up to 12 to 14 small blocks */
    bool prove;                /* where the budget does not suffice, ask for the heights of two
                                  transactions at each open block boundary: proves a set of any
                                  size, also one that is up to date but at level COUNT. Whoever
                                  answers learns nothing of the wallet but that it asks. Default
                                  false */
    const anonset_trusted *trusted; /* copied. A set that passes through one of these sizes with
                                       another digest is refused, GATE_REFUSED: a download as soon
                                       as it shows, a set that is up to date as well */
    size_t trusted_n;
    void (*on_result)(void *context, const anonset_result *result);       /* once a group */
    void (*on_progress)(void *context, const anonset_progress *progress); /* once a commit */
    void *context;
    anonset_used_mode used; /* default NO */
    uint32_t used_most;     /* a list of more used tags is refused: else a server could fill the
                               disk with it. 1 or more; default 8,388,608 */
    void (*on_used)(void *context, const anonset_used_result *result); /* once, if it was begun */
} anonset_sync_options;

/* Fills `options` with the defaults (group 1, adapted sectors, no callbacks). */
ANONSET_API void anonset_sync_options_init(anonset_sync_options *options);

/* What to ask a server. */
typedef enum anonset_request_kind {
    ANONSET_REQUEST_META,         /* spark.getsparkanonymitysetmeta [group] */
    ANONSET_REQUEST_SECTOR,       /* spark.getsparkanonymitysetsector [group, block, start, end) */
    ANONSET_REQUEST_NEWEST_GROUP, /* spark.getsparklatestcoinid [] */
    ANONSET_REQUEST_GENESIS,      /* electrumx server.features; firod getblockhash 0 */
    ANONSET_REQUEST_HEIGHT,       /* electrumx blockchain.transaction.get [txid, true]; firod
                                     getrawtransaction [txid, 1] (firod without -txindex answers
                                     with an error) */
    ANONSET_REQUEST_USED,         /* spark.getusedcoinstagstxhashes [start]. The server sends all
                                     from there on: read the answer in pieces, anonset_used_text */
} anonset_request_kind;

typedef struct anonset_request {
    uint32_t id; /* unique in this sync, 1 and up */
    anonset_request_kind kind;
    uint32_t group;
    uint8_t block_hash[ANONSET_HASH_BYTES]; /* SECTOR: the pinned block */
    uint32_t start, end;                    /* SECTOR: indices, newest first, [start, end); USED:
                                               start is a position, oldest first */
    uint8_t tx_hash[ANONSET_HASH_BYTES];    /* HEIGHT: the transaction, bytes as in anonset_coin */
} anonset_request;

typedef enum anonset_answer_kind {
    ANONSET_ANSWER_NONE,          /* nothing to feed: a notification */
    ANONSET_ANSWER_META,          /* meta */
    ANONSET_ANSWER_COINS,         /* coins, n; newest first, as the server sent them */
    ANONSET_ANSWER_NUMBER,        /* number: the newest group, or the height of a transaction; 0:
                                     the server does not know it in a block */
    ANONSET_ANSWER_HASH,          /* meta.block_hash: the genesis block's hash, its bytes in the
                                     order of the hex digits (a meta has them the other way round) */
    ANONSET_ANSWER_USED,          /* used, n, more; oldest first, as the server sent them */
    ANONSET_ANSWER_BLOCK_REFUSED, /* SECTOR: "Incorrect blockHash provided": not on its chain */
    ANONSET_ANSWER_NO_GROUP,      /* SECTOR, META: "There is no anonymity set with this id" */
    ANONSET_ANSWER_TOO_LARGE,     /* SECTOR: "response too large": ask for less. USED: the server
                                     cannot send its list */
    ANONSET_ANSWER_BUSY,          /* the server cannot just now (excessive use, warming up) */
    ANONSET_ANSWER_ERROR,         /* any other error object; `text` */
} anonset_answer_kind;

/* A decoded answer. Whoever makes it owns coins and text. */
typedef struct anonset_answer {
    uint32_t id; /* of the request it answers */
    anonset_answer_kind kind;
    anonset_meta meta;
    uint32_t number;
    anonset_coin *coins; /* may be reordered by anonset_sync_feed */
    uint32_t n;
    uint64_t wire_bytes;            /* bytes it took on the wire, padding included */
    uint64_t text_bytes;            /* bytes without padding: what sector sizes are adapted by */
    char text[ANONSET_DETAIL_TEXT]; /* the server's words, printable ASCII only */
    const anonset_used *used;       /* must stay in place as the coins' bytes do */
    bool more; /* USED: the answer goes on: the request stays outstanding, and n is
                  ANONSET_USED_BATCH */
} anonset_answer;

/*
 * Makes a sync of `store`. Nothing is read or written before the first step. `options` is copied;
 * NULL gives the defaults. At most one sync a group at a time on one store handle. The caller owns
 * *sync and ends it with anonset_sync_free. INVALID: an option is out of range. NO_MEMORY.
 */
ANONSET_API anonset_code anonset_sync_new(anonset_sync **sync, anonset_store *store,
                                          const anonset_sync_options *options,
                                          anonset_detail *detail);

/* Ends a sync at any moment; NULL is allowed. Everything committed stays. */
ANONSET_API void anonset_sync_free(anonset_sync *sync);

typedef enum anonset_step {
    ANONSET_STEP_SEND, /* *request was set: send it, then step again */
    ANONSET_STEP_WAIT, /* feed an answer to any request outstanding, then step again */
    ANONSET_STEP_DONE, /* every result was given; step again answers DONE again */
} anonset_step;

/*
 * Does the next thing there is to do: hands out a request, or commits what was fed. Requests come
 * before commits, so that the next sector is on the wire while the last one is committed.
 */
ANONSET_API anonset_step anonset_sync_step(anonset_sync *sync, anonset_request *request);

/*
 * Feeds one answer, after step returned WAIT; answers may come in any order. The bytes that
 * answer->coins point to must stay in place until anonset_sync_step has returned WAIT or DONE
 * again. INVALID: no request with this id is outstanding, or step did not say WAIT, or part of a
 * list that is no whole batch; nothing was taken. Failures that come of the answer are told by the
 * result, not here.
 */
ANONSET_API anonset_code anonset_sync_feed(anonset_sync *sync, anonset_answer *answer,
                                           anonset_detail *detail);

/* The requests that were handed out and not yet answered: *requests is an array of the returned
 * length, owned by the sync, valid until the next call on it. */
ANONSET_API size_t anonset_sync_outstanding(const anonset_sync *sync,
                                            const anonset_request **requests);

/*
 * Says that the connection was lost, or is to be used no more: all requests outstanding are void,
 * their answers must not be fed, and the sync starts again from the meta, with all that is
 * committed. `timed_out`: an answer was too slow; sectors are halved.
 */
ANONSET_API void anonset_sync_reconnect(anonset_sync *sync, bool timed_out);

/* Gives up: the group under way (0, where the newest group was not known yet) ends as NETWORK_ERROR
 * with `why` (may be NULL), groups after it are not begun. The next step gives the result, and
 * DONE. */
ANONSET_API void anonset_sync_abort(anonset_sync *sync, const anonset_detail *why);

/* Asks the sync to end at its next step as SYNC_CANCELLED. The one function that may be called from
 * any thread, or a signal handler, while others run on the same sync; not while it is freed. A
 * client that waits sees it within 50 ms. */
ANONSET_API void anonset_sync_cancel(anonset_sync *sync);

/* Whether anonset_sync_cancel was called: for drivers that wait. Same safety. */
ANONSET_API bool anonset_sync_is_cancelled(const anonset_sync *sync);

/* Commits done so far by this sync that got it on (new coins, or a set finalized): lets a driver
 * reset its patience. Bounded, whatever a server says. */
ANONSET_API uint64_t anonset_sync_commits(const anonset_sync *sync);

/* ---- Text: requests and answers as JSON-RPC ----------------------------------------------- */

/* For whoever owns a connection. Pure functions: no I/O, no state. Thread-safe. */
typedef enum anonset_dialect {
    ANONSET_ELECTRUMX, /* JSON-RPC 2.0, a line each, methods with "spark." */
    ANONSET_FIROD,     /* JSON-RPC 1.0, the body of an HTTP POST */
} anonset_dialect;

#define ANONSET_REQUEST_TEXT 256 /* no request is longer, NUL included */

/* Writes `request` to `text` (at least ANONSET_REQUEST_TEXT bytes), NUL-ended, electrumx's with its
 * line end. Returns the length without the NUL. */
ANONSET_API size_t anonset_request_write(char *text, const anonset_request *request,
                                         anonset_dialect dialect);

/* The largest answer to `request` worth receiving, in bytes: a driver cuts off what is longer.
 * n coins: n x 8 KiB + 64 KiB, rounded up to a power of two (electrumx pads to one). HEIGHT: 1 MiB,
 * for a transaction may have 100 KB and is printed at several times its size. USED: 64 KiB, for
 * what is around the list; the list itself has no end that could be known before. */
ANONSET_API uint64_t anonset_answer_limit(const anonset_request *request);

/*
 * Decodes one answer (a line of electrumx, a body of firod), in place: `text` is overwritten, and
 * answer->coins points into it. `outstanding` are the n requests it may answer; the answer's id
 * selects one. The decoder allocates the coins array, at most as long as the request asked for plus
 * one; end the answer with anonset_answer_clear. Sets answer->wire_bytes to len.
 *
 * OK with kind NONE: a notification, nothing to feed. BAD_ANSWER: not JSON, not the shape of this
 * answer, base64 that is not canonical, a number out of range, or an id that was not asked; the
 * detail says which. NO_MEMORY.
 */
ANONSET_API anonset_code anonset_answer_read(anonset_answer *answer, char *text, size_t len,
                                             const anonset_request *outstanding, size_t n,
                                             anonset_dialect dialect, anonset_detail *detail);

/* Frees what anonset_answer_read allocated; the struct may be used again. */
ANONSET_API void anonset_answer_clear(anonset_answer *answer);

/*
 * Reads answers piece by piece, as they come off a connection: for the list of used tags, which may
 * be of any length. Takes a fixed 700 KiB or so. Not thread-safe: one connection, one reader.
 */
typedef struct anonset_used_text anonset_used_text;

#define ANONSET_USED_BATCH 8192u /* tags that are handed out at once */

/* The caller owns *reader and ends it with anonset_used_text_free. NO_MEMORY. */
ANONSET_API anonset_code anonset_used_text_new(anonset_used_text **reader, anonset_detail *detail);

/* Ends a reader; NULL is allowed. Tags it handed out are gone. */
ANONSET_API void anonset_used_text_free(anonset_used_text *reader);

/*
 * Takes the next bytes of an answer, *taken of `len`; `last`: they end it (a line of electrumx,
 * without its line end, or a body of firod). Call again with what was not taken; the answer is at
 * its end when all bytes of its last piece are taken. `outstanding` are the n requests it may
 * answer, one of them of kind USED. answer->used points into the reader, until the next call on it.
 *
 * OK with kind NONE: nothing to feed; go on. With another kind: feed it, then go on. Answers to
 * other requests and errors come whole, at their end, as by anonset_answer_read. Only there is it
 * seen that the list was an answer to that request at all: until then its tags are fed as such.
 * BAD_ANSWER, NO_MEMORY: as anonset_answer_read. The reader is of no more use then, as after a cut
 * connection: make another.
 */
ANONSET_API anonset_code anonset_used_text_read(anonset_used_text *reader, anonset_answer *answer,
                                                size_t *taken, const char *text, size_t len,
                                                bool last, const anonset_request *outstanding,
                                                size_t n, anonset_dialect dialect,
                                                anonset_detail *detail);

/* ---- Built-in transport ------------------------------------------------------------------- */

/* A connection to one server, on libcurl. tcp:// and ssl:// are ElectrumX, http:// and https://
 * firod. In a build --without-curl there is none: anonset_client_new answers UNSUPPORTED. */
typedef struct anonset_client anonset_client;

typedef struct anonset_client_options {
    size_t size;         /* sizeof(anonset_client_options) */
    const char *proxy;   /* "socks5h://host:port", …; NULL: none (the environment is not asked) */
    const char *tls_pin; /* "sha256//BASE64" of the server's public key: then no CA is asked;
                            NULL: verified by CA */
    bool tls_insecure;   /* accept any certificate: whoever sits between can lie and listen */
    const char *cookie_file; /* firod's .cookie; NULL: user and password from ANONSET_RPC_USER and
                                ANONSET_RPC_PASSWORD in the environment, or none */
    unsigned timeout_ms;     /* without a byte of an answer, or by which its bytes are behind 100 a
                                second; default 30,000 */
    unsigned retries;        /* transient failures in a row without a commit; default 5 */
} anonset_client_options;

/* Fills `options` with the defaults. */
ANONSET_API void anonset_client_options_init(anonset_client_options *options);

/*
 * Makes a client for `url`; no connection is opened yet. Strings are copied. The caller ends
 * *client with anonset_client_free. INVALID: the URL's scheme or an option makes no sense; the
 * detail says which. NO_MEMORY. PERMISSION, NOT_FOUND, IO: the cookie file cannot be read.
 * UNSUPPORTED: this library was built without libcurl.
 */
ANONSET_API anonset_code anonset_client_new(anonset_client **client, const char *url,
                                            const anonset_client_options *options,
                                            anonset_detail *detail);

/* Ends a client; NULL is allowed. */
ANONSET_API void anonset_client_free(anonset_client *client);

/*
 * Drives `sync` on for a while: as anonset_client_run, but returns once `max_bytes` bytes of
 * answers were received in this call, or `max_ms` milliseconds are over, whichever is first; 0: no
 * such limit. Sets *done to whether the sync is done; else call again, and it goes on where it was,
 * also in the midst of an answer: every call gets on by something, however little it may take.
 *
 * Between two calls no lock, no transaction and no snapshot is held, and all that was received and
 * stored is committed: the process may be suspended there, or killed. The connection is kept, and
 * made anew where it did not survive; time between calls counts for no timeout. What the server
 * sends meanwhile waits in the system's buffers.
 *
 * A call does not receive more than max_bytes but for one buffer of libcurl (16 KiB), and that only
 * from firod. It may last longer than max_ms by what must not be interrupted: the commit of a
 * sector, and the gate's look at a set that is complete, or the copying of the group before.
 *
 * One client has one sync under way. Another one in its place, or one that was driven otherwise
 * meanwhile, is begun on a new connection, with what is committed. Whoever knows that the
 * connection is dead, since the network changed, ends the client and goes on with a new one. The
 * two may be ended in any order.
 * Returns OK; INVALID only for a NULL argument. One thread at a time.
 */
ANONSET_API anonset_code anonset_client_step(anonset_client *client, bool *done, anonset_sync *sync,
                                             uint64_t max_bytes, uint32_t max_ms,
                                             anonset_detail *detail);

/*
 * Drives `sync` to its end: connects, sends, receives, retries transient failures with exponential
 * backoff and jitter, paces requests by the server's charges. What came of it is told by the sync's
 * on_result; failures of the network end as NETWORK_ERROR there. Returns OK when the sync is done.
 * INVALID only for a NULL argument.
 */
ANONSET_API anonset_code anonset_client_run(anonset_client *client, anonset_sync *sync,
                                            anonset_detail *detail);

/*
 * Syncs one group (1 or more) to its end, with the options that anonset_sync_options_init sets: for
 * who needs no other, no progress and no cancelling. Sets *result to what came of it; every outcome
 * is OK, also NETWORK_ERROR: result->outcome and result->error tell.
 * INVALID: a NULL argument, or group 0. NO_MEMORY.
 */
ANONSET_API anonset_code anonset_client_sync(anonset_client *client, anonset_result *result,
                                             anonset_store *store, uint32_t group,
                                             anonset_detail *detail);

#ifdef __cplusplus
}
#endif

#endif
