/* tls-alpn-01: what the edges are given before the CA is told, and when again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "bench.h"
#include "wire/record.h"

static struct bench *b;

static int set_up_named(const char *www)
{
	b = bench_new("shop.test", www);
	b->config.challenge = CH_ACME_TLS_ALPN_01;
	b->ca.tls_challenge = true;
	return 0;
}

static int set_up(void **state)
{
	return set_up_named(NULL);
}

static int set_up_pair(void **state)
{
	return set_up_named("www.shop.test");
}

static int tear_down(void **state)
{
	bench_free(b);
	return 0;
}

static void check_record_under(size_t ca, size_t i, const char *token)
{
	const char *text = json_string_value(json_array_get(b->last.challenges, i));
	CH_AUTO_FREE uint8_t *bytes = NULL;
	struct ch_record record;
	size_t len;
	int64_t left_s;

	assert_non_null(text);
	assert_int_equal(ch_b64u_decode_alloc(text, CH_RECORD_MAX_B, &bytes, &len), CH_OK);
	assert_int_equal(ch_record_decode(bytes, len, &record), CH_OK);
	assert_int_equal(record.kind, CH_RECORD_CHALLENGE);
	assert_true(ch_record_is_signed(&record));
	assert_memory_equal(
		record.signer_id, ch_sign_key_id(b->issuer->signer), CH_SIGNER_ID_B);
	assert_int_equal(record.name_len, strlen(b->row.names[i]));
	assert_memory_equal(record.name, b->row.names[i], record.name_len);
	assert_int_equal(record.token.len, strlen(token));
	assert_memory_equal(record.token.text, token, record.token.len);
	assert_true(
		record.account_hint && record.account_hint == b->issuer->cas[ca].account_hint);
	left_s = record.token_until_s - bench_now_ms / CH_SECOND_MS;
	assert_true(left_s > 3 * 3600 && left_s <= 24 * 3600);
}

static void check_record(size_t i, const char *token)
{
	check_record_under(0, i, token);
}

/* The next step gives the edges their tokens, and does nothing else. */
static void step_gives(void)
{
	int answered = b->ca.count[FAKE_CHALLENGE];

	bench_step(b, true);
	assert_int_equal(json_array_size(b->last.challenges), b->row.n_names);
	assert_int_equal(b->row.state, CH_ORDER_ORDERED);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], answered);
}

static void edges_get_their_tokens_before_the_ca_is_told(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	step_gives();
	check_record(0, "t0-0");
	if (b->row.n_names == 2)
		check_record(1, "t0-1");
	/* They have to have them first. */
	b->row.edges.ready = false;
	for (int i = 0; i < 3; i++) {
		bench_step(b, true);
		assert_null(b->last.challenges);
		assert_string_equal(b->last.reason.code, i ? "edges-behind" : "in-progress");
		bench_now_ms += CH_MINUTE_MS;
		assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
	}
	b->row.edges.ready = true;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], b->row.n_names);
	/* The record of the token says it. */
	assert_int_equal(b->last.answer_under, 0);
}

/* No other record has to say it before. */
static void a_token_is_answered_under_the_account_of_its_order(void **state)
{
	bench_add_ca(b);
	b->other.tls_challenge = true;
	strcpy(b->row.account, b->issuer->cas[1].pace_account);
	bench_run_to(b, CH_ORDER_ORDERED);
	assert_int_equal(b->last.answer_under, 0);
	step_gives();
	assert_true(b->issuer->cas[1].account_hint != b->issuer->cas[0].account_hint);
	check_record_under(1, 0, "t0-0");
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->other.issued, 1);
}

static void a_crash_before_the_write_gives_them_again(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	bench_step(b, false);
	assert_non_null(b->last.challenges);
	step_gives();
	check_record(0, "t0-0");
}

static void a_crash_after_it_does_not(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	step_gives();
	bench_restart(b);
	bench_step(b, true);
	assert_null(b->last.challenges);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
}

static void a_new_order_has_new_tokens(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	step_gives();
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 404, .times = 1, .body = "{}"});
	bench_run_to(b, CH_ORDER_NEW);
	bench_run_to(b, CH_ORDER_ORDERED);
	step_gives();
	check_record(0, "t1-0");
	bench_run_to(b, CH_ORDER_DONE);
}

static void tokens_that_soon_end_are_given_anew(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	step_gives();
	b->row.edges.ready = false;
	b->row.edges.known = 1;
	bench_step(b, true);
	bench_now_ms += 22 * CH_HOUR_MS;
	b->row.edges.ready = true;
	step_gives();
	check_record(0, "t0-0");
	bench_run_to(b, CH_ORDER_DONE);
}

static void an_answered_challenge_needs_its_token_too(void **state)
{
	b->ca.polls = 1000;
	bench_run_to(b, CH_ORDER_ORDERED);
	b->ca.orders[0].authz[0].answered = true;
	step_gives();
}

static void a_valid_authorization_needs_none(void **state)
{
	b->ca.initial_authz = "valid";
	b->row.edges.ready = false;
	bench_run_to(b, CH_ORDER_ORDERED);
	bench_step(b, true);
	assert_null(b->last.challenges);
	assert_int_equal(b->row.state, CH_ORDER_SEALED);
}

/* Edges know the name, but not the token. */
static void a_renewal_waits_for_edges_all_the_same(void **state)
{
	int64_t began_ms = bench_now_ms;

	b->row.renewal = true;
	bench_run_to(b, CH_ORDER_ORDERED);
	step_gives();
	b->row.edges = (struct ch_edges){.known = 3, .caught_up = 2};
	while (b->row.state == CH_ORDER_ORDERED)
		bench_step(b, true);
	assert_true(bench_now_ms - began_ms >= b->config.edge_wait_ms);
	assert_int_equal(b->row.state, CH_ORDER_VALIDATING);
}

static void a_ca_that_does_not_offer_it_is_the_platforms_problem(void **state)
{
	b->ca.tls_challenge = false;
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "no-tls-challenge");
	assert_int_equal(b->last.verdicts[0].reason.actor, CH_ACTOR_PLATFORM);
	assert_non_null(strstr(b->last.verdicts[0].reason.detail,
		"offers no tls-alpn-01 challenge for the name, but http-01."));
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
}

static void http_01_needs_no_token(void **state)
{
	b->config.challenge = CH_ACME_HTTP_01;
	while (b->row.state != CH_ORDER_DONE) {
		bench_step(b, true);
		assert_null(b->last.challenges);
	}
}

static void a_validation_that_fails_without_an_edge_says_so(void **state)
{
	b->ca.invalid_name = "shop.test";
	bench_run_to(b, CH_ORDER_ORDERED);
	step_gives();
	b->row.edges = (struct ch_edges){.known = 3, .caught_up = 2};
	strcpy(b->row.edges.behind, "edge/default/e1");
	bench_run_to(b, CH_ORDER_FAILED);
	assert_non_null(strstr(b->last.verdicts[0].reason.detail, "edge/default/e1"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define PAIR(fn)                                                                               \
	{                                                                                      \
#fn " (pair)", fn, set_up_pair, tear_down, NULL                                \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(edges_get_their_tokens_before_the_ca_is_told),
		PAIR(edges_get_their_tokens_before_the_ca_is_told),
		T(a_token_is_answered_under_the_account_of_its_order),
		T(a_crash_before_the_write_gives_them_again),
		T(a_crash_after_it_does_not),
		T(a_new_order_has_new_tokens),
		PAIR(a_new_order_has_new_tokens),
		T(tokens_that_soon_end_are_given_anew),
		T(an_answered_challenge_needs_its_token_too),
		T(a_valid_authorization_needs_none),
		T(a_renewal_waits_for_edges_all_the_same),
		T(a_ca_that_does_not_offer_it_is_the_platforms_problem),
		T(http_01_needs_no_token),
		T(a_validation_that_fails_without_an_edge_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
