/*
 * In place of client.c where anonset is built --without-curl: the functions are there, so that one
 * program links against either build, and answer that they cannot.
 */
#include "core/detail.h"

anonset_code anonset_client_new(anonset_client **client, const char *url,
                                const anonset_client_options *options, anonset_detail *detail)
{
    (void)options;
    if (!client || !url)
        return as_fail(detail, ANONSET_INVALID, 0, "anonset_client_new: a NULL argument");
    return as_fail(detail, ANONSET_UNSUPPORTED, 0,
                   "this libanonset was built without libcurl and has no connection of its own: "
                   "build it with libcurl, or drive anonset_sync_step over your own connection");
}

/* There is none to end. */
void anonset_client_free(anonset_client *client)
{
    (void)client;
}

anonset_code anonset_client_step(anonset_client *client, bool *done, anonset_sync *sync,
                                 uint64_t max_bytes, uint32_t max_ms, anonset_detail *detail)
{
    (void)client;
    (void)done;
    (void)sync;
    (void)max_bytes;
    (void)max_ms;
    return as_fail(detail, ANONSET_INVALID, 0, "anonset_client_step: this build makes no client");
}

anonset_code anonset_client_run(anonset_client *client, anonset_sync *sync, anonset_detail *detail)
{
    (void)client;
    (void)sync;
    return as_fail(detail, ANONSET_INVALID, 0, "anonset_client_run: this build makes no client");
}
