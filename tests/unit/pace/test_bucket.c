/* Token buckets, limits and their presets, waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "pace/limits.h"
#include "pace/retry.h"

#define T0 (INT64_C(20000) * CH_DAY_MS)

static struct ch_limit limit_of(const char *text)
{
	struct ch_limit limit;

	assert_int_equal(ch_limit_parse(text, &limit), CH_OK);
	return limit;
}

static void a_bucket_is_full_at_first_and_refills_steadily(void **state)
{
	struct ch_limit limit = limit_of("300/3h");
	struct ch_bucket bucket = {0};

	for (int i = 0; i < 300; i++)
		assert_true(ch_bucket_take(&bucket, &limit, T0));
	assert_false(ch_bucket_take(&bucket, &limit, T0));
	assert_int_equal(ch_bucket_ready_at_ms(&bucket, &limit, 1, T0), T0 + 36000);
	assert_int_equal(ch_bucket_ready_at_ms(&bucket, &limit, 300, T0), T0 + 3 * CH_HOUR_MS);
	assert_int_equal(ch_bucket_ready_at_ms(&bucket, &limit, 999, T0), T0 + 3 * CH_HOUR_MS);
	assert_false(ch_bucket_take(&bucket, &limit, T0 + 35999));
	ch_bucket_give_back(&bucket, &limit);
	assert_int_equal(ch_bucket_level(&bucket, &limit, T0), 1);
	assert_true(ch_bucket_take(&bucket, &limit, T0));
	assert_true(ch_bucket_take(&bucket, &limit, T0 + 36000));
	assert_int_equal(ch_bucket_level(&bucket, &limit, T0 + 3 * CH_HOUR_MS), 299);
	assert_int_equal(ch_bucket_level(&bucket, &limit, T0 + CH_DAY_MS), 300);
}

/* The other way to write it, with a number of tokens: both must agree at any time. */
static void a_bucket_does_what_a_counter_does(void **state)
{
	struct ch_limit limit = limit_of("7/700s");
	struct ch_bucket bucket = {0};
	int64_t tokens_ms = 700000; /* one is 100,000 */
	int64_t now_ms = T0;

	srandom(1);
	for (int i = 0; i < 100000; i++) {
		int64_t step_ms = random() % (i % 1000 < 500 ? 60000 : 300000);
		bool has;

		now_ms += step_ms;
		tokens_ms += step_ms;
		tokens_ms = tokens_ms < 700000 ? tokens_ms : 700000;
		has = tokens_ms >= 100000;
		assert_int_equal(ch_bucket_level(&bucket, &limit, now_ms), tokens_ms / 100000);
		assert_int_equal(
			ch_bucket_ready_at_ms(&bucket, &limit, 1, now_ms) <= now_ms, has);
		assert_int_equal(ch_bucket_take(&bucket, &limit, now_ms), has);
		tokens_ms -= has ? 100000 : 0;
	}
}

static void a_bucket_learns_and_never_unlearns(void **state)
{
	struct ch_limit limit = limit_of("5/7d");
	struct ch_bucket bucket = {0};

	ch_bucket_learn(&bucket, &limit, T0 + CH_HOUR_MS);
	assert_false(ch_bucket_take(&bucket, &limit, T0 + CH_HOUR_MS - 1));
	assert_int_equal(ch_bucket_ready_at_ms(&bucket, &limit, 1, T0), T0 + CH_HOUR_MS);
	ch_bucket_learn(&bucket, &limit, T0);
	assert_int_equal(ch_bucket_ready_at_ms(&bucket, &limit, 1, T0), T0 + CH_HOUR_MS);
	assert_true(ch_bucket_take(&bucket, &limit, T0 + CH_HOUR_MS));
	assert_false(ch_bucket_take(&bucket, &limit, T0 + CH_HOUR_MS));
}

static void no_limit_is_never_in_the_way(void **state)
{
	struct ch_limit limit = limit_of("none");
	struct ch_bucket bucket = {0};
	char text[CH_LIMIT_TEXT_B];

	ch_bucket_learn(&bucket, &limit, T0 + CH_DAY_MS);
	for (int i = 0; i < 1000; i++)
		assert_true(ch_bucket_take(&bucket, &limit, T0));
	assert_int_equal(ch_bucket_ready_at_ms(&bucket, &limit, 5, T0), T0);
	assert_string_equal(ch_limit_str(&limit, text), "none");
}

static void limits_are_read_and_written(void **state)
{
	static const char *const bad[] = {"", "0/3h", "-1/3h", "300", "300/", "300/0s", "/3h",
		"300/3x", "300 /3h", "300/3h ", "100000001/1d", "99999999999999999999/1d",
		"5/1000d", "None"};
	struct ch_limit limit = limit_of("300/3h");
	char text[CH_LIMIT_TEXT_B];

	assert_string_equal(ch_limit_str(&limit, text), "300 in 3h 0m");
	assert_int_equal(ch_limit_with_margin(&limit).size, 294);
	limit = limit_of("5/7d");
	assert_int_equal(ch_limit_with_margin(&limit).size, 4);
	limit = limit_of("1/7d");
	assert_int_equal(ch_limit_with_margin(&limit).size, 1);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_limit_parse(bad[i], &limit), CH_EINVAL);
}

static int read_limits(const char *text, struct ch_limits *limits, struct ch_err *err)
{
	CH_AUTO_CONF struct ch_conf *conf = NULL;

	assert_int_equal(ch_conf_parse(text, strlen(text), "/etc", &conf, err), CH_OK);
	ch_limits_read(conf, "ca", "generic", limits);
	return ch_conf_finish_all(conf, err);
}

static void presets_have_overrides(void **state)
{
	struct ch_limits limits;
	struct ch_err err;

	assert_int_equal(read_limits("[ca]\nlimits = letsencrypt\n", &limits, &err), CH_OK);
	assert_int_equal(limits.account.size, 300);
	assert_int_equal(limits.account.refill_us, 36000000);
	assert_int_equal(limits.domain.size, 50);
	assert_int_equal(
		read_limits("[ca]\nlimits = letsencrypt\norders_per_account = 90000/1d\n"
			    "certificates_per_set = none\n",
			&limits, &err),
		CH_OK);
	assert_int_equal(limits.account.refill_us, 960000);
	assert_int_equal(limits.set.size, 0);
	assert_int_equal(read_limits("[ca]\nlimits = letsdecrypt\n", &limits, &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "letsencrypt-staging"));
	assert_int_equal(
		read_limits("[ca]\nfailures_per_name = 5\n", &limits, &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "failures_per_name"));
}

/* Only Let's Encrypt documents that it exempts renewals. */
static void renewals_are_exempt_where_the_ca_says_so(void **state)
{
	static const struct {
		const char *text;
		bool exempt;
	} of[] = {{"limits = letsencrypt", true}, {"limits = letsencrypt-staging", true},
		{"limits = zerossl", false}, {"limits = google", false},
		{"limits = generic", false}, {"limits = generic\nrenewals_exempt = yes", true},
		{"limits = letsencrypt\nrenewals_exempt = no", false},
		{"limits = letsencrypt\nrenewals_exempt =", true}};
	struct ch_limits limits;
	struct ch_err err;

	for (size_t i = 0; i < CH_ARRAY_LEN(of); i++) {
		char text[100];

		snprintf(text, sizeof(text), "[ca]\n%s\n", of[i].text);
		assert_int_equal(read_limits(text, &limits, &err), CH_OK);
		assert_int_equal(limits.renewals_exempt, of[i].exempt);
	}
	assert_int_equal(
		read_limits("[ca]\nrenewals_exempt = maybe\n", &limits, &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "renewals_exempt"));
}

static void waits_double_up_to_a_most(void **state)
{
	static const int64_t rungs_ms[] = {1000, 2000};
	const struct ch_ladder ladder = {rungs_ms, 2, 10};

	assert_int_equal(ch_outage_wait_ms(0), CH_SECOND_MS);
	assert_int_equal(ch_outage_wait_ms(1), CH_SECOND_MS);
	assert_int_equal(ch_outage_wait_ms(4), 8 * CH_SECOND_MS);
	assert_int_equal(ch_outage_wait_ms(4000000), CH_MINUTE_MS);
	assert_int_equal(ch_ladder_rung_ms(&ladder, 0, 0.5), 1000);
	assert_int_equal(ch_ladder_rung_ms(&ladder, 9, 0), 1800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_is_full_at_first_and_refills_steadily),
		cmocka_unit_test(a_bucket_does_what_a_counter_does),
		cmocka_unit_test(a_bucket_learns_and_never_unlearns),
		cmocka_unit_test(no_limit_is_never_in_the_way),
		cmocka_unit_test(limits_are_read_and_written),
		cmocka_unit_test(presets_have_overrides),
		cmocka_unit_test(renewals_are_exempt_where_the_ca_says_so),
		cmocka_unit_test(waits_double_up_to_a_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
