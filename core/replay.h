/*
 * Writing the history of groups into a store: the coins of each state oldest first, then the state,
 * as the syncs that finalized them did. For stores that are made out of others.
 */
#ifndef AS_REPLAY_H
#define AS_REPLAY_H

#include <anonset/backend.h>

/* Where to: two writes of a backend, called as backend.h says. */
typedef struct as_replay_sink {
    void *to;
    anonset_code (*append_sector)(void *to, const anonset_append *append, anonset_detail *detail);
    anonset_code (*mark_complete)(void *to, const anonset_complete *complete,
                                  anonset_detail *detail);
    uint8_t salt[ANONSET_SALT_BYTES]; /* keys the tags */
} as_replay_sink;

typedef struct as_replay as_replay;

/* `sink` is copied. Takes 700 KiB, more only for a coin that is larger. */
anonset_code as_replay_new(as_replay **replay, const as_replay_sink *sink, anonset_detail *detail);
void as_replay_free(as_replay *replay);

/* Begins a group of which the store has nothing. */
void as_replay_group(as_replay *replay, uint32_t group);

/* Sets *bytes to `len` bytes for the next coin to point into; coins before it may be written. */
anonset_code as_replay_room(as_replay *replay, uint8_t **bytes, size_t len, anonset_detail *detail);
/* Adds the coin, whose bytes are in the room just given. INVALID: there are 2^32 - 2 already. */
anonset_code as_replay_coin(as_replay *replay, const anonset_coin *coin, anonset_detail *detail);

/* Adds coins that are none up to position `to`, where the log digest is `digest`: in the place of
 * coins that could not be read, to be dropped when all the rest is there. */
anonset_code as_replay_gap(as_replay *replay, uint32_t to, const uint8_t *digest,
                           anonset_detail *detail);

/* Coins so far, and their log digest (ANONSET_HASH_BYTES; valid until the next call). */
uint32_t as_replay_position(const as_replay *replay);
const uint8_t *as_replay_digest(const as_replay *replay);

/* The coins so far are the state `meta`, its size included. Nothing is done for the same state
 * twice in a row. */
anonset_code as_replay_state(as_replay *replay, const anonset_meta *meta, anonset_gate gate,
                             anonset_detail *detail);

/* Goes back to position `base` of the newest state, where the log digest is `digest`: the coins
 * that follow are pending. */
void as_replay_back(as_replay *replay, uint32_t base, const uint8_t *digest);
/* The coins so far are the pending set for `target`. */
anonset_code as_replay_pending(as_replay *replay, const anonset_meta *target,
                               anonset_detail *detail);

#endif
