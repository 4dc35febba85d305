/* When a CA is asked nothing any more, and by whom it is found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "issuerd/ca.h"

static struct ch_gate gate;
static int64_t now_ms;

static int64_t virtual_now(void *arg)
{
	return now_ms;
}

static int set_up(void **state)
{
	now_ms = INT64_C(1800000000000);
	ch_clock_set(virtual_now, NULL);
	ch_gate_init(&gate);
	return 0;
}

static int tear_down(void **state)
{
	ch_clock_set(NULL, NULL);
	pthread_mutex_destroy(&gate.lock);
	return 0;
}

/* An order's request that ended so; returns when that order is to ask again, 0: not said. */
static int64_t note(uint64_t order_id, enum ch_acme_fate fate, int status)
{
	struct ch_acme_answer ans = {.fate = fate, .status = status};

	ch_gate_note(&gate, order_id, &ans);
	return ans.retry_at_ms;
}

static int64_t silence(uint64_t order_id)
{
	return note(order_id, CH_ACME_OUTAGE, 0);
}

static int64_t error(uint64_t order_id)
{
	return note(order_id, CH_ACME_LATER, 500);
}

static void isolated_failures_close_nothing(void **state)
{
	for (uint64_t i = 1; i < 1000; i++) {
		assert_int_equal(i % 2 ? error(i) : silence(i), 0);
		assert_int_equal(error(i + 1), 0);
		note(i + 2, CH_ACME_OK, 200);
		assert_false(ch_gate_is_closed(&gate));
	}
}

static void three_in_a_row_close_it_whatever_their_kind(void **state)
{
	static const bool silent[][3] = {
		{true, true, true}, {false, false, false}, {true, false, true}};

	for (size_t i = 0; i < CH_ARRAY_LEN(silent); i++) {
		set_up(state);
		for (uint64_t j = 0; j < 3; j++) {
			assert_false(ch_gate_is_closed(&gate));
			if (silent[i][j])
				silence(j + 1);
			else
				error(j + 1);
		}
		assert_true(ch_gate_is_closed(&gate));
		assert_int_equal(ch_gate_outages(&gate), 1);
	}
}

/* Answers with HTTP 200 that are no objects are not those of a CA in order. */
static void answers_that_cannot_be_read_count_as_errors(void **state)
{
	for (uint64_t i = 1; i <= 3; i++)
		note(i, CH_ACME_LATER, 200);
	assert_true(ch_gate_is_closed(&gate));
}

static void refusals_are_answers(void **state)
{
	static const struct {
		enum ch_acme_fate fate;
		int status;
	} good[] = {{CH_ACME_LATER, 409}, {CH_ACME_REFUSED, 400}, {CH_ACME_GONE, 404},
		{CH_ACME_LIMITED, 429}, {CH_ACME_NAME, 403}};

	for (size_t i = 0; i < CH_ARRAY_LEN(good); i++) {
		error(1);
		error(2);
		assert_int_equal(note(3, good[i].fate, good[i].status), 0);
		assert_int_equal(gate.failed, 0);
		assert_false(ch_gate_is_closed(&gate));
	}
}

static void one_order_alone_closes_nothing_by_its_errors(void **state)
{
	for (int i = 0; i < 100; i++)
		assert_int_equal(error(1), 0);
	assert_false(ch_gate_is_closed(&gate));
	/* Its silence does: the lack of any answer is not about an order. */
	silence(1);
	silence(1);
	assert_true(ch_gate_is_closed(&gate));
}

/* A CA that is out of order for an hour, 1000 orders that would all ask at once whenever they
 * may, in eight threads. */
static void an_outage_is_met_by_few(void **state)
{
	int64_t end_ms = now_ms + CH_HOUR_MS;
	uint64_t asked = 0;

	while (now_ms < end_ms) {
		struct ch_acme_answer ans = {0};

		assert_true(ch_gate_pass(&gate, &ans));
		for (int thread = 0; thread < 8; thread++)
			error(asked++ % 1000 + 1);
		for (int other = 0; other < 1000; other++) {
			assert_false(ch_gate_pass(&gate, &ans));
			assert_int_equal(ans.fate, CH_ACME_OUTAGE);
			assert_int_equal(ans.retry_at_ms, gate.open_at_ms);
		}
		now_ms = gate.open_at_ms;
	}
	assert_in_range(asked, 8 * 60, 8 * 70);
	/* The first answer opens it to all. */
	note(1, CH_ACME_OK, 200);
	assert_int_equal(ch_gate_outages(&gate), 0);
	error(2);
	assert_false(ch_gate_is_closed(&gate));
}

static void the_cas_own_word_counts_for_all_only_with_an_outage(void **state)
{
	struct ch_acme_answer ans = {
		.fate = CH_ACME_LATER, .status = 500, .retry_at_ms = now_ms + CH_HOUR_MS};

	for (uint64_t i = 1; i <= 3; i++)
		ch_gate_note(&gate, i, &ans);
	assert_int_equal(ans.retry_at_ms, now_ms + CH_HOUR_MS);
	assert_int_equal(gate.open_at_ms, now_ms + CH_SECOND_MS);
	ans.fate = CH_ACME_OUTAGE;
	ans.status = 503;
	ans.retry_at_ms = now_ms + 10 * CH_MINUTE_MS;
	ch_gate_note(&gate, 4, &ans);
	assert_int_equal(gate.open_at_ms, now_ms + 10 * CH_MINUTE_MS);
}

static void one_answer_closes_it_for_half_an_hour_at_most(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct ch_acme_answer ans = {.fate = CH_ACME_OUTAGE,
			.status = 503,
			.retry_at_ms = now_ms + CH_DAY_MS};
		int64_t open_at_ms = now_ms + 30 * CH_MINUTE_MS;

		ch_gate_note(&gate, 1, &ans);
		/* The order that met it comes back then, too. */
		assert_int_equal(ans.retry_at_ms, open_at_ms);
		now_ms = open_at_ms - 1;
		assert_true(ch_gate_is_closed(&gate));
		now_ms = open_at_ms;
		assert_false(ch_gate_is_closed(&gate));
	}
	note(2, CH_ACME_OK, 200);
	assert_int_equal(ch_gate_outages(&gate), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(isolated_failures_close_nothing),
		T(three_in_a_row_close_it_whatever_their_kind),
		T(answers_that_cannot_be_read_count_as_errors),
		T(refusals_are_answers),
		T(one_order_alone_closes_nothing_by_its_errors),
		T(an_outage_is_met_by_few),
		T(the_cas_own_word_counts_for_all_only_with_an_outage),
		T(one_answer_closes_it_for_half_an_hour_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
