/* When the CA is asked again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

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

#define PROCESSING "{\"status\":\"processing\",\"finalize\":\"" FAKE_URL "/f/0\"}"

static void assert_processing(void)
{
	assert_true(b->last.has_reason);
	assert_string_equal(b->last.reason.code, "ca-processing");
	assert_int_equal(b->last.reason.actor, CH_ACTOR_CA);
}

static void retry_after_of_finalize_and_of_the_order_is_obeyed(void **state)
{
	b->ca.processing = 2;
	bench_run_to(b, CH_ORDER_SEALED);
	fake_ca_inject(&b->ca, FAKE_FINALIZE,
		(struct fake_answer){.status = 200,
			.header = "Retry-After: 15",
			.body = PROCESSING,
			.after = true});
	assert_int_equal(step_ms(), 15000);
	assert_int_equal(b->row.state, CH_ORDER_FINALIZING);
	assert_processing();
	fake_ca_inject(&b->ca, FAKE_ORDER,
		(struct fake_answer){
			.status = 200, .header = "Retry-After: 86400", .body = PROCESSING});
	assert_int_equal(step_ms(), CH_ACME_POLL_MOST_MS);
	assert_processing();
	bench_run_to(b, CH_ORDER_DONE);
	assert_string_equal(b->last.reason.code, "ok");
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 1);
	assert_int_equal(b->ca.n_orders, 1);
}

/* The CA gives no expiry, or one that helps nobody, and never issues. */
static void assert_given_up(const char *expires)
{
	int64_t began_ms;

	b->ca.expires = expires;
	b->ca.processing = 1000000;
	bench_run_to(b, CH_ORDER_FINALIZING);
	began_ms = b->row.notes.since_ms;
	for (int i = 0; i < 1000 && b->row.state == CH_ORDER_FINALIZING; i++) {
		int64_t asked_ms = bench_now_ms;

		bench_step(b, true);
		assert_processing();
		/* It is given up at the first look after six hours, not before. */
		assert_int_equal(
			b->row.state == CH_ORDER_NEW, asked_ms - began_ms > 6 * CH_HOUR_MS);
	}
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_int_equal(b->row.attempts, 1);
	assert_non_null(strstr(b->last.reason.detail, "within 6 hours"));
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 1);
}

static void an_order_is_not_processed_for_ever(void **state)
{
	assert_given_up("");
	b->ca.processing = 0;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.n_orders, 2);
	assert_int_equal(b->publications, 1);
}

static void an_expiry_far_away_is_not_waited_for(void **state)
{
	assert_given_up("2099-01-01T00:00:00Z");
}

static void an_order_that_is_issued_late_is_taken(void **state)
{
	b->ca.processing = 600; /* polls, most of them 30 s apart: five hours */
	bench_run_to(b, CH_ORDER_FINALIZING);
	for (int i = 0; i < 1000 && b->row.state == CH_ORDER_FINALIZING; i++)
		bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_CONFIRMING);
	assert_int_equal(b->row.attempts, 0);
	assert_int_equal(b->ca.n_orders, 1);
}

static void a_ca_that_never_issues_is_blamed_in_the_end(void **state)
{
	b->ca.processing = 1000000;
	for (int i = 0; i < 5000 && b->row.state < CH_ORDER_DONE; i++)
		bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_FAILED);
	assert_int_equal(b->ca.n_orders, b->config.step_tries);
	assert_true(b->last.verdicts[0].failed);
	assert_string_equal(b->last.verdicts[0].reason.code, "ca-processing");
	assert_int_equal(b->last.verdicts[0].reason.actor, CH_ACTOR_CA);
}

static void an_order_that_gets_on_waits_a_second_again(void **state)
{
	b->config.step_tries = 10;
	fake_ca_inject(&b->ca, FAKE_AUTHZ, (struct fake_answer){.status = 500, .times = 5});
	fake_ca_inject(&b->ca, FAKE_FINALIZE, (struct fake_answer){.status = 500, .times = 2});
	bench_run_to(b, CH_ORDER_SEALED);
	assert_int_equal(b->row.attempts, 5);
	assert_in_range(step_ms(), 1000, 1500);
	assert_in_range(step_ms(), 2000, 3000);
	assert_int_equal(b->row.attempts, 7);
}

/* Else the CA would get a new order every other second. */
static void an_order_that_begins_again_has_not_got_on(void **state)
{
	int64_t before_ms = bench_now_ms;

	b->config.step_tries = 10;
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 404,
			.header = "Content-Type: application/problem+json",
			.times = 6,
			.body = "{\"type\":\"" URN "malformed\"}"});
	for (int lost = 0; lost < 6; lost++) {
		bench_run_to(b, CH_ORDER_ORDERED);
		bench_run_to(b, CH_ORDER_NEW);
	}
	assert_in_range(bench_now_ms - before_ms, 91000, 140000);
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
	assert_in_range(step_ms(), 1000, 1500);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define PAIR(fn) cmocka_unit_test_setup_teardown(fn, set_up_pair, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(processing_orders_are_polled_with_growing_waits),
		T(retry_after_of_a_poll_is_obeyed),
		T(retry_after_of_finalize_and_of_the_order_is_obeyed),
		T(an_order_is_not_processed_for_ever),
		T(an_expiry_far_away_is_not_waited_for),
		T(an_order_that_is_issued_late_is_taken),
		T(a_ca_that_never_issues_is_blamed_in_the_end),
		T(an_order_that_gets_on_waits_a_second_again),
		T(an_order_that_begins_again_has_not_got_on),
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
