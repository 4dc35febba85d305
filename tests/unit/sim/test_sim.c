/* The simulator: the scenarios of doc/scenarios in small, the CA's counters, what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "sim/engine.h"

/* The scenario of that file with texts replaced by shorter or as long ones. */
static void load(const char *file, const char *const (*changes)[2], size_t n,
	struct ch_scenario *scenario)
{
	CH_AUTO_FREE char *text = NULL;
	struct ch_err err;
	size_t len;

	assert_int_equal(ch_file_read(file, 65536, &text, &len, &err), CH_OK);
	for (size_t i = 0; i < n; i++) {
		char *at = strstr(text, changes[i][0]);
		size_t was = strlen(changes[i][0]);

		assert_non_null(at);
		assert_true(strlen(changes[i][1]) <= was);
		memset(at, ' ', was);
		memcpy(at, changes[i][1], strlen(changes[i][1]));
	}
	assert_int_equal(ch_scenario_parse(text, len, scenario, &err), CH_OK);
}

static void scenario_of(const char *text, struct ch_scenario *scenario)
{
	struct ch_err err = {0};

	if (ch_scenario_parse(text, strlen(text), scenario, &err))
		fail_msg("%s", err.detail);
}

static struct ch_sim_result run(
	const struct ch_scenario *scenario, const struct ch_sim_options *options)
{
	struct ch_sim_result result;

	assert_int_equal(ch_sim_run(scenario, options, &result), CH_OK);
	return result;
}

static uint64_t exceeded(const struct ch_sim_result *result)
{
	uint64_t sum = 0;

	for (int i = 0; i < CH_SIM_LIMIT_COUNT; i++)
		sum += result->exceeded[i];
	return sum;
}

static void a_small_year_loses_nothing_and_is_level(void **state)
{
	static const char *const changes[][2] = {
		{"names = 1000000", "names = 40000"}, {"150000/1d", "6000/1d"}};
	const struct ch_sim_options options = {0};
	struct ch_scenario scenario;
	struct ch_sim_result result;

	load(SCENARIOS "/year.conf", changes, CH_ARRAY_LEN(changes), &scenario);
	result = run(&scenario, &options);
	assert_int_equal(result.without, 0);
	assert_int_equal(ch_sim_expired_sum(&result.expired), 0);
	assert_int_equal(exceeded(&result), 0);
	assert_true(result.met_outage > 0 && result.failures > 0);
	assert_true(result.busiest > 1 && result.busiest <= 1.3);
	ch_sim_result_done(&result);
	ch_scenario_done(&scenario);
}

static void a_small_onboarding_keeps_to_its_forecast(void **state)
{
	static const char *const changes[][2] = {{"names = 300000", "names = 30000"},
		{"days = 150", "days = 20"}, {"at = 40d", "at = 9d"},
		{"for = 12h", "for = 6h"}};
	struct ch_scenario scenario;
	int64_t *real_ms;
	int64_t *forecast_ms;
	struct ch_sim_options options = {0};
	struct ch_sim_result result;
	double error;

	load(SCENARIOS "/onboarding.conf", changes, CH_ARRAY_LEN(changes), &scenario);
	real_ms = calloc(scenario.n_names, sizeof(*real_ms));
	forecast_ms = calloc(scenario.n_names, sizeof(*forecast_ms));
	assert_true(real_ms && forecast_ms);
	options = (struct ch_sim_options){
		.forecast = true, .seed = 99, .ret_first_ms = forecast_ms};
	result = run(&scenario, &options);
	assert_int_equal(result.met_outage, 0);
	assert_true(result.account_short_ms > 10 * CH_DAY_MS);
	ch_sim_result_done(&result);
	options = (struct ch_sim_options){.ret_first_ms = real_ms};
	result = run(&scenario, &options);
	assert_int_equal(exceeded(&result), 0);
	assert_int_equal(result.without, 0);
	/* The other tenant's name is not behind 30,000 others. */
	assert_int_equal(result.onboards[1].done, 1);
	assert_true(result.onboards[1].longest_ms < CH_MINUTE_MS);
	assert_int_equal(
		ch_sim_forecast_error(&scenario, forecast_ms, real_ms, 0.95, &error), CH_OK);
	assert_true(error <= 0.05);
	for (uint32_t i = 0; i < scenario.n_names; i++)
		real_ms[i] = -1;
	assert_int_equal(
		ch_sim_forecast_error(&scenario, forecast_ms, real_ms, 0.5, &error), CH_OK);
	assert_true(error == 1);
	ch_sim_result_done(&result);
	ch_scenario_done(&scenario);
	free(real_ms);
	free(forecast_ms);
}

/* Whatever turn an import is at: one comes every 37 seconds, and each eighth is a share. */
static void one_name_does_not_wait_for_an_import_whenever_it_comes(void **state)
{
	const struct ch_sim_options options = {0};

	for (int moment = 0; moment < 40; moment++) {
		struct ch_scenario scenario;
		struct ch_sim_result result;
		char text[256];

		snprintf(text, sizeof(text),
			"[simulation]\ndays=2\n[onboard shops]\nnames=10000\nclass=backlog\n"
			"[onboard newcomer]\nnames=1\nat=%ds\n",
			86400 + 17 * moment);
		scenario_of(text, &scenario);
		result = run(&scenario, &options);
		assert_true(result.account_short_ms > CH_DAY_MS);
		assert_int_equal(result.onboards[1].done, 1);
		if (result.onboards[1].longest_ms >= CH_MINUTE_MS)
			fail_msg("moment %d: %lld ms", moment,
				(long long)result.onboards[1].longest_ms);
		ch_sim_result_done(&result);
		ch_scenario_done(&scenario);
	}
}

static void a_ca_that_is_down_for_too_long_lets_all_expire_and_is_blamed(void **state)
{
	const struct ch_sim_options options = {0};
	struct ch_scenario scenario;
	struct ch_sim_result result;

	scenario_of("[simulation]\ndays=60\n[onboard a]\nnames=100\n[ca]\nlifetime=6d\n"
		    "[outage long]\nat=10d\nfor=20d\n",
		&scenario);
	result = run(&scenario, &options);
	/* Tries are few while it is down: most had no turn, and one at least was turned away.
	 */
	assert_int_equal(ch_sim_expired_sum(&result.expired), 100);
	assert_true(result.expired.by_outage > 0);
	assert_int_equal(result.expired.by_limit, 0);
	assert_int_equal(exceeded(&result), 0);
	ch_sim_result_done(&result);
	ch_scenario_done(&scenario);
}

static void the_same_seed_gives_the_same_run_and_names_of_one_domain_wait(void **state)
{
	const struct ch_sim_options options = {0};
	const struct ch_sim_options other = {.seed = 5};
	struct ch_scenario scenario;
	struct ch_sim_result a;
	struct ch_sim_result b;
	struct ch_sim_result c;

	scenario_of("[simulation]\ndays=60\n[ca]\nfailure_percent=10\n"
		    "[onboard a]\nnames=200\nnames_per_domain=200\n[onboard b]\nnames=20\n",
		&scenario);
	a = run(&scenario, &options);
	b = run(&scenario, &options);
	c = run(&scenario, &other);
	assert_int_equal(a.orders, b.orders);
	assert_memory_equal(a.hours, b.hours, a.n_hours * sizeof(*a.hours));
	assert_memory_not_equal(a.hours, c.hours, a.n_hours * sizeof(*a.hours));
	assert_true(a.parked > 0);
	assert_int_equal(exceeded(&a), 0);
	/* 49 at once, then one in 202 minutes; the names of other domains do not wait behind.
	 */
	assert_in_range(a.onboards[0].last_ms, 20 * CH_DAY_MS, 30 * CH_DAY_MS);
	assert_true(a.onboards[1].last_ms < 3 * CH_DAY_MS);
	ch_sim_result_done(&a);
	ch_sim_result_done(&b);
	ch_sim_result_done(&c);
	ch_scenario_done(&scenario);
}

/* Three in ten tries fail, so of those that are taken back one in a hundred fails four times in
 * a row, after which the ladder says a day: too late. */
static void what_a_ca_takes_back_is_replaced_in_time_however_it_fails(void **state)
{
	const struct ch_sim_options options = {0};
	struct ch_scenario scenario;
	struct ch_sim_result result;

	scenario_of("[simulation]\ndays=40\n[ca]\nfailure_percent=30\n"
		    "orders_per_account=none\n[onboard a]\nnames=2000\n"
		    "[revocation r]\nat=20d\npercent=100\nwithin=24h\n",
		&scenario);
	result = run(&scenario, &options);
	assert_true(result.certificates >= 4000);
	assert_int_equal(ch_sim_expired_sum(&result.expired), 0);
	assert_int_equal(exceeded(&result), 0);
	ch_sim_result_done(&result);
	ch_scenario_done(&scenario);
}

/* Renewals come before the new names, of the account and of a domain. */
static void where_renewals_count_they_take_their_turns(void **state)
{
	static const char text[] = "[simulation]\ndays=120\n[ca]\norders_per_account=60/1d\n"
				   "certificates_per_domain=20/1d\nlifetime=30d\nari=no\n"
				   "renewals_exempt=%s\n"
				   "[onboard old]\nnames=600\nover=20d\nnames_per_domain=100\n"
				   "[onboard more]\nat=40d\nnames=1500\nclass=backlog\n";
	const struct ch_sim_options options = {0};
	struct ch_sim_result result[2];

	for (int exempt = 0; exempt < 2; exempt++) {
		struct ch_scenario scenario;
		char of[sizeof(text) + 8];

		snprintf(of, sizeof(of), text, exempt ? "yes" : "no");
		scenario_of(of, &scenario);
		result[exempt] = run(&scenario, &options);
		assert_int_equal(exceeded(&result[exempt]), 0);
		assert_int_equal(ch_sim_expired_sum(&result[exempt].expired), 0);
		ch_scenario_done(&scenario);
	}
	/* What renewals take the new names do not have. */
	assert_true(
		result[0].onboards[1].last_ms > result[1].onboards[1].last_ms + 10 * CH_DAY_MS);
	ch_sim_result_done(&result[0]);
	ch_sim_result_done(&result[1]);
}

static void a_ca_that_exempts_none_counts_renewals(void **state)
{
	struct ch_scenario scenario;
	struct ch_sim_ca *ca;
	int64_t at_ms = 0;

	scenario_of("[ca]\norders_per_account=2/2h\ncertificates_per_set=none\n"
		    "certificates_per_domain=2/1d\nrenewals_exempt=no\n"
		    "[onboard a]\nnames=3\n",
		&scenario);
	assert_int_equal(ch_sim_ca_new(&scenario, &ca), CH_OK);
	assert_int_equal(ch_sim_ca_new_order(ca, 0, 0, 5, &at_ms), CH_SIM_LIMIT_NONE);
	(void)ch_sim_ca_issue(ca, 0, 0, 5);
	assert_int_equal(ch_sim_ca_new_order(ca, 0, 0, 5, &at_ms), CH_SIM_LIMIT_NONE);
	assert_int_equal(ch_sim_ca_new_order(ca, 0, 0, 5, &at_ms), CH_SIM_LIMIT_ACCOUNT);
	(void)ch_sim_ca_issue(ca, 0, 0, 5);
	assert_int_equal(
		ch_sim_ca_new_order(ca, 0, 0, 3 * CH_HOUR_MS, &at_ms), CH_SIM_LIMIT_DOMAIN);
	/* Nor is its window anything to it. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(ch_sim_ca_new_order(ca, 0, 0, 60 * CH_DAY_MS, &at_ms),
			CH_SIM_LIMIT_NONE);
	assert_int_equal(
		ch_sim_ca_new_order(ca, 0, 0, 60 * CH_DAY_MS, &at_ms), CH_SIM_LIMIT_ACCOUNT);
	ch_sim_ca_free(ca);
	ch_scenario_done(&scenario);
}

static void the_ca_counts_by_itself(void **state)
{
	struct ch_scenario scenario;
	struct ch_sim_ca *ca;
	int64_t at_ms = 0;

	scenario_of("[ca]\norders_per_account=2/2h\ncertificates_per_set=1/1d\n"
		    "failures_per_name=1/1h\n[onboard a]\nnames=3\n"
		    "[outage o]\nat=10d\nfor=1h\n",
		&scenario);
	assert_int_equal(ch_sim_ca_new(&scenario, &ca), CH_OK);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(ch_sim_ca_new_order(ca, i, i, 5, &at_ms), CH_SIM_LIMIT_NONE);
	assert_int_equal(ch_sim_ca_new_order(ca, 2, 2, 5, &at_ms), CH_SIM_LIMIT_ACCOUNT);
	assert_int_equal(at_ms, 5 + CH_HOUR_MS);
	assert_int_equal(
		ch_sim_ca_new_order(ca, 2, 2, at_ms - 1, &at_ms), CH_SIM_LIMIT_ACCOUNT);
	assert_int_equal(ch_sim_ca_new_order(ca, 2, 2, at_ms, &at_ms), CH_SIM_LIMIT_NONE);
	/* An order that fails is no certificate; its set has room for another. */
	assert_int_equal(
		ch_sim_ca_new_order(ca, 0, 0, 4 * CH_HOUR_MS, &at_ms), CH_SIM_LIMIT_NONE);
	/* A renewal: the set counts, the account does not; in its window nothing does. */
	assert_int_equal(ch_sim_ca_issue(ca, 0, 0, 4 * CH_HOUR_MS), 90 * CH_DAY_MS);
	assert_int_equal(
		ch_sim_ca_new_order(ca, 0, 0, 5 * CH_HOUR_MS, &at_ms), CH_SIM_LIMIT_SET);
	assert_int_equal(
		ch_sim_ca_new_order(ca, 0, 0, 2 * CH_DAY_MS, &at_ms), CH_SIM_LIMIT_NONE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ch_sim_ca_new_order(ca, 0, 0, 60 * CH_DAY_MS + i, &at_ms),
			CH_SIM_LIMIT_NONE);
	ch_sim_ca_failed(ca, 1, 70 * CH_DAY_MS);
	assert_int_equal(
		ch_sim_ca_new_order(ca, 1, 1, 70 * CH_DAY_MS, &at_ms), CH_SIM_LIMIT_FAILURES);
	assert_true(ch_sim_ca_is_down(ca, 10 * CH_DAY_MS));
	assert_false(ch_sim_ca_is_down(ca, 10 * CH_DAY_MS + CH_HOUR_MS));
	assert_int_equal(ch_sim_ca_requests(ca, 125, 0), CH_SIM_LIMIT_NONE);
	assert_int_equal(ch_sim_ca_requests(ca, 1, 0), CH_SIM_LIMIT_REQUESTS);
	ch_sim_ca_free(ca);
	ch_scenario_done(&scenario);
}

static void bad_scenarios_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		const char *detail;
	} bad[] = {
		{"", "needs a section [onboard ...]"},
		{"[onboard a]\nnames=0\n", "names"},
		{"[onboard a]\nnames=5000001\n", "names"},
		{"[onboard a]\nnames=5000000\n[onboard b]\nnames=1\n", "names"},
		{"[onboard a]\nclass=first\n", "visitor, new or backlog"},
		{"[onboarding a]\nnames=1\n", "no such section or key"},
		{"[onboard a]\nname=1\n", "no such section or key"},
		{"[onboard a]\nnames=1\n[outage x]\nat=3d\n", "for: is missing"},
		{"[onboard a]\nnames=1\n[lifetime x]\nat=9d\nlifetime=45d\n"
		 "[lifetime y]\nat=3d\nlifetime=6d\n",
			"after the lifetime before it"},
		{"[onboard a]\nnames=1\n[ca]\nlimits=none\n", "letsencrypt"},
		{"[onboard a]\nnames=1\n[issuer]\nretry_ladder=\n", "one span"},
		{"[onboard a]\nnames=1\n[simulation]\nstart=today\n", "must be a time"},
		{"[onboard a]\nnames=1\n[simulation]\ndays=0\n", "days"},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		struct ch_scenario scenario;
		struct ch_err err = {0};

		assert_int_not_equal(
			ch_scenario_parse(bad[i].text, strlen(bad[i].text), &scenario, &err),
			CH_OK);
		if (!strstr(err.detail, bad[i].detail))
			fail_msg("%s: %s", bad[i].text, err.detail);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_year_loses_nothing_and_is_level),
		cmocka_unit_test(a_small_onboarding_keeps_to_its_forecast),
		cmocka_unit_test(one_name_does_not_wait_for_an_import_whenever_it_comes),
		cmocka_unit_test(a_ca_that_is_down_for_too_long_lets_all_expire_and_is_blamed),
		cmocka_unit_test(the_same_seed_gives_the_same_run_and_names_of_one_domain_wait),
		cmocka_unit_test(what_a_ca_takes_back_is_replaced_in_time_however_it_fails),
		cmocka_unit_test(the_ca_counts_by_itself),
		cmocka_unit_test(where_renewals_count_they_take_their_turns),
		cmocka_unit_test(a_ca_that_exempts_none_counts_renewals),
		cmocka_unit_test(bad_scenarios_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
