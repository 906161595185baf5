#include "core/run.h"

#include "core/detail.h"

anonset_code as_run_read(anonset_run *run, const anonset_backend *backend, void *snapshot,
                         uint32_t position, anonset_detail *detail)
{
    anonset_code code = backend->read(snapshot, run, position, detail);
    if (code == ANONSET_OK && !(run->coins && as_run_holds(run, position)))
        return as_fail(detail, ANONSET_INTERNAL, 0,
                       "backend %s: read gave a run without position %u", backend->name, position);
    return code;
}
