/* Where the records of DNS challenges are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "wire/delegate.h"

static const char zone[] = "acme.platform.example";

static void a_name_and_its_wildcard_share_a_place(void **state)
{
	char plain[CH_NAME_TEXT_B];
	char wildcard[CH_NAME_TEXT_B];

	assert_int_equal(ch_delegate_owner("shop.example", plain), CH_OK);
	assert_string_equal(plain, "_acme-challenge.shop.example");
	assert_int_equal(ch_delegate_owner("*.shop.example", wildcard), CH_OK);
	assert_string_equal(wildcard, plain);
	assert_int_equal(ch_delegate_target("shop.example", zone, plain), CH_OK);
	assert_int_equal(ch_delegate_target("*.shop.example", zone, wildcard), CH_OK);
	assert_string_equal(plain, wildcard);
	assert_int_equal(strncmp(plain, "shop-example-", 13), 0);
	assert_string_equal(plain + strlen(plain) - strlen(zone) - 1, ".acme.platform.example");
}

static void names_that_look_alike_do_not(void **state)
{
	char one[CH_NAME_TEXT_B];
	char other[CH_NAME_TEXT_B];

	assert_int_equal(ch_delegate_target("a.b.example", zone, one), CH_OK);
	assert_int_equal(ch_delegate_target("a-b.example", zone, other), CH_OK);
	assert_string_not_equal(one, other);
}

static void a_long_name_has_a_short_label(void **state)
{
	char name[CH_NAME_TEXT_B];
	char target[CH_NAME_TEXT_B];
	size_t len = 0;

	for (int i = 0; i < 4; i++)
		len += (size_t)snprintf(name + len, sizeof(name) - len, "%.*s.", 55,
			"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabc");
	strcpy(name + len, "example");
	assert_int_equal(ch_delegate_target(name, zone, target), CH_OK);
	assert_true(strcspn(target, ".") <= CH_DELEGATE_LABEL_MAX);
	/* With the label in front it is longer than a name may be. */
	memmove(name + 18, name, strlen(name) + 1);
	memcpy(name, "abcdefghijklmnopq.", 18);
	assert_int_equal(ch_delegate_owner(name, target), CH_ETOOBIG);
}

static void a_zone_is_a_host_name_with_room(void **state)
{
	static const char *const bad[] = {"", ".", "a..b", "*.platform.example", "a b.example"};
	char read[CH_NAME_TEXT_B];
	char text[260];

	assert_int_equal(ch_delegate_zone("ACME.Platform.Example.", read), CH_OK);
	assert_string_equal(read, zone);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(ch_delegate_zone(bad[i], read), CH_EINVAL);
	memset(text, 'a', sizeof(text));
	for (size_t i = 40; i < 240; i += 40)
		text[i] = '.';
	text[239] = 0;
	assert_int_equal(ch_delegate_zone(text, read), CH_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_and_its_wildcard_share_a_place),
		cmocka_unit_test(names_that_look_alike_do_not),
		cmocka_unit_test(a_long_name_has_a_short_label),
		cmocka_unit_test(a_zone_is_a_host_name_with_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
