/* What `certherd adopt` reads of others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "issuerd/adopt_pem.h"
#include "issuerd/adopt_report.h"
#include "issuerd/adopt_words.h"

static struct ch_words words;

/* All statements in one line: words with spaces, ended by ; { or }. */
static int all(enum ch_words_lang lang, const char *text, char *ret_text, size_t text_b)
{
	struct ch_words_reader reader;
	struct ch_err err = {0};
	size_t used = 0;
	int rc;

	assert_int_equal(ch_words_begin(&reader, lang, text, strlen(text)), CH_OK);
	ret_text[0] = '\0';
	while ((rc = ch_words_next(&reader, &words, &err)) == CH_OK) {
		for (size_t i = 0; i < words.n; i++)
			used += (size_t)snprintf(ret_text + used, text_b - used, "%s%s",
				i ? " " : "", words.word[i]);
		used += (size_t)snprintf(
			ret_text + used, text_b - used, "%c", ";{}"[words.end]);
	}
	ch_words_done(&reader);
	return rc;
}

static void assert_words(enum ch_words_lang lang, const char *text, const char *want)
{
	char got[1024];

	assert_int_equal(all(lang, text, got, sizeof(got)), CH_ENOTFOUND);
	assert_string_equal(got, want);
}

static void nginx_is_read(void **state)
{
	(void)state;
	assert_words(CH_WORDS_NGINX, "a b;#c;\nserver{x \"y; z\";}", "a b;server{x y; z;}");
	assert_words(CH_WORDS_NGINX, "a 'it\\'s' \\; ${v}x;", "a it's ; ${v}x;");
	assert_words(CH_WORDS_NGINX, "l { content_by_lua_block { if {} }\n} b;",
		"l{content_by_lua_block;}b;");
	assert_words(CH_WORDS_NGINX, "", "");
}

static void what_is_not_nginx_is_told(void **state)
{
	static const char *const wrong[] = {
		"a", "a \"b;", "{ }", ";", "server { a }", "x_by_lua_block { {"};
	char got[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(all(CH_WORDS_NGINX, wrong[i], got, sizeof(got)), CH_EPROTO);
}

static void apache_is_read(void **state)
{
	(void)state;
	assert_words(CH_WORDS_APACHE, "A b\n# c\n <V *:443>\n N \"x y\"\n</V>",
		"A b;V *:443{N x y;V}");
	assert_words(CH_WORDS_APACHE, "A \\\n b \\\r\n c\nD", "A b c;D;");
}

static void what_is_not_apache_is_told(void **state)
{
	static const char *const wrong[] = {"<V *:443\nA", "</>", "A \"b"};
	char got[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(all(CH_WORDS_APACHE, wrong[i], got, sizeof(got)), CH_EPROTO);
}

static void broken_pem_is_told(void **state)
{
	static const struct {
		const char *text;
		const char *code;
	} cases[] = {{"-----BEGIN CERTIFICATE-----\nMIIB\n", "pem-malformed"},
		{"-----BEGIN PRIVATE KEY-----\nMAMBAQA=\n-----END PRIVATE KEY-----\n",
			"pem-malformed"},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAMBAQA=\n"
		 "-----END ENCRYPTED PRIVATE KEY-----\n",
			"key-encrypted"}};
	struct ch_adopt_pem pem;
	struct ch_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_not_equal(
			ch_adopt_pem_parse(cases[i].text, strlen(cases[i].text), &pem, &err),
			CH_OK);
		assert_string_equal(err.problem, cases[i].code);
	}
	assert_int_equal(ch_adopt_pem_parse("no PEM", 6, &pem, &err), CH_OK);
	assert_int_equal(pem.n_certs, 0);
	assert_null(pem.key);
}

static void progress_says_what_is_left(void **state)
{
	struct ch_adopt_report report = {
		.doing = "names", .done = 300, .total = 1200, .began_ms = 1000};
	char text[160];

	(void)state;
	ch_adopt_report_text(&report, 1000 + 3 * CH_SECOND_MS, text, sizeof(text));
	assert_string_equal(text, "300 names (25 %), 100 a second, 9s left");
	report.total = 0;
	ch_adopt_report_text(&report, 1000, text, sizeof(text));
	assert_string_equal(text, "300 names");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nginx_is_read),
		cmocka_unit_test(what_is_not_nginx_is_told),
		cmocka_unit_test(apache_is_read),
		cmocka_unit_test(what_is_not_apache_is_told),
		cmocka_unit_test(broken_pem_is_told),
		cmocka_unit_test(progress_says_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
