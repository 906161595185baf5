/* Every URL and option that makes no sense has a code and a text that says which. */
#define _GNU_SOURCE /* RTLD_NEXT */

#include "remote/client.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIN  "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define PIN2 PIN ";" PIN

/* Comes before libcurl's own, whose first parameter has another type in every few versions: there
 * is no memory for this part of a URL. */
static CURLUPart no_memory_for = (CURLUPart)-1;

ANONSET_API CURLUcode url_get(const void *url, CURLUPart part, char **text,
                              unsigned flags) __asm__("curl_url_get");

CURLUcode url_get(const void *url, CURLUPart part, char **text, unsigned flags)
{
    static CURLUcode (*real)(const void *, CURLUPart, char **, unsigned);
    if (part == no_memory_for)
        return CURLUE_OUT_OF_MEMORY;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "curl_url_get");
    return real(url, part, text, flags);
}

static anonset_client_options options;
static anonset_client *client;
static anonset_detail detail;
static char path[] = "/tmp/anonset-options-XXXXXX";

static void setup(void)
{
    anonset_client_options_init(&options);
    (void)unsetenv("ANONSET_RPC_USER");
    (void)unsetenv("ANONSET_RPC_PASSWORD");
}

static void teardown(void)
{
    anonset_client_free(client);
    client = NULL;
}

TestSuite(client_options, .init = setup, .fini = teardown);

static void expect_good(const char *url)
{
    detail.text[0] = '\0';
    cr_assert_eq(anonset_client_new(&client, url, &options, &detail), ANONSET_OK, "%s: %s", url,
                 detail.text);
}

static void expect_where(const char *url, const char *where, const char *for_curl)
{
    expect_good(url);
    cr_assert_str_eq(client->target.where, where);
    cr_assert_str_eq(client->target.url, for_curl);
    teardown();
}

static void expect_bad(const char *url, anonset_code code, const char *words)
{
    client = NULL;
    cr_assert_eq(anonset_client_new(&client, url, &options, &detail), code, "%s: %s", url,
                 detail.text);
    cr_assert_null(client);
    cr_assert_eq(detail.code, code);
    cr_assert(strstr(detail.text, words), "%s: %s", url, detail.text);
    cr_assert(!strstr(detail.text, "secret"), "%s", detail.text);
}

Test(client_options, defaults)
{
    cr_assert_eq(options.size, sizeof options);
    cr_assert_eq(options.timeout_ms, 30000);
    cr_assert_eq(options.retries, 5);
    cr_assert_null(options.proxy);
    cr_assert_eq(anonset_client_new(&client, "tcp://h:1", NULL, NULL), ANONSET_OK);
}

/* A password that there was no memory for must not pass for none. */
Test(client_options, no_memory_for_a_part_of_a_url)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME,   CURLUPART_HOST, CURLUPART_PORT,
                                      CURLUPART_PATH,     CURLUPART_USER, CURLUPART_PASSWORD,
                                      CURLUPART_FRAGMENT, CURLUPART_QUERY};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        no_memory_for = parts[i];
        expect_bad("http://me:secret@host:1/path", ANONSET_NO_MEMORY, "no memory");
    }
    options.proxy = "socks5h://me:secret@host:1";
    no_memory_for = CURLUPART_USER;
    expect_bad("tcp://host:1", ANONSET_NO_MEMORY, "no memory");
}

Test(client_options, urls)
{
    expect_where("tcp://electrum.example:50001", "tcp://electrum.example:50001",
                 "http://electrum.example:50001/");
    expect_where("ssl://electrum.example:50002/", "ssl://electrum.example:50002",
                 "https://electrum.example:50002/");
    expect_where("ssl://[2001:db8::1]:50002", "ssl://[2001:db8::1]:50002",
                 "https://[2001:db8::1]:50002/");
    expect_where("SSL://h:1", "ssl://h:1", "https://h:1/");
    expect_where("http://127.0.0.1:8888", "http://127.0.0.1:8888", "http://127.0.0.1:8888/");
    expect_where("http://u:secret@h:8888/wallet/w", "http://h:8888", "http://h:8888/wallet/w");
    expect_where("https://h:8888/", "https://h:8888", "https://h:8888/");
}

Test(client_options, bad_urls)
{
    static const struct {
        const char *url, *words;
    } bad[] = {
        {"", "cannot be read"},
        {"h", "cannot be read"},
        {"h:50001", "cannot be read"},
        {"tcp://", "cannot be read"},
        {"tcp://:50001", "cannot be read"},
        {"tcp://h", "no port"},
        {"tcp://h:", "no port"},
        {"ssl://[::1]", "no port"},
        {"http://h/", "no port"},
        {"tcp://h:0", "no port"},
        {"tcp://h:65536", "cannot be read"},
        {"tcp://h:port", "cannot be read"},
        {"tcp://::1:50001", "cannot be read"},
        {"tcp://a b:1", "cannot be read"},
        {"ftp://h:21", "unknown scheme \"ftp\""},
        {"wss://h:50004", "unknown scheme \"wss\""},
        {"file:///etc/passwd", "cannot be read"},
        {"tcp://h:1/path", "no path"},
        {"tcp://u:secret@h:1", "no user and password"},
        {"ssl://u@h:1", "no user and password"},
        {"ssl://:secret@h:1", "no user and password"},
        {"http://h:1/?q", "port or a path"},
        {"tcp://h:1#f", "port or a path"},
        {"http://u:secret@:1", "cannot be read"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_bad(bad[i].url, ANONSET_INVALID, bad[i].words);
}

Test(client_options, null_arguments)
{
    cr_assert_eq(anonset_client_new(NULL, "tcp://h:1", &options, &detail), ANONSET_INVALID);
    cr_assert_eq(anonset_client_new(&client, NULL, &options, &detail), ANONSET_INVALID);
    cr_assert_eq(anonset_client_run(NULL, NULL, &detail), ANONSET_INVALID);
    cr_assert_eq(anonset_client_new(&client, "tcp://h:1", &options, &detail), ANONSET_OK);
    cr_assert_eq(anonset_client_run(client, NULL, &detail), ANONSET_INVALID);
    anonset_client_options_init(NULL);
    anonset_client_free(NULL);
}

Test(client_options, options_without_init)
{
    options.size = 0;
    expect_bad("tcp://h:1", ANONSET_INVALID, "anonset_client_options_init");
}

Test(client_options, timeouts)
{
    options.timeout_ms = 0;
    expect_bad("tcp://h:1", ANONSET_INVALID, "timeout");
    options.timeout_ms = UINT32_MAX;
    expect_bad("tcp://h:1", ANONSET_INVALID, "timeout");
}

Test(client_options, tls)
{
    options.tls_pin = PIN;
    expect_good("ssl://h:1");
    teardown();
    options.tls_pin = PIN2;
    expect_good("https://h:1");
    teardown();
    expect_bad("tcp://h:1", ANONSET_INVALID, "not encrypted");
    options.tls_insecure = true;
    expect_bad("ssl://h:1", ANONSET_INVALID, "exclude");
    options.tls_pin = NULL;
    expect_good("ssl://h:1");
    teardown();
    expect_bad("http://h:1", ANONSET_INVALID, "not encrypted");
}

Test(client_options, bad_pins)
{
    static const char *const bad[] = {
        "",
        "sha256//",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "sha1//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", /* not canonical */
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        PIN ";",
        PIN " ",
        PIN "," PIN,
        "/etc/key.pem",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.tls_pin = bad[i];
        expect_bad("ssl://h:1", ANONSET_INVALID, "TLS pin");
    }
}

Test(client_options, proxies)
{
    static const char *const good[] = {"socks5h://127.0.0.1:9050", "socks5h://u:p@[::1]:9050",
                                       "socks5://h:1080", "socks4a://h:1080"};
    static const char *const bad[] = {"",
                                      "127.0.0.1:9050",
                                      "http://h:3128",
                                      "socks5h://",
                                      "socks5h://h",
                                      "socks5h://u:secret@h:99999",
                                      "socks5h://h:1/?q",
                                      "socks5h://h:1#f"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        options.proxy = good[i];
        expect_good("tcp://h:1");
        teardown();
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.proxy = bad[i];
        expect_bad("tcp://h:1", ANONSET_INVALID, "proxy");
    }
}

static void expect_login(const char *user, const char *password)
{
    cr_assert_str_eq(client->target.user, user);
    cr_assert_str_eq(client->target.password, password);
    teardown();
}

Test(client_options, login_of_the_url)
{
    expect_good("http://us%40er:pa%3Ass@h:1");
    expect_login("us@er", "pa:ss");
    cr_assert_eq(setenv("ANONSET_RPC_USER", "other", 1), 0);
    cr_assert_eq(setenv("ANONSET_RPC_PASSWORD", "other", 1), 0);
    expect_good("http://user@h:1");
    expect_login("user", "");
    expect_good("http://:secret@h:1");
    expect_login("", "secret");
}

Test(client_options, login_of_the_environment)
{
    cr_assert_eq(setenv("ANONSET_RPC_USER", "u", 1), 0);
    expect_bad("http://h:1", ANONSET_INVALID, "ANONSET_RPC_PASSWORD");
    cr_assert_eq(setenv("ANONSET_RPC_PASSWORD", "p", 1), 0);
    cr_assert_eq(unsetenv("ANONSET_RPC_USER"), 0);
    expect_bad("http://h:1", ANONSET_INVALID, "ANONSET_RPC_USER");
    cr_assert_eq(setenv("ANONSET_RPC_USER", "u", 1), 0);
    expect_good("http://h:1");
    expect_login("u", "p");
    expect_good("tcp://h:1"); /* ElectrumX is told nothing of it */
    cr_assert_null(client->target.user);
}

static void write_cookie(const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
    options.cookie_file = path;
}

Test(client_options, cookie_files)
{
    cr_assert_geq(mkstemp(path), 0);
    write_cookie("__cookie__:abc:def\n");
    expect_good("http://h:1");
    expect_login("__cookie__", "abc:def");
    write_cookie("__cookie__:abc");
    expect_good("http://h:1");
    expect_login("__cookie__", "abc");
    expect_bad("tcp://h:1", ANONSET_INVALID, "cookie file");
    expect_bad("http://u:secret@h:1", ANONSET_INVALID, "exclude");
    write_cookie("");
    expect_bad("http://h:1", ANONSET_INVALID, "user:password");
    write_cookie("secret\n");
    expect_bad("http://h:1", ANONSET_INVALID, "user:password");
    if (geteuid() != 0) { /* root reads everything */
        cr_assert_eq(chmod(path, 0), 0);
        expect_bad("http://h:1", ANONSET_PERMISSION, path);
    }
    cr_assert_eq(unlink(path), 0);
    expect_bad("http://h:1", ANONSET_NOT_FOUND, path);
    options.cookie_file = "/";
    expect_bad("http://h:1", ANONSET_IO, "cookie file");
}
