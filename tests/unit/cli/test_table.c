#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/table.h"
#include "cli/text.h"

static int in_utf8(void **state)
{
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static int in_c(void **state)
{
	return setlocale(LC_CTYPE, "C") ? 0 : -1;
}

static void expect_clean(const char *text, const char *expected)
{
	struct ch_buf buf;

	ch_buf_init(&buf, 1000);
	assert_int_equal(ch_text_add_clean(&buf, text), CH_OK);
	assert_string_equal(ch_buf_str(&buf), expected);
	ch_buf_done(&buf);
}

static void nothing_that_steers_a_terminal_gets_through(void **state)
{
	expect_clean("\x1b[2J\a\b\r\n\t\x7f", "?[2J??????");
	expect_clean("\xc2\x9b"
		     "31m",
		"?31m"); /* C1: CSI */
	expect_clean("a\xe2\x80\xae"
		     "b",
		"a?b"); /* right-to-left override */
	expect_clean("a\xe2\x81\xa6"
		     "b",
		"a?b"); /* isolate */
	expect_clean("a\xe2\x80\x8b"
		     "b\xef\xbb\xbf",
		"a?b?");		       /* zero width */
	expect_clean("\xf3\xa0\x81\xa1", "?"); /* tag */
}

static void broken_utf8_is_shown_as_question_marks(void **state)
{
	expect_clean("\xff", "?");
	expect_clean("a\xc3", "a?");
	expect_clean("\xc0\xaf", "??");		  /* overlong */
	expect_clean("\xed\xa0\x80", "???");	  /* surrogate */
	expect_clean("\xf4\x90\x80\x80", "????"); /* over U+10FFFF */
	expect_clean("\xe2\x82", "??");
}

static void good_text_stays_as_it_is(void **state)
{
	expect_clean("m\xc3\xbcller \xe4\xb8\xad \xf0\x9f\x98\x80",
		"m\xc3\xbcller \xe4\xb8\xad \xf0\x9f\x98\x80");
	assert_int_equal(ch_text_width("m\xc3\xbcller"), 6);
	assert_int_equal(ch_text_width("\xe4\xb8\xad\xe6\x96\x87"), 4);
}

static void without_utf8_only_ascii_is_shown(void **state)
{
	assert_false(ch_text_is_utf8());
	expect_clean("m\xc3\xbcller", "m?ller");
}

static void columns_align_whatever_the_width_of_characters(void **state)
{
	static const char *const heads[] = {"NAME", ">N", "LAST"};
	struct ch_table t;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ch_table_init(&t, heads, 3);
	ch_table_add(&t, "m\xc3\xbcller");
	ch_table_addf(&t, "%d", 7);
	ch_table_add(&t, "x");
	ch_table_add(&t, "\xe4\xb8\xad\xe6\x96\x87");
	ch_table_addf(&t, "%d", 1234);
	ch_table_add(&t, NULL);
	ch_table_print(&t, out);
	ch_table_add(&t, "a");
	ch_table_add(&t, "");
	ch_table_add(&t, "y\n");
	ch_table_print(&t, out);
	fclose(out);
	assert_string_equal(text, "NAME       N  LAST\n"
				  "m\xc3\xbcller     7  x\n"
				  "\xe4\xb8\xad\xe6\x96\x87    1234  -\n"
				  "a          -  y?\n");
	free(text);
	ch_table_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_that_steers_a_terminal_gets_through, in_utf8),
		cmocka_unit_test_setup(broken_utf8_is_shown_as_question_marks, in_utf8),
		cmocka_unit_test_setup(good_text_stays_as_it_is, in_utf8),
		cmocka_unit_test_setup(without_utf8_only_ascii_is_shown, in_c),
		cmocka_unit_test_setup(columns_align_whatever_the_width_of_characters, in_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
