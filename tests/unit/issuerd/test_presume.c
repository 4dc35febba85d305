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

static void a_name_that_fails_is_blamed_as_ever(void **state)
{
	issue_some(LEARNED);
	b->ca.invalid_name = "shop.test";
	b->ca.invalid_error = "{\"type\":\"urn:ietf:params:acme:error:unauthorized\","
			      "\"detail\":\"nothing there\"}";
	begin();
	bench_run_to(b, CH_ORDER_FAILED);
	assert_true(b->last.verdicts[0].failed);
	assert_non_null(strstr(b->last.verdicts[0].reason.detail, "nothing there"));
	assert_int_equal(b->ca.n_orders, LEARNED + 1);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
