/* What a client's options are unless said otherwise: the same whatever is built in. */
#include <anonset/anonset.h>

#define DEFAULT_TIMEOUT_MS 30000u
#define DEFAULT_RETRIES    5u

void anonset_client_options_init(anonset_client_options *options)
{
    if (!options)
        return;
    *options = (anonset_client_options){
        .size = sizeof *options,
        .timeout_ms = DEFAULT_TIMEOUT_MS,
        .retries = DEFAULT_RETRIES,
    };
}
