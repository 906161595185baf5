/* Inside of anonset_client, for its own files and tests. */
#ifndef AS_CLIENT_H
#define AS_CLIENT_H

#include "remote/link.h"
#include "remote/pace.h"

#define AS_BACKOFF_BASE_MS 500u
#define AS_BACKOFF_CAP_MS  30000u

struct anonset_client {
    as_target target;
    const as_driver *driver;
    as_link *link;
    unsigned retries;
    unsigned backoff_base_ms; /* a test may lower both */
    unsigned backoff_cap_ms;
    as_pace pace;
    uint64_t jitter;
};

/* Fills `target` from the URL and the options; as anonset_client_new. On failure there is nothing
 * to free. */
anonset_code as_target_make(as_target *target, const char *url,
                            const anonset_client_options *options, anonset_detail *detail);

void as_target_free(as_target *target);

#endif
