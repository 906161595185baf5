#include "remote/link.h"

#include "core/detail.h"

#include <string.h>
#include <time.h>

uint64_t as_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail on a system that has it */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

size_t as_link_ceiling(const anonset_request *outstanding, size_t n)
{
    uint64_t most = anonset_answer_limit(NULL);
    for (size_t i = 0; i < n; i++) {
        uint64_t limit = anonset_answer_limit(&outstanding[i]);
        if (limit > most)
            most = limit;
    }
    return (size_t)most + 1;
}

#define SET(option, value)                                                                         \
    if ((code = curl_easy_setopt(easy, option, value)) != CURLE_OK)                                \
    return code

static CURLcode set_tls(CURL *easy, const as_target *target)
{
    bool verify = !target->tls_pin && !target->tls_insecure;
    CURLcode code;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    SET(CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    if (target->ca_file)
        SET(CURLOPT_CAINFO, target->ca_file);
    if (target->tls_pin)
        SET(CURLOPT_PINNEDPUBLICKEY, target->tls_pin);
    return CURLE_OK;
}

static CURLcode set_common(CURL *easy, as_link *link)
{
    const as_target *target = link->target;
    CURLcode code;
    SET(CURLOPT_URL, target->url);
    SET(CURLOPT_ERRORBUFFER, link->curl_text);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, target->tls ? "https" : "http");
    /* "" and not unset: the environment must neither lead through a proxy nor past one. */
    SET(CURLOPT_PROXY, target->proxy);
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)target->timeout_ms);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    return target->tls ? set_tls(easy, target) : CURLE_OK;
}

as_fate as_link_prepare(as_link *link, anonset_detail *detail)
{
    link->curl_text[0] = '\0';
    link->easy = curl_easy_init();
    link->multi = curl_multi_init();
    if (!link->easy || !link->multi) {
        as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for a connection to %s",
                link->target->where);
        as_link_shut(link);
        return AS_FATE_FATAL;
    }
    CURLcode code = set_common(link->easy, link);
    if (code == CURLE_OK)
        return AS_FATE_OK;
    as_fate fate = as_link_failed(link, code, "libcurl refused an option", detail);
    as_link_shut(link);
    return fate;
}

void as_link_shut(as_link *link)
{
    if (link->multi && link->easy)
        (void)curl_multi_remove_handle(link->multi, link->easy);
    curl_easy_cleanup(link->easy);
    if (link->multi)
        (void)curl_multi_cleanup(link->multi);
    link->easy = NULL;
    link->multi = NULL;
    link->awaiting = false;
    link->midst = false;
    as_inbuf_clear(&link->in);
}

/* Errors that come again however often one tries. Not CURLE_BAD_FUNCTION_ARGUMENT, which libcurl
 * also answers when memory runs out in the midst of a request. */
static const char *cure_of_fatal(CURLcode code)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return "if you know the server, pin its public key";
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return "the server has a new key, or somebody is in between: find out which before you "
               "change the pin";
    case CURLE_SSL_CACERT_BADFILE:
        return "install the system's CA certificates (ca-certificates), or pin the server's key";
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return "what answers there does not speak HTTP: is it ElectrumX (tcp://, ssl://)?";
    case CURLE_SSL_CIPHER:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_URL_MALFORMAT:
        return "this libcurl cannot do what the URL and options ask";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "check the proxy's address";
    default:
        return NULL;
    }
}

as_fate as_link_failed(as_link *link, CURLcode code, const char *doing, anonset_detail *detail)
{
    char said[120];
    const char *text = link->curl_text[0] ? link->curl_text : curl_easy_strerror(code);
    const char *cure = cure_of_fatal(code);
    long os_error = 0;
    as_clean_text(said, sizeof said, text, strlen(text));
    if (link->easy)
        (void)curl_easy_getinfo(link->easy, CURLINFO_OS_ERRNO, &os_error);
    if (code == CURLE_OUT_OF_MEMORY) {
        as_fail(detail, ANONSET_NO_MEMORY, 0, "%s: %s: no memory", link->target->where, doing);
        return AS_FATE_FATAL;
    }
    if (cure) {
        as_fail(detail, ANONSET_SERVER, 0, "%s: %s: %s; %s", link->target->where, doing, said,
                cure);
        return AS_FATE_FATAL;
    }
    as_fail(detail, ANONSET_NETWORK, (int)os_error,
            "%s: %s: %s; check the address and the line, then sync again", link->target->where,
            doing, said);
    /* A connect that took too long is no reason for smaller sectors. */
    return AS_FATE_RETRY;
}

as_fate as_link_refuse(as_link *link, anonset_code code, anonset_detail *detail)
{
    if (code == ANONSET_NO_MEMORY) {
        as_fail(detail, code, 0, "%s: no memory for an answer", link->target->where);
        return AS_FATE_FATAL;
    }
    as_fail(
        detail, ANONSET_BAD_ANSWER, 0,
        "%s: an answer is longer than any answer to what was asked can be, and was cut off; use "
        "another server if it stays so",
        link->target->where);
    return AS_FATE_RETRY;
}

as_fate as_link_timed_out(as_link *link, anonset_detail *detail)
{
    as_fail(detail, ANONSET_NETWORK, 0,
            "%s: no byte came for %u ms, or fewer than %u a second; the server is slow or the line "
            "down: sync again, or allow more time",
            link->target->where, link->target->timeout_ms, AS_LINK_SLOWEST);
    return AS_FATE_TIMEOUT;
}

/* ---- A call of the client ------------------------------------------------------------------ */

void as_link_enter(as_link *link, const anonset_sync *sync, uint64_t max_bytes, uint32_t max_ms)
{
    uint64_t now = as_now_ms();
    if (link->left_at > 0)
        link->away += now - link->left_at;
    link->sync = sync;
    link->until = max_ms > 0 ? now + max_ms : 0;
    link->most = max_bytes;
    link->received = 0;
}

void as_link_leave(as_link *link)
{
    link->sync = NULL;
    link->left_at = as_now_ms();
}

bool as_link_is_full(const as_link *link)
{
    return link->most > 0 && link->received >= link->most;
}

bool as_link_is_spent(const as_link *link)
{
    return as_link_is_full(link) || (link->until > 0 && as_now_ms() >= link->until);
}

int as_link_nap(const as_link *link)
{
    uint64_t now = as_now_ms(), left = AS_LINK_NAP_MS;
    if (link->until > 0)
        left = link->until > now ? link->until - now : 0;
    return left < AS_LINK_NAP_MS ? (int)left : AS_LINK_NAP_MS;
}

uint64_t as_link_now(const as_link *link)
{
    return as_now_ms() - link->away;
}

/* ---- Patience ------------------------------------------------------------------------------ */

static void set_deadline(as_link *link)
{
    uint64_t next = as_link_now(link) + link->target->timeout_ms;
    uint64_t last = link->since + link->target->timeout_ms + link->bytes * 1000 / AS_LINK_SLOWEST;
    link->deadline = next < last ? next : last;
}

void as_link_await(as_link *link)
{
    if (link->awaiting)
        return;
    link->awaiting = true;
    if (!link->midst) {
        link->bytes = 0;
        link->since = as_link_now(link);
    }
    set_deadline(link);
}

void as_link_came(as_link *link, size_t n)
{
    link->bytes += n;
    set_deadline(link);
}

void as_link_awaited(as_link *link, as_fate fate)
{
    link->awaiting = fate == AS_FATE_LATER;
}

void as_link_awaited_piece(as_link *link, as_fate fate, bool last)
{
    as_link_awaited(link, fate);
    if (fate == AS_FATE_OK)
        link->midst = !last;
}

as_fate as_link_turn(as_link *link, CURL **done, CURLcode *result, anonset_detail *detail)
{
    int running, left;
    size_t before = link->in.len;
    CURLMcode code = curl_multi_perform(link->multi, &running);
    CURLMsg *message = curl_multi_info_read(link->multi, &left);
    *done = message ? message->easy_handle : NULL; /* the one kind there is: DONE */
    if (*done)
        *result = message->data.result;
    else if (code == CURLM_OK && link->in.len == before) /* else there is work for the caller */
        code = curl_multi_poll(link->multi, NULL, 0, as_link_nap(link), NULL);
    if (code == CURLM_OK)
        return AS_FATE_OK;
    as_fail(detail, code == CURLM_OUT_OF_MEMORY ? ANONSET_NO_MEMORY : ANONSET_INTERNAL, 0,
            "%s: libcurl failed: %s", link->target->where, curl_multi_strerror(code));
    return AS_FATE_FATAL;
}
