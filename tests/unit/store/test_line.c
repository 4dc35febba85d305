/* Who stands in line for an account: by urgency, then by tenant, then by age. */
#include "fixture.h"

#define LONG_MS (1000 * CH_DAY_MS)

static size_t lease(struct fixture *fx, const char *account, const char *orders,
	struct ch_store_order **ret_orders)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = 10,
		.lease_ms = LONG_MS,
		.pace.account = account};
	assert_ok(ch_limit_parse(orders, &op.u.lease.pace.limits[CH_PACED_ACCOUNT]));
	assert_ok(fx_run(fx, &op));
	if (ret_orders)
		*ret_orders = op.u.lease.orders;
	return op.u.lease.n_orders;
}

/* Of a CA that is given up then: its renewals are new orders at the other one. */
static void issue(struct fixture *fx, const char *name, int64_t life_ms)
{
	struct ch_store_order *orders;
	struct ch_op_publish *publish;

	fx_add(fx, name);
	assert_int_equal(lease(fx, "before.test/thumb", "none", &orders), 1);
	fx_seal(fx, orders);
	publish = fx_publication(fx, orders, (uint8_t)orders->id);
	publish->not_after_ms = test_now_ms + life_ms;
	assert_ok(fx_publish(fx, publish));
	fx_finish(fx, orders);
}

/* One order fits in 28 days. */
static size_t renew(struct fixture *fx, struct ch_store_order **ret_orders)
{
	return lease(fx, "now.test/thumb", "2/56d", ret_orders);
}

static void assert_line(struct fixture *fx, size_t at, const char *name, enum ch_class class)
{
	struct ch_store_queue queue;

	assert_ok(ch_store_get_queue(fx->store, NULL, 0, fx->arena, &queue));
	assert_true(at < queue.forecast.n_items);
	assert_string_equal(queue.names[at], name);
	assert_int_equal(queue.forecast.items[at].class, class);
}

/* calm, urgent and later wait: urgent comes to be in danger while it does, and stands before
 * later, which has been from the beginning but came after it. */
static void a_renewal_that_comes_to_be_in_danger_goes_before_others(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;
	int64_t danger_ms = START_MS + 63 * CH_DAY_MS;

	issue(fx, "calm.example", 90 * CH_DAY_MS);
	issue(fx, "urgent.example", 70 * CH_DAY_MS);
	test_now_ms += 2 * CH_DAY_MS;
	issue(fx, "later.example", 66 * CH_DAY_MS);
	test_now_ms = START_MS + 39 * CH_DAY_MS;
	fx_add(fx, "first.example");
	assert_int_equal(renew(fx, NULL), 1);
	test_now_ms = START_MS + RENEW_MS;
	assert_int_equal(renew(fx, NULL), 0);
	assert_line(fx, 0, "calm.example", CH_CLASS_RENEWAL);
	assert_line(fx, 1, "urgent.example", CH_CLASS_RENEWAL);
	/* Its turn is not before, but it is looked at. */
	assert_int_equal(fx_get(fx, "urgent.example").next_at_ms, danger_ms);
	test_now_ms += 2 * CH_DAY_MS;
	assert_int_equal(renew(fx, NULL), 0);
	assert_line(fx, 0, "later.example", CH_CLASS_DANGER);
	test_now_ms = danger_ms;
	assert_int_equal(renew(fx, NULL), 0);
	assert_line(fx, 0, "urgent.example", CH_CLASS_DANGER);
	assert_line(fx, 1, "later.example", CH_CLASS_DANGER);
	assert_line(fx, 2, "calm.example", CH_CLASS_RENEWAL);
	test_now_ms = START_MS + 67 * CH_DAY_MS + CH_HOUR_MS;
	assert_int_equal(renew(fx, &orders), 1);
	assert_string_equal(orders->names[0].name, "urgent.example");
}

/* Nor does it lose its place by being looked at. */
static void who_is_in_danger_stays_so_in_line(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_limits limits;

	issue(fx, "a.example", 66 * CH_DAY_MS);
	test_now_ms = START_MS + 39 * CH_DAY_MS;
	fx_add(fx, "first.example");
	assert_int_equal(renew(fx, NULL), 1);
	test_now_ms = START_MS + RENEW_MS;
	assert_int_equal(renew(fx, NULL), 0);
	assert_line(fx, 0, "a.example", CH_CLASS_DANGER);
	fx_rewrite(fx, "UPDATE cert SET not_after = not_after + 3000000000");
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	assert_int_equal(renew(fx, NULL), 0);
	assert_line(fx, 0, "a.example", CH_CLASS_DANGER);
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	assert_int_equal(limits.waiting, 1);
}

static void import(struct fixture *fx, int n)
{
	struct ch_store_op op = {.type = CH_OP_PUT};
	struct ch_store_put_item items[50] = {0};
	char names[50][32];

	for (int i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "shop.big-%d.example", i);
		items[i].name = names[i];
		items[i].tenant = "big";
	}
	op.u.put.items = items;
	op.u.put.n_items = (size_t)n;
	assert_ok(fx_run(fx, &op));
}

/* Of the next turn: whether it is one of the import. */
static bool is_next_imported(struct fixture *fx)
{
	struct ch_store_order *orders;

	test_now_ms += CH_MINUTE_MS;
	assert_int_equal(lease(fx, "now.test/thumb", "2/2m", &orders), 1);
	return strncmp(orders->names[0].name, "shop.big", 8) == 0;
}

/* Those that the import has while it waits alone are its share. */
static void a_name_that_comes_alone_has_the_next_turn_whenever_it_comes(void **state)
{
	struct fixture *fx = *state;
	char name[32];

	import(fx, 50);
	assert_int_equal(lease(fx, "now.test/thumb", "2/2m", NULL), 1);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "alone-%d.example", i);
		fx_add(fx, name);
		assert_int_equal(lease(fx, "now.test/thumb", "2/2m", NULL), 0);
		assert_false(is_next_imported(fx));
		for (int k = 0; k < 1 + i % 2; k++)
			assert_true(is_next_imported(fx));
	}
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_renewal_that_comes_to_be_in_danger_goes_before_others),
		T(who_is_in_danger_stays_so_in_line),
		T(a_name_that_comes_alone_has_the_next_turn_whenever_it_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
