/* For how long nobody asks a CA for an order whose limit is reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "issuerd/ca.h"

static struct ch_hold hold;
static int64_t now_ms;

static int64_t virtual_now(void *arg)
{
	return now_ms;
}

static int set_up(void **state)
{
	now_ms = INT64_C(1800000000000);
	ch_clock_set(virtual_now, NULL);
	ch_hold_init(&hold);
	return 0;
}

static int tear_down(void **state)
{
	ch_clock_set(NULL, NULL);
	ch_hold_done(&hold);
	return 0;
}

static bool passes(void)
{
	struct ch_acme_answer ans = {0};
	bool pass = ch_hold_pass(&hold, &ans);

	assert_int_equal(ans.fate, pass ? CH_ACME_OK : CH_ACME_LIMITED);
	assert_int_equal(ans.retry_at_ms, pass ? 0 : hold.until_ms);
	return pass;
}

/* The wait that follows. */
static int64_t note(int64_t retry_at_ms)
{
	struct ch_acme_answer ans = {.fate = CH_ACME_LIMITED,
		.retry_at_ms = retry_at_ms ? retry_at_ms : now_ms + CH_DAY_MS,
		.err.retry_at_ms = retry_at_ms,
		.retry_guessed = retry_at_ms == 0};
	int64_t until_ms = ch_hold_note(&hold, &ans);

	assert_int_equal(ans.err.retry_at_ms, ans.retry_at_ms);
	/* The order waits as long as the CA has said. */
	assert_int_equal(ans.retry_at_ms, retry_at_ms > until_ms ? retry_at_ms : until_ms);
	return until_ms - now_ms;
}

static void guesses_grow_to_an_hour(void **state)
{
	assert_true(passes());
	for (int64_t minutes = 1; minutes < 1000; minutes *= 2) {
		int64_t expected_ms = (minutes < 60 ? minutes : 60) * CH_MINUTE_MS;

		/* Those that were under way together count as one. */
		for (int thread = 0; thread < 16; thread++)
			assert_int_equal(note(0), expected_ms);
		now_ms += expected_ms - 1;
		assert_false(passes());
		now_ms++;
		assert_true(passes());
	}
}

static void an_order_ends_the_row(void **state)
{
	assert_int_equal(note(0), CH_MINUTE_MS);
	/* It was under way when the limit was met. */
	ch_hold_end(&hold);
	assert_false(passes());
	now_ms += CH_MINUTE_MS;
	assert_int_equal(note(0), 2 * CH_MINUTE_MS);
	now_ms += 2 * CH_MINUTE_MS;
	ch_hold_end(&hold);
	assert_int_equal(note(0), CH_MINUTE_MS);
}

static void the_cas_own_time_is_no_guess(void **state)
{
	assert_int_equal(note(now_ms + 5 * CH_SECOND_MS), 5 * CH_SECOND_MS);
	assert_int_equal(note(now_ms + CH_HOUR_MS), CH_HOUR_MS);
	/* A later answer to an earlier question takes nothing back. */
	assert_int_equal(note(now_ms + CH_SECOND_MS), CH_HOUR_MS);
	now_ms += CH_HOUR_MS;
	assert_true(passes());
	assert_int_equal(note(0), CH_MINUTE_MS);
}

/* One order that the CA does not want, in words that nobody knows, does not stop an account. */
static void a_day_is_an_hour(void **state)
{
	assert_int_equal(note(now_ms + CH_DAY_MS), CH_HOUR_MS);
	now_ms += CH_HOUR_MS - 1;
	assert_false(passes());
	now_ms++;
	assert_true(passes());
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guesses_grow_to_an_hour),
		T(an_order_ends_the_row),
		T(the_cas_own_time_is_no_guess),
		T(a_day_is_an_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
