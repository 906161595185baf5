/* The suite on every backend in the table: a new one is tested by being there, and cannot opt out.
 */
#include "core/store.h"

#include <anonset-conformance.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#define PAIRS_MAX 1000u

/* A number for each backend and case. */
ParameterizedTestParameters(conformance, every_case_on_every_backend)
{
    static size_t pairs[PAIRS_MAX];
    size_t n = 0;
    for (size_t i = 0; as_backends[i]; i++) {
        for (size_t k = 0; k < anonset_conformance_count() && n < PAIRS_MAX; k++, n++)
            pairs[n] = n;
    }
    return cr_make_param_array(size_t, pairs, n);
}

ParameterizedTest(const size_t *pair, conformance, every_case_on_every_backend, .timeout = 400)
{
    size_t count = anonset_conformance_count(), number = *pair % count;
    anonset_conformance suite = {
        .size = sizeof suite, .backend = as_backends[*pair / count], .others = as_backends};
    cr_assert(anonset_conformance_case(&suite, number), "%s: %s", suite.backend->name,
              anonset_conformance_name(number));
}

/* A suite that passes whatever it is given proves nothing. */
static anonset_code forget(void *handle, uint32_t group, anonset_detail *detail)
{
    (void)handle;
    (void)group;
    (void)detail;
    return ANONSET_OK;
}

static bool no_path(void *context, char *path, size_t cap, const char *folder, const char *name)
{
    (void)context;
    (void)path;
    (void)cap;
    (void)folder;
    (void)name;
    return false;
}

Test(conformance, a_backend_that_does_nothing_on_a_clear_fails_some_and_not_all)
{
    anonset_backend lazy = *as_backends[0];
    anonset_conformance suite = {.size = sizeof suite, .backend = &lazy};
    lazy.clear = forget;
    size_t failed = anonset_conformance_run(&suite);
    cr_expect_gt(failed, 0);
    cr_expect_lt(failed, anonset_conformance_count() / 2);
}

Test(conformance, nothing_passes_without_a_backend_or_a_path)
{
    anonset_conformance suite = {.size = sizeof suite};
    cr_expect_not(anonset_conformance_case(&suite, 0));
    cr_expect_not(anonset_conformance_case(NULL, 0));
    suite.backend = as_backends[0];
    cr_expect_not(anonset_conformance_case(&suite, anonset_conformance_count()));
    suite.make_path = no_path;
    cr_expect_not(anonset_conformance_case(&suite, 0));
}
