/* The head of a meta page as LMDB 0.9 lays it out on every machine: its own structures, written as
 * they lie in memory. Source: mdb.c, MDB_page, MDB_db and MDB_meta. */
#ifndef AS_LMDB_META_H
#define AS_LMDB_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct as_meta_table {
    uint32_t pad; /* of the first table: the page size */
    uint16_t flags;
    uint16_t depth;
    size_t branches, leaves, overflows; /* pages */
    size_t entries;
    size_t root;
} as_meta_table;

typedef struct as_meta_page {
    size_t number;
    uint16_t pad;
    uint16_t flags;
    uint16_t bounds[2];
    uint32_t magic;
    uint32_t version;
    void *address;
    size_t map;
    as_meta_table tables[2]; /* free pages; ours */
    size_t last_page;
    size_t txn;
} as_meta_page;

/* Whether it is the head of a meta page. */
bool as_meta_is_one(const as_meta_page *meta);

/* Reads all `len` bytes, or as many as there are; -1 and errno. */
ssize_t as_meta_read(int fd, void *out, size_t len, off_t at);

#endif
