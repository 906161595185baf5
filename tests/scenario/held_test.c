/* A snapshot held by one process while another follows a reorganization. */
#include "backends/backends.h"
#include "core/digest.h"
#include "tests/scenario/scene.h"

#include <string.h>

#define READ_BEFORE 700u

static const anonset_backend *backend_of(const scene *s)
{
    return strcmp(s->backend, "lmdb") == 0 ? &as_backend_lmdb : &as_backend_sqlite;
}

static anonset_store *open_store(const scene *s)
{
    anonset_store_options options;
    anonset_store *store;
    anonset_store_options_init(&options);
    options.backend = backend_of(s);
    options.flags = ANONSET_STORE_READ_ONLY;
    cr_assert_eq(anonset_store_open(&store, s->db, &options, NULL), ANONSET_OK);
    return store;
}

/* Reads the next n coins into the log digest `at`. */
static void read_on(anonset_snapshot *snapshot, as_digest *digest, uint8_t *at, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        anonset_coin coin;
        cr_assert_eq(anonset_snapshot_next(snapshot, &coin, NULL), ANONSET_OK);
        cr_assert_eq(as_digest_coin(digest, at, at, &coin), ANONSET_OK);
    }
}

SCENARIO(held, a_snapshot_reads_the_old_set_while_it_is_replaced, "--coins", "3000")
{
    uint8_t at[ANONSET_HASH_BYTES] = {0};
    anonset_snapshot *snapshot, *fresh;
    as_digest *digest;
    scene_sync_is(s, "finalized", 0);
    anonset_store *store = open_store(s);
    cr_assert_eq(as_digest_new(&digest, NULL), ANONSET_OK);
    cr_assert_eq(anonset_snapshot_open(&snapshot, store, 1, NULL), ANONSET_OK);
    anonset_state old = *anonset_snapshot_state(snapshot);
    cr_assert_eq(anonset_snapshot_seek(snapshot, 0, 3000, ANONSET_OLDEST_FIRST, NULL), ANONSET_OK);
    read_on(snapshot, digest, at, READ_BEFORE);
    ts_tell(&s->server, "reorg 40");
    scene_sync_is(s, "finalized", 0);
    scene_is_whole(s);
    read_on(snapshot, digest, at, 3000 - READ_BEFORE);
    cr_assert_arr_eq(at, old.digest, ANONSET_HASH_BYTES, "the snapshot shows the new set's coins");
    anonset_snapshot_close(snapshot);
    cr_assert_eq(anonset_snapshot_open(&fresh, store, 1, NULL), ANONSET_OK);
    cr_assert_arr_neq(anonset_snapshot_state(fresh)->digest, old.digest, ANONSET_HASH_BYTES);
    anonset_snapshot_close(fresh);
    as_digest_free(digest);
    anonset_store_close(store);
}
