/* The path of an order through the steps, and what CAs do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "issuerd/ladder.h"

#define URN "urn:ietf:params:acme:error:"
#define PROBLEM "Content-Type: application/problem+json"

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

static void assert_failed(size_t i, const char *code, enum ch_actor actor)
{
	assert_int_equal(b->row.state, CH_ORDER_FAILED);
	assert_true(b->last.verdicts[i].failed);
	assert_string_equal(b->last.verdicts[i].reason.code, code);
	assert_int_equal(b->last.verdicts[i].reason.actor, actor);
}

static void an_order_goes_all_the_way(void **state)
{
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->publications, 1);
	assert_int_equal(b->ca.issued, 1);
	assert_int_equal(b->probes, 1);
	assert_int_equal(b->row.attempts, 0);
	assert_string_equal(b->last.reason.code, "ok");
	/* No needless requests to the CA. */
	assert_int_equal(b->ca.count[FAKE_DIRECTORY], 1);
	assert_int_equal(b->ca.count[FAKE_NONCE], 1);
	assert_int_equal(b->ca.count[FAKE_ACCOUNT], 2);
	assert_int_equal(b->ca.count[FAKE_AUTHZ], 2);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 1);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 1);
	assert_int_equal(b->ca.count[FAKE_ORDER], 0);
	assert_int_equal(b->ca.count[FAKE_CERT], 1);
}

static void a_pair_shares_an_order_and_identifiers_may_come_in_capitals(void **state)
{
	b->ca.upper_case = true;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->publications, 1);
	assert_int_equal(b->probes, 2);
}

static void the_order_url_is_stored_before_the_order_is_used(void **state)
{
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_ORDERED);
	assert_string_equal(b->row.notes.order, FAKE_URL "/o/0");
	assert_int_equal(b->ca.count[FAKE_AUTHZ], 0);
}

static void key_and_csr_are_stored_before_finalize(void **state)
{
	bench_run_to(b, CH_ORDER_SEALED);
	assert_non_null(b->row.csr);
	assert_non_null(b->row.sealed);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 0);
}

/* As a CA does that still holds one name's authorization from an order before. */
static void only_challenges_that_are_open_are_answered(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 200,
			.header = "Content-Type: application/json",
			.body = "{\"status\":\"valid\",\"identifier\":{\"type\":\"dns\","
				"\"value\":\"shop.test\"},\"challenges\":[]}"});
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 1);
}

/* Dies at every step in turn, once before the step's write and once after it. */
static void a_crash_at_any_step_is_carried_on(void **state)
{
	for (int when = 0; when < 16; when++) {
		int step = 0;

		b = bench_new("shop.test", "www.shop.test");
		b->ca.polls = 1;
		b->ca.processing = 1;
		for (; b->row.state != CH_ORDER_DONE; step++) {
			assert_true(step < 40);
			assert_true(b->row.state != CH_ORDER_FAILED);
			bench_step(b, step != when / 2 || when % 2);
			if (step == when / 2)
				bench_restart(b);
		}
		assert_int_equal(b->publications, 1);
		assert_int_equal(b->ca.issued, 1);
		/* Only a crash between the CA's answer to newOrder and our write costs an
		 * order: there is no way to learn its URL. */
		assert_int_equal(b->ca.n_orders, when == 0 ? 2 : 1);
		assert_int_equal(b->row.attempts, 0);
		bench_free(b);
	}
}

static void a_crash_at_every_step_is_carried_on(void **state)
{
	bool lost[CH_ORDER_STATE_COUNT] = {false};

	b->ca.processing = 1;
	for (int i = 0; b->row.state != CH_ORDER_DONE; i++) {
		bool write = lost[b->row.state];

		assert_true(i < 60);
		lost[b->row.state] = true;
		bench_step(b, write);
	}
	assert_int_equal(b->publications, 1);
	assert_int_equal(b->ca.issued, 1);
}

static void a_finalize_that_was_sent_before_is_not_sent_again(void **state)
{
	bench_run_to(b, CH_ORDER_SEALED);
	b->row.fresh = false;
	b->ca.processing = 1;
	bench_step(b, false);
	assert_int_equal(b->ca.issued, 1);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.issued, 1);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 1);
}

static void a_finalize_whose_answer_was_lost_goes_on_with_the_order(void **state)
{
	bench_run_to(b, CH_ORDER_SEALED);
	fake_ca_inject(
		&b->ca, FAKE_FINALIZE, (struct fake_answer){.rc = CH_ENETWORK, .after = true});
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_SEALED);
	assert_int_equal(b->row.attempts, 1);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.issued, 1);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 1);
}

static void order_not_ready_is_looked_at_again(void **state)
{
	bench_run_to(b, CH_ORDER_SEALED);
	fake_ca_inject(&b->ca, FAKE_FINALIZE,
		(struct fake_answer){.status = 403,
			.header = PROBLEM,
			.body = "{\"type\":\"" URN "orderNotReady\"}"});
	bench_step(b, true);
	assert_int_equal(b->ca.count[FAKE_ORDER], 1);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.n_orders, 1);
}

static void a_reused_authorization_needs_no_challenge(void **state)
{
	b->ca.initial_authz = "valid";
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
}

static void an_answered_challenge_is_not_answered_again(void **state)
{
	b->ca.polls = 2;
	bench_run_to(b, CH_ORDER_ORDERED);
	bench_step(b, false);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 1);
	bench_run_to(b, CH_ORDER_VALIDATING);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 1);
	bench_run_to(b, CH_ORDER_DONE);
}

static void a_refused_answer_leaves_the_verdict_to_the_authorization(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_CHALLENGE,
		(struct fake_answer){.status = 400,
			.header = PROBLEM,
			.after = true,
			.body = "{\"type\":\"" URN "malformed\"}"});
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
	bench_run_to(b, CH_ORDER_DONE);
}

static void a_failed_validation_blames_the_name_and_climbs_the_ladder(void **state)
{
	int64_t before_ms;

	b->ca.invalid_name = "shop.test";
	b->row.failures[0] = 1;
	bench_run_to(b, CH_ORDER_VALIDATING);
	before_ms = bench_now_ms;
	bench_step(b, true);
	assert_failed(0, "dns-problem", CH_ACTOR_CUSTOMER);
	assert_in_range(b->last.verdicts[0].next_at_ms - before_ms, 8 * CH_MINUTE_MS,
		12 * CH_MINUTE_MS);
}

static void only_the_failed_half_of_a_pair_is_blamed(void **state)
{
	b->ca.invalid_name = "www.shop.test";
	bench_run_to(b, CH_ORDER_FAILED);
	assert_failed(1, "dns-problem", CH_ACTOR_CUSTOMER);
	assert_false(b->last.verdicts[0].failed);
	assert_true(b->last.verdicts[0].next_at_ms <= bench_now_ms);
}

static void an_authorization_found_invalid_fails_without_a_challenge(void **state)
{
	b->ca.initial_authz = "invalid";
	bench_run_to(b, CH_ORDER_FAILED);
	assert_failed(0, "dns-problem", CH_ACTOR_CUSTOMER);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
}

static void a_deactivated_authorization_begins_again(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	b->ca.orders[0].authz[0].status = "deactivated";
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_int_equal(b->row.attempts, 1);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.n_orders, 2);
}

static void no_http_challenge_is_the_platforms_problem(void **state)
{
	b->ca.no_http_challenge = true;
	bench_run_to(b, CH_ORDER_FAILED);
	assert_failed(0, "no-http-challenge", CH_ACTOR_PLATFORM);
	assert_non_null(strstr(b->last.verdicts[0].reason.detail, "none that certherd knows"));
}

static void what_is_offered_instead_of_http_is_named(void **state)
{
	b->ca.no_http_challenge = true;
	b->ca.dns_challenge = true;
	bench_run_to(b, CH_ORDER_FAILED);
	assert_failed(0, "no-http-challenge", CH_ACTOR_PLATFORM);
	assert_non_null(strstr(b->last.verdicts[0].reason.detail, "but dns-01."));
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
}

static void http_is_chosen_among_several(void **state)
{
	b->ca.dns_challenge = true;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 1);
}

static void a_lost_order_begins_again_but_not_for_ever(void **state)
{
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 404,
			.header = PROBLEM,
			.times = 100,
			.body = "{\"type\":\"" URN "malformed\"}"});
	bench_run_to(b, CH_ORDER_ORDERED);
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	bench_run_to(b, CH_ORDER_FAILED);
	assert_int_equal(b->ca.n_orders, b->config.step_tries);
	assert_failed(0, "request-refused", CH_ACTOR_PLATFORM);
}

static void an_expired_order_begins_again(void **state)
{
	b->ca.polls = 1000;
	b->ca.expires = "2027-01-15T09:00:00Z"; /* in an hour */
	bench_run_to(b, CH_ORDER_VALIDATING);
	for (int i = 0; i < 150 && b->row.state == CH_ORDER_VALIDATING; i++)
		bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_string_equal(b->last.reason.code, "order-expired");
}

static void an_expired_order_is_not_finalized(void **state)
{
	b->ca.expires = "2027-01-15T09:00:00Z";
	bench_run_to(b, CH_ORDER_SEALED);
	bench_now_ms += 2 * CH_HOUR_MS;
	b->row.fresh = false;
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 0);
}

/* Until it is known for one: two requests without an answer are nobody's outage yet. */
static void an_outage_waits_and_counts_nothing(void **state)
{
	fake_ca_inject(
		&b->ca, FAKE_NEW_ORDER, (struct fake_answer){.rc = CH_ENETWORK, .times = 50});
	for (int i = 0; i < 50; i++) {
		int64_t before_ms = bench_now_ms;

		bench_step(b, true);
		assert_int_equal(b->row.state, CH_ORDER_NEW);
		assert_int_equal(b->row.attempts, i < 2 ? i + 1 : 2);
		assert_int_equal(b->last.reason.actor, CH_ACTOR_CA);
		assert_in_range(bench_now_ms - before_ms, 1000, 70000);
	}
	bench_run_to(b, CH_ORDER_DONE);
}

/* It is not known for an outage as long as other requests are answered. */
static void silence_about_one_order_fails_it_in_the_end(void **state)
{
	fake_ca_inject(
		&b->ca, FAKE_FINALIZE, (struct fake_answer){.rc = CH_ENETWORK, .times = 1000});
	bench_run_to(b, CH_ORDER_FAILED);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], b->config.step_tries);
	assert_failed(0, "http-connect", CH_ACTOR_CA);
}

static void during_an_outage_other_orders_do_not_ask(void **state)
{
	int asked;

	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 503, .header = "Retry-After: 300"});
	bench_step(b, true);
	asked = b->ca.count[FAKE_AUTHZ];
	bench_now_ms -= 100000; /* another order, whose time comes earlier */
	bench_step(b, true);
	assert_int_equal(b->ca.count[FAKE_AUTHZ], asked);
	assert_true(b->last.next_at_ms >= bench_now_ms);
	bench_run_to(b, CH_ORDER_DONE);
}

static void internal_errors_wait_ever_longer_and_fail_in_the_end(void **state)
{
	int64_t before_ms;

	fake_ca_inject(
		&b->ca, FAKE_FINALIZE, (struct fake_answer){.status = 500, .times = 100});
	bench_run_to(b, CH_ORDER_SEALED);
	before_ms = bench_now_ms;
	bench_step(b, true);
	assert_in_range(bench_now_ms - before_ms, 1000, 1500);
	bench_step(b, true);
	bench_step(b, true);
	assert_in_range(bench_now_ms - before_ms, 7000, 10500);
	assert_int_equal(b->row.attempts, 3);
	bench_run_to(b, CH_ORDER_FAILED);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], b->config.step_tries);
	assert_int_equal(b->ca.n_orders, 1);
	assert_failed(0, "ca-status", CH_ACTOR_CA);
}

/* Its first orders count what they met, which spares the others the try. */
static void internal_errors_for_all_are_an_outage(void **state)
{
	uint64_t id = b->row.id;
	int asked;

	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_AUTHZ, (struct fake_answer){.status = 500, .times = 100});
	for (uint64_t i = 0; i < 3; i++) {
		b->row.id = id + i;
		b->row.attempts = 0;
		bench_step(b, true);
		assert_int_equal(b->row.attempts, 1);
	}
	assert_true(bench_now_ms >= b->issuer->cas[0].gate.open_at_ms);
	bench_now_ms = b->issuer->cas[0].gate.open_at_ms - 1;
	asked = b->ca.count[FAKE_AUTHZ];
	b->row.id = id + 3;
	b->row.attempts = 0;
	bench_step(b, true);
	assert_int_equal(b->row.attempts, 0);
	assert_int_equal(b->ca.count[FAKE_AUTHZ], asked);
	assert_string_equal(b->last.reason.code, "ca-status");
	b->ca.inject[FAKE_AUTHZ].times = 0;
	b->row.id = id;
	bench_run_to(b, CH_ORDER_DONE);
}

static void a_rate_limit_waits_and_counts_nothing(void **state)
{
	int64_t before_ms = bench_now_ms;

	fake_ca_inject(&b->ca, FAKE_NEW_ORDER,
		(struct fake_answer){.status = 429,
			.header = "Retry-After: 36000",
			.body = "{\"type\":\"" URN "rateLimited\",\"detail\":\"too many\"}"});
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_int_equal(b->row.attempts, 0);
	assert_string_equal(b->last.reason.code, "rate-limited");
	assert_in_range(bench_now_ms - before_ms, 36000000, 36006000);
	bench_run_to(b, CH_ORDER_DONE);
}

static void a_paused_name_shows_the_page(void **state)
{
	fake_ca_inject(&b->ca, FAKE_NEW_ORDER,
		(struct fake_answer){.status = 429,
			.header = PROBLEM,
			.body = "{\"type\":\"" URN "rateLimited\",\"detail\":\"prevented for "
				"www.shop.test, visit https://ca.test/unpause?x=1\"}"});
	bench_step(b, true);
	assert_failed(1, "ca-paused", CH_ACTOR_PLATFORM);
	assert_true(b->last.verdicts[1].paused);
	assert_non_null(
		strstr(b->last.verdicts[1].reason.detail, "https://ca.test/unpause?x=1"));
	assert_false(b->last.verdicts[0].failed);
	assert_false(b->last.verdicts[0].paused);
}

static void subproblems_tell_which_name_is_refused(void **state)
{
	fake_ca_inject(&b->ca, FAKE_NEW_ORDER,
		(struct fake_answer){.status = 400,
			.header = PROBLEM,
			.body = "{\"type\":\"" URN "malformed\",\"detail\":\"two\","
				"\"subproblems\":[{\"type\":\"" URN
				"rejectedIdentifier\",\"identifier\":{\"type\":\"dns\","
				"\"value\":\"SHOP.test\"}}]}"});
	bench_step(b, true);
	assert_failed(0, "name-refused", CH_ACTOR_CUSTOMER);
	assert_false(b->last.verdicts[1].failed);
}

static void a_name_in_the_words_of_the_ca_is_blamed(void **state)
{
	fake_ca_inject(&b->ca, FAKE_NEW_ORDER,
		(struct fake_answer){.status = 400,
			.header = PROBLEM,
			.body = "{\"type\":\"" URN "rejectedIdentifier\",\"detail\":"
				"\"Cannot issue for \\\"shop.test\\\": policy\"}"});
	bench_step(b, true);
	assert_failed(0, "name-refused", CH_ACTOR_CUSTOMER);
	assert_false(b->last.verdicts[1].failed);
}

static void a_refusal_that_names_nobody_parts_the_pair(void **state)
{
	fake_ca_inject(&b->ca, FAKE_NEW_ORDER,
		(struct fake_answer){.status = 400,
			.header = PROBLEM,
			.body = "{\"type\":\"" URN "malformed\"}"});
	bench_step(b, true);
	assert_failed(1, "request-refused", CH_ACTOR_PLATFORM);
	assert_false(b->last.verdicts[0].failed);
}

static void caa_at_finalize_is_the_customers(void **state)
{
	bench_run_to(b, CH_ORDER_SEALED);
	fake_ca_inject(&b->ca, FAKE_FINALIZE,
		(struct fake_answer){.status = 403,
			.header = PROBLEM,
			.body = "{\"type\":\"" URN "caa\",\"detail\":\"CAA record for "
				"shop.test prevents issuance\"}"});
	bench_step(b, true);
	assert_failed(0, "caa-forbids", CH_ACTOR_CUSTOMER);
	assert_false(b->last.verdicts[1].failed);
}

static void an_order_that_becomes_invalid_tells_why(void **state)
{
	b->ca.order_error = "{\"type\":\"" URN "caa\",\"detail\":\"no\",\"subproblems\":"
			    "[{\"type\":\"" URN "caa\",\"identifier\":{\"value\":"
			    "\"www.shop.test\"}}]}";
	bench_run_to(b, CH_ORDER_FAILED);
	assert_failed(1, "caa-forbids", CH_ACTOR_CUSTOMER);
	assert_false(b->last.verdicts[0].failed);
}

static void an_order_invalid_by_the_cas_fault_begins_again(void **state)
{
	b->ca.order_error = "{\"type\":\"" URN "serverInternal\"}";
	bench_run_to(b, CH_ORDER_FINALIZING);
	bench_step(b, true);
	b->ca.order_error = NULL;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.n_orders, 2);
}

static void an_order_of_the_past_with_a_foreign_csr_is_not_used(void **state)
{
	fake_ca_inject(&b->ca, FAKE_NEW_ORDER,
		(struct fake_answer){.status = 201,
			.header = "Location: " FAKE_URL "/o/9",
			.body = "{\"status\":\"processing\",\"finalize\":\"" FAKE_URL
				"/f/9\",\"authorizations\":[]}"});
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_string_equal(b->last.reason.code, "ca-bad-order");
	bench_run_to(b, CH_ORDER_DONE);
}

static void an_authorization_for_a_foreign_name_is_refused(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 200,
			.body = "{\"status\":\"valid\",\"identifier\":{\"value\":\"x.test\"}"
				"}"});
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "ca-bad-authorization");
	assert_int_equal(b->row.state, CH_ORDER_ORDERED);
}

static void bad_certificates_are_not_published(void **state)
{
	b->ca.wrong_key = true;
	bench_run_to(b, CH_ORDER_FAILED);
	assert_failed(0, "cert-key", CH_ACTOR_CA);
	assert_int_equal(b->publications, 0);
}

static void certificates_with_other_names_are_not_published(void **state)
{
	b->ca.wrong_names = true;
	bench_run_to(b, CH_ORDER_FAILED);
	assert_failed(0, "cert-names", CH_ACTOR_CA);
	assert_int_equal(b->publications, 0);
}

static void expired_certificates_are_not_published(void **state)
{
	b->ca.lifetime_s = 30; /* of which 60 s have passed */
	bench_run_to(b, CH_ORDER_FAILED);
	assert_failed(0, "cert-dates", CH_ACTOR_CA);
}

static void damaged_stored_keys_are_not_published(void **state)
{
	b->ca.processing = 1;
	bench_run_to(b, CH_ORDER_FINALIZING);
	b->row.sealed[5] ^= 1; /* in the key's hash */
	b->row.made_here = false;
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_string_equal(b->last.reason.code, "order-damaged");
	assert_int_equal(b->publications, 0);
	bench_run_to(b, CH_ORDER_DONE);
}

static void a_name_removed_meanwhile_is_left_out(void **state)
{
	b->ca.processing = 1;
	bench_run_to(b, CH_ORDER_FINALIZING);
	b->row.n_names = 1;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(json_array_size(json_object_get(b->published, "records")), 1);
}

static void renewal_is_planned_in_the_publication(void **state)
{
	const char *text;
	int64_t renew_at_ms;
	int64_t not_after_ms;
	int64_t next_at_ms;

	bench_run_to(b, CH_ORDER_CONFIRMING);
	text = json_string_value(json_object_get(b->published, "renew_at"));
	assert_int_equal(ch_time_parse(text, &renew_at_ms), CH_OK);
	text = json_string_value(json_object_get(b->published, "not_after"));
	assert_int_equal(ch_time_parse(text, &not_after_ms), CH_OK);
	text = json_string_value(json_object_get(b->published, "next_at"));
	assert_int_equal(ch_time_parse(text, &next_at_ms), CH_OK);
	assert_int_equal(next_at_ms, bench_now_ms + 250);
	assert_in_range(not_after_ms - renew_at_ms, 90 * CH_DAY_MS / 100 * 33,
		90 * CH_DAY_MS / 100 * 33 + 1);
	text = json_string_value(json_object_get(b->published, "renew_from"));
	assert_int_equal(ch_time_parse(text, &renew_at_ms), CH_OK);
	assert_in_range(not_after_ms - renew_at_ms, 90 * CH_DAY_MS / 100 * 89,
		90 * CH_DAY_MS / 100 * 90 + 1);
}

static void bad_nonces_are_no_failure(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	b->ca.nonce_reject = CH_ACME_TRIES_MAX - 1;
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
	b->ca.nonce_reject = CH_ACME_TRIES_MAX;
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "bad-nonce");
	assert_int_equal(b->row.attempts, 1);
	bench_run_to(b, CH_ORDER_DONE);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define PAIR(fn) cmocka_unit_test_setup_teardown(fn, set_up_pair, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_order_goes_all_the_way),
		PAIR(a_pair_shares_an_order_and_identifiers_may_come_in_capitals),
		T(the_order_url_is_stored_before_the_order_is_used),
		T(key_and_csr_are_stored_before_finalize),
		PAIR(only_challenges_that_are_open_are_answered),
		cmocka_unit_test(a_crash_at_any_step_is_carried_on),
		T(a_crash_at_every_step_is_carried_on),
		T(a_finalize_that_was_sent_before_is_not_sent_again),
		T(a_finalize_whose_answer_was_lost_goes_on_with_the_order),
		T(order_not_ready_is_looked_at_again),
		T(a_reused_authorization_needs_no_challenge),
		T(an_answered_challenge_is_not_answered_again),
		T(a_refused_answer_leaves_the_verdict_to_the_authorization),
		T(a_failed_validation_blames_the_name_and_climbs_the_ladder),
		PAIR(only_the_failed_half_of_a_pair_is_blamed),
		T(an_authorization_found_invalid_fails_without_a_challenge),
		T(a_deactivated_authorization_begins_again),
		T(no_http_challenge_is_the_platforms_problem),
		T(what_is_offered_instead_of_http_is_named),
		T(http_is_chosen_among_several),
		T(a_lost_order_begins_again_but_not_for_ever),
		T(an_expired_order_begins_again),
		T(an_expired_order_is_not_finalized),
		T(an_outage_waits_and_counts_nothing),
		T(silence_about_one_order_fails_it_in_the_end),
		T(during_an_outage_other_orders_do_not_ask),
		T(internal_errors_wait_ever_longer_and_fail_in_the_end),
		T(internal_errors_for_all_are_an_outage),
		T(a_rate_limit_waits_and_counts_nothing),
		PAIR(a_paused_name_shows_the_page),
		PAIR(subproblems_tell_which_name_is_refused),
		PAIR(a_name_in_the_words_of_the_ca_is_blamed),
		PAIR(a_refusal_that_names_nobody_parts_the_pair),
		PAIR(caa_at_finalize_is_the_customers),
		PAIR(an_order_that_becomes_invalid_tells_why),
		T(an_order_invalid_by_the_cas_fault_begins_again),
		T(an_order_of_the_past_with_a_foreign_csr_is_not_used),
		T(an_authorization_for_a_foreign_name_is_refused),
		T(bad_certificates_are_not_published),
		T(certificates_with_other_names_are_not_published),
		T(expired_certificates_are_not_published),
		T(damaged_stored_keys_are_not_published),
		PAIR(a_name_removed_meanwhile_is_left_out),
		T(renewal_is_planned_in_the_publication),
		T(bad_nonces_are_no_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
