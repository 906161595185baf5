/* Calls of libcurl and poll, each failing when calls.h says so, as if nothing had been done. */
#include "config.h"

#include "tests/shims/calls.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo

/* A function `name` of `parameters` that returns `failure` in place of a call that fails. */
#define WRAP(type, name, parameters, arguments, failure)                                           \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return calls_fail(#name) ? (failure) : __real_##name arguments;                            \
    }

/* Every other one is none: just now there is no room to send. */
static CURLcode send_failure(void)
{
    static unsigned n;
    return n++ % 2 ? CURLE_SEND_ERROR : CURLE_AGAIN;
}

WRAP(CURL *, curl_easy_init, (void), (), NULL)
WRAP(CURLM *, curl_multi_init, (void), (), NULL)
WRAP(CURLU *, curl_url, (void), (), NULL)
WRAP(struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *text),
     (list, text), NULL)
WRAP(CURLcode, curl_easy_send, (CURL * easy, const void *bytes, size_t len, size_t *did),
     (easy, bytes, len, did), send_failure())
WRAP(CURL *, curl_easy_duphandle, (CURL * easy), (easy), NULL)
WRAP(CURLcode, curl_easy_recv, (CURL * easy, void *bytes, size_t len, size_t *did),
     (easy, bytes, len, did), CURLE_RECV_ERROR)
WRAP(CURLcode, curl_easy_pause, (CURL * easy, int what), (easy, what), CURLE_RECV_ERROR)
WRAP(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL *easy), (multi, easy),
     CURLM_OUT_OF_MEMORY)
WRAP(CURLMcode, curl_multi_perform, (CURLM * multi, int *running), (multi, running),
     CURLM_INTERNAL_ERROR)
WRAP(CURLMcode, curl_multi_poll,
     (CURLM * multi, struct curl_waitfd *more, unsigned n, int ms, int *ready),
     (multi, more, n, ms, ready), CURLM_OUT_OF_MEMORY)
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms), (errno = ENOMEM, -1))

CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);
/* The option's number tells the type of its value. */
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    CURLcode code;
    va_list value;
    if (calls_fail("curl_easy_setopt"))
        return CURLE_OUT_OF_MEMORY;
    va_start(value, option);
    if (option < CURLOPTTYPE_OBJECTPOINT)
        code = __real_curl_easy_setopt(easy, option, va_arg(value, long));
    else
        code = __real_curl_easy_setopt(easy, option, va_arg(value, void *));
    va_end(value);
    return code;
}

CURLcode __real_curl_easy_getinfo(CURL *easy, CURLINFO info, ...);
CURLcode __wrap_curl_easy_getinfo(CURL *easy, CURLINFO info, ...);
CURLcode __wrap_curl_easy_getinfo(CURL *easy, CURLINFO info, ...)
{
    va_list value;
    va_start(value, info);
    CURLcode code = calls_fail("curl_easy_getinfo")
                        ? CURLE_UNKNOWN_OPTION
                        : __real_curl_easy_getinfo(easy, info, va_arg(value, void *));
    va_end(value);
    return code;
}
