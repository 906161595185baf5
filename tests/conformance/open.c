/* Opening, reopening, what is refused at the door, and what a store knows of itself. */
#include "tests/conformance/kit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READ_ONLY ANONSET_STORE_READ_ONLY
#define CREATE    ANONSET_STORE_CREATE

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    ENSURE(file && fwrite(bytes, 1, len, file) == len && fclose(file) == 0, "cannot write %s",
           path);
}

static size_t read_file(const char *path, void *bytes, size_t cap)
{
    FILE *file = fopen(path, "rb");
    ENSURE(file, "cannot read %s", path);
    size_t len = fread(bytes, 1, cap, file);
    ENSURE(fclose(file) == 0, "cannot read %s", path);
    return len;
}

CASE(a_new_store_is_empty)
{
    anonset_store_info info;
    uint32_t group = 77;
    memset(&info, 0xa5, sizeof info);
    GIVES(ANONSET_OK, s->backend->info(s->handle, &info, NULL));
    MUST(memcmp(info.salt, ts_salt, sizeof ts_salt) == 0);
    MUST(!info.has_genesis);
    GIVES(ANONSET_NOT_FOUND, s->backend->next_group(s->handle, &group, 0, NULL));
    MUST(group == 77);
    STATE_IS(1, (anonset_state){0});
    STATE_IS(UINT32_MAX, (anonset_state){0});
}

CASE(reopening_shows_what_was_committed)
{
    ts_chain *chain = kit_chain(s, 1, 300);
    anonset_meta next = ts_chain_meta(chain, 300);
    kit_finalize(s, 1, chain, 0, 200);
    GIVES(ANONSET_OK, kit_append(s, 1, chain, &next, 200, 200, 60));
    uint64_t image = kit_image(s->backend, s->handle, 1, false);
    kit_reopen(s, 0);
    MUST(kit_image(s->backend, s->handle, 1, false) == image);
    kit_reopen(s, CREATE);
    MUST(kit_image(s->backend, s->handle, 1, false) == image);
    kit_reopen(s, READ_ONLY);
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 200);
    kit_view_is(s, 1, ANONSET_VIEW_NEXT, chain, 260);
}

CASE(a_missing_store_is_not_found_unless_create_is_asked)
{
    void *handle = s; /* outputs are set only on OK */
    kit_path(s, "missing");
    GIVES(ANONSET_NOT_FOUND, kit_open(s, &handle, 0));
    GIVES(ANONSET_NOT_FOUND, kit_open(s, &handle, READ_ONLY));
    MUST(handle == s);
    MUST(access(s->path, F_OK) != 0);
    GIVES(ANONSET_OK, kit_open(s, &handle, CREATE));
    s->backend->close(handle);
    GIVES(ANONSET_OK, kit_open(s, &handle, 0));
    s->backend->close(handle);
}

CASE(a_foreign_file_is_refused_and_left_as_it_was)
{
    static const size_t sizes[] = {1, 100, 4096, 50000};
    static uint8_t bytes[50000], after[50001];
    void *handle;
    kit_path(s, "foreign");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ts_fill(bytes, sizes[i], i);
        write_file(s->path, bytes, sizes[i]);
        GIVES(ANONSET_FOREIGN, kit_open(s, &handle, 0));
        GIVES(ANONSET_FOREIGN, kit_open(s, &handle, CREATE));
        GIVES(ANONSET_FOREIGN, kit_open(s, &handle, READ_ONLY));
        MUST(read_file(s->path, after, sizeof after) == sizes[i]);
        MUST(memcmp(bytes, after, sizes[i]) == 0);
    }
}

CASE(a_store_of_another_backend_is_foreign)
{
    anonset_backend_options options = {.flags = CREATE, .busy_ms = 1000};
    kit_close(s);
    for (size_t i = 0; s->suite->others && s->suite->others[i]; i++) {
        const anonset_backend *other = s->suite->others[i];
        void *handle;
        kit_path(s, other->name);
        GIVES(ANONSET_OK, other->open(&handle, s->path, &options, NULL));
        other->close(handle);
        if (other == s->backend || access(s->path, F_OK) != 0)
            continue; /* memory leaves no file that could be foreign */
        GIVES(ANONSET_FOREIGN, kit_open(s, &handle, CREATE));
        GIVES(ANONSET_OK, other->open(&handle, s->path, &options, NULL));
        other->close(handle);
    }
}

CASE(a_folder_is_no_store)
{
    void *handle = s;
    snprintf(s->path, sizeof s->path, "%s", s->dir);
    MUST(kit_open(s, &handle, CREATE) != ANONSET_OK);
    MUST(kit_open(s, &handle, READ_ONLY) != ANONSET_OK);
    MUST(handle == s);
}

CASE(a_read_only_handle_reads_and_never_writes)
{
    static const uint8_t genesis[ANONSET_HASH_BYTES] = {1, 2, 3};
    ts_chain *chain = kit_chain(s, 2, 100);
    anonset_meta meta = ts_chain_meta(chain, 100);
    anonset_store_info info;
    kit_finalize(s, 3, chain, 0, 50);
    GIVES(ANONSET_OK, kit_append(s, 3, chain, &meta, 50, 50, 50));
    kit_reopen(s, READ_ONLY);
    REFUSED(ANONSET_INVALID, 3, s->backend->set_genesis(s->handle, genesis, NULL));
    REFUSED(ANONSET_INVALID, 3, kit_append(s, 3, chain, &meta, 50, 100, 0));
    REFUSED(ANONSET_INVALID, 3, kit_complete(s, 3, chain, &meta, 50, ANONSET_GATE_COUNT));
    REFUSED(ANONSET_INVALID, 3, s->backend->discard_incomplete(s->handle, 3, NULL));
    REFUSED(ANONSET_INVALID, 3, s->backend->clear(s->handle, 3, NULL));
    REFUSED(ANONSET_INVALID, 3, s->backend->clear(s->handle, 0, NULL));
    kit_view_is(s, 3, ANONSET_VIEW_FINALIZED, chain, 50);
    kit_view_is(s, 3, ANONSET_VIEW_NEXT, chain, 100);
    GIVES(ANONSET_OK, s->backend->info(s->handle, &info, NULL));
    MUST(!info.has_genesis);
}

CASE(a_read_only_handle_sees_what_others_write)
{
    ts_chain *chain = kit_chain(s, 4, 90);
    void *writer = s->handle;
    GIVES(ANONSET_OK, kit_open(s, &s->handle, READ_ONLY));
    void *reader = s->handle;
    s->handle = writer;
    kit_finalize(s, 1, chain, 0, 40);
    s->handle = reader;
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 40);
    s->handle = writer;
    kit_finalize(s, 1, chain, 40, 90);
    s->handle = reader;
    kit_view_is(s, 1, ANONSET_VIEW_FINALIZED, chain, 90);
    s->backend->close(reader);
    s->handle = writer;
}

CASE(the_salt_is_that_of_the_creation)
{
    anonset_backend_options options = {.flags = CREATE, .busy_ms = 1000, .salt = {9, 9, 9}};
    anonset_store_info info;
    kit_close(s);
    GIVES(ANONSET_OK, s->backend->open(&s->handle, s->path, &options, NULL));
    GIVES(ANONSET_OK, s->backend->info(s->handle, &info, NULL));
    MUST(memcmp(info.salt, ts_salt, sizeof ts_salt) == 0);
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 0, NULL));
    GIVES(ANONSET_OK, s->backend->info(s->handle, &info, NULL));
    MUST(memcmp(info.salt, ts_salt, sizeof ts_salt) == 0);
}

static void genesis_is(const subject *s, const uint8_t *genesis)
{
    anonset_store_info info;
    GIVES(ANONSET_OK, s->backend->info(s->handle, &info, NULL));
    MUST(info.has_genesis == (genesis != NULL));
    MUST(!genesis || memcmp(info.genesis, genesis, sizeof info.genesis) == 0);
}

CASE(the_genesis_is_recorded_once)
{
    static const uint8_t main[ANONSET_HASH_BYTES] = {0x43, 0x81}, test[ANONSET_HASH_BYTES] = {0xaa};
    ts_chain *chain = kit_chain(s, 5, 10);
    kit_finalize(s, 1, chain, 0, 10);
    genesis_is(s, NULL);
    GIVES(ANONSET_OK, s->backend->set_genesis(s->handle, main, NULL));
    GIVES(ANONSET_OK, s->backend->set_genesis(s->handle, main, NULL));
    GIVES(ANONSET_WRONG_NETWORK, s->backend->set_genesis(s->handle, test, NULL));
    genesis_is(s, main);
    kit_reopen(s, 0);
    genesis_is(s, main);
    GIVES(ANONSET_WRONG_NETWORK, s->backend->set_genesis(s->handle, test, NULL));
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 1, NULL));
    genesis_is(s, main);
    GIVES(ANONSET_OK, s->backend->clear(s->handle, 0, NULL));
    genesis_is(s, NULL);
    GIVES(ANONSET_OK, s->backend->set_genesis(s->handle, test, NULL));
    genesis_is(s, test);
}

CASE(the_vtable_is_complete)
{
    const anonset_backend *b = s->backend;
    MUST(b->size == sizeof *b);
    MUST(strspn(b->name, "abcdefghijklmnopqrstuvwxyz") == strlen(b->name) && *b->name);
    MUST(b->open && b->close && b->info && b->set_genesis && b->next_group && b->load_state);
    MUST(b->append_sector && b->mark_complete && b->discard_incomplete && b->clear);
    MUST(b->disk_bytes && b->snapshot_open && b->snapshot_close && b->read && b->checkpoint);
}
