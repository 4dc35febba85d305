#include "pacing.h"

struct ch_store_pace pace_of(const char *account, const char *domain, const char *set)
{
	struct ch_store_pace pace = {.account = ACCOUNT};

	assert_ok(ch_limit_parse(account, &pace.limits[CH_PACED_ACCOUNT]));
	assert_ok(ch_limit_parse(domain, &pace.limits[CH_PACED_DOMAIN]));
	assert_ok(ch_limit_parse(set, &pace.limits[CH_PACED_SET]));
	return pace;
}

size_t lease(struct fixture *fx, const struct ch_store_pace *pace, size_t max,
	struct ch_store_order **ret_orders)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){
		.issuer = "issuer/default/i1", .max = max, .lease_ms = LONG_MS, .pace = *pace};
	assert_ok(fx_run(fx, &op));
	if (ret_orders)
		*ret_orders = op.u.lease.orders;
	return op.u.lease.n_orders;
}

void add(struct fixture *fx, const char *name, const char *tenant)
{
	struct ch_store_put_item item;

	assert_ok(fx_put(fx, name, CH_TRI_KEEP, tenant, NULL, &item));
	assert_int_equal(item.result, CH_PUT_CREATED);
}

void assert_waits(struct fixture *fx, const char *name, const char *code)
{
	struct ch_store_domain domain = fx_get(fx, name);

	assert_string_equal(domain.reason.code, code);
	assert_int_equal(domain.order_id, 0);
	assert_int_equal(domain.state, CH_NAME_PENDING);
	assert_true(domain.next_at_ms > test_now_ms);
}

static struct ch_store_limited limited_by(enum ch_paced paced, int64_t until_ms)
{
	return (struct ch_store_limited){
		.account = ACCOUNT, .paced = paced, .until_ms = until_ms};
}

void teach(struct fixture *fx, const struct ch_store_order *order, enum ch_paced paced,
	int64_t until_ms)
{
	struct ch_op_patch patch = fx_step(order, CH_ORDER_NEW);

	patch.next_at_ms = until_ms + CH_HOUR_MS;
	patch.limited = limited_by(paced, until_ms);
	assert_ok(fx_patch(fx, &patch));
}

void refuse_until(struct fixture *fx, const struct ch_store_order *order, enum ch_paced paced,
	int64_t until_ms)
{
	struct ch_store_limited limited = limited_by(paced, until_ms);

	fx_refuse(fx, order, &limited);
}
