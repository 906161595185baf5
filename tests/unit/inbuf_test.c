#include "remote/inbuf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define CEILING ((size_t)1 << 24)

static as_inbuf in;

static void teardown(void)
{
    as_inbuf_free(&in);
}

TestSuite(inbuf, .fini = teardown);

static void put(const char *text)
{
    cr_assert_eq(as_inbuf_append(&in, text, strlen(text), CEILING), ANONSET_OK);
}

static void expect_line(const char *text)
{
    char *line;
    size_t len;
    cr_assert(as_inbuf_take_line(&in, &line, &len));
    cr_assert_eq(len, strlen(text));
    cr_assert_str_eq(line, text);
    as_inbuf_drop(&in);
}

static void expect_no_line(void)
{
    char *line;
    size_t len;
    cr_assert(!as_inbuf_take_line(&in, &line, &len));
}

Test(inbuf, lines_in_pieces)
{
    expect_no_line();
    put("on");
    expect_no_line();
    put("e\ntw");
    expect_line("one");
    expect_no_line();
    put("o\n\nthree\n");
    expect_line("two");
    expect_line("");
    expect_line("three");
    expect_no_line();
}

Test(inbuf, a_line_stays_while_more_comes)
{
    char *line;
    size_t len;
    put("one\ntwo");
    cr_assert(as_inbuf_take_line(&in, &line, &len));
    line[0] = 'O'; /* decoded in place */
    put("\n");
    as_inbuf_drop(&in);
    expect_line("two");
}

Test(inbuf, grows_as_bytes_come)
{
    char *room;
    size_t len, total = 0;
    while (total < 3000000) {
        cr_assert_eq(as_inbuf_room(&in, &room, &len, CEILING), ANONSET_OK);
        cr_assert_geq(len, 1);
        len = len < 1000 ? len : 1000;
        memset(room, 'x', len);
        as_inbuf_added(&in, len);
        total += len;
        cr_assert_leq(in.cap, total + total / 4 + 20480);
    }
}

/* The padded answers of electrumx fit with the first bytes of the next one. */
Test(inbuf, a_power_of_two_and_its_line_end_need_no_more)
{
    char *block = malloc(1u << 20);
    cr_assert(block);
    memset(block, ' ', 1u << 20);
    cr_assert_eq(as_inbuf_append(&in, block, 1u << 20, CEILING), ANONSET_OK);
    put("\n");
    cr_assert_lt(in.cap, (1u << 20) + 8192);
    free(block);
}

Test(inbuf, no_message_passes_its_ceiling)
{
    char *room;
    size_t len;
    cr_assert_eq(as_inbuf_append(&in, "0123456789", 10, 10), ANONSET_OK);
    cr_assert_eq(as_inbuf_room(&in, &room, &len, 10), ANONSET_BAD_ANSWER);
    cr_assert_eq(as_inbuf_append(&in, "x", 1, 10), ANONSET_BAD_ANSWER);
    cr_assert_eq(as_inbuf_room(&in, &room, &len, 12), ANONSET_OK);
    cr_assert_eq(len, 2);
}

Test(inbuf, what_follows_a_message_counts_for_the_next)
{
    char *line, *room;
    size_t len;
    put("12345678\n12");
    cr_assert(as_inbuf_take_line(&in, &line, &len));
    cr_assert_eq(as_inbuf_room(&in, &room, &len, 10), ANONSET_OK);
    cr_assert_eq(len, 8);
}

Test(inbuf, gives_back_what_small_answers_do_not_need)
{
    char *block = malloc(2u << 20);
    cr_assert(block);
    memset(block, ' ', 2u << 20);
    cr_assert_eq(as_inbuf_append(&in, block, 2u << 20, CEILING), ANONSET_OK);
    free(block);
    put("\n");
    char *line;
    size_t len;
    cr_assert(as_inbuf_take_line(&in, &line, &len));
    as_inbuf_drop(&in);
    size_t large = in.cap;
    cr_assert_geq(large, 2u << 20); /* the next one may be as large */
    for (int i = 0; i < 12; i++) {
        put("small\n");
        expect_line("small");
    }
    cr_assert_lt(in.cap, 32768);
}

Test(inbuf, clear_forgets_everything)
{
    put("one\ntwo");
    as_inbuf_clear(&in);
    put("three\n");
    expect_line("three");
    as_inbuf_free(&in);
    as_inbuf_clear(&in);
    put("four\n");
    expect_line("four");
}
