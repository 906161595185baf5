/*
 * Caches of older wallets: SQLite files with the tables SparkSet, SparkCoin and SparkSetCoins, all
 * values as base64 text. A row of SparkSet is one finished sync; its links, joined to coins, are
 * what that sync added. Two versions are known:
 *
 *     v1   oldest coin first by set id, link id. Nothing keeps a link from being there twice
 *     v2   SparkSet.complete: other rows were never shown; SparkSetCoins.orderKey: oldest coin
 * first by set id, falling key, link id; a unique index on (setId, coinId)
 *
 * Wallets upgraded files in steps, so each of the three is looked for by itself. Here such a file
 * becomes a store: every finished sync a checkpoint, all coins in the order in which the ordered
 * queries of the layout give them. A set whose newest row counts other coins than there are, or in
 * which a coin repeats, stays readable at gate level NONE.
 */
#ifndef AS_SQLITE_LEGACY_H
#define AS_SQLITE_LEGACY_H

#include "core/replay.h"

typedef enum as_legacy_kind {
    AS_LEGACY_CACHE, /* v1, v2, or a step between */
    AS_LEGACY_OURS,  /* a store: its upgrade was committed, but is in the log as yet */
} as_legacy_kind;

/* Looks at what the tables of an SQLite file are. Writes nothing and leaves nothing beside it.
 * FOREIGN: something else. BUSY: in use by a program that lets nobody in. */
anonset_code as_legacy_look(as_legacy_kind *kind, const char *path, unsigned busy_ms,
                            anonset_detail *detail);

/*
 * Makes the cache at `path` a store, in one transaction; all other users are kept out meanwhile.
 * The caller holds the writer lock. On failure the file is as it was. FULL: there is not enough
 * room, up to three quarters of the file's size. CORRUPT: the cache holds what no wallet wrote.
 */
anonset_code as_legacy_upgrade(const char *path, const uint8_t salt[ANONSET_SALT_BYTES],
                               unsigned busy_ms, anonset_detail *detail);

/* Replays the cache at `path`, which is opened read-only, into another store. */
anonset_code as_legacy_import(const char *path, as_replay *replay, unsigned busy_ms,
                              anonset_detail *detail);

#endif
