/* How long an order waits for edges, and when it goes on without some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "issuerd/ladder.h"

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

static void a_reused_authorization_needs_no_edges(void **state)
{
	b->ca.initial_authz = "valid";
	b->row.edges.ready = false;
	bench_run_to(b, CH_ORDER_CONFIRMING);
}

static void edges_are_waited_for_before_the_challenge_is_answered(void **state)
{
	int64_t waits[8];
	int64_t began_ms;
	int n_late = 0;

	b->row.edges.ready = false;
	strcpy(b->row.edges.behind, "edge/default/e1");
	bench_run_to(b, CH_ORDER_ORDERED);
	began_ms = bench_now_ms;
	for (int i = 0; i < 8; i++) {
		int64_t before_ms = bench_now_ms;

		bool late = before_ms - began_ms >= ch_edges_ordinary_ms(&b->config);

		bench_step(b, true);
		waits[i] = bench_now_ms - before_ms;
		n_late += late;
		/* Who needs no longer than edges ordinarily do is not behind. */
		assert_string_equal(b->last.reason.code, late ? "edges-behind" : "in-progress");
		assert_int_equal(
			b->last.reason.actor, late ? CH_ACTOR_PLATFORM : CH_ACTOR_NOBODY);
		assert_non_null(strstr(
			b->last.reason.detail, late ? "edge/default/e1" : "newest record"));
	}
	assert_true(n_late > 0 && n_late < 8);
	assert_int_equal(waits[0], 250);
	assert_int_equal(waits[1], 500);
	assert_int_equal(waits[7], 5000);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
	assert_int_equal(b->ca.count[FAKE_AUTHZ], 1);
	b->row.edges.known = 0;
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "no-edge");
	b->row.edges.ready = true;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->row.attempts, 0);
}

/* e1 is behind, and others have the name. */
static void leave_one_behind(void)
{
	b->row.edges.ready = false;
	b->row.edges.known = 3;
	b->row.edges.caught_up = 2;
	strcpy(b->row.edges.behind, "edge/default/e1");
}

/* However long, and although most edges have the name's last record but one. */
static void what_the_store_holds_back_is_waited_for_without_end(void **state)
{
	int64_t longest_ms = 0;
	unsigned looks = 0;
	unsigned news = 0;

	leave_one_behind();
	strcpy(b->row.edges.held_code, "feed-frozen");
	strcpy(b->row.edges.held_detail, "The feed is frozen.");
	b->row.edges.held_actor = CH_ACTOR_OPERATOR;
	b->row.renewal = true;
	bench_run_to(b, CH_ORDER_ORDERED);
	for (int64_t began_ms = bench_now_ms;
		bench_now_ms - began_ms < 3 * b->config.edge_wait_ms;) {
		int64_t before_ms = bench_now_ms;

		bench_step(b, true);
		if (bench_now_ms - before_ms > longest_ms)
			longest_ms = bench_now_ms - before_ms;
		assert_string_equal(b->last.reason.code, "feed-frozen");
		assert_int_equal(b->last.reason.actor, CH_ACTOR_OPERATOR);
		assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
		looks++;
		news += !b->last.no_news;
	}
	/* However often it is looked at, the log has it once. */
	assert_true(looks > 8);
	assert_int_equal(news, 1);
	assert_true(longest_ms > CH_MINUTE_MS && longest_ms < 11 * CH_MINUTE_MS);
	/* Afterwards edges get their time from the beginning. */
	b->row.edges.held_code[0] = 0;
	b->row.renewal = false;
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "in-progress");
	assert_false(b->last.no_news);
	bench_now_ms += ch_edges_ordinary_ms(&b->config);
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "edges-behind");
	assert_false(b->last.no_news);
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "edges-behind");
	assert_true(b->last.no_news);
	/* Frozen again is another wait. */
	strcpy(b->row.edges.held_code, "feed-frozen");
	bench_step(b, true);
	assert_false(b->last.no_news);
	bench_step(b, true);
	assert_true(b->last.no_news);
	/* … and so is what comes after it. */
	strcpy(b->row.edges.held_code, "canary-stuck");
	bench_step(b, true);
	assert_false(b->last.no_news);
	bench_step(b, true);
	assert_true(b->last.no_news);
	b->row.edges.held_code[0] = 0;
	b->row.edges.ready = true;
	bench_run_to(b, CH_ORDER_DONE);
	assert_false(b->last.no_news);
}

static void an_edge_that_does_not_get_on_is_not_waited_for_without_end(void **state)
{
	int64_t began_ms = bench_now_ms;

	leave_one_behind();
	bench_run_to(b, CH_ORDER_ORDERED);
	while (bench_now_ms - began_ms < b->config.edge_wait_ms) {
		/* A new issuer goes on with the same wait. */
		bench_restart(b);
		bench_step(b, true);
		assert_int_equal(b->row.state, CH_ORDER_ORDERED);
		assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
	}
	assert_string_equal(b->last.reason.code, "edges-behind");
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 1);
	assert_string_equal(b->last.reason.code, "edges-behind");
	assert_non_null(strstr(b->last.reason.detail, "edge/default/e1"));
	assert_false(b->last.only_poll); /* the reason is written */
	/* The certificate's record is waited for as long once more. */
	bench_run_to(b, CH_ORDER_CONFIRMING);
	began_ms = bench_now_ms;
	bench_run_to(b, CH_ORDER_DONE);
	assert_true(bench_now_ms - began_ms >= b->config.edge_wait_ms);
	assert_int_equal(b->probes, 1);
	assert_string_equal(b->last.reason.code, "edges-behind");
	assert_int_equal(b->last.reason.actor, CH_ACTOR_PLATFORM);
}

static void while_no_edge_has_the_name_it_waits(void **state)
{
	b->row.edges.ready = false;
	bench_run_to(b, CH_ORDER_ORDERED);
	bench_step(b, true);
	for (int i = 0; i < 2; i++) {
		b->row.edges.known = i ? 0 : 3;
		bench_now_ms += 2 * b->config.edge_wait_ms;
		bench_step(b, true);
		assert_string_equal(b->last.reason.code, i ? "no-edge" : "edges-behind");
		assert_int_equal(b->row.state, CH_ORDER_ORDERED);
	}
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
	b->row.edges.known = 3;
	leave_one_behind();
	bench_run_to(b, CH_ORDER_VALIDATING);
}

static void a_renewal_does_not_wait_for_an_edge_before_its_challenge(void **state)
{
	int64_t began_ms = bench_now_ms;

	b->row.renewal = true;
	b->row.edges.ready = false;
	b->row.edges.known = 3;
	bench_run_to(b, CH_ORDER_ORDERED);
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_ORDERED); /* none of them has the name */
	leave_one_behind();
	bench_run_to(b, CH_ORDER_VALIDATING);
	/* Nor does it say so of one that may be on its way. */
	assert_false(b->last.has_reason);
	bench_run_to(b, CH_ORDER_CONFIRMING);
	assert_true(bench_now_ms - began_ms < b->config.edge_wait_ms);
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_CONFIRMING);
	b->row.edges.ready = true;
	bench_run_to(b, CH_ORDER_DONE);
	assert_string_equal(b->last.reason.code, "ok");
}

/* Of another CA, whose account the edges are to answer under first. */
static void a_standby_waits_in_the_same_words(void **state)
{
	bench_add_ca(b);
	strcpy(b->row.account, b->issuer->cas[1].pace_account);
	b->row.standby = true;
	bench_step(b, true);
	assert_true(b->last.answer_under == b->issuer->cas[1].account_hint);
	b->row.edges.ready = false;
	b->row.edges.known = 1;
	b->row.edges.caught_up = 0;
	strcpy(b->row.edges.behind, "edge/default/e1");
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "in-progress");
	bench_now_ms += ch_edges_ordinary_ms(&b->config);
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "edges-behind");
	b->row.edges.ready = true;
	bench_run_to(b, CH_ORDER_DONE);
	assert_string_equal(b->last.reason.detail, "Ready to be put live.");
}

static void a_short_wait_for_edges_is_what_they_ordinarily_need(void **state)
{
	b->config.edge_wait_ms = CH_SECOND_MS;
	assert_int_equal(ch_edges_ordinary_ms(&b->config), CH_SECOND_MS);
	b->config.edge_wait_ms = CH_DAY_MS;
	assert_true(ch_edges_ordinary_ms(&b->config) < CH_MINUTE_MS);
}

static void a_validation_that_fails_without_an_edge_says_so(void **state)
{
	b->ca.invalid_name = "shop.test";
	leave_one_behind();
	bench_run_to(b, CH_ORDER_ORDERED);
	while (b->row.state == CH_ORDER_ORDERED)
		bench_step(b, true);
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "dns-problem");
	assert_non_null(strstr(b->last.verdicts[0].reason.detail, "edge/default/e1"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_reused_authorization_needs_no_edges),
		T(edges_are_waited_for_before_the_challenge_is_answered),
		T(what_the_store_holds_back_is_waited_for_without_end),
		T(an_edge_that_does_not_get_on_is_not_waited_for_without_end),
		T(while_no_edge_has_the_name_it_waits),
		T(a_renewal_does_not_wait_for_an_edge_before_its_challenge),
		T(a_standby_waits_in_the_same_words),
		T(a_short_wait_for_edges_is_what_they_ordinarily_need),
		T(a_validation_that_fails_without_an_edge_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
