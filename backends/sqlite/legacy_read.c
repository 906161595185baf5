#include "backends/sqlite/legacy_read.h"

#include "core/base64.h"
#include "core/detail.h"

#include <string.h>

/* ---- Statements --------------------------------------------------------------------------- */

static anonset_code prepare(sqlite3_stmt **statement, as_db *db, const char *sql,
                            anonset_detail *detail)
{
    int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, statement, NULL);
    if (rc == SQLITE_ERROR) /* our words are right: it is the file's tables that are not */
        return as_fail(
            detail, ANONSET_CORRUPT, 0,
            "%s: an older cache that SQLite cannot read (%s): it was not touched; delete "
            "the file and sync anew",
            db->path, sqlite3_errmsg(db->sqlite));
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

/* ---- Values ------------------------------------------------------------------------------- */

typedef struct reader {
    as_replay *replay;
    as_db *db;
    const as_legacy_layout *layout;
    anonset_detail *detail;
    sqlite3_stmt *sets, *links, *coin;
    bool link;      /* `links` stands on one */
    bool in_order;  /* the group's links are stored in the order they are read in */
    bool repeats;   /* a coin of the group is in two of its sets */
    uint32_t group; /* being read */
} reader;

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

/* Adds the coin whose three columns begin at `column`. */
static anonset_code add_coin(reader *r, sqlite3_int64 id, sqlite3_stmt *row, int column)
{
    uint8_t *serialized, *tx_hash, *context;
    size_t serialized_len, context_len;
    size_t room = bytes_of(row, column) + bytes_of(row, column + 1) + bytes_of(row, column + 2);
    anonset_code code = as_replay_room(r->replay, &serialized, room, r->detail);
    if (code != ANONSET_OK)
        return code;
    if (!decode(serialized, &serialized_len, row, column))
        return refuse(r, tables[COIN].name, id, "serialized");
    tx_hash = serialized + serialized_len;
    if (!decode_hash(tx_hash, row, column + 1))
        return refuse(r, tables[COIN].name, id, "txHash");
    context = tx_hash + ANONSET_HASH_BYTES;
    if (!decode(context, &context_len, row, column + 2))
        return refuse(r, tables[COIN].name, id, "context");
    return as_replay_coin(r->replay,
                          &(anonset_coin){.serialized = serialized,
                                          .context = context,
                                          .tx_hash = tx_hash,
                                          .serialized_len = (uint32_t)serialized_len,
                                          .context_len = (uint32_t)context_len},
                          r->detail);
}

/* Adds the coin of the link that `links` stands on, if it is there. Of a link to coin 1.5 it is
 * not: so the layouts' queries have it, and SQLite compares the value as it is. */
static anonset_code look_up_coin(reader *r, sqlite3_int64 id)
{
    bool found;
    sqlite3_reset(r->coin);
    int rc = sqlite3_bind_value(r->coin, 1, sqlite3_column_value(r->links, 1));
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
static anonset_code read_meta(anonset_meta *meta, const reader *r, sqlite3_int64 id)
{
    *meta = (anonset_meta){.has_set_hash = sqlite3_column_bytes(r->sets, 2) > 0};
    if (!decode_hash(meta->block_hash, r->sets, 1))
        return refuse(r, tables[SET].name, id, "blockHash");
    if (meta->has_set_hash && !decode_hash(meta->set_hash, r->sets, 2))
        return refuse(r, tables[SET].name, id, "setHash");
    return ANONSET_OK;
}

/* COUNT promises a whole set without repeats: not where the coins up to here are not as many as the
 * row says, or one of them repeats. */
static anonset_gate gate_of(const reader *r, uint32_t size)
{
    bool adds_up = size > 0 && sqlite3_column_type(r->sets, 3) == SQLITE_INTEGER &&
                   sqlite3_column_int64(r->sets, 3) == size;
    return adds_up && !r->repeats ? ANONSET_GATE_COUNT : ANONSET_GATE_NONE;
}

static anonset_code read_set(reader *r)
{
    sqlite3_int64 id = sqlite3_column_int64(r->sets, 0);
    anonset_meta meta;
    anonset_code code = read_meta(&meta, r, id);
    while (code == ANONSET_OK && r->link && sqlite3_column_int64(r->links, 0) == id)
        code = take_link(r);
    meta.size = as_replay_position(r->replay);
    return code == ANONSET_OK ? as_replay_state(r->replay, &meta, gate_of(r, meta.size), r->detail)
                              : code;
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

static bool is_link_of_integers(sqlite3_stmt *row)
{
    return sqlite3_column_type(row, 0) == SQLITE_INTEGER &&
           sqlite3_column_type(row, 1) == SQLITE_INTEGER &&
           sqlite3_column_type(row, 2) == SQLITE_INTEGER;
}

/* Rising sets, rising coins and, within a set, falling keys: what a v1 wallet writes. It is the
 * order to read in, and no link can be there twice. Other values than integers have an order that
 * only SQLite knows. */
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
        r->in_order = is_link_of_integers(row) && next >= set &&
                      sqlite3_column_int64(row, 1) > coin &&
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
    as_replay_group(r->replay, group);
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
        if (sqlite3_column_type(groups, 0) != SQLITE_INTEGER || group < 1 || group > UINT32_MAX)
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

anonset_code as_legacy_read(as_replay *replay, as_db *db, const as_legacy_layout *layout,
                            anonset_detail *detail)
{
    reader r = {.replay = replay, .db = db, .layout = layout, .detail = detail};
    return read_all(&r);
}
