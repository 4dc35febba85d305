/* Who confirms what an order put live is told what that is. */
#include "crypto/keys.h"
#include "fixture.h"

#define NAME "a.example"

static struct ch_store_order *lease_one(struct fixture *fx)
{
	struct ch_store_op op = {.type = CH_OP_LEASE,
		.u.lease = {.issuer = "issuer/default/i1",
			.max = 2,
			.lease_ms = LEASE_MS,
			.second_standbys = true}};

	assert_ok(fx_run(fx, &op));
	assert_int_equal(op.u.lease.n_orders, 1);
	return op.u.lease.orders;
}

static struct ch_op_publish *put_both_live(struct fixture *fx)
{
	struct ch_store_op op = {.type = CH_OP_STANDBY,
		.who = "operator/default/admin",
		.u.standby = {.name = NAME}};
	struct ch_store_order *order;

	fx_issue_four(fx, NAME);
	assert_ok(fx_run(fx, &op));
	order = lease_one(fx);
	assert_false(order->has_leaf || order->has_second_leaf);
	return fx_publication(fx, order, (uint8_t)order->old.version);
}

static void assert_hash(const uint8_t got[32], const struct ch_op_publish *publish)
{
	uint8_t want[32];

	assert_ok(ch_sha256(publish->leaf, publish->leaf_len, want));
	assert_memory_equal(got, want, sizeof(want));
}

static void of_two_that_went_live_together_both_are_told(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_publish *publish = put_both_live(fx);
	struct ch_store_order *order;

	assert_ok(fx_publish(fx, publish));
	order = lease_one(fx);
	assert_int_equal(order->state, CH_ORDER_CONFIRMING);
	assert_true(order->has_leaf && order->has_second_leaf);
	assert_hash(order->leaf_sha256, publish);
	assert_hash(order->second_leaf_sha256, publish->second);
}

static void one_that_was_withdrawn_since_is_not(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item;
	struct ch_store_order *order;

	assert_ok(fx_publish(fx, put_both_live(fx)));
	assert_ok(fx_put_keys(fx, NAME, CH_TRI_KEEP, CH_KEYS_ECDSA, &item));
	order = lease_one(fx);
	assert_true(order->has_leaf);
	assert_false(order->has_second_leaf);
}

/* As an issuer of before does. */
static void one_that_was_not_brought_is_not(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_publish *publish = put_both_live(fx);
	struct ch_store_order *order;

	publish->second = NULL;
	assert_ok(fx_publish(fx, publish));
	order = lease_one(fx);
	assert_true(order->has_leaf);
	assert_false(order->has_second_leaf);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(of_two_that_went_live_together_both_are_told),
		T(one_that_was_withdrawn_since_is_not),
		T(one_that_was_not_brought_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
