/* When things are tried again and renewed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "issuerd/ladder.h"

static struct ch_issuer_config config = {
	.ladder_ms = {CH_MINUTE_MS, 10 * CH_MINUTE_MS, 100 * CH_MINUTE_MS, CH_DAY_MS},
	.n_ladder = 4,
	.retry_jitter_percent = 20,
	.poll_interval_ms = 500,
	.renew_left_percent = 33,
	.renew_jitter_percent = 5,
};

static void the_ladder_climbs_and_its_last_rung_repeats(void **state)
{
	for (uint64_t failures = 0; failures < 50; failures++) {
		int64_t rung = config.ladder_ms[failures < 4 ? failures : 3];
		int64_t wait_ms = ch_ladder_wait_ms(&config, &config.cas[0].limits.failures,
			"shop.test", failures, failures);

		assert_in_range(wait_ms, rung / 100 * 80, rung / 100 * 120);
	}
	assert_true(ch_ladder_wait_ms(&config, &config.cas[0].limits.failures, "shop.test",
			    UINT64_MAX, 1) > 0);
}

static void who_is_about_to_expire_is_tried_more_often(void **state)
{
	int64_t left_ms = CH_DAY_MS;
	int tries = 0;

	for (; left_ms > 0; tries++) {
		int64_t wait_ms = ch_urgent_wait_ms(CH_DAY_MS, left_ms);

		assert_true(wait_ms <= CH_DAY_MS / 4 && wait_ms >= 30 * CH_MINUTE_MS);
		left_ms -= wait_ms;
	}
	assert_in_range(tries, 12, 20);
	/* What has time, and what has nothing to lose, waits as it did. */
	assert_int_equal(ch_urgent_wait_ms(CH_DAY_MS, 4 * CH_DAY_MS), CH_DAY_MS);
	assert_int_equal(ch_urgent_wait_ms(CH_MINUTE_MS, CH_DAY_MS), CH_MINUTE_MS);
	assert_int_equal(ch_urgent_wait_ms(CH_DAY_MS, 0), CH_DAY_MS);
	assert_int_equal(ch_urgent_wait_ms(CH_DAY_MS, -1), CH_DAY_MS);
}

static void who_has_moved_is_looked_at_ever_more_rarely(void **state)
{
	int64_t before_ms = 0;

	config.preflight_ladder_ms[0] = CH_HOUR_MS;
	config.n_preflight_ladder = 1;
	config.retry_jitter_percent = 0;
	assert_int_equal(ch_moved_wait_ms(&config, "a.test", CH_SECOND_MS, 1), CH_HOUR_MS);
	for (int64_t away_ms = CH_DAY_MS; away_ms < 1000 * CH_DAY_MS; away_ms *= 2) {
		int64_t wait_ms = ch_moved_wait_ms(&config, "a.test", away_ms, 1);

		assert_true(wait_ms >= before_ms && wait_ms >= CH_HOUR_MS);
		assert_true(wait_ms <= 30 * CH_DAY_MS);
		before_ms = wait_ms;
	}
	assert_int_equal(before_ms, 30 * CH_DAY_MS);
	config.retry_jitter_percent = 20;
}

static void the_ladders_jitter_spreads_names_and_can_be_off(void **state)
{
	int64_t one =
		ch_ladder_wait_ms(&config, &config.cas[0].limits.failures, "a.test", 1, 1);

	assert_int_equal(one,
		ch_ladder_wait_ms(&config, &config.cas[0].limits.failures, "a.test", 1, 1));
	assert_int_not_equal(one,
		ch_ladder_wait_ms(&config, &config.cas[0].limits.failures, "b.test", 1, 1));
	assert_int_not_equal(one,
		ch_ladder_wait_ms(&config, &config.cas[0].limits.failures, "a.test", 1, 2));
	config.retry_jitter_percent = 0;
	assert_int_equal(
		ch_ladder_wait_ms(&config, &config.cas[0].limits.failures, "a.test", 1, 1),
		10 * CH_MINUTE_MS);
	config.retry_jitter_percent = 20;
}

static void the_spread_is_even(void **state)
{
	int buckets[10] = {0};
	char name[40];

	for (int i = 0; i < 10000; i++) {
		double at;

		snprintf(name, sizeof(name), "n%d.example.com", i);
		at = ch_spread(name, 0);
		assert_true(at >= 0 && at < 1);
		buckets[(int)(at * 10)]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(buckets[i], 850, 1150);
}

static void waits_double_up_to_their_most(void **state)
{
	assert_int_equal(ch_poll_wait_ms(&config, 0), 100);
	assert_int_equal(ch_poll_wait_ms(&config, 1), 500);
	assert_int_equal(ch_poll_wait_ms(&config, 4), 4000);
	assert_int_equal(ch_poll_wait_ms(&config, 1000000), 30000);
	assert_int_equal(ch_edges_wait_ms(0), 250);
	assert_int_equal(ch_edges_wait_ms(1000000), 5000);
	assert_int_equal(ch_probe_wait_ms(0), 1000);
	assert_int_equal(ch_probe_wait_ms(1000), CH_MINUTE_MS);
}

static void some_errors_cost_seconds_and_many_hours(void **state)
{
	int64_t sum_ms = 0;
	int64_t before_ms = 0;

	for (uint64_t attempts = 1; attempts <= 9; attempts++) {
		int64_t wait_ms = ch_error_wait_ms(attempts, 0);

		assert_true(wait_ms >= 2 * before_ms);
		assert_in_range(ch_error_wait_ms(attempts, 0.999), wait_ms * 1499 / 1000 - 1,
			wait_ms * 3 / 2);
		before_ms = wait_ms;
		sum_ms += wait_ms;
		if (attempts == 5)
			assert_true(sum_ms < 35 * CH_SECOND_MS);
	}
	assert_true(sum_ms > CH_HOUR_MS);
	assert_int_equal(ch_error_wait_ms(0, 0), CH_SECOND_MS);
	assert_int_equal(ch_error_wait_ms(10, 0), CH_HOUR_MS);
	assert_int_equal(ch_error_wait_ms(UINT64_MAX, 0), CH_HOUR_MS);
}

#define BEGIN INT64_C(1800000000)

#define LET_SET ((struct ch_limit){.size = 5, .refill_us = INT64_C(34) * 3600 * 1000000})

static struct ch_calendar_span span_of(
	int64_t life_s, const struct ch_limit *set, int64_t start_ms, int64_t end_ms)
{
	const struct ch_renewal renewal = {.not_before_ms = BEGIN * 1000,
		.not_after_ms = (BEGIN + life_s) * 1000,
		.issued_ms = BEGIN * 1000,
		.start_ms = start_ms,
		.end_ms = end_ms};
	struct ch_calendar_span span;

	ch_renew_span(&config, set, &renewal, BEGIN * 1000, &span);
	assert_true(span.from_ms <= span.until_ms);
	return span;
}

/* In thousandths of the lifetime that is over. */
static int64_t over(int64_t at_ms, int64_t life_s)
{
	return (at_ms - BEGIN * 1000) / life_s;
}

static void a_renewal_is_due_at_a_third_and_may_come_before(void **state)
{
	static const int64_t days[] = {45, 64, 90};
	const struct ch_limit none = {0};

	for (size_t i = 0; i < 3; i++) {
		struct ch_calendar_span span = span_of(days[i] * 86400, &none, 0, 0);

		assert_int_equal(over(span.from_ms, days[i] * 86400), 100);
		assert_int_equal(over(span.until_ms, days[i] * 86400), 670);
	}
}

static void short_lives_are_renewed_at_half_but_keep_the_limit_of_the_set(void **state)
{
	const struct ch_limit none = {0};
	const struct ch_limit set = LET_SET;
	struct ch_calendar_span span = span_of(6 * 86400, &none, 0, 0);

	assert_int_equal(over(span.from_ms, 6 * 86400), 100);
	assert_int_equal(over(span.until_ms, 6 * 86400), 500);
	span = span_of(6 * 86400, &set, 0, 0);
	assert_int_equal(span.from_ms, (BEGIN + 34 * 3600) * 1000);
	assert_int_equal(over(span.until_ms, 6 * 86400), 500);
}

static void what_no_hours_level_is_spread_by_the_jitter(void **state)
{
	const struct ch_limit none = {0};
	const struct ch_limit set = LET_SET;
	struct ch_calendar_span span = span_of(1000, &none, 0, 0);

	assert_int_equal(over(span.from_ms, 1000), 450);
	assert_int_equal(over(span.until_ms, 1000), 500);
	/* The limit of the set does not let a certificate end. */
	span = span_of(1000, &set, 0, 0);
	assert_int_equal(over(span.from_ms, 1000), 450);
	config.renew_left_percent = 90;
	config.renew_jitter_percent = 50;
	span = span_of(90 * 86400, &none, 0, 0);
	assert_true(over(span.from_ms, 90 * 86400) >= 10);
	assert_int_equal(over(span.until_ms, 90 * 86400), 100);
	config.renew_left_percent = 33;
	config.renew_jitter_percent = 5;
}

/* What a CA may say, in days from the beginning of a certificate of 90. */
static void windows_of_a_hostile_ca_are_bounded(void **state)
{
	static const struct {
		int64_t start_day;
		int64_t end_day;
		int64_t until; /* thousandths */
	} rows[] = {
		{59, 61, 666},
		{5, 7, 66},
		{70, 80, 833}, /* later than ours: up to half of what would be left */
		{3000000, 3000001, 835},
		{-20000, -19999, 10},
		{-1, 1, 10},
		{61, 59, 670}, /* ends before it begins */
		{61, 61, 670},
	};
	const struct ch_limit none = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ch_calendar_span span =
			span_of(90 * 86400, &none, (BEGIN + rows[i].start_day * 86400) * 1000,
				(BEGIN + rows[i].end_day * 86400) * 1000);

		assert_int_equal(over(span.until_ms, 90 * 86400), rows[i].until);
		assert_true(over(span.from_ms, 90 * 86400) >= 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ladder_climbs_and_its_last_rung_repeats),
		cmocka_unit_test(who_is_about_to_expire_is_tried_more_often),
		cmocka_unit_test(who_has_moved_is_looked_at_ever_more_rarely),
		cmocka_unit_test(the_ladders_jitter_spreads_names_and_can_be_off),
		cmocka_unit_test(the_spread_is_even),
		cmocka_unit_test(waits_double_up_to_their_most),
		cmocka_unit_test(some_errors_cost_seconds_and_many_hours),
		cmocka_unit_test(a_renewal_is_due_at_a_third_and_may_come_before),
		cmocka_unit_test(short_lives_are_renewed_at_half_but_keep_the_limit_of_the_set),
		cmocka_unit_test(what_no_hours_level_is_spread_by_the_jitter),
		cmocka_unit_test(windows_of_a_hostile_ca_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
