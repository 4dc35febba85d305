#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/utf8.h"

static void characters_are_decoded(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		uint32_t c;
	} cases[] = {{"a", 1, 'a'}, {"\x7f", 1, 0x7f}, {"\xc2\x80", 2, 0x80},
		{"\xdf\xbf", 2, 0x7ff}, {"\xe0\xa0\x80", 3, 0x800}, {"\xef\xbf\xbf", 3, 0xffff},
		{"\xf0\x90\x80\x80", 4, 0x10000}, {"\xf4\x8f\xbf\xbf", 4, 0x10ffff}};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		uint32_t c = 0;

		assert_int_equal(ch_utf8_next(cases[i].text, &c), cases[i].len);
		assert_int_equal(c, cases[i].c);
	}
}

static void what_is_no_utf8_is_refused(void **state)
{
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2",
		"\xc2z", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
		"\xff"};

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		uint32_t c = 'x';

		assert_int_equal(ch_utf8_next(bad[i], &c), 0);
		assert_int_equal(c, 'x');
	}
}

static void harmful_characters_are_told_from_others(void **state)
{
	static const uint32_t harmful[] = {0x1, 0xa, 0x1b, 0x7f, 0x80, 0x9f, 0x61c, 0x200b,
		0x200f, 0x2028, 0x202a, 0x202e, 0x2060, 0x2066, 0x2069, 0x206f, 0xad, 0x34f,
		0x1160, 0x180e, 0x3164, 0xffa0, 0xfff9, 0xfeff, 0xe0001, 0xe007f};
	static const uint32_t harmless[] = {' ', '~', 0xa0, 0xfc, 0xae, 0xfffc, 0xfffd, 0x2014,
		0x2030, 0x2070, 0x4f8b, 0x1f600, 0xe0080};

	for (size_t i = 0; i < CH_ARRAY_LEN(harmful); i++)
		assert_true(ch_utf8_is_harmful(harmful[i]));
	for (size_t i = 0; i < CH_ARRAY_LEN(harmless); i++)
		assert_false(ch_utf8_is_harmful(harmless[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_are_decoded),
		cmocka_unit_test(what_is_no_utf8_is_refused),
		cmocka_unit_test(harmful_characters_are_told_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
