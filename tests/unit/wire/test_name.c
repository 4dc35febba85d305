#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "wire/name.h"

static const struct ch_name_rules no_wildcards = {.allow_wildcard = false};
static const struct ch_name_rules wildcards = {.allow_wildcard = true};

static void good_names_are_normalized(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} good[] = {
		{"shop.example.com", "shop.example.com"},
		{"SHOP.Example.COM", "shop.example.com"},
		{"shop.example.com.", "shop.example.com"},
		{"m\xc3\xbcnchen.example.com", "xn--mnchen-3ya.example.com"},
		{"M\xc3\x9cNCHEN.example.com", "xn--mnchen-3ya.example.com"},
		{"xn--mnchen-3ya.example.com", "xn--mnchen-3ya.example.com"},
		{"XN--MNCHEN-3YA.example.com", "xn--mnchen-3ya.example.com"},
		{"stra\xc3\x9f"
		 "e.de",
			"xn--strae-oqa.de"},
		{"\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
			"xn--r8jz45g.xn--zckzah"},
		{"example\xe3\x80\x82"
		 "com",
			"example.com"},
		{"a-b--c.example.co.uk", "a-b--c.example.co.uk"},
		{"1.example.com", "1.example.com"},
		{"shop.example.test", "shop.example.test"},
		{"my.github.io", "my.github.io"},
		{"123456789012345678901234567890123456789012345678901234567890123.example.com",
			"123456789012345678901234567890123456789012345678901234567890123."
			"example.com"},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(good); i++) {
		char name[CH_NAME_TEXT_B];
		struct ch_err err = {0};

		if (ch_name_normalize(
			    good[i].in, strlen(good[i].in), &no_wildcards, name, &err))
			fail_msg(
				"%s: refused with %s: %s", good[i].in, err.problem, err.detail);
		assert_string_equal(name, good[i].out);
	}
}

static void bad_names_are_refused_with_their_code(void **state)
{
	static const struct {
		const char *in;
		const char *code;
	} bad[] = {
		{"", "name-empty"},
		{".", "label-empty"},
		{"..", "label-empty"},
		{".example.com", "label-empty"},
		{"a..example.com", "label-empty"},
		{"example.com..", "label-empty"},
		{" example.com", "name-character"},
		{"example.com ", "name-character"},
		{"example.com\n", "name-character"},
		{"exam\tple.com", "name-character"},
		{"exam ple.com", "name-character"},
		{"example.com/", "name-character"},
		{"https://example.com", "name-character"},
		{"example.com:443", "name-ip-literal"},
		{"user@example.com", "name-character"},
		{"example.com?x=1", "name-character"},
		{"\"example.com\"", "name-character"},
		{"exam_ple.com", "name-character"},
		{"_acme.example.com", "name-character"},
		{"example.com,other.com", "name-character"},
		{"-a.example.com", "name-hyphen"},
		{"a-.example.com", "name-hyphen"},
		{"ab--c.example.com", "name-hyphen"},
		{"1.2.3.4", "name-ip-literal"},
		{"1.2.3.4.", "name-ip-literal"},
		{"::1", "name-ip-literal"},
		{"[::1]", "name-ip-literal"},
		{"example.123", "name-ip-literal"},
		{"127.1", "name-ip-literal"},
		{"a.0x7f", "name-ip-literal"},
		{"localhost", "name-single-label"},
		{"example", "name-single-label"},
		{"com", "name-single-label"},
		{"co.uk", "name-public-suffix"},
		{"github.io", "name-public-suffix"},
		{"CO.UK.", "name-public-suffix"},
		{"*.example.com", "name-wildcard"},
		{"*", "name-character"},
		{"a.*.example.com", "name-character"},
		{"*a.example.com", "name-character"},
		{"**.example.com", "name-character"},
		{"printer.local", "name-reserved"},
		{"db.internal", "name-reserved"},
		{"4.3.2.1.in-addr.arpa", "name-reserved"},
		{"abc.onion", "name-reserved"},
		{"\xff\xfe.example.com", "name-not-utf8"},
		{"m\xc3.example.com", "name-not-utf8"},
		{"\xe2\x98\x83.example.com", "name-idna"},     /* snowman */
		{"\xf0\x9f\x92\xa9.example.com", "name-idna"}, /* emoji */
		{"xn--\xc3\xbc.example.com", "name-idna"},
		{"xn--a.example.com", "name-idna"},
		{"xn--99999999.example.com", "name-idna"},
		{"\xcc\x81"
		 "a.example.com",
			"name-idna"}, /* begins with a combining mark */
		{"1234567890123456789012345678901234567890123456789012345678901234.example.com",
			"label-too-long"},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		char name[CH_NAME_TEXT_B] = "untouched";
		struct ch_err err = {0};

		if (ch_name_normalize(bad[i].in, strlen(bad[i].in), &no_wildcards, name,
			    &err) != CH_EINVAL)
			fail_msg("\"%s\" was accepted as %s", bad[i].in, name);
		if (strcmp(err.problem, bad[i].code) != 0)
			fail_msg("\"%s\": %s instead of %s", bad[i].in, err.problem,
				bad[i].code);
		assert_true(strlen(err.detail) > 10);
		assert_string_equal(name, "untouched");
	}
}

static void the_longest_name_fits_and_no_longer(void **state)
{
	char text[300];
	char name[CH_NAME_TEXT_B];
	struct ch_err err;
	size_t len = 0;

	/* 3 labels of 63, one of 57, "com": 3 * 64 + 58 + 3 = 253 */
	for (int i = 0; i < 3; i++) {
		memset(text + len, 'a', 63);
		text[len + 63] = '.';
		len += 64;
	}
	memset(text + len, 'b', 57);
	memcpy(text + len + 57, ".com", 5);
	assert_int_equal(strlen(text), 253);
	assert_int_equal(ch_name_normalize(text, 253, &no_wildcards, name, &err), CH_OK);
	assert_string_equal(name, text);
	memcpy(text + len + 57, "b.com", 6);
	assert_int_equal(ch_name_normalize(text, 254, &no_wildcards, name, &err), CH_EINVAL);
	assert_string_equal(err.problem, "name-too-long");
	memset(text, 'x', sizeof(text));
	assert_int_equal(
		ch_name_normalize(text, sizeof(text), &no_wildcards, name, &err), CH_EINVAL);
}

static void an_embedded_nul_is_refused(void **state)
{
	char name[CH_NAME_TEXT_B];
	struct ch_err err;

	assert_int_equal(
		ch_name_normalize("a\0b.com", 7, &no_wildcards, name, &err), CH_EINVAL);
	assert_string_equal(err.problem, "name-character");
}

static void wildcards_need_permission_and_a_real_name(void **state)
{
	char name[CH_NAME_TEXT_B];
	struct ch_err err;

	assert_int_equal(ch_name_normalize("*.Example.com", 13, &wildcards, name, &err), CH_OK);
	assert_string_equal(name, "*.example.com");
	assert_int_equal(ch_name_normalize("*.co.uk", 7, &wildcards, name, &err), CH_EINVAL);
	assert_string_equal(err.problem, "name-public-suffix");
}

static void what_names_begin_with_has_an_ascii_form(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} good[] = {
		{"", ""},
		{"shop.Ex", "shop.Ex"}, /* as it is: the store knows no capitals */
		{"xn--m", "xn--m"},
		{"*.", "*."},
		{"m\u00fcnchen.", "xn--mnchen-3ya."},
		{"M\u00dcNCHEN.exa", "xn--mnchen-3ya.exa"},
		{"a.m\u00fcnchen.b.c", "a.xn--mnchen-3ya.b.c"},
		/* The dots of other scripts. */
		{"shop\u3002", "shop."},
		{"shop\u3002exa", "shop.exa"},
		{"SHOP\uff0eexa", "shop.exa"},
		{"m\u00fcnchen\uff61exa", "xn--mnchen-3ya.exa"},
		{"a\u3002m\u00fcnchen\uff0eb.c", "a.xn--mnchen-3ya.b.c"},
	};

	(void)state;
	for (size_t i = 0; i < CH_ARRAY_LEN(good); i++) {
		char prefix[CH_NAME_PREFIX_B];
		struct ch_err err = {0};

		if (ch_name_prefix(good[i].in, prefix, &err))
			fail_msg(
				"%s: refused with %s: %s", good[i].in, err.problem, err.detail);
		assert_string_equal(prefix, good[i].out);
	}
}

static void what_names_begin_with_may_have_none(void **state)
{
	static const struct {
		const char *in;
		const char *code;
		const char *told;
	} bad[] = {
		{"m\u00fc", "prefix", "with its dot, \"m\u00fc.\" (xn--m-eha.)"},
		{"shop\u3002m\u00fc", "prefix", "(shop.xn--m-eha.)"},
		{"m\u2603", "prefix", "with its dot"},
		{"\uff53hop", "prefix", "(shop.)"},
		{"m\u2603.", "name-idna", "IDNA"},
		{"\u3002", "label-empty", "empty"},
		{"a\u3002\u3002b", "label-empty", "empty"},
		{"m\xc3\u3002", "name-not-utf8", "UTF-8"},
	};
	char text[5000];
	char prefix[CH_NAME_PREFIX_B];
	struct ch_err err;

	(void)state;
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		strcpy(prefix, "untouched");
		assert_int_equal(ch_name_prefix(bad[i].in, prefix, &err), CH_EINVAL);
		assert_string_equal(err.problem, bad[i].code);
		assert_non_null(strstr(err.detail, bad[i].told));
		assert_string_equal(prefix, "untouched");
	}
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(ch_name_prefix(text, prefix, &err), CH_EINVAL);
	assert_string_equal(err.problem, "name-too-long");
	memcpy(text + 4990, "\u3002", 3);
	assert_int_equal(ch_name_prefix(text, prefix, &err), CH_EINVAL);
	assert_string_equal(err.problem, "name-too-long");
	text[CH_NAME_TEXT_B - 1] = 0;
	assert_int_equal(ch_name_prefix(text, prefix, &err), CH_OK);
}

static void names_are_displayed_in_their_own_script(void **state)
{
	char text[64];

	ch_name_display("xn--mnchen-3ya.example.com", text, sizeof(text));
	assert_string_equal(text, "m\xc3\xbcnchen.example.com");
	ch_name_display("xn--mnchen-3ya.example.com", text, 8);
	assert_string_equal(text, "xn--mnc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_names_are_normalized),
		cmocka_unit_test(bad_names_are_refused_with_their_code),
		cmocka_unit_test(the_longest_name_fits_and_no_longer),
		cmocka_unit_test(an_embedded_nul_is_refused),
		cmocka_unit_test(wildcards_need_permission_and_a_real_name),
		cmocka_unit_test(what_names_begin_with_has_an_ascii_form),
		cmocka_unit_test(what_names_begin_with_may_have_none),
		cmocka_unit_test(names_are_displayed_in_their_own_script),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
