#include "backends/sqlite/legacy_read.h"

#include "core/base64.h"
#include "core/detail.h"
#include "core/digest.h"
#include "core/plan.h"
#include "core/tag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Statements --------------------------------------------------------------------------- */

static anonset_code prepare(sqlite3_stmt **statement, as_db *db, const char *sql,
                            anonset_detail *detail)
{
    int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, statement, NULL);
    return rc == SQLITE_OK ? ANONSET_OK : as_db_fail(db, rc, "read the older cache", detail);
}

static anonset_code prepare_for(sqlite3_stmt **statement, as_db *db, const char *sql,
                                sqlite3_int64 parameter, anonset_detail *detail)
{
    anonset_code code = prepare(statement, db, sql, detail);
    int rc = code == ANONSET_OK ? sqlite3_bind_int64(*statement, 1, parameter) : SQLITE_OK;
    return rc == SQLITE_OK ? code : as_db_fail(db, rc, "read the older cache", detail);
}

/* Whether a query without parameters returns a row. */
static anonset_code is_any(bool *any, as_db *db, const char *sql, anonset_detail *detail)
{
    sqlite3_stmt *row = NULL;
    anonset_code code = prepare(&row, db, sql, detail);
    if (code == ANONSET_OK)
        code = as_db_step(db, row, any, detail);
    sqlite3_finalize(row);
    return code;
}

/* ---- The layout --------------------------------------------------------------------------- */

#define COLUMNS_MOST 6

typedef struct table {
    const char *name;
    const char *columns[COLUMNS_MOST]; /* the first is the key */
    size_t needed;                     /* of the columns, from the first on */
} table;

enum {
    SET,
    COIN,
    LINK,
    TABLES
};

static const table tables[TABLES] = {
    [SET] = {"SparkSet", {"id", "blockHash", "setHash", "groupId", "size", "complete"}, 5},
    [COIN] = {"SparkCoin", {"id", "serialized", "txHash", "context", "groupId"}, 5},
    [LINK] = {"SparkSetCoins", {"id", "setId", "coinId", "orderKey"}, 3},
};

/* android_metadata: made in every file by Android's own SQLite, holds a language. */
static const char others[] =
    "SELECT 1 FROM sqlite_master WHERE type <> 'index' AND NOT (type = 'table' AND "
    "(lower(name) IN ('sparkset', 'sparkcoin', 'sparksetcoins', 'android_metadata')"
    " OR name LIKE 'sqlite\\_%' ESCAPE '\\')) LIMIT 1";

static size_t column_of(const table *t, const char *name)
{
    size_t i = 0;
    while (i < COLUMNS_MOST && t->columns[i] != NULL && sqlite3_stricmp(t->columns[i], name) != 0)
        i++;
    return i < COLUMNS_MOST && t->columns[i] != NULL ? i : COLUMNS_MOST;
}

/* Sets a bit of *columns for each column found. *known: no other was, and the key is one. */
static anonset_code read_columns(unsigned *columns, bool *known, as_db *db, const table *t,
                                 sqlite3_stmt *info, anonset_detail *detail)
{
    bool row;
    anonset_code code;
    *columns = 0;
    *known = true;
    while ((code = as_db_step(db, info, &row, detail)) == ANONSET_OK && row) {
        const char *name = (const char *)sqlite3_column_text(info, 0);
        size_t at = name != NULL ? column_of(t, name) : COLUMNS_MOST;
        if (at == COLUMNS_MOST || (at == 0) != (sqlite3_column_int(info, 1) != 0))
            *known = false;
        else
            *columns |= 1u << at;
    }
    return code;
}

static anonset_code look_at_table(unsigned *columns, bool *known, as_db *db, const table *t,
                                  anonset_detail *detail)
{
    sqlite3_stmt *info = NULL;
    unsigned needed = (1u << t->needed) - 1;
    anonset_code code = prepare(&info, db, "SELECT name, pk FROM pragma_table_info(?1)", detail);
    int rc = code == ANONSET_OK ? sqlite3_bind_text(info, 1, t->name, -1, SQLITE_STATIC) : 0;
    if (rc != SQLITE_OK)
        code = as_db_fail(db, rc, "read the older cache", detail);
    if (code == ANONSET_OK)
        code = read_columns(columns, known, db, t, info, detail);
    sqlite3_finalize(info);
    *known = code == ANONSET_OK && *known && (*columns & needed) == needed;
    return code;
}

anonset_code as_legacy_layout_find(as_legacy_layout *layout, bool *known, as_db *db,
                                   anonset_detail *detail)
{
    unsigned columns[TABLES] = {0};
    bool more = false;
    *known = true;
    anonset_code code = is_any(&more, db, others, detail);
    for (size_t i = 0; code == ANONSET_OK && *known && i < TABLES; i++)
        code = look_at_table(&columns[i], known, db, &tables[i], detail);
    *known = code == ANONSET_OK && *known && !more;
    layout->complete = (columns[SET] >> tables[SET].needed & 1) != 0;
    layout->order_key = (columns[LINK] >> tables[LINK].needed & 1) != 0;
    return code;
}

/* ---- A batch of coins --------------------------------------------------------------------- */

#define BATCH_COINS 1024u
#define BATCH_BYTES (512u * 1024)

typedef struct batch {
    uint32_t n;
    size_t used, room; /* of bytes */
    uint8_t *bytes;    /* the coins point into them */
    anonset_coin coins[BATCH_COINS];
    uint32_t tags[BATCH_COINS];
    uint8_t digests[BATCH_COINS][ANONSET_HASH_BYTES];
} batch;

typedef struct reader {
    const as_legacy_sink *sink;
    as_db *db;
    const as_legacy_layout *layout;
    anonset_detail *detail;
    as_digest *digest;
    as_tagger tagger;
    sqlite3_stmt *sets, *links, *coin;
    bool link;      /* `links` stands on one */
    bool in_order;  /* the group's links are stored in the order they are read in */
    bool repeats;   /* a coin of the group is in two of its sets */
    uint32_t group; /* being read */
    uint32_t base;  /* coins in the sets before this one */
    uint32_t start; /* of the batch */
    anonset_meta finalized, target;
    uint8_t before[ANONSET_HASH_BYTES]; /* log digest at `start` */
    batch batch;
} reader;

static anonset_code no_memory(const reader *r)
{
    return as_fail(r->detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory for an older cache",
                   r->db->path);
}

/* Hands the batch on, for a target of `size` coins. */
static anonset_code flush(reader *r, uint32_t size)
{
    batch *b = &r->batch;
    anonset_append a = {.group = r->group, .target = r->target, .base = r->base, .start = r->start};
    a.target.size = size;
    a.n = b->n;
    a.coins = b->coins;
    a.tags = b->tags;
    a.digests = (const uint8_t(*)[ANONSET_HASH_BYTES])b->digests;
    memcpy(a.digest_before, r->before, ANONSET_HASH_BYTES);
    if (b->n > 0)
        memcpy(r->before, b->digests[b->n - 1], ANONSET_HASH_BYTES);
    memcpy(a.digest_after, r->before, ANONSET_HASH_BYTES);
    r->start += b->n;
    b->n = 0;
    b->used = 0;
    return r->sink->append_sector(r->sink->to, &a, r->detail);
}

/* Room for `bytes` bytes of one more coin. */
static anonset_code make_room(reader *r, size_t bytes)
{
    batch *b = &r->batch;
    anonset_code code = ANONSET_OK;
    if (b->n == BATCH_COINS || (b->n > 0 && bytes > b->room - b->used))
        code = flush(r, UINT32_MAX); /* the set's size is known behind its last coin */
    if (code != ANONSET_OK || bytes <= b->room - b->used)
        return code;
    uint8_t *grown = realloc(b->bytes, bytes > BATCH_BYTES ? bytes : BATCH_BYTES);
    if (grown == NULL)
        return no_memory(r);
    b->bytes = grown;
    b->room = bytes > BATCH_BYTES ? bytes : BATCH_BYTES;
    return ANONSET_OK;
}

/* ---- Values ------------------------------------------------------------------------------- */

static anonset_code refuse(const reader *r, const char *table_name, sqlite3_int64 id,
                           const char *what)
{
    return as_fail(r->detail, ANONSET_CORRUPT, 0,
                   "%s: an older cache, but %s of row %lld of %s cannot be: it was not touched; "
                   "delete the file and sync anew",
                   r->db->path, what, (long long)id, table_name);
}

/* Decodes a column into `out`, which has room for 3 bytes for every 4 characters. */
static bool decode(uint8_t *out, size_t *len, sqlite3_stmt *row, int column)
{
    if (sqlite3_column_type(row, column) != SQLITE_TEXT)
        return false;
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text != NULL &&
           as_base64_decode(out, len, text, (size_t)sqlite3_column_bytes(row, column));
}

static bool decode_hash(uint8_t out[ANONSET_HASH_BYTES], sqlite3_stmt *row, int column)
{
    uint8_t bytes[AS_BASE64_CHARS(ANONSET_HASH_BYTES) / 4 * 3];
    size_t len = 0;
    if (sqlite3_column_bytes(row, column) != AS_BASE64_CHARS(ANONSET_HASH_BYTES) ||
        !decode(bytes, &len, row, column) || len != ANONSET_HASH_BYTES)
        return false;
    memcpy(out, bytes, ANONSET_HASH_BYTES);
    return true;
}

/* A text's decoded bytes, at most. */
static size_t bytes_of(sqlite3_stmt *row, int column)
{
    return (size_t)sqlite3_column_bytes(row, column) / 4 * 3;
}

/* ---- Coins -------------------------------------------------------------------------------- */

/* Adds the coin whose three columns begin at `column` to the batch. */
static anonset_code decode_coin(reader *r, sqlite3_int64 id, sqlite3_stmt *row, int column)
{
    batch *b = &r->batch;
    size_t serialized_len, context_len;
    anonset_code code =
        make_room(r, bytes_of(row, column) + bytes_of(row, column + 1) + bytes_of(row, column + 2));
    if (code != ANONSET_OK)
        return code;
    uint8_t *serialized = b->bytes + b->used, *tx_hash, *context;
    if (!decode(serialized, &serialized_len, row, column))
        return refuse(r, tables[COIN].name, id, "serialized");
    tx_hash = serialized + serialized_len;
    if (!decode_hash(tx_hash, row, column + 1))
        return refuse(r, tables[COIN].name, id, "txHash");
    context = tx_hash + ANONSET_HASH_BYTES;
    if (!decode(context, &context_len, row, column + 2))
        return refuse(r, tables[COIN].name, id, "context");
    b->coins[b->n] = (anonset_coin){.serialized = serialized,
                                    .context = context,
                                    .tx_hash = tx_hash,
                                    .serialized_len = (uint32_t)serialized_len,
                                    .context_len = (uint32_t)context_len};
    b->used += serialized_len + ANONSET_HASH_BYTES + context_len;
    return ANONSET_OK;
}

static anonset_code add_coin(reader *r, sqlite3_int64 id, sqlite3_stmt *row, int column)
{
    batch *b = &r->batch;
    if (r->start + b->n == UINT32_MAX - 1)
        return refuse(r, tables[COIN].name, id, "the position");
    anonset_code code = decode_coin(r, id, row, column);
    if (code != ANONSET_OK)
        return code;
    const uint8_t *before = b->n > 0 ? b->digests[b->n - 1] : r->before;
    code = as_digest_coin(r->digest, b->digests[b->n], before, &b->coins[b->n]);
    if (code != ANONSET_OK)
        return as_fail(r->detail, code, 0, "the crypto library failed");
    b->tags[b->n] = as_tag(&r->tagger, &b->coins[b->n]);
    b->n++;
    return ANONSET_OK;
}

/* Adds the coin of the link that `links` stands on, if it is there. */
static anonset_code look_up_coin(reader *r, sqlite3_int64 id)
{
    bool found;
    sqlite3_reset(r->coin);
    int rc = sqlite3_bind_int64(r->coin, 1, id);
    if (rc != SQLITE_OK)
        return as_db_fail(r->db, rc, "read the older cache", r->detail);
    anonset_code code = as_db_step(r->db, r->coin, &found, r->detail);
    return code == ANONSET_OK && found ? add_coin(r, id, r->coin, 0) : code;
}

static anonset_code take_link(reader *r)
{
    sqlite3_int64 id = sqlite3_column_int64(r->links, 1);
    anonset_code code = r->in_order ? add_coin(r, id, r->links, 2) : look_up_coin(r, id);
    return code == ANONSET_OK ? as_db_step(r->db, r->links, &r->link, r->detail) : code;
}

/* ---- Sets --------------------------------------------------------------------------------- */

/* Block hash and set hash of the set that `sets` stands on; some wallets wrote NULL for none. */
static anonset_code read_meta(reader *r, sqlite3_int64 id)
{
    r->target = (anonset_meta){.has_set_hash = sqlite3_column_bytes(r->sets, 2) > 0};
    if (!decode_hash(r->target.block_hash, r->sets, 1))
        return refuse(r, tables[SET].name, id, "blockHash");
    if (r->target.has_set_hash && !decode_hash(r->target.set_hash, r->sets, 2))
        return refuse(r, tables[SET].name, id, "setHash");
    return ANONSET_OK;
}

/*
 * The state that one finished sync left. COUNT promises a whole set without repeats: NONE where the
 * coins up to here are not as many as the row says, or one of them repeats. Nothing to do for what
 * is the same state as the one before: a checkpoint for it is there.
 */
static anonset_code finish_set(reader *r)
{
    uint32_t size = r->start + r->batch.n;
    bool adds_up = size > 0 && !r->repeats && sqlite3_column_type(r->sets, 3) == SQLITE_INTEGER &&
                   sqlite3_column_int64(r->sets, 3) == size;
    r->target.size = size;
    if (r->base == size && as_meta_equal(&r->target, &r->finalized))
        return ANONSET_OK;
    anonset_code code = flush(r, size);
    if (code != ANONSET_OK)
        return code;
    anonset_complete c = {.group = r->group, .target = r->target, .expected_count = size - r->base};
    c.gate = adds_up ? ANONSET_GATE_COUNT : ANONSET_GATE_NONE;
    memcpy(c.digest, r->before, ANONSET_HASH_BYTES);
    r->finalized = r->target;
    r->base = size;
    return r->sink->mark_complete(r->sink->to, &c, r->detail);
}

static anonset_code read_set(reader *r)
{
    sqlite3_int64 id = sqlite3_column_int64(r->sets, 0);
    anonset_code code = read_meta(r, id);
    while (code == ANONSET_OK && r->link && sqlite3_column_int64(r->links, 0) == id)
        code = take_link(r);
    return code == ANONSET_OK ? finish_set(r) : code;
}

static anonset_code read_sets(reader *r)
{
    bool set;
    anonset_code code = as_db_step(r->db, r->links, &r->link, r->detail);
    while (code == ANONSET_OK) {
        code = as_db_step(r->db, r->sets, &set, r->detail);
        if (code != ANONSET_OK || !set)
            return code;
        code = read_set(r);
    }
    return code;
}

/* ---- Groups ------------------------------------------------------------------------------- */

#define SQL_MOST 512
#define FINISHED "FROM SparkSet WHERE groupId = ?1%s"
/* The plus keeps SQLite from an index, by which links would not come as they are stored. */
#define LINKS                                                                                      \
    "WITH link AS (SELECT id, setId, coinId, %s AS key FROM SparkSetCoins"                         \
    " WHERE +setId IN (SELECT id " FINISHED ")) "
#define READ_ORDER " ORDER BY setId, key DESC, id"

static const char sets_sql[] = "SELECT id, blockHash, setHash, size " FINISHED " ORDER BY id";
static const char stored_sql[] = LINKS "SELECT setId, coinId, key FROM link ORDER BY id";
/* A link without a coin has no row. CROSS: SQLite is to go by the links. */
static const char joined_sql[] =
    LINKS "SELECT setId, coinId, serialized, txHash, context"
          " FROM link CROSS JOIN SparkCoin AS coin ON coin.id = coinId ORDER BY link.id";
static const char sorted_sql[] = LINKS "SELECT setId, coinId FROM link" READ_ORDER;
/* Beside min() SQLite takes the other columns from the row that min() found. */
static const char single_sql[] =
    LINKS "SELECT setId, coinId FROM (SELECT min(id) AS id, setId, coinId, key FROM link"
          " GROUP BY setId, coinId)" READ_ORDER;
/* Coins with more than one link, in one set or in several. */
static const char doubles_sql[] =
    LINKS "SELECT 1 FROM link GROUP BY coinId HAVING count(*) > 1 LIMIT 1";
static const char repeats_sql[] =
    LINKS "SELECT 1 FROM link GROUP BY coinId HAVING min(setId) <> max(setId)"
          " AND EXISTS (SELECT 1 FROM SparkCoin WHERE id = coinId) LIMIT 1";
static const char coin_sql[] = "SELECT serialized, txHash, context FROM SparkCoin WHERE id = ?1";

static const char *finished(const reader *r)
{
    return r->layout->complete ? " AND complete = 1" : "";
}

static anonset_code prepare_sets(reader *r)
{
    char sql[SQL_MOST];
    sqlite3_snprintf(sizeof sql, sql, sets_sql, finished(r));
    return prepare_for(&r->sets, r->db, sql, r->group, r->detail);
}

static anonset_code prepare_links(sqlite3_stmt **statement, const reader *r, const char *format)
{
    char sql[SQL_MOST];
    sqlite3_snprintf(sizeof sql, sql, format, r->layout->order_key ? "orderKey" : "0", finished(r));
    return prepare_for(statement, r->db, sql, r->group, r->detail);
}

/* Whether a query about the links returns a row. */
static anonset_code ask(bool *any, const reader *r, const char *format)
{
    sqlite3_stmt *row = NULL;
    anonset_code code = prepare_links(&row, r, format);
    if (code == ANONSET_OK)
        code = as_db_step(r->db, row, any, r->detail);
    sqlite3_finalize(row);
    return code;
}

/* Rising sets, rising coins and, within a set, falling keys: what a v1 wallet writes. It is the
 * order to read in, and no link can be there twice. */
static anonset_code find_order(reader *r)
{
    sqlite3_stmt *row = NULL;
    sqlite3_int64 set = INT64_MIN, coin = INT64_MIN, key = 0;
    bool more = true;
    r->in_order = true;
    anonset_code code = prepare_links(&row, r, stored_sql);
    while (code == ANONSET_OK && r->in_order &&
           (code = as_db_step(r->db, row, &more, r->detail)) == ANONSET_OK && more) {
        sqlite3_int64 next = sqlite3_column_int64(row, 0);
        r->in_order = next >= set && sqlite3_column_int64(row, 1) > coin &&
                      (next > set || sqlite3_column_int64(row, 2) <= key);
        set = next;
        coin = sqlite3_column_int64(row, 1);
        key = sqlite3_column_int64(row, 2);
    }
    sqlite3_finalize(row);
    return code;
}

/* Most groups need no sort, and most others only one: a double is rare. */
static anonset_code open_links(reader *r)
{
    bool doubles = false;
    r->repeats = false;
    anonset_code code = find_order(r);
    if (code == ANONSET_OK && r->in_order)
        return prepare_links(&r->links, r, joined_sql);
    if (code == ANONSET_OK)
        code = ask(&doubles, r, doubles_sql);
    if (code == ANONSET_OK && doubles)
        code = ask(&r->repeats, r, repeats_sql);
    return code == ANONSET_OK ? prepare_links(&r->links, r, doubles ? single_sql : sorted_sql)
                              : code;
}

static anonset_code read_group(reader *r, uint32_t group)
{
    r->group = group;
    r->base = r->start = 0;
    r->finalized = (anonset_meta){.size = UINT32_MAX}; /* no state is equal to it */
    memset(r->before, 0, sizeof r->before);
    anonset_code code = prepare_sets(r);
    if (code == ANONSET_OK)
        code = open_links(r);
    if (code == ANONSET_OK)
        code = read_sets(r);
    sqlite3_finalize(r->sets);
    sqlite3_finalize(r->links);
    r->sets = r->links = NULL;
    return code;
}

static anonset_code read_groups(reader *r, sqlite3_stmt *groups)
{
    bool row;
    anonset_code code;
    while ((code = as_db_step(r->db, groups, &row, r->detail)) == ANONSET_OK && row) {
        sqlite3_int64 group = sqlite3_column_int64(groups, 0);
        if (group < 1 || group > UINT32_MAX)
            return refuse(r, tables[SET].name, sqlite3_column_int64(groups, 1), "groupId");
        code = read_group(r, (uint32_t)group);
        if (code != ANONSET_OK)
            return code;
    }
    return code;
}

static anonset_code read_all(reader *r)
{
    sqlite3_stmt *groups = NULL;
    anonset_code code =
        prepare(&groups, r->db,
                r->layout->complete ? "SELECT groupId, min(id) FROM SparkSet WHERE complete = 1"
                                      " GROUP BY groupId ORDER BY groupId"
                                    : "SELECT groupId, min(id) FROM SparkSet"
                                      " GROUP BY groupId ORDER BY groupId",
                r->detail);
    if (code == ANONSET_OK)
        code = prepare(&r->coin, r->db, coin_sql, r->detail);
    if (code == ANONSET_OK)
        code = read_groups(r, groups);
    sqlite3_finalize(groups);
    sqlite3_finalize(r->coin);
    return code;
}

anonset_code as_legacy_read(const as_legacy_sink *sink, as_db *db, const as_legacy_layout *layout,
                            anonset_detail *detail)
{
    reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "%s: out of memory for an older cache",
                       db->path);
    r->sink = sink;
    r->db = db;
    r->layout = layout;
    r->detail = detail;
    as_tagger_init(&r->tagger, sink->salt);
    anonset_code code = as_digest_new(&r->digest, detail);
    if (code == ANONSET_OK)
        code = read_all(r);
    as_digest_free(r->digest);
    free(r->batch.bytes);
    free(r);
    return code;
}
