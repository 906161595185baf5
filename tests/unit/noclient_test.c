/* The client of a build without libcurl: it says so, and hands nothing out. */
#include <anonset/anonset.h>
#include <criterion/criterion.h>
#include <string.h>

Test(noclient, is_unsupported_and_says_what_to_do)
{
    anonset_client *client = (anonset_client *)&client; /* outputs are set only on OK */
    anonset_client *before = client;
    anonset_client_options options;
    anonset_detail detail = {0};

    anonset_client_options_init(&options);
    cr_expect_eq(options.size, sizeof options);
    cr_expect_eq(options.timeout_ms, 30000);
    cr_expect_eq(options.retries, 5);
    cr_expect_eq(anonset_client_new(&client, "tcp://127.0.0.1:1", &options, &detail),
                 ANONSET_UNSUPPORTED);
    cr_expect_eq(client, before);
    cr_expect_eq(detail.code, ANONSET_UNSUPPORTED);
    cr_expect(strstr(detail.text, "without libcurl"), "%s", detail.text);
    cr_expect_eq(anonset_client_new(&client, "tcp://127.0.0.1:1", NULL, NULL), ANONSET_UNSUPPORTED);
}

Test(noclient, misuse_is_invalid)
{
    anonset_client *client;

    anonset_client_options_init(NULL);
    anonset_client_free(NULL);
    cr_expect_eq(anonset_client_new(NULL, "tcp://127.0.0.1:1", NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_client_new(&client, NULL, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_client_run(NULL, NULL, NULL), ANONSET_INVALID);
    cr_expect_eq(anonset_client_step(NULL, NULL, NULL, 1, 1, NULL), ANONSET_INVALID);
}
