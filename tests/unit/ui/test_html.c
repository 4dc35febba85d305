#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ui/html.h"

static struct ch_html html;

static int setup(void **state)
{
	ch_html_init(&html, "/root");
	return 0;
}

static int teardown(void **state)
{
	ch_html_done(&html);
	return 0;
}

static const char *of(const char *text)
{
	ch_html_reset(&html);
	ch_html_text(&html, text);
	return ch_buf_str(&html.buf);
}

static void plain_text_stays_as_it_is(void **state)
{
	assert_string_equal(of(""), "");
	assert_string_equal(of("shop.example.com"), "shop.example.com");
	assert_string_equal(of("b\u00fccher \u4f8b\u3048 \U0001f600"),
		"b\u00fccher \u4f8b\u3048 \U0001f600");
}

static void markup_and_quotes_are_escaped(void **state)
{
	assert_string_equal(
		of("<script>alert(1)</script>"), "&lt;script&gt;alert(1)&lt;/script&gt;");
	assert_string_equal(of("\" onload=\"x"), "&quot; onload=&quot;x");
	assert_string_equal(of("' `x` &amp;"), "&#39; &#96;x&#96; &amp;amp;");
}

static void controls_and_turns_of_direction_are_visible(void **state)
{
	assert_string_equal(of("a\tb\r\nc"), "a\u2409b\u240d\u240ac");
	assert_string_equal(of("\x1b[31m\x7f"), "\u241b[31m\u2421");
	assert_string_equal(of("\u202egnp.exe"), "\u27e8U+202E\u27e9gnp.exe");
	assert_string_equal(of("\u2066\u200b\ufeff\xc2\x85"),
		"\u27e8U+2066\u27e9\u27e8U+200B\u27e9\u27e8U+FEFF\u27e9\u27e8U+0085\u27e9");
	assert_string_equal(of("\U000e0041"), "\u27e8U+E0041\u27e9");
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
	assert_string_equal(of("\xff"
			       "a"),
		"\ufffd"
		"a");
	/* Overlong, cut short, half of a pair: no way to bring a '<' in. */
	assert_string_equal(of("\xc0\xbc"), "\ufffd\ufffd");
	assert_string_equal(of("\xe2\x82"), "\ufffd\ufffd");
	assert_string_equal(of("\xed\xa0\x80"), "\ufffd\ufffd\ufffd");
	assert_string_equal(of("\xe2<b>"), "\ufffd&lt;b&gt;");
}

static void long_texts_are_cut_between_characters(void **state)
{
	ch_html_text_cut(&html, "abc\u00fcd", 6);
	assert_string_equal(ch_buf_str(&html.buf), "abc\u00fcd");
	ch_html_reset(&html);
	ch_html_text_cut(&html, "abc\u00fcd", 5);
	assert_string_equal(ch_buf_str(&html.buf), "abc\u00fc \u2026");
	ch_html_reset(&html);
	ch_html_text_cut(&html, "abc\u00fcd", 4);
	assert_string_equal(ch_buf_str(&html.buf), "abc \u2026");
}

static void a_page_that_is_too_large_says_so_and_stops(void **state)
{
	char *text = malloc(CH_HTML_TEXT_MAX_B + 10);

	assert_non_null(text);
	memset(text, '<', CH_HTML_TEXT_MAX_B + 9);
	text[CH_HTML_TEXT_MAX_B + 9] = 0;
	for (int i = 0; i < 100; i++)
		ch_html_text(&html, text);
	free(text);
	assert_int_equal(html.buf.rc, CH_ETOOBIG);
	assert_true(html.buf.len <= CH_HTML_PAGE_MAX_B);
	ch_html_reset(&html);
	assert_int_equal(html.buf.rc, CH_OK);
}

static void figures_have_commas(void **state)
{
	static const struct {
		int64_t n;
		const char *text;
	} cases[] = {{0, "0"}, {999, "999"}, {1000, "1,000"}, {1234567, "1,234,567"},
		{INT64_MAX, "9,223,372,036,854,775,807"}, {-1, "0"}, {INT64_MIN, "0"}};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		ch_html_reset(&html);
		ch_html_count(&html, cases[i].n);
		assert_string_equal(ch_buf_str(&html.buf), cases[i].text);
	}
	ch_html_reset(&html);
	ch_html_counted(&html, 9999);
	assert_string_equal(ch_buf_str(&html.buf), "9,999");
	ch_html_reset(&html);
	ch_html_counted(&html, 10000);
	assert_string_equal(ch_buf_str(&html.buf), "\u2265\u00a010,000");
}

static int64_t noon(void *arg)
{
	return INT64_C(1800000000000); /* 2027-01-15T08:00:00Z */
}

static void times_are_exact_and_relative(void **state)
{
	ch_clock_set(noon, NULL);
	ch_html_moment(&html, noon(NULL) + 90 * CH_MINUTE_MS);
	assert_string_equal(ch_buf_str(&html.buf),
		"<time datetime=\"2027-01-15T09:30:00.000Z\">2027-01-15 09:30:00 UTC</time> "
		"<span class=\"rel\">(in 1h 30m)</span>");
	ch_html_reset(&html);
	ch_html_when(&html, noon(NULL) - CH_HOUR_MS);
	assert_string_equal(ch_buf_str(&html.buf),
		"<time datetime=\"2027-01-15T07:00:00.000Z\" title=\"2027-01-15 07:00:00 "
		"UTC\">1h 0m "
		"ago</time>");
	ch_html_reset(&html);
	ch_html_when(&html, 0);
	ch_html_moment(&html, 0);
	assert_string_equal(ch_buf_str(&html.buf), "\u2013\u2013");
	ch_clock_set(NULL, NULL);
}

static void bars_stay_within_their_width(void **state)
{
	static const struct {
		int64_t n;
		int64_t most;
		const char *width;
	} cases[] = {{0, 10, "width=\"0.0\""}, {5, 10, "width=\"50.0\""},
		{20, 10, "width=\"100.0\""}, {INT64_MIN, 1, "width=\"0.0\""},
		{5, 0, "width=\"0.0\""}, {INT64_MAX, INT64_MAX, "width=\"100.0\""}};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		ch_html_reset(&html);
		ch_html_bar(&html, cases[i].n, cases[i].most);
		assert_non_null(strstr(ch_buf_str(&html.buf), cases[i].width));
	}
}

static void tables_close_what_they_open(void **state)
{
	static const char *const heads[] = {"~Name", ">N"};
	struct ch_html_table table;

	ch_html_table_begin(&table, &html, "a <caption>", heads, 2);
	ch_html_cell_text(&table, "<b>");
	ch_html_cell_count(&table, 5);
	ch_html_cell_text(&table, "");
	ch_html_cell_when(&table, 0);
	ch_html_table_end(&table);
	assert_non_null(strstr(ch_buf_str(&html.buf), "a &lt;caption&gt;"));
	assert_non_null(strstr(ch_buf_str(&html.buf),
		"<tr role=\"row\"><td role=\"cell\" data-label=\"Name\" "
		"class=\"t\">&lt;b&gt;</td>"
		"<td role=\"cell\" data-label=\"N\" class=\"n\">5</td></tr>\n"
		"<tr role=\"row\"><td role=\"cell\" data-label=\"Name\" class=\"t\">\u2013</td>"
		"<td role=\"cell\" data-label=\"N\" "
		"class=\"n\">\u2013</td></tr></tbody></table>"));
	ch_html_reset(&html);
	ch_html_table_begin(&table, &html, "empty", heads, 2);
	ch_html_table_end(&table);
	assert_null(strstr(ch_buf_str(&html.buf), "</td>"));
}

static void sections_lead_on_below_the_root(void **state)
{
	ch_html_section(&html, "<p>As <a href=\"\1/help/reason/x\">x</a></p>");
	assert_string_equal(
		ch_buf_str(&html.buf), "<p>As <a href=\"/root/help/reason/x\">x</a></p>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_text_stays_as_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(markup_and_quotes_are_escaped, setup, teardown),
		cmocka_unit_test_setup_teardown(
			controls_and_turns_of_direction_are_visible, setup, teardown),
		cmocka_unit_test_setup_teardown(
			bytes_that_are_no_utf8_are_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(
			long_texts_are_cut_between_characters, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_page_that_is_too_large_says_so_and_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(figures_have_commas, setup, teardown),
		cmocka_unit_test_setup_teardown(times_are_exact_and_relative, setup, teardown),
		cmocka_unit_test_setup_teardown(bars_stay_within_their_width, setup, teardown),
		cmocka_unit_test_setup_teardown(tables_close_what_they_open, setup, teardown),
		cmocka_unit_test_setup_teardown(
			sections_lead_on_below_the_root, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
