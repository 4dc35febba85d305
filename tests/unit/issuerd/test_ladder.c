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
	assert_int_equal(ch_error_wait_ms(2000, 1), 2000);
	assert_int_equal(ch_error_wait_ms(2000, 2), 4000);
	assert_int_equal(ch_error_wait_ms(2000, UINT64_MAX), CH_HOUR_MS);
}

#define BEGIN INT64_C(1800000000)

static double left_share(const char *name, int64_t life_s)
{
	int64_t at_ms = ch_renew_at_ms(&config, name, BEGIN, BEGIN + life_s);

	return (double)((BEGIN + life_s) * 1000 - at_ms) / ((double)life_s * 1000);
}

static void renewal_comes_at_a_third_and_is_spread(void **state)
{
	double low = 1;
	double high = 0;
	char name[40];

	for (int i = 0; i < 1000; i++) {
		double left;

		snprintf(name, sizeof(name), "n%d.example.com", i);
		left = left_share(name, 90 * 86400);
		low = left < low ? left : low;
		high = left > high ? left : high;
	}
	assert_true(low >= 0.33 && low < 0.332);
	assert_true(high <= 0.38 && high > 0.378);
	assert_true(left_share("a.test", 90 * 86400) == left_share("a.test", 90 * 86400));
}

static void short_lives_are_renewed_at_half(void **state)
{
	double left = left_share("a.test", 6 * 86400);

	assert_true(left >= 0.50 && left <= 0.55);
	left = left_share("a.test", 10 * 86400);
	assert_true(left >= 0.33 && left <= 0.38);
}

static void renewal_never_comes_at_once(void **state)
{
	config.renew_left_percent = 90;
	config.renew_jitter_percent = 50;
	assert_true(left_share("a.test", 90 * 86400) <= 0.9);
	config.renew_left_percent = 33;
	config.renew_jitter_percent = 5;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ladder_climbs_and_its_last_rung_repeats),
		cmocka_unit_test(who_has_moved_is_looked_at_ever_more_rarely),
		cmocka_unit_test(the_ladders_jitter_spreads_names_and_can_be_off),
		cmocka_unit_test(the_spread_is_even),
		cmocka_unit_test(waits_double_up_to_their_most),
		cmocka_unit_test(renewal_comes_at_a_third_and_is_spread),
		cmocka_unit_test(short_lives_are_renewed_at_half),
		cmocka_unit_test(renewal_never_comes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
