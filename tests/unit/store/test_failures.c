/* Orders that fail or lose their names. */
#include "fixture.h"
#include "store/pace.h"

static void fail_order(struct fixture *fx, const struct ch_store_order *order,
	const struct ch_store_outcome *outcomes, size_t n)
{
	struct ch_op_patch patch = fx_step(order, CH_ORDER_FAILED);

	patch.outcomes = outcomes;
	patch.n_outcomes = n;
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(patch.answer.state, CH_ORDER_FAILED);
}

#define OUTCOME(who, when, at_fault)                                                           \
	{                                                                                      \
		.name = (who), .next_at_ms = (when), .failed = (at_fault),                     \
		.state = CH_NAME_FAILED,                                                       \
		.reason = {"wrong-answer", "Point it.", CH_ACTOR_CUSTOMER},                    \
	}

static void a_failed_name_waits_and_counts(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_outcome outcome = OUTCOME("a.example", START_MS + 60000, true);
	struct ch_store_domain domain;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	fail_order(fx, order, &outcome, 1);
	assert_string_equal(fx_get_order(fx, order->id).reason.code, "wrong-answer");
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_FAILED);
	assert_int_equal(domain.failures, 1);
	assert_int_equal(domain.next_at_ms, START_MS + 60000);
	assert_int_equal(domain.order_id, 0);
	assert_string_equal(domain.reason.code, "wrong-answer");
	assert_int_equal(domain.reason.actor, CH_ACTOR_CUSTOMER);
	fx_lease_none(fx);
	test_now_ms += 60000;
	order = fx_lease_one(fx);
	assert_int_equal(order->names[0].failures, 1);
	fx_issue(fx, order);
	assert_int_equal(fx_get(fx, "a.example").failures, 0);
}

static void retry_is_now_and_begins_the_ladder_again(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_outcome outcome = OUTCOME("a.example", START_MS + 60000, true);
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	fail_order(fx, fx_lease_one(fx), &outcome, 1);
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	assert_int_equal(fx_get(fx, "a.example").failures, 0);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_PENDING);
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_ORDERED);
	patch.next_at_ms = START_MS + CH_DAY_MS;
	assert_ok(fx_patch(fx, &patch));
	fx_lease_none(fx);
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	assert_int_equal(fx_lease_one(fx)->id, order->id);
	/* Held by somebody: goes on at its own pace. */
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	fx_lease_none(fx);
}

static void a_name_that_is_away_says_since_when_and_may_move(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome outcome = OUTCOME("a.example", START_MS + 60000, true);
	struct ch_store_domain domain;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	outcome.check = outcome.away = true;
	fx_add(fx, "a.example");
	fail_order(fx, fx_lease_one(fx), &outcome, 1);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.failures, 1);
	assert_int_equal(domain.checks_failed, 1);
	assert_int_equal(domain.away_since_ms, START_MS);
	test_now_ms += 60000;
	order = fx_lease_one(fx);
	assert_int_equal(order->names[0].checks_failed, 1);
	assert_int_equal(order->names[0].away_since_ms, START_MS);
	outcome.state = CH_NAME_MOVED;
	outcome.next_at_ms = START_MS + CH_DAY_MS;
	fail_order(fx, order, &outcome, 1);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_MOVED);
	assert_int_equal(domain.away_since_ms, START_MS);
	fx_lease_none(fx);
	/* It is looked at, as what it is, and is back when the CA is asked. */
	test_now_ms = START_MS + CH_DAY_MS;
	order = fx_lease_one(fx);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_MOVED);
	patch = fx_step(order, CH_ORDER_ORDERED);
	patch.keep_lease = true;
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_VALIDATING);
	fx_issue(fx, order);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.checks_failed, 0);
	assert_int_equal(domain.away_since_ms, 0);
}

static void what_fails_at_the_ca_is_not_away(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome outcome = OUTCOME("a.example", START_MS, true);

	outcome.check = outcome.away = true;
	fx_add(fx, "a.example");
	fail_order(fx, fx_lease_one(fx), &outcome, 1);
	outcome.check = outcome.away = false;
	fail_order(fx, fx_lease_one(fx), &outcome, 1);
	assert_int_equal(fx_get(fx, "a.example").failures, 2);
	assert_int_equal(fx_get(fx, "a.example").checks_failed, 1);
	assert_int_equal(fx_get(fx, "a.example").away_since_ms, 0);
}

static void a_failure_may_pause_the_name(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome outcome = OUTCOME("a.example", START_MS, true);

	outcome.state = CH_NAME_PAUSED;
	fx_add(fx, "a.example");
	fail_order(fx, fx_lease_one(fx), &outcome, 1);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_PAUSED);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, 0);
	test_now_ms += CH_DAY_MS;
	fx_lease_none(fx);
}

static void a_pair_splits_when_one_fails_and_is_tried_together_again(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome outcomes[] = {
		OUTCOME("a.example", START_MS + 90000, false),
		OUTCOME("www.a.example", START_MS + 60000, true),
	};
	struct ch_store_domain domain;
	struct ch_store_order *order;

	fx_add_pair(fx, "a.example");
	fail_order(fx, fx_lease_one(fx), outcomes, 2);
	/* The good one gets its own at once. */
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_PENDING);
	assert_int_equal(domain.failures, 0);
	assert_int_equal(domain.next_at_ms, START_MS);
	order = fx_lease_one(fx);
	assert_int_equal(order->n_names, 1);
	assert_string_equal(order->names[0].name, "a.example");
	fx_issue(fx, order);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	assert_int_equal(fx_get(fx, "www.a.example").state, CH_NAME_FAILED);
	assert_null(fx_get(fx, "www.a.example").cert);
	/* Later the pair is tried together; the good one keeps what it has when that fails. */
	test_now_ms += 60000;
	order = fx_lease_one(fx);
	assert_int_equal(order->n_names, 2);
	assert_false(order->renewal);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_RENEWING);
	outcomes[1].next_at_ms = test_now_ms + 60000;
	fail_order(fx, order, outcomes, 2);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.next_at_ms, START_MS + RENEW_MS);
	assert_int_equal(domain.failures, 0);
	assert_int_equal(fx_get(fx, "www.a.example").failures, 2);
	fx_lease_none(fx);
	/* And at last it works. */
	test_now_ms += 60000;
	order = fx_lease_one(fx);
	assert_int_equal(order->n_names, 2);
	fx_issue(fx, order);
	assert_int_equal(fx_get(fx, "a.example").cert->version, order->id);
	assert_int_equal(fx_get(fx, "www.a.example").cert->version, order->id);
	assert_int_equal(fx_get(fx, "www.a.example").failures, 0);
}

static void a_pair_due_for_renewal_splits_too(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome outcomes[2];
	struct ch_store_order *order;

	fx_add_pair(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	test_now_ms += RENEW_MS;
	order = fx_lease_one(fx);
	assert_true(order->renewal);
	assert_int_equal(order->n_names, 2);
	outcomes[0] = (struct ch_store_outcome)OUTCOME("a.example", test_now_ms + 5000, false);
	outcomes[1] =
		(struct ch_store_outcome)OUTCOME("www.a.example", test_now_ms + 5000, true);
	fail_order(fx, order, outcomes, 2);
	assert_int_equal(fx_get(fx, "www.a.example").state, CH_NAME_FAILED);
	assert_non_null(fx_get(fx, "www.a.example").cert);
	order = fx_lease_one(fx);
	assert_int_equal(order->n_names, 1);
	assert_true(order->renewal);
	fx_issue(fx, order);
}

static void when_nobody_failed_all_wait_for_their_time(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_outcome outcomes[] = {
		OUTCOME("a.example", START_MS + 9000, false),
		OUTCOME("www.a.example", START_MS + 9000, false),
	};

	fx_add_pair(fx, "a.example");
	fail_order(fx, fx_lease_one(fx), outcomes, 2);
	assert_int_equal(fx_get(fx, "a.example").failures, 0);
	fx_lease_none(fx);
	test_now_ms += 9000;
	assert_int_equal(fx_lease_one(fx)->n_names, 2);
}

static void deleting_a_name_cancels_its_order(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order, *next;
	struct ch_op_patch patch;

	fx_add_pair(fx, "a.example");
	order = fx_lease_one(fx);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "www.a.example"));
	assert_int_equal(fx_get_order(fx, order->id).state, CH_ORDER_FAILED);
	assert_string_equal(fx_get_order(fx, order->id).reason.code, "canceled");
	patch = fx_step(order, CH_ORDER_ORDERED);
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "fence-lost");
	/* The other one begins again, alone. */
	next = fx_lease_one(fx);
	assert_int_not_equal(next->id, order->id);
	assert_int_equal(next->n_names, 1);
	assert_string_equal(next->names[0].name, "a.example");
}

static void a_name_that_leaves_late_is_left_out_of_the_publication(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;
	struct ch_store_domain www;

	fx_add_pair(fx, "a.example");
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	patch = fx_step(order, CH_ORDER_FINALIZING);
	patch.keep_lease = true;
	assert_ok(fx_patch(fx, &patch));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "www.a.example"));
	fx_add(fx, "www.a.example"); /* another one under the same name */
	assert_true(fx_get_order(fx, order->id).names[1].gone);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 1)));
	fx_finish(fx, order);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	www = fx_get(fx, "www.a.example");
	assert_null(www.cert);
	assert_int_equal(www.state, CH_NAME_PENDING);
	assert_true(www.version > order->id);
	assert_string_equal(fx_lease_one(fx)->names[0].name, "www.a.example");
}

static void an_order_that_lost_all_names_is_canceled_at_any_time(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_store_status status;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 1)));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_equal(fx_get_order(fx, order->id).state, CH_ORDER_FAILED);
	test_now_ms += CH_DAY_MS;
	fx_lease_none(fx);
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.orders_open, 0);
	assert_int_equal(status.names_total, 0);
	assert_null(status.expiry_name);
}

static void names_that_nobody_has_looked_at_are_counted(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_line line;

	assert_ok(ch_store_get_line(fx->store, &line));
	assert_int_equal(line.unseen, 0);
	fx_add(fx, "a.example");
	fx_add(fx, "b.example");
	fx_add(fx, "c.example");
	assert_ok(ch_store_get_line(fx->store, &line));
	assert_int_equal(line.unseen, 3);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "b.example"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "c.example"));
	assert_ok(ch_store_get_line(fx->store, &line));
	assert_int_equal(line.unseen, 1);
	(void)fx_lease_one(fx);
	assert_ok(ch_store_get_line(fx->store, &line));
	assert_int_equal(line.unseen, 0);
	assert_int_equal(line.waiting, 0);
}

/* Who waits for somebody and has not failed is not among them. */
static void failed_names_are_counted_by_who_must_act(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome outcomes[] = {OUTCOME("a.example", START_MS + CH_HOUR_MS, true),
		OUTCOME("b.example", START_MS + CH_HOUR_MS, true),
		OUTCOME("c.example", START_MS + CH_HOUR_MS, true),
		OUTCOME("d.example", START_MS + CH_HOUR_MS, true)};
	struct ch_store_status status;

	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.failed[CH_ACTOR_CUSTOMER], 0);
	outcomes[2].reason.actor = CH_ACTOR_CA;
	outcomes[3].state = CH_NAME_PAUSED;
	for (size_t i = 0; i < CH_ARRAY_LEN(outcomes); i++) {
		fx_add(fx, outcomes[i].name);
		fail_order(fx, fx_lease_one(fx), &outcomes[i], 1);
	}
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.names[CH_NAME_FAILED], 3);
	assert_int_equal(status.failed[CH_ACTOR_NOBODY], 0);
	assert_int_equal(status.failed[CH_ACTOR_CUSTOMER], 2);
	assert_int_equal(status.failed[CH_ACTOR_PLATFORM], 0);
	assert_int_equal(status.failed[CH_ACTOR_CA], 1);
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.failed[CH_ACTOR_CUSTOMER], 1);
}

static void pausing_cancels_an_order(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	assert_int_equal(fx_get_order(fx, order->id).state, CH_ORDER_FAILED);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_PAUSED);
	test_now_ms += CH_DAY_MS;
	fx_lease_none(fx);
}

static void a_canceled_renewal_of_the_other_name_waits_for_its_time(void **state)
{
	struct fixture *fx = *state;

	fx_add_pair(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "www.a.example"));
	assert_int_equal(fx_lease_one(fx)->n_names, 2);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "www.a.example"));
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, START_MS + RENEW_MS);
	fx_lease_none(fx);
}

static struct ch_store_order *lease_paced(struct fixture *fx)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = 10,
		.lease_ms = CH_DAY_MS,
		.pace = {.account = "ca.test/thumb"}};
	for (int i = 0; i < CH_PACED_COUNT; i++)
		assert_ok(ch_limit_parse("20/20d", &op.u.lease.pace.limits[i]));
	assert_ok(fx_run(fx, &op));
	assert_int_equal(op.u.lease.n_orders, 1);
	return op.u.lease.orders;
}

/* An order of a new name, whose validation was presumed, gets to this state; then it fails,
 * with these notes or without.  Returns how many buckets lack a token then. */
static size_t fail_presumed(
	struct fixture *fx, const char *name, enum ch_order_state state, const char *notes)
{
	struct ch_store_outcome outcome = OUTCOME(name, START_MS + CH_DAY_MS, true);
	struct ch_store_limits limits;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, name);
	order = lease_paced(fx);
	patch = fx_step(order, CH_ORDER_SEALED);
	patch.acme = "{\"order\":\"https://ca.test/1\",\"presumed\":true}";
	patch.csr = patch.sealed = (const uint8_t *)"x";
	patch.csr_len = patch.sealed_len = 1;
	patch.keep_lease = true;
	assert_ok(fx_patch(fx, &patch));
	patch = fx_step(order, state);
	patch.keep_lease = true;
	assert_ok(fx_patch(fx, &patch));
	patch = fx_step(order, CH_ORDER_FAILED);
	patch.acme = notes;
	patch.outcomes = &outcome;
	patch.n_outcomes = 1;
	assert_ok(fx_patch(fx, &patch));
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	return limits.n_buckets;
}

/* Each time the account's token is gone: the CA counts orders.  Those of domain and set count
 * certificates. */
static void what_was_sealed_but_never_validated_uses_up_no_certificate(void **state)
{
	struct fixture *fx = *state;
	static const char presumed[] = "{\"order\":\"\",\"presumed\":true,\"polls\":1}";

	assert_int_equal(fail_presumed(fx, "a.example", CH_ORDER_SEALED, presumed), 1);
	assert_int_equal(fail_presumed(fx, "b.example", CH_ORDER_SEALED, presumed), 1);
	/* It failed for something else, and a certificate may have been issued. */
	assert_int_equal(fail_presumed(fx, "c.example", CH_ORDER_SEALED, NULL), 3);
	assert_int_equal(fail_presumed(fx, "d.example", CH_ORDER_SEALED, "{\"polls\":1}"), 5);
	assert_int_equal(
		fail_presumed(fx, "e.example", CH_ORDER_SEALED, "{\"presumed\":\"true\"}"), 7);
	assert_int_equal(fail_presumed(fx, "f.example", CH_ORDER_FINALIZING, presumed), 9);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_failed_name_waits_and_counts),
		T(retry_is_now_and_begins_the_ladder_again),
		T(a_name_that_is_away_says_since_when_and_may_move),
		T(what_fails_at_the_ca_is_not_away),
		T(a_failure_may_pause_the_name),
		T(a_pair_splits_when_one_fails_and_is_tried_together_again),
		T(a_pair_due_for_renewal_splits_too),
		T(when_nobody_failed_all_wait_for_their_time),
		T(deleting_a_name_cancels_its_order),
		T(a_name_that_leaves_late_is_left_out_of_the_publication),
		T(an_order_that_lost_all_names_is_canceled_at_any_time),
		T(names_that_nobody_has_looked_at_are_counted),
		T(failed_names_are_counted_by_who_must_act),
		T(pausing_cancels_an_order),
		T(a_canceled_renewal_of_the_other_name_waits_for_its_time),
		T(what_was_sealed_but_never_validated_uses_up_no_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
