#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "up/backoff.h"

static void waits_double_up_to_the_most(void **state)
{
	static const int64_t want[] = {250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
	struct ch_backoff b = {0};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(ch_backoff_next(&b, 10), want[i]);
}

static void a_long_life_begins_again(void **state)
{
	struct ch_backoff b = {.wait_ms = CH_BACKOFF_MOST_MS};

	assert_int_equal(ch_backoff_next(&b, CH_BACKOFF_RESET_MS - 1), CH_BACKOFF_MOST_MS);
	assert_int_equal(ch_backoff_next(&b, CH_BACKOFF_RESET_MS), CH_BACKOFF_FIRST_MS);
	assert_int_equal(ch_backoff_next(&b, 0), 2 * CH_BACKOFF_FIRST_MS);
}

static void what_a_person_must_mend_waits_longest_and_then_it_begins_again(void **state)
{
	struct ch_backoff b = {.wait_ms = 1000};

	assert_int_equal(ch_backoff_longest(&b), CH_BACKOFF_MOST_MS);
	assert_int_equal(ch_backoff_longest(&b), CH_BACKOFF_MOST_MS);
	assert_int_equal(ch_backoff_next(&b, 10), CH_BACKOFF_FIRST_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_double_up_to_the_most),
		cmocka_unit_test(a_long_life_begins_again),
		cmocka_unit_test(
			what_a_person_must_mend_waits_longest_and_then_it_begins_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
