/*
 * Pages of LMDB that cannot be, one field of them at a time: what backends/lmdb/tree.c and check.c
 * say of each. The file they are changed in is one that LMDB wrote: its tables have branches,
 * values with pages of their own, and lists of free pages.
 */
#include "config.h"

#include "backends/lmdb/file.h"
#include "backends/lmdb/meta.h"
#include "backends/lmdb/tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

#define WORD       sizeof(size_t) /* a page number, or a key of the table of free pages */
#define HEAD       (WORD + 8)     /* of a page; behind it two bytes for each node */
#define NODE       8u             /* head of a node */
#define GROUPS     40u            /* with a pack and a record each */
#define PACKS      200u           /* of group 1 */
#define BIG        20000u         /* bytes of a value in pages of its own */
#define HUGE_VALUE (70u * BIG)    /* whose pages make a long list of free ones */
#define COMMITS    250u           /* that each leave a list of free pages */
#define BRANCH     1u
#define LEAF       2u

static char dir[64], path[96], copy[96];
static MDB_env *env;
static MDB_txn *txn; /* reads the state that the file is in */
static uint8_t *good, *bytes;
static size_t len, page, newest; /* newest: the place of its meta page */
static as_meta_page meta;
static anonset_detail detail;

#define GIVES(expected, call)                                                                      \
    do {                                                                                           \
        anonset_code got_ = (call);                                                                \
        cr_assert_eq(got_, expected, "%s gave \"%s\": %s", #call, anonset_strerror(got_),          \
                     detail.text);                                                                 \
    } while (0)

/* ---- A file ------------------------------------------------------------------------------ */

static void change(MDB_txn *writing, as_key key, const void *value, size_t value_len)
{
    MDB_dbi table;
    uint8_t key_bytes[AS_KEY_BYTES];
    MDB_val name = as_key_encode(key_bytes, key);
    MDB_val val = {.mv_size = value_len, .mv_data = (void *)(uintptr_t)value};
    cr_assert_eq(mdb_dbi_open(writing, NULL, 0, &table), 0);
    cr_assert_eq(
        value ? mdb_put(writing, table, &name, &val, 0) : mdb_del(writing, table, &name, NULL), 0);
}

static MDB_txn *begin(unsigned flags)
{
    MDB_txn *begun = NULL;
    cr_assert_eq(mdb_txn_begin(env, NULL, flags, &begun), 0);
    return begun;
}

static void fill(const uint8_t *value)
{
    MDB_txn *writing = begin(0);
    change(writing, (as_key){.kind = AS_KIND_INFO}, value, 1);
    for (uint32_t i = 0; i < PACKS; i++)
        change(writing, (as_key){.kind = AS_KIND_PACK, .group = 1, .at = i, .sub = 1}, value,
               i % 50 == 49 ? BIG : 100);
    for (uint32_t group = 1; group <= GROUPS; group++) {
        change(writing, (as_key){.kind = AS_KIND_PACK, .group = group, .at = 900}, value, 20);
        change(writing, (as_key){.kind = AS_KIND_LEDGER, .group = group}, value, 30);
        change(writing, (as_key){.kind = AS_KIND_CHECKPOINT, .group = group}, value, 40);
    }
    change(writing, (as_key){.kind = AS_KIND_USED}, value, 10);
    change(writing, (as_key){.kind = AS_KIND_USED_STATE}, value, 10);
    change(writing, (as_key){.kind = AS_KIND_PACK, .group = GROUPS, .at = 901}, value, HUGE_VALUE);
    cr_assert_eq(mdb_txn_commit(writing), 0);
}

/* While somebody reads, pages that come free are not taken: each commit leaves a list of its own.
 */
static void leave_free_pages(const uint8_t *value)
{
    MDB_txn *reading = begin(MDB_RDONLY);
    for (uint32_t i = 0; i < COMMITS; i++) {
        MDB_txn *writing = begin(0);
        change(writing, (as_key){.kind = AS_KIND_LEDGER, .group = 1}, value + i, 30);
        if (i == 1)
            change(writing, (as_key){.kind = AS_KIND_PACK, .group = GROUPS, .at = 901}, NULL, 0);
        cr_assert_eq(mdb_txn_commit(writing), 0);
    }
    mdb_txn_abort(reading);
}

static void open_env(void)
{
    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_set_mapsize(env, 64 << 20), 0);
    cr_assert_eq(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOSYNC, 0644), 0);
}

static void load_file(void)
{
    struct stat found;
    FILE *file = fopen(path, "rb");
    cr_assert(file && fstat(fileno(file), &found) == 0);
    len = (size_t)found.st_size;
    good = malloc(len);
    bytes = malloc(len);
    cr_assert(good && bytes && fread(good, 1, len, file) == len);
    cr_assert_eq(fclose(file), 0);
}

static size_t number_at(const uint8_t *where, size_t width)
{
    uint16_t two;
    uint32_t four;
    size_t word;
    if (width == sizeof two) {
        memcpy(&two, where, sizeof two);
        return two;
    }
    if (width == sizeof four) {
        memcpy(&four, where, sizeof four);
        return four;
    }
    memcpy(&word, where, sizeof word);
    return word;
}

static void put_number(uint8_t *where, size_t width, size_t number)
{
    uint16_t two = (uint16_t)number;
    uint32_t four = (uint32_t)number;
    if (width == sizeof two)
        memcpy(where, &two, sizeof two);
    else if (width == sizeof four)
        memcpy(where, &four, sizeof four);
    else
        memcpy(where, &number, sizeof number);
}

static void set_up(void)
{
    uint8_t *value = calloc(1, HUGE_VALUE);
    cr_assert(value);
    for (size_t i = 0; i < COMMITS; i++)
        value[i] = (uint8_t)i;
    (void)snprintf(dir, sizeof dir, "/tmp/anonset-pages-XXXXXX");
    cr_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/store", dir);
    (void)snprintf(copy, sizeof copy, "%s/copy", dir);
    open_env();
    fill(value);
    leave_free_pages(value);
    free(value);
    load_file();
    txn = begin(MDB_RDONLY);
    as_meta_page first;
    memcpy(&first, good, sizeof first);
    page = first.tables[0].pad;
    memcpy(&meta, good + page, sizeof meta);
    newest = meta.txn > first.txn ? page : 0;
    if (newest == 0)
        meta = first;
    cr_assert_eq(meta.txn, mdb_txn_id(txn));
    cr_assert(meta.tables[0].depth == 2 && meta.tables[1].depth == 2);
}

static void tear_down(void)
{
    char lock[128];
    (void)snprintf(lock, sizeof lock, "%s-lock", path);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    (void)unlink(copy);
    cr_assert(unlink(path) == 0 && unlink(lock) == 0 && rmdir(dir) == 0);
    free(good);
    free(bytes);
}

TestSuite(lmdb_pages, .init = set_up, .fini = tear_down, .timeout = 120);

/* ---- Places in it ------------------------------------------------------------------------ */

typedef enum where {
    META,
    META_BEFORE, /* of the state before */
    ROOT,
    FIRST, /* leaf */
    LAST,
    WITH_BIG, /* the first leaf with a value in pages of its own */
    BIG_PAGE, /* the first of that value's pages */
    FREE_ROOT,
    FREE_FIRST,
    FREE_LONG, /* the leaf with the list that has pages of its own */
    FREE_LIST  /* those pages */
} where;

static size_t node_place(size_t at, size_t i)
{
    return at + number_at(good + at + HEAD + 2 * i, 2);
}

static size_t count_nodes(size_t at)
{
    return (number_at(good + at + WORD + 4, 2) - HEAD) / 2;
}

static size_t child(size_t at, size_t i)
{
    return page * number_at(good + node_place(at, i), 4);
}

/* The first leaf below a branch, and its node, whose value has pages of its own. */
static size_t find_big(size_t branch, size_t *node)
{
    for (size_t i = 0; i < count_nodes(branch); i++) {
        size_t leaf = child(branch, i);
        for (*node = 0; *node < count_nodes(leaf); ++*node)
            if (number_at(good + node_place(leaf, *node) + 4, 2) == 1)
                return leaf;
    }
    cr_assert_fail("no value has pages of its own");
    return 0;
}

static size_t data_place(size_t leaf, size_t i)
{
    size_t at = node_place(leaf, i);
    return at + NODE + number_at(good + at + 6, 2);
}

static size_t page_place(where w, size_t *big)
{
    size_t root = page * meta.tables[1].root, free_root = page * meta.tables[0].root;
    switch (w) {
    case META:
        return newest;
    case META_BEFORE:
        return page - newest;
    case ROOT:
        return root;
    case FIRST:
        return child(root, 0);
    case LAST:
        return child(root, count_nodes(root) - 1);
    case WITH_BIG:
        return find_big(root, big);
    case BIG_PAGE:
        root = find_big(root, big);
        return page * number_at(good + data_place(root, *big), WORD);
    case FREE_ROOT:
        return free_root;
    case FREE_FIRST:
        return child(free_root, 0);
    case FREE_LONG:
        return find_big(free_root, big);
    case FREE_LIST:
        free_root = find_big(free_root, big);
        return page * number_at(good + data_place(free_root, *big), WORD);
    }
    return 0;
}

/* ---- One field is another ---------------------------------------------------------------- */

typedef enum how {
    SET = 1,
    ADD,
    COPY,      /* what stands at `value` from the page's begin */
    COPY_NODE, /* what stands at the same place of node `value` */
    BELOW,     /* the page's size less `value` */
    OF_ROOT,   /* the number of the table's root */
    OF_PAGES   /* pages in the file, less `value` */
} how;

#define HEAD_OF (-1) /* not a node, but the page itself */
#define OWN_BIG (-2) /* the node that find_big found */

typedef struct edit {
    how how;
    int node;
    size_t at; /* in the node, its data if `data`, or the page */
    bool data;
    size_t width, value;
} edit;

typedef struct row {
    const char *what;
    where where;
    edit edits[2];
    const char *words; /* NULL: nobody minds */
} row;

static size_t edited_place(size_t at, const edit *e, size_t big)
{
    if (e->node == HEAD_OF)
        return at + e->at;
    size_t i = e->node == OWN_BIG ? big : (size_t)e->node;
    return (e->data ? data_place(at, i) : node_place(at, i)) + e->at;
}

static void make_edit(size_t at, const edit *e, size_t big)
{
    size_t place = edited_place(at, e, big), number = e->value;
    edit other = *e;
    other.node = (int)e->value;
    if (e->how == ADD)
        number += number_at(good + place, e->width);
    else if (e->how == COPY)
        number = number_at(good + at + e->value, e->width);
    else if (e->how == COPY_NODE)
        number = number_at(good + edited_place(at, &other, 0), e->width);
    else if (e->how == BELOW)
        number = page - e->value;
    else if (e->how == OF_ROOT)
        number = meta.tables[1].root;
    else if (e->how == OF_PAGES)
        number = meta.last_page + 1 - e->value;
    put_number(bytes + place, e->width, number);
}

static int file_of(const void *from, size_t n)
{
    int fd = memfd_create("pages", MFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, from, n), (ssize_t)n);
    return fd;
}

static anonset_code check(bool values)
{
    int fd = file_of(bytes, len);
    detail = (anonset_detail){.code = ANONSET_OK};
    anonset_code code = as_tree_check(txn, fd, values, "store", &detail);
    close(fd);
    return code;
}

static void make_edits(const row *r)
{
    size_t big = 0, at = page_place(r->where, &big);
    memcpy(bytes, good, len);
    for (size_t i = 0; i < COUNT(r->edits) && r->edits[i].how; i++)
        make_edit(at, &r->edits[i], big);
}

static void expect_row(const row *r, anonset_code code)
{
    cr_expect_eq(code, r->words ? ANONSET_CORRUPT : ANONSET_OK, "%s: %s: %s", r->what,
                 anonset_strerror(code), detail.text);
    cr_expect(!r->words || strstr(detail.text, r->words), "%s: %s", r->what, detail.text);
}

#define IN_HEAD(how, at, width, value)                                                             \
    {                                                                                              \
        how, HEAD_OF, at, false, width, value                                                      \
    }
#define IN_NODE(how, node, at, width, value)                                                       \
    {                                                                                              \
        how, node, at, false, width, value                                                         \
    }
#define IN_DATA(how, node, at, width, value)                                                       \
    {                                                                                              \
        how, node, at, true, width, value                                                          \
    }
#define NUMBER   0u
#define FLAGS    (WORD + 2)
#define LOWER    (WORD + 4)
#define UPPER    (WORD + 6)
#define SLOT(i)  (HEAD + 2 * (i))
#define N_LEN    0u /* in a node: bytes of its data, or its child */
#define N_FLAGS  4u
#define N_KEY    6u /* bytes of its key */
#define M(field) offsetof(as_meta_page, field)

static const row rows[] = {
    {"another page", FIRST, {IN_HEAD(ADD, NUMBER, WORD, 1)}, "another page"},
    {"another kind of page", FIRST, {IN_HEAD(SET, FLAGS, 2, BRANCH)}, "another page"},
    {"a leaf for a branch", ROOT, {IN_HEAD(SET, FLAGS, 2, LEAF)}, "another page"},
    {"no entry", FIRST, {IN_HEAD(SET, LOWER, 2, HEAD)}, "bounds"},
    {"half a slot", FIRST, {IN_HEAD(ADD, LOWER, 2, 1)}, "bounds"},
    {"slots over nodes", FIRST, {IN_HEAD(BELOW, LOWER, 2, 2)}, "bounds"},
    {"nodes behind the page", FIRST, {IN_HEAD(BELOW, UPPER, 2, (size_t)0 - 2)}, "bounds"},
    {"a branch of one", ROOT, {IN_HEAD(SET, LOWER, 2, HEAD + 2)}, "bounds"},
    {"a node before them", FIRST, {IN_HEAD(SET, SLOT(0), 2, 8)}, "overlap"},
    {"a node at an odd place", FIRST, {IN_HEAD(ADD, SLOT(0), 2, 1)}, "overlap"},
    {"a node over the end", FIRST, {IN_HEAD(BELOW, SLOT(0), 2, 4)}, "overlap"},
    {"a node twice", FIRST, {IN_HEAD(COPY, SLOT(0), 2, SLOT(1))}, "overlap"},
    {"a gap", FIRST, {IN_HEAD(ADD, UPPER, 2, (size_t)0 - 2)}, "overlap"},
    {"a long key", FIRST, {IN_NODE(SET, 1, N_KEY, 2, 600)}, "overlap"},
    {"a key over the end", FIRST, {IN_NODE(SET, 0, N_KEY, 2, 500)}, "overlap"},
    {"flags of a leaf's node", FIRST, {IN_NODE(SET, 1, N_FLAGS, 2, 4)}, "overlap"},
    {"data over the end", FIRST, {IN_NODE(SET, 0, N_LEN, 4, 1000)}, "overlap"},
    {"a number of a page over the end",
     FIRST,
     {IN_NODE(SET, 0, N_LEN, 4, 100000), IN_NODE(SET, 0, N_FLAGS, 2, 1)},
     "overlap"},
    {"a value in no page", WITH_BIG, {IN_DATA(SET, OWN_BIG, 0, WORD, 0)}, "overlap"},
    {"a value in a meta page", WITH_BIG, {IN_DATA(SET, OWN_BIG, 0, WORD, 1)}, "no value can be"},
    {"a value over the end", WITH_BIG, {IN_DATA(OF_PAGES, OWN_BIG, 0, WORD, 1)}, "no value can be"},
    {"a value behind the end", WITH_BIG, {IN_DATA(OF_PAGES, OWN_BIG, 0, WORD, 0)}, "no value can"},
    {"a value in the root", WITH_BIG, {IN_DATA(OF_ROOT, OWN_BIG, 0, WORD, 0)}, "no value can be"},
    {"a meta page as a child", ROOT, {IN_NODE(SET, 0, N_LEN, 4, 1)}, "used twice, or not in"},
    {"a child behind the end", ROOT, {IN_NODE(OF_PAGES, 0, N_LEN, 4, 0)}, "used twice, or not in"},
    {"a child twice", ROOT, {IN_NODE(COPY_NODE, 1, N_LEN, 4, 0)}, "used twice, or not in"},
    {"a branch's keys in disorder", ROOT, {IN_NODE(SET, 1, NODE, 2, 0)}, "keys are not in order"},
    {"a branch's key above what is below",
     ROOT,
     {IN_NODE(SET, 1, NODE + 1, 2, 0xffff)},
     "not ours, or not in order"},
    {"a kind with another length", FIRST, {IN_NODE(SET, 1, NODE, 2, 0)}, "not ours"},
    {"no kind", FIRST, {IN_NODE(SET, 1, NODE, 2, 0xffff)}, "not ours"},
    {"keys in disorder", FIRST, {IN_NODE(SET, 3, NODE + 5, 4, 0)}, "not in order"},
    {"an entry of no bytes of key",
     FIRST,
     {IN_NODE(SET, 0, N_KEY, 2, 0), IN_NODE(SET, 0, N_LEN, 4, 2)},
     "not ours"},
    {"checkpoints of no record", LAST, {IN_NODE(SET, 1, NODE + 3, 2, 0xffff)}, "without a record"},
    {"a length of a free list", FREE_FIRST, {IN_NODE(ADD, 0, N_LEN, 4, (size_t)0 - 1)}, "longer"},
    {"a count of a free list", FREE_FIRST, {IN_DATA(ADD, 0, 0, WORD, 1)}, "longer than it can be"},
    {"a page twice in a free list",
     FREE_FIRST,
     {IN_DATA(SET, 0, 2 * WORD, WORD, SIZE_MAX)},
     "is not free"},
    {"a page of a free list that is in use",
     FREE_FIRST,
     {IN_DATA(OF_ROOT, 0, WORD, WORD, 0)},
     "is not free"},
    {"a free list's key", FREE_FIRST, {IN_NODE(SET, 0, N_KEY, 2, WORD - 1)}, "not ours"},
    {"a free list's key twice", FREE_FIRST, {IN_NODE(COPY_NODE, 1, NODE, WORD, 0)}, "not in order"},
    {"a key in the branch of free lists",
     FREE_ROOT,
     {IN_NODE(SET, 1, N_KEY, 2, WORD - 1)},
     "keys are not in order"},
    {"a small key in the branch of free lists",
     FREE_ROOT,
     {IN_NODE(SET, 1, NODE, WORD, 0)},
     "keys are not in order"},
    {"a free list in pages in use",
     FREE_LONG,
     {IN_DATA(OF_ROOT, OWN_BIG, 0, WORD, 0)},
     "no value can be"},
    {"a small value in a page", FIRST, {IN_NODE(SET, 1, N_FLAGS, 2, 1)}, "overlap"},
    {"a free list's other page", FREE_LIST, {IN_HEAD(ADD, NUMBER, WORD, 1)}, "not the first of"},
    {"a leaf for a free list", FREE_LIST, {IN_HEAD(SET, FLAGS, 2, LEAF)}, "not the first of its"},
    {"a free list in no page", FREE_LIST, {IN_HEAD(SET, LOWER, 4, 0)}, "not the first of its"},
    {"a free list in used pages", FREE_LIST, {IN_HEAD(SET, LOWER, 4, 9999)}, "not the first of"},
    {"a long free list", FREE_LIST, {IN_HEAD(SET, HEAD, WORD, SIZE_MAX)}, "longer than it can be"},
    {"too deep", META, {IN_HEAD(SET, M(tables[1].depth), 2, 17)}, "a table of it cannot be"},
    {"a root of nothing", META, {IN_HEAD(SET, M(tables[1].depth), 2, 0)}, "table of it cannot be"},
    {"no root", META, {IN_HEAD(SET, M(tables[1].root), WORD, SIZE_MAX)}, "a table of it cannot be"},
    {"a table of another kind",
     META,
     {IN_HEAD(SET, M(tables[1].flags), 2, 4)},
     "table of it cannot"},
    {"free pages by other keys",
     META,
     {IN_HEAD(SET, M(tables[0].flags), 2, 0)},
     "table of it cannot"},
    {"branches", META, {IN_HEAD(ADD, M(tables[1].branches), WORD, 1)}, "larger or smaller"},
    {"leaves", META, {IN_HEAD(ADD, M(tables[1].leaves), WORD, 1)}, "larger or smaller"},
    {"pages of values", META, {IN_HEAD(ADD, M(tables[1].overflows), WORD, 1)}, "larger or smaller"},
    {"entries", META, {IN_HEAD(ADD, M(tables[1].entries), WORD, 1)}, "larger or smaller"},
    {"lists of free pages",
     META,
     {IN_HEAD(ADD, M(tables[0].entries), WORD, 1)},
     "larger or smaller"},
    {"more pages than there are", META, {IN_HEAD(SET, M(last_page), WORD, 1u << 30)}, "more pages"},
    {"pages without end", META, {IN_HEAD(SET, M(last_page), WORD, SIZE_MAX)}, "more pages than"},
    {"a meta page that is none", META, {IN_HEAD(SET, M(magic), 4, 0)}, "no meta page"},
    {"the state before, where nobody looks",
     META_BEFORE,
     {IN_HEAD(SET, M(last_page), WORD, 0)},
     NULL},
};

Test(lmdb_pages, one_field_that_cannot_be)
{
    memcpy(bytes, good, len);
    GIVES(ANONSET_OK, check(false));
    GIVES(ANONSET_OK, check(true));
    for (size_t i = 0; i < COUNT(rows); i++) {
        make_edits(&rows[i]);
        expect_row(&rows[i], check(false));
    }
}

/* The heads of values' pages are looked at only when asked for. */
Test(lmdb_pages, the_first_page_of_a_value)
{
    static const row values[] = {
        {"another page", BIG_PAGE, {IN_HEAD(ADD, NUMBER, WORD, 1)}, "not the first of its value"},
        {"another kind", BIG_PAGE, {IN_HEAD(SET, FLAGS, 2, LEAF)}, "not the first of its value"},
        {"another length", BIG_PAGE, {IN_HEAD(ADD, LOWER, 4, 1)}, "not the first of its value"},
    };
    for (size_t i = 0; i < COUNT(values); i++) {
        make_edits(&values[i]);
        GIVES(ANONSET_OK, check(false));
        expect_row(&values[i], check(true));
    }
}

/* ---- Pages that no writer left ----------------------------------------------------------- */

/* Writes the first page of the file that is free to have one leaf with this entry, and makes it all
 * that a table has. */
static void only_entry(size_t table, const uint8_t *key, size_t key_len, size_t data_len)
{
    size_t at = 2 * page, node = page - ((NODE + key_len + data_len + 1) & ~(size_t)1);
    as_meta_page changed = meta;
    memcpy(bytes, good, len);
    memset(bytes + at, 0, page);
    put_number(bytes + at + NUMBER, WORD, 2);
    put_number(bytes + at + FLAGS, 2, LEAF);
    put_number(bytes + at + LOWER, 2, HEAD + 2);
    put_number(bytes + at + UPPER, 2, node);
    put_number(bytes + at + SLOT(0), 2, node);
    put_number(bytes + at + node + N_LEN, 4, data_len);
    put_number(bytes + at + node + N_KEY, 2, key_len);
    memcpy(bytes + at + node + NODE, key, key_len);
    for (size_t i = 0; i < 2; i++) /* the other one has none */
        changed.tables[i] = (as_meta_table){
            .pad = i == 0 ? (uint32_t)page : 0, .flags = i == 0 ? 8 : 0, .root = SIZE_MAX};
    changed.tables[table].depth = 1;
    changed.tables[table].root = 2;
    changed.tables[table].leaves = changed.tables[table].entries = 1;
    memcpy(bytes + newest, &changed, sizeof changed);
}

Test(lmdb_pages, one_entry_that_cannot_be)
{
    static const struct {
        size_t table;
        uint8_t key[16];
        size_t key_len, data_len;
        const char *words; /* NULL: it can be */
    } entries[] = {
        {1, {AS_KIND_INFO}, 1, 5, NULL},
        {1, {AS_KIND_LEDGER, 0, 0, 0, 1}, 5, 5, NULL},
        {1, {AS_KIND_PACK, 0, 0, 0, 1}, 14, 5, "not ours"},
        {1, {AS_KIND_PACK, 0, 0, 0, 1}, 13, 5, "group 1 has coins and no record"},
        {1, {AS_KIND_CHECKPOINT, 0, 0, 0, 1}, 9, 5, "without a record"},
        {1, {0}, 0, 5, "not ours"},
        {0, {1}, WORD, WORD, NULL},
        {0, {1}, WORD, WORD / 2, "list of free pages is empty"},
        {0, {1}, WORD + 1, WORD, "not ours"},
    };
    for (size_t i = 0; i < COUNT(entries); i++) {
        only_entry(entries[i].table, entries[i].key, entries[i].key_len, entries[i].data_len);
        anonset_code code = check(true);
        cr_expect_eq(code, entries[i].words ? ANONSET_CORRUPT : ANONSET_OK, "%zu: %s", i,
                     detail.text);
        cr_expect(!entries[i].words || strstr(detail.text, entries[i].words), "%zu: %s", i,
                  detail.text);
    }
}

/* ---- Lists of free pages that LMDB made shorter ------------------------------------------- */

/* Whether the lists have more pages of their own than lists so long need. */
static bool have_room_left(void)
{
    MDB_cursor *cursor;
    MDB_val key, list;
    MDB_stat stat;
    size_t inside = ((page - HEAD) / 2 & ~(size_t)1) - 2 - NODE - WORD, needed = 0;
    cr_assert_eq(mdb_cursor_open(txn, 0, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == 0)
        needed += list.mv_size > inside ? (HEAD - 1 + list.mv_size) / page + 1 : 0;
    mdb_cursor_close(cursor);
    cr_assert_eq(mdb_stat(txn, 0, &stat), 0);
    return stat.ms_overflow_pages > needed;
}

/* Puts a value (NULL: takes it away) and looks at the file then; true where have_room_left. */
static bool change_and_check(uint32_t at, const uint8_t *value, size_t value_len)
{
    int fd;
    MDB_txn *writing = begin(0);
    change(writing, (as_key){.kind = AS_KIND_PACK, .group = 1, .at = at}, value, value_len);
    cr_assert_eq(mdb_txn_commit(writing), 0);
    txn = begin(MDB_RDONLY);
    cr_assert_eq(mdb_env_get_fd(env, &fd), 0);
    GIVES(ANONSET_OK, as_tree_check(txn, fd, true, path, &detail));
    bool left = have_room_left();
    mdb_txn_abort(txn);
    return left;
}

/*
 * LMDB makes room for a list before it knows how long it gets: the page that a long one takes may
 * be on it. One that would fit into the leaf without that page keeps it nevertheless. It depends on
 * the very number of free pages, so that many are tried.
 */
Test(lmdb_pages, lists_that_came_out_shorter_than_their_room_are_sound)
{
    uint8_t *value = calloc(1, HUGE_VALUE);
    unsigned seen = 0;
    cr_assert(value);
    mdb_txn_abort(txn); /* what comes free may be taken */
    for (uint32_t round = 0; round < 16; round++) {
        (void)change_and_check(2000, value, HUGE_VALUE);
        (void)change_and_check(2000, NULL, 0);
        seen += change_and_check(2001 + round, value, (1 + round) * page - HEAD);
        for (uint32_t i = 0; i < 60; i++)
            seen += change_and_check(3000 + 60 * round + i, value, page - HEAD);
    }
    cr_expect_gt(seen, 0);
    txn = begin(MDB_RDONLY);
    free(value);
}

/* ---- Reading one value ------------------------------------------------------------------- */

static uint8_t room[64];

static as_wanted want(as_kind kind, uint32_t group, uint32_t at, uint32_t sub)
{
    return (as_wanted){.key = {.kind = kind, .group = group, .at = at, .sub = sub},
                       .out = room,
                       .room = sizeof room};
}

static anonset_code get(as_wanted *wanted, bool probe)
{
    int fd = file_of(bytes, len);
    anonset_code code = probe ? as_tree_probe(wanted, fd, "store", &detail)
                              : as_tree_get(wanted, txn, fd, "store", &detail);
    close(fd);
    return code;
}

Test(lmdb_pages, values_are_found)
{
    const struct {
        as_wanted wanted;
        size_t len;
    } values[] = {
        {want(AS_KIND_INFO, 0, 0, 0), 1},
        {want(AS_KIND_LEDGER, GROUPS, 0, 0), 30},
        {want(AS_KIND_PACK, 1, 100, 1), sizeof room},
        {want(AS_KIND_PACK, 1, 49, 1), 0}, /* not by this way */
        {want(AS_KIND_PACK, 1, 49, 2), 0},
        {want(AS_KIND_LEDGER, GROUPS + 1, 0, 0), 0},
    };
    memcpy(bytes, good, len);
    for (size_t i = 0; i < 2 * COUNT(values); i++) {
        as_wanted wanted = values[i / 2].wanted;
        GIVES(ANONSET_OK, get(&wanted, i % 2));
        cr_expect_eq(wanted.len, values[i / 2].len, "%zu: %zu", i, wanted.len);
    }
}

/* Another program commits while the file is looked at: from the second look on it is `then`, and
 * with each look of `commits` one state further. */
static const uint8_t *then;
static unsigned looks, commits;

static void commit_something(int looked_at)
{
    char name[32];
    size_t state = meta.txn + looks;
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", looked_at);
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, then, len, 0), (ssize_t)len);
    if (looks <= commits)
        cr_assert_eq(pwrite(fd, &state, WORD, (off_t)(newest + M(txn))), (ssize_t)WORD);
    cr_assert_eq(close(fd), 0);
}

ssize_t pread(int fd, void *out, size_t n, off_t at)
{
    if (then && at == 0 && ++looks > 1)
        commit_something(fd);
    return lseek(fd, at, SEEK_SET) == at ? read(fd, out, n) : -1;
}

/* A page on the way was taken anew: it is sound, and leads elsewhere. */
Test(lmdb_pages, a_value_is_found_behind_commits_that_take_its_pages_anew)
{
    const row elsewhere = {"", ROOT, {IN_NODE(COPY_NODE, 0, N_LEN, 4, 1)}, NULL};
    as_wanted wanted = want(AS_KIND_INFO, 0, 0, 0);
    make_edits(&elsewhere);
    then = good;
    GIVES(ANONSET_OK, get(&wanted, true));
    cr_expect_eq(wanted.len, 1);
    then = bytes;
    looks = 0;
    GIVES(ANONSET_OK, get(&wanted, true));
    cr_expect_eq(wanted.len, 0); /* nobody commits: it is not there */
    looks = 0;
    commits = 1000;
    GIVES(ANONSET_BUSY, get(&wanted, true));
}

Test(lmdb_pages, nothing_is_found_in_an_empty_table)
{
    only_entry(0, (const uint8_t[WORD]){1}, WORD, WORD);
    as_wanted wanted = want(AS_KIND_INFO, 0, 0, 0);
    GIVES(ANONSET_OK, get(&wanted, false));
    cr_assert_eq(wanted.len, 0);
    GIVES(ANONSET_OK, get(&wanted, true));
    cr_assert_eq(wanted.len, 0);
}

Test(lmdb_pages, the_way_to_a_value_that_cannot_be)
{
    static const row ways[] = {
        {"a meta page", ROOT, {IN_NODE(SET, 0, N_LEN, 4, 1)}, "free, or not there"},
        {"behind the end", ROOT, {IN_NODE(OF_PAGES, 0, N_LEN, 4, 0)}, "free, or not there"},
        {"another page", FIRST, {IN_HEAD(ADD, NUMBER, WORD, 1)}, "another page"},
        {"too deep", META, {IN_HEAD(SET, M(tables[1].depth), 2, 17)}, "a table of it cannot be"},
    };
    for (size_t i = 0; i < 2 * COUNT(ways); i++) {
        as_wanted wanted = want(AS_KIND_INFO, 0, 0, 0);
        make_edits(&ways[i / 2]);
        expect_row(&ways[i / 2], get(&wanted, i % 2));
    }
}

/* A page of a state that was, as sound as any. */
Test(lmdb_pages, the_way_to_a_value_leads_over_no_free_page)
{
    size_t list = page_place(FREE_FIRST, &list);
    row r = {"a free page", ROOT, {IN_NODE(SET, 0, N_LEN, 4, 0)}, "free, or not there"};
    r.edits[0].value = number_at(good + data_place(list, 0) + WORD, WORD);
    as_wanted wanted = want(AS_KIND_INFO, 0, 0, 0);
    make_edits(&r);
    expect_row(&r, get(&wanted, false));
}

/* ---- Cursors --------------------------------------------------------------------------- */

/* Where something wrote a key of another length behind our back. */
Test(lmdb_pages, a_key_that_is_not_ours_is_damage_to_cursors)
{
    static const uint8_t other[] = {AS_KIND_LEDGER, 0, 0, 1};
    MDB_cursor *cursor;
    MDB_dbi table;
    MDB_txn *writing = begin(0);
    MDB_val name = {sizeof other, (void *)(uintptr_t)other}, val = {1, room};
    cr_assert_eq(mdb_dbi_open(writing, NULL, 0, &table), 0);
    cr_assert_eq(mdb_put(writing, table, &name, &val, 0), 0);
    cr_assert_eq(mdb_cursor_open(writing, table, &cursor), 0);
    as_key key = {.kind = AS_KIND_LEDGER, .group = 255};
    cr_expect_eq(as_cursor_at_least(cursor, &key, &val), MDB_CORRUPTED);
    key = (as_key){.kind = AS_KIND_LEDGER, .group = 255};
    cr_expect_eq(as_cursor_at_most(cursor, &key, &val), MDB_CORRUPTED);
    mdb_cursor_close(cursor);
    mdb_txn_abort(writing);
}

/* ---- The file ---------------------------------------------------------------------------- */

Test(lmdb_pages, another_state_than_the_transactions)
{
    const row r = {"", META, {IN_HEAD(ADD, M(txn), WORD, 2)}, NULL};
    as_wanted wanted = want(AS_KIND_INFO, 0, 0, 0);
    make_edits(&r);
    GIVES(ANONSET_BUSY, check(false));
    GIVES(ANONSET_BUSY, get(&wanted, false));
}

Test(lmdb_pages, a_file_that_is_cut_or_cannot_be_read)
{
    as_wanted wanted = want(AS_KIND_INFO, 0, 0, 0);
    const size_t cuts[] = {10, page + 10, 2 * page};
    for (size_t i = 0; i < COUNT(cuts); i++) {
        int fd = file_of(good, cuts[i]);
        GIVES(ANONSET_CORRUPT, as_tree_probe(&wanted, fd, "store", &detail));
        GIVES(ANONSET_CORRUPT, as_tree_check(txn, fd, false, "store", &detail));
        close(fd);
    }
    GIVES(ANONSET_IO, as_tree_probe(&wanted, -1, "store", &detail));
    GIVES(ANONSET_IO, as_tree_get(&wanted, txn, -1, "store", &detail));
    GIVES(ANONSET_IO, as_tree_check(txn, -1, false, "store", &detail));
}

/* ---- No memory --------------------------------------------------------------------------- */

static unsigned long asked, refused; /* 0: none is */

static void *allocate(void *context, size_t n)
{
    (void)context;
    return ++asked == refused ? NULL : malloc(n);
}

static void *reallocate(void *context, void *block, size_t n)
{
    (void)context;
    return ++asked == refused ? NULL : realloc(block, n);
}

static void release(void *context, void *block)
{
    (void)context;
    free(block);
}

static const anonset_allocator refusing = {
    .size = sizeof refusing, .allocate = allocate, .reallocate = reallocate, .release = release};

Test(lmdb_pages, no_memory)
{
    as_wanted wanted = want(AS_KIND_INFO, 0, 0, 0);
    GIVES(ANONSET_OK, anonset_set_allocator(&refusing, &detail));
    memcpy(bytes, good, len);
    GIVES(ANONSET_OK, check(true));
    unsigned long most = asked;
    for (refused = 1; refused <= most; refused++) {
        asked = 0;
        GIVES(ANONSET_NO_MEMORY, check(true));
    }
    refused = asked = 0;
    GIVES(ANONSET_OK, get(&wanted, false));
    most = asked;
    for (refused = 1; refused <= most; refused++) {
        asked = 0;
        GIVES(ANONSET_NO_MEMORY, get(&wanted, false));
    }
}

/* ---- Meta pages -------------------------------------------------------------------------- */

static anonset_code look(const uint8_t *from, size_t n)
{
    FILE *file = fopen(copy, "wb");
    cr_assert(file && fwrite(from, 1, n, file) == n && fclose(file) == 0);
    detail = (anonset_detail){.code = ANONSET_OK};
    return as_file_check(copy, &detail);
}

static const struct {
    where where;
    size_t at, width, value;
    anonset_code code;
} metas[] = {
    {META, M(flags), 2, 0, ANONSET_CORRUPT},
    {META, M(magic), 4, 1, ANONSET_CORRUPT},
    {META, M(version), 4, 2, ANONSET_CORRUPT},
    {META, M(tables[0].pad), 4, 256, ANONSET_CORRUPT},
    {META, M(tables[0].pad), 4, 131072, ANONSET_CORRUPT},
    {META, M(tables[0].pad), 4, 5000, ANONSET_CORRUPT},
    {META, M(tables[0].pad), 4, 2048, ANONSET_CORRUPT}, /* not the other one's */
    {META, M(txn), WORD, 1u << 20, ANONSET_CORRUPT},    /* none that follows the other one */
    {META_BEFORE, M(txn), WORD, 0, ANONSET_CORRUPT},
    {META, M(last_page), WORD, 1u << 30, ANONSET_CORRUPT},
    {META_BEFORE, M(last_page), WORD, 1u << 30, ANONSET_CORRUPT},
};

Test(lmdb_pages, meta_pages_that_cannot_be)
{
    GIVES(ANONSET_OK, look(good, len));
    for (size_t i = 0; i < COUNT(metas); i++) {
        size_t none, at = page_place(metas[i].where, &none);
        memcpy(bytes, good, len);
        put_number(bytes + at + metas[i].at, metas[i].width, metas[i].value);
        anonset_code code = look(bytes, len);
        if (at == 0 && code == ANONSET_FOREIGN) /* of the first meta page: no file of LMDB */
            code = ANONSET_CORRUPT;
        cr_expect_eq(code, metas[i].code, "%zu: %s: %s", i, anonset_strerror(code), detail.text);
    }
}

/* Their order is fixed by the numbers of their transactions. */
Test(lmdb_pages, meta_pages_in_each_others_place)
{
    const struct {
        size_t first, second;
        anonset_code code;
    } pairs[] = {{0, 0, ANONSET_OK},
                 {2, 3, ANONSET_OK},
                 {4, 3, ANONSET_OK},
                 {1, 2, ANONSET_CORRUPT},
                 {2, 2, ANONSET_CORRUPT}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        memcpy(bytes, good, len);
        put_number(bytes + M(txn), WORD, pairs[i].first);
        put_number(bytes + page + M(txn), WORD, pairs[i].second);
        GIVES(pairs[i].code, look(bytes, len));
    }
}

/* The two are read one after the other, and commits change them in between. */
Test(lmdb_pages, meta_pages_that_no_commit_left_together)
{
    memcpy(bytes, good, len);
    put_number(bytes + newest + M(txn), WORD, 1u << 20);
    then = good;
    commits = 2;
    GIVES(ANONSET_OK, look(bytes, len));
    cr_expect_eq(looks, 3, "%u", looks);
    looks = 0;
    commits = 1000;
    GIVES(ANONSET_BUSY, look(bytes, len));
}

Test(lmdb_pages, the_first_meta_page_is_another_machines_or_versions)
{
    static const struct {
        size_t at;
        uint32_t value;
        anonset_code code;
        const char *words;
    } firsts[] = {
        {M(magic), 0xDEC0EFBEu, ANONSET_FOREIGN, "byte order"},
        {WORD == 8 ? 12u : 16u, 0xDEC0EFBEu, ANONSET_FOREIGN, "byte order"},
        {WORD == 8 ? 12u : 16u, 0xBEEFC0DEu, ANONSET_FOREIGN, "word size"},
        {M(version), 9, ANONSET_FOREIGN, "version"},
        {M(magic), 7, ANONSET_FOREIGN, "not an LMDB file"},
        {M(tables[0].pad), 77, ANONSET_FOREIGN, "not an LMDB file"},
    };
    for (size_t i = 0; i < COUNT(firsts); i++) {
        memcpy(bytes, good, len);
        put_number(bytes + firsts[i].at, sizeof firsts[i].value, firsts[i].value);
        GIVES(firsts[i].code, look(bytes, len));
        cr_expect(strstr(detail.text, firsts[i].words), "%zu: %s", i, detail.text);
    }
    GIVES(ANONSET_CORRUPT, look(good, M(version))); /* cut within its version, which is none */
    GIVES(ANONSET_CORRUPT, look(good, M(map)));
    GIVES(ANONSET_CORRUPT, look(good, page + M(map)));
    GIVES(ANONSET_CORRUPT, look(good, len - page));
    GIVES(ANONSET_FOREIGN, look(good, M(magic)));
    GIVES(ANONSET_NOT_FOUND, look(good, 0));
    GIVES(ANONSET_FOREIGN, as_file_check(dir, &detail));
    GIVES(ANONSET_NOT_FOUND, as_file_check("/no/such/file", &detail));
}
