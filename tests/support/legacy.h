/*
 * Caches as older wallets left them: made by running the statements of those layouts through
 * SQLite, and read back by their own ordered queries. The two layouts are v1 and v2; wallets that
 * upgraded a v1 file half way left every step between them.
 *
 * As in support.h, nothing returns an error: what cannot be done ends the test.
 */
#ifndef TS_LEGACY_H
#define TS_LEGACY_H

#include <anonset/anonset.h>
#include <sqlite3.h>
#include <stdio.h>

/* What a file has beyond v1. */
#define TS_LEGACY_COMPLETE 1u  /* the column SparkSet.complete */
#define TS_LEGACY_ORDER    2u  /* the column SparkSetCoins.orderKey */
#define TS_LEGACY_INDEX    4u  /* the unique index on (setId, coinId) */
#define TS_LEGACY_FRESH    8u  /* made as v2: `complete` is 0 by default, not 1 */
#define TS_LEGACY_UTF16    16u /* text is stored so */

#define TS_LEGACY_V1       0u
#define TS_LEGACY_UPGRADED (TS_LEGACY_COMPLETE | TS_LEGACY_ORDER | TS_LEGACY_INDEX)
#define TS_LEGACY_V2       (TS_LEGACY_UPGRADED | TS_LEGACY_FRESH)

typedef struct ts_legacy {
    sqlite3 *db;
    unsigned has;
    sqlite3_stmt *insert_coin, *find_coin, *insert_link;
} ts_legacy;

/* Makes the tables at `path`, where nothing is. */
void ts_legacy_create(ts_legacy *l, const char *path, unsigned has);
/* Opens such a file again. */
void ts_legacy_open(ts_legacy *l, const char *path, unsigned has);
void ts_legacy_close(ts_legacy *l);

/* Runs statements; `format` as sqlite3_mprintf. */
void ts_legacy_run(ts_legacy *l, const char *format, ...);

/* A row of SparkSet; set_hash NULL: the empty text of a group of one block. Returns its id. */
sqlite3_int64 ts_legacy_set(ts_legacy *l, uint32_t group, const anonset_meta *meta);
/* A coin and its link, by the three statements a coin that wallets run. */
void ts_legacy_coin(ts_legacy *l, sqlite3_int64 set, uint32_t group, const anonset_coin *coin,
                    uint32_t order_key);
/* The n coins of one delta, oldest first, as a v1 wallet stores them (a v2 one: newest first, with
 * order keys), a transaction for every `sector` coins. */
void ts_legacy_delta(ts_legacy *l, sqlite3_int64 set, uint32_t group, const anonset_coin *coins,
                     uint32_t n, uint32_t sector);

/*
 * Writes what the layout's ordered query returns, one line a coin as `anonset export` writes it,
 * duplicate links removed. `after`: only sets behind the one with this block hash; NULL: all.
 */
void ts_legacy_export(FILE *out, const char *path, uint32_t group, const uint8_t *after,
                      anonset_order order);
/* The same of a file that is open and may be damaged. False: the query failed. */
bool ts_legacy_try_export(FILE *out, sqlite3 *db, uint32_t group, const uint8_t *after,
                          anonset_order order);

#endif
