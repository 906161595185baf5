/*
 * A sync without a store, for tests of the transport alone: it asks for the meta, then for
 * `sectors` sectors of one coin, each next one before it "commits" the last, then `heights` times
 * for the height of the last coin's transaction, and keeps count of all that the transport does to
 * it. It stands in for core/sync.c; a test program links one of the two.
 */
#ifndef FAKE_SYNC_H
#define FAKE_SYNC_H

#include <anonset/anonset.h>
#include <stdatomic.h>

#define FAKE_OUTSTANDING 4u

struct anonset_sync {
    uint32_t sectors;
    uint32_t coins; /* a sector; 0 counts as 1 */
    uint32_t heights;
    void (*on_commit)(void *context); /* inside of step, while a commit would run */
    void *context;
    bool used;      /* asks for the list of used tags in place of the meta */
    bool silent;    /* step waits for an answer, and nothing was asked */
    bool deaf;      /* takes no answer */
    uint32_t ahead; /* sectors that are asked for before the one under way is answered */

    /* What happened. */
    uint64_t commits;
    uint32_t metas, reconnects, timeouts;
    uint32_t sent_before_commit; /* commits with the next sector handed out */
    bool aborted;
    anonset_detail why; /* of the abort */
    bool cancelled_seen;
    uint32_t height;     /* told last */
    char serialized[16]; /* of the newest coin fed, as it read at its commit */

    /* Its own. */
    atomic_bool cancelled;
    anonset_request outstanding[FAKE_OUTSTANDING];
    size_t n;
    uint32_t last_id;
    uint32_t asked; /* sectors handed out since the last meta, the committed ones included */
    uint32_t heights_asked, heights_told;
    bool meta_asked, meta_told, fed;
    uint8_t block_hash[ANONSET_HASH_BYTES], tx_hash[ANONSET_HASH_BYTES];
    anonset_coin coin;
};

/* Cancels `sync` from a signal's handler, 200 ms from now, which is returned. */
uint64_t fake_cancel_soon(anonset_sync *sync);

/* A call that began then was ended by it: 100 ms later at most, 200 more for a busy machine, and
 * what a tool takes. */
bool fake_ended_soon(uint64_t began_ms);

#endif
