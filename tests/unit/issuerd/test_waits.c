/* When the CA is asked again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "bench.h"

#define URN "urn:ietf:params:acme:error:"

static struct bench *b;

static int set_up(void **state)
{
	b = bench_new("shop.test", NULL);
	return 0;
}

static int set_up_pair(void **state)
{
	b = bench_new("shop.test", "www.shop.test");
	return 0;
}

static int tear_down(void **state)
{
	bench_free(b);
	return 0;
}

/* One step, and how long it has us wait. */
static int64_t step_ms(void)
{
	int64_t before_ms = bench_now_ms;

	bench_step(b, true);
	return bench_now_ms - before_ms;
}

static void processing_orders_are_polled_with_growing_waits(void **state)
{
	int64_t before_ms;

	b->ca.processing = 3;
	bench_run_to(b, CH_ORDER_FINALIZING);
	assert_int_equal(b->row.notes.polls, 0);
	before_ms = bench_now_ms;
	bench_step(b, true);
	assert_int_equal(bench_now_ms - before_ms, 500);
	bench_step(b, true);
	assert_int_equal(bench_now_ms - before_ms, 1500);
	bench_run_to(b, CH_ORDER_DONE);
}

static void retry_after_of_a_poll_is_obeyed(void **state)
{
	int64_t before_ms;

	bench_run_to(b, CH_ORDER_VALIDATING);
	before_ms = bench_now_ms;
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 200,
			.header = "Retry-After: 17",
			.body = "{\"status\":\"pending\",\"identifier\":{\"value\":"
				"\"shop.test\"}}"});
	bench_step(b, true);
	assert_int_equal(bench_now_ms - before_ms, 17000);
	bench_run_to(b, CH_ORDER_DONE);
}

static void retry_after_of_a_challenge_is_obeyed(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_CHALLENGE,
		(struct fake_answer){.status = 200,
			.header = "Retry-After: 9",
			.body = "{\"type\":\"http-01\"}",
			.after = true});
	assert_int_equal(step_ms(), 9000);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
	bench_run_to(b, CH_ORDER_DONE);
}

static void a_challenge_without_retry_after_is_followed_soon(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	assert_int_equal(step_ms(), 100);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
}

static void retry_after_of_a_refused_challenge_counts_for_nothing(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_CHALLENGE,
		(struct fake_answer){.status = 400,
			.header = "Retry-After: 86400",
			.body = "{\"type\":\"" URN "malformed\"}",
			.after = true});
	assert_int_equal(step_ms(), 100);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
}

/* The pair's first challenge names 20 s, an authorization 5 s, the second challenge nothing. */
static void of_several_times_the_latest_counts(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 200,
			.header = "Retry-After: 5",
			.body = "{\"status\":\"pending\",\"identifier\":{\"value\":"
				"\"shop.test\"},\"challenges\":[{\"type\":\"http-01\","
				"\"status\":\"pending\",\"token\":\"t0-0\",\"url\":\"" FAKE_URL
				"/c/0/0\"}]}"});
	fake_ca_inject(&b->ca, FAKE_CHALLENGE,
		(struct fake_answer){.status = 200,
			.header = "Retry-After: 20",
			.body = "{\"type\":\"http-01\"}",
			.after = true});
	assert_int_equal(step_ms(), 20000);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 2);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
	bench_run_to(b, CH_ORDER_DONE);
}

static void retry_after_of_an_open_authorization_is_obeyed_too(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 200,
			.header = "Retry-After: 5",
			.body = "{\"status\":\"pending\",\"identifier\":{\"value\":"
				"\"shop.test\"},\"challenges\":[{\"type\":\"http-01\","
				"\"status\":\"processing\",\"token\":\"t0-0\",\"url\":"
				"\"" FAKE_URL "/c/0/0\"}]}"});
	assert_int_equal(step_ms(), 5000);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
}

static void a_new_order_waits_for_the_time_that_the_ca_names(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 404, .header = "Retry-After: 120"});
	assert_in_range(step_ms(), 120000, 125000);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	bench_run_to(b, CH_ORDER_DONE);
}

static void a_new_order_waits_little_when_the_ca_names_no_time(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_AUTHZ, (struct fake_answer){.status = 404});
	assert_in_range(step_ms(), 2000, 2400);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define PAIR(fn) cmocka_unit_test_setup_teardown(fn, set_up_pair, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(processing_orders_are_polled_with_growing_waits),
		T(retry_after_of_a_poll_is_obeyed),
		T(retry_after_of_a_challenge_is_obeyed),
		T(a_challenge_without_retry_after_is_followed_soon),
		T(retry_after_of_a_refused_challenge_counts_for_nothing),
		PAIR(of_several_times_the_latest_counts),
		T(retry_after_of_an_open_authorization_is_obeyed_too),
		T(a_new_order_waits_for_the_time_that_the_ca_names),
		T(a_new_order_waits_little_when_the_ca_names_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
