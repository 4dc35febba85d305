/* What a visitor comes to is looked at before its time: store/store_wanted.h. */
#include "wanted.h"

/* It is looked at and fails, until then. */
static void fail_until(struct fixture *fx, const char *name, int64_t next_at_ms)
{
	struct ch_store_looking looking;

	add(fx, name, "a");
	looking = hand_out(fx, 1);
	assert_int_equal(looking.n_looks, 1);
	assert_string_equal(looking.looks[0].key.name, name);
	bury(fx, &looking.looks[0].key, next_at_ms);
}

static size_t history_of(struct fixture *fx, const char *name)
{
	struct ch_store_event *events;
	size_t n;

	assert_ok(ch_store_get_history(fx->store, name, 100, fx->arena, &events, &n));
	return n;
}

static void assert_failed(
	struct fixture *fx, const char *name, uint64_t failures, int64_t next_at_ms)
{
	struct ch_store_domain domain = fx_get(fx, name);

	assert_int_equal(domain.state, CH_NAME_FAILED);
	assert_int_equal(domain.failures, failures);
	assert_int_equal(domain.next_at_ms, next_at_ms);
	assert_int_equal(domain.wanted_at_ms, 0);
}

static void what_led_elsewhere_is_looked_at_again_at_once(void **state)
{
	struct fixture *fx = *state;
	int64_t next_at_ms = test_now_ms + 10 * CH_HOUR_MS;
	struct ch_store_looking looking;
	size_t events;

	fail_until(fx, "a.example", next_at_ms);
	events = history_of(fx, "a.example");
	assert_int_equal(hand_out(fx, 10).n_looks, 0);
	test_now_ms += CH_MINUTE_MS;
	assert_int_equal(want(fx, "a.example"), 1);
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 1);
	assert_int_equal(looking.looks[0].checks_failed, 1);
	/* It was wrong: as if nothing had been. */
	bury(fx, &looking.looks[0].key, test_now_ms + 20 * CH_HOUR_MS);
	assert_failed(fx, "a.example", 1, next_at_ms);
	assert_int_equal(history_of(fx, "a.example"), events);
	test_now_ms += CH_HOUR_MS - 1;
	assert_int_equal(want(fx, "a.example"), 0);
	test_now_ms++;
	assert_int_equal(want(fx, "a.example"), 1);
	/* By itself it counts. */
	looking = hand_out(fx, 10);
	bury(fx, &looking.looks[0].key, 0);
	test_now_ms = next_at_ms;
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 1);
	bury(fx, &looking.looks[0].key, next_at_ms + CH_HOUR_MS);
	assert_failed(fx, "a.example", 2, next_at_ms + CH_HOUR_MS);
}

/* Nor do the checks of its order cost it anything; what the CA finds does. */
static void an_order_before_its_time_counts_only_at_the_ca(void **state)
{
	struct fixture *fx = *state;
	int64_t next_at_ms = test_now_ms + 10 * CH_HOUR_MS;
	struct ch_store_outcome outcome = {.name = "a.example",
		.failed = true,
		.check = true,
		.next_at_ms = test_now_ms + 20 * CH_HOUR_MS,
		.state = CH_NAME_FAILED,
		.reason = {"dns-points-elsewhere", "Elsewhere.", CH_ACTOR_CUSTOMER}};

	fail_until(fx, "a.example", next_at_ms);
	for (int at_ca = 0; at_ca < 2; at_ca++) {
		struct ch_op_patch patch;

		assert_int_equal(want(fx, "a.example"), 1);
		patch = fx_step(fx_lease_one(fx), CH_ORDER_FAILED);
		outcome.check = !at_ca;
		patch.outcomes = &outcome;
		patch.n_outcomes = 1;
		assert_ok(fx_patch(fx, &patch));
		assert_failed(fx, "a.example", at_ca ? 2 : 1,
			at_ca ? outcome.next_at_ms : next_at_ms);
		test_now_ms += CH_HOUR_MS;
	}
	/* Of what the CA has refused nothing is tried before its time. */
	assert_int_equal(want(fx, "a.example"), 0);
}

static void one_that_leads_here_now_has_its_certificate(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;

	fail_until(fx, "a.example", test_now_ms + 10 * CH_HOUR_MS);
	assert_int_equal(want(fx, "a.example"), 1);
	fx_issue(fx, fx_lease_one(fx));
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.failures, 0);
}

static void what_a_visitor_cannot_put_in_doubt_is_left_alone(void **state)
{
	struct fixture *fx = *state;
	int64_t next_at_ms = test_now_ms + 5 * CH_MINUTE_MS;
	struct ch_store_looking looking;

	fail_until(fx, "soon.example", next_at_ms);
	assert_int_equal(want(fx, "soon.example"), 0);
	fail_until(fx, "a.example", next_at_ms + 1);
	fx_rewrite(fx, "UPDATE name SET code = 'caa-forbids' WHERE name = 'a.example'");
	assert_int_equal(want(fx, "a.example"), 0);
	/* It waits for a turn that it would lose. */
	fx_rewrite(fx, "UPDATE name SET code = 'ca-limit-domain' WHERE name = 'a.example'");
	assert_int_equal(want(fx, "a.example"), 0);
	fx_rewrite(fx, "UPDATE name SET code = 'dns-failed' WHERE name = 'a.example'");
	assert_int_equal(want(fx, "a.example"), 1);
	/* Who retries it has it counted again. */
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 1);
	bury(fx, &looking.looks[0].key, next_at_ms + CH_HOUR_MS);
	assert_failed(fx, "a.example", 1, next_at_ms + CH_HOUR_MS);
}

/* However soon each is over. */
static void only_so_many_are_looked_at_again_within_an_hour(void **state)
{
	struct fixture *fx = *state;
	struct many *m = many(fx, "big", CH_STORE_WANTED_TENANT_MAX + 20);
	struct ch_store_looking looking;
	size_t looks = 0;

	import(fx, m, "big");
	fx_rewrite(fx, "UPDATE name SET failures = 1, checks_failed = 1, state = 'failed', "
		       "code = 'dns-failed', next_at = next_at + 36000000");
	for (int round = 0; round < 3; round++) {
		(void)want_many(fx, m);
		looking = hand_out(fx, 1000);
		looks += looking.n_looks;
		for (size_t i = 0; i < looking.n_looks; i++)
			bury(fx, &looking.looks[i].key, 0);
		test_now_ms += CH_MINUTE_MS;
	}
	assert_int_equal(looks, CH_STORE_WANTED_TENANT_MAX);
	fail_until(fx, "a.example", test_now_ms + CH_HOUR_MS);
	assert_int_equal(want(fx, "a.example"), 1);
}

static size_t lease_looked(struct fixture *fx, const struct ch_store_look_key *key,
	const struct ch_store_pace *pace)
{
	struct ch_store_looking looking = {.looked = key, .n_looked = 1};
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = 1,
		.lease_ms = LONG_MS,
		.pace = *pace,
		.looking = &looking};
	assert_ok(fx_run(fx, &op));
	return op.u.lease.n_orders;
}

/* One that led here when it was looked at again waits for a limit; when it does so no more, it
 * does not stand in line either. */
static void what_leads_elsewhere_again_leaves_the_line(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/2h", "none", "none");
	int64_t next_at_ms = test_now_ms + 10 * CH_HOUR_MS;
	struct ch_store_looking looking;

	add(fx, "first.example", "a");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	fail_until(fx, "a.example", next_at_ms);
	assert_int_equal(want(fx, "a.example"), 1);
	looking = hand_out(fx, 1);
	assert_int_equal(lease_looked(fx, &looking.looks[0].key, &pace), 0);
	assert_string_equal(fx_get(fx, "a.example").reason.code, "ca-limit-account");
	test_now_ms = fx_get(fx, "a.example").next_at_ms;
	looking = hand_out(fx, 1);
	assert_int_equal(looking.n_looks, 1);
	bury(fx, &looking.looks[0].key, 0);
	assert_failed(fx, "a.example", 1, next_at_ms);
	assert_string_not_equal(fx_get(fx, "a.example").reason.code, "ca-limit-account");
	test_now_ms += 2 * CH_HOUR_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
}

static void a_clock_that_was_ahead_uses_nothing_up(void **state)
{
	struct fixture *fx = *state;
	struct many *m = many(fx, "big", CH_STORE_WANTED_TENANT_MAX);
	struct ch_store_looking looking;

	import(fx, m, "big");
	fx_rewrite(fx, "UPDATE name SET failures = 1, checks_failed = 1, state = 'failed', "
		       "code = 'dns-failed', next_at = next_at + 36000000000");
	test_now_ms += 100 * CH_DAY_MS;
	assert_int_equal(want_many(fx, m), CH_STORE_WANTED_TENANT_MAX);
	looking = hand_out(fx, 1000);
	for (size_t i = 0; i < looking.n_looks; i++)
		bury(fx, &looking.looks[i].key, 0);
	test_now_ms += CH_MINUTE_MS;
	fail_until(fx, "late.example", test_now_ms + 10 * CH_HOUR_MS);
	fx_rewrite(fx, "UPDATE name SET tenant = 'big' WHERE name = 'late.example'");
	assert_int_equal(want(fx, "late.example"), 0);
	test_now_ms -= 99 * CH_DAY_MS;
	assert_int_equal(want(fx, "late.example"), 1);
}

/* Both of the order fail, before the CA is asked. */
static void fail_pair(struct fixture *fx, const char *name, int64_t next_at_ms)
{
	struct ch_store_outcome outcomes[2];
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add_pair(fx, name);
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_FAILED);
	for (size_t i = 0; i < 2; i++)
		outcomes[i] = (struct ch_store_outcome){.name = order->names[i].name,
			.failed = true,
			.check = true,
			.next_at_ms = next_at_ms,
			.state = CH_NAME_FAILED,
			.reason = {"dns-points-elsewhere", "Elsewhere.", CH_ACTOR_CUSTOMER}};
	patch.outcomes = outcomes;
	patch.n_outcomes = 2;
	assert_ok(fx_patch(fx, &patch));
}

/* Else the order would fail for the other one, whose ladder nobody has asked to climb. */
static void its_mate_comes_along_only_if_it_is_asked_for_too(void **state)
{
	struct fixture *fx = *state;
	int64_t next_at_ms = test_now_ms + 10 * CH_HOUR_MS;
	static const char *const both[] = {"a.example", "www.a.example"};
	struct ch_store_order *order;

	fail_pair(fx, "a.example", next_at_ms);
	fail_pair(fx, "b.example", next_at_ms);
	assert_int_equal(want(fx, "www.b.example"), 1);
	order = fx_lease_one(fx);
	assert_int_equal(order->n_names, 1);
	assert_string_equal(order->names[0].name, "www.b.example");
	assert_failed(fx, "b.example", 1, next_at_ms);
	assert_int_equal(want_all(fx, "default", both, 2), 2);
	order = fx_lease_one(fx);
	assert_int_equal(order->n_names, 2);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_led_elsewhere_is_looked_at_again_at_once),
		T(an_order_before_its_time_counts_only_at_the_ca),
		T(one_that_leads_here_now_has_its_certificate),
		T(what_a_visitor_cannot_put_in_doubt_is_left_alone),
		T(only_so_many_are_looked_at_again_within_an_hour),
		T(what_leads_elsewhere_again_leaves_the_line),
		T(a_clock_that_was_ahead_uses_nothing_up),
		T(its_mate_comes_along_only_if_it_is_asked_for_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
