/* How often this process asks a CA. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "bench.h"

static struct bench *b;

static int set_up(void **state)
{
	b = bench_new("shop.test", NULL);
	return 0;
}

static int tear_down(void **state)
{
	bench_free(b);
	return 0;
}

static struct ch_limits *limits(void)
{
	return &b->config.cas[0].limits;
}

static bool may_pass(enum ch_acme_kind kind, struct ch_acme_answer *ans)
{
	ch_acme_answer_init(ans);
	return ch_rate_pass(&b->issuer->cas[0], kind, ans);
}

/* The CA's figure less one; each kind of request has a bucket of its own. */
static void nonces_new_orders_and_the_rest_have_buckets_of_their_own(void **state)
{
	static const enum ch_acme_kind kinds[] = {
		CH_ACME_NEW_NONCE, CH_ACME_NEW_ORDER, CH_ACME_GET_ORDER};
	struct ch_acme_answer ans;

	assert_int_equal(ch_limit_parse("3/3h", &limits()->new_nonces), CH_OK);
	assert_int_equal(ch_limit_parse("3/3h", &limits()->new_orders), CH_OK);
	assert_int_equal(ch_limit_parse("3/3h", &limits()->requests), CH_OK);
	for (size_t i = 0; i < CH_ARRAY_LEN(kinds); i++) {
		assert_true(may_pass(kinds[i], &ans));
		assert_true(may_pass(kinds[i], &ans));
		assert_false(may_pass(kinds[i], &ans));
		assert_int_equal(ans.fate, CH_ACME_LIMITED);
		assert_int_equal(ans.status, 0);
		assert_int_equal(ans.retry_at_ms, bench_now_ms + CH_HOUR_MS);
	}
	/* What is not limited, and what has a pace of its own, is not held up. */
	assert_true(may_pass(CH_ACME_RENEWAL_INFO, &ans));
	limits()->requests = (struct ch_limit){0};
	assert_true(may_pass(CH_ACME_GET_ORDER, &ans));
	bench_now_ms += CH_HOUR_MS;
	assert_true(may_pass(CH_ACME_NEW_NONCE, &ans));
}

/* The CA refuses each nonce: five requests go to it, and no sixth. */
static void what_is_sent_again_counts(void **state)
{
	assert_int_equal(ch_limit_parse("6/6h", &limits()->new_orders), CH_OK);
	bench_run_to(b, CH_ORDER_ORDERED);
	assert_int_equal(b->ca.count[FAKE_NEW_ORDER], 1);
	b->row.state = CH_ORDER_NEW;
	b->ca.nonce_reject = 8;
	bench_step(b, true);
	assert_int_equal(b->ca.count[FAKE_NEW_ORDER], 5);
	assert_string_equal(b->last.reason.code, "rate-limited");
	/* It was not the CA's word: no limit is learned from it, nor a gate closed. */
	assert_null(b->last.limited);
	assert_false(ch_gate_is_closed(&b->issuer->cas[0].gate));
	b->ca.nonce_reject = 0;
	bench_run_to(b, CH_ORDER_DONE);
}

static void new_nonces_are_paced(void **state)
{
	assert_int_equal(ch_limit_parse("2/2h", &limits()->new_nonces), CH_OK);
	bench_run_to(b, CH_ORDER_ORDERED);
	assert_int_equal(b->ca.count[FAKE_NONCE], 1);
	/* Its nonces are too old by now, and none may be asked for. */
	bench_restart(b);
	assert_int_equal(ch_limit_parse("2/2h", &limits()->new_nonces), CH_OK);
	b->issuer->cas[0].rate.new_nonces.tat_us = (bench_now_ms + CH_HOUR_MS) * 1000;
	bench_step(b, true);
	assert_int_equal(b->ca.count[FAKE_NONCE], 1);
	assert_string_equal(b->last.reason.code, "rate-limited");
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.count[FAKE_NONCE], 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nonces_new_orders_and_the_rest_have_buckets_of_their_own),
		T(what_is_sent_again_counts),
		T(new_nonces_are_paced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
