#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "issuerd/habit.h"

#define INTERVAL_MS 500

static struct ch_habit habit;

static int set_up(void **state)
{
	habit = (struct ch_habit){0};
	return 0;
}

static void note(int n, bool done)
{
	for (int i = 0; i < n; i++)
		ch_habit_note(&habit, INTERVAL_MS, done);
}

static int64_t wait_ms(void)
{
	return ch_habit_wait_ms(&habit, INTERVAL_MS);
}

static void it_begins_with_a_fifth(void **state)
{
	assert_int_equal(wait_ms(), INTERVAL_MS / 5);
	assert_false(ch_habit_is_sure(&habit));
}

static void a_quick_one_is_looked_at_sooner(void **state)
{
	note(20, true);
	assert_in_range(wait_ms(), INTERVAL_MS / 25 + 1, INTERVAL_MS / 5 - 1);
	note(1000, true);
	assert_int_equal(wait_ms(), INTERVAL_MS / 25);
}

static void a_slow_one_is_looked_at_later(void **state)
{
	note(1, false);
	assert_int_equal(wait_ms(), INTERVAL_MS * 3 / 10);
	note(100, false);
	assert_int_equal(wait_ms(), INTERVAL_MS);
	/* One that is slow no longer is not waited for for ever. */
	note(200, true);
	assert_in_range(wait_ms(), INTERVAL_MS / 25, INTERVAL_MS / 10);
}

static void the_shortest_interval_works_too(void **state)
{
	assert_int_equal(ch_habit_wait_ms(&habit, 10), 2);
	for (int i = 0; i < 1000; i++)
		ch_habit_note(&habit, 10, true);
	assert_int_equal(ch_habit_wait_ms(&habit, 10), 0);
	ch_habit_note(&habit, 10, false);
	assert_true(ch_habit_wait_ms(&habit, 10) <= 10);
}

static void one_becomes_sure_slowly_and_unsure_soon(void **state)
{
	note(15, true);
	assert_false(ch_habit_is_sure(&habit));
	note(1, true);
	assert_true(ch_habit_is_sure(&habit));
	note(1000, true);
	note(2, false);
	assert_true(ch_habit_is_sure(&habit));
	note(1, false);
	assert_false(ch_habit_is_sure(&habit));
	note(1000, false);
	note(16, true);
	assert_true(ch_habit_is_sure(&habit));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_begins_with_a_fifth, set_up),
		cmocka_unit_test_setup(a_quick_one_is_looked_at_sooner, set_up),
		cmocka_unit_test_setup(a_slow_one_is_looked_at_later, set_up),
		cmocka_unit_test_setup(the_shortest_interval_works_too, set_up),
		cmocka_unit_test_setup(one_becomes_sure_slowly_and_unsure_soon, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
