#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/import_progress.h"
#include "cli/import_read.h"

/* What the reader makes of the text: one line a row or rejection. */
static void read_bytes(const char *text, size_t len, char *out, size_t out_b)
{
	struct ch_import_reader *r = malloc(sizeof(*r));
	FILE *in = len ? fmemopen((void *)text, len, "r") : fopen("/dev/null", "r");
	size_t at = 0;
	int rc;

	out[0] = 0;
	ch_import_reader_init(r, in);
	do {
		struct ch_import_row row;
		struct ch_err err;

		rc = ch_import_read(r, &row, &err);
		if (rc == CH_OK)
			at += (size_t)snprintf(out + at, out_b - at, "%ju:%s,%d,%s,%s\n",
				(uintmax_t)r->line, row.name, row.www,
				row.settings.tenant ? row.settings.tenant : "-",
				row.settings.pool ? row.settings.pool : "-");
		else if (rc != CH_ENOTFOUND)
			at += (size_t)snprintf(out + at, out_b - at, "%ju!%s\n",
				(uintmax_t)r->line, err.problem);
	} while (rc == CH_OK || rc == CH_EINVAL || rc == CH_ETOOBIG);
	fclose(in);
	free(r);
}

static void expect(const char *text, const char *expected)
{
	char out[4096];

	read_bytes(text, strlen(text), out, sizeof(out));
	assert_string_equal(out, expected);
}

static void one_name_a_line(void **state)
{
	expect("a.example\nb.example\n", "1:a.example,-1,-,-\n2:b.example,-1,-,-\n");
	expect("a.example", "1:a.example,-1,-,-\n");
	expect("", "");
	expect("\n\n", "");
}

static void mark_line_ends_comments_and_blanks_do_no_harm(void **state)
{
	expect("\xef\xbb\xbf"
	       "a.example\r\n\r\n  # c, d\n\t b.example \t\r\n",
		"1:a.example,-1,-,-\n4:b.example,-1,-,-\n");
	expect("\xef\xbb\xbf", "");
	expect("\xef\xbb\xbfname\na.example\n", "2:a.example,-1,-,-\n");
}

static void a_head_line_names_the_columns_in_any_order(void **state)
{
	expect("name,www,tenant,pool\na.example,yes,t1,p1\nb.example,,,\nc.example\n",
		"2:a.example,1,t1,p1\n3:b.example,-1,-,-\n4:c.example,-1,-,-\n");
	expect("# c\nPool, Name\np1,a.example\n", "3:a.example,-1,-,p1\n");
	expect("name\na.example\n", "2:a.example,-1,-,-\n");
	expect("hsts,upstream,redirect,name,tenant\nmax-age=1,eu-1,none,a.example,t1\n",
		"2:a.example,-1,t1,-\n");
	expect("keys,name\necdsa+rsa,a.example\n", "2:a.example,-1,-,-\n");
	expect("www,name\nNO,a.example\n1,b.example\n",
		"2:a.example,0,-,-\n3:b.example,1,-,-\n");
}

static void a_head_line_with_other_columns_is_refused(void **state)
{
	expect("name,color\na.example,red\n", "1!csv-head\n");
	expect("name,name\na,b\n", "1!csv-head\n");
	expect("name,www,tenant,pool,www\na\n", "1!csv-head\n");
	expect("name,www,tenant,pool,upstream,hsts,redirect,keys,cas,standby,www\na\n",
		"1!csv-head\n");
}

/* Not line by line: none of them can be understood. */
static void columns_without_a_name_are_refused(void **state)
{
	expect("domain,tenant\na.example,t1\nb.example,t2\n", "1!csv-head\n");
	expect("# c\na.example,yes\n", "2!csv-head\n");
	expect("\"name,www\na.example\n", "1!csv-head\n");
	expect("name;tenant\na.example;t1\n", "1!csv-head\n");
	expect("name\ttenant\na.example\tt1\n", "1!csv-head\n");
	/* A name that is none is for the store to refuse. */
	expect("domain\na.example\n", "1:domain,-1,-,-\n2:a.example,-1,-,-\n");
	expect("\ta.example\t\n", "1:a.example,-1,-,-\n");
}

static void must_tell_of_head(const char *text, const char *told)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	struct ch_import_reader *r = malloc(sizeof(*r));
	struct ch_import_row row;
	struct ch_err err;

	assert_non_null(in);
	assert_non_null(r);
	ch_import_reader_init(r, in);
	assert_int_equal(ch_import_read(r, &row, &err), CH_EUNSUPPORTED);
	assert_non_null(strstr(err.detail, told));
	assert_non_null(strstr(err.detail, "such as name,www,tenant,pool"));
	fclose(in);
	free(r);
}

static void what_the_head_line_must_have_is_told(void **state)
{
	(void)state;
	must_tell_of_head("domain,tenant\n", "no column \"name\"");
	must_tell_of_head("name,www,tenant,pool,upstream,hsts,redirect,keys,cas,standby,www\n",
		"names the column \"www\" twice");
	must_tell_of_head(
		"name,www,tenant,pool,upstream,hsts,redirect,keys,cas,standby,www,x\n",
		"does not name columns");
	must_tell_of_head("name,name\n", "names the column \"name\" twice");
	must_tell_of_head("name,tenant,Tenant\n", "names the column \"tenant\" twice");
	must_tell_of_head("\"name,www\n", "does not name columns");
}

static void quotes_are_taken_away(void **state)
{
	expect("name,tenant\n\"a.example\" , \"t,\"\"1\"\"\"\n", "2:a.example,-1,t,\"1\",-\n");
	expect("name,tenant\n\"a.example,t\na\"b,t\n\"a\"b,t\n",
		"2!csv-quotes\n3:a\"b,-1,t,-\n4!csv-quotes\n");
}

static void a_bad_line_does_not_stop_the_rest(void **state)
{
	expect("name,www\na.example,maybe\nb.example,yes,more\nc.example,no\n",
		"2!csv-www\n3!csv-columns\n4:c.example,0,-,-\n");
	expect("a.example\nb.example,yes\nc.example\n",
		"1:a.example,-1,-,-\n2!csv-columns\n3:c.example,-1,-,-\n");
	expect("www,name\nyes\na.example\n", "2!csv-columns\n3!csv-www\n");
}

static void a_long_line_is_rejected_and_passed_over(void **state)
{
	char *text = malloc(3 * CH_IMPORT_LINE_MAX_B);
	char out[8192];
	int len = snprintf(text, 3 * CH_IMPORT_LINE_MAX_B, "a.example\n%0*d\nb.example\n",
		2 * CH_IMPORT_LINE_MAX_B, 7);

	read_bytes(text, (size_t)len, out, sizeof(out));
	assert_string_equal(out, "1:a.example,-1,-,-\n2!line-too-long\n3:b.example,-1,-,-\n");
	len = snprintf(text, 3 * CH_IMPORT_LINE_MAX_B, "%0*d\n", CH_IMPORT_LINE_MAX_B, 7);
	read_bytes(text, (size_t)len, out, sizeof(out));
	assert_int_equal(strlen(out), CH_IMPORT_LINE_MAX_B + strlen("1:,-1,-,-\n"));
	len = snprintf(text, 3 * CH_IMPORT_LINE_MAX_B, "%0*d\n", CH_IMPORT_LINE_MAX_B + 1, 7);
	read_bytes(text, (size_t)len, out, sizeof(out));
	assert_string_equal(out, "1!line-too-long\n");
	free(text);
}

static void a_nul_byte_is_rejected(void **state)
{
	char out[200];

	read_bytes("a\0b\nc.example\n", 14, out, sizeof(out));
	assert_string_equal(out, "1!line-nul\n2:c.example,-1,-,-\n");
}

static void progress_tells_share_rate_and_time_left(void **state)
{
	struct ch_import_progress p = {.size_b = 1000, .began_ms = 5000};
	char text[160];

	ch_import_progress_text(&p, 50, 250, 15000, text, sizeof(text));
	assert_string_equal(text, "50 lines (25 %), 5 a second, 30s left");
	ch_import_progress_text(&p, 200, 1000, 15000, text, sizeof(text));
	assert_string_equal(text, "200 lines (100 %), 20 a second");
	p.size_b = 0;
	ch_import_progress_text(&p, 200, 1000, 15000, text, sizeof(text));
	assert_string_equal(text, "200 lines, 20 a second");
	ch_import_progress_text(&p, 200, 1000, 5000, text, sizeof(text));
	assert_string_equal(text, "200 lines");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_name_a_line),
		cmocka_unit_test(mark_line_ends_comments_and_blanks_do_no_harm),
		cmocka_unit_test(a_head_line_names_the_columns_in_any_order),
		cmocka_unit_test(a_head_line_with_other_columns_is_refused),
		cmocka_unit_test(columns_without_a_name_are_refused),
		cmocka_unit_test(what_the_head_line_must_have_is_told),
		cmocka_unit_test(quotes_are_taken_away),
		cmocka_unit_test(a_bad_line_does_not_stop_the_rest),
		cmocka_unit_test(a_long_line_is_rejected_and_passed_over),
		cmocka_unit_test(a_nul_byte_is_rejected),
		cmocka_unit_test(progress_tells_share_rate_and_time_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
