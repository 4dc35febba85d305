/* The step after publication: what the edges and a probe say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
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

static void a_probe_that_fails_ends_as_active_with_the_reason(void **state)
{
	b->probe_rc = CH_ECONFLICT;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->probes, 3);
	assert_string_equal(b->last.reason.code, "probe-mismatch");
	assert_int_equal(b->last.reason.actor, CH_ACTOR_CUSTOMER);
}

static void an_unreachable_name_is_told_apart_and_may_come_back(void **state)
{
	b->probe_rc = CH_ETIMEOUT;
	bench_run_to(b, CH_ORDER_CONFIRMING);
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "probe-unreachable");
	assert_int_equal(b->row.state, CH_ORDER_CONFIRMING);
	b->probe_rc = 0;
	bench_run_to(b, CH_ORDER_DONE);
	assert_string_equal(b->last.reason.code, "ok");
}

static void confirming_with_a_second(void)
{
	bench_run_to(b, CH_ORDER_CONFIRMING);
	b->row.has_second_leaf = true;
	memset(b->row.second_leaf_sha256, 2, CH_SHA256_B);
}

static void what_went_live_together_is_asked_for_both(void **state)
{
	uint8_t second[CH_SHA256_B];

	memset(second, 2, sizeof(second));
	confirming_with_a_second();
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->probes, 2);
	assert_int_equal(b->probe_offer, CH_PROBE_OFFER_RSA);
	assert_memory_equal(b->probe_leaf, second, sizeof(second));
	assert_string_equal(b->last.reason.code, "ok");
}

static void a_second_that_is_not_shown_is_told_apart(void **state)
{
	b->probe_rsa_rc = CH_ECONFLICT;
	confirming_with_a_second();
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_CONFIRMING);
	assert_string_equal(b->last.reason.code, "probe-mismatch");
	assert_string_equal(
		b->last.reason.detail, "shop.test (asked for RSA): the probe failed");
	/* Without the first one nobody asks for it. */
	b->probe_rc = CH_ECONFLICT;
	b->probes = 0;
	bench_step(b, true);
	assert_int_equal(b->probes, 1);
	assert_string_equal(b->last.reason.detail, "shop.test: the probe failed");
}

static void what_the_probe_did_not_ask_is_said(void **state)
{
	b->probe_note = "5 of its 37 addresses were not asked";
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->probes, 1);
	assert_true(b->last.has_reason);
	assert_string_equal(b->last.reason.code, "ok");
	assert_int_equal(b->last.reason.actor, CH_ACTOR_NOBODY);
	assert_string_equal(b->last.reason.detail,
		"Served by all edges. shop.test: 5 of its 37 addresses were not asked.");
}

static void edges_that_are_behind_weigh_more_than_what_was_not_asked(void **state)
{
	b->probe_note = "5 of its 37 addresses were not asked";
	bench_run_to(b, CH_ORDER_CONFIRMING);
	b->row.edges.ready = false;
	b->row.edges.caught_up = 1;
	b->config.edge_wait_ms = 0;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->probes, 1);
	assert_string_equal(b->last.reason.code, "edges-behind");
}

static void edges_are_waited_for_before_the_probe(void **state)
{
	bench_run_to(b, CH_ORDER_CONFIRMING);
	b->row.edges.ready = false;
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "in-progress");
	bench_now_ms += CH_MINUTE_MS;
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "edges-behind");
	assert_int_equal(b->probes, 0);
	b->row.edges.ready = true;
	bench_run_to(b, CH_ORDER_DONE);
}

static void probes_leave_workers_for_other_work(void **state)
{
	bench_run_to(b, CH_ORDER_CONFIRMING);
	b->config.workers = 8;
	b->issuer->probing = 5;
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_CONFIRMING);
	assert_int_equal(b->probes, 0);
	assert_int_equal(b->issuer->probing, 5);
	b->issuer->probing = 4;
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_DONE);
}

static void a_name_that_leads_into_our_own_network_is_not_followed(void **state)
{
	static const char *const inside[] = {"127.0.0.1", "10.0.0.1", "169.254.169.254", "::1",
		"fd00::1", "::ffff:127.0.0.1", "localhost"};
	const uint8_t leaf[CH_SHA256_B] = {0};
	struct ch_err err;

	b->config.probe = CH_PROBE_DNS;
	for (size_t i = 0; i < CH_ARRAY_LEN(inside); i++) {
		assert_int_equal(
			ch_issuer_probe(b->issuer, inside[i], CH_PROBE_OFFER_ALL, leaf, &err),
			CH_ENETWORK);
		assert_string_equal(err.problem, "probe-not-public");
		assert_non_null(strstr(err.detail, "not a public address"));
	}
	/* What the operator has set is asked: nobody is there. */
	b->config.probe = CH_PROBE_FIXED;
	strcpy(b->config.probe_address, "127.0.0.1");
	b->config.probe_port = 1;
	assert_int_equal(ch_issuer_probe(b->issuer, "10.0.0.1", CH_PROBE_OFFER_ALL, leaf, &err),
		CH_ENETWORK);
	assert_string_equal(err.problem, "probe-connect");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_probe_that_fails_ends_as_active_with_the_reason),
		T(an_unreachable_name_is_told_apart_and_may_come_back),
		T(what_went_live_together_is_asked_for_both),
		T(a_second_that_is_not_shown_is_told_apart),
		T(what_the_probe_did_not_ask_is_said),
		T(edges_that_are_behind_weigh_more_than_what_was_not_asked),
		T(edges_are_waited_for_before_the_probe),
		T(a_name_that_leads_into_our_own_network_is_not_followed),
		T(probes_leave_workers_for_other_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
