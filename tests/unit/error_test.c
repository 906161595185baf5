/* Codes, outcomes and texts. */
#include "core/detail.h"

#include <criterion/criterion.h>
#include <string.h>

/* No code's text is another's, nor that of a number that is no code. */
Test(error, every_code_has_a_text_of_its_own)
{
    const char *unknown = anonset_strerror((anonset_code)(ANONSET_INTERNAL + 1000));
    unsigned named = 0;
    cr_assert_not_null(unknown);
    for (int a = 0; a < 64; a++) {
        const char *text = anonset_strerror((anonset_code)a);
        if (strcmp(text, unknown) == 0)
            continue;
        named++;
        cr_expect_gt(strlen(text), 3);
        for (int b = 0; b < a; b++)
            cr_expect_str_neq(text, anonset_strerror((anonset_code)b), "%d and %d", a, b);
    }
    cr_expect_eq(named, 20);
}

Test(error, every_outcome_has_a_name_of_its_own)
{
    for (int a = 0; a < ANONSET_OUTCOME_COUNT; a++) {
        const char *name = anonset_outcome_name((anonset_outcome)a);
        cr_expect_str_neq(name, "unknown", "%d", a);
        for (int b = 0; b < a; b++)
            cr_expect_str_neq(name, anonset_outcome_name((anonset_outcome)b));
    }
    cr_expect_str_eq(anonset_outcome_name(ANONSET_OUTCOME_COUNT), "unknown");
    cr_expect_str_eq(anonset_outcome_name((anonset_outcome)-1), "unknown");
}

Test(error, a_detail_is_filled_or_left_out)
{
    anonset_detail detail;
    char longer[2 * sizeof detail.text];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    cr_expect_eq(as_fail(NULL, ANONSET_IO, 5, "nobody asked"), ANONSET_IO);
    cr_expect_eq(as_fail(&detail, ANONSET_IO, 5, "%s", longer), ANONSET_IO);
    cr_expect_eq(detail.code, ANONSET_IO);
    cr_expect_eq(detail.os_error, 5);
    cr_expect_eq(strlen(detail.text), sizeof detail.text - 1);
}

Test(error, text_from_elsewhere_is_made_harmless)
{
    static const char bytes[] = "a\x1b[2J\x7f\xc3\n~";
    char out[16], small[4];
    as_clean_text(out, sizeof out, bytes, sizeof bytes - 1);
    cr_expect_str_eq(out, "a?[2J???~");
    as_clean_text(small, sizeof small, bytes, sizeof bytes - 1);
    cr_expect_str_eq(small, "a?[");
}

Test(error, the_version)
{
    cr_expect_str_not_empty(anonset_version());
}
