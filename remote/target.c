/* Where to connect and how: reads the URL and the options. Credentials never reach a message. */
#include "core/alloc.h"
#include "core/base64.h"
#include "core/detail.h"
#include "remote/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIN_PREFIX "sha256//"
#define PIN_CHARS  AS_BASE64_CHARS(32)
#define COOKIE_MAX 512

static anonset_code no_memory(anonset_detail *detail)
{
    return as_fail(detail, ANONSET_NO_MEMORY, 0, "no memory for a client");
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    as_free(secret);
}

void as_target_free(as_target *target)
{
    as_free(target->where);
    as_free(target->url);
    wipe(target->user);
    wipe(target->password);
    as_free(target->cookie_file);
    wipe(target->proxy); /* may hold a password */
    as_free(target->tls_pin);
    as_free(target->ca_file);
    *target = (as_target){0};
}

/* ---- Credentials -------------------------------------------------------------------------- */

static anonset_code set_login(as_target *target, const char *user, const char *password,
                              anonset_detail *detail)
{
    char *new_user = as_strdup(user);
    char *new_password = as_strdup(password);
    if (!new_user || !new_password) {
        wipe(new_user);
        wipe(new_password);
        return no_memory(detail);
    }
    wipe(target->user);
    wipe(target->password);
    target->user = new_user;
    target->password = new_password;
    return ANONSET_OK;
}

static anonset_code cookie_failed(const char *path, int error, anonset_detail *detail)
{
    return as_fail(detail, as_errno_code(error), error,
                   "cannot read the cookie file %.120s: %s; firod writes it while it runs", path,
                   strerror(error));
}

anonset_code as_target_read_cookie(as_target *target, anonset_detail *detail)
{
    char line[COOKIE_MAX];
    errno = 0;
    FILE *file = fopen(target->cookie_file, "re");
    if (!file)
        return cookie_failed(target->cookie_file, errno, detail);
    bool read = fgets(line, sizeof line, file) != NULL;
    int error = ferror(file) ? errno : 0;
    (void)fclose(file); /* nothing was written */
    if (!read && error)
        return cookie_failed(target->cookie_file, error, detail);
    if (!read)
        line[0] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    char *colon = strchr(line, ':');
    anonset_code code;
    if (colon) {
        *colon = '\0';
        code = set_login(target, line, colon + 1, detail);
    } else {
        code =
            as_fail(detail, ANONSET_INVALID, 0,
                    "the cookie file %.120s does not hold \"user:password\"", target->cookie_file);
    }
    explicit_bzero(line, sizeof line);
    return code;
}

static anonset_code read_environment(as_target *target, anonset_detail *detail)
{
    const char *user = getenv("ANONSET_RPC_USER");
    const char *password = getenv("ANONSET_RPC_PASSWORD");
    if (!user && !password)
        return ANONSET_OK;
    if (!user || !password)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "set both ANONSET_RPC_USER and ANONSET_RPC_PASSWORD, or neither");
    return set_login(target, user, password, detail);
}

/* ---- URL ---------------------------------------------------------------------------------- */

typedef struct url_parts {
    char *scheme, *host, *port, *path, *user, *password, *query, *fragment;
} url_parts;

static void parts_free(url_parts *parts)
{
    curl_free(parts->scheme);
    curl_free(parts->host);
    curl_free(parts->port);
    curl_free(parts->path);
    curl_free(parts->user);
    if (parts->password)
        explicit_bzero(parts->password, strlen(parts->password));
    curl_free(parts->password);
    curl_free(parts->query);
    curl_free(parts->fragment);
}

/* Absent parts stay NULL, which scheme and path never are; one that there was no memory for must
 * not pass for absent. INVALID, without a detail: not a URL. NO_MEMORY. */
static anonset_code split(url_parts *parts, const char *url, anonset_detail *detail)
{
    const struct {
        char **to;
        CURLUPart part;
        unsigned flags;
    } wanted[] = {
        {&parts->scheme, CURLUPART_SCHEME, 0},
        {&parts->host, CURLUPART_HOST, 0},
        {&parts->port, CURLUPART_PORT, 0},
        {&parts->path, CURLUPART_PATH, 0},
        {&parts->user, CURLUPART_USER, CURLU_URLDECODE},
        {&parts->password, CURLUPART_PASSWORD, CURLU_URLDECODE},
        {&parts->query, CURLUPART_QUERY, 0},
        {&parts->fragment, CURLUPART_FRAGMENT, 0},
    };
    CURLU *parser = curl_url();
    CURLUcode code = parser ? curl_url_set(parser, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME)
                            : CURLUE_OUT_OF_MEMORY;
    bool read = code == CURLUE_OK;
    for (size_t i = 0; read && code != CURLUE_OUT_OF_MEMORY && i < sizeof wanted / sizeof *wanted;
         i++)
        code = curl_url_get(parser, wanted[i].part, wanted[i].to, wanted[i].flags);
    curl_url_cleanup(parser);
    if (code == CURLUE_OUT_OF_MEMORY)
        return no_memory(detail);
    return read && parts->host ? ANONSET_OK : ANONSET_INVALID;
}

static anonset_code set_scheme(as_target *target, const char *scheme, anonset_detail *detail)
{
    static const struct {
        const char *name;
        anonset_dialect dialect;
        bool tls;
    } schemes[] = {
        {"tcp", ANONSET_ELECTRUMX, false},
        {"ssl", ANONSET_ELECTRUMX, true},
        {"http", ANONSET_FIROD, false},
        {"https", ANONSET_FIROD, true},
    };
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strcmp(scheme, schemes[i].name) == 0) {
            target->dialect = schemes[i].dialect;
            target->tls = schemes[i].tls;
            return ANONSET_OK;
        }
    }
    return as_fail(detail, ANONSET_INVALID, 0,
                   "unknown scheme \"%.20s\" in the server's URL: use tcp:// or ssl:// for "
                   "ElectrumX, http:// or https:// for firod",
                   scheme);
}

static anonset_code check_parts(const as_target *target, const url_parts *parts,
                                anonset_detail *detail)
{
    bool electrumx = target->dialect == ANONSET_ELECTRUMX;
    if (!parts->port || strcmp(parts->port, "0") == 0)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "the server's URL has no port: write %s://%.100s:PORT", parts->scheme,
                       parts->host);
    if (parts->query || parts->fragment)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "the server's URL must end with the port or a path");
    if (electrumx && strcmp(parts->path, "/") != 0)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "an ElectrumX URL has no path: write %s://HOST:PORT", parts->scheme);
    if (electrumx && (parts->user || parts->password))
        return as_fail(detail, ANONSET_INVALID, 0, "ElectrumX takes no user and password");
    return ANONSET_OK;
}

static char *join(const char *scheme, const url_parts *parts, const char *path)
{
    size_t len = strlen(scheme) + strlen(parts->host) + strlen(parts->port) + strlen(path) + 5;
    char *text = as_alloc(len);
    if (text)
        (void)snprintf(text, len, "%s://%s:%s%s", scheme, parts->host, parts->port, path);
    return text;
}

static anonset_code take_parts(as_target *target, const url_parts *parts, anonset_detail *detail)
{
    bool firod = target->dialect == ANONSET_FIROD;
    target->where = join(parts->scheme, parts, "");
    target->url = join(target->tls ? "https" : "http", parts, firod ? parts->path : "/");
    if (!target->where || !target->url)
        return no_memory(detail);
    if (!parts->user && !parts->password)
        return ANONSET_OK;
    return set_login(target, parts->user ? parts->user : "", parts->password ? parts->password : "",
                     detail);
}

static anonset_code read_url(as_target *target, const char *url, anonset_detail *detail)
{
    url_parts parts = {0};
    anonset_code code = split(&parts, url, detail);
    if (code == ANONSET_INVALID)
        (void)as_fail(detail, code, 0,
                      "the server's URL cannot be read: write tcp://HOST:PORT, ssl://HOST:PORT, "
                      "http://HOST:PORT or https://HOST:PORT");
    if (code == ANONSET_OK)
        code = set_scheme(target, parts.scheme, detail);
    if (code == ANONSET_OK)
        code = check_parts(target, &parts, detail);
    if (code == ANONSET_OK)
        code = take_parts(target, &parts, detail);
    parts_free(&parts);
    return code;
}

/* ---- Options ------------------------------------------------------------------------------ */

/* One pin, or several with ';' between. */
static bool is_pin(const char *pin)
{
    size_t prefix = strlen(PIN_PREFIX), len;
    uint8_t hash[PIN_CHARS];
    for (;;) {
        if (strncmp(pin, PIN_PREFIX, prefix) != 0 || strlen(pin) < prefix + PIN_CHARS ||
            !as_base64_decode(hash, &len, pin + prefix, PIN_CHARS) || len != 32)
            return false;
        pin += prefix + PIN_CHARS;
        if (*pin == '\0')
            return true;
        if (*pin++ != ';')
            return false;
    }
}

static anonset_code check_proxy(const char *proxy, anonset_detail *detail)
{
    static const char *const schemes[] = {"socks5h://", "socks5://", "socks4a://"};
    url_parts parts = {0};
    bool known = false;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        known = known || strncmp(proxy, schemes[i], strlen(schemes[i])) == 0;
    anonset_code code = known ? split(&parts, proxy, detail) : ANONSET_INVALID;
    if (code == ANONSET_OK && (!parts.port || parts.query || parts.fragment))
        code = ANONSET_INVALID;
    parts_free(&parts);
    if (code == ANONSET_INVALID)
        (void)as_fail(detail, code, 0,
                      "the proxy cannot be read: write socks5h://HOST:PORT or "
                      "socks5h://USER:PASSWORD@HOST:PORT");
    return code;
}

static anonset_code check_tls(const as_target *target, const anonset_client_options *options,
                              anonset_detail *detail)
{
    if ((options->tls_pin || options->tls_insecure) && !target->tls)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "a TLS option, but %s is not encrypted: use ssl:// or https://",
                       target->where);
    if (options->tls_pin && options->tls_insecure)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "a TLS pin and accepting any certificate exclude each other");
    if (options->tls_pin && !is_pin(options->tls_pin))
        return as_fail(detail, ANONSET_INVALID, 0,
                       "the TLS pin is not sha256// and the base64 of 32 bytes");
    return ANONSET_OK;
}

static anonset_code check_options(const as_target *target, const anonset_client_options *options,
                                  anonset_detail *detail)
{
    if (options->cookie_file && target->dialect == ANONSET_ELECTRUMX)
        return as_fail(detail, ANONSET_INVALID, 0, "ElectrumX takes no cookie file");
    if (options->cookie_file && target->user)
        return as_fail(detail, ANONSET_INVALID, 0,
                       "a cookie file and a user in the URL exclude each other");
    anonset_code code = options->proxy ? check_proxy(options->proxy, detail) : ANONSET_OK;
    if (code != ANONSET_OK)
        return code;
    if (options->timeout_ms == 0 || options->timeout_ms > INT32_MAX)
        return as_fail(detail, ANONSET_INVALID, 0, "the timeout is not in 1 to 2,147,483,647 ms");
    return check_tls(target, options, detail);
}

static bool copy(char **to, const char *from)
{
    *to = from ? as_strdup(from) : NULL;
    return !from || *to;
}

static anonset_code take_options(as_target *target, const anonset_client_options *options,
                                 anonset_detail *detail)
{
    target->tls_insecure = options->tls_insecure;
    target->timeout_ms = options->timeout_ms;
    if (!copy(&target->proxy, options->proxy ? options->proxy : "") ||
        !copy(&target->tls_pin, options->tls_pin) ||
        !copy(&target->cookie_file, options->cookie_file))
        return no_memory(detail);
    if (target->cookie_file)
        return as_target_read_cookie(target, detail);
    if (target->dialect == ANONSET_FIROD && !target->user)
        return read_environment(target, detail);
    return ANONSET_OK;
}

anonset_code as_target_make(as_target *target, const char *url,
                            const anonset_client_options *options, anonset_detail *detail)
{
    as_target made = {0};
    anonset_code code = read_url(&made, url, detail);
    if (code == ANONSET_OK)
        code = check_options(&made, options, detail);
    if (code == ANONSET_OK)
        code = take_options(&made, options, detail);
    if (code == ANONSET_OK)
        *target = made;
    else
        as_target_free(&made);
    return code;
}
