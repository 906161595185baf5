/* TLS, on its own and through a proxy: who is let in, who is not, and what is said then. */
#include "remote/client.h"
#include "tests/scenario/fake_sync.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define OTHER_PIN "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SECTORS   3u

static ts_dir dir;
static ts_server server;
static anonset_sync sync_;
static anonset_client_options options;

static void setup(void)
{
    ts_dir_make(&dir);
    ts_server_start(&server, "--coins", "300", "--tls-make", dir.path, NULL);
    anonset_client_options_init(&options);
    options.retries = 3;
    options.timeout_ms = 10000;
    sync_.sectors = SECTORS;
    sync_.coins = 100;
}

static void teardown(void)
{
    ts_server_stop(&server);
    ts_dir_remove(&dir);
}

TestSuite(tls, .init = setup, .fini = teardown, .timeout = 60);

static void run(const char *url)
{
    anonset_client *client;
    anonset_detail detail;
    cr_assert_eq(anonset_client_new(&client, url, &options, &detail), ANONSET_OK, "%s",
                 detail.text);
    client->backoff_base_ms = 1;
    cr_assert_eq(anonset_client_run(client, &sync_, &detail), ANONSET_OK);
    anonset_client_free(client);
}

static void expect_whole(const char *url)
{
    run(url);
    cr_assert(!sync_.aborted, "%s", sync_.why.text);
    cr_assert_eq(sync_.commits, SECTORS);
}

/* Refused, said so, and not tried again. */
static void expect_refusal(const char *url, const char *words)
{
    run(url);
    cr_assert(sync_.aborted);
    cr_assert_eq(sync_.why.code, ANONSET_SERVER, "%s", sync_.why.text);
    cr_assert(strstr(sync_.why.text, words), "%s", sync_.why.text);
    cr_assert(strstr(sync_.why.text, url), "%s", sync_.why.text);
    cr_assert_eq(sync_.reconnects, 0);
    cr_assert_eq(ts_count(&server, "meta"), 0); /* nothing was asked of it */
}

Test(tls, a_pinned_key_needs_no_ca)
{
    options.tls_pin = server.tls_pin;
    expect_whole(server.ssl);
}

Test(tls, a_pinned_key_needs_no_ca_for_firod)
{
    options.tls_pin = server.tls_pin;
    expect_whole(server.https);
}

Test(tls, one_of_two_pins_is_enough)
{
    char pins[200];
    (void)snprintf(pins, sizeof pins, "%s;%s", OTHER_PIN, server.tls_pin);
    options.tls_pin = pins;
    expect_whole(server.ssl);
}

Test(tls, another_key_is_refused)
{
    options.tls_pin = OTHER_PIN;
    expect_refusal(server.ssl, "new key, or somebody is in between");
}

Test(tls, another_key_is_refused_for_firod)
{
    options.tls_pin = OTHER_PIN;
    expect_refusal(server.https, "new key, or somebody is in between");
}

Test(tls, a_self_signed_certificate_is_refused)
{
    expect_refusal(server.ssl, "pin its public key");
}

Test(tls, a_self_signed_certificate_is_refused_for_firod)
{
    expect_refusal(server.https, "pin its public key");
}

Test(tls, insecure_takes_any)
{
    options.tls_insecure = true;
    expect_whole(server.ssl);
}

Test(tls, insecure_takes_any_for_firod)
{
    options.tls_insecure = true;
    expect_whole(server.https);
}

/* Verified as a certificate of the system's CAs would be: this one vouches for itself. */
static void run_with_ca(const char *url)
{
    anonset_client *client;
    anonset_detail detail;
    cr_assert_eq(anonset_client_new(&client, url, &options, &detail), ANONSET_OK);
    client->target.ca_file = strdup(ts_in(&dir, "cert.pem"));
    cr_assert_eq(anonset_client_run(client, &sync_, &detail), ANONSET_OK);
    anonset_client_free(client);
}

Test(tls, a_certificate_of_a_trusted_ca)
{
    run_with_ca(server.ssl);
    cr_assert(!sync_.aborted, "%s", sync_.why.text);
    cr_assert_eq(sync_.commits, SECTORS);
}

Test(tls, a_certificate_for_another_name_is_refused)
{
    char url[64];
    options.proxy = server.socks; /* leads to the server, whatever the name */
    (void)snprintf(url, sizeof url, "ssl://other.example%s", strrchr(server.ssl, ':'));
    run_with_ca(url);
    cr_assert(sync_.aborted);
    cr_assert_eq(sync_.why.code, ANONSET_SERVER, "%s", sync_.why.text);
    cr_assert_eq(sync_.reconnects, 0);
    cr_assert_eq(ts_count(&server, "meta"), 0);
}

Test(tls, through_a_proxy_that_resolves_the_name)
{
    char url[64];
    options.tls_pin = server.tls_pin;
    options.proxy = server.socks;
    (void)snprintf(url, sizeof url, "ssl://localhost%s", strrchr(server.ssl, ':'));
    expect_whole(url);
    cr_assert_eq(ts_count(&server, "socks-names"), 1);
}

Test(tls, plain_spoken_to_a_tls_port_fails)
{
    char url[64];
    options.retries = 0;
    (void)snprintf(url, sizeof url, "tcp://127.0.0.1%s", strrchr(server.ssl, ':'));
    run(url);
    cr_assert(sync_.aborted);
    cr_assert_eq(sync_.why.code, ANONSET_NETWORK, "%s", sync_.why.text);
}

Test(tls, tls_spoken_to_a_plain_port_fails)
{
    char url[64];
    options.retries = 0;
    options.tls_insecure = true;
    (void)snprintf(url, sizeof url, "ssl://127.0.0.1%s", strrchr(server.tcp, ':'));
    run(url);
    cr_assert(sync_.aborted);
    cr_assert_eq(sync_.why.code, ANONSET_NETWORK, "%s", sync_.why.text);
}
