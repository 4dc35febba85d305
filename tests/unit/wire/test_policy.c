#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "wire/policy.h"

struct text {
	enum ch_policy_tag tag;
	const char *text;
	const char *normal; /* NULL: as it is */
};

static void good_texts_are_normalized(void **state)
{
	static const struct text good[] = {
		{CH_POLICY_UPSTREAM, "", NULL},
		{CH_POLICY_UPSTREAM, "eu-west_1.a", NULL},
		{CH_POLICY_HSTS, "", NULL},
		{CH_POLICY_HSTS, "max-age=0", NULL},
		{CH_POLICY_HSTS, "max-age=31536000; includeSubDomains; preload", NULL},
		{CH_POLICY_HSTS, "preload ;MAX-AGE=1", NULL},
		{CH_POLICY_REDIRECT, "", NULL},
		{CH_POLICY_REDIRECT, "none", NULL},
		{CH_POLICY_REDIRECT, "Shop.Example.COM.", "shop.example.com"},
		{CH_POLICY_REDIRECT, "bücher.example", "xn--bcher-kva.example"},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(good); i++) {
		char text[CH_POLICY_TEXT_B];
		struct ch_err err = {0};

		assert_int_equal(
			ch_policy_normalize(good[i].tag, good[i].text, text, &err), CH_OK);
		assert_string_equal(text, good[i].normal ? good[i].normal : good[i].text);
		assert_true(ch_policy_is_normal(good[i].tag, text, strlen(text)));
	}
}

static void bad_texts_are_refused_with_what_to_change(void **state)
{
	static char longest[CH_POLICY_TEXT_B + 1];
	static const struct text bad[] = {
		{CH_POLICY_UPSTREAM, "http://10.0.0.1", NULL},
		{CH_POLICY_UPSTREAM, "EU", NULL},
		{CH_POLICY_UPSTREAM, "a b", NULL},
		{CH_POLICY_UPSTREAM,
			"0123456789012345678901234567890123456789012345678901234567890123",
			NULL},
		{CH_POLICY_HSTS, "max-age", NULL},
		{CH_POLICY_HSTS, "max-age=", NULL},
		{CH_POLICY_HSTS, "max-age=12345678901", NULL},
		{CH_POLICY_HSTS, "max-age=-1", NULL},
		{CH_POLICY_HSTS, "max-age=\"1\"", NULL},
		{CH_POLICY_HSTS, "max-age=1;max-age=2", NULL},
		{CH_POLICY_HSTS, "includeSubDomains", NULL},
		{CH_POLICY_HSTS, "max-age=1; more", NULL},
		{CH_POLICY_HSTS, "max-age=1;", NULL},
		{CH_POLICY_HSTS, ";", NULL},
		{CH_POLICY_HSTS, "max-age=1\r\nSet-Cookie: a=b", NULL},
		{CH_POLICY_REDIRECT, "https://a.example/", NULL},
		{CH_POLICY_REDIRECT, "localhost", NULL},
		{CH_POLICY_REDIRECT, "*.a.example", NULL},
		{CH_POLICY_REDIRECT, longest, NULL},
	};

	memset(longest, 'a', sizeof(longest) - 1);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		char text[CH_POLICY_TEXT_B] = "untouched";
		struct ch_err err = {0};

		assert_int_equal(
			ch_policy_normalize(bad[i].tag, bad[i].text, text, &err), CH_EINVAL);
		assert_string_equal(err.problem, "bad-field");
		assert_non_null(strstr(err.detail, ch_policy_word(bad[i].tag)));
		assert_string_equal(text, "untouched");
		assert_false(ch_policy_is_normal(bad[i].tag, bad[i].text, strlen(bad[i].text)));
	}
}

static void what_a_store_may_not_say_is_told_by_its_form_alone(void **state)
{
	static char long_label[] = "a.example";
	static const struct text bad[] = {
		{CH_POLICY_REDIRECT, "evil.example/x?", NULL},
		{CH_POLICY_REDIRECT, "evil.example:8443", NULL},
		{CH_POLICY_REDIRECT, "user@evil.example", NULL},
		{CH_POLICY_REDIRECT, "evil.example#", NULL},
		{CH_POLICY_REDIRECT, "evil.example\\", NULL},
		{CH_POLICY_REDIRECT, "Evil.example", NULL},
		{CH_POLICY_REDIRECT, "evil.example.", NULL},
		{CH_POLICY_REDIRECT, ".evil.example", NULL},
		{CH_POLICY_REDIRECT, "evil..example", NULL},
		{CH_POLICY_REDIRECT, "-evil.example", NULL},
		{CH_POLICY_REDIRECT, "evil-.example", NULL},
		{CH_POLICY_REDIRECT, "evil_.example", NULL},
		{CH_POLICY_REDIRECT, "192.0.2.1", NULL},
		{CH_POLICY_REDIRECT, "nones", NULL},
		{CH_POLICY_REDIRECT, ".", NULL},
		{CH_POLICY_UPSTREAM, "$host", NULL},
		{CH_POLICY_TENANT, "a/b", NULL},
		{CH_POLICY_TENANT, "T1", NULL},
		{CH_POLICY_HSTS, "max-age=1, max-age=2", NULL},
		{CH_POLICY_HSTS, " ", NULL},
		{CH_POLICY_TAG_COUNT, "a", NULL},
	};
	char label[64 + sizeof(long_label)];

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_false(ch_policy_is_normal(bad[i].tag, bad[i].text, strlen(bad[i].text)));
	memset(label, 'a', 63);
	memcpy(label + 63, long_label + 1, sizeof(long_label) - 1);
	assert_true(ch_policy_is_normal(CH_POLICY_REDIRECT, label, strlen(label)));
	memset(label, 'a', 64);
	memcpy(label + 64, long_label + 1, sizeof(long_label) - 1);
	assert_false(ch_policy_is_normal(CH_POLICY_REDIRECT, label, strlen(label)));
	/* Lengths, not NULs, end a text. */
	assert_false(ch_policy_is_normal(CH_POLICY_UPSTREAM, "eu\0", 3));
	assert_false(ch_policy_is_normal(CH_POLICY_REDIRECT, "a.example\0", 10));
	assert_true(ch_policy_is_normal(CH_POLICY_REDIRECT, "a.example/x", 9));
	assert_true(ch_policy_is_normal(CH_POLICY_HSTS, "max-age=12", 9));
	assert_true(ch_policy_is_normal(CH_POLICY_TENANT, "t-1", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts_are_normalized),
		cmocka_unit_test(bad_texts_are_refused_with_what_to_change),
		cmocka_unit_test(what_a_store_may_not_say_is_told_by_its_form_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
