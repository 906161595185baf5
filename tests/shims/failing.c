#include "tests/shims/failing.h"

#include "core/detail.h"
#include "tests/shims/calls.h"

static const anonset_backend *real;
static anonset_code failing_code = ANONSET_IO;

void failing_with(anonset_code code)
{
    failing_code = code;
}

#define FAIL(name)                                                                                 \
    if (calls_fail(name))                                                                          \
    return as_fail(detail, failing_code, 0, "made to fail: %s", name)

#define FORWARD(name, parameters, arguments)                                                       \
    static anonset_code fail_##name parameters                                                     \
    {                                                                                              \
        FAIL(#name);                                                                               \
        return real->name arguments;                                                               \
    }

FORWARD(open,
        (void **handle, const char *path, const anonset_backend_options *options,
         anonset_detail *detail),
        (handle, path, options, detail))
FORWARD(info, (void *handle, anonset_store_info *info, anonset_detail *detail),
        (handle, info, detail))
FORWARD(set_genesis, (void *handle, const uint8_t *genesis, anonset_detail *detail),
        (handle, genesis, detail))
FORWARD(next_group, (void *handle, uint32_t *group, uint32_t after, anonset_detail *detail),
        (handle, group, after, detail))
FORWARD(load_state, (void *handle, anonset_state *state, uint32_t group, anonset_detail *detail),
        (handle, state, group, detail))
FORWARD(append_sector, (void *handle, const anonset_append *append, anonset_detail *detail),
        (handle, append, detail))
FORWARD(mark_complete, (void *handle, const anonset_complete *complete, anonset_detail *detail),
        (handle, complete, detail))
FORWARD(discard_incomplete, (void *handle, uint32_t group, anonset_detail *detail),
        (handle, group, detail))
FORWARD(clear, (void *handle, uint32_t group, anonset_detail *detail), (handle, group, detail))
FORWARD(disk_bytes, (void *handle, uint64_t *bytes, anonset_detail *detail),
        (handle, bytes, detail))
FORWARD(snapshot_open,
        (void *handle, void **snapshot, anonset_state *state, uint32_t group, anonset_view view,
         anonset_detail *detail),
        (handle, snapshot, state, group, view, detail))
FORWARD(read, (void *snapshot, anonset_run *run, uint32_t position, anonset_detail *detail),
        (snapshot, run, position, detail))
FORWARD(checkpoint,
        (void *snapshot, anonset_checkpoint *checkpoint, uint32_t index, anonset_detail *detail),
        (snapshot, checkpoint, index, detail))
FORWARD(read_tags, (void *snapshot, anonset_run *run, uint32_t position, anonset_detail *detail),
        (snapshot, run, position, detail))
FORWARD(drop, (void *handle, const anonset_damage *damage, anonset_detail *detail),
        (handle, damage, detail))
FORWARD(mend, (void *handle, const anonset_append *append, anonset_detail *detail),
        (handle, append, detail))
FORWARD(replace,
        (const char *path, const char *by, const char *kept, unsigned busy_ms,
         anonset_detail *detail),
        (path, by, kept, busy_ms, detail))
FORWARD(check, (void *handle, anonset_detail *detail), (handle, detail))
FORWARD(used_append, (void *handle, const anonset_used_append *append, anonset_detail *detail),
        (handle, append, detail))
FORWARD(used_open, (void *handle, void **view, anonset_used_state *state, anonset_detail *detail),
        (handle, view, state, detail))
FORWARD(used_read,
        (void *view, anonset_used *used, uint32_t *n, uint32_t from, uint32_t room,
         anonset_detail *detail),
        (view, used, n, from, room, detail))
FORWARD(used_find,
        (void *view, anonset_used *used, uint32_t *position, const uint8_t *tag,
         anonset_detail *detail),
        (view, used, position, tag, detail))
FORWARD(used_mark, (void *view, anonset_used_state *mark, uint32_t above, anonset_detail *detail),
        (view, mark, above, detail))
FORWARD(used_check, (void *view, uint32_t *sound, anonset_detail *detail), (view, sound, detail))

anonset_backend failing_backend(const anonset_backend *backend)
{
    anonset_backend failing = *backend;
    real = backend;
    failing.open = fail_open;
    failing.info = fail_info;
    failing.set_genesis = fail_set_genesis;
    failing.next_group = fail_next_group;
    failing.load_state = fail_load_state;
    failing.append_sector = fail_append_sector;
    failing.mark_complete = fail_mark_complete;
    failing.discard_incomplete = fail_discard_incomplete;
    failing.clear = fail_clear;
    failing.disk_bytes = fail_disk_bytes;
    failing.snapshot_open = fail_snapshot_open;
    failing.read = fail_read;
    failing.checkpoint = fail_checkpoint;
    failing.read_tags = fail_read_tags;
    failing.drop = backend->drop ? fail_drop : NULL;
    failing.mend = backend->mend ? fail_mend : NULL;
    failing.replace = backend->replace ? fail_replace : NULL;
    failing.check = backend->check ? fail_check : NULL;
    if (backend->used_append) {
        failing.used_append = fail_used_append;
        failing.used_open = fail_used_open;
        failing.used_read = fail_used_read;
        failing.used_find = fail_used_find;
        failing.used_mark = fail_used_mark;
        failing.used_check = backend->used_check ? fail_used_check : NULL;
    }
    return failing;
}
