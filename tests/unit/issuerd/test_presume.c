/* A CA that has always validated by the first look is not asked whether it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"

#define LEARNED 16 /* orders */
#define LOST 8	   /* of these, by one that was not done */

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

/* The next order, of the same name. */
static void begin(void)
{
	free(b->row.csr);
	free(b->row.sealed);
	b->row.csr = b->row.sealed = NULL;
	memset(&b->row.notes, 0, sizeof(b->row.notes));
	b->row.state = CH_ORDER_NEW;
	b->row.has_leaf = false;
	b->row.fresh = false;
	b->row.id++;
}

/* Returns how often the CA was asked for the order's authorization. */
static int issue(void)
{
	int before = b->ca.count[FAKE_AUTHZ];

	begin();
	bench_run_to(b, CH_ORDER_DONE);
	return b->ca.count[FAKE_AUTHZ] - before;
}

static void issue_some(int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(issue(), 2);
}

static void a_quick_ca_is_not_asked(void **state)
{
	issue_some(LEARNED);
	assert_int_equal(issue(), 1);
	assert_int_equal(issue(), 1);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], LEARNED + 2);
	assert_int_equal(b->publications, LEARNED + 2);
	assert_int_equal(b->row.attempts, 0);
}

static void one_that_was_slow_once_is_asked(void **state)
{
	issue_some(LEARNED - 1);
	b->ca.polls = 1;
	assert_int_equal(issue(), 3);
	b->ca.polls = 0;
	issue_some(LOST + 1);
	assert_int_equal(issue(), 1);
}

static void one_that_asked_for_time_is_asked(void **state)
{
	for (int i = 0; i < LEARNED + 1; i++) {
		fake_ca_inject(&b->ca, FAKE_CHALLENGE,
			(struct fake_answer){.status = 200,
				.header = "Retry-After: 3",
				.body = "{\"status\":\"processing\"}",
				.after = true});
		assert_int_equal(issue(), 2);
	}
}

static void what_was_presumed_wrongly_is_waited_for(void **state)
{
	uint8_t csr[8192];
	size_t csr_len;

	issue_some(LEARNED);
	b->ca.polls = 3;
	begin();
	bench_run_to(b, CH_ORDER_SEALED);
	assert_true(b->row.notes.presumed);
	csr_len = b->row.csr_len;
	memcpy(csr, b->row.csr, csr_len);
	bench_step(b, true);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], LEARNED + 1);
	assert_int_equal(b->row.state, CH_ORDER_SEALED);
	assert_true(b->last.only_poll);
	assert_int_equal(b->row.attempts, 0);
	bench_run_to(b, CH_ORDER_CONFIRMING);
	/* With the key that was stored, and once it was validated. */
	assert_int_equal(b->row.csr_len, csr_len);
	assert_memory_equal(b->row.csr, csr, csr_len);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], LEARNED + 2);
	assert_int_equal(b->ca.n_orders, LEARNED + 1);
	bench_run_to(b, CH_ORDER_DONE);
	b->ca.polls = 0;
	issue_some(LOST);
	assert_int_equal(issue(), 1);
}

static void fail_validation(void)
{
	b->ca.invalid_name = "shop.test";
	b->ca.invalid_error = "{\"type\":\"urn:ietf:params:acme:error:unauthorized\","
			      "\"detail\":\"nothing there\"}";
}

static void a_name_that_fails_is_blamed_as_ever(void **state)
{
	issue_some(LEARNED);
	fail_validation();
	begin();
	bench_run_to(b, CH_ORDER_FAILED);
	assert_true(b->last.verdicts[0].failed);
	assert_non_null(strstr(b->last.verdicts[0].reason.detail, "nothing there"));
	assert_int_equal(b->ca.n_orders, LEARNED + 1);
}

/* What the store gives tokens back for. */
static bool says_presumed(void)
{
	json_auto_t *doc = ch_write_json(&b->last, &b->row);

	return json_is_true(json_object_get(json_object_get(doc, "acme"), "presumed"));
}

static void that_nothing_was_issued_is_said(void **state)
{
	fail_validation();
	begin();
	bench_run_to(b, CH_ORDER_FAILED);
	assert_false(says_presumed());
	b->ca.invalid_name = NULL;
	issue_some(LEARNED - 1); /* the one before was looked at too */
	fail_validation();
	begin();
	bench_run_to(b, CH_ORDER_FAILED);
	assert_true(says_presumed());
}

#define REFUSAL(status, type)                                                                  \
	{                                                                                      \
		(status), "Content-Type: application/problem+json",                            \
			"{\"type\":\"urn:ietf:params:acme:error:" type "\",\"detail\":\"no\"}" \
	}
static const struct refusal {
	int status;
	const char *header;
	const char *body;
} refusals[] = {
	REFUSAL(400, "malformed"),
	REFUSAL(403, "unauthorized"),
	REFUSAL(403, "userActionRequired"),
	REFUSAL(403, "ofItsOwn"),
	{404, "Content-Type: text/plain", "no"},
};

static void refuse(const struct refusal *refusal, int times)
{
	fake_ca_inject(&b->ca, FAKE_FINALIZE,
		(struct fake_answer){.status = refusal->status,
			.header = refusal->header,
			.body = refusal->body,
			.times = times});
}

/* Whatever the CA calls it. */
static void each_refusal_is_looked_into(void **state)
{
	issue_some(LEARNED);
	for (size_t i = 0; i < CH_ARRAY_LEN(refusals); i++) {
		size_t orders = b->ca.n_orders;

		fail_validation();
		refuse(&refusals[i], 1);
		begin();
		bench_run_to(b, CH_ORDER_FAILED);
		assert_string_equal(b->last.verdicts[0].reason.code, "wrong-answer");
		assert_int_equal(b->last.verdicts[0].reason.actor, CH_ACTOR_CUSTOMER);
		assert_true(says_presumed());
		assert_int_equal(b->row.attempts, 0);
		assert_int_equal(b->ca.n_orders, orders + 1);
		assert_false(ch_account_is_refused(&b->issuer->cas[0]));
		/* … and the next ones ask again. */
		b->ca.invalid_name = NULL;
		issue_some(LOST);
	}
}

static void a_finalize_that_makes_the_order_invalid_is_looked_into(void **state)
{
	static const struct refusal invalid = {200, "Content-Type: application/json",
		"{\"status\":\"invalid\",\"finalize\":\"" FAKE_URL "/f/0\","
		"\"authorizations\":[\"" FAKE_URL "/z/0/0\"]}"};

	issue_some(LEARNED);
	fail_validation();
	refuse(&invalid, 1);
	begin();
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "wrong-answer");
	assert_true(says_presumed());
	assert_int_equal(b->ca.n_orders, LEARNED + 1);
}

/* It is not about the validation: the same order is finalized again … */
static void a_refusal_that_passes_costs_a_request(void **state)
{
	issue_some(LEARNED);
	refuse(&refusals[0], 1);
	begin();
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], LEARNED + 2);
	assert_int_equal(b->ca.n_orders, LEARNED + 1);
	assert_int_equal(b->publications, LEARNED + 1);
}

/* … and one that stays is what it was: a certificate may have been issued. */
static void a_refusal_that_stays_gives_nothing_back(void **state)
{
	issue_some(LEARNED);
	refuse(&refusals[0], 1000);
	begin();
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "request-refused");
	assert_false(says_presumed());
	assert_int_equal(b->ca.n_orders, LEARNED + 1);
}

static void a_certificate_that_does_not_pass_gives_nothing_back(void **state)
{
	issue_some(LEARNED);
	b->ca.wrong_key = true;
	begin();
	bench_run_to(b, CH_ORDER_FAILED);
	assert_int_equal(b->ca.count[FAKE_CERT], LEARNED + 1);
	assert_false(says_presumed());
}

static void who_goes_on_with_it_asks_first(void **state)
{
	int asked;

	issue_some(LEARNED);
	b->ca.polls = 1;
	begin();
	bench_run_to(b, CH_ORDER_SEALED);
	bench_restart(b);
	asked = b->ca.count[FAKE_AUTHZ];
	bench_step(b, true);
	assert_int_equal(b->ca.count[FAKE_AUTHZ], asked + 1);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], LEARNED);
	assert_int_equal(b->row.state, CH_ORDER_SEALED);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], LEARNED + 1);
}

static void what_never_gets_validated_is_given_up(void **state)
{
	int64_t began_ms;

	issue_some(LEARNED);
	b->ca.polls = 1000000;
	begin();
	bench_run_to(b, CH_ORDER_SEALED);
	began_ms = bench_now_ms;
	for (int i = 0; i < 1000 && b->row.state == CH_ORDER_SEALED; i++)
		bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_true(bench_now_ms - began_ms > 2 * CH_HOUR_MS);
	assert_false(b->row.notes.presumed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_quick_ca_is_not_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_was_slow_once_is_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_asked_for_time_is_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_presumed_wrongly_is_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_name_that_fails_is_blamed_as_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			who_goes_on_with_it_asks_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_never_gets_validated_is_given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			that_nothing_was_issued_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_refusal_is_looked_into, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_finalize_that_makes_the_order_invalid_is_looked_into, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_refusal_that_passes_costs_a_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_refusal_that_stays_gives_nothing_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_certificate_that_does_not_pass_gives_nothing_back, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
