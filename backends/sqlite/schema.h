/*
 * The file: what is in it, how it is told from others, how it comes to be.
 *
 *     info        one row: a record (core/ledger.h). The format's version is user_version
 *     grp         a row a group: its slot
 *     pack        rows of coins (core/pack.h), keyed by slot and position; behind those of a slot
 *                 the group's record (core/ledger.h)
 *     checkpoint  records (core/ledger.h), keyed by slot and age
 *     used        used coin tags by position
 *     used_key    where a tag is (used_index.h)
 *     used_state  one row, or none: the record of that list (core/ledger.h)
 *
 * Packs and checkpoints are keyed by one integer, for a second index would write one more page a
 * commit, which small sectors feel. A group id and a position do not fit into it together with what
 * tells two rows of one position apart, so a group gets a slot: a small number of its own. The
 * record, which changes with each commit, stands behind the packs for the same reason: in the leaf
 * that is written anyway.
 */
#ifndef AS_SQLITE_SCHEMA_H
#define AS_SQLITE_SCHEMA_H

#include "backends/sqlite/db.h"

#define AS_SLOT_MOST ((INT64_C(1) << 30) - 1)

/* The key of the pack whose first coin is at `start`. A pending pack may begin where a finalized
 * one does (a tail being replaced): whichever comes second is the twin. */
static inline sqlite3_int64 as_pack_id(sqlite3_int64 slot, uint32_t start, bool twin)
{
    return slot << 33 | (sqlite3_int64)start << 1 | (twin ? 1 : 0);
}

/* Of a slot's keys the last, which no pack has: no coin is at UINT32_MAX. */
static inline sqlite3_int64 as_record_id(sqlite3_int64 slot)
{
    return as_pack_id(slot, UINT32_MAX, true);
}

static inline sqlite3_int64 as_pack_last(sqlite3_int64 slot)
{
    return as_record_id(slot) - 1;
}

static inline uint32_t as_pack_start(sqlite3_int64 id)
{
    return (uint32_t)(id >> 1);
}

/* Keys of a slot's checkpoints: from the oldest up, without a gap; the newest is the highest. */
static inline sqlite3_int64 as_checkpoint_first(sqlite3_int64 slot)
{
    return slot << 33;
}

static inline sqlite3_int64 as_checkpoint_last(sqlite3_int64 slot)
{
    return as_checkpoint_first(slot + 1) - 1;
}

/* Of 4, 8 and 16 KB the only size with which small sectors stay below 2.5 times the payload
 * written, for every commit writes three pages besides the coins. What it costs in system calls,
 * vfs.c gives back. */
#define AS_PAGE_BYTES 4096

#define AS_APPLICATION_ID 0x616e6f6e /* "anon": tells our files from other SQLite files */
#define AS_FORMAT         7

/* The text of each table, as it is kept in the file. */
#define AS_SCHEMA_TABLES 7u
extern const char *const as_schema_tables[AS_SCHEMA_TABLES];

/*
 * Looks at what every reading begins with: the tables are ours, each group's record is sound and
 * of that group, and there are no coins without a record. Costs no more the more coins there are.
 * CORRUPT. In a read transaction of its own.
 */
anonset_code as_schema_check(as_db *db, anonset_detail *detail);

typedef enum as_schema_found {
    AS_FOUND_MISSING,
    AS_FOUND_EMPTY, /* of 0 bytes */
    AS_FOUND_OURS,
    AS_FOUND_OTHER, /* an SQLite file that does not begin as ours do: as_legacy_look tells more */
} as_schema_found;

/* Looks at what is at `path` without changing or locking anything. FOREIGN: nothing of ours. */
anonset_code as_schema_look(as_schema_found *file, const char *path, bool read_only,
                            anonset_detail *detail);

#define AS_HEAD_BYTES 100

/* Reads the first bytes of the file itself, whatever its log says. */
anonset_code as_schema_head(uint8_t head[AS_HEAD_BYTES], as_db *db, anonset_detail *detail);

/* Puts an empty store at `path`, where nothing or an empty file is; atomic and durable. The caller
 * holds the writer lock. */
anonset_code as_schema_create(const char *path, const uint8_t salt[ANONSET_SALT_BYTES],
                              anonset_detail *detail);

/* Begins a transaction that makes the tables of an empty store in an empty file; the caller commits
 * it. */
anonset_code as_schema_fill(as_db *db, const uint8_t salt[ANONSET_SALT_BYTES],
                            anonset_detail *detail);

/* Removes PATH's file, if `itself`, and what SQLite keeps beside it. Returns 0 or an errno. */
int as_schema_remove(const char *path, bool itself);

/* Puts the store at `by` in the place of the one at `path`, which is kept as `kept`, with its log.
 * The caller holds the writer lock of `path`. Returns 0 or an errno. */
int as_schema_replace(const char *path, const char *by, const char *kept);

/* What is wrong with the file, in our words. Never OK. */
anonset_code as_schema_fail(anonset_detail *detail, const char *path, int error);
#ifdef __clang_analyzer__
/* As with as_fail: never OK. */
#define as_schema_fail(detail, path, error)                                                        \
    ((void)(as_schema_fail)(detail, path, error), ANONSET_IO)
#endif

/* Bytes of the file and those SQLite keeps beside it. */
anonset_code as_schema_bytes(uint64_t *bytes, const char *path, anonset_detail *detail);

#endif
