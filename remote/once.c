/* A sync in one call, out of the functions that take it apart. */
#include "core/detail.h"

static void keep(void *context, const anonset_result *result)
{
    *(anonset_result *)context = *result;
}

anonset_code anonset_client_sync(anonset_client *client, anonset_result *result,
                                 anonset_store *store, uint32_t group, anonset_detail *detail)
{
    anonset_result told = {.outcome = ANONSET_NETWORK_ERROR};
    anonset_sync_options options;
    anonset_sync *sync = NULL;
    if (!client || !result || !store || group == 0)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "anonset_client_sync: a NULL argument, or no group");
    anonset_sync_options_init(&options);
    options.group = group;
    options.on_result = keep;
    options.context = &told;
    anonset_code code = anonset_sync_new(&sync, store, &options, detail);
    if (code == ANONSET_OK)
        code = anonset_client_run(client, sync, detail);
    anonset_sync_free(sync);
    if (code == ANONSET_OK)
        *result = told;
    return code;
}
