#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lmdb/tree.h"

#include "backends/lmdb/file.h"
#include "backends/lmdb/meta.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Pages and nodes as LMDB 0.9 lays them out. Source: mdb.c, MDB_page, MDB_node, MDB_db. */
typedef struct page_head {
    size_t number;
    uint16_t pad;
    uint16_t flags;
    uint16_t lower, upper; /* of an overflow page the two are one number: its pages */
} page_head;

typedef struct node_head {
    uint32_t number; /* of a leaf: bytes of data; of a branch: the page, with flags on top */
    uint16_t flags;
    uint16_t key;
} node_head;

#define HEAD_BYTES  (sizeof(size_t) + 8) /* before the offsets of nodes */
#define NODE_BYTES  8u
#define BRANCH      0x01u
#define LEAF        0x02u
#define OVERFLOW    0x04u
#define BIG_DATA    0x01u /* the data is a page number */
#define INTEGER_KEY 0x08u
#define TABLE_FLAGS 0xffu /* the others are of the file as a whole */
#define DEPTH_MOST  16u
#define NO_ROOT     SIZE_MAX
#define FIRST_PAGE  2u /* behind the meta pages */
#define KEY_MOST    511u
#define READ_TRIES  16 /* a state that is written over while it is read is read anew */

typedef struct node {
    size_t page; /* of a branch */
    const uint8_t *key;
    size_t key_len;
    size_t len;          /* of a leaf: bytes of data, */
    const uint8_t *data; /* here, */
    size_t data_page;    /* or (not 0) from this page on */
} node;

typedef struct tree {
    int fd;
    const char *path;
    anonset_detail *detail;
    size_t page;  /* bytes */
    size_t pages; /* in the file, as the meta page counts them */
    uint8_t *used;
    const as_meta_table *table;
    bool free_pages; /* it is the table of free pages */
    bool values;     /* the heads of their pages are looked at in our own table too */
    size_t branches, leaves, overflows, entries;

    bool has_before; /* the key of the entry before */
    uint8_t before[AS_KEY_BYTES];
    size_t before_len;
    uint8_t least[KEY_MOST]; /* no key that follows is below */
    size_t least_len;

    uint32_t *groups; /* that have coins; those with a record are taken off */
    size_t n_groups, room;
    uint32_t *records; /* groups that have one */
    size_t n_records, records_room;
} tree;

static anonset_code damaged(const tree *t, size_t page, const char *what)
{
    return as_fail(t->detail, ANONSET_CORRUPT, 0,
                   "%s: page %zu of the file is damaged: %s; repair the store, then sync again",
                   t->path, page, what);
}

static anonset_code read_bytes(const tree *t, void *out, size_t len, size_t page, size_t at)
{
    ssize_t got = as_meta_read(t->fd, out, len, (off_t)(page * t->page + at));
    if (got < 0)
        return as_lmdb_fail(t->detail, errno, "read", t->path);
    return (size_t)got == len ? ANONSET_OK : damaged(t, page, "it is cut off");
}

/* Takes n pages for used; they must lie in the file, and be used once. */
static bool use(tree *t, size_t first, size_t n)
{
    if (first < FIRST_PAGE || first >= t->pages || n > t->pages - first)
        return false;
    for (size_t i = first; i < first + n; i++) {
        if (t->used[i / 8] & 1u << i % 8)
            return false;
        t->used[i / 8] |= (uint8_t)(1u << i % 8);
    }
    return true;
}

static size_t big_from(size_t page)
{
    return (((page - HEAD_BYTES) / 2) & ~(size_t)1) - sizeof(uint16_t);
}

static size_t overflow_pages(size_t len, size_t page)
{
    return (HEAD_BYTES - 1 + len) / page + 1;
}

bool as_tree_value_fits(const MDB_val *val, size_t key_len, size_t page)
{
    uint32_t pages;
    if (NODE_BYTES + key_len + val->mv_size <= big_from(page))
        return true;
    memcpy(&pages, (const uint8_t *)val->mv_data - sizeof pages, sizeof pages);
    return pages == overflow_pages(val->mv_size, page);
}

/* ---- Nodes -------------------------------------------------------------------------------- */

static size_t count(const uint8_t *bytes)
{
    page_head head;
    memcpy(&head, bytes, sizeof head);
    return (head.lower - HEAD_BYTES) / sizeof(uint16_t);
}

/*
 * LMDB makes room for a list of free pages before it knows how long it gets, and gives none of it
 * back: a list may lie in more pages of its own than it needs, or in one and need none. The values
 * of our own table are put once.
 */
static bool read_node(node *out, const tree *t, const uint8_t *bytes, size_t i)
{
    uint16_t at;
    node_head head;
    page_head page;
    memcpy(&page, bytes, sizeof page);
    memcpy(&at, bytes + HEAD_BYTES + i * sizeof at, sizeof at);
    if (at < page.upper || at % 2 != 0 || at + NODE_BYTES > t->page)
        return false;
    memcpy(&head, bytes + at, sizeof head);
    *out = (node){.key = bytes + at + NODE_BYTES, .key_len = head.key};
    size_t room = t->page - at - NODE_BYTES;
    if (head.key > KEY_MOST || head.key > room)
        return false;
    if (page.flags == BRANCH) {
        out->page = head.number;
        if (sizeof(size_t) > 4)
            out->page |= (size_t)((uint64_t)head.flags << 32);
        return true;
    }
    out->len = head.number;
    bool big = head.flags == BIG_DATA;
    bool too_large = NODE_BYTES + (size_t)head.key + out->len > big_from(t->page);
    if (big ? !too_large && !t->free_pages : too_large || head.flags != 0)
        return false;
    if ((big ? sizeof out->data_page : out->len) > room - head.key)
        return false;
    out->data = out->key + head.key;
    if (big)
        memcpy(&out->data_page, out->data, sizeof out->data_page);
    return !big || out->data_page != 0;
}

static size_t node_bytes(const node *n, bool branch)
{
    size_t data = branch ? 0 : n->data_page ? sizeof n->data_page : n->len;
    return (NODE_BYTES + n->key_len + data + 1) & ~(size_t)1;
}

/* Nodes fill the page from `upper` to its end, and no byte is of two. */
static bool nodes_fit(const tree *t, const uint8_t *bytes, bool branch)
{
    uint8_t taken[65536 / 2 / 8] = {0};
    page_head head;
    size_t sum = 0;
    memcpy(&head, bytes, sizeof head);
    for (size_t i = 0; i < count(bytes); i++) {
        node n;
        if (!read_node(&n, t, bytes, i))
            return false;
        size_t from = (size_t)(n.key - bytes) - NODE_BYTES, len = node_bytes(&n, branch);
        for (size_t k = from / 2; k < (from + len) / 2; k++) {
            if (taken[k / 8] & 1u << k % 8)
                return false;
            taken[k / 8] |= (uint8_t)(1u << k % 8);
        }
        sum += len;
    }
    return sum == t->page - head.upper;
}

static anonset_code check_head(const tree *t, const uint8_t *bytes, size_t number, bool branch)
{
    page_head head;
    memcpy(&head, bytes, sizeof head);
    if (head.number != number || head.flags != (branch ? BRANCH : LEAF))
        return damaged(t, number, "it is another page");
    if (head.lower < HEAD_BYTES + sizeof(uint16_t) || head.lower % 2 != 0 ||
        head.lower > head.upper || head.upper > t->page || (branch && count(bytes) < 2))
        return damaged(t, number, "its bounds cannot be");
    return nodes_fit(t, bytes, branch) ? ANONSET_OK
                                       : damaged(t, number, "its entries overlap, or leave it");
}

/* ---- Entries ------------------------------------------------------------------------------ */

static int compare(const tree *t, const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    if (t->free_pages) {
        size_t x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return (x > y) - (x < y);
    }
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static bool decode(as_key *key, const node *n)
{
    uint8_t bytes[AS_KEY_BYTES];
    if (n->key_len > sizeof bytes)
        return false;
    memcpy(bytes, n->key, n->key_len);
    MDB_val val = {n->key_len, bytes};
    return as_key_decode(key, &val);
}

/* Sets *key, but of a list of free pages. */
static bool is_key(as_key *key, const tree *t, const node *n)
{
    return t->free_pages ? n->key_len == sizeof(size_t) : decode(key, n);
}

static bool push(uint32_t **list, size_t *n, size_t *room, uint32_t group)
{
    if (*n > 0 && (*list)[*n - 1] == group)
        return true;
    if (*n == *room) {
        size_t more = *room ? *room * 2 : 16;
        uint32_t *grown = as_realloc(*list, more * sizeof **list);
        if (!grown)
            return false;
        *list = grown;
        *room = more;
    }
    (*list)[(*n)++] = group;
    return true;
}

static bool holds(const uint32_t *list, size_t n, uint32_t group)
{
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        if (list[middle] == group)
            return true;
        if (list[middle] < group)
            low = middle + 1;
        else
            n = middle;
    }
    return false;
}

/* Kinds come in order: coins, records, checkpoints; groups within each. */
static anonset_code note_group(tree *t, const as_key *key, size_t page)
{
    bool kept = true;
    if (key->kind == AS_KIND_PACK)
        kept = push(&t->groups, &t->n_groups, &t->room, key->group);
    else if (key->kind == AS_KIND_LEDGER)
        kept = push(&t->records, &t->n_records, &t->records_room, key->group);
    else if (key->kind == AS_KIND_CHECKPOINT && !holds(t->records, t->n_records, key->group))
        return damaged(t, page, "checkpoints of a group without a record");
    return kept ? ANONSET_OK : as_lmdb_fail(t->detail, ENOMEM, "open", t->path);
}

/* The list of pages that a transaction freed: their number, then they, the highest first. */
static anonset_code check_freed(tree *t, const node *n, size_t page)
{
    size_t *list = as_alloc(n->len);
    anonset_code code = ANONSET_OK;
    if (!list)
        return as_lmdb_fail(t->detail, ENOMEM, "open", t->path);
    if (n->data_page)
        code = read_bytes(t, list, n->len, n->data_page, HEAD_BYTES);
    else
        memcpy(list, n->data, n->len);
    if (code == ANONSET_OK && (n->len % sizeof *list != 0 || list[0] > n->len / sizeof *list - 1))
        code = damaged(t, page, "its list of free pages is longer than it can be");
    for (size_t i = 1; code == ANONSET_OK && i <= list[0]; i++)
        if ((i > 1 && list[i] >= list[i - 1]) || !use(t, list[i], 1))
            code = damaged(t, page, "a page in its list of free ones is not free");
    as_free(list);
    return code;
}

/* *pages: how many a value needs, then those it has. */
static anonset_code check_value(tree *t, size_t number, size_t *pages)
{
    page_head head;
    uint32_t counted;
    anonset_code code = read_bytes(t, &head, sizeof head, number, 0);
    if (code != ANONSET_OK)
        return code;
    memcpy(&counted, &head.lower, sizeof counted);
    bool more = t->free_pages && counted > *pages && use(t, number + *pages, counted - *pages);
    if (head.number != number || head.flags != OVERFLOW || (counted != *pages && !more))
        return damaged(t, number, "it is not the first of its value");
    *pages = counted;
    return ANONSET_OK;
}

static anonset_code check_entry(tree *t, const node *n, size_t page)
{
    as_key key = {.kind = AS_KIND_INFO};
    if (!is_key(&key, t, n) ||
        (t->has_before && compare(t, n->key, n->key_len, t->before, t->before_len) <= 0) ||
        (t->least_len > 0 && compare(t, n->key, n->key_len, t->least, t->least_len) < 0))
        return damaged(t, page, "its keys are not ours, or not in order");
    t->has_before = true;
    t->before_len = n->key_len;
    memcpy(t->before, n->key, n->key_len);
    t->entries++;
    if (n->data_page) {
        size_t pages = overflow_pages(n->len, t->page);
        if (!use(t, n->data_page, pages))
            return damaged(t, page, "a value of it lies where no value can be");
        anonset_code code =
            t->values || t->free_pages ? check_value(t, n->data_page, &pages) : ANONSET_OK;
        if (code != ANONSET_OK)
            return code;
        t->overflows += pages;
    }
    if (t->free_pages)
        return n->len >= sizeof(size_t) ? check_freed(t, n, page)
                                        : damaged(t, page, "its list of free pages is empty");
    return note_group(t, &key, page);
}

/* ---- Pages -------------------------------------------------------------------------------- */

static anonset_code check_page(tree *t, size_t number, unsigned depth);

/* The keys of a branch tell where to go: none below may be smaller, none before as large. */
static anonset_code check_branch(tree *t, const uint8_t *bytes, size_t number, unsigned depth)
{
    anonset_code code = ANONSET_OK;
    t->branches++;
    for (size_t i = 0; i < count(bytes) && code == ANONSET_OK; i++) {
        node n;
        (void)read_node(&n, t, bytes, i);
        if (i > 0 && ((t->free_pages && n.key_len != sizeof(size_t)) ||
                      compare(t, n.key, n.key_len, t->before, t->before_len) <= 0))
            return damaged(t, number, "its keys are not in order");
        if (i > 0) {
            memcpy(t->least, n.key, n.key_len);
            t->least_len = n.key_len;
        }
        code = check_page(t, n.page, depth + 1);
    }
    return code;
}

static anonset_code check_leaf(tree *t, const uint8_t *bytes, size_t number)
{
    anonset_code code = ANONSET_OK;
    t->leaves++;
    for (size_t i = 0; i < count(bytes) && code == ANONSET_OK; i++) {
        node n;
        (void)read_node(&n, t, bytes, i);
        code = check_entry(t, &n, number);
    }
    return code;
}

static anonset_code check_page(tree *t, size_t number, unsigned depth)
{
    bool branch = depth + 1 < t->table->depth;
    if (!use(t, number, 1))
        return damaged(t, number, "it is used twice, or not in the file");
    uint8_t *bytes = as_alloc(t->page);
    if (!bytes)
        return as_lmdb_fail(t->detail, ENOMEM, "open", t->path);
    anonset_code code = read_bytes(t, bytes, t->page, number, 0);
    if (code == ANONSET_OK)
        code = check_head(t, bytes, number, branch);
    if (code == ANONSET_OK)
        code = branch ? check_branch(t, bytes, number, depth) : check_leaf(t, bytes, number);
    as_free(bytes);
    return code;
}

static anonset_code check_table(tree *t, const as_meta_table *table, bool free_pages)
{
    t->table = table;
    t->free_pages = free_pages;
    t->branches = t->leaves = t->overflows = t->entries = 0;
    t->has_before = false;
    t->least_len = 0;
    if (table->depth > DEPTH_MOST || (table->depth == 0) != (table->root == NO_ROOT) ||
        (table->flags & TABLE_FLAGS) != (free_pages ? INTEGER_KEY : 0))
        return damaged(t, 0, "a table of it cannot be");
    anonset_code code = table->depth > 0 ? check_page(t, table->root, 0) : ANONSET_OK;
    if (code == ANONSET_OK && (t->branches != table->branches || t->leaves != table->leaves ||
                               t->overflows != table->overflows || t->entries != table->entries))
        code = damaged(t, 0, "its tables are larger or smaller than it says");
    return code;
}

static anonset_code check_groups(const tree *t)
{
    for (size_t i = 0; i < t->n_groups; i++)
        if (!holds(t->records, t->n_records, t->groups[i]))
            return as_fail(t->detail, ANONSET_CORRUPT, 0,
                           "%s: group %u has coins and no record; repair the store, then sync "
                           "again",
                           t->path, (unsigned)t->groups[i]);
    return ANONSET_OK;
}

static anonset_code measure(tree *t, const as_meta_page *meta)
{
    struct stat now;
    if (fstat(t->fd, &now) != 0)
        return as_lmdb_fail(t->detail, errno, "read", t->path);
    t->pages = meta->last_page + 1;
    if (t->pages == 0 || t->pages > (uint64_t)now.st_size / t->page)
        return damaged(t, 0, "it counts more pages than there are");
    t->used = as_alloc_zeroed(t->pages / 8 + 1);
    return t->used ? ANONSET_OK : as_lmdb_fail(t->detail, ENOMEM, "open", t->path);
}

static anonset_code check_tables(tree *t, const as_meta_page *meta)
{
    anonset_code code = measure(t, meta);
    if (code == ANONSET_OK)
        code = check_table(t, &meta->tables[1], false);
    if (code == ANONSET_OK)
        code = check_groups(t);
    if (code == ANONSET_OK)
        code = check_table(t, &meta->tables[0], true);
    as_free(t->used);
    as_free(t->groups);
    as_free(t->records);
    return code;
}

/* ---- One value ---------------------------------------------------------------------------- */

/* Of a branch: the child that leads to it; of a leaf: the entry. False: it is not there. */
static bool choose(node *out, const tree *t, const uint8_t *bytes, const MDB_val *key, bool branch)
{
    bool found = false;
    for (size_t i = 0; i < count(bytes); i++) {
        node n = {.key = bytes}; /* read_node cannot fail: check_head saw to it */
        (void)read_node(&n, t, bytes, i);
        int order = branch && i == 0 ? 0 : compare(t, n.key, n.key_len, key->mv_data, key->mv_size);
        if (branch ? order > 0 : order != 0)
            continue;
        *out = n;
        found = true;
    }
    return found;
}

static anonset_code read_page(tree *t, uint8_t *bytes, size_t number, bool branch)
{
    bool there = t->used ? use(t, number, 1) : number >= FIRST_PAGE && number < t->pages;
    if (!there)
        return damaged(t, number, "it is free, or not there");
    anonset_code code = read_bytes(t, bytes, t->page, number, 0);
    return code == ANONSET_OK ? check_head(t, bytes, number, branch) : code;
}

static anonset_code walk(tree *t, as_wanted *w, const as_meta_table *table, uint8_t *bytes)
{
    uint8_t key_bytes[AS_KEY_BYTES];
    MDB_val key = as_key_encode(key_bytes, w->key);
    node n = {.page = table->root};
    for (unsigned left = table->depth; left > 0; left--) {
        anonset_code code = read_page(t, bytes, n.page, left > 1);
        if (code != ANONSET_OK)
            return code;
        if (!choose(&n, t, bytes, &key, left > 1))
            return ANONSET_OK;
    }
    if (n.data && !n.data_page) {
        w->len = n.len < w->room ? n.len : w->room;
        memcpy(w->out, n.data, w->len);
    }
    return ANONSET_OK;
}

static anonset_code find(tree *t, as_wanted *w, const as_meta_page *meta)
{
    const as_meta_table *table = &meta->tables[1];
    w->len = 0;
    t->pages = meta->last_page + 1;
    t->free_pages = false;
    if (table->depth > DEPTH_MOST)
        return damaged(t, 0, "a table of it cannot be");
    uint8_t *bytes = as_alloc(t->page);
    if (!bytes)
        return as_lmdb_fail(t->detail, ENOMEM, "look", t->path);
    anonset_code code = walk(t, w, table, bytes);
    as_free(bytes);
    return code;
}

/* ---- Metas -------------------------------------------------------------------------------- */

/* Reads both; the page size is the first's. */
static anonset_code read_metas(tree *t, as_meta_page metas[2])
{
    for (size_t i = 0; i < 2; i++) {
        anonset_code code = read_bytes(t, &metas[i], sizeof metas[i], i, 0);
        if (code != ANONSET_OK)
            return code;
        if (!as_meta_is_one(&metas[i]))
            return damaged(t, i, "it is no meta page");
        t->page = metas[0].tables[0].pad;
    }
    return ANONSET_OK;
}

/* Reads the meta page of the state that the transaction sees. */
static anonset_code read_meta(tree *t, as_meta_page *meta, MDB_txn *txn)
{
    as_meta_page metas[2];
    size_t id = mdb_txn_id(txn);
    anonset_code code = read_metas(t, metas);
    if (code != ANONSET_OK)
        return code;
    *meta = metas[metas[1].txn == id];
    return meta->txn == id ? ANONSET_OK : as_lmdb_too_fast(t->detail, t->path);
}

anonset_code as_tree_check(MDB_txn *txn, int fd, bool values, const char *path,
                           anonset_detail *detail)
{
    tree t = {.fd = fd, .path = path, .detail = detail, .values = values};
    as_meta_page meta;
    anonset_code code = read_meta(&t, &meta, txn);
    return code == ANONSET_OK ? check_tables(&t, &meta) : code;
}

anonset_code as_tree_get(as_wanted *wanted, MDB_txn *txn, int fd, const char *path,
                         anonset_detail *detail)
{
    tree t = {.fd = fd, .path = path, .detail = detail};
    as_meta_page meta;
    anonset_code code = read_meta(&t, &meta, txn);
    if (code == ANONSET_OK)
        code = measure(&t, &meta);
    if (code == ANONSET_OK)
        code = check_table(&t, &meta.tables[0], true);
    if (code == ANONSET_OK)
        code = find(&t, wanted, &meta);
    as_free(t.used);
    return code;
}

/* A page that a commit takes anew while it is read may be as sound as the one before, and lead
 * elsewhere. */
static bool is_found(anonset_code code, const as_wanted *wanted)
{
    return code == ANONSET_OK && wanted->len > 0;
}

anonset_code as_tree_probe(as_wanted *wanted, int fd, const char *path, anonset_detail *detail)
{
    anonset_code code = ANONSET_CORRUPT;
    size_t before = SIZE_MAX;
    bool again = true;
    for (int i = 0; again && i < READ_TRIES; i++) {
        tree t = {.fd = fd, .path = path, .detail = detail};
        as_meta_page metas[2];
        code = read_metas(&t, metas);
        if (code != ANONSET_OK)
            return code;
        const as_meta_page *newest = &metas[metas[1].txn > metas[0].txn];
        code = find(&t, wanted, newest);
        /* A state that did not change meanwhile is as it was read. */
        again = !is_found(code, wanted) && newest->txn != before;
        before = newest->txn;
    }
    return again ? as_lmdb_too_fast(detail, path) : code;
}
