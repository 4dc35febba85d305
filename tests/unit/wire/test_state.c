#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/state.h"

static void words_round_trip(void **state)
{
	for (int i = 0; i < CH_NAME_STATE_COUNT; i++) {
		enum ch_name_state back;

		assert_int_equal(
			ch_name_state_parse(ch_name_state_str((enum ch_name_state)i), &back),
			CH_OK);
		assert_int_equal(back, i);
	}
	for (int i = 0; i < CH_ORDER_STATE_COUNT; i++) {
		enum ch_order_state back;

		assert_int_equal(
			ch_order_state_parse(ch_order_state_str((enum ch_order_state)i), &back),
			CH_OK);
		assert_int_equal(back, i);
	}
	for (int i = 0; i < CH_ROLE_COUNT; i++) {
		enum ch_role back;

		assert_int_equal(ch_role_parse(ch_role_str((enum ch_role)i), &back), CH_OK);
		assert_int_equal(back, i);
	}
}

static void the_words_for_keys_round_trip(void **state)
{
	enum ch_key_type type;
	enum ch_keys keys;

	for (int i = 0; i < CH_KEY_TYPE_COUNT; i++) {
		assert_int_equal(
			ch_key_type_parse(ch_key_type_str((enum ch_key_type)i), &type), CH_OK);
		assert_int_equal(type, i);
	}
	for (int i = 0; i < CH_KEYS_COUNT; i++) {
		assert_int_equal(ch_keys_parse(ch_keys_str((enum ch_keys)i), &keys), CH_OK);
		assert_int_equal(keys, i);
	}
	assert_int_equal(ch_keys_first(CH_KEYS_BOTH), CH_KEY_ECDSA);
	assert_int_equal(ch_keys_first(CH_KEYS_RSA), CH_KEY_RSA);
	assert_int_equal(ch_keys_first(CH_KEYS_P384), CH_KEY_P384);
	assert_int_equal(ch_keys_first(CH_KEYS_P384_BOTH), CH_KEY_P384);
	assert_true(ch_keys_both(CH_KEYS_BOTH) && ch_keys_both(CH_KEYS_P384_BOTH));
	assert_false(ch_keys_both(CH_KEYS_RSA) || ch_keys_both(CH_KEYS_P384));
	assert_int_equal(ch_keys_parse("p256", &keys), CH_EINVAL);
	assert_int_equal(ch_keys_parse("rsa+ecdsa", &keys), CH_EINVAL);
	assert_int_equal(ch_key_type_parse("ecdsa+rsa", &type), CH_EINVAL);
}

static void other_words_are_refused(void **state)
{
	enum ch_name_state n;
	enum ch_order_state o;
	enum ch_role r;

	assert_int_equal(ch_name_state_parse("done", &n), CH_EINVAL);
	assert_int_equal(ch_order_state_parse("", &o), CH_EINVAL);
	assert_int_equal(ch_role_parse("Operator", &r), CH_EINVAL);
	assert_string_equal(ch_role_str((enum ch_role)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_round_trip),
		cmocka_unit_test(the_words_for_keys_round_trip),
		cmocka_unit_test(other_words_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
