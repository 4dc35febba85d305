/* Names that are looked at before there is an order: store/store_look.h. */
#include "fixture.h"

static struct ch_store_op lease_for(
	struct fixture *fx, size_t max, int64_t lease_ms, struct ch_store_looking *looking)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = max,
		.lease_ms = lease_ms,
		.looking = looking};
	assert_ok(fx_run(fx, &op));
	return op;
}

static struct ch_store_op lease_with(
	struct fixture *fx, size_t max, struct ch_store_looking *looking)
{
	return lease_for(fx, max, LEASE_MS, looking);
}

static struct ch_store_looking hand_out(struct fixture *fx, size_t most)
{
	struct ch_store_looking looking = {.most = most};

	assert_int_equal(lease_with(fx, 10, &looking).u.lease.n_orders, 0);
	return looking;
}

/* How many orders come of names that were looked at. */
static size_t look_done(struct fixture *fx, size_t max, const struct ch_store_look *looks,
	size_t n, size_t *ret_dealt)
{
	struct ch_store_look_key keys[CH_STORE_LOOKED_MAX];
	struct ch_store_looking looking = {.looked = keys, .n_looked = n};
	struct ch_store_op op;

	for (size_t i = 0; i < n; i++)
		keys[i] = looks[i].key;
	op = lease_with(fx, max, &looking);
	if (ret_dealt)
		*ret_dealt = looking.n_dealt;
	return op.u.lease.n_orders;
}

static struct ch_store_outcome outcome_of(const char *name)
{
	return (struct ch_store_outcome){.name = name,
		.next_at_ms = test_now_ms + CH_HOUR_MS,
		.failed = true,
		.check = true,
		.away = true,
		.state = CH_NAME_FAILED,
		.reason = {"dns-no-address", "It has no address.", CH_ACTOR_CUSTOMER}};
}

static void tell_dead(struct fixture *fx, const struct ch_store_outcome *dead, int64_t until_ms)
{
	struct ch_store_looking looking = {
		.dead = dead, .dead_until_ms = &until_ms, .n_dead = 1};

	assert_int_equal(lease_with(fx, 0, &looking).u.lease.n_orders, 0);
}

static void names_are_handed_out_once_and_again_later(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_looking looking;
	int64_t due_ms;

	fx_add(fx, "a.test");
	fx_add(fx, "b.test");
	looking = hand_out(fx, 1);
	assert_int_equal(looking.n_looks, 1);
	assert_string_equal(looking.looks[0].key.name, "a.test");
	assert_int_equal(looking.looks[0].key.until_ms, test_now_ms + CH_STORE_LOOK_MS);
	assert_int_equal(looking.looks[0].failures, 0);
	assert_int_equal(looking.looks[0].needed_by_ms, 0);
	assert_int_equal(hand_out(fx, 10).n_looks, 1);
	assert_int_equal(hand_out(fx, 10).n_looks, 0);
	/* Whoever looks at none passes over those that are being looked at. */
	fx_lease_none(fx);
	assert_ok(ch_store_next_due(fx->store, &due_ms));
	assert_int_equal(due_ms, test_now_ms + CH_STORE_LOOK_MS);
	assert_int_equal(fx_get(fx, "a.test").state, CH_NAME_PENDING);
	test_now_ms += CH_STORE_LOOK_MS;
	looking = (struct ch_store_looking){.most = 10};
	(void)lease_for(fx, 0, 1000, &looking);
	assert_int_equal(looking.n_looks, 2);
	test_now_ms += 1000;
	(void)fx_lease(fx, 10, &(size_t){0});
	assert_int_equal(hand_out(fx, 10).n_looks, 0);
}

static void behind_many_the_last_to_come_are_handed_out_too(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_looking looking;
	char name[32];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "a%02d.test", i);
		fx_add(fx, name);
		test_now_ms++;
	}
	looking = hand_out(fx, 8);
	assert_int_equal(looking.n_looks, 8);
	assert_string_equal(looking.looks[0].key.name, "a00.test");
	assert_string_equal(looking.looks[5].key.name, "a05.test");
	assert_string_equal(looking.looks[6].key.name, "a19.test");
	assert_string_equal(looking.looks[7].key.name, "a18.test");
	assert_int_equal(hand_out(fx, 1).n_looks, 1);
	assert_int_equal(hand_out(fx, 100).n_looks, 11);
}

static void what_was_looked_at_gets_an_order_as_long_as_there_is_room(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_looking looking;
	size_t dealt;

	fx_add(fx, "a.test");
	fx_add(fx, "b.test");
	fx_add_pair(fx, "c.test");
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 4);
	assert_int_equal(look_done(fx, 1, looking.looks, 4, &dealt), 1);
	assert_int_equal(dealt, 1);
	assert_int_equal(look_done(fx, 0, looking.looks + 1, 3, &dealt), 0);
	assert_int_equal(dealt, 0);
	/* Of the two that share a certificate one is in the other's order. */
	assert_int_equal(look_done(fx, 9, looking.looks + 1, 3, &dealt), 2);
	assert_int_equal(dealt, 3);
	assert_int_equal(look_done(fx, 9, looking.looks, 4, &dealt), 0);
	assert_int_equal(dealt, 4);
}

static void a_look_that_is_over_holds_until_there_is_another(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_looking first;

	fx_add(fx, "a.test");
	fx_add(fx, "b.test");
	first = hand_out(fx, 10);
	test_now_ms += CH_STORE_LOOK_MS;
	assert_int_equal(look_done(fx, 9, &first.looks[0], 1, NULL), 1);
	assert_int_equal(hand_out(fx, 10).n_looks, 1);
	assert_int_equal(look_done(fx, 9, &first.looks[1], 1, NULL), 0);
}

static void a_look_ends_with_whatever_else_happens_to_the_name(void **state)
{
	struct fixture *fx = *state;
	static const char *const names[] = {"a.test", "b.test", "c.test", "d.test"};
	struct ch_store_looking looking;
	struct ch_store_outcome dead;

	for (size_t i = 0; i < CH_ARRAY_LEN(names); i++)
		fx_add(fx, names[i]);
	looking = hand_out(fx, 10);
	test_now_ms++;
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.test"));
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "b.test"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "c.test"));
	assert_int_equal(look_done(fx, 9, looking.looks, 3, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		dead = outcome_of(names[i]);
		tell_dead(fx, &dead, looking.looks[i].key.until_ms);
	}
	assert_int_equal(fx_get(fx, "a.test").failures, 0);
	assert_int_equal(fx_get(fx, "b.test").state, CH_NAME_PAUSED);
	/* Another look is another one's. */
	dead = outcome_of("d.test");
	tell_dead(fx, &dead, looking.looks[3].key.until_ms + 1);
	assert_int_equal(fx_get(fx, "d.test").state, CH_NAME_PENDING);
	assert_int_equal(hand_out(fx, 10).n_looks, 1); /* a.test */
}

static void the_dead_have_failed_without_an_order(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_looking looking;
	struct ch_store_outcome dead = outcome_of("a.test");
	struct ch_store_event *events;
	struct ch_store_domain domain;
	int64_t since_ms;
	size_t n;

	fx_add(fx, "a.test");
	looking = hand_out(fx, 10);
	tell_dead(fx, &dead, looking.looks[0].key.until_ms);
	domain = fx_get(fx, "a.test");
	since_ms = test_now_ms;
	assert_int_equal(domain.state, CH_NAME_FAILED);
	assert_int_equal(domain.failures, 1);
	assert_int_equal(domain.checks_failed, 1);
	assert_int_equal(domain.away_since_ms, since_ms);
	assert_int_equal(domain.next_at_ms, test_now_ms + CH_HOUR_MS);
	assert_int_equal(domain.order_id, 0);
	assert_string_equal(domain.reason.code, "dns-no-address");
	assert_ok(ch_store_get_history(fx->store, "a.test", 10, fx->arena, &events, &n));
	assert_string_equal(events[0].event, "failed");
	/* Told twice: the first time ended the look. */
	tell_dead(fx, &dead, looking.looks[0].key.until_ms);
	assert_int_equal(fx_get(fx, "a.test").failures, 1);
	test_now_ms += CH_HOUR_MS;
	looking = hand_out(fx, 10);
	assert_int_equal(looking.looks[0].failures, 1);
	assert_int_equal(looking.looks[0].checks_failed, 1);
	assert_int_equal(looking.looks[0].away_since_ms, since_ms);
	dead = outcome_of("a.test");
	dead.state = CH_NAME_MOVED;
	tell_dead(fx, &dead, looking.looks[0].key.until_ms);
	domain = fx_get(fx, "a.test");
	assert_int_equal(domain.state, CH_NAME_MOVED);
	assert_int_equal(domain.away_since_ms, since_ms);
	test_now_ms += CH_HOUR_MS;
	looking = hand_out(fx, 10);
	dead = outcome_of("a.test");
	dead.away = false;
	tell_dead(fx, &dead, looking.looks[0].key.until_ms);
	assert_int_equal(fx_get(fx, "a.test").away_since_ms, 0);
}

static void a_dead_www_name_does_not_take_the_other_along(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome dead = outcome_of("www.a.test");
	struct ch_store_looking looking;
	struct ch_store_order order;
	size_t at;

	fx_add_pair(fx, "a.test");
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 2);
	at = strcmp(looking.looks[0].key.name, "a.test") != 0;
	tell_dead(fx, &dead, looking.looks[!at].key.until_ms);
	assert_int_equal(look_done(fx, 9, &looking.looks[at], 1, NULL), 1);
	order = fx_get_order(fx, fx_get(fx, "a.test").order_id);
	assert_int_equal(order.n_names, 1);
	assert_int_equal(fx_get(fx, "www.a.test").state, CH_NAME_FAILED);
}

/* A renewal of both, whose order fails for one of them soon after they were handed out. */
static void who_is_not_at_fault_goes_alone_right_after_a_look(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome outcomes[2];
	struct ch_store_op op = {.type = CH_OP_PATCH};
	struct ch_store_looking looking;
	struct ch_store_order order;

	fx_add_pair(fx, "a.test");
	fx_issue(fx, fx_lease_one(fx));
	test_now_ms += RENEW_MS;
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 2);
	assert_int_equal(look_done(fx, 9, looking.looks, 2, NULL), 1);
	order = fx_get_order(fx, fx_get(fx, "a.test").order_id);
	assert_int_equal(order.n_names, 2);
	outcomes[0] = outcome_of("a.test");
	outcomes[1] = outcome_of("www.a.test");
	outcomes[1].failed = outcomes[1].check = outcomes[1].away = false;
	op.u.patch = (struct ch_op_patch){.id = order.id,
		.fence = order.fence,
		.has_state = true,
		.state = CH_ORDER_FAILED,
		.outcomes = outcomes,
		.n_outcomes = 2};
	assert_ok(fx_run(fx, &op));
	assert_int_equal(fx_get(fx, "www.a.test").next_at_ms, test_now_ms);
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 1);
	assert_string_equal(looking.looks[0].key.name, "www.a.test");
	assert_int_equal(look_done(fx, 9, looking.looks, 1, NULL), 1);
	order = fx_get_order(fx, fx_get(fx, "www.a.test").order_id);
	assert_int_equal(order.n_names, 1);
}

/* One that is dead long before the other is due does not part them. */
static void a_name_that_is_not_due_stays_with_the_dead_one(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome dead = outcome_of("www.a.test");
	struct ch_store_looking looking;
	struct ch_store_order order;

	fx_add_pair(fx, "a.test");
	fx_issue(fx, fx_lease_one(fx));
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "www.a.test"));
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 1);
	tell_dead(fx, &dead, looking.looks[0].key.until_ms);
	test_now_ms += CH_HOUR_MS;
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 1);
	assert_int_equal(look_done(fx, 9, looking.looks, 1, NULL), 1);
	order = fx_get_order(fx, fx_get(fx, "www.a.test").order_id);
	assert_int_equal(order.n_names, 2);
}

static void who_is_looked_at_gets_no_other_order_meanwhile(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item;
	struct ch_store_looking looking;
	struct ch_store_order order;

	assert_ok(fx_put_keys(fx, "a.test", CH_TRI_KEEP, CH_KEYS_BOTH, &item));
	fx_issue(fx, fx_lease_one(fx));
	test_now_ms += RENEW_MS;
	/* The second certificate is due as well. */
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 1);
	assert_int_equal(look_done(fx, 9, looking.looks, 1, NULL), 1);
	order = fx_get_order(fx, fx_get(fx, "a.test").order_id);
	assert_false(order.second);
}

static void a_live_certificate_says_when_it_is_needed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_looking looking;
	struct ch_store_outcome dead = outcome_of("a.test");

	fx_add(fx, "a.test");
	fx_issue(fx, fx_lease_one(fx));
	test_now_ms += RENEW_MS;
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 1);
	assert_true(looking.looks[0].needed_by_ms > test_now_ms);
	tell_dead(fx, &dead, looking.looks[0].key.until_ms);
	assert_int_equal(fx_get(fx, "a.test").state, CH_NAME_FAILED);
	assert_true(fx_get(fx, "a.test").cert->not_after_ms > test_now_ms);
}

static void the_dead_take_no_token_and_the_living_stand_in_line(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_LEASE};
	struct ch_store_look_key keys[20];
	struct ch_store_looking looking = {.looked = keys};
	struct ch_store_looking handed;
	struct ch_store_limits limits;
	char name[32];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "a%02d.test", i);
		fx_add(fx, name);
	}
	handed = hand_out(fx, 20);
	for (size_t i = 0; i < 10; i++) {
		struct ch_store_outcome dead = outcome_of(handed.looks[i].key.name);

		tell_dead(fx, &dead, handed.looks[i].key.until_ms);
	}
	for (size_t i = 10; i < 20; i++)
		keys[looking.n_looked++] = handed.looks[i].key;
	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = 20,
		.lease_ms = LEASE_MS,
		.pace = {.account = "ca.test/thumb"},
		.looking = &looking};
	/* One of the six is kept back as a margin. */
	assert_ok(ch_limit_parse("6/6h", &op.u.lease.pace.limits[CH_PACED_ACCOUNT]));
	assert_ok(fx_run(fx, &op));
	assert_int_equal(op.u.lease.n_orders, 5);
	assert_int_equal(looking.n_dealt, 10);
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	assert_int_equal(limits.waiting, 5);
}

static void too_much_at_once_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_LEASE};
	struct ch_store_looking looking = {.most = CH_STORE_LOOKS_MAX + 1};

	op.u.lease = (struct ch_op_lease){
		.issuer = "issuer/default/i1", .lease_ms = LEASE_MS, .looking = &looking};
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
	looking = (struct ch_store_looking){.n_looked = CH_STORE_LOOKED_MAX + 1};
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
	op.u.lease.looking = NULL;
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
}

#define FX_TEST(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(names_are_handed_out_once_and_again_later),
		FX_TEST(behind_many_the_last_to_come_are_handed_out_too),
		FX_TEST(what_was_looked_at_gets_an_order_as_long_as_there_is_room),
		FX_TEST(a_look_that_is_over_holds_until_there_is_another),
		FX_TEST(a_look_ends_with_whatever_else_happens_to_the_name),
		FX_TEST(the_dead_have_failed_without_an_order),
		FX_TEST(a_dead_www_name_does_not_take_the_other_along),
		FX_TEST(who_is_not_at_fault_goes_alone_right_after_a_look),
		FX_TEST(a_name_that_is_not_due_stays_with_the_dead_one),
		FX_TEST(who_is_looked_at_gets_no_other_order_meanwhile),
		FX_TEST(a_live_certificate_says_when_it_is_needed),
		FX_TEST(the_dead_take_no_token_and_the_living_stand_in_line),
		FX_TEST(too_much_at_once_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
