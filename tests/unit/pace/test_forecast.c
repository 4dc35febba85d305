/* Turns foretold by the scheduler and the buckets themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pace/forecast.h"

#define NOW_MS INT64_C(1800000000000)
#define N_MAX 3000

struct fixture {
	struct ch_forecast f;
	struct ch_forecast_item items[N_MAX];
	struct ch_forecast_tenant tenants[8];
	struct ch_forecast_bucket accounts[2];
	struct ch_forecast_bucket domains[8];
};

static int setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));

	if (!fx)
		return -1;
	fx->f = (struct ch_forecast){.now_ms = NOW_MS,
		.items = fx->items,
		.tenants = fx->tenants,
		.accounts = fx->accounts,
		.domains = fx->domains,
		.n_tenants = 1,
		.lines = {3},
		.n_lines = 1,
		.n_domains = 1};
	fx->tenants[0].class = CH_CLASS_NEW;
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* One token a minute, none of which is there. */
static void empty(struct ch_forecast_bucket *bucket, uint32_t size)
{
	bucket->limit = (struct ch_limit){size, 60 * INT64_C(1000000)};
	bucket->bucket.tat_us = NOW_MS * 1000 + size * bucket->limit.refill_us;
}

static void add(struct fixture *fx, uint32_t tenant, uint32_t domain, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fx->items[fx->f.n_items++] = (struct ch_forecast_item){
			.tenant = tenant, .domain = domain, .class = fx->tenants[tenant].class};
}

static void without_a_limit_all_have_their_turn_now(void **state)
{
	struct fixture *fx = *state;

	add(fx, 0, 0, 100);
	assert_int_equal(ch_forecast_run(&fx->f), CH_OK);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(fx->items[i].at_ms, NOW_MS);
		assert_int_equal(fx->items[i].ahead, i);
		assert_int_equal(fx->items[i].limit, CH_FORECAST_NONE);
	}
	assert_int_equal(fx->f.account_short_ms, 0);
	assert_int_equal(fx->f.classes[CH_CLASS_NEW].done_ms, NOW_MS);
	assert_int_equal(fx->f.classes[CH_CLASS_BACKLOG].n, 0);
	assert_true(fx->f.classes[CH_CLASS_BACKLOG].done_ms == INT64_MAX);
}

static void an_account_gives_one_turn_for_each_token(void **state)
{
	struct fixture *fx = *state;

	fx->f.n_accounts = 1;
	empty(&fx->accounts[0], 60);
	add(fx, 0, 0, 120);
	assert_int_equal(ch_forecast_run(&fx->f), CH_OK);
	for (uint32_t i = 0; i < 120; i++) {
		assert_int_equal(fx->items[i].at_ms, NOW_MS + (i + 1) * CH_MINUTE_MS);
		assert_int_equal(fx->items[i].limit, CH_FORECAST_ACCOUNT);
	}
	assert_int_equal(fx->f.account_short_ms, 120 * CH_MINUTE_MS);
	assert_int_equal(fx->f.classes[CH_CLASS_NEW].half_ms, NOW_MS + 60 * CH_MINUTE_MS);
	assert_int_equal(fx->accounts[0].short_until_ms, NOW_MS + 120 * CH_MINUTE_MS);
	/* In an hour it is empty still, in a day it is full; what stands now is not touched. */
	assert_int_equal(fx->accounts[0].left[0], 0);
	assert_int_equal(fx->accounts[0].left[1], 60);
	assert_int_equal(fx->accounts[0].bucket.tat_us, (NOW_MS + 60 * CH_MINUTE_MS) * 1000);
}

static void two_accounts_give_twice_as_many(void **state)
{
	struct fixture *fx = *state;

	fx->f.n_accounts = 2;
	empty(&fx->accounts[0], 60);
	empty(&fx->accounts[1], 60);
	add(fx, 0, 0, 120);
	assert_int_equal(ch_forecast_run(&fx->f), CH_OK);
	assert_int_equal(fx->items[119].at_ms, NOW_MS + 60 * CH_MINUTE_MS);
}

static void who_may_use_another_account_only_waits_for_that_one(void **state)
{
	struct fixture *fx = *state;

	fx->f.n_accounts = 2;
	fx->f.n_tenants = 3;
	fx->f.n_lines = 3;
	fx->f.lines[0] = 1;
	fx->f.lines[1] = 2;
	fx->f.lines[2] = 0;
	fx->tenants[1] = (struct ch_forecast_tenant){CH_CLASS_NEW, 1, 1};
	fx->tenants[2] = (struct ch_forecast_tenant){CH_CLASS_NEW, 2, 2};
	empty(&fx->accounts[0], 60);
	fx->accounts[1].limit = fx->accounts[0].limit;
	add(fx, 0, 0, 10);
	add(fx, 1, 0, 10);
	add(fx, 2, 0, 1);
	assert_int_equal(ch_forecast_run(&fx->f), CH_OK);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(fx->items[i].at_ms, NOW_MS + (i + 1) * CH_MINUTE_MS);
		assert_int_equal(fx->items[10 + i].at_ms, NOW_MS);
		assert_int_equal(fx->items[10 + i].limit, CH_FORECAST_NONE);
	}
	assert_int_equal(fx->items[20].at_ms, NOW_MS);
	assert_int_equal(fx->accounts[1].short_until_ms, 0);
}

static void an_import_has_its_share_and_tenants_their_places(void **state)
{
	struct fixture *fx = *state;

	fx->f.n_accounts = 1;
	fx->f.n_tenants = 3;
	fx->f.turn = 7; /* of eight: the next one is an import's */
	fx->tenants[1] = (struct ch_forecast_tenant){CH_CLASS_BACKLOG, 0, 1};
	fx->tenants[2] = (struct ch_forecast_tenant){CH_CLASS_BACKLOG, 0, 0};
	empty(&fx->accounts[0], 60);
	add(fx, 0, 0, 100);
	add(fx, 1, 0, 2);
	add(fx, 2, 0, 2);
	assert_int_equal(ch_forecast_run(&fx->f), CH_OK);
	assert_int_equal(fx->items[102].ahead, 0);
	assert_int_equal(fx->items[100].ahead, 8);
	assert_int_equal(fx->items[103].ahead, 16);
	assert_int_equal(fx->items[101].ahead, 24);
	assert_int_equal(fx->items[0].ahead, 1);
	assert_int_equal(fx->items[99].ahead, 103);
}

static void a_full_domain_waits_aside_and_holds_nobody_up(void **state)
{
	struct fixture *fx = *state;

	fx->f.n_accounts = 1;
	fx->f.n_domains = 2;
	empty(&fx->accounts[0], 60);
	fx->domains[1].limit = (struct ch_limit){1, 86400 * INT64_C(1000000)};
	add(fx, 0, 1, 3);
	add(fx, 0, 0, 3);
	assert_int_equal(ch_forecast_run(&fx->f), CH_OK);
	assert_int_equal(fx->items[0].at_ms, NOW_MS + CH_MINUTE_MS);
	assert_int_equal(fx->items[0].limit, CH_FORECAST_ACCOUNT);
	assert_int_equal(fx->items[1].at_ms, NOW_MS + CH_MINUTE_MS + CH_DAY_MS);
	assert_int_equal(fx->items[1].limit, CH_FORECAST_DOMAIN);
	assert_in_range(fx->items[2].at_ms, NOW_MS + CH_MINUTE_MS + 2 * CH_DAY_MS,
		NOW_MS + 2 * CH_MINUTE_MS + 2 * CH_DAY_MS);
	assert_int_equal(fx->items[3].at_ms, NOW_MS + 2 * CH_MINUTE_MS);
	assert_int_equal(fx->domains[1].waiting, 3);
	assert_int_equal(fx->domains[1].short_until_ms, fx->items[2].at_ms);
	assert_int_equal(fx->domains[0].short_until_ms, 0);
	assert_int_equal(fx->f.classes[CH_CLASS_NEW].limits[CH_FORECAST_DOMAIN], 2);
}

static void a_turn_in_more_than_a_year_is_not_named(void **state)
{
	struct fixture *fx = *state;

	fx->f.n_accounts = 1;
	fx->accounts[0].limit = (struct ch_limit){1, 200 * CH_DAY_MS * 1000};
	add(fx, 0, 0, 4);
	assert_int_equal(ch_forecast_run(&fx->f), CH_OK);
	assert_int_equal(fx->items[1].at_ms, NOW_MS + 200 * CH_DAY_MS);
	assert_true(fx->items[2].at_ms == INT64_MAX);
	assert_int_equal(fx->items[2].limit, CH_FORECAST_ACCOUNT);
	assert_int_equal(fx->f.classes[CH_CLASS_NEW].n_done, 2);
	assert_true(fx->f.classes[CH_CLASS_NEW].done_ms == INT64_MAX);
}

static void nobody_waits(void **state)
{
	struct fixture *fx = *state;

	fx->f.n_accounts = 1;
	empty(&fx->accounts[0], 60);
	assert_int_equal(ch_forecast_run(&fx->f), CH_OK);
	assert_int_equal(fx->accounts[0].short_until_ms, 0);
	assert_int_equal(fx->accounts[0].left[0], 60);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(without_a_limit_all_have_their_turn_now),
		TEST(an_account_gives_one_turn_for_each_token),
		TEST(two_accounts_give_twice_as_many),
		TEST(who_may_use_another_account_only_waits_for_that_one),
		TEST(an_import_has_its_share_and_tenants_their_places),
		TEST(a_full_domain_waits_aside_and_holds_nobody_up),
		TEST(a_turn_in_more_than_a_year_is_not_named),
		TEST(nobody_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
