/* Several CAs: an order stays with its own, edges answer under its account, and what cannot be
 * had from one is had from the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench.h"

static struct bench *b;

static int set_up(void **state)
{
	b = bench_new("shop.test", "www.shop.test");
	bench_add_ca(b);
	return 0;
}

static int tear_down(void **state)
{
	bench_free(b);
	return 0;
}

static void goes_to(size_t ca)
{
	strcpy(b->row.account, b->issuer->cas[ca].pace_account);
}

static void assert_let_go(const char *code)
{
	assert_int_equal(b->row.state, CH_ORDER_FAILED);
	for (size_t i = 0; i < b->row.n_names; i++) {
		assert_false(b->last.verdicts[i].failed);
		assert_string_equal(b->last.verdicts[i].reason.code, code);
		assert_true(b->last.verdicts[i].next_at_ms <= bench_now_ms);
	}
}

static void an_order_stays_with_its_ca(void **state)
{
	goes_to(1);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.n_orders, 0);
	assert_int_equal(b->other.issued, 1);
	assert_int_equal(b->publications, 1);
}

static void an_order_of_an_older_store_goes_to_the_first(void **state)
{
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.issued, 1);
	assert_int_equal(b->other.n_orders, 0);
	assert_int_equal(b->last.answer_under, 0);
}

static void edges_are_told_before_the_ca_is_asked(void **state)
{
	goes_to(1);
	bench_step(b, true);
	assert_true(b->last.answer_under == b->issuer->cas[1].account_hint);
	assert_true(b->last.go_on);
	assert_false(b->last.has_state);
	assert_int_equal(b->other.count[FAKE_NEW_ORDER], 0);
	/* A renewal waits for them too: what they answered until now was the other account's.
	 */
	b->row.renewal = true;
	b->row.edges.ready = false;
	b->row.edges.caught_up = 0;
	bench_step(b, true);
	assert_int_equal(b->other.count[FAKE_NEW_ORDER], 0);
	assert_string_equal(b->last.reason.code, "in-progress");
	bench_now_ms += CH_MINUTE_MS;
	bench_step(b, true);
	assert_int_equal(b->other.count[FAKE_NEW_ORDER], 0);
	assert_string_equal(b->last.reason.code, "edges-behind");
	b->row.edges.ready = true;
	bench_step(b, true);
	assert_int_equal(b->other.count[FAKE_NEW_ORDER], 1);
}

static void edges_that_answer_so_already_are_told_nothing(void **state)
{
	goes_to(1);
	for (size_t i = 0; i < 2; i++)
		b->row.answer_under[i] = b->issuer->cas[1].account_hint;
	bench_step(b, true);
	assert_int_equal(b->last.answer_under, 0);
	assert_int_equal(b->other.count[FAKE_NEW_ORDER], 1);
}

/* The account key was replaced, or the first CA comes after another one. */
static void the_first_ca_tells_edges_that_answer_otherwise(void **state)
{
	goes_to(0);
	b->row.answer_under[1] = 77;
	bench_step(b, true);
	assert_true(b->last.answer_under == b->issuer->cas[0].account_hint);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.issued, 1);
}

static void an_order_of_a_ca_that_is_gone_ends(void **state)
{
	strcpy(b->row.account, "gone.test/thumb");
	bench_step(b, true);
	assert_let_go("ca-not-configured");
	assert_int_equal(b->ca.n_orders, 0);
}

static void what_is_published_needs_no_ca(void **state)
{
	goes_to(1);
	bench_run_to(b, CH_ORDER_CONFIRMING);
	strcpy(b->row.account, "gone.test/thumb");
	bench_run_to(b, CH_ORDER_DONE);
}

static void a_list_that_names_a_ca_nobody_has_is_told(void **state)
{
	strcpy(b->row.cas[0], "other");
	strcpy(b->row.cas[1], "nonesuch");
	b->row.n_cas = 2;
	goes_to(1);
	bench_run_to(b, CH_ORDER_DONE);
	assert_string_equal(b->last.reason.code, "ca-unknown");
	assert_int_equal(b->last.reason.actor, CH_ACTOR_OPERATOR);
	assert_non_null(strstr(b->last.reason.detail, "nonesuch"));
}

/* One request without an answer says nothing yet. */
static void find_out_that_it_is_down(void)
{
	for (int i = 0; i < 2; i++) {
		bench_step(b, true);
		assert_int_equal(b->row.state, CH_ORDER_NEW);
		assert_true(ch_ca_is_usable(&b->issuer->cas[0]));
	}
	bench_step(b, true);
	assert_let_go("ca-next");
}

static void a_ca_that_is_down_is_passed_over(void **state)
{
	struct fake_answer down = {.rc = CH_ENETWORK, .times = 100};

	goes_to(0);
	fake_ca_inject(&b->ca, FAKE_DIRECTORY, down);
	find_out_that_it_is_down();
	assert_false(ch_ca_is_usable(&b->issuer->cas[0]));
	assert_true(ch_ca_is_usable(&b->issuer->cas[1]));
}

static void without_another_one_it_is_waited_for(void **state)
{
	struct fake_answer down = {.rc = CH_ENETWORK, .times = 100};

	goes_to(0);
	fake_ca_inject(&b->ca, FAKE_DIRECTORY, down);
	fake_ca_inject(&b->other, FAKE_DIRECTORY, down);
	find_out_that_it_is_down();
	/* The next order, at the second, which is down too. */
	b->row.state = CH_ORDER_NEW;
	goes_to(1);
	for (size_t i = 0; i < 2; i++)
		b->row.answer_under[i] = b->issuer->cas[1].account_hint;
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_true(b->last.next_at_ms > 0);
}

static void a_name_that_may_use_no_other_waits(void **state)
{
	struct fake_answer down = {.rc = CH_ENETWORK, .times = 100};

	goes_to(0);
	strcpy(b->row.cas[0], "main");
	b->row.n_cas = 1;
	fake_ca_inject(&b->ca, FAKE_DIRECTORY, down);
	for (int i = 0; i < 6; i++) {
		bench_step(b, true);
		assert_int_equal(b->row.state, CH_ORDER_NEW);
	}
	assert_int_equal(b->other.n_orders, 0);
}

/* No edge has it: nothing is waited for, and nobody is visited. */
static void a_standby_is_done_when_it_is_published(void **state)
{
	goes_to(1);
	b->row.standby = true;
	bench_run_to(b, CH_ORDER_CONFIRMING);
	b->row.edges.ready = false;
	b->row.edges.caught_up = 0;
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_DONE);
	assert_string_equal(b->last.reason.code, "ok");
	assert_int_equal(b->probes, 0);
	assert_int_equal(b->other.issued, 1);
}

static void a_standby_is_not_had_from_the_next(void **state)
{
	struct fake_answer down = {.rc = CH_ENETWORK, .times = 100};

	goes_to(1);
	b->row.standby = true;
	fake_ca_inject(&b->other, FAKE_DIRECTORY, down);
	for (int i = 0; i < 6; i++) {
		bench_step(b, true);
		assert_int_equal(b->row.state, CH_ORDER_NEW);
	}
	assert_int_equal(b->ca.n_orders, 0);
}

static void one_hiccup_costs_no_order_that_is_under_way(void **state)
{
	struct fake_answer down = {.rc = CH_ENETWORK, .times = 1};

	goes_to(0);
	bench_run_to(b, CH_ORDER_VALIDATING);
	fake_ca_inject(&b->ca, FAKE_AUTHZ, down);
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->other.n_orders, 0);
}

static void a_ca_that_stays_down_loses_the_order(void **state)
{
	struct fake_answer down = {.rc = CH_ENETWORK, .times = 100};

	goes_to(0);
	bench_run_to(b, CH_ORDER_VALIDATING);
	fake_ca_inject(&b->ca, FAKE_AUTHZ, down);
	for (int i = 0; i < 20 && b->row.state != CH_ORDER_FAILED; i++)
		bench_step(b, true);
	assert_let_go("ca-next");
}

static void what_may_have_been_issued_is_waited_for(void **state)
{
	struct fake_answer down = {.rc = CH_ENETWORK, .times = 2};

	goes_to(0);
	bench_run_to(b, CH_ORDER_SEALED);
	fake_ca_inject(&b->ca, FAKE_FINALIZE, down);
	fake_ca_inject(&b->ca, FAKE_ORDER, down);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.issued, 1);
	assert_int_equal(b->other.n_orders, 0);
}

static void an_account_that_is_refused_is_passed_over(void **state)
{
	struct fake_answer refused = {.status = 403,
		.header = "Content-Type: application/problem+json",
		.body = "{\"type\":\"urn:ietf:params:acme:error:externalAccountRequired\"}",
		.times = 10};

	goes_to(0);
	fake_ca_inject(&b->ca, FAKE_ACCOUNT, refused);
	bench_step(b, true);
	assert_let_go("ca-next");
	assert_false(ch_ca_is_usable(&b->issuer->cas[0]));
}

#define LIMITED "{\"type\":\"urn:ietf:params:acme:error:rateLimited\""

/* The first order for a new bench's names meets that; returns when. */
static int64_t meets(void **state, struct fake_answer limit)
{
	int64_t began_ms;

	tear_down(state);
	set_up(state);
	goes_to(0);
	fake_ca_inject(&b->ca, FAKE_NEW_ORDER, limit);
	began_ms = bench_now_ms;
	bench_step(b, true);
	return began_ms;
}

/* A limit in words of another CA, or in none, is the account's, whatever it was meant to be:
 * until it is over nobody else asks. */
static void a_limit_that_is_not_told_moves_new_orders_on(void **state)
{
	static const struct {
		const char *header;
		const char *body;
		int64_t wait_ms;
	} cases[] = {{"Retry-After: 600", LIMITED ",\"detail\":\"Quota exceeded\"}",
			     10 * CH_MINUTE_MS},
		{"Retry-After: 600", "", 10 * CH_MINUTE_MS}, {NULL, "", CH_MINUTE_MS},
		{NULL, LIMITED "}", CH_MINUTE_MS},
		{"Retry-After: 999999999999", LIMITED "}", CH_HOUR_MS},
		{"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", "", CH_HOUR_MS},
		{"Retry-After: -5", "", CH_MINUTE_MS}};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		struct fake_answer limit = {.status = 429,
			.header = cases[i].header,
			.body = cases[i].body,
			.times = 100};
		int64_t began_ms = meets(state, limit);

		assert_let_go("ca-next");
		assert_string_equal(b->last.limited, "account");
		assert_string_equal(b->last.limited_account, b->issuer->cas[0].pace_account);
		assert_int_equal(b->last.limited_until_ms, began_ms + cases[i].wait_ms);
		/* One that was made already costs the CA nothing. */
		b->row.state = CH_ORDER_NEW;
		bench_step(b, true);
		assert_let_go("ca-next");
		assert_int_equal(b->ca.count[FAKE_NEW_ORDER], 1);
		assert_true(b->last.limited_until_ms <= began_ms + cases[i].wait_ms);
		/* At the CA itself nothing else is held up. */
		assert_true(ch_ca_is_usable(&b->issuer->cas[0]));
	}
}

static void a_limit_that_is_over_is_forgotten(void **state)
{
	struct fake_answer limit = {.status = 429, .body = LIMITED "}", .times = 1};

	goes_to(0);
	strcpy(b->row.cas[0], "main");
	b->row.n_cas = 1;
	fake_ca_inject(&b->ca, FAKE_NEW_ORDER, limit);
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_string_equal(b->last.limited, "account");
	assert_string_equal(b->last.reason.code, "rate-limited");
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.count[FAKE_NEW_ORDER], 2);
}

/* As it might be one customer's alone. */
static void a_limit_of_one_name_holds_up_no_other(void **state)
{
	static const char *const bodies[] = {LIMITED
		",\"detail\":\"too many failed authorizations (5) for "
		"\\\"a.example\\\" in the last 1h0m0s\"}",
		LIMITED ",\"detail\":\"Rate exceeded: WWW.Shop.test\"}",
		LIMITED ",\"detail\":\"Rate exceeded: shop.test\"}",
		LIMITED ",\"subproblems\":[{\"identifier\":{\"value\":\"x.test\"}}]}"};

	for (size_t i = 0; i < CH_ARRAY_LEN(bodies); i++) {
		struct fake_answer limit = {.status = 429, .body = bodies[i], .times = 1};
		int64_t began_ms = meets(state, limit);

		assert_int_equal(b->row.state, CH_ORDER_NEW);
		assert_null(b->last.limited);
		assert_in_range(
			b->last.next_at_ms - began_ms, CH_HOUR_MS, CH_HOUR_MS + CH_MINUTE_MS);
		bench_now_ms = began_ms;
		bench_step(b, true);
		assert_int_equal(b->row.state, CH_ORDER_ORDERED);
	}
}

/* What was ordered is finished there. */
static void a_limit_of_an_order_under_way_is_waited_for(void **state)
{
	static const enum fake_route routes[] = {FAKE_CHALLENGE, FAKE_FINALIZE};
	struct fake_answer limit = {
		.status = 429, .header = "Retry-After: 600", .body = LIMITED "}", .times = 1};

	goes_to(0);
	for (size_t i = 0; i < CH_ARRAY_LEN(routes); i++) {
		fake_ca_inject(&b->ca, routes[i], limit);
		while (b->ca.count[routes[i]] == 0) {
			bench_step(b, true);
			assert_null(b->last.limited);
			assert_int_not_equal(b->row.state, CH_ORDER_FAILED);
		}
		assert_string_equal(b->last.reason.code, "rate-limited");
	}
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.count[FAKE_NEW_ORDER], 1);
	assert_int_equal(b->other.n_orders, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_order_stays_with_its_ca, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_order_of_an_older_store_goes_to_the_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			edges_are_told_before_the_ca_is_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			edges_that_answer_so_already_are_told_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_first_ca_tells_edges_that_answer_otherwise, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_order_of_a_ca_that_is_gone_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_published_needs_no_ca, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_ca_that_is_down_is_passed_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			without_another_one_it_is_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_standby_is_done_when_it_is_published, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_standby_is_not_had_from_the_next, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_name_that_may_use_no_other_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_list_that_names_a_ca_nobody_has_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_hiccup_costs_no_order_that_is_under_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_ca_that_stays_down_loses_the_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_may_have_been_issued_is_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_account_that_is_refused_is_passed_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_limit_that_is_not_told_moves_new_orders_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_limit_that_is_over_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_limit_of_one_name_holds_up_no_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_limit_of_an_order_under_way_is_waited_for, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
