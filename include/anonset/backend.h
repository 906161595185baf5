/*
 * backend.h: for those who store sets in an engine of their own.
 *
 * Stability: weaker than anonset.h's. The vtable only grows at its end, and `size` tells how much
 * of it you know; but a minor release may add a method that you must have.
 *
 * A backend takes no decision. It offers three atomic writes and consistent reads, and refuses what
 * does not fit what it holds. Copy backends/memory to start; anonset-conformance.h proves the
 * result.
 *
 * Rules for every method
 *  - Arguments come from core/, which has checked them: pointers are set, groups are 1 or more,
 *    positions and sizes are in range of each other. What depends on stored state, you check.
 *  - Every write is one transaction, durable when it returns OK (it survives power loss); on any
 *    other code nothing changed, but for UNKNOWN: an I/O error left the outcome open. After UNKNOWN
 *    every call on the handle but close answers UNKNOWN.
 *  - A store locked by another writer is waited for up to busy_ms, then BUSY. Reads never wait for
 *    writers.
 *  - Methods may be called from many threads on one handle; a snapshot belongs to one at a time.
 *  - On a handle opened READ_ONLY every write answers INVALID, whatever it would have done.
 *  - Any number of handles and processes may have the same store open, also two in one process.
 *  - Text for people goes into the detail (NULL is possible), never to a stream.
 *  - Memory must not grow with the set. The cost of load_state, append and complete must not grow
 *    with the number of coins stored (replacing a tail may touch the tail), that of open only by
 *    what it takes to see that the engine's own pages are sound.
 */
#ifndef ANONSET_BACKEND_H
#define ANONSET_BACKEND_H

#include <anonset/anonset.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANONSET_SALT_BYTES 16

/* Together with READ_ONLY: the store is damaged, and opened once more for what is sound in it. Only
 * what cannot be read at all is refused here; the rest is told where it is asked for. */
#define ANONSET_BACKEND_SALVAGE 0x100u

typedef struct anonset_backend_options {
    unsigned flags;   /* ANONSET_STORE_CREATE, ANONSET_STORE_READ_ONLY, ANONSET_BACKEND_SALVAGE */
    unsigned busy_ms; /* never 0 */
    uint8_t salt[ANONSET_SALT_BYTES]; /* random: recorded when the store is created, else unused */
    void (*log)(void *log_context, anonset_code code, const char *text); /* may be NULL */
    void *log_context;
} anonset_backend_options;

/* What a store knows of itself. */
typedef struct anonset_store_info {
    uint8_t salt[ANONSET_SALT_BYTES]; /* keys the tags; the same for the life of the store */
    bool has_genesis;
    uint8_t genesis[ANONSET_HASH_BYTES];
} anonset_store_info;

/* One sector to append. Arrays hold n entries, oldest coin first; all is borrowed for the call. */
typedef struct anonset_append {
    uint32_t group;
    anonset_meta target;
    uint32_t base;
    uint32_t start; /* position of coins[0] */
    uint32_t n;     /* may be 0: only re-pin, or only create the pending set */
    const anonset_coin *coins;
    const uint32_t *tags; /* a keyed fingerprint a coin, to be kept and given back by read_tags */
    const uint8_t (*digests)[ANONSET_HASH_BYTES]; /* log digest after each coin */
    uint8_t digest_before[ANONSET_HASH_BYTES];    /* log digest at `start` */
    uint8_t digest_after[ANONSET_HASH_BYTES];     /* at start + n; == digest_before if n is 0 */
    const anonset_meta *upon; /* the finalized set by which base was chosen, all zero: none; NULL:
                                 whichever there is */
} anonset_append;

typedef struct anonset_complete {
    uint32_t group;
    anonset_meta target;
    uint32_t expected_count; /* pending coins */
    uint8_t digest[ANONSET_HASH_BYTES];
    anonset_gate gate;
} anonset_complete;

/* Stored coins that were found damaged. Both ends lie where a run of the view begins or ends. */
typedef struct anonset_damage {
    uint32_t group;
    bool pending;      /* of the pending set, from `from` to its end; else of the finalized one */
    uint32_t from, to; /* positions [from, to) */
    uint8_t digest[ANONSET_HASH_BYTES]; /* of that set, as it is recorded */
    uint8_t before[ANONSET_HASH_BYTES]; /* log digest at `from` */
    uint8_t after[ANONSET_HASH_BYTES];  /* at `to` */
} anonset_damage;

/* Used coin tags to append, instead of those from position `keep` on. Borrowed for the call. */
typedef struct anonset_used_append {
    anonset_used_state before; /* the list as it was when this was decided */
    uint32_t keep;             /* tags of it that stay; at most before.count */
    uint32_t n;                /* may be 0; keep + n is below 2^32 */
    const anonset_used *used;
    uint8_t digest_after[ANONSET_HASH_BYTES]; /* at keep + n */
} anonset_used_append;

/* Which coins a snapshot shows. */
typedef enum anonset_view {
    ANONSET_VIEW_FINALIZED, /* [0, finalized.size) of the finalized set */
    ANONSET_VIEW_NEXT,      /* the finalized set below base, the pending one from base up to
                               base + count: what mark_complete would show. Without a pending set
                               the same as FINALIZED */
} anonset_view;

/* A run of coins with consecutive positions, oldest first. Lives until the next call on its
 * snapshot. */
typedef struct anonset_run {
    uint32_t start;            /* position of the first */
    uint32_t n;                /* at least 1 */
    const anonset_coin *coins; /* read: set; read_tags: NULL */
    const uint8_t *tags; /* read_tags: n x 4 bytes, little-endian, any alignment; read: NULL */
    bool has_digest;     /* read: digest is the stored log digest at position start + n */
    uint8_t digest[ANONSET_HASH_BYTES];
} anonset_run;

typedef struct anonset_backend {
    size_t size;      /* sizeof(anonset_backend) */
    const char *name; /* lower case letters; also names the folder */

    /* must. Opens or creates. FOREIGN: the file is not ours; it was not touched. NOT_FOUND: there
     * is none and CREATE is not set. Creation is atomic: a crash leaves no store or an empty one.
     * A store of an older format that the engine knows becomes one of this, at once, too;
     * UNSUPPORTED if READ_ONLY forbids it. */
    anonset_code (*open)(void **handle, const char *path, const anonset_backend_options *options,
                         anonset_detail *detail);
    /* must. Never fails; all snapshots have ended before. */
    void (*close)(void *handle);

    /* must. */
    anonset_code (*info)(void *handle, anonset_store_info *info, anonset_detail *detail);
    /* must. Records the chain's genesis hash if none is; WRONG_NETWORK if another is. The same
     * again is OK and writes nothing. */
    anonset_code (*set_genesis)(void *handle, const uint8_t *genesis, anonset_detail *detail);

    /* must. As anonset_store_next_group and anonset_store_state. */
    anonset_code (*next_group)(void *handle, uint32_t *group, uint32_t after,
                               anonset_detail *detail);
    anonset_code (*load_state)(void *handle, anonset_state *state, uint32_t group,
                               anonset_detail *detail);

    /*
     * must. Appends a->n coins at position a->start to the pending set of the group.
     * Makes the pending set if there is none: with target a->target and base a->base, which must be
     * at most the finalized size (0 without one), and a->start == a->base.
     * A target other than the pending one replaces it in the same transaction.
     * STALE, nothing written, if: another base is pending, or without a pending set base is past
     * the finalized size; start != base + count; digest_before is not the digest known for that
     * position (the pending one; without a pending set the finalized one at the finalized size, 32
     * zero bytes at 0; elsewhere none is known and this is not checked); the target equals the
     * finalized meta and that set is at a gate level above NONE; start + n is past target.size;
     * without a pending set the finalized one is not a->upon.
     */
    anonset_code (*append_sector)(void *handle, const anonset_append *append,
                                  anonset_detail *detail);

    /*
     * must. STALE, nothing written, unless a pending set exists, its target is c->target, its count
     * is c->expected_count, base + count == target.size and its digest is c->digest.
     * Then, at once: finalized coins at positions >= base go, the pending ones take their place;
     * meta, size, digest and gate become the new ones; checkpoints of a size above base go (aliases
     * with them); a checkpoint for the new state is added. Where one of the same size exists (base
     * == target.size: a re-anchor) it becomes an alias, digest and gate as they were. For the
     * target already finalized, where no pending set has that target: OK; a higher gate level is
     * recorded in state and checkpoint, a lower one ignored; digest must be the finalized one and
     * expected_count is not looked at; a pending set for another target stays as it is.
     */
    anonset_code (*mark_complete)(void *handle, const anonset_complete *complete,
                                  anonset_detail *detail);

    /* must. Removes the pending set; its space becomes free for reuse. OK if there is none. */
    anonset_code (*discard_incomplete)(void *handle, uint32_t group, anonset_detail *detail);

    /* must. As anonset_store_clear, and anonset_store_disk_bytes. */
    anonset_code (*clear)(void *handle, uint32_t group, anonset_detail *detail);
    anonset_code (*disk_bytes)(void *handle, uint64_t *bytes, anonset_detail *detail);

    /* must. Opens a consistent view of one group and tells its whole state. A group of which
     * nothing is stored is OK with an all-zero state. */
    anonset_code (*snapshot_open)(void *handle, void **snapshot, anonset_state *state,
                                  uint32_t group, anonset_view view, anonset_detail *detail);
    void (*snapshot_close)(void *snapshot);

    /* must. Sets *run to a run that contains `position`, which is inside the view: as long as the
     * engine can give without copying much, at most 4,096 coins. CORRUPT: the stored bytes cannot
     * be read as coins. */
    anonset_code (*read)(void *snapshot, anonset_run *run, uint32_t position,
                         anonset_detail *detail);

    /* must. The checkpoints, newest first, aliases right behind the one they belong to; index 0 is
     * the newest. NOT_FOUND past the last. Reading them one after another is cheap. */
    anonset_code (*checkpoint)(void *snapshot, anonset_checkpoint *checkpoint, uint32_t index,
                               anonset_detail *detail);

    /* may; if absent, tags are computed anew from the coins. Like read, for tags alone; meant to be
     * much cheaper than reading the coins. */
    anonset_code (*read_tags)(void *snapshot, anonset_run *run, uint32_t position,
                              anonset_detail *detail);

    /*
     * may, the two together; if absent, a repair clears the damaged group.
     *
     * drop: deletes the coins [d->from, d->to). Of the pending set: it ends at `from` then. Of the
     * finalized set: its state tells the hole, nothing of it filled; a hole that it has already is
     * widened, and begun anew. Meta, digest, gate, checkpoints and the other set stay. STALE,
     * nothing written, unless the set is there and its digest is d->digest, and the range lies in
     * it and (finalized) covers the hole that there is or (pending) goes to its end.
     *
     * mend: appends a->n (1 or more) coins to what is filled of the hole: a->base is hole_from,
     * a->start hole_from + hole_filled, a->digest_before hole_digest; a->target is not looked at.
     * Coins that reach hole_to close it at once, if a->digest_after is hole_after. STALE, nothing
     * written, if anything of this does not hold.
     *
     * While a set has a hole: read says CORRUPT at positions of it that are not filled, and
     * mark_complete is STALE for a pending set that begins above hole_from. One that begins at or
     * below it takes the hole away.
     */
    anonset_code (*drop)(void *handle, const anonset_damage *damage, anonset_detail *detail);
    anonset_code (*mend)(void *handle, const anonset_append *append, anonset_detail *detail);

    /*
     * may; if absent, anonset_store_rebuild is UNSUPPORTED. Puts the store `by`, which was closed
     * whole, in the place of the one at `path`, atomically, under the writer lock; what was there
     * is kept as `kept` where the file system can. Nobody has either open. FOREIGN: what is at
     * `path` is nothing of ours.
     */
    anonset_code (*replace)(const char *path, const char *by, const char *kept, unsigned busy_ms,
                            anonset_detail *detail);

    /* may; if absent, nothing is known to be wrong. Looks at all that the engine keeps around the
     * coins, at the cost of reading everything. CORRUPT: reads may fail, or a write may do harm. */
    anonset_code (*check)(void *handle, anonset_detail *detail);

    /*
     * may, the five together; if absent, the list of used coin tags is UNSUPPORTED. One list a
     * store, beside its groups; clear of group 0 empties it, with digest all zero.
     *
     * used_append: STALE, nothing written, unless the list's state is a->before. Then, at once: the
     * tags from position a->keep on go, the n new ones come, the state is keep + n and
     * digest_after.
     * used_open: a consistent view of the list, and its state. For one thread at a time.
     * used_read: copies up to `room` tags from `from` on, both in range: at least 1. CORRUPT: the
     * stored bytes cannot be read as tags.
     * used_find: the lowest position of a tag of ANONSET_TAG_BYTES bytes, without reading the list;
     * NOT_FOUND.
     */
    anonset_code (*used_append)(void *handle, const anonset_used_append *a, anonset_detail *detail);
    anonset_code (*used_open)(void *handle, void **view, anonset_used_state *state,
                              anonset_detail *detail);
    void (*used_close)(void *view);
    anonset_code (*used_read)(void *view, anonset_used *used, uint32_t *n, uint32_t from,
                              uint32_t room, anonset_detail *detail);
    anonset_code (*used_find)(void *view, anonset_used *used, uint32_t *position,
                              const uint8_t *tag, anonset_detail *detail);

    /*
     * may; if absent, a list that is damaged anywhere is dropped whole. A used_append's
     * digest_after is kept for its position, as long as the tags below that stay; one that another
     * follows within 4,096 tags may go. Sets *mark to the lowest such position above `above`, and
     * its digest; a count of 0: there is none, or the list's own state is it. CORRUPT: it cannot be
     * read.
     */
    anonset_code (*used_mark)(void *view, anonset_used_state *mark, uint32_t above,
                              anonset_detail *detail);

    /*
     * may; if absent, a verify looks each tag up by used_find. Looks at all that used_find goes by,
     * and sets *sound to how many tags, from the first on, it would be led to. CORRUPT: what is
     * damaged is not for a used_append to mend.
     */
    anonset_code (*used_check)(void *view, uint32_t *sound, anonset_detail *detail);
} anonset_backend;

#ifdef __cplusplus
}
#endif

#endif
