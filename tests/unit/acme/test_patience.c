#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acme/patience.h"

#define MOST_MS 30000

static struct ch_acme_patience patience;

static int set_up(void **state)
{
	patience = (struct ch_acme_patience){0};
	return 0;
}

static void answered(int n, int64_t took_ms)
{
	for (int i = 0; i < n; i++)
		ch_acme_patience_answered(&patience, took_ms);
}

static int64_t wait_ms(void)
{
	return ch_acme_patience_ms(&patience, MOST_MS);
}

static void one_that_is_not_known_gets_all_of_it(void **state)
{
	assert_int_equal(wait_ms(), MOST_MS);
	answered(15, 20);
	assert_int_equal(wait_ms(), MOST_MS);
}

static void a_quick_one_gets_five_seconds(void **state)
{
	answered(16, 20);
	assert_int_equal(wait_ms(), 5000);
	answered(1000, 0);
	assert_int_equal(wait_ms(), 5000);
}

static void a_slow_answer_is_remembered_for_a_while(void **state)
{
	answered(16, 20);
	answered(1, 800);
	assert_int_equal(wait_ms(), 16000);
	answered(20, 20);
	assert_in_range(wait_ms(), 10000, 15999);
	answered(200, 20);
	assert_int_equal(wait_ms(), 5000);
}

static void nobody_gets_more_than_all_of_it(void **state)
{
	answered(16, 2000);
	assert_int_equal(wait_ms(), MOST_MS);
	assert_int_equal(ch_acme_patience_ms(&patience, 1000), 1000);
	answered(1000, 0);
	assert_int_equal(ch_acme_patience_ms(&patience, 1000), 1000);
}

static void one_that_is_late_gets_twice_as_long(void **state)
{
	answered(16, 20);
	ch_acme_patience_late(&patience, 5000);
	assert_int_equal(wait_ms(), 10000);
	ch_acme_patience_late(&patience, 10000);
	assert_int_equal(wait_ms(), 20000);
	ch_acme_patience_late(&patience, 20000);
	assert_int_equal(wait_ms(), MOST_MS);
}

static void those_that_are_late_together_teach_it_once(void **state)
{
	answered(16, 20);
	for (int i = 0; i < 16; i++)
		ch_acme_patience_late(&patience, 5000);
	assert_int_equal(wait_ms(), 10000);
	answered(100, 20);
	assert_int_equal(wait_ms(), 5000);
}

static void what_is_late_now_and_then_changes_little(void **state)
{
	answered(16, 20);
	for (int i = 0; i < 100; i++) {
		ch_acme_patience_late(&patience, wait_ms());
		answered(50, 20);
		assert_in_range(wait_ms(), 5000, 6000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_that_is_not_known_gets_all_of_it, set_up),
		cmocka_unit_test_setup(a_quick_one_gets_five_seconds, set_up),
		cmocka_unit_test_setup(a_slow_answer_is_remembered_for_a_while, set_up),
		cmocka_unit_test_setup(nobody_gets_more_than_all_of_it, set_up),
		cmocka_unit_test_setup(one_that_is_late_gets_twice_as_long, set_up),
		cmocka_unit_test_setup(those_that_are_late_together_teach_it_once, set_up),
		cmocka_unit_test_setup(what_is_late_now_and_then_changes_little, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
